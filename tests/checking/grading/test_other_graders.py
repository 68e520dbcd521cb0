"""What other graders are given: points that nbgrader reads as such, test files for otter, JUnit XML and tables.

With nbgrader and otter installed (the extra ``test-graders``) they themselves judge; without, nbgrader's rule is stated here.
"""

import csv
import io
import json
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tinyad as ad
import tinyad.grade as tg
from tests.checking.grading.authors import author, run_file
from tests.checking.grading.students import WRONG_TANH, assignment, graded
from tinyad.__main__ import main
from tinyad.checking.grading.build import build
from tinyad.checking.grading.formats import FORMATS
from tinyad.checking.grading.junit import as_junit
from tinyad.checking.grading.notebook import graded_notebook
from tinyad.checking.grading.otter import as_otter, file_name, otter_test
from tinyad.checking.grading.table import as_csv, row_of

X = np.array([[1.0, -2.0, 0.5]])


def square(x):
    return x**2, x


def right(x, dy):
    return 2 * x * dy


def wrong(x, dy):
    return x * dy


# ---- points in a notebook


def nbgrader_score(text, most):
    """nbgrader's rule for a cell without errors and without stderr, whose last expression shows this text."""
    try:
        score = float(text)
    except ValueError:
        return most
    if score > most:
        raise ValueError("more than all points")
    return score


@pytest.mark.parametrize(
    ("report", "earned"),
    [
        (lambda: ad.check_rule(square, right, X), 5.0),
        (lambda: ad.check_rule(square, wrong, X), 0.0),
        (lambda: ad.check_rule(square, wrong, X, raises=False), 0.0),
        (lambda: ad.check_rule(square, lambda x: x, X), 0.0),
        (lambda: undefined, 0.0),  # noqa: F821
        (True, 5.0),
        (np.False_, 0.0),
        (0.7, 3.5),
        (np.float64(0.7), 3.5),
        (7, 5.0),
        (-1, 0.0),
        (float("nan"), 0.0),
        (lambda: 0.5, 2.5),
    ],
)
def test_points_are_what_nbgrader_reads(report, earned):
    points = tg.points(report, 5)
    assert isinstance(points, float) and nbgrader_score(repr(points), 5) == pytest.approx(earned)
    assert repr(points) == str(points) == repr(float(points))
    assert f"<b>{points!r} points</b>" in points._repr_html_()


def test_other_values_would_earn_everything():
    """Why points are needed."""
    assert nbgrader_score(repr(False), 5) == nbgrader_score(repr(np.float64(3.5)), 5) == 5
    assert nbgrader_score(repr(ad.check_rule(square, wrong, X, raises=False)), 5) == 5


def test_points_show_the_report_and_refuse_what_is_none():
    points = tg.points(lambda: ad.check_rule(square, wrong, X, raises=False), 2)
    assert "exactly 1/2 times the right gradient" in points.text and "1/2 times" in points._repr_html_()
    with pytest.raises(TypeError, match="report is a str"):
        tg.points("passed", 2)
    for most in (-1, True, float("inf"), "2"):
        with pytest.raises(ValueError, match="expected a number of at least 0"):
            tg.points(True, most)


def test_nothing_goes_to_stderr(capsys):
    def noisy(x, dy):
        warnings.warn("look", RuntimeWarning, stacklevel=1)
        print("a word", file=sys.stderr)
        return 2 * x * dy * np.log(np.array(0.0)) / np.inf

    assert tg.points(lambda: ad.check_rule(square, noisy, X, raises=False), 5) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and "a word" in captured.out


def test_a_rule_graded_in_this_process(tmp_path):
    file = author(tmp_path)

    def forward(x):
        return np.tanh(x), np.tanh(x)

    def good(y, dy):
        return dy * (1 - y**2)

    assert tg.grade_here(file, "tanh", forward, good) == 3.0
    assert tg.grade_here(file, "tanh", forward, lambda y, dy: dy * y) == pytest.approx(0.6)
    assert tg.grade_here(file, "tanh", forward, lambda y, dy: good(y, dy) * (1 + (y.ndim == 1)), hidden=False) == 3.0
    with pytest.raises(AssertionError, match=r"0.6 of 3 points\n\(7,\)\n"):
        tg.grade_here(file, "tanh", forward, lambda y, dy: good(y, dy) * (1 + (y.ndim == 1)), hidden=True, raises=True)
    assert tg.grade_here(file, "tanh", lambda x: 1 / 0, good) == 0
    with pytest.raises(ValueError, match="has no rule 'sinh'; expected one of 'tanh', 'scale'"):
        tg.grade_here(file, "sinh", forward, good)
    with pytest.raises(ValueError, match="rule 'scale' has no cases that are hidden"):
        tg.grade_here(file, "scale", forward, good, hidden=True)


# ---- nbgrader itself


def executed(*sources, points=5.0, folder="."):
    """Cells run in one kernel; the last is graded, by nbgrader."""
    utils = pytest.importorskip("nbgrader.utils", reason="nbgrader is not installed: the extra test-graders")
    import nbclient
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    about = {"grade": True, "solution": False, "locked": True, "points": points, "grade_id": "it", "schema_version": 3}
    book.cells[-1].metadata["nbgrader"] = about
    client = nbclient.NotebookClient(
        book, allow_errors=True, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return utils.determine_grade(book.cells[-1])[0]


BEFORE = """
import numpy as np, sys, warnings
import tinyad as ad, tinyad.grade as tg
x = np.array([1.0, -2.0])
def square(x): return x**2, x
def right(x, dy): return 2 * x * dy
def wrong(x, dy): return x * dy
def noisy(x, dy):
    warnings.warn("look", RuntimeWarning)
    print("a word", file=sys.stderr)
    np.log(np.array([0.0]))
    return 2 * x * dy
"""


@pytest.mark.parametrize(
    ("cell", "score"),
    [
        ("tg.points(lambda: ad.check_rule(square, right, x), 5)", 5),
        ("tg.points(lambda: ad.check_rule(square, wrong, x), 5)", 0),
        ("tg.points(ad.check_rule(square, wrong, x, raises=False), 5)", 0),
        ("ad.check_rule(square, wrong, x)", 0),
        ("tg.points(0.7, 5)", 3.5),
        ("tg.points(lambda: ad.check_rule(square, noisy, x), 5)", 5),
        ("tg.points(lambda: np.log(np.array([0.0])).sum() < 0, 5)", 5),
    ],
)
def test_cells_graded_by_nbgrader(cell, score):
    assert executed(BEFORE, cell) == pytest.approx(score)


def test_the_notebooks_of_an_assignment_in_nbgrader(tmp_path):
    """The teacher's notebook gets all points in nbgrader, the student's none."""
    utils = pytest.importorskip("nbgrader.utils", reason="nbgrader is not installed: the extra test-graders")
    import nbclient
    import nbformat
    from nbgrader.nbgraderformat import MetadataValidator

    file = author(tmp_path / "author")
    for name, teacher, scores in (("teacher", True, [3, 2]), ("student", False, [0, 0])):
        build(file, tmp_path / name, notebook=True, teacher=teacher)
        if teacher:
            (tmp_path / name / "hw.py").write_text(file.read_text())
        book = nbformat.read(tmp_path / name / "ops.ipynb", as_version=4)
        nbformat.validate(book)
        for cell in book.cells:
            MetadataValidator().validate_cell(cell)
        nbclient.NotebookClient(book, allow_errors=True, resources={"metadata": {"path": str(tmp_path / name)}}).execute()
        assert [utils.determine_grade(cell)[0] for cell in book.cells if utils.is_grade(cell)] == scores


def test_a_grade_as_a_notebook(tmp_path):
    grade = graded(tmp_path, tanh=WRONG_TANH)
    book = json.loads(graded_notebook(grade))
    found = [cell["outputs"][0]["data"]["text/plain"][0] for cell in book["cells"]]
    assert list(map(float, found)) == [test.score for test in grade.tests]
    assert len({cell["metadata"]["nbgrader"]["grade_id"] for cell in book["cells"]}) == len(grade.tests)
    utils = pytest.importorskip("nbgrader.utils", reason="nbgrader is not installed: the extra test-graders")
    import nbformat

    read = nbformat.reads(json.dumps(book), as_version=4)
    nbformat.validate(read)
    expected = [(test.score, test.points) for test in grade.tests]
    assert [utils.determine_grade(cell) for cell in read.cells] == expected


# ---- otter


class Decorator:
    """As much of otter's test_case as its format says."""

    def __init__(self, name=None, points=None, hidden=False, success_message=None, failure_message=None):
        self.name, self.points, self.hidden = name, points, hidden
        self.messages = success_message, failure_message

    def __call__(self, function):
        self.function = function
        return self


def cases_of(source, monkeypatch):
    """The test cases of a file in otter's format, without otter."""
    module = type(sys)("otter.test_files")
    module.test_case = Decorator
    monkeypatch.setitem(sys.modules, "otter", type(sys)("otter"))
    monkeypatch.setitem(sys.modules, "otter.test_files", module)
    there: dict = {}
    exec(compile(source, "test", "exec"), there)
    assert there["OK_FORMAT"] is False and there["name"]
    return [each for each in there.values() if isinstance(each, Decorator)]


def test_test_files_for_otter(tmp_path, monkeypatch):
    file = author(tmp_path / "author")
    build(file, tmp_path / "student", otter=True)
    build(file, tmp_path / "teacher", otter=True, teacher=True)
    student = cases_of((tmp_path / "student" / "tests" / "tanh.py").read_text(), monkeypatch)
    teacher = cases_of((tmp_path / "teacher" / "tests" / "tanh.py").read_text(), monkeypatch)
    assert [(case.points, case.hidden) for case in student] == [(3.0, False)]
    assert [(case.points, case.hidden) for case in teacher] == [(2.0, False), (1.0, True)]
    there = run_file(tmp_path / "teacher" / "ops.py")
    (tmp_path / "teacher" / "hw.py").write_text(file.read_text())
    monkeypatch.chdir(tmp_path / "teacher")
    for case in [*student, *teacher]:
        case.function(there["tanh_forward"], there["tanh_backward"])
        with pytest.raises(AssertionError):
            case.function(there["tanh_forward"], lambda y, dy: dy)


def test_a_grade_for_otter(tmp_path, monkeypatch):
    grade = graded(tmp_path, tanh=WRONG_TANH)
    found = cases_of(as_otter(grade), monkeypatch)
    passed = []
    for case in found:
        try:
            case.function()
            passed.append(case)
        except AssertionError:
            assert case.messages[1]
    assert sum(case.points for case in passed) == pytest.approx(grade.score)
    assert sum(case.points for case in found) == pytest.approx(grade.points)


def test_files_loaded_by_otter_itself(tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = pytest.importorskip("otter.test_files", reason="otter is not installed: the extra test-graders")
    file = author(tmp_path / "author")
    built = build(file, tmp_path / "teacher", otter=True, teacher=True)
    (tmp_path / "teacher" / "hw.py").write_text(file.read_text())
    monkeypatch.chdir(tmp_path / "teacher")
    there = run_file(tmp_path / "teacher" / "ops.py")
    for name in ("tanh", "scale"):
        loaded = files.ExceptionTestFile.from_file(f"tests/{name}.py")
        assert sum(case.points for case in loaded.test_cases) == pytest.approx({"tanh": 3, "scale": 2}[name])
        loaded.run(there)
        assert [result.passed for result in loaded.test_case_results] == [True] * len(loaded.test_cases)
        loaded.run({**there, f"{name}_backward": lambda cache, dy: dy})
        assert not any(result.passed for result in loaded.test_case_results)
    grade = graded(tmp_path / "submission", tanh=WRONG_TANH)
    (tmp_path / "replayed.py").write_text(as_otter(grade))
    replayed = files.ExceptionTestFile.from_file(str(tmp_path / "replayed.py"))
    replayed.run({})
    assert replayed.score == pytest.approx(grade.score) and replayed.possible == pytest.approx(grade.points)
    assert built.files.count("tests/tanh.py") == 1


def test_names_of_questions():
    rule = assignment().items[0]
    assert file_name("///") == "test" and file_name("part 1: f(x)") == "part_1_f_x"
    compile(otter_test(rule), "test", "exec")


# ---- JUnit and tables

# Of each element: the attributes it must and may have, and the elements in it, in this order.
JUNIT = {
    "testsuites": (set(), {"name", "tests", "failures", "errors", "time", "disabled"}, ["testsuite"]),
    "testsuite": ({"name", "tests", "failures", "errors"}, {"skipped", "time", "hostname", "id", "timestamp"}, ["testcase"]),
    "testcase": ({"name", "classname"}, {"time", "status"}, ["skipped", "error", "failure", "system-out", "system-err"]),
    "failure": (set(), {"message", "type"}, []),
    "skipped": (set(), {"message", "type"}, []),
    "system-out": (set(), set(), []),
}


def valid(element):
    """Whether an element is what the common schema of JUnit's XML allows."""
    needed, allowed, inside = JUNIT[element.tag]
    assert needed <= set(element.attrib) <= needed | allowed, element.attrib
    places = [inside.index(child.tag) for child in element]
    assert places == sorted(places)
    return all(map(valid, element))


def test_junit(tmp_path):
    grade = graded(tmp_path, tanh="print('\\x00\\x1b')" + WRONG_TANH)
    grade.tests[1].output += "\x00 \ufffe ]]> & <b>"
    root = ElementTree.fromstring(as_junit(grade).encode())
    assert valid(root)
    [suite] = root
    assert suite.attrib | {"time": ""} == {
        "name": "hw",
        "tests": "3",
        "failures": "2",
        "errors": "0",
        "skipped": "0",
        "time": "",
    }
    assert "D44" in suite[0][0].attrib["type"] and "of 2 points" in suite[0][0].attrib["message"]
    assert "? ? ]]> & <b>" in suite[1][0].text
    grade.tests[0].settle(0.0, "", "not run")
    assert valid(ElementTree.fromstring(as_junit(grade).encode()))


def test_a_table(tmp_path):
    grade = graded(tmp_path, tanh=WRONG_TANH)
    row = row_of(
        "=cmd|' /C calc'!A0", {"score": grade.score, "points": grade.points, "tests": [t.as_dict() for t in grade.tests]}
    )
    [head, line] = csv.reader(io.StringIO(as_csv([row])))
    assert head == ["submission", "score", "points", "1 tanh (2)", "1h tanh, hidden cases (1)", "2 affine (3)"]
    assert line[0] == "'=cmd|' /C calc'!A0" and float(line[1]) == grade.score
    assert as_csv([{"submission": "a", "score": 1, "points": 2}, row]).splitlines()[1] == "a,1,2,,,"


@pytest.mark.parametrize("name", ["nbgrader", "otter", "junit", "csv"])
def test_every_format_from_the_command_line(tmp_path, capsys, name):
    file = author(tmp_path / "author")
    build(file, tmp_path / "submission", teacher=True)
    out = tmp_path / f"grade.{name}"
    assert main(["grade", str(file), str(tmp_path / "submission"), "--format", name, "--out", str(out)]) == 0
    assert "small: 5 of 5 points" in capsys.readouterr().out
    assert out.stat().st_size > 50 and name in FORMATS
    assert Path(out).read_text().count("tanh") >= 1
