"""The commands of grading: ``tinyad grade`` and ``tinyad assign``.

Exit codes: 0 whenever the results were written; 2 if the call or the assignment is wrong; 4 if the grader itself failed, which
with ``--all`` is so if a submission could not be graded.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from ..report import LEVELS
from .authoring import REQUIRE, add_audit, add_authoring
from .course import grade_course
from .formats import FORMATS
from .grade import grade
from .gradescope import write_zip
from .loading import load_assignment
from .requirements import check_requirements
from .results import slug

__all__ = ["add_commands"]

INTERNAL = 4
ENDINGS = {"csv": ".csv", "junit": ".xml"}  # of results; the others are JSON
INTERRUPTED = 130  # as shells have it


EXIT_CODES = (
    "exit codes: 0 results were written, whatever the points; 2 the call or the assignment is wrong; 4 the grader failed"
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to a command line."""
    _add_grade(commands)
    _add_assign(commands)
    add_audit(commands)


def _add_grade(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    grade = commands.add_parser(
        "grade",
        help="grade a submission",
        description="Run a student's code in a process of its own, compare what it computes with the assignment's references, and "
        "write the results: before the first test with all tests at 0, and after every test. With --all, do so for every folder in "
        "DIR, and write a table of the scores and a page that says which mistakes many have made; what is finished is not done "
        "again.",
        epilog=EXIT_CODES,
    )
    grade.add_argument("assignment", metavar="HW", help="the Python file that declares the assignment")
    grade.add_argument("submission", metavar="SUBMISSION", nargs="?", help="the folder with the student's files")
    grade.add_argument("--all", metavar="DIR", help="grade all submissions: every folder in DIR is one")
    grade.add_argument("--format", choices=tuple(FORMATS), default="json", help="of the results (default: json)")
    grade.add_argument(
        "--out",
        metavar="FILE",
        help="where to write them; by default NAME-results.json, by the assignment's name, with --all the folder NAME-grades",
    )
    grade.add_argument("--jobs", metavar="N", type=int, default=1, help="with --all: how many at a time (default: 1)")
    grade.add_argument(
        "--private", metavar="PATH", action="append", default=[], help="a file or folder that students' code must not read"
    )
    grade.add_argument("--feedback", choices=LEVELS, help="how much is told; by default what the assignment says")
    grade.set_defaults(run=_grade)


def _grade(arguments: argparse.Namespace) -> int:
    try:
        if (arguments.submission is None) == (arguments.all is None):
            raise ValueError("expected one of the two: the folder of a SUBMISSION, or --all DIR.")
        if arguments.all is not None:
            return _grade_all(arguments)
        assignment = load_assignment(arguments.assignment)
        if arguments.feedback:
            assignment = assignment.with_feedback(arguments.feedback)
        out = Path(arguments.out or f"{slug(assignment.name)}-results{ENDINGS.get(arguments.format, '.json')}")
        write = FORMATS[arguments.format]
        graded = grade(
            assignment, arguments.submission, lambda grade: write(grade, out), covered=(out, *map(Path, arguments.private))
        )
    except (ValueError, TypeError, FileNotFoundError) as error:
        print(f"tinyad grade: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough
        raise
    except KeyboardInterrupt:
        print("tinyad grade: interrupted; with --all, the same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        print("tinyad grade: an error of the grader itself.", file=sys.stderr)
        return INTERNAL
    print(f"{graded}\n  results in {out}")
    return 0


def _grade_all(arguments: argparse.Namespace) -> int:
    """Grade a course; the errors are the caller's to tell."""
    if arguments.format != "json":
        raise ValueError(f"--format is {arguments.format!r}; with --all, grades are written as json, and all scores as csv.")
    out = Path(arguments.out or f"{slug(load_assignment(arguments.assignment).name)}-grades")
    options = {"jobs": arguments.jobs, "feedback": arguments.feedback}
    course = grade_course(arguments.assignment, arguments.all, out, say=lambda text: print(text, flush=True), **options)
    print(f"\n{course}\n\nscores in {out / 'scores.csv'}, all of it in {out / 'report.html'}")
    return 0 if not course.failed else INTERNAL


def _add_assign(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    assign = commands.add_parser("assign", help="prepare an assignment", description="Prepare an assignment.")
    actions = assign.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_authoring(actions)
    zipped = actions.add_parser("zip", help="write the zip that Gradescope builds a grader from")
    zipped.add_argument("assignment", metavar="HW", help="the Python file that declares the assignment")
    zipped.add_argument("--out", metavar="FILE", help="the zip; by default NAME-gradescope.zip")
    zipped.add_argument("--add", metavar="FILE", action="append", default=[], help="a file beside it that it needs as well")
    zipped.add_argument("--wheel", metavar="FILE", help="of tinyad; by default one is built")
    zipped.add_argument("--require", metavar="PACKAGE", action="append", default=[], help=REQUIRE)
    zipped.set_defaults(run=_zip)


def _zip(arguments: argparse.Namespace) -> int:
    file = Path(arguments.assignment)
    try:
        assignment = load_assignment(file)
        assignment.validate()
        files = [Path(each) for each in arguments.add]
        files += [each for each in assignment.private if each.suffix == ".py"]
        out = Path(arguments.out or f"{slug(assignment.name)}-gradescope.zip")
        check_requirements(file, arguments.require)
        write_zip(file, files, out, Path(arguments.wheel) if arguments.wheel else None, arguments.require)
    except (ValueError, TypeError, FileNotFoundError) as error:
        print(f"tinyad assign zip: {error}", file=sys.stderr)
        return 2
    print(f"{out}: upload it as the autograder of {assignment.name}")
    return 0
