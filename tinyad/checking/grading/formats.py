"""The formats that a grade can be written in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .gradescope import write_gradescope
from .json_format import write_json
from .junit import write_junit
from .notebook import write_nbgrader
from .otter import write_otter
from .results import Grade
from .table import write_csv

__all__ = ["FORMATS"]

FORMATS: dict[str, Callable[[Grade, Path], None]] = {
    "gradescope": write_gradescope,
    "json": write_json,
    "nbgrader": write_nbgrader,
    "otter": write_otter,
    "junit": write_junit,
    "csv": write_csv,
}
"""By name, what writes a grade to a file. It is called before the first test and after every test, with all that is known then."""
