"""The command line as users call it: what it says, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinyad.__main__ import CLOSED, main
from tinyad.checking.command import CRASHED, FAILED, INTERNAL, PASSED, USAGE
from tinyad.version import __version__

CHECKOUT = Path(__file__).resolve().parents[1]

OPS = """
import numpy as np
import helpers

def softmax_forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y

def softmax_backward(y, gy):
    return y * gy

def affine_forward(x, w, b):
    return x @ w + b, (x, w)

def affine_backward(cache, gy):
    x, w = cache
    return gy @ w.T, x.T @ gy, gy.sum(axis=0)

def affine_inputs(rng):
    return rng.normal(size=(5, 3)), rng.normal(size=(3, 7)), rng.normal(size=7)

def cube(x):
    return x**3, x

def slope(gy, x):
    return 3 * x**2 * gy

def loss(x):
    return np.sin(x).sum()

def raising_forward(x):
    return x, x

def raising_backward(cache, gy):
    return helpers.add(gy, np.ones(2))

def raising_inputs(rng):
    return rng.normal(size=3)

def careless_inputs(rng):
    return rng.normal(size=undefined)

def careless(x):
    return x.no_such_thing

class Scale:
    def forward(self, x):
        self.x = x
        return 2 * x

    def backward(self, gy):
        return 3 * gy

class Linear(Scale):
    def __init__(self, w):
        self.w = w

def make_Linear(rng):
    return Scale()

class Value:
    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def backward(self):
        self.grad = 1.0
        self.push()

    def push(self):
        for parent, partial in self.parents:
            parent.grad += partial * self.grad
            parent.push()
"""


@pytest.fixture
def ops(tmp_path):
    """A student's file, beside a module that it imports."""
    folder = tmp_path / "tinyad"  # a name that students give to their folders, too
    folder.mkdir()
    (folder / "helpers.py").write_text("def add(a, b):\n    return a + b\n")
    (folder / "ops.py").write_text(OPS)
    yield folder / "ops.py"
    sys.modules.pop("helpers", None)
    while str(folder) in sys.path:
        sys.path.remove(str(folder))


def run(*arguments, cwd=CHECKOUT):
    """A command in a process of its own, as users run it."""
    environment = os.environ | {"TINYAD_NO_DOCTOR": "1", "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "tinyad", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def check(ops, name, *options):
    return main(["check", f"{ops}::{name}" if name else str(ops), *options])


def test_version_and_help(capsys):
    for arguments, said in (
        (["--version"], f"tinyad {__version__}"),
        (["check", "--help"], "say what is wrong"),
        (["check", "--help"], "exit codes: 0 everything passed"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0 and said in " ".join(capsys.readouterr().out.split())


def test_a_wrong_rule_in_a_process_of_its_own(ops):
    done = run("check", "ops.py::softmax", "--shapes", "5x3", "--seed", "3", "--json", "out.json", cwd=ops.parent)
    assert done.returncode == FAILED and done.stderr == ""
    assert "[D47 missing_sum_term" in done.stdout
    assert "again: python -m tinyad check ops.py::softmax --shapes 5x3 --seed 3" in done.stdout
    report = json.loads((ops.parent / "out.json").read_text())
    assert report["diagnoses"][0]["id"] == "D47" and report["seed"] == 3


@pytest.mark.parametrize(
    ("name", "options", "status", "said"),
    [
        ("affine", [], PASSED, "check of affine: passed"),
        ("affine", ["--shapes", "4x4,4x4,4", "--dtype", "float32"], PASSED, "(4, 4) float32"),
        ("affine", ["--level", "quick"], PASSED, "passed"),
        ("softmax", ["--shapes", "5x3", "--feedback", "fact"], FAILED, "[D47 missing_sum_term]"),
        ("cube", ["--backward", "slope", "--calling", "dout_cache", "--shapes", "5"], PASSED, "check of cube: passed"),
        ("loss", ["--shapes", "scalar"], PASSED, "check of loss: passed"),
        ("Scale", ["--shapes", "5x3"], FAILED, "exactly 3/2 times the right gradient"),
        ("Linear", ["--shapes", "5x3"], FAILED, "exactly 3/2 times the right gradient"),
        ("Value", [], FAILED, "E02 double_propagation"),
        ("raising", [], CRASHED, "helpers.py:2: return a + b"),
    ],
)
def test_what_can_be_checked(ops, capsys, name, options, status, said):
    assert check(ops, name, *options) == status
    output = capsys.readouterr()
    assert said in output.out and output.err == ""


def test_everything_in_a_file(ops, capsys):
    assert check(ops, "") == CRASHED
    output = capsys.readouterr()
    assert [line.split(":")[0] for line in output.out.splitlines() if line.startswith("check of")] == [
        f"check of {name}" for name in ("affine", "raising", "Value")
    ]
    assert "softmax was not checked: no inputs are known" in output.err


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("sofmax", [], "there is no sofmax and no sofmax_forward in the file. Did you mean softmax"),
        ("softmax", [], "no inputs are known for softmax. Give their shapes"),
        ("softmax", ["--shapes", "5,x"], "--shapes is '5,x'; expected one shape for each input"),
        ("softmax", ["--shapes", "5x3", "--seed", "-1"], "--seed is -1; expected 0 or more"),
        ("softmax", ["--shapes", "5x3", "--plot", "picture.xyz"], "xyz"),
        ("softmax", ["--shapes", "5x3", "--plot", "no/such/folder.png"], "'no/such' is no folder"),
        ("softmax", ["--shapes", "5x3", "--json", "."], "--json is '.'; that is a folder"),
        ("", ["--backward", "slope"], "--backward belongs to one rule"),
        ("cube", ["--shapes", "5"], "cube returns a pair, like the forward of a rule, and there is no backward to it"),
        ("cube", ["--shapes", "5", "--backward", "slop"], "there is no slop in the file. Did you mean slope?"),
        (
            "affine",
            ["--shapes", "5x3"],
            "affine_forward takes (x, w, b), and --shapes 5x3 gives 1 input. Give a shape for each",
        ),
    ],
)
def test_a_wrong_call_says_what_to_do(ops, capsys, name, options, said):
    assert check(ops, name, *options) == USAGE
    output = capsys.readouterr()
    assert said in output.err and not output.out


NAMED = """
def f(x):
    return x**2, x

def {name}({arguments}):
    return x * gy

def inputs(rng):
    return rng.normal(size=3)
"""


@pytest.mark.parametrize(
    ("name", "asked"),
    [(name, asked) for name in ("f_backward", "f_bwd", "f_grad") for asked in ("f", name, "")] + [("df", "f"), ("d_f", "f")],
)
def test_a_forward_may_have_the_plain_name_of_the_rule(ops, capsys, name, asked):
    ops.write_text(NAMED.format(name=name, arguments="x, gy"))
    assert check(ops, asked) == FAILED
    assert "check of f: FAILED" in (said := capsys.readouterr().out) and "exactly 1/2 times the right gradient" in said


def test_a_forward_without_a_backward_is_not_said_to_pass(ops, capsys):
    ops.write_text(NAMED.format(name="f_grad", arguments="gy").replace("x * gy", "gy"))
    assert check(ops, "f") == USAGE
    assert "there is no backward to it: expected f_backward in the file" in capsys.readouterr().err
    ops.write_text(ops.read_text().replace("x**2, x", "x**2"))
    assert check(ops, "f") == PASSED
    said = capsys.readouterr().out
    assert "This was tinyad's own derivative of f; no backward of yours was checked" in said and "--backward NAME" in said
    ops.write_text("def f_forward(x): return x, x\ndef inputs(rng): return rng.normal(size=3)")
    assert check(ops, "f") == USAGE
    assert "there is no f_backward in the file, the backward of f_forward" in capsys.readouterr().err


def test_inputs_for_all_that_do_not_fit_one(ops, capsys):
    ops.write_text(OPS.replace("affine_inputs", "inputs"))
    assert check(ops, "softmax") == USAGE
    said = capsys.readouterr().err
    assert "softmax_forward takes (x), and inputs(rng) draws 3 inputs" in said and "def softmax_inputs(rng)" in said


def test_the_other_order_of_arguments_is_an_option_here(ops, capsys):
    assert check(ops, "affine", "--calling", "dout_cache") in (FAILED, CRASHED)
    said = capsys.readouterr().out
    assert "say --calling cache_dout" in said and "calling='" not in said


def test_the_command_to_repeat_a_check_is_quoted(ops):
    (ops.parent / "my ops.py").write_text(OPS)
    done = run("check", "my ops.py::softmax", "--shapes", "5x3", cwd=ops.parent)
    assert "again: python -m tinyad check 'my ops.py::softmax' --shapes 5x3\n" in done.stdout


def test_a_notebook(ops, capsys):
    cells = [
        ("markdown", "# Softmax"),
        ("code", "%matplotlib inline\nimport numpy as np"),
        ("code", "%%time\nx = ("),
        ("code", OPS),
    ]
    cells = [{"cell_type": kind, "source": text.splitlines(keepends=True)} for kind, text in cells]
    notebook = ops.with_suffix(".ipynb")
    notebook.write_text(json.dumps({"cells": cells}))
    assert check(notebook, "softmax", "--shapes", "5x3") == FAILED
    assert "[D47 missing_sum_term" in capsys.readouterr().out
    notebook.write_text("{}")
    assert check(notebook, "softmax") == USAGE
    assert "is no notebook that can be read" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough(ops):
    code = "import sys, tinyad.__main__ as m; sys.exit(m.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "check", "ops.py::softmax", "--shapes", "5x3"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    kept, closed = os.pipe()
    os.close(kept)
    done = subprocess.run(
        command, cwd=ops.parent, env=environment, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=120
    )
    os.close(closed)
    assert (done.returncode, done.stderr) == (CLOSED, "")


def test_a_file_that_is_not_there_and_a_layer_that_needs_arguments(ops, capsys):
    assert main(["check", str(ops.parent / "opps.py")]) == USAGE
    assert "there is no file" in capsys.readouterr().err
    assert main(["check", str(ops.parent)]) == USAGE
    assert "is a folder; expected a Python file" in capsys.readouterr().err
    ops.write_text(
        "class Dense:\n    def __init__(self, w): ...\n    def forward(self, x): ...\n    def backward(self, gy): ...\n"
    )
    assert check(ops, "Dense", "--shapes", "3") == USAGE
    assert "def make_Dense(rng): return Dense(...)" in capsys.readouterr().err
    ops.write_text("x = 1\n")
    assert check(ops, "") == USAGE
    assert "there is nothing to check in the file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("x = 1 / 0", "f", "ops.py raised ZeroDivisionError: division by zero (ops.py, line 1)"),
        ("import sys\nsys.exit(0)", "f", "ops.py raised SystemExit: 0 (ops.py, line 2)"),
        ("def f(:", "f", "ops.py raised SyntaxError"),
        (OPS, "careless", "careless_inputs(rng) raised NameError: name 'undefined' is not defined (ops.py, line"),
        ("def f(x): return x.no_such_thing\ndef inputs(rng): return 2.0", "f", "no_such_thing"),
        ("class L:\n  def __init__(self): self.no\n  forward = backward = 1\ndef inputs(rng): return 2.0", "L", "'no'"),
    ],
)
def test_code_that_raises_is_told_from_gradients_that_are_wrong(ops, capsys, source, name, said):
    ops.write_text(source)
    assert check(ops, name) == CRASHED
    error = capsys.readouterr().err
    assert said in error and error.startswith("tinyad check: ") and error.count(" raised ") == 1


def test_an_error_of_the_checker_is_not_the_students(ops, capsys, monkeypatch):
    import tinyad.checking.command as module

    def broken(*args, **kwargs):
        raise ZeroDivisionError("in the checker")

    monkeypatch.setattr(module, "check_rule", broken)
    assert check(ops, "affine") == INTERNAL
    assert "not your fault" in capsys.readouterr().err


def test_a_picture(ops, capsys):
    pytest.importorskip("matplotlib")
    picture = ops.parent / "where.png"
    assert check(ops, "softmax", "--shapes", "5x3", "--plot", str(picture)) == FAILED
    assert picture.read_bytes().startswith(b"\x89PNG") and f"picture in {picture}" in capsys.readouterr().out
    assert check(ops, "raising", "--plot", str(picture)) == USAGE
    assert "there are no numbers to draw" in capsys.readouterr().err
