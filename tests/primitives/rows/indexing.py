"""Rows of indexing and of putting arrays together."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import SEEDS, SHAPES, Draw, Row, of, values
from tinyad.primitives import updates


def joins(new_axis: bool) -> Any:
    def sample(draw: Draw) -> Any:
        shape = list(draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)))
        axis = draw(st.integers(-len(shape) - new_axis, len(shape) - 1 + new_axis))
        operands = []
        for _ in range(draw(st.integers(1, 3))):
            if not new_axis:
                shape[axis] = draw(st.integers(0, 3))
            operands.append(values(draw, shape))
        return tuple(operands), {"axis": axis}

    return sample


def pads(draw: Draw) -> Any:
    shape = draw(SHAPES)
    widths = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape)
    return (values(draw, shape),), {"pad_width": widths, "constant_values": draw(st.sampled_from([0, 1.5]))}


def basic_indices(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4))
    return (values(draw, shape),), {"index": draw(hnp.basic_indices(shape, allow_newaxis=True))}


def advanced_indices(draw: Draw) -> Any:
    """Integer arrays with repeats, mixed with slices and integers, adjacent or not; and boolean masks."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    random = np.random.default_rng(draw(SEEDS))
    if draw(st.booleans()) and draw(st.booleans()):
        leading = draw(st.integers(1, len(shape)))
        return (values(draw, shape),), {"index": random.random(shape[:leading]) < 0.5}
    picked = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
    index: list[Any] = []
    for n in shape:
        kind = draw(st.sampled_from(["array", "array", "slice", "int"]))
        entry = {"array": random.integers(-n, n, size=picked), "slice": slice(None, None, -1), "int": int(random.integers(n))}
        index.append(entry[kind])
    return (values(draw, shape),), {"index": tuple(index)}


def assignments(draw: Draw) -> Any:
    """An array, an index of any kind, and values that broadcast to what it picks."""
    (x,), params = draw(st.sampled_from([basic_indices, advanced_indices]))(draw)
    part = np.shape(x[params["index"]])
    shape = draw(st.sampled_from([part, part[len(part) // 2 :], tuple([1 if draw(st.booleans()) else n for n in part])]))
    return (x, values(draw, shape)), params


def assigned(x: Any, v: Any, index: Any) -> Any:
    x = x.copy()
    x[index] = v
    return x


def added(x: Any, v: Any, index: Any) -> Any:
    x = x.copy()
    np.add.at(x, index, v)
    return x


def multiplied(x: Any, v: Any, index: Any) -> Any:
    x = x.copy()
    np.multiply.at(x, index, v)
    return x


ROWS: list[Row] = [
    of("concat", joins(False), function=lambda *xs, axis: ad.concat(xs, axis), reference=lambda *xs, axis: np.concatenate(xs, axis)),
    of("stack", joins(True), function=lambda *xs, axis: ad.stack(xs, axis), reference=lambda *xs, axis: np.stack(xs, axis)),
    of("pad", pads, reference=lambda x, pad_width, constant_values: np.pad(x, pad_width, constant_values=constant_values) if x.ndim else x),
    of("getitem", basic_indices, function=lambda x, index: x[index], reference=lambda x, index: x[index]),
    of("put", assignments, function=lambda x, v, index: updates.put(x, index, v), reference=assigned),
    of("add_at", assignments, "scatter", function=lambda x, v, index: x + updates.added_at(x, index, v), reference=added),
    of("multiply_at", assignments, "put", function=lambda x, v, index: updates.multiplied(x, index, v), reference=multiplied),
    of("getitem_advanced", advanced_indices, "getitem", "scatter", function=lambda x, index: x[index], reference=lambda x, index: x[index]),
]  # fmt: skip
