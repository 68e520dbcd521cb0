"""What is here: the processor, the BLAS under NumPy, and how fast it multiplies matrices.

This file imports nothing of tinyad, because it is also the child process of a trial: run as a script, it measures.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["WORKLOADS", "Blas", "Processor", "blas", "built_with", "machine_key", "measure", "processor", "read_cpuinfo"]

WORKLOADS = {
    "float32 1024x1024x1024": ("float32", 1024, 1024, 1024),
    "float32 1024x64x64": ("float32", 1024, 64, 64),
    "float64 1024x1024x1024": ("float64", 1024, 1024, 1024),
}
"""The products that are timed, an (m, k) by a (k, n) matrix: large ones, and a layer of width 64 on 1024 examples."""

_FAMILY = {"cpu family": "family", "model": "model", "CPU implementer": "implementer", "CPU part": "part"}


@dataclass(frozen=True)
class Processor:
    """The processor: ``cores`` are physical, ``usable`` is how many logical ones this process may keep busy."""

    name: str
    family: str
    simd: tuple[str, ...]
    cores: int
    usable: int


@dataclass(frozen=True)
class Blas:
    """The BLAS under NumPy. Only threadpoolctl knows the architecture of its kernels and its threads; ``None`` without it."""

    name: str
    version: str
    architecture: str | None = None
    threads: int | None = None


def processor() -> Processor:
    """This machine's processor, as far as this process may use it."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A container may have a share of a machine's time, while the BLAS starts a thread for every processor it sees.
    return read_cpuinfo(_text("/proc/cpuinfo"), read_quota(_text("/sys/fs/cgroup/cpu.max"), usable))


def read_cpuinfo(text: str, usable: int) -> Processor:
    """The processor in the words of Linux's /proc/cpuinfo; of an empty text, what Python knows."""
    blocks = [
        dict(re.findall(r"^([^\t:\n]+?)\s*: *(.*)$", block, re.MULTILINE)) for block in re.split(r"\n\s*\n", text.strip())
    ]
    first = blocks[0]
    cores = {(block.get("physical id"), block.get("core id", block["processor"])) for block in blocks if "processor" in block}
    flags = (first.get("flags") or first.get("Features") or "").split()
    return Processor(
        name=first.get("model name") or platform.processor() or platform.machine(),
        family=", ".join(f"{word} {first[name]}" for name, word in _FAMILY.items() if name in first),
        simd=tuple(flag for flag in flags if flag in ("fma", "sse4_2") or flag.startswith(("avx", "amx", "asimd", "sve"))),
        cores=len(cores) or usable,
        usable=usable,
    )


def read_quota(text: str, usable: int) -> int:
    """How many of the usable processors a control group of Linux allows, in the words of its file cpu.max."""
    share, _, period = text.strip().partition(" ")
    return min(usable, math.ceil(int(share) / int(period))) if share.isdigit() and period.isdigit() else usable


def work_of_others() -> float:
    """Seconds that all processors have worked so far, but not for this process and its children; 0 where Linux is not."""
    ticks = [int(word) for word in _text("/proc/stat").partition("\n")[0].split()[1:9]]
    if len(ticks) < 8:
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = ticks
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def blas() -> Blas:
    """The BLAS that NumPy has loaded; without threadpoolctl, the one it was built with."""
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return Blas(*built_with())
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    if not pools:  # one that threadpoolctl does not know, such as Apple's
        return Blas(*built_with())
    pool = max(pools, key=lambda pool: "numpy" in pool["filepath"])  # SciPy brings one of its own
    return Blas(pool["internal_api"], pool["version"] or "", pool.get("architecture"), pool["num_threads"])


def built_with() -> tuple[str, str]:
    """Name and version of the BLAS that NumPy was built with."""
    build: Any = np.show_config(mode="dicts")
    library = build.get("Build Dependencies", {}).get("blas", {})
    return str(library.get("name", "unknown")), str(library.get("version", ""))


def machine_key(cpu: Processor) -> str:
    """What findings hold for. Home folders are shared between machines, and machines get a new NumPy."""
    library = " ".join(built_with())
    return f"{cpu.name}, {cpu.family}, {' '.join(cpu.simd)}, {cpu.usable} processors; NumPy {np.__version__}, {library}"


def measure(seconds: float) -> dict[str, Any]:
    """The BLAS of this process, and by workload its median speed over ``seconds``, in GFLOP/s."""
    gflops = {}
    for name, (dtype, m, k, n) in WORKLOADS.items():
        a, b = np.random.default_rng(0).random((m, k)).astype(dtype), np.ones((k, n), dtype)
        out = a @ b  # the first product wakes the threads and touches the memory
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            np.matmul(a, b, out=out)
            times.append(time.perf_counter() - start)
        gflops[name] = 2e-9 * m * k * n / float(np.median(times))
    return {"blas": asdict(blas()), "gflops": gflops}


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]))))
