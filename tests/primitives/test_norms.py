"""Norms, condition numbers and ranks: their values are NumPy's, and their derivatives at kinks those of the docstrings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.primitives.rows.linalg import normal

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
LA = ad.linalg

# ---- kinks


def slopes(f: Function, x: Array) -> list[Array]:
    return [ad.grad(f)(x), ad.jacobian(f, mode="forward")(x), ad.jacobian(f, mode="reverse")(x), ad.compile(ad.grad(f))(x)]


ZERO, HALF = np.zeros((2, 2)), 0.5
# A norm at a kink, and its derivative there.
KINKS: list[tuple[str, Function, Any, Any]] = [
    ("fro at zero", LA.matrix_norm, ZERO, ZERO),
    ("nuc at zero", lambda x: LA.matrix_norm(x, ord="nuc"), ZERO, ZERO),
    ("2 at zero", lambda x: LA.matrix_norm(x, ord=2), ZERO, ZERO),
    ("1 at zero", lambda x: LA.matrix_norm(x, ord=1), ZERO, ZERO),
    ("nuc at rank 1", lambda x: LA.matrix_norm(x, ord="nuc"), np.diag([2.0, 0.0]), np.diag([1.0, 0.0])),
    ("nuc at equal singular values", lambda x: LA.matrix_norm(x, ord="nuc"), np.diag([2.0, -2.0]), np.diag([1.0, -1.0])),
    ("2 at equal singular values", lambda x: LA.matrix_norm(x, ord=2), np.diag([2.0, -2.0]), np.diag([HALF, -HALF])),
    ("-2 at equal singular values", lambda x: LA.matrix_norm(x, ord=-2), np.diag([2.0, -2.0]), np.diag([HALF, -HALF])),
    ("-2 of a singular matrix", lambda x: LA.matrix_norm(x, ord=-2), np.diag([2.0, 0.0]), ZERO),
    ("1 at equal columns", lambda x: LA.matrix_norm(x, ord=1), [[1.0, 1.0], [1.0, 1.0]], [[HALF, HALF], [HALF, HALF]]),
    ("inf at equal rows", lambda x: LA.matrix_norm(x, ord=math.inf), [[1.0, 2.0], [0.0, 3.0]], [[HALF, HALF], [0.0, HALF]]),
    ("vector 0", lambda x: LA.vector_norm(x, ord=0) + 0 * ad.sum(x), [1.0, 0.0], [0.0, 0.0]),
    ("vector 2", LA.vector_norm, [0.0, 0.0], [0.0, 0.0]),
    ("vector 1/2 with a zero", lambda x: LA.vector_norm(x, ord=0.5), [4.0, 0.0], [1.0, 0.0]),
    ("vector 1/2 of zeros", lambda x: LA.vector_norm(x, ord=0.5), [0.0, 0.0], [0.0, 0.0]),
    ("vector -1 with a zero", lambda x: LA.vector_norm(x, ord=-1), [4.0, 0.0], [0.0, 0.0]),
    ("vector -inf", lambda x: LA.vector_norm(x, ord=-math.inf), [-2.0, 2.0, 3.0], [-HALF, HALF, 0.0]),
    ("cond of a singular matrix", LA.cond, np.diag([1.0, 0.0]), ZERO),
    ("cond 1 of a singular matrix", lambda x: LA.cond(x, 1), np.diag([1.0, 0.0]), ZERO),
    ("rank times x", lambda x: LA.matrix_rank(x) * x[0, 0], np.diag([1.0, 2.0]), np.diag([2.0, 0.0])),
]  # fmt: skip


@pytest.mark.parametrize(("f", "x", "expected"), [row[1:] for row in KINKS], ids=[row[0] for row in KINKS])
def test_norm_at_a_kink(f: Function, x: Any, expected: Any) -> None:
    for slope in slopes(f, np.array(x)):
        np.testing.assert_allclose(slope, expected, atol=1e-15)


ORDERS = [None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf]
VECTOR_ORDERS = [None, 0, 0.5, 1, 2, 3.5, -1, -2.5, math.inf, -math.inf]


@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_are_numpys(keepdims: bool) -> None:
    for dtype in (float, complex, np.float32, int):
        x = (3 * normal(2, 3, 4, dtype=complex if dtype is complex else float)).astype(dtype)
        for ord in ORDERS:
            for axes in ((0, 1), (2, 0), (-1, -2)):
                same(LA.norm(x, ord, axes, keepdims), np.linalg.norm(x, ord, axes, keepdims))
            same(LA.norm(x[0], ord, None, keepdims), np.linalg.norm(x[0], ord, None, keepdims))
            settings = {"keepdims": keepdims, "ord": ord or "fro"}
            same(LA.matrix_norm(x, **settings), np.linalg.matrix_norm(x, **settings))
        for ord in VECTOR_ORDERS:
            x[0, 0, 0] += x[0, 0, 0] == 0
            with np.errstate(divide="ignore"):
                same(LA.norm(x, ord, -2, keepdims), np.linalg.norm(x, ord, -2, keepdims))
                same(LA.norm(x[0, 0], ord, None, keepdims), np.linalg.norm(x[0, 0], ord, None, keepdims))
                for axis in (None, 1, (0, 2), (1,)):
                    theirs = np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=2 if ord is None else ord)
                    same(LA.vector_norm(x, axis=axis, keepdims=keepdims, ord=2 if ord is None else ord), theirs)
        same(LA.norm(x, keepdims=keepdims), np.linalg.norm(x, keepdims=keepdims))


def same(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5 if ours.dtype == np.float32 else 1e-13)


def test_condition_numbers_and_ranks_are_numpys() -> None:
    x = normal(2, 3, 3)
    x[1, 2] = x[1, 1]
    for p in (None, 2, -2, 1, -1, math.inf, -math.inf, "fro", "nuc"):
        found = LA.cond(np.stack([x[0], np.zeros((3, 3))]), p)
        np.testing.assert_allclose(found[0], np.linalg.cond(x[0], p), rtol=1e-12)
        assert np.isinf(found[1])
    for settings in ({}, {"tol": 0.5}, {"tol": [0.1, 5.0]}, {"rtol": 0.3}, {"rtol": [0.9, 0.1]}, {"hermitian": True}):
        np.testing.assert_array_equal(LA.matrix_rank(x, **settings), np.linalg.matrix_rank(x, **settings))
    for small in (np.array(0.0), np.zeros(3), np.array([0.0, 1.0]), np.zeros((0, 0)), np.zeros((2, 0, 3))):
        np.testing.assert_array_equal(LA.matrix_rank(small), np.linalg.matrix_rank(small))
