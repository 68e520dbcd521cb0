"""The student's forward function next to the reference's: in numbers, by the grader."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import asnumpy
from ...tensor import unwrap
from ..inputs import describe, entry_name

__all__ = ["difference"]

RTOL = 1e-6  # of the largest entry, as in `check_rule`; or
ROUNDING_UNITS = 100  # of the reference's dtype, if that is more


def difference(y: Any, expected: Any) -> str:
    """What a student's output differs by from the reference's; empty if by nothing but rounding.

    Args:
        y: the student's.
        expected: the reference's.

    >>> difference(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    'the output of forward is wrong in 1 of 2 entries; worst y[1]: yours +2.5, expected +2'
    """
    right = np.asarray(asnumpy(unwrap(expected)))
    if not isinstance(y, (np.ndarray, np.generic, int, float)):
        return f"forward returned {describe(y)}; expected an array of shape {right.shape}"
    given = np.asarray(y)
    if given.shape != right.shape:
        return f"the output of forward has shape {given.shape}; expected {right.shape}"
    if given.dtype.kind not in "fiub":
        return f"the output of forward has dtype {given.dtype}; expected {right.dtype}"
    rtol = max(RTOL, ROUNDING_UNITS * float(np.finfo(right.dtype).eps)) if right.dtype.kind == "f" else RTOL
    return _in_numbers(given.astype(np.float64), right.astype(np.float64), rtol)


def _in_numbers(given: np.ndarray, right: np.ndarray, rtol: float) -> str:
    largest = float(np.abs(right).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        excess = np.abs(given - right) - rtol * largest
    excess = np.where((given == right) | (np.isnan(given) & np.isnan(right)), 0.0, np.nan_to_num(excess, nan=np.inf))
    wrong = int((excess > 0).sum())
    if not wrong:
        return ""
    worst = int(np.argmax(excess))
    yours, expected = given.ravel()[worst], right.ravel()[worst]
    place = entry_name("y", right.shape, worst)
    share = f" in {wrong} of {right.size} entries" if right.size > 1 else ""
    return f"the output of forward is wrong{share}; worst {place}: yours {yours:+.6g}, expected {expected:+.6g}"
