"""Kinks of the forward function: every slope between the two sides is a valid derivative there, and none beyond them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .comparison import Comparison, slopes_along
from .diagnoses.finding import Finding
from .examination import Examination
from .inputs import entry_name
from .trial import Trial

__all__ = ["is_wrong_at_kinks_alone", "name_kinks"]

SAMPLES = 3  # that are named


def is_wrong_at_kinks_alone(found: Examination, comparison: Comparison, trial: Trial, i: int) -> bool:
    """Whether the gradient is wrong at kinks alone; says so."""
    apart = comparison.low != comparison.high
    if not comparison.wrong.any() or not apart[comparison.wrong].all() or comparison.columns is None:
        return False
    row, column = comparison.worst(1)[0]
    low, high, ours = (float(v[row, column]) for v in (comparison.low, comparison.high, comparison.yours))
    place = entry_name(trial.word(i), comparison.columns, column)
    found.add(
        "D56",
        "kink_outside",
        Finding(
            f"{place} sits on a kink: the slopes beside it are {low:.6g} and {high:.6g}, and yours is {ours:.6g}",
            "every value between the two slopes is a valid choice, this is none",
            {"left": low, "right": high, "yours": ours},
        ),
        i,
    )
    return True


def name_kinks(found: Examination) -> None:
    """Name the kinks at which the gradient is one of the valid choices."""
    for i, comparison in enumerate(found.trial.comparisons if found.comparisons else ()):
        if comparison.columns is None:
            continue
        if comparison.rows is not None:
            _name_ties(found, i)
        for row, column in _some(comparison):
            low, high, ours = (float(v[row, column]) for v in (comparison.low, comparison.high, comparison.yours))
            place = entry_name(found.trial.word(i), comparison.columns, column)
            value = float(found.trial.values[i].ravel()[column])
            found.add(
                "D55",
                "kink",
                Finding(
                    f"{place} = {value:.6g} sits on a kink: slopes {low:.6g} and {high:.6g}; your {ours:.6g} is a valid choice",
                    args={"left": low, "right": high, "yours": ours},
                ),
                i,
                error=False,
            )


def _name_ties(found: Examination, i: int) -> None:
    """Say if entries at kinks of one output do not add up along the direction in which they rise together.

    Of tied maxima each may get anything between 0 and 1, but together they get 1. It is no error, because a sum of separate
    kinks may look the same: relu(x) - relu(-y) at 0.
    """
    comparison, trial = found.trial.comparisons[i], found.trial
    kinks = comparison.kinks & ~comparison.wrong
    for row in np.flatnonzero(kinks.sum(axis=1) > 1)[:SAMPLES]:
        direction = kinks[row].astype(float)
        [slope] = slopes_along(trial.rule, trial.rule.values, i, [direction], trial.value)
        right, ours = float(slope.jacobian.ravel()[row]), float(comparison.yours[row] @ direction)
        if slope.kinks.ravel()[row] or abs(ours - right) <= 1e-6 * max(abs(ours), abs(right), 1.0):
            continue
        assert comparison.rows is not None and comparison.columns is not None
        tied = " and ".join(entry_name(trial.word(i), comparison.columns, int(k)) for k in np.flatnonzero(direction)[:3])
        output = entry_name("y", comparison.rows, int(row))
        found.add(
            "D55",
            "kink",
            Finding(
                f"{tied} are tied: when they rise together by t, {output} rises by {right:.6g} t, and your gradients say "
                f"{ours:.6g} t",
                "the gradient of tied maxima is given to one of them or divided among them",
                {"together": ours, "right": right},
            ),
            i,
            error=False,
        )
        return


def _some(comparison: Comparison) -> Iterator[tuple[int, int]]:
    right = comparison.kinks & ~comparison.wrong
    if comparison.rows is None:
        return
    yield from ((int(row), int(column)) for row, column in np.argwhere(right)[:SAMPLES])
