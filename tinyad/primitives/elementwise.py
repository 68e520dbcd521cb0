"""Functions of each element: the function and its partial derivatives, on one line where they fit.

``x`` and ``y`` are the operands and ``out`` the result; a partial that does not name one does not keep it. See the corners in
the rules' comments: at a point without a derivative the rule returns a subgradient, and a cotangent that is exactly zero stays
zero even where the partial is infinite, so that elementwise functions in the inactive branch of a `where` leak no NaN. (Matrix
products and reductions in that branch are not guarded.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..backend import Array
from ..kinds import Function, elementwise, nondifferentiable
from .complex import conj, imag, is_complex, real
from .shaping import as_array, as_arrays, as_floating, astype
from .steps import (
    equal,
    greater,
    greater_equal,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    round,
    trunc,
)

__all__ = [
    "abs", "acos", "acosh", "add", "angle", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "clip", "copysign", "cos", "cosh",
    "deg2rad", "divide", "exp", "exp2", "expm1", "float_power", "fmax", "fmin", "fmod", "heaviside", "hypot", "ldexp", "log",
    "log1p", "log2", "log10", "logaddexp", "logaddexp2", "maximum", "minimum", "modf", "multiply", "negative",
    "positive", "power", "rad2deg", "reciprocal", "relu", "remainder", "sigmoid", "sign", "sin", "sinc", "sinh", "softplus",
    "sqrt", "square", "subtract", "tan", "tanh", "where",
]  # fmt: skip

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


def absorb_times(v: Array, partial: Array) -> Array:
    """`absorb`, without its cost where the partial is a finite number."""
    return v * partial if isinstance(partial, float) and math.isfinite(partial) else absorb(v, partial)


absorb: Function = elementwise(
    "absorb", "y", "x", forward=_absorb_forward, times=absorb_times, branches=True,
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
divide = elementwise("divide", lambda y: _inverse(y), lambda y, out: -out / y, times=absorb_times)
negative = elementwise("negative", -1)
positive = elementwise("positive", 1)
reciprocal = elementwise(
    "reciprocal", lambda out: -out * out, forward=lambda xp, x: xp.divide(1.0, x), times=absorb_times, doc="``1 / x``."
)


def _inverse(y: Array) -> Array:
    return 1.0 / y if hasattr(y, "dtype") or y else math.copysign(math.inf, y.real)  # Python refuses to divide by its zero


square = elementwise("square", lambda x: 2.0 * x)
sqrt: Function = elementwise("sqrt", lambda out: 0.5 / out, times=absorb_times)
cbrt = elementwise("cbrt", lambda out: 1.0 / (3.0 * out * out), times=absorb_times)
deg2rad = elementwise("deg2rad", lambda: math.pi / 180.0)
rad2deg = elementwise("rad2deg", lambda: 180.0 / math.pi)


def _power_by_base(x: Array, y: Array) -> Array:
    # at y = 0 the function is constant in x; x ** -1 is infinite at x = 0
    return absorb(y, x ** (y - 1))


def _power_by_exponent(x: Array, out: Array) -> Array:
    # 0 ** y is constant for y > 0, while log(0) is infinite
    base = where(equal(x, 0), 1.0, x)
    return out * log(base + 0j if is_complex(out) else base)


_power = elementwise("power", _power_by_base, _power_by_exponent, times=absorb_times)


def power(x: Array, y: Array) -> Array:
    """``x ** y``. At ``y = 0`` the derivative by ``x`` is zero, at ``x = 0`` and ``y > 0`` that by ``y``, as the function is.

    >>> import tinyad as ad
    >>> ad.grad(ad.power)(0.0, 3.0)
    np.float64(0.0)
    """
    # a square's derivatives can never be infinite, so they need no guards: a quarter of a Hessian's instructions
    return square(x) if type(y) is int and y == 2 and hasattr(x, "dtype") else _power(x, y)


def float_power(x: Array, y: Array) -> Array:
    """`power` in double precision, whatever the dtypes of the operands."""
    return power(*[astype(z, complex if is_complex(z) else float) if hasattr(z, "dtype") else z for z in (x, y)])


hypot = elementwise("hypot", lambda x, out: _ratio(x, out), lambda y, out: _ratio(y, out))
_ldexp: Function = elementwise("ldexp", "y", None, times=lambda v, y: _ldexp(v, y))


def ldexp(x: Array, y: Array) -> Array:
    """``x * 2 ** y`` for integers ``y``, without rounding."""
    return _ldexp(x, as_arrays(x, y)[1])


def _ratio(part: Array, whole: Array) -> Array:
    """``part / whole``, and 0 where ``whole`` is 0: the subgradient of least norm of a norm at the origin."""
    return part / where(equal(whole, 0), 1.0, whole)


# ---- remainders: between jumps the quotient is a constant integer

remainder: Function = elementwise(
    "remainder", 1, lambda x, y, out: -_whole_quotient(x, y, out),
    doc="``x - y * floor(x / y)``, with the sign of ``y``; where it jumps, the derivatives are those on the right.",
)  # fmt: skip
fmod: Function = elementwise(
    "fmod", 1, lambda x, y, out: -_whole_quotient(x, y, out), doc="``x - y * trunc(x / y)``, with the sign of ``x``."
)


def _whole_quotient(x: Array, y: Array, out: Array) -> Array:
    """The integer by which ``y`` was multiplied; the floor of a rounded quotient could be the next one."""
    return round((x - out) / y)


def modf(x: Array) -> tuple[Array, Array]:
    """The fractional and the integral part, both with the sign of ``x``; the integral part is a constant.

    >>> import tinyad as ad
    >>> ad.modf(-2.25)
    (np.float64(-0.25), np.float64(-2.0))
    """
    x = as_floating(x)
    return fmod(where(isinf(x), 0.0, x), 1.0), trunc(x)


# ---- absolute values, signs and extrema: where two branches meet, the derivative is the mean of both sides

_sign: Function = nondifferentiable("sign")
abs: Function = elementwise(
    "abs", lambda x: conj(sign(x)), forward="absolute",
    doc="Absolute value, of complex numbers the length; derivative 0 at 0.",
)  # fmt: skip


def sign(x: Array) -> Array:
    """-1, 0 or 1, a constant. Of a complex number ``x / abs(x)``, which turns as ``x`` does; at 0 it is 0, and its derivative."""
    if not is_complex(x):
        return _sign(x)
    length = abs(x)
    return where(equal(length, 0), 0.0, _ratio(x, length))


copysign: Function = elementwise(
    "copysign", lambda x, out: _sign(x) * _sign(out), None,
    doc="``abs(x)`` with the sign of ``y``, of which zero has one too; as of ``abs`` the derivative at ``x = 0`` is 0.",
)  # fmt: skip
maximum: Function = elementwise("maximum", lambda x, y: _share(x, y), lambda x, y: _share(y, x))
minimum: Function = elementwise("minimum", lambda x, y: _share(y, x), lambda x, y: _share(x, y))
fmax = elementwise(
    "fmax", lambda x, y: _share_of_numbers(x, y, x, y), lambda x, y: _share_of_numbers(y, x, y, x),
    doc="The larger of ``x`` and ``y``, and where one of them is NaN the other.",
)  # fmt: skip
fmin = elementwise(
    "fmin", lambda x, y: _share_of_numbers(x, y, y, x), lambda x, y: _share_of_numbers(y, x, x, y),
    doc="The smaller of ``x`` and ``y``, and where one of them is NaN the other.",
)  # fmt: skip
relu = elementwise(
    "relu", lambda out: greater(out, 0.0), forward=lambda xp, x: xp.maximum(x, 0), times=select,
    doc="``max(x, 0)``; derivative 0 at 0.",
)  # fmt: skip
heaviside = elementwise(
    "heaviside", None, lambda x: equal(x, 0), times=select,
    doc="0 where ``x < 0``, 1 where ``x > 0``, and ``y`` where ``x`` is 0: constant in ``x``.",
)  # fmt: skip
_clip = elementwise(
    "clip",
    lambda x, low, high: logical_and(greater_equal(x, low), less_equal(x, high)),
    lambda x, low, high: logical_and(less(x, low), less_equal(low, high)),
    lambda x, low, high: logical_or(greater(x, high), greater(low, high)),  # bounds that cross: the upper one wins
    operands=("x", "low", "high"),
    times=select,
)


def _share(mine: Array, other: Array) -> Array:
    """1 where mine is the larger, 0 where it is the smaller, 1/2 at a tie."""
    gap = where(equal(mine, other), 0.0, mine - other)  # equal infinities have no difference
    if is_complex(gap):  # in NumPy's order the imaginary parts decide between equal real parts
        gap = where(equal(real(gap), 0), imag(gap), real(gap))
    return 0.5 * (1.0 + _sign(gap))


def _share_of_numbers(mine: Array, other: Array, large: Array, small: Array) -> Array:
    """`_share` of the large and the small, where NaN has no part in it."""
    return where(isnan(mine), 0.0, where(isnan(other), 1.0, _share(large, small)))


def clip(x: Array, min: Array | None = None, max: Array | None = None) -> Array:
    """``x`` limited to the interval from ``min`` to ``max``; either may be missing. The derivative at a bound is 1."""
    x = as_array(x)
    if min is None and max is None:
        return positive(x)
    if x.dtype.kind not in "fc" and (min is None or max is None):  # integers have no infinity for the bound that is missing
        return maximum(x, min) if max is None else minimum(x, max)
    return _clip(x, -math.inf if min is None else min, math.inf if max is None else max)


# ---- exponentials and logarithms

exp = elementwise("exp", "out")
expm1 = elementwise("expm1", lambda out: out + 1.0)
log: Function = elementwise("log", lambda x: 1.0 / x, times=absorb_times)
log1p = elementwise("log1p", lambda x: 1.0 / (1.0 + x), times=absorb_times)
log2 = elementwise("log2", lambda x: 1.0 / (math.log(2.0) * x), times=absorb_times)
log10 = elementwise("log10", lambda x: 1.0 / (math.log(10.0) * x), times=absorb_times)
exp2 = elementwise("exp2", lambda out: math.log(2.0) * out)
logaddexp = elementwise("logaddexp", lambda x, y: _weight(x, y, 1.0), lambda x, y: _weight(y, x, 1.0))
logaddexp2 = elementwise("logaddexp2", lambda x, y: _weight(x, y, math.log(2.0)), lambda x, y: _weight(y, x, math.log(2.0)))
sigmoid: Function = elementwise(
    "sigmoid", lambda out: out * (1.0 - out), forward=lambda xp, x: _sigmoid(xp, x),
    doc="``1 / (1 + exp(-x))``, without overflow, and with full relative accuracy where it is tiny.",
)  # fmt: skip
softplus = elementwise(
    "softplus", lambda x: sigmoid(x), forward=lambda xp, x: xp.logaddexp(x, xp.zeros_like(x)),
    doc="``log(1 + exp(x))``, without overflow.",
)  # fmt: skip


def _sigmoid(xp: Any, x: Array) -> Array:
    x = xp.asarray(x)
    positive = x.real >= 0
    small = xp.exp(xp.where(positive, -x, x) if is_complex(x) else -xp.abs(x))
    return xp.where(positive, 1.0, small) / (1.0 + small)


def _weight(mine: Array, other: Array, scale: float) -> Array:
    """The share of mine in a sum of exponentials; equal infinities, which have no difference, share equally."""
    alike = logical_and(isinf(mine), equal(mine, other))
    return sigmoid(where(alike, 0.0, scale * (mine - other)))


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
asin = elementwise("asin", lambda x: 1.0 / sqrt((1.0 - x) * (1.0 + x)), forward="arcsin", times=absorb_times)
acos = elementwise("acos", lambda x: -1.0 / sqrt((1.0 - x) * (1.0 + x)), forward="arccos", times=absorb_times)
atan = elementwise("atan", lambda x: 1.0 / (1.0 + x * x), forward="arctan")
atan2 = elementwise(
    "atan2", lambda x, y: _per_length(y, x, y), lambda x, y: -_per_length(x, x, y), forward="arctan2", times=absorb_times,
    doc="The angle of the point ``(y, x)``, NumPy's ``arctan2(x, y)``.",
)  # fmt: skip


def _per_length(z: Array, x: Array, y: Array) -> Array:
    """``z / (x**2 + y**2)``, whose squares could underflow or overflow."""
    length = hypot(x, y)
    return z / length / length


sinh: Function = elementwise("sinh", lambda x: cosh(x))
cosh: Function = elementwise("cosh", lambda x: sinh(x))
tanh = elementwise("tanh", lambda out: one_minus_square(out))
asinh = elementwise("asinh", lambda x: 1.0 / (sqrt(x * x + 1.0) if is_complex(x) else hypot(x, 1.0)), forward="arcsinh")
acosh = elementwise("acosh", lambda x: 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)), forward="arccosh", times=absorb_times)
atanh = elementwise("atanh", lambda x: 1.0 / ((1.0 - x) * (1.0 + x)), forward="arctanh", times=absorb_times)


def angle(z: Array, deg: bool = False) -> Array:
    """The angle of complex numbers, in radians or, with ``deg``, in degrees."""
    radians: Array = atan2(imag(z), real(z))
    return rad2deg(radians) if deg else radians


# ---- sinc

sinc: Function = elementwise(
    "sinc", lambda x: _sinc_slope(x), doc="``sin(pi x) / (pi x)``, and 1 at 0; derivatives of all orders are right there too."
)
_SINC = [(-1.0) ** k * 2 * k / math.factorial(2 * k + 1) for k in range(1, 12)]
"""Of the power series of the derivative of ``sin(t) / t``, divided by ``t``, in ``t ** 2``."""


def _sinc_slope(x: Array) -> Array:
    t = math.pi * x
    near = less(abs(t), 1.0)  # where the two terms of the other formula cancel
    far = where(near, 1.0, t)
    t = where(near, t, 0.0)
    return math.pi * where(near, t * power_series(_SINC, t * t), (cos(far) - sin(far) / far) / far)


def power_series(coefficients: Sequence[float], x: Array) -> Array:
    """The sum of ``coefficients[k] * x ** k``, by Horner's rule."""
    total: Array = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total
