"""Differential equations: tinyad agrees with diffrax and torchdiffeq, on equations that each of them gets from the same lines.

Where the methods are the same, down to the times of the steps, values and gradients agree to rounding. Where each library chooses
its steps by itself they agree to the tolerance that was asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("diffrax", reason="the peers are not installed: make test-peers")
pytest.importorskip("torchdiffeq", reason="the peers are not installed: make test-peers")

import diffrax
import jax
import jax.numpy
import optimistix
import torch
import torchdiffeq

import tinyad as ad
from tests.models.ode.problems import THETA, Y0, distance
from tinyad.models import ode

jax.config.update("jax_enable_x64", True)

Array = np.ndarray[Any, Any]
Results = dict[str, Array]
"""The solution at the end ("value"), and the gradient of half its square sum by "y0" and by each parameter."""

ROUNDING = 1e-12
END = 1.5
EVEN = tuple((np.arange(193) / 128).tolist())
UNEVEN = tuple((np.cumsum([0, *[1, 2, 3] * 64]) / 256).tolist())
"""The times of 192 steps. They are dyadic, so that all libraries add them up without an error."""

# ---- the equations; xp is tinyad, jax.numpy or torch


class Equation(NamedTuple):
    f: Callable[[Any, Any, Any, Any], Any]
    y0: Array
    theta: dict[str, Array]


def network(xp: Any, t: Any, y: Any, theta: Any) -> Any:
    hidden = xp.tanh(y @ theta["W1"][:-1] + t * theta["W1"][-1] + theta["b1"])
    return hidden @ theta["W2"] + theta["b2"]


def hare_and_lynx(xp: Any, t: Any, y: Any, theta: Any) -> Any:
    hare, lynx = y[0], y[1]
    return xp.stack([
        theta["birth"] * hare - theta["hunt"] * hare * lynx,
        theta["gain"] * hare * lynx - theta["death"] * lynx,
    ])  # fmt: skip


def pendulum(xp: Any, t: Any, y: Any, theta: Any) -> Any:
    """Driven and damped."""
    drive = theta["drive"] * xp.cos(theta["pulse"] * t)
    return xp.stack([y[1], drive - theta["damping"] * y[1] - theta["gravity"] * xp.sin(y[0])])


def spiral(xp: Any, t: Any, y: Any, theta: Any) -> Any:
    return y**3 @ theta["A"]


def linear(xp: Any, t: Any, y: Any, theta: Any) -> Any:
    return theta["A"] @ y


def relaxation(xp: Any, t: Any, y: Any, theta: Any) -> Any:
    """A part that forgets where it came from, and one that remembers."""
    return xp.stack([-theta["rate"] * (y[0] - 1.0), xp.tanh(theta["slope"] * (y[0] - 1.0))])


def modes() -> Array:
    """Ten by ten, with five pairs of eigenvalues: decay rates from 0.1 to 2, and turns from 1 to 5 a unit of time."""
    random = np.random.default_rng(1)
    blocks = np.zeros((10, 10))
    for k, (decay, turn) in enumerate(zip(np.linspace(0.1, 2.0, 5), np.arange(1.0, 6.0), strict=True)):
        blocks[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[-decay, turn], [-turn, -decay]]
    basis = np.linalg.qr(random.normal(size=(10, 10)))[0] @ np.diag(np.linspace(0.5, 2.0, 10))
    return basis @ blocks @ np.linalg.inv(basis)


def numbers(**values: float) -> dict[str, Array]:
    return {name: np.array(value) for name, value in values.items()}


EQUATIONS = {
    "network": Equation(network, Y0, THETA),
    "hare and lynx": Equation(hare_and_lynx, np.array([1.0, 0.5]), numbers(birth=1.5, hunt=1.0, gain=1.0, death=3.0)),
    "pendulum": Equation(pendulum, np.array([1.0, 0.5]), numbers(gravity=4.0, damping=0.2, drive=1.0, pulse=3.0)),
    "spiral": Equation(spiral, np.array([2.0, 0.0]), {"A": np.array([[-0.1, 2.0], [-2.0, -0.1]])}),
    "linear": Equation(linear, np.random.default_rng(2).normal(size=10), {"A": modes()}),
    "relaxation": Equation(relaxation, np.array([3.0, 0.0]), numbers(rate=10.0, slope=2.0)),
}
each_equation = pytest.mark.parametrize("name", EQUATIONS)


def agree(found: Results, expected: Results, tolerance: float) -> None:
    gaps = {what: distance(found[what], expected[what]) for what in expected}
    assert max(gaps.values()) <= tolerance, gaps


# ---- tinyad


def ours(name: str, adjoint: ode.Adjoint | None = None, **settings: Any) -> Results:
    f, y0, theta = EQUATIONS[name]

    def end(y0: Any, theta: Any) -> Any:
        return ode.odeint(functools.partial(f, ad), y0, (0.0, END), theta, adjoint=adjoint, **settings)

    value, pull = ad.vjp(end, y0, theta)
    of_y0, of_theta = pull(value)
    return {"value": value, "y0": of_y0, **of_theta}


# ---- diffrax: what it compiles is compiled once

# A function runs a few times: to compile it takes all the time.
_LITTLE_EFFORT = {"xla_cpu_parallel_codegen_split_count": 1, "xla_backend_optimization_level": 0}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(function, compiler_options=_LITTLE_EFFORT)


def _solution(f: Any, solver: Any, y0: Any, theta: Any, **settings: Any) -> Any:
    settings = {"t0": 0.0, "t1": END, "dt0": None, "max_steps": 4096} | settings
    return diffrax.diffeqsolve(diffrax.ODETerm(f), solver, y0=y0, args=theta, **settings)


def _half_square(y: Any) -> Any:
    return sum((leaf**2).sum() for leaf in jax.tree.leaves(y)) / 2


def of_tableau(numbers: ode.Tableau) -> Any:
    """A solver of diffrax with our numbers."""

    class Solver(diffrax.AbstractERK):  # type: ignore[misc]
        tableau = diffrax.ButcherTableau(
            a_lower=tuple(row[: k + 1] for k, row in enumerate(numbers.A[1:])),
            b_sol=numbers.b, b_error=0.0 * numbers.b, c=numbers.c[1:],
        )  # fmt: skip
        interpolation_cls = diffrax.ThirdOrderHermitePolynomialInterpolation.from_k

        def order(self, terms: Any) -> int:
            return numbers.order

    return Solver()


@functools.cache
def with_diffrax(solver: Any, times: tuple[float, ...] = UNEVEN, backsolve: bool = False) -> dict[str, Results]:
    """All equations side by side in one solution, in steps from each of the times to the next."""
    steps, back = (diffrax.StepTo(jax.numpy.asarray(ts)) for ts in (times, times[::-1]))
    adjoint = diffrax.BacksolveAdjoint(stepsize_controller=back) if backsolve else diffrax.RecursiveCheckpointAdjoint()

    def f(t: Any, y: Any, theta: Any) -> Any:
        return {name: EQUATIONS[name].f(jax.numpy, t, y[name], theta[name]) for name in y}

    def loss(y0: Any, theta: Any) -> Any:
        y = jax.tree.map(lambda ys: ys[-1], _solution(f, solver, y0, theta, stepsize_controller=steps, adjoint=adjoint).ys)
        return _half_square(y), y

    y0 = {name: equation.y0 for name, equation in EQUATIONS.items()}
    theta = {name: equation.theta for name, equation in EQUATIONS.items()}
    (_, value), (of_y0, of_theta) = compiled(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(y0, theta)
    return {name: {"value": value[name], "y0": of_y0[name], **of_theta[name]} for name in EQUATIONS}


class Adaptive(NamedTuple):
    results: Results
    times: Array


@functools.cache
def _adaptive_diffrax(name: str) -> Callable[..., Any]:
    f = EQUATIONS[name].f

    def loss(y0: Any, theta: Any, rtol: Any) -> Any:
        found = _solution(
            functools.partial(f, jax.numpy), diffrax.Dopri5(), y0, theta, saveat=diffrax.SaveAt(steps=True),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol),
        )  # fmt: skip
        y = found.ys[found.stats["num_accepted_steps"] - 1]
        return _half_square(y), (y, found.ts)

    return compiled(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))


@functools.cache
def adaptive_diffrax(name: str, rtol: float) -> Adaptive:
    _, y0, theta = EQUATIONS[name]
    (_, (value, times)), (of_y0, of_theta) = _adaptive_diffrax(name)(y0, theta, rtol)
    times = np.asarray(times)
    return Adaptive({"value": value, "y0": of_y0, **of_theta}, np.array([0.0, *times[np.isfinite(times)]]))


# ---- torchdiffeq


def grid(times: tuple[float, ...]) -> dict[str, Any]:
    """The option that makes these the times of the steps, from the last to the first where torchdiffeq goes back."""
    ahead = torch.tensor(times, dtype=torch.float64)
    return {"grid_constructor": lambda f, y0, t: ahead if t[0] < t[-1] else ahead.flip(0)}


def with_torchdiffeq(name: str, backsolve: bool = False, **settings: Any) -> Results:
    f, y0, theta = EQUATIONS[name]
    y0 = torch.tensor(y0, requires_grad=True)
    theta = {key: torch.tensor(x, requires_grad=True) for key, x in theta.items()}
    more = {"adjoint_params": tuple(theta.values())} if backsolve else {}
    solve = torchdiffeq.odeint_adjoint if backsolve else torchdiffeq.odeint
    value = solve(lambda t, y: f(torch, t, y, theta), y0, torch.tensor([0.0, END]).double(), **settings, **more)[-1]
    of_y0, *of_theta = torch.autograd.grad((value**2).sum() / 2, (y0, *theta.values()))
    return {"value": value.detach().numpy(), "y0": of_y0.numpy()} | {
        key: x.numpy() for key, x in zip(theta, of_theta, strict=True)
    }


# ---- the same steps


class Method(NamedTuple):
    ours: str | ode.Tableau
    diffrax: Any = None
    torchdiffeq: str | None = None


RALSTON = ode.Tableau([[0, 0], [2 / 3, 0]], [1 / 4, 3 / 4], [0, 2 / 3], 2, name="ralston")
HEUN3 = ode.Tableau([[0, 0, 0], [1 / 3, 0, 0], [0, 2 / 3, 0]], [1 / 4, 0, 3 / 4], [0, 1 / 3, 2 / 3], 3, name="heun3")
THREE_EIGHTHS = ode.Tableau(
    [[0, 0, 0, 0], [1 / 3, 0, 0, 0], [-1 / 3, 1, 0, 0], [1, -1, 1, 0]], [1 / 8, 3 / 8, 3 / 8, 1 / 8], [0, 1 / 3, 2 / 3, 1], 4,
    name="three_eighths",
)  # fmt: skip
EXPLICIT = {
    "euler": Method("euler", diffrax.Euler(), "euler"),
    "midpoint": Method("midpoint", diffrax.Midpoint(), "midpoint"),
    "heun": Method("heun", diffrax.Heun(), "heun2"),
    "ralston": Method(RALSTON, diffrax.Ralston()),  # the one of order 2, which we know by its tableau alone
    "ralston3": Method("ralston3", of_tableau(ode.RALSTON3)),
    "heun3": Method(HEUN3, None, "heun3"),
    "rk4": Method("rk4", of_tableau(ode.RK4)),
    "three eighths": Method(THREE_EIGHTHS, None, "rk4"),  # what torchdiffeq calls rk4
    "dopri5": Method("dopri5", diffrax.Dopri5()),
}
ADJOINTS = [ode.Discrete(), ode.Tape(), ode.Checkpoint(), ode.Checkpoint(8, "revolve"), ode.Symplectic()]


@each_equation
@pytest.mark.parametrize("method", EXPLICIT)
def test_explicit_methods(method: str, name: str) -> None:
    own, solver, torchs = EXPLICIT[method]
    peers = [with_diffrax(solver)[name]] if solver else []
    peers += [with_torchdiffeq(name, method=torchs, options=grid(UNEVEN))] if torchs else []
    for adjoint in ADJOINTS:
        found = ours(name, adjoint, method=own, steps=UNEVEN)
        for expected in peers:
            agree(found, expected, ROUNDING)


@each_equation
def test_reversible_heun(name: str) -> None:
    """Undone only where steps backwards do not magnify errors of rounding: the relaxation would do so 3 million times."""
    expected = with_diffrax(diffrax.ReversibleHeun(), EVEN)[name]
    for adjoint in (ode.Discrete(), ode.Tape(), *([ode.Reversible()] if name != "relaxation" else [])):
        agree(ours(name, adjoint, method="reversible_heun", steps=192), expected, ROUNDING)


@each_equation
@pytest.mark.parametrize("method", ["heun", "rk4", "three eighths"])
def test_the_continuous_adjoint_in_the_same_steps(method: str, name: str) -> None:
    own, solver, torchs = EXPLICIT[method]
    found = ours(name, ode.Backsolve(), method=own, steps=UNEVEN)
    if solver:
        agree(found, with_diffrax(solver, backsolve=True)[name], ROUNDING)
    if torchs:
        agree(found, with_torchdiffeq(name, backsolve=True, method=torchs, options=grid(UNEVEN)), ROUNDING)


@each_equation
def test_implicit_euler(name: str) -> None:
    solver = diffrax.ImplicitEuler(root_finder=optimistix.Newton(rtol=1e-12, atol=1e-12))
    for adjoint in (ode.Discrete(), ode.Tape()):
        agree(ours(name, adjoint, method="implicit_euler", steps=UNEVEN), with_diffrax(solver)[name], 1e-10)


# ---- steps that each chooses by itself


@each_equation
def test_the_steps_that_diffrax_chose(name: str) -> None:
    expected, times = adaptive_diffrax(name, 1e-6)
    agree(ours(name, method="dopri5", steps=times), expected, ROUNDING)


@each_equation
@pytest.mark.parametrize("tolerance", [1e-6, 1e-9])
def test_steps_by_tolerance(tolerance: float, name: str) -> None:
    found = ours(name, rtol=tolerance, atol=tolerance)
    agree(found, adaptive_diffrax(name, tolerance).results, 100 * tolerance)
    agree(found, with_torchdiffeq(name, method="dopri5", rtol=tolerance, atol=tolerance), 100 * tolerance)


@pytest.mark.parametrize("name", [name for name in EQUATIONS if name != "relaxation"])
def test_the_continuous_adjoint_by_tolerance(name: str) -> None:
    """But for the equation that, solved backwards, makes an error 3 million times larger (exp(10 * 1.5)): all lose its gradient."""
    found = ours(name, ode.Backsolve(rtol=1e-9, atol=1e-9), rtol=1e-9, atol=1e-9)
    agree(found, with_torchdiffeq(name, backsolve=True, method="dopri5", rtol=1e-9, atol=1e-9), 1e-7)


# ---- outputs on the way, and an end that is found


@each_equation
def test_outputs_at_requested_times(name: str) -> None:
    f, y0, theta = EQUATIONS[name]
    asked = np.array([0.0, 0.1, 0.7, 1.1, END])
    found = ode.odeint(functools.partial(f, ad), y0, (0.0, END), theta, times=asked, rtol=1e-9, atol=1e-9)
    parameters = {key: torch.tensor(x) for key, x in theta.items()}
    with_torch = torchdiffeq.odeint(
        lambda t, y: f(torch, t, y, parameters), torch.tensor(y0), torch.tensor(asked), rtol=1e-9, atol=1e-9
    )
    with_jax = _solution(
        functools.partial(f, jax.numpy), diffrax.Dopri5(), y0, theta, saveat=diffrax.SaveAt(ts=asked),
        stepsize_controller=diffrax.PIDController(rtol=1e-9, atol=1e-9, step_ts=asked),
    )  # fmt: skip
    assert distance(found, with_torch.numpy()) <= 1e-7  # whose outputs lie on a polynomial of order 4
    assert distance(found, np.asarray(with_jax.ys)) <= 1e-7


def test_the_time_of_an_event_and_its_gradient() -> None:
    """The pendulum passes through the vertical."""
    f, y0, theta = EQUATIONS["pendulum"]

    def in_tinyad(y0: Any, theta: Any) -> Any:
        return ode.odeint_until(
            functools.partial(f, ad), y0, (0.0, 9.0), theta, lambda t, y, theta: y[0], rtol=1e-11, atol=1e-11
        ).time

    def in_diffrax(y0: Any, theta: Any) -> Any:
        solution = _solution(
            functools.partial(f, jax.numpy), diffrax.Dopri5(), y0, theta, t1=9.0,
            stepsize_controller=diffrax.PIDController(rtol=1e-11, atol=1e-11),
            event=diffrax.Event(
                lambda t, y, args, **_: y[0], root_finder=optimistix.Newton(rtol=1e-12, atol=1e-12, norm=optimistix.rms_norm)
            ),
        )  # fmt: skip
        return solution.ts[-1]

    time, pull = ad.vjp(in_tinyad, y0, theta)
    of_y0, of_theta = pull(1.0)
    expected, (expected_y0, expected_theta) = compiled(jax.value_and_grad(in_diffrax, argnums=(0, 1)))(y0, theta)
    assert 0 < time < 9
    agree({"time": time, "y0": of_y0, **of_theta}, {"time": expected, "y0": expected_y0, **expected_theta}, 1e-7)

    y = torch.tensor(y0, requires_grad=True)
    parameters = {key: torch.tensor(x, requires_grad=True) for key, x in theta.items()}
    of_torch, _ = torchdiffeq.odeint_event(
        lambda t, y: f(torch, t, y, parameters), y, torch.tensor(0.0).double(), event_fn=lambda t, y: y[0], rtol=1e-9, atol=1e-9,
        odeint_interface=torchdiffeq.odeint,
    )  # fmt: skip
    assert distance(time, of_torch.detach().numpy()) <= 1e-7
