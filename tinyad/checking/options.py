"""The options that all checks share."""

from __future__ import annotations

from .comparison import RTOL
from .report import LEVELS

__all__ = ["check_options"]


def check_options(caller: str, rtol: float | None, level: str, feedback: str, points: int = 1) -> None:
    """Raise a ValueError for an option that is none."""
    if rtol is not None and not rtol > 0:
        raise ValueError(f"{caller}: rtol is {rtol!r}; expected a positive number, or None for {RTOL}.")
    if points not in (1, 2):
        raise ValueError(f"{caller}: points is {points!r}; expected 1 or 2.")
    if level not in ("quick", "full"):
        raise ValueError(f"{caller}: level is {level!r}; expected 'quick' or 'full'.")
    if feedback not in LEVELS:
        raise ValueError(f"{caller}: feedback is {feedback!r}; expected one of {', '.join(map(repr, LEVELS))}.")
