"""Eigenvectors and singular vectors, which are not determined, and what becomes of their derivatives.

Those of a real matrix are determined up to a sign, of a complex one up to a phase, those of repeated values up to a rotation. A
derivative has a meaning for functions that do not depend on that choice, such as ``v @ adjoint(v)``; the tangents are those of
vectors that turn no more than they must: ``diag(adjoint(v) @ dv)`` is 0.

Where values repeat, up to rounding, vectors that turn into one another have no derivative: the reverse walk refuses a cotangent
of them, and a tangent is NaN, as all is where the values are not known (in `vmap` and `compile`). Other vectors, and the values
alone, keep their derivatives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import Array, asnumpy, is_mutable
from ..tensor import unwrap
from .complex import conj
from .elementwise import abs as absolute
from .elementwise import where
from .joining import concat
from .matrices import adjoint, as_columns, epsilon, identity_like
from .products import matmul
from .reductions import max as largest
from .shaping import expand_dims
from .steps import less_equal, logical_and, not_equal

__all__ = ["INSTEAD", "off_diagonal", "over_gaps", "quotient", "refuse", "rounding", "turned", "turned_transpose"]

INSTEAD = "Use a function of the values alone, or one that needs no decomposition (solve, inv, expm, matrix_norm, slogdet)"
"""What a refusal advises."""


# ---- quotients by differences of eigenvalues, which may vanish


def rounding(values: Array) -> Any:
    """How far apart values may be that are equal up to rounding: a number for each matrix."""
    known = unwrap(values)
    n = known.shape[-1]
    return n * epsilon(known) * as_columns(largest(absolute(known), -1, keepdims=True)) if n else 0.0


def quotient(numerator: Array, denominator: Array, tolerance: Any, refusal: str = "") -> Array:
    """``numerator / denominator``, and 0 where the numerator is, whatever it is divided by.

    Where the denominator is not larger than ``tolerance`` there is no quotient: it is refused, or NaN where there is no refusal or
    the values are not known.
    """
    vanishes = less_equal(absolute(denominator), tolerance)
    lost = logical_and(vanishes, not_equal(numerator, 0))
    if refusal:
        refuse(lost, refusal)
    return where(lost, math.nan, numerator / where(vanishes, 1.0, denominator))


def refuse(lost: Array, refusal: str) -> None:
    """Raise the error for the first place where a derivative is lost, if the values are known; ``refusal`` may name its last two
    indices, i and j."""
    known = unwrap(lost)
    if is_mutable(known) and known.any():
        place = np.argwhere(asnumpy(known))[0]
        raise np.linalg.LinAlgError(refusal.format(i=place[-2:][0], j=place[-1]))


def off_diagonal(x: Array) -> Array:
    """``x`` with zeros on the diagonal."""
    return x * (1 - identity_like(x))


def over_gaps(x: Array, values: Array, refusal: str = "") -> Array:
    """``x[i, j] / (values[j] - values[i])`` off the diagonal, and 0 on it."""
    return quotient(off_diagonal(x), expand_dims(values, -2) - as_columns(values), rounding(values), refusal)


# ---- vectors that span what the others leave


def turned(dv: Array, v: Array) -> Array:
    """The tangent of all columns of a unitary matrix, from that of the first few: the rest turn no more than they must."""
    k = dv.shape[-1]
    first, rest = v[..., :k], v[..., k:]
    return concat([dv, -matmul(first, matmul(adjoint(dv), rest))], -1) if rest.shape[-1] else dv


def turned_transpose(g: Array, v: Array, k: int) -> Array:
    """The transpose of `turned`: the cotangent of the first ``k`` columns, from that of all."""
    first, rest = v[..., :k], v[..., k:]
    if not rest.shape[-1]:
        return g
    return g[..., :k] - matmul(conj(rest), matmul(adjoint(g[..., k:]), conj(first)))
