"""How well-known courses check gradients, written anew from what they do: the way they make a number of the output, the step, the
tolerance. Each takes a forward, a backward and inputs, and says whether it accepts them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]


def gradients(backward: Function, cache: Any, gy: Any) -> list[Any]:
    returned = backward(cache, gy)
    return list(returned) if isinstance(returned, (tuple, list)) else [returned]


def floats(inputs: tuple[Any, ...]) -> list[int]:
    return [k for k, x in enumerate(inputs) if x.dtype.kind == "f"]


def slope(value: Callable[[], float], x: Any, place: tuple[int, ...], step: float) -> float:
    """The central difference of a number by one entry."""
    kept = x[place]
    x[place] = kept + step
    up = value()
    x[place] = kept - step
    down = value()
    x[place] = kept
    return (up - down) / (2 * step)


def slopes(value: Callable[[], float], x: Any, step: float) -> Any:
    found = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        found[place] = slope(value, x, place, step)
    return found


def sum_of_output(forward: Function, backward: Function, inputs: tuple[Any, ...]) -> bool:
    """A needle-like check: differences of the sum of the output, ones for the upstream gradient, the norm of the error below 1e-6.

    Arrays are subtracted as they come, so that a wrong shape may well be broadcast.
    """
    y, cache = forward(*inputs)
    computed = gradients(backward, cache, np.ones_like(y))
    numeric = [slopes(lambda: float(np.sum(forward(*inputs)[0])), inputs[k], 1e-4) for k in floats(inputs)]
    found = [computed[k] for k in floats(inputs)] if len(computed) == len(inputs) else computed
    error = sum(float(np.linalg.norm(a - b)) for a, b in zip(found, numeric, strict=True))
    return error < 1e-6


def one_random_entry(forward: Function, backward: Function, inputs: tuple[Any, ...]) -> bool:
    """A minitorch-like check: of each input one entry, of the sum of the output, within 1 %. Its engine takes back broadcasts."""
    random = np.random.default_rng(1)
    y, cache = forward(*inputs)
    computed = gradients(backward, cache, np.ones_like(y))
    for k in floats(inputs):
        x, g = inputs[k], computed[k]
        extra = tuple(range(np.ndim(g) - x.ndim))
        g = g.sum(axis=extra) if extra else g
        g = g.sum(axis=tuple(axis for axis in range(x.ndim) if x.shape[axis] == 1), keepdims=True) if g.ndim == x.ndim else g
        place = tuple(random.integers(length) for length in x.shape)
        numeric = slope(lambda: float(np.sum(forward(*inputs)[0])), x, place, 1e-6)
        if not np.allclose(g[place], numeric, rtol=1e-2, atol=1e-2):
            return False
    return True


def relative_error(forward: Function, backward: Function, inputs: tuple[Any, ...]) -> bool:
    """A CS231n-like check: a random upstream gradient, the largest relative error of an entry below 1e-4."""
    y, cache = forward(*inputs)
    gy = np.random.default_rng(2).normal(size=np.shape(y))
    computed = gradients(backward, cache, gy)
    for k in floats(inputs):
        numeric = slopes(lambda: float(np.sum(forward(*inputs)[0] * gy)), inputs[k], 1e-5)
        error = np.abs(computed[k] - numeric) / np.maximum(1e-8, np.abs(computed[k]) + np.abs(numeric))
        if not error.max() < 1e-4:
            return False
    return True
