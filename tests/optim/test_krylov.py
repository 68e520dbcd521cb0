"""Krylov methods against dense solutions: accuracy, finite termination, and what they say when they fail."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyad import optim

Array = np.ndarray[Any, Any]


def matrix(random: np.random.Generator, n: int, definite: bool, kind: Any) -> Array:
    a = random.normal(size=(n, n)).astype(kind)
    if np.dtype(kind).kind == "c":
        a = a + 1j * random.normal(size=(n, n))
    return a @ a.conj().T + np.eye(n) if definite else a + 3 * np.sqrt(n) * np.eye(n)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([np.float64, np.float32, np.complex128]), st.booleans())
def test_solutions(seed: int, n: int, kind: Any, start: bool) -> None:
    random = np.random.default_rng(seed)
    b, x0 = random.normal(size=(n,)).astype(kind), random.normal(size=n).astype(kind) if start else None
    tolerance = 1e-4 if kind is np.float32 else 1e-11
    for solver, definite in ((optim.cg, True), (optim.gmres, False), (optim.gmres, True)):
        A = matrix(random, n, definite, kind).astype(kind)
        found = solver(lambda v, A=A: A @ v, b, x0, tolerance=tolerance, iterations=5 * n)
        assert found.success, found
        assert found.x.dtype == b.dtype
        assert np.linalg.norm(A @ found.x - b) <= 1.01 * tolerance * np.linalg.norm(b)


def test_conjugate_gradients_end_after_as_many_steps_as_there_are_eigenvalues() -> None:
    random = np.random.default_rng(0)
    q = np.linalg.qr(random.normal(size=(30, 30)))[0]
    A = q @ np.diag(np.repeat([1.0, 5.0, 9.0], 10)) @ q.T
    exact = random.normal(size=30)
    found = optim.cg(lambda v: A @ v, A @ exact)
    assert len(found.history) == 3
    np.testing.assert_allclose(found.x, exact, rtol=1e-10, atol=1e-12)


def test_residuals_of_gmres_never_rise_and_restarts_reach_the_solution() -> None:
    random = np.random.default_rng(1)
    A = matrix(random, 40, False, float)
    b = random.normal(size=(8, 5))
    for restart in (50, 6):
        found = optim.gmres(lambda v: (A @ v.ravel()).reshape(8, 5), b, restart=restart, tolerance=1e-9)
        assert found.success and found.x.shape == b.shape
        np.testing.assert_allclose(A @ found.x.ravel(), b.ravel(), atol=1e-7)
        residuals = [row["residual"] for row in found.history]
        assert all(after <= before * (1 + 1e-8) for before, after in itertools.pairwise(residuals))


def test_zero_right_hand_sides_are_solved_at_once() -> None:
    for solver in (optim.cg, optim.gmres):
        found = solver(lambda v: 2.0 * v, np.zeros(3))
        assert found.success and not found.x.any() and found.history == []


def test_failures_say_what_to_do() -> None:
    indefinite = optim.cg(lambda v: np.array([1.0, -1.0]) * v, np.array([0.0, 1.0]))
    assert not indefinite.success and "not positive definite" in indefinite.reason and "gmres" in indefinite.reason
    singular = optim.gmres(lambda v: np.array([1.0, 0.0]) * v, np.array([1.0, 1.0]))
    assert not singular.success and "allow more iterations" in singular.reason
    A = matrix(np.random.default_rng(2), 20, True, float)
    early = optim.cg(lambda v: A @ v, np.ones(20), iterations=3)
    assert not early.success and len(early.history) == 3
    with pytest.raises(ValueError, match="restart=0; expected at least 1"):
        optim.gmres(lambda v: v, np.ones(2), restart=0)
