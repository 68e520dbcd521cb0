"""Every primitive, by the table."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.primitives import derived
from tests.primitives.table import SEEDS, TABLE, Row
from tinyad.kinds import PRIMITIVES

EXAMPLES = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))

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
    assert any(name in row.primitives for row in TABLE), f"primitive {name!r} has no row in tests/primitives/table.py"
