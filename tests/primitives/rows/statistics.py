"""Rows of averages, quantiles and covariances."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import Array, Draw, Row, distinct, of, positive, reduction, values

METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull", "linear",
    "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip


def filled(draw: Draw, fewest: int = 1) -> Any:
    """No empty tuple of axes: NumPy's order statistics do not take it."""
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=fewest, max_side=3)
    operands, params = reduction(distinct, shapes)(draw)
    return operands, {**params, "axis": None if params["axis"] == () else params["axis"]}


def quantiles(draw: Draw) -> Any:
    operands, params = filled(draw)
    q = draw(st.sampled_from([0.0, 0.3, 1.0, [0.25, 0.9], [[0.5], [0.1]], []]))
    return operands, {**params, "q": q, "method": draw(st.sampled_from(METHODS))}


def percentiles(draw: Draw) -> Any:
    operands, params = filled(draw)
    return operands, {**params, "q": [30.0, 75.0]}


def averages(draw: Draw) -> Any:
    """Weights like the array, or of its lengths along some axes, in any order. Of a single element the weight is no matter."""
    (x,), params = filled(draw, fewest=2)
    axis = params["axis"]
    if axis is None or draw(st.booleans()):
        return (x, values(draw, x.shape, positive)), params
    axes = draw(st.permutations((axis,) if isinstance(axis, int) else axis))
    weights = values(draw, [x.shape[a] for a in axes], positive)
    return (x, weights), {**params, "axis": tuple(axes) if isinstance(axis, tuple) else axis}


def samples(draw: Draw) -> Array:
    return values(draw, (draw(st.integers(1, 3)), draw(st.integers(3, 5))))


def covariances(draw: Draw) -> Any:
    x = samples(draw)
    rowvar = draw(st.booleans())
    return (x if rowvar else x.T,), {"rowvar": rowvar, "ddof": draw(st.sampled_from([None, 0, 1]))}


def covariances_of_two(draw: Draw) -> Any:
    x = samples(draw)
    y = values(draw, draw(st.sampled_from([(2, x.shape[1]), x.shape[1:]])))
    frequencies = draw(st.sampled_from([None, np.arange(1, x.shape[1] + 1)]))
    return (x, y, values(draw, x.shape[1:], positive)), {"fweights": frequencies, "bias": draw(st.booleans())}


def numpy_average(x: Array, weights: Array, axis: Any, keepdims: bool) -> Any:
    return np.average(x, axis=axis, weights=weights, keepdims=keepdims)


def correlated(draw: Draw) -> Any:
    """More samples than variables, so that no correlation is 1, where `clip` is not smooth."""
    return (values(draw, (draw(st.integers(2, 3)), 6)),), {}


ROWS: list[Row] = [
    of("median", filled, "take_along_axis"),
    of("quantile", quantiles, "take_along_axis"),
    of("percentile", percentiles, "take_along_axis"),
    of("average", averages, "sum", function=lambda x, w, **params: ad.average(x, weights=w, **params), reference=numpy_average),
    of("cov", covariances, "matmul"),
    of(
        "cov of two", covariances_of_two, "matmul",
        function=lambda x, y, w, **params: ad.cov(x, y, aweights=w, **params),
        reference=lambda x, y, w, **params: np.cov(x, y, aweights=w, **params),
    ),
    of("corrcoef", correlated, "matmul"),
]  # fmt: skip
