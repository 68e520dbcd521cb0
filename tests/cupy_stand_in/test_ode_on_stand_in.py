"""Differential equations, their adjoints, stable networks and Krylov methods on stand-ins of CuPy's arrays: the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.cupy_stand_in.same import moved, same_on_both
from tinyad import models, optim
from tinyad.models import ode

RANDOM = np.random.default_rng(0)
Y0 = RANDOM.normal(size=(2, 3))
THETA = {"K": RANDOM.normal(size=(3, 3)), "b": RANDOM.normal(size=3)}
ROWS = {"K": RANDOM.normal(size=(4, 3, 3)), "b": RANDOM.normal(size=(4, 3))}
PAIRED = ("verlet", "semi_implicit_euler")


def f(t: Any, y: Any, theta: Any) -> Any:
    return ad.tanh(y @ theta["K"] + t * theta["b"])


PAIR = (lambda t, p, theta: ad.tanh(p @ theta["K"] + t), lambda t, q, theta: ad.sin(q @ theta["K"]) + theta["b"])


def gradient(y0: Any, theta: Any, **settings: Any) -> Any:
    paired = settings["method"] in PAIRED

    def loss(y0: Any, theta: Any) -> Any:
        y = ode.odeint(PAIR if paired else f, (y0, 0.5 * y0) if paired else y0, (0.0, 1.0), theta, **settings)
        return sum(ad.sum(ad.sin(leaf)) for leaf in ad.tree.leaves(y))

    return ad.value_and_grad(loss, argnums=(0, 1))(y0, theta)


def adjoints_for(method: str) -> list[ode.Adjoint]:
    stepper = ode.METHODS[method]
    found: list[ode.Adjoint] = [ode.Tape(), ode.Discrete(), ode.Checkpoint(2, "revolve")]
    found += [ode.Reversible()] * stepper.reversible
    if isinstance(stepper, ode.RungeKutta):
        found += [ode.Symplectic(), ode.Interpolating(), ode.Forward()]
    return found + [ode.Backsolve(restarts=1)] * (method not in PAIRED)


@pytest.mark.parametrize("method", ode.METHODS)
def test_gradients(method: str) -> None:
    for adjoint in adjoints_for(method):
        same_on_both(
            f"{method}, {adjoint}",
            lambda y0, theta, adjoint=adjoint: gradient(y0, theta, method=method, steps=4, times=[0.5, 1.0], adjoint=adjoint),
            Y0, THETA,
        )  # fmt: skip


@pytest.mark.parametrize("kind", [ode.PiecewiseConstant, ode.PiecewiseLinear])
def test_controls(kind: type[ode.Control]) -> None:
    for adjoint in adjoints_for("heun"):
        same_on_both(
            f"{kind.__name__}, {adjoint}",
            lambda y0, rows, adjoint=adjoint: gradient(y0, kind(rows, (0.0, 1.0)), method="heun", steps=12, adjoint=adjoint),
            Y0, ROWS,
        )  # fmt: skip
    same_on_both("refined", lambda rows: kind(rows, (0.0, 1.0)).refined().values, ROWS)


def test_adaptive_steps_and_dense_output() -> None:
    same_on_both("rtol", lambda y0, theta: gradient(y0, theta, method="dopri5", rtol=1e-6, times=[0.2, 1.0]), Y0, THETA)
    same_on_both("dense", lambda y0, theta: ode.solve(f, y0, (0.0, 1.0), theta, rtol=1e-6)(0.3), Y0, THETA)
    same_on_both("hermite", lambda y0, theta: ode.solve(f, y0, (0.0, 1.0), theta, steps=5)([0.3, 0.9]), Y0, THETA)


def test_events() -> None:
    def landing(y0: Any) -> Any:
        fall = lambda t, y, gravity: ad.stack([y[1], 0.0 * y[0] - gravity])
        return ode.odeint_until(fall, y0, (0.0, 9.0), 9.81, lambda t, y, g: y[0], rtol=1e-8).time

    same_on_both("event", ad.grad(landing), np.array([20.0, 1.0]))


def test_float32_stays() -> None:
    narrow = ad.tree.map(lambda x: x.astype(np.float32), (Y0, THETA))
    same_on_both("float32", lambda y0, theta: gradient(y0, theta, method="rk4", steps=4), *narrow)


@pytest.mark.parametrize(
    "dynamics",
    [models.Plain(), models.Antisymmetric(gamma=0.1), models.Parabolic(), models.Hamiltonian(), models.DoubleHamiltonian(),
     models.SecondOrder()],
    ids=lambda dynamics: type(dynamics).__name__,
)  # fmt: skip
def test_networks(dynamics: models.Dynamics) -> None:
    net = models.StableNet.create(0, dynamics, features=2, width=4, classes=2, depth=3, final_time=2.0)
    data = models.circle(20, seed=0)
    loss = lambda net, x, y: models.softmax_cross_entropy(net(x), y) + models.roughness(net.control, 1e-3)
    same_on_both("gradient", ad.value_and_grad(loss), net, data.x, data.y)
    same_on_both("prolonged", lambda net, x: net.prolonged().states(x), net, data.x)

    def numbers(net: Any, x: Any) -> Any:
        report = models.stability_report(net, x)
        return report.growth, report.gradient

    for a, b in zip(numbers(net, data.x[:3]), on_host(numbers, net, data.x[:3]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def on_host(function: Any, *args: Any) -> Any:
    """A function of arrays on the device whose results are for the host."""
    return function(*moved(args))


def test_tables_of_adjoints() -> None:
    def errors(y0: Any, theta: Any) -> Any:
        problem = ode.Problem(f, y0, (0.0, 1.0), theta, lambda y: ad.sum(y * y))
        return [row.error for row in ode.compare_adjoints(problem, "heun", (4, 8), [ode.Discrete(), ode.Backsolve()]).rows]

    np.testing.assert_allclose(on_host(errors, Y0, THETA), errors(Y0, THETA), rtol=1e-8)


@pytest.mark.parametrize("solver", [optim.cg, optim.gmres])
def test_krylov(solver: Any) -> None:
    A = RANDOM.normal(size=(6, 6))
    A = A @ A.T + np.eye(6)
    same_on_both(solver.__name__, lambda A, b: solver(lambda v: A @ v, b, tolerance=1e-12).x, A, RANDOM.normal(size=6))
