"""Rows of functions of values at points."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import SEEDS, Array, Draw, Row, of, positive, values, with_axis


def differences(draw: Draw) -> Any:
    operands, params = with_axis()(draw)
    ends = st.sampled_from([None, 2.0])
    return operands, {**params, "n": draw(st.integers(0, 3)), "prepend": draw(ends), "append": draw(ends)}


def numpy_diff(x: Array, n: int, axis: int, prepend: Any, append: Any) -> Any:
    given = {name: x.dtype.type(end) for name, end in (("prepend", prepend), ("append", append)) if end is not None}
    return np.diff(x, n, axis, **given)


def on_points(draw: Draw, fewest: int) -> tuple[Array, Array, int]:
    """Values along an axis, and the distances between their points: one more than there are gaps."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=fewest, max_side=4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return values(draw, shape), values(draw, (shape[axis],), positive), axis


def integrals(draw: Draw) -> Any:
    y, gaps, axis = on_points(draw, 1)
    return (y, gaps), {"axis": axis}


def slopes(draw: Draw) -> Any:
    edge_order = draw(st.sampled_from([1, 2]))
    y, gaps, axis = on_points(draw, edge_order + 1)
    return (y, gaps), {"axis": axis, "edge_order": edge_order}


def evenly(draw: Draw) -> Any:
    (y, gaps), params = slopes(draw)
    return (y, gaps[0]), params


def interpolations(draw: Draw) -> Any:
    """Positions between the points, and outside, none near one of them."""
    n = draw(st.integers(1, 4))
    gaps = values(draw, (n,), positive)
    random = np.random.default_rng(draw(SEEDS))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    points = np.cumsum(gaps)
    ends = np.concatenate([[points[0] - 1.0], points, [points[-1] + 1.0]])
    k = random.integers(0, n + 1, size=shape)
    x = ends[k] + random.uniform(0.25, 0.75, size=shape) * (ends[k + 1] - ends[k])
    return (x, gaps, values(draw, (n,))), {
        "left": draw(st.sampled_from([None, -1.0])),
        "right": draw(st.sampled_from([None, 2.0])),
    }


def turns(draw: Draw) -> Any:
    (x, gaps, heights), _ = interpolations(draw)
    return (x, gaps, heights), {"period": float(np.sum(gaps)) + 1.0}


def interpolated(interp: Any, cumsum: Any) -> Any:
    """The points as sums of positive gaps, so that they rise wherever they are moved to."""
    return lambda x, gaps, heights, **settings: interp(x, cumsum(gaps), heights, **settings)


def phases(draw: Draw) -> Any:
    """Angles whose neighbours differ by nearly a whole number of turns, never by a half."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    random = np.random.default_rng(draw(SEEDS))
    turns = random.integers(-3, 4, size=shape)
    return (2.0 * np.pi * turns + random.uniform(-1.0, 1.0, size=shape),), {
        "axis": axis,
        "discont": draw(st.sampled_from([None, 8.0])),
    }


ROWS: list[Row] = [
    of("diff", differences, "subtract", reference=numpy_diff),
    of("ediff1d", with_axis(), "subtract", function=lambda x, axis: ad.ediff1d(x, to_begin=1.0), reference=lambda x, axis: np.ediff1d(x, to_begin=x.dtype.type(1.0))),
    of("trapezoid", with_axis(), "sum", function=lambda y, axis: ad.trapezoid(y, dx=0.5, axis=axis), reference=lambda y, axis: np.trapezoid(y, dx=0.5, axis=axis)),
    of("trapezoid on points", integrals, "sum", function=lambda y, gaps, axis: ad.trapezoid(y, ad.cumsum(gaps), axis=axis), reference=lambda y, gaps, axis: np.trapezoid(y, np.cumsum(gaps), axis=axis)),
    of("gradient", evenly, "subtract", reference=np.gradient),
    of("gradient on points", slopes, "subtract", function=lambda y, gaps, **params: ad.gradient(y, ad.cumsum(gaps), **params), reference=lambda y, gaps, **params: np.gradient(y, np.cumsum(gaps), **params)),
    of("interp", interpolations, "take_along_axis", function=interpolated(ad.interp, ad.cumsum), reference=interpolated(np.interp, np.cumsum)),
    of("interp with a period", turns, "take_along_axis", function=interpolated(ad.interp, ad.cumsum), reference=interpolated(np.interp, np.cumsum)),
    of("unwrap", phases, "cumsum", function=ad.unwrap, reference=np.unwrap),
]  # fmt: skip
