"""The corpus itself: its right rules are right, its wrong rules wrong, and their labels fit what they return."""

from __future__ import annotations

import copy
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tests.checking.corpus.case import Mutant, Operation
from tests.checking.corpus.table import OPERATIONS

SEEDS = (0, 1, 2)
MUTANTS = [pytest.param(op, mutant, id=f"{op.name}.{mutant.name}") for op in OPERATIONS for mutant in op.mutants]
RIGHT = [pytest.param(op, id=op.name) for op in OPERATIONS]

CATALOGUE = {f"D{number:02}" for number in range(1, 58)}
NOT_MISTAKES = {"D55", "D57"}  # a note on a kink, and "none of these"
SHAPES = {"D07", "D08", "D09", "D10"}


@contextmanager
def quietly() -> Iterator[None]:
    """Wrong rules may overflow and divide by zero."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def rule(op: Operation, mutant: Mutant | None = None) -> tuple[Any, Any]:
    if mutant is None:
        return op.forward, op.backward
    return mutant.forward or op.forward, mutant.backward or op.backward


def draw(op: Operation, seed: int, square: bool = False) -> tuple[Any, ...]:
    sample = op.square if square else op.generic
    assert sample is not None
    return sample(np.random.default_rng(seed))


def cotangent(y: Any, seed: int) -> Any:
    """Signed, and away from zero."""
    rng = np.random.default_rng(1000 + seed)
    return rng.choice([-1.0, 1.0], np.shape(y)) * rng.uniform(0.5, 1.5, np.shape(y))


def differentiable(x: Any) -> bool:
    return x.dtype.kind == "f"


def slopes(forward: Any, inputs: tuple[Any, ...], which: int, gy: Any, h: float = 1e-5) -> tuple[Any, Any]:
    """The slopes of ``sum(gy * forward(*inputs))`` in every entry of one input, to the left and to the right."""
    x = inputs[which].copy()
    moved = (*inputs[:which], x, *inputs[which + 1 :])
    left, right = np.empty(x.shape), np.empty(x.shape)
    value = np.asarray(forward(*moved)[0])
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + h
        right[place] = (gy * (forward(*moved)[0] - value)).sum() / h
        x[place] = kept - h
        left[place] = (gy * (value - forward(*moved)[0])).sum() / h
        x[place] = kept
    return left, right


def distance(op: Operation, seed: int, gradients: Any, square: bool = False) -> float:
    """How far gradients are from the numeric ones, relative to their size: the largest over inputs and entries.

    Where the operation is kinked, everything between the slopes of the two sides is right.
    """
    inputs = draw(op, seed, square)
    gy = cotangent(op.forward(*inputs)[0], seed)
    worst = 0.0
    for which, x in enumerate(inputs):
        if not differentiable(x):
            continue
        left, right = slopes(op.forward, inputs, which, gy)
        middle = (left + right) / 2
        outside = np.abs(gradients[which] - middle)
        if op.kinked:
            outside = np.maximum(outside - np.abs(right - left) / 2, 0)
        worst = max(worst, float(outside.max() / np.abs(middle).max()))
    return worst


def answer(op: Operation, seed: int, mutant: Mutant | None = None, square: bool = False) -> Any:
    """What the rule returns, or the exception that it raises."""
    forward, backward = rule(op, mutant)
    inputs = draw(op, seed, square)
    with quietly():
        try:
            y, cache = forward(*inputs)
            return backward(cache, cotangent(y, seed))
        except Exception as error:
            return error


def contract(op: Operation, seed: int, gradients: Any) -> set[str]:
    """The labels of what is wrong before any number is compared."""
    if isinstance(gradients, Exception):
        return {"D01"}
    inputs = draw(op, seed)
    if len(gradients) != len(inputs):
        return {"D02"}
    broken: set[str] = set()
    for x, g in zip(inputs, gradients, strict=True):
        if not differentiable(x):
            continue
        if g is None:
            broken.add("D03")
        elif type(g) not in (np.ndarray, np.float64, np.float32):
            broken.add("D04")
        elif g.dtype != np.float64:
            broken.add("D05")
        elif g.shape != x.shape:
            broken |= SHAPES
        elif not np.isfinite(g).all():
            broken.add("D06")
    return broken


def same(a: Any, b: Any) -> bool:
    return all((p is None and q is None) or np.array_equal(p, q, equal_nan=True) for p, q in zip(a, b, strict=True))


def impurities(op: Operation, seed: int, mutant: Mutant | None = None) -> set[str]:
    """The labels of side effects: what calls leave behind, in their arguments and for the next call."""
    forward, backward = rule(op, mutant)
    inputs = draw(op, seed)
    before = copy.deepcopy(inputs)
    found: set[str] = set()
    y, cache = forward(*inputs)
    gy = cotangent(y, seed)
    kept = gy.copy()
    calls = calls_of(op.forward, lambda: found.update(shared(backward(cache, gy), gy, inputs)))
    if calls:
        found.add("D17")
    if not same(inputs, before):
        found.add("D11")
    if not same([gy], [kept]):
        found.add("D12")
    first = copy.deepcopy(backward(forward(*copy.deepcopy(before))[1], kept.copy()))
    _, again = forward(*copy.deepcopy(before))
    if not same([y], [forward(*copy.deepcopy(before))[0]]):
        return found | {"D15"}
    backward(again, kept.copy())
    if not same(first, backward(again, kept.copy())):
        found.add("D13")
    _, earlier = forward(*copy.deepcopy(before))
    forward(*draw(op, seed + 1))
    if not same(first, backward(earlier, kept.copy())):
        found.add("D14")
    return found


def shared(gradients: Any, gy: Any, inputs: tuple[Any, ...]) -> set[str]:
    arrays = [g for g in gradients if isinstance(g, np.ndarray)]
    others = [*inputs, gy]
    pairs = [(a, b) for k, a in enumerate(arrays) for b in [*arrays[:k], *others]]
    return {"D16"} if any(np.may_share_memory(a, b) for a, b in pairs) else set()


def calls_of(function: Any, action: Any) -> int:
    """How often a Python function is called while an action runs."""
    count = 0

    def watch(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code is function.__code__

    earlier = sys.getprofile()
    sys.setprofile(watch)
    try:
        action()
    finally:
        sys.setprofile(earlier)
    return count


@pytest.mark.parametrize("op", RIGHT)
def test_right_rules_agree_with_differences(op):
    for seed in SEEDS:
        gradients = answer(op, seed)
        assert contract(op, seed, gradients) == set()
        assert distance(op, seed, gradients) < 1e-6
    if op.square is not None:
        assert distance(op, 0, answer(op, 0, square=True), square=True) < 1e-6


@pytest.mark.parametrize("op", RIGHT)
def test_right_rules_leave_nothing_behind(op):
    assert impurities(op, 0) == set()


@pytest.mark.parametrize("op", RIGHT)
def test_inputs_are_generic(op):
    for x in draw(op, 0):
        if differentiable(x):
            assert x.dtype == np.float64
            assert np.unique(x[x != 0]).size == np.count_nonzero(x), "two values are alike"
        else:
            assert np.unique(x).size < x.size, "indices and masks repeat"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("op", "mutant"), MUTANTS)
def test_wrong_rules_are_wrong(op, mutant, seed):
    gradients = answer(op, seed, mutant)
    broken = contract(op, seed, gradients)
    if broken:
        assert broken & mutant.labels, f"returns what only {sorted(broken)} describe"
        return
    assert not mutant.labels & {"D01", "D02", "D03", "D04", "D05", "D06", "D07", "D08", "D09"}, (
        "nothing wrong with the contract"
    )
    with quietly():
        side_effects = impurities(op, seed, mutant)
    if side_effects & mutant.labels:
        return
    assert not mutant.labels & {"D11", "D12", "D13", "D14", "D15", "D16", "D17"}, "no side effect found"
    smallest = 1e-9 if "D54" in mutant.labels else 1e-4
    exact = answer(op, seed)
    gaps = [np.abs(g - e).max() / np.abs(e).max() for g, e in zip(gradients, exact, strict=True) if e is not None]
    assert max(gaps) > smallest
    if op.kinked:
        assert distance(op, seed, gradients) > smallest


def test_names_are_unique():
    assert len({op.name for op in OPERATIONS}) == len(OPERATIONS)
    for op in OPERATIONS:
        assert len({mutant.name for mutant in op.mutants}) == len(op.mutants), op.name


def test_there_are_enough():
    assert len(OPERATIONS) >= 45
    assert sum(len(op.mutants) for op in OPERATIONS) >= 185


def test_every_label_is_reached():
    reached = Counter(label for op in OPERATIONS for mutant in op.mutants for label in mutant.labels)
    assert set(reached) <= CATALOGUE
    assert CATALOGUE - set(reached) <= NOT_MISTAKES
