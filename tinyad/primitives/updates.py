"""Arrays with some elements replaced, which is what assignment records: `put`.

With repeated indices the last value counts, as in NumPy (CuPy leaves it undefined); the others have no part in the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, asnumpy, is_array, is_mutable, module_of
from ..kinds import JointlyLinear, Primitive, n_ary, publish
from ..tape import Node
from ..tensor import Tensor, unwrap
from .elementwise import where
from .indexing import Index, broadcast_axes, examples_in_front, fill, getitem, getitem_primitive, parsed, scatter
from .reductions import broadcast_to
from .shaping import astype, ravel, reshape, shape_of
from .steps import equal

__all__ = ["added_at", "multiplied", "put"]


def _put_forward(xp: Any, x: Array, v: Array, *arrays: Array, rank: int, index: Index, shape: tuple[int, ...]) -> Array:
    lead = x.ndim - rank
    joint = broadcast_axes(index, arrays) if lead else 0
    if joint:
        v = xp.moveaxis(v, range(lead), range(joint, joint + lead))
    out = xp.array(x)
    out[fill(index, arrays, lead)] = v
    return out


class _Put(JointlyLinear):
    """Linear in the array and the values together; the arrays of the index are constants."""

    def keep(self, arrays: Sequence[Any], out: Any, places: Sequence[Node | None]) -> tuple[Any, ...]:
        return (None, None, *arrays[2:])

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        arrays, params = saved[2:], node.params
        into_x = None if parents[0] is None else self.apply(g, _zeros(g, params), *arrays, **params)
        into_v = None
        if parents[1] is not None:
            into_v = getitem_primitive(g, *arrays, rank=params["rank"], index=params["index"])
            chosen = _chosen(arrays, node.shape[len(node.shape) - params["rank"] :], params)
            into_v = into_v if chosen is None else where(chosen, into_v, 0.0)
        return (into_x, into_v, *[None] * len(arrays))

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        dx, dv, *_ = tangents
        if dx is None:
            lead = dv.shape[: dv.ndim - len(node.params["shape"])]
            dx = module_of(unwrap(dv)).zeros(lead + node.shape[len(node.shape) - node.params["rank"] :], node.dtype)
        if dv is None:
            dv = _zeros(dx, node.params)
        return self.apply(dx, dv, *saved[2:], **node.params)

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: dict[str, Any]) -> Any:
        size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
        x, v = (
            operand if m else broadcast_to(operand, (size, *shape_of(operand)))
            for operand, m in zip(operands[:2], mapped[:2], strict=True)
        )
        if not any(mapped[2:]):
            return self.apply(x, v, *operands[2:], **params)
        v, index, arrays, _ = examples_in_front(
            v, operands[2:], mapped[2:], len(params["shape"]), params["rank"], params["index"]
        )
        return self.apply(x, v, *arrays, rank=x.ndim, index=index, shape=v.shape)


def _zeros(like: Any, params: dict[str, Any]) -> Any:
    """Zeros for the values, with the leading axes of ``like``."""
    lead = like.shape[: like.ndim - params["rank"]]
    return module_of(unwrap(like)).zeros(lead + params["shape"], like.dtype)


def _chosen(arrays: Sequence[Any], shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    """Which of the values are in the result; ``None`` for all. Repeated indices keep one value, that of the last."""
    if not any(array.ndim and array.dtype.kind in "iu" for array in arrays):
        return None
    xp = module_of(arrays[0])
    numbers = xp.arange(math.prod(params["shape"])).reshape(params["shape"])
    numbered = _put(xp.zeros(shape, numbers.dtype), numbers, *arrays, **params)
    chosen = equal(getitem_primitive(numbered, *arrays, rank=params["rank"], index=params["index"]), numbers)
    return None if is_mutable(chosen) and chosen.all() else chosen


_primitive: Primitive = _Put("put", _put_forward, lambda: None)
_put = publish(_primitive, n_ary(_primitive), "``x`` with ``x[index] = v``.")


def put(x: Array, index: Any, v: Array) -> Array:
    """A copy of ``x`` with ``x[index] = v``, for every index NumPy knows; ``v`` broadcasts.

    Raises:
        IndexError: as NumPy, when the index does not fit the shape of ``x``.
        ValueError: when the shape of ``v`` does not fit that of ``x[index]``.
        TypeError: when ``x`` cannot hold ``v`` without losing a derivative or an imaginary part.

    >>> import numpy as np, tinyad as ad
    >>> ad.grad(lambda v: ad.sum(put(np.ones(3), 1, v) ** 2))(5.0)
    np.float64(10.0)
    """
    array = unwrap(x)
    template, arrays = parsed(array, index)
    shape = _shape_of_part(array, template, arrays)
    return _put(x, _fitting(v, array, shape), *arrays, rank=array.ndim, index=template, shape=shape)


def added_at(x: Array, index: Any, v: Array) -> Array:
    """Zeros like ``x`` with ``v`` added at ``index``; repeated indices add up."""
    array = unwrap(x)
    template, arrays = parsed(array, index)
    shape = _shape_of_part(array, template, arrays)
    return scatter(_fitting(v, array, shape), *arrays, rank=len(shape), index=template, shape=array.shape)


def multiplied(x: Array, index: Any, v: Array) -> Array:
    """A copy of ``x`` with the elements at ``index`` multiplied by ``v``, again and again where an index is repeated."""
    array = unwrap(x)
    template, arrays = parsed(array, index)
    if not any(part.ndim and part.dtype.kind in "iu" for part in arrays):
        return put(x, index, getitem(x, index) * v)
    numbers = np.arange(array.size).reshape(array.shape)[fill(template, tuple([asnumpy(part) for part in arrays]), 0)]
    flat, factors = ravel(x), ravel(_fitting(v, array, numbers.shape))
    asarray = module_of(array).asarray
    for places in _rounds(numbers.ravel()):
        at = asarray(numbers.ravel()[places])
        flat = put(flat, at, getitem(flat, at) * getitem(factors, asarray(places)))
    return reshape(flat, array.shape)


def _rounds(numbers: Any) -> list[Any]:
    """Where the first of equal numbers stand, where the second, and so on."""
    order = np.argsort(numbers, kind="stable")
    ranked = numbers[order]
    first = np.searchsorted(ranked, ranked)
    repeat = np.arange(numbers.size) - first
    return [order[repeat == k] for k in range(repeat.max(initial=-1) + 1)]


def _shape_of_part(array: Array, template: Index, arrays: Sequence[Array]) -> tuple[int, ...]:
    """The shape of ``array[index]``, from an index in two pieces (see `parsed`), without copying elements of any size."""
    known = [asnumpy(part) if part.dtype.kind == "b" else np.zeros(part.shape, int) for part in arrays]
    return np.broadcast_to(np.False_, array.shape)[fill(template, tuple(known), 0)].shape


def _fitting(v: Any, array: Array, shape: tuple[int, ...]) -> Array:
    """A value in the shape of the part of an array that it replaces, and such that the array can hold it."""
    if not hasattr(v, "shape"):
        v = module_of(v if is_array(v) else array).asarray(v)
    dtype = array.dtype
    if v.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(
            f"assignment: got complex values for an array of dtype {dtype}; make it complex, or take ad.real(values)"
        )
    if dtype.kind not in "fc" and isinstance(v, Tensor) and v.node is not None:
        raise TypeError(
            f"assignment: an array of dtype {dtype} cannot hold values of a derivative; make it float, "
            f"for instance ad.zeros(shape) without dtype=int"
        )
    own = shape_of(v)
    while len(own) > len(shape) and own[0] == 1:  # as NumPy, which drops such axes where it assigns
        own = own[1:]
    try:
        fits = np.broadcast_shapes(own, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"assignment: got values of shape {shape_of(v)} for a part of shape {shape}; they must broadcast to it"
        )
    v = v if own == shape_of(v) else reshape(v, own)
    v = v if v.dtype == dtype else astype(v, dtype)
    return v if own == shape else broadcast_to(v, shape)
