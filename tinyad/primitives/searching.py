"""Which and whether: argmax, argmin, argsort, any, all, count_nonzero. None has a derivative, so the results are constants."""

from __future__ import annotations

from collections.abc import Callable

from ..backend import Array
from ..kinds import nondifferentiable
from .shaping import Axes, _array, expand_dims, negative_axes, negative_axis, ravel, reshape, shape_of

__all__ = ["all", "any", "argmax", "argmin", "argsort", "count_nonzero"]


# ---- which: positions along an axis

_argmax = nondifferentiable("argmax", lambda xp, x, axis: xp.argmax(x, axis=axis))
_argmin = nondifferentiable("argmin", lambda xp, x, axis: xp.argmin(x, axis=axis))
_argsort = nondifferentiable("argsort", lambda xp, x, axis: xp.argsort(x, axis=axis, kind="stable"))


def _position(name: str, primitive: Callable[..., Array], x: Array, axis: int | None, keepdims: bool) -> Array:
    shape = shape_of(x)
    if axis is None:
        found = primitive(ravel(x), axis=-1)
        return reshape(found, (1,) * len(shape)) if keepdims else found
    found = primitive(_array(x), axis=negative_axis(name, axis, len(shape)))
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


def argsort(x: Array, axis: int | None = -1) -> Array:
    """The order that sorts along an axis, equal elements as they are; with ``axis=None`` that of all in row-major order."""
    if axis is None:
        return argsort(ravel(x), -1)
    return _argsort(_array(x), axis=negative_axis("argsort", axis, len(shape_of(x))))


# ---- whether, and how many

_any = nondifferentiable("any", lambda xp, x, axis, keepdims: xp.any(x, axis=axis, keepdims=keepdims))
_all = nondifferentiable("all", lambda xp, x, axis, keepdims: xp.all(x, axis=axis, keepdims=keepdims))
_count_nonzero = nondifferentiable(
    "count_nonzero", lambda xp, x, axis, keepdims: xp.add.reduce(xp.not_equal(x, 0), axis=axis, keepdims=keepdims, dtype=int)
)


def _over(name: str, primitive: Callable[..., Array], x: Array, axis: Axes, keepdims: bool) -> Array:
    return primitive(_array(x), axis=negative_axes(name, axis, len(shape_of(x))), keepdims=keepdims)


def any(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Whether an element along the axes is not zero."""
    return _over("any", _any, x, axis, keepdims)


def all(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Whether no element along the axes is zero."""
    return _over("all", _all, x, axis, keepdims)


def count_nonzero(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """How many elements along the axes are not zero."""
    return _over("count_nonzero", _count_nonzero, x, axis, keepdims)
