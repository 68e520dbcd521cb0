"""Functions that write what they are given into plain arrays, which a trace refuses."""

from __future__ import annotations

from typing import Any

import numpy as np


def assign_number(x: Any) -> Any:
    a = np.zeros(3)
    a[0] = x[0]
    return a


def assign_row(x: Any) -> Any:
    a = np.zeros((2, 3))
    a[1] = x
    return a


def assign_slice(x: Any) -> Any:
    a = np.zeros(3)
    a[:2] = x[:2]
    return a


def assign_in_place(x: Any) -> Any:
    a = np.zeros(3)
    a += x
    return a


def assign_to_out(x: Any) -> Any:
    return np.add(x, x, out=np.zeros(3))
