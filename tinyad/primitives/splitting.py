"""Taking arrays apart along an axis: split, array_split, unstack, and what is made of them.

The parts show elements of the array: on plain arrays they are views, as in NumPy.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence

from ..backend import Array
from .indexing import getitem, take_slice
from .shaping import as_array, negative_axis, shape_of

__all__ = ["array_split", "dsplit", "hsplit", "split", "unstack", "vsplit"]

Sections = int | Sequence[int]


def array_split(x: Array, indices_or_sections: Sections, axis: int = 0) -> list[Array]:
    """The parts of an array along an axis.

    Args:
        indices_or_sections: how many parts, of equal length or the first ones longer by one; or where the second, third, ...
            part begins.

    Raises:
        ValueError: if the number of parts is not positive.

    >>> import numpy as np, tinyad as ad
    >>> ad.array_split(np.arange(5), 2)
    [array([0, 1, 2]), array([3, 4])]
    """
    place = negative_axis("array_split", axis, len(shape_of(x)))
    length = shape_of(x)[place]
    if hasattr(indices_or_sections, "__index__") and not shape_of(indices_or_sections):
        count = operator.index(indices_or_sections)
        if count < 1:
            raise ValueError(f"array_split: {count} sections; expected at least 1")
        inner = [k * (length // count) + min(k, length % count) for k in range(1, count)]
    else:
        inner = [operator.index(i) for i in indices_or_sections]  # type: ignore[union-attr]
    ends = [0, *inner, length]
    # an end may be negative or beyond the last element, as those of a slice
    return [take_slice(as_array(x), place, start, stop) for start, stop in itertools.pairwise(ends)]


def split(x: Array, indices_or_sections: Sections, axis: int = 0) -> list[Array]:
    """`array_split` into parts that must have equal length where their number is given.

    Raises:
        ValueError: if they cannot.
    """
    place = negative_axis("split", axis, len(shape_of(x)))
    length = shape_of(x)[place]
    if hasattr(indices_or_sections, "__index__") and not shape_of(indices_or_sections):
        count = operator.index(indices_or_sections)
        if count < 1 or length % count:
            raise ValueError(
                f"split: axis {axis} of length {length} has no {count} equal parts; use ad.array_split, or give ends"
            )
    return array_split(x, indices_or_sections, axis)


def vsplit(x: Array, indices_or_sections: Sections) -> list[Array]:
    """`split` along the first axis."""
    negative_axis("vsplit", 1, len(shape_of(x)))  # as NumPy, for matrices and more
    return split(x, indices_or_sections, 0)


def hsplit(x: Array, indices_or_sections: Sections) -> list[Array]:
    """`split` along the second axis, a vector along its only one."""
    return split(x, indices_or_sections, 1 if len(shape_of(x)) > 1 else 0)


def dsplit(x: Array, indices_or_sections: Sections) -> list[Array]:
    """`split` along the third axis."""
    return split(x, indices_or_sections, negative_axis("dsplit", 2, len(shape_of(x))))


def unstack(x: Array, axis: int = 0) -> tuple[Array, ...]:
    """The parts of an array along an axis, without that axis: what `stack` has put together.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.unstack(x)[0] * ad.unstack(x)[1])(np.array([2.0, 5.0]))
    array([5., 2.])
    """
    place = negative_axis("unstack", axis, len(shape_of(x)))
    after = [slice(None)] * (-place - 1)
    return tuple([getitem(as_array(x), (..., i, *after)) for i in range(shape_of(x)[place])])
