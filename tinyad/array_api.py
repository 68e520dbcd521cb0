"""What makes tinyad a namespace of the Python array API standard: what an array says of itself, and the namespace of itself.

Libraries that are written for the standard ask an array for its namespace and call that, so they run on Tensors, and what they
compute can be differentiated. Source: https://data-apis.org/array-api/2025.12.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .array_interface import ArrayInterface
from .devices import canonical, device_of, known_devices
from .dtypes import DTYPES, isdtype
from .primitives.transfer import to_device
from .tensor import Tensor, unwrap
from .tracing import Traced, example_of

__all__ = ["METHODS", "NamespaceInfo", "__array_api_version__", "__array_namespace_info__"]

__array_api_version__ = "2025.12"
"""The version of the standard; the functions of older ones are part of it."""

_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


class NamespaceInfo:
    """What the namespace can do, and its defaults."""

    def capabilities(self) -> dict[str, Any]:
        """Whether masks may be indices and shapes may depend on values (not where a function is traced), and the most axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Where arrays are made; see `tinyad.default_device`."""
        return canonical()

    def devices(self) -> tuple[str, ...]:
        """The devices of this machine that tinyad can use now."""
        return known_devices()

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of arrays made without one, by kind; the same on every device."""
        kinds = {"real floating": 1.0, "complex floating": 1j, "integral": 1, "indexing": 1}
        return {kind: np.asarray(number).dtype for kind, number in kinds.items()}

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes by name, all or those of a kind (see `tinyad.isdtype`); the same on every device."""
        return {name: dtype for name, dtype in DTYPES.items() if kind is None or isdtype(dtype, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """What the namespace can do, and its defaults.

    >>> import tinyad as ad
    >>> ad.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float64')
    """
    return NamespaceInfo()


# ---- methods of arrays


def _namespace(x: ArrayInterface, /, *, api_version: str | None = None) -> Any:
    """The module tinyad, for libraries that are written for the standard."""
    if api_version is not None and api_version not in _VERSIONS:
        raise ValueError(f"api_version: got {api_version!r}; expected one of {', '.join(_VERSIONS)}, or None for the newest")
    return sys.modules[__package__]


def _device(x: ArrayInterface) -> str:
    """Where the elements are: ``"cpu"``, or ``"cuda:0"``."""
    return device_of(example_of(x))


def _exchanged(x: ArrayInterface) -> Any:
    """The array in memory that another library may look at."""
    if isinstance(x, Tensor) and x.node is not None:
        raise TypeError(
            "__dlpack__: another library would lose the gradient of a recorded Tensor. For the values alone give it x.array, "
            "or ad.stop_gradient(x)"
        )
    return _strong(x.__array__() if isinstance(x, Traced) else unwrap(x))


def _strong(array: Any) -> Any:
    """NumPy's numbers as arrays: they cannot be exchanged."""
    return np.asarray(array) if isinstance(array, np.generic) else array


def _dlpack(
    x: ArrayInterface,
    /,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """The elements as a DLPack capsule; what the keywords ask for, NumPy or CuPy does."""
    settings = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
    return _exchanged(x).__dlpack__(**{key: value for key, value in settings.items() if value is not None})


def _dlpack_device(x: ArrayInterface, /) -> tuple[Any, int]:
    """The device in DLPack's numbers."""
    return _strong(example_of(x)).__dlpack_device__()  # type: ignore[no-any-return]


METHODS: dict[str, Callable[..., Any]] = {
    "__array_namespace__": _namespace,
    "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device,
    "device": property(_device),  # type: ignore[dict-item]
    "to_device": to_device,
}
