"""What a method of integration is to the rest: a start, a step, and the way a cotangent goes back through a step."""

from __future__ import annotations

from typing import Any

import tinyad as ad
from tinyad.models.ode.field import Field

__all__ = ["Stepper"]


class Stepper:
    """Base of the methods.

    A method carries a *state* from step to step: the solution, or more (two solutions, a slope). Everything here is written with
    tinyad's functions, so a step can be recorded, traced and differentiated like any other function.

    Attributes:
        name: by which `odeint` knows it.
        order: the power of the step by which the error at a fixed time falls.
        carries_slope: whether the slope at the end of a step is taken for that at the start of the next.
    """

    name: str
    order: int
    carries_slope = False

    def __repr__(self) -> str:
        return f"<{self.name}, order {self.order}>"

    def check(self, field: Field, y: Any) -> None:
        """Refuse an equation that the method is not for."""

    def start(self, field: Field, t: Any, h: Any, y: Any, theta: Any) -> Any:
        """The state at the initial time, before a step of length ``h``."""
        return y

    def step(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        """The state at ``t + h``."""
        raise NotImplementedError

    def value(self, state: Any) -> Any:
        """The solution that a state stands for."""
        return state

    def seed(self, state: Any, g: Any) -> Any:
        """The cotangent of a state whose solution has the cotangent ``g``: the transpose of `value`."""
        return g

    def pull(self, field: Field, t: Any, h: Any, state: Any, theta: Any, g: Any) -> tuple[Any, Any]:
        """The cotangents of the state before a step and of ``theta``, for that of the state after it."""
        before = field.ledger.evaluations
        _, pullback = ad.vjp(lambda state, theta: self.step(field, t, h, state, theta), state, theta)
        field.ledger.vjps += field.ledger.evaluations - before
        return pullback(g)  # type: ignore[no-any-return]

    def pull_start(self, field: Field, t: Any, h: Any, y: Any, theta: Any, g: Any) -> tuple[Any, Any]:
        """The cotangents of the initial value and of ``theta``, for that of the first state."""
        before = field.ledger.evaluations
        _, pullback = ad.vjp(lambda y, theta: self.start(field, t, h, y, theta), y, theta)
        field.ledger.vjps += field.ledger.evaluations - before
        return pullback(g)  # type: ignore[no-any-return]

    @property
    def reversible(self) -> bool:
        """Whether the state before a step follows from that after it, by arithmetic alone."""
        return False

    def undo(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        """The state at ``t`` before the step that led to ``state`` at ``t + h``."""
        raise NotImplementedError

    def back(self, field: Field, t: Any, h: Any, state: Any, theta: Any, g: Any) -> tuple[Any, Any, Any]:
        """A step undone together with its cotangents: the state before it, its cotangent, and that of ``theta``."""
        before = self.undo(field, t, h, state, theta)
        return before, *self.pull(field, t, h, before, theta, g)
