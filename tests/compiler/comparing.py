"""What it means that a replay is right: same tree, shapes and dtypes, numbers equal up to rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyad import tree
from tinyad.tensor import unwrap

Array = np.ndarray[Any, Any]

TOLERANCE = {np.dtype(np.float64): 1e-13, np.dtype(np.float32): 2e-5, np.dtype(np.complex128): 1e-13}
"""Relative to the largest element, or to 1."""


def same(found: Any, expected: Any, what: str = "result", scale: float = 1.0) -> None:
    """Two trees are equal: in structure, shapes and dtypes exactly, in floating-point numbers up to rounding."""
    ours, structure = tree.flatten(found)
    theirs, wanted = tree.flatten(expected)
    assert structure == wanted, f"{what}: structure {structure}, expected {wanted}"
    for path, x, y in zip(tree.paths(expected), ours, theirs, strict=True):
        _same_array(np.asarray(unwrap(x)), np.asarray(unwrap(y)), f"{what}{path}", scale)


def _same_array(x: Array, y: Array, what: str, scale: float) -> None:
    assert x.shape == y.shape, f"{what}: shape {x.shape}, expected {y.shape}"
    assert x.dtype == y.dtype, f"{what}: dtype {x.dtype}, expected {y.dtype}"
    if y.dtype not in TOLERANCE:
        np.testing.assert_array_equal(x, y, err_msg=what)
        return
    finite = np.isfinite(y)
    np.testing.assert_array_equal(x[~finite], y[~finite], err_msg=what)
    largest = np.abs(y[finite]).max(initial=scale)
    gap = np.abs(x[finite] - y[finite]).max(initial=0.0)
    assert gap <= TOLERANCE[y.dtype] * largest, f"{what}: differs by {gap:.2e} of {largest:.2e}\nreplay\n{x}\nexpected\n{y}"


def copied(values: Any) -> Any:
    """A tree with arrays of its own."""
    return tree.map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, values)


def unchanged(values: Any, copies: Any, what: str) -> None:
    """A tree is bit for bit what it was."""
    for x, y in zip(tree.leaves(values), tree.leaves(copies), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=f"{what} has changed")


def belongs_to_the_caller(result: Any, args: Any, what: str) -> None:
    """Results may be written to, and neither arguments nor other results change with them."""
    arrays = [x for x in map(unwrap, tree.leaves(result)) if isinstance(x, np.ndarray)]
    taken = [x for x in map(unwrap, tree.leaves(args)) if isinstance(x, np.ndarray)]
    for x in arrays:
        assert x.flags.writeable, f"{what}: a result is read-only"
        assert not any(np.may_share_memory(x, y) for y in taken), f"{what}: a result shares memory with something else"
        taken.append(x)


def replays(
    compiled: Callable[..., Any], f: Callable[..., Any], calls: list[tuple[Any, ...]], what: str = "result", scale: float = 1.0
) -> None:
    """A compiled function gives what the function gives, call after call; no call changes its arguments or earlier results."""
    earlier: list[tuple[Any, Any]] = []
    for args in calls:
        given = copied(args)
        result = compiled(*args)
        unchanged(args, given, f"{what}: an argument")
        same(result, f(*given), what, scale)
        belongs_to_the_caller(result, args, what)
        for before, then in earlier:
            unchanged(before, then, f"{what}: an earlier result")
        earlier.append((result, copied(result)))
