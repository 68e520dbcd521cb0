"""The derivatives of an engine's own operations, each judged by `check_rule` on the pair that the engine makes of it.

The forward of the pair builds the operation's graph and reads its result. Only a number can be gone back from, so its backward
builds the sum of the result with the upstream gradient as weights, of the engine's own ``*`` and ``sum``; these are judged first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..report import Diagnosis
from ..rules import check_rule
from .driver import Driver, Failure
from .statements import cause, place, plain, raised
from .tables import Operation, tables

__all__ = ["COARSE", "Found", "is_coarse", "operations", "summed"]

FloatArray = npt.NDArray[Any]

# What an operation raises when the engine never meant to offer it: other lengths, an axis, keepdims.
NOT_OFFERED = ("TypeError", "ValueError", "NotImplementedError", "AssertionError")
COARSE = 1e-3  # relative tolerance for engines that hold float32 whatever they are given


@dataclass
class Found:
    """What was found of an engine's operations.

    Attributes:
        diagnoses: of them.
        notes: on how they were judged.
        missing: operations that the engine does not offer, as they are written.
        numbers: by label, the operations that a Python number makes raise, and what they raise.
    """

    diagnoses: list[Diagnosis] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    numbers: dict[str, list[tuple[Operation, Failure]]] = field(default_factory=dict)

    @property
    def explains(self) -> bool:
        """Whether a derivative is wrong, so that graphs made of these operations are, too."""
        return any(diagnosis.label not in ("no_numbers", "no_reflected") for diagnosis in self.diagnoses)


def operations(driver: Driver, seed: int = 0, level: str = "full", skip: Collection[str] = ()) -> Found:
    """Judge all operations that the engine has.

    Args:
        driver: of the engine.
        seed: of the numbers.
        level: ``"full"`` or ``"quick"``, as for `check_rule`.
        skip: operations, as they are written, that are not to be judged.
    """
    found = Found()
    base, others = tables(driver.arrays)
    for operation in base:
        if operation.text not in skip:
            _judge(found, driver, replace(operation, total=True), seed, level)
    weighted = not found.diagnoses and not any(operation.text in skip for operation in base)
    if found.diagnoses:
        found.notes.append("the upstream gradient is 1 for every operation: weights for it need right derivatives of * and sum")
    elif weighted and not driver.arrays:
        others = [*base, *others]
    for operation in others:
        if operation.text not in skip:
            _judge(found, driver, replace(operation, total=not weighted), seed, level)
    found.diagnoses += [_numbers(label, raising) for label, raising in found.numbers.items()]
    return found


def _judge(found: Found, driver: Driver, operation: Operation, seed: int, level: str) -> None:
    """Judge one operation, if the engine has it."""
    if not driver.supports(operation.op):
        return
    pair, inputs = _Pair(driver, operation), operation.inputs(seed)
    try:
        driver.data(pair.graph(inputs)[1])
    except Failure as failure:
        _not_there(found, operation, failure)
        return
    report = check_rule(
        _with_names(pair.forward, len(inputs)),
        pair.backward,
        *inputs,
        reference=pair.reference,
        seed=seed,
        level=level,
        rtol=COARSE if pair.coarse else None,
        raises=False,
    )
    for diagnosis in report.diagnoses:
        if diagnosis.error and not (pair.coarse and diagnosis.label == "precision"):
            name = f"{operation.text}, {diagnosis.name}" if diagnosis.name else operation.text
            found.diagnoses.append(replace(diagnosis, name=name, fact=plain(diagnosis.fact), explain=plain(diagnosis.explain)))


def _not_there(found: Found, operation: Operation, failure: Failure) -> None:
    """Say why an operation gives no result."""
    text = operation.text
    if operation.optional and failure.kind in NOT_OFFERED:
        found.missing.append(text)
    elif operation.number:
        reflected = operation.number == "left" and failure.kind == "TypeError"
        found.numbers.setdefault("no_reflected" if reflected else "no_numbers", []).append((operation, failure))
    else:
        found.diagnoses.append(raised(failure, text))


def _numbers(label: str, raising: list[tuple[Operation, Failure]]) -> Diagnosis:
    """That operations with a Python number raise."""
    first, failure = raising[0]
    fact = f"{first.text} raises {failure.kind}: {failure.message}"
    if len(raising) > 1:
        fact += f"; so do {', '.join(each.text for each, _ in raising[1:])}"
    if label == "no_numbers":
        hint = "a plain number has no .data: make it an object of the engine first, unless it is one"
        return Diagnosis("E18", label, fact, hint, place(failure), args={"written": [each.text for each, _ in raising]})
    methods = [f"__r{each.op}__" for each, _ in raising]
    hint = f"Python asks the right operand when the left one is a plain number: define {', '.join(methods)}"
    return Diagnosis("E19", label, fact, hint, place(failure), args={"methods": methods})


class _Pair:
    """The forward and the backward that an engine makes of one operation."""

    def __init__(self, driver: Driver, operation: Operation) -> None:
        self.driver, self.operation = driver, operation
        self.coarse = driver.arrays and is_coarse(driver)

    def graph(self, xs: Any) -> tuple[list[Any], Any]:
        """The handles of the inputs and of the result."""
        handles = [self.driver.make(x if self.driver.arrays else float(x)) for x in xs]
        return handles, self.operation.build(self.driver, *handles)

    def reference(self, *xs: Any) -> Any:
        """NumPy's result."""
        y = self.operation.reference(*xs)
        return y.sum() if self.operation.total else y

    def forward(self, *xs: Any) -> tuple[FloatArray, Any]:
        """The engine's result; the inputs are all that backward needs, because each one makes a graph of its own."""
        try:
            y = self._numbers(self.driver.data(self.graph(xs)[1]))
        except Failure as failure:
            raise cause(failure) from None
        return (np.asarray(y.sum()) if self.operation.total else y), xs

    def backward(self, xs: Any, gy: FloatArray) -> tuple[Any, ...]:
        """The engine's gradients of the result weighted by ``gy``."""
        try:
            handles, y = self.graph(xs)
            self.driver.backward(summed(self.driver, y if self.operation.total else self._weighted(y, gy)))
            gradients = [self.driver.grad(handle) for handle in handles]
        except Failure as failure:
            raise cause(failure) from None
        factor = float(gy) if self.operation.total else 1.0
        return tuple(None if g is None else self._numbers(g) * factor for g in gradients)

    def _weighted(self, y: Any, gy: FloatArray) -> Any:
        return self.driver.apply("mul", y, self.driver.make(gy if self.driver.arrays else float(gy)))

    def _numbers(self, array: FloatArray) -> FloatArray:
        """As float64 if the engine holds float32; of an engine of numbers, a number."""
        if self.coarse:
            array = array.astype(np.float64)
        return array.reshape(()) if not self.driver.arrays and array.size == 1 else array


def summed(driver: Driver, y: Any) -> Any:
    """A number to go back from. Without a sum, an engine that goes back from an array starts with ones."""
    return driver.apply("sum", y) if driver.arrays and driver.supports("sum") else y


def is_coarse(driver: Driver) -> bool:
    """Whether the engine makes float32 of float64."""
    return driver.data(driver.make(np.ones(3))).dtype.itemsize < 8


def _with_names(forward: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Forward with arguments that have the names of the operation's text."""

    def named(*xs: Any) -> Any:
        return forward(*xs)

    names = "x" if count == 1 else "ab"
    kind = inspect.Parameter.POSITIONAL_ONLY
    named.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
    return named
