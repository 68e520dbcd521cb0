"""Sorting: the order is a constant, so the derivative of sorted elements is that of the elements in that order.

Equal elements keep their order, so at a tie the derivative follows the first of them.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..backend import Array
from ..kinds import constant_like, nondifferentiable
from ..tensor import unwrap
from .indexing import take_slice
from .shaping import as_array, as_shape, flip, negative_axis, ravel, shape_of
from .taking import taken_once

__all__ = ["TopK", "argpartition", "argsort", "lexsort", "partition", "sort", "topk"]

_argsort = nondifferentiable("argsort", lambda xp, x, axis: xp.argsort(x, axis=axis, kind="stable"))
_argpartition = nondifferentiable("argpartition", "argpartition")

_KINDS = (None, "stable", "mergesort", "quicksort", "heapsort")


def argsort(
    x: Array, axis: int | None = -1, kind: str | None = None, *, descending: bool = False, stable: bool | None = True
) -> Array:
    """The order that sorts the elements along an axis; with ``axis=None`` that of all, row by row.

    Args:
        kind, stable: for NumPy's sake: equal elements always stay in order.
        descending: the largest first. NaN counts as larger than every number.

    Raises:
        ValueError: for an unknown ``kind``.

    >>> import numpy as np, tinyad as ad
    >>> ad.argsort(np.array([2.0, 1.0, 2.0]), descending=True)
    array([0, 2, 1])
    """
    if kind not in _KINDS:
        raise ValueError(f"argsort: kind={kind!r}; expected one of {_KINDS}. All of them keep equal elements in order here")
    if axis is None:
        return argsort(ravel(x), -1, kind, descending=descending)
    place = negative_axis("argsort", axis, len(shape_of(x)))
    if not descending:
        return _argsort(as_array(x), axis=place)
    # read from behind, so that equal elements are in order again when the result is read from behind too
    last = shape_of(x)[place] - 1
    return last - flip(_argsort(flip(x, place), axis=place), place)


def sort(
    x: Array, axis: int | None = -1, kind: str | None = None, *, descending: bool = False, stable: bool | None = True
) -> Array:
    """The elements along an axis in rising order; with ``axis=None`` all elements, as a vector. See `argsort`.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.sort(x)[0])(np.array([3.0, 1.0, 2.0]))
    array([0., 1., 0.])
    """
    if axis is None:
        return sort(ravel(x), -1, kind, descending=descending)
    place = negative_axis("sort", axis, len(shape_of(x)))
    return taken_once(x, argsort(_constant(x), place, kind, descending=descending), place)


def _constant(x: Array) -> Array:
    """The array alone: an order is worked out off the tape."""
    return unwrap(as_array(x))


class TopK(NamedTuple):
    """What `topk` gives."""

    values: Any
    indices: Any


def topk(x: Array, k: int, axis: int = -1, largest: bool = True) -> TopK:
    """The ``k`` largest, or smallest, elements along an axis, the largest or smallest first, and where they stand.

    Raises:
        ValueError: if there are fewer than ``k`` elements.

    >>> import numpy as np, tinyad as ad
    >>> ad.topk(np.array([3.0, 1.0, 2.0]), 2).values
    array([3., 2.])
    """
    place = negative_axis("topk", axis, len(shape_of(x)))
    if not 0 <= k <= shape_of(x)[place]:
        raise ValueError(f"topk: k={k} for an axis of length {shape_of(x)[place]}; expected 0 to {shape_of(x)[place]}")
    order = argsort(_constant(x), place, descending=largest)
    indices = take_slice(order, place, 0, operator.index(k))
    return TopK(taken_once(x, indices, place), constant_like(indices, (x,)))


def argpartition(x: Array, kth: int | Sequence[int], axis: int | None = -1) -> Array:
    """An order in which the element number ``kth`` is where sorting puts it, none before it larger, none behind it smaller.

    Raises:
        ValueError: if there is no such element.
    """
    if axis is None:
        return argpartition(ravel(x), kth, -1)
    place = negative_axis("argpartition", axis, len(shape_of(x)))
    length = shape_of(x)[place]
    numbers = [operator.index(k) for k in as_shape(kth)]
    if not all(-length <= k < length for k in numbers):
        raise ValueError(f"argpartition: kth={kth} for an axis of length {length}; expected {-length} to {length - 1}")
    return _argpartition(as_array(x), kth=tuple([k % length for k in numbers]), axis=place)


def partition(x: Array, kth: int | Sequence[int], axis: int | None = -1) -> Array:
    """The elements along an axis in the order of `argpartition`."""
    if axis is None:
        return partition(ravel(x), kth, -1)
    return taken_once(x, argpartition(_constant(x), kth, axis), negative_axis("partition", axis, len(shape_of(x))))


def lexsort(keys: Sequence[Array] | Array, axis: int = -1) -> Array:
    """The order that sorts by the last of the keys, among equals by the one before, and so on.

    >>> import numpy as np, tinyad as ad
    >>> ad.lexsort([np.array([2, 1, 0]), np.array([5, 4, 5])])
    array([1, 2, 0])
    """
    columns = [as_array(keys[i]) for i in range(len(keys))]
    if not columns:
        raise ValueError("lexsort: got no keys; expected at least one")
    order = argsort(columns[0], axis)
    for column in columns[1:]:
        place = negative_axis("lexsort", axis, len(shape_of(column)))
        order = taken_once(order, argsort(taken_once(_constant(column), order, place), place), place)
    return order
