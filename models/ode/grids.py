"""The times at which a solution is computed, and those at which it is asked for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyad import tree
from tinyad.backend import asnumpy, module_of
from tinyad.tensor import Tensor, unwrap
from tinyad.tracing import Traced, innermost

__all__ = ["Computed", "Grid", "fixed_grid", "given_grid", "is_traced", "requested", "stops_of"]


def is_traced() -> bool:
    """Whether a function is being written down, so that a loop must be one operation."""
    return innermost() is not None


class Computed(Sequence[Any]):
    """A sequence of which each item is computed when it is asked for.

    Ten thousand steps with their times, lengths and rows as Python objects took 1.5 MB, beside one state of a reversible method.
    """

    def __init__(self, item: Callable[[int], Any], count: int) -> None:
        self._item, self._count = item, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, n: Any) -> Any:
        if isinstance(n, slice):
            return tuple([self._item(k) for k in range(*n.indices(self._count))])
        if not -self._count <= n < self._count:
            raise IndexError(n)
        return self._item(n % self._count)


@dataclass(frozen=True)
class Grid:
    """Times of steps, in order forwards or backwards in time.

    Attributes:
        times: of all states, from the initial to the final one; Python numbers, or Tensors if the bounds are on the tape.
        saved: the numbers of the times at which the solution is asked for; the last is that of the final time.
    """

    times: Sequence[Any]
    saved: tuple[int, ...]

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.times) - 1

    def length(self, n: int) -> Any:
        """The length of step ``n``."""
        return self.times[n + 1] - self.times[n]

    @property
    def segments(self) -> list[tuple[int, int]]:
        """The pieces between one time asked for and the next."""
        return list(zip((0, *self.saved[:-1]), self.saved, strict=True))

    def columns(self, first: int, last: int, like: Any) -> tuple[Any, Any]:
        """Times and lengths of the steps ``first`` to ``last``; in a trace arrays in the dtype of ``like``."""
        times = Computed(lambda n: self.times[first + n], last - first)
        lengths = Computed(lambda n: self.length(first + n), last - first)
        if not is_traced():
            return times, lengths
        leaf = unwrap(tree.leaves(like)[0])
        dtype = leaf.dtype if leaf.dtype.kind == "f" else np.zeros(0, leaf.dtype).real.dtype
        module = np if isinstance(leaf, Traced) else module_of(leaf)
        return module.asarray(list(times), dtype), module.asarray(list(lengths), dtype)


def fixed_grid(t0: Any, t1: Any, steps: int, times: Sequence[float] | None, knots: Sequence[float] = ()) -> Grid:
    """Equal steps between the times asked for and the knots, about ``steps`` in all.

    Each of those times is one of the grid: between two of them there are as many equal steps as keep them no longer than
    ``(t1 - t0) / steps``.
    """
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 1:
        raise ValueError(f"odeint: steps={steps!r}; expected a whole number of at least 1")
    if times is None and not len(knots):
        length = (t1 - t0) / steps
        times_of_steps = Computed(lambda n: t0 + n * length if n < steps else t1, steps + 1)
        on_tape = isinstance(length, Tensor)  # which would be recorded anew each time
        return Grid(tuple(times_of_steps) if on_tape else times_of_steps, (steps,))
    asked = [t1] if times is None else requested(t0, t1, times)
    grid, saved = [t0], []
    for after in stops_of(t0, asked, knots):
        count = max(1, math.ceil(steps * (after - grid[-1]) / (t1 - t0) - 1e-9)) if after != grid[-1] else 0
        start = grid[-1]
        grid += [start + (after - start) * k / count for k in range(1, count)] + [after] * (count > 0)
        if after in asked:
            saved.append(len(grid) - 1)
    return Grid(tuple(grid), tuple(saved))


def stops_of(t0: float, asked: Sequence[float], knots: Sequence[float]) -> list[float]:
    """The times asked for, and the knots between t0 and the last of them, in order; a knot next to one of them is that one."""
    direction = math.copysign(1.0, asked[-1] - t0)
    near = 1e-12 * abs(asked[-1] - t0)
    inner = [float(t) for t in knots if direction * (t - t0) > near and direction * (asked[-1] - t) > near]
    apart = [t for t in inner if all(abs(t - other) > near for other in asked)]
    return sorted([*asked, *apart], key=lambda t: direction * t)


def given_grid(t0: float, t1: float, steps: Any, times: Sequence[float] | None, knots: Sequence[float] = ()) -> Grid:
    """The times of all steps, as they are given; those asked for must be among them."""
    grid = [float(t) for t in asnumpy(unwrap(steps))]
    direction = 1.0 if t1 >= t0 else -1.0
    if (
        len(grid) < 2
        or grid[0] != t0
        or grid[-1] != t1
        or not all(direction * (b - a) > 0 for a, b in itertools.pairwise(grid))
    ):
        raise ValueError(
            f"odeint: steps={steps!r}; expected a number of steps, or the times of all from t0={t0:g} to t1={t1:g}, in order"
        )
    missed = [t for t in stops_of(t0, [t1], knots)[:-1] if min(abs(t - time) for time in grid) > 1e-12 * abs(t1 - t0)]
    if missed:
        raise ValueError(
            f"odeint: theta has a knot at t={missed[0]:g}, which is not among the times of the steps; add it there"
        )
    if times is None:
        return Grid(tuple(grid), (len(grid) - 1,))
    asked = requested(t0, t1, times)
    missing = [t for t in asked if t not in grid]
    if missing:
        raise ValueError(f"odeint: times has {missing[0]:g}, which is not among the times of the steps; add it there")
    saved = tuple(grid.index(t) for t in asked)
    return Grid(tuple(grid[: saved[-1] + 1]), saved)


def requested(t0: float, t1: float, times: Any) -> list[float]:
    """The times asked for, checked: within the interval, in its direction, none twice."""
    if isinstance(times, Tensor) and times.node is not None:
        raise TypeError("odeint: times is on the tape; a derivative by the times asked for does not exist here. Give numbers")
    asked = [float(t) for t in asnumpy(module_of(unwrap(times)).asarray(unwrap(times))).ravel()]
    if not asked:
        raise ValueError("odeint: times is empty; leave it out for the final state alone")
    direction = math.copysign(1.0, t1 - t0)
    for k, (before, t) in enumerate(zip((t0, *asked), asked, strict=False)):
        if not direction * (t - before) >= 0 or (k and t == before):
            raise ValueError(
                f"odeint: times[{k}]={t:g} comes after {before:g}; from t0={t0:g} to t1={t1:g} they must "
                f"{'rise' if direction > 0 else 'fall'} strictly"
            )
    if direction * (t1 - asked[-1]) < 0:
        raise ValueError(f"odeint: times[{len(asked) - 1}]={asked[-1]:g} lies beyond t1={t1:g}; make the interval longer")
    return asked
