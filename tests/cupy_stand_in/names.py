"""CuPy's names and parameters, as `make_names.py` wrote them down, and the check of a call against them."""

from __future__ import annotations

import functools
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["LISTED", "holds", "refuse_host_arrays", "signature"]

LISTED: dict[str, Any] = json.loads(Path(__file__).with_name("cupy_names.json").read_text(encoding="utf-8"))
"""By namespace or class, what each name is; see `make_names.py`."""

_KINDS = {"**": inspect.Parameter.VAR_KEYWORD, "*": inspect.Parameter.VAR_POSITIONAL}


@functools.cache
def signature(entry: str) -> inspect.Signature:
    """The signature that an entry of the list stands for. Defaults are not known, only that there are some."""
    found: list[inspect.Parameter] = []
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for word in entry.split():
        if word == "/":
            found = [p.replace(kind=inspect.Parameter.POSITIONAL_ONLY) for p in found]
        elif word == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            stars = word[: len(word) - len(word.lstrip("*"))]
            default = ... if word.endswith("=") else inspect.Parameter.empty
            found.append(inspect.Parameter(word.strip("*="), _KINDS.get(stars, kind), default=default))
            kind = inspect.Parameter.KEYWORD_ONLY if stars == "*" else kind
    return inspect.Signature(found)


def holds(kind: type | tuple[type, ...], value: Any) -> bool:
    """Whether a value, or a list, tuple or dict in it, is or holds something of a kind."""
    if isinstance(value, (list, tuple)):
        return any(holds(kind, item) for item in value)
    if isinstance(value, dict):
        return any(holds(kind, item) for item in value.values())
    return isinstance(value, kind)


def refuse_host_arrays(name: str, values: Any) -> None:
    """Raise if NumPy arrays are among the arguments of a function of CuPy, which does not move them to the GPU by itself."""
    if holds(np.ndarray, values):
        raise TypeError(f"{name}: Unsupported type <class 'numpy.ndarray'>")
