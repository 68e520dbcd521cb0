"""A Tensor is an array with a place on the tape.

The place is a `tinyad.tape.Node`, or ``None`` for a constant. A Tensor never changes hands with its node: the node does not
know the Tensor (memory falls by reference counting), and two Tensors may stand at the same place, which is how the walks
turn a saved array back into a Tensor when a derivative is itself recorded.

Its operators and methods are primitives, which are built on top of Tensors: they are declared in `tinyad.array_interface`
and given to the class by `tinyad.operators`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .array_interface import ArrayInterface
from .backend import Array, asnumpy, is_mutable
from .callers import stores_an_element

if TYPE_CHECKING:
    from .tape import Node

__all__ = ["Tensor", "unwrap"]


class Tensor(ArrayInterface):
    """An array and its place on the tape.

    Make one with `tinyad.tensor` (a variable) or with the creation functions (constants); operations make the others.

    Attributes:
        array: the values, a NumPy or CuPy array (or NumPy scalar) of any shape.
        node: the place on the tape, ``None`` for a constant.
        family: what shows the same memory; see `tinyad.aliases`.

    >>> import tinyad as ad
    >>> x = ad.tensor([1.0, 2.0, 3.0])
    >>> y = (ad.sin(x) * x).sum()
    >>> y.backward()
    >>> x.grad.round(3)
    array([ 1.382,  0.077, -2.829])
    """

    __slots__ = ("__weakref__", "array", "family", "node")
    __array_priority__ = 1000.0  # CuPy's operators leave `cupy_array * tensor` to us by this number

    array: Array
    node: Node | None
    family: list[Any]

    def __init__(self, array: Array, node: Node | None = None) -> None:
        self.array = array
        self.node = node

    # ---- what an array knows of itself

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The array's dtype."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.array.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.array.size  # type: ignore[no-any-return]

    @property
    def grad(self) -> Array | None:
        """What ``backward`` has accumulated for a variable made by `tinyad.tensor`: a plain array, or ``None``."""
        return getattr(self.node, "grad", None)

    @grad.setter
    def grad(self, value: Array | None) -> None:
        if not hasattr(self.node, "grad"):
            raise AttributeError(
                "grad: only a variable made by ad.tensor(...) keeps a gradient; this Tensor is "
                + ("a constant." if self.node is None else "the result of an operation.")
            )
        self.node.grad = value  # type: ignore[union-attr]

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    __hash__ = object.__hash__  # `==` compares elements, so the class must say that it hashes by identity

    def __repr__(self) -> str:
        body = np.array2string(asnumpy(self.array), separator=", ") if is_mutable(self.array) else repr(self.array)
        return f"Tensor({body}, dtype={self.dtype}{'' if self.node is None else ', on the tape'})"

    # ---- leaving the tape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if self.node is not None:
            raise TypeError(
                "a recorded Tensor cannot become a plain array without losing its gradient. To build an array from "
                "Tensors use ad.stack, ad.concat or ad.where, or assign into one made by ad.zeros; for the values alone take "
                "x.array, or ad.stop_gradient(x)."
            )
        return np.array(self.array, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        if self.node is not None and stores_an_element():
            raise TypeError(
                "assignment: a plain array cannot hold a recorded Tensor without losing its gradient. Make the array with "
                "ad.zeros(...), which can: y = ad.zeros(n); y[i] = x"
            )
        return float(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __index__(self) -> int:
        array = self.array if hasattr(self.array, "__index__") else asnumpy(self.array)  # CuPy's arrays have none
        return array.__index__()

    def __complex__(self) -> complex:
        return complex(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def item(self) -> Any:
        """The only element, as a Python number."""
        return self.array.item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.array.tolist()


def unwrap(value: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return value.array if isinstance(value, Tensor) else value
