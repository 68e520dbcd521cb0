"""How fast a right-hand side can move: the largest eigenvalue of its Jacobian."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyad import tree
from tinyad.backend import asnumpy, module_of
from tinyad.models.ode.field import Field

__all__ = ["spectral_radius"]


def spectral_radius(field: Field, t: Any, y: Any, theta: Any, iterations: int = 20) -> float:
    """About the largest absolute value of the eigenvalues of ``df / dy``, by power iteration; NaN if they are not finite.

    >>> import numpy as np
    >>> from tinyad.models import ode
    >>> field = ode.Field(lambda t, y, theta: y * np.array([-50.0, 2.0]), ode.Ledger())
    >>> round(ode.spectral_radius(field, 0.0, np.ones(2), None), 6)
    50.0
    """
    flat, back = tree.ravel(y)
    _, push = field.linearize(t, y, theta)
    v = module_of(flat).asarray(np.random.default_rng(0).normal(size=flat.shape).astype(flat.dtype))
    estimate = math.nan
    for _ in range(iterations):
        size = float(asnumpy((abs(v) ** 2).sum())) ** 0.5
        if not (size > 0 and math.isfinite(size)):
            return 0.0 if size == 0 else math.nan
        v = tree.ravel(push(back(v / size)))[0]
        estimate = float(asnumpy((abs(v) ** 2).sum())) ** 0.5
    return estimate
