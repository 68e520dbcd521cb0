"""Layers: the parts that models are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tinyad.backend import Array
from tinyad.models.initializers import Initializer, glorot_uniform, zeros
from tinyad.models.module import Module
from tinyad.models.randomness import Seed, generator

__all__ = ["Activation", "Dense"]

Activation = Callable[[Array], Array]
"""A function of an array, element by element, such as ``ad.tanh``."""


@dataclass
class Dense(Module):
    """An affine map of each row, and an activation: ``act(x @ weight + bias)``.

    Attributes:
        weight: shape (inputs, outputs).
        bias: shape (outputs,).
        activation: applied to each element; ``None`` for none.

    >>> import numpy as np
    >>> import tinyad as ad
    >>> from tinyad import models
    >>> layer = models.Dense(np.array([[1.0], [2.0]]), np.array([0.5]))
    >>> layer(np.array([[10.0, 1.0]]))
    array([[12.5]])
    >>> models.Dense.create(0, 64, 10, activation=ad.tanh)
    Dense(weight=float64[64, 10], bias=float64[10], activation=tanh): 650 parameters
    """

    weight: Array
    bias: Array
    activation: Activation | None = None

    @classmethod
    def create(
        cls,
        rng: Seed,
        inputs: int,
        outputs: int,
        activation: Activation | None = None,
        initializer: Initializer = glorot_uniform,
        dtype: Any = np.float64,
    ) -> Self:
        """A layer with weights drawn by ``initializer`` and no bias yet.

        Raises:
            ValueError: if a size is less than 1.
        """
        for name, size in (("inputs", inputs), ("outputs", outputs)):
            positive(name, size)
        rng = generator(rng, "rng")
        return cls(initializer(rng, (inputs, outputs), dtype), zeros(rng, (outputs,), dtype), activation)

    def __call__(self, x: Array) -> Array:
        """Map rows: shape (examples, inputs) to (examples, outputs).

        Raises:
            ValueError: if the rows of ``x`` do not have the length that ``weight`` expects.
        """
        if x.shape[-1] != self.weight.shape[0]:
            raise ValueError(
                f"x: got shape {tuple(x.shape)}; expected rows of length {self.weight.shape[0]}, since weight has shape "
                f"{tuple(self.weight.shape)}. Examples are rows: transpose x if its examples are columns."
            )
        affine = x @ self.weight + self.bias
        return affine if self.activation is None else self.activation(affine)


def positive(name: str, size: Any) -> None:
    """Raise unless ``size`` is a whole number of at least 1."""
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"{name}: got {size!r}; expected a whole number, 1 or more. Give a number such as 16.")
