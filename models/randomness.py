"""Where random numbers come from: always a generator or a seed that the caller names.

They are drawn on the processor, so that a seed gives the same numbers on every device, and then moved (`placed`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyad as ad
from tinyad.backend import Array

__all__ = ["Seed", "generator", "placed"]

Seed = int | np.random.Generator
"""A seed (a whole number, 0 or more), or a generator to draw from."""


def generator(seed: Seed, name: str = "seed") -> np.random.Generator:
    """The generator that ``seed`` stands for: itself, or a fresh PCG64.

    Raises:
        TypeError: if ``seed`` is neither a whole number nor a generator; ``name`` is what the caller calls it.
        ValueError: if it is negative.

    >>> from tinyad.models.randomness import generator
    >>> float(generator(0).random()) == float(generator(0).random())
    True
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(
            f"{name}: got {seed!r}; expected a whole number or a numpy.random.Generator, so that the run can be "
            f"repeated. Give a number, for instance 0."
        )
    if seed < 0:
        raise ValueError(f"{name}: got {seed}; expected 0 or more. Give a number such as {-int(seed)}.")
    return np.random.default_rng(int(seed))


def placed(drawn: np.ndarray[Any, Any]) -> Array:
    """Numbers on the default device; see `tinyad.default_device`."""
    return ad.asarray(drawn).array
