"""Which axis of a matrix comes first in memory, and which sums are products.

Examples are rows, so a bias is added along rows of 8 or 64 numbers, and NumPy starts a new inner loop for each row: adding a
bias to 256 rows of 16 numbers takes three times as long as adding a matrix of that shape. With the examples along the last axis
there are 16 loops of 256 numbers. Matrix products do not mind: BLAS reads either order at the same speed. The result of
`examples_last` differs from the program it is made of by the order of summation only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..program import Constant, Instruction, Program, Value
from .blocks import is_elementwise
from .rewriting import renewed, reshaped, with_values

__all__ = ["examples_last", "sums_as_products"]

# What NumPy's loops cost, in nanoseconds (measured): starting an inner loop of an elementwise function with an operand that
# repeats, or of a reduction, and copying an element into the other order.
_START_OF_LOOP = 12.0
_START_OF_REDUCTION = 25.0
_COPY = 1.5


# ---- sums

_LONGEST = 128
"""Rows up to this length may be summed by BLAS, whose sums are less accurate than NumPy's pairwise ones over long rows."""


def sums_as_products(program: Program) -> Program:
    """Sums of a matrix's columns, or of short rows, as products with ones: a half to a quarter of the time of ``add.reduce``."""
    kept: list[Instruction] = []
    ones: dict[Any, Constant] = {}
    for i in program.instructions:
        axis = i.params.get("axis")
        if not _is_short_sum(i):
            kept.append(i)
            continue
        x = i.inputs[0]
        n, m = x.shape
        shape = (1, n) if axis == (-2,) else (m, 1)
        one = ones.setdefault((shape, x.dtype), Constant("ones", np.ones(shape, x.dtype)))
        full = Value(i.out.name, (1, m) if axis == (-2,) else (n, 1), x.dtype)
        kept.append(renewed(i, "matmul", (one, x) if axis == (-2,) else (x, one), full))
        if i.out.shape == full.shape:
            kept[-1].outputs = i.outputs
        else:
            kept.append(reshaped(i, full))
    return Program(program.inputs, kept, program.outputs, program.name)


def _is_short_sum(i: Instruction) -> bool:
    x = i.inputs[0] if i.name == "sum" else None
    if not isinstance(x, Value) or x.ndim != 2 or x.dtype.char not in "fd" or not x.size or i.out.dtype != x.dtype:
        return False
    axis = i.params["axis"]
    return bool(axis == (-2,) or (axis == (-1,) and x.shape[1] <= _LONGEST))


# ---- the order of axes


def examples_last(program: Program) -> Program:
    """Store matrices with many rows and few columns by columns, where that saves time."""
    rows = _number_of_examples(program)
    if rows is None:
        return program
    turned = _Turned(program, rows)
    if turned.gain() <= 0:
        return program
    return turned.program_with_examples_last()


def _number_of_examples(program: Program) -> int | None:
    """The most frequent number of rows of matrices that are taller than wide."""
    tall = [i.out.shape[0] for i in program.instructions if len(i.outputs) == 1 and _is_tall(i.out) and i.out.shape[1] > 1]
    return Counter(tall).most_common(1)[0][0] if tall else None


def _is_tall(x: Value) -> bool:
    return x.ndim == 2 and x.shape[0] >= 32 and x.shape[0] >= 2 * x.shape[1] and x.shape[1] > 0 and x.dtype.kind in "fb"


class _Turned:
    """A program in which some matrices are stored by columns.

    Attributes:
        chosen: these matrices.
    """

    def __init__(self, program: Program, rows: int) -> None:
        self.program = program
        self.chosen: set[Value] = set()
        for i in program.instructions:
            if len(i.outputs) == 1 and _is_tall(i.out) and i.out.shape[0] == rows and self._rule(i) is not None:
                self.chosen.add(i.out)
        self.by_columns: dict[Value, Value] = {}
        self.kept: list[Instruction] = []

    def gain(self) -> float:
        """Nanoseconds saved, as far as the shapes tell."""
        saved = 0.0
        copied: set[Value] = set()
        for i in self.program.instructions:
            if i.out in self.chosen and is_elementwise(i):
                n, m = i.out.shape
                if any(x.ndim and x.shape != i.out.shape for x in i.values()):
                    saved += _START_OF_LOOP * (n - m)
                copied.update(x for x in i.values() if x.shape == i.out.shape and x not in self.chosen)
            elif i.name in ("sum", "max", "min") and i.inputs[0] in self.chosen:
                saved += _START_OF_REDUCTION * (i.inputs[0].shape[0] - i.inputs[0].shape[1])
        copied.update(x for x in self.program.outputs if isinstance(x, Value) and x in self.chosen)
        return saved - _COPY * float(sum(x.size for x in copied if not isinstance(x, Constant)))

    def program_with_examples_last(self) -> Program:
        """The program; results keep the order that they had."""
        for i in self.program.instructions:
            rule = self._rule(i)
            uses = i.out in self.chosen or (any(x in self.chosen for x in i.values()) and not is_elementwise(i))
            if rule is None or not uses:
                self.kept.append(with_values(i, map(self._by_rows, i.inputs)))
            else:
                rule(i)
        outputs = [self._copied(x) if isinstance(x, Value) and x in self.chosen else x for x in self.program.outputs]
        return Program(self.program.inputs, self.kept, outputs, self.program.name)

    # ---- values in one order or the other

    def _by_rows(self, x: Any) -> Any:
        """An operand as it was: a view, if it is stored by columns."""
        if not isinstance(x, Value) or x not in self.chosen:
            return x
        return self._view(self.by_columns[x], x.name)

    def _view(self, x: Value, name: str) -> Value:
        out = Value(name, x.shape[::-1], x.dtype)
        self._append("matrix_transpose", (x,), out)
        return out

    def _turned(self, x: Any, contiguous: bool) -> Any:
        """An operand with its axes exchanged; of a vector, as a column."""
        if not isinstance(x, Value) or x.ndim == 0:
            return x
        if x in self.chosen:
            return self.by_columns[x]
        if isinstance(x, Constant):
            array = np.asarray(x.array)
            return Constant(x.name, np.ascontiguousarray(array.T if x.ndim == 2 else array[:, None]))
        if x.ndim == 1:
            out = Value(x.name, (x.shape[0], 1), x.dtype)
            self._append("reshape", (x,), out, rank=1, shape=out.shape)
            return out
        if not contiguous or 1 in x.shape:
            return self._view(x, x.name)
        if x not in self.by_columns:  # read element by element, so its order matters: one copy serves all
            out = Value(x.name, x.shape[::-1], x.dtype)
            self.by_columns[x] = out
            self._append("copy", (self._view(x, x.name),), out)
        return self.by_columns[x]

    def _copied(self, x: Value) -> Value:
        out = Value(x.name, x.shape, x.dtype)
        self._append("copy", (self._by_rows(x),), out)
        return out

    def _append(self, name: str, inputs: Sequence[Any], out: Value, **params: Any) -> None:
        beside = self.kept[-1] if self.kept else self.program.instructions[0]
        self.kept.append(renewed(beside, name, inputs, out, **params))
        self.kept[-1].line = None  # it is nobody's line, and must not be called by the variable assigned there

    def _store(self, i: Instruction, inputs: Sequence[Any], **params: Any) -> None:
        """The instruction on exchanged operands; its result, too, is exchanged if it was chosen."""
        out = i.out
        if out in self.chosen:
            out = Value(out.name, out.shape[::-1], out.dtype)
            self.by_columns[i.out] = out
        self.kept.append(with_values(i, inputs, [out], params))

    # ---- rules

    def _rule(self, i: Instruction) -> Callable[[Instruction], None] | None:
        """How to compute an instruction on matrices stored by columns; ``None`` if only their views will do."""
        if len(i.outputs) != 1 or i.out.weak:
            return None
        if is_elementwise(i):
            return self._elementwise if i.out.ndim == 2 and all(x.ndim <= 2 for x in i.values()) else None
        rule = {"matmul": self._matmul, "sum": self._reduction, "max": self._reduction, "min": self._reduction}.get(i.name)
        if rule is not None and all(x.ndim == 2 for x in i.values()):
            return rule if rule == self._matmul or len(i.params["axis"]) == 1 else None
        if i.name == "reshape" and i.inputs[0].shape in (i.out.shape[:1], (*i.out.shape, 1)) and i.out.shape[1:] in ((1,), ()):
            return self._reshape
        if i.name in ("getitem", "scatter") and len(i.params["index"]) == 2 and len(i.inputs) == 3:
            return self._indexed if all(x.ndim == 1 and x.dtype.kind in "iu" for x in i.inputs[1:]) else None
        return None

    def _elementwise(self, i: Instruction) -> None:
        self._store(i, [self._turned(x, contiguous=True) for x in i.inputs], **i.params)

    def _matmul(self, i: Instruction) -> None:
        if i.out in self.chosen:
            x, y = i.inputs
            self._store(i, [self._turned(y, False), self._turned(x, False)])
        else:
            self._store(i, [self._by_rows(x) for x in i.inputs])

    def _reduction(self, i: Instruction) -> None:
        if i.inputs[0] not in self.chosen:
            self._store(i, [self._turned(i.inputs[0], True)], **i.params | {"axis": (-3 - i.params["axis"][0],)})
        elif i.out.ndim == 1 or i.out in self.chosen:
            self._store(i, [self.by_columns[i.inputs[0]]], **i.params | {"axis": (-3 - i.params["axis"][0],)})
        else:
            self._store(i, [self._by_rows(i.inputs[0])], **i.params)

    def _reshape(self, i: Instruction) -> None:
        """Between a vector and a matrix of one column, which is a matrix of one row here."""
        (x,) = i.inputs
        source = self.by_columns[x] if x in self.chosen else x
        shape = i.out.shape[::-1] if i.out in self.chosen else i.out.shape
        self._store(i, [source], rank=source.ndim, shape=shape)

    def _indexed(self, i: Instruction) -> None:
        x, rows, columns = i.inputs
        params = dict(i.params)
        if i.name == "scatter" and i.out in self.chosen:
            params["shape"] = params["shape"][::-1]
        elif i.name == "scatter" or x not in self.chosen:
            return self.kept.append(with_values(i, i.inputs))
        return self._store(i, [self.by_columns.get(x, x), columns, rows], **params)
