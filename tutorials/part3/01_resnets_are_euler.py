# %% [markdown]
# # A residual network is Euler's method
#
# A layer of a residual network adds something small to what it receives. That is also what a step of Euler's
# method does, for a differential equation whose right-hand side is the layer. This page takes the sentence
# literally and tests it: the two are compared number for number, the step is made small, other integrators
# get the same weights. Then it asks two practical questions. Is a *trained* network still a differential
# equation? And can a shallow network be made into a deep one, as a coarse grid is made into a fine one?
# The answers are less clean than the idea, and both are measured here.

# %%
import itertools
import os
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models, optim
from tinyad.report import PALETTE, class_colours, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings

# %% [markdown]
# ## 1. The same loop, twice
#
# `models.StableNet` is an opening layer, a differential equation, and a linear classifier. With the dynamics
# `models.Plain()` the equation is
#
# $$y' = \tanh\bigl(y\,K(t) + b(t)\bigr), \qquad 0 \le t \le T,$$
#
# where $y$ is a row, one for each example. The weights are functions of time. Here they are constant on each
# of eight pieces, and each piece is one step of Euler's method. Below it is written by hand.

# %%
DEPTH, FINAL_TIME = 8, 2.0
x = models.peaks(200).x
net = models.StableNet.create(
    0, models.Plain(), features=2, width=8, classes=5, depth=DEPTH, final_time=FINAL_TIME
)


def residual_network(net, x):
    """What everybody calls a ResNet, with h in front of the layer."""
    h = FINAL_TIME / DEPTH
    y = ad.tanh(x @ net.opening.weight + net.opening.bias)
    for j in range(DEPTH):
        y = y + h * ad.tanh(y @ net.control.values["K"][j] + net.control.values["b"][j])
    return y @ net.classifier.weight + net.classifier.bias


print(type(net.control).__name__, {name: value.shape for name, value in net.control.values.items()})
difference = abs(net(x) - residual_network(net, x)).max()
print("largest difference of the scores:", difference)

# %% [markdown]
# The gradients agree too. By hand they come from the tape, through eight layers; in `StableNet` from the
# adjoint of Euler's method. The chain rule does not care what one calls it.

# %%
labels = models.peaks(200).y
gradients = []
for scores in (lambda net: net(x), lambda net: residual_network(net, x)):
    gradient = ad.grad(lambda net, scores=scores: models.softmax_cross_entropy(scores(net), labels))(net)
    gradients.append(ad.tree.ravel(gradient)[0])
gap = np.linalg.norm(gradients[0] - gradients[1]) / np.linalg.norm(gradients[1])
print(f"{gradients[0].size} weights, relative difference of the gradients: {gap:.1e}")

# %% [markdown]
# ## 2. The limit of many layers
#
# Keep the functions $K(t)$ and $b(t)$ and take more and more steps. Then the network should approach the
# solution of the equation, with an error proportional to $h = T/N$. For this to mean anything the weights
# must be *functions of time*, not a list with one entry for each layer. `ode.PiecewiseLinear` is such a
# function: a value at each knot, and straight lines between them. Its values here are the usual random
# initial weights, so neighbouring knots have nothing to do with each other: a rough function.
#
# Any other integrator can be given the same weights. Heun's method evaluates the layer twice in a step, the
# classical method of Runge and Kutta (RK4) four times.

# %%
net = models.StableNet.create(
    0, models.Plain(), 2, width=8, classes=5, depth=DEPTH, final_time=FINAL_TIME, control="linear"
)
start = net.start(x)
exact = net.flow(start, method="rk4", steps=2048)
steps = DEPTH * 2 ** np.arange(7)
ORDERS = {"euler": 1, "heun": 2, "rk4": 4}
errors = {
    method: np.array([np.linalg.norm(net.flow(start, method=method, steps=n) - exact) for n in steps])
    / np.linalg.norm(exact)
    for method in ORDERS
}
measured = {}
print("layers  " + "".join(f"{method:>20}" for method in ORDERS))
for k, n in enumerate(steps):
    cells = []
    for error in errors.values():
        order = np.log2(error[k - 1] / error[k]) if k else np.nan
        cells.append(f"{error[k]:11.1e}  ({order:4.2f})" if k else f"{error[k]:11.1e}        ")
    print(f"{n:6}  " + "".join(f"{cell:>20}" for cell in cells))
for method, error in errors.items():
    last = np.flatnonzero(error > 1e-12)[-1]  # what lies below is rounding
    measured[method] = np.log2(error[last - 1] / error[last])

# %% [markdown]
# In parentheses are the powers of $h$ with which the error falls: 1, 2 and 4. One thing is needed for it. The
# weights have a kink at each knot, and a step across a kink has no order higher than that of the kink. So
# `odeint` makes its steps end at the knots. That is why the numbers of layers are multiples of eight.
#
# The picture shows one component of one example on its way. The networks of 8, 16 and 32 layers are polygons,
# and they go to a smooth curve.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
for method, colour in zip(ORDERS, ("first", "second", "third"), strict=True):
    axes[0].loglog(
        steps, errors[method], "o-", ms=4, color=PALETTE[colour], label=f"{method}, order {ORDERS[method]}"
    )
tidy(axes[0], "layers N", "relative error", "To the solution of the equation")
axes[0].legend(frameon=False)
fine = np.linspace(0.0, FINAL_TIME, 257)
curve = net.flow(start, method="rk4", steps=256, times=fine)
spread = abs(net.states(x)[-1] - curve[-1])
example, component = np.unravel_index(spread.argmax(), spread.shape)
axes[1].plot(fine, curve[:, example, component], color=PALETTE["muted"], lw=2.5, label="solution")
for n, colour in zip((8, 16, 32), ("second", "third", "first"), strict=True):
    path = replace(net, steps=n).states(x)[:, example, component]
    axes[1].plot(
        np.linspace(0, FINAL_TIME, n + 1), path, "o-", ms=3, lw=1, color=PALETTE[colour], label=f"{n} layers"
    )
tidy(axes[1], "t", f"component {component}", "One component of one example")
axes[1].legend(frameon=False)
keep(figure, "01_orders")

# %% [markdown]
# ## 3. Weights on a finer grid
#
# `refined()` writes the same function of time on a grid with twice as many cells: a constant value is
# repeated, a straight line gets a knot in its middle. Nothing is lost and nothing is added.

# %%
times = np.random.default_rng(0).uniform(0.0, FINAL_TIME, 500)
constant = models.StableNet.create(0, models.Plain(), 2, 8, 5, depth=DEPTH, final_time=FINAL_TIME)
moved = {}
for each in (constant, net):
    name, twice = type(each.control).__name__, each.control.refined()
    moved[name] = max(abs(each.control(t)["K"] - twice(t)["K"]).max() for t in times)
    print(f"{name}: {each.control.cells} cells become {twice.cells}, largest change {moved[name]:.1e}")

# %% [markdown]
# `net.prolonged()` does two things: it refines the weights *and* takes twice as many steps. The first changes
# nothing, so what changes the output is the second, the step. A network of 8 layers and its prolongation to
# 16 are two approximations of one flow, and the outputs differ by as much as the step allows.

# %%
same_steps = replace(constant, steps=2 * DEPTH)
refined = replace(same_steps, control=constant.control.refined())
print("16 steps, weights on 8 or on 16 cells:", abs(same_steps(x) - refined(x)).max())
ladder = [constant]
for _ in range(5):
    ladder.append(ladder[-1].prolonged())
changes = np.array([abs(a(x) - b(x)).max() for a, b in itertools.pairwise(ladder)])
for (shallow, deep), change in zip(itertools.pairwise(ladder), changes, strict=True):
    print(f"{shallow.steps:4} -> {deep.steps:4} layers: the scores change by {change:.4f}")

# %% [markdown]
# Each change is about half of the one before. So far the sentence of the title holds to the letter.
#
# ## 4. Does a trained network still follow its equation?
#
# Training knows only the network with its eight steps. Nothing asks it to be close to the solution of the
# equation. We train on the *peaks*, points of the plane in five classes by the height of a landscape, once
# with final time 1 and once with 5. Then we keep the weights and change how the equation is integrated.


# %%
def loss(net, x, y):
    return models.softmax_cross_entropy(net(x), y)


def accuracy(net, x, y):
    return models.accuracy(net(x), y)


def train(net, data, validation, epochs, rate, seed=0):
    """Adam with a rate that falls to zero, and the model after the last step."""
    steps = epochs * -(-len(data) // 64)
    return models.fit(
        net, loss, data, optim.adam(optim.cosine(rate, steps)), epochs=epochs, batch_size=64,
        validation=validation, metric=accuracy, seed=seed,
    )  # fmt: skip


peaks, peaks_validation = models.peaks(2000, seed=0).split(0.5, seed=0)
factors = (1, 2, 4, 8, 16)
trained, integrated = {}, {}
for final_time in (1.0, 5.0):
    fresh = models.StableNet.create(0, models.Plain(), 2, 8, 5, depth=DEPTH, final_time=final_time)
    own = train(fresh, peaks, peaks_validation, 30 if SMALL else 60, 0.02).last
    trained[final_time] = own
    print(f"final time {final_time:g}, h = {final_time / DEPTH:g} in training. Accuracy on new points with")
    for method in ORDERS:
        others = [replace(own, method=method, steps=k * DEPTH) for k in factors]
        found = [float(accuracy(other, peaks_validation.x, peaks_validation.y)) for other in others]
        integrated[final_time, method] = np.array(found)
        row = "  ".join(f"{k * DEPTH:3}: {a:.3f}" for k, a in zip(factors, found, strict=True))
        print(f"   {method:<6} and steps {row}")

# %% [markdown]
# The network that was trained with long steps is good with these steps, and only with these. Take more
# steps, or better ones, and the accuracy falls to that of a much worse classifier. A *more accurate*
# integration of "its" equation ruins it. The training has used the error of Euler's method as a part of the
# model. With short steps the loss is small, and so is the network's skill: within $T = 1$ the states cannot
# go far.
#
# So a trained residual network is Euler's method for some equation. That does not make it close to the
# solution of that equation. Whoever wants to use the continuous picture has to make the steps small enough
# first, or keep the weights in bounds. The next page looks at the same effect as a
# landscape.

# %%
side = np.linspace(-3, 3, 97)
points = np.stack([axis.ravel() for axis in np.meshgrid(side, side)], axis=1)
colours = class_colours(5)


def draw_classes(axes, net, title):
    """The regions of the classes that a network sees."""
    scores = net(points)
    axes.contourf(
        side,
        side,
        scores.argmax(axis=1).reshape(97, 97),
        levels=np.arange(6) - 0.5,
        colors=colours,
        alpha=0.75,
    )
    axes.set_title(title, fontsize="medium")
    axes.set(aspect="equal", xticks=[], yticks=[])


figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.7), layout="constrained", width_ratios=(1, 1, 1.25))
draw_classes(axes[0], trained[5.0], "T = 5: the 8 layers it was trained with")
draw_classes(axes[1], replace(trained[5.0], method="rk4", steps=64), "T = 5: the same weights, RK4, 64 steps")
for final_time, colour in ((1.0, "first"), (5.0, "second")):
    for method, style in (("euler", "-"), ("rk4", "--")):
        accuracies, label = integrated[final_time, method], f"T = {final_time:g}, {method}"
        axes[2].semilogx(
            DEPTH * np.array(factors), accuracies, "o", ls=style, ms=4, color=PALETTE[colour], label=label
        )
axes[2].set_xticks(DEPTH * np.array(factors), [str(DEPTH * k) for k in factors])
axes[2].minorticks_off()
tidy(axes[2], "steps", "accuracy on new points", "Trained with 8 steps of Euler")
axes[2].set_ylim(0.0, 1.0)
axes[2].legend(frameon=False, loc="lower left", fontsize="small")
keep(figure, "01_trained")

# %% [markdown]
# ## 5. From shallow to deep
#
# A deep network is expensive, and hard to train from random weights. The picture of section 3 suggests a way
# around: train a shallow one, prolong it, train on, and so forth, as in multigrid methods (E. Haber and
# others, "Learning across scales", 2018). We try it on the *swiss roll*, two spirals wound into each other,
# with width 8 and $T = 10$: 8 layers, then 16, then 32.
#
# A fair comparison has the same work for everyone. The unit here is the gradient of one layer for all
# examples. The competitors are
#
# * the cascade: 8, 16 and 32 layers, with a third of the work for each;
# * 32 layers from random weights, with all of the work, and three learning rates to choose from;
# * 8 layers, with all of the work. Without this one the comparison would say little.

# %%
EPOCHS = 64 if SMALL else 160  # of the 8 layers
SEEDS = (0,) if SMALL else (0, 1)
RATES = (0.01,) if SMALL else (0.02, 0.01, 0.005)


def fresh(depth, seed):
    return models.StableNet.create(seed, models.Plain(), 2, 8, 2, depth=depth, final_time=10.0)


def curve_of(result, depth, start=0):
    """Work, counted in layers, and accuracy after each epoch."""
    return [(start + depth * row["epoch"], row["metric"]) for row in result.history]


curves, ends, after_prolongation, cascades = {}, {}, [], {}
for seed in SEEDS:
    roll, roll_validation = models.swiss_roll(1024, seed=seed).split(0.5, seed=seed)
    each, curves["cascade", seed] = fresh(8, seed), []
    for level in range(3):
        depth, epochs = 8 * 2**level, EPOCHS // 2**level
        done = curves["cascade", seed][-1][0] if level else 0
        if level:
            each = each.prolonged()
            now = float(accuracy(each, roll_validation.x, roll_validation.y))
            after_prolongation.append((curves["cascade", seed][-1][1], now))
        result = train(each, roll, roll_validation, epochs, 0.01 if level else 0.02, seed)
        each = result.last
        curves["cascade", seed] += curve_of(result, depth, done)
    cascades[seed] = each
    work = curves["cascade", seed][-1][0]
    result = train(fresh(8, seed), roll, roll_validation, work // 8, 0.02, seed)
    curves["8 layers", seed] = curve_of(result, 8)
    for rate in RATES:
        result = train(fresh(32, seed), roll, roll_validation, work // 32, rate, seed)
        curves[f"32 layers, rate {rate:g}", seed] = curve_of(result, 32)

for name in dict.fromkeys(name for name, _ in curves):
    ends[name] = np.array([curves[name, seed][-1][1] for seed in SEEDS])
    print(
        f"{name:<24}",
        "  ".join(f"seed {seed}: {end:.3f}" for seed, end in zip(SEEDS, ends[name], strict=True)),
    )
print("prolonging alone:", ",  ".join(f"{a:.3f} -> {b:.3f}" for a, b in after_prolongation))

# %%
figure, axes = plt.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained", width_ratios=(1.7, 1))
names = list(ends)
shades = dict(
    zip(names, (PALETTE["first"], PALETTE["third"], "#f0b48a", PALETTE["second"], "#8f3d12"), strict=False)
)
for name in names:
    along = np.array(curves[name, SEEDS[0]])
    axes[0].plot(along[:, 0], along[:, 1], lw=1.2, color=shades[name], label=name)
for level in (1, 2):
    axes[0].axvline(8 * EPOCHS * level, color=PALETTE["muted"], lw=0.8, ls=":")
tidy(axes[0], "work: layers x epochs (dotted: prolongation)", "accuracy on new points", "Swiss roll, seed 0")
axes[0].legend(frameon=False, fontsize="small", loc="lower right")
axes[0].set_ylim(0.4, 1.01)
reach = np.linspace(-1.3, 1.3, 121)
plane = np.stack([axis.ravel() for axis in np.meshgrid(reach, reach)], axis=1)
roll, _ = models.swiss_roll(1024, seed=SEEDS[0]).split(0.5, seed=SEEDS[0])
seen = cascades[SEEDS[0]](plane).argmax(axis=1).reshape(121, 121)
two = (PALETTE["first"], PALETTE["second"])
axes[1].contourf(reach, reach, seen, levels=(-0.5, 0.5, 1.5), colors=two, alpha=0.3)
axes[1].scatter(*roll.x.T, s=4, c=[two[label] for label in roll.y])
axes[1].set(aspect="equal", xticks=[], yticks=[])
axes[1].set_title("what the cascade's 32 layers see", fontsize="medium")
keep(figure, "01_cascade")

# %% [markdown]
# How much work does each need until nine of ten new points are right?

# %%
needed = {
    name: np.array([next((w for w, a in curves[name, seed] if a >= 0.9), np.inf) for seed in SEEDS])
    for name in names
}
for name in names:
    print(f"{name:<24}", "  ".join(f"{work:6.0f}" for work in needed[name]), f"  of {8 * 3 * EPOCHS}")

# %% [markdown]
# What the cascade buys, then:
#
# * It is good early, because it begins with few layers, and its 32 layers end up good without a search for
#   the learning rate. From random weights 32 layers start slowly, and what rate is best differs from one seed
#   to the next. With one seed and one rate they have not arrived at the end.
# * It is not the fastest way to 32 good layers, if the rate is known: those that start from random weights
#   pass 0.9 at about a third of the work, when the cascade has only just got to 16.
# * It does not get further than the shallow network with which it began. On this problem eight layers are
#   enough, and the honest way to spend the work is to train them for longer.
# * Prolonging alone throws away much of what was learnt, and most at the first time, for the reason of
#   section 4: the trained weights belong to their step. Some epochs bring it back.
#
# (This is said of the full settings. With the small ones, 40 % of the work, 32 layers from random weights do
# not arrive at all.)
#
# A penalty on the change of the weights from layer to layer, `models.roughness(net.control, strength)`, makes
# the first loss smaller, and in our trials it took accuracy at the same time. Add it to `loss` and see.
#
# ## 6. In short
#
# | claim | what was measured |
# |---|---|
# | a ResNet is Euler's method | the same numbers and gradients, to the last digit |
# | more layers with the same weights converge | at order 1; Heun's method at 2, RK4 at 4 |
# | prolongation keeps the function | the weights exactly, the output up to the error of the step |
# | a trained ResNet is a differential equation | no: with $h = 0.625$ a better integrator ruins it |
# | prolongation helps to train deep networks | it spares the search for a rate; no gain in accuracy |

# %%
assert difference <= 1e-13 and gap <= 1e-13
assert all(abs(measured[method] - order) < 0.1 for method, order in ORDERS.items())
assert max(moved.values()) <= 1e-15
assert np.allclose(changes[:-1] / changes[1:], 2.0, atol=0.4)
assert abs(integrated[1.0, "rk4"][-1] - integrated[1.0, "euler"][0]) < 0.05
assert integrated[5.0, "euler"][0] - integrated[5.0, "rk4"][-1] > 0.08
assert integrated[5.0, "euler"][0] > integrated[1.0, "euler"][0]
assert ends["cascade"].min() > 0.9 and ends["8 layers"].min() > 0.9
assert min(before - after for before, after in after_prolongation) > 0.04
assert all(np.all(needed["cascade"] < needed[name]) for name in names if name.startswith("32"))
