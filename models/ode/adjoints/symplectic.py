"""The symplectic adjoint: the discrete one, found as a Runge-Kutta method for the adjoint equation itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyad.models.ode.adjoints.discrete import Discrete
from tinyad.models.ode.run import Run
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.models.ode.spaces import add, add_some, combine, scale

__all__ = ["Symplectic"]


class Symplectic(Discrete):
    """The adjoint equation solved by the method that, beside the given one, keeps the product of tangents and cotangents.

    The same numbers as `Discrete`, with one stage recorded at a time instead of a whole step. The multipliers of the stages are

        Lambda_i = (b_i / w_i) lambda + h sum_(j > i) (w_j A_ji / w_i) f_y(Y_j)' Lambda_j,

    where ``w_i = b_i``, or 1 for a stage whose weight is 0.

    Memory: a state for each step, those of one step's stages, and one stage recorded.

    Source: T. Matsubara, Y. Miyatake, T. Yaguchi, "Symplectic adjoint method for exact gradient of neural ODE with minimal
    memory", 2021, equations 7 to 9.
    """

    def check(self, run: Run) -> None:
        if not isinstance(run.stepper, RungeKutta):
            raise TypeError(
                f"Symplectic: made of the tableau of an explicit Runge-Kutta method, which {run.stepper.name!r} is not. "
                f"Take adjoint=Discrete(), which gives the same numbers for every method"
            )

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        kept, _ = saved
        g, of_theta = None, run.nothing(theta)
        for (first, last), before, of_output in reversed(list(zip(run.grid.segments, kept, cotangents, strict=True))):
            g = of_output if g is None else add(g, of_output)

            columns = (*run.columns(first, last, g, theta), before)
            g, of_theta = run.gather(lambda g, row: _step_back(run, g, row), g, columns, first, of_theta)
        run.ledger.hold(-run.grid.steps)
        return g, run.whole(of_theta)


def _step_back(run: Run, multiplier: Any, row: Sequence[Any]) -> Any:
    """The multiplier before a step, for that after it, and the part of the step in the integral over the parameters."""
    method, field = run.stepper, run.field
    assert isinstance(method, RungeKutta)
    run.ledger.steps += 1
    t, h, theta, y = row
    of_theta: Any = None
    k = method.slopes(field, t, h, y, theta)
    weights = [b if b != 0 else 1.0 for b in method.b]
    slopes: list[Any] = [None] * method.stages  # f_y(Y_i)' Lambda_i
    for i in reversed(range(method.stages)):
        own = combine(y, h, method.A[i], k)
        stage = scale(method.b[i] / weights[i], multiplier)
        later = range(i + 1, method.stages)
        stage = combine(stage, h, [weights[j] * method.A[j][i] / weights[i] for j in later], [slopes[j] for j in later])
        _, pull = field.vjp(t + method.c[i] * h, own, theta, known=True)
        slopes[i], more = pull(stage)
        of_theta = add_some(of_theta, scale(h * weights[i], more))
    return combine(multiplier, h, weights, slopes), of_theta
