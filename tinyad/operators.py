"""Operators and methods of Tensors: tables from a name to the primitive that does the work.

``x + y``, ``x.sum(axis=0)``, ``np.sum(x, axis=0)`` and ``ad.sum(x, axis=0)`` are the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .array_interface import ArrayInterface
from .backend import is_array
from .numpy_protocols import array_function, array_ufunc, traced_among
from .primitives import elementwise as e
from .primitives import indexing, products, reductions, searching, shaping
from .tensor import Tensor
from .trace import Traced

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
    "__matmul__": products.matmul,
    "__rmatmul__": _swapped(products.matmul),
    "__eq__": _comparison(e.equal),
    "__ne__": _comparison(e.not_equal),
    "__lt__": e.less,
    "__le__": e.less_equal,
    "__gt__": e.greater,
    "__ge__": e.greater_equal,
    "__and__": e.bitwise_and,
    "__rand__": _swapped(e.bitwise_and),
    "__or__": e.bitwise_or,
    "__ror__": _swapped(e.bitwise_or),
    "__xor__": e.bitwise_xor,
    "__rxor__": _swapped(e.bitwise_xor),
    "__invert__": e.bitwise_invert,
    "__getitem__": indexing.getitem,
}

METHODS: dict[str, Function] = {
    "sum": reductions.sum,
    "mean": reductions.mean,
    "var": reductions.var,
    "std": reductions.std,
    "max": reductions.max,
    "min": reductions.min,
    "cumsum": reductions.cumsum,
    "argmax": searching.argmax,
    "argmin": searching.argmin,
    "any": searching.any,
    "all": searching.all,
    "clip": e.clip,
    "dot": products.dot,
    "ravel": shaping.ravel,
    "flatten": shaping.ravel,
    "squeeze": shaping.squeeze,
    "swapaxes": shaping.swapaxes,
    "astype": shaping.astype,
}


def _reshape_method(x: Tensor, *shape: Any) -> Any:
    """The same elements in another shape, given as a tuple or one by one."""
    return shaping.reshape(x, _one_tuple(shape))


def _transpose_method(x: Tensor, *axes: Any) -> Any:
    """The axes in reverse order, or in the order given, as a tuple or one by one."""
    return shaping.transpose(x, _one_tuple(axes) or None)


def _one_tuple(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(numbers[0]) if len(numbers) == 1 and isinstance(numbers[0], (tuple, list)) else numbers


def _refuse_assignment(x: Tensor | Traced, index: Any, value: Any) -> None:
    if (traced := traced_among((x, value))) is not None:
        raise traced.trace.refusal("an array to assign into", "Build the new array with ad.where, ad.concat or ad.stack")
    raise TypeError(
        "a Tensor cannot be assigned to in place, because the tape may still need the old values. Build the new array with "
        "ad.where, ad.concat or ad.stack"
    )


def _install(cls: type[ArrayInterface]) -> None:
    for name, function in (OPERATORS | METHODS).items():
        setattr(cls, name, function)
    cls.T = property(lambda x: shaping.matrix_transpose(x) if x.ndim == 2 else shaping.transpose(x))
    cls.mT = property(shaping.matrix_transpose)
    cls.reshape = _reshape_method
    cls.transpose = _transpose_method
    cls.__setitem__ = _refuse_assignment
    cls.__array_ufunc__ = array_ufunc
    cls.__array_function__ = array_function


_install(Tensor)
_install(Traced)
