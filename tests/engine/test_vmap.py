"""`vmap` against a Python loop: trees and axes, every derivative inside and outside, indices, rules of one's own, errors."""

from __future__ import annotations

import functools
import re
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyad as ad

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


XS, W, WS = random(4, 3), random(3, seed=1), random(4, 3, seed=2)


def one_by_one(f: Function) -> Function:
    """What ``ad.vmap(f)`` must be: a loop over the first axis of every leaf of the arguments."""

    def for_all(*args: Any) -> Any:
        size = len(ad.tree.leaves(args)[0])
        return together([f(*ad.tree.map(lambda x, k=k: x[k], args)) for k in range(size)])

    return for_all


def together(results: list[Any]) -> Any:
    return ad.tree.map(lambda *ys: ad.stack(ys), *results)


def plain(values: Any) -> Any:
    """Constant Tensors as arrays."""
    return ad.tree.map(lambda y: y.array if isinstance(y, ad.Tensor) and y.node is None else y, values)


def close(found: Any, expected: Any) -> None:
    found, expected = plain(found), plain(expected)
    assert ad.tree.flatten(found)[1] == ad.tree.flatten(expected)[1]
    for a, b in zip(ad.tree.leaves(found), ad.tree.leaves(expected), strict=True):
        assert not isinstance(a, ad.Tensor)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


# ---- trees and axes


@dataclass
class Layer:
    w: Any
    b: Any
    activation: Any = ad.tanh
    name: str = field(default="layer", metadata={"static": True})

    def __call__(self, x: Any) -> Any:
        return self.activation(x @ self.w + self.b)


LAYERS = Layer(random(4, 3, 2), random(4, 2, seed=1))


def layer(k: int) -> Layer:
    return Layer(LAYERS.w[k], LAYERS.b[k])


def test_trees_in_and_out() -> None:
    def f(p: Any, q: Any) -> Any:
        return {"sum": p["a"] + q[0], "pair": (p["a"] * 2.0, [q[1][0]])}

    p, q = {"a": XS}, (WS, [XS[:, 0]])
    close(ad.vmap(f)(p, q), one_by_one(f)(p, q))


def test_dataclasses_in_and_out() -> None:
    def step(model: Layer, x: Any) -> Layer:
        return Layer(model.w - x[:, None], model.b + model(x), model.activation, model.name)

    found = ad.vmap(step)(LAYERS, XS)
    assert isinstance(found, Layer) and found.activation is ad.tanh and found.name == "layer"
    close(found, together([step(layer(k), XS[k]) for k in range(4)]))


PREFIXES: list[tuple[str, Any, tuple[int, int]]] = [
    ("one for all", 0, (0, 0)),
    ("one for each", (0, 0), (0, 0)),
    ("a list", [0, 0], (0, 0)),
    ("a dict for a dataclass", ({"w": 0, "b": 0}, 0), (0, 0)),
    ("a tuple for a dataclass", ((0, 0), 0), (0, 0)),
    ("a dataclass of axes", (Layer(0, 0), 0), (0, 0)),
    ("negative", (Layer(-3, -2), -2), (0, 0)),
    ("another axis", (Layer(2, 1), 1), (2, 1)),
    ("NumPy integers", (np.int64(0), np.int64(0)), (0, 0)),
]


@pytest.mark.parametrize(("axes", "place"), [row[1:] for row in PREFIXES], ids=[row[0] for row in PREFIXES])
def test_trees_of_axes(axes: Any, place: tuple[int, int]) -> None:
    w, b, x = LAYERS.w, LAYERS.b, XS
    if place != (0, 0):
        w, b, x = np.moveaxis(w, 0, 2), b.T, x.T
    close(ad.vmap(lambda model, x: model(x), axes)(Layer(w, b), x), together([layer(k)(XS[k]) for k in range(4)]))


def test_what_all_examples_share() -> None:
    close(ad.vmap(lambda model, x: model(x), (None, 0))(layer(0), XS), together([layer(0)(x) for x in XS]))
    close(
        ad.vmap(lambda m, x: m(x), (Layer(0, None), None))(Layer(LAYERS.w, W[:2]), W),
        together([Layer(w, W[:2])(W) for w in LAYERS.w]),
    )
    close(
        ad.vmap(lambda m, x: m(x), ({"w": None, "b": 0}, None))(Layer(LAYERS.w[0], LAYERS.b), W),
        together([Layer(LAYERS.w[0], b)(W) for b in LAYERS.b]),
    )


def test_keyword_arguments_and_numbers_are_shared() -> None:
    def power(x: Any, n: Any, *, times: int = 1) -> Any:
        for _ in range(n * times):  # n is Python's own number
            x = x * x
        return x

    close(ad.vmap(power, (0, None))(XS, 2, times=1), XS**4)


def test_none_and_static_arguments() -> None:
    close(ad.vmap(lambda x, y: x if y is None else x + y)(XS, None), XS)
    close(ad.vmap(lambda x, how: ad.sum(x) if how == "sum" else x)(XS, "sum"), XS.sum(1))


OUT_AXES: list[tuple[str, Any, Callable[[Any], Any]]] = [
    ("first", 0, lambda y: y),
    ("last", -1, lambda y: {"a": y["a"].transpose(1, 2, 0), "b": y["b"]}),
    ("a tree", {"a": 1, "b": 0}, lambda y: {"a": y["a"].transpose(1, 0, 2), "b": y["b"]}),
    ("deeper than the examples", {"a": 2, "b": -1}, lambda y: {"a": y["a"].transpose(1, 2, 0), "b": y["b"]}),
]


@pytest.mark.parametrize(("axes", "move"), [row[1:] for row in OUT_AXES], ids=[row[0] for row in OUT_AXES])
def test_axes_of_the_results(axes: Any, move: Callable[[Any], Any]) -> None:
    f = lambda x: {"a": ad.outer(x, x), "b": ad.sum(x)}
    close(ad.vmap(f, out_axes=axes)(XS), move(plain(one_by_one(f)(XS))))


def test_axes_of_a_dataclass_of_results() -> None:
    found = ad.vmap(lambda x: Layer(x, x * 2.0), out_axes=Layer(1, 0))(XS)
    close((found.w, found.b), (XS.T, XS * 2.0))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_axes(data: st.DataObject) -> None:
    """Two operands of any shapes, mapped over any axes or not, into any axis."""
    draw = data.draw
    shapes = draw(st.sampled_from([((), (3,)), ((2,), (2,)), ((2, 3), (3,)), ((3,), (2, 3)), ((1, 3), (2, 1)), ((), ())]))
    size = draw(st.sampled_from([1, 2, 4]))
    mapped = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    xs, axes = [], []
    for i, (shape, m) in enumerate(zip(shapes, mapped, strict=True)):
        place = draw(st.integers(0, len(shape)))
        xs.append(random(*shape[:place], *([size] if m else []), *shape[place:], seed=i))
        axes.append((place - draw(st.sampled_from([0, len(shape) + 1]))) if m else None)
    f = lambda x, y: ad.sin(x) * y + ad.sum(x)
    one = lambda x, axis, k: x if axis is None else np.take(x, k, axis)
    results = [f(*[one(x, axis, k) for x, axis in zip(xs, axes, strict=True)]) for k in range(size)]
    out = draw(st.integers(-results[0].ndim - 1, results[0].ndim))
    close(ad.vmap(f, tuple(axes), out)(*xs), np.stack(results, out))


# ---- what a mapped function gives back


def test_results_that_are_the_same_for_all() -> None:
    found = ad.vmap(lambda x: (W, 3.0, 2, True, None, np.float32(1.5), x))(XS)
    close(found[:4], (np.tile(W, (4, 1)), np.full(4, 3.0), np.full(4, 2), np.full(4, True)))
    assert found[4] is None and found[5].dtype == np.float32
    found[0][0] = 0.0  # an array of its own, not a view of W
    assert W[0] != 0.0 and found[0][1, 0] == W[0]


def test_results_that_are_the_same_for_all_may_stay_single() -> None:
    shared, each = ad.vmap(lambda x: (W * 2.0, x * 2.0), out_axes=(None, 0))(XS)
    close((shared, each), (W * 2.0, XS * 2.0))


def test_plain_arrays_for_plain_arrays() -> None:
    for f in (lambda x: x * 2.0, lambda x: ad.asarray(W) * x, lambda x: ad.asarray(W), lambda x: ad.zeros_like(x), lambda x: x):
        assert type(ad.vmap(f)(XS)) is np.ndarray
    found = ad.vmap(lambda x: ad.sum(x))(ad.asarray(XS))
    assert isinstance(found, ad.Tensor) and found.node is None
    assert isinstance(ad.vmap(lambda x: ad.sum(x))(ad.tensor(XS)), ad.Tensor)


def test_the_function_is_called_once() -> None:
    calls = []
    ad.vmap(lambda x: calls.append(x) or x * 2.0)(random(100, 2))
    assert len(calls) == 1


def test_name_and_docstring_are_the_functions() -> None:
    def total(x: Any) -> Any:
        """The sum."""
        return ad.sum(x)

    mapped = ad.vmap(total)
    assert (mapped.__name__, mapped.__doc__) == ("total", "The sum.")
    close(ad.vmap(functools.partial(total))(XS), XS.sum(1))


def test_arguments_are_not_changed() -> None:
    xs = XS.copy()
    found = ad.vmap(lambda x: x)(xs)
    ad.vmap(ad.grad(lambda x: ad.sum(x**2)))(xs)
    np.testing.assert_array_equal(xs, XS)
    assert found is not None


def test_no_examples() -> None:
    empty = np.zeros((0, 3))
    f = lambda x: (ad.solve(ad.outer(x, x), x), ad.cholesky(ad.outer(x, x)), ad.sum(x) > 0)
    found = ad.vmap(f)(empty)
    assert [(y.shape, y.dtype) for y in found] == [((0, 3), float), ((0, 3, 3), float), ((0,), bool)]
    assert ad.vmap(ad.hessian(lambda x: ad.sum(x**3)))(empty).shape == (0, 3, 3)
    assert ad.grad(lambda w: ad.sum(ad.vmap(lambda x: x @ w)(empty)))(W).tolist() == [0.0, 0.0, 0.0]


def test_the_examples_need_not_be_like_the_first() -> None:
    """The first example has no inverse, and its square root is NaN: only shapes are taken from it."""
    a = np.stack([np.zeros((2, 2)), np.eye(2)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(np.linalg.LinAlgError):
            ad.vmap(lambda a: ad.solve(a, a[0]))(a)
        found = ad.vmap(lambda a: ad.solve(a + ad.where(a[0, 0] == 0, 1.0, 0.0) * np.eye(2), a[0]))(a)
    close(found, np.array([[0.0, 0.0], [1.0, 0.0]]))


# ---- vmap in vmap


def test_nested() -> None:
    a, b = random(2, 3), random(4, 5, seed=1)
    table = ad.vmap(ad.vmap(lambda x, y: ad.sin(x) * y, (None, 0)), (0, None))
    close(table(a[0], b[0]), np.sin(a[0])[:, None] * b[0])
    rows = ad.vmap(lambda x: ad.vmap(lambda y: x @ y, 1)(random(3, 5, seed=2)))
    close(rows(a), a @ random(3, 5, seed=2))


def test_nested_with_other_axes() -> None:
    x = random(2, 3, 4, 5)
    f = lambda row: ad.cumsum(row) * ad.sum(row)
    found = ad.vmap(ad.vmap(ad.vmap(f, 1, 1), -2, -1), 1, 2)(x)
    expected = np.empty((5, 2, 3, 4))
    for i in range(3):
        for j in range(4):
            for k in range(2):
                expected[:, k, i, j] = plain(f(x[k, i, j]))
    moved = ad.vmap(ad.vmap(ad.vmap(f)))(x)
    close(moved, expected.transpose(1, 2, 3, 0))
    assert sorted(found.shape) == sorted(x.shape)


def test_nested_differentiated_at_each_level() -> None:
    x = random(2, 3, 4)

    def f(x: Any) -> Any:
        inner = ad.vmap(ad.grad(lambda r: ad.sum(ad.sin(r)) ** 2))
        return ad.sum(inner(x) * ad.vmap(lambda r: r * x[0])(x))

    found = ad.grad(lambda x: ad.sum(ad.vmap(ad.grad(f))(x) ** 2))(x)
    by_loops = lambda x: together([f_by_loops(part) for part in x])

    def f_by_loops(x: Any) -> Any:
        def g(x: Any) -> Any:
            inner = together([ad.grad(lambda r: ad.sum(ad.sin(r)) ** 2)(r) for r in x])
            return ad.sum(inner * together([r * x[0] for r in x]))

        return ad.grad(g)(x)

    close(found, ad.grad(lambda x: ad.sum(by_loops(x) ** 2))(x))


# ---- derivatives inside and outside


def energy(x: Any, w: Any) -> Any:
    """A scalar of a vector and weights, with products, reductions, indices and choices."""
    h = ad.tanh(ad.outer(x, w) @ x) + ad.where(x > 0, x * w, ad.sin(x))
    return ad.logsumexp(h) * ad.sum(x[1:] * h[:-1]) + ad.max(h)


INSIDE: dict[str, Function] = {
    "grad": ad.grad(energy),
    "grad by w": ad.grad(energy, 1),
    "value_and_grad": ad.value_and_grad(energy, (0, 1)),
    "vjp": lambda x, w: ad.vjp(energy, x, w)[1](2.0),
    "jvp": lambda x, w: ad.jvp(energy, (x, w), (w, x)),
    "linearize": lambda x, w: ad.linearize(energy, x, w)(w, x),
    "hvp": lambda x, w: ad.hvp(lambda x: energy(x, w), x, w),
    "hessian": ad.hessian(energy),
    "jacobian": ad.jacobian(lambda x, w: ad.outer(x, ad.sin(x * w))),
    "jacobian by columns": ad.jacobian(lambda x, w: ad.outer(x, ad.sin(x * w)), mode="forward"),
    "gnvp": lambda x, w: ad.gnvp(lambda x: ad.sin(x * w), lambda y: ad.sum(y**4), x, w),
    "grad of grad": ad.grad(lambda x, w: ad.sum(ad.grad(energy)(x, w) ** 2)),
    "grad of checkpoint": ad.grad(ad.checkpoint(energy)),
    "nothing": energy,
}
OUTSIDE: dict[str, Callable[[Function], Function]] = {
    "nothing": lambda f: f,
    "grad": lambda f: ad.grad(lambda *xs: cost(f(*xs)), (0, 1)),
    "jvp": lambda f: lambda x, w: ad.jvp(f, (x, w), (ad.cos(x), ad.cos(w))),
    "hvp": lambda f: lambda x, w: ad.hvp(lambda both: cost(f(*both)), (x, w), (ad.cos(x), ad.cos(w))),
    "jacobian": lambda f: ad.jacobian(f, (0, 1)),
}


def cost(out: Any) -> Any:
    return sum(ad.sum(ad.sin(y)) for y in ad.tree.leaves(out))


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("inside", INSIDE)
def test_derivatives(inside: str, outside: str) -> None:
    f, derive = INSIDE[inside], OUTSIDE[outside]
    close(derive(ad.vmap(f))(XS[:2], WS[:2]), derive(one_by_one(f))(XS[:2], WS[:2]))
    shared = lambda m: lambda xs, w: m(lambda x: f(x, w))(xs)  # w is closed over
    close(derive(shared(ad.vmap))(XS[:2], W), derive(shared(one_by_one))(XS[:2], W))
    mapped, by_loop = ad.vmap(f, (0, None)), lambda xs, w: one_by_one(lambda x: f(x, w))(xs)
    close(derive(mapped)(XS[:2], W), derive(by_loop)(XS[:2], W))


# ---- variables of surrounding derivatives, closed over: whose derivative is it?

Family = Callable[[Function, Any], Any]  # of a way to map, and of the variable closed over

CLOSURES: dict[str, Family] = {
    "used plainly": lambda m, w: m(lambda x: ad.sin(x * w))(XS),
    "used alone": lambda m, w: m(lambda x: ad.sum(w * w) * ad.sum(x))(XS),
    "given back": lambda m, w: m(lambda x: (w * 2.0 + 0.0 * x, x))(XS)[0],
    "inner grad by the example": lambda m, w: m(ad.grad(lambda x: ad.sum(ad.sin(x) * w * x)))(XS),
    "inner grad by the variable's value": lambda m, w: m(lambda x: ad.grad(lambda y: ad.sum(y * y * w * x))(w))(XS),
    "inner grad by a constant": lambda m, w: m(lambda x: ad.grad(lambda y: ad.sum(y * y * w * x))(W))(XS),
    "inner grad of constants alone": lambda m, w: m(lambda x: x * w * ad.grad(lambda y: ad.sum(y**3))(W))(XS),
    "inner grad of the variable alone": lambda m, w: m(lambda x: x * ad.grad(lambda y: ad.sum(y**3))(w))(XS),
    "x times the derivative of xy": lambda m, w: m(lambda x: x * w * ad.grad(lambda y: ad.sum(x * w * y))(x))(XS),
    "inner jvp": lambda m, w: m(lambda x: ad.jvp(lambda y: y * w * ad.sin(x), (x,), (w * x,))[1])(XS),
    "inner hvp": lambda m, w: m(lambda x: ad.hvp(lambda y: ad.sum(y**3 * w), x, w))(XS),
    "inner jacobian": lambda m, w: m(lambda x: ad.jacobian(lambda y: ad.sin(y * w)[:2] * x[0])(x))(XS),
    "inner vjp": lambda m, w: m(lambda x: ad.vjp(lambda y: y * w, x)[1](w * x)[0])(XS),
    "inner vmap": lambda m, w: m(lambda x: m(lambda y: ad.sum(ad.sin(x * w * y)))(WS))(XS),
    "inner grad and vmap": lambda m, w: m(ad.grad(lambda x: ad.sum(m(lambda y: ad.sum(ad.sin(x * w * y)))(WS) ** 2)))(XS),
    "index of the variable": lambda m, w: m(lambda x: ad.grad(lambda y: ad.sum(y[::2] * w[ad.argmax(x)]))(x) * w[0])(XS),
    "constant index of an inner variable": lambda m, w: m(lambda x: ad.grad(lambda y: ad.sum(y[[0, 0, 1]] * x * w + y))(W) * x)(
        XS
    ),
    "cotangents that vary meet others": lambda m, w: m(
        lambda x: ad.grad(lambda y: ad.sum(y * x * w) + ad.sum(y * 2.0) + ad.sum(y * x) + ad.sum(y[[0, 0]]) + ad.sum(y * 3.0))(
            W
        )
    )(XS),
    "an index adds to what varies": lambda m, w: m(lambda x: w * ad.grad(lambda y: ad.sum(y[[0, 0]]) + ad.sum(y * x))(W))(XS),
    "only a part is differentiated": lambda m, w: m(lambda x: ad.stop_gradient(x * w) * w)(XS),
    "a constant of an inner derivative": lambda m, w: m(
        lambda x: w * x + ad.grad(lambda y: ad.sum(ad.stop_gradient(y * w) * y))(x * w)
    )(XS),
    "a constant inner derivative": lambda m, w: m(lambda x: w * x + ad.grad(lambda y: ad.sum(y * x))(x * w))(XS),
    "a constant inner derivative at a constant": lambda m, w: m(
        lambda x: w * x * ad.grad(lambda y: ad.sum(y * W) + 0.0 * ad.sum(x * w))(W)
    )(XS),
    "inner derivatives of different age": lambda m, w: m(
        lambda x: ad.grad(lambda y: ad.sum(y * x * w * ad.grad(lambda z: ad.sum(z * y * x * w))(W)))(w * x)
    )(XS),
}
SURROUNDINGS: dict[str, Callable[[Function], Any]] = {
    "grad": lambda f: ad.grad(lambda w: ad.sum(ad.sin(f(w))))(W),
    "jvp": lambda f: ad.jvp(f, (W,), (WS[0],)),
    "hessian": lambda f: ad.hessian(lambda w: ad.sum(f(w) ** 2))(W),
    "grad of grad": lambda f: ad.grad(lambda w: ad.sum(ad.grad(lambda v: ad.sum(f(v) ** 2))(w) ** 2))(W),
    "grad in vmap": lambda f: ad.vmap(ad.grad(lambda w: ad.sum(ad.sin(f(w)))))(WS[:2]),
    "jacobian": lambda f: ad.jacobian(f)(W),
}


@pytest.mark.parametrize("surrounding", SURROUNDINGS)
@pytest.mark.parametrize("closure", CLOSURES)
def test_closed_over_variables(closure: str, surrounding: str) -> None:
    family, derive = CLOSURES[closure], SURROUNDINGS[surrounding]
    close(derive(lambda w: family(ad.vmap, w)), derive(lambda w: family(one_by_one, w)))


def test_tape_style() -> None:
    w, xs = ad.tensor(W), ad.tensor(XS)
    for _ in range(2):
        ad.sum(ad.vmap(lambda x: energy(x, w))(xs)).backward()
    g_w, g_xs = ad.grad(lambda w, xs: sum(energy(x, w) for x in xs), (0, 1))(W, XS)
    close((w.grad, xs.grad), (2.0 * g_w, 2.0 * g_xs))


def test_a_variable_made_inside() -> None:
    def f(x: Any) -> Any:
        v = ad.tensor(x)
        ad.sum(ad.sin(v) * v).backward()
        return v.grad

    close(ad.vmap(f)(XS), np.cos(XS) * XS + np.sin(XS))


# ---- contexts and constants


@pytest.mark.parametrize("way", [ad.vmap, one_by_one], ids=["vmap", "loop"])
def test_stop_gradient(way: Function) -> None:
    f = lambda x: ad.sum(ad.stop_gradient(ad.sin(x)) * x)
    close(ad.grad(lambda xs: ad.sum(way(f)(xs)))(XS), np.sin(XS))
    close(way(ad.grad(f))(XS), np.sin(XS))
    close(ad.grad(lambda xs: ad.sum(way(lambda x: ad.stop_gradient({"a": x})["a"] * x)(xs)))(XS), XS)
    close(ad.grad(lambda xs: ad.sum(way(ad.grad(f))(xs) * xs))(XS), np.sin(XS))


def in_no_grad(f: Function) -> Function:
    def paused(*args: Any) -> Any:
        with ad.no_grad():
            return f(*args)

    return paused


@pytest.mark.parametrize("way", [ad.vmap, one_by_one], ids=["vmap", "loop"])
def test_no_grad_inside(way: Function) -> None:
    half = lambda w: lambda x: in_no_grad(lambda: ad.sin(x) * w)() * x * w
    found = ad.grad(lambda w, xs: ad.sum(way(half(w))(xs)), (0, 1))(W, XS)
    close(found, ((np.sin(XS) * W * XS).sum(0), np.sin(XS) * W * W))
    derivative = lambda x: x * in_no_grad(ad.grad(lambda y: ad.sum(ad.sin(y) * x)))(x)
    close(ad.grad(lambda xs: ad.sum(way(derivative)(xs)))(XS), np.cos(XS) * XS)
    nested = lambda x: in_no_grad(way(ad.sin))(ad.stack([x, x]))[0] * x
    close(ad.grad(lambda xs: ad.sum(way(nested)(xs)))(XS), np.sin(XS))


def test_no_grad_around() -> None:
    w = ad.tensor(W)
    with ad.no_grad():
        assert ad.vmap(lambda x: x * w)(XS).node is None
        close(ad.vmap(lambda x: ad.sum(w * w))(XS), np.full(4, np.sum(W * W)))
        close(ad.vmap(ad.grad(lambda x: ad.sum(x * x)))(XS), 2 * XS)
        close(ad.vmap(lambda x: x * ad.grad(lambda y: ad.sum(y * y))(W))(XS), 2 * W * XS)
        close(ad.vmap(ad.grad(RULED["custom_vjp"]), (0, None))(XS, W), np.cos(XS) * W * 10)


def test_detect_anomaly() -> None:
    with ad.detect_anomaly(), pytest.raises(FloatingPointError, match="derivative of `sqrt`"):
        ad.grad(lambda xs: ad.sum(ad.vmap(lambda x: ad.sqrt(x))(xs)))(np.array([1.0, 0.0]))
    with ad.detect_anomaly():
        w = ad.tensor(W)
        ad.sum(ad.vmap(lambda x: x * w)(XS)).backward()
    close(w.grad, XS.sum(0))

    def inside(x: Any) -> Any:
        with ad.detect_anomaly():
            return ad.grad(lambda y: ad.sum(y * w * x))(x)

    w = ad.tensor(W)
    ad.sum(ad.vmap(inside)(XS)).backward()
    close(w.grad, XS.sum(0))


def test_derivatives_inside_warn_no_more_than_alone() -> None:
    """The walks ignore infinite partials that meet zeros; so does the program they were written down in."""
    root = ad.grad(lambda x: ad.where(x > 0, ad.sqrt(abs(x)), 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        close(ad.vmap(root)(np.array([0.0, 4.0])), np.array([0.0, 0.25]))
        with pytest.warns(RuntimeWarning, match="divide by zero"):  # the function's own
            ad.vmap(lambda x: 1.0 / x)(np.array([0.0, 4.0]))


def test_memory_is_freed_as_the_program_runs() -> None:
    """Of a chain of 40 functions two results are alive at a time; with a checkpoint, also while a gradient waits."""
    xs = random(50, 1000)

    def chain(x: Any) -> Any:
        for _ in range(40):
            x = ad.sin(x)
        return x

    assert peak(lambda: ad.vmap(chain)(xs)) < 6 * xs.nbytes
    recorded = ad.tensor(xs)
    assert peak(lambda: ad.vmap(chain)(recorded)) > 40 * xs.nbytes
    assert peak(lambda: ad.vmap(ad.checkpoint(chain))(recorded)) < 6 * xs.nbytes


def peak(f: Function) -> int:
    tracemalloc.start()
    f()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


# ---- indices


def test_labels() -> None:
    scores, labels = random(4, 5), np.array([0, 4, -1, 2])
    pick = lambda row, label: row[label]
    loss = lambda row, label: ad.logsumexp(row) - row[label]
    close(ad.vmap(pick)(scores, labels), scores[np.arange(4), labels])
    close(ad.vmap(ad.grad(loss))(scores, labels), one_by_one(ad.grad(loss))(scores, labels))
    close(ad.vmap(pick, (None, 0))(ad.asarray(scores[0]), labels), scores[0][labels])
    rows = ad.vmap(lambda k: ad.asarray(scores)[:, k] * 2.0, out_axes=1)
    close(rows(labels), scores[:, labels] * 2.0)


def test_a_table_whose_rows_are_picked_gets_a_gradient_of_its_own_size() -> None:
    """The gradient of an embedding is added up at once, not for each example in a table of its own."""
    ids = np.random.default_rng(0).integers(0, 1000, size=(64, 5))
    loss = lambda table: ad.sum(ad.vmap(lambda row: ad.sum(ad.asarray(table)[row] ** 3))(ids))
    table = random(1000, 8)
    close(ad.grad(loss)(table), 3 * table**2 * np.bincount(ids.ravel(), minlength=1000)[:, None])
    assert peak(lambda: ad.grad(loss)(table)) < 12 * table.nbytes


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_index(data: st.DataObject) -> None:
    """Integer arrays of each example among slices, numbers, new axes, masks, shared arrays and an ellipsis, at any place."""
    draw = data.draw
    shape = draw(st.sampled_from([(2,), (3, 3), (2, 3), (3, 2, 3), (2, 2, 2), (2, 3, 2, 2)]))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, joint = draw(st.sampled_from([1, 3])), draw(st.sampled_from([(), (2,), (1, 2)]))
    entries, arrays, axes = _any_index(draw, shape, numbers, size, joint)
    if None not in [*axes, None] or 0 not in axes:
        return
    mapped = draw(st.booleans())
    x = numbers.normal(size=((size,) if mapped else ()) + shape)

    def f(x: Any, *arrays: Any) -> Any:
        given = iter(arrays)
        return ad.asarray(x)[tuple([next(given) if part is f else part for part in entries])]

    entries = [f if part is _ARRAY else part for part in entries]
    all_axes = (0 if mapped else None, *axes)

    def by_loop(f: Function) -> Function:
        one = lambda a, axis, k: a if axis is None else a[k]
        return lambda *xs: together([f(*[one(a, axis, k) for a, axis in zip(xs, all_axes, strict=True)]) for k in range(size)])

    close(ad.vmap(f, all_axes)(x, *arrays), by_loop(f)(x, *arrays))
    g = numbers.normal(size=ad.vmap(f, all_axes)(x, *arrays).shape)
    pulled = [ad.vjp(lambda x, way=way: way(f)(x, *arrays), x)[1](g) for way in (lambda f: ad.vmap(f, all_axes), by_loop)]
    close(*pulled)
    for mode in ("reverse", "forward"):  # these index arrays with a leading axis
        rows = ad.jacobian(lambda x, *arrays: f(x, *arrays) ** 2, mode=mode)
        close(ad.vmap(rows, all_axes)(x, *arrays), by_loop(rows)(x, *arrays))
    curved = [
        ad.grad(lambda x, way=way: ad.sum(way(rows)(x, *arrays) ** 2))(x) for way in (lambda f: ad.vmap(f, all_axes), by_loop)
    ]
    close(*curved)


_ARRAY = object()


def _any_index(draw: Any, shape: Any, numbers: Any, size: int, joint: Any) -> tuple[list[Any], list[Array], list[int | None]]:
    entries: list[Any] = []
    arrays: list[Array] = []
    axes: list[int | None] = []
    for n in shape[: draw(st.integers(1, len(shape)))]:
        kind = draw(st.sampled_from(["each", "each", "shared", "slice", "number", "mask"]))
        if kind in ("each", "shared"):
            picked = draw(st.sampled_from([joint, joint[1:], (1,) * len(joint)]))
            axes.append(0 if kind == "each" else None)
            arrays.append(numbers.integers(-n, n, size=(size, *picked) if kind == "each" else picked))
            entries.append(_ARRAY)
        elif kind == "slice":
            entries.append(slice(None, None, draw(st.sampled_from([1, -1, 2]))))
        else:
            k = int(numbers.integers(n))
            entries.append(k if kind == "number" else np.arange(n) == k)
        if draw(st.integers(0, 4)) == 0:
            entries.append(None)
    if len(set(shape)) == 1 and draw(st.booleans()):  # wherever it stands, the axes keep their lengths
        entries.insert(draw(st.integers(0, len(entries))), ...)
    return entries, arrays, axes


def test_masks_that_all_examples_share() -> None:
    mask = np.array([True, False, True])
    for index in (mask, (mask, None), ([True, False, True],), ad.asarray(mask)):
        close(ad.vmap(lambda x, index=index: x[index])(XS), one_by_one(lambda x, index=index: x[index])(XS))


# ---- functions with rules of their own


def rowwise(x: Any, w: Any) -> Any:
    return ad.sum(ad.sin(x) * w)


def wrong_on_purpose() -> dict[str, Function]:
    """The same function with derivatives 10 and 5 times too large, to see whether the rule is used, and with its own."""
    by_vjp, by_jvp = ad.custom_vjp(rowwise), ad.custom_jvp(rowwise)
    by_vjp.defvjp(
        lambda x, w: (rowwise(x, w), {"kept": (x, w), "factor": 10, "nothing": None}),
        lambda kept, g: (g * ad.cos(kept["kept"][0]) * kept["kept"][1] * kept["factor"], g * 5.0 * ad.sin(kept["kept"][0])),
    )

    @by_jvp.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x, w), (dx, dw) = primals, tangents
        return by_jvp(x, w), ad.sum(10.0 * ad.cos(x) * w * dx + 5.0 * ad.sin(x) * dw)

    return {"custom_vjp": by_vjp, "custom_jvp": by_jvp, "checkpoint": ad.checkpoint(rowwise)}


RULED = wrong_on_purpose()
ruled = pytest.mark.parametrize("name", RULED)


@ruled
def test_a_rule_holds(name: str) -> None:
    f, factors = RULED[name], (1.0, 1.0) if name == "checkpoint" else (10.0, 5.0)
    close(ad.vmap(f, (0, None))(XS, W), (np.sin(XS) * W).sum(1))
    g = ad.grad(lambda xs, w: ad.sum(ad.vmap(f, (0, None))(xs, w)), (0, 1))(XS, W)
    close(g, (factors[0] * np.cos(XS) * W, factors[1] * np.sin(XS).sum(0)))
    close(ad.vmap(ad.grad(f, (0, 1)), (0, None))(XS, W), (factors[0] * np.cos(XS) * W, factors[1] * np.sin(XS)))


@ruled
@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("inside", ["nothing", "grad", "value_and_grad", "jvp", "hvp"])
def test_derivatives_of_rules(name: str, inside: str, outside: str) -> None:
    """All as by a loop, to second order outside: the rule, and the derivative of the rule."""
    f = {
        "nothing": RULED[name],
        "grad": ad.grad(RULED[name], 1),
        "value_and_grad": ad.value_and_grad(RULED[name], (0, 1)),
        "jvp": lambda x, w: ad.jvp(RULED[name], (x, w), (w, x)),
        "hvp": lambda x, w: ad.hvp(lambda x: RULED[name](x, w) ** 2, x, w),
    }[inside]
    derive = OUTSIDE[outside]
    close(derive(ad.vmap(f))(XS[:2], WS[:2]), derive(one_by_one(f))(XS[:2], WS[:2]))
    shared = lambda m: lambda xs, w: m(lambda x: f(x, w))(xs)
    close(derive(shared(ad.vmap))(XS[:2], W), derive(shared(one_by_one))(XS[:2], W))


@ruled
def test_rules_in_nested_maps(name: str) -> None:
    f = RULED[name]
    table = lambda m: lambda xs, ws: m(lambda x: m(lambda w: f(x, w))(ws))(xs)
    for derive in OUTSIDE.values():
        close(derive(table(ad.vmap))(XS[:2], WS[:2]), derive(table(one_by_one))(XS[:2], WS[:2]))


@ruled
def test_rules_of_trees(name: str) -> None:
    """Dicts in and out, integers and settings among the arguments, results that do not depend on them."""

    def f(p: Any, k: Any, how: Any) -> Any:
        return {"y": p["x"][k] * p["w"] if how == "times" else p["x"], "k": k, "c": np.ones(2)}

    if name == "custom_vjp":
        wrapped: Any = ad.custom_vjp(f)
        wrapped.defvjp(lambda p, k, how: (f(p, k, how), {**p, "k": k}), lambda kept, g: _rule_of_trees(f, kept, g))
    elif name == "custom_jvp":
        wrapped = ad.custom_jvp(f)
        wrapped.defjvp(lambda primals, tangents: _tangent_of_trees(f, primals, tangents))
    else:
        wrapped = ad.checkpoint(f)
    p, ks = {"x": XS, "w": W}, np.array([0, 2, 1, 0])
    axes = ({"x": 0, "w": None}, 0, None)
    found = ad.vmap(wrapped, axes)(p, ks, "times")
    expected = together([f({"x": x, "w": W}, k, "times") for x, k in zip(XS, ks, strict=True)])
    close(found, expected)
    loss = lambda f, p: ad.sum(ad.vmap(f, axes)(p, ks, "times")["y"] ** 2)
    close(ad.grad(lambda p: loss(wrapped, p))(p), ad.grad(lambda p: loss(f, p))(p))
    close(ad.jvp(lambda p: loss(wrapped, p), (p,), (p,)), ad.jvp(lambda p: loss(f, p), (p,), (p,)))


def _rule_of_trees(f: Function, kept: Any, g: Any) -> Any:
    p = {"x": kept["x"], "w": kept["w"]}
    return ad.vjp(lambda p: f(p, kept["k"], "times")["y"], p)[1](g["y"])[0], None, None


def _tangent_of_trees(f: Function, primals: Any, tangents: Any) -> Any:
    (p, k, how), (dp, _, _) = primals, tangents
    _, dy = ad.jvp(lambda p: f(p, k, how)["y"], (p,), (dp,))
    return f(p, k, how), {"y": dy, "k": ad.zeros_like(k), "c": np.zeros(2)}


def test_a_checkpoint_may_close_over_anything() -> None:
    inner = lambda way, w: lambda x: ad.sum(way(lambda y: ad.sin(y) * x * w)(2.0 * x))
    for derive in (lambda f: ad.grad(lambda w: ad.sum(f(w) ** 2))(W), lambda f: ad.hessian(lambda w: ad.sum(f(w) ** 2))(W)):
        found = derive(lambda w: ad.vmap(inner(ad.checkpoint, w))(XS))
        close(found, derive(lambda w: one_by_one(inner(lambda f: f, w))(XS)))


@ruled
@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_a_call_on_values_of_an_outer_map(name: str, surrounding: str) -> None:
    """The call stands in the inner function, and a checkpoint may close over that one's values."""

    def inner(m: Function, x: Any, w: Any) -> Function:
        if name != "checkpoint":
            return lambda y: RULED[name](x, w) * ad.sum(y)
        way = ad.checkpoint if m is ad.vmap else lambda f: f
        return lambda y: way(lambda z: ad.sum(ad.sin(z) * y * w))(x)

    family = lambda m, w: m(lambda x: m(inner(m, x, w))(WS))(XS)
    derive = SURROUNDINGS[surrounding]
    close(derive(lambda w: family(ad.vmap, w)), derive(lambda w: family(one_by_one, w)))


def test_a_rule_cannot_speak_of_what_it_does_not_get() -> None:
    def with_closure(x: Any, k: Any) -> Any:
        f = ad.custom_vjp(lambda y: y * k)
        f.defvjp(lambda y: (y * k, None), lambda _, g: (g * k,))
        return f(x)

    close(ad.vmap(with_closure)(XS, WS), XS * WS)  # no derivative is taken
    with pytest.raises(ad.TracingError, match=r"(?s)vmap: .*kept after its end.*gets it as an argument"):
        ad.grad(lambda xs: ad.sum(ad.vmap(with_closure)(xs, WS)))(XS)


def test_a_missing_rule_is_missed_only_by_derivatives() -> None:
    for kind, method in ((ad.custom_vjp, "defvjp"), (ad.custom_jvp, "defjvp")):
        f = kind(lambda x: x * 2.0)
        close(ad.vmap(f)(XS), XS * 2.0)
        with pytest.raises(TypeError, match=rf"{kind.__name__}\(<lambda>\) has no rule yet; call .{method}"):
            ad.grad(lambda xs, f=f: ad.sum(ad.vmap(f)(xs)))(XS)


def test_a_wrong_shape_from_a_rule_is_named() -> None:
    f = ad.custom_vjp(lambda x, w: x * w)
    f.defvjp(lambda x, w: (x * w, (x, w)), lambda kept, g: (g, ad.sum(g)))
    with pytest.raises(
        ValueError, match=r"custom_vjp\(<lambda>\): the rule returned cotangent 1 of shape \(\); expected \(3,\)"
    ):
        ad.grad(lambda xs: ad.sum(ad.vmap(f, (0, None))(xs, W)))(XS)


# ---- errors: what is wrong, the call, the exception, and a pattern for its message

CASES: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("no function", lambda: ad.vmap(3), TypeError, r"^vmap: got a int; expected a function\. Write ad\.vmap\(f\)\(x\)"),
    ("no arguments", lambda: ad.vmap(lambda: 1.0)(), ValueError, r"^vmap: no argument is mapped; give an axis.*in_axes"),
    ("nothing mapped", lambda: ad.vmap(abs, None)(XS), ValueError, r"^vmap: no argument is mapped; give an axis.*in_axes"),
    (
        "different lengths",
        lambda: ad.vmap(ad.add)(XS, W),
        ValueError,
        r"^vmap: .*have different lengths \(argument\[0\]: 4, argument\[1\]: 3\)",
    ),
    (
        "different lengths in a tree",
        lambda: ad.vmap(lambda p: p)({"a": XS, "b": W}),
        ValueError,
        r"argument\[0\]\['a'\]: 4, argument\[0\]\['b'\]: 3",
    ),
    (
        "a number",
        lambda: ad.vmap(ad.multiply)(XS, 2.0),
        ValueError,
        r"^vmap: argument\[1\] has shape \(\), so no axis 0 to map over\. Give in_axes, with None",
    ),
    (
        "a number in a dataclass",
        lambda: ad.vmap(lambda m: m.w)(Layer(XS, np.float64(1.0))),
        ValueError,
        r"^vmap: argument\[0\]\.b has shape \(\)",
    ),
    ("too few axes", lambda: ad.vmap(abs, 2)(XS), ValueError, r"^vmap: argument\[0\] has shape \(4, 3\), so no axis 2"),
    (
        "too few axes, negative",
        lambda: ad.vmap(abs, -3)(XS),
        ValueError,
        r"^vmap: argument\[0\] has shape \(4, 3\), so no axis -3",
    ),
    (
        "too many entries",
        lambda: ad.vmap(abs, (0, None))(XS),
        ValueError,
        r"^vmap: in_axes has 2 entries for 1 arguments; give one for each",
    ),
    (
        "another tree",
        lambda: ad.vmap(lambda p: p, ({"b": 0},))({"a": XS}),
        ValueError,
        r"^vmap: in_axes\[0\]=\{'b': 0\} does not fit the tree dict\(a: \*\); give an int",
    ),
    (
        "a deeper tree",
        lambda: ad.vmap(abs, ((0, 0),))(XS),
        ValueError,
        r"^vmap: in_axes\[0\]=\(0, 0\) does not fit the tree \*",
    ),
    (
        "a tree within",
        lambda: ad.vmap(lambda p: p, ({"a": [0, 0]},))({"a": XS}),
        ValueError,
        r"^vmap: in_axes\[0\]\['a'\]=\[0, 0\] does not fit",
    ),
    ("no axis", lambda: ad.vmap(abs, ("first",))(XS), ValueError, r"^vmap: in_axes\[0\]='first' does not fit the tree"),
    ("a fraction", lambda: ad.vmap(abs, 0.5)(XS), ValueError, r"^vmap: in_axes\[0\]=0\.5 does not fit the tree"),
    (
        "axis of the result",
        lambda: ad.vmap(abs, out_axes=2)(XS),
        ValueError,
        r"^vmap: out_axes is 2 for result, which has 2 axes with that of the examples",
    ),
    (
        "axis of a result",
        lambda: ad.vmap(lambda x: {"a": x, "b": 1.0}, out_axes=-2)(XS),
        ValueError,
        r"^vmap: out_axes is -2 for result\['b'\], which has 1 axes",
    ),
    (
        "tree of the result",
        lambda: ad.vmap(abs, out_axes=(0, 0))(XS),
        ValueError,
        r"^vmap: out_axes=\(0, 0\) does not fit the tree \*",
    ),
    (
        "a result that differs",
        lambda: ad.vmap(lambda x: (W, x), out_axes=None)(XS),
        ValueError,
        r"^vmap: out_axes is None for result\[1\], which differs from example to.*give its axis",
    ),
    (
        "the function's own error",
        lambda: ad.vmap(lambda x: x @ np.ones(2))(XS),
        ValueError,
        r"^matmul: shapes \(3,\) and \(2,\) do not fit",
    ),
    (
        "an index out of range",
        lambda: ad.vmap(lambda x, k: x[k])(XS, np.array([0, 1, 2, 3])),
        IndexError,
        r"index 3 is out of bounds",
    ),
    (
        "a mask of each example",
        lambda: ad.vmap(lambda x: x[x > 0])(XS),
        ad.TracingError,
        r"^vmap: .*used as a mask.*\n.*\n.*ad\.where\(mask, x, 0\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "pattern"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_message(call: Callable[[], Any], error: type[Exception], pattern: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert re.search(pattern, str(caught.value), re.DOTALL), str(caught.value)
