"""All ways to the gradient of a solution: exact ones agree to rounding, the others as fast as their order says."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.models.ode.problems import (
    PAIR,
    TARGET,
    THETA,
    Y0,
    Array,
    by_hand,
    distance,
    gradient,
    misfit,
    network,
    slopes,
    vector,
)
from tinyad.checking import taylor_table
from tinyad.models import ode
from tinyad.models.ode.adjoints import schedules

RUNGE_KUTTA = [name for name, tableau in ode.TABLEAUX.items() if tableau.explicit]
FOR_ONE = [*RUNGE_KUTTA, "leapfrog", "reversible_heun"]
FOR_PAIRS = ["semi_implicit_euler", "verlet"]
CHECKPOINTS = [ode.Checkpoint(), ode.Checkpoint(3), *[ode.Checkpoint(c, "revolve") for c in range(1, 11)]]


def exact_for(method: str) -> list[ode.Adjoint]:
    more: list[ode.Adjoint] = [ode.Symplectic()] if method in RUNGE_KUTTA else [ode.Reversible()]
    return [ode.Discrete(), *CHECKPOINTS, ode.Forward(), *more]


# ---- exact ones


@pytest.mark.parametrize("method", RUNGE_KUTTA)
def test_the_discrete_adjoint_is_that_of_the_textbooks_steps(method: str) -> None:
    """A complex step through steps that know nothing of tinyad."""
    random = np.random.default_rng(1)
    tableau, steps = ode.TABLEAUX[method], 9
    found = gradient(method, ode.Discrete(), steps)
    for _ in range(3):
        direction = random.normal(size=found.shape)
        dy, dtheta = ad.tree.ravel((Y0, THETA))[1](direction)
        moved = {name: THETA[name] + 1e-40j * dtheta[name] for name in THETA}
        y = by_hand(tableau, network, Y0 + 1e-40j * dy, 1.0, moved, steps)
        expected = (misfit(y)).imag / 1e-40
        assert found @ direction == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("times", [None, [0.25, 0.3, 1.0], [0.0, 0.5]], ids=["end", "times", "with the start"])
@pytest.mark.parametrize("method", FOR_ONE)
def test_exact_adjoints_agree(method: str, times: Any) -> None:
    expected = gradient(method, ode.Tape(), 13, times=times)
    for adjoint in exact_for(method):
        assert distance(gradient(method, adjoint, 13, times=times), expected) <= 1e-13, adjoint


@pytest.mark.parametrize("method", [*FOR_PAIRS, "rk4"])
def test_exact_adjoints_agree_on_pairs(method: str) -> None:
    pair = {"f": PAIR, "y0": (Y0, 0.5 * Y0)}
    expected = gradient(method, ode.Tape(), 13, **pair)
    for adjoint in exact_for(method):
        assert distance(gradient(method, adjoint, 13, **pair), expected) <= 1e-13, adjoint


@pytest.mark.parametrize("method", FOR_ONE)
def test_compiled_and_eager_agree(method: str) -> None:
    def loss(y0: Any, theta: Any, adjoint: ode.Adjoint) -> Any:
        return misfit(ode.odeint(network, y0, (0.0, 1.0), theta, method=method, steps=6, adjoint=adjoint)[-1])

    adjoints = [ode.Tape(), *exact_for(method)[:3], exact_for(method)[-1], ode.Backsolve(1)]
    for adjoint in adjoints + [ode.Interpolating()] * (method in RUNGE_KUTTA):
        of_both = ad.grad(lambda y0, theta, adjoint=adjoint: loss(y0, theta, adjoint), argnums=(0, 1))
        assert distance(vector(ad.compile(of_both)(Y0, THETA)), vector(of_both(Y0, THETA))) <= 1e-14, adjoint


@settings(max_examples=30)
@given(st.data())
def test_random_networks(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    d, m = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    dtype = data.draw(st.sampled_from([np.float64, np.float32]))
    method = data.draw(st.sampled_from(FOR_ONE))
    steps, t1 = data.draw(st.integers(1, 12)), data.draw(st.sampled_from([1.0, -0.7]))
    activation = data.draw(st.sampled_from([ad.tanh, ad.sin, ad.sigmoid, lambda x: x / (1 + x * x)]))
    theta = [random.normal(size=shape).astype(dtype) / 2 for shape in ((d, m), (m, d))]
    y0 = random.normal(size=(2, d)).astype(dtype)

    def loss(y0: Any, theta: Any, adjoint: ode.Adjoint) -> Any:
        f = lambda t, y, theta: activation(y @ theta[0] + t) @ theta[1]
        return ad.sum(ode.odeint(f, y0, (0.0, t1), theta, method=method, steps=steps, adjoint=adjoint) ** 2)

    def found(adjoint: ode.Adjoint) -> list[Array]:
        return ad.tree.leaves(ad.grad(loss, argnums=(0, 1))(y0, theta, adjoint))  # type: ignore[no-any-return]

    expected = found(ode.Tape())
    adjoint = data.draw(st.sampled_from(exact_for(method)))
    for a, b in zip(found(adjoint), expected, strict=True):
        assert a.dtype == dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=(1e-13 if dtype == np.float64 else 2e-5) * (1 + np.abs(b).max()))


def test_taylor_remainders_fall_as_they_should() -> None:
    def loss(theta: Any) -> Any:
        return misfit(ode.odeint(network, Y0, (0.0, 1.0), theta, steps=16))

    assert taylor_table(loss, THETA).passed


# ---- continuous ones


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4), ("dopri5", 5)])
def test_the_gap_of_the_continuous_adjoints_falls_with_the_order(method: str, order: int) -> None:
    steps = (8, 16, 32, 64, 128)
    for adjoint, expected in ((ode.Backsolve(), order), (ode.Interpolating(), min(order, 4))):
        gaps = [distance(gradient(method, adjoint, n), gradient(method, ode.Discrete(), n)) for n in steps]
        gaps = [gap for gap in gaps if gap > 1e-12]  # below, rounding
        assert slopes(gaps)[-1] >= expected - 0.15, (adjoint, gaps)
        assert method != "rk4" or gaps[-1] <= 1e-8


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4), ("dopri5", 5)])
def test_all_converge_to_the_exact_gradient(method: str, order: int) -> None:
    exact = gradient("dopri5", ode.Discrete(), 400)
    steps = (16, 32, 64, 128) if order < 5 else (8, 16, 32)
    for adjoint in (ode.Discrete(), ode.Backsolve()):
        errors = [distance(gradient(method, adjoint, n), exact) for n in steps]
        assert slopes(errors)[-1] >= order - 0.15, (adjoint, errors)


def relaxation(t: Any, y: Any, theta: Any) -> Any:
    """A fast decay to an equilibrium that is not 0, and what depends on it: lost when it is followed backwards."""
    rate, a = theta
    return ad.stack([-rate * (y[0] - 1.0), ad.tanh(a * (y[1] * 0.0 + y[0] - 1.0))])


@pytest.mark.parametrize("steps", [64, 4096])
def test_backsolve_is_lost_where_the_equation_forgets(steps: int) -> None:
    def of_a(adjoint: ode.Adjoint, rate: float, steps: int) -> float:
        def loss(a: Any) -> Any:
            return ode.odeint(relaxation, np.array([3.0, 0.0]), (0.0, 1.0), (rate, a), steps=steps, adjoint=adjoint)[1]

        return float(ad.compile(ad.grad(loss))(0.5))

    exact = of_a(ode.Discrete(), 40.0, steps)
    assert abs(of_a(ode.Backsolve(), 40.0, steps) / exact - 1) > 0.5
    if steps == 4096:
        assert abs(of_a(ode.Backsolve(restarts=15), 40.0, steps) / exact - 1) <= 1e-8
        assert abs(of_a(ode.Interpolating(), 40.0, steps) / exact - 1) <= 1e-8
        assert abs(of_a(ode.Backsolve(), 10.0, steps) / of_a(ode.Discrete(), 10.0, steps) - 1) <= 1e-10


# ---- memory and work


def ledger_of(method: str, adjoint: ode.Adjoint, steps: int, **settings: Any) -> ode.Ledger:
    ledger = ode.Ledger()
    gradient(method, adjoint, steps, ledger=ledger, **settings)
    return ledger


@pytest.mark.parametrize(
    ("method", "adjoint", "evaluations", "vjps"),
    [
        ("rk4", ode.Tape(), 256, 256), ("rk4", ode.Discrete(), 512, 256), ("rk4", ode.Symplectic(), 512, 256),
        ("rk4", ode.Backsolve(), 512, 256), ("rk4", ode.Interpolating(), 321, 256), ("reversible_heun", ode.Reversible(), 129, 65),
    ],
)  # fmt: skip
def test_work(method: str, adjoint: ode.Adjoint, evaluations: int, vjps: int) -> None:
    found = ledger_of(method, adjoint, 64)
    assert (found.evaluations, found.vjps) == (evaluations, vjps)


@pytest.mark.parametrize(
    ("method", "adjoint"),
    [("reversible_heun", ode.Reversible()), ("leapfrog", ode.Reversible()), ("verlet", ode.Reversible()), ("rk4", ode.Backsolve()),
     ("rk4", ode.Backsolve(restarts=3)), ("rk4", ode.Forward()), ("rk4", ode.Checkpoint(3, "revolve"))],
)  # fmt: skip
def test_memory_that_does_not_depend_on_the_number_of_steps(method: str, adjoint: ode.Adjoint) -> None:
    def stored(steps: int) -> int:
        f, y0 = (lambda t, y, theta: -theta * y), np.float64(1.0)
        ledger, paired = ode.Ledger(), method == "verlet"

        def loss(theta: Any) -> Any:
            found = ode.odeint((f, f) if paired else f, (y0, y0) if paired else y0, (0.0, 1.0), theta,
                               method=method, steps=steps, adjoint=adjoint, ledger=ledger)  # fmt: skip
            return ad.tree.leaves(found)[0]

        ad.grad(loss)(0.5)
        return ledger.stored

    assert stored(1600) == stored(16)


def test_memory_of_the_others() -> None:
    assert ledger_of("rk4", ode.Discrete(), 64).stored == 64
    assert ledger_of("rk4", ode.Checkpoint(), 64).stored == 8 + 8  # pieces, and the states of one
    for slots in range(1, 6):
        assert ledger_of("rk4", ode.Checkpoint(slots, "revolve"), 64).stored == slots


def least(steps: int, slots: int, table: dict[tuple[int, int], int]) -> int:
    """The fewest extra steps, by trying every place for the next checkpoint."""
    if steps <= 1:
        return 0
    if slots == 1:
        return steps * (steps - 1) // 2
    if (steps, slots) not in table:
        table[steps, slots] = min(m + least(steps - m, slots - 1, table) + least(m, slots, table) for m in range(1, steps))
    return table[steps, slots]


def test_revolve_takes_the_fewest_steps_in_the_room_it_has() -> None:
    table: dict[tuple[int, int], int] = {}
    for slots in range(1, 9):
        for steps in range(1, 65):
            actions = list(schedules.revolve(steps, slots))
            taken = sum(action[2] - action[1] for action in actions if action[0] == "advance")
            assert taken == schedules.extra_steps(steps, slots) == least(steps, slots, table)
            assert [action[1] for action in actions if action[0] == "pull"] == list(range(steps))[::-1]
            held, most = set(), 0
            for what, n, *_ in actions:
                held = held | {n} if what == "store" else held - {n} if what == "free" else held
                assert what != "restore" or n in held
                most = max(most, len(held))
            assert most <= slots and not held


@pytest.mark.parametrize(("steps", "slots"), [(10, 3), (33, 4)])
def test_the_adjoint_takes_the_steps_of_its_schedule(steps: int, slots: int) -> None:
    found = ledger_of("rk4", ode.Checkpoint(slots, "revolve"), steps)
    # the way there takes one step more than the schedule, the last, to the solution; then each step is pulled back once
    assert found.steps == schedules.extra_steps(steps, slots) + 1 + steps


def test_uniform_checkpoints_cover_all_steps() -> None:
    for steps in (1, 5, 10, 16):
        for slots in (1, 2, 3, 7):
            pulls = [action[1:] for action in schedules.uniform(steps, min(slots, steps)) if action[0] == "pull"]
            assert [n for first, last in pulls[::-1] for n in range(first, last)] == list(range(steps))


# ---- reversibility


def test_states_are_found_again() -> None:
    field = ode.Field(network, ode.Ledger())
    method = ode.METHODS["reversible_heun"]
    h, n = 1 / 2048, 2048
    state = method.start(field, 0.0, h, Y0, THETA)
    for k in range(n):
        state = method.step(field, k * h, h, state, THETA)
    for k in reversed(range(n)):
        state = method.undo(field, k * h, h, state, THETA)
    assert distance(state[0], Y0) <= 1e-10


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_network_of_1202_layers_and_back(dtype: Any) -> None:
    random = np.random.default_rng(0)
    K, b = random.normal(size=(8, 8)).astype(dtype) / 3, random.normal(size=8).astype(dtype)
    f = (lambda t, p, theta: ad.tanh(p @ theta[0] + theta[1]), lambda t, q, theta: -ad.tanh(q @ theta[0].T + theta[1]))
    start = tuple(random.normal(size=(5, 8)).astype(dtype) for _ in range(2))
    field, method, h = ode.Field(f, ode.Ledger()), ode.METHODS["verlet"], 20.0 / 1202
    state = start
    for k in range(1202):
        state = method.step(field, k * h, h, state, (K, b))
    for k in reversed(range(1202)):
        state = method.undo(field, k * h, h, state, (K, b))
    assert distance(vector(state), vector(start)) <= (1e-14 if dtype == np.float64 else 1e-5)
    assert all(leaf.dtype == dtype for leaf in state)


@pytest.mark.parametrize("method", FOR_PAIRS)
def test_methods_for_pairs_are_symplectic(method: str) -> None:
    """``M' J M = J`` for the derivative of a step of a pendulum."""
    f = (lambda t, p, theta: p, lambda t, q, theta: -ad.sin(q))
    field, J = ode.Field(f, ode.Ledger()), np.array([[0.0, 1.0], [-1.0, 0.0]])

    def step(x: Any) -> Any:
        return ad.stack(ode.METHODS[method].step(field, 0.0, 0.3, (x[0], x[1]), None))

    M = ad.jacobian(step)(np.array([0.7, -0.4]))
    np.testing.assert_allclose(M.T @ J @ M, J, atol=1e-14)


def test_energy_stays_bounded_over_ten_thousand_steps() -> None:
    f = (lambda t, p, theta: p, lambda t, q, theta: -ad.sin(q))
    drifts = []
    for h in (0.1, 0.05):
        field, state = ode.Field(f, ode.Ledger()), (np.float64(1.0), np.float64(0.0))
        energies = []
        for _ in range(10_000):
            state = ode.VERLET.step(field, 0.0, h, state, None)
            energies.append(0.5 * state[1] ** 2 - np.cos(state[0]))
        drifts.append(np.ptp(energies))
    assert drifts[0] < 2e-3
    assert math.log2(drifts[0] / drifts[1]) == pytest.approx(2.0, abs=0.1)


# ---- composition


def test_second_derivatives() -> None:
    direction = np.random.default_rng(3).normal(size=Y0.shape)

    def products(adjoint: ode.Adjoint, method: str) -> Array:
        def loss(y0: Any) -> Any:
            return misfit(ode.odeint(network, y0, (0.0, 1.0), THETA, steps=5, adjoint=adjoint, method=method))

        return ad.hvp(loss, Y0, direction)  # type: ignore[no-any-return]

    for method in ("rk4", "reversible_heun"):
        expected = products(ode.Tape(), method)
        for adjoint in exact_for(method):
            assert distance(products(adjoint, method), expected) <= 1e-12, adjoint
    for adjoint in (ode.Backsolve(), ode.Interpolating()):
        with pytest.raises(TypeError, match=r"neither forward mode nor second derivatives.*\n?.*Discrete\(\)"):
            products(adjoint, "rk4")


@pytest.mark.parametrize("adjoint", [ode.Tape(), ode.Discrete(), ode.Checkpoint(2, "revolve"), ode.Forward()], ids=repr)
def test_forward_mode_and_many_initial_values(adjoint: ode.Adjoint) -> None:
    random = np.random.default_rng(4)
    dy, y = random.normal(size=Y0.shape), np.random.default_rng(5).normal(size=(3, *Y0.shape))

    def solve(y0: Any) -> Any:
        return ode.odeint(network, y0, (0.0, 1.0), THETA, steps=5, adjoint=adjoint)

    tangent = ad.jvp(solve, (Y0,), (dy,))[1]
    expected = ad.jvp(lambda y0: ode.odeint(network, y0, (0.0, 1.0), THETA, steps=5, adjoint=ode.Tape()), (Y0,), (dy,))[1]
    np.testing.assert_allclose(tangent, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ad.vmap(solve)(y), [solve(one) for one in y], rtol=1e-13)
    of_one = ad.grad(lambda y0: misfit(solve(y0)))
    np.testing.assert_allclose(ad.vmap(of_one)(y), [of_one(one) for one in y], rtol=1e-11, atol=1e-14)


def test_a_tensor_that_is_closed_over_is_refused_not_forgotten() -> None:
    def decayed(rate: Any, y0: Any) -> Any:
        return ode.odeint(lambda t, y, theta: -rate * y, y0, (0.0, 1.0))

    with pytest.raises(ValueError, match=r"uses a recorded Tensor that it does not get as an argument.*Pass it as an argument"):
        ad.grad(lambda rate: decayed(rate, 2.0 * rate))(0.5)
    # on its own it is the tape that remembers
    assert ad.grad(lambda rate: decayed(rate, 1.0))(0.5) == pytest.approx(-np.exp(-0.5), rel=1e-8)


# ---- what does not fit


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: gradient("rk4", ode.Reversible(), 4),
            TypeError,
            "a step of 'rk4' cannot be undone. Take method='reversible_heun'",
        ),
        (lambda: gradient("leapfrog", ode.Symplectic(), 4), TypeError, "Symplectic: made of the tableau .* 'leapfrog' is not"),
        (lambda: gradient("leapfrog", ode.Interpolating(), 4), TypeError, "Interpolating: .* 'leapfrog' is not"),
        (lambda: gradient("verlet", ode.Discrete(), 4), TypeError, "verlet: it moves two parts in turn"),
        (lambda: gradient("verlet", ode.Backsolve(), 4, PAIR, (Y0, Y0)), TypeError, "Backsolve: 'verlet' moves a pair"),
        (lambda: ode.Checkpoint(0), ValueError, "slots=0; expected a whole number of at least 1"),
        (lambda: ode.Checkpoint(2, "binary"), ValueError, "schedule='binary'; expected 'revolve' or 'uniform'"),
        (lambda: ode.Backsolve(restarts=-1), ValueError, "restarts=-1; expected a whole number"),
        (lambda: gradient("rk5", ode.Discrete(), 4), ValueError, "method='rk5'; expected one of 'euler'"),
        (lambda: gradient("rk4", ode.Discrete(), 0), ValueError, "steps=0; expected a whole number of at least 1"),
        (lambda: gradient("rk4", ode.Discrete(), 4, times=[]), ValueError, "times is empty"),
        (
            lambda: gradient("rk4", ode.Discrete(), 4, times=[0.5, 0.5]),
            ValueError,
            r"times\[1\]=0.5 comes after 0.5; .* rise strictly",
        ),
        (lambda: gradient("rk4", ode.Discrete(), 4, times=[-0.5]), ValueError, r"times\[0\]=-0.5 comes after 0"),
        (lambda: gradient("rk4", ode.Discrete(), 4, times=[2.0]), ValueError, r"times\[0\]=2 lies beyond t1=1"),
        (
            lambda: gradient("rk4", ode.Discrete(), 4, lambda t, y, theta: y[0]),
            ValueError,
            r"returned shape \(4,\) for y of shape \(8, 4\)",
        ),
        (lambda: gradient("rk4", ode.Discrete(), 4, lambda t, y, theta: (y, y)), ValueError, r"what f\(t, y, theta\) returned"),
        (
            lambda: gradient("rk4", ode.Discrete(), 4, y0=Y0.astype(np.float32)),
            TypeError,
            "returned float64 for y of dtype float32",
        ),
        (lambda: gradient("rk4", ode.Discrete(), 4, 3.0), TypeError, r"f=3.0; expected a function"),
    ],
)
def test_refused_with_a_clear_message(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_float32_stays() -> None:
    theta = {name: value.astype(np.float32) for name, value in THETA.items()}
    y0 = Y0.astype(np.float32)
    for method in FOR_ONE:
        for f in (ad.grad, lambda g, argnums: ad.compile(ad.grad(g, argnums=argnums))):
            loss = lambda y0, theta, method=method: ad.sum(
                (ode.odeint(network, y0, (0.0, 1.0), theta, method=method, steps=3) - TARGET.astype(np.float32)) ** 2
            )
            assert {leaf.dtype for leaf in ad.tree.leaves(f(loss, argnums=(0, 1))(y0, theta))} == {np.dtype(np.float32)}


BIG = np.linspace(-1.0, 1.0, 20_000)


def most_states(adjoint: ode.Adjoint, steps: int, method: str = "rk4") -> float:
    """How many states exist at most during a gradient, by what Python and NumPy hold."""

    def end(y: Any) -> Any:
        return ode.odeint(lambda t, y, theta: -y, y, (0.0, 1.0), method=method, steps=steps, adjoint=adjoint)

    tracemalloc.start()
    ad.vjp(end, BIG)[1](BIG)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / BIG.nbytes


def test_memory_is_that_of_the_states_kept() -> None:
    assert most_states(ode.Checkpoint(20, "revolve"), 60) - most_states(ode.Checkpoint(5, "revolve"), 60) == pytest.approx(
        15, abs=0.2
    )
    assert most_states(ode.Checkpoint(5, "revolve"), 600) == pytest.approx(
        most_states(ode.Checkpoint(5, "revolve"), 60), abs=0.2
    )
    reversible = [most_states(ode.Reversible(), steps, "leapfrog") for steps in (16, 1600)]
    assert reversible[1] == pytest.approx(reversible[0], abs=0.1)


def test_a_second_way_back_begins_anew() -> None:
    def end(y: Any) -> Any:
        return ode.odeint(lambda t, y, theta: -y, y, (0.0, 1.0), steps=60, adjoint=ode.Checkpoint(5, "revolve"))

    _, pull = ad.vjp(end, BIG)
    np.testing.assert_array_equal(pull(BIG), pull(BIG))


@pytest.mark.parametrize("theta", [None, {}], ids=repr)
@pytest.mark.parametrize(
    "adjoint",
    [ode.Tape(), ode.Discrete(), ode.Symplectic(), *CHECKPOINTS[:3], ode.Backsolve(), ode.Interpolating(), ode.Forward()],
    ids=repr,
)
def test_equations_without_parameters(adjoint: ode.Adjoint, theta: Any) -> None:
    def end(y0: Any) -> Any:
        return ode.odeint(lambda t, y, theta: -y, y0, (0.0, 1.0), theta, adjoint=adjoint)

    assert ad.grad(end)(2.0) == pytest.approx(np.exp(-1.0), abs=1e-8)


@pytest.mark.parametrize("method", ["reversible_heun", "leapfrog"])
def test_reversible_equations_without_parameters(method: str) -> None:
    def end(y0: Any) -> Any:
        return ode.odeint(lambda t, y, theta: -y, y0, (0.0, 1.0), method=method, adjoint=ode.Reversible())

    assert ad.grad(end)(2.0) == pytest.approx(np.exp(-1.0), abs=1e-3)
