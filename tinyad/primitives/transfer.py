"""Moving arrays between devices: linear, and its transpose is the way back."""

from __future__ import annotations

from typing import Any

from ..backend import Array
from ..devices import canonical, device_of, moved
from ..kinds import Function, linear
from ..tensor import unwrap

__all__ = ["to_device"]

_to_device: Function = linear(
    "to_device",
    lambda xp, x, device, origin: moved(x, device),
    lambda g, like, device, origin: _to_device(g, device=origin, origin=device),
)


def to_device(x: Array, device: str, /, *, stream: Any = None) -> Array:
    """``x`` on a device, such as ``"cuda"`` or ``"cpu"``: itself, if it is there. A derivative goes back to where ``x`` is.

    Raises:
        ValueError: if a stream is named: copies are ordered by CuPy's current stream.
        as `tinyad.devices.on`: if there is no such device.

    >>> import tinyad as ad
    >>> ad.ones(2).to_device("cpu").device
    'cpu'
    """
    if stream is not None:
        raise ValueError(f"to_device: got stream={stream!r}; expected None. Make it CuPy's current stream: with stream: ...")
    here, there = device_of(unwrap(x)), canonical(device)
    return x if here == there else _to_device(x, device=there, origin=here)
