"""One solution: the method, the equation and the grid together, and the loops over its steps, forwards and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tinyad as ad
from tinyad import tree
from tinyad.models.ode.field import Field
from tinyad.models.ode.grids import Grid, is_traced
from tinyad.models.ode.ledger import Ledger
from tinyad.models.ode.spaces import add, zeros_like
from tinyad.models.ode.stepper import Stepper

__all__ = ["Run"]

Function = Callable[..., Any]


class States(list[Any]):
    """States of consecutive steps, one by one. In a trace they are a tree of stacked arrays instead."""


def stacked(states: Any) -> Any:
    """States one by one as a tree of stacked arrays; those that are stacked already as they are."""
    return tree.map(lambda *rows: ad.stack(rows), *states) if isinstance(states, States) else states


class Same:
    """A column whose rows are all the same."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __getitem__(self, n: int) -> Any:
        return self.value


@dataclass(frozen=True)
class Run:
    """What the strategies of the adjoint work on.

    Attributes:
        stepwise: whether each step has parameters of its own, so that ``theta`` holds those of all steps, stacked.
    """

    stepper: Stepper
    field: Field
    grid: Grid
    stepwise: bool = False

    @property
    def ledger(self) -> Ledger:
        """Where the work is counted."""
        return self.field.ledger

    # ---- the parameters of steps

    def of_step(self, theta: Any, n: int) -> Any:
        """The parameters of step ``n``."""
        return tree.map(lambda leaf: leaf[n], theta) if self.stepwise else theta

    def columns(self, first: int, last: int, like: Any, theta: Any) -> tuple[Any, Any, Any]:
        """Times, lengths and parameters of the steps ``first`` to ``last``."""
        times, lengths = self.grid.columns(first, last, like)
        return times, lengths, self.of_steps(theta, first, last)

    def of_steps(self, theta: Any, first: int, last: int) -> Any:
        """The parameters of some steps, a row each."""
        if not self.stepwise:
            return Same(theta)
        piece = theta if (first, last) == (0, self.grid.steps) else tree.map(lambda leaf: leaf[first:last], theta)
        if is_traced():
            return piece
        leaves, structure = tree.flatten(piece)
        rows = zip(*[ad.unstack(leaf) for leaf in leaves], strict=True) if leaves else [()] * (last - first)
        return States(tree.unflatten(structure, list(row)) for row in rows)

    def nothing(self, theta: Any) -> Any:
        """The cotangent of the parameters before anything has come to it; see `gather`."""
        return {} if self.stepwise else zeros_like(theta)

    def gather(self, step: Function, carry: Any, columns: Sequence[Any], first: int, of_theta: Any) -> tuple[Any, Any]:
        """``carry, more = step(carry, row)`` for all rows, the last one first, where ``more`` comes to the parameters of the row.

        Args:
            first: the number of the first row's step.
            of_theta: what has come to the parameters from other steps.

        Returns:
            The carry, and ``of_theta`` with what came.
        """
        if self.stepwise:
            carry, rows = self.march(step, carry, columns, reverse=True)
            return carry, {**of_theta, first: rows} if len(columns[0]) else of_theta

        def summed(both: Any, row: Any) -> Any:
            carry, more = step(both[0], row)
            return (carry, add(both[1], more)), None

        return self.march(summed, (carry, of_theta), columns, reverse=True)[0]  # type: ignore[no-any-return]

    def whole(self, of_theta: Any) -> Any:
        """What `gather` has brought together, in the form of the parameters."""
        if not self.stepwise:
            return of_theta
        pieces = [of_theta[first] for first in sorted(of_theta)]
        if not is_traced():
            return stacked(States(row for rows in pieces for row in rows))
        return tree.map(lambda *leaves: ad.concat(list(leaves)), *pieces)

    # ---- forwards

    def start(self, y0: Any, theta: Any) -> Any:
        """The state at the initial time."""
        return self.stepper.start(self.field, self.grid.times[0], self.grid.length(0), y0, self.of_step(theta, 0))

    def advance(self, state: Any, theta: Any, first: int, last: int, keep: bool = False) -> tuple[Any, Any]:
        """The state at time number ``last`` from that at ``first``, and the states before each step if they are to be kept."""

        def step(state: Any, row: Sequence[Any]) -> tuple[Any, Any]:
            t, h, own = row
            self.ledger.steps += 1
            return self.stepper.step(self.field, t, h, state, own), state if keep else None

        state, before = self.march(step, state, self.columns(first, last, state, theta))
        if keep:
            self.ledger.hold(last - first)
        return state, before

    def alone(self, state: Any) -> Any:
        """One state as the states before the steps of a piece that has one."""
        return tree.map(lambda leaf: leaf[None], state) if is_traced() else States([state])

    def after(self, before: Any, last: Any) -> Any:
        """The states after each step, from those before and the last one."""
        if not is_traced():
            return States([*before[1:], last])
        return tree.map(lambda states, end: ad.concat([states[1:], end[None]]), stacked(before), last)

    # ---- back

    def pull(self, g: Any, of_theta: Any, theta: Any, first: int, last: int, before: Any) -> tuple[Any, Any]:
        """The cotangent of the state at time number ``first`` for that of the state at ``last``, and what comes to ``theta``.

        Args:
            of_theta: what comes to theta from later times; see `gather`.
            before: the states before each of the steps.
        """

        def step(g: Any, row: Sequence[Any]) -> tuple[Any, Any]:
            t, h, own, state = row
            self.ledger.steps += 1
            return self.stepper.pull(self.field, t, h, state, own, g)

        return self.gather(step, g, (*self.columns(first, last, g, theta), before), first, of_theta)

    def seed(self, g: Any, state: Any, of_output: Any) -> Any:
        """The cotangent of a state that is an output as well; ``g`` is what comes from later times, if any."""
        more = self.stepper.seed(state, of_output)
        return more if g is None else add(g, more)

    def pull_start(self, g: Any, of_theta: Any, y0: Any, theta: Any) -> tuple[Any, Any]:
        """Cotangents of the initial value and of ``theta``, for those of the first state."""
        own = self.of_step(theta, 0)
        g, more = self.stepper.pull_start(self.field, self.grid.times[0], self.grid.length(0), y0, own, g)
        of_theta = self.whole(of_theta)
        if not self.stepwise:
            return g, add(of_theta, more)
        return g, tree.map(lambda rows, first: ad.concat([(rows[0] + first)[None], rows[1:]]), of_theta, more)

    # ---- loops

    def march(self, step: Function, carry: Any, columns: Sequence[Any], reverse: bool = False) -> tuple[Any, Any]:
        """``carry, out = step(carry, row)`` for all rows of the columns, or for the last one first.

        A loop in Python, so that a right-hand side may look at its values; in a trace one operation.
        """
        count = len(columns[0])
        if not count:
            return carry, States()
        if is_traced():
            return self._scan(step, carry, columns, reverse)
        outs = States()
        for n in range(count - 1, -1, -1) if reverse else range(count):
            carry, out = step(carry, [column[n] for column in columns])
            if out is not None:
                outs.append(out)
        if reverse:
            outs.reverse()
        return carry, outs

    def _scan(self, step: Function, carry: Any, columns: Sequence[Any], reverse: bool) -> tuple[Any, Any]:
        turn = (lambda x: x[::-1]) if reverse else (lambda x: x)
        before, of_one = dataclasses.replace(self.ledger), Ledger()

        def counted(carry: Any, varying: Any) -> tuple[Any, Any]:
            nonlocal of_one
            start, rest = dataclasses.replace(self.ledger), iter(varying)
            result = step(carry, [c.value if isinstance(c, Same) else next(rest) for c in columns])
            of_one = self.ledger.since(start)
            return result  # type: ignore[no-any-return]

        varying = tuple(stacked(c) for c in columns if not isinstance(c, Same))
        carry, outs = ad.scan(counted, carry, tree.map(turn, varying))
        self.ledger.count(before, of_one, len(columns[0]))  # the body is written down once, or twice
        return carry, tree.map(turn, outs)
