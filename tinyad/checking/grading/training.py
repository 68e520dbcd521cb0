"""Trainings: a function is called once, within a time, and judged by what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .assignment import Metric, Training
from .results import CaseResult, TestResult
from .submission import Submission

__all__ = ["grade_training", "judged"]


def grade_training(item: Training, test: TestResult, student: Submission) -> None:
    """Call the student's function and judge what comes back; errors of the call are the caller's to tell."""
    returned = student.call(item.file, item.names[0], *item.args, **item.kwargs)
    share, told = judged(item.metric, returned)
    test.cases.append(CaseResult(item.names[0], shares={"metric": share}, statements=[told]))
    test.settle(share * item.points, told)


def judged(metric: Metric | Callable[[Any], Any], returned: Any) -> tuple[float, str]:
    """The share of the points that what was returned earns, and why.

    >>> judged(Metric.parse("loss<0.1"), {"loss": 0.05})
    (1.0, 'loss = 0.05, as loss < 0.1 is asked for')
    """
    return _bounded(metric, returned) if isinstance(metric, Metric) else _by_function(metric, returned)


def _bounded(metric: Metric, returned: Any) -> tuple[float, str]:
    """Whether a number keeps its bound."""
    value = returned.get(metric.name) if isinstance(returned, dict) else returned
    if isinstance(returned, dict) and metric.name not in returned:
        return (
            0.0,
            f"there is no {metric.name!r} in the dict that was returned; it has {', '.join(map(str, returned)) or 'nothing'}",
        )
    number = _number(value)
    if number is None:
        return 0.0, f"{metric.name} is a {type(value).__name__}; expected a number"
    holds = metric.holds(number)
    return float(
        holds
    ), f"{metric.name} = {number:.6g}, {'as' if holds else 'but'} {metric} {'is' if holds else 'was'} asked for"


def _by_function(judge: Any, returned: Any) -> tuple[float, str]:
    """What the author's function makes of what came back, which may be anything."""
    try:
        share = _number(judge(returned))
    except Exception as error:
        return 0.0, f"what was returned cannot be judged: {type(error).__name__}: {error}"
    if share is None or share != share:
        return 0.0, "what was returned was given no share of the points"
    share = min(max(share, 0.0), 1.0)
    return share, f"{share:.0%} of the points"


def _number(value: Any) -> float | None:
    """A number, or an array of one."""
    if isinstance(value, (bool, int, float, np.bool_, np.number)) and not isinstance(value, np.complexfloating):
        return float(value)
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "fiub":
        return float(value.reshape(())[()])
    return None
