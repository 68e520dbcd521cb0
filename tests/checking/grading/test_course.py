"""All submissions of a course: the scores, what many got wrong alike, and that nothing is lost or done twice."""

import concurrent.futures
import csv
import json
import shutil
from pathlib import Path

import pytest

import tinyad.checking.grading.course as module
from tests.checking.grading.authors import HW
from tests.checking.grading.test_authoring import run
from tinyad.__main__ import main
from tinyad.checking.grading.build import build
from tinyad.checking.grading.clusters import Cluster, clusters, shares_of_items, told
from tinyad.checking.grading.course import find_submissions, grade_course
from tinyad.checking.grading.course_page import write_page
from tinyad.checking.grading.loading import load_assignment

# A grader that crashes for one submission, and an item with a second input.
CRASHING = (
    HW
    + """
import os, sys
if any("crash" in word for word in sys.argv):
    os._exit(9)
hw.points = None
hw.rule("bias", student="bias.py:forward,backward", reference=lambda x, b: x + b, cases=tg.shapes(((5, 3), (3,)), ((1, 3), (3,))),
        points=2, weights=WEIGHTS)
"""
)
BIAS = "def forward(x, b):\n    return x + b, None\n\n\ndef backward(cache, dy):\n    return dy.copy(), dy.sum(axis=0)\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A folder with an assignment, submissions of seven students, and their grades."""
    folder = tmp_path_factory.mktemp("course")
    write(folder / "hw.py", CRASHING.replace("wall=5.0", "wall=2.0"))
    submissions = folder / "submissions"
    build_of = HW[HW.index("### BEGIN FILE") : HW.index("WEIGHTS")]
    ops = "\n".join(line for line in build_of.splitlines() if "###" not in line)
    wrong_tanh = ops.replace("dy * slope", "dy")
    for name, text, bias in [
        ("ada", ops, BIAS),
        ("bob", wrong_tanh, BIAS.replace(", dy.sum(axis=0)", ", dy.copy()")),
        ("cyd", wrong_tanh, BIAS.replace(", dy.sum(axis=0)", ", dy")),
        ("dan/hw1-main", ops.replace("return factor * dy", "while True: pass"), BIAS),
        ("eve", ops.replace("import numpy", "import nunpy"), BIAS),
        ("=crash()", ops, BIAS),
    ]:
        write(submissions / name / "ops.py", text)
        write(submissions / name / "bias.py", bias)
    (submissions / "fay").mkdir()
    write(submissions / "__MACOSX" / "ops.py", "")
    write(submissions / "notes.txt", "no submission")
    done = run("grade", "hw.py", "--all", "submissions", "--out", "grades", "--jobs", "2", cwd=folder)
    return folder, done


def scores(folder):
    with (folder / "grades" / "scores.csv").open(newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


def test_every_submission_is_graded_whatever_the_others_do(course):
    folder, done = course
    assert done.returncode == 4 and done.stderr == ""  # one could not be graded, and that is said
    found = scores(folder)
    earned = {name: row["score"] for name, row in found.items()}
    assert earned == {"ada": "7.0", "bob": "3.4", "cyd": "3.4", "dan": "5.0", "eve": "2.0", "fay": "0.0", "'=crash()": ""}
    assert found["'=crash()"]["note"].startswith("not graded: the grader ended with 9")
    assert "NOT GRADED =crash(): the grader ended with 9" in done.stdout
    assert "small: 6 submissions graded, mean 3.47 of 7 points" in done.stdout


def test_what_many_got_wrong_alike(course):
    folder, done = course
    lines = done.stdout.splitlines()
    assert "2 of 6  D31  forgot the local derivative: tanh, input 0 'x'" in lines
    assert "2 of 6  D07  forgot to un-broadcast: bias, input 1 'b'" in lines
    assert any(line.startswith("1 of 6") and line.endswith("timed out: scale") for line in lines)
    assert "1 of 6       the file cannot be imported: tanh, scale" in lines
    assert "1 of 6       a file or a function is missing: tanh, scale, bias" in lines
    data = json.loads((folder / "grades" / "clusters.json").read_text())
    assert data["submissions"] == 6 and list(data["not graded"]) == ["=crash()"]
    assert data["clusters"][0]["count"] == 2 and data["clusters"][0]["submissions"] == ["bob", "cyd"]


def test_the_page_for_the_teacher(course):
    page = (course[0] / "grades" / "report.html").read_text()
    mistakes = ("What to teach again", "forgot to un-broadcast", "bob, cyd", ">id<")
    for said in ("6 submissions", *mistakes, "Item by item", "Not graded"):
        assert said in page
    assert "<img" in page or not __import__("importlib.util").util.find_spec("matplotlib")


def test_what_is_finished_is_not_done_again(course, tmp_path):
    folder = tmp_path / "course"
    shutil.copytree(course[0], folder)
    grades = folder / "grades" / "grades"
    before = {path.name: path.stat().st_mtime_ns for path in grades.glob("*.json")}
    (folder / "submissions" / "bob" / "bias.py").write_text(BIAS)
    shutil.rmtree(folder / "submissions" / "=crash()")
    (grades / "eve.json").write_text("{")
    said = []
    result = grade_course(folder / "hw.py", folder / "submissions", folder / "grades", say=said.append)
    assert said[0] == "4 of 6 were graded before" and len(said) == 3
    after = {path.name: path.stat().st_mtime_ns for path in grades.glob("*.json")}
    assert {name for name in after if after[name] != before.get(name)} == {"bob.json", "eve.json"}
    assert list(result.grades) == ["ada", "bob", "cyd", "dan", "eve", "fay"] and not result.failed
    assert "D07" not in str(result) or "1 of 6  D07" in str(result)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    write(tmp_path / "hw.py", HW)
    build(tmp_path / "hw.py", tmp_path / "all" / "a", teacher=True)
    for name in "bc":
        shutil.copytree(tmp_path / "all" / "a", tmp_path / "all" / name)
    graded = []

    def interrupted(file, where, out, *rest):
        graded.append(where.name)
        if len(graded) == 2:
            raise KeyboardInterrupt
        out.write_text(json.dumps({"score": 5, "points": 5, "tests": []}))
        return ""

    def last_first(futures):
        """Those that are done come in any order."""
        concurrent.futures.wait(list(futures)[:2])
        return list(futures)[1::-1]

    monkeypatch.setattr(module, "_run", interrupted)
    monkeypatch.setattr(module, "as_completed", last_first)
    assert main(["grade", str(tmp_path / "hw.py"), "--all", str(tmp_path / "all"), "--out", str(tmp_path / "out")]) == 130
    assert "the same command goes on where it stopped" in capsys.readouterr().err
    result = grade_course(tmp_path / "hw.py", tmp_path / "all", tmp_path / "out")
    assert graded[:2] == ["a", "b"] and "a" not in graded[2:] and set(graded) == {"a", "b", "c"}
    assert {name: grade["score"] for name, grade in result.grades.items()} == {"a": 5, "b": 5, "c": 5}
    again = grade_course(tmp_path / "hw.py", tmp_path / "all", tmp_path / "out")
    assert again.grades == result.grades and str(again).endswith("no mistakes")


def test_a_grader_that_takes_too_long_is_ended(tmp_path):
    running = set()
    why = module._run(tmp_path / "hw.py", tmp_path, tmp_path / "out.json", 0.01, [], running)
    assert why == "the grader took more than 0.01 s" and not running


def test_wrong_calls(tmp_path, capsys):
    write(tmp_path / "hw.py", HW)
    (tmp_path / "empty").mkdir()
    for arguments, said in [
        ([], "expected one of the two"),
        ([str(tmp_path), "--all", str(tmp_path)], "expected one of the two"),
        (["--all", str(tmp_path / "none")], "there is no folder"),
        (["--all", str(tmp_path / "empty")], "there is no submission in"),
        (["--all", str(tmp_path), "--jobs", "0"], "--jobs is 0; expected at least 1"),
        (["--all", str(tmp_path), "--format", "csv"], "grades are written as json"),
    ]:
        assert main(["grade", str(tmp_path / "hw.py"), *arguments]) == 2
        assert said in capsys.readouterr().err


def test_another_assignment_needs_another_folder(tmp_path, monkeypatch, capsys):
    for name in ("first", "second one"):
        write(tmp_path / name / "hw.py", HW.replace('"small"', repr(name)))
    write(tmp_path / "class" / "ada" / "ops.py", "")
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second one"):
        assert main(["grade", f"{name}/hw.py", "--all", "class"]) == 0
        assert main(["grade", f"{name}/hw.py", "class/ada", "--format", "csv"]) == 0
    made = {path.name for path in tmp_path.iterdir()} - {"class", "first", "second one"}
    assert made == {"first-grades", "second-one-grades", "first-results.csv", "second-one-results.csv"}
    kept = (tmp_path / "first-grades" / "clusters.json").read_bytes()
    (tmp_path / "first-grades" / "scores.csv").unlink()
    assert main(["grade", "second one/hw.py", "--all", "class", "--out", "first-grades"]) == 2
    assert "--out is 'first-grades', which holds the results of 'first', not of 'second one'" in capsys.readouterr().err
    (tmp_path / "first-grades" / "clusters.json").unlink()  # interrupted before it was written
    assert main(["grade", "second one/hw.py", "--all", "class", "--out", "first-grades"]) == 2
    assert json.loads(kept)["assignment"] == "first" and not (tmp_path / "first-grades" / "scores.csv").exists()


def test_where_a_submission_is(tmp_path):
    write(tmp_path / "hw.py", HW)
    assignment = load_assignment(tmp_path / "hw.py")
    for path in ("plain/ops.py", "zipped/hw1/ops.py", "platform/late/zip/hw1/ops.py", "deep/1/2/3/4/ops.py", ".git/ops.py"):
        write(tmp_path / "all" / path, "")
    write(tmp_path / "all" / "twice" / "ops.py", "")
    write(tmp_path / "all" / "twice" / "old" / "ops.py", "")
    (tmp_path / "all" / "out").mkdir()
    found = find_submissions(tmp_path / "all", assignment, tmp_path / "all" / "out")
    assert {name: str(path.relative_to(tmp_path / "all")) for name, path in found.items()} == {
        "deep": "deep",
        "plain": "plain",
        "platform": "platform/late/zip/hw1",
        "twice": "twice",
        "zipped": "zipped/hw1",
    }


def test_students_cannot_read_the_submissions_of_others(tmp_path):
    """Where workers live in namespaces of their own; elsewhere a warning says what is open."""
    from tinyad.checking.grading.jail import choose

    if not choose().sealed:
        pytest.skip("the jail that works here cannot cover files")
    write(tmp_path / "hw.py", HW)
    build(tmp_path / "hw.py", tmp_path / "all" / "victim", teacher=True)
    stolen = f"exec(open({str(tmp_path / 'all' / 'victim' / 'ops.py')!r}).read())\n"
    write(tmp_path / "all" / "thief" / "ops.py", stolen)
    out = tmp_path / "out.json"
    arguments = ["grade", str(tmp_path / "hw.py"), str(tmp_path / "all" / "thief"), "--out", str(out)]
    assert main([*arguments, "--private", str(tmp_path / "all")]) == 0
    assert json.loads(out.read_text())["score"] == 0
    assert main(arguments) == 0
    assert json.loads(out.read_text())["score"] == 5


# ---- counting


def graded(name, **diagnoses):
    """A grade with one item, whose cases have these diagnoses: ``a=[("D07", "input 1 'b' (3,) float64")]``."""
    cases = [
        {
            "name": case,
            "status": "ok",
            "statements": [],
            "diagnoses": [
                {"id": id, "label": "a_label", "name": about, "fact": "a fact", "error": True} for id, about in found
            ],
        }
        for case, found in diagnoses.items()
    ]
    status = "partly" if cases else "passed"
    test = {"name": name, "number": "1", "points": 2.0, "score": 1.0, "status": status, "output": "", "cases": cases}
    return {"score": 1.0, "points": 2.0, "tests": [test]}


B = "input 1 'b' (3,) float64"


def test_a_mistake_counts_once_for_a_submission():
    grades = {
        "ada": graded("f", one=[("D07", B)], two=[("D07", B)], three=[("D08", B)]),
        "bob": graded("f, hidden cases", one=[("D07", "input 1 'b' (7, 3) float32")]),
        "cyd": graded("f", one=[("D57", B)], two=[("D99", B)], three=[("D57", B)]),
        "dan": graded("f"),
    }
    found = clusters(grades)
    assert [(each.id, each.item, each.input, each.names) for each in found] == [
        ("D07", "f", "input 1 'b'", ["ada", "bob"]),
        ("D99", "f", "input 1 'b'", ["cyd"]),
    ]
    assert found[1].did == "a label" and found[1].where == "f, input 1 'b'"
    assert shares_of_items(grades) == {"f": (0.5, 0)}


def test_a_long_list_is_cut():
    found = [Cluster("f", "D22", "wrong sign", names=["ada"]) for _ in range(23)]
    lines = told(found, 100).splitlines()
    assert len(lines) == 21 and lines[0] == "  1 of 100  D22  wrong sign: f" and lines[-1] == "and 3 more"


def test_a_page_without_pictures_and_without_grades(tmp_path, monkeypatch):
    import tinyad.checking.grading.course_page as page

    def missing(*size):
        raise ModuleNotFoundError("matplotlib")

    monkeypatch.setattr(page, "new_figure", missing)
    write_page(tmp_path / "a.html", "hw", {"ada": graded("f")}, {}, [])
    text = (tmp_path / "a.html").read_text()
    assert "<img" not in text and "No mistakes were found." in text
    write_page(tmp_path / "b.html", "hw", {}, {"<b>": "it crashed\nwith a trace"}, [])
    text = Path(tmp_path / "b.html").read_text()
    assert "&lt;b&gt;" in text and "with a trace" not in text
