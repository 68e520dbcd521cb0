"""Passes over matrix products: what is done to an operand or a result may cost less elsewhere."""

from __future__ import annotations

from typing import Any

from ..loops import without_unused
from ..program import Instruction, Program, Value
from .rewriting import Rewrite, copied, renewed, rewritten, same

__all__ = ["fold_transposes", "move_scalars"]


def fold_transposes(program: Program) -> Program:
    """``(A @ B).T`` as ``B.T @ A.T``: BLAS reads transposed operands at no cost, where a transposed result is copied or slow."""
    program = copied(program)
    made = {v: i for i in program.instructions for v in i.outputs}
    uses = _uses(program)
    kept = []
    for instruction in program.instructions:
        source = made.get(instruction.inputs[0]) if instruction.name == "matrix_transpose" else None
        if source is None or source.name != "matmul" or len(uses[source.out]) != 1 or source.out in program.outputs:
            kept.append(instruction)
            continue
        turned = []
        for x in reversed(source.inputs):
            before = made.get(x)
            if before is not None and before.name == "matrix_transpose":
                turned.append(before.inputs[0])
                continue
            out = Value(f"{x.name}_T", (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
            kept.append(renewed(instruction, "matrix_transpose", (x,), out))
            turned.append(out)
        kept.append(renewed(source, "matmul", turned, instruction.out))
    return without_unused(rewritten(program, kept, {}))


def _uses(program: Program) -> dict[Value, list[Instruction]]:
    """The instructions that use a value, one entry for each use."""
    found: dict[Value, list[Instruction]] = {v: [] for i in program.instructions for v in i.outputs}
    for instruction in program.instructions:
        for x in instruction.values():
            found.setdefault(x, []).append(instruction)
    return found


SMALL = 1 << 13
"""Passes over arrays up to this many elements cost about as much as a call of NumPy: nothing to gain by avoiding one."""


def move_scalars(program: Program) -> Program:
    """A number times a large array, used in products only, as the number times what is small in those products.

    ``s * x`` first moves behind elementwise products with ``x``, then into the other operand or the result of each matrix
    product, whichever is smaller.
    """
    program = _delayed_scalars(copied(program))
    uses = _uses(program)
    kept: list[Instruction] = []
    around: dict[Instruction, tuple[list[Instruction], list[Instruction]]] = {}
    instead: Rewrite = {}
    for instruction in program.instructions:
        split = _scaled(instruction)
        if split is None or instruction.out.size <= SMALL or instruction.out in program.outputs:
            continue
        scalar, x = split
        found = _products(instruction.out, uses, program)
        if found is None or any(p.inputs[0].dtype != p.inputs[1].dtype for p, _ in found):
            continue
        if sum(_smaller(p, v) for p, v in found) >= instruction.out.size:
            continue
        for product, scaled in found:
            _scale_product(product, scaled, scalar, *around.setdefault(product, ([], [])))
        instead[instruction.out] = x
    for instruction in program.instructions:
        if instruction.outputs[0] not in instead:
            before, after = around.get(instruction, ((), ()))
            kept += [*before, instruction, *after]
    return rewritten(program, kept, instead)


def _scaled(instruction: Instruction) -> tuple[Any, Value] | None:
    """``(scalar, x)`` of an instruction that computes scalar times ``x``."""
    if instruction.name != "multiply":
        return None
    x, y = instruction.inputs
    for scalar, other in ((x, y), (y, x)):
        is_scalar = not isinstance(scalar, Value) or scalar.ndim == 0
        if is_scalar and isinstance(other, Value) and same(other, instruction.out) is not None:
            return scalar, other
    return None


def _delayed_scalars(program: Program) -> Program:
    """``(s * x) * y`` as ``s * (x * y)``, for large arrays and a product used once."""
    made: dict[Value, Instruction] = {}
    uses = _uses(program)
    kept: list[Instruction] = []
    for instruction in program.instructions:
        if instruction.name == "multiply" and instruction.out.size > SMALL and _scaled(instruction) is None:
            for k, x in enumerate(instruction.inputs):
                source = made.get(x)
                split = _scaled(source) if source is not None and len(uses[x]) == 1 else None
                if split is None or x.shape != instruction.out.shape or x in program.outputs:
                    continue
                scalar, base = split
                pair = [base, instruction.inputs[1 - k]]
                inner = Value(instruction.out.name, instruction.out.shape, instruction.out.dtype)
                kept.append(renewed(instruction, "multiply", pair, inner))
                uses[inner] = [instruction]
                instruction = renewed(instruction, "multiply", (scalar, inner))
                break
        made[instruction.outputs[0]] = instruction
        kept.append(instruction)
    return without_unused(rewritten(program, kept, {}))


def _products(value: Value, uses: dict[Value, list[Instruction]], program: Program) -> list[tuple[Instruction, Value]] | None:
    """The matrix products that use a value, perhaps transposed, with the operand that comes from it; ``None`` for other uses."""
    found: list[tuple[Instruction, Value]] = []
    for use in uses[value]:
        if use.name == "matmul" and use.inputs[0] is not use.inputs[1]:
            found.append((use, value))
        elif use.name == "matrix_transpose" and use.out not in program.outputs:
            more = _products(use.out, uses, program)
            if more is None:
                return None
            found += more
        else:
            return None
    return found or None


def _smaller(product: Instruction, scaled: Value) -> int:
    other: Value = next(x for x in product.inputs if x is not scaled)
    return min(other.size, product.out.size)


def _scale_product(
    product: Instruction, scaled: Value, scalar: Any, before: list[Instruction], after: list[Instruction]
) -> None:
    """Put a scalar to the other operand of a product, computed ``before`` it, or to its result, ``after`` it."""
    k = 1 if product.inputs[0] is scaled else 0
    other = product.inputs[k]
    if other.size <= product.out.size:
        out = Value(f"{other.name}_scaled", other.shape, other.dtype)
        before.append(renewed(product, "multiply", (scalar, other), out))
        product.inputs = tuple([out if i == k else x for i, x in enumerate(product.inputs)])
    else:
        out = Value(product.out.name, product.out.shape, product.out.dtype)
        after.insert(0, renewed(product, "multiply", (scalar, out), product.out))
        product.outputs = (out,)
