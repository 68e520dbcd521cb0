"""Wrong rules of losses: one number from predictions and targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.normalisation import row_sum, soft
from tests.checking.corpus.sampling import draws, fraction, indices, signed

MSE = Operation(
    "mse",
    lambda p, t: (((p - t) ** 2).mean(), p - t),
    lambda r, gy: (2 * gy * r / r.size, -2 * gy * r / r.size),
    draws((5, 3), (5, 3)),
    draws((4, 4), (4, 4)),
    (
        wrong("no_two", "D23", "the 2 forgotten", lambda r, gy: (gy * r / r.size, -gy * r / r.size)),
        wrong("not_divided", "D24", "the 1/n forgotten", lambda r, gy: (2 * gy * r, -2 * gy * r)),
        wrong("rows", "D24", "divides by the rows alone", lambda r, gy: (2 * gy * r / len(r), -2 * gy * r / len(r))),
        wrong("target_sign", "D22", "the minus of the target", lambda r, gy: (2 * gy * r / r.size, 2 * gy * r / r.size)),
        wrong("no_gy", "D18", "a loss is last, so gy is 1", lambda r, gy: (2 * r / r.size, -2 * r / r.size)),
        wrong("target_none", "D03", "the target gets None", lambda r, gy: (2 * gy * r / r.size, None)),
        wrong("target_zero", "D21", "the target gets zeros", lambda r, gy: (2 * gy * r / r.size, np.zeros_like(r))),
        wrong("signs", "D22 D25", "target minus prediction", lambda r, gy: (-2 * gy * r / r.size, 2 * gy * r / r.size)),
    ),
)


def squared_error(p: Any, t: Any) -> Any:
    return 0.5 * ((p - t) ** 2).sum(), (p, t)


SQUARED_ERROR = Operation(
    "half_squared_error",
    squared_error,
    lambda c, gy: (gy * (c[0] - c[1]), gy * (c[1] - c[0])),
    draws((5, 3), (5, 3)),
    draws((4, 4), (4, 4)),
    (
        wrong("no_target", "D46", "the prediction, the target not subtracted", lambda c, gy: (gy * c[0], gy * (c[1] - c[0]))),
        wrong("two", "D23", "a 2 although the loss has 1/2", lambda c, gy: (2 * gy * (c[0] - c[1]), 2 * gy * (c[1] - c[0]))),
        wrong("plus", "D46", "prediction plus target", lambda c, gy: (gy * (c[0] + c[1]), gy * (c[1] - c[0]))),
        wrong("exchanged", "D22 D25", "the two gradients exchanged", lambda c, gy: (gy * (c[1] - c[0]), gy * (c[0] - c[1]))),
    ),
)


def cross_entropy(x: Any, labels: Any) -> Any:
    p = soft(x)
    return -np.log(p[np.arange(len(labels)), labels]).mean(), (p, labels)


def one_hot(c: Any) -> Any:
    p, labels = c
    return np.eye(p.shape[1])[labels]


def cross_entropy_backward(c: Any, gy: Any) -> Any:
    return gy * (c[0] - one_hot(c)) / len(c[1]), None


def cross_entropy_in_place(c: Any, gy: Any) -> Any:
    p, labels = c
    p[np.arange(len(labels)), labels] -= 1
    return gy * p / len(labels), None


def rows_of_labels(c: Any, gy: Any) -> Any:
    """Subtracts 1 from whole rows: the labels where the pairs of row and label are meant."""
    g = c[0].copy()
    g[c[1]] -= 1
    return gy * g / len(c[1]), None


CROSS_ENTROPY = Operation(
    "cross_entropy",
    cross_entropy,
    cross_entropy_backward,
    draws((5, 3), (5,), of=(signed, indices(3))),
    draws((4, 4), (4,), of=(signed, indices(4))),
    (
        wrong("not_divided", "D24", "the 1/N forgotten", lambda c, gy: (gy * (c[0] - one_hot(c)), None)),
        wrong("classes", "D23 D24", "divides by the classes", lambda c, gy: (gy * (c[0] - one_hot(c)) / c[0].shape[1], None)),
        wrong("no_one_hot", "D51", "the probabilities, nothing subtracted", lambda c, gy: (gy * c[0] / len(c[1]), None)),
        wrong("one_hot_not_divided", "D51", "p / N - 1", lambda c, gy: (gy * (c[0] / len(c[1]) - one_hot(c)), None)),
        wrong("one_hot_added", "D51", "p + 1", lambda c, gy: (gy * (c[0] + one_hot(c)) / len(c[1]), None)),
        wrong("rows_of_labels", "D51", "p[labels] -= 1", rows_of_labels),
        wrong("sign", "D22", "one-hot minus p", lambda c, gy: (gy * (one_hot(c) - c[0]) / len(c[1]), None)),
        wrong("no_gy", "D18", "a loss is last, so gy is 1", lambda c, gy: cross_entropy_backward(c, 1.0)),
        wrong("in_place", "D13", "p[rows, labels] -= 1 on what was kept", cross_entropy_in_place),
    ),
)


def nll(p: Any, labels: Any) -> Any:
    picked = p[np.arange(len(labels)), labels]
    return -np.log(picked).mean(), (p, labels)


NLL = Operation(
    "negative_log_likelihood",
    nll,
    lambda c, gy: (-gy * one_hot(c) / c[0] / len(c[1]), None),
    draws((5, 3), (5,), of=(fraction, indices(3))),
    draws((4, 4), (4,), of=(fraction, indices(4))),
    (
        wrong("no_quotient", "D44", "-1 / N, not divided by p", lambda c, gy: (-gy * one_hot(c) / len(c[1]), None)),
        wrong("everywhere", "D36", "-1 / (N p) for every class", lambda c, gy: (-gy / c[0] / len(c[1]), None)),
        wrong("sign", "D22", "the minus forgotten", lambda c, gy: (gy * one_hot(c) / c[0] / len(c[1]), None)),
        wrong("picked", "D10", "one number a row", lambda c, gy: (-gy / c[0][np.arange(len(c[1])), c[1]] / len(c[1]), None)),
        wrong(
            "next_class",
            "D37",
            "labels that count from 1",
            lambda c, gy: (-gy * np.roll(one_hot(c), 1, axis=1) / c[0] / len(c[1]), None),
        ),
    ),
)


def bce(z: Any, t: Any) -> Any:
    return (np.logaddexp(0, z) - z * t).mean(), (z, t, 1 / (1 + np.exp(-z)))


def bce_backward(c: Any, gy: Any) -> Any:
    z, t, s = c
    return gy * (s - t) / z.size, -gy * z / z.size


BCE = Operation(
    "bce_with_logits",
    bce,
    bce_backward,
    draws((5, 3), (5, 3), of=(signed, fraction)),
    draws((4, 4), (4, 4), of=(signed, fraction)),
    (
        wrong("not_divided", "D24", "the 1/n forgotten", lambda c, gy: (gy * (c[2] - c[1]), -gy * c[0])),
        wrong("no_target", "D46", "the target not subtracted", lambda c, gy: (gy * c[2] / c[0].size, bce_backward(c, gy)[1])),
        wrong("sign", "D22", "target minus sigmoid", lambda c, gy: (-bce_backward(c, gy)[0], bce_backward(c, gy)[1])),
        wrong(
            "sigmoid_twice",
            "D44",
            "the derivative of the sigmoid once more",
            lambda c, gy: (bce_backward(c, gy)[0] * c[2] * (1 - c[2]), bce_backward(c, gy)[1]),
        ),
        wrong("target_sign", "D22", "the minus of the target", lambda c, gy: (bce_backward(c, gy)[0], gy * c[0] / c[0].size)),
    ),
)


def multiclass_hinge(x: Any, labels: Any) -> Any:
    """The mean over the rows of the sum of the margins that are violated."""
    rows = np.arange(len(labels))
    margins = x - x[rows, labels][:, None] + 1
    margins[rows, labels] = 0
    return np.maximum(margins, 0).sum() / len(labels), (margins > 0, labels)


def hinge_with(at_target: Any) -> Any:
    """Ones where the margin is violated, and something at the target."""

    def backward(c: Any, gy: Any) -> Any:
        violated, labels = c
        g = violated * 1.0
        g[np.arange(len(labels)), labels] = at_target(violated)
        return gy * g / len(labels), None

    return backward


hinge_backward = hinge_with(lambda violated: -violated.sum(axis=1))

HINGE = Operation(
    "multiclass_hinge",
    multiclass_hinge,
    hinge_backward,
    draws((5, 7), (5,), of=(signed, indices(7))),
    draws((5, 5), (5,), of=(signed, indices(5))),
    (
        wrong("no_target", "D51", "nothing for the target class", hinge_with(lambda violated: 0)),
        wrong("target_once", "D51", "-1 for the target, not -1 for every margin", hinge_with(lambda violated: -1)),
        wrong("target_sign", "D51", "the target's sign", hinge_with(lambda violated: violated.sum(axis=1))),
        wrong("not_divided", "D24", "the 1/N forgotten", lambda c, gy: (hinge_backward(c, gy)[0] * len(c[1]), None)),
        wrong("no_gy", "D18", "a loss is last, so gy is 1", lambda c, gy: hinge_backward(c, 1.0)),
    ),
)


def plus_and_minus(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.permutation(np.arange(np.prod(shape)) % 2 * 2 - 1).reshape(shape)


def wide(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Scores on both sides of every margin."""
    return 2 * signed(rng, shape)


def hinge(s: Any, t: Any) -> Any:
    margin = 1 - s * t
    return np.maximum(margin, 0).mean(), (t, margin > 0)


BINARY_HINGE = Operation(
    "binary_hinge",
    hinge,
    lambda c, gy: (-gy * c[0] * c[1] / c[0].size, None),
    draws((5, 3), (5, 3), of=(wide, plus_and_minus)),
    draws((4, 4), (4, 4), of=(wide, plus_and_minus)),
    (
        wrong("no_mask", "D36", "margins that hold get gradient", lambda c, gy: (-gy * c[0] / c[0].size, None)),
        wrong("no_target", "D44", "the factor t forgotten", lambda c, gy: (-gy * c[1] / c[0].size, None)),
        wrong("mask_inverted", "D37", "the margins that hold", lambda c, gy: (-gy * c[0] * ~c[1] / c[0].size, None)),
        wrong(
            "integers",
            "D05",
            "collects into the type of t",
            lambda c, gy: ((-gy * c[0] * c[1] / c[0].size).astype(c[0].dtype), None),
        ),
    ),
)

PENALTY = 0.3


def ridge(w: Any, x: Any, t: Any) -> Any:
    r = x @ w - t
    return (r @ r) / len(r) + PENALTY * (w @ w), (w, x, r)


def ridge_backward(c: Any, gy: Any) -> Any:
    w, x, r = c
    n = len(r)
    return gy * (2 * x.T @ r / n + 2 * PENALTY * w), 2 * gy * np.outer(r, w) / n, -2 * gy * r / n


def ridge_with(w: Any = None, x: Any = None) -> Any:
    def backward(c: Any, gy: Any) -> Any:
        gw, gx, gt = ridge_backward(c, gy)
        return gw if w is None else w(*c, gy), gx if x is None else x(*c, gy), gt

    return backward


RIDGE = Operation(
    "ridge",
    ridge,
    ridge_backward,
    draws((3,), (5, 3), (5,)),
    draws((4,), (4, 4), (4,)),
    (
        wrong("no_penalty", "D46", "the penalty has no gradient", ridge_with(w=lambda w, x, r, gy: 2 * gy * x.T @ r / len(r))),
        wrong(
            "penalty_no_two",
            "D46",
            "the 2 of the penalty",
            ridge_with(w=lambda w, x, r, gy: gy * (2 * x.T @ r / len(r) + PENALTY * w)),
        ),
        wrong(
            "penalty_no_gy",
            "D19",
            "the penalty without gy",
            ridge_with(w=lambda w, x, r, gy: 2 * gy * x.T @ r / len(r) + 2 * PENALTY * w),
        ),
        wrong("penalty_only", "D46", "the penalty alone", ridge_with(w=lambda w, x, r, gy: 2 * gy * PENALTY * w)),
        wrong("x_no_two", "D23", "the 2 of the square", ridge_with(x=lambda w, x, r, gy: gy * np.outer(r, w) / len(r))),
        wrong("x_transposed", "D09 D26", "outer(w, r)", ridge_with(x=lambda w, x, r, gy: 2 * gy * np.outer(w, r) / len(r))),
        wrong(
            "not_transposed", "D01 D52", "x @ r", ridge_with(w=lambda w, x, r, gy: gy * (2 * x @ r / len(r) + 2 * PENALTY * w))
        ),
    ),
)


def entropy(p: Any) -> Any:
    return -row_sum(p * np.log(p)), p


ENTROPY = Operation(
    "entropy",
    entropy,
    lambda p, gy: (-gy * (np.log(p) + 1),),
    draws((5, 3), of=fraction),
    draws((4, 4), of=fraction),
    (
        wrong("no_one", "D46", "the second term of the product rule", lambda p, gy: (-gy * np.log(p),)),
        wrong("first_only", "D46", "the first term of the product rule", lambda p, gy: (-gy * np.ones_like(p),)),
        wrong("sign", "D22", "the minus forgotten", lambda p, gy: (gy * (np.log(p) + 1),)),
    ),
)

OPERATIONS: list[Operation] = [MSE, SQUARED_ERROR, CROSS_ENTROPY, NLL, BCE, HINGE, BINARY_HINGE, RIDGE, ENTROPY]
