"""The checker does not accuse right rules: random functions of the whole library, random shapes, kinks, scales from 1e-6 to 1e6."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.checking.corpus.case import Operation
from tests.checking.corpus.table import OPERATIONS
from tests.primitives.sampling import Row
from tests.primitives.table import TABLE

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
SEEDS = 8
EXAMPLES = 14  # of each row: with the corpus above 5,000 checks in all

operations = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def passes(forward: Any, backward: Any, *inputs: Any, seed: int = 0) -> ad.Report:
    with np.errstate(all="ignore"):
        report = ad.check_rule(forward, backward, *inputs, seed=seed, raises=False)
    assert report.passed, report.text()
    return report


def rule_of(row: Row, params: dict[str, Any]) -> tuple[Any, Any]:
    """tinyad's own rule for a row of the table, as a pair of functions of arrays."""

    def forward(*operands: Any) -> tuple[Any, Any]:
        return ad.vjp(lambda *xs: row.function(*xs, **params), *operands)

    return forward, lambda pullback, gy: pullback(gy)


def is_one_float_array(y: Any) -> bool:
    return getattr(getattr(y, "dtype", None), "kind", "") == "f" and np.size(y) > 0


def check_row(row: Row, draw: Any, seed: int) -> None:
    operands, params = row.sample(draw)
    if any(np.iscomplexobj(operand) for operand in operands) or not any(np.size(operand) for operand in operands):
        return
    forward, backward = rule_of(row, params)
    with np.errstate(all="ignore"):
        y, _ = forward(*operands)
    if is_one_float_array(y) and np.isfinite(y).all():
        passes(forward, backward, *operands, seed=seed)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_right_rules_of_random_shapes_pass(row: Row, data: st.DataObject, seed: int) -> None:
    check_row(row, data.draw, seed)


@operations
def test_right_rules_of_the_corpus_pass(operation: Operation) -> None:
    for seed in range(SEEDS):
        for draw in (operation.generic, operation.square):
            if draw is not None:
                passes(operation.forward, operation.backward, *draw(np.random.default_rng(seed)), seed=seed)


@operations
def test_right_rules_pass_at_all_scales(operation: Operation) -> None:
    for exponent in range(-6, 7, 2):
        drawn = operation.generic(np.random.default_rng(1))
        scaled = [x * 10.0**exponent if getattr(x, "dtype", None) == np.float64 else x for x in drawn]
        with np.errstate(all="ignore"):
            y = operation.forward(*map(np.array, scaled))[0]
        if np.isfinite(y).all():
            passes(operation.forward, operation.backward, *scaled)


@operations
def test_right_rules_pass_in_float32(operation: Operation) -> None:
    for seed in range(3):
        drawn = operation.generic(np.random.default_rng(seed))
        narrow = [x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x for x in drawn]
        passes(operation.forward, operation.backward, *narrow, seed=seed)


# ---- kinks and ties

NEAR = [0.0, *(sign * 10.0**-k for k in range(3, 9) for sign in (1, -1))]

KINKED = {
    "abs": (lambda x: (np.abs(x), x), lambda x, gy: gy * np.sign(x)),
    "relu": (lambda x: (np.maximum(x, 0), x), lambda x, gy: gy * (x > 0)),
    "relu, 1 at 0": (lambda x: (np.maximum(x, 0), x), lambda x, gy: gy * (x >= 0)),
    "relu, 1/2 at 0": (lambda x: (np.maximum(x, 0), x), lambda x, gy: gy * ((x > 0) + 0.5 * (x == 0))),
    "leaky relu": (lambda x: (np.where(x > 0, x, 0.1 * x), x), lambda x, gy: gy * np.where(x > 0, 1, 0.1)),
    "clip": (lambda x: (np.clip(x, 0, 1), x), lambda x, gy: gy * ((x > 0) & (x < 1))),
    "sum of abs": (lambda x: (np.abs(x).sum(), x), lambda x, gy: gy * np.sign(x)),
    "hinge": (lambda x: (np.maximum(0, 1 - x).sum(), x), lambda x, gy: -gy * (x < 1)),
}


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("distance", NEAR)
def test_right_rules_pass_at_kinks_and_next_to_them(name: str, distance: float) -> None:
    forward, backward = KINKED[name]
    passes(forward, backward, np.array([distance, 0.7, -2.0, 1 + distance]))


@pytest.mark.parametrize("name", ["abs", "relu", "relu, 1 at 0", "relu, 1/2 at 0", "leaky relu", "clip"])
def test_a_kink_is_named_with_both_slopes(name: str) -> None:
    forward, backward = KINKED[name]
    report = passes(forward, backward, np.array([-0.5, 0.0, 0.3]))
    [kink] = [diagnosis for diagnosis in report.diagnoses if diagnosis.id == "D55"]
    low, high = {"abs": (-1.0, 1.0), "leaky relu": (0.1, 1.0)}.get(name, (0.0, 1.0))
    assert kink.args["left"] == pytest.approx(low, abs=1e-6)
    assert kink.args["right"] == pytest.approx(high, abs=1e-6)
    assert "x[1] = 0 sits on a kink" in kink.fact
    assert not kink.error


@pytest.mark.parametrize("share", ["first", "last", "equal"])
def test_tied_maxima_pass_whoever_gets_the_gradient(share: str) -> None:
    def backward(cache: Any, gy: Any) -> Any:
        x, y = cache
        tied = x == y[:, None]
        first = np.cumsum(tied, axis=1) == 1
        last = np.cumsum(tied[:, ::-1], axis=1)[:, ::-1] == 1
        weights = {"first": tied & first, "last": tied & last, "equal": tied / tied.sum(axis=1, keepdims=True)}[share]
        return gy[:, None] * weights

    x = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.5, -1.0, 0.2]])
    passes(lambda x: (x.max(axis=1), (x, x.max(axis=1))), backward, x)


def test_tied_maxima_that_all_get_the_whole_gradient_are_noted() -> None:
    x = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.5, -1.0, 0.2]])
    everyone = lambda cache, gy: gy[:, None] * (cache[0] == cache[1][:, None])
    report = passes(lambda x: (x.max(axis=1), (x, x.max(axis=1))), everyone, x)
    told = [diagnosis.fact for diagnosis in report.diagnoses]
    assert "x[0, 1] and x[0, 2] are tied: when they rise together by t, y[0] rises by 1 t, and your gradients say 2 t" in told
    shared = lambda cache, gy: everyone(cache, gy) / (cache[0] == cache[1][:, None]).sum(axis=1, keepdims=True)
    report = passes(lambda x: (x.max(axis=1), (x, x.max(axis=1))), shared, x)
    assert not any("tied" in diagnosis.fact for diagnosis in report.diagnoses)


@pytest.mark.parametrize("wrong", [lambda x, gy: gy * (x < 0), lambda x, gy: gy * (x > 0) + gy * 2 * (x == 0)])
def test_a_wrong_rule_at_a_kink_is_still_wrong(wrong: Any) -> None:
    report = ad.check_rule(KINKED["relu"][0], wrong, np.array([0.0, 0.7, -2.0, 1.5, -0.3]), raises=False)
    assert not report
    assert report.diagnoses[0].id in ("D35", "D37", "D56")


# ---- float32 near its limits


@pytest.mark.parametrize("seed", range(20))
def test_an_error_of_a_thousandth_is_seen_in_float32(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=1000).astype(np.float32)

    def forward(x: Any) -> tuple[Any, Any]:
        return (x**2).mean(), x

    passes(forward, lambda x, gy: gy * 2 * x / np.float32(x.size), x)
    report = ad.check_rule(forward, lambda x, gy: gy * 2 * x / np.float32(x.size - 1), x, raises=False)
    assert not report
    assert report.diagnoses[0].id == "D24"


# ---- many more, in `make test-slow`


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_right_rules_of_many_random_shapes_pass(row: Row) -> None:
    @settings(max_examples=330, deadline=None, suppress_health_check=QUIET, database=None)
    @given(data=st.data(), seed=st.integers(0, 2**16))
    def check(data: st.DataObject, seed: int) -> None:
        check_row(row, data.draw, seed)

    check()


@pytest.mark.slow
@operations
def test_right_rules_of_the_corpus_pass_at_many_points(operation: Operation) -> None:
    for seed in range(100, 200):
        for draw in (operation.generic, operation.square):
            if draw is not None:
                passes(operation.forward, operation.backward, *draw(np.random.default_rng(seed)), seed=seed)
