"""Wrong rules of functions of several arrays, entry by entry, with and without broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.sampling import draws, fraction, mask, positive, signed

PAIR = draws((5, 3), (5, 3)), draws((4, 4), (4, 4))
ROW = draws((5, 3), (3,)), draws((4, 4), (4,))
COLUMN = draws((5, 3), (5, 1)), draws((4, 4), (4, 1))


def fill(total: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of the parameter's shape, to which one number is added."""
    gradient = np.zeros(shape)
    gradient += total
    return gradient


ADD = Operation(
    "add",
    lambda a, b: (a + b, None),
    lambda c, gy: (gy.copy(), gy.copy()),
    *PAIR,
    (
        wrong("same_array", "D16", "returns gy itself, twice", lambda c, gy: (gy, gy)),
        wrong("one_gradient", "D02", "returns the gradient of a alone", lambda c, gy: (gy.copy(),)),
        wrong("lists", "D04", "returns lists", lambda c, gy: (gy.tolist(), gy.tolist())),
        wrong("none", "D03", "None for b", lambda c, gy: (gy.copy(), None)),
        wrong("halves", "D23", "shares gy between the two", lambda c, gy: (gy / 2, gy / 2)),
    ),
)

ADD_ROW = Operation(
    "add_row",
    lambda x, b: (x + b, b.shape),
    lambda c, gy: (gy.copy(), gy.sum(axis=0)),
    *ROW,
    (
        wrong("not_summed", "D07", "gy as it is for the row that was broadcast", lambda c, gy: (gy.copy(), gy.copy())),
        wrong("keepdims", "D08", "keepdims=True", lambda c, gy: (gy.copy(), gy.sum(axis=0, keepdims=True))),
        wrong("mean", "D24 D40", "mean instead of sum", lambda c, gy: (gy.copy(), gy.mean(axis=0))),
        wrong("wrong_axis", "D10 D32", "sums over axis 1", lambda c, gy: (gy.copy(), gy.sum(axis=1))),
        wrong("total", "D30 D49", "db += gy.sum() without an axis", lambda c, gy: (gy.copy(), fill(gy.sum(), c))),
        wrong("matrix", "D04", "a numpy.matrix", lambda c, gy: (gy.copy().view(np.matrix), gy.sum(axis=0))),
        wrong("first_row", "D38 D39", "the row of one example", lambda c, gy: (gy.copy(), gy[0].copy())),
    ),
)

ADD_COLUMN = Operation(
    "add_column",
    lambda x, b: (x + b, b.shape),
    lambda c, gy: (gy.copy(), gy.sum(axis=1, keepdims=True)),
    *COLUMN,
    (
        wrong("no_keepdims", "D08 D10", "no keepdims", lambda c, gy: (gy.copy(), gy.sum(axis=1))),
        wrong("not_summed", "D07", "gy as it is", lambda c, gy: (gy.copy(), gy.copy())),
        wrong("total", "D30 D49", "gy.sum() without an axis", lambda c, gy: (gy.copy(), fill(gy.sum(), c))),
        wrong("wrong_axis", "D10 D32", "sums over axis 0", lambda c, gy: (gy.copy(), gy.sum(axis=0)[:, None])),
    ),
)

SUBTRACT_ROW = Operation(
    "subtract_row",
    lambda x, b: (x - b, None),
    lambda c, gy: (gy.copy(), -gy.sum(axis=0)),
    *ROW,
    (
        wrong("sign", "D22", "the minus of b forgotten", lambda c, gy: (gy.copy(), gy.sum(axis=0))),
        wrong("not_summed", "D07", "-gy for the row that was broadcast", lambda c, gy: (gy.copy(), -gy)),
        wrong("both_signs", "D22", "the minus on x", lambda c, gy: (-gy, -gy.sum(axis=0))),
    ),
)

MULTIPLY = Operation(
    "multiply",
    lambda a, b: (a * b, (a, b)),
    lambda c, gy: (gy * c[1], gy * c[0]),
    *PAIR,
    (
        wrong("own_operand", "D25", "each gets its own value instead of the other's", lambda c, gy: (gy * c[0], gy * c[1])),
        wrong("copied", "D25", "the line of a, copied for b", lambda c, gy: (gy * c[1], gy * c[1])),
        wrong("no_local", "D31", "passes gy on", lambda c, gy: (gy.copy(), gy.copy())),
        wrong("one_gradient", "D02", "the gradient of a alone, not in a tuple of two", lambda c, gy: (gy * c[1],)),
        wrong("no_gy", "D18", "b and a without gy", lambda c, gy: (c[1].copy(), c[0].copy())),
        wrong("both", "D44", "a * b for both", lambda c, gy: (gy * c[0] * c[1], gy * c[0] * c[1])),
    ),
)

MULTIPLY_ROW = Operation(
    "multiply_row",
    lambda x, s: (x * s, (x, s)),
    lambda c, gy: (gy * c[1], (gy * c[0]).sum(axis=0)),
    *ROW,
    (
        wrong("not_summed", "D07", "no sum over the rows", lambda c, gy: (gy * c[1], gy * c[0])),
        wrong("no_local", "D31 D44", "the factor x forgotten", lambda c, gy: (gy * c[1], gy.sum(axis=0))),
        wrong("mean", "D24 D40", "mean over the rows", lambda c, gy: (gy * c[1], (gy * c[0]).mean(axis=0))),
        wrong("x_no_scale", "D31 D44", "the factor s forgotten", lambda c, gy: (gy.copy(), (gy * c[0]).sum(axis=0))),
    ),
)

SCALE = Operation(
    "scale",
    lambda x, s: (x * s, (x, s)),
    lambda c, gy: (gy * c[1], np.asarray((gy * c[0]).sum())),
    draws((5, 3), ()),
    draws((4, 4), ()),
    (
        wrong("not_summed", "D07", "an array for a number", lambda c, gy: (gy * c[1], gy * c[0])),
        wrong("mean", "D24 D40", "mean instead of sum", lambda c, gy: (gy * c[1], np.asarray((gy * c[0]).mean()))),
        wrong("one_axis", "D07", "sums over axis 0 alone", lambda c, gy: (gy * c[1], (gy * c[0]).sum(axis=0))),
    ),
)

DIVIDE = Operation(
    "divide",
    lambda a, b: (a / b, (a, b)),
    lambda c, gy: (gy / c[1], -gy * c[0] / c[1] ** 2),
    *PAIR,
    (
        wrong("sign", "D22", "the minus of b forgotten", lambda c, gy: (gy / c[1], gy * c[0] / c[1] ** 2)),
        wrong("no_square", "D44", "-a / b", lambda c, gy: (gy / c[1], -gy * c[0] / c[1])),
        wrong("no_a", "D44", "-1 / b**2", lambda c, gy: (gy / c[1], -gy / c[1] ** 2)),
        wrong("times", "D44", "a gets gy * b, as in a product", lambda c, gy: (gy * c[1], -gy * c[0] / c[1] ** 2)),
        wrong("no_local", "D31", "a gets gy", lambda c, gy: (gy.copy(), -gy * c[0] / c[1] ** 2)),
    ),
)


def maximum(a: Any, b: Any) -> Any:
    return np.maximum(a, b), a > b


MAXIMUM = Operation(
    "maximum",
    maximum,
    lambda larger, gy: (gy * larger, gy * ~larger),
    *PAIR,
    (
        wrong("exchanged", "D25 D37", "the smaller one gets the gradient", lambda c, gy: (gy * ~c, gy * c)),
        wrong("both", "D36", "both get gy", lambda c, gy: (gy.copy(), gy.copy())),
        wrong("zero", "D21", "b gets zeros", lambda c, gy: (gy * c, np.zeros_like(gy))),
        wrong("none", "D03", "b gets None", lambda c, gy: (gy * c, None)),
    ),
)

WHERE = Operation(
    "where",
    lambda c, a, b: (np.where(c, a, b), c),
    lambda c, gy: (None, gy * c, gy * ~c),
    draws((5, 3), (5, 3), (5, 3), of=(mask, signed, signed)),
    draws((4, 4), (4, 4), (4, 4), of=(mask, signed, signed)),
    (
        wrong("no_mask", "D36", "no mask on b", lambda c, gy: (None, gy * c, gy.copy())),
        wrong("exchanged", "D25 D37", "the branches exchanged", lambda c, gy: (None, gy * ~c, gy * c)),
        wrong("zero", "D21", "b forgotten", lambda c, gy: (None, gy * c, np.zeros_like(gy))),
        wrong("copied", "D25 D37", "the mask of a on both", lambda c, gy: (None, gy * c, gy * c)),
    ),
)


def hypot(a: Any, b: Any) -> Any:
    y = np.hypot(a, b)
    return y, (a, b, y)


HYPOT = Operation(
    "hypot",
    hypot,
    lambda c, gy: (gy * c[0] / c[2], gy * c[1] / c[2]),
    *PAIR,
    (
        wrong("not_divided", "D44", "not divided by y", lambda c, gy: (gy * c[0], gy * c[1])),
        wrong("square", "D44", "divided by y**2", lambda c, gy: (gy * c[0] / c[2] ** 2, gy * c[1] / c[2] ** 2)),
        wrong(
            "half",
            "D23",
            "the 1/2 of the root but not the 2 of the square",
            lambda c, gy: (gy * c[0] / c[2] / 2, gy * c[1] / c[2] / 2),
        ),
        wrong("b_no_gy", "D18", "gy forgotten for b", lambda c, gy: (gy * c[0] / c[2], c[1] / c[2])),
        wrong("exchanged", "D25", "a and b exchanged", lambda c, gy: (gy * c[1] / c[2], gy * c[0] / c[2])),
    ),
)


def angle(a: Any, b: Any) -> Any:
    return np.arctan2(a, b), (a, b, a**2 + b**2)


ATAN2 = Operation(
    "atan2",
    angle,
    lambda c, gy: (gy * c[1] / c[2], -gy * c[0] / c[2]),
    draws((5, 3), (5, 3), of=(signed, positive)),
    draws((4, 4), (4, 4), of=(signed, positive)),
    (
        wrong("exchanged", "D25", "the order of the arguments", lambda c, gy: (-gy * c[0] / c[2], gy * c[1] / c[2])),
        wrong("sign", "D22", "the minus of b forgotten", lambda c, gy: (gy * c[1] / c[2], gy * c[0] / c[2])),
    ),
)


def interpolate(a: Any, b: Any, t: Any) -> Any:
    return a + t * (b - a), (a, b, t)


def interpolate_backward(c: Any, gy: Any) -> Any:
    a, b, t = c
    return gy * (1 - t), gy * t, (gy * (b - a)).sum(axis=0)


def with_weight(of_t: Any) -> Any:
    """The right gradients of the ends, and this one of the weight."""
    return lambda c, gy: (*interpolate_backward(c, gy)[:2], of_t(c, gy))


INTERPOLATE = Operation(
    "interpolate",
    interpolate,
    interpolate_backward,
    draws((5, 3), (5, 3), (3,), of=(signed, signed, fraction)),
    draws((4, 4), (4, 4), (4,), of=(signed, signed, fraction)),
    (
        wrong(
            "a_through", "D31 D44", "a gets gy: 1 - t forgotten", lambda c, gy: (gy.copy(), *interpolate_backward(c, gy)[1:])
        ),
        wrong(
            "exchanged",
            "D25",
            "t and 1 - t exchanged",
            lambda c, gy: (gy * c[2], gy * (1 - c[2]), interpolate_backward(c, gy)[2]),
        ),
        wrong("weight_no_a", "D46", "forgets -a", with_weight(lambda c, gy: (gy * c[1]).sum(axis=0))),
        wrong("weight_not_summed", "D07", "no sum", with_weight(lambda c, gy: gy * (c[1] - c[0]))),
        wrong("weight_sign", "D22", "a - b", with_weight(lambda c, gy: (gy * (c[0] - c[1])).sum(axis=0))),
    ),
)

OPERATIONS: list[Operation] = [
    ADD, ADD_ROW, ADD_COLUMN, SUBTRACT_ROW, MULTIPLY, MULTIPLY_ROW, SCALE, DIVIDE, MAXIMUM, WHERE, HYPOT, ATAN2, INTERPOLATE,
]  # fmt: skip
