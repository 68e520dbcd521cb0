"""`check_engine`: an engine that somebody wrote, on graphs, operations and habits that show what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..report import LEVELS, Diagnosis, GradientError, Report
from .driver import Driver, Failure, LocalDriver
from .graphs import GRAPHS, POINT, RIGHT, gradient, identify
from .operations import operations
from .probes import growth, probe
from .statements import place, raised, written
from .unwritten import unwritten
from .uses import Uses, uses

__all__ = ["check_engine", "examine_engine"]


def check_engine(
    Value: Callable[..., Any],
    *,
    arrays: bool | None = None,
    strict: bool = False,
    seed: int = 0,
    level: str = "full",
    feedback: str = "explain",
    name: str | None = None,
    raises: bool = True,
) -> Report:
    r"""Check an engine for reverse mode that was written by hand, and say what is wrong with it.

    First eight small graphs, whose gradients together name the mistake in the way back (assigned and not added, no topological
    order, a recursion that pushes too much, ...). Then every operation that the engine has, by `check_rule`, and once more with
    its operands used elsewhere as well. Then long graphs, a second backward, several graphs, unused variables, data that changes.

    Args:
        Value: the engine's class: made from a number (or an array), with ``data``, ``grad`` and ``backward()``, and the operators
            ``+`` and ``*``. Judged where they exist: ``- / **``, numbers on either side, ``relu tanh exp log sigmoid sqrt sin
            cos``; of arrays ``@ sum mean max reshape T`` and indexing, and broadcasting.
        arrays: whether objects hold arrays; None for those that have a sum or a matrix product.
        strict: whether what only a second backward of one graph or a chain of 10,000 operations shows is a mistake; it is a note
            otherwise, because good engines exclude such uses.
        seed: of the numbers that operations are judged at.
        level: ``"full"``, or ``"quick"`` for the eight graphs alone.
        feedback: how much the report's text says: ``"fact"``, ``"hint"`` or ``"explain"``.
        name: of the engine in the report; its own if None.
        raises: whether to raise on failure; otherwise the report is returned, false as a bool.

    Raises:
        GradientError: a gradient is wrong; its message is the report.
        TypeError: ``Value`` cannot be called.
        ValueError: an unknown level.

    >>> import tinyad as ad
    >>> class Value:
    ...     def __init__(self, data, parents=()):
    ...         self.data, self.parents, self.grad = data, parents, 0.0
    ...     def __add__(self, other):
    ...         return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))
    ...     def __mul__(self, other):
    ...         return Value(self.data * other.data, ((self, other.data), (other, self.data)))
    ...     def backward(self):
    ...         self.grad = 1.0
    ...         self.push()
    ...     def push(self):
    ...         for parent, partial in self.parents:
    ...             parent.grad += partial * self.grad
    ...             parent.push()
    >>> print(ad.check_engine(Value, level="quick", raises=False).text("hint"))
    check of Value: FAILED   (seed 0)
      what    a*3 + a*a with a = x*x gives 84 at x = 2, right is 44   [E02 double_propagation]
      likely  the recursion pushes a node's whole gradient each time the node is reached, so that earlier parts are pushed again:
              visit the nodes in topological order, each once
    """
    if not callable(Value):
        raise TypeError(
            f"check_engine: Value is {Value!r}; expected the engine's class. Pass the class, not one of its objects."
        )
    for option, given, expected in (("level", level, ("quick", "full")), ("feedback", feedback, LEVELS)):
        if given not in expected:
            raise ValueError(f"check_engine: {option} is {given!r}; expected {' or '.join(map(repr, expected))}.")
    report = examine_engine(LocalDriver(Value, name, arrays), seed=seed, level=level, strict=strict)
    report = replace(report, feedback=feedback)
    if raises and not report.passed:
        raise GradientError(report)
    return report


def examine_engine(driver: Driver, *, seed: int = 0, level: str = "full", strict: bool = False) -> Report:
    """The report on the engine behind a driver.

    Args:
        driver: of the engine, in this process or in another.
        seed, level, strict: as for `check_engine`.
    """
    report = Report(driver.name, seed, repeat=f"tinyad.check_engine({driver.name}, seed={seed})")
    unusable = _interface(driver)
    if unusable is not None:
        return replace(report, diagnoses=(unusable,))
    missing = unwritten(driver, seed)
    walk = _way_back(driver)
    diagnoses = [] if walk.diagnosis is None else [walk.diagnosis]
    notes = []
    if level == "full" and walk.trees:
        judged = operations(driver, seed, skip=missing.skip)
        diagnoses += judged.diagnoses
        notes += judged.notes + ([f"not offered, and not judged: {', '.join(judged.missing)}"] if judged.missing else [])
        if walk.unknown and judged.explains:
            diagnoses.remove(walk.unknown)
            notes.append(f"the eight small graphs are not right either:\n{walk.unknown.explain}")
    if walk.unknown or (level == "full" and walk.adds):
        among = None if level == "full" else OF_GRAPHS
        diagnoses = _with_uses(diagnoses, walk, uses(driver, seed, among, missing.skip))
    if level == "full" and walk.right:
        diagnoses += probe(driver, strict)
    elif level == "full":
        notes.append("long graphs, second backwards and more are looked at once the eight small graphs are right")
    return replace(report, diagnoses=tuple(_in_order(missing.tell(diagnoses))), notes=tuple(notes))


OF_GRAPHS = ("add", "mul")  # the operations that the eight small graphs are made of


def _with_uses(diagnoses: list[Diagnosis], walk: _WayBack, answers: Uses) -> list[Diagnosis]:
    """The diagnoses with what was found of operands that have another use.

    Where the eight graphs are wrong in no known way and one of their own operations does not add, that is the way. An operation
    whose uses add up to something else says nothing unless they are right: it may be of the same unknown cause.
    """
    found = [each for each in answers.diagnoses() if walk.right or each.label in ("overwrite", "duplicate_parent")]
    of_graphs = {written(op) for op in OF_GRAPHS}
    causes = [each for each in found if of_graphs & set(each.args["operations"])] if walk.unknown else []
    if walk.diagnosis is not None and walk.diagnosis.label == "overwrite":  # known already, but not where
        names = answers.names("overwrite")
        if not names or len(names) == len(answers.asked):
            return diagnoses
        where = replace(walk.diagnosis, explain=f"so it is in {', '.join(names)}\n{walk.diagnosis.explain}")
        return [where if each is walk.diagnosis else each for each in diagnoses]
    if walk.unknown in diagnoses and causes:
        table = replace(causes[0], explain=walk.unknown.explain)
        diagnoses = [table if each is walk.unknown else each for each in diagnoses]
        found.remove(causes[0])
    return diagnoses + found


def _in_order(diagnoses: list[Diagnosis]) -> list[Diagnosis]:
    """Mistakes before notes; of exceptions, each once: the same line may raise in many operations."""
    kept: dict[Any, Diagnosis] = {}
    for k, each in enumerate(diagnoses):
        kept.setdefault((each.fact, each.hint) if each.label == "exception" else k, each)
    return sorted(kept.values(), key=lambda each: not each.error)


def _interface(driver: Driver) -> Diagnosis | None:
    """What keeps the probes from using the engine at all."""
    try:
        value = driver.data(driver.make(POINT))
    except Failure as failure:
        what = (
            "an object of the engine cannot be made of"
            if failure.stage == "making"
            else "the numbers cannot be read of an object made of"
        )
        fact = f"{what} {POINT}: {failure.kind}: {failure.message}"
        return Diagnosis("E11", "interface", fact, INTERFACE, place(failure))
    if value.size != 1 or not np.isclose(float(value.sum()), POINT):
        return Diagnosis("E11", "interface", f"an object made of {POINT} holds {value.tolist()}", INTERFACE)
    missing = [words for name, words in NEEDED.items() if not driver.supports(name)]
    if missing:
        return Diagnosis("E11", "interface", f"the engine's objects have no {', no '.join(missing)}", INTERFACE)
    return None


NEEDED = {"backward": "backward()", "add": "+ (__add__)", "mul": "* (__mul__)"}
INTERFACE = (
    "the class is called with a number (or an array); its objects hold it as .data, have + and *, backward(), and after backward "
    "the gradient as .grad"
)


# ---- the way back


@dataclass(frozen=True)
class _WayBack:
    """What the eight small graphs say.

    Attributes:
        diagnosis: what is wrong; None if nothing is.
        right: whether all eight gradients are right.
        trees: whether they are right where every node is used once, so that operations can be judged.
        unknown: the diagnosis, if it names no cause.
    """

    diagnosis: Diagnosis | None = None
    right: bool = False
    trees: bool = True
    unknown: Diagnosis | None = None

    @property
    def adds(self) -> bool:
        """Whether it is worth asking which operations add to gradients: other mistakes have their names already."""
        return self.right or self.unknown is not None or (self.diagnosis is not None and self.diagnosis.label == "overwrite")


def _way_back(driver: Driver) -> _WayBack:
    found = []
    for graph in GRAPHS:
        try:
            found.append(gradient(driver, graph)[0])
        except Failure as failure:
            return _WayBack(raised(failure, graph.text))
    if np.allclose(found, RIGHT, rtol=1e-5):
        return _WayBack(growth(driver), right=True)
    model = identify(found)
    if model is None:
        unknown = Diagnosis("E10", "unknown", _wrong(found), "", _table(found), args={"found": found})
        return _WayBack(unknown, unknown=unknown)
    named = Diagnosis(model.id, model.label, _wrong(found), model.hint, _table(found), args={"found": found})
    return _WayBack(named, trees=model.trees)


def _wrong(found: list[float]) -> str:
    """The first graph that is wrong."""
    graph, value = next((g, v) for g, v in zip(GRAPHS, found, strict=True) if not np.isclose(g.right, v, rtol=1e-5))
    return f"{graph.text} gives {value:g} at x = {POINT:g}, right is {graph.right:g}"


def _table(found: list[float]) -> str:
    width = max(len(graph.text) for graph in GRAPHS)
    rows = [f"{graph.text:<{width}}  {value:>8.6g}  {graph.right:>8.6g}" for graph, value in zip(GRAPHS, found, strict=True)]
    return "\n".join([f"{'derivative at x = 2 of':<{width}}  {'yours':>8}  {'right':>8}", *rows])
