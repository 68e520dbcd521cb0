"""Arrays repeated: tile, repeat, resize, broadcast_arrays. The derivative of what is repeated is the sum over its copies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..backend import Array, asnumpy
from .reductions import broadcast_to
from .searching import known
from .shaping import as_array, as_shape, negative_axis, ravel, reshape, shape_of
from .taking import take

__all__ = ["broadcast_arrays", "broadcast_shapes", "repeat", "resize", "tile"]


def broadcast_shapes(*shapes: int | Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together.

    Raises:
        ValueError: if the shapes do not fit.

    >>> import tinyad as ad
    >>> ad.broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    return np.broadcast_shapes(*[shape if isinstance(shape, int) else tuple(shape) for shape in shapes])


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """Arrays of one shape, each repeated along the axes that it lacks or that have length 1.

    Raises:
        ValueError: if the shapes do not fit.
    """
    shape = np.broadcast_shapes(*[shape_of(x) for x in arrays])
    return tuple([broadcast_to(x, shape) for x in arrays])


def tile(x: Array, repetitions: int | Sequence[int]) -> Array:
    """Copies of the whole array side by side: as many along each axis as ``repetitions`` says, which counts axes from the end.

    >>> import numpy as np, tinyad as ad
    >>> ad.tile(np.array([1, 2]), (2, 2))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    counts, shape = list(as_shape(repetitions)), list(shape_of(x))
    ndim = max(len(counts), len(shape))
    counts, shape = [1] * (ndim - len(counts)) + counts, [1] * (ndim - len(shape)) + shape
    if min(counts, default=1) < 0:
        raise ValueError(f"tile: repetitions={repetitions!r}; expected numbers of at least 0")
    pairs = list(zip(counts, shape, strict=True))
    spread = broadcast_to(reshape(x, [m for n in shape for m in (1, n)]), [m for pair in pairs for m in pair])
    return reshape(spread, [count * n for count, n in pairs])


def repeat(x: Array, repeats: int | Array, axis: int | None = None) -> Array:
    """Each element, or each part along an axis, several times in a row; without ``axis`` the elements row by row.

    Args:
        repeats: how many times, one number for all or one for each.

    Raises:
        ValueError: if a number is negative, or there are not as many as elements.
        TracingError: inside `compile` or `vmap`, if the numbers depend on the arguments: the shape of the result does.

    >>> import numpy as np, tinyad as ad
    >>> ad.repeat(np.array([1, 2]), [1, 3])
    array([1, 2, 2, 2])
    """
    if axis is None:
        return repeat(ravel(x), repeats, 0)
    place = negative_axis("repeat", axis, len(shape_of(x)))
    length = shape_of(x)[place]
    counts = np.asarray(asnumpy(known("repeat", repeats)))
    if counts.dtype.kind not in "iu" or counts.size not in (1, length) or counts.min(initial=0) < 0:
        raise ValueError(
            f"repeat: repeats={repeats!r} for an axis of length {length}; expected 1 or {length} numbers of at least 0"
        )
    if counts.ndim:
        return take(x, np.repeat(np.arange(length), counts), axis)
    at = len(shape_of(x)) + place + 1
    before, after = shape_of(x)[:at], shape_of(x)[at:]
    spread = broadcast_to(reshape(x, (*before, 1, *after)), (*before, int(counts), *after))
    return reshape(spread, (*before[:-1], length * int(counts), *after))


def resize(x: Array, shape: int | Sequence[int]) -> Array:
    """The elements row by row in another shape, again from the first when they run out; of no elements, zeros."""
    new, size = as_shape(shape), math.prod(shape_of(x))
    if min(new, default=0) < 0:
        raise ValueError(f"resize: shape={shape!r}; expected lengths of at least 0")
    if not size:
        return broadcast_to(as_array(x).sum(), new)
    return reshape(take(ravel(x), np.arange(math.prod(new)) % size, 0), new)
