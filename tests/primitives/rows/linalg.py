"""Rows of linear algebra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.primitives.sampling import Array, Draw, Row, of, values


def well_conditioned(draw: Draw, batch: Sequence[int], n: int) -> Array:
    return values(draw, (*batch, n, n)) + 4.0 * np.eye(n)


def solves(draw: Draw) -> Any:
    n = draw(st.integers(1, 3))
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2)).input_shapes
    right = draw(st.sampled_from([(n,), (*batches[1], n, draw(st.integers(1, 2)))]))
    return (well_conditioned(draw, batches[0], n), values(draw, right)), {}


def positive_definite(draw: Draw) -> Any:
    n = draw(st.integers(1, 3))
    half = values(draw, (*draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2)), n, n))
    return (half @ half.swapaxes(-1, -2) + 2.0 * np.eye(n),), {}


def apart(draw: Draw) -> Any:
    """Symmetric matrices whose eigenvalues are at least 1 apart."""
    n = draw(st.integers(1, 3))
    half = values(draw, (*draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2)), n, n))
    w, v = np.linalg.eigh(half + half.swapaxes(-1, -2))
    return ((v * (w + 1.0 * np.arange(n))[..., None, :]) @ v.swapaxes(-1, -2),), {}


ROWS: list[Row] = [
    of("solve", solves, reference=np.linalg.solve),
    of("eigvalsh", apart, "eigh", reference=np.linalg.eigvalsh),
    of("cholesky", positive_definite, reference=np.linalg.cholesky),
]  # fmt: skip
