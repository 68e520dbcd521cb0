"""How things are measured: engines in processes of their own, asked in turn.

Thread pools in one process disturb one another, so no two engines share one. They are asked in a new order every round, so that
a drift of the machine's speed hits all alike, and ratios are taken within a round. Before anything is timed, every engine's
result is compared with an answer that needs no engine (`reference.py`).

Each measure gives {workload: {column: [numbers, one a round]}}; a column is an engine and a style of using it.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from workloads import WORKLOADS

HERE = Path(__file__).parent
PAUSE = 0.1  # seconds between samples: OpenBLAS threads spin for 0.04 s after their last product (measured)
FRESH = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "CACHELEVEL": "0"}  # compilers must not remember yesterday's work

# what runs once more with the doctor's setting, and is marked so
DOCTORED = {"tinyad": ["compiled"], "numpy": ["by hand", "products alone"]}
MARK = ", doctor"


@dataclass
class Options:
    installed: dict[str, str]  # engine: versions
    doctor: dict[str, str]  # what the doctor says to set; nothing if nothing helps
    rounds: int
    repeats: int  # of what needs a new process each time
    sample: float  # seconds
    replays: int
    quick: bool
    left_out: dict[str, str] = field(default_factory=dict)  # column and workload: why
    others: list[float] = field(default_factory=list)  # processors that other programs took during the rounds

    def chosen(self, workloads):
        return [name for name in workloads if WORKLOADS[name].quick or not self.quick]


class WorkerError(Exception):
    """A worker could not do what it was asked, or is no more."""


class Worker:
    """An engine in its process; `ask` sends a line and waits for a line."""

    def __init__(self, engine, settings=None, mark=""):
        self.engine, self.mark = engine, mark
        self.styles = DOCTORED[engine] if mark else None  # None: all
        self.process = subprocess.Popen(
            [sys.executable, HERE / "worker.py"],
            env={**os.environ, **(settings or {})},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.versions = self.ask("start", name=engine)  # None: not installed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with suppress(BrokenPipeError):  # it may have ended by itself
            self.process.stdin.close()
        self.process.wait()

    def ask(self, what, **arguments):
        try:
            print(json.dumps({"do": what, **arguments}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"its process ended with status {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply["answer"]

    def column(self, style):
        return f"{self.engine} {style}".strip() + self.mark


def versions(engines):
    """{engine: its versions, or None if it is not installed or does not start}"""
    found = {}
    for engine in engines:
        try:
            with Worker(engine) as worker:
                found[engine] = worker.versions
        except WorkerError as error:
            print(f"{engine} cannot be used: {last_line(error)}")
            found[engine] = None
    return found


def last_line(error):
    return str(error).strip().splitlines()[-1]


# ------------------------------------------------------------------ seconds of a call


def seconds(names, engines, options):
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name)) for name in engines]
        if options.doctor:
            workers += [stack.enter_context(Worker(name, options.doctor, MARK)) for name in DOCTORED if name in engines]
        prepared = {name: prepare(name, workers, options) for name in names}
        alive = {name: [(worker, style) for worker, style in found if worker in workers] for name, found in prepared.items()}
        taken = {name: {worker.column(style): [] for worker, style in alive[name]} for name in names}
        begin, work = time.perf_counter(), work_of_others(workers)
        for k in range(options.rounds):
            print(f"round {k + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for name in names:
                for worker, style in random.Random(k).sample(alive[name], len(alive[name])):
                    time.sleep(PAUSE)
                    taken[name][worker.column(style)].append(worker.ask("sample", workload=name, style=style))
        options.others.append((work_of_others(workers) - work) / (time.perf_counter() - begin))
    return taken


def work_of_others(workers):
    """Seconds that all processors have worked so far, but not for us."""
    from tinyad.doctor.machine import work_of_others

    return work_of_others() - sum(worker.ask("worked") for worker in workers)


def prepare(name, workers, options):
    """Build and compare a workload in every engine; those that have it, [(worker, style)]. Workers that ended are taken out."""
    found = []
    for worker in list(workers):
        try:
            answers = worker.ask("prepare", workload=name, chosen=worker.styles, sample_seconds=options.sample)
        except WorkerError as error:
            answers = {"": {"failed": last_line(error)}}
            if worker.process.poll() is not None:
                workers.remove(worker)
        for style, answer in answers.items():
            if not left_out(name, worker.column(style), answer, options):
                check(WORKLOADS[name], worker.column(style), answer)
                found.append((worker, style))
    return found


def left_out(name, column, answer, options):
    if "failed" in answer:
        options.left_out[f"{column}: {WORKLOADS[name].title}"] = answer["failed"]
        print(f"left out: {WORKLOADS[name].title}, {column}: {answer['failed']}", flush=True)
    return "failed" in answer


def check(task, column, answer):
    """End the run if a result disagrees with the reference; say so if it left the inputs' precision."""
    print(f"{task.title}, {column}: relative difference {answer['error']:.1e}", flush=True)
    if not answer["error"] <= task.tolerance:
        sys.exit(f"{task.title}: {column} is off by {answer['error']:.1e}, more than {task.tolerance:.0e}")
    if answer["dtypes"] != [task.dtype]:
        print(f"note: {task.title} is given in {task.dtype}, {column} answers in {', '.join(answer['dtypes'])}")


# ------------------------------------------------------------------ what needs a new process each time


def in_new_processes(ask: Callable, names, engines, options, repeats=1, chosen=None):
    """What `ask(worker, workload, style)` answers, if it answers."""
    found = {}
    for name in names:
        columns = [(engine, style) for engine in engines for style in styles(engine, name) if style in (chosen or [style])]
        found[name] = {}
        for _ in range(repeats):
            for engine, style in columns:
                with Worker(engine, FRESH) as worker:
                    try:
                        answer = ask(worker, workload=name, style=style)
                    except WorkerError as error:
                        left_out(name, worker.column(style), {"failed": last_line(error)}, options)
                        continue
                    if answer is not None:
                        found[name].setdefault(worker.column(style), []).append(answer)
    return found


def styles(engine, name):
    with Worker(engine) as worker:
        return worker.ask("styles", workload=name)


def first(names, engines, options):
    """Seconds from a function to its first result, tracing and compiling included, importing not."""
    return in_new_processes(lambda worker, **what: worker.ask("first", **what), names, engines, options, options.repeats)


def peak(names, engines, options):
    """Megabytes of NumPy's arrays held at most in one call."""
    whole = ["compiled", "eager", "", "no guard", "by hand"]  # not those that compute a part, nor another way to write the same
    return in_new_processes(lambda worker, **what: worker.ask("peak", **what), names, engines, options, chosen=whole)


def leak(names, engines, options):
    """Megabytes by which the process grows over many replays."""
    ask = lambda worker, **what: worker.ask("leak", calls=options.replays, **what)
    return in_new_processes(ask, names, engines, options, chosen=["compiled"])
