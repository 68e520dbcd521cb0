"""Putting arrays together: concat, stack, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Array
from ..kinds import jointly_linear
from .indexing import getitem, take_slice
from .shaping import (
    as_arrays,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    negative_axis,
    ravel,
    reshape,
    shape_of,
    shaped_by_rank,
)

__all__ = ["append", "block", "column_stack", "concat", "dstack", "hstack", "stack", "vstack"]


def _parts_of_concat(g: Array, parents: Sequence[Any], *, axis: int, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    start, parts = 0, []
    for parent, shape in zip(parents, shapes, strict=True):
        stop = start + shape[axis]
        parts.append(None if parent is None else take_slice(g, axis, start, stop))
        start = stop
    return parts


_concat = jointly_linear("concat", lambda xp, *xs, axis, shapes: xp.concatenate(xs, axis=axis), _parts_of_concat)


def concat(arrays: Sequence[Array], axis: int | None = 0) -> Array:
    """Join arrays along an existing axis; with ``axis=None`` their elements as one vector.

    Raises:
        ValueError: if the shapes differ along another axis, or nothing is given.
    """
    items = _items("concat", arrays)
    if axis is None:
        items, axis = [ravel(x) for x in items], 0
    shapes = tuple([shape_of(x) for x in items])
    if not shapes[0]:
        raise ValueError("concat: array 0 is a number, with no axis to join along; use ad.stack")
    place = negative_axis("concat", axis, len(shapes[0]))
    for i, shape in enumerate(shapes):
        if len(shape) != len(shapes[0]) or any(
            a != b for k, (a, b) in enumerate(zip(shape, shapes[0], strict=True)) if k - len(shape) != place
        ):
            raise ValueError(f"concat: array {i} has shape {shape}, array 0 {shapes[0]}; all but axis {axis} must agree")
    return _concat(*items, axis=place, shapes=shapes)


def _parts_of_stack(g: Array, parents: Sequence[Any], *, axis: int, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    after = [slice(None)] * (-axis - 1)
    return [None if parent is None else getitem(g, (..., i, *after)) for i, parent in enumerate(parents)]


_stack = jointly_linear("stack", lambda xp, *xs, axis, shapes: xp.stack(xs, axis=axis), _parts_of_stack)


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Join arrays of one shape along a new axis.

    Raises:
        ValueError: if the shapes differ, or nothing is given.

    >>> import tinyad as ad
    >>> ad.grad(lambda t: ad.stack([t, t * t])[1])(3.0)
    np.float64(6.0)
    """
    items = _items("stack", arrays)
    shapes = tuple([shape_of(x) for x in items])
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(f"stack: array {i} has shape {shape}, array 0 {shapes[0]}; all must have the same shape")
    return _stack(*items, axis=negative_axis("stack", axis, len(shapes[0]) + 1), shapes=shapes)


def _items(name: str, arrays: Sequence[Array]) -> list[Array]:
    if not hasattr(arrays, "__iter__"):
        raise TypeError(f"{name}: got a {type(arrays).__name__}; expected a list of arrays")
    items = as_arrays(*arrays)
    if not items:
        raise ValueError(f"{name}: got no arrays; expected at least one")
    return items


# ---- along the first, second and third axis


def vstack(arrays: Sequence[Array]) -> Array:
    """Join arrays along the first axis, vectors as rows."""
    return concat([atleast_2d(x) for x in _items("vstack", arrays)], 0)


def hstack(arrays: Sequence[Array]) -> Array:
    """Join arrays along the second axis, numbers and vectors along their only one.

    >>> import numpy as np, tinyad as ad
    >>> ad.hstack([np.ones(2), 3.0])
    array([1., 1., 3.])
    """
    items = [atleast_1d(x) for x in _items("hstack", arrays)]
    return concat(items, 0 if len(shape_of(items[0])) == 1 else 1)


def dstack(arrays: Sequence[Array]) -> Array:
    """Join arrays along the third axis, after `atleast_3d`."""
    return concat([atleast_3d(x) for x in _items("dstack", arrays)], 2)


def column_stack(arrays: Sequence[Array]) -> Array:
    """Join vectors, as columns, and matrices along the second axis."""
    items = _items("column_stack", arrays)
    return concat([reshape(x, (-1 if x.size else 0, 1)) if len(shape_of(x)) < 2 else x for x in items], 1)


def append(x: Array, values: Array, axis: int | None = None) -> Array:
    """``x`` with ``values`` behind it along an axis; without ``axis`` the elements of both as a vector."""
    return concat([x, values], axis)


def block(arrays: Any) -> Array:
    """An array from nested lists of blocks: the innermost lists are joined along the last axis, those around them along the
    one before, and so on. Numbers and arrays of too few axes get axes of length 1 in front.

    Raises:
        ValueError: if the lists are not all equally deep, or one is empty.

    >>> import numpy as np, tinyad as ad
    >>> ad.block([[np.eye(2), np.zeros((2, 1))], [np.ones((1, 2)), 5.0]])
    array([[1., 0., 0.],
           [0., 1., 0.],
           [1., 1., 5.]])
    """
    depth = _depth(arrays)
    leaves = as_arrays(*_leaves(arrays))
    ndim, remaining = max([depth, *[len(shape_of(x)) for x in leaves]]), iter(leaves)

    def joined(part: Any, level: int) -> Array:
        if isinstance(part, list):
            return concat([joined(inner, level - 1) for inner in part], -level)
        return shaped_by_rank(next(remaining), [(1,) * (ndim - k) + (None,) * k for k in range(ndim)])

    return joined(arrays, depth)


def _leaves(arrays: Any) -> list[Array]:
    return [x for part in arrays for x in _leaves(part)] if isinstance(arrays, list) else [arrays]


def _depth(arrays: Any) -> int:
    """How many lists stand around every block."""
    if isinstance(arrays, tuple):
        raise TypeError("block: got a tuple; expected lists of blocks, so that a tuple cannot be taken for one")
    if not isinstance(arrays, list):
        return 0
    depths = {_depth(part) for part in arrays}
    if len(depths) != 1:
        raise ValueError("block: the lists are empty or not equally deep; write [[a, b], [c, d]], or [a, b] for one row")
    return 1 + depths.pop()
