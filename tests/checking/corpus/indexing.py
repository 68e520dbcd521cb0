"""Wrong rules of functions that pick entries: slices, gathers, sorting, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.sampling import draws, indices, mask, signed


def added_at(shape: tuple[int, ...], rows: Any, gy: Any) -> Any:
    gw = np.zeros(shape)
    np.add.at(gw, rows, gy)
    return gw


def fancy_sum(shape: tuple[int, ...], rows: Any, gy: Any) -> Any:
    gw = np.zeros(shape)
    gw[rows] += gy
    return gw


def written(shape: tuple[int, ...], rows: Any, gy: Any) -> Any:
    """The first of several rows stays."""
    gw = np.zeros(shape)
    for row, g in zip(rows[::-1], gy[::-1], strict=True):
        gw[row] = g
    return gw


def uses(c: Any) -> Any:
    return np.maximum(np.bincount(c[1], minlength=c[0][0]), 1)[:, None]


def embedding(w: Any, rows: Any) -> Any:
    return w[rows], (w.shape, rows)


def embedding_with_buffer(w: Any, rows: Any) -> Any:
    return w[rows], (np.zeros_like(w), rows)


def embedding_accumulating(c: Any, gy: Any) -> Any:
    np.add.at(c[0], c[1], gy)
    return c[0].copy(), None


EMBEDDING = Operation(
    "embedding",
    embedding,
    lambda c, gy: (added_at(*c, gy), None),
    draws((7, 3), (11,), of=(signed, indices(7))),
    draws((4, 4), (4,), of=(signed, indices(4))),
    (
        wrong("fancy", "D39", "gw[rows] += gy counts a row once", lambda c, gy: (fancy_sum(*c, gy), None)),
        wrong("overwrites", "D39", "gw[row] = g in a loop", lambda c, gy: (written(*c, gy), None)),
        wrong("mean", "D40", "the mean over the uses of a row", lambda c, gy: (added_at(*c, gy) / uses(c), None)),
        wrong("not_scattered", "D10", "returns gy", lambda c, gy: (gy.copy(), None)),
        wrong("float32", "D05", "a buffer of float32", lambda c, gy: (added_at(*c, gy).astype(np.float32), None)),
        wrong("accumulates", "D13", "a buffer that is never cleared", embedding_accumulating, embedding_with_buffer),
        wrong("short", "D38", "the last index forgotten", lambda c, gy: (added_at(c[0], c[1][:-1], gy[:-1]), None)),
        wrong("next_row", "D28 D29 D37", "rows that count from 1", lambda c, gy: (np.roll(added_at(*c, gy), 1, axis=0), None)),
    ),
)


def picked(x: Any, columns: Any) -> Any:
    return x[np.arange(len(x)), columns], (x.shape, columns)


def chosen(c: Any) -> Any:
    return np.eye(c[0][1])[c[1]]


PICK = Operation(
    "pick_by_row",
    picked,
    lambda c, gy: (gy[:, None] * chosen(c), None),
    draws((5, 3), (5,), of=(signed, indices(3))),
    draws((4, 4), (4,), of=(signed, indices(4))),
    (
        wrong("whole_row", "D36", "gy for the whole row", lambda c, gy: (gy[:, None] * np.ones(c[0]), None)),
        wrong("no_gy", "D18", "the one-hot rows", lambda c, gy: (chosen(c), None)),
        wrong("not_scattered", "D10", "returns gy", lambda c, gy: (gy.copy(), None)),
        wrong("no_column", "D01 D32", "gy without [:, None]", lambda c, gy: (gy * chosen(c), None)),
    ),
)


def into(shape: tuple[int, ...], where: Any, gy: Any) -> Any:
    gx = np.zeros(shape)
    gx[where] = gy
    return gx


class Buffer:
    """An array kept between calls."""

    def __init__(self, x: Any) -> None:
        self.gradient = np.zeros_like(x)

    def add(self, gy: Any) -> Any:
        self.gradient[1:] += gy
        return self.gradient.copy()


def added_to_ones(x: Any, gy: Any) -> Any:
    gx = np.ones_like(x)
    gx[1:] = gy
    return gx


SLICE = Operation(
    "slice",
    lambda x: (x[1:].copy(), x),
    lambda x, gy: (into(x.shape, slice(1, None), gy),),
    draws((5, 3)),
    draws((4, 4)),
    (
        wrong("from_zero", "D28", "writes into the first rows", lambda x, gy: (into(x.shape, slice(0, -1), gy),)),
        wrong("not_scattered", "D10", "returns gy", lambda x, gy: (gy.copy(),)),
        wrong("ones", "D19", "begins with ones instead of zeros", lambda x, gy: (added_to_ones(x, gy),)),
        wrong(
            "accumulates",
            "D13",
            "a buffer that is never cleared",
            lambda buffer, gy: (buffer.add(gy),),
            lambda x: (x[1:].copy(), Buffer(x)),
        ),
    ),
)

STRIDED = Operation(
    "every_second_column",
    lambda x: (x[:, ::2].copy(), x.shape),
    lambda shape, gy: (into(shape, (slice(None), slice(None, None, 2)), gy),),
    draws((5, 7)),
    draws((5, 5)),
    (
        wrong(
            "repeated",
            "D36",
            "np.repeat fills the columns between",
            lambda shape, gy: (np.repeat(gy, 2, axis=1)[:, : shape[1]],),
        ),
        wrong(
            "side_by_side",
            "D29 D37",
            "the first columns",
            lambda shape, gy: (into(shape, (slice(None), slice(0, gy.shape[1])), gy),),
        ),
        wrong(
            "odd_columns",
            "D01",
            "the columns between, one too few",
            lambda shape, gy: (into(shape, (slice(None), slice(1, None, 2)), gy),),
        ),
    ),
)

FLIP = Operation(
    "flip",
    lambda x: (x[::-1].copy(), None),
    lambda c, gy: (gy[::-1].copy(),),
    draws((5, 3)),
    draws((4, 4)),
    (
        wrong("not_flipped", "D27 D29", "returns gy", lambda c, gy: (gy.copy(),)),
        wrong("both_axes", "D27 D29", "np.flip without an axis", lambda c, gy: (np.flip(gy).copy(),)),
        wrong("other_axis", "D27 D29 D32", "flips axis 1", lambda c, gy: (gy[:, ::-1].copy(),)),
        wrong("view", "D16", "returns a view of gy", lambda c, gy: (gy[::-1],)),
    ),
)

ROLL = Operation(
    "roll",
    lambda x: (np.roll(x, 1, axis=0), None),
    lambda c, gy: (np.roll(gy, -1, axis=0),),
    draws((5, 3)),
    draws((4, 4)),
    (
        wrong("same_direction", "D28 D29 D33", "rolls on instead of back", lambda c, gy: (np.roll(gy, 1, axis=0),)),
        wrong("not_rolled", "D28 D29", "returns gy", lambda c, gy: (gy.copy(),)),
        wrong("other_axis", "D29 D32", "rolls axis 1 back", lambda c, gy: (np.roll(gy, -1, axis=1),)),
    ),
)


def sort(x: Any) -> Any:
    order = np.argsort(x, axis=0)
    return np.take_along_axis(x, order, axis=0), order


def sort_backward(order: Any, gy: Any) -> Any:
    gx = np.zeros_like(gy)
    np.put_along_axis(gx, order, gy, axis=0)
    return (gx,)


SORT = Operation(
    "sort",
    sort,
    sort_backward,
    draws((7, 3)),
    draws((5, 5)),
    (
        wrong(
            "gathers",
            "D29 D33",
            "sorts gy instead of putting it back",
            lambda order, gy: (np.take_along_axis(gy, order, axis=0),),
        ),
        wrong("not_moved", "D29", "returns gy", lambda order, gy: (gy.copy(),)),
    ),
)

KEEP = 0.8


def dropout(x: Any, kept: Any) -> Any:
    return x * kept / KEEP, kept


def dropout_of_its_own(x: Any, kept: Any) -> Any:
    own = np.random.default_rng().random(x.shape) < KEEP
    return x * own / KEEP, own


def fresh_mask(kept: Any, gy: Any) -> Any:
    return gy * (np.random.default_rng().random(gy.shape) < KEEP) / KEEP, None


def dropout_in_place(x: Any, kept: Any) -> Any:
    x *= kept / KEEP
    return x, kept


DROPOUT = Operation(
    "dropout",
    dropout,
    lambda kept, gy: (gy * kept / KEEP, None),
    draws((5, 3), (5, 3), of=(signed, mask)),
    draws((4, 4), (4, 4), of=(signed, mask)),
    (
        wrong("no_mask", "D36", "the mask forgotten", lambda kept, gy: (gy / KEEP, None)),
        wrong("no_scale", "D23 D31", "the scale forgotten", lambda kept, gy: (gy * kept, None)),
        wrong("mask_inverted", "D37", "lets through what was dropped", lambda kept, gy: (gy * ~kept / KEEP, None)),
        wrong("random_forward", "D15", "draws a mask in every call", forward=dropout_of_its_own),
        wrong("fresh_mask", "D13 D15", "draws a new mask in backward", fresh_mask),
        wrong("in_place", "D11", "x *= mask in forward", forward=dropout_in_place),
    ),
)

TRIL = Operation(
    "lower_triangle",
    lambda x: (np.tril(x), None),
    lambda c, gy: (np.tril(gy),),
    draws((5, 5)),
    None,
    (
        wrong("no_mask", "D36", "returns gy", lambda c, gy: (gy.copy(),)),
        wrong("upper", "D37", "the other triangle", lambda c, gy: (np.triu(gy),)),
        wrong("strict", "D38", "without the diagonal", lambda c, gy: (np.tril(gy, -1),)),
    ),
)

OPERATIONS: list[Operation] = [EMBEDDING, PICK, SLICE, STRIDED, FLIP, ROLL, SORT, DROPOUT, TRIL]
