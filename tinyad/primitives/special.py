"""Special functions. SciPy computes them, on a GPU cupyx: it is an optional dependency, imported when one is called."""

from __future__ import annotations

import math

from ..kinds import Function, elementwise
from .elementwise import exp

__all__ = ["erf"]

_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)

erf: Function = elementwise(
    "erf", lambda x: _TWO_OVER_ROOT_PI * exp(-x * x), forward="scipy.special.erf",
    doc="The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t ** 2)`` from 0 to ``x``.",
)  # fmt: skip
