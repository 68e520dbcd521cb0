"""The batch walk: from the first instruction to the last, carrying many examples along a leading axis.

A function of one example is traced once, on the first of them; then each instruction of its program runs on all examples, by
the rule that its kind derives (`Primitive.batch`). An instruction that no example reaches runs once for all. The walk calls
tinyad's own functions, so on Tensors it is recorded: it composes with every derivative, inside and outside.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .backend import is_array
from .primitives.reductions import broadcast_to
from .primitives.shaping import moveaxis, shape_of
from .program import Program, Value, value_of
from .tensor import Tensor
from .trace import example_of, trace

__all__ = ["batch", "vmap"]

Function = Callable[..., Any]
Axes = Any
"""An int, ``None``, or a tree of them that is a prefix of the arguments' tree."""


def batch(program: Program, values: Sequence[Any], mapped: Sequence[bool]) -> tuple[list[Any], list[bool]]:
    """The outputs of a program for many examples, and which of them have the leading axis.

    Args:
        values: one per input, with the leading axis where ``mapped``.
    """
    known: dict[Value, Any] = dict(zip(program.inputs, values, strict=True))
    led = {value for value, m in zip(program.inputs, mapped, strict=True) if m}
    for instruction in program.instructions:
        operands = [value_of(x, known) for x in instruction.inputs]
        flags = [x in led for x in instruction.inputs]
        if any(flags):
            ranks = [x.ndim if isinstance(x, Value) else 0 for x in instruction.inputs]
            result = instruction.operation.batch(operands, ranks, flags, instruction.params)
            led.update(instruction.outputs)
        else:
            result = instruction.operation.apply(*operands, **instruction.params)
        known.update(zip(instruction.outputs, result if type(result) is list else (result,), strict=True))
    return [value_of(x, known) for x in program.outputs], [isinstance(x, Value) and x in led for x in program.outputs]


def vmap(f: Function, in_axes: Axes = 0, out_axes: Axes = 0) -> Function:
    """``f``, a function of one example, as a function of many, without a Python loop.

    Args:
        f: any function of trees of arrays. It is traced once a call, so it must not branch on values; see `TracingError`.
        in_axes: which axis of the arguments counts the examples: an int for all of them, or a tuple with an entry for each
            argument, an int, ``None`` for what all examples share, or a tree of these that stands for the top of the argument.
            Keyword arguments are shared.
        out_axes: where the results have that axis, in the same way.

    Returns:
        A function of the same arguments; results that do not depend on the example are repeated. It can be differentiated,
        and mapped again.

    Raises:
        ValueError: if the lengths of the mapped axes differ, or none is mapped.
        TracingError: if ``f`` needs the value of an example.

    >>> import numpy as np, tinyad as ad
    >>> ad.vmap(lambda x, w: x @ w, in_axes=(0, None))(np.ones((3, 2)), np.array([1.0, 2.0]))
    array([3., 3., 3.])
    >>> ad.vmap(ad.grad(lambda x: ad.sum(x**3)))(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[ 3., 12.],
           [27., 48.]])
    """
    if not callable(f):
        raise TypeError(f"vmap: got a {type(f).__name__}; expected a function. Write ad.vmap(f)(x)")

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten(args)
        axes = _axes_of_arguments(in_axes, args)
        size = _size(leaves, axes, args)
        values = [x if axis is None or axis == 0 else moveaxis(x, axis, 0) for x, axis in zip(leaves, axes, strict=True)]
        places = [k for k, axis in enumerate(axes) if axis is not None]
        out_structure = tree.flatten(None)[1]

        def of_one(examples: list[Any]) -> list[Any]:
            nonlocal out_structure
            arguments = list(leaves)
            for k, example in zip(places, examples, strict=True):
                arguments[k] = example
            outputs, out_structure = tree.flatten(f(*tree.unflatten(structure, arguments), **kwargs))
            return outputs

        program = trace(of_one, [_first(values[k]) for k in places], "vmap").pruned()
        results, flags = batch(program, [values[k] for k in places], [True] * len(places))
        out = _prefix("out_axes", out_axes, out_structure, results)
        moved = [_placed(r, m, axis, size) for r, m, axis in zip(results, flags, out, strict=True)]
        return tree.unflatten(out_structure, moved)

    return mapped


def _first(x: Any) -> Any:
    """The first of the examples; zeros where there are none."""
    known = example_of(x)
    if known.shape[0]:
        return known[0] if known.ndim > 1 else known[0, ...]
    return known.sum(axis=0, dtype=known.dtype)


def _placed(result: Any, mapped: bool, axis: int | None, size: int) -> Any:
    """A result with its examples along ``axis``."""
    if axis is None:
        if mapped:
            raise ValueError("vmap: out_axes is None for a result that differs from example to example; give its axis")
        return result
    if not mapped:
        repeated = broadcast_to(result, (size, *shape_of(result)))
        result = repeated if isinstance(repeated, Tensor) else repeated.copy()
    return result if axis == 0 else moveaxis(result, 0, axis)


def _axes_of_arguments(in_axes: Axes, args: tuple[Any, ...]) -> list[int | None]:
    """The mapped axis of each leaf of the arguments."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise ValueError(
            f"vmap: in_axes has {len(in_axes)} entries for {len(args)} arguments; give one for each, or one for all"
        )
    entries = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
    found: list[int | None] = []
    for i, (entry, argument) in enumerate(zip(entries, args, strict=True)):
        leaves, structure = tree.flatten(argument)
        found += _prefix(f"in_axes[{i}]", entry, structure, leaves)
    return found


def _prefix(name: str, axes: Axes, structure: tree.Structure, leaves: Sequence[Any]) -> list[int | None]:
    """An axis for each leaf, from a tree of axes that stands for the top of the leaves' tree."""
    if axes is None:
        return [None] * structure.size
    if hasattr(axes, "__index__"):
        return [axes.__index__()] * structure.size
    inner, children = tree.children(axes)
    if inner != structure.keys or not structure.children:
        raise ValueError(f"vmap: {name}={axes!r} does not fit the tree {structure}; give an int, None, or a tree like its top")
    found: list[int | None] = []
    start = 0
    for key, axis, child in zip(inner, children, structure.children, strict=True):
        found += _prefix(f"{name}[{key!r}]", axis, child, leaves[start : start + child.size])
        start += child.size
    return found


def _size(leaves: Sequence[Any], axes: Sequence[int | None], args: tuple[Any, ...]) -> int:
    """The number of examples."""
    found: dict[int, int] = {}
    for k, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        shape = shape_of(leaf)
        if not (isinstance(leaf, Tensor) or is_array(leaf)) or not -len(shape) <= axis < len(shape):
            raise ValueError(
                f"vmap: argument{tree.paths(args)[k]} has shape {shape}, so no axis {axis} to map over. Give in_axes, with None "
                f"for what all examples share"
            )
        found[k] = shape[axis]
    if not found:
        raise ValueError("vmap: no argument is mapped; give an axis for one of them in in_axes")
    sizes = set(found.values())
    if len(sizes) > 1:
        shown = ", ".join(f"argument{tree.paths(args)[k]}: {n}" for k, n in found.items())
        raise ValueError(f"vmap: the mapped axes have different lengths ({shown}); they count the same examples")
    return sizes.pop()
