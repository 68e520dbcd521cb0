"""The right-hand side of an equation ``y' = f(t, y, theta)`` as the solvers see it: checked, counted, and with its products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tinyad as ad
from tinyad import tree
from tinyad.models.ode.ledger import Ledger
from tinyad.primitives.shaping import shape_of

__all__ = ["Field"]

Function = Callable[..., Any]


class Field:
    """A right-hand side and the ledger it is counted in.

    ``f(t, y, theta)`` gives a tree like ``y``. A pair of functions is the field of a pair ``y = (q, p)`` in which each part
    moves by the other: ``q' = f[0](t, p, theta)`` and ``p' = f[1](t, q, theta)``.

    Args:
        counted: whether a call of it is an evaluation. That of a function made of another field is not: that field counts.
    """

    def __init__(self, f: Any, ledger: Ledger, counted: bool = True) -> None:
        parts = f if isinstance(f, tuple) else (f,)
        if not all(callable(part) for part in parts) or len(parts) > 2:
            raise TypeError(f"odeint: f={f!r}; expected a function f(t, y, theta), or a pair of them for a pair y = (q, p)")
        self.parts = parts
        self.ledger = ledger
        self.counted = counted

    @property
    def paired(self) -> bool:
        """Whether each part of a pair moves by the other alone."""
        return len(self.parts) == 2

    def __call__(self, t: Any, y: Any, theta: Any) -> Any:
        """The slope at a time and state."""
        self.ledger.evaluations += self.counted
        return self._slope(t, y, theta)

    def part(self, i: int, t: Any, pair: Any, theta: Any) -> Any:
        """The slope of one part of a pair, which depends on the other part alone."""
        self.ledger.evaluations += 1
        return _fitting(self.parts[i](t, pair[1 - i], theta), pair[i])

    def part_vjp(self, i: int, t: Any, pair: Any, theta: Any) -> tuple[Any, Function]:
        """The slope of one part of a pair, and the function from a cotangent of it to those of the other part and ``theta``."""
        self.ledger.evaluations += 1
        slope, pullback = ad.vjp(lambda other, theta: self.parts[i](t, other, theta), pair[1 - i], theta)

        def pull(g: Any) -> Any:
            self.ledger.vjps += 1
            return pullback(g)

        return _fitting(slope, pair[i]), pull

    def vjp(self, t: Any, y: Any, theta: Any, known: bool = False) -> tuple[Any, Function]:
        """The slope, and the function from a cotangent of it to those of ``y`` and ``theta``.

        Args:
            known: the slope is not used, so no evaluation is counted.
        """
        self.ledger.evaluations += not known
        slope, pullback = ad.vjp(lambda y, theta: self._slope(t, y, theta), y, theta)

        def pull(g: Any) -> Any:
            self.ledger.vjps += 1
            return pullback(g)

        return slope, pull

    def linearize(self, t: Any, y: Any, theta: Any) -> tuple[Any, Function]:
        """The slope, and the product of its derivative by the state with tangents of it."""
        self.ledger.evaluations += self.counted
        derivative = ad.linearize(lambda y: self._slope(t, y, theta), y)

        def push(dy: Any) -> Any:
            self.ledger.jvps += 1
            return derivative(dy)

        return derivative.value, push

    def jvp(self, t: Any, y: Any, theta: Any, dy: Any, dtheta: Any) -> tuple[Any, Any]:
        """The slope and its tangent."""
        self.ledger.evaluations += 1
        self.ledger.jvps += 1
        return ad.jvp(lambda y, theta: self._slope(t, y, theta), (y, theta), (dy, dtheta))

    def _slope(self, t: Any, y: Any, theta: Any) -> Any:
        if not self.paired:
            return _fitting(self.parts[0](t, y, theta), y)
        q, p = y
        return _fitting((self.parts[0](t, p, theta), self.parts[1](t, q, theta)), y)


def _fitting(slope: Any, y: Any) -> Any:
    """A slope, which must have the structure, shapes and dtypes of the state."""
    if type(slope) is type(y) and getattr(slope, "shape", None) == getattr(y, "shape", ()) and slope.dtype == y.dtype:
        return slope  # one array for one array
    leaves, structure = tree.flatten(y)
    found = tree.same_structure("what f(t, y, theta) returned", structure, slope, "y")
    for k, (a, b) in enumerate(zip(found, leaves, strict=True)):
        path = f"y{tree.paths(y)[k]}"
        if shape_of(a) != shape_of(b):
            raise ValueError(
                f"odeint: f(t, y, theta) returned shape {shape_of(a)} for {path} of shape {shape_of(b)}; a slope has the shape of "
                f"its state. Sums over examples, or a missing keepdims, are the usual reason"
            )
        if hasattr(a, "dtype") and hasattr(b, "dtype") and a.dtype != b.dtype:
            raise TypeError(
                f"odeint: f(t, y, theta) returned {a.dtype} for {path} of dtype {b.dtype}; a state keeps its dtype. Convert y0, "
                f"theta or the arrays that f uses to one dtype, for instance with .astype"
            )
    return slope
