"""The multilayer perceptron: dense layers one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

import tinyad as ad
from tinyad.backend import Array
from tinyad.models.initializers import glorot_uniform
from tinyad.models.layers import Activation, Dense
from tinyad.models.module import Module
from tinyad.models.randomness import Seed, generator

__all__ = ["MLP"]


@dataclass
class MLP(Module):
    """Dense layers one after the other.

    >>> import numpy as np
    >>> from tinyad import models
    >>> net = models.MLP.create(0, [64, 32, 10])
    >>> net(np.ones((5, 64))).shape
    (5, 10)
    """

    layers: tuple[Dense, ...]

    @classmethod
    def create(cls, rng: Seed, widths: list[int], activation: Activation = ad.tanh, dtype: Any = np.float64) -> Self:
        """Glorot weights; ``widths`` runs from the features to the scores, the last layer has no activation.

        Raises:
            ValueError: if fewer than two widths are given, or one is less than 1.
        """
        if len(widths) < 2:
            raise ValueError(
                f"widths: got {list(widths)}; expected the lengths of input and output at least, for instance [64, 32, 10]."
            )
        rng = generator(rng, "rng")
        activations = [activation] * (len(widths) - 2) + [None]
        return cls(
            tuple(
                Dense.create(rng, inputs, outputs, act, glorot_uniform, dtype)
                for (inputs, outputs), act in zip(pairwise(widths), activations, strict=True)
            )
        )

    def __call__(self, x: Array) -> Array:
        """Scores of shape (examples, last width)."""
        for layer in self.layers:
            x = layer(x)
        return x
