"""Paths in time: the measured one as it was published, the computed one as its equation says."""

from __future__ import annotations

import numpy as np
import pytest

from tinyad import models


def test_hare_and_lynx_as_published() -> None:
    data = models.lynx_and_hare()
    assert data.states.shape == (21, 2) and data.names == ("hare", "lynx")
    assert data.times[0] == 1900 and data.times[-1] == 1920
    hare, lynx = data.states.T
    by_year = dict(zip(data.times.astype(int), zip(hare, lynx, strict=True), strict=True))
    assert by_year[1903] == (77.4, 35.2) and by_year[1910] == (27.1, 7.4) and by_year[1920] == (24.7, 8.6)
    assert (hare.sum().round(1), lynx.sum().round(1)) == (715.7, 423.5)
    # each abundance of lynx comes a year or two after one of hare
    lags = [np.corrcoef(hare[: 21 - k], lynx[k:])[0, 1] for k in range(5)]
    assert np.argmax(lags) in (1, 2)
    assert models.lynx_and_hare(np.float32).states.dtype == np.float32


def test_the_spiral_solves_its_equation() -> None:
    data = models.spiral(301)
    A = np.array([[-0.1, 2.0], [-2.0, -0.1]])
    slopes = np.gradient(data.states, data.times, axis=0, edge_order=2)
    np.testing.assert_allclose(slopes[1:-1], (data.states**3 @ A)[1:-1], atol=0.05)
    sparse = models.spiral(4)
    np.testing.assert_allclose(sparse.states, data.states[::100], atol=1e-8)
    assert (np.diff((data.states**4).sum(axis=1)) < 0).all()  # d/dt of |u|_4^4 is -0.4 |u|_6^6


def test_noise_is_repeatable_and_leaves_the_start() -> None:
    a, b, exact = models.spiral(50, noise=0.1, seed=3), models.spiral(50, noise=0.1, seed=3), models.spiral(50)
    np.testing.assert_array_equal(a.states, b.states)
    np.testing.assert_array_equal(a.states[0], exact.states[0])
    assert 0.08 < (a.states - exact.states)[1:].std() < 0.12
    assert models.spiral(1).states.shape == (1, 2)
    with pytest.raises(ValueError, match=r"noise: got -0\.1"):
        models.spiral(5, noise=-0.1)
    with pytest.raises(ValueError, match="n: got 0"):
        models.spiral(0)
