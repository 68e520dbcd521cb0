"""Diagonals of matrices, matrices made of them or of powers, and the places in triangles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..tensor import Tensor, unwrap
from .elementwise import power
from .matrices import diagonal as diagonal_of_matrices
from .matrices import trace as trace_of_matrices
from .shaping import as_array, expand_dims, flip, ravel, reshape, shape_of
from .taking import add_along_axis

__all__ = ["diag", "diagflat", "diagonal", "trace", "tril_indices", "triu_indices", "vander"]


def diagonal(x: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of the matrices in two axes, the first two unless said, in the last axis of the result.

    `tinyad.linalg.diagonal` takes that of the last two.

    Args:
        offset: which diagonal; positive above the main one, negative below.

    Raises:
        ValueError: if the axes are the same, or there are fewer than two.
    """
    return diagonal_of_matrices(x, offset, axis1, axis2)


def trace(x: Array, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Array:
    """The sum of the diagonal of the matrices in two axes, the first two unless said; see `diagonal`.

    `tinyad.linalg.trace` takes that of the last two.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(ad.trace)(np.ones((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    return trace_of_matrices(x, offset, axis1, axis2, dtype)


def diag(x: Array, k: int = 0) -> Array:
    """The diagonal number ``k`` of a matrix; of a vector, the matrix with zeros elsewhere that has it there.

    Raises:
        ValueError: if ``x`` has neither one axis nor two.

    >>> import numpy as np, tinyad as ad
    >>> ad.diag(np.array([1.0, 2.0]), k=1)
    array([[0., 1., 0.],
           [0., 0., 2.],
           [0., 0., 0.]])
    """
    shape = shape_of(x)
    if len(shape) == 2:
        return diagonal(x, k)
    if len(shape) != 1:
        raise ValueError(f"diag: x has shape {shape}; expected a vector or a matrix. For more axes use ad.linalg.diagonal")
    size = shape[0] + abs(k)
    # the elements of the diagonal, numbered row by row: one more than a row apart
    numbers = np.arange(shape[0]) * (size + 1) + (k if k >= 0 else -k * size)
    places = module_of(unwrap(x)).asarray(numbers)
    return reshape(add_along_axis(as_array(x), places, axis=-1, length=size * size, once=True), (size, size))


def diagflat(x: Array, k: int = 0) -> Array:
    """The matrix with all elements of ``x``, row by row, on its diagonal number ``k``."""
    return diag(ravel(x), k)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The rows and columns of the elements in the lower triangle of an n x m matrix, up to the diagonal number ``k``; constants.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.sum(x[ad.tril_indices(2)] ** 2))(np.ones((2, 2)))
    array([[2., 0.],
           [2., 2.]])
    """
    rows, columns = np.tril_indices(n, k, m)
    return Tensor(rows), Tensor(columns)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The rows and columns of the elements in the upper triangle of an n x m matrix; see `tril_indices`."""
    rows, columns = np.triu_indices(n, k, m)
    return Tensor(rows), Tensor(columns)


def vander(x: Array, N: int | None = None, increasing: bool = False) -> Array:
    """The Vandermonde matrix of a vector: column ``j`` is ``x ** (N - 1 - j)``, or ``x ** j`` if ``increasing``.

    Args:
        N: how many columns; as many as rows unless given.

    Raises:
        ValueError: if ``x`` is no vector.
    """
    x = as_array(x)
    shape = shape_of(x)
    if len(shape) != 1:
        raise ValueError(f"vander: x has shape {shape}; expected a vector")
    array: Any = unwrap(x)
    exponents = module_of(array).arange(shape[0] if N is None else N, dtype=array.dtype)
    powers = power(expand_dims(x, -1), exponents)
    return powers if increasing else flip(powers, -1)
