"""Run the tests of the strict stand-in on a GPU: ``make gpu-check``.

Every row of the table of primitives, the engine, models and optimisers: values and derivatives of CuPy's arrays beside NumPy's.
Without CuPy or without a GPU there is nothing to compare: it says so and exits with 0.

A script, so that a machine without a GPU does not report these tests as passed.
"""

import os
import sys
from pathlib import Path

import pytest

TESTS = ["table", "engine", "loops", "models", "ode", "checking"]


def reason_for_nothing():
    """Why nothing can be compared here; empty if CuPy finds a GPU."""
    try:
        import cupy
    except Exception as error:  # a broken CUDA installation raises more than ImportError
        return f"CuPy cannot be imported ({error}); in .venv: pip install -e '.[cuda]'"
    try:
        return "" if cupy.cuda.is_available() else "CuPy is installed, but it finds no GPU"
    except Exception as error:
        return f"CuPy is installed, but it cannot ask for a GPU ({error})"


def main():
    reason = reason_for_nothing()
    if reason:
        print(f"nothing compared: {reason}")
        return 0
    os.environ["TINYAD_TESTS_ON_GPU"] = "1"
    folder = Path(__file__).parent / "cupy_stand_in"
    files = [str(folder / f"test_{name}_on_stand_in.py") for name in TESTS]
    return pytest.main(["-q", "--tb=line", "-p", "no:cacheprovider", *files])


if __name__ == "__main__":
    sys.exit(main())
