"""Where random numbers come from: always a generator or a seed that the caller names."""

from __future__ import annotations

import numpy as np

__all__ = ["Seed", "generator"]

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
