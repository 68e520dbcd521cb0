"""Functions that networks put between their layers, beside `relu`, `sigmoid`, `softplus` and `tanh`."""

from __future__ import annotations

import math
from typing import Any

from ..backend import Array
from ..kinds import general
from .elementwise import abs as absolute
from .elementwise import exp, expm1, sigmoid, softplus, tanh, where
from .reductions import sum
from .shaping import Axes, as_array, negative_axes, shape_of
from .special import ndtr
from .steps import greater

__all__ = ["elu", "gelu", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "selu", "silu", "softmax", "softsign"]


def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, also called swish.

    Source: S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", 2018.
    """
    x = as_array(x)
    return x * sigmoid(x)


def gelu(x: Array, approximate: bool = True) -> Array:
    """``x`` times the probability that a standard normal number is smaller.

    Args:
        approximate: by a formula with tanh, which differs by at most 5e-4, instead of `ndtr`, which needs SciPy.

    Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units", 2016, section 2.
    """
    x = as_array(x)
    if not approximate:
        return x * ndtr(x)
    return 0.5 * x * (1.0 + tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``; derivative ``alpha`` at 0.

    Source: D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    2016, equation 16.
    """
    positive = greater(x, 0)
    return where(positive, x, alpha * expm1(where(positive, 0.0, x)))


def selu(x: Array) -> Array:
    """`elu`, scaled so that layers keep mean 0 and variance 1.

    Source: G. Klambauer et al., "Self-normalizing neural networks", 2017, equation 2.
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """``x`` where it is positive, else ``negative_slope * x``; that is its derivative at 0 too, as that of `relu` is 0.

    >>> import tinyad as ad
    >>> ad.grad(lambda x: ad.leaky_relu(x, 0.1))(-2.0)
    np.float64(0.1)
    """
    x = as_array(x)
    return where(greater(x, 0), x, negative_slope * x)


def softsign(x: Array) -> Array:
    """``x / (1 + abs(x))``."""
    x = as_array(x)
    return x / (1.0 + absolute(x))


def mish(x: Array) -> Array:
    """``x * tanh(softplus(x))``.

    Source: D. Misra, "Mish: a self regularized non-monotonic activation function", 2019, equation 1.
    """
    x = as_array(x)
    return x * tanh(softplus(x))


def log_sigmoid(x: Array) -> Array:
    """``log(sigmoid(x))``, without overflow."""
    return -softplus(-as_array(x))


# ---- over an axis


def _shifted(xp: Any, x: Array, axis: tuple[int, ...]) -> Array:
    """``x`` without its largest element, so that exponentials stay finite."""
    return x - xp.max(x, axis=axis, keepdims=True)


def _softmax_forward(xp: Any, x: Array, *, axis: tuple[int, ...]) -> Array:
    weights = xp.exp(_shifted(xp, x, axis))
    return weights / weights.sum(axis=axis, keepdims=True)


def _log_softmax_forward(xp: Any, x: Array, *, axis: tuple[int, ...]) -> Array:
    x = _shifted(xp, x, axis)
    return x - xp.log(xp.exp(x).sum(axis=axis, keepdims=True))


def _softmax_slope(v: Array, out: Array, *, axis: tuple[int, ...]) -> Array:
    """The Jacobian ``diag(p) - p p'`` times a vector; it is symmetric."""
    weighted = out * v
    return weighted - out * sum(weighted, axis, keepdims=True)


_softmax = general("softmax", _softmax_forward, _softmax_slope, _softmax_slope)
_log_softmax = general(
    "log_softmax",
    _log_softmax_forward,
    lambda g, out, *, axis: g - exp(out) * sum(g, axis, keepdims=True),
    lambda dx, out, *, axis: dx - sum(exp(out) * dx, axis, keepdims=True),
)


def _over_axes(name: str, x: Array, axis: Axes) -> tuple[Array, tuple[int, ...]]:
    axes = negative_axes(name, axis, len(shape_of(x)))
    if not math.prod([shape_of(x)[a] for a in axes]):
        raise ValueError(f"{name}: the axes {axes} of an array of shape {shape_of(x)} are empty; there is nothing to share")
    return as_array(x), axes


def softmax(x: Array, axis: Axes = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along the axes, without overflow.

    Raises:
        ValueError: if the axes have no elements.

    >>> import numpy as np, tinyad as ad
    >>> ad.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    x, axes = _over_axes("softmax", x, axis)
    return _softmax(x, axis=axes)


def log_softmax(x: Array, axis: Axes = -1) -> Array:
    """``log(softmax(x))`` along the axes, accurate also where the softmax is nearly 0 or 1."""
    x, axes = _over_axes("log_softmax", x, axis)
    return _log_softmax(x, axis=axes)
