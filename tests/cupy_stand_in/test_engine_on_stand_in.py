"""What users call, on stand-ins of CuPy's arrays: transforms, Tensors, NumPy's functions, and lists and numbers beside arrays."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.cupy_stand_in.device import DeviceArray, cupy
from tests.cupy_stand_in.same import same_on_both
from tinyad import tree
from tinyad.kinds import NONDIFFERENTIABLE

RANDOM = np.random.default_rng(0)
V = RANDOM.normal(size=4)
X = RANDOM.normal(size=(3, 4))
A = RANDOM.normal(size=(3, 3)) + 4.0 * np.eye(3)
C = X + 1j * RANDOM.normal(size=(3, 4))
PICK = np.array([0, 2, 2])
M = X > 0
LIST = [1.0, 2.0, 3.0, 4.0]

Case = tuple[Callable[..., Any], tuple[Any, ...]]


def cases(table: dict[str, Any]) -> Any:
    """A test for each entry: a function and the NumPy arrays to call it with."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in table.items()])


def check(case: Case) -> None:
    function, *arguments = case
    same_on_both("", function, *arguments)


def slope(function: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of the sum of squares of what a function gives."""
    return ad.grad(lambda *args: ad.sum(ad.square(function(*args))))


BESIDE_LISTS: dict[str, Any] = {
    "searchsorted": (lambda v: ad.searchsorted(ad.sort(v), 0.5), V),
    "linspace between what varies": (slope(lambda v: ad.linspace(v[0], v[1], 4)), V),
    "digitize": (lambda v: ad.digitize(v, [0.0, 1.0]), V),
    "isin": (lambda v: ad.isin(v, [0.5, 1.0]), V),
    "interp at a number": (slope(lambda v: ad.interp(0.5, ad.sort(v), v)), V),
    "interp between lists": (slope(lambda v: ad.interp(v, [-1.0, 0.0, 1.0], [1.0, 2.0, 5.0])), V),
    "gradient": (slope(lambda v: ad.gradient(v, [0.0, 1.0, 3.0, 4.0])), V),
    "trapezoid": (slope(lambda v: ad.trapezoid(v, [0.0, 1.0, 3.0, 4.0])), V),
    "average": (slope(lambda v: ad.average(v, weights=LIST)), V),
    "cov": (slope(lambda v: ad.cov(v, aweights=LIST)), V),
    "vdot": (slope(lambda v: ad.vdot(v, LIST)), V),
    "bincount": (slope(lambda v: ad.bincount([0, 1, 1, 0], v)), V),
    "lstsq": (slope(lambda a: ad.linalg.lstsq(a, [1.0, 2.0, 3.0])[0]), A),
    "tensorsolve": (slope(lambda a: ad.linalg.tensorsolve(a, [1.0, 2.0, 3.0])), A),
    "choose": (slope(lambda v: ad.choose([0, 1, 0, 1], [1.0, v])), V),
    "block": (slope(lambda v: ad.block([v, 1.0])), V),
    "conv": (slope(lambda x: ad.conv(x[None, None], [[[[1.0, 2.0]]]])), X),
    "add": (lambda v: ad.add(v, LIST), V),
    "add to a Tensor": (slope(lambda v: v + LIST), V),
    "list first": (slope(lambda v: LIST * v), V),
    "atan2": (lambda v: ad.atan2(LIST, v), V),
    "maximum": (lambda v: ad.maximum(v, LIST), V),
    "equal": (lambda v: ad.tensor(v) == LIST, V),
    "isclose": (lambda v: ad.isclose(v, LIST), V),
    "where": (slope(lambda v: ad.where([True, False, True, False], v, LIST)), V),
    "clip": (slope(lambda v: ad.clip(v, [-1.0, 0.0, 0.0, 1.0], 2.0)), V),
    "matmul": (slope(lambda x: ad.matmul(x, LIST)), X),
    "matmul of vectors": (slope(lambda v: v @ LIST), V),
    "dot": (slope(lambda v: ad.dot(LIST, v)), V),
    "outer": (slope(lambda v: ad.outer(v, [1.0, 2.0])), V),
    "tensordot": (slope(lambda x: ad.tensordot(x, LIST, 1)), X),
    "einsum": (slope(lambda x: ad.einsum("ij,j->i", x, LIST)), X),
    "solve": (slope(lambda a: ad.solve(a, [1.0, 2.0, 3.0])), A),
    "concat": (slope(lambda v: ad.concat([v, LIST])), V),
    "stack with a number": (slope(lambda v: ad.stack([v[0], 2.0, v[1]])), V),
    "vmap": (ad.vmap(lambda r: ad.stack([r[0] * 2.0, 1.0])), X),
    "vmap of a constant": (ad.vmap(lambda r: 1.0), X),
}


@cases(BESIDE_LISTS)
def test_lists_and_numbers_go_where_the_arrays_are(case: Case) -> None:
    check(case)


INDEXING: dict[str, Any] = {
    "integers": (slope(lambda x: x[1, ..., 2]), X),
    "slices": (slope(lambda x: x[::2, None, 1:3]), X),
    "list": (slope(lambda x: x[[0, 0, 1]]), X),
    "NumPy's array": (slope(lambda x: x[np.array([0, 0, 1])]), X),
    "array": (lambda x, i: slope(lambda x: x[i])(x), X, PICK),
    "Tensor": (lambda x, i: slope(lambda x: x[ad.asarray(i)])(x), X, PICK),
    "arrays and slices": (lambda x, i: slope(lambda x: x[i[:2], 1:3])(x), X, PICK),
    "arrays apart": (lambda x, i: ad.hessian(lambda x: ad.sum(x[i, :, i] ** 3))(x), RANDOM.normal(size=(3, 2, 3)), PICK),
    "mask": (lambda x, m: slope(lambda x: x[m])(x), X, M),
    "array without axes": (lambda x, i: slope(lambda x: x[i[1]])(x), X, PICK),
    "argmax": (slope(lambda x: x[0, ad.argmax(x[0])]), X),
    "complex": (ad.grad(lambda c: ad.sum(ad.abs(c[[0, 0, 1]]) ** 2)), C),
    "in a loop": (ad.grad(lambda v: sum(v[k] * v[k - 1] for k in range(4))), V),
    "iteration": (ad.grad(lambda v: sum(e * e for e in v)), V),
    "an index from a Tensor": (lambda i: list(range(ad.asarray(i)[1])), PICK),
}


@cases(INDEXING)
def test_indices(case: Case) -> None:
    check(case)


def by_backward(x: Any) -> Any:
    t = ad.tensor(x)
    (ad.sum(ad.sin(t) * t) + ad.sum(t[0])).backward()
    return t.grad


def with_anomalies_looked_for(x: Any) -> Any:
    with ad.detect_anomaly():
        return ad.grad(lambda x: ad.sum(ad.sin(x)))(x)


def linearized(v: Any) -> Any:
    lin = ad.linearize(lambda v: (ad.sin(v), 3.0), v)
    return lin.value[0], lin(v), lin.transpose((v, 1.0))


def raveled(v: Any) -> Any:
    vector, unravel = tree.ravel({"a": v, "b": [2.0, v]})
    return vector, unravel(2 * vector)


TRANSFORMS: dict[str, Any] = {
    "backward": (by_backward, X),
    "detect_anomaly": (with_anomalies_looked_for, X),
    "hvp": (lambda v: ad.hvp(lambda v: ad.sum(v**4), v, v), V),
    "gnvp": (lambda v: ad.gnvp(lambda x: x * x, lambda y: 0.5 * ad.sum(y * y), v, v), V),
    "hessian": (ad.hessian(lambda v: ad.sum(ad.exp(v)) * v[0]), V),
    "linearize": (linearized, V),
    "numbers": (ad.grad(lambda p: ad.sum(p["w"] * p["b"])), {"w": V, "b": 2.0}),
    "numbers without effect": (ad.grad(lambda p: ad.sum(p["w"])), {"w": V, "b": 2.0}),
    "tangents of numbers": (lambda v: ad.jvp(lambda a, b: a * b, (v, 2.0), (v, 1.0)), V),
    "cotangents of numbers": (lambda v: ad.vjp(lambda v: (v * v, ad.sum(v)), v)[1]((v, 1.0)), V),
    "constant results": (ad.jacobian(lambda v: (v * v, 3.0)), V),
    "nested": (slope(lambda v: ad.grad(lambda w: ad.sum(w**3 * v))(v)), V),
    "ravel": (raveled, V),
    "gradient of ravel": (ad.grad(lambda p: ad.sum(tree.ravel(p)[0] ** 2)), {"a": V, "b": [2.0, V]}),
    "checkpoint": (slope(ad.checkpoint(lambda v: ad.sin(v) * v)), V),
    "stop_gradient": (slope(lambda v: ad.stop_gradient(v) * v), V),
    "compile": (ad.compile(slope(ad.sin)), V),
    "require": (lambda v: (ad.require(v * v >= 0, "negative"), v)[1], V),
    "vmap": (ad.vmap(lambda r: ad.sum(r * r) * r), X),
    "vmap of a gradient": (ad.vmap(ad.grad(lambda r: ad.logsumexp(r) + ad.norm(r) * ad.max(r) + ad.var(r))), X),
    "vmap of a Hessian": (ad.vmap(ad.hessian(lambda r: ad.sum(r**3) * r[0])), X),
    "vmap of a choice": (ad.vmap(ad.grad(lambda r: r[ad.argmax(r)] ** 2 + ad.sum(ad.where(r > 0, r, 0.0)))), X),
    "vmap of two": (lambda x, v: ad.vmap(lambda r, v: ad.concat([r @ v + r, ad.ones_like(r)]), (0, None))(x, v), X, V),
    "gradient of a vmap": (slope(ad.vmap(lambda r: ad.sum(r) * r)), X),
    "scan": (lambda v: ad.scan(lambda total, x: (total + x, total * x), 0.0, v), V),
    "gradient of a scan": (lambda x, v: slope(lambda v: ad.scan(lambda t, r: (ad.tanh(t + r), t * 2), v, x)[1])(v), X, V),
}  # fmt: skip


@cases(TRANSFORMS)
def test_transforms(case: Case) -> None:
    check(case)


def mixed(x: Any) -> Any:
    t = ad.tensor(x)
    joined = np.concatenate([x, t]), np.where(t > 1, x, 0.0)
    return x * t, t * x, x + t, x - t, x / t, x**t, x < t, x == t, np.multiply(x, t), joined


NAMES = [
    "sum", "mean", "var", "std", "max", "min", "ravel", "transpose", "squeeze", "flip", "argmax", "argsort", "any", "all", "shape",
    "ndim", "size", "zeros_like", "ones_like", "cumsum", "sin", "absolute", "round",
]  # fmt: skip
OF_NUMPY: dict[str, Any] = {
    **{f"np.{name}": (lambda x, name=name: getattr(np, name)(ad.tensor(x)), X) for name in NAMES},
    "plain arrays and Tensors": (mixed, abs(X) + 1.0),
    "np.pad": (lambda x: np.pad(ad.tensor(x), 1), X),
    "np.clip": (lambda x: np.clip(ad.tensor(x), 0, 1), X),
    "np.einsum": (lambda x, v: np.einsum("ij,j", x, ad.tensor(v)), X, V),
    "np.linalg.solve": (lambda a: np.linalg.solve(ad.tensor(a), a), A),
    "np.allclose": (lambda x: bool(np.allclose(ad.tensor(x), x)), X),
    "np.nonzero": (lambda x: np.nonzero(ad.tensor(x)), X),
    "NumPy's scalars": (lambda x: (np.float64(2) * ad.tensor(x), ad.tensor(x) * np.int64(2)), X.astype(np.float32)),
}  # fmt: skip


@cases(OF_NUMPY)
def test_numpys_functions(case: Case) -> None:
    check(case)


OF_TENSORS: dict[str, Any] = {
    "repr": (lambda x: repr(ad.tensor(x)), X),
    "numbers": (lambda v: [f(ad.tensor(v)[0]) for f in (float, complex, bool, ad.Tensor.item, ad.Tensor.tolist)], V),
    "pickle": (lambda x: pickle.loads(pickle.dumps(ad.asarray(x))).array, X),
    "methods": (
        lambda x: [getattr(ad.tensor(x), name)() for name in ("sum", "mean", "var", "max", "argmax", "any", "ravel")],
        X,
    ),
    "float32 stays": (slope(lambda v: 2.0 * ad.sigmoid(v) + 1), V.astype(np.float32)),
}


@cases(OF_TENSORS)
def test_tensors(case: Case) -> None:
    check(case)


OPERANDS = [(X,), (X, np.flip(X)), (X, 1), (np.sort(V), X), (M,), (M, ~M), (PICK,), (PICK, PICK[::-1].copy())]


@pytest.mark.parametrize("name", sorted(name for name in NONDIFFERENTIABLE if hasattr(ad, name)))
def test_functions_without_derivative(name: str) -> None:
    """On plain arrays and on Tensors, with the first operands that it takes on NumPy."""
    function = getattr(ad, name)
    for operands in OPERANDS:
        try:
            function(*operands)
        except (TypeError, ValueError):
            continue
        same_on_both(
            name, lambda *xs: (function(*xs), function(*[x if isinstance(x, int) else ad.asarray(x) for x in xs])), *operands
        )
        return
    raise AssertionError(f"{name} takes none of the operands here")


def test_arrays_are_made_where_they_are_wanted() -> None:
    with ad.default_device("cuda"):
        for made in (ad.zeros(3), ad.arange(3), ad.asarray([1.0]), ad.eye(2), ad.tensor(np.ones(2))):
            assert type(made.array) is DeviceArray
    assert type(ad.zeros(3).array) is np.ndarray
    assert type(ad.zeros_like(cupy.asarray(X)).array) is DeviceArray
