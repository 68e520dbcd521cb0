"""Random programs, drawn from the table of operations: a number gives a program, and a failing one is made small."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.peers.operations import BOUND, GROUPS, LARGEST, OPERATIONS, Array, Random, Shape

FAR = 5.0  # values that are larger get a step that bounds them
NEAR = 1e-3  # how near to a kink or tie operands may come
DEPTH = 12  # steps at most, without those that bound


@dataclass(frozen=True)
class Step:
    """An operation on earlier values, given by their numbers."""

    name: str
    operands: tuple[int, ...]
    parameters: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.operands}{f', {self.parameters}' if self.parameters else ''})"

    def __call__(self, library: Any, values: Sequence[Any]) -> Any:
        return OPERATIONS[self.name].form(library, *[values[k] for k in self.operands], **self.parameters)

    def margin(self, values: Sequence[Array]) -> float:
        """How far the operands are from a kink or tie."""
        margin = OPERATIONS[self.name].margin
        return math.inf if margin is None else margin(*[values[k] for k in self.operands], **self.parameters)


@dataclass(frozen=True)
class Program:
    """A function, which a test can keep as its text.

    Attributes:
        shapes: of the inputs; their values get the first numbers.
        steps: what makes the other values.
        outputs: numbers of the values to return.
        seed: of the inputs' values, of directions and of weights.
    """

    shapes: tuple[Shape, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    seed: int

    def __call__(self, library: Any, *inputs: Any) -> list[Any]:
        values = list(inputs)
        for step in self.steps:
            values.append(step(library, values))
        return [values[k] for k in self.outputs]

    def inputs(self, nudge: float = 0.0) -> list[Array]:
        """The point, with numbers changed by ``nudge`` of their size."""
        return [x + nudge * x * np.sign(dx) for x, dx in zip(self._normal(0), self.directions(), strict=True)]

    def directions(self) -> list[Array]:
        """A tangent for each input."""
        return self._normal(1)

    def _normal(self, stream: int) -> list[Array]:
        return [np.random.default_rng((self.seed, stream, k)).normal(size=shape) for k, shape in enumerate(self.shapes)]

    def weights(self, values: Sequence[Any]) -> list[Array]:
        """A cotangent for each output."""
        return [np.random.default_rng((self.seed, 2, k)).normal(size=np.shape(y)) for k, y in enumerate(values)]

    def margin(self, library: Any) -> float:
        """How far the nearest kink or tie of any step is."""
        values: list[Any] = self.inputs()
        nearest = math.inf
        for step in self.steps:
            nearest = min(nearest, step.margin(values))
            values.append(step(library, values))
        return nearest


# ---- drawing

SHAPES: list[Shape] = [(), (1,), (3,), (4,), (2, 3), (3, 3), (4, 2), (2, 2), (3, 1), (1, 4), (2, 2, 3), (2, 3, 3), (3, 1, 2)]


def draw(number: int, library: Any) -> Program:
    """The program of a number; ``library`` computes its values, to see which steps fit.

    Steps take the newest value half of the time, which makes programs deep, else any value, which is then used many times.
    """
    random = np.random.default_rng(number)
    shapes = _shapes(random)
    program = Program(shapes, (), (), number)
    values: list[Any] = program.inputs()
    steps: list[Step] = []
    for _ in range(random.integers(1, DEPTH + 1)):
        step, value = _next(random, values, library)
        steps.append(step)
        values.append(value)
        if np.abs(value).max() > FAR:
            steps.append(Step(BOUND, (len(values) - 1,)))
            values.append(steps[-1](library, values))
    others = random.integers(len(values), size=random.integers(3)).tolist()
    return replace(program, steps=tuple(steps), outputs=(len(values) - 1, *others))


def _shapes(random: Random) -> tuple[Shape, ...]:
    """Shapes that mostly broadcast with the first."""
    first = SHAPES[random.integers(len(SHAPES))]
    shapes = [first]
    for _ in range(random.integers(0, 3)):
        kind = random.integers(4)
        narrow = tuple(1 if random.integers(3) == 0 else n for n in first)
        options = [first, narrow, narrow[int(random.integers(len(first) + 1)) :], SHAPES[random.integers(len(SHAPES))]]
        shapes.append(options[kind])
    return tuple(shapes)


def _next(random: Random, values: list[Any], library: Any) -> tuple[Step, Array]:
    """A step that fits, and its value."""
    while True:
        group = GROUPS[random.integers(len(GROUPS))]
        name = list(group)[random.integers(len(group))]
        operation = OPERATIONS[name]
        recent = [
            len(values) - 1 if random.integers(2) else int(random.integers(len(values))) for _ in range(operation.operands)
        ]
        parameters = operation.parameters(random, *[np.shape(values[k]) for k in recent])
        if parameters is None:
            continue
        step = Step(name, tuple(recent), parameters)
        if step.margin(values) > NEAR:
            value = np.asarray(step(library, values))
            if value.dtype == np.float64 and 0 < value.size <= LARGEST and value.ndim <= 4 and np.isfinite(value).all():
                return step, value


# ---- making a failing program small


def shrunk(program: Program, library: Any, fails: Callable[[Program], bool]) -> Program:
    """A smaller program that fails still: fewer outputs, an earlier end, and inputs in place of steps."""
    while True:
        smaller = next((p for p in _smaller(program, library) if fails(p)), None)
        if smaller is None:
            return program
        program = smaller


def _smaller(program: Program, library: Any) -> Iterator[Program]:
    count = len(program.shapes)
    if len(program.outputs) > 1:
        yield from (_tidy(replace(program, outputs=(k,))) for k in program.outputs)
    elif program.outputs[0] >= count:
        yield from (_tidy(replace(program, outputs=(k,))) for k in program.steps[program.outputs[0] - count].operands)
    if len(program.steps) > 1:
        yield from (_tidy(_cut(program, k, library)) for k in range(len(program.steps)))


def _cut(program: Program, k: int, library: Any) -> Program:
    """An input in place of step ``k``."""
    values: list[Any] = program.inputs()
    for step in program.steps[: k + 1]:
        values.append(step(library, values))
    count, cut = len(program.shapes), len(program.shapes) + k
    number = [*range(count), *range(count + 1, cut + 1), count, *range(cut + 1, count + len(program.steps))]
    return _renumbered(program, (*program.shapes, np.shape(values[cut])), program.steps[:k] + program.steps[k + 1 :], number)


def _tidy(program: Program) -> Program:
    """Without steps and inputs that no output needs."""
    count = len(program.shapes)
    needed = set(program.outputs)
    for k in reversed(range(count, count + len(program.steps))):
        if k in needed:
            needed.update(program.steps[k - count].operands)
    kept = sorted(needed)
    number = [kept.index(k) if k in needed else -1 for k in range(count + len(program.steps))]
    shapes = tuple(shape for k, shape in enumerate(program.shapes) if k in needed)
    return _renumbered(program, shapes, tuple(step for k, step in enumerate(program.steps, count) if k in needed), number)


def _renumbered(program: Program, shapes: tuple[Shape, ...], steps: Sequence[Step], number: Sequence[int]) -> Program:
    renamed = tuple(replace(step, operands=tuple(number[k] for k in step.operands)) for step in steps)
    return Program(shapes, renamed, tuple(number[k] for k in program.outputs), program.seed)
