"""A grade as JSON with everything in it, for programs: the same bytes for the same submission, in every process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ...version import __version__
from .results import Grade, write_atomically

__all__ = ["SCHEMA", "as_json", "write_json"]

SCHEMA = "tinyad-grade-1"


def as_json(grade: Grade) -> str:
    """The grade as text. There are no times and no paths in it."""
    head: dict[str, Any] = {"schema": SCHEMA, "tinyad": __version__, "numpy": np.__version__, "seed": grade.seed}
    head |= {"assignment": grade.assignment, "feedback": grade.feedback, "score": grade.score, "points": grade.points}
    stages = [{"stage": stage, "score": score, "points": points} for stage, (score, points) in grade.stages().items()]
    body = {"stages": stages, "tests": [test.as_dict() for test in grade.tests]}
    return json.dumps(head | body | {"notes": grade.notes, "for_teacher": grade.for_teacher}, indent=1, sort_keys=True) + "\n"


def write_json(grade: Grade, path: Path) -> None:
    """Write it, as a whole or not at all."""
    write_atomically(path, as_json(grade))
