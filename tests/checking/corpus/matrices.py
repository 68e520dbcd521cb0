"""Wrong rules of linear algebra: traces, inverses, systems."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.sampling import draws, invertible, signed

TRACE = Operation(
    "trace",
    lambda a: (np.trace(a), a),
    lambda a, gy: (gy * np.eye(len(a)),),
    draws((5, 5)),
    None,
    (
        wrong("everywhere", "D36", "gy for every entry", lambda a, gy: (gy * np.ones_like(a),)),
        wrong("no_gy", "D18", "the unit matrix", lambda a, gy: (np.eye(len(a)),)),
        wrong("diagonal_vector", "D10", "a vector of the diagonal", lambda a, gy: (gy * np.ones(len(a)),)),
    ),
)

TRACE_OF_PRODUCT = Operation(
    "trace_of_product",
    lambda a, b: (np.trace(a @ b), (a, b)),
    lambda c, gy: (gy * c[1].T, gy * c[0].T),
    draws((5, 3), (3, 5)),
    draws((4, 4), (4, 4)),
    (
        wrong("not_transposed", "D09 D26 D52 D53", "b instead of its transpose", lambda c, gy: (gy * c[1], gy * c[0].T)),
        wrong("exchanged", "D10 D25", "the two gradients exchanged", lambda c, gy: (gy * c[0].T, gy * c[1].T)),
    ),
)


def inverse(a: Any) -> Any:
    y = np.linalg.inv(a)
    return y, y


INVERSE = Operation(
    "inverse",
    inverse,
    lambda y, gy: (-y.T @ gy @ y.T,),
    draws((5, 5), of=invertible),
    draws((4, 4), of=invertible),
    (
        wrong("not_transposed", "D33 D52 D53", "-y @ gy @ y", lambda y, gy: (-y @ gy @ y,)),
        wrong("sign", "D22", "the minus forgotten", lambda y, gy: (y.T @ gy @ y.T,)),
        wrong("result_transposed", "D26 D53", "-y @ gy.T @ y", lambda y, gy: (-y @ gy.T @ y,)),
    ),
)


def determinant(a: Any) -> Any:
    y = np.linalg.det(a)
    return y, (a, y)


DETERMINANT = Operation(
    "determinant",
    determinant,
    lambda c, gy: (gy * c[1] * np.linalg.inv(c[0]).T,),
    draws((5, 5), of=invertible),
    None,
    (
        wrong("not_transposed", "D26 D52", "the inverse, not transposed", lambda c, gy: (gy * c[1] * np.linalg.inv(c[0]),)),
        wrong("logarithm", "D44", "the rule of log det: no factor y", lambda c, gy: (gy * np.linalg.inv(c[0]).T,)),
    ),
)


def solve(a: Any, b: Any) -> Any:
    y = np.linalg.solve(a, b)
    return y, (a, y)


def solve_backward(c: Any, gy: Any) -> Any:
    a, y = c
    gb = np.linalg.solve(a.T, gy)
    return -gb @ y.T, gb


SOLVE = Operation(
    "solve",
    solve,
    solve_backward,
    draws((5, 5), (5, 3), of=(invertible, signed)),
    draws((4, 4), (4, 4), of=(invertible, signed)),
    (
        wrong(
            "b_not_transposed",
            "D33 D52 D53",
            "solves with a, not with a.T",
            lambda c, gy: (solve_backward(c, gy)[0], np.linalg.solve(c[0], gy)),
        ),
        wrong("a_sign", "D22", "the minus forgotten", lambda c, gy: (-solve_backward(c, gy)[0], solve_backward(c, gy)[1])),
        wrong(
            "a_transposed", "D26 D53", "y @ gb.T", lambda c, gy: (solve_backward(c, gy)[0].T.copy(), solve_backward(c, gy)[1])
        ),
        wrong("a_none", "D03", "only the right-hand side", lambda c, gy: (None, solve_backward(c, gy)[1])),
    ),
)

OPERATIONS: list[Operation] = [TRACE, TRACE_OF_PRODUCT, INVERSE, DETERMINANT, SOLVE]
