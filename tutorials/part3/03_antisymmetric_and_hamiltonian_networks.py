# %% [markdown]
# # Antisymmetric and Hamiltonian networks
#
# Nothing stops the layers of a residual network from making small differences large. One can build networks
# in which the structure of a layer forbids it, whatever the weights are: antisymmetric matrices, pairs that
# move each other as position and momentum do, symmetric negative Jacobians. This page checks what each of
# them promises and what it keeps. It looks at eigenvalues and at the integrators that must fit them, at
# networks with many layers before training, and at networks trained on real points, with noise on their
# inputs. Some of the promises hold to the last digit. Some are about something else than one would think.

# %%
import os
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from tinyad import models, optim
from tinyad.report import PALETTE, class_colours, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings

# %% [markdown]
# ## 1. Five ways to keep eigenvalues from the right half plane
#
# A small difference of two states follows $\delta' = J\,\delta$ with the Jacobian $J$ of the right-hand
# side. If $J$ stayed the same, the difference would grow just when an eigenvalue has a positive real part.
# (It does not stay the same. That matters in section 3.) With rows for examples, as everywhere in this
# library, the equations are
#
# | name | equation | eigenvalues of the Jacobian |
# |---|---|---|
# | plain | $y' = \tanh(yK + b)$ | anywhere |
# | antisymmetric | $y' = \tanh(y(K - K^\top - \gamma I) + b)$ | imaginary if $\gamma = 0$, else to the left |
# | Hamiltonian | $q' = \tanh(pK + b)$, $p' = -\tanh(qK^\top + b)$ | imaginary |
# | double Hamiltonian | $q' = \tanh(pK + b)K^\top$, $p' = -\tanh(qL + c)L^\top$ | imaginary |
# | second order | $q' = p$, $p' = -\tanh(qK + b)K^\top$ | imaginary |
# | parabolic | $y' = -\tanh(yK + b)K^\top$ | real, never positive |
#
# Why the tangent hyperbolic does no harm: its derivatives make a diagonal matrix $D$ with entries between 0
# and 1, and $D A$ has the eigenvalues of $D^{1/2} A D^{1/2}$, which is antisymmetric if $A$ is. The papers
# are E. Haber and L. Ruthotto, "Stable architectures for deep neural networks" (2018), B. Chang and others,
# "Reversible architectures for arbitrarily deep residual neural networks" (2018), L. Ruthotto and E. Haber,
# "Deep neural networks motivated by partial differential equations" (2020).
#
# `models.stability_report` forms the Jacobian at every state of every example. Here it does so in networks
# with random weights, which are made three times as large as usual so that nothing is small by chance.

# %%
DYNAMICS = {
    "plain": models.Plain(),
    "antisymmetric": models.Antisymmetric(),
    "damped": models.Antisymmetric(gamma=0.3),
    "Hamiltonian": models.Hamiltonian(),
    "double Hamiltonian": models.DoubleHamiltonian(),
    "second order": models.SecondOrder(),
    "parabolic": models.Parabolic(),
}
few = models.peaks(8 if SMALL else 20).x


def with_larger_weights(net, factor):
    """The same network, the weights of its equation multiplied."""
    values = {name: factor * value for name, value in net.control.values.items()}
    return replace(net, control=replace(net.control, values=values))


rates = {}
for name, dynamics in DYNAMICS.items():
    found = []
    for seed in range(2 if SMALL else 10):
        net = models.StableNet.create(seed, dynamics, 2, width=8, classes=5, depth=8, final_time=1.0)
        found.append(models.stability_report(with_larger_weights(net, 3.0), few).eigenvalues)
    rates[name] = np.array(found)
    real, imaginary = rates[name].real, rates[name].imag
    print(
        f"{name:<20} {rates[name].size:6} eigenvalues, real from {real.min():9.1e} to {real.max():8.1e}, "
        f"imaginary up to {abs(imaginary).max():.1f}"
    )

# %% [markdown]
# The structure keeps its word for all weights and all states. The `plain` network has no such word to keep.
# In the `damped` one the rightmost eigenvalues are hardly to the left of the axis: where the activation is
# saturated, $D$ is small, and the damping is multiplied by it as well.
#
# ## 2. An integrator that fits
#
# Layers are steps. A step of a Runge-Kutta method multiplies the mode of the eigenvalue $\lambda$ by
# $R(h\lambda)$, where $R(z) = 1 + z$ for Euler's method. On the imaginary axis this is bad news:
#
# $$|1 + ih\omega| = \sqrt{1 + h^2\omega^2} > 1 \quad\text{for every step } h > 0.$$
#
# Euler's method makes every oscillation grow. Over a time $T$ the factor is about $e^{h\omega^2 T/2}$: it
# goes to 1 with the step, but slowly. We measure it with a network of width 2 without activation,
# $K - K^\top$ being a rotation with $\omega = 1.5$, over the time $T = 12$.

# %%
OMEGA, TIME = 1.5, 12.0


def same(y):
    """An activation that does nothing."""
    return 1.0 * y


def rotation(steps, gamma=0.0, method="euler"):
    net = models.StableNet.create(
        0, models.Antisymmetric(same, gamma), 2, 2, 2, depth=1, steps=steps, final_time=TIME, method=method
    )
    turn = np.array([[[0.0, OMEGA / 2], [-OMEGA / 2, 0.0]]])
    return replace(net, control=replace(net.control, values={**net.control.values, "K": turn}))


def amplification(net):
    return float(models.stability_report(net, few).response[-1].mean())


print("steps     h   Euler  exp(h w^2 T/2)   least damping for Euler   with it   with half of it    RK4")
amplified = {}
for steps in (16, 32, 64) if SMALL else (16, 32, 64, 128, 256):
    h = TIME / steps
    euler, rk4 = amplification(rotation(steps)), amplification(rotation(steps, method="rk4"))
    line = f"{steps:5} {h:5.3f} {euler:7.4g} {np.exp(h * OMEGA**2 * TIME / 2):15.4g}"
    if h * OMEGA <= 1:
        least = (1 - np.sqrt(1 - (h * OMEGA) ** 2)) / h
        damped, half = amplification(rotation(steps, least)), amplification(rotation(steps, least / 2))
        line += f" {least:25.3f} {damped:9.4f} {half:16.4f}"
    else:
        line, damped, half = line + f" {'none is enough':>25}{'':26}", np.nan, np.nan
    amplified[steps] = np.array([euler, damped, half, rk4])
    print(line + f" {rk4:6.3f}")

# %% [markdown]
# With damping the eigenvalue is $-\gamma + i\omega$, and $|1 + h\lambda| \le 1$ is the condition
# $\gamma \ge h(\gamma^2 + \omega^2)/2$. The least $\gamma$ that meets it is
# $(1 - \sqrt{1 - h^2\omega^2})/h$; the table uses it. If $h\omega > 1$, there is none. The damping is no
# free gift either: taken as a property of the equation, it makes every signal die out like $e^{-\gamma t}$.
#
# The classical method of Runge and Kutta (RK4) contains the imaginary axis up to
# $h\omega = 2\sqrt2 = 2.83$. It needs four evaluations where Euler's method needs one. Verlet's method for
# pairs $(q, p)$ needs one evaluation of each part and is stable up to $h\omega = 2$.
#
# ## 3. Many layers, before training
#
# Now networks with random weights, other ones in each layer, all steps $h = 1/4$, up to 320 layers. How
# large is the gradient at the first layer, compared to that at the last one? Too large means that training
# shakes, too small that the first layers learn nothing. The report computes it by the adjoint of each step.

# %%
FAMILIES = {
    "plain, Euler": (models.Plain(), "euler"),
    "antisymmetric, Euler": (models.Antisymmetric(), "euler"),
    "antisymmetric, RK4": (models.Antisymmetric(), "rk4"),
    "damped, Euler": (models.Antisymmetric(gamma=0.3), "euler"),
    "Hamiltonian, Verlet": (models.Hamiltonian(), "verlet"),
    "double Hamiltonian, Verlet": (models.DoubleHamiltonian(), "verlet"),
    "second order, leapfrog": (models.SecondOrder(), "semi_implicit_euler"),
    "parabolic, Euler": (models.Parabolic(), "euler"),
}
COLOURS = dict(
    zip(
        FAMILIES,
        ("#111827", "#d9662b", "#f0a35e", "#b91c1c", "#1f5fa8", "#6aa5e3", "#7c4dbd", "#3c8d4f"),
        strict=True,
    )
)


def fresh(family, seed, depth, final_time, classes=5):
    dynamics, method = FAMILIES[family]
    return models.StableNet.create(
        seed, dynamics, 2, 8, classes, depth=depth, final_time=final_time, method=method
    )


final_times = (4, 16) if SMALL else (5, 20, 80)
first_gradient, growth, along = {}, {}, {}
print(
    f"{'gradient at the start for T =':<29}" + "".join(f"{T:>9}" for T in final_times) + "   growth of a step"
)
for family in FAMILIES:
    reports = [
        [models.stability_report(fresh(family, seed, 4 * T, T), few) for seed in range(1 if SMALL else 2)]
        for T in final_times
    ]
    first_gradient[family] = [
        np.exp(np.mean([np.log(r.gradient[0]) for r in of_time])) for of_time in reports
    ]
    growth[family] = max(r.growth.max() for of_time in reports for r in of_time)
    along[family] = reports[-1][0].gradient
    row = "".join(f"{g:9.2g}" for g in first_gradient[family])
    print(f"{family:<29}{row}{growth[family]:13.3f}")

# %%
figure, axes = plt.subplots(figsize=(8.4, 3.8), layout="constrained")
for family, norms in along.items():
    axes.semilogy(
        np.linspace(0, final_times[-1], len(norms)), norms, color=COLOURS[family], lw=1.4, label=family
    )
tidy(axes, "t", "norm of the gradient, 1 at the end", f"Random weights, {4 * final_times[-1]} layers")
axes.set_ylim(1e-5, 3e3)
axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
keep(figure, "03_gradients")

# %% [markdown]
# * **To be stable is not enough.** The parabolic network brings all states together. That is what it
#   promises, and after 80 layers nothing is left by which two inputs could be told apart: the gradient at
#   the start is below $10^{-8}$. The damped network does the same more slowly.
# * **The plain network does not explode.** With random layers of the usual size gains and losses nearly
#   cancel, and its gradient is about ten times as large at the start as at the end of 320 layers. The
#   antisymmetric network with Euler's method is no better: each of its steps can grow, as section 2 says.
# * **Steps that do not grow can have a product that grows.** For the double Hamiltonian and the
#   second-order network each step has all of its eigenvalues on the unit circle: a growth of 1.000. Still
#   the gradient is about a thousand times as large after 320 layers. Eigenvalues say what happens when the
#   same step is repeated, and here each step is another one:
#   [another page](10_when_a_hamiltonian_network_still_explodes.py) is about this.
#
# The Hamiltonian network is the one whose gradient hardly changes. (The factors are for the full settings;
# the small ones stop at 64 layers.)
#
# ## 4. Trained on points
#
# Now the *peaks*: points of the plane in five classes, by the height of a landscape. All networks have
# width 8, eight layers and $T = 5$, so that $h = 0.625$, and all are trained by the same Adam for as many
# epochs. RK4 does four times the work. For each network we look at
#
# * the accuracy on new points, for each of three seeds, and on the data set *circle* for one;
# * the accuracy of the same weights in 64 steps instead of 8, which is nearer to the equation's solution;
# * the accuracy on new points to which noise was added;
# * the report: eigenvalues, growth of a step, gradient at the start, response to a small change of the
#   state.

# %%
SEEDS = range(1) if SMALL else range(3)
EPOCHS = 20 if SMALL else 50
NOISES = (0.0, 0.05, 0.1, 0.2, 0.4)


def loss(net, x, y):
    return models.softmax_cross_entropy(net(x), y)


def accuracy(net, x, y):
    return models.accuracy(net(x), y)


def train(net, data, epochs, rate, seed):
    """Adam with a rate that falls to zero, and the network after the last step."""
    steps = epochs * -(-len(data) // 64)
    optimizer = optim.adam(optim.cosine(rate, steps))
    return models.fit(net, loss, data, optimizer, epochs=epochs, batch_size=64, seed=seed).last


def with_noise(net, data, sigma):
    """The accuracy on points that were moved, a mean over some draws."""
    random = np.random.default_rng(0)
    moved = [data.x + sigma * random.normal(size=data.x.shape) for _ in range(5 if sigma else 1)]
    return float(np.mean([accuracy(net, x, data.y) for x in moved]))


trained, reports, noisy, finer, on_circle = {}, {}, {}, {}, {}
for family in FAMILIES:
    for seed in SEEDS:
        data, new = models.peaks(2000, seed=seed).split(0.5, seed=seed)
        net = train(fresh(family, seed, 8, 5.0), data, EPOCHS, 0.02, seed)
        trained[family, seed] = net
        reports[family, seed] = models.stability_report(net, new.x[:60])
        noisy[family, seed] = [with_noise(net, new, sigma) for sigma in NOISES]
        finer[family, seed] = float(accuracy(replace(net, steps=64), new.x, new.y))
    if not SMALL:
        data, new = models.circle(1000, seed=0).split(0.5, seed=0)
        net = train(fresh(family, 0, 8, 5.0, classes=2), data, 25, 0.02, 0)
        on_circle[family] = round(float(accuracy(net, new.x, new.y)), 3)


def mean(values, family):
    return np.mean([values[family, seed] for seed in SEEDS], axis=0)


accuracies = {family: mean(noisy, family) for family in FAMILIES}
print(f"{'':27} weights     peaks (each seed)             64 steps   circle   noise 0.1  noise 0.4")
for family, found in accuracies.items():
    size = sum(value.size for value in trained[family, 0].control.values.values())
    each = " ".join(f"{noisy[family, seed][0]:.3f}" for seed in SEEDS)
    print(
        f"{family:<27} {size:7} {found[0]:9.3f} ({each}) {'':{18 - len(each)}} "
        f"{mean(finer, family):9.3f} {on_circle.get(family, '-'):>8} {found[2]:10.3f} {found[4]:10.3f}"
    )

# %%
print(
    f"{'':26} largest real part   growth of a   share that   gradient at   response            in 64 steps:"
)
print(
    f"{'':26} of an eigenvalue    step, at most     grows      the start      mean  largest  growth  response"
)
new_points = models.peaks(2000, seed=0).split(0.5, seed=0)[1].x[: 10 if SMALL else 30]
measured = {}
for family in FAMILIES:
    mine = [reports[family, seed] for seed in SEEDS]
    measured[family] = {
        "real": max(r.eigenvalues.real.max() for r in mine),
        "growth": max(r.growth.max() for r in mine),
        "share": np.mean([r.growth > 1.001 for r in mine]),
        "gradient": np.mean([r.gradient[0] for r in mine]),
        "response": np.mean([r.response[-1].mean() for r in mine]),
        "largest": max(r.response[-1].max() for r in mine),
    }
    fine = models.stability_report(replace(trained[family, 0], steps=64), new_points)
    measured[family] |= {"fine growth": fine.growth.max(), "fine response": fine.response[-1].mean()}
    row = measured[family].values()
    print("{:<26} {:14.1e} {:15.2f} {:13.3f} {:12.1f} {:12.1f} {:8.1f} {:9.2f} {:9.2g}".format(family, *row))

# %%
shown = ["plain, Euler", "antisymmetric, Euler", "damped, Euler"]
shown += ["antisymmetric, RK4", "Hamiltonian, Verlet", "parabolic, Euler"]
figure, panels = plt.subplots(2, 3, figsize=(10.0, 6.6), layout="constrained")
for axes, family in zip(panels.ravel(), shown, strict=True):
    report = reports[family, 0]
    z = report.step * report.eigenvalues.ravel()
    left, right = min(-3.4, 1.05 * z.real.min()), 2.2
    x, y = np.meshgrid(np.linspace(left, right, 401), np.linspace(-3.4, 3.4, 401))
    tidy(axes, "real part", "imaginary part", family)
    if report.stability is None:  # Verlet: a segment of the axis
        axes.plot((0, 0), (-2, 2), color="0.82", lw=9, solid_capstyle="butt", zorder=0)
    else:
        axes.contourf(x, y, abs(report.stability(x + 1j * y)) <= 1, levels=(0.5, 1.5), colors=("0.86",))
    axes.axvline(0, color="0.5", lw=0.7)
    axes.scatter(z.real, z.imag, s=4, color=COLOURS[family], alpha=0.35)
    axes.set(xlim=(left, right), ylim=(-3.4, 3.4))
keep(figure, "03_eigenvalues")

# %%
known = models.peaks(4000 if SMALL else 16_000, seed=99)


def nearest(data, sigma):
    """The accuracy of one who nearly knows the landscape: the class of the nearest of many points."""
    x = data.x + sigma * np.random.default_rng(0).normal(size=data.x.shape)
    squares = (known.x**2).sum(axis=1) - 2 * x @ known.x.T
    return float(np.mean(known.y[squares.argmin(axis=1)] == data.y))


new = models.peaks(2000, seed=0).split(0.5, seed=0)[1]
ceiling = [nearest(new, sigma) for sigma in NOISES]
print(
    "the landscape itself, with noise:",
    "  ".join(f"{s:g}: {a:.3f}" for s, a in zip(NOISES, ceiling, strict=True)),
)

figure, axes = plt.subplots(1, 3, figsize=(10.6, 3.7), layout="constrained", width_ratios=(1.5, 1, 1))
for family, found in accuracies.items():
    axes[0].plot(NOISES, found, "o-", ms=3, lw=1.2, color=COLOURS[family], label=family)
axes[0].plot(NOISES, ceiling, "--", color=PALETTE["muted"], label="the landscape itself")
tidy(axes[0], "deviation of the noise on the inputs", "accuracy on new points", "Peaks, 8 layers")
axes[0].legend(frameon=False, fontsize="x-small", loc="lower left")
side = np.linspace(-3, 3, 121)
points = np.stack([axis.ravel() for axis in np.meshgrid(side, side)], axis=1)
for ax, family in zip(axes[1:], ("plain, Euler", "Hamiltonian, Verlet"), strict=True):
    seen = trained[family, 0](points).argmax(axis=1).reshape(121, 121)
    ax.contourf(side, side, seen, levels=np.arange(6) - 0.5, colors=class_colours(5), alpha=0.75)
    ax.set_title(family, fontsize="medium")
    ax.set(aspect="equal", xticks=[], yticks=[])
keep(figure, "03_noise")

# %% [markdown]
# (Grey: where a step lets nothing grow. For Verlet's method it is a piece of the axis, drawn with some
# width.)
#
# **No family is more accurate than another.** The seeds of one family are further apart (up to 0.05) than
# the means of the families (0.02), and the plain network is among the best. On the circle all of them are
# nearly perfect. What can be said for the Hamiltonian and the second-order network is that they do it with
# 160 weights in place of 576.
#
# **The equation is stable, the trained steps are not.** The largest real parts are zero or less for all
# except the plain network, as promised. But training has made the weights large, and with $h = 0.625$
# eigenvalues lie far outside of Euler's region of stability. Nearly all steps of the antisymmetric network
# grow, some by a factor of more than 2, and so do most of those of the damped and the parabolic network.
# (The damping 0.3 is too little for frequencies that have grown.) With Verlet's method and RK4 the steps
# are stable, except for one or two in a thousand, where even the limits 2 and 2.8 were passed. Accordingly
# the responses are of one size for all, from about half to one and a half times that of the plain network.
# The smallest is the Hamiltonian's.
#
# **What was learned may be the instability.** With 64 steps the steps are stable, or nearly. The parabolic
# network then answers the same for every input: its accuracy is that of guessing among five classes. Its
# equation contracts everything (the response is about 0.05), and what told the classes apart were
# overshooting steps of Euler's method. The antisymmetric network with Euler's method also falls below one
# half. The same antisymmetric equation, trained with RK4, loses about one point in a hundred, the
# Hamiltonian with Verlet's method ten. So take an integrator that is stable at the step with which you
# train, or the structure is only on paper. And to be stable is not yet to be accurate: the leapfrog is
# stable and loses a third.
#
# **Noise does not tell them apart.** All curves lie on one another. The dashed one shows why: it belongs to
# a classifier that knows the landscape (it takes the class of the nearest of many points). With noise it
# falls as the networks do, and with much noise even below them. Noise moves a point across the border of
# its class, and no stability of the classifier brings it back. The maps of the plane are alike as well.
# Robustness against noise on inputs is often given as a reason for stable networks. On these points there
# is nothing to be gained.
#
# ## 5. Deep networks
#
# With $T = 20$ and 64 layers the step is half as long, and half as many epochs or fewer have to do. One
# more competitor is the parabolic network with initial weights 0.3 times as large as usual.

# %%
DEEP, LONG = 64, 20.0
compared = ["plain, Euler", "parabolic, Euler", "parabolic, Euler, small weights"]
if not SMALL:
    compared[1:1] = ["antisymmetric, Euler", "antisymmetric, RK4", "Hamiltonian, Verlet"]
deep = {}
for family in compared:
    data, new = models.peaks(2000, seed=0).split(0.5, seed=0)
    start = fresh(family.removesuffix(", small weights"), 0, DEEP, LONG)
    if "small" in family:
        start = with_larger_weights(start, 0.3)
    before = models.stability_report(start, few)
    net = train(start, data, 5 if SMALL else 20, 0.01, 0)
    after = models.stability_report(net, few)
    deep[family] = float(accuracy(net, new.x, new.y))
    print(
        f"{family:<32} accuracy {deep[family]:.3f}   gradient at the start {before.gradient[0]:7.2g}, "
        f"after training {after.gradient[0]:7.2g}; growth of a step {after.growth.max():.3f}"
    )

# %% [markdown]
# The parabolic network with the usual initial weights learns nothing at all: its answers are guesses, and
# the gradient that could change this is of the order of $10^{-8}$. With smaller weights it begins to learn.
# For contracting networks the product of final time and squared weights has to be small. The plain network
# of 64 layers learns without any structure, as well as the Hamiltonian does. In the full settings, the two
# antisymmetric networks are somewhat better, for the one seed that was tried.
#
# ## 6. In short
#
# | claim | what was measured |
# |---|---|
# | eigenvalues never lie right of the axis | true for all weights and states, to rounding |
# | Euler's method is unstable on the axis | true: growth $e^{h\omega^2T/2}$; damping or RK4 mends it |
# | a stable network has gradients that neither explode nor vanish | neither is sure: $10^{-8}$ and $10^3$ |
# | stable networks are more accurate | not on these points |
# | stable networks are more robust against noise | not on these points; the noise itself sets the limit |
# | a trained stable network is stable | only if its integrator was, with the step of the training |
# | what the pairs $(q, p)$ certainly buy | fewer weights, and steps that can be undone |
#
# The last point is the subject of [the next page](04_a_reversible_network_of_1202_layers.py).

# %%
assert rates["plain"].real.max() > 1
assert all(abs(rates[name].real).max() < 1e-6 for name in rates if name in (
    "antisymmetric", "Hamiltonian", "double Hamiltonian", "second order"
))  # fmt: skip
assert -0.1 < rates["damped"].real.max() < 0 and rates["parabolic"].real.max() < 1e-12
for steps, (euler, damped, half, rk4) in amplified.items():
    exact = (1 + (OMEGA * TIME / steps) ** 2) ** (steps / 2)
    assert abs(euler / exact - 1) < 1e-5 and euler > 1.5 and rk4 < 1 + 1e-6
    assert np.isnan(damped) or (abs(damped - 1) < 1e-5 and half > 1.3)
late = {family: values[1] for family, values in first_gradient.items()}
assert late["parabolic, Euler"] < 1e-4 and late["damped, Euler"] < 0.5
assert 0.6 < late["Hamiltonian, Verlet"] < 1.6
for family in ("double Hamiltonian, Verlet", "second order, leapfrog"):
    assert growth[family] < 1 + 1e-6 and first_gradient[family][-1] > (3 if SMALL else 100)
clean = {family: found[0] for family, found in accuracies.items()}
assert max(clean.values()) - clean["plain, Euler"] < (0.12 if SMALL else 0.03)
assert SMALL or min(on_circle.values()) > 0.97
assert all(m["real"] < 1e-6 for family, m in measured.items() if family != "plain, Euler")
assert measured["antisymmetric, RK4"]["share"] < 0.01 < 0.7 < measured["antisymmetric, Euler"]["share"]
assert measured["antisymmetric, Euler"]["growth"] > 1.5 and measured["Hamiltonian, Verlet"]["share"] < 0.05
assert measured["parabolic, Euler"]["growth"] > 3 and measured["parabolic, Euler"]["fine response"] < 0.3
assert mean(finer, "parabolic, Euler") < 0.3 and mean(finer, "antisymmetric, Euler") < 0.6
assert mean(finer, "antisymmetric, RK4") > clean["antisymmetric, RK4"] - 0.05
assert np.ptp([found[4] for found in accuracies.values()]) < 0.08
assert all(found[4] > ceiling[4] - 0.02 for found in accuracies.values())
assert deep["plain, Euler"] > 0.6 and deep.get("Hamiltonian, Verlet", 1.0) > 0.8
assert deep["parabolic, Euler"] < 0.3 < 0.4 < deep["parabolic, Euler, small weights"]
