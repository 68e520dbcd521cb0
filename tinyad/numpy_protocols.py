"""NumPy's protocols: what NumPy's functions and ufuncs do when an operand is a Tensor, as tables from NumPy's function to tinyad's.

Calls inside tinyad use its functions directly: a call through these protocols costs about 0.6 microseconds more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import creation, dtypes, fft, linalg
from .assignment import At, rebind
from .numpy_signatures import BY_SIGNATURE
from .primitives import (
    complex,
    cumulative,
    diagonals,
    einsum,
    elementwise,
    joining,
    matrices,
    padding,
    polynomials,
    products,
    reductions,
    repeating,
    searching,
    sets,
    shaping,
    sorting,
    special,
    splitting,
    steps,
    taking,
    triangles,
)
from .tensor import Tensor, unwrap
from .tracing import Traced, example_of

__all__ = ["CONSTANT_FUNCTIONS", "FUNCTIONS", "UFUNCS", "array_function", "array_ufunc", "refuse", "traced_among"]

Function = Callable[..., Any]

# ---- ufuncs

_OF_EACH_ELEMENT: dict[str, Function] = {
    name: getattr(module, name) for module in (complex, elementwise, steps) for name in module.__all__
}
_UFUNC_NAMES: dict[str, str] = {
    "absolute": "abs", "fabs": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2", "rint": "round", "invert": "bitwise_invert",
    "conjugate": "conj", "degrees": "rad2deg", "radians": "deg2rad", "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
}  # fmt: skip
UFUNCS: dict[Any, Function] = {
    ufunc: function for name, function in _OF_EACH_ELEMENT.items() if isinstance(ufunc := getattr(np, name, None), np.ufunc)
}
UFUNCS |= {getattr(np, theirs): _OF_EACH_ELEMENT[ours] for theirs, ours in _UFUNC_NAMES.items()}
UFUNCS |= {np.divmod: lambda x, y: (steps.floor_divide(x, y), elementwise.remainder(x, y))}
UFUNCS |= {
    theirs: getattr(products, name)
    for name in ("matmul", "vecdot", "matvec", "vecmat")
    if (theirs := getattr(np, name, None)) is not None  # not all of them in NumPy 2.0
}


def _where(condition: Any, *branches: Any) -> Any:
    return elementwise.where(condition, *branches) if branches else np.nonzero(condition)


FUNCTIONS: dict[Any, Function] = {
    **BY_SIGNATURE,
    np.broadcast_to: reductions.broadcast_to,
    np.clip: lambda a, a_min=None, a_max=None, *, min=None, max=None: elementwise.clip(
        a, a_min if min is None else min, a_max if max is None else max
    ),
    np.where: _where,
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
    np.pad: lambda array, pad_width, mode="constant", constant_values=0: padding.pad(array, pad_width, constant_values, mode),
    np.dot: products.dot,
    np.outer: lambda a, b: products.outer(shaping.ravel(a), shaping.ravel(b)),
    np.tensordot: products.tensordot,
    np.inner: products.inner,
    np.vdot: products.vdot,
    np.kron: products.kron,
    np.cross: products.cross,
    np.einsum: einsum.einsum,
    np.tril: triangles.tril,
    np.triu: triangles.triu,
    np.meshgrid: creation.meshgrid,
    np.linspace: lambda start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None: _linspace(
        start, stop, num, endpoint, retstep, dtype, axis
    ),
    np.logspace: lambda start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0: creation.logspace(
        start, stop, num, endpoint, base, dtype, axis=axis
    ),
    np.geomspace: lambda start, stop, num=50, endpoint=True, dtype=None, axis=0: creation.geomspace(
        start, stop, num, endpoint, dtype, axis=axis
    ),
    np.zeros_like: creation.zeros_like,
    np.ones_like: creation.ones_like,
    np.empty_like: creation.empty_like,
    np.full_like: creation.full_like,
}
FUNCTIONS |= {
    theirs: getattr(linalg, name)
    for name in linalg.__all__
    if callable(theirs := getattr(np.linalg, name, None)) and not isinstance(theirs, type)
}
_OF_ONE_TRIANGLE: dict[Any, Function] = {
    np.linalg.eigh: lambda a, UPLO="L": linalg.eigh(a, UPLO),
    np.linalg.eigvalsh: lambda a, UPLO="L": linalg.eigvalsh(a, UPLO),
    np.linalg.cholesky: lambda a, /, *, upper=False: _cholesky(a, upper),
}
"""What looks at one triangle alone in NumPy; tinyad's own take the Hermitian part."""
FUNCTIONS |= _OF_ONE_TRIANGLE
FUNCTIONS |= {
    getattr(numpys, name): getattr(module, name)
    for module, numpys in (
        (fft, np.fft), (diagonals, np), (joining, np), (polynomials, np), (repeating, np), (sets, np), (shaping, np),
        (sorting, np), (splitting, np), (taking, np),
    )
    for name in module.__all__
    if hasattr(numpys, name) and name not in (  # they have a place elsewhere, or are asked for numbers alone
        "argpartition", "argsort", "broadcast_shapes", "fftfreq", "isin", "pad", "rfftfreq", "tril_indices", "triu_indices",
    )
}  # fmt: skip
"""What takes NumPy's place with NumPy's arguments, in their order."""
FUNCTIONS |= {
    np.copy: lambda a, order="K", subok=False: shaping.astype(a, a.dtype),
    np.tile: lambda A, reps: repeating.tile(A, reps),
    np.resize: lambda a, new_shape: repeating.resize(a, new_shape),
    np.select: lambda condlist, choicelist, default=0: taking.select(condlist, choicelist, default),
    np.piecewise: lambda x, condlist, funclist, *args, **kw: taking.piecewise(x, condlist, funclist, *args, **kw),
}
"""What is called with names of NumPy's own for the arguments."""


def _cholesky(a: Any, upper: bool) -> Any:
    return linalg.cholesky(matrices.hermitian_from("cholesky", a, "U" if upper else "L"), upper)


def _linspace(start: Any, stop: Any, num: int, endpoint: bool, retstep: bool, dtype: Any, axis: int) -> Any:
    numbers = creation.linspace(start, stop, num, endpoint, dtype, axis=axis)
    return (numbers, (stop - start) / (num - 1 if endpoint else num)) if retstep else numbers


CONSTANT_FUNCTIONS = {
    np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.argmax, np.argmin, np.argsort, np.any, np.all,
    np.allclose, np.isclose, np.array_equal, np.count_nonzero, np.nonzero, np.array_repr, np.array_str, np.array2string,
    np.result_type, np.can_cast, np.argwhere, np.flatnonzero, np.searchsorted, np.digitize, np.isin, np.argpartition,
    np.nanargmax, np.nanargmin, np.array_equiv, np.diag_indices_from, np.tril_indices_from, np.triu_indices_from,
    np.unravel_index, np.ravel_multi_index, np.may_share_memory, np.shares_memory, np.common_type, np.min_scalar_type,
}  # fmt: skip
"""On Tensors they give what they give on the arrays."""

TRACED_FUNCTIONS: dict[Any, Function] = {
    np.shape: lambda a: np.shape(example_of(a)),
    np.ndim: lambda a: np.ndim(example_of(a)),
    np.size: lambda a, axis=None: np.size(example_of(a), axis),
    np.iscomplexobj: lambda x: np.iscomplexobj(example_of(x)),
    np.isrealobj: lambda x: np.isrealobj(example_of(x)),
    np.argmax: searching.argmax,
    np.argmin: searching.argmin,
    np.argpartition: sorting.argpartition,
    np.argsort: sorting.argsort,
    np.digitize: searching.digitize,
    np.isin: sets.isin,
    np.searchsorted: searching.searchsorted,
    np.any: searching.any,
    np.all: searching.all,
    np.isclose: steps.isclose,
    np.count_nonzero: searching.count_nonzero,
    np.result_type: dtypes.result_type,
    np.can_cast: dtypes.can_cast,
}
"""What those of them do that need not know the values of a traced array."""

_REMEDIES: dict[Any, str] = {
    np.allclose: "For an array of whether it is so write ad.all(ad.isclose(a, b)); choose with ad.where",
    np.array_equal: "For an array of whether it is so write ad.all(a == b); choose with ad.where",
    np.apply_along_axis: "Map it over the other axes with ad.vmap",
    np.trim_zeros: "Slice it from the first to the last of ad.flatnonzero(x)",
} | dict.fromkeys(
    (np.nonzero, np.argwhere, np.flatnonzero),
    "How many elements it gives depends on the values; keep the shape and choose with ad.where(mask, x, 0)",
) | dict.fromkeys(
    (np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask),
    "It writes into its first operand. Assign by an index, x[index] = values, or make a new array with ad.where",
)  # fmt: skip


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


def _at(update: str) -> Function:
    """``np.add.at(x, index, v)`` and its like, on a Tensor."""
    return lambda x, index, values: rebind(x, getattr(At(x, index), update)(values), f"np.{update}.at")


_UFUNC_METHODS: dict[tuple[Any, str], Function] = {
    (np.add, "reduce"): lambda array, axis=0, keepdims=False: reductions.sum(array, axis, keepdims),
    (np.multiply, "reduce"): lambda array, axis=0, keepdims=False: cumulative.prod(array, axis, keepdims),
    (np.logaddexp, "reduce"): lambda array, axis=0, keepdims=False: reductions.logsumexp(array, axis, keepdims),
    (np.maximum, "reduce"): lambda array, axis=0, keepdims=False: reductions.max(array, axis, keepdims),
    (np.minimum, "reduce"): lambda array, axis=0, keepdims=False: reductions.min(array, axis, keepdims),
    (np.add, "accumulate"): lambda array, axis=0: cumulative.cumsum(array, axis),
    (np.multiply, "accumulate"): lambda array, axis=0: cumulative.cumprod(array, axis),
    (np.add, "at"): _at("add"),
    (np.multiply, "at"): _at("multiply"),
}


_UFUNC_KEYWORDS: dict[Any, set[str]] = {
    "reduce": {"axis", "keepdims"}, "accumulate": {"axis"}, (np.vecdot, "__call__"): {"axis"},
}  # fmt: skip
"""By method, or by ufunc and method."""


def _outer(function: Function) -> Function:
    def outer(a: Any, b: Any) -> Any:
        return function(shaping.reshape(a, shaping.shape_of(a) + (1,) * len(shaping.shape_of(b))), b)

    return outer


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    function = UFUNCS.get(ufunc) or special.of_scipy(ufunc)
    name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    if method == "outer" and function is not None:
        function = _outer(function)
    elif method != "__call__":
        function = _UFUNC_METHODS.get((ufunc, method))
    target, *others = kwargs.pop("out", (None,))
    if others:
        raise TypeError(f"{name}: out= of several arrays is not supported on a Tensor. Use the results instead")
    if target is not None and not isinstance(target, (Tensor, Traced)):
        refuse(f"{name} that is to be written into a plain array (by +=, or out=)", inputs, _IN_PLACE_REMEDY)
        raise TypeError(f"{name}: out= is a plain array, which would lose a Tensor's gradient. {_IN_PLACE_REMEDY}")
    if function is None:
        refuse(name, inputs)
        raise TypeError(f"{name} has no rule in tinyad. Use another function, or x.array for its values as a constant")
    if method == "at" and not isinstance(inputs[0], (Tensor, Traced)):
        refuse(f"{name} on a plain array", inputs, _IN_PLACE_REMEDY)
        raise TypeError(f"{name}: a plain array cannot hold a Tensor without losing its gradient. {_IN_PLACE_REMEDY}")
    if kwargs.keys() - _UFUNC_KEYWORDS.get((ufunc, method), _UFUNC_KEYWORDS.get(method, set())):
        raise TypeError(f"{name}: the keyword {next(iter(kwargs))!r} is not supported on a Tensor; use ad.where or .astype")
    result = function(*inputs, **kwargs)
    return result if target is None else rebind(target, result, f"{name}(..., out=x)")


_IN_PLACE_REMEDY = "Make a new array: a = a + x, for instance; or make a with ad.zeros, ad.asarray"


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    function = FUNCTIONS.get(func)
    name = f"np.{func.__name__}"
    if func in CONSTANT_FUNCTIONS:
        args, kwargs = [unwrap(a) for a in args], {k: unwrap(v) for k, v in kwargs.items()}
        if traced_among((*args, *kwargs.values())) is None:
            return func(*args, **kwargs)
        function = TRACED_FUNCTIONS.get(func)
    if function is None:
        remedy = _REMEDIES.get(func, "")
        refuse(name, (*args, *kwargs.values()), remedy)
        remedy = remedy or "Use another function, or x.array for its values as a constant"
        raise TypeError(f"{name} has no rule in tinyad. {remedy}")
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise TypeError(f"{name}: {error}; on a Tensor it takes fewer keywords than on an array") from error
        raise
