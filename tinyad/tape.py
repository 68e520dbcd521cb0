"""The tape: what the evaluation of a function leaves behind.

A node is one operation: its primitive, the nodes it came from, the arrays its derivative rule asked to keep, and its static
parameters. Nodes point to their parents and never to their results, so a tape lives exactly as long as somebody holds a
result, and dies by reference counting alone. There is no global tape: the tape of a result is the set of nodes reachable
from it, in the order of their ids.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backend import Array
from .tensor import Tensor

if TYPE_CHECKING:
    from .kinds import Primitive

__all__ = ["NO_PARAMS", "Node", "Variable", "detect_anomaly", "lifted", "no_grad", "record", "recording", "variable"]

_next_id = itertools.count().__next__
NO_PARAMS: dict[str, Any] = {}


class Node:
    """One operation on the tape.

    Attributes:
        id: increasing with time, so parents have smaller ids and sorting by id is a topological order.
        primitive: the record of the operation's rules; ``None`` at a leaf.
        parents: one per operand, ``None`` where the operand is a constant.
        saved: the arrays the rules asked for, in the order operands, then result; ``None`` where nobody asked.
        params: static parameters (axes, shapes, indices), by name.
        shape, dtype: of the result; a cotangent of this node has the same.
        line: where in the user's code it was recorded; set only inside `detect_anomaly`.
    """

    __slots__ = ("dtype", "id", "line", "params", "parents", "primitive", "saved", "shape")

    line: str

    def __init__(
        self,
        primitive: Primitive | None,
        parents: tuple[Node | None, ...],
        saved: tuple[Any, ...],
        params: dict[str, Any],
        out: Array,
    ) -> None:
        self.id = _next_id()
        self.primitive = primitive
        self.parents = parents
        self.saved = saved
        self.params = params
        self.shape = out.shape
        self.dtype = out.dtype


class Variable(Node):
    """The leaf of a variable made by `tinyad.tensor`; ``backward`` accumulates into ``grad``."""

    __slots__ = ("grad",)

    def __init__(self, array: Array) -> None:
        super().__init__(None, (), (), NO_PARAMS, array)
        self.grad: Array | None = None


def variable(array: Array) -> Tensor:
    """A fresh leaf for a walk to stop at."""
    return Tensor(array, Node(None, (), (), NO_PARAMS, array))


def record(
    primitive: Primitive, parents: tuple[Node | None, ...], saved: tuple[Any, ...], params: dict[str, Any], out: Array
) -> Tensor:
    """Give a result its place on the tape."""
    instead = _instead_of_recording.get()
    if instead is not None:
        return instead(primitive, parents, saved, params, out)
    return Tensor(out, Node(primitive, parents, saved, params, out))


def lifted(node: Node) -> list[Any]:
    """A node's saved arrays as Tensors at their places, so that rules run on them are recorded in turn."""
    places = (*node.parents, node)
    return [
        value if value is None or place is None else Tensor(value, place)
        for value, place in zip(node.saved, places, strict=False)
    ]


# ---- contexts: each replaces what `record` does, for the current thread and task

_Recorder = Callable[..., Tensor]
_instead_of_recording: ContextVar[_Recorder | None] = ContextVar("instead_of_recording", default=None)


@contextmanager
def _recording_by(recorder: _Recorder | None) -> Iterator[None]:
    token = _instead_of_recording.set(recorder)
    try:
        yield
    finally:
        _instead_of_recording.reset(token)


def _forget(primitive: Primitive, parents: Any, saved: Any, params: Any, out: Array) -> Tensor:
    return Tensor(out)


def _record_with_line(primitive: Primitive, parents: Any, saved: Any, params: Any, out: Array) -> Tensor:
    node = Node(primitive, parents, saved, params, out)
    node.line = _line_of_user()
    return Tensor(out, node)


_ENGINE = str(Path(__file__).parent) + os.sep


def _line_of_user() -> str:
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_engine(frame.f_code.co_filename):
        frame = frame.f_back
    return f'File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}'


def _is_engine(filename: str) -> bool:
    relative = filename.removeprefix(_ENGINE)
    return relative != filename and not relative.startswith(("models" + os.sep, "optim" + os.sep))


def no_grad() -> Any:
    """A context in which nothing is recorded: results are constants.

    A derivative transform called inside still differentiates its own function.

    >>> import tinyad as ad
    >>> x = ad.tensor(2.0)
    >>> with ad.no_grad():
    ...     y = x * x
    >>> y
    Tensor(4., dtype=float64)
    """
    return _recording_by(_forget)


def detect_anomaly() -> Any:
    """A context that finds the operation where a gradient turns NaN or infinite.

    Inside it each operation remembers the user's line (about 1 microsecond more an operation), and a reverse walk raises
    `FloatingPointError` at the first operation that turns a finite cotangent into a non-finite one.

    >>> import tinyad as ad
    >>> with ad.detect_anomaly():
    ...     ad.grad(lambda x: ad.sqrt(x))(0.0)
    Traceback (most recent call last):
        ...
    FloatingPointError: the derivative of `sqrt` turned a finite cotangent into inf or nan...
    """
    return _recording_by(_forget if is_paused() else _record_with_line)


def recording() -> Any:
    """A context in which operations are recorded, whatever surrounds it; `detect_anomaly` keeps its lines."""
    return _recording_by(None if is_paused() else _instead_of_recording.get())


def is_paused() -> bool:
    """Whether we are inside `no_grad`."""
    return _instead_of_recording.get() is _forget


def seeks_anomalies() -> bool:
    """Whether we are inside `detect_anomaly`."""
    return _instead_of_recording.get() is _record_with_line
