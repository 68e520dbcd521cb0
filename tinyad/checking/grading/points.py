"""Points in a notebook: numbers that nbgrader takes for what they are.

nbgrader gives a cell 0 if it raised or wrote to stderr; the number that its last expression shows; and *all points* if that is
anything else than a number: a report, False, even ``np.float64(3.5)``. So a cell should end in something that shows a plain number
and nothing but a number. `Points` does, and shows the report to people beside it.
"""

from __future__ import annotations

import contextlib
import html
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .assignment import Assignment, Rule
from .loading import load_assignment
from .rehearsal import rehearse, share, situations

__all__ = ["Points", "grade_here", "points"]


class Points(float):
    """Points of a cell: a float that shows the plain number in text, and the report in HTML.

    >>> Points(3.5, "what was found")
    3.5
    """

    def __new__(cls, value: float, text: str = "", page: Callable[[], str] | None = None) -> Points:
        made = super().__new__(cls, value)
        made.text, made.page = text, page
        return made

    text: str
    page: Callable[[], str] | None

    def __repr__(self) -> str:
        return float.__repr__(self)

    def __str__(self) -> str:
        return float.__repr__(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        with quietly():
            page = self.page() if self.page is not None else f"<pre>{html.escape(self.text)}</pre>"
        return f"<p><b>{self!r} points</b></p>{page}"


def points(report: Any, most: float) -> Points:
    """The points that a report is worth, as the last expression of a graded cell.

    Args:
        report: of a check; True or False; a share of the points; or, best, a function without arguments that gives one of these.
            What it raises is worth 0 and is shown, and what it writes to stderr goes to stdout, where nbgrader does not mind.
        most: for a report without errors, and for 1.0. Nothing gives more, or less than 0.

    Raises:
        ValueError: ``most`` is no number of points.
        TypeError: ``report`` is none.

    >>> import tinyad as ad
    >>> x = np.array([1.0, 2.0])
    >>> points(lambda: ad.check_rule(lambda x: (x**2, x), lambda x, gy: 2 * x * gy, x), 4)
    4.0
    >>> points(lambda: ad.check_rule(lambda x: (x**2, x), lambda x, gy: x * gy, x), 4)
    0.0
    >>> points(0.875, 4)
    3.5
    """
    if not (isinstance(most, (int, float)) and not isinstance(most, bool) and 0 <= most < float("inf")):
        raise ValueError(f"points: most is {most!r}; expected a number of at least 0.")
    found: Any = report
    if callable(report):
        try:
            with quietly():
                found = report()
        except Exception as error:
            return Points(0.0, f"{type(error).__name__}: {error}")
    return Points(min(max(_share(found), 0.0), 1.0) * most, str(found), getattr(found, "_repr_html_", None))


def _share(found: Any) -> float:
    if isinstance(found, (bool, np.bool_)) or hasattr(found, "passed"):
        return float(bool(found))
    if isinstance(found, (int, float, np.integer, np.floating)):
        return 0.0 if np.isnan(found) else float(found)
    raise TypeError(
        f"points: report is a {type(found).__name__}; expected what ad.check_rule(..., raises=False) gives, True or False, a share "
        "between 0 and 1, or a function that gives one of these."
    )


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Nothing on stderr: warnings are left out, and what is written there goes to stdout."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stderr(sys.stdout):
        warnings.simplefilter("ignore")
        yield


def grade_here(
    assignment: Assignment | str | Path,
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    hidden: bool | None = None,
    raises: bool = False,
) -> Points:
    """The points of a rule for functions of this process, for graders that run the student's code themselves (nbgrader, otter).

    Nothing protects the references from the student's code here: `tinyad grade` does.

    Args:
        assignment: or the file that declares it.
        name: of the rule.
        forward, backward: the student's.
        hidden: whether only the hidden cases are used, or only the others; None for all.
        raises: whether to raise an AssertionError if there are not all points.

    Raises:
        ValueError: there is no such rule.

    >>> import tinyad.grade as tg
    >>> hw = tg.Assignment("hw")
    >>> hw.rule("square", "ops.py:f,b", lambda x: x**2, cases=tg.shapes((5, 3)), points=3)
    >>> grade_here(hw, "square", lambda x: (x**2, x), lambda x, gy: 2 * x * gy)
    3.0
    """
    declared = assignment if isinstance(assignment, Assignment) else load_assignment(assignment)
    rules = {item.name: item for item in declared.items if isinstance(item, Rule)}
    if name not in rules:
        raise ValueError(f"{declared.name!r} has no rule {name!r}; expected one of {', '.join(map(repr, rules)) or 'none'}.")
    rule = rules[name]
    with quietly():
        wanted = [each for each in situations(declared, rule) if hidden is None or each.case.hidden == hidden]
        results = [rehearse(each, forward, backward, "full", declared.feedback) for each in wanted]
    if not results:
        raise ValueError(f"rule {name!r} has no cases that are {'hidden' if hidden else 'shown'}.")
    told = dict.fromkeys(f"{result.name}\n{text}" for result in results for text in result.statements)
    earned = Points(round(share(rule, results) * rule.points, 4), "\n".join(told) or f"{len(results)} cases pass")
    if raises and earned < rule.points:
        raise AssertionError(f"{earned!r} of {rule.points:g} points\n{earned.text}")
    return earned
