"""Whole Jacobians of whole Jacobians, in every order of the modes: leading axes upon leading axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives.sampling import Row
from tests.primitives.table import TABLE

MODES = ("reverse", "forward")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_two_jacobians_agree_in_every_order(row: Row, data: st.DataObject) -> None:
    operands, params = row.sample(data.draw)
    weights = [1.0 + 0.1 * np.arange(x.size).reshape(x.shape) for x in operands]

    def f(x: Any) -> Any:  # curved in x whatever the primitive, and through every operand at once
        return row.function(*[o * (1.0 + 0.01 * ad.sum(x * x) * w) for o, w in zip(operands, weights, strict=True)], **params)

    x = np.array([0.3, -0.5])
    results = [ad.jacobian(ad.jacobian(f, mode=inner), mode=outer)(x) for inner in MODES for outer in MODES]
    scale = 1e-3 + max(np.abs(result).max(initial=0.0) for result in results)
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=0, atol=1e-11 * scale)


def test_a_scalar_operand_under_a_long_vector() -> None:
    matrix = np.random.default_rng(0).normal(size=(64, 64))
    w = matrix[0]
    by_c, by_w = ad.jacobian(lambda c, w: matrix @ (c * w), argnums=(0, 1))(2.0, w)
    np.testing.assert_allclose(by_c, matrix @ w, atol=1e-13)
    np.testing.assert_allclose(by_w, 2.0 * matrix, atol=1e-13)


def test_a_linear_term_beside_a_curved_one() -> None:
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(ad.hessian(lambda x: x[0] + x[1] * x[2])(x), [[0, 0, 0], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(ad.hvp(lambda x: x[0] + ad.sum(x * x), x, x), 2 * x)
