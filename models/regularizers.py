"""Terms added to a loss that prefer one set of parameters to another."""

from __future__ import annotations

import math
from typing import Any

from tinyad import tree
from tinyad.backend import Array

__all__ = ["l2"]


def l2(parameters: Any, strength: float = 1.0) -> Array:
    """``strength / 2`` times the sum of squares of all leaves of a tree (Tikhonov).

    To spare the biases, give the weights alone: ``l2([layer.weight for layer in net.layers], 1e-4)``.
    Source: A. N. Tikhonov, Solution of incorrectly formulated problems and the regularization method, 1963; with softmax it
    is the negative logarithm of a normal prior.

    Raises:
        ValueError: if ``strength`` is negative or not finite.

    >>> import numpy as np
    >>> from tinyad import models
    >>> float(models.l2({"w": np.array([3.0, 4.0])}, strength=0.1))
    1.25
    """
    if not (math.isfinite(strength) and strength >= 0):
        raise ValueError(f"strength: got {strength}; expected a finite number, 0 or more. Drop the term to switch it off.")
    squares = [(leaf * leaf).sum() if hasattr(leaf, "sum") else leaf * leaf for leaf in tree.leaves(parameters)]
    return 0.5 * strength * sum(squares)
