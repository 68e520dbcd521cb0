"""The checker finds the mistakes of two corpora, and what it says of them is right."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.checking import scoring
from tests.checking.corpus.table import OPERATIONS
from tinyad.checking.diagnoses.catalogue import CATALOGUE, look_up
from tinyad.checking.evidence import Evidence
from tinyad.checking.rule import Pair
from tinyad.checking.shapes import jittered
from tinyad.checking.trial import Trial
from tinyad.kinds import PRIMITIVES


@pytest.fixture(scope="module")
def hand_written() -> list[scoring.Verdict]:
    return list(scoring.verdicts())


@pytest.fixture(scope="module")
def held_out() -> list[scoring.Verdict]:
    return list(scoring.held_out_verdicts(every=7))


# ---- the hand-written corpus


def test_every_mistake_of_the_corpus_is_found(hand_written: list[scoring.Verdict]) -> None:
    assert len(hand_written) >= 160
    assert [verdict.name for verdict in hand_written if not verdict.found] == []


def test_mistakes_of_the_corpus_are_named(hand_written: list[scoring.Verdict]) -> None:
    rates = scoring.rates(verdict.outcome for verdict in hand_written if not verdict.labels & scoring.ONLY_WORTH_KNOWING)
    assert rates["right"] >= 0.95, [(v.name, v.id, sorted(v.labels)) for v in hand_written if v.outcome != "right"]
    assert rates.get("wrong", 0) <= 0.02
    assert rates.get("unknown", 0) <= 0.04


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_mistakes_are_found_and_named_at_other_points(seed: int) -> None:
    found = list(scoring.verdicts([seed]))
    assert [verdict.name for verdict in found if not verdict.found] == []
    rates = scoring.rates(verdict.outcome for verdict in found if not verdict.labels & scoring.ONLY_WORTH_KNOWING)
    assert rates["right"] >= 0.95
    assert rates.get("wrong", 0) <= 0.02


def test_every_entry_of_the_catalogue_is_met(hand_written: list[scoring.Verdict]) -> None:
    said = {diagnosis.id for verdict in hand_written for diagnosis in verdict.report.diagnoses}
    said |= {diagnosis.id for report in on_square_arrays() for diagnosis in report.diagnoses}
    assert {entry.id for entry in CATALOGUE} - said == set()


def on_square_arrays() -> list[ad.Report]:
    """Products whose operands stand in the wrong order raise on arrays of different lengths, and not on square ones."""
    products = [operation for operation in OPERATIONS if operation.square and operation.name.startswith("matmul")]
    return [
        scoring.check(operation.forward, mutant.backward or operation.backward, *operation.square(np.random.default_rng(0)))
        for operation in products
        for mutant in operation.mutants
    ]


# ---- operations that no rule was tuned on


def test_mistakes_in_other_operations_are_found(held_out: list[scoring.Verdict]) -> None:
    assert len(held_out) >= 350
    assert [verdict.name for verdict in held_out if not verdict.found] == []


def test_realistic_mistakes_in_other_operations_are_explained(held_out: list[scoring.Verdict]) -> None:
    tiers = scoring.rates(verdict.tier for verdict in held_out if verdict.realistic)
    assert tiers["contract"] + tiers["tier 1"] + tiers["tier 2"] >= 0.80
    assert 1 - tiers.get("unknown", 0) >= 0.98


@pytest.mark.slow
def test_all_mistakes_in_other_operations_are_found_and_explained() -> None:
    found = list(scoring.held_out_verdicts())
    assert [verdict.name for verdict in found if not verdict.found] == []
    tiers = scoring.rates(verdict.tier for verdict in found if verdict.realistic)
    assert tiers["contract"] + tiers["tier 1"] + tiers["tier 2"] >= 0.80
    assert 1 - tiers.get("unknown", 0) >= 0.98


# ---- what is said is true


CHANGING = {"D13", "D14", "D15"}  # another gradient at each call: a check says so, and looks no further


def statements(seeds: range) -> int:
    """Count the identities found in the corpus that hold at a third point with a third cotangent; fail at one that does not."""
    count = 0
    for operation in OPERATIONS:
        for mutant in operation.mutants:
            if mutant.labels & CHANGING:
                continue
            for seed in seeds:
                pair = Pair(
                    "check_rule",
                    mutant.forward or operation.forward,
                    mutant.backward or operation.backward,
                    operation.generic(np.random.default_rng(seed)),
                )
                count += holds_elsewhere(Trial(pair, seed), f"{operation.name}: {mutant.name}")
    return count


def holds_elsewhere(trial: Trial, name: str) -> int:
    """How many identities a trial gives, each of which is also true at another point and cotangent."""
    found = usable_evidence(trial)
    moved = jittered(trial.rule, trial.seed + 77)
    third = usable_evidence(Trial(moved, trial.seed + 78)) if found and moved is not None else []
    second = usable_evidence(trial.another) if found and trial.another is not None else []
    count = 0
    for e, there, last in zip(found, second, third, strict=False):
        said = look_up(e, there) if e.comparison.wrong.any() else None
        if said is not None:
            entry, finding = said
            assert finding.agrees(entry.rule(last)), f"{name}: {finding.fact} [{entry.id}] is not true at a third point"
            count += 1
    return count


def usable_evidence(trial: Trial) -> list[Evidence]:
    """The evidence on all inputs, if what backward returns can be compared at all."""
    try:
        with np.errstate(all="ignore"):
            return [trial.evidence(i) for i in range(len(trial.values))]
    except Exception:
        return []


def test_what_is_said_holds_at_a_third_point() -> None:
    assert statements(range(1)) > 300


@pytest.mark.slow
def test_ten_thousand_statements_hold_at_a_third_point() -> None:
    assert statements(range(28)) > 10_000


# ---- the same in every process


JSON = """
import numpy as np, tinyad as ad
from tests.checking.corpus.table import OPERATIONS
for operation in OPERATIONS[::4]:
    for mutant in operation.mutants:
        inputs = operation.generic(np.random.default_rng(5))
        forward, backward = mutant.forward or operation.forward, mutant.backward or operation.backward
        with np.errstate(all="ignore"):
            print(ad.check_rule(forward, backward, *inputs, seed=5, raises=False).to_json())
"""


def test_json_is_the_same_in_two_processes() -> None:
    runs = [
        subprocess.run([sys.executable, "-W", "ignore", "-c", JSON], capture_output=True, check=True).stdout for _ in range(2)
    ]
    assert runs[0].count(b"\n") > 60
    assert runs[0] == runs[1]


# ---- large inputs, and forward mode


def counted(forward: Any) -> tuple[Any, list[int]]:
    calls: list[int] = []

    def counting(*xs: Any) -> Any:
        calls.append(1)
        return forward(*xs)

    return counting, calls


def sine_times(x: Any) -> tuple[Any, Any]:
    return np.sin(x) * x, x


def slope(x: Any, gy: Any) -> Any:
    return gy * (np.cos(x) * x + np.sin(x))


def test_a_right_rule_of_a_million_entries_costs_ten_forwards() -> None:
    forward, calls = counted(sine_times)
    assert ad.check_rule(forward, slope, np.random.default_rng(0).normal(size=(1000, 1000)))
    assert len(calls) <= 10


@pytest.mark.parametrize("at", [(123, 456), (0, 0), (999, 999)])
def test_one_wrong_entry_among_a_million_is_found(at: tuple[int, int]) -> None:
    forward, calls = counted(sine_times)

    def wrong(x: Any, gy: Any) -> Any:
        g = slope(x, gy)
        g[at] *= 1.3
        return g

    report = ad.check_rule(forward, wrong, np.random.default_rng(0).normal(size=(1000, 1000)), raises=False)
    assert report.diagnoses[0].args["entries"] == [list(at)]
    assert report.diagnoses[0].args["complete"]
    assert len(calls) <= 400


def test_a_large_gradient_that_is_wrong_all_over_is_explained_on_small_arrays() -> None:
    x = np.random.default_rng(0).normal(size=(500, 700))
    report = ad.check_rule(sine_times, lambda x, gy: -slope(x, gy), x, raises=False)
    assert report.diagnoses[0].id == "D22"
    assert "Seen on arrays of the shapes (3, 5)" in report.diagnoses[0].explain


def test_a_factor_that_only_large_arrays_have_is_named() -> None:
    x = np.random.default_rng(0).normal(size=(500, 700))
    report = ad.check_rule(sine_times, lambda x, gy: slope(x, gy) * (3 if x.size > 1000 else 1), x, raises=False)
    assert report.diagnoses[0].id == "D23"
    assert report.diagnoses[0].fact.startswith("exactly 3 times the right gradient")


@pytest.mark.parametrize("size", [500, 100_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_mode_wrong_by_a_factor_is_found_however_large_the_output(size: int, dtype: Any) -> None:
    @ad.custom_vjp
    def tripled(x: Any) -> Any:
        return 3.0 * x

    tripled.defvjp(lambda x: (3.0 * x, None), lambda kept, g: (1.5 * g,))
    report = ad.check(tripled, np.random.default_rng(0).normal(size=size).astype(dtype), raises=False)
    assert not report


# ---- the upstream gradient


@pytest.mark.parametrize("backward", [lambda x, gy: 2 * x / gy, lambda x, gy: 2 * x * gy**2 / gy])
def test_a_gradient_that_divides_by_the_upstream_one_is_found_where_that_is_a_single_number(backward: Any) -> None:
    x = np.random.default_rng(0).normal(size=5)
    with np.errstate(all="ignore"):
        report = ad.check_rule(lambda x: (np.sum(x**2), x), backward, x, raises=False)
    assert [diagnosis.id for diagnosis in report.diagnoses if diagnosis.error] == ["D20"]


@pytest.mark.parametrize("size", [15, 100_000])
def test_forward_mode_that_disagrees_with_reverse_mode_is_named(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sine = PRIMITIVES["sin"]
    right = sine.jvp
    monkeypatch.setattr(sine, "jvp", lambda tangents, node, saved: 2 * right(tangents, node, saved))
    report = ad.check(ad.sin, np.random.default_rng(0).normal(size=size), raises=False)
    assert not report
    assert (report.diagnoses[0].id, report.diagnoses[0].fact) == (
        "J01",
        "forward mode gives exactly 2 times what reverse mode gives",
    )
    assert all(comparison.passed for comparison in report.comparisons)
