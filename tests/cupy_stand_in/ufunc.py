"""CuPy's ufuncs: they take stand-ins and numbers alone, and choose their loops as CuPy does."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tests.cupy_stand_in.names import LISTED, signature
from tests.cupy_stand_in.ndarray import SCALARS, StandInArray, checked, on_device, on_host, spread_index

__all__ = ["StandInUfunc"]

_WITH_AT = {
    "add": "ilefdIL", "subtract": "iI", "maximum": "ilfdIL", "minimum": "ilfdIL", "bitwise_and": "ilIL", "bitwise_or": "ilIL",
    "bitwise_xor": "ilIL",
}  # fmt: skip
"""The ufuncs that have `at`, and the dtypes it has, which are those that a GPU can add to in one step."""


class StandInUfunc:
    """One of CuPy's ufuncs.

    Attributes:
        types: the dtypes it has loops for, in the order in which they are tried.
    """

    def __init__(self, name: str, entry: str, numpys: Any) -> None:
        self.__name__ = self.name = name
        self.types = entry.split()[1:]
        self.nin, self.nout = (len(part) for part in self.types[0].split("->"))
        self._numpys = numpys

    def __repr__(self) -> str:
        return f"<ufunc 'cupy_{self.name}'>"

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind", **others: Any) -> Any:
        if others:
            raise TypeError(f"{self.name}: Wrong arguments {others}")
        if not self.nin <= len(args) <= self.nin + self.nout:
            raise TypeError(f"{self.name}: Wrong number of arguments: {len(args)}")
        operands, given = args[: self.nin], args[self.nin :] or (out if isinstance(out, tuple) else (out,) * self.nout)
        for x in (*operands, *[x for x in given if x is not None]):
            if not isinstance(x, (StandInArray, *SCALARS)):
                raise TypeError(f"{self.name}: Unsupported type {type(x)}")
        kinds = tuple([_kind(x) for x in operands])
        loop = self._loop_by_dtype(np.dtype(dtype).char) if dtype is not None else self._loop(kinds)
        if loop is None or self._numpys is None:
            raise TypeError(f"{self.name}: Wrong type {[kind for kind, _ in kinds]} of arguments")
        takes, gives = loop
        with np.errstate(all="ignore"):
            found = self._numpys(*[np.asarray(on_host(x)).astype(t, copy=False) for x, t in zip(operands, takes, strict=True)])
        results = [
            _written(np.asarray(x).astype(t, copy=False), y, casting)
            for x, t, y in zip(found if self.nout > 1 else (found,), gives, given, strict=True)
        ]
        return results[0] if self.nout == 1 else tuple(results)

    @functools.cache  # noqa: B019 (there is one for each name, and it lives as long as the tests)
    def _loop(self, kinds: tuple[tuple[Any, Any], ...]) -> tuple[str, str] | None:
        """The first loop that the operands can be cast to; Python's numbers follow the arrays, if these are of their kind."""
        strong = [_RANKS[np.dtype(dtype).kind] for dtype, weak in kinds if weak is None]
        yielding = [_RANKS[np.dtype(dtype).kind] for dtype, weak in kinds if weak is not None]
        follow = bool(strong) and bool(yielding) and max(strong) >= max(yielding)
        for loop in self.types:
            takes, gives = loop.split("->")
            if all(_fits(dtype, weak if follow else None, t) for (dtype, weak), t in zip(kinds, takes, strict=True)):
                return takes, gives
        return None

    def _loop_by_dtype(self, char: str) -> tuple[str, str] | None:
        loops = [loop.split("->") for loop in self.types]
        return next(((takes, gives) for takes, gives in loops if set(gives) == {char}), None)

    # ---- the ways to apply it

    def at(self, *args: Any, **kwargs: Any) -> None:
        """``a[indices] += b``, with repeated indices adding up."""
        arguments = signature(LISTED["cupy.ufunc"]["at"]).bind(*args, **kwargs).arguments
        a, b = arguments["a"], arguments.get("b")
        if self.name not in _WITH_AT:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if not isinstance(a, StandInArray) or not isinstance(b, (StandInArray, *SCALARS)):
            raise TypeError(f"{self.name}.at: Unsupported types {type(a)} and {type(b)}")
        index, advanced = spread_index(a.shape, arguments["indices"])
        if advanced and a.dtype.char not in _WITH_AT[self.name]:
            raise TypeError(f"cupy.{self.name}.at only supports the data types {_WITH_AT[self.name]}, not {a.dtype}")
        self._numpys.at(on_host(a), index, np.asarray(on_host(b)).astype(a.dtype))

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        """The sum or product along axes."""
        return self._accumulated("reduce", {"add": "sum", "multiply": "prod"}, args, kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Any:
        """The running sum or product along an axis."""
        return self._accumulated("accumulate", {"add": "cumsum", "multiply": "cumprod"}, args, kwargs)

    def _accumulated(self, name: str, methods: dict[str, str], args: Any, kwargs: Any) -> Any:
        arguments = checked(f"{self.name}.{name}", LISTED["cupy.ufunc"][name], args, kwargs)
        if self.name not in methods:
            raise NotImplementedError(f"`{self.name}.{name}` is not supported yet")
        return getattr(arguments.pop("array"), methods[self.name])(**{"axis": 0, **arguments})

    def outer(self, *args: Any, **kwargs: Any) -> Any:
        """The ufunc of all pairs of elements."""
        a, b = args
        return self(a.reshape(a.shape + (1,) * b.ndim), b.reshape((1,) * a.ndim + b.shape), **kwargs)


def _written(result: Any, given: StandInArray | None, casting: Any) -> StandInArray:
    """A result, written into the array that was given for it."""
    if given is None:
        return on_device(result)  # type: ignore[no-any-return]
    held = on_host(given)
    if not np.can_cast(result.dtype, held.dtype, casting):
        raise TypeError(f"output (typecode {result.dtype.char!r}) could not be coerced to {held.dtype.char!r} by {casting!r}")
    if np.broadcast_shapes(result.shape, held.shape) != held.shape:
        raise ValueError(f"Out shape is mismatched: {held.shape} for a result of shape {result.shape}")
    np.copyto(held, result, casting="unsafe")
    return given


def _kind(x: Any) -> tuple[Any, type | None]:
    """The dtype of an operand, and for Python's own numbers, which are weak, their type."""
    if type(x) in (int, float, complex):
        return np.result_type(type(x)).char, type(x)
    return (x.dtype if hasattr(x, "dtype") else np.dtype(type(x))).char, None


_RANKS = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 2}


def _fits(dtype: str, weak: type | None, takes: str) -> bool:
    return np.can_cast(dtype, takes) or (weak is not None and np.result_type(weak(0), np.dtype(takes)) == np.dtype(takes))
