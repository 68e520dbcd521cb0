"""Indexing, and its transpose, which adds into zeros.

Every index NumPy knows works: slices, integers, ``None``, ``...``, integer arrays (repeated indices add up in the
transpose) and boolean masks. On plain arrays the transpose is deferred: ``x[0]``, ``x[1]``, ... in a loop add into one array.
"""

from __future__ import annotations

from typing import Any

from ..backend import Array, module_of
from ..kinds import Deferred, Function, linear
from ..tensor import Tensor, unwrap
from .shaping import trailing

__all__ = ["getitem", "take_slice"]

Index = tuple[Any, ...]


def _getitem(xp: Any, x: Array, *, rank: int, index: Index) -> Array:
    lead = x.ndim - rank
    if not lead:
        return x[index]
    picked = x[(slice(None),) * lead + index]
    joint = _broadcast_axes(index)
    return xp.moveaxis(picked, range(joint, joint + lead), range(lead)) if joint else picked


def _add_at(xp: Any, g: Array, *, rank: int, index: Index, shape: tuple[int, ...], total: Array | None = None) -> Array:
    """``total[index] += g``, with repeated indices adding up; ``total`` starts at zero."""
    lead = g.ndim - rank
    if total is None:
        total = xp.zeros(g.shape[:lead] + shape, g.dtype)
    joint = _broadcast_axes(index) if lead else 0
    if joint:
        g = xp.moveaxis(g, range(lead), range(joint, joint + lead))
    where = (slice(None),) * lead + index
    if any(_is_integer_array(part) for part in index):
        xp.add.at(total, where, g)
    else:
        total[where] += g
    return total


def _is_integer_array(part: Any) -> bool:
    return hasattr(part, "dtype") and part.dtype.kind in "iu" and part.ndim > 0


def _broadcast_axes(index: Index) -> int:
    """How many axes NumPy moves to the front because arrays in the index are separated by slices; 0 if none."""
    arrays = [i for i, part in enumerate(index) if hasattr(part, "dtype")]
    if not arrays:
        return 0
    advanced = [i for i, part in enumerate(index) if hasattr(part, "dtype") or isinstance(part, int)]
    if advanced[-1] - advanced[0] + 1 == len(advanced):
        return 0
    return max(1 if index[i].dtype.kind == "b" else index[i].ndim for i in arrays)


def _transpose_of_getitem(g: Any, like: Any, *, rank: int, index: Index) -> Any:
    shape = trailing(like, rank)
    picked = _rank_of_result(shape, index)
    if type(g) is Tensor:
        return _scatter(g, rank=picked, index=index, shape=shape)
    xp = module_of(g)
    return Deferred(lambda total: _add_at(xp, g, rank=picked, index=index, shape=shape, total=total))


def _rank_of_result(shape: tuple[int, ...], index: Index) -> int:
    """Number of axes of ``x[index]`` for ``x`` of this shape, without indexing."""
    rank = len(shape)
    joint = -1
    for part in index:
        if part is None:
            rank += 1
        elif isinstance(part, int):
            rank -= 1
        elif hasattr(part, "dtype"):
            rank -= part.ndim if part.dtype.kind == "b" else 1
            joint = max(joint, 1 if part.dtype.kind == "b" else part.ndim)
    return rank + max(joint, 0)


_getitem_primitive: Function = linear("getitem", _getitem, _transpose_of_getitem)
_scatter: Function = linear(
    "scatter", _add_at, lambda g, like, rank, index, shape: _getitem_primitive(g, rank=len(shape), index=index)
)


def getitem(x: Array, index: Any) -> Array:
    """``x[index]``, for every index NumPy knows.

    Raises:
        IndexError: as NumPy, when the index does not fit the shape of ``x``.
    """
    if type(x) is not Tensor:
        return x[unwrap(index)]
    parts = index if isinstance(index, tuple) else (index,)
    return _getitem_primitive(x, rank=x.array.ndim, index=tuple([_plain(part, x) for part in parts]))


def _plain(part: Any, x: Tensor) -> Any:
    """One entry of an index as NumPy wants it: Tensors and lists as arrays, NumPy integers as int."""
    part = unwrap(part)
    if isinstance(part, (list, tuple)):
        part = module_of(x.array).asarray(part, dtype=None if part else int)
    if isinstance(part, float):
        raise IndexError(f"index {part!r} is a float; expected integers, slices, ..., None, or arrays of integers or booleans")
    if hasattr(part, "dtype") and part.ndim == 0 and part.dtype.kind in "iu":
        return int(part)
    if hasattr(part, "dtype") and part.dtype.kind not in "iub":
        raise IndexError(f"index of dtype {part.dtype}: expected integers or booleans; convert with .astype(int)")
    if part is True or part is False:
        return module_of(x.array).asarray(part)
    return part


def take_slice(x: Array, axis: int, start: int, stop: int) -> Array:
    """``x[..., start:stop, ...]`` along an axis counted from the end."""
    return getitem(x, (..., slice(start, stop), *[slice(None)] * (-axis - 1)))
