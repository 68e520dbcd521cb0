"""The numeric Jacobian is exact, honest about its error, and not fooled by kinks, noise, jumps and edges."""

import math

import numpy as np
import pytest

import tinyad as ad
from tinyad.checking import numeric_jacobian

SCALES = [10.0**k for k in range(-6, 7, 2)]
X = np.array([0.7, -1.3, 2.1])


def jacobian_of_softmax(x):
    p = np.exp(x) / np.exp(x).sum()
    return np.diag(p) - np.outer(p, p)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def unit_vector(x):
    return x / np.linalg.norm(x)


def jacobian_of_unit_vector(x):
    length = np.linalg.norm(x)
    return np.eye(x.size) / length - np.outer(x, x) / length**3


W = np.random.default_rng(0).normal(size=(2, 3))

# name: function, its Jacobian; both for a vector x.
SMOOTH = {
    "matrix product": (lambda x: W @ x, lambda x: W),
    "cube": (lambda x: x**3, lambda x: np.diag(3 * x**2)),
    "reciprocal": (lambda x: 1 / x, lambda x: np.diag(-1 / x**2)),
    "logarithm": (lambda x: np.log(np.abs(x)), lambda x: np.diag(1 / x)),
    "sine": (np.sin, lambda x: np.diag(np.cos(x))),
    "unit vector": (unit_vector, jacobian_of_unit_vector),
    "scalar": (lambda x: x @ x, lambda x: 2 * x),
    "constant": (lambda x: np.ones(2), lambda x: np.zeros((2, 3))),
}


def relative_error(found, expected):
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-300)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SMOOTH)
def test_known_jacobians_at_every_scale(name, scale):
    f, jacobian = SMOOTH[name]
    found = numeric_jacobian(f, scale * X, wrt=0)
    assert relative_error(found.jacobian, jacobian(scale * X)) < 1e-9
    assert not found.kinks.any()
    assert not found.rough.any()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_estimate_bounds_the_error(name, scale):
    f, jacobian = SMOOTH[name]
    for shift in (0.0, 0.3, -0.5):
        x = scale * (X + shift)
        found = numeric_jacobian(f, x, wrt=0)
        assert (np.abs(found.jacobian - jacobian(x)) <= found.error + 1e-15 * np.abs(jacobian(x))).all()


def test_the_error_estimate_is_no_excuse():
    found = numeric_jacobian(softmax, X, wrt=0)
    assert relative_error(found.jacobian, jacobian_of_softmax(X)) < 1e-11
    assert found.error.max() < 1e-7


def test_shapes_and_order_of_axes():
    a, b = np.ones((2, 3)), np.ones((3, 4))
    left, right = numeric_jacobian(np.matmul, a, b)
    assert (left.input, right.input) == (0, 1)
    for of, shape in ((left, (2, 4, 2, 3)), (right, (2, 4, 3, 4))):
        for field in (of.jacobian, of.error, of.kinks, of.left, of.right, of.rough):
            assert field.shape == shape
    # d(ab)[i, j] / da[k, l] is b[l, j] where i = k
    assert np.allclose(left.jacobian, np.einsum("ik,lj->ijkl", np.eye(2), b))


def test_a_number_in_and_a_number_out():
    found = numeric_jacobian(lambda x: float(x) ** 2, 3.0, wrt=0)
    assert found.jacobian.shape == ()
    assert found.jacobian == pytest.approx(6.0, rel=1e-12)


def test_an_empty_input_has_an_empty_jacobian():
    assert numeric_jacobian(np.sum, np.zeros((0, 2)), wrt=0).jacobian.shape == (0, 2)


def test_inputs_are_chosen_by_wrt_and_the_rest_is_held_fixed():
    def f(index, x, name, y):
        assert name == "sum"
        assert index.dtype.kind == "i"
        return x[index] * y

    arguments = np.array([1, 1]), X, "sum", np.array([2.0, 3.0])
    assert [found.input for found in numeric_jacobian(f, *arguments)] == [1, 3]
    assert [found.input for found in numeric_jacobian(f, *arguments, wrt=[3, 1])] == [3, 1]
    assert np.allclose(numeric_jacobian(f, *arguments, wrt=3).jacobian, np.diag(X[[1, 1]]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_everything_is_evaluated_in_float64(dtype):
    seen = set()

    def f(x, y):
        seen.update([x.dtype, y.dtype])
        return np.exp(x) * y

    x = X.astype(dtype)
    found = numeric_jacobian(f, x, np.ones(3, dtype), wrt=0)
    assert seen == {np.dtype(np.float64)}
    assert relative_error(found.jacobian, np.diag(np.exp(x.astype(float)))) < 1e-11


def test_inputs_stay_as_they_are_even_if_f_writes_into_them():
    x, y = X.copy(), X.copy()

    def f(x, y):
        x *= 2
        y += 1
        return x * y

    numeric_jacobian(f, x, y)
    assert (x == X).all()
    assert (y == X).all()


def test_inputs_stay_as_they_are_when_f_raises():
    x = X.copy()
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("the seventh seal")
        return x

    with pytest.raises(RuntimeError, match="seventh"):
        numeric_jacobian(f, x)
    assert (x == X).all()


def test_tensors_in_and_out():
    found = numeric_jacobian(lambda x: ad.asarray(x * x), ad.tensor(X), wrt=0)
    assert np.allclose(found.jacobian, np.diag(2 * X))


# ---- kinks


def test_the_slopes_on_both_sides_of_a_kink():
    found = numeric_jacobian(np.abs, np.array([-1.0, 0.0, 1.0]), wrt=0)
    assert found.kinks.tolist() == np.diag([False, True, False]).tolist()
    assert (found.left[1, 1], found.right[1, 1]) == (-1.0, 1.0)
    assert np.allclose(found.jacobian.diagonal(), [-1, 0, 1])
    smooth = ~found.kinks
    assert (found.left[smooth] == found.jacobian[smooth]).all()
    assert (found.right[smooth] == found.jacobian[smooth]).all()


def test_relu_at_zero_and_a_maximum_with_ties():
    relu = numeric_jacobian(lambda x: np.maximum(x, 0), np.array([0.0]), wrt=0)
    assert (relu.left.item(), relu.right.item(), relu.kinks.item()) == (0.0, 1.0, True)
    ties = numeric_jacobian(np.max, np.array([1.0, 3.0, 3.0]), wrt=0)
    assert ties.kinks.tolist() == [False, True, True]
    assert (ties.left[1], ties.right[1]) == (0.0, 1.0)


@pytest.mark.parametrize("distance", [s * 10.0**-k for k in range(3, 8) for s in (1, -1)])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_next_to_a_kink_there_is_one_slope(distance, offset):
    found = numeric_jacobian(lambda x: offset + np.abs(x), distance, wrt=0)
    assert not found.kinks
    assert found.jacobian == pytest.approx(np.sign(distance), abs=1e-7)
    assert abs(found.jacobian - np.sign(distance)) <= found.error + 1e-15
    beside_one = numeric_jacobian(lambda x: offset + np.maximum(x - 1, 0), 1 + distance, wrt=0)
    assert not beside_one.kinks
    assert beside_one.jacobian == pytest.approx(float(distance > 0), abs=1e-7)


@pytest.mark.parametrize("exponent", range(8, 17))
def test_the_true_slope_is_between_both_sides_however_close_the_kink(exponent):
    x = 10.0**-exponent
    for f in (np.abs, lambda x: 1 + np.abs(x), lambda x: 1e3 + np.abs(x)):
        found = numeric_jacobian(f, x, wrt=0)
        assert found.left - 20 * found.error <= 1 <= found.right + 20 * found.error
        assert found.error < 1e-3


def test_a_kink_is_found_under_a_stronger_curvature():
    # The second differences at h/2 and h are in the ratio 0.55 here, those of a smooth function in 0.5.
    found = numeric_jacobian(lambda x: 5 * x + 2e-3 * np.maximum(x, 0) + 10 * x * x, 0.0, wrt=0)
    assert found.kinks
    assert found.left == pytest.approx(5.0, rel=1e-7)
    assert found.right == pytest.approx(5.002, rel=1e-7)


@pytest.mark.parametrize(
    "f", [lambda x: x**2, lambda x: x**3, lambda x: np.maximum(x, 0) ** 2, lambda x: x * np.abs(x), np.cosh]
)
def test_a_derivative_of_zero_is_no_kink(f):
    found = numeric_jacobian(f, 0.0, wrt=0)
    assert not found.kinks
    assert abs(found.jacobian) < 1e-9


# ---- fast functions, noise, jumps, edges


def test_an_oscillation_near_its_crest():
    # all slopes seen before the steps resolve it are larger than the one wanted
    x = 2 * np.pi * 1e5 + 1e-4
    found = numeric_jacobian(lambda x: np.cos(10 * x), x, wrt=0)
    assert found.jacobian == pytest.approx(-10 * np.sin(10 * x), abs=1e-6)


@pytest.mark.parametrize("frequency", [1e2, 1e4, 1e6])
def test_an_oscillation_that_the_first_steps_skip(frequency):
    found = numeric_jacobian(lambda x: np.sin(frequency * x), 1.0, wrt=0)
    assert found.jacobian == pytest.approx(frequency * np.cos(frequency), rel=1e-7)
    assert not found.kinks


@pytest.mark.parametrize("x", [1e-12, 5e-17, 1e-300, 5e-324])
def test_digits_do_not_get_lost_where_x_is_almost_zero(x):
    found = numeric_jacobian(lambda x: 1 + np.sin(x), x, wrt=0)
    assert found.jacobian == pytest.approx(1.0, abs=1e-11)
    assert found.error < 1e-6


@pytest.mark.parametrize("amplitude", [1e-11, 1e-9, 1e-7, 1e-5])
def test_noise_inside_f_shows_in_the_error(amplitude):
    bad = 0
    for seed in range(50):
        x = np.random.default_rng(seed).normal(size=3)
        found = numeric_jacobian(lambda x: np.sin(x) + amplitude * np.sin(1e13 * x), x, wrt=0)
        wrong = np.abs(found.jacobian - np.diag(np.cos(x)))
        bad += (wrong > 20 * found.error + 1e-6 * np.abs(found.jacobian) + 1e-8).sum()
        assert not found.kinks.any()
    # Noise may be smooth by chance: 1 to 4 % of the entries were, of 600.
    assert bad <= 15


def test_float32_results_are_differenced_with_wider_steps():
    found = numeric_jacobian(lambda x: np.sin(np.float32(x)), 0.3, wrt=0)
    assert found.jacobian == pytest.approx(np.cos(0.3), abs=1e-4)
    assert abs(found.jacobian - np.cos(0.3)) <= found.error


@pytest.mark.parametrize("f", [np.floor, np.round, np.sign])
def test_a_jump_is_rough(f):
    at = {np.floor: 1.0, np.round: 0.5, np.sign: 0.0}[f]
    found = numeric_jacobian(f, at, wrt=0)
    assert found.rough
    assert 20 * found.error > 100
    assert not numeric_jacobian(f, 0.3, wrt=0).rough


@pytest.mark.parametrize("log", [np.log, math.log])
@pytest.mark.parametrize("x", [1e-3, 1e-6, 1e-12])
def test_steps_stay_inside_the_domain(log, x):
    found = numeric_jacobian(log, x, wrt=0)
    assert found.jacobian == pytest.approx(1 / x, rel=1e-7)


def test_an_edge_of_the_domain_is_an_error():
    with pytest.raises(ValueError, match=r"not finite on both sides of input 0\[1\] = 0, however small") as error:
        numeric_jacobian(np.sqrt, np.array([1.0, 0.0]))
    assert "Move it inside" in str(error.value)
    with pytest.raises(ValueError, match="f raised ValueError"):
        numeric_jacobian(math.sqrt, 0.0)


# ---- bad input


def test_errors_name_the_input_what_was_given_and_the_remedy():
    with pytest.raises(TypeError, match=r"no floats, but int64 of shape \(2,\), a Python str; .* dtype=float"):
        numeric_jacobian(np.sum, np.array([1, 2]), "text")
    with pytest.raises(TypeError, match="no floats, but nothing at all"):
        numeric_jacobian(lambda: 1.0)
    with pytest.raises(TypeError, match="no floats, but a Python int"):
        numeric_jacobian(np.sin, 3)
    with pytest.raises(TypeError, match=r"wrt names input 1, which is int64 of shape \(1,\); expected a float"):
        numeric_jacobian(lambda x, i: x[i], X, np.array([1]), wrt=1)
    with pytest.raises(ValueError, match="wrt names input 2; expected positions from 0 to 0"):
        numeric_jacobian(np.sin, X, wrt=[2])
    with pytest.raises(TypeError, match=r"f is float64 of shape \(3,\); expected a function"):
        numeric_jacobian(np.sin(X), X)
    with pytest.raises(ValueError, match=r"input 0\[1\] is nan; expected finite"):
        numeric_jacobian(np.sin, np.array([0.0, np.nan]))


def test_errors_name_what_f_returned():
    with pytest.raises(TypeError, match=r"f returned a Python NoneType; .* lack a return statement"):
        numeric_jacobian(lambda x: None, X)
    with pytest.raises(TypeError, match="f returned a Python tuple; expected one float array"):
        numeric_jacobian(lambda x: (x, x), X)
    with pytest.raises(TypeError, match=r"f returned int64 of shape \(\)"):
        numeric_jacobian(np.argmax, X)
    with pytest.raises(TypeError, match="f returned complex128"):
        numeric_jacobian(np.fft.fft, X)
    with pytest.raises(ValueError, match=r"f\(inputs\)\[1\] is nan"):
        numeric_jacobian(np.sqrt, X)
    with pytest.raises(ValueError, match=r"shape \(1,\) and, after a small change of input 0, shape \(0,\)"):
        numeric_jacobian(lambda x: x[x >= 0], np.array([0.0]))


def test_a_random_function_is_an_error():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two different values for the same input"):
        numeric_jacobian(lambda x: x * random.normal(), X)
