"""Every primitive, by the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives import derived
from tests.primitives.sampling import SEEDS, Row, above_one, inside_unit, positive
from tests.primitives.table import TABLE
from tinyad.kinds import PRIMITIVES, Elementwise

EXAMPLES = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))

ELEMENTWISE = [name for name, primitive in PRIMITIVES.items() if isinstance(primitive, Elementwise)]

rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)


@rows
@EXAMPLES
@given(data=st.data())
def test_row(row: Row, data: st.DataObject) -> None:
    operands, params = row.sample(data.draw)
    derived.everything(row, operands, params, data.draw(SEEDS))


def test_names_are_unique() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_every_primitive_has_a_row(name: str) -> None:
    assert any(name in row.primitives for row in TABLE), f"primitive {name!r} has no row in tests/primitives/rows/"


@pytest.mark.parametrize("row", [row for row in TABLE if row.name in ELEMENTWISE], ids=lambda row: row.name)
def test_saved_arrays_survive_the_walk(row: Row) -> None:
    """Large partial derivatives are overwritten by their product: none of them may be an array that is still needed."""
    random = np.random.default_rng(0)
    domain = {"acosh": above_one, "asin": inside_unit, "acos": inside_unit, "atanh": inside_unit}.get(row.name, positive)
    operands = [domain(random.normal(size=5000)) for _ in PRIMITIVES[row.primitives[0]].products]  # type: ignore[attr-defined]
    y, pullback = ad.vjp(row.function, *operands)
    u = np.ones(y.shape)
    first = [g.copy() for g in pullback(u)]
    for once, again in zip(first, pullback(u), strict=True):
        np.testing.assert_array_equal(once, again)
