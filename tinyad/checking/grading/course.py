"""Grading all submissions of a course: each in a process of its own, so that none can stop the others.

What is finished is not done again: a submission is graded anew only if its files, the assignment's or tinyad changed. Interrupted,
the same command goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...version import __version__
from .assignment import Assignment
from .clusters import Cluster, clusters, told
from .course_page import write_page
from .loading import load_assignment
from .results import out_of, write_atomically
from .table import as_csv, row_of

__all__ = ["Course", "find_submissions", "grade_course"]

DEEPEST = 3  # folders between a submission's own folder and its files: what zips and learning platforms put around them
SPARE = 60.0  # seconds beyond the assignment's total, for starting and writing
IGNORED = ("__MACOSX", "__pycache__")


@dataclass
class Course:
    """The grades of all submissions.

    Attributes:
        assignment: its name.
        folder: with what was written.
        grades: by the names of the submissions, as `as_json` writes them.
        failed: why a submission was not graded, by name.
    """

    assignment: str
    folder: Path
    grades: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def clusters(self) -> list[Cluster]:
        """The mistakes, the most frequent first."""
        return clusters(self.grades)

    def __str__(self) -> str:
        scores = [grade["score"] for grade in self.grades.values()]
        points = next((grade["points"] for grade in self.grades.values()), 0)
        mean = f", mean {sum(scores) / len(scores):.3g} of {points:.4g} points" if scores else ""
        lines = [f"{self.assignment}: {len(self.grades)} submissions graded{mean}"]
        lines += [f"NOT GRADED {name}: {why}" for name, why in self.failed.items()]
        return "\n".join([*lines, *([told(self.clusters, len(self.grades))] if scores else [])])


def grade_course(
    file: str | Path,
    folder: str | Path,
    out: str | Path,
    *,
    jobs: int = 1,
    feedback: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Course:
    """Grade every submission below a folder, and write what was found.

    Args:
        file: of the assignment.
        folder: with a folder for each submission.
        out: folder for the results: ``scores.csv``, ``clusters.json``, ``report.html`` and a JSON file for each submission.
        jobs: how many are graded at a time.
        feedback: how much students are told; by default what the assignment says.
        say: is told of each submission that is done.

    Raises:
        ValueError: the assignment is not valid, there is no such folder, there are no submissions in it, or ``out`` holds the
            results of another assignment.
    """
    assignment = load_assignment(file)
    assignment.validate()
    if jobs < 1:
        raise ValueError(f"--jobs is {jobs}; expected at least 1.")
    submissions = find_submissions(Path(folder), assignment, Path(out))
    _require_own(Path(out), assignment.name)
    course = Course(assignment.name, Path(out))
    ledger = _Ledger(course.folder, [assignment_digest(assignment), feedback or ""])
    to_do = []
    for name, where in submissions.items():
        grade = ledger.finished(name, where)
        if grade is None:
            to_do.append((name, where))
        else:
            course.grades[name] = grade
    if course.grades:
        say(f"{len(course.grades)} of {len(submissions)} were graded before")
    options = ["--feedback", feedback] if feedback else []
    private = [*_private(Path(folder)), *_private(Path(out))]
    for name, why in _run_all(Path(file), to_do, ledger, assignment.total + SPARE, [*options, *private], jobs):
        if why:
            course.failed[name] = why
        else:
            course.grades[name] = ledger.read(name)
        shown = why.splitlines()[0] if why else out_of(course.grades[name]["score"], course.grades[name]["points"])
        say(f"[{len(course.grades) + len(course.failed)}/{len(submissions)}] {name}: {shown}")
    course.grades = {name: course.grades[name] for name in submissions if name in course.grades}
    course.failed = {name: course.failed[name] for name in submissions if name in course.failed}
    write_course(course)
    return course


def _require_own(out: Path, assignment: str) -> None:
    """Raise ValueError if there are results of another assignment in a folder: they would be overwritten."""
    for file in [out / "clusters.json", *sorted((out / "grades").glob("*.json"))[:1]]:
        try:
            found = json.loads(file.read_text(encoding="utf-8")).get("assignment", assignment)
        except (OSError, ValueError, AttributeError):
            continue
        if found != assignment:
            raise ValueError(
                f"--out is {str(out)!r}, which holds the results of {found!r}, not of {assignment!r}; name another folder, or "
                "remove it."
            )


def _private(folder: Path) -> list[str]:
    """The option that hides a folder from students' code; not if the workers' own folders would be hidden with it."""
    home, hidden = Path(tempfile.gettempdir()).resolve(), folder.resolve()
    return [] if home.is_relative_to(hidden) else ["--private", str(hidden)]


def write_course(course: Course) -> None:
    """Write the table, the mistakes and the page."""
    rows = [row_of(name, grade) for name, grade in course.grades.items()]
    rows += [{"submission": name, "note": f"not graded: {why.splitlines()[0]}"} for name, why in course.failed.items()]
    write_atomically(course.folder / "scores.csv", as_csv(rows))
    found = [cluster.as_dict() for cluster in course.clusters]
    body = {"assignment": course.assignment, "submissions": len(course.grades), "clusters": found, "not graded": course.failed}
    write_atomically(course.folder / "clusters.json", json.dumps(body, indent=1) + "\n")
    write_page(course.folder / "report.html", course.assignment, course.grades, course.failed, course.clusters)


# ---- submissions


def find_submissions(folder: Path, assignment: Assignment, out: Path | None = None) -> dict[str, Path]:
    """The submissions below a folder: each of its folders is one, by its name.

    A student's files may lie deeper, in a folder that a zip or a learning platform made; the outermost folder with one of the
    assignment's files in it is taken. A folder without any is a submission that lacks everything.

    Raises:
        ValueError: there is no such folder, or none in it.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}; expected one with a folder for each submission.")
    wanted = {item.file for item in assignment.items}
    found = {}
    for each in sorted(folder.iterdir()):
        hidden = each.name.startswith(".") or each.name in IGNORED
        if each.is_dir() and not hidden and (out is None or each.resolve() != out.resolve()):
            found[each.name] = _with_files(each, wanted) or each
    if not found:
        raise ValueError(f"there is no submission in {str(folder)!r}; expected a folder for each.")
    return found


def _with_files(folder: Path, wanted: set[str]) -> Path | None:
    """The outermost folder that has one of the files."""
    level = [folder]
    for _ in range(DEEPEST + 1):
        for each in level:
            if any((each / name).is_file() for name in wanted):
                return each
        inner = [sub for each in level for sub in sorted(each.iterdir()) if sub.is_dir() and not sub.is_symlink()]
        level = [sub for sub in inner if not sub.name.startswith(".") and sub.name not in IGNORED]
    return None


# ---- what is finished


def assignment_digest(assignment: Assignment) -> str:
    """A number for an assignment's own files."""
    return digest(sorted(assignment.private))


def digest(files: Sequence[Path], root: Path | None = None) -> str:
    """A number for files, with their names below a folder."""
    total = hashlib.sha256()
    for file in files:
        if file.suffix != ".pyc":
            total.update(repr(str(file.relative_to(root)) if root else file.name).encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _plain_files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in IGNORED)
        yield from (path for name in sorted(names) if (path := Path(here) / name).is_file() and not path.is_symlink())


class _Ledger:
    """Which submissions are finished, and of which files: ``finished.json`` beside the grades."""

    def __init__(self, folder: Path, given: Sequence[str]) -> None:
        self.folder = folder
        self.given = [__version__, *given]
        self.file = folder / "finished.json"
        self.finished_of: dict[str, str] = {}
        try:
            self.finished_of = {str(name): str(of) for name, of in json.loads(self.file.read_text(encoding="utf-8")).items()}
        except (OSError, ValueError, AttributeError):
            self.finished_of = {}
        self.of: dict[str, str] = {}

    def path(self, name: str) -> Path:
        """The grade's file. Names that a file cannot have are told apart by a number."""
        safe = re.sub(r"[^\w.() @+-]", "_", name)
        return (
            self.folder
            / "grades"
            / f"{safe if safe == name else f'{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}'}.json"
        )

    def read(self, name: str) -> dict[str, Any]:
        """A grade that was written."""
        found: dict[str, Any] = json.loads(self.path(name).read_text(encoding="utf-8"))
        return found

    def finished(self, name: str, where: Path) -> dict[str, Any] | None:
        """The grade, if it is of these files."""
        self.of[name] = hashlib.sha256("\n".join([*self.given, digest(list(_plain_files(where)), where)]).encode()).hexdigest()
        if not self.noted(name):
            return None
        try:
            grade = self.read(name)
        except (OSError, ValueError):
            return None
        return grade if {"tests", "score", "points"} <= set(grade) else None

    def noted(self, name: str) -> bool:
        """Whether it is put down that a submission is finished."""
        return self.finished_of.get(name) == self.of[name]

    def note(self, name: str) -> None:
        """Put down that a submission is finished."""
        self.finished_of[name] = self.of[name]
        write_atomically(self.file, json.dumps(self.finished_of, indent=1, sort_keys=True) + "\n")


# ---- grading


def _run_all(
    file: Path, to_do: Sequence[tuple[str, Path]], ledger: _Ledger, wall: float, options: Sequence[str], jobs: int
) -> Iterator[tuple[str, str]]:
    """Grade each in a process; its name, and why it could not be graded."""
    running: set[subprocess.Popen[bytes]] = set()

    def one(where: Path, out: Path) -> str:
        return _run(file, where, out, wall, options, running)

    pool = ThreadPoolExecutor(jobs)
    begun: dict[Future[str], str] = {}
    try:
        for name, where in to_do:
            ledger.path(name).parent.mkdir(parents=True, exist_ok=True)
            ledger.path(name).unlink(missing_ok=True)
            begun[pool.submit(one, where, ledger.path(name))] = name
        for done in as_completed(begun):
            why = done.result()
            if not why:
                ledger.note(begun[done])
            yield begun[done], why
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        finished = [each for each in begun if each.done() and not each.cancelled() and not each.exception()]
        for process in list(running):
            process.kill()
        pool.shutdown(wait=True)
        for each in finished:  # those of which nobody had asked yet when this was interrupted
            if not each.result() and not ledger.noted(begun[each]):
                ledger.note(begun[each])


def _run(file: Path, where: Path, out: Path, wall: float, options: Sequence[str], running: set[subprocess.Popen[bytes]]) -> str:
    """Grade one submission in a process; why it could not be graded, or nothing."""
    command = [sys.executable, "-m", "tinyad", "grade", str(file), str(where), "--format", "json", "--out", str(out), *options]
    environment = os.environ | {"TINYAD_NO_DOCTOR": "1"}
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, env=environment)
        running.add(process)
        try:
            status = process.wait(wall)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return f"the grader took more than {wall:g} s"
        finally:
            running.discard(process)
        if status == 0 and out.is_file():
            return ""
        printed.seek(0)
        text = printed.read().decode("utf-8", "replace").strip()
    last = text.splitlines()[-1] if text else "it said nothing"
    return f"the grader ended with {status}: {last}\n{text}"
