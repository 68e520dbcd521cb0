"""Threads that behave: after errors, interrupts and forks, and when the interpreter shuts down."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

import tinyad as ad
from tinyad.compiler import threads


def run(script: str, *args: str) -> str:
    """What a script prints in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(ad.__file__).parents[1])}
    command = [sys.executable, "-W", "ignore", "-c", script, *args]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_an_error_in_one_part_comes_out_when_all_are_through() -> None:
    finished = []

    def part(k: int) -> None:
        if k == 1:
            raise ArithmeticError("of part 1")
        finished.append(k)

    with pytest.raises(ArithmeticError, match="of part 1"):
        threads.in_threads([part] * 3)
    assert sorted(finished) == [0, 2]


def test_an_interrupt_waits_for_the_other_parts() -> None:
    started, go, finished = threading.Event(), threading.Event(), []

    def part(k: int) -> None:
        if k:
            started.set()
            go.wait(10)
            finished.append(k)
        else:
            started.wait(10)
            threading.Timer(0.05, go.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.in_threads([part] * 2)
    assert finished == [1]


def test_an_interrupt_before_all_parts_have_begun_waits_for_those_that_have() -> None:
    pool, go, finished = threads._pool(), threading.Event(), []

    def part(k: int) -> None:
        go.wait(10)
        finished.append(k)

    def submit(f: Callable[..., Any], part: Callable[[int], None], k: int) -> Any:
        if k == 2:
            threading.Timer(0.05, go.set).start()
            raise KeyboardInterrupt
        return pool.submit(f, part, k)

    with patch.object(threads, "_pool", lambda: SimpleNamespace(submit=submit)), pytest.raises(KeyboardInterrupt):
        threads.in_threads([part] * 3)
    assert finished == [1]


@pytest.mark.skipif(not threads._blas(), reason="only threadpoolctl knows the number of threads of BLAS")
def test_products_get_their_threads_back() -> None:
    from threadpoolctl import threadpool_limits

    seen: list[int] = []
    with threadpool_limits(2, user_api="blas"):
        threads.in_threads([lambda k: seen.append(threads.number_of_threads())] * 2)
        assert threads.number_of_threads() == 2
        with pytest.raises(ZeroDivisionError):
            threads.in_threads([lambda k: 1 / 0] * 2)
        assert threads.number_of_threads() == 2
    assert seen == [1, 1]


FORK = """
import contextlib, os, signal, sys, threading
from tinyad.compiler import threads

def check():
    seen = []
    threads.in_threads([lambda k: seen.append(threads.number_of_threads())] * 2)
    assert seen == [1, 1] and threads.number_of_threads() == usual, (seen, threads.number_of_threads(), usual)

def hold(context):
    with context:
        held.set()
        forked.wait()

for library in threads._blas():
    library.set_num_threads(2)
usual, held, forked = threads.number_of_threads(), threading.Event(), threading.Event()
check()
other = threading.Thread(target=hold, args=[eval(sys.argv[1])])
other.start()
held.wait()
with eval(sys.argv[2]):
    child = os.fork()
if child == 0:
    signal.alarm(20)  # rather than wait for ever
    for _ in range(3):
        check()
    os._exit(0)
forked.set()
other.join()
check()
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    ("held_by_another_thread", "held"),
    [
        ("contextlib.nullcontext()", "contextlib.nullcontext()"),
        ("threads.one_thread_a_product()", "contextlib.nullcontext()"),
        ("threads._lock", "contextlib.nullcontext()"),
        ("contextlib.nullcontext()", "threads.one_thread_a_product()"),
    ],
)
def test_a_child_process_begins_anew(held_by_another_thread: str, held: str) -> None:
    """Its pool has no threads, its lock is open, and its products take as many threads as before."""
    run(FORK, held_by_another_thread, held)


SHUTDOWN = """
import atexit, sys, threading
from tinyad.compiler import threads

def work(what, times):
    for _ in range(times):
        done = []
        threads.in_threads([done.append] * 3)
        assert sorted(done) == [0, 1, 2]
    print(what)

work("before", 1)
atexit.register(work, "at exit", 1)
threading.Thread(target=work, args=["in a thread that outlives the main one", 1000]).start()
"""


def test_parts_run_one_after_another_when_the_interpreter_shuts_down() -> None:
    assert run(SHUTDOWN).splitlines() == ["before", "in a thread that outlives the main one", "at exit"]
    at_once = SHUTDOWN.replace('work("before", 1)', "")
    assert run(at_once).splitlines() == ["in a thread that outlives the main one", "at exit"]


def test_a_thread_that_cannot_be_started_is_an_error() -> None:
    """The pool may have taken the call nevertheless: it must not be made twice."""

    def submit(*args: Any) -> None:
        raise RuntimeError("can't start new thread")

    with (
        patch.object(threads, "_pool", lambda: SimpleNamespace(submit=submit)),
        pytest.raises(RuntimeError, match="can't start"),
    ):
        threads.in_threads([lambda k: None] * 2)
