"""Gradescope: its results.json, and the zip that it builds a grader from.

`visibility` there is one of visible, hidden, after_due_date and after_published. Hidden cases get what the assignment says,
``after_published`` if nothing; a test with ``after_*`` hides the student's total until then, ``hidden`` hides the test alone
and for ever, so it is kept for what is worth no points: the notes for the teacher.

The zip's files lie at its root. It brings the wheel of tinyad along, so that grading needs no network; NumPy, and what else the
assignment requires, is installed when Gradescope builds the image.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...version import __version__
from .results import Grade, TestResult, write_atomically

__all__ = ["as_gradescope", "build_wheel", "write_gradescope", "write_zip"]

SHOWN = {"passed": "passed"}  # all others have failed: there is nothing between, there


def as_gradescope(grade: Grade) -> dict[str, Any]:
    """The grade as Gradescope reads it."""
    tests = [_test(test, grade) for test in grade.tests]
    if grade.for_teacher:
        tests.append(_for_teacher(grade))
    return {
        "score": grade.score,
        "output": "\n".join([grade.assignment, *grade.notes]),  # without the total, which may wait for hidden cases
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"seed": grade.seed, "tinyad": __version__, "numpy": np.__version__},
        "tests": tests,
    }


def _test(test: TestResult, grade: Grade) -> dict[str, Any]:
    return {
        "name": f"{test.stage}: {test.name}" if test.stage else test.name,
        "number": test.number,
        "score": test.score,
        "max_score": round(test.points, 4),
        "status": SHOWN.get(test.status, "failed"),
        "output": test.output,
        "output_format": "text",
        "tags": test.tags,
        "visibility": grade.visibility if test.hidden else "visible",
        "extra_data": {"status": test.status, "ids": test.tags},
    }


def _for_teacher(grade: Grade) -> dict[str, Any]:
    text = "\n".join(grade.for_teacher)[:20_000]
    head = {"name": "for the teacher", "score": 0.0, "max_score": 0.0, "status": "passed"}
    return head | {"output": text, "output_format": "text", "visibility": "hidden"}


def write_gradescope(grade: Grade, path: Path) -> None:
    """Write results.json, as a whole or not at all."""
    write_atomically(path, json.dumps(as_gradescope(grade), indent=1) + "\n")


# ---- the zip

SETUP = """\
#!/usr/bin/env bash
set -e
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv adduser
python3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || {{
    echo "tinyad needs Python 3.11 or later: choose a newer base image, Ubuntu 24.04 for instance." >&2
    exit 1
}}
python3 -m venv /autograder/python
/autograder/python/bin/pip install --no-input {packages}
/autograder/python/bin/pip install --no-input --no-deps --no-index /autograder/source/{wheel}
# Students' code runs as a user of its own, who can read neither the assignment nor the results.
id student > /dev/null 2>&1 || adduser --no-create-home --disabled-password --gecos "" student
chmod -R o= /autograder/source
"""

RUN = """\
#!/usr/bin/env bash
results=/autograder/results/results.json
mkdir -p /autograder/results
rm -f "$results"
chmod o= /autograder/source /autograder/results
/autograder/python/bin/python -m tinyad grade /autograder/source/{assignment} /autograder/submission \\
    --format gradescope --out "$results"
# Whatever happens there are results: if the grader could not begin, these.
[ -s "$results" ] || cat > "$results" <<'END'
{nothing}
END
exit 0
"""

NOT_BEGUN = {
    "score": 0.0,
    "output": "Nothing was graded: the grader could not begin. That is not the fault of your code. Tell your teacher, who finds "
    "the reason in the output of the autograder.",
    "visibility": "visible",
    "stdout_visibility": "hidden",
    "tests": [],
}


def write_zip(
    assignment: Path, files: Sequence[Path], target: Path, wheel: Path | None = None, require: Sequence[str] = ()
) -> Path:
    """Write the zip to upload.

    Args:
        assignment: the file that declares it.
        files: what else it needs from beside it.
        target: the zip.
        wheel: of tinyad; by default one is built of the tinyad that runs.
        require: packages to install beside NumPy, as pip takes them.

    Raises:
        ValueError: a file does not lie beside the assignment, or the wheel cannot be built.
    """
    folder = assignment.resolve().parent
    with tempfile.TemporaryDirectory() as here:
        wheel = wheel or build_wheel(Path(here))
        packages = shlex.join(["numpy>=2.0", *require])
        run = RUN.format(assignment=shlex.quote(assignment.name), nothing=json.dumps(NOT_BEGUN))
        members = {"setup.sh": SETUP.format(wheel=wheel.name, packages=packages), "run_autograder": run}
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in members.items():
                _write(archive, name, text.encode(), 0o755)
            _write(archive, wheel.name, wheel.read_bytes(), 0o644)
            for file in dict.fromkeys([assignment.resolve(), *(each.resolve() for each in files)]):
                if folder not in file.parents:
                    raise ValueError(f"{file} does not lie beside {assignment.name}; copy it there.")
                _write(archive, file.relative_to(folder).as_posix(), file.read_bytes(), 0o644)
    return target


def _write(archive: zipfile.ZipFile, name: str, data: bytes, mode: int) -> None:
    """A member with its rights, and without the time, so that equal zips have equal bytes."""
    member = zipfile.ZipInfo(name)
    member.external_attr = (0o100000 | mode) << 16
    member.create_system = 3  # Unix: elsewhere the rights would be lost
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, data)


def build_wheel(folder: Path) -> Path:
    """A wheel of the tinyad that runs: from its checkout if it is installed from one.

    Raises:
        ValueError: if there is no checkout, or building fails.
    """
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / "pyproject.toml").is_file():
        raise ValueError(
            "the grader needs a wheel of tinyad, and the tinyad that runs is not installed from a checkout, of which one could be "
            "built. Name the wheel: --wheel tinyad-...-py3-none-any.whl. In a checkout, `python -m pip wheel . --no-deps` makes it."
        )
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(checkout)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"the wheel of tinyad could not be built: {done.stderr.strip()[-500:]}\nName one: --wheel FILE.")
    [wheel] = folder.glob("*.whl")
    return wheel
