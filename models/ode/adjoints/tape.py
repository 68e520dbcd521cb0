"""Backpropagation through the solver: no strategy at all, the tape does it."""

from __future__ import annotations

from typing import Any

from tinyad import tree
from tinyad.custom import on_tape
from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.run import Run

__all__ = ["Tape"]


class Tape(Adjoint):
    """Every operation of every stage is recorded. Exact, differentiable in every way and any number of times.

    Memory: all that the stages compute; the ledger counts a state for each evaluation that is recorded, which is the least.
    """

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        before = run.ledger.evaluations
        state, outputs = run.start(y0, theta), []
        for first, last in run.grid.segments:
            state, _ = run.advance(state, theta, first, last)
            outputs.append(run.stepper.value(state))
        if any(on_tape(leaf) for leaf in tree.leaves(outputs)):
            recorded = run.ledger.evaluations - before
            run.ledger.vjps += recorded  # in the reverse walk that is to come
            run.ledger.stored = max(run.ledger.stored, recorded)
        return outputs, None
