"""The batch walk: from the first instruction to the last, carrying many examples along a leading axis.

A function of one example is traced once, on the first of them; then each instruction of its program runs on all examples, by
the rule that its kind derives (`Primitive.batch`). An instruction that no example reaches runs once for all. The walk calls
tinyad's own functions, so on Tensors it is recorded: it composes with every derivative, inside and outside.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .backend import is_array, module_of
from .primitives.reductions import broadcast_to
from .primitives.shaping import as_arrays, moveaxis, shape_of
from .program import Program, Value, value_of
from .tensor import Tensor
from .tracing import example_of, trace

__all__ = ["batch", "over_examples", "repeated", "vmap"]

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
    last_use = {x: instruction for instruction in program.instructions for x in instruction.values()}
    wanted = {x for x in program.outputs if isinstance(x, Value)}
    for instruction in program.instructions:
        operands = [value_of(x, known) for x in instruction.inputs]
        flags = [isinstance(x, Value) and x in led for x in instruction.inputs]
        with instruction.quietly():
            if any(flags):
                ranks = [x.ndim if isinstance(x, Value) else 0 for x in instruction.inputs]
                result = instruction.operation.batch(operands, ranks, flags, instruction.params)
                led.update(instruction.outputs)
            else:
                result = instruction.operation.apply(*operands, **instruction.params)
        known.update(zip(instruction.outputs, result if type(result) is list else (result,), strict=True))
        for x in instruction.values():  # what nobody needs any more is freed, unless a tape holds it
            if last_use[x] is instruction and x not in wanted:
                known.pop(x, None)
    return [value_of(x, known) for x in program.outputs], [isinstance(x, Value) and x in led for x in program.outputs]


def over_examples(
    f: Callable[[list[Any]], Any], values: Sequence[Any], mapped: Sequence[bool]
) -> tuple[list[Any], list[bool], tree.Structure]:
    """A function from a list of arrays to a tree, of all examples at once: the leaves of its result, which of them have the
    leading axis, and the tree's structure.

    Args:
        values: with the leading axis where ``mapped``.
    """
    places = [k for k, m in enumerate(mapped) if m]
    structure = tree.flatten(None)[1]

    def of_one(examples: list[Any]) -> list[Any]:
        nonlocal structure
        arguments = list(values)
        for k, example in zip(places, examples, strict=True):
            arguments[k] = example
        outputs, structure = tree.flatten(f(arguments))
        return outputs

    given = [values[k] for k in places]
    results, flags = batch(trace(of_one, [_first(x) for x in given], "vmap").pruned(), given, [True] * len(given))
    return results, flags, structure


def repeated(result: Any, size: int) -> Any:
    """A result that is the same for all examples, along a leading axis of them."""
    copies = broadcast_to(result, (size, *shape_of(result)))
    return copies if isinstance(copies, Tensor) else copies.copy()


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
        results, flags, out_structure = over_examples(
            lambda arguments: f(*tree.unflatten(structure, arguments), **kwargs), values, [axis is not None for axis in axes]
        )
        out = _prefix("out_axes", out_axes, out_structure)
        paths = tree.paths(tree.unflatten(out_structure, results))
        placed = [_placed(*given, size, values) for given in zip(results, flags, out, paths, strict=True)]
        return tree.unflatten(out_structure, placed)

    return mapped


def _first(x: Any) -> Any:
    """The first of the examples; zeros where there are none."""
    known = example_of(x)
    return known[0, ...] if known.shape[0] else module_of(known).zeros(known.shape[1:], known.dtype)


def _placed(result: Any, mapped: bool, axis: int | None, path: str, size: int, values: Sequence[Any]) -> Any:
    """A result with its examples along ``axis``; a number becomes an array where the arguments are."""
    if axis is None and mapped:
        raise ValueError(f"vmap: out_axes is None for result{path}, which differs from example to example; give its axis")
    if axis is None:
        return result
    ndim = len(shape_of(result)) + (not mapped)
    if not -ndim <= axis < ndim:
        raise ValueError(f"vmap: out_axes is {axis} for result{path}, which has {ndim} axes with that of the examples")
    result = result if mapped else repeated(as_arrays(result, *values)[0], size)
    return result if axis == 0 else moveaxis(result, 0, axis)


def _axes_of_arguments(in_axes: Axes, args: tuple[Any, ...]) -> list[int | None]:
    """The mapped axis of each leaf of the arguments."""
    if not isinstance(in_axes, (tuple, list)):
        in_axes = (in_axes,) * len(args)
    if len(in_axes) != len(args):
        raise ValueError(
            f"vmap: in_axes has {len(in_axes)} entries for {len(args)} arguments; give one for each, or one for all"
        )
    entries = zip(in_axes, args, strict=True)
    return [axis for i, (entry, x) in enumerate(entries) for axis in _prefix(f"in_axes[{i}]", entry, tree.flatten(x)[1])]


def _prefix(name: str, axes: Axes, structure: tree.Structure) -> list[int | None]:
    """An axis for each leaf, from a tree of axes that stands for the top of the leaves' tree."""
    if axes is None:
        return [None] * structure.size
    if hasattr(axes, "__index__"):
        return [axes.__index__()] * structure.size
    found: list[int | None] = []
    for key, entry, child in zip(structure.keys, _entries(name, axes, structure), structure.children, strict=True):
        found += _prefix(f"{name}[{key!r}]", entry, child)
    return found


def _entries(name: str, axes: Axes, structure: tree.Structure) -> list[Axes]:
    """The entries of a tree of axes for the children of a structure: by name, or by position."""
    keys = list(structure.keys)
    if structure.children and isinstance(axes, dict) and set(axes) == set(keys):
        return [axes[key] for key in keys]
    if structure.children and isinstance(axes, (tuple, list)) and len(axes) == len(keys):
        return list(axes)
    if structure.children and type(axes) is structure.kind and dataclasses.is_dataclass(axes):
        return [getattr(axes, key) for key in keys]
    raise ValueError(f"vmap: {name}={axes!r} does not fit the tree {structure}; give an int, None, or a tree like its top")


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
