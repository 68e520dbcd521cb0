"""What matrices are asked for: adjoints, Hermitian parts, diagonals, traces. They stand in the last two axes, and the axes
before them count examples.

The rules of linear algebra are written for complex matrices (`tinyad.primitives.complex` says what a derivative by one is): a
cotangent ``g`` of ``x`` stands for the function ``dx -> Re(sum(g * dx))``. So the transpose of ``dx -> p @ dx @ q`` multiplies
by the plain transposes of ``p`` and ``q``, and that of ``dx -> adjoint(dx)`` is the adjoint again.
"""

from __future__ import annotations

from typing import Any

from ..backend import Array, module_of
from ..tensor import unwrap
from .complex import conj
from .indexing import getitem
from .reductions import sum
from .shaping import as_array, expand_dims, matrix_transpose, moveaxis, negative_axis, shape_of
from .triangles import tril, triu

__all__ = [
    "adjoint", "as_columns", "check_matrix", "check_square", "diagonal", "diagonal_matrix", "epsilon",
    "hermitian_from", "hermitian_part", "identity_like", "scale_columns", "trace",
]  # fmt: skip


def check_matrix(name: str, a: Array) -> None:
    """Refuse what has fewer than two axes."""
    if len(shape_of(a)) < 2:
        raise ValueError(f"{name}: a has shape {shape_of(a)}; expected matrices in the last two axes. Use ad.reshape first")


def check_square(name: str, a: Array) -> None:
    """Refuse what is no square matrix."""
    shape = shape_of(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name}: a has shape {shape}; expected square matrices in the last two axes")


def epsilon(x: Array) -> float:
    """The distance from 1 to the next number of the dtype."""
    return float(module_of(unwrap(x)).finfo(unwrap(x).dtype).eps)


def adjoint(x: Array) -> Array:
    """The conjugate transpose."""
    return conj(matrix_transpose(x))


def hermitian_part(a: Array) -> Array:
    """``(a + adjoint(a)) / 2``; of a real matrix the symmetric part."""
    return 0.5 * (a + adjoint(a))


def hermitian_from(name: str, a: Array, UPLO: str | None) -> Array:
    """The Hermitian matrix that ``a`` stands for: its Hermitian part, or what a triangle of it says."""
    check_square(name, a)
    a = as_array(a)
    if UPLO is None:
        return hermitian_part(a)
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"{name}: UPLO={UPLO!r}; expected 'L' for the lower triangle, 'U' for the upper, or None")
    half = tril(a, -1) if UPLO in "Ll" else triu(a, 1)
    return half + adjoint(half) + hermitian_part(a) * identity_like(a)


def identity_like(x: Array) -> Array:
    """The identity of the size and dtype of the square matrices ``x``."""
    return module_of(unwrap(x)).eye(x.shape[-1], dtype=unwrap(x).dtype)


# ---- vectors that multiply, and diagonals


def as_columns(x: Array) -> Array:
    """Vectors in the last axis as matrices of one column."""
    return expand_dims(x, -1)


def scale_columns(x: Array, factors: Array) -> Array:
    """Each column of ``x`` times a number."""
    return x * expand_dims(factors, -2)


def diagonal_matrix(x: Array) -> Array:
    """The vectors in the last axis on the diagonals of matrices."""
    xp = module_of(unwrap(x))
    return as_columns(x) * xp.eye(x.shape[-1], dtype=unwrap(x).dtype)


def diagonal(x: Array, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Array:
    """The diagonal of matrices, as vectors in the last axis.

    Args:
        offset: which one; positive above the main diagonal, negative below.
        axis1, axis2: where the rows and the columns stand.

    Raises:
        ValueError: if ``x`` has fewer than two axes, or the two are the same.

    >>> import numpy as np, tinyad as ad
    >>> ad.linalg.diagonal(np.arange(6.0).reshape(2, 3), offset=1)
    array([1., 5.])
    """
    ndim = len(shape_of(x))
    check_matrix("diagonal", x)
    rows, columns = (negative_axis("diagonal", axis, ndim) for axis in (axis1, axis2))
    if rows == columns:
        raise ValueError(f"diagonal: axis1={axis1} and axis2={axis2} are the same axis; expected two")
    if (rows, columns) != (-2, -1):
        x = moveaxis(x, (rows, columns), (-2, -1))
    m, n = shape_of(x)[-2:]
    count = max(min(m + min(offset, 0), n - max(offset, 0)), 0)
    steps = module_of(unwrap(x)).arange(count)
    return getitem(as_array(x), (..., steps + max(-offset, 0), steps + max(offset, 0)))


def trace(x: Array, offset: int = 0, axis1: int = -2, axis2: int = -1, dtype: Any = None) -> Array:
    """The sum of the diagonal of matrices; see `diagonal`."""
    return sum(diagonal(x, offset, axis1, axis2), axis=-1, dtype=dtype)
