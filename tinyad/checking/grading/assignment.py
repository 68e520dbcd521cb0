"""An assignment: what students hand in, what it is compared with, and how many points it is worth.

This is what a teacher writes, in a file of Python. Everything in it is checked when it is said, so that a
mistake in it is found before the first submission is.
"""

from __future__ import annotations

import copy
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..report import LEVELS
from ..rule import CALLINGS
from . import frames
from .cases import Case, as_cases
from .jail import Limits
from .submission import FOREIGN

__all__ = ["PARTS", "VISIBILITIES", "Assignment", "Engine", "Item", "Metric", "Rule", "Training"]

PARTS = {"forward": 0.2, "contract": 0.2, "values": 0.5, "purity": 0.1}
"""What a rule's points are for, and their shares."""

VISIBILITIES = ("visible", "after_due_date", "after_published")


@dataclass(frozen=True)
class Item:
    """Something that is worth points.

    Attributes:
        name: in reports.
        points: for all of it.
        file: of the submission.
        names: functions or classes in it.
        stage: the part of the assignment it belongs to.
    """

    name: str
    points: float
    file: str
    names: tuple[str, ...]
    stage: str = ""


@dataclass(frozen=True)
class Rule(Item):
    """A forward and a backward function; `Assignment.rule` explains the rest."""

    reference: Callable[..., Any] = field(default=lambda: None, repr=False)
    reference_backward: Callable[..., Any] | None = field(default=None, repr=False)
    cases: tuple[Case, ...] = ()
    calling: str = "cache_dout"
    weights: Mapping[str, float] = field(default_factory=lambda: dict(PARTS))
    kwargs: tuple[Mapping[str, Any], ...] = ({},)

    def forward_of_reference(self, kwargs: Mapping[str, Any]) -> Callable[..., Any]:
        """The reference's ``forward(*inputs) -> y``."""
        if self.reference_backward is None:
            return lambda *inputs: self.reference(*inputs, **kwargs)
        return lambda *inputs: self.reference(*inputs, **kwargs)[0]


@dataclass(frozen=True)
class Engine(Item):
    """A class that differentiates by itself."""


@dataclass(frozen=True)
class Training(Item):
    """A function that trains; `Assignment.train` explains the rest."""

    metric: Metric | Callable[[Any], Any] = field(default=bool, repr=False)
    wall: float = 20.0
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Metric:
    """A bound on a number: ``loss<0.1``.

    >>> Metric.parse("loss < 0.1").holds(0.05), Metric.parse("accuracy>=0.9").holds(0.5)
    (True, False)
    """

    name: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Raises ValueError if the text is no bound."""
        found = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*", text)
        try:
            assert found is not None
            return cls(found[1], found[2], float(found[3]))
        except (AssertionError, ValueError):
            raise ValueError(f"metric is {text!r}; expected a name and a bound, like 'loss<0.1' or 'accuracy>=0.9'.") from None

    def holds(self, value: float) -> bool:
        """Whether a number keeps the bound. NaN does not."""
        return bool(COMPARISONS[self.sign](value, self.bound))

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.bound:g}"


class Assignment:
    """An assignment, to which `rule`, `engine` and `train` add what is graded.

    Args:
        name: in reports and names of files.
        points: for everything together. If given, the points of the items must add up to it.
        seed: of all inputs that are drawn, and of the random numbers that the student's code draws.
        feedback: what students are told: "fact" says what is wrong, "hint" adds the likely cause, "explain" all that is known.
        wall: seconds that one call of the student's code may take.
        total: seconds for a whole submission; what is not graded by then is worth 0.
        memory: bytes of address space; None for code that uses a GPU.
        allow: packages that compute derivatives and may be used all the same: ``("torch",)``. An item whose code imports another of
            them is worth 0.
        allow_differences: whether backward may use finite differences of forward. If not, an item that does is worth 0.
        hidden: when the results of hidden cases are shown: "after_published", "after_due_date", or "visible", which tells how many
            failed and nothing else. On Gradescope the total waits for the last result that is shown.
        private: more files that students' code must not read. The file of the assignment, and modules that it imports from
            beside it, always are.
        handout: more files from beside the assignment's that students get, data for instance.

    Raises:
        TypeError, ValueError: an argument is not what is expected; the message names it.

    >>> from tinyad.grade import shapes
    >>> hw = Assignment("hw1", points=3, seed=2026, feedback="hint")
    >>> hw.rule("square", student="ops.py:square,square_backward", reference=lambda x: x**2, cases=shapes((5, 3)), points=3)
    >>> hw.validate()
    >>> hw.items[0].file, hw.items[0].names
    ('ops.py', ('square', 'square_backward'))
    """

    def __init__(
        self,
        name: str,
        points: float | None = None,
        seed: int = 0,
        feedback: str = "hint",
        *,
        wall: float = 5.0,
        total: float = 300.0,
        memory: int | None = 1 << 30,
        allow: Sequence[str] = (),
        allow_differences: bool = False,
        hidden: str = "after_published",
        private: Sequence[str | Path] = (),
        handout: Sequence[str | Path] = (),
    ) -> None:
        _require("name", name, isinstance(name, str) and bool(name.strip()), "a non-empty string")
        _require("points", points, points is None or _positive(points), "a positive number")
        _require("seed", seed, isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0, "an int of at least 0")
        _require("feedback", feedback, feedback in LEVELS, f"one of {', '.join(map(repr, LEVELS))}")
        _require("wall", wall, _positive(wall), "a positive number of seconds")
        _require("total", total, _positive(total), "a positive number of seconds")
        _require(
            "memory", memory, memory is None or memory >= 256 << 20, "at least 256 MB in bytes, which NumPy needs, or None"
        )
        _require(
            "allow", allow, not isinstance(allow, str) and all(isinstance(each, str) for each in allow), "names of packages"
        )
        _require("hidden", hidden, hidden in VISIBILITIES, f"one of {', '.join(map(repr, VISIBILITIES))}")
        self.name, self.points, self.seed, self.feedback = name, points, seed, feedback
        self.total, self.allow_differences, self.hidden = total, allow_differences, hidden
        self.limits = Limits(wall=wall, memory=memory)
        self.foreign = tuple(package for package in FOREIGN if package not in allow)
        self.private = tuple(Path(path) for path in private)
        self.handout = tuple(Path(path) for path in handout)
        self.items: list[Item] = []

    # -- what is graded

    def rule(
        self,
        name: str,
        student: str,
        reference: Any,
        cases: Any,
        points: float,
        calling: str = "cache_dout",
        weights: Mapping[str, float] | None = None,
        kwargs: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
        stage: str = "",
    ) -> None:
        """Add a rule: a forward function, and the backward function that is to be its derivative.

        Args:
            name: in reports.
            student: where it is: ``"ops.py:softmax_forward,softmax_backward"``. Forward takes the inputs and returns
                ``(y, cache)``; backward returns one gradient for every input.
            reference: a forward function ``f(*inputs) -> y``, or a pair (forward, backward) of the kind students write.
            cases: what `shapes`, `hidden` and `case` give, added together.
            points: for all of it.
            calling: ``"cache_dout"`` for ``backward(cache, gy)``, ``"dout_cache"`` for ``backward(gy, cache)``.
            weights: shares of forward (values like the reference's), contract (backward returns arrays of the right number, shape
                and dtype), values (of the gradients, by input) and purity (the same call gives the same again, and no call
                disturbs another). They add up to 1.
            kwargs: keyword arguments of forward; of a list each in turn, at every case.
            stage: the part of the assignment it belongs to.
        """
        where = f"rule {name!r}"
        file, names = _student(where, student, 2, "ops.py:softmax_forward,softmax_backward")
        forward, backward = _reference(where, reference)
        _require(f"{where}: calling", calling, calling in CALLINGS, f"one of {', '.join(map(repr, CALLINGS))}")
        listed = _kwargs(where, kwargs)
        item = Rule(name, points, file, names, stage, forward, backward, as_cases(where, cases), calling)
        self._add(replace(item, weights=_weights(where, weights), kwargs=listed))

    def engine(self, student: str, points: float, name: str = "engine", stage: str = "") -> None:
        """Add an engine: a class of numbers that record what is done with them, ``Value(2.0)``, with ``backward()`` and ``grad``.

        Args:
            student: where it is: ``"engine.py:Value"``.
            points: for all of it; each probe has an equal share.
        """
        file, names = _student(f"engine {name!r}", student, 1, "engine.py:Value")
        self._add(Engine(name, points, file, names, stage))

    def train(
        self,
        student: str,
        metric: str | Callable[[Any], Any],
        points: float,
        wall: float = 20.0,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        stage: str = "",
    ) -> None:
        """Add a training: a function that is called once, and judged by what it returns.

        Args:
            student: where it is: ``"mlp.py:train"``.
            metric: a bound, ``"loss<0.1"``, on the number that the function returns, or on this entry of the dict that it returns.
                Or a function of what it returns, which gives the share of the points that is earned, True or a number up to 1.
                A bound takes the student's word for the number; better let the function return predictions, and judge them.
            points: for all of it.
            wall: seconds it may take.
            args, kwargs: its arguments. `random` and `numpy.random` are seeded with the assignment's seed before.
            name: in reports; by default the function's.
        """
        file, names = _student(f"train {student!r}", student, 1, "mlp.py:train")
        where = f"train {name or names[0]!r}"
        _require(
            f"{where}: metric", metric, isinstance(metric, str) or callable(metric), "a bound like 'loss<0.1', or a function"
        )
        _require(f"{where}: wall", wall, _positive(wall), "a positive number of seconds")
        listed = _kwargs(where, [dict(kwargs or {})])[0]
        _crosses(f"{where}: args", tuple(args))
        judge = Metric.parse(metric) if isinstance(metric, str) else metric
        self._add(Training(name or names[0], points, file, names, stage, judge, wall, tuple(args), listed))

    def _add(self, item: Item) -> None:
        where = f"{type(item).__name__.lower()} {item.name!r}"
        _require(f"{where}: name", item.name, isinstance(item.name, str) and bool(item.name.strip()), "a non-empty string")
        _require(f"{where}: points", item.points, _positive(item.points), "a positive number")
        _require(f"{where}: stage", item.stage, isinstance(item.stage, str), "a string")
        if item.name in (each.name for each in self.items):
            raise ValueError(f"{where}: name is {item.name!r}, which another item has. Give each its own.")
        self.items.append(item)

    # -- as a whole

    def validate(self) -> None:
        """Raise ValueError unless there is something to grade, and the points add up."""
        if not self.items:
            raise ValueError(f"assignment {self.name!r} has no items; add one by .rule(...), .engine(...) or .train(...).")
        total = sum(item.points for item in self.items)
        if self.points is not None and abs(total - self.points) > 1e-9:
            listed = " + ".join(f"{item.points:g}" for item in self.items)
            raise ValueError(
                f"assignment {self.name!r}: points is {self.points:g}, but those of its items add up to {listed} = {total:g}."
            )

    def with_feedback(self, level: str) -> Assignment:
        """The same assignment, telling students more or less."""
        _require("feedback", level, level in LEVELS, f"one of {', '.join(map(repr, LEVELS))}")
        changed = copy.copy(self)
        changed.feedback = level
        return changed


# -- what arguments are made of


def _require(what: str, given: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"{what} is {given!r}; expected {expected}.")


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


def _student(where: str, given: Any, count: int, example: str) -> tuple[str, tuple[str, ...]]:
    """File and names in ``"ops.py:forward,backward"``."""
    if isinstance(given, str) and given.count(":") == 1:
        file, _, rest = given.partition(":")
        names = tuple(part.strip() for part in rest.split(","))
        inside = not Path(file).is_absolute() and ".." not in Path(file).parts
        if file.endswith(".py") and inside and len(names) == count and all(name.isidentifier() for name in names):
            return file.strip(), names
    what = "a file and a name" if count == 1 else f"a file and {count} names"
    raise ValueError(f"{where}: student is {given!r}; expected {what}, like {example!r}.")


def _reference(where: str, given: Any) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """A forward, and a backward if there is one."""
    if callable(given):
        return given, None
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given)):
        return given[0], given[1]
    raise TypeError(f"{where}: reference is {given!r}; expected a forward function, or the pair (forward, backward).")


def _weights(where: str, given: Mapping[str, float] | None) -> dict[str, float]:
    weights = dict(PARTS if given is None else given)
    if unknown := sorted(set(weights) - set(PARTS)):
        raise ValueError(f"{where}: weights has {unknown[0]!r}; expected {', '.join(map(repr, PARTS))}.")
    fine = all(isinstance(share, (int, float)) and share >= 0 for share in weights.values())
    if not fine or abs(sum(weights.values()) - 1) > 1e-9:
        raise ValueError(f"{where}: weights is {weights}; expected shares of at least 0 that add up to 1.")
    return {part: float(weights.get(part, 0.0)) for part in PARTS}


def _kwargs(where: str, given: Any) -> tuple[Mapping[str, Any], ...]:
    """Dicts of keyword arguments, one at least."""
    listed = [given] if isinstance(given, Mapping) else list(given)
    for each in listed:
        if not isinstance(each, Mapping) or not all(isinstance(key, str) for key in each):
            raise TypeError(f"{where}: kwargs holds {each!r}; expected dicts of keyword arguments, like [dict(axis=0)].")
        _crosses(f"{where}: kwargs", dict(each))
    return tuple(listed) or ({},)


def _crosses(what: str, value: Any) -> None:
    """Raise unless a value can be sent to the worker."""
    try:
        frames.encode(value)
    except frames.FrameError as error:
        raise TypeError(f"{what} holds {error} Functions and objects stay with the grader.") from None
