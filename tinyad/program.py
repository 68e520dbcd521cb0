"""A program: what a function does to its inputs, as a list of instructions in single-assignment form.

The tape of a result says how it came about for one set of values; a program says it for all inputs of the same shapes, and it
holds every operation, whether it has a derivative or not. It is made by `tinyad.tracing` and is what the batch walk, loops and the
compiler work on. Printed, it reads::

    inputs   x: float64[3], w: float64[3, 2]
    y        float64[2] = matmul(x, w)
    tanh     float64[2] = tanh(y)
    outputs  tanh
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .kinds import Primitive
from .tensor import unwrap

__all__ = ["Constant", "Instruction", "Operation", "Program", "Value", "evaluate"]

Operation = Primitive
"""What an instruction does: a `Primitive`, or anything with its ``name``, ``apply`` and ``batch``; of several results it gives a
list."""


class Value:
    """A value of a program, computed once.

    Attributes:
        name: for printing; unique only where a program has been named.
        shape, dtype: of the array.
        weak: whether it is a Python number, which follows the dtype of the arrays it meets.
    """

    __slots__ = ("dtype", "name", "shape", "weak")

    def __init__(self, name: str, shape: tuple[int, ...], dtype: Any, weak: bool = False) -> None:
        self.name, self.shape, self.dtype, self.weak = name, shape, dtype, weak

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def type(self) -> str:
        """Dtype and shape, as printed."""
        if self.weak:
            return "number"
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    def __repr__(self) -> str:
        return f"{self.name}: {self.type}"


class Constant(Value):
    """A value that is known: an array or Tensor that the function got from outside its arguments."""

    __slots__ = ("array",)

    def __init__(self, name: str, array: Any) -> None:
        known = unwrap(array)
        dtype = getattr(known, "dtype", None)
        super().__init__(name, getattr(known, "shape", ()), dtype, weak=dtype is None)
        self.array = array


@dataclass(slots=True, eq=False)
class Instruction:
    """One operation.

    Attributes:
        operation: what it does.
        inputs: its operands, values or Python numbers.
        params: its static parameters.
        outputs: the values it computes; one, except for loops and calls.
        line: where in the user's code it was written, as (file, line), or ``None``.
        section: "forward", "backward" or "tangent", the walk that computed it.
    """

    operation: Any
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    outputs: tuple[Value, ...]
    line: tuple[str, int] | None = None
    section: str = "forward"

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.operation.name  # type: ignore[no-any-return]

    @property
    def is_pure(self) -> bool:
        """Whether the same operands give the same results, so that it may be computed once, early or not at all."""
        return getattr(self.operation, "pure", True)

    @property
    def out(self) -> Value:
        """The value it computes, where it computes one."""
        return self.outputs[0]

    def values(self) -> Iterator[Value]:
        """The operands that are values."""
        return (x for x in self.inputs if isinstance(x, Value))

    def quietly(self) -> AbstractContextManager[Any]:
        """A context to run it in: as in the walks, infinite partials are the rules' business, not the user's."""
        return nullcontext() if self.section == "forward" else np.errstate(all="ignore")

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 8) -> str:
        """It, written so that the types stand below one another where names are of that width."""
        shown = [x.name if isinstance(x, Value) else repr(x) for x in self.inputs]
        shown += [f"{name}={_short(value)}" for name, value in self.params.items() if name != "rank"]
        made = ", ".join(f"{v.name:<{width}} {v.type}" for v in self.outputs)
        return f"{made} = {self.name}({', '.join(shown)})"


def _listed(what: str, values: Iterable[Value]) -> list[str]:
    """Names and types, on several lines where they are many."""
    text = f"{what:<8} {', '.join(map(repr, values)) or 'none'}"
    return textwrap.wrap(text, 130, subsequent_indent=9 * " ", break_long_words=False)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"<{type(value).__name__}>"


@dataclass(slots=True, eq=False)
class Program:
    """A function in single-assignment form.

    Attributes:
        inputs: the values it starts from.
        instructions: in an order in which each finds its operands computed.
        outputs: the values it gives back, which may be inputs or constants, or Python numbers.
    """

    inputs: list[Value]
    instructions: list[Instruction]
    outputs: list[Any]
    name: str = field(default="program")

    def constants(self) -> list[Constant]:
        """The constants that the instructions and outputs use, in the order of their first use."""
        used = [v for instruction in self.instructions for v in instruction.values()]
        return list(dict.fromkeys(v for v in [*used, *self.outputs] if isinstance(v, Constant)))

    def pruned(self) -> Program:
        """The program without instructions whose results nobody uses."""
        return self.needing(set())

    def needing(self, known: set[Value]) -> Program:
        """The program without instructions whose results nobody uses, or are known already; what is known has had its effect."""
        needed = {v for v in self.outputs if isinstance(v, Value)} - known
        kept = []
        for instruction in reversed(self.instructions):
            if not needed.isdisjoint(instruction.outputs) or not (instruction.is_pure or known):
                needed.update(x for x in instruction.values() if x not in known)
                kept.append(instruction)
        return Program(self.inputs, kept[::-1], self.outputs, self.name)

    def copied(self) -> Program:
        """The same program with values of its own, which may be named anew."""
        fresh: dict[Value, Value] = {}

        def copy(x: Any) -> Any:
            if not isinstance(x, Value):
                return x
            if x not in fresh:
                known = isinstance(x, Constant)
                fresh[x] = Constant(x.name, x.array) if known else Value(x.name, x.shape, x.dtype, x.weak)  # type: ignore[attr-defined]
            return fresh[x]

        inputs = [copy(x) for x in self.inputs]
        instructions = [
            Instruction(i.operation, tuple(map(copy, i.inputs)), i.params, tuple(map(copy, i.outputs)), i.line, i.section)
            for i in self.instructions
        ]
        return Program(inputs, instructions, [copy(x) for x in self.outputs], self.name)

    def renamed(self) -> Program:
        """The same program after giving every value a name of its own, by numbering the names that occur twice."""
        made = [v for instruction in self.instructions for v in instruction.outputs]
        distinct([*self.inputs, *self.constants(), *made])
        return self

    def __str__(self) -> str:
        self.renamed()
        width = max([8, *[len(v.name) for instruction in self.instructions for v in instruction.outputs]])
        lines = _listed("inputs", self.inputs)
        if constants := self.constants():
            lines += _listed("given", constants)
        section = "forward"
        for instruction in self.instructions:
            if instruction.section != section:
                section = instruction.section
                lines.append(f"-- {section}")
            lines.append(instruction.text(width))
        shown = [v.name if isinstance(v, Value) else repr(v) for v in self.outputs]
        return "\n".join([*lines, f"outputs  {', '.join(shown) or 'none'}"])


def distinct(values: Iterable[Value]) -> None:
    """Number the names of values that are called alike."""
    values = list(values)
    total: dict[str, int] = {}
    for value in values:
        total[value.name] = total.get(value.name, 0) + 1
    taken = {name for name, count in total.items() if count == 1}
    count: dict[str, int] = {}
    for value in values:
        base = value.name
        if base in taken:
            continue
        while True:
            count[base] = count.get(base, -1) + 1
            name = f"{base}_{count[base]}"
            if name not in total and name not in taken:
                break
        value.name = name
        taken.add(name)


def evaluate(program: Program, values: Sequence[Any]) -> list[Any]:
    """Run a program instruction by instruction: on arrays, or on Tensors, which records it."""
    known: dict[Value, Any] = dict(zip(program.inputs, values, strict=True))
    for instruction in program.instructions:
        operands = [value_of(x, known) for x in instruction.inputs]
        with instruction.quietly():
            result = instruction.operation.apply(*operands, **instruction.params)
        if isinstance(result, np.generic) and instruction.out.weak:
            result = result.item()  # between Python numbers: it stays one
        known.update(zip(instruction.outputs, result if type(result) is list else (result,), strict=True))
    return [value_of(x, known) for x in program.outputs]


def value_of(x: Any, known: dict[Value, Any]) -> Any:
    """What an operand is now: a value's array, a constant's, or the number itself."""
    if type(x) is Value:
        return known[x]
    return known.get(x, x.array) if isinstance(x, Constant) else x
