"""Which, where and whether: argmax, nonzero, searchsorted, any, count_nonzero. None has a derivative: the results are constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backend import Array, is_mutable, module_of
from ..kinds import constant_like, nondifferentiable
from ..tensor import unwrap
from .elementwise import subtract
from .indexing import getitem
from .shaping import Axes, as_array, as_arrays, expand_dims, negative_axes, negative_axis, ravel, reshape, shape_of

__all__ = [
    "all", "any", "argmax", "argmin", "argwhere", "count_nonzero", "digitize", "flatnonzero", "known", "nonzero", "searchsorted",
]  # fmt: skip


# ---- which: positions along an axis

_argmax = nondifferentiable("argmax", lambda xp, x, axis: xp.argmax(x, axis=axis))
_argmin = nondifferentiable("argmin", lambda xp, x, axis: xp.argmin(x, axis=axis))


def _position(name: str, primitive: Callable[..., Array], x: Array, axis: int | None, keepdims: bool) -> Array:
    shape = shape_of(x)
    if axis is None:
        found = primitive(ravel(x), axis=-1)
        return reshape(found, (1,) * len(shape)) if keepdims else found
    found = primitive(as_array(x), axis=negative_axis(name, axis, len(shape)))
    return expand_dims(found, axis) if keepdims else found


def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """Where the largest element along an axis stands, the first of equals; without ``axis`` among all in row-major order.

    Raises:
        ValueError: if there is no element.

    >>> import numpy as np, tinyad as ad
    >>> ad.vmap(lambda row: ad.argmax(row))(np.array([[1.0, 5.0], [4.0, 2.0]]))
    array([1, 0])
    """
    return _position("argmax", _argmax, x, axis, keepdims)


def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """Where the smallest element along an axis stands; see `argmax`."""
    return _position("argmin", _argmin, x, axis, keepdims)


# ---- where: as many positions as there are

_searchsorted = nondifferentiable("searchsorted", lambda xp, a, v, side: _searchsorted_forward(xp, a, v, side))


def known(name: str, x: Any) -> Any:
    """The array of an operand that decides on the shape of a result. One that is not there yet refuses, and says where.

    Raises:
        TracingError: inside `compile`, `vmap` or `scan`, if ``x`` depends on the arguments.
    """
    array = unwrap(x)
    if not is_mutable(array):
        raise array.trace.refusal(
            f"an operand of {name}",
            "How many elements it gives depends on the values; keep the shape and choose with ad.where(mask, x, 0)",
        )
    return array


def nonzero(x: Array) -> tuple[Array, ...]:
    """Where the elements are that are not zero: for each axis a vector with their numbers along it, in row-major order.

    Raises:
        TracingError: inside `compile` or `vmap`, if ``x`` depends on the arguments: the shape of the result does.
        ValueError: for a number, which has no axis.

    >>> import numpy as np, tinyad as ad
    >>> ad.nonzero(np.array([[0.0, 7.0], [5.0, 0.0]]))
    (array([0, 1]), array([1, 0]))
    """
    array = known("nonzero", as_array(x))
    if array.ndim == 0:
        raise ValueError("nonzero: got a number, which has no axes to count along; use ad.atleast_1d, or x != 0")
    return tuple([constant_like(places, (x,)) for places in array.nonzero()])


def flatnonzero(x: Array) -> Array:
    """Where the elements are that are not zero, numbered row by row; see `nonzero`."""
    return nonzero(ravel(x))[0]


def argwhere(x: Array) -> Array:
    """Where the elements are that are not zero: a matrix with a row of positions for each; see `nonzero`."""
    array = known("argwhere", as_array(x))
    return constant_like(module_of(array).argwhere(array), (x,))


def _searchsorted_forward(xp: Any, a: Array, v: Array, side: str) -> Array:
    if a.ndim == 1:
        return xp.searchsorted(a, v, side=side)
    # a list for each example: compared with all of it, because NumPy searches one list alone
    compare = xp.less if side == "left" else xp.less_equal
    return xp.add.reduce(compare(a[..., None, :], v[..., :, None]), axis=-1, dtype=int)


def searchsorted(x: Array, v: Array, side: str = "left", sorter: Array | None = None) -> Array:
    """Where to put ``v`` into the vector ``x``, whose elements rise, so that they still do.

    Args:
        side: among equal elements before all ("left") or behind all ("right").
        sorter: the order that sorts ``x`` if it is not sorted itself, as `argsort` gives it.

    Raises:
        ValueError: if ``x`` is no vector, or for another side.

    >>> import numpy as np, tinyad as ad
    >>> ad.searchsorted(np.array([1.0, 2.0, 2.0]), np.array([2.0, 9.0]), side="right")
    array([3, 3])
    """
    if len(shape_of(x)) != 1 or side not in ("left", "right"):
        raise ValueError(f"searchsorted: x of shape {shape_of(x)}, side={side!r}; expected a vector, and 'left' or 'right'")
    x, v = as_arrays(x, v)
    given = x if sorter is None else getitem(x, unwrap(sorter))
    return reshape(_searchsorted(given, ravel(v), side=side), shape_of(v))


def digitize(x: Array, bins: Array, right: bool = False) -> Array:
    """The number of the bin each element is in: ``i`` if ``bins[i - 1] <= x < bins[i]``.

    Args:
        bins: a vector whose elements rise, or fall; then the inequalities are ``bins[i - 1] > x >= bins[i]``.
        right: a bin contains its upper end instead of its lower.

    Raises:
        ValueError: if the bins neither rise nor fall.
        TracingError: inside `compile` or `vmap`, if they depend on the arguments; use `searchsorted`.
    """
    x, bins = as_arrays(x, bins)
    ends = known("digitize", bins)
    steps = ends[1:] - ends[:-1]
    side = "left" if right else "right"
    if bool((steps >= 0).all()):
        return searchsorted(ends, x, side)
    if not bool((steps <= 0).all()):
        raise ValueError("digitize: the bins neither rise nor fall; sort them")
    return subtract(ends.size, searchsorted(module_of(ends).flip(ends), x, side))


# ---- whether, and how many

_any = nondifferentiable("any", lambda xp, x, axis, keepdims: xp.any(x, axis=axis, keepdims=keepdims))
_all = nondifferentiable("all", lambda xp, x, axis, keepdims: xp.all(x, axis=axis, keepdims=keepdims))
_count_nonzero = nondifferentiable(
    "count_nonzero", lambda xp, x, axis, keepdims: xp.add.reduce(xp.not_equal(x, 0), axis=axis, keepdims=keepdims, dtype=int)
)


def _over(name: str, primitive: Callable[..., Array], x: Array, axis: Axes, keepdims: bool) -> Array:
    return primitive(as_array(x), axis=negative_axes(name, axis, len(shape_of(x))), keepdims=keepdims)


def any(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Whether an element along the axes is not zero."""
    return _over("any", _any, x, axis, keepdims)


def all(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Whether no element along the axes is zero."""
    return _over("all", _all, x, axis, keepdims)


def count_nonzero(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """How many elements along the axes are not zero."""
    return _over("count_nonzero", _count_nonzero, x, axis, keepdims)
