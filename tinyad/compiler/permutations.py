"""A pass that moves permutations of axes behind what can be done in any order of axes.

A convolution works on arrays whose examples come last, and shows its result to the user with examples first, by a permutation,
which is a view. What follows would be written to memory in the user's order, and be turned back for the next convolution:
copies with steps as long as an image, a multiple of the time of the arithmetic. So elementwise functions, reductions, padding and
slices take their operands as they lie, and only their result is permuted, until two permutations meet and cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..loops import without_unused
from ..program import Instruction, Program, Value
from .blocks import is_elementwise
from .rewriting import Assembly, Rewrite, copied, rewritten, with_values

__all__ = ["sink_permutations"]

Order = tuple[int, ...]
"""Where the axes of a permuted array come from, counted from 0."""
Moved = tuple[Instruction, Order]
"""The instruction on operands as they lie, and the order in which its result is shown."""


class _Known(dict[Value, tuple[Value, Order]]):
    """The values that are permutations of others: of which, and how."""

    def source(self, x: Value) -> tuple[Value, Order]:
        """What a value is a permutation of; of itself, if nothing else is known."""
        return self.get(x, (x, tuple(range(x.ndim))))


def sink_permutations(program: Program) -> Program:
    """Permute results instead of operands, so that what lies between convolutions stays in their order of axes."""
    program = copied(program)
    known, instead, kept = _Known(), Rewrite(), list[Instruction]()
    for i in program.instructions:
        i.inputs = tuple([instead.get(x, x) if isinstance(x, Value) else x for x in i.inputs])
        work = Assembly(i)
        if i.name == "permute_dims" and len(i.params["axes"]) == i.out.ndim:
            x, order = known.source(i.inputs[0])
            order = tuple([order[axis + i.out.ndim] for axis in i.params["axes"]])
            if order == tuple(range(len(order))):
                instead[i.out] = x
            else:
                known[i.out] = x, order
                kept.append(with_values(i, (x,), params={"axes": _negative(order)}))
            continue
        rule = _elementwise if is_elementwise(i) or i.name == "astype" else _RULES.get(i.name)
        moved = rule(i, known, work) if rule is not None and len(i.outputs) == 1 else None
        if moved is None:
            kept.append(i)
            continue
        made, order = moved
        kept += [*work.instructions, made]
        if order == tuple(range(len(order))):
            instead[i.out] = made.out
        else:
            known[i.out] = made.out, order
            turn = Assembly(i)
            turn.permute(made.out, order, i.out)
            kept += turn.instructions
    return without_unused(rewritten(program, kept, instead))


def _negative(order: Order) -> tuple[int, ...]:
    return tuple([k - len(order) for k in order])


def _inverse(order: Order) -> Order:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _result(i: Instruction, shape: Sequence[int]) -> Value:
    return Value(i.out.name, tuple(shape), i.out.dtype)


# ---- rules: from an instruction to the one that does its work on operands as they lie


def _elementwise(i: Instruction, known: _Known, work: Assembly) -> Moved | None:
    orders = [known[x][1] for x in i.values() if x in known and x.shape == i.out.shape]
    if not orders:
        return None
    inverse = _inverse(orders[0])
    operands = []
    for x in i.inputs:
        if not isinstance(x, Value) or x.ndim == 0:
            operands.append(x)
        elif x in known and known[x][1] == orders[0]:
            operands.append(known[x][0])
        else:
            full = work.reshape(x, (1,) * (i.out.ndim - x.ndim) + x.shape)
            operands.append(work.permute(full, inverse))
    return with_values(i, operands, (_result(i, [i.out.shape[k] for k in inverse]),)), orders[0]


def _reduction(i: Instruction, known: _Known, work: Assembly) -> Moved | None:
    if i.inputs[0] not in known:
        return None
    x, order = known[i.inputs[0]]
    axes = {order[axis + len(order)] for axis in i.params["axis"]}
    shape = [1 if k in axes else n for k, n in enumerate(x.shape)]
    shown = order
    if not i.params["keepdims"]:
        left = [k for k in range(x.ndim) if k not in axes]
        shape, shown = [x.shape[k] for k in left], tuple([left.index(k) for k in order if k in left])
    params = i.params | {"axis": _negative_of(sorted(axes), x.ndim)}
    return with_values(i, (x,), (_result(i, shape),), params), shown


def _negative_of(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    return tuple([axis - ndim for axis in axes])


def _by_axis(name: str) -> Callable[[Instruction, _Known, Assembly], Moved | None]:
    """The rule of what has a parameter with an entry for each axis."""

    def rule(i: Instruction, known: _Known, work: Assembly) -> Moved | None:
        entries = i.params[name]
        if len(i.inputs) > 1 or i.inputs[0] not in known:
            return None
        x, order = known[i.inputs[0]]
        if name == "index":
            entries = [part for part in entries if part is not Ellipsis]
            if any(not isinstance(part, slice) for part in entries) or i.params["rank"] != x.ndim:
                return None
            dots = next((k for k, part in enumerate(i.params[name]) if part is Ellipsis), len(entries))
            entries = [*entries[:dots], *[slice(None)] * (x.ndim - len(entries)), *entries[dots:]]
        if len(entries) != x.ndim or i.out.ndim != x.ndim:
            return None
        inverse = _inverse(order)
        params = i.params | {name: tuple([entries[k] for k in inverse])}
        if name == "index" and "shape" in params:
            params["shape"] = tuple([params["shape"][k] for k in inverse])
        return with_values(i, (x,), (_result(i, [i.out.shape[k] for k in inverse]),), params), order

    return rule


_RULES: dict[str, Callable[[Instruction, _Known, Assembly], Moved | None]] = {
    "broadcast_to": _by_axis("shape"),
    "getitem": _by_axis("index"),
    "max": _reduction,
    "min": _reduction,
    "pad": _by_axis("widths"),
    "scatter": _by_axis("index"),
    "sum": _reduction,
}
