"""How the probes reach an engine: through a `Driver`, which makes its objects, applies its operations and reads its gradients.

`LocalDriver` holds the engine's class in this process. A grader puts in its place a driver that speaks with another process, in
which a `LocalDriver` does the same work: for that this file imports the standard library and NumPy alone, and what goes through
a driver's methods is numbers, arrays, names and handles.

An engine is known by what its objects can do: they are made from a number or an array, hold it as ``data`` (or ``value``,
``array``, ``numpy()``), have a gradient ``grad`` once ``backward()`` of the result was called, and have operators and methods.
"""

from __future__ import annotations

import inspect
import operator
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["CALLS", "METHODS", "OPERATORS", "Driver", "Failure", "Handle", "LocalDriver", "TooManyCalls", "without_addresses"]

Handle = (
    Any  # of an object of the engine: what `make` and `apply` return. All other operands are plain numbers, arrays, indices.
)
FloatArray = npt.NDArray[Any]

CALLS = 1_000_000  # function calls that one backward may make: the largest graph here, of 10,000 nodes, needs a tenth of that

# Operations by name. A plain number may stand on either side of a binary operator.
OPERATORS: dict[str, tuple[Callable[..., Any], str]] = {
    "add": (operator.add, "__add__"),
    "sub": (operator.sub, "__sub__"),
    "mul": (operator.mul, "__mul__"),
    "truediv": (operator.truediv, "__truediv__"),
    "pow": (operator.pow, "__pow__"),
    "neg": (operator.neg, "__neg__"),
    "matmul": (operator.matmul, "__matmul__"),
    "getitem": (operator.getitem, "__getitem__"),
}
METHODS = ("relu", "tanh", "exp", "log", "sigmoid", "sqrt", "sin", "cos", "sum", "mean", "max", "reshape", "transpose")
DATA = ("data", "value", "array")


class Failure(Exception):
    """The engine raised.

    Attributes:
        stage: ``"making"``, ``"forward"``, ``"backward"`` or ``"reading"``.
        kind: the type of what it raised, ``"TypeError"``.
        message: its text.
        where: the line that raised it, where only text came; where the exception itself is at hand, it is ``__cause__``.
    """

    def __init__(self, stage: str, kind: str, message: str, where: str = "") -> None:
        super().__init__(f"{stage} raised {kind}: {message}")
        self.stage, self.kind, self.message, self.where = stage, kind, message, where


class TooManyCalls(Failure):
    """Backward was stopped: it made more function calls than it was allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__("backward", "TooManyCalls", f"more than {limit} function calls")
        self.limit = limit


class Driver(Protocol):
    """What the probes ask of an engine. Every method may raise a `Failure`.

    Attributes:
        name: of the engine, in reports.
        arrays: whether its objects hold arrays; otherwise numbers.
    """

    name: str
    arrays: bool

    def make(self, value: Any) -> Handle:
        """A variable, from a Python float or a float array. An engine of arrays gets a float as an array of shape ()."""

    def apply(self, op: str, *operands: Any, **options: Any) -> Handle:
        """The result of an operation of `OPERATORS` or `METHODS`; operands are handles and plain numbers.

        ``getitem`` takes an index as its second operand, ``reshape`` a tuple of lengths, ``sum``, ``mean`` and ``max`` the
        options ``axis`` and ``keepdims``.
        """

    def chain(self, op: str, handle: Handle, other: Any, times: int) -> Handle:
        """The same operation with the same second operand, many times."""

    def backward(self, root: Handle, calls: int = CALLS) -> int:
        """Go back from ``root``; how many functions were called on the way.

        Raises:
            TooManyCalls: more than ``calls``.
        """

    def grad(self, handle: Handle) -> FloatArray | None:
        """An object's gradient, as an array of its own dtype; None if it has none."""

    def data(self, handle: Handle) -> FloatArray:
        """An object's numbers, as an array of their own dtype."""

    def write(self, handle: Handle, value: Any) -> None:
        """Give an object new numbers, as a step of an optimiser does: into the same array."""

    def clear(self, handle: Handle) -> None:
        """Make an object's gradient what it is before any backward."""

    def supports(self, op: str) -> bool:
        """Whether the engine's objects have an operation, or another method or attribute of that name (``backward``)."""


class LocalDriver:
    """A driver of a class in this process.

    Args:
        engine: called with a number or an array, returns an object.
        name: of the engine in reports; its own if None.
        arrays: whether objects are made from arrays; None for those that have a sum or a matrix product.

    >>> class Value:
    ...     def __init__(self, data, parents=()):
    ...         self.data, self.parents, self.grad = data, parents, 0.0
    ...     def __mul__(self, other):
    ...         return Value(self.data * other.data, ((self, other.data), (other, self.data)))
    ...     def backward(self):
    ...         self.grad = 1.0
    ...         for parent, partial in self.parents:
    ...             parent.grad += partial
    >>> driver = LocalDriver(Value)
    >>> x = driver.make(3.0)
    >>> calls = driver.backward(driver.apply("mul", x, x))
    >>> driver.grad(x), driver.supports("exp")
    (array(6.), False)
    """

    def __init__(self, engine: Callable[..., Any], name: str | None = None, arrays: bool | None = None) -> None:
        self.engine = engine
        self.name = name or str(getattr(engine, "__name__", type(engine).__name__))
        # Engines that record only on demand, as PyTorch does, say so in their signature.
        self._options = {"requires_grad": True} if "requires_grad" in _parameters(engine) else {}
        self.arrays = (self.supports("sum") or self.supports("matmul")) if arrays is None else arrays

    # ---- making graphs

    def make(self, value: Any) -> Handle:
        """A variable."""
        with _guarded("making"):
            return self.engine(np.asarray(value) if self.arrays else value, **self._options)

    def apply(self, op: str, *operands: Any, **options: Any) -> Handle:
        """The result of an operation."""
        with _guarded("forward"):
            if op in OPERATORS:
                return OPERATORS[op][0](*operands)
            if op == "reshape":
                return _reshape(*operands)
            if op == "transpose":
                return operands[0].T if hasattr(operands[0], "T") else operands[0].transpose()
            return getattr(operands[0], op)(*operands[1:], **options)

    def chain(self, op: str, handle: Handle, other: Any, times: int) -> Handle:
        """The same operation many times."""
        for _ in range(times):
            handle = self.apply(op, handle, other)
        return handle

    def supports(self, op: str) -> bool:
        """Whether the engine's objects have an operation."""
        example = self._example()
        names = (OPERATORS[op][1],) if op in OPERATORS else ("T", "transpose") if op == "transpose" else (op,)
        return any(_has(example, name) for name in names)

    def _example(self) -> Handle:
        for value in (1.0, np.ones((2, 2))):
            try:
                return self.engine(value)
            except Exception:  # a student's code may raise anything; it is reported when a probe makes the same object
                continue
        return None

    # ---- going back

    def backward(self, root: Handle, calls: int = CALLS) -> int:
        """Go back from ``root``, counting function calls and not seconds, so that the same engine gets the same verdict."""
        counted = 0

        def count(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal counted
            if event in ("call", "c_call"):
                counted += 1
                if counted > calls:
                    raise _Stop

        with _guarded("backward"):
            run = root.backward
            arguments = (np.ones_like(self.data(root)),) if _needs_seed(run) else ()
            before = sys.getprofile()
            sys.setprofile(count)
            try:
                run(*arguments)
            except _Stop:
                raise TooManyCalls(calls) from None
            finally:
                _restore_profile(before)
        return counted

    # ---- reading and writing

    def data(self, handle: Handle) -> FloatArray:
        """An object's numbers."""
        with _guarded("reading"):
            return _array(handle)

    def grad(self, handle: Handle) -> FloatArray | None:
        """An object's gradient: of an attribute that is missing, None."""
        with _guarded("reading"):
            gradient = getattr(handle, "grad", None)
            return None if gradient is None else _array(gradient)

    def write(self, handle: Handle, value: Any) -> None:
        """New numbers, into the same array."""
        with _guarded("forward"):
            attribute = next((name for name in DATA if hasattr(handle, name)), DATA[0])
            held = getattr(handle, attribute)
            if isinstance(held, np.ndarray):
                held[...] = value
                value = held
            setattr(handle, attribute, value)

    def clear(self, handle: Handle) -> None:
        """The gradient of an object that was just made."""
        with _guarded("making"):
            handle.grad = getattr(self.make(_numbers(handle)), "grad", None)


class _Stop(BaseException):
    """Raised inside of backward when it has made too many calls. No Exception: a student's code might catch those."""


def _restore_profile(before: Any) -> None:
    """Hand the profile back to whoever had it. That of cProfile is an object that only it can set."""
    if before is None or callable(before):
        sys.setprofile(before)
    else:
        sys.setprofile(None)
        before.enable()


@contextmanager
def _guarded(stage: str) -> Iterator[None]:
    """What a student's code raises, whatever it is, as a `Failure`; without NumPy's warnings."""
    try:
        with np.errstate(all="ignore"):
            yield
    except Failure:
        raise
    except Exception as error:
        raise Failure(stage, type(error).__name__, _text(error)) from error


def _text(error: Exception) -> str:
    """An exception's message; even that may raise."""
    try:
        return without_addresses(str(error), isinstance(error, KeyError))
    except Exception:
        return "(its message raises)"


def without_addresses(text: str, keys: bool = False) -> str:
    """A message without what is another in every process: where objects lie, and if it tells a missing key, their id."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return re.sub(r"\b\d{12,}\b", "an id()", text) if keys else text


def _numbers(value: Any) -> Any:
    """The number or array in an object of the engine, or a gradient, which may be a number, an array or such an object."""
    if isinstance(value, (int, float, np.ndarray, np.generic)):
        return value
    for name in DATA:
        if hasattr(value, name):
            return _numbers(getattr(value, name))
    if callable(getattr(value, "numpy", None)):
        return value.numpy()
    if isinstance(value, (list, tuple)):
        return np.array(value, np.float64)
    raise TypeError(f"a {type(value).__name__} has no .data (nor .value, .array, .numpy()): where are its numbers?")


def _array(value: Any) -> FloatArray:
    found = np.array(_numbers(value))
    if found.dtype.kind not in "biufc":
        raise TypeError(f"an array of {found.dtype} where numbers are expected")
    return found


def _reshape(value: Any, shape: tuple[int, ...]) -> Any:
    try:
        return value.reshape(*shape)
    except TypeError:  # it wants them as a tuple
        return value.reshape(shape)


def _has(value: Any, name: str) -> bool:
    """Whether there is an attribute, and not None. A property that raises is there; what it raises is said when it is used."""
    try:
        return getattr(value, name, None) is not None
    except Exception:
        return True


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def _needs_seed(backward: Callable[..., Any]) -> bool:
    """Whether backward must be given the gradient of the root."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is p.empty for p in _parameters(backward).values())
