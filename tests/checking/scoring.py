"""The checker on the two corpora: which mistakes it finds, and whether it names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyad as ad
from tests.checking import held_out
from tests.checking.corpus.case import Mutant, Operation
from tests.checking.corpus.table import OPERATIONS
from tests.checking.held_out import mutants as held_out_mutants
from tests.checking.held_out import operations as held_out_operations

__all__ = ["Verdict", "held_out_verdicts", "rates", "verdicts"]

UNKNOWN = "D57"
ONLY_WORTH_KNOWING = {"D16"}  # shared memory is said, but `return gy, gy` is the right rule of `add`


@dataclass(frozen=True)
class Verdict:
    """What the checker says of one wrong rule.

    Attributes:
        name: of the operation and the mistake.
        labels: ids that name the mistake; empty where nobody has said which do.
        report: the checker's.
        realistic: whether people make the mistake.
        by_mutants: the report of a check that has a right backward to compare with, where the one without knows no answer.
    """

    name: str
    labels: frozenset[str]
    report: ad.Report
    realistic: bool = True
    by_mutants: ad.Report | None = None

    @property
    def found(self) -> bool:
        """Whether the mistake is found; of what is only worth knowing, whether it is told."""
        told = {diagnosis.id for diagnosis in self.report.diagnoses}
        return not self.report.passed or bool(self.labels & told & ONLY_WORTH_KNOWING)

    @property
    def first(self) -> ad.Diagnosis | None:
        """The most important diagnosis."""
        return next(iter(self.report.diagnoses), None)

    @property
    def id(self) -> str:
        """Its id; empty if there is none."""
        return "" if self.first is None else self.first.id

    @property
    def outcome(self) -> str:
        """ "right", "wrong" or "unknown", by the label."""
        return "right" if self.id in self.labels else "unknown" if self.id in ("", UNKNOWN) else "wrong"

    @property
    def tier(self) -> str:
        """What explains it: "contract" (D01 to D20), "tier 1", "tier 2", "tier 3" or "unknown"."""
        if self.id == UNKNOWN:
            deeper = self.by_mutants.diagnoses[0] if self.by_mutants is not None else None
            return "tier 3" if deeper is not None and deeper.tier == 3 else "unknown"
        return "contract" if self.id < "D21" else f"tier {self.first.tier if self.first else 0}"


def check(forward: Any, backward: Any, *inputs: Any, **options: Any) -> ad.Report:
    with np.errstate(all="ignore"):
        return ad.check_rule(forward, backward, *inputs, raises=False, **options)


def verdicts(seeds: Iterable[int] = (0,), operations: Iterable[Operation] = OPERATIONS) -> Iterator[Verdict]:
    """The checker on the hand-written corpus."""
    for operation in operations:
        for mutant in operation.mutants:
            yield from (verdict(operation, mutant, seed) for seed in seeds)


def verdict(operation: Operation, mutant: Mutant, seed: int) -> Verdict:
    """The checker on one mutant."""
    forward, backward = mutant.forward or operation.forward, mutant.backward or operation.backward
    inputs = operation.generic(np.random.default_rng(seed))
    report = check(forward, backward, *inputs, seed=seed)
    return Verdict(f"{operation.name}: {mutant.name}", mutant.labels, report)


def held_out_verdicts(
    every: int = 1, operations: Iterable[held_out.operations.Operation] = held_out_operations.OPERATIONS
) -> Iterator[Verdict]:
    """The checker on every so many of the mistakes in operations that no rule was tuned on."""
    for operation in operations:
        for mutant in held_out_mutants.non_equivalent(operation)[::every]:
            inputs = operation.inputs(np.random.default_rng(0))
            report = check(operation.forward, mutant.function, *inputs)
            deeper = None
            if report.diagnoses and report.diagnoses[0].id == UNKNOWN:
                reference = (operation.forward, operation.backward)
                deeper = check(operation.forward, mutant.function, *inputs, reference=reference)
            name = f"{operation.name}: {mutant.family}, line {mutant.line}"
            yield Verdict(name, frozenset(), report, mutant.realistic, deeper)


def rates(outcomes: Iterable[str]) -> dict[str, float]:
    """The share of each outcome."""
    counted = Counter(outcomes)
    return {outcome: count / counted.total() for outcome, count in counted.items()}
