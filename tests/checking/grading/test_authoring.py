"""An author's way: a new assignment, its faults found, and the students' copy, which gives nothing away."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinyad.grade as tg
from tests.checking.grading.authors import HW, author, run_file
from tinyad.__main__ import main
from tinyad.checking.grading.build import build
from tinyad.checking.grading.handout import AuthorError, Handout, hand_out, leaks, sources, write_files
from tinyad.checking.grading.lint import lint
from tinyad.checking.grading.loading import load_assignment
from tinyad.checking.grading.notebook import cells_of

CHECKOUT = Path(__file__).resolve().parents[3]


def run(*arguments, cwd):
    """A command in a process of its own."""
    environment = os.environ | {"TINYAD_NO_DOCTOR": "1", "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "tinyad", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


# ---- the whole way


def test_from_a_new_assignment_to_a_grade(tmp_path, capsys):
    done = run("assign", "new", "hw1", cwd=tmp_path)
    assert done.returncode == 0 and "Next: python -m tinyad assign lint" in done.stdout
    done = run("assign", "lint", "hw1/hw.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hw.py: all is in order\n")
    done = run("assign", "build", "hw1/hw.py", "student", cwd=tmp_path)
    assert done.returncode == 0 and "student: README.md, ops.py" in done.stdout
    done = run("check", "ops.py::softmax", cwd=tmp_path / "student")
    assert done.returncode == 3 and "softmax_backward is yours to write" in done.stdout
    hw1, student, grade = (str(tmp_path / name) for name in ("hw1", "student", "grade.json"))
    for submission, score in ((student, 0), (hw1, 5)):
        assert main(["grade", f"{hw1}/hw.py", submission, "--out", grade]) == 0
        assert f"hw1: {score} of 5 points" in capsys.readouterr().out


def test_a_new_assignment_needs_a_new_folder(tmp_path, capsys):
    folder = tmp_path / "it's 2026"
    assert main(["assign", "new", str(folder)]) == 0
    assert load_assignment(folder / "hw.py").name == "it's 2026"
    assert main(["assign", "new", str(folder)]) == 2
    assert "holds something already" in capsys.readouterr().err
    assert main(["assign", "new", str(tmp_path / "b"), "--name", "week 2"]) == 0
    assert load_assignment(tmp_path / "b" / "hw.py").name == "week 2"


# ---- the students' copy


def test_the_students_copy_and_the_authors(tmp_path):
    file = author(tmp_path / "author")
    built = build(file, tmp_path / "student")
    assert built.files == ("ops.py",)
    text = (tmp_path / "student" / "ops.py").read_text()
    assert text.startswith('"""Derivatives to write."""\n\nimport numpy as np\n')
    assert 'raise NotImplementedError("tanh_backward is yours to write")' in text
    assert "slope" not in text and "SOLUTION" not in text and "hidden" not in text
    build(file, tmp_path / "teacher", teacher=True)
    there = run_file(tmp_path / "teacher" / "ops.py")
    assert there["tanh_backward"](0.5, 2.0) == 1.5


def test_files_beside_the_assignment(tmp_path):
    solution = "import helper\n\ndef f(x):\n    ### BEGIN SOLUTION\n    return helper.g(x), x\n    ### END SOLUTION\n"
    helper = "def g(x):\n    ### BEGIN SOLUTION\n    return x + 0 * x**2\n    ### END SOLUTION\n"
    source = (
        "import numpy as np, reference, tinyad.grade as tg\n"
        "hw = tg.Assignment('a', handout=['data.bin'])\n"
        "hw.rule('f', 'ops.py:f,b', reference.f, cases=tg.shapes((3,)), points=1)\n"
    )
    file = author(
        tmp_path / "author", source, ops=solution + "\ndef b(x, dy):\n    return dy\n", helper=helper, reference="f = abs\n"
    )
    (file.parent / "README.md").write_text("Words.\n<!-- BEGIN SOLUTION -->\nThe answer.\n<!-- END SOLUTION -->\n")
    (file.parent / "data.bin").write_bytes(bytes(range(256)))
    (file.parent / "more.txt").write_text("more\n")
    built = build(file, tmp_path / "student", add=[file.parent / "more.txt"])
    assert built.files == ("README.md", "data.bin", "helper.py", "more.txt", "ops.py")
    assert (tmp_path / "student" / "README.md").read_text() == "Words.\n"
    assert (tmp_path / "student" / "data.bin").read_bytes() == bytes(range(256))


def test_what_cannot_be_built(tmp_path, capsys):
    file = author(tmp_path / "author")
    assert main(["assign", "build", str(file), str(tmp_path / "student")]) == 0
    assert "No line of a solution" in capsys.readouterr().out
    assert main(["assign", "build", str(file), str(tmp_path / "student")]) == 2
    assert "add --replace" in capsys.readouterr().err
    assert main(["assign", "build", str(file), str(tmp_path / "student"), "--replace"]) == 0
    assert main(["assign", "build", str(file), str(tmp_path), "--replace"]) == 2
    assert "in which the assignment lies" in capsys.readouterr().err and file.is_file()
    assert main(["assign", "build", str(file), str(tmp_path / "new"), "--add", str(file)]) == 1
    assert "is the assignment itself" in capsys.readouterr().err
    assert main(["assign", "build", str(file), str(tmp_path / "new"), "--add", str(file.parent / "no.txt")]) == 1
    assert "no.txt, which --add names, is missing" in capsys.readouterr().err
    assert main(["assign", "build", str(file), str(tmp_path / "new"), "--add", __file__]) == 1
    assert "does not lie beside" in capsys.readouterr().err
    author(tmp_path / "author", HW.replace("    ### END SOLUTION\n\n\ndef scale_f", "\n\ndef scale_f"))
    assert main(["assign", "build", str(file), str(tmp_path / "new")]) == 1
    assert "BEGIN SOLUTION inside of SOLUTION" in capsys.readouterr().err
    author(tmp_path / "author", HW, ops="def tanh_forward(x): ### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION\n")
    assert main(["assign", "build", str(file), str(tmp_path / "new")]) == 1
    assert "ops.py is there twice" in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".new*"))


def test_a_copy_that_would_give_a_solution_away_is_not_written(tmp_path, monkeypatch):
    import tinyad.checking.grading.handout as module

    file = author(tmp_path / "author")
    monkeypatch.setattr(module, "for_students", lambda text, python: text.replace("### ", "# "))
    with pytest.raises(AuthorError, match=r"ops.py: 'slope = ONE - y\*\*2', from a solution \(hw.py, line 21\)"):
        build(file, tmp_path / "student")
    assert not (tmp_path / "student").exists()


@pytest.mark.parametrize("line", ["    slope = ONE - y**2", "return factor * dy", "# return dy * slope"])
def test_the_look_for_leaks(tmp_path, line):
    """A line of a solution is found wherever it stands; in a comment it is another line."""
    file = author(tmp_path / "author")
    handout = hand_out(sources(file, load_assignment(file)))
    write_files(tmp_path / "copy", handout.student)
    assert leaks(handout, tmp_path / "copy") == []
    write_files(tmp_path / "copy", {"notes/text.md": f"Words.\n{line}\n".encode()})
    assert bool(leaks(handout, tmp_path / "copy")) == (not line.startswith("#"))


def test_the_look_for_leaks_reads_notebooks(tmp_path):
    handout = Handout(secret={"return 2 * x": "ops.py, line 3"})
    cells = [{"source": ["def f(x):\n", "    return 2 * x"]}, {"source": "text"}]
    write_files(tmp_path, {"a.ipynb": json.dumps({"cells": cells}).encode(), "b.ipynb": b"no JSON", "c.bin": bytes(range(256))})
    assert leaks(handout, tmp_path) == ["a.ipynb: 'return 2 * x', from a solution (ops.py, line 3)"]
    write_files(tmp_path, {"a.ipynb": b"{}", "d.md": b"### END SOLUTION"})
    assert leaks(handout, tmp_path) == ["d.md: a marker is left"]


def test_lines_that_stand_outside_of_solutions_as_well_are_no_leak(tmp_path):
    handout = Handout(secret={"return x": "ops.py, line 3", "pass": "ops.py, line 4"})
    handout.given["return x"] = 1
    write_files(tmp_path, {"a.py": b"return x\npass\n", "b.py": b"return x\nreturn x\n"})
    assert leaks(handout, tmp_path) == ["b.py: 'return x', from a solution (ops.py, line 3)"]
    assert leaks(handout, tmp_path, ["return x"]) == []


# ---- notebooks and tests for other graders


def test_notebooks_for_nbgrader(tmp_path):
    file = author(tmp_path / "author")
    build(file, tmp_path / "student", notebook=True)
    build(file, tmp_path / "teacher", notebook=True, teacher=True)
    student = json.loads((tmp_path / "student" / "ops.ipynb").read_text())
    about = {cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["nbgrader"] for cell in student["cells"]}
    assert [name for name, cell in about.items() if cell["solution"]] == ["tanh_backward", "scale_backward"]
    assert {name: cell["points"] for name, cell in about.items() if cell["grade"]} == {"test-tanh": 3, "test-scale": 2}
    assert all(cell["locked"] != cell["solution"] and cell["schema_version"] == 3 for cell in about.values())
    assert student["cells"][0]["cell_type"] == "markdown" and student["cells"][0]["source"] == ["Derivatives to write."]
    teacher = (tmp_path / "teacher" / "ops.ipynb").read_text()
    assert teacher.count("### BEGIN SOLUTION") == 2 and teacher.count("tg.grade_here('hw.py', 'tanh'") == 1
    assert "grade_here" not in json.dumps(student)


def test_cells_of_a_file_in_percent_format():
    text = "# %% [markdown]\n# A *word*.\n#\n# Another.\n# %%\n\nx = 1\n\n# %% a title\ny = 2\n"
    text += '# %% [markdown]\n"""\nIn a string.\n"""\n'
    found = [("markdown", "A *word*.\n\nAnother."), ("code", "x = 1"), ("code", "y = 2"), ("markdown", "In a string.")]
    assert cells_of(text) == found


def test_cells_between_definitions():
    text = '"""Words."""\nimport numpy\n\n# ---- of f\n@decorated\ndef f(x):\n    return x\n    # an end\n\n'
    text += "x = f(1)\nclass A:\n    pass\n"
    assert [body for _, body in cells_of(text)] == [
        "Words.",
        "import numpy",
        "# ---- of f\n@decorated\ndef f(x):\n    return x\n    # an end",
        "x = f(1)",
        "class A:\n    pass",
    ]


def test_the_visible_cases_travel_without_the_references(tmp_path):
    built = build(author(tmp_path / "author"), tmp_path / "student", otter=True)
    assert built.files == ("ops.py", "tests/scale.py", "tests/tanh.py", "visible.cases")
    file = tmp_path / "student" / "visible.cases"
    assert b"hidden" not in file.read_bytes()

    def forward(x):
        return np.tanh(x), np.tanh(x)

    assert tg.check_visible(file, "tanh", forward, lambda y, dy: dy * (1 - y**2)) == "tanh: all 2 cases pass"
    with pytest.raises(AssertionError, match=r"2 of 2 cases fail.\ncheck of tanh at \(5, 3\): FAILED"):
        tg.check_visible(file, "tanh", forward, lambda y, dy: dy * (1 + y**2))
    with pytest.raises(AssertionError, match="the output of forward is wrong in 15 of 15 entries"):
        tg.check_visible(file, "tanh", lambda x: (np.sin(x), x), lambda x, dy: dy * np.cos(x))
    with pytest.raises(AssertionError, match="forward raised NameError"):
        tg.check_visible(file, "tanh", lambda x: undefined, lambda x, dy: dy)  # noqa: F821
    with pytest.raises(ValueError, match="there is no rule 'sinh'"):
        tg.check_visible(file, "sinh", forward, forward)
    with pytest.raises(ValueError, match="cannot be read"):
        tg.check_visible(tmp_path / "author" / "hw.py", "tanh", forward, forward)


def test_a_zip_for_gradescope_beside_the_copy(tmp_path, capsys):
    wheel = tmp_path / "tinyad-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    file = author(tmp_path / "author")
    arguments = [str(file), str(tmp_path / "student"), "--gradescope", "--wheel", str(wheel)]
    assert main(["assign", "build", *arguments]) == 0
    with zipfile.ZipFile(tmp_path / "student-gradescope.zip") as archive:
        assert {"setup.sh", "run_autograder", "hw.py", wheel.name} == set(archive.namelist())
    assert not list((tmp_path / "student").glob("*.zip"))


# ---- faults


def faults(tmp_path, source, **files):
    return [str(finding) for finding in lint(author(tmp_path, source, **files))]


def test_an_assignment_that_is_in_order(tmp_path, capsys):
    assert faults(tmp_path, HW) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    ### END SOLUTION\n\n\ndef scale_f", "\n\ndef scale_f", "hw.py:30: BEGIN SOLUTION inside of SOLUTION (line 20)"),
        ("### END FILE", "", "hw.py:5: BEGIN FILE has no end"),
        ("points=5", "points=6", "hw.py: assignment 'small': points is 6, but those of its items add up to 3 + 2 = 5."),
        (
            'hw.rule("scale"',
            'hw.rule("tanh"',
            "hw.py: hw.py raised ValueError: rule 'tanh': name is 'tanh', which another item has",
        ),
        (
            "(tanh_forward, tanh_backward)",
            "(tanh_forward, lambda y, dy: dy * y)",
            "the reference does not pass its own check: input 0",
        ),
        ("cases=tg.shapes((5, 3), (4", "cases=tg.shapes((5, 3), (5, 3), (4", "rule 'tanh' has 2 cases called '(5, 3)'"),
        ("dict(factor=-3.0)", "dict(factor='a')", "rule 'scale' at (5, 3); factor='a': the case or the reference raised"),
        ("ops.py:scale_forward,scale_b", "ops.py:scale_forward,scaleb", "'scale' asks for scaleback"),
        ("ops.py:scale_forward", "more.py:scale_forward", "more.py, which 'scale' names, is missing"),
        (
            "def scale_forward(x",
            "def tanh_forward(x):\n    return x, x\n\n\ndef scale_forward(x",
            "hw.py:26: tanh_forward is defined twice, first in line 13",
        ),
        ("def scale_forward(x", "def scale forward(x", "raised SyntaxError"),
    ],
)
def test_faults_are_found(tmp_path, old, new, said):
    source = HW.replace(old, new)
    assert source != HW
    found = faults(tmp_path, source)
    assert any(said in each for each in found), found


def test_points_for_nothing(tmp_path):
    """The copy is graded as it is handed out: forward that is given earns its share, and so does a solution without markers."""
    found = faults(tmp_path / "a", HW.replace("points=3, weights=WEIGHTS", "points=3"))
    assert "the student's copy as it is gets 0.4 of 2 points for 'tanh'; forward is given, so let it weigh nothing" in found[0]
    solved = HW.replace("    ### BEGIN SOLUTION\n    return factor * dy\n    ### END SOLUTION", "    return factor * dy")
    found = faults(tmp_path / "b", solved)
    assert len(found) == 1 and "gets 2 of 2 points for 'scale'; is there no solution region in what it grades?" in found[0]


def test_a_solution_that_does_not_get_all_points(tmp_path):
    source = HW.replace("reference=(scale_forward, scale_backward)", "reference=lambda x, factor: factor * x + 1")
    found = faults(tmp_path, source)
    assert len(found) == 1 and "the solution gets 2 of 2" not in found[0]
    assert "for 'scale': 0 of 2 cases pass" in found[0]


def test_what_the_grader_refuses(tmp_path):
    source = HW.replace("reference=(scale_forward, scale_backward)", "reference=lambda x, factor: (factor * x).astype(int)")
    assert "the reference returned" in faults(tmp_path, source)[0]


def test_two_items_that_grade_the_same(tmp_path):
    again = (
        HW[HW.index('hw.rule("scale"') :].replace('"scale"', '"again"').replace("points=2", "points=1").replace(" hw", " hw")
    )
    found = faults(tmp_path, HW.replace("points=5", "points=6") + again)
    assert found == ["hw.py: 2 items grade scale_forward, scale_backward of ops.py alike; each mistake costs twice"]


def test_the_command_that_lints(tmp_path, capsys):
    file = author(tmp_path, HW.replace("points=5", "points=6"))
    assert main(["assign", "lint", str(file)]) == 1
    assert capsys.readouterr().out.endswith("hw.py: 1 to mend\n")
    assert main(["assign", "lint", str(tmp_path / "no.py")]) == 2
    assert "there is no assignment" in capsys.readouterr().err
