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
from tinyad.models.ode.spaces import add
from tinyad.models.ode.stepper import Stepper

__all__ = ["Run"]

Function = Callable[..., Any]


class States(list[Any]):
    """States of consecutive steps, one by one. In a trace they are a tree of stacked arrays instead."""


def stacked(states: Any) -> Any:
    """States one by one as a tree of stacked arrays; those that are stacked already as they are."""
    return tree.map(lambda *rows: ad.stack(rows), *states) if isinstance(states, States) else states


@dataclass(frozen=True)
class Run:
    """What the strategies of the adjoint work on."""

    stepper: Stepper
    field: Field
    grid: Grid

    @property
    def ledger(self) -> Ledger:
        """Where the work is counted."""
        return self.field.ledger

    # ---- forwards

    def start(self, y0: Any, theta: Any) -> Any:
        """The state at the initial time."""
        return self.stepper.start(self.field, self.grid.times[0], self.grid.length(0), y0, theta)

    def advance(self, state: Any, theta: Any, first: int, last: int, keep: bool = False) -> tuple[Any, Any]:
        """The state at time number ``last`` from that at ``first``, and the states before each step if they are to be kept."""

        def step(state: Any, row: Sequence[Any]) -> tuple[Any, Any]:
            t, h = row
            self.ledger.steps += 1
            return self.stepper.step(self.field, t, h, state, theta), state if keep else None

        state, before = self.march(step, state, self.grid.columns(first, last, state))
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
        """Cotangents of the state at time number ``first`` and of ``theta``, for those of the state at ``last``.

        Args:
            of_theta: what comes to theta from later times, to which is added.
            before: the states before each of the steps.
        """

        def step(carry: Any, row: Sequence[Any]) -> tuple[Any, Any]:
            g, total = carry
            t, h, state = row
            self.ledger.steps += 1
            g, more = self.stepper.pull(self.field, t, h, state, theta, g)
            return (g, add(total, more)), None

        columns = (*self.grid.columns(first, last, g), before)
        return self.march(step, (g, of_theta), columns, reverse=True)[0]  # type: ignore[no-any-return]

    def seed(self, g: Any, state: Any, of_output: Any) -> Any:
        """The cotangent of a state that is an output as well; ``g`` is what comes from later times, if any."""
        more = self.stepper.seed(state, of_output)
        return more if g is None else add(g, more)

    def pull_start(self, g: Any, of_theta: Any, y0: Any, theta: Any) -> tuple[Any, Any]:
        """Cotangents of the initial value and of ``theta``, for those of the first state."""
        g, more = self.stepper.pull_start(self.field, self.grid.times[0], self.grid.length(0), y0, theta, g)
        return g, add(of_theta, more)

    # ---- loops

    def march(self, step: Function, carry: Any, columns: Sequence[Any], reverse: bool = False) -> tuple[Any, Any]:
        """``carry, out = step(carry, row)`` for all rows of the columns, or for the last one first.

        A loop in Python, so that a right-hand side may look at its values; in a trace one operation.
        """
        if not len(columns[0]):
            return carry, States()
        if is_traced():
            return self._scan(step, carry, columns, reverse)
        rows = list(zip(*columns, strict=True))
        outs = []
        for row in reversed(rows) if reverse else rows:
            carry, out = step(carry, row)
            outs.append(out)
        return carry, States(outs[::-1] if reverse else outs)

    def _scan(self, step: Function, carry: Any, columns: Sequence[Any], reverse: bool) -> tuple[Any, Any]:
        turn = (lambda x: x[::-1]) if reverse else (lambda x: x)
        before, of_one = dataclasses.replace(self.ledger), Ledger()

        def counted(carry: Any, row: Any) -> tuple[Any, Any]:
            nonlocal of_one
            start = dataclasses.replace(self.ledger)
            result = step(carry, row)
            of_one = self.ledger.since(start)
            return result  # type: ignore[no-any-return]

        carry, outs = ad.scan(counted, carry, tree.map(turn, tuple(map(stacked, columns))))
        self.ledger.count(before, of_one, len(tree.leaves(columns[0])[0]))  # the body is written down once, or twice
        return carry, tree.map(turn, outs)
