"""Explicit Runge-Kutta methods, from their tableaux, and their adjoint: one formula for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyad.models.ode.field import Field
from tinyad.models.ode.spaces import add, combine, scale
from tinyad.models.ode.stepper import Stepper
from tinyad.models.ode.tableau import Tableau

__all__ = ["RungeKutta"]


class RungeKutta(Stepper):
    """An explicit Runge-Kutta method.

    Raises:
        ValueError: if a stage depends on itself or on later ones.
    """

    def __init__(self, tableau: Tableau) -> None:
        if not tableau.explicit:
            raise ValueError(f"RungeKutta: {tableau!r} is implicit: its A has entries on or above the diagonal")
        self.tableau, self.name, self.order = tableau, tableau.name, tableau.order
        # Python's numbers, which leave float32 alone; and no stage that only an error estimate needs
        self.stages = _needed(tableau)
        self.A = [[float(a) for a in row[: self.stages]] for row in tableau.A[: self.stages]]
        self.b = [float(b) for b in tableau.b[: self.stages]]
        self.c = [float(c) for c in tableau.c[: self.stages]]

    def slopes(self, field: Field, t: Any, h: Any, y: Any, theta: Any, stages: int | None = None) -> list[Any]:
        """The slopes ``k`` of the stages, all or the first few."""
        A, c = self.tableau.A.tolist(), self.tableau.c.tolist()
        k: list[Any] = []
        for i in range(self.stages if stages is None else stages):
            k.append(field(t + c[i] * h, combine(y, h, A[i], k), theta))
        return k

    def step(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        return combine(state, h, self.b, self.slopes(field, t, h, state, theta))

    def pull(self, field: Field, t: Any, h: Any, state: Any, theta: Any, g: Any) -> tuple[Any, Any]:
        """The discrete adjoint of a step: stages again, recorded one by one, then the formula of `cotangents` backwards."""
        k: list[Any] = []
        pulls = []
        for i in range(self.stages):
            slope, pull = field.vjp(t + self.c[i] * h, combine(state, h, self.A[i], k), theta)
            k.append(slope)
            pulls.append(pull)
        return self.cotangents(h, g, pulls)

    def cotangents(self, h: Any, g: Any, pulls: Sequence[Any]) -> tuple[Any, Any]:
        """The cotangents of the state before a step and of ``theta``.

        With ``g`` for the state after it and ``pulls[i]`` the transposed derivative of the slope of stage i,

            kbar_i = h b_i g + h sum_(j > i) A_ji gbar_j,   (gbar_i, thetabar_i) = pulls[i](kbar_i),

        backwards through the stages; ``g`` plus all ``gbar`` is what goes on.

        Source: W. Hager, "Runge-Kutta methods in optimal control and the transformed adjoint system", 2000.
        """
        of_stages: list[Any] = [None] * self.stages
        of_theta = None
        for i in reversed(range(self.stages)):
            later = [j for j in range(i + 1, self.stages) if self.A[j][i] != 0]
            terms = [scale(h * self.A[j][i], of_stages[j]) for j in later]
            if self.b[i] != 0:
                terms.append(scale(h * self.b[i], g))
            of_stages[i], more = pulls[i](add(*terms))
            of_theta = more if of_theta is None else add(of_theta, more)
        return add(g, *of_stages), of_theta


def _needed(tableau: Tableau) -> int:
    """How many stages the step itself needs."""
    return max(i for i in range(tableau.stages) if tableau.b[i] != 0) + 1
