"""Rows of sliding products and of polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives.sampling import SEEDS, Array, Draw, Row, of, values

LENGTHS = st.integers(1, 5)


def two(draw: Draw) -> Any:
    return (values(draw, (draw(LENGTHS),)), values(draw, (draw(LENGTHS),))), {}


def sliding(draw: Draw) -> Any:
    operands, _ = two(draw)
    return operands, {"mode": draw(st.sampled_from(["full", "same", "valid"]))}


def at_points(draw: Draw) -> Any:
    shape = draw(st.sampled_from([(), (3,), (2, 2), (0,)]))
    return (values(draw, (draw(LENGTHS),)), values(draw, shape)), {}


def derivatives(draw: Draw) -> Any:
    return (values(draw, (draw(LENGTHS),)),), {"m": draw(st.integers(0, 2))}


def antiderivatives(draw: Draw) -> Any:
    m = draw(st.integers(1, 3))
    return (values(draw, (draw(LENGTHS),)), values(draw, (m,))), {"m": m}


def points(draw: Draw) -> Any:
    """More points than coefficients, well apart."""
    degree = draw(st.integers(0, 2))
    n = degree + draw(st.integers(2, 4))
    x = np.arange(n) + np.random.default_rng(draw(SEEDS)).uniform(-0.2, 0.2, size=n)
    return (x, values(draw, draw(st.sampled_from([(n,), (n, 2)])))), {"deg": degree}


def padded(draw: Draw) -> Any:
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple))
    widths = tuple([(draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in shape])
    return (values(draw, shape),), {
        "pad_width": widths,
        "mode": draw(st.sampled_from(["edge", "reflect", "symmetric", "wrap"])),
    }


def spaced(draw: Draw) -> Any:
    shape = draw(st.sampled_from([(), (2,), (2, 3)]))
    bounds = [1.5 + np.tanh(values(draw, shape)) for _ in range(2)]  # positive, so that they have a ratio
    return bounds, {"num": draw(st.integers(0, 4)), "endpoint": draw(st.booleans()), "axis": draw(st.integers(-1, 0))}


def antiderivative(module: Any) -> Any:
    return lambda p, k, m: module.polyint(p, m, k)


def _spacing(name: str, *used: str) -> Row:
    def between(*bounds: Any, **params: Any) -> Any:
        """What is created is a Tensor; its array where the bounds are arrays, as the table asks for."""
        numbers = getattr(ad, name)(*bounds, **params)
        return numbers if any(isinstance(bound, ad.Tensor) for bound in bounds) else numbers.array

    return of(name, spaced, *used, function=between, reference=getattr(np, name))


def fitted(x: Array, y: Array, deg: int) -> Array:
    return np.polyfit(x, y, deg)


ROWS: list[Row] = [
    of("convolve 1-d", sliding, "convolve", function=ad.convolve, reference=np.convolve),
    of("correlate", sliding, "convolve", function=ad.correlate, reference=np.correlate),
    of("polyval", at_points, "multiply", reference=np.polyval),
    of("polyadd", two, "pad", reference=np.polyadd),
    of("polysub", two, "pad", reference=np.polysub),
    of("polyder", derivatives, "multiply", reference=np.polyder),
    of("polyint", antiderivatives, "concat", function=antiderivative(ad), reference=antiderivative(np)),
    of("polyfit", points, "lstsq", reference=fitted),
    of("pad by elements", padded, "getitem", function=ad.pad, reference=np.pad),
    _spacing("linspace", "permute_dims"),
    _spacing("logspace", "power"),
    _spacing("geomspace", "power"),
]  # fmt: skip
