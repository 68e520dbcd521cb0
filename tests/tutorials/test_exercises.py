"""Exercises: the stubs say what to do, the solutions pass, and wrong ones are found."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tutorials.test_tutorials import faults_of

FOLDER = Path(__file__).resolve().parents[2] / "tutorials"
EXERCISES = sorted((FOLDER / "exercises").glob("*.py"))
each_exercise = pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)


def solution_of(path: Path) -> Path:
    return FOLDER / "solutions" / path.name


def run(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=120)


def test_there_are_exercises() -> None:
    assert len(EXERCISES) >= 2
    assert sorted(path.name for path in (FOLDER / "solutions").glob("*.py")) == [path.name for path in EXERCISES]


@each_exercise
def test_files_are_well_formed(path: Path) -> None:
    for file in (path, solution_of(path)):
        assert faults_of(file.read_text(encoding="utf-8")) == []


@each_exercise
def test_they_are_in_the_table(path: Path) -> None:
    assert f"(exercises/{path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


@each_exercise
def test_the_stub_says_what_to_do(path: Path, tmp_path: Path) -> None:
    done = run(path, tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("to do: "), done.stderr


@each_exercise
def test_the_solution_passes(path: Path, tmp_path: Path) -> None:
    done = run(solution_of(path), tmp_path)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


MISTAKES = [
    ("ex15_derivative_test.py", "Y = Y + h * np.tanh(Y @ weight + bias)", "Y = Y + np.tanh(Y @ weight + bias)"),
    ("ex15_derivative_test.py", "(1 - out**2)", "(1 - out)"),
    ("ex15_derivative_test.py", "dY = dY + h *", "dY = h *"),
    ("ex15_derivative_test.py", "Y @ dweight + dbias", "Y @ dweight"),
    ("ex15_derivative_test.py", "dY @ weight +", "dY @ weight.T +"),
    ("ex16_adjoint_test.py", "inner @ K[j].T", "inner @ K[j]"),
    ("ex16_adjoint_test.py", "reversed(range(len(K)))", "range(len(K))"),
    ("ex16_adjoint_test.py", "inner.sum(axis=0)", "inner.mean(axis=0)"),
    ("ex16_adjoint_test.py", "np.tanh(states[j] @ K[j] + b[j])", "np.tanh(states[j + 1] @ K[j] + b[j])"),
    ("ex16_adjoint_test.py", "U = U + inner", "U = inner"),
    ("ex16_adjoint_test.py", "inner = h *", "inner ="),
]


@pytest.mark.parametrize(("name", "old", "new"), MISTAKES, ids=[new for _, _, new in MISTAKES])
def test_mistakes_are_found(name: str, old: str, new: str, capsys: Any) -> None:
    source = (FOLDER / "solutions" / name).read_text(encoding="utf-8")
    assert source.count(old) == 1
    wrong: dict[str, Any] = {"__name__": "wrong"}
    exec(compile(source.replace(old, new), name, "exec"), wrong)
    check = runpy.run_path(str(FOLDER / "exercises" / name))["check"]
    functions = [wrong[function] for function in ("forward", "derivative", "transpose") if function in wrong]
    assert not check(*functions)
    printed = capsys.readouterr().out
    assert any(word in printed for word in ("not yet", "FAILED", "not what the formula gives"))
