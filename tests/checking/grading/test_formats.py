"""Results as Gradescope and programs read them, the zip, and the commands that write them."""

import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.checking.grading.students import TANH, WRONG_TANH, assignment, graded, submission
from tinyad.__main__ import main
from tinyad.checking.grading.formats import FORMATS
from tinyad.checking.grading.gradescope import as_gradescope, write_zip
from tinyad.checking.grading.json_format import as_json
from tinyad.checking.grading.requirements import needed
from tinyad.checking.grading.results import write_atomically

HW = """
import numpy as np
import tinyad.grade as tg
hw = tg.Assignment("hw1", points=2, seed=1)
hw.rule("tanh", student="tanh.py:forward,backward", reference=np.tanh, cases=tg.shapes((3,)), points=2)
"""

TEXTS = {"name", "number", "status", "output", "output_format", "visibility"}


def valid_for_gradescope(results):
    """What its documentation demands of results.json."""
    assert isinstance(results["score"], float) and isinstance(results["tests"], list)
    assert results["visibility"] in ("visible", "hidden", "after_due_date", "after_published")
    for test in results["tests"]:
        assert {"name", "score", "max_score", "status", "output", "visibility"} <= set(test)
        assert all(isinstance(test[key], str) for key in TEXTS & set(test))
        assert 0 <= test["score"] <= test["max_score"] and test["status"] in ("passed", "failed")
        assert test["visibility"] in ("visible", "hidden", "after_due_date", "after_published")
    json.loads(json.dumps(results, allow_nan=False))
    return True


def test_gradescope(tmp_path):
    results = as_gradescope(graded(tmp_path, tanh="print('a')" + WRONG_TANH))
    assert valid_for_gradescope(results)
    tanh, hidden, affine, teacher = results["tests"]
    assert [test["score"] for test in results["tests"]] == [0.8, 0.4, 3, 0] and results["score"] == 4.2
    assert [test["max_score"] for test in results["tests"]] == [2, 1, 3, 0]
    assert [test["status"] for test in results["tests"]] == ["failed", "failed", "passed", "passed"]
    assert tanh["tags"] == ["D44"] and tanh["visibility"] == affine["visibility"] == "visible"
    assert hidden["visibility"] == "after_published" and teacher["visibility"] == "hidden"
    assert "tanh printed:\na" in teacher["output"]
    assert "4.2" not in results["output"]  # the total waits for the hidden cases


def test_json_has_everything_and_no_times(tmp_path):
    text = as_json(graded(tmp_path, tanh=WRONG_TANH))
    data = json.loads(text)
    assert {"schema", "tinyad", "numpy", "seed", "tests", "stages", "score", "points"} <= set(data)
    case = data["tests"][0]["cases"][0]
    assert {"id", "tier", "residual", "args"} <= set(case["diagnoses"][0])
    assert case["shares"] == {"contract": 1, "forward": 1, "purity": 0, "values": 0}
    assert not any("time" in key for key in data) and str(tmp_path) not in text


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_a_whole_file(tmp_path, name):
    grade = graded(tmp_path / "submission", tanh=TANH)
    path = tmp_path / "new" / "results"
    FORMATS[name](grade, path)
    FORMATS[name](grade, path)
    assert path.stat().st_size > 100 and [each.name for each in path.parent.iterdir()] == ["results"]


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_table_of_one_submission_is_called_after_its_folder(tmp_path):
    FORMATS["csv"](graded(tmp_path / "ada", tanh=TANH), tmp_path / "results.csv")
    head, row = (tmp_path / "results.csv").read_text().splitlines()
    assert row.startswith("ada,6.0,6") and head == 'submission,score,points,1 tanh (2),"1h tanh, hidden cases (1)",2 affine (3)'


# ---- the zip


def zipped(tmp_path):
    (tmp_path / "hw1.py").write_text(HW)
    (tmp_path / "tinyad-0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "data.csv").write_text("1,2")
    return tmp_path / "hw1.py", tmp_path / "tinyad-0-py3-none-any.whl", tmp_path / "data.csv"


def test_the_zip_has_its_files_at_the_root(tmp_path):
    hw, wheel, data = zipped(tmp_path)
    target = write_zip(hw, [data], tmp_path / "out" / "a.zip", wheel)
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["setup.sh", "run_autograder", wheel.name, "hw1.py", "data.csv"]
        assert archive.testzip() is None
        modes = {member.filename: member.external_attr >> 16 for member in archive.infolist()}
        assert all(modes[name] & stat.S_IXUSR for name in ("setup.sh", "run_autograder"))
        setup, run = archive.read("setup.sh").decode(), archive.read("run_autograder").decode()
    assert setup.startswith("#!/usr/bin/env bash\n") and run.startswith("#!/usr/bin/env bash\n")
    assert "version_info < (3, 11)" in setup and "{{" not in setup
    assert wheel.name in setup and "adduser --no-create-home --disabled-password" in setup and "o= /autograder/source" in setup
    assert "/autograder/source/hw1.py /autograder/submission" in run
    assert "results=/autograder/results/results.json\n" in run and '--out "$results"\n' in run
    again = write_zip(hw, [data], tmp_path / "b.zip", wheel)
    assert target.read_bytes() == again.read_bytes()


def run_autograder(tmp_path, archive):
    """What Gradescope runs, with another folder for /autograder; results.json."""
    root = tmp_path / "autograder"
    python = root / "python" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    with zipfile.ZipFile(archive) as members:
        members.extractall(root / "source")
    script = (root / "source" / "run_autograder").read_text().replace("/autograder/", f"{root}/")
    submission(root / "submission", tanh=TANH)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads((root / "results" / "results.json").read_text()), done.stderr


@pytest.mark.skipif(os.name != "posix", reason="a script for bash")
@pytest.mark.parametrize(("head", "score"), [("", 2.0), ("import a_package_that_is_not_there", 0.0)])
def test_there_are_results_even_if_the_assignment_cannot_be_loaded(tmp_path, head, score):
    hw, wheel, _ = zipped(tmp_path)
    hw.write_text(head + HW)
    results, said = run_autograder(tmp_path, write_zip(hw, [], tmp_path / "a.zip", wheel))
    assert valid_for_gradescope(results) and results["score"] == score
    assert ("the grader could not begin" in results["output"]) == bool(head) == ("a_package_that_is_not_there" in said)


USES = """
import numpy as np
import tinyad.grade as tg
try:
    import matplotlib
except ImportError:
    matplotlib = None
import helpers

def reference(x):
    import sklearn.utils.extmath as extmath
    return extmath.softmax(x)

hw = tg.Assignment("hw1", seed=1)
hw.rule("tanh", student="tanh.py:forward,backward", reference=reference, cases=tg.shapes((5, 3)), points=2)
"""


def test_packages_that_an_assignment_cannot_do_without_are_named(tmp_path, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    hw, wheel, _ = zipped(tmp_path)
    assert needed(hw) == []
    (tmp_path / "helpers.py").write_text("import json\nprint('loading')")
    hw.write_text(USES)
    command = ["assign", "zip", str(hw), "--wheel", str(wheel), "--out", str(tmp_path / "a.zip")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "hw1.py needs scikit-learn, which would not be installed" in said and "Add --require scikit-learn." in said
    assert not (tmp_path / "a.zip").exists()
    assert main(["assign", "zip", str(hw), "--wheel", str(wheel), "--require", "; rm -r /"]) == 2
    assert "--require is '; rm -r /'; expected a package as pip takes it" in capsys.readouterr().err
    assert main([*command, "--require", "scikit_learn>=1.5", "--require", "tqdm"]) == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert "pip install --no-input 'numpy>=2.0' 'scikit_learn>=1.5' tqdm\n" in archive.read("setup.sh").decode()


def test_without_a_checkout_a_wheel_is_asked_for(tmp_path, monkeypatch, capsys):
    import tinyad.checking.grading.gradescope as gradescope

    monkeypatch.setattr(gradescope, "__file__", str(tmp_path / "lib" / "tinyad" / "checking" / "grading" / "gradescope.py"))
    hw, _, _ = zipped(tmp_path)
    assert main(["assign", "zip", str(hw)]) == 2
    said = capsys.readouterr().err
    assert "Name the wheel: --wheel" in said and "`python -m pip wheel . --no-deps` makes it" in said


def test_the_zip_takes_nothing_from_elsewhere(tmp_path):
    hw, wheel, _ = zipped(tmp_path)
    with pytest.raises(ValueError, match=r"does not lie beside hw1\.py"):
        write_zip(hw, [Path(os.__file__)], tmp_path / "a.zip", wheel)


@pytest.mark.slow
def test_the_wheel_is_built_from_the_checkout(tmp_path, capsys):
    hw, _, _ = zipped(tmp_path)
    assert main(["assign", "zip", str(hw), "--out", str(tmp_path / "a.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        [wheel] = [name for name in archive.namelist() if name.endswith(".whl")]
        assert wheel.startswith("tinyad-") and len(archive.read(wheel)) > 100_000


# ---- commands


def test_grade_writes_results_and_exits_with_0(tmp_path, capsys):
    hw, _, _ = zipped(tmp_path)
    folder, out = submission(tmp_path / "submission", tanh=WRONG_TANH), tmp_path / "results.json"
    assert main(["grade", str(hw), str(folder), "--format", "gradescope", "--out", str(out), "--feedback", "fact"]) == 0
    results = json.loads(out.read_text())
    assert valid_for_gradescope(results) and results["score"] == 0.8 and "likely" not in results["tests"][0]["output"]
    assert "hw1: 0.8 of 2 points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grade", "nothing.py", "."], "there is no assignment 'nothing.py'"),
        (["grade", "hw1.py", "nowhere"], "submission is 'nowhere'; expected a folder"),
        (["grade", "broken.py", "."], "broken.py raised NameError"),
        (["assign", "zip", "broken.py"], "broken.py raised NameError"),
    ],
)
def test_a_wrong_call_exits_with_2(tmp_path, monkeypatch, capsys, words, message):
    zipped(tmp_path)
    (tmp_path / "broken.py").write_text("no_such_name")
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*results*"))


def test_an_error_of_the_grader_exits_with_4(tmp_path, monkeypatch, capsys):
    import tinyad.checking.grading.cli as cli

    def broken(*args, **kwargs):
        raise ZeroDivisionError("in the grader")

    hw, _, _ = zipped(tmp_path)
    monkeypatch.setattr(cli, "grade", broken)
    assert main(["grade", str(hw), str(tmp_path), "--out", str(tmp_path / "results.json")]) == 4
    assert "an error of the grader itself" in capsys.readouterr().err


def test_assign_zip(tmp_path, capsys):
    hw, wheel, data = zipped(tmp_path)
    out = tmp_path / "a.zip"
    assert main(["assign", "zip", str(hw), "--out", str(out), "--wheel", str(wheel), "--add", str(data)]) == 0
    assert "upload it as the autograder of hw1" in capsys.readouterr().out
    assert out.is_file()


def test_the_level_of_an_assignment_is_not_changed_by_grading(tmp_path):
    hw = assignment()
    hw.with_feedback("explain")
    assert hw.feedback == "hint"
