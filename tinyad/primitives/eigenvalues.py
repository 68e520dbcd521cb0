"""Eigenvalues and eigenvectors: eigh, eigvalsh, eig, eigvals.

What derivatives eigenvectors have, and where they have none, says `tinyad.primitives.degenerate`.

Source: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation",
2008, section 3.1; for complex matrices C. Boeddeker et al., "On the computation of complex-valued gradients with application to
statistically optimum beamforming", 2017, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..backend import Array
from ..kinds import general
from ..several import several
from .complex import conj
from .degenerate import INSTEAD, over_gaps
from .linalg import solve_matrix
from .matrices import adjoint, check_square, diagonal, diagonal_matrix, hermitian_from, scale_columns
from .products import matmul
from .shaping import as_array, matrix_transpose

__all__ = ["EigResult", "EighResult", "eig", "eigh", "eigvals", "eigvalsh"]

# ---- eigenvalues of Hermitian matrices


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Any
    eigenvectors: Any


_EQUAL = "{name}: eigenvalues {{i}} and {{j}} are equal up to rounding, so a cotangent of their eigenvectors has no pullback. "
_EQUAL_BY_EIGH, _EQUAL_BY_EIG = (_EQUAL.format(name=name) + INSTEAD for name in ("eigh", "eig"))


def _eigh_vjp(g: Sequence[Array | None], w: Array, v: Array) -> Array:
    gw, gv = g
    middle = 0.0 if gv is None else over_gaps(matmul(matrix_transpose(v), gv), w, _EQUAL_BY_EIGH)
    middle = middle if gw is None else middle + diagonal_matrix(gw)
    return matmul(matmul(conj(v), middle), matrix_transpose(v))


def _eigh_jvp(dx: Array, w: Array, v: Array) -> tuple[Array, Array]:
    inner = matmul(matmul(adjoint(v), dx), v)
    return diagonal(inner), matmul(v, over_gaps(inner, w))


_eigh = several("eigh", "linalg.eigh", _eigh_vjp, _eigh_jvp, operands=("x",), results=("w", "v"))


def _eigvalsh_vjp(g: Array, x: Array) -> Array:
    v = _eigh(x)[1]
    return matmul(scale_columns(conj(v), g), matrix_transpose(v))


def _eigvalsh_jvp(dx: Array, x: Array) -> Array:
    v = _eigh(x)[1]
    return (conj(v) * matmul(dx, v)).sum(axis=-2)


_eigvalsh = general("eigvalsh", "linalg.eigvalsh", _eigvalsh_vjp, _eigvalsh_jvp)


def eigh(a: Array, UPLO: str | None = None) -> EighResult:
    """Eigenvalues in ascending order, and orthonormal eigenvectors as columns, of Hermitian matrices of shape (..., n, n).

    Args:
        a: symmetric, or Hermitian if complex; what else it may be, its Hermitian part is taken.
        UPLO: "L" or "U" to look at the lower or upper triangle alone instead, as NumPy does.

    Raises:
        ValueError: if the matrices are not square.
        numpy.linalg.LinAlgError: by a derivative, if eigenvalues are equal up to rounding (``n`` times the dtype's epsilon, of
            the largest) and the result depends on their eigenvectors. Of the eigenvalues alone the derivative stays finite.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda a: ad.sum(ad.eigh(a).eigenvalues ** 2))(np.diag([1.0, 3.0]))
    array([[2., 0.],
           [0., 6.]])
    """
    return EighResult(*_eigh(hermitian_from("eigh", a, UPLO)))


def eigvalsh(a: Array, UPLO: str | None = None) -> Array:
    """The eigenvalues of Hermitian matrices in ascending order; see `eigh`.

    Where eigenvalues repeat, the derivative of each is that along eigenvectors as they come, and the sum of it is right.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda a: ad.sum(ad.eigvalsh(a)))(np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """
    return _eigvalsh(hermitian_from("eigvalsh", a, UPLO))


# ---- eigenvalues of any square matrices


class EigResult(NamedTuple):
    """What `eig` gives."""

    eigenvalues: Any
    eigenvectors: Any


def _eig_forward(xp: Any, x: Array) -> list[Array]:
    """NumPy gives real arrays where all eigenvalues happen to be real; here a dtype does not depend on values."""
    kind = xp.result_type(x.dtype, xp.complex64)
    return [y.astype(kind) for y in xp.linalg.eig(x)]


def _eig_vjp(g: Sequence[Array | None], w: Array, v: Array) -> Array:
    gw, gv = g
    columns = matrix_transpose(v)
    middle: Any = 0.0
    if gv is not None:
        inner = matmul(columns, gv)
        unit = scale_columns(matmul(columns, conj(v)), diagonal(inner))  # the part along each vector, which keeps its length
        middle = over_gaps(inner - unit, w, _EQUAL_BY_EIG)
    middle = middle if gw is None else middle + diagonal_matrix(gw)
    return solve_matrix(columns, matmul(middle, columns))


def _eig_jvp(dx: Array, w: Array, v: Array) -> tuple[Array, Array]:
    inner = solve_matrix(v, matmul(dx, v))
    turn = matmul(v, over_gaps(inner, w))
    along = (conj(v) * turn).sum(axis=-2)
    return diagonal(inner), turn - scale_columns(v, along)


_eig = several("eig", _eig_forward, _eig_vjp, _eig_jvp, operands=("x",), results=("w", "v"))


def eig(a: Array) -> EigResult:
    """Eigenvalues, in no order, and eigenvectors of length 1 as columns, of matrices of shape (..., n, n).

    Both are complex, also where all eigenvalues are real: the dtype does not depend on the values.

    Raises:
        ValueError: if the matrices are not square.
        numpy.linalg.LinAlgError: by a derivative, if eigenvalues are equal up to rounding and the result depends on their
            eigenvectors, or if a matrix has no basis of eigenvectors.

    >>> import numpy as np, tinyad as ad
    >>> ad.linalg.eig(np.array([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues
    array([0.+1.j, 0.-1.j])
    """
    check_square("eig", a)
    return EigResult(*_eig(as_array(a)))


def eigvals(a: Array) -> Array:
    """The eigenvalues of square matrices, always complex; see `eig`."""
    check_square("eigvals", a)
    return eig(a).eigenvalues
