"""Reductions, running values and statistics: zeros, ties, masks, empty arrays, keywords, and what is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad

INF, NAN = math.inf, math.nan
Array = np.ndarray[Any, Any]


def gradients(f: Callable[[Any], Any], x: Array) -> list[Any]:
    """By every way."""
    with np.errstate(all="ignore"):
        return [
            ad.grad(f)(x),
            ad.jacobian(f, mode="forward")(x),
            ad.jacobian(f, mode="reverse")(x),
            ad.compile(ad.grad(f))(x),
            ad.vmap(ad.grad(f))(np.stack([x, x]))[1],
        ]


# ---- products and zeros


def product_of_others(x: Array, *left_out: int) -> float:
    return math.prod(float(v) for i, v in enumerate(x) if i not in left_out)


@given(st.lists(st.sampled_from([0.0, -2.0, 3.0, 0.5]), min_size=1, max_size=7))
@settings(deadline=None, max_examples=40)
def test_derivatives_of_prod_are_products_of_the_others(elements: list[float]) -> None:
    x = np.array(elements)
    n = x.size
    first = np.array([product_of_others(x, i) for i in range(n)])
    second = np.array([[0.0 if i == j else product_of_others(x, i, j) for j in range(n)] for i in range(n)])
    for found in gradients(ad.prod, x):
        np.testing.assert_allclose(found, first, rtol=1e-13)
    np.testing.assert_allclose(ad.hessian(ad.prod)(x), second, rtol=1e-13)
    np.testing.assert_allclose(ad.jacobian(ad.grad(ad.prod), mode="reverse")(x), second, rtol=1e-13)
    jacobian = np.array([[product_of_others(x[: k + 1], i) if i <= k else 0.0 for i in range(n)] for k in range(n)])
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(ad.jacobian(ad.cumprod, mode=mode)(x), jacobian, rtol=1e-13)


def test_third_derivatives_of_prod_at_zero() -> None:
    third = ad.jacobian(ad.hessian(ad.prod))(np.zeros(3))
    expected = np.zeros((3, 3, 3))
    for i, j, k in itertools.permutations(range(3)):
        expected[i, j, k] = 1.0
    np.testing.assert_array_equal(third, expected)


def test_prod_along_several_axes_with_zeros() -> None:
    x = np.array([[0.0, 2.0, 3.0], [4.0, 0.0, 5.0]])
    np.testing.assert_array_equal(ad.grad(lambda x: ad.prod(x, (0, 1)))(x), np.zeros((2, 3)))
    x[1, 1] = 6.0
    expected = np.zeros((2, 3))
    expected[0, 0] = 2.0 * 3.0 * 4.0 * 6.0 * 5.0
    np.testing.assert_array_equal(ad.grad(lambda x: ad.prod(x, (1, 0)))(x), expected)


def test_prod_does_not_overflow_where_its_derivative_is_finite() -> None:
    """Division of the product by an element would."""
    x = np.array([1e-200, 1e-200, 1e300])
    np.testing.assert_allclose(ad.grad(ad.prod)(x), [1e100, 1e100, 0.0], rtol=1e-14, atol=1e-300)


# A function, a point, and its gradient there.
CORNERS: list[tuple[str, Callable[[Any], Any], list[float], list[float]]] = [
    ("prod of one element", ad.prod, [0.0], [1.0]),
    ("ptp shares on both ends", ad.ptp, [1.0, 3.0, 3.0, 1.0], [-0.5, 0.5, 0.5, -0.5]),
    ("ptp of equal elements", ad.ptp, [2.0, 2.0], [0.0, 0.0]),
    ("median of an odd number", ad.median, [3.0, 1.0, 2.0], [0.0, 0.0, 1.0]),
    ("median of an even number", ad.median, [3.0, 1.0, 2.0, 9.0], [0.5, 0.0, 0.5, 0.0]),
    ("median at a tie follows the order", ad.median, [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]),
    ("median of infinite elements", ad.median, [INF, INF, -INF], [1.0, 0.0, 0.0]),
    ("quantile at an element", lambda x: ad.quantile(x, 0.5), [5.0, 1.0, 2.0], [0.0, 0.0, 1.0]),
    ("quantile between elements", lambda x: ad.quantile(x, 0.125), [5.0, 1.0, 2.0], [0.0, 0.75, 0.25]),
    ("quantiles at the ends", lambda x: ad.sum(ad.quantile(x, [0.0, 1.0])), [5.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
    ("quantile of one element", lambda x: ad.quantile(x, 0.3), [5.0], [1.0]),
    ("percentile", lambda x: ad.percentile(x, 25.0), [5.0, 1.0, 2.0], [0.0, 0.5, 0.5]),
    ("nanmedian leaves out NaN", ad.nanmedian, [3.0, NAN, 1.0], [0.5, 0.0, 0.5]),
    ("nansum of nothing", ad.nansum, [NAN, NAN], [0.0, 0.0]),
    ("nanprod leaves out NaN", ad.nanprod, [3.0, NAN, 0.0], [0.0, 0.0, 3.0]),
    ("nanmean leaves out NaN", ad.nanmean, [3.0, NAN, 1.0], [0.5, 0.0, 0.5]),
    ("nanmax leaves out NaN", ad.nanmax, [3.0, NAN, 1.0], [1.0, 0.0, 0.0]),
    ("nanmax of minus infinity", ad.nanmax, [-INF, NAN], [0.5, 0.0]),
    ("nanstd of equal elements", ad.nanstd, [3.0, NAN, 3.0], [0.0, 0.0, 0.0]),
    ("sum of none", lambda x: ad.sum(x, where=np.zeros(2, bool)) + ad.sum(x) * 0, [1.0, 2.0], [0.0, 0.0]),
    ("sum where NaN is not", lambda x: ad.sum(x, where=x == x), [1.0, NAN], [1.0, 0.0]),
    ("max with an initial value above", lambda x: ad.max(x, initial=9.0), [1.0, 2.0], [0.0, 0.0]),
    ("max with an equal initial value shares", lambda x: ad.max(x, initial=2.0), [1.0, 2.0], [0.0, 0.5]),
    ("max of a mask", lambda x: ad.max(x, initial=-9.0, where=x < 2), [1.0, 2.0], [1.0, 0.0]),
    ("average by weights", lambda x: ad.average(x, weights=[1.0, 3.0]), [5.0, 6.0], [0.25, 0.75]),
    ("average by the weights", lambda w: ad.average(np.array([5.0, 6.0]), weights=w), [1.0, 3.0], [-3 / 16, 1 / 16]),
    ("logcumsumexp with elements of weight 0", lambda x: ad.logcumsumexp(x)[2], [-INF, 1.0, 1.0], [0.0, 0.5, 0.5]),
    ("logcumsumexp of weight 0 only", lambda x: ad.logcumsumexp(x)[1], [-INF, -INF], [0.0, 0.0]),
    ("logcumsumexp of huge elements", lambda x: ad.logcumsumexp(x)[1], [1e4, 1e4], [0.5, 0.5]),
    ("softmax of huge elements", lambda x: ad.softmax(x)[0], [1e4, 1e4], [0.25, -0.25]),
    ("log_softmax of huge elements", lambda x: ad.log_softmax(x)[0], [1e4, 0.0], [0.0, 0.0]),
    ("log_softmax where the softmax vanishes", lambda x: ad.log_softmax(x)[1], [1e4, 0.0], [-1.0, 1.0]),
    ("interp at a point has the slope to its right", lambda x: ad.interp(x[0], [0.0, 1.0, 3.0], [0.0, 2.0, 0.0]), [1.0], [-1.0]),
    ("interp at the last point has the slope to its left", lambda x: ad.interp(x[0], [0.0, 1.0], [0.0, 2.0]), [1.0], [2.0]),
    ("interp outside is constant", lambda x: ad.sum(ad.interp(x, [0.0, 1.0], [0.0, 2.0])), [-1.0, 5.0], [0.0, 0.0]),
    ("interp at a jump", lambda x: ad.interp(x[0], [0.0, 1.0, 1.0, 2.0], [0.0, 1.0, 5.0, 7.0]), [1.0], [2.0]),
    ("cov of a constant variable", lambda x: ad.cov(x), [2.0, 2.0], [0.0, 0.0]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "at", "expected"), [row[1:] for row in CORNERS], ids=[row[0] for row in CORNERS])
def test_corner(f: Callable[[Any], Any], at: list[float], expected: list[float]) -> None:
    for found in gradients(f, np.array(at)):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16)


X3, TABLE = np.array([0.1, 0.2, 0.7]), np.array([[0.0, 1.0], [2.0, 4.0]])
VALUES: list[tuple[str, Callable[[], Any], Any]] = [
    ("prod of nothing", lambda: ad.prod(np.zeros((0, 2)), axis=0), [1.0, 1.0]),
    ("cumprod of nothing", lambda: ad.cumprod(np.zeros((2, 0)), axis=1), np.zeros((2, 0))),
    ("logcumsumexp of nothing", lambda: ad.logcumsumexp(np.zeros(0)), []),
    ("cumulative_sum of nothing", lambda: ad.cumulative_sum(np.zeros(0), include_initial=True), [0.0]),
    ("median with NaN", lambda: ad.median(np.array([[1.0, NAN, 2.0], [1.0, 2.0, 3.0]]), axis=1), [NAN, 2.0]),
    ("nanmedian of nothing", lambda: ad.nanmedian(np.array([[NAN, NAN], [1.0, NAN]]), axis=1), [NAN, 1.0]),
    ("nanmax of nothing", lambda: ad.nanmax(np.array([[NAN, NAN], [1.0, NAN]]), axis=1), [NAN, 1.0]),
    ("quantiles in a matrix", lambda: ad.quantile(np.array([1.0, 2.0]), [[0.0], [1.0]]), [[1.0], [2.0]]),
    ("no quantiles", lambda: ad.quantile(np.array([[1.0, 2.0]]), [], axis=1), np.zeros((0, 1))),
    ("median of integers", lambda: ad.median(np.array([1, 2])), 1.5),
    ("median of a list", lambda: ad.median([3.0, 1.0, 2.0]), 2.0),
    ("prod of integers", lambda: ad.prod(np.array([2, 3])), 6),
    ("prod in another dtype", lambda: ad.prod(np.array([0.5, 0.5]), dtype=np.float32), np.float32(0.25)),
    ("sum of integers in float", lambda: ad.sum(np.array([1, 2]), dtype=float), 3.0),
    ("diff of booleans", lambda: ad.diff(np.array([True, False, False])), [True, False]),
    ("diff of one element", lambda: ad.diff(np.array([1.0])), []),
    ("no difference", lambda: ad.diff(np.array([1.0, 2.0]), n=0, append=3.0), [1.0, 2.0]),
    ("diff with an array in front", lambda: ad.diff(np.array([1.0, 2.0]), prepend=np.array([5.0, 0.0])), [-5.0, 1.0, 1.0]),
    ("trapezoid of one point", lambda: ad.trapezoid(np.array([1.0])), 0.0),
    ("interp with one point", lambda: ad.interp(np.array([0.0, 1.0, 2.0]), [1.0], [7.0], left=-1.0), [-1.0, 7.0, 7.0]),
    ("interp of NaN", lambda: ad.interp(NAN, [0.0, 1.0], [0.0, 1.0]), NAN),
    ("average and its weight", lambda: ad.average(np.array([1.0, 3.0]), returned=True), (2.0, 2.0)),
    ("cov of one variable is a number", lambda: ad.cov(np.array([1.0, 3.0])), 2.0),
    ("corrcoef of one variable", lambda: ad.corrcoef(np.array([1.0, 3.0])), 1.0),
    ("corrcoef stays within its bounds", lambda: np.abs(ad.corrcoef(np.outer([0.1, 0.3], X3))).max() <= 1, True),
    ("round to decimals", lambda: ad.round(np.array([1.25, -0.55]), 1), [1.2, -0.6]),
    ("nan_to_num", lambda: ad.nan_to_num(np.array([NAN, INF, -INF]), nan=1.0, posinf=2.0, neginf=3.0), [1.0, 2.0, 3.0]),
    ("nan_to_num in float32", lambda: ad.nan_to_num(np.float32(INF)), np.finfo(np.float32).max),
    ("gradient of several axes", lambda: ad.gradient(TABLE, 1.0, 0.5), np.gradient(TABLE, 1.0, 0.5)),
    ("gradient in the order named", lambda: ad.gradient(TABLE, axis=(1, 0)), np.gradient(TABLE, axis=(1, 0))),
]  # fmt: skip


@pytest.mark.parametrize(("f", "expected"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES])
def test_value(f: Callable[[], Any], expected: Any) -> None:
    with np.errstate(all="ignore"):
        found = f()
    np.testing.assert_allclose(np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=1e-15)


def test_log_softmax_is_accurate_where_the_softmax_is_nearly_one() -> None:
    """``x - logsumexp(x)`` would have the rounding errors of a number as large as ``x``."""
    x, rest = np.array([1e10, 1e10 - 30.0]), math.log1p(math.exp(-30.0))
    np.testing.assert_allclose(ad.log_softmax(x), [-rest, -30.0 - rest], rtol=0, atol=1e-15)


def test_dtype_converts_before_it_reduces() -> None:
    x = np.full(3, 1e30, np.float32)
    assert ad.prod(x, dtype=np.float64) == pytest.approx(1e90, rel=1e-6)
    g = ad.grad(lambda x: ad.prod(x, dtype=np.float64))(x)
    assert g.dtype == np.float32


# ---- what is refused

REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("max of a mask without a start", lambda: ad.max(np.ones(2), where=np.ones(2, bool)), r"max: where=.*initial="),
    ("median of nothing", lambda: ad.median(np.zeros((2, 0)), axis=1), r"median: the reduced axes.*empty"),
    ("fraction above one", lambda: ad.quantile(np.ones(2), 1.5), r"quantile: q=1.5; expected numbers from 0 to 1"),
    ("percentage below zero", lambda: ad.percentile(np.ones(2), -1), r"q=-1; expected numbers from 0 to 100"),
    ("fraction on the tape", lambda: ad.grad(lambda q: ad.quantile(np.ones(2), q))(0.5), r"q is on the tape"),
    ("unknown method", lambda: ad.quantile(np.ones(2), 0.5, method="middle"), "middle"),
    ("method of nanquantile", lambda: ad.nanquantile(np.ones(2), 0.5, method="lower"), r"nanquantile: method='lower'"),
    ("weights of another shape", lambda: ad.average(np.ones((2, 3)), weights=np.ones(3)), r"average: weights of shape \(3,\)"),
    ("weights along an axis", lambda: ad.average(np.ones((2, 3)), axis=0, weights=np.ones(3)), r"or \(2,\), its lengths"),
    ("cov of three axes", lambda: ad.cov(np.ones((2, 2, 2))), r"cov: got an array of shape \(2, 2, 2\)"),
    ("cumulative_sum without an axis", lambda: ad.cumulative_sum(np.ones((2, 2))), r"cumulative_sum: x has shape.*axis"),
    ("negative order", lambda: ad.diff(np.ones(3), n=-1), r"diff: n=-1"),
    ("diff of a number", lambda: ad.diff(1.0), r"diff: axis -1 is out of bounds"),
    ("gradient of too few points", lambda: ad.gradient(np.ones(2), edge_order=2), r"gradient: axis -1 has 2 points"),
    ("gradient with wrong coordinates", lambda: ad.gradient(np.ones(3), np.ones(2)), r"spacing of shape \(2,\)"),
    ("gradient with too many spacings", lambda: ad.gradient(np.ones(3), 1.0, 2.0), r"got 2 spacings for 1 axes"),
    ("gradient of third order", lambda: ad.gradient(np.ones(3), edge_order=3), r"edge_order=3; expected 1 or 2"),
    ("interp without points", lambda: ad.interp(0.0, [], []), r"interp: xp of shape \(0,\)"),
    ("interp with too few values", lambda: ad.interp(0.0, [1.0, 2.0], [1.0]), r"fp of shape \(1,\)"),
    ("softmax of nothing", lambda: ad.softmax(np.zeros((2, 0))), r"softmax: the axes.*empty"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(run: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        run()


def test_in_a_compiled_function_fractions_must_be_known() -> None:
    with pytest.raises(ad.TracingError):
        ad.compile(lambda x, q: ad.quantile(x, q))(np.ones(3), np.array(0.5))


# ---- interpolation


def test_interp_is_differentiated_by_its_points() -> None:
    f = lambda p, h: ad.interp(1.5, p, h)
    points, heights = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 0.0])
    by_points, by_heights = ad.grad(f, argnums=(0, 1))(points, heights)
    np.testing.assert_allclose(by_heights, [0.0, 0.75, 0.25])
    np.testing.assert_allclose(by_points, [0.0, 0.75, 0.25])  # the slope is -1


def test_interp_of_many_tables_at_once() -> None:
    """Positions, points and values that differ from example to example."""
    random = np.random.default_rng(0)
    x, p, h = random.uniform(0, 3, (4, 5)), np.sort(random.uniform(0, 3, (4, 6)), axis=1), random.normal(size=(4, 6))
    found = ad.vmap(ad.interp)(x, p, h)
    np.testing.assert_allclose(found, [np.interp(*row) for row in zip(x, p, h, strict=True)], rtol=1e-13)
