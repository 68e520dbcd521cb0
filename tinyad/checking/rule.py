"""A rule under test: a forward function and the backward that is to be its derivative, in plain arrays.

`FloatInputs` is a function whose derivative tinyad knows; a `Pair` is one whose derivative somebody wrote. The checks ask both the
same three questions: the value (`__call__`, to be trusted), the value and what backward returns as it is (`run`), and the same made
into arrays of the right shapes (`pull`).
"""

from __future__ import annotations

import copy
import inspect
import itertools
import linecache
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import tree
from ..backend import asnumpy, is_array, module_of
from ..primitives.complex import is_complex
from ..tensor import unwrap
from .inputs import FloatInputs, describe

__all__ = ["CALLINGS", "Pair", "Raised", "WrongCount", "parameter_names", "usable"]

CALLINGS: dict[str, Callable[..., Any]] = {
    "cache_dout": lambda backward, cache, gy: backward(cache, gy),
    "dout_cache": lambda backward, cache, gy: backward(gy, cache),
}


class Raised(Exception):
    """The rule under test raised: ``stage`` is forward or backward, ``error`` what it raised."""

    def __init__(self, stage: str, error: BaseException) -> None:
        super().__init__(f"{stage} raised {type(error).__name__}: {error}")
        self.stage = stage
        self.error = error

    def told(self) -> str:
        """What was raised, and where if that is known."""
        return "\n".join(filter(None, (str(self), self.place())))

    def place(self) -> str:
        """The line that raised, and the shapes of the arrays it names; empty if it has no line."""
        frames = [f for f in traceback.walk_tb(self.error.__traceback__) if not _is_library(f[0].f_code.co_filename)]
        if not frames:
            return ""
        frame, number = frames[-1]
        line = linecache.getline(frame.f_code.co_filename, number).strip()
        names = dict.fromkeys(re.findall(r"[^\W\d]\w*", line))
        shapes = [f"{name} {np.shape(frame.f_locals[name])}" for name in names if is_array(frame.f_locals.get(name))]
        where = f"{Path(frame.f_code.co_filename).name}:{number}: {line}" if line else f"line {number}"
        return where + (f"   with {', '.join(shapes)}" if shapes else "")


class NoPair(TypeError):
    """Forward did not return a value and a cache."""


class WrongCount(Exception):
    """Backward returned something that is not one gradient for every input."""


class Pair(FloatInputs):
    """A forward function, the backward that is to be its derivative, and a point.

    Attributes:
        forward: takes the inputs, returns the value and what backward needs of them.
        backward: as `CALLINGS` says.
        fresh: whether every call of backward needs a call of forward before it, because it changes what forward kept.
        own_forward: whether the numeric derivatives are those of ``forward`` itself, for want of a trusted one.
        structures, places: of every input, its tree and which of its leaves are float arrays.
    """

    is_ours = False

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: tuple[Any, ...],
        calling: str = "cache_dout",
        reference: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(name, reference or (lambda *xs: self._forward(xs)[0]), inputs)
        if calling not in CALLINGS:
            raise ValueError(f"{name}: calling is {calling!r}; expected {' or '.join(map(repr, CALLINGS))}.")
        self.caller = name
        self.forward, self.backward, self.calling = forward, backward, CALLINGS[calling]
        self.own_forward = reference is None
        named = parameter_names(forward, len(inputs))
        self.names = [_named(word, name, named) for word, name in zip(self.words, self.names, strict=True)]
        self.words = [_word(word, named) for word in self.words]
        self.leaf_words = [_word(word, named) for word in self.leaf_words]
        self.structures = [tree.flatten(value)[1] for value in inputs]
        ends = np.cumsum([0, *(structure.size for structure in self.structures)])
        self.places = [[i - start for i in self.free if start <= i < end] for start, end in itertools.pairwise(ends)]
        for k, value in enumerate(inputs):
            if any(is_complex(unwrap(leaf)) for leaf in tree.leaves(value)):
                raise TypeError(
                    f"{name}: input {k} is complex; expected real arrays. Write the rule for the real and the imaginary part."
                )

    def with_other_calling(self) -> tuple[str, Pair]:
        """The same rule with the other calling convention, and that one's name."""
        other = copy.copy(self)
        name = next(name for name, call in CALLINGS.items() if call is not self.calling)
        other.calling = CALLINGS[name]
        return name, other

    def with_functions(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> Pair:
        """The same inputs, and another forward and backward of the same calling convention."""
        other = copy.copy(self)
        other.forward, other.backward = forward, backward
        return other

    def _forward(self, xs: Sequence[Any]) -> tuple[Any, Any]:
        returned = self.forward(*xs)
        if not (isinstance(returned, (tuple, list)) and len(returned) == 2):
            raise NoPair(
                f"{self.caller}: forward returned {_described(returned)}; expected the pair (y, cache), the cache being what "
                "backward needs. Write `return y, cache`."
            )
        return returned[0], returned[1]

    def run(self, *floats: Any) -> tuple[Any, Callable[[Any], list[Any]]]:
        """The value, and what backward returns for a cotangent: one thing for every float array.

        Raises:
            Raised: forward or backward raised.
            WrongCount: backward did not return one gradient for every input.
        """
        y, cache = self._guarded("forward", self._forward, self.rebuild(floats))

        def returned(gy: Any) -> list[Any]:
            return self._by_leaf(self._guarded("backward", self.calling, self.backward, cache, gy))

        return y, returned

    def pull(
        self, *floats: Any, run: tuple[Any, Callable[[Any], Sequence[Any]]] | None = None
    ) -> tuple[Any, Callable[[Any], Sequence[Any]]]:
        """The value, and from a cotangent one array for every float array: zeros for what is no array of its shape."""
        y, returned = run or self.run(*[module_of(value).array(value) for value in floats])

        def arrays(gy: Any) -> list[Any]:
            again = self.run(*[module_of(value).array(value) for value in floats])[1] if self.fresh else returned
            return [
                unwrap(g) if usable(g, value) else module_of(value).zeros(value.shape, value.dtype)
                for g, value in zip(again(module_of(gy).array(gy)), floats, strict=True)
            ]

        return y, arrays

    def _guarded(self, stage: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            with np.errstate(all="ignore"):
                return function(*args)
        except NoPair:
            raise
        except (Exception, SystemExit) as error:  # a student's code may raise anything, and call exit()
            raise Raised(stage, error) from error

    def _by_leaf(self, returned: Any) -> list[Any]:
        """What backward returned, one thing for every float array among the inputs."""
        inputs = len(self.structures)
        differentiated = [k for k, places in enumerate(self.places) if places]
        if isinstance(returned, list) and len(differentiated) == 1 and len(returned) not in (1, inputs):
            returned = (returned,)  # the rows of a gradient, by tolist
        if not isinstance(returned, (tuple, list)) or hasattr(returned, "_fields"):
            if len(differentiated) > 1:
                raise WrongCount(f"{_described(returned)} for {inputs} inputs")
            returned = (returned,)
        if len(returned) == inputs:
            for k in set(range(inputs)) - set(differentiated):
                if _is_gradient(returned[k]):
                    raise WrongCount(f"a gradient for input {k}, which holds no floats: return None in its place")
            parts = [returned[k] for k in differentiated]
        elif len(returned) == len(differentiated):
            parts = list(returned)
        else:
            gradients = "1 gradient" if len(returned) == 1 else f"{len(returned)} gradients"
            raise WrongCount(f"{gradients} for {inputs} input{'s' * (inputs > 1)}")
        leaves: list[Any] = []
        for k, part in zip(differentiated, parts, strict=True):
            leaves += self._leaves_of(k, part)
        return leaves

    def _leaves_of(self, k: int, part: Any) -> list[Any]:
        """The gradients of the float leaves of input ``k``."""
        structure, places = self.structures[k], self.places[k]
        if structure.kind is None:
            return [part]
        try:
            found = list(_leaves_in(structure, part, f"the gradient of input {k}"))
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise WrongCount(f"a gradient of input {k} that is built otherwise than the input: {error!r}") from error
        return [found[i] for i in places]


def _leaves_in(structure: tree.Structure, part: Any, name: str) -> Iterator[Any]:
    """What stands in a tree where the structure has its leaves: None where nothing does, which is the business of D03."""
    if structure.kind is None or part is None:
        yield from [part] * structure.size
        return
    keys, found = tree.children(part)
    held = dict(zip(keys, found, strict=True))
    if set(held) - set(structure.keys):
        raise KeyError(f"{name} has {sorted(set(held) - set(structure.keys), key=str)[0]!r}, and the input has not")
    for key, child in zip(structure.keys, structure.children, strict=True):
        yield from _leaves_in(child, held.get(key), f"{name}[{key!r}]")


def parameter_names(forward: Callable[..., Any], count: int) -> list[str]:
    """What forward calls its first arguments; empty where it does not say."""
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        return []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return named[:count] if len(named) >= count else []


def _split(word: str) -> tuple[int, str]:
    """The position and the path in ``in2['w']``."""
    digits = re.match(r"in(\d+)", word)
    assert digits is not None
    return int(digits[1]), word[digits.end() :]


def _named(word: str, name: str, named: list[str]) -> str:
    position, path = _split(word)
    return f"input {position} '{named[position]}'{path}" if named else name


def _word(word: str, named: list[str]) -> str:
    position, path = _split(word)
    return f"{named[position]}{path}" if named else word


def _is_gradient(value: Any) -> bool:
    """Whether something returned for an input without floats claims to be a gradient; zeros do no harm."""
    value = unwrap(value)
    return is_array(value) and value.dtype.kind == "f" and bool(value.any())


def usable(g: Any, value: Any) -> bool:
    """Whether a gradient can be compared as it is: a real array of the shape of its input."""
    g = unwrap(g)
    if isinstance(g, (int, float)):
        return bool(np.shape(value) == ())
    return is_array(g) and g.dtype.kind in "fiub" and g.shape == np.shape(value)


def _described(value: Any) -> str:
    return f"a tuple of {len(value)}" if isinstance(value, (tuple, list)) else describe(value)


def _is_library(file: str) -> bool:
    return f"{Path('tinyad') / 'checking'}" in file or "site-packages" in file or file.startswith("<__array_function__")


def entries(array: Any) -> Any:
    """An array's numbers as float64 on the CPU."""
    return np.array(asnumpy(unwrap(array)), dtype=np.float64)
