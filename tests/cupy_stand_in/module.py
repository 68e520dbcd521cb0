"""The stand-in of CuPy's modules: their names, with their parameters, computed by NumPy.

A name that CuPy does not have is not here either, so that ``xp.errstate`` fails as it would on a GPU. Names that both have are
NumPy's functions behind the checks of `ndarray.checked`; where CuPy differs, there is a function below.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.cupy_stand_in.names import LISTED, holds
from tests.cupy_stand_in.ndarray import (
    StandInArray,
    checked,
    namespaces,
    on_device,
    on_host,
    refuse_other_sorts,
)
from tests.cupy_stand_in.ufunc import StandInUfunc

__all__ = ["cupy", "namespace"]

Function = Callable[..., Any]


class _Module(ModuleType):
    """A stand-in of one of CuPy's modules."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}, because CuPy {LISTED['version']} has none")


# ---- what CuPy does in another way than NumPy


def array(obj: Any, dtype: Any = None, copy: bool | None = True, order: Any = "K", subok: bool = False, ndmin: int = 0) -> Any:
    """A new array on the device, from NumPy's arrays and nested lists of numbers or of arrays on the device, not of both."""
    if isinstance(obj, StandInArray):
        same = not copy and (dtype is None or np.dtype(dtype) == obj.dtype) and obj.ndim >= ndmin
        return obj if same else on_device(np.array(obj._held, dtype=dtype, ndmin=ndmin))
    alike = holds(StandInArray, obj) and _all_arrays(obj)
    return on_device(np.array(on_host(obj) if alike else obj, dtype=dtype, ndmin=ndmin))


def _all_arrays(value: Any) -> bool:
    return all(map(_all_arrays, value)) if isinstance(value, (list, tuple)) else isinstance(value, StandInArray)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None) -> Any:
    """`array`, which gives an array on the device back as it is."""
    return array(a, dtype, copy)


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> Any:
    """A copy on the host."""
    return a.get() if isinstance(a, StandInArray) else np.asarray(a)


def get_array_module(*args: Any) -> Any:
    """This module, if there is a stand-in among the arguments, else NumPy."""
    return namespaces["cupy"] if any(isinstance(x, StandInArray) for x in args) else np


def shape(a: Any) -> Any:
    """The lengths of the axes, of numbers and lists too."""
    return a.shape if isinstance(a, StandInArray) else np.shape(a)


def ndim(a: Any) -> Any:
    """The number of axes, of numbers and lists too."""
    return len(shape(a))


def size(a: Any, axis: Any = None) -> Any:
    """The number of elements, along an axis or in all."""
    return np.size(a._held, axis)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays may show the same memory."""
    return np.may_share_memory(a._held, b._held)


def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays share an element. CuPy finds it out, whatever work that is."""
    if max_work is not None:
        raise NotImplementedError("Not supported for integer `max_work`.")
    return np.shares_memory(a._held, b._held)


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that values have together."""
    return np.result_type(*[x.dtype if isinstance(x, StandInArray) else x for x in arrays_and_dtypes])


def allclose(a: Any, b: Any, **settings: Any) -> Any:
    """Whether all elements are close; an array, as CuPy's."""
    return namespaces["cupy"].isclose(a, b, **settings).all()


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays are equal; an array, as CuPy's."""
    return on_device(np.asarray(np.array_equal(a1._held, a2._held, equal_nan)))


def count_nonzero(a: Any, axis: Any = None) -> Any:
    """How many elements are not zero; an array, as CuPy's."""
    return on_device(np.asarray(np.count_nonzero(a._held, axis)))


def einsum(*operands: Any, **settings: Any) -> Any:
    """As NumPy's, with fewer settings."""
    if unknown := set(settings) - {"dtype", "optimize"}:
        raise TypeError(f"Did not understand the following kwargs: {unknown}")
    return on_device(np.einsum(*on_host(operands), **settings))


def take(a: Any, indices: Any, axis: Any = None, out: Any = None) -> Any:
    """As NumPy's, but indices out of range wrap around."""
    return a.take(indices, axis, out)


def take_along_axis(a: Any, indices: Any, axis: Any) -> Any:
    """As NumPy's, but indices out of range wrap around."""
    return on_device(np.take_along_axis(a._held, indices._held % max(a._held.shape[axis], 1), axis))


def solve(a: Any, b: Any) -> Any:
    """As NumPy's, but the axes in front do not broadcast, and a singular matrix gives NaN."""
    if b.ndim != 1 and a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if b.ndim == 1:
        b = on_device(np.broadcast_to(b._held, a.shape[:-1])[..., None])
        return solve(a, b)[..., 0]
    return _nan_where_it_fails(np.linalg.solve, a, b)


def _nan_where_it_fails(numpys: Function, *operands: Any) -> Any:
    """CuPy does not ask the GPU whether a factorisation came to its end, unless it is told to."""
    try:
        return on_device(numpys(*on_host(operands)))
    except np.linalg.LinAlgError:
        last = operands[-1]
        return on_device(np.full(last.shape, np.nan, np.result_type(*[x.dtype for x in operands], np.float32)))


# ---- the modules

_DIFFERENT: dict[str, dict[str, Function]] = {
    "cupy": {
        "array": array,
        "asarray": asarray,
        "asanyarray": asarray,
        "ascontiguousarray": asarray,
        "asnumpy": asnumpy,
        "get_array_module": get_array_module,
        "shape": shape,
        "ndim": ndim,
        "size": size,
        "may_share_memory": may_share_memory,
        "shares_memory": shares_memory,
        "result_type": result_type,
        "allclose": allclose,
        "array_equal": array_equal,
        "count_nonzero": count_nonzero,
        "einsum": einsum,
        "take": take,
        "take_along_axis": take_along_axis,
    },
    "cupyx": {"scatter_add": lambda a, slices, value: namespaces["cupy"].add.at(a, slices, value)},
    "cupy.linalg": {
        "solve": solve,
        "inv": functools.partial(_nan_where_it_fails, np.linalg.inv),
        "cholesky": functools.partial(_nan_where_it_fails, np.linalg.cholesky),
    },
}
_TAKES_ANYTHING = {"array", "asarray", "asanyarray", "asnumpy", "get_array_module", "shape", "ndim", "broadcast_shapes"}
_TAKES_NUMBERS = {"where", "isclose", "allclose", "size", "iscomplexobj", "isrealobj", "full_like"}


def _function(name: str, entry: str | None, numpys: Function, different: bool) -> Function:
    """A function of NumPy's, or of this file, behind CuPy's parameters."""
    short = name.rpartition(".")[2]

    @functools.wraps(numpys)
    def call(*args: Any, **kwargs: Any) -> Any:
        if entry is not None and short not in _TAKES_ANYTHING:
            refuse_other_sorts(short, checked(name, entry, args, kwargs, short in _TAKES_NUMBERS))
        if different or short in _TAKES_ANYTHING:
            return numpys(*args, **kwargs)
        with np.errstate(all="ignore"):
            result = numpys(*on_host(args), **on_host(kwargs))
        draws = name.startswith(("cupy.random", "Generator")) and isinstance(result, (int, float))
        return on_device(np.asarray(result) if draws else result)

    return call


def _not_here(name: str) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"CuPy has {name}, but the stand-in does not compute it; write it in tests/cupy_stand_in")

    return call


def namespace(name: str, numpys: Any) -> _Module:
    """The stand-in of a module of CuPy's, computed by a module of NumPy's or SciPy's."""
    module = namespaces[name] = _Module(name.replace("cupy", "stand_in_for_cupy", 1))
    different = _DIFFERENT.get(name, {})
    for key, entry in LISTED[name].items():
        theirs = different.get(key) or getattr(numpys, key, None)
        if entry is not None and entry.startswith("ufunc"):
            value: Any = StandInUfunc(key, entry, theirs)
        elif entry in ("type", "constant"):
            value = theirs if theirs is not None or key == "newaxis" else _not_here(f"{name}.{key}")
        elif callable(theirs):
            value = _function(f"{name}.{key}", entry, theirs, key in different)
        else:
            value = _not_here(f"{name}.{key}")
        setattr(module, key, value)
    return module


class StandInGenerator:
    """CuPy's generator, which has fewer methods than NumPy's; it draws what NumPy's draws."""

    def __init__(self, seed: Any = None) -> None:
        self._numpys = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        entry = LISTED["cupy.random.Generator"].get(name)
        if entry is None:
            raise AttributeError(f"'Generator' object has no attribute {name!r}, because CuPy's has none")
        return _function(f"Generator.{name}", entry, getattr(self._numpys, name), different=False)


class Device:
    """The GPU that there is none of; computing on it is computing here."""

    def __init__(self, device: int | None = None) -> None:
        self.id = device or 0

    def use(self) -> None:
        """Compute on it from now on."""

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _cupy() -> _Module:
    for part in ("linalg", "fft", "random"):
        namespace(f"cupy.{part}", getattr(np, part))
    namespace("cupyx", None)
    module = namespace("cupy", np)
    module.linalg, module.fft, module.random = (namespaces[f"cupy.{part}"] for part in ("linalg", "fft", "random"))
    module.ndarray, module.ufunc = StandInArray, StandInUfunc
    module.random.Generator, module.random.default_rng = StandInGenerator, StandInGenerator
    module.cuda = SimpleNamespace(is_available=lambda: True, Device=Device, runtime=SimpleNamespace(getDeviceCount=lambda: 1))
    module.scipy_prefix = "tests.cupy_stand_in."
    return module


cupy = _cupy()
"""The stand-in of CuPy."""
