"""Initial weights have the distribution of the papers, and follow the seed."""

import math

import numpy as np
import pytest

from tinyad import models

SHAPE = (300, 200)
DRAWN = [models.glorot_uniform, models.glorot_normal, models.he_normal, models.uniform]


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [(models.glorot_uniform, 2 / 500), (models.glorot_normal, 2 / 500), (models.he_normal, 2 / 300), (models.uniform, 1 / 3)],
)
def test_mean_and_variance(initializer, variance):
    weights = initializer(0, SHAPE)
    deviation_of_mean = math.sqrt(variance / weights.size)
    assert abs(weights.mean()) < 5 * deviation_of_mean
    assert weights.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / weights.size))


def test_uniform_weights_fill_their_interval():
    weights = models.glorot_uniform(0, SHAPE)
    limit = math.sqrt(6 / 500)
    assert 0.999 * limit < abs(weights).max() <= limit
    assert abs(models.uniform(0, (1000,), limit=0.1)).max() <= 0.1


def test_a_window_counts_into_inputs_and_outputs():
    weights = models.he_normal(0, (3, 3, 40, 50))
    assert weights.var() == pytest.approx(2 / (9 * 40), rel=0.05)


@pytest.mark.parametrize("initializer", DRAWN)
def test_seeds_and_precision(initializer):
    np.testing.assert_array_equal(initializer(1, (4, 3)), initializer(np.random.default_rng(1), (4, 3)))
    assert not np.array_equal(initializer(1, (4, 3)), initializer(2, (4, 3)))
    single = initializer(1, (4, 3), "float32")
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, initializer(1, (4, 3)).astype("float32"))


def test_zeros_are_zeros_and_draw_nothing():
    rng = np.random.default_rng(0)
    assert not models.zeros(rng, (3,), "float32").any()
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: models.glorot_uniform(0, (3,)), ValueError, r"shape: got \(3,\); expected \(..., inputs, outputs\)"),
        (lambda: models.uniform(0, (3,), limit=-1.0), ValueError, r"limit: got -1.0; expected a finite number, 0 or more"),
        (lambda: models.he_normal(None, (3, 2)), TypeError, r"rng: got None; expected a whole number or a numpy.random.Gen"),
        (lambda: models.he_normal(-1, (3, 2)), ValueError, r"rng: got -1; expected 0 or more"),
        (lambda: models.peaks(10, seed="a"), TypeError, r"seed: got 'a'; expected a whole number"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
