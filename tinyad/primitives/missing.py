"""Reductions that leave out NaN, which stands for missing values, and `nan_to_num`, which puts numbers in its place.

What is left out has a derivative of exactly zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..tensor import unwrap
from .complex import complex as from_parts
from .complex import imag, is_complex, real
from .cumulative import cumprod, cumsum, prod
from .elementwise import maximum, where
from .elementwise import where as choose
from .reductions import broadcast_to, max, mean, min, root, sum, var
from .searching import any, count_nonzero
from .shaping import Axes, as_array, astype, shape_of
from .sorting import argsort
from .statistics import at_positions, cut_first, fractions, lines
from .steps import equal, greater, isnan, logical_and, logical_not

__all__ = [
    "nan_to_num", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod",
    "nanquantile", "nanstd", "nansum", "nanvar",
]  # fmt: skip


def nan_to_num(
    x: Array, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Array:
    """``x`` with numbers in place of NaN and infinities, by default 0 and the largest of the dtype, where its derivative is 0.

    The result is a new array; ``copy`` is there because NumPy has it.
    """
    x = as_array(x)
    if is_complex(x):
        return from_parts(*[nan_to_num(part, copy, nan, posinf, neginf) for part in (real(x), imag(x))])
    if x.dtype.kind != "f":
        return astype(x, x.dtype)
    largest = float(np.finfo(x.dtype).max)
    x = where(isnan(x), nan, x)
    x = where(equal(x, math.inf), largest if posinf is None else posinf, x)
    return where(equal(x, -math.inf), -largest if neginf is None else neginf, x)


def _present(x: Array, mask: Any = None) -> Array:
    there = logical_not(isnan(x))
    return there if mask is None else logical_and(there, mask)


def nansum(
    x: Array, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None, initial: Any = None, where: Any = None
) -> Array:
    """`sum` of what is not NaN; 0 if nothing is left.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(ad.nansum)(np.array([1.0, np.nan]))
    array([1., 0.])
    """
    return sum(x, axis, keepdims, dtype=dtype, initial=initial, where=_present(x, where))


def nanprod(
    x: Array, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None, initial: Any = None, where: Any = None
) -> Array:
    """`prod` of what is not NaN; 1 if nothing is left."""
    return prod(x, axis, keepdims, dtype=dtype, initial=initial, where=_present(x, where))


def nanmean(x: Array, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None, where: Any = None) -> Array:
    """`mean` of what is not NaN; NaN if nothing is left."""
    return mean(x, axis, keepdims, dtype=dtype, where=_present(x, where))


def nanvar(
    x: Array,
    axis: Axes = None,
    keepdims: bool = False,
    correction: float = 0.0,
    *,
    ddof: float | None = None,
    dtype: Any = None,
    where: Any = None,
) -> Array:
    """`var` of what is not NaN; NaN if no more is left than ``correction``."""
    there = _present(x, where)
    found = var(x, axis, keepdims, correction, ddof=ddof, dtype=dtype, where=there)
    left = count_nonzero(broadcast_to(there, shape_of(x)), axis, keepdims)
    return choose(greater(left, correction if ddof is None else ddof), found, math.nan)


def nanstd(
    x: Array,
    axis: Axes = None,
    keepdims: bool = False,
    correction: float = 0.0,
    *,
    ddof: float | None = None,
    dtype: Any = None,
    where: Any = None,
) -> Array:
    """`std` of what is not NaN."""
    return root(nanvar(x, axis, keepdims, correction, ddof=ddof, dtype=dtype, where=where))


def _extremum(extremum: Any, worst: float, x: Array, axis: Axes, keepdims: bool) -> Array:
    if (x := as_array(x)).dtype.kind not in "fc":  # nothing can be missing
        return extremum(x, axis, keepdims)
    there = _present(x)
    found = extremum(where(there, x, worst), axis, keepdims)
    return where(any(there, axis, keepdims), found, math.nan)


def nanmax(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """`max` of what is not NaN; NaN if nothing is left."""
    return _extremum(max, -math.inf, x, axis, keepdims)


def nanmin(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """`min` of what is not NaN; NaN if nothing is left."""
    return _extremum(min, math.inf, x, axis, keepdims)


def nancumsum(x: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """`cumsum` with NaN taken for 0."""
    return cumsum(where(isnan(x), 0, x), axis, dtype)


def nancumprod(x: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """`cumprod` with NaN taken for 1."""
    return cumprod(where(isnan(x), 1, x), axis, dtype)


# ---- order statistics: NaN is sorted to the end, so positions count from the first to the last number


def _quantile(name: str, x: Array, cuts: Any, axis: Axes, keepdims: bool, method: str) -> Array:
    if method != "linear":
        raise ValueError(f"{name}: method={method!r}; expected 'linear', because positions depend on how many are NaN")
    x, reduced = lines(name, x, axis, keepdims)
    count = sum(astype(_present(x), float), -1, keepdims=True)
    last = maximum(count - 1.0, 0.0)
    positions = last * module_of(unwrap(x)).asarray(cuts.ravel())
    return cut_first(at_positions(x, argsort(unwrap(x), -1), positions, whole=False), cuts, reduced)


def nanquantile(x: Array, q: Any, axis: Axes = None, keepdims: bool = False, method: str = "linear") -> Array:
    """`quantile` of what is not NaN; NaN if nothing is left.

    Raises:
        ValueError: for another method than "linear", and as `quantile`.
    """
    return _quantile("nanquantile", x, fractions("nanquantile", q, 1.0), axis, keepdims, method)


def nanpercentile(x: Array, q: Any, axis: Axes = None, keepdims: bool = False, method: str = "linear") -> Array:
    """`nanquantile` at ``q / 100``."""
    return _quantile("nanpercentile", x, fractions("nanpercentile", q, 100.0), axis, keepdims, method)


def nanmedian(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """`median` of what is not NaN; NaN if nothing is left."""
    return _quantile("nanmedian", x, fractions("nanmedian", 0.5, 1.0), axis, keepdims, "linear")
