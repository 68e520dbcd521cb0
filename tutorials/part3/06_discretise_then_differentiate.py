# %% [markdown]
# # Discretise, then differentiate; or the other way round
#
# There are two ways to the gradient of a loss of a differential equation's solution. Differentiate the steps
# that were taken: that is the gradient of what was computed. Or differentiate the equation first, which
# gives another equation for the multipliers, and solve that one backwards: it is the gradient of the exact
# solution, as far as both solves are right. This page draws the lecture's picture that tells the two apart,
# and then shows how fast their difference falls.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models, optim
from tinyad.models import ode
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the settings of the test suite

# %% [markdown]
# ## 1. A network on the spiral
#
# The data are three points of a spiral that winds inwards. The model is $u' = \tanh(u^3 W_1 + b_1) W_2 +
# b_2$ with fifty units, and the loss the mean square of the distance at these points. Three are few on
# purpose: at each observation the way back starts again from the state of the way there, and many of them
# would hide what is shown.

# %%
data = models.spiral(4)
random = np.random.default_rng(0)
theta = {
    "W1": 0.3 * random.normal(size=(2, 50)),
    "b1": np.zeros(50),
    "W2": 0.3 * random.normal(size=(50, 2)),
    "b2": np.zeros(2),
}


def f(t, u, theta):
    return ad.tanh(u**3 @ theta["W1"] + theta["b1"]) @ theta["W2"] + theta["b2"]


def loss(theta, settings):
    u = ode.odeint(f, data.states[0], (0.0, 1.5), theta, times=data.times[1:], **settings)
    return ad.sum((u - data.states[1:]) ** 2) / 3


def continuous(rtol, atol):
    """Differentiate, then discretise: the way there and the way back choose steps by the same tolerances."""
    return {"rtol": rtol, "atol": atol, "adjoint": ode.Backsolve(rtol=rtol, atol=atol)}


ways = {
    "continuous adjoint, rtol 1e-7": continuous(1e-7, 1e-9),
    "continuous adjoint, rtol 1e-2": continuous(1e-2, 1e-2),
    "RK4, 30 steps, differentiated": {"method": "rk4", "steps": 30, "adjoint": ode.Discrete()},
}

# %% [markdown]
# ## 2. Three Taylor panels
#
# Along one direction $d$ of length 1 the remainders are
#
# $$E_0(h) = |L(\theta + h d) - L(\theta)|, \qquad E_1(h) = |L(\theta + h d) - L(\theta) - h\, g^\top d|.$$
#
# The second one falls like $h^2$ where $g$ is the gradient of the $L$ that is computed. Where it is another
# one's, an error proportional to $h$ remains, and takes over when $h$ is small.

# %%
flat, back = ad.tree.ravel(theta)
direction = random.normal(size=flat.shape)
direction /= np.linalg.norm(direction)
lengths = 2.0 ** -np.arange(1.0, 17.0)
slopes = {}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
for ax, (name, settings) in zip(axes, ways.items(), strict=True):
    value, gradient = ad.value_and_grad(lambda theta, settings=settings: loss(theta, settings))(theta)
    slope = ad.tree.ravel(gradient)[0] @ direction
    changes = np.array([loss(back(flat + h * direction), settings) - value for h in lengths])
    E0, E1 = abs(changes), abs(changes - lengths * slope)
    slopes[name] = np.log2(E1[:-1] / E1[1:])
    print(f"{name:32} slopes of E1: {slopes[name].round(2)[5:]}")
    tidy(ax, "h", "remainder", name)
    ax.loglog(lengths, E0, "o-", ms=4, color=PALETTE["second"], label="E0")
    ax.loglog(lengths, E1, "o-", ms=4, color=PALETTE["first"], label="E1")
    ax.loglog(lengths, E1[0] * (lengths / lengths[0]) ** 2, "--", color=PALETTE["muted"], label="slope 2")
    ax.legend(fontsize="small")
keep(figure, "three_taylor_panels")

# %% [markdown]
# In the middle the slope falls to one. Nothing is wrong with the code: two solves that are right to two
# digits give a gradient that is right to two digits. But a line search that asks for the promised decrease,
# or Newton's method, takes the gradient at its word. To the right 30 steps of RK4 are not more accurate than
# needed either, and yet their remainder falls like $h^2$ to the end: it is the exact gradient of the loss
# that is minimised.
#
# ## 3. How fast the difference falls
#
# With the same steps there and back the two ways differ by the order of the method.

# %%
steps = (6, 12, 24, 48, 96)


def gradient_by(adjoint, n):
    settings = {"method": "rk4", "steps": n, "adjoint": adjoint}
    return ad.tree.ravel(ad.grad(lambda theta: loss(theta, settings))(theta))[0]


gaps = []
for n in steps:
    exact, other = gradient_by(ode.Discrete(), n), gradient_by(ode.Backsolve(), n)
    gaps.append(float(np.linalg.norm(other - exact) / np.linalg.norm(exact)))
falls = np.log2(np.array(gaps[:-1]) / np.array(gaps[1:]))
print("steps", steps, "gaps", [f"{gap:.1e}" for gap in gaps], "orders", falls.round(2))

# %% [markdown]
# ## 4. Training with both
#
# Adam does not take the gradient at its word: it only needs a direction that is about right. So a loose
# gradient trains, too. What it costs is counted: evaluations of the network and products with its
# derivative.

# %%
epochs = 15 if SMALL else 40


def trained(settings):
    model, optimizer, ledger = theta, optim.adam(0.03), ode.Ledger()
    state, losses = optimizer.init(model), []
    for _ in range(epochs):
        value, gradient = ad.value_and_grad(lambda m: loss(m, {**settings, "ledger": ledger}))(model)
        model, state = optimizer.step(model, gradient, state)
        losses.append(float(value))
    reference = float(loss(model, {"rtol": 1e-9, "atol": 1e-11}))
    return reference, ledger.evaluations + ledger.vjps, losses


results = {name: trained(settings) for name, settings in ways.items()}
for name, (reference, work, _) in results.items():
    print(f"{name:32} loss of the exact solution {reference:.3f} after {work} evaluations and products")

# %%
tight, loose, discrete = (slopes[name] for name in ways)
assert np.median(tight[5:]) >= 1.9 and np.median(discrete[5:]) >= 1.9 and loose[-1] <= 1.3
assert falls[-1] >= 3.85
assert all(losses[-1] < 0.8 * losses[0] for _, _, losses in results.values())
