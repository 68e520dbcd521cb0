"""What a value and a gradient cost without compilation, side by side with the peers.

    python benchmarks/eager.py [--engines tinyad torch ...] [--workloads ops ...] [--rounds 15] [--quick]

Every engine lives in a process of its own (thread pools in one process disturb one another) and the engines
are asked in turn, in a new order every round, so that a drift of the machine's speed hits all alike. A ratio
is taken within a round; the tables have medians over the rounds. Before anything is timed, every engine's
value and gradients are compared with an answer that needs no engine (`workloads.py`).
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import report
from engines import NAMES
from workloads import WORKLOADS, leaves

HERE = Path(__file__).parent
PAUSE = 0.1  # seconds between samples: OpenBLAS threads spin for 0.04 s after their last product (measured)


class Worker:
    """An engine in its process; `ask` sends a line and waits for a line."""

    def __init__(self, name):
        self.name = name
        command = [sys.executable, HERE / "worker.py"]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.version = self.ask("start", name=name)  # None: not installed

    def ask(self, what, **arguments):
        print(json.dumps({"do": what, **arguments}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the process of {self.name} ended with status {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            sys.exit(f"{self.name}, {what} {arguments}:\n{reply['error']}")
        return reply["answer"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(workers, names, sample_seconds):
    """Build and check every workload in every engine; its columns, {workload: [(engine, style), ...]}."""
    columns = {}
    for name in names:
        results = {}
        for engine, worker in workers.items():
            answer = worker.ask("prepare", workload=name, sample_seconds=sample_seconds)
            results |= {(engine, style): result for style, result in answer.items()}
        check(WORKLOADS[name], results)
        columns[name] = list(results)
    return columns


def check(task, results):
    """End the run if a column disagrees with the reference; say so if it left the inputs' precision."""
    reference = [np.asarray(leaf) for leaf in leaves(task.reference(*task.inputs()))]
    expected = lambda style: reference[:1] if style == "forward only" else reference
    errors = {column: difference(result, expected(column[1])) for column, result in results.items()}
    for column, result in results.items():
        if not errors[column] <= task.tolerance:
            sys.exit(f"{task.title}: {report.label(column)} is off by {errors[column]:.1e}")
        if {dtype for _, dtype in result} != {task.dtype}:
            print(f"note: {task.title} is given in {task.dtype}, {report.label(column)} answers in another")
    worst = max(errors, key=errors.get)
    agree = f"{task.title}: all agree, largest relative difference"
    print(f"{agree} {errors[worst]:.1e} ({report.label(worst)})", flush=True)


def difference(result, reference):
    """Largest of max|x - r| / max|r| over the value and the gradients; nan if they are not all there."""
    arrays = [np.array(numbers) for numbers, _ in result]
    if [x.size for x in arrays] != [r.size for r in reference]:
        return np.nan
    return max(float(abs(x - r.ravel()).max() / abs(r).max()) for x, r in zip(arrays, reference, strict=True))


def measure(workers, columns, rounds):
    """{workload: {column: seconds of one call, a round each}}"""
    seconds = {name: {column: [] for column in columns[name]} for name in columns}
    for k in range(rounds):
        print(f"round {k + 1} of {rounds}", file=sys.stderr, flush=True)
        for name in columns:
            for engine, style in random.Random(k).sample(columns[name], len(columns[name])):
                time.sleep(PAUSE)
                seconds[name][engine, style].append(workers[engine].ask("sample", workload=name, style=style))
    return seconds


def memory(workers, columns):
    """{workload: {column: megabytes}} where the workload asks for it and the engine's arrays are NumPy's."""
    peaks = {name: {} for name in columns if WORKLOADS[name].memory}
    for name, found in peaks.items():
        for engine, style in columns[name]:
            peak = workers[engine].ask("peak", workload=name, style=style)
            if peak is not None:
                found[engine, style] = peak
    return peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engines", nargs="+", default=NAMES, choices=NAMES, help="ratios are to the first")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, help="default all")
    parser.add_argument("--rounds", type=int, help="default 15, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="the small networks and short samples")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "eager.md")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 15)

    workers = {name: Worker(name) for name in options.engines}
    machine = report.machine({name: worker.version for name, worker in workers.items()})
    print(machine, end="\n\n")
    workers = {name: worker for name, worker in workers.items() if worker.version}
    if not workers:
        sys.exit("none of these engines is installed")

    names = options.workloads or [name for name, task in WORKLOADS.items() if task.quick or not options.quick]
    columns = prepare(workers, names, sample_seconds=0.01 if options.quick else 0.05)
    seconds = measure(workers, columns, rounds)
    peaks = memory(workers, columns)
    for worker in workers.values():
        worker.close()

    tables = report.tables(seconds, peaks)
    print("\n" + tables)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(f"# Value and gradient without compilation\n\n{machine}\n\n{tables}\n")


if __name__ == "__main__":
    main()
