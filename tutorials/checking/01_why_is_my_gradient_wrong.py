# %% [markdown]
# # Why is my gradient wrong?
#
# You wrote a `backward`, in plain NumPy, and it is wrong. Most checkers say so by two numbers that differ.
# This page goes through one exercise, softmax, from the first attempt to the right one, with a checker that
# says *why*: what it looks at, in which order, how a report is read, and how far it can be believed. Nothing
# of tinyad is needed in the functions that are checked.

# %%
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad.report import keep, tidy

rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. The exercise
#
# Softmax along the rows, $y_i = e^{x_i} / \sum_j e^{x_j}$. Forward is given: it returns the output and what
# backward will need, the *cache*. Backward gets the cache and $\mathtt{dy}$, the gradient of some loss by the
# output, and returns the gradient of that loss by the input.


# %%
def forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y


x = rng.normal(size=(5, 3))  # not square: then a wrong axis is seldom silent


def check(backward, x=x, **options):
    report = ad.check_rule(forward, backward, x, name="softmax", raises=False, **options)
    print(report.text("hint"))
    return report


# %% [markdown]
# ## 2. The contract
#
# The derivative of $y_i$ by $x_i$ is $y_i (1 - y_i)$, so the first attempt multiplies by that. And since a
# gradient "sums over everything", it sums:

# %%
attempts = {}
attempts["sum"] = check(lambda y, dy: (dy * y * (1 - y)).sum(axis=0))

# %% [markdown]
# Before any number is compared, the check looks at what no tolerance is needed for: is there one gradient for
# each input, is it an array of floats, finite, and of **the shape of the input**? Where the wrong shape comes
# of a forgotten sum (or a sum too many) and the numbers would be right otherwise, the report says over which
# axis.
#
# The number in brackets is the mistake's place in a catalogue of some eighty; *what* is a fact and *likely*
# is a guess at its cause. More on that in section 5.
#
# ## 3. Side effects
#
# Without the sum, and economical with memory:


# %%
def in_place(y, dy):
    dy *= y
    return dy


attempts["in place"] = check(in_place)

# %% [markdown]
# In a network `dy` may be the gradient of something else, too, and there it is now wrong. That kind of
# mistake does not show in a test of one function, and takes an evening to find in a network. So every check
# calls backward twice with the same cache, and forward at another place in between, and looks whether
# anything that was handed in has changed.
#
# The second statement is about the numbers, and it is already the right one. Let us not look yet.
#
# ## 4. Linearity
#
# Whatever the function is, its backward is **linear in `dy`**: twice the `dy` gives twice the gradient, and
# zero gives zero. An attempt that forgets it:

# %%
attempts["no dy"] = check(lambda y, dy: y * (1 - y))
attempts["half"] = check(lambda y, dy: y * (dy - y.sum(axis=1, keepdims=True)))

# %% [markdown]
# In a course's checker that takes `y.sum()` as its loss, `dy` is 1 everywhere, and to multiply by it or not
# is the same. Here `dy` is random, of either sign.
#
# ## 5. Values
#
# Now the numbers. The check takes the derivative of every output by every input from values of forward alone,
# by differences of fourth order in float64, and knows for each how far it can be trusted. That is a matrix,
# the Jacobian $J$. The same matrix according to backward has as its row $i$ what backward gives for a `dy`
# that is 1 at output $i$ and 0 elsewhere.

# %%
attempts["diagonal"] = check(lambda y, dy: dy * y * (1 - y))

# %% [markdown]
# That is the thing: each output depends on *all* inputs of its row, through the sum in the denominator. For
# $i \neq k$, $\partial y_i / \partial x_k = -y_i y_k$, and together
#
# $$\mathtt{dx}_k = \sum_i \mathtt{dy}_i \frac{\partial y_i}{\partial x_k}
#   = y_k \Big(\mathtt{dy}_k - \sum_i \mathtt{dy}_i \, y_i\Big).$$
#
# The sum gets written. And, in turn, with the wrong axis, with no axis, and without `keepdims`:

# %%
attempts["axis 0"] = check(lambda y, dy: y * (dy - (dy * y).sum(axis=0)))
attempts["no axis"] = check(lambda y, dy: y * (dy - (dy * y).sum()))
attempts["no keepdims"] = check(lambda y, dy: y * (dy - (dy * y).sum(axis=1)))

# %% [markdown]
# The last one raises, because NumPy cannot line up (5, 3) and (5,). With as many rows as columns it can, and
# does so wrongly without a word. The report of the exception has tried that out:

# %%
print(attempts["no keepdims"].diagnoses[0].text("explain"))

# %% [markdown]
# And at last:

# %%
right = lambda y, dy: y * (dy - (dy * y).sum(axis=1, keepdims=True))
attempts["right"] = check(right)

# %% [markdown]
# ### How far can a statement be believed?
#
# *what* is never a guess. It is an identity that was tried out on the numbers, to six digits, and then once
# more at another point and for another `dy`: *differs from the right gradient by y times something constant
# along axis 1* was so in both places. If something is not so, it is not said. It may be true and still not be
# what you would have said; there are often several true descriptions of one mistake. *likely* is what the
# cause usually is. Where nothing of the catalogue is true the report says so, with the numbers [D57].
#
# ## 6. Where it is wrong
#
# A report has all numbers: `table()` has a line for each input, `worst()` the worst entries, `str(report)`
# prints everything, `to_json()` is for programs. And `plot()` draws the matrix of the differences:

# %%
print(attempts["axis 0"].table())
for entry, yours, numeric, error in attempts["axis 0"].worst(3):
    print(f"{entry:40} yours {yours:+.6f}   numeric {numeric:+.6f} +- {error:.0e}")

for name in ("diagonal", "axis 0"):
    keep(attempts[name].plot(), f"01_{name.replace(' ', '_')}")

# %% [markdown]
# On the left a row is an output and a column an input, red where they differ. With `y * (1 - y)` the blocks
# of three are wrong except for their diagonals: each row of `x` is a world of its own, and within it the
# cross terms are missing. With `axis=0` there are red stripes between the blocks as well: outputs of one
# example depend on other examples. One look, and one knows which axis to think about.
#
# ## 7. An older friend: the Taylor table
#
# There is a test of gradients without any tolerance. Along a direction $d$ the remainder
#
# $$E_1(h) = |f(x + h d) - f(x) - h \langle g, d \rangle|$$
#
# falls like $h^2$ if $g$ is the gradient of $f$, and like $h$ if it is not. On logarithmic axes one sees the
# slope. It takes a number, so let the loss be softmax with some weights:

# %%
weights = rng.normal(size=x.shape)
loss = lambda x: np.sum(weights * forward(x)[0])
wrong = lambda y, dy: dy * y * (1 - y)
figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
tables = {}
for each, (name, backward) in zip(axes, {"right": right, "wrong": wrong}.items(), strict=True):
    gradient = backward(forward(x)[1], weights)
    tables[name] = ad.taylor_table(loss, x, gradient=gradient, orders=1)
    tables[name].plot(ax=each)
    tidy(each, "step h", "remainder", f"{name} gradient: {'passed' if tables[name].passed else 'FAILED'}")
keep(figure, "01_taylor")

# %% [markdown]
# It says *that*, and never why. But one can do it on paper and in any language.
#
# ## 8. Kinks
#
# At 0 the function $\max(x, 0)$ has two slopes, 0 on the left and 1 on the right, and nobody is wrong who
# takes one of the two, or something between. A difference $f(h) - f(-h)$ over $2h$ says one half, with any
# step, and a checker that believes it reports a mistake. This one looks at both sides:


# %%
def relu(x):
    return np.maximum(x, 0.0), x


at_kink = np.array([[-1.5, 0.0, 0.7], [2.0, -0.3, 0.0]])
kink = ad.check_rule(relu, lambda x, dy: dy * (x > 0), at_kink, raises=False)
print(kink.text("hint"))
outside = ad.check_rule(relu, lambda x, dy: dy * ((x > 0) + 2.0 * (x == 0)), at_kink, raises=False)
print(outside.text("hint"))

# %% [markdown]
# ## 9. float32
#
# Values in float32 have seven digits, and differences of them have three. A checker that works in float32
# therefore needs a tolerance with which it hardly sees anything. Here the numeric derivative is always taken
# in float64; then your backward runs in float32 as well, and is held to what float32 can do.
#
# The usual way to lose precision: $\log(1 + e^x)$, the derivative of which is $1 - 1 / (1 + e^x)$. It is
# right, and for $x = -12$ it is a difference of two numbers near 1.


# %%
def softplus(x):
    return np.logaddexp(0.0, x, dtype=x.dtype), x


far = np.array([-12.0, -11.0, -10.0, -13.0], np.float32)
coarse = ad.check_rule(softplus, lambda x, dy: dy * (1 - 1 / (1 + np.exp(x))), far, raises=False)
fine = ad.check_rule(softplus, lambda x, dy: dy / (1 + np.exp(-x)), far, raises=False)
print(coarse.text("hint"), fine.text("hint"), sep="\n")

# %% [markdown]
# ## 10. Layers
#
# A layer is an object that keeps its cache and its gradients. `check_layer` copies it before each call, so
# that the check leaves it as it is, and judges the gradients of the parameters beside those of the input.


# %%
class Linear:
    def __init__(self, inputs, outputs):
        self.params = {"w": rng.normal(size=(inputs, outputs)), "b": np.zeros(outputs)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, dy):
        self.grads["w"] = self.x.T @ dy
        self.grads["b"] = dy.mean(axis=0)
        return dy @ self.params["w"].T


layer = ad.check_layer(Linear(3, 7), x, raises=False)
print(layer.text("hint"))

# %% [markdown]
# *1/5 = 1/x.shape[0]*: it has checked on arrays of other sizes that the 5 is the number of examples and not
# just a five.
#
# ## 11. Your own engine
#
# If the exercise is to write `backward()` itself, the mistakes are others: the order in which the graph is
# gone through, gradients that are set where they should be added to. `check_engine` takes the class. It knows
# the gradients that eight small graphs have in eight kinds of wrong engines.


# %%
class Value:
    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def backward(self):
        self.grad = 1.0
        waiting, seen = [self], {self}
        while waiting:  # breadth first: it seems to be in order
            value = waiting.pop(0)
            for parent, slope in value.parents:
                parent.grad += slope * value.grad
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)


engine = ad.check_engine(Value, raises=False)
print(engine.text("explain"))

# %% [markdown]
# Six of the eight are right, among them all that one would try by hand: what it takes is one way from the
# result to `a` that is short and one that is long. The other two statements are about comfort: `x + 3` and
# `3 + x` do not work with plain numbers yet.
#
# ## 12. On the command line, and in tests
#
# For a file that has `softmax_forward` and `softmax_backward`, nothing needs to be written. The inputs come
# from the shapes that are given, or from a function `softmax_inputs(rng)` in the file:

# %%
SOURCE = """
import numpy as np

def softmax_forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y

def softmax_backward(y, dy):
    return y * (dy - (dy * y).mean(axis=1, keepdims=True))
"""


def run(*command):
    """Run a command beside a file ops.py with this source; its exit code."""
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True)
    print(f"$ python {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.returncode


TEST = """
import numpy as np
from ops import softmax_backward, softmax_forward

def test_softmax(gradcheck):
    gradcheck.rule(softmax_forward, softmax_backward, np.random.default_rng(0).normal(size=(5, 3)))
"""

plugins = [entry.name for entry in importlib.metadata.entry_points(group="pytest11")]
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "ops.py").write_text(SOURCE)
    on_the_command_line = run("-m", "tinyad", "check", "ops.py::softmax", "--shapes", "5x3")
    Path(folder, "test_ops.py").write_text(TEST)
    in_a_test = None
    if "tinyad" in plugins:  # with pytest there comes a fixture
        in_a_test = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_ops.py")

# %% [markdown]
# Exit codes are 0 for right, 1 for wrong, 2 if the command was wrong, 3 if your code raised.
#
# ## 13. In short
#
# | when | do |
# |---|---|
# | you have derived a backward | `ad.check_rule(forward, backward, *inputs)`, all lengths different |
# | it passes | once more with a batch of one, with equal lengths, with repeated indices, in float32 |
# | a report is long | begin with the first line after *what*; what follows is often a consequence |
# | it says *raises* | mend that first; the report has the line and the shapes of the operands |
# | it does not know why [D57] | look at `report.plot()`, then check the pieces of which forward is made |
# | a note on a kink [D55] | nothing to do |
#
# What no check of this kind can see is whether *forward* is right: it takes forward at its word. In an
# assignment forward is compared with the teacher's first; that is
# [the next page](02_an_assignment_that_cannot_be_fooled.py).

# %%
names = {name: [each.id for each in report.diagnoses if each.error] for name, report in attempts.items()}
assert names["sum"] == ["D10"] and names["in place"] == ["D12", "D47"]
assert names["no dy"] == ["D18"] and names["half"] == ["D19"] and names["diagonal"] == ["D34"]
assert names["axis 0"] == ["D48"] and names["no axis"] == ["D49"] and names["no keepdims"] == ["D01"]
assert attempts["right"].passed and names["right"] == []
assert tables["right"].passed and not tables["wrong"].passed
assert kink.passed and [each.id for each in kink.diagnoses] == ["D55"] * 2
assert [each.id for each in outside.diagnoses if each.error] == ["D56"]
assert not coarse and coarse.diagnoses[0].id == "D54" and fine
assert [(each.id, each.name.split()[0]) for each in layer.diagnoses] == [("D24", "params['b']")]
assert [each.id for each in engine.diagnoses] == ["E04", "E18", "E19"]
assert on_the_command_line == 1 and in_a_test in (None, 1)
