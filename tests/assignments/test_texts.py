"""The texts for students: what they say to run runs, on the solution, and passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.assignments.copies import ASSIGNMENTS, load, solution

RUN = """
import shlex, sys
from tinyad.__main__ import main
sys.exit(max(main(shlex.split(line)) for line in {lines!r}))
"""


@pytest.mark.parametrize("name", ["backward_by_hand", "write_your_own_engine"])
def test_what_students_are_told_to_run_passes_on_the_solution(name: str, tmp_path: Path) -> None:
    text = (ASSIGNMENTS / name / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^python -m tinyad (.*)$", text, flags=re.MULTILINE)
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert lines
    code = "\n".join([*blocks, RUN.format(lines=lines)])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=solution(name, tmp_path), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": passed   (seed 0)") == len(lines)


@pytest.mark.parametrize("name", ["backward_by_hand", "write_your_own_engine"])
def test_every_file_that_is_named_is_handed_out(name: str, tmp_path: Path) -> None:
    files = {path.name for path in solution(name, tmp_path).iterdir()}
    named = set(re.findall(r"`(\w+\.py)`", (ASSIGNMENTS / name / "README.md").read_text(encoding="utf-8")))
    assert named == files - {"README.md"}


def test_the_points_that_are_said_are_those_that_are_given() -> None:
    said = re.findall(r"\((\d+) points?\)", (ASSIGNMENTS / "backward_by_hand" / "README.md").read_text(encoding="utf-8"))
    assert list(map(int, said)) == [item.points for item in load("backward_by_hand").items]
