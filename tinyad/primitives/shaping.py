"""Shape, order and dtype: reshape, permute_dims, flip, roll, astype, and what is made of them.

All of them are linear, and each transpose is another of them. Every function counts axes from the end; ``rank`` says how many
trailing axes of the operand a shape speaks of, so that leading axes pass through.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, common_module, is_array, is_mutable, module_of
from ..kinds import Function, linear, nondifferentiable
from ..tensor import unwrap
from .complex import is_complex, real
from .transfer import to_device

__all__ = [
    "as_array",
    "as_arrays",
    "as_floating",
    "as_shape",
    "astype",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "in_dtype",
    "int_tuple",
    "matrix_transpose",
    "moveaxis",
    "negative_axes",
    "negative_axis",
    "permute_dims",
    "ravel",
    "reshape",
    "roll",
    "rollaxis",
    "rot90",
    "shape_of",
    "shaped_by_rank",
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
    if ndim == 0 and given in ((0,), (-1,)):
        return ()  # as in NumPy, where the sum of a number along axis 0 is the number
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
        expected = f"expected {-ndim} to {ndim - 1}" if ndim else "a number has none"
        message = f"{name}: axis {axis} is out of bounds for an array with {ndim} axes; {expected}"
        raise np.exceptions.AxisError(message)  # a ValueError and an IndexError, as NumPy's
    return int(axis - ndim if axis >= 0 else axis)  # a NumPy integer would be printed as one in programs


def _reshape(xp: Any, x: Array, *, rank: int, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape if x.ndim == rank else x.shape[: x.ndim - rank] + shape)


_reshape_primitive: Function = linear(
    "reshape", _reshape, lambda g, like, rank, shape: _reshape_primitive(g, rank=len(shape), shape=trailing(like, rank))
)


def as_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    """A shape as a tuple; one number stands for that of a vector."""
    return tuple(shape) if isinstance(shape, (tuple, list, Iterable)) else (shape,)  # the usual ones first


def int_tuple(given: Any) -> tuple[int, ...]:
    """One integer, or several, as a tuple of Python's: NumPy's would be printed as such in programs."""
    return tuple([operator.index(n) for n in given]) if isinstance(given, Iterable) else (operator.index(given),)


def reshape(x: Array, shape: int | Sequence[int], order: str = "C", *, copy: bool | None = None) -> Array:
    """The same elements in another shape; one length may be -1.

    Args:
        order: the elements are read and placed row by row ("C", the last axis fastest) or column by column ("F", the first
            axis fastest).
        copy: ``True`` for memory of its own, ``False`` to refuse where new memory is needed, ``None`` for what it takes.

    Raises:
        ValueError: if the numbers of elements differ, for another order, or if ``copy=False`` and a copy is needed.

    >>> import numpy as np, tinyad as ad
    >>> ad.reshape(np.arange(6), (2, -1), order="F")
    array([[0, 2, 4],
           [1, 3, 5]])
    """
    old, new = shape_of(x), as_shape(shape)
    if order not in ("C", "F"):
        raise ValueError(
            f"reshape: order={order!r}; expected 'C', row by row, or 'F', column by column: no memory is looked at"
        )
    if order == "F":
        return _in_memory(x, transpose(reshape(transpose(x), new[::-1])), copy)
    new = _complete(new, old)
    if new == old and copy is None:
        return as_array(x)  # nothing to record
    return _in_memory(x, _reshape_primitive(as_array(x), rank=len(old), shape=new), copy)


def _in_memory(x: Array, arranged: Array, copy: bool | None) -> Array:
    """What was arranged anew, in memory of its own or in that of ``x``, if that is asked for."""
    if copy is None:
        return arranged
    if copy:
        return astype(arranged, arranged.dtype)
    array, result = unwrap(x), unwrap(arranged)
    if result.size and is_mutable(result) and not module_of(result).may_share_memory(array, result):
        raise ValueError("reshape: with copy=False the memory of x cannot show it in that shape; leave copy out for new memory")
    return arranged


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


def as_array(x: Array) -> Array:
    """Numbers and lists as arrays; everything else as it is."""
    return x if hasattr(x, "shape") else module_of(x).asarray(x)


def as_arrays(*values: Array) -> list[Array]:
    """Numbers and lists as arrays of the module of the arrays beside them; everything else as it is."""
    module = common_module(map(unwrap, values))
    return [x if hasattr(x, "shape") else (module_of(x) if is_array(x) else module).asarray(x) for x in values]


def as_floating(x: Array) -> Array:
    """Integers and booleans as float64; other numbers as they are."""
    x = as_array(x)
    return x if x.dtype.kind in "fc" else astype(x, float)


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
    return _permute(as_array(x), axes=tuple([axis - ndim if axis >= 0 else axis for axis in axes]))


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
        return matrix_transpose(as_array(x))
    return permute_dims(x, tuple(range(ndim))[::-1] if axes is None else axes)


def swapaxes(x: Array, axis1: int, axis2: int) -> Array:
    """Exchange two axes."""
    axes = list(range(-len(shape_of(x)), 0))
    i, j = (negative_axis("swapaxes", axis, len(axes)) for axis in (axis1, axis2))
    axes[i], axes[j] = axes[j], axes[i]
    return permute_dims(x, axes)


def rollaxis(x: Array, axis: int, start: int = 0) -> Array:
    """Move an axis to where the axis ``start`` stands now, before it; `moveaxis` says where it is to stand then."""
    ndim = len(shape_of(x))
    place = negative_axis("rollaxis", axis, ndim) + ndim
    if not -ndim <= start <= ndim:
        raise ValueError(f"rollaxis: start={start} is out of bounds for an array with {ndim} axes; expected {-ndim} to {ndim}")
    before = start + ndim if start < 0 else start
    return moveaxis(x, place, before - 1 if place < before else before)


def moveaxis(x: Array, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """Move axes to other positions; the rest keep their order."""
    ndim = len(shape_of(x))
    pair = [int_tuple(a) for a in (source, destination)]
    origin, target = ([negative_axis("moveaxis", a, ndim) + ndim for a in axes] for axes in pair)
    axes = [axis for axis in range(ndim) if axis not in origin]
    for where, axis in sorted(zip(target, origin, strict=True)):
        axes.insert(where, axis)
    return permute_dims(x, axes)


def expand_dims(x: Array, axis: int | Sequence[int]) -> Array:
    """Insert axes of length 1 at the positions ``axis`` of the result."""
    old = shape_of(x)
    places = int_tuple(axis)
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


def ravel(x: Array, order: str = "C") -> Array:
    """All elements as a vector, row by row, or column by column with ``order="F"``; see `reshape`."""
    return reshape(x, (-1,) if math.prod(shape_of(x)) else (0,), order)


def shaped_by_rank(x: Array, shapes: Sequence[tuple[int | None, ...]]) -> Array:
    """``x`` with the shape for its number of axes, ``None`` standing for its own lengths; as it is where it has more."""
    old = shape_of(x)
    if len(old) >= len(shapes):
        return as_array(x)
    lengths = iter(old)
    return reshape(x, tuple([next(lengths) if n is None else n for n in shapes[len(old)]]))


def _of_each(shapes: Sequence[tuple[int | None, ...]], arrays: Sequence[Array]) -> Array | tuple[Array, ...]:
    results = tuple([shaped_by_rank(x, shapes) for x in arrays])
    return results[0] if len(results) == 1 else results


def atleast_1d(*arrays: Array) -> Array | tuple[Array, ...]:
    """Numbers as vectors of one element; arrays as they are. Several operands give a tuple, here and below."""
    return _of_each([(1,)], arrays)


def atleast_2d(*arrays: Array) -> Array | tuple[Array, ...]:
    """Numbers and vectors as matrices of one row; arrays of more axes as they are."""
    return _of_each([(1, 1), (1, None)], arrays)


def atleast_3d(*arrays: Array) -> Array | tuple[Array, ...]:
    """Arrays of at least three axes: a vector of shape (n,) becomes (1, n, 1), a matrix of shape (m, n) becomes (m, n, 1).

    >>> import numpy as np, tinyad as ad
    >>> ad.atleast_3d(np.ones(4)).shape
    (1, 4, 1)
    """
    return _of_each([(1, 1, 1), (1, None, 1), (None, None, 1)], arrays)


# ---- order along an axis

_flip: Function = linear("flip", lambda xp, x, axes: xp.flip(x, axes), lambda g, like, axes: _flip(g, axes=axes))


def flip(x: Array, axis: Axes = None) -> Array:
    """Reverse the order of the elements along the axes (all of them by default)."""
    return _flip(as_array(x), axes=negative_axes("flip", axis, len(shape_of(x))))


def fliplr(x: Array) -> Array:
    """Reverse the order along the second axis."""
    return flip(x, negative_axis("fliplr", 1, len(shape_of(x))))


def flipud(x: Array) -> Array:
    """Reverse the order along the first axis."""
    return flip(x, negative_axis("flipud", 0, len(shape_of(x))))


def rot90(x: Array, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """Turn the plane of two axes by ``k`` right angles, from the first of them towards the second.

    Raises:
        ValueError: if ``axes`` are not two different axes.

    >>> import numpy as np, tinyad as ad
    >>> ad.rot90(np.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """
    if len(negative_axes("rot90", tuple(axes), len(shape_of(x)))) != 2:
        raise ValueError(f"rot90: axes={axes!r}; expected two different axes")
    first, second = axes
    turns: list[Callable[[Array], Array]] = [
        lambda x: x,
        lambda x: swapaxes(flip(x, second), first, second),
        lambda x: flip(x, (first, second)),
        lambda x: flip(swapaxes(x, first, second), second),
    ]
    return turns[k % 4](as_array(x))


_roll: Function = linear(
    "roll",
    lambda xp, x, shift, axes: xp.roll(x, shift, axes),
    lambda g, like, shift, axes: _roll(g, shift=tuple([-s for s in shift]), axes=axes),
)


def roll(x: Array, shift: int | Sequence[int], axis: Axes = None) -> Array:
    """Shift the elements cyclically along the axes; without ``axis`` the elements in row-major order."""
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), shape_of(x))
    axes, shifts = int_tuple(axis), int_tuple(shift)
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: got {len(shifts)} shifts for {len(axes)} axes; give one for each, or one number for all")
    ndim = len(shape_of(x))
    return _roll(as_array(x), shift=shifts, axes=tuple([negative_axis("roll", a, ndim) for a in axes]))


# ---- dtype

_astype: Function = linear("astype", lambda xp, x, dtype: x.astype(dtype), lambda g, like, dtype: in_dtype(g, like.dtype))
_as_integers = nondifferentiable(
    "as_integers", lambda xp, x, dtype: x.astype(dtype), doc="`astype` to a dtype without derivative."
)


def astype(x: Array, dtype: Any, *, copy: bool = True, device: str | None = None) -> Array:
    """The elements converted to another dtype. To an integer or boolean dtype the result is a constant.

    Complex numbers lose their imaginary part where the dtype is real, with a warning, as in NumPy; `real` says that it is meant.

    Args:
        copy: whether to make a new array where ``x`` has the dtype already.
        device: where to put the result; by default that of ``x``.
    """
    target = np.dtype(dtype)
    if device is not None:
        x = to_device(x, device)
    if not copy and getattr(x, "dtype", None) == target:
        return x
    if target.kind not in "fc":
        return _as_integers(as_array(x), dtype=target)
    if target.kind == "f" and is_complex(x):
        message = "astype: the imaginary part of complex numbers is lost; take ad.real(x) if it is meant to be"
        warnings.warn(message, np.exceptions.ComplexWarning, stacklevel=2)
    return in_dtype(as_array(x), target)


def in_dtype(x: Array, dtype: Any) -> Array:
    """A tangent or cotangent in the dtype of what it belongs to; of a real number the real part, see `primitives.complex`."""
    part = real(x) if dtype.kind == "f" and is_complex(x) else x
    return part if part is not x and part.dtype == dtype else _astype(part, dtype=dtype)
