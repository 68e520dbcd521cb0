"""The mistakes in the backward functions of the held-out operations that change what they give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.checking.held_out.operations import Operation
from tinyad.checking.mutation import Mutant, mutants

POINTS = 3
EFFECT = 1e-5
"""A mistake whose effect is smaller everywhere, relative to the largest entry of a gradient, is none."""


@cache
def non_equivalent(operation: Operation) -> list[Mutant]:
    """The mutants of an operation's backward that raise, or give another gradient, at one of three random points."""
    return [mutant for mutant in mutants(operation.backward) if differs(operation, mutant.function)]


def differs(operation: Operation, backward: Callable[..., Any]) -> bool:
    """Whether another backward raises, or gives other shapes, types or numbers than the operation's own."""
    return any(_differs_at(point, operation, backward) for point in range(POINTS))


def _differs_at(point: int, operation: Operation, backward: Callable[..., Any]) -> bool:
    right = gradients(operation, operation.backward, point)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            given = gradients(operation, backward, point)
    except Exception:
        return True
    if type(given) is not type(right) or len(given) != len(right):
        return True
    return any(_is_other(a, b) for a, b in zip(given, right, strict=True))


def gradients(operation: Operation, backward: Callable[..., Any], point: int) -> Any:
    """What a backward gives at one of the random points, with a random upstream gradient."""
    generator = np.random.default_rng(point)
    y, cached = operation.forward(*operation.inputs(generator))
    return backward(cached, generator.normal(size=np.shape(y)))


def _is_other(given: Any, right: Any) -> bool:
    if given is None or right is None or type(given) is not type(right):
        return given is not right
    if given.shape != right.shape or given.dtype != right.dtype:
        return True
    return not bool(np.max(np.abs(given - right), initial=0) < EFFECT * np.max(np.abs(right), initial=0))  # NaN is other
