"""Reductions along axes, and broadcasting, which is the transpose of a sum.

``axis`` is an int, a tuple of ints, or ``None`` for all axes; ``keepdims=True`` keeps reduced axes with length 1. Of NumPy's other
keywords ``dtype`` converts the elements first, ``where`` is a mask that says which elements count, and ``initial`` is one more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..kinds import Function, general, linear
from ..tensor import Tensor
from .complex import conj, imag, is_complex, real
from .elementwise import abs as absolute
from .elementwise import exp, maximum, minimum, sqrt, square
from .elementwise import where as choose
from .shaping import Axes, as_array, as_arrays, as_shape, astype, expand_dims, negative_axes, shape_of, trailing
from .steps import equal

__all__ = ["broadcast_to", "logsumexp", "max", "mean", "min", "norm", "ptp", "root", "std", "sum", "unbroadcast", "var"]


def _expand(reduced: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Bring a reduced array back to where it broadcasts against the operand."""
    return reduced if keepdims or not axis else expand_dims(reduced, axis)


# ---- sum and broadcast_to

_sum: Function = linear(
    "sum",
    lambda xp, x, axis, keepdims: xp.add.reduce(x, axis=axis, keepdims=keepdims),
    lambda g, like, axis, keepdims: _spread(_expand(g, axis, keepdims), like.shape),
)


def _broadcast_to(xp: Any, x: Array, *, rank: int, shape: tuple[int, ...]) -> Array:
    lead = x.shape[: x.ndim - rank]
    if lead:
        x = x.reshape(lead + (1,) * (len(shape) - rank) + x.shape[x.ndim - rank :])
    return xp.broadcast_to(x, lead + shape)


_broadcast: Function = linear(
    "broadcast_to", _broadcast_to, lambda g, like, rank, shape: unbroadcast(g, trailing(like, rank), g.ndim - len(shape))
)


def _spread(x: Array, shape: tuple[int, ...]) -> Array:
    """Broadcast the trailing axes of ``x``, already as many as ``shape`` has, to ``shape``."""
    return _broadcast(x, rank=len(shape), shape=shape)


def broadcast_to(x: Array, shape: int | Sequence[int]) -> Array:
    """``x`` repeated along new and length-1 axes to ``shape``, without a copy.

    Raises:
        ValueError: if the shapes do not fit.
    """
    old, new = shape_of(x), as_shape(shape)
    fits = len(old) <= len(new) and all(a in (1, b) for a, b in zip(old[::-1], new[::-1], strict=False))
    if not fits:
        raise ValueError(f"broadcast_to: shape {old} does not broadcast to {new}; trailing axes must be equal or 1")
    return _broadcast(as_array(x), rank=len(old), shape=new)


def unbroadcast(g: Array, shape: tuple[int, ...], lead: int = 0) -> Array:
    """Sum a cotangent over the axes along which its operand was broadcast.

    Args:
        g: cotangent, of shape ``leading axes + shape of the result``.
        shape: of the operand.
        lead: how many leading axes to leave alone.
    """
    full = g.shape[lead:]
    extra = len(full) - len(shape)
    if not lead and type(g) is not Tensor and g.ndim == 2 and full[1:] == shape and full[0] >= 64 and g.dtype.char in "fd":
        # a bias under many examples: a product with ones takes a half to a third of the time of add.reduce (measured)
        xp = module_of(g)
        return xp.matmul(xp.ones(full[0], g.dtype), g)
    axes = [i - len(full) for i, n in enumerate(full) if i < extra or (shape[i - extra] == 1 and n != 1)]
    if axes:
        g = _sum(g, axis=tuple(axes), keepdims=True)
    target = g.shape[:lead] + shape
    if g.shape == target:
        return g
    return g.reshape(target)  # of a plain array NumPy's own method, a fifth of the time of ad.reshape


def sum(
    x: Array, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None, initial: Any = None, where: Any = None
) -> Array:
    """Sum of the elements along the axes.

    >>> import tinyad as ad
    >>> ad.grad(lambda x: ad.sum(x * x, axis=0)[1])(ad.ones((2, 2)).array)
    array([[0., 2.],
           [0., 2.]])
    """
    x = elements_to_reduce(x, dtype, where, 0)
    total = _sum(x, axis=negative_axes("sum", axis, len(shape_of(x))), keepdims=keepdims)
    return total_in_dtype(total if initial is None else total + initial, dtype)


def total_in_dtype(total: Array, dtype: Any) -> Array:
    """A total in the dtype that was asked for: NumPy's totals of short integers are in longer ones."""
    return total if dtype is None else astype(total, dtype, copy=False)


def elements_to_reduce(x: Array, dtype: Any, where: Any, instead: Any) -> Array:
    """The elements to reduce, those that do not count replaced by one that changes nothing."""
    x = as_array(x) if dtype is None else astype(x, dtype)
    return x if where is None else choose(where, x, instead)


_mean = linear(
    "mean",
    lambda xp, x, axis, keepdims: xp.mean(x, axis=axis, keepdims=keepdims),
    lambda g, like, axis, keepdims: _spread(_expand(g, axis, keepdims) / _count(like.shape, axis), like.shape),
)


def _count(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    return math.prod([shape[a] for a in axis])


def _count_where(where: Any, x: Array, axis: Axes, keepdims: bool) -> Array:
    """How many elements count, as numbers of the dtype that a mean has."""
    ones = astype(where, x.dtype if x.dtype.kind in "fc" else float)
    return sum(broadcast_to(ones, shape_of(x)), axis, keepdims)


def mean(x: Array, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None, where: Any = None) -> Array:
    """Arithmetic mean along the axes."""
    x = elements_to_reduce(x, dtype, None, 0)
    if where is not None:
        return sum(x, axis, keepdims, where=where) / _count_where(where, x, axis, keepdims)
    return _mean(x, axis=negative_axes("mean", axis, len(shape_of(x))), keepdims=keepdims)


# ---- reductions that are known by their gradient


def reduction(name: str, forward: Callable[..., Any], gradient: Callable[..., Any]) -> Callable[..., Any]:
    """A general primitive from one function: the gradient of each result with respect to the elements it reduces.

    ``gradient(x, out, axis, **params)`` gets the result with its axes kept and returns an array of the shape of ``x``; both
    modes are made of it, so they agree by construction.
    """

    def vjp(g: Array, x: Array, out: Array, *, axis: tuple[int, ...], keepdims: bool, **params: Any) -> Array:
        return _expand(g, axis, keepdims) * gradient(x, _expand(out, axis, keepdims), axis, **params)

    def jvp(dx: Array, x: Array, out: Array, *, axis: tuple[int, ...], keepdims: bool, **params: Any) -> Array:
        slope = gradient(x, _expand(out, axis, keepdims), axis, **params)
        return _sum(dx * slope, axis=axis, keepdims=keepdims)

    return general(name, forward, vjp, jvp)


def _share_of_ties(x: Array, out: Array, axis: tuple[int, ...]) -> Array:
    """Where an extremum is attained; several equal elements share the derivative equally."""
    attained = astype(equal(x, out), x.dtype)
    return attained / _sum(attained, axis=axis, keepdims=True)


_max = reduction("max", lambda xp, x, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims), _share_of_ties)
_min = reduction("min", lambda xp, x, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims), _share_of_ties)


def _extremum(
    name: str, primitive: Function, x: Array, axis: Axes, keepdims: bool, initial: Any, where: Any, worst: float, pair: Function
) -> Array:
    """An extremum; ``worst`` is what no element is beyond, and ``pair`` the extremum of two."""
    if where is not None:
        if initial is None:
            raise ValueError(f"{name}: where= leaves out elements, perhaps all; give initial=, the {name}imum of none")
        x = choose(where, x, initial if shape_of(x) == () or as_array(x).dtype.kind not in "fc" else worst)
    axes = negative_axes(name, axis, len(shape_of(x)))
    if _count(shape_of(x), axes) == 0 and initial is not None:
        x, start = as_arrays(x, initial)
        return broadcast_to(astype(start, x.dtype), sum(x, axes, keepdims).shape)
    if _count(shape_of(x), axes) == 0:
        raise ValueError(f"{name}: the reduced axes of an array of shape {shape_of(x)} are empty; there is no {name}imum")
    found = primitive(as_array(x), axis=axes, keepdims=keepdims)
    return found if initial is None else pair(found, initial)


def max(x: Array, axis: Axes = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Array:
    """Largest element along the axes. Equal largest elements share the derivative equally.

    Raises:
        ValueError: if there is no element, or none need be there: ``where`` without ``initial``.
    """
    return _extremum("max", _max, x, axis, keepdims, initial, where, -math.inf, maximum)


def min(x: Array, axis: Axes = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Array:
    """Smallest element along the axes. Equal smallest elements share the derivative equally; see `max`."""
    return _extremum("min", _min, x, axis, keepdims, initial, where, math.inf, minimum)


def ptp(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """How far the largest element along the axes lies from the smallest."""
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def _var_gradient(x: Array, out: Array, axis: tuple[int, ...], correction: float) -> Array:
    freedom = _count(x.shape, axis) - correction
    return conj(x - _mean(x, axis=axis, keepdims=True)) * (2.0 / freedom if freedom > 0 else math.inf)


_var = reduction(
    "var",
    lambda xp, x, axis, keepdims, correction: xp.var(x, axis=axis, ddof=correction, keepdims=keepdims),
    _var_gradient,
)


def var(
    x: Array,
    axis: Axes = None,
    keepdims: bool = False,
    correction: float = 0.0,
    *,
    ddof: float | None = None,
    dtype: Any = None,
    where: Any = None,
) -> Array:
    """Variance along the axes: the sum of squared distances from the mean, divided by ``n - correction``.

    ``ddof`` is NumPy's other name of ``correction``. Where ``n - correction`` is not positive, NumPy divides by 0 and warns.
    """
    correction = correction if ddof is None else ddof
    x = elements_to_reduce(x, dtype, None, 0)
    axes = negative_axes("var", axis, len(shape_of(x)))
    if where is not None:
        squares = _square_of_length(x - mean(x, axes, True, where=where))
        return sum(squares, axes, keepdims, where=where) / maximum(_count_where(where, real(x), axes, keepdims) - correction, 0)
    return _var(x, axis=axes, keepdims=keepdims, correction=correction)


def std(
    x: Array,
    axis: Axes = None,
    keepdims: bool = False,
    correction: float = 0.0,
    *,
    ddof: float | None = None,
    dtype: Any = None,
    where: Any = None,
) -> Array:
    """Standard deviation, the root of `var`. Its derivative is taken as 0 where all elements are equal."""
    return root(var(x, axis, keepdims, correction, ddof=ddof, dtype=dtype, where=where))


def _square_of_length(x: Array) -> Array:
    return square(real(x)) + square(imag(x)) if is_complex(x) else square(x)


def root(x: Array) -> Array:
    """Square root with derivative 0 at 0, for values that are squares themselves."""
    vanishes = equal(x, 0)
    return choose(vanishes, 0.0, sqrt(choose(vanishes, 1.0, x)))


def _logsumexp(xp: Any, x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    kept = tuple([1 if i - x.ndim in axis else n for i, n in enumerate(x.shape)])
    top = xp.max(x, axis=axis, keepdims=True) if x.size else xp.zeros(kept, x.dtype)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))  # infinite elements would give inf - inf
    with np.errstate(divide="ignore"):  # the log of no weight at all is -inf, and meant
        total = xp.log(xp.add.reduce(xp.exp(x - top), axis=axis, keepdims=keepdims))
    return total + (top if keepdims else top.reshape(total.shape))


def _softmax(x: Array, out: Array, axis: tuple[int, ...]) -> Array:
    return exp(x - choose(equal(out, -math.inf), 0.0, out))


_logsumexp_primitive = reduction("logsumexp", _logsumexp, _softmax)


def logsumexp(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """``log(sum(exp(x)))`` along the axes, without overflow; its gradient is the softmax of ``x``.

    >>> import tinyad as ad
    >>> import numpy as np
    >>> float(ad.logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    """
    axes = negative_axes("logsumexp", axis, len(shape_of(x)))
    return _logsumexp_primitive(as_array(x), axis=axes, keepdims=keepdims)


def norm(x: Array, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Array:
    """The vector norm of the elements along the axes: ``ord`` 1, 2, infinity, or another ``p >= 1``.

    At zero the derivative is taken as 0, the subgradient of least norm.
    """
    if not isinstance(ord, (int, float, np.integer, np.floating)) or ord < 1:
        raise ValueError(f"norm: ord={ord!r}; expected a number of at least 1, or math.inf")
    if ord == 2:
        return root(sum(_square_of_length(x), axis, keepdims))
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    if ord == math.inf:
        return max(absolute(x), axis, keepdims)
    total = sum(absolute(x) ** ord, axis, keepdims)
    vanishes = equal(total, 0)
    return choose(vanishes, 0.0, choose(vanishes, 1.0, total) ** (1.0 / ord))
