"""Forward sensitivities: how the state depends on everything, carried along with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tinyad as ad
from tinyad import tree
from tinyad.backend import module_of
from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.run import Run
from tinyad.tensor import unwrap

__all__ = ["Forward"]


class Forward(Adjoint):
    """The derivative of the state by all of ``y0`` and ``theta``, a column for each number in them. Exact.

    For few parameters; there is no way back at all, and the Jacobian of the solution is at hand.

    Memory: as many states as there are numbers in ``y0`` and ``theta``, whatever the number of steps.
    """

    def forward(self, run: Run, y0: Any, theta: Any) -> tuple[list[Any], Any]:
        directions = _unit_vectors((y0, theta))
        of_y0, of_theta = directions
        count = len(tree.leaves(directions)[0])
        run.ledger.hold(count)

        def moved(function: Callable[..., Any], x: Any, dx: Any, own: Any, of_own: Any) -> tuple[Any, Any]:
            """A function of a state and the parameters, with its tangents in all directions."""
            before = run.ledger.evaluations
            out = function(x, own)
            taken = run.ledger.evaluations
            tangents = ad.vmap(lambda dx, dtheta: ad.jvp(function, (x, own), (dx, dtheta))[1])(dx, of_own)
            run.ledger.evaluations = taken
            run.ledger.jvps += count * (taken - before)
            return out, tangents

        def step(carry: Any, row: Sequence[Any]) -> tuple[Any, Any]:
            run.ledger.steps += 1
            t, h, *own = row
            return moved(lambda x, theta: run.stepper.step(run.field, t, h, x, theta), *carry, *own), None

        if run.stepwise:
            of_theta = tree.map(lambda leaf: ad.moveaxis(leaf, 1, 0), of_theta)
        t, h = run.grid.times[0], run.grid.length(0)
        of_first = run.of_step(theta, 0), run.of_step(of_theta, 0)
        carry = moved(lambda y, theta: run.stepper.start(run.field, t, h, y, theta), y0, of_y0, *of_first)
        outputs, sensitivities = [], []
        for first, last in run.grid.segments:
            columns = run.columns(first, last, carry[0], theta)
            carry = run.march(step, carry, (*columns, run.of_steps(of_theta, first, last)))[0]
            outputs.append(run.stepper.value(carry[0]))
            sensitivities.append(run.stepper.value(carry[1]))
        return outputs, sensitivities

    def backward(self, run: Run, saved: Any, y0: Any, theta: Any, cotangents: Sequence[Any]) -> tuple[Any, Any]:
        total: Any = 0.0
        for sensitivities, g in zip(saved, cotangents, strict=True):
            for of_leaf, of_output in zip(tree.leaves(sensitivities), tree.leaves(g), strict=True):
                total = total + ad.reshape(of_leaf, (of_leaf.shape[0], -1)) @ ad.ravel(of_output)
        return tree.ravel((y0, theta))[1](total)  # type: ignore[no-any-return]


def _unit_vectors(x: Any) -> Any:
    """The unit vectors of a tree, stacked along a first axis."""
    flat, back = tree.ravel(tree.map(unwrap, x))
    xp = module_of(flat)
    return ad.vmap(back)(xp.eye(flat.shape[0], dtype=flat.dtype))
