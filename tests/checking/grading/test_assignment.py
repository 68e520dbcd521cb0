"""Mistakes in the declaration of an assignment are found when it is read, and named."""

import sys

import numpy as np
import pytest

import tinyad.grade as tg
from tinyad.checking.grading.loading import load_assignment

RULE = {
    "name": "softmax",
    "student": "ops.py:forward,backward",
    "reference": np.tanh,
    "cases": tg.shapes((5, 3)),
    "points": 3,
}


def hw(**settings):
    return tg.Assignment(**({"name": "hw1"} | settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": ""}, "name is ''; expected a non-empty string"),
        ({"points": -1}, "points is -1; expected a positive number"),
        ({"points": True}, "points is True; expected a positive number"),
        ({"seed": 1.5}, "seed is 1.5; expected an int of at least 0"),
        ({"feedback": "all"}, "feedback is 'all'; expected one of 'fact', 'hint', 'explain'"),
        ({"wall": 0}, "wall is 0; expected a positive number of seconds"),
        ({"total": float("inf")}, "total is inf; expected a positive number of seconds"),
        ({"memory": 1024}, "memory is 1024; expected at least 256 MB in bytes"),
        ({"allow": "torch"}, "allow is 'torch'; expected names of packages"),
        ({"hidden": "never"}, "hidden is 'never'; expected one of 'visible', 'after_due_date', 'after_published'"),
    ],
)
def test_settings(settings, message):
    with pytest.raises(ValueError) as error:
        hw(**settings)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"student": "ops.py"},
            "rule 'softmax': student is 'ops.py'; expected a file and 2 names, like 'ops.py:softmax_forward",
        ),
        ({"student": "ops.py:forward"}, "expected a file and 2 names"),
        ({"student": "../ops.py:a,b"}, "expected a file and 2 names"),
        ({"student": "/etc/ops.py:a,b"}, "expected a file and 2 names"),
        ({"student": "ops.py:a,b c"}, "expected a file and 2 names"),
        ({"student": None}, "student is None"),
        ({"reference": 3}, "rule 'softmax': reference is 3; expected a forward function, or the pair"),
        ({"reference": (np.tanh, None)}, "expected a forward function, or the pair"),
        ({"cases": ()}, "rule 'softmax': cases is empty; expected at least one"),
        ({"cases": [(5, 3)]}, "rule 'softmax': cases holds (5, 3); expected what tg.shapes"),
        ({"points": 0}, "rule 'softmax': points is 0; expected a positive number"),
        ({"calling": "both"}, "rule 'softmax': calling is 'both'; expected one of 'cache_dout', 'dout_cache'"),
        (
            {"weights": {"forwards": 1}},
            "weights has 'forwards'; expected 'forward', 'contract', 'values', 'purity'",
        ),
        ({"weights": {"values": 0.5}}, "expected shares of at least 0 that add up to 1"),
        ({"weights": {"values": 1.5, "forward": -0.5}}, "expected shares of at least 0 that add up to 1"),
        ({"kwargs": [3]}, "rule 'softmax': kwargs holds 3; expected dicts of keyword arguments"),
        ({"kwargs": {"f": print}}, "rule 'softmax': kwargs holds a builtin_function_or_method"),
        ({"stage": 1}, "rule 'softmax': stage is 1; expected a string"),
        ({"name": " "}, "name is ' '; expected a non-empty string"),
    ],
)
def test_rules(changed, message):
    with pytest.raises((TypeError, ValueError)) as error:
        hw().rule(**(RULE | changed))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "loss is small"}, "metric is 'loss is small'; expected a name and a bound, like 'loss<0.1'"),
        ({"metric": "loss<"}, "expected a name and a bound"),
        ({"metric": "loss<1e"}, "expected a name and a bound"),
        ({"metric": 0.1}, "train 'train': metric is 0.1; expected a bound like 'loss<0.1', or a function"),
        ({"wall": -1}, "train 'train': wall is -1"),
        ({"args": (print,)}, "train 'train': args holds a builtin_function_or_method"),
        ({"student": "mlp.py"}, "expected a file and a name, like 'mlp.py:train'"),
    ],
)
def test_trainings(arguments, message):
    with pytest.raises((TypeError, ValueError)) as error:
        hw().train(**({"student": "mlp.py:train", "metric": "loss<0.1", "points": 2} | arguments))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tg.shapes(5), "shapes: a case is 5; expected the shape of its input"),
        (lambda: tg.shapes((5, -3)), "a case is (5, -3)"),
        (lambda: tg.shapes(((5, 3), "x")), "a case is ((5, 3), 'x')"),
        (lambda: tg.shapes((5, True)), "a case is (5, True)"),
        (lambda: tg.shapes((5, 3), dtype=int), "dtype is int64; expected float32 or float64"),
        (lambda: tg.case((5, 3)), "case: draw is (5, 3); expected a function of a NumPy generator"),
        (lambda: tg.hidden("x"), "hidden: a case is 'x'"),
    ],
)
def test_cases(make, message):
    with pytest.raises(TypeError) as error:
        make()
    assert message in str(error.value)


def test_inputs_are_generic_and_the_same_for_the_same_seed():
    [case] = tg.shapes(((5, 3), (3, 7), ()))
    inputs, again, other = case.inputs([1, 2]), case.inputs([1, 2]), case.inputs([1, 3])
    assert [x.shape for x in inputs] == [(5, 3), (3, 7), ()]
    assert all(np.array_equal(x, y) for x, y in zip(inputs, again, strict=True))
    assert not np.array_equal(inputs[0], other[0])
    assert (inputs[0] < 0).any() and (inputs[0] > 0).any() and np.unique(inputs[0]).size == 15
    assert tg.shapes((4,), dtype="float32")[0].inputs([0])[0].dtype == np.float32


def test_an_assignment_as_a_whole():
    with pytest.raises(ValueError, match="assignment 'hw1' has no items"):
        hw().validate()
    one = hw(points=5)
    one.rule(**RULE)
    with pytest.raises(ValueError, match="points is 5, but those of its items add up to 3 = 3"):
        one.validate()
    with pytest.raises(ValueError, match="name is 'softmax', which another item has"):
        one.rule(**RULE)
    assert one.with_feedback("fact").feedback == "fact" and one.feedback == "hint"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "hw.py declares 0 assignments (none); expected one"),
        ("import tinyad.grade as tg\na = tg.Assignment('a')\nb = tg.Assignment('b')", "declares 2 assignments ('a', 'b')"),
        ("import tinyad.grade as tg\ntg.Assignment('')", "hw.py raised ValueError: name is ''"),
        ("def", "hw.py raised SyntaxError"),
    ],
)
def test_files_that_declare_no_assignment(tmp_path, source, message):
    (tmp_path / "hw.py").write_text(source)
    with pytest.raises(ValueError) as error:
        load_assignment(tmp_path / "hw.py")
    assert message in str(error.value)


def test_a_file_and_what_it_imports_from_beside_it_are_private(tmp_path):
    (tmp_path / "solutions_of_this_test.py").write_text("import numpy as np\nreference = np.tanh\n")
    (tmp_path / "hw.py").write_text(
        "from solutions_of_this_test import reference\nimport tinyad.grade as tg\nhw = tg.Assignment('hw1')\nsame = hw\n"
        "hw.rule('tanh', student='a.py:f,b', reference=reference, cases=tg.shapes((3,)), points=1)\n"
    )
    loaded = load_assignment(tmp_path / "hw.py")
    assert [path.name for path in loaded.private] == ["hw.py", "solutions_of_this_test.py"]
    assert not list(tmp_path.rglob("*.pyc"))
    with pytest.raises(FileNotFoundError, match="there is no assignment"):
        load_assignment(tmp_path / "other.py")


def test_each_assignment_has_modules_of_its_own(tmp_path):
    source = "import own_ops\nimport tinyad.grade as tg\nhw = tg.Assignment(own_ops.NAME, points=1)\n"
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own_ops.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / name / "hw.py").write_text(source)
    loaded = [load_assignment(tmp_path / name / "hw.py") for name in ("first", "second", "first")]
    assert [each.name for each in loaded] == ["first", "second", "first"]
    assert all(tmp_path / each.name / "own_ops.py" in each.private for each in loaded)
    assert "own_ops" not in sys.modules
