"""What the calling code does with a result next, read from its bytecode, where Python gives no other way to know.

``a[0] = x`` asks ``x`` for a float, as ``float(x)`` does; and in ``x[1:3] += y`` the slice is asked to add in place, as a variable
that holds it would be, although what it answers is stored in ``x``. The instructions that follow tell one from the other.
"""

from __future__ import annotations

import opcode
import sys
from types import FrameType

__all__ = ["is_stored_in_an_element", "stores_an_element"]

_STORES = {opcode.opmap[name] for name in ("STORE_SUBSCR", "STORE_SLICE") if name in opcode.opmap}
_IN_BETWEEN = {opcode.opmap[name] for name in ("CACHE", "SWAP", "EXTENDED_ARG", "NOP") if name in opcode.opmap}


def _operation(frame: FrameType, start: int) -> int:
    """The first instruction at or behind a place that does something with values."""
    code = frame.f_code.co_code
    while start + 2 < len(code) and code[start] in _IN_BETWEEN:
        start += 2
    return code[start]


def stores_an_element(depth: int = 1) -> bool:
    """Whether the caller of the function that asks is at ``a[i] = x``."""
    frame = sys._getframe(depth + 1)
    return _operation(frame, frame.f_lasti) in _STORES


def is_stored_in_an_element(depth: int = 1) -> bool:
    """Whether what the function that asks returns goes to ``a[i]``: whether its caller is at ``a[i] += y``, not at ``b += y``."""
    frame = sys._getframe(depth + 1)
    return _operation(frame, frame.f_lasti + 2) in _STORES
