"""What the table of primitives is made of: a row, the domains of values, and samplers that several subjects use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad

Array = np.ndarray[Any, Any]
Draw = Callable[[Any], Any]


@dataclass(frozen=True)
class Row:
    """One function under test.

    Attributes:
        name: for messages; unique.
        function: tinyad's, called as ``function(*operands, **params)``.
        reference: NumPy's, called in the same way on arrays.
        sample: draws operands (float64) and params.
        primitives: names of the primitives the function is there to test.
    """

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any]
    sample: Callable[[Draw], tuple[tuple[Array, ...], dict[str, Any]]]
    primitives: tuple[str, ...]


# ---- domains: from standard normal numbers to numbers the function is smooth at


def anywhere(z: Array) -> Array:
    return z


def away_from_zero(z: Array) -> Array:
    return np.where(z < 0, -1.0, 1.0) * (0.3 + np.abs(z))


def positive(z: Array) -> Array:
    return 0.3 + np.abs(z)


def inside_unit(z: Array) -> Array:
    return 0.9 * np.tanh(z)


def above_one(z: Array) -> Array:
    return 1.2 + np.abs(z)


def distinct(z: Array) -> Array:
    """Values at least 0.5 apart, in random order: extrema are unique and stay so under the steps of a difference."""
    order = np.argsort(np.argsort(z.ravel()))
    return (0.5 * order - 0.25 * z.size + 0.1).reshape(z.shape)


# ---- samplers

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
FULL_SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)
SEEDS = st.integers(0, 2**32 - 1)


def values(draw: Draw, shape: Sequence[int], domain: Callable[[Array], Array] = anywhere) -> Array:
    return np.asarray(domain(np.random.default_rng(draw(SEEDS)).normal(size=tuple(shape))))


def elementwise(*domains: Callable[[Array], Array]) -> Any:
    """Operands of shapes that broadcast together, each in its domain."""

    def sample(draw: Draw) -> Any:
        if len(domains) == 1:
            shapes = [draw(SHAPES)]
        else:
            shapes = draw(
                hnp.mutually_broadcastable_shapes(num_shapes=len(domains), max_dims=3, max_side=3, min_side=0)
            ).input_shapes
        return tuple(values(draw, shape, domain) for shape, domain in zip(shapes, domains, strict=True)), {}

    return sample


def axes_of(draw: Draw, ndim: int) -> Any:
    """``None``, an int or a tuple of axes, of either sign."""
    if ndim == 0:
        return draw(st.sampled_from([None, ()]))
    axis = st.integers(-ndim, ndim - 1)
    several = st.lists(st.integers(0, ndim - 1), unique=True, min_size=0, max_size=ndim).map(tuple)
    return draw(st.one_of(st.none(), axis, several))


def reduction(domain: Callable[[Array], Array] = anywhere, shapes: Any = FULL_SHAPES) -> Any:
    def sample(draw: Draw) -> Any:
        shape = draw(shapes)
        params = {"axis": axes_of(draw, len(shape)), "keepdims": draw(st.booleans())}
        return (values(draw, shape, domain),), params

    return sample


def with_axis(domain: Callable[[Array], Array] = anywhere) -> Any:
    def sample(draw: Draw) -> Any:
        shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
        return (values(draw, shape, domain),), {"axis": draw(st.integers(-len(shape), len(shape) - 1))}

    return sample


# ---- rows


def simple(name: str, *domains: Callable[[Array], Array], reference: Any = None) -> Row:
    return Row(name, getattr(ad, name), reference or getattr(np, name), elementwise(*domains), (name,))


def of(name: str, sample: Any, *primitives: str, reference: Any = None, function: Any = None) -> Row:
    return Row(name, function or getattr(ad, name), reference or getattr(np, name), sample, primitives or (name,))
