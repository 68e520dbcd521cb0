"""A tape, and the reverse walk over it, as text."""

from __future__ import annotations

import linecache
import os
from collections.abc import Sequence
from typing import Any

from ..backend import Array
from .recording import Tape
from .tape_table import Row, saved_bytes
from .walk import Contribution, Step
from .words import described, type_of

__all__ = ["backward_text", "line_text", "tape_text"]

LONGEST = {"inputs": 32, "parameters": 26, "value": 30, "saved": 24}
"""Characters of a cell, where it would else be as long as it likes."""
WIDTH = 132
"""Characters of a row of the table; the user's line gets what the other columns leave, and no less than `LEAST`."""
LEAST = 36


def tape_text(tape: Tape, rows: Sequence[Row]) -> str:
    """The table with its heading and its foot."""
    operations = len(rows) - len(tape.inputs)
    lines = [f"tape of {tape.name}: {_count(len(tape.inputs), 'input')}, {_count(operations, 'operation')}", ""]
    lines += _table(_cells(rows))
    return "\n".join([*lines, "", *_foot(tape, rows)])


def _cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    cells = []
    above = None
    for row in rows:
        place = (row.line, row.section)
        cells.append({
            "id": f"%{row.id}",
            "operation": row.operation,
            "inputs": _short(", ".join(x.text for x in row.operands) or row.name, LONGEST["inputs"]),
            "parameters": _short(_parameters(row.parameters), LONGEST["parameters"]),
            "result": row.result,
            "value": _short(row.value, LONGEST["value"]),
            "saved": _short(", ".join(row.saved), LONGEST["saved"]),
            "line": "" if row.operation == "input" or place == above else line_text(row),
        })  # fmt: skip
        above = place
    return cells


def _table(cells: Sequence[dict[str, str]]) -> list[str]:
    """Lines of a table; columns without entries are left out."""
    columns = [name for name in cells[0] if any(row[name] for row in cells)]
    widths = {name: max(len(name), *[len(row[name]) for row in cells]) for name in columns}
    if "line" in widths:
        rest = WIDTH - sum(width + 2 for name, width in widths.items() if name != "line")
        widths["line"] = min(widths["line"], max(rest, LEAST))
    head = {name: name for name in columns}
    lines = ["  ".join(_short(row[name], widths[name]).ljust(widths[name]) for name in columns) for row in (head, *cells)]
    return [lines[0].rstrip(), "-" * len(lines[0].rstrip()), *[line.rstrip() for line in lines[1:]]]


def line_text(row: Row) -> str:
    """Where the user wrote an operation, and what."""
    if row.line is None:
        return "-"
    file, number = row.line
    walk = {"backward": "reverse walk: ", "tangent": "forward walk: "}.get(row.section, "")
    name = "cell" if "ipykernel" in file else os.path.basename(file)  # a notebook's cell is a file whose name is a number
    return f"{name}:{number}  {walk}{linecache.getline(file, number).strip()}".rstrip()


def _parameters(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_parameter(value)}" for name, value in parameters.items() if value is not False)


def _parameter(value: Any) -> str:
    if isinstance(value, tuple):
        inside = ", ".join(_parameter(part) for part in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, slice):
        parts = ["" if part is None else str(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts[:2] if value.step is None else parts)
    return type_of(value)


def _foot(tape: Tape, rows: Sequence[Row]) -> list[str]:
    name = {node: row.name for node, row in zip(tape.nodes, rows, strict=True)}
    outputs = [f"{path} {name[node]}".strip() for path, node in tape.outputs()]
    arrays, total, own = saved_bytes(tape)
    saved = f"saved: {_count(arrays, 'array')}, {_bytes(total)}" + (f", of which {_bytes(own)} are inputs" if own else "")
    if any(row.kind == "call" for row in rows):
        saved += "; not counted is what the rules of calls keep for themselves"
    return [f"result: {', '.join(outputs) or 'a constant, which does not depend on the inputs'}", saved]


# ---- the walk


def backward_text(steps: Sequence[Step], gradients: dict[str, Array | None]) -> str:
    """What the reverse walk does at each node that it visits."""
    lines = ["reverse walk", ""]
    for step in steps:
        row = step.row
        lines.append(
            f"{row.name} = {row.operation}({_short(', '.join(x.text for x in row.operands), LONGEST['inputs'])}), {row.kind}"
        )
        lines.append(f"    receives {described(step.cotangent)}")
        lines += [f"    to {_handed(each)}" for each in step.contributions]
        if step.breaks:
            lines.append("    here a finite cotangent turned into inf or nan")
    if not steps:
        lines.append("nothing to visit: the result is an input")
    lines += ["", "gradients"]
    lines += [f"    {name}: {'zero, nothing arrived' if g is None else described(g)}" for name, g in gradients.items()]
    return "\n".join(lines)


def _handed(each: Contribution) -> str:
    if each.cotangent is None:
        return f"{each.to}: nothing, the derivative is zero"
    text = f"{each.to}: {described(each.cotangent)}"
    if type_of(each.cotangent) != each.becomes and not isinstance(each.cotangent, list):
        text += f", {'cast' if each.cotangent.shape == each.shape else 'summed'} to {each.becomes}"
    return text + (f", added to what came from {', '.join(each.earlier)}" if each.earlier else "")


# ---- words


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _bytes(number: int) -> str:
    return f"{number / 1e6:.3g} MB" if number >= 100_000 else _count(number, "byte")


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
