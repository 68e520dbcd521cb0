"""The stand-in of ``cupyx.scipy.linalg``, found here by `tinyad.backend.function_of`."""

from __future__ import annotations

from typing import Any

import scipy.linalg

from tests.cupy_stand_in.module import namespace

_linalg = namespace("cupyx.scipy.linalg", scipy.linalg)


def __getattr__(name: str) -> Any:
    return getattr(_linalg, name)
