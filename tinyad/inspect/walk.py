"""The reverse walk, step by step.

The walk that is shown is the engine's own. While it runs, each node's primitive is a `_Watched`, which answers as the primitive
does and notes down what was asked and what was answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..backend import Array, asnumpy, is_array, is_mutable, module_of
from ..contexts import recording_by
from ..kinds import Deferred
from ..reverse import reverse
from ..tape import Node
from ..tensor import Tensor, unwrap
from .recording import Tape
from .tape_table import Row
from .words import type_of

__all__ = ["Contribution", "Step", "seeds_of", "walk"]


@dataclass(frozen=True)
class Contribution:
    """What a node hands to one of its parents.

    Attributes:
        to: name of the parent's row.
        id: number of that row; ``None`` for the variable of a derivative inside the function, which has had its walk.
        cotangent: what the rule gave, before it is summed over axes that were broadcast; ``None`` for zero.
        shape, becomes: of the parent, whose cotangent has them too: shape, and type as text.
        earlier: names of the rows that handed a contribution to the same parent before, to which this one is added.
    """

    to: str
    id: int | None
    cotangent: Any
    shape: tuple[int, ...] | None
    becomes: str
    earlier: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A visit of the reverse walk.

    Attributes:
        row: the node that is visited.
        cotangent: what has arrived there: an array; a list of them for an operation of several results.
        contributions: what it hands to its parents.
    """

    row: Row
    cotangent: Any
    contributions: tuple[Contribution, ...]

    @property
    def breaks(self) -> bool:
        """Whether a finite cotangent came in, and one with infinities or NaN goes out."""
        return _finite(self.cotangent) and not all(_finite(each.cotangent) for each in self.contributions)


def seeds_of(tape: Tape, cotangent: Any) -> list[tuple[Node, Any]]:
    """Where the walk starts, and with what: one for a scalar result, or else what is given.

    Raises:
        ValueError: if no result depends on an input, or there is no scalar and no cotangent of the right structure and shapes.
        TypeError: if the scalar is complex and there is no cotangent.
    """
    if not tape.outputs():
        raise ValueError(
            f"show: backward=True, but what {tape.name} returned does not depend on its inputs. Compute it from the arguments with "
            f"tinyad's or NumPy's functions; float(x), x.array, np.asarray and ad.no_grad leave the tape"
        )
    results, structure = tree.flatten(tape.out)
    if cotangent is None:
        _check_scalar(tape, results[0])
        cotangent = 1.0
    given = zip(tree.paths(tape.out), tree.same_structure("cotangent", structure, cotangent, "result"), results, strict=True)
    ours = {id(node) for _, node in tape.outputs()}
    seeds = []
    for path, g, y in given:
        if isinstance(y, Tensor) and y.node is not None and id(y.node) in ours:
            array = module_of(y.array).asarray(unwrap(g), dtype=y.dtype)
            if array.shape != y.shape:
                raise ValueError(f"cotangent{path}: shape {array.shape} given, but {y.shape} expected, the shape of the result")
            seeds.append((y.node, array))
    return seeds


def _check_scalar(tape: Tape, result: Any) -> None:
    if not tree.is_leaf(tape.out) or result.shape != ():
        what = type_of(result) if tree.is_leaf(tape.out) else f"a {type(tape.out).__name__}"
        raise ValueError(
            f"show: backward=True needs a scalar result, and {tape.name} returned {what}. Sum it with ad.sum, or pass cotangent=, "
            f"the weights of its elements, with its structure and shapes"
        )
    if result.dtype.kind == "c":
        raise TypeError(f"show: backward=True needs a real result, and {tape.name} returned a complex one. Pass cotangent=")


def walk(tape: Tape, rows: Sequence[Row], seeds: Sequence[tuple[Node, Any]]) -> tuple[list[Step], dict[str, Array | None]]:
    """The steps of the reverse walk from the seeds, and the inputs' cotangents by name (``None`` for zero)."""
    steps: list[Step] = []
    handed: dict[Node, list[str]] = {}
    row_of = dict(zip(tape.nodes, rows, strict=True))

    def note(node: Node, g: Any, asked: Sequence[Node | None], answers: Sequence[Any]) -> None:
        contributions = []
        for parent, answer in zip(asked, answers, strict=False):
            if parent is None:
                continue
            row, cotangent = row_of.get(parent), _copy(answer)
            name, number = (row.name, row.id) if row else ("an inner variable", None)
            earlier: list[str] = [] if cotangent is None else handed.setdefault(parent, [])
            contributions.append(Contribution(name, number, cotangent, parent.shape, type_of(parent), tuple(earlier)))
            earlier.append(row_of[node].name)
        steps.append(Step(row_of[node], _copy(g), tuple(contributions)))

    operations = [node for node in tape.nodes if node.primitive is not None]
    real = [node.primitive for node in operations]
    for node in operations:
        node.primitive = _Watched(node.primitive, note)  # type: ignore[assignment]
    try:
        with recording_by(None):  # `detect_anomaly` would end the walk at the first infinity; here it is shown
            found, _ = reverse(
                [node for node, _ in seeds], [g for _, g in seeds], [each.node for each in tape.inputs], recorded=False
            )
    finally:
        for node, primitive in zip(operations, real, strict=True):
            node.primitive = primitive
    return steps, {each.name: g for each, g in zip(tape.inputs, found, strict=True)}


class _Watched:
    """A primitive whose reverse rule is listened to."""

    def __init__(self, primitive: Any, note: Any) -> None:
        self._primitive, self._note = primitive, note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._primitive, name)

    def vjp(self, g: Any, node: Node, saved: Any, parents: Any) -> Sequence[Any]:
        return self._listen(self._primitive.vjp, g, node, saved, parents)

    def guarded_vjp(self, g: Any, node: Node, saved: Any, parents: Any) -> Sequence[Any]:
        return self._listen(self._primitive.guarded_vjp, g, node, saved, parents)

    def _listen(self, rule: Any, g: Any, node: Node, saved: Any, parents: Any) -> Sequence[Any]:
        answers: Sequence[Any] = rule(g, node, saved, parents)
        self._note(node, g, parents, answers)
        return answers


def _copy(g: Any) -> Any:
    """A cotangent as it is now: the walk adds to its arrays in place."""
    if type(g) is Deferred:
        g = g.add_to(None)
    if isinstance(g, list):
        return [_copy(part) for part in g]
    return g.copy() if is_array(g) and is_mutable(g) else g


def _finite(g: Any) -> bool:
    if isinstance(g, list):
        return all(_finite(part) for part in g)
    return not is_array(g) or not is_mutable(g) or bool(np.isfinite(asnumpy(g)).all())
