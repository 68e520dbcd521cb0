"""Which states to keep when there is not room for all of them: schedules of a reversal as lists of actions.

An action is ``("advance", i, j)``, steps from time number i to j, nothing kept; ``("store", i)``, ``("restore", i)`` and
``("free", i)``, the state at time number i; ``("pull", i, j)``, steps i to j again with their states kept, and cotangents back
through them. The state at 0 is stored first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

__all__ = ["Action", "extra_steps", "revolve", "uniform"]

Action = tuple[Any, ...]


def extra_steps(steps: int, slots: int) -> int:
    """The fewest steps a reversal takes beyond the recorded ones, with room for so many states, the initial one among them.

    ``r steps - binomial(slots + r, slots + 1)`` with the least r for which ``binomial(slots + r, slots) >= steps``.

    Source: A. Griewank, A. Walther, "Algorithm 799: revolve", 2000, theorem 1.

    >>> from tinyad.models.ode.adjoints import schedules
    >>> [schedules.extra_steps(n, c) for n, c in ((10, 3), (64, 6), (100, 7), (500, 10))]
    [15, 156, 255, 1636]
    """
    r = repetitions(steps, slots)
    return r * steps - math.comb(slots + r, slots + 1)


def repetitions(steps: int, slots: int) -> int:
    """How often a step is taken at most, beside the time it is recorded."""
    r = 0
    while math.comb(slots + r, slots) < steps:
        r += 1
    return r


def revolve(steps: int, slots: int) -> Iterator[Action]:
    """The schedule with the fewest extra steps: binomial checkpoints."""
    yield ("store", 0)
    yield from _revolve(0, steps, slots)
    yield ("free", 0)


def _revolve(first: int, last: int, slots: int) -> Iterator[Action]:
    """The reversal of the steps from a state that is stored and at hand."""
    if last - first == 1:
        yield ("pull", first, last)
        return
    if slots == 1:
        for n in range(last - 1, first, -1):
            yield ("advance", first, n)
            yield ("pull", n, n + 1)
            yield ("restore", first)
        yield ("pull", first, first + 1)
        return
    middle = first + _split(last - first, slots)
    yield ("advance", first, middle)
    yield ("store", middle)
    yield from _revolve(middle, last, slots - 1)
    yield ("free", middle)
    yield ("restore", first)
    yield from _revolve(first, middle, slots)


def _split(steps: int, slots: int) -> int:
    """Where to store next: as far as the part before it costs no repetition more."""
    r = repetitions(steps, slots)
    return min(math.comb(slots + r - 1, slots), steps - math.comb(slots + r - 2, slots - 1) if r > 1 else steps - 1)


def uniform(steps: int, slots: int) -> Iterator[Action]:
    """Equal pieces, whose states are all kept when their turn comes: each step is taken once more."""
    starts = sorted({n * steps // slots for n in range(slots)})
    for start, end in zip(starts, [*starts[1:], steps], strict=True):
        yield ("store", start)
        if end < steps:
            yield ("advance", start, end)
    for start, end in reversed(list(zip(starts, [*starts[1:], steps], strict=True))):
        yield ("restore", start)
        yield ("pull", start, end)
        yield ("free", start)
