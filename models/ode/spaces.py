"""Sums of states and slopes, which are trees of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyad import tree
from tinyad.backend import module_of
from tinyad.tensor import Tensor, unwrap

__all__ = ["add", "add_some", "combine", "scale", "zeros_like"]


def combine(y: Any, h: Any, weights: Sequence[float], slopes: Sequence[Any]) -> Any:
    """``y + h (weights[0] slopes[0] + ...)``, leaf by leaf; what has weight 0 is left out."""
    used = [(w, k) for w, k in zip(weights, slopes, strict=False) if w != 0]
    if not used:
        return y
    return tree.map(lambda leaf, *ks: leaf + h * _weighted([w for w, _ in used], ks), y, *[k for _, k in used])


def _weighted(weights: Sequence[float], slopes: Sequence[Any]) -> Any:
    terms = [k if w == 1 else w * k for w, k in zip(weights, slopes, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def scale(factor: Any, x: Any) -> Any:
    """``factor * x``, leaf by leaf."""
    return tree.map(lambda leaf: factor * leaf, x)


def add(*trees: Any) -> Any:
    """The sum of trees of one structure."""
    return tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *trees)


def add_some(total: Any, more: Any) -> Any:
    """The sum of two trees of cotangents, of which one or both may be missing."""
    if total is None or more is None:
        return more if total is None else total
    return add(total, more)


def zeros_like(x: Any) -> Any:
    """Zeros in the structure, shapes and dtypes of a tree."""

    def zeros(leaf: Any) -> Any:
        array = unwrap(leaf)
        return 0.0 * array if not hasattr(array, "dtype") else module_of(array).zeros_like(array)

    return tree.map(zeros, x) if not isinstance(x, Tensor) else zeros(x)
