"""Wrong rules of functions that only move entries: reshape, transpose, join, pad, broadcast."""

from __future__ import annotations

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.sampling import draws

RESHAPE = Operation(
    "reshape",
    lambda x: (x.reshape(x.shape[::-1]).copy(), x.shape),
    lambda shape, gy: (gy.reshape(shape).copy(),),
    draws((5, 3)),
    None,
    (
        wrong("not_reshaped", "D10", "returns gy", lambda shape, gy: (gy.copy(),)),
        wrong("transposed", "D29 D32", "gy.T has the right shape too", lambda shape, gy: (gy.T.copy(),)),
        wrong("fortran", "D29 D32", "order='F'", lambda shape, gy: (gy.reshape(shape, order="F").copy(),)),
        wrong("view", "D16", "a view of gy", lambda shape, gy: (gy.reshape(shape),)),
        wrong("flat", "D10", "returns a vector", lambda shape, gy: (gy.flatten(),)),
    ),
)

TRANSPOSE = Operation(
    "transpose",
    lambda x: (x.T.copy(), x.shape),
    lambda shape, gy: (gy.T.copy(),),
    draws((5, 3)),
    draws((4, 4)),
    (
        wrong("not_transposed", "D09 D26", "returns gy", lambda shape, gy: (gy.copy(),)),
        wrong("reshaped", "D26 D29 D32", "reshape instead of transpose", lambda shape, gy: (gy.reshape(shape).copy(),)),
    ),
)

PERMUTE = Operation(
    "permute_axes",
    lambda x: (np.transpose(x, (1, 2, 0)).copy(), x.shape),
    lambda shape, gy: (np.transpose(gy, (2, 0, 1)).copy(),),
    draws((3, 5, 7)),
    draws((4, 4, 4)),
    (
        wrong(
            "same_again", "D09 D10 D26", "the same permutation again", lambda shape, gy: (np.transpose(gy, (1, 2, 0)).copy(),)
        ),
        wrong("reshaped", "D26 D29 D32", "reshape instead of transpose", lambda shape, gy: (gy.reshape(shape).copy(),)),
    ),
)

CONCATENATE = Operation(
    "concatenate",
    lambda a, b: (np.concatenate([a, b]), len(a)),
    lambda n, gy: (gy[:n].copy(), gy[n:].copy()),
    draws((5, 3), (7, 3)),
    draws((4, 4), (4, 4)),
    (
        wrong("exchanged", "D25 D28 D32", "b's rows first", lambda n, gy: (gy[len(gy) - n :].copy(), gy[: len(gy) - n].copy())),
        wrong("one_late", "D28 D32", "a's rows from 1 on", lambda n, gy: (gy[1 : n + 1].copy(), gy[n:].copy())),
        wrong("one_gradient", "D02", "gy, not split", lambda n, gy: (gy.copy(),)),
        wrong("views", "D16", "views of gy", lambda n, gy: (gy[:n], gy[n:])),
        wrong("wrong_axis", "D10", "splits axis 1", lambda n, gy: (gy[:, :1].copy(), gy[:, 1:].copy())),
    ),
)

STACK = Operation(
    "stack",
    lambda a, b: (np.stack([a, b]), None),
    lambda c, gy: (gy[0].copy(), gy[1].copy()),
    draws((5, 3), (5, 3)),
    draws((4, 4), (4, 4)),
    (
        wrong("exchanged", "D25", "the order of the two", lambda c, gy: (gy[1].copy(), gy[0].copy())),
        wrong("copied", "D25", "index 0 twice", lambda c, gy: (gy[0].copy(), gy[0].copy())),
        wrong("kept_axis", "D08 D10", "slices keep the new axis", lambda c, gy: (gy[:1].copy(), gy[1:].copy())),
    ),
)

PAD = Operation(
    "pad",
    lambda x: (np.pad(x, 1), None),
    lambda c, gy: (gy[1:-1, 1:-1].copy(),),
    draws((5, 3)),
    draws((4, 4)),
    (
        wrong("from_zero", "D28", "the upper left corner", lambda c, gy: (gy[:-2, :-2].copy(),)),
        wrong("one_axis", "D28", "the offset of axis 1 forgotten", lambda c, gy: (gy[1:-1, :-2].copy(),)),
        wrong("not_cropped", "D10", "returns gy", lambda c, gy: (gy.copy(),)),
        wrong("one_side", "D10", "crops one side", lambda c, gy: (gy[1:, 1:].copy(),)),
    ),
)

BROADCAST = Operation(
    "broadcast_rows",
    lambda x: (np.broadcast_to(x, (5, *x.shape)).copy(), x.shape),
    lambda shape, gy: (gy.sum(axis=0),),
    draws((3,)),
    None,
    (
        wrong("not_summed", "D07", "returns gy", lambda shape, gy: (gy.copy(),)),
        wrong("mean", "D23 D24 D40", "the mean of the copies", lambda shape, gy: (gy.mean(axis=0),)),
        wrong("first", "D38 D39", "the first copy", lambda shape, gy: (gy[0].copy(),)),
        wrong("total", "D30 D49", "sum() without an axis", lambda shape, gy: (np.full(shape, gy.sum()),)),
    ),
)

EXPAND = Operation(
    "expand_dims",
    lambda x: (x[:, None].copy(), None),
    lambda c, gy: (gy[:, 0].copy(),),
    draws((5, 3)),
    draws((4, 4)),
    (
        wrong("not_squeezed", "D08 D10", "returns gy", lambda c, gy: (gy.copy(),)),
        wrong("transposed", "D29 D32", "the entries in columns", lambda c, gy: (gy[:, 0].T.reshape(len(gy), -1).copy(),)),
    ),
)

OPERATIONS: list[Operation] = [RESHAPE, TRANSPOSE, PERMUTE, CONCATENATE, STACK, PAD, BROADCAST, EXPAND]
