"""Adaptive steps, dense output, events and implicit methods, and what the messages say where they fail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.models.ode.problems import PAIR, THETA, Y0, by_hand, distance, gradient, misfit, network, slopes
from tinyad import models
from tinyad.models import ode

EXACT = by_hand(ode.DOPRI5, network, Y0, 1.0, THETA, 1000)


# ---- adaptive steps


@pytest.mark.parametrize("control", [ode.I(), ode.PI(), ode.PI(first=0.5)], ids=["I", "PI", "first step"])
@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_the_error_is_about_what_was_allowed(rtol: float, control: ode.I) -> None:
    ledger = ode.Ledger()
    found = ode.odeint(network, Y0, (0.0, 1.0), THETA, rtol=rtol, atol=1e-3 * rtol, control=control, ledger=ledger)
    assert 1e-3 * rtol < distance(found, EXACT) < rtol
    assert ledger.steps < 45 and ledger.rejected <= (6 if control.first else 3)  # a first step of 0.5 is far too long


def test_steps_follow_the_solution() -> None:
    """Short where it bends: a pulse at t = 2."""
    y = ode.solve(lambda t, y, theta: -y + 50.0 * np.exp(-400.0 * (t - 2.0) ** 2), 1.0, (0.0, 4.0), rtol=1e-6)
    lengths, middles = np.diff(y.times), (y.times[1:] + y.times[:-1]) / 2
    assert lengths[abs(middles - 2.0) < 0.1].max() < 0.3 * lengths[middles > 3.0].min()


def test_backwards_in_time_and_at_times() -> None:
    times = [0.8, 0.5, 0.0]
    found = ode.odeint(network, EXACT, (1.0, 0.0), THETA, rtol=1e-10, times=times)
    assert distance(found[-1], Y0) < 1e-8
    for t, row in zip(times, found, strict=True):
        assert distance(row, by_hand(ode.DOPRI5, network, Y0, t, THETA, 500) if t else Y0) < 1e-8


@pytest.mark.parametrize("adjoint", [ode.Tape(), ode.Discrete(), ode.Checkpoint(3, "revolve"), ode.Symplectic()], ids=repr)
def test_the_gradient_is_that_of_the_accepted_steps(adjoint: ode.Adjoint) -> None:
    grid = ode.solve(network, Y0, (0.0, 1.0), THETA, rtol=1e-5).times
    found = gradient("dopri5", adjoint, None, rtol=1e-5)
    assert distance(found, gradient("dopri5", ode.Tape(), grid)) <= 1e-13

    direction = np.random.default_rng(0).normal(size=found.shape)
    dy, dtheta = ad.tree.ravel((Y0, THETA))[1](direction)

    def loss(s: float, **settings: Any) -> float:
        theta = {name: THETA[name] + s * dtheta[name] for name in THETA}
        return float(misfit(ode.odeint(network, Y0 + s * dy, (0.0, 1.0), theta, method="dopri5", **settings)))

    frozen = (loss(1e-5, steps=grid) - loss(-1e-5, steps=grid)) / 2e-5
    assert found @ direction == pytest.approx(frozen, rel=1e-8)
    assert found @ direction == pytest.approx((loss(1e-5, rtol=1e-5) - loss(-1e-5, rtol=1e-5)) / 2e-5, rel=1e-4)


def test_work_is_not_done_twice_where_no_gradient_is_asked_for() -> None:
    alone = ode.Ledger()
    ode.odeint(network, Y0, (0.0, 1.0), THETA, rtol=1e-6, ledger=alone)
    assert alone.evaluations == 6 * (alone.steps + alone.rejected) + 2  # the last slope of a step is the first of the next


def test_the_lectures_three_taylor_panels() -> None:
    """A network on the spiral: the remainder of a loose continuous adjoint loses an order where steps become small."""
    random = np.random.default_rng(0)
    data = models.spiral(4)
    shapes = {"W1": (2, 50), "b1": (50,), "W2": (50, 2), "b2": (2,)}
    theta = {name: 0.3 * random.normal(size=shape) if name[0] == "W" else np.zeros(shape) for name, shape in shapes.items()}
    flat, back = ad.tree.ravel(theta)
    direction = random.normal(size=flat.shape)
    direction /= np.linalg.norm(direction)

    def slopes_of(**settings: Any) -> Any:
        def loss(theta: Any) -> Any:
            f = lambda t, u, theta: ad.tanh(u**3 @ theta["W1"] + theta["b1"]) @ theta["W2"] + theta["b2"]
            y = ode.odeint(f, np.array([2.0, 0.0]), (0.0, 1.5), theta, times=data.times[1:], **settings)
            return ad.sum((y - data.states[1:]) ** 2) / 3

        value, gradient = ad.value_and_grad(loss)(theta)
        slope = ad.tree.ravel(gradient)[0] @ direction
        remainders = [abs(loss(back(flat + h * direction)) - value - h * slope) for h in 2.0 ** -np.arange(6.0, 17.0)]
        return slopes(remainders)

    def continuous(rtol: float, atol: float) -> Any:
        return slopes_of(rtol=rtol, atol=atol, adjoint=ode.Backsolve(rtol=rtol, atol=atol))

    assert np.median(slopes_of(method="rk4", steps=30)) >= 1.9
    assert np.median(continuous(1e-7, 1e-9)) >= 1.9
    assert continuous(1e-2, 1e-2)[-1] <= 1.3


def test_the_way_back_with_steps_of_its_own() -> None:
    """As right as its tolerance; the seminorm takes fewer steps, and is hardly less right."""
    exact = gradient("dopri5", ode.Discrete(), 400)
    work = {}
    for norm in ("seminorm", "full"):
        for rtol in (1e-3, 1e-6, 1e-9):
            ledger = ode.Ledger()
            adjoint = ode.Backsolve(rtol=rtol, atol=1e-3 * rtol, norm=norm)  # type: ignore[arg-type]
            found = gradient("dopri5", adjoint, None, rtol=1e-10, atol=1e-12, ledger=ledger)
            assert 1e-4 * rtol < distance(found, exact) < 30 * rtol, (norm, rtol)
            work[norm, rtol] = ledger.vjps
    assert work["seminorm", 1e-6] < work["full", 1e-6]
    with pytest.raises(TypeError, match="'rk4' has no embedded method"):
        gradient("rk4", ode.Backsolve(rtol=1e-3), 10)
    with pytest.raises(ValueError, match="norm='max'"):
        ode.Backsolve(norm="max")  # type: ignore[arg-type]


def decay(t: Any, y: Any, rate: Any) -> Any:
    return -rate * (y - np.cos(t))


FAILING = [
    ("underflow", lambda: ode.odeint(lambda t, y, theta: y * y, 1.0, (0.0, 2.0), rtol=1e-6),
     r"at t=1 the step has become .*grows beyond all bounds"),
    ("too many", lambda: ode.odeint(decay, 0.0, (0.0, 2.0), 1e6, rtol=1e-6, max_steps=500),
     r"500 steps led from t=0 to .*eigenvalues of about 1.0e\+06.*stiff: take method='implicit_euler'"),
    ("unstable", lambda: ode.odeint(decay, 0.0, (0.0, 2.0), 1e4, steps=200),
     r"no longer finite after step \d+ of 200, from t=.*eigenvalues of about 1.0e\+04, times the step 1.0e\+02.*Take more steps"),
    ("NaN", lambda: ode.odeint(lambda t, y, theta: np.sqrt(1.0 - t) * y, 1.0, (0.0, 2.0), steps=10),
     r"no longer finite after step \d of 10"),
    ("NaN of f", lambda: ode.odeint(lambda t, y, theta: y * (np.nan if t >= 0.3 else 1.0), 1.0, (0.0, 1.0), steps=10),
     r"after step \d of 10"),
    ("NaN with tolerances", lambda: ode.odeint(lambda t, y, theta: y * (np.nan if t > 0.3 else 1.0), 1.0, (0.0, 1.0), rtol=1e-6),
     r"at t=0.3 the step has become .* because f\(t, y, theta\) is not finite near there"),
    ("NaN given", lambda: ode.odeint(decay, np.nan, (0.0, 1.0), 1.0), "y0 or theta holds NaN"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
@pytest.mark.parametrize(("call", "message"), [row[1:] for row in FAILING], ids=[row[0] for row in FAILING])
def test_failures_name_time_cause_and_remedy(call: Any, message: str) -> None:
    with pytest.raises(ArithmeticError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ode.odeint(decay, 0.0, (0.0, 1.0), 1.0, method="rk4", rtol=1e-3), "'rk4' has no embedded method"),
        (lambda: ode.odeint(decay, 0.0, (0.0, 1.0), 1.0, steps=3, rtol=1e-3), "steps and tolerances are both given"),
        (lambda: ode.odeint(decay, 0.0, (0.0, 1.0), 1.0, rtol=-1.0), "rtol=-1.0.*expected tolerances of at least 0"),
        (lambda: ode.odeint(decay, 0.0, (0.0, 1.0), 1.0, control=ode.I()), "control is for adaptive steps"),
        (
            lambda: ode.odeint(decay, 0.0, (0.0, 1.0), 1.0, steps=[0.0, 0.7, 0.5, 1.0]),
            "expected a number of steps, or the times of all",
        ),
        (
            lambda: ode.odeint(decay, 0.0, (0.0, 1.0), 1.0, steps=[0.0, 0.5, 1.0], times=[0.7]),
            "times has 0.7, which is not among",
        ),
        (
            lambda: ad.compile(lambda y: ode.odeint(decay, y, (0.0, 1.0), 1.0, rtol=1e-3))(1.0),
            "adaptive steps depend on values",
        ),
        (
            lambda: ad.vmap(lambda y: ode.odeint(decay, y, (0.0, 1.0), 1.0, method="trapezoid"))(np.ones(2)),
            "an implicit method iterates",
        ),
    ],
)
def test_settings_that_do_not_fit(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()


# ---- dense output


@pytest.mark.parametrize(("method", "order"), [("dopri5", 4), ("rk4", 4), ("heun", 2)])
def test_the_solution_between_the_steps(method: str, order: int) -> None:
    t = 0.61803
    exact = by_hand(ode.DOPRI5, network, Y0, t, THETA, 600)
    errors = [distance(ode.solve(network, Y0, (0.0, 1.0), THETA, method=method, steps=n)(t), exact) for n in (5, 10, 20, 40)]
    assert slopes(errors).mean() >= order - 0.3


def test_dense_output_meets_the_steps_and_knows_its_interval() -> None:
    y = ode.solve(network, Y0, (1.0, 0.0), THETA, rtol=1e-6)
    for t, state in zip(y.times, y.states, strict=True):
        np.testing.assert_allclose(y(t), state, rtol=1e-12, atol=1e-14)
    assert y([1.0, 0.5]).shape == (2, *Y0.shape)
    with pytest.raises(ValueError, match=r"t=1\.5 lies outside the interval from 1 to 0"):
        y(1.5)


def test_dense_output_is_recorded_with_its_initial_value() -> None:
    def value(rate: Any) -> Any:
        return ode.solve(lambda t, y, rate: -rate * y, 1.0, (0.0, 1.0), rate, method="dopri5", steps=20)(0.33)

    assert ad.grad(value)(0.5) == pytest.approx(-0.33 * math.exp(-0.165), rel=1e-7)


# ---- events


def fall(t: Any, y: Any, gravity: Any) -> Any:
    return ad.stack([y[1], -gravity])


@pytest.mark.parametrize(
    "settings",
    [{"rtol": 1e-10}, {"steps": 50}, {"method": "dopri5", "steps": 7}, {"method": "implicit_midpoint", "steps": 20},
     {"method": "rk4", "steps": 9, "adjoint": ode.Tape()}, {"steps": 30, "adjoint": ode.Checkpoint(2)}],
    ids=str,
)  # fmt: skip
def test_the_time_of_an_event_and_its_derivative(settings: dict[str, Any]) -> None:
    """A throw with speed 1 from a height: by hand."""

    def found(height: Any, gravity: Any) -> Any:
        event = ode.odeint_until(fall, ad.stack([height, 1.0]), (0.0, 9.0), gravity, lambda t, y, g: y[0], **settings)
        return ad.stack([event.time, event.state[1]])

    h, g = 20.0, 9.81
    speed = math.sqrt(1 + 2 * h * g)
    np.testing.assert_allclose(found(h, g), [(1 + speed) / g, -speed], rtol=1e-10)
    of_height, of_gravity = ad.jacobian(found, argnums=(0, 1))(h, g)
    np.testing.assert_allclose(of_height, [1 / speed, -g / speed], rtol=1e-9)
    np.testing.assert_allclose(of_gravity, [h / (speed * g) - (1 + speed) / g**2, -h / speed], rtol=1e-9)


def test_events_in_one_direction() -> None:
    def crossing(rising: bool | None) -> Any:
        return ode.odeint_until(
            lambda t, y, theta: ad.stack([y[1], -y[0]]), np.array([1.0, 0.0]), (0.0, 10.0), None, lambda t, y, theta: y[0],
            rising=rising, rtol=1e-10,
        ).time  # fmt: skip

    assert crossing(None) == pytest.approx(math.pi / 2) == crossing(False)
    assert crossing(True) == pytest.approx(3 * math.pi / 2)


def test_events_that_do_not_come() -> None:
    start = np.array([1.0, 0.0])
    with pytest.raises(ValueError, match=r"no event from t=0 to 0\.1, where event\(t, y, theta\) is 0\.951"):
        ode.odeint_until(fall, start, (0.0, 0.1), 9.81, lambda t, y, g: y[0])
    with pytest.raises(ValueError, match=r"event\(t, y, theta\) returned shape \(2,\); expected a number"):
        ode.odeint_until(fall, start, (0.0, 0.1), 9.81, lambda t, y, g: y)
    with pytest.raises(TypeError, match="'leapfrog' takes equal steps"):
        ode.odeint_until(fall, start, (0.0, 1.0), 9.81, lambda t, y, g: y[0], method="leapfrog")


# ---- implicit methods


@pytest.mark.parametrize(("method", "order"), [("implicit_euler", 1), ("implicit_midpoint", 2), ("trapezoid", 2)])
def test_implicit_methods(method: str, order: int) -> None:
    errors = [distance(ode.odeint(network, Y0, (0.0, 1.0), THETA, method=method, steps=n), EXACT) for n in (16, 32, 64)]
    assert slopes(errors)[-1] == pytest.approx(order, abs=0.1)
    found = gradient(method, ode.Discrete(), 5)
    direction = np.random.default_rng(0).normal(size=found.shape)
    dy, dtheta = ad.tree.ravel((Y0, THETA))[1](direction)

    def loss(s: float) -> float:
        theta = {name: THETA[name] + s * dtheta[name] for name in THETA}
        return float(misfit(ode.odeint(network, Y0 + s * dy, (0.0, 1.0), theta, method=method, steps=5)))

    assert found @ direction == pytest.approx((loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-8)
    for adjoint in (ode.Tape(), ode.Checkpoint(2, "revolve")):
        assert distance(gradient(method, adjoint, 5), found) <= 1e-12


def test_stiff_equations_need_few_implicit_steps() -> None:
    found = ode.odeint(decay, np.array([0.0]), (0.0, 1.0), 1e5, method="implicit_euler", steps=20)
    np.testing.assert_allclose(found, np.cos(1.0), rtol=2e-5)


def test_the_continuous_adjoint_of_a_symmetric_method_is_exact() -> None:
    """The implicit midpoint rule backwards is its own adjoint."""
    exact = gradient("implicit_midpoint", ode.Discrete(), 6)
    assert distance(gradient("implicit_midpoint", ode.Backsolve(), 6), exact) <= 1e-12


def test_implicit_methods_have_no_second_derivatives() -> None:
    with pytest.raises(TypeError, match=r"neither forward mode nor second derivatives.*rk4"):
        ad.hvp(lambda y: misfit(ode.odeint(network, y, (0.0, 1.0), THETA, method="trapezoid", steps=2)), Y0, Y0)


def test_newton_that_does_not_converge() -> None:
    with pytest.raises(FloatingPointError, match=r"Newton's method for a stage at t=.* did not converge"):
        ode.odeint(lambda t, y, theta: y * y + 1.0, np.array([1.0]), (0.0, 40.0), method="implicit_euler", steps=4)


def test_pairs_with_general_methods() -> None:
    """A pair of functions is an equation like any other."""
    start = (Y0, 0.5 * Y0)
    joint = lambda t, y, theta: (PAIR[0](t, y[1], theta), PAIR[1](t, y[0], theta))
    for method in ("rk4", "reversible_heun", "trapezoid"):
        a, b = (ode.odeint(f, start, (0.0, 1.0), THETA, method=method, steps=5) for f in (PAIR, joint))
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12)
