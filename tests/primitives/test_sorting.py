"""Sorting where it is not smooth or not obvious: ties, NaN, empty arrays, many keys; and the largest elements by their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad

INF, NAN = np.inf, np.nan
WEIGHTS = np.array([1.0, 10.0, 100.0, 1000.0])

# A function, where, and the gradient of the sum of its results times 1, 10, 100, ...
TIES: list[tuple[str, Callable[[Any], Any], list[float], list[float]]] = [
    ("sort keeps the order of equals", ad.sort, [2.0, 1.0, 2.0, 1.0], [100.0, 1.0, 1000.0, 10.0]),
    ("falling too", lambda x: ad.sort(x, descending=True), [2.0, 1.0, 2.0, 1.0], [1.0, 100.0, 10.0, 1000.0]),
    ("sort of equal elements", ad.sort, [5.0, 5.0, 5.0, 5.0], [1.0, 10.0, 100.0, 1000.0]),
    ("sort of infinities", ad.sort, [INF, -INF, 0.0, INF], [100.0, 1.0, 10.0, 1000.0]),
    ("sort of signed zeros", ad.sort, [0.0, -0.0, 0.0, -1.0], [10.0, 100.0, 1000.0, 1.0]),
    ("NaN comes last", ad.sort, [NAN, 1.0, 0.0, 2.0], [1000.0, 10.0, 1.0, 100.0]),
    ("NaN comes first when they fall", lambda x: ad.sort(x, descending=True), [1.0, NAN, 0.0, 2.0], [100.0, 1.0, 1000.0, 10.0]),
    ("topk takes the first of equals", lambda x: ad.topk(x, 2).values, [3.0, 1.0, 3.0, 3.0], [1.0, 0.0, 10.0, 0.0]),
    ("the smallest", lambda x: ad.topk(x, 2, largest=False).values, [1.0, 3.0, 1.0, 1.0], [1.0, 0.0, 10.0, 0.0]),
    ("the first largest", lambda x: ad.take_along_axis(x, ad.argmax(x, keepdims=True)), [1.0, 3.0, 3.0, 0.0], [0.0, 1.0, 0.0, 0.0]),
    ("unique values are the first", ad.unique_values, [5.0, 1.0, 5.0, 1.0], [10.0, 1.0, 0.0, 0.0]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "at", "expected"), [row[1:] for row in TIES], ids=[row[0] for row in TIES])
def test_the_derivative_follows_the_elements(f: Callable[[Any], Any], at: list[float], expected: list[float]) -> None:
    x = np.array(at)
    weights = WEIGHTS[: f(x).size]
    np.testing.assert_array_equal(ad.vjp(f, x)[1](weights)[0], expected)
    np.testing.assert_array_equal(weights @ ad.jacobian(f, mode="forward")(x), expected)
    np.testing.assert_array_equal(weights @ ad.jacobian(f, mode="reverse")(x), expected)


@settings(max_examples=40, deadline=None)
@given(
    x=hnp.arrays(
        st.sampled_from(["int8", "uint8", "float32", "bool"]), hnp.array_shapes(max_side=4), elements=st.integers(0, 1)
    )
)
def test_an_order_is_stable(x: Any) -> None:
    """Also the falling one, of unsigned numbers too, whose negatives are in another order."""
    for axis in range(x.ndim):
        np.testing.assert_array_equal(ad.argsort(x, axis), np.argsort(x, axis, kind="stable"))
        falling = np.argsort(1 - x.astype(int), axis, kind="stable")
        np.testing.assert_array_equal(ad.argsort(x, axis, descending=True), falling)
        assert ad.sort(x, axis).dtype == x.dtype


@settings(max_examples=30, deadline=None)
@given(x=hnp.arrays(float, hnp.array_shapes(max_dims=2, max_side=6), elements=st.integers(0, 4)), data=st.data())
def test_a_partition(x: Any, data: st.DataObject) -> None:
    length = x.shape[-1]
    kth = data.draw(st.lists(st.integers(-length, length - 1), min_size=1, max_size=3))
    found = ad.partition(x, tuple(kth))
    np.testing.assert_array_equal(np.take_along_axis(x, ad.argpartition(x, kth), -1), found)
    for k in kth:
        k %= length
        np.testing.assert_array_equal(found[..., k], np.sort(x)[..., k])
        assert (found[..., :k] <= found[..., k : k + 1]).all() and (found[..., k:] >= found[..., k : k + 1]).all()
    flat = ad.partition(x, 0, axis=None)
    assert flat.shape == (x.size,) and flat[0] == x.min()


@settings(max_examples=30, deadline=None)
@given(keys=hnp.arrays(int, hnp.array_shapes(min_dims=2, max_dims=3, max_side=4), elements=st.integers(0, 2)))
def test_an_order_by_several_keys(keys: Any) -> None:
    for axis in range(keys.ndim - 1):
        np.testing.assert_array_equal(ad.lexsort(keys, axis), np.lexsort(keys, axis))
    np.testing.assert_array_equal(ad.lexsort(tuple(keys)), np.lexsort(tuple(keys)))


def test_the_largest_and_where_they_stand() -> None:
    x = np.random.default_rng(0).permutation(24).reshape(2, 3, 4).astype(np.float32)
    for axis in (-1, 0, 1):
        found = ad.topk(x, 2, axis)
        np.testing.assert_array_equal(found.values, np.take_along_axis(x, found.indices, axis))
        np.testing.assert_array_equal(found.values, np.take(np.flip(np.sort(x, axis), axis), [0, 1], axis))
        assert found.values.dtype == np.float32
    recorded = ad.topk(ad.tensor(x), 1)
    assert recorded.values.node is not None and recorded.indices.node is None
    assert ad.topk(x, 0).values.shape == (2, 3, 0)


def test_arrays_without_elements_and_all_elements_at_once() -> None:
    assert ad.sort(np.zeros((2, 0))).shape == (2, 0)
    assert ad.grad(lambda x: ad.sum(ad.sort(x, 0)))(np.zeros((0, 3))).shape == (0, 3)
    x = np.array([[3.0, 1.0], [2.0, 0.0]])
    np.testing.assert_array_equal(ad.sort(x, None), [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(ad.grad(lambda x: ad.sort(x, None)[0])(x), [[0.0, 0.0], [0.0, 1.0]])


def test_programs_and_examples_sort_anew() -> None:
    """An order is worked out each time, not when the function was traced."""
    f = lambda x: ad.sum(WEIGHTS[:3] * ad.sort(x) + ad.topk(x, 3).indices)
    first, second = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 1.0])
    slope = ad.compile(ad.grad(f))
    for x in (first, second, first):
        np.testing.assert_array_equal(slope(x), ad.grad(f)(x))
    np.testing.assert_array_equal(ad.vmap(ad.grad(f))(np.stack([first, second])), [ad.grad(f)(first), ad.grad(f)(second)])


REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("a number", lambda: ad.sort(3.0), r"sort: axis -1 is out of bounds for an array with 0 axes"),
    ("kind", lambda: ad.sort(WEIGHTS, kind="bubble"), r"kind='bubble'; expected one of .*'stable'"),
    ("k", lambda: ad.topk(WEIGHTS, 5), r"topk: k=5 for an axis of length 4; expected 0 to 4"),
    ("negative k", lambda: ad.topk(WEIGHTS, -1), r"topk: k=-1"),
    ("kth", lambda: ad.partition(WEIGHTS, 4), r"argpartition: kth=4 for an axis of length 4; expected -4 to 3"),
    ("keys", lambda: ad.lexsort([]), r"lexsort: got no keys"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_a_clear_message(run: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run()
