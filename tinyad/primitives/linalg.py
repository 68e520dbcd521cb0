"""Linear algebra: on matrices in the last two axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..backend import Array, module_of
from ..kinds import general
from ..several import several
from ..tensor import unwrap
from .products import matmul
from .shaping import expand_dims, matrix_transpose, shape_of, squeeze

__all__ = ["EighResult", "cholesky", "eigh", "eigvalsh", "solve"]


def _check_square(name: str, a: Array) -> None:
    shape = shape_of(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name}: a has shape {shape}; expected square matrices in the last two axes")


# ---- solve


def _solve_vjp(g: Array, a: Array, out: Array) -> tuple[Array, Array]:
    gb = _solve(matrix_transpose(a), g)
    return -matmul(gb, matrix_transpose(out)), gb


def _solve_jvp(da: Array | None, db: Array | None, a: Array, out: Array) -> Array:
    right = db if da is None else -matmul(da, out) if db is None else db - matmul(da, out)
    return _solve(a, right)


_solve = general("solve", lambda xp, a, b: xp.linalg.solve(a, b), _solve_vjp, _solve_jvp, operands=("a", "b"))


def solve(a: Array, b: Array) -> Array:
    """The solution ``x`` of ``a @ x = b``.

    Args:
        a: shape (..., n, n).
        b: shape (n,), one right-hand side, or (..., n, k), one a column.

    Raises:
        ValueError: if the shapes do not fit.
        numpy.linalg.LinAlgError: if a matrix is singular.

    Source: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation", 2008, section 2.3.1.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda b: ad.sum(ad.solve(2.0 * np.eye(2), b)))(np.ones(2))
    array([0.5, 0.5])
    """
    _check_square("solve", a)
    n, right = shape_of(a)[-1], shape_of(b)
    if not right or right[-2 if len(right) > 1 else 0] != n:
        raise ValueError(f"solve: b has shape {right}; with a of shape {shape_of(a)} expected ({n},) or (..., {n}, k)")
    if len(right) == 1:
        return squeeze(_solve(a, expand_dims(b, -1)), -1)
    return _solve(a, b)


# ---- cholesky


def _lower_half(p: Array) -> Array:
    """The lower triangle of ``p`` with half its diagonal, so that ``p`` symmetric is this plus its transpose."""
    xp = module_of(unwrap(p))
    n = p.shape[-1]
    return p * (xp.tril(xp.ones((n, n), p.dtype)) - 0.5 * xp.eye(n, dtype=p.dtype))


def _cholesky_vjp(g: Array, out: Array) -> Array:
    upper = matrix_transpose(out)
    middle = _lower_half(matmul(upper, g))
    right = matrix_transpose(_solve(upper, matrix_transpose(_solve(upper, middle))))
    return 0.5 * (right + matrix_transpose(right))


def _cholesky_jvp(dx: Array, out: Array) -> Array:
    inner = _solve(out, matrix_transpose(_solve(out, matrix_transpose(dx))))
    return matmul(out, _lower_half(inner))


_cholesky = general("cholesky", lambda xp, x: xp.linalg.cholesky(x), _cholesky_vjp, _cholesky_jvp)


def cholesky(a: Array) -> Array:
    """The lower triangular ``L`` with ``L @ L.mT = a``, for ``a`` symmetric positive definite, of shape (..., n, n).

    The symmetric part of ``a`` is factored, so the derivative is symmetric too.

    Raises:
        ValueError: if the matrices are not square.
        numpy.linalg.LinAlgError: if a matrix is not positive definite.

    Source: I. Murray, "Differentiation of the Cholesky decomposition", 2016, equations 8 and 10.
    """
    _check_square("cholesky", a)
    return _cholesky(0.5 * (a + matrix_transpose(a)))


# ---- eigenvalues


def _eigh_middle(inner: Array, w: Array) -> Array:
    """``inner[i, j] / (w[j] - w[i])`` off the diagonal, and 0 on it."""
    xp = module_of(unwrap(w))
    one = xp.eye(w.shape[-1], dtype=unwrap(w).dtype)
    return inner * (1.0 - one) / (expand_dims(w, -2) - expand_dims(w, -1) + one)


def _eigh_vjp(g: Sequence[Array | None], w: Array, v: Array) -> Array:
    gw, gv = g
    middle = 0.0
    if gv is not None:
        middle = _eigh_middle(matmul(matrix_transpose(v), gv), w)
    if gw is not None:
        xp = module_of(unwrap(w))
        middle = middle + expand_dims(gw, -2) * xp.eye(w.shape[-1], dtype=unwrap(w).dtype)
    full = matmul(matmul(v, middle), matrix_transpose(v))
    return 0.5 * (full + matrix_transpose(full))


def _eigh_jvp(dx: Array, w: Array, v: Array) -> tuple[Array, Array]:
    xp = module_of(unwrap(w))
    inner = matmul(matmul(matrix_transpose(v), dx), v)
    dw = (inner * xp.eye(w.shape[-1], dtype=unwrap(w).dtype)).sum(axis=-1)
    return dw, matmul(v, _eigh_middle(inner, w))


_eigh = several("eigh", "linalg.eigh", _eigh_vjp, _eigh_jvp, operands=("x",), results=("w", "v"))


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Any
    eigenvectors: Any


def eigh(a: Array) -> EighResult:
    """Eigenvalues and eigenvectors of symmetric matrices of shape (..., n, n)."""
    _check_square("eigh", a)
    return EighResult(*_eigh(0.5 * (a + matrix_transpose(a))))


def eigvalsh(a: Array) -> Array:
    """The eigenvalues of symmetric matrices."""
    return eigh(a).eigenvalues
