"""The student's copy of an assignment, written to a folder: only when it was looked through and gives nothing away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .assignment import Assignment, Rule
from .handout import AuthorError, Handout, Source, hand_out, leaks, sources, write_files
from .loading import load_assignment
from .notebook import graded_source, notebook_of
from .otter import file_name, otter_test
from .visible import FILE, visible_cases

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """What was written.

    Attributes:
        assignment: what the author's file declares.
        folder: where.
        files: their names.
    """

    assignment: Assignment
    folder: Path
    files: tuple[str, ...]


def build(
    file: str | Path,
    out: str | Path,
    *,
    notebook: bool = False,
    otter: bool = False,
    teacher: bool = False,
    add: Sequence[str | Path] = (),
    replace: bool = False,
) -> Built:
    """Write the student's copy of an assignment.

    Args:
        file: the author's, which declares the assignment.
        out: a folder; new or empty.
        notebook: whether Python files become notebooks for nbgrader, each with a graded cell for every rule.
        otter: whether test files for otter are written, into ``tests``.
        teacher: whether the solutions stay in: a submission with full marks, and, of notebooks and tests, the sources that nbgrader
            and otter start from, hidden cases included.
        add: more files from beside the author's.
        replace: whether the folder may hold something, which is removed.

    Raises:
        AuthorError: a marker is wrong, a file is missing, or the copy would give something of a solution away. Nothing is written.
        ValueError: the assignment is not valid, or the folder not empty.
    """
    author, target = Path(file), Path(out)
    assignment = load_assignment(author)
    assignment.validate()
    if target.is_dir() and any(target.iterdir()) and not replace:
        raise ValueError(f"OUT is {str(out)!r}, which holds something already; name a new folder, or add --replace.")
    if author.resolve().is_relative_to(target.resolve()):
        raise ValueError(f"OUT is {str(out)!r}, in which the assignment lies; name another folder.")
    found = sources(author, assignment, [*_beside(author, assignment.handout), *map(Path, add)])
    handout = hand_out(found)
    made = _made(author, assignment, found, handout, notebook, otter, teacher)
    _write(target, {**(handout.solution if teacher else handout.student), **made}, handout, assignment, teacher)
    return Built(
        assignment, target, tuple(sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()))
    )


def _beside(author: Path, names: Sequence[Path]) -> list[Path]:
    return [author.resolve().parent / name for name in names]


def _made(
    author: Path,
    assignment: Assignment,
    found: Sequence[Source],
    handout: Handout,
    notebook: bool,
    otter: bool,
    teacher: bool,
) -> dict[str, bytes]:
    """The files that are made, not copied."""
    made: dict[str, bytes] = {}
    if notebook:
        for source in found:
            if source.python and source.text is not None:
                text = source.text if teacher else handout.student[source.name].decode()
                name = str(PurePosixPath(source.name).with_suffix(".ipynb"))
                made[name] = notebook_of(source.name, text, assignment.items, author.name if teacher else "")
    if otter:
        for rule in _rules(assignment):
            made[f"tests/{file_name(rule.name)}.py"] = otter_test(rule, author.name if teacher else "").encode()
    if notebook or otter:
        made[FILE] = visible_cases(assignment)
    return made


def _rules(assignment: Assignment) -> list[Rule]:
    return [item for item in assignment.items if isinstance(item, Rule)]


def _write(target: Path, files: dict[str, bytes], handout: Handout, assignment: Assignment, teacher: bool) -> None:
    """Write files beside the target, look through them, and put them in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        written = Path(folder) / "copy"
        write_files(written, files)
        if not teacher:
            generated = [text for rule in _rules(assignment) for text in (graded_source(rule), otter_test(rule))]
            if found := leaks(handout, written, generated):
                listed = "\n  ".join(found[:20])
                raise AuthorError(f"the student's copy would give solutions away, so it is not written:\n  {listed}")
        if target.exists():
            shutil.rmtree(target)
        shutil.move(written, target)
