"""The lower and the upper triangle of matrices in the last two axes."""

from __future__ import annotations

from ..backend import Array
from ..kinds import Function, linear
from .shaping import as_array, shape_of

__all__ = ["tril", "triu"]

_tril: Function = linear("tril", "tril", lambda g, like, k: _tril(g, k=k))
_triu: Function = linear("triu", "triu", lambda g, like, k: _triu(g, k=k))


def tril(x: Array, k: int = 0) -> Array:
    """``x`` of shape (..., m, n) with zeros above the diagonal number ``k``: 0 is the main one, 1 the next above it.

    Raises:
        ValueError: if ``x`` has fewer than two axes.

    >>> import numpy as np, tinyad as ad
    >>> ad.tril(np.ones((2, 3)))
    array([[1., 0., 0.],
           [1., 1., 0.]])
    """
    return _triangle("tril", _tril, x, k)


def triu(x: Array, k: int = 0) -> Array:
    """``x`` of shape (..., m, n) with zeros below the diagonal number ``k``; see `tril`."""
    return _triangle("triu", _triu, x, k)


def _triangle(name: str, primitive: Function, x: Array, k: int) -> Array:
    if len(shape_of(x)) < 2:
        raise ValueError(f"{name}: x has shape {shape_of(x)}; expected matrices, (..., m, n)")
    return primitive(as_array(x), k=int(k))
