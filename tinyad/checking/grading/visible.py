"""The cases that students see, in a file that goes with their copy: inputs and outputs, and nothing of how those came about.

The file is written by the author's side, from the references' forward functions, and read by tests in the student's copy.
Derivatives are checked there against the student's own forward, whose outputs are compared with those in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...backend import asnumpy
from ...tensor import unwrap
from ..rules import check_rule
from . import frames
from .assignment import Assignment, Rule
from .forward import difference
from .points import quietly
from .rehearsal import situations

__all__ = ["FILE", "check_visible", "visible_cases"]

FILE = "visible.cases"
LARGEST = 64 << 20  # bytes of such a file


def visible_cases(assignment: Assignment) -> bytes:
    """The visible cases of all rules, as the contents of a file."""
    return frames.encode(
        {item.name: _of_rule(assignment, item) for item in assignment.items if isinstance(item, Rule)}, LARGEST
    )


def _of_rule(assignment: Assignment, rule: Rule) -> dict[str, Any]:
    cases = []
    for situation in situations(assignment, rule):
        if not situation.case.hidden:
            y = rule.forward_of_reference(situation.kwargs)(*situation.inputs())
            case = {"name": situation.name, "inputs": situation.inputs(), "kwargs": dict(situation.kwargs)}
            cases.append({**case, "y": np.asarray(asnumpy(unwrap(y)))})
    return {"calling": rule.calling, "seed": assignment.seed, "feedback": assignment.feedback, "cases": cases}


def check_visible(file: str | Path, name: str, forward: Callable[..., Any], backward: Callable[..., Any]) -> str:
    """Check a rule at the visible cases of a file.

    Args:
        file: that came with the assignment, ``"visible.cases"``.
        name: of the rule.
        forward, backward: yours.

    Returns:
        How many cases pass.

    Raises:
        AssertionError: a case does not pass; the message says why.
        ValueError: there is no such file, or no such rule in it.
    """
    try:
        rules = frames.decode(Path(file).read_bytes(), LARGEST)
    except (OSError, frames.FrameError) as error:
        raise ValueError(f"check_visible: file is {str(file)!r}, which cannot be read: {error}") from None
    if name not in rules:
        raise ValueError(f"check_visible: there is no rule {name!r} in {file}; expected one of {', '.join(map(repr, rules))}.")
    rule = rules[name]
    said = [text for case in rule["cases"] if (text := _wrong(rule, case, name, forward, backward))]
    if said:
        raise AssertionError(f"{len(said)} of {len(rule['cases'])} cases fail.\n" + "\n".join(dict.fromkeys(said)))
    return f"{name}: all {len(rule['cases'])} cases pass"


def _wrong(
    rule: dict[str, Any], case: dict[str, Any], name: str, forward: Callable[..., Any], backward: Callable[..., Any]
) -> str:
    """What is wrong at one case; empty if nothing is."""

    def asked(*inputs: Any) -> Any:
        return forward(*inputs, **case["kwargs"])

    with quietly():
        try:
            y, _ = asked(*case["inputs"])
        except Exception as error:
            return f"{case['name']}: forward raised {type(error).__name__}: {error}"
        if wrong := difference(y, case["y"]):
            return f"{case['name']}: {wrong}"
        settings = {"calling": rule["calling"], "seed": rule["seed"], "name": f"{name} at {case['name']}"}
        report = check_rule(asked, backward, *case["inputs"], raises=False, **settings)
    return "" if report.passed else report.text(rule["feedback"])
