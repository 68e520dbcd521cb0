"""NumPy's functions, operators, methods and properties on Tensors: the same functions as tinyad's own, or a clear refusal."""

from __future__ import annotations

import operator
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.engine.calls_by_signature import CALLS_BY_SIGNATURE
from tinyad import numpy_protocols, operators
from tinyad.tensor import Tensor

Array = np.ndarray[Any, Any]


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


A, B = random(2, 3), random(2, 3, seed=1)
COUNTS = np.array([[1, 2, 3], [6, 5, 4]])
SYMMETRIC, TURNING = A.T @ A + B.T @ B, np.array([[1.0, -2.0, 0.1], [2.0, 1.5, 0.2], [0.3, 0.4, 5.0]])
UNIT, ABOVE, SQUARE = 0.9 * np.tanh(A), 1.5 + np.abs(A), random(3, 3) @ random(3, 3).T + 3 * np.eye(3)


def agrees(ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: Any) -> None:
    """Value and gradients by the protocol equal those of tinyad's function, and the values NumPy's on arrays."""
    direct, through = ours(*map(ad.tensor, arrays)), theirs(*map(ad.tensor, arrays))
    assert isinstance(through, ad.Tensor)
    np.testing.assert_array_equal(through.array, direct.array)
    np.testing.assert_allclose(through.array, theirs(*arrays), rtol=1e-14)
    assert through.dtype == theirs(*arrays).dtype
    assert (through.node is None) == (direct.node is None)
    if through.node is not None:
        weights = random(*direct.shape, seed=7)
        slopes = [ad.vjp(f, *arrays)[1](weights) for f in (ours, theirs)]
        for a, b in zip(*slopes, strict=True):
            np.testing.assert_array_equal(a, b)
        assert any(np.any(g != 0) for g in slopes[0])


# ---- ufuncs

DOMAINS: dict[str, tuple[Array, ...]] = {
    "arcsin": (UNIT,), "arccos": (UNIT,), "arctanh": (UNIT,), "arccosh": (ABOVE,), "log": (ABOVE,), "log2": (ABOVE,),
    "log10": (ABOVE,), "log1p": (ABOVE,), "sqrt": (ABOVE,), "reciprocal": (ABOVE,), "power": (ABOVE, B), "divide": (A, ABOVE),
    "float_power": (ABOVE, B), "heaviside": (np.round(A), B), "matmul": (A, B.T), "matvec": (A, B[0]), "vecmat": (B[:, 0], A),
}  # fmt: skip


BITWISE = (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert)  # of masks: see test_masks_combine_as_in_numpy
OF_INTEGERS = (np.left_shift, np.right_shift, np.ldexp)


OF_FLOATS = [ufunc for ufunc in numpy_protocols.UFUNCS if ufunc not in (*BITWISE, *OF_INTEGERS)]


@pytest.mark.parametrize("ufunc", OF_FLOATS, ids=lambda ufunc: ufunc.__name__)
def test_ufunc(ufunc: Any) -> None:
    arrays = DOMAINS.get(ufunc.__name__, (A, B)[: ufunc.nin])
    for place in range(ufunc.nout):
        agrees(*[result(f, place, ufunc.nout) for f in (numpy_protocols.UFUNCS[ufunc], ufunc)], *arrays)


def result(f: Callable[..., Any], place: int, count: int) -> Callable[..., Any]:
    """One of several results."""
    return f if count == 1 else lambda *xs: f(*xs)[place]


@pytest.mark.parametrize("ufunc", OF_INTEGERS, ids=lambda ufunc: ufunc.__name__)
def test_ufunc_of_integers(ufunc: Any) -> None:
    for left, right in ((COUNTS, 2), (7, COUNTS), (COUNTS, COUNTS)):
        ours = ufunc(*[ad.asarray(x) if x is COUNTS else x for x in (left, right)])
        assert isinstance(ours, ad.Tensor) and ours.node is None and ours.dtype == ufunc(left, right).dtype
        np.testing.assert_array_equal(ours.array, ufunc(left, right))
    assert (ad.asarray(COUNTS) << 1).array.tolist() == (COUNTS * 2).tolist() and (64 >> ad.asarray(COUNTS)).array[0, 0] == 32


NUMPY_NAMES = {
    "absolute": "abs", "fabs": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "arctan2": "atan2", "rint": "round", "multiply": "multiply", "true_divide": "divide", "tanh": "tanh",
}  # fmt: skip


@pytest.mark.parametrize("name", NUMPY_NAMES)
def test_ufunc_is_the_function_of_that_name(name: str) -> None:
    assert numpy_protocols.UFUNCS[getattr(np, name)] is getattr(ad, NUMPY_NAMES[name])


# ---- other functions

# NumPy's call, and tinyad's.
CALLS: list[tuple[Any, str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = [
    (np.sum, "axis", lambda x: np.sum(x, axis=0), lambda x: ad.sum(x, axis=0), (A,)),
    (np.sum, "all", lambda x: np.sum(x), lambda x: ad.sum(x), (A,)),
    (np.sum, "keepdims", lambda x: np.sum(x, (0, 1), keepdims=True), lambda x: ad.sum(x, (0, 1), True), (A,)),
    (np.mean, "axis", lambda x: np.mean(x, axis=-1), lambda x: ad.mean(x, -1), (A,)),
    (np.var, "ddof", lambda x: np.var(x, axis=1, ddof=1), lambda x: ad.var(x, 1, correction=1), (A,)),
    (np.std, "ddof", lambda x: np.std(x, ddof=1, keepdims=True), lambda x: ad.std(x, keepdims=True, correction=1), (A,)),
    (np.max, "axis", lambda x: np.max(x, axis=1), lambda x: ad.max(x, 1), (A,)),
    (np.min, "keepdims", lambda x: np.min(x, 0, keepdims=True), lambda x: ad.min(x, 0, True), (A,)),
    (np.cumsum, "axis", lambda x: np.cumsum(x, axis=1), lambda x: ad.cumsum(x, 1), (A,)),
    (np.cumsum, "all", lambda x: np.cumsum(x), lambda x: ad.cumsum(x), (A,)),
    (np.broadcast_to, "", lambda x: np.broadcast_to(x, (4, 2, 3)), lambda x: ad.broadcast_to(x, (4, 2, 3)), (A,)),
    (np.clip, "both", lambda x: np.clip(x, -0.5, 0.5), lambda x: ad.clip(x, -0.5, 0.5), (A,)),
    (np.clip, "by name", lambda x: np.clip(x, a_min=-0.5, a_max=None), lambda x: ad.clip(x, -0.5), (A,)),
    (np.clip, "by new name", lambda x: np.clip(x, min=-0.5, max=0.3), lambda x: ad.clip(x, -0.5, 0.3), (A,)),
    (np.where, "", lambda x, y: np.where(A > 0, x, y), lambda x, y: ad.where(A > 0, x, y), (A, B)),
    (np.where, "condition", lambda x, y: np.where(x > y, x, 0.0), lambda x, y: ad.where(x > y, x, 0.0), (A, B)),
    (np.round, "", lambda x: np.round(x), lambda x: ad.round(x), (A,)),
    (np.reshape, "", lambda x: np.reshape(x, (3, -1)), lambda x: ad.reshape(x, (3, -1)), (A,)),
    (np.ravel, "", lambda x: np.ravel(x), lambda x: ad.ravel(x), (A,)),
    (np.transpose, "", lambda x: np.transpose(x), lambda x: ad.transpose(x), (A,)),
    (np.transpose, "axes", lambda x: np.transpose(x, (1, 0)), lambda x: ad.permute_dims(x, (1, 0)), (A,)),
    (np.swapaxes, "", lambda x: np.swapaxes(x, 0, 1), lambda x: ad.swapaxes(x, 0, 1), (A,)),
    (np.moveaxis, "", lambda x: np.moveaxis(x, 0, -1), lambda x: ad.moveaxis(x, 0, -1), (A,)),
    (np.expand_dims, "", lambda x: np.expand_dims(x, (0, 2)), lambda x: ad.expand_dims(x, (0, 2)), (A,)),
    (np.squeeze, "", lambda x: np.squeeze(x[:1], axis=0), lambda x: ad.squeeze(x[:1], 0), (A,)),
    (np.flip, "", lambda x: np.flip(x, axis=1), lambda x: ad.flip(x, 1), (A,)),
    (np.roll, "axis", lambda x: np.roll(x, 1, axis=1), lambda x: ad.roll(x, 1, 1), (A,)),
    (np.roll, "all", lambda x: np.roll(x, -2), lambda x: ad.roll(x, -2), (A,)),
    (np.concatenate, "axis", lambda x, y: np.concatenate((x, y), axis=1), lambda x, y: ad.concat([x, y], 1), (A, B)),
    (np.concatenate, "none", lambda x, y: np.concatenate([x, y], None), lambda x, y: ad.concat([x, y], None), (A, B)),
    (np.stack, "axis", lambda x, y: np.stack([x, y], axis=-1), lambda x, y: ad.stack([x, y], -1), (A, B)),
    (np.stack, "with an array", lambda x: np.stack([B, x]), lambda x: ad.stack([B, x]), (A,)),
    (np.pad, "", lambda x: np.pad(x, ((1, 0), (2, 1))), lambda x: ad.pad(x, ((1, 0), (2, 1))), (A,)),
    (np.pad, "value", lambda x: np.pad(x, 1, constant_values=2.0), lambda x: ad.pad(x, 1, 2.0), (A,)),
    (np.pad, "mode", lambda x: np.pad(x, (1, 2), "constant"), lambda x: ad.pad(x, (1, 2)), (A,)),
    (np.dot, "", lambda x, y: np.dot(x, y), lambda x, y: ad.dot(x, y), (A, B.T)),
    (np.dot, "number", lambda x: np.dot(x, 2.0), lambda x: ad.dot(x, 2.0), (A,)),
    (np.outer, "", lambda x, y: np.outer(x, y), lambda x, y: ad.outer(ad.ravel(x), ad.ravel(y)), (A, B)),
    (np.tensordot, "", lambda x, y: np.tensordot(x, y, axes=((1,), (0,))), lambda x, y: ad.tensordot(x, y, ((1,), (0,))), (A, B.T)),
    (np.inner, "", lambda x, y: np.inner(x, y), lambda x, y: ad.inner(x, y), (A, B)),
    (np.vdot, "", lambda x, y: np.vdot(x, y), lambda x, y: ad.vdot(x, y), (A, B)),
    (np.kron, "", lambda x, y: np.kron(x, y[0]), lambda x, y: ad.kron(x, y[0]), (A, B)),
    (np.cross, "", lambda x, y: np.cross(x, y.T, axisb=0), lambda x, y: ad.cross(x, y), (A, B)),
    (np.trace, "", lambda x: np.trace(x, 1), lambda x: ad.linalg.trace(x, offset=1), (A,)),
    (np.trace, "axes", lambda x: np.trace(x[None], 0, 2, 1), lambda x: ad.linalg.trace(x[None]), (A,)),
    (np.einsum, "lists", lambda x, y: np.einsum(x, [0, 1], y, [2, 1], [0, 2]), lambda x, y: ad.einsum("ij,kj->ik", x, y), (A, B)),
    (np.einsum, "", lambda x, y: np.einsum("ij,kj->ik", x, y), lambda x, y: ad.einsum("ij,kj->ik", x, y), (A, B)),
    (np.linalg.solve, "", lambda a, x: np.linalg.solve(a, x), lambda a, x: ad.solve(a, x), (SQUARE, A.T)),
    (np.linalg.cholesky, "", lambda a: np.linalg.cholesky(a + a.T), lambda a: ad.cholesky(a + a.T), (SQUARE,)),
    (np.linalg.norm, "all", lambda x: np.linalg.norm(x), lambda x: ad.norm(x), (A,)),
    (np.linalg.norm, "fro", lambda x: np.linalg.norm(x, "fro"), lambda x: ad.norm(x), (A,)),
    (np.linalg.norm, "1", lambda x: np.linalg.norm(x, 1, axis=1), lambda x: ad.norm(x, 1, ord=1), (A,)),
    (np.linalg.norm, "inf", lambda x: np.linalg.norm(x, np.inf, 0), lambda x: ad.norm(x, 0, ord=np.inf), (A,)),
    (np.tril, "", lambda x: np.tril(x, 1), lambda x: ad.tril(x, 1), (A,)),
    (np.triu, "", lambda x: np.triu(x), lambda x: ad.triu(x), (A,)),
    (np.meshgrid, "", lambda x, y: np.meshgrid(x[0], y[1])[1], lambda x, y: ad.meshgrid(x[0], y[1])[1], (A, B)),
    (np.linspace, "", lambda x, y: np.linspace(x[0, 0], y[1, 0], 4), lambda x, y: ad.linspace(x[0, 0], y[1, 0], 4), (A, B)),
    (np.full_like, "", lambda x: np.full_like(x, 2), lambda x: ad.full_like(x, 2), (A,)),
    (np.empty_like, "", lambda x: np.empty_like(x[:0]), lambda x: ad.empty_like(x[:0]), (A,)),
    (np.zeros_like, "", lambda x: np.zeros_like(x), lambda x: ad.zeros_like(x), (A,)),
    (np.ones_like, "", lambda x: np.ones_like(x), lambda x: ad.ones_like(x), (A,)),
]  # fmt: skip


def lower_twice(a: Any) -> Any:
    """The symmetric matrix with this lower triangle."""
    return ad.tril(a) + ad.tril(a, -1).T


# Functions called with the same arguments behind the Tensor, in NumPy's order.
ARRANGED: list[tuple[str, tuple[Any, ...]]] = [
    ("append", (B, 0)), ("array_split", (2, 1)), ("astype", (np.float32,)), ("atleast_1d", ()), ("atleast_2d", ()),
    ("atleast_3d", ()), ("broadcast_arrays", (B[0],)), ("delete", (1, 1)), ("diag", (1,)), ("diagflat", (-1,)),
    ("diagonal", (1, 1, 0)), ("fliplr", ()), ("flipud", ()), ("hsplit", ([1],)), ("insert", (1, [7.0, 8.0], 1)),
    ("matrix_transpose", ()), ("partition", (1, 0)), ("repeat", (2, 1)), ("resize", ((4, 2),)), ("rollaxis", (1,)), ("rot90", (3,)),
    ("sort", (0,)), ("split", (3, 1)), ("take", ([0, 2, -1], 1)), ("take_along_axis", (np.array([[1], [0]]), 1)),
    ("tile", ((2, 1),)), ("unique", (True, False, True, 1)), ("unique_all", ()), ("unique_counts", ()), ("unique_inverse", ()),
    ("unique_values", ()), ("unstack", ()), ("vsplit", (2,)),
]  # fmt: skip
TRANSFORMS: list[tuple[str, tuple[Any, ...]]] = [
    ("fft", (4, 0, "ortho")), ("ifft", (None, 1, "forward")), ("rfft", (5,)), ("irfft", (3, 1)), ("hfft", (3,)), ("ihfft", (2,)),
    ("fft2", ((2, 2), (1, 0), "ortho")), ("ifft2", ()), ("rfft2", ()), ("irfft2", ((2, 3), (0, 1))), ("fftn", (None, (0,))),
    ("ifftn", ()), ("rfftn", ()), ("irfftn", (None, (1, 0))), ("fftshift", (0,)), ("ifftshift", ()),
]  # fmt: skip


def behind(module: Any, name: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """The function of one array; of several results the first."""

    def call(x: Any) -> Any:
        result = getattr(module, name)(x, *arguments)
        return result[0] if isinstance(result, (list, tuple)) else result

    return call


def of_list(module: Any, name: str) -> Callable[..., Any]:
    return lambda *xs: getattr(module, name)(list(xs))


def rows_of(module: Any, ours: Any, table: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
    return [
        (getattr(module, name), "", behind(module, name, arguments), behind(ours, name, arguments), (A,))
        for name, arguments in table
        if hasattr(module, name)  # not all of them in NumPy 2.0
    ]


# Functions of linear algebra called with the same arguments behind the Tensor, and the Tensor's array.
OF_MATRICES: list[tuple[str, tuple[Any, ...], Array]] = [
    ("cond", (1,), SYMMETRIC), ("cross", (B,), A), ("det", (), SYMMETRIC), ("diagonal", (), A), ("eig", (), TURNING),
    ("eigh", ("U",), TURNING), ("eigvals", (), TURNING), ("eigvalsh", ("L",), TURNING),
    ("inv", (), SYMMETRIC), ("lstsq", (B.T, None), A.T), ("matmul", (B.T,), A), ("matrix_norm", (), A),
    ("matrix_power", (-2,), TURNING), ("matrix_rank", (), A), ("matrix_transpose", (), A), ("norm", (2,), A),
    ("norm", ("nuc", (1, 0), True), A), ("outer", (B[0],), A[1]), ("pinv", (), A), ("qr", ("complete",), A.T), ("svd", (False,), A), ("svdvals", (), A),
    ("tensorinv", (1,), TURNING), ("tensorsolve", (B[0],), TURNING), ("trace", (), A), ("vecdot", (B,), A),
    ("vector_norm", (), A),
]  # fmt: skip
CALLS += [
    (getattr(np.linalg, name), "", behind(np.linalg, name, arguments), behind(ad.linalg, name, arguments), (x,))
    for name, arguments, x in OF_MATRICES
]
CALLS += [
    (np.linalg.multi_dot, "", lambda x, y: np.linalg.multi_dot([x, y.T, x]), lambda x, y: ad.linalg.multi_dot([x, y.T, x]), (A, B)),
    (np.linalg.tensordot, "", lambda x: np.linalg.tensordot(x, B.T, axes=1), lambda x: ad.tensordot(x, B.T, axes=1), (A,)),
    (np.linalg.slogdet, "second", lambda x: np.linalg.slogdet(x).logabsdet, lambda x: ad.linalg.slogdet(x)[1], (SYMMETRIC,)),
]  # fmt: skip
CALLS += CALLS_BY_SIGNATURE
CALLS += rows_of(np, ad, ARRANGED) + rows_of(np.fft, ad.fft, TRANSFORMS)
CALLS += [
    *[(getattr(np, name), "", of_list(np, name), of_list(ad, name), (A, B))
      for name in ("hstack", "vstack", "dstack", "column_stack", "block")],
    (np.bincount, "", lambda x: np.bincount([0, 3, 3], x[0], 5), lambda x: ad.bincount(np.array([0, 3, 3]), x[0], 5), (A,)),
    (np.choose, "", lambda x, y: np.choose([1, 0, 5], [x, y], mode="clip"), lambda x, y: ad.choose([1, 0, 1], [x, y]), (A, B)),
    (np.compress, "", lambda x: np.compress([True, False], x, 0), lambda x: ad.compress([True, False], x, 0), (A,)),
    (np.dsplit, "", lambda x: np.dsplit(x[:, None], 3)[1], lambda x: ad.dsplit(x[:, None], 3)[1], (A,)),
    (np.extract, "", lambda x: np.extract(A > 0, x), lambda x: ad.extract(A > 0, x), (A,)),
    (np.lexsort, "", lambda x: np.lexsort((x[0], x[1] > 0)), lambda x: ad.lexsort([x[0], x[1] > 0]), (A,)),
    (np.piecewise, "", lambda x: np.piecewise(x, [A > 0], [np.sin, 2.0]), lambda x: ad.piecewise(x, [A > 0], [ad.sin, 2.0]), (A,)),
    (np.select, "", lambda x, y: np.select(condlist=[A > 0], choicelist=[x], default=y), lambda x, y: ad.select([A > 0], [x], y), (A, B)),
    (np.copy, "", lambda x: np.copy(x), lambda x: x * 1.0, (A,)),
    (np.tile, "by name", lambda x: np.tile(x, reps=2), lambda x: ad.tile(x, 2), (A,)),
    (np.resize, "by name", lambda x: np.resize(x, new_shape=9), lambda x: ad.resize(x, 9), (A,)),
    (np.take, "mode", lambda x: np.take(x, [5, -9], mode="wrap"), lambda x: ad.take(x, [5, -9], mode="wrap"), (A,)),
    (np.convolve, "", lambda x, y: np.convolve(x[0], y[1], "same"), lambda x, y: ad.convolve(x[0], y[1], "same"), (A, B)),
    (np.correlate, "", lambda x, y: np.correlate(x[0], y[1], "full"), lambda x, y: ad.correlate(x[0], y[1], "full"), (A, B)),
    (np.polyadd, "", lambda x, y: np.polyadd(x[0], y[1, :2]), lambda x, y: ad.polyadd(x[0], y[1, :2]), (A, B)),
    (np.polysub, "", lambda x, y: np.polysub(x[0, :1], y[1]), lambda x, y: ad.polysub(x[0, :1], y[1]), (A, B)),
    (np.polyval, "", lambda x, y: np.polyval(x[0], y), lambda x, y: ad.polyval(x[0], y), (A, B)),
    (np.polyder, "", lambda x: np.polyder(x[0], 2), lambda x: ad.polyder(x[0], 2), (A,)),
    (np.polyint, "", lambda x: np.polyint(x[0], 2, k=[1, 2]), lambda x: ad.polyint(x[0], 2, k=[1, 2]), (A,)),
    (np.polyfit, "", lambda x, y: np.polyfit(x[0], y.T, 1), lambda x, y: ad.polyfit(x[0], y.T, 1), (A, B)),
    (np.polyfit, "w", lambda x, y: np.polyfit(x[0], y[0], 1, w=[1, 2, 3]), lambda x, y: ad.polyfit(x[0], y[0], 1, w=[1, 2, 3]), (A, B)),
    (np.pad, "wrap", lambda x: np.pad(x, 2, mode="wrap"), lambda x: ad.pad(x, 2, mode="wrap"), (A,)),
    (np.linspace, "axis", lambda x, y: np.linspace(x, y[0], 4, axis=1), lambda x, y: ad.linspace(x, y[0], 4, axis=1), (A, B)),
    (np.linspace, "retstep", lambda x: np.linspace(x[0], 1.0, 4, retstep=True)[1], lambda x: (1.0 - x[0]) / 3, (A,)),
    (np.logspace, "", lambda x, y: np.logspace(x[0], y[0], 4, base=2), lambda x, y: ad.logspace(x[0], y[0], 4, base=2), (A, B)),
    (np.geomspace, "", lambda x: np.geomspace(x[0] ** 2, 3, 4), lambda x: ad.geomspace(x[0] ** 2, 3, 4), (A,)),
    (np.linalg.cholesky, "of a triangle", lambda a: np.linalg.cholesky(a + B.T @ B), lambda a: ad.cholesky(lower_twice(a + B.T @ B)), (3.0 * TURNING,)),
    (np.linalg.eigh, "", lambda a: np.linalg.eigh(a)[0], lambda a: ad.eigh(lower_twice(a))[0], (TURNING,)),
    (np.vander, "", lambda x: np.vander(x[0], 2), lambda x: ad.vander(x[0], 2), (A,)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours", "arrays"), [row[2:] for row in CALLS], ids=[f"{r[0].__name__} {r[1]}" for r in CALLS]
)
def test_function(theirs: Callable[..., Any], ours: Callable[..., Any], arrays: tuple[Any, ...]) -> None:
    agrees(ours, theirs, *arrays)


def test_every_function_of_the_table_is_tested() -> None:
    assert {row[0] for row in CALLS} == set(numpy_protocols.FUNCTIONS)


CONSTANTS: list[tuple[Any, tuple[Any, ...]]] = [
    (np.iscomplexobj, (A,)), (np.isrealobj, (A,)),
    (np.shape, (A,)), (np.ndim, (A,)), (np.size, (A,)), (np.argmax, (A, 1)), (np.argmin, (A, 0)), (np.argsort, (A, 1)),
    (np.any, (A > 0, 1)), (np.all, (A > 0, 1)), (np.allclose, (A, A)), (np.isclose, (A, B)), (np.array_equal, (A, A)),
    (np.count_nonzero, (A > 0,)), (np.nonzero, (A > 0,)), (np.argwhere, (A > 0,)), (np.flatnonzero, (A > 0,)),
    (np.searchsorted, (np.sort(A[0]), B, "right")), (np.digitize, (B, np.sort(A[0]))), (np.isin, (A, B)), (np.argpartition, (A, 1)),
    (np.array_repr, (A,)), (np.array_str, (A,)), (np.array2string, (A,)), (np.result_type, (A, 2.0)), (np.can_cast, (A, float)),
    (np.nanargmax, (A, 1)), (np.nanargmin, (A, 0)), (np.array_equiv, (A, A[None])), (np.diag_indices_from, (SQUARE,)),
    (np.tril_indices_from, (A, 1)), (np.triu_indices_from, (A,)), (np.unravel_index, (COUNTS, (3, 4))),
    (np.ravel_multi_index, (COUNTS, (4, 7), "clip")), (np.may_share_memory, (A, B)), (np.shares_memory, (A, B)),
    (np.common_type, (A, B)), (np.min_scalar_type, (A,)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args"), CONSTANTS, ids=lambda value: getattr(value, "__name__", ""))
def test_function_with_a_plain_result(function: Any, args: tuple[Any, ...]) -> None:
    def lifted(a: Any) -> Any:
        return a if not isinstance(a, np.ndarray) else ad.asarray(a) if a.dtype.kind in "bi" else ad.tensor(a)

    ours, theirs = function(*map(lifted, args)), function(*args)
    assert not isinstance(ours, ad.Tensor)
    np.testing.assert_array_equal(ours, theirs)


def test_every_function_with_a_plain_result_is_tested() -> None:
    assert {function for function, _ in CONSTANTS} == numpy_protocols.CONSTANT_FUNCTIONS


def test_a_function_written_for_numpy_differentiates_unchanged() -> None:
    def f(x: Any, w: Any) -> Any:
        hidden = np.tanh(np.dot(x, w) + np.ones(3))
        return np.mean(np.where(hidden > 0, hidden, 0.1 * hidden) ** 2) + np.linalg.norm(w)

    w = random(3, 3, seed=4)
    slope = ad.grad(f, argnums=1)(A, w)
    h = 1e-6 * random(3, 3, seed=5)
    assert np.sum(slope * h) == pytest.approx((f(A, w + h) - f(A, w - h)) / 2, rel=1e-7)


# ---- operators

OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow, "@": operator.matmul,
    "//": operator.floordiv, "%": operator.mod,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
CONSTANT_OPERATORS = (*COMPARISONS, "//")
OTHERS: dict[str, Any] = {
    "array": ABOVE, "float": 2.0, "int": 3, "bool": True, "NumPy scalar": np.float64(2.5), "0-d array": np.array(2.5),
    "row": ABOVE[0],
    "constant Tensor": ad.asarray(ABOVE), "list": ABOVE.tolist(), "integer array": np.array([[1, 2, 3], [3, 2, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("sign", [s for s in OPERATORS if s != "@"])
def test_operator_with_every_other_operand_on_both_sides(sign: str, other: str) -> None:
    apply, value = OPERATORS[sign], OTHERS[other]
    plain = value.array if isinstance(value, ad.Tensor) else np.asarray(value)
    x = ad.tensor(ABOVE + 0.5)
    for left, right, expected in ((x, value, apply(x.array, plain)), (value, x, apply(plain, x.array))):
        result = apply(left, right)
        assert isinstance(result, ad.Tensor)
        np.testing.assert_allclose(result.array, expected, rtol=1e-15)
        assert result.dtype == expected.dtype and (result.node is None) == (sign in CONSTANT_OPERATORS)
    if sign in CONSTANT_OPERATORS:
        return
    for f, numeric in (
        (lambda z: apply(z, value), lambda z: apply(z, plain)),
        (lambda z: apply(value, z), lambda z: apply(plain, z)),
    ):
        h = 1e-6
        difference = (numeric(x.array + h) - numeric(x.array - h)) / (2 * h)
        np.testing.assert_allclose(ad.grad(lambda z, f=f: ad.sum(f(z)))(x.array), difference, rtol=1e-6)


@pytest.mark.parametrize("other", ["array", "constant Tensor", "list"])
def test_matrix_product_with_every_other_operand_on_both_sides(other: str) -> None:
    values = {"array": B.T, "constant Tensor": ad.asarray(B.T), "list": B.T.tolist()}
    x = ad.tensor(A)
    for result, expected in ((x @ values[other], A @ B.T), (values[other] @ x, B.T @ A)):
        assert isinstance(result, ad.Tensor) and result.node is not None
        np.testing.assert_allclose(result.array, expected, rtol=1e-15)
    np.testing.assert_allclose(ad.grad(lambda z: ad.sum(z @ values[other]))(A), np.tile(B.sum(0), (2, 1)), rtol=1e-14)


def test_masks_combine_as_in_numpy() -> None:
    x, y = ad.tensor(A), ad.tensor(B)
    for ours, theirs in [
        ((x > 0) & (y > 0), (A > 0) & (B > 0)),
        ((x > 0) | (B > 0), (A > 0) | (B > 0)),
        ((A > 0) & (y > 0), (A > 0) & (B > 0)),
        ((x > 0) ^ (y > 0), (A > 0) ^ (B > 0)),
        (~(x > 0), ~(A > 0)),
    ]:
        assert isinstance(ours, ad.Tensor) and ours.dtype == bool
        np.testing.assert_array_equal(ours.array, theirs)
    np.testing.assert_array_equal(ad.grad(lambda z: ad.sum(z[(z > -1) & (z < 1)] * 2.0))(A), 2.0 * ((A > -1) & (A < 1)))


def test_unary_and_augmented_operators() -> None:
    x = ad.tensor(A)
    np.testing.assert_array_equal((-x).array, -A)
    np.testing.assert_array_equal((+x).array, A)
    np.testing.assert_array_equal(abs(x).array, np.abs(A))
    y = x.copy()
    y += 1.0
    y *= 2.0
    np.testing.assert_array_equal(x.array, A)
    np.testing.assert_array_equal(y.array, (A + 1.0) * 2.0)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 3), 2.0))


def test_methods_of_ufuncs() -> None:
    x = ad.tensor(A)
    for ours, theirs in (
        (np.add.reduce(x), np.add.reduce(A)),
        (np.maximum.reduce(x, axis=1, keepdims=True), A.max(axis=1, keepdims=True)),
        (np.minimum.reduce(x, axis=None), A.min()),
        (np.add.accumulate(x, axis=1), np.cumsum(A, axis=1)),
        (np.multiply.outer(x, B), np.multiply.outer(A, B)),
    ):
        assert ours.node is not None
        np.testing.assert_allclose(ours.array, theirs, rtol=1e-15)


def test_an_ndarray_gives_way_to_a_tensor() -> None:
    """``array * tensor`` is one Tensor, not an array of Tensors."""
    result = A * ad.tensor(B)
    assert isinstance(result, ad.Tensor) and result.shape == (2, 3)


def test_every_operator_is_installed() -> None:
    for name, function in operators.OPERATORS.items():
        assert getattr(Tensor, name) is function


# ---- methods and properties

METHODS: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = [
    ("sum", lambda x: x.sum(axis=0), lambda x: ad.sum(x, 0)),
    ("mean", lambda x: x.mean(1, keepdims=True), lambda x: ad.mean(x, 1, True)),
    ("max", lambda x: x.max(), lambda x: ad.max(x)),
    ("min", lambda x: x.min(axis=(0, 1)), lambda x: ad.min(x)),
    ("cumsum", lambda x: x.cumsum(1), lambda x: ad.cumsum(x, 1)),
    ("argmax", lambda x: x.argmax(axis=1), lambda x: ad.argmax(x, 1)),
    ("argmin", lambda x: x.argmin(), lambda x: ad.argmin(x)),
    ("any", lambda x: x.any(axis=0), lambda x: ad.any(x, 0)),
    ("all", lambda x: x.all(axis=(0, 1), keepdims=True), lambda x: ad.all(x, keepdims=True)),
    ("prod", lambda x: x.prod(axis=0), lambda x: ad.prod(x, 0)),
    ("cumprod", lambda x: x.cumprod(1), lambda x: ad.cumprod(x, 1)),
    ("round", lambda x: x.round(1), lambda x: ad.round(x, 1)),
    ("conj", lambda x: (x * (1 + 2j)).conj(), lambda x: ad.conj(x * (1 + 2j))),
    ("conjugate", lambda x: (x * (1 + 2j)).conjugate(), lambda x: ad.conj(x * (1 + 2j))),
    ("real", lambda x: (x * (1 + 2j)).real, lambda x: ad.real(x * (1 + 2j))),
    ("imag", lambda x: (x * (1 + 2j)).imag, lambda x: ad.imag(x * (1 + 2j))),
    ("clip", lambda x: x.clip(-0.2, 0.2), lambda x: ad.clip(x, -0.2, 0.2)),
    ("dot", lambda x: x.dot(B.T), lambda x: ad.dot(x, B.T)),
    ("ravel", lambda x: x.ravel(), lambda x: ad.reshape(x, (6,))),
    ("flatten", lambda x: x.flatten(), lambda x: ad.reshape(x, (6,))),
    ("squeeze", lambda x: x[:, None].squeeze(1), lambda x: ad.squeeze(ad.expand_dims(x, 1), 1)),
    ("swapaxes", lambda x: x.swapaxes(0, 1), lambda x: ad.swapaxes(x, 0, 1)),
    ("astype", lambda x: x.astype(np.float32), lambda x: ad.astype(x, "float32")),
    ("reshape of numbers", lambda x: x.reshape(3, 2), lambda x: ad.reshape(x, (3, 2))),
    ("reshape of a tuple", lambda x: x.reshape((3, -1)), lambda x: ad.reshape(x, (3, 2))),
    ("reshape of one number", lambda x: x.reshape(-1), lambda x: ad.reshape(x, 6)),
    ("transpose", lambda x: x.transpose(), lambda x: ad.transpose(x)),
    ("reshape by columns", lambda x: x.reshape(3, 2, order="F"), lambda x: ad.reshape(x, (3, 2), order="F")),
    ("repeat", lambda x: x.repeat(2, axis=1), lambda x: ad.repeat(x, 2, 1)),
    ("diagonal", lambda x: x.diagonal(1), lambda x: ad.diagonal(x, 1)),
    ("take", lambda x: x.take([0, 0, 5]), lambda x: ad.take(x, [0, 0, 5])),
    ("choose", lambda x: (x > 0).astype(int).choose([B, x]), lambda x: ad.choose((A > 0).astype(int), [B, x])),
    ("compress", lambda x: x.compress([False, True], axis=0), lambda x: ad.compress([False, True], x, 0)),
    ("argsort", lambda x: x.argsort(axis=0), lambda x: ad.argsort(x, 0)),
    ("argpartition", lambda x: x.argpartition(1), lambda x: ad.argpartition(x, 1)),
    ("searchsorted", lambda x: x[0].searchsorted([0.5]), lambda x: ad.searchsorted(x[0], np.array([0.5]))),
    ("transpose of numbers", lambda x: x.transpose(1, 0), lambda x: ad.permute_dims(x, (1, 0))),
    ("transpose of a tuple", lambda x: x.transpose((1, 0)), lambda x: ad.permute_dims(x, (1, 0))),
    ("T", lambda x: x.T, lambda x: ad.transpose(x)),
    ("mT", lambda x: x.mT, lambda x: ad.matrix_transpose(x)),
    ("T of three axes", lambda x: x[None].T, lambda x: ad.permute_dims(ad.expand_dims(x, 0), (2, 1, 0))),
    ("mT of three axes", lambda x: x[None].mT, lambda x: ad.permute_dims(ad.expand_dims(x, 0), (0, 2, 1))),
    ("x[...]", lambda x: x[..., 1:], lambda x: ad.stack([x[:, 1], x[:, 2]], 1)),
    ("x[mask]", lambda x: x[A > 0] if isinstance(x, np.ndarray) else x[ad.asarray(A > 0)], lambda x: x[np.nonzero(A > 0)]),
    ("x[list]", lambda x: x[[1, 0, 1]], lambda x: ad.stack([x[1], x[0], x[1]])),
    ("x[Tensor]", lambda x: x[np.array([1])] if isinstance(x, np.ndarray) else x[ad.asarray(np.array([1]))], lambda x: x[1:]),
    ("x[empty list]", lambda x: ad.concat([x[[]], x]) if isinstance(x, ad.Tensor) else x, lambda x: +x),
]  # fmt: skip


@pytest.mark.parametrize(("method", "function"), [row[1:] for row in METHODS], ids=[row[0] for row in METHODS])
def test_method(method: Callable[[Any], Any], function: Callable[[Any], Any]) -> None:
    agrees(function, method, A)


def test_var_and_std_methods() -> None:
    x = ad.tensor(A)
    np.testing.assert_allclose(x.var(axis=0, correction=1).array, A.var(axis=0, ddof=1), rtol=1e-14)
    np.testing.assert_allclose(x.std(keepdims=True).array, A.std(keepdims=True), rtol=1e-14)


def test_every_method_is_tested() -> None:
    tested = {row[0].split()[0] for row in METHODS} | {"var", "std"}
    assert set(operators.METHODS) <= tested


def test_attributes() -> None:
    x = ad.tensor(A.astype(np.float32))
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float32, 2)
    assert x.array.tolist() == x.tolist()


def test_iteration_unpacks_and_differentiates() -> None:
    def f(x: Any) -> Any:
        first, second = x
        a, b, c = first
        return a * b * c + ad.sum(second)

    slope = ad.grad(f)(A)
    np.testing.assert_allclose(slope, [[A[0, 1] * A[0, 2], A[0, 0] * A[0, 2], A[0, 0] * A[0, 1]], [1.0, 1.0, 1.0]])
    assert [row.shape for row in ad.tensor(A)] == [(3,), (3,)]


def test_a_number_has_no_length_and_cannot_be_iterated() -> None:
    with pytest.raises(TypeError, match=r"0-d|unsized"):
        len(ad.tensor(1.0))
    with pytest.raises(TypeError, match=r"0-d|unsized"):
        iter(ad.tensor(1.0))


def test_conversions_to_python() -> None:
    x = ad.tensor(2.5) * 1.0
    assert (float(x), int(x), complex(x), bool(x), x.item(), x.tolist()) == (2.5, 2, 2.5 + 0j, True, 2.5, 2.5)
    assert [type(v) for v in (float(x), int(x), x.item())] == [float, int, float]
    assert [10, 20, 30][ad.asarray(np.array(1))] == 20
    assert f"{float(x):.2f}" == "2.50"
    with pytest.raises(ValueError, match="ambiguous"):
        bool(ad.tensor([1.0, 2.0]))


def test_an_if_on_a_tensor_takes_the_branch() -> None:
    assert ad.grad(lambda x: x * x if x > 0 else -x)(3.0) == 6.0
    assert ad.grad(lambda x: x * x if x > 0 else -x)(-3.0) == -1.0


def test_repr_shows_values_dtype_and_place() -> None:
    assert repr(ad.asarray([1.0, 2.5])) == "Tensor([1. , 2.5], dtype=float64)"
    assert repr(ad.tensor(np.float32(3.0)) * 2.0) == "Tensor(6., dtype=float32, on the tape)"
    assert "..." in repr(ad.zeros(10_000)) and len(repr(ad.zeros(10_000))) < 200


def test_hash_is_by_identity() -> None:
    x, y = ad.tensor(1.0), ad.tensor(1.0)
    assert hash(x) == hash(x) and hash(x) != hash(y)
    assert {x: "x", y: "y"}[x] == "x"


def test_a_constant_becomes_a_plain_array() -> None:
    constant = ad.asarray(A)
    assert np.asarray(constant) is constant.array or np.shares_memory(np.asarray(constant), constant.array)
    assert np.asarray(constant, dtype=np.float32).dtype == np.float32
    copy = np.array(constant)
    copy[...] = 0.0
    np.testing.assert_array_equal(constant.array, A)
    np.testing.assert_array_equal(np.asarray([ad.asarray(1.0), ad.asarray(2.0)]), [1.0, 2.0])


def test_a_constant_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(ad.asarray(A)))
    np.testing.assert_array_equal(again.array, A)
    assert again.node is None


# ---- creation

CREATED: list[tuple[str, Callable[[], Any], Any]] = [
    ("asarray", lambda: ad.asarray([1.0, 2.0]), np.array([1.0, 2.0])),
    ("asarray dtype", lambda: ad.asarray([1, 2], dtype=np.float32), np.array([1, 2], np.float32)),
    ("zeros", lambda: ad.zeros((2, 3)), np.zeros((2, 3))),
    ("zeros of a length", lambda: ad.zeros(3, dtype=np.float32), np.zeros(3, np.float32)),
    ("ones", lambda: ad.ones((2,)), np.ones(2)),
    ("full", lambda: ad.full((2,), 7.0), np.full(2, 7.0)),
    ("zeros_like", lambda: ad.zeros_like(A.astype(np.float32)), np.zeros((2, 3), np.float32)),
    ("ones_like", lambda: ad.ones_like(ad.tensor(A)), np.ones((2, 3))),
    ("arange", lambda: ad.arange(5), np.arange(5)),
    ("arange from to by", lambda: ad.arange(1.0, 2.0, 0.25), np.arange(1.0, 2.0, 0.25)),
    ("linspace", lambda: ad.linspace(0.0, 1.0, 5), np.linspace(0.0, 1.0, 5)),
    ("eye", lambda: ad.eye(2, 3), np.eye(2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), [row[1:] for row in CREATED], ids=[row[0] for row in CREATED])
def test_creation_functions_make_constants(make: Callable[[], Any], expected: Array) -> None:
    made = make()
    assert isinstance(made, ad.Tensor) and made.node is None and made.dtype == expected.dtype
    np.testing.assert_array_equal(made.array, expected)


def test_tensor_makes_a_variable_and_asarray_leaves_a_tensor_as_it_is() -> None:
    x = ad.tensor([1.0, 2.0], dtype=np.float32)
    assert x.node is not None and x.dtype == np.float32
    y = x * 2.0
    assert ad.asarray(y) is y


@pytest.mark.parametrize("dtype", [np.float32, np.float64, float, "float32"])
def test_asarray_with_a_dtype_keeps_the_place_on_the_tape(dtype: Any) -> None:
    # Silently off the tape would be a silently wrong gradient.
    slope = ad.grad(lambda x: ad.sum(ad.asarray(x * x, dtype=dtype) * 3.0 + x))(np.ones(2))
    np.testing.assert_array_equal(slope, [7.0, 7.0])


# ---- what is refused

T = ad.tensor(A)


def assign(target: Any, index: Any, value: Any) -> None:
    target[index] = value


REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("np.spacing", lambda: np.spacing(T), r"np\.spacing has no rule in tinyad.*x\.array"),
    ("np.histogram", lambda: np.histogram(T), r"np\.histogram has no rule in tinyad.*x\.array"),
    ("sort order=", lambda: np.sort(T, order="a"), r"np\.sort.*'order'"),
    ("np.put_along_axis", lambda: np.put_along_axis(T, A > 0, 1.0, 0), r"writes into its first operand.*x\[index\] = values"),
    ("np.fill_diagonal", lambda: np.fill_diagonal(T, 1.0), r"np\.fill_diagonal has no rule.*writes into its first operand"),
    ("np.apply_along_axis", lambda: np.apply_along_axis(np.sum, 0, T), r"np\.apply_along_axis has no rule.*ad\.vmap"),
    ("np.trim_zeros", lambda: np.trim_zeros(T[0]), r"np\.trim_zeros has no rule.*ad\.flatnonzero"),
    ("fft out=", lambda: np.fft.fft(T, out=np.zeros((2, 3), complex)), r"'out'.*fewer keywords"),
    ("np.divide.reduce", lambda: np.divide.reduce(T), r"np\.divide\.reduce has no rule"),
    ("np.divide.accumulate", lambda: np.divide.accumulate(T), r"np\.divide\.accumulate has no rule"),
    ("np.divide.at", lambda: np.divide.at(ad.zeros(3), 0, T[0, 0]), r"np\.divide\.at has no rule"),
    ("np.add.at of an array", lambda: np.add.at(A.copy(), ([0],), T[:1]), r"np\.add\.at.*plain array.*ad\.zeros"),
    ("ufunc out=", lambda: np.sin(T, out=A.copy()), r"np\.sin: out= is a plain array.*new array"),
    ("ufunc out= positional", lambda: np.add(T, 1.0, A.copy()), r"np\.add: out="),
    ("array += Tensor", lambda: operator.iadd(A.copy(), T), r"np\.add: out="),
    ("ufunc where=", lambda: np.add(T, 1.0, where=A > 0), r"np\.add.*'where'.*ad\.where"),
    ("ufunc dtype=", lambda: np.exp(T, dtype=np.float32), r"np\.exp.*'dtype'.*astype"),
    ("sum out=", lambda: np.sum(T, axis=0, out=np.zeros(3)), r"np\.sum.*'out'"),
    ("max where= without initial=", lambda: np.max(T, where=A > 0), r"max: where=.*initial="),
    ("var mean=", lambda: np.var(T, mean=A), r"np\.var.*'mean'"),
    ("quantile weights=", lambda: np.quantile(T, 0.5, method="inverted_cdf", weights=A), r"np\.quantile.*'weights'"),
    ("concatenate out=", lambda: np.concatenate([T, T], out=np.zeros((4, 3))), r"np\.concatenate.*'out'"),
    ("reshape order=", lambda: np.reshape(T, (3, 2), order="A"), r"reshape: order='A'; expected 'C'.*'F'"),
    ("pad mode", lambda: np.pad(T, 1, mode="mean"), r"pad: mode='mean'.*constant"),
    ("matrix norm", lambda: np.linalg.norm(T, 3), r"matrix_norm: ord=3.*'nuc'"),
    ("asarray of a recorded Tensor", lambda: np.asarray(T * 2.0), r"recorded Tensor cannot become a plain array.*ad\.stack"),
    ("list of recorded Tensors", lambda: np.array([T[0], T[1]]), r"recorded Tensor cannot become.*ad\.stack"),
    ("sum of a list", lambda: np.sum([T[0, 0], T[0, 1]]), r"recorded Tensor cannot become.*ad\.stack"),
    ("array[...] = Tensor", lambda: assign(np.zeros((2, 3)), ..., T), r"recorded Tensor cannot become.*ad\.stack"),
    ("array[0] = Tensor", lambda: assign(np.zeros((2, 3)), 0, T[0]), r"recorded Tensor cannot become.*ad\.stack"),
    ("variable[0] = Tensor", lambda: assign(T, 0, T[1]), r"variable made by ad\.tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_a_clear_message(run: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        run()
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)


def test_an_array_takes_a_constant() -> None:
    target = np.zeros(2)
    target[0] = ad.asarray(2.0)
    target[1] = float(ad.tensor(3.0) * 1.0)  # said in so many words
    np.testing.assert_array_equal(target, [2.0, 3.0])


def test_refusals_leave_the_target_as_it_was() -> None:
    target = np.zeros((2, 3))
    with pytest.raises(TypeError):
        target += ad.tensor(A)
    np.testing.assert_array_equal(target, 0.0)
