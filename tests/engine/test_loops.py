"""`scan` and `fori` against the same steps in a Python loop: every walk, every order, trees, corners, memory and messages."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.engine.loop_cases import CASES, N5, WAYS, Case, Flat, V, both, close, directions, looped, ragged, random_cases
from tinyad import loops

Function = Callable[..., Any]

cases = pytest.mark.parametrize("name", CASES)
ways = pytest.mark.parametrize("way", WAYS)
two_ways = pytest.mark.parametrize("way", ["storing", "every 2"])


# ---- values and derivatives


@ways
@cases
def test_values(name: str, way: str) -> None:
    ours, plain = both(name, way)
    close(ours.everything(ours.floats), plain.everything(plain.floats), rtol=1e-14)


@ways
@cases
def test_gradients(name: str, way: str) -> None:
    ours, plain = both(name, way)
    close(ad.value_and_grad(ours.cost)(ours.floats), ad.value_and_grad(plain.cost)(plain.floats))


@cases
def test_gradients_by_one_argument(name: str) -> None:
    """Of which the others are constants."""
    ours, plain = both(name)
    expected = ad.grad(plain.cost)(plain.floats)
    for k, x in enumerate(ours.floats):
        close(ad.vjp(ours.alone(k), x)[1](1.0)[0], expected[k])


@cases
def test_gradients_of_one_result(name: str) -> None:
    """The others have no cotangent."""
    ours, plain = both(name)
    for k in range(len(plain.results(plain.floats))):
        one = [
            ad.vjp(lambda x, flat=flat, k=k: ad.sum(ad.sin(flat.results(x)[k])), flat.floats)[1](1.0) for flat in (ours, plain)
        ]
        close(*one)


@two_ways
@cases
def test_forward(name: str, way: str) -> None:
    ours, plain = both(name, way)
    v = directions(ours.floats)
    close(ad.jvp(ours.results, (ours.floats,), (v,)), ad.jvp(plain.results, (plain.floats,), (v,)))


@cases
def test_forward_in_one_argument(name: str) -> None:
    ours, plain = both(name)
    for k, x in enumerate(ours.floats):
        v = directions([x])[0]
        close(ad.jvp(ours.alone(k), (x,), (v,)), ad.jvp(plain.alone(k), (x,), (v,)))


@cases
def test_second_derivatives(name: str) -> None:
    ours, plain = both(name)
    x, v = ours.floats, directions(ours.floats)

    def slope(f: Function) -> Function:
        return lambda y: sum((ad.sum(a * b) for a, b in zip(ad.grad(f)(y), v, strict=True)), start=np.zeros(()))

    close(ad.hvp(ours.cost, x, v), ad.hvp(plain.cost, x, v))
    close(ad.grad(slope(ours.cost))(x), ad.grad(slope(plain.cost))(x))  # reverse twice
    over_forward, expected = (ad.grad(lambda y, f=f: ad.jvp(f.cost, (y,), (v,))[1])(x) for f in (ours, plain))
    close(over_forward, expected)
    twice, expected = (ad.jvp(lambda y, f=f: ad.jvp(f.cost, (y,), (v,))[1], (x,), (v,)) for f in (ours, plain))
    close(twice, expected)


@pytest.mark.parametrize("name", ["recurrent", "trees", "counting", "looking up", "inner gradient", "inner rules"])
def test_second_derivatives_with_checkpoints(name: str) -> None:
    ours, plain = both(name, "every 2")
    x, v = ours.floats, directions(ours.floats)
    close(ad.hvp(ours.cost, x, v), ad.hvp(plain.cost, x, v))


@pytest.mark.parametrize("name", ["no axes", "swapped", "counting", "parts of old carries", "inner scan"])
def test_jacobians_and_hessians(name: str) -> None:
    ours, plain = both(name)
    for mode in ("reverse", "forward"):
        close(ad.jacobian(ours.results, mode=mode)(ours.floats), ad.jacobian(plain.results, mode=mode)(plain.floats))
    for k in (0, -1):
        k %= len(ours.floats)
        close(ad.hessian(ours.alone(k))(ours.floats[k]), ad.hessian(plain.alone(k))(plain.floats[k]))


@pytest.mark.parametrize("name", ["no rows", "no axes", "looking up", "inner gradient"])
def test_third_derivatives(name: str) -> None:
    ours, plain = both(name)
    x, v = ours.floats, directions(ours.floats)

    def third(f: Function) -> Any:
        return ad.grad(lambda y: ad.sum(ad.hvp(f, y, v)[0] * v[0]))(x)

    close(third(ours.cost), third(plain.cost))


@cases
def test_single_precision(name: str) -> None:
    if name == "counting":
        pytest.skip(
            "it carries an integer array, times which NumPy makes float64 of float32; a carry that changes so is refused"
        )
    ours, plain = both(name, dtype=np.float32)
    for y in ad.tree.leaves(ours.everything(ours.floats)):
        assert y.dtype in (np.float32, np.int64) or (name == "parts of old carries" and (y == 3.0).all())
    value, gradient = ad.value_and_grad(ours.cost)(ours.floats)
    expected_value, expected = ad.value_and_grad(plain.cost)(plain.floats)
    assert value.dtype == expected_value.dtype
    close(gradient, expected, rtol=2e-4)


def test_counters_give_way_to_the_dtype_of_arrays() -> None:
    def f(x: Any) -> Any:
        table = ad.asarray(np.arange(4, dtype=np.float32))
        return ad.fori(4, lambda i, c: (c[0] * i + x, c[1] + table[i] / (i + 1), c[2] + i), (x, x, 0))

    x = np.float32(0.5) + np.zeros(3, np.float32)
    expected: Any = (x, x, np.array(0))
    for i in range(4):
        expected = expected[0] * i + x, expected[1] + np.float32(i) / (i + 1), expected[2] + i
    for found in (f(x), ad.compile(f)(x), ad.jvp(f, (x,), (x,))[0], ad.vmap(f)(x[:, None])):
        assert [y.dtype for y in found] == [np.float32, np.float32, np.int64]
    for y, z in zip(f(x), expected, strict=True):
        close(y, z)
    assert ad.grad(lambda x: ad.sum(f(x)[0]))(x).dtype == np.float32


# ---- many examples


@two_ways
@cases
def test_vmap(name: str, way: str) -> None:
    ours, plain = both(name, way)
    count = len(ours.floats)
    examples = [np.stack([x, 1.1 * x, 0.9 * x]) for x in ours.floats]
    for chosen in [range(count), *[[k] for k in range(count) if way == "storing"]]:
        mixed = [examples[k] if k in chosen else x for k, x in enumerate(ours.floats)]
        axes = [0 if k in chosen else None for k in range(count)]
        expected = [plain.everything([x[i] if k in chosen else x for k, x in enumerate(mixed)]) for i in range(3)]
        close(ad.vmap(ours.everything, (axes,))(mixed), ad.tree.map(lambda *y: np.stack(y), *expected), rtol=1e-12)


@cases
def test_vmap_of_gradients_and_gradients_of_vmap(name: str) -> None:
    ours, plain = both(name)
    k = len(ours.floats) - 1
    examples = np.stack([ours.floats[k], 1.1 * ours.floats[k]])
    each = np.stack([ad.vjp(plain.alone(k), x)[1](1.0)[0] for x in examples])
    close(ad.vmap(lambda x: ad.vjp(ours.alone(k), x)[1](1.0)[0])(examples), each)
    close(ad.vjp(lambda x: ad.sum(ad.vmap(ours.alone(k))(x)), examples)[1](1.0)[0], each)


def test_vmap_of_gradients_closing_over_the_variable_of_an_outer_derivative() -> None:
    xs, v = ragged(2, 4, 3), np.array([0.3, -0.2, 0.5])

    def outer(run: Function, each: Function) -> Function:
        def f(w: Any) -> Any:
            def slope(rows: Any) -> Any:
                return ad.grad(lambda c: ad.sum(run(lambda c, x: (ad.sin(c * w) + x, None), c, rows, None)[0] * w))(w * 2.0)

            return ad.sum(ad.sin(each(slope)))

        return f

    def by_hand(f: Function) -> Any:
        return ad.stack([f(rows) for rows in xs])

    for derivative in (ad.grad, lambda f: lambda w: ad.jvp(f, (w,), (v,)), lambda f: lambda w: ad.hvp(f, w, v)):
        expected = derivative(outer(looped, by_hand))(V)
        for way in ("storing", "every 2"):
            close(derivative(outer(WAYS[way], lambda f: ad.vmap(f)(xs)))(V), expected)


def test_vmap_along_other_axes_and_twice() -> None:
    xs = ragged(4, 2, 5)

    def last(c: Any, x: Any, run: Function = ad.scan) -> Any:
        return run(lambda c, x: (ad.sin(c + x), c * x), c, x)

    carries = ragged(2, 3)
    ours = ad.vmap(ad.vmap(last, in_axes=(0, None)), in_axes=(0, 1), out_axes=1)(carries, xs[:, :, 0])
    for i in range(2):
        for j in range(3):
            c, ys = looped(lambda c, x: (ad.sin(c + x), c * x), carries[i, j], xs[:, i, 0])
            np.testing.assert_allclose(ours[0][j, i], c)
            np.testing.assert_allclose(ours[1][j, i], ys)


# ---- inside other things, and other things around


def test_scan_in_a_checkpoint() -> None:
    def cost(run: Function, w: Any) -> Any:
        c, ys = ad.checkpoint(lambda c: run(lambda c, x: (ad.sin(c * w) + x, c), c, ragged(4, 3), None))(w * 2.0)
        return ad.sum(c * c) + ad.sum(ad.cos(ys))

    for way in (WAYS["storing"], WAYS["every 2"]):
        close(ad.grad(lambda w, way=way: cost(way, w))(V), ad.grad(lambda w: cost(looped, w))(V))
        close(ad.hvp(lambda w, way=way: cost(way, w), V, V), ad.hvp(lambda w: cost(looped, w), V, V))


@ways
def test_the_tape_style(way: str) -> None:
    def backward(run: Function) -> list[Any]:
        w, c, xs = ad.tensor(V), ad.tensor(V), ad.tensor(ragged(4, 3))
        last, ys = run(lambda c, x: (ad.sin(c * w) + x, c * x), c, xs, None)
        assert isinstance(last, ad.Tensor) and isinstance(ys, ad.Tensor)
        (ad.sum(last * last) + ad.sum(ys)).backward()
        return [w.grad, c.grad, xs.grad]

    close(backward(WAYS[way]), backward(looped))


def test_constant_tensors_give_constant_tensors() -> None:
    last, ys = ad.scan(lambda c, x: (c * x, c), ad.asarray(V), ragged(4, 3))
    assert isinstance(last, ad.Tensor) and last.node is None and isinstance(ys, ad.Tensor)


def test_no_grad_around() -> None:
    w = ad.tensor(V)
    with ad.no_grad():
        last, _ = ad.scan(lambda c, x: (c * w, c), V, None, 3)
        inside = ad.grad(lambda c: ad.sum(ad.scan(lambda c, x: (c * w, c), c, None, 3)[0]))(V)
    assert last.node is None
    close(inside, V**3)


def test_detect_anomaly_around() -> None:
    with ad.detect_anomaly():
        close(ad.grad(lambda c: ad.sum(ad.scan(lambda c, x: (c * x, c), c, ragged(4, 3))[0]))(V), np.prod(ragged(4, 3), axis=0))
        with pytest.raises(FloatingPointError, match=r"derivative of `scan` turned a finite cotangent into inf or nan"):
            ad.grad(lambda c: ad.scan(lambda c, x: (ad.sqrt(c * x), None), c, np.zeros(1))[0])(1.0)


def test_inactive_branches_stay_inactive() -> None:
    """A cotangent of zero meets an infinite partial derivative, in the step, before the loop and behind it."""
    infinite, mask = np.array([1.0, np.inf]), np.array([True, False])

    def times(c: Any, x: Any) -> Any:
        return c * x, None

    def guarded(c: Any, x: Any) -> Any:
        return ad.where(ad.isfinite(c), c, 1.0) * x, None

    def nested(run: Function) -> Function:
        return lambda c, x: (run(guarded, c, ad.stack([x, infinite]), None)[0], None)

    rows = np.stack([infinite, [2.0, 3.0]])
    for way in (looped, *WAYS.values()):
        outside = ad.grad(lambda c, way=way: ad.sum(ad.where(mask, way(times, c, rows, None)[0], 1.0)))
        inside = ad.grad(lambda c, way=way: ad.sum(way(guarded, c, rows, None)[0]))
        before = ad.grad(lambda c, way=way: ad.sum(way(guarded, c * infinite, rows[1:], None)[0]))
        twice = ad.grad(lambda c, way=way: ad.sum(ad.where(mask, way(nested(way), c, rows, None)[0], 0.0)))
        np.testing.assert_array_equal(outside(V[:2]), [2.0, 0.0])
        np.testing.assert_array_equal(inside(V[:2]), [2.0, 0.0])
        np.testing.assert_array_equal(before(V[:2]), [2.0, 0.0])
        np.testing.assert_array_equal(twice(V[:2]), [2.0, 0.0])


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_requirement_in_a_step_is_kept_in_every_walk(checkpoint: bool) -> None:
    def step(c: Any, x: Any) -> Any:
        ad.require(c < 100.0, "too large")
        return c * x, None

    def f(c: Any) -> Any:
        return ad.scan(step, c, np.array([2.0, 3.0, 1.0]), checkpoint=checkpoint)[0]

    walks = (f, ad.grad(f), lambda c: ad.jvp(f, (c,), (1.0,)), lambda c: ad.vmap(f)(np.array([c, 0.0])))
    assert ad.grad(f)(16.0) == 6.0
    for walk in walks:
        walk(16.0)
        with pytest.raises(ValueError, match="too large"):
            walk(17.0)


# ---- fori


def test_fori() -> None:
    def power(x: Any) -> Any:
        return ad.fori(4, lambda i, c: c * x + i, 1.0)

    def by_hand(x: Any) -> Any:
        c = 1.0
        for i in range(4):
            c = c * x + i
        return c

    np.testing.assert_allclose(ad.vmap(power)(V), by_hand(V), rtol=1e-15)
    close(ad.value_and_grad(power)(0.5), ad.value_and_grad(by_hand)(0.5))
    close(ad.hvp(power, 0.5, 1.0), ad.hvp(by_hand, 0.5, 1.0))
    close(ad.fori(3, lambda i, c: {"a": c["b"], "b": c["a"] * 2.0}, {"a": V, "b": 2.0 * V}), {"a": 4.0 * V, "b": 4.0 * V})
    plain = ad.grad(lambda x: ad.fori(10, lambda i, c: ad.sin(c + i), x))(0.5)
    for k in (True, 2, 10, 50):
        close(ad.grad(lambda x, k=k: ad.fori(10, lambda i, c: ad.sin(c + i), x, checkpoint=k))(0.5), plain)
    assert ad.fori(0, lambda i, c: c * 2.0, 3.0) == 3.0 == ad.fori(-2, lambda i, c: c * 2.0, 3.0)
    assert ad.fori(np.int64(3), lambda i, c: c * 2.0, 3.0) == 24.0


# ---- random steps


@settings(max_examples=40, deadline=None)
@given(random_cases(), st.sampled_from(["storing", "every 2", "square root"]))
def test_random_steps(case: Case, way: str) -> None:
    ours, plain = Flat(case, WAYS[way]), Flat(case, looped)
    x, v = ours.floats, directions(ours.floats)
    close(ours.everything(x), plain.everything(x), rtol=1e-13)
    close(ad.vjp(ours.cost, x)[1](1.0), ad.vjp(plain.cost, x)[1](1.0), rtol=1e-9)
    close(ad.jvp(ours.results, (x,), (v,)), ad.jvp(plain.results, (x,), (v,)), rtol=1e-9)
    examples = [np.stack([a, 1.1 * a]) for a in x]
    expected = [plain.everything([a[i] for a in examples]) for i in range(2)]
    close(ad.vmap(ours.everything)(examples), ad.tree.map(lambda *y: np.stack(y), *expected))


# ---- Python numbers

F32 = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("step", "carry", "xs", "kinds"),
    [
        (lambda c, x: (c + x, c), 0.0, F32, "ff"),
        (lambda c, x: (c * x, c), 1, F32, "ff"),
        (lambda c, x: (c * x, x), 1, F32, "ff"),
        (lambda c, x: (c + 1, c), 0, F32, "ii"),
        (lambda c, x: (c + 0.5, c), 0.0, F32, "ff"),  # a number all along: what it meets must stay float32
        (lambda c, x: (c + 0.5, c), 0, None, "dd"),
        (lambda c, x: (0.0, c), 1.0, F32, "ff"),
        (lambda c, x: ((c[1], c[0] * x), c[0]), (0.5, 1), F32, "fff"),
        (lambda c, x: ((c[0] + 0.1, c[1] + c[0] * x), c[0]), (0.0, np.float32(0.0)), F32, "fff"),
        (lambda c, x: ((c[0] + c[1], c[1] + x), c[0]), (0.0, 0.0), F32, "fff"),
        (lambda c, x: (ad.logical_not(c), ad.where(c, x, 0.0)), True, F32, "?f"),
        (lambda c, x: (c + x, c), 0, np.ones(3), "dd"),
        (lambda c, x: (c + x, 1.0), np.float32(0.0), F32, "fd"),
        (lambda c, x: (0.0, c), np.float32(1.0), F32, "ff"),  # a number in the place of an array
        (lambda c, x: (ad.stack([c, c * 2.0])[1], ad.sum(c)), 1.0, F32, "dd"),
    ],
)
@pytest.mark.parametrize("checkpoint", [False, 2])
def test_numbers_take_the_dtype_that_the_step_gives_them(step: Any, carry: Any, xs: Any, kinds: str, checkpoint: Any) -> None:
    run = lambda: ad.scan(step, carry, xs, 3, checkpoint)
    for result in (run(), ad.compile(run)()):
        assert [y.dtype.char.replace("l", "i") for y in ad.tree.leaves(result)] == list(kinds)


def test_a_number_is_not_rounded_to_an_integer() -> None:
    with pytest.raises(ValueError, match=r"step turns carry from float64 of shape \(\) into int64"):
        ad.scan(lambda c, x: (x, None), 0.5, np.arange(3))


# ---- corners


@ways
def test_no_steps(way: str) -> None:
    def run(c: Any) -> Any:
        return WAYS[way](lambda c, x: (ad.sin(c) * x, {"y": c[0], "z": (x, x[0] > 0)}), c, np.ones((0, 3)), None)

    last, ys = run(V)
    np.testing.assert_array_equal(last, V)
    assert ys["y"].shape == (0,) and ys["z"][0].shape == (0, 3) and ys["z"][1].dtype == bool
    close(ad.grad(lambda c: ad.sum(run(c)[0] ** 2))(V), 2.0 * V)
    close(ad.jvp(lambda c: run(c)[0], (V,), (2.0 * V,)), (V, 2.0 * V))
    close(ad.hessian(lambda c: ad.sum(run(c)[0] ** 2))(V), 2.0 * np.eye(3))
    assert ad.vmap(run)(np.ones((2, 3)))[1]["z"][0].shape == (2, 0, 3)


def test_no_examples() -> None:
    last, ys = ad.vmap(lambda c: ad.scan(lambda c, x: (c * x, c), c, V))(np.ones((0, 2)))
    assert last.shape == (0, 2) and ys.shape == (0, 3, 2)


@pytest.mark.parametrize(
    "step",
    [
        lambda c, x: (c, c),
        lambda c, x: (c[::-1], x),
        lambda c, x: (x, x),
        lambda c, x: (ad.broadcast_to(x[0], (3,)), c),
        lambda c, x: (ad.asarray(V), c),
    ],
)
@pytest.mark.parametrize("length", [0, 2])
def test_results_are_nobody_elses_memory(step: Any, length: int) -> None:
    c, xs = V.copy(), ragged(2, 3)[:length]
    for f in (
        lambda: ad.scan(step, c, xs),
        lambda: ad.vjp(lambda c: ad.scan(step, c, xs), c)[0],
        lambda: ad.vmap(lambda c: ad.scan(step, c, xs))(c[None]),
    ):
        for y in ad.tree.leaves(f()):
            assert y.flags.writeable or not y.size
            assert not any(np.shares_memory(y, x) for x in (c, xs, V))


def test_integer_results_are_constants() -> None:
    k = ad.scan(lambda c, x: ((c[0] + 1, c[1] * x), None), (0, ad.tensor(1.0)), V)[0][0]
    assert isinstance(k, ad.Tensor) and k.node is None and k.array == 3


def test_steps_are_called_once_or_twice_whatever_the_length() -> None:
    for carry, expected in ((V, 1), (np.array(1.0), 1), (1.0, 2)):
        counts = []
        for length in (1, 3, 3000):
            calls = []

            def step(c: Any, x: Any, calls: list[int] = calls) -> Any:
                calls.append(1)
                return ad.sin(c) * x, ad.sum(c)

            c = ad.tensor(carry) if expected == 1 else carry
            ad.sum(ad.scan(step, c, ad.tensor(np.ones(length)))[0]).backward()
            counts.append(len(calls))
        assert counts == [expected] * 3


def test_with_checkpoints_steps_are_called_a_few_times() -> None:
    counts = []
    for length in (10, 1000):
        calls = []

        def step(c: Any, x: Any, calls: list[int] = calls) -> Any:
            calls.append(1)
            return ad.sin(c) * x, ad.sum(c)

        ad.grad(lambda c, step=step, n=length: ad.sum(ad.scan(step, c, np.ones(n), checkpoint=7)[0]))(V)
        counts.append(len(calls))
    assert counts == [2, 2]  # in a segment and in the steps left over


# ---- memory

MB = 2**20


def peak(run: Callable[[], Any]) -> tuple[float, Any]:
    """How many MB above what was there before were in use at the worst moment, and the result."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = run()
        return (tracemalloc.get_traced_memory()[1] - before) / MB, result
    finally:
        tracemalloc.stop()


def test_memory_of_a_gradient() -> None:
    c, steps = np.linspace(0.1, 0.9, 10_000), 400
    one = steps * c.nbytes / MB  # a stack of carries: 30.5 MB

    def f(checkpoint: bool | int) -> Function:
        return ad.grad(
            lambda c: ad.sum(ad.scan(lambda c, x: (ad.tanh(c * x), None), c, np.full(steps, 0.9), None, checkpoint)[0])
        )

    storing, expected = peak(lambda: f(False)(c))
    assert one <= storing <= 1.1 * one  # tanh keeps its result, the product nothing
    for checkpoint in (True, 20, 10):
        saved, gradient = peak(lambda k=checkpoint: f(k)(c))
        np.testing.assert_array_equal(gradient, expected)
        assert saved <= storing / (6 if checkpoint == 10 else 8)


def test_a_stack_that_nobody_uses_needs_no_cotangent() -> None:
    c = np.linspace(0.1, 0.9, 10_000)
    one = 100 * c.nbytes / MB
    used, _ = peak(lambda: ad.grad(lambda c: ad.sum(ad.scan(lambda c, x: (c * x, c), c, np.ones(100))[0]))(c))
    assert used <= 1.2 * one  # the stack itself


# ---- what goes wrong

MESSAGES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ad.scan(lambda c, x: (c, None), 1.0), ValueError, "number of steps is not clear (neither xs nor length is given)"),
    (lambda: ad.scan(lambda c, x: (c, None), 1.0, V, 4), ValueError, "number of steps is not clear (xs: 3, length=4)"),
    (
        lambda: ad.scan(lambda c, x: (c, None), 1.0, {"a": V, "b": N5}),
        ValueError,
        "number of steps is not clear (xs['a']: 3, xs['b']: 5)",
    ),
    (lambda: ad.scan(lambda c, x: (c, None), 1.0, None, -1), ValueError, "length=-1; expected the number of steps, an int"),
    (lambda: ad.scan(lambda c, x: (c, None), 1.0, None, 3.0), ValueError, "length=3.0; expected the number of steps, an int"),
    (
        lambda: ad.scan(lambda c, x: (c, None), 1.0, 3.0),
        ValueError,
        "xs is 3.0, a number; expected an array with one row a step",
    ),
    (lambda: ad.scan(lambda c, x: (c, None), 1.0, [1.0, 2.0]), ValueError, "xs[0] is 1.0, a number"),
    (lambda: ad.scan(lambda c, x: (c, None), 1.0, {"a": np.array(2.0)}), ValueError, "xs['a'] is array(2.), a number"),
    (lambda: ad.scan(lambda c, x: (c, None), 1.0, V, checkpoint=-2), ValueError, "checkpoint=-2; expected True, or how many"),
    (lambda: ad.scan(lambda c, x: c, 1.0, V), TypeError, "step returned Traced; expected (carry, y), with y None"),
    (lambda: ad.scan(lambda c, x: None, 1.0, V), TypeError, "step returned NoneType; expected (carry, y)"),
    (lambda: ad.scan(lambda c, x: ((c, c), None), 1.0, V), ValueError, "the carry that step returned: structure differs"),
    (
        lambda: ad.scan(lambda c, x: ({"a": {"q": c["a"]["p"]}}, None), {"a": {"p": 1.0}}, V),
        ValueError,
        "structure differs from that of carry at `carry['a']`",
    ),
    (
        lambda: ad.scan(lambda c, x: ({"a": c["a"] + x}, None), {"a": 1.0}, np.ones((3, 2))),
        ValueError,
        "step turns carry['a'] from float64 of shape () into float64 of shape (2,)",
    ),
    (
        lambda: ad.scan(lambda c, x: ((c[0], c[1] * x), None), (1.0, F32), np.ones((3, 3))),
        ValueError,
        "step turns carry[1] from float32 of shape (3,) into float64 of shape (3,); a carry keeps both.",
    ),
    (
        lambda: ad.scan(lambda c, x: (c / 2, None), np.array(2), V),
        ValueError,
        "step turns carry from int64 of shape () into float64",
    ),
    (lambda: ad.fori(2.0, lambda i, c: c, 1.0), TypeError, "fori: n=2.0; expected the number of steps, an int"),
    (lambda: ad.compile(lambda n: ad.fori(n, lambda i, c: c, 1.0))(3), ad.TracingError, "lengths must be known"),
    (lambda: ad.compile(lambda n: ad.scan(lambda c, x: (c, x), 1.0, None, n))(3), ad.TracingError, "lengths must be known"),
]


@pytest.mark.parametrize(("call", "error", "message"), MESSAGES, ids=[message[:40] for _, _, message in MESSAGES])
def test_message(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_step_that_branches_is_refused_with_its_line() -> None:
    def step(c: Any, x: Any) -> Any:
        if x > 0.5:
            return c + x, None
        return c, None

    for f in (
        lambda c: ad.scan(step, c, V)[0],
        lambda c: ad.scan(step, c, V, checkpoint=True)[0],
        ad.grad(lambda c: ad.scan(step, c, V)[0]),
        ad.compile(lambda c: ad.scan(step, c, V)[0]),
        lambda c: ad.vmap(lambda c: ad.scan(step, c, V)[0])(c * V),
    ):
        with pytest.raises(
            ad.TracingError, match=r"(?s)scan: a traced value was used as a condition.*test_loops.py.*if x > 0.5:"
        ):
            f(1.0)
    with pytest.raises(ad.TracingError, match=r"(?s)a Python float.*float\(c\).*ad.sqrt"):
        ad.fori(3, lambda i, c: c * float(c), V[0])


# ---- loops that are wrong on purpose


def gradient_is_right(name: str, way: str = "storing") -> None:
    ours, plain = both(name, way)
    close(ad.grad(ours.cost)(ours.floats), ad.grad(plain.cost)(plain.floats))


def mutated(change: Callable[[Any], None]) -> Callable[..., None]:
    """`_make_backward` after which something is changed."""
    original = loops._Gradient._make_backward

    def make(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        change(self)

    return make


def forwards(gradient: Any) -> None:
    gradient.backward.backwards = gradient.loop.backwards


def without_sums(gradient: Any) -> None:
    body, first = gradient.backward.body, gradient.loop.constants + len(gradient.carried)
    for k in range(len(gradient.summed)):
        body.outputs[len(gradient.carried) + k] = body.inputs[first + k]


def with_the_last_sum_only(gradient: Any) -> None:
    body = gradient.backward.body
    made = {v: i for i in body.instructions for v in i.outputs}
    for k in range(len(gradient.carried), len(gradient.carried) + len(gradient.summed)):
        body.outputs[k] = made[body.outputs[k]].inputs[1]


def carries_exchanged(gradient: Any) -> None:
    body = gradient.backward.body
    if len(gradient.carried) > 1:
        body.outputs[:2] = body.outputs[1::-1]


@pytest.mark.parametrize("change", [forwards, without_sums, with_the_last_sum_only, carries_exchanged])
def test_wrong_backward_loops_are_noticed(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("storing", "every 2"):
        gradient_is_right("swapped", way)
    monkeypatch.setattr(loops._Gradient, "_make_backward", mutated(change))
    for way in ("storing", "every 2"):
        with pytest.raises(AssertionError):
            gradient_is_right("swapped", way)


def test_stacks_in_the_wrong_order_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops.Loop, "steps", lambda self: range(self.length))
    with pytest.raises(AssertionError):
        gradient_is_right("no axes")


def test_a_missing_guard_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops._Gradient, "guarding", property(lambda self: self))
    monkeypatch.setattr(loops.Loop, "branches", False)
    with pytest.raises(AssertionError):
        test_inactive_branches_stay_inactive()
