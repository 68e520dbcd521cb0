"""An array class that refuses what CuPy's arrays refuse, computed by NumPy.

It *holds* a NumPy array and is none: `numpy.asarray` of a subclass would succeed whatever the subclass says. Nothing leaves it
but by ``get``, ``item``, ``tolist`` and Python's own conversions; reductions, ufuncs and elements are arrays without axes, never
NumPy scalars. What it can do is what the real ``cupy.ndarray`` has a name for (`names.LISTED`).
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.cupy_stand_in.names import LISTED, holds, refuse_host_arrays, signature

__all__ = ["SCALARS", "StandInArray", "checked", "namespaces", "on_device", "on_host", "refuse_other_sorts", "spread_index"]

Host = np.ndarray[Any, Any]
SCALARS = (bool, int, float, complex, np.bool_, np.number)
_holders: weakref.WeakValueDictionary[int, StandInArray] = weakref.WeakValueDictionary()
namespaces: dict[str, Any] = {}
"""The stand-ins of CuPy's modules by name, entered by `module.py`, which is built on this file."""


def on_device(value: Any) -> Any:
    """NumPy's results as CuPy's: arrays and scalars as stand-ins, also in tuples and lists; anything else as it is."""
    if isinstance(value, (np.ndarray, np.generic)):
        made = object.__new__(StandInArray)
        made._keep(np.asarray(value))
        return made
    if isinstance(value, (list, tuple)):
        return type(value)(map(on_device, value)) if type(value) in (list, tuple) else tuple(map(on_device, value))
    return value


def on_host(value: Any) -> Any:
    """Stand-ins as the NumPy arrays they hold, also in tuples, lists and dicts; anything else as it is."""
    if isinstance(value, StandInArray):
        return value._held
    if isinstance(value, (list, tuple)):
        return type(value)(map(on_host, value))
    if isinstance(value, dict):
        return {key: on_host(item) for key, item in value.items()}
    return value


# ---- the check of a call

OPERANDS = frozenset({
    "a", "b", "x", "y", "z", "m", "v", "x1", "x2", "A", "B", "a1", "a2", "ar1", "ar2", "arr", "ary", "arr1", "arr2", "array",
    "condition", "mask", "prototype", "self",
})  # fmt: skip
"""Parameters that are arrays, and neither numbers nor lists."""
SEQUENCES = frozenset({"tup", "arrays", "arys", "operands", "args"})
"""Parameters that are lists of arrays."""
SETTINGS = frozenset({
    "axis", "axes", "axis1", "axis2", "shape", "keepdims", "ddof", "offset", "source", "destination", "pad_width", "decimals",
    "N", "M", "k", "n", "num",
})  # fmt: skip
"""Parameters that are Python's integers, never arrays."""


def checked(name: str, entry: str, args: Any, kwargs: Any, takes_numbers: bool = False) -> dict[str, Any]:
    """The arguments of a call by parameter.

    Raises:
        TypeError: if CuPy's function has no such parameters, or does not take such operands.
    """
    try:
        arguments = signature(entry).bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{name}: {error}; CuPy's has the parameters ({entry})") from None
    refuse_host_arrays(name, arguments)
    allowed = (StandInArray, *SCALARS) if takes_numbers else (StandInArray,)
    for parameter, value in arguments.items():
        given = value if parameter in SEQUENCES else (value,) if parameter in OPERANDS else ()
        for operand in given:
            if not isinstance(operand, allowed) and not (parameter == "operands" and isinstance(operand, str)):  # of einsum
                raise TypeError(f"{name}: Unsupported type {type(operand)} for {parameter}")
        if parameter in SETTINGS and holds(StandInArray, value):
            raise TypeError(f"{name}: {parameter} is an array; expected integers")
    return arguments


def refuse_other_sorts(name: str, arguments: dict[str, Any]) -> None:
    """Raise if another way of sorting is asked for than CuPy has."""
    if name in ("sort", "argsort") and arguments.get("kind") not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")


# ---- indices


def spread_index(shape: tuple[int, ...], index: Any) -> tuple[tuple[Any, ...], bool]:
    """An index as NumPy wants it, and whether there are arrays in it.

    As in CuPy, NumPy's arrays and lists of integers or booleans may stand in an index, and indices in arrays wrap around where
    they are out of range.
    """
    parts = [_index_part(part) for part in (index if isinstance(index, tuple) else (index,))]
    taken = [_axes_taken(part) for part in parts]
    places = [sum(taken[:i]) for i in range(len(parts))]
    if Ellipsis in [part for part in parts if not isinstance(part, np.ndarray)]:
        dots = next(i for i, part in enumerate(parts) if part is Ellipsis)
        places = [place + (len(shape) - sum(taken)) * (i > dots) for i, place in enumerate(places)]
    for i, (part, place) in enumerate(zip(parts, places, strict=True)):
        if isinstance(part, np.ndarray) and part.dtype.kind != "b" and place < len(shape) and shape[place]:
            parts[i] = part % shape[place]
    return tuple(parts), any(isinstance(part, np.ndarray) for part in parts)


def _index_part(part: Any) -> Any:
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    if isinstance(part, SCALARS) and not isinstance(part, (bool, np.bool_)):
        return operator.index(part)
    array = namespaces["cupy"].array(part)._held if not isinstance(part, StandInArray) else part._held
    if isinstance(part, (list, tuple)) and not array.size:
        array = array.astype(int)
    if array.dtype.kind not in "iub":
        raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {array.dtype.type})")
    return array


def _axes_taken(part: Any) -> int:
    if isinstance(part, np.ndarray):
        return part.ndim if part.dtype.kind == "b" else 1
    return int(part is not None and part is not Ellipsis)


# ---- the class


class StandInArray:
    """Behaves as ``cupy.ndarray`` does, except that it computes with NumPy."""

    __slots__ = ("__weakref__", "_held", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]
    _held: Host

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C") -> None:
        self._keep(np.empty(shape, dtype, order=order))  # type: ignore[call-overload]

    def _keep(self, held: Host) -> None:
        """Hold a NumPy array; if it shows the memory of one that is held already, the one that holds that is the ``base``."""
        self._held, self.base = held, None
        _holders.setdefault(id(held), self)
        while held.base is not None and self.base is None:
            held = held.base  # type: ignore[assignment]
            self.base = _holders.get(id(held))

    # ---- leaving it

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Host:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> Host:
        """A copy on the host."""
        return self._held.copy()

    def item(self) -> Any:
        """The only element, as a Python number."""
        return self._held.item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self._held.tolist()

    def __bool__(self) -> bool:
        return bool(self._held)

    def __int__(self) -> int:
        return int(self._held)

    def __float__(self) -> float:
        return float(self._held)

    def __complex__(self) -> complex:
        return complex(self._held)

    def __repr__(self) -> str:
        return repr(self._held)

    def __str__(self) -> str:
        return str(self._held)

    def __format__(self, format_spec: str) -> str:
        return format(self._held, format_spec)

    def __reduce__(self) -> Any:
        return on_device, (self._held,)

    def __copy__(self) -> StandInArray:
        return on_device(self._held.copy())  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: Any) -> StandInArray:
        return self.__copy__()

    # ---- elements

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[StandInArray]:
        if not self._held.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, slices: Any) -> StandInArray:
        index, advanced = spread_index(self._held.shape, slices)
        return on_device(self._held[index if advanced or Ellipsis in index else (*index, ...)])  # type: ignore[no-any-return]

    def __setitem__(self, slices: Any, value: Any) -> None:
        index, advanced = spread_index(self._held.shape, slices)
        if not advanced and not isinstance(value, (StandInArray, *SCALARS)):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        self._held[index] = on_host(value)

    def fill(self, value: Any) -> None:
        """Set all elements to a number."""
        if not isinstance(value, SCALARS) and getattr(value, "shape", None) != ():
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        self._held.fill(on_host(value))

    def nonzero(self) -> tuple[StandInArray, ...]:
        """The indices of the elements that are not zero."""
        if not self._held.ndim:
            raise ValueError("Calling nonzero on 0d arrays is not allowed. Use cp.atleast_1d(scalar).nonzero() instead.")
        return on_device(self._held.nonzero())  # type: ignore[no-any-return]

    # ---- what it knows of itself

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._held.shape

    @shape.setter
    def shape(self, new: Any) -> None:
        self._held = self._held.reshape(new)

    @property
    def device(self) -> Any:
        """The only GPU there is."""
        return namespaces["cupy"].cuda.Device(0)

    @property
    def flags(self) -> SimpleNamespace:
        """Only these three: nothing says that an array must not be written to."""
        ours = self._held.flags
        return SimpleNamespace(c_contiguous=ours.c_contiguous, f_contiguous=ours.f_contiguous, owndata=ours.owndata)

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        given = inputs
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
            given = (*inputs, kwargs["out"])
        name = ufunc.__name__
        function = getattr(namespaces["cupy"], name, None) or getattr(namespaces.get("cupyx.scipy.special"), name, None)
        if method != "__call__":
            function = getattr(function, method, None)
        if function is None or any(not isinstance(x, (StandInArray, np.ndarray, *SCALARS)) for x in given):
            return NotImplemented
        if name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"):
            inputs = tuple([x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs])
        return function(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        module = namespaces.get(func.__module__.replace("numpy", "cupy", 1))
        function = getattr(module, func.__name__, func)
        if function is func or not all(issubclass(t, (StandInArray, np.ndarray)) for t in types):
            return NotImplemented
        return function(*args, **kwargs)


# ---- operators: with another stand-in by itself, with anything else through NumPy's protocol, which refuses NumPy's arrays

_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "remainder",
    "divmod": "divmod", "pow": "power", "lshift": "left_shift", "rshift": "right_shift", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "matmul": "matmul", "lt": "less", "le": "less_equal", "eq": "equal", "ne": "not_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _leaves_it_to(other: Any) -> bool:
    """Whether an operand of another class has said that it takes care of the operation."""
    if hasattr(other, "__array_ufunc__"):
        return other.__array_ufunc__ is None
    return StandInArray.__array_priority__ < getattr(other, "__array_priority__", 0)


def _binary(name: str, swapped: bool = False) -> Callable[..., Any]:
    def apply(self: Any, other: Any) -> Any:
        if name == "equal" and (other is None or type(other).__eq__ is object.__eq__):
            return on_device(np.zeros(self.shape, bool))
        if name == "not_equal" and (other is None or type(other).__eq__ is object.__eq__):
            return on_device(np.ones(self.shape, bool))
        if isinstance(other, StandInArray):
            return getattr(namespaces["cupy"], name)(self, other)
        if _leaves_it_to(other):
            return NotImplemented
        return getattr(np, name)(other, self) if swapped else getattr(np, name)(self, other)

    return apply


def _power(self: Any, other: Any) -> Any:
    """A few powers have functions of their own, as CuPy's have since 14.2."""
    powers = _QUICK_POWERS.get(type(other), {})
    quick = powers.get(other) if powers else None
    if quick is None:
        return _binary("power")(self, other)
    dtype = None if self.dtype.kind in "fc" else np.result_type(self.dtype, other)
    return getattr(namespaces["cupy"], quick)(self, dtype=dtype)


_QUICK_POWERS: dict[type, dict[Any, str]] = {int: {2: "square"}, float: {0.5: "sqrt", 2.0: "square", -1.0: "reciprocal"}}


def _in_place(name: str) -> Callable[..., Any]:
    return lambda self, other: getattr(namespaces["cupy"], name)(self, other, self)


def _unary(name: str) -> Callable[..., Any]:
    return lambda self: getattr(namespaces["cupy"], name)(self)


# ---- methods and attributes that are NumPy's


def _method(name: str, entry: str) -> Callable[..., Any]:
    numpys = getattr(np.ndarray, name, None) or getattr(np, name)

    def call(self: StandInArray, *args: Any, **kwargs: Any) -> Any:
        refuse_other_sorts(name, checked(f"ndarray.{name}", entry, args, kwargs))
        if name == "take":
            kwargs["mode"] = "wrap"
        with np.errstate(all="ignore"):
            return on_device(numpys(self._held, *on_host(args), **on_host(kwargs)))

    return call


def _attribute(name: str) -> property:
    def assign(self: StandInArray, value: Any) -> None:
        setattr(self._held, name, on_host(value))

    return property(lambda self: on_device(getattr(self._held, name)), assign)


def _complete(listed: dict[str, str | None]) -> None:
    """Give the class what the real one has and NumPy's has too."""
    for name, ufunc in _BINARY.items():
        for special, function in {
            f"__{name}__": _binary(ufunc), f"__r{name}__": _binary(ufunc, swapped=True), f"__i{name}__": _in_place(ufunc),
        }.items():  # fmt: skip
            if special in listed or special in ("__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__"):
                setattr(StandInArray, special, function)
    for name, ufunc in _UNARY.items():
        setattr(StandInArray, f"__{name}__", _unary(ufunc))
    StandInArray.__pow__ = _power  # type: ignore[attr-defined]
    for name, entry in listed.items():
        if name in vars(StandInArray) or name.startswith("_") or not (hasattr(np.ndarray, name) or hasattr(np, name)):
            continue
        setattr(StandInArray, name, _attribute(name) if entry == "attribute" else _method(name, entry or ""))


_complete(LISTED["cupy.ndarray"])
del StandInArray.data, StandInArray.flat  # type: ignore[attr-defined]  # pointers to memory on a GPU: there is none
