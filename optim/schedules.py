"""Learning rates that change with the step: pure functions of the number of steps already taken.

A schedule keeps nothing, so a run that is resumed at step k goes on with the rate it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Schedule", "check_rate", "constant", "cosine"]

Schedule = Callable[[int], float]
"""From the number of steps already taken (0 at the first) to the learning rate of the next."""


def constant(lr: float) -> Schedule:
    """The same learning rate at every step.

    >>> from tinyad import optim
    >>> optim.constant(0.1)(1000)
    0.1
    """
    rate = check_rate("lr", lr)
    return lambda step: rate


def cosine(peak: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Rise linearly to ``peak`` over ``warmup`` steps, then fall along half a cosine to ``final`` at step ``steps``.

    ``final + (peak - final) * (1 + cos(pi t)) / 2`` with ``t`` from 0 to 1; after ``steps`` the rate stays at ``final``.
    The first step of the rise has rate ``peak / warmup``, not 0, which would waste it.
    Sources: I. Loshchilov, F. Hutter, SGDR, ICLR 2017, equation 5; P. Goyal et al., Accurate, large minibatch SGD, 2017,
    section 2.2 (the gradual rise).

    Raises:
        ValueError: if a rate is negative or not finite, or ``warmup`` does not lie between 0 and ``steps - 1``.

    >>> from tinyad import optim
    >>> rate = optim.cosine(1.0, steps=100, warmup=10)
    >>> [round(rate(step), 3) for step in (0, 9, 10, 55, 100, 1000)]
    [0.1, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    peak, final = check_rate("peak", peak), check_rate("final", final)
    if not 0 <= warmup < steps:
        raise ValueError(
            f"warmup: got {warmup} of {steps} steps; expected 0 <= warmup < steps. "
            f"Take a tenth of the steps for the rise, or 0 for none."
        )

    def rate(step: int) -> float:
        if step < warmup:
            return peak * (step + 1) / warmup
        t = min((step - warmup) / (steps - warmup), 1.0)
        return final + (peak - final) * (1 + math.cos(math.pi * t)) / 2

    return rate


def check_rate(name: str, value: Any) -> float:
    """``value`` as a Python number, which must be finite and 0 or more.

    A Python number, because a float64 scalar of NumPy would turn float32 parameters into float64 ones (NEP 50).
    """
    if not (isinstance(value, (int, float, np.floating)) and math.isfinite(value) and value >= 0):
        raise ValueError(
            f"{name}: got {value!r}; expected a finite number, 0 or more (a step goes against the gradient already). "
            f"Give a number such as 0.01."
        )
    return float(value)
