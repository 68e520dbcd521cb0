"""Wrong rules of convolutions and poolings, written with loops over the windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.sampling import draws

# One dimension: x (N, C, L), w (F, C, K), b (F,) -> (N, F, L - K + 1).


def conv1d(x: Any, w: Any, b: Any) -> Any:
    k = w.shape[2]
    windows = [np.einsum("nck,fck->nf", x[:, :, i : i + k], w) for i in range(x.shape[2] - k + 1)]
    return np.stack(windows, axis=2) + b[:, None], (x, w)


def conv1d_x(w: Any, gy: Any, length: int, last: int = 0) -> Any:
    """The gradient of x; ``last`` windows are left out."""
    k = w.shape[2]
    gx = np.zeros((gy.shape[0], w.shape[1], length))
    for i in range(gy.shape[2] - last):
        gx[:, :, i : i + k] += np.einsum("nf,fck->nck", gy[:, :, i], w)
    return gx


def conv1d_w(x: Any, gy: Any, k: int) -> Any:
    gw = np.zeros((gy.shape[1], x.shape[1], k))
    for i in range(gy.shape[2]):
        gw += np.einsum("nf,nck->fck", gy[:, :, i], x[:, :, i : i + k])
    return gw


def conv1d_backward(c: Any, gy: Any) -> Any:
    x, w = c
    return conv1d_x(w, gy, x.shape[2]), conv1d_w(x, gy, w.shape[2]), gy.sum(axis=(0, 2))


def conv1d_with(x: Any = None, w: Any = None, b: Any = None) -> Any:
    """The rule of the convolution, some of its gradients replaced; each gets ``(x, w, gy)``."""

    def backward(c: Any, gy: Any) -> Any:
        rights = conv1d_backward(c, gy)
        return tuple(right if own is None else own(*c, gy) for own, right in zip((x, w, b), rights, strict=True))

    return backward


def overwriting_x(x: Any, w: Any, gy: Any) -> Any:
    gx = np.zeros_like(x)
    for i in range(gy.shape[2]):
        gx[:, :, i : i + w.shape[2]] = np.einsum("nf,fck->nck", gy[:, :, i], w)
    return gx


def last_window(x: Any, w: Any, gy: Any) -> Any:
    """What an assignment in the loop leaves: the contribution of the last window."""
    i = gy.shape[2] - 1
    return np.einsum("nf,nck->fck", gy[:, :, i], x[:, :, i : i + w.shape[2]])


CONV1D = Operation(
    "conv1d",
    conv1d,
    conv1d_backward,
    draws((5, 3, 11), (7, 3, 4), (7,)),
    draws((3, 3, 5), (3, 3, 3), (3,)),
    (
        wrong(
            "x_flipped", "D52", "the kernel flipped", conv1d_with(x=lambda x, w, gy: conv1d_x(w[:, :, ::-1], gy, x.shape[2]))
        ),
        wrong("x_overwrites", "D39", "= in the loop", conv1d_with(x=overwriting_x)),
        wrong("x_short", "D38", "the loop ends one early", conv1d_with(x=lambda x, w, gy: conv1d_x(w, gy, x.shape[2], last=1))),
        wrong("w_last", "D38 D39", "= in the loop", conv1d_with(w=last_window)),
        wrong(
            "w_flipped",
            "D27",
            "the gradient of the flipped kernel",
            conv1d_with(w=lambda x, w, gy: conv1d_w(x, gy, w.shape[2])[:, :, ::-1]),
        ),
        wrong("w_mean", "D24", "divided by the batch", conv1d_with(w=lambda x, w, gy: conv1d_w(x, gy, w.shape[2]) / len(x))),
        wrong("b_batch_only", "D07", "sums over the batch alone", conv1d_with(b=lambda x, w, gy: gy.sum(axis=0))),
        wrong("b_mean", "D24 D40", "the mean", conv1d_with(b=lambda x, w, gy: gy.mean(axis=(0, 2)))),
        wrong("b_half_mean", "D24", "the mean over the batch", conv1d_with(b=lambda x, w, gy: gy.mean(axis=0).sum(axis=1))),
    ),
)


def padded_conv1d(x: Any, w: Any) -> Any:
    """One channel, padded so that the length stays: x (N, L), w (K,) with odd K."""
    p = len(w) // 2
    wide = np.pad(x, ((0, 0), (p, p)))
    return np.stack([wide[:, i : i + len(w)] @ w for i in range(x.shape[1])], axis=1), (wide, w, p)


def padded_full(c: Any, gy: Any) -> Any:
    """The gradient of the padded input."""
    wide, w, _ = c
    full = np.zeros_like(wide)
    for i in range(gy.shape[1]):
        full[:, i : i + len(w)] += gy[:, i, None] * w
    return full


def padded_w(c: Any, gy: Any) -> Any:
    wide, w, _ = c
    return np.array([(gy * wide[:, k : k + gy.shape[1]]).sum() for k in range(len(w))])


PADDED_CONV1D = Operation(
    "padded_conv1d",
    padded_conv1d,
    lambda c, gy: (padded_full(c, gy)[:, c[2] : -c[2]].copy(), padded_w(c, gy)),
    draws((5, 7), (3,)),
    draws((5, 5), (3,)),
    (
        wrong("not_cropped", "D10", "the gradient of the padded input", lambda c, gy: (padded_full(c, gy), padded_w(c, gy))),
        wrong(
            "cropped_at_end",
            "D28",
            "the padding cut off at the end alone",
            lambda c, gy: (padded_full(c, gy)[:, : gy.shape[1]].copy(), padded_w(c, gy)),
        ),
        wrong(
            "w_reversed",
            "D27",
            "the kernel's gradient reversed",
            lambda c, gy: (padded_full(c, gy)[:, 1:-1].copy(), padded_w(c, gy)[::-1].copy()),
        ),
    ),
)

# Two dimensions: x (N, C, H, W), w (F, C, P, Q).


def conv2d(x: Any, w: Any) -> Any:
    p, q = w.shape[2:]
    high, wide = x.shape[2] - p + 1, x.shape[3] - q + 1
    y = np.zeros((len(x), len(w), high, wide))
    for i in range(high):
        for j in range(wide):
            y[:, :, i, j] = np.einsum("ncpq,fcpq->nf", x[:, :, i : i + p, j : j + q], w)
    return y, (x, w)


def conv2d_x(x: Any, w: Any, gy: Any, last: int = 0) -> Any:
    p, q = w.shape[2:]
    gx = np.zeros_like(x)
    for i in range(gy.shape[2] - last):
        for j in range(gy.shape[3]):
            gx[:, :, i : i + p, j : j + q] += np.einsum("nf,fcpq->ncpq", gy[:, :, i, j], w)
    return gx


def conv2d_w(x: Any, w: Any, gy: Any, rows: Any = None) -> Any:
    p, q = w.shape[2:]
    gw = np.zeros_like(w)
    for i in range(gy.shape[2]) if rows is None else rows:
        for j in range(gy.shape[3]):
            gw += np.einsum("nf,ncpq->fcpq", gy[:, :, i, j], x[:, :, i : i + p, j : j + q])
    return gw


def conv2d_backward(c: Any, gy: Any) -> Any:
    return conv2d_x(*c, gy), conv2d_w(*c, gy)


def conv2d_with(x: Any = None, w: Any = None) -> Any:
    def backward(c: Any, gy: Any) -> Any:
        gx, gw = conv2d_backward(c, gy)
        return gx if x is None else x(*c, gy), gw if w is None else w(*c, gy)

    return backward


def overwriting_x2(x: Any, w: Any, gy: Any) -> Any:
    p, q = w.shape[2:]
    gx = np.zeros_like(x)
    for i in range(gy.shape[2]):
        for j in range(gy.shape[3]):
            gx[:, :, i : i + p, j : j + q] = np.einsum("nf,fcpq->ncpq", gy[:, :, i, j], w)
    return gx


CONV2D = Operation(
    "conv2d",
    conv2d,
    conv2d_backward,
    draws((3, 2, 7, 5), (5, 2, 3, 2)),
    draws((3, 3, 4, 4), (3, 3, 2, 2)),
    (
        wrong("x_short", "D38", "the outer loop ends one early", conv2d_with(x=lambda x, w, gy: conv2d_x(x, w, gy, last=1))),
        wrong("x_overwrites", "D39", "= in the loops", conv2d_with(x=overwriting_x2)),
        wrong(
            "x_flipped",
            "D52",
            "the kernel turned by 180 degrees",
            conv2d_with(x=lambda x, w, gy: conv2d_x(x, w[:, :, ::-1, ::-1], gy)),
        ),
        wrong(
            "x_kernel_transposed",
            "D01 D52",
            "height and width exchanged",
            conv2d_with(x=lambda x, w, gy: conv2d_x(x, np.swapaxes(w, 2, 3), gy)),
        ),
        wrong("x_zero", "D21", "not yet written", conv2d_with(x=lambda x, w, gy: np.zeros_like(x))),
        wrong(
            "w_first_row",
            "D38 D39",
            "leaves the loop after the first row",
            conv2d_with(w=lambda x, w, gy: conv2d_w(x, w, gy, rows=[0])),
        ),
        wrong("w_mean", "D24", "divided by the batch", conv2d_with(w=lambda x, w, gy: conv2d_w(x, w, gy) / len(x))),
        wrong("exchanged", "D10 D25", "the two gradients exchanged", lambda c, gy: conv2d_backward(c, gy)[::-1]),
    ),
)

# Pooling of x (N, L): windows of three, side by side.


def in_windows(x: Any) -> Any:
    return x.reshape(len(x), -1, 3)


def max_pool(x: Any) -> Any:
    windows = in_windows(x)
    y = windows.max(axis=2)
    return y, (windows, windows == y[:, :, None])


def pooled_back(weights: Any, gy: Any) -> Any:
    """Each window gets its output's gradient times weights."""
    return ((gy[:, :, None] * weights).reshape(len(gy), -1),)


def at_place(windows: Any, places: Any) -> Any:
    return np.eye(3)[places] * np.ones_like(windows)


MAX_POOL = Operation(
    "max_pool",
    max_pool,
    lambda c, gy: pooled_back(c[1], gy),
    draws((5, 21)),
    draws((6, 6)),
    (
        wrong(
            "shared",
            "D41",
            "shared among the window, as in average pooling",
            lambda c, gy: pooled_back(np.ones_like(c[0]) / 3, gy),
        ),
        wrong("no_mask", "D36", "the whole window", lambda c, gy: pooled_back(np.ones_like(c[0]), gy)),
        wrong(
            "first",
            "D29 D37",
            "always the first of the window",
            lambda c, gy: pooled_back(at_place(c[0], np.zeros(c[0].shape[:2], int)), gy),
        ),
        wrong("smallest", "D29 D37", "argmin", lambda c, gy: pooled_back(at_place(c[0], c[0].argmin(axis=2)), gy)),
        wrong(
            "short",
            "D38",
            "the loop ends one early",
            lambda c, gy: pooled_back(c[1] * (np.arange(gy.shape[1]) < gy.shape[1] - 1)[:, None], gy),
        ),
    ),
)

AVERAGE_POOL = Operation(
    "average_pool",
    lambda x: (in_windows(x).mean(axis=2), in_windows(x)),
    lambda windows, gy: pooled_back(np.ones_like(windows) / 3, gy),
    draws((5, 21)),
    draws((6, 6)),
    (
        wrong("not_divided", "D23 D31", "not divided by the window", lambda c, gy: pooled_back(np.ones_like(c), gy)),
        wrong(
            "short",
            "D38",
            "the loop ends one early",
            lambda c, gy: pooled_back((np.arange(gy.shape[1]) < gy.shape[1] - 1)[:, None] / 3 * np.ones_like(c), gy),
        ),
        wrong(
            "to_first",
            "D39",
            "all to the first of the window",
            lambda c, gy: pooled_back(at_place(c, np.zeros(c.shape[:2], int)) / 3, gy),
        ),
        wrong("tiled", "D29 D32", "np.tile for np.repeat", lambda c, gy: (np.tile(gy, (1, 3)) / 3,)),
    ),
)


def overlapping_max(x: Any) -> Any:
    """Windows of three, each one further than the last."""
    windows = np.stack([x[:, i : i + 3] for i in range(x.shape[1] - 2)], axis=1)
    return windows.max(axis=2), (x.shape, windows.argmax(axis=2) + np.arange(x.shape[1] - 2))


def scattered(c: Any, gy: Any, windows: int = 0) -> Any:
    shape, places = c
    gx = np.zeros(shape)
    for i in range(gy.shape[1] - windows):
        gx[np.arange(len(gx)), places[:, i]] += gy[:, i]
    return (gx,)


def overwritten(c: Any, gy: Any) -> Any:
    shape, places = c
    gx = np.zeros(shape)
    for i in range(gy.shape[1]):
        gx[np.arange(len(gx)), places[:, i]] = gy[:, i]
    return (gx,)


OVERLAPPING_MAX_POOL = Operation(
    "overlapping_max_pool",
    overlapping_max,
    scattered,
    draws((5, 11)),
    draws((6, 6)),
    (
        wrong("overwrites", "D39", "= where windows overlap", overwritten),
        wrong("short", "D38", "the loop ends one early", lambda c, gy: scattered(c, gy, windows=1)),
    ),
)

UPSAMPLE = Operation(
    "upsample",
    lambda x: (np.repeat(x, 3, axis=1), None),
    lambda c, gy: (in_windows(gy).sum(axis=2),),
    draws((5, 7)),
    draws((4, 4)),
    (
        wrong("first", "D38 D39", "every third entry", lambda c, gy: (gy[:, ::3].copy(),)),
        wrong("mean", "D23 D40", "the mean of the copies", lambda c, gy: (in_windows(gy).mean(axis=2),)),
        wrong("tiled", "D32", "sums as for np.tile", lambda c, gy: (gy.reshape(len(gy), 3, -1).sum(axis=1),)),
        wrong("not_summed", "D10", "gy as it is", lambda c, gy: (gy.copy(),)),
    ),
)

OPERATIONS: list[Operation] = [CONV1D, PADDED_CONV1D, CONV2D, MAX_POOL, AVERAGE_POOL, OVERLAPPING_MAX_POOL, UPSAMPLE]
