# %% [markdown]
# # vmap and Jacobians
#
# A gradient is one derivative of one number. Often more is wanted: the gradient of *each example*, all
# derivatives of all outputs, products with the Hessian in many directions at once. All of them are the same
# calculation many times over, and a Python loop would repeat its overhead as many times.
#
# `ad.vmap` removes the loop. It takes a function of *one* example and gives a function of *many*, and it
# needs no rules of its own: the rule for a batch follows from what kind of function each operation is. This
# tutorial derives those rules, uses them on a network that has learnt real digits, builds Jacobians and
# Hessians from them, and says when not to use them.

# %%
import functools
import math
import os
import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models, optim
from tinyad.kinds import PRIMITIVES
from tinyad.program import Value
from tinyad.report import PALETTE, class_colours, keep, tidy
from tinyad.tracing import trace

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings


# %% [markdown]
# ## 1. A function of one example
#
# The loss of a classifier for a single example $x$ with label $c$ and scores $s$:
#
# $$\ell(s, c) = \log \sum_k e^{s_k} - s_c.$$
#
# No batch axis, no mean, no `axis=1`: the function is written the way the formula is.

# %%
rng = np.random.default_rng(0)
theta = {"W": rng.standard_normal((4, 3)), "b": np.zeros(3)}
x, c = rng.standard_normal((5, 4)), np.array([0, 1, 2, 1, 0])


def loss_of_one(theta, x, c):
    s = ad.tanh(x @ theta["W"]) + theta["b"]
    return ad.logsumexp(s) - s[c]


print("one example:  ", loss_of_one(theta, x[0], c[0]))
print("five examples:", ad.vmap(loss_of_one, in_axes=(None, 0, 0))(theta, x, c))

# %% [markdown]
# `in_axes` says for each argument which axis counts the examples; `None` is for what all of them share.
#
# ## 2. How it is done
#
# `vmap` traces the function once, on what stands for any example. What comes back is its *program*: a list of
# operations in the order in which they are to be done. (Tutorial 6 is about programs.)

# %%
program = trace(
    lambda leaves: [loss_of_one({"W": leaves[0], "b": leaves[1]}, leaves[2], leaves[3])],
    [theta["W"], theta["b"], x[0], c[0]],
    "vmap",
)
for value, name in zip(program.inputs, ("W", "b", "x", "c"), strict=True):
    value.name = name
print(program)

# %% [markdown]
# The batch walk goes through this list from the first operation to the last. Each value is carried either
# once, because it is the same for all examples, or with a **leading axis** that counts them. An operation
# none of whose operands has that axis is run once for all. For the others the operation's *kind* says what
# to do.
#
# | kind | what it says | what follows for a batch |
# |---|---|---|
# | elementwise | $y_i = f(x_i, \dots)$, with broadcasting | the same function, once operands are aligned |
# | linear | acts on the trailing axes of its operand | the same function |
# | multilinear | a product over trailing axes, with broadcasting | the same function, aligned |
# | general | rules given one by one, on trailing axes | the same function, aligned |
#
# To *align* is to give operands that have fewer axes than others axes of length 1, **behind** the leading
# one. A few primitives for which this is not enough, or not fast enough, declare a rule of their own.
#
# The convention behind the table is that *axes are counted from the end*, in every primitive: "sum over the
# last axis" means the same with one more axis in front. So there is hardly anything to do. Here is the
# walk, with what it did to each shape.


# %%
def batch_walk(program, values, mapped, explain=False):
    """The outputs of a program for many examples; ``mapped`` says which inputs have their axis."""
    known = dict(zip(program.inputs, values, strict=True))
    led = {value for value, m in zip(program.inputs, mapped, strict=True) if m}
    for i in program.instructions:
        operands = [known[v] if v in known else getattr(v, "array", v) for v in i.inputs]
        flags = [v in led for v in i.inputs]
        if any(flags):
            ranks = [v.ndim if isinstance(v, Value) else 0 for v in i.inputs]
            known[i.out] = i.operation.batch(operands, ranks, flags, i.params)
            led.add(i.out)
        else:
            known[i.out] = i.operation.apply(*operands, **i.params)
        if explain:
            kind = type(i.operation).__name__.lower()
            print(f"{i.name:<12} {kind:<13} {i.out.shape!s:<8} -> {np.shape(known[i.out])}")
    return [known[v] for v in program.outputs]


print(f"{'operation':<12} {'kind':<13} {'one':<8}    all")
(walked,) = batch_walk(program, [theta["W"], theta["b"], x, c], [False, False, True, True], explain=True)
expected = np.array([loss_of_one(theta, x[k], c[k]) for k in range(len(x))])
assert np.allclose(walked, expected, rtol=1e-14)

# %% [markdown]
# Two lines deserve a look. `getitem` had a number for an index and has an array of five of them now: the
# rule of indexing turns "element $c$" into "from row $i$ element $c_i$". And the product of a vector with a
# matrix is written as one of a matrix with a matrix, between two `reshape`s, so that one rule is enough.
#
# The only thing that can go wrong is alignment. A number for each example times a vector that they share:
# the shapes are `(5,)` and `(3,)`, and they must not be broadcast against each other from the right.

# %%
b = np.array([1.0, 10.0, 100.0])
scale = np.arange(5.0)
multiply = PRIMITIVES["multiply"]
by_hand = multiply.batch([scale, b], ranks=[0, 1], mapped=[True, False], params={})
print(by_hand.shape)
assert np.array_equal(by_hand, scale[:, None] * b)
assert np.array_equal(by_hand, ad.vmap(lambda s, b: s * b, in_axes=(0, None))(scale, b))

# %% [markdown]
# ## 3. The gradient of each example
#
# The engine's functions are what the walk calls, so `vmap` composes with every derivative, inside and
# outside. `vmap(grad(loss))` is the gradient of each example. A training step never sees it: it sees the
# mean. But the spread around the mean knows something about the data.
#
# An experiment. We take real digits, **give 20 of the training examples a wrong label**, and train a small
# network for a short while. Then we ask each example how hard it pulls.

# %%
try:
    data, epochs = models.digits(), 4
except ModuleNotFoundError:  # no scikit-learn: points in the plane, an ellipse inside a ring
    data, epochs = models.ellipses(1797), 20

train, test = data.split(1000, seed=0)
WRONG = 20
chosen = rng.choice(len(train), WRONG, replace=False)
labels = train.y.copy()
labels[chosen] = (labels[chosen] + rng.integers(1, data.classes, WRONG)) % data.classes
is_wrong = np.zeros(len(train), dtype=bool)
is_wrong[chosen] = True


def loss(net, x, y):
    """The usual loss, of a batch."""
    return models.softmax_cross_entropy(net(x), y)


def loss_of_example(net, x, c):
    """The same loss, of one example."""
    s = net(x)
    return ad.logsumexp(s) - s[c]


net = models.MLP.create(0, [data.x.shape[1], 32, data.classes])
run = models.fit(net, loss, (train.x, labels), optim.adam(1e-2), epochs=epochs, batch_size=32)
net = run.last
print(f"{data}\naccuracy on {len(test)} other examples: {models.accuracy(net(test.x), test.y):.3f}")

# %%
gradients_of_examples = ad.vmap(ad.grad(loss_of_example), in_axes=(None, 0, 0))
gradients = gradients_of_examples(net, train.x, labels)
print(gradients)

# their mean is the gradient of the batch
for one_by_one, together in zip(
    ad.tree.leaves(gradients), ad.tree.leaves(ad.grad(loss)(net, train.x, labels)), strict=True
):
    assert np.allclose(one_by_one.mean(axis=0), together, rtol=1e-9, atol=1e-12)

# %% [markdown]
# A model is a tree of arrays, its gradient is a model, and the gradients of all examples are a model whose
# arrays have one more axis in front. Its norm is a number for each example.


# %%
def norms_of(gradients):
    """The Euclidean norm of each example's gradient."""
    return np.sqrt(sum((leaf.reshape(len(leaf), -1) ** 2).sum(axis=1) for leaf in ad.tree.leaves(gradients)))


norms = norms_of(gradients)
order = np.argsort(-norms)
found = is_wrong[order[:WRONG]].sum()
medians = np.median(norms[~is_wrong]), np.median(norms[is_wrong])
by_chance = WRONG * WRONG / len(train)
print(f"median norm: right labels {medians[0]:.2f}, wrong labels {medians[1]:.2f}")
print(f"of the {WRONG} largest, {found} belong to wrong labels; by chance it would be {by_chance:.1f}")


def picture_of_norms(rows):
    figure = plt.figure(figsize=(10.5, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    axes = left.subplots()
    bins = np.geomspace(max(norms.min(), 1e-4), norms.max() * 1.01, 40)
    axes.hist(norms[~is_wrong], bins, color=PALETTE["first"], alpha=0.8, label="right label")
    axes.hist(norms[is_wrong], bins, color=PALETTE["second"], alpha=0.8, label="wrong label")
    axes.set_xscale("log")
    axes.set_yscale("log")
    tidy(axes, "norm of the example's gradient", "examples", "How hard each example pulls")
    axes.legend(frameon=False, fontsize="small")
    if data.image_shape is None:
        axes = right.subplots()
        axes.scatter(*train.x.T, s=6, c=[class_colours(data.classes)[k] for k in labels], alpha=0.4)
        axes.scatter(*train.x[rows].T, s=60, facecolors="none", edgecolors="black")
        tidy(axes, title=f"The {len(rows)} largest")
        return figure
    right.suptitle("The largest: label in training, true label", fontsize="medium")
    for axes, row in zip(right.subplots(2, 6).flat, rows, strict=True):
        axes.imshow(train.x[row].reshape(data.image_shape), cmap="gray_r")
        wrong = is_wrong[row]
        text = f"{labels[row]}, is {train.y[row]}" if wrong else str(labels[row])
        axes.set_title(text, fontsize=9, color=PALETTE["second"] if wrong else PALETTE["first"])
        axes.set_axis_off()
    return figure


keep(picture_of_norms(order[:12]), "07_gradient_norms")
assert found > 10 * by_chance

# %% [markdown]
# Most of the examples that pull hardest have a wrong label, and most of the others in the picture are digits
# that one may doubt. Nothing but gradients was looked at. Gradients of examples serve elsewhere, too:
#
# * *How large should a batch be?* With $g_i$ the gradients, $\bar g$ their mean and $\Sigma$ their
#   covariance, the noise of a batch of $B$ is as large as the signal at
#   $B = \operatorname{tr}\Sigma / |\bar g|^2$ (McCandlish et al., An empirical model of large-batch training,
#   2018).
# * *Differential privacy* clips each $g_i$ to a length and adds noise to the sum: no example can leave a
#   larger trace (Abadi et al., 2016).
# * *Gauss-Newton and Fisher matrices* are sums of $g_i g_i^\top$.

# %%
mean_square = (norms**2).mean()
square_of_mean = sum((leaf.mean(axis=0) ** 2).sum() for leaf in ad.tree.leaves(gradients))
noise_scale = (mean_square - square_of_mean) / square_of_mean
print(f"noise and signal are equal in a batch of {noise_scale:.0f} examples")

# %% [markdown]
# ## 4. Jacobians
#
# Let $f: \mathbb R^n \to \mathbb R^m$ with Jacobian $J$, an $m \times n$ matrix. Reverse mode computes
# $u^\top J$ for a cotangent $u$ (a *pullback*): with $u = e_i$, row $i$. Forward mode computes $J v$ for a
# tangent $v$ (a *pushforward*): with $v = e_j$, column $j$. So
#
# * $J$ is the pullback mapped over the rows of the identity: $m$ of them, by rows;
# * $J$ is the pushforward mapped over the rows of the identity: $n$ of them, by columns.
#
# Our $f$: from the pixels of one image to the network's scores.

# %%
image = test.x[0]
scores, pullback = ad.vjp(net, image)
by_rows = ad.vmap(lambda u: pullback(u)[0])(np.eye(len(scores)))

pushforward = ad.linearize(net, image)
by_columns = ad.vmap(pushforward, out_axes=1)(np.eye(len(image)))

jacobian = ad.jacobian(net)(image)
print("shapes:", by_rows.shape, by_columns.shape, jacobian.shape)
assert np.allclose(by_rows, jacobian, rtol=1e-12, atol=1e-14)
assert np.allclose(by_columns, jacobian, rtol=1e-12, atol=1e-14)

# %% [markdown]
# `ad.jacobian` does the same without tracing: every rule of the engine takes cotangents and tangents with a
# leading axis, so one walk carries all rows at once. It chooses rows or columns, whichever are fewer.
#
# Row $k$ of this Jacobian has the shape of an image and says which pixels speak for class $k$ (red) and
# which against it (blue), to first order, at this image.


# %%
def picture_of_rows(jacobian):
    figure, axes = plt.subplots(1, len(jacobian) + 1, figsize=(11, 1.7), layout="constrained")
    axes[0].imshow(image.reshape(data.image_shape), cmap="gray_r")
    axes[0].set_title(f"a {test.y[0]}", fontsize=10)
    for k, row in enumerate(jacobian):
        largest = np.abs(jacobian).max()
        axes[k + 1].imshow(row.reshape(data.image_shape), cmap="RdBu_r", vmin=-largest, vmax=largest)
        axes[k + 1].set_title(f"class {k}", fontsize=10)
    for each in axes:
        each.set_axis_off()
    return figure


if data.image_shape is not None:
    keep(picture_of_rows(jacobian), "07_jacobian_rows")

# %% [markdown]
# And the Jacobians of many images are `vmap` of that: vmap of a walk that carries rows.

# %%
jacobians = ad.vmap(ad.jacobian(net))(test.x[:50])
print("Jacobians of 50 images:", jacobians.shape)
assert np.allclose(jacobians[0], jacobian, rtol=1e-12, atol=1e-14)

# %% [markdown]
# ## 5. Hessians and products with them
#
# The Hessian is the Jacobian of the gradient. A product with it costs about two gradients, whatever its
# size: the derivative of the gradient in a direction, *forward over reverse*,
#
# $$H v = \frac{d}{d\varepsilon} \nabla f(x + \varepsilon v) \Big|_{\varepsilon = 0}.$$
#
# Mapped over the identity it gives all columns.


# %%
def loss_at(image):
    return loss_of_example(net, image, test.y[0])


hessian = ad.hessian(loss_at)(image)
columns = ad.vmap(lambda v: ad.hvp(loss_at, image, v), out_axes=1)(np.eye(len(image)))
print(f"Hessian {hessian.shape}, asymmetry {np.abs(hessian - hessian.T).max():.1e}")
assert np.allclose(columns, hessian, rtol=1e-10, atol=1e-14)
assert np.allclose(hessian, hessian.T, rtol=1e-10, atol=1e-14)

# %% [markdown]
# The Hessian by the *parameters* has as many rows as there are parameters, and nobody wants to see it. But a
# few products tell a lot. For random signs $v$, with $E\, v v^\top = I$,
#
# $$E\, v^\top H v = \operatorname{tr} H$$
#
# (Hutchinson's estimator). The directions are mapped, the network and the data are shared. `ad.tree.ravel`
# makes one vector of all parameters, and back.

# %%
vector, restored = ad.tree.ravel(net)
batch = train.x[:100], train.y[:100]


def loss_of_vector(vector):
    return loss(restored(vector), *batch)


DIRECTIONS = 50 if SMALL else 400
signs = rng.choice([-1.0, 1.0], size=(DIRECTIONS, len(vector)))
products = ad.vmap(lambda v: ad.hvp(loss_of_vector, vector, v))(signs)
estimates = (signs * products).sum(axis=1)
error = estimates.std() / math.sqrt(DIRECTIONS)
print(f"{len(vector)} parameters, {DIRECTIONS} products: the trace is {estimates.mean():.2f} +- {error:.2f}")

# %% [markdown]
# Is it? With a loop over all unit vectors, in pieces, the exact trace can be had here.

# %%
trace_of_hessian = 0.0
directional = ad.vmap(lambda v: ad.vecdot(v, ad.hvp(loss_of_vector, vector, v)))
for start in range(0, len(vector), 256):
    units = np.zeros((min(256, len(vector) - start), len(vector)))
    units[np.arange(len(units)), start + np.arange(len(units))] = 1.0
    trace_of_hessian += directional(units).sum()
print(f"exact: {trace_of_hessian:.2f}")
assert abs(estimates.mean() - trace_of_hessian) < 6 * error

# %% [markdown]
# ## 6. Against a loop
#
# The gradients of the norms in section 3 again, with a loop over the examples and with `vmap`. The loop pays
# Python's price for each operation of each example; `vmap` pays it once for the trace and once for each
# operation. `ad.compile` of the mapped function keeps the trace, too.

# %%
gradient_of_example = ad.grad(loss_of_example)
compiled = ad.compile(lambda net, x, c: ad.vmap(ad.grad(loss_of_example), in_axes=(None, 0, 0))(net, x, c))


def with_a_loop(net, x, c):
    return [gradient_of_example(net, x[k], c[k]) for k in range(len(x))]


def best_time(f, *args, repeat=3):
    """The shortest of some runs, in seconds: what else the machine does only ever adds."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        f(*args)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


print("examples   loop / vmap   loop / compiled vmap")
for count in (1, 10, 100) if SMALL else (1, 10, 100, 1000):
    arguments = net, train.x[:count], train.y[:count]
    compiled(*arguments)
    seconds = [best_time(f, *arguments) for f in (with_a_loop, gradients_of_examples, compiled)]
    print(f"{count:8}   {seconds[0] / seconds[1]:11.2g}   {seconds[0] / seconds[2]:20.2g}")

# %% [markdown]
# For a single example `vmap` loses: the trace costs more than it saves.
#
# ## 7. When not to vmap
#
# **When only the sum is wanted.** The gradient of a weight matrix over a batch is *one* product,
# $\bar W = X^\top \bar Z$; the gradients of the examples are $N$ outer products $x_i \bar z_i^\top$, which
# then have to be kept and added. Same numbers, $N$ times the memory.


# %%
def peak(f):
    """Bytes allocated at most during a call."""
    f()
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


together = peak(lambda: ad.grad(loss)(net, train.x, labels))
one_by_one = peak(lambda: gradients_of_examples(net, train.x, labels))
print(f"memory: gradient of the mean {together / 2**20:.1f} MB, of each example {one_by_one / 2**20:.1f} MB")
assert one_by_one > together

# %% [markdown]
# If it is the norms that are wanted, they can be had without keeping the gradients longer than necessary:
# take pieces of the data, or let the mapped function return the norm and compile it.
#
# **When the function takes batches already.** `net(x)` is written for rows. Mapping it gives the same
# numbers by the same products, after a trace at each call.
#
# **In a tight loop, uncompiled.** `vmap` traces at every call, a few milliseconds. Put `ad.compile` around
# the function that calls it.
#
# ## 8. What it refuses
#
# The function is run once, on something that has a shape and no values. What depends on the values cannot
# be traced, and `vmap` says so, with the line and a remedy (printed here without the line), rather than
# follow the first example's branch for all of them.


# %%
def leaky(x):
    return x if x > 0 else 0.01 * x


def with_math(x):
    return math.sin(x)


def positive_part(x):
    return x[x > 0]


def filled(x):
    table = np.zeros(2)
    table[0] = x
    return table


refused = {}
for f, argument in (
    (leaky, np.ones(3)),
    (with_math, np.ones(3)),
    (positive_part, np.ones((3, 2))),
    (filled, np.ones(3)),
):
    try:
        ad.vmap(f)(argument)
    except ad.TracingError as error_found:
        refused[f.__name__] = str(error_found)
        first, _, last = str(error_found).splitlines()
        print(f"{f.__name__}: {first.removesuffix(', at')}\n    {last}\n")

# %% [markdown]
# Each has a form that says the same for any value.

# %%
numbers = np.array([-1.0, 2.0, 3.0])
print(ad.vmap(lambda x: ad.where(x > 0, x, 0.01 * x))(numbers))
print(ad.vmap(lambda x: ad.sin(x))(numbers))
print(ad.vmap(lambda x: ad.sum(ad.where(x > 0, x, 0.0)))(np.stack([numbers, -numbers])))
print(ad.vmap(lambda x: ad.stack([x, 0.0 * x]))(numbers))

# %% [markdown]
# The remaining refusals are about shapes: nothing is guessed there either.

# %%
add = lambda x, y: x + y
for call in (
    functools.partial(ad.vmap(add), np.ones(3), np.ones(4)),
    functools.partial(ad.vmap(add), np.ones(3), 1.0),
    functools.partial(ad.vmap(add, in_axes=None), np.ones(3), 1.0),
):
    try:
        call()
    except ValueError as error_found:
        print(f"{error_found}\n")

# %% [markdown]
# One idea carried this page: if every operation acts on trailing axes, an axis in front costs nothing to
# carry. In front of a function it is `vmap`, in front of a cotangent the rows of a Jacobian, in front of a
# tangent its columns.

# %%
assert np.allclose(ad.vmap(loss_of_one, in_axes=(None, 0, 0))(theta, x, c), expected, rtol=1e-14)
assert jacobians.shape == (50, data.classes, data.x.shape[1])
assert set(refused) == {"leaky", "with_math", "positive_part", "filled"}
assert "x if x > 0" in refused["leaky"] and "math.sin(x)" in refused["with_math"]  # the line is shown
