"""Rows of functions that arrange elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.rows.reductions import broadcasts
from tests.primitives.sampling import SHAPES, Array, Draw, Row, anywhere, axes_of, elementwise, of, values
from tinyad.devices import device_of
from tinyad.kinds import PRIMITIVES
from tinyad.tensor import unwrap


def flips(draw: Draw) -> Any:
    shape = draw(SHAPES)
    return (values(draw, shape),), {"axis": axes_of(draw, len(shape))}


def rolls(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    axes = draw(st.one_of(st.none(), st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1).map(tuple)))
    count = 1 if axes is None else len(axes)
    shift = tuple(draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count)))
    return (values(draw, shape),), {"shift": shift[0] if axes is None else shift, "axis": axes}


def reshapes(draw: Draw) -> Any:
    shape = draw(SHAPES)
    size = int(np.prod(shape))
    targets = [(size,), (1, size), (size, 1)] + ([(2, size // 2)] if size and size % 2 == 0 else []) + ([(-1,)] if size else [])
    return (values(draw, shape),), {"shape": draw(st.sampled_from(targets))}


def permutations(draw: Draw) -> Any:
    shape = draw(SHAPES)
    return (values(draw, shape),), {"axes": tuple(draw(st.permutations(range(len(shape)))))}


def matrices(draw: Draw) -> Any:
    return (values(draw, draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=3))),), {}


def moves(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    place = st.integers(-len(shape), len(shape) - 1)
    return (values(draw, shape),), {"source": draw(place), "destination": draw(place)}


def triangles(draw: Draw) -> Any:
    return matrices(draw)[0], {"k": draw(st.integers(-2, 2))}


def moved(x: Array) -> Array:
    """To where it is: the rules are the same, and there is one device only."""
    here = device_of(unwrap(x))
    return PRIMITIVES["to_device"].apply(x, device=here, origin=here)


ROWS: list[Row] = [
    of("reshape", reshapes),
    of("permute_dims", permutations, reference=np.transpose),
    of("matrix_transpose", matrices, reference=lambda x: np.swapaxes(x, -1, -2)),
    of("moveaxis", moves, "permute_dims"),
    of("flip", flips),
    of("roll", rolls),
    of("tril", triangles),
    of("triu", triangles),
    of("to_device", elementwise(anywhere), function=moved, reference=np.copy),
    of("astype", elementwise(anywhere), function=lambda x: ad.astype(x, x.dtype), reference=lambda x: x.astype(x.dtype)),
    of("expand_dims", flips, "reshape", function=lambda x, axis: ad.expand_dims(x, 0), reference=lambda x, axis: np.expand_dims(x, 0)),
    of("squeeze", broadcasts, "reshape", function=lambda x, shape: ad.squeeze(x), reference=lambda x, shape: np.squeeze(x)),
]  # fmt: skip
