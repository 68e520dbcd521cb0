"""What a solver gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Result"]


@dataclass(eq=False)
class Result:
    """The outcome of a solver. A failure is a value, too, and keeps the best that was found.

    Attributes:
        x: the solution, or the best approximation to it.
        success: whether it is as accurate as was asked for.
        reason: why the solver stopped, and what to do where it did not go well.
        history: a row for each iteration; the solver's docstring names the entries.
    """

    x: Any
    success: bool
    reason: str
    history: list[dict[str, Any]]

    def __repr__(self) -> str:
        return f"Result({'success' if self.success else 'failure'} after {len(self.history)} iterations: {self.reason})"
