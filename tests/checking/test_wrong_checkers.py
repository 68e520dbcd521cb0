"""Wrong checkers: each is the checker with one part replaced by a plausible worse one, and turns some of the cases below red.

The cases are few, so that this is quick: mistakes of the corpus and others, each with what must be said of it, and right rules,
which must pass. What makes a checker worse and turns no case red would be released.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.checking import scoring
from tests.checking.corpus.table import OPERATIONS
from tests.checking.test_false_alarms import KINKED
from tinyad.checking import comparison, differences, examine, explain, groups, rules
from tinyad.checking.diagnoses import catalogue, contract, whole
from tinyad.checking.diagnoses.finding import Finding
from tinyad.checking.trial import Trial

Case = Callable[[], bool]
Patch = Callable[[pytest.MonkeyPatch], None]


def check(forward: Any, backward: Any, *inputs: Any, **options: Any) -> ad.Report:
    return scoring.check(forward, backward, *inputs, **options)


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


# ---- cases: each says whether the checker is right


def named(operation: str, mistake: str) -> Case:
    """Whether a mistake of the corpus is found, and named."""
    [found] = [o for o in OPERATIONS if o.name == operation]
    [mutant] = [m for m in found.mutants if m.name == mistake]
    return lambda: scoring.verdict(found, mutant, 0).outcome == "right"


def right(operation: str, scale: float = 1.0, dtype: Any = np.float64) -> Case:
    """Whether the right rule passes, with its float inputs scaled and in a dtype."""
    [found] = [o for o in OPERATIONS if o.name == operation]

    def passes() -> bool:
        drawn = found.generic(np.random.default_rng(1))
        inputs = [(scale * x).astype(dtype) if x.dtype == np.float64 else x for x in drawn]
        return bool(check(found.forward, found.backward, *inputs))

    return passes


def says(id: str, forward: Any, backward: Any, *inputs: Any, also: str = "") -> Case:
    """Whether the first thing that is said has this id, and contains some words."""

    def is_said() -> bool:
        report = check(forward, backward, *inputs)
        return bool(report.diagnoses) and report.diagnoses[0].id == id and also in report.diagnoses[0].fact

    return is_said


def fails(forward: Any, backward: Any, *inputs: Any) -> Case:
    return lambda: not check(forward, backward, *inputs)


def passes(forward: Any, backward: Any, *inputs: Any) -> Case:
    return lambda: bool(check(forward, backward, *inputs))


def mean_of_squares(x: Any) -> tuple[Any, Any]:
    return (x**2).mean(), x


def off_by_one_of_n(x: Any, gy: Any) -> Any:
    return gy * 2 * x / (x.size - 1)


def with_cancellation(x: Any, gy: Any) -> Any:
    """Right in float64; in float32 wrong by a thousandth."""
    large = x.dtype.type(1e4)
    return gy * ((large + 2 * x) - large)


def tiny_loss(x: Any) -> tuple[Any, Any]:
    return 1e-13 * (x**2).sum(), x


def layer_norm(x: Any) -> tuple[Any, Any]:
    centred = x - x.mean(axis=1, keepdims=True)
    std = np.sqrt((centred**2).mean(axis=1, keepdims=True) + x.dtype.type(1e-5))
    return centred / std, (centred / std, std)


def layer_norm_backward(cache: Any, gy: Any) -> Any:
    y, std = cache
    return (gy - gy.mean(axis=1, keepdims=True) - y * (gy * y).mean(axis=1, keepdims=True)) / std


def without_variance(cache: Any, gy: Any) -> Any:
    return (gy - gy.mean(axis=1, keepdims=True)) / cache[1]


def two_that_cancel(x: Any, gy: Any) -> Any:
    """Wrong by opposite amounts at two of many entries."""
    g = 2 * x * gy
    g[1000] += 0.5 * gy[0]
    g[1001] -= 0.5 * gy[0]
    return g


def wrong_above_one(x: Any, gy: Any) -> Any:
    return 2 * x * gy * np.where(x > 1, 1.1, 1.0)


def wrong_at_two(x: Any, gy: Any) -> Any:
    g = gy * np.cos(x)
    g[[7, 4321]] *= 1.3
    return g


def two_are_found() -> bool:
    said = check(lambda x: (np.sin(x), x), wrong_at_two, normal(5000)).diagnoses
    return bool(said) and said[0].args.get("entries") == [[7], [4321]]


def another_forward_is_told() -> bool:
    report = check(lambda x: (x**3, x), lambda x, gy: 3 * x**2 * gy, normal(4), reference=lambda x: x**2)
    return bool(report.diagnoses) and report.diagnoses[0].id == "F03"


PAIRS = normal(5, 2).astype(
    np.float32
)  # whose normalised rows are 1 and -1: the gradient is a difference of nearly equal numbers

CASES: dict[str, Case] = {
    # mistakes that are found
    "1/(N-1) for 1/N": fails(mean_of_squares, off_by_one_of_n, normal(1000)),
    "cancellation in float32": fails(lambda x: (x**2, x), with_cancellation, normal(5, 3).astype(np.float32)),
    "a tiny loss without a 2": fails(tiny_loss, lambda x, gy: 1e-13 * x * gy, normal(5, 3)),
    "no variance path, many outputs": fails(layer_norm, without_variance, normal(60, 37)),
    "two wrong entries that cancel": fails(lambda x: (x**2, x), two_that_cancel, np.linspace(-0.9, 0.9, 2500)),
    "wrong beside the given point": fails(lambda x: (x**2, x), wrong_above_one, np.linspace(0.96, 0.99, 8)),
    "a mask that is none at a kink": fails(KINKED["relu"][0], lambda x, gy: gy * (x < 0), np.array([0.0, 0.7, -2.0, 1.5])),
    "another forward": another_forward_is_told,
    # what is said of them
    "|gy|": says("D20", lambda x: (np.sum(x**2), x), lambda x, gy: 2 * x * np.abs(gy), normal(5)),
    "relu of gy": named("relu", "mask_of_gy"),
    "affine in gy": named("ridge", "penalty_no_gy"),
    "writes into gy": named("log", "in_place"),
    "adds up": named("linear", "accumulates"),
    "a sum over rows": named("add_row", "not_summed"),
    "a tile": says("D10", lambda x, b: (x + b, x), lambda x, gy: (gy, 2 * gy), normal(5, 3), normal(3)),
    "5 times": says("D23", lambda x: (x**2, x), lambda x, gy: 10 * x * gy, normal(5, 3), also="exactly 5 times"),
    "N times": says(
        "D24", lambda x: (x.mean(axis=0), x), lambda x, gy: np.ones_like(x) * gy, normal(5, 3), also="= x.shape[0]"
    ),
    "a sum times": says("D44", lambda x: ((x**2).sum(), x), lambda x, gy: 2 * x * x.sum() * gy, normal(5, 3)),
    "the sign of b": says("D22", lambda a, b: (a - b, None), lambda c, gy: (1 * gy, 1 * gy), normal(5, 3), normal(5, 3)),
    "a and b exchanged": named("stack", "exchanged"),
    "no half": named("sqrt", "no_half"),
    "no cross terms": named("softmax", "diagonal"),
    "another axis": named("softmax", "wrong_axis"),
    "two of five thousand": two_are_found,
    # right rules
    "relu, 1 at 0": passes(*KINKED["relu, 1 at 0"], np.array([0.0, 0.7, -2.0])),
    "sum of abs near 0": passes(*KINKED["sum of abs"], np.array([1e-5, 0.7, -2.0, 1e-7])),
    "a large constant": passes(lambda x: (1e9 + np.sin(x), x), lambda x, gy: gy * np.cos(x), normal(5, 3)),
    "reciprocals of small numbers": right("reciprocal", 1e-4),
    "large exponents in float32": right("logsumexp_far", dtype=np.float32),
    "pairs in float32": passes(layer_norm, layer_norm_backward, PAIRS),
    "gy handed on": passes(lambda a, b: (a + b, None), lambda cache, gy: (gy, gy), normal(5, 3), normal(5, 3)),
}


# ---- wrong checkers


def setting(owner: Any, **values: Any) -> Patch:
    """The checker with other values in the place of names of a module or class."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in values.items():
            monkeypatch.setattr(owner, name, value)

    return patch


def ones(random: Any, *size: int) -> Any:
    return np.ones(size)


def summed_to_the_shape(r: contract.Returned) -> Finding | None:
    """Un-broadcasting that looks at shapes alone."""
    too_many = r.numbers.ndim - len(r.shape)
    return Finding("summed it is right") if too_many > 0 and r.numbers.shape[too_many:] == r.shape else None


def with_rule(table: Any, id: str, rule: Any) -> Any:
    return tuple((row[0], row[1], rule if row[0] == id else row[2]) for row in table)


def with_first(*ids: str) -> tuple[Any, ...]:
    """The catalogue with some entries before all others."""
    return tuple(sorted(catalogue.CATALOGUE, key=lambda entry: entry.id not in ids))


def with_an_absolute_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    tolerance = comparison.Tolerance.tolerance
    monkeypatch.setattr(comparison.Tolerance, "tolerance", lambda *arguments: tolerance(*arguments) + 1e-8)


def one_step(x: Any, eps: float) -> list[Any]:
    return [np.full(x.shape, 2.0**-10)]


def from_the_middle(self: comparison.Comparison) -> Any:
    return np.abs(self.yours - (self.low + self.high) / 2)


def positive(random: Any, size: int) -> Any:
    return random.uniform(0.5, 1.5, size)


def two_positive(trial: Trial) -> Any:
    random = np.random.default_rng(trial.seed)
    return tuple(positive(random, trial.y.size).reshape(trial.y.shape) for _ in range(2))


WRONG: dict[str, tuple[Patch, set[str]]] = {
    # tolerances
    "a relative tolerance of 1e-2": (setting(rules, RTOL=1e-2), {"1/(N-1) for 1/N"}),
    "a float32 tolerance of 1e-2": (setting(comparison, ROUNDING_UNITS=1e5), {"cancellation in float32"}),
    "an absolute tolerance": (with_an_absolute_tolerance, {"a tiny loss without a 2"}),
    "no tolerance for numeric errors": (setting(comparison, ERRORS=0), {"a large constant"}),
    "no tolerance for rounding in float32": (
        setting(comparison, _noise=lambda pullback, y, weights, ours: [np.zeros(1)] * len(ours)),
        {"pairs in float32"},
    ),
    "a tolerance in float32 as in float64": (setting(comparison, ROUNDING_UNITS=0), {"large exponents in float32"}),
    # upstream gradients and directions
    "upstream gradients of ones": (
        setting(Trial, cotangents=property(lambda trial: (np.ones(trial.y.shape),) * 2)),
        {"|gy|", "relu of gy"},
    ),
    "positive upstream gradients": (setting(Trial, cotangents=property(two_positive)), {"|gy|"}),
    "combinations of outputs all ones": (
        setting(comparison, combinations=lambda random, outputs: np.ones((1, outputs))),
        {"no variance path, many outputs"},
    ),
    "directions of ones": (setting(comparison, signed=ones), {"two wrong entries that cancel"}),
    "a search that gives up early": (setting(groups, WIDE=1), {"two of five thousand"}),
    # the numeric derivative
    "one step for all": (setting(differences, _steps=one_step), {"reciprocals of small numbers"}),
    "no kink test": (setting(differences, KINK=np.inf, AGREEMENT=np.inf), {"relu, 1 at 0", "sum of abs near 0"}),
    "one value at a kink": (setting(comparison.Comparison, difference=property(from_the_middle)), {"relu, 1 at 0"}),
    "nothing wrong beside a kink": (
        setting(comparison.Comparison, wrong=property(lambda c: ~(c.difference <= c.tolerance) & ~c.kinks.any())),
        {"a mask that is none at a kink"},
    ),
    # stages
    "no look at the forward": (setting(rules, _forward=lambda pair, trial: None), {"another forward"}),
    "no look at side effects": (setting(examine, PURITY=()), {"writes into gy", "adds up"}),
    "shared memory is a mistake": (setting(examine, PURITY=(*examine.PURITY, examine.ALIASING)), {"gy handed on"}),
    "no look at linearity": (setting(examine, LINEARITY=()), {"affine in gy", "relu of gy"}),
    "sums to a shape that need not be right": (
        setting(examine, CONTRACT=with_rule(contract.CONTRACT, "D07", summed_to_the_shape)),
        {"a tile"},
    ),
    "no sums to a shape": (
        setting(examine, CONTRACT=with_rule(contract.CONTRACT, "D07", lambda r: None)),
        {"a sum over rows"},
    ),
    # other points
    "values at one point": (setting(Trial, another=None), {"wrong beside the given point"}),
    "statements at one point": (setting(explain, _evidence_there=lambda trial, i: None), {"a sum times"}),
    "lengths at one shape": (setting(Trial, elsewhere=None), {"5 times"}),
    # the catalogue
    "lengths without names": (setting(whole, named_lengths=lambda trial, i, c: []), {"N times"}),
    "the catalogue backwards": (setting(catalogue, CATALOGUE=catalogue.CATALOGUE[::-1]), {"no cross terms"}),
    "factors before signs": (setting(catalogue, CATALOGUE=with_first("D23")), {"the sign of b"}),
    "terms before factors": (setting(catalogue, CATALOGUE=with_first("D46")), {"no half"}),
    "shifts before exchanges": (setting(catalogue, CATALOGUE=with_first("D28")), {"a and b exchanged"}),
    "exchanges before signs": (setting(catalogue, CATALOGUE=with_first("D25")), {"the sign of b"}),
    "masks before axes": (setting(catalogue, CATALOGUE=with_first("D37")), {"another axis"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_checker_is_right(name: str) -> None:
    assert CASES[name]()


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_checker_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patch, red = WRONG[name]
    patch(monkeypatch)
    assert {case for case in red if not CASES[case]()} == red


def test_every_case_is_turned_red_by_a_wrong_checker() -> None:
    assert set.union(*(red for _, red in WRONG.values())) == set(CASES)
