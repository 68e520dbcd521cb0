"""The operations that random programs are made of, each in one form for all libraries.

A form is a function of a library (see `tests.peers.libraries`), of arrays and of parameters; NumPy's names stand for the library's
own functions. What a library lacks, programs with that operation are not asked of it.

Values stay where functions are smooth and well conditioned by construction: arguments are bounded (``log(1.5 + sin(x))``), and
matrices to factorise are made diagonally dominant. Where a function has kinks or ties, a margin says how far its operands are
from the nearest one, and a program that comes near is drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Random = np.random.Generator
Form = Callable[..., Any]
Parameters = Callable[..., dict[str, Any] | None]

LARGEST = 64  # elements of a value


@dataclass(frozen=True)
class Operation:
    """One way to make a value of others.

    Attributes:
        form: a function of the library, the operands and the parameters.
        parameters: drawn for operands of given shapes: a function of the random generator and the shapes, which gives keywords
            that Python can print, or ``None`` where the operation does not fit.
        operands: how many.
        margin: how far operands are from the nearest kink or tie: a function of arrays and parameters.
    """

    form: Form
    parameters: Parameters = lambda random, *shapes: {}
    operands: int = 1
    margin: Callable[..., float] | None = None


# ---- parameters


def _any_axis(random: Random, shape: Shape) -> dict[str, Any] | None:
    return {"axis": int(random.integers(-len(shape), len(shape)))} if shape else None


def _axes(random: Random, shape: Shape) -> dict[str, Any]:
    """``None``, an axis or several, and whether they are kept."""
    kind = random.integers(3) if shape else 0
    axis: Any = None
    if kind == 1:
        axis = int(random.integers(-len(shape), len(shape)))
    elif kind == 2:
        axis = tuple(sorted(random.permutation(len(shape))[: random.integers(1, len(shape) + 1)].tolist()))
    return {"axis": axis, "keepdims": bool(random.integers(2))}


def _one_or_no_axis(random: Random, shape: Shape) -> dict[str, Any]:
    given = _axes(random, shape)
    return given if not isinstance(given["axis"], tuple) else {**given, "axis": given["axis"][0]}


def _broadcast(random: Random, *shapes: Shape) -> dict[str, Any] | None:
    try:
        return {} if math.prod(np.broadcast_shapes(*shapes)) <= LARGEST else None
    except ValueError:
        return None


def _if(condition: Callable[..., bool], then: Parameters = lambda random, *shapes: {}) -> Parameters:
    """Parameters where the shapes fit."""
    return lambda random, *shapes: then(random, *shapes) if condition(*shapes) else None


def _permutation(random: Random, shape: Shape) -> dict[str, Any]:
    return {"axes": tuple(random.permutation(len(shape)).tolist())}


def _new_shape(random: Random, shape: Shape) -> dict[str, Any]:
    size = math.prod(shape)
    splits = [(k, size // k) for k in range(1, size + 1) if size % k == 0]
    options = [(size,), (-1, 1), (1, *shape), (*shape, 1), *splits, *((*s[:-1], 1, s[-1]) for s in splits)]
    return {"shape": options[random.integers(len(options))]}


def _larger_shape(random: Random, shape: Shape) -> dict[str, Any]:
    grown = tuple(int(random.integers(2, 4)) if n == 1 else n for n in shape)
    return {"shape": [grown, (2, *shape), (1, *grown)][random.integers(3)]}


def _widths(random: Random, shape: Shape) -> dict[str, Any] | None:
    return {"widths": tuple((int(a), int(b)) for a, b in random.integers(0, 2, (len(shape), 2)))} if shape else None


def _basic_index(random: Random, shape: Shape) -> tuple[Any, ...]:
    index: list[Any] = []
    for n in shape:
        cuts = [slice(None), slice(None, None, -1), slice(1, None), slice(None, -1), slice(None, None, 2), slice(-1, None)]
        options = [*[s for s in cuts if len(range(*s.indices(n)))], int(random.integers(-n, n))]
        index.append(options[random.integers(len(options))])
    if random.integers(3) == 0:
        index.insert(int(random.integers(len(index) + 1)), None)
    if random.integers(3) == 0:
        index[int(random.integers(len(index))) :] = [Ellipsis]
    return tuple(index)


def _some_index(random: Random, shape: Shape, repeated: bool = True) -> dict[str, Any] | None:
    """Slices and numbers, lists of positions along one axis or two, or a mask, as a tuple that Python can print."""
    if not shape:
        return None

    def positions(n: int, count: int) -> list[int]:
        chosen = random.integers(-n, n, count) if repeated else random.permutation(n)[:count]
        return [int(k) for k in chosen]

    kind = random.choice(["basic", "basic", "rows", "last", "both", "mask"])
    first, last = shape[0], shape[-1]
    if kind == "basic":
        return {"index": _basic_index(random, shape)}
    if kind == "rows":
        return {"index": (positions(first, 3),)}
    if kind == "last":
        return {"index": (Ellipsis, positions(last, 2))}
    if kind == "both" and len(shape) > 1:
        count = min(3, first, last)
        return {"index": (positions(first, count), Ellipsis, positions(last, count))}
    mask = random.random(shape) < 0.6
    return {"index": (mask.tolist(),)} if mask.any() else None


def _index_into(repeated: bool) -> Parameters:
    """An index for an update of the first operand, into which the others broadcast."""

    def parameters(random: Random, shape: Shape, *others: Shape) -> dict[str, Any] | None:
        given = _some_index(random, shape, repeated)
        return given if given is not None and _goes_into(given["index"], shape, *others) else None

    return parameters


def _goes_into(index: tuple[Any, ...], shape: Shape, *others: Shape) -> bool:
    place = np.empty(shape)[as_index(index)].shape
    return all(len(other) <= len(place) and _broadcasts_to(other, place) for other in others)


def _broadcasts_to(shape: Shape, target: Shape) -> bool:
    return all(a in (1, b) for a, b in zip(shape[::-1], target[::-1], strict=False))


def as_index(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists as arrays."""
    return tuple([np.array(part) if isinstance(part, list) else part for part in index])


# ---- shapes that fit


def _square(shape: Shape) -> bool:
    return len(shape) >= 2 and shape[-1] == shape[-2]


def _has_axes(shape: Shape) -> bool:
    return len(shape) >= 1


def _matrices(shape: Shape) -> bool:
    return len(shape) >= 2


def _product_fits(a: Shape, b: Shape) -> bool:
    if not a or not b or a[-1] != (b[-2] if len(b) > 1 else b[0]):
        return False
    return _broadcast(None, a[:-2], b[:-2]) is not None and math.prod(a[:-1]) * math.prod(b) <= 4 * LARGEST  # type: ignore[arg-type]


def _share(i: int, j: int) -> Callable[[Shape, Shape], bool]:
    """Two matrices, of which axis ``i`` of the first is as long as axis ``j`` of the second."""
    return lambda a, b: len(a) == len(b) == 2 and a[i] == b[j]


def _one_square(shape: Shape) -> bool:
    return len(shape) == 2 and shape[0] == shape[1]


def _even(shape: Shape) -> bool:
    return len(shape) > 0 and all(n % 2 == 0 for n in shape)


def _goes_over(a: Shape, b: Shape) -> bool:
    """Whether a kernel ``b`` has places in ``a``."""
    return len(a) == len(b) in (1, 2) and all(m <= n for n, m in zip(a, b, strict=True))


def _few_together(a: Shape, b: Shape) -> bool:
    return math.prod(a) * math.prod(b) <= LARGEST and len(a) + len(b) <= 4


def _alike_but_for_an_axis(random: Random, a: Shape, b: Shape) -> dict[str, Any] | None:
    if len(a) != len(b):
        return None
    axes = [k for k in range(len(a)) if a[:k] + a[k + 1 :] == b[:k] + b[k + 1 :]]
    return {"axis": int(random.choice(axes)) - len(a) * int(random.integers(2))} if axes else None


# ---- margins


def _from(*points: float) -> Callable[..., float]:
    """The distance of all elements from some numbers."""
    return lambda x, **params: min(float(np.abs(x - c).min()) for c in points)


def _gaps(x: Array, axis: Any = None, **params: Any) -> float:
    """The smallest distance between elements that are compared."""
    if isinstance(axis, int):
        axis = (axis,)
    axes = tuple(range(x.ndim)) if axis is None else tuple(k % x.ndim for k in axis)
    rest = [k for k in range(x.ndim) if k not in axes]
    rows = x.transpose(*rest, *axes).reshape(math.prod(x.shape[k] for k in rest), -1)
    return float(np.diff(np.sort(rows, axis=1), axis=1).min(initial=math.inf))


def _apart(x: Array, y: Array, **params: Any) -> float:
    return float(np.abs(x - y).min())


def _spread(x: Array, axis: Any = None, **params: Any) -> float:
    """How large the smallest variance is: its root has a kink at 0."""
    return float(np.var(x, axis=axis).min())


# ---- parts of forms


def _dominant(xp: Any, x: Any) -> Any:
    """A matrix with a condition number below 4, of any matrix."""
    n = x.shape[-1]
    return 2.0 * n * np.eye(n) + xp.tanh(x)


def _positive_definite(xp: Any, x: Any) -> Any:
    half = xp.tanh(x)
    return half + xp.swapaxes(half, -1, -2) + 3.0 * x.shape[-1] * np.eye(x.shape[-1])


def _with_gaps(xp: Any, x: Any) -> Any:
    """A symmetric matrix with eigenvalues that are apart."""
    half = 0.2 * xp.tanh(x)
    return half + xp.swapaxes(half, -1, -2) + np.diag(2.0 + 2.0 * np.arange(x.shape[-1]))


def _rebuilt(xp: Any, x: Any) -> Any:
    """A function of a symmetric matrix by its eigenvectors, whose signs then do not matter."""
    values, vectors = xp.linalg.eigh(_with_gaps(xp, x))
    return xp.matmul(vectors * xp.expand_dims(xp.sqrt(values), -2), xp.swapaxes(vectors, -1, -2))


def _singular_parts(xp: Any, x: Any) -> Any:
    u, s, vh = xp.linalg.svd(_with_gaps(xp, x), full_matrices=False)
    return xp.matmul(u * xp.expand_dims(xp.log(1.0 + s), -2), vh)


def _steps(xp: Any, x: Any) -> Any:
    return xp.scan(lambda total, row: (xp.tanh(0.5 * total + row), total * row), 0.3 * x[0], x)[1]


def _last_step(xp: Any, x: Any) -> Any:
    return xp.scan(lambda pair, row: ((pair[1], 0.5 * pair[0] - row), None), (x[-1], xp.cos(x[0])), x)[0][1]


def _slope(xp: Any, x: Any) -> Any:
    return xp.grad(lambda z: xp.sum(xp.sin(z) * z))(x)


def _slope_of_closed_over(xp: Any, x: Any) -> Any:
    return xp.grad(lambda z: xp.sum(xp.tanh(x * z) * z))(xp.cos(x))


def _row_by_row(xp: Any, x: Any) -> Any:
    return xp.vmap(lambda row: xp.tanh(row) * xp.sum(row))(x)


def _slopes_row_by_row(xp: Any, x: Any) -> Any:
    return xp.vmap(xp.grad(lambda row: xp.sum(xp.sin(row) * row)))(x)


def _loop(xp: Any, x: Any) -> Any:
    total = 0.0
    for k in range(3):
        y = xp.sin(x * (1.0 + 0.1 * k))
        total = total + 0.5 * y * y
    return total


# ---- the table

ELEMENTWISE = {
    "sin": Operation(lambda xp, x: xp.sin(x)),
    "cos": Operation(lambda xp, x: xp.cos(x)),
    "tan": Operation(lambda xp, x: xp.tan(xp.tanh(x))),
    "tanh": Operation(lambda xp, x: xp.tanh(x)),
    "sinh": Operation(lambda xp, x: xp.sinh(xp.sin(x))),
    "cosh": Operation(lambda xp, x: xp.cosh(xp.sin(x))),
    "arcsin": Operation(lambda xp, x: xp.arcsin(0.9 * xp.sin(x))),
    "arccos": Operation(lambda xp, x: xp.arccos(0.9 * xp.sin(x))),
    "arctan": Operation(lambda xp, x: xp.arctan(x)),
    "arcsinh": Operation(lambda xp, x: xp.arcsinh(x)),
    "arccosh": Operation(lambda xp, x: xp.arccosh(1.5 + x * x)),
    "arctanh": Operation(lambda xp, x: xp.arctanh(0.9 * xp.sin(x))),
    "exp": Operation(lambda xp, x: xp.exp(-x * x)),
    "exp2": Operation(lambda xp, x: xp.exp2(xp.sin(x))),
    "expm1": Operation(lambda xp, x: xp.expm1(xp.sin(x))),
    "log": Operation(lambda xp, x: xp.log(1.5 + xp.sin(x))),
    "log1p": Operation(lambda xp, x: xp.log1p(x * x)),
    "log2": Operation(lambda xp, x: xp.log2(2.0 + xp.cos(x))),
    "log10": Operation(lambda xp, x: xp.log10(1.0 + x**2)),
    "sqrt": Operation(lambda xp, x: xp.sqrt(1.0 + x * x)),
    "cbrt": Operation(lambda xp, x: xp.cbrt(x), margin=_from(0.0)),
    "square": Operation(lambda xp, x: xp.square(x)),
    "cube": Operation(lambda xp, x: x**3),
    "negative power": Operation(lambda xp, x: (1.5 + x * x) ** -1.5),
    "reciprocal": Operation(lambda xp, x: xp.reciprocal(2.0 + xp.sin(x))),
    "divided": Operation(lambda xp, x: 1.0 / (1.0 + x * x)),
    "negative": Operation(lambda xp, x: -x),
    "twice": Operation(lambda xp, x: x + x),
    "half": Operation(lambda xp, x: x / 2),
    "minus": Operation(lambda xp, x: 0.3 - x),
    "sinc": Operation(lambda xp, x: xp.sinc(x), margin=_from(0.0)),
    "abs": Operation(lambda xp, x: xp.abs(x), margin=_from(0.0)),
    "sign": Operation(lambda xp, x: xp.sign(x) * x, margin=_from(0.0)),
    "clip": Operation(lambda xp, x: xp.clip(x, -0.8, 0.9), margin=_from(-0.8, 0.9)),
    "where": Operation(lambda xp, x: xp.where(x > 0.1, xp.sin(x), 0.5 * x), margin=_from(0.1)),
    "where guards": Operation(lambda xp, x: xp.where(x > 0.1, xp.log(xp.where(x > 0.1, x, 1.0)), x), margin=_from(0.1)),
    "relu": Operation(lambda xp, x: xp.maximum(x, 0.0), margin=_from(0.0)),
    "softplus": Operation(lambda xp, x: xp.logaddexp(x, 0.0)),
    "mod": Operation(lambda xp, x: xp.mod(x, 1.3), margin=lambda x: float(np.abs(x / 1.3 - np.round(x / 1.3)).min())),
    "erf": Operation(lambda xp, x: xp.erf(x)),
    "expit": Operation(lambda xp, x: xp.expit(x)),
    "logit": Operation(lambda xp, x: xp.logit(0.5 + 0.4 * xp.sin(x))),
    "gammaln": Operation(lambda xp, x: xp.gammaln(2.0 + xp.sin(x))),
    "digamma": Operation(lambda xp, x: xp.digamma(2.0 + xp.sin(x))),
    "stop_gradient": Operation(lambda xp, x: xp.stop_gradient(x) * x),
    "checkpoint": Operation(lambda xp, x: xp.checkpoint(lambda z: xp.sin(z) * xp.tanh(z))(x)),
    "loop": Operation(_loop),
    "slope": Operation(_slope),
    "slope of closed over": Operation(_slope_of_closed_over),
}

PAIRS = {
    "add": Operation(lambda xp, x, y: x + y, _broadcast, 2),
    "subtract": Operation(lambda xp, x, y: x - y, _broadcast, 2),
    "multiply": Operation(lambda xp, x, y: x * y, _broadcast, 2),
    "divide": Operation(lambda xp, x, y: x / (2.0 + xp.sin(y)), _broadcast, 2),
    "power": Operation(lambda xp, x, y: (1.0 + x * x) ** xp.tanh(y), _broadcast, 2),
    "maximum": Operation(lambda xp, x, y: xp.maximum(x, y), _broadcast, 2, _apart),
    "minimum": Operation(lambda xp, x, y: xp.minimum(x, y), _broadcast, 2, _apart),
    "fmax": Operation(lambda xp, x, y: xp.fmax(x, y), _broadcast, 2, _apart),
    "arctan2": Operation(lambda xp, x, y: xp.arctan2(x, 2.0 + xp.cos(y)), _broadcast, 2),
    "hypot": Operation(lambda xp, x, y: xp.hypot(1.0 + x * x, y), _broadcast, 2),
    "logaddexp": Operation(lambda xp, x, y: xp.logaddexp(x, y), _broadcast, 2),
    "logaddexp2": Operation(lambda xp, x, y: xp.logaddexp2(x, y), _broadcast, 2),
    "where of two": Operation(lambda xp, x, y: xp.where(x > y, x, xp.sin(y)), _broadcast, 2, _apart),
    "where of three": Operation(lambda xp, x, y, z: xp.where(x > 0.0, y, z), _broadcast, 3, lambda x, y, z: _from(0.0)(x)),
    "squares": Operation(lambda xp, x, y: (x + y) * (x + y) - (x + y), _broadcast, 2),
    "mean of three": Operation(lambda xp, x, y, z: (x + y + z) / 3.0, _broadcast, 3),
}

REDUCTIONS = {
    "sum": Operation(lambda xp, x, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims), _axes),
    "mean": Operation(lambda xp, x, axis, keepdims: xp.mean(x, axis=axis, keepdims=keepdims), _axes),
    "prod": Operation(lambda xp, x, axis, keepdims: xp.prod(x, axis=axis, keepdims=keepdims), _one_or_no_axis),
    "max": Operation(lambda xp, x, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims), _axes, margin=_gaps),
    "min": Operation(lambda xp, x, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims), _axes, margin=_gaps),
    "var": Operation(lambda xp, x, axis, keepdims: xp.var(x, axis=axis, keepdims=keepdims), _axes),
    "std": Operation(lambda xp, x, axis, keepdims: xp.std(x, axis=axis, keepdims=keepdims), _axes, margin=_spread),
    "logsumexp": Operation(lambda xp, x, axis, keepdims: xp.logsumexp(x, axis=axis, keepdims=keepdims), _axes),
    "norm": Operation(
        lambda xp, x, axis: xp.linalg.norm(x, axis=axis), _any_axis, margin=lambda x, axis: float((x * x).sum(axis).min())
    ),
    "median": Operation(
        lambda xp, x, axis, keepdims: xp.median(x, axis=axis, keepdims=keepdims), _one_or_no_axis, margin=_gaps
    ),
    "cumsum": Operation(lambda xp, x, axis: xp.cumsum(x, axis), _any_axis),
    "cumprod": Operation(lambda xp, x, axis: xp.cumprod(x, axis), _any_axis),
    "sort": Operation(lambda xp, x, axis: xp.sort(x, axis), _any_axis, margin=_gaps),
    "by order": Operation(
        lambda xp, x: x[xp.argsort(x[:, 0])], _if(lambda shape: len(shape) == 2), margin=lambda x: _gaps(x[(slice(None), 0)], 0)
    ),
    "diff": Operation(
        lambda xp, x, axis: xp.diff(x, axis=axis), _if(lambda shape: len(shape) > 0 and min(shape) > 1, _any_axis)
    ),
    "softmax": Operation(lambda xp, x, axis: xp.softmax(x, axis), _any_axis),
    "log_softmax": Operation(lambda xp, x, axis: xp.log_softmax(x, axis), _any_axis),
}

INDEXING = {
    "getitem": Operation(lambda xp, x, index: x[as_index(index)], _some_index),
    "set": Operation(lambda xp, x, y, index: xp.set_at(x, as_index(index), y), _index_into(repeated=False), 2),
    "add at": Operation(lambda xp, x, y, index: xp.add_at(x, as_index(index), y), _index_into(repeated=True), 2),
    "set to a function": Operation(
        lambda xp, x, index: xp.set_at(x, as_index(index), xp.sin(x[as_index(index)]) * 2.0), _index_into(repeated=False)
    ),
    "add a function at": Operation(
        lambda xp, x, index: xp.add_at(x, as_index(index), xp.sin(x[as_index(index)]) * 2.0), _some_index
    ),
    "take": Operation(lambda xp, x, axis: xp.take(x, np.array([0, -1, 0]), axis=axis), _any_axis),
    "diagonal": Operation(lambda xp, x: xp.diagonal(x, 0, -1, -2), _if(_matrices)),
    "diag": Operation(lambda xp, x: xp.diag(x), _if(lambda shape: len(shape) in (1, 2) and max(shape) <= 8)),
    "tril": Operation(lambda xp, x: xp.tril(x), _if(_matrices)),
    "triu": Operation(lambda xp, x: xp.triu(x, 1), _if(_matrices)),
    "trace": Operation(lambda xp, x: xp.trace(x), _if(lambda shape: len(shape) == 2)),
}

SHAPING = {
    "reshape": Operation(lambda xp, x, shape: xp.reshape(x, shape), _new_shape),
    "ravel": Operation(lambda xp, x: xp.ravel(x)),
    "transpose": Operation(lambda xp, x, axes: xp.transpose(x, axes), _permutation),
    "swapaxes": Operation(lambda xp, x: xp.swapaxes(x, 0, -1), _if(_has_axes)),
    "moveaxis": Operation(lambda xp, x: xp.moveaxis(x, 0, -1), _if(_has_axes)),
    "expand_dims": Operation(lambda xp, x, axis: xp.expand_dims(x, axis), _any_axis),
    "squeeze": Operation(lambda xp, x: xp.squeeze(x)),
    "broadcast_to": Operation(lambda xp, x, shape: xp.broadcast_to(x, shape), _larger_shape),
    "flip": Operation(lambda xp, x, axis: xp.flip(x, axis), _any_axis),
    "roll": Operation(lambda xp, x, axis: xp.roll(x, 1, axis), _any_axis),
    "rot90": Operation(lambda xp, x: xp.rot90(x), _if(_matrices)),
    "tile": Operation(lambda xp, x: xp.tile(x, 2)),
    "repeat": Operation(lambda xp, x, axis: xp.repeat(x, 2, axis=axis), _any_axis),
    "pad": Operation(lambda xp, x, widths: xp.pad(x, widths), _widths),
    "concatenate": Operation(lambda xp, x, y, axis: xp.concatenate([x, y], axis=axis), _alike_but_for_an_axis, 2),
    "concatenate itself": Operation(lambda xp, x, axis: xp.concatenate([x, xp.sin(x), x], axis=axis), _any_axis),
    "stack": Operation(lambda xp, x, y: xp.stack([x, y, x]), _if(lambda a, b: a == b), 2),
    "stack last": Operation(lambda xp, x: xp.stack([x, xp.cos(x)], axis=-1)),
    "split": Operation(
        lambda xp, x, axis: xp.split(x, 2, axis=axis)[1],
        _if(_even, _any_axis),
    ),
}

PRODUCTS = {
    "matmul": Operation(lambda xp, x, y: xp.matmul(x, y), _if(_product_fits), 2),
    "at sign": Operation(lambda xp, x, y: x @ y, _if(_product_fits), 2),
    "gram": Operation(lambda xp, x: 0.5 * xp.matmul(x, xp.swapaxes(x, -1, -2)), _if(_matrices)),
    "dot": Operation(lambda xp, x, y: xp.dot(x, y), _if(lambda a, b: _product_fits(a, b) and _few_together(a, b)), 2),
    "outer": Operation(lambda xp, x, y: xp.outer(x, y), _if(lambda a, b: len(a) == len(b) == 1), 2),
    "inner": Operation(lambda xp, x, y: xp.inner(x, y), _if(lambda a, b: bool(a and b) and a[-1] == b[-1]), 2),
    "tensordot": Operation(lambda xp, x, y: xp.tensordot(x, y, 1), _if(lambda a, b: bool(a and b) and a[-1] == b[0]), 2),
    "kron": Operation(lambda xp, x, y: xp.kron(x, y), _if(lambda a, b: len(a) == len(b) == 2 and _few_together(a, b)), 2),
    "outer by einsum": Operation(lambda xp, x, y: xp.einsum("...i,...j->...ij", x, y), _if(lambda a, b: a == b != ()), 2),
    "einsum": Operation(lambda xp, x, y: xp.einsum("ij,kj->ik", x, y), _if(_share(1, 1)), 2),
    "einsum with sums": Operation(lambda xp, x, y: xp.einsum("ij,ik->k", x, y), _if(_share(0, 0)), 2),
    "einsum of one": Operation(lambda xp, x: xp.einsum("...ij->...ji", x), _if(_matrices)),
    "einsum diagonal": Operation(lambda xp, x: xp.einsum("ii->i", x), _if(_one_square)),
    "einsum of three": Operation(lambda xp, x, y: xp.einsum("ij,jk,ij->k", x, y, x), _if(_share(1, 0)), 2),
    "correlate": Operation(lambda xp, x, y: xp.correlate_valid(x, y), _if(_goes_over), 2),
    "by a constant": Operation(lambda xp, x: xp.matmul(x, np.sin(np.arange(2.0 * x.shape[-1])).reshape(-1, 2)), _if(_has_axes)),
}

ALGEBRA = {
    "solve": Operation(lambda xp, x: xp.linalg.solve(_dominant(xp, x), xp.swapaxes(x, -1, -2)), _if(_square)),
    "solve of two": Operation(
        lambda xp, x, y: xp.linalg.solve(_dominant(xp, x), y), _if(lambda a, b: _square(a) and len(b) == 2 and a[-1] == b[0]), 2
    ),
    "inv": Operation(lambda xp, x: xp.linalg.inv(_dominant(xp, x)), _if(_square)),
    "det": Operation(lambda xp, x: xp.linalg.det(np.eye(x.shape[-1]) + 0.3 * xp.tanh(x)), _if(_square)),
    "slogdet": Operation(lambda xp, x: xp.linalg.slogdet(_dominant(xp, x))[1], _if(_square)),
    "cholesky": Operation(lambda xp, x: xp.linalg.cholesky(_positive_definite(xp, x)), _if(_square)),
    "eigvalsh": Operation(lambda xp, x: xp.eigvalsh(_with_gaps(xp, x)), _if(_square)),
    "eigh": Operation(_rebuilt, _if(_square)),
    "svd": Operation(_singular_parts, _if(_square)),
    "pinv": Operation(lambda xp, x: xp.linalg.pinv(_dominant(xp, x)), _if(_square)),
    "matrix_power": Operation(lambda xp, x: xp.linalg.matrix_power(0.5 * xp.tanh(x), 3), _if(_square)),
    "solve_triangular": Operation(lambda xp, x: xp.solve_triangular(_dominant(xp, x), xp.sin(x)), _if(_one_square)),
}

FOURIER = {
    "fft": Operation(lambda xp, x: xp.real(xp.fft.fft(x)), _if(_has_axes)),
    "imaginary fft": Operation(lambda xp, x: xp.imag(xp.fft.fft(x)), _if(_has_axes)),
    "ifft": Operation(lambda xp, x: xp.imag(xp.fft.ifft(x)), _if(_has_axes)),
    "rfft": Operation(lambda xp, x: xp.real(xp.fft.rfft(x)), _if(_has_axes)),
    "fft2": Operation(lambda xp, x: xp.real(xp.fft.fft2(x)), _if(_matrices)),
    "fft along an axis": Operation(lambda xp, x, axis: xp.real(xp.fft.fft(x, axis=axis)), _any_axis),
    "spectrum": Operation(
        lambda xp, x: 0.1 * xp.abs(xp.fft.fft(x)) ** 2, _if(_has_axes), margin=lambda x: _from(0.0)(np.fft.fft(x))
    ),
    "filter": Operation(
        lambda xp, x: xp.real(xp.fft.ifft(xp.fft.fft(x) * np.exp(1j * np.arange(x.shape[-1])))), _if(_has_axes)
    ),
}

LOOPS = {
    "scan": Operation(_steps, _if(_has_axes)),
    "last step": Operation(_last_step, _if(_has_axes)),
    "vmap": Operation(_row_by_row, _if(_has_axes)),
    "vmap of grad": Operation(_slopes_row_by_row, _if(_has_axes)),
}

GROUPS: list[dict[str, Operation]] = [ELEMENTWISE, PAIRS, REDUCTIONS, INDEXING, SHAPING, PRODUCTS, ALGEBRA, FOURIER, LOOPS]

OPERATIONS: dict[str, Operation] = {name: operation for group in GROUPS for name, operation in group.items()}
"""Every operation by name."""

BOUND = "shrink"
OPERATIONS[BOUND] = Operation(lambda xp, x: xp.tanh(0.2 * x))
"""What follows a step whose values have grown."""
