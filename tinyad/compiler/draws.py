"""Random numbers in compiled functions: drawn again at each call.

A generator that is an argument, or stands in one, is replaced while the function is traced by one that writes down its draws.
Draws from any other generator would be frozen at the numbers of the first call, so they are refused.
"""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from .. import tree
from ..kinds import Primitive
from ..program import Constant
from ..tensor import unwrap
from ..tracing import Trace, Traced, TracingError

__all__ = ["refuse_other_draws", "undrawn", "with_traced_generators", "without_traced_generators"]

Generator = np.random.Generator

_REMEDIES = {
    "shuffle": "Take rng.permutation(x), a new array",
    "bytes": "Draw integers",
    "spawn": "Pass generators as arguments",
    "bit_generator": "Pass generators as arguments",
    "choice": "Draw positions, x[rng.choice(len(x), size)]",
    "permutation": "Draw the order, x[rng.permutation(len(x))]",
    "permuted": "Draw the order, x[rng.permutation(len(x))]",
}


class Draw(Primitive):
    """A method of a generator: not the same at each call, so never shared or computed beforehand.

    Its operands are the generator and the arrays among the method's arguments.
    """

    pure = False

    def __init__(self, method: str) -> None:
        self.name = method

    def line(self, instruction: Any, operands: Any, out: str | None) -> str:
        """The call as text."""
        arrays = iter(operands[1:])
        settings = [_text(x, arrays) for x in instruction.params["arguments"]]
        settings += [f"{name}={_text(x, arrays)}" for name, x in instruction.params["keywords"].items()]
        return f"{operands[0]}.{self.name}({', '.join(settings)})"

    def apply(self, generator: Generator, *arrays: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The call itself."""
        given = iter(arrays)
        filled = [next(given) if x is _ARRAY else x for x in (*arguments, *keywords.values())]
        positional, named = filled[: len(arguments)], filled[len(arguments) :]
        return getattr(generator, self.name)(*positional, **dict(zip(keywords, named, strict=True)))


class _Slot:
    """Stands in a draw's arguments where an array is."""

    def __repr__(self) -> str:
        return "array"


_ARRAY = _Slot()


def _text(x: Any, arrays: Iterator[str]) -> str:
    """An argument of a draw as Python source."""
    if x is _ARRAY:
        return next(arrays)
    if isinstance(x, type):
        return f"np.{x.__name__}" if issubclass(x, np.generic) else x.__name__
    return repr(str(x)) if isinstance(x, np.dtype) else repr(x)


class _TracedGenerator(Generator):
    """A generator that writes down what is drawn from it."""

    trace: Trace
    constant: Constant
    plain: Generator  # what examples are drawn from: methods of NumPy call one another

    def __reduce__(self) -> Any:
        raise TypeError("a traced generator cannot be copied or saved")


def _writing(method: str) -> Callable[..., Any]:
    @functools.wraps(getattr(Generator, method))
    def draw(self: _TracedGenerator, *arguments: Any, **keywords: Any) -> Any:
        values = [unwrap(x) for x in (*arguments, *keywords.values())]
        if any(isinstance(x, Traced) for x in values):
            remedy = _REMEDIES.get(method, "Draw standard numbers, then shift and scale them")
            raise self.trace.refusal(f"an argument of rng.{method}", remedy)
        if keywords.get("out") is not None:
            raise self.trace.forbidden(
                f"rng.{method}(out=...) would write into an array from outside", "Use the result instead"
            )
        slots = [_ARRAY if isinstance(x, np.ndarray) else x for x in values]
        count = len(arguments)
        params: dict[str, Any] = {
            "arguments": tuple(slots[:count]),
            "keywords": dict(zip(keywords, slots[count:], strict=True)),
        }
        arrays = [x for x in values if isinstance(x, np.ndarray)]
        operation = Draw(method)
        example = operation.apply(self.plain, *arrays, **params)
        return self.trace.emit(operation, [self.constant, *arrays], params, [example])[0]

    return draw


def _refused(method: str) -> Callable[..., Any]:
    def refuse(self: _TracedGenerator, *arguments: Any, **keywords: Any) -> Any:
        raise self.trace.forbidden(f"rng.{method} cannot be repeated at each call", _REMEDIES[method])

    return refuse


for _method in [name for name in dir(Generator) if not name.startswith("_")]:
    if _method == "bit_generator":
        _TracedGenerator.bit_generator = property(_refused(_method))  # type: ignore[assignment]
    else:
        setattr(_TracedGenerator, _method, (_refused if _method in ("shuffle", "bytes", "spawn") else _writing)(_method))


def with_traced_generators(structure: tree.Structure, trace: Trace) -> tree.Structure:
    """The structure of the arguments with a generator that writes in place of each generator."""
    traced: dict[int, _TracedGenerator] = {}

    def replaced(value: Any) -> Any:
        if isinstance(value, (np.random.RandomState, random.Random)):
            raise TracingError(
                f"compile: an argument holds a {type(value).__module__}.{type(value).__name__}, whose numbers would be those of "
                f"the first call. Pass a generator, numpy.random.default_rng(seed)"
            )
        if not isinstance(value, Generator):
            return value
        if id(value) not in traced:
            made = _TracedGenerator(np.random.PCG64(0))
            made.trace, made.constant = trace, Constant("rng", value)
            made.plain = Generator(copy.deepcopy(value.bit_generator))  # a copy: the caller's stays as it is
            traced[id(value)] = made
        return traced[id(value)]

    return tree.map_static(replaced, structure)


def without_traced_generators(structure: tree.Structure) -> tree.Structure:
    """The structure of the results with the generators that were given."""
    return tree.map_static(lambda value: value.constant.array if isinstance(value, _TracedGenerator) else value, structure)


@contextmanager
def undrawn(arguments: Any) -> Iterator[None]:
    """A context after which the generators among the arguments are as if nobody had drawn from them."""
    found: dict[int, Generator] = {}

    def noted(value: Any) -> Any:
        if isinstance(value, Generator):
            found[id(value)] = value
        return value

    tree.map_static(noted, tree.flatten(arguments)[1])
    states = [g.bit_generator.state for g in found.values()]
    try:
        yield
    finally:
        for g, state in zip(found.values(), states, strict=True):
            g.bit_generator.state = state


# ---- other generators


def refuse_other_draws(f: Callable[..., Any]) -> Callable[[], None]:
    """A function to call after ``f``, which raises if ``f`` has drawn from a generator that it holds or from NumPy's own."""
    found = {id(g): g for g in _generators(f, set())}.values()
    before = [str(_state(g)) for g in found]
    global_before = _global_state()

    def check() -> None:
        if before != [str(_state(g)) for g in found] or _global_state() != global_before:
            raise TracingError(
                "compile: the function drew random numbers from a generator that is not among its arguments; each call would "
                "use those of the first. Pass the generator (numpy.random.default_rng(seed)) as an argument"
            )

    return check


def _state(g: Any) -> Any:
    """Something that changes when a generator is used."""
    if isinstance(g, Generator):
        return g.bit_generator.state
    if isinstance(g, random.Random):
        return hash(g.getstate())
    state: Any = g.get_state(legacy=True)
    return (state[0], state[2], state[1][:2].tolist(), state[3:])


def _global_state() -> Any:
    state: Any = np.random.get_state()  # noqa: NPY002 (to find out whether somebody uses it)
    return (state[2], state[1][:2].tolist(), state[3:], hash(random.getstate()))


def _generators(value: Any, seen: set[int], depth: int = 0) -> Iterator[Any]:
    """Generators that a function can reach by its closure, the globals it names, and the attributes of objects there."""
    if id(value) in seen or depth > 4:
        return
    seen.add(id(value))
    if isinstance(value, (Generator, np.random.RandomState, random.Random)):
        yield value
    inside: list[Any] = []
    if isinstance(value, FunctionType):
        inside = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        inside += [value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__]
        inside += [*(value.__defaults__ or ()), getattr(value, "__wrapped__", None)]
    elif isinstance(value, MethodType):
        inside = [value.__self__, value.__func__]
    elif isinstance(value, functools.partial):
        inside = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, (list, tuple)):
        inside = list(value[:100])
    elif isinstance(value, dict):
        inside = list(value.values())[:100]
    elif not isinstance(value, (type, np.ndarray, str, int, float)) and type(value).__module__ not in ("builtins", "types"):
        inside = [*getattr(value, "__dict__", {}).values()]
    for x in inside:
        if type(x).__name__ != "module":
            yield from _generators(x, seen, depth + 1)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
