"""The discrete adjoint: what was computed, differentiated step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.run import Run

__all__ = ["Discrete"]


class Discrete(Adjoint):
    """States are kept, stages computed again: the exact gradient of the solution as computed, the one to optimise with.

    Memory: a state for each step, and one step recorded at a time.

    Source: W. Hager, "Runge-Kutta methods in optimal control and the transformed adjoint system", 2000.
    """

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        state = run.start(y0, theta)
        outputs, kept = [], []
        for first, last in run.grid.segments:
            state, before = run.advance(state, theta, first, last, keep=True)
            kept.append(before)
            outputs.append(run.stepper.value(state))
        return outputs, (kept, state)

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        kept, state = saved
        g, of_theta = None, run.nothing(theta)
        for (first, last), before, of_output in reversed(list(zip(run.grid.segments, kept, cotangents, strict=True))):
            g = run.seed(g, state, of_output)
            g, of_theta = run.pull(g, of_theta, theta, first, last, before)
        run.ledger.hold(-run.grid.steps)
        return run.pull_start(g, of_theta, y0, theta)
