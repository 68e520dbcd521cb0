"""What ``tinyad check`` is asked about: functions in a student's file, and the inputs to check them at.

A file is run once, in this process: it is the caller's own. Names in it say what is what: ``softmax_forward`` and
``softmax_backward`` are a rule, ``softmax_inputs(rng)`` draws its inputs, and ``inputs(rng)`` those of everything that has none of
its own.
"""

from __future__ import annotations

import linecache
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .shapes import generic

__all__ = ["Crashed", "NoInputs", "Subject", "inputs_of", "load_file", "read_shapes", "subjects"]

FORWARD, BACKWARD, INPUTS = "_forward", "_backward", "inputs"


class Crashed(Exception):
    """The file raised, or a function in it that only draws inputs."""


class NoInputs(ValueError):
    """Nothing says what the inputs are."""


@dataclass(frozen=True)
class Subject:
    """Something to check.

    Attributes:
        name: that was asked for.
        kind: "rule", "layer", "engine" or "function".
        parts: forward and backward of a rule; otherwise the class or the function.
    """

    name: str
    kind: str
    parts: tuple[Any, ...]


def load_file(path: str | Path) -> types.ModuleType:
    """Run a file as a module of its own; modules beside it can be imported by it.

    Raises:
        ValueError: there is no such file.
        Crashed: it raises, or exits; the message names the line.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"there is no file {str(path)!r}; expected a Python file, as in ops.py::softmax.")
    file = file.resolve()
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    sys.path.insert(0, str(file.parent))
    try:
        source = file.read_text(encoding="utf-8")
        linecache.cache[str(file)] = (len(source), None, source.splitlines(keepends=True), str(file))
        exec(compile(source, str(file), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        raise Crashed(f"{file.name} raised {described(error)}") from error
    return module


def described(error: BaseException) -> str:
    """An error as one line, with the last line of the user's own files that it came by, if there is one."""
    ours = Path(__file__).parents[1]
    places = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    theirs = [(file, line) for file, line in places if ours not in file.parents and "site-packages" not in file.parts]
    where = f" ({theirs[-1][0].name}, line {theirs[-1][1]})" if theirs and not isinstance(error, SyntaxError) else ""
    return f"{type(error).__name__}: {error}{where}"


# ---- what is checked


def subjects(module: types.ModuleType, name: str = "", backward: str = "") -> list[Subject]:
    """What a name stands for in a file; without a name, all rules, layers and engines that are defined there.

    Args:
        name: ``softmax`` for softmax_forward and softmax_backward, a class or a function.
        backward: the backward function, if it is called something else.

    Raises:
        ValueError: there is no such name, or nothing to check.
    """
    if name:
        return [_named(module, name, backward)]
    if backward:
        raise ValueError("--backward belongs to one rule; name its forward, as in ops.py::softmax --backward softmax_grad.")
    own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    rules = [key.removesuffix(FORWARD) for key in own if key.endswith(FORWARD)]
    found = [_named(module, rule) for rule in rules if rule + BACKWARD in own]
    found += [_class(key, value) for key, value in own.items() if isinstance(value, type) and hasattr(value, "backward")]
    if not found:
        raise ValueError(
            "there is nothing to check in the file: no pair like softmax_forward and softmax_backward, no class with a method "
            "backward. Name a function, as in ops.py::loss."
        )
    return found


def _named(module: types.ModuleType, name: str, backward: str = "") -> Subject:
    there = vars(module)
    forward_name = name if backward and name + FORWARD not in there else name + FORWARD
    backward_name = backward or name + BACKWARD
    if forward_name in there and backward_name in there:
        return Subject(name, "rule", (there[forward_name], there[backward_name]))
    if isinstance(there.get(name), type):
        return _class(name, there[name])
    if callable(there.get(name)) and not backward:
        return Subject(name, "function", (there[name],))
    missing = [each for each in (forward_name, backward_name) if each not in there]
    defined = ", ".join(key for key, value in there.items() if callable(value) and not key.startswith("_")) or "nothing"
    raise ValueError(f"there is no {' and no '.join(missing)} in the file; it defines {defined}.")


def _class(name: str, found: type) -> Subject:
    """A layer has forward and backward; what has backward alone is an engine's variable."""
    if not hasattr(found, "backward"):
        raise ValueError(f"{name} is a class without a method backward; expected a layer (forward, backward) or an engine.")
    return Subject(name, "layer" if hasattr(found, "forward") else "engine", (found,))


# ---- inputs


def inputs_of(module: types.ModuleType, name: str, shapes: str, seed: int, dtype: str) -> tuple[Any, ...]:
    """The inputs of a subject: of these shapes if any are given, else as the file draws them.

    Raises:
        ValueError: shapes that are none; `NoInputs` if nothing says what the inputs are.
        Crashed: the function that draws them raises.
    """
    random = np.random.default_rng(seed)
    if shapes:
        drawn: Any = tuple(generic(random, shape) for shape in read_shapes(shapes))
    else:
        drawn = _draw(_drawer(module, name), random)
    return tuple(_as(value, dtype) for value in (drawn if isinstance(drawn, tuple) else (drawn,)))


def _drawer(module: types.ModuleType, name: str) -> Callable[..., Any]:
    for each in (f"{name}_{INPUTS}", INPUTS):
        if callable(getattr(module, each, None)):
            found: Callable[..., Any] = getattr(module, each)
            return found
    raise NoInputs(
        f"no inputs are known for {name}. Give their shapes, one for each input: --shapes 5x3,3x7,7. "
        f"Or write into the file how they are drawn: def {name}_{INPUTS}(rng): return rng.normal(size=(5, 3)), rng.normal(size=3)"
    )


def _draw(drawer: Callable[..., Any], random: np.random.Generator) -> Any:
    try:
        return drawer(random)
    except Exception as error:
        raise Crashed(f"{drawer.__name__}(rng) raised {described(error)}") from error


def _as(value: Any, dtype: str) -> Any:
    """A float array in a dtype; everything else as it is."""
    if not dtype or getattr(getattr(value, "dtype", None), "kind", "") != "f":
        return value
    return np.asarray(value, dtype)


def read_shapes(text: str) -> list[tuple[int, ...]]:
    """Shapes from text.

    Raises:
        ValueError: it is none.

    >>> read_shapes("5x3,3x7,7"), read_shapes("scalar,4")
    ([(5, 3), (3, 7), (7,)], [(), (4,)])
    """
    return [_shape(part.strip(), text) for part in text.split(",")]


def _shape(part: str, text: str) -> tuple[int, ...]:
    if part == "scalar":
        return ()
    lengths: Sequence[str] = part.lower().split("x")
    if not all(length.isdecimal() and int(length) for length in lengths):
        raise ValueError(f"--shapes is {text!r}; expected one shape for each input, like 5x3,3x7,7, and 'scalar' for a number.")
    return tuple(map(int, lengths))
