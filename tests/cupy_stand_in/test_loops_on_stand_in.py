"""Loops by `scan` on stand-ins of CuPy's arrays, and their derivatives: the same as on NumPy's, on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.cupy_stand_in.same import same_on_both
from tests.engine.loop_cases import CASES, WAYS, Case
from tinyad import tree


def weighted(case: Case, way: str, w: Any, carry: Any, xs: Any) -> Any:
    """A number in which all results that have derivatives count, and ``w`` itself."""
    results = [*tree.leaves(WAYS[way](case.step(w), carry, xs, case.length)), *tree.leaves(w)]
    return sum(ad.sum(ad.square(y)) for y in results if getattr(y, "dtype", np.dtype(bool)).kind == "f")


RECOMPUTED = ("recurrent", "parts of old carries", "inner scan", "inner rules")


@pytest.mark.parametrize("name, way", [*[(name, "storing") for name in CASES], *[(name, "square root") for name in RECOMPUTED]])
def test_loop(name: str, way: str) -> None:
    case = CASES[name]

    def evaluations(w: Any, carry: Any, xs: Any) -> dict[str, Any]:
        one = tree.leaves(w)[0].ravel()[:1] * 0.0 + 1.0

        def f(w: Any) -> Any:
            return weighted(case, way, w, carry, xs)

        return {
            "value": WAYS[way](case.step(w), carry, xs, case.length),
            "gradient": ad.grad(f)(w),
            "jvp": ad.jvp(f, (w,), (w,)),
            "hvp": ad.hvp(f, w, w),
            "vmap": ad.vmap(lambda k: WAYS[way](case.step(tree.map(lambda p: p * k, w)), carry, xs, case.length))(one),
        }

    same_on_both(f"{name}, {way}: ", evaluations, tree.map(np.asarray, case.w), case.carry, case.xs)


def test_counters_stay_numbers() -> None:
    """`fori` counts on the processor, beside arrays on the device that the step alone knows."""
    same_on_both("fori", lambda v: ad.fori(3, lambda i, t: t * ad.sum(v) + i, 1.0), np.array([0.5, 2.0]))
    same_on_both("gradient", ad.grad(lambda v: ad.sum(ad.fori(3, lambda i, t: t * v * (i + 1), v))), np.array([0.5, 2.0]))
