# %% [markdown]
# # Adjoints side by side
#
# The gradient of a differential equation's solution can be had in many ways: record everything and walk back;
# keep the states and differentiate step by step; keep a few of them; keep none and solve an equation
# backwards. They cost different amounts of memory and work, and they do not all give the same number. This
# page runs all of them on one problem, with the same code, and shows where two "right" gradients part.

# %%
import functools
import os

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad.models import ode
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the settings of the test suite

# %% [markdown]
# ## 1. One problem
#
# A small network as right-hand side, $y' = \tanh(y W_1 + t\,w + b_1) W_2 + b_2$. It depends on time on
# purpose: on an equation that does not, a wrong node of a method is never seen. The loss is a misfit at $t =
# 1$.

# %%
random = np.random.default_rng(0)
theta = {
    "W1": 0.5 * random.normal(size=(4, 16)),
    "w": 0.5 * random.normal(size=16),
    "b1": np.zeros(16),
    "W2": 0.5 * random.normal(size=(16, 4)),
    "b2": random.normal(size=4),
}
y0, target = random.normal(size=(8, 4)), random.normal(size=(8, 4))


def f(t, y, theta):
    return ad.tanh(y @ theta["W1"] + t * theta["w"] + theta["b1"]) @ theta["W2"] + theta["b2"]


def misfit(y):
    return 0.5 * ad.sum((y - target) ** 2) / 8


problem = ode.Problem(f, y0, (0.0, 1.0), theta, misfit)

# %% [markdown]
# ## 2. The table
#
# `error` is the distance to the gradient of the exact solution, `gap` that to the gradient of the solution
# as it was computed. An exact adjoint has no gap, whatever the step. Its error is the method's, and falls
# with its order. `f`, `vjps` and `stored` are counted, not timed: evaluations, products with the transposed
# Jacobian, and the most states that were held at once.

# %%
adjoints = [
    a for a in ode.ADJOINTS if a != ode.Forward()
]  # one column of sensitivities for each of 212 numbers
table = ode.compare_adjoints(problem, "rk4", (8, 16) if SMALL else (8, 16, 32, 64, 128), adjoints)
print(table)
keep(table.plot(), "adjoints_of_rk4")

# %% [markdown]
# Everything that belongs to one trade-off is in these four panels. `Tape` is the cheapest in work and the
# most expensive in memory. `Discrete` computes each stage once more and holds a state for each step.
# Checkpoints pay with more evaluations for fewer states. `Backsolve` holds one state, and pays with the gap.
#
# ## 3. The gap has an order of its own
#
# For Euler's method and for RK4 the gap falls with the order of the method. For Heun's method it falls with
# the *third* power, one more than the method's order. `Interpolating` follows the states by a cubic, so for
# Dormand and Prince's method of order five it cannot do better than four. A test that asks for "about the
# order" would fail on right code; ask for at least `min(p, 4)`.

# %%
continuous, orders = [ode.Backsolve(), ode.Interpolating()], {}
for method in ("euler", "heun", "rk4", "dopri5"):
    rows = ode.compare_adjoints(problem, method, (8, 16) if SMALL else (8, 16, 32), continuous)
    orders[method] = [
        rows.of(method, adjoint)[-1].order for adjoint in (ode.Backsolve(), ode.Interpolating())
    ]
    print(f"{method:8} backsolve {orders[method][0]:.2f}   interpolating {orders[method][1]:.2f}")

# %% [markdown]
# ## 4. Where solving backwards is lost
#
# The first component relaxes to 1 at the rate $\lambda$, the second one looks at the distance:
#
# $$y_1' = -\lambda (y_1 - 1), \qquad y_2' = \tanh(a (y_1 - 1)), \qquad y(0) = (3, 0).$$
#
# Forwards nothing could be more stable. Backwards an error grows like $e^{\lambda T}$: the computed $y_1(T)$
# is 1 up to rounding, and where it came from is gone. No number of steps brings it back. A few stored states
# do.


# %%
def relaxation(t, y, theta):
    rate, a = theta
    return ad.stack([-rate * (y[0] - 1.0), ad.tanh(a * (y[1] * 0.0 + y[0] - 1.0))])


@functools.cache
def derivative(adjoint, rate, steps, dtype=np.float64):
    """Of the second component at the end, by a."""
    start = np.array([3.0, 0.0], dtype)

    def end(a):
        theta = (ad.asarray(rate, dtype=dtype), a)
        return ode.odeint(relaxation, start, (0.0, 1.0), theta, steps=steps, adjoint=adjoint)[1]

    of_a = ad.grad(end) if SMALL else ad.compile(ad.grad(end))  # pays from some hundred steps on
    return float(of_a(dtype(0.5)))


def error(adjoint, rate, steps, dtype=np.float64):
    exact = derivative(ode.Discrete(), rate, steps)
    return abs(derivative(adjoint, rate, steps, dtype) / exact - 1)


rates = (5, 20, 40) if SMALL else (2, 5, 10, 15, 20, 25, 30, 35, 40)
steps = 160 if SMALL else 2048
lost = {rate: error(ode.Backsolve(), rate, steps) for rate in rates}
restarted = {rate: error(ode.Backsolve(restarts=15), rate, steps) for rate in rates}
single = {rate: error(ode.Backsolve(), rate, steps, np.float32) for rate in rates}
for rate in rates:
    errors = (single[rate], lost[rate], restarted[rate])
    print("rate {:3}   float32 {:8.1e}   float64 {:8.1e}   15 restarts {:8.1e}".format(rate, *errors))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
tidy(left, "rate times time", "relative error of the derivative", f"solved backwards in {steps} steps")
for values, label, colour in (
    (single, "float32", "second"),
    (lost, "float64", "first"),
    (restarted, "15 restarts", "third"),
):
    left.semilogy(
        rates, [max(values[rate], 1e-16) for rate in rates], "o-", color=PALETTE[colour], label=label
    )
left.semilogy(
    rates,
    0.1 * np.finfo(float).eps * np.exp(np.array(rates, float)),
    ":",
    color="0.5",
    label="0.1 eps exp(rate)",
)
left.set_ylim(1e-16, 30)
left.legend(fontsize="small")

grid = (32, 64) if SMALL else (32, 64, 128, 256, 512, 1024, 2048)
phases = np.array([[np.log10(error(ode.Backsolve(), rate, n) + 1e-16) for rate in rates] for n in grid])
image = right.imshow(phases, origin="lower", aspect="auto", cmap="viridis", vmin=-14, vmax=0)
right.set_xticks(range(len(rates)), rates)
right.set_yticks(range(len(grid)), grid)
tidy(right, "rate times time", "steps", "log10 of the error, float64")
right.grid(False)
figure.colorbar(image, ax=right)
keep(figure, "where_backsolve_is_lost")

# %% [markdown]
# To the left of the picture more steps help, because the method's error is what is seen. To the right nothing
# helps: the picture does not change from row to row.
#
# ## 5. Two traps for tests
#
# First, observations on the way hide it. Where the loss looks at the solution at several times, the way back
# restarts from each of these states, so a problem with thirty observations passes.
#
# Second, the gradient may look right while the states on the way back are far off. So look at both.

# %%
times = np.linspace(0, 1, 17)[1:]


def at_many_times(adjoint):
    def total(a):
        theta = (40.0, a)
        y = ode.odeint(
            relaxation, np.array([3.0, 0.0]), (0.0, 1.0), theta, steps=128, times=times, adjoint=adjoint
        )
        return ad.sum(y[:, 1])

    return float(ad.grad(total)(0.5))


hidden = abs(at_many_times(ode.Backsolve()) / at_many_times(ode.Discrete()) - 1)
print(f"rate 40, 16 observations: error {hidden:.1e}")

contraction = {**theta, "W2": -8.0 * theta["W1"].T, "b2": np.zeros(4)}
end = ode.odeint(f, y0, (0.0, 1.0), contraction, steps=200)
start = ode.odeint(f, end, (1.0, 0.0), contraction, steps=200)
shrinking = problem._replace(theta=contraction)
found, exact = (shrinking.gradient("rk4", 200, adjoint) for adjoint in (ode.Backsolve(), ode.Discrete()))
of_states = np.linalg.norm(start - y0) / np.linalg.norm(y0)
of_gradient = np.linalg.norm(found - exact) / np.linalg.norm(exact)
print(f"a contracting network: the initial state found again is off by {of_states:.1e},")
print(f"the gradient by {of_gradient:.1e}")

# %%
assert max(row.gap for row in table.of("rk4", ode.Checkpoint(4, "revolve"))) < 1e-14
assert table.of("rk4", ode.Backsolve())[-1].order > 3.85
assert orders["heun"][0] > 2.85 and orders["dopri5"][1] < 4.4
assert lost[40] > 0.2 and restarted[40] < 1e-4 and lost[5] < 1e-6
assert single[20] > 100 * lost[20]
assert hidden < 1e-3
assert of_states > 10 * of_gradient
