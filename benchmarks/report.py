"""The tables, and the machine they were made on."""

import os
import platform
from math import exp, log
from pathlib import Path
from statistics import median

import numpy as np

from workloads import GROWTH, SECTIONS, WORKLOADS, key

COMPILED = "tinyad compiled"  # what the others are compared with

# what changes the figures: the beginnings of names of environment variables
ENVIRONMENT = ("OPENBLAS_", "OMP_", "GOMP_", "MKL_", "KMP_", "XLA_", "JAX_", "TINYAD_", "NPY_", "NUMPY_")
ENVIRONMENT += ("PYTHONMALLOC", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "CUDA_VISIBLE_DEVICES")


# ------------------------------------------------------------------ the machine


def machine(versions, doctor):
    """Processor, versions and settings as a Markdown list; a version None means not installed."""
    found = ", ".join(version for version in versions.values() if version)
    missing = ", ".join(name for name, version in versions.items() if not version)
    settings = ", ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(ENVIRONMENT))
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    lines = [
        f"processor: {processor()}, {os.cpu_count()} cores, {platform.system()}",
        f"Python {platform.python_version()}, NumPy {np.__version__} with {blas['name']} {blas['version']}",
        f"engines: {found or 'none'}" + (f"; not installed: {missing}" if missing else ""),
        f"environment: {settings or 'none of the variables that matter is set'}",
        "doctor: " + (", ".join(f"{k}={v}" for k, v in doctor.items()) or "recommends nothing (or was not asked)"),
    ]
    return "\n".join(f"- {line}" for line in lines)


def processor():
    """Model name, family and model: the name alone may say little."""
    if not Path("/proc/cpuinfo").exists():
        return platform.processor() or platform.machine()
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    if "model name" not in facts:
        return platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family')}, model {facts.get('model')})"


# ------------------------------------------------------------------ numbers


def quotients(top, bottom):
    """Round by round; fewer rounds on one side (it was measured less often) shorten both."""
    return [a / b for a, b in zip(top, bottom, strict=False)]


def ratio(top, bottom):
    return median(quotients(top, bottom))


def geometric_mean(numbers):
    return exp(sum(map(log, numbers)) / len(numbers))


def number(x):
    """Two or three digits."""
    return f"{x:.2g}" if x < 0.1 else f"{x:.3f}" if x < 1 else f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"


def spread(numbers):
    low, middle, high = np.quantile(numbers, [0.25, 0.5, 0.75])
    return f"{number(middle)} ({number(low)} to {number(high)})"


# ------------------------------------------------------------------ sections


def section(letter, results):
    """Everything measured for a section, as Markdown."""
    about = SECTIONS[letter]
    parts = [f"## ({letter}) {about.title}", about.text, *map(crowd, results.get("others", []))]
    for kind, names, _ in about.measures:
        found = {name: results[kind][name] for name in names if results.get(kind, {}).get(name)}
        if found:
            parts += REPORTS.get((letter, kind), REPORTS.get(kind))(found)
    parts += [f"- left out: {what}: {why}" for what, why in results.get("left_out", {}).items()]
    return "\n\n".join(part for part in parts if part)


def crowd(others):
    """What other programs took of the machine; more than a little, and products with two threads wait for the second."""
    told = f"Other programs took {max(others, 0.0):.2f} processors during the rounds"
    return f"**{told}: do not trust the figures.**" if others > 0.2 else f"{told}."


def times(found):
    return ["Time of a call, median of the rounds:", absolute(found), *ratios(found)]


def absolute(found):
    cell = lambda name, column: number(median(found[name][column]) * WORKLOADS[name].per_second)
    return table("", found, cell, lambda name: f"{WORKLOADS[name].title} [{WORKLOADS[name].unit}]")


def ratios(found):
    """Divided by the others within a round; the geometric mean is that of the medians."""
    if not any(COMPILED in columns for columns in found.values()):
        return []
    against = {
        name: {column: quotients(columns[COMPILED], numbers) for column, numbers in columns.items() if column != COMPILED}
        for name, columns in found.items()
        if COMPILED in columns
    }
    return [
        f"{COMPILED} divided by the other within a round, median (quartiles); below 1 {COMPILED} is faster:",
        summary(f"{COMPILED} /", against, spread),
    ]


def products(found):
    """One kind of product, then the other: times, ratios, and how many times the same column's gradient it takes."""
    parts = []
    for kind in ("hvp", "gnvp"):
        alike = {name: columns for name, columns in found.items() if name.startswith(kind)}
        gradients = {name: found.get(name.replace(kind, "resnet"), {}) for name in alike}
        multiples = {
            name: {c: quotients(numbers, gradients[name][c]) for c, numbers in columns.items() if c in gradients[name]}
            for name, columns in alike.items()
        }
        parts += [*times(alike), "As a multiple of the same engine's value and gradient:", summary("", multiples)]
    return parts


def summary(corner, found, cell=lambda numbers: number(median(numbers))):
    """A table of quotients with the geometric mean of their medians."""
    mean = lambda column: number(geometric_mean([median(columns[column]) for columns in found.values()]))
    return table(corner, found, lambda name, column: cell(found[name][column]), lambda name: WORKLOADS[name].title, mean)


def first_results(found):
    cell = lambda name, column: number(median(found[name][column]))
    return [
        "Seconds to the first result in a new process: tracing and compiling, not importing. Each engine has computed and, if "
        "it can, compiled a sine before.",
        table("", found, cell, lambda name: f"{WORKLOADS[name].title} [s]"),
    ]


def peaks(found):
    cell = lambda name, column: number(median(found[name][column]))
    return [
        "Megabytes of NumPy's arrays held at most in a call (tracemalloc); those kept between calls count, the inputs do not:",
        table("", found, cell, lambda name: f"{WORKLOADS[name].title} [MB]"),
    ]


def leaks(found):
    cell = lambda name, column: f"{median(found[name][column]):.2f}"
    return [
        "Megabytes by which the process has grown after 10,000 more replays (1,000 in a quick run):",
        table("", found, cell, lambda name: f"{WORKLOADS[name].title} [MB]"),
    ]


def growth(found):
    """How the time of value and gradient grows with each of the sizes: the exponent of a power law, and what a layer costs."""
    rows = {}
    for what, sizes in GROWTH.items():
        here = [size for size in sizes if key(size) in found]
        if len(here) < 2:
            continue
        varying = [size[{"batch": 0, "width": 1, "depth": 2}[what]] for size in here]
        for column in set.intersection(*(set(found[key(size)]) for size in here)):
            middle = [median(found[key(size)][column]) for size in here]
            row = rows.setdefault(column, {})
            row[f"{what} {varying[0]} to {varying[-1]}"] = np.polyfit(np.log(varying), np.log(middle), 1)[0]
            if what == "depth":
                row["a layer more [µs]"] = np.polyfit(varying, middle, 1)[0] * 1e6
    heads = list(dict.fromkeys(head for row in rows.values() for head in row))
    columns = {head: {column: row[head] for column, row in rows.items() if head in row} for head in heads}
    return [
        "Value and gradient of the ResNet around (256, 16, 16): the exponent p with which the time grows as size^p, and the "
        "time of a layer more at batch 256, width 16:",
        table("", columns, lambda head, column: number(columns[head][column]), str),
    ]


REPORTS = {
    "seconds": times,
    ("d", "seconds"): products,
    ("i", "seconds"): growth,
    "first": first_results,
    "peak": peaks,
    "leak": leaks,
}


# ------------------------------------------------------------------ Markdown


def table(corner, found, cell, title, mean=None):
    """A row for each column measured, a column for each workload, and the geometric mean if asked for."""
    rows = sorted({column for columns in found.values() for column in columns}, key=order)
    grid = [[corner, *map(title, found)]]
    for row in rows:
        grid.append([row, *(cell(name, row) if row in found[name] else "" for name in found)])
    if mean and len(found) > 1:
        grid[0].append("geometric mean")
        for line, row in zip(grid[1:], rows, strict=True):
            line.append(mean(row) if all(row in columns for columns in found.values()) else "")
    return markdown(grid)


def order(column):
    """tinyad first, the others by name."""
    return (not column.startswith(COMPILED), not column.startswith("tinyad"), column)


def markdown(grid):
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for head, *cells in [grid[0], rule, *grid[1:]]:
        padded = [head.ljust(widths[0]), *(text.rjust(width) for text, width in zip(cells, widths[1:], strict=True))]
        lines.append("| " + " | ".join(padded) + " |")
    return "\n".join(lines)
