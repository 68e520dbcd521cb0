"""One element after another along an axis: running sums, products and log-sum-exps, and the product of all.

No rule divides by an element, so all of them are right where elements are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backend import Array, module_of
from ..kinds import Function, general, linear
from ..tensor import unwrap
from .elementwise import exp, where
from .indexing import take_slice
from .joining import concat
from .reductions import broadcast_to, elements_to_reduce, reduction, total_in_dtype
from .shaping import Axes, as_array, astype, flip, negative_axes, negative_axis, ravel, shape_of
from .steps import equal

__all__ = ["cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "logcumsumexp", "prod"]


# ---- the product of all


def product_of_others(x: Array, axis: int) -> Array:
    """For each element along an axis the product of all the others, from pairs of pairs: ``2 n`` products, no division."""
    n = x.shape[axis]
    if n < 2:
        xp = module_of(unwrap(x))
        return xp.ones_like(unwrap(x))
    half = n // 2
    left, right = take_slice(x, axis, 0, half), take_slice(x, axis, half, 2 * half)
    others = product_of_others(concat([left * right, take_slice(x, axis, 2 * half, n)], axis), axis)
    outside = take_slice(others, axis, 0, half)
    return concat([outside * right, outside * left, take_slice(others, axis, half, n - half)], axis)


def _gradient_of_prod(x: Array, out: Array, axis: tuple[int, ...]) -> Array:
    gradient: Array = 1.0
    for k, a in enumerate(axis):  # the others in line, times all that stands in other lines
        gradient = gradient * product_of_others(x, a)
        x = _prod(x, axis=(a,), keepdims=True) if k + 1 < len(axis) else x
    return gradient


_prod: Function = reduction("prod", lambda xp, x, axis, keepdims: xp.prod(x, axis=axis, keepdims=keepdims), _gradient_of_prod)


def prod(
    x: Array, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None, initial: Any = None, where: Any = None
) -> Array:
    """Product of the elements along the axes; its derivatives of all orders are right where elements are zero, too.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(ad.prod)(np.array([0.0, 2.0, 3.0]))
    array([6., 0., 0.])
    """
    x = elements_to_reduce(x, dtype, where, 1)
    total = _prod(x, axis=negative_axes("prod", axis, len(shape_of(x))), keepdims=keepdims)
    return total_in_dtype(total if initial is None else total * initial, dtype)


# ---- running sums

_cumsum: Function = linear(
    "cumsum",
    lambda xp, x, axis: xp.cumsum(x, axis=axis),
    lambda g, like, axis: flip(_cumsum(flip(g, axis), axis=axis), axis),
)


def _running(name: str, primitive: Function, x: Array, axis: int | None, dtype: Any) -> Array:
    x = as_array(x) if dtype is None else astype(x, dtype)
    if axis is None:
        return total_in_dtype(primitive(ravel(x), axis=-1), dtype)
    return total_in_dtype(primitive(x, axis=negative_axis(name, axis, len(shape_of(x)))), dtype)


def cumsum(x: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Running sum along an axis; without ``axis`` over all elements in row-major order."""
    return _running("cumsum", _cumsum, x, axis, dtype)


# ---- running values in which each follows from the one before: y[k] = f(y[k - 1], x[k])


def _recurrence(carry: Array, entry: Array, axis: int) -> Array:
    """``h[k] = carry[k - 1] * h[k - 1] + entry[k]``, by doubling the number of terms in each of ``log2(n)`` steps.

    Source: W. D. Hillis, G. L. Steele, "Data parallel algorithms", 1986.
    """
    n, step = entry.shape[axis], 1
    while step < n:
        later = take_slice(entry, axis, step, n) + carry * take_slice(entry, axis, 0, n - step)
        entry = concat([take_slice(entry, axis, 0, step), later], axis)
        if 2 * step < n:
            carry = take_slice(carry, axis, step, n - step) * take_slice(carry, axis, 0, n - 2 * step)
        step *= 2
    return entry


def _cumulative(name: str, forward: Callable[..., Any], slopes: Callable[..., tuple[Array, Array]]) -> Function:
    """A running value by its partial derivatives.

    ``slopes(x, out, axis)`` are those by the value before, from the second element on, and those by the element.
    """

    def vjp(g: Array, x: Array, out: Array, *, axis: int) -> Array:
        carry, by_element = slopes(x, out, axis)
        return flip(_recurrence(flip(carry, axis), flip(g, axis), axis), axis) * by_element

    def jvp(dx: Array, x: Array, out: Array, *, axis: int) -> Array:
        carry, by_element = slopes(x, out, axis)
        return _recurrence(carry, by_element * dx, axis)

    return general(name, forward, vjp, jvp)


def _all_but_first(x: Array, axis: int) -> Array:
    return take_slice(x, axis, min(1, x.shape[axis]), x.shape[axis])


def _all_but_last(x: Array, axis: int) -> Array:
    return take_slice(x, axis, 0, max(x.shape[axis] - 1, 0))


def _slopes_of_cumprod(x: Array, out: Array, axis: int) -> tuple[Array, Array]:
    first = module_of(unwrap(out)).ones_like(unwrap(take_slice(out, axis, 0, min(1, out.shape[axis]))))
    return _all_but_first(x, axis), concat([first, _all_but_last(out, axis)], axis)


def _slopes_of_logcumsumexp(x: Array, out: Array, axis: int) -> tuple[Array, Array]:
    total = where(equal(out, -float("inf")), 0.0, out)
    return exp(_all_but_last(out, axis) - _all_but_first(total, axis)), exp(x - total)


def _logcumsumexp_forward(xp: Any, x: Array, *, axis: int) -> Array:
    n, step = x.shape[axis], 1
    rest = (slice(None),) * (-axis - 1)
    while step < n:  # CuPy accumulates sums and products only
        later = xp.logaddexp(x[..., step:, *rest], x[..., : n - step, *rest])
        x = xp.concatenate([x[..., :step, *rest], later], axis=axis)
        step *= 2
    return xp.positive(x) if step == 1 else x


_cumprod = _cumulative("cumprod", lambda xp, x, axis: xp.cumprod(x, axis=axis), _slopes_of_cumprod)
_logcumsumexp = _cumulative("logcumsumexp", _logcumsumexp_forward, _slopes_of_logcumsumexp)


def cumprod(x: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Running product along an axis; without ``axis`` over all elements in row-major order.

    >>> import numpy as np, tinyad as ad
    >>> ad.jacobian(ad.cumprod)(np.array([2.0, 0.0, 3.0]))
    array([[1., 0., 0.],
           [0., 2., 0.],
           [0., 6., 0.]])
    """
    return _running("cumprod", _cumprod, x, axis, dtype)


def logcumsumexp(x: Array, axis: int | None = None) -> Array:
    """``log(cumsum(exp(x)))`` along an axis, without overflow; without ``axis`` over all elements in row-major order."""
    return _running("logcumsumexp", _logcumsumexp, x, axis, None)


def _with_initial(name: str, running: Function, first: int, x: Array, axis: int | None, dtype: Any, include: bool) -> Array:
    shape = shape_of(x)
    if axis is None and len(shape) != 1:
        raise ValueError(f"{name}: x has shape {shape}; give axis, which may only be left out for vectors")
    place = negative_axis(name, -1 if axis is None else axis, len(shape))
    result = running(x, place, dtype)
    if not include:
        return result
    initial = module_of(unwrap(result)).asarray(first, dtype=result.dtype)
    return concat([broadcast_to(initial, (*shape[:place], 1, *shape[len(shape) + place + 1 :])), result], place)


def cumulative_sum(x: Array, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """The array API standard's `cumsum`; with ``include_initial`` it begins with 0, and is longer by one.

    Raises:
        ValueError: if ``axis`` is left out for an array that is no vector.
    """
    return _with_initial("cumulative_sum", cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x: Array, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """The array API standard's `cumprod`; with ``include_initial`` it begins with 1, and is longer by one.

    Raises:
        ValueError: if ``axis`` is left out for an array that is no vector.
    """
    return _with_initial("cumulative_prod", cumprod, 1, x, axis, dtype, include_initial)
