"""What else can go wrong in an engine that is right on small graphs: long ones, second ones, and what is kept between them.

Each probe is a function of a driver that yields what it finds. What it finds is a mistake, unless it shows only in uses that many
good engines exclude (a second backward of one graph, a chain of ten thousand nodes): those are notes, and mistakes if the check
is strict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..report import Diagnosis
from .driver import Driver, Failure, TooManyCalls
from .graphs import GRAPHS, POINT, Node, gradient
from .statements import place, raised

__all__ = ["PROBES", "growth", "probe"]

Probe = Callable[[Driver, bool], Iterator[Diagnosis]]

BOTH = GRAPHS[3]  # a*3 + a*a: of one backward 44
USES = (2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32)
SHORT, LONG = 400, 10_000  # operations in a chain; Python's recursion ends at 1000 calls
DIAMONDS = (8, 12)
LINEAR = 1.5  # what 12 diamonds cost more than 8
GROWN = 5.0  # 2.3 is an order found by looking through lists; 16 is every path


def probe(driver: Driver, strict: bool = False) -> list[Diagnosis]:
    """What the probes find. One that raises is a finding, and ends the others not."""
    found: list[Diagnosis] = []
    for run in PROBES:
        try:
            found += run(driver, strict)
        except Failure as failure:
            found.append(raised(failure, (run.__doc__ or "").split(".")[0].lower()))
    return found


# ---- work


def growth(driver: Driver) -> Diagnosis | None:
    """Whether the work grows with the number of paths and not with that of nodes. Counted in function calls, never in seconds."""
    calls = []
    try:
        for diamonds in DIAMONDS:
            x = Node(driver, driver.make(POINT))
            a = x
            for _ in range(diamonds):
                a = a * 0.25 + a * 0.75
            calls.append(driver.backward(a.handle))
    except TooManyCalls as stopped:
        calls.append(stopped.limit)
    if calls[1] < GROWN * calls[0]:
        return None
    few, many = DIAMONDS
    return Diagnosis(
        "E09",
        "exponential",
        f"the gradients are right, but backward through {few} diamonds (a*0.25 + a*0.75) takes {calls[0]} function calls, and "
        f"through {many} it takes {calls[1]}",
        "every path from the result is walked, twice as many with each diamond: visit the nodes in topological order, each once",
        f"An engine that visits each node once takes {LINEAR:g} times as many calls there.",
        args={"calls": calls, "diamonds": list(DIAMONDS)},
    )


# ---- long graphs


def many_uses(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """A variable used many times."""
    for uses in USES:
        x = Node(driver, driver.make(POINT))
        total = x
        for _ in range(uses - 1):
            total = total + x
        driver.backward(total.handle)
        found = _number(driver.grad(x.handle))
        if not np.isclose(found, uses):
            yield Diagnosis(
                "E15",
                "many_uses",
                f"x + x + ... + x with {uses} uses of x gives {found:g}, right is {uses}; with fewer uses it is right",
                "somewhere the number of uses, or of parts of a gradient, is limited",
                args={"uses": uses, "found": found},
            )
            return


def deep_chain(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """A long chain of operations."""
    for length in (SHORT, LONG):
        x = driver.make(POINT)
        try:
            root = driver.chain("add", x, driver.make(1.0), length)
            driver.backward(root)
        except Failure as failure:
            if failure.kind != "RecursionError":
                yield raised(failure, f"a chain of {length} additions", error=length == SHORT or strict)
                return
            yield Diagnosis(
                "E16",
                "deep_chain",
                f"a chain of {length} additions ends in a RecursionError"
                + ("" if length == SHORT else f"; one of {SHORT} does not"),
                "the nodes are ordered by recursion, whose depth Python limits to 1000 calls: keep a stack of your own (a list of "
                "nodes to visit), as recurrent networks and ODE solvers need",
                place(failure),
                args={"length": length},
                error=length == SHORT or strict,
            )
            return
        found = _number(driver.grad(x))
        if not np.isclose(found, 1):
            fact = f"a chain of {length} additions x + 1 + 1 + ... gives {found:g}, right is 1"
            yield Diagnosis("E16", "deep_chain", fact, args={"length": length, "found": found})
            return


# ---- one graph, twice; two graphs


def second_backward(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """Backward of one graph a second time."""
    x = driver.make(POINT)
    root = BOTH.build(Node(driver, x)).handle
    driver.backward(root)
    first = _number(driver.grad(x))
    try:
        driver.backward(root)
        twice = _number(driver.grad(x))
        driver.clear(x)
        driver.backward(root)
        cleared = _number(driver.grad(x))
    except Failure:
        return  # a graph may be good for one backward only, as long as the engine says so
    if not np.isclose(first, BOTH.right) or (np.isclose(cleared, BOTH.right) and _any_of(twice, first, 2 * first)):
        return
    yield Diagnosis(
        "E14",
        "second_backward",
        f"{BOTH.text}: the first backward gives {first:g}, a second one on the same graph makes that {twice:g} (right: "
        f"{2 * first:g}, added; or {first:g}, anew); once more with the gradient of x cleared before it gives {cleared:g}",
        "the nodes between x and the result keep their gradients from the backward before: clear them at its start, or keep the "
        "gradients of one backward in a dict of its own. It does not matter to those who build a new graph each time",
        args={"first": first, "twice": twice, "cleared": cleared},
        error=strict,
    )


def separate_graphs(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """A second graph after a first."""
    first = driver.make(POINT)
    driver.backward(BOTH.build(Node(driver, first)).handle)
    before = _number(driver.grad(first))
    second, _ = gradient(driver, BOTH)
    after = _number(driver.grad(first))
    if np.isclose(after, before) and np.isclose(second, BOTH.right):
        return
    yield Diagnosis(
        "E21",
        "leak",
        f"two graphs of {BOTH.text}, one after the other, with variables of their own: the gradient of the first is {before:g}, "
        f"and {after:g} after backward of the second, whose own is {second:g}; right are {BOTH.right:g} each",
        "something is kept between graphs: a list of nodes of the class or the module, a mutable default argument",
        args={"before": before, "after": after, "second": second},
    )


def new_data(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """A new graph after the variable's data has changed, as in a loop of training."""
    x = driver.make(POINT)
    driver.backward(driver.apply("mul", x, x))
    driver.write(x, 5.0)
    driver.clear(x)
    y = driver.apply("mul", x, x)
    driver.backward(y)
    value, found = _number(driver.data(y)), _number(driver.grad(x))
    if not (np.isclose(value, 25) and np.isclose(found, 10)):
        yield Diagnosis(
            "E22",
            "stale_data",
            f"x*x at x = 2, then x.data = 5 with its gradient cleared, then a new x*x: value {value:g} and gradient {found:g}, "
            "right are 25 and 10",
            "values or derivatives of the first graph are kept and used again: training would not move",
            args={"value": value, "found": found},
        )


def changed_data(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """Data that changes between an operation and backward."""
    x = driver.make(POINT)
    y = driver.apply("mul", x, x)
    driver.write(x, 5.0)
    try:
        driver.backward(y)
    except Failure:
        return  # it noticed
    found = _number(driver.grad(x))
    if not np.isclose(found, 4):
        yield Diagnosis(
            "E23",
            "reads_data_late",
            f"y = x*x at x = 2, then x.data = 5, then y.backward() gives {found:g}; the derivative of the y that was computed is 4",
            "the rules read .data when backward runs: change data after backward, never between",
            args={"found": found},
            error=False,
        )


# ---- corners


def unused_input(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """A variable that the result does not depend on."""
    x, unused = driver.make(POINT), driver.make(3.0)
    aside = driver.apply("mul", unused, unused)
    driver.backward(driver.apply("mul", x, x))
    for handle, text in ((unused, "a variable"), (aside, "an intermediate result")):
        found = driver.grad(handle)
        if found is not None and found.any():
            yield Diagnosis(
                "E17",
                "unused_input",
                f"{text} that the result does not depend on has the gradient {_number(found):g}; expected 0, or None",
                "backward reaches nodes that are no ancestors of the result, or gradients do not start at 0",
                args={"found": _number(found)},
            )
            return


def root_is_input(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """Backward of a variable itself."""
    x = driver.make(POINT)
    driver.backward(x)
    found = driver.grad(x)
    if found is None or not np.isclose(_number(found), 1):
        yield Diagnosis(
            "E20",
            "root_is_input",
            f"x.backward() for a variable x gives {'None' if found is None else format(_number(found), 'g')}, right is 1",
            "the result's own gradient is 1 even where no operation made it",
            args={"found": None if found is None else _number(found)},
        )


def ties(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """The maximum of an array that has it twice."""
    if not driver.arrays or not driver.supports("max"):
        return
    x = driver.make(np.array([1.0, 3.0, 2.0, 3.0]))
    driver.backward(driver.apply("max", x))
    found = driver.grad(x)
    parts = np.zeros(4) if found is None else found
    if parts.shape != (4,) or (np.isclose(parts.sum(), 1) and (parts >= 0).all() and not parts[[0, 2]].any()):
        return
    yield Diagnosis(
        "E24",
        "max_ties",
        f"the maximum of [1, 3, 2, 3] has the gradient {[float(part) for part in parts]}, whose sum is {parts.sum():g}; when all "
        "entries rise by 1 it rises by 1, so that the sum must be 1",
        "where several entries are the maximum, divide the gradient among them, or give it to one",
        args={"found": parts},
    )


def whole_numbers(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """Data of whole numbers."""
    if not driver.arrays:
        return
    try:
        x = driver.make(np.array([1, 2, 3]))
    except Failure:
        return  # refused, and rightly so
    driver.backward(_sum(driver, driver.apply("mul", x, driver.make(np.array([0.5, 0.5, 0.5])))))
    found = driver.grad(x)
    if found is not None and found.dtype.kind in "iu":
        yield Diagnosis(
            "E25",
            "integer_gradient",
            f"data of whole numbers has a gradient of {found.dtype}: {found.tolist()} where 0.5 each is right",
            "make data float when an object is made: np.asarray(data, dtype=float)",
            args={"dtype": str(found.dtype)},
        )


def narrow_floats(driver: Driver, strict: bool) -> Iterator[Diagnosis]:
    """Data in float32."""
    if not driver.arrays:
        return
    x = driver.make(np.array([1.0, 2.0, 3.0], np.float32))
    y = driver.apply("mul", x, x)
    driver.backward(_sum(driver, y))
    if driver.data(x).dtype != np.float32:
        return
    read = {"y": driver.data(y), "x.grad": driver.grad(x)}
    wide = [f"{what} in float64" for what, found in read.items() if found is not None and found.dtype == np.float64]
    if wide:
        yield Diagnosis(
            "E26",
            "widened",
            f"for x in float32, y = x*x gives {' and '.join(wide)}: twice the memory, half the speed",
            "a constant or a buffer in float64: make it with the dtype of the data",
            error=False,
        )


PROBES: tuple[Probe, ...] = (
    many_uses,
    deep_chain,
    second_backward,
    separate_graphs,
    new_data,
    changed_data,
    unused_input,
    root_is_input,
    ties,
    whole_numbers,
    narrow_floats,
)


def _sum(driver: Driver, handle: Any) -> Any:
    return driver.apply("sum", handle) if driver.supports("sum") else handle


def _number(array: Any) -> float:
    """An array's sum, which of a number is itself; None counts as 0."""
    return 0.0 if array is None else float(np.sum(array))


def _any_of(value: float, *allowed: float) -> bool:
    return any(np.isclose(value, each) for each in allowed)
