"""The assignment *backward by hand*: full marks for the solution, none for the empty copy, and each mistake by its name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tinyad.grade as tg
from tests.assignments.copies import Mistake, author_file, graded_with, load, results_of, solution
from tinyad.checking.audit import Audit
from tinyad.checking.grading.audit import audit_assignment
from tinyad.checking.grading.lint import lint

NAME = "backward_by_hand"


def tinyad(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tinyad", *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", timeout=300
    )


def test_the_solution_gets_full_marks(tmp_path: Path) -> None:
    grade = tg.grade(load(NAME), solution(NAME, tmp_path))
    assert [test.name for test in grade.tests if test.status != "passed"] == []
    assert grade.score == grade.points == 20
    assert grade.for_teacher == []


def test_from_the_teachers_file_to_a_grade_of_nothing(tmp_path: Path) -> None:
    copy, results = tmp_path / "copy", tmp_path / "results.json"
    built = tinyad("assign", "build", author_file(NAME), copy)
    assert built.returncode == 0, built.stderr
    assert sorted(path.name for path in copy.iterdir()) == ["README.md", "ops.py"]
    checked = tinyad("check", f"{copy / 'ops.py'}::softmax_cross_entropy")
    assert checked.returncode == 3 and "softmax_cross_entropy_backward is yours to write" in checked.stdout
    graded = tinyad("grade", author_file(NAME), copy, "--format", "gradescope", "--out", results)
    assert graded.returncode == 0, graded.stderr
    assert sum(test["score"] for test in json.loads(results.read_text())["tests"]) == 0


@pytest.mark.slow
def test_lint_has_nothing_to_say() -> None:
    assert list(map(str, lint(author_file(NAME)))) == []


def audited(table: Audit) -> None:
    """No mistake gets full marks; those that are none are known."""
    assert [row.wrong.what for row in table.survivors] == []
    assert table.false_alarms == table.skipped == ()
    same = sorted((row.rule, row.wrong.what) for row in table.rows if row.outcome == "equivalent")
    assert set(same) <= set(EQUIVALENT)


EQUIVALENT = [
    (
        "conv2d",
        "`dw[:, :, u, v] = np.einsum('nfij,ncij->fc', dy, xp[window])` -> `dw[:, :, u, v] += np.einsum('nfij,ncij->fc', dy, "
        "xp[window])` in dw (add for assign)",
    ),  # of zeros
    (
        "mean",
        "`dy / count + np.zeros(shape, dy.dtype)` -> `dy / count - np.zeros(shape, dy.dtype)` in the first returned value (swap "
        "operator)",
    ),
    ("softmax_cross_entropy", "`len(labels)` -> `labels.size` in the first returned value (other length)"),
]


def test_no_single_mistake_gets_full_marks(tmp_path: Path) -> None:
    """Without the convolution, which takes longer than all others together."""
    folder = author_file(NAME).parent
    shutil.copy(folder / "ops.py", tmp_path)
    text = (folder / "hw.py").read_text(encoding="utf-8")
    first, rest = text.split("STRIDES = ")[0], text.split("def tied")[1]
    (tmp_path / "hw.py").write_text(f"{first}def tied{rest}".replace("points=20", "points=16"), encoding="utf-8")
    table = audit_assignment(tmp_path / "hw.py")
    assert len(table.rows) > 300 and "conv2d" not in [row.rule for row in table.rows]
    audited(table)


@pytest.mark.slow
def test_no_single_mistake_gets_full_marks_in_any_operation() -> None:
    table = audit_assignment(author_file(NAME))
    assert len(table.rows) > 400
    audited(table)


def test_every_operation_has_a_case_in_float32_or_needs_none() -> None:
    names = {item.name: [case.name for case in item.cases] for item in load(NAME).items}
    assert [name for name, cases in names.items() if not any("float32" in case for case in cases)] == ["mean"]


UNBROADCAST = "    return unbroadcast(dy, shape_of_a), unbroadcast(dy, shape_of_b)"
LOOP = "    height, width = stride * dy.shape[2], stride * dy.shape[3]"
ONE_SHORT = "    dy = dy[:, :, :-1]\n    height, width = stride * dy.shape[2], stride * dy.shape[3]"
VARIANCE = " - xhat * (g * xhat).mean(axis=-1, keepdims=True)"
MISTAKES = (
    Mistake(
        "1/N", ("mean",), "ops.py", "dy / count", "dy", ("D24",), "exactly 15 times the right gradient = x.size", "embedding"
    ),
    Mistake(
        "no un-broadcast", ("add",), "ops.py", UNBROADCAST, "    return dy.copy(), dy.copy()", ("D07",), "axis 0", "embedding"
    ),
    Mistake(
        "keepdims",
        ("add", "matmul"),
        "ops.py",
        "    return gradient.sum(axis=stretched, keepdims=True)",
        "    return gradient.sum(axis=stretched)",
        ("D08", "D08"),
        "the right numbers in shape (5,) for an input of shape (5, 1)",
        "embedding",
    ),
    Mistake(
        "no transpose",
        ("matmul",),
        "ops.py",
        "    da = dy @ np.swapaxes(b, -1, -2)",
        "    da = dy @ b",
        ("D33",),
        "da = dy @ b",  # the line that raises where the matrices are not square
        "embedding",
    ),
    Mistake(
        "1/N of the loss",
        ("softmax_cross_entropy",),
        "ops.py",
        "dy * by_scores / len(labels)",
        "dy * by_scores",
        ("D24",),
        "exactly 5 times the right gradient = scores.shape[0]",
        "embedding",
    ),
    Mistake(
        "the -1 at the label",
        ("softmax_cross_entropy",),
        "ops.py",
        "    by_scores[np.arange(len(labels)), labels] -= 1\n",
        "",
        ("D51",),
        "wrong at one entry of each row",
        "embedding",
    ),
    Mistake(
        "the cache is written to",
        ("softmax_cross_entropy",),
        "ops.py",
        "by_scores = p.copy()",
        "by_scores = p",
        ("D13",),
        "work on a copy",
        "embedding",
    ),
    Mistake(
        "variance path",
        ("layer_norm",),
        "ops.py",
        VARIANCE,
        "",
        ("D47",),
        "the derivative through the variance over axis 1",
        "embedding",
    ),
    Mistake("one short", ("conv2d",), "ops.py", LOOP, ONE_SHORT, ("D38",), "all of index 2 on axis 2", "embedding"),
    Mistake("= for +=", ("conv2d",), "ops.py", "dxp[window] +=", "dxp[window] =", ("D39",), "keep only part", "embedding"),
    Mistake(
        "kernel flipped",
        ("conv2d",),
        "ops.py",
        "w[:, :, u, v], dy)",
        "w[:, :, -1 - u, -1 - v], dy)",
        ("D52",),
        "right if w were reversed along the last two axes",
        "embedding",
    ),
    Mistake(
        "ties",
        ("max_pool",),
        "ops.py",
        " / largest.sum(axis=(-2, -1), keepdims=True)",
        "",
        ("D44",),
        "a factor or divisor is missing, in `share`",
        "embedding",
    ),
    Mistake(
        "repeated indices",
        ("embedding",),
        "ops.py",
        "np.add.at(dtable, indices, dy)",
        "dtable[indices] += dy",
        ("D39",),
        "use np.add.at",
        "mean",
    ),
)


LONG = {"kernel flipped", "keepdims"}  # seconds, for what others show as well


def marked(mistake: Mistake) -> Any:
    return pytest.param(mistake, id=mistake.name, marks=[pytest.mark.slow] * (mistake.name in LONG))


@pytest.mark.parametrize("mistake", [marked(mistake) for mistake in MISTAKES])
def test_a_mistake_costs_points_where_it_is_and_is_named(mistake: Mistake, tmp_path: Path) -> None:
    grade = graded_with(NAME, mistake, tmp_path)
    for item, id in zip(mistake.items, mistake.ids, strict=True):
        tests = results_of(grade, item)
        assert sum(test.score for test in tests) < sum(test.points for test in tests)
        assert id in [tag for test in tests for tag in test.tags]
    assert mistake.said in results_of(grade, mistake.items[0])[0].output
    assert all(test.status == "passed" for test in results_of(grade, mistake.control))


OTHER_POOLING = """
    dxp = np.zeros(xp.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        window = xp[n, c, i * stride : i * stride + size, j * stride : j * stride + size]
        u, v = np.unravel_index(window.argmax(), window.shape)
        dxp[n, c, i * stride + u, j * stride + v] += dy[n, c, i, j]
    for _ in range(padding):
        dxp[:, :, 1] += dxp[:, :, 0]
        dxp[:, :, -2] += dxp[:, :, -1]
        dxp = dxp[:, :, 1:-1]
        dxp[..., 1] += dxp[..., 0]
        dxp[..., -2] += dxp[..., -1]
        dxp = dxp[..., 1:-1]
    return dxp
"""


def test_other_right_ways_get_full_marks(tmp_path: Path) -> None:
    """Loops, the first of several maxima, float64 for float32, one array in place of a tuple, nothing in place of None."""
    path = solution(NAME, tmp_path) / "ops.py"
    text = path.read_text(encoding="utf-8")
    before, after = text.split("    windows = np.lib.stride_tricks.sliding_window_view(xp, (size, size), axis=(2, 3))[..., ")
    text = before + OTHER_POOLING + "\n\ndef max_pool_inputs" + after.split("def max_pool_inputs")[1]
    for old, new in (("return dtable, None", "return dtable"), ("/ len(labels), None", "/ len(labels)")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    grade = tg.grade(load(NAME, "max_pool", "embedding", "softmax_cross_entropy"), tmp_path)
    assert [test.status for test in grade.tests] == ["passed"] * 6
