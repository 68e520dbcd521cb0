"""Wrong rules of sums, means, maxima and running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.sampling import draws, positive, signed

MATRIX = draws((5, 3)), draws((4, 4))


def spread(gy: Any, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(gy, shape).copy()


SUM = Operation(
    "sum",
    lambda x: (x.sum(), x),
    lambda x, gy: (gy * np.ones_like(x),),
    *MATRIX,
    (
        wrong("mean", "D24", "divides by the number of entries", lambda x, gy: (gy * np.ones_like(x) / x.size,)),
        wrong("not_spread", "D10", "returns the number gy", lambda x, gy: (np.asarray(gy).copy(),)),
        wrong("no_gy", "D18", "ones", lambda x, gy: (np.ones_like(x),)),
        wrong("times_x", "D44", "gy * x", lambda x, gy: (gy * x,)),
    ),
)

SUM_AXIS_0 = Operation(
    "sum_axis_0",
    lambda x: (x.sum(axis=0), x),
    lambda x, gy: (spread(gy, x.shape),),
    *MATRIX,
    (
        wrong("column", "D01 D32", "gy[:, None]", lambda x, gy: (spread(gy[:, None], x.shape),)),
        wrong("not_spread", "D10", "returns gy", lambda x, gy: (gy.copy(),)),
        wrong("mean", "D24", "divides by the number of rows", lambda x, gy: (spread(gy, x.shape) / len(x),)),
    ),
)

SUM_AXIS_1 = Operation(
    "sum_axis_1",
    lambda x: (x.sum(axis=1), x),
    lambda x, gy: (spread(gy[:, None], x.shape),),
    *MATRIX,
    (
        wrong("no_keepdims", "D01 D32", "gy * ones: no [:, None]", lambda x, gy: (gy * np.ones_like(x),)),
        wrong("resized", "D29 D32", "np.resize repeats in the wrong order", lambda x, gy: (np.resize(gy, x.shape),)),
    ),
)

SUM_KEEPDIMS = Operation(
    "sum_keepdims",
    lambda x: (x.sum(axis=1, keepdims=True), x),
    lambda x, gy: (spread(gy, x.shape),),
    *MATRIX,
    (
        wrong("not_spread", "D10", "returns gy, (5, 1) for (5, 3)", lambda x, gy: (gy.copy(),)),
        wrong("total", "D30 D49", "the sum of gy for all", lambda x, gy: (spread(gy.sum(), x.shape),)),
        wrong(
            "first_only",
            "D38",
            "gy of the first row alone",
            lambda x, gy: (spread(gy, x.shape) * (np.arange(len(x)) == 0)[:, None],),
        ),
    ),
)

MEAN = Operation(
    "mean",
    lambda x: (x.mean(), x),
    lambda x, gy: (gy * np.ones_like(x) / x.size,),
    *MATRIX,
    (
        wrong("not_divided", "D24 D31", "the 1/n forgotten", lambda x, gy: (gy * np.ones_like(x),)),
        wrong("rows", "D24", "divides by the number of rows", lambda x, gy: (gy * np.ones_like(x) / len(x),)),
        wrong("twice", "D24", "divides twice", lambda x, gy: (gy * np.ones_like(x) / x.size**2,)),
    ),
)

MEAN_AXIS_1 = Operation(
    "mean_axis_1",
    lambda x: (x.mean(axis=1), x),
    lambda x, gy: (spread(gy[:, None], x.shape) / x.shape[1],),
    draws((5, 3)),
    None,
    (
        wrong("not_divided", "D24 D31", "the 1/n forgotten", lambda x, gy: (spread(gy[:, None], x.shape),)),
        wrong(
            "other_axis", "D23 D24", "divides by the other length", lambda x, gy: (spread(gy[:, None], x.shape) / x.shape[0],)
        ),
        wrong("no_keepdims", "D01 D32", "no [:, None]", lambda x, gy: (gy * np.ones_like(x) / x.shape[1],)),
    ),
)


def variance(x: Any) -> Any:
    return x.var(axis=1), x


def variance_backward(x: Any, gy: Any) -> Any:
    return (2 * gy[:, None] * (x - x.mean(axis=1, keepdims=True)) / x.shape[1],)


VARIANCE = Operation(
    "variance",
    variance,
    variance_backward,
    *MATRIX,
    (
        wrong("no_two", "D23", "the 2 forgotten", lambda x, gy: (variance_backward(x, gy)[0] / 2,)),
        wrong("not_centred", "D50", "2 x / n: the mean not subtracted", lambda x, gy: (2 * gy[:, None] * x / x.shape[1],)),
        wrong(
            "unbiased", "D24", "divides by n - 1", lambda x, gy: (variance_backward(x, gy)[0] * x.shape[1] / (x.shape[1] - 1),)
        ),
        wrong("not_divided", "D24", "the 1/n forgotten", lambda x, gy: (variance_backward(x, gy)[0] * x.shape[1],)),
    ),
)


def deviation(x: Any) -> Any:
    y = x.std(axis=1, keepdims=True)
    return y, (x, y)


def centred(x: Any) -> Any:
    return x - x.mean(axis=1, keepdims=True)


DEVIATION = Operation(
    "standard_deviation",
    deviation,
    lambda c, gy: (gy * centred(c[0]) / (c[1] * c[0].shape[1]),),
    *MATRIX,
    (
        wrong("not_divided", "D44 D45", "not divided by y", lambda c, gy: (gy * centred(c[0]) / c[0].shape[1],)),
        wrong("variance", "D44 D45", "the rule of the variance", lambda c, gy: (2 * gy * centred(c[0]) / c[0].shape[1],)),
        wrong("not_centred", "D50", "the mean not subtracted", lambda c, gy: (gy * c[0] / (c[1] * c[0].shape[1]),)),
    ),
)


def largest(x: Any) -> Any:
    y = x.max(axis=1)
    return y, (x, x == y[:, None])


MAX = Operation(
    "max_axis_1",
    largest,
    lambda c, gy: (gy[:, None] * c[1],),
    *MATRIX,
    (
        wrong("shared", "D41", "shared among the row", lambda c, gy: (spread(gy[:, None], c[1].shape) / c[1].shape[1],)),
        wrong("no_mask", "D36", "gy for the whole row", lambda c, gy: (spread(gy[:, None], c[1].shape),)),
        wrong(
            "smallest", "D29 D37", "the mask of the minimum", lambda c, gy: (gy[:, None] * (c[0] == c[0].min(axis=1)[:, None]),)
        ),
        wrong("no_gy", "D18", "the mask", lambda c, gy: (c[1] * 1.0,)),
        wrong("no_keepdims", "D01 D32", "gy * mask without [:, None]", lambda c, gy: (gy * c[1],)),
    ),
)


def log_sum_exp(x: Any) -> Any:
    shift = x.max(axis=1, keepdims=True)
    y = shift[:, 0] + np.log(np.exp(x - shift).sum(axis=1))
    return y, (x, y)


def log_sum_exp_backward(c: Any, gy: Any) -> Any:
    x, y = c
    return (gy[:, None] * np.exp(x - y[:, None]),)


LOG_SUM_EXP = Operation(
    "logsumexp",
    log_sum_exp,
    log_sum_exp_backward,
    *MATRIX,
    (
        wrong("not_normalised", "D44 D45", "exp(x), not divided by the sum", lambda c, gy: (gy[:, None] * np.exp(c[0]),)),
        wrong("no_local", "D31", "passes gy on, as a sum does", lambda c, gy: (spread(gy[:, None], c[0].shape),)),
        wrong("no_keepdims", "D01 D32", "no [:, None]", lambda c, gy: (gy * np.exp(c[0] - c[1][:, None]),)),
        wrong("no_gy", "D18", "the softmax", lambda c, gy: log_sum_exp_backward(c, np.ones_like(gy))),
    ),
)


def reaching_far(rng: np.random.Generator) -> Any:
    x = signed(rng, (5, 3))
    x[1] += 800.0
    return (x,)


LOG_SUM_EXP_FAR = Operation(
    "logsumexp_far",
    log_sum_exp,
    log_sum_exp_backward,
    reaching_far,
    None,
    (
        wrong(
            "overflows",
            "D06",
            "exp(x) / exp(x).sum() without a shift",
            lambda c, gy: (gy[:, None] * np.exp(c[0]) / np.exp(c[0]).sum(axis=1, keepdims=True),),
        ),
    ),
)


def norm(x: Any) -> Any:
    y = np.sqrt((x * x).sum(axis=1))
    return y, (x, y)


NORM = Operation(
    "norm",
    norm,
    lambda c, gy: (gy[:, None] * c[0] / c[1][:, None],),
    *MATRIX,
    (
        wrong("not_divided", "D44 D45", "x, not divided by the norm", lambda c, gy: (gy[:, None] * c[0],)),
        wrong("squared_norm", "D44 D45", "2 x, the rule of the squared norm", lambda c, gy: (2 * gy[:, None] * c[0],)),
        wrong(
            "divided_twice", "D44 D45", "divided by the squared norm", lambda c, gy: (gy[:, None] * c[0] / c[1][:, None] ** 2,)
        ),
        wrong("no_two", "D23", "the 1/2 of the root without the 2", lambda c, gy: (gy[:, None] * c[0] / c[1][:, None] / 2,)),
    ),
)

CUMSUM = Operation(
    "cumsum",
    lambda x: (np.cumsum(x, axis=0), None),
    lambda c, gy: (np.cumsum(gy[::-1], axis=0)[::-1].copy(),),
    *MATRIX,
    (
        wrong("forwards", "D33", "the cumulative sum again, forwards", lambda c, gy: (np.cumsum(gy, axis=0),)),
        wrong("flipped_once", "D27", "not flipped back", lambda c, gy: (np.cumsum(gy[::-1], axis=0),)),
        wrong("no_sum", "D34 D39", "passes gy on", lambda c, gy: (gy.copy(),)),
        wrong("wrong_axis", "D37 D48", "along axis 1", lambda c, gy: (np.cumsum(gy[:, ::-1], axis=1)[:, ::-1].copy(),)),
        wrong("exclusive", "D28", "the sum begins one later", lambda c, gy: (np.cumsum(gy[::-1], axis=0)[::-1] - gy,)),
    ),
)


def difference_backward(c: Any, gy: Any) -> Any:
    gx = np.zeros((len(gy) + 1, gy.shape[1]))
    gx[1:] += gy
    gx[:-1] -= gy
    return (gx,)


def difference_overwriting(c: Any, gy: Any) -> Any:
    gx = np.zeros((len(gy) + 1, gy.shape[1]))
    gx[1:] = gy
    gx[:-1] = -gy
    return (gx,)


def difference_at_right_ends(c: Any, gy: Any) -> Any:
    gx = np.zeros((len(gy) + 1, gy.shape[1]))
    gx[1:] = gy
    gx[0] = -gy[0]
    return (gx,)


DIFFERENCE = Operation(
    "difference",
    lambda x: (x[1:] - x[:-1], None),
    difference_backward,
    *MATRIX,
    (
        wrong("overwrites", "D39", "= where += is meant", difference_overwriting),
        wrong("right_ends", "D39", "keeps the positive term of every inner entry", difference_at_right_ends),
        wrong("sign", "D22", "left minus right", lambda c, gy: (-difference_backward(c, gy)[0],)),
        wrong("unpadded", "D10", "np.diff of gy", lambda c, gy: (-np.diff(gy, axis=0),)),
    ),
)


def product(x: Any) -> Any:
    y = x.prod(axis=1)
    return y, (x, y)


def product_backward(c: Any, gy: Any) -> Any:
    x, _ = c
    others = [np.delete(x, k, axis=1).prod(axis=1) for k in range(x.shape[1])]
    return (gy[:, None] * np.stack(others, axis=1),)


def holding_zeros(rng: np.random.Generator) -> Any:
    x = signed(rng, (5, 3))
    x[2, 1] = 0.0
    return (x,)


PRODUCT = Operation(
    "product",
    product,
    product_backward,
    draws((5, 3), of=positive),
    draws((4, 4), of=positive),
    (
        wrong("not_divided", "D44", "y, not divided by x", lambda c, gy: (spread((gy * c[1])[:, None], c[0].shape),)),
        wrong("no_product", "D44 D45", "1 / x, the rule of the logarithm", lambda c, gy: (gy[:, None] / c[0],)),
        wrong("no_local", "D31", "passes gy on, as a sum does", lambda c, gy: (spread(gy[:, None], c[0].shape),)),
    ),
)

PRODUCT_WITH_ZERO = Operation(
    "product_with_zero",
    product,
    product_backward,
    holding_zeros,
    None,
    (wrong("quotient", "D06", "y / x: 0 / 0", lambda c, gy: ((gy * c[1])[:, None] / c[0],)),),
)

OPERATIONS: list[Operation] = [
    SUM, SUM_AXIS_0, SUM_AXIS_1, SUM_KEEPDIMS, MEAN, MEAN_AXIS_1, VARIANCE, DEVIATION, MAX, LOG_SUM_EXP, LOG_SUM_EXP_FAR,
    NORM, CUMSUM, DIFFERENCE, PRODUCT, PRODUCT_WITH_ZERO,
]  # fmt: skip
