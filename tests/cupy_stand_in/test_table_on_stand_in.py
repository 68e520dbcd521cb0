"""Every row of the table of primitives on stand-ins of CuPy's arrays: the same derivatives as on NumPy's, on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.cupy_stand_in.same import same_on_both
from tests.primitives.sampling import SEEDS, Row
from tests.primitives.table import TABLE
from tinyad import tree

# without shrinking: the rows' own tests find the smallest operands
EXAMPLES = settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def like(random: np.random.Generator, values: Any) -> Any:
    """Random numbers in the shapes and dtypes of a tree of NumPy arrays."""
    return tree.map(lambda x: random.normal(size=np.shape(x)).astype(np.asarray(x).dtype), values)


def first(row: Row, operands: Any, params: Any, cotangent: Any, tangents: Any) -> dict[str, Any]:
    """The row's value and its first derivatives."""

    def f(*xs: Any) -> Any:
        return row.function(*xs, **params)

    return {"value": f(*operands), "vjp": ad.vjp(f, *operands)[1](cotangent), "jvp": ad.jvp(f, operands, tangents)}


def further(row: Row, operands: Any, params: Any, cotangent: Any, tangents: Any, stacked: Any) -> dict[str, Any]:
    """Its derivatives by the other walks."""

    def f(*xs: Any) -> Any:
        return row.function(*xs, **params)

    def pulled(*xs: Any) -> Any:
        return sum(ad.sum(g * d) for g, d in zip(ad.vjp(f, *xs)[1](cotangent), tangents, strict=True))

    everywhere = tuple(range(len(operands)))
    return {
        "Jacobian by rows": ad.jacobian(f, everywhere, "reverse")(*operands),
        "Jacobian by columns": ad.jacobian(f, everywhere, "forward")(*operands),
        "second derivatives by the reverse walk": ad.grad(pulled, everywhere)(*operands),
        "second derivatives by the forward walk": ad.jvp(pulled, operands, tangents)[1],
        "vmap": ad.vmap(f)(*stacked),
        "vmap of the vjp": ad.vmap(lambda *xs: ad.vjp(f, *xs)[1](cotangent))(*stacked),
    }


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@EXAMPLES
@given(data=st.data())
def test_row(row: Row, data: st.DataObject) -> None:
    operands, params = row.sample(data.draw)
    random = np.random.default_rng(data.draw(SEEDS))
    for dtype in (np.float32, np.float64):
        arrays = tuple(x.astype(dtype) for x in operands)
        given = (arrays, params, like(random, row.function(*arrays, **params)), arrays)
        same_on_both(f"{row.name}, {dtype.__name__}: ", lambda *values: first(row, *values), *given)
    stacked = tuple(np.stack([x, x]) for x in arrays)
    same_on_both(f"{row.name}: ", lambda *values: further(row, *values), *given, stacked)
