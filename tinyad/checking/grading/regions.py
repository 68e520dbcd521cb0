"""Regions in an author's files: what students get instead of a solution, and what they do not get at all.

Markers stand on lines of their own, as in nbgrader::

    ### BEGIN SOLUTION
    ### END SOLUTION

In the student's copy a comment and ``raise NotImplementedError`` stand in the place of such a region; one of ``HIDDEN TESTS`` is
left out. ``### BEGIN FILE ops.py`` and ``### END FILE`` enclose, in the file of the assignment, a file that students get. In a text
that is no Python the markers may be comments of HTML: ``<!-- BEGIN SOLUTION -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Problem", "Region", "find_regions", "for_students", "has_markers", "sections", "with_solutions"]

KINDS = ("SOLUTION", "HIDDEN TESTS", "FILE")
MARKER = re.compile(r"^\s*(?:#+|<!--)\s*(BEGIN|END) (SOLUTION|HIDDEN TESTS|FILE)(?:\s+([\w./-]+?))?\s*(?:#*|-->)\s*$")
# What is meant as a marker and is none would hand out a solution.
NEARLY = re.compile(
    r"^\s*(?:#+|<!--).*\b(begin|end)[ _-]*(?:of[ _-]*)?(?:the[ _-]*)?(solutions?|hidden[ _-]*tests?)\b", re.IGNORECASE
)
OPENING = re.compile(r"^(\s*)(?:async\s+)?(def|class)\s+(\w+)")
COMMENT = "# YOUR CODE HERE"


@dataclass(frozen=True)
class Problem:
    """What is wrong with an author's file, and in which line of it."""

    line: int
    text: str


@dataclass(frozen=True)
class Region:
    """Lines between two markers.

    Attributes:
        kind: one of `KINDS`.
        first, last: the lines of the markers, counted from 1.
        name: of a file.
    """

    kind: str
    first: int
    last: int
    name: str = ""


def has_markers(text: str) -> bool:
    """Whether there is a solution, or hidden tests, in a text."""
    found, problems = find_regions(text)
    return bool(problems) or any(region.kind != "FILE" for region in found)


def find_regions(text: str) -> tuple[list[Region], list[Problem]]:
    """The regions of a text in the order in which they end, and what is wrong with their markers.

    >>> find_regions("### BEGIN SOLUTION\\nx = 1\\n### END SOLUTION")[0]
    [Region(kind='SOLUTION', first=1, last=3, name='')]
    >>> find_regions("### BEGIN SOLUTION\\nx = 1")[1]
    [Problem(line=1, text='BEGIN SOLUTION has no end; write ### END SOLUTION after the region.')]
    """
    found: list[Region] = []
    problems: list[Problem] = []
    open_: list[Region] = []
    for number, line in enumerate(text.splitlines(), 1):
        marker = MARKER.match(line)
        if marker is None:
            if NEARLY.match(line):
                text = f"looks like a marker and is none: {line.strip()!r}; write ### BEGIN SOLUTION or ### END SOLUTION."
                problems.append(Problem(number, text))
            continue
        which, kind, name = marker[1], marker[2], marker[3] or ""
        if which == "BEGIN":
            if open_ and not (kind != "FILE" and [region.kind for region in open_] == ["FILE"]):
                problems.append(
                    Problem(number, f"BEGIN {kind} inside of {open_[-1].kind} (line {open_[-1].first}): no nesting.")
                )
            if kind == "FILE" and not name:
                problems.append(Problem(number, "BEGIN FILE names no file; write ### BEGIN FILE ops.py."))
            open_.append(Region(kind, number, number, name))
        elif open_ and open_[-1].kind == kind:
            begun = open_.pop()
            found.append(Region(kind, begun.first, number, begun.name))
        else:
            there = f"the region that is open is {open_[-1].kind} (line {open_[-1].first})" if open_ else "no region is open"
            problems.append(Problem(number, f"END {kind}, but {there}."))
    for region in open_:
        ending = f"BEGIN {region.kind} has no end; write ### END {region.kind} after the region."
        problems.append(Problem(region.first, ending))
    return found, problems


# ---- the two copies of a text


def sections(text: str) -> Iterator[tuple[str, str, int]]:
    """The files in an assignment's file: their names, their texts, and the line before their first."""
    lines = text.splitlines(keepends=True)
    for region in find_regions(text)[0]:
        if region.kind == "FILE":
            inside = lines[region.first : region.last - 1]
            blank = next((k for k, line in enumerate(inside) if line.strip()), len(inside))
            yield region.name, "".join(inside[blank:]).rstrip("\n") + "\n", region.first + blank


def for_students(text: str, python: bool = True) -> str:
    """A text as students get it.

    Args:
        python: whether something is to stand in the place of a solution.

    >>> print(for_students("def f(x):\\n    ### BEGIN SOLUTION\\n    return 2 * x\\n    ### END SOLUTION\\n"))
    def f(x):
        # YOUR CODE HERE
        raise NotImplementedError("f is yours to write")
    <BLANKLINE>
    """
    lines = text.splitlines(keepends=True)
    inside = {region.first: region for region in find_regions(text)[0] if region.kind != "FILE"}
    kept: list[str] = []
    number = 1
    while number <= len(lines):
        region = inside.get(number)
        if region is None:
            kept.append(lines[number - 1])
            number += 1
            continue
        if region.kind == "SOLUTION" and python:
            kept += _stub(lines, region)
        number = region.last + 1
    return "".join(kept)


def with_solutions(text: str) -> str:
    """A text as the author has it, without the markers."""
    return "".join(line for line in text.splitlines(keepends=True) if not MARKER.match(line))


def _stub(lines: list[str], region: Region) -> list[str]:
    """What stands in the place of a solution: in a function it raises; a module or a class must be left able to be imported."""
    marker = lines[region.first - 1]
    indent = marker[: len(marker) - len(marker.lstrip())]
    for line in reversed(lines[: region.first - 1]):
        opening = OPENING.match(line)
        if opening and len(opening[1].expandtabs()) < len(indent.expandtabs()):
            if opening[2] == "class":
                break
            return [f"{indent}{COMMENT}\n", f'{indent}raise NotImplementedError("{opening[3]} is yours to write")\n']
    return [f"{indent}{COMMENT}\n", f"{indent}pass\n"]
