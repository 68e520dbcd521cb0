"""What passes are made of: copies of programs, and instructions and values in place of others.

An instruction that a pass makes has the line of the user's code and the section of one that was there before, whose work it does
or helps with. `renewed` makes one with another operation, `with_values` one with the same operation on other values, and an
`Assembly` several that use one another's results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..kinds import PRIMITIVES, Primitive
from ..program import Instruction, Program, Value

__all__ = ["Assembly", "Rewrite", "copied", "renewed", "reshaped", "rewritten", "same", "with_values"]

Rewrite = dict[Value, Any]
"""What to use instead of a value."""


class _Copy(Primitive):
    """The same array in row-major order, in memory of its own. Only programs have it."""

    def __init__(self) -> None:
        super().__init__("copy", lambda xp, x: x.copy())

    def apply(self, x: Any) -> Any:
        """Of an array in memory."""
        return x.copy()


_COPY = _Copy()


def renewed(old: Instruction, name: str, inputs: Sequence[Any], out: Value | None = None, **params: Any) -> Instruction:
    """An instruction in place of another, or beside it, with its line and section.

    Args:
        old: the other instruction.
        name: of a primitive, or ``"copy"``.
        inputs: the operands.
        out: the result; that of ``old`` by default.
        params: the static parameters.
    """
    operation = _COPY if name == _COPY.name else PRIMITIVES[name]
    return Instruction(operation, tuple(inputs), params, old.outputs if out is None else (out,), old.line, old.section)


def with_values(
    old: Instruction, inputs: Iterable[Any], outputs: Iterable[Value] | None = None, params: dict[str, Any] | None = None
) -> Instruction:
    """An instruction with the same operation on other operands; what is not given is as it was."""
    made = old.outputs if outputs is None else tuple(outputs)
    return Instruction(old.operation, tuple(inputs), old.params if params is None else params, made, old.line, old.section)


def reshaped(old: Instruction, x: Value, out: Value | None = None) -> Instruction:
    """The instruction, in place of another or beside it, that gives ``x`` the shape of ``out``."""
    return renewed(old, "reshape", (x,), out, rank=x.ndim, shape=(old.out if out is None else out).shape)


class Assembly:
    """Instructions that are made one after another, all with the line and section of one that was there before.

    Attributes:
        old: this one.
        instructions: what has been made.
    """

    def __init__(self, old: Instruction) -> None:
        self.old = old
        self.instructions: list[Instruction] = []

    def append(self, name: str, inputs: Sequence[Any], out: Value, **params: Any) -> Value:
        """Make an instruction, and give its result."""
        self.instructions.append(renewed(self.old, name, inputs, out, **params))
        return out

    def reshape(self, x: Value, shape: tuple[int, ...], out: Value | None = None) -> Value:
        """A value in another shape; by default in a new value, or as it is where that is its shape."""
        if out is None and x.shape == shape:
            return x
        return self.append("reshape", (x,), out or Value(x.name, shape, x.dtype), rank=x.ndim, shape=shape)

    def permute(self, x: Value, order: Sequence[int], out: Value | None = None) -> Value:
        """A value with its axes in another order, by default in a new value; ``order`` counts them from 0."""
        out = out or Value(x.name, tuple([x.shape[k] for k in order]), x.dtype)
        return self.append("permute_dims", (x,), out, axes=tuple([k - x.ndim for k in order]))


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
    copies = [with_values(i, i.inputs) for i in program.instructions]
    return Program(list(program.inputs), copies, list(program.outputs), program.name)


def same(x: Any, out: Value) -> Any:
    """``x``, if it can stand for ``out``."""
    if isinstance(x, Value) and x.shape == out.shape and x.dtype == out.dtype and x.weak == out.weak:
        return x
    return None
