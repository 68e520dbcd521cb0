"""Singular values and vectors: svd, svdvals.

What derivatives singular vectors have, and where they have none, says `tinyad.primitives.degenerate`.

Source: J. Townsend, "Differentiating the singular value decomposition", 2016; for complex matrices Z.-Q. Wan, S.-X. Zhang,
"Automatic differentiation for complex valued SVD", 2019. Here sums and differences of singular values are divided by one by one,
not differences of their squares, which lose digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..backend import Array
from ..kinds import general
from ..several import several
from .complex import conj, imag, is_complex
from .degenerate import INSTEAD, off_diagonal, over_gaps, quotient, rounding, turned, turned_transpose
from .elementwise import sign
from .matrices import adjoint, as_columns, check_matrix, check_square, diagonal, diagonal_matrix, hermitian_part, scale_columns
from .products import matmul
from .shaping import as_array, expand_dims, matrix_transpose

__all__ = ["SVDResult", "svd", "svdvals", "thin_svd"]

# ---- singular values


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Any
    S: Any
    Vh: Any


_EQUAL_BY_SVD = (
    "svd: singular values {i} and {j} are equal up to rounding, so a cotangent of their singular vectors has no pullback. "
)
_ZERO_BY_SVD = "svd: singular value {j} is zero up to rounding, so a cotangent of its singular vectors has no pullback. "


def _svd_middle(inner_u: Any, inner_v: Any, s: Array) -> Array:
    """The cotangent of ``adjoint(u) @ x @ v``, from ``transpose(u) @ gu`` and ``transpose(v) @ gv``."""
    together = over_gaps(inner_u + inner_v, s, _EQUAL_BY_SVD + INSTEAD)
    pairs = expand_dims(s, -2) + as_columns(s)
    apart = quotient(off_diagonal(inner_u - inner_v), pairs, rounding(s), _ZERO_BY_SVD + INSTEAD)
    middle = 0.5 * (together + adjoint(together) + apart - adjoint(apart))
    if not is_complex(inner_u):
        return middle
    return middle + diagonal_matrix(1j * quotient(imag(diagonal(inner_u)), s, rounding(s)[..., 0], _ZERO_BY_SVD + INSTEAD))


def _svd_vjp(g: Sequence[Array | None], u: Array, s: Array, vh: Array, *, full_matrices: bool) -> Array:
    gu, gs, gvh = g
    k, v = s.shape[-1], adjoint(vh)
    left, right = conj(u[..., :k]), matrix_transpose(v[..., :k])
    middle: Any = 0.0 if gs is None else diagonal_matrix(gs * sign(s))  # at 0 a kink, as of an absolute value: 0
    outside: Any = 0.0
    if gu is not None or gvh is not None:
        gu = None if gu is None else turned_transpose(gu, u, k)
        gv = None if gvh is None else turned_transpose(adjoint(gvh), v, k)
        inner_u = 0.0 if gu is None else matmul(adjoint(left), gu)
        inner_v = 0.0 if gv is None else matmul(right, gv)
        middle = middle + _svd_middle(inner_u, inner_v, s)
        if gu is not None and u.shape[-2] > k:
            outside = outside + matmul(_over_columns(gu - matmul(left, inner_u), s, _ZERO_BY_SVD + INSTEAD), right)
        if gv is not None and v.shape[-2] > k:
            rest = _over_columns(gv - matmul(adjoint(right), inner_v), s, _ZERO_BY_SVD + INSTEAD)
            outside = outside + matmul(left, adjoint(rest))
    return matmul(matmul(left, middle), right) + outside


def _over_columns(x: Array, s: Array, refusal: str = "") -> Array:
    """Each column of ``x`` divided by its singular value."""
    return quotient(x, expand_dims(s, -2), rounding(s), refusal)


def _svd_jvp(dx: Array, u: Array, s: Array, vh: Array, *, full_matrices: bool) -> tuple[Array, Array, Array]:
    k, v = s.shape[-1], adjoint(vh)
    first_u, first_v = u[..., :k], v[..., :k]
    right, left = matmul(dx, first_v), matmul(adjoint(dx), first_u)
    inner = matmul(adjoint(first_u), right)
    together = over_gaps(inner + adjoint(inner), s)
    apart = quotient(off_diagonal(inner - adjoint(inner)), expand_dims(s, -2) + as_columns(s), rounding(s))
    turn_u, turn_v = 0.5 * (together + apart), 0.5 * (together - apart)
    if is_complex(inner):  # the phase that u and v share is left to u
        turn_u = turn_u + diagonal_matrix(1j * quotient(imag(diagonal(inner)), s, rounding(s)[..., 0]))
    du, dv = matmul(first_u, turn_u), matmul(first_v, turn_v)
    if u.shape[-2] > k:
        du = du + _over_columns(right - matmul(first_u, inner), s)
    if v.shape[-2] > k:
        dv = dv + _over_columns(left - matmul(first_v, adjoint(inner)), s)
    return turned(du, u), diagonal(inner) * sign(s), adjoint(turned(dv, v))


_svd = several("svd", "linalg.svd", _svd_vjp, _svd_jvp, operands=("x",), results=("u", "s", "vh"))


def thin_svd(x: Array) -> list[Array]:
    """``u``, ``s`` and ``vh`` with as many columns and rows as there are singular values, for rules; nothing is checked."""
    return _svd(x, full_matrices=False)  # type: ignore[no-any-return]


def _svdvals_vjp(g: Array, x: Array, out: Array, *, compute_uv: bool) -> Array:
    u, _, vh = thin_svd(x)
    return matmul(scale_columns(conj(u), g * sign(out)), conj(vh))


def _svdvals_jvp(dx: Array, x: Array, out: Array, *, compute_uv: bool) -> Array:
    u, _, vh = thin_svd(x)
    return (conj(u) * matmul(dx, adjoint(vh))).sum(axis=-2) * sign(out)


_svdvals = general("svdvals", "linalg.svd", _svdvals_vjp, _svdvals_jvp)


def svd(a: Array, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """The factors of ``a = U @ diag(S) @ Vh``: singular values in descending order, and singular vectors.

    Args:
        a: shape (..., m, n).
        full_matrices: whether ``U`` has shape (..., m, m) and ``Vh`` (..., n, n), or only the ``min(m, n)`` columns and rows
            that belong to singular values. The others turn no more than they must.
        compute_uv: whether to give the vectors, or only the values, as `svdvals`.
        hermitian: whether to take the Hermitian part of ``a``.

    Raises:
        ValueError: if ``a`` has fewer than two axes.
        numpy.linalg.LinAlgError: by a derivative, if singular values are equal or zero up to rounding (``min(m, n)`` times the
            dtype's epsilon, of the largest) and the result depends on their singular vectors.

    >>> import numpy as np, tinyad as ad
    >>> u, s, vh = ad.linalg.svd(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> s
    array([2., 1.])
    """
    check_matrix("svd", a)
    a = as_array(a)
    if hermitian:
        check_square("svd", a)
        a = hermitian_part(a)
    return SVDResult(*_svd(a, full_matrices=bool(full_matrices))) if compute_uv else svdvals(a)


def svdvals(a: Array) -> Array:
    """The singular values of matrices in descending order.

    Their derivatives need singular vectors but no quotients, so they stay finite where values repeat: each is then that along
    singular vectors as they come. At zero, where a singular value has a kink, the derivative is 0.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda a: ad.sum(ad.linalg.svdvals(a)))(np.diag([3.0, -2.0]))
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    check_matrix("svdvals", a)
    return _svdvals(as_array(a), compute_uv=False)
