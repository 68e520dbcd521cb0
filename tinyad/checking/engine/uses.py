"""Operands that have another use: whether an operation adds its part to their gradient, or puts it in the place of what is there.

An engine that assigns (`self.grad = ...`) in the rule of one operation only is right wherever the operands of that operation have
no other use. So each is asked twice: in `op(x) + z`, where x and z are two variables of the same numbers, and in `op(x) + x`, where
they are one, whose gradient is then the sum of those two, whatever they are. The sum is made last and hands on first: when the
operation's own rule runs, x has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..report import Diagnosis
from .driver import Driver, Failure
from .operations import COARSE, is_coarse, summed
from .statements import raised, written
from .tables import Operation, tables

__all__ = ["Use", "Uses", "uses"]

FloatArray = npt.NDArray[Any]

CLOSE = 1e-6  # relative
DERIVED = {"neg", "sub", "truediv", "mean", "sigmoid"}  # often made of other operations, and wrong where these are
SIDES = ("the first operand (self.grad)", "the second operand (other.grad)")


@dataclass(frozen=True)
class Use:
    """An operation whose part of a gradient is not added to what is there.

    Attributes:
        label: ``"overwrite"``, ``"duplicate_parent"`` (an operand given twice counts once) or ``"unknown"``.
        operation: which.
        operand: the position of the operand.
        text: the two numbers that should add up, and what came out.
    """

    label: str
    operation: Operation
    operand: int
    text: str

    @property
    def name(self) -> str:
        """The operation's method."""
        return written(self.operation.op, self.operation.number == "left")


@dataclass
class Uses:
    """What was found.

    Attributes:
        found: operations that do not add.
        asked: the methods of all operations that were asked.
        raising: what raises only where a variable has two uses.
    """

    found: list[Use] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    raising: list[Diagnosis] = field(default_factory=list)

    def names(self, label: str) -> list[str]:
        """The methods with this label, those that may be made of others last."""
        named = [use for use in self.found if use.label == label]
        return list(dict.fromkeys(use.name for use in sorted(named, key=_derived)))

    def diagnoses(self) -> list[Diagnosis]:
        """Of each kind one statement on all operations."""
        kinds = (("E01", "overwrite"), ("E06", "duplicate_parent"), ("E10", "unknown"))
        return [_said(id, label, self) for id, label in kinds if self.names(label)] + self.raising


def uses(driver: Driver, seed: int = 0, among: Collection[str] | None = None, skip: Collection[str] = ()) -> Uses:
    """Ask every operation of an engine what becomes of the gradient of an operand that has another use.

    Args:
        driver: of the engine.
        seed: of the numbers.
        among: names of operations; None for all that there are.
        skip: operations, as they are written, that are not to be asked.
    """
    answers = Uses()
    base, others = tables(driver.arrays)
    for operation in [*base, *others]:
        if operation.text in skip or not (among is None or operation.op in among) or not driver.supports(operation.op):
            continue
        name = written(operation.op, operation.number == "left")
        if name in [use.name for use in answers.found]:
            continue  # found on other shapes
        answers.asked.add(name)
        try:
            answers.found += _asked(driver, operation, [np.asarray(x) for x in operation.inputs(seed)])
        except _SharedRaises as shared:
            answers.raising.append(raised(shared.failure, shared.text))
        except Failure:
            continue  # it raises with one use as well: that is said where operations are judged
    return answers


# ---- graphs in which a variable has two uses


@dataclass(frozen=True)
class _Question:
    """A function of two variables, which may be one and the same.

    Attributes:
        text: as it is written with one.
        name: of the variable.
        parts: where the two gradients that add up come from.
        value: of the variable.
        build: from two handles, the number to go back from.
    """

    text: str
    name: str
    parts: tuple[str, str]
    value: FloatArray
    build: Callable[[Any, Any], Any]

    def gradients(self, driver: Driver, shared: bool) -> list[FloatArray]:
        """Of the one variable, or of the two."""
        handles = [_variable(driver, self.value) for _ in range(1 if shared else 2)]
        driver.backward(self.build(handles[0], handles[-1]))
        return [_gradient(driver, handle, self.value.shape) for handle in handles]


class _SharedRaises(Exception):
    """A graph raises with one variable, and does not with two."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure, self.text = failure, text


def _asked(driver: Driver, operation: Operation, xs: list[FloatArray]) -> list[Use]:
    """Every operand beside itself; if nothing is wrong with that, one variable as both operands."""
    found = []
    for k in range(len(xs)):
        wrong = [(label, text) for label, text in _beside(driver, operation, xs, k) if label]
        if wrong:
            found.append(Use(wrong[0][0], operation, k, wrong[0][1]))
    if not found and len(xs) == 2 and xs[0].shape == xs[1].shape:
        question = _as_both(driver, operation, xs[0])
        label, text = _answer(driver, question, question.gradients(driver, shared=False))
        if label:
            found.append(Use("duplicate_parent" if label in ("overwrite", "lost") else label, operation, 1, text))
    return found


def _beside(driver: Driver, operation: Operation, xs: list[FloatArray], k: int) -> Iterator[tuple[str, str]]:
    """The answers to `op(x) + x` and `x + op(x)`.

    A result of another shape is summed first; in engines that cannot add a number to an array, 3x is summed as well. Then it is the
    engine that decides which of the two hands on first, and only a loss of the other use is the operation's own.
    """
    y = operation.build(driver, *(_variable(driver, x) for x in xs))
    shape = driver.data(y).shape if driver.arrays else ()
    ways = [(False, False)] if shape == xs[k].shape else [(shape != (), False), (shape != (), True)]
    for first in (True, False):
        for sums in ways:
            question = _sum_of_both(driver, operation, xs, k, first, sums)
            try:
                parts = question.gradients(driver, shared=False)
            except Failure:
                continue
            label, text = _answer(driver, question, parts)
            if sums[1] and label != "overwrite":
                label = ""
            yield "unknown" if label == "lost" else label, text
            break


def _sum_of_both(
    driver: Driver, operation: Operation, xs: list[FloatArray], k: int, first: bool, sums: tuple[bool, bool]
) -> _Question:
    """The operation beside its operand number k, in this order, each summed before or not."""

    def build(x: Any, other: Any) -> Any:
        y = operation.build(driver, *(x if j == k else _variable(driver, each) for j, each in enumerate(xs)))
        y = driver.apply("sum", y) if sums[0] else y
        if sums[1]:
            other = driver.apply("sum", driver.apply("mul", other, _variable(driver, np.full(xs[k].shape, 3.0))))
        return summed(driver, driver.apply("add", *((y, other) if first else (other, y))))

    name = "x" if len(xs) == 1 else "ab"[k]
    of_y = f"({operation.formula})" if len(xs) == 2 or operation.number else operation.formula
    of_y, of_other = f"{of_y}.sum()" if sums[0] else of_y, f"({name} * 3).sum()" if sums[1] else name
    text = f"{of_y} + {of_other}" if first else f"{of_other} + {of_y}"
    text = f"({text}).sum()" if driver.arrays and not sums[1] else text
    return _Question(text, name, (operation.formula, f"the other {name}"), xs[k], build)


def _as_both(driver: Driver, operation: Operation, x: FloatArray) -> _Question:
    """The operation with the same operand twice."""

    def build(a: Any, b: Any) -> Any:
        return summed(driver, operation.build(driver, a, b))

    text = operation.formula.replace("a", "x").replace("b", "x")
    return _Question(text, "x", ("x as the first operand", "x as the second"), x, build)


def _answer(driver: Driver, question: _Question, parts: list[FloatArray]) -> tuple[str, str]:
    """What is wrong with the gradient of one variable in two uses, in a word and in numbers; empty if it is the sum of both."""
    try:
        [found] = question.gradients(driver, shared=True)
    except Failure as failure:
        raise _SharedRaises(failure, question.text) from None
    right = parts[0] + parts[1]
    tolerance = COARSE if driver.arrays and is_coarse(driver) else CLOSE
    wrong = ~np.isclose(found, right, rtol=tolerance, atol=tolerance)
    if not np.isfinite(right).all() or not wrong.any():
        return "", ""
    label = "unknown"
    for name, part in (("lost", parts[1]), ("overwrite", parts[0])):
        label = name if np.allclose(found, part, rtol=tolerance, atol=tolerance) else label
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"{list(at)}" if at else ""
    value, yours, one, other, both = (f"{float(each[at]):.4g}" for each in (question.value, found, *parts, right))
    text = (
        f"{question.text} at {question.name}{place} = {value} has the derivative {yours} by it; {one} from {question.parts[0]} and "
        f"{other} from {question.parts[1]} add up to {both}"
    )
    return label, text


def _variable(driver: Driver, value: FloatArray) -> Any:
    return driver.make(value if driver.arrays else float(value))


def _gradient(driver: Driver, handle: Any, shape: tuple[int, ...]) -> FloatArray:
    """A gradient in float64; no gradient is 0. One of another shape is judged elsewhere."""
    found = driver.grad(handle)
    if found is None:
        return np.zeros(shape)
    if found.size != np.prod(shape, dtype=int):
        raise Failure("reading", "ValueError", f"a gradient of shape {found.shape} for data of shape {shape}")
    return found.astype(np.float64).reshape(shape)


# ---- what is said


def _derived(use: Use) -> int:
    """How often such an operation has a rule of its own: mostly, now and then, hardly ever."""
    return 2 if use.operation.number == "left" else int(use.operation.op in DERIVED)


WHAT = {
    "overwrite": "the gradient of an operand that is used elsewhere as well is replaced, not added to",
    "duplicate_parent": "an operand that is used twice by it counts once",
    "unknown": "the gradients of two uses of an operand do not add up",
}


def _said(id: str, label: str, answers: Uses) -> Diagnosis:
    """One statement on all operations of a kind."""
    named = sorted((use for use in answers.found if use.label == label), key=_derived)
    own = [use for use in named if _derived(use) == _derived(named[0])]
    names, derived = (list(dict.fromkeys(use.name for use in group)) for group in (own, named[len(own) :]))
    fact = f"{', '.join(names)}: {WHAT[label]}\n{named[0].text}"
    if derived:
        fact += f"\nthe same in {', '.join(derived)}, which may be made of {'it' if len(names) == 1 else 'these'}"
    args = {"operations": [*names, *derived], "operands": sorted({use.operand for use in own})}
    return Diagnosis(id, label, fact, _hint(label, own), args=args)


def _hint(label: str, own: list[Use]) -> str:
    if label == "duplicate_parent":
        return (
            "both gradients are read before either is added, as in self.grad, other.grad = self.grad + ..., other.grad + ...: "
            "write two lines, self.grad += ... and other.grad += ..."
        )
    if label != "overwrite":
        return ""
    sides = {use.operand for use in own}
    where = f" for {SIDES[min(sides)]}" if len(own) == len(sides) == 1 and len(own[0].operation.shapes) == 2 else ""
    names = ", ".join(dict.fromkeys(use.name for use in own))
    return f"in the rule of {names}{where}, `+=` in place of `=`: what other uses gave to the gradient must stay in it"
