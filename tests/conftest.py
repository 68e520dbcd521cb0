"""How examples are drawn: the same ones in every run of `make test`, new ones in `make test-slow`.

A red suite must be the fault of what was changed, not of luck; and luck must have its chance to find what nobody
thought of.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile("repeatable")
