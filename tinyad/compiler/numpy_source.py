"""From a program to Python source: straight-line NumPy that writes into planned memory."""

from __future__ import annotations

import ast
import itertools
import keyword
import linecache
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..program import Constant, Instruction, Program, Value, distinct
from .lines import STATEMENTS, is_view, line_of, shape_text
from .plan import Plan, plan

__all__ = ["LOADING", "Source", "write"]

LOADING = 'given = np.load(__file__.removesuffix(".py") + ".npz")  # captured arrays'
"""How a program that runs by itself gets the arrays it was not written with."""

_LARGEST_LITERAL = 16  # elements of a constant that is written out


@dataclass(frozen=True)
class Source:
    """The source of a program.

    Attributes:
        text: a Python module that defines the function ``name`` and needs NumPy alone.
        name: of the function. It takes the inputs in order and returns a tuple of the outputs.
        given: arrays that the text does not spell out, by the name under which it expects them in ``given``; and generators,
            for which the text makes new ones.
        nbytes: of planned memory.
    """

    text: str
    name: str
    given: dict[str, Any]
    nbytes: int


def write(program: Program, donated: Sequence[Value] = ()) -> Source:
    """The source of a program whose ``donated`` inputs may be overwritten."""
    _name_values(program)
    return _Writer(program, plan(program, donated)).source()


# ---- names


def _name_values(program: Program) -> None:
    """Names for all values: the user's variable where a line of the user's code assigns one, else the operation's."""
    instructions = program.instructions
    for instruction, following in itertools.zip_longest(instructions, instructions[1:]):
        last = following is None or (following.line, following.section) != (instruction.line, instruction.section)
        target = _assigned(instruction.line) if last and instruction.section == "forward" else None
        for value in instruction.outputs:
            value.name = target or instruction.name
    values = [*program.inputs, *program.constants(), *[v for i in instructions for v in i.outputs]]
    for value in values:
        name = re.sub(r"\W+", "_", value.name).strip("_") or "x"
        reserved = keyword.iskeyword(name) or name in ("np", "given", program.name) or name[0].isdigit()
        value.name = f"{name}_" if reserved else name
    distinct(values)


def _assigned(line: tuple[str, int] | None) -> str | None:
    """The variable that a line of code assigns, if it is a simple assignment."""
    text = linecache.getline(*line).strip() if line else ""
    try:
        statement = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        return None
    named = isinstance(statement, ast.Assign) and not isinstance(statement.value, ast.Lambda)
    targets = statement.targets if named else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None


# ---- text


class _Writer:
    def __init__(self, program: Program, made: Plan) -> None:
        self.program, self.plan = program, made
        self.given: dict[str, Any] = {}
        self.inline: dict[Value, str] = {}  # views written where they are used
        self.setup: list[str] = []
        self.body: list[str] = []
        self.uses: dict[Value, int] = {}
        for instruction in program.instructions:
            for x in instruction.values():
                self.uses[x] = self.uses.get(x, 0) + 1
        for x in program.outputs:
            if isinstance(x, Value):
                self.uses[x] = self.uses.get(x, 0) + 1

    def source(self) -> Source:
        program = self.program
        constants = [line for c in program.constants() for line in [self._constant(c)] if line]
        memory = self._memory()
        self._write_body()
        results = [self._result(k, x) for k, x in enumerate(program.outputs)]
        head = [f"# {self._summary()}", "import numpy as np", ""]
        if any(isinstance(x, np.ndarray) for x in self.given.values()):
            head += [LOADING, ""]
        if constants:
            head += ["# constants", *constants, ""]
        if memory:
            head += [f"# memory: {_megabytes(self.plan.nbytes)}; names in one line share it", *memory, *self.setup, ""]
        returned = f"    return {', '.join(results)}{',' if len(results) == 1 else ''}" if results else "    return ()"
        signature = f"def {program.name}({', '.join(v.name for v in program.inputs)}):"
        text = "\n".join([*head, "", *_wrapped(signature), *self.body, *_wrapped(returned), ""])
        return Source(text, program.name, self.given, self.plan.nbytes)

    def _summary(self) -> str:
        count = len(self.program.instructions)
        return f"{self.program.name}: {count} operations, {len(self.plan.blocks)} blocks of memory"

    def _constant(self, c: Constant) -> str:
        if isinstance(c.array, np.random.Generator):
            self.given[c.name] = c.array
            return f"{c.name} = np.random.default_rng()"
        array = np.asarray(c.array)
        text = _expression(array)
        if text is None:
            self.given[c.name] = array
            text = f'given["{c.name}"]'
        return f"{c.name} = {text}"

    def _memory(self) -> list[str]:
        lines = []
        for k, block in enumerate(self.plan.blocks):
            by_shape: dict[tuple[int, ...], list[str]] = {}
            for value in block.values:
                by_shape.setdefault(value.shape, []).append(value.name)
            if len(by_shape) == 1:
                ((shape, names),) = by_shape.items()
                lines.append(f'{" = ".join(names)} = np.empty({shape_text(shape)}, "{block.dtype}")')
                continue
            lines.append(f'memory_{k} = np.empty({block.size}, "{block.dtype}")')
            for shape, names in by_shape.items():
                size = int(np.prod(shape))
                part = f"memory_{k}" if size == block.size else f"memory_{k}[:{size}]"
                lines.append(f"{' = '.join(names)} = {part}.reshape{shape_text(shape)}")
        return lines

    def _operand(self, x: Any) -> str:
        if not isinstance(x, Value):
            return repr(x)
        return self.inline.get(x, x.name)

    def _write_body(self) -> None:
        section, line = "", None
        several = len({i.section for i in self.program.instructions}) > 1
        for instruction in self.program.instructions:
            written = self._statements(instruction)
            if not written:
                continue
            if several and instruction.section != section:
                section, line = instruction.section, None
                self.body += ["", f"    # {section}"]
            if instruction.line != line:
                line = instruction.line
                if text := linecache.getline(*line).strip() if line else "":
                    written[0] = f"{written[0]:<60}  # {text if len(text) <= 60 else text[:57] + '...'}"
            self.body += [f"    {each}" for each in written]

    def _statements(self, instruction: Instruction) -> list[str]:
        """The statements that compute an instruction; views may need none."""
        out = instruction.out
        operands = [self._operand(x) for x in instruction.inputs]
        line = line_of(instruction)
        if is_view(instruction, self.plan):
            text = line(instruction, operands, None)
            if self.plan.is_static(out):
                self.setup.append(f"{out.name} = {text}")
            elif self.uses.get(out, 0) == 1:
                self.inline[out] = text
            else:
                return [f"{out.name} = {text}"]
            return []
        if len(instruction.outputs) != 1:
            return line(instruction, operands, None).splitlines()
        over = self.plan.over.get(out)
        if over is not None:
            self.inline[out] = over.name
            return line(instruction, operands, over.name).splitlines()
        if out in self.plan.home:
            return line(instruction, operands, out.name).splitlines()
        if instruction.name in STATEMENTS:
            fresh = f'{out.name} = np.empty({shape_text(out.shape)}, "{out.dtype}")'
            return [fresh, *line(instruction, operands, out.name).splitlines()]
        text = line(instruction, operands, None)
        if out.weak and "(" in text:
            text = f"{text}.item()"
        return [f"{out.name} = {text}"]

    def _result(self, k: int, x: Any) -> str:
        text = self._operand(x)
        return f"{text}.copy()" if k in self.plan.copied else text


def _expression(array: Any) -> str | None:
    """A constant as Python text, if it is short."""
    dtype = str(array.dtype)
    if not array.size:
        return f'np.empty({shape_text(array.shape)}, "{dtype}")'
    if array.ndim == 0:
        return f'np.array({array.item()!r}, "{dtype}")'.replace("nan", "np.nan").replace("inf", "np.inf")
    if (array == array.flat[0]).all():
        one = array.flat[0].item()
        if one in (0, 1) and not np.signbit(np.real(one)):
            return f'np.{"ones" if one else "zeros"}({shape_text(array.shape)}, "{dtype}")'
        if np.isfinite(one):
            return f'np.full({shape_text(array.shape)}, {one!r}, "{dtype}")'
    if array.ndim == 1 and array.dtype.kind in "iu" and array.size > 2 and (array == np.arange(array.size)).all():
        return f'np.arange({array.size}, dtype="{dtype}")'
    if array.size <= _LARGEST_LITERAL and np.isfinite(array).all():
        return f'np.array({array.tolist()!r}, "{dtype}")'
    return None


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 2**20:.3g} MB" if nbytes >= 2**19 else f"{nbytes / 2**10:.3g} KB"


def _wrapped(text: str, width: int = 110) -> list[str]:
    """A long signature or return over several lines."""
    if len(text) <= width:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    opening, closing = ("(", ")") if text.lstrip().startswith("return") else ("", "")
    start, rest = text.split("(", 1) if not opening else text.split("return ", 1)
    start = f"{start}(" if not opening else f"{start}return ("
    rest = rest.removesuffix("):") if not opening else rest
    lines, current = [start], indent
    for part in rest.split(", "):
        if len(current) + len(part) > width:
            lines.append(current.rstrip())
            current = indent
        current += part.rstrip(",") + ", "
    return [*lines, current.rstrip(), indent[:-4] + ("):" if not opening else closing)]
