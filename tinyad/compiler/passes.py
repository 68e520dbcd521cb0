"""Passes: each takes a program and gives one that computes the same with less work.

=====================  =====================================================================================================
pass                   what it does
=====================  =====================================================================================================
`remove_dead_code`     drops instructions whose results nobody uses, and such carries and stacks of loops
`expand`               writes out functions that are several calls of NumPy, such as ``logsumexp``
`fold_constants`       computes now what does not depend on the inputs
`resolve_numbers`      turns Python numbers into constants of the dtype they take; constants of one repeated number into numbers
`simplify`             applies identities: those below that are exact, and ``x**2 = x*x``, ``x**0.5 = sqrt(x)`` to the last bit
`share_subexpressions` computes equal expressions once
`fold_transposes`      ``(A @ B).T`` as ``B.T @ A.T``, whose transposes cost nothing
`hoist_invariants`     computes before a loop what is the same in each of its steps
`split_among_threads`  runs what treats each example by itself in parts of the examples, one a thread
`sums_as_products`     sums of columns and of short rows as products with ones
`examples_last`        stores matrices of many short rows by columns
`optimise_bodies`      all passes, in the bodies of loops
`join_alike`           lays many small arrays to which the same functions are done end to end
`group_in_blocks`      runs chains of elementwise functions on large arrays block by block
`move_scalars`         a number times a large array, used in products only, as the number times what is small
=====================  =====================================================================================================

`move_scalars` reassociates products, and `split_among_threads`, `sums_as_products` and `examples_last` change the order of
summation, which changes results by rounding: a few units in the last place. The others do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from ..kinds import PRIMITIVES
from ..loops import Loop, without_unused
from ..program import Constant, Instruction, Program, Value
from .blocks import group_in_blocks, is_elementwise
from .expand import expand
from .joining import join_alike
from .layout import examples_last, sums_as_products
from .parts import split_among_threads

__all__ = [
    "PASSES", "examples_last", "expand", "fold_constants", "fold_transposes", "group_in_blocks", "hoist_invariants",
    "is_repeated", "join_alike", "move_scalars", "optimise", "optimise_bodies", "remove_dead_code", "resolve_numbers",
    "share_subexpressions", "simplify", "split_among_threads", "sums_as_products",
]  # fmt: skip

Rewrite = dict[Value, Any]
"""What to use instead of a value."""


def _renewed(instruction: Instruction, operation: str, inputs: Sequence[Any], out: Value | None = None, **params: Any) -> Any:
    """An instruction in place of another, with its origin and, unless ``out`` is another value, its result."""
    outputs = instruction.outputs if out is None else (out,)
    return Instruction(PRIMITIVES[operation], tuple(inputs), params, outputs, instruction.line, instruction.section)


def _rewritten(program: Program, instructions: list[Instruction], instead: Rewrite) -> Program:
    """The program with other instructions, in which some values are replaced."""

    def final(x: Any) -> Any:
        while isinstance(x, Value) and x in instead:
            x = instead[x]
        return x

    for instruction in instructions:
        instruction.inputs = tuple([final(x) for x in instruction.inputs])
    return Program(program.inputs, instructions, [final(x) for x in program.outputs], program.name)


def _copied(program: Program) -> Program:
    """A copy whose instructions may be changed."""
    copies = [Instruction(i.operation, i.inputs, i.params, i.outputs, i.line, i.section) for i in program.instructions]
    return Program(list(program.inputs), copies, list(program.outputs), program.name)


# ---- dead code, constants, numbers


def remove_dead_code(program: Program) -> Program:
    """Drop instructions whose results nobody uses, and carries and stacks of loops."""
    return without_unused(program)


def fold_constants(program: Program) -> Program:
    """Compute now what does not depend on the inputs."""
    program = _copied(program)
    instead: Rewrite = {}
    kept = []
    for instruction in program.instructions:
        inputs = [instead.get(x, x) if isinstance(x, Value) else x for x in instruction.inputs]
        known = instruction.is_pure and all(isinstance(x, Constant) or not isinstance(x, Value) for x in inputs)
        if known:
            arrays = [x.array if isinstance(x, Constant) else x for x in inputs]
            with np.errstate(all="ignore"):
                result = instruction.operation.apply(*arrays, **instruction.params)
            for out, x in zip(instruction.outputs, result if type(result) is list else [result], strict=True):
                instead[out] = np.asarray(x).item() if out.weak else Constant(out.name, x)
        else:
            kept.append(instruction)
    return _rewritten(program, kept, instead)


def resolve_numbers(program: Program) -> Program:
    """Give Python numbers the dtype they take beside arrays, once, and repeated numbers one element.

    An array of no axes costs NumPy half of what a Python number does in a small operation (0.6 against 1.1 microseconds).
    """
    program = _copied(program)
    known: dict[Hashable, Constant] = {}
    for instruction in program.instructions:
        if is_elementwise(instruction):
            instruction.inputs = tuple([_resolved(x, k, instruction, known) for k, x in enumerate(instruction.inputs)])
    return program


def _resolved(x: Any, place: int, instruction: Instruction, known: dict[Hashable, Constant]) -> Any:
    others = [y for k, y in enumerate(instruction.inputs) if k != place and isinstance(y, Value) and not y.weak]
    if isinstance(x, Constant) and x.size > 1 and is_repeated(x.array):
        if np.broadcast_shapes(*[y.shape for y in others]) != instruction.out.shape:
            return x
        one = np.asarray(x.array)[(0,) * x.ndim]
        return _number(one, np.asarray(one).dtype, known)
    if isinstance(x, (bool, str)) or not isinstance(x, (int, float)) or not others:
        return x
    dtype = np.result_type(*[y.dtype for y in others])
    resolved = np.result_type(dtype, x)
    return _number(x, dtype, known) if resolved == dtype and dtype.kind in "fc" else x


def is_repeated(array: Any) -> bool:
    """Whether all elements of an array are one number, the sign of zero included."""
    if not isinstance(array, np.ndarray) or not array.size:
        return False
    if not any(array.strides):
        return True
    one = array.flat[0]
    alike = bool((array == one).all())
    if alike and not one and array.dtype.kind in "fc":
        alike = all(np.signbit(part).all() or not np.signbit(part).any() for part in (array.real, array.imag))
    return alike


def _number(x: Any, dtype: Any, known: dict[Hashable, Constant]) -> Constant:
    key = (str(x), str(dtype))
    if key not in known:
        known[key] = Constant(_name_of_number(x), np.array(x, dtype))
    return known[key]


_SPOKEN = {0.0: "zero", 1.0: "one", 2.0: "two", -1.0: "minus_one", 0.5: "half"}


def _name_of_number(x: Any) -> str:
    spoken = _SPOKEN.get(float(x)) if not isinstance(x, complex) and np.isreal(x) else None
    return spoken or "c"


# ---- identities


def simplify(program: Program) -> Program:
    """Apply identities."""
    program = _copied(program)
    instead: Rewrite = {}
    made: dict[Value, Instruction] = {}
    kept = []
    for instruction in program.instructions:
        instruction.inputs = tuple([instead.get(x, x) if isinstance(x, Value) else x for x in instruction.inputs])
        if len(instruction.outputs) == 1 and instruction.is_pure:
            _use_unbroadcast(instruction, made)
            simpler = _IDENTITIES[instruction.name](instruction, made) if instruction.name in _IDENTITIES else None
            if isinstance(simpler, Instruction):
                instruction = simpler
            elif simpler is not None:
                instead[instruction.out] = simpler
                continue
            made[instruction.out] = instruction
        kept.append(instruction)
    return _rewritten(program, kept, instead)


def _use_unbroadcast(instruction: Instruction, made: dict[Value, Instruction]) -> None:
    """Let an elementwise function broadcast by itself what was broadcast for it."""
    if not is_elementwise(instruction) or instruction.out.weak:
        return
    for k, x in enumerate(instruction.inputs):
        source = made.get(x) if isinstance(x, Value) else None
        if source is None or source.name != "broadcast_to" or source.inputs[0].ndim > source.params["rank"]:
            continue
        inputs = list(instruction.inputs)
        inputs[k] = source.inputs[0]
        shapes = [y.shape for y in inputs if isinstance(y, Value)]
        if np.broadcast_shapes(*shapes) == instruction.out.shape:
            instruction.inputs = tuple(inputs)


def _same(x: Any, out: Value) -> Any:
    """``x``, if it can stand for ``out``."""
    if isinstance(x, Value) and x.shape == out.shape and x.dtype == out.dtype and x.weak == out.weak:
        return x
    return None


def _equals(x: Any, number: float) -> bool:
    if isinstance(x, Constant):
        return x.size == 1 and not x.ndim and x.dtype.kind in "fc" and bool(x.array == number)
    return not isinstance(x, (Value, bool, str)) and x == number


def _of_product(i: Instruction, made: dict[Value, Instruction]) -> Any:
    x, y = i.inputs
    for one, other in ((x, y), (y, x)):
        if _equals(one, 1.0):
            return _same(other, i.out)
        if _equals(one, -1.0) and _same(other, i.out) is not None:
            return _renewed(i, "negative", (other,))
    return None


def _of_quotient(i: Instruction, made: dict[Value, Instruction]) -> Any:
    return _same(i.inputs[0], i.out) if _equals(i.inputs[1], 1.0) else None


def _of_sum(i: Instruction, made: dict[Value, Instruction]) -> Any:
    x, y = i.inputs
    for one, other in ((x, y), (y, x)):
        source = made.get(one) if isinstance(one, Value) else None
        if source is not None and source.name == "negative" and isinstance(other, Value):
            return _renewed(i, "subtract", (other, source.inputs[0]))
    return None


def _of_difference(i: Instruction, made: dict[Value, Instruction]) -> Any:
    x, y = i.inputs
    if _equals(y, 0.0) and not np.signbit(float(y.array if isinstance(y, Constant) else y)):  # -0.0 - -0.0 is 0.0
        return _same(x, i.out)
    source = made.get(y) if isinstance(y, Value) else None
    if source is not None and source.name == "negative":
        return _renewed(i, "add", (x, source.inputs[0]))
    return None


def _of_negative(i: Instruction, made: dict[Value, Instruction]) -> Any:
    source = made.get(i.inputs[0])
    return source.inputs[0] if source is not None and source.name == "negative" else None


def _of_power(i: Instruction, made: dict[Value, Instruction]) -> Any:
    x, exponent = i.inputs
    if not isinstance(x, Value) or i.out.weak or x.dtype != i.out.dtype or x.dtype.kind not in "fc":
        return None
    for number, name in ((2.0, "square"), (0.5, "sqrt")):
        if _equals(exponent, number) and x.shape == i.out.shape:
            return _renewed(i, name, (x,))
    return _same(x, i.out) if _equals(exponent, 1.0) else None


def _of_reshape(i: Instruction, made: dict[Value, Instruction]) -> Any:
    (x,) = i.inputs
    if _same(x, i.out) is not None:
        return x
    source = made.get(x)
    if source is not None and source.name == "reshape":
        if _same(source.inputs[0], i.out) is not None:
            return source.inputs[0]
        return _renewed(i, "reshape", source.inputs, rank=source.inputs[0].ndim, shape=i.out.shape)
    if source is not None and source.name == "matmul" and x.ndim == 2:
        return _product_of_vector(i, source, made)
    return None


def _product_of_vector(i: Instruction, product: Instruction, made: dict[Value, Instruction]) -> Any:
    """``(A @ v[:, None])[:, 0]`` as ``A @ v``, and ``(v[None] @ A)[0]`` as ``v @ A``."""
    for k, axis in ((1, 1), (0, 0)):
        column = made.get(product.inputs[k])
        if column is None or column.name != "reshape" or product.out.shape[axis] != 1 or i.out.shape != (product.out.size,):
            continue
        vector, other = column.inputs[0], product.inputs[1 - k]
        if vector.ndim == 1 and isinstance(other, Value) and other.ndim == 2 and other.dtype == vector.dtype:
            return _renewed(i, "matmul", (other, vector) if k else (vector, other))
    return None


def _of_transpose(i: Instruction, made: dict[Value, Instruction]) -> Any:
    source = made.get(i.inputs[0])
    return source.inputs[0] if source is not None and source.name == "matrix_transpose" else None


def _of_permutation(i: Instruction, made: dict[Value, Instruction]) -> Any:
    axes = i.params["axes"]
    rank = len(axes)
    return i.inputs[0] if axes == tuple(range(-rank, 0)) else None


def _unchanged(i: Instruction, made: dict[Value, Instruction]) -> Any:
    return _same(i.inputs[0], i.out)


_IDENTITIES: dict[str, Callable[[Instruction, dict[Value, Instruction]], Any]] = {
    "multiply": _of_product,
    "divide": _of_quotient,
    "add": _of_sum,
    "subtract": _of_difference,
    "negative": _of_negative,
    "power": _of_power,
    "reshape": _of_reshape,
    "matrix_transpose": _of_transpose,
    "permute_dims": _of_permutation,
    "broadcast_to": _unchanged,
    "astype": _unchanged,
}


# ---- common subexpressions


def share_subexpressions(program: Program) -> Program:
    """Compute equal expressions once."""
    program = _copied(program)
    instead: Rewrite = {}
    first: dict[Hashable, Instruction] = {}
    constants: dict[Hashable, Constant] = {}
    kept = []
    for instruction in program.instructions:
        inputs = [instead.get(x, x) if isinstance(x, Value) else x for x in instruction.inputs]
        instruction.inputs = tuple([_shared(x, constants) for x in inputs])
        operands = [x if isinstance(x, Value) else (type(x), repr(x)) for x in instruction.inputs]
        key = (instruction.operation, tuple(operands), _frozen(instruction.params))
        earlier = first.setdefault(key, instruction) if instruction.is_pure else instruction
        if earlier is instruction:
            kept.append(instruction)
        else:
            instead.update(zip(instruction.outputs, earlier.outputs, strict=True))
    return _rewritten(program, kept, instead)


_LARGEST_COMPARED = 1 << 14  # elements of constants that are looked at to find equal ones


def _shared(x: Any, constants: dict[Hashable, Constant]) -> Any:
    if not isinstance(x, Constant) or not isinstance(x.array, (np.ndarray, np.generic)) or x.size > _LARGEST_COMPARED:
        return x
    return constants.setdefault((x.shape, str(x.dtype), np.asarray(x.array).tobytes()), x)


def _frozen(params: Any) -> Hashable:
    """Parameters as something that compares and hashes by value."""
    if isinstance(params, dict):
        return tuple([(name, _frozen(value)) for name, value in params.items()])
    if isinstance(params, (tuple, list)):
        return tuple([_frozen(value) for value in params])
    if isinstance(params, slice):
        return ("slice", params.start, params.stop, params.step)
    return (type(params), params) if isinstance(params, (int, float)) else params


# ---- products


def fold_transposes(program: Program) -> Program:
    """``(A @ B).T`` as ``B.T @ A.T``: BLAS reads transposed operands at no cost, where a transposed result is copied or slow."""
    program = _copied(program)
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
            kept.append(_renewed(instruction, "matrix_transpose", (x,), out))
            turned.append(out)
        kept.append(_renewed(source, "matmul", turned, instruction.out))
    return remove_dead_code(_rewritten(program, kept, {}))


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
    program = _delayed_scalars(_copied(program))
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
    return _rewritten(program, kept, instead)


def _scaled(instruction: Instruction) -> tuple[Any, Value] | None:
    """``(scalar, x)`` of an instruction that computes scalar times ``x``."""
    if instruction.name != "multiply":
        return None
    x, y = instruction.inputs
    for scalar, other in ((x, y), (y, x)):
        is_scalar = not isinstance(scalar, Value) or scalar.ndim == 0
        if is_scalar and isinstance(other, Value) and _same(other, instruction.out) is not None:
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
                kept.append(_renewed(instruction, "multiply", pair, inner))
                uses[inner] = [instruction]
                instruction = _renewed(instruction, "multiply", (scalar, inner))
                break
        made[instruction.outputs[0]] = instruction
        kept.append(instruction)
    return remove_dead_code(_rewritten(program, kept, {}))


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
        before.append(_renewed(product, "multiply", (scalar, other), out))
        product.inputs = tuple([out if i == k else x for i, x in enumerate(product.inputs)])
    else:
        out = Value(product.out.name, product.out.shape, product.out.dtype)
        after.insert(0, _renewed(product, "multiply", (scalar, out), product.out))
        product.outputs = (out,)


# ---- loops


def hoist_invariants(program: Program) -> Program:
    """Compute before a loop what is the same in each of its steps."""
    program = _copied(program)
    kept: list[Instruction] = []
    for instruction in program.instructions:
        if isinstance(instruction.operation, Loop):
            instruction = _hoisted(instruction, instruction.operation, kept)
        kept.append(instruction)
    return _rewritten(program, kept, {})


def _hoisted(instruction: Instruction, loop: Loop, before: list[Instruction]) -> Instruction:
    """A loop without the instructions of its body that depend on its constants alone, which go to ``before``."""
    given, carry, rows = loop.split(instruction.inputs)
    inner = loop.body.inputs
    outside: dict[Value, Any] = dict(zip(inner, given, strict=False))
    fixed = {v for v in inner[: loop.constants]}
    moved, stay = [], []
    for each in loop.body.instructions:
        if (
            each.is_pure
            and any(True for _ in each.values())
            and all(x in fixed or isinstance(x, Constant) for x in each.values())
        ):
            fixed.update(each.outputs)
            moved.append(each)
        else:
            stay.append(each)
    if not moved:
        return instruction
    needed = {x for each in stay for x in each.values()} | {x for x in loop.body.outputs if isinstance(x, Value)}
    extra = []
    for each in moved:
        outputs = tuple([Value(v.name, v.shape, v.dtype, v.weak) for v in each.outputs])
        inputs = tuple([outside.get(x, x) if isinstance(x, Value) else x for x in each.inputs])
        before.append(Instruction(each.operation, inputs, each.params, outputs, each.line, each.section))
        outside.update(zip(each.outputs, outputs, strict=True))
        extra += [v for v in each.outputs if v in needed]
    body = Program([*inner[: loop.constants], *extra, *inner[loop.constants :]], stay, loop.body.outputs, loop.body.name)
    operation = dataclasses.replace(loop, body=body, constants=loop.constants + len(extra))
    operands = (*given, *[outside[v] for v in extra], *carry, *rows)
    return Instruction(operation, operands, {}, instruction.outputs, instruction.line, instruction.section)


def optimise_bodies(program: Program) -> Program:
    """All passes, in the bodies of loops."""
    program = _copied(program)
    for instruction in program.instructions:
        if isinstance(instruction.operation, Loop):
            loop = instruction.operation
            instruction.operation = dataclasses.replace(loop, body=optimise(_renamed_apart(loop.body), _PASSES_IN_BODIES))
    return program


def _renamed_apart(program: Program) -> Program:
    """The program on values of its own: a loop may occur twice, and its values have names and memory."""
    own: Rewrite = {}

    def new(x: Any) -> Any:
        return own.setdefault(x, Value(x.name, x.shape, x.dtype, x.weak)) if type(x) is Value else x

    instructions = [
        Instruction(i.operation, tuple(map(new, i.inputs)), i.params, tuple(map(new, i.outputs)), i.line, i.section)
        for i in program.instructions
    ]
    return Program([new(x) for x in program.inputs], instructions, [new(x) for x in program.outputs], program.name)


# ---- all of them

PASSES: tuple[Callable[[Program], Program], ...] = (
    remove_dead_code,
    expand,
    hoist_invariants,
    fold_constants,
    resolve_numbers,
    simplify,
    share_subexpressions,
    fold_transposes,
    simplify,
    share_subexpressions,
    move_scalars,
    share_subexpressions,
    remove_dead_code,
    split_among_threads,
    sums_as_products,
    examples_last,
    simplify,
    share_subexpressions,
    remove_dead_code,
    optimise_bodies,
    join_alike,
    group_in_blocks,
)
"""In the order in which the compiler runs them."""


_PASSES_IN_BODIES = tuple([each for each in PASSES if each is not split_among_threads])


def optimise(program: Program, passes: Sequence[Callable[[Program], Program]] = PASSES) -> Program:
    """The program after all passes."""
    for each in passes:
        program = each(program)
    return program
