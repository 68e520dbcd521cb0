# %% [markdown]
# # Stability, continuous and discrete
#
# A network that is a differential equation has two stabilities. The equation may forget small changes of its
# input or magnify them; and the steps that a computer takes may do either, whatever the equation does. This
# page takes an equation that is stable for all its parameters, and looks at what training sees of it: the
# loss as a function of two parameters, once with steps of $h = 2$ and once with $h = 0.1$.
# [The first page](01_resnets_are_euler.py) says why layers are steps.

# %%
import os
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models
from tinyad.models import ode
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings

# %% [markdown]
# ## 1. An equation that cannot explode
#
# The state has three numbers, the layer two parameters:
#
# $$y' = \tanh(K y), \qquad K(\theta_1, \theta_2) = \begin{pmatrix}
# -\theta_1-\theta_2 & \theta_1 & \theta_2 \\
# \theta_2 & -\theta_1-\theta_2 & \theta_1 \\
# \theta_1 & \theta_2 & -\theta_1-\theta_2 \end{pmatrix}.$$
#
# For positive parameters $-K$ is an M-matrix: what lies off the diagonal of $K$ is positive, and each row
# adds up to 0. Each number is drawn to the others, as heat flows between three bodies. The eigenvalues are 0,
# for the state that is the same in all three, and
#
# $$\lambda = -\tfrac32 (\theta_1 + \theta_2) \pm \tfrac{\sqrt 3}{2} (\theta_1 - \theta_2)\, i .$$
#
# The Jacobian of the right-hand side is $D K$, where $D$ is diagonal with the slopes of tanh, between 0 and
# 1. Its rows add up to 0 as well, so by Gershgorin's theorem no eigenvalue lies right of the axis: wherever
# the state is, whatever the parameters are.


# %%
def matrix(theta1, theta2):
    """Shape (..., 3, 3) for parameters of shape (...)."""
    rows = [
        (-theta1 - theta2, theta1, theta2),
        (theta2, -theta1 - theta2, theta1),
        (theta1, theta2, -theta1 - theta2),
    ]
    return ad.stack([ad.stack(row, axis=-1) for row in rows], axis=-2)


def slope(t, y, K):
    return ad.tanh(y @ ad.matrix_transpose(K))


RANDOM = np.random.default_rng(0)
largest = -np.inf
for theta1, theta2 in RANDOM.uniform(0.0, 5.0, (200, 2)):
    jacobian = ad.jacobian(slope, argnums=1)(0.0, RANDOM.normal(size=3), matrix(theta1, theta2))
    largest = max(largest, np.linalg.eigvals(jacobian).real.max())
print(f"largest real part of an eigenvalue, at 200 random states and parameters: {largest:.1e}")

# %% [markdown]
# ## 2. The same equation in steps
#
# A step of Euler's method multiplies the part of the state that belongs to $\lambda$ by $1 + h\lambda$. It
# shrinks if $h\lambda$ lies in the circle of radius 1 around $-1$. For $\theta_1 = \theta_2 = 1$ there is a
# double eigenvalue $-3$, so the step must be shorter than $2/3$.
#
# The time ends at $T = 10$. In 5 steps $h = 2$; in 100 steps $h = 0.1$.

# %%
T = 10.0
SIDE = 41 if SMALL else 101
line = np.linspace(0.2, 2.0, SIDE)
THETA1, THETA2 = np.meshgrid(line, line, indexing="ij")
rates = -1.5 * (THETA1 + THETA2) + 0.5j * np.sqrt(3) * (THETA1 - THETA2)
stable = {}
for steps in (5, 100):
    growth = abs(1 + T / steps * rates)
    stable[steps] = growth <= 1
    print(
        f"h = {T / steps:3g}: |1 + h lambda| is between {growth.min():.2f} and {growth.max():.2f}; "
        f"{stable[steps].mean():.0%} of the parameters are stable"
    )

figure, panels = plt.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained", width_ratios=(1.9, 1))
for axes, steps, box in ((panels[0], 5, (-12.6, 1.2, -3.6, 5.8)), (panels[1], 100, (-3.0, 0.9, -1.95, 1.95))):
    x, y = np.meshgrid(np.linspace(*box[:2], 400), np.linspace(*box[2:], 400))
    for tableau, colour, where in ((ode.RK4, "#dfe9f5", "RK4"), (ode.EULER, "#fbe3d4", "Euler")):
        axes.contourf(x, y, abs(tableau.stability(x + 1j * y)) <= 1, levels=[0.5, 1.5], colors=[colour])
        axes.plot([], [], "s", color=colour, label=f"stable for {where}")
    z = T / steps * np.concatenate([rates[::4, ::4].ravel(), rates[::4, ::4].conj().ravel()])
    axes.plot(z.real, z.imag, ".", ms=3, color=PALETTE["first"], label="of the parameters in the square")
    axes.plot(-3 * T / steps, 0, "*", ms=11, color=PALETTE["second"], label=r"of $\theta = (1, 1)$")
    tidy(axes, "real part", "imaginary part", f"$h\\lambda$ for h = {T / steps:g}")
    axes.set(xlim=box[:2], ylim=box[2:], aspect="equal")
panels[0].legend(loc="upper left", fontsize=7)
keep(figure, "regions")

# %% [markdown]
# With $h = 2$ nearly all parameters are outside, the true ones far outside. Runge-Kutta's region is larger,
# but not by so much. With $h = 0.1$ all are inside for both.
#
# ## 3. The landscape that training sees
#
# The data: 20 random points, 0.1 times normal numbers, and where the equation with $\theta = (1, 1)$ takes
# them by $T = 10$, solved with a tolerance of $10^{-11}$. Twenty more points are for validation. The loss is
# half the mean squared distance at the end. The whole grid of parameters is one batch: one call of `odeint`
# solves all its equations.

# %%
points, new_points = 0.1 * RANDOM.normal(size=(2, 20, 3))
TRUE = matrix(1.0, 1.0)
ends, new_ends = (ode.odeint(slope, y, (0.0, T), TRUE, rtol=1e-11, atol=1e-12) for y in (points, new_points))
GRID = matrix(THETA1, THETA2)


def loss(K, start, end, steps, method="euler"):
    """Shape (...) for matrices of shape (..., 3, 3)."""
    start = start + np.zeros((*K.shape[:-2], 1, 1))
    found = ode.odeint(slope, start, (0.0, T), K, method=method, steps=steps)
    return 0.5 * ad.mean(ad.sum((found - end) ** 2, axis=-1), axis=-1)


def valleys(values):
    """How many inner points of the grid lie lower than their eight neighbours."""
    inner = values[1:-1, 1:-1]
    n = len(values)
    around = [values[i : n - 2 + i, j : n - 2 + j] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return int(np.all([inner < other for other in around], axis=0).sum())


landscape, lowest, count, likeness, at_truth = {}, {}, {}, {}, {}
for steps in (5, 100, 200):
    landscape[steps] = loss(GRID, points, ends, steps)
    row, column = np.unravel_index(landscape[steps].argmin(), landscape[steps].shape)
    lowest[steps] = np.array([line[row], line[column]])
    count[steps] = valleys(landscape[steps])
    validation = loss(GRID, new_points, new_ends, steps)
    likeness[steps] = np.corrcoef(np.log(landscape[steps]).ravel(), np.log(validation).ravel())[0, 1]
    at_truth[steps] = loss(TRUE, points, ends, steps)
    print(
        f"{steps:4} steps: loss from {landscape[steps].min():.0e} to {landscape[steps].max():.0e}, "
        f"{at_truth[steps]:.0e} at (1, 1); lowest at ({lowest[steps][0]:.2f}, {lowest[steps][1]:.2f}); "
        f"valleys: {count[steps]}; "
        f"correlation with the validation loss: {likeness[steps]:.2f}"
    )

# %%
figure, panels = plt.subplots(1, 3, figsize=(11.0, 3.6), layout="constrained")
for axes, (steps, values) in zip(panels, landscape.items(), strict=True):
    depths = np.log10(values).T
    shown = dict(zip(("vmin", "vmax"), np.percentile(depths, [5, 100]), strict=True))
    drawn = axes.pcolormesh(line, line, depths, cmap="viridis", shading="auto", rasterized=True, **shown)
    figure.colorbar(drawn, ax=axes, label="log10 of the loss", shrink=0.85)
    axes.plot(1, 1, "*", ms=12, color=PALETTE["second"], mec="white", label="truth")
    axes.plot(*lowest[steps], "o", ms=7, color="white", mec="black", label="lowest", clip_on=False)
    tidy(axes, r"$\theta_1$", r"$\theta_2$", f"{steps} steps, h = {T / steps:g}")
    axes.set_aspect("equal")
panels[0].legend(loc="upper right", fontsize=8)
keep(figure, "landscapes")

# %% [markdown]
# With $h = 0.1$ the landscape is a smooth bowl with its deepest point near the truth; with $h = 0.05$ it
# comes nearer. The bowl is very flat: by the end the three numbers have nearly become one, and the parameters
# show only in what the bend of tanh has done on the way. That is no more than Euler's error, so the deepest
# point is not quite at $(1, 1)$ even then.
#
# With $h = 2$ the ground is a broken plateau. There are many valleys, the lowest point of all lies in the
# corner with the smallest parameters (dark: it is deeper than the colours go), and the truth is on high
# ground. The corner is no accident: it is where the *steps* are stable. Training would find the parameters
# that suit the method, not those that made the data.
#
# New points would not give the mistake away. Their loss has the same shape, in both cases: the correlations
# above are those of the logarithms of the two losses, all over the grid. This is no overfitting; all points
# agree on the wrong ground.
#
# ## 4. Exact gradients of the wrong landscape
#
# Nothing is wrong with the derivatives. They are those of what was computed, to the last digits. But they
# point to the next valley.


# %%
def of_parameters(theta, steps):
    return loss(matrix(theta[0], theta[1]), points, ends, steps)


def difference_quotient(theta, direction, steps, e=1e-6):
    ahead, behind = of_parameters(theta + e * direction, steps), of_parameters(theta - e * direction, steps)
    return (ahead - behind) / (2 * e)


toward, errors = {}, {}
starts = RANDOM.uniform(0.4, 2.0, (40, 2))
for steps in (5, 100):
    slopes = np.array([ad.grad(of_parameters)(theta, steps) for theta in starts])
    quotients = np.array([difference_quotient(theta, np.array([1.0, 0.0]), steps) for theta in starts])
    errors[steps] = abs(slopes[:, 0] - quotients).max() / abs(quotients).max()
    toward[steps] = float(((slopes * (starts - lowest[100])).sum(axis=1) > 0).mean())
    print(
        f"{steps:4} steps: gradient and difference quotient differ by {errors[steps]:.0e}; "
        f"it goes down towards the bottom of the smooth bowl from {toward[steps]:.0%} of 40 starts"
    )

# %% [markdown]
# ## 5. What can be done: shorter steps, or another method
#
# Along the diagonal $\theta_1 = \theta_2$ the loss is a curve. Runge-Kutta's method of order 4 at the same
# $h = 2$ is unstable as well, only somewhat later. The implicit Euler method is stable for every step: no
# valleys, and no high ground. But its lowest point is wrong too. *Stable is not accurate*: with five steps no
# method sees what the parameters do.

# %%
diagonal = np.linspace(0.2, 2.0, 46 if SMALL else 181)
DIAGONAL = matrix(diagonal, diagonal)
curves = {
    "Euler, h = 2": loss(DIAGONAL, points, ends, 5),
    "RK4, h = 2": loss(DIAGONAL, points, ends, 5, "rk4"),
    "implicit Euler, h = 2": loss(DIAGONAL, points, ends, 5, "implicit_euler"),
    "Euler, h = 0.1": loss(DIAGONAL, points, ends, 100),
    "RK4, h = 0.1": loss(DIAGONAL, points, ends, 100, "rk4"),
}
colours = [PALETTE["second"], PALETTE["third"], PALETTE["first"], "black", PALETTE["muted"]]
figure, axes = plt.subplots(figsize=(9.6, 3.9), layout="constrained")
found = {}
for (name, values), colour in zip(curves.items(), colours, strict=True):
    found[name] = float(diagonal[values.argmin()])
    print(f"{name:<22} loss up to {values.max():.0e}, lowest at theta = {found[name]:.2f}")
    axes.semilogy(diagonal, values, color=colour, lw=1.5, label=name)
axes.axvline(1.0, color=PALETTE["grid"])
axes.axvline(1 / 3, color=PALETTE["second"], ls=":", lw=1)
axes.text(0.345, 3e-13, "Euler with h = 2\nis stable to the left", fontsize=8, color=PALETTE["second"])
tidy(axes, r"$\theta_1 = \theta_2$", "loss", "Along the diagonal")
axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
keep(figure, "diagonal")

# %% [markdown]
# ## 6. Through the depth
#
# `models.stability_report` asks these questions of any network of the package: eigenvalues of the Jacobian
# along the path, growth of each step, gradients and responses through the depth. Three networks: the layer
# above with $\theta = (1, 1)$ in 5 steps and in 100, and one whose equation is unstable, with $-K/4$ for $K$.


# %%
def network(K, steps):
    """With the same layer at all times, and without an opening layer to speak of."""
    net = models.StableNet.create(
        0, models.Plain(), features=3, width=3, classes=3, depth=steps, final_time=T
    )
    values = {"K": np.tile(np.asarray(K).T, (steps, 1, 1)), "b": np.zeros((steps, 3))}
    opening = replace(net.opening, weight=np.eye(3), bias=np.zeros(3))
    return replace(net, opening=opening, control=replace(net.control, values=values))


reports = {
    "stable equation, h = 2": models.stability_report(network(TRUE, 5), points),
    "stable equation, h = 0.1": models.stability_report(network(TRUE, 100), points),
    "unstable equation, h = 0.1": models.stability_report(network(-0.25 * TRUE, 100), points),
}
for name, report in reports.items():
    print(f"{name}\n{report}\n")

figure, panels = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
for (name, report), colour in zip(reports.items(), colours, strict=False):
    at = np.linspace(0.0, T, len(report.times) + 1)
    marker = "o" if len(at) < 10 else ""
    panels[0].semilogy(at, report.response.mean(axis=1), marker=marker, color=colour, label=name)
    panels[1].semilogy(at, report.gradient, marker=marker, color=colour)
tidy(panels[0], "t", "relative size", "A small change of the input")
tidy(panels[1], "t", "relative norm, 1 at the end", "The gradient, going back")
panels[0].legend(fontsize=8)
keep(figure, "depth")

# %% [markdown]
# The report tells the two illnesses apart. In the first network the equation is stable and the steps are not:
# it says so, and what helps. In the last the equation itself is unstable. There shorter steps help nothing;
# they follow the growth more faithfully. It takes another layer, and
# [the next page](03_antisymmetric_and_hamiltonian_networks.py) has some that are stable by design.
#
# In brief:
#
# * Look at the eigenvalues of the layer, for the stability of the equation, and at $h\lambda$ in the region
#   of the method, for that of the network. Both are needed.
# * A layer that is stable for all parameters is not enough, because training moves $\lambda$ and not $h$.
# * Too long a step does not only give wrong results. It breaks the landscape that training walks in, and
#   rewards parameters that suit the method.

# %%
fast, slow, unstable = reports.values()
assert largest < 1e-9
assert stable[100].all() and stable[5].mean() < 0.1
assert max(errors.values()) < 1e-4
assert count[5] > 10 * max(count[200], 1) and lowest[5].sum() < 2 / 3 < 1.6 < lowest[100].sum() < 2.2
assert at_truth[5] > 1e3 * at_truth[100] and min(likeness.values()) > 0.9
assert toward[100] > 0.9 > toward[5]
assert found["Euler, h = 2"] < 1 / 3 and abs(found["RK4, h = 0.1"] - 1.0) < 0.05
assert abs(found["implicit Euler, h = 2"] - 1.0) > 0.5 and curves["implicit Euler, h = 2"].max() < 1e-4
assert fast.equation_stable and not fast.method_stable and slow.equation_stable and slow.method_stable
assert not unstable.equation_stable and unstable.response[-1].mean() > 10 > 1 > slow.response[-1].mean()
