"""Random numbers in compiled functions: drawn again at each call.

A generator that is an argument, or stands in one, is replaced while the function is traced by one that writes down its draws.
Draws from any other generator would be frozen at the numbers of the first call, so they are refused.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np

from .. import tree
from ..kinds import Primitive
from ..program import Constant
from ..trace import Trace, Traced, TracingError

__all__ = ["refuse_other_draws", "with_traced_generators"]

Generator = np.random.Generator

_METHODS = (
    "beta", "binomial", "choice", "exponential", "gamma", "integers", "laplace", "lognormal", "multivariate_normal", "normal",
    "permutation", "permuted", "poisson", "random", "standard_exponential", "standard_gamma", "standard_normal", "uniform",
)  # fmt: skip


class Draw(Primitive):
    """A method of a generator: not the same at each call, so never shared or computed beforehand."""

    pure = False

    def __init__(self, method: str, settings: str) -> None:
        self.name = method
        self.settings = settings

    def line(self, instruction: Any, operands: Any, out: str | None) -> str:
        """The call as text."""
        return f"{operands[0]}.{self.name}({self.settings})"

    def apply(self, generator: Generator, **params: Any) -> Any:
        """The call itself."""
        return getattr(generator, self.name)(*params["arguments"], **params["keywords"])


class _TracedGenerator(Generator):
    """A generator that writes down what is drawn from it."""

    trace: Trace
    given: Generator

    def __reduce__(self) -> Any:
        raise TypeError("a traced generator cannot be copied or saved")


def _writing(method: str) -> Callable[..., Any]:
    @functools.wraps(getattr(Generator, method))
    def draw(self: _TracedGenerator, *arguments: Any, **keywords: Any) -> Any:
        values = (*arguments, *keywords.values())
        if any(isinstance(x, Traced) for x in values):
            raise self.trace.refusal(f"an argument of rng.{method}", "Draw standard numbers, then shift and scale them")
        example = getattr(Generator, method)(self, *arguments, **keywords)
        settings = [*map(repr, arguments), *[f"{name}={value!r}" for name, value in keywords.items()]]
        text = ", ".join(settings).replace("<class 'numpy.", "np.").replace("'>", "")
        params = {"arguments": arguments, "keywords": keywords}
        return self.trace.emit(Draw(method, text), [Constant("rng", self.given)], params, [example])[0]

    return draw


for _method in _METHODS:
    setattr(_TracedGenerator, _method, _writing(_method))


def with_traced_generators(structure: tree.Structure, trace: Trace) -> tree.Structure:
    """The structure of the arguments with a generator that writes in place of each generator."""
    traced: dict[int, _TracedGenerator] = {}

    def replaced(value: Any) -> Any:
        if not isinstance(value, Generator):
            return value
        if id(value) not in traced:
            made = _TracedGenerator(copy.deepcopy(value.bit_generator))  # a copy: tracing draws examples, the caller's stays
            made.trace, made.given = trace, value
            traced[id(value)] = made
        return traced[id(value)]

    return tree.map_static(replaced, structure)


# ---- other generators


def refuse_other_draws(f: Callable[..., Any]) -> Callable[[], None]:
    """A function to call after ``f``, which raises if ``f`` has drawn from a generator that it holds or from NumPy's own."""
    found = {id(g): g for g in _generators(f, set())}
    before = {key: g.bit_generator.state for key, g in found.items()}
    global_before = _global_state()

    def check() -> None:
        drawn = [g for key, g in found.items() if str(g.bit_generator.state) != str(before[key])]
        if drawn or _global_state() != global_before:
            raise TracingError(
                "compile: the function drew random numbers from a generator that is not among its arguments; each call would "
                "use those of the first. Pass the generator (numpy.random.default_rng(seed)) as an argument"
            )

    return check


def _global_state() -> Any:
    state: Any = np.random.get_state()  # noqa: NPY002 (to find out whether somebody uses it)
    return (state[2], state[1][:2].tolist(), state[3:])


def _generators(value: Any, seen: set[int], depth: int = 0) -> Iterator[Generator]:
    """Generators that a function can reach by its closure, the globals it names, and the attributes of objects there."""
    if id(value) in seen or depth > 4:
        return
    seen.add(id(value))
    if isinstance(value, Generator):
        yield value
    inside: list[Any] = []
    if isinstance(value, FunctionType):
        inside = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        inside += [value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__]
        inside += [*(value.__defaults__ or ()), getattr(value, "__wrapped__", None)]
    elif isinstance(value, functools.partial):
        inside = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, (list, tuple)):
        inside = list(value[:100])
    elif isinstance(value, dict):
        inside = list(value.values())[:100]
    elif not isinstance(value, (type, np.ndarray, str, int, float)) and type(value).__module__ not in ("builtins", "types"):
        inside = [getattr(value, "__self__", None), getattr(value, "__func__", None), *getattr(value, "__dict__", {}).values()]
    for x in inside:
        if type(x).__name__ != "module":
            yield from _generators(x, seen, depth + 1)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
