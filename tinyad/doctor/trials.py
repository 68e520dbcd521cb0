"""What would help: settings tried in child processes, side by side, and the rule that chooses among them."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

from . import machine
from .machine import Blas, Processor

__all__ = [
    "CLEARLY", "CORE_TYPES", "HARM", "THREADS", "VARIABLES", "ChildError", "Row", "Setting", "choose", "compare",
    "kernel_settings", "measure_child", "run_child", "thread_settings",
]  # fmt: skip

Setting = dict[str, str]
"""Environment variables and their values; an empty one is the environment as it is."""

AVX2 = {"avx2", "fma"}
AVX512 = {*AVX2, "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
CORE_TYPES = {
    "HASWELL": AVX2,
    "ZEN": AVX2,
    "SKYLAKEX": AVX512,
    "COOPERLAKE": {*AVX512, "avx512_bf16"},
    "SAPPHIRERAPIDS": {*AVX512, "avx512_bf16", "amx_tile", "amx_bf16"},
}
"""Kernels of OpenBLAS, and the instructions they use. OpenBLAS need not look whether the processor has them: on one without
AVX-512, the first product with SKYLAKEX kills the process (0.3.31, tried)."""

THREADS_OF = {"openblas": "OPENBLAS_NUM_THREADS", "mkl": "MKL_NUM_THREADS"}
THREADS = {*THREADS_OF.values(), "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}
VARIABLES = {"OPENBLAS_CORETYPE", *THREADS}

CLEARLY = 1.10  # a setting must be worth its line, and less than this is the noise of a busy machine
HARM = 0.95  # what is faster in the mean must not be paid for by one of the workloads


class ChildError(RuntimeError):
    """A child process gave no answer; the message says how it ended."""


@dataclass(frozen=True)
class Row:
    """How a setting fared beside the first of its comparison (the first that did not crash).

    Attributes:
        blas: what the child found loaded; ``None`` if it never answered.
        gflops: by workload, the median over the rounds.
        ratios: by workload, the median of the speeds over those of the first setting in the same round; above 1 is faster.
        rounds: for each round, the geometric mean of its ratios.
        ratio: the geometric mean of ``ratios``; 0 if there are none.
        note: why there are none.
    """

    setting: Setting
    blas: Blas | None = None
    gflops: Mapping[str, float] | None = None
    ratios: Mapping[str, float] | None = None
    rounds: tuple[float, ...] = ()
    ratio: float = 0.0
    note: str = ""


# ---- which settings


def kernel_settings(cpu: Processor, library: Blas) -> list[Setting]:
    """The kernels to try: those that this processor has the instructions for, without the ones in use."""
    if "openblas" not in library.name:
        return []
    present = (library.architecture or "").upper()
    return [{"OPENBLAS_CORETYPE": name} for name, needs in CORE_TYPES.items() if needs <= set(cpu.simd) and name != present]


def thread_settings(cpu: Processor, library: Blas) -> list[Setting]:
    """The numbers of threads to try: one, and one for each physical core."""
    variables = [variable for name, variable in THREADS_OF.items() if name in library.name]
    counts = sorted({1, min(cpu.cores, cpu.usable)} - {library.threads})
    return [{variable: str(count)} for variable in variables for count in counts]


# ---- measuring them


def run_child(words: list[str], setting: Setting, timeout: float) -> str:
    """What a fresh interpreter prints that runs ``words`` under a setting.

    Raises:
        ChildError: if it crashed, ended with an error, or did not end.
    """
    command = [sys.executable, "-P", *words]  # -P: names beside a script must not stand before the standard library's
    try:
        done = subprocess.run(command, env={**os.environ, **setting}, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise ChildError(f"gave no answer within {timeout:g} s") from None
    if done.returncode < 0:
        raise ChildError(f"crashed: {signal.strsignal(-done.returncode)}")
    if done.returncode:
        raise ChildError(f"failed: {(done.stderr.strip() or f'status {done.returncode}').splitlines()[-1]}")
    return done.stdout


def measure_child(setting: Setting, seconds: float) -> dict[str, Any]:
    """`machine.measure` in a process of its own."""
    sample: dict[str, Any] = json.loads(run_child([machine.__file__, str(seconds)], setting, timeout=30))
    return sample


def compare(
    settings: Sequence[Setting], measured: Callable[[Setting], dict[str, Any]], rounds: int, until: float = math.inf
) -> list[Row]:
    """Measure every setting once a round, each round in another order, so that a drift of the machine hits all alike.

    A setting that crashes, or turns out to be an earlier one under another name, is not measured again. From the third round on,
    the clock (`time.monotonic`) must not have passed ``until``, and something must be left to compare.
    """
    samples: list[list[dict[str, Any]]] = [[] for _ in settings]
    notes = [""] * len(settings)
    for turn in range(rounds):
        left = [i for i in range(len(settings)) if not notes[i]]
        if turn >= 2 and (len(left) < 2 or time.monotonic() > until):
            break
        first = turn % max(len(left), 1)
        for i in left[first:] + left[:first]:
            try:
                samples[i].append(measured(settings[i]))
            except ChildError as error:
                notes[i] = str(error)
        if turn == 0:
            _note_duplicates(samples, notes)
    base: list[dict[str, Any]] = next((taken for taken, note in zip(samples, notes, strict=True) if not note), [])
    return [_row(setting, taken, base, note) for setting, taken, note in zip(settings, samples, notes, strict=True)]


def _note_duplicates(samples: list[list[dict[str, Any]]], notes: list[str]) -> None:
    """OpenBLAS takes other kernels, in silence, when it was built without those asked for."""
    seen: list[Blas] = []
    for i, loaded in enumerate(Blas(**taken[0]["blas"]) if taken else None for taken in samples):
        if loaded is None or loaded.architecture is None:
            continue
        if loaded in seen:
            notes[i] = f"the same as above: {loaded.architecture} kernels, {loaded.threads} threads"
        seen.append(loaded)


def _row(setting: Setting, taken: list[dict[str, Any]], base: list[dict[str, Any]], note: str) -> Row:
    loaded = Blas(**taken[0]["blas"]) if taken else None
    if note:
        return Row(setting, loaded, note=note)
    speeds = [sample["gflops"] for sample in taken]
    by_round = [{name: mine[name] / theirs["gflops"][name] for name in mine} for mine, theirs in zip(speeds, base, strict=True)]
    ratios = _medians(by_round)
    rounds = tuple(geometric_mean(ratios.values()) for ratios in by_round)
    return Row(setting, loaded, _medians(speeds), ratios, rounds, geometric_mean(ratios.values()))


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(values[name] for values in rounds) for name in rounds[0]}


# ---- choosing among them


def choose(rows: Sequence[Row]) -> Row:
    """The fastest setting that is clearly better than the first: in the mean, in every round, and at no workload's cost.

    If none is, it is the first; if that crashed, the next that did not.
    """
    first = next((row for row in rows if not row.note), rows[0])
    return max(filter(_clearly_better, rows), key=lambda row: row.ratio, default=first)


def _clearly_better(row: Row) -> bool:
    return row.ratio >= CLEARLY and _all_above(1.0, row.rounds) and _all_above(HARM, (row.ratios or {}).values())


def _all_above(limit: float, values: Iterable[float]) -> bool:
    return all(value > limit for value in values)
