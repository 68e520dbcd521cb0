"""The mark that finite differences leave in a gradient.

Who writes ``(f(x + h) - f(x - h)) / (2 * h)`` subtracts two floats near y, which are whole multiples of the unit in the
last place of y. So for a cotangent that is 1 at one output and 0 at the others, every entry of the gradient times 2 h is a
whole multiple of that unit, to the last bit. Of a formula for the derivative that is true by chance alone.

The mark says that it is so, and with which step; it is no guess from how accurate a gradient is, which may have other
causes (a small number added in a denominator, float32 somewhere). It does not find every way of taking differences: none
with steps that depend on x, or are powers of two, or with noise added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["finite_differences"]

# The smallest first, because its multiples fit as well; powers of ten first, because half of a step may fit.
STEPS = [digit * 10.0**-power for digit in (1, 2, 5) for power in range(11, 1, -1)]
FACTORS = (1.0, 2.0)  # one-sided and central; half of the last place, for a y that crosses a power of two, is in the threshold
OUTPUTS = 4  # tried
ENTRIES = 8  # must bear the mark
WHOLE = 2.0**-6  # how near to a whole number; by chance an entry is with probability 2**-5
LARGEST = 2.0**44  # beyond, rounding hides whether a number is whole


def finite_differences(forward: Callable[..., Any], backward: Callable[[Any, Any], Any], inputs: tuple[Any, ...]) -> float:
    """The step with which a rule's gradients are finite differences of its forward; 0 if they do not bear the mark.

    Args:
        forward, backward: ``forward(*inputs) -> (y, cache)``, ``backward(cache, gy) -> gradients``.

    >>> x = np.linspace(0.3, 1.7, 12)
    >>> def differences(x, gy, h=1e-5):
    ...     return gy * (np.sin(x + h) - np.sin(x - h)) / (2 * h)
    >>> def by_entry(x, gy):
    ...     f = lambda x: np.sum(np.tanh(x))
    ...     return gy * np.array([(f(x + 1e-6 * e) - f(x)) / 1e-6 for e in np.eye(12)])
    >>> finite_differences(lambda x: (np.sum(np.tanh(x)), x), by_entry, (x,))
    1e-06
    >>> finite_differences(lambda x: (np.sum(np.tanh(x)), x), lambda x, gy: gy / np.cosh(x) ** 2, (x,))
    0.0
    >>> finite_differences(lambda x: (np.sin(x), x), differences, (x,))
    1e-05
    """
    y, cache = forward(*(np.copy(x) if isinstance(x, np.ndarray) else x for x in inputs))
    y = np.asarray(y)
    if y.dtype != np.float64 or not y.size or not np.isfinite(y).all():
        return 0.0
    found: dict[int, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for k in _outputs(y):
        gy = np.zeros(y.shape)
        gy.reshape(-1)[k] = 1.0
        for i, g in enumerate(_gradients(backward(cache, gy))):
            telling = g[_telling(g)]
            entries, units = found.setdefault(i, ([], []))
            entries.append(telling)
            units.append(np.full(telling.shape, np.spacing(np.abs(y.reshape(-1)[k])) / 2))
    steps = (_step(np.concatenate(entries), np.concatenate(units)) for entries, units in found.values())
    return next((step for step in steps if step), 0.0)


def _outputs(y: np.ndarray) -> list[int]:
    """Some outputs: of an elementwise function each depends on one input only, so then there must be as many as marks."""
    count = min(y.size, max(OUTPUTS, 3 * ENTRIES))
    return [int(k) for k in np.unique(np.linspace(0, y.size - 1, count).astype(int))]


def _gradients(returned: Any) -> list[np.ndarray]:
    listed = returned if isinstance(returned, (tuple, list)) else (returned,)
    return [np.ravel(g) if isinstance(g, np.ndarray) and g.dtype == np.float64 else np.zeros(0) for g in listed]


def _telling(g: np.ndarray) -> np.ndarray:
    """The entries whose last bits say something: finite, not zero, and not short in binary, as 1 and float32 are."""
    with np.errstate(all="ignore"):
        mantissa = np.frexp(g)[0] * 2.0**30
        telling: np.ndarray = np.isfinite(g) & (g != 0) & (mantissa != np.round(mantissa))
    return telling


def _step(entries: np.ndarray, units: np.ndarray) -> float:
    for step in STEPS:
        for factor in FACTORS:
            with np.errstate(all="ignore"):
                count = entries * (factor * step) / units
                known = (np.abs(count) < LARGEST) & (np.abs(count) > 64)
            count = count[known]
            if np.unique(np.abs(count)).size >= ENTRIES and (np.abs(count - np.round(count)) < WHOLE).all():
                return float(f"{step:.0e}")
    return 0.0
