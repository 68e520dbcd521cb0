"""Parameters that change in time: functions of it, their steps, and every gradient by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyad as ad
from tests.models.ode.problems import Array, by_hand, distance, slopes, vector
from tinyad.models import ode

RANDOM = np.random.default_rng(7)
Y0 = RANDOM.normal(size=(5, 3))
T1 = 2.0
CONTROLS = {
    "constant": ode.PiecewiseConstant({"K": RANDOM.normal(size=(8, 3, 3)), "b": RANDOM.normal(size=(8, 3))}, (0.0, T1)),
    "linear": ode.PiecewiseLinear({"K": RANDOM.normal(size=(9, 3, 3)), "b": RANDOM.normal(size=(9, 3))}, (0.0, T1)),
}
each_control = pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)


def layer(t: Any, y: Any, theta: Any) -> Any:
    return ad.tanh(y @ theta["K"] + theta["b"])


def gradient(control: ode.Control, adjoint: ode.Adjoint, compiled: bool = False, **settings: Any) -> Array:
    def loss(y0: Any, control: Any) -> Any:
        return ad.sum(ode.odeint(layer, y0, (0.0, T1), control, adjoint=adjoint, **settings) ** 2)

    of_both = ad.grad(loss, argnums=(0, 1))
    return vector((ad.compile(of_both) if compiled else of_both)(Y0, control))


def exact_for(method: str) -> list[ode.Adjoint]:
    reversible = [ode.Reversible()] if ode.METHODS[method].reversible else []
    symplectic = [ode.Symplectic()] if method in ("euler", "rk4") else []
    return [ode.Discrete(), ode.Checkpoint(), ode.Checkpoint(3, "revolve"), ode.Forward(), *reversible, *symplectic]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", ["euler", "rk4", "leapfrog", "reversible_heun"])
@each_control
def test_exact_adjoints_agree(control: ode.Control, method: str, compiled: bool) -> None:
    if method == "reversible_heun" and isinstance(control, ode.PiecewiseConstant):
        return  # refused, see below
    expected = gradient(control, ode.Tape(), method=method, steps=16)
    for adjoint in exact_for(method):
        assert distance(gradient(control, adjoint, compiled, method=method, steps=16), expected) <= 1e-13, adjoint


@each_control
def test_the_gradient_is_that_of_steps_by_hand(control: ode.Control) -> None:
    """A complex step through a textbook's method, one cell after the other."""
    found = gradient(control, ode.Discrete(), steps=16)
    direction = RANDOM.normal(size=found.shape)
    dy, dcontrol = ad.tree.ravel((Y0, control))[1](direction)
    moved = {name: control.values[name] + 1e-40j * dcontrol.values[name] for name in ("K", "b")}

    def f(t: float, y: Any, cell: int) -> Any:
        s = (t - cell * 0.25) / 0.25 if isinstance(control, ode.PiecewiseLinear) else 0.0
        K, b = ((1 - s) * values[cell] + (s * values[cell + 1] if s else 0.0) for values in moved.values())
        return np.tanh(y @ K + b)

    y = Y0 + 1e-40j * dy
    for cell in range(8):
        y = by_hand(ode.RK4, lambda t, y, cell: f(t + 0.25 * cell, y, cell), y, 0.25, cell, 2)
    assert found @ direction == pytest.approx((y**2).sum().imag / 1e-40, rel=1e-12)


@each_control
def test_continuous_adjoints_approach_the_exact_ones(control: ode.Control) -> None:
    for adjoint in (ode.Backsolve(), ode.Backsolve(restarts=3), ode.Interpolating()):
        gaps = [
            distance(gradient(control, adjoint, steps=n), gradient(control, ode.Discrete(), steps=n)) for n in (32, 64, 128)
        ]
        assert slopes(gaps)[-1] >= 3.85, adjoint


@each_control
def test_no_order_is_lost_at_the_knots(control: ode.Control) -> None:
    exact = ode.odeint(layer, Y0, (0.0, T1), control, method="dopri5", steps=800)
    errors = [distance(ode.odeint(layer, Y0, (0.0, T1), control, steps=n), exact) for n in (32, 64, 128)]
    assert slopes(errors)[-1] >= 3.85
    assert distance(ode.odeint(layer, Y0, (0.0, T1), control, rtol=1e-9), exact) < 1e-8
    assert distance(ode.solve(layer, Y0, (0.0, T1), control, rtol=1e-9)(T1), exact) < 1e-8
    assert distance(ode.odeint(layer, exact, (T1, 0.0), control, method="dopri5", steps=800), Y0) < 1e-10
    times = [0.1, 0.25, 2.0]  # among them a knot
    outputs = ode.odeint(layer, Y0, (0.0, T1), control, steps=64, times=times)
    for t, found in zip(times, outputs, strict=True):
        assert distance(found, ode.odeint(layer, Y0, (0.0, t), control, method="dopri5", steps=800)) < 1e-4


@given(st.integers(1, 6), st.sampled_from(["constant", "linear"]), st.floats(0.0, T1))
def test_refined_controls_are_the_same_functions(cells: int, kind: str, t: float) -> None:
    make = ode.PiecewiseConstant if kind == "constant" else ode.PiecewiseLinear
    control = make([np.random.default_rng(cells).normal(size=(cells + (kind == "linear"), 2))], (0.0, T1))
    finer = control.refined()
    assert finer.cells == 2 * cells
    np.testing.assert_allclose(finer(t)[0], control(t)[0], atol=1e-12)


def test_memory_of_the_way_back_does_not_depend_on_the_depth() -> None:
    def stored(cells: int) -> int:
        control, ledger = ode.PiecewiseConstant(RANDOM.normal(size=(cells, 3, 3)), (0.0, 1.0)), ode.Ledger()

        def loss(control: Any) -> Any:
            f = (lambda t, p, K: ad.tanh(p @ K), lambda t, q, K: -ad.tanh(q @ K.T))
            settings: dict[str, Any] = {"method": "verlet", "steps": cells, "adjoint": ode.Reversible(), "ledger": ledger}
            return ad.sum(ode.odeint(f, (Y0, Y0), (0.0, 1.0), control, **settings)[0])

        ad.grad(loss)(control)
        return ledger.stored

    assert stored(10) == stored(100) == 1


def test_float32_stays() -> None:
    for control in CONTROLS.values():
        single = ad.tree.map(lambda x: x.astype(np.float32), control)
        found = ad.grad(lambda c: ad.sum(ode.odeint(layer, Y0.astype(np.float32), (0.0, T1), c, steps=8)))(single)
        assert found.values["K"].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ode.PiecewiseLinear(np.zeros((1, 2)), (0.0, 1.0)), r"\[1\] rows.*at least 2"),
        (lambda: ode.PiecewiseConstant([np.zeros(2), np.zeros(3)], (0.0, 1.0)), r"\[2, 3\] rows.*one first axis"),
        (lambda: ode.PiecewiseConstant(np.zeros(2), (1.0, 1.0)), "expected .start, end. with start < end"),
        (lambda: CONTROLS["linear"](2.5), r"t=2\.5 lies outside the interval from 0 to 2"),
        (lambda: ode.odeint(layer, Y0, (0.0, 3.0), CONTROLS["linear"]), "lies outside the interval from 0 to 2"),
        (lambda: ode.odeint(layer, Y0, (0.0, 2.0), CONTROLS["linear"], steps=[0.0, 1.0, 2.0]), r"theta has a knot at t=0\.25"),
        (
            lambda: ode.odeint(layer, Y0, (0.0, 2.0), CONTROLS["constant"], method="reversible_heun"),
            "where a piecewise constant theta jumps.*PiecewiseLinear",
        ),
        (
            lambda: gradient(CONTROLS["linear"], ode.Backsolve(), method="leapfrog", steps=8),
            "the state of 'leapfrog' is more than the solution",
        ),
    ],
)
def test_settings_that_do_not_fit(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
