"""Points without a derivative, and values out of range: the conventions, and that an inactive branch leaks no NaN."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tinyad as ad

Array = np.ndarray[Any, Any]
INF, NAN = math.inf, math.nan


@contextmanager
def quietly() -> Iterator[None]:
    """NumPy warns of NaN and infinity where the user's own forward evaluation makes them, as without tinyad."""
    with np.errstate(all="ignore"):
        yield


def slopes(f: Callable[[Any], Any], x: Array) -> dict[str, Array]:
    """The derivative of an elementwise function, by every way."""
    with quietly():
        return {
            "reverse": ad.grad(lambda z: ad.sum(f(z)))(x),
            "forward": ad.jvp(f, (x,), (np.ones_like(x),))[1],
            "rows": np.einsum("ii->i", ad.jacobian(f, mode="reverse")(x)),
            "columns": np.einsum("ii->i", ad.jacobian(f, mode="forward")(x)),
            "recorded": ad.grad(lambda z: ad.sum(f(z)))(ad.tensor(x)).array,
        }


# ---- where: the branch not taken

# The function of the branch, where it is taken, points at which it is not, points at which it is, the slope there.
BRANCHES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], list[float], Callable[[Array], Array]]] = {
    "sqrt": (ad.sqrt, lambda x: x > 0, [0.0, -1.0], lambda x: 0.5 / np.sqrt(x)),
    "log": (ad.log, lambda x: x > 0, [0.0, -1.0], lambda x: 1 / x),
    "log2": (ad.log2, lambda x: x > 0, [0.0, -1.0], lambda x: 1 / x / math.log(2)),
    "log10": (ad.log10, lambda x: x > 0, [0.0, -1.0], lambda x: 1 / x / math.log(10)),
    "log1p": (lambda x: ad.log1p(-x), lambda x: x < 1, [1.0, 2.0], lambda x: -1 / (1 - x)),
    "divide": (lambda x: 1.0 / x, lambda x: x != 0, [0.0, -0.0], lambda x: -1 / x**2),
    "zero by zero": (lambda x: x / x, lambda x: x != 0, [0.0], lambda x: 0 * x),
    "sinc": (lambda x: ad.sin(x) / x, lambda x: x != 0, [0.0], lambda x: np.cos(x) / x - np.sin(x) / x**2),
    "reciprocal": (ad.reciprocal, lambda x: x != 0, [0.0], lambda x: -1 / x**2),
    "power of a half": (lambda x: x**0.5, lambda x: x > 0, [0.0, -1.0], lambda x: 0.5 * x**-0.5),
    "negative power": (lambda x: x**-2, lambda x: x != 0, [0.0], lambda x: -2 * x**-3.0),
    "power of an array": (lambda x: x ** np.full(x.shape, 0.5), lambda x: x > 0, [0.0, -1.0], lambda x: 0.5 * x**-0.5),
    "x to the x": (lambda x: x**x, lambda x: x > 0, [0.0, -1.5], lambda x: x**x * (np.log(x) + 1)),
    "base to the x": (lambda x: 0.0**x + x, lambda x: x > 0, [0.0, -1.0], np.ones_like),
    "asin": (ad.asin, lambda x: abs(x) < 1, [1.0, -1.0, 2.0], lambda x: 1 / np.sqrt(1 - x**2)),
    "acos": (ad.acos, lambda x: abs(x) < 1, [1.0, -1.0, 2.0], lambda x: -1 / np.sqrt(1 - x**2)),
    "atanh": (ad.atanh, lambda x: abs(x) < 1, [1.0, -1.0, 2.0], lambda x: 1 / (1 - x**2)),
    "acosh": (lambda x: ad.acosh(2 * x), lambda x: x > 0.5, [0.5, 0.0], lambda x: 2 / np.sqrt(4 * x**2 - 1)),
    "atan2": (lambda x: ad.atan2(x, 0.0 * x), lambda x: x != 0, [0.0], lambda x: 0 * x),
    "sqrt of a square": (lambda x: ad.sqrt(x * x), lambda x: x != 0, [0.0], np.sign),
    "log of a quotient": (lambda x: ad.log(x / (1 - x)), lambda x: abs(2 * x - 1) < 1, [0.0, 1.0, -1.0], lambda x: 1 / x / (1 - x)),
    # intermediate results that are infinite, and meet a zero cotangent in a plain product
    "x log x": (lambda x: x * ad.log(x), lambda x: x > 0, [0.0, -1.0], lambda x: np.log(x) + 1),
    "overflow of exp": (lambda x: ad.exp(x), lambda x: x < 700, [1000.0], np.exp),
    "overflow of log exp": (lambda x: ad.log(1 + ad.exp(x)), lambda x: x < 700, [1000.0], lambda x: 1 / (1 + np.exp(-x))),
    "overflow of expm1": (lambda x: ad.expm1(x), lambda x: x < 700, [1000.0], np.exp),
    "overflow of cosh": (lambda x: ad.cosh(x), lambda x: x < 700, [1000.0], np.sinh),
    "overflow of sinh": (lambda x: ad.sinh(x), lambda x: x < 700, [1000.0], np.cosh),
    "inverse times itself": (lambda x: x * (1.0 / x), lambda x: x != 0, [0.0], lambda x: 0 * x),
    "square of an inverse": (lambda x: ad.square(1.0 / x), lambda x: x != 0, [0.0], lambda x: -2 * x**-3.0),
    "sine of an inverse": (lambda x: ad.sin(1.0 / x), lambda x: x != 0, [0.0], lambda x: -np.cos(1 / x) / x**2),
}  # fmt: skip
GOOD = [0.75, 0.6]


@pytest.mark.parametrize("name", BRANCHES)
def test_where_keeps_nan_of_the_inactive_branch_inside(name: str) -> None:
    function, taken, bad, slope = BRANCHES[name]
    x = np.array(bad + GOOD)
    expected = np.concatenate([np.zeros(len(bad)), slope(np.array(GOOD))])
    for way, found in slopes(lambda z: ad.where(taken(z), function(z), 0.0), x).items():
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13, err_msg=way)


@pytest.mark.parametrize("name", BRANCHES)
def test_where_keeps_nan_of_the_inactive_branch_inside_in_second_order(name: str) -> None:
    function, taken, bad, _ = BRANCHES[name]
    x = np.array(bad + GOOD)

    def f(z: Any) -> Any:
        return ad.sum(ad.where(taken(z), function(z), 0.0))

    with quietly():
        for curvature in (ad.hessian(f)(x), ad.jacobian(ad.grad(f), mode="reverse")(x)):
            assert np.isfinite(curvature).all()
            np.testing.assert_array_equal(curvature[: len(bad)], 0.0)
            np.testing.assert_array_equal(curvature[:, : len(bad)], 0.0)


def test_norm_in_an_inactive_branch() -> None:
    def f(x: Any) -> Any:
        length = ad.norm(x, axis=1)
        return ad.sum(ad.where(length > 0, x[:, 0] / length, 0.0))

    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    with quietly():
        np.testing.assert_allclose(ad.grad(f)(x), [[0.0, 0.0], [16 / 125, -12 / 125]], rtol=1e-13, atol=1e-15)


def test_maximum_and_relu_in_front_of_a_root() -> None:
    """The other branches that a cotangent does not pass."""
    x = np.array([-1.0, 4.0])
    for clamp in (lambda z: ad.maximum(z, 0.0), ad.relu, lambda z: ad.clip(z, 0.0, 9.0)):
        with quietly():
            np.testing.assert_array_equal(ad.jvp(lambda z, c=clamp: c(ad.sqrt(abs(z))), (x,), (np.ones(2),))[1], [-0.5, 0.25])


def test_an_infinite_slope_stays_infinite_where_it_is_asked_for() -> None:
    """Only a cotangent of exactly zero is absorbed."""
    for name, f, at in [("sqrt", ad.sqrt, 0.0), ("power", lambda x: x**0.5, 0.0), ("log", ad.log, 0.0), ("asin", ad.asin, 1.0)]:
        with quietly():
            assert ad.grad(f)(at) == INF, name
            assert ad.jvp(f, (at,), (1.0,))[1] == INF, name


# ---- conventions

CONVENTIONS: list[tuple[str, Callable[[Any], Any], list[float], list[float]]] = [
    ("abs at 0 has slope 0", ad.abs, [0.0, -0.0, 2.0, -2.0], [0.0, 0.0, 1.0, -1.0]),
    ("relu at 0 has slope 0", ad.relu, [0.0, -1.0, 1.0], [0.0, 0.0, 1.0]),
    ("maximum shares at a tie", lambda x: ad.maximum(x, 1.0), [1.0, 2.0, 0.0], [0.5, 1.0, 0.0]),
    ("minimum shares at a tie", lambda x: ad.minimum(x, 1.0), [1.0, 2.0, 0.0], [0.5, 0.0, 1.0]),
    ("maximum with itself", lambda x: ad.maximum(x, x), [1.0, -3.0], [1.0, 1.0]),
    ("clip passes at its bounds", lambda x: ad.clip(x, -1.0, 1.0), [-1.0, 1.0, 0.5, -2.0, 2.0], [1.0, 1.0, 1.0, 0.0, 0.0]),
    ("clip with one bound", lambda x: ad.clip(x, max=1.0), [1.0, 2.0, -9.0], [1.0, 0.0, 1.0]),
    ("x ** 0 is constant", lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
    ("x ** 0.0 is constant", lambda x: x**0.0, [0.0, -2.0], [0.0, 0.0]),
    ("x ** zeros is constant", lambda x: x ** np.zeros(x.shape), [0.0, -2.0], [0.0, 0.0]),
    ("x ** 1 at 0", lambda x: x**1, [0.0, 2.0], [1.0, 1.0]),
    ("x ** 2 at 0", lambda x: x**2, [0.0, -2.0], [0.0, -4.0]),
    ("x ** 2 as an array at 0", lambda x: x ** np.full(x.shape, 2.0), [0.0, -2.0], [0.0, -4.0]),
    ("x ** 1.5 at 0", lambda x: x**1.5, [0.0, 4.0], [0.0, 3.0]),
    ("0 ** y is constant for y > 0", lambda y: 0.0**y, [1.0, 0.5], [0.0, 0.0]),
    ("1 ** y", lambda y: 1.0**y, [0.0, -2.0], [0.0, 0.0]),
    ("hypot at the origin", lambda x: ad.hypot(x, 0.0), [0.0, 2.0, -2.0], [0.0, 1.0, -1.0]),
    ("logaddexp of equal infinities shares", lambda x: ad.logaddexp(x, x), [-INF, INF], [1.0, 1.0]),
    ("logaddexp with an element of weight 0", lambda x: ad.logaddexp(x, -INF), [-INF, 2.0], [0.5, 1.0]),
    ("logaddexp2 at a tie", lambda x: ad.logaddexp2(x, 1.0), [1.0, INF], [0.5, 1.0]),
    ("cbrt has an infinite slope at 0", ad.cbrt, [0.0], [INF]),
    ("copysign at 0 has slope 0", lambda x: ad.copysign(x, -1.0), [0.0, -0.0, 2.0, -2.0], [0.0, 0.0, -1.0, 1.0]),
    ("copysign with a zero that has a sign", lambda x: ad.copysign(x, -0.0), [2.0], [-1.0]),
    ("copysign is constant in the sign", lambda y: ad.copysign(3.0, y) + 0.0 * y, [0.0, -1.0], [0.0, 0.0]),
    ("remainder has slope 1 at its jumps", lambda x: ad.remainder(x, 2.0), [2.0, -2.0, 0.0, 0.5], [1.0] * 4),
    ("remainder by the divisor", lambda y: ad.remainder(7.0, y), [2.0, -2.0, 3.5, 10.0], [-3.0, 4.0, -2.0, 0.0]),
    ("remainder by an infinite divisor", lambda y: ad.remainder(7.0, y), [INF], [0.0]),
    ("fmod by the divisor", lambda y: ad.fmod(-7.0, y), [2.0, -2.0, 3.5, 10.0], [3.0, -3.0, 2.0, 0.0]),
    ("modf", lambda x: ad.modf(x)[0], [2.0, -2.25, 0.0], [1.0, 1.0, 1.0]),
    ("fmax shares at a tie", lambda x: ad.fmax(x, 1.0), [1.0, 2.0, 0.0], [0.5, 1.0, 0.0]),
    ("fmax leaves out NaN", lambda x: ad.fmax(x, NAN) + ad.fmax(1.0, x), [2.0], [2.0]),
    ("fmax of NaN", lambda x: ad.fmax(x, 1.0), [NAN], [0.0]),
    ("fmin leaves out NaN", lambda x: ad.fmin(NAN, x), [2.0, -2.0], [1.0, 1.0]),
    ("fmin shares at a tie", lambda x: ad.fmin(x, 1.0), [1.0, 2.0, 0.0], [0.5, 0.0, 1.0]),
    ("heaviside is constant", lambda x: ad.heaviside(x, 0.5) + 0.0 * x, [0.0, 1.0, -1.0], [0.0] * 3),
    ("heaviside passes at 0", lambda y: ad.heaviside(np.array([-1.0, 0.0, 1.0]), y), [5.0, 5.0, 5.0], [0.0, 1.0, 0.0]),
    ("nan_to_num is constant at what it replaces", ad.nan_to_num, [NAN, INF, -INF, 3.0], [0.0, 0.0, 0.0, 1.0]),
    ("sinc at 0 has slope 0", ad.sinc, [0.0], [0.0]),
    ("leaky_relu at 0 has the slope of its negative side", ad.leaky_relu, [0.0, 1.0, -1.0], [0.01, 1.0, 0.01]),
    ("elu at 0 has slope alpha", lambda x: ad.elu(x, 0.5), [0.0, 1.0], [0.5, 1.0]),
    ("elu does not overflow", ad.elu, [1000.0], [1.0]),
    ("softsign at 0", ad.softsign, [0.0], [1.0]),
    ("sign times x", lambda x: ad.sign(x) * x, [0.0, -3.0], [0.0, -1.0]),
    ("floor times x", lambda x: ad.floor(x) * x, [2.0, 2.5], [2.0, 2.0]),
    ("round, ceil and trunc", lambda x: (ad.round(x) + ad.ceil(x) + ad.trunc(x)) * x, [2.0, 2.25], [6.0, 7.0]),
    ("where takes the slope of its branch", lambda x: ad.where(x >= 0, x, -x), [0.0, -1.0], [1.0, -1.0]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "at", "expected"), [row[1:] for row in CONVENTIONS], ids=[row[0] for row in CONVENTIONS])
def test_convention(f: Callable[[Any], Any], at: list[float], expected: list[float]) -> None:
    for way, found in slopes(f, np.array(at)).items():
        np.testing.assert_array_equal(found, expected, err_msg=way)


# Reductions at a point x, and their gradient there.
REDUCTIONS: list[tuple[str, Callable[[Any], Any], list[float], list[float]]] = [
    ("max shares among ties", ad.max, [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    ("max of equal elements", ad.max, [2.0] * 4, [0.25] * 4),
    ("min shares among ties", ad.min, [1.0, 3.0, 1.0], [0.5, 0.0, 0.5]),
    ("max of infinite elements", ad.max, [INF, 1.0, INF], [0.5, 0.0, 0.5]),
    ("max along an axis", lambda x: ad.sum(ad.max(ad.reshape(x, (2, 2)), axis=1)), [1.0, 1.0, 0.0, 2.0], [0.5, 0.5, 0.0, 1.0]),
    ("norm at the origin", ad.norm, [0.0, 0.0], [0.0, 0.0]),
    ("norm", ad.norm, [3.0, 4.0], [0.6, 0.8]),
    ("sum norm at the origin", lambda x: ad.norm(x, ord=1), [0.0, -2.0], [0.0, -1.0]),
    ("max norm at the origin", lambda x: ad.norm(x, ord=INF), [0.0, 0.0], [0.0, 0.0]),
    ("max norm at a tie", lambda x: ad.norm(x, ord=INF), [2.0, -2.0], [0.5, -0.5]),
    ("norm of order 3 at the origin", lambda x: ad.norm(x, ord=3), [0.0, 0.0], [0.0, 0.0]),
    ("norm of order 1.5 on an axis", lambda x: ad.norm(x, ord=1.5), [0.0, 2.0], [0.0, 1.0]),
    ("norms of rows, one of them zero", lambda x: ad.sum(ad.norm(ad.reshape(x, (2, 2)), axis=1)), [0, 0, 3, 4], [0, 0, 0.6, 0.8]),
    ("std of equal elements", ad.std, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    ("var of equal elements", ad.var, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
    ("std of one element", ad.std, [2.0], [0.0]),
    ("logsumexp of huge elements", ad.logsumexp, [1e4, 1e4], [0.5, 0.5]),
    ("logsumexp of hugely different elements", ad.logsumexp, [1e308, 0.0], [1.0, 0.0]),
    ("logsumexp of huge negative elements", ad.logsumexp, [-1e4, -1e4], [0.5, 0.5]),
    ("logsumexp with an element of weight 0", ad.logsumexp, [-INF, 1.0, 1.0], [0.0, 0.5, 0.5]),
    ("logsumexp of elements of weight 0 only", ad.logsumexp, [-INF, -INF], [0.0, 0.0]),
    ("logsumexp of rows", lambda x: ad.sum(ad.logsumexp(ad.reshape(x, (2, 2)), 1)), [-INF, 5.0, 9e9, -9e9], [0.0, 1.0, 1.0, 0.0]),
    ("log of softmax", lambda x: (x - ad.logsumexp(x))[0], [1000.0, 0.0], [0.0, 0.0]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "at", "expected"), [row[1:] for row in REDUCTIONS], ids=[row[0] for row in REDUCTIONS])
def test_reduction(f: Callable[[Any], Any], at: list[float], expected: list[float]) -> None:
    x = np.array(at, dtype=float)
    for gradient in (ad.grad(f)(x), ad.jacobian(f, mode="forward")(x), ad.jacobian(f, mode="reverse")(x)):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=0)


def test_values_of_logsumexp_at_the_ends() -> None:
    values = {(1e4, 1e4): 1e4 + math.log(2), (-INF, 2.0): 2.0, (-INF, -INF): -INF, (INF, 1.0): INF, (-1e308, -1e308): -1e308}
    for at, expected in values.items():
        assert ad.logsumexp(np.array(at)) == expected  # without a warning: warnings are errors here


@pytest.mark.parametrize("f", [ad.norm, ad.std, lambda x: ad.norm(x, ord=3)], ids=["norm", "std", "norm of order 3"])
def test_second_derivatives_at_a_kink_are_finite(f: Callable[[Any], Any]) -> None:
    assert np.isfinite(ad.hessian(f)(np.zeros(3))).all()


def test_functions_that_never_overflow() -> None:
    x = np.array([-1000.0, 0.0, 1000.0])
    expected: dict[str, tuple[Callable[[Any], Any], list[float], list[float]]] = {
        "sigmoid": (ad.sigmoid, [0.0, 0.5, 1.0], [0.0, 0.25, 0.0]),
        "softplus": (ad.softplus, [0.0, math.log(2), 1000.0], [0.0, 0.5, 1.0]),
        "logaddexp": (lambda z: ad.logaddexp(z, 0.0), [0.0, math.log(2), 1000.0], [0.0, 0.5, 1.0]),
        "tanh": (ad.tanh, [-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]),
        "relu": (ad.relu, [0.0, 0.0, 1000.0], [0.0, 0.0, 1.0]),
    }
    for name, (f, values, derivatives) in expected.items():
        np.testing.assert_allclose(f(x), values, rtol=1e-15, atol=0, err_msg=name)
        np.testing.assert_allclose(ad.grad(lambda z, f=f: ad.sum(f(z)))(x), derivatives, rtol=1e-15, atol=0, err_msg=name)


# ---- warnings

LOUD: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "sqrt": (ad.sqrt, [0.0]),
    "log": (lambda x: ad.log(x), [0.0, -1.0]),
    "divide": (lambda x: 1.0 / x, [0.0]),
    "power": (lambda x: x**0.5 + x**-1.0, [0.0, -1.0]),
    "exp": (lambda x: ad.exp(x) * ad.exp(x), [1000.0]),
    "asin": (lambda x: ad.asin(x) + ad.atanh(x), [1.0, 2.0]),
    "norm": (lambda x: ad.norm(x), [1e200, 1e200]),
    "where": (lambda x: ad.where(x > 0, ad.log(x), x / np.zeros(2)), [0.0, 1.0]),
    "division by the number 0": (lambda x: x / 0.0, [1.0]),
}


@pytest.mark.parametrize("name", LOUD)
def test_walks_give_no_warnings(name: str) -> None:
    """The infinite partial derivatives inside a walk are the rules' business."""
    f, at = LOUD[name]
    x = np.array(at)
    with quietly():
        _, pullback = ad.vjp(lambda z: ad.sum(f(z)), x)
        lin = ad.linearize(f, x)
        _, recorded = ad.vjp(lambda z: ad.sum(f(z)), ad.tensor(x))
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        assert pullback(1.0)[0].shape == x.shape
        assert recorded(1.0)[0].shape == x.shape
        assert ad.tree.leaves(lin(np.ones_like(x)))
        settings = np.geterr()
    assert settings["divide"] == "warn"  # the walk gives NumPy's settings back


def test_the_forward_evaluation_warns_as_numpy_does() -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero encountered in log"):
        ad.log(ad.tensor(0.0))
