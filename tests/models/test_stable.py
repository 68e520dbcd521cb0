"""Networks that are differential equations: what their structure promises, holds for any weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tinyad import models, optim
from tinyad.models import ode
from tinyad.models.ode.methods import method_named

DYNAMICS: dict[str, models.Dynamics] = {
    "plain": models.Plain(), "antisymmetric": models.Antisymmetric(), "damped": models.Antisymmetric(gamma=0.3),
    "parabolic": models.Parabolic(), "hamiltonian": models.Hamiltonian(), "double": models.DoubleHamiltonian(),
    "second order": models.SecondOrder(),
}  # fmt: skip
each_dynamics = pytest.mark.parametrize("dynamics", DYNAMICS.values(), ids=DYNAMICS)
X = np.random.default_rng(1).normal(size=(6, 2))


def network(dynamics: models.Dynamics, seed: int = 0, **settings: Any) -> models.StableNet:
    settings = {"features": 2, "width": 6, "classes": 3, "depth": 4, "final_time": 2.0, **settings}
    net = models.StableNet.create(seed, dynamics, **settings)
    random = np.random.default_rng(seed)
    return ad.tree.map(lambda leaf: leaf + 0.2 * random.normal(size=leaf.shape).astype(leaf.dtype), net)  # type: ignore[no-any-return]


def loss(net: Any, x: Any, y: Any) -> Any:
    return models.softmax_cross_entropy(net(x), y)


def accuracy(net: Any, x: Any, y: Any) -> Any:
    return models.accuracy(net(x), y)


# ---- the equations


def jacobian(net: models.StableNet, seed: int) -> Any:
    """Of the right-hand side at a random state."""
    theta = net.control(0.3)
    y = np.random.default_rng(seed).normal(size=6)

    def slope(y: Any) -> Any:
        if not net.dynamics.paired:
            return net.dynamics.slope(0.3, y[None], theta)[0]
        q, p = y[None, :3], y[None, 3:]
        return ad.concat([net.dynamics.of_q(0.3, p, theta)[0], net.dynamics.of_p(0.3, q, theta)[0]])

    return ad.jacobian(slope)(y)


@given(st.integers(0, 1000))
def test_where_the_eigenvalues_lie(seed: int) -> None:
    def rates(name: str) -> Any:
        return np.linalg.eigvals(jacobian(network(DYNAMICS[name], seed), seed))

    assert abs(rates("antisymmetric").real).max() < 1e-10
    # a diagonal of derivatives of tanh times a matrix: on the line -gamma where these are 1, and never right of the axis
    assert rates("damped").real.max() < 0
    for name in ("hamiltonian", "double", "second order"):
        assert abs(rates(name).real).max() < 1e-6, (
            name
        )  # eigenvalues that are 0 twice are found to the root of the rounding unit
    J = jacobian(network(DYNAMICS["parabolic"], seed), seed)
    np.testing.assert_allclose(J, J.T, atol=1e-14)
    assert np.linalg.eigvalsh(J).max() < 1e-12


def test_by_hand() -> None:
    """One step of each, as the papers write it."""
    for name, dynamics in DYNAMICS.items():
        net = network(dynamics, depth=1, final_time=0.5)
        theta, h = net.control(0.0), 0.5
        K, b = theta["K"], theta["b"]
        y = np.tanh(X @ net.opening.weight + net.opening.bias)
        q, p = y[:, :3], y[:, 3:]
        if name == "plain":
            y = y + h * np.tanh(y @ K + b)
        elif name in ("antisymmetric", "damped"):
            y = y + h * np.tanh(y @ (K - K.T - (0.3 if name == "damped" else 0.0) * np.eye(6)) + b)
        elif name == "parabolic":
            y = y - h * np.tanh(y @ K + b) @ K.T
        elif name == "second order":
            p = p - h * np.tanh(q @ K + b) @ K.T
            q = q + h * p
        else:
            L, c = (theta["L"], theta["c"]) if name == "double" else (K.T, b)
            out = (lambda z, W: z @ W.T) if name == "double" else (lambda z, W: z)
            p = p - h / 2 * out(np.tanh(q @ L + c), L)
            q = q + h * out(np.tanh(p @ K + b), K)
            p = p - h / 2 * out(np.tanh(q @ L + c), L)
        end = np.concatenate([q, p], axis=1) if dynamics.paired else y
        np.testing.assert_allclose(net.features(X), end, rtol=1e-13, err_msg=name)
        np.testing.assert_allclose(net(X), end @ net.classifier.weight + net.classifier.bias, rtol=1e-12)


def test_parabolic_steps_bring_examples_nearer() -> None:
    """For h <= 2 / |K|^2, whatever the weights."""
    net = network(DYNAMICS["parabolic"], final_time=4 * 0.3)
    for K in net.control.values["K"]:
        assert 2 / np.linalg.norm(K, 2) ** 2 >= 0.3
    states = net.states(X)
    distances = np.linalg.norm(states[:, 0] - states[:, 1], axis=-1)
    assert (np.diff(distances) <= 0).all()


def test_hamiltonian_steps_are_symplectic() -> None:
    """``M' J M = J`` for the derivative of the whole way, with weights that change."""
    for name in ("double", "second order"):
        net = network(DYNAMICS[name])

        def flow(y: Any, net: Any = net) -> Any:
            return ad.concat(list(net.flow((y[None, :3], y[None, 3:]))), axis=1)[0]

        M = ad.jacobian(flow)(np.random.default_rng(0).normal(size=6))
        J = np.block([[np.zeros((3, 3)), np.eye(3)], [-np.eye(3), np.zeros((3, 3))]])
        np.testing.assert_allclose(M.T @ J @ M, J, atol=1e-12)


def test_energy_is_bounded_over_ten_thousand_steps() -> None:
    drifts = []
    for h in (0.1, 0.05):
        net = network(DYNAMICS["double"], depth=1, steps=10_000, final_time=1e4 * h)
        theta = net.control(0.0)
        states = net.states(X[:1])[:, 0]
        energy = sum(
            np.log(np.cosh(states[:, part] @ W + b)).sum(axis=1)
            for part, W, b in ((slice(3), theta["L"], theta["c"]), (slice(3, 6), theta["K"], theta["b"]))
        )
        drifts.append(np.ptp(energy))
    assert drifts[0] < 1e-2
    assert np.log2(drifts[0] / drifts[1]) == pytest.approx(2.0, abs=0.15)


# ---- the way back


@pytest.mark.parametrize(
    ("name", "dtype", "bound"),
    [
        ("hamiltonian", np.float64, 2e-15),
        ("double", np.float64, 4e-15),
        ("hamiltonian", np.float32, 1e-6),
        ("double", np.float32, 5e-6),
    ],
)
def test_1202_layers_and_back(name: str, dtype: Any, bound: float) -> None:
    net = models.StableNet.create(0, DYNAMICS[name], features=2, width=8, classes=3, depth=1202, final_time=20.0, dtype=dtype)
    start = net.start(X.astype(dtype))
    end = net.flow(start)
    back = ode.odeint(net.dynamics.f, end, net.control.interval[::-1], net.control, method="verlet", steps=1202)
    a, b = np.concatenate(back, axis=1), np.concatenate(start, axis=1)
    drift = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    assert a.dtype == dtype
    assert 0 < drift <= bound


def test_euler_cannot_be_undone() -> None:
    def lost(depth: int) -> float:
        net = models.StableNet.create(
            0, models.Antisymmetric(), features=2, width=8, classes=3, depth=4, steps=depth, final_time=8.0
        )
        start = net.start(X)
        back = ode.odeint(net.dynamics.f, net.flow(start), (8.0, 0.0), net.control, method="euler", steps=depth)
        return float(abs(back - start).max() / abs(start).max())

    assert lost(160) > 1e-3
    assert np.log2(lost(640) / lost(1280)) == pytest.approx(1.0, abs=0.1)


@each_dynamics
def test_every_adjoint_gives_the_gradient_of_the_tape(dynamics: models.Dynamics) -> None:
    net, y = network(dynamics), np.array([0, 1, 2, 0, 1, 2])

    def gradient(adjoint: ode.Adjoint, compiled: bool = False) -> Any:
        other = ad.tree.map(lambda leaf: leaf, net)
        other.adjoint = adjoint
        of = ad.grad(loss)
        return ad.tree.ravel((ad.compile(of) if compiled else of)(other, X, y))[0]

    expected = gradient(ode.Tape())
    for adjoint in (net.adjoint, ode.Discrete(), ode.Checkpoint(2, "revolve")):
        for compiled in (False, True):
            assert np.linalg.norm(gradient(adjoint, compiled) - expected) <= 1e-13 * np.linalg.norm(expected), adjoint
    reversible = method_named(net.method).reversible
    assert net.adjoint == (ode.Reversible() if reversible else ode.Discrete())


def test_memory_of_the_gradient_does_not_depend_on_the_depth() -> None:
    def stored(depth: int) -> int:
        net, ledger = network(DYNAMICS["double"], depth=depth), ode.Ledger()
        ad.grad(lambda net: ad.sum(net.flow(net.start(X), ledger=ledger)[0]))(net)
        return ledger.stored

    assert stored(10) == stored(300) == 1


# ---- depth


@given(st.sampled_from(sorted(DYNAMICS)), st.sampled_from(["constant", "linear"]), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_prolonged_networks_approach_the_flow(name: str, control: str, depth: int) -> None:
    net = network(DYNAMICS[name], control=control, depth=depth)
    deep = net.prolonged()
    assert deep.steps == 2 * net.steps and deep.control.cells == 2 * depth
    exact = net.flow(net.start(X), method="rk4", steps=depth * 200)
    errors = []
    for other in (net, deep, deep.prolonged(), deep.prolonged().prolonged()):
        state = other.flow(other.start(X))
        errors.append(max(float(abs(a - b).max()) for a, b in zip(ad.tree.leaves(state), ad.tree.leaves(exact), strict=True)))
    assert errors[-1] < 0.7 * errors[0] or errors[0] < 1e-3


def test_roughness_is_the_integral_of_the_derivatives_square() -> None:
    knots = np.linspace(0, 2, 1001)
    control = ode.PiecewiseLinear({"a": np.sin(knots), "b": np.stack([knots, knots**2], axis=1)}, (0.0, 2.0))
    exact = (1 + np.sin(4) / 4) + 2 + 32 / 3
    assert models.roughness(control, 0.5) == pytest.approx(0.25 * exact, rel=1e-5)
    assert models.roughness(ode.PiecewiseConstant(np.array([3.0, 3.0]), (0.0, 1.0))) == 0
    with pytest.raises(ValueError, match="strength: got -1"):
        models.roughness(control, -1.0)


def test_networks_are_saved_and_loaded(tmp_path: Any) -> None:
    net = network(DYNAMICS["double"])
    models.save(tmp_path / "net", net)
    again = models.load(tmp_path / "net", like=network(DYNAMICS["double"], seed=5))
    np.testing.assert_array_equal(again(X), net(X))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dynamics": models.Hamiltonian(), "width": 5}, "width: got 5; expected an even number"),
        ({"steps": 6}, "steps: got 6; expected a multiple of depth=4"),
        ({"depth": 0}, "depth: got 0"),
        ({"control": "cubic"}, "control: got 'cubic'"),
        ({"final_time": -1.0}, "final_time: got -1.0"),
        ({"method": "verlet"}, "verlet: it moves two parts in turn"),
        ({"method": "euler2"}, "expected one of 'euler'"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    settings = {"dynamics": models.Plain(), "features": 2, "width": 6, "classes": 3, "depth": 4, **settings}
    with pytest.raises((ValueError, TypeError), match=message):
        models.StableNet.create(0, **settings)


def test_negative_damping_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gamma: got -0\.1"):
        models.Antisymmetric(gamma=-0.1)
    with pytest.raises(TypeError, match=r"activation: got 0\.1; expected a function"):
        models.Antisymmetric(0.1)  # type: ignore[arg-type]


# ---- the report


def test_the_report_knows_eulers_growth_by_hand() -> None:
    """``y' = i omega y`` as a network: Euler's step makes it grow by ``sqrt(1 + h^2 omega^2)``, Verlet's not at all."""
    net = models.StableNet.create(0, models.Antisymmetric(activation=lambda y: 1.0 * y), 2, 2, 2, depth=5, final_time=2.0)
    net.control.values["K"][:] = [[0.0, 0.75], [-0.75, 0.0]]
    report = models.stability_report(net, X)
    np.testing.assert_allclose(np.sort(report.eigenvalues.imag, axis=-1), np.broadcast_to([-1.5, 1.5], (5, 6, 2)))
    np.testing.assert_allclose(report.growth, np.sqrt(1 + (0.4 * 1.5) ** 2))
    np.testing.assert_allclose(report.response[-1], (1 + 0.36) ** 2.5, rtol=1e-6)
    np.testing.assert_allclose(report.gradient[0], (1 + 0.36) ** 2.5)
    assert report.equation_stable and not report.method_stable
    assert "take more steps, a method whose region" in str(report)
    net.method = "implicit_midpoint"
    np.testing.assert_allclose(models.stability_report(net, X).growth, 1.0)
    assert models.stability_report(net, X).method_stable


def test_the_report_of_verlet_and_its_limit() -> None:
    net = network(models.DoubleHamiltonian(activation=lambda y: 1.0 * y), depth=1, steps=4, width=2)
    net.control.values["K"][:], net.control.values["L"][:] = 1.0, 2.0  # q' = p, p' = -4 q
    for final_time, stable in ((4 * 0.99, True), (4 * 1.01, False)):  # |h omega| = 2
        net.control = ode.PiecewiseConstant(net.control.values, (0.0, final_time))
        assert models.stability_report(net, X).method_stable == stable


@each_dynamics
def test_reports_are_printed_and_drawn(dynamics: models.Dynamics, tmp_path: Any) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra plot")
    report = models.stability_report(network(dynamics), X)
    assert "equation" in str(report) and "gradient" in str(report)
    assert report.eigenvalues.shape == (4, 6, 6) and report.growth.shape == (4, 6)
    assert report.gradient.shape == (5,) and report.response.shape == (5, 6) and report.gradient[-1] == 1
    report.plot(tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 10_000


# ---- learning


FAMILIES: dict[str, tuple[models.Dynamics, dict[str, Any]]] = {
    "resnet": (models.Plain(), {}), "antisymmetric": (models.Antisymmetric(), {}), "hamiltonian": (models.Hamiltonian(), {}),
    "double hamiltonian": (models.DoubleHamiltonian(), {}), "leapfrog": (models.SecondOrder(), {}),
}  # fmt: skip


def trained(data: Any, family: str, seed: int, epochs: int, rate: float = 0.02, **settings: Any) -> float:
    dynamics, more = FAMILIES[family]
    train, validation = data.split(0.5, seed=seed)
    net = models.StableNet.create(seed, dynamics, features=2, classes=data.classes, **{**settings, **more})
    steps = epochs * -(-len(train) // 64)
    result = models.fit(
        net, loss, train, optim.adam(optim.cosine(rate, steps)), epochs=epochs, batch_size=64, validation=validation,
        metric=accuracy, best_by="metric", seed=seed,
    )  # fmt: skip
    return float(max(row["metric"] for row in result.history))


@pytest.mark.parametrize("family", FAMILIES)
def test_they_learn_the_peaks(family: str) -> None:
    assert trained(models.peaks(1000, seed=0), family, 0, epochs=40, width=8, depth=8, final_time=5.0) > 0.85


# What others reached on the validation points with second-order methods (the lowest of their seeds).
PEAKS = {"resnet": 0.925, "antisymmetric": 0.966, "hamiltonian": 0.937, "double hamiltonian": 0.937, "leapfrog": 0.937}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_accuracy_on_the_peaks_over_five_seeds(family: str) -> None:
    found = [trained(models.peaks(2000, seed=s), family, s, epochs=400, width=8, depth=8, final_time=5.0) for s in range(5)]
    assert np.mean(found) >= PEAKS[family], found


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_accuracy_on_the_circle_over_five_seeds(family: str) -> None:
    width = 3 if family in ("resnet", "antisymmetric") else 4
    found = [
        trained(models.circle(2000, seed=s), family, s, epochs=200, width=width, depth=16, final_time=20.0) for s in range(5)
    ]
    assert np.mean(found) >= 0.995, found


def test_the_report_of_weights_on_straight_lines() -> None:
    """With the same weights at both ends of each piece the report is that of constant ones."""
    x = models.peaks(20).x
    constant = models.StableNet.create(0, models.Antisymmetric(), 2, 4, 5, depth=1, steps=4)
    lines = models.StableNet.create(0, models.Antisymmetric(), 2, 4, 5, depth=1, steps=4, control="linear")
    values = {name: np.concatenate([value, value]) for name, value in constant.control.values.items()}
    same = replace(
        lines, control=replace(lines.control, values=values), opening=constant.opening, classifier=constant.classifier
    )
    expected, found = models.stability_report(constant, x), models.stability_report(same, x)
    np.testing.assert_allclose(found.growth, expected.growth, rtol=1e-12)
    np.testing.assert_allclose(found.gradient, expected.gradient, rtol=1e-12)
    assert models.stability_report(lines, x).growth.shape == (4, 20)
