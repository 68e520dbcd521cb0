"""The tape: what the evaluation of a function leaves behind.

A node is one operation: its primitive, the nodes it came from, the arrays its derivative rule asked to keep, and its static
parameters. Nodes point to their parents and never to their results, so a tape lives exactly as long as somebody holds a
result, and dies by reference counting alone. There is no global tape: the tape of a result is the set of nodes reachable
from it, in the order of their ids.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .backend import Array
from .tensor import Tensor

if TYPE_CHECKING:
    from .kinds import Primitive

__all__ = ["NO_PARAMS", "Node", "Variable", "instead_of_recording", "lifted", "record", "variable"]

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
    instead = instead_of_recording.get()
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


# ---- what `record` does instead, for the current thread and task; see `tinyad.contexts`

_Recorder = Callable[..., Tensor]
instead_of_recording: ContextVar[_Recorder | None] = ContextVar("instead_of_recording", default=None)
