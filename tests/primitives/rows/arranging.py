"""Rows of what repeats, turns, joins and takes apart, and of diagonals: all of it made of other functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import SEEDS, SHAPES, Array, Draw, Row, of, values

MATRICES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=3)


def tiles(draw: Draw) -> Any:
    counts = draw(st.one_of(st.integers(0, 2), st.lists(st.integers(0, 2), max_size=3).map(tuple)))
    return (values(draw, draw(SHAPES)),), {"repetitions": counts}


def repeats(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    length = shape[axis] if axis is not None else int(np.prod(shape))
    of_each = np.random.default_rng(draw(SEEDS)).integers(0, 3, size=length)
    return (values(draw, shape),), {"repeats": draw(st.sampled_from([0, 2, [2], of_each])), "axis": axis}


def turns(draw: Draw) -> Any:
    shape = draw(MATRICES)
    return (values(draw, shape),), {"k": draw(st.integers(-2, 5)), "axes": draw(st.permutations(range(len(shape))))[:2]}


def splits(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    where = draw(st.one_of(st.integers(1, 3), st.lists(st.integers(-1, 4), max_size=2)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return (values(draw, shape),), {"where": where, "axis": axis}


def weighted(parts: Any) -> Any:
    """One array of all parts, with different factors."""
    return sum((i + 1.0) * (x**2).sum() for i, x in enumerate(parts))


def blocks(draw: Draw) -> Any:
    m, n, k = (draw(st.integers(1, 2)) for _ in range(3))
    return (values(draw, (m, n)), values(draw, (m, k)), values(draw, (n + k,)), values(draw, ())), {}


def nested(function: Any) -> Any:
    return lambda a, b, row, number: function([[a, b], [row], [number, a[0, :0], row[1:]]])


def stacks(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3))
    return (values(draw, shape), values(draw, shape)), {
        "which": draw(st.sampled_from(["hstack", "vstack", "dstack", "column_stack"]))
    }


def diagonals(draw: Draw) -> Any:
    shape = draw(MATRICES)
    rows, columns = draw(st.permutations(range(-len(shape), 0)))[:2]
    return (values(draw, shape),), {"offset": draw(st.integers(-3, 3)), "axis1": rows, "axis2": columns}


def on_diagonals(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
    return (values(draw, shape),), {"k": draw(st.integers(-2, 2))}


def powers(draw: Draw) -> Any:
    x = values(draw, (draw(st.integers(0, 3)),))
    return (x,), {"N": draw(st.one_of(st.none(), st.integers(0, 4))), "increasing": draw(st.booleans())}


def flattened(draw: Draw) -> Any:
    shape = draw(SHAPES)
    size = int(np.prod(shape))
    return (values(draw, shape),), {"shape": draw(st.sampled_from([(size, 1), (1, -1) if size else (1, 0), size]))}


def grids(x: Array, y: Array, module: Any, **settings: Any) -> Any:
    a, b = module.meshgrid(x, y, **settings)
    return a * b + a


def vectors(draw: Draw) -> Any:
    settings = {"indexing": draw(st.sampled_from(["ij", "xy"])), "sparse": draw(st.booleans())}
    return (values(draw, (draw(st.integers(0, 3)),)), values(draw, (draw(st.integers(0, 3)),))), settings


ROWS: list[Row] = [
    of("tile", tiles, "broadcast_to", "reshape", reference=lambda x, repetitions: np.tile(x, repetitions)),
    of("repeat", repeats, "broadcast_to", "getitem"),
    of("rot90", turns, "flip", "permute_dims"),
    of("reshape by columns", flattened, "reshape", "permute_dims", function=lambda x, shape: ad.reshape(x, shape, order="F"), reference=lambda x, shape: np.reshape(x, shape, order="F")),
    of("array_split", splits, "getitem", function=lambda x, where, axis: weighted(ad.array_split(x, where, axis)), reference=lambda x, where, axis: weighted(np.array_split(x, where, axis))),
    of("block", blocks, "concat", function=nested(ad.block), reference=nested(np.block)),
    of("stacks", stacks, "concat", function=lambda x, y, which: getattr(ad, which)([x, y]), reference=lambda x, y, which: getattr(np, which)([x, y])),
    of("meshgrid", vectors, "broadcast_to", function=lambda x, y, **settings: grids(x, y, ad, **settings), reference=lambda x, y, **settings: grids(x, y, np, **settings)),
    of("diagonal", diagonals, "getitem"),
    of("trace", diagonals, "getitem"),
    of("diag", on_diagonals, "add_along_axis"),
    of("vander", powers, "power"),
]  # fmt: skip
