"""Rows of linear algebra.

Eigenvectors and singular vectors have signs (or phases) of their own: the functions here do not depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import Array, Draw, Row, axes_of, distinct, of, values

BATCHES = hnp.array_shapes(min_dims=0, max_dims=2, max_side=2)

# ---- samplers


def normal(*shape: int, seed: int = 0, dtype: Any = float) -> Array:
    """Random numbers, always the same."""
    random = np.random.default_rng(seed)
    x = random.normal(size=shape)
    return (x + 1j * random.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def well_conditioned(draw: Draw, batch: Sequence[int], n: int) -> Array:
    return values(draw, (*batch, n, n)) + 4.0 * np.eye(n)


def regular(draw: Draw) -> Any:
    return (well_conditioned(draw, draw(BATCHES), draw(st.integers(1, 3))),), {}


def any_square(draw: Draw) -> Any:
    """Of any rank."""
    n = draw(st.integers(1, 3))
    rank = draw(st.integers(0, n))
    batch = draw(BATCHES)
    return (values(draw, (*batch, n, rank)) @ values(draw, (*batch, rank, n)),), {}


def exponents(draw: Draw) -> Any:
    """Of all sizes, and from a norm of 5.37 on the result is squared."""
    n = draw(st.integers(1, 3))
    return (draw(st.sampled_from([0.1, 1.0, 3.0])) * values(draw, (*draw(BATCHES), n, n), np.tanh),), {}


def powers(draw: Draw) -> Any:
    return regular(draw)[0], {"n": draw(st.integers(-3, 5))}


def right_sides(draw: Draw, m: int) -> tuple[tuple[int, ...], Array]:
    """Axes in front of matrices, and right-hand sides of ``m`` equations: one, or a batch that broadcasts with them."""
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2)).input_shapes
    shape = draw(st.sampled_from([(m,), (*batches[1], m, draw(st.integers(1, 2)))]))
    return batches[0], values(draw, shape)


def solves(draw: Draw) -> Any:
    n = draw(st.integers(1, 3))
    batch, right = right_sides(draw, n)
    return (well_conditioned(draw, batch, n), right), {}


def triangular_solves(draw: Draw) -> Any:
    params = {name: draw(st.booleans()) for name in ("lower", "unit_diagonal")}
    operands, _ = solves(draw)
    return operands, {**params, "trans": draw(st.sampled_from([0, 1, "N", "T", "C"]))}


def positive_definite(draw: Draw) -> Any:
    n = draw(st.integers(1, 3))
    half = values(draw, (*draw(BATCHES), n, n))
    return (half @ half.swapaxes(-1, -2) + 2.0 * np.eye(n),), {}


def apart(draw: Draw) -> Any:
    """Symmetric matrices whose eigenvalues are at least 1 apart."""
    n = draw(st.integers(1, 3))
    half = values(draw, (*draw(BATCHES), n, n))
    w, v = np.linalg.eigh(half + half.swapaxes(-1, -2))
    return ((v * (w + 1.0 * np.arange(n))[..., None, :]) @ v.swapaxes(-1, -2),), {}


def rectangular(draw: Draw, batch: Sequence[int] = (), shape: tuple[int, int] | None = None) -> Array:
    """Matrices whose singular values are at least 1 apart, and the smallest at least 1."""
    shape = shape or (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    u, s, vh = np.linalg.svd(values(draw, (*batch, *shape)), full_matrices=False)
    return (u * (s + 1.0 + np.arange(s.shape[-1])[::-1])[..., None, :]) @ vh


def rectangles(draw: Draw) -> Any:
    return (rectangular(draw, draw(BATCHES)),), {}


def svds(draw: Draw) -> Any:
    return rectangles(draw)[0], {"full_matrices": draw(st.booleans())}


def tall(draw: Draw) -> Any:
    m = draw(st.integers(2, 4))
    return (rectangular(draw, draw(BATCHES), (m, draw(st.integers(1, m - 1)))),), {"full_matrices": True}


def wide(draw: Draw) -> Any:
    (x,), params = tall(draw)
    return (x.swapaxes(-1, -2).copy(),), params


def least_squares(draw: Draw) -> Any:
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2)).input_shapes
    a = rectangular(draw, batches[0])
    m = a.shape[-2]
    shape = draw(st.sampled_from([(m,), (*batches[1], m, draw(st.integers(1, 2)))]))
    return (a, values(draw, shape)), {}


def independent_columns(draw: Draw) -> Any:
    """As many columns as there are rows are independent, whichever they are."""
    m = draw(st.integers(1, 3))
    n = draw(st.integers(1, m + 1))
    base = np.hstack([np.eye(m), np.ones((m, 1))])[:, :n]
    return (base + 0.1 * values(draw, (*draw(BATCHES), m, n), np.tanh),), {}


def distinct_eigenvalues(draw: Draw) -> Any:
    """Real ones, or with a complex pair, at least 1 apart."""
    n = draw(st.integers(1, 3))
    base = np.diag(3.0 * np.arange(n) - 2.0)
    if n > 1 and draw(st.booleans()):
        base[:2, :2] = [[0.0, -2.0], [2.0, 0.0]]
    return (base + 0.2 * values(draw, (*draw(BATCHES), n, n), np.tanh),), {}


def vector_norms(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    orders = [2, 3, 1.5, 1, 0.5, -1, -2.5, math.inf, -math.inf]
    params = {"axis": axes_of(draw, len(shape)), "keepdims": draw(st.booleans()), "ord": draw(st.sampled_from(orders))}
    return (distinct(values(draw, shape)) + 0.02,), params


def matrix_norms(draw: Draw) -> Any:
    ord = draw(st.sampled_from(["fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf]))
    batch = draw(BATCHES)
    x = rectangular(draw, batch)
    if ord in (1, -1, math.inf, -math.inf):  # sums of rows and columns apart
        m, n = x.shape[-2:]
        x = np.sign(x) * (1.0 + 0.1 * np.tanh(x)) * np.outer(1.0 + np.arange(m), 1.0 + 0.5 * np.arange(n))
    return (x,), {"ord": ord, "keepdims": draw(st.booleans())}


def conditions(draw: Draw) -> Any:
    n = draw(st.integers(2, 3))  # that of a number is 1, and what is left of its derivative is rounding
    return (rectangular(draw, draw(BATCHES), (n, n)),), {"p": draw(st.sampled_from([None, 2, -2, "fro", "nuc"]))}


def diagonals(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=4, max_side=3))
    params = {"offset": draw(st.integers(-3, 3))}
    if draw(st.booleans()):
        first, second = draw(st.permutations(range(-len(shape), len(shape))))[:2]
        if first % len(shape) != second % len(shape):
            params |= {"axis1": first, "axis2": second}
    return (values(draw, shape),), params


def tensor_systems(draw: Draw) -> Any:
    a = well_conditioned(draw, (), 4).reshape(2, 2, 4)
    b = values(draw, (2, 2))
    return draw(st.sampled_from([((a, b), {}), ((np.moveaxis(a, -1, 0), b), {"axes": (0,)})]))


# ---- functions that do not depend on signs and phases, by tinyad and by NumPy


def positive_triangle(linalg: Any, a: Any, xp: Any) -> Any:
    """The factors of the decomposition whose triangle has a positive diagonal."""
    q, r = linalg.qr(a)
    k = q.shape[-1]
    signs = xp.sign(linalg.diagonal(r))
    return xp.concatenate([q * signs[..., None, :], r * signs[..., None]], axis=-2 if a.shape[-1] == k else -1)


def pieces_by_eigenvalue(linalg: Any, a: Any, xp: Any) -> Any:
    """Projectors onto eigenvectors, each with its eigenvalue."""
    w, v = linalg.eigh(a)
    rows = xp.matrix_transpose(v)
    return rows[..., None] * rows[..., None, :] * xp.exp(0.3 * w)[..., None, None]


def pieces_by_singular_value(linalg: Any, a: Any, xp: Any, full_matrices: bool) -> Any:
    """The matrices of rank 1 that make up ``a``, and the projectors onto what the rest of the vectors spans."""
    u, s, vh = linalg.svd(a, full_matrices)
    k = s.shape[-1]
    rows = xp.matrix_transpose(u[..., :k])
    pieces = rows[..., None] * vh[..., :k, None, :] * xp.exp(0.3 * s)[..., None, None]
    left, right = u[..., k:], vh[..., k:, :]
    return pieces, xp.matmul(left, xp.matrix_transpose(left)), xp.matmul(xp.matrix_transpose(right), right)


def sum_by_eigenvalue(linalg: Any, a: Any, xp: Any) -> Any:
    """Of projectors onto eigenvectors, which are not orthogonal, times a function of the eigenvalue."""
    w, v = linalg.eig(a)
    total = xp.matmul(v * xp.exp(0.3 * w)[..., None, :], xp.conj(xp.matrix_transpose(v)))
    return xp.real(total) + xp.imag(total)


def invariant(name: str, sample: Any, function: Callable[..., Any], *primitives: str) -> Row:
    """A row for a function ``function(linalg, a, xp, **params)`` of tinyad's or NumPy's linear algebra."""
    return of(
        name, sample, *primitives,
        function=lambda a, **params: function(ad.linalg, a, ad, **params),
        reference=lambda a, **params: function(Complex if name == "eig" else np.linalg, a, np, **params),
    )  # fmt: skip


class Complex:
    """NumPy's eigenvalues, complex also where they happen to be real."""

    @staticmethod
    def eig(a: Array) -> Any:
        kind = np.result_type(a.dtype, np.complex64)
        return [x.astype(kind) for x in np.linalg.eig(a)]


def singular_part(index: int) -> Callable[..., Any]:
    return lambda linalg, a, xp, **params: pieces_by_singular_value(linalg, a, xp, **params)[index]


# ---- references that NumPy does not have


def numpy_solve_triangular(a: Array, b: Array, trans: Any, lower: bool, unit_diagonal: bool) -> Array:
    half = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        half = np.where(np.eye(a.shape[-1], dtype=bool), np.ones((), a.dtype), half)
    return np.linalg.solve(half if trans in (0, "N") else half.swapaxes(-1, -2), b)


def exponential(a: Array) -> Array:
    """By its power series, in extended precision. (SciPy's of a 2 x 2 matrix of norm 5 may be wrong by 6e-13: measured.)"""
    x = a.astype(np.longdouble) / 4096
    term = total = np.broadcast_to(np.eye(a.shape[-1], dtype=np.longdouble), a.shape)
    for k in range(1, 20):
        term = term @ x / k
        total = total + term
    for _ in range(12):
        total = total @ total
    return total.astype(a.dtype)


def numpy_trace(x: Array, offset: int, axis1: int = -2, axis2: int = -1) -> Array:
    return np.trace(x, offset, axis1, axis2)


def numpy_lstsq(a: Array, b: Array) -> Array:
    return np.linalg.pinv(a) @ b


def linear(name: str, sample: Any, *primitives: str, reference: Any = None) -> Row:
    theirs = reference or getattr(np.linalg, name)
    return of(name, sample, *(primitives or (name,)), function=getattr(ad.linalg, name), reference=theirs)


ROWS: list[Row] = [
    linear("solve", solves),
    linear("solve_triangular", triangular_solves, "tril", "triu", reference=numpy_solve_triangular),
    linear("inv", regular),
    linear("matrix_power", powers, "matmul", "inv"),
    linear("tensorsolve", tensor_systems, "solve"),
    linear("expm", exponents, "matmul", "solve", reference=exponential),
    linear("det", any_square, "det", "cofactors"),
    of("slogdet", regular, function=lambda a: ad.linalg.slogdet(a).logabsdet, reference=lambda a: np.linalg.slogdet(a)[1]),
    linear("cholesky", positive_definite),
    invariant("qr", independent_columns, positive_triangle, "qr"),
    invariant("eigh", apart, pieces_by_eigenvalue, "eigh"),
    linear("eigvalsh", apart),
    invariant("eig", distinct_eigenvalues, sum_by_eigenvalue, "eig"),
    invariant("svd", svds, singular_part(0), "svd"),
    invariant("svd, further columns", tall, singular_part(1), "svd"),
    invariant("svd, further rows", wide, singular_part(2), "svd"),
    linear("svdvals", rectangles),
    linear("pinv", rectangles),
    of("lstsq", least_squares, function=lambda a, b: ad.linalg.lstsq(a, b).x, reference=numpy_lstsq),
    linear("vector_norm", vector_norms, "sum", "max", "min"),
    linear("matrix_norm", matrix_norms, "svdvals"),
    linear("cond", conditions, "svdvals", "inv"),
    of("linalg.trace", diagonals, "getitem", function=ad.linalg.trace, reference=numpy_trace),
]  # fmt: skip
