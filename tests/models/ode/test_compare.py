"""The public checks: all adjoints in one table, measured orders, products written by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.models.ode.problems import PAIR, THETA, Y0, misfit, network
from tinyad import models
from tinyad.checking import check_adjoint
from tinyad.models import ode

PROBLEM = ode.Problem(network, Y0, (0.0, 1.0), THETA, misfit)


# ---- compare_adjoints


@pytest.fixture(scope="module")
def table() -> ode.AdjointTable:
    adjoints = [adjoint for adjoint in ode.ADJOINTS if adjoint != ode.Forward()]  # 200 parameters take it a while
    return ode.compare_adjoints(PROBLEM, ["heun", "rk4"], (8, 16, 32), adjoints)


def test_exact_adjoints_have_no_gap_and_the_methods_order(table: ode.AdjointTable) -> None:
    for method, order in (("heun", 2), ("rk4", 4)):
        for adjoint in (ode.Tape(), ode.Discrete(), ode.Symplectic(), ode.Checkpoint(), ode.Checkpoint(4, "revolve")):
            rows = table.of(method, adjoint)
            assert [row.steps for row in rows] == [8, 16, 32]
            assert max(row.gap for row in rows) < 1e-14
            assert rows[-1].order > order - 0.15
            assert rows[-1].error < 0.7 * rows[0].error


def test_continuous_adjoints_have_a_gap_that_falls(table: ode.AdjointTable) -> None:
    assert table.of("heun", ode.Backsolve())[-1].order > 2.85
    assert table.of("rk4", ode.Interpolating())[-1].order > 3.85
    assert np.isnan(table.of("rk4", ode.Backsolve())[0].order)


def test_the_table_counts_memory_and_work(table: ode.AdjointTable) -> None:
    (row,) = table.of("rk4", ode.Discrete())[-1:]
    assert (row.evaluations, row.vjps, row.jvps, row.stored) == (256, 128, 0, 32)
    assert [row.stored for row in table.of("rk4", ode.Backsolve())] == [1, 1, 1]
    assert [row.stored for row in table.of("rk4", ode.Tape())] == [32, 64, 128]
    refused = {(method, adjoint) for method, adjoint, _ in table.refused}
    assert refused == {("heun", "Reversible()"), ("rk4", "Reversible()")}
    assert "cannot be undone" in table.refused[0][2]


def test_the_table_is_printed_and_drawn(table: ode.AdjointTable, tmp_path: Any) -> None:
    text = str(table)
    assert re.search(r"Checkpoint\(slots=4, schedule='revolve'\) +32 +\S+ +\S+ +\S+ +432 +128 +0 +4\n", text)
    assert text.count("does not fit") == 2 and text.count("\n") == 2 * (1 + 9 * 3 - 3 + 1) - 1
    pytest.importorskip("matplotlib", reason="pictures need the extra plot")
    table.plot(tmp_path / "table.png")
    assert (tmp_path / "table.png").stat().st_size > 20_000


def test_forward_and_reversible_in_the_table() -> None:
    problem = ode.Problem(lambda t, y, rate: -rate * y, np.array([1.0, 2.0]), (0.0, 1.0), 0.5, lambda y: (y**2).sum())
    found = ode.compare_adjoints(problem, "leapfrog", (10, 20), [ode.Forward(), ode.Reversible()])
    assert [row.jvps for row in found.of("leapfrog", ode.Forward())] == [33, 63]
    assert [row.stored for row in found.of("leapfrog", ode.Reversible())] == [1, 1]
    with pytest.raises(ValueError, match="expected rising numbers of steps"):
        ode.compare_adjoints(problem, "leapfrog", (20, 10))


# ---- check_order


@pytest.mark.parametrize("method", ode.METHODS)
def test_every_method_has_its_order(method: str) -> None:
    found = ode.check_order(method)
    assert found.passed and found.slopes[-1] >= found.expected - 0.1
    if method != "dopri5":  # whose fifth order shows with more steps only
        assert found.slopes[-1] <= found.expected + 0.1
    assert not ode.check_order(method, order=found.expected + 1)


def runge_kutta(A: Any, b: Any, c: Any) -> Any:
    """A step of an explicit method, from numbers that nobody has checked."""

    def step(f: Any, t: float, h: float, y: Any) -> Any:
        k: list[Any] = []
        for row, node in zip(A, c, strict=True):
            k.append(f(t + node * h, y + h * sum((a * slope for a, slope in zip(row, k, strict=False)), 0.0)))
        return y + h * sum(weight * slope for weight, slope in zip(b, k, strict=True))

    return step


def test_wrong_nodes_are_found_on_equations_that_depend_on_time_alone() -> None:
    right = ode.RK4
    step = runge_kutta(right.A, right.b, [0.0, 0.5, 0.4, 1.0])
    assert ode.check_order(runge_kutta(right.A, right.b, right.c), order=4).passed
    assert not ode.check_order(step, order=4).passed
    at_rest: dict[str, Any] = {"f": lambda t, y, theta: np.array([y[1], -np.sin(y[0])]), "y0": np.array([1.0, 0.5])}
    assert ode.check_order(step, order=4, **at_rest).passed


def test_embedded_weights_in_place_of_the_others_are_found() -> None:
    right = ode.DOPRI5
    found = ode.check_order(runge_kutta(right.A, right.b_hat, right.c), order=5, steps=(40, 80, 160))
    assert not found.passed and found.slopes[-1] == pytest.approx(4.0, abs=0.2)
    assert "FAILED" in str(found) and "check_tableau names the condition" in str(found)


def test_orders_are_drawn(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra plot")
    ode.check_order("heun").plot(tmp_path / "order.png")
    assert (tmp_path / "order.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": lambda f, t, h, y: y}, "a function of one's own claims no order"),
        ({"method": "heun", "steps": (10,)}, "two or more rising numbers"),
        ({"method": "heun", "y0": np.ones(2)}, "give both f and y0"),
    ],
)
def test_settings_of_check_order_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ode.check_order(**settings)


# ---- check_adjoint


A = np.random.default_rng(0).normal(size=(3, 4))
DYNAMICS = [
    models.Plain(), models.Antisymmetric(gamma=0.1), models.Hamiltonian(), models.DoubleHamiltonian(), models.SecondOrder(),
    models.Parabolic(),
]  # fmt: skip


def test_products_with_a_matrix_and_its_transpose() -> None:
    found = check_adjoint(lambda v: A @ v, lambda u: A.T @ u, np.zeros(4), bound=1e-14)
    assert found.passed and found.forward == pytest.approx(found.reverse)
    assert not check_adjoint(lambda v: A @ v, lambda u: 1.001 * A.T @ u, np.zeros(4))


SINGLE = ["euler", "midpoint", "heun", "ralston3", "rk4", "dopri5"]
SINGLE += ["leapfrog", "reversible_heun"]


@pytest.mark.parametrize("method", [*SINGLE, "verlet", "semi_implicit_euler"])
def test_products_with_flow_maps(method: str) -> None:
    """Forward mode on the tape, and the strategies' own way back."""
    paired = method not in SINGLE
    f, y0 = (PAIR, (Y0, 0.5 * Y0)) if paired else (network, Y0)
    adjoints = [ode.Discrete(), ode.Checkpoint(3)] + ([ode.Symplectic()] if method in ("rk4", "dopri5") else [])
    adjoints += [ode.Reversible()] if method in ("leapfrog", "reversible_heun", "verlet", "semi_implicit_euler") else []

    def flow(adjoint: ode.Adjoint) -> Any:
        return lambda y0, theta: ode.odeint(f, y0, (0.0, 1.0), theta, method=method, steps=8, adjoint=adjoint)

    for adjoint in adjoints:
        assert check_adjoint(
            lambda v: ad.jvp(flow(ode.Tape()), (y0, THETA), v)[1],
            ad.vjp(flow(adjoint), y0, THETA)[1],
            (y0, THETA),
            bound=1e-12,
        ), adjoint


@pytest.mark.parametrize("dynamics", DYNAMICS, ids=lambda dynamics: type(dynamics).__name__)
def test_products_with_networks_and_gauss_newton(dynamics: models.Dynamics) -> None:
    x, y = models.peaks(20).x, models.peaks(20).y
    net = models.StableNet.create(0, dynamics, features=2, width=6, classes=5, depth=4)

    def scores(net: Any) -> Any:
        return net(x)

    def loss(z: Any) -> Any:
        return models.softmax_cross_entropy(z, y)

    assert check_adjoint(lambda v: ad.jvp(scores, (net,), (v,))[1], lambda u: ad.vjp(scores, net)[1](u)[0], net, bound=1e-12)
    product = lambda v: ad.gnvp(scores, loss, net, v)
    assert check_adjoint(product, product, net, bound=1e-12)


def test_trees_and_float32() -> None:
    x = {"K": np.zeros((3, 4), np.float32), "b": np.zeros(4, np.float32)}
    y = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    forward = lambda v: (y @ v["K"] + v["b"], 2 * v["b"])
    back = lambda u: {"K": y.T @ u[0], "b": u[0].sum(axis=0) + 2 * u[1]}
    assert check_adjoint(forward, back, x)
    assert not check_adjoint(forward, lambda u: {"K": y.T @ u[0], "b": u[0].sum(axis=0)}, x)


def test_products_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match=r"transpose\(u\) returned shape \(3,\) for x of shape \(4,\)"):
        check_adjoint(lambda v: A @ v, lambda u: A @ A.T @ u, np.zeros(4))
    with pytest.raises(TypeError, match="hold no floats"):
        check_adjoint(lambda v: A @ v, lambda u: A.T @ u, np.zeros(4, int))
