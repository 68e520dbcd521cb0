"""Rows of reductions and broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import SHAPES, Array, Draw, Row, anywhere, distinct, of, reduction, values


def broadcasts(draw: Draw) -> Any:
    target = draw(SHAPES)
    start = draw(st.integers(0, len(target)))
    shape = tuple(draw(st.sampled_from([1, n])) for n in target[start:])
    return (values(draw, shape),), {"shape": target}


def variances(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=3))
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    return (values(draw, shape),), {"axis": axis, "keepdims": draw(st.booleans()), "correction": draw(st.sampled_from([0, 1]))}


def deviations(draw: Draw) -> Any:
    """Apart from each other: where all are alike, the second derivatives are differences of numbers as large as one likes."""
    (x,), params = variances(draw)
    return (distinct(x) + 0.1 * np.tanh(x),), params


def masked(domain: Any = anywhere) -> Any:
    """A mask of the elements that count, and an initial value."""

    def sample(draw: Draw) -> Any:
        (x,), params = reduction(domain)(draw)
        return (x,), {**params, "where": values(draw, x.shape) > 0, "initial": 0.17}

    return sample


def masked_means(draw: Draw) -> Any:
    """Of all elements, so that there is one that counts."""
    (x,), params = reduction()(draw)
    where = (values(draw, x.shape) > 0) | (np.arange(x.size).reshape(x.shape) == 0)
    return (x,), {"axis": None, "keepdims": params["keepdims"], "where": where}


def masked_variances(draw: Draw) -> Any:
    """Of all elements, or along an axis with a mask that is the same for all lines."""
    (x,), params = variances(draw)
    where = np.arange(x.shape[params["axis"] or 0]) % 4 < 3
    shape = [1] * x.ndim
    shape[params["axis"] or 0] = -1
    return (x,), {"axis": params["axis"], "keepdims": params["keepdims"], "where": where.reshape(shape)}


def filled(draw: Draw) -> Any:
    """No empty tuple of axes, which leaves nothing to differentiate."""
    operands, params = reduction(distinct)(draw)
    return operands, {**params, "axis": None if params["axis"] == () else params["axis"]}


def norms(draw: Draw) -> Any:
    (x,), params = reduction(lambda z: distinct(z) + 0.02)(draw)
    return (x,), {**params, "ord": draw(st.sampled_from([1, 2, 3, 1.5, np.inf]))}


def numpy_norm(x: Array, axis: Any, keepdims: bool, ord: float) -> Any:
    if ord == np.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def numpy_logsumexp(x: Array, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def numpy_variance(function: Any) -> Any:
    return lambda x, axis, keepdims, correction: function(x, axis=axis, keepdims=keepdims, ddof=correction)


ROWS: list[Row] = [
    of("sum", reduction(shapes=SHAPES)),
    of("mean", reduction()),
    of("max", reduction(distinct)),
    of("min", reduction(distinct)),
    of("var", variances, reference=numpy_variance(np.var)),
    of("std", deviations, "var", "sqrt", reference=numpy_variance(np.std)),
    of("logsumexp", reduction(), reference=numpy_logsumexp),
    of("norm", norms, "sum", "max", reference=numpy_norm),
    of("ptp", filled, "max", "min"),
    of("sum_where", masked(), "sum", function=ad.sum, reference=np.sum),
    of("mean_where", masked_means, "sum", function=ad.mean, reference=np.mean),
    of("max_where", masked(distinct), "max", function=ad.max, reference=np.max),
    of("min_where", masked(distinct), "min", function=ad.min, reference=np.min),
    of("var_where", masked_variances, "sum", function=ad.var, reference=np.var),
    of("broadcast_to", broadcasts),
]  # fmt: skip
