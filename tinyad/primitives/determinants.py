"""Determinants, also of singular matrices, and their logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..backend import Array
from ..kinds import Function, general
from ..several import several
from .complex import conj, imag, is_complex
from .cumulative import prod, product_of_others
from .elementwise import absorb, where
from .linalg import inv
from .matrices import adjoint, as_columns, check_square, diagonal, diagonal_matrix, identity_like, scale_columns
from .products import matmul
from .shaping import as_array, expand_dims, matrix_transpose
from .singular_values import thin_svd
from .steps import equal

__all__ = ["SlogdetResult", "cofactors_by_svd", "det", "slogdet"]


# ---- the determinant

# Its gradient is the matrix of cofactors, which of a matrix u @ diag(s) @ vh is the determinants of u and vh times
# conj(u) @ diag(products of all other s) @ conj(vh). No division: it is right for singular matrices, too.


def _without_one(s: Array) -> Array:
    """In row ``i`` all of ``s``, with 1 in place of ``s[i]``."""
    rows = expand_dims(s, -2) + as_columns(0.0 * s)
    return where(equal(identity_like(rows), 1), 1.0, rows)


def _phase(u: Array, vh: Array) -> Array:
    """The determinant of ``u @ vh``, as a matrix of one element."""
    return as_columns(as_columns(_det(u) * _det(vh)))


def cofactors_by_svd(x: Array) -> Array:
    """The matrix of cofactors: ``det(x)`` times the transpose of the inverse, where there is one."""
    u, s, vh = thin_svd(x)
    return _phase(u, vh) * matmul(scale_columns(conj(u), prod(_without_one(s), -1)), conj(vh))


def _cofactors_derivative(direction: Array, x: Array) -> Array:
    """The derivative of the cofactors in a direction, by the products of all but two singular values.

    It is the second derivative of the determinant, and symmetric, so that it is its own transpose.
    """
    u, s, vh = thin_svd(x)
    inner = matmul(matmul(adjoint(u), direction), adjoint(vh))
    pairs = product_of_others(_without_one(s), -1) * (1.0 - identity_like(x).real)
    on_diagonal = diagonal_matrix(matmul(pairs, as_columns(diagonal(inner)))[..., 0])
    middle = on_diagonal - pairs * matrix_transpose(inner)
    return _phase(u, vh) * matmul(matmul(conj(u), middle), conj(vh))


_cofactors: Function = general(
    "cofactors",
    lambda xp, x: cofactors_by_svd(x),
    lambda g, x: _cofactors_derivative(g, x),
    lambda dx, x: _cofactors_derivative(dx, x),
)

_det: Function = general(
    "det",
    "linalg.det",
    lambda g, x: as_columns(as_columns(g)) * _cofactors(x),
    lambda dx, x: (_cofactors(x) * dx).sum(axis=(-2, -1)),
)


def det(a: Array) -> Array:
    """The determinants of matrices of shape (..., n, n).

    The first and second derivatives are right for all matrices, singular ones included, because they are made of singular value
    decompositions; that costs more than the determinant. Beyond the second, derivatives exist where the singular values differ.
    For logarithms use `slogdet`, whose derivative is an inverse, and which does not overflow.

    Raises:
        ValueError: if the matrices are not square.

    Source: Giles 2008 (see `tinyad.primitives.linalg`), section 2.2.4, with the adjugate in place of ``det(a) * inv(a)``.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(ad.linalg.det)(np.array([[1.0, 2.0], [2.0, 4.0]])).round(12)
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    check_square("det", a)
    return _det(as_array(a))


# ---- sign and logarithm


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Any
    logabsdet: Any


def _inverse_or_nan(x: Array, sign: Array) -> Array:
    """The inverse; NaN in all elements for matrices of determinant 0."""
    singular = as_columns(as_columns(equal(sign, 0)))
    return where(singular, math.nan, inv(where(singular, identity_like(x), x)))


def _slogdet_vjp(g: Sequence[Array | None], x: Array, sign: Array) -> Array:
    g_sign, total = g
    if g_sign is not None and is_complex(g_sign):
        # the sign turns on the unit circle, by the imaginary part of trace(inv(x) dx)
        turn = 1j * imag(g_sign * sign)
        total = turn if total is None else total + turn
    if total is None:
        return 0.0 * x
    return absorb(as_columns(as_columns(total)), matrix_transpose(_inverse_or_nan(x, sign)))


def _slogdet_jvp(dx: Array, x: Array, sign: Array) -> tuple[Array | None, Array]:
    change = absorb(matrix_transpose(_inverse_or_nan(x, sign)), dx).sum(axis=(-2, -1))
    return 1j * sign * imag(change) if is_complex(sign) else None, change


_slogdet = several("slogdet", "linalg.slogdet", _slogdet_vjp, _slogdet_jvp, operands=("x",), results=("sign", "logabsdet"))


def slogdet(a: Array) -> SlogdetResult:
    """The sign (of a complex matrix: the phase) and the logarithm of the absolute value of determinants.

    Of a singular matrix they are 0 and minus infinity. There the derivative is NaN, and 0 for a cotangent of 0, so that a `where`
    may choose another value.

    Raises:
        ValueError: if the matrices are not square.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda a: ad.linalg.slogdet(a).logabsdet)(np.array([[2.0, 1.0], [1.0, 2.0]])).round(3)
    array([[ 0.667, -0.333],
           [-0.333,  0.667]])
    """
    check_square("slogdet", a)
    return SlogdetResult(*_slogdet(as_array(a)))
