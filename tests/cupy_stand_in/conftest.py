"""The stand-in of CuPy is an array type of tinyad's while the tests of this folder run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cupy_stand_in.device import REAL
from tests.cupy_stand_in.module import cupy
from tests.cupy_stand_in.ndarray import StandInArray
from tinyad import backend


@pytest.fixture(scope="session", autouse=True)
def stand_in_is_an_array_type() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not REAL:
            patch.setitem(backend._modules, StandInArray, cupy)  # what `register` does, until the end of these tests
            patch.setattr(backend, "load_cupy", lambda: cupy)
        yield
