"""Models as data: a model is a dataclass whose arrays are its parameters.

There is nothing to register. A subclass of `Module` is a dataclass and therefore a tree (`tinyad.tree`): the fields that
hold arrays, directly or in containers and other modules, are the parameters; the others (an activation, a step size) are
its structure. So ``ad.grad(loss)(model, x, y)`` is a model of gradients, and an optimiser is a map over trees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Self

from tinyad import tree
from tinyad.tensor import unwrap

__all__ = ["Module", "parameters"]


class Module:
    """Base of models. Subclasses carry ``@dataclass`` of their own.

    It gives a ``repr`` that shows shapes in place of numbers, and equality by identity (arrays have no single truth value).

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from tinyad import models
    >>> @dataclass
    ... class Line(models.Module):
    ...     slope: np.ndarray
    ...     shift: np.ndarray
    ...
    ...     def __call__(self, x):
    ...         return x @ self.slope + self.shift
    >>> line = Line(np.ones((3, 1)), np.zeros(1))
    >>> line
    Line(slope=float64[3, 1], shift=float64[1]): 4 parameters
    >>> line(np.ones((2, 3)))
    array([[3.],
           [3.]])
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # `@dataclass` runs after this. It leaves alone what the class itself defines, and would otherwise write a repr that
        # prints every number and an `==` that raises on arrays.
        for name in ("__repr__", "__eq__", "__hash__"):
            if name not in cls.__dict__:
                setattr(cls, name, getattr(cls, name))

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if "__dataclass_fields__" not in cls.__dict__:
            raise TypeError(
                f"{cls.__name__}: is a Module but no dataclass, so its arrays would not be parameters. "
                f"Write @dataclass above `class {cls.__name__}`."
            )
        return super().__new__(cls)

    def __repr__(self) -> str:
        fields = _fields(self)
        text = f"{type(self).__name__}({', '.join(fields)})"
        if len(text) > 100:
            text = f"{type(self).__name__}(\n" + "".join(f"    {field},\n" for field in fields) + ")"
        return f"{text}: {parameters(self):,} parameters"


def parameters(model: Any) -> int:
    """Number of scalar parameters: the elements of all leaves of a tree.

    >>> import numpy as np
    >>> from tinyad import models
    >>> models.parameters({"weight": np.ones((3, 2)), "bias": np.zeros(2)})
    8
    """
    return sum(int(getattr(leaf, "size", 1)) for leaf in tree.leaves(model))


def _fields(model: Module) -> list[str]:
    return [f"{field.name}={_show(getattr(model, field.name))}" for field in dataclasses.fields(model)]  # type: ignore[arg-type]


def _show(value: Any) -> str:
    """A value in one line, arrays by dtype and shape."""
    value = unwrap(value)
    if isinstance(value, Module):
        return f"{type(value).__name__}({', '.join(_fields(value))})"
    if isinstance(value, tuple):
        return f"({_items(map(_show, value))})"
    if isinstance(value, list):
        return f"[{_items(map(_show, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_show(item)}" for key, item in value.items()) + "}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}{list(value.shape)}"
    return getattr(value, "__name__", None) or repr(value)


def _items(shown: Iterable[str]) -> str:
    """Equal neighbours counted, so that a network of a hundred equal layers is one line."""
    runs = [(text, len(list(run))) for text, run in groupby(shown)]
    return ", ".join(text if length == 1 else f"{length} x {text}" for text, length in runs)
