"""What grading a submission gives: the result of every test, and the grade. Written by the grader alone."""

from __future__ import annotations

import math
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["NOT_RUN", "CaseResult", "Grade", "TestResult", "out_of", "slug", "write_atomically"]

NOT_RUN = "not graded: grading ended before this test. If it stays so, tell your teacher."


@dataclass
class CaseResult:
    """What was found at one case.

    Attributes:
        name: of the case, with the keyword arguments.
        status: "ok", or how a call went wrong: one of `submission.STATUSES`, or "not run".
        shares: of each part of the points, what is earned, from 0 to 1.
        statements: what the student is told, the most important first.
        diagnoses: those of the check, for programs.
        advice: remarks that cost no points.
    """

    name: str
    status: str = "ok"
    shares: dict[str, float] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    diagnoses: list[dict[str, Any]] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything was earned."""
        return self.status == "ok" and bool(self.shares) and all(share == 1.0 for share in self.shares.values())

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        shares = {part: round(share, 6) for part, share in self.shares.items()}
        listed = {"statements": self.statements, "diagnoses": self.diagnoses, "advice": self.advice}
        return {"name": self.name, "status": self.status, "passed": self.passed, "shares": shares, **listed}


@dataclass
class TestResult:
    """The result of a test: an item of the assignment, or its hidden cases.

    Attributes:
        name, number, stage: of the test.
        points: it is worth.
        score: that was earned.
        hidden: whether it is of hidden cases.
        status: "passed", "partly", "failed", "void" (worth 0 because of how it was done) or "not run".
        void: why it is void, as a tag.
        output: what the student is told.
        cases: what was found at each.
    """

    __test__ = False  # pytest is not to take it for a test of its own

    name: str
    number: str
    points: float
    stage: str = ""
    hidden: bool = False
    score: float = 0.0
    status: str = "not run"
    void: str = ""
    output: str = NOT_RUN
    cases: list[CaseResult] = field(default_factory=list)

    def settle(self, score: float, output: str, status: str = "") -> None:
        """Say how the test ended. Scores are rounded to what a table of marks can show."""
        self.score = round(min(max(score, 0.0), self.points), 4)
        whole = self.score == round(self.points, 4)
        self.status = status or ("passed" if whole else "partly" if self.score else "failed")
        self.output = output

    @property
    def tags(self) -> list[str]:
        """The mistakes that were named, by their numbers in the catalogue."""
        found = [diagnosis["id"] for case in self.cases for diagnosis in case.diagnoses if diagnosis.get("error")]
        return list(dict.fromkeys([*([self.void] if self.void else []), *found]))

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        head = {"name": self.name, "number": self.number, "stage": self.stage, "hidden": self.hidden, "status": self.status}
        worth = {"score": self.score, "points": self.points, "tags": self.tags, "output": self.output}
        return {**head, **worth, "cases": [case.as_dict() for case in self.cases]}


@dataclass
class Grade:
    """The grade of a submission.

    Attributes:
        assignment: its name.
        points: it is worth.
        seed: of what was drawn.
        feedback: the level of what students are told.
        tests: their results, in the order of the assignment.
        visibility: of hidden tests.
        notes: for everybody: what grading could not do.
        submission: the name of its folder, for tables.
        for_teacher: what the static screen and the worker remarked, and what the code printed.
    """

    assignment: str
    points: float
    seed: int
    feedback: str
    tests: list[TestResult]
    visibility: str = "after_published"
    notes: list[str] = field(default_factory=list)
    for_teacher: list[str] = field(default_factory=list)
    submission: str = ""

    @property
    def score(self) -> float:
        """What was earned with all tests together."""
        return round(sum(test.score for test in self.tests), 4)

    def stages(self) -> dict[str, tuple[float, float]]:
        """For each stage the points that were earned, and those it is worth."""
        found: dict[str, tuple[float, float]] = {}
        for test in self.tests:
            score, points = found.get(test.stage, (0.0, 0.0))
            found[test.stage] = round(score + test.score, 4), points + test.points
        return found

    def __str__(self) -> str:
        lines = [f"{self.assignment}: {out_of(self.score, self.points)} points"]
        lines += [f"  {out_of(test.score, test.points, '/')}  {test.number} {test.name}: {test.status}" for test in self.tests]
        if len(self.stages()) > 1:
            stages = self.stages().items()
            lines += [f"  {out_of(score, points, '/')}  {stage or 'without stage'}" for stage, (score, points) in stages]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def out_of(score: float, points: float, between: str = " of ") -> str:
    """Points for people, with two digits: nobody has all of them who has not, and who has all has the same number.

    >>> out_of(1.3333, 4 / 3), out_of(1.6667, 5 / 3, "/"), out_of(2.9999, 3)
    ('1.33 of 1.33', '1.67/1.67', '2.99 of 3')
    """
    whole = round(score, 4) >= round(points, 4)
    return f"{round(points if whole else math.floor(score * 100 + 1e-6) / 100, 2):g}{between}{round(points, 2):g}"


def slug(name: str) -> str:
    """A name as a file may have it.

    >>> slug("write your own engine"), slug("HW 1: ops/..")
    ('write-your-own-engine', 'HW-1-ops')
    """
    return re.sub(r"[^\w.]+", "-", name).strip("-.") or "assignment"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that whoever reads it finds the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
