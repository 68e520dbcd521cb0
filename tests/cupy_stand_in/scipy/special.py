"""The stand-in of ``cupyx.scipy.special``, found here by `tinyad.backend.function_of`."""

from __future__ import annotations

from typing import Any

import scipy.special

from tests.cupy_stand_in.module import namespace

_special = namespace("cupyx.scipy.special", scipy.special)


def __getattr__(name: str) -> Any:
    return getattr(_special, name)
