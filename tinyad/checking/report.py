"""What a check found: diagnoses in words, comparisons in numbers, as text of three levels, as JSON, and as pictures."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..version import __version__
from .comparison import Comparison
from .dot import DotTest
from .pictures import draw, png

__all__ = ["LEVELS", "Diagnosis", "GradientError", "Report"]

LEVELS = ("fact", "hint", "explain")
SCHEMA = 1  # of the JSON


class GradientError(AssertionError):
    """A derivative is wrong. The message is the report; ``report`` is the `Report` itself."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.report,)


@dataclass(frozen=True)
class Diagnosis:
    """One statement about a gradient. What it says was found true twice: at the point that was given and at another one.

    Attributes:
        id: of the mistake in the catalogue, ``"D24"``.
        label: its name there, ``"factor_n"``.
        fact: what is the case, without interpretation.
        hint: the likely cause.
        explain: more on it: what to look at, other statements that are also true.
        input: position of the input among the float inputs; None if the statement is about the call as a whole.
        name: the input's name, shape and dtype; empty for the whole call.
        tier: how it was found: 1 from values of forward and backward alone, 2 by edits of the tape of the forward
            function, 3 by mutants of a reference backward.
        residual: how far the statement is from being exactly true, relative; None for what has no numbers.
        args: the statement's parameters, for programs.
        error: whether the gradient is wrong because of it; what is worth knowing is not.
    """

    id: str
    label: str
    fact: str
    hint: str = ""
    explain: str = ""
    input: int | None = None
    name: str = ""
    tier: int = 1
    residual: float | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    error: bool = True

    def text(self, level: str = "explain") -> str:
        """The statement in words.

        Args:
            level: ``"fact"``; ``"hint"`` adds the likely cause; ``"explain"`` all that is known.

        >>> Diagnosis("D22", "sign", "every entry has the opposite sign", hint="a minus is missing").text("hint")
        'what    every entry has the opposite sign   [D22 sign]\\nlikely  a minus is missing'
        """
        shown = LEVELS.index(_level(level))
        known = "" if self.residual is None or not shown else f", residual {self.residual:.0e}"
        fact, *rest = self.fact.split("\n")
        lines = [
            f"{'what' if self.error else 'note'}    {fact}   [{self.id} {self.label}{known}]",
            *(f"        {line}" for line in rest),
        ]
        for at_least, word, text in ((1, "likely", self.hint), (2, "more", self.explain)):
            if text and shown >= at_least:
                lines.append(f"{word:<8}" + text.replace("\n", "\n        "))
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The statement for programs; the residual with one digit, so that equal runs give equal bytes."""
        residual = None if self.residual is None else float(f"{self.residual:.0e}")
        shown = {"id": self.id, "label": self.label, "tier": self.tier, "input": self.input, "name": self.name}
        return {
            **shown,
            "error": self.error,
            "fact": self.fact,
            "hint": self.hint,
            "explain": self.explain,
            "residual": residual,
            "args": {key: _plain(value) for key, value in self.args.items()},
        }


@dataclass(frozen=True, repr=False)
class Report:
    """What a check found.

    Attributes:
        function: name of what was checked.
        seed: of the random numbers.
        comparisons: one per float input, in order; for inputs in float32 first in float64, then in float32.
        dot: forward mode against reverse mode; None if forward mode was not or could not be evaluated (see ``notes``).
        diagnoses: what is wrong and why, the most important first; then what is only worth knowing.
        notes: what a reader should know of how the check was made.
        second: the check of the second derivative, if it was asked for and the first derivative passed.
        feedback: the level of ``str(report)``: "fact", "hint" or "explain".
        repeat: how to make the check again.

    >>> import numpy as np, tinyad as ad
    >>> report = ad.check_rule(lambda x: (x**2, x), lambda x, gy: (gy * x,), np.array([1.0, -2.0, 3.0]), raises=False)
    >>> report.passed, report.diagnoses[0].id
    (False, 'D23')
    >>> print(report.text("fact"))
    check of <lambda>: FAILED   (seed 0)
      input 0 'x' (3,) float64
        what    exactly 1/2 times the right gradient   [D23 factor]
    """

    function: str
    seed: int
    comparisons: tuple[Comparison, ...] = ()
    dot: DotTest | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    second: Report | None = None
    feedback: str = "explain"
    repeat: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return (
            not any(diagnosis.error for diagnosis in self.diagnoses)
            and all(comparison.passed for comparison in self.comparisons)
            and (self.dot is None or self.dot.passed)
            and (self.second is None or self.second.passed)
        )

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return self.text(self.feedback)

    __repr__ = __str__

    # ---- as text

    def text(self, level: str | None = None) -> str:
        """The report in words.

        Args:
            level: ``"fact"`` says what is wrong, ``"hint"`` adds the likely cause and the worst entry, ``"explain"`` all that
                is known, with the numbers. None for the report's own.

        Raises:
            ValueError: another level.
        """
        level = _level(self.feedback if level is None else level)
        if self.second is not None and self.passed:
            return f"{self._first(level)}\n{self.second.text(level)}"
        return self.second.text(level) if self.second is not None and not self.second.passed else self._first(level)

    def _first(self, level: str) -> str:
        verdict = "passed" if replace(self, second=None).passed else "FAILED"
        lines = [f"check of {self.function}: {verdict}   (seed {self.seed})", *self._statements(level)]
        if level == "explain":
            numbers = [*map(str, self.comparisons), *([] if self.dot is None else [str(self.dot)]), *self.notes]
            lines += [_indented(part, 2) for part in numbers]
            if self.repeat and verdict == "FAILED":
                lines.append(f"  again: {self.repeat}")
        return "\n".join(lines)

    def _statements(self, level: str) -> Iterator[str]:
        """The diagnoses, under the names of their inputs."""
        said = None
        for diagnosis in self.diagnoses:
            if diagnosis.name != said and diagnosis.name:
                yield f"  {diagnosis.name}"
            said = diagnosis.name
            yield _indented(diagnosis.text(level), 4 if diagnosis.name else 2)
            if level == "hint" and diagnosis.error and (place := self._place(diagnosis)):
                yield f"    where   {place}"

    def _place(self, diagnosis: Diagnosis) -> str:
        """The share of wrong entries of the diagnosed input and the worst of them."""
        for comparison in self.comparisons:
            if diagnosis.input is not None and diagnosis.name.startswith(comparison.name) and not comparison.passed:
                return comparison.summary()
        return ""

    def table(self) -> str:
        """A row for every input that was compared: how many entries, how many wrong, the largest difference, the verdict."""
        head = ("input", "shape", "dtype", "entries", "wrong", "largest difference", "verdict")
        rows = [
            (c.name, str(c.shape), str(c.dtype), str(c.wrong.size), str(int(c.wrong.sum())), f"{c.largest:.1e}", c.verdict)
            for c in self.comparisons
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        aligned = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
        ]
        return "\n".join([aligned[0], "-" * sum(widths, 2 * len(widths) - 2), *aligned[1:]])

    def worst(self, count: int = 5) -> list[tuple[str, float, float, float]]:
        """The wrong entries farthest beyond their tolerance: name, yours, numeric, and the numeric value's error."""
        found = [(c.excess(*place), c, place) for c in self.comparisons for place in c.worst(count)]
        found.sort(key=lambda row: -row[0])
        return [
            (f"{c.name}: {c.label(*at)}", float(c.yours[at]), float((c.low[at] + c.high[at]) / 2), float(c.error[at]))
            for _, c, at in found[:count]
        ]

    # ---- as pictures

    def plot(self, path: Any = None) -> Any:
        """A heat map of where gradients are wrong: for each wrong input its Jacobian, and the input in its own shape.

        Args:
            path: file to write the picture to, if given: ``.png``, ``.svg`` or ``.pdf``.

        Returns:
            The matplotlib figure, which a notebook shows.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: no gradient was compared, because of its shape or type.
        """
        return draw(f"check of {self.function}: {'passed' if self.passed else 'FAILED'}", self.comparisons, path)

    def _repr_html_(self) -> str:
        """What a notebook shows: the text, and the heat map if something is wrong and matplotlib is installed."""
        page = f"<pre>{html.escape(str(self))}</pre>"
        if all(comparison.passed for comparison in self.comparisons):
            return page
        try:
            picture = base64.b64encode(png(self.plot())).decode()
        except ImportError:
            return page
        return f'{page}<img alt="where the gradient is wrong" src="data:image/png;base64,{picture}">'

    # ---- for programs

    def to_json(self, indent: int | None = None) -> str:
        """The report as JSON: the same bytes for the same check, in every process.

        Numbers that depend on the order of roundoff are given with one digit; there are no times and no paths.
        """
        return json.dumps(self.as_dict(), indent=indent, sort_keys=True)

    def as_dict(self) -> dict[str, Any]:
        """What `to_json` writes."""
        return {
            "schema": SCHEMA,
            "tinyad": __version__,
            "numpy": np.__version__,
            "function": self.function,
            "seed": self.seed,
            "passed": self.passed,
            "cases": [comparison.as_dict() for comparison in self.comparisons],
            "diagnoses": [diagnosis.as_dict() for diagnosis in self.diagnoses],
            "notes": list(self.notes),
            "second": None if self.second is None else self.second.as_dict(),
        }


def _level(level: str) -> str:
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}; expected one of {', '.join(map(repr, LEVELS))}.")
    return level


def _indented(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


def _plain(value: Any) -> Any:
    """A parameter as JSON knows it; floats with six digits."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}")
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(part) for part in value]
    return str(value)
