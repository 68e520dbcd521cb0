"""The tape: long chains, shared results, what is kept, what is freed, who owns which array, and the contexts."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tinyad.tape import Node
from tinyad.transforms import Linearization, _Record

Array = np.ndarray[Any, Any]


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


# ---- size and shape of the graph

LONG = 100_000


def long_chain(x: Any) -> Any:
    for _ in range(LONG // 2):
        x = -x + 1.0
    return x * 3.0


@pytest.mark.parametrize(
    "derivative",
    [ad.grad(long_chain), lambda x: ad.jvp(long_chain, (x,), (1.0,))[1], lambda x: ad.vjp(long_chain, x)[1](1.0)[0]],
    ids=["grad", "jvp", "vjp"],
)
def test_chain_of_100_000_operations(derivative: Callable[[float], Any]) -> None:
    assert derivative(0.5) == 3.0


def test_chain_of_100_000_operations_backward_and_freed() -> None:
    x = ad.tensor(0.5)
    y = long_chain(x)
    y.backward()
    assert x.grad == 3.0
    before = count_of(Node)
    del y  # freeing nodes one inside the other must not overflow the stack
    assert before - count_of(Node) >= LONG


@pytest.mark.parametrize("way", ["reverse", "forward"])
def test_shared_results_are_visited_once(way: str) -> None:
    """A walk that followed every path would take 4^60 steps."""

    def f(a: Any) -> Any:
        for _ in range(60):
            b = a + a
            a = b + b
        return a

    assert ad.jacobian(f, mode=way)(1.5) == 4.0**60


# ---- lifetime


def count_of(*kinds: type) -> int:
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def small(x: Any) -> Any:
    return ad.sum(ad.sin(x) * x[::-1]) + ad.logsumexp(x)


_cube = ad.custom_vjp(lambda x: x * x * x)
_cube.defvjp(lambda x: (x * x * x, x), lambda x, g: (3.0 * g * x * x,))
_fourth = ad.custom_jvp(lambda x: x**4)
_fourth.defjvp(lambda p, t: (_fourth(*p), 4.0 * p[0] ** 3 * t[0]))
X = random(5)


def _with_backward() -> Any:
    x = ad.tensor(X)
    y = small(x)
    y.backward()
    return y, x.grad


def _in_contexts() -> Any:
    with ad.detect_anomaly():
        slope = ad.grad(small)(X)
    with ad.no_grad():
        return slope, small(ad.tensor(X)), ad.grad(small)(X)


ACTIVITIES: dict[str, Callable[[], Any]] = {
    "operations": lambda: small(ad.tensor(X)),
    "backward": _with_backward,
    "grad": lambda: ad.grad(small)(X),
    "grad of a Tensor": lambda: ad.grad(small)(ad.tensor(X)),
    "value_and_grad": lambda: ad.value_and_grad(lambda p: (small(p["a"]), p), has_aux=True)({"a": X}),
    "vjp": lambda: ad.vjp(small, X)[1](1.0),
    "pullback kept": lambda: ad.vjp(small, X),
    "jvp": lambda: ad.jvp(small, (X,), (X,)),
    "linearize": lambda: ad.linearize(small, X),
    "jacobian by rows": lambda: ad.jacobian(ad.sin, mode="reverse")(X),
    "jacobian by columns": lambda: ad.jacobian(ad.sin, mode="forward")(X),
    "hessian": lambda: ad.hessian(small)(X),
    "hvp": lambda: ad.hvp(small, X, X),
    "gnvp": lambda: ad.gnvp(ad.sin, small, X, X),
    "three times": lambda: ad.grad(lambda x: ad.sum(ad.hvp(small, x, X)))(X),
    "checkpoint": lambda: ad.hvp(ad.checkpoint(small), X, X),
    "custom_vjp": lambda: ad.hvp(lambda x: ad.sum(_cube(x)), X, X),
    "custom_jvp": lambda: ad.hvp(lambda x: ad.sum(_fourth(x)), X, X),
    "contexts": _in_contexts,
}


@pytest.mark.parametrize("name", ACTIVITIES)
def test_everything_dies_by_reference_counting(name: str) -> None:
    ours = (Node, ad.Tensor, _Record, Linearization)
    ACTIVITIES[name]()  # fill caches
    with no_collector():
        before = count_of(*ours)
        result = ACTIVITIES[name]()
        del result
        left = count_of(*ours) - before
        garbage = gc.collect()
    assert left == 0, f"{left} nodes or Tensors outlive the result without the cycle collector"
    assert garbage == 0, f"{garbage} objects were in reference cycles"


def test_arrays_die_with_the_result() -> None:
    with no_collector():
        x = ad.tensor(random(100))
        z = ad.sin(x)
        y = ad.cos(z).sum()
        array = weakref.ref(z.array)
        del z
        assert array() is not None  # the cosine's rule needs it
        y.backward()
        del y
        assert array() is None


# ---- what is saved

OPERANDS = {"x": random(3, 3) ** 2 + 1.0, "y": random(3, 3, seed=1) ** 2 + 1.0, "c": random(3, 3, seed=2) ** 2 + 1.0}

# Operation of the variables x and y and the constant array c; the arrays its node keeps. No more than its rules name.
SAVED: list[tuple[str, Callable[[Any, Any, Any], Any], set[str]]] = [
    ("x * 2.0", lambda x, y, c: x * 2.0, set()),
    ("2.0 * x", lambda x, y, c: 2.0 * x, set()),
    ("x / 2.0", lambda x, y, c: x / 2.0, set()),
    ("x + y", lambda x, y, c: x + y, set()),
    ("x - c", lambda x, y, c: x - c, set()),
    ("-x", lambda x, y, c: -x, set()),
    ("x * y", lambda x, y, c: x * y, {"x", "y"}),
    ("x * c", lambda x, y, c: x * c, {"c"}),
    ("c * x", lambda x, y, c: c * x, {"c"}),
    ("x / c", lambda x, y, c: x / c, {"c"}),
    ("c / x", lambda x, y, c: c / x, {"x", "out"}),
    ("x / y", lambda x, y, c: x / y, {"y", "out"}),
    ("x ** 3", lambda x, y, c: x**3, {"x"}),
    ("exp", lambda x, y, c: ad.exp(x), {"out"}),
    ("expm1", lambda x, y, c: ad.expm1(x), {"out"}),
    ("tanh", lambda x, y, c: ad.tanh(x), {"out"}),
    ("sqrt", lambda x, y, c: ad.sqrt(x), {"out"}),
    ("sigmoid", lambda x, y, c: ad.sigmoid(x), {"out"}),
    ("relu", lambda x, y, c: ad.relu(x), {"out"}),
    ("reciprocal", lambda x, y, c: ad.reciprocal(x), {"out"}),
    ("sin", lambda x, y, c: ad.sin(x), {"x"}),
    ("cos", lambda x, y, c: ad.cos(x), {"x"}),
    ("log", lambda x, y, c: ad.log(x), {"x"}),
    ("square", lambda x, y, c: ad.square(x), {"x"}),
    ("abs", lambda x, y, c: abs(x), {"x"}),
    ("maximum of two variables", lambda x, y, c: ad.maximum(x, y), {"x", "y"}),
    ("clip", lambda x, y, c: ad.clip(x, 0.0, 1.0), {"x"}),
    ("x @ c", lambda x, y, c: x @ c, {"c"}),
    ("c @ x", lambda x, y, c: c @ x, {"c"}),
    ("x @ y", lambda x, y, c: x @ y, {"x", "y"}),
    ("einsum", lambda x, y, c: ad.einsum("ij,jk->ik", x, c), {"c"}),
    ("max", lambda x, y, c: ad.max(x, axis=0), {"x", "out"}),
    ("logsumexp", lambda x, y, c: ad.logsumexp(x, axis=0), {"x", "out"}),
    ("sum", lambda x, y, c: ad.sum(x, axis=0), set()),
    ("mean", lambda x, y, c: ad.mean(x), set()),
    ("cumsum", lambda x, y, c: ad.cumsum(x, axis=1), set()),
    ("reshape", lambda x, y, c: ad.reshape(x, (9,)), set()),
    ("transpose", lambda x, y, c: x.T, set()),
    ("x[1:]", lambda x, y, c: x[1:], set()),
    ("x[[0, 0]]", lambda x, y, c: x[[0, 0]], {"an unknown array of shape (2,)"}),  # the index
    ("broadcast_to", lambda x, y, c: ad.broadcast_to(x, (2, 3, 3)), set()),
    ("concat", lambda x, y, c: ad.concat([x, y, c]), set()),
    ("stack", lambda x, y, c: ad.stack([x, c]), set()),
    ("pad", lambda x, y, c: ad.pad(x, 1), set()),
    ("roll", lambda x, y, c: ad.roll(x, 1, 0), set()),
    ("flip", lambda x, y, c: ad.flip(x), set()),
    ("astype", lambda x, y, c: x.astype(np.float32), set()),
]


@pytest.mark.parametrize(("operation", "expected"), [row[1:] for row in SAVED], ids=[row[0] for row in SAVED])
def test_only_what_the_rules_name_is_saved(operation: Callable[..., Any], expected: set[str]) -> None:
    x, y, c = ad.tensor(OPERANDS["x"]), ad.tensor(OPERANDS["y"]), OPERANDS["c"]
    out = operation(x, y, c)
    names = {id(x.array): "x", id(y.array): "y", id(c): "c", id(out.array): "out"}
    kept = {names.get(id(a), f"an unknown array of shape {a.shape}") for a in out.node.saved if isinstance(a, np.ndarray)}
    assert kept == expected


def test_where_keeps_the_condition_only() -> None:
    condition = OPERANDS["x"] > 1.5
    out = ad.where(condition, ad.tensor(OPERANDS["x"]), ad.tensor(OPERANDS["y"]))
    assert [a is condition for a in out.node.saved if isinstance(a, np.ndarray)] == [True]


@pytest.mark.parametrize(
    ("operation", "survives"), [(ad.exp, False), (ad.tanh, False), (ad.sin, True), (lambda z: z * 2.0, False)]
)
def test_an_operand_that_no_rule_needs_is_freed_at_once(operation: Callable[[Any], Any], survives: bool) -> None:
    z = ad.tensor(random(10)) + 1.0
    array = weakref.ref(z.array)
    y = operation(z)
    del z
    assert (array() is not None) == survives
    assert y.node is not None


# ---- accumulation: deterministic, and never into somebody else's array


def _share(x: Any, weights: Any) -> Any:
    for _ in range(8):
        x = x + 0.1 * ad.tanh(x @ weights + x.T @ weights.T)
    return ad.sum(x * x) + ad.sum(weights[1]) * ad.mean(weights[:, 2])


def test_gradients_are_bitwise_equal_over_runs_and_threads() -> None:
    x, weights = random(40, 40), random(40, 40, seed=1) / 7
    expected = ad.grad(_share, argnums=(0, 1))(x, weights)

    def run(seed: int) -> Any:
        junk = [Node(None, (), (), {}, x) for _ in range(seed)]  # shifts addresses, and with them the order of sets
        return junk and ad.grad(_share, argnums=(0, 1))(x, weights)

    with ThreadPoolExecutor(4) as pool:
        for result in [*map(run, (1, 7, 100)), *pool.map(run, (3, 11, 30, 1000))]:
            for a, b in zip(result, expected, strict=True):
                assert a.tobytes() == b.tobytes()


# Operations on square matrices, many of which hand on views of the cotangent they get.
STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "itself": lambda a, b: +a,
    "negative": lambda a, b: -b,
    "sin": lambda a, b: ad.sin(a),
    "tanh": lambda a, b: ad.tanh(b),
    "square": lambda a, b: 0.1 * ad.square(a),
    "transpose": lambda a, b: a.T,
    "einsum to a transpose": lambda a, b: ad.einsum("ij->ji", b),
    "einsum to a copy": lambda a, b: ad.einsum("ij->ij", b),
    "einsum diagonal and row": lambda a, b: ad.einsum("ii,ij->ji", a, b),
    "einsum of sums": lambda a, b: a + 0.1 * ad.einsum("ij,jk->i", a, b) + ad.einsum("ij->j", b),
    "tensordot": lambda a, b: 0.1 * ad.tensordot(a, b, axes=((0,), (1,))),
    "matmul": lambda a, b: 0.1 * (a @ b),
    "reshape": lambda a, b: ad.reshape(ad.reshape(a, (-1,)) + 0.0, a.shape),
    "flip": lambda a, b: a[::-1],
    "roll": lambda a, b: ad.roll(b, 1, 1),
    "slices": lambda a, b: ad.concat([a[1:], b[:1]]),
    "one row": lambda a, b: a[0] + b,
    "one column": lambda a, b: a * b[:, :1],
    "rows again": lambda a, b: a[np.zeros(a.shape[0], int)],
    "stack": lambda a, b: ad.stack([a, b])[1],
    "squeeze": lambda a, b: ad.squeeze(ad.expand_dims(a, 1), 1),
    "broadcast": lambda a, b: ad.mean(ad.broadcast_to(b, (2, *b.shape)), axis=0),
    "sum": lambda a, b: a - 0.1 * ad.sum(b, axis=0),
    "cumsum": lambda a, b: 0.1 * ad.cumsum(b, axis=0),
    "where": lambda a, b: ad.where(b > 0, a, b),
    "maximum": lambda a, b: ad.maximum(a, b),
    "max": lambda a, b: a * ad.max(b, axis=1, keepdims=True),
    "pad": lambda a, b: ad.pad(a, 1)[1:-1, 1:-1],
    "half precision and back": lambda a, b: a.astype(np.float64) + b.astype(np.float32).astype(np.float64),
    "checkpoint": lambda a, b: ad.checkpoint(lambda u, v: u - v.T)(a, b),
    "custom": lambda a, b: _keeps_its_cotangent(a) + b,
}
# A rule that hands on the cotangent itself.
_keeps_its_cotangent = ad.custom_vjp(lambda x: x * 1.0)
_keeps_its_cotangent.defvjp(lambda x: (x * 1.0, None), lambda _, g: (g,))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("n", [3, 64])  # from 4096 elements on, products overwrite a partial derivative just computed
def test_cotangents_are_not_changed_while_somebody_needs_them(name: str, n: int) -> None:
    """``old`` shares the seed with the step, which may hand a view of it on; ``late`` adds to the operand afterwards."""
    step = STEPS[name]

    def f(x: Any) -> Any:
        old = ad.cos(x)
        a = x * 1.0
        late = ad.sin(a)
        return step(a, a) + old, late

    x = random(n, n)
    seeds = random(n, n, seed=1), random(n, n, seed=2)
    kept = tuple(seed.copy() for seed in seeds)
    _, pullback = ad.vjp(f, x)
    (plain,) = pullback(seeds)
    for seed, copy in zip(seeds, kept, strict=True):
        np.testing.assert_array_equal(seed, copy, err_msg="the walk changed the caller's cotangent")
    (recorded,) = pullback(tuple(map(ad.tensor, kept)))  # runs on Tensors, which nothing changes in place
    np.testing.assert_allclose(plain, recorded.array, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(pullback(seeds)[0], plain, err_msg="the first call changed what was saved")


programs = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=9)


@settings(max_examples=50, deadline=None, report_multiple_bugs=False)
@given(programs, st.sampled_from([1, 2, 64]))
def test_reverse_plain_and_recorded_and_forward_agree_on_random_graphs(program: list[tuple[str, int, int]], n: int) -> None:
    def f(x: Any) -> Any:
        made = [x, ad.cos(x)]
        for name, i, j in program:
            made.append(STEPS[name](made[i % len(made)], made[j % len(made)]))
        return made[-1] + made[-2], made[-3]

    # readable only: an in-place operation on the caller's arrays raises
    x, u, w, v = (random(n, n, seed=seed) for seed in range(4))
    for array in (x, u, w, v):
        array.flags.writeable = False
    _, pullback = ad.vjp(f, x)
    (plain,) = pullback((u, w))
    (recorded,) = pullback((ad.tensor(u), ad.tensor(w)))
    scale = max(np.abs(plain).max(), 1.0)
    np.testing.assert_allclose(plain, recorded.array, rtol=1e-11, atol=1e-11 * scale)
    du, dw = ad.jvp(f, (x,), (v,))[1]
    size = np.sum(np.abs(u * du)) + np.sum(np.abs(w * dw)) + np.sum(np.abs(plain * v))
    assert abs(np.sum(u * du) + np.sum(w * dw) - np.sum(plain * v)) <= 1e-6 * size + 1e-9  # one step rounds to float32


# ---- whose arrays the results are

TWO = (random(3, 3), random(3, 3, seed=1))
NUMBERS = (np.array(1.5), np.array(-0.5))
RESULTS: dict[str, tuple[tuple[Array, ...], Callable[[Any, Any], Any]]] = {
    "identity": (TWO, lambda x, y: (x, y)),
    "swapped and repeated": (TWO, lambda x, y: (y, x, y)),
    "sum": (TWO, lambda x, y: x + y),
    "sum of all": (TWO, lambda x, y: ad.sum(x) + ad.sum(y)),
    "views": (TWO, lambda x, y: (x.T, y.reshape(9), x[::-1])),
    "einsum views": (TWO, lambda x, y: (ad.einsum("ij->ji", x), ad.einsum("ij->ij", y))),
    "product": (TWO, lambda x, y: x * y),
    "matmul": (TWO, lambda x, y: x @ y),
    "concat": (TWO, lambda x, y: ad.concat([x, y])),
    "broadcast": (TWO, lambda x, y: ad.broadcast_to(x[:1], (3, 3)) + y),
    "one unused": (TWO, lambda x, y: x * 2.0),
    "rounded": (TWO, lambda x, y: (x.astype(np.float32).astype(np.float64), +y)),
    "custom": (TWO, lambda x, y: (_keeps_its_cotangent(x), _keeps_its_cotangent(y))),
    "checkpoint": (TWO, ad.checkpoint(lambda x, y: (x, y.T))),
    "numbers": (NUMBERS, lambda x, y: (x, y, x + y)),
    "sum of numbers": (NUMBERS, lambda x, y: x + y),
    "number broadcast": (NUMBERS, lambda x, y: ad.broadcast_to(x, (3,)) + y),
}


def _own(arrays: list[Any], others: list[Any]) -> None:
    """Each array is writeable, without internal overlap, and shares no memory with any other."""
    arrays = [a for a in arrays if isinstance(a, np.ndarray)]  # NumPy's scalars cannot be changed
    for i, a in enumerate(arrays):
        assert a.flags.writeable
        assert a.size <= 1 or 0 not in a.strides
        assert not any(np.shares_memory(a, b) for b in [*arrays[:i], *others] if isinstance(b, np.ndarray))


@pytest.mark.parametrize("name", RESULTS)
def test_gradients_belong_to_the_caller(name: str) -> None:
    inputs, f = RESULTS[name]
    out, pullback = ad.vjp(f, *inputs)
    seeds = ad.tree.map(lambda y: np.full(np.shape(y), 2.0), out)
    first = pullback(seeds)
    _own(list(first), [*inputs, *ad.tree.leaves(seeds), *ad.tree.leaves(out)])
    expected = [np.copy(g) for g in first]
    for g in first:
        if isinstance(g, np.ndarray):
            g[...] = np.nan  # as a caller may
    for again, g in zip(pullback(seeds), expected, strict=True):
        np.testing.assert_array_equal(again, g)


@pytest.mark.parametrize("name", RESULTS)
def test_tangents_belong_to_the_caller(name: str) -> None:
    inputs, f = RESULTS[name]
    lin = ad.linearize(f, *inputs)
    directions = [np.full(np.shape(x), 2.0) for x in inputs]
    _own(ad.tree.leaves(lin(*directions)), [*inputs, *directions, *ad.tree.leaves(lin.value)])


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("name", [name for name in RESULTS if name != "one unused"])
def test_jacobians_belong_to_the_caller(name: str, mode: str) -> None:
    inputs, f = RESULTS[name]
    whole = ad.jacobian(lambda pair: f(*pair), mode=mode)(inputs) if name == "sum" else None
    blocks = ad.tree.leaves(ad.jacobian(lambda x: f(x, x * 1.0), mode=mode)(inputs[0])) + ad.tree.leaves(whole)
    _own(blocks, list(inputs))


# ---- y.backward()


def test_backward_accumulates() -> None:
    x = ad.tensor([1.0, 2.0])
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])
    (3.0 * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [5.0, 7.0])
    x.grad = None
    (3.0 * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 3.0])


def test_second_backward_of_the_same_result_doubles() -> None:
    x = ad.tensor([1.0, 2.0])
    y = (ad.sin(x) * x).sum()
    y.backward()
    once = x.grad.copy()
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * once)


def test_backward_leaves_an_earlier_gradient_array_alone() -> None:
    x = ad.tensor([1.0, 2.0])
    (x * x).sum().backward()
    earlier = x.grad
    (x * x).sum().backward()
    np.testing.assert_array_equal(earlier, [2.0, 4.0])


def test_backward_reaches_several_variables_and_not_the_others() -> None:
    x, y, unused = ad.tensor(2.0), ad.tensor(3.0), ad.tensor(4.0)
    (x * y * ad.asarray(5.0)).backward()
    assert (x.grad, y.grad, unused.grad) == (15.0, 10.0, None)


def test_backward_through_a_result_used_several_times() -> None:
    x = ad.tensor(2.0)
    z = x * x
    (z * z + z).backward()  # d/dx (x^4 + x^2)
    assert x.grad == 36.0
    (z * 3.0).backward()  # z is still there for another result
    assert x.grad == 48.0


def test_backward_of_a_variable_itself_and_with_a_cotangent() -> None:
    x = ad.tensor(np.array([1.0, 2.0]))
    seed = np.array([3.0, 4.0])
    x.backward(seed)
    (x * 2.0).backward(gradient=seed)
    np.testing.assert_array_equal(x.grad, [9.0, 12.0])
    x.grad[...] = 0.0
    np.testing.assert_array_equal(seed, [3.0, 4.0])
    number = ad.tensor(1.0)
    number.backward()
    assert number.grad == 1.0


def test_backward_keeps_results_plain_and_the_dtype() -> None:
    x = ad.tensor(np.ones(3, np.float32))
    (2.0 * x).sum().backward()
    assert type(x.grad) is np.ndarray and x.grad.dtype == np.float32


def test_backward_through_a_pullback() -> None:
    x = ad.tensor(2.0)
    ad.grad(lambda y: y**3)(x).backward()
    assert x.grad == 12.0


def test_gradients_by_grad_do_not_fill_grad() -> None:
    w = ad.tensor(2.0)
    assert ad.grad(lambda x: w * x)(3.0).item() == 2.0
    assert w.grad is None


# ---- no_grad


def test_no_grad_records_nothing() -> None:
    x = ad.tensor(2.0)
    with ad.no_grad():
        y = ad.sin(x) * x
        assert y.node is None and isinstance(y, ad.Tensor)
        z = ad.checkpoint(lambda a: a * a)(x)
        assert z.node is None and z.item() == 4.0
    assert (x * y).node is not None
    (x * y).backward()
    assert x.grad == y.item()


def test_no_grad_ends_with_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), ad.no_grad():
        raise ZeroDivisionError
    assert (ad.tensor(2.0) * 2.0).node is not None


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (lambda f, x: ad.grad(f)(x), 12.0),
        (lambda f, x: ad.jvp(f, (x,), (1.0,))[1], 12.0),
        (lambda f, x: ad.vjp(f, x)[1](1.0)[0], 12.0),
        (lambda f, x: ad.jacobian(f)(x), 12.0),
        (lambda f, x: ad.hvp(f, x, 1.0), 12.0),
        (lambda f, x: ad.hessian(f)(x), 12.0),
        (lambda f, x: ad.grad(ad.grad(ad.grad(f)))(x), 6.0),
        (lambda f, x: ad.grad(ad.checkpoint(f))(x), 12.0),
    ],
    ids=["grad", "jvp", "vjp", "jacobian", "hvp", "hessian", "thrice", "checkpoint"],
)
def test_transforms_differentiate_inside_no_grad(transform: Callable[[Any, Any], Any], expected: float) -> None:
    x = ad.tensor(2.0)
    with ad.no_grad():
        plain, tensor = transform(lambda y: y**3, 2.0), transform(lambda y: y**3, x)
        closed = transform(lambda y: y**3 + 0.0 * x, 2.0)
    assert plain == expected and not isinstance(plain, ad.Tensor)
    assert tensor.item() == expected and tensor.node is None
    assert float(closed) == expected and getattr(closed, "node", None) is None


def test_no_grad_inside_a_function_makes_a_constant_of_a_part() -> None:
    def f(x: Any) -> Any:
        with ad.no_grad():
            c = x * x
        return c * x

    assert ad.grad(f)(3.0) == 9.0


def test_no_grad_in_one_thread_leaves_another_alone() -> None:
    inside, checked = threading.Event(), threading.Event()
    recorded: dict[str, bool] = {}

    def quiet() -> None:
        with ad.no_grad():
            inside.set()
            checked.wait(10)
            recorded["quiet"] = (ad.tensor(1.0) * 2.0).node is not None

    thread = threading.Thread(target=quiet)
    thread.start()
    assert inside.wait(10)
    recorded["main"] = (ad.tensor(1.0) * 2.0).node is not None
    checked.set()
    thread.join(10)
    assert recorded == {"main": True, "quiet": False}


def test_no_grad_in_one_task_leaves_another_alone() -> None:
    async def quiet(entered: asyncio.Event, checked: asyncio.Event) -> bool:
        with ad.no_grad():
            entered.set()
            await checked.wait()
            return (ad.tensor(1.0) * 2.0).node is not None

    async def main() -> tuple[bool, bool]:
        entered, checked = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(quiet(entered, checked))
        await entered.wait()
        here = (ad.tensor(1.0) * 2.0).node is not None
        checked.set()
        return here, await task

    assert asyncio.run(main()) == (True, False)


def test_detect_anomaly_inside_no_grad_records_nothing() -> None:
    with ad.no_grad(), ad.detect_anomaly():
        assert (ad.tensor(2.0) * 2.0).node is None


# ---- detect_anomaly


def _root_of_zero(x: Any) -> Any:
    y = ad.sqrt(x)  # line 1
    return y * 2.0


def _two_culprits(x: Any) -> Any:
    root = ad.sqrt(x)  # line 1
    logarithm = ad.log(root)  # line 2: the walk meets it first
    return logarithm * 3.0


def _by_method_and_protocol(x: Any) -> Any:
    shifted = x - 1.0
    return np.log(shifted).sum()  # line 2


def _power(x: Any) -> Any:
    return ad.sum(x**1.5)  # line 1; finite slope at 0, infinite curvature


def _inside_a_model(x: Any) -> Any:
    return ad.checkpoint(_root_of_zero)(x)


ANOMALIES = [
    (lambda: ad.grad(_root_of_zero)(0.0), "sqrt", _root_of_zero, 1),
    (lambda: ad.grad(_two_culprits)(0.0), "log", _two_culprits, 2),
    (lambda: ad.grad(_by_method_and_protocol)(np.array([1.0, 2.0])), "log", _by_method_and_protocol, 2),
    (lambda: ad.vjp(_root_of_zero, 0.0)[1](1.0), "sqrt", _root_of_zero, 1),
    (lambda: ad.jacobian(_root_of_zero, mode="reverse")(np.array([0.0, 1.0])), "sqrt", _root_of_zero, 1),
    (lambda: _root_of_zero(ad.tensor(0.0)).backward(), "sqrt", _root_of_zero, 1),
    (lambda: ad.grad(_inside_a_model)(0.0), "sqrt", _root_of_zero, 1),
    (lambda: ad.grad(lambda x: ad.grad(_root_of_zero)(x))(0.0), "sqrt", _root_of_zero, 1),
]


@pytest.mark.parametrize(("run", "operation", "function", "line"), ANOMALIES)
def test_detect_anomaly_names_the_first_operation_and_the_users_line(
    run: Callable[[], Any], operation: str, function: Callable[..., Any], line: int
) -> None:
    with pytest.raises(FloatingPointError) as caught, ad.detect_anomaly(), np.errstate(all="ignore"):
        run()
    message = str(caught.value)
    assert f"the derivative of `{operation}`" in message
    place = re.escape(f'File "{__file__}", line {function.__code__.co_firstlineno + line}, in {function.__name__}')
    assert re.search(place, message), message


def test_detect_anomaly_in_a_second_derivative() -> None:
    with ad.detect_anomaly():
        assert ad.grad(_power)(0.0) == 0.0  # the first derivative is finite
        with pytest.raises(FloatingPointError, match=f"the derivative of `power`(.|\n)*{re.escape(__file__)}"):
            ad.grad(ad.grad(_power))(0.0)


def test_detect_anomaly_leaves_finite_runs_alone() -> None:
    x, weights = random(6, 6), random(6, 6, seed=1)
    with ad.detect_anomaly():
        watched = ad.grad(_share, argnums=(0, 1))(x, weights), ad.hvp(lambda x: _share(x, weights), x, weights)
    plain = ad.grad(_share, argnums=(0, 1))(x, weights), ad.hvp(lambda x: _share(x, weights), x, weights)
    for a, b in zip(ad.tree.leaves(watched), ad.tree.leaves(plain), strict=True):
        assert a.tobytes() == b.tobytes()


def test_detect_anomaly_lets_a_non_finite_cotangent_pass() -> None:
    # It was not finite when it came: no operation is to blame.
    with ad.detect_anomaly():
        assert ad.vjp(lambda x: 2.0 * x, 1.0)[1](np.inf)[0] == np.inf


def test_detect_anomaly_says_when_the_line_was_not_recorded() -> None:
    y = ad.sqrt(ad.tensor(0.0))
    with pytest.raises(FloatingPointError, match="not recorded, because it ran before"), ad.detect_anomaly():
        y.backward()


def test_without_detect_anomaly_no_line_is_kept() -> None:
    assert not hasattr(ad.sqrt(ad.tensor(1.0)).node, "line")
    with ad.detect_anomaly():
        assert "test_without_detect_anomaly" in ad.sqrt(ad.tensor(1.0)).node.line
