# %% [markdown]
# # Finding a wrong tableau
#
# A Runge-Kutta method is a table of numbers. One wrong digit, and the method still runs, still converges,
# and still passes a test that asks for "a small error". Two such tables have been in a library in wide use,
# with all its tests green: one with a wrong node, one that moved on with the weights of its error estimate.
# This page rebuilds both mistakes and finds them, first by measuring, then without computing a single step.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from tinyad.models import ode
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the settings of the test suite

# %% [markdown]
# ## 1. Steps made of any numbers
#
# `ode.Tableau` would refuse the wrong ones, as we shall see. So the step is written by hand. The stages of an
# implicit method are equations; for a short step a few repetitions solve them.


# %%
def step_of(A, b, c, repetitions=1):
    """A step of a Runge-Kutta method; implicit ones need repetitions."""

    def step(f, t, h, y):
        k = [f(t, y) for _ in b]
        for _ in range(repetitions):
            for i, (row, node) in enumerate(zip(A, c, strict=True)):
                k[i] = f(t + node * h, y + h * sum(a * slope for a, slope in zip(row, k, strict=True)))
        return y + h * sum(weight * slope for weight, slope in zip(b, k, strict=True))

    return step


# %% [markdown]
# ## 2. The first suspect: two nodes that are one
#
# Gauss's method with two stages has order four. Its nodes lie to both sides of the middle,
# $\frac12 \mp \frac{\sqrt 3}{6}$. In the wrong table the sign of the second one is lost.

# %%
s = np.sqrt(3) / 6
gauss_A = np.array([[1 / 4, 1 / 4 - s], [1 / 4 + s, 1 / 4]])
gauss_b = np.array([1 / 2, 1 / 2])
right_c, wrong_c = np.array([1 / 2 - s, 1 / 2 + s]), np.array([1 / 2 - s, 1 / 2 - s])


def pendulum(t, y, theta):
    """It does not depend on time."""
    return np.array([y[1], -np.sin(y[0])])


right, wrong = (step_of(gauss_A, gauss_b, c, repetitions=12) for c in (right_c, wrong_c))
at_rest = ode.check_order(wrong, order=4, f=pendulum, y0=np.array([1.0, 0.5]))
driven = ode.check_order(wrong, order=4)
print("on an equation that does not depend on time")
print(at_rest)
print("\non one that does")
print(driven)
gauss = ode.check_order(right, order=4)

# %% [markdown]
# On the pendulum at rest the wrong method has order four: the nodes are never used there. On the driven one
# it has order one. A test on equations that do not depend on time can not see this mistake at all.
#
# ## 3. The second suspect: weights in the wrong place
#
# A method of order five carries a second row of weights, of order four. The distance of the two results
# estimates the error. Who moves on with the second row has a method of order four, with "order 5" written on
# it.

# %%
dopri = ode.DOPRI5
fifth = ode.check_order(step_of(dopri.A, dopri.b, dopri.c, 7), order=5, steps=(20, 40, 80))
fourth = ode.check_order(step_of(dopri.A, dopri.b_hat, dopri.c, 7), order=5, steps=(20, 40, 80))
print("slopes with b:    ", fifth.slopes.round(2), "passed" if fifth else "FAILED")
print("slopes with b_hat:", fourth.slopes.round(2), "passed" if fourth else "FAILED")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
pairs = (("Gauss, two stages", gauss, driven, 4), ("Dormand and Prince", fifth, fourth, 5))
for ax, (title, good, bad, order) in zip(axes, pairs, strict=True):
    tidy(ax, "steps", "relative error", title)
    ax.loglog(good.steps, good.errors, "o-", color=PALETTE["first"], label="right")
    ax.loglog(bad.steps, bad.errors, "o-", color=PALETTE["second"], label="wrong")
    expected = good.errors[0] * (good.steps[0] / good.steps) ** order
    ax.loglog(good.steps, expected, "--", color=PALETTE["muted"], label=f"order {order}")
    ax.legend(fontsize="small")
keep(figure, "orders_of_wrong_tableaux")

# %% [markdown]
# ## 4. Without a single step
#
# The Taylor series of the exact solution and that of a step are sums over rooted trees: each tree says how
# derivatives of $f$ are nested. The two series agree up to order $p$ if for each tree with at most $p$ nodes
#
# $$\sum_i b_i\, \Phi_i(\text{tree}) = \frac{1}{\gamma(\text{tree})},$$
#
# where $\Phi_i$ is a product of sums over rows of $A$, and $\gamma$ multiplies the sizes of all subtrees.
# There are 1, 1, 2, 4 and 9 trees with one to five nodes: seventeen equations for order five. All of them
# assume that each node is the sum of its row, which is one condition more for each stage. `check_tableau`
# tests all of these.

# %%
for name, arguments in {
    "wrong nodes": (gauss_A, gauss_b, wrong_c, 4),
    "wrong weights": (dopri.A, dopri.b_hat, dopri.c, 5),
}.items():
    print(name)
    for violation in ode.check_tableau(*arguments):
        print("   ", violation)

# %% [markdown]
# The first list names the row. The second one names trees with five nodes and no smaller ones, which says
# that the weights are those of a method of order four. A `Tableau` runs this check when it is made, so a
# wrong one does not come into being.

# %%
try:
    ode.Tableau(gauss_A, gauss_b, wrong_c, order=4, name="gauss2")
    refusal = ""
except ValueError as error:
    refusal = str(error)
print(refusal)

# %% [markdown]
# ## 5. How sharp is the check?
#
# Each number of the classical method of order four is moved by a millionth, one after the other. Then by as
# much as a misprint would. Which are found by the conditions, and which by measuring the order?


# %%
def mutants(tableau, change):
    """Every table in which one number that matters differs."""
    for i in range(tableau.stages):
        for j in range(i):
            A = tableau.A.copy()
            A[i, j] += change
            yield f"A[{i}, {j}]", A, tableau.b, tableau.c
        for which in ("b", "c"):
            values = {"b": tableau.b.copy(), "c": tableau.c.copy()}
            values[which][i] += change
            yield f"{which}[{i}]", tableau.A, values["b"], values["c"]


by_conditions = [bool(ode.check_tableau(A, b, c, 4)) for _, A, b, c in mutants(ode.RK4, 1e-6)]
steps = (10, 20, 40) if SMALL else (20, 40, 80, 160)
measured = {
    name: ode.check_order(step_of(A, b, c, 4), order=4, steps=steps).passed
    for name, A, b, c in mutants(ode.RK4, 0.02)
}
print(f"moved by a millionth, found by the conditions: {sum(by_conditions)} of {len(by_conditions)}")
print(
    f"moved by 0.02, found by measuring: {sum(not passed for passed in measured.values())} of {len(measured)}"
)
print("not found by measuring:", [name for name, passed in measured.items() if passed])

# %%
assert at_rest.passed and not driven.passed and gauss.passed
assert driven.slopes[-1] < 1.3
assert fifth.passed and not fourth.passed and fourth.slopes[-1] < 4.5
assert not ode.check_tableau(gauss_A, gauss_b, right_c, 4)
assert str(ode.check_tableau(gauss_A, gauss_b, wrong_c, 4)[0]).startswith("row 1 of A")
assert all("order 5" in str(v) for v in ode.check_tableau(dopri.A, dopri.b_hat, dopri.c, 5))
assert "breaks 1 of the conditions" in refusal
assert all(by_conditions) and not any(measured.values())
