"""Gradients that are right to some digits, next to the exact ones of the tape."""

from __future__ import annotations

import numpy as np

from ..evidence import Evidence
from ..inputs import EPS
from .finding import Entry, Finding

__all__ = ["PRECISION", "like_differences", "precision"]

DIFFERENCES = 2e-12  # central differences with a step of 1e-5 are off by 1e-11, right rules by 1e-15
ROUNDING = (2e-9, 5e-7)  # around what half a unit in the last place of float32 does to a number, 3e-8; float64 gives 1e-16


def precision(e: Evidence) -> Finding | None:
    """G differs from the exact gradient by noise of the size of float32's rounding."""
    off = _off_exact(e)
    if off is None or not ROUNDING[0] < off < ROUNDING[1]:
        return None
    return Finding(
        "right to about 7 digits, and beyond them wrong without a pattern",
        "part of the computation runs in float32, or the derivative is a difference quotient",
        residual=float(f"{off:.0e}"),
    )


def like_differences(e: Evidence) -> Finding | None:
    """G differs from the exact gradient by more than roundoff and less than float32's rounding."""
    off = _off_exact(e)
    if off is None or not DIFFERENCES < off <= ROUNDING[0]:
        return None
    return Finding(
        f"right to about {int(-np.log10(off))} digits, where a derivative that is written out is right to 14 or more",
        "a difference quotient in the place of a derivative, or a sum in which much cancels",
        residual=float(f"{off:.0e}"),
    )


def _off_exact(e: Evidence) -> float | None:
    """By how much the entries of G typically differ from the exact gradient, relatively; None where that is not known: a forward
    in float32 leaves a tape in float32."""
    if e.trial.value[1] > EPS:
        return None
    exact = e.trial.tape.right[e.i] if e.trial.tape is not None and e.trial.tape_is_right(e.i) else None
    if exact is None or not e.by_rows or not e.same(e.G, exact):
        return None
    clear = np.abs(exact) > 1e-3 * np.abs(exact).max(initial=0.0)
    ratio = np.abs(e.G - exact)[clear] / np.abs(exact)[clear]
    return float(np.median(ratio)) if ratio.size >= 3 else None


PRECISION = (Entry("D54", "precision", precision),)
