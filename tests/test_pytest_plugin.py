"""The pytest plugin, in runs of pytest of its own."""

import json
import subprocess
import sys

import pytest

import pytest_tinyad

# Imported here, before pytester keeps the modules there are: NumPy cannot be imported twice.
from tinyad.checking.report import LEVELS

pytest_plugins = ["pytester"]

HEAD = """
import numpy as np
import pytest
import tinyad as ad

X = np.array([0.5, -1.5, 2.0])

def square(x):
    return x**2, x

def right(x, gy):
    return (2 * x * gy,)

def wrong(x, gy):
    return (x * gy,)
"""

MIXED = """
@pytest.mark.gradcheck(points=2)
def test_right(gradcheck):
    assert gradcheck.rule(square, right, X).passed

@pytest.mark.gradcheck(points=3)
def test_wrong(gradcheck):
    gradcheck.rule(square, wrong, X)

@pytest.mark.gradcheck(points=4, hidden=True)
def test_hidden(gradcheck):
    gradcheck.rule(square, wrong, X)

@pytest.mark.gradcheck(points=1)
def test_skipped(gradcheck):
    pytest.skip("not today")

def test_without_points(gradcheck):
    gradcheck(ad.exp, X)

def test_of_something_else():
    assert X.size == 3
"""


@pytest.fixture
def run(pytester):
    """Run pytest on tests, and return what came of it."""

    def run_tests(tests, *options):
        pytester.makepyfile(test_homework=HEAD + tests)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    return run_tests


# ---- the fixture


def test_each_kind_of_subject_goes_to_its_check(run):
    result = run("""
class Value:
    def __init__(self, data):
        self.data = data

class Square:
    def forward(self, x):
        self.x = x
        return x**2
    def backward(self, gy):
        return 2 * self.x * gy

def test_function(gradcheck):
    assert gradcheck(ad.tanh, X).function == "tanh"

def test_pair(gradcheck):
    assert gradcheck(square, right, X).function == "square"

def test_layer(gradcheck):
    assert "Square" in gradcheck(Square(), X).function

def test_engine(gradcheck):
    report = gradcheck(Value, raises=False)
    assert report.diagnoses[0].label == "interface" and not report.passed
    assert gradcheck.engine(Value, raises=False).as_dict() == report.as_dict()
""")
    result.assert_outcomes(passed=4)


def test_options_of_the_run_are_those_of_the_checks(run):
    tests = """
def test_seed(gradcheck):
    assert gradcheck(ad.sin, X).seed == 7
    assert gradcheck(ad.sin, X, seed=8).seed == 8

def test_feedback(gradcheck):
    assert gradcheck(ad.sin, X).feedback == "fact"
    assert gradcheck(ad.sin, X, feedback="hint").feedback == "hint"
"""
    run(tests, "--tinyad-seed=7", "--tinyad-feedback=fact").assert_outcomes(passed=2)


# ---- failures


def test_a_failure_shows_the_line_of_the_test_and_the_report(run):
    result = run("""
def test_square(gradcheck):
    gradcheck.rule(square, wrong, X)
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_homework.py:*: in test_square",
            "    gradcheck.rule(square, wrong, X)",
            "E   check of square: FAILED *",
            "*- gradient check -*",
            "*exactly 1/2 times the right gradient*D23 factor*",
            "FAILED test_homework.py::test_square - check of square: FAILED*",
        ]
    )
    text = result.stdout.str()
    assert "pytest_tinyad.py" not in text and "rules.py" not in text
    assert text.count("D23 factor, residual") == 1


def test_feedback_of_the_section(run):
    test = """
def test_square(gradcheck):
    gradcheck.rule(square, wrong, X)
"""
    assert "likely" not in run(test, "--tinyad-feedback=fact").stdout.str()
    assert "likely" in run(test, "--tinyad-feedback=hint").stdout.str()


def test_checks_without_the_fixture_are_shown_in_the_same_way(run):
    result = run("""
def helper(backward):
    ad.check_rule(square, backward, X)

def test_square():
    helper(wrong)
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["test_homework.py:*: in helper", "    ad.check_rule(square, backward, X)", "*- gradient check -*"]
    )


def test_other_failures_are_left_to_pytest(run):
    result = run("""
def test_square(gradcheck):
    assert gradcheck.rule(square, wrong, X, raises=False).passed, "my own words"
""")
    result.stdout.fnmatch_lines(["*my own words*"])
    result.stdout.no_fnmatch_line("*- gradient check -*")


def test_a_hidden_check_says_nothing_but_that_it_failed(run):
    result = run("""
@pytest.mark.gradcheck(points=2, hidden=True)
def test_secret(gradcheck):
    print("the inputs")
    gradcheck.rule(square, wrong, X)
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["a hidden check failed", "gradient checks: 0 of 2 points"])
    for secret in ("the inputs", "D23", "gradcheck.rule"):
        result.stdout.no_fnmatch_line(f"*{secret}*")


# ---- points and JSON


def test_points_and_reports_as_json(run, pytester):
    result = run(MIXED, "--tinyad-json=out/grades.json", "--tinyad-seed=3")
    result.assert_outcomes(passed=3, failed=2, skipped=1)
    result.stdout.fnmatch_lines(["gradient checks: 2 of 10 points"])
    grades = json.loads((pytester.path / "out" / "grades.json").read_text())
    assert (grades["points"], grades["earned"], grades["seed"]) == (10, 2, 3)
    tests = {test["id"].split("::")[1]: test for test in grades["tests"]}
    assert list(tests) == ["test_hidden", "test_right", "test_skipped", "test_without_points", "test_wrong"]
    assert [test["outcome"] for test in tests.values()] == ["failed", "passed", "skipped", "passed", "failed"]
    assert tests["test_hidden"]["hidden"] and not tests["test_right"]["hidden"]
    assert tests["test_hidden"]["reports"][0]["diagnoses"][0]["id"] == "D23"
    assert tests["test_right"]["reports"][0]["seed"] == 3
    assert [len(test["reports"]) for test in tests.values()] == [1, 1, 0, 1, 1]
    assert not list((pytester.path / "out").glob("*.tmp"))


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_workers_of_xdist_give_the_same_json_as_one_process(run, pytester, workers):
    pytest.importorskip("xdist")
    run(MIXED, "--tinyad-json=one.json")
    result = run(MIXED, "--tinyad-json=two.json", f"-n{workers}")
    summary = [
        f"FAILED test_homework.py::test_{end}" for end in ("wrong - check of square: FAILED*", "hidden - a hidden check failed")
    ]
    for line in ("a hidden check failed", "*- gradient check -*", "gradient checks: 2 of 10 points", *summary):
        result.stdout.fnmatch_lines([line])
    assert (pytester.path / "one.json").read_bytes() == (pytester.path / "two.json").read_bytes()


def test_a_failure_to_tear_down_takes_the_points(run, pytester):
    result = run(
        """
@pytest.fixture
def resource():
    yield
    raise OSError("not closed")

@pytest.mark.gradcheck(points=2)
def test_right(gradcheck, resource):
    gradcheck.rule(square, right, X)
""",
        "--tinyad-json=grades.json",
    )
    result.assert_outcomes(passed=1, errors=1)
    [test] = json.loads((pytester.path / "grades.json").read_text())["tests"]
    assert (test["outcome"], test["earned"]) == ("failed", 0)
    assert len(test["reports"]) == 1


def test_junit_has_the_first_line_as_its_message(run, pytester):
    run(MIXED, "--junitxml=junit.xml")
    text = (pytester.path / "junit.xml").read_text()
    assert "check of square: FAILED" in text and "[D23 factor]" in text


@pytest.mark.parametrize("marker", ["gradcheck(3)", "gradcheck(point=3)", "gradcheck(points=-1)", "gradcheck(points='3')"])
def test_markers_that_say_nothing_are_refused(run, marker):
    result = run(f"""
@pytest.mark.{marker}
def test_right(gradcheck):
    gradcheck.rule(square, right, X)
""")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*expected points=<a number, not negative> and hidden=<True or False>*"])


def test_a_negative_seed_is_refused(run):
    result = run(MIXED, "--tinyad-seed=-4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--tinyad-seed is -4; expected 0 or more.*"])


# ---- a guest in other people's runs


def test_folders_with_a_conftest_and_without(pytester):
    for folder in ("one", "two"):
        pytester.mkdir(folder).joinpath(f"test_{folder}.py").write_text("def test_nothing(): pass\n")
    pytester.path.joinpath("one", "conftest.py").write_text("def pytest_collect_file(): pass\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "one", "two").assert_outcomes(passed=2)


def test_the_plugin_imports_neither_numpy_nor_tinyad():
    code = "import pytest_tinyad, sys; print([name for name in ('numpy', 'tinyad') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_without_gradient_checks_imports_neither(pytester):
    pytester.makepyfile("""
        import sys

        def test_nothing():
            assert not {"numpy", "tinyad"} & set(sys.modules)
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--strict-markers")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*gradient checks*")


def test_the_marker_and_the_options_are_documented(pytester):
    assert "@pytest.mark.gradcheck(points=0, hidden=False)" in pytester.runpytest_inprocess("--markers").stdout.str()
    options = pytester.runpytest_inprocess("--help").stdout.str()
    assert all(f"--tinyad-{name}" in options for name in ("seed", "json", "feedback"))


def test_the_levels_are_those_of_the_reports():
    assert pytest_tinyad.LEVELS == LEVELS
