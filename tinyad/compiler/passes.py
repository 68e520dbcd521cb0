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
`sink_permutations`    permutes results instead of operands, so that arrays stay in the order of axes of convolutions
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

from ..loops import Loop, without_unused
from ..program import Constant, Instruction, Program, Value
from .blocks import group_in_blocks, is_elementwise
from .expand import expand
from .joining import join_alike
from .layout import examples_last, sums_as_products
from .parts import split_among_threads
from .permutations import sink_permutations
from .products import fold_transposes, move_scalars
from .rewriting import Rewrite, copied, renewed, reshaped, rewritten, same, with_values

__all__ = [
    "PASSES", "examples_last", "expand", "fold_constants", "fold_transposes", "group_in_blocks", "hoist_invariants",
    "is_repeated", "join_alike", "move_scalars", "optimise", "optimise_bodies", "remove_dead_code", "resolve_numbers",
    "share_subexpressions", "simplify", "sink_permutations", "split_among_threads", "sums_as_products",
]  # fmt: skip

# ---- dead code, constants, numbers


def remove_dead_code(program: Program) -> Program:
    """Drop instructions whose results nobody uses, and carries and stacks of loops."""
    return without_unused(program)


def fold_constants(program: Program) -> Program:
    """Compute now what does not depend on the inputs."""
    program = copied(program)
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
    return rewritten(program, kept, instead)


def resolve_numbers(program: Program) -> Program:
    """Give Python numbers the dtype they take beside arrays, once, and repeated numbers one element.

    An array of no axes costs NumPy half of what a Python number does in a small operation (0.6 against 1.1 microseconds).
    """
    program = copied(program)
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
    spoken = _SPOKEN.get(float(x)) if not np.iscomplexobj(x) else None
    return spoken or "c"


# ---- identities


def simplify(program: Program) -> Program:
    """Apply identities."""
    program = copied(program)
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
    return rewritten(program, kept, instead)


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


def _equals(x: Any, number: float) -> bool:
    if isinstance(x, Constant):
        return x.size == 1 and not x.ndim and x.dtype.kind in "fc" and bool(x.array == number)
    return not isinstance(x, (Value, bool, str)) and x == number


def _of_product(i: Instruction, made: dict[Value, Instruction]) -> Any:
    x, y = i.inputs
    for one, other in ((x, y), (y, x)):
        if _equals(one, 1.0):
            return same(other, i.out)
        if _equals(one, -1.0) and same(other, i.out) is not None:
            return renewed(i, "negative", (other,))
    return None


def _of_quotient(i: Instruction, made: dict[Value, Instruction]) -> Any:
    return same(i.inputs[0], i.out) if _equals(i.inputs[1], 1.0) else None


def _of_sum(i: Instruction, made: dict[Value, Instruction]) -> Any:
    x, y = i.inputs
    for one, other in ((x, y), (y, x)):
        source = made.get(one) if isinstance(one, Value) else None
        if source is not None and source.name == "negative" and isinstance(other, Value):
            return renewed(i, "subtract", (other, source.inputs[0]))
    return None


def _of_difference(i: Instruction, made: dict[Value, Instruction]) -> Any:
    x, y = i.inputs
    if _equals(y, 0.0) and not np.signbit(float(y.array if isinstance(y, Constant) else y)):  # -0.0 - -0.0 is 0.0
        return same(x, i.out)
    source = made.get(y) if isinstance(y, Value) else None
    if source is not None and source.name == "negative":
        return renewed(i, "add", (x, source.inputs[0]))
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
            return renewed(i, name, (x,))
    return same(x, i.out) if _equals(exponent, 1.0) else None


def _of_reshape(i: Instruction, made: dict[Value, Instruction]) -> Any:
    (x,) = i.inputs
    if same(x, i.out) is not None:
        return x
    source = made.get(x)
    if source is not None and source.name == "reshape":
        if same(source.inputs[0], i.out) is not None:
            return source.inputs[0]
        return reshaped(i, source.inputs[0])
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
            return renewed(i, "matmul", (other, vector) if k else (vector, other))
    return None


def _of_transpose(i: Instruction, made: dict[Value, Instruction]) -> Any:
    source = made.get(i.inputs[0])
    return source.inputs[0] if source is not None and source.name == "matrix_transpose" else None


def _of_permutation(i: Instruction, made: dict[Value, Instruction]) -> Any:
    axes = i.params["axes"]
    rank = len(axes)
    return i.inputs[0] if axes == tuple(range(-rank, 0)) else None


def _unchanged(i: Instruction, made: dict[Value, Instruction]) -> Any:
    return same(i.inputs[0], i.out)


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
    program = copied(program)
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
    return rewritten(program, kept, instead)


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


# ---- loops


def hoist_invariants(program: Program) -> Program:
    """Compute before a loop what is the same in each of its steps."""
    program = copied(program)
    kept: list[Instruction] = []
    for instruction in program.instructions:
        if isinstance(instruction.operation, Loop):
            instruction = _hoisted(instruction, instruction.operation, kept)
        kept.append(instruction)
    return rewritten(program, kept, {})


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
        outputs = [Value(v.name, v.shape, v.dtype, v.weak) for v in each.outputs]
        inputs = [outside.get(x, x) if isinstance(x, Value) else x for x in each.inputs]
        before.append(with_values(each, inputs, outputs))
        outside.update(zip(each.outputs, outputs, strict=True))
        extra += [v for v in each.outputs if v in needed]
    body = Program([*inner[: loop.constants], *extra, *inner[loop.constants :]], stay, loop.body.outputs, loop.body.name)
    operation = dataclasses.replace(loop, body=body, constants=loop.constants + len(extra))
    operands = (*given, *[outside[v] for v in extra], *carry, *rows)
    return Instruction(operation, operands, {}, instruction.outputs, instruction.line, instruction.section)


def optimise_bodies(program: Program) -> Program:
    """All passes, in the bodies of loops."""
    program = copied(program)
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

    instructions = [with_values(i, map(new, i.inputs), map(new, i.outputs)) for i in program.instructions]
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
    sink_permutations,
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
