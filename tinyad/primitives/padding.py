"""What surrounds an array: a constant, or elements of the array itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..kinds import linear
from ..tensor import unwrap
from .elementwise import where
from .indexing import getitem
from .reductions import broadcast_to
from .shaping import as_array, as_arrays, astype, int_tuple, shape_of, trailing
from .taking import take

__all__ = ["pad"]

_REPEATING = ("edge", "reflect", "symmetric", "wrap")


def _pad_forward(xp: Any, x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> Array:
    if not widths:  # NumPy refuses to pad a number
        return x.copy()
    lead = ((0, 0),) * (x.ndim - len(widths))
    return xp.pad(x, lead + widths, constant_values=value)


_pad = linear(
    "pad",
    lambda xp, x, widths: _pad_forward(xp, x, widths=widths, value=0),
    lambda g, like, widths: getitem(
        g, (..., *[slice(before, before + n) for (before, _), n in zip(widths, trailing(like, len(widths)), strict=True)])
    ),
)


def pad(x: Array, pad_width: int | Sequence[Any], constant_values: Any = 0, mode: str = "constant") -> Array:
    """``x`` surrounded by a constant, or by elements of its own.

    Args:
        pad_width: ``n`` for every side, ``(before, after)`` for every axis, or such a pair per axis.
        constant_values: what to surround it with: a number; or a pair for before and after, or such a pair per axis.
        mode: ``"constant"``; ``"edge"`` for the last element repeated, ``"reflect"`` and ``"symmetric"`` for the elements mirrored
            at the edge, without and with the last one; ``"wrap"`` for those of the other end.

    Raises:
        ValueError: if the widths do not fit the number of axes, or one is negative; for another mode; or if an axis without
            elements is to be surrounded by them.

    >>> import numpy as np, tinyad as ad
    >>> ad.pad(np.array([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    array([3., 2., 1., 2., 3., 2.])
    """
    ndim = len(shape_of(x))
    widths = _widths(pad_width, ndim)
    if mode in _REPEATING:
        return _pad_by_elements(as_array(x), widths, mode)
    if mode != "constant":
        raise ValueError(f"pad: mode={mode!r}; expected 'constant', or one of {', '.join(map(repr, _REPEATING))}")
    x, values = as_arrays(x, constant_values)
    if shape_of(values):
        return _pad_by_sides(x, widths, broadcast_to(values, (ndim, 2)))
    padded = _pad(x, widths=widths)
    if isinstance(constant_values, (int, float)) and constant_values == 0:
        return padded
    module = module_of(unwrap(x))
    inside = module.ones(shape_of(x), dtype=bool)
    frame = _pad_forward(module, inside, widths=widths, value=False)
    return where(frame, padded, astype(values, padded.dtype))


def _pad_by_elements(x: Array, widths: Sequence[tuple[int, int]], mode: Any) -> Array:
    """Along one axis after the other, which gives the corners as well."""
    for axis, pair in enumerate(widths):
        length = shape_of(x)[axis]
        if not any(pair):
            continue
        if not length:
            raise ValueError(f"pad: axis {axis} of an array of shape {shape_of(x)} has no elements for mode={mode!r} to repeat")
        places = np.pad(np.arange(length), pair, mode)
        x = take(x, places.tolist(), axis)
    return x


def _pad_by_sides(x: Array, widths: Sequence[tuple[int, int]], values: Array) -> Array:
    """With a value for each side; at the corners those of the later axes."""
    for axis, (before, after) in enumerate(widths):
        for pair, value in (((before, 0), values[axis, 0]), ((0, after), values[axis, 1])):
            x = pad(x, [pair if i == axis else (0, 0) for i in range(len(widths))], value)
    return x


def _widths(pad_width: Any, ndim: int) -> tuple[Any, ...]:
    if isinstance(pad_width, (int, np.integer)):
        widths: tuple[Any, ...] = (2 * int_tuple(pad_width),) * ndim
    elif len(pad_width) == 2 and all(isinstance(n, (int, np.integer)) for n in pad_width):
        widths = (int_tuple(pad_width),) * ndim
    else:
        widths = tuple([2 * int_tuple(n) if isinstance(n, (int, np.integer)) else int_tuple(n) for n in pad_width])
    if len(widths) != ndim or any(len(pair) != 2 or min(pair) < 0 for pair in widths):
        raise ValueError(
            f"pad: pad_width={pad_width!r} does not fit {ndim} axes; expected a number, a pair (before, after), or a pair "
            f"for each axis, all at least 0"
        )
    return widths
