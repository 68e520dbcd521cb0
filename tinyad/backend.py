"""Which array module an array belongs to: NumPy, or CuPy for arrays on a GPU.

Nothing else in tinyad asks whether an array lives on a CPU or a GPU. A computation runs on the module of the arrays it
starts from: each primitive keeps one function per array type (`Kernels`), found by a dictionary look-up (35 ns measured)
and bound the first time a type is seen, so that no rule contains an ``if`` about devices.
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = [
    "Array", "Kernels", "asnumpy", "common_module", "function_of", "is_array", "is_mutable", "module_of", "module_of_type",
    "register",
]  # fmt: skip

Function = Callable[..., Any]
Array = Any
"""An array of some array module (``numpy.ndarray``, ``cupy.ndarray``), one of its scalars, or a Tensor."""

# glibc gives freed memory back to the system as soon as the free end of its heap exceeds twice the largest block it has ever
# unmapped, 128 KB at first, and every large array after that costs page faults again: measured, 13,000 a gradient and a third of
# the time for a ResNet on arrays of 2 MB. Unmapping one block of 31 MB (never touched, so it costs nothing) raises that limit to
# 62 MB, as would any program that frees an array of that size. It does nothing where malloc works otherwise.
np.empty(31 << 20, np.uint8)

_PYTHON_NUMBERS = (bool, int, float, complex)
_modules: dict[type, Any] = {np.ndarray: np}
_instead_of_kernels: dict[type, Callable[[Kernels], Function]] = {}


def register(array_type: type, module: Any, kernel: Callable[[Kernels], Function] | None = None) -> None:
    """Let arrays of ``array_type`` run on ``module``, a namespace with NumPy's names.

    With ``kernel`` they stand for arrays that do not exist yet: ``kernel(kernels)`` gives what a primitive runs when any of its
    operands is one of them.
    """
    _modules[array_type] = module
    if kernel is not None:
        _instead_of_kernels[array_type] = kernel


def module_of_type(array_type: type) -> Any:
    """The array module of an array type; ``None`` for a type that is no array."""
    module = _modules.get(array_type)
    if module is None:
        if issubclass(array_type, (np.ndarray, np.generic)):
            module = _modules[array_type] = np
        elif array_type.__module__.partition(".")[0] == "cupy":
            module = _modules[array_type] = load_cupy()
    return module


def load_cupy() -> Any:
    """CuPy, imported when the first of its arrays comes along or is asked for."""
    import cupy

    return cupy


def module_of(array: Array) -> Any:
    """The array module of an array; NumPy for Python numbers and lists."""
    return module_of_type(type(array)) or np


def common_module(values: Iterable[object]) -> Any:
    """The array module of the first array among the values; NumPy if there is none, so that numbers go where the arrays are."""
    return next((module for value in values if (module := module_of_type(type(value)))), np)


def is_array(value: object) -> bool:
    """Whether ``value`` is an array or an array module's scalar (a Python number is not)."""
    return module_of_type(type(value)) is not None


def is_mutable(array: Array) -> bool:
    """Whether an array exists in memory now, so that it can be looked at and written to."""
    return type(array) not in _instead_of_kernels


def asnumpy(array: Array) -> np.ndarray[Any, Any]:
    """A NumPy array with the values of ``array``, copied from the GPU if it lives there."""
    module = module_of(array)
    return np.asarray(array) if module is np else module.asnumpy(array)


def function_of(module: Any, name: str) -> Function:
    """An array module's function, by its name with dots: ``"tanh"``, ``"linalg.inv"``; or SciPy's, ``"scipy.special.erf"``, for
    CuPy's arrays that of cupyx.

    Raises:
        ImportError: if SciPy is needed and not installed.
    """
    if not name.startswith("scipy."):
        return operator.attrgetter(name)(module)  # type: ignore[no-any-return]
    package, _, name = name.rpartition(".")
    home = "cupyx." if getattr(module, "__name__", "") == "cupy" else getattr(module, "scipy_prefix", "")
    try:
        return getattr(importlib.import_module(home + package), name)  # type: ignore[no-any-return]
    except ImportError as error:
        raise ImportError(
            f"{name}: it is computed by {home}{package}; install it with: pip install 'tinyad[special]'"
        ) from error


class Kernels(dict[type, Any]):
    """The function a primitive runs, by array type.

    ``make(module)`` gives the function for an array module. Python numbers have ``None``: they follow the other operand,
    and stay *weak*, so that ``2.0 * x`` keeps the dtype of a float32 ``x`` (NEP 50).
    """

    def __init__(self, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        super().__init__(dict.fromkeys(_PYTHON_NUMBERS))
        self.name = name
        self.make = make

    def __missing__(self, array_type: type) -> Function:
        if array_type in _instead_of_kernels:
            self[array_type] = instead = _instead_of_kernels[array_type](self)
            return instead
        module = np if array_type in (list, tuple) else module_of_type(array_type)
        if module is None:
            raise TypeError(
                f"{self.name}: got an operand of type {array_type.__name__}; expected an array, a Tensor or a number. "
                f"Convert it first, for instance with ad.asarray(...)."
            )
        self[array_type] = kernel = self.make(module)
        return kernel

    def common(self, operands: Iterable[object]) -> Function:
        """The function for several operands: that of the first array, NumPy's if all are Python numbers."""
        types = [type(operand) for operand in operands]
        first = next((t for t in types if t in _instead_of_kernels), None)
        kernel: Function = self[first or next((t for t in types if self[t]), np.ndarray)]
        return kernel
