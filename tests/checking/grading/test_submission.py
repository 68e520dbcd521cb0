"""A submission as functions: what comes back, what is remarked, and how its worker is started, locked up and ended."""

import os
import signal
import time

import numpy as np
import pytest

from tinyad.checking.grading import jail as jails
from tinyad.checking.grading.jail import NOBODY, SESSION, Jail, Limits, choose, copy_submission, ending
from tinyad.checking.grading.submission import Ended, Failed, Submission, cleaned

SOURCE = """
import os, sys, time
import numpy as np

def forward(x, scale=1.0):
    return scale * x, [x, scale]

def backward(cache, gy):
    return (cache[1] * gy,)

def echo(*args, **kwargs):
    return args, kwargs

def state():
    return {"pid": os.getpid(), "uid": os.getuid(), "cwd": os.getcwd(), "environment": dict(os.environ), "argv": len(sys.argv),
            "files": sorted(os.listdir("."))}

def descriptors():
    return [fd for fd in range(64) if is_open(fd)]

def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False

def connect():
    import socket
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.2)
    except OSError as error:
        return type(error).__name__, error.errno

def leave(mark):
    if os.fork() == 0:
        os.setsid()
        os.execv("/bin/sh", ["sh", "-c", "sleep 60; exit; " + mark])
    return 1

def out_of_memory():
    kept = []
    while True:
        kept.append(np.ones(1 << 22))

def many_descriptors():
    return [os.dup(0) for _ in range(200)]

class Lying(tuple):
    def __len__(self):
        raise KeyError("no length")

def lying(x):
    return Lying((1, 2))

def die():
    os._exit(3)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("submission")
    (folder / "ops.py").write_text(SOURCE)
    return folder


@pytest.fixture(scope="module")
def student(folder):
    with Submission(folder, limits=Limits(wall=2.0, memory=512 << 20)) as student:
        yield student


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        float("inf"),
        "text",
        np.arange(3),
        np.float32(2),
        (1, [2.0, {"a": None}]),
        np.array([np.nan]),
        {1: 2},
    ],
)
def test_values_go_there_and_come_back(student, value):
    args, kwargs = student.call("ops.py", "echo", value, key=value)
    np.testing.assert_equal((args, kwargs), ((value,), {"key": value}))
    assert type(args[0]) is type(value)


def test_rules(student):
    x = np.arange(6.0).reshape(2, 3)
    forward, backward = student.rule("ops.py", "forward", "backward", {"scale": 3.0})
    y, cache = forward(x)
    (gx,) = backward(cache, np.ones_like(x))
    assert y.tolist() == (3 * x).tolist() and (gx == 3).all()
    with pytest.raises(Failed, match=r"ops\.py: nothing is not there"):
        student.load("ops.py", "nothing")


def test_caches_are_kept_as_long_as_their_handles(folder):
    with Submission(folder) as student:
        forward, backward = student.rule("ops.py", "forward", "backward")
        first = forward(np.ones(3))[1]
        for _ in range(700):
            forward(np.ones(3))
        assert (backward(first, np.ones(3))[0] == 1).all()
        held = [forward(np.ones(1))[1] for _ in range(600)]
        with pytest.raises(Failed, match="is not kept any more"):
            backward(first, np.ones(3))
        assert (backward(held[-1], np.ones(1))[0] == 1).all()


def test_a_worker_that_ended_is_replaced_and_its_caches_are_lost(folder):
    with Submission(folder, limits=Limits(wall=0.3)) as student:
        forward, backward = student.rule("ops.py", "forward", "backward")
        cache = forward(np.ones(3))[1]
        first = student.call("ops.py", "state")["cwd"]
        with pytest.raises(Ended) as ended:
            student.call("ops.py", "die")
        assert (ended.value.status, ended.value.text) == ("killed", "it exited with status 3.")
        with pytest.raises(Failed, match="lost with the process"):
            backward(cache, np.ones(3))
        again = student.call("ops.py", "state")["cwd"]
        assert not os.path.exists(first) and (forward(np.ones(3))[0] == 1).all()
        assert choose().kind == "namespaces" or again != first


def test_the_worker_has_nothing_of_the_graders(student, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "1")
    state = student.call("ops.py", "state")
    assert set(state["environment"]) <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PWD", "OLDPWD", "SHLVL", "_"} | {
        name for name in state["environment"] if name.endswith("_NUM_THREADS")
    }
    assert state["files"] == ["ops.py"]
    descriptors = student.call("ops.py", "descriptors")
    assert descriptors[:3] == [0, 1, 2] and len(descriptors) <= 5


def test_there_is_no_network(student):
    if choose().kind != "namespaces":
        pytest.skip("this kind of jail leaves the network as it is")
    assert student.call("ops.py", "connect") == ("OSError", 101)  # unreachable: it was not even tried
    assert "the code used socket.connect" in student.advice


def test_limits(student):
    with pytest.raises(Failed) as failed:
        student.call("ops.py", "out_of_memory")
    assert failed.value.status == "memory"
    with pytest.raises(Failed, match="Too many open files"):
        student.call("ops.py", "many_descriptors")


def test_what_raises_when_it_is_looked_at_is_an_answer_too(student):
    forward, _ = student.rule("ops.py", "lying", "backward")
    with pytest.raises(Failed, match="lying: KeyError: 'no length'") as failed:
        forward(np.ones(3))
    assert failed.value.status == "contract"


# ---- jails


def pids_with(mark):
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if name.isdigit() and mark.encode() in file.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc to look in")
@pytest.mark.parametrize("jail", [SESSION, Jail("user", user=NOBODY)], ids=lambda jail: jail.kind)
def test_what_leaves_the_session_is_ended(folder, jail):
    if jail.user is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    mark = f"left-{os.getpid()}-{time.monotonic_ns()}"
    with Submission(folder, jail=jail) as student:
        assert jail.user is None or student.call("ops.py", "state")["uid"] == NOBODY[0]
        student.call("ops.py", "leave", mark)
        until = time.monotonic() + 10
        while not pids_with(mark):
            assert time.monotonic() < until, "it was never there"
    assert pids_with(mark) == []


def test_a_session_says_what_it_does_not_hold_against(folder):
    with Submission(folder, jail=SESSION) as student:
        assert student.call("ops.py", "echo", 1) == ((1,), {})
    assert "namespaces are not allowed here" in SESSION.warning


def test_where_nothing_is_allowed_the_session_is_left(monkeypatch):
    monkeypatch.setattr(jails.shutil, "which", lambda name: None)
    monkeypatch.setattr(jails, "_student", lambda: None)
    assert jails.choose.__wrapped__() is SESSION
    monkeypatch.setattr(jails, "_student", lambda: NOBODY)
    assert jails.choose.__wrapped__() == Jail("user", user=NOBODY)
    monkeypatch.setattr(jails.os, "name", "nt")
    with pytest.raises(OSError, match="grading needs a POSIX system"):
        jails.choose.__wrapped__()


def test_a_jail_that_does_not_start_is_no_fault_of_the_students(folder):
    class Broken(Jail):
        def command(self, worker, home, size, covered=()):
            return ["sh", "-c", "echo no such jail; exit 3"]

    with Submission(folder, jail=Broken("namespaces")) as student:
        with pytest.raises(RuntimeError, match="the worker did not start") as error:
            student.call("ops.py", "echo")
        assert "no such jail" in str(error.value)


def test_links_and_bulk_stay_outside(tmp_path, monkeypatch):
    source = tmp_path / "given"
    (source / "sub").mkdir(parents=True)
    (source / ".git").mkdir()
    (source / ".git" / "config").write_text("x")
    (source / "sub" / "a.py").write_text("1")
    (source / "link.py").symlink_to("/etc/passwd")
    (source / "folder").symlink_to("/etc")
    os.mkfifo(source / "pipe.py")
    copy_submission(source, tmp_path / "copy")
    assert sorted(str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*")) == ["sub", "sub/a.py"]
    monkeypatch.setattr(jails, "LARGEST_SUBMISSION", 10)
    (source / "big").write_bytes(bytes(20))
    with pytest.raises(ValueError, match="MB of files"):
        copy_submission(source, tmp_path / "again")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "it exited with status 0"),
        (3, "it exited with status 3"),
        (-signal.SIGSEGV, "it was ended by SIGSEGV: a crash in C code"),
        (128 + signal.SIGSEGV, "it was ended by SIGSEGV: a crash in C code"),
        (-signal.SIGTERM, "it was ended by SIGTERM"),
        (137, "it was ended by SIGKILL: out of memory or of processor time"),
    ],
)
def test_endings_in_words(status, words):
    assert ending(status) == words


def test_texts_are_cut_and_cleaned():
    assert cleaned("a\x1b[31mb\x00\n\tc\u202e" + "é") == "a?[31mb?\n\tc?é"
    assert len(cleaned("x" * 10_000)) == 4000 and cleaned(3) == ""
