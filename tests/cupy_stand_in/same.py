"""One computation on NumPy's arrays and on stand-ins: the results must be the same numbers, and stay where they were computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.cupy_stand_in.device import REAL, DeviceArray, cupy
from tinyad import tree
from tinyad.backend import is_array
from tinyad.tensor import unwrap

__all__ = ["moved", "same_on_both"]

# Relative to the largest element. On the stand-in the same functions, perhaps in another order; on a GPU other libraries, whose
# factorisations and functions are right to a few hundred units in the last place.
TOLERANCE = 1e-10 if REAL else 1e-12
FLOOR = 1e-3  # elements that are smaller may be all rounding


def moved(values: Any) -> Any:
    """A tree with its NumPy arrays on the device; a tuple of an index keeps its slices."""
    return tree.map(lambda leaf: cupy.asarray(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf, values)


def same_on_both(what: str, compute: Callable[..., Any], *arguments: Any) -> None:
    """Raise unless ``compute`` gives the same on stand-ins of the arguments, all of it stand-ins too."""
    expected, structure = tree.flatten(compute(*arguments))
    found = tree.same_structure("on stand-ins", structure, compute(*moved(arguments)), "on NumPy")
    for path, ours, theirs in zip(tree.paths(tree.unflatten(structure, expected)), found, expected, strict=True):
        where, ours, theirs = f"{what}{path}", unwrap(ours), unwrap(theirs)
        if not is_array(theirs):
            assert type(ours) is type(theirs), f"{where}: a {type(ours).__name__}, with NumPy a {type(theirs).__name__}"
            assert ours == pytest.approx(theirs, rel=TOLERANCE, abs=0), where
            continue
        assert type(ours) is DeviceArray, f"{where}: a {type(ours).__name__}, which is not on the device"
        assert ours.dtype == theirs.dtype, f"{where}: dtype {ours.dtype}, with NumPy {theirs.dtype}"
        assert ours.shape == theirs.shape, f"{where}: shape {ours.shape}, with NumPy {theirs.shape}"
        scale = np.abs(theirs).max(initial=FLOOR) if theirs.dtype.kind in "fc" else 0.0
        tolerance = TOLERANCE * float(np.finfo(theirs.dtype).eps / np.finfo(float).eps) if theirs.dtype.kind in "fc" else 0.0
        np.testing.assert_allclose(ours.get(), theirs, rtol=0, atol=tolerance * scale, err_msg=where)
