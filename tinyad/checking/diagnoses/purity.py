"""Side effects: what forward and backward change that is not theirs, and what they keep that they should not.

`observe` runs the rule a few times on copies and writes down what it saw; each rule of the table looks at that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...backend import asnumpy, is_array, module_of
from ...tensor import unwrap
from ..rule import Pair, Raised, WrongCount
from ..trial import Trial
from .finding import Finding, number

__all__ = ["PURITY", "Observed", "observe"]

NEAR = 0.02  # relative: no difference quotient takes larger steps


@dataclass(frozen=True)
class Observed:
    """What a few calls of a rule showed. Gradients are kept as copies of what was returned, one for each float input.

    Attributes:
        words: the names of the inputs.
        forward_wrote, backward_wrote: for every input, how many of its entries forward, or backward, changed.
        wrote_gy: how many entries of the upstream gradient backward changed.
        values: the output of two forwards on the same inputs.
        first, again: what backward returned for one cache, called twice.
        kept: ``again`` as it is after a call with another upstream gradient, where it is not copied.
        fresh: after a second forward on the same inputs.
        late: for the first cache, after a forward on other inputs; None if there are no others, or it raised.
        late_error: what it raised.
        other: for these other inputs.
        shared: pairs of names of what shares memory.
        forwards: how often backward called forward beside the given inputs: with small changes of them.
        sizes: entries of the inputs.
    """

    words: list[str]
    forward_wrote: list[int]
    backward_wrote: list[int]
    wrote_gy: int
    values: tuple[Any, Any]
    first: list[Any]
    again: list[Any]
    fresh: list[Any]
    late: list[Any] | None
    late_error: str
    other: list[Any] | None
    kept: list[Any]
    shared: list[tuple[str, str]]
    forwards: int
    sizes: list[int]


def observe(trial: Trial) -> Observed:
    """Run the rule of a trial on copies of its inputs, and look.

    Raises:
        Raised, WrongCount: by the rule.
    """
    rule, xs = trial.rule, trial.handed
    assert isinstance(rule, Pair)
    y, back = trial.run
    y = unwrap(y)
    value = np.array(asnumpy(y))
    gy = module_of(y).array(trial.gy.reshape(np.shape(y)), dtype=getattr(y, "dtype", None))
    given_gy = module_of(gy).array(gy)
    with _Calls(rule.forward, rule.values) as calls:
        returned = back(gy)
    again = _copies(returned)
    shared = _shared(returned, gy, xs, rule.words)
    wrote_gy = _changed(gy, given_gy)
    back(module_of(gy).array(trial.cotangents[1].reshape(np.shape(gy)), dtype=getattr(y, "dtype", None)))
    kept = _copies(returned)
    fresh_xs = rule.in_float64()
    y2, back2 = rule.run(*fresh_xs)
    forward_wrote = [_changed(x, given) for x, given in zip(fresh_xs, rule.values, strict=True)]
    both_wrote = [_changed(x, given) for x, given in zip(xs, rule.values, strict=True)]
    fresh = _copies(back2(module_of(gy).array(given_gy)))
    late, late_error, other = _after_other(trial, given_gy)
    return Observed(
        words=rule.words,
        forward_wrote=forward_wrote,
        backward_wrote=[0 if by_forward else both for by_forward, both in zip(forward_wrote, both_wrote, strict=True)],
        wrote_gy=wrote_gy,
        values=(value, np.array(asnumpy(unwrap(y2)))),
        first=_copies(trial.first),
        again=again,
        fresh=fresh,
        late=late,
        late_error=late_error,
        other=other,
        kept=kept,
        shared=shared,
        forwards=calls.count,
        sizes=[int(np.size(value)) for value in rule.values],
    )


def _after_other(trial: Trial, gy: Any) -> tuple[list[Any] | None, str, list[Any] | None]:
    """What backward returns for a cache after forward has run on other inputs, or what it raises; and what it returns for those."""
    back, elsewhere = trial.run[1], trial.another
    if elsewhere is None:
        return None, "", None
    try:
        _, back_there = elsewhere.rule.run(*elsewhere.rule.in_float64())
    except (Raised, WrongCount):
        return None, "", None
    try:
        late = _copies(back(module_of(gy).array(gy)))
    except (Raised, WrongCount) as error:
        return None, str(error), None
    try:
        return late, "", _copies(back_there(module_of(gy).array(gy)))
    except (Raised, WrongCount):
        return None, "", None


class _Calls:
    """Counts the calls of a function with slightly changed inputs while the block runs, by its code: whoever calls it, by whatever
    name. Calls with the same inputs compute again what was not kept, which is nobody's fault.
    """

    def __init__(self, function: Any, inputs: list[Any]) -> None:
        self.code = getattr(function, "__code__", None)
        self.inputs = [np.array(asnumpy(x)) for x in inputs]
        self.count = 0

    def __enter__(self) -> _Calls:
        self.before = sys.getprofile()
        if self.code is not None and self.before is None:
            sys.setprofile(self._count)
        return self

    def _count(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code is self.code:
            given = [v for v in frame.f_locals.values() if is_array(unwrap(v))]
            self.count += any(_beside(asnumpy(unwrap(v)), x) for v in given for x in self.inputs)

    def __exit__(self, *error: Any) -> None:
        if self.before is None:
            sys.setprofile(None)


def _beside(a: Any, b: Any) -> bool:
    """Whether an array is another one with small changes."""
    if a.shape != b.shape or a.dtype.kind not in "fc" or np.array_equal(a, b):
        return False
    return float(np.abs(a - b).max()) <= NEAR * max(float(np.abs(b).max()), 1.0)


def _copies(values: Sequence[Any]) -> list[Any]:
    return [np.array(asnumpy(unwrap(v))) if is_array(unwrap(v)) else v for v in values]


def _changed(after: Any, before: Any) -> int:
    """How many entries of an array are not what they were."""
    a, b = asnumpy(after), asnumpy(before)
    return int(a.size) if a.shape != b.shape else int((~((a == b) | (np.isnan(a) & np.isnan(b)))).sum())


def _shared(returned: Sequence[Any], gy: Any, xs: list[Any], words: list[str]) -> list[tuple[str, str]]:
    """Pairs of what shares memory: gradients with one another, with the upstream gradient, with the inputs."""
    named = [(f"the gradient of {word}", unwrap(g)) for word, g in zip(words, returned, strict=True)]
    against = [("gy", gy), *zip(words, xs, strict=True)]
    pairs = []
    for k, (name, g) in enumerate(named):
        for other, array in [*named[k + 1 :], *against]:
            if _share(g, array):
                pairs.append((name, other))
    return pairs


def _share(a: Any, b: Any) -> bool:
    if not (is_array(a) and is_array(b)) or not a.ndim or not b.ndim or not a.size or module_of(a) is not module_of(b):
        return False
    return bool(module_of(a).shares_memory(a, b))


# ---- the rules


def mutates_input(o: Observed) -> Finding | None:
    """Forward or backward wrote into an input."""
    for stage, counts in (("forward", o.forward_wrote), ("backward", o.backward_wrote)):
        for word, count, size in zip(o.words, counts, o.sizes, strict=True):
            if count:
                return Finding(
                    f"{stage} wrote into {word} ({count} of {size} entries)",
                    f"an operation in place on {word} or a view of it (+=, [...] =, out=): work on a copy",
                    {"stage": stage, "input": word},
                )
    return None


def mutates_gy(o: Observed) -> Finding | None:
    """Backward wrote into the upstream gradient."""
    if not o.wrote_gy:
        return None
    return Finding(
        f"backward wrote into the upstream gradient ({o.wrote_gy} entries)",
        "gy[...] = ... or gy *= ...: other branches of the graph hold the same array; work on a copy",
    )


def not_deterministic(o: Observed) -> Finding | None:
    """The same call twice gives two results."""
    a, b = o.values
    if a.shape != b.shape or not np.array_equal(a, b, equal_nan=True):
        return Finding(
            "forward gives two values for the same inputs",
            "random numbers are drawn inside: pass the mask or the seed in as an input, or fix the seed",
            {"stage": "forward"},
        )
    if _equal(o.first, o.fresh) or _equal(o.first, o.again):
        return None
    if _ratio(o.fresh, o.first) is not None or _ratio(o.again, o.first) is not None:  # they add up, which `not_reentrant` says
        return None
    return Finding(
        "backward gives other gradients after a second forward on the same inputs",
        "random numbers are drawn inside, or something of the first call is kept outside the cache",
        {"stage": "backward"},
    )


def not_reentrant(o: Observed) -> Finding | None:
    """Backward twice on one cache gives two results."""
    if not _equal(o.first, o.again):
        ratio = _ratio(o.again, o.first)
        if ratio is not None:
            return Finding(
                f"the second call of backward on the same cache gives {number(ratio)} times the first",
                "gradients accumulate from call to call: start from zeros in each",
                {"ratio": ratio},
            )
        return Finding(
            "the second call of backward on the same cache gives another gradient",
            "backward changes what is in the cache: work on a copy",
            {"ratio": "none"},
        )
    if not _equal(o.first, o.fresh) and (ratio := _ratio(o.fresh, o.first)) is not None:
        return Finding(
            f"after another forward on the same inputs backward gives {number(ratio)} times the first gradient",
            "gradients accumulate from call to call: start from zeros in each",
            {"ratio": ratio},
        )
    return None


def stale_cache(o: Observed) -> Finding | None:
    """Backward of one call depends on a later forward."""
    hint = "state is kept on an object or in a global name, not in the cache of the call"
    if o.late_error:
        return Finding(f"backward of a call does not work after a later forward on other inputs: {o.late_error}", hint)
    if o.late is None or _equal(o.first, o.late) or not (_equal(o.first, o.fresh) and _equal(o.first, o.again)):
        return None
    newest = o.other is not None and _equal(o.other, o.late)
    fact = "backward of a call changes after a later forward on other inputs"
    return Finding(
        fact + (": it gives the gradient at the later inputs" if newest else ""),
        hint,
        {"newest": newest},
    )


def finite_differences(o: Observed) -> Finding | None:
    """Backward calls forward at inputs beside the given ones."""
    if not o.forwards:
        return None
    return Finding(
        f"backward calls forward {o.forwards} times with slightly changed inputs",
        "the gradient comes from differences of function values; a derivative is asked for",
        {"calls": o.forwards},
    )


def aliasing(o: Observed) -> Finding | None:
    """Returned arrays share memory, or are written over by a later call."""
    if not _equal(o.again, o.kept) and not o.wrote_gy:
        return Finding(
            "a later call of backward writes over the gradients that an earlier one returned",
            "it keeps one array and returns it each time: use or copy the gradients before the next call",
            {"pairs": "kept"},
        )
    if not o.shared:
        return None
    pairs = "; ".join(f"{a} shares memory with {b}" for a, b in o.shared[:3])
    return Finding(pairs, "a later += on one changes the other: copy before accumulating in place", {"pairs": o.shared})


def _equal(a: list[Any], b: list[Any]) -> bool:
    """Whether two lists of gradients are the same, to roundoff: sums may be ordered by threads."""
    return all(_same(x, y) for x, y in zip(a, b, strict=True))


def _same(a: Any, b: Any) -> bool:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return type(a) is type(b)
    if a.shape != b.shape or a.dtype.kind not in "fiub":
        return bool(a.shape == b.shape)
    if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        return True
    with np.errstate(invalid="ignore"):
        largest = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
        apart = float(np.abs(a - b).max(initial=0.0))
        return bool(apart <= 1e-12 * np.sqrt(a.size) * largest)


def _ratio(a: list[Any], b: list[Any]) -> float | None:
    """c with a == c b for all gradients that changed; None if there is none above 1."""
    ratios = []
    for x, y in zip(a, b, strict=True):
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.shape == y.shape and not _same(x, y):
            x, y = x.astype(float), y.astype(float)
            norm = float((y**2).sum())
            c = float((x * y).sum()) / norm if norm else 0.0
            if not np.isfinite(c) or float(np.abs(x - c * y).max()) > 1e-9 * float(np.abs(x).max()):
                return None
            ratios.append(c)
    return ratios[0] if ratios and ratios[0] > 1.001 and np.allclose(ratios, ratios[0], rtol=1e-9) else None


PURITY: tuple[tuple[str, str, Callable[[Observed], Finding | None]], ...] = (
    ("D11", "mutates_input", mutates_input),
    ("D12", "mutates_gy", mutates_gy),
    ("D15", "nondeterministic", not_deterministic),
    ("D13", "not_reentrant", not_reentrant),
    ("D14", "stale_cache", stale_cache),
    ("D17", "fd_backward", finite_differences),
)
ALIASING = ("D16", "aliasing", aliasing)
