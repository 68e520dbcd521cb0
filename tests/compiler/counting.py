"""How often a compiled function is traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tinyad as ad
from tests.compiler.comparing import same


class Counted:
    """A function that counts how often it runs."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f, self.count = f, 0
        self.__name__ = "counted"
        self.__wrapped__ = f  # whose parameters it has

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return self.f(*args, **kwargs)


def traces(f: Callable[..., Any], *calls: tuple[tuple[Any, ...], dict[str, Any]], **settings: Any) -> int:
    """How often a function is traced in these calls, which all give what it gives."""
    counted = Counted(f)
    compiled = ad.compile(counted, **settings)
    for args, kwargs in calls:
        same(compiled(*args, **kwargs), f(*args, **kwargs))
    return counted.count


def called(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs
