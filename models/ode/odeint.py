"""`odeint`: the solution of an initial value problem, with its gradient by the strategy of one's choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinyad as ad
from tinyad import tree
from tinyad.models.ode.adjoints import Adjoint, Discrete, Tape
from tinyad.models.ode.field import Field
from tinyad.models.ode.grids import fixed_grid
from tinyad.models.ode.ledger import Ledger
from tinyad.models.ode.methods import method_named
from tinyad.models.ode.run import Run
from tinyad.models.ode.stepper import Stepper
from tinyad.primitives.shaping import as_floating
from tinyad.tensor import Tensor

__all__ = ["odeint"]


def odeint(
    f: Any,
    y0: Any,
    interval: tuple[float, float],
    theta: Any = None,
    *,
    method: str | Stepper = "rk4",
    steps: int = 64,
    times: Sequence[float] | None = None,
    adjoint: Adjoint | None = None,
    ledger: Ledger | None = None,
) -> Any:
    """The solution of ``y' = f(t, y, theta)``, ``y(t0) = y0``.

    It is differentiated by ``y0`` and ``theta``. What else ``f`` uses is constant: a Tensor on the tape that it closes over is
    refused, so no gradient is lost silently.

    Args:
        f: the right-hand side; it gives a tree like ``y0``. For the methods that move a pair ``(q, p)`` in turn, a pair of
            functions, ``q' = f[0](t, p, theta)`` and ``p' = f[1](t, q, theta)``.
        y0: a tree of arrays.
        interval: ``(t0, t1)``; ``t1`` may lie before ``t0``.
        theta: parameters, a tree of arrays.
        method: a name out of `METHODS`, or a method made from a tableau: ``RungeKutta(tableau)``.
        steps: how many equal steps.
        times: where the solution is asked for, rising from t0 to t1 (falling, if t1 lies before it). Each is met by a step.
        adjoint: how the gradient is computed; `Discrete` by default.
        ledger: where the work is counted.

    Returns:
        The solution at ``t1``, a tree like ``y0``; with ``times`` a tree whose arrays have a first axis more, one row a time.

    Raises:
        ValueError: for shapes, steps or times that do not fit.
        TypeError: for a right-hand side of another structure or dtype, or an adjoint that does not fit the method.

    >>> import numpy as np, tinyad as ad
    >>> from tinyad.models import ode
    >>> def f(t, y, rate):
    ...     return -rate * y
    >>> ad.grad(lambda rate: ode.odeint(f, 1.0, (0.0, 1.0), rate))(0.5).round(6), -np.exp(-0.5).round(6)
    (np.float64(-0.606531), np.float64(-0.606531))
    """
    stepper = method_named(method)
    ledger = Ledger() if ledger is None else ledger
    field = Field(f, ledger)
    t0, t1 = interval
    y0 = tree.map(as_floating, y0)
    adjoint = Discrete() if adjoint is None else adjoint
    stepper.check(field, y0)
    run = Run(stepper, field, fixed_grid(t0, t1, steps, times))
    adjoint.check(run)
    outputs = _solved(run, adjoint, y0, theta)
    return outputs[0] if times is None else tree.map(lambda *rows: ad.stack(rows), *outputs)


def _solved(run: Run, adjoint: Adjoint, y0: Any, theta: Any) -> list[Any]:
    if isinstance(adjoint, Tape):
        return adjoint.forward(run, y0, theta)[0]

    @ad.custom_vjp
    def solution(y0: Any, theta: Any) -> list[Any]:
        return Tape().forward(run, y0, theta)[0]

    def forward(y0: Any, theta: Any) -> tuple[list[Any], Any]:
        outputs, saved = adjoint.forward(run, y0, theta)
        return outputs, (saved, y0, theta)

    def backward(residuals: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        saved, y0, theta = residuals
        if not adjoint.exact and any(isinstance(x, Tensor) for x in tree.leaves((cotangents, y0, theta))):
            raise TypeError(
                f"odeint: {adjoint} has neither forward mode nor second derivatives: its gradient is not one of what was computed. "
                f"Take adjoint=Discrete(), or Tape()"
            )
        return adjoint.backward(run, saved, y0, theta, cotangents)

    solution.defvjp(forward, backward)
    solution.__name__ = "odeint"
    return solution(y0, theta)  # type: ignore[no-any-return]
