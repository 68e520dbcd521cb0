"""What ``tinyad check`` is asked about: functions in a student's file, and the inputs to check them at.

A file is run once, in this process: it is the caller's own. Names in it say what is what: ``softmax_forward`` and
``softmax_backward`` are a rule, and so are ``softmax`` and ``softmax_backward``; ``softmax_inputs(rng)`` draws its inputs, and
``inputs(rng)`` those of everything that has none of its own. Of a notebook the code cells are run, without their magics.
"""

from __future__ import annotations

import difflib
import inspect
import json
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

__all__ = ["Crashed", "NoInputs", "Subject", "inputs_of", "load_file", "read_shapes", "require_fit", "subjects"]

INPUTS = "inputs"
FORWARDS = ("_forward", "_fwd", "")  # what stands behind the name of a rule, for its forward
BACKWARDS = ("_backward", "_bwd", "_grad")
PREFIXES = ("d", "d_")  # of a backward, but only of a rule that was named: drop is no derivative of rop


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
        found = f"{str(path)!r} is a folder" if file.is_dir() else f"there is no file {str(path)!r}"
        raise ValueError(f"{found}; expected a Python file, as in ops.py::softmax.")
    file = file.resolve()
    source = _source(file)
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    sys.path.insert(0, str(file.parent))
    try:
        linecache.cache[str(file)] = (len(source), None, source.splitlines(keepends=True), str(file))
        exec(compile(source, str(file), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        raise Crashed(f"{file.name} raised {described(error)}") from error
    return module


def _source(file: Path) -> str:
    """The text of a file; of a notebook that of its code cells, one below the other, magics commented out."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".ipynb":
        return text
    try:
        cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file.name} is no notebook that can be read: {error!r}; export it as a Python file.") from error
    return "\n".join(_without_magics(cell) for cell in cells) + "\n"


def _without_magics(cell: str) -> str:
    """A cell as Python: ``%matplotlib inline`` and ``!pip ...`` are left out, and all of a cell that is a ``%%magic``."""
    if cell.lstrip().startswith("%%"):
        return "\n".join(f"# {line}" for line in cell.splitlines())
    lines = cell.splitlines()
    return "\n".join(f"pass  # {line}" if line.startswith(("%", "!")) else line for line in lines)


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
        return [_named(vars(module), name, backward)]
    if backward:
        raise ValueError("--backward belongs to one rule; name its forward, as in ops.py::softmax --backward softmax_slope.")
    own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    rules = dict.fromkeys(base for key in own for base in _bases(key, BACKWARDS) if base and _pair(own, base))
    found = [Subject(base, "rule", tuple(own[key] for key in _pair(own, base))) for base in rules]
    found += [_class(key, value) for key, value in own.items() if isinstance(value, type) and hasattr(value, "backward")]
    if not found:
        raise ValueError(
            "there is nothing to check in the file: no pair like softmax_forward (or softmax) and softmax_backward, no class with "
            "a method backward. Name a function, as in ops.py::loss, and its backward if there is one: --backward NAME."
        )
    return found


def _named(there: dict[str, Any], name: str, backward: str) -> Subject:
    """What a name stands for: a rule if there is a backward to it, else a class or a function."""
    for base in dict.fromkeys([name, *_bases(name, (*FORWARDS, *BACKWARDS))]):
        if pair := _pair(there, base, backward, PREFIXES):
            return Subject(base, "rule", tuple(there[key] for key in pair))
    if isinstance(there.get(name), type) and not backward:
        return _class(name, there[name])
    if callable(there.get(name)) and not backward:
        return Subject(name, "function", (there[name],))
    raise ValueError(_missing(there, name, backward))


def _bases(name: str, endings: Sequence[str]) -> list[str]:
    """The name of the rule that a function belongs to: softmax of softmax_backward."""
    return [name.removesuffix(ending) for ending in endings if ending and name.endswith(ending)]


def _pair(there: dict[str, Any], base: str, backward: str = "", prefixes: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of a rule's forward and backward; none if there is no such pair."""
    forwards = [base + ending for ending in FORWARDS if _is_function(there.get(base + ending))]
    usual = [base + ending for ending in BACKWARDS] + [prefix + base for prefix in prefixes]
    backwards = [key for key in ([backward] if backward else usual) if _is_function(there.get(key))]
    if not backward:  # the gradient of a function is often called so, too: loss_grad(x) is no backward
        backwards = [key for key in backwards if key.endswith(BACKWARDS[:2]) or _takes(there[key], 2)]
    return (forwards[0], backwards[0]) if forwards and backwards else ()


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments; yes if it does not say."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _missing(there: dict[str, Any], name: str, backward: str) -> str:
    """What to say of a name that stands for nothing: the names that are like it, and those that there are."""
    defined = [key for key, value in there.items() if callable(value) and not key.startswith("_")]
    forward = [name + ending for ending in FORWARDS if _is_function(there.get(name + ending))]
    listed = f"The file defines {', '.join(defined) or 'nothing'}."
    bases = [base for key in defined for base in _bases(key, (*FORWARDS, *BACKWARDS))]
    if forward and not backward:
        wanted = f"there is no {name}_backward in the file, the backward of {forward[0]}"
        return f"{wanted}. If it is called otherwise, name it: --backward NAME. {listed}"
    lacking = backward if forward else name
    near = difflib.get_close_matches(lacking, dict.fromkeys([*bases, *defined]), n=3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    names = lacking if forward or name.endswith(FORWARDS[0]) else f"{name} and no {name}_forward"
    return f"there is no {names} in the file.{meant} {listed}"


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


def require_fit(module: types.ModuleType, subject: Subject, inputs: tuple[Any, ...], shapes: str) -> None:
    """Raise `NoInputs` if a subject's function cannot be called with so many inputs."""
    function = subject.parts[0]
    called, own = (f"{subject.name}.forward", 1) if subject.kind == "layer" else (function.__name__, 0)
    function = function.forward if subject.kind == "layer" else function
    if not callable(function) or _takes(function, len(inputs) + own):
        return
    wanted = ", ".join(list(inspect.signature(function).parameters)[own:])
    given = f"--shapes {shapes} gives" if shapes else f"{_drawer(module, subject.name).__name__}(rng) draws"
    raise NoInputs(
        f"{called} takes ({wanted}), and {given} {len(inputs)} input{'s' * (len(inputs) != 1)}. Give a shape for each: --shapes "
        f"5x3,3x7,7. Or write into the file how all are drawn: def {subject.name}_{INPUTS}(rng): return ..., ..."
    )


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
