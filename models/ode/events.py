"""The first time at which something happens: a root of a function of the solution, differentiable like the solution itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.backend import asnumpy
from tinyad.models.ode.dense import Solution
from tinyad.models.ode.grids import is_traced
from tinyad.models.ode.implicit import DiagonallyImplicit
from tinyad.models.ode.odeint import odeint, solve
from tinyad.models.ode.reversible import Kicks
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.tensor import Tensor, unwrap
from tinyad.tracing import TracingError

__all__ = ["Event", "odeint_until"]

Function = Callable[[Any, Any, Any], Any]


class Event(NamedTuple):
    """What `odeint_until` gives: the time of the event, and the solution there."""

    time: Any
    state: Any


def odeint_until(
    f: Any, y0: Any, interval: tuple[float, float], theta: Any, event: Function, *, rising: bool | None = None, **settings: Any
) -> Event:
    """The solution of ``y' = f(t, y, theta)`` until ``event(t, y, theta)``, a number, first passes through 0.

    The time and the solution are differentiated by ``y0`` and ``theta``, what moves the event included: by the implicit function
    theorem ``dt = -d(event) / (d event / dt along the solution)``, and the solution moves with its slope times ``dt``. Derivatives
    are of first order.

    Args:
        event: of which the first change of sign after t0 is looked for, from one step to the next: two within a step are missed.
        rising: only where it passes from below to above 0, or if false from above to below; either by default.
        settings: the other arguments of `odeint`, but for ``times``.

    Raises:
        ValueError: if there is no event before t1, or the solution only touches 0 there.

    >>> import numpy as np, tinyad as ad
    >>> from tinyad.models import ode
    >>> def fall(t, y, gravity):
    ...     return ad.stack([y[1], -gravity])
    >>> def landing(height):
    ...     y0 = ad.stack([height, 0.0])
    ...     return ode.odeint_until(fall, y0, (0.0, 9.0), 9.81, lambda t, y, g: y[0], rtol=1e-10).time
    >>> landing(20.0).round(6), ad.grad(landing)(20.0).round(6)      # sqrt(2 h / g), and 1 / sqrt(2 h g)
    (np.float64(2.019275), np.float64(0.050482))
    """
    if is_traced():
        raise TracingError(
            "odeint_until: when the event comes depends on values, which a program cannot say. Call it outside compile and vmap"
        )
    if "times" in settings:
        raise TypeError("odeint_until: times does not fit an end that is not known; take ode.solve for the solution between")
    adjoint = settings.pop("adjoint", None)
    parameters = tree.map(unwrap, theta)
    path = solve(f, tree.map(unwrap, y0), interval, parameters, **settings)
    if not isinstance(path.stepper, (RungeKutta, DiagonallyImplicit, Kicks)):
        raise TypeError(
            f"odeint_until: {path.stepper.name!r} takes equal steps, but the last one ends at the event. Take 'rk4'"
        )
    n, t = _first_root(path, lambda t, y: _number(event(t, y, parameters)), rising)
    steps = [*path.times[: n + 1].tolist(), t]
    state = odeint(
        f, y0, (steps[0], t), theta, method=path.stepper, steps=steps, adjoint=adjoint, ledger=settings.get("ledger")
    )
    return _with_derivative(event, n, t, state, theta, path)


def _number(x: Any) -> float:
    array = asnumpy(unwrap(x))
    if array.size != 1:
        raise ValueError(f"odeint_until: event(t, y, theta) returned shape {array.shape}; expected a number")
    return float(array.reshape(()))


def _first_root(path: Solution, value: Callable[[float, Any], float], rising: bool | None) -> tuple[int, float]:
    """The number of the step in which the first event lies, and its time."""
    before = value(path.times[0], path.states[0])
    for n in range(len(path.times) - 1):
        after = value(path.times[n + 1], path.states[n + 1])
        upwards = after > before
        if before != 0 and before * after <= 0 and (rising is None or rising == upwards):
            return n, _root(path, n, value, before)
        before = after if after != 0 else before
    raise ValueError(
        f"odeint_until: no event from t={path.times[0]:g} to {path.times[-1]:g}, where event(t, y, theta) is {before:.3g}. Make "
        f"the interval longer, look at the sign of the event, or take more steps if it passes through 0 twice within one"
    )


def _root(path: Solution, n: int, value: Callable[[float, Any], float], at_start: float) -> float:
    """The time within a step at which the method's own step of that length meets 0: by bisection and secants in turn."""
    start, end = float(path.times[n]), float(path.times[n + 1])
    low, high, f_low = 0.0, end - start, at_start
    f_high = value(end, path.states[n + 1])
    for k in range(200):
        middle = 0.5 * (low + high) if k % 3 == 2 or f_high == f_low else high - f_high * (high - low) / (f_high - f_low)
        if not min(low, high) < middle < max(low, high):
            middle = 0.5 * (low + high)
        f_middle = value(start + middle, path.stepped(n, middle))
        if f_middle * f_low <= 0:
            high, f_high = middle, f_middle
        else:
            low, f_low = middle, f_middle
        if f_high == 0 or abs(high - low) <= 4e-16 * max(abs(start), abs(end - start)):
            break
    return start + (high if abs(f_high) <= abs(f_low) else low)


def _with_derivative(event: Function, n: int, t: float, state: Any, theta: Any, path: Solution) -> Event:
    """The time and the solution there, with the derivative that the moving end adds."""
    fixed, parameters = tree.map(unwrap, state), tree.map(unwrap, theta)
    slope = path.slope(n, t, fixed)
    value, rate = ad.jvp(lambda t, y: event(t, y, parameters), (t, fixed), (1.0, slope))
    if not abs(_number(rate)) > 0 or not math.isfinite(_number(rate)):
        raise ValueError(
            f"odeint_until: at t={t:g} the solution touches event = 0 and does not pass through it (its rate is "
            f"{_number(rate):.1e}), so the time has no derivative. Choose another event"
        )
    moved = event(t, state, theta)
    if not isinstance(moved, Tensor):
        return Event(np.float64(t), state)
    delay = -(moved - value) / rate
    return Event(t + delay, tree.map(lambda y, k: y + k * delay, state, slope))
