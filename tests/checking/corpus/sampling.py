"""Inputs of the operations: both signs, well away from zero, no two values alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.checking.corpus.case import Draw

Values = Callable[[np.random.Generator, tuple[int, ...]], Any]


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.uniform(0.5, 1.7, shape)


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Half of the entries negative, in random places."""
    count = int(np.prod(shape))
    signs = rng.permutation(np.arange(count) % 2 * 2 - 1)
    return rng.uniform(0.3, 1.7, shape) * signs.reshape(shape)


def fraction(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.uniform(0.1, 0.9, shape)


def mask(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """True and False, both present."""
    return rng.permutation(np.arange(np.prod(shape)) % 3 > 0).reshape(shape)


def invertible(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Square matrices far from symmetric and far from singular."""
    return signed(rng, shape) + 3 * np.eye(shape[-1])


def indices(below: int) -> Values:
    """Integers under a bound, with at least one of them twice."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        drawn = rng.integers(0, below, shape)
        drawn.flat[1] = drawn.flat[0]
        return drawn

    return draw


def draws(*shapes: tuple[int, ...], of: Values | tuple[Values, ...] = signed) -> Draw:
    """Arrays of these shapes; ``of`` says which values, for all of them or for each."""
    values = of if isinstance(of, tuple) else (of,) * len(shapes)
    return lambda rng: tuple(np.asarray(draw(rng, shape)) for draw, shape in zip(values, shapes, strict=True))
