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

from problems import leaves
from workloads import WORKLOADS

sys.path.append(str(Path(__file__).parent.parent))  # tinyad of this checkout, unless one is installed

engine = None
steps = {}  # (workload, style) -> [callable, calls in a sample]


def start(name):
    """The versions of the engine and its parts; None if it is not installed."""
    global engine
    try:
        engine = importlib.import_module(f"engines.{name}_engine")
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    found = [f"{part} {version}" for part in engine.PARTS if (version := version_of(part))]
    return ", ".join(found) or f"{name} of this checkout"


def version_of(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def build(workload, inputs=None):
    """{style: step}; nothing if the engine does not do this."""
    task = WORKLOADS[workload]
    make = getattr(engine, task.method, None)
    return make(*(inputs or task.inputs())) if make else {}


def styles(workload):
    return list(build(workload))


def prepare(workload, chosen, sample_seconds):
    """Build and compare: {style: {"error", "dtypes"}} or {style: {"failed"}}. Steps that failed are not kept."""
    answers = {}
    for style, step in build(workload).items():
        if style in (chosen or [style]):
            try:
                answers[style] = compared(WORKLOADS[workload], step)
                steps[workload, style] = step, calls_in(step, sample_seconds)
            except Exception as error:
                # Whatever it is: what an engine fails at is said in the table, and the others go on.
                traceback.print_exc()
                answers[style] = {"failed": reason(error)}
    return answers


def compared(task, step):
    """Largest of max|x - r| / max|r| over the arrays that were computed, and their dtypes."""
    for _ in range(task.calls):
        result = step()
    errors, dtypes = [], set()
    for x, r in zip(leaves(result), leaves(task.reference(*task.inputs())), strict=True):
        if x is not None:
            x = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
            if x.shape != np.shape(r):
                raise ValueError(f"an array of shape {x.shape}, where {np.shape(r)} is right")
            errors.append(float(np.max(np.abs(x - r)) / np.max(np.abs(r))))
            dtypes.add(str(x.dtype))
    return {"error": max(errors), "dtypes": sorted(dtypes)}


def reason(error):
    """The first line of an error's message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:150] if lines else ''}"


def calls_in(step, seconds):
    step()
    step()
    calls, taken = 1, elapsed(step, 1)
    while taken < seconds / 4:
        calls *= 2
        taken = elapsed(step, calls)
    return max(1, ceil(calls * seconds / taken))


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


def worked():
    """Seconds that processors have worked for this process and its children."""
    return sum(os.times()[:4])


def first(workload, style):
    """Seconds to the first result. The engine has computed something else before, so that its own start does not count."""
    for step in engine.scalar(lambda xp, x: xp.sin(x).sum(), [np.ones(3)]).values():
        step()
    inputs = WORKLOADS[workload].inputs()
    begin = perf_counter()
    build(workload, inputs)[style]()
    return perf_counter() - begin


def peak(workload, style):
    """Megabytes of arrays that a call holds at most, those kept between calls included; None if they are not NumPy's."""
    if not engine.NUMPY:
        return None
    inputs = WORKLOADS[workload].inputs()
    tracemalloc.start()
    step = build(workload, inputs)[style]
    step()
    step()
    gc.collect()
    arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    kept = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    step()
    _, most = tracemalloc.get_traced_memory()
    return (kept + most - before) / 2**20


def leak(workload, style, calls):
    """Megabytes by which the process grows in so many calls; None where that cannot be seen."""
    if not Path("/proc/self/statm").exists():
        return None
    step = build(workload)[style]
    elapsed(step, 200)
    gc.collect()
    before = resident()
    elapsed(step, calls)
    gc.collect()
    return (resident() - before) / 2**20


def resident():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not land between the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": globals()[request.pop("do")](**request)}
        except Exception:
            # Whatever it is: the parent waits for an answer, and raises the error over there.
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
