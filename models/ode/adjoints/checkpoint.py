"""Checkpoints: few states kept, the others computed again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.adjoints.schedules import Action, revolve, uniform
from tinyad.models.ode.run import Run

__all__ = ["Checkpoint"]

_SCHEDULES: dict[str, Callable[[int, int], Iterator[Action]]] = {"revolve": revolve, "uniform": uniform}


class Checkpoint(Adjoint):
    """The discrete adjoint with room for a few states: exact, for more evaluations.

    Args:
        slots: how many states are kept, the initial one among them; the square root of the number of steps by default.
        schedule: ``"uniform"`` for equal pieces, which takes each step once more and keeps the states of one piece besides;
            ``"revolve"`` for binomial checkpoints, which keep nothing besides and take the fewest steps for that
            (`schedules.extra_steps`).

    Raises:
        ValueError: for fewer than one slot, or another schedule.

    Source: A. Griewank, A. Walther, "Algorithm 799: revolve", 2000.
    """

    def __init__(self, slots: int | None = None, schedule: Literal["revolve", "uniform"] = "uniform") -> None:
        if schedule not in _SCHEDULES:
            raise ValueError(f"Checkpoint: schedule={schedule!r}; expected 'revolve' or 'uniform'")
        if slots is not None and (isinstance(slots, bool) or not hasattr(slots, "__index__") or slots < 1):
            raise ValueError(f"Checkpoint: slots={slots!r}; expected a whole number of at least 1, for the initial state")
        self.slots, self.schedule = slots, schedule

    def actions(self, steps: int) -> list[Action]:
        """The schedule for so many steps."""
        return list(self._schedule(steps))

    def _schedule(self, steps: int) -> Iterator[Action]:
        """The same one by one: in a list, revolve's 80,000 actions for 10,000 steps take 5 MB."""
        slots = math.isqrt(max(steps - 1, 0)) + 1 if self.slots is None else self.slots
        return _SCHEDULES[self.schedule](steps, min(slots, steps)) if steps else iter(())

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        """The steps once, keeping what the schedule stores before its first way back."""
        before, turn = _before_the_way_back(self._schedule(run.grid.steps))
        stores = {action[1] for action in before if action[0] == "store"}
        state, stored, outputs, at_hand = run.start(y0, theta), {}, {}, None
        stops = sorted({0, turn, *stores, *run.grid.saved})
        for here, following in zip(stops, [*stops[1:], None], strict=True):
            if here in stores:
                stored[here] = state
                run.ledger.hold()
            if here == turn:
                at_hand = state
            outputs[here] = run.stepper.value(state)
            if following is not None:
                state, _ = run.advance(state, theta, here, following)
        return [outputs[n] for n in run.grid.saved], (stored, at_hand, state)

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        kept, state, end = saved
        stored = dict(kept) if kept else self.forward(run, y0, theta)[1][0]
        kept.clear()  # or what is freed below would live on; whoever pulls again goes the way there again
        jumps = dict(zip(run.grid.saved, cotangents, strict=True))
        g, of_theta = run.seed(None, end, jumps[run.grid.steps]), run.nothing(theta)
        for what, here, *there in itertools.dropwhile(_is_forward, self._schedule(run.grid.steps)):
            if what == "advance":
                state, _ = run.advance(state, theta, here, there[0])
            elif what == "store":
                stored[here] = state
                run.ledger.hold()
            elif what == "restore":
                state = stored[here]
            elif what == "free":
                del stored[here]
                run.ledger.hold(-1)
            else:
                g, of_theta = self._pull(run, g, of_theta, theta, state, here, there[0], jumps)
        if 0 in jumps and run.grid.steps:
            g = run.seed(g, state, jumps[0])
        return run.pull_start(g, of_theta, y0, theta)

    def _pull(
        self, run: Run, g: Any, of_theta: Any, theta: Any, state: Any, first: int, last: int, jumps: dict[int, Any]
    ) -> tuple[Any, Any]:
        """Cotangents back through some steps, at whose inner times outputs may add theirs."""
        stops = sorted({first, last, *[n for n in jumps if first < n < last]})
        pieces = []
        for here, end in itertools.pairwise(stops):
            start, kept = state, end - here > 1 or end < last
            if kept:
                state, before = run.advance(state, theta, here, end, keep=True)
            pieces.append((here, end, before if kept else run.alone(start), start))
        for here, end, before, start in reversed(pieces):
            if end in jumps and end != run.grid.steps:
                g = run.seed(g, start, jumps[end])
            g, of_theta = run.pull(g, of_theta, theta, here, end, before)
            run.ledger.hold(here - end if end - here > 1 or end < last else 0)
        return g, of_theta


def _is_forward(action: Action) -> bool:
    return bool(action[0] != "pull")


def _before_the_way_back(schedule: Iterator[Action]) -> tuple[list[Action], int]:
    """The actions on the way there, and the number of the time at which the way back begins."""
    before: list[Action] = []
    for action in schedule:
        if not _is_forward(action):
            return before, action[1]
        before.append(action)
    return before, 0
