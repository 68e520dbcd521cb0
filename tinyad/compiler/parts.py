"""A program's examples in parts, one a thread.

Most of a network's gradient treats every example by itself: layers forward, layers back. Only at the end the examples' shares of
the loss and of the weights' gradients are summed. So a program is cut across its examples: each thread runs all instructions
between two such sums on its own rows, in its own memory, without waiting for the others.

Which axis of a value counts the examples, the rules in `example_axes` say. Here stands what an instruction costs, where a program
is cut, and what becomes of it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..loops import Loop
from ..program import Constant, Instruction, Program, Value
from .example_axes import COUNT, SHARE, Axes, Move, move_of, shape_of_part
from .rewriting import Assembly, with_values
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
    best = max([_Cut(program, x, axis, threads) for x, axis in _seeds(program)], key=_Cut.gain, default=None)
    return best.program_in_parts() if best is not None and best.gain() > 0 else program


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


# ---- the cut


class _Cut:
    """A program cut along an axis of a value that it is given, the seed.

    Attributes:
        parts: their number; 1 if more are not worth it.
        axis: of the values that parts compute, the axis along which they are cut, or ``SHARE``.
        inside: the instructions of the parts, and how they are computed there.
        before, after: the others.
    """

    def __init__(self, program: Program, seed: Value, axis: int, threads: int) -> None:
        self.program, self.seed = program, (seed, axis)
        self.axis: dict[Value, int] = {}
        self.inside: list[tuple[Instruction, Move]] = []
        self.before: list[Instruction] = []
        self.after: list[Instruction] = []
        self.parts = self._number_of_parts(seed.shape[axis], threads)

    def gain(self) -> float:
        """Nanoseconds saved."""
        if self.parts == 1:
            return 0.0
        shares = sum(i.out.size for i, move in self.inside if move.place == SHARE)
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
                self.axis[i.out] = move.place
            else:
                place.append(i)
                if place is self.after:
                    late.update(i.outputs)
                    effects_are_late |= not i.is_pure

    def _move(self, i: Instruction, parts: int) -> Move | None:
        cut = self.axis if any(x in self.axis for x in i.values()) else dict([self.seed])
        known: Axes = [cut.get(x) if isinstance(x, Value) else None for x in i.inputs]
        move = move_of(i, known, parts)
        if move is None:
            return None
        fits = all(self.axis.get(x, k) == k for x, k in zip(i.inputs, move.axes, strict=True) if isinstance(x, Value))
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
        body = _Body(self.parts)
        for i, move in self.inside:
            body.append(i, move)
        used = {x for i in self.after for x in i.values()} | {x for x in self.program.outputs if isinstance(x, Value)}
        results = [x for x in self.axis if x in used]
        part = body.program([(x, self.axis[x]) for x in results])
        stacks = [Value(f"{x.name}_parts", (self.parts, *y.shape), y.dtype) for x, y in zip(results, part.outputs, strict=True)]
        first = self.inside[0][0]
        made = Assembly(dataclasses.replace(first, line=None))  # stacks and sums of them are nobody's line
        operands = (*body.shared, *[self._in_parts(x, axis, made) for x, axis in body.cut])
        loop = Parts(part, len(body.shared), 0, self.parts)
        made.instructions.append(Instruction(loop, operands, {}, tuple(stacks), first.line, first.section))
        for x, stack in zip(results, stacks, strict=True):
            self._put_together(x, stack, made)
        instructions = [*self.before, *made.instructions, *self.after]
        return Program(self.program.inputs, instructions, self.program.outputs, self.program.name)

    def _in_parts(self, x: Value, axis: int, made: Assembly) -> Value:
        """All parts of a value as a stack: a view of it."""
        out = made.reshape(x, (*x.shape[:axis], self.parts, x.shape[axis] // self.parts, *x.shape[axis + 1 :]))
        return made.permute(out, [axis, *[k for k in range(out.ndim) if k != axis]]) if axis else out

    def _put_together(self, x: Value, stack: Value, made: Assembly) -> None:
        """A value from its parts, or from its shares."""
        axis = self.axis[x]
        if axis == SHARE:
            made.append("sum", [stack], x, axis=(-stack.ndim,), keepdims=False)
            return
        if axis:
            stack = made.permute(stack, [*range(1, axis + 1), 0, *range(axis + 1, stack.ndim)])
        made.reshape(stack, x.shape, x)


class _Body:
    """What each part computes, instruction by instruction.

    Attributes:
        shared: what all parts read.
        cut: what each part reads its own rows of, and along which axis.
    """

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.shared: list[Value] = []
        self.cut: list[tuple[Value, int]] = []
        self._instructions: list[Instruction] = []
        self._inner: dict[tuple[Value, int | None], Value] = {}  # a value cut along an axis, as a part sees it

    def append(self, i: Instruction, move: Move) -> None:
        """Compute an instruction in each part."""
        inputs = [self._operand(x, k) if isinstance(x, Value) else x for x, k in zip(i.inputs, move.axes, strict=True)]
        shape = i.out.shape if move.place == SHARE else shape_of_part(i.out.shape, move.place, self.parts)
        out = self._inner[i.out, move.place] = Value(i.out.name, shape, i.out.dtype)
        self._instructions.append(with_values(i, inputs, [out], move.params))

    def program(self, results: list[tuple[Value, int]]) -> Program:
        """The program of a part that gives these values, each with its axis."""
        inputs = [self._inner[x, None] for x in self.shared] + [self._inner[each] for each in self.cut]
        return Program(inputs, self._instructions, [self._inner[each] for each in results], "part")

    def _operand(self, x: Value, axis: int | None) -> Value:
        if (x, axis) not in self._inner:
            self._inner[x, axis] = self._read(x, axis)
        return self._inner[x, axis]

    def _read(self, x: Value, axis: int | None) -> Value:
        if isinstance(x, Constant) and axis is None:
            return x
        if isinstance(x, Constant) and axis == COUNT:
            return Constant(x.name, np.asarray(x.array)[: x.size // self.parts])
        if axis is None:
            self.shared.append(x)
        else:
            self.cut.append((x, axis))
        return Value(x.name, shape_of_part(x.shape, axis, self.parts), x.dtype, x.weak)
