# %% [markdown]
# # A tape by hand
#
# You know how backpropagation goes on paper, perhaps from
# [micrograd](https://github.com/karpathy/micrograd), where each number holds a function that pushes its
# derivative to the numbers it came from. This page writes the same thing down once more, in sixty lines of
# Python without NumPy, and differently in one respect: **operations append to a list, and the reverse pass is
# one loop over this list.** There are no functions inside functions and there is no recursion; the second
# tutorial shows what goes wrong with those.
#
# Everything in tinyad is a variation on this list.

# %%
import math
import random

import numpy as np

import tinyad as ad
from tinyad.report import keep

# %% [markdown]
# ## 1. What has to be remembered
#
# A program that computes a number from numbers is a list of steps
#
# $$v_k = f_k(v_i, v_j), \qquad i, j < k.$$
#
# To differentiate the last number by all others one needs, of each step, *where its operands came from* and
# *how fast its result changes with each of them*: the partial derivatives $\partial f_k / \partial v_i$ and
# $\partial f_k / \partial v_j$, which are numbers by the time the step has been done. Nothing else. So the
# record of a step is a tuple of pairs (index of an operand, partial derivative), and the record of the
# program is a list of these.

# %%
tape = []  # for each number, in the order in which they came to be: ((index of operand, partial), ...)


class Number:
    """A float with a place on the tape."""

    def __init__(self, value, partials=()):
        self.value, self.index = value, len(tape)
        tape.append(partials)

    def __add__(self, other):
        other = as_number(other)
        return Number(self.value + other.value, ((self.index, 1.0), (other.index, 1.0)))

    def __mul__(self, other):
        other = as_number(other)
        return Number(self.value * other.value, ((self.index, other.value), (other.index, self.value)))

    def __pow__(self, n):
        return Number(self.value**n, ((self.index, n * self.value ** (n - 1)),))

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -as_number(other)

    def __truediv__(self, other):
        return self * as_number(other) ** -1

    __radd__, __rmul__ = __add__, __mul__


def as_number(x):
    return x if isinstance(x, Number) else Number(x)


def sin(x):
    return Number(math.sin(x.value), ((x.index, math.cos(x.value)),))


def tanh(x):
    out = math.tanh(x.value)
    return Number(out, ((x.index, 1.0 - out * out),))


# %% [markdown]
# Only five functions know calculus; minus and division are made of others. The value and the derivative of a
# function stand in the same place, which is the best idea in micrograd, and worth keeping: tinyad's table of
# primitives has each derivative on the line of its function.
#
# ## 2. What is left behind

# %%
x, y = Number(2.0), Number(3.0)
z = x * y + sin(x)

for index, partials in enumerate(tape):
    shown = ", ".join(f"dv{index}/dv{i} = {partial:.4g}" for i, partial in partials)
    print(f"v{index}: {shown or 'an input'}")

# %% [markdown]
# The tape does not say *which* operations were done, and it does not need to. It is the computation with
# everything forgotten but its derivatives: a linear program, with the point $(2, 3)$ built into its numbers.
#
# ## 3. One loop
#
# Write $\bar v_k = \partial z / \partial v_k$, the *cotangent* of $v_k$. For the last number it is 1. If
# $v_i$ is used in the steps $k_1, k_2, \dots$, then the chain rule says
#
# $$\bar v_i = \sum_{k \text{ uses } i} \bar v_k \, \frac{\partial f_k}{\partial v_i}.$$
#
# Read from the other end: step $k$ *adds* $\bar v_k\, \partial f_k / \partial v_i$ to the cotangent of each
# of its operands. All steps that use $v_i$ stand after it on the tape. So going from the last step to the
# first, each $\bar v_k$ is complete when we get to it.


# %%
def gradient(output, inputs):
    """The derivatives of one number by others."""
    cotangents = [0.0] * (output.index + 1)
    cotangents[output.index] = 1.0
    for k in range(output.index, -1, -1):
        for i, partial in tape[k]:
            cotangents[i] += cotangents[k] * partial
    return [cotangents[each.index] for each in inputs]


by_hand = [3.0 + math.cos(2.0), 2.0]  # y + cos(x), x
print("tape: ", gradient(z, [x, y]))
print("paper:", by_hand)
assert np.allclose(gradient(z, [x, y]), by_hand, rtol=1e-15)

# %% [markdown]
# That is reverse mode. Three things about these six lines:
#
# * **`+=`, not `=`.** A number that is used twice gets two contributions. Here $x$ is, by the product and by
#   the sine. Forgetting the plus is the most frequent bug of first attempts, and tests on chains do not find
#   it: in a chain every number is used once.
# * **The cost is that of the tape**: one multiplication and one addition for each pair, however many inputs
#   there are. All derivatives of one number cost a small multiple of the number itself.
# * **The cotangents live in the loop, not in the numbers.** So a second call gives the same answer; nothing
#   has to be set to zero in between. (In micrograd a second `backward()` gives wrong gradients, because the
#   numbers in the middle still hold those of the first.)

# %%
assert gradient(z, [x, y]) == gradient(z, [x, y])
w = z * z
assert np.allclose(gradient(w, [x, y]), [2 * z.value * g for g in gradient(z, [x, y])], rtol=1e-15)

# %% [markdown]
# Any number can be the output, not only the last: the loop starts where it stands.
#
# Loops and branches of Python need no support at all. The tape is what *happened*: this iteration for the
# square root leaves five copies of its line on the tape, and if Python took another branch, other lines.


# %%
def root(a):
    r = a if a.value > 1.0 else Number(1.0)
    while abs(r.value * r.value - a.value) > 1e-12:
        r = (r + a / r) * 0.5
    return r


a = Number(2.0)
before = len(tape)
r = root(a)
print(f"sqrt(2) = {r.value:.10f}, with derivative {gradient(r, [a])[0]:.10f}, {len(tape) - before} numbers")
assert np.isclose(gradient(r, [a])[0], 0.5 / math.sqrt(2.0), rtol=1e-6)

# %% [markdown]
# And there is no limit to the length of a chain. A reverse pass by recursion stops at about a thousand steps,
# Python's limit; ours does not.

# %%
s = a
for _ in range(100_000):
    s = s + a
assert gradient(s, [a]) == [100_001.0]

# %% [markdown]
# ## 4. A network of numbers
#
# Enough to train a network: two inputs, four hidden units, and the four points of "exclusive or", which no
# line can separate.

# %%
POINTS = [((0.0, 0.0), -1.0), ((0.0, 1.0), 1.0), ((1.0, 0.0), 1.0), ((1.0, 1.0), -1.0)]
HIDDEN = 4


def score(weights, point):
    """The network's answer, from four weights for each unit: two, an offset, and one to add it up."""
    total = 0.0
    for k in range(HIDDEN):
        u, v, offset, out = weights[4 * k : 4 * k + 4]
        total = tanh(u * point[0] + v * point[1] + offset) * out + total
    return total


def loss(weights):
    return sum((score(weights, point) - wanted) ** 2 for point, wanted in POINTS)


random.seed(1)
start = [random.gauss(0.0, 1.0) for _ in range(4 * HIDDEN)]
weights, losses = start, []
for _ in range(200):
    tape.clear()
    variables = [Number(w) for w in weights]
    value = loss(variables)
    losses.append(value.value)
    weights = [w - 0.1 * g for w, g in zip(weights, gradient(value, variables), strict=True)]

print(f"loss: {losses[0]:.3f} at first, {losses[-1]:.2e} after 200 steps")
print("scores:", [round(score([Number(w) for w in weights], point).value, 2) for point, _ in POINTS])
assert losses[-1] < 1e-3 * losses[0]

# %% [markdown]
# ## 5. The next step: arrays
#
# Now for what is wrong with it. How long is the tape of one loss?

# %%
tape.clear()
variables = [Number(w) for w in start]
value = loss(variables)
print(f"{len(tape)} numbers on the tape, for {len(start)} weights and {len(POINTS)} points")

# %% [markdown]
# Each number costs Python a microsecond, and a network of use has a million. The cure is to make each entry
# of the tape an operation on **arrays**, which NumPy does in one call. Here is the same loss, for tinyad.


# %%
def as_arrays(numbers):
    """Four numbers for each unit, as the matrices and the vector that they make up."""
    rows = np.array(numbers).reshape(HIDDEN, 4)
    return {"in": rows[:, :2].T, "offset": rows[:, 2], "out": rows[:, 3:]}


points = np.array([point for point, _ in POINTS])
wanted = np.array([[wanted] for _, wanted in POINTS])


def array_loss(w):
    hidden = ad.tanh(points @ w["in"] + w["offset"])
    return ad.sum((hidden @ w["out"] - wanted) ** 2)


shown = ad.show(array_loss, as_arrays(start), backward=True)

# %% [markdown]
# Ten lines instead of almost two hundred, three of them the inputs. Compare them with our tape:
#
# * A line names its operation, because the *partial derivatives* are no longer numbers. The partial
#   derivative of a matrix product by its first factor is a table with four indices. Nobody builds it: what
#   is kept is the other factor (the column `saved`), and a rule that multiplies by the table without ever
#   having it.
# * The reverse walk is our loop. It goes from the last line to the first; what `receives` says is $\bar v_k$;
#   each `to` is one execution of the line with `+=`.
# * One rule is new. Adding the offset, a vector, to a matrix repeats it for each row; backward, what was
#   repeated is summed. The line of `offset` says so.
#
# As a picture, with the cotangents' shapes on the edges, going up:

# %%
keep(shown.figure(), "01_tape")

# %% [markdown]
# And the numbers are the same.

# %%
by_numbers = as_arrays(gradient(value, variables))
by_arrays = ad.grad(array_loss)(as_arrays(start))
for name in by_arrays:
    print(f"{name}: apart by at most {np.abs(by_numbers[name] - by_arrays[name]).max():.1e}")
    assert np.allclose(by_numbers[name], by_arrays[name], rtol=1e-12, atol=1e-14)

# %% [markdown]
# ## 6. What else separates this page from a library
#
# * Our tape is one global list, which grows until somebody clears it. In tinyad a node points to what it came
#   from and knows its number. The tape of a result is what can be reached from it, sorted by number, and it
#   dies with the result.
# * We compute partial derivatives at once, needed or not. tinyad saves arrays and runs rules backward, so
#   that a tape which is never walked costs nothing but memory.
# * Our derivative is a float and cannot be differentiated. tinyad's rules are written with its own functions:
#   given values with a place on the tape, the walk records itself.
# * We go one way, from the end to the beginning. The other way is in
#   [tutorial 3](03_two_walks_over_one_record.py).
# * To us all entries are alike. There are four kinds, from which most rules follow:
#   [tutorial 4](04_four_kinds_of_primitive.py).
#
# The order of the walk, which was obvious here, is the subject of [tutorial 2](02_why_the_order_matters.py).

# %%
entries, nodes = len(tape), len(shown.nodes)
print(f"{entries} entries of numbers, {nodes} of arrays")
assert entries > 15 * nodes
assert [step.row.operation for step in shown.steps] == [
    "sum", "square", "subtract", "matmul", "tanh", "add", "matmul"
]  # fmt: skip
assert np.isclose(shown.value, value.value, rtol=1e-12)
