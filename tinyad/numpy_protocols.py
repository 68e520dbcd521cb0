"""NumPy's protocols: what NumPy's functions and ufuncs do when an operand is a Tensor, as tables from NumPy's function to tinyad's.

Calls inside tinyad use its functions directly: a call through these protocols costs about 0.6 microseconds more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import creation
from .primitives import elementwise as e
from .primitives import joining, linalg, products, reductions, searching, shaping
from .tensor import Tensor, unwrap
from .trace import Traced, example_of

__all__ = ["CONSTANT_FUNCTIONS", "FUNCTIONS", "UFUNCS", "array_function", "array_ufunc", "refuse", "traced_among"]

Function = Callable[..., Any]

# ---- ufuncs

_UFUNC_NAMES: dict[str, str] = {
    "absolute": "abs", "fabs": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2", "rint": "round", "invert": "bitwise_invert",
}  # fmt: skip
UFUNCS: dict[Any, Function] = {
    ufunc: getattr(e, name) for name in e.__all__ if isinstance(ufunc := getattr(np, name, None), np.ufunc)
}
UFUNCS |= {getattr(np, theirs): getattr(e, ours) for theirs, ours in _UFUNC_NAMES.items()}
UFUNCS |= {np.matmul: products.matmul}


def _with_ddof(function: Function) -> Function:
    def adapted(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
        return function(a, axis=axis, keepdims=keepdims, correction=ddof)

    return adapted


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    matrix = (axis is None and ord is not None and len(x.shape) == 2) or (isinstance(axis, tuple) and len(axis) == 2)
    if matrix and ord not in (None, "fro"):
        raise TypeError(f"np.linalg.norm: the matrix norm ord={ord!r} has no rule in tinyad; use the Frobenius norm")
    return reductions.norm(x, axis=axis, keepdims=keepdims, ord=2 if ord in (None, "fro") else ord)


def _where(condition: Any, *branches: Any) -> Any:
    if len(branches) != 2:
        if (traced := traced_among((condition,))) is not None:
            traced.nonzero()
        raise TypeError("np.where: on a Tensor it takes three operands, (condition, x, y); for indices use np.nonzero")
    return e.where(condition, *branches)


FUNCTIONS: dict[Any, Function] = {
    np.sum: reductions.sum,
    np.mean: reductions.mean,
    np.var: _with_ddof(reductions.var),
    np.std: _with_ddof(reductions.std),
    np.max: reductions.max,
    np.min: reductions.min,
    np.cumsum: reductions.cumsum,
    np.broadcast_to: reductions.broadcast_to,
    np.clip: lambda a, a_min=None, a_max=None, *, min=None, max=None: e.clip(
        a, a_min if min is None else min, a_max if max is None else max
    ),
    np.where: _where,
    np.round: e.round,
    np.reshape: shaping.reshape,
    np.ravel: shaping.ravel,
    np.transpose: shaping.transpose,
    np.swapaxes: shaping.swapaxes,
    np.moveaxis: shaping.moveaxis,
    np.expand_dims: shaping.expand_dims,
    np.squeeze: shaping.squeeze,
    np.flip: shaping.flip,
    np.roll: shaping.roll,
    np.concatenate: joining.concat,
    np.stack: joining.stack,
    np.pad: lambda array, pad_width, mode="constant", constant_values=0: _pad(array, pad_width, mode, constant_values),
    np.dot: products.dot,
    np.outer: lambda a, b: products.outer(shaping.ravel(a), shaping.ravel(b)),
    np.tensordot: products.tensordot,
    np.einsum: products.einsum,
    np.linalg.solve: linalg.solve,
    np.linalg.cholesky: linalg.cholesky,
    np.linalg.norm: _norm,
    np.zeros_like: creation.zeros_like,
    np.ones_like: creation.ones_like,
}


def _pad(array: Any, pad_width: Any, mode: str, constant_values: Any) -> Any:
    if mode != "constant":
        raise TypeError(f"np.pad: mode={mode!r} has no rule in tinyad; only mode='constant' has")
    return joining.pad(array, pad_width, constant_values)


CONSTANT_FUNCTIONS = {
    np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort, np.any, np.all, np.allclose, np.isclose, np.array_equal,
    np.count_nonzero, np.nonzero, np.array_repr, np.array_str, np.array2string,
}  # fmt: skip
"""On Tensors they give what they give on the arrays."""

TRACED_FUNCTIONS: dict[Any, Function] = {
    np.shape: lambda a: np.shape(example_of(a)),
    np.ndim: lambda a: np.ndim(example_of(a)),
    np.size: lambda a, axis=None: np.size(example_of(a), axis),
    np.argmax: searching.argmax,
    np.argmin: searching.argmin,
    np.argsort: searching.argsort,
    np.any: searching.any,
    np.all: searching.all,
    np.isclose: e.isclose,
    np.count_nonzero: searching.count_nonzero,
}
"""What those of them do that need not know the values of a traced array."""

_REMEDIES: dict[Any, str] = {
    np.allclose: "For an array of whether it is so write ad.all(ad.isclose(a, b)); choose with ad.where",
    np.array_equal: "For an array of whether it is so write ad.all(a == b); choose with ad.where",
} | dict.fromkeys(
    (np.nonzero, np.unique, np.argwhere, np.flatnonzero, np.extract, np.compress),
    "How many elements it gives depends on the values; keep the shape and choose with ad.where(mask, x, 0)",
)


def traced_among(values: Any) -> Traced | None:
    """The first traced array among values and the lists among them."""
    for value in values:
        known = traced_among(value) if isinstance(value, (list, tuple)) else unwrap(value)
        if type(known) is Traced:
            return known
    return None


def refuse(name: str, values: Any, remedy: str = "") -> None:
    """Refuse a function of NumPy on a traced array, with the user's line; the caller refuses it on a Tensor."""
    if (traced := traced_among(values)) is not None:
        raise traced.trace.refusal(f"an operand of {name}", remedy or "Write it with functions that tinyad has")


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    function = UFUNCS.get(ufunc)
    name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    if "out" in kwargs:
        refuse(
            f"{name} that is to be written into a plain array (by +=, or out=)",
            inputs,
            "Make a new array: a = a + x, for instance",
        )
        raise TypeError(f"{name}: out= would overwrite values the tape needs; use the result instead")
    if method != "__call__" or function is None:
        refuse(name, inputs)
        raise TypeError(f"{name} has no rule in tinyad. Use another function, or x.array for its values as a constant")
    if kwargs:
        raise TypeError(f"{name}: the keyword {next(iter(kwargs))!r} is not supported on a Tensor; use ad.where or .astype")
    return function(*inputs)


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    function = FUNCTIONS.get(func)
    name = f"np.{func.__name__}"
    if func in CONSTANT_FUNCTIONS:
        args, kwargs = [unwrap(a) for a in args], {k: unwrap(v) for k, v in kwargs.items()}
        if traced_among((*args, *kwargs.values())) is None:
            return func(*args, **kwargs)
        function = TRACED_FUNCTIONS.get(func)
    if function is None:
        refuse(name, (*args, *kwargs.values()), _REMEDIES.get(func, ""))
        raise TypeError(f"{name} has no rule in tinyad. Use another function, or x.array for its values as a constant")
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise TypeError(f"{name}: {error}; on a Tensor it takes fewer keywords than on an array") from error
        raise
