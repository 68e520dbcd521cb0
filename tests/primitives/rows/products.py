"""Rows of products."""

from __future__ import annotations

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


ROWS: list[Row] = [
    of("matmul", matmuls),
    of("tensordot", tensordots, "matmul"),
    of("einsum", einsums, function=lambda *xs, subscripts: ad.einsum(subscripts, *xs), reference=lambda *xs, subscripts: np.einsum(subscripts, *xs)),
    of("outer", lambda draw: ((values(draw, (3,)), values(draw, (2,))), {}), "multiply"),
]  # fmt: skip
