"""Arguments that few use: values and derivatives are NumPy's and those of differences, or the message says what does not fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad

X = np.arange(12.0).reshape(3, 4) / 7.0
GAPS = np.array([1.0, 2.0, np.nan])

AS_NUMPY: dict[str, Callable[[Any, Any], Any]] = {  # a function of NumPy's or our functions, and of an array
    "pad with a pair": lambda xp, x: xp.pad(x, ((1, 1), (0, 2)), constant_values=(3.0, 4.0)),
    "pad with pairs": lambda xp, x: xp.pad(x, 1, constant_values=((1.0, 2.0), (5.0, 6.0))),
    "pad by a NumPy integer": lambda xp, x: xp.pad(x, np.int64(1)),
    "pad of integers by a fraction": lambda xp, x: xp.pad(np.arange(3), 1, constant_values=2.5) + 0.0 * xp.sum(x),
    "nanvar of too few": lambda xp, x: xp.nanvar(np.stack([GAPS, GAPS]), axis=1, ddof=2) + 0.0 * xp.sum(x),
    "nanstd": lambda xp, x: xp.nanstd(np.stack([GAPS, GAPS]), axis=1, ddof=1) + 0.0 * xp.sum(x),
    "var of too few": lambda xp, x: xp.var(x, axis=0, ddof=4, where=X > 0.3),
    "cov of too few": lambda xp, x: xp.cov(x, ddof=5),
    "max of nothing": lambda xp, x: xp.max(x[:0], axis=0, initial=0.5) + 0.0 * x,
    "nanmax of integers": lambda xp, x: xp.nanmax(np.array([2**53 + 1])) - 2**53 + 0.0 * xp.sum(x),
    "nan_to_num of booleans": lambda xp, x: xp.nan_to_num(X > 0.5) + 0.0 * x,
    "roll": lambda xp, x: xp.roll(x, np.int64(1), np.int64(0)),
    "moveaxis": lambda xp, x: xp.moveaxis(x, np.int64(0), np.int64(1)),
    "expand_dims": lambda xp, x: xp.expand_dims(x, np.int64(0)),
    "tensordot": lambda xp, x: xp.tensordot(x, X.T, axes=np.int64(1)),
    "fftn": lambda xp, x: xp.real(xp.fft.fftn(x, axes=[np.int64(0)])),
    "modf of integers": lambda xp, x: xp.stack(xp.modf(np.array([1, -2]))) + 0.0 * xp.sum(x),
    "bincount of integers": lambda xp, x: xp.bincount(np.array([1, 0, 1]), np.array([2, 3, 4])) + 0.0 * xp.sum(x),
    "the sum of a number along an axis": lambda xp, x: xp.sum(xp.mean(x), axis=-1),
    "the largest of a number along an axis": lambda xp, x: xp.max(xp.mean(x), axis=0, keepdims=True),
    "pad by elements, twice round": lambda xp, x: (
        xp.pad(x, ((0, 9), (5, 0)), "reflect") if xp is np else xp.pad(x, ((0, 9), (5, 0)), mode="reflect")
    ),
    "unwrap by half a turn": lambda xp, x: xp.unwrap(np.array([0.0, 1.0, 2.0, 1.0, 0.0]), period=2) + 0.0 * xp.sum(x),
    "polyfit through the origin alone": lambda xp, x: xp.polyfit(np.zeros(3), x[0, :3], 0),
    "trace": lambda xp, x: xp.trace(x[None], 1, 1, 2),
}


@pytest.mark.filterwarnings("ignore:.*(egrees of freedom|divide|invalid value):RuntimeWarning")
@pytest.mark.parametrize("name", AS_NUMPY)
def test_values_are_numpys(name: str) -> None:
    f = AS_NUMPY[name]
    expected = f(np, X)
    for found in (f(ad, X), f(ad, ad.Tensor(X)).array, f(np, ad.Tensor(X)).array):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    short = X.astype(np.float32)
    assert f(ad, short).dtype in (np.float32, f(np, short).dtype)  # NumPy's cov makes float64 of it


REDUCTIONS: dict[str, Callable[[Any], Any]] = {
    "multiply.reduce": lambda x: np.multiply.reduce(x, axis=1),
    "logaddexp.reduce": lambda x: np.logaddexp.reduce(x, axis=0),
    "multiply.accumulate": lambda x: np.multiply.accumulate(x, axis=1),
    "copy": np.copy,
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_methods_of_ufuncs(name: str) -> None:
    f = REDUCTIONS[name]
    np.testing.assert_allclose(f(ad.Tensor(X)).array, f(X), rtol=1e-14)
    assert ad.check(f, X + 0.1).passed


def test_bounds_that_cross() -> None:
    x = np.array([1.0, 3.0, 5.0])
    for low, high in ((4.0, 2.0), (2.0, 4.0)):
        assert ad.check(lambda x, low, high: ad.clip(x, low, high), x, low, high).passed


@pytest.mark.parametrize("scale", [1e-23, 1e-30, 1e25])
def test_angles_of_very_short_and_long_vectors(scale: float) -> None:
    y, x = np.float32(3.0 * scale), np.float32(4.0 * scale)
    to_y, to_x = ad.grad(ad.atan2, argnums=(0, 1))(y, x)
    np.testing.assert_allclose([to_y * y, to_x * x], [0.48, -0.48], rtol=1e-6)  # 4/5 of 3/5


def test_the_second_derivative_of_rgamma_at_a_pole_of_gamma() -> None:
    second = ad.grad(ad.grad(ad.special.rgamma))
    for n, digamma in enumerate((-np.euler_gamma, 1.0 - np.euler_gamma, 1.5 - np.euler_gamma)):  # of n + 1
        # 1 / gamma(-n + e) = (-1)**n n! (e - digamma(n + 1) e**2 + ...)
        np.testing.assert_allclose(second(-float(n)), -2.0 * (-1) ** n * math.factorial(n) * digamma, rtol=1e-12)


def test_one_over_zero_is_infinite_whatever_holds_it() -> None:
    with np.errstate(divide="ignore"):
        assert np.isposinf(ad.reciprocal(0.0)) and np.isposinf(ad.reciprocal(np.zeros(1))).all()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "convolve of a matrix": (
        lambda: ad.convolve(X, [1.0]),
        r"convolve: operands of shapes \(3, 4\) and \(1,\); expected two vec",
    ),
    "convolve of nothing": (lambda: ad.convolve([], [1.0]), r"convolve: operands of shapes \(0,\)"),
    "correlate with another mode": (lambda: ad.correlate(X[0], X[1], "half"), r"correlate: mode='half'; expected 'full'"),
    "polyval of a matrix": (lambda: ad.polyval(X, 1.0), r"polyval: coefficients of shape \(3, 4\); expected a vector"),
    "polyder a negative number of times": (lambda: ad.polyder(X[0], -1), r"polyder: m=-1; expected a whole number"),
    "polyint half a time": (lambda: ad.polyint(X[0], 0.5), r"polyint: m=0\.5; expected a whole number"),
    "polyint with too few constants": (
        lambda: ad.polyint(X[0], 3, [1.0, 2.0]),
        r"polyint: k of shape \(2,\) for m=3; expected",
    ),
    "polyfit of no degree": (lambda: ad.polyfit(X[0], X[1], -1), r"polyfit: deg=-1; expected a whole number"),
    "polyfit with too few values": (lambda: ad.polyfit(X[0], X[1, :3], 1), r"polyfit: x of shape \(4,\) and y of shape \(3,\)"),
    "pad nothing by its elements": (
        lambda: ad.pad(np.zeros((2, 0)), 1, mode="edge"),
        r"pad: axis 1 .* no elements for mode='edge'",
    ),
    "pad by another mode": (lambda: ad.pad(X, 1, mode="mean"), r"pad: mode='mean'; expected 'constant', or one of 'edge'"),
    "a number has no axes": (
        lambda: ad.cumsum(1.0, axis=0),
        r"axis 0 is out of bounds for an array with 0 axes; a number has none",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_refused_says_why() -> None:
    with pytest.raises(ValueError, match=r"einsum: letter 'i' stands for axes of lengths \[1, 3\] of one operand"):
        ad.einsum("ii", np.ones((1, 3)))
    with pytest.raises(TypeError, match=r"np\.modf: out= of several arrays is not supported"):
        np.modf(ad.Tensor(X), out=(ad.Tensor(X), ad.Tensor(X)))
