"""Lists in place of arrays, functions that assign to their argument, many numbers: calls that once went wrong silently."""

import numpy as np
import pytest

import tinyad as ad

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std", "flip", "ravel", "transpose", "cumsum"])
def test_lists_are_arrays(name: str) -> None:
    np.testing.assert_allclose(getattr(ad, name)(ROWS), getattr(np, name)(ROWS))


def test_more_functions_of_lists() -> None:
    np.testing.assert_array_equal(ad.broadcast_to([1.0, 2.0], (3, 2)), np.broadcast_to([1.0, 2.0], (3, 2)))
    np.testing.assert_array_equal(ad.pad([1.0, 2.0], 1), [0.0, 1.0, 2.0, 0.0])
    np.testing.assert_allclose(ad.logsumexp(ROWS, axis=1), np.log(np.sum(np.exp(ROWS), axis=1)))
    assert ad.einsum("ij->", ROWS) == 22.0


@pytest.mark.parametrize(
    "name", ["sigmoid", "silu", "gelu", "leaky_relu", "log_sigmoid", "softsign", "mish", "softplus", "relu", "modf", "vander"]
)
def test_lists_have_the_values_of_arrays(name: str) -> None:
    function = getattr(ad, name)
    np.testing.assert_array_equal(function(ROWS[0]), function(np.array(ROWS[0])))


def test_checkpoint_leaves_the_callers_array_alone() -> None:
    def f(z):
        z += 1.0
        return ad.sum(z * z)

    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(ad.grad(ad.checkpoint(f))(x), 2 * (x + 1))
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_a_condition_on_the_tape_has_no_derivative() -> None:
    x = np.array([0.0, 2.0])
    np.testing.assert_array_equal(ad.jvp(lambda z: ad.where(z, z * z, 0.0), (x,), (np.ones(2),))[1], [0.0, 4.0])


def test_equal_infinities_share_the_derivative() -> None:
    assert ad.grad(lambda x: ad.maximum(x, -np.inf))(-np.inf) == 0.5


def test_empty_logsumexp() -> None:
    assert ad.logsumexp(np.zeros((0, 3)), axis=1).shape == (0,)


def test_the_inactive_branch_of_a_checkpoint_keeps_its_nan() -> None:
    f = ad.checkpoint(lambda z: ad.exp(z * z))
    x = np.array([30.0, 1.0])
    with np.errstate(over="ignore"):
        gradient = ad.grad(lambda z: ad.sum(ad.where(z < 10, f(z), 0.0)))(x)
    np.testing.assert_allclose(gradient, [0.0, 2 * np.e])


def test_a_tensor_is_not_none() -> None:
    x = ad.tensor([1.0, 2.0])
    assert (x == None) is False  # noqa: E711 (the comparison is the test)
    assert x != None  # noqa: E711
    assert x not in [None]
