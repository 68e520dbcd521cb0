"""Auditing an assignment: would its cases notice a mistake, if a student made one?

Each rule's backward, the reference's or, for want of one, the solution's, is made wrong in every way that a single mistake can, and
graded as a student's would be. What gets all points is listed, with what would have cost it some.
"""

from __future__ import annotations

import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..audit import Audit, Audited, Place, audit
from ..subject import load_file
from .assignment import Assignment, Rule
from .handout import hand_out, sources, write_files
from .loading import load_assignment
from .rehearsal import Situation, rehearse, situations

__all__ = ["audit_assignment", "foreign_check"]

Check = Callable[[Callable[..., Any], Callable[..., Any], tuple[Any, ...]], Any]


def audit_assignment(file: str | Path, check: Check | None = None) -> Audit:
    """Audit the rules of an assignment.

    Args:
        file: of the author.
        check: another check to audit, at the inputs of the assignment's cases; by default what the grader does.

    Raises:
        ValueError, FileNotFoundError: the assignment cannot be read.
    """
    author = Path(file)
    assignment = load_assignment(author)
    table = Audit(())
    with tempfile.TemporaryDirectory() as folder:
        solutions = _Solutions(author, assignment, Path(folder))
        for item in assignment.items:
            if not isinstance(item, Rule):
                kind = type(item).__name__.lower()
                table += Audit((), skipped=(f"{item.name}: there is no backward to make wrong in an item of the kind {kind}",))
                continue
            try:
                forward, backward = solutions.pair(item)
            except (ValueError, KeyError, OSError) as error:
                table += Audit((), skipped=(f"{item.name}: {error}",))
                continue
            places = tuple(_place(situation, check) for situation in situations(assignment, item))
            table += audit([Audited(item.name, forward, backward, places, calling=item.calling)], seed=assignment.seed)
    return table


def _place(situation: Situation, check: Check | None) -> Place:
    own: Check = check or (lambda forward, backward, inputs: rehearse(situation, forward, backward, bound=True).passed)
    return Place(situation.case.draw, situation.kwargs, situation.seed, own)


class _Solutions:
    """The functions of the author's copy, for rules whose reference has no backward."""

    def __init__(self, author: Path, assignment: Assignment, folder: Path) -> None:
        self.author, self.assignment, self.folder = author, assignment, folder
        self.modules: dict[str, types.ModuleType] = {}

    def pair(self, rule: Rule) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Forward and backward. Raises ValueError or KeyError if there is none."""
        if rule.reference_backward is not None:
            return rule.reference, rule.reference_backward
        if not self.modules:
            write_files(self.folder, hand_out(sources(self.author, self.assignment)).solution)
        if rule.file not in self.modules:
            try:
                self.modules[rule.file] = load_file(self.folder / rule.file)
            except Exception as error:
                raise ValueError(f"the solution cannot be loaded: {error}") from error
        there = vars(self.modules[rule.file])
        missing = [name for name in rule.names if name not in there]
        if missing:
            raise ValueError(f"{rule.file} does not define {missing[0]}")
        forward, backward = (there[name] for name in rule.names)
        return forward, backward


def foreign_check(text: str) -> Check:
    """A teacher's own check, from ``FILE::function``.

    Raises:
        ValueError: there is no such file or function.
        Crashed: the file raises.
    """
    file, _, name = text.partition("::")
    if not name:
        raise ValueError(f"--check is {text!r}; expected a file and a function in it, FILE::function.")
    there = vars(load_file(file))
    if not callable(there.get(name)):
        defined = ", ".join(key for key, value in there.items() if callable(value) and not key.startswith("_")) or "nothing"
        raise ValueError(f"--check is {text!r}; {file} defines {defined}.")
    found: Check = there[name]
    return found
