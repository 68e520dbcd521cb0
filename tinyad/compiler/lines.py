"""The line of NumPy that computes an instruction: a table by the primitive's name.

A line is a function of the instruction, its operands as text, and where the result goes: the name of memory to write it to with
``out=``, or ``None`` for a new array. It gives an expression, or, for memory, one or several statements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..program import Constant, Instruction, Value

__all__ = ["LINES", "accepts_out", "index_text", "is_view", "line_of", "shape_text"]

Line = Callable[[Instruction, Sequence[str], str | None], str]

# ---- pieces of text


def shape_text(shape: Sequence[int]) -> str:
    """A shape as Python writes it."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def axis_text(axes: Sequence[int], ndim: int) -> str:
    """The axes of a reduction as NumPy takes them."""
    if len(axes) == ndim:
        return "None"
    return str(axes[0] % ndim) if len(axes) == 1 else str(tuple(a % ndim for a in axes))


def index_text(index: Sequence[Any], arrays: Sequence[str]) -> str:
    """What stands between the brackets of an index."""
    given = iter(arrays)
    return ", ".join(_part_text(part, given) for part in index) or "()"


def _part_text(part: Any, arrays: Any) -> str:
    if part is Ellipsis:
        return "..."
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
        return ":".join(ends) + ("" if part.step is None else f":{part.step}")
    return str(part) if part is None or isinstance(part, int) else next(arrays)


def _call(function: str, arguments: Sequence[str], out: str | None) -> str:
    return f"{function}({', '.join([*arguments, *([f'out={out}'] if out else [])])})"


# ---- lines by name

_OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


def _ufunc(i: Instruction, x: Sequence[str], out: str | None) -> str:
    if i.out.ndim == 0 and i.name in _OPERATORS and out is None:
        return f"{x[0]} {_OPERATORS[i.name]} {x[1]}"  # numbers: ten times faster than a call
    return _call(f"np.{i.operation.forward}", x, out)


def _matmul(i: Instruction, x: Sequence[str], out: str | None) -> str:
    left, right = i.inputs
    plain = left.ndim == right.ndim == 2 and left.dtype == right.dtype and left.dtype.kind == "f"
    if plain:  # the same BLAS call with half the overhead (0.8 against 1.8 microseconds)
        return _call(f"{x[0]}.dot", x[1:], out)
    return _call("np.matmul", x, out)


def _reduction(function: str) -> Line:
    def line(i: Instruction, x: Sequence[str], out: str | None) -> str:
        settings = [f"axis={axis_text(i.params['axis'], i.inputs[0].ndim)}"]
        if i.params["keepdims"]:
            settings.append("keepdims=True")
        if i.params.get("correction"):
            settings.append(f"ddof={i.params['correction']}")
        return _call(function, [*x, *settings], out)

    return line


def _along_axis(function: str) -> Line:
    return lambda i, x, out: _call(function, [*x, f"axis={i.params['axis']}"], out)


def _joined(function: str) -> Line:
    return lambda i, x, out: _call(function, [f"({', '.join(x)},)", f"axis={i.params['axis']}"], out)


def _getitem(i: Instruction, x: Sequence[str], out: str | None) -> str:
    return f"{x[0]}[{index_text(i.params['index'], x[1:])}]"


def _scatter(i: Instruction, x: Sequence[str], out: str | None) -> str:
    where = index_text(i.params["index"], x[1:])
    if _is_unique(i):
        return f"{out}.fill(0)\n{out}[{where}] = {x[0]}"
    return f"{out}.fill(0)\nnp.add.at({out}, ({where},), {x[0]})"


def _is_unique(i: Instruction) -> bool:
    """Whether an index names no element twice: it has no arrays, masks only, or counts along one axis."""
    for array in i.inputs[1:]:
        if isinstance(array, Constant) and array.ndim == 1 and array.dtype.kind in "iu":
            values = np.asarray(array.array)
            if len(set(values.tolist())) == len(values) and min(values.tolist(), default=0) >= 0:
                return all(other.ndim <= 1 for other in i.inputs[1:])
    return all(array.dtype.kind == "b" for array in i.inputs[1:])


def _pad(i: Instruction, x: Sequence[str], out: str | None) -> str:
    inside = [slice(before, before + n) for (before, _), n in zip(i.params["widths"], i.inputs[0].shape, strict=True)]
    return f"{out}.fill(0)\n{out}[{index_text(inside, ())}] = {x[0]}"


def _einsum(i: Instruction, x: Sequence[str], out: str | None) -> str:
    *inputs, output = i.params["subscripts"]
    formula = ",".join(f"...{letters}" for letters in inputs) + f"->...{output}"
    optimize = len(inputs) > 2 or max(v.size for v in i.inputs) > 1000
    return _call("np.einsum", [repr(formula), *x, *(["optimize=True"] if optimize else [])], out)


def _transposed(i: Instruction, x: Sequence[str], out: str | None) -> str:
    return f"{x[0]}.T" if i.inputs[0].ndim == 2 else f"{x[0]}.swapaxes(-1, -2)"


def _permuted(i: Instruction, x: Sequence[str], out: str | None) -> str:
    ndim = i.inputs[0].ndim
    return f"{x[0]}.transpose{shape_text([a + len(i.params['axes']) + ndim - len(i.params['axes']) for a in i.params['axes']])}"


def _astype(i: Instruction, x: Sequence[str], out: str | None) -> str:
    if out is None:
        return f"{x[0]}.astype({str(i.params['dtype'])!r})"
    return f'np.copyto({out}, {x[0]}, casting="unsafe")'


VIEWS: dict[str, Line] = {
    "broadcast_to": lambda i, x, out: f"np.broadcast_to({x[0]}, {shape_text(i.out.shape)})",
    "flip": lambda i, x, out: f"np.flip({x[0]}, {tuple(i.params['axes'])})",
    "getitem": _getitem,
    "matrix_transpose": _transposed,
    "permute_dims": _permuted,
    "reshape": lambda i, x, out: f"{x[0]}.reshape({', '.join(map(str, i.out.shape)) or '()'})",
}
"""Lines that give a view where they can."""

STATEMENTS: dict[str, Line] = {"pad": _pad, "scatter": _scatter}
"""Lines that write to memory and need it."""

LINES: dict[str, Line] = {
    **VIEWS,
    **STATEMENTS,
    "argmax": _along_axis("np.argmax"),
    "argmin": _along_axis("np.argmin"),
    "asarray": lambda i, x, out: f"np.array({x[0]}, {str(i.out.dtype)!r})",
    "astype": _astype,
    "cholesky": lambda i, x, out: f"np.linalg.cholesky({x[0]})",
    "clip": lambda i, x, out: _call("np.clip", x, out),
    "concat": _joined("np.concatenate"),
    "cumsum": _along_axis("np.cumsum"),
    "einsum": _einsum,
    "matmul": _matmul,
    "max": _reduction("np.maximum.reduce"),
    "min": _reduction("np.minimum.reduce"),
    "roll": lambda i, x, out: f"np.roll({x[0]}, {i.params['shift']}, {i.params['axes']})",
    "solve": lambda i, x, out: f"np.linalg.solve({x[0]}, {x[1]})",
    "stack": _joined("np.stack"),
    "sum": _reduction("np.add.reduce"),
    "var": _reduction("np.var"),
    "where": lambda i, x, out: _call("np.where", x, None),
}

_FRESH = {"argmax", "argmin", "asarray", "cholesky", "roll", "solve", "where"}
"""Functions of NumPy without ``out=``."""


def line_of(instruction: Instruction) -> Line:
    """How to write an instruction.

    Raises:
        NotImplementedError: if the table has no line for it.
    """
    line = LINES.get(instruction.name) or getattr(instruction.operation, "line", None)
    if line is not None:
        return line
    forward = getattr(instruction.operation, "forward", None)
    if isinstance(forward, str) and isinstance(getattr(np, forward, None), np.ufunc):
        return _ufunc
    raise NotImplementedError(f"compile: no line of NumPy is known for the primitive {instruction.name}; add one to LINES")


def accepts_out(instruction: Instruction) -> bool:
    """Whether the result can be written to given memory."""
    if instruction.name in _FRESH or instruction.out.weak or len(instruction.outputs) != 1:
        return False
    if instruction.name in STATEMENTS or instruction.name not in VIEWS:
        return not hasattr(instruction.operation, "line")
    return False


def is_view(instruction: Instruction, plan: Any) -> bool:
    """Whether the result shows the elements of the first operand, as far as can be known without the arrays."""
    if instruction.name not in VIEWS or not isinstance(instruction.inputs[0], Value) or instruction.inputs[0].weak:
        return False
    return not (instruction.name == "getitem" and len(instruction.inputs) > 1)
