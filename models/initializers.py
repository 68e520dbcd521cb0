"""Initial weights.

Each function draws an array of a shape whose last two axes are inputs and outputs (examples are rows: ``x @ weight``);
axes before them, if any, are a convolution's window and count into both. Numbers are drawn in float64 and then rounded, so
that a seed gives the same network in every precision. The arrays are on the default device (see `tinyad.default_device`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinyad as ad
from tinyad.backend import Array
from tinyad.models.randomness import Seed, generator, placed

__all__ = ["Initializer", "glorot_normal", "glorot_uniform", "he_normal", "uniform", "zeros"]

Initializer = Callable[..., Array]
"""``initializer(rng, shape, dtype)`` gives an array."""


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs each output sees, and how many outputs each input reaches."""
    if len(shape) < 2:
        raise ValueError(
            f"shape: got {shape}; expected (..., inputs, outputs), two axes at least. For a bias take models.zeros."
        )
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def glorot_uniform(rng: Seed, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
    """Uniform on ``[-a, a]`` with ``a = sqrt(6 / (inputs + outputs))``: variance ``2 / (inputs + outputs)``.

    Keeps the variance of signals and of gradients level through layers whose activation is near the identity at 0 (tanh).
    Source: X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010,
    equation 16.

    >>> from tinyad import models
    >>> models.glorot_uniform(0, (3, 2), "float32").shape
    (3, 2)
    """
    inputs, outputs = _fans(shape)
    return uniform(rng, shape, dtype, limit=math.sqrt(6 / (inputs + outputs)))


def glorot_normal(rng: Seed, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
    """Normal with mean 0 and variance ``2 / (inputs + outputs)``.

    Source: Glorot and Bengio 2010, equation 12, with a normal in place of the uniform distribution.
    """
    inputs, outputs = _fans(shape)
    return _normal(rng, shape, dtype, math.sqrt(2 / (inputs + outputs)))


def he_normal(rng: Seed, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
    """Normal with mean 0 and variance ``2 / inputs``: for activations that cut off half of the signal (relu).

    Source: K. He, X. Zhang, S. Ren, J. Sun, Delving deep into rectifiers, ICCV 2015, equation 10.
    """
    inputs, _ = _fans(shape)
    return _normal(rng, shape, dtype, math.sqrt(2 / inputs))


def uniform(rng: Seed, shape: tuple[int, ...], dtype: Any = np.float64, limit: float = 1.0) -> Array:
    """Uniform on ``[-limit, limit]``, for any shape.

    Raises:
        ValueError: if ``limit`` is negative or not finite.
    """
    if not (math.isfinite(limit) and limit >= 0):
        raise ValueError(f"limit: got {limit}; expected a finite number, 0 or more. Take its absolute value.")
    return placed(generator(rng, "rng").uniform(-limit, limit, shape).astype(dtype))


def zeros(rng: Seed, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
    """Zeros, for any shape: the usual start of a bias. ``rng`` is not drawn from."""
    return ad.zeros(shape, dtype).array


def _normal(rng: Seed, shape: tuple[int, ...], dtype: Any, deviation: float) -> Array:
    return placed(generator(rng, "rng").normal(0.0, deviation, shape).astype(dtype))
