"""Grading one submission: the student's functions compute somewhere else, and everything is judged here.

The points of a rule rest on numbers that came back, never on what the worker says about itself:

- *forward*: the output is the reference's.
- *contract*: backward returned one gradient for every input, with its shape and dtype (D01 to D10 of the catalogue).
- *values*: the gradients are the reference's; of several inputs each has an equal share.
- *purity*: the same call gives the same again, and no call disturbs another (D13, D14 and D15, which show in numbers). Whether a
  function wrote into its inputs, or returned arrays that share memory, only the worker can see; that is told and costs nothing.
  A pure rule that is wrong is worth nothing for it: this share is earned in proportion to the values.

The derivatives are those of the reference's forward, not of the student's: who changes forward and backward together to agree with
each other has both of them wrong. An item is void, worth 0, if its backward is made of finite differences of forward, or if its
code imports a package that differentiates; both can be allowed.
"""

from __future__ import annotations

import inspect
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ... import tree
from ...backend import asnumpy
from ...tensor import unwrap
from ..inputs import is_float_array
from ..report import Diagnosis, Report
from ..rules import check_rule
from .assignment import Assignment, Engine, Item, Rule, Training
from .cases import Case
from .engine import grade_engine
from .fingerprint import finite_differences
from .forward import difference
from .jail import Jail, choose
from .results import CaseResult, Grade, TestResult
from .screen import screen
from .submission import STATUSES, Ended, Failed, Submission
from .training import grade_training

__all__ = ["case_name", "earned", "grade", "judge", "name_number"]

CONTRACT = {f"D{k:02}" for k in range(1, 11)}
PURITY = {f"D{k:02}" for k in range(11, 18)}
LINEARITY = {"D18", "D19", "D20"}
SEEN_IN_NUMBERS = {"D13", "D14", "D15"}

MEANING = {
    "forward": "the output is right",
    "contract": "a gradient for each input, of its shape and dtype",
    "values": "their numbers are right",
    "purity": "no call disturbs another; it counts as far as values are right",
}
"""The parts of a rule's points, for students."""


def grade(
    assignment: Assignment,
    submission: str | Path,
    write: Callable[[Grade], None] = lambda grade: None,
    covered: tuple[Path, ...] = (),
    jail: Jail | None = None,
) -> Grade:
    """Grade a submission.

    Args:
        assignment: what is asked for.
        submission: the folder with the student's files.
        write: is given the grade before the first test, with all tests at 0, and after every test.
        covered: files that the student's code must not read, beside the assignment's own ``private``.
        jail: how the student's code is locked up; by default the best that works here.

    Returns:
        The grade. Whatever the student's code does, there is one.

    Raises:
        ValueError: the assignment is not valid, or a reference raises.
        FileNotFoundError: there is no such folder.
    """
    folder = Path(submission)
    if not folder.is_dir():
        raise FileNotFoundError(f"submission is {str(submission)!r}; expected a folder with the student's files.")
    assignment.validate()
    tests = {item.name: list(_tests(item, number)) for item, number in _numbered(assignment)}
    for item in assignment.items:
        if isinstance(item, Rule):
            _try_reference(assignment, item)
    points = float(sum(item.points for item in assignment.items))
    flat = [test for item in assignment.items for test in tests[item.name]]
    graded = Grade(assignment.name, points, assignment.seed, assignment.feedback, flat, assignment.hidden)
    graded.submission = folder.resolve().name
    jail = choose() if jail is None else jail
    graded.notes += [jail.warning] * bool(jail.warning)
    graded.for_teacher += screen(folder, assignment.foreign)
    write(graded)
    deadline = time.monotonic() + assignment.total
    for item in assignment.items:
        with Submission(folder, limits=_limits(assignment, item), jail=jail, seed=assignment.seed) as student:
            student.covered = tuple(path.resolve() for path in (*covered, *assignment.private))  # workers run elsewhere
            student.deadline, student.foreign = deadline, assignment.foreign
            _grade_item(assignment, item, tests[item.name], student, graded)
        write(graded)
    return graded


def _limits(assignment: Assignment, item: Item) -> Any:
    if isinstance(item, Training):
        return replace(assignment.limits, wall=item.wall, cpu=max(assignment.limits.cpu, int(item.wall) + 2))
    return assignment.limits


def _numbered(assignment: Assignment) -> Iterator[tuple[Item, str]]:
    """The items with the numbers that students see: 2.1 is the first item of the second stage."""
    stages = list(dict.fromkeys(item.stage for item in assignment.items))
    counts = dict.fromkeys(stages, 0)
    for item in assignment.items:
        counts[item.stage] += 1
        number = str(counts[item.stage])
        yield item, f"{stages.index(item.stage) + 1}.{number}" if stages != [""] else number


def _tests(item: Item, number: str) -> Iterator[TestResult]:
    """The tests of an item: one, or one for the cases that students see and one for the hidden."""
    if not isinstance(item, Rule):
        yield TestResult(item.name, number, item.points, item.stage)
        return
    shown = [case for case in item.cases if not case.hidden]
    share = item.points * len(shown) / len(item.cases)
    if shown:
        yield TestResult(item.name, number, share, item.stage)
    if len(shown) < len(item.cases):
        name = f"{item.name}, hidden cases" if shown else item.name
        yield TestResult(name, f"{number}h" if shown else number, item.points - share, item.stage, hidden=True)


# ---- one item


def _grade_item(assignment: Assignment, item: Item, tests: list[TestResult], student: Submission, graded: Grade) -> None:
    """Grade an item into its tests. A mistake of the grader's own is not the student's fault, and said to be none."""
    try:
        student.load(item.file, *item.names)
        if isinstance(item, Rule):
            _grade_rule(assignment, item, tests, student)
        elif isinstance(item, Training):
            grade_training(item, tests[0], student)
        elif isinstance(item, Engine):
            grade_engine(item, tests[0], student, assignment.seed, assignment.feedback)
    except (Failed, Ended) as error:
        for test in tests:
            test.settle(0.0, _ended(error))
    except Exception as error:
        text = "could not be graded: an error of the grader, which is not your fault. Tell your teacher."
        for test in tests:
            test.settle(0.0, text, "not run")
        graded.for_teacher.append(f"{item.name}: {''.join(traceback.format_exception(error))}")
    tag, reason = _void(assignment, student)
    for test in tests if tag else ():
        test.void = tag
        test.settle(0.0, f"worth 0: {reason}\n{test.output}", "void")
    graded.for_teacher += [f"{item.name}: {remark}" for remark in student.advice]
    if student.log:
        graded.for_teacher.append(f"{item.name} printed:\n{student.printed()}")


def _ended(error: Failed | Ended) -> str:
    return f"{STATUSES[error.status]}: {error.text}"


def _void(assignment: Assignment, student: Submission) -> tuple[str, str]:
    """Why an item is worth nothing however right its numbers are: a tag and a sentence, both empty if nothing speaks for it."""
    if student.imported:
        listed = ", ".join(student.imported)
        return "import", f"the code imports {listed}, which computes derivatives by itself. Write the derivative in NumPy."
    if student.differences and not assignment.allow_differences:
        return "D17", f"{student.differences}: these are finite differences. Write the derivative itself.   [D17 fd_backward]"
    return "", ""


def _grade_rule(assignment: Assignment, rule: Rule, tests: list[TestResult], student: Submission) -> None:
    """Grade all cases of a rule. A call that does not end is waited for once; other cases are then not tried."""
    hanging = ""
    for k, case in enumerate(rule.cases):
        for j, kwargs in enumerate(rule.kwargs):
            result = CaseResult(case_name(case, kwargs, len(rule.kwargs)))
            if hanging:
                result.status, result.statements = "not run", [f"not tried, because {hanging} timed out"]
            else:
                _grade_case(assignment, rule, case, kwargs, [assignment.seed, name_number(rule.name), k, j], student, result)
                hanging = result.name if result.status == "timed out" else ""
            next(test for test in tests if test.hidden == case.hidden).cases.append(result)
    for test in tests:
        share = np.mean([earned(rule, result) for result in test.cases])
        test.settle(float(share) * test.points, _told(assignment, test))


def earned(rule: Rule, result: CaseResult) -> float:
    """The share of a rule's points that a case earns."""
    return sum(rule.weights[part] * share for part, share in result.shares.items())


def name_number(name: str) -> int:
    """A number for a name, the same in every process."""
    return zlib.crc32(name.encode())


def case_name(case: Case, kwargs: Mapping[str, Any], count: int) -> str:
    """A case's name, with the keyword arguments if there are several sets of them."""
    listed = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
    return f"{case.name}; {listed}" if listed and count > 1 else case.name


# ---- one case


def _grade_case(
    assignment: Assignment,
    rule: Rule,
    case: Case,
    kwargs: Mapping[str, Any],
    seed: list[int],
    student: Submission,
    result: CaseResult,
) -> None:
    """Forward next to the reference, then the gradients."""
    result.shares = dict.fromkeys((part for part, weight in rule.weights.items() if weight), 0.0)
    student.advice, before = {}, student.advice
    dout_first = rule.calling == "dout_cache"
    forward, backward = student.rule(rule.file, rule.names[0], rule.names[1], kwargs, dout_first)
    _names_of(rule, forward)
    reference = rule.forward_of_reference(kwargs)
    try:
        y, _ = forward(*case.inputs(seed))
        wrong = difference(y, reference(*case.inputs(seed)))
        if wrong:
            result.statements.append(wrong)
        else:
            _share(result, "forward", 1.0)
        student.failures.clear()
        report = _checked(rule, forward, backward, kwargs, case.inputs(seed), assignment)
        judge(result, report, case.inputs(seed), assignment.feedback)
        if student.failures and "D01" in (diagnosis["id"] for diagnosis in result.diagnoses):
            result.status = student.failures[0]
        if _nearly_right(report) and not assignment.allow_differences:
            _look_for_differences(forward, backward, case.inputs(seed), student)
    except (Failed, Ended) as error:
        result.status = error.status
        result.statements.append(_ended(error))
    result.advice = list(student.advice)
    student.advice = before | student.advice


def _share(result: CaseResult, part: str, share: float) -> None:
    if part in result.shares:
        result.shares[part] = share


def _names_of(rule: Rule, forward: Any) -> None:
    """Let the student's forward have the parameters of the reference's, which reports name."""
    try:
        forward.__signature__ = inspect.signature(rule.reference)
    except (TypeError, ValueError):
        return


def _checked(
    rule: Rule,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    kwargs: Mapping[str, Any],
    inputs: tuple[Any, ...],
    assignment: Assignment,
) -> Report:
    """The check of the student's pair against the reference's derivative."""
    reference: Any = rule.forward_of_reference(kwargs)
    if rule.reference_backward is not None:
        reference = (lambda *xs: rule.reference(*xs, **kwargs), rule.reference_backward)
    ordered = backward if rule.calling == "cache_dout" else lambda gy, cache: backward(cache, gy)
    settings = {"calling": rule.calling, "reference": reference, "seed": assignment.seed, "name": rule.name}
    with warnings.catch_warnings():  # of numbers that students return, it is the report that speaks
        warnings.simplefilter("ignore")
        report: Report = check_rule(forward, ordered, *inputs, raises=False, **settings)
    return report


def judge(result: CaseResult, report: Report, inputs: tuple[Any, ...], level: str) -> None:
    """The shares that a report earns, and what is said of it. What was not looked at is not earned."""
    errors = [diagnosis for diagnosis in report.diagnoses if diagnosis.error]
    ids = {diagnosis.id for diagnosis in errors}
    values = _values(report, errors, inputs)
    contract = bool(report.comparisons or ids & LINEARITY) and not ids & CONTRACT
    pure = not ids & SEEN_IN_NUMBERS
    for part, share in (("contract", float(contract)), ("values", values), ("purity", pure * values)):
        _share(result, part, share)
    result.diagnoses = [diagnosis.as_dict() for diagnosis in report.diagnoses]
    told = [diagnosis for diagnosis in report.diagnoses if not (diagnosis.id.startswith("F") and result.statements)]
    result.statements += [_said(diagnosis, level) for diagnosis in told]


def _values(report: Report, errors: list[Diagnosis], inputs: tuple[Any, ...]) -> float:
    """The share of the float inputs whose gradients are right."""
    wrong = [diagnosis for diagnosis in errors if diagnosis.id not in PURITY]
    if any(diagnosis.input is None for diagnosis in wrong):
        return 0.0
    bad = {comparison.name for comparison in report.comparisons if not comparison.passed}
    bad |= {c.name for c in report.comparisons if any(diagnosis.name.startswith(f"{c.name} ") for diagnosis in wrong)}
    good = {comparison.name for comparison in report.comparisons} - bad
    return len(good) / sum(map(is_float_array, tree.leaves(inputs)))


def _said(diagnosis: Diagnosis, level: str) -> str:
    head = f"{diagnosis.name}\n" if diagnosis.name else ""
    return head + diagnosis.text(level)


def _nearly_right(report: Report) -> bool:
    """Whether gradients are right, or right to some digits: differences with a long step are no more than that."""
    return any(comparison.passed for comparison in report.comparisons) or any(each.id == "D54" for each in report.diagnoses)


def _look_for_differences(forward: Any, backward: Any, inputs: tuple[Any, ...], student: Submission) -> None:
    """Note the mark of finite differences, if the gradients bear it."""
    if step := finite_differences(forward, backward, inputs):
        found = f"backward's gradients are differences of forward with the step {step:g}, to the last bit"
        student.differences = student.differences or found


# ---- what students are told


def _told(assignment: Assignment, test: TestResult) -> str:
    """The output of a rule's test: each statement once, under the first case where it holds."""
    passed = sum(case.passed for case in test.cases)
    head = f"{passed} of {len(test.cases)} cases pass"
    if test.hidden and assignment.hidden == "visible":
        return head
    lines, said, parts = [head], dict[str, str](), dict[str, float]()
    for case in test.cases:
        new = [text for text in case.statements if text not in said]
        old = list(dict.fromkeys(said[text] for text in case.statements if text in said))
        said |= dict.fromkeys(new, case.name)
        how = [STATUSES.get(case.status, case.status)] if case.status != "ok" else []
        verdict = "passed" if case.passed else "; ".join([*how, *filter(None, [_per_cent(case)])])
        parts |= {} if case.passed else case.shares
        lines.append(f"\n{case.name}: {verdict}{f' (as at {old[0]})' if old else ''}")
        lines += ["  " + text.replace("\n", "\n  ") for text in [*new, *(f"note    {remark}" for remark in case.advice)]]
    meaning = [f"{part}: {MEANING[part]}" for part in parts]
    return "\n".join([*lines, *([f"\n({'. '.join(meaning)}.)"] if meaning else [])])


def _per_cent(case: CaseResult) -> str:
    """What is earned of each part. A pure rule whose values are wrong is not said to have side effects."""
    pure = not SEEN_IN_NUMBERS & {diagnosis["id"] for diagnosis in case.diagnoses if diagnosis["error"]}
    shown = {part: f"{share:.0%}" for part, share in case.shares.items()}
    if pure and case.shares.get("values", 1.0) == 0.0 and "purity" in shown:
        shown["purity"] = "counts only with right values"
    return ", ".join(f"{part} {text}" for part, text in shown.items())


# ---- the assignment itself


def _try_reference(assignment: Assignment, rule: Rule) -> None:
    """Raise ValueError if a case cannot be drawn, or the reference raises or gives no finite array there."""
    for k, case in enumerate(rule.cases):
        for j, kwargs in enumerate(rule.kwargs):
            where = f"rule {rule.name!r} at {case_name(case, kwargs, len(rule.kwargs))}"
            try:
                inputs = case.inputs([assignment.seed, name_number(rule.name), k, j])
                y = rule.forward_of_reference(kwargs)(*inputs)
            except Exception as error:
                raise ValueError(f"{where}: the case or the reference raised {type(error).__name__}: {error}") from error
            array = np.asarray(asnumpy(unwrap(y)))
            if array.dtype.kind != "f" or not np.isfinite(array).all():
                raise ValueError(
                    f"{where}: the reference returned {type(y).__name__} of {array.dtype}; expected finite floats."
                )
