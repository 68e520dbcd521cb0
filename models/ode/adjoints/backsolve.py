"""The continuous adjoint: the adjoint equation beside the equation itself, both solved backwards in time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal

from tinyad.models.ode.adaptive import PI, adaptive_grid
from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.field import Field
from tinyad.models.ode.grids import Grid
from tinyad.models.ode.implicit import DiagonallyImplicit
from tinyad.models.ode.run import Run
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.models.ode.spaces import add, scale, zeros_like

__all__ = ["Backsolve"]


class Backsolve(Adjoint):
    """Differentiate, then discretise: ``(y, lambda, q)' = (f, -f_y' lambda, -f_theta' lambda)`` from t1 back to t0.

    The gradient is that of the exact solution up to the error of the method, not that of the solution as computed: their gap
    falls with the order of the method. The equation backwards may be unstable where it was stable forwards: an error of
    rounding then grows like ``exp(|lambda| T)``, and the gradient is lost whatever the number of steps.

    Memory: one state, and those to restart from.

    Args:
        restarts: at how many times between those asked for to start again from the state of the way there.
        rtol, atol: choose the steps of the way back by their own error; the steps of the way there by default.
        norm: what error that is: of the state and the multiplier ("seminorm"), or of the integral over the parameters as well
            ("full"). Nothing depends on that integral, so its error does not grow, and short steps on its account are wasted.

    Source: R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary differential equations", 2018, algorithm 1;
    seminorm: P. Kidger, R. Chen, T. Lyons, "Hey, that's not an ODE", 2021;
    restarts: A. Gholami, K. Keutzer, G. Biros, "ANODE", 2019.
    """

    exact = False

    def __init__(
        self,
        restarts: int = 0,
        rtol: float | None = None,
        atol: float | None = None,
        norm: Literal["seminorm", "full"] = "seminorm",
    ) -> None:
        if isinstance(restarts, bool) or not hasattr(restarts, "__index__") or restarts < 0:
            raise ValueError(f"Backsolve: restarts={restarts!r}; expected a whole number of at least 0")
        if norm not in ("seminorm", "full"):
            raise ValueError(f"Backsolve: norm={norm!r}; expected 'seminorm' or 'full'")
        self.restarts, self.rtol, self.atol, self.norm = restarts, rtol, atol, norm

    @property
    def adaptive(self) -> bool:
        """Whether the way back chooses its own steps."""
        return self.rtol is not None or self.atol is not None

    def check(self, run: Run) -> None:
        if run.field.paired:
            raise TypeError(
                f"Backsolve: {run.stepper.name!r} moves a pair in turn, but the equation and its adjoint together are no such "
                f"pair. Take adjoint=Reversible(), which is exact and needs no more memory"
            )

        if run.stepwise and self.adaptive:
            raise TypeError(
                "Backsolve: theta changes from step to step, so the way back takes the steps of the way there: no rtol"
            )
        if run.stepwise and not isinstance(run.stepper, (RungeKutta, DiagonallyImplicit)):
            raise TypeError(
                f"Backsolve: theta changes from step to step, and the state of {run.stepper.name!r} is more than the solution. "
                f"Take method='rk4', or adjoint=Discrete()"
            )

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        steps = run.grid.steps
        again = {k * steps // (self.restarts + 1) for k in range(1, self.restarts + 1)}
        stops = sorted({0, *again, *run.grid.saved})
        state, values = run.start(y0, theta), {0: y0}
        for here, following in itertools.pairwise(stops):
            state, _ = run.advance(state, theta, here, following)
            values[following] = run.stepper.value(state)
        run.ledger.hold(len(values) - 1)
        return [values[n] for n in run.grid.saved], values

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        def both(t: Any, state: Any, theta: Any) -> Any:
            y, multiplier, _ = state
            slope, pull = run.field.vjp(t, y, theta)
            of_y, of_theta = pull(multiplier)
            return slope, scale(-1.0, of_y), scale(-1.0, of_theta)

        jumps = dict(zip(run.grid.saved, cotangents, strict=True))
        multiplier, of_theta = zeros_like(y0), run.nothing(theta)
        stops = sorted({0, *saved})
        for end, start in zip(stops[-2::-1], stops[:0:-1], strict=True):
            if start in jumps:
                multiplier = add(multiplier, jumps[start])
            if run.stepwise:
                multiplier, of_theta = self._by_steps(run, both, saved[start], multiplier, of_theta, theta, end, start)
                continue
            if self.adaptive:
                state = self._by_tolerance(run, both, (saved[start], multiplier, of_theta), theta, end, start)
                _, multiplier, of_theta = state
                continue
            backwards = Run(
                run.stepper, Field(both, run.ledger, counted=False), Grid(run.grid.times[end : start + 1][::-1], (start - end,))
            )
            state = backwards.start((saved[start], multiplier, of_theta), theta)
            state, _ = backwards.advance(state, theta, 0, start - end)
            _, multiplier, of_theta = run.stepper.value(state)
        run.ledger.hold(1 - len(saved))
        return add(multiplier, jumps[0]) if 0 in jumps else multiplier, run.whole(of_theta)

    def _by_tolerance(self, run: Run, both: Any, state: Any, theta: Any, first: int, last: int) -> Any:
        """The same in steps that are chosen by their error."""
        field, interval = Field(both, run.ledger, counted=False), (run.grid.times[last], run.grid.times[first])
        rtol, atol = 1e-6 if self.rtol is None else self.rtol, 1e-9 if self.atol is None else self.atol
        _, states = adaptive_grid(
            run.stepper, field, state, theta, interval, None, rtol=rtol, atol=atol, control=PI(), most=100_000,
            judged=(lambda state: state[:2]) if self.norm == "seminorm" else lambda state: state,
        )  # fmt: skip
        return states[-1]

    def _by_steps(
        self, run: Run, both: Any, y: Any, multiplier: Any, of_theta: Any, theta: Any, first: int, last: int
    ) -> tuple[Any, Any]:
        """The same where each step has parameters, and so an integral, of its own."""
        field = Field(both, run.ledger, counted=False)

        def step(carry: Any, row: Any) -> tuple[Any, Any]:
            t, h, own = row
            run.ledger.steps += 1
            *carry, of_own = run.stepper.step(field, t + h, -h, (*carry, zeros_like(own)), own)
            return tuple(carry), of_own

        (_, multiplier), of_theta = run.gather(step, (y, multiplier), run.columns(first, last, y, theta), first, of_theta)
        return multiplier, of_theta
