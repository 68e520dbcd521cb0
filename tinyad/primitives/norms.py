"""Norms of vectors and matrices, and what is said by them: condition numbers and ranks.

A norm has kinks, where the derivative is a subgradient: that of least length at zero and at ties among elements; equal largest
(or smallest) singular values share the derivative equally.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..backend import Array
from .determinants import slogdet
from .elementwise import abs as absolute
from .elementwise import where
from .linalg import inv
from .matrices import as_columns, check_matrix, check_square, epsilon, hermitian_part, identity_like
from .reductions import max as largest
from .reductions import min as smallest
from .reductions import norm as norm_of_elements
from .reductions import sum
from .searching import any, count_nonzero
from .shaping import Axes, as_floating, astype, expand_dims, moveaxis, negative_axes, shape_of
from .singular_values import svdvals
from .steps import equal, greater, not_equal

__all__ = ["cond", "matrix_norm", "matrix_rank", "norm", "vector_norm"]

Order = float | str | None


# ---- vectors


def vector_norm(x: Array, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Array:
    """The norm of the elements along the axes, all of them by default.

    Args:
        x: real or complex.
        axis: an int, several, or ``None`` for all.
        keepdims: whether to keep reduced axes with length 1.
        ord: ``p`` for ``sum(abs(x) ** p) ** (1 / p)``; infinity and minus infinity for the largest and smallest absolute value;
            0 for the number of elements that are not 0, a constant.

    Raises:
        ValueError: if ``ord`` is no number, or the smallest of no elements is asked for.

    At an element of 0, where its absolute value has a kink, the derivative by that element is 0.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(ad.linalg.vector_norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    if not isinstance(ord, (int, float)) or math.isnan(ord):
        raise ValueError(f"vector_norm: ord={ord!r}; expected a number, math.inf or -math.inf")
    x = as_floating(x)
    reduced = [shape_of(x)[a] for a in negative_axes("vector_norm", axis, len(shape_of(x)))]
    if ord == math.inf and math.prod(reduced) == 0:
        return sum(absolute(x), axis, keepdims)
    if ord >= 1:
        return norm_of_elements(x, axis, keepdims, ord)
    size = absolute(x)
    if ord == 0:
        return astype(count_nonzero(x, axis, keepdims), size.dtype)
    if ord == -math.inf:
        return smallest(size, axis, keepdims)
    vanishes = equal(size, 0)
    powers = where(vanishes, 1.0, size) ** ord  # of 0 the power, or its slope, is infinite
    if ord > 0:
        total = sum(where(vanishes, 0.0, powers), axis, keepdims)
        empty = equal(total, 0)
    else:
        total, empty = sum(powers, axis, keepdims), any(vanishes, axis, keepdims)
    return where(empty, 0.0, where(empty, 1.0, total) ** (1.0 / ord))


# ---- matrices


def _of_singular_values(reduce: Callable[..., Array]) -> Callable[[Array], Array]:
    return lambda x: reduce(svdvals(x), axis=-1)


def _of_sums(reduce: Callable[..., Array], axis: int) -> Callable[[Array], Array]:
    """The largest or smallest of the sums of absolute values along one of the last two axes."""
    return lambda x: reduce(sum(absolute(x), axis=axis), axis=-1)


def _largest(x: Array, axis: int) -> Array:
    """The largest of sizes: 0 where there is none."""
    return largest(x, axis) if shape_of(x)[axis] else sum(x, axis)


_MATRIX_NORMS: dict[Any, Callable[[Array], Array]] = {
    "fro": lambda x: norm_of_elements(x, axis=(-2, -1)),
    "nuc": _of_singular_values(sum),
    2: _of_singular_values(_largest),
    -2: _of_singular_values(smallest),
    1: _of_sums(_largest, -2),
    -1: _of_sums(smallest, -2),
    math.inf: _of_sums(_largest, -1),
    -math.inf: _of_sums(smallest, -1),
}


def matrix_norm(x: Array, keepdims: bool = False, ord: Order = "fro") -> Array:
    """The norm of matrices in the last two axes.

    Args:
        x: real or complex, of shape (..., m, n).
        keepdims: whether to keep the two axes with length 1.
        ord: "fro" or ``None`` for the root of the sum of squares; 2 and -2 for the largest and smallest singular value, "nuc"
            for their sum; 1 and -1 for the largest and smallest sum of absolute values of a column, infinity and minus infinity
            of a row.

    Raises:
        ValueError: for another ``ord``, if ``x`` has fewer than two axes, or for the smallest of nothing.

    Singular values that are exactly 0 do not contribute to the derivative of "nuc", which at zero is 0.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.linalg.matrix_norm(x, ord="nuc"))(np.diag([2.0, -3.0])).round(12) + 0.0
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    check_matrix("matrix_norm", x)
    measure = _MATRIX_NORMS.get("fro" if ord in (None, "f") else ord)
    if measure is None:
        raise ValueError(f"matrix_norm: ord={ord!r}; expected 'fro', 'nuc', 1, -1, 2, -2, math.inf or -math.inf")
    found = measure(as_floating(x))
    return expand_dims(found, (-2, -1)) if keepdims else found


def norm(x: Array, ord: Order = None, axis: Axes = None, keepdims: bool = False) -> Array:
    """NumPy's ``linalg.norm``: `vector_norm` along one axis, `matrix_norm` in two; without ``axis`` that of a vector or matrix,
    and without ``ord`` the root of the sum of squares of all elements.

    Raises:
        ValueError: for an ``ord`` that does not fit, or more axes than two.

    >>> import numpy as np, tinyad as ad
    >>> float(ad.linalg.norm(np.array([[3.0, 0.0], [4.0, 0.0]]), 2))
    5.0
    """
    ndim = len(shape_of(x))
    if axis is None and ord is None:
        return vector_norm(x, None, keepdims)
    if axis is None and ndim > 2:
        raise ValueError(f"norm: ord={ord!r} for an array of shape {shape_of(x)}; name one axis for vectors, two for matrices")
    given = tuple(range(ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(given) < 2:
        if isinstance(ord, str):
            raise ValueError(
                f"norm: ord={ord!r} is a norm of matrices, and x of shape {shape_of(x)} with axis={axis!r} a vector"
            )
        return vector_norm(x, tuple(given), keepdims, 2 if ord is None else ord)
    if len(given) > 2 or len(negative_axes("norm", tuple(given), ndim)) != 2:
        raise ValueError(f"norm: axis={axis!r}; expected an int, or two different ones for matrices")
    found = matrix_norm(moveaxis(x, given, (-2, -1)), ord=ord)
    kept = negative_axes("norm", tuple(given), ndim)
    return expand_dims(found, kept) if keepdims else found


# ---- condition and rank


def cond(x: Array, p: Order = None) -> Array:
    """Condition numbers of matrices: the norm times that of the inverse, infinite for singular matrices.

    Args:
        x: shape (..., m, n); square, unless singular values alone are needed.
        p: ``None`` or 2 for the largest singular value divided by the smallest, -2 for the inverse of that, or another ``ord``
            of `matrix_norm`.

    Raises:
        ValueError: if the matrices are empty, not square where they must be, or for another ``p``.

    Where it is infinite it counts as a constant.

    >>> import numpy as np, tinyad as ad
    >>> ad.linalg.cond(np.array([[[4.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]]), 1)
    array([ 2., inf])
    """
    check_matrix("cond", x)
    if math.prod(shape_of(x)[-2:]) == 0:
        raise ValueError(f"cond: x has shape {shape_of(x)}; matrices without elements have no condition number")
    if p in (None, 2, -2):
        s = svdvals(x)
        top, bottom = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        singular = equal(bottom, 0)
        return where(singular, math.inf, top / where(singular, 1.0, bottom))
    check_square("cond", x)
    x = as_floating(x)
    singular = equal(slogdet(x).sign, 0)
    regular = where(as_columns(as_columns(singular)), identity_like(x), x)
    return where(singular, math.inf, matrix_norm(regular, ord=p) * matrix_norm(inv(regular), ord=p))


def matrix_rank(A: Array, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Array:
    """How many singular values of matrices are larger than a cutoff; a constant.

    Args:
        A: shape (..., m, n). Of a vector or number: whether it is not zero.
        tol: the cutoff, numbers that broadcast against the matrices.
        hermitian: whether to take the Hermitian part of ``A``.
        rtol: the cutoff relative to the largest singular value, by default ``max(m, n)`` times the epsilon of the dtype.

    Raises:
        ValueError: if both cutoffs are given.

    >>> import numpy as np, tinyad as ad
    >>> int(ad.linalg.matrix_rank(np.ones((3, 2))))
    1
    """
    if tol is not None and rtol is not None:
        raise ValueError("matrix_rank: got tol and rtol; expected one of them")
    x = as_floating(A)
    if len(shape_of(x)) < 2:
        return astype(any(not_equal(x, 0)), int)
    if hermitian:
        check_square("matrix_rank", x)
        x = hermitian_part(x)
    s = svdvals(x)
    if tol is None:
        relative = max(shape_of(x)[-2:]) * epsilon(x) if rtol is None else rtol
        tol = s[..., 0] * relative if shape_of(s)[-1] else 0.0
    cutoff = expand_dims(tol, -1) if shape_of(tol) else tol
    return count_nonzero(greater(s, cutoff), axis=-1)
