"""Peak memory, measured by tracemalloc, which NumPy reports its arrays to."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad

MB = 2**20
X = np.linspace(0.1, 1.0, MB // 8)  # one array of 1 MB


SMALL = X[: MB // 64].copy()  # 1/8 MB, where one run is compared with another


def peak(run: Callable[[], Any]) -> tuple[float, Any]:
    """The result, and how many MB above what was there before were in use at the worst moment."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = run()
        return (tracemalloc.get_traced_memory()[1] - before) / MB, result
    finally:
        tracemalloc.stop()


def hundred_operations(x: Any) -> Any:
    for _ in range(50):
        x = ad.tanh(x * 0.9)  # a product with a number keeps nothing, tanh its result
    return ad.sum(x)


def hundred_linear_operations(x: Any) -> Any:
    for _ in range(50):
        x = -x + 1.0
    return ad.sum(x)


def ten_sines(x: Any) -> Any:
    for _ in range(10):
        x = ad.sin(x)  # keeps its operand: an array of 1 MB each
    return x


def ten_sines_summed(x: Any) -> Any:
    return ad.sum(ten_sines(x))


def segments(segment: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        for _ in range(10):
            x = segment(x)
        return ad.sum(x)

    return f


def test_value_and_gradient_of_100_operations() -> None:
    used, (value, gradient) = peak(lambda: ad.value_and_grad(hundred_operations)(X))
    assert np.isfinite(value) and gradient.shape == X.shape
    assert used <= 60
    assert used >= 50  # or it does not measure what it says


def test_backward_method_of_100_operations() -> None:
    def run() -> Any:
        x = ad.tensor(X)
        hundred_operations(x).backward()
        return x.grad

    assert peak(run)[0] <= 60


def test_linear_operations_keep_nothing_and_free_cotangents_as_they_go() -> None:
    used, (_, gradient) = peak(lambda: ad.value_and_grad(hundred_linear_operations)(X))
    np.testing.assert_array_equal(gradient, 1.0)
    assert used <= 4


def test_walks_need_a_few_arrays_only() -> None:
    """Beyond what the tape keeps, whatever its length, in both directions and again and again."""
    _, pullback = ad.vjp(ten_sines, X)
    lin = ad.linearize(ten_sines, X)
    assert peak(lambda: [pullback(X)[0][0] for _ in range(5)])[0] <= 5
    assert peak(lambda: [lin(X)[0] for _ in range(5)])[0] <= 5


def test_gradients_leave_nothing_behind() -> None:
    def run() -> float:
        g = ad.grad(ten_sines_summed)(X)
        del g
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first, later = run(), [run() for _ in range(3)][-1]
    finally:
        tracemalloc.stop()
    assert abs(later - first) < MB / 10


def test_no_grad_keeps_nothing() -> None:
    x = ad.tensor(X)

    def run() -> Any:
        with ad.no_grad():
            return segments(ten_sines)(x)

    assert peak(run)[0] <= 4


def test_indexing_in_a_loop_adds_into_one_array() -> None:
    rows = X.reshape(256, -1)

    def f(x: Any) -> Any:
        return sum((ad.sum(x[i]) * float(i) for i in range(256)), start=0.0 * x[0, 0])

    used, gradient = peak(lambda: ad.grad(f)(rows))
    np.testing.assert_array_equal(gradient[:, 0], np.arange(256.0))
    assert used <= 5


def test_basis_of_a_jacobian_row_by_row_is_not_needed_for_a_gradient() -> None:
    used, gradient = peak(lambda: ad.jacobian(lambda x: ad.sum(ad.sin(x)))(X))
    np.testing.assert_allclose(gradient, np.cos(X), rtol=1e-15)
    assert used <= 6


@pytest.mark.parametrize("derivative", [ad.grad, lambda f: lambda x: ad.vjp(f, x)[1](1.0)[0]], ids=["grad", "vjp"])
def test_checkpoint_saves_memory(derivative: Callable[[Any], Callable[[Any], Any]]) -> None:
    plain, expected = peak(lambda: derivative(segments(ten_sines))(X))
    saved, gradient = peak(lambda: derivative(segments(ad.checkpoint(ten_sines)))(X))
    assert plain >= 100
    assert saved <= 30  # 10 segments' inputs, the 10 results inside one segment, and a few
    np.testing.assert_array_equal(gradient, expected)


def test_checkpoint_saves_memory_when_it_closes_over_a_variable() -> None:
    def segment(x: Any, w: Any) -> Any:
        for _ in range(10):
            x = ad.sin(w * x)
        return x

    def remembering(w: Any) -> Any:
        x = SMALL
        for _ in range(10):
            x = segment(x, w)
        return ad.sum(x)

    def forgetting(w: Any) -> Any:
        x = SMALL + 0.0 * w  # on the tape from the start
        for _ in range(10):
            x = ad.checkpoint(lambda y: segment(y, w))(x)
        return ad.sum(x)

    plain, expected = peak(lambda: ad.grad(remembering)(0.9))
    saved, gradient = peak(lambda: ad.grad(forgetting)(0.9))
    assert gradient == pytest.approx(expected, rel=1e-12)
    assert saved <= plain / 2


def test_checkpoint_costs_nothing_in_a_hessian_vector_product() -> None:
    # The walk of the gradient is on the tape itself, with what the segments computed again.
    plain, expected = peak(lambda: ad.hvp(segments(ten_sines), SMALL, SMALL))
    saved, product = peak(lambda: ad.hvp(segments(ad.checkpoint(ten_sines)), SMALL, SMALL))
    np.testing.assert_allclose(product, expected, rtol=1e-12, atol=1e-12)
    assert saved <= plain


def test_nested_checkpoints_save_more() -> None:
    def hundred(x: Any) -> Any:
        for _ in range(10):
            x = ad.checkpoint(ten_sines)(x)
        return x

    def five_hundred(part: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: ad.sum(part(part(part(part(part(x))))))

    once, expected = peak(lambda: ad.grad(five_hundred(hundred))(SMALL))
    twice, gradient = peak(lambda: ad.grad(five_hundred(ad.checkpoint(hundred)))(SMALL))
    np.testing.assert_array_equal(gradient, expected)
    assert twice <= once / 2  # 5 + 10 + 10 arrays instead of 50 + 10
