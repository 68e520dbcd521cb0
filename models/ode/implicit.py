"""Implicit Runge-Kutta methods: each stage is an equation, solved by Newton's method with a matrix-free Krylov solver."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.backend import asnumpy
from tinyad.models.ode.field import Field
from tinyad.models.ode.grids import is_traced
from tinyad.models.ode.spaces import add, combine, scale
from tinyad.models.ode.stepper import Stepper
from tinyad.models.ode.tableau import Tableau
from tinyad.optim.krylov import gmres
from tinyad.tensor import Tensor, unwrap
from tinyad.tracing import TracingError

__all__ = ["DiagonallyImplicit"]

_ITERATIONS = 20


class DiagonallyImplicit(Stepper):
    """A Runge-Kutta method whose stages depend on themselves and on those before.

    A stage ``Y = base + h a f(t, Y)`` is solved by Newton's method; its equations by GMRES, which takes products with the
    Jacobian alone. The derivative of a stage is that of the equation it solves, by the implicit function theorem, so the
    iteration is not differentiated and every adjoint works; derivatives are of first order, in reverse mode.

    Args:
        tableau: with nothing above the diagonal.
        tolerance: of a stage's last correction, relative to the state; by default 100 times the epsilon of the dtype.

    Raises:
        ValueError: if a stage depends on later ones.

    Source: E. Hairer, G. Wanner, "Solving Ordinary Differential Equations II", 1996, section IV.8.
    """

    def __init__(self, tableau: Tableau, tolerance: float | None = None) -> None:
        if np.triu(tableau.A, 1).any():
            raise ValueError(
                f"DiagonallyImplicit: {tableau!r} has entries above the diagonal of A, so all its stages are one equation"
            )
        self.tableau, self.name, self.order, self.tolerance = tableau, tableau.name, tableau.order, tolerance
        self.A, self.b, self.c = tableau.A.tolist(), tableau.b.tolist(), tableau.c.tolist()

    def step(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        k: list[Any] = []
        for row, c in zip(self.A, self.c, strict=True):
            own, base = row[len(k)], combine(state, h, row, k)
            if own == 0:
                k.append(field(t + c * h, base, theta))
            else:
                stage = self._stage(field, t + c * h, own * h, base, theta)
                k.append(scale(1.0 / (own * h), add(stage, scale(-1.0, base))))
        return combine(state, h, self.b, k)

    def _stage(self, field: Field, t: Any, h: Any, base: Any, theta: Any) -> Any:
        """The solution of ``Y = base + h f(t, Y, theta)``, with the derivative of that equation."""

        @ad.custom_vjp
        def stage(base: Any, theta: Any) -> Any:
            return _solve(field, t, h, base, theta, self.tolerance)

        def forward(base: Any, theta: Any) -> Any:
            solution = stage(base, theta)
            return solution, (solution, theta)

        def backward(residuals: Any, g: Any) -> Any:
            if any(isinstance(x, Tensor) for x in tree.leaves((residuals, g))):
                raise TypeError(
                    f"{self.name}: an implicit method has neither forward mode nor second derivatives. Take an explicit one, such "
                    f"as method='rk4'"
                )
            solution, theta = residuals
            _, pull = field.vjp(t, solution, theta, known=True)
            flat, back = tree.ravel(g)
            # (I - h f_y') multiplier = g
            found = gmres(
                lambda v: v - h * tree.ravel(pull(back(v))[0])[0],
                flat,
                tolerance=10 * _epsilon(flat),
                iterations=flat.size + 20,
            )
            multiplier = back(found.x)
            return multiplier, scale(h, pull(multiplier)[1])

        stage.defvjp(forward, backward)
        return stage(base, theta)


def _solve(field: Field, t: Any, h: Any, base: Any, theta: Any, tolerance: float | None) -> Any:
    """Newton's method from ``base``."""
    if is_traced():
        raise TracingError(
            "odeint: an implicit method iterates until its values converge, which a program cannot say. Call it outside compile "
            "and vmap, or take an explicit method"
        )
    base, theta = tree.map(unwrap, base), tree.map(unwrap, theta)
    start, back = tree.ravel(base)
    y, goal = start, tolerance or 100 * _epsilon(start)
    size = math.inf
    for _ in range(_ITERATIONS):
        slope, push = field.linearize(t, back(y), theta)
        residual = start + h * tree.ravel(slope)[0] - y
        correction = gmres(_newton_matrix(push, back, h), residual, tolerance=1e-3 if size > 1e-2 else 1e-8).x
        y = y + correction
        size = _size(correction) / (1.0 + _size(y))
        if size <= goal:
            return back(y)
        if not math.isfinite(size):
            break
    raise FloatingPointError(
        f"odeint: Newton's method for a stage at t={float(unwrap(t)):g} did not converge with h={float(unwrap(h)):.3g}: its last "
        f"correction was {size:.1e} of the state, {goal:.1e} was asked for. Take more steps, or begin nearer to a solution"
    )


def _newton_matrix(push: Callable[..., Any], back: Callable[..., Any], h: Any) -> Callable[..., Any]:
    return lambda v: v - h * tree.ravel(push(back(v)))[0]


def _size(x: Any) -> float:
    """The root mean square of the elements."""
    return math.sqrt(float(asnumpy((abs(x) ** 2).mean()))) if x.size else 0.0


def _epsilon(x: Any) -> float:
    return float(np.finfo(x.dtype).eps)
