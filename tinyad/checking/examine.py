"""From a rule to diagnoses: contract, purity, linearity, values, and then why the values are wrong.

Each stage looks only at what the stages before it left in order: a gradient of the wrong shape is not compared, one that is not
linear in the upstream gradient has no Jacobian. Every input is judged, whatever is wrong with the others.
"""

from __future__ import annotations

from dataclasses import replace

from .comparison import Tolerance, compare, relative_distance
from .diagnoses.contract import CONTRACT, Returned
from .diagnoses.finding import Finding
from .diagnoses.linearity import LINEARITY, pull
from .diagnoses.purity import ALIASING, PURITY, observe
from .examination import Examination
from .explain import explain, is_comparable, say_if_imprecise
from .inputs import EPS, FloatInputs, checked_output
from .kinks import name_kinks
from .reference_mutants import TrustedPair
from .rule import Pair, Raised, WrongCount, usable
from .trial import Trial

__all__ = ["examine", "in_given_dtype"]


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
    name_kinks(found)
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
    shapes = "an operand has another shape than is expected: its place in a product, a transpose, keepdims, a sum"
    return Finding(
        raised.told(),
        _exchanged_arguments(found.trial) or (shapes if isinstance(raised.error, ValueError) else ""),
        {"type": type(raised.error).__name__},
        explain=square and f"On square arrays, where it does not raise: {square}",
    )


def _says_on_square(trial: Trial) -> str:
    square = trial.square if trial.origin is None else None
    if square is None:
        return ""
    there = [d for d in examine(square, points=1).sorted() if d.error and d.id != "D01"]
    return "; ".join(f"{d.name or 'the call'}: {d.fact} [{d.id} {d.label}]" for d in there)


def _exchanged_arguments(trial: Trial) -> str:
    """What to say if backward takes its arguments the other way round; empty if it does not."""
    if not isinstance(trial.rule, Pair) or trial.origin is not None:
        return ""
    name, other = trial.rule.with_other_calling()
    there = examine(Trial(other, trial.seed, trial.rtol, origin=trial), points=1, level="quick")
    if any(d.error for d in there.diagnoses) or not all(c.passed for c in there.comparisons):
        return ""
    return f"backward takes its arguments the other way round, and is right then: say calling={name!r}"


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
        _run_afresh(found.trial)
        return True
    for id, label, look in PURITY:
        finding = look(observed)
        if finding is None:
            continue
        found.add(id, label, finding)
        if id in ("D13", "D14", "D11"):
            _run_afresh(found.trial)
        if id == "D15" or finding.args.get("ratio", "none") != "none":
            return False  # another gradient at each call: there is nothing to compare
    finding = ALIASING[2](observed)
    if finding is not None:
        found.add(ALIASING[0], ALIASING[1], finding, error=False)
    return True


def _run_afresh(trial: Trial) -> None:
    """Let every backward have a forward of its own, here and at the other point, because the cache does not keep."""
    for each in (trial, trial.another):
        if each is not None and isinstance(each.rule, Pair):
            each.rule.fresh = True


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
        _raised_later(found, error)
        return set(range(len(found.trial.values)))
    crooked: set[int] = set()
    for i, gradients in enumerate(pulled):
        if gradients is None or i in broken:
            continue
        for id, label, look in LINEARITY:
            finding = look(gradients)
            if finding is not None:
                hint = _exchanged_arguments(found.trial) or finding.hint
                found.add(id, label, replace(finding, hint=hint), i)
                crooked.add(i)
                break
    return crooked


def _raised_later(found: Examination, error: Raised | WrongCount) -> None:
    told = error.told() if isinstance(error, Raised) else f"backward returned {error}"
    found.add("D01", "exception", Finding(f"for another upstream gradient {told}"))


# ---- values


def _values(found: Examination, broken: set[int], explained: set[int], points: int, level: str) -> None:
    """Compare at the given point and at others near by, and explain the first failure of each input."""
    trial: Trial | None = found.trial
    try:
        is_comparable(found.trial)
    except (Raised, WrongCount) as error:  # for one of the cotangents that a Jacobian takes
        if not any(diagnosis.id == "D01" for diagnosis in found.diagnoses):
            _raised_later(found, error)
        return
    for _ in range(points):
        if trial is None or not is_comparable(trial):
            break
        for i, comparison in enumerate(trial.comparisons):
            if i in broken:
                continue
            if trial is found.trial or (not comparison.passed and i not in explained):
                found.comparisons.append(comparison)
            if not comparison.passed and i not in explained:
                explained.add(i)
                explain(found, trial, i, level)
            elif comparison.passed and i not in explained and trial is found.trial and isinstance(trial.rule, Pair):
                say_if_imprecise(found, i)
        # A large one costs ten calls of forward, and one point says enough.
        trial = trial.another if trial.every_entry else None


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
