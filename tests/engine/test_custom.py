"""Rules of one's own, and checkpoint: every order and direction, trees, closures, and what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad

Array = np.ndarray[Any, Any]
X = np.array([0.4, -1.1, 2.0])
V = np.array([1.0, -0.5, 0.3])


def close(ours: Any, expected: Any) -> None:
    for a, b in zip(ad.tree.leaves(ours), ad.tree.leaves(expected), strict=True):
        assert not isinstance(a, ad.Tensor)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


# ---- functions with rules, and the same functions without


def product_and_sine(p: Any, y: Any) -> Any:
    """Several inputs, several outputs, both trees."""
    return {"product": p["a"] * p["b"] * y, "parts": (ad.sin(p["a"]), ad.sum(y))}


def by_vjp() -> Callable[..., Any]:
    f = ad.custom_vjp(product_and_sine)

    def backward(kept: Any, g: Any) -> Any:
        p, y = kept
        a, b = p["a"], p["b"]
        gp, (gs, gt) = g["product"], g["parts"]
        return {"a": gp * b * y + gs * ad.cos(a), "b": gp * a * y}, gp * a * b + gt

    f.defvjp(lambda p, y: (product_and_sine(p, y), (p, y)), backward)
    return f


def by_jvp() -> Callable[..., Any]:
    f = ad.custom_jvp(product_and_sine)

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (p, y), (dp, dy) = primals, tangents
        a, b, da, db = p["a"], p["b"], dp["a"], dp["b"]
        out = {"product": da * b * y + a * db * y + a * b * dy, "parts": (ad.cos(a) * da, ad.sum(dy))}
        return f(p, y), out

    return f


RULED = {
    "custom_vjp": by_vjp(),
    "custom_jvp": by_jvp(),
    "checkpoint": ad.checkpoint(product_and_sine),
    "nested checkpoint": ad.checkpoint(lambda p, y: ad.checkpoint(product_and_sine)(p, ad.checkpoint(lambda z: z * 1.0)(y))),
    "checkpoint of custom_vjp": ad.checkpoint(by_vjp()),
    "checkpoint of custom_jvp": ad.checkpoint(by_jvp()),
}
P, Y = {"a": X, "b": V}, np.array([1.5, 0.2, -0.7])
DP, DY = {"a": V, "b": X}, np.array([0.1, 0.2, 0.3])
G = {"product": X, "parts": (V, 2.0)}

ruled = pytest.mark.parametrize("name", RULED)


def cost(f: Callable[..., Any]) -> Callable[..., Any]:
    def scalar(p: Any, y: Any) -> Any:
        out = f(p, y)
        return ad.sum(out["product"] ** 2) + ad.sum(out["parts"][0] * Y) + out["parts"][1] ** 3

    return scalar


@ruled
def test_value(name: str) -> None:
    close(RULED[name](P, Y), product_and_sine(P, Y))
    recorded = RULED[name]({"a": ad.tensor(X), "b": V}, Y)
    assert isinstance(recorded["product"], ad.Tensor) and recorded["product"].node is not None
    close(ad.tree.map(lambda t: t.array, recorded), product_and_sine(P, Y))


@ruled
def test_reverse(name: str) -> None:
    close(ad.vjp(RULED[name], P, Y)[1](G), ad.vjp(product_and_sine, P, Y)[1](G))
    for argnums in (0, 1, (0, 1)):
        close(ad.grad(cost(RULED[name]), argnums)(P, Y), ad.grad(cost(product_and_sine), argnums)(P, Y))


@ruled
def test_forward(name: str) -> None:
    close(ad.jvp(RULED[name], (P, Y), (DP, DY)), ad.jvp(product_and_sine, (P, Y), (DP, DY)))
    only = ad.jvp(lambda p: RULED[name](p, Y), (P,), (DP,))  # a constant operand
    close(only, ad.jvp(lambda p: product_and_sine(p, Y), (P,), (DP,)))


@ruled
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_jacobian(name: str, mode: str) -> None:
    def both(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda p, y: (f(p, y)["product"], f(p, y)["parts"][0] * y)

    for argnums in (0, 1):
        ours, plain = (ad.jacobian(both(f), argnums, mode=mode)(P, Y) for f in (RULED[name], product_and_sine))
        close(ours, plain)


@ruled
def test_second_order(name: str) -> None:
    f, plain = cost(RULED[name]), cost(product_and_sine)
    close(ad.hvp(lambda q: f(*q), (P, Y), (DP, DY)), ad.hvp(lambda q: plain(*q), (P, Y), (DP, DY)))
    close(ad.hessian(f)(P, Y), ad.hessian(plain)(P, Y))
    reverse_twice = ad.grad(lambda p: ad.sum(ad.grad(f)(p, Y)["a"] * V))(P)
    close(reverse_twice, ad.grad(lambda p: ad.sum(ad.grad(plain)(p, Y)["a"] * V))(P))
    over_forward = ad.grad(lambda p: ad.jvp(f, (p, Y), (DP, DY))[1])(P)
    close(over_forward, ad.grad(lambda p: ad.jvp(plain, (p, Y), (DP, DY))[1])(P))
    twice = ad.jvp(lambda p: ad.jvp(f, (p, Y), (DP, DY))[1], (P,), (DP,))
    close(twice, ad.jvp(lambda p: ad.jvp(plain, (p, Y), (DP, DY))[1], (P,), (DP,)))


@ruled
def test_third_order(name: str) -> None:
    def third(f: Callable[..., Any]) -> Any:
        return ad.grad(lambda p: ad.sum(ad.hvp(lambda q: f(q, Y), p, DP)["a"] * V))(P)

    close(third(cost(RULED[name])), third(cost(product_and_sine)))


@ruled
def test_backward_method(name: str) -> None:
    a, y = ad.tensor(X), ad.tensor(Y)
    cost(RULED[name])({"a": a, "b": V}, y).backward()
    by_p, by_y = ad.grad(cost(product_and_sine), (0, 1))(P, Y)
    close([a.grad, y.grad], [by_p["a"], by_y])


@ruled
def test_results_used_partly_and_repeatedly(name: str) -> None:
    def partly(f: Callable[..., Any]) -> Callable[[Any], Any]:
        def scalar(a: Any) -> Any:
            out = f({"a": a, "b": V}, Y)
            again = f({"a": out["product"], "b": V}, Y)
            return ad.sum(out["product"] * again["product"] + again["product"])

        return scalar

    close(ad.grad(partly(RULED[name]))(X), ad.grad(partly(product_and_sine))(X))


@ruled
def test_float32_stays(name: str) -> None:
    small = np.float32
    p, y = {"a": X.astype(small), "b": V.astype(small)}, Y.astype(small)
    results = [ad.vjp(RULED[name], p, y), ad.jvp(RULED[name], (p, y), (p, y))]
    _, pullback = ad.vjp(RULED[name], p, y)
    dtypes = {leaf.dtype for leaf in [*ad.tree.leaves(results[1]), *ad.tree.leaves(pullback(RULED[name](p, y)))]}
    assert dtypes == {np.dtype(small)}


# ---- the rules are what is used


def test_the_rule_given_is_the_one_used() -> None:
    f = ad.custom_vjp(lambda x: x * x)
    f.defvjp(lambda x: (x * x, None), lambda _, g: (100.0 * g,))
    assert ad.grad(f)(3.0) == 100.0
    assert ad.jvp(f, (3.0,), (2.0,))[1] == 200.0
    h = ad.custom_jvp(lambda x: x * x)
    h.defjvp(lambda primals, tangents: (h(*primals), 100.0 * tangents[0]))
    assert ad.grad(h)(3.0) == 100.0
    assert ad.jvp(h, (3.0,), (2.0,))[1] == 200.0


def test_forward_rule_runs_only_when_a_derivative_is_wanted() -> None:
    ran = []
    f = ad.custom_vjp(lambda x: x * 2.0)
    f.defvjp(lambda x: (ran.append(1) or x * 2.0, None), lambda _, g: (2.0 * g,))
    assert f(3.0) == 6.0 and f(ad.asarray(3.0)).item() == 6.0
    assert not ran
    assert ad.grad(f)(3.0) == 2.0 and ran == [1]


def test_none_as_a_cotangent_is_zero() -> None:
    f = ad.custom_vjp(lambda x, n, p: x**n + p["a"] + p["b"])
    f.defvjp(lambda x, n, p: (f(x, n, p), (x, n)), lambda kept, g: (g * 2.0 * kept[0], None, None))
    by_x, by_p = ad.grad(lambda x, p: ad.sum(f(x, 2, p)), argnums=(0, 1))(X, {"a": V, "b": Y})
    close(by_x, 2 * X)
    close(by_p, {"a": 0 * V, "b": 0 * Y})


def test_arguments_that_are_no_arrays() -> None:
    f = ad.custom_vjp(lambda x, name, options: x * options["n"] if name == "double" else x)
    f.defvjp(lambda x, name, options: (f(x, name, options), options), lambda options, g: (g * options["n"], None, None))
    assert ad.grad(lambda x: f(x, "double", {"n": 2, "unused": None}))(3.0) == 2.0


def test_custom_names_and_docs_are_the_functions() -> None:
    @ad.custom_vjp
    def documented(x: Any) -> Any:
        """What it does."""
        return x

    assert (documented.__name__, documented.__doc__) == ("documented", "What it does.")
    assert ad.checkpoint(product_and_sine).__doc__ == product_and_sine.__doc__


def test_clipping_a_gradient_on_its_way() -> None:
    clip = ad.custom_vjp(lambda x: x * 1.0)
    clip.defvjp(lambda x: (x * 1.0, None), lambda _, g: (ad.clip(g, -1.0, 1.0),))
    close(ad.grad(lambda x: ad.sum(clip(x) ** 2))(X), np.clip(2 * X, -1, 1))


# ---- what goes wrong


def _vjp_with(backward: Callable[..., Any], forward: Callable[..., Any] = lambda x, y: (x * y, (x, y))) -> Callable[..., Any]:
    def multiply(x: Any, y: Any) -> Any:
        return x * y

    f = ad.custom_vjp(multiply)
    f.defvjp(forward, backward)
    return lambda: ad.grad(lambda x: ad.sum(f(x, Y)))(X)


def _jvp_with(rule: Callable[..., Any]) -> Callable[..., Any]:
    def double(x: Any) -> Any:
        return 2.0 * x

    f = ad.custom_jvp(double)
    f.defjvp(rule)
    return lambda: ad.jvp(f, (X,), (V,))


def _closure(kind: Any) -> Callable[[], Any]:
    def run(c: Any) -> Any:
        def scale(x: Any) -> Any:
            return c * x

        f = kind(scale)
        if kind is ad.custom_vjp:
            f.defvjp(lambda x: (c * x, None), lambda _, g: (g,))
        else:
            f.defjvp(lambda p, t: (f(*p), t[0]))
        return ad.sum(f(c))

    return lambda: ad.grad(run)(X)


def named(x: Any) -> Any:
    return x * x


WRONG: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("no rule", lambda: ad.grad(ad.custom_vjp(named))(1.0), TypeError, r"custom_vjp\(named\).*no rule.*defvjp"),
    ("no rule", lambda: ad.grad(ad.custom_jvp(named))(1.0), TypeError, r"custom_jvp\(named\).*no rule.*defjvp"),
    ("closure", _closure(ad.custom_vjp), ValueError, r"custom_vjp\(scale\).*recorded Tensor.*Pass it as an argument"),
    ("closure", _closure(ad.custom_jvp), ValueError, r"custom_jvp\(scale\).*recorded Tensor.*Pass it as an argument"),
    ("one too few", _vjp_with(lambda kept, g: (g,)), TypeError, r"multiply.*backward returned 1 entr.*2 arguments"),
    ("one too many", _vjp_with(lambda kept, g: (g, g, g)), TypeError, r"multiply.*backward returned 3 entries.*2 arguments"),
    ("not a tuple", _vjp_with(lambda kept, g: g), TypeError, r"multiply.*backward returned ndarray; expected a tuple"),
    (
        "forward",
        _vjp_with(lambda k, g: (g, g), lambda x, y: x * y),
        TypeError,
        r"multiply.*forward returned ndarray.*\(out, resid",
    ),
    (
        "tree",
        _vjp_with(lambda kept, g: ([g], None)),
        ValueError,
        r"cotangent 0.*structure differs.*argument 0.*expected \*, got list",
    ),
    ("shape", _vjp_with(lambda k, g: (np.ones(4), None)), ValueError, r"multiply.*cotangent 0.*\(4,\).*expected.*\(3,\)"),
    (
        "summed",
        _vjp_with(lambda k, g: (np.ones((2, 3)), None)),
        ValueError,
        r"multiply.*cotangent 0.*\(2, 3\).*expected.*\(3,\)",
    ),
    ("number", _vjp_with(lambda k, g: (1.0, None)), ValueError, r"multiply.*cotangent 0.*\(\).*expected.*\(3,\)"),
    ("jvp rule", _jvp_with(lambda p, t: 2.0 * t[0]), TypeError, r"double.*rule returned ndarray; expected \(out, tangent\)"),
    (
        "jvp tree",
        _jvp_with(lambda p, t: (p[0], [t[0]])),
        ValueError,
        r"tangent of out.*structure differs.*expected \*, got list",
    ),
    ("jvp shape", _jvp_with(lambda p, t: (p[0], np.ones(4))), ValueError, r"double.*tangent of out.*\(4,\).*expected.*\(3,\)"),
]


@pytest.mark.parametrize(
    ("run", "error", "message"), [row[1:] for row in WRONG], ids=[f"{i} {row[0]}" for i, row in enumerate(WRONG)]
)
def test_a_wrong_rule_is_named(run: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        run()
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)


def test_a_scalar_rule_may_return_a_python_number() -> None:
    f = ad.custom_vjp(lambda x: 2.0 * x)
    f.defvjp(lambda x: (2.0 * x, None), lambda _, g: (2.0,))
    assert ad.grad(f)(1.0) == 2.0


def test_a_rule_may_return_tensors_and_constants() -> None:
    f = ad.custom_vjp(lambda x: 2.0 * x)
    f.defvjp(lambda x: (2.0 * x, None), lambda _, g: (ad.asarray(2.0 * np.ones(3)),))
    close(ad.grad(lambda x: ad.sum(f(x) + x))(X), np.full(3, 3.0))


# ---- checkpoint


def test_checkpoint_computes_again_only_in_the_backward_pass() -> None:
    runs = []

    @ad.checkpoint
    def f(x: Any) -> Any:
        runs.append(1)
        return ad.sin(x) * x

    _, pullback = ad.vjp(f, X)
    assert len(runs) == 1
    close(pullback(V)[0], V * (np.cos(X) * X + np.sin(X)))
    assert len(runs) == 2
    f(X)
    assert len(runs) == 3  # plain arrays need no record


def test_checkpoint_keeps_the_inputs_only() -> None:
    x = ad.tensor(X)
    y = ad.checkpoint(lambda x: ad.exp(ad.sin(ad.cos(x) * 3.0)))(x)
    whole = y.node.parents[0]
    assert y.node.saved == () and len(whole.saved) == 1 and whole.saved[0] is x.array
    assert whole.parents == (x.node,)


def test_checkpoint_closes_over_tensors_old_and_new() -> None:
    def total(x: Any, remember: bool) -> Any:
        wrap = (lambda f: f) if remember else ad.checkpoint
        c = ad.sin(x)
        d = c * 2.0
        return ad.sum(wrap(lambda y, scale=1.0: {"a": (c * y + d, d * scale)}["a"][0])(x * x, scale=x)) + ad.sum(d)

    for derivative in (ad.grad, lambda f: lambda x: ad.hvp(f, x, V), ad.hessian, lambda f: ad.jacobian(f, mode="forward")):
        close(derivative(lambda x: total(x, False))(X), derivative(lambda x: total(x, True))(X))


def test_checkpoint_closes_over_a_variable_and_gets_no_tensor() -> None:
    w = ad.tensor(X)
    y = ad.sum(ad.checkpoint(lambda x: w * w * x)(V))
    y.backward()
    close(w.grad, 2 * X * V)


def test_checkpoint_with_keywords_trees_and_what_is_no_array() -> None:
    @ad.checkpoint
    def f(p: Any, *, scale: Any, mode: str, n: int) -> Any:
        return {"out": p[0] * p[1] ** n * scale, "mode": mode, "none": None}

    def total(p: Any, scale: Any) -> Any:
        out = f(p, scale=scale, mode="abc", n=2)
        assert (out["mode"], out["none"]) == ("abc", None)
        return ad.sum(out["out"])

    by_p, by_scale = ad.grad(total, argnums=(0, 1))((X, V), 3.0)
    close(by_p, (V**2 * 3.0, 2 * X * V * 3.0))
    close(by_scale, np.sum(X * V**2))


def test_checkpoint_with_several_outputs_some_unused_or_constant() -> None:
    @ad.checkpoint
    def f(x: Any) -> Any:
        return ad.sin(x), ad.cos(x), np.ones(3), 5.0

    def total(x: Any) -> Any:
        s, _, ones, five = f(x)
        return ad.sum(s * ones * five)

    close(ad.grad(total)(X), 5 * np.cos(X))
    close(ad.hessian(total)(X), np.diag(-5 * np.sin(X)))
    close(ad.jvp(total, (X,), (V,))[1], np.sum(5 * np.cos(X) * V))


def test_checkpoint_returning_an_index_or_a_mask() -> None:
    @ad.checkpoint
    def largest(x: Any) -> Any:
        return np.argmax(x), x > 0, x * 2.0

    def total(x: Any) -> Any:
        index, mask, double = largest(x)
        return double[index] * x[index] + ad.sum(ad.where(mask, double, 0.0))

    close(ad.grad(total)(X), np.where(X > 0, 2.0, 0.0) + np.array([0.0, 0.0, 4 * X[2]]))


def test_checkpoint_in_a_loop_with_shared_weights() -> None:
    def network(step: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        def f(x: Any, w: Any) -> Any:
            for _ in range(5):
                x = step(x, w)
            return ad.sum(x * x)

        return f

    def step(x: Any, w: Any) -> Any:
        return x + 0.1 * ad.tanh(w @ x)

    w = np.outer(X, V)
    a, b = network(step), network(ad.checkpoint(step))
    for g, h in zip(ad.grad(a, (0, 1))(X, w), ad.grad(b, (0, 1))(X, w), strict=True):
        assert g.tobytes() == h.tobytes()
    close(ad.hvp(lambda w: b(X, w), w, w), ad.hvp(lambda w: a(X, w), w, w))


def test_stop_gradient_and_no_grad_inside_checkpoint() -> None:
    @ad.checkpoint
    def f(x: Any) -> Any:
        with ad.no_grad():
            c = ad.sin(x)
        return c * x * ad.stop_gradient(x)

    close(ad.grad(lambda x: ad.sum(f(x)))(X), np.sin(X) * X)


def test_stop_gradient_of_trees_and_plain_values() -> None:
    out = ad.stop_gradient({"t": ad.tensor(1.0) * 2.0, "a": X, "n": 3, "none": None})
    assert out["t"].node is None and out["t"].item() == 2.0
    assert out["a"] is X and out["n"] == 3 and out["none"] is None


def test_checkpoint_passes_errors_on_and_works_afterwards() -> None:
    def f(x: Any) -> Any:
        if np.any(x > 10):
            raise OverflowError("too large")
        return ad.sum(x * x)

    with pytest.raises(OverflowError, match="too large"):
        ad.grad(ad.checkpoint(f))(X + 100)
    close(ad.grad(ad.checkpoint(f))(X), 2 * X)
