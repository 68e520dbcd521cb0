"""Rows of convolutions and pooling. The references add up window by window, as the definitions say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.primitives.sampling import Array, Draw, Row, distinct, of, values


def _settings(draw: Draw, dims: int) -> dict[str, Any]:
    number = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    return {"stride": number(1, 2), "padding": number(0, 1), "dilation": number(1, 2)}


def convolutions(draw: Draw) -> Any:
    dims, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    channels, out = (draw(st.integers(1, 2)) * groups for _ in range(2))
    kernel = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    space = tuple(draw(st.integers(3, 4)) for _ in range(dims))
    x, w = values(draw, (draw(st.integers(1, 2)), channels, *space)), values(draw, (out, channels // groups, *kernel))
    return (x, w), {**_settings(draw, dims), "groups": groups}


def transposed(draw: Draw) -> Any:
    (x, w), params = convolutions(draw)
    w = np.swapaxes(w.reshape(params["groups"], -1, *w.shape[1:]), 1, 2)
    w = w.reshape(-1, *w.shape[2:])  # (channels, out channels of a group, kernel)
    params["padding"] = (0,) * (x.ndim - 2)
    params["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in params["stride"])
    return (x, w), params


def poolings(draw: Draw) -> Any:
    dims = draw(st.integers(1, 2))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *[draw(st.integers(3, 5)) for _ in range(dims)])
    size = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    params = {"size": size, "stride": draw(st.sampled_from([None, 1, (2,) * dims])), "padding": tuple(n // 2 for n in size)}
    return (values(draw, shape, distinct),), params


def windows(space: Sequence[int], kernel: Sequence[int], stride: Any, padding: Any, dilation: Any) -> Iterator[Any]:
    """Each window, and the elements in it: (window, place in the kernel, place in space, or None outside)."""
    count = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(space, kernel, stride, padding, dilation, strict=True)
    ]
    for window in itertools.product(*map(range, count)):
        for at in itertools.product(*map(range, kernel)):
            place = [a * s + b * d - p for a, b, s, d, p in zip(window, at, stride, dilation, padding, strict=True)]
            yield window, at, tuple(place) if all(0 <= q < n for q, n in zip(place, space, strict=True)) else None


def shape_of_result(space: Sequence[int], kernel: Sequence[int], *settings: Any) -> tuple[int, ...]:
    return tuple(np.max([window for window, _, _ in windows(space, kernel, *settings)], axis=0) + 1)


def reference_conv(x: Array, w: Array, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    space, kernel = x.shape[2:], w.shape[2:]
    settings = (stride, padding, dilation)
    out = np.zeros((len(x), len(w), *shape_of_result(space, kernel, *settings)), x.dtype)
    for g in range(groups):
        mine, ours = (slice(g * n // groups, (g + 1) * n // groups) for n in (x.shape[1], len(w)))
        for window, at, place in windows(space, kernel, *settings):
            if place is not None:
                out[(slice(None), ours, *window)] += x[(slice(None), mine, *place)] @ w[(ours, slice(None), *at)].T
    return out


def reference_conv_transpose(
    x: Array, w: Array, stride: Any, padding: Any, dilation: Any, groups: int, output_padding: Any
) -> Array:
    kernel = w.shape[2:]
    space = [
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, s, d, k, e in zip(x.shape[2:], stride, dilation, kernel, output_padding, strict=True)
    ]
    out = np.zeros((len(x), w.shape[1] * groups, *space), x.dtype)
    for g in range(groups):
        mine, ours = (slice(g * n // groups, (g + 1) * n // groups) for n in (x.shape[1], out.shape[1]))
        for window in itertools.product(*map(range, x.shape[2:])):
            for at in itertools.product(*map(range, kernel)):
                place = [a * s + b * d for a, b, s, d in zip(window, at, stride, dilation, strict=True)]
                out[(slice(None), ours, *place)] += x[(slice(None), mine, *window)] @ w[(mine, slice(None), *at)]
    return out


def reference_pool(reduce: Any, around: float) -> Any:
    def pool(x: Array, size: Any, stride: Any, padding: Any) -> Array:
        dims = x.ndim - 2
        stride = size if stride is None else (stride,) * dims if isinstance(stride, int) else stride
        settings = (stride, padding, (1,) * dims)
        found: dict[Any, list[Array]] = {}
        for window, _, place in windows(x.shape[2:], size, *settings):
            outside = np.full(x.shape[:2], around, x.dtype)
            found.setdefault(window, []).append(outside if place is None else x[(slice(None), slice(None), *place)])
        out = np.zeros((*x.shape[:2], *shape_of_result(x.shape[2:], size, *settings)), x.dtype)
        for window, elements in found.items():
            out[(slice(None), slice(None), *window)] = reduce(elements, axis=0)
        return out

    return pool


ROWS: list[Row] = [
    of("conv", convolutions, "convolve", "unfold", "fold", reference=reference_conv),
    of("conv_transpose", transposed, "unfold", "fold", reference=reference_conv_transpose),
    of("max_pool", poolings, "unfold", "fold", "max", reference=reference_pool(np.max, -math.inf)),
    of("avg_pool", poolings, "unfold", "fold", "mean", reference=reference_pool(np.mean, 0.0)),
]  # fmt: skip
