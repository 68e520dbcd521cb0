"""The continuous adjoint along the solution that is remembered: only the adjoint equation is solved backwards."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.dense import hermite
from tinyad.models.ode.field import Field
from tinyad.models.ode.run import Run
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.models.ode.spaces import add, scale, zeros_like

__all__ = ["Interpolating"]


class Interpolating(Adjoint):
    """``lambda' = -f_y(y(t))' lambda`` from t1 back to t0, along the cubic Hermite interpolant of the solution.

    Stable where the equation is, unlike `Backsolve`. Its gap to the gradient of the solution as computed falls with the order of
    the method, but at most with the fourth, that of the interpolant.

    Memory: the states and slopes at all times.

    Source: C. Rackauckas et al., "A comparison of automatic differentiation and continuous sensitivity analysis for derivatives of
    differential equation solutions", 2021, section II.
    """

    exact = False

    def check(self, run: Run) -> None:
        if not isinstance(run.stepper, RungeKutta) or run.field.paired:
            raise TypeError(
                f"Interpolating: the adjoint equation is solved by an explicit Runge-Kutta method, which {run.stepper.name!r} is "
                f"not. Take adjoint=Discrete(), which is exact for every method"
            )

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        y, outputs, kept = y0, [], []
        for first, last in run.grid.segments:
            y, before = run.advance(y, theta, first, last, keep=True)
            outputs.append(y)
            kept.append((before, y))
        return outputs, kept

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        multiplier, of_theta = zeros_like(y0), run.nothing(theta)
        for (first, last), (before, y), of_output in reversed(list(zip(run.grid.segments, saved, cotangents, strict=True))):
            multiplier = add(multiplier, of_output)
            if first == last:  # the initial time is asked for
                continue
            columns = run.columns(first, last, y, theta)
            _, slopes = run.march(lambda carry, row: (carry, run.field(row[0], row[3], row[2])), y, (*columns, before))
            after = run.after(before, y)
            if run.stepwise:  # the slope may jump from one step to the next
                _, ends = run.march(
                    lambda carry, row: (carry, run.field(row[0] + row[1], row[3], row[2])), y, (*columns, after)
                )
            else:
                ends = run.after(slopes, run.field(run.grid.times[last], y, theta))
            step = functools.partial(_back, run)
            multiplier, of_theta = run.gather(step, multiplier, (*columns, before, after, slopes, ends), first, of_theta)
        run.ledger.hold(-run.grid.steps)
        return multiplier, run.whole(of_theta)


def _back(run: Run, multiplier: Any, row: Sequence[Any]) -> Any:
    """A step backwards of the multiplier, and the part of that step in the integral over the parameters."""
    t, h, theta, *ends = row
    run.ledger.steps += 1

    def adjoint(time: Any, state: Any, theta: Any) -> Any:
        y = hermite((time - t) / h, h, *ends)
        of_y, of_theta = run.field.vjp(time, y, theta, known=True)[1](state[0])
        return scale(-1.0, of_y), scale(-1.0, of_theta)

    return run.stepper.step(Field(adjoint, run.ledger, counted=False), t + h, -h, (multiplier, zeros_like(theta)), theta)
