"""Rows of functions between layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

import tinyad as ad
from tests.primitives.sampling import Row, anywhere, away_from_zero, elementwise, of, reduction


def composed(name: str, reference: Any, domain: Any = anywhere, **settings: Any) -> Row:
    function = getattr(ad, name)
    return of(name, elementwise(domain), "multiply", function=lambda x: function(x, **settings), reference=reference)


def over_axes(name: str) -> Row:
    def sample(draw: Any) -> Any:
        operands, params = reduction()(draw)
        return operands, {"axis": params["axis"]}

    return of(name, sample, reference=getattr(scipy.special, name))


def elu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(x))


ROWS: list[Row] = [
    composed("silu", lambda x: x / (1 + np.exp(-x))),
    composed("gelu", lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(x.dtype) * (x + 0.044715 * x**3)))),
    composed("elu", lambda x: elu(x, 0.7), away_from_zero, alpha=0.7),
    composed("selu", lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772), away_from_zero),
    composed("leaky_relu", lambda x: np.where(x > 0, x, 0.1 * x), away_from_zero, negative_slope=0.1),
    composed("softsign", lambda x: x / (1 + np.abs(x)), away_from_zero),
    composed("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    composed("log_sigmoid", lambda x: -np.log1p(np.exp(-x))),
    over_axes("softmax"),
    over_axes("log_softmax"),
]
