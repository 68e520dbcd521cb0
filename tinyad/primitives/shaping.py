"""Shape, order and dtype: reshape, permute_dims, flip, roll, astype, and what is made of them.

All of them are linear, and each transpose is another of them. Every function counts axes from the end; ``rank`` says how many
trailing axes of the operand a shape speaks of, so that leading axes pass through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..kinds import Function, linear, nondifferentiable

__all__ = [
    "astype",
    "expand_dims",
    "flip",
    "matrix_transpose",
    "moveaxis",
    "negative_axes",
    "negative_axis",
    "permute_dims",
    "ravel",
    "reshape",
    "roll",
    "shape_of",
    "squeeze",
    "swapaxes",
    "trailing",
    "transpose",
]

Axes = int | Sequence[int] | None


def shape_of(x: Array) -> tuple[int, ...]:
    """The shape of an array, Tensor or number."""
    return x.shape if hasattr(x, "shape") else np.shape(x)


def trailing(like: Any, rank: int) -> tuple[int, ...]:
    """The last ``rank`` lengths of a node's shape: those of one example, without a recorded walk's leading axis."""
    return like.shape[len(like.shape) - rank :]  # type: ignore[no-any-return]


def negative_axes(name: str, axis: Axes, ndim: int) -> tuple[int, ...]:
    """``axis`` (an int, several, or ``None`` for all) as a tuple of distinct axes counted from the end, in order."""
    if axis is None:
        return tuple(range(-ndim, 0))
    given = (axis,) if not isinstance(axis, (tuple, list)) else tuple(axis)
    for a in given:
        if not hasattr(a, "__index__"):
            raise TypeError(f"{name}: axis={axis!r}; expected an int, a tuple of ints, or None for all axes")
    found = sorted({negative_axis(name, a, ndim) for a in given})
    if len(found) != len(given):
        raise ValueError(f"{name}: axis={axis!r} names an axis twice")
    return tuple(found)


def negative_axis(name: str, axis: int, ndim: int) -> int:
    """``axis`` counted from the end."""
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: axis {axis} is out of bounds for an array with {ndim} axes; expected {-ndim} to {ndim - 1}")
    return axis - ndim if axis >= 0 else axis


def _reshape(xp: Any, x: Array, *, rank: int, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape if x.ndim == rank else x.shape[: x.ndim - rank] + shape)


_reshape_primitive: Function = linear(
    "reshape", _reshape, lambda g, like, rank, shape: _reshape_primitive(g, rank=len(shape), shape=trailing(like, rank))
)


def reshape(x: Array, shape: int | Sequence[int]) -> Array:
    """The same elements in another shape, in row-major order; one length may be -1.

    Raises:
        ValueError: if the numbers of elements differ.

    >>> import tinyad as ad
    >>> ad.reshape(ad.arange(6), (2, -1)).shape
    (2, 3)
    """
    old, new = shape_of(x), (shape,) if isinstance(shape, int) else tuple(shape)
    return _reshape_primitive(_array(x), rank=len(old), shape=_complete(new, old))


def _complete(new: tuple[int, ...], old: tuple[int, ...]) -> tuple[int, ...]:
    size = math.prod(old)
    if new.count(-1) > 1:
        raise ValueError(f"reshape: shape {new} leaves more than one length open; only one may be -1")
    if new.count(-1) == 1:
        rest = math.prod(n for n in new if n != -1)
        new = tuple([(size // rest if rest else 0) if n == -1 else n for n in new])
    if math.prod(new) != size or min(new, default=0) < 0:
        raise ValueError(f"reshape: cannot reshape {old} ({size} elements) into {new}; the numbers of elements must agree")
    return new


def _array(x: Array) -> Array:
    """Python numbers as arrays; everything else as it is."""
    return x if hasattr(x, "shape") else module_of(x).asarray(x)


_permute: Function = linear(
    "permute_dims",
    lambda xp, x, axes: xp.transpose(x, _with_leading(axes, x.ndim)),
    lambda g, like, axes: _permute(g, axes=_inverse(axes)),
)


def _with_leading(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    lead = ndim - len(axes)
    return (*range(lead), *[axis + ndim for axis in axes])


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    rank = len(axes)
    inverse = [0] * rank
    for position, axis in enumerate(axes):
        inverse[axis + rank] = position - rank
    return tuple(inverse)


def permute_dims(x: Array, axes: Sequence[int]) -> Array:
    """The axes in another order: axis ``i`` of the result is axis ``axes[i]`` of ``x``.

    Raises:
        ValueError: if ``axes`` is not a permutation of the axes of ``x``.
    """
    ndim = len(shape_of(x))
    if sorted(axis + ndim if axis < 0 else axis for axis in axes) != list(range(ndim)):
        raise ValueError(f"permute_dims: axes={tuple(axes)} is not a permutation of the {ndim} axes of x")
    return _permute(_array(x), axes=tuple([axis - ndim if axis >= 0 else axis for axis in axes]))


matrix_transpose: Function = linear(
    "matrix_transpose",
    lambda xp, x: x.T if x.ndim == 2 else x.swapaxes(-1, -2),
    lambda g, like: matrix_transpose(g),
    doc="Exchange the last two axes; ``x.mT``.",
)


def transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """The axes in reverse order, or in the order ``axes``; ``x.T``."""
    ndim = len(shape_of(x))
    if axes is None and ndim == 2:
        return matrix_transpose(_array(x))
    return permute_dims(x, tuple(range(ndim))[::-1] if axes is None else axes)


def swapaxes(x: Array, axis1: int, axis2: int) -> Array:
    """Exchange two axes."""
    axes = list(range(-len(shape_of(x)), 0))
    i, j = (negative_axis("swapaxes", axis, len(axes)) for axis in (axis1, axis2))
    axes[i], axes[j] = axes[j], axes[i]
    return permute_dims(x, axes)


def moveaxis(x: Array, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """Move axes to other positions; the rest keep their order."""
    ndim = len(shape_of(x))
    pair = [[a] if isinstance(a, int) else list(a) for a in (source, destination)]
    origin, target = ([negative_axis("moveaxis", a, ndim) + ndim for a in axes] for axes in pair)
    axes = [axis for axis in range(ndim) if axis not in origin]
    for where, axis in sorted(zip(target, origin, strict=True)):
        axes.insert(where, axis)
    return permute_dims(x, axes)


def expand_dims(x: Array, axis: int | Sequence[int]) -> Array:
    """Insert axes of length 1 at the positions ``axis`` of the result."""
    old = shape_of(x)
    places = (axis,) if isinstance(axis, int) else tuple(axis)
    ndim = len(old) + len(places)
    where = {place + ndim for place in negative_axes("expand_dims", places, ndim)}
    lengths = iter(old)
    return reshape(x, tuple([1 if i in where else next(lengths) for i in range(ndim)]))


def squeeze(x: Array, axis: Axes = None) -> Array:
    """Remove axes of length 1: all of them, or those named.

    Raises:
        ValueError: if a named axis has another length.
    """
    old = shape_of(x)
    ndim = len(old)
    axes = negative_axes("squeeze", axis, ndim) if axis is not None else [i - ndim for i, n in enumerate(old) if n == 1]
    for a in axes:
        if old[a] != 1:
            raise ValueError(f"squeeze: axis {a} of an array of shape {old} has length {old[a]}; only length 1 can go")
    return reshape(x, tuple([n for i, n in enumerate(old) if i - ndim not in axes]))


def ravel(x: Array) -> Array:
    """All elements as a vector, in row-major order."""
    return reshape(x, (-1,) if math.prod(shape_of(x)) else (0,))


# ---- order along an axis

_flip: Function = linear("flip", lambda xp, x, axes: xp.flip(x, axes), lambda g, like, axes: _flip(g, axes=axes))


def flip(x: Array, axis: Axes = None) -> Array:
    """Reverse the order of the elements along the axes (all of them by default)."""
    return _flip(_array(x), axes=negative_axes("flip", axis, len(shape_of(x))))


_roll: Function = linear(
    "roll",
    lambda xp, x, shift, axes: xp.roll(x, shift, axes),
    lambda g, like, shift, axes: _roll(g, shift=tuple([-s for s in shift]), axes=axes),
)


def roll(x: Array, shift: int | Sequence[int], axis: Axes = None) -> Array:
    """Shift the elements cyclically along the axes; without ``axis`` the elements in row-major order."""
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), shape_of(x))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    shifts = (shift,) * len(axes) if isinstance(shift, int) else tuple(shift)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: got {len(shifts)} shifts for {len(axes)} axes; give one for each, or one number for all")
    ndim = len(shape_of(x))
    return _roll(_array(x), shift=shifts, axes=tuple([negative_axis("roll", a, ndim) for a in axes]))


# ---- dtype

_astype: Function = linear("astype", lambda xp, x, dtype: x.astype(dtype), lambda g, like, dtype: _astype(g, dtype=like.dtype))
_as_integers = nondifferentiable(
    "as_integers", lambda xp, x, dtype: x.astype(dtype), doc="`astype` to a dtype without derivative."
)


def astype(x: Array, dtype: Any) -> Array:
    """The elements converted to another dtype. To an integer or boolean dtype the result is a constant."""
    target = np.dtype(dtype)
    if target.kind in "fc":
        return _astype(_array(x), dtype=target)
    return _as_integers(_array(x), dtype=target)
