"""Dense output: the solution between the steps."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.models.ode.run import Run
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.models.ode.spaces import combine

__all__ = ["Solution", "hermite"]


class Solution:
    """A solution as a function of time, between t0 and t1.

    It is interpolated by the method's own polynomial if it has one (Dormand and Prince: order 4), else by the cubic Hermite
    polynomial of the values and slopes at both ends of a step (error of order 4).

    Attributes:
        times: of the steps.
        states: the solution there.
        stepper: the method.
    """

    def __init__(self, run: Run, states: Sequence[Any], theta: Any) -> None:
        self.times, self.states = np.array(run.grid.times), list(states)
        self.stepper, self._run, self._theta = run.stepper, run, theta
        self._slopes: dict[int, list[Any]] = {}

    def __repr__(self) -> str:
        return f"Solution({self.stepper.name}: {len(self.times) - 1} steps from t={self.times[0]:g} to {self.times[-1]:g})"

    def __call__(self, t: Any) -> Any:
        """The solution at a time, or at each of several along a first axis.

        Raises:
            ValueError: for a time outside.
        """
        if np.ndim(t):
            return tree.map(lambda *rows: ad.stack(rows), *[self(one) for one in t])
        n = self.step_at(float(t))
        return self.within(n, (float(t) - self.times[n]) / (self.times[n + 1] - self.times[n]))

    def step_at(self, t: float) -> int:
        """The number of the step in which a time lies."""
        direction = 1.0 if self.times[-1] >= self.times[0] else -1.0
        ends = [direction * end for end in self.times]
        if not ends[0] <= direction * t <= ends[-1]:
            raise ValueError(f"Solution: t={t:g} lies outside the interval from {self.times[0]:g} to {self.times[-1]:g}")
        return min(bisect.bisect_right(ends, direction * t) - 1, len(self.times) - 2)

    def within(self, n: int, s: float) -> Any:
        """The solution at the fraction ``s`` of step ``n``."""
        h = float(self.times[n + 1] - self.times[n])
        slopes = self._of_step(n, h)
        tableau = getattr(self.stepper, "tableau", None)
        if tableau is None or tableau.dense is None:
            return hermite(s, h, self.states[n], self.states[n + 1], *slopes)
        powers = [s ** (j + 1) for j in range(tableau.dense.shape[1])]
        return combine(self.states[n], h, (tableau.dense @ powers).tolist(), slopes)

    def stepped(self, n: int, h: float) -> Any:
        """Where a step of another length leads from time number ``n``, by a method whose state is the solution alone."""
        return self.stepper.step(self._run.field, float(self.times[n]), h, self.states[n], self._run.of_step(self._theta, n))

    def slope(self, n: int, t: Any, y: Any) -> Any:
        """The right-hand side at any time of step ``n`` and any state."""
        return self._run.field(t, y, self._run.of_step(self._theta, n))

    def _of_step(self, n: int, h: float) -> list[Any]:
        """The slopes of the stages of a step, or those at its ends; computed when they are asked for."""
        if n not in self._slopes:
            t, y, field, theta = float(self.times[n]), self.states[n], self._run.field, self._run.of_step(self._theta, n)
            if isinstance(self.stepper, RungeKutta) and self.stepper.tableau.dense is not None:
                self._slopes[n] = self.stepper.slopes(field, t, h, y, theta, self.stepper.tableau.stages)
            else:
                self._slopes[n] = [field(t, y, theta), field(t + h, self.states[n + 1], theta)]
        return self._slopes[n]


def hermite(s: Any, h: Any, y0: Any, y1: Any, slope0: Any, slope1: Any) -> Any:
    """The cubic with these values and slopes at both ends of a step, at the fraction ``s`` of it."""
    r = 1.0 - s
    weights = (r * r * (1.0 + 2.0 * s), s * s * (1.0 + 2.0 * r), h * s * r * r, -h * s * s * r)
    return tree.map(lambda *leaves: sum(w * leaf for w, leaf in zip(weights, leaves, strict=True)), y0, y1, slope0, slope1)
