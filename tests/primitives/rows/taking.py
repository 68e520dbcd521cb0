"""Rows of picking by numbers along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import SEEDS, Array, Draw, Row, of, values
from tinyad.primitives.taking import add_along_axis

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)


def place(draw: Draw, shape: tuple[int, ...]) -> int:
    return draw(st.integers(-len(shape), len(shape) - 1))


def some(draw: Draw, bound: int, shape: Any) -> Array:
    """Indices with repeats, of either sign."""
    return np.random.default_rng(draw(SEEDS)).integers(-bound, bound, size=shape)


def takes(draw: Draw) -> Any:
    shape = draw(SHAPES)
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    bound = shape[axis] if axis is not None else int(np.prod(shape))
    mode = draw(st.sampled_from(["raise", "wrap", "clip"]))
    indices = some(draw, bound if mode == "raise" else 3 * bound, draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0)))
    return (values(draw, shape),), {"indices": indices, "axis": axis, "mode": mode}


def lines(draw: Draw) -> Any:
    """Indices for each line along an axis, or the same for all."""
    shape = draw(SHAPES)
    axis = place(draw, shape)
    of_indices = [n if draw(st.booleans()) else 1 for n in shape]
    of_indices[axis] = draw(st.integers(0, 3))
    return (values(draw, shape),), {"indices": some(draw, shape[axis], of_indices), "axis": axis}


def sums(draw: Draw) -> Any:
    """Values to be added at indices along an axis."""
    shape = draw(SHAPES)
    axis, length = place(draw, shape), draw(st.integers(1, 4))
    return (values(draw, shape),), {
        "indices": some(draw, length, shape),
        "axis": axis - len(shape) * (axis >= 0),
        "length": length,
    }


def numpy_sums(x: Array, indices: Array, axis: int, length: int) -> Array:
    shape = list(x.shape)
    shape[axis] = length
    total, grid = np.zeros(shape, x.dtype), list(np.indices(x.shape))
    grid[axis] = indices
    np.add.at(total, tuple(grid), x)
    return total


def conditions(draw: Draw) -> Any:
    shape = draw(SHAPES)
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    bound = shape[axis] if axis is not None else int(np.prod(shape))
    return (values(draw, shape),), {"condition": np.arange(draw(st.integers(0, bound))) % 2 == 0, "axis": axis}


def choices(draw: Draw) -> Any:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=2, max_side=3)).input_shapes
    mode = draw(st.sampled_from(["raise", "wrap", "clip"]))
    indices = np.abs(some(draw, 2, shapes[2])) % 2 if mode == "raise" else some(draw, 5, shapes[2])
    return (values(draw, shapes[0]), values(draw, shapes[1])), {"indices": indices, "mode": mode}


def cases(draw: Draw) -> Any:
    shape = draw(SHAPES)
    random = np.random.default_rng(draw(SEEDS))
    return tuple(values(draw, shape) for _ in range(3)), {"masks": [random.random(shape) < 0.4 for _ in range(2)]}


def deletions(draw: Draw) -> Any:
    shape = draw(SHAPES)
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    bound = shape[axis] if axis is not None else int(np.prod(shape))
    which = [
        draw(st.integers(-bound, bound - 1)),
        slice(None, None, 2),
        some(draw, bound, (2,)).tolist(),
        np.arange(bound) % 2 == 1,
    ]
    return (values(draw, shape),), {"obj": draw(st.sampled_from(which)), "axis": axis}


def insertions(draw: Draw) -> Any:
    """NumPy's rule for the shape of what is put in depends on what says where."""
    shape = draw(SHAPES)
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    flat = shape if axis is not None else (int(np.prod(shape)),)
    at = 0 if axis is None else axis
    part = list(flat)
    if draw(st.booleans()):
        part[at] = 1
        places: Any = draw(st.integers(-flat[at], flat[at]))
        put = np.moveaxis(values(draw, part), at, 0) if draw(st.booleans()) else values(draw, (1,) * draw(st.integers(0, 1)))
    else:
        part[at] = draw(st.integers(1, 3))
        places = np.random.default_rng(draw(SEEDS)).integers(0, flat[at] + 1, size=part[at]).tolist()
        put = values(draw, part)
    return (values(draw, shape), put), {"obj": places, "axis": axis}


def pieces(x: Any, of: Any) -> Any:
    return of(x, [x < -0.5, x > 0.5], [lambda x: x * x, lambda x, c=3.0: c * x, 0.25])


ROWS: list[Row] = [
    of("take", takes, "getitem", "scatter"),
    of("take_along_axis", lines, reference=np.take_along_axis),
    of("add_along_axis", sums, function=lambda x, **params: add_along_axis(x, params.pop("indices"), once=False, **params), reference=numpy_sums),
    of("compress", conditions, "getitem", function=lambda x, condition, axis: ad.compress(condition, x, axis), reference=lambda x, condition, axis: np.compress(condition, x, axis)),
    of("choose", choices, "take_along_axis", function=lambda x, y, indices, mode: ad.choose(indices, [x, y], mode), reference=lambda x, y, indices, mode: np.choose(indices, [x, y], mode=mode)),
    of("select", cases, "where", function=lambda x, y, z, masks: ad.select(masks, [x, y], z), reference=lambda x, y, z, masks: np.select(masks, [x, y], z)),
    of("delete", deletions, "getitem"),
    of("insert", insertions, "getitem", function=lambda x, v, obj, axis: ad.insert(x, obj, v, axis), reference=lambda x, v, obj, axis: np.insert(x, obj, v, axis)),
    of("piecewise", lambda draw: ((values(draw, draw(SHAPES)) * 0.2 + draw(st.sampled_from([-1.5, 0.0, 1.5])),), {}), "where", function=lambda x: pieces(x, ad.piecewise), reference=lambda x: pieces(x, np.piecewise)),
]  # fmt: skip
