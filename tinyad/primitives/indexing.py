"""Indexing, and its transpose, which adds into zeros.

Every index NumPy knows works: slices, integers, ``None``, ``...``, integer arrays (repeated indices add up in the
transpose) and boolean masks. On plain arrays the transpose is deferred: ``x[0]``, ``x[1]``, ... in a loop add into one array.
"""

from __future__ import annotations

from typing import Any

from ..backend import Array, is_mutable, module_of
from ..kinds import PRIMITIVES, Deferred, Function, linear
from ..tensor import Tensor, unwrap
from .shaping import permute_dims, trailing

__all__ = ["getitem", "take_slice"]

Index = tuple[Any, ...]


class _Slot:
    """Stands in an index where an array is: the arrays themselves are operands, so that they may be computed."""

    def __repr__(self) -> str:
        return "array"


_SLOT = _Slot()


def _fill(index: Index, arrays: tuple[Any, ...], lead: int) -> Index:
    """The index for an array with ``lead`` more axes in front."""
    given = iter(arrays)
    return (slice(None),) * lead + tuple([next(given) if part is _SLOT else part for part in index])


def _getitem(xp: Any, x: Array, *arrays: Array, rank: int, index: Index) -> Array:
    lead = x.ndim - rank
    if not lead and not arrays:
        return x[index]
    picked = x[_fill(index, arrays, lead)]
    joint = _broadcast_axes(index, arrays) if lead else 0
    return xp.moveaxis(picked, range(joint, joint + lead), range(lead)) if joint else picked


def _add_at(
    xp: Any, g: Array, *arrays: Array, rank: int, index: Index, shape: tuple[int, ...], total: Array | None = None
) -> Array:
    """``total[index] += g``, with repeated indices adding up; ``total`` starts at zero."""
    lead = g.ndim - rank
    if total is None:
        total = xp.zeros(g.shape[:lead] + shape, g.dtype)
    joint = _broadcast_axes(index, arrays) if lead else 0
    if joint:
        g = xp.moveaxis(g, range(lead), range(joint, joint + lead))
    where = _fill(index, arrays, lead)
    if any(array.dtype.kind in "iu" and array.ndim > 0 for array in arrays):
        xp.add.at(total, where, g)
    else:
        total[where] += g
    return total


def _broadcast_axes(index: Index, arrays: tuple[Any, ...]) -> int:
    """How many axes NumPy moves to the front because arrays in the index are separated by slices; 0 if none."""
    advanced = [i for i, part in enumerate(index) if part is _SLOT or isinstance(part, int)]
    if not arrays or advanced[-1] - advanced[0] + 1 == len(advanced):
        return 0
    return max(_rank(array) for array in arrays)


def _rank(array: Array) -> int:
    """How many axes an array in an index puts in place of those it takes: a mask, one for all of its own."""
    return 1 if array.dtype.kind == "b" else array.ndim


def _transpose_of_getitem(g: Any, like: Any, *arrays: Any, rank: int, index: Index) -> Any:
    shape = trailing(like, rank)
    picked = _rank_of_result(shape, index, arrays)
    if type(g) is not Tensor and is_mutable(g):
        xp = module_of(g)
        return Deferred(lambda total: _add_at(xp, g, *arrays, rank=picked, index=index, shape=shape, total=total))
    return _scatter(g, *arrays, rank=picked, index=index, shape=shape)


def _rank_of_result(shape: tuple[int, ...], index: Index, arrays: tuple[Any, ...]) -> int:
    """Number of axes of ``x[index]`` for ``x`` of this shape, without indexing."""
    rank = len(shape) - sum(array.ndim if array.dtype.kind == "b" else 1 for array in arrays)
    for part in index:
        rank += (part is None) - isinstance(part, int)
    return rank + max([_rank(array) for array in arrays], default=0)


# ---- where the arrays of an index differ from example to example: one more array, which counts the examples


def _batched_index(
    index: Index, arrays: tuple[Any, ...], mapped: tuple[bool, ...], size: int, rank: int
) -> tuple[Index, tuple[Any, ...], int]:
    """The index of a batch, its arrays, and how many axes of the result come before those that the arrays make."""
    if any(array.dtype.kind == "b" for array in arrays):
        raise IndexError(
            "getitem: a boolean mask that differs from example to example gives shapes that do. Use ad.where(mask, x, 0)"
        )
    joint = max(array.ndim - m for array, m in zip(arrays, mapped, strict=True))
    xp = module_of(arrays[0])
    aligned = [
        array.reshape((size,) + (1,) * (joint - array.ndim + 1) + array.shape[1:]) if m else array
        for array, m in zip(arrays, mapped, strict=True)
    ]
    examples = xp.arange(size).reshape((size,) + (1,) * joint)
    index = _without_ellipsis(index, rank)
    adjacent = [i for i, part in enumerate(index) if part is _SLOT or isinstance(part, int)]
    separated = adjacent[-1] - adjacent[0] + 1 != len(adjacent)
    before = 0 if separated else sum(not isinstance(part, int) for part in index[: adjacent[0]])
    return (_SLOT, *index), (examples, *aligned), before


def _without_ellipsis(index: Index, rank: int) -> Index:
    if not any(part is Ellipsis for part in index):
        return index
    place = next(i for i, part in enumerate(index) if part is Ellipsis)
    named = sum(part is not None and part is not Ellipsis for part in index)
    return (*index[:place], *[slice(None)] * (rank - named), *index[place + 1 :])


def _batch_of_getitem(operands: Any, mapped: Any, *, rank: int, index: Index) -> Array:
    x, *arrays = operands
    size = next(array.shape[0] for array, m in zip(operands, mapped, strict=True) if m)
    if not mapped[0]:
        x = PRIMITIVES["broadcast_to"].apply(x, rank=rank, shape=(size, *x.shape))
    index, arrays, before = _batched_index(index, tuple(arrays), tuple(mapped[1:]), size, rank)
    joint = arrays[0].ndim - 1
    picked = _getitem_primitive(x, *arrays, rank=rank + 1, index=index)
    # the arrays' axes come first where NumPy finds them separated by slices, which the counting array in front makes them
    first = 1 if joint and _broadcast_axes(index, arrays) else None
    return _moved(picked, 1, 1 + joint, before) if first and before else picked


def _batch_of_scatter(operands: Any, mapped: Any, *, rank: int, index: Index, shape: tuple[int, ...]) -> Array:
    g, *arrays = operands
    size = next(array.shape[0] for array, m in zip(operands, mapped, strict=True) if m)
    if not mapped[0]:
        g = PRIMITIVES["broadcast_to"].apply(g, rank=rank, shape=(size, *g.shape))
    index, arrays, before = _batched_index(index, tuple(arrays), tuple(mapped[1:]), size, len(shape))
    joint = arrays[0].ndim - 1
    if before and joint and _broadcast_axes(index, arrays):
        g = _moved(g, 1 + before, 1 + before + joint, 0)
    return _scatter(g, *arrays, rank=rank + 1, index=index, shape=(size, *shape))


def _moved(x: Array, start: int, stop: int, places: int) -> Array:
    """Axes ``start`` to ``stop`` moved to come after axis 0 and ``places`` others."""
    others = [axis for axis in range(1, x.ndim) if not start <= axis < stop]
    return permute_dims(x, (0, *others[:places], *range(start, stop), *others[places:]))


_getitem_primitive: Function = linear("getitem", _getitem, _transpose_of_getitem, batch=_batch_of_getitem)
_scatter: Function = linear(
    "scatter",
    _add_at,
    lambda g, like, *arrays, rank, index, shape: _getitem_primitive(g, *arrays, rank=len(shape), index=index),
    batch=_batch_of_scatter,
)


def getitem(x: Array, index: Any) -> Array:
    """``x[index]``, for every index NumPy knows.

    Raises:
        IndexError: as NumPy, when the index does not fit the shape of ``x``.
    """
    array = unwrap(x)
    if type(x) is not Tensor and is_mutable(x):
        return x[unwrap(index)]
    parts = [_plain(part, array) for part in (index if isinstance(index, tuple) else (index,))]
    arrays = [part for part in parts if hasattr(part, "dtype")]
    template = tuple([_SLOT if hasattr(part, "dtype") else part for part in parts])
    return _getitem_primitive(x, *arrays, rank=array.ndim, index=template)


def _plain(part: Any, x: Array) -> Any:
    """One entry of an index as NumPy wants it: Tensors and lists as arrays, NumPy integers as int."""
    part = unwrap(part)
    if isinstance(part, (list, tuple)):
        part = module_of(x).asarray(part, dtype=None if part else int)
    if isinstance(part, float):
        raise IndexError(f"index {part!r} is a float; expected integers, slices, ..., None, or arrays of integers or booleans")
    if hasattr(part, "dtype") and part.ndim == 0 and part.dtype.kind in "iu" and is_mutable(part):
        return int(part)
    if hasattr(part, "dtype") and part.dtype.kind not in "iub":
        raise IndexError(f"index of dtype {part.dtype}: expected integers or booleans; convert with .astype(int)")
    if part is True or part is False:
        return module_of(x).asarray(part)
    return part


def take_slice(x: Array, axis: int, start: int, stop: int) -> Array:
    """``x[..., start:stop, ...]`` along an axis counted from the end."""
    return getitem(x, (..., slice(start, stop), *[slice(None)] * (-axis - 1)))
