"""Arrays as sets: their different values, how often each comes, and whether elements are among them.

Where the values stand is a constant: the derivative of a value goes to the first element that has it.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

from ..backend import Array, module_of
from ..kinds import constant_like
from ..tensor import unwrap
from .elementwise import clip
from .searching import known, searchsorted
from .shaping import as_array, as_arrays, as_floating, shape_of
from .sorting import sort
from .steps import equal, logical_not
from .taking import add_along_axis, integers, take

__all__ = [
    "UniqueAll", "UniqueCounts", "UniqueInverse", "bincount", "isin", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
]  # fmt: skip


class UniqueAll(NamedTuple):
    """What `unique_all` gives: the values, where each comes first, which of them each element has, and how often they come."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives: the values, and how often they come."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives: the values, and which of them each element has."""

    values: Any
    inverse_indices: Any


def _found(name: str, x: Array, axis: int | None = None, equal_nan: bool = False) -> UniqueAll:
    array = known(name, as_array(x))
    settings = {"return_index": True, "return_inverse": True, "return_counts": True, "equal_nan": equal_nan}
    _, first, inverse, counts = module_of(array).unique(array, axis=axis, **settings)
    inverse = inverse.reshape(array.shape if axis is None else -1)  # NumPy 2.0 gives other shapes than 2.1
    places, inverse, counts = (constant_like(part, (x,)) for part in (first, inverse, counts))
    return UniqueAll(take(x, places, axis), places, inverse, counts)


def unique_all(x: Array) -> UniqueAll:
    """The different values of an array in rising order, and all about them. Every NaN is a value of its own.

    Raises:
        TracingError: inside `compile` or `vmap`, if ``x`` depends on the arguments: the shape of the result does.

    >>> import numpy as np, tinyad as ad
    >>> ad.unique_all(np.array([5.0, 3.0, 5.0])).counts
    array([1, 2])
    """
    return _found("unique_all", x)


def unique_counts(x: Array) -> UniqueCounts:
    """The different values and how often they come; see `unique_all`."""
    found = _found("unique_counts", x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Array) -> UniqueInverse:
    """The different values and which of them each element has; see `unique_all`."""
    found = _found("unique_inverse", x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Array) -> Array:
    """The different values; see `unique_all`.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.sum(ad.unique_values(x)))(np.array([5.0, 3.0, 5.0]))
    array([1., 1., 0.])
    """
    return _found("unique_values", x).values


def unique(
    x: Array,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
) -> Any:
    """The different values, or parts along an axis, in rising order, and what else is asked for, as a tuple; see `unique_all`.

    ``equal_nan`` takes all NaN for one value.
    """
    found = _found("unique", x, axis, equal_nan)
    asked = (True, return_index, return_inverse, return_counts)
    results = tuple([part for part, wanted in zip(found, asked, strict=True) if wanted])
    return results if len(results) > 1 else results[0]


def isin(x: Array, elements: Array, assume_unique: bool = False, invert: bool = False) -> Array:
    """Whether each element of ``x`` is among ``elements``; with ``invert``, whether it is not. NaN is among nothing.

    >>> import numpy as np, tinyad as ad
    >>> ad.isin(np.array([1, 2, 3]), [3, 1])
    array([ True, False,  True])
    """
    array, values = map(unwrap, as_arrays(x, elements))
    count = values.size
    if count:
        values = sort(values, None)
        place = clip(searchsorted(values, array), 0, count - 1)
        found = equal(take(values, place), array)
    else:
        found = module_of(array).zeros(array.shape, dtype=bool)
    return constant_like(logical_not(found) if invert else found, (x, elements))


def bincount(x: Array, weights: Array | None = None, minlength: int = 0) -> Array:
    """How often each of the numbers 0, 1, 2, ... comes in a vector of integers; with ``weights``, the sum of theirs.

    Args:
        weights: one for each element; they are what is differentiated, and the result has their dtype (float64 for integers).
        minlength: give at least so many results.

    Raises:
        ValueError: if a number is negative, or there are not as many weights.
        TracingError: inside `compile` or `vmap`, if ``x`` depends on the arguments: the shape of the result does.

    >>> import numpy as np, tinyad as ad
    >>> ad.bincount(np.array([0, 2, 2]), weights=np.array([1.0, 2.0, 5.0]))
    array([1., 0., 7.])
    """
    numbers = integers("bincount", known("bincount", x), x if weights is None else weights)
    if numbers.ndim != 1 or (numbers.size and numbers.min() < 0):
        raise ValueError(f"bincount: x has shape {numbers.shape}; expected a vector of integers of at least 0")
    length = max(int(numbers.max()) + 1 if numbers.size else 0, operator.index(minlength))
    if weights is None:
        return constant_like(module_of(numbers).bincount(numbers, minlength=length), (x,))
    if shape_of(weights) != numbers.shape:
        raise ValueError(
            f"bincount: weights of shape {shape_of(weights)} for x of shape {numbers.shape}; expected one for each"
        )
    return add_along_axis(as_floating(weights), numbers, axis=-1, length=length, once=False)
