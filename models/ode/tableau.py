"""Butcher tableaux that check themselves: a coefficient that is wrong is an error when the tableau is made, not in a result.

A Runge-Kutta step from ``y`` at time ``t`` with length ``h`` is

    k_i = f(t + c_i h, y + h sum_j A_ij k_j),        y_next = y + h sum_i b_i k_i.

It has order p if, for every rooted tree with at most p nodes, a sum of products of the coefficients that the tree spells has a
value the tree fixes (the order conditions). Values that advance the solution and the values of the embedded method are held to
it, and so is the interpolant of dense output.

Source: E. Hairer, S. Norsett, G. Wanner, "Solving Ordinary Differential Equations I", 1993, sections II.1, II.2 and II.6.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "DOPRI5", "EULER", "HEUN", "IMPLICIT_EULER", "IMPLICIT_MIDPOINT", "MIDPOINT", "RALSTON3", "RK4", "TABLEAUX", "TRAPEZOID",
    "Tableau", "Violation", "check_tableau",
]  # fmt: skip

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Tree = tuple[Any, ...]
"""A rooted tree: the trees that hang from its root."""

_TOLERANCE = 1e-13  # coefficients are quotients of integers, right to a few units of 1e-16, in sums of at most a dozen terms


@dataclass(frozen=True)
class Violation:
    """A condition that a tableau breaks.

    Attributes:
        condition: what should hold, in words.
        expected, found: the two sides of it.
    """

    condition: str
    expected: float
    found: float

    def __str__(self) -> str:
        return f"{self.condition}: expected {self.expected:.6g}, found {self.found:.6g}"


@dataclass(frozen=True, eq=False)
class Tableau:
    """The coefficients of a Runge-Kutta method with s stages.

    Attributes:
        A: shape (s, s).
        b: shape (s,), the weights that advance the solution.
        c: shape (s,), the nodes.
        order: that of ``b``.
        b_hat: shape (s,), the weights of an embedded method, whose distance from ``b`` estimates the error.
        order_hat: its order.
        dense: shape (s, q), the weights of dense output: at ``t + theta h`` the solution is
            ``y + h sum_ij dense_ij theta^(j + 1) k_i``.
        order_dense: its order, uniformly in theta.
        name: what messages call it.

    Raises:
        ValueError: if the shapes do not fit, a row of ``A`` does not sum to its node, or the order is not as said. The message
            lists the conditions that fail; `check_tableau` gives them as a list.

    >>> from tinyad.models import ode
    >>> ode.Tableau([[0, 0], [1 / 2, 0]], [0, 1], [0, 1 / 2], order=2, name="midpoint")
    Tableau('midpoint': 2 stages, order 2)
    """

    A: Any
    b: Any
    c: Any
    order: int
    b_hat: Any = None
    order_hat: int | None = None
    dense: Any = None
    order_dense: int | None = None
    name: str = "tableau"

    def __post_init__(self) -> None:
        for field in ("A", "b", "c", "b_hat", "dense"):
            value = getattr(self, field)
            object.__setattr__(self, field, None if value is None else np.array(value, dtype=float))
        self._check_shapes()
        violations = _violations(self)
        if violations:
            shown = "".join(f"\n    {violation}" for violation in violations[:4])
            more = f"\n    and {len(violations) - 4} more" if len(violations) > 4 else ""
            raise ValueError(
                f"Tableau {self.name!r} breaks {len(violations)} of the conditions for what it says it is:{shown}{more}\n"
                f"Compare the coefficients with their source: usual mistakes are a sign in c, and b_hat in the place of b."
            )

    def _check_shapes(self) -> None:
        s = len(self.b)
        shapes = {"A": (s, s), "b": (s,), "c": (s,), "b_hat": (s,)}
        for field, expected in shapes.items():
            value = getattr(self, field)
            if value is not None and value.shape != expected:
                raise ValueError(
                    f"Tableau {self.name!r}: {field} has shape {value.shape}; expected {expected} for {s} weights b"
                )
        if self.dense is not None and (self.dense.ndim != 2 or len(self.dense) != s):
            raise ValueError(f"Tableau {self.name!r}: dense has shape {self.dense.shape}; expected ({s}, degree)")
        for weights, order in (("b_hat", "order_hat"), ("dense", "order_dense")):
            if (getattr(self, weights) is None) != (getattr(self, order) is None):
                raise ValueError(f"Tableau {self.name!r}: {weights} and {order} go together; give both or none")
        if not hasattr(self.order, "__index__") or self.order < 1:
            raise ValueError(f"Tableau {self.name!r}: order={self.order!r}; expected a whole number of at least 1")

    def __repr__(self) -> str:
        return f"Tableau({self.name!r}: {self.stages} stages, order {self.order})"

    @property
    def stages(self) -> int:
        """How many evaluations a step takes."""
        return len(self.b)

    @property
    def explicit(self) -> bool:
        """Whether each stage needs only those before it."""
        return not np.triu(self.A).any()

    def stability(self, z: Any) -> Any:
        """The factor by which a step multiplies ``y`` of ``y' = lambda y``, for ``z = h lambda``; a step is stable up to 1.

        ``R(z) = 1 + z b' (I - z A)^-1 1`` (Hairer, Wanner, "Solving Ordinary Differential Equations II", equation IV.3.2).

        >>> from tinyad.models import ode
        >>> ode.EULER.stability(-2.0)
        np.complex128(-1+0j)
        """
        z = np.asarray(z, dtype=complex)
        ones = np.ones(self.stages)
        solved = np.linalg.solve(
            np.eye(self.stages) - z[..., None, None] * self.A, np.broadcast_to(ones, (*z.shape, len(ones)))[..., None]
        )
        return (1.0 + z * (solved[..., 0] @ self.b))[()]


# ---- order conditions


@functools.cache
def _trees(nodes: int) -> tuple[Tree, ...]:
    """All rooted trees with this number of nodes, each written once."""
    if nodes == 1:
        return ((),)
    return tuple(sorted({tuple(sorted(forest)) for forest in _forests(nodes - 1)}))


def _forests(nodes: int) -> Iterator[Tree]:
    if nodes == 0:
        yield ()
    for first in range(1, nodes + 1):
        for tree in _trees(first):
            for rest in _forests(nodes - first):
                yield (tree, *rest)


def _size(tree: Tree) -> int:
    return 1 + sum(map(_size, tree))


def _density(tree: Tree) -> int:
    """The number of nodes below each node, itself included, multiplied over all nodes."""
    return _size(tree) * math.prod(map(_density, tree))


def _stage_weights(tree: Tree, A: FloatArray) -> FloatArray:
    """For each stage, the product over the branches at the root of what they sum up to."""
    product = np.ones(len(A))
    for branch in tree:
        product = product * (A @ _stage_weights(branch, A))
    return product


def _spelled(tree: Tree) -> str:
    """A tree in Butcher's brackets: [] for a node, with its branches inside."""
    return "[" + "".join(map(_spelled, tree)) + "]"


def check_tableau(A: Any, b: Any, c: Any, order: int, b_hat: Any = None, order_hat: int | None = None) -> list[Violation]:
    """The conditions that coefficients break: an empty list if they are those of a method of this order.

    A row of ``A`` that does not sum to its node spoils problems that depend on time, and only these: a test on an autonomous
    problem does not see it.

    >>> from tinyad.models import ode
    >>> for violation in ode.check_tableau([[0, 0], [1 / 2, 0]], [1, 0], [0, 1 / 2], order=2):
    ...     print(violation)
    order 2 of b, tree [[]]: expected 0.5, found 0
    """
    A, b, c = (np.array(value, dtype=float) for value in (A, b, c))
    found = [
        Violation(f"row {i} of A sums to c[{i}]", c[i], total) for i, total in enumerate(A.sum(axis=1)) if _apart(total, c[i])
    ]
    found += _of_weights("b", b, A, order)
    if b_hat is not None and order_hat is not None:
        found += _of_weights("b_hat", np.array(b_hat, dtype=float), A, order_hat)
    return found


def _violations(tableau: Tableau) -> list[Violation]:
    found = check_tableau(tableau.A, tableau.b, tableau.c, tableau.order, tableau.b_hat, tableau.order_hat)
    if tableau.dense is not None and tableau.order_dense is not None:
        found += _of_dense(tableau.dense, tableau)
    return found


def _of_weights(name: str, weights: FloatArray, A: FloatArray, order: int) -> list[Violation]:
    conditions = [
        (f"order {nodes} of {name}, tree {_spelled(tree)}", 1.0 / _density(tree), float(weights @ _stage_weights(tree, A)))
        for nodes in range(1, order + 1)
        for tree in _trees(nodes)
    ]
    return [Violation(*condition) for condition in conditions if _apart(condition[2], condition[1])]


def _of_dense(dense: FloatArray, tableau: Tableau) -> list[Violation]:
    """The interpolant ends in the step, and what a tree spells is its power of theta, in every coefficient."""
    found = [
        Violation(f"dense output at theta = 1, weight {i}", end, total)
        for i, (total, end) in enumerate(zip(dense.sum(axis=1), tableau.b, strict=True))
        if _apart(total, end)
    ]
    for nodes in range(1, (tableau.order_dense or 0) + 1):
        for tree in _trees(nodes):
            powers = _stage_weights(tree, tableau.A) @ dense
            expected = np.eye(1, len(powers), nodes - 1)[0] / _density(tree)
            found += [
                Violation(f"order {nodes} of dense output, tree {_spelled(tree)}, power {j + 1} of theta", e, p)
                for j, (e, p) in enumerate(zip(expected, powers, strict=True))
                if _apart(p, e)
            ]
    return found


def _apart(found: float, expected: float) -> bool:
    return not abs(found - expected) <= _TOLERANCE


# ---- the methods


EULER = Tableau([[0]], [1], [0], 1, name="euler")
MIDPOINT = Tableau([[0, 0], [1 / 2, 0]], [0, 1], [0, 1 / 2], 2, name="midpoint")
HEUN = Tableau([[0, 0], [1, 0]], [1 / 2, 1 / 2], [0, 1], 2, [1, 0], 1, name="heun")
RALSTON3 = Tableau([[0, 0, 0], [1 / 2, 0, 0], [0, 3 / 4, 0]], [2 / 9, 1 / 3, 4 / 9], [0, 1 / 2, 3 / 4], 3, name="ralston3")
RK4 = Tableau(
    [[0, 0, 0, 0], [1 / 2, 0, 0, 0], [0, 1 / 2, 0, 0], [0, 0, 1, 0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0, 1 / 2, 1 / 2, 1], 4,
    name="rk4",
)  # fmt: skip


def _dopri5_dense() -> FloatArray:
    """The weights of L. Shampine, "Some practical Runge-Kutta formulas", 1986, as Hairer et al. write them in section II.6."""
    theta = np.polynomial.Polynomial([0, 1])
    rise, bump = theta**2 * (3 - 2 * theta), theta**2 * (theta - 1) ** 2
    b = [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]
    weights = [
        rise * b[0] + theta * (theta - 1) ** 2 - bump * 5 * (2558722523 - 31403016 * theta) / 11282082432,
        0 * bump,
        rise * b[2] + bump * 100 * (882725551 - 15701508 * theta) / 32700410799,
        rise * b[3] - bump * 25 * (443332067 - 31403016 * theta) / 1880347072,
        rise * b[4] + bump * 32805 * (23143187 - 3489224 * theta) / 199316789632,
        rise * b[5] - bump * 55 * (29972135 - 7076736 * theta) / 822651844,
        theta**2 * (theta - 1) + bump * 10 * (7414447 - 829305 * theta) / 29380423,
    ]
    return np.array([np.pad(w.coef, (0, 6 - len(w.coef)))[1:] for w in weights])


DOPRI5 = Tableau(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [1 / 5, 0, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
    ],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
    [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1],
    5,
    [5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40],
    4,
    _dopri5_dense(),
    4,
    name="dopri5",
)
IMPLICIT_EULER = Tableau([[1]], [1], [1], 1, name="implicit_euler")
IMPLICIT_MIDPOINT = Tableau([[1 / 2]], [1], [1 / 2], 2, name="implicit_midpoint")
TRAPEZOID = Tableau([[0, 0], [1 / 2, 1 / 2]], [1 / 2, 1 / 2], [0, 1], 2, name="trapezoid")

TABLEAUX = {
    tableau.name: tableau
    for tableau in (EULER, MIDPOINT, HEUN, RALSTON3, RK4, DOPRI5, IMPLICIT_EULER, IMPLICIT_MIDPOINT, TRAPEZOID)
}
