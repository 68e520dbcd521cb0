"""`odeint`: the solution of an initial value problem, with its gradient by the strategy of one's choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.backend import asnumpy, is_mutable
from tinyad.custom import on_tape
from tinyad.models.ode.adaptive import PI, I, adaptive_grid
from tinyad.models.ode.adjoints import Adjoint, Discrete, Tape
from tinyad.models.ode.control import Control, PiecewiseConstant, following
from tinyad.models.ode.dense import Solution
from tinyad.models.ode.field import Field
from tinyad.models.ode.grids import fixed_grid, given_grid
from tinyad.models.ode.ledger import Ledger
from tinyad.models.ode.methods import method_named
from tinyad.models.ode.run import Run
from tinyad.models.ode.stability import spectral_radius
from tinyad.models.ode.stepper import Stepper
from tinyad.primitives.shaping import as_floating
from tinyad.tensor import Tensor, unwrap

__all__ = ["odeint", "solve"]


def odeint(
    f: Any,
    y0: Any,
    interval: tuple[float, float],
    theta: Any = None,
    *,
    method: str | Stepper | None = None,
    steps: int | Sequence[float] | np.ndarray[Any, Any] | None = None,
    times: Sequence[float] | np.ndarray[Any, Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    control: I | None = None,
    max_steps: int = 10_000,
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
        theta: parameters, a tree of arrays; or a `Control`, which changes in time: then f gets its value at ``t``.
        method: a name out of `METHODS`, a `Tableau`, or a method made from one; "rk4" by default, with tolerances "dopri5".
        steps: how many equal steps, 64 by default; or the times of all steps, from t0 to t1.
        times: where the solution is asked for, rising from t0 to t1 (falling, if t1 lies before it). Each is met by a step.
        rtol, atol: choose the steps so that the error of each is at most ``atol + rtol * |y|``. If one is given the other is
            1e-6 by default (rtol) or 1e-9 (atol). The gradient is that of the steps that were accepted, taken as given: the
            derivative of how they were chosen is left out.
        control: how steps are chosen then: `PI` by default, or `I`.
        max_steps: give up after so many.
        adjoint: how the gradient is computed; `Discrete` by default.
        ledger: where the work is counted.

    Returns:
        The solution at ``t1``, a tree like ``y0``; with ``times`` a tree whose arrays have a first axis more, one row a time.

    Raises:
        ValueError: for shapes, steps or times that do not fit.
        TypeError: for a right-hand side of another structure or dtype, or an adjoint that does not fit the method.
        ArithmeticError: if the solution does not stay finite, or adaptive steps become too short or too many. The message names
            the time, the likely cause and the remedy.

    >>> import numpy as np, tinyad as ad
    >>> from tinyad.models import ode
    >>> def f(t, y, rate):
    ...     return -rate * y
    >>> ad.grad(lambda rate: ode.odeint(f, 1.0, (0.0, 1.0), rate))(0.5).round(6), -np.exp(-0.5).round(6)
    (np.float64(-0.606531), np.float64(-0.606531))
    """
    adjoint = Discrete() if adjoint is None else adjoint
    run, y0, theta, known = _prepared(f, y0, interval, theta, method, steps, times, rtol, atol, control, max_steps, ledger)
    adjoint.check(run)
    if known is not None and not any(on_tape(x) for x in tree.leaves((y0, theta))):
        outputs = [known[n] for n in run.grid.saved]  # found while the steps were chosen
    else:
        outputs = _solved(run, adjoint, y0, theta)
        _check_finite(run, outputs, y0, theta)
    return outputs[0] if times is None else tree.map(lambda *rows: ad.stack(rows), *outputs)


def solve(
    f: Any,
    y0: Any,
    interval: tuple[float, float],
    theta: Any = None,
    *,
    method: str | Stepper | None = None,
    steps: int | Sequence[float] | np.ndarray[Any, Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    control: I | None = None,
    max_steps: int = 10_000,
    ledger: Ledger | None = None,
) -> Solution:
    """The solution as a function of time, for plots and for times that are not known beforehand; for the arguments see `odeint`.

    Where ``y0`` or ``theta`` are on the tape, everything is recorded and so is what the solution gives.

    >>> import numpy as np
    >>> from tinyad.models import ode
    >>> y = ode.solve(lambda t, y, theta: -y, 1.0, (0.0, 2.0), rtol=1e-8)
    >>> y, y(0.5).round(6)
    (Solution(dopri5: 25 steps from t=0 to 2), np.float64(0.606531))
    """
    run, y0, theta, known = _prepared(f, y0, interval, theta, method, steps, None, rtol, atol, control, max_steps, ledger)
    if known is None or any(on_tape(x) for x in tree.leaves((y0, theta))):
        state, before = run.advance(run.start(y0, theta), theta, 0, run.grid.steps, keep=True)
        known = [run.stepper.value(state) for state in [*before, state]]
        _check_finite(run, known[-1:], y0, theta)
    return Solution(run, known, theta)


def _prepared(
    f: Any, y0: Any, interval: Any, theta: Any, method: Any, steps: Any, times: Any, rtol: Any, atol: Any, control: Any,
    max_steps: int, ledger: Ledger | None,
) -> tuple[Run, Any, Any, list[Any] | None]:  # fmt: skip
    """The run, the initial value as arrays, its parameters, and the states if they were found while the steps were chosen."""
    adaptive = rtol is not None or atol is not None
    stepper = method_named(method or ("dopri5" if adaptive else "rk4"))
    stepwise = isinstance(theta, Control)
    knots = theta.knots if stepwise else ()
    field = Field(following(f, theta), Ledger() if ledger is None else ledger)
    y0 = tree.map(as_floating, y0)
    stepper.check(field, y0)
    if stepper.carries_slope and isinstance(theta, PiecewiseConstant):
        raise TypeError(
            f"odeint: {stepper.name!r} takes the slope at the end of a step for that at the start of the next, where a piecewise "
            f"constant theta jumps. Take a PiecewiseLinear one, or method='leapfrog', which can be undone too"
        )
    if not adaptive:
        if control is not None:
            raise ValueError("odeint: control is for adaptive steps; give rtol or atol too")
        t0, t1 = interval
        if np.ndim(steps) == 0:
            grid, known = fixed_grid(t0, t1, 64 if steps is None else steps, times, knots), None
        else:
            grid, known = given_grid(t0, t1, steps, times, knots), None
        return Run(stepper, field, grid, stepwise), y0, theta.pieces_of(grid.times) if stepwise else theta, known
    if steps is not None:
        raise ValueError("odeint: steps and tolerances are both given; give steps for a fixed number, or rtol and atol alone")
    grid, known = adaptive_grid(
        stepper, field, y0, theta, interval, times, rtol=1e-6 if rtol is None else rtol, atol=1e-9 if atol is None else atol,
        control=PI() if control is None else control, most=max_steps,
    )  # fmt: skip
    return Run(stepper, field, grid, stepwise), y0, theta.pieces_of(grid.times) if stepwise else theta, known


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


# ---- what did not stay finite


def _is_finite(x: Any) -> bool:
    """Whether all numbers of a tree are; what is not there yet counts as finite."""
    arrays = [unwrap(leaf) for leaf in tree.leaves(x)]
    return all(not is_mutable(a) or bool(np.isfinite(asnumpy(a)).all()) for a in arrays)


def _check_finite(run: Run, outputs: Sequence[Any], y0: Any, theta: Any) -> None:
    if _is_finite(outputs):
        return
    if not _is_finite((y0, theta)):
        raise FloatingPointError("odeint: y0 or theta holds NaN or infinity, so the solution does; look where it comes from")
    y0, theta = tree.map(unwrap, y0), tree.map(unwrap, theta)
    state = run.start(y0, theta)
    for n in range(run.grid.steps):
        after, _ = run.advance(state, theta, n, n + 1)
        if not _is_finite(after):
            raise FloatingPointError(_divergence(run, n, run.stepper.value(state), theta))
        state = after


def _divergence(run: Run, n: int, y: Any, theta: Any) -> str:
    t, h = float(unwrap(run.grid.times[n])), float(unwrap(run.grid.length(n)))
    where = f"odeint: the solution is no longer finite after step {n} of {run.grid.steps}, from t={t:g} to {t + h:g}"
    own = run.of_step(theta, n)
    if not _is_finite(run.field(t, y, own)):
        return (
            f"{where}: f(t, y, theta) itself is not, at t={t:g} and a finite y. Look at f there: a division by 0, a log, a root"
        )
    radius = spectral_radius(run.field, t, y, own)
    return (
        f"{where}. There the Jacobian of f has eigenvalues of about {radius:.1e}, times the step {abs(h * radius):.1e}; "
        f"{run.stepper.name!r} is stable up to 1 to 3. Take more steps, or if the equation is stiff an implicit method "
        f"('implicit_euler', 'trapezoid'); or the solution itself grows beyond all bounds: end the interval earlier"
    )
