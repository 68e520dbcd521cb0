"""Test files for otter, in its format of functions that raise.

`otter_test` is a file for students and for otter's own grading, which runs the student's code in the grader's process.
`write_otter` writes a grade that `tinyad grade` found as such a file: what was earned as a test case that passes, what was lost as
one that fails and says why, so that otter shows what is known without running anything again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .assignment import Rule
from .results import Grade, TestResult, write_atomically
from .visible import FILE

__all__ = ["as_otter", "file_name", "otter_test", "write_otter"]

HEAD = """\
from otter.test_files import test_case

OK_FORMAT = False
name = {name!r}
points = {points!r}
"""


def file_name(name: str) -> str:
    """A name that a test file can have: otter takes it for the name of the question.

    >>> file_name("x**2, in 1 line")
    'x_2_in_1_line'
    """
    return re.sub(r"\W+", "_", name).strip("_") or "test"


def otter_test(rule: Rule, assignment: str = "") -> str:
    """A test file of a rule.

    Args:
        rule: which.
        assignment: name of the author's file if the hidden cases are to be tested, too, from there.
    """
    shown = sum(not case.hidden for case in rule.cases) / len(rule.cases)
    visible = rule.points * (shown if assignment and shown else 1.0)
    lines = [HEAD.format(name=file_name(rule.name), points=None), ""]
    if shown or not assignment:
        lines += _case(
            "visible", visible, False, rule.names, f"tg.check_visible({FILE!r}, {rule.name!r}, {', '.join(rule.names)})"
        )
    if assignment and shown < 1:
        call = f"tg.grade_here({assignment!r}, {rule.name!r}, {', '.join(rule.names)}, hidden=True, raises=True)"
        lines += _case("hidden", rule.points * (1 - shown), True, rule.names, call)
    return "\n".join(lines)


def _case(name: str, points: float, hidden: bool, names: tuple[str, ...], call: str) -> list[str]:
    head = f"@test_case(name={f'{name} cases'!r}, points={round(points, 4)!r}, hidden={hidden})"
    return ["", head, f"def test_{name}({', '.join(names)}):", "    import tinyad.grade as tg", "", f"    {call}", ""]


# ---- a grade as a test file


def as_otter(grade: Grade) -> str:
    """The grade as a test file: its test cases are the tests."""
    lines = [HEAD.format(name=file_name(grade.assignment), points=None)]
    for k, test in enumerate(grade.tests):
        lost = round(test.points - test.score, 4)
        if test.score or not lost:
            lines += _replayed(
                k, test, "earned", test.score, f"success_message={f'{test.status}: {test.number} {test.name}'!r}"
            )
        if lost:
            lines += _replayed(
                k, test, "lost", lost, f"failure_message={test.output!r}", f"raise AssertionError({test.status!r})"
            )
    return "\n".join(lines)


def _replayed(k: int, test: TestResult, what: str, points: float, message: str, does: str = "pass") -> list[str]:
    about: dict[str, Any] = {"name": f"{test.number} {test.name}, {what}", "points": points, "hidden": test.hidden}
    listed = ", ".join(f"{key}={value!r}" for key, value in about.items())
    return ["", f"@test_case({listed}, {message})", f"def test_{k}_{what}():", f"    {does}", ""]


def write_otter(grade: Grade, path: Path) -> None:
    """Write it, as a whole or not at all."""
    write_atomically(path, as_otter(grade))
