"""One engine in a process of its own: a request a line comes in, an answer a line goes out (JSON)."""

import gc
import importlib
import importlib.metadata
import json
import os
import sys
import traceback
import tracemalloc
from math import ceil
from pathlib import Path
from time import perf_counter

import numpy as np

from workloads import WORKLOADS, leaves

sys.path.append(str(Path(__file__).parent.parent))  # tinyad of this checkout, unless one is installed

engine = None
steps = {}  # (workload, style) -> [callable, calls in a sample]


def start(name):
    global engine
    try:
        engine = importlib.import_module(f"engines.{name}_engine")
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    try:
        return importlib.metadata.version(engine.DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "of this checkout"


def prepare(workload, sample_seconds):
    """Build the steps of a workload; answer with what they compute: {style: [[numbers, dtype], ...]}."""
    results = {}
    task = WORKLOADS[workload]
    for style, step in getattr(engine, task.method)(*task.inputs()).items():
        results[style] = [describe(leaf) for leaf in leaves(step())]
        step()
        calls, seconds = 1, elapsed(step, 1)
        while seconds < sample_seconds / 4:
            calls *= 2
            seconds = elapsed(step, calls)
        steps[workload, style] = step, max(1, ceil(calls * sample_seconds / seconds))
    return results


def describe(leaf):
    array = np.asarray(leaf)
    return array.ravel().tolist(), str(array.dtype)


def elapsed(step, calls):
    begin = perf_counter()
    for _ in range(calls):
        step()
    return perf_counter() - begin


def sample(workload, style):
    """Mean seconds of a call. The first call, which wakes threads and caches, does not count."""
    step, calls = steps[workload, style]
    step()
    return elapsed(step, calls) / calls


def peak(workload, style):
    """Megabytes that one call holds at most, beyond its inputs; None where tracemalloc cannot see."""
    if not engine.NUMPY:
        return None
    step, _ = steps[workload, style]
    gc.collect()
    tracemalloc.start()
    step()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not land between the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": globals()[request.pop("do")](**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
