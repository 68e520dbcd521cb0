"""Contexts that replace what recording an operation does: `no_grad`, `detect_anomaly`, and `recording` to undo them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from .backend import Array
from .kinds import Primitive
from .tape import Node, instead_of_recording
from .tensor import Tensor

__all__ = ["detect_anomaly", "is_engine", "is_paused", "no_grad", "pauses", "recording", "recording_by", "seeks_anomalies"]


@contextmanager
def recording_by(recorder: Any) -> Iterator[None]:
    """A context in which ``recorder`` makes the Tensor of each recorded result; ``None`` for the usual one."""
    token = instead_of_recording.set(recorder)
    try:
        yield
    finally:
        instead_of_recording.reset(token)


def _forget(primitive: Primitive, parents: Any, saved: Any, params: Any, out: Array) -> Tensor:
    return Tensor(out)


def _record_with_line(primitive: Primitive, parents: Any, saved: Any, params: Any, out: Array) -> Tensor:
    node = Node(primitive, parents, saved, params, out)
    node.line = _line_of_user()
    return Tensor(out, node)


_ENGINE = str(Path(__file__).parent) + os.sep


def _line_of_user() -> str:
    frame = sys._getframe(1)
    while frame.f_back is not None and is_engine(frame.f_code.co_filename):
        frame = frame.f_back
    return f'File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}'


def is_engine(filename: str) -> bool:
    """Whether a file belongs to the engine, and is not the user's or a model's."""
    relative = filename.removeprefix(_ENGINE)
    return relative != filename and not relative.startswith(("models" + os.sep, "optim" + os.sep))


_pauses: ContextVar[int] = ContextVar("pauses", default=0)


def pauses() -> int:
    """How many `no_grad` surround us. Unlike `is_paused` it counts those outside a derivative that is being taken."""
    return _pauses.get()


@contextmanager
def no_grad() -> Iterator[None]:
    """A context in which nothing is recorded: results are constants.

    A derivative transform called inside still differentiates its own function.

    >>> import tinyad as ad
    >>> x = ad.tensor(2.0)
    >>> with ad.no_grad():
    ...     y = x * x
    >>> y
    Tensor(4., dtype=float64)
    """
    token = _pauses.set(_pauses.get() + 1)
    try:
        with recording_by(_forget):
            yield
    finally:
        _pauses.reset(token)


def detect_anomaly() -> Any:
    """A context that finds the operation where a gradient turns NaN or infinite.

    Inside it each operation remembers the user's line (about 1 microsecond more an operation), and a reverse walk raises
    `FloatingPointError` at the first operation that turns a finite cotangent into a non-finite one. Put it around a function
    that is traced (`vmap`): inside one, and inside `no_grad`, it does nothing.

    >>> import tinyad as ad
    >>> with ad.detect_anomaly():
    ...     ad.grad(lambda x: ad.sqrt(x))(0.0)
    Traceback (most recent call last):
        ...
    FloatingPointError: the derivative of `sqrt` turned a finite cotangent into inf or nan...
    """
    return recording_by(instead_of_recording.get() or _record_with_line)


def recording() -> Any:
    """A context in which operations are recorded, whatever surrounds it; `detect_anomaly` keeps its lines."""
    return recording_by(None if is_paused() else instead_of_recording.get())


def is_paused() -> bool:
    """Whether we are inside `no_grad`."""
    return instead_of_recording.get() is _forget


def seeks_anomalies() -> bool:
    """Whether we are inside `detect_anomaly`."""
    return instead_of_recording.get() is _record_with_line
