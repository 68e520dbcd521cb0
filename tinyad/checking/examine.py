"""From a rule to diagnoses: contract, purity, linearity, values, and then why the values are wrong.

Each stage looks only at what the stages before it left in order: a gradient of the wrong shape is not compared, one that is not
linear in the upstream gradient has no Jacobian. Every input is judged, whatever is wrong with the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from .comparison import Comparison, Tolerance, compare, relative_distance
from .diagnoses.catalogue import explain
from .diagnoses.contract import CONTRACT, Returned
from .diagnoses.finding import Finding
from .diagnoses.linearity import LINEARITY, pull
from .diagnoses.purity import ALIASING, PURITY, observe
from .diagnoses.structure import precision
from .evidence import Evidence, Trial
from .groups import locate, places
from .inputs import EPS, FloatInputs, checked_output, entry_name
from .reference_mutants import TrustedPair, explain_by_mutants
from .report import Diagnosis
from .rule import Pair, Raised, WrongCount, usable
from .tape_edits import explain_by_tape

__all__ = ["Examination", "examine", "in_given_dtype"]

SAMPLES = 3  # kinks that are named


@dataclass
class Examination:
    """What is found of a rule, while it is examined.

    Attributes:
        trial: the rule at the point that was given.
        trusted: a right backward, if there is one.
        diagnoses: so far.
        comparisons: of the inputs whose gradients can be compared.
        notes: on how it was examined.
    """

    trial: Trial
    trusted: TrustedPair | None = None
    diagnoses: list[Diagnosis] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def name(self, i: int) -> str:
        """An input's name, shape and dtype."""
        value = self.trial.rule.values[i]
        return f"{self.trial.rule.names[i]} {value.shape} {value.dtype}"

    def add(self, id: str, label: str, finding: Finding, i: int | None = None, tier: int = 1, error: bool = True) -> None:
        """Write down what was found of the whole call, or of one input."""
        self.diagnoses.append(
            Diagnosis(
                id=finding.id or id,
                label=finding.label or label,
                fact=finding.fact,
                hint=finding.hint,
                explain=finding.explain,
                input=i,
                name="" if i is None else self.name(i),
                tier=tier,
                residual=finding.residual,
                args=finding.args,
                error=error,
            )
        )

    def sorted(self) -> list[Diagnosis]:
        """What is wrong first, in the order in which it was found; then what is worth knowing."""
        return sorted(self.diagnoses, key=lambda diagnosis: not diagnosis.error)


def examine(trial: Trial, points: int = 2, level: str = "full", trusted: TrustedPair | None = None) -> Examination:
    """Judge the rule of a trial, and say why it is wrong where it is.

    Args:
        trial: the rule at the point that was given.
        points: at how many points the values are compared.
        level: "quick" says what is wrong, "full" also why.
        trusted: a right backward, whose mutants may explain a wrong one.
    """
    found = Examination(trial, trusted)
    if not _contract_of_call(found) or not _purity(found):
        return found
    broken, explained = _contract(found)
    explained |= _linearity(found, broken)
    _values(found, broken, explained, points, level)
    _kinks(found)
    if level == "full" and points > 1 and trial.every_entry and not any(d.error for d in found.diagnoses):
        _on_other_shapes(found)
    return found


# ---- what does not need the numeric derivative


def _contract_of_call(found: Examination) -> bool:
    """Whether backward returns one thing for each input; says why not."""
    try:
        found.trial.first  # noqa: B018 (computed here, so that what it raises is caught here)
    except Raised as raised:
        found.add("D01" if raised.stage == "backward" else "F01", "exception", _exception(found, raised))
        return False
    except WrongCount as wrong:
        found.add(
            "D02", "wrong_count", Finding(f"backward returned {wrong}", "return one gradient for every input, in their order")
        )
        return False
    return True


def _exception(found: Examination, raised: Raised) -> Finding:
    """What was raised and where; and, where the same rule runs on square arrays, what is wrong with it there."""
    square = _says_on_square(found.trial) if raised.stage == "backward" else ""
    return Finding(
        str(raised),
        raised.place(),
        {"type": type(raised.error).__name__},
        explain=square and f"On square arrays, where it does not raise: {square}",
    )


def _says_on_square(trial: Trial) -> str:
    square = trial.square if trial.origin is None else None
    if square is None:
        return ""
    there = examine(square, points=1)
    return "; ".join(f"{d.name}: {d.fact} [{d.id} {d.label}]" for d in there.sorted() if d.error)


def _purity(found: Examination) -> bool:
    """Whether gradients can be compared at all; says what has side effects."""
    rule = found.trial.rule
    if not isinstance(rule, Pair):
        return True
    try:
        observed = observe(found.trial)
    except (Raised, WrongCount) as error:  # the first call of backward worked: a later one with the same cache did not
        fact = f"backward works the first time and not the second: {error}"
        found.add(
            "D13",
            "not_reentrant",
            Finding(fact, "backward uses up its cache (pop, del): leave it as it is", {"ratio": "raised"}),
        )
        rule.fresh = True
        return True
    for id, label, look in PURITY:
        finding = look(observed)
        if finding is None:
            continue
        found.add(id, label, finding)
        if id in ("D13", "D14", "D11"):
            rule.fresh = True
        if id == "D15" or finding.args.get("ratio", "none") not in ("none", "kept"):
            return False  # another gradient at each call: there is nothing to compare
    finding = ALIASING[2](observed)
    if finding is not None:
        found.add(ALIASING[0], ALIASING[1], finding, error=False)
    return True


def _contract(found: Examination) -> tuple[set[int], set[int]]:
    """The inputs whose gradients cannot be compared, and those that need no more explanation."""
    broken, explained = set(), set()
    trial = found.trial
    for i, g in enumerate(trial.first):
        if g is not None and not usable(g, trial.values[i]):
            broken.add(i)
        returned = Returned(trial, i, g)
        for id, label, look in CONTRACT:
            finding = look(returned)
            if finding is not None:
                found.add(id, label, finding, i)
                explained.add(i)
                break
    return broken, explained


def _linearity(found: Examination, broken: set[int]) -> set[int]:
    """The inputs whose gradients are not linear in the upstream gradient."""
    try:
        pulled = pull(found.trial)
    except (Raised, WrongCount) as error:
        found.add("D01", "exception", Finding(f"for another upstream gradient {error}", getattr(error, "place", str)()))
        return set(range(len(found.trial.values)))
    crooked: set[int] = set()
    for i, gradients in enumerate(pulled):
        if gradients is None or i in broken:
            continue
        for id, label, look in LINEARITY:
            finding = look(gradients)
            if finding is not None:
                found.add(id, label, finding, i)
                crooked.add(i)
                break
    return crooked


# ---- values


def _values(found: Examination, broken: set[int], explained: set[int], points: int, level: str) -> None:
    """Compare at the given point and at others near by, and explain the first failure of each input."""
    trial: Trial | None = found.trial
    for _ in range(points):
        if trial is None or not _comparable(trial):
            break
        for i, comparison in enumerate(trial.comparisons):
            if i in broken:
                continue
            if trial is found.trial or (not comparison.passed and i not in explained):
                found.comparisons.append(comparison)
            if not comparison.passed and i not in explained:
                explained.add(i)
                _explain(found, trial, i, level)
            elif trial is found.trial and trial.every_entry and isinstance(trial.rule, Pair):
                _imprecise(found, i)
        trial = (
            trial.another if trial.every_entry else None
        )  # a large one costs ten calls of forward, and one point says enough


def _comparable(trial: Trial) -> bool:
    """Whether the rule can be compared there: beside the given point it may leave the domain of f."""
    try:
        trial.comparisons  # noqa: B018 (computed here)
    except (Raised, WrongCount, ValueError):
        if trial.origin:
            return False
        raise
    return True


def _explain(found: Examination, trial: Trial, i: int, level: str) -> None:
    """Say why the gradient of input ``i`` is wrong at this trial."""
    comparison = trial.comparisons[i]
    if _beyond_kinks(found, comparison, trial, i):
        return
    if comparison.columns is None:
        _explain_large(found, trial, i, level)
        return
    if level == "full":
        said = (
            explain(trial.evidence(i), _evidence_there(trial, i))
            or explain_by_tape(trial, i)
            or explain_by_mutants(trial, i, found.trusted)
        )
        if said is not None:
            entry, finding = said
            found.add(entry.id, entry.label, finding, i, tier=entry.tier)
            return
    found.add("D57", "unknown", _unknown(trial, i), i)


def _explain_large(found: Examination, trial: Trial, i: int, level: str) -> None:
    """Say why the gradient of a large input is wrong: where, if that is in a few places, or else what is wrong on small arrays."""
    located = locate(trial, i)
    small = trial.small if level == "full" and not located.complete else None
    said = _on_small_arrays(found, small, i) if small is not None else None
    if said is not None:
        found.diagnoses.append(said)
        return
    shape, word, size = trial.values[i].shape, trial.word(i), trial.values[i].size
    named = ", ".join(f"{word}{place}" for place in places(located.entries[:5], shape))
    more = f" and {len(located.entries) - 5} more" if len(located.entries) > 5 else ""
    few = f"{len(located.entries)} of {size} entries {'is' if len(located.entries) == 1 else 'are'} wrong: {named}{more}"
    found.add(
        "D57",
        "unknown",
        Finding(
            few if located.complete else f"wrong all over: in {100 * located.share:.2g} % of the parts that were looked at",
            "all others are right" if located.complete else "none of the known mistakes; try it on small arrays",
            {"entries": places(located.entries[:20], shape), "complete": located.complete},
            explain=f"found by {located.tests} directions, of four calls of forward each",
        ),
        i,
    )


def _on_small_arrays(found: Examination, small: Trial, i: int) -> Diagnosis | None:
    """Why the rule is wrong on small arrays; None if it is right there, or nobody knows."""
    if not _comparable(small) or not small.every_entry or small.comparisons[i].passed:
        return None
    there = Examination(small, found.trusted)
    _explain(there, small, i, "full")
    [said] = there.diagnoses
    if said.id == "D57":
        return None
    shapes = ", ".join(str(value.shape) for value in small.values)
    seen = f"Seen on arrays of the shapes {shapes}, on which the rule is wrong as well."
    return replace(said, name=found.name(i), explain="\n".join(filter(None, (said.explain, seen))))


def _imprecise(found: Examination, i: int) -> None:
    """Say so if a gradient within the tolerance is off by the rounding of float32, here and at another point."""
    finding = precision(found.trial.evidence(i))
    there = _evidence_there(found.trial, i) if finding is not None else None
    if finding is not None and there is not None and precision(there) is not None:
        found.add("D54", "precision", finding, i)


def _evidence_there(trial: Trial, i: int) -> Evidence | None:
    another = trial.another
    return another.evidence(i) if another is not None and _comparable(another) else None


def _unknown(trial: Trial, i: int) -> Finding:
    """What can be said of a gradient that is wrong in no known way."""
    comparison = trial.comparisons[i]
    ours, right = np.nan_to_num(comparison.yours), comparison.low
    norms = float(np.linalg.norm(ours) * np.linalg.norm(right))
    cosine = float((ours * right).sum()) / norms if norms else 0.0
    clear = (right != 0) & (ours != 0)
    signs = float((np.sign(ours[clear]) == np.sign(right[clear])).mean()) if clear.any() else 0.0
    return Finding(
        f"{comparison.summary()}",
        "none of the known mistakes",
        {"wrong": int(comparison.wrong.sum()), "of": int(comparison.wrong.size)},
        explain=f"cosine with the right one {cosine:.4f}; {100 * signs:.0f} % of the signs agree",
    )


def in_given_dtype(found: Examination, rule: FloatInputs, eps: float) -> None:
    """Compare once more in the dtype that was given, if that is less than float64 and the rule is right there.

    Args:
        found: of the rule in float64.
        rule: with its inputs as they were given.
        eps: the rounding unit of inputs and output.
    """
    if eps <= EPS:
        return
    try:
        plain, _ = checked_output("check", rule(*rule.values))
        rules = Tolerance(found.trial.rtol, eps, 10 * relative_distance(plain, found.trial.y))
        comparisons = compare(rule, rules, found.trial.seed)
    except (Raised, WrongCount) as error:
        found.add("D01", "exception", Finding(f"in {rule.values[0].dtype} {error}", "the rule works in float64 only"))
        return
    right = not any(diagnosis.error for diagnosis in found.diagnoses)
    for i, comparison in enumerate(comparisons):
        found.comparisons.append(comparison)
        if right and not comparison.passed:
            found.add(
                "D54",
                "precision",
                Finding(
                    f"right in float64 and wrong in {comparison.dtype}: {comparison.summary()}",
                    "numbers that nearly cancel, a constant that the narrow dtype rounds away, or an overflow",
                ),
                i,
            )


def _on_other_shapes(found: Examination) -> None:
    """Say if a rule that is right on the given arrays is wrong on square ones, or on such whose lengths all differ.

    It is worth knowing and no more: forward takes these arrays, but nobody said that it was meant to.
    """
    if not isinstance(found.trial.rule, Pair):
        return
    for trial in (found.trial.square, found.trial.apart):
        if trial is None or _agrees(trial):
            continue
        there = examine(trial, points=1)
        wrong = next((d for d in there.sorted() if d.error), None)
        if wrong is not None:
            shapes = ", ".join(str(value.shape) for value in trial.values)
            fact = f"on arrays of the shapes {shapes}, which forward takes as well: {wrong.fact}"
            found.diagnoses.append(replace(wrong, fact=fact, label="other_shapes", error=False))
            return


def _agrees(trial: Trial) -> bool:
    try:
        return trial.agrees()
    except (Raised, WrongCount):
        return False
    except ValueError:  # the value is not finite beside these inputs
        return True


# ---- kinks


def _beyond_kinks(found: Examination, comparison: Comparison, trial: Trial, i: int) -> bool:
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


def _kinks(found: Examination) -> None:
    """Name the kinks at which the gradient is one of the valid choices."""
    for i, comparison in enumerate(found.trial.comparisons if found.comparisons else ()):
        if comparison.columns is None:
            continue
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


def _some(comparison: Comparison) -> Iterator[tuple[int, int]]:
    right = comparison.kinks & ~comparison.wrong
    if comparison.rows is None:
        return
    yield from ((int(row), int(column)) for row, column in np.argwhere(right)[:SAMPLES])
