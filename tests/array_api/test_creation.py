"""Creation functions: keywords of the standard and of NumPy, copies, Tensors among the values, exchange by DLPack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad

X = ad.asarray([[1, 2, 3], [4, 5, 6]], dtype=ad.float32)
V = np.asarray(X)

# Ours and NumPy's, with the keywords of the standard.
CREATED: list[tuple[Callable[..., Any], Any]] = [
    (lambda **kw: ad.zeros((2, 3), **kw), np.zeros((2, 3))),
    (lambda **kw: ad.ones(3, **kw), np.ones(3)),
    (lambda **kw: ad.full((2,), 7, **kw), np.full(2, 7)),
    (lambda **kw: ad.full((2,), True, **kw), np.full(2, True)),
    (lambda **kw: ad.full((), 2.5, **kw), np.full((), 2.5)),
    (lambda **kw: ad.full_like(X, 3, **kw), np.full_like(V, 3)),
    (lambda **kw: ad.zeros_like(X, **kw), np.zeros_like(V)),
    (lambda **kw: ad.ones_like(X, **kw), np.ones_like(V)),
    (lambda **kw: ad.ones_like([1, 2], **kw), np.ones_like([1, 2])),
    (lambda **kw: ad.arange(5, **kw), np.arange(5)),
    (lambda **kw: ad.arange(1.0, 2.0, 0.25, **kw), np.arange(1.0, 2.0, 0.25)),
    (lambda **kw: ad.arange(5, step=2, **kw), np.arange(0, 5, 2)),
    (lambda **kw: ad.linspace(0, 1, 5, **kw), np.linspace(0, 1, 5)),
    (lambda **kw: ad.linspace(0, 1, num=4, endpoint=False, **kw), np.linspace(0, 1, 4, endpoint=False)),
    (lambda **kw: ad.linspace(ad.asarray(0.0), 3, 2, **kw), np.linspace(0, 3, 2)),
    (lambda **kw: ad.eye(2, **kw), np.eye(2)),
    (lambda **kw: ad.eye(2, 3, k=1, **kw), np.eye(2, 3, 1)),
    (lambda **kw: ad.asarray([[1, 2], [3, 4]], **kw), np.array([[1, 2], [3, 4]])),
    (lambda **kw: ad.asarray(X, **kw), V),
]


@pytest.mark.parametrize(("make", "expected"), CREATED)
def test_created(make: Callable[..., Any], expected: Any) -> None:
    for settings, dtype in [({}, expected.dtype), ({"dtype": ad.float32}, np.float32), ({"device": "cpu"}, expected.dtype)]:
        made = make(**settings)
        assert isinstance(made, ad.Tensor) and made.node is None and made.device == "cpu"
        assert made.dtype == dtype
        np.testing.assert_array_equal(made.array, expected.astype(dtype))


def test_empty_has_shape_and_dtype() -> None:
    assert ad.empty((2, 3)).dtype == np.float64 and ad.empty(2, dtype=ad.int8).shape == (2,)
    like = ad.empty_like(X)
    assert (like.shape, like.dtype) == ((2, 3), np.float32) and ad.empty_like(X, dtype=ad.int64).dtype == np.int64


@given(
    st.lists(hnp.arrays(np.float64, st.integers(0, 3), elements=st.floats(-9, 9)), min_size=1, max_size=4),
    st.sampled_from(["xy", "ij"]),
)
def test_meshgrid_is_numpys(vectors: list[Any], indexing: Any) -> None:
    for given_as in (np.asarray, ad.asarray):
        ours, theirs = ad.meshgrid(*map(given_as, vectors), indexing=indexing), np.meshgrid(*vectors, indexing=indexing)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert isinstance(a, ad.Tensor) == (given_as is ad.asarray)
            np.testing.assert_array_equal(np.asarray(a), b)


# ---- Tensors on the tape among the values


def test_lists_of_tensors_keep_their_gradient() -> None:
    slope = ad.grad(lambda x: ad.sum(ad.asarray([[x[0], 2.0], [x[1] * x[1], 1]]) ** 2))(np.array([3.0, 2.0]))
    np.testing.assert_array_equal(slope, [6.0, 32.0])
    jacobian = ad.jacobian(lambda x: ad.asarray((x, [5.0, 6.0])))(np.ones(2))
    np.testing.assert_array_equal(jacobian[0], np.eye(2))


def test_numbers_in_a_list_are_weak() -> None:
    x = ad.tensor(2.0, dtype=ad.float32)
    assert ad.asarray([x, 1.0]).dtype == np.float32
    assert ad.asarray([x, np.float64(1.0)]).dtype == np.float64
    assert ad.asarray([x, 1.0], dtype=ad.float64).dtype == np.float64


def test_lists_in_traced_functions() -> None:
    def f(x: Any) -> Any:
        return ad.sum(ad.asarray([x, 2.0 * x, 1.0]))

    np.testing.assert_array_equal(ad.vmap(f)(np.array([1.0, 2.0])), [4.0, 7.0])
    assert float(ad.compile(f)(2.0)) == 7.0
    assert ad.compile(lambda n: ad.asarray([n, 1]))(2).dtype == np.int64


def test_full_and_linspace_follow_the_tape() -> None:
    np.testing.assert_array_equal(ad.jacobian(lambda x: ad.full((2,), x))(3.0), [1.0, 1.0])
    np.testing.assert_array_equal(ad.jacobian(lambda x: ad.full_like(X, x)[0])(3.0), [1.0, 1.0, 1.0])
    np.testing.assert_allclose(ad.jacobian(lambda x: ad.linspace(x, 2.0, 3))(1.0), [1.0, 0.5, 0.0])
    np.testing.assert_allclose(ad.jacobian(lambda x: ad.linspace(0.0, x, 4, endpoint=False))(1.0), [0.0, 0.25, 0.5, 0.75])
    assert ad.linspace(ad.tensor(0.0, dtype=ad.float32), 1.0, 3).dtype == np.float32


def test_meshgrid_and_triangles_follow_the_tape() -> None:
    def f(x: Any) -> Any:
        a, b = ad.meshgrid(x, np.arange(3.0))
        return ad.sum(ad.tril(a * b))

    np.testing.assert_array_equal(ad.grad(f)(np.ones(2)), [3.0, 3.0])


# ---- copies


def test_copies_of_arrays() -> None:
    source = np.ones(3)
    assert ad.asarray(source).array is source and ad.asarray(source, copy=False).array is source
    assert not np.shares_memory(ad.asarray(source, copy=True).array, source)
    with pytest.raises(ValueError, match="copy"):
        ad.asarray(source, dtype=ad.float32, copy=False)
    with pytest.raises(ValueError, match="copy"):
        ad.asarray([1.0], copy=False)


def test_copies_of_tensors() -> None:
    x = ad.tensor([1.0, 2.0])
    assert ad.asarray(x) is x and ad.asarray(x, copy=False, dtype=ad.float64) is x
    copied = ad.asarray(x, copy=True)
    assert copied is not x and not np.shares_memory(copied.array, x.array) and copied.node is not None
    with pytest.raises(ValueError, match="asarray: with copy=False a Tensor keeps its dtype"):
        ad.asarray(x, dtype=ad.float32, copy=False)
    assert ad.astype(x, ad.float64, copy=False) is x and x.astype(ad.float64, copy=False) is x
    assert ad.astype(x, ad.float64) is not x and ad.astype(x, ad.float32, copy=False).dtype == np.float32


def test_what_holds_no_numbers_is_refused() -> None:
    for values in (["a"], np.array([None]), [{}]):
        with pytest.raises(TypeError, match=r"asarray: got values of dtype.*expected numbers"):
            ad.asarray(values)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: ad.meshgrid(np.ones((2, 2))), r"meshgrid: array 0 has shape \(2, 2\); expected a vector.*ad\.ravel"),
        (lambda: ad.meshgrid(np.ones(2), indexing="ji"), r"meshgrid: indexing='ji'; expected \"xy\" or \"ij\""),
        (lambda: ad.tril(np.ones(3)), r"tril: x has shape \(3,\); expected matrices"),
        (lambda: ad.triu(1.0), r"triu: x has shape \(\); expected matrices"),
    ],
)
def test_bad_shapes_are_refused(run: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run()


# ---- DLPack


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.complex128, np.bool_])
def test_exchange_with_numpy_shares_memory(dtype: Any) -> None:
    source = np.array([[1, 0, 3], [4, 5, 6]], dtype)[:, ::2]
    taken = ad.from_dlpack(source)
    assert isinstance(taken, ad.Tensor) and taken.dtype == dtype and taken.device == "cpu"
    assert np.shares_memory(taken.array, source)
    given_away = np.from_dlpack(ad.asarray(source))
    assert np.shares_memory(given_away, source)
    np.testing.assert_array_equal(given_away, source)


def test_exchange_of_tensors_and_their_devices() -> None:
    x = ad.asarray([1.0, 2.0])
    assert x.__dlpack_device__() == (1, 0) == ad.sum(x).__dlpack_device__()
    assert float(ad.from_dlpack(ad.sum(x)).array) == 3.0
    assert not np.shares_memory(ad.from_dlpack(x, copy=True).array, x.array)
    assert ad.from_dlpack(x, device="cpu", copy=False).array is not None


def test_exchange_refuses_what_would_lose_a_gradient() -> None:
    with pytest.raises(TypeError, match=r"lose the gradient of a recorded Tensor.*x\.array"):
        np.from_dlpack(ad.tensor([1.0]) * 2.0)
    with pytest.raises(ad.TracingError, match="plain NumPy array"):
        ad.vmap(lambda x: ad.from_dlpack(x))(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"from_dlpack: got a list; expected an array with __dlpack__.*ad\.asarray"):
        ad.from_dlpack([1.0])
