"""Tier 2: edits of the tape."""

from __future__ import annotations

from .diagnoses.finding import Entry, Finding
from .evidence import Trial


def explain_by_tape(trial: Trial, i: int) -> tuple[Entry, Finding] | None:
    return None
