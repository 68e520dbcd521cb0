# %% [markdown]
# # When a Hamiltonian network still explodes
#
# In a Hamiltonian network every layer, looked at by itself, only turns the state: all eigenvalues of its
# Jacobian are imaginary, whatever the weights. It is tempting to conclude that signals and gradients keep
# their size through any number of such layers. They need not. This page shows why on a swing, draws the map
# of where it happens, finds the same in networks, and tries two remedies.

# %%
import os
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from tinyad import models
from tinyad.models import ode
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings

# %% [markdown]
# ## 1. Two quarter turns
#
# $q' = a\,p$, $p' = -q / a$ turns the state along an ellipse, once around in the time $2\pi$, for every
# $a > 0$: the eigenvalues of the Jacobian are $\pm i$. For $a = 1$ the ellipse is a circle. A quarter turn
# along each of two ellipses, one after the other:


# %%
def quarter_turn(a):
    return np.array([[0.0, a], [-1.0 / a, 0.0]])


one_after_the_other = quarter_turn(2.0) @ quarter_turn(1.0)
for name, matrix in {
    "along the circle": quarter_turn(1.0),
    "along the ellipse": quarter_turn(2.0),
    "one after the other": one_after_the_other,
}.items():
    print(
        f"{name:<20} eigenvalues up to {abs(np.linalg.eigvals(matrix)).max():.1f}; a hundred times: largest "
        f"singular value {np.linalg.norm(np.linalg.matrix_power(matrix, 100), 2):.3g}"
    )

# %% [markdown]
# Each alone may be repeated for ever. Their product has the eigenvalue $-2$. What each of them keeps is an
# energy, $q^2/a + a p^2$, and the two energies are not the same: what is small by one is large by the other.
# Eigenvalues on the unit circle say that a layer has *some* energy that it keeps. A network is only safe if
# all its layers keep the same one, or if the energy changes slowly.
#
# ## 2. A swing, and the map of its resonances
#
# Somebody on a swing stands up and crouches, and changes its frequency a little, twice in each period:
#
# $$q' = p, \qquad p' = -\bigl(1 + \epsilon \sin \nu t\bigr)\, q .$$
#
# At each moment this is an oscillation. With Verlet's method and two initial states one period of the
# modulation gives a 2 by 2 matrix, and its largest eigenvalue tells whether the swing goes up. All pairs
# $(\nu, \epsilon)$ of the picture are one batch.

# %%
SIDE = (41, 21) if SMALL else (141, 71)
frequencies, strengths = np.linspace(0.4, 2.6, SIDE[0]), np.linspace(0.0, 0.9, SIDE[1])
FREQUENCY, STRENGTH = np.meshgrid(frequencies, strengths, indexing="ij")


def swing(frequency, strength):
    """The pair of right-hand sides for `odeint`, in the phase s of the modulation instead of the time."""

    def of_q(s, p, theta):
        return p / frequency

    def of_p(s, q, theta):
        return -(1.0 + strength * np.sin(s)) * q / frequency

    return of_q, of_p


def over_a_period(frequency, strength, steps=100):
    """The matrices of one period of the modulation: shape (..., 2, 2)."""
    columns = []
    for q, p in ((1.0, 0.0), (0.0, 1.0)):
        start = (np.full(np.shape(frequency), q), np.full(np.shape(frequency), p))
        end = ode.odeint(swing(frequency, strength), start, (0.0, 2 * np.pi), method="verlet", steps=steps)
        columns.append(np.stack(end, axis=-1))
    return np.stack(columns, axis=-1)


periods = over_a_period(FREQUENCY, STRENGTH)
rate = np.log(abs(np.linalg.eigvals(periods)).max(axis=-1)) * FREQUENCY / (2 * np.pi)
volume = abs(np.linalg.det(periods) - 1).max()
print(f"the area of a set of states changes by {volume:.0e} in a period: nothing is created, it is stretched")
share = (rate > 1e-3).mean(axis=0)
for k in (0, len(strengths) // 9, len(strengths) // 3, len(strengths) - 1):
    print(f"strength {strengths[k]:.2f}: the swing goes up at {share[k]:.0%} of the frequencies")

figure, axes = plt.subplots(figsize=(8.2, 3.9), layout="constrained")
drawn = axes.pcolormesh(frequencies, strengths, rate.T, cmap="magma_r", shading="auto", rasterized=True)
figure.colorbar(drawn, ax=axes, label="growth per unit of time")
axes.text(2.0, 0.03, "twice a period", ha="center", fontsize=8)
axes.text(1.0, 0.03, "once", ha="center", fontsize=8)
tidy(axes, r"frequency $\nu$ of the change", r"strength $\epsilon$", "Where a swing goes up")
keep(figure, "10_tongues")

# %% [markdown]
# The light parts are safe. From $\nu = 2$, a change twice in each period, rises a tongue in which the
# amplitude grows exponentially, and smaller ones from $\nu = 1$ and below. No eigenvalue ever left the
# imaginary axis. The determinant of the matrix stays 1: what grows in one direction shrinks in another, so
# nothing that looks at volumes gives a warning either.
#
# A slow change, left of the picture, does little: the swing follows it. That is the hope of a remedy.
#
# ## 3. Layers as a change in time
#
# In a network the weights change from layer to layer, and nobody chose them so as to avoid a resonance. A
# second-order network, $q' = p$, $p' = -\tanh(qK + b)K^\top$, is a set of coupled swings; in a double
# Hamiltonian network both parts have weights that change. In the Hamiltonian network,
# $q' = \tanh(pK + b)$, $p' = -\tanh(qK^\top + b)$, something is different: where tanh is nearly straight its
# Jacobian is antisymmetric, for every $K$. All layers then keep the *same* energy, the length of the state.
#
# Each with 256 layers and three kinds of weights of the same size: drawn anew for each layer; drawn anew for
# every 16th, with straight lines between them; the same in all layers. `models.roughness` is the integral of
# $|\theta'|^2 / 2$, which one may add to the loss so that weights change slowly.

# %%
DEPTH, FINAL_TIME, WIDTH = 256, 64.0, 8
KINDS = ("anew in each layer", "anew in every 16th", "the same in all")
points = models.peaks(50).x[: 4 if SMALL else 12]
DYNAMICS = {"second order": models.SecondOrder(), "double Hamiltonian": models.DoubleHamiltonian()}
DYNAMICS |= {"Hamiltonian": models.Hamiltonian()}


def with_knots(net, knots):
    """The network with weights on straight lines between so many random ones, as large as they were."""

    def drawn(leaf):
        if knots == len(leaf):
            return leaf
        at = np.linspace(0.0, knots - 1.0, len(leaf))
        low = np.minimum(at.astype(int), max(knots - 2, 0))
        part = (at - low).reshape(-1, *[1] * (leaf.ndim - 1))
        mixed = (1 - part) * leaf[low] + part * leaf[np.minimum(low + 1, knots - 1)]
        size = np.sqrt((leaf**2).mean())
        return mixed * (size / np.sqrt((mixed**2).mean())) if size else mixed

    values = {name: drawn(leaf) for name, leaf in net.control.values.items()}
    return replace(net, control=replace(net.control, values=values))


found, along, frequencies_of = {}, {}, {}
print(f"{'':42} roughness  growth of a step  gradient at the start  response")
for name, dynamics in DYNAMICS.items():
    for kind, knots in zip(KINDS, (DEPTH, DEPTH // 16, 1), strict=True):
        rows = []
        for seed in range(1 if SMALL else 2):
            net = models.StableNet.create(seed, dynamics, 2, WIDTH, 5, depth=DEPTH, final_time=FINAL_TIME)
            net = with_knots(net, knots)
            report = models.stability_report(net, points)
            rows.append(
                (
                    models.roughness(net.control),
                    report.growth.max(),
                    report.gradient[0],
                    report.response[-1].mean(),
                )
            )
        along[name, kind] = report.gradient
        frequencies_of[name, kind] = abs(report.eigenvalues.imag).ravel()
        rough, growth, *sizes = np.exp(np.log(np.maximum(rows, 1e-300)).mean(axis=0))
        found[name, kind] = {"roughness": rough, "growth": growth, "gradient": sizes[0], "response": sizes[1]}
        print(f"{name:<20}{kind:<20} {rough:11.1f} {growth:15.4f} {sizes[0]:19.3g} {sizes[1]:14.3g}")

turns = frequencies_of["second order", KINDS[1]]
quick, usual = (float(2 * np.pi / np.quantile(turns, part)) for part in (0.99, 0.75))
print(
    f"second order: oscillations take a time of {quick:.1f} at the quickest; a quarter, {usual:.1f} or less"
)

figure, panels = plt.subplots(1, 3, figsize=(11.0, 3.5), layout="constrained", sharey=True)
for axes, name in zip(panels, DYNAMICS, strict=True):
    for kind, colour in zip(KINDS, ("second", "third", "first"), strict=True):
        at = np.linspace(0.0, FINAL_TIME, DEPTH + 1)
        axes.semilogy(at, along[name, kind], color=PALETTE[colour], lw=1.5, label=kind)
    tidy(axes, "t", "norm of the gradient" if name == "second order" else "", name)
panels[0].legend(fontsize=8, title="weights", title_fontsize=8)
keep(figure, "10_networks")

# %% [markdown]
# The growth of a step is 1.0000 in every row: no report that looks at one layer at a time sees anything. Yet
# in the first two networks the gradient at the start is hundreds of times that at the end, where weights
# change. With the same weights in all layers it grows by about ten.
#
# * **Weights that change slowly are no remedy by themselves.** The roughness fell by a factor of two hundred,
#   and the gradient did not fall with it. From knot to knot it is 16 layers, a time of 4. The quickest
#   oscillations take about as long, as printed above, and the others longer: for these swings the changes are
#   not slow at all.
# * **In the Hamiltonian network it is the other way round.** Its gradient hardly changes where weights are
#   drawn anew in each layer. Those average out, and tanh is nearly straight where the states stay small. With
#   the same weights over many layers they do not, and the gradient grows.
#
# So the measure is not how fast weights change, but what they do to the energy in the time of an
# oscillation. One can only look: at the gradient through the whole depth.
#
# ## 4. The other way to explode: too long a step
#
# Verlet's method is stable for frequencies up to $h\omega = 2$ and no further. Beyond, a single layer grows,
# and here the report says so.


# %%
def oscillator(h_omega, steps=100):
    """The report of a linear Hamiltonian network of width 2 with this frequency, in steps of length 1."""
    dynamics = models.Hamiltonian(activation=lambda x: x)
    net = models.StableNet.create(0, dynamics, 2, 2, 2, depth=1, steps=steps, final_time=float(steps))
    values = {"K": np.full((1, 1, 1), h_omega), "b": np.zeros((1, 1))}
    return models.stability_report(replace(net, control=replace(net.control, values=values)), points[:2])


too_long = {z: oscillator(z) for z in (1.0, 1.9, 1.99, 2.01, 2.1)}
for z, report in too_long.items():
    growth, response = report.growth.max(), report.response[-1].max()
    print(f"h omega = {z:4.2f}: growth of a step {growth:.4f}, of 100 steps {response:.3g}")

# %% [markdown]
# ## 5. Reversible is not stable
#
# All these networks can be taken back, step by step, and gradients need no stored states
# ([1,202 layers](04_a_reversible_network_of_1202_layers.py)). But the way back magnifies errors of rounding
# just as the way there magnified differences. There and back again, for second-order networks of growing
# depth with weights drawn anew in each layer:


# %%
def lost(net):
    """The relative distance of the initial states from where one arrives, there and back."""
    sent = net.start(points)
    backwards = net.control.interval[::-1]
    found = ode.odeint(
        net.dynamics.f, net.flow(sent), backwards, net.control, method="verlet", steps=net.steps
    )
    sent, found = (np.concatenate(pair, axis=1) for pair in (sent, found))
    return float(np.linalg.norm(found - sent) / np.linalg.norm(sent))


round_trip = []
for layers in (64, 256) if SMALL else (64, 256, 512, 1024):
    net = models.StableNet.create(
        0, models.SecondOrder(), 2, WIDTH, 5, depth=layers, final_time=layers / 4, method="verlet"
    )
    response = models.stability_report(net, points[:4]).response[-1].mean()
    round_trip.append((layers, response, lost(net)))
    print(f"{layers:5} layers: response {response:9.3g}, lost there and back {lost(net):.1e}")

# %% [markdown]
# What is lost grows by orders of magnitude together with the response. To be invertible on paper says
# nothing about how well conditioned the inverse is.
#
# In brief:
#
# * A Hamiltonian network has layers without growth. Its product may grow, because each layer keeps another
#   energy.
# * The worst is a change of the weights in about the time of an oscillation. Between the layers there is a
#   second source of growth: even with the same weights everywhere the bend of tanh makes another matrix of
#   each state, and the gradient grew by about ten.
# * Keep $h\omega$ below 2, look at the gradient through the whole depth and not at eigenvalues alone, and
#   prefer equations whose layers share what they keep.

# %%
assert np.allclose(abs(np.linalg.eigvals(one_after_the_other)), [2.0, 0.5])
assert volume < 1e-12 and share[0] == 0 and share[-1] > 0.3
at_two = rate[abs(frequencies - 2.0).argmin(), -1]
assert at_two > 0.15 and rate[abs(frequencies - 1.3).argmin()].max() < 0.01
assert all(abs(row["growth"] - 1) < 1e-6 for row in found.values())
for name in ("second order", "double Hamiltonian"):
    assert found[name, KINDS[0]]["gradient"] > 50 > found[name, KINDS[2]]["gradient"]
    assert found[name, KINDS[1]]["roughness"] < found[name, KINDS[0]]["roughness"] / 100
    assert found[name, KINDS[1]]["gradient"] > 50
assert found["Hamiltonian", KINDS[0]]["gradient"] < 3 < found["Hamiltonian", KINDS[1]]["gradient"]
assert too_long[1.99].method_stable and not too_long[2.01].method_stable
assert too_long[1.99].response[-1].max() < 100 < 1e3 < too_long[2.1].response[-1].max()
assert round_trip[-1][1] > 30 * round_trip[0][1] and round_trip[-1][2] > 10 * round_trip[0][2]
