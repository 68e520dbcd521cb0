# %% [markdown]
# # A reversible network of 1,202 layers
#
# Backpropagation keeps the states of all layers, so memory grows with depth. A Hamiltonian network does not
# need that: each of its layers can be taken back, by the same arithmetic with the signs turned. This page
# goes through 1,202 layers and back again, measures what is lost, counts the states that a gradient needs,
# and trains the network for a while.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models, optim
from tinyad.models import ode
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the settings of the test suite
DEPTH, TIME = 1202, 20.0

# %% [markdown]
# ## 1. There and back
#
# The state is a pair, and each part moves by the other alone:
#
# $$q' = \tanh(p K + b), \qquad p' = -\tanh(q K^\top + b).$$
#
# A step of Verlet's method kicks $p$, then $q$, then $p$ again. What was added to $p$ depends on $q$ only,
# and $q$ is still there, so the same amount can be subtracted. The method is symmetric: going back is
# solving with the interval turned round.


# %%
def network(depth, dtype=np.float64, seed=0):
    return models.StableNet.create(
        seed, models.Hamiltonian(), features=2, width=8, classes=2, depth=depth, final_time=TIME, dtype=dtype
    )


def lost_on_the_way(depth, dtype):
    """The relative distance of the state that was found again to the one that was sent."""
    net, x = network(depth, dtype), models.swiss_roll(20, dtype=dtype).x
    sent = net.start(x)
    there = net.flow(sent)
    backwards = net.control.interval[::-1]
    found = ode.odeint(net.dynamics.f, there, backwards, net.control, method=net.method, steps=net.steps)
    sent, found = (np.concatenate(pair, axis=1) for pair in (sent, found))
    return float(np.linalg.norm(found - sent) / np.linalg.norm(sent))


depths = (10, 100, DEPTH) if SMALL else (10, 30, 100, 300, DEPTH, 4000, 10_000)
drift = {dtype: [lost_on_the_way(depth, dtype) for depth in depths] for dtype in (np.float64, np.float32)}
for depth, double, single in zip(depths, drift[np.float64], drift[np.float32], strict=True):
    print(f"{depth:6} layers   float64 {double:.1e}   float32 {single:.1e}")

# %% [markdown]
# The numbers are rounding. In float64 they do not matter. In float32 they are still far below what training
# notices, but they are there. With ten layers a step has the length 2, which is too long to be stable:
# states grow, and what is lost grows with them.
#
# ## 2. Euler's method can not be taken back
#
# A residual network is forward Euler. Its reversal by Euler's method with a negative step is a different
# map: what is lost is not rounding, and falls only with the step. Whoever reconstructs states this way gets
# gradients at the wrong places.


# %%
def lost_by_euler(steps):
    net = models.StableNet.create(0, models.Antisymmetric(), 2, 8, 2, depth=10, steps=steps, final_time=TIME)
    sent = net.start(models.swiss_roll(20).x)
    f, interval = net.dynamics.f, net.control.interval[::-1]
    found = ode.odeint(f, net.flow(sent), interval, net.control, method="euler", steps=steps)
    return float(np.linalg.norm(found - sent) / np.linalg.norm(sent))


of_euler = {steps: lost_by_euler(steps) for steps in (100, 1200, 2400)}
print(of_euler)

# %% [markdown]
# ## 3. States that a gradient needs
#
# `ode.Ledger` counts the states that are held at once for the way back. `Discrete` holds one for each layer,
# `Checkpoint` about two times the root of their number, `Reversible` one.


# %%
def gradient(depth, adjoint):
    net, ledger = network(depth), ode.Ledger()
    x = models.swiss_roll(20).x

    def loss(net):
        q, _ = net.flow(net.start(x), adjoint=adjoint, ledger=ledger)
        return ad.sum(q * q)

    return ad.tree.ravel(ad.grad(loss)(net))[0], ledger


adjoints = {"Discrete()": ode.Discrete(), "Checkpoint()": ode.Checkpoint(), "Reversible()": ode.Reversible()}
counted = (10, 100, DEPTH)
found = {name: [gradient(depth, adjoint) for depth in counted] for name, adjoint in adjoints.items()}
stored = {name: [ledger.stored for _, ledger in results] for name, results in found.items()}
exact = found["Discrete()"][-1][0]
distance = np.linalg.norm(found["Reversible()"][-1][0] - exact) / np.linalg.norm(exact)
print("states held with", counted, "layers:", stored)
print(f"Reversible and Discrete differ by {distance:.1e}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
tidy(left, "layers", "relative distance", "what is lost there and back")
left.loglog(depths, drift[np.float32], "o-", color=PALETTE["second"], label="float32")
left.loglog(depths, drift[np.float64], "o-", color=PALETTE["first"], label="float64")
left.legend()
tidy(right, "layers", "states held", "memory of a gradient")
for (name, values), colour in zip(stored.items(), ("second", "third", "first"), strict=True):
    right.loglog(counted, values, "o-", color=PALETTE[colour], label=name)
right.legend()
keep(figure, "there_and_back")

# %% [markdown]
# ## 4. Training it
#
# A thousand layers with random weights are no differential equation: neighbours have nothing to do with each
# other, and training starts far away. So a shallow network is trained first. Then its weights, as functions
# of time, are given to twice as many layers, again and again: the function hardly changes. The deep network
# is trained for a few epochs more, in the memory of one state. `models.roughness`, the integral of the
# squared derivative of the weights in time, keeps neighbours alike.

# %%
train, validation = models.swiss_roll(600, seed=1).split(0.5)


def loss(net, x, y):
    return models.softmax_cross_entropy(net(x), y) + models.roughness(net.control, 1e-3)


def accuracy(net, x, y):
    return models.accuracy(net(x), y)


def fitted(net, epochs, rate):
    settings = {
        "epochs": epochs,
        "batch_size": 50,
        "validation": validation,
        "metric": accuracy,
        "best_by": "metric",
    }
    return models.fit(net, loss, train, optim.adam(rate), **settings)


shallow = fitted(network(38), 60 if SMALL else 300, 0.02).model
deep = shallow
for _ in range(2 if SMALL else 5):
    deep = deep.prolonged()
further = fitted(deep, 1 if SMALL else 3, 0.002)
scores = [float(models.accuracy(net(validation.x), validation.y)) for net in (shallow, deep, further.model)]
print(f"{shallow.steps} layers: {scores[0]:.1%} right")
print(f"prolonged to {deep.steps} layers: {scores[1]:.1%}, trained further {scores[2]:.1%}")

# %%
assert all(value < 1e-13 for value in drift[np.float64]) and all(1e-8 < v < 1e-3 for v in drift[np.float32])
assert drift[np.float64][depths.index(DEPTH)] < 2e-15
assert of_euler[1200] > 1e-4 and 1.8 < of_euler[1200] / of_euler[2400] < 2.2
assert stored["Reversible()"] == [1, 1, 1] and stored["Discrete()"] == list(counted)
assert distance < 1e-12
assert scores[0] > 0.75 and scores[1] > scores[0] - 0.15 and scores[2] > scores[0] - 0.1
