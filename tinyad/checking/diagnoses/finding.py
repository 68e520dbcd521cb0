"""What a rule of the catalogue says, and how a rule stands in its table."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..evidence import Evidence

__all__ = ["Entry", "Finding", "along", "number", "subsets"]


@dataclass(frozen=True)
class Finding:
    """A statement that is true of the evidence.

    Attributes:
        fact: the statement.
        hint: the likely cause.
        args: its parameters. The same rule must find the same ones at another point.
        residual: how far it is from being exactly true.
        id, label: where it is another mistake than its entry's in the table (a factor may be a constant or a length).
        explain: more on it.
    """

    fact: str
    hint: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    residual: float | None = None
    id: str = ""
    label: str = ""
    explain: str = ""

    def agrees(self, other: Finding | None) -> bool:
        """Whether another finding says the same: numbers to four digits, everything else exactly."""
        if other is None or self.id != other.id or self.args.keys() != other.args.keys():
            return False
        return all(_alike(value, other.args[key]) for key, value in self.args.items())


@dataclass(frozen=True)
class Entry:
    """A row of the catalogue: a mistake, the rule that finds it, and how deep it has to look (see `Diagnosis.tier`)."""

    id: str
    label: str
    rule: Callable[[Evidence], Finding | None]
    tier: int = 1


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-4, atol=1e-12))
    return bool(a == b)


FRACTIONS = {p / q: f"{p}/{q}" for q in range(2, 13) for p in range(1, 13) if np.gcd(p, q) == 1}


def number(value: float) -> str:
    """A number as people write it: 2, 1/3, -0.5, sqrt(3)."""
    sign, size = ("-" if value < 0 else ""), abs(value)
    if abs(size - round(size)) < 1e-5 * max(size, 1e-300) and size < 1e6:
        return f"{sign}{round(size)}"
    for fraction, text in FRACTIONS.items():
        if abs(size - fraction) < 1e-5 * fraction:
            return sign + text
    square = size**2
    if abs(square - round(square)) < 1e-5 * square and 1 < square < 1000:
        return f"{sign}sqrt({round(square)})"
    return f"{value:.6g}"


def subsets(count: int) -> Iterator[tuple[int, ...]]:
    """The subsets of axes, the smallest first, without the empty one."""
    for size in range(1, count + 1):
        yield from itertools.combinations(range(count), size)


def along(axes: Sequence[int]) -> str:
    """Axes in words: ``axis 1``, ``axes (0, 2)``."""
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {tuple(axes)}"
