"""Equations that the tests share, and solvers written once more, by hand, to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.models import ode

Array = np.ndarray[Any, Any]

_RANDOM = np.random.default_rng(0)
THETA = {
    "W1": 0.5 * _RANDOM.normal(size=(5, 16)), "b1": 0.1 * _RANDOM.normal(size=16),
    "W2": 0.5 * _RANDOM.normal(size=(16, 4)), "b2": _RANDOM.normal(size=4),
}  # fmt: skip
Y0 = _RANDOM.normal(size=(8, 4))
TARGET = _RANDOM.normal(size=(8, 4))


def network(t: Any, y: Any, theta: Any) -> Any:
    """A small network that depends on time, so that wrong nodes c show."""
    xp = ad if isinstance(y, ad.Tensor) or any(isinstance(x, ad.Tensor) for x in tree.leaves(theta)) else np
    hidden = xp.tanh(y @ theta["W1"][:-1] + t * theta["W1"][-1] + theta["b1"])
    return hidden @ theta["W2"] + theta["b2"]


def autonomous(t: Any, y: Any, theta: Any) -> Any:
    """The same at rest."""
    return network(0.0, y, theta)


def misfit(y: Any) -> Any:
    return 0.5 * ((y - TARGET) ** 2).sum() / len(TARGET)


PAIR = (
    lambda t, p, theta: ad.tanh(p @ theta["W1"][:-1] + t * theta["W1"][-1] + theta["b1"]) @ theta["W2"],
    lambda t, q, theta: ad.sin(q @ theta["W1"][:-1] + theta["b1"]) @ theta["W2"] + theta["b2"],
)
"""A pair of which each part moves by the other."""


def gradient(method: Any, adjoint: Any, steps: int, f: Any = network, y0: Any = Y0, **settings: Any) -> Array:
    """The gradient of the misfit by the initial value and all parameters, as one vector."""

    def loss(y0: Any, theta: Any) -> Any:
        found = ode.odeint(f, y0, (0.0, 1.0), theta, method=method, steps=steps, adjoint=adjoint, **settings)
        return sum(misfit(leaf) for leaf in tree.leaves(found))

    return vector(ad.grad(loss, argnums=(0, 1))(y0, THETA))


def vector(x: Any) -> Array:
    """All leaves of a tree in one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in tree.leaves(x)])


def distance(a: Array, b: Array) -> float:
    """Relative to the second."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def by_hand(tableau: ode.Tableau, f: Any, y: Any, t1: float, theta: Any, steps: int) -> Any:
    """A Runge-Kutta method as textbooks write it; it knows nothing of tinyad and takes complex numbers."""
    h = t1 / steps
    for n in range(steps):
        k: list[Any] = []
        for i in range(tableau.stages):
            k.append(f(n * h + tableau.c[i] * h, y + h * sum((tableau.A[i, j] * k[j] for j in range(i)), 0 * y), theta))
        y = y + h * sum(b * slope for b, slope in zip(tableau.b, k, strict=True))
    return y


def slopes(errors: Any) -> Array:
    """The powers of 1/2 by which errors fall when the number of steps is doubled."""
    errors = np.asarray(errors)
    return np.log2(errors[:-1] / errors[1:])
