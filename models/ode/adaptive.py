"""Step control: the error of each step is estimated by an embedded method, and the next step chosen by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyad import tree
from tinyad.backend import asnumpy
from tinyad.models.ode.control import Control
from tinyad.models.ode.field import Field
from tinyad.models.ode.grids import Grid, is_traced, requested, stops_of
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.models.ode.spaces import combine
from tinyad.models.ode.stability import spectral_radius
from tinyad.tensor import unwrap
from tinyad.tracing import TracingError

__all__ = ["PI", "I", "adaptive_grid"]


@dataclass(frozen=True)
class I:  # noqa: E742 (the field's name for integral control)
    """Integral control: ``h_next = h * (goal / error)^(1 / k)``, where the error falls like ``h^k``.

    Attributes:
        safety: the goal is ``safety^k`` of the error that is allowed, so that few steps are rejected.
        shortest, longest: the least and the largest factor between steps.
        first: the length of the first step; estimated from the equation unless given.
    """

    safety: float = 0.9
    shortest: float = 0.2
    longest: float = 5.0
    first: float | None = None

    def factor(self, error: float, before: float, k: int) -> float:
        """The factor for the next step, from the errors of this one and of the one before, relative to what is allowed."""
        goal = self.safety**k
        return min(self.longest, max(self.shortest, self.response(max(error, 1e-10) / goal, max(before, 1e-10) / goal, k)))

    def after_rejection(self, error: float, k: int) -> float:
        """The factor for another try, from the error of this one alone."""
        return max(self.shortest, float((error / self.safety**k) ** (-1.0 / k))) if math.isfinite(error) else self.shortest

    def response(self, error: float, before: float, k: int) -> float:
        """What the law of control says, without limits, for errors relative to the goal."""
        return float(error ** (-1.0 / k))


@dataclass(frozen=True)
class PI(I):
    """Proportional integral control, ``h_next = h * (goal / error)^(0.7 / k) * (error_before / goal)^(0.4 / k)``: steps change
    more smoothly, and fewer are rejected.

    Source: K. Gustafsson, "Control-theoretic techniques for stepsize selection in explicit Runge-Kutta methods", 1991.
    """

    def response(self, error: float, before: float, k: int) -> float:
        return float(error ** (-0.7 / k) * before ** (0.4 / k))


def adaptive_grid(
    stepper: Any,
    field: Field,
    y0: Any,
    theta: Any,
    interval: tuple[float, float],
    times: Sequence[float] | None,
    *,
    rtol: float,
    atol: float,
    control: I,
    most: int,
    judged: Callable[[Any], Any] = lambda state: state,
) -> tuple[Grid, list[Any]]:
    """The times of accepted steps, each of those asked for among them, and the states there.

    A step is accepted if the root mean square of its error, element by element relative to ``atol + rtol * |y|``, is at most 1.

    Args:
        judged: the part of a state whose error counts.

    Raises:
        TypeError: for a method without an embedded one.
        ArithmeticError: if steps become too short for the floating-point numbers, or too many.
    """
    if is_traced():
        raise TracingError(
            "odeint: adaptive steps depend on values, which a program cannot say. Give steps=... inside compile and vmap"
        )
    if not isinstance(stepper, RungeKutta) or stepper.tableau.b_hat is None:
        raise TypeError(
            f"odeint: {stepper.name!r} has no embedded method to estimate its error by. Take method='dopri5' with rtol and "
            f"atol, or give steps"
        )
    if not (rtol >= 0 and atol >= 0 and rtol + atol > 0):
        raise ValueError(f"odeint: rtol={rtol!r}, atol={atol!r}; expected tolerances of at least 0, not both 0")
    return _Search(stepper, field, theta, rtol, atol, control, judged).run(y0, interval, times, most)


class _Search:
    """Steps of an embedded pair, on plain arrays."""

    def __init__(
        self, stepper: RungeKutta, field: Field, theta: Any, rtol: float, atol: float, control: I, judged: Callable[[Any], Any]
    ) -> None:
        tableau = stepper.tableau
        assert tableau.b_hat is not None and tableau.order_hat is not None
        self.stepper, self.field, self.theta = stepper, field, tree.map(unwrap, theta)
        self.rtol, self.atol, self.control, self.judged = rtol, atol, control, judged
        self.k = min(tableau.order, tableau.order_hat) + 1
        self.difference = (tableau.b - tableau.b_hat).tolist()
        self.reuses = bool((tableau.A[-1] == tableau.b).all() and tableau.c[-1] == 1)  # the last slope is the next first one

    def run(self, y0: Any, interval: tuple[float, float], times: Any, most: int) -> tuple[Grid, list[Any]]:
        t0, t1 = (float(unwrap(t)) for t in interval)
        asked, parameters = [t1] if times is None else requested(t0, t1, times), self.theta
        changing = isinstance(parameters, Control)
        stops = stops_of(t0, asked, parameters.knots if changing else ())
        y, h, before, slope = tree.map(unwrap, y0), 0.0, 1.0, None
        grid, states, saved = [t0], [y], []
        for stop in stops:
            if slope is None or changing:
                self.theta = parameters.piece_between(grid[-1], stop) if changing else parameters
                slope = self.field(grid[-1], y, self.theta)
            if h == 0:
                h = self._first(t0, stops[-1], y, slope)
            while grid[-1] != stop:
                if len(grid) > most:
                    raise ArithmeticError(self._too_many(most, t0, grid[-1], stops[-1], y))
                t, ahead = grid[-1], stop - grid[-1]
                last = abs(h) >= abs(ahead) * (1 - 1e-12)
                step = ahead if last else h if abs(h) < 0.5 * abs(ahead) else 0.5 * ahead  # no crumb is left before a stop
                new, slopes = self._step(t, step, y, slope)
                error = self._error(y, new, step, slopes)
                if not error <= 1.0:
                    self.field.ledger.rejected += 1
                    h = step * self.control.after_rejection(error, self.k)
                    if abs(h) < 16 * np.finfo(float).eps * max(abs(t), abs(stops[-1] - t0)):
                        raise ArithmeticError(self._underflow(t, h, y, slopes))
                    continue
                h = step * self.control.factor(error, before, self.k)
                before, y = max(error, 1e-4), new
                slope = slopes[-1] if self.reuses else self.field(stop if last else t + step, y, self.theta)
                grid.append(stop if last else t + step)
                states.append(y)
                self.field.ledger.steps += 1
            if stop in asked:
                saved.append(len(grid) - 1)
        return Grid(tuple(grid), tuple(saved)), states

    def _step(self, t: float, h: float, y: Any, slope: Any) -> tuple[Any, list[Any]]:
        """The next state and the slopes of all stages, of which the first is known."""
        tableau, k = self.stepper.tableau, [slope]
        for row, c in zip(tableau.A.tolist()[1:], tableau.c.tolist()[1:], strict=True):
            k.append(self.field(t + c * h, combine(y, h, row, k), self.theta))
        return combine(y, h, tableau.b.tolist(), k), k

    def _error(self, y: Any, new: Any, h: float, slopes: Sequence[Any]) -> float:
        """The estimated error of a step, relative to what is allowed; NaN and infinity if they are among its values."""
        total, count = 0.0, 0
        for before, after, *k in zip(*[tree.leaves(self.judged(state)) for state in (y, new, *slopes)], strict=True):
            error = combine(0.0 * after, h, self.difference, k)
            allowed = self.atol + self.rtol * np.maximum(abs(before), abs(after))
            total += float(asnumpy((abs(error / allowed) ** 2).sum()))
            count += getattr(after, "size", 1)
        return math.sqrt(total / max(count, 1))

    def _first(self, t: float, end: float, y: Any, slope: Any) -> float:
        """The length of the first step. Source: Hairer, Norsett, Wanner, section II.4."""
        span = end - t
        if self.control.first is not None:
            return math.copysign(min(self.control.first, abs(span)), span)
        size, speed = self._size(y, y), self._size(slope, y)
        h = 1e-6 if size < 1e-5 or speed < 1e-5 else 0.01 * size / speed
        h = min(h, abs(span))
        ahead = self.field(t + math.copysign(h, span), combine(y, math.copysign(h, span), [1.0], [slope]), self.theta)
        bend = self._size(tree.map(lambda a, b: a - b, ahead, slope), y) / h if h else 0.0
        steepest = max(speed, bend)
        longer = max(1e-6, h * 1e-3) if steepest <= 1e-15 else (0.01 / steepest) ** (1.0 / self.k)
        found = min(100 * h, longer, abs(span)) if math.isfinite(longer) else h
        return math.copysign(found, span)

    def _size(self, x: Any, y: Any) -> float:
        """The root mean square of ``x``, relative to what error is allowed in ``y``."""
        total, count = 0.0, 0
        for a, b in zip(tree.leaves(self.judged(x)), tree.leaves(self.judged(y)), strict=True):
            total += float(asnumpy((abs(a / (self.atol + self.rtol * abs(b))) ** 2).sum()))
            count += getattr(a, "size", 1)
        return math.sqrt(total / max(count, 1))

    # ---- what to say when it fails

    def _underflow(self, t: float, h: float, y: Any, slopes: Sequence[Any]) -> str:
        at = f"odeint: at t={t:g} the step has become {abs(h):.1e}, too short to move on"
        if not all(np.isfinite(asnumpy(leaf)).all() for leaf in tree.leaves(list(slopes))):
            return (
                f"{at}, because f(t, y, theta) is not finite near there. The solution may grow beyond all bounds before t1, or "
                f"leave the domain of f: look at f there, or end the interval earlier"
            )
        radius = spectral_radius(self.field, t, y, self.theta)
        return (
            f"{at}. The Jacobian of f has eigenvalues of about {radius:.1e}. If the solution is smooth, the equation is stiff: "
            f"take method='implicit_euler' or 'trapezoid'; if f has a jump there, end a piece at it; if the "
            f"solution grows beyond all bounds, end the interval earlier; else allow larger "
            f"rtol={self.rtol:g} and atol={self.atol:g}"
        )

    def _too_many(self, most: int, t0: float, t: float, t1: float, y: Any) -> str:
        radius = spectral_radius(self.field, t, y, self.theta)
        return (
            f"odeint: {most} steps led from t={t0:g} to {t:g} only, not to {t1:g}. The Jacobian of f has eigenvalues of about "
            f"{radius:.1e}; an explicit method needs steps of about {3 / radius if radius else math.inf:.1e} for stability. If the "
            f"solution is smoother than that, the equation is stiff: take method='implicit_euler' or 'trapezoid'; else raise "
            f"max_steps, or allow larger rtol={self.rtol:g} and atol={self.atol:g}"
        )
