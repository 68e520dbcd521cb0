"""Krylov methods: linear systems of which only products with the matrix are known.

Vectors may have any shape: all elements together are one vector. They stay where they are, on a GPU too; of each iteration one
number comes to the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyad.backend import Array, asnumpy, module_of
from tinyad.optim.result import Result

__all__ = ["cg", "gmres"]

Product = Callable[[Array], Array]


def cg(A: Product, b: Array, x0: Array | None = None, *, tolerance: float = 1e-10, iterations: int | None = None) -> Result:
    """Conjugate gradients for ``A x = b`` with a symmetric positive definite ``A``.

    Args:
        A: the product with the matrix, a function from arrays of the shape of ``b`` to such arrays.
        b: the right-hand side.
        x0: where to start; 0 by default.
        tolerance: of the residual, relative to ``b``.
        iterations: at most so many; as many as unknowns by default.

    Returns:
        Rows of the history have ``residual``, its norm, and ``products``, with the matrix until then.

        If a direction shows that the matrix is not positive definite, the result is a failure that says so.

    Source: M. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.

    >>> import numpy as np
    >>> from tinyad import optim
    >>> K = np.array([[4.0, 1.0], [1.0, 3.0]])
    >>> optim.cg(lambda v: K @ v, np.array([1.0, 2.0]))
    Result(success after 2 iterations: the residual is below 1e-10 of the right-hand side)
    """
    x = module_of(b).zeros_like(b) if x0 is None else x0
    r = b - A(x) if x0 is not None else b
    goal, size = tolerance * _norm(b), _dot(r, r)
    p, history = r, [] if x0 is None else [{"residual": math.sqrt(size), "products": 1}]
    for _ in range(b.size if iterations is None else iterations):
        if math.sqrt(size) <= goal:
            break
        Ap = A(p)
        curvature = _dot(p, Ap)
        if not curvature > 0:
            return Result(x, False, _indefinite(curvature), history)
        x, r = x + (size / curvature) * p, r - (size / curvature) * Ap
        size, before = _dot(r, r), size
        history.append({"residual": math.sqrt(size), "products": len(history) + 1})
        p = r + (size / before) * p
    return _result(x, math.sqrt(size), goal, tolerance, history)


def gmres(
    A: Product, b: Array, x0: Array | None = None, *, tolerance: float = 1e-10, iterations: int | None = None, restart: int = 50
) -> Result:
    """The generalised minimal residual method for ``A x = b`` with any square ``A``.

    Args:
        A, b, x0, tolerance: see `cg`.
        iterations: at most so many; ten times as many as unknowns by default, but no more than 1000.
        restart: after how many iterations to start again from the best approximation, so that memory for no more than so many
            vectors is needed.

    Returns:
        See `cg`.

    Source: Y. Saad, M. Schultz, "GMRES: a generalized minimal residual algorithm for solving nonsymmetric linear systems", 1986.

    >>> import numpy as np
    >>> from tinyad import optim
    >>> K = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> optim.gmres(lambda v: K @ v, np.array([1.0, 2.0])).x
    array([-2.,  1.])
    """
    if restart < 1:
        raise ValueError(f"gmres: restart={restart}; expected at least 1 iteration")
    x = module_of(b).zeros_like(b) if x0 is None else x0
    r = b if x0 is None else b - A(x)
    goal, history = tolerance * _norm(b), []  # type: float, list[dict[str, Any]]
    left = min(10 * b.size, 1000) if iterations is None else iterations
    size = _norm(r)
    while size > goal and left > 0 and math.isfinite(size):
        correction = _cycle(A, r, size, goal, min(restart, left, b.size), history)
        left -= max(min(restart, left, b.size), 1)
        x = x + correction
        r, before = b - A(x), size
        size = _norm(r)
        if not size < before * (1 - 1e-12):  # a full cycle that gains nothing will not later
            break
    return _result(x, size, goal, tolerance, history)


def _cycle(A: Product, r: Array, size: float, goal: float, count: int, history: list[dict[str, Any]]) -> Array:
    """The correction of least residual from a Krylov space, which grows until that is small enough."""
    dtype = np.result_type(r.dtype, np.float64)
    basis, H = [r / size], np.zeros((count + 1, count), dtype)
    right = np.zeros(count + 1, dtype)
    right[0] = size
    k = 0
    for k in range(1, count + 1):
        v = A(basis[-1])
        scale = _norm(v)
        for _ in range(2):  # once more, for orthogonality to rounding
            for i, q in enumerate(basis):
                h = _inner(q, v)
                H[i, k - 1] += h
                v = v - h * q
        H[k, k - 1] = _norm(v)
        y, *_ = np.linalg.lstsq(H[: k + 1, :k], right[: k + 1], rcond=None)
        residual = float(np.linalg.norm(right[: k + 1] - H[: k + 1, :k] @ y))
        history.append({"residual": residual, "products": len(history) + 1})
        if residual <= 0.5 * goal or abs(H[k, k - 1]) <= 1e-14 * scale:
            break
        basis.append(v / float(abs(H[k, k - 1])))
    kind = complex if np.iscomplexobj(H) else float
    return sum((kind(c) * q for c, q in zip(y, basis, strict=False)), 0.0 * r)


def _inner(q: Array, v: Array) -> Any:
    value = asnumpy((q.conj() * v).sum())[()]
    return complex(value) if np.iscomplexobj(value) else float(value)


def _dot(x: Array, y: Array) -> float:
    return float(asnumpy((x.conj() * y).sum()).real)


def _norm(x: Array) -> float:
    return math.sqrt(_dot(x, x))


def _indefinite(curvature: float) -> str:
    return (
        f"the matrix is not positive definite: p' A p = {curvature:.1e} for a direction p. Take gmres, or add a multiple of the "
        f"identity"
    )


def _result(x: Array, size: float, goal: float, tolerance: float, history: list[dict[str, Any]]) -> Result:
    if size <= goal:
        return Result(x, True, f"the residual is below {tolerance:g} of the right-hand side", history)
    share = size / goal * tolerance if goal else math.inf
    reason = f"the residual is still {share:.1e} of the right-hand side; allow more iterations, or less accuracy"
    return Result(x, False, reason, history)
