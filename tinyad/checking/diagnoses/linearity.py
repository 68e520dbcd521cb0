"""Linearity in the upstream gradient: a pullback is a linear function of it, whatever the rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..inputs import FloatArray
from ..rule import usable
from ..trial import Trial
from .contract import Returned
from .finding import Finding

__all__ = ["LINEARITY", "Pulled", "pull"]

MILLION = 2.0**20
LIMIT = 1e-6  # relative to the sizes of the terms; roundoff in right rules is below 1e-9 of them


@dataclass(frozen=True)
class Pulled:
    """The gradients of one input for several cotangents.

    Attributes:
        u, v, both: for two random cotangents and their sum.
        zero, ones: for zeros and for ones.
        large, small: for the first, times and divided by a million; the gradients divided and multiplied by it again.
        roundoff: what may be left of a gradient that is zero.
    """

    u: FloatArray
    v: FloatArray
    both: FloatArray
    zero: FloatArray
    ones: FloatArray
    large: FloatArray
    small: FloatArray
    roundoff: float

    def near(self, a: FloatArray, b: FloatArray) -> bool:
        """Whether two gradients are the same beside their terms."""
        sizes = [float(np.abs(x).max(initial=0.0)) for x in (self.u, self.v)]
        with np.errstate(invalid="ignore"):  # what is infinite is near to nothing
            return bool(float(np.abs(a - b).max(initial=0.0)) <= LIMIT * max(sizes) + self.roundoff)


def pull(trial: Trial) -> list[Pulled | None]:
    """What backward makes of seven cotangents, for every input whose gradient is an array of its shape."""
    u, v = trial.cotangents
    others = (v, u + v, np.zeros_like(u), np.ones_like(u), u * MILLION, u / MILLION)
    calls = [trial.first, *map(trial.returned, others)]
    found: list[Pulled | None] = []
    for i, value in enumerate(trial.values):
        if all(usable(returned[i], value) for returned in calls):
            u, v, both, zero, ones, large, small = (Returned(trial, i, returned[i]).numbers for returned in calls)
            finite = np.isfinite(u).all() and np.isfinite(v).all()
            scaled = large / MILLION, small * MILLION
            found.append(Pulled(u, v, both, zero, ones, *scaled, trial.roundoff(i)) if finite else None)
        else:
            found.append(None)
    return found


def ignores_gy(p: Pulled) -> Finding | None:
    """The same for every cotangent, zero included."""
    if not (p.near(p.u, p.v) and p.near(p.u, p.ones) and p.near(p.u, p.zero)) or p.near(p.zero, np.zeros_like(p.zero)):
        return None
    return Finding("does not depend on the upstream gradient", "it is not multiplied by gy")


def affine_in_gy(p: Pulled) -> Finding | None:
    """Linear but for a term that stays when the cotangent is zero."""
    if p.near(p.zero, np.zeros_like(p.zero)) or not p.near(p.both - p.zero, p.u + p.v - 2 * p.zero):
        return None
    return Finding(
        "not zero for an upstream gradient of zero: a part of it does not depend on gy", "one term is not multiplied by gy"
    )


def not_linear_in_gy(p: Pulled) -> Finding | None:
    """G(u + v) != G(u) + G(v)."""
    if p.near(p.both, p.u + p.v):
        finite = np.isfinite(p.zero).all()
        return None if finite else Finding("not finite for an upstream gradient of zero", "gy stands in a denominator")
    return Finding(
        "not linear in the upstream gradient: G(u + v) is not G(u) + G(v)",
        "gy is multiplied in twice, stands in a denominator, or in a mask such as gy > 0",
    )


def not_homogeneous_in_gy(p: Pulled) -> Finding | None:
    """G(c u) != c G(u) for large or small c."""
    if p.near(p.large, p.u) and (p.near(p.small, p.u) or p.roundoff * MILLION > np.abs(p.u).max(initial=0.0)):
        return None
    times = "a million" if not p.near(p.large, p.u) else "a millionth"
    return Finding(
        f"not linear in the upstream gradient: {times} times as large a gy does not give {times} times the gradient",
        "the gradient is clipped or rounded, or something is added to it that only shows beside small numbers",
    )


LINEARITY: tuple[tuple[str, str, Callable[[Any], Finding | None]], ...] = (
    ("D18", "ignores_gy", ignores_gy),
    ("D19", "affine_gy", affine_in_gy),
    ("D20", "nonlinear_gy", not_linear_in_gy),
    ("D20", "nonlinear_gy", not_homogeneous_in_gy),
)
