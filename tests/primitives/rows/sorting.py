"""Rows of sorting: the elements are distinct, because at a tie there is no derivative to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import Array, Draw, Row, distinct, of, values


def sorts(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    return (values(draw, shape, distinct),), {"axis": axis, "descending": draw(st.booleans())}


def numpy_sort(x: Array, axis: int | None, descending: bool) -> Array:
    rising = np.sort(x, axis=axis)
    return np.flip(rising, -1 if axis is None else axis) if descending else rising


def some(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return (values(draw, shape, distinct),), {"axis": axis, "k": draw(st.integers(0, shape[axis] - 1))}


def numpy_topk(x: Array, axis: int, k: int) -> Array:
    return np.take(np.flip(np.sort(x, axis), axis), np.arange(k), axis)


ROWS: list[Row] = [
    of("sort", sorts, "take_along_axis", reference=numpy_sort),
    of("topk", some, "take_along_axis", function=lambda x, **params: ad.topk(x, **params).values, reference=numpy_topk),
    of("partition", some, "take_along_axis", function=lambda x, axis, k: ad.partition(x, k, axis), reference=lambda x, axis, k: np.take_along_axis(x, np.argpartition(x, k, axis), axis)),
]  # fmt: skip
