"""Random programs: functions put together from primitives, for hypothesis.

A `Recipe` is a list of steps, each a function of earlier values. Since steps may take any earlier value, values are used many
times; a step may be repeated as it is, which makes equal subexpressions; and outputs may be inputs, equal, views of one another,
or constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st

import tinyad as ad
from tinyad.compiler import blocks, joining, layout, parts, products

Array = np.ndarray[Any, Any]
Draw = Callable[[Any], Any]
Function = Callable[..., Any]

LARGEST = 48  # elements of a value
FAR = 12.0  # values stay within, so that rounding stays small


@dataclass(frozen=True)
class Step:
    """A function of values, given by their numbers."""

    name: str
    function: Function
    operands: tuple[int, ...]

    def __repr__(self) -> str:
        return f"{self.name}{self.operands}"


@dataclass(frozen=True)
class Recipe:
    """A random function.

    Attributes:
        inputs: example arguments, arrays or Python numbers; their values get the first numbers.
        steps: what makes the other values.
        outputs: numbers of the values to return; a negative one stands for a constant.
    """

    inputs: tuple[Any, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def __call__(self, *inputs: Any) -> Any:
        values = list(inputs)
        for step in self.steps:
            values.append(step.function(*[values[k] for k in step.operands]))
        return [values[k] if k >= 0 else CONSTANTS[k] for k in self.outputs]

    def __repr__(self) -> str:
        shapes = [np.shape(x) if isinstance(x, np.ndarray) else "number" for x in self.inputs]
        return f"Recipe(inputs {shapes}, steps {list(self.steps)}, outputs {self.outputs})"

    @property
    def argnums(self) -> tuple[int, ...]:
        """The positions of all arguments."""
        return tuple(range(len(self.inputs)))

    def scalar(self, *inputs: Any) -> Any:
        """One number that depends on all inputs and on all outputs that may vary."""
        total = 0.0
        for x in inputs:
            total = total + 0.1 * ad.sum(x * x)
        for k, y in zip(self.outputs, self(*inputs), strict=True):
            if k >= 0:
                total = total + ad.sum(y * _weights(getattr(y, "shape", ())))
        return total

    def others(self, seed: int) -> tuple[Any, ...]:
        """Other arguments of the same kind."""
        random = np.random.default_rng(seed)
        return tuple(_like(x, random) for x in self.inputs)


CONSTANTS = {-1: 2.5, -2: np.array([1.0, -0.0, 3.0]), -3: np.arange(40.0).reshape(4, 10), -4: True, -5: math.inf}


def _like(x: Any, random: np.random.Generator) -> Any:
    return float(random.normal()) if isinstance(x, float) else random.normal(size=x.shape)


def _weights(shape: tuple[int, ...]) -> Array:
    return np.cos(1.0 + np.arange(math.prod(shape))).reshape(shape)


# ---- functions of one value

SMOOTH: dict[str, Function] = {
    "sin": ad.sin,
    "cos": ad.cos,
    "tanh": ad.tanh,
    "sigmoid": ad.sigmoid,
    "softplus": ad.softplus,
    "square": ad.square,
    "negative": lambda x: -x,
    "positive": lambda x: +x,
    "bell": lambda x: ad.exp(-x * x),
    "root": lambda x: ad.sqrt(1.0 + x * x),
    "log": lambda x: ad.log1p(x * x),
    "inverse": lambda x: 1.0 / (1.0 + x * x),
    "reciprocal": lambda x: ad.reciprocal(2.0 + ad.sin(x)),
    "relu": lambda x: ad.relu(x - 0.1234567),
    "abs": lambda x: ad.abs(x + 0.0765),
    "clip": lambda x: ad.clip(x, -0.777, 0.888),
    "chosen": lambda x: ad.where(x > 0.0123, x, 0.5 * x),
    "twice": lambda x: x + x,
    "times two": lambda x: 2.0 * x,
    "times one": lambda x: x * 1.0,
    "times minus one": lambda x: -1 * x,
    "plus zero": lambda x: x + 0.0,
    "minus zero": lambda x: x - 0.0,
    "half": lambda x: x / 2,
    "minus": lambda x: 0.3 - x,
    "less": lambda x: x - 0.3,
    "by a strong number": lambda x: x * np.float64(0.7),
    "by a small array": lambda x: x * np.array(0.7),
    "to the 2": lambda x: x**2,
    "to the 3": lambda x: x**3,
    "to the half": lambda x: (1.0 + x * x) ** 0.5,
    "to the -1": lambda x: (1.5 + x * x) ** -1.0,
    "double negative": lambda x: 3.0 - (-x),
    "stopped": ad.stop_gradient,
    "copy": lambda x: x.copy() if hasattr(x, "copy") else x * 1.0,
    "loop": lambda x: _loop(x),
    "derivative": lambda x: ad.grad(lambda z: ad.sum(ad.sin(z) * z))(x),
    "tangent": lambda x: ad.jvp(lambda z: ad.tanh(z) * z, (x,), (0.5 * x,))[1],
    "checkpoint": lambda x: ad.checkpoint(lambda z: ad.sin(z) * ad.tanh(z))(x),
    "own rule": lambda x: _cube(ad.tanh(x)),
    "steps": lambda x: ad.fori(3, lambda i, z: ad.tanh(z + 0.1 * x), x),
}  # fmt: skip
"""Functions of each element, of arrays and numbers."""


@ad.custom_vjp
def _cube(x: Any) -> Any:
    return x * x * x


_cube.defvjp(lambda x: (x * x * x, x), lambda x, g: (g * 3.0 * x * x,))


def _loop(x: Any) -> Any:
    total = 0.0
    for k in range(3):
        y = ad.sin(x * (1.0 + 0.1 * k)) * 0.7
        total = total + y * y
    return total


def _axis(draw: Draw, ndim: int) -> Any:
    return draw(st.sampled_from([None, *range(-ndim, ndim)]))


def _reduction(name: str, function: Function) -> Function:
    def make(draw: Draw, x: Array) -> Any:
        if x.size == 0:
            return None
        axis, keepdims = _axis(draw, x.ndim), draw(st.booleans())
        return f"{name}[{axis}, {keepdims}]", lambda x: function(x, axis=axis, keepdims=keepdims)

    return make


def _index(draw: Draw, x: Array) -> Any:
    if x.ndim == 0 or 0 in x.shape:
        return None
    index: list[Any] = []
    for n in x.shape:
        options = [slice(None), slice(None, None, -1), slice(1, None), slice(None, -1), slice(0, 1), 0, n - 1, -1]
        index.append(draw(st.sampled_from(options)))
    if draw(st.booleans()):
        index.insert(draw(st.integers(0, len(index))), None)
    if draw(st.booleans()):
        index[draw(st.integers(0, len(index) - 1)) :] = [...]
    chosen = tuple(index)
    return f"getitem[{chosen}]", lambda x: x[chosen]


def _advanced(draw: Draw, x: Array) -> Any:
    if x.ndim == 0 or 0 in x.shape:
        return None
    random = np.random.default_rng(draw(st.integers(0, 99)))
    kind = draw(st.sampled_from(["rows", "unique", "mask", "last", "both", "sorted"]))
    n, m = x.shape[0], x.shape[-1]
    index: Any = random.integers(-n, n, size=3)
    if kind == "unique":
        index = random.permutation(n)
    elif kind == "mask":
        index = random.random(x.shape) < 0.6
    elif kind == "last":
        index = (..., random.integers(0, m, size=(2, 2)))
    elif kind == "both" and x.ndim > 1:
        index = (random.integers(0, n, size=4), *[slice(None, None, -1)] * (x.ndim - 2), random.integers(0, m, size=4))
    elif kind == "sorted":
        return "getitem[argsort]", lambda x: x[ad.argsort(ad.sum(x, axis=tuple(range(1, len(x.shape)))))]
    return f"getitem[{kind}]", lambda x: x[index]


def _reshape(draw: Draw, x: Array) -> Any:
    n = x.size
    shapes = [(n,), (1, n), (n, 1), (1, *x.shape), (*x.shape, 1)] + ([(2, n // 2), (n // 2, 2)] if n and n % 2 == 0 else [])
    shape = draw(st.sampled_from(shapes + ([()] if n == 1 else [])))
    return f"reshape[{shape}]", lambda x: ad.reshape(x, shape)


def _permute(draw: Draw, x: Array) -> Any:
    axes = tuple(draw(st.permutations(range(x.ndim))))
    return f"permute[{axes}]", lambda x: ad.permute_dims(x, axes)


def _along(name: str, function: Function) -> Function:
    def make(draw: Draw, x: Array) -> Any:
        if x.ndim == 0:
            return None
        axis = draw(st.integers(-x.ndim, x.ndim - 1))
        return f"{name}[{axis}]", lambda x: function(x, axis)

    return make


def _broadcast(draw: Draw, x: Array) -> Any:
    shape = draw(st.sampled_from([(2, *x.shape), (1, *x.shape), tuple(3 if n == 1 else n for n in x.shape)]))
    return f"broadcast_to[{shape}]", lambda x: ad.broadcast_to(x, shape)


def _pad(draw: Draw, x: Array) -> Any:
    widths = tuple(draw(st.sampled_from([(0, 1), (1, 0), (0, 0), (2, 1)])) for _ in x.shape)
    value = draw(st.sampled_from([0, 1.5]))
    return (f"pad[{widths}]", lambda x: ad.pad(x, widths, value)) if x.ndim else None


def _by_array(draw: Draw, x: Array) -> Any:
    shape = x.shape[draw(st.integers(0, x.ndim)) :]
    array = draw(st.sampled_from([np.ones, np.zeros, lambda s: np.full(s, -1.0), _weights, lambda s: -np.zeros(s)]))(shape)
    symbol = draw(st.sampled_from(["*", "+", "-"]))
    return f"{symbol} array{shape}", {"*": lambda x: x * array, "+": lambda x: array + x, "-": lambda x: array - x}[symbol]


def _with_matrix(draw: Draw, x: Array) -> Any:
    if x.ndim == 0:
        return None
    n = x.shape[-1]
    matrix = np.sin(np.arange(2.0 * n)).reshape(n, 2)
    kind = draw(st.sampled_from(["@", "T @", "@ own T", "solve", "einsum"]))
    if kind == "@":
        return "@ matrix", lambda x: x @ matrix
    if x.ndim == 2 and kind == "T @":
        return "matrix.T @ x.T", lambda x: (matrix.T @ x.T).T
    if x.ndim >= 2 and kind == "@ own T":
        return "x @ x.T", lambda x: 0.3 * x @ x.swapaxes(-1, -2)
    if kind == "solve" and n:
        return "solve", lambda x: ad.solve(4.0 * np.eye(n) + 0.5 * ad.sin(ad.sum(x)) * np.ones((n, n)), x.reshape((-1, n)).T)
    if x.ndim == 2:
        return "einsum", lambda x: ad.einsum("ij,ik->kj", x, 0.2 * x)
    return None


def _over_rows(draw: Draw, x: Array) -> Any:
    if x.ndim == 0 or not x.shape[0]:
        return None
    if draw(st.booleans()):
        return "vmap", ad.vmap(lambda row: ad.tanh(row) * ad.sum(row))
    return "vmap[grad]", ad.vmap(ad.grad(lambda row: ad.sum(ad.sin(row) * row)))


def _scan(draw: Draw, x: Array) -> Any:
    if x.ndim == 0 or not x.shape[0]:
        return None
    kind = draw(st.sampled_from(["rows", "last", "checkpoint", "index", "two", "nested"]))
    n, start = x.shape[0], np.zeros(x.shape[1:])
    if kind in ("rows", "last", "checkpoint"):
        step = lambda total, row: (ad.tanh(total + row), total * row)
        part = 0 if kind == "last" else 1
        return f"scan[{kind}]", lambda x: ad.scan(step, start, x, checkpoint=kind == "checkpoint")[part]
    if kind == "index":
        step = lambda total, row: (ad.sin(total + row[0]) * (row[1] + 1.0), None)
        return "scan[index]", lambda x: ad.scan(step, start, (x, np.arange(n)))[0]
    if kind == "two":
        swap = lambda pair, row: ((pair[1], 0.5 * pair[0] + row), pair[0])
        return "scan[two]", lambda x: ad.scan(swap, (x[0], ad.cos(x[-1])), x)[1]
    return "scan[nested]", lambda x: ad.fori(2, lambda i, z: ad.scan(lambda t, row: (0.5 * t + row, t), start, z)[1], x)


OF_ARRAYS: list[Function] = [
    *[_reduction(f.__name__, f) for f in (ad.sum, ad.mean, ad.max, ad.min, ad.var, ad.logsumexp)],
    _reduction("norm", lambda x, axis, keepdims: ad.norm(x + 0.01, axis, keepdims)),
    _index, _index, _advanced, _reshape, _reshape, _permute, _broadcast, _pad, _by_array, _with_matrix, _with_matrix, _over_rows,
    _scan, _scan,
    _along("cumsum", ad.cumsum), _along("flip", ad.flip), _along("roll", lambda x, axis: ad.roll(x, 1, axis)),
]  # fmt: skip
"""Makers of functions of one array: from a draw and an example to a name and a function, or ``None`` where it does not fit."""

# ---- functions of two values

OF_TWO: dict[str, Function] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (2.0 + ad.sin(y)),
    "add negative": lambda x, y: x + -y,
    "maximum": lambda x, y: ad.maximum(x, y + 0.0321),
    "minimum": lambda x, y: ad.minimum(x - 0.0123, y),
    "hypot": lambda x, y: ad.hypot(1.0 + x * x, y),
    "atan2": lambda x, y: ad.atan2(x, 2.0 + ad.cos(y)),
    "logaddexp": lambda x, y: ad.logaddexp(x, y),
    "power": lambda x, y: (1.0 + x * x) ** ad.tanh(y),
    "where": lambda x, y: ad.where(y > 0.0456, x, ad.sin(y)),
    "squares": lambda x, y: (x + y) * (x + y) - (x + y),
}
OF_TWO_ARRAYS: dict[str, Function] = {
    "concat": lambda x, y: ad.concat([x, y], axis=-1),
    "stack": lambda x, y: ad.stack([x, y, x]),
    "matmul": lambda x, y: x @ y,
    "matmul transposed": lambda x, y: (y.T @ x.T).T,
    "einsum": lambda x, y: ad.einsum("i,j->ji", x, y),
    "tensordot": lambda x, y: ad.tensordot(x, y, 1),
}


# ---- putting them together


def _fits(value: Any) -> bool:
    if isinstance(value, float):
        return abs(value) < FAR
    array = np.asarray(value)
    return array.dtype == np.float64 and array.size <= LARGEST and array.ndim <= 4 and bool((np.abs(array) < FAR).all())


def _step(draw: Draw, values: Sequence[Any], steps: Sequence[Step]) -> Step | None:
    place = st.integers(0, len(values) - 1)
    kind = draw(st.sampled_from(["smooth", "smooth", "array", "array", "array", "two", "two", "two arrays", "again"]))
    if kind == "again" and steps:
        return draw(st.sampled_from(steps))
    i, j = draw(place), draw(place)
    if kind == "two":
        name = draw(st.sampled_from(sorted(OF_TWO)))
        return Step(name, OF_TWO[name], (i, j))
    if kind == "two arrays" and not isinstance(values[i], float) and not isinstance(values[j], float):
        name = draw(st.sampled_from(sorted(OF_TWO_ARRAYS)))
        return Step(name, OF_TWO_ARRAYS[name], (i, j))
    if kind == "array" and not isinstance(values[i], float):
        made = draw(st.sampled_from(OF_ARRAYS))(draw, np.asarray(values[i]))
        return None if made is None else Step(*made, (i,))
    name = draw(st.sampled_from(sorted(SMOOTH)))
    return Step(name, SMOOTH[name], (i,))


SHAPES = [(), (1,), (3,), (4,), (2, 3), (3, 2), (1, 3), (2, 1), (1, 1), (2, 2, 3), (0,), (2, 0)]


@st.composite
def recipes(draw: Draw, most: int = 12, numbers: bool = True) -> Recipe:
    """Random programs.

    Args:
        most: of steps.
        numbers: whether some arguments may be Python numbers.
    """
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = st.sampled_from([*SHAPES, *(["number"] if numbers else [])])
    inputs = []
    for kind in draw(st.lists(kinds, min_size=1, max_size=4)):
        inputs.append(float(random.normal()) if kind == "number" else random.normal(size=kind))
    values, steps = list(inputs), []
    for _ in range(draw(st.integers(1, most))):
        step = _step(draw, values, steps)
        if step is None:
            continue
        try:
            value = step.function(*[values[k] for k in step.operands])
        except (ValueError, IndexError):  # shapes that do not fit
            continue
        if _fits(value):
            values.append(value)
            steps.append(step)
    places = st.one_of(st.integers(max(0, len(values) - 4), len(values) - 1), st.integers(0, len(values) - 1))
    outputs = draw(st.lists(places, min_size=1, max_size=4)) + draw(st.lists(st.sampled_from(sorted(CONSTANTS)), max_size=1))
    return Recipe(tuple(inputs), tuple(steps), tuple(outputs))


@contextmanager
def passes_at_work() -> Iterator[None]:
    """A context in which the passes that leave small arrays alone work on them too."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(products, "SMALL", 0))
        stack.enter_context(patch.object(parts, "number_of_threads", lambda: 3))
        stack.enter_context(patch.object(parts, "LONG", 0.0))
        stack.enter_context(patch.object(parts, "WORTH", 0.0))
        stack.enter_context(patch.object(parts, "_OF_A_SHARE", 0.0))
        stack.enter_context(patch.object(joining, "_CALL", 1e9))
        stack.enter_context(patch.object(blocks, "LARGE", 16))
        stack.enter_context(patch.object(blocks, "BLOCK", 4))
        stack.enter_context(patch.object(layout, "_is_tall", lambda x: x.ndim == 2 and x.size > 1 and x.dtype.kind in "fb"))
        stack.enter_context(patch.object(layout._Turned, "gain", lambda self: 1.0))
        yield
