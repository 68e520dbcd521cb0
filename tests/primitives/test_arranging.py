"""Repeating, turning, joining, taking apart, diagonals: the corners, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad

A = np.arange(6.0).reshape(2, 3)
V = np.array([1.0, 2.0, 3.0])
INF = np.inf


def same(found: Any, expected: Any) -> None:
    """Of one array or several; the values, the shapes, and plain for plain."""
    if isinstance(expected, (list, tuple)):
        assert isinstance(found, (list, tuple)) and len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b)
    else:
        assert isinstance(found, np.ndarray) and found.shape == expected.shape and found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


# Calls of functions that NumPy has too, under the same name and with the same arguments.
CORNERS: list[tuple[str, tuple[Any, ...]]] = [
    ("atleast_1d", (np.float64(2.0), V)), ("atleast_2d", (np.float64(2.0), V, A)), ("atleast_3d", (np.float64(2.0), V, A)),
    ("atleast_3d", (A[None],)), ("broadcast_arrays", (A, V, np.float64(1.0))), ("tile", (V, ())), ("tile", (A, 0)),
    ("tile", (A, (2, 1, 3))), ("repeat", (np.float64(2.0), 3)), ("repeat", (A, np.array([0, 2, 1]), 1)),
    ("repeat", (A[:, :0], 2, 1)), ("resize", (A, (2, 5))), ("resize", (V[:0], (2, 2))), ("resize", (V, 0)),
    ("rollaxis", (A[None], 2)), ("rollaxis", (A[None], 0, 3)), ("rollaxis", (A[None], -1, -2)), ("rot90", (A, -1)),
    ("fliplr", (A,)), ("flipud", (V,)), ("split", (V, 3)), ("split", (A, [2, 1], 1)), ("split", (V, [-1, 9])),
    ("array_split", (V, 2)), ("array_split", (V[:1], 3)), ("hsplit", (V, [1])), ("hsplit", (A, 3)), ("vsplit", (A, 2)),
    ("dsplit", (A[None], [1])), ("hstack", ([V, 2.0],)), ("vstack", ([V, A],)), ("dstack", ([V, V],)),
    ("column_stack", ([V[:2], A],)), ("column_stack", ([V[:0], V[:0]],)), ("append", (A, V)), ("append", (A, V[None], 0)),
    ("block", (A,)), ("block", ([A, A],)), ("block", ([[A], [V]],)), ("block", ([V, 1.0],)), ("diag", (V, -1)),
    ("diag", (A, 5)), ("diag", (V[:0],)), ("diagflat", (A, 1)), ("diagonal", (A, -1)), ("diagonal", (A[None], 0, 2, 1)),
    ("tril_indices", (3, -1, 2)), ("triu_indices", (2, 1)), ("vander", (V, 0)), ("vander", (V, 3, True)),
    ("delete", (V, slice(None, None, 2))), ("delete", (A, [], 0)), ("insert", (V, [2, 0], [7.0, 8.0])),
    ("insert", (V, [1, 1], [7.0, 8.0])), ("insert", (A, 1, [[5.0], [6.0]], 1)), ("insert", (A, 1, [5.0, 6.0], 1)),
    ("insert", (A, slice(0, 2), 9.0, 1)), ("insert", (np.arange(3), 1, 2.7)), ("reshape", (A, (3, 2), "F")),
    ("ravel", (A, "F")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), CORNERS, ids=[f"{i} {row[0]}" for i, row in enumerate(CORNERS)])
def test_values_are_numpys(name: str, arguments: tuple[Any, ...]) -> None:
    found = getattr(ad, name)(*arguments)
    plain = tuple(np.asarray(x) for x in found) if name.endswith("indices") else found
    same(plain, getattr(np, name)(*arguments))


def test_parts_of_an_array_give_one_gradient() -> None:
    def f(x: Any) -> Any:
        first, second = ad.split(x, [1], axis=1)
        a, b = ad.unstack(x)
        return ad.sum(first) * ad.sum(second) + ad.sum(a * b)

    h = 1e-3
    numeric = np.array(
        [[(f(A + h * unit) - f(A - h * unit)) / (2 * h) for unit in row] for row in np.eye(6).reshape(2, 3, 2, 3)]
    )
    np.testing.assert_allclose(ad.grad(f)(A), numeric, rtol=1e-10)
    np.testing.assert_allclose(ad.compile(ad.grad(f))(A), numeric, rtol=1e-10)


def test_a_sparse_grid() -> None:
    for indexing in ("ij", "xy"):
        same(ad.meshgrid(V, V[:2], indexing=indexing, sparse=True), np.meshgrid(V, V[:2], indexing=indexing, sparse=True))


def test_a_diagonal_leaks_no_nan() -> None:
    x = np.array([INF, 1.0])
    np.testing.assert_array_equal(ad.diag(x), [[INF, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(ad.grad(lambda x: ad.sum(ad.diag(x) @ np.array([0.0, 3.0])))(np.ones(2)), [0.0, 3.0])
    np.testing.assert_array_equal(ad.grad(lambda a: ad.sum(ad.diag(a, 1)))(A), [[0, 1, 0], [0, 0, 1]])


def test_powers_at_zero() -> None:
    x = np.array([0.0, 2.0], np.float32)
    assert ad.vander(x).dtype == np.float32
    np.testing.assert_array_equal(ad.grad(lambda x: ad.sum(ad.vander(x, 3)))(x), [1.0, 5.0])


def test_triangles_by_their_places() -> None:
    rows, columns = ad.tril_indices(3)
    assert isinstance(rows, ad.Tensor) and rows.node is None
    x = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(ad.grad(lambda x: ad.sum(x[rows, columns]))(x), np.tri(3))
    np.testing.assert_array_equal(x[ad.triu_indices(3, 1)], x[np.triu_indices(3, 1)])


def test_complex_and_integer_arrays_are_arranged_too() -> None:
    z = A * (1 + 2j)
    for f in (
        lambda m, x: m.rot90(x),
        lambda m, x: m.tile(x, 2),
        lambda m, x: m.diag(x[0]),
        lambda m, x: m.repeat(x, [1, 2], 0),
    ):
        for x in (z, A.astype(int), A > 2):
            same(f(ad, x), f(np, x))
    u = np.ones((6, 2)) * (3 - 1j)
    (g,) = ad.vjp(lambda z: ad.tile(ad.rot90(z), (2, 1)), z)[1](u)
    np.testing.assert_array_equal(g, 2 * np.ones((2, 3)) * (3 - 1j))


REFUSED: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("order", lambda: ad.reshape(A, (3, 2), order="K"), ValueError, r"reshape: order='K'; expected 'C'.*'F'"),
    ("tile", lambda: ad.tile(A, -1), ValueError, r"tile: repetitions=-1; expected numbers of at least 0"),
    ("repeat", lambda: ad.repeat(A, [1, 2, 3], 0), ValueError, r"repeat: .* for an axis of length 2; expected 1 or 2 numbers"),
    ("repeat less", lambda: ad.repeat(V, -1), ValueError, r"repeat: repeats=-1"),
    ("repeat half", lambda: ad.repeat(V, 0.5), ValueError, r"repeat: repeats=0\.5"),
    ("resize", lambda: ad.resize(A, (2, -1)), ValueError, r"resize: shape=\(2, -1\); expected lengths of at least 0"),
    ("turn in a line", lambda: ad.rot90(A, 1, (0, 0)), ValueError, r"names an axis twice"),
    ("turn in space", lambda: ad.rot90(A[None], 1, (0, 1, 2)), ValueError, r"rot90: axes=\(0, 1, 2\); expected two different axes"),
    ("split", lambda: ad.split(V, 2), ValueError, r"split: axis 0 of length 3 has no 2 equal parts; use ad\.array_split"),
    ("split by nothing", lambda: ad.array_split(V, 0), ValueError, r"array_split: 0 sections; expected at least 1"),
    ("split a vector in rows", lambda: ad.vsplit(V, 3), ValueError, r"vsplit: axis 1 is out of bounds"),
    ("split a matrix in depth", lambda: ad.dsplit(A, 3), ValueError, r"dsplit: axis 2 is out of bounds"),
    ("rollaxis", lambda: ad.rollaxis(A, 0, 3), ValueError, r"rollaxis: start=3 is out of bounds.*expected -2 to 2"),
    ("fliplr", lambda: ad.fliplr(V), ValueError, r"fliplr: axis 1 is out of bounds"),
    ("block of tuples", lambda: ad.block([(A, A)]), TypeError, r"block: got a tuple; expected lists"),
    ("block of rows and blocks", lambda: ad.block([[A], A]), ValueError, r"block: the lists are empty or not equally deep"),
    ("block of nothing", lambda: ad.block([[]]), ValueError, r"block: the lists are empty"),
    ("blocks that do not fit", lambda: ad.block([[A, V]]), ValueError, r"concat: array 1 has shape \(1, 3\), array 0 \(2, 3\)"),
    ("hstack", lambda: ad.hstack([]), ValueError, r"hstack: got no arrays"),
    ("diag", lambda: ad.diag(A[None]), ValueError, r"diag: x has shape \(1, 2, 3\); expected a vector or a matrix"),
    ("diagonal", lambda: ad.diagonal(A, 0, 1, 1), ValueError, r"diagonal: axis1=1 and axis2=1 are the same"),
    ("vander", lambda: ad.vander(A), ValueError, r"vander: x has shape \(2, 3\); expected a vector"),
    ("broadcast_arrays", lambda: ad.broadcast_arrays(A, A.T), ValueError, r"shape mismatch|do not fit"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "error", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_a_clear_message(run: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run()
