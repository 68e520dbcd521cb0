"""Controls: parameters that change in time, on a grid of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.backend import module_of
from tinyad.models.module import Module
from tinyad.tensor import unwrap

__all__ = ["Control", "PiecewiseConstant", "PiecewiseLinear", "following"]


@dataclass
class Control(Module):
    """Base of the controls: ``theta(t)`` given by values on an equidistant grid over an interval.

    As the parameters of `odeint` the right-hand side gets ``theta(t)``, and each step meets one cell of the control alone: a grid
    of steps that is finer than that of the control is made to meet its knots, or a method would lose its order at them.

    Attributes:
        values: a tree of arrays whose first axis are the cells or the knots.
        interval: where the control is given, ``(start, end)``; the one that is solved over lies within.

    Raises:
        ValueError: if the arrays differ in their first axis, or the interval is empty.
    """

    values: Any
    interval: tuple[float, float] = field(metadata={"static": True})

    def __post_init__(self) -> None:
        leaves = tree.leaves(self.values)
        if not all(hasattr(leaf, "shape") for leaf in leaves):
            return  # a tree of something else, as trees are taken apart and put together
        lengths = sorted({leaf.shape[0] if leaf.shape else 0 for leaf in leaves})
        if len(lengths) != 1 or lengths[0] < self._fewest:
            raise ValueError(
                f"{type(self).__name__}: values have {lengths or 'no'} rows; expected arrays with one first axis, of at least "
                f"{self._fewest}: the same number of values for all"
            )
        start, end = self.interval
        if not start < end:
            raise ValueError(f"{type(self).__name__}: interval={self.interval!r}; expected (start, end) with start < end")

    _fewest = 1

    @property
    def rows(self) -> int:
        """How many values there are."""
        return int(tree.leaves(self.values)[0].shape[0])

    @property
    def cells(self) -> int:
        """Into how many pieces the interval is cut."""
        raise NotImplementedError

    @property
    def knots(self) -> np.ndarray[Any, Any]:
        """Where one piece ends and the next begins, the ends of the interval among them."""
        return np.linspace(*self.interval, self.cells + 1)

    def cell_at(self, t: float) -> int:
        """The number of the piece in which a time lies; a knot belongs to the piece after it."""
        start, end = self.interval
        if not start <= t <= end:
            raise ValueError(f"{type(self).__name__}: t={t:g} lies outside the interval from {start:g} to {end:g}")
        return min(int(np.searchsorted(self.knots, t, side="right")) - 1, self.cells - 1)

    def __call__(self, t: float) -> Any:
        """``theta(t)``."""
        return at(self.piece(self.cell_at(t)), t)

    def piece(self, cell: int) -> Any:
        """The control within a cell; see `at`."""
        return tree.map(lambda leaf: leaf[0], self.pieces([cell]))

    def piece_between(self, start: float, end: float) -> Any:
        """The control within the cell in which two times lie."""
        return self.piece(self.cell_at(0.5 * (start + end)))

    def pieces_of(self, times: Sequence[Any]) -> Any:
        """The control between each time and the next, stacked."""
        fixed = [float(unwrap(t)) for t in times]
        return self.pieces([self.cell_at(0.5 * (start + end)) for start, end in itertools.pairwise(fixed)])

    def pieces(self, cells: Sequence[int]) -> Any:
        """The control within several cells, stacked."""
        raise NotImplementedError

    def refined(self) -> Self:
        """The same function of time on twice as many cells: the prolongation of a network's weights to twice its depth."""
        raise NotImplementedError

    def _taken(self, rows: Sequence[int]) -> Any:
        if list(rows) == list(range(self.rows)):
            return self.values
        return tree.map(lambda leaf: ad.take(leaf, module_of(unwrap(leaf)).asarray(rows), axis=0), self.values)


@dataclass
class PiecewiseConstant(Control):
    """A value for each cell: that of a layer, where a cell is one step of Euler's method.

    >>> import numpy as np
    >>> from tinyad.models import ode
    >>> theta = ode.PiecewiseConstant(np.array([1.0, -1.0]), (0.0, 2.0))
    >>> theta(0.5), theta(1.5), theta.refined().values
    (np.float64(1.0), np.float64(-1.0), array([ 1.,  1., -1., -1.]))
    >>> ode.odeint(lambda t, y, theta: theta, 0.0, (0.0, 1.5), theta, steps=3).round(6)
    np.float64(0.5)
    """

    @property
    def cells(self) -> int:
        return self.rows

    def pieces(self, cells: Sequence[int]) -> Any:
        return self._taken(cells)

    def refined(self) -> Self:
        return replace(self, values=tree.map(lambda leaf: ad.repeat(leaf, 2, axis=0), self.values))


@dataclass
class PiecewiseLinear(Control):
    """A value for each knot, and straight lines between them.

    >>> import numpy as np
    >>> from tinyad.models import ode
    >>> theta = ode.PiecewiseLinear(np.array([0.0, 1.0, 0.0]), (0.0, 2.0))
    >>> theta(0.25), theta.refined().values
    (np.float64(0.25), array([0. , 0.5, 1. , 0.5, 0. ]))
    >>> ode.odeint(lambda t, y, theta: theta, 0.0, (0.0, 2.0), theta, steps=4)
    np.float64(1.0)
    """

    _fewest = 2

    @property
    def cells(self) -> int:
        return self.rows - 1

    def pieces(self, cells: Sequence[int]) -> Any:
        like = unwrap(tree.leaves(self.values)[0])
        start, width = self.interval[0], (self.interval[1] - self.interval[0]) / self.cells
        starts = module_of(like).asarray([start + width * cell for cell in cells], like.dtype)
        return _Line(self._taken(cells), self._taken([cell + 1 for cell in cells]), starts, width)

    def refined(self) -> Self:
        def halved(leaf: Any) -> Any:
            middles = 0.5 * (leaf[:-1] + leaf[1:])
            pairs = ad.stack([leaf[:-1], middles], axis=1)
            return ad.concat([ad.reshape(pairs, (-1, *leaf.shape[1:])), leaf[-1:]])

        return replace(self, values=tree.map(halved, self.values))


@dataclass
class _Line(Module):
    """A tree that goes straight from one value to another."""

    left: Any
    right: Any
    start: Any
    width: float = field(metadata={"static": True})

    def at(self, t: Any) -> Any:
        s = (t - self.start) / self.width
        return tree.map(lambda a, b: a + s * (b - a), self.left, self.right)


def at(piece: Any, t: Any) -> Any:
    """The value at a time of a control within a cell."""
    return piece.at(t) if isinstance(piece, _Line) else piece


def following(f: Any, theta: Any) -> Any:
    """A right-hand side, or a pair of them, that takes the piece of a control for its parameters."""
    if not isinstance(theta, Control):
        return f

    def of_piece(part: Any) -> Any:
        return lambda t, y, piece: part(t, y, at(piece, t))

    return tuple(map(of_piece, f)) if isinstance(f, tuple) else of_piece(f)
