"""The dtypes and constants of the Python array API standard, and what may be asked of a dtype.

A dtype is NumPy's, on a GPU as well. Python numbers stay weak in every question, as they are in operations.
"""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

import numpy as np
from numpy import bool, complex64, complex128, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64

from .tracing import example_of

__all__ = [
    "DTYPES", "FloatInfo", "IntegerInfo", "bool", "can_cast", "complex64", "complex128", "e", "finfo", "float32", "float64",
    "iinfo", "inf", "int8", "int16", "int32", "int64", "isdtype", "nan", "newaxis", "pi", "promote_types", "result_type", "uint8",
    "uint16", "uint32", "uint64",
]  # fmt: skip

e, inf, nan, pi, newaxis = np.e, np.inf, np.nan, np.pi, None

DTYPES: dict[str, np.dtype[Any]] = {
    kind.__name__: np.dtype(kind)
    for kind in (bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, complex64, complex128)
}
"""The dtypes that the standard names."""


class FloatInfo(NamedTuple):
    """What `finfo` knows of a floating-point dtype, in Python numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype[Any]


class IntegerInfo(NamedTuple):
    """What `iinfo` knows of an integer dtype, in Python numbers."""

    bits: int
    max: int
    min: int
    dtype: np.dtype[Any]


def _dtype_of(x: Any) -> Any:
    """The dtype of an array or Tensor; a number or a dtype as it is."""
    example = example_of(x)
    return example if isinstance(example, (type, np.dtype)) else getattr(example, "dtype", example)


def finfo(type: Any) -> FloatInfo:
    """Limits of a floating-point dtype, or of the dtype of an array; those of a complex dtype are those of its parts.

    Raises:
        ValueError: for other dtypes.

    >>> import tinyad as ad
    >>> ad.finfo(ad.float32).eps
    1.1920928955078125e-07
    """
    dtype = np.dtype(_dtype_of(type))
    if dtype.kind not in "fc":
        raise ValueError(f"finfo: got {dtype}; expected a floating-point dtype. For integers use ad.iinfo")
    info = np.finfo(dtype)
    numbers = float(info.eps), float(info.max), float(info.min), float(info.smallest_normal)
    return FloatInfo(int(info.bits), *numbers, info.dtype)


def iinfo(type: Any) -> IntegerInfo:
    """Limits of an integer dtype, or of the dtype of an array.

    Raises:
        ValueError: for other dtypes.

    >>> import tinyad as ad
    >>> ad.iinfo(ad.int8).max
    127
    """
    dtype = np.dtype(_dtype_of(type))
    if dtype.kind not in "iu":
        raise ValueError(f"iinfo: got {dtype}; expected an integer dtype. For floating-point numbers use ad.finfo")
    info = np.iinfo(dtype)
    return IntegerInfo(int(info.bits), int(info.max), int(info.min), dtype)


def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Whether a dtype is another, or of a kind: ``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``,
    ``"real floating"``, ``"complex floating"``, ``"numeric"``, or any of a tuple of these."""
    return np.isdtype(np.dtype(dtype), kind)


def can_cast(from_: Any, to: Any) -> builtins.bool:
    """Whether the standard's type promotion leads from one dtype (or the dtype of an array) to the other.

    >>> import tinyad as ad
    >>> ad.can_cast(ad.float32, ad.float64), ad.can_cast(ad.float64, ad.float32)
    (True, False)
    """
    return np.can_cast(_dtype_of(from_), to)


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The dtype that an operation between these gives: arrays, Tensors, dtypes, and Python numbers, which are weak.

    >>> import tinyad as ad
    >>> ad.result_type(ad.float32, 2.0), ad.result_type(ad.float32, ad.int64)
    (dtype('float32'), dtype('float64'))
    """
    return np.result_type(*[_dtype_of(x) for x in arrays_and_dtypes])


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """The smallest dtype to which both may be cast."""
    return np.promote_types(type1, type2)
