"""`compile`: a function traced once, optimised, and replayed as NumPy source."""

from __future__ import annotations

import builtins
import functools
import inspect
import itertools
import keyword
import linecache
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import tree
from ..backend import asnumpy, is_array, module_of_type
from ..program import Constant, Program
from ..tensor import Tensor, unwrap
from ..tracing import Trace, Traced, example_of
from .draws import refuse_other_draws, undrawn, with_traced_generators, without_traced_generators
from .numpy_source import LOADING, Source, write
from .passes import optimise
from .trees import giver, refuse_what_is_no_tree, snapshot, taker

__all__ = ["Compiled", "VerificationError", "compile"]

Function = Callable[..., Any]
_count = itertools.count(1).__next__


@dataclass(eq=False)
class _Entry:
    """What was compiled for one kind of arguments."""

    traced: Program  # as written down
    program: Program  # after the passes
    source: Source
    run: Function
    dynamic: list[int]  # the leaves of the arguments that are inputs
    take: Function  # from the arguments to their leaves, if they are of this kind
    give: Function  # from the leaves of the result to the result
    lock: threading.Lock  # the memory serves one call at a time


def compile(f: Function | None = None, *, static: Any = (), donate: Any = (), verify: bool = False) -> Any:
    """``f``, replayed as straight-line NumPy.

    ``f`` is called once for each combination of the arguments' structures, shapes, dtypes and static values, on values that
    write down what is done to them, gradients included; what was written down becomes a program, passes shorten it, and later
    calls run its NumPy source, in which intermediate results live in memory planned beforehand.

    What treats the examples of a batch one by one runs in several threads if it takes more than a millisecond, if their number
    can be divided, and if threadpoolctl is installed (``pip install threadpoolctl``): as many threads as NumPy's matrix products
    use, which take one each in the meantime. So ``OPENBLAS_NUM_THREADS=1`` keeps everything in one thread.

    Args:
        f: a function of trees of arrays. It must not branch on values, and must do nothing but compute its result; to check
            something use `require`. Without it a decorator is returned: ``@ad.compile(donate="params")``.
        static: names or positions of arguments that are settings: each new value is traced anew. Strings, booleans and ``None``
            are static by themselves; Python numbers are not, they may change from call to call.
        donate: names or positions of arguments whose arrays may be overwritten by results of the same shape and dtype; the
            caller must not use them any more.
        verify: at each call run ``f`` itself too, and compare. For finding out whether something that ``f`` uses has changed.

    Returns:
        A function like ``f``, with the methods `Compiled.source` and `Compiled.program`. Results are new arrays. Arrays that
        ``f`` uses without getting them as arguments are taken as they are at the first call. Called with recorded Tensors, or
        inside another traced function, it is ``f`` itself.

    Raises:
        TracingError: at the first call, if ``f`` does something that a program cannot say, with the line and what to do.

    >>> import numpy as np, tinyad as ad
    >>> slope = ad.compile(ad.grad(lambda x: ad.sum(ad.sin(x))))
    >>> slope(np.zeros(2))
    array([1., 1.])
    """
    if f is None:
        return functools.partial(compile, static=static, donate=donate, verify=verify)
    return Compiled(f, static, donate, verify)


class Compiled:
    """A compiled function; made by `compile`."""

    def __init__(self, f: Function, static: Any, donate: Any, verify: bool) -> None:
        if not callable(f):
            raise TypeError(f"compile: got a {type(f).__name__}; expected a function. Write ad.compile(f), then call that")
        self.f, self.verify = f, verify
        self._parameters = _parameters(f)
        self._static = _chosen("static", static, f, self._parameters)
        self._donate = _chosen("donate", donate, f, self._parameters)
        self._entries: dict[Any, _Entry] = {}
        self._latest: list[_Entry] = []
        functools.update_wrapper(self, f, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for entry in self._latest:
            leaves = entry.take((args, kwargs))
            if leaves is not None:
                break
        else:
            leaves, structure = tree.flatten((args, kwargs))
            if any(_on_a_tape(x) or _is_elsewhere(x) for x in leaves):
                return self.f(*args, **kwargs)
            entry = self._entry(leaves, structure, args, kwargs)
            leaves = [unwrap(x) for x in leaves]
        inputs = [leaves[k] for k in entry.dynamic]
        if self._donate:
            _check_distinct(inputs)
        if self.verify:
            with undrawn((args, kwargs)):
                expected = self.f(*args, **kwargs)  # before donated arrays are overwritten
        with entry.lock:
            result = entry.give(entry.run(*inputs))
        if self.verify:
            _compare(result, expected)
        return result

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: called with the instance, a tree like any argument."""
        return self if instance is None else functools.partial(self, instance)

    def source(self, *args: Any, **kwargs: Any) -> str:
        """The NumPy source for arguments like these.

        It runs long stretches in threads, with a function of tinyad's; `save` writes that out, too.
        """
        return self._entry(*tree.flatten((args, kwargs)), args, kwargs).source.text

    def program(self, *args: Any, optimised: bool = True, **kwargs: Any) -> Program:
        """The program for arguments like these, after the passes or before them."""
        entry = self._entry(*tree.flatten((args, kwargs)), args, kwargs)
        return entry.program if optimised else entry.traced

    def save(self, path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Write the source for arguments like these to a Python file, which needs NumPy alone.

        It defines a function of the leaves of the arguments, in their order, that returns the leaves of the result. Captured
        arrays, if there are large ones, go to a file beside it that ends in ``.npz``.
        """
        source = self._entry(*tree.flatten((args, kwargs)), args, kwargs).source
        path = Path(path)
        path.write_text(source.alone(), encoding="utf-8")
        if arrays := {name: x for name, x in source.given.items() if is_array(x)}:
            np.savez(path.with_suffix(".npz"), **arrays)

    def _entry(self, leaves: list[Any], structure: tree.Structure, args: Any, kwargs: Any) -> _Entry:
        settings = self._settings(args, kwargs)
        key = (snapshot(structure), settings, tuple([_kind(x) for x in leaves]))
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._build(leaves, structure, args, kwargs)
        self._latest = [entry, *[e for e in self._latest if e is not entry]][:4]
        return entry

    def _settings(self, args: Any, kwargs: Any) -> tuple[Any, ...]:
        """The values of static arguments that are numbers: everything else is part of the structure or refused."""
        found = [tree.leaves(argument) for name, argument in self._named(args, kwargs) if name in self._static]
        for values in found:
            for x in values:
                if is_array(x) or isinstance(x, Tensor):
                    raise TypeError(
                        "compile: a static argument holds an array; a static argument is a setting that is traced anew for each "
                        "value. Pass arrays as ordinary arguments"
                    )
        return tuple([(type(x), x) for values in found for x in values])

    def _named(self, args: Any, kwargs: Any) -> list[tuple[str | int, Any]]:
        """Each argument with its name, or its position where it has none."""
        names = [self._parameters[i] if i < len(self._parameters) else i for i in range(len(args))]
        return [*zip(names, args, strict=True), *[(name, kwargs[name]) for name in sorted(kwargs, key=str)]]

    def _build(self, leaves: list[Any], structure: tree.Structure, args: Any, kwargs: Any) -> _Entry:
        names, owners = [], []
        for name, argument in self._named(args, kwargs):
            base = name if isinstance(name, str) else f"x{name}"
            paths = tree.paths(argument)
            names += [_identifier(base + path) for path in paths]
            owners += [name] * len(paths)
        dynamic = [k for k, x in enumerate(leaves) if not isinstance(x, bool) and owners[k] not in self._static]
        current = _Tracing("compile", ", or declare the argument it comes from static", differentiable=False)
        with current.open():
            opened = list(leaves)
            for k in dynamic:
                argument = current.argument(example_of(leaves[k]), names[k])
                opened[k] = Tensor(argument) if isinstance(leaves[k], Tensor) else argument
            inner_args, inner_kwargs = tree.unflatten(with_traced_generators(structure, current), opened)
            refuse = refuse_other_draws(self.f)
            try:
                result, out_structure = tree.flatten(self.f(*inner_args, **inner_kwargs))
            except (IndexError, ValueError):
                self.f(*args, **kwargs)  # perhaps these arguments are at fault: then it says so itself
                raise
            refuse()
        refuse_what_is_no_tree(out_structure, structure)
        traced = current.program(result).pruned()
        traced.name = _identifier(getattr(self.f, "__name__", "program"))
        program = optimise(traced.copied())
        donated = [v for k, v in zip(dynamic, program.inputs, strict=True) if owners[k] in self._donate]
        source = write(program, donated)
        return _Entry(
            traced=traced,
            program=program,
            source=source,
            run=_loaded(source),
            dynamic=dynamic,
            take=taker(structure, [_guarded(x, k in dynamic) for k, x in enumerate(leaves)]),
            give=giver(without_traced_generators(out_structure), [isinstance(x, Tensor) for x in result]),
            lock=threading.Lock(),
        )


def _on_a_tape(x: Any) -> bool:
    """Whether a leaf is being recorded or traced: then the function itself belongs into that record."""
    return isinstance(x, Traced) or (isinstance(x, Tensor) and (x.node is not None or type(x.array) is Traced))


def _guarded(x: Any, dynamic: bool) -> Any:
    """A leaf for `taker`; a static number is left to the slow way, which compares its value."""
    return x if dynamic or isinstance(x, bool) else object()


def _is_elsewhere(x: Any) -> bool:
    """Whether an array does not live in NumPy's memory: no program is written for it yet."""
    return is_array(x) and module_of_type(type(unwrap(x))) is not np


def _check_distinct(inputs: list[Any]) -> None:
    """Raise if an array is given twice, because a donated one may be overwritten while the other is still read."""
    arrays = [id(x) for x in inputs if isinstance(x, np.ndarray)]
    if len(set(arrays)) != len(arrays):
        raise ValueError(
            "compile: with donate=, the same array was given twice among the arguments; one may be overwritten while the other is "
            "read. Give a copy of it"
        )


def _compare(result: Any, expected: Any) -> None:
    """Raise if a replay differs from what the function itself gave."""
    found, structure = tree.flatten(result)
    for k, (x, y) in enumerate(zip(found, tree.same_structure("replay", structure, expected, "result"), strict=True)):
        a, b = (asnumpy(unwrap(value)) for value in (x, y))
        eps = np.finfo(a.dtype).eps if a.dtype.kind in "fc" else 0.0
        scale = np.abs(b[np.isfinite(b)]).max(initial=0.0) if b.dtype.kind in "fciu" else 0.0
        fits = a.shape == b.shape and a.dtype == b.dtype
        if not fits or not np.allclose(a, b, rtol=1e4 * eps, atol=1e3 * eps * scale, equal_nan=True):
            gap = f", by {np.abs(a - b).max():.1e}" if fits and a.dtype.kind in "fc" else ""
            raise VerificationError(
                f"compile: the replay's result{tree.paths(result)[k]} differs from that of the function itself: {a.dtype} of "
                f"shape {a.shape} against {b.dtype} of shape {b.shape}{gap}. "
                f"Perhaps the function uses something that has changed since it was traced, or draws random numbers; pass that "
                f"as an argument"
            )


class VerificationError(AssertionError):
    """With ``verify=True``: the replay and the function itself gave different results."""


class _Tracing(Trace):
    """The trace of a compiled function: recorded Tensors of a surrounding derivative would be lost in it."""

    def captured(self, tensor: Tensor) -> Constant:
        raise self.forbidden(
            "the function uses a recorded Tensor that it does not get as an argument, so its derivative would be lost",
            "Pass it as an argument",
        )


def _kind(x: Any) -> Any:
    """What a program depends on of a leaf of the arguments."""
    array = unwrap(x)
    if isinstance(array, bool) or not is_array(array):
        return (type(array), array) if isinstance(array, bool) else type(array)
    return (array.shape, array.dtype, module_of_type(type(array)), type(x) is Tensor)


def _signature(f: Function) -> list[inspect.Parameter]:
    """The parameters; any, where they cannot be known."""
    try:
        return list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return [
            inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
            inspect.Parameter("kw", inspect.Parameter.VAR_KEYWORD),
        ]


def _parameters(f: Function) -> list[str]:
    """The names of the positional parameters."""
    return [p.name for p in _signature(f) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _chosen(what: str, given: Any, f: Function, positional: list[str]) -> frozenset[Any]:
    """The arguments named by the user, by name where they have one."""
    parameters = _signature(f)
    names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    any_place = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    found = []
    for entry in (given,) if isinstance(given, (int, str)) else tuple(given):
        known = any_name or entry in names if isinstance(entry, str) else any_place or entry in range(len(positional))
        if not known:
            raise ValueError(
                f"compile: {what} names {entry!r}; the function has the parameters {', '.join(names) or '(none)'}. Give their "
                f"names, or positions from 0 on"
            )
        found.append(positional[entry] if isinstance(entry, int) and entry in range(len(positional)) else entry)
    return frozenset(found)


def _identifier(text: str) -> str:
    word = "".join(c if c.isalnum() else "_" for c in text.replace("']", "").replace("['", "_"))
    while "__" in word:
        word = word.replace("__", "_")
    word = word.strip("_")
    if word in ("np", "given"):  # names that the source needs itself
        return f"{word}_"
    return "program" if not word or keyword.iskeyword(word) or word[0].isdigit() else word


def _loaded(source: Source) -> Function:
    """The function that a source defines. Its text is registered, so that tracebacks show it."""
    filename = f"<tinyad {source.name} {_count()}>"
    text = source.text.replace(LOADING, "# given: captured arrays")
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    namespace: dict[str, Any] = {"__name__": source.name, "given": source.given}
    exec(builtins.compile(text, filename, "exec"), namespace)
    namespace.update(source.given)  # generators: the caller's, not new ones
    return namespace[source.name]  # type: ignore[no-any-return]
