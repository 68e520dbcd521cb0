"""The operators and methods of an array that a Tensor has, declared for readers and type checkers.

They are primitives, and primitives are built on top of Tensors; `tinyad.operators` sets them once all are defined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ArrayInterface"]

_Function = Callable[..., Any]


class ArrayInterface:
    """What users may write with a Tensor as with a NumPy array."""

    __slots__ = ()

    T: Any
    mT: Any
    real: Any
    imag: Any
    __neg__: _Function
    __pos__: _Function
    __abs__: _Function
    __add__: _Function
    __radd__: _Function
    __sub__: _Function
    __rsub__: _Function
    __mul__: _Function
    __rmul__: _Function
    __truediv__: _Function
    __rtruediv__: _Function
    __pow__: _Function
    __rpow__: _Function
    __floordiv__: _Function
    __rfloordiv__: _Function
    __mod__: _Function
    __rmod__: _Function
    __divmod__: _Function
    __rdivmod__: _Function
    __matmul__: _Function
    __rmatmul__: _Function
    __lt__: _Function
    __le__: _Function
    __gt__: _Function
    __ge__: _Function
    __and__: _Function
    __rand__: _Function
    __or__: _Function
    __ror__: _Function
    __xor__: _Function
    __rxor__: _Function
    __lshift__: _Function
    __rlshift__: _Function
    __rshift__: _Function
    __rrshift__: _Function
    __invert__: _Function
    __getitem__: _Function
    sum: _Function
    mean: _Function
    var: _Function
    std: _Function
    max: _Function
    min: _Function
    prod: _Function
    cumsum: _Function
    cumprod: _Function
    argmax: _Function
    argmin: _Function
    any: _Function
    all: _Function
    clip: _Function
    round: _Function
    conj: _Function
    conjugate: _Function
    dot: _Function
    reshape: _Function
    ravel: _Function
    flatten: _Function
    squeeze: _Function
    transpose: _Function
    swapaxes: _Function
    astype: _Function
    repeat: _Function
    diagonal: _Function
    take: _Function
    choose: _Function
    compress: _Function
    argsort: _Function
    argpartition: _Function
    searchsorted: _Function
    backward: _Function
    __setitem__: _Function
    at: Any
    copy: _Function
    device: str
    to_device: _Function
    __array_namespace__: _Function
    __dlpack__: _Function
    __dlpack_device__: _Function
    __array_ufunc__: _Function
    __array_function__: _Function
