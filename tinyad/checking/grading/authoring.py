"""The commands for authors: ``tinyad assign new``, ``build`` and ``lint``, and ``tinyad audit``.

Exit codes: 0 if it was done and all is in order; 1 if something is to be mended; 2 if the call is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..subject import Crashed
from .audit import audit_assignment, foreign_check
from .build import build
from .gradescope import write_zip
from .handout import AuthorError
from .lint import lint
from .requirements import check_requirements
from .results import write_atomically
from .skeleton import new_assignment

__all__ = ["REQUIRE", "add_audit", "add_authoring"]

REQUIRE = "a package that HW or students need there beside NumPy, as pip takes it: scikit-learn"

EXIT_CODES = "exit codes: 0 all is in order; 1 something in the assignment is to be mended; 2 the call is wrong"


def add_authoring(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``tinyad assign``."""
    new = actions.add_parser(
        "new",
        help="write a new assignment to start from",
        description="Write a small assignment that works, to change: the teacher's file, the students' file with the solutions "
        "marked, and a text for students.",
    )
    new.add_argument("folder", metavar="DIR", help="a new folder")
    new.add_argument("--name", default="", help="of the assignment (default: the folder's)")
    new.set_defaults(run=_new)
    _add_build(actions)
    check = actions.add_parser(
        "lint",
        help="look for mistakes in an assignment",
        description="Look for mistakes in an assignment: markers that do not match, points that do not add up, missing files and "
        "names, references that do not pass their own checks, cases they refuse. The solution is graded and must get all points; "
        "the students' copy as it is must get none.",
        epilog=EXIT_CODES,
    )
    _add_common(check)
    check.set_defaults(run=_lint)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", metavar="HW", help="the Python file that declares the assignment")
    parser.add_argument("--add", metavar="FILE", action="append", default=[], help="one more file for students, from beside HW")


def _add_build(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = actions.add_parser(
        "build",
        help="write the students' copy",
        description="Write the students' copy: the files that HW grades and README.md from beside it, without what stands between "
        "### BEGIN SOLUTION and ### END SOLUTION. Nothing is written if a line of a solution would be left in it.",
        epilog=EXIT_CODES,
    )
    _add_common(made)
    made.add_argument("out", metavar="OUT", help="a new folder")
    made.add_argument("--notebook", action="store_true", help="as notebooks for nbgrader, too")
    made.add_argument("--otter", action="store_true", help="with test files for otter")
    made.add_argument("--gradescope", action="store_true", help="and the autograder's zip, as OUT-gradescope.zip beside it")
    made.add_argument("--wheel", metavar="FILE", help="of tinyad, for the zip; by default one is built")
    made.add_argument("--require", metavar="PACKAGE", action="append", default=[], help=f"for the zip: {REQUIRE}")
    made.add_argument(
        "--teacher",
        action="store_true",
        help="write the teacher's copy: with solutions, and hidden cases in the notebooks and test files",
    )
    made.add_argument("--replace", action="store_true", help="remove what is in OUT")
    made.set_defaults(run=_build)


def add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tinyad audit`` to a command line."""
    made = commands.add_parser(
        "audit",
        help="see whether an assignment's checks notice mistakes",
        description="Make every right backward of an assignment wrong in every way that a single mistake can, grade each as a "
        "student's would be, and list those that get all points, with what would have noticed them.",
        epilog="exit codes: 0 every mistake is noticed; 1 some are not; 2 the call or the assignment is wrong",
    )
    made.add_argument("assignment", metavar="HW", help="the Python file that declares the assignment")
    made.add_argument(
        "--check",
        metavar="FILE::FUNCTION",
        help="audit another check, at the assignment's inputs: function(forward, backward, inputs), which refuses by returning "
        "False or raising",
    )
    made.add_argument("--json", metavar="FILE", help="write the table as JSON, too")
    made.set_defaults(run=_audit)


def _audit(arguments: argparse.Namespace) -> int:
    try:
        table = audit_assignment(arguments.assignment, foreign_check(arguments.check) if arguments.check else None)
        if arguments.json:
            write_atomically(Path(arguments.json), table.to_json() + "\n")
    except (ValueError, TypeError, OSError, Crashed) as error:
        print(f"tinyad audit: {error}", file=sys.stderr)
        return 2
    print(f"{Path(arguments.assignment).name}: {table}")
    return 0 if table.passed else 1


def _new(arguments: argparse.Namespace) -> int:
    try:
        files = new_assignment(arguments.folder, arguments.name)
    except ValueError as error:
        return _complain("new", error)
    print("\n".join(map(str, files)))
    print(f"Next: python -m tinyad assign lint {files[0]}")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    chosen = {name: getattr(arguments, name) for name in ("notebook", "otter", "teacher", "add", "replace")}
    try:
        if arguments.gradescope:
            check_requirements(Path(arguments.assignment), arguments.require)
        built = build(arguments.assignment, arguments.out, **chosen)
        print(f"{built.folder}: {', '.join(built.files)}")
        if not arguments.teacher:
            print("No line of a solution, and no hidden case, is in it.")
        if arguments.gradescope:
            file, out = Path(arguments.assignment), Path(arguments.out)
            files = [each for each in built.assignment.private if each.suffix == ".py"]
            wheel = Path(arguments.wheel) if arguments.wheel else None
            print(write_zip(file, files, out.with_name(f"{out.name}-gradescope.zip"), wheel, arguments.require))
    except AuthorError as error:
        print(f"tinyad assign build: {error}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError) as error:
        return _complain("build", error)
    return 0


def _lint(arguments: argparse.Namespace) -> int:
    try:
        found = lint(arguments.assignment, arguments.add)
    except (OSError, ValueError) as error:
        return _complain("lint", error)
    for finding in found:
        print(finding)
    counted = "all is in order" if not found else f"{len(found)} to mend"
    print(f"{Path(arguments.assignment).name}: {counted}")
    return 1 if found else 0


def _complain(action: str, error: Exception) -> int:
    print(f"tinyad assign {action}: {error}", file=sys.stderr)
    return 2
