"""Arrays in few words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import asnumpy, is_array, is_mutable

__all__ = ["described", "type_of", "values_of"]

FEW = 4
"""Arrays of at most so many elements are shown by their values."""


def type_of(x: Any) -> str:
    """Dtype and shape, as programs print them, ``float64[3, 2]``; what is no array by itself."""
    if isinstance(x, (list, tuple)):
        return f"list of {len(x)}"
    if not hasattr(x, "dtype"):
        return repr(x)
    return "list" if x.shape is None else f"{x.dtype}[{', '.join(map(str, x.shape))}]"


def values_of(x: Any) -> str:
    """The values of an array if they are few, and there already; else empty."""
    if not is_array(x) or not is_mutable(x) or x.size > FEW:
        return ""
    if x.shape == ():
        return f"{x.item():.6g}"
    number = "{:.4g}".format
    text = np.array2string(
        asnumpy(x), separator=", ", max_line_width=1000, formatter={"float_kind": number, "complex_kind": number}
    )
    return " ".join(text.split())


def described(x: Any) -> str:
    """Type and values of an array, or norm, least and greatest where the values are many; of a list, of all in it."""
    if isinstance(x, (list, tuple)):
        return "; ".join("nothing" if part is None else described(part) for part in x)
    text = values_of(x)
    if not text and is_array(x) and is_mutable(x) and x.dtype.kind == "f":
        values = asnumpy(x).astype(np.result_type(x.dtype, np.float32))  # a norm in float16 would overflow
        with np.errstate(all="ignore"):
            text = f"norm {np.linalg.norm(values):.4g}, {values.min():.4g} to {values.max():.4g}"
    return f"{type_of(x)} {text}".rstrip()
