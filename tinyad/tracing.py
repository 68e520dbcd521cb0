"""Tracing: from a function to its `Program`, by calling it once on values that write down what is done to them.

A `Traced` stands for an array that is not there yet. It carries an example, so that shapes and dtypes are NumPy's own, and a
place in a program. The engine does not know it from an array: Tensors hold it, the walks run on it, and so a gradient taken
inside the function is written down like everything else. What needs the values themselves, such as ``if x > 0``, is refused.

Traces nest. An operation belongs to the youngest trace among its operands; for this one, everything older is a constant.
"""

from __future__ import annotations

import itertools
import linecache
import operator
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any

import numpy as np

from .aliases import in_the_way, leave, note_view
from .array_interface import ArrayInterface
from .backend import Kernels, is_array, module_of, register
from .callers import is_stored_in_an_element
from .contexts import is_engine, is_paused, pauses, recording_by
from .forward import forward
from .kinds import NONDIFFERENTIABLE, PRIMITIVES, nondifferentiable
from .program import Constant, Instruction, Operation, Program, Value
from .reverse import reverse
from .tape import Node, Variable, instead_of_recording
from .tensor import Tensor, unwrap

__all__ = ["Trace", "Traced", "TracingError", "constant", "example_of", "innermost", "origin", "trace", "youngest"]

_next_level = itertools.count().__next__
_innermost: ContextVar[Trace | None] = ContextVar("innermost", default=None)


def innermost() -> Trace | None:
    """The trace that was opened last and is still open."""
    return _innermost.get()


class TracingError(TypeError):
    """A function does something that a program cannot say: it depends on the values, or changes things outside."""


def _in_place(sign: str, in_place: Callable[..., Any], operation: Callable[..., Any]) -> Any:
    """``x += y`` and its like: they change the array that ``x`` is, under all its names, as on an array in memory."""

    def update(x: Traced, y: Any) -> Any:
        # a number never changes; a walk adds to arrays it has made for itself; what `x[i] += y` gives is assigned to x
        if not _is_in_memory(x.example) or is_engine(sys._getframe(1).f_code.co_filename) or is_stored_in_an_element():
            return operation(x, y)
        new = operation(x, y)
        x.trace.check_update(x, new, f"x {sign} y", f"Make a new array: x = x {sign[:-1]} y")
        in_place(module_of(x.example).array(x.example), example_of(y))  # NumPy's own objections, to shapes and dtypes
        return x.become(new if new.dtype == x.dtype else new.astype(x.dtype))

    return update


class Traced(ArrayInterface):
    """An array of a function that is being traced.

    Attributes:
        example: an array or number that it may be; only its shape and dtype matter.
        trace: the trace it belongs to.
        value: its place in the program.
    """

    __slots__ = ("__weakref__", "example", "family", "trace", "value")
    __array_priority__ = 1000.0
    __hash__ = object.__hash__

    def __init__(self, example: Any, trace: Trace, value: Value) -> None:
        self.example, self.trace, self.value = example, trace, value

    def __getattr__(self, name: str) -> Any:
        # a traced Python number has neither shape nor dtype, as Python's own have none
        if name in _OF_ARRAYS and not self.value.weak:
            return getattr(self.example, name)
        raise AttributeError(f"a traced {'number' if self.value.weak else 'array'} has no attribute {name!r}")

    def __len__(self) -> int:
        return len(self.example)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<traced {self.value.type}>"

    def __float__(self) -> float:
        raise self.trace.refusal(
            "a Python float",
            "Keep it an array: use ad.sqrt, ad.exp, ... instead of those of math, and build arrays with ad.stack, ad.concat or "
            "ad.where, or fill one made by ad.zeros, instead of assigning into plain ones",
        )

    def __int__(self) -> int:
        raise self.trace.refusal("a Python int", "Keep it an array, for instance with .astype(int)")

    def __index__(self) -> int:
        raise self.trace.refusal(
            "a Python integer: an index into a list or a plain array, the end of a slice or range, a length",
            "To index with it, index an array of tinyad's: ad.asarray(a)[i], or ad.stack(items)[i]; lengths must be known",
        )

    def __complex__(self) -> complex:
        raise self.trace.refusal("a Python complex number", "Keep it an array, for instance with .astype(complex)")

    def __bool__(self) -> bool:
        raise self.trace.refusal("a condition, as in `if`, `while`, `and`", "Choose elementwise with ad.where")

    def item(self) -> Any:
        """Refused."""
        raise self.trace.refusal("a Python number, by .item()", "Keep it an array")

    def tolist(self) -> Any:
        """Refused."""
        raise self.trace.refusal("a list, by .tolist()", "Keep it an array; its parts are x[0], x[1], ...")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise self.trace.refusal(
            "a plain NumPy array",
            "Build arrays with ad.stack, ad.concat or ad.where, or fill one made by ad.zeros, instead of assigning into plain "
            "ones; to index a plain array a write ad.asarray(a)[i]",
        )

    def nonzero(self) -> Any:
        """Refused."""
        raise self.trace.refusal(
            "a mask to pick elements with: how many are picked depends on the values",
            "Keep the shape and choose elementwise, with ad.where(mask, x, 0)",
        )

    __iadd__ = _in_place("+=", operator.iadd, operator.add)
    __isub__ = _in_place("-=", operator.isub, operator.sub)
    __imul__ = _in_place("*=", operator.imul, operator.mul)
    __itruediv__ = _in_place("/=", operator.itruediv, operator.truediv)
    __ipow__ = _in_place("**=", operator.ipow, operator.pow)
    __imatmul__ = _in_place("@=", operator.imatmul, operator.matmul)

    def copy(self) -> Traced:
        """The same values; what is assigned to one is not seen in the other."""
        return Traced(module_of(self.example).array(self.example), self.trace, self.value)

    def become(self, new: Traced) -> Traced:
        """Stand for another value from now on."""
        leave(self)
        self.example, self.value = new.example, new.value
        return self


_OF_ARRAYS = frozenset({"shape", "dtype", "ndim", "size"})

_OF_NUMBERS = frozenset({
    "add", "subtract", "multiply", "divide", "power", "negative", "positive", "abs", "equal", "not_equal", "less", "less_equal",
    "greater", "greater_equal", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert",
})  # fmt: skip
"""What Python does with its own numbers by itself; other functions of NumPy make arrays of them."""


class Trace:
    """A function being traced.

    Attributes:
        purpose: what for, in messages: "vmap", "scan" or "compile".
        remedy: what messages advise where the purpose has advice of its own.
        differentiable: whether the program will be run on Tensors; if so, calls with rules of their own stay calls.
        module: the array module of its arguments and constants; if they are NumPy's or numbers, that of the trace around it.
        freezes: whether arrays from outside are taken as they are when they are used: a function may fill one while it runs.
    """

    freezes = True

    def __init__(self, purpose: str, remedy: str = "", differentiable: bool = True) -> None:
        self.purpose, self.remedy, self.differentiable = purpose, remedy, differentiable
        self.level = _next_level()
        around = innermost()
        self.module: Any = np if around is None else around.module
        self.inputs: list[Value] = []
        self._arguments: list[Traced] = []
        self.instructions: list[Instruction] = []
        self.closed = False
        self._start = 0
        self._opened_by: CodeType | None = None
        self._pauses = 0
        self._by_value: dict[Value, Instruction] = {}
        self._constants: dict[int, tuple[Any, Constant]] = {}  # by id, with what has it, so that the id stays taken
        self._captured: dict[Node, Constant] = {}

    @contextmanager
    def open(self) -> Iterator[Trace]:
        """A context in which functions called on the arguments are written down."""
        outside = None if is_paused() else instead_of_recording.get()  # derivatives taken inside need their tape all the same
        self._start = Node(None, (), (), {}, np.float64()).id
        self._opened_by = sys._getframe(2).f_code  # past this generator and the `with`
        self._pauses = pauses()
        token = _innermost.set(self)
        try:  # the examples may be anything, so floating-point errors in them mean nothing
            with np.errstate(all="ignore"), recording_by(lambda *made: self._record(outside, *made)):
                yield self
        except ValueError as error:  # NumPy's, where a refusal came up while it assigned into an array
            if isinstance(error.__cause__, TracingError):
                raise error.__cause__ from None
            raise
        finally:
            self.closed = True
            self._arguments.clear()
            _innermost.reset(token)

    def argument(self, example: Any, name: str = "x") -> Traced:
        """A value of the program that it starts from, like ``example``, an array or a number."""
        value = _value(name, example)
        self._find_module(example)
        self.inputs.append(value)
        self._arguments.append(Traced(example, self, value))
        return self._arguments[-1]

    def _find_module(self, x: Any) -> None:
        if self.module is np:
            self.module = module_of(example_of(x))

    def placeholder(self, x: Any) -> Traced:
        """A value like ``x`` that has yet to be given: an input of a program that is cut out by `since`."""
        example = example_of(x)
        return Traced(example, self, _value("x", example))

    def as_traced(self, x: Any) -> Traced:
        """A result as a value of this trace: one that does not depend on the arguments becomes a constant."""
        array = unwrap(x)
        if self._owns(array):
            return array  # type: ignore[no-any-return]
        known = self.operand(x if hasattr(array, "dtype") else self.module.asarray(array))
        return Traced(example_of(known.array), self, known)

    def program(self, outputs: Sequence[Any]) -> Program:
        """All that was written down, with these results."""
        return Program(self.inputs, self.instructions, [self.operand(out) for out in outputs])

    def operand(self, x: Any) -> Any:
        """An operand as a program has it: a value, or a Python number."""
        if isinstance(x, Tensor) and (x.node is None or self._owns(x.array)):
            x = x.array
        if self._owns(x):
            return x.value
        if isinstance(x, Constant):
            return x
        if not isinstance(x, (Tensor, Traced)) and not is_array(x):
            return x
        given, known = self._constants.get(id(x), (x, None))
        if known is None or (self.freezes and not _is_same(x, known.array)):
            known = Constant("c", _frozen(x) if self.freezes else x)
            self._find_module(x)
            self._constants[id(x)] = (given, known)
        return known

    def call(self, operation: Operation, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Write down one operation, and give its result, or a list of them."""
        if operation is constant.primitive and not self.differentiable:  # type: ignore[attr-defined]
            return operands[0]
        operands = [self.module.asarray(x) if isinstance(x, (list, tuple)) else x for x in operands]
        out = _like_result(operation, [example_of(x) for x in operands], params)
        if isinstance(out, (list, tuple)):
            return self.emit(operation, operands, params, list(out))
        if operation.name in _OF_NUMBERS and all(_is_number(x) for x in operands):
            out = np.asarray(out).item()  # between Python numbers: it stays one
        result = self.emit(operation, operands, params, [out])[0]
        if getattr(out, "base", None) is not None:
            for x in operands:
                if self._owns(x):
                    note_view(x, result)
        return result

    def check_update(self, x: Traced, new: Any, what: str, remedy: str, index: Any = ...) -> None:
        """Refuse ``x += y`` or ``x[index] = y`` where somebody else would see the change in his array."""
        if any(x is argument for argument in self._arguments):
            seen = "an argument of the function, which belongs to the caller"
        elif in_the_way(x, index) is not None:
            seen = "an array together with views of its elements (parts, reshaped or transposed)"
        elif not self._owns(new):
            seen = "an array by values of a derivative, or of a function traced inside"
        else:
            return
        raise self.forbidden(f"`{what}` would change {seen}", remedy)

    def forbidden(self, what: str, remedy: str) -> TracingError:
        """The error for something that a program cannot do."""
        return TracingError(f"{self.purpose}: {what}, at\n  {_shown(origin(self._opened_by)[0])}\n{remedy}.")

    def emit(self, operation: Any, operands: Sequence[Any], params: dict[str, Any], examples: Sequence[Any]) -> list[Traced]:
        """Write down one operation whose results are like ``examples``."""
        if self.closed:
            raise self.refusal(f"an operand of {operation.name}", "")
        line, section = origin(self._opened_by)
        outputs = tuple([_value(operation.name, example) for example in examples])
        instruction = Instruction(operation, tuple([self.operand(x) for x in operands]), params, outputs, line, section)
        self.instructions.append(instruction)
        for value in outputs:
            self._by_value[value] = instruction
        made = [Traced(example, self, value) for example, value in zip(examples, outputs, strict=True)]
        if self.differentiable and pauses() > self._pauses and NONDIFFERENTIABLE.get(operation.name) is not operation:
            return [constant(x) for x in made]  # the function itself says `no_grad`, which holds when its program is run
        return made

    def since(self, start: int, inputs: Sequence[Any], outputs: Sequence[Any]) -> Program:
        """What was written down from instruction number ``start`` on, as a program of its own: its inputs are those given, then
        all that it uses from before."""
        program = Program([], self.instructions[start:], [self.operand(x) for x in outputs]).pruned()
        known = {*inputs, *[value for instruction in program.instructions for value in instruction.outputs]}
        used = [*[value for instruction in program.instructions for value in instruction.values()], *program.outputs]
        # an array of a trace outside, or a Tensor of a derivative outside, is an operand of the call, not a part of it
        outside = [x for x in used if type(x) is Value or (isinstance(x, Constant) and isinstance(x.array, (Tensor, Traced)))]
        program.inputs = [*inputs, *dict.fromkeys(x for x in outside if x not in known)]
        return program

    def _record(self, outside: Any, primitive: Any, parents: Any, saved: Any, params: Any, out: Any) -> Tensor:
        """What `tinyad.tape.record` does in here: a derivative may be taken inside, so nodes are made as ever. An operand that is
        a Tensor of a derivative outside becomes a constant with its place on that tape."""
        if not self._owns(out):
            return (
                outside(primitive, parents, saved, params, out)
                if outside
                else Tensor(out, Node(primitive, parents, saved, params, out))
            )
        node = Node(primitive, parents, saved, params, out)
        instruction = self._by_value.get(out.value)
        if instruction is None:
            return Tensor(out, node)
        node.line = instruction.line  # type: ignore[assignment]
        if instruction.operation is not primitive:  # one of several results
            if parents[0].primitive is not instruction.operation:  # of a call, whose operands were taken care of
                return Tensor(out, node)
            parents = parents[0].parents
        inputs = list(instruction.inputs)
        for k, parent in enumerate(parents[: len(inputs)]):
            operand = inputs[k]
            if parent is not None and isinstance(operand, Constant) and self._is_foreign(parent):
                inputs[k] = self.captured(Tensor(unwrap(operand.array), parent))
        instruction.inputs = tuple(inputs)
        return Tensor(out, node)

    def captured(self, tensor: Tensor) -> Constant:
        """The constant for a Tensor of a derivative outside; the same for the same place on that tape."""
        assert tensor.node is not None
        known = self._captured.get(tensor.node)
        if known is None:
            known = self._captured[tensor.node] = Constant("c", tensor)
        return known

    def _owns(self, x: Any) -> bool:
        return type(x) is Traced and x.trace is self

    def lifted(self, tensor: Tensor) -> Tensor:
        """A Tensor of a derivative outside as a constant of this trace, at its place on that tape."""
        node = tensor.node
        if node is None or self._owns(tensor.array) or not self._is_foreign(node):
            return tensor
        return Tensor(Traced(example_of(tensor), self, self.captured(tensor)), node)

    def _is_foreign(self, node: Node) -> bool:
        """Whether a node belongs to a derivative outside, not only to one that began and ends in here."""
        seen, pending = {node}, [node]
        while pending:
            node = pending.pop()
            if node.id < self._start or type(node) is Variable:
                return True
            fresh = [parent for parent in node.parents if parent is not None and parent not in seen]
            seen.update(fresh)
            pending += fresh
        return False

    def refusal(self, what: str, remedy: str) -> TracingError:
        """The error for something that needs a value."""
        where = f"at\n  {_shown(origin(self._opened_by)[0])}\n"
        if self.closed:
            return TracingError(
                f"{self.purpose}: a value from inside a traced function was kept after its end and used as {what}, {where}"
                f"but it has no value there. Return it from the function instead; a function with a rule of its own "
                f"(custom_vjp, custom_jvp) gets it as an argument."
            )
        return TracingError(
            f"{self.purpose}: a traced value was used as {what}, {where}"
            f"but the function is traced once for all values of the same shape. {remedy}{self.remedy}."
        )


def trace(function: Callable[[list[Any]], Sequence[Any]], examples: Sequence[Any], purpose: str) -> Program:
    """The program of a function from a list of arrays to a list of arrays."""
    with Trace(purpose).open() as current:
        outputs = function([current.argument(example_of(x)) for x in examples])
    return current.program(outputs)


def lifted_into(operands: Sequence[Any]) -> list[Any]:
    """Operands of a call that leaves one node for many operations: Tensors of a derivative outside the youngest trace among
    them become constants of that trace, so that what the call does with their arrays is written down as done with them."""
    traced = [array for array in map(unwrap, operands) if type(array) is Traced]
    current = max((x.trace for x in traced), key=lambda found: found.level, default=None)
    if current is None or not current.differentiable:
        return list(operands)
    return [current.lifted(x) if isinstance(x, Tensor) and x.node is not None else x for x in operands]


def _is_in_memory(example: Any) -> bool:
    """Whether an example is an array that can be written to: no Python number, and no scalar of NumPy's."""
    return is_array(example) and not isinstance(example, np.generic)


def example_of(x: Any) -> Any:
    """An array with the shape and dtype of an array, Tensor or traced array; a number as it is."""
    x = unwrap(x)
    return x.example if type(x) is Traced else x


def _frozen(x: Any) -> Any:
    """An array as it is now: itself, if nobody can write to it."""
    if not isinstance(x, np.ndarray) or (x.ndim > 0 and not any(x.strides)) or (x.base is None and not x.flags.writeable):
        return x
    frozen = x.copy()
    frozen.setflags(write=False)
    return frozen


def _is_same(x: Any, earlier: Any) -> bool:
    """Whether an array is still what it was."""
    return not isinstance(x, np.ndarray) or np.array_equal(x, earlier, equal_nan=x.dtype.kind in "fc")


def _like_result(operation: Operation, examples: Sequence[Any], params: dict[str, Any]) -> Any:
    """An array like the operation's result: only its shape and dtype matter."""
    kernel = operation.kernels.common(examples)
    try:
        return kernel(*examples, **params)
    except np.linalg.LinAlgError:  # the examples need not be matrices that have an inverse
        return kernel(*[_identity_like(x) for x in examples], **params)


def _identity_like(x: Any) -> Any:
    return np.zeros_like(x) + module_of(x).eye(*x.shape[-2:], dtype=x.dtype) if np.ndim(x) > 1 else x


def _is_number(x: Any) -> bool:
    return x.value.weak if type(x) is Traced else isinstance(x, (bool, int, float, complex))


def _value(name: str, example: Any) -> Value:
    shape, dtype = getattr(example, "shape", None), getattr(example, "dtype", None)
    return Value(name, shape or (), np.result_type(example) if dtype is None else dtype, weak=shape is None)


# ---- what primitives do with a traced operand


def _instead(kernels: Kernels) -> Callable[..., Any]:
    operation = PRIMITIVES.get(kernels.name) or NONDIFFERENTIABLE[kernels.name]

    def call(*operands: Any, **params: Any) -> Any:
        return youngest(operands).call(operation, operands, params)

    return call


def youngest(operands: Sequence[Any]) -> Trace:
    """The trace an operation belongs to."""
    return max((x.trace for x in operands if type(x) is Traced), key=lambda found: found.level)


_strong = nondifferentiable(
    "asarray", lambda xp, x, dtype=None, module=None: (module or xp).asarray(x, dtype), doc="A number as an array."
)
number = nondifferentiable("item", lambda xp, x: x.item(), doc="What an array without axes holds, as a Python number.")
constant = nondifferentiable("stop_gradient", lambda xp, x: x, doc="The same values without a place on the tape.")


class _Module:
    """The functions of the arrays' own module for rules that run on traced arrays. What does not depend on these is computed at
    once."""

    def __getattr__(self, name: str) -> Any:
        current = innermost()
        return getattr(np if current is None else current.module, name)

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """A traced number as a traced array; a traced array as it is, or converted."""
        if type(x) is not Traced:
            return self.__getattr__("asarray")(x, dtype)
        if x.value.weak:
            module = x.trace.module
            return _strong(x, dtype=dtype) if module is np else _strong(x, dtype=dtype, module=module)
        return x if dtype is None or x.dtype == dtype else x.astype(dtype)

    array = asarray  # nobody writes into a traced array, so it needs no copy

    def asnumpy(self, x: Traced) -> Any:
        """Refused."""
        return x.__array__()

    def zeros_like(self, x: Any, dtype: Any = None) -> Any:
        """Zeros, which do not depend on ``x``."""
        return np.zeros_like(example_of(x), dtype)

    def ones_like(self, x: Any, dtype: Any = None) -> Any:
        """Ones, which do not depend on ``x``."""
        return np.ones_like(example_of(x), dtype)


register(Traced, _Module(), _instead)


# ---- where an operation comes from

_WALKS = {reverse.__code__: "backward", forward.__code__: "tangent"}
_NUMPY = os.path.dirname(np.__file__) + os.sep


def origin(stop: CodeType | None) -> tuple[tuple[str, int] | None, str]:
    """The user's line, and which walk is at work. What a walk does by itself has the line that recorded the node it is at.

    ``stop`` is where the trace began: walks further out have called what is being traced, and are no part of it.
    """
    line: tuple[str, int] | None = None
    section = ""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not section and code in _WALKS:
            section, recorded = _WALKS[code], getattr(frame.f_locals.get("node"), "line", None)
            line = line or (recorded if isinstance(recorded, tuple) else None)
        elif line is None and not is_engine(code.co_filename) and not code.co_filename.startswith(_NUMPY):
            line = (code.co_filename, frame.f_lineno)
        if (line and section) or code is stop:
            break
        frame = frame.f_back
    return line, section or "forward"


def _shown(line: tuple[str, int] | None) -> str:
    if line is None:
        return "a line that is not known"
    text = linecache.getline(*line).strip()
    return f'File "{line[0]}", line {line[1]}' + (f": {text}" if text else "")
