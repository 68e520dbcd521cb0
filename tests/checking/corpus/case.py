"""What the corpus is made of: an operation with its right gradient rule, and the wrong rules that students write for it.

The labels of a wrong rule are those of the checker's catalogue, ``D01`` to ``D57``. They are fixed by reading the mistake, before
any diagnosis is run, and never adjusted to what the checker happens to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Forward = Callable[..., tuple[Any, Any]]
Backward = Callable[[Any, Any], Any]
Draw = Callable[[np.random.Generator], tuple[Any, ...]]


@dataclass(frozen=True)
class Mutant:
    """A wrong rule: what replaces the right one, the labels that name the mistake, and what the student did.

    A part that is None is the right one. Whichever label is given, a teacher would accept it as an answer.
    """

    name: str
    labels: frozenset[str]
    backward: Backward | None = None
    forward: Forward | None = None
    why: str = ""


@dataclass(frozen=True)
class Operation:
    """A function as a pair of plain NumPy functions, ``forward(*xs) -> (y, cache)`` and ``backward(cache, gy) -> gradients``.

    ``generic`` draws inputs whose axes have different lengths, ``square`` the same with equal lengths. An input of integers or
    booleans has the gradient None. ``kinked`` says that the inputs drawn lie on kinks, where any slope between the two sides
    will do.
    """

    name: str
    forward: Forward
    backward: Backward
    generic: Draw
    square: Draw | None
    mutants: tuple[Mutant, ...]
    kinked: bool = False


def wrong(name: str, labels: str, why: str, backward: Backward | None = None, forward: Forward | None = None) -> Mutant:
    """A mutant, its labels as words in one string."""
    return Mutant(name, frozenset(labels.split()), backward, forward, why)


class Layer:
    """A layer as students write them: what backward needs is kept on the object, where the next forward overwrites it."""

    def __init__(self, forward: Forward) -> None:
        self.pure = forward
        self.kept: Any = None

    def forward(self, *inputs: Any) -> tuple[Any, Layer]:
        output, self.kept = self.pure(*inputs)
        return output, self


def stale(forward: Forward, backward: Backward) -> Mutant:
    """The rule as a layer that keeps its cache on itself: two calls share one cache."""
    why = "keeps what backward needs on the layer, where the next call of forward overwrites it"
    return wrong("stale", "D14", why, lambda layer, gy: backward(layer.kept, gy), Layer(forward).forward)
