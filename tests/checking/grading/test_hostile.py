"""Code that hangs, crashes, fills, floods or leaves things behind: the grader ends it, and grades everything else."""

import json
import os
import time
from pathlib import Path

import pytest

import tinyad.grade as tg
from tests.checking.grading.students import AFFINE, TANH, WALL, assignment, scores, submission
from tinyad.checking.grading.gradescope import write_gradescope

PREAMBLE = "import ctypes, itertools, os, signal, sys, time\nONCE = []\n"

WHOLE = [2, 1, 3]
FORWARD = [0.4, 0.2, 3]  # forward alone is worth a fifth
FIRST = [0.2, 0, 3]  # and of a call that does not end, at the first case only

# What each does inside of backward; how that ends; what it is worth.
IGNORING = "for s in (signal.SIGTERM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\n    time.sleep(60)"
IN_BACKWARD = {
    "hang": ("while True: pass", "timed out", FIRST),
    "hang in C": ("max(itertools.repeat(1))", "timed out", FIRST),
    "signals ignored": (IGNORING, "timed out", FIRST),
    "memory": ("np.ones(10**11)", "asked for too much memory", FORWARD),
    "disk": ("open('big', 'wb').write(bytes(20 << 20))", "raised an error", FORWARD),
    "exit": ("sys.exit(0)", "raised an error", FORWARD),
    "_exit": ("os._exit(0)", "ended the process", FORWARD),
    "crash in C": ("ctypes.string_at(0)", "ended the process", FORWARD),
    "no frames": ("[os.write(fd, b'x' * 16) for fd in range(3, 20) if is_socket(fd)]", "sent what is no answer", FORWARD),
    "fork": ("ONCE or ONCE.append(os.fork())", "", WHOLE),
    "setsid": ("ONCE or ONCE.append(os.fork()) or ONCE[0] or (os.setsid(), time.sleep(60))", "", WHOLE),
    "flood": ("sys.stdout.write('x' * (1 << 20))", "", WHOLE),
}
IS_SOCKET = "import stat\nis_socket = lambda fd: os.path.exists(f'/dev/fd/{fd}') and stat.S_ISSOCK(os.fstat(fd).st_mode)\n"


def hostile(line):
    return PREAMBLE + IS_SOCKET + TANH.replace("    return gy", f"    {line}\n    return gy")


def grade_into(tmp_path, hw=None, **files):
    """The grade, and results.json as it was after every test."""
    out, written = tmp_path / "results.json", []

    def write(grade):
        write_gradescope(grade, out)
        written.append(json.loads(out.read_text()))

    started = time.monotonic()
    grade = tg.grade(hw or assignment(), submission(tmp_path / "submission", **files), write)
    return grade, written, time.monotonic() - started


@pytest.mark.parametrize("name", IN_BACKWARD)
def test_what_backward_does_costs_no_other_points(tmp_path, name):
    line, told, expected = IN_BACKWARD[name]
    grade, written, _ = grade_into(tmp_path, tanh=hostile(line))
    assert scores(grade) == expected
    assert told in grade.tests[0].output
    assert len(written) == 3 and written[0]["score"] == 0 and written[-1]["score"] == pytest.approx(sum(expected))
    assert [test["number"] for test in written[-1]["tests"][:3]] == ["1", "1h", "2"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("def forward(x:", "cannot be imported: SyntaxError"),
        ("raise SystemExit(0)", "cannot be imported: SystemExit"),
        ("while True: pass", "timed out"),
        ("import os; os._exit(0)", "ended the process: it exited with status 0"),
        ("def forward(x): pass", "missing file or name: tanh.py: backward is not there. It has forward"),
        (None, "missing file or name: there is no file tanh.py. The submission has affine.py"),
    ],
)
def test_a_file_that_cannot_be_loaded(tmp_path, source, told):
    grade, written, _ = grade_into(tmp_path, **({} if source is None else {"tanh": source}))
    assert scores(grade) == [0, 0, 3]
    assert told in grade.tests[0].output
    assert written[-1]["score"] == 3


def test_a_call_that_hangs_is_waited_for_once(tmp_path):
    grade, _, _ = grade_into(tmp_path, tanh=hostile("while True: pass"))
    statuses = [case.status for test in grade.tests[:2] for case in test.cases]
    assert statuses == ["timed out"] + ["not run"] * 2
    assert f"no answer within {WALL:g} s" in grade.tests[0].output


def test_the_time_of_a_submission_ends(tmp_path):
    hw = assignment(wall=30.0, total=0.5)
    grade, written, seconds = grade_into(tmp_path, hw, tanh=hostile("while True: pass"))
    assert seconds < 15
    assert sum(scores(grade)) < 1 and "the time for the whole submission" in grade.tests[0].output
    assert "the time for the whole submission is used up" in grade.tests[2].output
    assert len(written) == 3


def test_results_are_there_before_the_first_test(tmp_path):
    _, written, _ = grade_into(tmp_path, tanh=TANH)
    assert [test["score"] for test in written[0]["tests"]] == [0, 0, 0]
    assert all(test["output"].startswith("not graded") and test["status"] == "failed" for test in written[0]["tests"])


def processes_with(mark):
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and mark in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc to look in")
def test_nothing_is_left_behind(tmp_path):
    mark = f"left-by-{os.getpid()}-{time.monotonic_ns()}"
    detached = f"os.setsid(), os.execv('/bin/sh', ['sh', '-c', 'echo here; sleep 60; exit; {mark}'])"
    line = f"ONCE or ONCE.append(os.fork()) or ONCE[0] or ({detached})"
    grade, _, _ = grade_into(tmp_path, tanh=hostile(line))
    assert scores(grade) == WHOLE
    assert any(text.startswith("tanh printed:\nhere") for text in grade.for_teacher)
    until = time.monotonic() + 5
    while processes_with(mark.encode()):  # the kernel ends a namespace a little after its first process
        assert time.monotonic() < until


def test_prints_are_kept_up_to_a_limit_and_told_to_the_teacher(tmp_path):
    grade, _, _ = grade_into(tmp_path, tanh=hostile("sys.stdout.write('y' * (1 << 20))"))
    [said] = [text for text in grade.for_teacher if text.startswith("tanh printed")]
    assert 60 << 10 < len(said) < 70 << 10
    assert "y" * 100 not in grade.tests[0].output


def test_affine_alone_is_right(tmp_path):
    grade, _, _ = grade_into(tmp_path, tanh=TANH, affine=AFFINE)
    assert scores(grade) == WHOLE and grade.score == 6
    assert [test.status for test in grade.tests] == ["passed"] * 3
