"""What a parameter is when it is left out: what it is in NumPy, or what the table says."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinyad as ad

MODULES: dict[str, tuple[ModuleType, ModuleType]] = {
    "": (ad, np), "linalg.": (ad.linalg, np.linalg), "fft.": (ad.fft, np.fft),
}  # fmt: skip

OWN: dict[str, dict[str, Any]] = {
    # of activations and convolutions, which NumPy lacks: what the field's libraries take
    "elu": {"alpha": 1.0}, "gelu": {"approximate": True}, "leaky_relu": {"negative_slope": 0.01},
    "softmax": {"axis": -1}, "log_softmax": {"axis": -1}, "topk": {"axis": -1, "largest": True},
    "conv": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    "conv_transpose": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0},
    "avg_pool": {"padding": 0}, "max_pool": {"padding": 0, "dilation": 1},
    # of the array API standard
    "argsort": {"descending": False, "stable": True}, "sort": {"descending": False, "stable": True},
    "std": {"correction": 0.0}, "var": {"correction": 0.0}, "nanstd": {"correction": 0.0}, "nanvar": {"correction": 0.0},
    "vecdot": {"axis": -1}, "cholesky": {"upper": False}, "norm": {"ord": 2},
    "linalg.diagonal": {"axis1": -2, "axis2": -1}, "linalg.trace": {"axis1": -2, "axis2": -1},
    # of SciPy
    "linalg.solve_triangular": {"trans": 0, "lower": False, "unit_diagonal": False},
    # of functions that NumPy writes in another way: its documentation gives these
    "pad": {"constant_values": 0}, "rint": {"decimals": 0}, "linalg.cross": {"axisa": -1, "axisb": -1, "axisc": -1},
}  # fmt: skip
"""Defaults of parameters for which NumPy's signature names none, or another. ``keepdims`` is False everywhere."""


def defaults(function: Any) -> dict[str, Any]:
    """{parameter: default} of what has one other than None; nothing for what has no signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty and p.default is not None}


def functions() -> Iterator[tuple[str, Any, Any]]:
    """Name, ours and NumPy's, of each function of the rooms of primitives that has a default."""
    for prefix, (ours, numpys) in MODULES.items():
        for name in sorted(getattr(ours, "__all__", dir(ours))):
            function = getattr(ours, name, None)
            if getattr(function, "__module__", "").startswith("tinyad.primitives") and defaults(function):
                yield prefix + name, function, getattr(numpys, name, None)


@pytest.mark.parametrize(("name", "ours", "numpys"), list(functions()))
def test_defaults(name: str, ours: Any, numpys: Any) -> None:
    expected = defaults(numpys) | OWN.get(name, {})
    for parameter, value in defaults(ours).items():
        right = False if parameter == "keepdims" else expected.get(parameter, "a row in the table OWN")
        assert value == right and type(value) is type(right), f"{name}: {parameter}={value!r}; expected {right!r}"


def test_the_table_has_no_row_too_many() -> None:
    found = {name: defaults(ours) for name, ours, _ in functions()}
    assert {name: rows.keys() - found.get(name, {}).keys() for name, rows in OWN.items()} == {name: set() for name in OWN}
