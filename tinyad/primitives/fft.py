"""The discrete Fourier transform and its inverse, of complex, real and Hermitian signals.

All of them are linear, so a rule is a transpose. With ``F[k, j] = exp(-2 pi i j k / n)``, the matrix of `fft`, and the parts
``j <= n // 2`` that are kept of a Hermitian signal:

* `fft` and `ifft` are symmetric matrices, each its own transpose;
* `rfft` keeps the first half of the rows of ``F``. Its transpose is the real part of those rows' transpose, which is `hfft` but
  for the weights: `hfft` and `irfft` complete the half that is missing, so what stands for two of its elements counts twice;
* `irfft` and `ihfft` are transposes of each other in the same way, and `ihfft` and `rfft` are conjugates.

The transposes are plain, not conjugated; see `tinyad.primitives.complex`. Signals are cut or filled up with zeros to their lengths
beforehand. A length and a scale (``norm``) belong to the transform itself, so they are the same in its transpose.

Source: W. Briggs and V. Henson, "The DFT: An Owner's Manual for the Discrete Fourier Transform", SIAM, 1995, chapters 3 and 4.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..devices import on
from ..kinds import Function, linear
from ..tensor import Tensor, unwrap
from .indexing import take_slice
from .padding import pad
from .shaping import Axes, as_array, astype, int_tuple, negative_axes, negative_axis, roll, shape_of

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft", "irfft2",
    "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

Lengths = Sequence[int | None] | None


# ---- the primitives: what NumPy and CuPy compute, of arrays that have their lengths


def _weighted(x: Array, n: int, axis: int, inner: float) -> Array:
    """The elements that stand for two of the ``n`` elements of a Hermitian signal, times ``inner``: all but the first, and for
    an even ``n`` the last."""
    half = n // 2 + 1
    weights = np.full(half, inner)
    weights[0] = 1.0
    if n % 2 == 0:
        weights[-1] = 1.0
    array = unwrap(x)
    along = weights.astype(np.empty(0, array.dtype).real.dtype).reshape((half,) + (1,) * (-axis - 1))
    return x * module_of(array).asarray(along)


_fftn: Function = linear("fftn", "fft.fftn", lambda g, like, axes, norm: _fftn(g, axes=axes, norm=norm))
_ifftn: Function = linear("ifftn", "fft.ifftn", lambda g, like, axes, norm: _ifftn(g, axes=axes, norm=norm))
_rfft: Function = linear(
    "rfft", "fft.rfft", lambda g, like, n, axis, norm: _hfft(_weighted(g, n, axis, 0.5), n=n, axis=axis, norm=norm)
)
_hfft: Function = linear(
    "hfft", "fft.hfft", lambda g, like, n, axis, norm: _weighted(_rfft(g, n=n, axis=axis, norm=norm), n, axis, 2.0)
)
_irfft: Function = linear(
    "irfft", "fft.irfft", lambda g, like, n, axis, norm: _weighted(_ihfft(g, n=n, axis=axis, norm=norm), n, axis, 2.0)
)
_ihfft: Function = linear(
    "ihfft", "fft.ihfft", lambda g, like, n, axis, norm: _irfft(_weighted(g, n, axis, 0.5), n=n, axis=axis, norm=norm)
)


# ---- lengths, axes and norms


def _resized(name: str, x: Array, lengths: Sequence[int], axes: Sequence[int]) -> Array:
    """``x`` cut, or filled up with zeros behind, to the lengths along the axes."""
    widths = [(0, 0)] * len(shape_of(x))
    for n, axis in zip(lengths, axes, strict=True):
        if n < 1:
            raise ValueError(f"{name}: {n} elements along axis {axis} of an array of shape {shape_of(x)}; expected at least 1")
        before = shape_of(x)[axis]
        if n < before:
            x = take_slice(x, axis, 0, n)
        widths[axis] = (0, max(n - before, 0))
    return pad(x, widths) if any(after for _, after in widths) else x


def _normed(name: str, norm: str | None) -> str:
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(
            f"{name}: norm={norm!r}; expected 'backward' (the inverse divides by n), 'ortho' (both by its root) or 'forward'"
        )
    return norm or "backward"


def _refuse_complex(name: str, x: Array) -> None:
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: x is complex; expected real numbers. Use ad.fft.fft or ad.fft.ifft, or take ad.real(x)")


def _one(name: str, primitive: Function, x: Array, n: int | None, axis: int, norm: str | None) -> Array:
    """A transform along one axis whose length is that of what it transforms."""
    x = as_array(x)
    place = negative_axis(name, axis, len(x.shape))
    length = x.shape[place] if n is None else operator.index(n)
    x = _resized(name, x, (length,), (place,))
    if primitive in (_fftn, _ifftn):
        return primitive(x, axes=(place,), norm=_normed(name, norm))
    _refuse_complex(name, x)
    return primitive(x, n=length, axis=place, norm=_normed(name, norm))


def _of_half(name: str, primitive: Function, x: Array, n: int | None, axis: int, norm: str | None) -> Array:
    """A transform along one axis of the half of a Hermitian signal of length ``n``."""
    x = as_array(x)
    place = negative_axis(name, axis, len(x.shape))
    length = 2 * (x.shape[place] - 1) if n is None else operator.index(n)
    if length < 1:
        raise ValueError(f"{name}: a result of {length} elements along axis {axis}; expected n of at least 1")
    return primitive(_resized(name, x, (length // 2 + 1,), (place,)), n=length, axis=place, norm=_normed(name, norm))


def _lengths(name: str, x: Array, s: Lengths, axes: Axes, least: int = 0) -> tuple[list[int], list[int]]:
    """The lengths of the transforms and their axes, from the end, of which there must be ``least``."""
    ndim = len(shape_of(x))
    if s is not None and axes is None:
        raise ValueError(f"{name}: s={tuple(s)} without axes; say which axes have these lengths, for instance axes=(-2, -1)")
    given = range(-ndim, 0) if axes is None else int_tuple(axes)
    places = [negative_axis(name, axis, ndim) for axis in given]
    negative_axes(name, tuple(places), ndim)  # refuses an axis that is named twice
    if s is not None and len(s) != len(places):
        raise ValueError(f"{name}: s={tuple(s)} has {len(s)} lengths for {len(places)} axes; give one for each")
    if len(places) < least:
        raise ValueError(f"{name}: no axes; expected at least one")
    own = [shape_of(x)[axis] for axis in places]
    wanted = [-1] * len(own) if s is None else [-1 if n is None else operator.index(n) for n in s]
    return [m if n == -1 else n for n, m in zip(wanted, own, strict=True)], places


def _several(name: str, primitive: Function, x: Array, s: Lengths, axes: Axes, norm: str | None) -> Array:
    """A complex transform along several axes."""
    x = as_array(x)
    lengths, places = _lengths(name, x, s, axes)
    return primitive(_resized(name, x, lengths, places), axes=tuple(places), norm=_normed(name, norm))


# ---- complex signals


def fft(x: Array, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The discrete Fourier transform along an axis: ``out[k] = sum over j of x[j] exp(-2 pi i j k / n)``.

    Args:
        x: real or complex; the result is complex, of single precision if ``x`` is.
        n: cut ``x`` to this length, or fill it up with zeros.
        norm: "backward": the inverse divides by ``n``; "ortho": both divide by its root; "forward": this one divides by it.

    Raises:
        ValueError: if there is no element along the axis, or for an unknown ``norm``.

    >>> import numpy as np, tinyad as ad
    >>> power = lambda x: ad.sum(ad.abs(ad.fft.fft(x)) ** 2)
    >>> ad.grad(power)(np.array([1.0, 2.0, 4.0]))
    array([ 6., 12., 24.])
    """
    return _one("fft", _fftn, x, n, axis, norm)


def ifft(x: Array, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `fft`."""
    return _one("ifft", _ifftn, x, n, axis, norm)


def fftn(x: Array, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
    """`fft` along several axes, all of them unless said; ``s`` are the lengths along them."""
    return _several("fftn", _fftn, x, s, axes, norm)


def ifftn(x: Array, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
    """The inverse of `fftn`."""
    return _several("ifftn", _ifftn, x, s, axes, norm)


def fft2(x: Array, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """`fftn` along the last two axes unless said."""
    return _several("fft2", _fftn, x, s, axes, norm)


def ifft2(x: Array, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """The inverse of `fft2`."""
    return _several("ifft2", _ifftn, x, s, axes, norm)


# ---- real signals, whose spectrum is Hermitian: one half of it says all


def rfft(x: Array, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The first ``n // 2 + 1`` elements of the `fft` of a real signal; the others are their conjugates.

    Raises:
        TypeError: if ``x`` is complex.
    """
    return _one("rfft", _rfft, x, n, axis, norm)


def irfft(x: Array, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `rfft`: the real signal of length ``n`` with this half of a spectrum.

    ``n`` is ``2 * (length - 1)`` unless given: that of a signal of odd length must be. The imaginary part of the first element, and
    for an even ``n`` of the last, has no part in the result, and a derivative of zero.

    >>> import numpy as np, tinyad as ad
    >>> ad.fft.irfft(ad.fft.rfft(np.array([1.0, 2.0, 4.0])), n=3)
    array([1., 2., 4.])
    """
    return _of_half("irfft", _irfft, x, n, axis, norm)


def hfft(x: Array, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The `fft`, which is real, of the Hermitian signal of length ``n`` with this first half; see `irfft`."""
    return _of_half("hfft", _hfft, x, n, axis, norm)


def ihfft(x: Array, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `hfft`: the first half of the `ifft` of a real signal."""
    return _one("ihfft", _ihfft, x, n, axis, norm)


def _real_to_half(name: str, x: Array, s: Lengths, axes: Axes, norm: str | None) -> Array:
    lengths, places = _lengths(name, as_array(x), s, axes, least=1)
    half = rfft(_resized(name, as_array(x), lengths, places), None, places[-1], norm)
    return _fftn(half, axes=tuple(places[:-1]), norm=_normed(name, norm)) if places[:-1] else half


def _half_to_real(name: str, x: Array, s: Lengths, axes: Axes, norm: str | None) -> Array:
    x = as_array(x)
    lengths, places = _lengths(name, x, s, axes, least=1)
    if s is None:
        lengths[-1] = 2 * (lengths[-1] - 1)
    if places[:-1]:
        x = _ifftn(_resized(name, x, lengths[:-1], places[:-1]), axes=tuple(places[:-1]), norm=_normed(name, norm))
    return irfft(x, lengths[-1], places[-1], norm)


def rfftn(x: Array, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
    """`fftn` of a real signal: `rfft` along the last of the axes, `fft` along the others."""
    return _real_to_half("rfftn", x, s, axes, norm)


def irfftn(x: Array, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
    """The inverse of `rfftn`: `ifft` along all axes but the last, along which `irfft`. For a signal of odd length along it give
    ``s``, the lengths of the result."""
    return _half_to_real("irfftn", x, s, axes, norm)


def rfft2(x: Array, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """`rfftn` along the last two axes unless said."""
    return _real_to_half("rfft2", x, s, axes, norm)


def irfft2(x: Array, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """The inverse of `rfft2`."""
    return _half_to_real("irfft2", x, s, axes, norm)


# ---- frequencies and their order


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: str | None = None) -> Array:
    """The frequencies of the elements of `fft` for samples ``d`` apart: ``[0, 1, ..., -2, -1] / (n d)``; a constant, unless ``d``
    is not.

    >>> import tinyad as ad
    >>> ad.fft.fftfreq(4, d=0.5).array
    array([ 0. ,  0.5, -1. , -0.5])
    """
    return _frequencies("fftfreq", n, d, np.arange(n) - n * (np.arange(n) >= (n + 1) // 2), dtype, device)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: str | None = None) -> Array:
    """The frequencies of the elements of `rfft`; see `fftfreq`."""
    return _frequencies("rfftfreq", n, d, np.arange(n // 2 + 1), dtype, device)


def _frequencies(name: str, n: int, d: Any, numbers: Any, dtype: Any, device: str | None) -> Array:
    if n < 1:
        raise ValueError(f"{name}: n={n}; expected at least 1")
    with on(device) as xp:
        result = Tensor(xp.asarray(numbers)) * (1.0 / (n * d))
    return result if dtype is None else astype(result, dtype, copy=False)


def fftshift(x: Array, axes: Axes = None) -> Array:
    """The element of frequency zero moved to the middle, along all axes unless said."""
    return _shifted("fftshift", x, axes, lambda n: n // 2)


def ifftshift(x: Array, axes: Axes = None) -> Array:
    """The inverse of `fftshift`; another function only for an odd length."""
    return _shifted("ifftshift", x, axes, lambda n: -(n // 2))


def _shifted(name: str, x: Array, axes: Axes, shift: Any) -> Array:
    places = negative_axes(name, axes, len(shape_of(x)))
    return roll(x, [shift(shape_of(x)[axis]) for axis in places], places)
