"""The forward walk: from the first node to the last, carrying tangents.

The tangent of a node is the derivative of its result in one direction of the leaves. A node takes its parents' tangents through
its primitive's jvp. The record is the one of the reverse walk, so a function is evaluated once and may then be linearised in
any number of directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .primitives.reductions import broadcast_to
from .primitives.shaping import in_dtype
from .reverse import collect
from .tape import Node, lifted
from .tensor import Tensor, unwrap

__all__ = ["forward"]


def forward(
    outputs: Sequence[Node], leaves: Sequence[Node], tangents: Sequence[Any], lead: int = 0, recorded: bool | None = None
) -> tuple[list[Any], list[Node]]:
    """The tangents of the outputs, given those of the leaves.

    Args:
        outputs: the nodes wanted.
        leaves: the nodes to start from.
        tangents: one per leaf, of its shape with ``lead`` extra leading axes; ``None`` for zero.
        recorded: whether to run the rules on Tensors; by default if the result can be differentiated again.

    Returns:
        One tangent per output, ``None`` where it does not depend on a leaf that has one, Tensors if the walk was recorded; and
        the foreign nodes of `collect`.
    """
    nodes, foreign = collect(outputs, leaves)
    if recorded is None:
        recorded = bool(foreign) or any(type(t) is Tensor and t.node is not None for t in tangents)
    table = {leaf: t if recorded else unwrap(t) for leaf, t in zip(leaves, tangents, strict=True) if t is not None}
    last_use = {parent: node for node in nodes for parent in node.parents if parent is not None}
    kept = set(outputs)
    with np.errstate(all="ignore"):  # as in the reverse walk
        for node in nodes:
            tangent = _tangent(node, table, recorded, lead)
            if tangent is not None:
                table[node] = tangent
            for parent in node.parents:  # free what no later node needs
                if parent is not None and parent not in kept and last_use[parent] is node:
                    table.pop(parent, None)
    found = [table.get(node) for node in outputs]
    # copies, because a linear function may have handed on the caller's tangent itself, or a view of it
    return [t if t is None or isinstance(t, (Tensor, list)) else t.copy() for t in found], foreign


def _tangent(node: Node, table: dict[Node, Any], recorded: bool, lead: int) -> Any:
    tangents = [None if parent is None else table.get(parent) for parent in node.parents]
    if all(t is None for t in tangents):
        return None
    primitive, saved = node.primitive, lifted(node) if recorded else node.saved
    assert primitive is not None
    if lead and not primitive.maps_leading_axes:
        return primitive.jvps(tangents, node, saved)
    out = primitive.jvp(tangents, node, saved)
    if out is None or node.shape is None:
        return out
    full = out.shape[:lead] + node.shape
    if out.shape != full:  # of as many axes: rules give tangents those that their operands miss
        out = broadcast_to(out, full)
    return out if out.dtype == node.dtype else in_dtype(out, node.dtype)
