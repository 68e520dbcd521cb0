"""`require`: a condition on values that must hold, in compiled functions too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .backend import Array, asnumpy, module_of
from .kinds import Primitive
from .tensor import unwrap
from .tracing import Traced, youngest

__all__ = ["require"]


def require(condition: Array, message: str, error: type[Exception] = ValueError) -> None:
    """Raise ``error(message)`` unless all elements of ``condition`` are true.

    Unlike ``if`` it may be used in functions that are traced: the check becomes part of the program, before what comes after it.
    In a compiled function the error is Python's own class closest to ``error``.

    >>> import numpy as np, tinyad as ad
    >>> def mean_of_logs(x):
    ...     ad.require(x > 0, "x must be positive")
    ...     return ad.mean(ad.log(x))
    >>> ad.compile(mean_of_logs)(np.array([1.0, -1.0]))
    Traceback (most recent call last):
        ...
    ValueError: x must be positive
    """
    _require.apply(condition, message=message, error=error)


class _Require(Primitive):
    """An operation for its effect: it is never left out."""

    name = "require"
    pure = False

    def __init__(self) -> None:
        pass

    def apply(self, condition: Any, *, message: str, error: type[Exception]) -> Any:
        """Raise, or write down that it is to be done."""
        condition = unwrap(condition)
        if type(condition) is Traced:
            example = module_of(condition.example).asarray(condition.example)
            return youngest([condition]).emit(self, [condition], {"message": message, "error": error}, [example])[0]
        if not asnumpy(condition).all():
            raise error(message)
        return condition

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: dict[str, Any]) -> Any:
        """It must hold for all examples."""
        return self.apply(operands[0], **params)

    def statements(self, instruction: Any, operands: Sequence[str]) -> list[str]:
        """The check as Python source."""
        params, condition = instruction.params, instruction.inputs[0]
        holds = f"{operands[0]}.all()" if getattr(condition, "ndim", 0) else operands[0]
        error = next(each.__name__ for each in params["error"].__mro__ if each.__module__ == "builtins")
        return [f"if not {holds}:", f"    raise {error}({params['message']!r})"]


_require = _Require()
