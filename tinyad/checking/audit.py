"""Auditing a check: is a wrong gradient noticed by it at all?

A right rule is made wrong in every way that a single mistake can (`mutation`), and the check is asked about each. What it lets
pass is a survivor, unless it cannot be told from the right rule by anything: then it is equivalent. Of each survivor is said what
would have noticed it.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import signal
import threading
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import is_array
from ..tensor import unwrap
from .inputs import is_float_array, signed
from .mutation import Mutant, mutants
from .rule import CALLINGS, Pair
from .shapes import jittered, lengthened, resized

__all__ = ["Audit", "Audited", "Place", "Row", "Wrong", "audit", "wrong_rules"]

Draw = Callable[[np.random.Generator], tuple[Any, ...]]
Check = Callable[[Callable[..., Any], Callable[..., Any], tuple[Any, ...]], Any]

SAME = 1e-9  # relative: how close gradients are that are called equal
COARSE = 1e-2  # a difference that no sensible tolerance lets pass
LONGEST = 20.0  # seconds for one question
POINTS = 3  # random points at which a survivor is compared with the right rule

ADVICE = {
    "output": "compare the output of forward with a trusted one",
    "raises": "an exception in backward must count as a failure",
    "contract": "compare the number, type, shape and dtype of the gradients with those of the inputs",
    "entries": "compare every entry of every gradient",
    "tolerance": "a tolerance of 1e-6, relative to the largest entry",
    "upstream": "a random upstream gradient of either sign, not ones",
    "gy": "compare the upstream gradient with a copy of it made before backward",
    "inputs": "compare the inputs with copies made before forward",
    "twice": "call backward twice and compare",
    "stale": "call forward with something else before backward",
    "more": "inputs at another point",
    "shape": "a second shape, with lengths that are different primes",
    "several": "several examples, or whatever there was a single one of: no axis of length 1",
    "square": "a square case: every axis of the same length",
    "indices": "other whole numbers: indices of which some repeat and some are missing",
}
"""What would notice a survivor, by what tells it from the right rule."""


@dataclass(frozen=True)
class Wrong:
    """A wrong rule.

    Attributes:
        name: short, for lists.
        forward, backward: of which one at least is wrong.
        what: what was changed, for people.
        where: file and line, if known.
        family: of the mistake, if it is one of `mutation.FAMILIES`.
        realistic: whether people make it.
    """

    name: str
    forward: Callable[..., Any] = field(repr=False)
    backward: Callable[..., Any] = field(repr=False)
    what: str = ""
    where: str = ""
    family: str = ""
    realistic: bool = True


@dataclass(frozen=True)
class Place:
    """Where a check looks at a rule.

    Attributes:
        draw: gives the inputs, from a NumPy generator.
        kwargs: keyword arguments of forward.
        seed: of the generator; by default that of the audit and the number of the place.
        check: that looks there; by default that of the audit.
    """

    draw: Draw
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    seed: tuple[int, ...] = ()
    check: Check | None = None

    def bound(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """A forward function with the keyword arguments."""
        return functools.partial(forward, **self.kwargs) if self.kwargs else forward

    def inputs(self, *seed: int) -> tuple[Any, ...]:
        """The inputs, as a tuple."""
        drawn = self.draw(np.random.default_rng(seed))
        return drawn if isinstance(drawn, tuple) else (drawn,)


@dataclass(frozen=True)
class Audited:
    """A right rule, and where a check looks at it.

    Attributes:
        name: in the table.
        forward, backward: the right ones, in plain NumPy, ``forward(*inputs) -> (y, cache)``.
        places: where the check is asked, one after the other: functions of a NumPy generator that give the inputs, or `Place`.
        more: functions that draw other inputs, at which survivors are compared with the right rule, too.
        wrong: the wrong rules; made from the source of backward, `wrong_rules`, if None.
        calling: ``"cache_dout"`` or ``"dout_cache"``, as for `check_rule`.
    """

    name: str
    forward: Callable[..., Any] = field(repr=False)
    backward: Callable[..., Any] = field(repr=False)
    places: tuple[Place | Draw, ...] = field(repr=False)
    more: tuple[Draw, ...] = field(default=(), repr=False)
    wrong: Sequence[Wrong] | None = field(default=None, repr=False)
    calling: str = "cache_dout"

    def numbered(self, seed: int) -> list[tuple[Place, tuple[int, ...]]]:
        """The places, and the seed of the inputs at each."""
        places = [each if isinstance(each, Place) else Place(each) for each in self.places]
        return [(place, place.seed or (seed, k)) for k, place in enumerate(places)]


@dataclass(frozen=True)
class Row:
    """What became of one wrong rule.

    Attributes:
        rule: name of the rule.
        wrong: the wrong rule.
        outcome: "noticed", "raised" (the check ended by an exception that is no AssertionError: noticed, too), "equivalent" or
            "survived".
        told_by: of a survivor, what would notice it: one of `ADVICE`.
    """

    rule: str
    wrong: Wrong
    outcome: str
    told_by: str = ""


@dataclass(frozen=True)
class Audit:
    """The table of an audit.

    Attributes:
        rows: one for every wrong rule.
        false_alarms: rules that the check refuses although they are right.
        skipped: rules that could not be made wrong, and why.
    """

    rows: tuple[Row, ...]
    false_alarms: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def survivors(self) -> tuple[Row, ...]:
        """The wrong rules that were let pass."""
        return tuple(row for row in self.rows if row.outcome == "survived")

    @property
    def passed(self) -> bool:
        """Whether no wrong rule was let pass, and no right one refused."""
        return not self.survivors and not self.false_alarms

    def __bool__(self) -> bool:
        return self.passed

    def __add__(self, other: Audit) -> Audit:
        return Audit(self.rows + other.rows, self.false_alarms + other.false_alarms, self.skipped + other.skipped)

    def count(self, *outcomes: str) -> int:
        """How many wrong rules ended so."""
        return sum(row.outcome in outcomes for row in self.rows)

    def __str__(self) -> str:
        kills, same, left = self.count("noticed", "raised"), self.count("equivalent"), len(self.survivors)
        lines = [f"{len(self.rows)} wrong rules: {kills} noticed, {same} the same as the right one, {left} SURVIVED"]
        lines += [f"  REFUSED although it is right: {name}" for name in self.false_alarms]
        lines += [f"  not audited: {why}" for why in self.skipped]
        for rule in dict.fromkeys(row.rule for row in self.survivors):
            lines.append(f"  {rule}")
            there = [row for row in self.survivors if row.rule == rule]
            for row in sorted(there, key=lambda row: not row.wrong.realistic):
                wrong = row.wrong
                shown = wrong.what or wrong.name
                lines.append(f"    {f'{wrong.where}  ' if wrong.where else ''}{shown}")
                lines.append(f"      would be noticed by: {ADVICE[row.told_by]}")
        return "\n".join(lines)

    def to_json(self, indent: int | None = 1) -> str:
        """The table for programs."""
        rows = [
            {
                "rule": row.rule,
                "name": row.wrong.name,
                "what": row.wrong.what,
                "where": row.wrong.where,
                "family": row.wrong.family,
                "realistic": row.wrong.realistic,
                "outcome": row.outcome,
                "told_by": row.told_by,
            }
            for row in self.rows
        ]
        head = {"schema": "tinyad-audit-1", "passed": self.passed, "false_alarms": self.false_alarms, "skipped": self.skipped}
        return json.dumps({**head, "rows": rows}, indent=indent, sort_keys=True)


def audit(rules: Iterable[Audited], check: Check | None = None, *, seed: int = 0) -> Audit:
    """Ask a check about right rules and wrong ones.

    Args:
        rules: with the wrong rules made from them.
        check: ``check(forward, backward, inputs)``; it refuses by returning False or raising. To return nothing is to accept.
            Forward and backward are functions of arrays in the rule's calling convention. None if every place has its own.
        seed: of the inputs.

    Returns:
        The table; false as a bool if a wrong rule was let pass or a right one refused.

    A check with ones for the upstream gradient does not notice that it is not multiplied in:

    >>> import numpy as np
    >>> def forward(x):
    ...     return x**2, x
    >>> def backward(x, dy):
    ...     return 2 * x * dy
    >>> def check(forward, backward, inputs):
    ...     (x,) = inputs
    ...     y, cache = forward(x)
    ...     return np.allclose(backward(cache, np.ones_like(y)), 2 * x)
    >>> table = audit([Audited("square", forward, backward, (lambda rng: (rng.normal(size=(5, 3)),),))], check)
    >>> print(table)
    13 wrong rules: 10 noticed, 0 the same as the right one, 3 SURVIVED
      square
        ...:2  `2 * x * dy` -> `2 * x` in the return value (drop factor)
          would be noticed by: a random upstream gradient of either sign, not ones
        ...
    """
    table = Audit(())
    for rule in rules:
        try:
            wrong = wrong_rules(rule.forward, rule.backward, rule.calling) if rule.wrong is None else rule.wrong
        except (TypeError, ValueError) as error:
            table += Audit((), skipped=(f"{rule.name}: {error}",))
            continue
        answer = _ask(check, rule, rule.forward, rule.backward, seed)
        rows = tuple(_row(check, rule, each, seed) for each in wrong)
        table += Audit(rows, () if answer == "survived" else (rule.name,))
    return table


def _row(check: Check | None, rule: Audited, wrong: Wrong, seed: int) -> Row:
    outcome, told_by = _ask(check, rule, wrong.forward, wrong.backward, seed), ""
    if outcome == "survived":
        told_by = _told_by(rule, wrong, seed)
        outcome = outcome if told_by else "equivalent"
    return Row(rule.name, wrong, outcome, told_by)


def _ask(check: Check | None, rule: Audited, forward: Callable[..., Any], backward: Callable[..., Any], seed: int) -> str:
    """What the check makes of a rule, right or wrong, at all places where it looks."""
    for place, numbers in rule.numbered(seed):
        asked = place.check or check
        if asked is None:
            raise TypeError(f"audit: check is None, and {rule.name} has a place without one of its own; expected a function.")
        inputs = place.inputs(*numbers)
        try:
            with _silence():
                accepted = asked(place.bound(forward), backward, inputs)
        except AssertionError:
            return "noticed"
        except Exception:  # of the check, which did not expect such a thing; who runs it sees it
            return "raised"
        if accepted is not None and not accepted:
            return "noticed"
    return "survived"


@contextmanager
def _silence() -> Iterator[None]:
    """Wrong rules divide by zero, and more; and a loop whose condition was changed may never end."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), _within(LONGEST):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise a TimeoutError in what takes longer: in the main thread, where the system has alarms, and none is set already."""
    possible = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not possible or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"no answer within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)  # again: the check may catch the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


# ---- wrong rules from a right one


def wrong_rules(forward: Callable[..., Any], backward: Callable[..., Any], calling: str = "cache_dout") -> list[Wrong]:
    """All rules that differ from a right one by a single mistake in backward, or in a function of its file that backward calls.

    Raises:
        TypeError, ValueError: backward has no source that can be changed.
    """
    upstream = -1 if calling == "cache_dout" else 0
    found = [_wrong(forward, mutant.function, mutant, backward) for mutant in mutants(backward, upstream=upstream)]
    for name, helper in _helpers(backward):
        for mutant in mutants(helper, upstream=None):
            found.append(_wrong(forward, _with_global(backward, name, mutant.function), mutant, helper))
    return found


def _wrong(forward: Callable[..., Any], backward: Callable[..., Any], mutant: Mutant, changed: Callable[..., Any]) -> Wrong:
    before, after = (" ".join(text.split()) for text in (mutant.before, mutant.after))
    what = f"`{before}` -> `{after}`" if after else f"`{before}` removed"
    where = f"{Path(inspect.getsourcefile(inspect.unwrap(changed)) or '').name}:{mutant.line}"
    name = f"{mutant.line}: {before} -> {after}"
    what = f"{what} in {mutant.variable} ({mutant.family})"
    return Wrong(name, forward, backward, what, where, mutant.family, mutant.realistic)


def _helpers(backward: Callable[..., Any]) -> Iterator[tuple[str, types.FunctionType]]:
    """The functions of the same file that a function calls by name."""
    plain = inspect.unwrap(backward)
    if not isinstance(plain, types.FunctionType):
        return
    for name in plain.__code__.co_names:
        helper = plain.__globals__.get(name)
        if not isinstance(helper, types.FunctionType) or helper is plain or helper.__name__ == "<lambda>":
            continue
        if helper.__code__.co_filename == plain.__code__.co_filename:
            yield name, helper


def _with_global(function: Callable[..., Any], name: str, value: Any) -> Callable[..., Any]:
    """A function for which a name of its module has another value, while it runs."""
    names = inspect.unwrap(function).__globals__

    def changed(*args: Any) -> Any:
        kept = names[name]
        names[name] = value
        try:
            return function(*args)
        finally:
            names[name] = kept

    return changed


# ---- what tells a survivor from the right rule


def _told_by(rule: Audited, wrong: Wrong, seed: int) -> str:
    """The first thing that tells a wrong rule from the right one; empty if nothing does at any of the points."""
    places = rule.numbered(seed)
    for place, numbers in places:
        if told := _difference(rule, wrong, place, place.inputs(*numbers), seed):
            return told
    for kind, place, inputs in _elsewhere(rule, places, seed):
        if _difference(rule, wrong, place, inputs, seed):
            return "indices" if kind in ("shape", "square") and any(map(_holds_indices, inputs)) else kind
    return ""


def _holds_indices(value: Any) -> bool:
    return is_array(value) and value.dtype.kind in "iu"


def _elsewhere(
    rule: Audited, places: Sequence[tuple[Place, tuple[int, ...]]], seed: int
) -> Iterator[tuple[str, Place, tuple[Any, ...]]]:
    """Inputs at other points and of other shapes, each with what it would be called."""
    for place, numbers in places:
        yield from (("more", place, place.inputs(*numbers, point + 1)) for point in range(POINTS))
    for place, numbers in places:
        try:
            pair = Pair("audit", place.bound(rule.forward), rule.backward, place.inputs(*numbers), rule.calling)
            found = [
                ("more", jittered(pair, seed)),
                ("square", resized(pair, seed, square=True)),
                ("shape", resized(pair, seed)),
                ("several", lengthened(pair, seed)),
            ]
        except (TypeError, ValueError):  # no floats, or not to be varied
            continue
        yield from ((kind, place, tuple(moved.rebuild(moved.values))) for kind, moved in found if moved is not None)
    for draw in rule.more:
        yield from (("shape", Place(draw), Place(draw).inputs(seed, point)) for point in range(POINTS))


def _difference(rule: Audited, wrong: Wrong, place: Place, inputs: tuple[Any, ...], seed: int) -> str:
    """What tells two rules apart at one point: the first of `ADVICE` that is not the same."""
    call = CALLINGS[rule.calling]
    with _silence():
        try:
            right = _look(place.bound(rule.forward), rule.backward, inputs, call, seed)
        except Exception:  # the right rule does not take such inputs
            return ""
        try:
            theirs = _look(place.bound(wrong.forward), wrong.backward, inputs, call, seed)
        except Exception:
            return "raises"
    if not _same(right["output"], theirs["output"], SAME):
        return "output"
    if _contract(right["ones"]) != _contract(theirs["ones"]):
        return "contract"
    sizes = [_size(gradient) for gradient in right["upstream"]]  # by ones alone some gradients are nothing but roundoff
    if not _same(right["ones"], theirs["ones"], COARSE, sizes):
        return "entries"
    if not _same(right["upstream"], theirs["upstream"], COARSE):
        return "upstream"
    if not (_same(right["ones"], theirs["ones"], SAME, sizes) and _same(right["upstream"], theirs["upstream"], SAME)):
        return "tolerance"
    return next((key for key in ("gy", "inputs", "twice", "stale") if right[key] != theirs[key]), "")


def _look(
    forward: Callable[..., Any], backward: Callable[..., Any], inputs: tuple[Any, ...], call: Callable[..., Any], seed: int
) -> dict[str, Any]:
    """All that can be seen of a rule at a point."""
    given = copy.deepcopy(inputs)
    y, cache = forward(*given)
    output = copy.deepcopy(unwrap(y))
    shape = np.shape(output)
    gy = signed(np.random.default_rng([seed, 7]), int(np.prod(shape))).reshape(shape).astype(getattr(output, "dtype", float))
    used = gy.copy()
    upstream = copy.deepcopy(_several(call(backward, cache, used)))
    twice = copy.deepcopy(_several(call(backward, cache, gy.copy())))
    _, kept = forward(*copy.deepcopy(inputs))
    forward(*[value * 0.5 if is_float_array(value) else value for value in copy.deepcopy(inputs)])
    later = _several(call(backward, kept, gy.copy()))
    _, fresh = forward(*copy.deepcopy(inputs))
    return {
        "output": (output,),
        "upstream": upstream,
        "ones": copy.deepcopy(_several(call(backward, fresh, np.ones_like(gy)))),
        "gy": bool(np.array_equal(used, gy)),
        "inputs": _same(given, inputs, 0.0),
        "twice": _same(upstream, twice, SAME),
        "stale": _same(upstream, later, SAME),
    }


def _several(gradients: Any) -> tuple[Any, ...]:
    return tuple(gradients) if isinstance(gradients, (tuple, list)) else (gradients,)


def _contract(gradients: tuple[Any, ...]) -> list[Any]:
    """What can be said of gradients without their numbers."""
    return [
        (type(unwrap(g)).__name__, np.shape(g), str(unwrap(g).dtype), bool(np.isfinite(g).all()))
        if _has_numbers(g)
        else type(g)
        for g in gradients
    ]


def _has_numbers(g: Any) -> bool:
    return is_array(unwrap(g)) and unwrap(g).dtype.kind in "fiub"


def _size(gradient: Any) -> float:
    return float(np.abs(np.asarray(unwrap(gradient), float)).max(initial=0.0)) if _has_numbers(gradient) else 0.0


def _same(a: tuple[Any, ...], b: tuple[Any, ...], tolerance: float, sizes: Sequence[float] = ()) -> bool:
    """Whether two lists of arrays agree: up to a tolerance relative to the largest entry, or to a size for each."""
    if len(a) != len(b):
        return False
    for k, (mine, theirs) in enumerate(zip(a, b, strict=True)):
        if not (_has_numbers(mine) and _has_numbers(theirs)):
            if type(mine) is not type(theirs) or (mine is not None and not np.array_equal(mine, theirs)):
                return False
            continue
        p, q = np.asarray(unwrap(mine), float), np.asarray(unwrap(theirs), float)
        size = sizes[k] if sizes else _size(mine)
        if p.shape != q.shape:
            return False
        near = np.abs(p - q) <= tolerance * max(size, 1e-300)
        if not (near | (p == q) | (np.isnan(p) & np.isnan(q))).all():
            return False
    return True
