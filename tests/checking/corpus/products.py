"""Wrong rules of products of matrices and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.binary import fill
from tests.checking.corpus.case import Operation, stale, wrong
from tests.checking.corpus.sampling import draws


def turned(a: Any) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(a, -1, -2)


def linear(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, (x, w)


def linear_backward(c: Any, gy: Any) -> Any:
    x, w = c
    return gy @ w.T, x.T @ gy, gy.sum(axis=0)


def linear_with(x: Any = None, w: Any = None, b: Any = None) -> Any:
    """The rule of the linear layer, some of its gradients replaced."""

    def backward(c: Any, gy: Any) -> Any:
        return tuple(right if own is None else own(c, gy) for own, right in zip((x, w, b), linear_backward(c, gy), strict=True))

    return backward


def linear_with_buffer(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, (x, w, np.zeros_like(w))


def accumulating(c: Any, gy: Any) -> Any:
    x, w, buffer = c
    buffer += x.T @ gy
    return gy @ w.T, buffer.copy(), gy.sum(axis=0)


LINEAR = Operation(
    "linear",
    linear,
    linear_backward,
    draws((5, 3), (3, 7), (7,)),
    draws((4, 4), (4, 4), (4,)),
    (
        wrong("x_not_transposed", "D01 D33 D52 D53", "gy @ w", linear_with(x=lambda c, gy: gy @ c[1])),
        wrong("w_transposed", "D09 D26 D53", "gy.T @ x", linear_with(w=lambda c, gy: gy.T @ c[0])),
        wrong("b_not_summed", "D07", "gy for the bias", linear_with(b=lambda c, gy: gy.copy())),
        wrong("b_mean", "D24 D40", "the mean over the examples", linear_with(b=lambda c, gy: gy.mean(axis=0))),
        wrong("b_keepdims", "D08", "keepdims=True", linear_with(b=lambda c, gy: gy.sum(axis=0, keepdims=True))),
        wrong("b_total", "D30 D49", "gy.sum() without an axis", linear_with(b=lambda c, gy: fill(gy.sum(), (c[1].shape[1],)))),
        wrong("b_zero", "D21", "a bias that never learns", linear_with(b=lambda c, gy: np.zeros(c[1].shape[1]))),
        wrong("w_mean", "D24 D40", "divided by the number of examples", linear_with(w=lambda c, gy: c[0].T @ gy / len(gy))),
        wrong("one_missing", "D02", "no gradient for the bias", lambda c, gy: linear_backward(c, gy)[:2]),
        wrong("w_sign", "D22", "a descent direction instead of a gradient", linear_with(w=lambda c, gy: -c[0].T @ gy)),
        wrong("accumulates", "D13", "self.dW += in every call", accumulating, linear_with_buffer),
        wrong(
            "low_precision",
            "D54",
            "x kept as float32",
            linear_with(w=lambda c, gy: c[0].astype(np.float32).T.astype(float) @ gy),
        ),
        stale(linear, linear_backward),
    ),
)

MATMUL = Operation(
    "matmul",
    lambda a, b: (a @ b, (a, b)),
    lambda c, gy: (gy @ c[1].T, c[0].T @ gy),
    draws((5, 3), (3, 7)),
    draws((4, 4), (4, 4)),
    (
        wrong("b_not_transposed", "D01 D33 D52 D53", "a @ gy", lambda c, gy: (gy @ c[1].T, c[0] @ gy)),
        wrong("a_order", "D09 D26 D53", "b @ gy.T", lambda c, gy: (c[1] @ gy.T, c[0].T @ gy)),
        wrong("exchanged", "D10 D25", "the two gradients exchanged", lambda c, gy: (c[0].T @ gy, gy @ c[1].T)),
        wrong("b_order", "D01 D53", "gy @ a.T: the order of the product", lambda c, gy: (gy @ c[1].T, gy @ c[0].T)),
        wrong("a_half", "D23", "half of it to each", lambda c, gy: (gy @ c[1].T / 2, c[0].T @ gy / 2)),
    ),
)

BATCHED = Operation(
    "matmul_shared",
    lambda a, b: (a @ b, (a, b)),
    lambda c, gy: (gy @ c[1].T, (turned(c[0]) @ gy).sum(axis=0)),
    draws((3, 5, 7), (7, 11)),
    draws((4, 4, 4), (4, 4)),
    (
        wrong("not_summed", "D07", "no sum over the batch", lambda c, gy: (gy @ c[1].T, turned(c[0]) @ gy)),
        wrong("mean", "D24", "the mean over the batch", lambda c, gy: (gy @ c[1].T, (turned(c[0]) @ gy).mean(axis=0))),
        wrong("last", "D38 D39", "overwritten in a loop over the batch", lambda c, gy: (gy @ c[1].T, c[0][-1].T @ gy[-1])),
        wrong("all_axes_turned", "D01", "a.T turns the batch axis too", lambda c, gy: (gy @ c[1].T, (c[0].T @ gy).sum(axis=0))),
    ),
)

OUTER = Operation(
    "outer",
    lambda a, b: (np.outer(a, b), (a, b)),
    lambda c, gy: (gy @ c[1], gy.T @ c[0]),
    draws((5,), (3,)),
    draws((4,), (4,)),
    (
        wrong("a_transposed", "D01 D53", "gy.T @ b", lambda c, gy: (gy.T @ c[1], gy.T @ c[0])),
        wrong("a_no_b", "D31 D44", "the factor b forgotten", lambda c, gy: (gy.sum(axis=1), gy.T @ c[0])),
        wrong("b_mean", "D24 D40", "the mean over the rows", lambda c, gy: (gy @ c[1], gy.T @ c[0] / len(c[0]))),
        wrong("not_summed", "D07", "gy * b", lambda c, gy: (gy @ c[1], gy * c[0][:, None])),
    ),
)


def bilinear(x: Any, w: Any, z: Any) -> Any:
    return np.einsum("ni,ij,nj->n", x, w, z), (x, w, z)


def bilinear_backward(c: Any, gy: Any) -> Any:
    x, w, z = c
    return gy[:, None] * (z @ w.T), np.einsum("n,ni,nj->ij", gy, x, z), gy[:, None] * (x @ w)


BILINEAR = Operation(
    "bilinear",
    bilinear,
    bilinear_backward,
    draws((5, 3), (3, 7), (5, 7)),
    draws((4, 4), (4, 4), (4, 4)),
    (
        wrong(
            "w_no_gy", "D18", "x.T @ z", lambda c, gy: (bilinear_backward(c, gy)[0], c[0].T @ c[2], bilinear_backward(c, gy)[2])
        ),
        wrong(
            "x_no_axis", "D01 D32", "gy without [:, None]", lambda c, gy: (gy * (c[2] @ c[1].T), *bilinear_backward(c, gy)[1:])
        ),
        wrong(
            "w_transposed",
            "D09 D26",
            "the indices of w exchanged",
            lambda c, gy: (bilinear_backward(c, gy)[0], bilinear_backward(c, gy)[1].T, bilinear_backward(c, gy)[2]),
        ),
        wrong(
            "w_mean",
            "D24 D40",
            "the mean over the examples",
            lambda c, gy: (bilinear_backward(c, gy)[0], bilinear_backward(c, gy)[1] / len(gy), bilinear_backward(c, gy)[2]),
        ),
    ),
)

CHAIN = Operation(
    "matrix_matrix_vector",
    lambda a, b, v: (np.einsum("ij,jk,k->i", a, b, v), (a, b, v)),
    lambda c, gy: (np.outer(gy, c[1] @ c[2]), np.outer(c[0].T @ gy, c[2]), c[1].T @ (c[0].T @ gy)),
    draws((5, 3), (3, 7), (7,)),
    draws((4, 4), (4, 4), (4,)),
    (
        wrong(
            "b_no_v",
            "D31 D44",
            "the factor v forgotten",
            lambda c, gy: (np.outer(gy, c[1] @ c[2]), np.outer(c[0].T @ gy, np.ones_like(c[2])), c[1].T @ (c[0].T @ gy)),
        ),
        wrong(
            "a_order",
            "D09 D26",
            "outer(b @ v, gy)",
            lambda c, gy: (np.outer(c[1] @ c[2], gy), np.outer(c[0].T @ gy, c[2]), c[1].T @ (c[0].T @ gy)),
        ),
        wrong(
            "v_no_gy",
            "D18",
            "(a @ b).sum(axis=0)",
            lambda c, gy: (np.outer(gy, c[1] @ c[2]), np.outer(c[0].T @ gy, c[2]), (c[0] @ c[1]).sum(axis=0)),
        ),
    ),
)


def quadratic_form(x: Any, a: Any) -> Any:
    return x @ a @ x, (x, a)


QUADRATIC_FORM = Operation(
    "quadratic_form",
    quadratic_form,
    lambda c, gy: (gy * (c[1] + c[1].T) @ c[0], gy * np.outer(c[0], c[0])),
    draws((5,), (5, 5)),
    None,
    (
        wrong("one_side", "D46", "a @ x alone: x stands twice", lambda c, gy: (gy * c[1] @ c[0], gy * np.outer(c[0], c[0]))),
        wrong(
            "a_twice",
            "D23",
            "a 2 for the matrix too",
            lambda c, gy: (gy * (c[1] + c[1].T) @ c[0], 2 * gy * np.outer(c[0], c[0])),
        ),
        wrong("a_no_gy", "D18", "outer(x, x)", lambda c, gy: (gy * (c[1] + c[1].T) @ c[0], np.outer(c[0], c[0]))),
    ),
)

OPERATIONS: list[Operation] = [LINEAR, MATMUL, BATCHED, OUTER, BILINEAR, CHAIN, QUADRATIC_FORM]
