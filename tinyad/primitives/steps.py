"""Functions of each element that are constant almost everywhere: comparisons, logic, rounding, and which kind of number it is.

They have no derivative. On Tensors they give constants, so a gradient treats what they choose as given.
"""

from __future__ import annotations

from typing import Any

from ..backend import Array
from ..kinds import nondifferentiable

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "equal",
    "floor", "floor_divide", "greater", "greater_equal", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "nextafter", "not_equal", "round", "signbit",
    "trunc",
]  # fmt: skip

equal = nondifferentiable("equal")
not_equal = nondifferentiable("not_equal")
less = nondifferentiable("less")
less_equal = nondifferentiable("less_equal")
greater = nondifferentiable("greater")
greater_equal = nondifferentiable("greater_equal")
_isclose = nondifferentiable("isclose", lambda xp, x, y, **settings: xp.isclose(x, y, **settings))

logical_and = nondifferentiable("logical_and")
logical_or = nondifferentiable("logical_or")
logical_xor = nondifferentiable("logical_xor")
logical_not = nondifferentiable("logical_not")
bitwise_and = nondifferentiable("bitwise_and")
bitwise_or = nondifferentiable("bitwise_or")
bitwise_xor = nondifferentiable("bitwise_xor")
bitwise_invert = nondifferentiable("bitwise_invert", "invert")
bitwise_left_shift = nondifferentiable("bitwise_left_shift", "left_shift")
bitwise_right_shift = nondifferentiable("bitwise_right_shift", "right_shift")

isfinite = nondifferentiable("isfinite")
isinf = nondifferentiable("isinf")
isposinf = nondifferentiable("isposinf")
isneginf = nondifferentiable("isneginf")
isnan = nondifferentiable("isnan")
signbit = nondifferentiable("signbit")

floor = nondifferentiable("floor")
ceil = nondifferentiable("ceil")
trunc = nondifferentiable("trunc")
floor_divide = nondifferentiable("floor_divide")
nextafter = nondifferentiable("nextafter")
_round = nondifferentiable("round", lambda xp, x, decimals=0: xp.round(x, decimals))


def isclose(x: Array, y: Array, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether ``|x - y| <= atol + rtol |y|``, element by element; a constant."""
    return _isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)


def round(x: Array, decimals: int = 0) -> Array:
    """``x`` rounded to a number of decimals, halves to the even neighbour; a constant.

    >>> import numpy as np, tinyad as ad
    >>> ad.round(np.array([0.5, 1.5, 2.25]))
    array([0., 2., 2.])
    """
    settings: dict[str, Any] = {"decimals": decimals} if decimals else {}
    return _round(x, **settings)
