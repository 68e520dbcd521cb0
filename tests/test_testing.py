"""What the strategies draw, and that the decorator finds wrong gradients."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tinyad.testing import arrays, broadcastable, gradcheck_cases, kink_free, shapes, with_ties

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# ---- what is drawn


@FEW
@given(shapes(min_dims=1, max_dims=2, min_side=0, max_side=4))
def test_shapes_keep_to_their_bounds(shape):
    assert 1 <= len(shape) <= 2 and all(0 <= n <= 4 for n in shape)


@FEW
@given(broadcastable(3))
def test_shapes_that_broadcast(three):
    assert len(three) == 3
    assert len(np.broadcast_shapes(*three)) <= 3


@FEW
@given(arrays(shapes(min_side=0), low=-1, high=2.5))
def test_arrays_are_bounded_and_have_three_decimals(x):
    assert isinstance(x, np.ndarray) and x.dtype == np.float64
    assert (x >= -1).all() and (x <= 2.5).all()
    np.testing.assert_allclose(x * 1000, np.round(x * 1000), atol=1e-9)


@pytest.mark.parametrize("strategy", [arrays((2, 3), dtype=np.float32), kink_free((2, 3), dtype=np.float32)])
def test_the_shape_and_dtype_that_are_asked_for(strategy):
    @FEW
    @given(strategy)
    def drawn(x):
        assert x.shape == (2, 3) and x.dtype == np.float32

    drawn()


@FEW
@given(arrays(broadcastable()))
def test_a_tuple_of_shapes_draws_a_tuple_of_arrays(pair):
    a, b = pair
    assert (a + b).shape == np.broadcast_shapes(a.shape, b.shape)


def test_both_signs_and_zero_are_drawn():
    assert find(arrays((2,)), lambda x: x.min() < 0 < x.max()).tolist() == [0.001, -0.001]
    assert find(arrays((2,)), lambda x: 0 in x).tolist() == [0, 0]


@FEW
@given(kink_free(kinks=(-1, 0, 1), margin=0.2))
def test_kink_free_keeps_away_from_all_kinks(x):
    assert all((abs(x - kink) > 0.199).all() for kink in (-1, 0, 1))


@FEW
@given(kink_free(shapes(max_side=4), margin=0.25, distinct=True, low=-1, high=1))
def test_distinct_numbers_are_a_margin_apart(x):
    assert (abs(x) > 0.249).all()
    assert (np.diff(np.sort(x, axis=None)) > 0.249).all()
    if x.size <= 8:
        assert (abs(x) <= 1).all()


def test_distinct_numbers_come_in_any_order():
    assert find(kink_free((3,), distinct=True), lambda x: (np.diff(x) > 0).all()).tolist() == [-0.1, 0.1, 0.2]


@FEW
@given(with_ties())
def test_the_largest_number_occurs_twice(x):
    assert (x == x.max()).sum() >= 2


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_there_is_a_tie_in_every_row(axis):
    @FEW
    @given(with_ties(shapes(min_dims=2, min_side=2), axis=axis))
    def tied(x):
        assert ((x == x.max(axis, keepdims=True)).sum(axis) >= 2).all()

    tied()


# ---- the decorator


def test_a_right_gradient_passes_and_the_body_runs_on_every_example():
    seen = []

    @gradcheck_cases(lambda a, b: a * ad.sin(b), arrays(broadcastable()), max_examples=20)
    def product(a, b):
        """A product."""
        seen.append((a.shape, b.shape))

    product()
    assert len(seen) >= 20 and len(set(seen)) > 3
    assert (product.__name__, product.__doc__) == ("product", "A product.")


def test_a_wrong_gradient_is_found_and_named():
    @gradcheck_cases((lambda x: (x**2, x), lambda x, gy: (x * gy,)), arrays((2,)))
    def square(x):
        raise NotImplementedError("the check comes first")

    with pytest.raises(ad.GradientError, match="D23 factor"):
        square()


def test_what_the_body_asserts_counts():
    @gradcheck_cases(ad.exp, arrays())
    def grows(x):
        assert x.size == 0 or x.max() <= 0.001

    with pytest.raises(AssertionError):
        grows()


@gradcheck_cases(ad.max, kink_free(distinct=True), max_examples=10)
def test_the_decorator_on_a_function_of_this_file(x):
    assert x.size


def test_inputs_without_floats_are_held_fixed():
    @gradcheck_cases(lambda x, k: x[k] ** 2, arrays((4,)), st.integers(0, 3), max_examples=10)
    def picked(x, k):
        assert x.shape == (4,) and k in range(4)

    picked()


def test_ties_are_kinks_that_the_check_accepts():
    @gradcheck_cases(lambda x: ad.max(x, axis=0), with_ties(shapes(min_dims=1, min_side=2), axis=0), max_examples=10)
    def tied(x):
        assert x.ndim

    tied()


def test_options_go_to_the_check():
    def backward(gy, x):
        return (2 * x * gy,)

    @gradcheck_cases((lambda x: (x**2, x), backward), arrays(), calling="dout_cache", max_examples=5)
    def square(x):
        assert x.dtype == np.float64

    square()


# ---- errors


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: arrays(low=2, high=1), "low is 2 and high is 1"),
        (lambda: kink_free(kinks=(0,), margin=5), "leaves some room"),
        (lambda: kink_free(margin=0), "positive margin"),
        (lambda: find(with_ties((1,)), lambda x: True), "room for one number"),
    ],
)
def test_no_room(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_what_is_no_operation():
    with pytest.raises(TypeError, match="expected a function, or a pair"):
        gradcheck_cases(3, arrays())
    with pytest.raises(TypeError, match="no strategy was given"):
        gradcheck_cases(ad.exp)


def test_without_hypothesis_the_extra_is_named():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import tinyad.testing\n"
        "try: tinyad.testing.shapes()\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install tinyad[test]" in said
