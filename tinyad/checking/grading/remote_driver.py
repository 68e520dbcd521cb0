"""A driver of an engine in a worker: the probes ask it as they ask a class in this process."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.driver import CALLS, Failure, FloatArray, TooManyCalls
from .submission import Failed, Handle, Submission

__all__ = ["RemoteDriver"]

STAGES = {"make": "making", "clear": "making", "backward": "backward", "grad": "reading", "data": "reading"}


class RemoteDriver:
    """A `Driver` that asks a submission's worker. Numbers come back; the objects stay there.

    Args:
        student: the submission.
        file, name: where the class is.
    """

    def __init__(self, student: Submission, file: str, name: str) -> None:
        self.student, self.file, self.name = student, file, name
        self.arrays = self.supports("sum") or self.supports("matmul")

    def make(self, value: Any) -> Handle:
        """A variable."""
        return self._object("make", value)

    def apply(self, op: str, *operands: Any, **options: Any) -> Handle:
        """The result of an operation."""
        return self._object("apply", op, *operands, **options)

    def chain(self, op: str, handle: Handle, other: Any, times: int) -> Handle:
        """The same operation many times."""
        return self._object("chain", op, handle, other, times)

    def backward(self, root: Handle, calls: int = CALLS) -> int:
        """Go back from ``root``; how many functions were called."""
        counted = self._ask("backward", root, calls)
        return counted if type(counted) is int else 0

    def grad(self, handle: Handle) -> FloatArray | None:
        """An object's gradient."""
        found = self._ask("grad", handle)
        return None if found is None else self._array("reading", found)

    def data(self, handle: Handle) -> FloatArray:
        """An object's numbers."""
        return self._array("reading", self._ask("data", handle))

    def write(self, handle: Handle, value: Any) -> None:
        """Give an object new numbers."""
        self._ask("write", handle, value)

    def clear(self, handle: Handle) -> None:
        """Make an object's gradient what it is before any backward."""
        self._ask("clear", handle)

    def supports(self, op: str) -> bool:
        """Whether the engine's objects have an operation."""
        return self._ask("supports", op) is True

    def _object(self, method: str, *operands: Any, **options: Any) -> Handle:
        match self._ask(method, *operands, **options):
            case {"object": int(number)}:
                return self.student.kept(number)
        raise Failure("making", "TypeError", "no object came back")

    def _array(self, stage: str, found: Any) -> FloatArray:
        if isinstance(found, (np.ndarray, np.generic)) and found.dtype.kind in "biufc":
            return np.asarray(found)
        raise Failure(stage, "TypeError", f"a {type(found).__name__} where an array is expected")

    def _ask(self, method: str, *operands: Any, **options: Any) -> Any:
        """What the driver there answers.

        Raises:
            Failure: the engine raised, or the worker has no answer.
            Ended: there is no worker any more.
        """
        given = tuple(self._crossing(each) for each in operands)
        question = {"file": self.file, "name": self.name, "method": method, "operands": given, "options": options}
        try:
            answered = self.student.ask("engine", **question)
        except Failed as failed:
            raise Failure(STAGES.get(method, "forward"), failed.status, failed.text) from None
        match answered:
            case ("failure", "backward", "TooManyCalls", _, _):
                raise TooManyCalls(operands[-1])
            case ("failure", str(stage), str(kind), str(message), str(where)):
                raise Failure(stage, kind, message, where)
            case answer:
                return answer

    def _crossing(self, operand: Any) -> Any:
        """An operand as it crosses: objects by their numbers, slices by their parts."""
        if isinstance(operand, Handle):
            return {"object": self.student.number(operand)}
        if isinstance(operand, slice):
            return {"slice": (operand.start, operand.stop, operand.step)}
        return operand
