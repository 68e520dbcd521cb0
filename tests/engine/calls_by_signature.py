"""Calls of NumPy's reductions and their like on Tensors, with NumPy's order of arguments, and the same with tinyad's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyad as ad

Array = np.ndarray[Any, Any]

A = np.random.default_rng(0).normal(size=(2, 3))
Z = A + 1j * A[::-1]
HOLES = np.where(A > 1.0, np.nan, A)
MASK = A < 0.5

# The function, what follows the array in NumPy's order, what follows it with tinyad's names, and the array.
SAME: list[tuple[str, tuple[Any, ...], dict[str, Any], Array]] = [
    ("sum", (1, np.float32, None, True, 2.0), {"axis": 1, "dtype": np.float32, "keepdims": True, "initial": 2.0}, A),
    ("prod", (1, None, None, True, 2.0, MASK), {"axis": 1, "keepdims": True, "initial": 2.0, "where": MASK}, A),
    ("mean", (0, None, None, True), {"axis": 0, "keepdims": True}, A),
    ("max", (1, None, True, 0.1, MASK), {"axis": 1, "keepdims": True, "initial": 0.1, "where": MASK}, A),
    ("min", (1, None, False, 0.1), {"axis": 1, "initial": 0.1}, A),
    ("amax", (0,), {"axis": 0}, A),
    ("amin", (0,), {"axis": 0}, A),
    ("ptp", (1, None, True), {"axis": 1, "keepdims": True}, A),
    ("var", (1, None, None, 1, True), {"axis": 1, "correction": 1, "keepdims": True}, A),
    ("std", (1, None, None, 1), {"axis": 1, "correction": 1}, A),
    ("cumsum", (1, np.float32), {"axis": 1, "dtype": np.float32}, A),
    ("cumprod", (), {}, A),
    ("average", (1, [1.0, 2.0, 3.0]), {"axis": 1, "weights": [1.0, 2.0, 3.0]}, A),
    ("median", (1, None, True, True), {"axis": 1, "keepdims": True}, A),
    ("quantile", ([0.2, 0.7], 1, None, False, "hazen", True), {"q": [0.2, 0.7], "axis": 1, "method": "hazen", "keepdims": True}, A),
    ("percentile", (30.0,), {"q": 30.0}, A),
    ("nansum", (0,), {"axis": 0}, HOLES),
    ("nanprod", (0,), {"axis": 0}, HOLES),
    ("nanmean", (1,), {"axis": 1}, HOLES),
    ("nanmax", (1,), {"axis": 1}, HOLES),
    ("nanmin", (1,), {"axis": 1}, HOLES),
    ("nanvar", (1, None, None, 1), {"axis": 1, "correction": 1}, HOLES),
    ("nanstd", (1,), {"axis": 1}, HOLES),
    ("nancumsum", (0,), {"axis": 0}, HOLES),
    ("nancumprod", (0,), {"axis": 0}, HOLES),
    ("nanmedian", (1,), {"axis": 1}, HOLES),
    ("nanquantile", (0.3, 1), {"q": 0.3, "axis": 1}, HOLES),
    ("nanpercentile", (30.0, 1), {"q": 30.0, "axis": 1}, HOLES),
    ("nan_to_num", (True, 7.0), {"nan": 7.0}, HOLES),
    ("diff", (1, 0, 3.0), {"n": 1, "axis": 0, "prepend": 3.0}, A),
    ("ediff1d", (1.0, 2.0), {"to_end": 1.0, "to_begin": 2.0}, A),
    ("trapezoid", (None, 0.5, 0), {"dx": 0.5, "axis": 0}, A),
    ("gradient", (0.5,), {"axis": 1}, A[1]),
    ("interp", ([-2.0, 0.0, 2.0], [1.0, 2.0, 5.0]), {"xp": [-2.0, 0.0, 2.0], "fp": [1.0, 2.0, 5.0]}, A),
    ("unwrap", (None, 0), {"axis": 0}, 4.0 * A),
    ("cov", (None, False), {"rowvar": False}, A),
    ("corrcoef", (None, False), {"rowvar": False}, np.concatenate([A, A**2])),
    ("round", (1,), {"decimals": 1}, A),
    ("around", (1,), {"decimals": 1}, A),
    ("fix", (), {}, A),
    ("sinc", (), {}, A),
    ("isposinf", (), {}, A),
    ("isneginf", (), {}, A),
    ("isreal", (), {}, Z),
    ("iscomplex", (), {}, Z),
    ("real", (), {}, Z),
    ("imag", (), {}, Z),
    ("angle", (True,), {"deg": True}, Z),
]  # fmt: skip
BY_KEYWORD: list[tuple[str, dict[str, Any], Array]] = [  # what NumPy takes by keyword alone, or only some versions have
    ("mean", {"where": MASK}, A),
    ("sum", {"where": MASK}, A),
    ("var", {"where": MASK, "ddof": 1}, A),
    ("std", {"correction": 1}, A),
    ("cumulative_sum", {"axis": 1, "include_initial": True}, A),
    ("cumulative_prod", {"axis": 1, "include_initial": True}, A),
    ("gradient", {"axis": 1, "edge_order": 2}, A),
]


def of_first(module: Any, name: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Callable[[Any], Any]:
    return lambda x: getattr(module, name)(x, *args, **(kwargs or {}))


def _ours(name: str, kwargs: dict[str, Any]) -> Callable[[Any], Any]:
    if name == "gradient" and "edge_order" not in kwargs:
        return lambda x: ad.gradient(x, 0.5)
    return of_first(ad, name, (), kwargs)


CALLS_BY_SIGNATURE: list[tuple[Any, str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = [
    *[
        (getattr(np, name), "in NumPy's order", of_first(np, name, args), _ours(name, kwargs), (x,))
        for name, args, kwargs, x in SAME
    ],
    *[
        (getattr(np, name), f"with {', '.join(kwargs)}", of_first(np, name, (), kwargs), of_first(ad, name, (), kwargs), (x,))
        for name, kwargs, x in BY_KEYWORD
        if hasattr(np, name)
    ],
    (np.i0, "", lambda x: np.i0(x), lambda x: ad.special.i0(x), (A,)),
    (np.cov, "of two", lambda x: np.cov(x, A[::-1]), lambda x: ad.cov(x, A[::-1]), (A,)),
]  # fmt: skip
