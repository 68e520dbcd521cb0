"""The way back without memory: each state is found again from the one after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.run import Run

__all__ = ["Reversible"]


class Reversible(Adjoint):
    """The discrete adjoint of a method whose steps can be undone: exact up to the rounding of the way back, in constant memory.

    Memory: one state, whatever the number of steps. In float32 the states drift apart by rounding, more the longer the way:
    for 1,202 steps of `Verlet` by about 3e-7, for 10,000 by 3e-4.

    Source: A. Gomez, M. Ren, R. Urtasun, R. Grosse, "The reversible residual network", 2017; B. Chang et al., "Reversible
    architectures for arbitrarily deep residual neural networks", 2018.
    """

    def check(self, run: Run) -> None:
        if not run.stepper.reversible:
            raise TypeError(
                f"Reversible: a step of {run.stepper.name!r} cannot be undone. Take method='reversible_heun' or 'leapfrog', for a "
                f"pair of functions 'verlet' or 'semi_implicit_euler'; or adjoint=Checkpoint(), which needs few states for any "
                f"method"
            )

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        state, outputs = run.start(y0, theta), []
        for first, last in run.grid.segments:
            state, _ = run.advance(state, theta, first, last)
            outputs.append(run.stepper.value(state))
        run.ledger.hold()
        return outputs, state

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        state, g, of_theta = saved, None, run.nothing(theta)

        def step(carry: Any, row: Sequence[Any]) -> tuple[Any, Any]:
            (state, g), (t, h, own) = carry, row
            run.ledger.steps += 1
            state, g, more = run.stepper.back(run.field, t, h, state, own, g)
            return (state, g), more

        for (first, last), of_output in reversed(list(zip(run.grid.segments, cotangents, strict=True))):
            g = run.seed(g, state, of_output)
            columns = run.columns(first, last, g, theta)
            (state, g), of_theta = run.gather(step, (state, g), columns, first, of_theta)
        run.ledger.hold(-1)
        return run.pull_start(g, of_theta, y0, theta)
