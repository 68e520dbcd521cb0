"""Methods whose steps can be undone by arithmetic, up to rounding: what their gradient needs to remember is one state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyad.models.ode.field import Field
from tinyad.models.ode.spaces import add, combine, scale
from tinyad.models.ode.stepper import Stepper

__all__ = ["SEMI_IMPLICIT_EULER", "VERLET", "Kicks", "Leapfrog", "ReversibleHeun"]


class Kicks(Stepper):
    """A method for a pair ``y = (q, p)`` of which each part moves by the other alone: the parts are kicked in turn.

    A kick ``(part, weight, node)`` adds to one part ``weight * h`` times its slope at the time ``t + node * h``. Each can be taken
    back, and the cotangents go back through it for the one evaluation that this needs anyway.
    """

    def __init__(self, name: str, order: int, kicks: Sequence[tuple[int, float, float]]) -> None:
        self.name, self.order, self.kicks = name, order, tuple(kicks)

    def check(self, field: Field, y: Any) -> None:
        if not field.paired or not isinstance(y, tuple) or len(y) != 2:
            raise TypeError(
                f"{self.name}: it moves two parts in turn, so it takes a pair of functions (q' = f[0](t, p, theta), "
                f"p' = f[1](t, q, theta)) and y0 = (q0, p0). For one function f(t, y, theta) take method='leapfrog' or "
                f"'reversible_heun', which can be undone too"
            )

    @property
    def reversible(self) -> bool:
        return True

    def step(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        for part, weight, node in self.kicks:
            state = _kicked(state, part, h, weight, field.part(part, t + node * h, state, theta))
        return state

    def undo(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        for part, weight, node in reversed(self.kicks):
            state = _kicked(state, part, h, -weight, field.part(part, t + node * h, state, theta))
        return state

    def back(self, field: Field, t: Any, h: Any, state: Any, theta: Any, g: Any) -> tuple[Any, Any, Any]:
        of_theta = None
        for part, weight, node in reversed(self.kicks):
            slope, pull = field.part_vjp(part, t + node * h, state, theta)
            state = _kicked(state, part, h, -weight, slope)
            of_other, more = pull(scale(weight * h, g[part]))
            g = _replaced(g, 1 - part, add(g[1 - part], of_other))
            of_theta = more if of_theta is None else add(of_theta, more)
        return state, g, of_theta


def _kicked(pair: Any, part: int, h: Any, weight: float, slope: Any) -> Any:
    return _replaced(pair, part, combine(pair[part], h, [weight], [slope]))


def _replaced(pair: Any, part: int, value: Any) -> Any:
    return (value, pair[1]) if part == 0 else (pair[0], value)


SEMI_IMPLICIT_EULER = Kicks("semi_implicit_euler", 1, [(1, 1.0, 0.0), (0, 1.0, 1.0)])
"""First ``p`` by the slope at ``q``, then ``q`` by that at the new ``p``. Symplectic, order 1.

With ``q' = p`` it is the recursion ``q_next = 2 q - q_before + h^2 p'`` of a second-order network.

Source: E. Hairer, C. Lubich, G. Wanner, "Geometric Numerical Integration", 2006, equation I.1.9.
"""
VERLET = Kicks("verlet", 2, [(1, 0.5, 0.0), (0, 1.0, 0.5), (1, 0.5, 1.0)])
"""Half a step of ``p``, a step of ``q``, the other half of ``p``. Symplectic and symmetric, order 2.

Source: E. Hairer, C. Lubich, G. Wanner, "Geometric Numerical Integration", 2006, equation I.1.17.
"""


class Leapfrog(Stepper):
    """The midpoint rule over two steps, ``y_(n+1) = y_(n-1) + 2 h f(t_n, y_n)``, order 2, for equal steps.

    It starts with a step of Euler's method backwards in time. Stable on the imaginary axis up to ``|h lambda| = 1``, and nowhere
    else: with any damping a parasitic solution grows.

    Source: E. Hairer, S. Norsett, G. Wanner, "Solving Ordinary Differential Equations I", 1993, equation II.9.13.
    """

    name, order = "leapfrog", 2

    def start(self, field: Field, t: Any, h: Any, y: Any, theta: Any) -> Any:
        return combine(y, h, [-1.0], [field(t, y, theta)]), y

    def step(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        before, y = state
        return y, combine(before, h, [2.0], [field(t, y, theta)])

    def value(self, state: Any) -> Any:
        return state[1]

    def seed(self, state: Any, g: Any) -> Any:
        return scale(0.0, state[0]), g

    @property
    def reversible(self) -> bool:
        return True

    def undo(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        y, after = state
        return combine(after, h, [-2.0], [field(t, y, theta)]), y

    def back(self, field: Field, t: Any, h: Any, state: Any, theta: Any, g: Any) -> tuple[Any, Any, Any]:
        y, after = state
        slope, pull = field.vjp(t, y, theta)
        of_y, of_theta = pull(scale(2.0 * h, g[1]))
        return (combine(after, h, [-2.0], [slope]), y), (g[1], add(g[0], of_y)), of_theta


class ReversibleHeun(Stepper):
    """Heun's method beside a companion ``z`` that leaps over it, one evaluation a step, order 2.

        z_next = 2 y - z + h f(t, z),        y_next = y + h (f(t, z) + f(t + h, z_next)) / 2

    Its region of stability is the segment between -i and i.

    Source: P. Kidger, J. Foster, X. Li, T. Lyons, "Efficient and accurate gradients for neural SDEs", 2021, algorithms 1 and 2.
    """

    name, order = "reversible_heun", 2
    carries_slope = True

    def start(self, field: Field, t: Any, h: Any, y: Any, theta: Any) -> Any:
        return y, y, field(t, y, theta)

    def step(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        y, z, slope = state
        z = combine(add(scale(2.0, y), scale(-1.0, z)), h, [1.0], [slope])
        after = field(t + h, z, theta)
        return combine(y, h, [0.5, 0.5], [slope, after]), z, after

    def value(self, state: Any) -> Any:
        return state[0]

    def seed(self, state: Any, g: Any) -> Any:
        _, z, slope = state
        return g, scale(0.0, z), scale(0.0, slope)

    @property
    def reversible(self) -> bool:
        return True

    def undo(self, field: Field, t: Any, h: Any, state: Any, theta: Any) -> Any:
        y, z, after = state
        z = combine(add(scale(2.0, y), scale(-1.0, z)), h, [-1.0], [after])
        slope = field(t, z, theta)
        return combine(y, h, [-0.5, -0.5], [slope, after]), z, slope

    def back(self, field: Field, t: Any, h: Any, state: Any, theta: Any, g: Any) -> tuple[Any, Any, Any]:
        """The slope after a step is known, so one product of its derivative and one slope are all that a step back takes."""
        gy, gz, g_after = g
        _, pull = field.vjp(t + h, state[1], theta, known=True)
        more, of_theta = pull(combine(g_after, h, [0.5], [gy]))
        gz = add(gz, more)
        before = self.undo(field, t, h, state, theta)
        return before, (add(gy, scale(2.0, gz)), scale(-1.0, gz), add(scale(h, gz), scale(0.5 * h, gy))), of_theta

    def pull_start(self, field: Field, t: Any, h: Any, y: Any, theta: Any, g: Any) -> tuple[Any, Any]:
        gy, gz, g_slope = g
        of_y, of_theta = field.vjp(t, y, theta, known=True)[1](g_slope)
        return add(gy, gz, of_y), of_theta
