"""Arrays as sets: NumPy's values, and derivatives that go to the first element of each value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad

FEW = hnp.arrays(
    float, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), elements=st.sampled_from([0.0, 1.0, 2.5, np.nan])
)
PARTS = ("unique_all", "unique_counts", "unique_inverse", "unique_values")


@settings(max_examples=40, deadline=None)
@given(x=FEW)
def test_values_are_numpys(x: Any) -> None:
    for name in PARTS:
        ours, theirs = getattr(ad, name)(x), getattr(np, name)(x)
        if name == "unique_values":
            np.testing.assert_array_equal(ours, theirs)
            continue
        assert ours._fields == theirs._fields
        for field in ours._fields:
            found, expected = getattr(ours, field), getattr(theirs, field)
            if field in ("indices", "inverse_indices"):  # which of several NaN comes first is left open
                table = np.ravel(x) if field == "indices" else ours.values
                found, expected = table[found], table[expected]
            np.testing.assert_array_equal(found, expected, err_msg=field)
            assert found.shape == expected.shape
    for equal_nan in (True, False):
        found = ad.unique(x, return_inverse=True, return_counts=True, equal_nan=equal_nan)
        expected = np.unique(x, return_counts=True, equal_nan=equal_nan)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[2], expected[1])
        np.testing.assert_array_equal(found[0][found[1]], x)


def test_different_rows_and_their_derivative() -> None:
    x = np.array([[2.0, 1.0], [0.0, 3.0], [2.0, 1.0]])
    values, first, inverse, counts = ad.unique(x, True, True, True, axis=0)
    np.testing.assert_array_equal(values, [[0.0, 3.0], [2.0, 1.0]])
    np.testing.assert_array_equal([first, counts], [[1, 0], [1, 2]])
    np.testing.assert_array_equal(values[inverse], x)
    slope = ad.grad(lambda x: ad.sum(ad.unique(x, axis=0) * np.array([[1.0, 2.0], [3.0, 4.0]])))(x)
    np.testing.assert_array_equal(slope, [[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]])


def test_places_and_counts_of_a_tensor_are_constants() -> None:
    found = ad.unique_all(ad.tensor([3.0, 1.0, 3.0]))
    assert [part.node is None for part in found] == [False, True, True, True]
    np.testing.assert_array_equal(np.asarray(found.inverse_indices), [1, 0, 1])


@settings(max_examples=40, deadline=None)
@given(x=FEW, elements=FEW, invert=st.booleans())
def test_elements_that_are_among_others(x: Any, elements: Any, invert: bool) -> None:
    expected = np.isin(x, elements, invert=invert)
    for found in (
        ad.isin(x, elements, invert=invert),
        ad.isin(ad.tensor(x), elements, invert=invert).array,
        ad.compile(lambda x, y: ad.isin(x, y, invert=invert))(x, elements),
    ):
        assert found.dtype == bool
        np.testing.assert_array_equal(found, expected)


def test_sets_of_each_example() -> None:
    random = np.random.default_rng(0)
    x, elements = random.integers(0, 5, (3, 4)), random.integers(0, 5, (3, 2))
    np.testing.assert_array_equal(ad.vmap(ad.isin)(x, elements), [np.isin(a, b) for a, b in zip(x, elements, strict=True)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_sums_of_weights(dtype: Any) -> None:
    x, weights = np.array([1, 4, 1, 0]), np.array([1.0, 2.0, 5.0, 7.0], dtype)
    found = ad.bincount(x, weights, minlength=6)
    np.testing.assert_array_equal(found, [7.0, 6.0, 0.0, 0.0, 2.0, 0.0])
    assert found.dtype == dtype  # NumPy's are float64
    factors = np.arange(6.0)
    slope = ad.vjp(lambda w: ad.bincount(x, w, 6), weights)[1](factors.astype(dtype))[0]
    np.testing.assert_array_equal(slope, factors[x])
    np.testing.assert_array_equal(ad.compile(lambda w: ad.bincount(x, w))(weights), found[:5])


def test_counts_are_numpys() -> None:
    for x in ([3, 0, 3], [], np.array([1], np.uint8)):
        given = np.asarray(x, int) if len(x) == 0 else np.asarray(x)
        for minlength in (0, 5):
            np.testing.assert_array_equal(ad.bincount(x, minlength=minlength), np.bincount(given, minlength=minlength))


@pytest.mark.parametrize(("arguments", "message"), [
    (([-1, 2],), r"bincount: x has shape \(2,\); expected a vector of integers of at least 0"),
    (([[1]],), r"bincount: x has shape \(1, 1\)"),
    (([1, 2], [1.0]), r"bincount: weights of shape \(1,\) for x of shape \(2,\)"),
])  # fmt: skip
def test_refused_with_a_clear_message(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ad.bincount(*arguments)
