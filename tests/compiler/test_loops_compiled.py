"""Compiled `scan` and `fori`: a Python `for` over preallocated stacks that computes what a Python loop over the steps does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.engine.loop_cases import CASES, N5, WAYS, Case, Flat, V, both, close, directions, looped, ragged, random_cases
from tinyad.compiler import numpy_source, passes
from tinyad.loops import Loop

Function = Callable[..., Any]

cases = pytest.mark.parametrize("name", CASES)


def pulled(flat: Flat) -> Function:
    """The cost and its gradient, zero where it does not depend on a leaf."""

    def both_of_them(floats: Any) -> Any:
        cost, pull = ad.vjp(flat.cost, floats)
        return cost, pull(np.ones(()))[0]

    return both_of_them


def slopes(flat: Flat) -> Function:
    return lambda floats: ad.jvp(lambda y: ad.grad(flat.cost)(y), (floats,), (directions(flat.floats),))


def check_replay(ours: Function, plain: Function, floats: Any, rtol: float = 1e-11) -> ad.compile:
    """Compare two calls with different values; what the first has returned must not change by the second."""
    compiled = ad.compile(ours)
    other = [1.1 * x for x in floats]
    first = compiled(floats)
    kept = ad.tree.map(np.array, first)
    second = compiled(other)
    close(ad.tree.map(np.array, first), kept, rtol=0)
    close(first, plain(floats), rtol)
    close(second, plain(other), rtol)
    return compiled


# ---- the same numbers


@cases
def test_values(name: str) -> None:
    ours, plain = both(name)
    check_replay(ours.everything, plain.everything, ours.floats, rtol=1e-14)


@cases
@pytest.mark.parametrize("way", ["storing", "every 2"])
def test_gradients(name: str, way: str) -> None:
    ours, plain = both(name, way)
    check_replay(ad.value_and_grad(ours.cost), ad.value_and_grad(plain.cost), ours.floats)


@cases
def test_second_derivatives(name: str) -> None:
    ours, plain = both(name)
    check_replay(slopes(ours), slopes(plain), ours.floats)


@pytest.mark.parametrize("name", ["recurrent", "no axes", "looking up", "rotated", "inner scan", "parts of old carries"])
def test_other_derivatives(name: str) -> None:
    ours, plain = both(name, "square root")
    check_replay(slopes(ours), slopes(plain), ours.floats)
    ours, plain = both(name)
    x, v = ours.floats, directions(ours.floats)
    check_replay(lambda y: ad.jvp(ours.results, (y,), (v,)), lambda y: ad.jvp(plain.results, (y,), (v,)), x)
    check_replay(ad.jacobian(ours.results), ad.jacobian(plain.results), x)
    examples = [np.stack([a, 0.9 * a]) for a in x]

    def by_hand(y: Any) -> Any:
        return ad.tree.map(lambda *rows: np.stack(rows), *[ad.grad(plain.cost)([a[i] for a in y]) for i in range(2)])

    check_replay(ad.vmap(ad.grad(ours.cost)), by_hand, examples)
    each = ad.compile(lambda c: ad.grad(ours.alone(len(x) - 1))(c))
    close(ad.vmap(each)(examples[-1]), np.stack([each(c) for c in examples[-1]]))


@pytest.mark.parametrize("name", ["recurrent", "trees", "swapped", "matrices", "inner vmap", "rotated"])
def test_single_precision(name: str) -> None:
    ours, plain = both(name, dtype=np.float32)
    check_replay(ad.grad(ours.cost), ad.grad(plain.cost), [x.astype(np.float32) for x in ours.floats], rtol=2e-3)


@settings(max_examples=25, deadline=None)
@given(random_cases(), st.sampled_from(["storing", "every 2", "square root"]))
def test_random_steps(case: Case, way: str) -> None:
    ours, plain = Flat(case, WAYS[way]), Flat(case, looped)
    check_replay(ours.everything, plain.everything, ours.floats, rtol=1e-13)
    check_replay(pulled(ours), pulled(plain), ours.floats, rtol=1e-9)


def test_fori_and_numbers_as_arguments() -> None:
    def f(x: Any, s: Any) -> Any:
        return ad.fori(4, lambda i, c: (c[1] * s, ad.sin(c[0] * s), c[2] + i), (x, 1.0, 0))

    compiled = ad.compile(f)
    for x, s in ((0.5, 2.0), (1, 3), (np.float32(0.5), 2.0)):
        close(compiled(x, s), f(x, s))
    last, ys = ad.compile(lambda s: ad.scan(lambda c, x: (s, c + s * x), 0.0, V))(0.5)
    assert last == 0.5 and last.dtype == float
    close(ys, np.array([0.0, 0.5, 0.5]) + 0.5 * V)


@pytest.mark.parametrize("number", [0.5, 2])
def test_a_number_that_a_step_uses_makes_no_float64_of_float32(number: Any) -> None:
    c, xs = V.astype(np.float32), ragged(4, 3).astype(np.float32)

    def f(c: Any, s: Any) -> Any:
        return ad.sum(ad.scan(lambda c, x: (ad.sin(c * s) + x * (s + 1), c), c, xs, checkpoint=2)[0])

    for way in (
        f,
        ad.value_and_grad(f),
        lambda c, s: ad.jvp(lambda c: f(c, s), (c,), (c,)),
        lambda c, s: ad.hvp(lambda c: f(c, s), c, c),
        lambda c, s: ad.vmap(ad.grad(lambda c: f(c, s)))(ad.stack([c, c])),
    ):
        found = ad.compile(way)(c, number)
        assert all(y.dtype == np.float32 for y in ad.tree.leaves(found))
        close(found, way(c, number), rtol=1e-4)


@pytest.mark.parametrize("length", [0, 1])
def test_few_steps(length: int) -> None:
    def f(c: Any, w: Any, xs: Any) -> Any:
        return ad.scan(lambda c, x: ((c[1] * w, c[0]), {"x": x, "c": c[0] + x}), (c, 2.0 * c), xs)

    xs = ragged(length, 3)
    compiled = ad.compile(f)
    given = [V.copy(), V + 1.0, xs.copy()]
    result = compiled(*given)
    close(result, f(*given))
    assert not any(np.shares_memory(y, x) for y in ad.tree.leaves(result) for x in given)
    assert all(y.flags.writeable for y in ad.tree.leaves(result) if y.size)
    slope = lambda *z: ad.vjp(lambda c, w, xs: ad.sum(f(c, w, xs)[0][0] ** 2), *z)[1](1.0)
    close(ad.compile(slope)(*given), slope(*given))


def test_numbers_do_not_share_memory_with_anything() -> None:
    """A carry without axes that shows an element of an array, which is overwritten."""
    memory = np.array(0.5)
    unchanged = ad.compile(lambda c, xs: ad.scan(lambda c, x: (c, x), c, xs)[0])
    result = unchanged(memory, V)
    memory[()] = 7.0
    assert result == 0.5

    def f(v: Any, xs: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            v, a, b = c
            return (v * x, v[0], ad.reshape(ad.sum(v * v, keepdims=True), ())), (a, b)

        return ad.scan(step, (v, 0.0, 0.0), xs)

    check_replay(lambda z: f(*z), lambda z: looped_twice(f, z), [V, N5])


def looped_twice(f: Function, z: Any) -> Any:
    """By hand, for the function above."""
    v, a, b, ys = z[0], np.float64(0.0), np.float64(0.0), []
    for x in z[1]:
        ys.append((a, b))
        v, a, b = v * x, v[0], (v * v).sum()
    return (v, a, b), tuple(np.stack(y) for y in zip(*ys, strict=True))


def test_donated_carries() -> None:
    def f(c: Any, w: Any, xs: Any) -> Any:
        return ad.scan(lambda c, x: ((ad.sin(c[0] * w) + c[1], c[0] * x), c[1]), c, xs)

    compiled = ad.compile(f, donate="c")
    for scale in (1.0, 0.5):
        c, xs = (scale * V, V + scale), ragged(4, 3)
        close(compiled(tuple(x.copy() for x in c), V, xs), f(c, V, xs))

    def descend(c: Any, w: Any) -> Any:
        slope = ad.grad(lambda c: ad.sum(ad.scan(lambda a, x: (ad.tanh(a * w) + x, None), c, ragged(4, 3))[0]))(c)
        return c - 0.1 * slope

    stepping = ad.compile(descend, donate="c")
    mine, theirs = V.copy(), V.copy()
    for _ in range(3):
        mine, theirs = stepping(mine, V), descend(theirs, V)
    close(mine, theirs)


def test_inside_a_compiled_function_rules_and_requirements_hold() -> None:
    def step(c: Any, x: Any) -> Any:
        ad.require(c < 10.0, "too large")
        return c * x, None

    f = ad.compile(ad.grad(lambda c: ad.scan(step, c, np.array([2.0, 3.0, 1.0]))[0]))
    assert f(1.5) == 6.0
    with pytest.raises(ValueError, match="too large"):
        f(2.0)


def test_the_saved_source_runs_by_itself(tmp_path: Any) -> None:
    w, xs = ragged(20, 20) - 0.5, ragged(30, 20)
    slope = ad.compile(ad.grad(lambda c: ad.sum(ad.scan(lambda c, x: (ad.tanh(c @ w) + x, c), c, xs)[1])))
    c = ragged(20)[:, None][:, 0]
    slope.save(tmp_path / "slope.py", c)
    namespace: dict[str, Any] = {"__file__": str(tmp_path / "slope.py")}
    exec((tmp_path / "slope.py").read_text(), namespace)
    (found,) = namespace["gradient_of_lambda"](c)
    np.testing.assert_array_equal(found, slope(c))


# ---- what the source looks like


def rnn(c: Any, w: Any, xs: Any, checkpoint: bool | int = False) -> Any:
    last, ys = ad.scan(lambda c, x: (ad.tanh(c @ w + x), ad.sum(c * c)), c, xs, checkpoint=checkpoint)
    return ad.sum(last) + ad.sum(ys)


KINDS: dict[str, Function] = {
    "values": lambda c, w, xs: ad.scan(lambda c, x: (ad.tanh(c @ w + x), ad.sum(c * c)), c, xs),
    "gradient": ad.grad(rnn, (0, 1, 2)),
    "gradient with checkpoints": ad.grad(lambda c, w, xs: rnn(c, w, xs, True), (0, 1)),
    "forward": lambda c, w, xs: ad.jvp(lambda w: rnn(c, w, xs), (w,), (w,)),
    "product with the Hessian": lambda c, w, xs: ad.hvp(lambda w: rnn(c, w, xs), w, w),
    "examples": lambda c, w, xs: ad.vmap(ad.grad(rnn), (None, None, 1))(c, w, ad.stack([xs, xs], 1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_lines_do_not_depend_on_the_number_of_steps(kind: str) -> None:
    compiled, w = ad.compile(KINDS[kind]), ragged(3, 3) - 0.7
    few, many = (compiled.source(V, w, ragged(n, 3)) for n in (16, 10_000))
    assert "for k in range(" in many
    assert abs(len(few.splitlines()) - len(many.splitlines())) <= 2  # whether two arrays fit into one depends on their sizes
    few, many = (re.sub(r" *#.*|\d+", "_", text.partition("\ndef ")[2]) for text in (few, many))
    assert few == many  # what is run is the same but for numbers


def test_ten_thousand_steps() -> None:
    def f(xs: Any, checkpoint: bool) -> Any:
        return ad.scan(lambda c, x: (0.5 * ad.sin(c) + x, None), 0.3, xs, checkpoint=checkpoint)[0]

    xs = ragged(10_000)
    carry, slopes_of_steps = 0.3, []
    for x in xs.tolist():
        slopes_of_steps.append(0.5 * math.cos(carry))
        carry = 0.5 * math.sin(carry) + x
    expected = np.append(np.cumprod(slopes_of_steps[:0:-1])[::-1], 1.0)
    for checkpoint in (False, True):
        value, gradient = ad.compile(ad.value_and_grad(lambda xs, k=checkpoint: f(xs, k)))(xs)
        assert value == pytest.approx(carry, rel=1e-13)
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-300)


def loops_of(source: str) -> list[str]:
    """The indented text of each outermost `for`."""
    return re.findall(r"^    for k in .*:\n((?:        .*\n|\n)+)", source, re.MULTILINE)


def test_what_is_the_same_in_each_step_is_computed_before_the_loop() -> None:
    def f(c: Any, w: Any, xs: Any) -> Any:
        return ad.scan(lambda c, x: (c @ ad.exp(w @ w) + x, None), c, xs)[0]

    compiled = ad.compile(f)
    source = compiled.source(V, 0.1 * ragged(3, 3), ragged(4, 3))
    (body,) = loops_of(source)
    assert "np.exp" in source and "np.exp" not in body
    assert source.index("np.exp") < source.index("for k in")
    close(compiled(V, 0.1 * ragged(3, 3), ragged(4, 3)), f(V, 0.1 * ragged(3, 3), ragged(4, 3)))


def test_a_carry_is_updated_in_its_place() -> None:
    source = ad.compile(lambda c, xs: ad.scan(lambda c, x: (c * x + 1.0, None), c, xs)[0]).source(V, ragged(4, 3))
    (body,) = loops_of(source)
    assert "copyto" not in body and "np.empty" not in body


def test_loops_compute_what_is_used_and_no_more() -> None:
    """With checkpoints, what a step keeps for its derivative is computed behind the checkpoint only."""

    def slope(c: Any, xs: Any) -> Any:
        return ad.grad(lambda c: ad.sum(ad.scan(lambda c, x: (ad.tanh(c * x), c), c, xs, checkpoint=2)[0]))(c)

    first = ad.compile(slope).program(V, ragged(4, 3)).instructions
    outer, *_ = [i for i in first if isinstance(i.operation, Loop)]
    (inner,) = [i for i in outer.operation.body.instructions if isinstance(i.operation, Loop)]
    assert len(outer.outputs) == 2 and len(inner.outputs) == 1  # the carry and a stack of carries; the carry
    assert [i.name for i in inner.operation.body.instructions] == ["multiply", "tanh"]


def test_a_large_array_that_a_step_uses_is_held_once() -> None:
    w, xs = ragged(30), ragged(4, 30)
    source = ad.compile(ad.grad(lambda c: ad.sum(ad.scan(lambda c, x: (c * w * c + x, None), c, xs)[0]))).source(w)
    assert source.count('given["') == 2


def test_loops_of_one_body_do_not_share_names() -> None:
    """The steps of a segment are walked forwards twice: in the evaluation, and again before they are walked backwards."""
    source = ad.compile(KINDS["gradient with checkpoints"]).source(V, ragged(3, 3), ragged(16, 3))
    made = [name for line in source.splitlines() if " = np.empty(" in line for name in line.split(" = ")[:-1]]
    assert len(made) == len(set(made))


# ---- sources that are wrong on purpose


def gradient_is_right(name: str, way: str = "storing") -> None:
    ours, plain = both(name, way)
    check_replay(ad.value_and_grad(ours.cost), ad.value_and_grad(plain.cost), ours.floats)


def noticed(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, instead: Any, checks: list[Callable[[], None]]) -> None:
    """Each check passes, and fails once ``owner.name`` is something else."""
    for check in checks:
        check()
    monkeypatch.setattr(owner, name, instead)
    for check in checks:
        with pytest.raises(AssertionError):
            check()


def test_stacks_written_after_the_carry_has_changed_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient_is_right("carry is y")
    scope, held = numpy_source._Scope, []
    pushes, updates = scope.pushes, scope.updates

    def hold(self: Any, *arguments: Any) -> list[str]:
        held.append(pushes(self, *arguments))
        return []

    monkeypatch.setattr(scope, "pushes", hold)
    monkeypatch.setattr(scope, "updates", lambda self, carry: [*updates(self, carry), *held.pop()])
    with pytest.raises(AssertionError):
        gradient_is_right("carry is y")


def test_carries_written_one_after_another_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_by_one(self: Any, carry: list[str]) -> list[str]:
        pairs = zip(carry, self.program.outputs, strict=False)
        return [f"np.copyto({c}, {self.operand(x)})" if x.ndim else f"{c} = {self.operand(x)}" for c, x in pairs]

    noticed(monkeypatch, numpy_source._Scope, "updates", one_by_one, [lambda: gradient_is_right("rotated")])


def test_numbers_that_show_memory_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [test_numbers_do_not_share_memory_with_anything, lambda: gradient_is_right("forgetful")]
    noticed(monkeypatch, numpy_source._Scope, "_number", lambda self, x: self.operand(x), checks)


def test_a_body_shared_by_two_loops_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [lambda: gradient_is_right("rotated", "every 2"), test_loops_of_one_body_do_not_share_names]
    noticed(monkeypatch, passes, "_renamed_apart", lambda program: program, checks)
