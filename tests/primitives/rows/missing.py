"""Rows of reductions that leave out NaN, some of which the function makes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.rows.cumulative import some_zeros
from tests.primitives.sampling import Draw, Row, distinct, of, reduction, values, with_axis


def holes(sample: Any, enough: bool = False) -> Any:
    """A mask of what becomes NaN; with ``enough`` the first element of every row and column is left."""

    def draw_holes(draw: Draw) -> Any:
        (x,), params = sample(draw)
        missing = values(draw, x.shape) > 0.5
        if enough:
            missing[..., :1] = missing[:1] = False
        return (x,), {**params, "missing": missing}

    return draw_holes


def tables(draw: Draw) -> Any:
    """Vectors and matrices, reduced along at least one axis."""
    (x,), params = reduction(distinct, hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=4))(draw)
    return (x,), {**params, "axis": None if params["axis"] == () else params["axis"]}


def leaving_out(name: str, sample: Any, *primitives: str, enough: bool = False, **settings: Any) -> Row:
    ours, theirs = getattr(ad, name), getattr(np, name)
    return of(
        name, holes(sample, enough), *primitives,
        function=lambda x, missing, **params: ours(ad.where(missing, np.nan, x), **params, **settings),
        reference=lambda x, missing, **params: theirs(np.where(missing, np.nan, x), **params, **settings),
    )  # fmt: skip


def spread(draw: Draw) -> Any:
    """All elements, so that there are several."""
    return (values(draw, (3, 3), distinct),), {"keepdims": False}


ROWS: list[Row] = [
    leaving_out("nansum", reduction(), "sum"),
    leaving_out("nanprod", reduction(some_zeros), "prod"),
    leaving_out("nanmean", tables, "sum", enough=True),
    leaving_out("nanmax", tables, "max", enough=True),
    leaving_out("nanmin", tables, "min", enough=True),
    leaving_out("nanvar", spread, "sum", enough=True, ddof=1),
    leaving_out("nanstd", spread, "sum", enough=True),
    leaving_out("nancumsum", with_axis(), "cumsum"),
    leaving_out("nancumprod", with_axis(some_zeros), "cumprod"),
    leaving_out("nanmedian", tables, "take_along_axis", enough=True),
    leaving_out("nanquantile", tables, "take_along_axis", enough=True, q=[0.0, 0.3, 0.9]),
    leaving_out("nanpercentile", tables, "take_along_axis", enough=True, q=40.0),
]
