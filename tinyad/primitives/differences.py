"""Values given at points: differences between neighbours, slopes, the trapezoidal rule, phases, and interpolation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..backend import Array, module_of
from ..tensor import unwrap as values_of
from .cumulative import cumsum
from .elementwise import abs as absolute
from .elementwise import clip, remainder, where
from .indexing import take_slice
from .joining import concat
from .reductions import broadcast_to, sum
from .searching import searchsorted
from .shaping import Axes, as_array, as_arrays, as_floating, negative_axes, negative_axis, ravel, reshape, shape_of
from .sorting import argsort
from .steps import equal, floor_divide, greater, less, logical_and, not_equal
from .taking import take

__all__ = ["diff", "ediff1d", "gradient", "interp", "trapezoid", "unwrap"]


def diff(x: Array, n: int = 1, axis: int = -1, prepend: Array | None = None, append: Array | None = None) -> Array:
    """Differences ``x[i + 1] - x[i]`` along an axis, taken ``n`` times.

    Args:
        prepend, append: what to put before and behind ``x`` first: numbers, or arrays that have that axis.

    Raises:
        ValueError: for a number without axes, or a negative ``n``.

    >>> import numpy as np, tinyad as ad
    >>> ad.diff(np.array([1.0, 4.0, 9.0]), prepend=0.0)
    array([1., 3., 5.])
    """
    x = as_array(x)
    if not hasattr(n, "__index__") or n < 0:
        raise ValueError(f"diff: n={n!r}; expected a whole number of at least 0")
    if n == 0:
        return x
    place = negative_axis("diff", axis, len(shape_of(x)))
    ends = [_layer(end, x, place) for end in (prepend, append)]
    parts = [part for part in (ends[0], x, ends[1]) if part is not None]
    x = concat(parts, place) if len(parts) > 1 else x
    for _ in range(n):
        x = _apart(x, place)
    return x


def _layer(end: Any, x: Array, axis: int) -> Array | None:
    """What to put at an end; a number along the whole of it."""
    if end is None or shape_of(end):
        return end
    shape = list(shape_of(x))
    shape[axis] = 1
    return broadcast_to(_end(end, x), shape)


def _end(end: Any, x: Array) -> Array:
    """Python numbers, and lists of them, in the dtype of ``x``."""
    return end if hasattr(end, "dtype") else module_of(values_of(x)).asarray(end, dtype=x.dtype)


def _apart(x: Array, axis: int) -> Array:
    """Differences of neighbours; of booleans, whether they differ."""
    length = x.shape[axis]
    before, behind = take_slice(x, axis, 0, max(length - 1, 0)), take_slice(x, axis, min(1, length), length)
    return not_equal(behind, before) if x.dtype.kind == "b" else behind - before


def ediff1d(x: Array, to_end: Array | None = None, to_begin: Array | None = None) -> Array:
    """Differences of neighbours among all elements, row by row, between more elements at the beginning and the end."""
    x = as_array(x)
    between = diff(ravel(x))
    parts = [None if end is None else ravel(_end(end, x)) for end in (to_begin, to_end)]
    return concat([part for part in (parts[0], between, parts[1]) if part is not None])


# ---- slopes and integrals


def trapezoid(y: Array, x: Array | None = None, dx: Array = 1.0, axis: int = -1) -> Array:
    """The integral of ``y`` along an axis by the trapezoidal rule.

    Args:
        x: the points, a vector or an array like ``y``; without it they are ``dx`` apart.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(ad.trapezoid)(np.ones(4))
    array([0.5, 1. , 1. , 0.5])
    """
    y, x = (y, None) if x is None else as_arrays(y, x)
    y = as_floating(y)
    place = negative_axis("trapezoid", axis, len(shape_of(y)))
    if x is not None:
        points = len(shape_of(x)) == 1
        dx = _along(diff(x), place) if points else diff(x, axis=axis)
    length = y.shape[place]
    means = 0.5 * (take_slice(y, place, min(1, length), length) + take_slice(y, place, 0, max(length - 1, 0)))
    return sum(dx * means, place)


def _along(x: Array, axis: int) -> Array:
    """A vector as an array that runs along an axis counted from the end."""
    return reshape(x, (-1,) + (1,) * (-axis - 1))


def gradient(f: Array, *spacing: Array, axis: Axes = None, edge_order: int = 1) -> Any:
    """Slopes of ``f`` along each axis from its neighbours, exact for parabolas in the interior.

    Args:
        spacing: one distance for all axes; or for each axis a distance, or the coordinates of its points. It is 1 by default,
            and is differentiated too.
        axis: along which axes; all by default.
        edge_order: 1 for the slope to the neighbour at the edges, 2 for that of the parabola through three points.

    Returns:
        An array like ``f`` for one axis, a tuple of them for several.

    Raises:
        TypeError: for a wrong number of spacings.
        ValueError: for too few points, or coordinates of another length.

    Source: B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", 1988.

    >>> import numpy as np, tinyad as ad
    >>> ad.gradient(np.array([0.0, 1.0, 4.0, 9.0]), edge_order=2)
    array([0., 2., 4., 6.])
    """
    f, *points = as_arrays(f, *[h for h in spacing if shape_of(h)])
    f, remaining = as_floating(f), iter(points)
    spacing = tuple([next(remaining) if shape_of(h) else h for h in spacing])  # numbers stay numbers, which leave float32 alone
    ndim = len(shape_of(f))
    axes = list(negative_axes("gradient", axis, ndim))
    if isinstance(axis, (tuple, list)):  # in the order they are named
        axes = [negative_axis("gradient", a, ndim) for a in axis]
    given = list(spacing) or [1.0]
    if len(given) == 1 and not shape_of(given[0]):
        given = given * len(axes)
    if len(given) != len(axes):
        raise TypeError(f"gradient: got {len(given)} spacings for {len(axes)} axes; give none, a number, or one for each axis")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order={edge_order!r}; expected 1 or 2")
    slopes = [_slope(f, h, a, edge_order) for h, a in zip(given, axes, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(f: Array, spacing: Array, axis: int, edge_order: int) -> Array:
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"gradient: axis {axis} has {n} points; edge_order={edge_order} needs at least {edge_order + 1}")
    points = shape_of(spacing)
    if points not in ((), (n,)):
        raise ValueError(f"gradient: spacing of shape {points} for an axis of length {n}; expected a number or {n} coordinates")
    steps = _along(diff(as_floating(spacing)), axis) if points else spacing

    def step(start: int, stop: int) -> Array:
        return take_slice(steps, axis, start, stop) if points else steps

    between = diff(f, axis=axis) / steps

    def cut(start: int, stop: int) -> Array:
        return take_slice(between, axis, start, stop)

    first, last = cut(0, 1), cut(n - 2, n - 1)
    if edge_order == 2:
        first = first + (first - cut(1, 2)) * (step(0, 1) / (step(0, 1) + step(1, 2)))
        last = last + (last - cut(n - 3, n - 2)) * (step(n - 2, n - 1) / (step(n - 3, n - 2) + step(n - 2, n - 1)))
    if n == 2:
        return concat([first, last], axis)
    left, right = step(0, n - 2), step(1, n - 1)
    middle = (right * cut(0, n - 2) + left * cut(1, n - 1)) / (left + right)
    return concat([first, middle, last], axis)


# ---- phases


def unwrap(p: Array, discont: float | None = None, axis: int = -1, *, period: Array = 2.0 * math.pi) -> Array:
    """Angles that do not jump, NumPy's ``unwrap``: whole periods are added so that neighbours differ by at most half of one.

    The number of periods is a constant, so the derivative by ``p`` is the identity.

    Args:
        discont: jumps below this stay as they are; never less than half a period, which is the default.

    >>> import numpy as np, tinyad as ad
    >>> ad.unwrap(np.array([0.0, 3.0, -3.0])).round(3)
    array([0.   , 3.   , 3.283])
    """
    p = as_floating(p)
    place = negative_axis("unwrap", axis, len(shape_of(p)))
    length = shape_of(p)[place]
    if length < 2:
        return p
    jumps = diff(p, axis=place)
    ahead = jumps + 0.5 * period
    turns = -floor_divide(ahead, period)
    exactly_half = logical_and(equal(remainder(ahead, period), 0), greater(jumps, 0))  # upwards it stays, as in NumPy
    turns = where(exactly_half, turns + 1.0, turns)
    if discont is not None:
        turns = where(less(absolute(jumps), discont), 0.0, turns)
    return concat([take_slice(p, place, 0, 1), take_slice(p, place, 1, length) + period * cumsum(turns, place)], place)


# ---- interpolation


def interp(
    x: Array, xp: Array, fp: Array, left: Array | None = None, right: Array | None = None, period: float | None = None
) -> Array:
    """The piecewise linear function through the points ``(xp, fp)``, at ``x``.

    It is differentiated by ``x``, ``xp`` and ``fp``. At a point of ``xp`` the slope is that to its
    right, at the last one that to its left.

    Args:
        xp: a vector whose elements rise, unless ``period`` is given.
        fp: the values there.
        left, right: the values outside; by default ``fp[0]`` and ``fp[-1]``.
        period: the function repeats itself after this distance.

    Raises:
        ValueError: if ``xp`` and ``fp`` are no vectors of the same length, or empty.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.interp(x, np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 0.0])))(1.5)
    np.float64(-1.0)
    """
    x, xp, fp = map(as_floating, as_arrays(x, xp, fp))
    n = xp.shape[0] if len(xp.shape) == 1 else 0
    if not n or fp.shape != xp.shape:
        raise ValueError(f"interp: xp of shape {xp.shape} and fp of shape {fp.shape}; expected vectors of the same length")
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, abs(period))
        left = right = None
        n += 2
    first, last = fp[0] if left is None else left, fp[n - 1] if right is None else right
    if n == 1:
        constant = fp[0] + 0.0 * (x - xp[0])  # so that a derivative by these is zero, not refused
        return where(less(x, xp[0]), first, where(greater(x, xp[0]), last, constant))
    behind = clip(searchsorted(xp, values_of(x), side="right"), 1, n - 1)
    x0, x1, f0, f1 = (take(values, k) for values in (xp, fp) for k in (behind - 1, behind))
    width = x1 - x0
    inside = f0 + (x - x0) / where(equal(width, 0), 1.0, width) * (f1 - f0)
    return where(less(x, xp[0]), first, where(greater(x, xp[n - 1]), last, inside))


def _periodic(x: Array, xp: Array, fp: Array, period: Array) -> Sequence[Array]:
    """The points of one period in order, with a neighbour from the periods before and after it."""
    xp = remainder(xp, period)
    order = argsort(values_of(xp))
    xp, fp = take(xp, order), take(fp, order)
    end = xp.shape[0]
    xp = concat([xp[end - 1 :] - period, xp, xp[:1] + period])
    return remainder(x, period), xp, concat([fp[end - 1 :], fp, fp[:1]])
