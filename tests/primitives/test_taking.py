"""Picking by numbers and conditions: indices of each example, numbers out of range, and shapes that depend on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tinyad.primitives.taking import add_along_axis

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 4))
ORDER = RANDOM.integers(-4, 4, size=(5, 3, 2))
TABLE = RANDOM.normal(size=(4, 2))


# ---- indices that differ from example to example


def looped(f: Callable[..., Any], *xs: Any) -> Any:
    return np.stack([f(*[x if x is TABLE or x is X else x[k] for x in xs]) for k in range(5)])


@pytest.mark.parametrize("shared", [False, True], ids=["arrays of each example", "one array for all"])
@pytest.mark.parametrize("f", [
    lambda x, i: ad.take_along_axis(x, i, 1),
    lambda x, i: ad.take_along_axis(x.T, i.T, 0) * 2.0,
    lambda x, i: add_along_axis(x[:, :2], i % 3, axis=-1, length=3, once=False),
    lambda x, i: ad.take(x, i[:, 0], 1, mode="wrap"),
    lambda x, i: ad.choose(i[0] % 3, x[:, :2]),
], ids=["rows", "columns", "sums", "take", "choose"])  # fmt: skip
def test_indices_of_each_example(f: Callable[..., Any], shared: bool) -> None:
    x = X if shared else RANDOM.normal(size=(5, 3, 4))
    axes = (None if shared else 0, 0)
    mapped = ad.vmap(f, axes)
    np.testing.assert_array_equal(mapped(x, ORDER), looped(f, x, ORDER))
    slope = lambda x, i: ad.grad(lambda x: ad.sum(f(x, i) ** 2))(x)
    np.testing.assert_allclose(ad.vmap(slope, axes)(x, ORDER), looped(slope, x, ORDER), rtol=1e-14)
    total = ad.grad(lambda x: ad.sum(mapped(x, ORDER) ** 2))(x)
    expected = looped(slope, x, ORDER)
    np.testing.assert_allclose(total, expected.sum(0) if shared else expected, rtol=1e-13, atol=1e-15)
    rows = lambda x, i: ad.jacobian(lambda x: f(x, i), mode="reverse")(x)
    columns = lambda x, i: ad.jacobian(lambda x: f(x, i), mode="forward")(x)
    for jacobian in (rows, columns):
        np.testing.assert_allclose(ad.vmap(jacobian, axes)(x, ORDER), looped(jacobian, x, ORDER), rtol=1e-14)


def test_a_plain_table_and_indices_that_are_not_there_yet() -> None:
    def f(w: Any, i: Any) -> Any:
        return ad.sum(w * ad.take(TABLE, i, 0))

    i = np.array([[1, 3], [0, 0]])
    w = RANDOM.normal(size=(2, 2, 2))
    np.testing.assert_allclose(ad.compile(ad.grad(f))(w, i), TABLE[i])
    np.testing.assert_allclose(ad.vmap(f)(w, i), [f(a, b) for a, b in zip(w, i, strict=True)])


# ---- numbers out of range


@pytest.mark.parametrize("mode", ["wrap", "clip"])
def test_modes_are_numpys(mode: str) -> None:
    i = np.array([-9, -5, -4, -1, 0, 3, 4, 11])
    np.testing.assert_array_equal(ad.take(X, i, 1, mode), np.take(X, i, 1, mode=mode))
    np.testing.assert_array_equal(ad.compile(lambda i: ad.take(X, i, 1, mode))(i), np.take(X, i, 1, mode=mode))
    choices = [np.float64(k) for k in range(4)]
    np.testing.assert_array_equal(ad.choose(i, choices, mode), np.choose(i, choices, mode=mode))


# ---- conditions


def test_a_condition_that_is_known_when_a_program_is_made() -> None:
    mask = X > 0
    f = lambda x: ad.sum(ad.extract(mask, x) ** 2) + ad.sum(ad.compress(mask[0], x, 1))
    np.testing.assert_allclose(ad.compile(ad.grad(f))(X), ad.grad(f)(X))
    np.testing.assert_allclose(ad.grad(f)(X), 2 * X * mask + mask[0])


COUNTS: dict[str, Callable[[Any], Any]] = {
    "nonzero": lambda x: ad.nonzero(x)[0],
    "argwhere": lambda x: ad.argwhere(x),
    "nonzero ": lambda x: ad.flatnonzero(x),
    "compress": lambda x: ad.compress(x[0] > 0, x, 1),
    "extract": lambda x: ad.extract(x > 0, x),
    "unique": lambda x: ad.unique(x),
    "unique_all": lambda x: ad.unique_all(x).counts,
    "bincount": lambda x: ad.bincount(ad.ravel(x).astype(int)),
    "repeat": lambda x: ad.repeat(np.ones(4), x[0].astype(int)),
    "delete": lambda x: ad.delete(x, x[0] > 0, 1),
    "digitize": lambda x: ad.digitize(1.0, x[0]),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_shape_that_depends_on_values_is_refused_where_there_are_none(name: str) -> None:
    message = rf"an operand of {name.strip()}, at\n.*test_taking.*How many elements it gives depends on the values.*ad\.where"
    for f in (ad.compile(COUNTS[name]), ad.vmap(COUNTS[name])):
        with pytest.raises(ad.TracingError, match="(?s)" + message):
            f(np.abs(X)[None])


@pytest.mark.parametrize("name", ["unique", "compress", "extract", "flatnonzero", "argwhere"])
def test_numpys_functions_refuse_in_the_same_words(name: str) -> None:
    calls = {"compress": lambda x: np.compress(x > 0, x), "extract": lambda x: np.extract(x > 0, x)}
    with pytest.raises(ad.TracingError, match=r"(?s)How many elements it gives depends on the values; keep the shape"):
        ad.compile(calls.get(name, getattr(np, name)))(X[0])


def test_places_are_constants_of_the_same_kind_as_the_operand() -> None:
    for x in (X, ad.tensor(X)):
        for found, expected in zip(ad.nonzero(x > 0), np.nonzero(X > 0), strict=True):
            assert isinstance(found, ad.Tensor) == isinstance(x, ad.Tensor)
            np.testing.assert_array_equal(np.asarray(found), expected)
        np.testing.assert_array_equal(np.asarray(ad.argwhere(x > 0)), np.argwhere(X > 0))
        np.testing.assert_array_equal(np.asarray(ad.flatnonzero(x > 0)), np.flatnonzero(X > 0))
    np.testing.assert_array_equal(ad.grad(lambda x: ad.sum(x[ad.nonzero(x > 0)] ** 2))(X), 2 * np.maximum(X, 0))
    np.testing.assert_array_equal(np.where(ad.tensor(X) > 0)[1], np.nonzero(X > 0)[1])


def test_a_piece_that_is_not_taken_leaks_no_nan() -> None:
    f = lambda x: ad.sum(ad.piecewise(x, [x > 0], [ad.log, 7.0]))
    g = lambda x: ad.sum(ad.select([x > 0, x == 0], [ad.sqrt(x), 5.0], ad.log(-x)))
    x = np.array([0.0, -1.0, 2.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ad.grad(f)(x), [0.0, 0.0, 0.5])
        np.testing.assert_allclose(ad.grad(g)(x), [0.0, -1.0, 0.5 / np.sqrt(2.0)])
        assert f(x) == 14.0 + np.log(2.0)


def test_the_last_of_overlapping_pieces_counts() -> None:
    x = np.array([1.0, 3.0])
    np.testing.assert_array_equal(ad.piecewise(x, [x > 0, x > 2], [1.0, 2.0]), np.piecewise(x, [x > 0, x > 2], [1.0, 2.0]))
    np.testing.assert_array_equal(ad.select([x > 0, x > 2], [[1.0, 1.0], [2.0, 2.0]]), [1.0, 1.0])
    assert ad.piecewise(np.float32([1, 3]), x > 2, [lambda x, k: k * x], k=2).dtype == np.float32


# ---- searching in what is sorted


@pytest.mark.parametrize("side", ["left", "right"])
def test_places_in_a_sorted_list(side: str) -> None:
    x = np.array([2.0, 0.0, 1.0, 1.0])
    v = np.array([[1.0, -1.0, np.nan], [5.0, 0.5, 2.0]])
    order = np.argsort(x)
    expected = np.searchsorted(x, v, side, sorter=order)
    np.testing.assert_array_equal(ad.searchsorted(x, v, side, sorter=order), expected)
    np.testing.assert_array_equal(ad.compile(lambda x, v: ad.searchsorted(x, v, side, sorter=ad.argsort(x)))(x, v), expected)
    assert ad.searchsorted(x[order], 1.0, side) == np.searchsorted(x[order], 1.0, side)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [[0.0, 1.0, 1.0, 2.0], [2.0, 1.0, 0.0], [1.0], []])
def test_bins_that_rise_or_fall(bins: list[float], right: bool) -> None:
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(ad.digitize(x, np.array(bins), right), np.digitize(x, np.array(bins), right))
    np.testing.assert_array_equal(ad.compile(lambda x: ad.digitize(x, np.array(bins), right))(x), np.digitize(x, bins, right))


# ---- what is refused

REFUSED: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("range", lambda: ad.take(X, [4], 1), IndexError, r"index 4 is out of bounds"),
    ("mask as indices", lambda: ad.take(X, [True, False], 0), TypeError, r"take: got indices of dtype bool.*x\[mask\]"),
    ("floats as indices", lambda: ad.take(X, [1.0]), TypeError, r"take: got indices of dtype float64; expected integers"),
    ("mode", lambda: ad.take(X, [1], mode="mirror"), ValueError, r"take: mode='mirror'.*'raise', 'wrap' or 'clip'"),
    ("clip of nothing", lambda: ad.take(X[:0], [1], 0, mode="clip"), ValueError, r"mode='clip' for 0 elements"),
    ("rank", lambda: ad.take_along_axis(X, [0], 1), ValueError, r"indices of shape \(1,\) for x of shape \(3, 4\)"),
    ("lines", lambda: ad.take_along_axis(X, np.zeros((2, 1), int), 1), ValueError, r"all axes but 1 must fit"),
    ("select", lambda: ad.select([X > 0], [X, X]), ValueError, r"select: got 1 conditions and 2 choices"),
    ("piecewise", lambda: ad.piecewise(X, [X > 0], [1, 2, 3]), ValueError, r"piecewise: got 3 functions for 1 conditions"),
    ("delete", lambda: ad.delete(X, 5, 0), IndexError, r"out of bounds"),
    ("insert", lambda: ad.insert(X, 9, 0.0, 0), IndexError, r"out of bounds"),
    ("nonzero of a number", lambda: ad.nonzero(3.0), ValueError, r"nonzero: got a number.*ad\.atleast_1d"),
    ("list of lists", lambda: ad.searchsorted(X, 1.0), ValueError, r"searchsorted: x of shape \(3, 4\).*expected a vector"),
    ("side", lambda: ad.searchsorted(X[0], 1.0, "middle"), ValueError, r"side='middle'.*'left' or 'right'"),
    ("bins", lambda: ad.digitize(1.0, [0.0, 2.0, 1.0]), ValueError, r"neither rise nor fall; sort them"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "error", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_a_clear_message(run: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run()
