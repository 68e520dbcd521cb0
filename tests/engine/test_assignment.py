"""Assignment to Tensors: values and derivatives as of the same lines on NumPy arrays, or a refusal; never a stale view."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives.rows.indexing import assignments
from tinyad.checking.numeric import numeric_jacobian

A = np.arange(1.0, 13.0).reshape(3, 4)


# ---- the idioms of NumPy users


def recurrence(x: Any, zeros: Any) -> Any:
    y = zeros(5)
    y[0] = x[0]
    for i in range(4):
        y[i + 1] = y[i] * x[1] + i
    return y


def stencil(x: Any, zeros: Any) -> Any:
    y = zeros(x.shape)
    y[1:-1] = x[2:] - 2.0 * x[1:-1] + x[:-2]
    y[0], y[-1] = y[1], y[-2]
    return y


def slices_in_place(x: Any, zeros: Any) -> Any:
    y = x.copy()
    y[1:3] += x[0]
    y[0] -= 2.0
    y[1:] *= y[:-1].copy()
    y[::2] /= x[::2]
    y[-1] **= 2
    return y


def masks(x: Any, zeros: Any) -> Any:
    y = zeros(x.shape)
    y[x > 2.0] = x[x > 2.0] ** 2
    y[x <= 2.0] = -1.0
    return y


def rows_by_number(x: Any, zeros: Any) -> Any:
    y = zeros((4, len(x)))
    y[[0, 2]] = x
    y[1, ::-1] = x * x
    y[3, np.array([0, 0, 1])] = x[:3]
    return y


def whole(x: Any, zeros: Any) -> Any:
    y = zeros(x.shape)
    y += x
    z = y
    y *= 3.0
    y[...] = y + z
    return y


IDIOMS = [recurrence, stencil, slices_in_place, masks, rows_by_number, whole]


@pytest.mark.parametrize("idiom", IDIOMS, ids=lambda f: f.__name__)
def test_idioms(idiom: Callable[..., Any]) -> None:
    x = np.array([1.5, 0.5, 2.5, 3.0, 4.0])

    def f(x: Any) -> Any:
        return idiom(x, ad.zeros)

    expected = idiom(x.copy(), np.zeros)
    value, _ = ad.vjp(f, x)
    np.testing.assert_allclose(value, expected, rtol=1e-15)
    jacobian = numeric_jacobian(lambda x: idiom(x.copy(), np.zeros), x, wrt=0).jacobian
    np.testing.assert_allclose(ad.jacobian(f, mode="reverse")(x), jacobian, atol=1e-7)
    np.testing.assert_allclose(ad.jacobian(f, mode="forward")(x), jacobian, atol=1e-7)
    weights = np.linspace(1.0, 2.0, value.size).reshape(value.shape)

    def g(x: Any) -> Any:
        return ad.sum(f(x) ** 3 * weights)

    np.testing.assert_allclose(ad.hessian(g)(x), numeric_jacobian(ad.grad(g), x, wrt=0).jacobian, rtol=1e-6, atol=1e-5)
    if idiom is not masks:  # how many elements a mask picks depends on the values
        np.testing.assert_allclose(ad.compile(f)(x), expected, rtol=1e-15)
        np.testing.assert_allclose(ad.compile(ad.grad(g))(x), ad.grad(g)(x), rtol=1e-13)
        rows = np.stack([x, x[::-1], x + 1.0])
        np.testing.assert_allclose(ad.vmap(f)(rows), np.stack([idiom(row.copy(), np.zeros) for row in rows]), rtol=1e-15)
        np.testing.assert_allclose(ad.vmap(ad.grad(g))(rows), np.stack([ad.grad(g)(row) for row in rows]), rtol=1e-13)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_index_of_numpy(data: st.DataObject) -> None:
    (x, v), params = assignments(data.draw)
    expected = x.copy()
    expected[params["index"]] = v
    y = ad.asarray(x.copy())
    y[params["index"]] = v
    np.testing.assert_array_equal(y.array, expected)
    np.testing.assert_array_equal(ad.asarray(x).at[params["index"]].set(v).array, expected)
    for name, ufunc in (("add", np.add), ("multiply", np.multiply)):
        expected = x.copy()
        ufunc.at(expected, params["index"], v)
        y = ad.asarray(x.copy())
        np.testing.assert_allclose(getattr(y.at[params["index"]], name)(v).array, expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_array_equal(y.array, x)
        ufunc.at(y, params["index"], v)
        np.testing.assert_allclose(y.array, expected, rtol=1e-13, atol=1e-14)


def test_of_repeated_indices_the_last_has_the_derivative() -> None:
    index = np.array([2, 0, 2, 2])
    gradient = ad.grad(lambda v: ad.sum(ad.zeros(3).at[index].set(v) * np.array([1.0, 10.0, 100.0])))(np.ones(4))
    np.testing.assert_array_equal(gradient, [0.0, 1.0, 0.0, 100.0])


def test_products_at_repeated_indices_have_the_derivative_of_a_product() -> None:
    index, v = np.array([1, 0, 1, 1]), np.array([2.0, 3.0, 5.0, 7.0])

    def f(v: Any) -> Any:
        return ad.full((2,), 1.5).at[index].multiply(v)

    np.testing.assert_array_equal(f(v).array, [4.5, 105.0])
    np.testing.assert_allclose(ad.jacobian(f)(v), [[0.0, 1.5, 0.0, 0.0], [52.5, 0.0, 21.0, 15.0]])


# ---- names for one Tensor, and Tensors that share memory


def test_all_names_of_a_tensor_see_an_assignment() -> None:
    x = ad.asarray(A.copy())
    other = x
    x[0] = 0.0
    x += 1.0
    assert other is x
    np.testing.assert_array_equal(other.array[0], np.ones(4))


def test_the_arrays_a_tensor_was_made_of_are_never_written_to() -> None:
    plain = A.copy()
    x = ad.asarray(plain)
    x[0] = 0.0
    x *= 2.0
    np.add(x, 1.0, out=x)
    np.testing.assert_array_equal(plain, A)


def test_numbers_never_change() -> None:
    x = ad.asarray(A).sum()
    before = x
    x += 1.0
    assert x is not before
    assert before.item() == A.sum()


VIEWS: dict[str, Callable[[Any], Any]] = {
    "slice": lambda x: x[1:3],
    "row": lambda x: x[1],
    "transpose": lambda x: x.T,
    "reshape": lambda x: x.reshape(-1),
    "flip": lambda x: ad.flip(x),
    "slice of a slice": lambda x: x[1:][0:1],
    "broadcast": lambda x: ad.broadcast_to(x, (2, 3, 4)),
    "squeeze": lambda x: ad.squeeze(ad.expand_dims(x, 0)),
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "[...] =": lambda x: operator.setitem(x, ..., 0.0),
    "+=": lambda x: operator.iadd(x, 1.0),
    "out=": lambda x: np.multiply(x, 2.0, out=x),
    "at": lambda x: np.add.at(x, (0,), 1.0),
}


@pytest.mark.parametrize("recorded", [False, True], ids=["constant", "recorded"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("view", VIEWS)
def test_an_assignment_that_another_tensor_would_not_see_is_refused(view: str, way: str, recorded: bool) -> None:
    def f(z: Any) -> Any:
        x = z + 0.0
        shown = VIEWS[view](x)
        for one in (x, shown):
            before = one.array.copy()
            with pytest.raises(TypeError, match=r"another Tensor, of shape .* with \.copy\(\)"):
                WAYS[way](one)
            np.testing.assert_array_equal(one.array, before)
        del shown, one  # nobody left to see it
        WAYS[way](x)
        return x

    if recorded:
        ad.vjp(f, A)
    else:
        f(ad.asarray(A))


def test_what_lies_elsewhere_is_not_in_the_way() -> None:
    x = ad.asarray(A.copy())
    row, column = x[0], x[:, 3]
    x[1, :3] = 0.0
    x[2, 0:2] += 1.0
    np.testing.assert_array_equal(row.array, A[0])
    with pytest.raises(TypeError, match="another Tensor"):  # still, although x has new memory by now
        x[0, 1] = 5.0
    del row
    x[0, 1] = 5.0
    with pytest.raises(TypeError, match="another Tensor"):
        x[:, 2:] = 5.0
    del column
    x[:, 2:] = 5.0
    assert x.array[0].tolist() == [1.0, 5.0, 5.0, 5.0]


def test_slices_of_one_temporary_are_in_each_others_way() -> None:
    whole = ad.asarray(A) * 1.0
    left, right = whole[:, :3], whole[:, 2:]
    del whole
    with pytest.raises(TypeError, match="another Tensor"):
        left[0, 2] = 0.0
    left[0, 1] = 0.0
    assert right.array[0, 0] == 3.0


def test_a_view_of_what_nobody_holds_may_be_assigned_to() -> None:
    x = ad.asarray(np.arange(6.0))
    y = (x * 2.0).reshape(2, 3)
    y[0, 0] = 7.0
    y.T.reshape(-1)  # gone at once
    y += 1.0
    assert y.array.tolist() == [[8.0, 3.0, 5.0], [7.0, 9.0, 11.0]]


def test_copies_are_in_nobodys_way_and_stay_on_the_tape() -> None:
    def f(x: Any) -> Any:
        y = x.copy()
        y[0] = 0.0
        return ad.sum(x * y)

    np.testing.assert_array_equal(ad.grad(f)(np.array([2.0, 3.0])), [0.0, 6.0])


def test_many_views_leave_no_trace() -> None:
    x = ad.asarray(A.copy())
    for _ in range(1000):
        x[0].sum()
    assert len(x.family) < 50
    x[0] = 0.0
    assert not hasattr(x, "family")


# ---- variables


def test_a_variable_is_assigned_to_inside_no_grad_alone() -> None:
    w = ad.tensor([1.0, 2.0])
    for way in WAYS.values():
        with pytest.raises(TypeError, match=r"variable made by ad\.tensor.*with ad\.no_grad\(\)"):
            way(w)
    for _ in range(200):
        w.grad = None
        ad.sum((w - np.array([3.0, -1.0])) ** 2).backward()
        with ad.no_grad():
            w -= 0.1 * w.grad
            w[0] = w[0]
    np.testing.assert_allclose(w.array, [3.0, -1.0], rtol=1e-12)


# ---- refusals


def into(target: Any, index: Any, value: Any) -> None:
    target[index] = value


REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "into a slice of a plain array": (
        lambda x: into(np.zeros(3), slice(0, 2), x[:2]),
        TypeError,
        r"recorded Tensor.*ad\.zeros",
    ),
    "by += into a plain array": (lambda x: operator.iadd(np.zeros(3), x), TypeError, r"plain array.*ad\.zeros"),
    "by out= into a plain array": (lambda x: np.add(x, 1.0, out=np.zeros(3)), TypeError, r"plain array.*ad\.zeros"),
    "into integers": (lambda x: into(ad.zeros(3, int), 0, x[0]), TypeError, r"dtype int64 cannot hold.*make it float"),
    "complex into real": (lambda x: into(ad.zeros(3), 0, 1j), TypeError, r"complex values.*make it complex"),
    "by += complex to real": (lambda x: operator.iadd(ad.zeros(3), 1j), TypeError, r"dtype float64 cannot hold.*x = x \+ y"),
    "of a wrong shape": (lambda x: into(ad.zeros(3), slice(0, 2), x), ValueError, r"shape \(3,\) for a part of shape \(2,\)"),
    "that makes it larger": (
        lambda x: operator.iadd(ad.zeros(3), np.ones((2, 3))),
        ValueError,
        r"shape \(2, 3\).*x has \(3,\)",
    ),
    "outside": (lambda x: into(ad.zeros(3), 3, 1.0), IndexError, "out of bounds"),
    "by a float": (lambda x: into(ad.zeros(3), 1.0, 1.0), IndexError, "is a float"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    f, error, message = REFUSED[what]

    def g(x: Any) -> Any:
        with pytest.raises(error, match=message):
            f(x)
        return x

    ad.vjp(g, np.arange(3.0))


def test_a_number_into_a_plain_array_is_refused() -> None:
    """NumPy asks for a float and puts an error of its own before what it gets for an answer."""

    def f(x: Any) -> Any:
        y = np.zeros(3)
        y[0] = x[0]
        return y

    with pytest.raises(ValueError, match="setting an array element") as caught:
        ad.vjp(f, np.arange(3.0))
    assert isinstance(caught.value.__cause__, TypeError)
    assert "Make the array with ad.zeros" in str(caught.value.__cause__)


def test_a_float_of_a_recorded_tensor_is_a_number_to_print() -> None:
    losses: dict[int, float] = {}

    def f(x: Any) -> Any:
        losses[0] = float(x[0])
        return x

    ad.vjp(f, np.array([2.0]))
    assert losses == {0: 2.0}


def test_float32_stays_float32() -> None:
    y = ad.zeros(3, np.float32)
    y[0] = 1.0
    y[1] = np.float64(2.0)
    y += 1.0
    y *= np.ones(3)
    assert y.dtype == np.float32

    def f(x: Any) -> Any:
        z = ad.zeros(3, np.float32)
        z[1:] = x
        return z

    assert ad.vjp(f, np.ones(2))[1](np.ones(3, np.float32))[0].dtype == np.float64
    assert ad.vjp(f, np.ones(2, np.float32))[0].dtype == np.float32


# ---- in compiled functions


def test_a_compiled_loop_updates_in_place() -> None:
    def f(x: Any) -> Any:
        y = ad.zeros(1000)
        y[0] = x
        return ad.fori(999, lambda i, y: y.at[i + 1].set(y[i] * 0.5 + 1.0), y)

    compiled = ad.compile(f)
    np.testing.assert_allclose(compiled(3.0), f(3.0), rtol=1e-14)
    text = compiled.source(3.0)
    body = text[text.index("for ") :]
    assert body.count("copyto") <= 1, body


def test_views_are_in_the_way_in_compiled_functions_too() -> None:
    def stale(x: Any) -> Any:
        y = x + 0.0
        row = y[0]
        y[0] = 0.0
        return row + y[1]

    def temporaries(x: Any) -> Any:
        y = x + 0.0
        for i in range(2):
            y[i + 1] += y[i]
        return y

    with pytest.raises(TypeError, match="views of its elements"):
        ad.compile(stale)(A)
    np.testing.assert_allclose(ad.compile(temporaries)(A), np.cumsum(A, axis=0))
    with pytest.raises(TypeError, match="argument of the function"):
        ad.compile(lambda x: into(x, 0, 1.0))(A)
