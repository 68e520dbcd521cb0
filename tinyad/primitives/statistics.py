"""Averages, medians, quantiles and covariances."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..backend import Array, asnumpy, module_of
from ..tensor import Tensor, unwrap
from .complex import complex as from_parts
from .complex import conj, imag, is_complex, real
from .elementwise import clip, maximum, sqrt, where
from .joining import concat
from .products import matmul
from .reductions import broadcast_to, mean, sum
from .shaping import (
    Axes,
    as_arrays,
    as_floating,
    astype,
    expand_dims,
    matrix_transpose,
    moveaxis,
    negative_axes,
    reshape,
    shape_of,
)
from .sorting import argsort
from .steps import ceil, equal, floor, isnan
from .taking import take_along_axis

__all__ = ["average", "corrcoef", "cov", "median", "percentile", "quantile"]


# ---- order statistics: piecewise linear in the elements, because the order and the positions in it are constants


def lines(name: str, x: Array, axis: Axes, keepdims: bool) -> tuple[Array, tuple[int, ...]]:
    """The elements to reduce as one last axis, and the shape of the result.

    Raises:
        ValueError: if there are none.
    """
    x, shape = as_floating(x), shape_of(x)
    axes = negative_axes(name, axis, len(shape))
    rest = [i - len(shape) for i in range(len(shape)) if i - len(shape) not in axes]
    reduced = tuple([1 if i - len(shape) in axes else n for i, n in enumerate(shape) if keepdims or i - len(shape) in rest])
    kept = tuple([shape[a] for a in rest])
    count = int(np.prod([shape[a] for a in axes], dtype=int))
    if not count:
        raise ValueError(f"{name}: the reduced axes of an array of shape {shape} are empty; there is nothing between them")
    return reshape(moveaxis(x, axes, range(-len(axes), 0)), (*kept, count)), reduced


def fractions(name: str, q: Any, top: float) -> Any:
    """Where to cut, as numbers from 0 to 1."""
    if isinstance(q, Tensor) and q.node is not None:
        raise TypeError(f"{name}: q is on the tape, but positions in an order have no derivative; pass q.array")
    cuts = np.asarray(asnumpy(unwrap(q)), dtype=float) / top
    if not ((cuts >= 0) & (cuts <= 1)).all():
        raise ValueError(f"{name}: q={q!r}; expected numbers from 0 to {top:g}")
    return cuts


def at_positions(x: Array, order: Array, positions: Array, whole: bool) -> Array:
    """The elements of sorted lines at positions, which may lie between two; ``whole`` says that none does."""
    low = floor(positions)
    below = take_along_axis(x, take_along_axis(order, astype(low, int)), -1)
    if whole:
        return below
    above = take_along_axis(x, take_along_axis(order, astype(ceil(positions), int)), -1)
    share = astype(positions - low, real(x).dtype)
    return where(equal(share, 0), below, (1.0 - share) * below + share * above)  # not 0 times infinity


def cut_first(found: Array, cuts: Any, reduced: tuple[int, ...]) -> Array:
    """Results with a last axis of cuts in the shape that NumPy gives them."""
    return reshape(moveaxis(found, -1, 0), (*cuts.shape, *reduced))


def _quantile(name: str, x: Array, cuts: Any, axis: Axes, keepdims: bool, method: str) -> Array:
    x, reduced = lines(name, x, axis, keepdims)
    count = x.shape[-1]
    # every method is linear between sorted elements: what it makes of 0, 1, 2, ... are the positions it takes
    positions = np.quantile(np.arange(float(count)), cuts.ravel(), method=method)  # type: ignore[call-overload]
    order = argsort(unwrap(x), -1)
    there = module_of(unwrap(x)).asarray(positions.reshape((1,) * (len(shape_of(x)) - 1) + (-1,)))
    found = at_positions(x, order, there, not (positions % 1).any())
    largest = take_along_axis(x, order[..., -1:], -1)  # NaN is sorted to the end
    return cut_first(where(isnan(largest), largest, found), cuts, reduced)


def quantile(x: Array, q: Any, axis: Axes = None, keepdims: bool = False, method: str = "linear") -> Array:
    """Values below which fractions ``q`` of the elements along the axes lie.

    The result is linear in the one or two elements at a position of the sorted order, so these share the derivative; equal
    elements stay in the order they have. An axis in which one is NaN gives NaN.

    Args:
        q: numbers from 0 to 1, constants; their axes come first in the result.
        method: one of NumPy's.

    Raises:
        ValueError: for other numbers or methods, or if there are no elements.
        TypeError: if ``q`` is on the tape.

    Source: R. Hyndman, Y. Fan, "Sample quantiles in statistical packages", 1996.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.quantile(x, 0.75))(np.array([3.0, 1.0, 2.0]))
    array([0.5, 0. , 0.5])
    """
    return _quantile("quantile", x, fractions("quantile", q, 1.0), axis, keepdims, method)


def percentile(x: Array, q: Any, axis: Axes = None, keepdims: bool = False, method: str = "linear") -> Array:
    """`quantile` at ``q / 100``."""
    return _quantile("percentile", x, fractions("percentile", q, 100.0), axis, keepdims, method)


def median(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """The middle of the sorted elements along the axes, the mean of the middle two of an even number; see `quantile`."""
    return _quantile("median", x, np.asarray(0.5), axis, keepdims, "linear")


# ---- weighted means and covariances


def average(x: Array, axis: Axes = None, weights: Array | None = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The mean along the axes, weighted.

    Args:
        weights: of the shape of ``x``, or of its lengths along the axes named; it is differentiated too.
        returned: whether to return the sum of the weights as well.

    Raises:
        ValueError: if the shape of the weights does not fit.

    >>> import numpy as np, tinyad as ad
    >>> ad.average(np.array([[1.0, 2.0], [3.0, 6.0]]), axis=1, weights=np.array([1.0, 3.0]))
    array([1.75, 5.25])
    """
    x, shape = as_floating(x), shape_of(x)
    if weights is None:
        found = mean(x, axis, keepdims)
        total: Array = module_of(unwrap(found)).ones_like(unwrap(found)) * (x.size / max(found.size, 1))
        return (found, total) if returned else found
    weights = _aligned(_weights(weights, x), shape, axis)
    total = sum(broadcast_to(weights, shape), axis, keepdims)
    found = sum(x * weights, axis, keepdims) / total
    return (found, total) if returned else found


def _weights(w: Array, x: Array) -> Array:
    """Weights as numbers; integers of the dtype of what they weigh."""
    _, w = as_arrays(x, w)
    return w if w.dtype.kind in "fc" else astype(w, real(x).dtype)


def _aligned(weights: Array, shape: tuple[int, ...], axis: Axes) -> Array:
    """Weights with axes of length 1 for those of ``x`` they do not have."""
    given = shape_of(weights)
    if given == shape:
        return weights
    axes: list[Any] = [] if axis is None else list(axis) if isinstance(axis, (tuple, list)) else [axis]
    named = [a % len(shape) for a in axes if negative_axes("average", a, len(shape))]
    if not named or given != tuple([shape[a] for a in named]):
        expected = "that of x" + (f", or {tuple([shape[a] for a in named])}, its lengths along axis={axis}" if named else "")
        raise ValueError(f"average: weights of shape {given} for x of shape {shape}; expected {expected}")
    weights = moveaxis(weights, tuple(int(i) for i in np.argsort(named)), tuple(range(len(named))))
    return expand_dims(weights, tuple([i for i in range(len(shape)) if i not in named]))


def cov(
    x: Array, y: Array | None = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: Array | None = None, aweights: Array | None = None, *, dtype: Any = None,
) -> Array:  # fmt: skip
    """The covariance matrix of variables, of complex ones ``E[(x - E x) conj(y - E y)]``.

    Args:
        x: shape (variables, samples), or (samples,) for one variable.
        y: more variables, in the same form.
        rowvar: ``False`` for variables in columns.
        bias, ddof: the sum of products is divided by the number of samples less ``ddof``: 1, or 0 with ``bias``.
        fweights: how often each sample counts; a constant of whole numbers.
        aweights: how much each sample counts.

    Returns:
        Shape (variables, variables); a number for one variable.

    Raises:
        ValueError: if ``x`` or ``y`` has more than two axes.
    """
    parts = [_variables(v, rowvar or len(shape_of(v)) == 1, dtype) for v in (x, y) if v is not None]
    samples = concat(parts, 0)
    given = [_weights(w, samples) for w in (fweights, aweights) if w is not None]
    correction = ddof if ddof is not None else 0 if bias else 1
    if not given:
        centred = weighted = samples - mean(samples, 1, keepdims=True)
        degrees: Array = builtins.max(samples.shape[1] - correction, 0)
    else:
        weights = given[0] if len(given) == 1 else given[0] * given[1]
        total = sum(weights)
        centred = samples - sum(samples * weights, 1, keepdims=True) / total
        weighted = centred * weights
        degrees = maximum(total - correction * (1.0 if aweights is None else sum(weights * given[-1]) / total), 0.0)
    products = matmul(centred, matrix_transpose(conj(weighted))) / degrees
    return products if products.shape != (1, 1) else products[0, 0]


def _variables(x: Array, in_rows: bool, dtype: Any) -> Array:
    x = as_floating(x) if dtype is None else astype(x, dtype)
    if len(x.shape) > 2:
        raise ValueError(f"cov: got an array of shape {x.shape}; expected (variables, samples) or (samples,)")
    if len(x.shape) < 2:
        return reshape(x, (1, -1))
    return x if in_rows else matrix_transpose(x)


def corrcoef(x: Array, y: Array | None = None, rowvar: bool = True, *, dtype: Any = None) -> Array:
    """The correlation matrix of variables: `cov` divided by their standard deviations, between -1 and 1."""
    products = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(products):
        return products / products
    diagonal = np.arange(products.shape[0])
    deviation = sqrt(real(products[diagonal, diagonal]))
    ratios = products / expand_dims(deviation, 1) / expand_dims(deviation, 0)
    if is_complex(ratios):
        return from_parts(clip(real(ratios), -1.0, 1.0), clip(imag(ratios), -1.0, 1.0))
    return clip(ratios, -1.0, 1.0)
