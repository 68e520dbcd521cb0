"""Grades as a table in CSV: a line for each submission, a column for each test."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .results import Grade, write_atomically

__all__ = ["as_csv", "row_of", "write_csv"]

FIRST = ("submission", "score", "points")
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")  # at the beginning of a text a spreadsheet takes them for a formula


def row_of(submission: str, grade: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the table, from a grade as `as_json` has it."""
    scores = {_column(test): test["score"] for test in grade["tests"]}
    return {"submission": submission, "score": grade["score"], "points": grade["points"], **scores}


def _column(test: Mapping[str, Any]) -> str:
    return f"{test['number']} {test['name']} ({round(test['points'], 2):g})"


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The lines as text, with a line of headings. A column that a row lacks is left empty.

    >>> print(as_csv([{"submission": "ada", "score": 2.0, "points": 3, "1 tanh (3)": 2.0}]), end="")
    submission,score,points,1 tanh (3)
    ada,2.0,3,2.0
    """
    columns = list(dict.fromkeys([*FIRST, *(key for row in rows for key in row)]))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writerow({column: _text(column) for column in columns})
    for row in rows:
        writer.writerow({key: _text(value) for key, value in row.items()})
    return out.getvalue()


def _text(value: Any) -> Any:
    """A cell. Names come from students: none is to run in the teacher's spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(DANGEROUS) else value


def write_csv(grade: Grade, path: Path) -> None:
    """One grade: two lines. Called after the submission's folder, or, for want of one, the file."""
    tests = [test.as_dict() for test in grade.tests]
    found = {"score": grade.score, "points": grade.points, "tests": tests}
    write_atomically(path, as_csv([row_of(grade.submission or path.stem, found)]))
