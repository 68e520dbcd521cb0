"""Mistakes put into the adjoints, one coefficient, index or sign each: the comparisons of this folder find every one."""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tinyad.models import ode
from tinyad.models.ode.adjoints import schedules

RANDOM = np.random.default_rng(0)
Y0 = RANDOM.normal(size=(2, 3))
THETA = {"K": RANDOM.normal(size=(3, 3)), "b": RANDOM.normal(size=3)}
CONTROL = ode.PiecewiseLinear({"K": RANDOM.normal(size=(3, 3, 3)), "b": RANDOM.normal(size=(3, 3))}, (0.0, 1.0))
TIMES = [0.3, 0.5, 1.0]


def f(t: Any, y: Any, theta: Any) -> Any:
    return ad.tanh(y @ theta["K"] + t * theta["b"])


PAIR = (lambda t, p, theta: ad.tanh(p @ theta["K"] + t), lambda t, q, theta: ad.sin(q @ theta["K"]) + theta["b"])


def gradient(method: str, adjoint: ode.Adjoint, steps: int = 6, theta: Any = THETA, times: Any = TIMES) -> Any:
    paired = method == "verlet"

    def loss(y0: Any, theta: Any) -> Any:
        y = ode.odeint(PAIR if paired else f, (y0, 0.5 * y0) if paired else y0, (0.0, 1.0), theta, method=method, steps=steps,
                       times=times, adjoint=adjoint)  # fmt: skip
        return sum(ad.sum(ad.sin(leaf)) for leaf in ad.tree.leaves(y))

    return ad.tree.ravel(ad.grad(loss, argnums=(0, 1))(Y0, theta))[0]


def distance(a: Any, b: Any) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


# ---- what must hold


def exact(method: str, adjoint: ode.Adjoint, **settings: Any) -> Callable[[], bool]:
    return lambda: distance(gradient(method, adjoint, **settings), gradient(method, ode.Tape(), **settings)) <= 1e-13


def approaching(method: str, adjoint: ode.Adjoint, order: int, **settings: Any) -> Callable[[], bool]:
    def holds() -> bool:
        gaps = [
            distance(gradient(method, adjoint, n, **settings), gradient(method, ode.Tape(), n, **settings)) for n in (16, 32)
        ]
        return float(np.log2(gaps[0] / gaps[1])) >= order - 0.15

    return holds


def takes_the_fewest_steps() -> bool:
    ledger = ode.Ledger()
    ad.grad(
        lambda y: ad.sum(ode.odeint(f, y, (0.0, 1.0), THETA, steps=10, adjoint=ode.Checkpoint(3, "revolve"), ledger=ledger))
    )(Y0)
    return ledger.stored == 3 and ledger.steps == schedules.extra_steps(10, 3) + 1 + 10 == 26


HOLDS: dict[str, Callable[[], bool]] = {
    **{f"discrete {m}": exact(m, ode.Discrete()) for m in ("heun", "rk4", "dopri5", "leapfrog", "reversible_heun", "verlet")},
    **{f"symplectic {m}": exact(m, ode.Symplectic()) for m in ("heun", "rk4", "dopri5")},
    **{f"reversible {m}": exact(m, ode.Reversible()) for m in ("leapfrog", "reversible_heun", "verlet")},
    "uniform": exact("rk4", ode.Checkpoint(2)),
    "revolve": exact("rk4", ode.Checkpoint(2, "revolve")),
    "forward": exact("heun", ode.Forward()),
    "control": exact("heun", ode.Discrete(), theta=CONTROL),
    "control, revolve": exact("heun", ode.Checkpoint(2, "revolve"), theta=CONTROL),
    "control, forward": exact("heun", ode.Forward(), theta=CONTROL),
    "backsolve": approaching("rk4", ode.Backsolve(), 4),
    "backsolve with restarts": approaching("rk4", ode.Backsolve(restarts=2), 4, times=None),
    "backsolve of a control": approaching("rk4", ode.Backsolve(), 4, theta=CONTROL, times=None),
    "interpolating": approaching("rk4", ode.Interpolating(), 4),
    "steps of revolve": takes_the_fewest_steps,
}  # fmt: skip


@pytest.mark.parametrize("name", HOLDS)
def test_without_a_mistake(name: str) -> None:
    assert HOLDS[name]()


# ---- mistakes

MUTANTS = [
    ("runge_kutta", "RungeKutta.cotangents", "scale(h * self.A[j][i], of_stages[j])", "scale(h * self.A[i][j], of_stages[j])"),
    ("runge_kutta", "RungeKutta.cotangents", "range(i + 1, self.stages)", "range(i + 2, self.stages)"),
    ("runge_kutta", "RungeKutta.cotangents", "scale(h * self.b[i], g)", "scale(h * self.b[i - 1], g)"),
    ("runge_kutta", "RungeKutta.cotangents", "return add(g, *of_stages)", "return add(*of_stages)"),
    ("runge_kutta", "RungeKutta.pull", "t + self.c[i] * h", "t + self.c[i - 1] * h"),
    ("adjoints.symplectic", "_step_back", "weights[j] * method.A[j][i] / weights[i]", "weights[j] * method.A[j][i]"),
    ("adjoints.symplectic", "_step_back", "scale(method.b[i] / weights[i], multiplier)", "scale(method.b[i], multiplier)"),
    ("adjoints.symplectic", "_step_back", "scale(h * weights[i], more)", "scale(-h * weights[i], more)"),
    ("reversible", "Kicks.back", "scale(weight * h, g[part])", "scale(weight, g[part])"),
    ("reversible", "Kicks.back", "add(g[1 - part], of_other)", "add(g[part], of_other)"),
    ("reversible", "Kicks.back", "_kicked(state, part, h, -weight, slope)", "_kicked(state, part, h, weight, slope)"),
    ("reversible", "Leapfrog.back", "scale(2.0 * h, g[1])", "scale(2.0 * h, g[0])"),
    ("reversible", "Leapfrog.back", "add(g[0], of_y)", "add(g[1], of_y)"),
    ("reversible", "Leapfrog.back", "[-2.0]", "[2.0]"),
    ("reversible", "ReversibleHeun.back", "scale(2.0, gz)", "scale(1.0, gz)"),
    ("reversible", "ReversibleHeun.back", "scale(-1.0, gz)", "scale(1.0, gz)"),
    ("reversible", "ReversibleHeun.back", "scale(0.5 * h, gy)", "scale(h, gy)"),
    ("reversible", "ReversibleHeun.pull_start", "add(gy, gz, of_y)", "add(gy, of_y)"),
    ("reversible", "ReversibleHeun.undo", "[-0.5, -0.5]", "[-0.5, 0.5]"),
    ("adjoints.backsolve", "Backsolve.backward", "scale(-1.0, of_y)", "scale(1.0, of_y)"),
    ("adjoints.backsolve", "Backsolve.backward", "scale(-1.0, of_theta)", "scale(1.0, of_theta)"),
    ("adjoints.backsolve", "Backsolve.backward", "add(multiplier, jumps[start])", "jumps[start]"),
    ("adjoints.backsolve", "Backsolve._by_steps", "t + h, -h", "t, -h"),
    ("adjoints.interpolating", "_back", "(time - t) / h", "(time - t - h) / h"),
    ("adjoints.interpolating", "_back", "scale(-1.0, of_theta)", "of_theta"),
    ("dense", "hermite", "-h * s * s * r", "h * s * s * r"),
    ("adjoints.checkpoint", "Checkpoint._pull", "run.seed(g, start, jumps[end])", "run.seed(g, start, jumps[run.grid.steps])"),
    ("adjoints.checkpoint", "Checkpoint._pull", "run.pull(g, of_theta, theta, here, end, before)",
     "run.pull(g, of_theta, theta, first, end, before)"),
    ("adjoints.schedules", "_split", "math.comb(slots + r - 1, slots)", "math.comb(slots + r - 2, slots)"),
    ("adjoints.schedules", "_revolve", "_revolve(middle, last, slots - 1)", "_revolve(middle, last, slots)"),
    ("adjoints.discrete", "Discrete.backward", "run.seed(g, state, of_output)", "run.seed(None, state, of_output)"),
    ("adjoints.forward", "Forward.forward", "run.of_step(of_theta, 0)", "of_theta"),
    ("run", "Run.gather", "add(both[1], more)", "more"),
    ("run", "Run.whole", "sorted(of_theta)", "of_theta"),
    ("control", "_Line.at", "a + s * (b - a)", "b + s * (a - b)"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "old", "new"), MUTANTS, ids=[f"{m[1]}: {m[3]}" for m in MUTANTS])
def test_a_mistake_is_found(module: str, name: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(importlib.import_module(f"tinyad.models.ode.{module}"), name, old, new, monkeypatch)
    if name == "_Line.at":  # the same wrong function of time for all adjoints: found where its meaning is tested
        assert CONTROL(0.0)["b"][0] != pytest.approx(CONTROL.values["b"][0, 0])
    else:
        assert not all(map(survives, HOLDS.values()))


def survives(holds: Callable[[], bool]) -> bool:
    try:
        with np.errstate(all="ignore"):
            return holds()
    except Exception:
        return False


def put_in(module: types.ModuleType, name: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace a function or method by one with a piece of its source exchanged."""
    owner: Any = module
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    function = owner.__dict__[last]
    source = inspect.getsource(function)
    assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times in {name}"
    whole = inspect.getsource(module)
    assert whole.count(source) == 1
    changed = dict(module.__dict__)
    exec(compile(whole.replace(source, source.replace(old, new)), module.__file__ or "", "exec"), changed)
    mutant = changed[path[0]].__dict__[last] if path else changed[last]
    rebuilt = types.FunctionType(mutant.__code__, module.__dict__, mutant.__name__, mutant.__defaults__, mutant.__closure__)
    rebuilt.__kwdefaults__ = mutant.__kwdefaults__
    if path:
        monkeypatch.setattr(owner, last, rebuilt)
    else:  # a function of the module, which others may have imported
        monkeypatch.setattr(function, "__code__", rebuilt.__code__)


def test_what_is_found_is_the_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Putting in the function itself changes nothing."""
    for module, name, old, _ in {row[1]: row for row in MUTANTS}.values():
        put_in(importlib.import_module(f"tinyad.models.ode.{module}"), name, old, old, monkeypatch)
    assert [name for name, holds in HOLDS.items() if not holds()] == []
