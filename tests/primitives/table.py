"""The table of primitives: a row for each, with a sampler of operands and parameters and the domain of its values.

`tests/primitives/test_table.py` derives the tests from it. A primitive that no row reaches fails the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tinyad.primitives.elementwise import absorb, one_minus_square

Array = np.ndarray[Any, Any]
Draw = Callable[[Any], Any]


@dataclass(frozen=True)
class Row:
    """One function under test.

    Attributes:
        name: for messages; unique.
        function: tinyad's, called as ``function(*operands, **params)``.
        reference: NumPy's, called in the same way on arrays.
        sample: draws operands (float64) and params.
        primitives: names of the primitives the function is there to test.
    """

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any]
    sample: Callable[[Draw], tuple[tuple[Array, ...], dict[str, Any]]]
    primitives: tuple[str, ...]


# ---- domains: from standard normal numbers to numbers the function is smooth at


def anywhere(z: Array) -> Array:
    return z


def away_from_zero(z: Array) -> Array:
    return np.where(z < 0, -1.0, 1.0) * (0.3 + np.abs(z))


def positive(z: Array) -> Array:
    return 0.3 + np.abs(z)


def inside_unit(z: Array) -> Array:
    return 0.9 * np.tanh(z)


def above_one(z: Array) -> Array:
    return 1.2 + np.abs(z)


def distinct(z: Array) -> Array:
    """Values at least 0.5 apart, in random order: extrema are unique and stay so under the steps of a difference."""
    order = np.argsort(np.argsort(z.ravel()))
    return (0.5 * order - 0.25 * z.size + 0.1).reshape(z.shape)


# ---- samplers

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
FULL_SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)
SEEDS = st.integers(0, 2**32 - 1)


def values(draw: Draw, shape: Sequence[int], domain: Callable[[Array], Array] = anywhere) -> Array:
    return np.asarray(domain(np.random.default_rng(draw(SEEDS)).normal(size=tuple(shape))))


def elementwise(*domains: Callable[[Array], Array]) -> Any:
    """Operands of shapes that broadcast together, each in its domain."""

    def sample(draw: Draw) -> Any:
        if len(domains) == 1:
            shapes = [draw(SHAPES)]
        else:
            shapes = draw(
                hnp.mutually_broadcastable_shapes(num_shapes=len(domains), max_dims=3, max_side=3, min_side=0)
            ).input_shapes
        return tuple(values(draw, shape, domain) for shape, domain in zip(shapes, domains, strict=True)), {}

    return sample


def axes_of(draw: Draw, ndim: int) -> Any:
    """``None``, an int or a tuple of axes, of either sign."""
    if ndim == 0:
        return draw(st.sampled_from([None, ()]))
    axis = st.integers(-ndim, ndim - 1)
    several = st.lists(st.integers(0, ndim - 1), unique=True, min_size=0, max_size=ndim).map(tuple)
    return draw(st.one_of(st.none(), axis, several))


def reduction(domain: Callable[[Array], Array] = anywhere, shapes: Any = FULL_SHAPES) -> Any:
    def sample(draw: Draw) -> Any:
        shape = draw(shapes)
        params = {"axis": axes_of(draw, len(shape)), "keepdims": draw(st.booleans())}
        return (values(draw, shape, domain),), params

    return sample


def with_axis(domain: Callable[[Array], Array] = anywhere) -> Any:
    def sample(draw: Draw) -> Any:
        shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
        return (values(draw, shape, domain),), {"axis": draw(st.integers(-len(shape), len(shape) - 1))}

    return sample


def flips(draw: Draw) -> Any:
    shape = draw(SHAPES)
    return (values(draw, shape),), {"axis": axes_of(draw, len(shape))}


def rolls(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    axes = draw(st.one_of(st.none(), st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1).map(tuple)))
    count = 1 if axes is None else len(axes)
    shift = tuple(draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count)))
    return (values(draw, shape),), {"shift": shift[0] if axes is None else shift, "axis": axes}


def reshapes(draw: Draw) -> Any:
    shape = draw(SHAPES)
    size = int(np.prod(shape))
    targets = [(size,), (1, size), (size, 1)] + ([(2, size // 2)] if size and size % 2 == 0 else []) + ([(-1,)] if size else [])
    return (values(draw, shape),), {"shape": draw(st.sampled_from(targets))}


def permutations(draw: Draw) -> Any:
    shape = draw(SHAPES)
    return (values(draw, shape),), {"axes": tuple(draw(st.permutations(range(len(shape)))))}


def matrices(draw: Draw) -> Any:
    return (values(draw, draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=3))),), {}


def broadcasts(draw: Draw) -> Any:
    target = draw(SHAPES)
    start = draw(st.integers(0, len(target)))
    shape = tuple(draw(st.sampled_from([1, n])) for n in target[start:])
    return (values(draw, shape),), {"shape": target}


def joins(new_axis: bool) -> Any:
    def sample(draw: Draw) -> Any:
        shape = list(draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)))
        axis = draw(st.integers(-len(shape) - new_axis, len(shape) - 1 + new_axis))
        operands = []
        for _ in range(draw(st.integers(1, 3))):
            if not new_axis:
                shape[axis] = draw(st.integers(0, 3))
            operands.append(values(draw, shape))
        return tuple(operands), {"axis": axis}

    return sample


def pads(draw: Draw) -> Any:
    shape = draw(SHAPES)
    widths = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape)
    return (values(draw, shape),), {"pad_width": widths, "constant_values": draw(st.sampled_from([0, 1.5]))}


def basic_indices(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4))
    return (values(draw, shape),), {"index": draw(hnp.basic_indices(shape, allow_newaxis=True))}


def advanced_indices(draw: Draw) -> Any:
    """Integer arrays with repeats, mixed with slices and integers, adjacent or not; and boolean masks."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    random = np.random.default_rng(draw(SEEDS))
    if draw(st.booleans()) and draw(st.booleans()):
        leading = draw(st.integers(1, len(shape)))
        return (values(draw, shape),), {"index": random.random(shape[:leading]) < 0.5}
    picked = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
    index: list[Any] = []
    for n in shape:
        kind = draw(st.sampled_from(["array", "array", "slice", "int"]))
        entry = {"array": random.integers(-n, n, size=picked), "slice": slice(None, None, -1), "int": int(random.integers(n))}
        index.append(entry[kind])
    return (values(draw, shape),), {"index": tuple(index)}


def matmuls(draw: Draw) -> Any:
    n, k, m = (draw(st.integers(1, 3)) for _ in range(3))
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3)).input_shapes
    left = draw(st.sampled_from([(k,), (*batches[0], n, k)]))
    right = draw(st.sampled_from([(k,), (*batches[1], k, m)]))
    return (values(draw, left), values(draw, right)), {}


def tensordots(draw: Draw) -> Any:
    shared = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    left, right = (draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)) for _ in range(2))
    if draw(st.booleans()):
        return (values(draw, left + shared), values(draw, shared + right)), {"axes": len(shared)}
    axes = (list(range(-len(shared), 0))[::-1], list(range(len(shared)))[::-1])
    return (values(draw, left + shared), values(draw, shared + right)), {"axes": axes}


EINSUMS = [
    "ij,jk->ik", "ij,jk", "i,i->", "i,j->ji", "ij->ji", "ij->", "ij->i", "ii->i", "ii", "iij->j", "bij,bjk->bik", "...ij,jk->...ik",
    "...ij,...jk", "i...,i...->...", "ij,ij->ij", "ij,jk,kl->il", "ij,j,i->", "ijk->kji", "i,ij,j->", "ii,jj->ij", "i->i", "ij,kl->ikjl",
]  # fmt: skip


def einsums(draw: Draw) -> Any:
    subscripts = draw(st.sampled_from(EINSUMS))
    length = {c: draw(st.integers(1, 3)) for c in "bijkl"}
    dots = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2))
    operands = []
    for term in subscripts.partition("->")[0].split(","):
        shape: tuple[int, ...] = ()
        for part in term.replace("...", "."):
            shape += (
                dots
                if part == "."
                else (1 if draw(st.booleans()) and draw(st.booleans()) and "ii" not in subscripts else length[part],)
            )
        operands.append(values(draw, shape))
    return tuple(operands), {"subscripts": subscripts}


def well_conditioned(draw: Draw, batch: Sequence[int], n: int) -> Array:
    return values(draw, (*batch, n, n)) + 4.0 * np.eye(n)


def solves(draw: Draw) -> Any:
    n = draw(st.integers(1, 3))
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2)).input_shapes
    right = draw(st.sampled_from([(n,), (*batches[1], n, draw(st.integers(1, 2)))]))
    return (well_conditioned(draw, batches[0], n), values(draw, right)), {}


def positive_definite(draw: Draw) -> Any:
    n = draw(st.integers(1, 3))
    half = values(draw, (*draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=2)), n, n))
    return (half @ half.swapaxes(-1, -2) + 2.0 * np.eye(n),), {}


def clips(draw: Draw) -> Any:
    """Values on both sides of the bounds, none within 0.1 of one; bounds as numbers or missing."""
    shape = draw(SHAPES)
    kind = draw(st.sampled_from(["both", "low", "high"]))
    x = values(draw, shape, lambda z: np.round(2 * z) / 2 + 0.25)
    bounds = {"both": (-0.5, 0.5), "low": (-0.5, None), "high": (None, 0.5)}
    return (x,), {"min": bounds[kind][0], "max": bounds[kind][1]}


def clip_operands(draw: Draw) -> Any:
    shape = draw(SHAPES)
    grid = values(draw, shape, distinct)
    return (grid, np.full(shape, -0.37), np.full((), 0.63)), {}


def extrema(draw: Draw) -> Any:
    """Two operands that are nowhere within 0.2 of each other."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)).input_shapes
    return (values(draw, shapes[0], np.round), values(draw, shapes[1], lambda z: np.round(z) + 0.5)), {}


def choices(draw: Draw) -> Any:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3, min_side=0)).input_shapes
    condition = values(draw, shapes[0]) > 0
    return (values(draw, shapes[1]), values(draw, shapes[2])), {"condition": condition}


def moves(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    place = st.integers(-len(shape), len(shape) - 1)
    return (values(draw, shape),), {"source": draw(place), "destination": draw(place)}


def variances(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=3))
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    return (values(draw, shape),), {"axis": axis, "keepdims": draw(st.booleans()), "correction": draw(st.sampled_from([0, 1]))}


def deviations(draw: Draw) -> Any:
    """Apart from each other: where all are alike, the second derivatives are differences of numbers as large as one likes."""
    (x,), params = variances(draw)
    return (distinct(x) + 0.1 * np.tanh(x),), params


def norms(draw: Draw) -> Any:
    (x,), params = reduction(lambda z: distinct(z) + 0.02)(draw)
    return (x,), {**params, "ord": draw(st.sampled_from([1, 2, 3, 1.5, np.inf]))}


def numpy_norm(x: Array, axis: Any, keepdims: bool, ord: float) -> Any:
    if ord == np.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def numpy_logsumexp(x: Array, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def numpy_variance(function: Any) -> Any:
    return lambda x, axis, keepdims, correction: function(x, axis=axis, keepdims=keepdims, ddof=correction)


def bounded(function: Any) -> Any:
    """NumPy's clip has a name of its own for each bound."""
    return lambda x, min, max: function(x, min, max)


def simple(name: str, *domains: Callable[[Array], Array], reference: Any = None) -> Row:
    return Row(name, getattr(ad, name), reference or getattr(np, name), elementwise(*domains), (name,))


def of(name: str, sample: Any, *primitives: str, reference: Any = None, function: Any = None) -> Row:
    return Row(name, function or getattr(ad, name), reference or getattr(np, name), sample, primitives or (name,))


TABLE: list[Row] = [
    # elementwise
    simple("add", anywhere, anywhere),
    simple("subtract", anywhere, anywhere),
    simple("multiply", anywhere, anywhere),
    of("absorb", elementwise(anywhere, anywhere), function=absorb, reference=np.multiply),
    simple("divide", anywhere, away_from_zero),
    simple("power", positive, anywhere),
    of("power_by_number", elementwise(anywhere), "power", function=lambda x: x**3, reference=lambda x: x**3),
    of("power_of_number", elementwise(anywhere), "power", function=lambda x: 2.0**x, reference=lambda x: 2.0**x),
    simple("hypot", away_from_zero, anywhere),
    simple("atan2", away_from_zero, away_from_zero, reference=np.arctan2),
    simple("logaddexp", anywhere, anywhere),
    of("maximum", extrema),
    of("minimum", extrema),
    simple("negative", anywhere),
    simple("positive", anywhere),
    simple("abs", away_from_zero),
    simple("relu", away_from_zero, reference=lambda x: np.maximum(x, 0)),
    simple("square", anywhere),
    simple("sqrt", positive),
    simple("reciprocal", away_from_zero),
    simple("exp", anywhere),
    simple("expm1", anywhere),
    simple("log", positive),
    simple("log1p", positive),
    simple("log2", positive),
    simple("log10", positive),
    simple("sigmoid", anywhere, reference=lambda x: 1 / (1 + np.exp(-x))),
    simple("softplus", anywhere, reference=lambda x: np.log(1 + np.exp(x))),
    simple("sin", anywhere),
    simple("cos", anywhere),
    simple("tan", inside_unit),
    simple("asin", inside_unit, reference=np.arcsin),
    simple("acos", inside_unit, reference=np.arccos),
    simple("atan", anywhere, reference=np.arctan),
    simple("sinh", anywhere),
    simple("cosh", anywhere),
    simple("tanh", anywhere),
    of("one_minus_square", elementwise(anywhere), function=one_minus_square, reference=lambda x: 1.0 - x * x),
    simple("asinh", anywhere, reference=np.arcsinh),
    simple("acosh", above_one, reference=np.arccosh),
    simple("atanh", inside_unit, reference=np.arctanh),
    of("where", choices, function=lambda x, y, condition: ad.where(condition, x, y), reference=lambda x, y, condition: np.where(condition, x, y)),
    of("clip", clips, reference=bounded(np.clip)),
    of("clip_by_arrays", clip_operands, "clip", function=ad.clip, reference=np.clip),
    # reductions and broadcasting
    of("sum", reduction(shapes=SHAPES)),
    of("mean", reduction()),
    of("max", reduction(distinct)),
    of("min", reduction(distinct)),
    of("var", variances, reference=numpy_variance(np.var)),
    of("std", deviations, "var", "sqrt", reference=numpy_variance(np.std)),
    of("logsumexp", reduction(), reference=numpy_logsumexp),
    of("norm", norms, "sum", "max", reference=numpy_norm),
    of("cumsum", with_axis()),
    of("broadcast_to", broadcasts),
    # shaping
    of("reshape", reshapes),
    of("permute_dims", permutations, reference=np.transpose),
    of("matrix_transpose", matrices, reference=lambda x: np.swapaxes(x, -1, -2)),
    of("moveaxis", moves, "permute_dims"),
    of("flip", flips),
    of("roll", rolls),
    of("astype", elementwise(anywhere), function=lambda x: ad.astype(x, x.dtype), reference=lambda x: x.astype(x.dtype)),
    of("expand_dims", flips, "reshape", function=lambda x, axis: ad.expand_dims(x, 0), reference=lambda x, axis: np.expand_dims(x, 0)),
    of("squeeze", broadcasts, "reshape", function=lambda x, shape: ad.squeeze(x), reference=lambda x, shape: np.squeeze(x)),
    # joining and indexing
    of("concat", joins(False), function=lambda *xs, axis: ad.concat(xs, axis), reference=lambda *xs, axis: np.concatenate(xs, axis)),
    of("stack", joins(True), function=lambda *xs, axis: ad.stack(xs, axis), reference=lambda *xs, axis: np.stack(xs, axis)),
    of("pad", pads, reference=lambda x, pad_width, constant_values: np.pad(x, pad_width, constant_values=constant_values) if x.ndim else x),
    of("getitem", basic_indices, function=lambda x, index: x[index], reference=lambda x, index: x[index]),
    of("getitem_advanced", advanced_indices, "getitem", "scatter", function=lambda x, index: x[index], reference=lambda x, index: x[index]),
    # products and linear algebra
    of("matmul", matmuls),
    of("tensordot", tensordots, "matmul"),
    of("einsum", einsums, function=lambda *xs, subscripts: ad.einsum(subscripts, *xs), reference=lambda *xs, subscripts: np.einsum(subscripts, *xs)),
    of("outer", lambda draw: ((values(draw, (3,)), values(draw, (2,))), {}), "multiply"),
    of("solve", solves, reference=np.linalg.solve),
    of("cholesky", positive_definite, reference=np.linalg.cholesky),
]  # fmt: skip
