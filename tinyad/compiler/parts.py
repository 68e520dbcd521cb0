"""A program's examples in parts, one a thread.

Most of a network's gradient treats every example by itself: layers forward, layers back. Only at the end the examples' shares of
the loss and of the weights' gradients are summed. So a program is cut across its examples: each thread runs all instructions
between two such sums on its own rows, in its own memory, without waiting for the others.

Which axis of a value counts the examples follows from the operations, by a rule a name. A value is cut along that axis, or the
same for all parts, or a *share*: a sum over the examples of a part, whose sum over the parts is the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kinds import PRIMITIVES
from ..loops import Loop
from ..program import Constant, Instruction, Program, Value
from .blocks import is_elementwise
from .threads import number_of_threads

__all__ = ["Parts", "products_take_one_thread", "split_among_threads"]

WORTH = 15_000.0
"""Nanoseconds that an instruction should take on a part, on average: each ends with a fight for the interpreter. Measured on
ResNets, time in two parts over time of the whole: 0.7 at 20 microseconds, 1.0 at 13, 1.1 at 9."""
LONG = 1_000_000.0
"""Nanoseconds from which on a program is worth it."""


@dataclass(eq=False)
class Parts(Loop):
    """A loop over parts of the examples, each computed by itself, in a thread of its own."""

    name = "parts"


def split_among_threads(program: Program) -> Program:
    """Run what treats each example by itself in parts, one a thread, where that saves time."""
    threads = number_of_threads()
    times = [_nanoseconds(i) for i in program.instructions]
    if threads < 2 or sum(times) < LONG or max(times, default=0.0) < 2 * WORTH:
        return program
    best = max([_Cut(program, x, axis, threads) for x, axis in _seeds(program)], key=lambda cut: cut.gain, default=None)
    return best.program_in_parts() if best is not None and best.gain > 0 else program


def _seeds(program: Program) -> list[tuple[Value, int]]:
    """Large arrays that the program is given, with axes that may count examples: for each length of an axis, two of them."""
    given = sorted([x for x in [*program.inputs, *program.constants()] if x.ndim], key=lambda x: -x.size)
    found: dict[int, list[tuple[Value, int]]] = {}
    for x in given:
        for axis, n in enumerate(x.shape):
            if n > 1 and x.shape.count(n) == 1:
                found.setdefault(n, []).append((x, axis))
    return [seed for seeds in found.values() for seed in seeds[:2]]


# ---- what an instruction costs

_SLOW = frozenset(
    ["arccos", "arcsin", "arctan", "arctan2", "cos", "cosh", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2",
     "logaddexp", "power", "sin", "sinh", "tan", "tanh"]
)  # fmt: skip


def _nanoseconds(i: Instruction) -> float:
    """Roughly, on one core."""
    out = i.outputs[0] if i.outputs else None
    if out is None or out.weak or isinstance(i.operation, Loop):
        return 0.0
    width = float(np.dtype(out.dtype).itemsize) / 4.0
    if i.name == "matmul":
        return width * _operations(i) / 50.0
    largest: int = max([out.size, *[x.size for x in i.values()]])
    return width * largest * (3.0 if i.name in _SLOW else 0.3)


def _operations(i: Instruction) -> float:
    """Multiplications and additions of a matrix product."""
    return 2.0 * i.out.size * float(i.inputs[0].shape[-1]) if i.name == "matmul" else 0.0


def products_take_one_thread(program: Program) -> bool:
    """Whether BLAS should leave its threads asleep: they have products too small for them, or parts beside them.

    The threads of OpenBLAS wait busily for about 30 ms after a product. Two of them gain nothing at 256 x 64 x 64 when both cores
    are idle, and wait for each other when they are not: a ResNet of 16 such layers took 3.4 ms or 4.8, from one process to the
    next; with one thread always 3.5.
    """
    largest = max(map(_operations, program.instructions), default=0.0)
    in_parts = any(isinstance(i.operation, Parts) for i in program.instructions)
    return largest > _ALONE and (in_parts or largest < _TOGETHER) and number_of_threads() > 1


_OF_LARGE_PRODUCTS = 0.25
"""How much of their time is gained: BLAS runs them in threads by itself, in slightly more time than parts take."""
_OF_A_SHARE = 0.5
"""Nanoseconds to write an element of a share and to add it to the others."""
_ALONE, _TOGETHER = 5e5, 4e6  # operations up to which OpenBLAS uses one thread by itself, and from which several are faster


# ---- the rules: which axis counts the examples

SHARE = -1
"""In place of an axis: a sum over the examples of a part."""
COUNT = -2
"""In place of an axis: the numbers of the examples, from 0 in each part."""

Axes = list[Any]
Move = tuple[Axes, int, dict[str, Any]]
"""Along which axis each operand is cut (``None``: not at all), and the result, and the parameters on a part."""
Rule = Callable[[Instruction, Axes, int], Move | None]
"""From an instruction, the axes of operands that are cut already, and the number of parts."""


def _elementwise(i: Instruction, known: Axes, parts: int) -> Move | None:
    ndim = i.out.ndim
    places = {k + ndim - x.ndim for k, x in zip(known, i.inputs, strict=True) if k is not None}
    if len(places) != 1:
        return None
    (place,) = places
    axes: Axes = []
    for x in i.inputs:
        k = place - ndim + x.ndim if isinstance(x, Value) else -1
        axes.append(k if k >= 0 and x.shape[k] == i.out.shape[place] else None)
    return axes, place, i.params


def _matmul(i: Instruction, known: Axes, parts: int) -> Move | None:
    x, y = i.inputs
    if x.ndim > 2 or y.ndim > 2:
        return None
    k, j = known
    last = x.ndim - 1
    if (k == last or j == 0) and k in (None, last) and j in (None, 0):
        return [last, 0], SHARE, i.params
    if k == 0 and x.ndim == 2 and j is None:
        return [0, None], 0, i.params
    if j == 1 and k is None:
        return [None, 1], i.out.ndim - 1, i.params
    return None


def _reduction(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    ndim = i.inputs[0].ndim
    axes = {a % ndim for a in i.params["axis"]}
    if k in axes:
        return (known, SHARE, i.params) if i.name == "sum" else None
    return known, k if i.params["keepdims"] else k - sum(a < k for a in axes), i.params


def _transpose(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    ndim = i.out.ndim
    return known, 2 * ndim - 3 - k if k >= ndim - 2 else k, i.params


def _permutation(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    ndim, axes = i.out.ndim, i.params["axes"]
    order = [*range(ndim - len(axes)), *[a % ndim for a in axes]]
    return known, order.index(k), i.params


def _reshape(i: Instruction, known: Axes, parts: int) -> Move | None:
    x, (k,) = i.inputs[0], known
    before = math.prod(x.shape[:k])
    for place, n in enumerate(i.out.shape):
        if n == x.shape[k] and math.prod(i.out.shape[:place]) == before:
            return known, place, {"rank": x.ndim, "shape": _of_part(i.out.shape, place, parts)}
    return None


def _broadcast(i: Instruction, known: Axes, parts: int) -> Move | None:
    (k,) = known
    if i.inputs[0].ndim != i.params["rank"]:
        return None
    place = k + i.out.ndim - i.inputs[0].ndim
    return known, place, i.params | {"shape": _of_part(i.out.shape, place, parts)}


def _element_of_each_row(i: Instruction, known: Axes, parts: int) -> Move | None:
    """``x[examples, labels]``, and its transpose."""
    if len(i.inputs) != 3 or len(i.params["index"]) != 2 or any(x.ndim != 1 or x.dtype.kind not in "iu" for x in i.inputs[1:]):
        return None
    rows = i.inputs[1]
    n = i.inputs[0].shape[0]
    counts = isinstance(rows, Constant) and rows.shape == (n,) and bool((np.asarray(rows.array) == np.arange(n)).all())
    if not counts or any(k not in (None, 0) for k in known):
        return None
    if i.name == "getitem":
        return [0, COUNT, 0], 0, i.params
    if i.params["shape"][0] != n:
        return None
    return [0, COUNT, 0], 0, i.params | {"shape": _of_part(i.params["shape"], 0, parts)}


_RULES: dict[str, Rule] = {
    "broadcast_to": _broadcast,
    "getitem": _element_of_each_row,
    "matmul": _matmul,
    "matrix_transpose": _transpose,
    "max": _reduction,
    "min": _reduction,
    "permute_dims": _permutation,
    "reshape": _reshape,
    "scatter": _element_of_each_row,
    "sum": _reduction,
}


def _rule(i: Instruction) -> Rule | None:
    if len(i.outputs) != 1 or i.out.weak or not i.is_pure:
        return None
    return _elementwise if is_elementwise(i) else _RULES.get(i.name)


def _of_part(shape: Sequence[int], axis: int | None, parts: int) -> tuple[int, ...]:
    """The shape of a part of an array of this shape, cut along an axis."""
    return tuple([n // parts if k == axis else n for k, n in enumerate(shape)])


def _adds_up(x: Value) -> bool:
    """Whether the sum of shares is of their dtype: NumPy adds short integers as long ones, and a product of booleans is no sum."""
    return bool(np.add.reduce(np.empty(0, x.dtype)).dtype == x.dtype)


# ---- the cut


class _Cut:
    """A program cut along an axis of a value that it is given, the seed.

    Attributes:
        axis: of the values that parts compute, the axis along which they are cut, or ``SHARE``.
        inside: the instructions of the parts, and how they change.
        gain: nanoseconds saved.
    """

    def __init__(self, program: Program, seed: Value, axis: int, threads: int) -> None:
        self.program, self.seed = program, (seed, axis)
        self.axis: dict[Value, int] = {}
        self.inside: list[tuple[Instruction, Move]] = []
        self.before: list[Instruction] = []
        self.after: list[Instruction] = []
        self.parts = self._number_of_parts(seed.shape[axis], threads)

    @property
    def gain(self) -> float:
        if self.parts == 1:
            return 0.0
        shares = sum(i.out.size for i, move in self.inside if move[1] == SHARE)
        return (1.0 - 1.0 / self.parts) * self.work() - self.parts * _OF_A_SHARE * shares - LONG / 4

    def work(self) -> float:
        """Nanoseconds of the instructions in parts, of large products those that BLAS would not save by itself."""
        return sum(_nanoseconds(i) * (_OF_LARGE_PRODUCTS if _operations(i) > _TOGETHER else 1.0) for i, _ in self.inside)

    def _number_of_parts(self, n: int, threads: int) -> int:
        """The largest number of parts that is worth it; 1 if none is."""
        for parts in range(threads, 1, -1):
            if n % parts == 0:
                self._assign(parts)
                work = self.work()
                if work >= LONG and work / parts >= WORTH * len(self.inside):
                    return parts
        return 1

    def _assign(self, parts: int) -> None:
        """Say of each instruction whether it runs before the parts, in them or after them."""
        self.axis, self.inside, self.before, self.after = {}, [], [], []
        late: set[Value] = set()
        effects_are_late = False  # checks and random draws keep their order among themselves
        for i in self.program.instructions:
            waits = not late.isdisjoint(i.values()) or any(self.axis.get(x) == SHARE for x in i.values())
            if waits or (effects_are_late and not i.is_pure):
                move, place = None, self.after
            else:
                move = self._move(i, parts)
                place = self.after if any(x in self.axis for x in i.values()) else self.before
            if move is not None:
                self.inside.append((i, move))
                self.axis[i.out] = move[1]
            else:
                place.append(i)
                if place is self.after:
                    late.update(i.outputs)
                    effects_are_late |= not i.is_pure

    def _move(self, i: Instruction, parts: int) -> Move | None:
        cut = self.axis if any(x in self.axis for x in i.values()) else dict([self.seed])
        known: Axes = [cut.get(x) if isinstance(x, Value) else None for x in i.inputs]
        rule = _rule(i) if any(k is not None for k in known) else None
        move = rule(i, known, parts) if rule is not None else None
        if move is None or (move[1] == SHARE and not _adds_up(i.out)):
            return None
        fits = all(self.axis.get(x, k) == k for x, k in zip(i.inputs, move[0], strict=True) if isinstance(x, Value))
        return move if fits else None

    # ---- the program in parts

    def _delay_what_can_wait(self) -> None:
        """Put after the parts what came behind their first instruction and is not needed in them: a check among them must come
        before donated arrays change."""
        order = {i: k for k, i in enumerate(self.program.instructions)}
        first = order[self.inside[0][0]]
        needed = {x for i, _ in self.inside for x in i.values()}
        early: set[Instruction] = set()
        for i in reversed(self.before):
            in_order = not i.is_pure and not all(each.is_pure for each in early)
            if order[i] < first or not needed.isdisjoint(i.outputs) or in_order:
                early.add(i)
                needed.update(i.values())
        self.after = sorted([*self.after, *[i for i in self.before if i not in early]], key=order.__getitem__)
        self.before = [i for i in self.before if i in early]

    def program_in_parts(self) -> Program:
        """The program, with one instruction for all parts."""
        self._delay_what_can_wait()
        self.inner: dict[tuple[Value, int | None], Value] = {}
        self.shared: list[Value] = []  # what all parts read
        self.cut: list[tuple[Value, int]] = []  # what each part reads its own rows of
        body = [self._on_part(i, move) for i, move in self.inside]
        used = {x for i in self.after for x in i.values()} | {x for x in self.program.outputs if isinstance(x, Value)}
        results = [x for x in self.axis if x in used]
        inputs = [self.inner[x, None] for x in self.shared] + [self.inner[x, k] for x, k in self.cut]
        outputs = [self.inner[x, self.axis[x]] for x in results]
        loop = Parts(Program(inputs, body, outputs, "part"), len(self.shared), 0, self.parts)
        first = self.inside[0][0]
        made: list[Instruction] = []
        stacks = tuple(
            [Value(f"{x.name}_parts", (self.parts, *y.shape), y.dtype) for x, y in zip(results, outputs, strict=True)]
        )
        operands = (*self.shared, *[self._in_parts(x, k, made) for x, k in self.cut])
        made.append(Instruction(loop, operands, {}, stacks, first.line, first.section))
        for x, stack in zip(results, stacks, strict=True):
            self._put_together(x, stack, made)
        return Program(self.program.inputs, [*self.before, *made, *self.after], self.program.outputs, self.program.name)

    def _on_part(self, i: Instruction, move: Move) -> Instruction:
        axes, place, params = move
        inputs = tuple([self._inner(x, k) if isinstance(x, Value) else x for x, k in zip(i.inputs, axes, strict=True)])
        shape = i.out.shape if place == SHARE else _of_part(i.out.shape, place, self.parts)
        out = self.inner[i.out, place] = Value(i.out.name, shape, i.out.dtype)
        return Instruction(i.operation, inputs, params, (out,), i.line, i.section)

    def _inner(self, x: Value, axis: int | None) -> Value:
        """An operand as a part sees it."""
        if (x, axis) not in self.inner:
            self.inner[x, axis] = self._read(x, axis)
        return self.inner[x, axis]

    def _read(self, x: Value, axis: int | None) -> Value:
        shape = _of_part(x.shape, axis, self.parts)
        if isinstance(x, Constant) and axis is None:
            return x
        if isinstance(x, Constant) and axis == COUNT:
            return Constant(x.name, np.asarray(x.array)[: x.size // self.parts])
        if axis is None:
            self.shared.append(x)
        else:
            self.cut.append((x, axis))
        return Value(x.name, shape, x.dtype, x.weak)

    def _in_parts(self, x: Value, axis: int, made: list[Instruction]) -> Value:
        """All parts of a value as a stack: a view of it."""
        shape = (*x.shape[:axis], self.parts, x.shape[axis] // self.parts, *x.shape[axis + 1 :])
        out = _reshaped(x, shape, made)
        return _permuted(out, [axis, *[k for k in range(out.ndim) if k != axis]], made) if axis else out

    def _put_together(self, x: Value, stack: Value, made: list[Instruction]) -> None:
        """A value from its parts, or from its shares."""
        axis = self.axis[x]
        if axis == SHARE:
            made.append(Instruction(PRIMITIVES["sum"], (stack,), {"axis": (-stack.ndim,), "keepdims": False}, (x,)))
            return
        if axis:
            stack = _permuted(stack, [*range(1, axis + 1), 0, *range(axis + 1, stack.ndim)], made)
        _reshaped(stack, x.shape, made, x)


def _reshaped(x: Value, shape: tuple[int, ...], made: list[Instruction], out: Value | None = None) -> Value:
    out = Value(x.name, shape, x.dtype) if out is None else out
    made.append(Instruction(PRIMITIVES["reshape"], (x,), {"rank": x.ndim, "shape": shape}, (out,)))
    return out


def _permuted(x: Value, order: Sequence[int], made: list[Instruction]) -> Value:
    out = Value(x.name, tuple([x.shape[k] for k in order]), x.dtype)
    axes = tuple([k - x.ndim for k in order])
    made.append(Instruction(PRIMITIVES["permute_dims"], (x,), {"axes": axes}, (out,)))
    return out
