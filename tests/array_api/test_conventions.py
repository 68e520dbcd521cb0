"""Points on which the standard says more than NumPy, or on which it is easy to differ from both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinyad as ad

BYTES = np.array([[200, 100], [3, 4]], np.uint8)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda x: ad.sum(x, dtype=ad.uint8), lambda x: np.sum(x, dtype=np.uint8)),
        (lambda x: ad.prod(x, dtype=ad.uint8), lambda x: np.prod(x, dtype=np.uint8)),
        (lambda x: ad.cumulative_sum(x, axis=0, dtype=ad.uint8), lambda x: np.cumsum(x, axis=0, dtype=np.uint8)),
        (lambda x: ad.cumulative_prod(x, axis=1, dtype=ad.int16), lambda x: np.cumprod(x, axis=1, dtype=np.int16)),
        (lambda x: ad.linalg.trace(x, dtype=ad.uint8), lambda x: np.trace(x, dtype=np.uint8)),
        (lambda x: ad.vecdot(x, x), np.vecdot),
        (lambda x: ad.vecdot(x > 3, x > 9), lambda x: np.vecdot(x > 3, x > 9)),
        (lambda x: ad.clip(x), np.positive),
        (lambda x: ad.clip(x, 4), lambda x: np.clip(x, 4, None)),
        (lambda x: ad.clip(x, max=ad.asarray(99, dtype=ad.int64)), lambda x: np.clip(x, None, np.int64(99))),
    ],
)
def test_short_integers_stay_what_they_should_be(ours: Any, theirs: Any) -> None:
    expected = theirs(BYTES) if not isinstance(theirs, np.ufunc) or theirs.nin == 1 else theirs(BYTES, BYTES)
    result = ours(ad.asarray(BYTES))
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.array, expected)


def test_a_dtype_that_is_asked_for_is_differentiated_through() -> None:
    x = np.array([1.0, 2.0], np.float32)
    slope = ad.grad(lambda x: ad.sum(ad.sum(x * x, dtype=ad.float64)))(x)
    assert slope.dtype == np.float32
    np.testing.assert_array_equal(slope, 2 * x)


@pytest.mark.parametrize("correction", [2, 3])
def test_the_variance_of_too_few_elements_is_not_a_number(correction: int) -> None:
    x = np.ones((2, 3))
    for function, numpys in [(ad.var, np.var), (ad.std, np.std)]:
        with pytest.warns(RuntimeWarning):
            expected = numpys(x, axis=0, ddof=correction)
        with pytest.warns(RuntimeWarning):
            found = function(ad.asarray(x), axis=0, correction=correction)
        np.testing.assert_array_equal(found.array, expected)
        assert np.isnan(expected).all()
    with pytest.warns(RuntimeWarning):
        assert np.isnan(ad.grad(lambda x: ad.sum(ad.var(x, axis=0, correction=correction)))(x)).all()
    with pytest.warns(RuntimeWarning):
        assert math.isnan(ad.var(ad.zeros(0)))


def test_the_sign_of_a_negative_zero_is_zero() -> None:
    sign = ad.sign(ad.asarray(complex(-0.0, -0.0))).item()
    assert math.copysign(1, sign.real) == math.copysign(1, sign.imag) == 1


def test_an_axis_out_of_bounds_is_an_error_of_index_and_of_value() -> None:
    for error in (IndexError, ValueError, np.exceptions.AxisError):
        with pytest.raises(error, match=r"expand_dims: axis -3 is out of bounds"):
            ad.expand_dims(ad.zeros(1), -3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_reshape_copies_as_it_is_told(order: Any) -> None:
    x = ad.asarray(np.asarray(np.arange(6.0).reshape(2, 3), order=order))
    expected = np.reshape(x.array, (3, 2), order=order)
    for copy in (None, True, False):
        y = ad.reshape(x, (3, 2), order=order, copy=copy)
        np.testing.assert_array_equal(y.array, expected)
        assert np.shares_memory(y.array, x.array) == (not copy)
    with pytest.raises(ValueError, match="reshape: with copy=False the memory of x cannot show"):
        ad.reshape(x.T, (6,), order=order, copy=False)
    np.testing.assert_array_equal(
        ad.grad(lambda x: ad.sum(ad.reshape(x, (6,), copy=True)[:2]))(np.ones((2, 3))).ravel()[:3], [1, 1, 0]
    )


def test_frequencies_have_the_dtype_that_is_asked_for() -> None:
    for function, numpys in [(ad.fft.fftfreq, np.fft.fftfreq), (ad.fft.rfftfreq, np.fft.rfftfreq)]:
        found = function(5, d=0.5, dtype=ad.float32, device="cpu")
        assert found.dtype == np.float32 and function(5).dtype == np.float64
        np.testing.assert_array_equal(found.array, numpys(5, d=0.5).astype(np.float32))


def test_pinv_with_a_cutoff_for_each_matrix() -> None:
    a = np.stack([np.diag([1.0, 0.5, 0.1])[:, :2], np.array([[1.0, 2.0], [0.3, 0.1], [0.0, 1.0]])])
    cutoffs = np.array([0.6, 0.0])
    found = ad.linalg.pinv(a, rtol=cutoffs)
    np.testing.assert_allclose(found, np.linalg.pinv(a, rtol=cutoffs), atol=1e-14)
    np.testing.assert_array_equal(ad.linalg.pinv(a[0], rtol=ad.asarray(0.6)), ad.linalg.pinv(a[0], rtol=0.6))
    slope = ad.grad(lambda a: ad.sum(ad.linalg.pinv(a, rtol=cutoffs[1:])))(a[1:])
    np.testing.assert_allclose(slope, ad.grad(lambda a: ad.sum(ad.linalg.pinv(a)))(a[1:]), atol=1e-12)
