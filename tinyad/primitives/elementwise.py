"""Functions of each element: the function and its partial derivatives, on one line where they fit.

``x`` and ``y`` are the operands and ``out`` the result; a partial that does not name one does not keep it. See the corners in
the rules' comments: at a point without a derivative the rule returns a subgradient, and a cotangent that is exactly zero stays
zero even where the partial is infinite, so that elementwise functions in the inactive branch of a `where` leak no NaN. (Matrix
products and reductions in that branch are not guarded.)
"""

from __future__ import annotations

import math
from typing import Any

from ..backend import Array
from ..kinds import Function, elementwise, nondifferentiable

__all__ = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh",
    "bitwise_and", "bitwise_invert", "bitwise_or", "bitwise_xor", "ceil", "clip", "cos", "cosh", "divide", "equal",
    "exp", "expm1", "floor", "greater", "greater_equal", "hypot", "isclose", "isfinite", "isinf", "isnan", "less", "less_equal",
    "log", "log1p", "log2", "log10", "logaddexp", "logical_and", "logical_not", "logical_or", "maximum", "minimum", "multiply",
    "negative", "not_equal", "positive", "power", "reciprocal", "relu", "round", "sigmoid", "sign", "sin", "sinh", "softplus",
    "sqrt", "square", "subtract", "tan", "tanh", "trunc", "where",
]  # fmt: skip

# ---- functions without a derivative

equal = nondifferentiable("equal")
not_equal = nondifferentiable("not_equal")
less = nondifferentiable("less")
less_equal = nondifferentiable("less_equal")
greater = nondifferentiable("greater")
greater_equal = nondifferentiable("greater_equal")
logical_and = nondifferentiable("logical_and")
logical_or = nondifferentiable("logical_or")
logical_not = nondifferentiable("logical_not")
bitwise_and = nondifferentiable("bitwise_and")
bitwise_or = nondifferentiable("bitwise_or")
bitwise_xor = nondifferentiable("bitwise_xor")
bitwise_invert = nondifferentiable("bitwise_invert", "invert")
_isclose = nondifferentiable("isclose", lambda xp, x, y, **settings: xp.isclose(x, y, **settings))
isfinite = nondifferentiable("isfinite")
isinf = nondifferentiable("isinf")
isnan = nondifferentiable("isnan")
sign = nondifferentiable("sign")
floor = nondifferentiable("floor")
ceil = nondifferentiable("ceil")
trunc = nondifferentiable("trunc")
round = nondifferentiable("round")


def isclose(x: Array, y: Array, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether ``|x - y| <= atol + rtol |y|``, element by element; a constant."""
    return _isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)


# ---- products of a cotangent (or tangent) with a partial derivative


def select(v: Array, chosen: Array) -> Array:
    """``v`` where a boolean partial is true, else zero: no arithmetic, so NaN in the other branch stays there."""
    return where(chosen, v, 0.0)


def _absorb_forward(xp: Any, x: Array, y: Array) -> Array:
    product = xp.multiply(x, y)
    lost = xp.isnan(product)
    if not lost.any():
        return product
    zero = xp.logical_or(xp.equal(x, 0), xp.equal(y, 0))
    return xp.where(xp.logical_and(lost, zero), xp.zeros_like(product), product)


def _absorb_times(v: Array, partial: Array) -> Array:
    """`absorb`, without its cost where the partial is a finite number."""
    return v * partial if isinstance(partial, float) and math.isfinite(partial) else absorb(v, partial)


absorb: Function = elementwise(
    "absorb", "y", "x", forward=_absorb_forward, times=_absorb_times, branches=True,
    doc="""``x * y``, and 0 wherever either is 0, even where the other is infinite or NaN.

    The product with a partial derivative that is infinite somewhere in reach of a forward evaluation: a cotangent of zero stays
    zero there. It costs two more passes over the array, so the other functions use a plain product unless a `where` came by.""",
)  # fmt: skip


# ---- choosing

_where: Function = elementwise(
    "where", None, "condition", lambda condition: logical_not(condition),
    operands=("condition", "x", "y"), times=select, branches=True,
)  # fmt: skip


def where(condition: Array, x: Array, y: Array) -> Array:
    """Elements of ``x`` where ``condition`` is true, else of ``y``. What is not chosen gets a derivative of exactly zero, even
    where it is infinite or NaN.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda x: ad.sum(ad.where(x > 0, ad.sqrt(abs(x)), 0.0)))(np.array([0.0, 4.0]))
    array([0.  , 0.25])
    """
    return _where(condition, x, y)


# ---- arithmetic

add = elementwise("add", 1, 1)
subtract = elementwise("subtract", 1, -1)
multiply = elementwise("multiply", "y", "x")
divide = elementwise("divide", lambda y: _inverse(y), lambda y, out: -out / y, times=_absorb_times)
negative = elementwise("negative", -1)
positive = elementwise("positive", 1)
reciprocal = elementwise(
    "reciprocal", lambda out: -out * out, forward=lambda xp, x: 1.0 / x, times=_absorb_times, doc="``1 / x``."
)


def _inverse(y: Array) -> Array:
    return 1.0 / y if not isinstance(y, (int, float)) or y else math.copysign(math.inf, y)


square = elementwise("square", lambda x: 2.0 * x)
sqrt: Function = elementwise("sqrt", lambda out: 0.5 / out, times=_absorb_times)


def _power_by_base(x: Array, y: Array) -> Array:
    # at y = 0 the function is constant in x; x ** -1 is infinite at x = 0
    return absorb(y, x ** (y - 1))


def _power_by_exponent(x: Array, out: Array) -> Array:
    # 0 ** y is constant for y > 0, while log(0) is infinite
    return out * log(where(equal(x, 0), 1.0, x))


_power = elementwise("power", _power_by_base, _power_by_exponent, times=_absorb_times)


def power(x: Array, y: Array) -> Array:
    """``x ** y``. At ``y = 0`` the derivative by ``x`` is zero, at ``x = 0`` and ``y > 0`` that by ``y``, as the function is.

    >>> import tinyad as ad
    >>> ad.grad(ad.power)(0.0, 3.0)
    np.float64(0.0)
    """
    # a square's derivatives can never be infinite, so they need no guards: a quarter of a Hessian's instructions
    return square(x) if type(y) is int and y == 2 and hasattr(x, "dtype") else _power(x, y)


hypot = elementwise("hypot", lambda x, out: _ratio(x, out), lambda y, out: _ratio(y, out))


def _ratio(part: Array, whole: Array) -> Array:
    """``part / whole``, and 0 where ``whole`` is 0: the subgradient of least norm of a norm at the origin."""
    return part / where(equal(whole, 0), 1.0, whole)


# ---- absolute values and extrema: where two branches meet, the derivative is the mean of both sides

abs = elementwise("abs", lambda x: sign(x), forward="absolute", doc="Absolute value; derivative 0 at 0.")
maximum = elementwise("maximum", lambda x, y: _share(x, y), lambda x, y: _share(y, x))
minimum = elementwise("minimum", lambda x, y: _share(y, x), lambda x, y: _share(x, y))
relu = elementwise(
    "relu", lambda out: greater(out, 0.0), forward=lambda xp, x: xp.maximum(x, 0), times=select,
    doc="``max(x, 0)``; derivative 0 at 0.",
)  # fmt: skip
_clip = elementwise(
    "clip",
    lambda x, low, high: logical_and(greater_equal(x, low), less_equal(x, high)),
    lambda x, low: less(x, low),
    lambda x, high: greater(x, high),
    operands=("x", "low", "high"),
    times=select,
)


def _share(mine: Array, other: Array) -> Array:
    """1 where mine is the larger, 0 where it is the smaller, 1/2 at a tie."""
    return 0.5 * (1.0 + sign(where(equal(mine, other), 0.0, mine - other)))  # equal infinities have no difference


def clip(x: Array, min: Array | None = None, max: Array | None = None) -> Array:
    """``x`` limited to the interval from ``min`` to ``max``; either may be missing. The derivative at a bound is 1."""
    return _clip(x, -math.inf if min is None else min, math.inf if max is None else max)


# ---- exponentials and logarithms

exp = elementwise("exp", "out")
expm1 = elementwise("expm1", lambda out: out + 1.0)
log: Function = elementwise("log", lambda x: 1.0 / x, times=_absorb_times)
log1p = elementwise("log1p", lambda x: 1.0 / (1.0 + x), times=_absorb_times)
log2 = elementwise("log2", lambda x: 1.0 / (math.log(2.0) * x), times=_absorb_times)
log10 = elementwise("log10", lambda x: 1.0 / (math.log(10.0) * x), times=_absorb_times)
logaddexp = elementwise("logaddexp", lambda x, y: sigmoid(x - y), lambda x, y: sigmoid(y - x))
sigmoid: Function = elementwise(
    "sigmoid", lambda out: out * (1.0 - out), forward=lambda xp, x: _sigmoid(xp, x),
    doc="``1 / (1 + exp(-x))``, without overflow, and with full relative accuracy where it is tiny.",
)  # fmt: skip
softplus = elementwise(
    "softplus", lambda x: sigmoid(x), forward=lambda xp, x: xp.logaddexp(x, xp.zeros_like(x)),
    doc="``log(1 + exp(x))``, without overflow.",
)  # fmt: skip


def _sigmoid(xp: Any, x: Array) -> Array:
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, small) / (1.0 + small)


# ---- trigonometric and hyperbolic


def _one_minus_square(xp: Any, x: Array) -> Array:
    out = x * x
    # without a second array: tanh' is needed at every step of a network, and a fresh array costs as much as its arithmetic
    return xp.subtract(1.0, out, out=out) if out.ndim else 1.0 - out


one_minus_square: Function = elementwise(
    "one_minus_square",
    lambda x: -2.0 * x,
    forward=_one_minus_square,
    doc="``1 - x ** 2``, the derivative of tanh by its value.",
)

sin: Function = elementwise("sin", lambda x: cos(x))
cos: Function = elementwise("cos", lambda x: -sin(x))
tan = elementwise("tan", lambda out: 1.0 + out * out)
asin = elementwise("asin", lambda x: 1.0 / sqrt((1.0 - x) * (1.0 + x)), forward="arcsin", times=_absorb_times)
acos = elementwise("acos", lambda x: -1.0 / sqrt((1.0 - x) * (1.0 + x)), forward="arccos", times=_absorb_times)
atan = elementwise("atan", lambda x: 1.0 / (1.0 + x * x), forward="arctan")
atan2 = elementwise(
    "atan2", lambda x, y: y / (x * x + y * y), lambda x, y: -x / (x * x + y * y), forward="arctan2", times=_absorb_times,
    doc="The angle of the point ``(y, x)``, NumPy's ``arctan2(x, y)``.",
)  # fmt: skip
sinh: Function = elementwise("sinh", lambda x: cosh(x))
cosh: Function = elementwise("cosh", lambda x: sinh(x))
tanh = elementwise("tanh", lambda out: one_minus_square(out))
asinh = elementwise("asinh", lambda x: 1.0 / hypot(x, 1.0), forward="arcsinh")
acosh = elementwise("acosh", lambda x: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)), forward="arccosh", times=_absorb_times)
atanh = elementwise("atanh", lambda x: 1.0 / ((1.0 - x) * (1.0 + x)), forward="arctanh", times=_absorb_times)
