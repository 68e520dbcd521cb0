"""The tables, and the machine they were made on."""

import os
import platform
from pathlib import Path
from statistics import median

import numpy as np

from workloads import WORKLOADS

# what changes the figures: the beginnings of names of environment variables
ENVIRONMENT = ("OPENBLAS_", "OMP_", "GOMP_", "MKL_", "KMP_", "XLA_", "JAX_", "TINYAD_", "NPY_", "NUMPY_")
ENVIRONMENT += ("PYTHONMALLOC", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "CUDA_VISIBLE_DEVICES")


def machine(versions):
    """Processor, versions and settings as a Markdown list; a version None means not installed."""
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    missing = ", ".join(name for name, version in versions.items() if not version)
    settings = ", ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(ENVIRONMENT))
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    lines = [
        f"processor: {processor()}, {os.cpu_count()} cores, {platform.system()}",
        f"Python {platform.python_version()}, NumPy {np.__version__} with {blas['name']} {blas['version']}",
        f"engines: {found or 'none'}" + (f"; not installed: {missing}" if missing else ""),
        f"environment: {settings or 'none of the variables that matter is set'}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def processor():
    """Model name, family and model: the name alone may say little."""
    if not Path("/proc/cpuinfo").exists():
        return platform.processor() or platform.machine()
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    if "model name" not in facts:
        return platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family')}, model {facts.get('model')})"


def tables(seconds, peaks):
    """Everything measured, as Markdown. The first column is the one the others are compared with."""
    columns = list(dict.fromkeys(column for rounds in seconds.values() for column in rounds))
    engines = list(dict.fromkeys(engine for engine, _ in columns))
    columns.sort(key=lambda column: engines.index(column[0]))
    base, *others = columns
    count = len(next(iter(seconds.values()))[base])

    def time(task, rounds, column):
        return number(median(rounds[column]) * task.per_second)

    def ratio(task, rounds, column):
        quotients = np.divide(rounds[base], rounds[column]) if base in rounds else [np.nan]
        low, middle, high = np.quantile(quotients, [0.25, 0.5, 0.75])
        return f"{number(middle)} ({number(low)} to {number(high)})"

    def peak(task, megabytes, column):
        return number(megabytes[column])

    first = label(base)
    parts = [
        f"Time of value and gradient, median of {count} rounds:",
        table("", columns, seconds, time, lambda task: f"{task.title} [{task.unit}]"),
    ]
    if others:
        parts += [
            f"{first} divided by the other within a round, median (quartiles); below 1 {first} is faster:",
            table(f"{first} /", others, seconds, ratio, lambda task: task.title),
        ]
    if any(peaks.values()):
        parts += [
            "Peak memory of value and gradient beyond the inputs (tracemalloc, so NumPy's arrays only):",
            table("", columns, peaks, peak, lambda task: f"{task.title} [MB]"),
        ]
    return "\n\n".join(parts)


def label(column):
    engine, style = column
    return f"{engine} ({style})" if style else engine


def number(x):
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"


def table(corner, columns, measured, cell, title):
    """A row a workload, a column an engine; Markdown, aligned so that it reads well in a terminal too."""
    columns = [column for column in columns if any(column in found for found in measured.values())]
    grid = [[corner, *map(label, columns)]]
    for name, found in measured.items():
        task = WORKLOADS[name]
        grid.append([title(task), *(cell(task, found, c) if c in found else "" for c in columns)])
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for head, *cells in [grid[0], rule, *grid[1:]]:
        padded = [
            head.ljust(widths[0]),
            *(text.rjust(width) for text, width in zip(cells, widths[1:], strict=True)),
        ]
        lines.append("| " + " | ".join(padded) + " |")
    return "\n".join(lines)
