"""A loop as one operation, which stays a loop in every derivative.

Its body is a program, traced once whatever the number of steps. A derivative of the loop is another loop over another body, made by
tracing the body's own derivative:

* forward mode carries values and tangents side by side;
* reverse mode runs a loop that also stacks up the values its derivative will need (or only the carries, and computes the rest
  again), then a loop backwards over these stacks;
* a batch carries all examples at once.

Since each of them is a loop again, they nest to any order, and the compiler needs to know one thing only. What users call is in
`scanning`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .backend import common_module
from .batch import batch
from .custom import Call, KeptCall, call, on_tape
from .forward import forward
from .primitives.reductions import broadcast_to
from .primitives.shaping import moveaxis, shape_of
from .program import Constant, Instruction, Program, Value, evaluate
from .reverse import reverse
from .tape import variable
from .tensor import Tensor, unwrap
from .tracing import Trace, Traced, lifted_into, youngest

__all__ = ["Loop", "without_unused"]


@dataclass(eq=False)
class Loop:
    """A loop, as an operation on arrays.

    Its operands are constants, the carry, and rows; its results the last carry and stacks. The body is a program from constants,
    carry and one row each to the next carry and one row of each stack.

    Attributes:
        body: the program of one step.
        constants, carries: how many there are; the rest of the body's inputs are rows.
        length: number of steps.
        backwards: whether it goes from the last row to the first.
        recompute: whether its gradient keeps only the carries.
        module: the array module that it runs on.
    """

    body: Program
    constants: int
    carries: int
    length: int
    backwards: bool = False
    recompute: bool = False
    module: Any = np
    name = "scan"

    @property
    def pure(self) -> bool:
        """Whether it only computes its results."""
        return all(instruction.is_pure for instruction in self.body.instructions)

    @property
    def branches(self) -> bool:
        """Whether a step gives cotangents of exactly zero to what it did not choose; see `Primitive`."""
        return any(getattr(instruction.operation, "branches", False) for instruction in self.body.instructions)

    def apply(self, *operands: Any) -> list[Any]:
        """The results, recorded or written down where the operands ask for it."""
        operands = tuple(lifted_into(operands))
        if any(on_tape(x) for x in operands):
            return self._recorded(operands)
        arrays = [unwrap(x) for x in operands]
        if any(type(x) is Traced for x in arrays):
            current = youngest(arrays)
            loop = self if current.differentiable or not _keeps_calls(self.body) else self._without_calls()
            results: list[Any] = current.emit(loop, arrays, {}, self._examples(arrays))
        else:
            results = self._run(arrays)
        return [Tensor(x) for x in results] if any(isinstance(x, Tensor) for x in operands) else results

    def steps(self) -> range:
        """The row numbers in the order of the steps."""
        return range(self.length)[:: -1 if self.backwards else 1]

    def split(self, operands: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Constants, carry and rows."""
        stop = self.constants + self.carries
        return operands[: self.constants], operands[self.constants : stop], operands[stop:]

    def _examples(self, arrays: Sequence[Any]) -> list[Any]:
        return [self.module.zeros(y.shape, y.dtype) for y in self.results()]

    def zeros(self, v: Any) -> Any:
        """Zeros like a value of the body; the number for a number."""
        zeros = self.module.zeros(v.shape, v.dtype)
        return zeros.item() if v.weak else zeros

    def _without_calls(self) -> Loop:
        """The loop with calls that have rules of their own written out, for where no derivative will be taken."""
        current = Trace("scan", differentiable=False)
        with current.open():
            arguments = [current.argument(self.zeros(v), v.name) for v in self.body.inputs]
            outputs = [current.as_traced(y) for y in evaluate(self.body, arguments)]
        return replace(self, body=current.program(outputs).pruned())

    def results(self) -> list[Value]:
        """Values like the results."""
        stacks = self.body.outputs[self.carries :]
        return [
            *[Value("carry", y.shape, y.dtype) for y in self.body.outputs[: self.carries]],
            *[Value("stack", (self.length, *y.shape), y.dtype) for y in stacks],
        ]

    def _run(self, arrays: Sequence[Any]) -> list[Any]:
        constants, carry, rows = self.split(arrays)
        xp = common_module(arrays)
        stacks = [xp.empty(y.shape, y.dtype) for y in self.results()[self.carries :]]
        for k in self.steps():
            outputs = evaluate(self.body, [*constants, *carry, *[x[k] for x in rows]])
            carry = outputs[: self.carries]
            for stack, y in zip(stacks, outputs[self.carries :], strict=True):
                stack[k] = y
        others = [*arrays, *[c.array for c in self.body.constants()]]
        own = [x.copy() if x.base is not None or any(x is y for y in others) else x for x in carry]
        return [*own, *stacks]

    # ---- derivatives

    def _recorded(self, operands: Sequence[Any]) -> list[Any]:
        active = [k for k, x in enumerate(operands) if on_tape(x) and _is_float(self.body.inputs[k])]
        gradient = _Gradient(self, active)
        outputs = gradient.forward.apply(*[unwrap(x) for x in operands])
        kept = outputs[len(self.body.outputs) :]

        def pull(g: Sequence[Any], values: Sequence[Any], guarded: bool = False) -> list[Any]:
            again = any(isinstance(x, Tensor) for x in [*g, *values])
            stacks = gradient.forward.apply(*values)[len(self.body.outputs) :] if again else kept
            return (gradient.guarding if guarded else gradient).pull(g, values, stacks)

        def push(tangents: Sequence[Any], values: Sequence[Any]) -> list[Any]:
            return self._push(tangents, values)

        primitive = Call("scan", pull, push)
        primitive.branches = self.branches
        results = call(primitive, operands, (), outputs[: len(self.body.outputs)])
        return [x if _is_float(y) else Tensor(x.array) for x, y in zip(results, self.body.outputs, strict=True)]

    def _push(self, tangents: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        """The tangents of the results: a loop that carries values and tangents."""
        moving = [k for k, t in enumerate(tangents) if t is not None and _is_float(self.body.inputs[k])]
        floats = [k for k in range(self.constants, self.constants + self.carries) if _is_float(self.body.inputs[k])]
        moving = sorted({*moving, *floats})
        current = Trace("scan")
        with current.open():
            arguments = [current.argument(self.zeros(v), v.name) for v in self.body.inputs]
            directions = [current.argument(self.zeros(self.body.inputs[k]), "d") for k in moving]
            leaves = {k: variable(arguments[k]) for k in moving}
            outputs = evaluate(self.body, [leaves.get(k, x) for k, x in enumerate(arguments)])
            nodes = [y.node for y in outputs if on_tape(y)]
            found = iter(forward(nodes, [leaves[k].node for k in moving], directions, recorded=False)[0])  # type: ignore[misc]
            derivatives = [next(found) if on_tape(y) else None for y in outputs]
            dotted = [
                current.as_traced(self.zeros(y) if d is None else d)
                for y, d in zip(self.body.outputs, derivatives, strict=True)
            ]
        carries, rows = self.carries, [y for y in range(len(outputs)) if y >= self.carries]
        moved = [k for k in range(carries) if self.constants + k in moving]
        results = [
            *outputs[:carries], *[dotted[k] for k in moved], *[outputs[k] for k in rows], *[dotted[k] for k in rows],
        ]  # fmt: skip
        place = _Places(self, moving)
        body = place.reordered(current.program(results).pruned())
        loop = Loop(body, place.constants, carries + len(moved), self.length, self.backwards, self.recompute, self.module)
        values = list(values)
        dots = [_zeros_like(values[k]) if tangents[k] is None else tangents[k] for k in moving]
        done = loop.apply(*place.arranged(values, dots))
        d_carry = dict(zip(moved, done[carries : carries + len(moved)], strict=True))
        d_rows = done[carries + len(moved) + len(rows) :]
        return [d_carry.get(k) for k in range(carries)] + list(d_rows)

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: Any) -> list[Any]:
        """The results for many examples: a loop whose carry holds all of them."""
        size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
        first_row = self.constants + self.carries
        given, flags = [], []
        for k, (x, m) in enumerate(zip(operands, mapped, strict=True)):
            if self.constants <= k < first_row and not m:
                x, m = broadcast_to(x, (size, *shape_of(x))), True
            elif k >= first_row and m:
                x = moveaxis(x, 0, 1)
            given.append(x)
            flags.append(m)
        current = Trace("vmap")
        with current.open():
            arguments = [
                current.argument(self.module.zeros((size, *v.shape), v.dtype) if m else self.zeros(v), v.name)
                for v, m in zip(self.body.inputs, flags, strict=True)
            ]
            outputs, led = batch(self.body, arguments, flags)
            full = [
                current.as_traced(y if m else broadcast_to(y, (size, *shape_of(y)))) for y, m in zip(outputs, led, strict=True)
            ]
        body = current.program(full).pruned()
        loop = replace(self, body=body)
        done = loop.apply(*given)
        return [*done[: self.carries], *[moveaxis(y, 1, 0) for y in done[self.carries :]]]


class _Places:
    """Where tangents stand among the operands of a loop: behind the constants, carries and rows they belong to."""

    def __init__(self, loop: Loop, moving: Sequence[int]) -> None:
        total = len(loop.body.inputs)
        bounds = [0, loop.constants, loop.constants + loop.carries, total]
        self.order: list[int] = []
        for start, stop in itertools.pairwise(bounds):
            self.order += range(start, stop)
            self.order += [total + n for n, k in enumerate(moving) if start <= k < stop]
        self.constants = loop.constants + sum(k < loop.constants for k in moving)

    def reordered(self, program: Program) -> Program:
        program.inputs = [program.inputs[k] for k in self.order]
        return program

    def arranged(self, values: Sequence[Any], dots: Sequence[Any]) -> list[Any]:
        both = [*values, *dots]
        return [both[k] for k in self.order]


class _Gradient:
    """The two loops of a gradient: ``forward`` also stacks what ``backward`` needs.

    Both are cut from one program, which is a step followed by its reverse walk. That walk is guarded (see `reverse`) from its
    start if the step has a `where`, because the steps before it are walked later.
    """

    def __init__(self, loop: Loop, active: Sequence[int], guarded: bool = False, places: Sequence[int] | None = None) -> None:
        self.loop, self.active = loop, active
        self.guarded = guarded or loop.branches
        self.places = places  # of what is kept, among all values of that program
        stop = loop.constants + loop.carries
        floats = [k for k in range(loop.constants, stop) if _is_float(loop.body.inputs[k])]
        self.wanted = sorted({*active, *floats})
        self.seeded = [k for k, y in enumerate(loop.body.outputs) if _is_float(y)]
        joint, results = self._joint_program()
        self._cut(joint, results)

    @functools.cached_property
    def guarding(self) -> _Gradient:
        """The same for cotangents that come through a `where`, on the stacks of this one."""
        return self if self.guarded else _Gradient(self.loop, self.active, True, self.places)

    def _joint_program(self) -> tuple[Trace, list[Any]]:
        body = self.loop.body
        current = Trace("scan")
        with current.open():
            arguments = [current.argument(self.loop.zeros(v), v.name) for v in body.inputs]
            seeds = {k: current.argument(self.loop.zeros(body.outputs[k]), "g") for k in self.seeded}
            leaves = {k: variable(arguments[k]) for k in self.wanted}
            outputs = evaluate(body, [leaves.get(k, x) for k, x in enumerate(arguments)])
            pairs = [(outputs[k].node, seeds[k]) for k in self.seeded if on_tape(outputs[k])]
            found, _ = reverse(
                [n for n, _ in pairs],
                [g for _, g in pairs],
                [leaves[k].node for k in self.wanted],  # type: ignore[misc]
                recorded=False,
                guarded=self.guarded,
            )
        return current, [*outputs, *found]

    def _cut(self, joint: Trace, results: list[Any]) -> None:
        """Divide the joint program into what the step computes and what depends on cotangents."""
        loop, total = self.loop, len(self.loop.body.inputs)
        inputs, seeds = joint.inputs[:total], joint.inputs[total:]
        primal = [joint.operand(y) for y in results[: len(loop.body.outputs)]]
        cotangents = [None if y is None else joint.operand(y) for y in results[len(loop.body.outputs) :]]
        late = _depending(joint.instructions, set(seeds))
        varying = _depending([i for i in joint.instructions if i not in late], set(inputs[loop.constants :]))
        early_values = {v for i in varying for v in i.outputs}
        needed = [x for i in joint.instructions if i in late for x in i.values()] + [c for c in cotangents if c is not None]
        used = list(dict.fromkeys(x for x in needed if isinstance(x, Value)))
        values = [*joint.inputs, *[v for i in joint.instructions for v in i.outputs]]
        if self.places is not None:  # a guard replaces products one by one, and keeps what they are products of
            kept = [values[place] for place in self.places]
        elif loop.recompute:
            kept = list(inputs[loop.constants : loop.constants + loop.carries])
        else:
            made = {v: i for i in varying for v in i.outputs}
            shown = dict.fromkeys(_shown_by(x, made) for x in used)
            kept = [x for x in shown if x in early_values or x in inputs[loop.constants : loop.constants + loop.carries]]
            kept = _without_cheap(kept, made, {*inputs[: loop.constants], *inputs[loop.constants + loop.carries :]})
        order = {v: place for place, v in enumerate(values)}
        self.places = [order[v] for v in kept]
        forward_body = without_unused(Program(list(inputs), list(joint.instructions), [*primal, *kept], "step"))
        self.forward = replace(loop, body=forward_body)
        self._make_backward(joint, list(inputs), list(seeds), kept, cotangents)

    def _make_backward(
        self, joint: Trace, inputs: list[Value], seeds: list[Value], kept: list[Value], cotangents: list[Any]
    ) -> None:
        """The body of the loop backwards: constants; cotangents of carries and sums for constants; kept values, rows, cotangents
        of stacks."""
        loop = self.loop
        stop = loop.constants + loop.carries
        by_place = dict(zip(self.wanted, cotangents, strict=True))
        self.summed = [k for k in self.wanted if k < loop.constants and by_place[k] is not None]
        self.carried = [k for k in self.wanted if loop.constants <= k < stop]
        self.rowed = [k for k in self.wanted if k >= stop]
        seed_of = dict(zip(self.seeded, seeds, strict=True))
        carry_seeds = [seed_of[k - loop.constants] for k in self.carried]
        stack_seeds = [seed_of[k] for k in self.seeded if k >= loop.carries]
        fresh_kept = [Value(v.name, v.shape, v.dtype) for v in kept]
        swap = dict(zip(kept, fresh_kept, strict=True))
        current = Trace("scan")
        with current.open():
            w = [current.argument(loop.zeros(v), "w") for v in inputs[: loop.constants]]
            g = [current.argument(loop.zeros(v), "g") for v in carry_seeds]
            sums = [current.argument(loop.zeros(inputs[k]), "sum") for k in self.summed]
            k_args = [current.argument(loop.zeros(v), v.name) for v in swap.values()]
            rows = [current.argument(loop.zeros(v), "x") for v in inputs[stop:]]
            ys = [current.argument(loop.zeros(v), "g") for v in stack_seeds]
            known = dict(zip(inputs[: loop.constants], w, strict=True)) | dict(zip(inputs[stop:], rows, strict=True))
            known |= dict(zip(carry_seeds, g, strict=True)) | dict(zip(stack_seeds, ys, strict=True))
            known |= dict(zip(kept, k_args, strict=True))
            piece = Program(list(known), joint.instructions, [c for c in cotangents if c is not None]).needing(set(known))
            found = iter(evaluate(piece, list(known.values())))
            result = {k: None if by_place[k] is None else next(found) for k in self.wanted}
            filled = {k: loop.zeros(inputs[k]) if v is None else v for k, v in result.items()}
            outputs = [filled[k] for k in self.carried]
            outputs += [s + filled[k] for s, k in zip(sums, self.summed, strict=True)]
            outputs += [filled[k] for k in self.rowed]
            traced = [current.as_traced(y) for y in outputs]
        body = without_unused(current.program(traced))
        carries = len(self.carried) + len(self.summed)
        self.backward = replace(loop, body=body, carries=carries, backwards=not loop.backwards)

    def pull(self, g: Sequence[Any], values: Sequence[Any], stacks: Sequence[Any]) -> list[Any]:
        """The cotangents of the operands, given those of the results."""
        loop = self.loop
        constants, _, rows = loop.split(values)
        like = loop.results()
        xp = common_module(unwrap(x) for x in values)
        full = [xp.broadcast_to(xp.zeros((), y.dtype), y.shape) if c is None else c for c, y in zip(g, like, strict=True)]
        carry = [full[k - loop.constants] for k in self.carried]
        sums = [xp.zeros(shape_of(values[k]), unwrap(values[k]).dtype) for k in self.summed]
        ys = [full[k] for k in self.seeded if k >= loop.carries]
        done = self.backward.apply(*constants, *carry, *sums, *stacks, *rows, *ys)
        places = [*self.carried, *self.summed, *self.rowed]
        found = dict(zip(places, done, strict=True))
        return [found.get(k) for k in range(len(values))]


def without_unused(program: Program) -> Program:
    """The program without instructions whose results nobody uses, and its loops without such carries and stacks."""
    needed = {x for x in program.outputs if isinstance(x, Value)}
    kept = []
    for instruction in reversed(program.instructions):
        if needed.isdisjoint(instruction.outputs) and instruction.is_pure:
            continue
        if isinstance(instruction.operation, Loop):
            instruction = _trimmed(instruction, instruction.operation, needed)
        needed.update(instruction.values())
        kept.append(instruction)
    return Program(program.inputs, kept[::-1], program.outputs, program.name)


def _trimmed(instruction: Instruction, loop: Loop, needed: set[Value]) -> Instruction:
    """A loop that computes what is needed of its results, and the carries which that takes."""
    inputs, stop = loop.body.inputs, loop.constants + loop.carries
    places = {k for k, out in enumerate(instruction.outputs) if out in needed}
    missing = places
    while missing:
        places = places | missing
        outputs = [loop.body.outputs[k] for k in sorted(places)]
        body = without_unused(Program(inputs, loop.body.instructions, outputs, loop.body.name))
        used = {*outputs, *[x for each in body.instructions for x in each.values()]}
        missing = {k for k in range(loop.carries) if inputs[loop.constants + k] in used} - places
    if not places:
        return instruction
    left = [k for k, x in enumerate(inputs) if (k - loop.constants in places if loop.constants <= k < stop else x in used)]
    body.inputs = [inputs[k] for k in left]
    constants, carries = sum(k < loop.constants for k in left), sum(k < loop.carries for k in places)
    return Instruction(
        replace(loop, body=body, constants=constants, carries=carries),
        tuple([instruction.inputs[k] for k in left]),
        instruction.params,
        tuple([instruction.outputs[k] for k in sorted(places)]),
        instruction.line,
        instruction.section,
    )


def _keeps_calls(program: Program) -> bool:
    """Whether a program has calls with rules of their own, or `stop_gradient`."""
    operations = [instruction.operation for instruction in program.instructions]
    bodies = [f.body for f in operations if isinstance(f, Loop)]
    kept = any(isinstance(f, KeptCall) or f.name == "stop_gradient" for f in operations)
    return kept or any(map(_keeps_calls, bodies))


def _depending(instructions: Sequence[Instruction], roots: set[Value]) -> set[Instruction]:
    """The instructions that depend on one of the values."""
    reached, found = set(roots), set()
    for instruction in instructions:
        if any(x in reached for x in instruction.values()):
            reached.update(instruction.outputs)
            found.add(instruction)
    return found


_REARRANGING = ("broadcast_to", "expand_dims", "matrix_transpose", "permute_dims", "reshape")


def _shown_by(x: Value, made: dict[Value, Instruction]) -> Value:
    """The value whose elements ``x`` shows in another order: that one is kept, so that several such need one stack."""
    while x in made and made[x].name in _REARRANGING and made[x].inputs[0].size <= x.size:
        x = made[x].inputs[0]
    return x


_CHEAP = frozenset({
    "abs", "add", "equal", "greater", "greater_equal", "less", "less_equal", "logical_not", "maximum", "minimum", "multiply",
    "negative", "not_equal", "one_minus_square", "sign", "square", "subtract", "where",
})  # fmt: skip


def _without_cheap(kept: list[Value], made: dict[Value, Instruction], given: set[Value]) -> list[Value]:
    """What to keep when a value that one pass computes from others that are at hand is computed again: the pass costs about as
    much as writing the value to a stack and reading it back, and no memory."""
    left = set(kept)
    for x in reversed(kept):
        i = made.get(x)
        if i is not None and i.name in _CHEAP and all(v in given or v in left or isinstance(v, Constant) for v in i.values()):
            left.remove(x)
    return [x for x in kept if x in left]


def _is_float(v: Any) -> bool:
    return isinstance(v, Value) and v.dtype.kind in "fc"


def _zeros_like(x: Any) -> Any:
    array = unwrap(x)
    return common_module([array]).zeros(array.shape, array.dtype)
