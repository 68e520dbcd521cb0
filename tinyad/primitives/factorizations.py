"""Factors that are determined: cholesky and qr.

For complex matrices see `tinyad.primitives.matrices`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..kinds import general
from ..several import several
from ..tensor import unwrap
from .complex import conj, imag, is_complex
from .degenerate import refuse, rounding, turned, turned_transpose
from .elementwise import abs as absolute
from .joining import concat
from .linalg import solve_matrix
from .matrices import adjoint, as_columns, check_matrix, check_square, diagonal, hermitian_part, identity_like
from .products import matmul
from .shaping import as_array, matrix_transpose, shape_of
from .steps import less_equal
from .triangles import tril, triu

__all__ = ["QRResult", "cholesky", "qr"]

# ---- cholesky


def _lower_half(p: Array) -> Array:
    """The lower triangle of ``p`` with half its diagonal, so that ``p`` Hermitian is this plus its adjoint."""
    return tril(p) - 0.5 * p * identity_like(p)


def _cholesky_vjp(g: Array, out: Array) -> Array:
    upper = matrix_transpose(out)
    middle = _lower_half(matmul(upper, g))
    return matrix_transpose(solve_matrix(conj(upper), matrix_transpose(solve_matrix(upper, middle))))


def _cholesky_jvp(dx: Array, out: Array) -> Array:
    inner = adjoint(solve_matrix(out, adjoint(solve_matrix(out, dx))))
    return matmul(out, _lower_half(inner))


_cholesky = general("cholesky", "linalg.cholesky", _cholesky_vjp, _cholesky_jvp)


def cholesky(a: Array, upper: bool = False) -> Array:
    """The lower triangular ``L`` with a positive diagonal and ``L @ adjoint(L) = a``, for positive definite ``a``.

    The Hermitian part of ``a`` is factored, so the derivative is Hermitian too.

    Args:
        a: shape (..., n, n), symmetric, or Hermitian if complex.
        upper: whether to give the upper triangular ``adjoint(L)`` instead.

    Raises:
        ValueError: if the matrices are not square.
        numpy.linalg.LinAlgError: if a matrix is not positive definite. On a GPU the result is NaN instead.

    Source: I. Murray, "Differentiation of the Cholesky decomposition", 2016, equations 8 and 10.

    >>> import numpy as np, tinyad as ad
    >>> ad.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])
    """
    check_square("cholesky", a)
    try:
        factor = _cholesky(hermitian_part(as_array(a)))
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(
            f"cholesky: a matrix of a, of shape {shape_of(a)}, is not positive definite. Its eigenvalues must be positive by more "
            f"than rounding: add a small multiple of the identity"
        ) from error
    return adjoint(factor) if upper else factor


# ---- qr


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Any
    R: Any


_DEPENDENT = "qr: column {j} depends on those before it, up to rounding, so Q and R have no derivative"


def _check_rank(r: Array) -> None:
    """Refuse a triangle with a zero on its diagonal, where its values are known."""
    pivots = absolute(diagonal(unwrap(r)))
    refuse(less_equal(as_columns(pivots), rounding(pivots))[..., 0], _DEPENDENT)


def _skew(x: Array) -> Array:
    """The skew-Hermitian matrix with the lower triangle of ``x`` and the imaginary part of its diagonal."""
    lower = tril(x, -1)
    return lower - adjoint(lower) + (1j * imag(x) * identity_like(x) if is_complex(x) else 0.0)


def _over_triangle(x: Array, r: Array) -> Array:
    """``x @ inv(r)``."""
    return matrix_transpose(solve_matrix(matrix_transpose(r), matrix_transpose(x)))


def _qr_vjp(g: Sequence[Array | None], q: Array, r: Array, *, mode: str) -> Array:
    gq, gr = g
    n = r.shape[-1]
    first, triangle = q[..., :n], r[..., :n, :]
    _check_rank(triangle)
    gq = None if gq is None else turned_transpose(gq, q, n)
    inner = 0.0 if gq is None else matmul(matrix_transpose(first), gq)
    if gr is not None:
        inner = inner - matmul(gr[..., :n, :], matrix_transpose(triangle))
    above = triu(inner, 1)
    hermitian = above + adjoint(above) + 0.5 * (inner + conj(inner)) * identity_like(inner)
    total = -matmul(conj(first), hermitian)
    return _over_triangle(total if gq is None else gq + total, matrix_transpose(triangle))


def _qr_jvp(dx: Array, q: Array, r: Array, *, mode: str) -> tuple[Array, Array]:
    n = r.shape[-1]
    first, triangle = q[..., :n], r[..., :n, :]
    _check_rank(triangle)
    right = _over_triangle(dx, triangle)
    inner = matmul(adjoint(first), right)
    turn = _skew(inner)
    dq, dr = right + matmul(first, turn - inner), matmul(inner - turn, triangle)
    below = r[..., n:, :]
    return turned(dq, q), concat([dr, below * dr[..., :1, :]], -2) if below.shape[-2] and n else dr


_qr = several("qr", "linalg.qr", _qr_vjp, _qr_jvp, operands=("x",), results=("q", "r"))


def qr(a: Array, mode: str = "reduced") -> QRResult:
    """The factors of ``a = Q @ R``, ``Q`` with orthonormal columns and ``R`` upper triangular.

    The derivative exists where the first ``min(m, n)`` columns are linearly independent.

    Args:
        a: shape (..., m, n).
        mode: "reduced" for ``Q`` of shape (..., m, min(m, n)), "complete" for (..., m, m), "r" for ``R`` alone. The columns
            that complete ``Q`` turn no more than they must.

    Raises:
        ValueError: for another mode, or if ``a`` has fewer than two axes.
        numpy.linalg.LinAlgError: by a derivative, if those columns depend on one another up to rounding.

    Source: S. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum
    experimental design", 2009, section 3. Of a wide matrix the first block alone makes ``Q``.

    >>> import numpy as np, tinyad as ad
    >>> abs(ad.linalg.qr(np.array([[3.0], [4.0]])).Q).round(2)
    array([[0.6],
           [0.8]])
    """
    check_matrix("qr", a)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode={mode!r}; expected 'reduced', 'complete' or 'r'")
    if mode == "r":
        return qr(a).R  # type: ignore[no-any-return]
    m, n = shape_of(a)[-2:]
    if m >= n:
        return QRResult(*_qr(as_array(a), mode=mode))
    q, r = _qr(as_array(a)[..., :m], mode="reduced")
    return QRResult(q, concat([r, matmul(adjoint(q), a[..., m:])], -1))
