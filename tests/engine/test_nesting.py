"""Derivatives of derivatives: every order of forward and reverse, closures over the variables of outer derivatives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad

Way = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]

# Every way to the derivative of a scalar function of a scalar.
WAYS: dict[str, Way] = {
    "grad": lambda f: ad.grad(f),
    "value_and_grad": lambda f: lambda x: ad.value_and_grad(f)(x)[1],
    "vjp": lambda f: lambda x: ad.vjp(f, x)[1](1.0)[0],
    "jvp": lambda f: lambda x: ad.jvp(f, (x,), (1.0,))[1],
    "linearize": lambda f: lambda x: ad.linearize(f, x)(1.0),
    "transpose": lambda f: lambda x: ad.linearize(f, x).transpose(1.0),
    "rows": lambda f: ad.jacobian(f, mode="reverse"),
    "columns": lambda f: ad.jacobian(f, mode="forward"),
}
FIVE = ["grad", "vjp", "jvp", "rows", "columns"]
FOUR = ["grad", "vjp", "jvp", "columns"]

pairs = pytest.mark.parametrize(("outer", "inner"), list(itertools.product(WAYS, WAYS)))
triples = pytest.mark.parametrize("names", list(itertools.product(FOUR, repeat=3)), ids="-".join)


def differentiated(f: Callable[[Any], Any], names: Sequence[str]) -> Callable[[Any], Any]:
    """The derivative of order ``len(names)``, the last name applied first."""
    for name in reversed(names):
        f = WAYS[name](f)
    return f


def is_plain(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic))


# ---- twice and thrice


@pairs
def test_twice(outer: str, inner: str) -> None:
    second = differentiated(lambda x: ad.sin(x) * ad.exp(2.0 * x), [outer, inner])(0.7)
    assert second == pytest.approx(math.exp(1.4) * (3 * math.sin(0.7) + 4 * math.cos(0.7)), rel=1e-14)
    assert is_plain(second)


@triples
def test_thrice(names: Sequence[str]) -> None:
    third = differentiated(lambda x: ad.sin(2.0 * x) * x, names)(0.3)
    assert third == pytest.approx(-8 * math.cos(0.6) * 0.3 - 12 * math.sin(0.6), rel=1e-13)
    assert is_plain(third)


def test_five_times() -> None:
    assert differentiated(lambda x: x**6, ["jvp", "grad", "columns", "vjp", "grad"])(0.5) == pytest.approx(360.0)


@pairs
def test_a_linear_function_twice_is_zero(outer: str, inner: str) -> None:
    # The inner derivative is a constant then, which must not be taken for an output that left the tape.
    second = differentiated(lambda x: 3.0 * x, [outer, inner])(0.7)
    assert second == 0.0 and is_plain(second)


@triples
def test_a_quadratic_function_thrice_is_zero(names: Sequence[str]) -> None:
    assert differentiated(lambda x: x * x - x, names)(0.7) == 0.0


# ---- closures


@pairs
@pytest.mark.parametrize("at", ["variable", "constant"])
def test_inner_function_closes_over_the_outer_variable(outer: str, inner: str, at: str) -> None:
    def f(x: Any) -> Any:
        return x * WAYS[inner](lambda y: x * y)(x if at == "variable" else 3.0)

    slope = WAYS[outer](f)(1.5)
    assert slope == 3.0  # d/dx [x * d/dy (x y)] = d/dx x^2 = 2 x
    assert is_plain(slope)


@triples
def test_closures_over_two_outer_variables(names: Sequence[str]) -> None:
    first, second, third = (WAYS[name] for name in names)

    def f(x: Any) -> Any:
        # d/dz (x y z) = x y; d/dy (y x x y) at 3 = 6 x^2
        return x * second(lambda y: y * x * third(lambda z: x * y * z)(2.0))(3.0)

    assert first(f)(1.5) == pytest.approx(18 * 1.5**2, rel=1e-15)


@triples
def test_closure_skips_a_level(names: Sequence[str]) -> None:
    first, second, third = (WAYS[name] for name in names)

    def f(x: Any) -> Any:
        # the function in the middle does not use x, the innermost one does: d/dy [y * d/dz (x z^2) at y] = 4 x y
        return second(lambda y: y * third(lambda z: x * z * z)(y))(0.5)

    assert first(f)(1.5) == pytest.approx(2.0, rel=1e-15)


@pairs
def test_inner_function_ignores_the_outer_variable(outer: str, inner: str) -> None:
    assert WAYS[outer](lambda x: x * x * WAYS[inner](lambda y: y**3)(2.0))(1.5) == 36.0
    assert WAYS[outer](lambda x: x * WAYS[inner](lambda y: y**3)(x))(1.5) == pytest.approx(9 * 1.5**2)


@pytest.mark.parametrize("outer", WAYS)
@pytest.mark.parametrize("inner", ["vjp", "jvp", "linearize", "transpose"])
def test_inner_function_ignores_its_own_variable(outer: str, inner: str) -> None:
    # grad calls that an error; vjp and jvp give zero, which adds nothing
    assert WAYS[outer](lambda x: x * x + WAYS[inner](lambda y: x * x)(x))(1.5) == 3.0


VALUES: dict[str, Callable[[Callable[[Any], Any], Any], Any]] = {
    "value_and_grad": lambda f, y: ad.value_and_grad(f)(y)[0],
    "vjp": lambda f, y: ad.vjp(f, y)[0],
    "jvp": lambda f, y: ad.jvp(f, (y,), (1.0,))[0],
    "linearize": lambda f, y: ad.linearize(f, y).value,
}


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(WAYS, VALUES)))
def test_value_of_an_inner_transform_carries_the_outer_derivative(outer: str, inner: str) -> None:
    assert WAYS[outer](lambda x: VALUES[inner](lambda y: x * x * y, 5.0))(1.5) == 15.0


def test_stop_gradient_hides_a_variable_from_the_outer_derivative_only() -> None:
    def f(x: Any) -> Any:
        return ad.grad(lambda y: ad.stop_gradient(x) * y * y * x)(x)  # 2 x x x, of which one x is a constant

    assert ad.grad(f)(1.5) == pytest.approx(4 * 1.5**2)


def test_auxiliary_output_of_an_inner_grad_carries_the_outer_derivative() -> None:
    def f(x: Any) -> Any:
        slope, aux = ad.grad(lambda y: (x * y * y, x * x), has_aux=True)(x)
        return slope + aux

    assert ad.grad(f)(1.5) == pytest.approx(6 * 1.5)  # 2 x^2 + x^2


monomials = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.floats(-2, 2)), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(monomials, st.lists(st.tuples(st.sampled_from(FIVE), st.booleans()), min_size=1, max_size=4))
def test_mixed_partials_of_polynomials(terms: list[tuple[int, int, float]], steps: list[tuple[str, bool]]) -> None:
    """Partial derivatives in any order and any way: steps say how, and whether by x."""

    def f(x: Any, y: Any) -> Any:
        return sum((c * x**i * y**j for i, j, c in terms), start=0.0 * x * y)

    def partial(g: Callable[[Any, Any], Any], name: str, by_x: bool) -> Callable[[Any, Any], Any]:
        if by_x:
            return lambda x, y: WAYS[name](lambda z: g(z, y) + 0.0 * z)(x)
        return lambda x, y: WAYS[name](lambda z: g(x, z) + 0.0 * z)(y)

    g, nx, ny = f, 0, 0
    for name, by_x in steps:
        g, nx, ny = partial(g, name, by_x), nx + by_x, ny + (not by_x)
    x, y = 1.25, 0.75
    expected = sum(
        c * math.perm(i, nx) * x ** (i - nx) * math.perm(j, ny) * y ** (j - ny) for i, j, c in terms if i >= nx and j >= ny
    )
    assert g(x, y) == pytest.approx(expected, rel=1e-12, abs=1e-12)


# ---- Hessians and products with them

X = np.array([0.3, -1.2, 0.8])
V = np.array([1.0, 2.0, -0.5])
A = np.array([[2.0, -1.0, 0.5], [0.3, 1.0, 0.2], [0.0, 4.0, -2.0]])


def loss(x: Any) -> Any:
    return ad.sum(ad.sin(A @ x) * x) + ad.logsumexp(x)


def hessian_of_loss(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    z = A @ x
    p = np.exp(x) / np.exp(x).sum()
    cross = np.cos(z)[:, None] * A
    return cross + cross.T - A.T @ np.diag(np.sin(z) * x) @ A + np.diag(p) - np.outer(p, p)


HESSIANS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "hessian": lambda f: ad.hessian(f),
    "reverse over reverse": lambda f: ad.jacobian(ad.grad(f), mode="reverse"),
    "forward over reverse": lambda f: ad.jacobian(ad.grad(f), mode="forward"),
    "reverse over forward": lambda f: ad.jacobian(ad.jacobian(f, mode="forward"), mode="reverse"),
    "forward over forward": lambda f: ad.jacobian(ad.jacobian(f, mode="forward"), mode="forward"),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessian_in_every_order(name: str) -> None:
    np.testing.assert_allclose(HESSIANS[name](loss)(X), hessian_of_loss(X), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", HESSIANS)
@pytest.mark.parametrize("f", [lambda x: ad.sum(3.0 * x), lambda x: x[1], lambda x: ad.sum(A @ x), lambda x: ad.mean(x[::-1])])
def test_hessian_of_a_linear_function_is_zero(name: str, f: Callable[[Any], Any]) -> None:
    h = HESSIANS[name](f)(X)
    np.testing.assert_array_equal(h, np.zeros((3, 3)))
    assert is_plain(h)


PRODUCTS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "hvp": ad.hvp,
    "reverse over reverse": lambda f, x, v: ad.grad(lambda y: ad.sum(ad.grad(f)(y) * v))(x),
    "reverse over forward": lambda f, x, v: ad.grad(lambda y: ad.jvp(f, (y,), (v,))[1])(x),
    "forward over forward": lambda f, x, v: ad.jacobian(lambda y: ad.jvp(f, (y,), (v,))[1], mode="forward")(x),
    "linearized gradient": lambda f, x, v: ad.linearize(ad.grad(f), x)(v),
    "transposed gradient": lambda f, x, v: ad.linearize(ad.grad(f), x).transpose(v),  # a Hessian is symmetric
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_hessian_times_vector(name: str) -> None:
    product = PRODUCTS[name](loss, X, V)
    np.testing.assert_allclose(product, hessian_of_loss(X) @ V, rtol=1e-12, atol=1e-13)
    assert is_plain(product)


def test_derivative_of_a_hessian_vector_product() -> None:
    """Third order: d/dx [v' H(x) v] against differences of the explicit Hessian."""
    third = ad.grad(lambda x: ad.sum(ad.hvp(loss, x, V) * V))(X)
    h = 1e-5
    numeric = [(V @ hessian_of_loss(X + h * e) @ V - V @ hessian_of_loss(X - h * e) @ V) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(third, numeric, rtol=1e-7, atol=1e-7)


def test_gnvp_is_the_explicit_matrix_product() -> None:
    def model(x: Any) -> Any:
        return ad.tanh(A[:2] @ x)

    def convex(y: Any) -> Any:
        return ad.logsumexp(y) + ad.sum(y * y * y)

    J, H = ad.jacobian(model)(X), ad.hessian(convex)(model(X))
    np.testing.assert_allclose(ad.gnvp(model, convex, X, V), J.T @ H @ J @ V, rtol=1e-12)


def test_gnvp_and_hvp_over_trees() -> None:
    def model(p: Any) -> Any:
        return ad.tanh(A @ p["w"]) * p["b"]

    def squares(y: Any) -> Any:
        return ad.sum(y * y)

    p, v = {"w": X, "b": np.array(0.7)}, {"w": V, "b": np.array(-0.4)}
    flat, unravel = ad.tree.ravel(p)
    direction = ad.tree.ravel(v)[0]
    J, H = ad.jacobian(lambda z: model(unravel(z)))(flat), 2 * np.eye(3)
    np.testing.assert_allclose(ad.tree.ravel(ad.gnvp(model, squares, p, v))[0], J.T @ H @ J @ direction, rtol=1e-12)
    full = ad.hessian(lambda z: squares(model(unravel(z))))(flat)
    product = ad.hvp(lambda p: squares(model(p)), p, v)
    np.testing.assert_allclose(ad.tree.ravel(product)[0], full @ direction, rtol=1e-12)


# ---- pullbacks and linear maps used later


def test_pullback_called_with_a_variable_of_an_outer_derivative() -> None:
    def f(c: Any) -> Any:
        _, pullback = ad.vjp(lambda x: ad.sin(x) * x, X)
        return ad.sum(pullback(c * c)[0])

    slope = np.sin(X) + X * np.cos(X)
    np.testing.assert_allclose(ad.grad(f)(V), 2 * V * slope, rtol=1e-14)


def test_pullback_at_a_variable_differentiates_by_point_and_cotangent() -> None:
    def f(x: Any, c: Any) -> Any:
        _, pullback = ad.vjp(ad.sin, x)
        return ad.sum(pullback(c)[0])  # c cos(x)

    by_x, by_c = ad.grad(f, argnums=(0, 1))(X, V)
    np.testing.assert_allclose(by_x, -V * np.sin(X), rtol=1e-14)
    np.testing.assert_allclose(by_c, np.cos(X), rtol=1e-14)


def test_pullback_called_with_tensors_gives_results_on_the_tape() -> None:
    _, pullback = ad.vjp(lambda x: ad.sin(x) * x, X)
    c = ad.tensor(V)
    (result,) = pullback(c)
    assert isinstance(result, ad.Tensor)
    ad.sum(result * result).backward()
    slope = np.sin(X) + X * np.cos(X)
    np.testing.assert_allclose(c.grad, 2 * V * slope**2, rtol=1e-14)
    np.testing.assert_allclose(pullback(V)[0], V * slope, rtol=1e-14)  # and plain ones still give plain ones
    assert is_plain(pullback(V)[0])


# ---- functions with rules of their own


def _custom_vjp() -> Callable[[Any], Any]:
    f = ad.custom_vjp(lambda x: ad.sin(x) * x)
    f.defvjp(lambda x: (ad.sin(x) * x, x), lambda x, g: (g * (ad.cos(x) * x + ad.sin(x)),))
    return f


def _custom_jvp() -> Callable[[Any], Any]:
    f = ad.custom_jvp(lambda x: ad.sin(x) * x)
    f.defjvp(lambda primals, tangents: (f(*primals), (ad.cos(primals[0]) * primals[0] + ad.sin(primals[0])) * tangents[0]))
    return f


RULED: dict[str, Callable[[Any], Any]] = {
    "checkpoint": ad.checkpoint(lambda x: ad.sin(x) * x),
    "checkpoint twice": ad.checkpoint(ad.checkpoint(lambda x: ad.sin(x) * x)),
    "custom_vjp": _custom_vjp(),
    "custom_jvp": _custom_jvp(),
    "checkpointed custom_vjp": ad.checkpoint(_custom_vjp()),
    "checkpointed custom_jvp": ad.checkpoint(_custom_jvp()),
}


@pytest.mark.parametrize("name", RULED)
@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(FIVE, FIVE)))
def test_rules_of_ones_own_twice(name: str, outer: str, inner: str) -> None:
    second = differentiated(lambda x: RULED[name](2.0 * x) + x, [outer, inner])(0.3)
    assert second == pytest.approx(4 * (2 * math.cos(0.6) - 0.6 * math.sin(0.6)), rel=1e-13)
    assert is_plain(second)


@pytest.mark.parametrize("name", RULED)
@pytest.mark.parametrize("names", list(itertools.product(["grad", "jvp"], repeat=3)), ids="-".join)
def test_rules_of_ones_own_thrice(name: str, names: Sequence[str]) -> None:
    third = differentiated(lambda x: RULED[name](2.0 * x), names)(0.3)
    assert third == pytest.approx(8 * (-3 * math.sin(0.6) - 0.6 * math.cos(0.6)), rel=1e-12)


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(FIVE, FIVE)))
def test_checkpoint_closes_over_the_outer_variable(outer: str, inner: str) -> None:
    def f(x: Any) -> Any:
        c = ad.sin(x)
        return WAYS[inner](lambda y: ad.checkpoint(lambda z: c * z * z)(y) * x)(2.0)  # 4 x sin(x)

    slope = WAYS[outer](f)(0.3)
    assert is_plain(slope), "a Tensor for a plain number"
    assert slope == pytest.approx(4 * (math.sin(0.3) + 0.3 * math.cos(0.3)), rel=1e-14)


@pytest.mark.parametrize("way", WAYS)
def test_checkpoint_closes_over_a_result(way: str) -> None:
    def f(x: Any) -> Any:
        c = ad.sin(x)
        return ad.checkpoint(lambda y: c * y)(x)

    slope = WAYS[way](f)(0.3)
    assert is_plain(slope), "a Tensor for a plain number"
    assert slope == pytest.approx(math.sin(0.3) + 0.3 * math.cos(0.3), rel=1e-14)


# ---- what comes in comes out

TRANSFORMS: dict[str, Callable[[Any], list[Any]]] = {
    "grad": lambda x: [ad.grad(loss)(x)],
    "value_and_grad": lambda x: list(ad.value_and_grad(loss)(x)),
    "grad with aux": lambda x: list(ad.grad(lambda y: (loss(y), ad.sin(y)), has_aux=True)(x)),
    "vjp": lambda x: [ad.vjp(ad.sin, x)[0], *ad.vjp(ad.sin, x)[1](V)],
    "jvp": lambda x: list(ad.jvp(ad.sin, (x,), (V,))),
    "linearize": lambda x: [ad.linearize(ad.sin, x).value, ad.linearize(ad.sin, x)(V), ad.linearize(ad.sin, x).transpose(V)],
    "rows": lambda x: [ad.jacobian(ad.sin, mode="reverse")(x)],
    "columns": lambda x: [ad.jacobian(ad.sin, mode="forward")(x)],
    "hessian": lambda x: [ad.hessian(loss)(x)],
    "hvp": lambda x: [ad.hvp(loss, x, V)],
    "gnvp": lambda x: [ad.gnvp(ad.sin, loss, x, V)],
    "vjp of a constant": lambda x: list(ad.vjp(lambda y: ad.sin(y) * 0.0 + V, x)[1](V)),
    "jvp of what ignores x": lambda x: [ad.jvp(lambda y: ad.zeros(3) + V, (x,), (V,))[1]],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_plain_for_plain_and_tensors_for_tensors(name: str) -> None:
    plain, constants, variables = TRANSFORMS[name](X), TRANSFORMS[name](ad.asarray(X)), TRANSFORMS[name](ad.tensor(X))
    assert all(is_plain(value) for value in plain)
    assert all(isinstance(value, ad.Tensor) and value.node is None for value in constants)
    assert all(isinstance(value, ad.Tensor) for value in variables)
    for a, b, c in zip(plain, constants, variables, strict=True):
        np.testing.assert_array_equal(b.array, a)
        np.testing.assert_allclose(c.array, a, rtol=1e-14)


def test_gradient_at_a_variable_can_be_backpropagated() -> None:
    x = ad.tensor(X)
    (ad.grad(loss)(x) * V).sum().backward()
    np.testing.assert_allclose(x.grad, hessian_of_loss(X) @ V, rtol=1e-12, atol=1e-13)


def test_plain_derivative_of_a_function_that_uses_a_variable() -> None:
    w = ad.tensor(2.0)
    slope = ad.grad(lambda x: w * x * x)(3.0)  # 2 w x
    assert isinstance(slope, ad.Tensor)
    slope.backward()
    assert (slope.item(), w.grad) == (12.0, 6.0)
