"""A rule's own checks on functions of this process, which are trusted: the author's, mutants of them, a student's in a notebook.

What is earned is what `grade` gives for the same numbers. There is no worker, so nothing protects the grader from the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..rules import check_rule
from .assignment import Assignment, Rule
from .cases import Case
from .forward import difference
from .grade import case_name, earned, judge, name_number
from .results import CaseResult

__all__ = ["Situation", "rehearse", "share", "situations"]


@dataclass(frozen=True)
class Situation:
    """A rule at one case and with some keyword arguments of forward.

    Attributes:
        rule, case, kwargs: which.
        seed: the case is drawn from.
        checked: the seed of the check's own random numbers.
    """

    rule: Rule
    case: Case
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: tuple[int, ...] = (0,)
    checked: int = 0

    @property
    def name(self) -> str:
        """In reports."""
        return case_name(self.case, self.kwargs, len(self.rule.kwargs))

    def inputs(self) -> tuple[Any, ...]:
        """The same as `grade` draws."""
        return self.case.inputs(self.seed)

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A forward function with the keyword arguments."""
        return lambda *inputs: function(*inputs, **self.kwargs)


def situations(assignment: Assignment, rule: Rule) -> Iterator[Situation]:
    """All that a rule is graded in, in the order of `grade`."""
    for k, case in enumerate(rule.cases):
        for j, kwargs in enumerate(rule.kwargs):
            seed = (assignment.seed, name_number(rule.name), k, j)
            yield Situation(rule, case, kwargs, seed, assignment.seed)


def rehearse(
    situation: Situation,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    level: str = "quick",
    feedback: str = "hint",
    bound: bool = False,
) -> CaseResult:
    """What a pair of functions earns in one situation.

    Args:
        situation: which.
        forward: returns ``(y, cache)``.
        backward: as the rule's calling says.
        level: "full" says why, too.
        feedback: how much is said.
        bound: whether forward has its keyword arguments already.
    """
    rule = situation.rule
    result = CaseResult(situation.name, shares=dict.fromkeys((part for part, weight in rule.weights.items() if weight), 0.0))
    reference: Any = rule.forward_of_reference(situation.kwargs)
    asked = forward if bound else situation.forward(forward)
    try:
        with np.errstate(all="ignore"):
            y, _ = asked(*situation.inputs())
    except Exception as error:
        result.status, result.statements = "raised", [f"forward raised {type(error).__name__}: {error}"]
        return result
    wrong = difference(y, reference(*situation.inputs()))
    if wrong:
        result.statements.append(wrong)
    elif "forward" in result.shares:
        result.shares["forward"] = 1.0
    if level == "full" and rule.reference_backward is not None:
        reference = (situation.forward(rule.reference), rule.reference_backward)
    report = check_rule(
        asked,
        backward,
        *situation.inputs(),
        calling=rule.calling,
        reference=reference,
        seed=situation.checked,
        level=level,
        name=rule.name,
        raises=False,
    )
    judge(result, report, situation.inputs(), feedback)
    return result


def share(rule: Rule, results: Sequence[CaseResult]) -> float:
    """The share of a rule's points that results earn."""
    return float(np.mean([earned(rule, result) for result in results]))
