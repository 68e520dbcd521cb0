"""Notebooks for nbgrader: the student's files as cells, and a graded cell for every rule.

A file in percent format (``# %%``, ``# %% [markdown]``) has its cells there; any other is cut between its definitions. Cells with a
solution in them can be edited, all others are locked. The metadata are those of nbgrader's schema, version 3.

`write_nbgrader` writes a grade as a notebook that nbgrader has nothing left to run in: the outputs are there.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .assignment import Item, Rule
from .regions import COMMENT, has_markers
from .results import Grade, write_atomically
from .visible import FILE

__all__ = ["Cell", "as_notebook", "graded_notebook", "notebook_of", "write_nbgrader"]

PERCENT = re.compile(r"^# %%\s*(\[(markdown|md)\])?.*$")
SCHEMA = 3

Cell = dict[str, Any]


# ---- cells of a file


def cells_of(text: str) -> list[tuple[str, str]]:
    """The cells of a Python file: whether they are "code" or "markdown", and what is in them.

    >>> cells_of("# %% [markdown]\\n# Words\\n# %%\\nx = 1\\n")
    [('markdown', 'Words'), ('code', 'x = 1')]
    """
    lines = text.splitlines()
    cut = _by_marks(lines) if any(PERCENT.match(line) for line in lines) else _by_definitions(text, lines)
    return [(kind, body) for kind, body in cut if body.strip()]


def _by_marks(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    kind, kept = "code", list[str]()
    for line in [*lines, "# %%"]:
        mark = PERCENT.match(line)
        if mark is None:
            kept.append(line)
            continue
        yield kind, _uncommented(kept) if kind == "markdown" else "\n".join(kept).strip("\n")
        kind, kept = "markdown" if mark[1] else "code", []


def _uncommented(lines: Sequence[str]) -> str:
    """The words of a markdown cell, which stand in comments or in one string."""
    text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines).strip()
    return text.removeprefix('"""').removesuffix('"""').strip()


def _by_definitions(text: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The docstring, then a cell for each function or class, and for what stands between them."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"a file cannot be cut into cells, because it is no Python: {error}") from None
    body = list(tree.body)
    start = 0
    if (said := ast.get_docstring(tree)) is not None:
        yield "markdown", said
        start = body.pop(0).end_lineno or 0
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            while first > start and lines[first - 1].startswith("#"):  # what is said of it
                first -= 1
            yield "code", "\n".join(lines[start:first]).strip("\n")
            end = _end(lines, node.end_lineno or first + 1)
            yield "code", "\n".join(lines[first:end]).strip("\n")
            start = end
    yield "code", "\n".join(lines[start:]).strip("\n")


def _end(lines: Sequence[str], end: int) -> int:
    """The end of a definition with the indented comments after it: markers are no part of its syntax."""
    while end < len(lines) and (lines[end][:1].isspace() or not lines[end]):
        end += 1
    return end


# ---- notebooks


def notebook_of(name: str, text: str, items: Sequence[Item], assignment: str = "") -> bytes:
    """A file as a notebook.

    Args:
        name: of the file.
        text: of the student's copy, or the author's with its markers.
        items: whose functions are in it; rules get a graded cell.
        assignment: name of the author's file if the hidden cases are to be in those cells, between markers for nbgrader.

    Raises:
        ValueError: the text is no Python.
    """
    cells = [_plain_cell(k, kind, body) for k, (kind, body) in enumerate(cells_of(text))]
    for item in items:
        if isinstance(item, Rule) and item.file == name:
            cells.append(
                _cell("code", graded_source(item, assignment), _id(f"test {item.name}"), points=item.points, locked=True)
            )
    return as_notebook(cells)


def _plain_cell(number: int, kind: str, body: str) -> Cell:
    names = re.findall(r"^(?:def|class)\s+(\w+)", body, re.MULTILINE)
    solution = kind == "code" and (COMMENT in body or has_markers(body))
    return _cell(kind, body, _id(names[0] if names else f"cell {number}"), solution=solution, locked=not solution)


def _id(name: str) -> str:
    """A grade_id: letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "cell"


def graded_source(item: Rule, assignment: str = "") -> str:
    """A graded cell: it raises if a visible case fails; in the author's copy its value is the points of all cases."""
    functions = ", ".join(item.names)
    lines = ["import tinyad.grade as tg", "", f"print(tg.check_visible({FILE!r}, {item.name!r}, {functions}))"]
    if assignment:
        lines += [
            "### BEGIN HIDDEN TESTS",
            f"tg.grade_here({assignment!r}, {item.name!r}, {functions})",
            "### END HIDDEN TESTS",
        ]
    return "\n".join(lines)


def _cell(
    kind: str,
    source: str,
    grade_id: str,
    solution: bool = False,
    locked: bool = False,
    points: float | None = None,
    outputs: Sequence[Any] = (),
) -> Cell:
    flags = {"schema_version": SCHEMA, "grade": points is not None, "locked": locked, "solution": solution, "task": False}
    about: dict[str, Any] = {"grade_id": grade_id, **flags}
    if points is not None:
        about["points"] = points
    code = {"execution_count": 1 if outputs else None, "outputs": list(outputs)} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {"nbgrader": about}, "source": source.splitlines(keepends=True), **code}


def as_notebook(cells: Sequence[Cell]) -> bytes:
    """Cells as the bytes of an .ipynb file; ids of cells are made unique."""
    seen: dict[str, int] = {}
    numbered = []
    for number, cell in enumerate(cells):
        about = dict(cell["metadata"]["nbgrader"])
        count = seen[about["grade_id"]] = seen.get(about["grade_id"], 0) + 1
        if count > 1:
            about["grade_id"] += f"-{count}"
        numbered.append({**cell, "id": f"cell-{number}", "metadata": {**cell["metadata"], "nbgrader": about}})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    body = {"cells": numbered, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()


# ---- a grade as a notebook


def graded_notebook(grade: Grade) -> bytes:
    """A graded cell for each test, which shows the score as a number, and the feedback beside it."""
    cells = []
    for test in grade.tests:
        shown = {"text/plain": [repr(float(test.score))], "text/html": [f"<pre>{html.escape(test.output)}</pre>"]}
        output = {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": shown}
        source = f"# {test.number} {test.name}: {test.status}"
        cells.append(
            _cell("code", source, _id(f"{test.number} {test.name}"), locked=True, points=test.points, outputs=[output])
        )
    return as_notebook(cells)


def write_nbgrader(grade: Grade, path: Path) -> None:
    """Write it, as a whole or not at all."""
    write_atomically(path, graded_notebook(grade).decode())
