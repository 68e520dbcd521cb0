"""The evaluation of a function on fresh variables, with all that can be seen of it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from .. import tree
from ..backend import Array, common_module
from ..contexts import is_paused, recording_by
from ..kinds import Primitive
from ..reverse import collect
from ..tape import NO_PARAMS, Node, instead_of_recording
from ..tensor import Tensor, unwrap
from ..tracing import origin
from .words import type_of, values_of

__all__ = ["Input", "Noted", "Operand", "Tape", "constant", "evaluate_recorded"]

Function = Callable[..., Any]


@dataclass(frozen=True)
class Input:
    """A number or array of floating-point numbers among the arguments, for which there is a variable.

    Attributes:
        name: as one would write it inside the function, such as ``params['w']``.
        array: its values.
        node: the variable's place on the tape.
    """

    name: str
    array: Array
    node: Node


@dataclass(frozen=True)
class Operand:
    """What an operation is given.

    Attributes:
        text: the name of an argument, ``%3`` for the result of row 3, or what a constant is.
        id: the number of its row; ``None`` for what has none.
    """

    text: str
    id: int | None = None


@dataclass(frozen=True)
class Noted:
    """What is seen of an operation while it is recorded, and not afterwards.

    Attributes:
        operands: the constants it was given, ``None`` in place of what has a node; itself ``None`` if they are not known.
        result: type and value of its result.
        line: where the user wrote it, (file, number).
        section: which walk was at work.
    """

    operands: Sequence[Operand | None] | None
    result: tuple[str, str]
    line: tuple[str, int] | None
    section: str


@dataclass(frozen=True)
class Tape:
    """The evaluation of a function on fresh variables.

    Attributes:
        name: of the function.
        inputs: the variables.
        out: what the function returned.
        nodes: inputs, then all nodes between them and the results, by rising id.
        noted: what was seen of each operation, by the id of its node.
        names: of arguments, by the id of the array (an object's, as Python gives it).
    """

    name: str
    inputs: list[Input]
    out: Any
    nodes: list[Node]
    noted: dict[int, Noted]
    names: dict[int, str]

    def outputs(self) -> list[tuple[str, Node]]:
        """The results that depend on the inputs: how one would write them after the result's name, and their nodes."""
        found = zip(tree.paths(self.out), tree.leaves(self.out), strict=True)
        ours = set(self.nodes)
        return [(path, y.node) for path, y in found if isinstance(y, Tensor) and y.node is not None and y.node in ours]


def evaluate_recorded(f: Function, arguments: Sequence[Any]) -> Tape:
    """Evaluate ``f`` on variables for all floating-point numbers in the arguments, and collect its tape.

    Raises:
        TypeError: if ``f`` is no function, or no argument holds floating-point numbers.
    """
    if not callable(f):
        raise TypeError(f"show: expected a function, got a {type(f).__name__}; call it as ad.show(f, x), the arguments after f")
    module = common_module(unwrap(leaf) for leaf in tree.leaves(arguments))
    names: dict[int, str] = {}
    inputs: list[Input] = []
    opened = []
    for name, argument in zip(_argument_names(f, len(arguments)), arguments, strict=True):
        leaves, structure = tree.flatten(argument)
        fresh = []
        for path, leaf in zip(tree.paths(argument), leaves, strict=True):
            array = unwrap(leaf)
            array = module.asarray(array) if type(array) in (float, complex) else array
            names[id(array)] = name + path
            if hasattr(array, "dtype") and array.dtype.kind in "fc":
                inputs.append(Input(name + path, array, Node(None, (), (), NO_PARAMS, array)))
                leaf = Tensor(array, inputs[-1].node)
            fresh.append(leaf)
        opened.append(tree.unflatten(structure, fresh))
    if not inputs:
        given = ", ".join(type_of(unwrap(leaf)) for leaf in tree.leaves(arguments)) or "none"
        raise TypeError(
            f"show: no argument holds floating-point numbers, which alone can be differentiated by; given: {given}. Pass the "
            f"arguments after the function, ad.show(f, x), and convert integers, for instance with .astype(float)"
        )
    noted: dict[int, Noted] = {}
    with recording_by(_noting(noted, names)):
        out = f(*opened)
    return Tape(_name(f), inputs, out, _nodes(inputs, out), noted, names)


def _name(f: Function) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _argument_names(f: Function, count: int) -> list[str]:
    """What the function calls its positional arguments; ``x0``, ``x1``, ... where it does not say."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # some functions written in C
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    return names + [f"x{k}" if rest is None else f"{rest}[{k - len(names)}]" for k in range(len(names), count)]


def _nodes(inputs: Sequence[Input], out: Any) -> list[Node]:
    leaves = [each.node for each in inputs]
    outputs = dict.fromkeys(y.node for y in tree.leaves(out) if isinstance(y, Tensor) and y.node is not None)
    return [*leaves, *collect(list(outputs), leaves)[0]]


# ---- what is seen while recording


def _noting(noted: dict[int, Noted], names: dict[int, str]) -> Function:
    """A recorder that does what is done anyway, and notes what it sees; in words, so that no array lives longer for it."""
    outside = None if is_paused() else instead_of_recording.get()
    stop = sys._getframe(1).f_code  # `evaluate_recorded`: what lies further out is not the function's

    def record(primitive: Primitive, parents: Sequence[Node | None], saved: Any, params: Any, out: Any) -> Tensor:
        recorder = outside or (lambda *made: Tensor(made[-1], Node(*made)))
        tensor: Tensor = recorder(primitive, parents, saved, params, out)
        if tensor.node is not None:
            line, section = origin(stop)
            tensor.node.line = line  # type: ignore[assignment]  # where walks inside the function look for it
            given = _operands_given(sys._getframe(2), parents)
            constants = given and [None if isinstance(x, Tensor) and x.node else constant(x, names) for x in given]
            noted[tensor.node.id] = Noted(constants, (type_of(out), values_of(out)), line, section)
        return tensor

    return record


def _operands_given(frame: FrameType, parents: Sequence[Node | None]) -> Sequence[Any] | None:
    """The operands of the call that records, which hands on the nodes alone: constants are seen nowhere but in its frame.

    ``None`` if what is found there does not fit the nodes.
    """
    seen = frame.f_locals
    for several in ("operands", "given", "inputs"):
        if several in seen:
            found = list(seen[several])
            break
    else:
        found = [seen[name] for name in ("x", "y") if name in seen] + list(seen.get("constants", ()))
    beyond = parents[len(found) :]
    nodes = [x.node if isinstance(x, Tensor) else None for x in found]
    return found if tuple(nodes) == tuple(parents[: len(found)]) and None not in beyond else None


def constant(x: Any, names: dict[int, str]) -> Operand:
    """A constant by its name, if it is an argument, or by its type, and value if it is a single number."""
    x = unwrap(x)
    if x is None:
        return Operand("constant")
    if id(x) in names and hasattr(x, "dtype"):
        return Operand(names[id(x)])
    return Operand(f"{type_of(x)} {values_of(x) if getattr(x, 'size', 0) == 1 else ''}".rstrip())
