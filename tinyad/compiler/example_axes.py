"""Which axis of a value counts the examples.

It follows from the operations, by a rule a name: from the axes along which the operands are cut into parts of the examples follows
the axis of the result, and how the instruction is computed on a part. A value is cut along an axis, or the same for all parts, or
a *share*: a sum over the examples of a part, whose sum over the parts is the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..program import Constant, Instruction, Value
from .blocks import is_elementwise

__all__ = ["COUNT", "RULES", "SHARE", "Axes", "Move", "move_of", "shape_of_part"]

SHARE = -1
"""In place of an axis: a sum over the examples of a part."""
COUNT = -2
"""In place of an axis: the numbers of the examples, from 0 in each part."""

Axes = list[Any]
"""Of each operand the axis along which it is cut; ``None``: not at all."""


class Move(NamedTuple):
    """How an instruction is computed on a part of the examples.

    Attributes:
        axes: along which the operands are cut.
        place: the axis along which the result is cut, or ``SHARE``.
        params: the static parameters.
    """

    axes: Axes
    place: int
    params: dict[str, Any]


def move_of(i: Instruction, known: Axes, parts: int) -> Move | None:
    """How an instruction is computed on one of so many parts; ``None`` if it cannot be, or if it need not be.

    Args:
        i: the instruction.
        known: the axes of operands that are cut already.
        parts: their number.
    """
    if len(i.outputs) != 1 or i.out.weak or not i.is_pure or all(k is None for k in known):
        return None
    rule = _elementwise if is_elementwise(i) else RULES.get(i.name)
    move = rule(i, known, parts) if rule is not None else None
    return move if move is None or move.place != SHARE or _adds_up(i.out) else None


def _adds_up(x: Value) -> bool:
    """Whether the sum of shares is of their dtype: NumPy adds short integers as long ones, and a product of booleans is no sum."""
    return bool(np.add.reduce(np.empty(0, x.dtype)).dtype == x.dtype)


def shape_of_part(shape: Sequence[int], axis: int | None, parts: int) -> tuple[int, ...]:
    """The shape of a part of an array of this shape, cut along an axis."""
    return tuple([n // parts if k == axis else n for k, n in enumerate(shape)])


# ---- the rules: from an instruction, the axes of operands that are cut already, and the number of parts


def _elementwise(i: Instruction, known: Axes, parts: int) -> Move | None:
    ndim = i.out.ndim
    places = {k + ndim - x.ndim for k, x in zip(known, i.inputs, strict=True) if k is not None}
    if len(places) != 1:
        return None
    (place,) = places
    axes: Axes = []
    for x in i.inputs:
        k = place - ndim + x.ndim if isinstance(x, Value) else -1
        axes.append(k if k >= 0 and x.shape[k] == i.out.shape[place] else None)
    return Move(axes, place, i.params)


def _matmul(i: Instruction, known: Axes, parts: int) -> Move | None:
    x, y = i.inputs
    if x.ndim > 2 or y.ndim > 2:
        return None
    k, j = known
    last = x.ndim - 1
    if (k == last or j == 0) and k in (None, last) and j in (None, 0):
        return Move([last, 0], SHARE, i.params)
    if k == 0 and x.ndim == 2 and j is None:
        return Move([0, None], 0, i.params)
    if j == 1 and k is None:
        return Move([None, 1], i.out.ndim - 1, i.params)
    return None


def _reduction(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    ndim = i.inputs[0].ndim
    axes = {a % ndim for a in i.params["axis"]}
    if k in axes:
        return Move(known, SHARE, i.params) if i.name == "sum" else None
    return Move(known, k if i.params["keepdims"] else k - sum(a < k for a in axes), i.params)


def _transpose(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    ndim = i.out.ndim
    return Move(known, 2 * ndim - 3 - k if k >= ndim - 2 else k, i.params)


def _permutation(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    ndim, axes = i.out.ndim, i.params["axes"]
    order = [*range(ndim - len(axes)), *[a % ndim for a in axes]]
    return Move(known, order.index(k), i.params)


def _reshape(i: Instruction, known: Axes, parts: int) -> Move | None:
    x, (k,) = i.inputs[0], known
    before = math.prod(x.shape[:k])
    for place, n in enumerate(i.out.shape):
        if n == x.shape[k] and math.prod(i.out.shape[:place]) == before:
            return Move(known, place, {"rank": x.ndim, "shape": shape_of_part(i.out.shape, place, parts)})
    return None


def _broadcast(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    if i.inputs[0].ndim != i.params["rank"]:
        return None
    place = k + i.out.ndim - i.inputs[0].ndim
    return Move(known, place, i.params | {"shape": shape_of_part(i.out.shape, place, parts)})


def _element_of_each_row(i: Instruction, known: Axes, parts: int) -> Move | None:
    """``x[examples, labels]``, and its transpose."""
    if len(i.inputs) != 3 or len(i.params["index"]) != 2 or any(x.ndim != 1 or x.dtype.kind not in "iu" for x in i.inputs[1:]):
        return None
    rows = i.inputs[1]
    n = i.inputs[0].shape[0]
    counts = isinstance(rows, Constant) and rows.shape == (n,) and bool((np.asarray(rows.array) == np.arange(n)).all())
    if not counts or any(k not in (None, 0) for k in known):
        return None
    if i.name == "getitem":
        return Move([0, COUNT, 0], 0, i.params)
    if i.params["shape"][0] != n:
        return None
    return Move([0, COUNT, 0], 0, i.params | {"shape": shape_of_part(i.params["shape"], 0, parts)})


RULES: dict[str, Callable[[Instruction, Axes, int], Move | None]] = {
    "broadcast_to": _broadcast,
    "getitem": _element_of_each_row,
    "matmul": _matmul,
    "matrix_transpose": _transpose,
    "max": _reduction,
    "min": _reduction,
    "permute_dims": _permutation,
    "reshape": _reshape,
    "scatter": _element_of_each_row,
    "sum": _reduction,
}
"""By the name of the operation; elementwise functions have one for all."""
