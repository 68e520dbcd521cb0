"""Rows of products and running values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives.sampling import SHAPES, Array, Draw, Row, anywhere, of, reduction, values, with_axis


def some_zeros(z: Array) -> Array:
    """Integers from -2 to 2, so that products hold no, one and several zeros."""
    return np.clip(np.round(1.5 * z), -2.0, 2.0)


def with_initial(draw: Draw) -> Any:
    operands, params = with_axis(some_zeros)(draw)
    return operands, {**params, "include_initial": draw(st.booleans())}


def masked(draw: Draw) -> Any:
    (x,), params = reduction(some_zeros)(draw)
    return (x,), {**params, "where": values(draw, x.shape) > 0, "initial": 1.5}


def log_of_cumsum(x: Array, axis: int) -> Array:
    return np.log(np.cumsum(np.exp(x), axis=axis))


def running(function: Any, first: float) -> Any:
    """NumPy 2.0 has no cumulative_prod."""

    def reference(x: Array, axis: int, include_initial: bool) -> Array:
        shape = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
        before = [np.full(shape, first, x.dtype)] if include_initial else []
        return np.concatenate([*before, function(x, axis=axis)], axis)

    return reference


ROWS: list[Row] = [
    of("prod", reduction(some_zeros, shapes=SHAPES)),
    of("prod_where", masked, "prod", function=ad.prod, reference=np.prod),
    of("cumsum", with_axis()),
    of("cumprod", with_axis(some_zeros)),
    of("logcumsumexp", with_axis(anywhere), reference=log_of_cumsum),
    of("cumulative_sum", with_initial, "cumsum", reference=running(np.cumsum, 0.0)),
    of("cumulative_prod", with_initial, "cumprod", reference=running(np.cumprod, 1.0)),
]
