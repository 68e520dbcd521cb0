"""Linear systems: solutions, inverses, powers and exponentials of square matrices.

Matrices stand in the last two axes; the axes before them count examples, and those of several operands broadcast.

Source of the rules: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
differentiation", 2008; for complex matrices see `tinyad.primitives.matrices`.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import Array, asnumpy, is_mutable, module_of
from ..kinds import Function, general
from ..tensor import unwrap
from .elementwise import abs as absolute
from .elementwise import log2, maximum, where
from .matrices import adjoint, as_columns, check_square, identity_like
from .products import matmul
from .reductions import max as largest
from .shaping import as_array, as_arrays, as_floating, matrix_transpose, moveaxis, ravel, reshape, shape_of, squeeze
from .steps import ceil, greater, isfinite, less
from .triangles import tril, triu

__all__ = ["expm", "inv", "matrix_power", "solve", "solve_matrix", "solve_triangular", "tensorinv", "tensorsolve"]

_ADVICE = "For a solution in the sense of least squares use ad.linalg.lstsq or ad.linalg.pinv"


def _or_singular(name: str, a: Array, run: Callable[[], Array]) -> Array:
    """The result of ``run``; its failure names the function and the matrix."""
    try:
        return run()
    except np.linalg.LinAlgError as error:
        array, which = unwrap(a), ""
        if is_mutable(array) and array.ndim > 2:
            places = np.argwhere(asnumpy(module_of(array).linalg.slogdet(array)[0]) == 0)
            which = f" (the first of them is a[{', '.join(map(str, places[0]))}])" if len(places) else ""
        raise np.linalg.LinAlgError(f"{name}: a matrix of a, of shape {shape_of(a)}, is singular{which}. {_ADVICE}") from error


# ---- solve


def _solve_forward(xp: Any, a: Array, b: Array) -> Array:
    if a.ndim == 2 < b.ndim:  # all right-hand sides beside one another: the matrix is factored once
        columns = xp.moveaxis(b, -2, 0)
        found = xp.linalg.solve(a, columns.reshape(len(a), math.prod(columns.shape[1:])))
        return xp.moveaxis(found.reshape(columns.shape), 0, -2)
    if a.shape[:-2] != b.shape[:-2]:  # CuPy's solve does not broadcast
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = xp.broadcast_to(a, batch + a.shape[-2:]), xp.broadcast_to(b, batch + b.shape[-2:])
    return xp.linalg.solve(a, b)


def _solve_vjp(g: Array, a: Array, out: Array) -> tuple[Array, Array]:
    gb = solve_matrix(matrix_transpose(a), g)
    return -matmul(gb, matrix_transpose(out)), gb


def _solve_jvp(da: Array | None, db: Array | None, a: Array, out: Array) -> Array:
    right = db if da is None else -matmul(da, out) if db is None else db - matmul(da, out)
    return solve_matrix(a, right)


solve_matrix: Function = general(
    "solve", _solve_forward, _solve_vjp, _solve_jvp, operands=("a", "b"),
    doc="The solution of ``a @ x = b`` for ``b`` of shape (..., n, k); nothing is checked.",
)  # fmt: skip


def solve(a: Array, b: Array) -> Array:
    """The solution ``x`` of ``a @ x = b``.

    Args:
        a: shape (..., n, n). A single matrix is factored once, however many right-hand sides there are.
        b: shape (n,), one right-hand side, or (..., n, k), one a column.

    Raises:
        ValueError: if the shapes do not fit.
        numpy.linalg.LinAlgError: if a matrix is singular. On a GPU the result is NaN instead.

    Source: Giles 2008, section 2.3.1.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda b: ad.sum(ad.solve(2.0 * np.eye(2), b)))(np.ones(2))
    array([0.5, 0.5])
    """
    check_square("solve", a)
    a, b = as_arrays(a, b)
    n, right = shape_of(a)[-1], shape_of(b)
    if not right or right[-2 if len(right) > 1 else 0] != n:
        raise ValueError(f"solve: b has shape {right}; with a of shape {shape_of(a)} expected ({n},) or (..., {n}, k)")
    columns = as_columns(b) if len(right) == 1 else b
    x = _or_singular("solve", a, lambda: solve_matrix(a, columns))
    return squeeze(x, -1) if len(right) == 1 else x


def solve_triangular(a: Array, b: Array, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False) -> Array:
    """The solution of ``a @ x = b`` for triangular ``a``, as SciPy's function; the other triangle is not looked at, and its
    derivative is zero.

    NumPy has no triangular solver, so this one costs what `solve` costs.

    Args:
        a, b: as of `solve`.
        trans: 0 or "N" for ``a``, 1 or "T" for its transpose, 2 or "C" for its adjoint.
        lower: whether the lower triangle is meant, or the upper.
        unit_diagonal: whether the diagonal is taken as ones.

    Raises:
        ValueError: if the shapes do not fit, or for another ``trans``.
        numpy.linalg.LinAlgError: if the diagonal holds a zero.

    >>> import numpy as np, tinyad as ad
    >>> ad.linalg.solve_triangular(np.array([[2.0, 9.0], [1.0, 1.0]]), np.array([2.0, 3.0]), lower=True)
    array([1., 2.])
    """
    check_square("solve_triangular", a)
    turn: dict[int | str, Function] = {0: lambda x: x, 1: matrix_transpose, 2: adjoint}
    turn |= {"N": turn[0], "T": turn[1], "C": turn[2]}
    if trans not in turn:
        raise ValueError(f"solve_triangular: trans={trans!r}; expected 0 or 'N', 1 or 'T', 2 or 'C'")
    half = (tril if lower else triu)(a, (-1 if lower else 1) if unit_diagonal else 0)
    return solve(turn[trans](half + identity_like(half) if unit_diagonal else half), b)


# ---- inverses and powers


def _inv_vjp(g: Array, out: Array) -> Array:
    turned = matrix_transpose(out)
    return -matmul(matmul(turned, g), turned)


_inv = general("inv", "linalg.inv", _inv_vjp, lambda dx, out: -matmul(matmul(out, dx), out))


def inv(a: Array) -> Array:
    """The inverses of matrices of shape (..., n, n). To solve a system use `solve`: it is faster and more accurate.

    Raises:
        ValueError: if the matrices are not square.
        numpy.linalg.LinAlgError: if a matrix is singular. On a GPU the result is NaN instead.

    Source: Giles 2008, section 2.2.3.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda a: ad.linalg.inv(a)[0, 0])(np.array([[2.0]]))
    array([[-0.25]])
    """
    check_square("inv", a)
    return _or_singular("inv", a, lambda: _inv(as_array(a)))


def matrix_power(a: Array, n: int) -> Array:
    """The ``n``-th power of square matrices, by repeated squaring; a power of the inverse for negative ``n``.

    Raises:
        ValueError: if the matrices are not square.
        TypeError: if ``n`` is no integer.
        numpy.linalg.LinAlgError: if ``n`` is negative and a matrix is singular.

    >>> import numpy as np, tinyad as ad
    >>> ad.linalg.matrix_power(np.array([[1, 1], [0, 1]]), 5)
    array([[1, 5],
           [0, 1]])
    """
    check_square("matrix_power", a)
    if not hasattr(n, "__index__"):
        raise TypeError(f"matrix_power: n={n!r}; expected an integer")
    exponent, square = operator.index(n), inv(a) if n < 0 else as_array(a)
    if exponent == 0:
        return where(False, square, identity_like(square))  # on the tape, with a derivative of 0
    factors = []
    for k, bit in enumerate(reversed(f"{abs(exponent):b}")):
        square = matmul(square, square) if k else square
        if bit == "1":
            factors.append(square)
    return functools.reduce(matmul, factors)


def tensorsolve(a: Array, b: Array, axes: Sequence[int] | None = None) -> Array:
    """The solution ``x`` of ``tensordot(a, x, axes=x.ndim) = b``.

    Args:
        a: shape ``b.shape + x.shape``; both products of lengths must agree.
        axes: axes of ``a`` to move to the end first.

    Raises:
        ValueError: if the lengths do not fit.
        numpy.linalg.LinAlgError: if the system is singular.
    """
    a, b = as_arrays(a, b)
    if axes is not None:
        a = moveaxis(a, tuple(axes), tuple(range(-len(tuple(axes)), 0)))
    shape = shape_of(a)[len(shape_of(b)) :]
    n = math.prod(shape)
    if math.prod(shape_of(a)) != n * n or math.prod(shape_of(b)) != n:
        raise ValueError(
            f"tensorsolve: a has shape {shape_of(a)} and b {shape_of(b)}; expected a of shape b.shape + x.shape with as many "
            f"equations as unknowns"
        )
    return reshape(solve(reshape(a, (n, n)), ravel(b)), shape)


def tensorinv(a: Array, ind: int = 2) -> Array:
    """The inverse of ``x -> tensordot(a, x)`` over the axes of ``a`` from ``ind`` on.

    Raises:
        ValueError: if the first ``ind`` axes do not have as many elements as the others.
        numpy.linalg.LinAlgError: if it is singular.
    """
    left, right = shape_of(a)[:ind], shape_of(a)[ind:]
    if ind < 1 or math.prod(left) != math.prod(right):
        raise ValueError(
            f"tensorinv: a has shape {shape_of(a)} and ind={ind}; expected as many elements in the first ind axes as in the others"
        )
    n = math.prod(left)
    return reshape(inv(reshape(a, (n, n))), right + left)


# ---- the exponential

_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0, 10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_SMALL = 5.37  # the norm up to which the quotient is exact in float64
_MOST = 16


def expm(a: Array) -> Array:
    """The exponential of square matrices, ``I + a + a @ a / 2 + ...``.

    The matrix is divided by a power of 2, ``exp(x)`` of the result is a quotient of polynomials, and that is squared again and
    again; the derivative is that of these steps. How many squarings there are depends on the values: where they are not known
    (in `vmap` and `compile`) there are 16, and the result is NaN for matrices of a 1-norm over 350000.

    Raises:
        ValueError: if the matrices are not square.

    Source: N. J. Higham, "The scaling and squaring method for the matrix exponential revisited", 2005; of the derivative A. H.
    Al-Mohy, N. J. Higham, "Computing the Frechet derivative of the matrix exponential", 2009.

    >>> import numpy as np, tinyad as ad
    >>> ad.linalg.expm(np.array([[0.0, 1.0], [0.0, 0.0]]))
    array([[1., 1.],
           [0., 1.]])
    """
    check_square("expm", a)
    x = as_floating(a)
    squarings, steps = _squarings(x)
    x = x * 0.5**squarings
    one, x2 = identity_like(x), matmul(x, x)
    x4, b = matmul(x2, x2), _PADE
    x6 = matmul(x2, x4)
    odd = matmul(x6, b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one
    even = matmul(x6, b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    odd = matmul(x, odd)
    result = solve_matrix(even - odd, even + odd)
    for k in reversed(range(steps)):  # those a matrix does not need come first, when nothing can overflow
        result = where(less(k, squarings), matmul(result, result), result)
    return where(greater(squarings, steps), math.nan, result)


def _squarings(x: Array) -> tuple[Array, int]:
    """How many squarings each matrix needs, of shape (..., 1, 1), and the largest of these numbers."""
    known = unwrap(x)
    size = absolute(known).sum(axis=-2, keepdims=True)
    size = largest(size, axis=-1, keepdims=True) if x.shape[-1] else size
    finite = where(isfinite(size), maximum(size, _SMALL), _SMALL)
    count = ceil(log2(finite / _SMALL))
    return count, int(count.max()) if is_mutable(known) and count.size else _MOST
