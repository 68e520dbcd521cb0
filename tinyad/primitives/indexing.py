"""Indexing, and its transpose, which adds into zeros.

Every index NumPy knows works: slices, integers, ``None``, ``...``, integer arrays (repeated indices add up in the
transpose) and boolean masks. On plain arrays the transpose is deferred: ``x[0]``, ``x[1]``, ... in a loop add into one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Array, is_array, is_mutable, module_of
from ..kinds import PRIMITIVES, Deferred, Function, behind_the_examples, linear
from ..tensor import Tensor, unwrap
from .shaping import permute_dims, trailing

__all__ = ["broadcast_axes", "examples_in_front", "fill", "getitem", "getitem_primitive", "parsed", "scatter", "take_slice"]

Index = tuple[Any, ...]


class _Slot:
    """Stands in an index where an array is: the arrays themselves are operands, so that they may be computed."""

    def __repr__(self) -> str:
        return "array"


_SLOT = _Slot()


def fill(index: Index, arrays: tuple[Any, ...], lead: int) -> Index:
    """The index for an array with ``lead`` more axes in front."""
    given = iter(arrays)
    return (slice(None),) * lead + tuple([next(given) if part is _SLOT else part for part in index])


def _getitem(xp: Any, x: Array, *arrays: Array, rank: int, index: Index) -> Array:
    lead = x.ndim - rank
    if not lead and not arrays:
        return x[index]
    picked = x[fill(index, arrays, lead)]
    joint = broadcast_axes(index, arrays) if lead else 0
    return xp.moveaxis(picked, range(joint, joint + lead), range(lead)) if joint else picked


def _add_at(
    xp: Any, g: Array, *arrays: Array, rank: int, index: Index, shape: tuple[int, ...], total: Array | None = None
) -> Array:
    """``total[index] += g``, with repeated indices adding up; ``total`` starts at zero."""
    lead = g.ndim - rank
    if total is None:
        total = xp.zeros(g.shape[:lead] + shape, g.dtype)
    joint = broadcast_axes(index, arrays) if lead else 0
    if joint:
        g = xp.moveaxis(g, range(lead), range(joint, joint + lead))
    where = fill(index, arrays, lead)
    if any(array.dtype.kind in "iu" and array.ndim > 0 for array in arrays):
        halves = [(total.real, g.real), (total.imag, g.imag)] if g.dtype.kind == "c" else [(total, g)]
        for half, added in halves:  # CuPy adds no complex numbers where indices are repeated
            xp.add.at(half, where, added)
    else:
        total[where] += g
    return total


def broadcast_axes(index: Index, arrays: tuple[Any, ...]) -> int:
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
    if type(g) is not Tensor and all(is_mutable(array) for array in (g, *arrays)):
        xp = module_of(g)

        def add_to(total: Any) -> Any:
            start = total if total is not None and is_mutable(total) else None
            added = _add_at(xp, g, *arrays, rank=picked, index=index, shape=shape, total=start)
            return added if start is not None or total is None else total + added

        return Deferred(add_to)
    return scatter(g, *arrays, rank=picked, index=index, shape=shape)


def _rank_of_result(shape: tuple[int, ...], index: Index, arrays: tuple[Any, ...]) -> int:
    """Number of axes of ``x[index]`` for ``x`` of this shape, without indexing."""
    rank = len(shape) - sum(array.ndim if array.dtype.kind == "b" else 1 for array in arrays)
    for part in index:
        rank += (part is None) - isinstance(part, int)
    return rank + max([_rank(array) for array in arrays], default=0)


# ---- where the arrays of an index differ from example to example


def _axes_before(index: Index, rank: int) -> int:
    """How many axes of ``x[index]`` come before those that the arrays make, for ``x`` with ``rank`` axes and no masks."""
    advanced = [i for i, part in enumerate(index) if part is _SLOT or isinstance(part, int)]
    if advanced[-1] - advanced[0] + 1 != len(advanced):
        return 0
    named = sum(part is not None and part is not Ellipsis for part in index)
    return sum(rank - named if part is Ellipsis else 1 for part in index[: advanced[0]])


def _aligned(arrays: tuple[Any, ...], mapped: tuple[bool, ...]) -> list[Any]:
    return behind_the_examples(arrays, [array.ndim - m for array, m in zip(arrays, mapped, strict=True)], mapped)


def _counted(
    index: Index, arrays: tuple[Any, ...], mapped: tuple[bool, ...], size: int, lead: int
) -> tuple[Index, list[Any], int]:
    """The index that picks from all examples by one more array, which counts them; its arrays, and how many axes they make.

    NumPy puts these axes first, because the first array stands first.
    """
    aligned = _aligned(arrays, mapped)
    joint = max(array.ndim - m for array, m in zip(aligned, mapped, strict=True))
    examples = module_of(unwrap(arrays[0])).arange(size).reshape((size,) + (1,) * joint)
    return (_SLOT, *[slice(None)] * lead, *index), [examples, *aligned], joint


def examples_in_front(
    g: Array, arrays: Sequence[Array], mapped: Sequence[bool], rank: int, rank_of_whole: int, index: Index
) -> tuple[Array, Index, list[Array], int]:
    """What belongs to ``x[index]`` for many examples whose arrays in the index differ: itself, in the order of axes that the
    index with one more array has; that index; its arrays; and how many axes they make beside that of the examples.

    Args:
        g: of shape examples, leading axes, and ``rank`` axes of ``x[index]``.
        rank_of_whole: the number of axes of ``x`` for one example.
    """
    lead = g.ndim - 1 - rank
    place = 1 + lead + _axes_before(index, rank_of_whole)
    index, found, joint = _counted(index, tuple(arrays), tuple(mapped), g.shape[0], lead)
    if joint and place > 1:
        g = permute_dims(g, (0, *range(place, place + joint), *range(1, place), *range(place + joint, g.ndim)))
    return g, index, found, joint


def _batch_of_getitem(operands: Any, mapped: Any, *, rank: int, index: Index) -> Array:
    x, *arrays = operands
    lead = x.ndim - mapped[0] - rank
    place = lead + _axes_before(index, rank)
    if not mapped[0]:  # one array for all examples, as a table of which each takes its rows
        picked = getitem_primitive(x, *_aligned(tuple(arrays), mapped[1:]), rank=rank, index=index)
        return permute_dims(picked, (place, *[axis for axis in range(picked.ndim) if axis != place]))
    index, arrays, joint = _counted(index, tuple(arrays), mapped[1:], x.shape[0], lead)
    picked = getitem_primitive(x, *arrays, rank=x.ndim, index=index)
    if not joint or not place:
        return picked
    rest = range(1 + joint, picked.ndim)
    return permute_dims(picked, (0, *rest[:place], *range(1, 1 + joint), *rest[place:]))


def _batch_of_scatter(operands: Any, mapped: Any, *, rank: int, index: Index, shape: tuple[int, ...]) -> Array:
    g, *arrays = operands
    size = next(array.shape[0] for array, m in zip(operands, mapped, strict=True) if m)
    if not mapped[0]:
        g = PRIMITIVES["broadcast_to"].apply(g, rank=g.ndim, shape=(size, *g.shape))
    g, index, arrays, joint = examples_in_front(g, arrays, mapped[1:], rank, len(shape), index)
    lead = g.shape[1 + joint : len(g.shape) - (rank - joint)]
    return scatter(g, *arrays, rank=g.ndim, index=index, shape=(size, *lead, *shape))


getitem_primitive: Function = linear("getitem", _getitem, _transpose_of_getitem, batch=_batch_of_getitem)
scatter: Function = linear(
    "scatter",
    _add_at,
    lambda g, like, *arrays, rank, index, shape: getitem_primitive(g, *arrays, rank=len(shape), index=index),
    batch=_batch_of_scatter,
)


def getitem(x: Array, index: Any) -> Array:
    """``x[index]``, for every index NumPy knows.

    Raises:
        IndexError: as NumPy, when the index does not fit the shape of ``x``.
    """
    if type(x) is not Tensor and is_mutable(x):
        return x[unwrap(index)]
    template, arrays = parsed(unwrap(x), index)
    return getitem_primitive(x, *arrays, rank=unwrap(x).ndim, index=template)


def parsed(array: Array, index: Any) -> tuple[Index, list[Array]]:
    """An index with slots in place of its arrays, and these arrays."""
    parts = [_plain(part, array) for part in (index if isinstance(index, tuple) else (index,))]
    if any(hasattr(part, "dtype") and not is_mutable(part) for part in parts):
        parts = [entry for part in parts for entry in _without_mask(part)]  # only integers may differ from example to example
    arrays = [part for part in parts if hasattr(part, "dtype")]
    return tuple([_SLOT if hasattr(part, "dtype") else part for part in parts]), arrays


def _plain(part: Any, x: Array) -> Any:
    """One entry of an index as NumPy wants it: Tensors and lists as arrays, NumPy integers as int."""
    part = unwrap(part)
    if isinstance(part, (list, tuple)):
        part = module_of(x).asarray(part, dtype=None if part else int)
    if is_array(part) and not hasattr(part, "dtype"):  # a number that is not there yet
        part = module_of(part).asarray(part)
    if isinstance(part, float):
        raise IndexError(f"index {part!r} is a float; expected integers, slices, ..., None, or arrays of integers or booleans")
    if hasattr(part, "dtype") and part.ndim == 0 and part.dtype.kind in "iu" and is_mutable(part):
        return int(part)
    if hasattr(part, "dtype") and part.dtype.kind not in "iub":
        raise IndexError(f"index of dtype {part.dtype}: expected integers or booleans; convert with .astype(int)")
    if part is True or part is False:
        return module_of(x).asarray(part)
    return part


def _without_mask(part: Any) -> tuple[Any, ...]:
    """A mask as the indices where it is true; one that is not there yet refuses, and says where."""
    is_mask = hasattr(part, "dtype") and part.dtype.kind == "b" and (part.ndim > 0 or not is_mutable(part))
    return tuple(part.nonzero()) if is_mask else (part,)


def take_slice(x: Array, axis: int, start: int, stop: int) -> Array:
    """``x[..., start:stop, ...]`` along an axis counted from the end."""
    return getitem(x, (..., slice(start, stop), *[slice(None)] * (-axis - 1)))
