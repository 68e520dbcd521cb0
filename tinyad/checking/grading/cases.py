"""Cases: the inputs that a rule is graded at. They are drawn by the grader, from the assignment's seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..shapes import generic

__all__ = ["Case", "as_cases", "case", "hidden", "shapes"]

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Case:
    """One set of inputs.

    Attributes:
        name: in reports: the shapes, or what the author called it.
        draw: gives the inputs, a tuple, from a random generator.
        hidden: whether students see what is in it.
    """

    name: str
    draw: Draw
    hidden: bool = False

    def inputs(self, seed: Sequence[int]) -> tuple[Any, ...]:
        """The inputs; the same for the same seed."""
        drawn = self.draw(np.random.default_rng(list(seed)))
        return drawn if isinstance(drawn, tuple) else (drawn,)


def shapes(*given: Any, dtype: Any = np.float64) -> tuple[Case, ...]:
    """Cases from shapes: arrays of numbers of either sign, none near zero, no two the same.

    Args:
        given: for each case the shape of its one input, ``(5, 3)``, or the shapes of several, ``((5, 3), (3, 7), (7,))``.
        dtype: of all of them.

    Raises:
        TypeError: what is given is neither.

    >>> [case.name for case in shapes((5, 3), ((5, 3), (3, 7), (7,)))]
    ['(5, 3)', '(5, 3), (3, 7), (7,)']
    >>> [x.shape for x in shapes(((5, 3), (3, 7)))[0].inputs([0])]
    [(5, 3), (3, 7)]
    """
    return tuple(_from_shapes("shapes", each, np.dtype(dtype)) for each in given)


def _from_shapes(caller: str, given: Any, dtype: np.dtype[Any]) -> Case:
    several = given if _is_shape(given) is False else (given,)
    if not isinstance(several, (tuple, list)) or not several or not all(_is_shape(shape) for shape in several):
        raise TypeError(
            f"{caller}: a case is {given!r}; expected the shape of its input, like (5, 3), or a tuple with the shapes of several, "
            "like ((5, 3), (3,))."
        )
    if dtype.kind != "f":
        raise TypeError(f"{caller}: dtype is {dtype}; expected float32 or float64. Draw other inputs by case(function).")
    wanted = [tuple(int(length) for length in shape) for shape in several]

    def draw(random: np.random.Generator) -> tuple[Any, ...]:
        return tuple(generic(random, shape).astype(dtype) for shape in wanted)

    suffix = "" if dtype == np.float64 else f" {dtype}"
    return Case(", ".join(map(str, wanted)) + suffix, draw)


def _is_shape(given: Any) -> bool:
    lengths = isinstance(given, (tuple, list)) and all(isinstance(n, (int, np.integer)) and n >= 0 for n in given)
    return lengths and not any(isinstance(n, bool) for n in given)


def case(draw: Draw, name: str | None = None) -> tuple[Case, ...]:
    """A case from a function that draws its inputs: for labels, indices, and domains of their own.

    Args:
        draw: takes a NumPy generator, returns the input or a tuple of inputs.
        name: in reports; by default the function's.

    >>> def scores_and_labels(random):
    ...     return random.normal(size=(5, 3)), random.integers(3, size=5)
    >>> [x.shape for x in case(scores_and_labels)[0].inputs([0])]
    [(5, 3), (5,)]
    """
    if not callable(draw):
        raise TypeError(
            f"case: draw is {draw!r}; expected a function of a NumPy generator. For shapes there is shapes((5, 3))."
        )
    return (Case(name or getattr(draw, "__name__", "case").strip("<>"), draw),)


def hidden(*given: Any, dtype: Any = np.float64) -> tuple[Case, ...]:
    """Cases that students do not see, from what `shapes` takes, functions, or cases.

    >>> [case.hidden for case in hidden((7, 5, 3), lambda random: random.normal(size=4))]
    [True, True]
    """
    found: list[Case] = []
    for each in given:
        if isinstance(each, tuple) and each and all(isinstance(part, Case) for part in each):
            found += each
        elif isinstance(each, Case):
            found.append(each)
        else:
            found += case(each) if callable(each) else (_from_shapes("hidden", each, np.dtype(dtype)),)
    return tuple(replace(each, hidden=True) for each in found)


def as_cases(where: str, given: Any) -> tuple[Case, ...]:
    """The cases of a declaration: cases, functions, in any sequence.

    Raises:
        TypeError: something else.
    """
    found: list[Case] = []
    for each in given if isinstance(given, (tuple, list)) else (given,):
        if isinstance(each, Case):
            found.append(each)
        elif callable(each):
            found += case(each)
        else:
            raise TypeError(
                f"{where}: cases holds {each!r}; expected what tg.shapes(...), tg.hidden(...) or tg.case(...) give, or a function "
                "of a NumPy generator."
            )
    if not found:
        raise TypeError(f"{where}: cases is empty; expected at least one, like cases=tg.shapes((5, 3), (4, 4)).")
    return tuple(found)
