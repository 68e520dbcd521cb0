"""Convolutions and pooling over any number of spatial axes: `conv`, `conv_transpose`, `max_pool`, `avg_pool`.

A convolution is a matrix product: `unfold` lays the windows under the kernel side by side, a column each, and the kernels are the
rows that meet them. Its transpose, `fold`, adds windows up again, so the derivatives are products as well.

Arrays are (examples, channels, space), as in PyTorch and JAX, but the work is done on (channels, space, examples): what lies
under one element of the kernel is then a run of memory as long as a row of all images, which is copied as fast as memory allows.
Results are views of memory in that order, and NumPy's elementwise functions keep it, so only the first of many layers reorders.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array
from ..kinds import Function, linear, multilinear
from .indexing import getitem
from .padding import pad
from .products import matmul
from .reductions import max as largest
from .reductions import mean
from .shaping import as_array, as_arrays, int_tuple, matrix_transpose, permute_dims, reshape, shape_of, trailing

__all__ = ["avg_pool", "conv", "conv_transpose", "fold", "max_pool", "pieces", "unfold", "written_as_product"]

Sizes = tuple[int, ...]

# ---- windows: (space, examples) becomes (place in the window, window, examples)


def pieces(kernel: Sizes, stride: Sizes, dilation: Sizes, count: Sizes) -> list[tuple[Sizes, tuple[slice, ...]]]:
    """For each element of a kernel, its position and the part of space that it meets in ``count`` windows."""
    found = []
    for at in itertools.product(*map(range, kernel)):
        starts = [i * d for i, d in zip(at, dilation, strict=True)]
        found.append((at, tuple([slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, count, stride, strict=True)])))
    return found


def _count(space: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """How many windows there are along each axis."""
    return tuple([(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(space, kernel, stride, dilation, strict=True)])


def _unfold(xp: Any, x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    lead, space, examples = x.shape[: -len(kernel) - 1], x.shape[-len(kernel) - 1 : -1], x.shape[-1]
    count = _count(space, kernel, stride, dilation)
    out = xp.empty((*lead, *kernel, *count, examples), x.dtype)
    for at, where in pieces(kernel, stride, dilation, count):
        out[(..., *at, *[slice(None)] * (len(kernel) + 1))] = x[(..., *where, slice(None))]
    return out


def _fold(xp: Any, g: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, space: Sizes) -> Array:
    dims = len(kernel)
    count = g.shape[-dims - 1 : -1]
    out = xp.zeros((*g.shape[: -2 * dims - 1], *space, g.shape[-1]), g.dtype)
    for at, where in pieces(kernel, stride, dilation, count):
        out[(..., *where, slice(None))] += g[(..., *at, *[slice(None)] * (dims + 1))]
    return out


unfold: Function = linear(
    "unfold", _unfold,
    lambda g, like, kernel, stride, dilation: fold(
        g, kernel=kernel, stride=stride, dilation=dilation, space=trailing(like, len(kernel) + 1)[:-1]
    ),
    doc="The windows under a kernel, side by side: (..., space, examples) to (..., kernel, windows, examples).",
)  # fmt: skip
fold: Function = linear(
    "fold", _fold,
    lambda g, like, kernel, stride, dilation, space: unfold(g, kernel=kernel, stride=stride, dilation=dilation),
    doc="Windows added up where they overlap: the transpose of `unfold`.",
)  # fmt: skip


# ---- the product, on (channels, space, examples) and kernels (out channels, channels of a group, kernel)


def written_as_product(x: Array, w: Array, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    """A convolution as the product of kernels and windows."""
    kernel = w.shape[-len(stride) :]
    windows = unfold(x, kernel=kernel, stride=stride, dilation=dilation)
    out = matmul(_rows(w, groups, len(kernel)), _columns(windows, groups, len(kernel)))
    return reshape(out, (*out.shape[:-3], w.shape[-len(kernel) - 2], *windows.shape[-len(kernel) - 1 :]))


def _rows(w: Array, groups: int, dims: int) -> Array:
    """Kernels as (groups, out channels, channels times kernel)."""
    out, rest = w.shape[-dims - 2], w.shape[-dims - 1 :]
    return reshape(w, (*w.shape[: -dims - 2], groups, out // groups, math.prod(rest)))


def _columns(windows: Array, groups: int, dims: int) -> Array:
    """Windows as (groups, channels times kernel, windows times examples)."""
    lead, rest = windows.shape[: -2 * dims - 2], windows.shape[-2 * dims - 2 :]
    return reshape(windows, (*lead, groups, math.prod(rest[: dims + 1]) // groups, math.prod(rest[dims + 1 :])))


def _into_space(g: Array, w: Array, stride: Sizes, dilation: Sizes, groups: int, space: Sizes) -> Array:
    """The transpose by the array: each output spreads over the window it came from."""
    dims, kernel = len(stride), w.shape[-len(stride) :]
    count = g.shape[-dims - 1 :]
    columns = reshape(g, (*g.shape[: -dims - 2], groups, g.shape[-dims - 2] // groups, math.prod(count)))
    windows = matmul(matrix_transpose(_rows(w, groups, dims)), columns)
    channels = w.shape[-dims - 1] * groups
    windows = reshape(windows, (*windows.shape[:-3], channels, *kernel, *count))
    return fold(windows, kernel=kernel, stride=stride, dilation=dilation, space=space)


def _into_kernels(g: Array, x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    """The transpose by the kernels: each output meets the window it came from."""
    dims = len(stride)
    out, count = g.shape[-dims - 2], math.prod(g.shape[-dims - 1 :])
    rows = reshape(g, (*g.shape[: -dims - 2], groups, out // groups, count))
    windows = unfold(x, kernel=kernel, stride=stride, dilation=dilation)
    product = matmul(rows, matrix_transpose(_columns(windows, groups, dims)))
    return reshape(product, (*product.shape[:-3], out, x.shape[-dims - 2] // groups, *kernel))


def _transpose(i: int, g: Array, operands: Sequence[Any], node: Any, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    like = trailing(node.parents[i], len(stride) + 2)
    if i == 0:
        return _into_space(g, operands[1], stride, dilation, groups, like[1:-1])
    return _into_kernels(g, operands[0], like[2:], stride, dilation, groups)


_convolve: Function = multilinear(
    "convolve",
    lambda xp, x, w, stride, dilation, groups: written_as_product(x, w, stride, dilation, groups),
    _transpose,
    allocates=True,
    doc="The products of kernels with the windows under them: (channels, space, examples) to (out channels, windows, examples).",
)  # fmt: skip


# ---- what users call


def conv(
    x: Array, w: Array, stride: int | Sequence[int] = 1, padding: Any = 0, dilation: int | Sequence[int] = 1, groups: int = 1
) -> Array:
    """The convolution of networks (a cross-correlation: kernels are not turned round) over any number of spatial axes.

    Args:
        x: shape (examples, channels, *space).
        w: kernels, shape (out channels, channels / groups, *kernel).
        stride: from window to window; one number, or one an axis.
        padding: zeros around: a number, one an axis, or a pair (before, after) an axis; ``"valid"`` for none, ``"same"`` for as
            many outputs as there are inputs.
        dilation: from element to element of the kernel.
        groups: into how many groups the channels are divided; each has its own kernels.

    Returns:
        Shape (examples, out channels, *windows), with ``(n + padding - dilation * (kernel - 1) - 1) // stride + 1`` windows.

    Raises:
        ValueError: if the shapes do not fit.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016.

    >>> import numpy as np, tinyad as ad
    >>> x = np.arange(5.0).reshape(1, 1, 5)
    >>> ad.conv(x, np.array([[[-1.0, 0.0, 1.0]]]))
    array([[[2., 2., 2.]]])
    """
    x, w = as_arrays(x, w)
    dims = _check_ranks("conv", x, w)
    kernel, (out, of_group) = shape_of(w)[2:], shape_of(w)[:2]
    stride, dilation = _sizes("conv", "stride", stride, dims), _sizes("conv", "dilation", dilation, dims)
    if shape_of(x)[1] != of_group * groups or groups < 1 or out % groups:
        raise ValueError(
            f"conv: x has {shape_of(x)[1]} channels and w has shape {shape_of(w)}; with groups={groups} it expects "
            f"w.shape[1] * groups channels, and w.shape[0] to be divisible by groups"
        )
    inner = _examples_last(_padded("conv", x, _widths("conv", padding, shape_of(x)[2:], kernel, stride, dilation), 0))
    _check_windows("conv", inner.shape[1:-1], kernel, dilation)
    return _examples_first(_convolve(inner, as_array(w), stride=stride, dilation=dilation, groups=groups))


def conv_transpose(
    x: Array,
    w: Array,
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    output_padding: int | Sequence[int] = 0,
) -> Array:
    """The transpose of `conv` by its array: each element of ``x`` spreads a kernel over the result.

    Args:
        x: shape (examples, channels, *space).
        w: kernels, shape (channels, out channels / groups, *kernel): those of the `conv` it is the transpose of.
        stride, padding, dilation, groups: of that `conv`.
        output_padding: how much larger than the smallest possible the result is at the end of each axis, less than the stride:
            with a stride, arrays of several lengths have as many windows.

    Returns:
        Shape (examples, out channels, *space), of length ``(n - 1) * stride - padding + dilation * (kernel - 1) + 1``, where the
        padding counts on both sides, plus ``output_padding``.

    >>> import numpy as np, tinyad as ad
    >>> ad.conv_transpose(np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0]]]), stride=2)
    array([[[ 1.,  2., 13., 20., 30.]]])
    """
    dims = _check_ranks("conv_transpose", x, w)
    kernel = shape_of(w)[2:]
    stride, dilation = _sizes("conv_transpose", "stride", stride, dims), _sizes("conv_transpose", "dilation", dilation, dims)
    extra = _sizes("conv_transpose", "output_padding", output_padding, dims, least=0)
    if shape_of(x)[1] != shape_of(w)[0] or groups < 1 or shape_of(x)[1] % groups:
        raise ValueError(
            f"conv_transpose: x has {shape_of(x)[1]} channels and w has shape {shape_of(w)}; expected w.shape[0] channels, "
            f"divisible by groups={groups}"
        )
    if any(e >= s for e, s in zip(extra, stride, strict=True)):
        raise ValueError(f"conv_transpose: output_padding={output_padding!r} must be less than stride={stride}")
    full = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(shape_of(x)[2:], stride, dilation, kernel, strict=True)]
    widths = _widths("conv_transpose", padding, full, kernel, (1,) * dims, dilation)
    space = tuple([n + e for n, e in zip(full, extra, strict=True)])
    spread = _into_space(_examples_last(as_array(x)), as_array(w), stride, dilation, groups, space)
    inside = [slice(a, n - b) for n, (a, b) in zip(space, widths, strict=True)]
    if any(part.stop <= part.start for part in inside):
        raise ValueError(f"conv_transpose: padding={padding!r} leaves nothing of a result of {space}")
    return _examples_first(getitem(spread, (slice(None), *inside)))


def max_pool(
    x: Array, size: int | Sequence[int], stride: int | Sequence[int] | None = None, padding: Any = 0, dilation: Any = 1
) -> Array:
    """The largest element of each window. Elements that are equally large share the derivative, as those of `max` do.

    Args:
        x: shape (examples, channels, *space).
        size: of the windows; one number, or one an axis.
        stride: from window to window; ``size`` by default.
        padding, dilation: as in `conv`; what is around never counts.

    Returns:
        Shape (examples, channels, *windows). Windows that would reach beyond the end are left out.

    >>> import numpy as np, tinyad as ad
    >>> ad.max_pool(np.arange(6.0).reshape(1, 1, 6), 2)
    array([[[1., 3., 5.]]])
    """
    windows, axes = _pooled("max_pool", x, size, stride, padding, dilation, -math.inf)
    return _examples_first(largest(windows, axes))


def avg_pool(x: Array, size: int | Sequence[int], stride: int | Sequence[int] | None = None, padding: Any = 0) -> Array:
    """The mean of each window; zeros of the padding count. See `max_pool`."""
    windows, axes = _pooled("avg_pool", x, size, stride, padding, 1, 0)
    return _examples_first(mean(windows, axes))


def _pooled(
    name: str, x: Array, size: Any, stride: Any, padding: Any, dilation: Any, around: float
) -> tuple[Array, tuple[int, ...]]:
    """The windows of a pooling, examples last, and the axes of the places in them."""
    x = as_array(x)
    dims = x.ndim - 2
    if dims < 1:
        raise ValueError(
            f"{name}: x has shape {x.shape}; expected (examples, channels, *space) with at least one axis of space"
        )
    kernel = _sizes(name, "size", size, dims)
    stride = kernel if stride is None else _sizes(name, "stride", stride, dims)
    dilation = _sizes(name, "dilation", dilation, dims)
    inner = _examples_last(_padded(name, x, _widths(name, padding, x.shape[2:], kernel, stride, dilation), around))
    _check_windows(name, inner.shape[1:-1], kernel, dilation)
    if stride != kernel or any(d != 1 for d in dilation):
        return unfold(inner, kernel=kernel, stride=stride, dilation=dilation), tuple(range(1, dims + 1))
    # windows that do not overlap are there already
    count = [n // k for n, k in zip(inner.shape[1:-1], kernel, strict=True)]
    if any(n % k for n, k in zip(inner.shape[1:-1], kernel, strict=True)):
        inner = getitem(inner, (slice(None), *[slice(0, n * k) for n, k in zip(count, kernel, strict=True)]))
    split = [length for pair in zip(count, kernel, strict=True) for length in pair]
    return reshape(inner, (inner.shape[0], *split, inner.shape[-1])), tuple(range(2, 2 * dims + 1, 2))


# ---- arguments


def _examples_last(x: Array) -> Array:
    return permute_dims(x, (*range(1, x.ndim), 0))


def _examples_first(x: Array) -> Array:
    return permute_dims(x, (x.ndim - 1, *range(x.ndim - 1)))


def _check_ranks(name: str, x: Array, w: Array) -> int:
    """The number of spatial axes."""
    dims = len(shape_of(w)) - 2
    if dims < 1 or len(shape_of(x)) != dims + 2:
        raise ValueError(
            f"{name}: x has shape {shape_of(x)} and w {shape_of(w)}; expected (examples, channels, *space) and kernels "
            f"with as many axes, at least 3. For one example alone write {name}(x[None], w)[0]"
        )
    return dims


def _sizes(name: str, what: str, given: Any, dims: int, least: int = 1) -> Sizes:
    sizes = (given,) * dims if isinstance(given, (int, np.integer)) else tuple(given)
    if len(sizes) != dims or any(not isinstance(n, (int, np.integer)) or n < least for n in sizes):
        raise ValueError(
            f"{name}: {what}={given!r}; expected an integer of at least {least}, or one for each of the {dims} axes"
        )
    return int_tuple(sizes)


def _check_windows(name: str, space: Sequence[int], kernel: Sizes, dilation: Sizes) -> None:
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if any(r > n for r, n in zip(reach, space, strict=True)):
        raise ValueError(f"{name}: windows reach over {tuple(reach)} elements, and with its padding x has {tuple(space)}")


def _widths(name: str, padding: Any, space: Sequence[int], kernel: Sizes, stride: Sizes, dilation: Sizes) -> list[Any]:
    """How much padding there is before and after, axis by axis."""
    if padding == "valid":
        return [(0, 0)] * len(space)
    if padding == "same":
        found = []
        for n, k, s, d in zip(space, kernel, stride, dilation, strict=True):
            missing = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            found.append((missing // 2, missing - missing // 2))
        return found
    given = [padding] * len(space) if isinstance(padding, int) else padding
    pairs = [(p, p) if isinstance(p, int) else p for p in given] if isinstance(given, (list, tuple)) else []
    fits = len(pairs) == len(space) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(n, int) and n >= 0 for n in pair)
        for pair in pairs
    )
    if not fits:
        raise ValueError(
            f"{name}: padding={padding!r}; expected 'same', 'valid', an integer of at least 0, one for each of the {len(space)} "
            f"axes, or a pair (before, after) for each"
        )
    return [tuple(pair) for pair in pairs]


def _padded(name: str, x: Array, widths: list[Any], around: float) -> Array:
    x = as_array(x)
    return pad(x, [(0, 0), (0, 0), *widths], around) if any(any(pair) for pair in widths) else x
