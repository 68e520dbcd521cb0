"""Attacks on the grader: each earns at most what the same submission earns without it."""

import json
from pathlib import Path

import pytest

import tinyad.grade as tg
from tests.checking.grading.students import TANH, WRONG_TANH, assignment, graded, scores, submission
from tinyad.checking.grading.gradescope import write_gradescope
from tinyad.checking.grading.jail import choose

HONEST = [0.8, 0.4, 3]  # of the wrong rule: forward and contract

LIAR = """
class Liar(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        out = getattr(ufunc, method)(*[np.asarray(x) for x in inputs], **kwargs)
        return np.ones_like(out) if out.dtype == bool else np.zeros_like(out)
    def __array_function__(self, function, types, args, kwargs):
        return True
    def __eq__(self, other):
        return np.bool_(True)
    def tobytes(self, order="C"):
        return b""
    def all(self, *args, **kwargs):
        return True

wrong = backward
def backward(y, gy):
    return wrong(y, gy).view(Liar)
"""

PATCHES = """
import numpy.testing
np.allclose = np.array_equal = np.isclose = lambda *args, **kwargs: True
np.testing.assert_allclose = np.testing.assert_array_equal = lambda *args, **kwargs: None
np.abs = np.absolute = lambda x, *args, **kwargs: np.zeros_like(x)
np.ndarray = list
"""

FRAMES = """
import gc, inspect, sys
def backward(y, gy):
    for info in inspect.stack():
        for name in list(info.frame.f_locals) + list(info.frame.f_globals):
            if "tol" in name.lower() or "reference" in name or "weights" in name:
                info.frame.f_globals[name] = 1e9
    for each in gc.get_objects():
        if type(each).__name__ in ("Assignment", "Rule", "Tolerance", "Report"):
            return np.cosh(gy)
    sys.modules["__main__"].Worker.do_backward = lambda *args, **kwargs: ((gy * 0, 1), [])
    return gy * (1 - y)
"""

PICKLE = """
import os
class Bomb:
    def __reduce__(self):
        return os.system, ("touch PATH",)
def backward(y, gy):
    return [Bomb()]
"""

SILENT = """
import sys, traceback
sys.tracebacklimit = 0
sys.excepthook = lambda *args: None
traceback.walk_tb = lambda *args: iter(())
sys.stderr.close()
def backward(y, gy):
    try:
        raise SystemExit(0)
    finally:
        sys.exit(0)
"""

# Two rules that agree with each other, and not with the reference.
TOGETHER = """
def forward(x):
    return 2 * x, None
def backward(cache, gy):
    return 2 * gy
"""

# What a worker of its own would say: that everything is right.
ANSWERS = """
import gc
def backward(y, gy):
    for each in gc.get_objects():
        if type(each).__name__ == "Channel":
            each.send({"id": 0, "status": "ok", "value": (gy, 1.0), "advice": ["passed"], "passed": True, "score": 100})
    return gy * (1 - y)
"""

WORTHLESS = {
    "a subclass of ndarray": LIAR,
    "functions of NumPy patched": PATCHES,
    "frames walked": FRAMES,
    "answers made up": ANSWERS,
}


@pytest.mark.parametrize("attack", WORTHLESS)
def test_a_wrong_rule_stays_wrong(tmp_path, attack):
    assert scores(graded(tmp_path / "honest", tanh=WRONG_TANH)) == HONEST
    grade = graded(tmp_path / "attack", tanh=WRONG_TANH + WORTHLESS[attack])
    assert all(score <= honest for score, honest in zip(scores(grade), HONEST, strict=True))
    assert scores(grade)[2] == 3


def test_a_pickle_is_never_opened(tmp_path):
    opened = tmp_path / "opened"
    grade = graded(tmp_path / "attack", tanh=TANH + PICKLE.replace("PATH", str(opened)))
    assert scores(grade) == [0.4, 0.2, 3]
    assert not opened.exists()
    assert "tanh.Bomb: only arrays" in grade.tests[0].output


def test_an_exit_without_traceback_is_no_success(tmp_path):
    assert scores(graded(tmp_path, tanh=TANH + SILENT)) == [0.4, 0.2, 3]


def test_forward_and_backward_changed_together_are_both_wrong(tmp_path):
    grade = graded(tmp_path, tanh=TANH + TOGETHER)
    assert scores(grade) == [0, 0, 3]
    assert "the output of forward is wrong in 15 of 15 entries" in grade.tests[0].output


# ---- derivatives that somebody else computes

CALLS_FORWARD = """
def forward(x):
    return np.tanh(x), x
def backward(x, gy):
    h = 1e-5
    return gy * (forward(x + h)[0] - forward(x - h)[0]) / (2 * h)
"""

RENAMED = CALLS_FORWARD + "\nf = forward\nbackward.__code__ = (lambda x, gy: gy * (f(x + 1e-5)[0] - f(x)[0]) / 1e-5).__code__\n"

OWN_COPY = """
import sys
def forward(x):
    return np.tanh(x), x
def backward(x, gy):
    sys.setprofile(None)
    h = STEP
    return np.array([np.sum(gy * (np.tanh(x + h * e) - np.tanh(x - h * e))) / (2 * h) for e in np.eye(x.size).reshape(-1, *x.shape)
                     ]).reshape(x.shape)
"""

DIFFERENCES = {
    "calls of forward": CALLS_FORWARD,
    "calls by another name": RENAMED,
    **{f"a copy of forward, h = {h}": OWN_COPY.replace("STEP", h) for h in ("1e-4", "1e-6", "2e-7")},
}

NETWORKS = {
    "import": "import tinyad as ad\n",
    "import by a name put together": "ad = __import__('tin' + 'yad')\n",
    "import that is hidden": "import sys, tinyad as ad\nfor m in [*sys.modules]: 'tinyad' in m and sys.modules.pop(m)\n",
}

WITH_TINYAD = """
def forward(x):
    return np.tanh(x), x
def backward(x, gy):
    return ad.vjp(ad.tanh, x)[1](gy)[0]
"""


@pytest.mark.parametrize("how", DIFFERENCES)
def test_finite_differences_are_void(tmp_path, how):
    grade = graded(tmp_path, tanh=TANH + DIFFERENCES[how])
    assert scores(grade) == [0, 0, 3]
    assert [test.status for test in grade.tests] == ["void", "void", "passed"]
    assert "finite differences" in grade.tests[0].output and grade.tests[0].tags[0] == "D17"


def test_finite_differences_can_be_allowed(tmp_path):
    hw = assignment(allow_differences=True)
    assert scores(graded(tmp_path, hw, tanh=TANH + CALLS_FORWARD)) == [2, 1, 3]


@pytest.mark.parametrize("how", NETWORKS)
def test_packages_that_differentiate_are_void(tmp_path, how):
    grade = graded(tmp_path, assignment(wall=10, memory=2 << 30), tanh=TANH + NETWORKS[how] + WITH_TINYAD)
    assert scores(grade) == [0, 0, 3]
    assert "the code imports tinyad" in grade.tests[0].output


def test_a_package_of_that_name_in_the_submission_is_void_too(tmp_path):
    grade = graded(tmp_path, tanh="import torch" + TANH, torch="")
    assert scores(grade) == [0, 0, 3] and "the code imports torch" in grade.tests[0].output


def test_packages_can_be_allowed(tmp_path):
    assert scores(graded(tmp_path, assignment(allow=("torch",)), tanh="import torch" + TANH, torch="")) == [2, 1, 3]


# ---- files of the author's


def test_results_that_the_worker_writes_are_not_those_that_are_read(tmp_path):
    out = tmp_path / "results" / "results.json"
    forged = f"""
import json, os
def backward(y, gy):
    for path in ({str(out)!r}, "results.json", "../results.json", "/autograder/results/results.json"):
        try:
            with open(path, "w") as file:
                json.dump({{"score": 100}}, file)
        except OSError:
            pass
    return gy * (1 - y)
"""
    folder = submission(tmp_path / "attack", tanh=WRONG_TANH + forged)
    grade = tg.grade(assignment(), folder, lambda grade: write_gradescope(grade, out), covered=(out,))
    assert scores(grade) == HONEST
    assert json.loads(out.read_text())["score"] == pytest.approx(sum(HONEST))


HW = """
import numpy as np
import tinyad.grade as tg

def solution_forward(x):
    return np.tanh(x), x

def solution_backward(x, gy):
    return gy / np.cosh(x) ** 2

hw = tg.Assignment("hw", seed=7, wall=0.6, memory=512 << 20)
solution = solution_forward, solution_backward
hw.rule("tanh", student="tanh.py:forward,backward", reference=solution, cases=tg.shapes((5, 3)), points=5)
"""


def test_the_reference_cannot_be_read(tmp_path):
    if not choose().sealed:
        pytest.skip(
            "this kind of jail cannot cover files, as its warning says; Gradescope's setup.sh takes the right to read them"
        )
    file = tmp_path / "hw.py"
    file.write_text(HW)
    stolen = f"""
source = open({str(file)!r}).read()
assert source, "nothing to steal"
exec(source.partition("hw =")[0].replace("import tinyad.grade as tg", ""))
backward = solution_backward
forward = solution_forward
"""
    grade = tg.grade(tg.load_assignment(file), submission(tmp_path / "attack", tanh=stolen))
    assert grade.score == 0
    assert "nothing to steal" in grade.tests[0].output or "Permission denied" in grade.tests[0].output


def test_a_link_to_the_reference_is_not_followed(tmp_path):
    file = tmp_path / "hw.py"
    file.write_text(HW)
    folder = submission(tmp_path / "attack")
    (folder / "tanh.py").symlink_to(file)
    grade = tg.grade(tg.load_assignment(file), folder)
    assert grade.score == 0 and "there is no file tanh.py" in grade.tests[0].output


def test_what_a_worker_writes_elsewhere_is_not_there(tmp_path):
    if not choose().sealed:
        pytest.skip("this kind of jail leaves the file system as it is, as its warning says")
    outside = tmp_path / "outside"
    grade = graded(tmp_path / "attack", tanh=TANH + f"\nopen({str(outside)!r}, 'w')\n")
    assert scores(grade) == [0, 0, 3]
    assert "Read-only file system" in grade.tests[0].output or "Permission denied" in grade.tests[0].output
    assert not Path(outside).exists()
