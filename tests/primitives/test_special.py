"""Special functions at their corners, far out, and without SciPy."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import tinyad as ad
from tinyad.primitives import special as s

INF = math.inf

# A function, a point, and its derivative there.
SLOPES: list[tuple[str, Callable[[Any], Any], float, float]] = [
    ("entr at 0 is infinitely steep", s.entr, 0.0, INF),
    ("xlogy by x at x = 0", lambda x: s.xlogy(x, 2.0), 0.0, math.log(2.0)),
    ("xlogy by x at the origin", lambda x: s.xlogy(x, 0.0), 0.0, -INF),
    ("xlogy by y at x = 0 is constant", lambda y: s.xlogy(0.0, y), 2.0, 0.0),
    ("xlogy by y at the origin", lambda y: s.xlogy(0.0, y), 0.0, 0.0),
    ("xlogy by y at y = 0", lambda y: s.xlogy(2.0, y), 0.0, INF),
    ("xlog1py by x at x = 0", lambda x: s.xlog1py(x, 1.0), 0.0, math.log(2.0)),
    ("xlog1py by y at the corner", lambda y: s.xlog1py(0.0, y), -1.0, 0.0),
    ("rel_entr at equal operands", lambda x: s.rel_entr(x, 2.0), 2.0, 1.0),
    ("rel_entr at the origin", lambda x: s.rel_entr(x, 0.0), 0.0, 1.0),
    ("rel_entr by y at x = 0", lambda y: s.rel_entr(0.0, y), 0.0, 0.0),
    ("rel_entr by x at x = 0", lambda x: s.rel_entr(x, 2.0), 0.0, -INF),
    ("kl_div at equal operands", lambda x: s.kl_div(x, 2.0), 2.0, 0.0),
    ("kl_div at the origin", lambda x: s.kl_div(x, 0.0), 0.0, 0.0),
    ("kl_div by y at the origin", lambda y: s.kl_div(0.0, y), 0.0, 1.0),
    ("erfinv at the end", s.erfinv, 1.0, INF),
    ("ndtri at the end", s.ndtri, 0.0, INF),
    ("logit at the end", s.logit, 1.0, INF),
    ("i0e at its kink", s.i0e, 0.0, 0.0),
    ("i1 at 0", s.i1, 0.0, 0.5),
    ("i1e at 0", s.i1e, 0.0, 0.5),
    ("j1 at 0", s.j1, 0.0, 0.5),
    ("j1 near 0", s.j1, 1e-9, 0.5),
    ("rgamma at the first pole of gamma", s.rgamma, 0.0, 1.0),
    ("rgamma at another pole of gamma", s.rgamma, -3.0, -6.0),
    ("digamma at a negative number", s.digamma, -0.5, float(scipy.special.polygamma(1, -0.5))),
    ("gammainc at 0 with a > 1", lambda x: s.gammainc(2.0, x), 0.0, 0.0),
    ("gammainc at 0 with a = 1", lambda x: s.gammainc(1.0, x), 0.0, 1.0),
    ("gammainc at 0 with a < 1", lambda x: s.gammainc(0.5, x), 0.0, INF),
    ("betainc at 0 with a = 1", lambda x: s.betainc(1.0, 2.0, x), 0.0, 2.0),
    ("betainc at 1 with b = 1", lambda x: s.betainc(2.0, 1.0, x), 1.0, 2.0),
    ("log_ndtr at 0", s.log_ndtr, 0.0, math.sqrt(2.0 / math.pi)),
    ("log_ndtr far up", s.log_ndtr, 50.0, 0.0),
    ("log_ndtr far down", s.log_ndtr, -1e8, 1e8),
    ("erfcx far up", s.erfcx, 1e6, -1e-12 / math.sqrt(math.pi)),
    ("gelu at 0", ad.gelu, 0.0, 0.5),
    ("exact gelu at 0", lambda x: ad.gelu(x, approximate=False), 0.0, 0.5),
]


@pytest.mark.parametrize(("f", "at", "expected"), [row[1:] for row in SLOPES], ids=[row[0] for row in SLOPES])
def test_slope(f: Callable[[Any], Any], at: float, expected: float) -> None:
    with np.errstate(all="ignore"):
        for found in (ad.grad(f)(at), ad.jvp(f, (at,), (1.0,))[1]):
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=0)


# A function and a point, and a derivative of higher order there.
HIGHER: list[tuple[str, Callable[[Any], Any], float, int, float]] = [
    ("sinc'' at 0", ad.sinc, 0.0, 2, -(math.pi**2) / 3),
    ("sinc'''' at 0", ad.sinc, 0.0, 4, math.pi**4 / 5),
    ("sinc'' near 0", ad.sinc, 1e-6, 2, -(math.pi**2) / 3),
    ("i1''' at 0", s.i1, 0.0, 3, 3 / 8),
    ("j1''' at 0", s.j1, 0.0, 3, -3 / 8),
    ("i0'''' at 0", s.i0, 0.0, 4, 3 / 8),
    ("log_ndtr'' far down", s.log_ndtr, -1e6, 2, -1.0),
    ("erfcx'' far up", s.erfcx, 1e4, 2, 2e-12 / math.sqrt(math.pi)),
    ("gammaln'''", s.gammaln, 0.7, 3, float(scipy.special.polygamma(2, 0.7))),
    ("logaddexp'' at a tie", lambda x: ad.logaddexp(x, 1.0), 1.0, 2, 0.25),
]


@pytest.mark.parametrize(("f", "at", "order", "expected"), [row[1:] for row in HIGHER], ids=[row[0] for row in HIGHER])
def test_derivative_of_higher_order(f: Callable[[Any], Any], at: float, order: int, expected: float) -> None:
    for _ in range(order):
        f = ad.grad(f)
    np.testing.assert_allclose(f(at), expected, rtol=1e-7, atol=0)


def test_mixed_derivatives_of_xlogy_are_symmetric_where_x_is_zero() -> None:
    np.testing.assert_allclose(ad.hessian(lambda v: s.xlogy(v[0], v[1]))(np.array([0.0, 2.0])), [[0.0, 0.5], [0.5, 0.0]])


@pytest.mark.parametrize("x", [24.9, 25.1])
def test_the_two_formulas_of_erfcx_meet(x: float) -> None:
    """``erfcx' = 2 x erfcx - 2 / sqrt(pi)``, here with the sum of the series that the difference cancels to."""
    terms = [(-1) ** k * math.prod(range(1, 2 * k, 2)) / (2 * x * x) ** k for k in range(1, 12)]
    np.testing.assert_allclose(ad.grad(s.erfcx)(x), 2 / math.sqrt(math.pi) * sum(terms), rtol=1e-12)


@pytest.mark.parametrize("name", ["entr", "xlogy", "logit", "erfinv", "ndtri", "gammaln", "exp1", "k0"])
def test_an_inactive_branch_leaks_no_nan(name: str) -> None:
    f = getattr(s, name)
    x = np.array([0.0, -1.0, 0.5])

    def chosen(x: Any) -> Any:
        return ad.sum(ad.where(x > 0.25, f(x, x) if name == "xlogy" else f(x), 0.0))

    with np.errstate(all="ignore"):
        gradient = ad.grad(chosen)(x)
    assert np.isfinite(gradient).all() and (gradient[:2] == 0).all() and gradient[2] != 0


# ---- dtypes, and operands that are refused

OF_TWO = ["xlogy", "xlog1py", "rel_entr", "kl_div", "beta", "betaln", "poch", "zeta", "gammainc", "gammaincc"]


@pytest.mark.parametrize("name", OF_TWO)
def test_a_python_number_leaves_float32_as_it_is(name: str) -> None:
    f = getattr(s, name)
    x = np.array([1.5, 2.5], np.float32)
    assert f(2.0, x).dtype == np.float32 and f(2.0, ad.tensor(x)).dtype == np.float32
    assert ad.grad(lambda x: ad.sum(f(2.0, x)))(x).dtype == np.float32
    np.testing.assert_allclose(ad.compile(lambda x: f(2.0, x))(x), f(2.0, x), rtol=1e-6)


REFUSED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("zeta", lambda a: s.zeta(a, 2.0), "x"),
    ("gammainc", lambda a: s.gammainc(a, 2.0), "a"),
    ("gammaincc", lambda a: s.gammaincc(a, 2.0), "a"),
    ("betainc", lambda a: s.betainc(a, 2.0, 0.5), "a"),
    ("betainc", lambda a: s.betainc(2.0, a, 0.5), "b"),
]


@pytest.mark.parametrize(("name", "f", "operand"), REFUSED)
def test_a_derivative_that_is_not_known_is_refused(name: str, f: Callable[[Any], Any], operand: str) -> None:
    f(ad.tensor(2.0))  # the value is
    for differentiate in (lambda: ad.grad(f)(2.0), lambda: ad.jvp(f, (2.0,), (1.0,))):
        with pytest.raises(NotImplementedError, match=rf"^{name}: the derivative by its operand {operand} is not known"):
            differentiate()


@pytest.mark.parametrize("n", [-1, 1.5, np.array([1, 2])])
@pytest.mark.parametrize("name", ["polygamma", "expn"])
def test_orders_are_whole_numbers(name: str, n: Any) -> None:
    with pytest.raises(ValueError, match=r"n=.*expected a whole number"):
        getattr(s, name)(n, 1.0)


# ---- SciPy's own functions

UFUNCS = [name for name in s.__all__ if isinstance(getattr(scipy.special, name, None), np.ufunc)]


@pytest.mark.parametrize("name", UFUNCS)
def test_scipys_function_on_tensors(name: str) -> None:
    theirs, ours = getattr(scipy.special, name), getattr(s, name)
    operands = [2, 1, 0.5][-theirs.nin :]
    result = theirs(*operands[:-1], ad.tensor(operands[-1]))
    assert isinstance(result, ad.Tensor)
    assert float(result) == theirs(*operands)
    if name != "gammasgn":
        slopes = [ad.grad(lambda x, f=f: f(*operands[:-1], x))(operands[-1]) for f in (theirs, ours)]
        assert slopes[0] == slopes[1] != 0


RENAMED = {
    "psi": s.digamma, "cbrt": ad.cbrt, "exp2": ad.exp2, "log1p": ad.log1p, "expm1": ad.expm1, "log_expit": ad.log_sigmoid,
}  # fmt: skip


@pytest.mark.parametrize("name", RENAMED)
def test_scipys_names(name: str) -> None:
    assert ad.grad(getattr(scipy.special, name))(0.3) == ad.grad(RENAMED[name])(0.3)


def test_scipys_other_functions_are_refused() -> None:
    with pytest.raises(TypeError, match=r"np\.jv has no rule in tinyad"):
        scipy.special.jv(1, ad.tensor(1.0))


def test_they_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(s.xlogy)) is s.xlogy and pickle.loads(pickle.dumps(s.gammaln)) is s.gammaln


# ---- without SciPy

WITHOUT_SCIPY = """
import sys
sys.modules["scipy"] = sys.modules["scipy.special"] = None
import tinyad as ad
assert ad.grad(ad.gelu)(0.0) == 0.5 and ad.sigmoid(0.0) == 0.5
try:
    ad.special.gammaln(ad.tensor(2.0))
except ImportError as error:
    print(error)
"""


def test_without_scipy_a_message_says_what_to_install() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_SCIPY], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "gammaln: it is computed by scipy.special; install it with: pip install 'tinyad[special]'"


def test_scipy_is_not_imported_before_it_is_needed() -> None:
    source = "import sys, tinyad; assert not any(name.startswith('scipy') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", source], check=True)
