"""What passes are made of: copies of programs, and instructions and values in place of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..kinds import PRIMITIVES
from ..program import Instruction, Program, Value

__all__ = ["Rewrite", "copied", "renewed", "rewritten", "same"]

Rewrite = dict[Value, Any]
"""What to use instead of a value."""


def renewed(instruction: Instruction, operation: str, inputs: Sequence[Any], out: Value | None = None, **params: Any) -> Any:
    """An instruction in place of another, with its origin and, unless ``out`` is another value, its result."""
    outputs = instruction.outputs if out is None else (out,)
    return Instruction(PRIMITIVES[operation], tuple(inputs), params, outputs, instruction.line, instruction.section)


def rewritten(program: Program, instructions: list[Instruction], instead: Rewrite) -> Program:
    """The program with other instructions, in which some values are replaced."""

    def final(x: Any) -> Any:
        while isinstance(x, Value) and x in instead:
            x = instead[x]
        return x

    for instruction in instructions:
        instruction.inputs = tuple([final(x) for x in instruction.inputs])
    return Program(program.inputs, instructions, [final(x) for x in program.outputs], program.name)


def copied(program: Program) -> Program:
    """A copy whose instructions may be changed."""
    copies = [Instruction(i.operation, i.inputs, i.params, i.outputs, i.line, i.section) for i in program.instructions]
    return Program(list(program.inputs), copies, list(program.outputs), program.name)


def same(x: Any, out: Value) -> Any:
    """``x``, if it can stand for ``out``."""
    if isinstance(x, Value) and x.shape == out.shape and x.dtype == out.dtype and x.weak == out.weak:
        return x
    return None
