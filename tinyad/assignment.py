"""Assignment to Tensors: ``x[i] = v``, ``x[i] += v``, ``x += v``, ``np.add(x, y, out=z)``, and ``x.at[i].set(v)`` as an expression.

Nothing is written to memory, because the tape may still need the old values: an assignment records a new array, and the Tensor
goes on as that one, under all its names. What NumPy would show through a view of the old memory, nobody would see; so where
another Tensor shows elements that are assigned to, the assignment is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .aliases import in_the_way, leave
from .callers import is_stored_in_an_element
from .contexts import is_paused
from .primitives.elementwise import add, positive
from .primitives.indexing import getitem
from .primitives.shaping import astype, shape_of
from .primitives.updates import added_at, multiplied, put
from .tape import Variable
from .tensor import Tensor, unwrap
from .tracing import Traced

__all__ = ["At", "assign", "copy", "in_place", "rebind"]

Function = Callable[..., Any]


def assign(x: Tensor | Traced, index: Any, value: Any) -> None:
    """``x[index] = value``: from now on ``x`` is the array with these elements replaced, and on the tape if ``value`` is.

    Raises:
        TypeError: if another Tensor shows some of these elements, or ``x`` is a variable made by `tinyad.tensor`.
        ValueError, IndexError: as NumPy, if shapes do not fit.

    >>> import tinyad as ad
    >>> def powers(x):
    ...     y = ad.ones(4)
    ...     for i in range(3):
    ...         y[i + 1] = y[i] * x
    ...     return y
    >>> ad.jacobian(powers)(2.0)
    array([ 0.,  1.,  4., 12.])
    """
    new = put(x, index, value)
    if isinstance(x, Traced):
        x.trace.check_update(x, new, "x[...] = v", "Copy it first: x = x.copy()", unwrap(index))
        x.become(new)
    else:
        _check_alone(x, unwrap(index), "x[...] = v")
        _become(x, new)


def rebind(x: Tensor | Traced, new: Any, what: str) -> Any:
    """Let ``x`` be ``new``, a result of its shape, as NumPy writes a result to memory.

    Raises:
        ValueError: if the result has another shape.
        TypeError: if ``x`` cannot hold it, another Tensor shows its elements, or it is a variable made by `tinyad.tensor`.
    """
    if isinstance(x, Traced):
        x.trace.check_update(x, new, what, "Use the result instead")
    else:
        _check_alone(x, ..., what)
    shape, dtype = shape_of(new), unwrap(new).dtype
    if shape != x.shape:
        raise ValueError(f"{what}: the result has shape {shape} and x has {x.shape}, which in place must stay. Write x = x + y")
    if not np.can_cast(dtype, x.dtype, "same_kind"):
        raise TypeError(f"{what}: x of dtype {x.dtype} cannot hold the result, of dtype {dtype}. Write x = x + y")
    new = new if dtype == x.dtype else astype(new, x.dtype)
    return x.become(new) if isinstance(x, Traced) else _become(x, new)


def _become(x: Tensor, new: Any) -> Tensor:
    leave(x)
    if type(x.node) is not Variable:
        x.node = new.node if isinstance(new, Tensor) else None
    x.array = unwrap(new)
    return x


def _check_alone(x: Tensor, index: Any, what: str) -> None:
    if type(x.node) is Variable and not is_paused():
        raise TypeError(
            f"{what}: x is a variable made by ad.tensor(...), and would lose its gradient. Assign to a copy, x = x.copy(); or, to "
            f"give the variable new values, inside `with ad.no_grad():`"
        )
    other = in_the_way(x, index)
    if other is not None:
        raise TypeError(
            f"{what}: another Tensor, of shape {other.shape}, shows the same elements (one is a slice, transpose or other view of "
            f"the other) and would not see the new values. Copy one of them first, with .copy(), or assign through the array itself"
        )


def copy(x: Tensor) -> Tensor:
    """The same values at the same place on the tape, in memory of their own: what is assigned to one is not seen in the other."""
    return positive(x) if type(x.node) is Variable else Tensor(x.array.copy(), x.node)  # a variable alone keeps a gradient


# ---- in place


def in_place(operation: Function, sign: str) -> Function:
    """``x += y`` and its like, from ``x + y``."""

    def update(x: Tensor, y: Any) -> Any:
        new = operation(x, y)
        if isinstance(getattr(x.array, "example", x.array), (np.generic, int, float, complex)):  # a number never changes
            return new
        if in_the_way(x) is not None and is_stored_in_an_element():  # in `x[i] += y`, what a slice gives is assigned to x
            return new
        return rebind(x, new, f"x {sign} y")

    return update


# ---- as an expression


class At:
    """``x.at[index]``: the array that an update of these elements gives, leaving ``x`` as it is."""

    __slots__ = ("index", "x")

    def __init__(self, x: Any, index: Any = None) -> None:
        self.x, self.index = x, index

    def __getitem__(self, index: Any) -> At:
        return At(self.x, index)

    def get(self) -> Any:
        """``x[index]``."""
        return getitem(self.x, self.index)

    def set(self, values: Any) -> Any:
        """``x`` with ``x[index] = values``; of repeated indices the last counts."""
        return put(self.x, self.index, values)

    def add(self, values: Any) -> Any:
        """``x`` with ``values`` added; repeated indices add up.

        >>> import numpy as np, tinyad as ad
        >>> ad.grad(lambda v: ad.zeros(2).at[np.array([0, 0, 1])].add(v)[0])(np.ones(3))
        array([1., 1., 0.])
        """
        return add(self.x, added_at(self.x, self.index, values))

    def multiply(self, values: Any) -> Any:
        """``x`` with these elements multiplied by ``values``, again and again where an index is repeated."""
        return multiplied(self.x, self.index, values)
