"""What every way to the gradient of a solution is: a way there, and a way back."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from tinyad.models.ode.run import Run

__all__ = ["Adjoint"]


class Adjoint:
    """Base of the strategies.

    Attributes:
        exact: whether the gradient is that of the solution as computed, up to rounding; otherwise it is one of the exact
            solution's up to the error of the method. Only what is exact has second derivatives.
    """

    exact = True

    def __repr__(self) -> str:
        usual = {name: parameter.default for name, parameter in inspect.signature(type(self)).parameters.items()}
        settings = [f"{name}={value!r}" for name, value in vars(self).items() if value != usual.get(name)]
        return f"{type(self).__name__}({', '.join(settings)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).items()))

    def check(self, run: Run) -> None:
        """Refuse a method that the strategy is not for."""

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        """The solution at the times asked for, and what the way back needs."""
        raise NotImplementedError

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        """The cotangents of ``y0`` and ``theta``, for those of the solution at the times asked for."""
        raise NotImplementedError
