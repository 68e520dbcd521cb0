"""The table of primitives: a row for each, with a sampler of operands and parameters and the domain of its values.

`tests/primitives/test_table.py` derives the tests from it. A primitive that no row reaches fails the suite. The rows stand in
`tests/primitives/rows/`, a file a subject.
"""

from __future__ import annotations

from tests.primitives.rows import (
    activations,
    arranging,
    complex,
    convolution,
    cumulative,
    differences,
    elementwise,
    fft,
    indexing,
    linalg,
    missing,
    polynomials,
    products,
    reductions,
    shaping,
    sorting,
    special,
    statistics,
    taking,
)
from tests.primitives.sampling import Row

SUBJECTS = [
    elementwise, reductions, shaping, indexing, products, linalg, special, convolution,
    activations, cumulative, statistics, missing, differences, complex,
    arranging, taking, sorting, fft, polynomials,
]  # fmt: skip

TABLE: list[Row] = [row for subject in SUBJECTS for row in subject.ROWS]
