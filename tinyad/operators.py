"""Operators and methods of Tensors: tables from a name to the primitive that does the work.

``x + y``, ``x.sum(axis=0)``, ``np.sum(x, axis=0)`` and ``ad.sum(x, axis=0)`` are the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import array_api
from .array_interface import ArrayInterface
from .assignment import At, assign, copy, in_place
from .backend import is_array
from .numpy_protocols import array_function, array_ufunc
from .primitives import complex as complex_numbers
from .primitives import (
    cumulative,
    diagonals,
    indexing,
    products,
    reductions,
    repeating,
    searching,
    shaping,
    sorting,
    steps,
    taking,
)
from .primitives import elementwise as e
from .tensor import Tensor
from .tracing import Traced

__all__: list[str] = []

Function = Callable[..., Any]


def _swapped(function: Function) -> Function:
    return lambda x, y: function(y, x)


def _comparison(function: Function) -> Function:
    """``x == y`` has an answer for every ``y``: leave what is no operand, such as ``None``, to Python, which says False."""

    def compare(x: Any, y: Any) -> Any:
        known = isinstance(y, (Tensor, bool, int, float, complex, list, tuple)) or is_array(y)
        return function(x, y) if known else NotImplemented

    return compare


OPERATORS: dict[str, Function] = {
    "__neg__": e.negative,
    "__pos__": e.positive,
    "__abs__": e.abs,
    "__add__": e.add,
    "__radd__": _swapped(e.add),
    "__sub__": e.subtract,
    "__rsub__": _swapped(e.subtract),
    "__mul__": e.multiply,
    "__rmul__": _swapped(e.multiply),
    "__truediv__": e.divide,
    "__rtruediv__": _swapped(e.divide),
    "__pow__": e.power,
    "__rpow__": _swapped(e.power),
    "__floordiv__": steps.floor_divide,
    "__rfloordiv__": _swapped(steps.floor_divide),
    "__mod__": e.remainder,
    "__rmod__": _swapped(e.remainder),
    "__divmod__": lambda x, y: (steps.floor_divide(x, y), e.remainder(x, y)),
    "__rdivmod__": lambda x, y: (steps.floor_divide(y, x), e.remainder(y, x)),
    "__matmul__": products.matmul,
    "__rmatmul__": _swapped(products.matmul),
    "__eq__": _comparison(steps.equal),
    "__ne__": _comparison(steps.not_equal),
    "__lt__": steps.less,
    "__le__": steps.less_equal,
    "__gt__": steps.greater,
    "__ge__": steps.greater_equal,
    "__and__": steps.bitwise_and,
    "__rand__": _swapped(steps.bitwise_and),
    "__or__": steps.bitwise_or,
    "__ror__": _swapped(steps.bitwise_or),
    "__xor__": steps.bitwise_xor,
    "__rxor__": _swapped(steps.bitwise_xor),
    "__lshift__": steps.bitwise_left_shift,
    "__rlshift__": _swapped(steps.bitwise_left_shift),
    "__rshift__": steps.bitwise_right_shift,
    "__rrshift__": _swapped(steps.bitwise_right_shift),
    "__invert__": steps.bitwise_invert,
    "__getitem__": indexing.getitem,
}

METHODS: dict[str, Function] = {
    "sum": reductions.sum,
    "mean": reductions.mean,
    "var": reductions.var,
    "std": reductions.std,
    "max": reductions.max,
    "min": reductions.min,
    "prod": cumulative.prod,
    "cumsum": cumulative.cumsum,
    "cumprod": cumulative.cumprod,
    "argmax": searching.argmax,
    "argmin": searching.argmin,
    "any": searching.any,
    "all": searching.all,
    "clip": e.clip,
    "round": steps.round,
    "conj": complex_numbers.conj,
    "conjugate": complex_numbers.conj,
    "dot": products.dot,
    "ravel": shaping.ravel,
    "flatten": shaping.ravel,
    "squeeze": shaping.squeeze,
    "swapaxes": shaping.swapaxes,
    "astype": shaping.astype,
    "repeat": repeating.repeat,
    "diagonal": diagonals.diagonal,
    "take": taking.take,
    "choose": taking.choose,
    "compress": lambda x, condition, axis=None: taking.compress(condition, x, axis),
    "argsort": sorting.argsort,
    "argpartition": sorting.argpartition,
    "searchsorted": searching.searchsorted,
}


def _reshape_method(x: Tensor, *shape: Any, order: str = "C") -> Any:
    """The same elements in another shape, given as a tuple or one by one."""
    return shaping.reshape(x, _one_tuple(shape), order)


def _transpose_method(x: Tensor, *axes: Any) -> Any:
    """The axes in reverse order, or in the order given, as a tuple or one by one."""
    return shaping.transpose(x, _one_tuple(axes) or None)


def _one_tuple(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(numbers[0]) if len(numbers) == 1 and isinstance(numbers[0], (tuple, list)) else numbers


IN_PLACE: dict[str, Function] = {
    "__iadd__": in_place(e.add, "+="),
    "__isub__": in_place(e.subtract, "-="),
    "__imul__": in_place(e.multiply, "*="),
    "__itruediv__": in_place(e.divide, "/="),
    "__ipow__": in_place(e.power, "**="),
    "__imatmul__": in_place(products.matmul, "@="),
    "__iand__": in_place(steps.bitwise_and, "&="),
    "__ior__": in_place(steps.bitwise_or, "|="),
    "__ixor__": in_place(steps.bitwise_xor, "^="),
}
"""Of Tensors; traced arrays have their own."""


def _install(cls: type[ArrayInterface]) -> None:
    for name, function in (OPERATORS | METHODS | array_api.METHODS).items():
        setattr(cls, name, function)
    cls.T = property(lambda x: shaping.matrix_transpose(x) if x.ndim == 2 else shaping.transpose(x))
    cls.real = property(complex_numbers.real)
    cls.imag = property(complex_numbers.imag)
    cls.mT = property(shaping.matrix_transpose)
    cls.reshape = _reshape_method
    cls.transpose = _transpose_method
    cls.__setitem__ = assign
    cls.at = property(At)
    cls.__array_ufunc__ = array_ufunc
    cls.__array_function__ = array_function


_install(Tensor)
_install(Traced)
for _name, _function in IN_PLACE.items():
    setattr(Tensor, _name, _function)
Tensor.copy = copy
