"""Group testing: which of a million entries of a gradient are wrong, with a few hundred calls of forward instead of four million.

A random direction that touches a group of entries shows whether anything in the group is wrong, in four calls. Groups that are
wrong are halved. What is wrong in both halves together is known from the group, so one test settles both: finding one entry of
10^6 takes about 130 calls. Where everything is wrong halving finds nothing; the search says so after a few tests.

Source: Dorfman, The Annals of Mathematical Statistics 14 (1943), 436 (group testing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .comparison import RTOL, Tolerance, combinations, projected, pulled, slopes_along
from .inputs import EPS, FloatArray, signed
from .trial import Trial

__all__ = ["Located", "locate"]

Group = npt.NDArray[np.intp]

SMALL = 8  # groups of at most so many entries are tested entry by entry
WIDE = 12  # wrong groups at one time, from which on the gradient counts as wrong all over
BUDGET = 96  # tests, of four calls of forward each


@dataclass
class Located:
    """What a search found.

    Attributes:
        entries: flat positions of the wrong entries that were found, ascending.
        complete: whether all of them were found; not where they are too many.
        share: if not, the estimated share of wrong entries.
        tests: directions that were tried, four calls of forward each.
    """

    entries: list[int] = field(default_factory=list)
    complete: bool = True
    share: float = 0.0
    tests: int = 0


def locate(trial: Trial, i: int) -> Located:
    """The wrong entries of the gradient of float input ``i``, for random combinations of the outputs.

    >>> import numpy as np
    >>> from tinyad.checking.rule import Pair
    >>> def backward(x, gy):
    ...     g = gy * np.cos(x)
    ...     g[12345] *= 1.3
    ...     return g
    >>> x = np.random.default_rng(0).normal(size=100_000)
    >>> found = locate(Trial(Pair("locate", lambda x: (np.sin(x), x), backward, (x,)), seed=0), 0)
    >>> found.entries, found.complete
    ([12345], True)
    """
    search = _Search(trial, i)
    everything = np.arange(trial.values[i].size)
    pending = [(everything, search.wrong_by(everything))]
    found = Located()
    while pending and search.tests < BUDGET:
        if len(pending) > WIDE:
            found.share = min(1.0, len(pending) * pending[0][0].size / everything.size)
            break
        group, off = max(pending, key=lambda pair: pair[0].size)
        pending = [pair for pair in pending if pair[0] is not group]
        if not off.shows:
            continue
        if group.size == 1:
            found.entries.append(int(group[0]))
            continue
        left, right = np.array_split(group, 2) if group.size > SMALL else (group[:1], group[1:])
        off_left = search.wrong_by(left)
        pending += [(left, off_left), (right, off - off_left)]
    found.complete = not pending
    found.entries.sort()
    found.tests = search.tests
    return found


@dataclass(frozen=True)
class _Off:
    """By how much projections of the gradient are wrong, and how large numeric errors in that may be."""

    wrong: FloatArray
    tolerance: FloatArray

    @property
    def shows(self) -> bool:
        """Whether it is more than numeric errors."""
        return bool((np.abs(self.wrong) > self.tolerance).any())

    def __sub__(self, part: _Off) -> _Off:
        return _Off(self.wrong - part.wrong, self.tolerance + part.tolerance)


class _Search:
    """The gradient under test, pulled back once for a few cotangents, and the directions it is compared in."""

    def __init__(self, trial: Trial, i: int) -> None:
        self.trial, self.i, self.tests = trial, i, 0
        random = np.random.default_rng([trial.seed, i, 7])
        x = trial.values[i].ravel()
        self.weights = combinations(random, trial.y.size)
        self.direction = np.maximum(1.0, np.abs(x)) * signed(random, x.size)
        y, pullback = trial.rule.pull(*trial.rule.values, run=trial.run)
        self.ours = pulled(pullback, y, self.weights)[i]

    def wrong_by(self, group: Group) -> _Off:
        """By how much the gradient is wrong along the direction within a group, for every cotangent."""
        self.tests += 1
        direction = np.zeros_like(self.direction)
        direction[group] = self.direction[group]
        slopes = slopes_along(self.trial.rule, self.trial.rule.values, self.i, [direction], self.trial.value)
        numeric = projected(slopes, self.weights)
        ours = self.ours[:, group] @ self.direction[group]
        tolerance = Tolerance(RTOL, EPS, 0.0).tolerance(numeric.size, numeric.error, numeric.scale, 0.0)
        return _Off(ours - numeric.low[:, 0], tolerance[:, 0] + numeric.high[:, 0] - numeric.low[:, 0])


def places(entries: Sequence[int], shape: tuple[int, ...]) -> list[list[int]]:
    """Flat positions as indices."""
    return [[int(k) for k in np.unravel_index(entry, shape)] for entry in entries]
