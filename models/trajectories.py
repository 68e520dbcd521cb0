"""Paths in time to learn an equation from: a measured one, and one computed from a known equation.

The arrays are on the default device (see `tinyad.default_device`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyad.backend import Array
from tinyad.models.layers import positive
from tinyad.models.ode import odeint
from tinyad.models.randomness import Seed, generator, placed

__all__ = ["Trajectory", "lynx_and_hare", "spiral"]


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """What was seen at some times.

    Attributes:
        times: shape (times,), rising; on the host, where solvers want them.
        states: shape (times, components).
        names: of the components.
        unit: of the states.
        time_unit: of the times.
    """

    times: np.ndarray[Any, Any]
    states: Array
    names: tuple[str, ...]
    unit: str = "1"
    time_unit: str = "1"

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return (
            f"Trajectory({len(self)} times from {self.times[0]:g} to {self.times[-1]:g} ({self.time_unit}): "
            f"{', '.join(self.names)} ({self.unit}), {self.states.dtype})"
        )


def lynx_and_hare(dtype: Any = np.float64) -> Trajectory:
    """Pelts of hare and lynx that were traded by the Hudson Bay Company each year from 1900 to 1920, in thousands.

    The classical example of a predator and its prey: each abundance of hare is followed by one of lynx.

    Source: the table in P. Howard, "Modeling basics", lecture notes, Texas A&M University, 2009, after C. Elton, M. Nicholson,
    "The ten-year cycle in numbers of the lynx in Canada", Journal of Animal Ecology 11, 1942.

    >>> from tinyad import models
    >>> models.lynx_and_hare()
    Trajectory(21 times from 1900 to 1920 (years): hare, lynx (thousands of pelts), float64)
    >>> models.lynx_and_hare().states[:2]
    array([[30. ,  4. ],
           [47.2,  6.1]])
    """
    hare = [
        30.0,
        47.2,
        70.2,
        77.4,
        36.3,
        20.6,
        18.1,
        21.4,
        22.0,
        25.4,
        27.1,
        40.3,
        57.0,
        76.6,
        52.3,
        19.5,
        11.2,
        7.6,
        14.6,
        16.2,
        24.7,
    ]
    lynx = [4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4, 8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]
    states = np.stack([hare, lynx], axis=1).astype(dtype)
    return Trajectory(np.arange(1900.0, 1921.0), placed(states), ("hare", "lynx"), "thousands of pelts", "years")


def spiral(n: int, final_time: float = 1.5, noise: float = 0.0, seed: Seed = 0, dtype: Any = np.float64) -> Trajectory:
    """``n`` points of a path that winds towards the origin.

    ``u' = A' u^3`` with ``A = [[-0.1, 2], [-2, -0.1]]`` and ``u(0) = (2, 0)``.
    The times are equidistant, from 0 to ``final_time``; to all but the first point normal noise of deviation ``noise`` is added.
    The path itself is right to about 1e-9.

    Raises:
        ValueError: if ``n`` is not positive or ``noise`` is negative.

    Source: the example of R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary differential equations", 2018.

    >>> from tinyad import models
    >>> models.spiral(16)
    Trajectory(16 times from 0 to 1.5 (1): u1, u2 (1), float64)
    """
    positive("n", n)
    if noise < 0:
        raise ValueError(f"noise: got {noise}; expected a standard deviation, 0 or more. Give its absolute value.")
    A = np.array([[-0.1, 2.0], [-2.0, -0.1]])
    times = np.linspace(0.0, final_time, n)
    start = np.array([2.0, 0.0])
    path = (
        odeint(lambda t, u, theta: u**3 @ A, start, (0.0, final_time), times=times, rtol=1e-10, atol=1e-12)
        if n > 1
        else start[None]
    )
    path[1:] += noise * generator(seed).normal(size=path[1:].shape)
    return Trajectory(times, placed(path.astype(dtype)), ("u1", "u2"))
