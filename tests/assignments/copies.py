"""Copies of the shipped assignments: the author's, the student's as it is handed out, and the author's with a mistake in it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import tinyad.grade as tg
from tinyad.checking.grading.handout import hand_out, sources, write_files
from tinyad.checking.grading.results import Grade, TestResult

ASSIGNMENTS = Path(__file__).resolve().parents[2] / "assignments"


def author_file(name: str) -> Path:
    return ASSIGNMENTS / name / "hw.py"


def load(name: str, *items: str) -> tg.Assignment:
    """An assignment; with some of its items only, if any are named."""
    hw = tg.load_assignment(author_file(name))
    if items:
        hw = copy.copy(hw)
        hw.items, hw.points = [item for item in hw.items if item.name in items], None
        assert len(hw.items) == len(items)
    return hw


def solution(name: str, folder: Path) -> Path:
    """What an excellent student hands in."""
    write_files(folder, hand_out(sources(author_file(name), load(name))).solution)
    return folder


@dataclass(frozen=True)
class Mistake:
    """A mistake that students make, planted in the solution.

    Attributes:
        name: of the mistake.
        items: that lose points by it.
        file, old, new: what is changed.
        ids: of the diagnoses that name it, one for each of the items.
        said: something that the student is told at the first of them.
        control: an item that it does not touch.
    """

    name: str
    items: tuple[str, ...]
    file: str
    old: str
    new: str
    ids: tuple[str, ...]
    said: str
    control: str

    def plant(self, folder: Path) -> None:
        path = folder / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.name}: the line to change is there {text.count(self.old)} times"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def graded_with(name: str, mistake: Mistake, folder: Path) -> Grade:
    """The grade of the solution with the mistake in it, of the items that it touches and of one that it does not."""
    solution(name, folder)
    mistake.plant(folder)
    return tg.grade(load(name, *mistake.items, mistake.control), folder)


def results_of(grade: Grade, item: str) -> list[TestResult]:
    """The tests of an item: of the cases that students see, and of the hidden ones."""
    return [test for test in grade.tests if test.name in (item, f"{item}, hidden cases")]
