# %% [markdown]
# # Checkpointing and revolve
#
# The way back through a differential equation needs the states of the way there, the last one first. Who has
# not kept them must compute them again. [Adjoints side by side](05_adjoints_side_by_side.py) has
# `Checkpoint` as one row of a table; this page is about that row. It counts what it costs in steps to hold
# few states, looks for the best number of equal pieces, draws the schedule called *revolve*, checks it
# against a search that knows nothing about it, and weighs real memory. The gradients are right to rounding.
# The memory is what the theory says, and the working space of one step.

# %%
import collections
import functools
import heapq
import math
import os
import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models
from tinyad.models import ode
from tinyad.models.ode.adjoints import schedules
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the settings of the test suite

# %% [markdown]
# ## 1. The wrong order
#
# The problem is a neural differential equation, $y' = \tanh(y W_1 + t\,w + b_1) W_2 + b_2$, and the sum of
# squares of $y(1)$ as loss. `ode.Ledger` counts steps, forward and backward together, and the states that are
# held at once for the way back. There are two simple ways:
#
# * `Discrete()` keeps the state before each step: $N$ states, $N$ steps forward and $N$ back.
# * `Checkpoint(1, "revolve")` keeps the initial state alone, and starts there again for each step back.

# %%
random = np.random.default_rng(0)
theta = {
    "W1": 0.5 * random.normal(size=(8, 16)),
    "w": 0.5 * random.normal(size=16),
    "b1": np.zeros(16),
    "W2": 0.5 * random.normal(size=(16, 8)),
    "b2": 0.1 * random.normal(size=8),
}
few, many = random.normal(size=(4, 8)), random.normal(size=(1000, 8))  # examples


def f(t, y, theta):
    return ad.tanh(y @ theta["W1"] + t * theta["w"] + theta["b1"]) @ theta["W2"] + theta["b2"]


def gradient(steps, adjoint, method="rk4", y0=few, **tolerances):
    """By the initial state and all weights, with what it took."""
    ledger = ode.Ledger()

    def loss(y0, theta):
        settings = {"method": method, "steps": steps, "adjoint": adjoint, "ledger": ledger, **tolerances}
        y = ode.odeint(f, y0, (0.0, 1.0), theta, **settings)
        return ad.sum(y * y) / len(y)

    return ad.tree.ravel(ad.grad(loss, (0, 1))(y0, theta))[0], ledger


lengths = (10, 20, 40) if SMALL else (10, 20, 40, 80)
ends = {}
for name, adjoint in (("all", ode.Discrete()), ("the first", ode.Checkpoint(1, "revolve"))):
    ends[name] = [gradient(n, adjoint)[1] for n in lengths]
again = [one.steps - every.steps for one, every in zip(ends["the first"], ends["all"], strict=True)]
print("   N   keep all: states, steps   keep the first: states, steps   computed again   (N-1)(N-2)/2")
for n, every, one, repeated in zip(lengths, ends["all"], ends["the first"], again, strict=True):
    print(
        f"{n:4} {every.stored:14} {every.steps:10} {one.stored:18} {one.steps:11}",
        f"{repeated:16} {(n - 1) * (n - 2) // 2:14}",
    )

# %% [markdown]
# Twice the length is twice the memory on one side, and on the other about four times the steps computed
# again. Everything else on this page lies between the two.
#
# ## 2. Equal pieces
#
# The obvious compromise: on the way there keep the state at the start of each of $c$ equal pieces. On the
# way back take one piece after the other, the last one first; run through it again, this time keeping its
# states, and go back. That is `Checkpoint(c)`. The ledger's states are then the $c$ and those of one piece.
# We try all $c$ with real gradients.

# %%
LENGTH = 25 if SMALL else 64
pieces = range(1, LENGTH + 1)
tried = [gradient(LENGTH, ode.Checkpoint(c), "heun")[1] for c in pieces]
room = np.array([ledger.stored for ledger in tried])
least = [c for c, states in zip(pieces, room, strict=True) if states == room.min()]
print(f"N = {LENGTH}: the least is {room.min()} states, with c in {least}; 2 sqrt(N) = {2 * LENGTH**0.5:g}")
print(f"one piece alone: {room[0]} states, {tried[0].steps - 2 * LENGTH} steps again")
repeated = {c: ledger.steps - 2 * LENGTH for c, ledger in zip(pieces, tried, strict=True)}
print("steps computed again, by c:", {c: repeated[c] for c in (1, least[0], LENGTH // 2, LENGTH - 1, LENGTH)})

# %% [markdown]
# Each step is computed once more, until the pieces are as short as a step. So there is nothing to be had for
# a good choice of $c$ but memory. It is least at $c = \sqrt N$. One piece is the worst of all: it holds
# *more* than `Discrete()`, and takes each step again besides.
#
# For longer ways it is enough to read the schedule. `Checkpoint.actions` gives it as a list: `advance` some
# steps without keeping anything, `store`, `restore` or `free` a state, `pull` cotangents back. The function
# below replays such a list. It will also draw the pictures.

# %%
for adjoint in (ode.Checkpoint(2), ode.Checkpoint(2, "revolve")):
    print(f"{adjoint} for 4 steps:")
    print("   ", "; ".join(" ".join(map(str, action)) for action in adjoint.actions(4)))


def replay(actions, steps):
    """The steps in the order in which they are taken, as (from, to), and the states held during each.

    The way there goes on to the end after the last checkpoint: the loss wants the solution.
    """
    turn = next(k for k, action in enumerate(actions) if action[0] == "pull")
    to_the_end = ("advance", actions[turn][1], steps)
    moves, held, stored = [], [], []
    for what, i, *rest in [*actions[:turn], to_the_end, *actions[turn:]]:
        if what == "store":
            stored.append(i)
        elif what == "free":
            stored.remove(i)
        elif what == "advance":
            moves += [(n, n + 1) for n in range(i, rest[0])]
        elif what == "pull":
            piece = list(range(i, rest[0]))
            if len(piece) > 1:  # its states again, all kept this time
                moves += [(n, n + 1) for n in piece]
                held += [stored + piece[: n + 1] for n in range(len(piece))]
            moves += [(n + 1, n) for n in reversed(piece)]
            held += [stored + piece[: n + 1] for n in reversed(range(len(piece)))] if len(piece) > 1 else []
        held += [list(stored)] * (len(moves) - len(held))
    return moves, held


def cost(adjoint, steps):
    """Steps computed again, and the most states held."""
    moves, held = replay(adjoint.actions(steps), steps)
    return sum(a < b for a, b in moves) - steps, max(map(len, held))


read = [cost(ode.Checkpoint(c), LENGTH) for c in pieces]
counted = [(ledger.steps - 2 * LENGTH, ledger.stored) for ledger in tried]
print("the list says what the gradients did:", read == counted)
best = {n: min(cost(ode.Checkpoint(c), n)[1] for c in range(1, n + 1)) for n in (16, 25, 50, 100, 200)}
usual = {n: cost(ode.Checkpoint(), n) for n in best}
for n, states in best.items():
    print(
        f"N = {n:3}: least {states:3} states, 2 sqrt(N) = {2 * n**0.5:5.1f};",
        f"Checkpoint() holds {usual[n][1]:3} and computes {usual[n][0]:3} steps again",
    )

# %% [markdown]
# In all of these $2\sqrt N$, rounded up, is the least, and the default of `Checkpoint()` attains it.
#
# ## 3. Revolve
#
# Equal pieces waste something. When the last piece is done its room is empty, and stays so. A better schedule
# puts new checkpoints there, on the way to the next state that is needed. A. Griewank and A. Walther worked
# out the best places ("Algorithm 799: revolve", 2000). `Checkpoint(c, "revolve")` holds $c$ states, the
# initial one included, and never more.
#
# In the picture a step takes one unit upwards. Blue goes forward, orange back, and a green line is a state
# that is kept. Cut a panel with a horizontal line: the number of green lines it meets is the memory at that
# moment. The panel on the right shows this number.

# %%
PICTURED, SLOTS = 24, 4
shown = {
    "keep all": ode.Checkpoint(PICTURED, "revolve"),
    "5 equal pieces": ode.Checkpoint(5),
    f"revolve, {SLOTS} states": ode.Checkpoint(SLOTS, "revolve"),
}
figure, axes = plt.subplots(
    1, 4, figsize=(11.5, 5.0), layout="constrained", sharey=True, width_ratios=(1, 1, 1, 0.75)
)
pictured = {}
for panel, (name, adjoint), colour in zip(axes, shown.items(), ("muted", "second", "first"), strict=False):
    moves, held = replay(adjoint.actions(PICTURED), PICTURED)
    cells = sorted({(n, k) for k, times in enumerate(held) for n in times})
    at, low = np.array(cells).T
    panel.vlines(at, low, low + 1, color=PALETTE["third"], lw=1.6)
    for k, (start, end) in enumerate(moves):
        panel.plot((start, end), (k, k + 1), color=PALETTE["first" if start < end else "second"], lw=1.6)
    tidy(panel, "time step", "steps taken so far" if panel is axes[0] else "", name)
    panel.set_xticks(range(0, PICTURED + 1, 6))
    numbers = [len(times) for times in held]
    line = {"color": PALETTE[colour], "lw": 1.6, "label": name}
    axes[3].stairs(numbers, orientation="horizontal", baseline=None, **line)
    pictured[name] = (sum(a < b for a, b in moves) - PICTURED, max(numbers))
    print(f"{name:<18} {len(moves):3} steps, {pictured[name][0]:3} computed again, {max(numbers):3} states")
tidy(axes[3], "states held", "", "memory")
axes[3].legend(frameon=False, fontsize="small", loc="upper right")
axes[0].set_ylim(0, 86)
keep(figure, "timeline")

# %% [markdown]
# Four states do what took ten, for a few steps more. The picture is self-similar: to the right of each long
# green line stands a smaller picture, made with one state less.
#
# Where the numbers come from: let no step be taken forward more than $r$ times. Then with $c$ states one can
# reverse a way of some length $\ell(c, r)$. Put the next checkpoint as far as possible. Behind it there are
# $c - 1$ states and still $r$ times, before it all $c$ states and $r - 1$ times, because once was spent on
# the way to the checkpoint. So $\ell(c, r) = \ell(c - 1, r) + \ell(c, r - 1)$, the rule of Pascal's
# triangle, and
#
# $$\ell(c, r) = \binom{c + r}{c}.$$


# %%
def most_often(steps, slots):
    """How often a step is taken forward at most."""
    moves, _ = replay(ode.Checkpoint(slots, "revolve").actions(steps), steps)
    return max(collections.Counter(move for move in moves if move[0] < move[1]).values())


def reach(slots, times):
    """The longest way on which no step is taken more often, by trying."""
    steps = 1
    while most_often(steps + 1, slots) <= times:
        steps += 1
    return steps


TIMES = range(1, 5 if SMALL else 6)
reached = {(c, r): reach(c, r) for c in range(1, 5) for r in TIMES}
print("longest way         " + "".join(f"r = {r:<4}" for r in TIMES))
for c in range(1, 5):
    print(f"with c = {c} states   " + "".join(f"{reached[c, r]:5}   " for r in TIMES))

# %% [markdown]
# Summing up how often each step is taken gives the number of steps that go forward without being followed by
# their own way back,
#
# $$t(N, c) = r N - \binom{c + r}{c + 1}, \qquad r \text{ the least with } \binom{c + r}{c} \ge N,$$
#
# the theorem of Griewank and Walther, `schedules.extra_steps`. Of these, $N - 1$ belong to the first sweep,
# which everybody makes; the rest is computed again.
#
# Three checks. The gradients are run for up to 64 steps and 8 states, and their ledgers compared with the
# formula. Then the best place for the next checkpoint is looked for by trying each one, in a dynamic
# programme.


# %%
@functools.cache
def fewest(steps, slots):
    """The fewest steps forward, by trying every place for the next checkpoint."""
    if steps == 1:
        return 0
    if slots == 1:
        return steps * (steps - 1) // 2
    return min(m + fewest(steps - m, slots - 1) + fewest(m, slots) for m in range(1, steps))


cases = [(n, c) for n in range(1, 65) for c in range(1, 9)]
run = cases[::11] if SMALL else cases
formula = {(n, c): schedules.extra_steps(n, c) - (n - 1) for n, c in cases}
by_schedule = {(n, c): cost(ode.Checkpoint(c, "revolve"), n) for n, c in cases}
by_ledger = {}
for n, c in run:
    ledger = gradient(n, ode.Checkpoint(c, "revolve"), "euler")[1]
    by_ledger[n, c] = (ledger.steps - 2 * n, ledger.stored)
wrong = {
    "programme": sum(fewest(n, c) - (n - 1) != formula[n, c] for n, c in cases),
    "schedule": sum(by_schedule[n, c] != (formula[n, c], min(n, c)) for n, c in cases),
    "ledger": sum(by_ledger[n, c] != (formula[n, c], min(n, c)) for n, c in run),
}
print(f"{len(cases)} cases, {len(run)} of them run as gradients; not equal to the formula: {wrong}")

# %%
figure, axes = plt.subplots(figsize=(9.6, 2.6), layout="constrained")
map_of = np.full((8, 64), np.nan)
for (n, c), (repeats, _) in by_schedule.items():
    map_of[c - 1, n - 1] = repeats / n
image = axes.imshow(
    map_of, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=4, extent=(0.5, 64.5, 0.5, 8.5)
)
for r in (1, 2, 3, 4):  # to the left of a line no step is taken more than r times
    longest = [min(math.comb(c + r, c), 64) + 0.5 for c in range(1, 9)]
    axes.stairs(longest, np.arange(0.5, 9), orientation="horizontal", baseline=None, color="white", lw=1.2)
tidy(
    axes,
    "steps N",
    "states c",
    "computed again, for each step; the white lines are the ends of r = 1, 2, 3, 4",
)
axes.grid(False)
axes.set_yticks(range(1, 9))
figure.colorbar(image, ax=axes, extend="max")
keep(figure, "all_cases")

# %% [markdown]
# The dynamic programme still takes something for granted: first the part behind the checkpoint, then the part
# before it, and a state that is stored stays until its part is done. The third check takes nothing for
# granted. It knows the five moves and the price of each, one for a step forward and nothing for the others,
# and finds the cheapest way through all situations (Dijkstra's algorithm). A situation is how many steps are
# left, where the state at hand is, and what is stored. That is feasible for short ways only.


# %%
def cheapest(steps, slots):
    """The fewest steps forward, whatever is done in whatever order."""
    queue, done = [(0, steps, 0, ())], set()
    while True:
        paid, left, here, stored = heapq.heappop(queue)
        if left == 0:
            return paid
        if (left, here, stored) in done:
            continue
        done.add((left, here, stored))
        if here == left - 1:  # back over the step whose state is at hand
            heapq.heappush(queue, (paid, left - 1, here, stored))
        elif here < left:
            heapq.heappush(queue, (paid + 1, left, here + 1, stored))
        if len(stored) < slots:
            heapq.heappush(queue, (paid, left, here, tuple(sorted({*stored, here}))))
        for n in stored:
            heapq.heappush(queue, (paid, left, n, stored))
            heapq.heappush(queue, (paid, left, here, tuple(m for m in stored if m != n)))


short = [(n, c) for n in range(1, 9 if SMALL else 13) for c in (1, 2, 3)]
searched = {(n, c): cheapest(n, c) for n, c in short}
wrong["search"] = sum(searched[case] != schedules.extra_steps(*case) for case in short)
print("N = " + "".join(f"{n:4}" for n in range(2, short[-1][0] + 1)))
for c in (1, 2, 3):
    print(f"c = {c} " + "".join(f"{searched[n, c]:4}" for n in range(2, short[-1][0] + 1))[1:])
print("not equal to the formula:", wrong["search"], "of", len(short))

# %% [markdown]
# ## 4. What it buys
#
# First on paper, where the formula is enough. For 1000 steps, what does less memory cost? And with a fixed
# number of states, what does a longer way cost?

# %%
WAY = 1000
slots = np.arange(1, WAY + 1)
per_step = np.array([schedules.extra_steps(WAY, int(c)) - (WAY - 1) for c in slots]) / WAY
equal = np.array([cost(ode.Checkpoint(int(c)), WAY) for c in slots[1 : WAY // 2 : 10 if SMALL else 1]])
usual_states = cost(ode.Checkpoint(), WAY)[1]
same_work = int(slots[per_step <= 1][0])
print(f"N = {WAY}: equal pieces compute each step once more and hold {usual_states} states;")
with_as_many = per_step[usual_states - 1]
print(f"revolve does so with {same_work}; with {usual_states} it computes {with_as_many:.2f} again for each")
for c in (1, 2, 3, 5, 10, 20, 50, 100, 500):
    print(f"{c:4} states: {per_step[c - 1]:7.2f} steps again for each, r = {schedules.repetitions(WAY, c)}")

ways = np.unique(np.logspace(0.5, 5, 150).astype(int))
over_length = {
    c: np.array([schedules.extra_steps(int(n), c) - (n - 1) for n in ways]) / ways for c in (3, 5, 10, 20, 50)
}
print(f"ten states and 100,000 steps: {over_length[10][-1]:.2f} again for each")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 3.9), layout="constrained")
shades = ("#8f3d12", PALETTE["second"], PALETTE["third"], PALETTE["first"], PALETTE["muted"])
for (c, averages), colour in zip(over_length.items(), shades, strict=True):
    left.loglog(ways, np.maximum(averages, 1e-9), color=colour, lw=1.6, label=f"{c} states")
left.set_ylim(0.1, 200)
tidy(left, "steps N", "computed again, for each step", "revolve with a fixed number of states")
left.legend(frameon=False, fontsize="small", loc="upper left")
right.loglog(slots[:-1], per_step[:-1], color=PALETTE["first"], lw=1.8, label="revolve")
right.loglog(
    equal[:, 1], equal[:, 0] / WAY, ".", ms=3, color=PALETTE["muted"], label="equal pieces, any number"
)
right.loglog(usual_states, 1, "o", color=PALETTE["second"], label="equal pieces, the best number")
right.set_ylim(0.05, 1000)
tidy(right, "states held", "computed again, for each step", f"{WAY} steps")
right.legend(frameon=False, fontsize="small")
keep(figure, "work_against_memory")

# %% [markdown]
# Equal pieces are a point. Revolve is a curve from one end to the other: its knees are the entries of
# Pascal's triangle, where a repetition more begins. At the point's own price it needs about two thirds of
# the states. Its strength lies to the left of there, where equal pieces offer nothing. And a longer way is
# cheap: with ten states a hundred times the length takes less than three times as many repetitions.
#
# Now in reality. The state is made larger, a thousand examples, so that a state is 64 kB and Python's own
# objects do not matter. `tracemalloc` tells the peak of memory during a whole gradient.

# %%
LONG = 200 if SMALL else 1000
ROOM = (5, 10, 20, 50)


def weigh(adjoint, steps=LONG, method="euler", **tolerances):
    """The gradient, its ledger, its processor time, and the peak of memory in states."""
    needed = np.inf
    for _ in range(1 if SMALL else 2):
        begun = time.process_time()
        found, ledger = gradient(steps, adjoint, method, many, **tolerances)
        needed = min(needed, time.process_time() - begun)
    tracemalloc.start()
    gradient(steps, adjoint, method, many, **tolerances)
    peak = tracemalloc.get_traced_memory()[1] / many.nbytes
    tracemalloc.stop()
    return found, ledger, needed, peak


adjoints = (ode.Discrete(), ode.Checkpoint(), *[ode.Checkpoint(c, "revolve") for c in ROOM])
weighed = {adjoint: weigh(adjoint) for adjoint in adjoints}
exact, plain, base, _ = weighed[ode.Discrete()]
gaps = {a: np.linalg.norm(found - exact) / np.linalg.norm(exact) for a, (found, *_) in weighed.items()}
print(f"{LONG} steps, a state has {many.nbytes / 1000:g} kB")
print(f"{'adjoint':<40} states     peak   steps  processor time       gap")
for a, (_, ledger, needed, peak) in weighed.items():
    print(
        f"{a!r:<40} {ledger.stored:6} {peak:8.1f} {ledger.steps / plain.steps:6.2f}x {needed / base:10.2f}x",
        f"{gaps[a]:16.0e}",
    )

# %% [markdown]
# The gradient is that of `Discrete()`, which is no surprise: the same arithmetic in the same order. Processor
# time is noisy, but on the whole it grows less than the number of steps. The steps that are computed again go
# forward, and a step back costs more.
#
# The peaks follow the ledger. What is left over is the working space of a step, much the same for all.

# %%
rest = {a: peak - ledger.stored for a, (_, ledger, _, peak) in weighed.items()}
for a, (_, ledger, _, peak) in weighed.items():
    print(f"{a!r:<40} ledger {ledger.stored:4}, peak {peak:6.1f}: {rest[a]:.1f} more")
peaks = np.array([weighed[ode.Checkpoint(c, "revolve")][3] for c in ROOM])
for_a_slot = np.polyfit(ROOM, peaks, 1)[0]
print(f"a slot more is {for_a_slot:.2f} states more")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 3.9), layout="constrained")
line, working = np.array([0, 54]), np.mean([rest[ode.Checkpoint(c, "revolve")] for c in ROOM])
left.plot(line, line + working, "-", color=PALETTE["second"], label="c states and a step")
left.plot(ROOM, peaks, "o", color=PALETTE["first"], label="measured")
tidy(left, "slots c of revolve", "peak, in states", f"real memory, {LONG} steps")
left.set_ylim(0, None)
left.legend(frameon=False)
names = ("keep all", "equal pieces", *[f"revolve, {c}" for c in ROOM])
for name, (_, ledger, _, peak) in zip(names, weighed.values(), strict=True):
    point = (peak * many.nbytes / 1e6, ledger.steps / plain.steps)
    right.semilogx(*point, "o", color=PALETTE["first" if "revolve" in name else "second"])
    place = {"keep all": (0, 8), "equal pieces": (0, -16), "revolve, 50": (4, 8)}.get(name, (8, 2))
    right.annotate(name, point, place, textcoords="offset points", fontsize="small")
right.set_ylim(0.5, 4)
right.margins(x=0.25, y=0.15)
tidy(right, "peak of memory, MB", "steps there and back, keep all = 1", "what is paid")
keep(figure, "real_memory")

# %% [markdown]
# With five slots the working space is the larger part of the peak, so fewer slots bring little.
#
# ## 5. Too few, and when to leave it
#
# The initial state must be kept, so one slot is the least. It is allowed, at the price of section 1.

# %%
messages = []
for attempt in (
    lambda: ode.Checkpoint(0, "revolve"),
    lambda: ode.Checkpoint(4, "binomial"),
    lambda: gradient(8, ode.Reversible()),
):
    try:
        attempt()
    except (TypeError, ValueError) as error:
        messages.append(str(error))
        print(f"{type(error).__name__}: {error}")

# %% [markdown]
# The last message goes the other way: it recommends checkpoints for a method whose steps cannot be undone.
# Where they *can* be undone, checkpoints are not needed. The next cell has a Hamiltonian network with
# Verlet's method, that of [the network of 1,202 layers](04_a_reversible_network_of_1202_layers.py).

# %%
methods = (ode.Discrete(), ode.Checkpoint(10, "revolve"), ode.Reversible())
undone = {}
for dtype in (np.float64, np.float32):
    net = models.StableNet.create(
        0, models.Hamiltonian(), 2, width=8, classes=2, depth=LONG, final_time=20.0, dtype=dtype
    )
    x = models.swiss_roll(20, dtype=dtype).x
    for adjoint in methods:
        ledger = ode.Ledger()

        def loss(net, x=x, adjoint=adjoint, ledger=ledger):
            q, _ = net.flow(net.start(x), adjoint=adjoint, ledger=ledger)
            return ad.sum(q * q)

        found = ad.tree.ravel(ad.grad(loss)(net))[0]
        exact = found if adjoint == methods[0] else exact
        gap = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        undone[dtype, adjoint] = (ledger.stored, ledger.steps, gap)
        counts = f"{ledger.stored:4} states {ledger.steps:5} steps"
        print(f"{dtype.__name__}   {adjoint!r:<40} {counts}   gap {gap:.0e}")

# %% [markdown]
# `Reversible()` holds one state and takes no step more than `Discrete()`. What it pays is rounding: the
# states are found again, not kept, and in float32 the gradient shows it. Checkpoints have no such error.
#
# A last trap are steps chosen by tolerances. A schedule needs to know how many steps there are, so they are
# found first.

# %%
adaptive = {}
for adjoint in (ode.Discrete(), ode.Checkpoint(5, "revolve")):
    _, ledger, _, peak = weigh(adjoint, None, "heun", rtol=1e-4, atol=1e-4)
    adaptive[adjoint] = (ledger.stored, peak)
    print(f"with tolerances: {adjoint!r:<40} ledger {ledger.stored:3} states, peak {peak:6.1f}")

# %% [markdown]
# The ledger says five, the memory says all: the states that were found while the steps were chosen are there
# until the solution is returned. Where memory counts, find the steps beforehand with `ode.solve` and give
# their times to `odeint`. The gradient is the same.

# %%
with_tolerances = gradient(None, ode.Discrete(), "heun", many, rtol=1e-4, atol=1e-4)[0]
times = ode.solve(f, many, (0.0, 1.0), theta, method="heun", rtol=1e-4, atol=1e-4).times
found, ledger, _, given_peak = weigh(ode.Checkpoint(5, "revolve"), times, "heun")
given_gap = np.linalg.norm(found - with_tolerances) / np.linalg.norm(with_tolerances)
print(
    f"{len(times) - 1} steps given: ledger {ledger.stored} states, peak {given_peak:.1f}, gap {given_gap:.0e}"
)

# %% [markdown]
# In short:
#
# * If all states fit, keep them: `Discrete()`.
# * If the method can be undone and rounding does no harm, `Reversible()`.
# * If about $2\sqrt N$ states fit, `Checkpoint()`, at the price of one more pass.
# * If fewer fit, `Checkpoint(c, "revolve")`.

# %%
# 1: the two ends
assert again == [(n - 1) * (n - 2) // 2 for n in lengths]
assert [every.stored for every in ends["all"]] == list(lengths)
assert all(one.stored == 1 for one in ends["the first"])
# 2: equal pieces
assert read == counted and room[0] == room.max() == LENGTH + 1
assert LENGTH**0.5 in least and room.min() == 2 * LENGTH**0.5
assert repeated[1] == repeated[LENGTH // 2] == LENGTH and repeated[LENGTH] == 0
assert all(usual[n][1] == states == np.ceil(2 * n**0.5) and usual[n][0] == n for n, states in best.items())
# 3: revolve
assert set(wrong) == {"programme", "schedule", "ledger", "search"} and not any(wrong.values())
assert all(length == math.comb(c + r, c) for (c, r), length in reached.items())
assert pictured["5 equal pieces"] == (24, 10) and pictured[f"revolve, {SLOTS} states"] == (28, 4)
# 4: what it buys
assert 0.6 < same_work / usual_states < 0.75
assert 2 < over_length[10][-1] / per_step[9] < 3
assert max(gaps.values()) < 1e-14
assert 0.95 < for_a_slot < 1.05
assert min(rest.values()) > 8 and max(rest.values()) < min(rest.values()) + 6
assert rest[ode.Checkpoint(5, "revolve")] > 5
# 5: when to leave it
assert len(messages) == 3 and "at least 1" in messages[0] and "adjoint=Checkpoint()" in messages[2]
for dtype, bound in ((np.float64, 1e-13), (np.float32, 1e-4)):
    kept, few_kept, reversed_ = (undone[dtype, adjoint] for adjoint in methods)
    assert reversed_[:2] == (1, kept[1]) and few_kept[0] == 10 and few_kept[1] > kept[1]
    assert few_kept[2] < reversed_[2] < bound
assert undone[np.float32, ode.Reversible()][2] > 1e-8
assert adaptive[ode.Checkpoint(5, "revolve")][1] > adaptive[ode.Discrete()][0] > 2 * given_peak
assert given_gap < 1e-12 and ledger.stored == 5
