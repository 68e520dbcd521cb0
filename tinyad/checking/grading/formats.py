"""The formats that a grade can be written in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .gradescope import write_gradescope
from .json_format import write_json
from .results import Grade

__all__ = ["FORMATS"]

FORMATS: dict[str, Callable[[Grade, Path], None]] = {"gradescope": write_gradescope, "json": write_json}
"""By name, what writes a grade to a file. It is called before the first test and after every test, with all that is known then."""
