"""Small chains of the same functions laid end to end: one chain, the same numbers."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import tinyad as ad
from tests.compiler.comparing import belongs_to_the_caller, copied, same
from tinyad import optim
from tinyad.compiler import joining
from tinyad.program import Program, evaluate

SHAPES = [(3, 4), (4,), (2, 2, 2), (4,), (1, 5)]
rng = np.random.default_rng(0)


def arrays(dtype: Any = np.float64) -> list[Any]:
    return [rng.normal(size=shape).astype(dtype) for shape in SHAPES]


def names(program: Program) -> list[str]:
    return [i.name for i in program.instructions]


def momentum(params: Any, speeds: Any, gradients: Any, lr: Any) -> Any:
    speeds = [0.9 * v + g for v, g in zip(speeds, gradients, strict=True)]
    return [p - lr * v for p, v in zip(params, speeds, strict=True)], speeds


@pytest.fixture
def whatever_it_costs() -> Iterator[None]:
    with patch.object(joining, "_CALL", 1e9):
        yield


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_for_all_parameters_at_once(whatever_it_costs: None, dtype: Any) -> None:
    args = (arrays(dtype), arrays(dtype), arrays(dtype), 0.1)
    compiled = ad.compile(momentum)
    assert [names(compiled.program(*args)).count(name) for name in ("concat", "add", "subtract", "multiply")] == [3, 1, 1, 2]
    for factor in (1.0, 2.0):
        args = (args[0], args[1], [g * dtype(factor) for g in args[2]], 0.1 * factor)
        same(compiled(*args), momentum(*args), "momentum")
    belongs_to_the_caller(compiled(*args), args, "momentum")


def test_donated_arrays_are_written_over(whatever_it_costs: None) -> None:
    args = (arrays(), arrays(), arrays(), 0.1)
    given = [x for tree in args[:2] for x in tree]
    expected = momentum(*copied(args))
    found = ad.compile(momentum, donate=("params", "speeds"))(*args)
    same(found, expected, "donated")
    assert {id(x) for x in ad.tree.leaves(found)} == {id(x) for x in given}


@pytest.mark.parametrize("optimizer", [optim.adam(0.01), optim.adam(0.01, weight_decay=0.1), optim.sgd(0.1, momentum=0.9)])
def test_optimisers_need_few_calls_for_many_small_parameters(optimizer: Any) -> None:
    params = {f"p{k}": rng.normal(size=8) for k in range(20)}
    gradients = {name: rng.normal(size=8) for name in params}
    step = lambda params, state, gradients: optimizer.update(params, gradients, state, optimizer.numbers(3))
    compiled = ad.compile(step)
    state = optimizer.init(params)
    computing = [
        name for name in names(compiled.program(params, state, gradients)) if name not in ("copy", "getitem", "reshape")
    ]
    assert len(computing) < 25
    same(compiled(params, state, gradients), step(params, state, gradients), optimizer.name)


def layers(x: Any, bs: Any) -> Any:
    for b in bs:
        x = ad.tanh(x + b)
    return x


def with_a_norm_between(xs: Any) -> Any:
    """Each chain needs all that the others begin with."""
    squares = [x * x for x in xs]
    total = sum(ad.sum(s) for s in squares)
    return [s / total for s in squares]


def with_a_sum_of_its_own(xs: Any) -> Any:
    return [(x * 2.0) / ad.sum(x * 2.0) for x in xs]


ON_THEIR_OWN: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "layers": (layers, (np.ones(4), [np.ones(4)] * 5)),
    "different functions": (lambda xs: [ad.sin(xs[0]), ad.cos(xs[1]), ad.exp(xs[2]), ad.tanh(xs[3])], (arrays(),)),
    "different numbers": (lambda xs: [k * x for k, x in enumerate(xs, 2)], (arrays(),)),
    "different dtypes": (lambda a, b, c: (2 * a, 2 * b, 2 * c), (np.ones(3), np.ones(3, "float32"), np.ones(3, int))),
    "two of a kind": (lambda a, b: (ad.sin(a), ad.sin(b)), (np.ones(3), np.ones(4))),
}


@pytest.mark.parametrize("name", ON_THEIR_OWN)
def test_what_cannot_be_joined_stays_alone(whatever_it_costs: None, name: str) -> None:
    f, args = ON_THEIR_OWN[name]
    assert "concat" not in names(ad.compile(f).program(*args))
    same(ad.compile(f)(*args), f(*args), name)


@pytest.mark.parametrize("f", [with_a_norm_between, with_a_sum_of_its_own])
def test_what_depends_on_results_comes_after_them(whatever_it_costs: None, f: Callable[..., Any]) -> None:
    xs = arrays()
    same(ad.compile(f)(xs), f(xs), f.__name__)
    same(
        ad.compile(ad.grad(lambda xs: sum(ad.sum(y**3) for y in f(xs))))(xs),
        ad.grad(lambda xs: sum(ad.sum(y**3) for y in f(xs)))(xs),
    )


def test_large_arrays_stay_alone() -> None:
    large = [np.ones(joining.SMALL) for _ in range(5)]
    assert "concat" not in names(ad.compile(momentum).program(large, large, large, 0.1))


# ---- that these tests can fail


def blind(right: Any) -> Any:
    """Takes chains with different numbers for alike."""
    return lambda self: tuple([step[0] for step in right(self)[0]])


def careless(right: Any) -> Any:
    """Puts the joined chain at the end, whoever needs it before."""

    def joined(program: Program, chains: Any) -> Program:
        inside = {i for chain in chains for i in chain.instructions}
        rest = [i for i in program.instructions if i not in inside]
        return Program(program.inputs, [*rest, *joining._chain_of_all(chains)], program.outputs, program.name)

    return joined


MUTANTS = {
    "different numbers are alike": (joining._Chain, "key", blind),
    "nobody needs it earlier": (joining, "_joined", careless),
    "pieces in the wrong places": (joining.itertools, "accumulate", lambda right: lambda sizes: list(right(sizes))[::-1]),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_join_is_noticed(whatever_it_costs: None, name: str) -> None:
    where, attribute, wrong = MUTANTS[name]
    xs = arrays()
    with (
        patch.object(where, attribute, wrong(getattr(where, attribute))),
        pytest.raises((AssertionError, NameError, ValueError, KeyError)),
    ):
        for f in (with_a_norm_between, ON_THEIR_OWN["different numbers"][0], lambda xs: [2.0 * x for x in xs]):
            same(evaluate(ad.compile(f).program(xs), xs), f(xs), name)
