"""Linear systems without an inverse: pseudoinverses and least squares.

Singular values below a cutoff, relative to the largest, count as zero. The derivatives are those among matrices of the same
rank; where the rank changes, pseudoinverse and solution jump, and there is none.

Source: G. H. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
separate", 1973, equation 4.12.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, module_of
from ..kinds import Function, general
from ..tensor import unwrap
from .complex import conj
from .elementwise import abs as absolute
from .elementwise import square, where
from .matrices import adjoint, as_columns, check_matrix, check_square, epsilon, hermitian_part
from .products import chain, matmul
from .reductions import sum
from .searching import count_nonzero
from .shaping import as_array, as_arrays, as_floating, matrix_transpose, shape_of, squeeze
from .singular_values import svdvals, thin_svd
from .steps import greater

__all__ = ["LstsqResult", "lstsq", "pinv", "solution_by_svd"]


def _cutoff(name: str, a: Array, key: str, value: Any) -> float:
    """The smallest singular value that counts, relative to the largest; by default the rounding of the longer side."""
    if value is None:
        return max(shape_of(a)[-2:]) * epsilon(a)
    if shape_of(value) or not hasattr(value, "__float__"):
        raise TypeError(f"{name}: {key}={value!r}; expected a number, the same for all matrices")
    return float(value) if value >= 0 else epsilon(a)


# ---- the pseudoinverse


def _pinv_forward(xp: Any, a: Array, cutoff: Any) -> Array:
    if shape_of(cutoff):  # one for each matrix
        batch = np.broadcast_shapes(a.shape[:-2], cutoff.shape[:-2])
        a, cutoff = xp.broadcast_to(a, batch + a.shape[-2:]), xp.broadcast_to(cutoff[..., 0, 0], batch)
    return xp.linalg.pinv(a, rcond=cutoff)


def _pinv_vjp(g: Array, a: Array, out: Array) -> tuple[Array, None]:
    turned, mirrored, h = matrix_transpose(out), conj(out), adjoint(g)
    beyond_range = h - chain([conj(a), mirrored, h])
    beyond_rows = h - chain([h, mirrored, conj(a)])
    slope = chain([beyond_range, mirrored, turned]) + chain([turned, mirrored, beyond_rows]) - chain([turned, g, turned])
    return slope, None


def _pinv_jvp(da: Array, _: None, a: Array, out: Array) -> Array:
    h, mirrored = adjoint(da), adjoint(out)
    beyond_range = h - chain([h, a, out])
    beyond_rows = h - chain([out, a, h])
    return chain([out, mirrored, beyond_range]) + chain([beyond_rows, mirrored, out]) - chain([out, da, out])


_pinv: Function = general("pinv", _pinv_forward, _pinv_vjp, _pinv_jvp, operands=("a", "cutoff"))


def pinv(a: Array, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Array:
    """The Moore-Penrose pseudoinverses, of shape (..., n, m), of matrices of shape (..., m, n).

    Args:
        a: the matrices.
        rcond, rtol: two names of the relative cutoff of singular values; by default ``max(m, n)`` times the epsilon of the
            dtype, as the array API standard says (NumPy's default is 1e-15 for all dtypes). An array has one for each matrix.
        hermitian: whether to take the Hermitian part of ``a``.

    Raises:
        ValueError: if ``a`` has fewer than two axes, or both cutoffs are given.
        TypeError: if a cutoff is neither a number nor an array.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda a: ad.sum(ad.linalg.pinv(a)))(np.array([[2.0], [0.0]]))
    array([[-0.25],
           [ 0.25]])
    """
    check_matrix("pinv", a)
    if hermitian:
        check_square("pinv", a)
        a = hermitian_part(as_array(a))
    if rcond is not None and rtol is not None:
        raise ValueError("pinv: got rcond and rtol; expected one of them")
    a, key, given = as_floating(a), "rcond" if rtol is None else "rtol", rcond if rtol is None else rtol
    of_each = hasattr(given, "dtype")
    return _pinv(a, as_columns(as_columns(given)) if of_each else _cutoff("pinv", a, key, given))


# ---- least squares


def solution_by_svd(a: Array, b: Array, *, rcond: float) -> Array:
    """The shortest of the vectors that make ``|a @ x - b|`` least, for each column of ``b``."""
    u, s, vh = thin_svd(a)
    counts = greater(s, rcond * s[..., :1])
    inverse = where(counts, 1.0 / where(counts, s, 1.0), 0.0)
    return matmul(adjoint(vh), as_columns(inverse) * matmul(adjoint(u), b))


def _lstsq_vjp(g: Array, a: Array, b: Array, out: Array, *, rcond: float) -> tuple[Array, Array]:
    turned = matrix_transpose(_pinv(a, rcond))
    gb = matmul(turned, g)
    residual, h = b - matmul(a, out), adjoint(gb)
    beyond_rows = adjoint(g) - matmul(h, conj(a))
    ga = chain([conj(residual), h, turned]) + chain([turned, conj(out), beyond_rows]) - matmul(gb, matrix_transpose(out))
    return ga, gb


def _lstsq_jvp(da: Array | None, db: Array | None, a: Array, b: Array, out: Array, *, rcond: float) -> Array:
    inverse = _pinv(a, rcond)
    if da is None:
        return matmul(inverse, db)
    h, mirrored = adjoint(da), adjoint(inverse)
    shift = matmul(h, matmul(mirrored, out))
    moved = matmul(mirrored, matmul(h, b - matmul(a, out))) - matmul(da, out) - matmul(a, shift)
    return matmul(inverse, moved if db is None else moved + db) + shift


_lstsq: Function = general(
    "lstsq",
    lambda xp, a, b, rcond: solution_by_svd(a, b, rcond=rcond),
    _lstsq_vjp,
    _lstsq_jvp,
    operands=("a", "b"),
)


class LstsqResult(NamedTuple):
    """What `lstsq` gives."""

    x: Any
    residuals: Any
    rank: Any
    singular_values: Any


def lstsq(a: Array, b: Array, rcond: float | None = None) -> LstsqResult:
    """The shortest vectors ``x`` that make ``|a @ x - b|`` least, as NumPy's function, for many matrices at once.

    Args:
        a: shape (..., m, n).
        b: shape (m,), one right-hand side, or (..., m, k), one a column.
        rcond: singular values up to this one, relative to the largest, count as zero; by default ``max(m, n)`` times the
            epsilon of the dtype, for a negative number the epsilon.

    Returns:
        ``x`` of shape (..., n) or (..., n, k); the sums of squared residuals, of shape (..., k), one for one right-hand side,
        and none for ``m <= n``; the rank, a constant; and the singular values. (Where the rank is less than ``n`` NumPy gives
        no residuals; here shapes do not depend on values.)

    Raises:
        ValueError: if the shapes do not fit.
        TypeError: if ``rcond`` is no number.

    >>> import numpy as np, tinyad as ad
    >>> a, b = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([0.0, 1.0, 2.0])
    >>> ad.grad(lambda b: ad.linalg.lstsq(a, b).x[0])(b).round(3)
    array([ 0.833,  0.333, -0.167])
    """
    check_matrix("lstsq", a)
    left, right = shape_of(a), shape_of(b)
    m, n = left[-2:]
    if not right or right[-2 if len(right) > 1 else 0] != m:
        raise ValueError(f"lstsq: b has shape {right}; with a of shape {left} expected ({m},) or (..., {m}, k)")
    a, b = map(as_floating, as_arrays(a, b))
    cutoff = _cutoff("lstsq", a, "rcond", rcond)
    columns = as_columns(b) if len(right) == 1 else b
    x = _lstsq(a, columns, rcond=cutoff)
    residuals = sum(square(absolute(columns - matmul(a, x))), axis=-2)
    if m <= n:
        residuals = module_of(unwrap(x)).zeros((*x.shape[:-2], 0), residuals.dtype)
    s = svdvals(a)
    rank = count_nonzero(greater(s, cutoff * s[..., :1]), axis=-1)
    return LstsqResult(squeeze(x, -1) if len(right) == 1 else x, residuals, rank, s)
