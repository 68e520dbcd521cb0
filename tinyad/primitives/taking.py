"""Picking elements by their numbers along an axis: take, take_along_axis, and what is made of them.

Indices are constants; repeated ones add up in the derivative. On NumPy's arrays an index out of range is an error, on CuPy's it
wraps around silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, asnumpy, is_mutable, module_of
from ..kinds import PRIMITIVES, Function, linear
from ..tensor import Tensor, unwrap
from .elementwise import clip, where
from .indexing import getitem
from .joining import concat, stack
from .reductions import broadcast_to
from .searching import flatnonzero, known
from .shaping import as_array, as_arrays, astype, moveaxis, negative_axis, ravel, reshape, shape_of
from .steps import floor_divide

__all__ = [
    "add_along_axis", "choose", "compress", "delete", "extract", "insert", "integers", "piecewise", "select", "take",
    "take_along_axis", "taken_once",
]  # fmt: skip


# ---- the primitives: along one axis, with as many indices for every other


def _in_front(indices: Array, ndim: int) -> Array:
    """Indices for an array with more axes in front."""
    return indices.reshape((1,) * (ndim - indices.ndim) + indices.shape)


def _take_forward(xp: Any, x: Array, indices: Array, *, axis: int, once: bool) -> Array:
    return xp.take_along_axis(x, _in_front(indices, x.ndim), axis=axis)


def _add_forward(xp: Any, g: Array, indices: Array, *, axis: int, length: int, once: bool) -> Array:
    lead = g.ndim + axis
    total = xp.zeros((*g.shape[:lead], length, *g.shape[lead + 1 :]), g.dtype)
    where = _in_front(indices, g.ndim)
    if once:
        xp.put_along_axis(total, where, g, axis=axis)
        return total
    # numbers of the elements in memory: adding by one index is several times faster than by one for each axis
    step = math.prod(total.shape[lead + 1 :])
    first = xp.arange(total.size).reshape(total.shape)[(slice(None),) * lead + (slice(0, 1),)]
    numbers = xp.broadcast_to(first + where % max(length, 1) * step, g.shape)
    xp.add.at(total.reshape(-1), numbers.ravel(), g.ravel())
    return total


def _for_each_example(operands: Any, mapped: Any, apply: Callable[..., Array]) -> Array:
    """Indices that differ from example to example: the array gets the axis of the examples too."""
    x, indices = operands
    size = indices.shape[0]
    if not mapped[0]:
        x = PRIMITIVES["broadcast_to"].apply(x, rank=x.ndim, shape=(size, *x.shape))
    return apply(x, indices.reshape((size,) + (1,) * (x.ndim - indices.ndim) + indices.shape[1:]))


_take: Function = linear(
    "take_along_axis",
    _take_forward,
    lambda g, like, indices, axis, once: add_along_axis(g, indices, axis=axis, length=like.shape[axis], once=once),
    batch=lambda operands, mapped, **params: _for_each_example(operands, mapped, lambda *xs: _take(*xs, **params)),
)
add_along_axis: Function = linear(
    "add_along_axis",
    _add_forward,
    lambda g, like, indices, axis, length, once: _take(g, indices, axis=axis, once=once),
    batch=lambda operands, mapped, **params: _for_each_example(operands, mapped, lambda *xs: add_along_axis(*xs, **params)),
    doc="""Zeros of a length along an axis, with an array added at indices along it: the transpose of `take_along_axis`.

    ``once`` says that no index comes twice, so that they need not be added one by one.""",
)  # fmt: skip


def taken_once(x: Array, indices: Array, axis: int) -> Array:
    """`take_along_axis` for an axis counted from the end and indices that name no element twice, such as an order."""
    return _take(as_array(x), unwrap(indices), axis=axis, once=True)


# ---- indices


def integers(name: str, indices: Any, like: Array) -> Array:
    """Indices as an array of integers, where ``like`` is."""
    array = unwrap(indices)
    if not is_mutable(array):
        array = module_of(array).asarray(array)  # a number that is not there yet
    elif not hasattr(array, "dtype"):
        array = np.asarray(array, dtype=None if np.size(array) else int)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: got indices of dtype {array.dtype}; expected integers. To pick by a mask write x[mask]")
    return module_of(unwrap(like)).asarray(array) if is_mutable(array) else array


def _within(name: str, indices: Array, length: int, mode: str) -> Array:
    """Indices with those out of range treated as NumPy's ``mode`` says."""
    if mode == "raise":
        return indices
    if length == 0 or mode not in ("wrap", "clip"):
        raise ValueError(f"{name}: mode={mode!r} for {length} elements; expected 'raise', 'wrap' or 'clip', and an element")
    return clip(indices, 0, length - 1) if mode == "clip" else indices - floor_divide(indices, length) * length


def take(x: Array, indices: Array, axis: int | None = None, mode: str = "raise") -> Array:
    """The elements with these numbers along an axis: axes of the shape of ``indices`` stand in its place.

    Args:
        indices: integers, negative ones count from the end.
        axis: without it, the elements of ``x`` are numbered row by row.
        mode: what to do with indices out of range: "raise", "wrap" around, or "clip" to the first and last.

    Raises:
        IndexError: if an index is out of range and ``mode`` is "raise".
        TypeError: if ``indices`` are not integers.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.sum(ad.take(x, [0, 2, 2])))(np.ones(3))
    array([1., 0., 2.])
    """
    if axis is None:
        return take(ravel(x), indices, 0, mode)
    place = negative_axis("take", axis, len(shape_of(x)))
    numbers = _within("take", integers("take", indices, x), shape_of(x)[place], mode)
    table = Tensor(as_array(x)) if not isinstance(x, Tensor) and not is_mutable(numbers) else as_array(x)
    return getitem(table, (..., numbers, *[slice(None)] * (-place - 1)))


def take_along_axis(x: Array, indices: Array, axis: int | None = -1) -> Array:
    """For each line of elements along an axis, those with the numbers in the same line of ``indices``, as `argsort` gives them.

    Args:
        indices: integers, with as many axes as ``x``; the other axes broadcast against those of ``x``.
        axis: with ``None`` the elements of ``x`` row by row; ``indices`` is a vector then.

    Raises:
        ValueError: if the shapes do not fit.
        TypeError: if ``indices`` are not integers.

    >>> import numpy as np, tinyad as ad
    >>> x = np.array([[3.0, 1.0], [2.0, 5.0]])
    >>> ad.take_along_axis(x, ad.argmax(x, axis=1, keepdims=True), axis=1)
    array([[3.],
           [5.]])
    """
    if axis is None:
        return take_along_axis(ravel(x), indices, 0)
    shape, numbers = shape_of(x), integers("take_along_axis", indices, x)
    place = negative_axis("take_along_axis", axis, len(shape))
    at = len(shape) + place
    others = [(*given[:at], 1, *given[at + 1 :]) for given in (shape, numbers.shape)]
    try:
        common = np.broadcast_shapes(*others)
    except ValueError:
        common = ()
    if numbers.ndim != len(shape) or not common:
        raise ValueError(
            f"take_along_axis: indices of shape {numbers.shape} for x of shape {shape}; all axes but {axis} must fit"
        )
    full, of_numbers = ((*common[:at], n, *common[at + 1 :]) for n in (shape[at], numbers.shape[at]))
    x = as_array(x) if shape == full else broadcast_to(x, full)
    return _take(x, numbers if numbers.shape == of_numbers else broadcast_to(numbers, of_numbers), axis=place, once=False)


# ---- by a condition


def compress(condition: Array, x: Array, axis: int | None = None) -> Array:
    """The parts of ``x`` along an axis for which ``condition``, a vector of booleans, is true; it may be shorter than the axis.

    Raises:
        TracingError: inside `compile` or `vmap`, if the condition depends on the arguments: the shape of the result does.
    """
    return take(x, flatnonzero(known("compress", condition)), axis)


def extract(condition: Array, x: Array) -> Array:
    """The elements of ``x``, row by row, where ``condition``, of as many elements, is true; see `compress`."""
    return compress(ravel(known("extract", condition)), ravel(x))


def choose(indices: Array, choices: Sequence[Array] | Array, mode: str = "raise") -> Array:
    """For each element the one of the array ``choices[index]``; everything broadcasts.

    >>> import numpy as np, tinyad as ad
    >>> ad.choose([1, 0, 1], [np.zeros(3), np.array([1.0, 2.0, 3.0])])
    array([1., 0., 3.])
    """
    choices = as_arrays(*choices)
    numbers = _within("choose", integers("choose", indices, choices[0]), len(choices), mode)
    shape = np.broadcast_shapes(numbers.shape, *[shape_of(x) for x in choices])
    lines = stack([broadcast_to(x, shape) for x in choices])
    return _take(lines, reshape(broadcast_to(numbers, shape), (1, *shape)), axis=-len(shape) - 1, once=False)[0]


def select(conditions: Sequence[Array], choices: Sequence[Array], default: Array = 0) -> Array:
    """Where the first of the conditions is true the elements of the first choice, else where the second is, and so on.

    What is not chosen gets a derivative of exactly zero, as in `where`.

    Raises:
        ValueError: if there are not as many choices as conditions.
    """
    if len(conditions) != len(choices) or len(choices) == 0:
        raise ValueError(f"select: got {len(conditions)} conditions and {len(choices)} choices; expected one choice for each")
    out = default
    for condition, choice in zip(reversed(list(conditions)), reversed(list(choices)), strict=True):
        out = where(condition, choice, out)
    return out


def piecewise(x: Array, conditions: Any, functions: Sequence[Any], *args: Any, **kwargs: Any) -> Array:
    """A function given by pieces: ``functions[i](x, *args, **kwargs)`` where ``conditions[i]`` is true, for the last such ``i``.

    Each function is called once, with all of ``x``, so that its shape is known; what it gives elsewhere is not used, and gets a
    derivative of exactly zero.

    Args:
        functions: one for each condition, and possibly one more for where none is true, which else gives 0. Numbers stand for
            constants. The result has the dtype of ``x``.

    Raises:
        ValueError: if there are neither as many functions as conditions, nor one more.

    >>> import numpy as np, tinyad as ad
    >>> f = lambda x: ad.sum(ad.piecewise(x, [x < 0, x >= 0], [lambda x: -x, lambda x: x * x]))
    >>> ad.grad(f)(np.array([-3.0, 4.0]))
    array([-1.,  8.])
    """
    several = isinstance(conditions, (list, tuple)) or len(shape_of(conditions)) > len(shape_of(x))
    pieces = list(conditions) if several else [conditions]
    if len(functions) - len(pieces) not in (0, 1):
        raise ValueError(
            f"piecewise: got {len(functions)} functions for {len(pieces)} conditions; expected as many, or one more"
        )
    values = [f(x, *args, **kwargs) if callable(f) else f for f in functions]
    out = values.pop() if len(values) > len(pieces) else 0
    for condition, value in zip(pieces, values, strict=True):
        out = where(condition, value, out)
    return astype(out, unwrap(as_array(x)).dtype)


# ---- without some elements, with more


def delete(x: Array, obj: Any, axis: int | None = None) -> Array:
    """``x`` without the parts that ``obj`` names along an axis: an int, a slice, a list of ints, or a mask.

    Raises:
        IndexError: if a number is out of range.
    """
    if axis is None:
        return delete(ravel(x), obj, 0)
    length = shape_of(x)[negative_axis("delete", axis, len(shape_of(x)))]
    return take(x, np.delete(np.arange(length), _host("delete", obj)), axis)


def insert(x: Array, obj: Any, values: Array, axis: int | None = None) -> Array:
    """``x`` with ``values`` put in along an axis, in front of the elements that ``obj`` names: an int, a slice, a list of ints.

    Args:
        values: in the dtype of ``x``; they broadcast to the part of the result that they fill.

    Raises:
        IndexError: if a number is out of range.

    >>> import numpy as np, tinyad as ad
    >>> ad.insert(np.array([1.0, 2.0]), [0, 2], [7.0, 8.0])
    array([7., 1., 2., 8.])
    """
    if axis is None:
        return insert(ravel(x), obj, values, 0)
    array, shape = as_array(x), list(shape_of(x))
    place = negative_axis("insert", axis, len(shape))
    places = _host("insert", obj)
    added = astype(values if hasattr(values, "shape") else module_of(unwrap(array)).asarray(values), array.dtype)
    added = reshape(added, (1,) * (len(shape) - len(shape_of(added))) + shape_of(added))
    if not isinstance(places, slice) and np.ndim(places) == 0:  # NumPy's rule: the first axis of the values counts the parts
        added = moveaxis(added, 0, place)
    length, shape[place] = shape[place], shape_of(added)[place]
    # NumPy says where they go: the elements of x by their numbers, the values by -1, -2, ...
    order = np.insert(np.arange(length), places, -1 - np.arange(shape[place]))
    return take(
        concat([array, broadcast_to(added, tuple(shape))], place), np.where(order < 0, length - 1 - order, order), place
    )


def _host(name: str, obj: Any) -> Any:
    """What names parts of an array, on the CPU, where NumPy's own functions work out which they are."""
    return asnumpy(known(name, obj)) if hasattr(obj, "dtype") else obj
