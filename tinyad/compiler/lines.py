"""The line of NumPy that computes an instruction: a table by the primitive's name.

A line is a function of the instruction, its operands as text, and where the result goes: the name of memory to write it to with
``out=``, or ``None`` for a new array. It gives an expression, or, for memory, one or several statements.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import function_of
from ..primitives.convolution import pieces
from ..primitives.indexing import broadcast_axes
from ..program import Constant, Instruction, Value

__all__ = [
    "LINES",
    "OPERATORS",
    "accepts_out",
    "index_text",
    "is_view",
    "line_of",
    "module_of_line",
    "number_text",
    "shape_text",
]

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


def number_text(x: Any) -> str:
    """A Python number as an operand: Python has no names for infinity and NaN, and ``-2.0 ** x`` is ``-(2.0 ** x)``."""
    text = repr(x)
    if isinstance(x, float) and x - x != 0.0:
        text = text.replace("inf", "np.inf").replace("nan", "np.nan")
    elif isinstance(x, complex) and x - x != 0.0:
        text = f"complex({number_text(x.real)}, {number_text(x.imag)})"
    return f"({text})" if text.startswith("-") else text


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

OPERATORS = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "power": "{} ** {}",
    "negative": "-{}", "abs": "abs({})", "equal": "{} == {}", "not_equal": "{} != {}", "less": "{} < {}",
    "less_equal": "{} <= {}", "greater": "{} > {}", "greater_equal": "{} >= {}", "bitwise_and": "{} & {}",
    "bitwise_or": "{} | {}", "bitwise_xor": "{} ^ {}", "bitwise_invert": "~{}",
}  # fmt: skip
"""What Python computes with numbers; the first five also with NumPy's, ten times faster than a call."""
_FASTER = frozenset(list(OPERATORS)[:5])


def _ufunc(i: Instruction, x: Sequence[str], out: str | None) -> str:
    if i.out.ndim == 0 and out is None and i.name in (OPERATORS if i.out.weak else _FASTER):
        return OPERATORS[i.name].format(*x)
    return _call(_callee(i), x, out)


def _matmul(i: Instruction, x: Sequence[str], out: str | None) -> str:
    left, right = i.inputs
    plain = left.ndim in (1, 2) and right.ndim in (1, 2) and left.dtype == right.dtype and left.dtype.kind == "f"
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


def _index(i: Instruction, lead: int) -> tuple[Any, ...]:
    """An index that leaves ``lead`` axes in front alone. What picks one element is written as NumPy's way to get a number."""
    parts = (slice(None),) * lead + i.params["index"]
    return tuple([part for part in parts if part is not Ellipsis]) if i.out.ndim == 0 else parts


def _moved(text: str, source: range, target: range) -> str:
    return f"np.moveaxis({text}, {tuple(source)}, {tuple(target)})"


def _getitem(i: Instruction, x: Sequence[str], out: str | None) -> str:
    lead = i.inputs[0].ndim - i.params["rank"]
    text = f"{x[0]}[{index_text(_index(i, lead), x[1:])}]"
    joint = broadcast_axes(i.params["index"], i.inputs[1:]) if lead else 0
    return _moved(text, range(joint, joint + lead), range(lead)) if joint else text


def _scatter(i: Instruction, x: Sequence[str], out: str | None) -> str:
    lead = i.inputs[0].ndim - i.params["rank"]
    where = index_text((slice(None),) * lead + i.params["index"], x[1:])
    joint = broadcast_axes(i.params["index"], i.inputs[1:]) if lead else 0
    added = _moved(x[0], range(lead), range(joint, joint + lead)) if joint else x[0]
    if _is_unique(i):
        return f"{out}.fill(0)\n{out}[{where}] = {added}"
    return f"{out}.fill(0)\nnp.add.at({out}, np.s_[{where}], {added})"


def _put(i: Instruction, x: Sequence[str], out: str | None) -> str:
    """The copy is left out where the result is written over the array itself."""
    lead = i.inputs[0].ndim - i.params["rank"]
    where = index_text((slice(None),) * lead + i.params["index"], x[2:])
    joint = broadcast_axes(i.params["index"], i.inputs[2:]) if lead else 0
    put = _moved(x[1], range(lead), range(joint, joint + lead)) if joint else x[1]
    copied = "" if x[0] == out else f"np.copyto({out}, {x[0]})\n"
    return f"{copied}{out}[{where}] = {put}"


def _indices(i: Instruction, x: Sequence[str]) -> str:
    """The indices of an instruction along one axis, with as many axes as its array."""
    array, indices = i.inputs
    if array.ndim == indices.ndim:
        return x[1]
    return f"{x[1]}.reshape{shape_text((*(1,) * (array.ndim - indices.ndim), *indices.shape))}"


def _take_along_axis(i: Instruction, x: Sequence[str], out: str | None) -> str:
    if i.out.ndim == 1:
        return f"{x[0]}[{x[1]}]"
    return f"np.take_along_axis({x[0]}, {_indices(i, x)}, axis={i.params['axis']})"


def _add_along_axis(i: Instruction, x: Sequence[str], out: str | None) -> str:
    shape, axis = i.inputs[0].shape, i.params["axis"] % i.out.ndim
    grid = [f"np.arange({n}).reshape{shape_text((n, *(1,) * (len(shape) - k - 1)))}" for k, n in enumerate(shape)]
    grid[axis] = _indices(i, x)
    where = ", ".join(grid)
    if i.params["once"]:
        return f"{out}.fill(0)\n{out}[{where}] = {x[0]}"
    return f"{out}.fill(0)\nnp.add.at({out}, np.s_[{where}], {x[0]})"


def _searchsorted(i: Instruction, x: Sequence[str], out: str | None) -> str:
    side = i.params["side"]
    if i.inputs[0].ndim == 1:
        return f"np.searchsorted({x[0]}, {x[1]}, side={side!r})"
    sign = "<" if side == "left" else "<="  # a list for each example
    return f"np.add.reduce({x[0]}[..., None, :] {sign} {x[1]}[..., :, None], axis=-1, dtype=int)"


def _windows(i: Instruction, count: Sequence[int]) -> list[tuple[str, str]]:
    """For each element of a kernel, the windows' elements there and what they meet, as indices."""
    found = []
    for at, where in pieces(i.params["kernel"], i.params["stride"], i.params["dilation"], tuple(count)):
        rest = [slice(None)] * (len(at) + 1)
        found.append((index_text((..., *at, *rest), ()), index_text((..., *where, slice(None)), ())))
    return found


def _unfold(i: Instruction, x: Sequence[str], out: str | None) -> str:
    count = i.out.shape[-len(i.params["kernel"]) - 1 : -1]
    return "\n".join(f"{out}[{inside}] = {x[0]}[{where}]" for inside, where in _windows(i, count))


def _fold(i: Instruction, x: Sequence[str], out: str | None) -> str:
    count = i.inputs[0].shape[-len(i.params["kernel"]) - 1 : -1]
    return "\n".join([f"{out}.fill(0)", *[f"{out}[{where}] += {x[0]}[{inside}]" for inside, where in _windows(i, count)]])


def _is_unique(i: Instruction) -> bool:
    """Whether an index names no element twice: it has no arrays, masks only, or counts along one axis."""
    for array in i.inputs[1:]:
        if isinstance(array, Constant) and array.ndim == 1 and array.dtype.kind in "iu":
            values = np.asarray(array.array)
            if len(set(values.tolist())) == len(values) and min(values.tolist(), default=0) >= 0:
                return all(other.ndim <= 1 for other in i.inputs[1:])
    return all(array.dtype.kind == "b" for array in i.inputs[1:])


def _pad(i: Instruction, x: Sequence[str], out: str | None) -> str:
    lead = i.out.ndim - len(i.params["widths"])
    widths = ((0, 0),) * lead + i.params["widths"]
    inside = [slice(before, before + n) for (before, _), n in zip(widths, i.inputs[0].shape, strict=True)]
    return f"{out}.fill(0)\n{out}[{index_text(inside, ())}] = {x[0]}"


def _einsum(i: Instruction, x: Sequence[str], out: str | None) -> str:
    *inputs, output = i.params["subscripts"]
    formula = ",".join(f"...{letters}" for letters in inputs) + f"->...{output}"
    optimize = len(inputs) > 2 or max(v.size for v in i.inputs) > 1000
    text = _call("np.einsum", [repr(formula), *x, *(["optimize=True"] if optimize else [])], out)
    return f"{text}.copy()" if out is None and len(inputs) == 1 and i.out.ndim else text  # of one operand it may be a view


def _transposed(i: Instruction, x: Sequence[str], out: str | None) -> str:
    return f"{x[0]}.T" if i.inputs[0].ndim == 2 else f"{x[0]}.swapaxes(-1, -2)"


def _permuted(i: Instruction, x: Sequence[str], out: str | None) -> str:
    ndim, axes = i.inputs[0].ndim, i.params["axes"]
    return f"{x[0]}.transpose{shape_text([*range(ndim - len(axes)), *[a + ndim for a in axes]])}"


def _broadcast(i: Instruction, x: Sequence[str], out: str | None) -> str:
    lead, added = i.inputs[0].ndim - i.params["rank"], len(i.params["shape"]) - i.params["rank"]
    shape = i.inputs[0].shape
    if lead and added:
        x = [f"{x[0]}.reshape{shape_text((*shape[:lead], *(1,) * added, *shape[lead:]))}"]
    if i.out.size == i.inputs[0].size:  # as NumPy's broadcast_to, but it may be written to
        return VIEWS["reshape"](i, x, out)
    return f"np.broadcast_to({x[0]}, {shape_text(i.out.shape)})"


def _astype(i: Instruction, x: Sequence[str], out: str | None) -> str:
    if out is None:
        return f"{x[0]}.astype({str(i.params['dtype'])!r})"
    return f'np.copyto({out}, {x[0]}, casting="unsafe")'


def _isclose(i: Instruction, x: Sequence[str], out: str | None) -> str:
    return _call("np.isclose", [*x, *[f"{name}={value!r}" for name, value in i.params.items()]], None)


def _pinv(i: Instruction, x: Sequence[str], out: str | None) -> str:
    a, cutoff = i.inputs
    if not getattr(cutoff, "ndim", 0):
        return f"np.linalg.pinv({x[0]}, {x[1]})"
    batch = i.out.shape[:-2]
    matrices = x[0] if a.shape[:-2] == batch else f"np.broadcast_to({x[0]}, {shape_text(batch + a.shape[-2:])})"
    return f"np.linalg.pinv({matrices}, np.broadcast_to({x[1]}[..., 0, 0], {shape_text(batch)}))"


def _solve(i: Instruction, x: Sequence[str], out: str | None) -> str:
    a, b = i.inputs
    if not a.ndim == 2 < b.ndim:
        return f"np.linalg.solve({x[0]}, {x[1]})"
    shape = (b.shape[-2], *b.shape[:-2], b.shape[-1])  # all right-hand sides beside one another
    columns = f"np.moveaxis({x[1]}, -2, 0).reshape{shape_text((shape[0], math.prod(shape[1:])))}"
    return f"np.moveaxis(np.linalg.solve({x[0]}, {columns}).reshape{shape_text(shape)}, 0, -2)"


def _to_device(i: Instruction, x: Sequence[str], out: str | None) -> str:
    if i.params["device"] != "cpu":
        raise NotImplementedError("compile: to_device: a compiled function runs on one device; move arrays before you call it")
    return LINES["copy"](i, x, out)


VIEWS: dict[str, Line] = {
    "broadcast_to": _broadcast,
    "flip": lambda i, x, out: f"np.flip({x[0]}, {tuple(i.params['axes'])})",
    "getitem": _getitem,
    "matrix_transpose": _transposed,
    "permute_dims": _permuted,
    "reshape": lambda i, x, out: f"{x[0]}.reshape({', '.join(map(str, i.out.shape)) or '()'})",
}
"""Lines that give a view where they can."""

STATEMENTS: dict[str, Line] = {
    "add_along_axis": _add_along_axis,
    "complex": lambda i, x, out: f"{out}.real = {x[0]}\n{out}.imag = {x[1]}",
    "fold": _fold,
    "pad": _pad,
    "put": _put,
    "scatter": _scatter,
    "unfold": _unfold,
}
"""Lines that write to memory and need it."""

LINES: dict[str, Line] = {
    **VIEWS,
    **STATEMENTS,
    "all": _reduction("np.logical_and.reduce"),
    "any": _reduction("np.logical_or.reduce"),
    "argmax": _along_axis("np.argmax"),
    "argmin": _along_axis("np.argmin"),
    "argsort": lambda i, x, out: f'np.argsort({x[0]}, axis={i.params["axis"]}, kind="stable")',
    "as_integers": _astype,
    "asarray": lambda i, x, out: f"np.array({x[0]}, {str(i.out.dtype)!r})",
    "astype": _astype,
    "clip": lambda i, x, out: _call("np.clip", x, out),
    "concat": _joined("np.concatenate"),
    "count_nonzero": lambda i, x, out: _reduction("np.add.reduce")(i, [f"np.not_equal({x[0]}, 0)", "dtype=int"], out),
    "copy": lambda i, x, out: f"np.copyto({out}, {x[0]})" if out else f"{x[0]}.copy()",
    "cumprod": _along_axis("np.cumprod"),
    "cumsum": _along_axis("np.cumsum"),
    "eig": lambda i, x, out: f"(y.astype({str(i.outputs[0].dtype)!r}) for y in np.linalg.eig({x[0]}))",
    "einsum": _einsum,
    "isclose": _isclose,
    "imag": lambda i, x, out: _call("np.positive", [f"{x[0]}.imag"], out),
    "item": lambda i, x, out: x[0],  # every number is read out
    "logcumsumexp": _along_axis("np.logaddexp.accumulate"),
    "matmul": _matmul,
    "max": _reduction("np.maximum.reduce"),
    "min": _reduction("np.minimum.reduce"),
    "pinv": _pinv,
    "prod": _reduction("np.multiply.reduce"),
    "real": lambda i, x, out: _call("np.positive", [f"{x[0]}.real"], out),
    "round": lambda i, x, out: _call("np.round", [*x, *map(str, i.params.values())], out),
    "roll": lambda i, x, out: f"np.roll({x[0]}, {i.params['shift']}, {i.params['axes']})",
    "searchsorted": _searchsorted,
    "solve": _solve,
    "stack": _joined("np.stack"),
    "sum": _reduction("np.add.reduce"),
    "take_along_axis": _take_along_axis,
    "to_device": _to_device,
    "var": _reduction("np.var"),
    "where": lambda i, x, out: _call("np.where", x, None),
}

_FRESH = {
    "argmax", "argmin", "argsort", "asarray", "isclose", "pinv", "roll", "searchsorted", "solve", "take_along_axis", "where",
}  # fmt: skip
"""Functions of NumPy without ``out=``."""


def _forward(instruction: Instruction) -> str:
    """The name of the function that computes an instruction; empty where it has none."""
    forward = getattr(instruction.operation, "forward", "")
    return forward if isinstance(forward, str) else ""


def module_of_line(instruction: Instruction) -> str:
    """What the line of an instruction needs to be imported, beside NumPy; empty for nothing."""
    forward = _forward(instruction)
    return forward.rpartition(".")[0] if forward.startswith("scipy.") else ""


def _callee(i: Instruction) -> str:
    return _forward(i) if module_of_line(i) else f"np.{_forward(i)}"


def _is_ufunc(i: Instruction) -> bool:
    return _forward(i) != "" and isinstance(function_of(np, _forward(i)), np.ufunc)


def _by_name(i: Instruction, x: Sequence[str], out: str | None) -> str:
    """A call of the function a primitive is declared with; parameters have the names that the function knows."""
    return _call(_callee(i), [*x, *[f"{key}={value!r}" for key, value in i.params.items()]], None)


def line_of(instruction: Instruction) -> Line:
    """How to write an instruction.

    Raises:
        NotImplementedError: if the table has no line for it.
    """
    line = LINES.get(instruction.name) or getattr(instruction.operation, "line", None)
    if line is not None:
        return line
    if _forward(instruction):
        return _ufunc if _is_ufunc(instruction) else _by_name
    raise NotImplementedError(f"compile: no line of NumPy is known for the primitive {instruction.name}; add one to LINES")


def accepts_out(instruction: Instruction) -> bool:
    """Whether the result can be written to given memory."""
    if instruction.name in _FRESH or instruction.out.weak or len(instruction.outputs) != 1:
        return False
    if instruction.name not in LINES and _forward(instruction) and not _is_ufunc(instruction):
        return False
    if instruction.name in STATEMENTS or instruction.name not in VIEWS:
        return not (hasattr(instruction.operation, "line") or hasattr(instruction.operation, "statements"))
    return False


def is_view(instruction: Instruction, plan: Any) -> bool:
    """Whether the result may show the elements of the first operand."""
    if instruction.name not in VIEWS or not isinstance(instruction.inputs[0], Value) or instruction.inputs[0].weak:
        return False
    # an index that holds arrays copies, and one that picks a single element gives a number
    return instruction.name != "getitem" or (len(instruction.inputs) == 1 and instruction.out.ndim > 0)
