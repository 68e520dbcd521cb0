"""Learning rates as functions of the step."""

import math
from itertools import pairwise

import numpy as np
import pytest

from tinyad import optim


def test_cosine_rises_linearly_falls_along_half_a_cosine_and_stays():
    rate = optim.cosine(0.8, steps=110, warmup=10, final=0.2)
    np.testing.assert_allclose([rate(k) for k in range(10)], 0.8 * np.arange(1, 11) / 10, rtol=1e-15)
    assert rate(10) == 0.8
    assert rate(60) == pytest.approx(0.5)
    assert rate(85) == pytest.approx(0.2 + 0.6 * (1 + math.cos(0.75 * math.pi)) / 2)
    assert rate(110) == pytest.approx(0.2)
    assert rate(10**9) == pytest.approx(0.2)


def test_cosine_falls_monotonically_after_the_rise():
    rates = [optim.cosine(1.0, steps=50, warmup=5)(k) for k in range(5, 60)]
    assert all(later <= earlier for earlier, later in pairwise(rates))


def test_a_schedule_gives_python_numbers_whatever_it_is_made_of():
    assert type(optim.constant(np.float64(0.1))(3)) is float
    assert type(optim.cosine(np.float64(0.1), steps=10)(3)) is float


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.constant(-0.1), "lr: got -0.1; expected a finite number, 0 or more"),
        (lambda: optim.constant(float("nan")), "lr: got nan; expected a finite number"),
        (lambda: optim.constant("fast"), "lr: got 'fast'; expected a finite number"),
        (lambda: optim.cosine(-1.0, 10), "peak: got -1.0; expected a finite number, 0 or more"),
        (lambda: optim.cosine(1.0, 10, final=-1), "final: got -1; expected a finite number, 0 or more"),
        (lambda: optim.cosine(1.0, 10, warmup=10), "warmup: got 10 of 10 steps; expected 0 <= warmup < steps"),
        (lambda: optim.cosine(1.0, 0), "warmup: got 0 of 0 steps; expected 0 <= warmup < steps"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value).startswith(message)
    assert "Give" in str(caught.value) or "Take" in str(caught.value), "the message names no remedy"
