"""Operators, methods and NumPy's protocols for Tensors: tables from a name to the primitive that does the work.

``x + y``, ``x.sum(axis=0)``, ``np.sum(x, axis=0)`` and ``ad.sum(x, axis=0)`` are the same function. Calls inside tinyad use that
function directly: a call through NumPy's protocols costs about 0.6 microseconds more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import creation
from .array_interface import ArrayInterface
from .backend import is_array
from .primitives import elementwise as e
from .primitives import indexing, joining, linalg, products, reductions, searching, shaping
from .tensor import Tensor, unwrap
from .trace import Traced, example_of

__all__: list[str] = []

Function = Callable[..., Any]


def _swapped(function: Function) -> Function:
    return lambda x, y: function(y, x)


def _comparison(function: Function) -> Function:
    """``x == y`` has an answer for every ``y``: leave what is no operand, such as ``None``, to Python, which says False."""

    def compare(x: Any, y: Any) -> Any:
        known = isinstance(y, (Tensor, bool, int, float, complex, list, tuple)) or is_array(y)
        return function(x, y) if known else NotImplemented

    return compare


OPERATORS: dict[str, Function] = {
    "__neg__": e.negative,
    "__pos__": e.positive,
    "__abs__": e.abs,
    "__add__": e.add,
    "__radd__": _swapped(e.add),
    "__sub__": e.subtract,
    "__rsub__": _swapped(e.subtract),
    "__mul__": e.multiply,
    "__rmul__": _swapped(e.multiply),
    "__truediv__": e.divide,
    "__rtruediv__": _swapped(e.divide),
    "__pow__": e.power,
    "__rpow__": _swapped(e.power),
    "__matmul__": products.matmul,
    "__rmatmul__": _swapped(products.matmul),
    "__eq__": _comparison(e.equal),
    "__ne__": _comparison(e.not_equal),
    "__lt__": e.less,
    "__le__": e.less_equal,
    "__gt__": e.greater,
    "__ge__": e.greater_equal,
    "__and__": e.bitwise_and,
    "__rand__": _swapped(e.bitwise_and),
    "__or__": e.bitwise_or,
    "__ror__": _swapped(e.bitwise_or),
    "__xor__": e.bitwise_xor,
    "__rxor__": _swapped(e.bitwise_xor),
    "__invert__": e.bitwise_invert,
    "__getitem__": indexing.getitem,
}

METHODS: dict[str, Function] = {
    "sum": reductions.sum,
    "mean": reductions.mean,
    "var": reductions.var,
    "std": reductions.std,
    "max": reductions.max,
    "min": reductions.min,
    "cumsum": reductions.cumsum,
    "argmax": searching.argmax,
    "argmin": searching.argmin,
    "any": searching.any,
    "all": searching.all,
    "clip": e.clip,
    "dot": products.dot,
    "ravel": shaping.ravel,
    "flatten": shaping.ravel,
    "squeeze": shaping.squeeze,
    "swapaxes": shaping.swapaxes,
    "astype": shaping.astype,
}


def _reshape_method(x: Tensor, *shape: Any) -> Any:
    """The same elements in another shape, given as a tuple or one by one."""
    return shaping.reshape(x, _one_tuple(shape))


def _transpose_method(x: Tensor, *axes: Any) -> Any:
    """The axes in reverse order, or in the order given, as a tuple or one by one."""
    return shaping.transpose(x, _one_tuple(axes) or None)


def _one_tuple(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(numbers[0]) if len(numbers) == 1 and isinstance(numbers[0], (tuple, list)) else numbers


def _refuse_assignment(x: Tensor | Traced, index: Any, value: Any) -> None:
    if (traced := _traced((x, value))) is not None:
        raise traced.trace.refusal("an array to assign into", "Build the new array with ad.where, ad.concat or ad.stack")
    raise TypeError(
        "a Tensor cannot be assigned to in place, because the tape may still need the old values. Build the new array with "
        "ad.where, ad.concat or ad.stack"
    )


# ---- NumPy's protocols

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
        if (traced := _traced((condition,))) is not None:
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


def _traced(values: Any) -> Traced | None:
    """The first traced array among values and the lists among them."""
    for value in values:
        known = _traced(value) if isinstance(value, (list, tuple)) else unwrap(value)
        if type(known) is Traced:
            return known
    return None


def _refuse(name: str, values: Any, remedy: str = "") -> None:
    """Refuse a function of NumPy on a traced array, with the user's line; the caller refuses it on a Tensor."""
    if (traced := _traced(values)) is not None:
        raise traced.trace.refusal(f"an operand of {name}", remedy or "Write it with functions that tinyad has")


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    function = UFUNCS.get(ufunc)
    name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    if "out" in kwargs:
        _refuse(
            f"{name} that is to be written into a plain array (by +=, or out=)",
            inputs,
            "Make a new array: a = a + x, for instance",
        )
        raise TypeError(f"{name}: out= would overwrite values the tape needs; use the result instead")
    if method != "__call__" or function is None:
        _refuse(name, inputs)
        raise TypeError(f"{name} has no rule in tinyad. Use another function, or x.array for its values as a constant")
    if kwargs:
        raise TypeError(f"{name}: the keyword {next(iter(kwargs))!r} is not supported on a Tensor; use ad.where or .astype")
    return function(*inputs)


def _array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    function = FUNCTIONS.get(func)
    name = f"np.{func.__name__}"
    if func in CONSTANT_FUNCTIONS:
        args, kwargs = [unwrap(a) for a in args], {k: unwrap(v) for k, v in kwargs.items()}
        if _traced((*args, *kwargs.values())) is None:
            return func(*args, **kwargs)
        function = TRACED_FUNCTIONS.get(func)
    if function is None:
        _refuse(name, (*args, *kwargs.values()), _REMEDIES.get(func, ""))
        raise TypeError(f"{name} has no rule in tinyad. Use another function, or x.array for its values as a constant")
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise TypeError(f"{name}: {error}; on a Tensor it takes fewer keywords than on an array") from error
        raise


def _install(cls: type[ArrayInterface]) -> None:
    for name, function in (OPERATORS | METHODS).items():
        setattr(cls, name, function)
    cls.T = property(lambda x: shaping.matrix_transpose(x) if x.ndim == 2 else shaping.transpose(x))
    cls.mT = property(shaping.matrix_transpose)
    cls.reshape = _reshape_method
    cls.transpose = _transpose_method
    cls.__setitem__ = _refuse_assignment
    cls.__array_ufunc__ = _array_ufunc
    cls.__array_function__ = _array_function


_install(Tensor)
_install(Traced)
