"""The residual network as a time stepper.

A layer ``z <- z + h act(z K_j + b_j)`` is a forward Euler step of ``z' = act(z K(t) + b(t))``: depth is time, ``depth * h``
is the final time, and training is a problem of optimal control (E. Haber, L. Ruthotto, Stable architectures for deep neural
networks, Inverse Problems 34, 2018, section 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

import tinyad as ad
from tinyad.backend import Array
from tinyad.models.initializers import glorot_uniform
from tinyad.models.layers import Activation, Dense, positive
from tinyad.models.module import Module
from tinyad.models.randomness import Seed, generator

__all__ = ["ResNet"]


@dataclass
class ResNet(Module):
    """An opening layer, forward Euler steps, and a linear classifier.

    Attributes:
        opening: from features to the network's width.
        layers: one for each step; the depth is their number.
        classifier: from the width to a score for each class.
        step: ``h``, the length of a time step. A Python number, and so no parameter.

    >>> import numpy as np
    >>> from tinyad import models
    >>> net = models.ResNet.create(0, features=64, width=16, classes=10, depth=4)
    >>> net(np.ones((5, 64))).shape
    (5, 10)
    >>> [z.shape for z in net.states(np.ones((5, 64)))]
    [(5, 16), (5, 16), (5, 16), (5, 16), (5, 16)]
    """

    opening: Dense
    layers: tuple[Dense, ...]
    classifier: Dense
    step: float

    @classmethod
    def create(
        cls,
        rng: Seed,
        features: int,
        width: int,
        classes: int,
        depth: int,
        final_time: float = 1.0,
        activation: Activation = ad.tanh,
        dtype: Any = np.float64,
    ) -> Self:
        """A network with Glorot weights.

        Args:
            rng: a seed or generator.
            features: length of an example.
            width: length of a state.
            classes: number of scores.
            depth: number of time steps, 0 or more.
            final_time: the time at the last layer, so that ``step = final_time / depth``.
            activation: of the opening and of each step.
            dtype: of all weights.

        Raises:
            ValueError: if a size is out of range.
        """
        for name, size in (("features", features), ("width", width), ("classes", classes)):
            positive(name, size)
        if depth < 0:
            raise ValueError(f"depth: got {depth}; expected 0 or more steps. Give a number such as 8.")
        rng = generator(rng, "rng")

        def dense(inputs: int, outputs: int, activation: Activation | None) -> Dense:
            return Dense.create(rng, inputs, outputs, activation, glorot_uniform, dtype)

        return cls(
            opening=dense(features, width, activation),
            layers=tuple(dense(width, width, activation) for _ in range(depth)),
            classifier=dense(width, classes, None),
            step=final_time / max(depth, 1),
        )

    def states(self, x: Array) -> Iterator[Array]:
        """The states at times 0, h, 2h, ...: ``depth + 1`` arrays of shape (examples, width)."""
        z = self.opening(x)
        yield z
        for layer in self.layers:
            z = z + self.step * layer(z)
            yield z

    def features(self, x: Array) -> Array:
        """The state at the final time, which the classifier sees: shape (examples, width)."""
        for z in self.states(x):
            last = z
        return last

    def __call__(self, x: Array) -> Array:
        """Scores of shape (examples, classes) for examples of shape (examples, features)."""
        return self.classifier(self.features(x))
