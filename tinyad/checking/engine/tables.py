"""The operations that an engine may have, each with NumPy's own and with the shapes and numbers to judge it at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .driver import Driver

__all__ = ["Operation", "tables"]

FloatArray = npt.NDArray[Any]
Shape = tuple[int, ...]


# ---- numbers: from normal ones to numbers at which an operation is smooth


def _signed(z: FloatArray) -> FloatArray:
    return np.where(z < 0, -1.0, 1.0) * (0.3 + np.abs(z))


def _positive(z: FloatArray) -> FloatArray:
    return 0.3 + np.abs(z)


def _negative(z: FloatArray) -> FloatArray:
    return -0.3 - np.abs(z)


def _distinct(z: FloatArray) -> FloatArray:
    """Half-integers, each once: the largest stays the largest under the steps of a difference."""
    return 0.5 * np.argsort(np.argsort(z.ravel())).reshape(z.shape) - 2.2


@dataclass(frozen=True)
class Operation:
    """One way to use an operation.

    Attributes:
        text: as it is written.
        op: the operation's name for the driver.
        build: from a driver and handles, the result's handle.
        reference: the same in NumPy.
        shapes: of the inputs.
        sample: from normal numbers to those of the inputs.
        optional: whether an engine may do without: this axis, this pair of shapes.
        number: on which side a Python number stands, ``"left"`` or ``"right"``; empty if none does.
        total: whether the results are summed, and gone back from without weights.
    """

    text: str
    op: str
    build: Callable[..., Any]
    reference: Callable[..., Any]
    shapes: tuple[Shape, ...]
    sample: Callable[[FloatArray], FloatArray] = _signed
    optional: bool = False
    number: str = ""
    total: bool = False

    @property
    def formula(self) -> str:
        """As it is written, without the shapes and numbers that it is judged at."""
        return self.text.partition(" for ")[0].removesuffix(", summed")

    def inputs(self, seed: int) -> list[FloatArray]:
        """Numbers to judge it at, the same for the same seed."""
        random = np.random.default_rng([seed, *map(ord, self.text)])
        return [np.asarray(self.sample(random.normal(size=shape))) for shape in self.shapes]


def tables(arrays: bool) -> tuple[list[Operation], list[Operation]]:
    """The operations that the others are judged with, and the others; of an engine of arrays, or of numbers."""
    if not arrays:
        one = list(_binary(((), ())))
        return one[:2], [*one[2:], *_with_numbers(()), *_functions(())]
    square = ((5, 3), (5, 3))
    whole, *reductions = _reductions()
    product = Operation("a * b, summed", "mul", _apply("mul"), np.multiply, square)
    others = [*_binary(square), *_with_numbers((5, 3)), *_functions((5, 3)), *reductions, *_matrices(), *_shaping()]
    others += _binary(((5, 3), (3,)), " for (5, 3), (3,)", optional=True)
    for a, b in (((3,), (5, 3)), ((5, 1), (1, 3)), ((5, 3), ()), ((), (5, 3))):
        others += list(_binary((a, b), f" for {a}, {b}", optional=True))[:2]  # - and / are rarely made apart from + and *
    return [whole, product], others


def _apply(op: str, *more: Any, **options: Any) -> Callable[..., Any]:
    def build(driver: Driver, *handles: Any) -> Any:
        return driver.apply(op, *handles, *more, **options)

    return build


def _binary(shapes: tuple[Shape, Shape], suffix: str = "", optional: bool = False) -> Iterator[Operation]:
    signs = (("+", "add", np.add), ("*", "mul", np.multiply), ("-", "sub", np.subtract), ("/", "truediv", np.divide))
    for sign, op, reference in signs:
        yield Operation(f"a {sign} b{suffix}", op, _apply(op), reference, shapes, optional=optional)


NUMBERS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("x + 3", "add", lambda x: x + 3.0),
    ("x * 3", "mul", lambda x: x * 3.0),
    ("x - 3", "sub", lambda x: x - 3.0),
    ("x / 3", "truediv", lambda x: x / 3.0),
    ("x ** 3", "pow", lambda x: x**3.0),
    ("3 + x", "add", lambda x: 3.0 + x),
    ("3 * x", "mul", lambda x: 3.0 * x),
    ("3 - x", "sub", lambda x: 3.0 - x),
    ("3 / x", "truediv", lambda x: 3.0 / x),
    ("3 ** x", "pow", lambda x: 3.0**x),
)


def _with_numbers(shape: Shape) -> Iterator[Operation]:
    """Python numbers on either side. Powers of a number, and other powers than whole ones, are a matter of taste."""

    def left(op: str) -> Callable[..., Any]:
        return lambda driver, x: driver.apply(op, 3.0, x)

    for text, op, reference in NUMBERS:
        side = "left" if text.endswith("x") else "right"
        build = left(op) if side == "left" else _apply(op, 3.0)
        yield Operation(text, op, build, reference, (shape,), optional=text == "3 ** x", number=side)
    yield Operation("x ** -1.5", "pow", _apply("pow", -1.5), lambda x: x**-1.5, (shape,), _positive, optional=True)
    yield Operation("a ** b", "pow", _apply("pow"), lambda a, b: a**b, (shape, shape), _positive, optional=True)


def _functions(shape: Shape) -> Iterator[Operation]:
    yield Operation("-x", "neg", _apply("neg"), np.negative, (shape,))
    # A single number is on one side of the kink of relu: it is judged on both.
    for text, sample in (("", _signed),) if shape else ((" for x > 0", _positive), (" for x < 0", _negative)):
        yield Operation(f"x.relu(){text}", "relu", _apply("relu"), lambda x: np.where(x > 0, x, 0 * x), (shape,), sample)
    yield Operation("x.sigmoid()", "sigmoid", _apply("sigmoid"), lambda x: 1 / (1 + np.exp(-x)), (shape,))
    for reference in (np.tanh, np.exp, np.sin, np.cos, np.log, np.sqrt):
        op = reference.__name__
        sample = _positive if op in ("log", "sqrt") else _signed
        yield Operation(f"x.{op}()", op, _apply(op), reference, (shape,), sample)


def _reductions() -> Iterator[Operation]:
    references: tuple[tuple[str, Callable[..., Any]], ...] = (("sum", np.sum), ("mean", np.mean), ("max", np.max))
    for op, reference in references:
        sample = _distinct if op == "max" else _signed
        yield Operation(f"x.{op}()", op, _apply(op), reference, ((5, 3),), sample)
        for options in ({"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": 0, "keepdims": True}, {"axis": 1, "keepdims": True}):
            written = ", ".join(f"{key}={value}" for key, value in options.items())

            def along(x: Any, f: Callable[..., Any] = reference, options: Any = options) -> Any:
                return f(x, **options)

            yield Operation(f"x.{op}({written})", op, _apply(op, **options), along, ((5, 3),), sample, optional=True)


def _matrices() -> Iterator[Operation]:
    """Square matrices, too: among them a transpose too many or too few raises nothing."""
    for a, b in (((5, 3), (3, 7)), ((4, 4), (4, 4)), ((5, 3), (3,)), ((2, 5, 3), (3, 7))):
        optional = len(a) != 2 or len(b) != 2
        yield Operation(f"a @ b for {a}, {b}", "matmul", _apply("matmul"), np.matmul, (a, b), optional=optional)


def _shaping() -> Iterator[Operation]:
    shape = ((5, 3),)
    yield Operation("x.reshape(3, 5)", "reshape", _apply("reshape", (3, 5)), lambda x: np.reshape(x, (3, 5)), shape)
    yield Operation("x.T", "transpose", _apply("transpose"), np.transpose, shape)
    yield Operation("x[1]", "getitem", _apply("getitem", 1), lambda x: x[1], shape)
    yield Operation("x[1:4]", "getitem", _apply("getitem", slice(1, 4)), lambda x: x[1:4], shape, optional=True)
    yield Operation("x[[0, 2, 0]]", "getitem", _apply("getitem", [0, 2, 0]), lambda x: x[[0, 2, 0]], shape, optional=True)
