"""Losses: by hand, at extremes, and in every form of labels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tinyad import models
from tinyad.checking import numeric_jacobian

SCORES = hnp.arrays(np.float64, (4, 3), elements=st.floats(-30, 30))
LABELS = hnp.arrays(np.int64, 4, elements=st.integers(0, 2))


def by_hand(scores, labels, smoothing=0.0):
    """Straight from the definition, with 50 digits' worth of care: math.fsum and a shift by the maximum."""
    total = []
    for row, label in zip(scores, labels, strict=True):
        top = max(row)
        log_sum = top + math.log(math.fsum(math.exp(s - top) for s in row))
        total.append((1 - smoothing) * (log_sum - row[label]) + smoothing * math.fsum(log_sum - s for s in row) / len(row))
    return math.fsum(total) / len(total)


@given(scores=SCORES, labels=LABELS, smoothing=st.sampled_from([0.0, 0.1, 1.0]))
@settings(deadline=None)
def test_cross_entropy_is_its_definition(scores, labels, smoothing):
    value = models.softmax_cross_entropy(scores, labels, smoothing)
    assert value == pytest.approx(by_hand(scores, labels, smoothing), rel=1e-12, abs=1e-12)
    assert value >= 0


@given(scores=SCORES, labels=LABELS)
@settings(deadline=None)
def test_labels_as_numbers_and_as_rows_agree(scores, labels):
    rows = np.eye(3)[labels]
    for loss in (models.softmax_cross_entropy, lambda s, y: models.softmax_cross_entropy(s, y, 0.1)):
        first, second = loss(scores, labels), loss(scores, rows)
        assert first == pytest.approx(second, rel=1e-14, abs=1e-14)
        np.testing.assert_allclose(ad.grad(loss)(scores, labels), ad.grad(loss)(scores, rows), rtol=1e-12, atol=1e-15)
    assert models.accuracy(scores, labels) == models.accuracy(scores, rows)


@given(scores=SCORES, labels=LABELS, shift=st.integers(-(2**20), 2**20))
@settings(deadline=None)
def test_cross_entropy_does_not_change_when_all_scores_are_shifted(scores, labels, shift):
    scores = scores.round(6)
    moved = models.softmax_cross_entropy(scores + shift, labels)
    assert moved == pytest.approx(models.softmax_cross_entropy(scores, labels), abs=1e-9)


@given(scores=SCORES, labels=LABELS)
@settings(deadline=None)
def test_the_gradient_is_probability_minus_label(scores, labels):
    exact = np.exp(scores - scores.max(axis=1, keepdims=True))
    exact = (exact / exact.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / 4
    np.testing.assert_allclose(ad.grad(models.softmax_cross_entropy)(scores, labels), exact, rtol=0, atol=1e-15)


def test_the_gradient_agrees_with_function_values():
    scores = np.random.default_rng(0).normal(size=(5, 4))
    labels = np.array([0, 3, 3, 1, 2])
    for smoothing in (0.0, 0.2):
        numeric = numeric_jacobian(lambda s, e=smoothing: models.softmax_cross_entropy(s, labels, e), scores, wrt=0)
        ours = ad.grad(models.softmax_cross_entropy)(scores, labels, smoothing)
        np.testing.assert_allclose(ours, numeric.jacobian, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_scores_give_no_overflow_and_lose_no_digits(dtype, size):
    scores = np.array([[size, 0, -size], [size, size, -size]], dtype)
    value, gradient = ad.value_and_grad(models.softmax_cross_entropy)(scores, np.array([0, 1]))
    assert value == pytest.approx(math.log(2) / 2, rel=4 * float(np.finfo(dtype).eps))
    np.testing.assert_allclose(gradient, [[0, 0, 0], [0.25, -0.25, 0]], atol=np.finfo(dtype).eps)
    assert value.dtype == gradient.dtype == dtype
    assert models.softmax_cross_entropy(scores, np.array([1, 2])) == pytest.approx(1.5 * size + math.log(2) / 2, rel=1e-6)


def test_a_confident_answer_has_a_small_loss_and_not_zero():
    # Subtracting after the logarithm of the sum would give 0 in float32, with 1000 and without.
    scores = np.array([[1000.0, 985.0]], np.float32)
    assert models.softmax_cross_entropy(scores, np.array([0])) == pytest.approx(math.exp(-15), rel=0.25)
    assert models.softmax_cross_entropy(scores.astype(float), np.array([0])) == pytest.approx(math.exp(-15), rel=1e-6)


def test_the_mean_is_over_examples_so_that_repeating_them_changes_nothing():
    scores, labels = np.random.default_rng(1).normal(size=(5, 3)), np.array([0, 1, 2, 1, 0])
    once = models.softmax_cross_entropy(scores, labels)
    assert models.softmax_cross_entropy(np.tile(scores, (3, 1)), np.tile(labels, 3)) == pytest.approx(once, rel=1e-14)
    order = np.array([3, 1, 4, 0, 2])
    assert models.softmax_cross_entropy(scores[order], labels[order]) == pytest.approx(once, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_of_any_integer_dtype(dtype):
    scores, labels = np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([1, 0], dtype)
    assert models.softmax_cross_entropy(scores, labels) == pytest.approx(by_hand(scores, labels), rel=1e-14)
    assert models.accuracy(scores, labels) == 1.0


def test_squared_loss_and_l2_by_hand():
    outputs, targets = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 2.0], [3.0, 2.0]])
    assert models.squared_loss(outputs, targets) == 0.5 * (1 + 9) / 2
    np.testing.assert_array_equal(ad.grad(models.squared_loss)(outputs, targets), (outputs - targets) / 2)
    assert models.squared_loss(np.array([1.0, 3.0]), np.array([0.0, 0.0])) == 2.5
    tree = {"w": np.array([3.0, 4.0]), "b": 2.0}
    assert models.l2(tree, 0.5) == 0.25 * 29
    assert ad.grad(lambda t: models.l2(t, 0.5))(tree)["b"] == 1.0


def test_accuracy_counts():
    scores = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [0.0, 5.0, 1.0], [0.0, 1.0, 9.0]])
    assert models.accuracy(scores, np.array([0, 1, 2, 2])) == 0.75


S = np.zeros((2, 3))


@pytest.mark.parametrize("function", [models.softmax_cross_entropy, models.accuracy])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (S, np.array([0, 3]), r"labels: got values from 0 to 3; expected 0 to 2, since scores has 3 columns. Number the classes"),
        (S, np.array([-1, 0]), r"labels: got values from -1 to 0; expected 0 to 2"),
        (S, np.array([0.0, 1.0]), r"labels: got dtype float64; expected whole numbers.*Use labels.astype\(int\)"),
        (S, np.array([0, 1, 2]), r"labels: got shape \(3,\) for scores of shape \(2, 3\).*Examples are rows"),
        (np.zeros(3), np.array([0]), r"labels: got shape \(1,\) for scores of shape \(3,\)"),
        (S, np.eye(3), r"labels: got shape \(3, 3\); expected \(2, 3\), the shape of scores. Reshape"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(function, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        function(scores, labels)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"smoothing: got 1.5; expected a fraction from 0 to 1"):
        models.softmax_cross_entropy(S, np.array([0, 1]), smoothing=1.5)
    with pytest.raises(ValueError, match=r"targets: got shape \(2,\); expected \(2, 1\), the shape of outputs"):
        models.squared_loss(np.zeros((2, 1)), np.zeros(2))
