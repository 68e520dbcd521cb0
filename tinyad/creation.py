"""Making arrays: variables for the tape, and constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backend import Array, module_of
from .primitives.shaping import astype
from .tape import Variable
from .tensor import Tensor, unwrap

__all__ = ["arange", "asarray", "eye", "full", "linspace", "ones", "ones_like", "tensor", "zeros", "zeros_like"]


def _values(x: Any, dtype: Any) -> Array:
    x = unwrap(x)
    return module_of(x).asarray(x, dtype=dtype)


def tensor(x: Any, dtype: Any = None) -> Tensor:
    """A variable: a Tensor with a place on the tape, whose ``grad`` ``backward`` fills.

    Args:
        x: real or complex floating-point numbers: an array, a number, or nested lists of numbers.
        dtype: convert to this dtype; integers must be converted to take a derivative.

    Raises:
        TypeError: for integers, booleans and everything that has no derivative.

    >>> import tinyad as ad
    >>> x = ad.tensor([1.0, 2.0])
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4.])
    """
    values = _values(x, dtype)
    if values.dtype.kind not in "fc":
        raise TypeError(
            f"tensor: got values of dtype {values.dtype}; only floating-point numbers have derivatives. "
            f"Write them with a decimal point, or pass dtype=float; use ad.asarray for a constant."
        )
    return Tensor(values, Variable(values))


def asarray(x: Any, dtype: Any = None) -> Tensor:
    """A constant Tensor: operations on it are not recorded unless another operand is on the tape.

    A Tensor keeps its place on the tape.
    """
    if isinstance(x, Tensor):
        return x if dtype is None else astype(x, dtype)
    return Tensor(_values(x, dtype))


def zeros(shape: int | tuple[int, ...], dtype: Any = None) -> Tensor:
    """A constant of zeros, float64 unless ``dtype`` says otherwise."""
    return Tensor(np.zeros(shape, dtype))


def ones(shape: int | tuple[int, ...], dtype: Any = None) -> Tensor:
    """A constant of ones, float64 unless ``dtype`` says otherwise."""
    return Tensor(np.ones(shape, dtype))


def full(shape: int | tuple[int, ...], value: Any, dtype: Any = None) -> Tensor:
    """A constant filled with ``value``."""
    return Tensor(np.full(shape, value, dtype))


def zeros_like(x: Array, dtype: Any = None) -> Tensor:
    """A constant of zeros with the shape and dtype of ``x``, on its device."""
    x = unwrap(x)
    return Tensor(module_of(x).zeros_like(x, dtype=dtype))


def ones_like(x: Array, dtype: Any = None) -> Tensor:
    """A constant of ones with the shape and dtype of ``x``, on its device."""
    x = unwrap(x)
    return Tensor(module_of(x).ones_like(x, dtype=dtype))


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """The numbers from ``start`` (0 if only one bound is given) to before ``stop``, ``step`` apart."""
    return Tensor(np.arange(start, dtype=dtype) if stop is None else np.arange(start, stop, step, dtype=dtype))


def linspace(start: float, stop: float, num: int, dtype: Any = None) -> Tensor:
    """``num`` equally spaced numbers from ``start`` to ``stop``, both included."""
    return Tensor(np.linspace(start, stop, num, dtype=dtype))


def eye(n: int, m: int | None = None, dtype: Any = None) -> Tensor:
    """The n x m matrix with ones on the diagonal, a constant."""
    return Tensor(np.eye(n, m, dtype=dtype))
