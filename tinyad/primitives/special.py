"""Special functions. SciPy computes them, on a GPU cupyx: it is an optional dependency, imported when one is called.

Their names and the order of their operands are those of ``scipy.special``, whose own functions also work on Tensors. Where no
simple formula for a partial derivative is known, as for the shape parameters of the incomplete gamma and beta functions, it is
refused when it is asked for.
"""

from __future__ import annotations

import functools
import math
import operator
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..backend import Array, common_module, is_array, module_of
from ..kinds import Function, elementwise, nondifferentiable
from ..tensor import unwrap
from .elementwise import abs as absolute
from .elementwise import (
    absorb_times,
    add,
    cbrt,
    cos,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    power_series,
    sigmoid,
    sign,
    sin,
    softplus,
    where,
)
from .steps import equal, floor, greater, less, less_equal, logical_and

__all__ = [
    "beta", "betainc", "betaln", "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "exp1", "expi", "expit", "expn",
    "factorial", "gamma", "gammainc", "gammaincc", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e",
    "k1", "k1e", "kl_div", "log_ndtr", "loggamma", "logit", "multigammaln", "ndtr", "ndtri", "of_scipy", "poch", "polygamma",
    "psi", "rel_entr", "rgamma", "xlog1py", "xlogy", "y0", "y1", "zeta",
]  # fmt: skip


def _special(
    name: str, *partials: Any, operands: tuple[str, ...] = ("x", "y"), times: Function = absorb_times, doc: str = ""
) -> Function:
    """A function with partial derivatives that are infinite somewhere."""
    function = elementwise(name, *partials, forward=f"scipy.special.{name}", operands=operands, times=times, doc=doc)
    return function if len(partials) == 1 else _in_one_dtype(function)


def _in_one_dtype(function: Function) -> Function:
    """SciPy would compute in float64 with a Python number, though the arrays beside it are float32."""

    @functools.wraps(function)
    def apply(*operands: Any) -> Any:
        dtype = next((x.dtype for x in operands if hasattr(x, "dtype")), None)
        if dtype is None or dtype.kind not in "fc":
            return function(*operands)
        module = common_module(map(unwrap, operands))
        strong = [
            x if hasattr(x, "dtype") else (module_of(x) if is_array(x) else module).asarray(x, dtype=dtype) for x in operands
        ]
        return function(*strong)

    return apply


def _entire(name: str, partial: Any, doc: str) -> Function:
    """A function whose derivative is finite everywhere."""
    return _special(name, partial, times=operator.mul, doc=doc)


def _refused(name: str, operand: str) -> Callable[[], NoReturn]:
    """A partial derivative that nobody should take for zero."""

    def refuse() -> NoReturn:
        raise NotImplementedError(
            f"{name}: the derivative by its operand {operand} is not known to tinyad. Keep {operand} constant (a plain number, or "
            f"ad.stop_gradient({operand})), or give the function a rule with ad.custom_jvp"
        )

    return refuse


# ---- error function and normal distribution

_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)

erf: Function = _entire(
    "erf", lambda x: _TWO_OVER_ROOT_PI * exp(-x * x),
    doc="The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t ** 2)`` from 0 to ``x``.",
)  # fmt: skip
erfc: Function = _entire("erfc", lambda x: -_TWO_OVER_ROOT_PI * exp(-x * x), doc="``1 - erf(x)``, accurate where it is tiny.")
erfcx: Function = _entire("erfcx", lambda x, out: _erfcx_slope(x, out), doc="``exp(x ** 2) * erfc(x)``.")
erfinv: Function = _special("erfinv", lambda out: exp(out * out) / _TWO_OVER_ROOT_PI, doc="The inverse of `erf`.")
erfcinv: Function = _special("erfcinv", lambda out: -exp(out * out) / _TWO_OVER_ROOT_PI, doc="The inverse of `erfc`.")
ndtr: Function = _entire(
    "ndtr", lambda x: exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi), doc="The distribution function of standard normal numbers."
)
log_ndtr: Function = _entire(
    "log_ndtr",
    lambda x: math.sqrt(2.0 / math.pi) / erfcx(x * -math.sqrt(0.5)),
    doc="The logarithm of `ndtr`, without underflow.",
)
ndtri: Function = _special(
    "ndtri", lambda out: math.sqrt(2.0 * math.pi) * exp(0.5 * out * out), doc="The inverse of `ndtr`: quantiles."
)
_ERFCX = [(-1.0) ** k * math.prod(range(1, 2 * k, 2)) for k in range(1, 9)]
"""Of the asymptotic series of ``sqrt(pi) x erfcx(x)``, less its first term, in ``1 / (2 x ** 2)``."""


def _erfcx_slope(x: Array, out: Array) -> Array:
    far = greater(x, 25.0)  # where the difference of two nearly equal terms would lose three digits and more
    inverse = 0.5 / where(far, x * x, 1.0)
    return where(far, _TWO_OVER_ROOT_PI * inverse * power_series(_ERFCX, inverse), 2.0 * x * out - _TWO_OVER_ROOT_PI)


# ---- logistic distribution and entropies

expit = sigmoid
"""SciPy's name of `sigmoid`."""
logit: Function = _special("logit", lambda x: 1.0 / (x * (1.0 - x)), doc="``log(x / (1 - x))``, the inverse of `sigmoid`.")
xlogy: Function = _special(
    "xlogy", lambda x, y: log(y), lambda x, y: _over(x, y), doc="``x * log(y)``, and 0 where ``x`` is 0."
)
xlog1py: Function = _special(
    "xlog1py", lambda x, y: log1p(y), lambda x, y: _over(x, 1.0 + y), doc="``x * log(1 + y)``, and 0 where ``x`` is 0."
)
entr: Function = _special("entr", lambda x: -log(x) - 1.0, doc="``-x * log(x)``, and 0 at 0, where its slope is infinite.")
rel_entr: Function = _special(
    "rel_entr",
    lambda x, y: log(_quotient(x, y)) + 1.0,
    lambda x, y: -_over(x, y),
    doc="``x * log(x / y)``, and 0 where x is 0.",
)
kl_div: Function = _special(
    "kl_div", lambda x, y: log(_quotient(x, y)), lambda x, y: 1.0 - _over(x, y), doc="``x * log(x / y) - x + y``."
)


def _over(x: Array, y: Array) -> Array:
    """``x / y``, and 0 where both are 0: ``x * log(y)`` is constant in ``y`` there."""
    return x / where(logical_and(equal(x, 0), equal(y, 0)), 1.0, y)


def _quotient(x: Array, y: Array) -> Array:
    """``x / y``, and 1 where both are 0."""
    return where(logical_and(equal(x, 0), equal(y, 0)), 1.0, x / y)


# ---- gamma and beta functions

zeta: Function = _special(
    "zeta", _refused("zeta", "x"), lambda x, q: -x * zeta(x + 1.0, q), operands=("x", "q"),
    doc="Hurwitz's zeta function, the sum of ``(k + q) ** -x`` over ``k = 0, 1, ...``; by ``x`` it has no derivative here.",
)  # fmt: skip
digamma: Function = elementwise(
    "digamma", lambda x: polygamma(1, x), forward="scipy.special.psi", doc="The derivative of `gammaln`."
)
psi = digamma
"""SciPy's name of `digamma`."""
gammaln: Function = _special("gammaln", lambda x: digamma(x), doc="``log(abs(gamma(x)))``, without overflow.")
loggamma: Function = _special(
    "loggamma", lambda x: digamma(x), doc="The logarithm of the gamma function that is continuous off the negative real axis."
)
gamma: Function = _special("gamma", lambda x, out: out * digamma(x), doc="The gamma function: ``gamma(n + 1)`` is n factorial.")
rgamma: Function = _special(
    "rgamma", lambda x, out: _rgamma_slope(x, out), doc="``1 / gamma(x)``, which is 0 at 0, -1, -2, ..."
)
gammasgn = nondifferentiable("gammasgn", "scipy.special.gammasgn", doc="The sign of the gamma function, a constant.")
beta: Function = _special(
    "beta",
    lambda x, y, out: out * (digamma(x) - digamma(x + y)),
    lambda x, y, out: out * (digamma(y) - digamma(x + y)),
    doc="``gamma(x) * gamma(y) / gamma(x + y)``.",
)
betaln: Function = _special(
    "betaln",
    lambda x, y: digamma(x) - digamma(x + y),
    lambda x, y: digamma(y) - digamma(x + y),
    doc="``log(abs(beta(x, y)))``.",
)
poch: Function = _special(
    "poch", lambda x, y, out: out * (digamma(x + y) - digamma(x)), lambda x, y, out: out * digamma(x + y),
    doc="Pochhammer's symbol, ``gamma(x + y) / gamma(x)``.",
)  # fmt: skip
gammainc: Function = _special(
    "gammainc", _refused("gammainc", "a"), lambda a, x: _gamma_density(a, x), operands=("a", "x"),
    doc="The regularised lower incomplete gamma function; by ``a`` it has no derivative here.",
)  # fmt: skip
gammaincc: Function = _special(
    "gammaincc", _refused("gammaincc", "a"), lambda a, x: -_gamma_density(a, x), operands=("a", "x"),
    doc="The regularised upper incomplete gamma function; by ``a`` it has no derivative here.",
)  # fmt: skip
betainc: Function = _special(
    "betainc", _refused("betainc", "a"), _refused("betainc", "b"),
    lambda a, b, x: exp(xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x) - betaln(a, b)), operands=("a", "b", "x"),
    doc="The regularised incomplete beta function; by ``a`` and ``b`` it has no derivative here.",
)  # fmt: skip


def _gamma_density(a: Array, x: Array) -> Array:
    return exp(xlogy(a - 1.0, x) - x - gammaln(a))


def _rgamma_slope(x: Array, out: Array) -> Array:
    pole = logical_and(less_equal(x, 0), equal(x, floor(x)))  # of the gamma function: there the product is 0 times infinity
    mirrored = 1.0 - where(pole, x, 0.0)  # by 1 / gamma(x) = gamma(1 - x) sin(pi x) / pi, right to its own derivative at a pole
    at_pole = gamma(mirrored) * (cos(math.pi * x) - sin(math.pi * x) * digamma(mirrored) / math.pi)
    return where(pole, at_pole, -out * digamma(where(pole, 1.0, x)))


def polygamma(n: int, x: Array) -> Array:
    """The derivative of order ``n`` of `digamma`.

    Args:
        n: a whole number, 0 or larger.

    Source: NIST Digital Library of Mathematical Functions, 5.15.1 and 25.11.1.
    """
    n = _order("polygamma", n)
    return digamma(x) if n == 0 else (-1.0) ** (n + 1) * math.factorial(n) * zeta(n + 1.0, x)


def _order(name: str, n: Any) -> int:
    whole = isinstance(n, (int, float, np.integer)) and n >= 0 and n % 1 == 0
    if not whole:
        raise ValueError(f"{name}: n={n!r}; expected a whole number of at least 0, the same for all elements")
    return int(n)


def factorial(x: Array) -> Array:
    """``gamma(x + 1)``."""
    return gamma(add(x, 1.0))


def multigammaln(a: Array, d: int) -> Array:
    """The logarithm of the multivariate gamma function of dimension ``d``, for ``a > (d - 1) / 2``.

    Source: C. Bishop, "Pattern recognition and machine learning", 2006, equation B.79.
    """
    total: Array = 0.25 * d * (d - 1) * math.log(math.pi)
    for j in range(d):
        total = total + gammaln(a - 0.5 * j)
    return total


# ---- exponential integrals

exp1: Function = _special("exp1", lambda x: -exp(-x) / x, doc="The integral of ``exp(-t) / t`` from ``x`` to infinity.")
expi: Function = _special(
    "expi", lambda x: exp(x) / x, doc="The principal value of the integral of ``exp(t) / t`` up to ``x``."
)
_expn: Function = _special("expn", None, lambda n, x: -expn(int(n) - 1, x), operands=("n", "x"))


def expn(n: int, x: Array) -> Array:
    """The integral of ``exp(-x t) / t ** n`` from 1 to infinity, for a whole number ``n`` of at least 0."""
    n = _order("expn", n)
    return exp(-x) / x if n == 0 else _expn(n, x)


# ---- Bessel functions: each is followed by its neighbour, and what that is over x has a series at 0

j0: Function = _entire("j0", lambda x: -j1(x), doc="Bessel's function of the first kind, order 0.")
j1: Function = _entire("j1", lambda x, out: j0(x) - _over_x(_J1, x, out), doc="Bessel's function of the first kind, order 1.")
y0: Function = _special("y0", lambda x: -y1(x), doc="Bessel's function of the second kind, order 0.")
y1: Function = _special("y1", lambda x, out: y0(x) - out / x, doc="Bessel's function of the second kind, order 1.")
i0: Function = _entire("i0", lambda x: i1(x), doc="The modified Bessel function of the first kind, order 0.")
i1: Function = _entire(
    "i1", lambda x, out: i0(x) - _over_x(_I1, x, out), doc="The modified Bessel function of the first kind, order 1."
)
i0e: Function = _entire("i0e", lambda x, out: i1e(x) - sign(x) * out, doc="``exp(-abs(x)) * i0(x)``; derivative 0 at 0.")
i1e: Function = _entire(
    "i1e", lambda x, out: i0e(x) - sign(x) * out - _over_x(_I1, x, out, scaled=True), doc="``exp(-abs(x)) * i1(x)``."
)
k0: Function = _special("k0", lambda x: -k1(x), doc="The modified Bessel function of the second kind, order 0.")
k1: Function = _special("k1", lambda x, out: -k0(x) - out / x, doc="The modified Bessel function of the second kind, order 1.")
k0e: Function = _special("k0e", lambda x, out: out - k1e(x), doc="``exp(x) * k0(x)``.")
k1e: Function = _special("k1e", lambda x, out: out - k0e(x) - out / x, doc="``exp(x) * k1(x)``.")
_I1: list[float] = [0.5 / (4**k * math.factorial(k) * math.factorial(k + 1)) for k in range(10)]
_J1: list[float] = [(-1.0) ** k * c for k, c in enumerate(_I1)]
"""Of the power series of ``i1(x) / x`` and ``j1(x) / x`` in ``x ** 2``."""


def _over_x(series: list[float], x: Array, value: Array, scaled: bool = False) -> Array:
    """``value / x``, at 0 and near it by a series, so that derivatives of all orders are right there."""
    near = less(absolute(x), 1.0)
    close = where(near, x, 0.0)
    by_series = power_series(series, close * close) * (exp(-absolute(close)) if scaled else 1.0)
    return where(near, by_series, value / where(near, 1.0, x))


# ---- SciPy's own functions on Tensors

_SCIPY_NAMES: dict[str, Function] = {
    "cbrt": cbrt, "exp2": exp2, "expm1": expm1, "log1p": log1p, "log_expit": lambda x: -softplus(-x),
}  # fmt: skip


def of_scipy(ufunc: Any) -> Function | None:
    """The function that does what a ufunc of ``scipy.special`` does; ``None`` for any other ufunc."""
    package = sys.modules.get("scipy.special")  # whoever has the ufunc has loaded it
    name = ufunc.__name__
    if package is None or getattr(package, name, None) is not ufunc:
        return None
    return _SCIPY_NAMES.get(name) or (globals()[name] if name in __all__ else None)
