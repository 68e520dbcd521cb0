"""Whether an assignment is in order: its markers, its points, its references, and what its checks are worth.

The last is tried out with the real grader: the author's own copy must get all points, the student's copy, as it is, none.
"""

from __future__ import annotations

import ast
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .assignment import Assignment, Rule
from .grade import grade
from .handout import AuthorError, Handout, Source, hand_out, sources, write_files
from .loading import load_assignment
from .regions import find_regions
from .rehearsal import Situation, rehearse, situations
from .results import Grade, TestResult, out_of

__all__ = ["Finding", "lint"]


@dataclass(frozen=True)
class Finding:
    """Something to mend.

    Attributes:
        file: where.
        line: there; 0 if it is about the whole.
        text: what.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.text}"


def lint(file: str | Path, add: Sequence[str | Path] = ()) -> list[Finding]:
    """What is to be mended in an assignment, in the order in which it should be.

    Args:
        file: the author's, which declares the assignment.
        add: more files that students get, from beside it.

    Raises:
        FileNotFoundError: there is no such file.
    """
    author = Path(file)
    if not author.is_file():
        raise FileNotFoundError(f"there is no assignment {str(file)!r}; expected a Python file that declares one.")
    found = list(_markers(author))
    if found:
        return found
    try:
        assignment = load_assignment(author)
    except (ValueError, TypeError) as error:
        return [Finding(author.name, 0, str(error))]
    try:
        assignment.validate()
    except ValueError as error:
        found.append(Finding(author.name, 0, str(error)))
    try:
        given = sources(author, assignment, [*(author.resolve().parent / name for name in assignment.handout), *map(Path, add)])
        handout = hand_out(given)
    except AuthorError as error:
        return [*found, Finding(author.name, 0, str(error))]
    found += [problem for source in given for problem in _names(source)]
    found += [problem for problem in _missing(assignment, handout, author)]
    found += [problem for problem in _references(assignment, author)]
    try:
        return found or list(_worth(assignment, handout, author))
    except ValueError as error:  # a reference or a case that the grader refuses
        return [Finding(author.name, 0, str(error))]


# ---- files


def _markers(author: Path) -> Iterator[Finding]:
    """Markers that do not match, in the author's file and in all Python files and texts beside it."""
    for path in sorted({author.resolve(), *author.resolve().parent.glob("*.py"), *author.resolve().parent.glob("*.md")}):
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from (Finding(path.name, problem.line, problem.text) for problem in find_regions(text)[1])


def _names(source: Source) -> Iterator[Finding]:
    """Functions that are defined twice in one file: the second takes the place of the first."""
    if not source.python or source.text is None:
        return
    try:
        tree = ast.parse(source.text)
    except SyntaxError as error:
        yield Finding(source.file.name, (error.lineno or 0) + source.before, f"is no Python: {error.msg}")
        return
    first: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if node.name in first:
                text = f"{node.name} is defined twice, first in line {first[node.name] + source.before}"
                yield Finding(source.file.name, node.lineno + source.before, text)
            first.setdefault(node.name, node.lineno)


def _missing(assignment: Assignment, handout: Handout, author: Path) -> Iterator[Finding]:
    """Functions that an item names and its file lacks, and functions that two items name."""
    for item in assignment.items:
        try:
            tree = ast.parse(handout.student[item.file].decode())
        except SyntaxError as error:
            yield Finding(item.file, error.lineno or 0, f"the student's copy is no Python: {error.msg}")
            continue
        defined = {name for node in ast.walk(tree) for name in _defined(node)}
        for name in item.names:
            if name not in defined:
                yield Finding(author.name, 0, f"{item.name!r} asks for {name}, which {item.file} does not define")
    graded = Counter((item.file, item.names, _told_apart(item)) for item in assignment.items)
    for (file, names, _), count in graded.items():
        if count > 1:
            yield Finding(author.name, 0, f"{count} items grade {', '.join(names)} of {file} alike; each mistake costs twice")


def _told_apart(item: object) -> str:
    """What may differ between two items that grade the same functions."""
    if not isinstance(item, Rule):
        return ""
    return repr((sorted(case.name for case in item.cases), [sorted(map(str, kwargs.items())) for kwargs in item.kwargs]))


def _defined(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name for alias in node.names)


# ---- references


def _references(assignment: Assignment, author: Path) -> Iterator[Finding]:
    """Cases that a reference refuses, and references that do not pass their own checks."""
    for rule in assignment.items:
        if not isinstance(rule, Rule):
            continue
        names = Counter(case.name for case in rule.cases)
        yield from (
            Finding(author.name, 0, f"rule {rule.name!r} has {count} cases called {name!r}")
            for name, count in names.items()
            if count > 1
        )
        for situation in situations(assignment, rule):
            yield from (Finding(author.name, 0, text) for text in _wrong_at(situation))


def _wrong_at(situation: Situation) -> Iterator[str]:
    where = f"rule {situation.rule.name!r} at {situation.name}"
    rule = situation.rule
    try:
        y = rule.forward_of_reference(situation.kwargs)(*situation.inputs())
    except Exception as error:
        yield f"{where}: the case or the reference raised {type(error).__name__}: {error}"
        return
    if rule.reference_backward is None:
        return
    try:
        result = rehearse(situation, rule.reference, rule.reference_backward, level="full", feedback="fact")
    except Exception as error:
        yield f"{where}: cannot be checked: {type(error).__name__}: {error}, for an output of {type(y).__name__}"
        return
    if not result.passed:
        said = "; ".join(" ".join(text.split()) for text in result.statements)
        yield f"{where}: the reference does not pass its own check: {said}"


# ---- what the checks are worth


def _worth(assignment: Assignment, handout: Handout, author: Path) -> Iterator[Finding]:
    """Points that the author's own copy does not get, and points that the student's copy gets as it is."""
    for test in _graded(assignment, handout.solution).tests:
        if test.status != "passed":
            told = _first_lines(test)
            yield Finding(
                author.name, 0, f"the solution gets {out_of(test.score, test.points)} points for {test.name!r}: {told}"
            )
    for test in _graded(assignment, handout.student).tests:
        if test.score:
            earned = {part: share for case in test.cases for part, share in case.shares.items() if share}
            remedy = (
                "forward is given, so let it weigh nothing: weights=dict(contract=.2, values=.7, purity=.1)"
                if set(earned) == {"forward"}
                else "is there no solution region in what it grades?"
            )
            text = f"the student's copy as it is gets {out_of(test.score, test.points)} points for {test.name!r}; {remedy}"
            yield Finding(author.name, 0, text)


def _graded(assignment: Assignment, files: dict[str, bytes]) -> Grade:
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files)
        return grade(assignment, folder)


def _first_lines(test: TestResult) -> str:
    lines = [line.strip() for line in test.output.splitlines() if line.strip()]
    return "; ".join(lines[:4])
