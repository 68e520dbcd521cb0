# %% [markdown]
# # The four kinds of primitive, and how to add your own
#
# A library of functions needs, for each function, a rule for the reverse walk, one for the forward walk, one
# for batches, and one for the walk over the walk. Written one by one, they are most of the library, and where
# its bugs are. tinyad declares what a function *is*, once; the rules follow. There are four kinds. This page
# derives what follows from each, and then adds a function of each kind from outside the library, with all the
# tests that it needs.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import kinds
from tinyad.compiler.expand import EXPANSIONS
from tinyad.kinds import elementwise, general, linear, multilinear
from tinyad.report import PALETTE, keep, tidy

rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. Who is what
#
# The table of all primitives, by kind:

# %%
KINDS = (kinds.Elementwise, kinds.Linear, kinds.Multilinear, kinds.General)
for kind in KINDS:
    names = sorted(name for name, primitive in kinds.PRIMITIVES.items() if isinstance(primitive, kind))
    print(f"{kind.__name__:<12} {len(names):3}   {', '.join(names[:7])}, ...")

# %% [markdown]
# What a walk needs to know about a step $y = f(x)$ is its Jacobian $J$, as a *map*: $J v$ for a tangent $v$
# (*jvp*), and $J^\top g$ for a cotangent $g$ (*vjp*). The kinds are kinds of Jacobians.
#
# | kind | what is special about $J$ | declared | follows |
# |---|---|---|---|
# | elementwise | a diagonal, $d$ | $d$, as a function | jvp: $d \odot v$; vjp: $d \odot g$ |
# | linear | the same everywhere: $J v = f(v)$ | the transpose of $f$ | jvp: $f(v)$; vjp: transpose |
# | multilinear | linear in each operand, the others fixed | a transpose per operand | the product rule |
# | general | nothing | jvp and vjp | nothing |
#
# Only in the last line can the two modes disagree: in the others both come from one declaration. And
# *batches* need no rule, since all primitives act on the **trailing axes** of their operands: another axis in
# front is none of their business. ([Tutorial 7](07_vmap_and_jacobians.py) is about that.)
#
# Here is a tape with all four. With `backward=True` each visit shows the kind. (A matrix times a vector is
# a matrix product between two `reshape`s.)


# %%
def one_of_each(A, x):
    z = ad.tanh(A @ x)  # multilinear, elementwise
    return ad.logsumexp(ad.cumsum(z))  # linear, general


shown = ad.show(one_of_each, rng.standard_normal((3, 2)), rng.standard_normal(2), backward=True)

# %% [markdown]
# The column `saved` is decided by the kind, too. A linear function saves nothing, since its Jacobian does not
# depend on where it is. A product saves the operand that the other one's transpose needs, and only if that
# one varies. An elementwise function saves what its partial derivatives **name**:
#
# ```
# elementwise("tanh", lambda out: one_minus_square(out))           keeps the result
# elementwise("sin", lambda x: cos(x))                             keeps the operand
# elementwise("add", 1, 1)                                         keeps nothing
# elementwise("multiply", "y", "x")                                the other operand: just its name
# ```
#
# ## 2. Your own: elementwise
#
# The logarithm of the hyperbolic cosine is a smooth absolute value, $x^2/2$ near zero and $|x| - \log 2$ far
# away. `log(cosh(x))` overflows at $x = 711$; one knows better:
# $\log\cosh x = |x| + \log(1 + e^{-2|x|}) - \log 2$. Its derivative is $\tanh x$, which the chain of five
# functions would get by dividing large numbers. So it deserves to be a primitive: a function of the array
# module `xp` (NumPy, or CuPy), and a partial derivative.

# %%
logcosh = elementwise(
    "logcosh",
    lambda x: ad.tanh(x),
    forward=lambda xp, x: xp.abs(x) + xp.log1p(xp.exp(-2.0 * xp.abs(x))) - 0.6931471805599453,
    doc="log(cosh(x)), without overflow.",
)

x = np.array([-800.0, -1.0, 0.0, 0.5])
print("value:     ", logcosh(x))
print("derivative:", ad.grad(lambda x: ad.sum(logcosh(x)))(x))

# %% [markdown]
# The rule says `ad.tanh`, not `np.tanh`. **Rules are written with tinyad's own functions.** Given arrays they
# run NumPy; given Tensors they are recorded, and so the derivative has a derivative, and so on:

# %%
third = ad.grad(ad.grad(ad.grad(logcosh)))
print("third derivative at 0.5:", third(0.5), " on paper:", -2 * np.tanh(0.5) * (1 - np.tanh(0.5) ** 2))
assert np.isclose(third(0.5), -2 * np.tanh(0.5) * (1 - np.tanh(0.5) ** 2), rtol=1e-12)

# %% [markdown]
# ## 3. Your own: linear
#
# The second difference of a sequence, along the last axis:
#
# $$(D x)_i = x_i - 2 x_{i+1} + x_{i+2}, \qquad i = 0, \dots, n - 3.$$
#
# A matrix with $n - 2$ rows and $n$ columns, which has $1, -2, 1$ in each row. The transpose has them in each
# *column*: what $D$ gathers from three places, $D^\top$ hands out to three places, $(D^\top g)_j = g_j -
# 2 g_{j-1} + g_{j-2}$ with zeros where the index is outside. Gathering becomes scattering: slicing becomes
# padding.


# %%
def second_difference_transposed(g, node):
    """D' g, for a cotangent g of any number of leading axes. The operand's node knows its shape."""

    def moved(left, right):
        return ad.pad(g, [(0, 0)] * (len(g.shape) - 1) + [(left, right)])

    return moved(0, 2) - 2.0 * moved(1, 1) + moved(2, 0)


second_difference = linear(
    "second_difference",
    lambda xp, x: x[..., :-2] - 2.0 * x[..., 1:-1] + x[..., 2:],
    second_difference_transposed,
    doc="x[i] - 2 x[i + 1] + x[i + 2] along the last axis.",
)

D = ad.jacobian(second_difference)(np.zeros(6))
print(D.astype(int))

# %% [markdown]
# All axes are counted from the end (`...`), in the function and in the rule, which is all that batches need.
# `ad.jacobian` has just used it: its one walk carried four cotangents, so `g` had the shape (4, 4).
#
# ## 4. Your own: multilinear
#
# The circular convolution $(x * y)_k = \sum_j x_j\, y_{k-j}$, indices modulo $n$. It is linear in $x$ for
# fixed $y$ and the other way around. For fixed $y$ the matrix has $y_{k-j}$ in row $k$ and column $j$. The
# transpose has $y_{j-k}$ there: the convolution with $y$ *reversed*. That is a rule in terms of the function
# itself, so it is as fast as the function, which takes the Fourier transform.


# %%
def backwards(y):
    """y[-k modulo n] along the last axis."""
    return ad.roll(ad.flip(y, axis=-1), 1, axis=-1)


convolve = multilinear(
    "circular_convolution",
    lambda xp, x, y: xp.fft.irfft(xp.fft.rfft(x) * xp.fft.rfft(y), x.shape[-1]),
    lambda position, g, operands, node: convolve(g, backwards(operands[1 - position])),
    operands=2,
    doc="The convolution along the last axis, as if its ends were joined.",
)

x, y = rng.standard_normal((2, 5))
slowly = np.array([sum(x[j] * y[(k - j) % 5] for j in range(5)) for k in range(5)])
assert np.allclose(convolve(x, y), slowly, rtol=1e-12, atol=1e-14)
print("d sum(c * (x * y)) / dx =", ad.grad(lambda x: ad.sum(np.arange(5.0) * convolve(x, y)))(x))

# %% [markdown]
# ## 5. Your own: general
#
# A vector divided by its length, $u = x / |x|$. Its Jacobian is $(I - u u^\top) / |x|$, not diagonal, and it
# depends on $x$. So both rules are declared. They are the same map here, because this Jacobian is symmetric;
# the arguments say what each wants: first the cotangent (or a tangent for each operand), then whatever it
# needs of operands and result, by name.


# %%
def _across(v, x, out):
    """(v - u <u, v>) / |x| for each vector along the last axis."""
    length = ad.norm(x, axis=-1, keepdims=True)
    return (v - out * ad.sum(out * v, axis=-1, keepdims=True)) / length


unit = general(
    "unit",
    lambda xp, x: x / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True)),
    vjp=lambda g, x, out: _across(g, x, out),
    jvp=lambda tangent, x, out: _across(tangent, x, out),
    doc="x / |x| along the last axis.",
)
print(unit(np.array([3.0, 4.0])), ad.jacobian(unit)(np.array([3.0, 4.0])).tolist())

# %% [markdown]
# ## 6. The tests that a primitive needs
#
# * **`ad.check`**: the reverse rule against differences of the function, entry by entry; with `order=2` also
#   the derivative of the rule. And the dot test, forward against reverse.
# * **Batches**: `vmap` against a loop.
# * **A leading axis on cotangents and tangents**: the Jacobian by rows and by columns. A rule that forgets
#   the dots in `[..., 1:-1]` passes all other tests, and fails this one.

# %%
FUNCTIONS = {
    "logcosh": (logcosh, [rng.standard_normal(4)]),
    "second difference": (second_difference, [rng.standard_normal(6)]),
    "convolution": (convolve, [x, y]),
    "unit": (unit, [rng.standard_normal(3)]),
}
for name, (f, operands) in FUNCTIONS.items():
    checked = ad.check(f, *operands, order=2, raises=False)
    dot = ad.dot_test(f, *operands)
    many = [np.stack([operand, -0.5 * operand, operand + 1.0]) for operand in operands]
    one_by_one = np.stack([f(*[operand[k] for operand in many]) for k in range(3)])
    batched = np.allclose(ad.vmap(f)(*many), one_by_one, rtol=1e-12, atol=1e-14)
    jacobians = [ad.jacobian(f, mode=mode)(*operands) for mode in ("reverse", "forward")]
    led = np.allclose(*jacobians, rtol=1e-12, atol=1e-14)
    print(f"{name:<18} check {checked.passed}   dot test {bool(dot)}   batch {batched}   leading axes {led}")
    assert checked.passed and dot and batched and led

# %% [markdown]
# A test that cannot fail is worth nothing. Here is the transpose of the second difference with a sign wrong,
# and what the check says about it.

# %%
careless = linear(
    "careless_difference",
    lambda xp, x: x[..., :-2] - 2.0 * x[..., 1:-1] + x[..., 2:],
    lambda g, node: ad.pad(g, [(0, 2)]) + 2.0 * ad.pad(g, [(1, 1)]) + ad.pad(g, [(2, 0)]),
)
report = ad.check(careless, rng.standard_normal(6), raises=False)
print(report)
assert not report

# %% [markdown]
# The report says that the dot test failed, too: a linear function's forward rule is the function itself,
# which is right, and its declared transpose is not the transpose.
#
# One thing no test of small arrays finds. A partial derivative given as a function must return a *new* array:
# the walk multiplies a large one in place by the cotangent, to save memory. So `lambda x: x` is wrong (it
# would overwrite what is saved), and `"x"`, the name, is right.
#
# ## 7. Compiled
#
# Everything that traces functions knows the new primitives already, because a traced array is only another
# kind of array. The compiler asks for one thing more: which NumPy to *write*. The shortest answer is to write
# the function out in tinyad's own functions; then all passes of the compiler see inside it.

# %%
EXPANSIONS["second_difference"] = lambda x: x[..., :-2] - 2.0 * x[..., 1:-1] + x[..., 2:]
EXPANSIONS["logcosh"] = lambda x: abs(x) + ad.log1p(ad.exp(-2.0 * abs(x))) - 0.6931471805599453


def roughness(x):
    """A smooth version of the sum of absolute second differences: large where x bends."""
    return ad.sum(logcosh(10.0 * second_difference(x))) / 10.0


slope = ad.compile(ad.grad(roughness))
wave = np.sin(np.linspace(0.0, 6.0, 200)) + 0.05 * rng.standard_normal(200)
print(slope.source(wave))

# %% [markdown]
# What is it good for? Least squares with a price on roughness: the noise bends everywhere, the wave hardly
# does. Gradient descent on $\frac12 |z - \text{data}|^2 + \text{roughness}(z)$, with a step of one over the
# largest curvature: 1 from the first term, $10 \cdot 16$ from the second.

# %%
descend = ad.compile(lambda z, data: z - ((z - data) + ad.grad(roughness)(z)) / 161.0)
z = wave
for _ in range(1000):
    z = descend(z, wave)

true = np.sin(np.linspace(0.0, 6.0, 200))
before, after = np.abs(wave - true).mean(), np.abs(z - true).mean()
print(f"mean distance from the wave without noise: {before:.4f} before, {after:.4f} after")

figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
axes.plot(wave, ".", markersize=3, color=PALETTE["muted"], label="data")
axes.plot(z, color=PALETTE["second"], label="smoothed")
tidy(axes, title="A price on second differences")
axes.legend(frameon=False)
keep(figure, "04_smoothed")

# %%
assert np.array_equal(D, [[1, -2, 1, 0, 0, 0], [0, 1, -2, 1, 0, 0], [0, 0, 1, -2, 1, 0], [0, 0, 0, 1, -2, 1]])
assert np.allclose(slope(wave), ad.grad(roughness)(wave), rtol=1e-12, atol=1e-14)
assert {row.kind for row in shown.nodes} == {"input", "elementwise", "linear", "multilinear", "general"}
assert after < 0.6 * before
assert all(
    isinstance(kinds.PRIMITIVES[f.primitive.name], kind)
    for (f, _), kind in zip(FUNCTIONS.values(), KINDS, strict=True)
)
