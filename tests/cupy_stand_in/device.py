"""Which device the tests of this folder run on: the stand-in, or real CuPy where `make gpu-check` asks for it."""

from __future__ import annotations

import os

__all__ = ["REAL", "DeviceArray", "cupy"]

REAL = os.environ.get("TINYAD_TESTS_ON_GPU") == "1"
"""Whether it is a GPU."""

if REAL:
    import cupy

    DeviceArray = cupy.ndarray
else:
    from tests.cupy_stand_in.module import cupy
    from tests.cupy_stand_in.ndarray import StandInArray as DeviceArray
