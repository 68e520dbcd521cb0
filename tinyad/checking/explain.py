"""Why the values of a gradient are wrong: from the catalogue, the tape of the forward function, or mutants of a right backward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .diagnoses.catalogue import look_up
from .diagnoses.finding import Finding, number
from .diagnoses.precision import like_differences, precision
from .evidence import Evidence
from .examination import Examination
from .groups import locate, places
from .inputs import EPS, entry_name
from .kinks import is_wrong_at_kinks_alone
from .reference_mutants import explain_by_mutants
from .report import Diagnosis
from .rule import Raised, WrongCount
from .tape_edits import explain_by_tape
from .trial import Trial

__all__ = ["explain", "is_comparable", "say_if_imprecise"]


def is_comparable(trial: Trial) -> bool:
    """Whether the rule can be compared there: beside the given point it may leave the domain of f."""
    try:
        trial.comparisons  # noqa: B018 (computed here)
    except (Raised, WrongCount, ValueError):
        if trial.origin:
            return False
        raise
    return True


def explain(found: Examination, trial: Trial, i: int, level: str) -> None:
    """Say why the gradient of input ``i`` is wrong at this trial."""
    comparison = trial.comparisons[i]
    if is_wrong_at_kinks_alone(found, comparison, trial, i):
        return
    if comparison.columns is None:
        _explain_large(found, trial, i, level)
        return
    if level == "full":
        said = (
            look_up(trial.evidence(i), _evidence_there(trial, i))
            or explain_by_tape(trial, i)
            or explain_by_mutants(trial, i, found.trusted)
        )
        if said is not None:
            entry, finding = said
            found.add(entry.id, entry.label, finding, i, tier=entry.tier)
            return
    hint = "none of the known mistakes" if level == "full" else "why was not asked: level='quick'"
    found.add("D57", "unknown", replace(_unknown(trial, i), hint=hint), i)


def _explain_large(found: Examination, trial: Trial, i: int, level: str) -> None:
    """Say why the gradient of a large input is wrong: where, if that is in a few places, or else what is wrong on small arrays."""
    located = locate(trial, i)
    small = trial.small if level == "full" and not located.complete else None
    said = _on_small_arrays(found, small, i) if small is not None else None
    if said is not None:
        found.diagnoses.append(said)
        return
    c = trial.factor(i) if not located.complete and level == "full" else None
    if c is not None:
        fact = f"exactly {number(c)} times the right gradient, along a random direction and for two upstream gradients"
        found.add("D23", "factor", Finding(fact, "a constant factor is wrong or missing", {"c": c}), i)
        return
    shape, word, size = trial.values[i].shape, trial.word(i), trial.values[i].size
    named = ", ".join(f"{word}{place}" for place in places(located.entries[:5], shape))
    more = f" and {len(located.entries) - 5} more" if len(located.entries) > 5 else ""
    few = f"{len(located.entries)} of {size} entries {'is' if len(located.entries) == 1 else 'are'} wrong: {named}{more}"
    found.add(
        "D57",
        "unknown",
        Finding(
            few if located.complete else f"wrong all over: in {100 * located.share:.3g} % of the parts that were looked at",
            "all others are right" if located.complete else "none of the known mistakes; try it on small arrays",
            {"entries": places(located.entries[:20], shape), "complete": located.complete},
            explain=f"found by {located.tests} directions, of four calls of forward each",
        ),
        i,
    )


def _on_small_arrays(found: Examination, small: Trial, i: int) -> Diagnosis | None:
    """Why the rule is wrong on small arrays; None if it is right there, or nobody knows."""
    if not is_comparable(small) or not small.every_entry or small.comparisons[i].passed:
        return None
    there = Examination(small, found.trusted)
    explain(there, small, i, "full")
    [said] = there.diagnoses
    if said.id == "D57":
        return None
    shapes = ", ".join(str(value.shape) for value in small.values)
    seen = f"Seen on arrays of the shapes {shapes}, on which the rule is wrong as well."
    return replace(said, name=found.name(i), explain="\n".join(filter(None, (said.explain, seen))))


def say_if_imprecise(found: Examination, i: int) -> None:
    """Say so if a gradient within the tolerance is off by more than roundoff, here and at another point."""
    if not found.trial.every_entry or found.trial.eps > EPS:
        return
    for id, label, look, error in (("D54", "precision", precision, True), ("D17", "fd_backward", like_differences, False)):
        finding = look(found.trial.evidence(i))
        there = _evidence_there(found.trial, i) if finding is not None else None
        if finding is not None and there is not None and look(there) is not None:
            found.add(id, label, finding, i, error=error)
            return


def _evidence_there(trial: Trial, i: int) -> Evidence | None:
    another = trial.another
    return another.evidence(i) if another is not None and is_comparable(another) else None


def _unknown(trial: Trial, i: int) -> Finding:
    """What can be said of a gradient that is wrong in no known way."""
    comparison = trial.comparisons[i]
    ours, right = np.nan_to_num(comparison.yours), comparison.low
    norms = float(np.linalg.norm(ours) * np.linalg.norm(right))
    cosine = float((ours * right).sum()) / norms if norms else 0.0
    clear = (right != 0) & (ours != 0)
    signs = float((np.sign(ours[clear]) == np.sign(right[clear])).mean()) if clear.any() else 0.0
    columns = np.flatnonzero(comparison.wrong.any(axis=0))
    few = comparison.columns is not None and 3 * columns.size <= comparison.wrong.shape[1] and columns.size <= 5
    named = " and ".join(entry_name(trial.word(i), comparison.columns or (), int(k)) for k in columns)
    return Finding(
        f"wrong in {named} alone: {comparison.summary()}" if few else comparison.summary(),
        args={"wrong": int(comparison.wrong.sum()), "of": int(comparison.wrong.size)},
        explain=f"cosine with the right one {cosine:.4f}; {100 * signs:.0f} % of the signs agree",
    )
