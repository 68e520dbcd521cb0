# %% [markdown]
# # Two walks over one record
#
# The tape of [tutorial 1](01_a_tape_by_hand.py) was walked from its end to its beginning. The same tape can
# be walked from its beginning to its end. One walk is called *reverse mode*, the other *forward mode*, and
# books often treat them as two techniques. They are one record, read in two directions: a matrix and its
# transpose, neither of which is ever written down. This page makes that exact, and counts what each costs.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad.report import PALETTE, keep, tidy

# %% [markdown]
# ## 1. The record
#
# A function $f: \mathbb R^n \to \mathbb R^m$ of numbers. Its record is a list; an entry has the value of a
# step, and pairs (index of an operand, partial derivative). This is the tape of tutorial 1, but for the
# values, which we keep to look at.


# %%
class Record(list):
    """The steps of a computation: (value, pairs)."""

    def step(self, value, *pairs):
        """Add a step; its index is what later steps know it by."""
        self.append((value, pairs))
        return len(self) - 1

    def multiply(self, i, j):
        return self.step(self[i][0] * self[j][0], (i, self[j][0]), (j, self[i][0]))

    def add(self, i, j):
        return self.step(self[i][0] + self[j][0], (i, 1.0), (j, 1.0))

    def sin(self, i):
        return self.step(math.sin(self[i][0]), (i, math.cos(self[i][0])))


r = Record()
x, y = r.step(2.0), r.step(3.0)
p = r.multiply(x, y)
outputs = [r.add(p, r.sin(x)), r.multiply(p, p)]  # (xy + sin x, (xy)^2)
for k, (value, pairs) in enumerate(r):
    print(f"v{k} = {value:<8.4g}", ", ".join(f"dv{k}/dv{i} = {partial:.4g}" for i, partial in pairs))

# %% [markdown]
# ## 2. The walks
#
# Move the inputs a little, in a direction $\dot x$. To first order step $k$ then moves by its *tangent*
#
# $$\dot v_k = \sum_{(i,\, p) \in \text{step } k} p \; \dot v_i .$$
#
# All operands stand earlier in the list, so one loop from the first step to the last computes all tangents.
# The tangents of the outputs are $J \dot x$, with the Jacobian $J$, an $m \times n$ matrix.
#
# Now weigh the outputs with numbers $\bar y$, and ask how the weighted sum changes with step $i$. That is its
# *cotangent* $\bar v_i$, and every step that uses $v_i$ adds to it:
#
# $$\bar v_i \mathrel{+}= p \; \bar v_k \qquad \text{for each } (i,\, p) \in \text{step } k .$$
#
# All users stand later, so one loop from the last step to the first computes all cotangents. Those of the
# inputs are $J^\top \bar y$.


# %%
def forward(record, tangents, outputs):
    """J times a direction: ``tangents`` by index of the inputs."""
    dot = [tangents.get(k, 0.0) for k in range(len(record))]
    for k, (_, pairs) in enumerate(record):
        for i, partial in pairs:
            dot[k] += partial * dot[i]
    return [dot[k] for k in outputs]


def reverse(record, cotangents, inputs):
    """The transpose of J times weights: ``cotangents`` by index of the outputs."""
    bar = [cotangents.get(k, 0.0) for k in range(len(record))]
    for k, (_, pairs) in reversed(list(enumerate(record))):
        for i, partial in pairs:
            bar[i] += partial * bar[k]
    return [bar[i] for i in inputs]


# %% [markdown]
# Compare the two innermost lines. They have the same partial derivative, between the same two places; only
# the roles of $i$ and $k$ are exchanged. So they do the same number of multiplications, one for each pair on
# the record, whatever the direction or the weights are.
#
# Here are $J \dot x$ for the two directions of the axes, which are the columns of $J$, and $J^\top \bar y$
# for the two outputs, which are its rows.

# %%
columns = np.array([forward(r, {i: 1.0}, outputs) for i in (x, y)])
rows = np.array([reverse(r, {k: 1.0}, [x, y]) for k in outputs])
print("by columns:\n", columns.T, "\nby rows:\n", rows)
on_paper = np.array([[3.0 + math.cos(2.0), 2.0], [2 * 6.0 * 3.0, 2 * 6.0 * 2.0]])
assert np.allclose(columns.T, on_paper, rtol=1e-14) and np.allclose(rows, on_paper, rtol=1e-14)

# %% [markdown]
# ## 3. A matrix that is never there
#
# Why is the second walk the transpose of the first? Take one pair $(i, p)$ of step $k$. In the forward walk
# it is the assignment $\dot v_k \mathrel{+}= p\, \dot v_i$: the matrix that is the identity but for one entry
# $p$ in row $k$ and column $i$, applied to the vector of all tangents. The whole walk is a product of such
# matrices, $J = E_L \cdots E_2 E_1$ (with the inputs put in before and the outputs picked out after it). The
# transpose is $J^\top = E_1^\top E_2^\top \cdots E_L^\top$: the same matrices, transposed, **in the opposite
# order**. And $E^\top$ is the assignment $\bar v_i \mathrel{+}= p\, \bar v_k$.
#
# There is a consequence that one can test. For every direction $v$ and all weights $u$
#
# $$\langle u, J v \rangle = \langle J^\top u, v \rangle .$$
#
# The left-hand side needs only the forward walk, the right-hand side only the reverse walk. If both come from
# rules that somebody wrote by hand, this *dot test* compares the rules, without a step size and to the last
# digits, even where the function is so rough that a difference quotient would be of no use.

# %%
rng = np.random.default_rng(0)
u, v = rng.standard_normal(2), rng.standard_normal(2)
Jv = forward(r, {x: v[0], y: v[1]}, outputs)
Jtu = reverse(r, {outputs[0]: u[0], outputs[1]: u[1]}, [x, y])
print("<u, Jv>  =", np.dot(u, Jv))
print("<J'u, v> =", np.dot(Jtu, v))
assert np.isclose(np.dot(u, Jv), np.dot(Jtu, v), rtol=1e-14)

# %% [markdown]
# The same may be said of every place on the way. Cut the list anywhere: the forward walk up to the cut gives
# $\dot v_i$, the reverse walk down to the cut gives what has arrived at $\bar v_i$ by then, and the sum of
# $\bar v_i \dot v_i$ is the same number at each cut. One walk carries its half downstream, the other its half
# upstream, and wherever they meet they agree.

# %%
dot, bar = [v[0], v[1], 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, u[0], u[1]]
for k, (_, pairs) in enumerate(r):
    for i, partial in pairs:
        dot[k] += partial * dot[i]
products = [np.dot(bar, dot)]
for k in range(len(r) - 1, 1, -1):
    for i, partial in r[k][1]:
        bar[i] += partial * bar[k]
    bar[k] = 0.0  # step k lies behind the cut now
    products.append(np.dot(bar, dot))
print("at each cut, from the end to the inputs:", np.round(products, 12))
assert np.allclose(products, np.dot(u, Jv), rtol=1e-13)

# %% [markdown]
# ## 4. What it costs
#
# Let $L$ be the number of pairs on the record, which is about the number of operations of $f$ itself.
#
# | wanted | walks | multiplications |
# |---|---|---|
# | $Jv$, one direction | 1 forward | $L$ |
# | $J^\top u$, one set of weights | 1 reverse | $L$ |
# | the gradient of one number, $m = 1$ | 1 reverse | $L$, **however large $n$ is** |
# | the derivative by one number, $n = 1$ | 1 forward | $L$, however large $m$ is |
# | all of $J$ | $n$ forward or $m$ reverse | $nL$ or $mL$ |
#
# The third line is why reverse mode trains networks: a loss is one number, and $n$ is a million. The fourth
# is why forward mode is right for a curve. Counted on a function with $n$ inputs and $m$ outputs, two layers
# with $h$ numbers in between:


# %%
def layers(n, h, m):
    """The record of outputs = B sin(A x), with its inputs and outputs."""
    record = Record()
    inputs = [record.step(value) for value in rng.standard_normal(n)]

    def layer(count, operands):
        matrix = rng.standard_normal((count, len(operands)))
        return [
            record.step(
                sum(a * record[i][0] for a, i in zip(row, operands, strict=True)),
                *zip(operands, row, strict=True),
            )
            for row in matrix
        ]

    hidden = [record.sin(k) for k in layer(h, inputs)]
    return record, inputs, layer(m, hidden)


print(" n   m      L   by columns   by rows")
counted = {}
for n, m in ((64, 1), (32, 4), (16, 16), (4, 32), (1, 64)):
    record, inputs, ends = layers(n, 8, m)
    pairs = sum(len(pairs) for _, pairs in record)
    by_columns = np.array([forward(record, {i: 1.0}, ends) for i in inputs]).T
    by_rows = np.array([reverse(record, {k: 1.0}, inputs) for k in ends])
    assert np.allclose(by_columns, by_rows, rtol=1e-12, atol=1e-14)
    counted[n, m] = n * pairs, m * pairs
    print(f"{n:2} {m:3} {pairs:6} {n * pairs:12} {m * pairs:9}")

# %%
figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ratios = [n / m for n, m in counted]
axes.loglog(
    ratios, [c for c, _ in counted.values()], "o-", color=PALETTE["second"], label="by columns, forward"
)
axes.loglog(ratios, [c for _, c in counted.values()], "o-", color=PALETTE["first"], label="by rows, reverse")
tidy(axes, "inputs n for each output m", "multiplications", "All of a Jacobian")
axes.legend(frameon=False)
keep(figure, "03_costs")

# %% [markdown]
# Multiplications are not all. **Memory**: the reverse walk needs the whole record, because it starts at the
# end of it, while the forward walk uses each entry once, in the order in which they are made. So a forward
# mode that goes along with the function needs no record at all: it computes with pairs (value, tangent),
# called dual numbers. That is its great advantage, and it is lost here on purpose: tinyad walks the record in
# both directions. The reason is the next section.
#
# ## 5. In tinyad
#
# An entry is an operation on arrays, a partial derivative is a rule, and the walks are `tinyad/forward.py`
# and `tinyad/reverse.py`. Evaluate once, then apply $J$ and $J^\top$ as often as you like: that is what many
# methods of numerical linear algebra want, which know a matrix by its products (conjugate gradients, Lanczos,
# Gauss-Newton).

# %%
A, B = rng.standard_normal((8, 16)), rng.standard_normal((4, 8))
evaluations = []


def f(x):
    evaluations.append(1)
    return B @ ad.sin(A @ x)


point = rng.standard_normal(16)
J = ad.linearize(f, point)
v, u = rng.standard_normal(16), rng.standard_normal(4)
print("value:", J.value)
print("<u, Jv>  =", u @ J(v))
print("<J'u, v> =", J.transpose(u) @ v, f"   evaluations of f: {len(evaluations)}")
assert np.isclose(u @ J(v), J.transpose(u) @ v, rtol=1e-13) and len(evaluations) == 1

# %% [markdown]
# Which of the two costs more can be counted here, too: in the operations of a compiled program. `L` is now
# the number of NumPy calls.


# %%
def operations(function, *arguments):
    """Operations of a function as a program, without what is known beforehand."""
    return len(ad.compile(function).program(*arguments).instructions)


of_f = operations(f, point)
of_forward = operations(lambda x, v: ad.jvp(f, (x,), (v,)), point, v)
of_reverse = operations(lambda x, u: (lambda y, pull: (y, pull(u)[0]))(*ad.vjp(f, x)), point, u)
print(f"f: {of_f} operations; with Jv: {of_forward}; with J'u: {of_reverse}")

# %% [markdown]
# With either derivative the program has less than three times the operations of the function: a matrix
# product has one product more in each walk, $\sin$ has a cosine and a product. That a gradient costs a small
# multiple of its function, three to five times depending on how one counts, holds for every function, and is
# called the cheap gradient principle (W. Baur and V. Strassen, 1983; A. Griewank, On automatic
# differentiation, 1989).
#
# Two conveniences come from having both walks. `ad.jacobian` takes rows or columns, whichever are fewer; all
# of them travel in one walk, along a leading axis. And the Hessian is a forward walk over a record of which a
# part was made by a reverse walk.

# %%
whole = ad.jacobian(f)(point)
assert np.allclose(whole, ad.jacobian(f, mode="forward")(point), rtol=1e-12, atol=1e-14)
assert np.allclose(whole @ v, J(v), rtol=1e-12) and np.allclose(u @ whole, J.transpose(u), rtol=1e-12)

energy = lambda x: ad.sum(f(x) ** 2)
H = ad.hessian(energy)(point)
assert np.allclose(H, H.T, rtol=1e-10, atol=1e-10) and np.allclose(
    H @ v, ad.hvp(energy, point, v), rtol=1e-10
)

# %% [markdown]
# ## 6. The dot test finds a wrong transpose
#
# In tinyad most operations cannot fail this test, because forward and reverse come from one declaration
# ([tutorial 4](04_four_kinds_of_primitive.py)). Where rules are written one by one, they can. Here is a
# convolution with a mistake that everybody makes once: the transpose has to turn the filter around.

# %%
taps = np.array([1.0, 2.0, 4.0])


def convolve(x):
    return ad.stack([x[k : k + 14] for k in range(3)], axis=1) @ taps


@ad.custom_vjp
def wrong(x):
    return convolve(x)


padded = lambda g: ad.pad(g, 2)
spread = lambda g, taps: ad.stack([padded(g)[k : k + 16] for k in range(3)], axis=1) @ taps
wrong.defvjp(lambda x: (convolve(x), None), lambda kept, g: (spread(g, taps),))


@ad.custom_vjp
def mended(x):
    return convolve(x)


mended.defvjp(lambda x: (convolve(x), None), lambda kept, g: (spread(g, taps[::-1]),))

signal, weights = rng.standard_normal(16), rng.standard_normal(14)
direction = rng.standard_normal(16)
for name, g in (("wrong", wrong), ("mended", mended)):
    left = weights @ convolve(direction)  # it is linear: J is the function itself
    right = ad.vjp(g, signal)[1](weights)[0] @ direction
    print(f"{name:<7} <u, Jv> = {left:8.4f}   <J'u, v> = {right:8.4f}")

# %% [markdown]
# A symmetric filter would have passed with either. Test with numbers that have no symmetry. And compare with
# a forward mode that does not come from the rule in question: `ad.dot_test(wrong, signal)` passes, because
# tinyad makes the forward rule of a `custom_vjp` from its backward rule, and the two are wrong together.
# [Tutorial 5](05_when_a_gradient_is_wrong.py) has the tests for that.

# %%
assert ad.dot_test(convolve, signal) and ad.dot_test(f, point) and ad.dot_test(wrong, signal)
exact = weights @ convolve(direction)
assert np.isclose(ad.vjp(mended, signal)[1](weights)[0] @ direction, exact, rtol=1e-12)
assert not np.isclose(ad.vjp(wrong, signal)[1](weights)[0] @ direction, exact, rtol=1e-2)
assert of_f < of_forward <= 3 * of_f and of_f < of_reverse <= 3 * of_f
assert all((c < r) == (n < m) and (c == r) == (n == m) for (n, m), (c, r) in counted.items())
