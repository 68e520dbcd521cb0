"""The libraries that are compared: the same names for all, and the derivatives that each of them computes.

JAX computes in float64 here. HIPS autograd has no JVP for many of its functions, so its forward derivatives are those of reverse
derivatives; what it lacks altogether is composed where that is simple, else left out.
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy
import autograd.scipy.linalg
import autograd.scipy.special
import jax
import jax.numpy
import jax.scipy.linalg
import jax.scipy.special
import numpy as np
from autograd.tracer import isbox

import tinyad as ad

jax.config.update("jax_enable_x64", True)

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


class Missing(Exception):
    """A library has no function of this name, or no derivative of it."""


class Library:
    """A module's functions under NumPy's names, and those that are called otherwise there."""

    def __init__(self, name: str, module: types.ModuleType, **others: Any) -> None:
        self.name = name
        self.module = module
        self.__dict__.update(others)

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self.module, name)
        except AttributeError:
            raise Missing(f"{self.name} has no {name}") from None

    def __repr__(self) -> str:
        return self.name


# ---- tinyad


def _correlate_by_conv(x: Any, y: Any) -> Any:
    return ad.conv(x[None, None], y[None, None])[0, 0]


_BESIDE_NUMPY = {
    "set_at": lambda x, index, values: ad.asarray(x).at[index].set(values),
    "add_at": lambda x, index, values: ad.asarray(x).at[index].add(values),
    "correlate_valid": _correlate_by_conv,
    "solve_triangular": lambda a, b: ad.linalg.solve_triangular(a, b, lower=False),
    "eigvalsh": ad.linalg.eigvalsh,
    "trace": ad.linalg.trace,
    "erf": ad.erf,
    "expit": ad.special.expit,
    "logit": ad.special.logit,
    "gammaln": ad.special.gammaln,
    "digamma": ad.special.digamma,
    "logsumexp": ad.logsumexp,
    "softmax": ad.softmax,
    "log_softmax": ad.log_softmax,
    "grad": ad.grad,
    "vmap": ad.vmap,
    "scan": ad.scan,
    "checkpoint": ad.checkpoint,
    "stop_gradient": ad.stop_gradient,
}

TINYAD = Library("tinyad", ad, **_BESIDE_NUMPY)
NUMPY = Library("NumPy's functions on Tensors", np, **_BESIDE_NUMPY)
"""A function written for NumPy differentiates unchanged; the names that NumPy lacks are tinyad's."""


# ---- JAX


def _correlate_by_lax(x: Any, y: Any) -> Any:
    return jax.lax.conv(x[None, None], y[None, None], (1,) * x.ndim, "VALID")[0, 0]


def _median(x: Any, axis: Any, keepdims: bool) -> Any:
    """It keeps an axis of a number, which has none."""
    return jax.numpy.median(x, axis=axis, keepdims=keepdims) if x.ndim else x


JAX = Library(
    "JAX",
    jax.numpy,
    median=_median,
    set_at=lambda x, index, values: x.at[index].set(values),
    add_at=lambda x, index, values: x.at[index].add(values),
    correlate_valid=_correlate_by_lax,
    solve_triangular=jax.scipy.linalg.solve_triangular,
    eigvalsh=jax.numpy.linalg.eigvalsh,
    erf=jax.scipy.special.erf,
    expit=jax.scipy.special.expit,
    logit=jax.scipy.special.logit,
    gammaln=jax.scipy.special.gammaln,
    digamma=jax.scipy.special.digamma,
    logsumexp=jax.scipy.special.logsumexp,
    softmax=jax.nn.softmax,
    log_softmax=jax.nn.log_softmax,
    grad=jax.grad,
    vmap=jax.vmap,
    scan=jax.lax.scan,
    checkpoint=jax.checkpoint,
    stop_gradient=jax.lax.stop_gradient,
)

# ---- HIPS autograd, with what it lacks (or has wrong) composed of what it has


def _rearranging(function: Function) -> Function:
    """What only moves or repeats elements: NumPy's function of their places says where each comes from."""

    def rearrange(x: Any, *args: Any, **kwargs: Any) -> Any:
        places = function(np.arange(x.size).reshape(x.shape), *args, **kwargs)
        return autograd.numpy.reshape(autograd.numpy.ravel(x)[np.ravel(places)], np.shape(places))

    return rearrange


def _sort(x: Any, axis: int) -> Any:
    order = np.argsort(_stop_gradient(x), axis)
    return _rearranging(lambda places: np.take_along_axis(places, order, axis))(x)


def _diag(x: Any) -> Any:
    return x * np.eye(len(x)) if x.ndim == 1 else _rearranging(np.diag)(x)


def _where(condition: Any, x: Any, y: Any) -> Any:
    zeros = np.zeros(np.broadcast_shapes(np.shape(condition), np.shape(x), np.shape(y)))
    return autograd.numpy.where(condition, x + zeros, y + zeros)


def _solve(a: Any, b: Any) -> Any:
    return autograd.numpy.linalg.solve(a, b + np.zeros((*a.shape[:-1], b.shape[-1])))


def _rfft(x: Any) -> Any:
    return autograd.numpy.fft.fft(x)[..., : x.shape[-1] // 2 + 1]


def _einsum(subscripts: str, *operands: Any) -> Any:
    if subscripts == "ii->i":
        return _rearranging(np.diag)(*operands)
    return autograd.numpy.einsum(subscripts, *operands)


def _scattered(x: Any, index: Any, values: Any) -> tuple[Any, Array]:
    """Values at the places of an index, added up, in an array like ``x``; and which elements they went to."""
    places = np.arange(x.size).reshape(x.shape)[index]
    spread = np.zeros((x.size, places.size))
    spread[places.ravel(), np.arange(places.size)] = 1.0
    flat = autograd.numpy.ravel(values + np.zeros(places.shape))
    return autograd.numpy.reshape(autograd.numpy.dot(spread, flat), x.shape), spread.any(axis=1).reshape(x.shape)


def _set_at(x: Any, index: Any, values: Any) -> Any:
    added, written = _scattered(x, index, values)
    return autograd.numpy.where(written, added, x)


def _correlate_by_shifts(x: Any, y: Any) -> Any:
    windows = [n - m + 1 for n, m in zip(x.shape, y.shape, strict=True)]
    total = 0.0
    for place in np.ndindex(y.shape):
        total = total + y[place] * x[tuple(slice(k, k + count) for k, count in zip(place, windows, strict=True))]
    return total


def _prod(x: Any, axis: int | None, keepdims: bool) -> Any:
    """Factor by factor: autograd's rule divides by them, which gives NaN where one is zero."""
    if axis is None:
        total = functools.reduce(operator.mul, autograd.numpy.ravel(x))
        return autograd.numpy.reshape(total, (1,) * x.ndim if keepdims else ())
    moved = autograd.numpy.moveaxis(x, axis, 0)
    total = functools.reduce(operator.mul, [moved[k] for k in range(len(moved))])
    return autograd.numpy.expand_dims(total, axis) if keepdims else total


def _tanh(x: Any) -> Any:
    if np.max(np.abs(_stop_gradient(x)), initial=0.0) > 300:
        raise Missing("HIPS autograd: the second derivative of tanh where cosh overflows")
    return autograd.numpy.tanh(x)


def _logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    """It keeps an axis of a number, which has none."""
    return autograd.scipy.special.logsumexp(x, axis=axis, keepdims=keepdims) if x.ndim else 1.0 * x


def _softmax(x: Any, axis: int) -> Any:
    return autograd.numpy.exp(_log_softmax(x, axis))


def _log_softmax(x: Any, axis: int) -> Any:
    return x - autograd.scipy.special.logsumexp(x, axis=axis, keepdims=True)


def _vmap(f: Function) -> Function:
    return lambda xs: autograd.numpy.stack([f(x) for x in xs])


def _scan(step: Function, carry: Any, xs: Any) -> tuple[Any, Any]:
    results = []
    for x in xs:
        carry, y = step(carry, x)
        results.append(y)
    return carry, None if results[0] is None else autograd.numpy.stack(results)


def _stop_gradient(x: Any) -> Any:
    while isbox(x):
        x = x._value
    return x


AUTOGRAD = Library(
    "HIPS autograd",
    autograd.numpy,
    set_at=_set_at,
    add_at=lambda x, index, values: x + _scattered(x, index, values)[0],
    correlate_valid=_correlate_by_shifts,
    solve_triangular=autograd.scipy.linalg.solve_triangular,
    eigvalsh=lambda x: autograd.numpy.linalg.eigh(x)[0],
    erf=autograd.scipy.special.erf,
    expit=autograd.scipy.special.expit,
    logit=autograd.scipy.special.logit,
    gammaln=autograd.scipy.special.gammaln,
    digamma=autograd.scipy.special.digamma,
    prod=_prod,
    tanh=_tanh,
    logsumexp=_logsumexp,
    softmax=_softmax,
    log_softmax=_log_softmax,
    where=_where,
    diag=_diag,
    sort=_sort,
    einsum=_einsum,
    flip=_rearranging(np.flip),
    take=_rearranging(np.take),
    tile=_rearranging(np.tile),
    repeat=_rearranging(np.repeat),
    diagonal=_rearranging(np.diagonal),
    pad=lambda x, widths: autograd.numpy.pad(x, widths, "constant"),
    fft=Library("HIPS autograd.fft", autograd.numpy.fft, rfft=_rfft),
    linalg=Library("HIPS autograd.linalg", autograd.numpy.linalg, solve=_solve),
    cbrt=lambda x: autograd.numpy.sign(x) * autograd.numpy.abs(x) ** (1 / 3),
    grad=autograd.grad,
    vmap=_vmap,
    scan=_scan,
    checkpoint=autograd.checkpoint,
    stop_gradient=_stop_gradient,
)
