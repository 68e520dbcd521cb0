"""The reverse walk: from the last node to the first, carrying cotangents.

The cotangent of a node is the derivative of the walk's outputs, weighted, with respect to that node's result. A node hands its
cotangent to its parents through its primitive's vjp; ids increase with time, so visiting nodes by falling id means that a
cotangent is complete when its node is reached, whatever the shape of the graph, without recursion.

Nested derivatives need no levels. A walk stops at its own leaves, and ids tell what is older than they are: if the tape also
reaches an older node, or a user's variable, somebody may want to differentiate the result again, and the rules are run on
Tensors, which records them; otherwise they run on plain arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .backend import Array, module_of
from .contexts import seeks_anomalies
from .kinds import Deferred
from .primitives.reductions import unbroadcast
from .primitives.shaping import in_dtype
from .tape import Node, Variable, lifted
from .tensor import Tensor, unwrap

__all__ = ["collect", "depending", "reverse"]

_by_id = attrgetter("id")


def collect(outputs: Sequence[Node], leaves: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """The nodes between leaves and outputs by rising id, and the foreign nodes that the tape reaches beyond them.

    Nodes older than the oldest leaf cannot depend on a leaf, so they are not followed.
    """
    first = min([leaf.id for leaf in leaves], default=-1)
    ours = set(leaves)
    seen = set(leaves).union(outputs)
    pending = [node for node in seen if node not in ours]
    nodes = []
    foreign = [parent for leaf in leaves for parent in leaf.parents if parent is not None]
    while pending:
        node = pending.pop()
        if node.id < first or type(node) is Variable:
            foreign.append(node)
        elif node.primitive is not None:  # else the leaf of a transform inside ours, which has had its walk
            nodes.append(node)
            for parent in node.parents:
                if parent is not None and parent not in seen:
                    seen.add(parent)
                    pending.append(parent)
    nodes.sort(key=_by_id)
    return (depending(nodes, ours) if foreign else nodes), foreign


def depending(nodes: Sequence[Node], leaves: set[Node]) -> list[Node]:
    """Those of the nodes, given by rising id, that depend on a leaf."""
    reached = set(leaves)
    kept = []
    for node in nodes:
        if not reached.isdisjoint(node.parents):
            reached.add(node)
            kept.append(node)
    return kept


def reverse(
    outputs: Sequence[Node],
    cotangents: Sequence[Any],
    leaves: Sequence[Node],
    lead: int = 0,
    recorded: bool | None = None,
    guarded: bool = False,
) -> tuple[list[Any], list[Node]]:
    """The cotangents of the leaves, given those of the outputs.

    Args:
        outputs: the nodes to start from.
        cotangents: one per output, of its shape, with ``lead`` extra leading axes: one walk then serves many cotangents.
        leaves: the nodes to stop at.
        recorded: whether to run the rules on Tensors; by default if the result can be differentiated again.
        guarded: whether a cotangent of zero may come from the inactive branch of a `where`, which the walk else finds out.

    Returns:
        One cotangent per leaf, ``None`` where no output depends on it: Tensors if the walk was recorded, else plain arrays that
        belong to the caller. And the foreign nodes of `collect`, because of which a walk is recorded.
    """
    nodes, foreign = collect(outputs, leaves)
    if recorded is None:
        recorded = bool(foreign) or any(type(g) is Tensor and g.node is not None for g in cotangents)
    table = _Cotangents(lead)
    for node, g in zip(outputs, cotangents, strict=True):
        table.add(node, g if recorded else unwrap(g), False)
    wanted = {*nodes, *leaves} if foreign else None
    plain = not (recorded or foreign or lead or seeks_anomalies())
    with np.errstate(all="ignore"):  # infinite partials are the rules' business, not the user's
        while nodes:
            node = nodes.pop()
            g = table.pop(node, None)
            if g is None:
                continue
            primitive: Any = node.primitive
            if plain and not guarded:
                contributions = primitive.vjp(g, node, node.saved, node.parents)
            else:
                contributions = _contributions(g, node, recorded, lead, wanted, guarded)
            guarded = guarded or primitive.branches
            for parent, contribution in zip(node.parents, contributions):  # noqa: B905 (costs, on every node)
                if contribution is not None and parent is not None:
                    table.add(parent, contribution, primitive.allocates and contribution is not g)
    return [table.result(leaf) for leaf in leaves], foreign


def _contributions(g: Any, node: Node, recorded: bool, lead: int, wanted: set[Node] | None, guarded: bool) -> Sequence[Any]:
    """What a node hands to its parents, in the cases that are not plain.

    ``wanted`` are the nodes that lead to a leaf; ``guarded`` says that the walk has passed a `where`.
    """
    primitive, parents = node.primitive, node.parents
    assert primitive is not None
    if wanted is not None:
        parents = tuple([parent if parent in wanted else None for parent in parents])
    saved = lifted(node) if recorded else node.saved
    contributions: Sequence[Any]
    rule = primitive.guarded_vjp if guarded else primitive.vjp
    if lead and not primitive.maps_leading_axes:
        contributions = primitive.vjps(rule, g, node, saved, parents)
    else:
        contributions = rule(g, node, saved, parents)
    if seeks_anomalies():
        _check_finite(g, node, contributions)
    return [None if parent is None else c for parent, c in zip(parents, contributions, strict=True)]


class _Cotangents(dict[Node, Any]):
    """The cotangents of a reverse walk that are not used up yet.

    ``owned`` are the nodes whose cotangent nobody else holds: the walk adds to it in place, because the pages of a fresh large
    array cost more than the sum (a factor 2 at 2 MB).
    """

    def __init__(self, lead: int) -> None:
        self.lead = lead
        self.owned: set[Node] = set()

    def add(self, node: Node, g: Any, fresh: bool) -> None:
        """Add ``g`` to a node's cotangent; ``fresh`` says that it was made for this and nobody else holds it."""
        held = self.get(node)
        if type(g) is Deferred and type(held) is Tensor:  # a recorded sum: never in place
            g, fresh = held + g.add_to(None), False
        elif type(g) is Deferred:
            g, fresh = g.add_to(held if held is None or node in self.owned else module_of(held).array(held)), True
        else:
            if g.shape != node.shape or g.dtype is not node.dtype:
                g, fresh = self._fit(g, node, fresh)
            if held is not None:
                g, fresh = self._sum(node, held, g, fresh)
        self[node] = g
        if fresh:
            self.owned.add(node)

    def _fit(self, g: Any, node: Node, fresh: bool) -> tuple[Any, bool]:
        """A contribution with the shape (after the leading axes) and the dtype of the node it goes to."""
        if g.shape[self.lead :] != node.shape:
            g = unbroadcast(g, node.shape, self.lead)
            fresh = True  # a sum
        return (g, fresh) if g.dtype == node.dtype else (in_dtype(g, node.dtype), fresh)

    def _sum(self, node: Node, held: Any, g: Any, fresh: bool) -> tuple[Any, bool]:
        if type(g) is Tensor or type(g) is not type(held):  # only plain arrays are added to in place
            return held + g, False
        if g.size == 1:  # in place, one element costs three times more: measured; and NumPy's scalars have no place
            self.owned.discard(node)
            return held + g, False
        if node in self.owned:
            held += g
            return held, True
        if fresh:
            g += held
            return g, True
        return held + g, True

    def result(self, leaf: Node) -> Array | None:
        """A leaf's cotangent, which the caller may keep and change."""
        g = self.pop(leaf, None)
        return g if g is None or type(g) is Tensor or leaf in self.owned else g.copy()


def _check_finite(g: Any, node: Node, contributions: Sequence[Any]) -> None:
    if any(not _finite(part) for part in (g if type(g) is list else [g]) if part is not None):
        return
    for i, (parent, c) in enumerate(zip(node.parents, contributions, strict=True)):
        if parent is None or c is None or type(c) is Deferred or _finite(c):
            continue
        line = getattr(node, "line", "a line that was not recorded, because it ran before `with ad.detect_anomaly()`")
        raise FloatingPointError(
            f"the derivative of `{getattr(node.primitive, 'name', '')}` turned a finite cotangent into inf or nan, for operand "
            f"{i} of shape {parent.shape}, result of shape {node.shape}.\n  recorded at {line}"
        )


def _finite(values: Any) -> bool:
    return bool(module_of(unwrap(values)).isfinite(unwrap(values)).all())
