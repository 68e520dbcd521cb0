"""Making arrays: variables for the tape, and constants.

Functions that take ``device`` make their array on the default device (see `tinyad.default_device`) if they are told none; those
that start from an array, on the device of that array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .backend import Array, common_module, is_array, is_mutable, module_of
from .devices import device_of, moved, on
from .primitives.joining import stack
from .primitives.reductions import broadcast_to
from .primitives.shaping import astype, moveaxis, reshape, shape_of
from .primitives.transfer import to_device
from .tape import Variable
from .tensor import Tensor, unwrap

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "geomspace", "linspace",
    "logspace", "meshgrid", "ones", "ones_like", "tensor", "zeros", "zeros_like",
]  # fmt: skip

Shape = int | Sequence[int]

# ---- from values


def tensor(x: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """A variable: a Tensor with a place on the tape, whose ``grad`` ``backward`` fills.

    Args:
        x: real or complex floating-point numbers: an array, a number, or nested lists of numbers.
        dtype: convert to this dtype; integers must be converted to take a derivative.
        device: where to put it.

    Raises:
        TypeError: for integers, booleans and everything that has no derivative.

    >>> import tinyad as ad
    >>> x = ad.tensor([1.0, 2.0])
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4.])
    """
    values = _values("tensor", unwrap(x), dtype, device, None)
    if values.dtype.kind not in "fc":
        raise TypeError(
            f"tensor: got values of dtype {values.dtype}; only floating-point numbers have derivatives. "
            f"Write them with a decimal point, or pass dtype=float; use ad.asarray for a constant."
        )
    return Tensor(values, Variable(values))


def asarray(x: Any, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A constant Tensor: operations on it are not recorded unless another operand is on the tape.

    A Tensor keeps its place on the tape, and so do Tensors in a list.

    Args:
        x: an array, a number, or nested lists of numbers and Tensors.
        dtype: convert to this dtype.
        device: where to put it; without, Tensors and arrays on a GPU stay where they are.
        copy: ``True`` for memory of its own, ``False`` to refuse what needs it, ``None`` for new memory only if needed.

    Raises:
        ValueError: if ``copy=False`` and a copy is needed.
        TypeError: if ``x`` does not hold numbers.

    >>> import tinyad as ad
    >>> ad.grad(lambda x: ad.sum(ad.asarray([x, x * x, 1.0])))(3.0)
    np.float64(7.0)
    """
    if not isinstance(x, Tensor):
        try:
            return Tensor(_values("asarray", x, dtype, device, copy))
        except TypeError:  # NumPy cannot look into Tensors on the tape, nor into traced arrays
            leaves = list(_leaves(x))
            if not any(_varies(leaf) for leaf in leaves):
                raise
            x = _stacked(x, np.result_type(*[_dtype_or_number(leaf) for leaf in leaves]) if dtype is None else dtype)
    result = x if device is None else to_device(x, device)
    if dtype is not None or (copy and result is x):
        result = astype(result, x.dtype if dtype is None else dtype, copy=bool(copy) and result is x)
    if copy is False and result is not x:
        raise ValueError("asarray: with copy=False a Tensor keeps its dtype and device; leave copy out for a new one")
    return result  # type: ignore[no-any-return]


def _leaves(x: Any) -> Iterator[Any]:
    """What stands in nested lists."""
    if not isinstance(x, (list, tuple)):
        yield x
        return
    for item in x:
        yield from _leaves(item)


def _varies(x: Any) -> bool:
    """Whether something is on the tape or traced, so that a result that depends on it must be recorded."""
    return (isinstance(x, Tensor) and x.node is not None) or not is_mutable(unwrap(x))


def _dtype_or_number(x: Any) -> Any:
    """The dtype of an array; a number as it is, since it is weak, and so is a traced one."""
    x = unwrap(x)
    return x.dtype if hasattr(x, "dtype") else getattr(x, "example", x)


def _stacked(x: Any, dtype: Any) -> Any:
    return stack([_stacked(item, dtype) for item in x]) if isinstance(x, (list, tuple)) else asarray(x, dtype)


def _values(name: str, x: Any, dtype: Any, device: str | None, copy: bool | None) -> Array:
    """The values of anything but a Tensor as an array."""
    if module_of(x) is np:
        with on(device) as xp:
            values = xp.asarray(x, dtype=dtype, copy=copy)
    else:  # an array of a GPU, or one that is not there yet
        there = x if device is None else moved(x, device)
        values = module_of(there).asarray(there, dtype=dtype)
        if copy and values is x:
            values = values.copy()
        elif copy is False and values is not x:
            raise ValueError(f"{name}: with copy=False an array keeps its dtype and device; leave copy out for a new one")
    if values.dtype.kind not in "biufc":
        raise TypeError(f"{name}: got values of dtype {values.dtype}; expected numbers or booleans, in lists of equal lengths")
    return values


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A constant with the elements of an array of another library, in the same memory where that is possible.

    Args:
        x: what has the methods ``__dlpack__`` and ``__dlpack_device__``.
        device: where to put it; by default it stays where it is.
        copy: as for `asarray`.

    Raises:
        TypeError: if ``x`` has no such methods.
        ValueError: if ``copy=False`` and ``x`` is on another device.

    >>> import numpy as np, tinyad as ad
    >>> ad.from_dlpack(np.ones(2))
    Tensor([1., 1.], dtype=float64)
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: got a {type(x).__name__}; expected an array with __dlpack__. Try ad.asarray(x)")
    kind, number = x.__dlpack_device__()
    with on("cpu" if int(kind) in _ON_THE_HOST else f"cuda:{number}") as xp:
        shared = xp.from_dlpack(x)
    return asarray(Tensor(shared), device=device, copy=copy)


_ON_THE_HOST = {1, 3}  # kDLCPU and kDLCUDAHost, pinned memory


# ---- from a shape


def zeros(shape: Shape, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant of zeros, float64 unless ``dtype`` says otherwise."""
    with on(device) as xp:
        return Tensor(xp.zeros(shape, dtype or float))


def ones(shape: Shape, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant of ones, float64 unless ``dtype`` says otherwise."""
    with on(device) as xp:
        return Tensor(xp.ones(shape, dtype or float))


def empty(shape: Shape, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant whose elements are whatever the memory held, to be assigned to; float64 unless ``dtype`` says otherwise."""
    with on(device) as xp:
        return Tensor(xp.empty(shape, dtype or float))


def full(shape: Shape, fill_value: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant filled with a number, of its dtype unless ``dtype`` says otherwise. A Tensor keeps its place on the tape."""
    if _varies(fill_value):
        return broadcast_to(asarray(fill_value, dtype, device), (shape,) if isinstance(shape, int) else shape)  # type: ignore[no-any-return]
    with on(device) as xp:
        return Tensor(xp.full(shape, unwrap(fill_value), dtype))


def _like(x: Any, dtype: Any, device: str | None) -> tuple[tuple[int, ...], Any, str]:
    """Shape, dtype and device of an array like ``x``, where they are not given."""
    known = x if hasattr(x, "dtype") else np.asarray(x)
    return known.shape, known.dtype if dtype is None else dtype, device_of(unwrap(x)) if device is None else device


def zeros_like(x: Array, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant of zeros with the shape and dtype of ``x``, on its device."""
    return zeros(*_like(x, dtype, device))


def ones_like(x: Array, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant of ones with the shape and dtype of ``x``, on its device."""
    return ones(*_like(x, dtype, device))


def empty_like(x: Array, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant with the shape and dtype of ``x``, on its device, to be assigned to; see `empty`."""
    return empty(*_like(x, dtype, device))


def full_like(x: Array, fill_value: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """A constant with the shape and dtype of ``x``, on its device, filled with a number; see `full`."""
    shape, dtype, device = _like(x, dtype, device)
    return full(shape, fill_value, dtype, device)


# ---- sequences of numbers, and grids


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None, device: str | None = None) -> Tensor:
    """The numbers from ``start`` (0 if only one bound is given) to before ``stop``, ``step`` apart."""
    if stop is None:
        start, stop = 0, start
    with on(device) as xp:
        return Tensor(xp.arange(start, stop, step, dtype=dtype))


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, device: str | None = None, axis: int = 0
) -> Tensor:
    """``num`` equally spaced numbers from ``start`` to ``stop``, which is left out if ``endpoint`` is false.

    Bounds on the tape have derivatives. Where they are arrays, the numbers stand along a new axis, number ``axis`` of the result.

    >>> import tinyad as ad
    >>> ad.jacobian(lambda t: ad.linspace(0.0, t, 3))(2.0)
    array([0. , 0.5, 1. ])
    """
    start, stop = _bound(start), _bound(stop)
    if _varies(start) or _varies(stop):
        dtype_of_bounds = getattr(stop - start, "dtype", None)
        if device is None:  # where the bounds are
            xp = common_module((unwrap(start), unwrap(stop)))
            part = xp.linspace(0.0, 1.0, num, endpoint=endpoint, dtype=dtype_of_bounds)
        else:
            part = linspace(0.0, 1.0, num, endpoint, dtype_of_bounds, device)
        ndim = max(len(shape_of(start)), len(shape_of(stop)))
        part = reshape(part, (num,) + (1,) * ndim)
        return asarray(moveaxis(start * (1.0 - part) + stop * part, 0, axis), dtype)
    with on(device) as xp:
        return Tensor(xp.linspace(unwrap(start), unwrap(stop), num, endpoint=endpoint, dtype=dtype, axis=axis))


def _bound(x: Any) -> Any:
    """Lists as arrays; numbers stay what they are and leave float32 alone."""
    return asarray(x) if isinstance(x, (list, tuple)) else x


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    device: str | None = None,
    axis: int = 0,
) -> Tensor:
    """``num`` numbers from ``base ** start`` to ``base ** stop`` with equally spaced logarithms; see `linspace`.

    >>> import tinyad as ad
    >>> ad.logspace(0, 2, 3)
    Tensor([  1.,  10., 100.], dtype=float64)
    """
    return asarray(base ** linspace(start, stop, num, endpoint, None, device, axis), dtype)


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, device: str | None = None, axis: int = 0
) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before; see `linspace`.

    Bounds of different signs, or 0, give NaN, because there is no such number.

    >>> import tinyad as ad
    >>> ad.geomspace(1, 8, 4)
    Tensor([1., 2., 4., 8.], dtype=float64)
    """
    start, stop = _bound(start), _bound(stop)
    part = linspace(0.0 * start, 0.0 * stop + 1.0, num, endpoint, None, device)
    return asarray(moveaxis(start * (stop / start) ** part, 0, axis), dtype)


def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None, device: str | None = None) -> Tensor:
    """The matrix of ``n_rows`` rows and ``n_cols`` columns (as many, if not given) with ones on the diagonal number ``k`` (0 is
    the main one, 1 the next above it), a constant."""
    with on(device) as xp:
        return Tensor(xp.eye(n_rows, n_cols, k, dtype or float))


def meshgrid(*arrays: Array, indexing: str = "xy", sparse: bool = False) -> tuple[Array, ...]:
    """Coordinates of the points of a grid: an array for each vector given, that repeats it along the other axes.

    Args:
        arrays: vectors or numbers, the coordinates along each axis.
        indexing: ``"ij"``, axis ``i`` of the results is that of vector ``i``; ``"xy"``, the first two are exchanged, so that x
            runs along rows.
        sparse: leave it to broadcasting to repeat them: the other axes have length 1.

    Raises:
        ValueError: if an array has more than one axis, or for another indexing.

    >>> import numpy as np, tinyad as ad
    >>> x, y = ad.meshgrid(np.arange(3), np.arange(2))
    >>> x
    array([[0, 1, 2],
           [0, 1, 2]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: indexing={indexing!r}; expected "xy" or "ij"')
    vectors = [x if is_array(unwrap(x)) else asarray(x) for x in arrays]
    for i, x in enumerate(vectors):
        if x.ndim > 1:
            raise ValueError(f"meshgrid: array {i} has shape {shape_of(x)}; expected a vector. Flatten it with ad.ravel")
    places = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        places[:2] = 1, 0
    lengths = [x.size for x in vectors]
    shape = [lengths[i] for i in places]  # an exchange of two is its own inverse
    lines = [
        reshape(x, [x.size if i == place else 1 for i in range(len(places))]) for x, place in zip(vectors, places, strict=True)
    ]
    return tuple(lines if sparse else [broadcast_to(line, shape) for line in lines])
