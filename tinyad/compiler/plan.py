"""Where each value of a program lives: the memory plan.

A value is one of

* an *input* or *constant*, which belongs to somebody else;
* a *view* of another value's elements (a transpose, a slice): no memory of its own;
* *planned*: written with ``out=`` into a block of memory that is allocated once and shared by values that are never alive at the
  same time, because the pages of a fresh large array cost more than the arithmetic on it (a factor 3 at 64 KB and more);
* *donated*: written over an input that the caller gave away;
* *fresh*: allocated by NumPy at each call. Results are, because they belong to the caller; numbers (arrays without axes) are,
  because NumPy has no faster way; and what NumPy cannot write with ``out=``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..loops import Loop
from ..program import Constant, Instruction, Program, Value
from .blocks import Blocks, is_elementwise
from .lines import accepts_out, is_view

__all__ = ["Block", "Plan", "plan", "plan_of_body"]


@dataclass(eq=False)
class Block:
    """Memory allocated once: ``size`` elements of ``dtype``, and the values that live there one after another."""

    dtype: Any
    size: int
    values: list[Value] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return int(self.size * self.dtype.itemsize)


@dataclass(eq=False)
class Plan:
    """Where the values of a program live.

    Attributes:
        blocks: the planned memory.
        home: the block of a planned value.
        over: the input over which a donated value is written.
        root: of a view, the value whose elements it shows.
        repeated: views that may show an element several times, which NumPy makes read-only.
        loose: views that may turn out to be copies, because elements in another order cannot always be shown in another shape.
        copied: places among the outputs that must be copied, because somebody else holds the same memory.
        static: inputs whose memory is the same at every call; planned memory and constants are by themselves.
        rows: in the body of a loop, the values that are written to their rows of the loop's stacks at once.
    """

    blocks: list[Block] = field(default_factory=list)
    home: dict[Value, Block] = field(default_factory=dict)
    over: dict[Value, Value] = field(default_factory=dict)
    root: dict[Value, Value] = field(default_factory=dict)
    repeated: set[Value] = field(default_factory=set)
    loose: set[Value] = field(default_factory=set)
    copied: set[int] = field(default_factory=set)
    static: set[Value] = field(default_factory=set)
    rows: set[Value] = field(default_factory=set)

    @property
    def nbytes(self) -> int:
        """Bytes of planned memory."""
        return sum(block.nbytes for block in self.blocks)

    def owner(self, x: Value) -> Value:
        """The value whose memory holds the elements of ``x``."""
        while x in self.root:
            x = self.root[x]
        return x

    def is_static(self, x: Value) -> bool:
        """Whether the memory of ``x`` is the same at every call, so that views of it can be made once."""
        while x in self.root:
            if x in self.loose:
                return False
            x = self.root[x]
        return x in self.home or x in self.static or isinstance(x, Constant)


def plan(program: Program, donated: Sequence[Value] = ()) -> Plan:
    """Where each value lives. ``donated`` are inputs whose memory may be written to."""
    made = Plan()
    _find_views(program, made)
    kept = _kept(program, made)
    open_inputs = [v for v in donated if v not in program.outputs]
    partners = _partners(program, open_inputs)

    def elsewhere(instruction: Instruction, out: Value, last: dict[Value, int], k: int) -> bool:
        if out in kept:
            partner_first = sorted(open_inputs, key=lambda x: x is not partners.get(out))
            _write_over(instruction, out, made, partner_first, last, k)
            if out in made.over:
                open_inputs.remove(made.owner(made.over[out]))
        return out in kept

    _place_all(program, made, elsewhere)
    return made


def _partners(program: Program, donated: Sequence[Value]) -> dict[Value, Value]:
    """The donated input over which a result is written best: a step returns what it gets, in the same order."""
    places: dict[Any, list[Value]] = {}
    for x in donated:
        places.setdefault((x.shape, x.dtype), []).append(x)
    results = [x for x in dict.fromkeys(program.outputs) if isinstance(x, Value)]
    return {x: places[x.shape, x.dtype].pop(0) for x in results if places.get((x.shape, x.dtype))}


def plan_of_body(program: Program, carries: Sequence[Value], static: set[Value]) -> Plan:
    """Where the values of a loop's body live. The next carry is written over the one before it where that is possible.

    Args:
        carries: the inputs that hold the carry; the first outputs are what they become.
        static: inputs whose memory is the same at every call.
    """
    made = Plan(static=static)
    _find_views(program, made)
    slots = {out: x for x, out in zip(carries, program.outputs, strict=False) if isinstance(out, Value)}
    stacked = set(program.outputs[len(carries) :]) - slots.keys()

    def elsewhere(instruction: Instruction, out: Value, last: dict[Value, int], k: int) -> bool:
        if out in slots:
            _write_over(instruction, out, made, [slots[out]], last, k)
        elif out in stacked:
            made.rows.add(out)
        return out in made.over or out in made.rows

    _place_all(program, made, elsewhere)
    return made


def _find_views(program: Program, made: Plan) -> None:
    in_order = set()
    for instruction in program.instructions:
        if is_view(instruction, made):
            x = made.root[instruction.out] = instruction.inputs[0]
            if instruction.name == "broadcast_to" or x in made.repeated:
                made.repeated.add(instruction.out)
            if instruction.name == "reshape" and (x in in_order or (x not in made.root and x not in made.static)):
                in_order.add(instruction.out)
            elif instruction.name == "reshape":
                made.loose.add(instruction.out)


def _place_all(program: Program, made: Plan, elsewhere: Callable[[Instruction, Value, dict[Value, int], int], bool]) -> None:
    """Give blocks to all values that need one; ``elsewhere`` says which live outside of planned memory."""
    last = _last_uses(program, made)
    free: list[Block] = []
    for k, instruction in enumerate(program.instructions):
        # In a fixed order, in which their blocks are taken again: a function always gets the same plan.
        dying = list(dict.fromkeys(made.owner(x) for x in instruction.values() if last[made.owner(x)] == k))
        for out in instruction.outputs:
            takes_memory = accepts_out(instruction) or isinstance(instruction.operation, Loop)
            if out in made.root or not takes_memory or out.ndim == 0 or out.size == 0:
                continue
            if not elsewhere(instruction, out, last, k):
                _place(instruction, out, made, free, dying)
        free += [made.home[x] for x in dying if x in made.home and made.home[x] not in free and _is_last(made, x)]
        free += [made.home[x] for x in instruction.outputs if x in made.home and x not in last]


def _is_last(made: Plan, x: Value) -> bool:
    """Whether no younger value has taken over the block of ``x`` in place."""
    return made.home[x].values[-1] is x


def _last_uses(program: Program, made: Plan) -> dict[Value, int]:
    """For each value that owns memory, the last instruction that reads it; beyond all for results."""
    last: dict[Value, int] = {}
    for k, instruction in enumerate(program.instructions):
        for x in instruction.values():
            last[made.owner(x)] = k
    for x in program.outputs:
        if isinstance(x, Value):
            last[made.owner(x)] = len(program.instructions)
    return last


def _kept(program: Program, made: Plan) -> set[Value]:
    """The values whose memory the caller gets: one output each. Other outputs that show the same memory are copied."""
    kept: set[Value] = set()
    foreign = {*program.inputs}
    for k, x in enumerate(program.outputs):
        if not isinstance(x, Value) or x.weak:
            continue
        owner = made.owner(x)
        whole = owner.size == x.size and x not in made.repeated
        if owner in kept or owner in foreign or isinstance(owner, Constant) or not whole:
            made.copied.add(k)
        else:
            kept.add(owner)
    return kept


def _write_over(
    instruction: Instruction, out: Value, made: Plan, open_inputs: list[Value], last: dict[Value, int], k: int
) -> None:
    """Let a result take the place of the first donated input that fits and that nobody reads any more, itself excepted."""
    if isinstance(instruction.operation, Blocks):
        return _write_rows_over(instruction, instruction.operation, out, made, open_inputs, last, k)
    if isinstance(instruction.operation, Loop):
        return _carry_in_place(instruction, instruction.operation, out, made, open_inputs, last, k)
    for x in open_inputs:
        if x.shape != out.shape or x.dtype != out.dtype or last.get(x, -1) > k or x.size < 2:
            continue
        if last.get(x, -1) == k and not _may_overwrite(instruction, x, made):
            continue
        if instruction.name == "matmul":
            continue  # BLAS writes to memory in order only, and nobody knows how that of an input lies
        made.over[out] = x
        return


def _carry_in_place(
    instruction: Instruction, loop: Loop, out: Value, made: Plan, open_inputs: list[Value], last: dict[Value, int], k: int
) -> None:
    """The same for a loop: a donated input that is the start of a carry holds that carry to its end."""
    constants, carry, rows = loop.split(instruction.inputs)
    place = instruction.outputs.index(out)
    x = carry[place] if place < loop.carries else None
    others = [
        made.owner(y) for n, y in enumerate((*constants, *carry, *rows)) if isinstance(y, Value) and n != len(constants) + place
    ]
    if x in open_inputs and last[x] <= k and x not in others:
        made.over[out] = x


def _write_rows_over(
    instruction: Instruction, loop: Blocks, out: Value, made: Plan, open_inputs: list[Value], last: dict[Value, int], k: int
) -> None:
    """The same for a loop over blocks, which reads a donated input by blocks: each is written over when it has been read."""
    body = loop.body
    _, _, rows = loop.split(instruction.inputs)
    made_at = {i.out: n for n, i in enumerate(body.instructions)}
    read_at = {x: n for n, i in enumerate(body.instructions) for x in i.values()}
    written = made_at[body.outputs[instruction.outputs.index(out)]]
    for x, row in zip(rows, loop.split(body.inputs)[2], strict=True):
        whole = made.owner(x)
        fits = x.shape == out.shape and x.dtype == out.dtype and whole in open_inputs and last[whole] <= k
        if fits and whole.size == x.size and read_at.get(row, -1) <= written:
            made.over[out] = x
            return


def _may_overwrite(instruction: Instruction, x: Value, made: Plan) -> bool:
    """Whether an instruction may write its result where it reads ``x``: element by element, and nothing else of that memory; or
    some elements of it, the rest staying as they are.

    Never an array of one element: NumPy then takes three times as long (0.56 against 0.18 microseconds).
    """
    alike = is_elementwise(instruction) or (instruction.name == "put" and x is instruction.inputs[0])
    if not alike or x.size < 2 or x.shape != instruction.out.shape or x.dtype != instruction.out.dtype:
        return False
    return all(y is x or made.owner(y) is not x for y in instruction.values())


def _place(instruction: Instruction, out: Value, made: Plan, free: list[Block], dying: Sequence[Value]) -> None:
    """Give a value a block: that of an operand it may overwrite, a free one that fits, or a new one."""
    for x in instruction.values():
        if x in dying and x in made.home and _is_last(made, x) and _may_overwrite(instruction, x, made):
            block = made.home[x]
            break
    else:
        fitting = [b for b in free if b.dtype == out.dtype and out.size <= b.size <= 2 * out.size]
        # the smallest, and of these the one used last, which is still in the cache
        block = min(reversed(fitting), key=lambda b: b.size) if fitting else Block(out.dtype, out.size)
        if fitting:
            free.remove(block)
        else:
            made.blocks.append(block)
    made.home[out] = block
    block.values.append(out)
