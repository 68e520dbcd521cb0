"""Why a gradient is wrong, from a backward that is right: which single mistake in *that* gives the same numbers?

Numbers are compared, not texts, so it does not matter how the rule under test is written. What the report says names the kind of
mistake and the variable it is in, never the reference's line: that stands in ``args``, for the teacher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..backend import module_of
from ..tensor import unwrap
from .diagnoses.contract import Returned
from .diagnoses.finding import Entry, Finding
from .evidence import SAME
from .mutation import Mutant, mutants
from .rule import Pair, Raised, WrongCount, usable
from .trial import Trial

__all__ = ["TrustedPair", "explain_by_mutants"]

KINDS = {
    "drop factor": ("D44", "a factor or divisor is missing"),
    "drop term": ("D46", "a term of a sum is missing"),
    "drop one minus": ("D44", "t stands where 1 - t should"),
    "drop minus": ("D22", "a minus is missing"),
    "negate": ("D22", "a sign is wrong"),
    "drop transpose": ("D52", "a transpose is missing"),
    "add transpose": ("D52", "there is a transpose too many"),
    "change permutation": ("D26", "axes are permuted in another order"),
    "exchange operands": ("D53", "the operands of a product are exchanged"),
    "change subscripts": ("D53", "the subscripts of a product are wrong"),
    "change axis": ("D48", "a sum or mean runs over another axis"),
    "drop keepdims": ("D48", "keepdims is missing"),
    "add keepdims": ("D08", "keepdims is too many"),
    "drop ddof": ("D24", "a variance is divided by another number"),
    "change new axis": ("D32", "an array is spread along another axis"),
    "sum for mean": ("D24", "a sum stands where a mean should"),
    "mean for sum": ("D24", "a mean stands where a sum should"),
    "drop call": ("D44", "a function is not applied"),
    "exchange branches": ("D35", "the branches of a condition are exchanged"),
    "change constant": ("D23", "a constant is wrong"),
    "other length": ("D24", "the length of another axis is taken"),
    "change comparison": ("D35", "a comparison is the wrong way round"),
    "drop not": ("D37", "a mask is inverted"),
    "off by one": ("D28", "an index or a bound is off by one"),
    "one for gy": ("D18", "the upstream gradient is not multiplied in"),
    "swap operator": ("D22", "another operator stands between two operands"),
    "assign for add": ("D39", "= stands where += should"),
    "add for assign": ("D13", "+= stands where = should"),
    "forget repeats": ("D39", "repeated indices count once"),
    "drop statement": ("D46", "a statement is missing"),
    "exchange returned": ("D25", "two gradients are returned in each other's place"),
    "return twice": ("D25", "one gradient is returned for two inputs"),
}
LABELS = {
    "D08": "keepdims", "D13": "not_reentrant", "D18": "ignores_gy", "D22": "sign", "D23": "factor", "D24": "factor_n",
    "D25": "swapped", "D26": "transposed", "D28": "shifted", "D32": "wrong_axis", "D35": "mask", "D37": "wrong_element",
    "D39": "not_accumulated", "D44": "missing_factor", "D46": "missing_branch", "D48": "wrong_axis_of_sum", "D52": "operand",
    "D53": "order", "D57": "one_change",
}  # fmt: skip
LOOKED_AT = 300  # mutants: about 0.3 ms each to make, once, and as long to run


@dataclass(frozen=True)
class TrustedPair:
    """A forward and a backward that are right, called like the pair under test."""

    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., Any]
    calling: str

    def mutants(self) -> list[Mutant]:
        """All single mistakes in the backward; none if its source is not to be had."""
        return _mutants(self.backward, 0 if self.calling == "dout_cache" else -1)[:LOOKED_AT]

    def gradients(self, trial: Trial, backward: Callable[..., Any]) -> list[Any] | None:
        """What a backward gives with this forward's cache at a trial's point and cotangent; None if it raises."""
        rule = trial.rule
        assert isinstance(rule, Pair)
        pair = rule.with_functions(self.forward, backward)
        try:
            y, back = pair.run(*pair.in_float64())
            return back(module_of(unwrap(y)).array(trial.gy, dtype=getattr(unwrap(y), "dtype", None)))
        except (Raised, WrongCount):
            return None


@cache
def _mutants(backward: Callable[..., Any], upstream: int) -> list[Mutant]:
    try:
        return mutants(backward, upstream=upstream)
    except (TypeError, ValueError, OSError):  # a lambda, or a function without source: this explanation is not to be had
        return []


def explain_by_mutants(trial: Trial, i: int, trusted: TrustedPair | None) -> tuple[Entry, Finding] | None:
    """The mutants of the trusted backward that give the gradient of float input ``i``, here and at another point."""
    if trusted is None:
        return None
    found = [m for m in trusted.mutants() if _gives(trial, i, trusted, m)]
    if trial.another is not None:
        found = [m for m in found if _gives(trial.another, i, trusted, m)]
    if not found:
        return None
    found.sort(key=lambda m: not m.realistic)
    best = found[0]
    id, what = KINDS.get(best.family, ("D57", f"one change of the kind `{best.family}`"))
    place = best.variable if best.variable.startswith("the ") else f"`{best.variable}`"
    changes = [{"line": m.line, "before": m.before, "after": m.after, "family": m.family} for m in found[:3]]
    finding = Finding(
        f"exactly what the right backward gives with one mistake: {what}, in {place}",
        f"compare how {place} comes about with the derivation",
        {
            "family": best.family,
            "variable": best.variable,
            "changes": [str(change) for change in changes],
            "mutants": len(found),
        },
        explain="\n".join(f"The same gradient results from `{m.family}` in {m.variable}" for m in found[1:3]),
    )
    return Entry(id, LABELS[id], lambda e: None, tier=3), finding


def _gives(trial: Trial, i: int, trusted: TrustedPair, mutant: Mutant) -> bool:
    """Whether a mutant gives the gradient under test, at one trial."""
    ours = Returned(trial, i, trial.first[i]).numbers
    returned = trusted.gradients(trial, mutant.function)
    if returned is None or not usable(returned[i], trial.values[i]):
        return False
    theirs = Returned(trial, i, returned[i]).numbers
    size = max(float(np.abs(ours).max(initial=0.0)), float(np.abs(theirs).max(initial=0.0)))
    return bool(size and ours.shape == theirs.shape and np.abs(ours - theirs).max() <= SAME * size)
