"""Rows of special functions."""

from __future__ import annotations

import scipy.special

from tests.primitives.sampling import Row, anywhere, simple

ROWS: list[Row] = [
    simple("erf", anywhere, reference=scipy.special.erf),
]  # fmt: skip
