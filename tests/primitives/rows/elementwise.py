"""Rows of functions of each element."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import (
    SHAPES,
    Array,
    Draw,
    Row,
    above_one,
    anywhere,
    away_from_zero,
    distinct,
    elementwise,
    inside_unit,
    of,
    positive,
    simple,
    values,
)
from tinyad.primitives.elementwise import absorb, one_minus_square


def clips(draw: Draw) -> Any:
    """Values on both sides of the bounds, none within 0.1 of one; bounds as numbers or missing."""
    shape = draw(SHAPES)
    kind = draw(st.sampled_from(["both", "low", "high"]))
    x = values(draw, shape, lambda z: np.round(2 * z) / 2 + 0.25)
    bounds = {"both": (-0.5, 0.5), "low": (-0.5, None), "high": (None, 0.5)}
    return (x,), {"min": bounds[kind][0], "max": bounds[kind][1]}


def clip_operands(draw: Draw) -> Any:
    shape = draw(SHAPES)
    grid = values(draw, shape, distinct)
    return (grid, np.full(shape, -0.37), np.full((), 0.63)), {}


def extrema(draw: Draw) -> Any:
    """Two operands that are nowhere within 0.2 of each other."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)).input_shapes
    return (values(draw, shapes[0], np.round), values(draw, shapes[1], lambda z: np.round(z) + 0.5)), {}


def choices(draw: Draw) -> Any:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3, min_side=0)).input_shapes
    condition = values(draw, shapes[0]) > 0
    return (values(draw, shapes[1]), values(draw, shapes[2])), {"condition": condition}


def remainders(draw: Draw) -> Any:
    """Quotients that are nowhere within a quarter of a whole number."""
    shape = draw(SHAPES)
    divisor = values(draw, shape, away_from_zero)
    return (divisor * (values(draw, shape, lambda z: np.round(2 * z)) + values(draw, shape, fraction)), divisor), {}


def fraction(z: Array) -> Array:
    return 0.5 + 0.25 * np.tanh(z)


def between_integers(z: Array) -> Array:
    return np.round(2 * z) + fraction(z)


def bounded(function: Any) -> Any:
    """NumPy's clip has a name of its own for each bound."""
    return lambda x, min, max: function(x, min, max)


ROWS: list[Row] = [
    simple("add", anywhere, anywhere),
    simple("subtract", anywhere, anywhere),
    simple("multiply", anywhere, anywhere),
    of("absorb", elementwise(anywhere, anywhere), function=absorb, reference=np.multiply),
    simple("divide", anywhere, away_from_zero),
    simple("power", positive, anywhere),
    of("power_by_number", elementwise(anywhere), "power", function=lambda x: x**3, reference=lambda x: x**3),
    of("power_of_number", elementwise(anywhere), "power", function=lambda x: 2.0**x, reference=lambda x: 2.0**x),
    simple("hypot", away_from_zero, anywhere),
    simple("atan2", away_from_zero, away_from_zero, reference=np.arctan2),
    simple("logaddexp", anywhere, anywhere),
    of("maximum", extrema),
    of("minimum", extrema),
    simple("negative", anywhere),
    simple("positive", anywhere),
    simple("abs", away_from_zero),
    simple("relu", away_from_zero, reference=lambda x: np.maximum(x, 0)),
    simple("square", anywhere),
    simple("sqrt", positive),
    simple("reciprocal", away_from_zero),
    simple("cbrt", away_from_zero),
    simple("deg2rad", anywhere),
    simple("rad2deg", anywhere),
    simple("copysign", away_from_zero, away_from_zero),
    simple("heaviside", away_from_zero, anywhere),
    of("fmax", extrema),
    of("fmin", extrema),
    of("remainder", remainders),
    of("fmod", remainders),
    of("modf", elementwise(between_integers), "fmod", function=lambda x: ad.modf(x)[0], reference=lambda x: np.modf(x)[0]),
    of("ldexp_by_number", elementwise(anywhere), "ldexp", function=lambda x: ad.ldexp(x, -3), reference=lambda x: np.ldexp(x, -3)),
    of("nan_to_num", elementwise(anywhere), "where"),
    simple("exp2", anywhere),
    simple("logaddexp2", anywhere, anywhere),
    simple("sinc", anywhere),
    simple("exp", anywhere),
    simple("expm1", anywhere),
    simple("log", positive),
    simple("log1p", positive),
    simple("log2", positive),
    simple("log10", positive),
    simple("sigmoid", anywhere, reference=lambda x: 1 / (1 + np.exp(-x))),
    simple("softplus", anywhere, reference=lambda x: np.log(1 + np.exp(x))),
    simple("sin", anywhere),
    simple("cos", anywhere),
    simple("tan", inside_unit),
    simple("asin", inside_unit, reference=np.arcsin),
    simple("acos", inside_unit, reference=np.arccos),
    simple("atan", anywhere, reference=np.arctan),
    simple("sinh", anywhere),
    simple("cosh", anywhere),
    simple("tanh", anywhere),
    of("one_minus_square", elementwise(anywhere), function=one_minus_square, reference=lambda x: 1.0 - x * x),
    simple("asinh", anywhere, reference=np.arcsinh),
    simple("acosh", above_one, reference=np.arccosh),
    simple("atanh", inside_unit, reference=np.arctanh),
    of("where", choices, function=lambda x, y, condition: ad.where(condition, x, y), reference=lambda x, y, condition: np.where(condition, x, y)),
    of("clip", clips, reference=bounded(np.clip)),
    of("clip_by_arrays", clip_operands, "clip", function=ad.clip, reference=np.clip),
]  # fmt: skip
