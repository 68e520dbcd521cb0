"""The order of a method, measured: the check of an integrator that needs to know nothing about it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyad as ad
from tinyad import report
from tinyad.backend import asnumpy
from tinyad.models.ode.methods import method_named
from tinyad.models.ode.odeint import odeint
from tinyad.models.ode.reversible import Kicks
from tinyad.models.ode.stepper import Stepper
from tinyad.models.ode.tableau import Tableau

__all__ = ["OrderTable", "check_order"]

_Array = np.ndarray[Any, Any]
SLACK = 0.1
ROUNDING = 1e-12
"""Relative errors below this say nothing about the order."""


@dataclass(frozen=True, eq=False, repr=False)
class OrderTable:
    """How the error of a method falls with its steps.

    Attributes:
        name: of the method.
        expected: its order, as claimed.
        steps: shape (n,).
        errors: at the final time, relative to the solution there, shape (n,).
        slopes: the power of the step by which the error falls from one row to the next, shape (n - 1,).
        passed: whether the last slope whose error is above rounding is at least the order (to 0.1), and none is lost.
    """

    name: str
    expected: int
    steps: _Array
    errors: _Array
    slopes: _Array
    passed: bool

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [f"order of {self.name!r}: {'passed' if self.passed else 'FAILED'}   (expected {self.expected})"]
        lines.append(f"{'steps':>7} {'error':>10} {'order':>6}")
        for n, error, slope in zip(self.steps, self.errors, ["", *[f"{slope:.2f}" for slope in self.slopes]], strict=True):
            lines.append(f"{n:7} {error:10.2e} {slope:>6}")
        if not self.passed:
            lines.append(
                "A lower order than claimed is a wrong coefficient. If it shows on problems that depend on time alone, it is a "
                "node c (each is the sum of its row of A); check_tableau names the condition that is broken."
            )
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, path: Any = None) -> Any:
        """Errors against steps, both axes logarithmic, with a dashed line of the expected slope.

        Raises:
            ImportError: matplotlib is not installed.
        """
        figure = report.new_figure(5, 4)
        ax = figure.subplots()
        report.tidy(ax, "steps", "relative error", f"order of {self.name}")
        ax.loglog(self.steps, self.errors, "o-", color=report.PALETTE["first"], label="measured")
        expected = self.errors[0] * (self.steps[0] / self.steps) ** self.expected
        ax.loglog(self.steps, expected, "--", color=report.PALETTE["muted"], label=f"order {self.expected}")
        ax.legend()
        if path is not None:
            figure.savefig(path)
        return figure


def check_order(
    method: str | Stepper | Tableau | Callable[..., Any],
    order: int | None = None,
    *,
    f: Any = None,
    y0: Any = None,
    interval: tuple[float, float] = (0.0, 2.0),
    steps: Sequence[int] = (20, 40, 80, 160),
) -> OrderTable:
    """Measure the order of a method on a problem whose solution is known well.

    Args:
        method: as for `odeint`; or a function of one's own, ``step(f, t, h, y)``, that gives the solution at ``t + h`` for
            ``f(t, y)``.
        order: what is claimed; the method's own by default, and needed for a function.
        f, y0: another problem, ``f(t, y, theta)`` with ``theta=None`` and an array ``y0``. By default a driven pendulum, which
            is no linear equation and depends on time: on one that does not, wrong nodes are not seen.
        interval: where it is solved.
        steps: numbers of steps, rising.

    Raises:
        ValueError: if ``order`` is missing, ``y0`` for ``f`` is, or ``steps`` do not rise.

    >>> from tinyad.models import ode
    >>> def heun(f, t, h, y):
    ...     k = f(t, y)
    ...     return y + h / 2 * (k + f(t + h, y + h * k))
    >>> ode.check_order(heun, order=2).passed, ode.check_order(heun, order=3).passed
    (True, False)
    """
    if len(steps) < 2 or list(steps) != sorted(set(steps)):
        raise ValueError(f"check_order: steps={steps!r}; expected two or more rising numbers of steps, such as (20, 40, 80)")
    if (f is None) != (y0 is None):
        raise ValueError("check_order: give both f and y0, or neither for the driven pendulum")
    own = callable(method) and not isinstance(method, Stepper)
    if own and order is None:
        raise ValueError("check_order: a function of one's own claims no order; give order=")
    equation, start = (_pendulum, _START) if f is None else (f, y0)
    fine = max(500, 4 * max(steps))  # errors below 1e-13
    exact = _of_pendulum(interval, fine) if f is None else odeint(equation, start, interval, method="dopri5", steps=fine)
    if own:
        name, expected = getattr(method, "__name__", "step"), order
        found = [_marched(method, equation, start, interval, n) for n in steps]
    else:
        stepper = method_named(method)  # type: ignore[arg-type]
        name, expected = stepper.name, stepper.order if order is None else order
        in_turn = isinstance(stepper, Kicks) and f is None
        equation, y = (_PENDULUM_IN_TURN, (start[0], start[1])) if in_turn else (equation, start)
        found = [odeint(equation, y, interval, method=stepper, steps=n) for n in steps]
        found = [np.stack(y) for y in found] if in_turn else found
    assert expected is not None
    errors = np.array([_distance(y, exact) for y in found])
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.log(errors[:-1] / errors[1:]) / np.log(np.array(steps[1:]) / np.array(steps[:-1]))
    telling = slopes[errors[1:] > ROUNDING]
    passed = bool(np.isfinite(errors).all() and (len(telling) == 0 or telling[-1] >= expected - SLACK))
    return OrderTable(name, expected, np.array(steps), errors, slopes, passed)


def _pendulum(t: Any, y: Any, theta: Any) -> Any:
    return ad.stack([_PENDULUM_IN_TURN[0](t, y[1], theta), _PENDULUM_IN_TURN[1](t, y[0], theta)])


_PENDULUM_IN_TURN = (
    lambda t, p, theta: p * (1.0 + 0.3 * np.sin(2.0 * t)),
    lambda t, q, theta: -ad.sin(q) + 0.5 * np.cos(t),
)


_START = np.array([1.0, 0.5])


@functools.cache
def _of_pendulum(interval: tuple[float, float], steps: int) -> Any:
    return odeint(_pendulum, _START, interval, method="dopri5", steps=steps)


def _marched(step: Any, f: Any, y: Any, interval: tuple[float, float], steps: int) -> Any:
    t0, t1 = interval
    h = (t1 - t0) / steps
    for n in range(steps):
        y = step(lambda t, y: f(t, y, None), t0 + n * h, h, y)
    return y


def _distance(a: Any, b: Any) -> float:
    a, b = (np.asarray(asnumpy(x), dtype=np.float64) for x in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
