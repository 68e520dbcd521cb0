"""`compile` as users meet it: when it traces, what it takes and gives, what it prints and saves. What it refuses: test_refusals."""

from __future__ import annotations

import ast
import dataclasses
import os
import random as python_random
import re
import subprocess
import sys
import threading
import traceback
from collections import namedtuple
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.compiler.comparing import replays, same, unchanged
from tests.compiler.counting import Counted, called, traces
from tinyad import models, tree
from tinyad.compiler import numpy_source
from tinyad.compiler.compile import VerificationError

x3 = np.array([0.3, -1.2, 2.0])
X = np.random.default_rng(0).normal(size=(3, 4))


# ---- when it traces


def test_once_for_all_values() -> None:
    assert traces(lambda x: ad.sin(x), called(x3), called(2 * x3), called(x3 * np.nan), called(x3[::-1])) == 1


def test_again_for_other_shapes_dtypes_and_structures() -> None:
    f = lambda x: tree.map(lambda a: a * 2, x)
    assert traces(f, called(x3), called(X), called(x3), called(X)) == 2
    assert traces(f, called(x3), called(x3.astype(np.float32)), called(np.arange(3)), called(x3)) == 3
    assert traces(f, called([x3]), called((x3,)), called({"a": x3}), called({"b": x3}), called([x3, x3]), called([x3])) == 5
    assert traces(f, called(ad.asarray(x3)), called(x3), called(ad.asarray(x3))) == 2


def test_scalars_of_numpy_are_arrays_without_axes() -> None:
    assert traces(lambda x: x * 2, called(np.float64(2.0)), called(np.array(3.0)), called(np.float64(4.0))) == 1


def test_many_kinds_of_arguments_are_all_remembered() -> None:
    """More than the few latest ones that are looked at first."""
    calls = [called(np.ones(n)) for n in range(8)]
    assert traces(lambda x: ad.sum(x) + x, *calls, *calls) == 8


def test_python_numbers_may_change() -> None:
    f = lambda x, n: (x * n, n + 1, n > 1, -n)
    assert traces(f, called(x3, 2.0), called(x3, 3.5), called(x3, -0.0)) == 1
    assert traces(f, called(x3, 2), called(x3, 3), called(x3, 10**30)) == 1, "integers of any size"
    assert traces(f, called(x3, 2), called(x3, 2.0)) == 2


def test_python_numbers_are_weak() -> None:
    narrow = x3.astype(np.float32)
    f = lambda x, n: (x * n, n * 2.0 * x, ad.where(x > n, x, n), x**n, (n + 1) / x)
    replays(ad.compile(f), f, [(narrow, 2.0), (narrow, 3.0)])
    assert ad.compile(f)(narrow, 2.0)[0].dtype == np.float32
    g = lambda x, n: (x * ad.exp(n), ad.maximum(n, 0.0) * x, ad.sum(n) * x, ad.asarray(n).array * x)
    replays(ad.compile(g), g, [(narrow, 2.0)])  # NumPy makes strong numbers of them, and so float64 of these
    assert ad.compile(g)(narrow, 2.0)[0].dtype == np.float64


def test_results_between_numbers_are_numbers() -> None:
    f = lambda n, m: (n * m, n / 3, n - m, (-2.0) ** m, abs(n), n == m, n <= m)
    for args in ((2.0, 3.0), (2, 3), (2.5, 2)):
        result, expected = ad.compile(f)(*args), f(*args)
        assert [type(x) for x in result] == [type(x) for x in expected] and result == expected


def test_strings_booleans_and_none_are_settings() -> None:
    def f(x: Any, kind: str, flag: bool, bias: Any = None) -> Any:
        y = ad.sin(x) if kind == "sin" else ad.cos(x)
        y = y + bias if bias is not None else y
        return -y if flag else y

    calls = [called(x3, "sin", True), called(x3, "cos", True), called(x3, "sin", False), called(x3, "sin", True, 2.0)]
    assert traces(f, *calls, *calls, called(x3, "sin", True, bias=3.0), called(x3, "sin", True, 4.0)) == 5


def test_keyword_arguments() -> None:
    f = lambda x, *, scale=1.0, shift: x * scale + shift
    assert traces(f, called(x3, shift=2.0), called(x3, shift=3.0), called(x3, shift=x3), called(x3, scale=2.0, shift=1.0)) == 3
    source = ad.compile(f).source(x3, shift=x3)
    assert "(x, shift)" in source


def test_any_number_of_arguments() -> None:
    f = lambda *xs, **named: sum(xs) + named["extra"] * xs[0]
    compiled = ad.compile(f)
    same(compiled(x3, 2 * x3, extra=2.0), f(x3, 2 * x3, extra=2.0))
    same(compiled(x3, extra=1.0), f(x3, extra=1.0))


# ---- models


@dataclass
class Model:
    """A model with parameters, a setting in a list, and an activation."""

    weights: list[Any]
    sizes: list[int]
    activation: Any = ad.tanh
    bias: Any = None
    rate: float = field(default=0.5, metadata={"static": True})

    def __call__(self, x: Any) -> Any:
        for w in self.weights:
            x = self.activation(x @ w) * self.sizes[0]
        return (x if self.bias is None else x + self.bias) * self.rate


def model() -> Model:
    return Model([X.T @ X, X.T], [2, 3])


def test_dataclasses_are_models() -> None:
    loss = lambda m, x: ad.sum(m(x) ** 2)
    compiled, eager = ad.compile(ad.value_and_grad(loss)), ad.value_and_grad(loss)
    m = model()
    same(compiled(m, X), eager(m, X))
    m.weights[0] = 0.5 * m.weights[0]
    same(compiled(m, X), eager(m, X))
    g = compiled(m, X)[1]
    assert type(g) is Model and g.activation is ad.tanh


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "activation", ad.sin),
        lambda m: setattr(m, "rate", 0.25),
        lambda m: setattr(m, "sizes", [5, 3]),
        lambda m: m.sizes.__setitem__(0, 7),  # in place: the list is the same object as before
        lambda m: setattr(m, "bias", np.ones(3)),
        lambda m: setattr(m, "bias", 2.0),
        lambda m: m.weights.append(np.ones((3, 3))),
    ],
)
def test_a_changed_setting_of_a_model_is_noticed(change: Callable[[Model], None]) -> None:
    f = lambda m, x: m(x)
    compiled, m = ad.compile(f), model()
    same(compiled(m, X), f(m, X))
    change(m)
    same(compiled(m, X), f(m, X))
    same(compiled(model(), X), f(model(), X))


def test_models_of_the_library() -> None:
    net = models.MLP.create(0, [4, 5, 3])
    loss = lambda m, x: ad.mean(m(x) ** 2)
    replays(ad.compile(ad.grad(loss)), ad.grad(loss), [(net, X), (net, 2 * X)], scale=1e-3)


def test_a_method_is_compiled_with_its_instance():
    @dataclasses.dataclass
    class Line:
        slope: Any
        name: str

        @ad.compile
        def __call__(self, x):
            return self.slope * x

    np.testing.assert_array_equal(Line(np.array(2.0), "a")(np.arange(3.0)), [0.0, 2.0, 4.0])
    np.testing.assert_array_equal(Line(np.array(3.0), "a")(np.arange(3.0)), [0.0, 3.0, 6.0])


# ---- results

Pair = namedtuple("Pair", ["first", "second"])


def test_results_may_be_nested() -> None:
    def f(x: Any) -> Any:
        y = ad.sin(x)
        return {
            "list": [y, (x, None)],
            "pair": Pair(y, 2.0),
            "model": Model([y], [1]),
            "text": "done",
            "none": None,
            "flag": True,
        }

    replays(ad.compile(f), f, [(x3,), (2 * x3,)])
    result = ad.compile(f)(x3)
    assert type(result["pair"]) is Pair and type(result["model"]) is Model and result["text"] == "done"
    for empty in ((), [], {}, None, ((), [None])):
        assert ad.compile(lambda x, e=empty: e)(x3) == empty


def test_constants_are_fresh_too() -> None:
    known, large = np.ones(3), np.random.default_rng(0).normal(size=100)
    compiled = ad.compile(lambda x: (known, large, large.reshape(10, 10), x, x.T, x[0], x))
    first = compiled(X)
    for y in first:
        y += 1.0
    unchanged([known, large], [np.ones(3), np.random.default_rng(0).normal(size=100)], "a captured array")
    same(compiled(X), (known, large, large.reshape(10, 10), X, X.T, X[0], X))


def test_tensors_in_tensors_out() -> None:
    f = lambda x, y: (ad.sin(x) * y, y * 2.0)
    result = ad.compile(f)(ad.asarray(x3), x3)
    assert isinstance(result[0], ad.Tensor) and result[0].node is None and isinstance(result[1], np.ndarray)
    np.testing.assert_array_equal(result[0].array, f(x3, x3)[0])


def test_complex_and_integer_arrays() -> None:
    f = lambda z, n: (z * ad.exp(1j * n), n * 2, n / 2, ~(n > 1), z @ z)
    z = np.array([1.0 + 2j, 3.0])
    replays(ad.compile(f), f, [(z, np.arange(2)), (2j * z, np.arange(2, 4))])


def test_arrays_in_any_memory_order() -> None:
    f = lambda x, w: (ad.tanh(x @ w).T @ x, x.reshape(-1) * 2, ad.grad(lambda v: ad.sum(ad.sin(v @ w)))(x))
    a, w = np.random.default_rng(1).normal(size=(6, 8)), np.ones((4, 2))
    calls = [a[:, :4], np.asfortranarray(a[:, 4:]), a[::-1, ::2], np.broadcast_to(a[0, :4], (6, 4)), a[:, :4].copy()]
    replays(ad.compile(f), f, [(x, w) for x in calls])


# ---- static


def settings(x: Any, n: int, m: Any = 1) -> Any:
    for _ in range(n):
        x = ad.sin(x) * m
    return x


@pytest.mark.parametrize("static", ["n", 1, ["n"], (1,)])
def test_static_by_name_or_position(static: Any) -> None:
    calls = [called(x3, 1), called(x3, 3), called(x3, n=3), called(2 * x3, 1), called(x3, 3, 2.0), called(x3, 3, 3.0)]
    assert traces(settings, *calls, static=static) == 4


def test_static_keyword_only() -> None:
    f = lambda x, *, n: x * sum(range(n))
    assert traces(f, called(x3, n=2), called(x3, n=3), called(x3, n=2), static="n") == 2
    assert traces(lambda x, **k: x * sum(range(k["n"])), called(x3, n=2), called(x3, n=3), static="n") == 2


def test_static_containers() -> None:
    f = lambda x, sizes: [x * 2 for _ in range(sizes["a"][1])]
    assert traces(f, called(x3, {"a": (1, 2)}), called(x3, {"a": (1, 3)}), called(x3, {"a": (1, 2)}), static="sizes") == 2


def test_one_and_true_are_different_settings() -> None:
    f = lambda x, n: x * (2 if n is True else 3)
    assert traces(f, called(x3, True), called(x3, 1), called(x3, 1.0), called(x3, True), static="n") == 3


def test_as_a_decorator() -> None:
    @ad.compile(static="n", verify=True)
    def power(x: Any, n: int) -> Any:
        """Documented."""
        return x if n == 0 else x * power.f(x, n - 1)

    same(power(x3, 3), x3**4)
    assert power.__name__ == "power" and power.__doc__ == "Documented."


@pytest.mark.parametrize(
    ("f", "keywords", "message"),
    [
        (settings, {"static": "k"}, "static names 'k'; the function has the parameters x, n, m"),
        (
            settings,
            {"static": 3},
            "static names 3; the function has the parameters x, n, m. Give their names, or positions from 0",
        ),
        (settings, {"static": -1}, "static names -1"),
        (settings, {"donate": ["x", "y"]}, "donate names 'y'; the function has the parameters x, n, m"),
        (lambda: 0, {"static": 0}, "static names 0; the function has the parameters (none)"),
    ],
)
def test_wrong_names_are_refused(f: Any, keywords: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ad.compile(f, **keywords)


def test_static_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match=r"a static argument holds an array.*Pass arrays as ordinary arguments"):
        ad.compile(settings, static="n")(x3, np.array(2))


def test_only_functions_are_compiled() -> None:
    with pytest.raises(TypeError, match=re.escape("compile: got a ndarray; expected a function. Write ad.compile(f)")):
        ad.compile(x3)


# ---- donate


def test_donated_arguments_become_results() -> None:
    def step(params: Any, g: Any, rate: float) -> Any:
        return tree.map(lambda p, d: p - rate * d, params, g)

    compiled = ad.compile(step, donate="params")
    params = {"w": X.copy(), "b": x3.copy()}
    g = {"w": X.copy(), "b": x3.copy()}
    given = {key: id(p) for key, p in params.items()}
    expected = tree.leaves(params)
    for _ in range(3):
        expected = [p - 0.1 * d for p, d in zip(expected, tree.leaves(g), strict=True)]
        params = compiled(params, g, 0.1)
        same(tree.leaves(params), expected)
    assert {key: id(p) for key, p in params.items()} == given, "three steps in the same memory"
    unchanged(g, {"w": X, "b": x3}, "what was not donated")


def test_donated_arguments_in_any_memory_order() -> None:
    random = np.random.default_rng(0)
    for f in (lambda w, x: x @ x, lambda w, x: w * 2.0 + x, lambda w, x: ad.concat([w[:2], x[:2]]), lambda w, x: ad.tanh(x).T):
        for order in (np.asfortranarray, np.ascontiguousarray, lambda a: np.tile(a, (2, 2))[::2, 1::2]):
            w, x = order(random.normal(size=(4, 4))), random.normal(size=(4, 4))
            expected = f(w.copy(), x)
            same(ad.compile(f, donate="w")(w, x), expected)


def test_the_same_array_donated_twice_is_refused() -> None:
    compiled = ad.compile(lambda x, y: (x * 2, y * 3), donate=["x"])
    with pytest.raises(ValueError, match=r"the same array was given twice.*Give a copy"):
        compiled(x3, x3)
    same(compiled(x3.copy(), x3), (x3 * 2, x3 * 3))


# ---- verify

scale = 2.0


def test_verify_detects_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is captured is frozen as it was at the first call; with ``verify=True`` a change is an error."""
    small, large, factor = np.ones(3), np.ones((3, 100)), [1.0]

    def f(x: Any) -> Any:
        return ad.sum(x * small) * scale * factor[0] + ad.sum(x @ large)

    frozen, verified = ad.compile(f), ad.compile(f, verify=True)
    first = f(x3)
    for compiled in (frozen, verified):
        same(compiled(x3), first)

    def changed() -> None:
        same(frozen(x3), first)
        with pytest.raises(VerificationError, match="the function uses something that has changed since it was traced"):
            verified(x3)

    small[0] = 5.0
    changed()
    small[0] = 1.0
    large += 1.0
    changed()
    large -= 1.0
    factor[0] = 3.0
    changed()
    factor[0] = 1.0
    same(verified(x3), first)
    monkeypatch.setattr(sys.modules[__name__], "scale", 4.0)
    changed()


def test_a_variable_of_a_closure_is_frozen_too() -> None:
    rate = 1.0

    def f(x: Any) -> Any:
        return x * rate

    compiled = ad.compile(f, verify=True)
    compiled(x3)
    rate = 2.0
    with pytest.raises(VerificationError, match=re.escape("the replay's result differs from that of the function itself")):
        compiled(x3)


def test_verify_says_which_result() -> None:
    state = {"flag": True}
    compiled = ad.compile(lambda x: {"a": x, "b": [x > 0 if state["flag"] else x < 0]}, verify=True)
    compiled(x3)
    state["flag"] = False
    with pytest.raises(VerificationError, match=re.escape("result['b'][0] differs")):
        compiled(x3)


def test_verify_with_donated_arguments_and_generators() -> None:
    def f(w: Any, rng: np.random.Generator) -> Any:
        return w - rng.normal(size=3)

    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    compiled = ad.compile(f, donate="w", verify=True)
    for _ in range(3):
        same(compiled(x3.copy(), ours), f(x3, theirs))


def test_verify_notices_a_generator_made_anew_at_each_call() -> None:
    """Nobody holds it, so only a comparison can tell that each call would use the numbers of the first."""
    compiled = ad.compile(lambda x: x + np.random.default_rng().normal(size=3), verify=True)
    with pytest.raises(VerificationError, match="or draws random numbers; pass that as an argument"):
        compiled(x3)


def test_arrays_used_while_they_are_filled() -> None:
    """An array from outside is taken as it is when it is used, not as it is at the end."""

    def f(x: Any) -> Any:
        weights = np.zeros(3)
        for k in range(3):
            weights[k] = k + 1.0
            x = ad.sin(x) * weights + x
        return x

    replays(ad.compile(f), f, [(x3,), (-x3,)])
    rows = np.stack([x3, -x3])
    same(ad.vmap(f)(rows), np.stack([f(x) for x in rows]), "in a batch")


# ---- inside other transforms


def test_long_statements_are_broken_where_python_lets_them() -> None:
    """An assignment to places was once broken after its `=`."""
    indices = "np.arange(0).reshape(0, 1, 1), "
    for statement in (
        f"y[{5 * indices}] = x",
        f"y = np.einsum('a, b', [{5 * indices}], ({5 * indices})) + np.exp({5 * indices})",
    ):
        for width in range(20, 160, 7):
            lines = numpy_source._folded(statement, width)
            assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(ast.parse(statement))
            assert max(map(len, lines)) < len(statement)


def test_in_a_derivative_it_is_the_function_itself() -> None:
    inner = ad.compile(lambda x: ad.sin(x) * x)
    same(ad.grad(lambda x: ad.sum(inner(x)))(x3), ad.grad(lambda x: ad.sum(inner.f(x)))(x3))
    same(ad.jvp(inner, (x3,), (x3,)), ad.jvp(inner.f, (x3,), (x3,)))
    same(ad.hvp(lambda x: ad.sum(inner(x)), x3, x3), ad.hvp(lambda x: ad.sum(inner.f(x)), x3, x3))
    x = ad.tensor(x3)
    ad.sum(inner(x)).backward()
    same(x.grad, np.sin(x3) + x3 * np.cos(x3))


def test_in_a_batch_and_in_another_compiled_function() -> None:
    inner = ad.compile(lambda x: ad.sum(ad.sin(x)))
    same(ad.vmap(inner)(X), np.sum(np.sin(X), axis=1))
    outer = ad.compile(lambda x: inner(x) * inner(2.0 * x))
    same(outer(x3), inner(x3) * inner(2.0 * x3))
    assert "sin" in outer.source(x3)
    same(ad.scan(lambda c, row: (c + inner(row), None), 0.0, X)[0], np.sum(np.sin(X)))


INSIDE: dict[str, Callable[[Any], Any]] = {
    "grad": ad.grad(lambda x: ad.sum(ad.tanh(x) ** 2)),
    "value_and_grad": ad.value_and_grad(lambda x: ad.sum(ad.tanh(x) ** 2)),
    "has_aux": ad.value_and_grad(lambda x: (ad.sum(x * x), {"aux": ad.sin(x)}), has_aux=True),
    "vjp": lambda x: ad.vjp(ad.sin, x)[1](2.0 * x),
    "jvp": lambda x: ad.jvp(ad.sin, (x,), (x,)),
    "linearize": lambda x: ad.linearize(ad.sin, x)(x * x),
    "hvp": lambda x: ad.hvp(lambda z: ad.sum(ad.exp(z) * z), x, ad.sin(x)),
    "gnvp": lambda x: ad.gnvp(ad.sin, lambda y: ad.sum(y**4), x, x),
    "jacobian": ad.jacobian(lambda x: x[1:] * x[0] + ad.cumsum(x)[:-1]),
    "hessian": ad.hessian(lambda x: ad.sum(x[:-1] ** 2 * ad.sin(x[1:]))),
    "vmap of grad": lambda x: ad.vmap(ad.grad(lambda z: ad.sin(z) * z))(x),
    "vmap of jacobian": lambda x: ad.vmap(ad.jacobian(lambda z: ad.stack([z, z * z])))(x),
    "grad of vmap": ad.grad(lambda x: ad.sum(ad.vmap(lambda z: ad.sin(z) * z)(x))),
    "checkpoint": ad.grad(lambda x: ad.sum(ad.checkpoint(lambda z: ad.tanh(z) * z)(x))),
    "closure over an outer variable": ad.grad(lambda x: ad.sum(x * ad.grad(lambda y: ad.sum(x * ad.sin(y)))(x))),
    "third derivative": ad.grad(lambda x: ad.sum(ad.hvp(lambda z: ad.sum(z**4), x, x))),
}


@ad.custom_vjp
def clipped(x: Any) -> Any:
    return ad.clip(x, -1.0, 1.0)


clipped.defvjp(lambda x: (ad.clip(x, -1.0, 1.0), x), lambda x, g: (ad.where(ad.abs(x) < 1.0, g, 0.1 * g),))


@ad.custom_jvp
def cube(x: Any) -> Any:
    return x * x * x


cube.defjvp(lambda primals, tangents: (cube(*primals), 3.0 * primals[0] ** 2 * tangents[0]))

INSIDE |= {
    "custom_vjp": ad.grad(lambda x: ad.sum(clipped(2.0 * x))),
    "custom_jvp": ad.value_and_grad(lambda x: ad.sum(cube(x))),
    "custom_jvp forward": lambda x: ad.jvp(cube, (x,), (x,)),
}


@pytest.mark.parametrize("name", INSIDE)
def test_transforms_inside(name: str) -> None:
    replays(ad.compile(INSIDE[name]), INSIDE[name], [(x3,), (0.5 * x3[::-1].copy(),)], name)


def test_no_warnings_where_derivatives_are_infinite_on_the_way() -> None:
    for f in (lambda x: ad.sum(ad.sqrt(x)), lambda x: ad.sum(ad.where(x > 0, ad.log(x + (x == 0)), 0.0)), lambda x: ad.norm(x)):
        replays(ad.compile(ad.grad(f)), ad.grad(f), [(np.array([0.0, 1.0]),), (np.zeros(2),)])


def test_warnings_of_the_function_itself_remain() -> None:
    compiled = ad.compile(lambda x: ad.log(x))
    compiled(np.ones(2))
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        compiled(np.zeros(2))


# ---- random numbers


def draws(rng: np.random.Generator, x: Any) -> Any:
    unused = rng.integers(0, 9, size=2)
    noise = rng.normal(size=3) * 0.1
    picked = x[rng.permutation(len(x))]
    drawn = rng.random(), rng.integers(5), rng.choice(np.arange(4.0), 2), rng.standard_normal(3, dtype=np.float32)
    return x + noise, picked * rng.uniform(1.0, 2.0, size=3), drawn, unused.dtype == int


def test_draws_are_those_of_the_function_itself() -> None:
    ours, theirs = np.random.default_rng(7), np.random.default_rng(7)
    compiled = ad.compile(draws)
    results = []
    for _ in range(3):
        result = compiled(ours, x3)
        same(result, draws(theirs, x3))
        results.append(result[0])
    assert ours.bit_generator.state == theirs.bit_generator.state
    assert not np.array_equal(results[0], results[1]) and not np.array_equal(results[1], results[2])


def test_draws_in_a_gradient_and_in_a_tree() -> None:
    def loss(w: Any, state: dict[str, Any]) -> Any:
        keep = state["rng"].random(3) < 0.5
        return ad.sum(ad.where(keep, w * w, 0.0)) * state["scale"]

    ours, theirs = np.random.default_rng(7), np.random.default_rng(7)
    compiled = ad.compile(ad.value_and_grad(loss))
    for k in range(4):
        state = {"rng": ours, "scale": float(k)}
        same(compiled(x3, state), ad.value_and_grad(loss)(x3, {"rng": theirs, "scale": float(k)}))


def test_each_distribution_can_be_drawn() -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "beta": (2.0, 3.0, 3), "binomial": (5, 0.5, 3), "chisquare": (2.0, 3), "choice": ([1, 2, 3], 2), "dirichlet": ([1.0, 2.0],),
        "exponential": (2.0, 3), "f": (2.0, 3.0, 3), "gamma": (2.0, 1.0, 3), "geometric": (0.5, 3), "gumbel": (0.0, 1.0, 3),
        "hypergeometric": (5, 5, 3, 3), "integers": (0, 9, 3), "laplace": (0.0, 1.0, 3), "logistic": (0.0, 1.0, 3),
        "lognormal": (0.0, 1.0, 3), "logseries": (0.5, 3), "multinomial": (5, [0.5, 0.5]), "pareto": (2.0, 3), "power": (2.0, 3),
        "multivariate_hypergeometric": ([3, 4], 2), "multivariate_normal": (np.zeros(2), np.eye(2)), "vonmises": (0.0, 1.0, 3),
        "negative_binomial": (3, 0.5, 3), "noncentral_chisquare": (2.0, 1.0, 3), "noncentral_f": (2.0, 3.0, 1.0, 3),
        "normal": (np.zeros(3), 2.0), "permutation": (3,), "permuted": (np.arange(3),), "poisson": (2.0, 3), "random": (3,),
        "rayleigh": (1.0, 3), "standard_cauchy": (3,), "standard_exponential": (3,), "standard_gamma": (2.0, 3), "zipf": (2.0, 3),
        "standard_normal": (3,), "standard_t": (3.0, 3), "triangular": (0.0, 1.0, 2.0, 3), "uniform": (0.0, 1.0, 3),
        "wald": (1.0, 1.0, 3), "weibull": (2.0, 3),
    }  # fmt: skip
    refused = {"bit_generator", "bytes", "shuffle", "spawn"}
    assert arguments.keys() | refused == {name for name in dir(np.random.Generator) if not name.startswith("_")}
    for name, given in arguments.items():
        f = lambda rng, x, name=name, given=given: x[:2] * getattr(rng, name)(*given)[:2]
        ours, theirs = np.random.default_rng(1), np.random.default_rng(1)
        compiled = ad.compile(f)
        for _ in range(2):
            same(compiled(ours, x3), f(theirs, x3), name)


def test_a_generator_is_given_back_as_it_is() -> None:
    rng = np.random.default_rng(0)
    result = ad.compile(lambda state: {"rng": state["rng"], "x": state["rng"].normal(size=2)})({"rng": rng})
    assert result["rng"] is rng


captured, legacy = np.random.default_rng(0), np.random.RandomState(0)


@dataclass
class Noise:
    rng: Any

    def add(self, x: Any) -> Any:
        return x + self.rng.normal(size=3)


def _closed_over() -> Callable[[Any], Any]:
    rng = np.random.default_rng(0)
    return lambda x: x + rng.normal(size=3)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + captured.normal(size=3),
        _closed_over(),
        Noise(np.random.default_rng(0)).add,
        lambda x: x + np.random.normal(size=3),  # noqa: NPY002 (what is refused)
        lambda x: x * python_random.random(),
        lambda x, rng=legacy: x * rng.normal(),
    ],
    ids=["global", "closure", "method", "np.random", "random", "default argument"],
)
def test_draws_from_other_generators_are_refused(f: Callable[..., Any]) -> None:
    message = "drew random numbers from a generator that is not among its arguments.*Pass the generator"
    with pytest.raises(ad.TracingError, match=message):
        ad.compile(f)(x3)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda rng, x: rng.normal(x), "an argument of rng.normal.*Draw standard numbers, then shift and scale them"),
        (lambda rng, x: rng.permutation(x), r"an argument of rng.permutation.*x\[rng.permutation\(len\(x\)\)\]"),
        (lambda rng, x: rng.shuffle(np.arange(3)), "rng.shuffle cannot be repeated at each call.*Take rng.permutation"),
        (lambda rng, x: rng.spawn(2), "rng.spawn cannot be repeated at each call.*Pass generators as arguments"),
        (lambda rng, x: rng.bit_generator.state, "rng.bit_generator cannot be repeated at each call"),
        (lambda rng, x: rng.random(out=np.zeros(3)), "would write into an array from outside.*Use the result instead"),
    ],
)
def test_draws_that_cannot_be_repeated_are_refused(f: Callable[..., Any], message: str) -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(ad.TracingError, match=f"(?s){message}") as caught:
        ad.compile(f)(rng, x3)
    assert "test_compile.py" in str(caught.value), "the user's line"
    assert rng.bit_generator.state == before


def test_legacy_generators_are_refused() -> None:
    for rng in (legacy, python_random.Random(0)):
        with pytest.raises(ad.TracingError, match=r"whose numbers would be those of the first call. Pass a generator"):
            ad.compile(lambda rng, x: x)(rng, x3)


# ---- source, program, save


def network(params: dict[str, Any], x: Any) -> Any:
    hidden = ad.tanh(x @ params["w"] + params["b"])
    out = hidden @ params["w"].T
    return ad.mean((out - x) ** 2)


PARAMS = {"w": X.T, "b": np.ones(3)}


def test_source_speaks_the_users_language() -> None:
    source = ad.compile(ad.value_and_grad(network)).source(PARAMS, X)
    compile(source, "source", "exec")
    assert "(params_b, params_w, x)" in source, "the arguments, by their names"
    assert re.search(r"^    hidden\w* = |out=hidden", source, re.M), "the variables"
    assert '# hidden = ad.tanh(x @ params["w"] + params["b"])' in source, "the lines"
    assert source.index("# forward") < source.index("# backward") and "tinyad" not in source
    forward, backward = source.split("# backward")
    assert "np.tanh(" in forward and "np.tanh(" not in backward
    assert "# memory:" in source and "# constants" in source


def test_program_before_and_after_the_passes() -> None:
    compiled = ad.compile(ad.value_and_grad(network))
    before, after = compiled.program(PARAMS, X, optimised=False), compiled.program(PARAMS, X)
    assert {"mean"} <= {i.name for i in before.instructions}
    assert "mean" not in {i.name for i in after.instructions}
    assert "-- backward" in str(after) and str(after).startswith("inputs")


def test_looking_at_the_source_does_not_trace_again() -> None:
    counted = Counted(lambda x: x * 2)
    compiled = ad.compile(counted)
    compiled.source(x3), compiled.program(x3), compiled(x3), compiled.source(x3)
    assert counted.count == 1


def run_elsewhere(tmp_path: Path, code: str) -> str:
    """What a program prints in a process that cannot import tinyad."""
    site = Path(np.__file__).parents[1]
    script = tmp_path / "main.py"
    script.write_text(
        f"import sys\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [{str(site)!r}, {str(tmp_path)!r}]\n"
        "sys.modules['tinyad'] = None\n"
        f"import numpy as np\n{code}"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [sys.executable, "-S", "-I", "-W", "error", str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_saved_program_runs_without_tinyad(tmp_path: Path) -> None:
    captured = np.random.default_rng(1).normal(size=(4, 50))

    def loss(params: Any, x: Any) -> Any:
        return network(params, x) + ad.sum(ad.sin(x @ captured))

    compiled = ad.compile(ad.value_and_grad(loss))
    compiled.save(tmp_path / "saved.py", PARAMS, X)
    assert (tmp_path / "saved.npz").exists(), "the captured array"
    np.savez(tmp_path / "data.npz", w=PARAMS["w"], b=PARAMS["b"], x=X)
    name = compiled.program(PARAMS, X).name
    code = f"from saved import {name} as f\nd = np.load('data.npz')\n"
    code += "for r in (f(d['b'], d['w'], d['x']), f(d['b'], d['w'], 2 * d['x'])):\n"
    code += "    print(repr([a.tolist() for a in r]))\n"
    lines = run_elsewhere(tmp_path, code).splitlines()
    for line, x in zip(lines, (X, 2 * X), strict=True):
        found = [np.array(y) for y in eval(line)]
        same(found, [np.asarray(y) for y in tree.leaves(compiled(PARAMS, x))])
        same(found, [np.asarray(y) for y in tree.leaves(compiled.f(PARAMS, x))])


def test_a_saved_program_draws(tmp_path: Path) -> None:
    compiled = ad.compile(lambda rng, x: x + rng.normal(size=3))
    compiled.save(tmp_path / "noisy.py", np.random.default_rng(0), x3)
    assert "np.random.default_rng()" in (tmp_path / "noisy.py").read_text()
    code = "from noisy import program\nx = np.zeros(3)\na, b = program(x)[0], program(x)[0]\nprint(a.shape, (a == b).any())"
    assert run_elsewhere(tmp_path, code).split("\n")[0] == "(3,) False"


def test_tracebacks_show_the_source() -> None:
    compiled = ad.compile(lambda a, b: ad.solve(2.0 * a, b))
    compiled(np.eye(2), np.ones(2))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        compiled(np.zeros((2, 2)), np.ones(2))
    text = "".join(traceback.format_exception(caught.value))
    assert re.search(r'File "<tinyad program \d+>", line \d+, in program\n\s+.*= np\.linalg\.solve\(', text)


def test_names_that_mean_something_else() -> None:
    """Variables and functions called like what the source needs."""

    def given(np_: Any, memory_0: Any) -> Any:
        k = ad.sin(np_) * 2.0
        memory_1 = ad.cos(k) @ k.reshape(-1)[:3]
        given = ad.sum(memory_1) * k
        np = given + memory_0
        lambda_ = ad.tanh(np)[:2]
        one = lambda_ * 1.5 + k[:2]
        archive = one * k[0]
        return archive, ad.sum(ad.exp(one)) * np, k.T.reshape(9)[:4] * 2.0

    args = (X[:, :3], X[:, :3] * 2.0)
    given.__name__ = "np"
    replays(ad.compile(given), given, [args, (-args[0], args[1])])

    def loop(range: Any, xs: Any) -> Any:
        def step(pair: Any, x: Any) -> Any:
            carry_new = carry_0_new = pair[0] * 2.0 + x
            carry_1_new = carry_0_new * 1.5
            float = ad.minimum(pair[1], np.inf)
            return (pair[1], carry_1_new + 0.0 * carry_new), float

        return ad.scan(step, (range, 2.0 * range), xs)

    replays(ad.compile(loop), loop, [(x3, X.T), (-x3, X.T)])
    for name in ("given", "lambda", "x", "ad", "1st try", "<lambda>", "größe"):
        f = lambda x, memory_0, k: (ad.sin(x) * memory_0 + k, x * np.arange(3.0))
        f.__name__ = name
        replays(ad.compile(f), f, [(x3, x3, 2.0)])


def test_long_signatures_and_results() -> None:
    f = lambda xs: [ad.sin(x) * k for k, x in enumerate(xs)]
    xs = [x3 + k for k in range(60)]
    replays(ad.compile(f), f, [(xs,), (xs[::-1],)])
    assert max(map(len, ad.compile(f).source(xs).splitlines())) <= 140


# ---- several threads


def test_threads_do_not_disturb_each_other() -> None:
    """The memory serves one call at a time."""
    f = lambda x: ad.sum(ad.sin(ad.exp(-x * x) @ x.T) * 2.0, axis=0) * 3.0
    compiled = ad.compile(f)
    inputs = [np.full((40, 40), 0.1 * k) + np.eye(40) for k in range(6)]
    expected = [f(x) for x in inputs]
    wrong: list[str] = []

    def work(k: int) -> None:
        try:
            for _ in range(60):
                same(compiled(inputs[k]), expected[k])
        except AssertionError as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]


def test_threads_without_the_lock_disturb_each_other() -> None:
    """The test above can fail: without the lock it does, in one of some tries."""

    f = lambda x: ad.sum(ad.sin(ad.exp(-x * x) @ x.T) * 2.0, axis=0) * 3.0
    compiled = ad.compile(f)
    inputs = [np.full((150, 150), 0.1 * k) + np.eye(150) for k in range(4)]
    expected = [compiled(x) for x in inputs]
    for entry in compiled._latest:
        entry.lock = nullcontext()
    wrong = threading.Event()

    def work(k: int) -> None:
        for _ in range(200):
            if wrong.is_set() or not np.allclose(compiled(inputs[k]), expected[k]):
                wrong.set()
                return

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong.is_set()


# ---- in place, where nobody else sees it


def test_what_is_made_inside_may_be_changed_in_place() -> None:
    def f(x: Any) -> Any:
        y = 2.0 * x
        same_array, other = y, y.copy()
        y += x
        y *= 3.0
        other -= 1.0
        total = 0.0
        for k in range(3):
            total += x[k]
        count = 0
        count += 1
        return y, same_array, other, total * count

    replays(ad.compile(f), f, [(x3,), (-x3,)])


def test_in_place_keeps_the_dtype_and_the_shape() -> None:
    def f(x: Any) -> Any:
        y = x.astype(np.float32)
        y += x
        return y

    replays(ad.compile(f), f, [(x3,)])

    def grows(x: Any) -> Any:
        y = x * 2.0
        y += np.ones((2, 3))
        return y

    def casts(x: Any) -> Any:
        n = (x > 0) * 1
        n += x
        return n

    for wrong, error in ((grows, ValueError), (casts, TypeError)):
        with pytest.raises(error):
            wrong(x3)
        with pytest.raises(error):
            ad.compile(wrong)(x3)
