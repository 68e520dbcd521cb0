"""The tape as rows of a table: a row an input or an operation, in the order in which they came to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..backend import Array, is_array
from ..kinds import Elementwise, General, JointlyLinear, Linear, Multilinear, Primitive
from ..tape import Node
from .recording import Noted, Operand, Tape, constant
from .words import type_of, values_of

__all__ = ["Row", "rows_of", "saved_bytes"]


@dataclass(frozen=True)
class Row:
    """A node of the tape.

    Attributes:
        id: its number, from 0 in the order of the tape.
        operation: name of the primitive; "input" for an argument.
        kind: "elementwise", "linear", "multilinear", "general", or "call" of a function with a rule of its own; "input".
        name: what other rows call it: the argument's name, or ``%`` and its number.
        operands: what the operation is given.
        shape, dtype: of its result; ``None`` for an operation of several results, which rows "pick" take apart.
        result, value: the same as text, and the values where they are few; else empty.
        saved: what the derivative rule keeps: operands by their text, and "result".
        parameters: static ones, by name.
        line: where the user wrote it, (file, line number); ``None`` if that is not known.
        section: "forward"; or, in a derivative that the function takes, "backward" or "tangent", the walk that made the node.
    """

    id: int
    operation: str
    kind: str
    name: str
    operands: tuple[Operand, ...]
    shape: tuple[int, ...] | None
    dtype: Any
    result: str
    value: str
    saved: tuple[str, ...]
    parameters: dict[str, Any]
    line: tuple[str, int] | None
    section: str


def rows_of(tape: Tape) -> list[Row]:
    """A row for each node of a tape."""
    references = {node: Operand(f"%{k}", k) for k, node in enumerate(tape.nodes)}
    references |= {each.node: Operand(each.name, k) for k, each in enumerate(tape.inputs)}
    values = {each.node.id: Noted(None, (type_of(each.array), values_of(each.array)), None, "forward") for each in tape.inputs}
    return [
        _row(node, references, values.get(node.id) or tape.noted.get(node.id) or _unseen(node), tape) for node in tape.nodes
    ]


def _unseen(node: Node) -> Noted:
    """For a node that a transform made by itself: where a derivative inside the function begins and ends."""
    return Noted(None, (type_of(node), ""), None, "forward")


def _row(node: Node, references: dict[Node, Operand], noted: Noted, tape: Tape) -> Row:
    itself, primitive = references[node], node.primitive
    assert itself.id is not None
    constants = noted.operands or [constant(x, tape.names) for x in node.saved]
    given = [
        (constants[k] if k < len(constants) else None) if parent is None else references.get(parent) or _foreign(parent, tape)
        for k, parent in enumerate(node.parents)
    ]
    operands = [Operand("constant") if x is None else x for x in given]
    saved = [operands[k].text if k < len(operands) else "result" for k, array in enumerate(node.saved) if array is not None]
    return Row(
        itself.id, primitive.name if primitive else "input", _kind(primitive), itself.text, tuple(operands), node.shape, node.dtype,
        *noted.result, tuple(saved), node.params, noted.line, noted.section,
    )  # fmt: skip


_KINDS: list[tuple[type, str]] = [
    (Elementwise, "elementwise"),
    (Linear, "linear"),
    (JointlyLinear, "linear"),
    (Multilinear, "multilinear"),
    (General, "general"),
]


def _kind(primitive: Primitive | None) -> str:
    if primitive is None:
        return "input"
    if primitive.name in ("pick", "tied"):  # they hand on what they get
        return "linear"
    return next((name for kind, name in _KINDS if isinstance(primitive, kind)), "call")


def _foreign(node: Node, tape: Tape) -> Operand:
    """A Tensor that the function closes over, or the variable of a derivative inside it, which has had its walk."""
    return Operand(f"{'inner' if node.id > tape.nodes[0].id else 'outer'} {type_of(node)}")


# ---- memory


def saved_bytes(tape: Tape) -> tuple[int, int, int]:
    """What the tape keeps for derivative rules: number of arrays and their bytes, each counted once, and the inputs' own part.

    A view counts as the array that it shows, which lives as long as it does.
    """
    kept = {id(owner): owner for node in tape.nodes for owner in map(_owner, _arrays_in(node.saved))}
    own = {id(_owner(each.array)) for each in tape.inputs}
    sizes = {key: owner.size * owner.dtype.itemsize for key, owner in kept.items()}
    return len(sizes), sum(sizes.values()), sum(size for key, size in sizes.items() if key in own)


def _arrays_in(values: Sequence[Any]) -> Iterator[Array]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays_in(value)
        elif is_array(value):
            yield value


def _owner(array: Array) -> Array:
    base = getattr(array, "base", None)
    return array if base is None or not is_array(base) else _owner(base)
