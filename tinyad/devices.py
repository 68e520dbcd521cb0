"""Devices: where arrays are made, and moved to.

A device is a string: ``"cpu"``, ``"cuda"`` for CuPy's current GPU, ``"cuda:1"`` for GPU number 1. Creation functions make their
arrays on the default device unless they are told another; operations run where their operands are (of several GPUs, CuPy uses its
current one).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from typing import Any

import numpy as np

from . import backend
from .backend import Array, asnumpy

__all__ = ["canonical", "current_device", "default_device", "device_of", "known_devices", "moved", "on"]

_of_process: str = os.environ.get("TINYAD_DEVICE") or "cpu"
_of_block: ContextVar[str | None] = ContextVar("device", default=None)
_CPU = nullcontext(np)


def device_of(array: Array) -> str:
    """Where an array is; ``"cpu"`` for numbers and lists."""
    device = getattr(array, "device", "cpu")
    return device if isinstance(device, str) else f"cuda:{device.id}"


def current_device() -> str:
    """The device that creation functions use now if they are told none, as it was set."""
    return _of_block.get() or _of_process


def canonical(device: str | None = None) -> str:
    """A device's full name, as `device_of` gives it; of the default device if none is given.

    Raises:
        as `on`.
    """
    with on(device) as xp:
        return "cpu" if xp is np else f"cuda:{xp.cuda.Device().id}"


def known_devices() -> tuple[str, ...]:
    """The devices that can be used here."""
    try:
        count = _working_cupy("device", "cuda").cuda.runtime.getDeviceCount()
    except (ImportError, RuntimeError):
        count = 0
    return ("cpu", *[f"cuda:{i}" for i in range(count)])


def on(device: str | None = None) -> AbstractContextManager[Any]:
    """A context in which the array module it gives makes arrays on a device; on the default device if none is given.

    Raises:
        TypeError: if ``device`` is no string.
        ValueError: if it is no device's name, or there is no GPU of that number.
        ModuleNotFoundError: if it is a GPU and CuPy is not installed.
        RuntimeError: if CuPy finds no GPU.
    """
    # whoever sets a default device is told at once if it is not there; the environment's is not looked at before
    return _place(current_device(), "TINYAD_DEVICE") if device is None else _place(device, "device")


def _place(device: str, source: str) -> AbstractContextManager[Any]:
    return _CPU if device == "cpu" else _on_gpu(device, source)


@contextmanager
def _on_gpu(device: str, source: str) -> Iterator[Any]:
    xp, gpu = _gpu(device, source)
    with gpu:
        yield xp


def _gpu(device: str, source: str) -> tuple[Any, Any]:
    """CuPy, and its object for a device."""
    found = re.fullmatch(r"cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if found is None:
        raise (ValueError if isinstance(device, str) else TypeError)(
            f'{source}: got {device!r}; expected "cpu", "cuda" (the current GPU), or a GPU by its number, such as "cuda:1"'
        )
    xp = _working_cupy(source, device)
    if found[1] is None:
        return xp, xp.cuda.Device()
    number, count = int(found[1]), xp.cuda.runtime.getDeviceCount()
    if number >= count:
        last = f'{count} GPU{"s" * (count != 1)}, the last is "cuda:{count - 1}"'
        raise ValueError(f"{source}: got {device!r}; CuPy finds {last}")
    return xp, xp.cuda.Device(number)


def _working_cupy(source: str, device: str) -> Any:
    """CuPy, if it is installed and finds a GPU; else an error that says what is missing."""
    asked = f"{source}: got {device!r}, but "
    try:
        xp = backend.load_cupy()
        works = xp.cuda.is_available()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{asked}CuPy, which computes on NVIDIA GPUs, is not installed. Install it: pip install 'tinyad[cuda]'", name="cupy"
        ) from error
    except Exception as error:  # whatever a build for another CUDA version or another driver raises
        raise RuntimeError(
            f"{asked}CuPy cannot be loaded ({type(error).__name__}: {error}). Install the build for the CUDA version that "
            f"nvidia-smi shows: cupy-cuda12x (pip install 'tinyad[cuda]') or cupy-cuda13x, one of them only"
        ) from error
    if not works:
        raise RuntimeError(
            f"{asked}CuPy finds no GPU: this machine has none, or its NVIDIA driver is missing or too old for CuPy. See what "
            f'nvidia-smi says; device="cpu" always works'
        )
    return xp


def moved(array: Array, device: str) -> Array:
    """An array on a device: itself, if it is there. See `on` for the errors."""
    here = device_of(array)
    if device == here or (there := canonical(device)) == here:
        return array
    if there == "cpu":
        return asnumpy(array)
    with on(there) as xp:
        return xp.asarray(array)


class default_device:
    """Where arrays are made from now on: by creation functions, random draws and data sets that are told no device.

    Called, it sets the device of the process; in a ``with`` statement, that of the block, for this thread or task alone. The
    environment variable ``TINYAD_DEVICE`` gives the one to start with. Arrays that exist stay where they are. A GPU also becomes
    CuPy's current one (in this thread), on which it computes.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        as `tinyad.devices.on`.

    >>> import tinyad as ad
    >>> with ad.default_device("cpu"):
    ...     ad.zeros(3).device
    'cpu'
    """

    def __init__(self, device: str) -> None:
        global _of_process
        before = None
        if device != "cpu":
            xp, gpu = _gpu(device, "device")
            before = xp.cuda.Device()
            gpu.use()
        self.device = device
        self._before: tuple[str, Any] | None = (_of_process, before)
        self._blocks: list[tuple[Token[str | None], AbstractContextManager[Any]]] = []
        _of_process = device

    def __repr__(self) -> str:
        return f"default_device({self.device!r})"

    def __enter__(self) -> str:
        global _of_process
        if self._before is not None:  # it was made for the block, not for the process
            (_of_process, gpu), self._before = self._before, None
            if gpu is not None:
                gpu.use()
        scope = _place(self.device, "device")
        scope.__enter__()
        self._blocks.append((_of_block.set(self.device), scope))
        return self.device

    def __exit__(self, *error: object) -> None:
        token, scope = self._blocks.pop()
        _of_block.reset(token)
        scope.__exit__(None, None, None)
