"""What the probes of an engine say when it raises."""

from __future__ import annotations

from ..report import Diagnosis
from ..rule import Raised
from .driver import Failure, TooManyCalls

__all__ = ["place", "raised"]


def place(failure: Failure) -> str:
    """The line that raised; empty if it is not known."""
    cause = failure.__cause__
    return failure.where if cause is None else Raised(failure.stage, cause).place()


def raised(failure: Failure, text: str, error: bool = True) -> Diagnosis:
    """That building a graph, or going back in it, raised.

    Args:
        failure: what the engine raised.
        text: the graph, as it is written.
        error: whether this is a mistake.
    """
    if isinstance(failure, TooManyCalls):
        return Diagnosis(
            "E13",
            "endless",
            f"{text}: backward was stopped after {failure.limit} function calls",
            "a loop that does not end (nodes are put back into the queue), or the same node is visited again on every path to it",
            name=text,
            error=error,
        )
    fact = f"{failure.stage} raised {failure.kind}: {failure.message}"
    args = {"type": failure.kind, "stage": failure.stage}
    return Diagnosis("E12", "exception", fact, place(failure), name=text, args=args, error=error)
