"""`scan` and `fori`: loops whose step is traced once, whatever the number of steps."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import tree
from .backend import is_array, module_of
from .loops import Loop
from .primitives.joining import concat
from .primitives.shaping import reshape, shape_of
from .program import Constant, Instruction, Program, Value
from .tensor import Tensor
from .tracing import Trace, Traced, example_of, innermost, number

__all__ = ["fori", "scan"]

Function = Callable[..., Any]


def scan(
    step: Function, carry: Any, xs: Any = None, length: int | None = None, checkpoint: bool | int = False
) -> tuple[Any, Any]:
    """Apply ``carry, y = step(carry, x)`` for each ``x`` along the first axis of ``xs``.

    Args:
        step: a function of the carry and one ``x``; it returns the next carry, of the same structure, shapes and dtypes, and ``y``.
            It is traced, so it must not branch on values, and what it draws from a random generator is drawn once for all steps:
            draw beforehand, into ``xs``. It may use Tensors it does not get as arguments.
        carry: a tree of arrays, before the first step. A Python number takes the dtype that the step makes of it.
        xs: a tree of arrays with one row a step; ``None`` for none, then ``step`` gets ``None`` and ``length`` is needed.
        length: the number of steps.
        checkpoint: how a gradient remembers the steps: ``False`` keeps what each step needs; a number ``k`` keeps one carry
            every ``k`` steps and computes the steps between again, for one more evaluation; ``True`` takes the square root of
            the number of steps, which keeps least.

    Returns:
        The last carry, and the ``y`` of all steps stacked along a first axis.

    Raises:
        ValueError: if the lengths of ``xs`` differ, or the step changes the carry's structure, shape or dtype.
        TracingError: if the step needs a value.

    >>> import numpy as np, tinyad as ad
    >>> ad.scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    >>> ad.grad(lambda r: ad.scan(lambda x, _: (r * x * (1 - x), None), 0.5, length=3)[0])(2.0)
    np.float64(0.25)
    """
    rows, xs_structure = tree.flatten(xs)
    count = _length(rows, xs, length)
    if not checkpoint or count == 0:
        return _scan(step, carry, xs, count, False)
    size = math.isqrt(count - 1) + 1 if checkpoint is True else int(checkpoint)
    if size < 1:
        raise ValueError(
            f"scan: checkpoint={checkpoint}; expected True, or how many steps to compute again at once, at least 1"
        )
    whole = count // size
    head = [reshape(x[: whole * size], (whole, size, *shape_of(x)[1:])) for x in rows]

    def segment(carry: Any, rows: Any) -> Any:
        return _scan(step, carry, rows, size, False)

    carry, ys = _scan(segment, carry, tree.unflatten(xs_structure, head), whole, True)
    ys = tree.map(lambda y: reshape(y, (whole * size, *shape_of(y)[2:])), ys)
    if whole * size < count:
        rest = tree.unflatten(xs_structure, [x[whole * size :] for x in rows])
        carry, last = _scan(step, carry, rest, count - whole * size, False)
        ys = tree.map(lambda a, b: concat([a, b]), ys, last)
    return carry, ys


def fori(n: int, step: Function, carry: Any, checkpoint: bool | int = False) -> Any:
    """Apply ``carry = step(i, carry)`` for ``i`` from 0 to ``n - 1``; see `scan`.

    ``i`` is a Python number as far as dtypes go: times float32 it is float32.

    >>> import tinyad as ad
    >>> ad.fori(4, lambda i, x: x * (i + 1), 1.0)
    np.float64(24.0)
    """
    if not hasattr(n, "__index__"):
        raise TypeError(f"fori: n={n!r}; expected the number of steps, an int")
    counters = np.arange(operator.index(n))
    return scan(lambda carry, i: (step(number(i), carry), None), carry, counters, checkpoint=checkpoint)[0]


def _length(rows: Sequence[Any], xs: Any, length: int | None) -> int:
    for k, x in enumerate(rows):
        if not (isinstance(x, (Tensor, Traced)) or is_array(x)) or not shape_of(x):
            raise ValueError(f"scan: xs{tree.paths(xs)[k]} is {x!r}, a number; expected an array with one row a step")
    if length is not None and (not hasattr(length, "__index__") or operator.index(length) < 0):
        raise ValueError(f"scan: length={length!r}; expected the number of steps, an int of at least 0")
    found = {shape_of(x)[0] for x in rows} | ({operator.index(length)} if length is not None else set())
    if len(found) != 1:
        shown = ", ".join(f"xs{path}: {shape_of(x)[0]}" for path, x in zip(tree.paths(xs), rows, strict=True))
        given = f"{shown}{', ' if shown and length is not None else ''}{'' if length is None else f'length={length}'}"
        raise ValueError(f"scan: the number of steps is not clear ({given or 'neither xs nor length is given'})")
    return found.pop()


def _scan(step: Function, carry: Any, xs: Any, length: int, recompute: bool) -> tuple[Any, Any]:
    """A loop over all of ``xs``; ``recompute`` is the way its gradient remembers the steps."""
    start, carry_structure = tree.flatten(carry)
    rows, xs_structure = tree.flatten(xs)
    y_structure = tree.flatten(None)[1]

    def flat(values: list[Any]) -> list[Any]:
        nonlocal y_structure
        result = step(tree.unflatten(carry_structure, values[: len(start)]), tree.unflatten(xs_structure, values[len(start) :]))
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"scan: step returned {type(result).__name__}; expected (carry, y), with y None if there is none")
        following = tree.same_structure("the carry that step returned", carry_structure, result[0], "carry")
        following = [_like(y, x) for y, x in zip(following, values, strict=False)]
        ys, y_structure = tree.flatten(result[1])
        return [*following, *[_like(y, y) for y in ys]]

    initial, program = _started(flat, start, rows)
    _check_carry(program, initial, carry)
    constants = [c for c in program.constants() if isinstance(c.array, (Tensor, Traced))]
    module = _module(program, [*initial, *rows])
    loop = Loop(_opened(program, constants), len(constants), len(initial), length, recompute=recompute, module=module)
    outputs = loop.apply(*[c.array for c in constants], *initial, *rows)
    return (
        tree.unflatten(carry_structure, outputs[: len(initial)]),
        tree.unflatten(y_structure, outputs[len(initial) :]),
    )


def _body(flat: Function, initial: Sequence[Any], rows: Sequence[Any]) -> Program:
    current = Trace("scan")
    with current.open():
        arguments = [current.argument(example_of(x), "carry") for x in initial]
        arguments += [current.argument(_row_of(example_of(x)), "x") for x in rows]
        outputs = [current.as_traced(y) if hasattr(y, "dtype") else y for y in flat(arguments)]
    return current.program(outputs).pruned()


def _row_of(x: Any) -> Any:
    return x[0, ...] if x.shape[0] else module_of(x).zeros(x.shape[1:], x.dtype)


def _started(flat: Function, start: Sequence[Any], rows: Sequence[Any]) -> tuple[list[Any], Program]:
    """The carry as arrays, and the body for it.

    A Python number takes the dtype that the step gives it, which is found by tracing it as a number first. One that stays a
    number becomes a float of the widest dtype among the other floats, or what NumPy makes of it.
    """
    initial = list(start)
    numbers = [k for k, x in enumerate(initial) if not hasattr(x, "dtype")]
    program = _body(flat, initial, rows)
    while numbers:
        dtypes = {k: _dtype(program.outputs[k]) for k in numbers}
        given = {k: dtype for k, dtype in dtypes.items() if dtype is not None}
        if not given:
            floats = [x.dtype for x in [*initial, *rows] if hasattr(x, "dtype") and x.dtype.kind == "f"]
            found = {k: np.result_type(getattr(program.outputs[k], "dtype", program.outputs[k])) for k in numbers}
            given = {k: np.result_type(*floats) if floats and dtype.kind == "f" else dtype for k, dtype in found.items()}
        for k, dtype in given.items():
            module = module_of(initial[k]) if is_array(initial[k]) else _module(program, [*initial, *rows])
            initial[k] = module.asarray(initial[k], np.result_type(dtype, example_of(initial[k])))
        numbers = [k for k in numbers if k not in given]
        program = _body(flat, initial, rows)
    return initial, program


def _module(program: Program, operands: Sequence[Any]) -> Any:
    """The array module that a loop runs on: NumPy's arrays, such as counters, may stand beside those of another."""
    modules = [module_of(example_of(x)) for x in [*operands, *[c.array for c in program.constants()]]]
    return next((module for module in modules if module is not np), np)


def _dtype(x: Any) -> Any:
    """The dtype of a result; ``None`` if it is a number."""
    return x.dtype if isinstance(x, Value) and not x.weak else None


def _like(y: Any, x: Any) -> Any:
    """A number as an array: of the dtype of ``x``, if that can hold it."""
    if hasattr(y, "dtype") or (x is not y and not hasattr(x, "dtype")):
        return y
    dtype = np.result_type(x.dtype, example_of(y)) if x is not y else None
    module = module_of(y) if is_array(y) else innermost().module  # type: ignore[union-attr]
    return module.asarray(y, dtype)


def _check_carry(program: Program, initial: Sequence[Any], carry: Any) -> None:
    for k, (x, out) in enumerate(zip(initial, program.outputs, strict=False)):
        if x.shape != out.shape or x.dtype != out.dtype:
            raise ValueError(
                f"scan: step turns carry{tree.paths(carry)[k]} from {x.dtype} of shape {x.shape} into {out.dtype} of shape "
                f"{out.shape}; a carry keeps both. Start with what it ends with, or convert that, for instance with .astype"
            )


def _opened(program: Program, constants: Sequence[Constant]) -> Program:
    """The program with constants made inputs, before the others."""
    inputs: dict[Value, Value] = {c: Value("w", c.shape, np.result_type(example_of(c.array)), c.weak) for c in constants}

    def swap(x: Any) -> Any:
        return inputs.get(x, x) if isinstance(x, Value) else x

    instructions = [
        Instruction(i.operation, tuple([swap(x) for x in i.inputs]), i.params, i.outputs, i.line, i.section)
        for i in program.instructions
    ]
    return Program([*inputs.values(), *program.inputs], instructions, [swap(x) for x in program.outputs], "step")
