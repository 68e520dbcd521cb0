"""From a program to Python source: straight-line NumPy that writes into planned memory."""

from __future__ import annotations

import ast
import copy
import inspect
import itertools
import keyword
import linecache
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..loops import Loop
from ..program import Constant, Instruction, Program, Value, distinct
from . import threads
from .lines import OPERATORS, STATEMENTS, is_view, line_of, module_of_line, number_text, shape_text
from .parts import Parts, products_take_one_thread
from .passes import is_repeated
from .plan import Block, Plan, plan, plan_of_body

__all__ = ["LOADING", "Source", "write"]

LOADING = """with np.load(__file__.removesuffix(".py") + ".npz") as archive:  # captured arrays
    given = dict(archive)"""
"""How a program that runs by itself gets the arrays it was not written with."""

_THREADS = "from tinyad.compiler.threads import "
"""Begins a line in whose place programs that run by themselves have that module's text."""

_NEEDED = frozenset(
    ["np", "scipy", "given", "range", "reversed", "float", "complex", "abs", "make_part", "part", "parts", *vars(threads)]
)
"""Names that the text itself uses."""

_LARGEST_LITERAL = 16  # elements of a constant that is written out


@dataclass(frozen=True)
class Source:
    """The source of a program.

    Attributes:
        text: a Python module that defines the function ``name``.
        name: of the function. It takes the inputs in order and returns a tuple of the outputs.
        given: arrays that the text does not spell out, by the name under which it expects them in ``given``; and generators,
            for which the text makes new ones.
        nbytes: of planned memory.
    """

    text: str
    name: str
    given: dict[str, Any]
    nbytes: int

    def alone(self) -> str:
        """The text as a module that needs NumPy alone."""
        return re.sub(f"{_THREADS}.*", lambda line: inspect.getsource(threads), self.text)


def write(program: Program, donated: Sequence[Value] = ()) -> Source:
    """The source of a program whose ``donated`` inputs may be overwritten."""
    _name_values(program)
    module = _Module()
    scope = _Scope(program, plan(program, donated), module)
    body = scope.statements()
    results = [scope.result(k, x) for k, x in enumerate(program.outputs)]
    one_line = f"return {', '.join(results)}{',' if len(results) == 1 else ''}" if results else "return ()"
    returned = [one_line] if len(one_line) <= 106 else _wrapped("return (", results, ")")
    signature = _wrapped(f"def {program.name}(", [v.name for v in program.inputs], "):")
    function = [*signature, *_indented([*body, *returned])]
    if _has_derivatives(program):
        function.insert(0, '@np.errstate(all="ignore")  # derivatives may be infinite on the way')
    if products_take_one_thread(program):
        module.helpers.append("one_thread_a_product")
        function.insert(0, "@one_thread_a_product()  # more would stand in each other's way")
    return Source("\n".join([*module.head(program), "", *function, ""]), program.name, module.given, module.nbytes)


def _has_derivatives(program: Program) -> bool:
    bodies = [i.operation.body for i in program.instructions if isinstance(i.operation, Loop)]
    return any(i.section != "forward" for i in program.instructions) or any(map(_has_derivatives, bodies))


# ---- names


def _name_values(program: Program) -> None:
    """Names for all values: the user's variable where a line of the user's code assigns one, else the operation's."""
    values = _named_values(program)
    for value in values:
        name = re.sub(r"\W+", "_", value.name).strip("_") or "x"
        taken = keyword.iskeyword(name) or name in _NEEDED or name == program.name
        reserved = taken or re.fullmatch(r"(k|memory)(_\d+)?|\d.*", name)
        value.name = f"{name}_" if reserved else name
    distinct(values)


def _named_values(program: Program) -> list[Value]:
    """All values of a program and of the loops in it."""
    instructions = program.instructions
    values = [*program.inputs, *program.constants()]
    for instruction, following in itertools.zip_longest(instructions, instructions[1:]):
        last = following is None or (following.line, following.section) != (instruction.line, instruction.section)
        target = _assigned(instruction.line) if last and instruction.section == "forward" else None
        for value in instruction.outputs:
            value.name = target or value.name if isinstance(instruction.operation, Loop) else target or instruction.name
        values += instruction.outputs
        if isinstance(instruction.operation, Loop):
            values += _named_values(instruction.operation.body)
    return list(dict.fromkeys(values))


def _assigned(line: tuple[str, int] | None) -> str | None:
    """The variable that a line of code assigns, if it is a simple assignment."""
    text = linecache.getline(*line).strip() if line else ""
    try:
        statement = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        return None
    if not isinstance(statement, ast.Assign) or isinstance(statement.value, ast.Lambda):
        return None
    target = statement.targets[0]
    return target.id if len(statement.targets) == 1 and isinstance(target, ast.Name) else None


# ---- text


class _Module:
    """What stands above the function: constants, memory, and views of it, made once; and the functions of parts."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.constants: dict[Constant, str] = {}
        self.arrays: dict[int, str] = {}
        self.functions: list[str] = []
        self.helpers: list[str] = []
        self.imports: set[str] = set()
        self._of_its_own()

    def _of_its_own(self) -> None:
        self.memory: list[str] = []
        self.views: list[str] = []
        self.nbytes = 0
        self.blocks = 0

    def of_part(self) -> _Module:
        """The same module, with memory for one part of the examples."""
        part = copy.copy(self)
        part._of_its_own()
        return part

    def head(self, program: Program) -> list[str]:
        """The lines before the function."""
        imports = ["import numpy as np", *[f"import {name}" for name in sorted(self.imports)]]
        lines = [f"# {program.name}: {len(program.instructions)} operations", *imports]
        lines += ["", f"{_THREADS}{', '.join(dict.fromkeys(self.helpers))}", ""] if self.helpers else [""]
        if any(isinstance(x, np.ndarray) for x in self.given.values()):
            lines += [LOADING, ""]
        if self.constants:
            lines += ["# constants", *self.constants.values(), ""]
        return [*lines, *self.setting(), *self.functions]

    def setting(self) -> list[str]:
        """The lines that make memory and views."""
        heading = f"# memory: {_megabytes(self.nbytes)}; names in one line share it"
        lines = [heading, *self.memory] if self.memory else []
        if self.views and not self.memory:
            lines += ["# views"]
        return [*lines, *self.views, ""] if self.memory or self.views else []

    def add(self, program: Program, made: Plan) -> None:
        """Take in the constants and the memory of a program."""
        for constant in program.constants():
            if constant not in self.constants:
                self.constants[constant] = f"{constant.name} = {self._constant(constant)}"
        for block in made.blocks:
            self._add_block(block)

    def _constant(self, c: Constant) -> str:
        if isinstance(c.array, np.random.Generator):
            self.given[c.name] = c.array
            return "np.random.default_rng()"
        array = np.asarray(c.array)
        text = _expression(array)
        if text is not None:
            return text
        first = self.arrays.setdefault(id(c.array), c.name)  # each loop has a constant of its own for what is one array
        if first != c.name:
            return first
        self.given[c.name] = array.copy()  # as it is now, whether large or small
        return f'given["{c.name}"]'

    def _add_block(self, block: Block) -> None:
        self.nbytes += block.nbytes
        by_shape: dict[tuple[int, ...], list[str]] = {}
        for value in block.values:
            by_shape.setdefault(value.shape, []).append(value.name)
        if len(by_shape) == 1:
            ((shape, names),) = by_shape.items()
            self._name(names, f'np.empty({shape_text(shape)}, "{block.dtype}")')
            return
        name = f"memory_{self.blocks}"
        self.blocks += 1
        self.memory.append(f'{name} = np.empty({block.size}, "{block.dtype}")')
        for shape, names in by_shape.items():
            size = math.prod(shape)
            part = name if size == block.size else f"{name}[:{size}]"
            self._name(names, f"{part}.reshape{shape_text(shape)}")

    def _name(self, names: list[str], text: str) -> None:
        """Several names for one thing."""
        for k in range(0, len(names), 6):
            self.memory.append(f"{' = '.join(names[k : k + 6])} = {text if k == 0 else names[0]}")


class _Scope:
    """The statements of a program: of the whole, or of the body of a loop."""

    def __init__(self, program: Program, made: Plan, module: _Module, depth: int = 0) -> None:
        self.program, self.plan, self.module, self.depth = program, made, module, depth
        self.inline: dict[Value, str] = {}  # values that are written where they are used
        used = [*[x for i in program.instructions for x in i.values()], *program.outputs]
        self.uses = Counter([x for x in used if isinstance(x, Value)])
        module.add(program, made)

    def operand(self, x: Any) -> str:
        """An operand as text."""
        return self.inline.get(x, x.name) if isinstance(x, Value) else number_text(x)

    def result(self, k: int, x: Any) -> str:
        """A result as text."""
        return f"{self.operand(x)}.copy()" if k in self.plan.copied else self.operand(x)

    def statements(self) -> list[str]:
        """All statements, with the user's lines beside them."""
        lines: list[str] = []
        section, line = "", None
        several = len({i.section for i in self.program.instructions}) > 1
        for instruction in self.program.instructions:
            written = [line for statement in self._statements(instruction) for line in _folded(statement)]
            if not written:
                continue
            if several and instruction.section != section:
                section, line = instruction.section, None
                lines += ["", f"# {section}"]
            if instruction.line != line:
                line = instruction.line
                written[0] = _beside(written[0], linecache.getline(*line).strip() if line else "")
            lines += written
        return lines

    def _statements(self, instruction: Instruction) -> list[str]:
        """The statements that compute an instruction; views may need none."""
        if isinstance(instruction.operation, Parts):
            return self._parts(instruction, instruction.operation)
        if isinstance(instruction.operation, Loop):
            return self._loop(instruction, instruction.operation)
        out = instruction.out
        operands = [self.operand(x) for x in instruction.inputs]
        if hasattr(instruction.operation, "statements"):
            return instruction.operation.statements(instruction, operands)  # type: ignore[no-any-return]
        line = line_of(instruction)
        if needed := module_of_line(instruction):
            self.module.imports.add(needed)
        if len(instruction.outputs) > 1:
            return [f"{', '.join(value.name for value in instruction.outputs)} = {line(instruction, operands, None)}"]
        if is_view(instruction, self.plan):
            return self._view(out, line(instruction, operands, None))
        memory = self._memory(out)
        if instruction.name == "put" and self.plan.home.get(out) is self.plan.home.get(instruction.inputs[0], out):
            operands[0] = memory or operands[0]  # the same memory, by another name
        if memory is None and instruction.name in STATEMENTS:
            fresh = f'{out.name} = np.empty({shape_text(out.shape)}, "{out.dtype}")'
            return [fresh, *line(instruction, operands, out.name).splitlines()]
        text = line(instruction, operands, memory)
        if memory is not None:
            return text.splitlines()
        # operators on Python numbers give Python numbers, and so do generators
        called = instruction.name not in OPERATORS and hasattr(instruction.operation, "kernels")
        return [f"{out.name} = {text}.item()" if out.weak and called else f"{out.name} = {text}"]

    def _memory(self, out: Value) -> str | None:
        """The name of the memory a value is written to; ``None`` where NumPy allocates it."""
        over = self.plan.over.get(out)
        if over is not None:
            self.inline[out] = self.operand(over)
        return self.operand(out) if over is not None or out in self.plan.home or out in self.plan.rows else None

    def _view(self, out: Value, text: str) -> list[str]:
        if self.plan.is_static(out):
            self.module.views.append(f"{out.name} = {text}")
            return []
        if self.uses[out] == 1:
            self.inline[out] = text
            return []
        return [f"{out.name} = {text}"]

    # ---- loops

    def _loop(self, instruction: Instruction, loop: Loop) -> list[str]:
        """A loop as a ``for`` over the rows, whose carry lives in the memory of its results."""
        lines: list[str] = []
        inner = _Scope(loop.body, self._plan_of_body(instruction, loop), self.module, self.depth + 1)
        constants, carries, rows = loop.split(loop.body.inputs)
        given, start, stacked = loop.split(instruction.inputs)
        for x, value in zip(given, constants, strict=True):
            inner.inline[value] = self._name_before(x, value, lines)
        results = [self._stack(out, lines) for out in instruction.outputs]
        for value, name, x in zip(carries, results, start, strict=False):
            inner.inline[value] = name
            if not value.ndim:
                lines.append(f"{name} = {self._number(x)}")
            elif name != self.operand(x):
                lines.append(f"np.copyto({name}, {self.operand(x)})")
        k = f"k_{self.depth}" if self.depth else "k"
        steps = f"range({loop.length})"
        names = [self._name_before(x, value, lines, f"{value.name}_all_") for x, value in zip(stacked, rows, strict=True)]
        body = [f"{value.name} = {name}[{k}]" for value, name in zip(rows, names, strict=True) if inner.uses[value]]
        body += inner.rows_of_stacks(results[loop.carries :], loop, k)
        body += [*inner.statements(), *inner.pushes(results[loop.carries :], loop, k), *inner.updates(results[: loop.carries])]
        header = f"for {k} in {f'reversed({steps})' if loop.backwards else steps}:"
        return [*lines, header, *_indented(body or ["pass"])]

    def _parts(self, instruction: Instruction, loop: Parts) -> list[str]:
        """A function for one part of the examples, with memory of its own, called in one thread for each."""
        module = self.module.of_part()
        inner = _Scope(loop.body, plan_of_body(loop.body, (), set()), module, self.depth + 1)
        shared, _, rows = loop.split(loop.body.inputs)
        lines: list[str] = []
        stacks = [self._stack(out, lines) for out in instruction.outputs]
        cut = {value: f"{value.name}_parts_" for value in rows}
        body = [f"{value.name} = {name}[k]" for value, name in cut.items() if inner.uses[value]]
        body += [*inner.rows_of_stacks(stacks, loop, "k"), *inner.statements(), *inner.pushes(stacks, loop, "k")]
        parameters = ["k", *[value.name for value in shared], *cut.values(), *stacks]
        function = [*_wrapped("def part(", parameters, "):"), *_indented(body)]
        self.module.helpers.append("in_threads")
        self.module.functions += [
            "def make_part():  # for one thread",
            *_indented([*module.setting(), *function, "", "return part"]),
            *["", "", f"parts = [make_part() for _ in range({loop.length})]", ""],
        ]
        self.module.nbytes += loop.length * module.nbytes
        return [*lines, *_wrapped("in_threads(", ["parts", *map(self.operand, instruction.inputs), *stacks], ")")]

    def _stack(self, out: Value, lines: list[str]) -> str:
        """The name of the memory of a loop's result."""
        text = self._memory(out)
        if text is None and out.ndim:
            text = f'np.empty({shape_text(out.shape)}, "{out.dtype}")'
        if text is None or text.isidentifier():
            return text or out.name
        self.inline.pop(out, None)
        lines.append(f"{out.name} = {text}")
        return out.name

    def _name_before(self, x: Any, value: Value, lines: list[str], name: str | None = None) -> str:
        """The name of an operand of a loop; what is an expression is computed once, before the loop."""
        text = self.operand(x)
        if text.isidentifier():
            return text
        lines.append(f"{name or value.name} = {text}")
        return name or value.name

    def _number(self, x: Any) -> str:
        """A value without axes that lasts: one that shows memory, which may be written to, is read out of it."""
        shows = isinstance(x, Value) and (x in self.plan.root or x in self.program.inputs)
        return f"{self.operand(x)}[()]" if shows else self.operand(x)

    def _plan_of_body(self, instruction: Instruction, loop: Loop) -> Plan:
        constants, carries, _ = loop.split(loop.body.inputs)
        given, _, _ = loop.split(instruction.inputs)
        static = {v for v, x in zip(constants, given, strict=True) if isinstance(x, Value) and self.plan.is_static(x)}
        static |= {v for v, out in zip(carries, instruction.outputs, strict=False) if out in self.plan.home}
        return plan_of_body(loop.body, carries, static)

    def updates(self, carry: list[str]) -> list[str]:
        """Statements that put a new carry in the place of the old one."""
        lines, names, values = [], [], []
        old = {self.operand(v) for v in self.program.inputs}
        for name, x in zip(carry, self.program.outputs, strict=False):
            text = self.operand(x)
            if text == name:
                continue
            if x.ndim:
                if text in old or (isinstance(x, Value) and self.plan.owner(x) in self.program.inputs):
                    lines.append(f"{x.name}_new_ = {text}.copy()")  # it may be part of a carry that is about to change
                    text = f"{x.name}_new_"  # no value has a name that ends so
                values.append(f"np.copyto({name}, {text})")
            else:
                names.append((name, self._number(x)))
        if names:
            values.append(f"{', '.join(n for n, _ in names)} = {', '.join(t for _, t in names)}")
        return [*lines, *values]

    def rows_of_stacks(self, stacks: list[str], loop: Loop, k: str) -> list[str]:
        """Statements that name the rows to which values are written at once."""
        first: dict[Value, str] = {}
        for stack, x in zip(stacks, self.program.outputs[loop.carries :], strict=True):
            if x in self.plan.rows:
                first.setdefault(x, stack)
        return [f"{x.name} = {stack}[{k}]" for x, stack in first.items()]

    def pushes(self, stacks: list[str], loop: Loop, k: str) -> list[str]:
        """Statements that write a row of each stack; before the carry changes, because it may be shown in them."""
        rows = zip(stacks, self.program.outputs[loop.carries :], strict=True)
        written = set(self.rows_of_stacks(stacks, loop, k))
        return [f"{stack}[{k}] = {self.operand(x)}" for stack, x in rows if f"{self.operand(x)} = {stack}[{k}]" not in written]


def _beside(statement: str, comment: str) -> str:
    """A statement with a comment at its right."""
    if not comment:
        return statement
    return f"{statement:<60}  # {comment if len(comment) <= 60 else comment[:57] + '...'}"


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" if line else line for line in lines]


def _expression(array: Any) -> str | None:
    """A constant as Python text, if it is short."""
    dtype = str(array.dtype)
    if not array.size:
        return f'np.empty({shape_text(array.shape)}, "{dtype}")'
    if array.ndim == 0:
        return f'np.array({number_text(array.item())}, "{dtype}")'
    if is_repeated(array):
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


def _folded(statement: str, width: int = 130) -> list[str]:
    """A long statement on several lines, broken after commas between brackets: elsewhere Python ends it."""
    if len(statement) <= width or statement.startswith(" "):  # the bodies of loops are folded already
        return [statement]
    lines, line = [], ""
    for part in _parts(statement):
        if line.strip() and len(line) + len(part.rstrip()) > width:
            lines.append(line.rstrip())
            line = "    "
        line += part
    return [*lines, line]


def _parts(statement: str) -> Iterator[str]:
    """What a statement is made of, each part but the last ending in a comma between brackets and its space."""
    start = depth = 0
    in_text = False
    for k, letter in enumerate(statement):
        if letter in "'\"":  # texts in programs hold neither quotes nor backslashes
            in_text = not in_text
        elif not in_text:
            depth += (letter in "([{") - (letter in ")]}")
            if depth and statement.startswith(", ", k):
                yield statement[start : k + 2]
                start = k + 2
    yield statement[start:]


def _wrapped(start: str, items: Sequence[str], end: str, width: int = 110) -> list[str]:
    """A list between brackets, on several lines where it is long."""
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= width:
        return [line]
    lines = [start, *textwrap.wrap(f"{', '.join(items)},", width - 4, break_long_words=False, break_on_hyphens=False), end]
    return [lines[0], *[f"    {each}" for each in lines[1:-1]], lines[-1]]
