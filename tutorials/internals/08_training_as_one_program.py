# %% [markdown]
# # A training loop that is one NumPy program
#
# A training step is a loss, its gradient, and an update. Written down with tinyad it is three lines. This
# tutorial takes the three lines and moves them, one after the other, into a single compiled program: first
# the gradient, then the update, which overwrites the parameters in place, then several steps at once, as a
# `for` loop of NumPy. At each stage the numbers stay the same, and at the end `models.fit` turns out to do
# just that.
#
# On the way: what happens when a loss is not finite (`ad.require`), random numbers inside a program
# (dropout), and a learning rate that changes from step to step.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models, optim
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings


# %% [markdown]
# ## 1. Data, network, loss
#
# Real scanned digits (8 x 8 pixels), a network with one hidden layer, the softmax loss. A model is a tree of
# arrays, and so are its gradient and the state of an optimiser; nothing is hidden in objects.

# %%
try:
    data, goal = models.digits(), 0.93
except ModuleNotFoundError:  # no scikit-learn: points in the plane, in five bands of height
    data, goal = models.peaks(1797), 0.6

train, test = data.split(1440, seed=0)
WIDTHS = [data.x.shape[1], 32, data.classes]
BATCH = 32
STEPS = len(train) // BATCH  # in an epoch


def loss(net, x, y):
    return models.softmax_cross_entropy(net(x), y)


def accuracy(net, x, y):
    return models.accuracy(net(x), y)


optimizer = optim.adam(3e-3)
print(data)
print(models.MLP.create(0, WIDTHS))

# %% [markdown]
# ## 2. The eager loop
#
# Adam keeps running means of the gradient and of its square, and divides one by the root of the other:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad s \leftarrow \beta_2 s + (1 - \beta_2) g^2, \quad
#   p \leftarrow p - \eta_t \frac{m}{\sqrt s + \varepsilon_t},$$
#
# where $\eta_t$ and $\varepsilon_t$ hold the corrections for the start at zero. In tinyad these two are
# `optimizer.numbers(steps)`, which depend on the count alone, and the rest is `optimizer.update`, a pure
# function of trees. So one step is:


# %%
def eager_step(net, state, x, y):
    value, gradient = ad.value_and_grad(loss)(net, x, y)
    net, state = optimizer.update(net, gradient, state, optimizer.numbers(state.steps))
    return net, state, value


def batches_of(rng, count):
    """The rows of ``count`` batches, in random order."""
    return rng.permutation(len(train))[: count * BATCH].reshape(count, BATCH)


def trained(step, count=STEPS):
    """A new network after some steps, and the loss before each."""
    net = models.MLP.create(0, WIDTHS)
    state, values = optimizer.init(net), []
    for rows in batches_of(np.random.default_rng(0), count):
        net, state, value = step(net, state, train.x[rows], train.y[rows])
        values.append(float(value))
    return net, values


net_eager, values_eager = trained(eager_step)
print(f"after an epoch: loss {values_eager[0]:.3f} -> {values_eager[-1]:.3f}")

# %% [markdown]
# ## 3. The gradient, compiled
#
# `ad.compile` runs the function once, on arrays that write down what is done to them, and replays the record
# as NumPy. The gradient is compiled like any other function. The update stays outside, in a program of its
# own: `optimizer.step`.

# %%
value_and_gradient = ad.compile(ad.value_and_grad(loss))


def step_with_compiled_gradient(net, state, x, y):
    value, gradient = value_and_gradient(net, x, y)
    net, state = optimizer.step(net, gradient, state)
    return net, state, value


def same_net(a, b, rtol=1e-9):
    """Whether two models have the same numbers, up to rounding."""
    pairs = zip(ad.tree.leaves(a), ad.tree.leaves(b), strict=True)
    return all(np.allclose(p, q, rtol=rtol, atol=1e-11) for p, q in pairs)


net_two_programs, _ = trained(step_with_compiled_gradient)
assert same_net(net_two_programs, net_eager)

# %% [markdown]
# ## 4. The whole step, in place
#
# Between the two programs the gradient is handed over in fresh arrays, and the new parameters are fresh
# arrays again, while the old ones are thrown away. In one program neither need be. `donate` names arguments
# that the caller gives away: results of the same shape may be written over them.


# %%
@ad.compile(donate=("net", "state"))
def step(net, state, x, y):
    value, gradient = ad.value_and_grad(loss)(net, x, y)
    net, state = optimizer.update(net, gradient, state, optimizer.numbers(state.steps))
    return net, state, value


net_one_program, values_one_program = trained(step)
assert same_net(net_one_program, net_eager)
assert np.allclose(values_one_program, values_eager, rtol=1e-9)

# %% [markdown]
# In place means the same memory, at the same address:

# %%
net = models.MLP.create(0, WIDTHS)
state = optimizer.init(net)
before = [leaf.ctypes.data for leaf in ad.tree.leaves((net, state)) if isinstance(leaf, np.ndarray)]
first_weight = net.layers[1].weight[0, 0]
new_net, new_state, _ = step(net, state, train.x[:BATCH], train.y[:BATCH])
after = [leaf.ctypes.data for leaf in ad.tree.leaves((new_net, new_state)) if isinstance(leaf, np.ndarray)]

kept = sum(a == b for a, b in zip(before, after, strict=True))
print(f"{len(before)} arrays of parameters and state, {kept} in their old place")
print(f"a weight of the second layer: {first_weight:.6f} -> {new_net.layers[1].weight[0, 0]:.6f}")
assert before == after

# %% [markdown]
# This is also the danger: `net`, the old name, shows the *new* numbers now. Who gives an array away must not
# use it any more. One mistake is caught: the same array given twice, where one place would be overwritten
# while the other is read.

# %%
assert net.layers[1].weight[0, 0] == new_net.layers[1].weight[0, 0] != first_weight

shared = models.MLP.create(0, WIDTHS)
try:
    step(
        shared,
        optim.AdamState(0, ad.tree.leaves(shared), ad.tree.leaves(shared)),
        train.x[:BATCH],
        train.y[:BATCH],
    )
except ValueError as error:
    print(error)

# %% [markdown]
# ### The program, for something small
#
# A linear model with one matrix, squared loss, Adam. This is everything that runs in a step:


# %%
@ad.compile(donate=("w", "state"))
def small_step(w, state, x, y):
    value, gradient = ad.value_and_grad(lambda w: models.squared_loss(x @ w, y))(w)
    w, state = optimizer.update(w, gradient, state, optimizer.numbers(state.steps))
    return w, state, value


rng = np.random.default_rng(1)
w, x, y = np.zeros((3, 2)), rng.standard_normal((100, 3)), rng.standard_normal((100, 2))
small_source = small_step.source(w, optimizer.init(w), x, y)
print(small_source)

# %% [markdown]
# The forward half, the backward half (one product with the transposed data), then Adam's numbers as plain
# Python arithmetic, because `steps` is a Python number, and Adam's update. Tall matrices are stored by
# columns (tutorial 6, `examples_last`), hence the transposes. The lines that end in `out=state_mean_0`,
# `out=state_square_0` and `out=w` write over what came in. Nothing else is allocated than the value of the
# loss.
#
# ## 5. `ad.require`: a check inside the program
#
# A program cannot say `if not np.isfinite(value): raise ...`, because while it is traced there is no value.
# `ad.require(condition, message, error)` is the form that it can say: the check becomes a line of the
# program, before whatever comes after it. In a step that works in place the order matters: nothing must be
# overwritten before the check has passed.


# %%
@ad.compile(donate=("net", "state"))
def careful_step(net, state, x, y):
    value, gradient = ad.value_and_grad(loss)(net, x, y)
    ad.require(ad.isfinite(value), "the loss is not finite", FloatingPointError)
    net, state = optimizer.update(net, gradient, state, optimizer.numbers(state.steps))
    return net, state, value


net = models.MLP.create(0, WIDTHS)
state = optimizer.init(net)
saved = ad.tree.map(np.copy, net)
spoilt = train.x[:BATCH].copy()
spoilt[3, 1] = np.nan
try:
    careful_step(net, state, spoilt, train.y[:BATCH])
except FloatingPointError as error:
    print("FloatingPointError:", error)
assert same_net(net, saved, rtol=0), "a check that fails leaves everything as it was"

lines = careful_step.source(net, state, spoilt, train.y[:BATCH]).splitlines()
at = next(k for k, line in enumerate(lines) if line.lstrip().startswith("raise FloatingPointError"))
print("\n".join(line.strip() for line in lines[at - 2 : at + 1]))

# %% [markdown]
# The softmax loss checks its labels in the same way, so a compiled step with a label out of range still
# says so.
#
# ## 6. Random numbers
#
# A random number that is drawn while a function is traced would be the same at each replay. So a program
# draws again: a generator that is an **argument** is replaced, while tracing, by one that writes down its
# draws. Any other is refused. Here dropout, and a little noise on the pixels:


# %%
def noisy_loss(net, rng, x, y):
    hidden = net.layers[0](x + 0.05 * rng.standard_normal(x.shape))
    kept = rng.random(hidden.shape) < 0.9
    return models.softmax_cross_entropy(net.layers[1](hidden * kept / 0.9), y)


noisy = ad.compile(ad.value_and_grad(noisy_loss))
net, x, y = models.MLP.create(0, WIDTHS), train.x[:BATCH], train.y[:BATCH]
rng = np.random.default_rng(5)
print("three calls:", *[f"{noisy(net, rng, x, y)[0]:.4f}" for _ in range(3)])
print("from the same seed again:", f"{noisy(net, np.random.default_rng(5), x, y)[0]:.4f}")
print("without compilation:     ", f"{noisy_loss(net, np.random.default_rng(5), x, y):.4f}")
draws = [
    line.strip()
    for line in noisy.source(net, rng, x, y).splitlines()
    if ".random(" in line or "normal(" in line
]
print("\n".join(draws))

# %% [markdown]
# The mask is drawn once in a call and used in both halves, forward and backward, as it must be. A program
# belongs to the generator that it was traced with: another generator, such as the second `default_rng(5)`
# above, means another trace. So make one at the start and keep it.
#
# A generator from outside is refused:

# %%
outside = np.random.default_rng(0)
try:
    ad.compile(lambda x: ad.sum(x * outside.random(3)))(np.ones(3))
except ad.TracingError as error:
    print(error)

# %% [markdown]
# ## 7. A learning rate that changes
#
# A schedule is a Python function of the step's number. It may look at the number (`if step < warmup`), which
# a program cannot. There is no need to: everything in Adam that depends on the count alone is in
# `optimizer.numbers`, a few Python numbers. They are computed outside and passed in, and a Python number
# that is an argument may change from call to call without a new trace.

# %%
scheduled = optim.adam(optim.cosine(1e-2, steps=60, warmup=10))
traces = []


@ad.compile(donate=("net", "state"))
def scheduled_step(net, state, x, y, numbers):
    traces.append("once more")  # happens while tracing only
    value, gradient = ad.value_and_grad(loss)(net, x, y)
    return *scheduled.update(net, gradient, state, numbers), value


net, net_check = models.MLP.create(0, WIDTHS), models.MLP.create(0, WIDTHS)
state, state_check = scheduled.init(net), scheduled.init(net_check)
rates = []
for rows in batches_of(np.random.default_rng(0), 40):
    x, y = train.x[rows], train.y[rows]
    numbers = scheduled.numbers(state.steps)
    rates.append(numbers[0])
    net, state, _ = scheduled_step(net, state, x, y, numbers)
    gradient = ad.grad(loss)(net_check, x, y)
    net_check, state_check = scheduled.update(
        net_check, gradient, state_check, scheduled.numbers(state_check.steps)
    )

print(f"{len(rates)} steps with {len(set(rates))} different rates, traced {len(traces)} time")
assert len(traces) == 1 and same_net(net, net_check)

# %% [markdown]
# Inside, it would have been refused:

# %%
try:
    ad.compile(lambda state: scheduled.numbers(state.steps))(state)
except ad.TracingError as error:
    print(str(error).splitlines()[0].removesuffix(", at"))

# %% [markdown]
# ## 8. An epoch as one program
#
# What is left of Python is the loop over the steps. `ad.scan` is a loop that a program can say: its step is
# traced once, whatever the number of steps, and becomes the body of a `for`. The order of the examples is
# drawn inside. One call is one epoch.


# %%
@ad.compile(donate=("net", "state"))
def epoch(net, state, rng, x, y):
    rows = rng.permutation(len(x))[: STEPS * BATCH].reshape(STEPS, BATCH)

    def one_step(carry, rows):
        net, state = carry
        value, gradient = ad.value_and_grad(loss)(net, x[rows], y[rows])
        return optimizer.update(net, gradient, state, optimizer.numbers(state.steps)), value

    (net, state), values = ad.scan(one_step, (net, state), rows)
    return net, state, values


def new_state(net):
    """A loop carries arrays, so the count of steps is one from the start: a number would be traced anew."""
    return optimizer.init(net)._replace(steps=np.zeros((), int))


net = models.MLP.create(0, WIDTHS)
net_epoch, state, values_epoch = epoch(net, new_state(net), np.random.default_rng(0), train.x, train.y)
print(f"{state.steps} steps, loss {values_epoch[0]:.3f} -> {values_epoch[-1]:.3f}")
assert same_net(net_epoch, net_eager)
assert np.allclose(values_epoch, values_eager, rtol=1e-9)

# %% [markdown]
# The skeleton of its source: what comes before the loop, the loop's first and last lines, and how the carry
# is updated.

# %%
epoch_source = epoch.source(net, state, np.random.default_rng(0), train.x, train.y)
body = epoch_source[epoch_source.index("def epoch") :].splitlines()
start = next(k for k, line in enumerate(body) if line.lstrip().startswith("for k in range"))
end = max(k for k, line in enumerate(body) if line.startswith("        ") and "[k] = " in line)
for line in [*body[start - 3 : start + 8], "        ...", *body[end - 4 : end + 2]]:
    print(line)

# %% [markdown]
# ## 9. What each stage was worth
#
# The same steps on the same batches, each stage in turn, the shortest of several rounds. Ratios depend on the
# machine and on the size of the network: here arrays are small, so most of the eager time is Python.


# %%
def seconds_per_step(run, rounds):
    """The shortest time of some rounds, each of an epoch, divided by its steps."""
    run()  # traces, if need be
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) / STEPS


rng = np.random.default_rng(0)


def run_epoch():
    net = models.MLP.create(0, WIDTHS)
    epoch(net, new_state(net), rng, train.x, train.y)


stages = {
    "eager": lambda: trained(eager_step),
    "gradient compiled, update compiled": lambda: trained(step_with_compiled_gradient),
    "one program, in place": lambda: trained(step),
    "one program for an epoch": run_epoch,
}
seconds = {name: seconds_per_step(run, 2 if SMALL else 7) for name, run in stages.items()}
for name, value in seconds.items():
    print(f"{name:<36} {value * 1e6:6.0f} us a step, {seconds['eager'] / value:4.1f} times as fast as eager")

# %% [markdown]
# ## 10. `models.fit`
#
# This is what `fit` does with any loss: one program for gradient and update, in place, with `ad.require` in
# front of the update, and the optimiser's numbers from outside, so that schedules work. Around it are the
# things that a run needs and that are no arithmetic: validation, early stopping, checkpoints, Ctrl-C.

# %%
EPOCHS = 12 if SMALL else 30
run = models.fit(
    models.MLP.create(0, WIDTHS),
    loss,
    train,
    optim.adam(optim.cosine(1e-2, steps=EPOCHS * STEPS, warmup=20)),
    epochs=EPOCHS,
    batch_size=BATCH,
    validation=test,
    metric=accuracy,
)
print(run.reason)
print(f"accuracy on {len(test)} digits that were not trained on: {accuracy(run.last, test.x, test.y):.3f}")


def picture(history):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    names = list(seconds)
    relative = [seconds[name] / seconds["eager"] for name in names]
    bars = left.barh(names, relative, color=PALETTE["first"], height=0.6)
    left.bar_label(bars, [f"{value:.2f}" for value in relative], padding=3)
    left.invert_yaxis()
    tidy(left, "time of a step, eager = 1", "", "From three lines to one program")
    left.set_xlim(0, 1.15 * max(relative))
    epochs = [row["epoch"] for row in history]
    right.semilogy(epochs, [row["loss"] for row in history], color=PALETTE["first"], label="training loss")
    right.semilogy(
        epochs, [row["validation_loss"] for row in history], color=PALETTE["second"], label="validation loss"
    )
    right.semilogy(
        epochs, [1 - row["metric"] for row in history], color=PALETTE["third"], label="validation error rate"
    )
    tidy(right, "epoch", "", f"fit on {data.name}")
    right.legend(frameon=False, fontsize="small")
    return figure


keep(picture(run.history), "08_training")

# %% [markdown]
# The claims of this page, as assertions: all stages computed the same network, the parameters stayed where
# they were, the loops are loops in the source, and the network has learnt its digits.

# %%
assert same_net(net_two_programs, net_eager) and same_net(net_one_program, net_eager)
assert same_net(net_epoch, net_eager)
assert before == after
assert "out=w)" in small_source and "out=state_mean_0)" in small_source
assert f"for k in range({STEPS}):" in epoch_source and "rng.permutation(" in epoch_source
assert accuracy(run.last, test.x, test.y) > goal
