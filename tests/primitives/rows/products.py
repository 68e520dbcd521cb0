"""Rows of products."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import Draw, Row, of, values


def matmuls(draw: Draw) -> Any:
    n, k, m = (draw(st.integers(1, 3)) for _ in range(3))
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3)).input_shapes
    left = draw(st.sampled_from([(k,), (*batches[0], n, k)]))
    right = draw(st.sampled_from([(k,), (*batches[1], k, m)]))
    return (values(draw, left), values(draw, right)), {}


def tensordots(draw: Draw) -> Any:
    shared = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    left, right = (draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)) for _ in range(2))
    if draw(st.booleans()):
        return (values(draw, left + shared), values(draw, shared + right)), {"axes": len(shared)}
    axes = (list(range(-len(shared), 0))[::-1], list(range(len(shared)))[::-1])
    return (values(draw, left + shared), values(draw, shared + right)), {"axes": axes}


EINSUMS = [
    "ij,jk->ik", "ij,jk", "i,i->", "i,j->ji", "ij->ji", "ij->", "ij->i", "ii->i", "ii", "iij->j", "bij,bjk->bik", "...ij,jk->...ik",
    "...ij,...jk", "i...,i...->...", "ij,ij->ij", "ij,jk,kl->il", "ij,j,i->", "ijk->kji", "i,ij,j->", "ii,jj->ij", "i->i", "ij,kl->ikjl",
]  # fmt: skip


def einsums(draw: Draw) -> Any:
    subscripts = draw(st.sampled_from(EINSUMS))
    length = {c: draw(st.integers(1, 3)) for c in "bijkl"}
    dots = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2))
    operands = []
    for term in subscripts.partition("->")[0].split(","):
        shape: tuple[int, ...] = ()
        for part in term.replace("...", "."):
            shape += (
                dots
                if part == "."
                else (1 if draw(st.booleans()) and draw(st.booleans()) and "ii" not in subscripts else length[part],)
            )
        operands.append(values(draw, shape))
    return tuple(operands), {"subscripts": subscripts}


def lists_of_einsum(draw: Draw) -> Any:
    n, k, m = (draw(st.integers(1, 3)) for _ in range(3))
    dots = draw(hnp.array_shapes(min_dims=0, max_dims=1, max_side=2))
    x, y = values(draw, (*dots, n, k)), values(draw, (k, m))
    output = draw(st.sampled_from([[[..., 7, 30]], [[30, ..., 7]], []]))
    return (x, y), {"lists": ([..., 7, 1], [1, 30], *output)}


def by_lists(function: Any) -> Any:
    return lambda x, y, lists: function(x, lists[0], y, *lists[1:])


def alike(draw: Draw) -> Any:
    """Two arrays with the same number of elements."""
    n = draw(st.integers(0, 3))
    return (values(draw, (2, n)), values(draw, draw(st.sampled_from([(2, n), (n, 2), (2 * n,)])))), {}


def vectors(draw: Draw) -> Any:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=2, max_side=2)).input_shapes
    n = draw(st.integers(0, 3))
    operands = [values(draw, (*shape, n)) for shape in shapes]
    if operands[0].ndim == operands[1].ndim and draw(st.booleans()):
        return tuple(np.moveaxis(x, -1, 0) for x in operands), {"axis": 0}
    return tuple(operands), {"axis": -1}


def crosses(draw: Draw) -> Any:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2)).input_shapes
    x, y = (values(draw, (*shape, 3)) for shape in shapes)
    where = draw(st.sampled_from([{}, {"axisa": 0}, {"axisb": 0}, {"axisc": 0}, {"axis": 0}]))
    for name, moved in (("axisa", (True, False)), ("axisb", (False, True)), ("axis", (True, True))):
        if name in where:
            x, y = (np.moveaxis(v, -1, 0) if m else v for v, m in zip((x, y), moved, strict=True))
    return (x, y), where


def anything(draw: Draw) -> Any:
    return tuple(values(draw, draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=2))) for _ in range(2)), {}


def common_last(draw: Draw) -> Any:
    n = draw(st.integers(0, 3))
    return tuple(values(draw, (*draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2)), n)) for _ in range(2)), {}


def dots(draw: Draw) -> Any:
    n = draw(st.integers(1, 3))
    left = values(draw, (*draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2)), n))
    right = draw(st.sampled_from([(), (n,), (n, 2), (2, n, 1), (2, 1, n, 2)]))
    return (left, values(draw, right)), {}


def chains(draw: Draw) -> Any:
    sizes = draw(st.lists(st.integers(1, 3), min_size=3, max_size=6))
    factors = [values(draw, pair) for pair in itertools.pairwise(sizes)]
    if draw(st.booleans()):
        factors[0] = factors[0][0]
    if draw(st.booleans()):
        factors[-1] = factors[-1][:, 0]
    return tuple(factors), {}


def matrices_and_vectors(draw: Draw) -> Any:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2)).input_shapes
    m, n = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return (values(draw, (*shapes[0], m, n)), values(draw, (*shapes[1], n))), {}


def vectors_and_matrices(draw: Draw) -> Any:
    (matrix, vector), _ = matrices_and_vectors(draw)
    return (vector, matrix.swapaxes(-1, -2).copy()), {}


ROWS: list[Row] = [
    of("matmul", matmuls),
    of("matvec", matrices_and_vectors, "matmul", reference=lambda x, y: (x @ y[..., None])[..., 0]),
    of("vecmat", vectors_and_matrices, "matmul", reference=lambda x, y: (x[..., None, :] @ y)[..., 0, :]),
    of("multi_dot", chains, "matmul", function=lambda *xs: ad.linalg.multi_dot(xs), reference=lambda *xs: np.linalg.multi_dot(xs)),
    of("tensordot", tensordots, "matmul"),
    of("dot", dots, "matmul", "multiply"),
    of("inner", common_last, "matmul"),
    of("vdot", alike, "multiply", "sum"),
    of("vecdot", vectors, "multiply", "sum", reference=lambda x, y, axis: np.sum(x * y, axis=axis)),
    of("cross", crosses, "multiply", "roll"),
    of("outer", lambda draw: ((values(draw, (3,)), values(draw, (2,))), {}), "multiply"),
    of("kron", anything, "multiply", "reshape"),
    of("einsum", einsums, function=lambda *xs, subscripts: ad.einsum(subscripts, *xs), reference=lambda *xs, subscripts: np.einsum(subscripts, *xs)),
    of("einsum of lists", lists_of_einsum, "einsum", function=by_lists(ad.einsum), reference=by_lists(np.einsum)),
]  # fmt: skip
