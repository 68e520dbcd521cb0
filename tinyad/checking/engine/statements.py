"""What the probes of an engine say when it raises."""

from __future__ import annotations

import re
import traceback

from ..report import Diagnosis
from ..rule import Raised
from .driver import OPERATORS, Failure, TooManyCalls, without_addresses

__all__ = ["cause", "code", "function", "place", "plain", "raised", "written"]


def written(op: str, reflected: bool = False) -> str:
    """An operation's method as it stands in the engine's class: `__mul__` of mul, tanh of tanh."""
    name = OPERATORS[op][1] if op in OPERATORS else op
    if reflected:
        name = name.replace("__", "__r", 1)
    return code(name)


def code(name: str) -> str:
    """A name as it stands in a sentence."""
    return f"`{name}`" if name.startswith("__") else name


def place(failure: Failure) -> str:
    """The line that raised; empty if it is not known."""
    cause = failure.__cause__
    return failure.where if cause is None else Raised(failure.stage, cause).place()


def function(failure: Failure) -> str:
    """The function that raised, or the method in which it stands; empty if it is not known."""
    if failure.__cause__ is None:
        named = re.search(r"\bin (\w+):", failure.where)
        return named[1] if named else ""
    frames = [frame for frame, _ in traceback.walk_tb(failure.__cause__.__traceback__)]
    name = frames[-1].f_code.co_qualname if frames else ""
    while method := re.fullmatch(r"(.*\w\.\w+)\.<locals>\.[\w<>]+", name):
        name = method[1]
    return name.rpartition(".")[2]


def cause(failure: Failure) -> BaseException:
    """What the engine raised. Where only its text came, an exception of that name, with the line in its message."""
    if failure.__cause__ is not None:
        return failure.__cause__
    named: type[Exception] = type(failure.kind, (Exception,), {})
    return named("\n".join(filter(None, (failure.message, failure.where))))


def plain(text: str) -> str:
    """What is said of an exception, the same in every process."""
    return without_addresses(text, "KeyError" in text)


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
