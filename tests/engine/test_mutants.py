"""Lines that could be wrong without any other test noticing, as `make mutants` found."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import tinyad as ad
from tinyad.kinds import PRIMITIVES, _multiply_reusing, linear

x = np.array([0.3, 0.5])


def test_tangents_that_are_differentiated_themselves() -> None:
    def slope(t: ad.Tensor) -> ad.Tensor:
        return ad.sum(ad.jvp(lambda y: ad.sum(y) * y, (x,), (ad.sin(t),))[1])

    # d/dt of sum(sin t) sum(x) + sum(x) sum(sin t)
    np.testing.assert_allclose(ad.grad(slope)(x), 2 * x.sum() * np.cos(x), rtol=1e-14)


def test_tangents_that_are_constant_tensors_give_arrays() -> None:
    _, tangent = ad.jvp(lambda y: y * y, (x,), (ad.Tensor(x),))
    assert type(tangent) is np.ndarray
    np.testing.assert_array_equal(tangent, 2 * x * x)


def test_anomalies_of_the_second_operand_when_the_first_is_constant() -> None:
    with pytest.raises(FloatingPointError, match="operand 1 of shape"), ad.detect_anomaly(), np.errstate(all="ignore"):
        ad.grad(lambda y: ad.sum(ad.divide(np.ones(2), y)))(np.array([1.0, 0.0]))


def test_one_cotangent_for_two_operands_is_not_changed_by_what_comes_to_one_of_them() -> None:
    def f(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        first = ad.sum(x * 7.0)
        return ad.sum((x + y) * np.array([1.0, 2.0, 3.0])) + first  # one cotangent goes to y, and summed to x

    to_x, to_y = ad.grad(f, argnums=(0, 1))(np.zeros(3), np.zeros((1, 3)))
    np.testing.assert_array_equal(to_x, [8.0, 9.0, 10.0])
    np.testing.assert_array_equal(to_y, [[1.0, 2.0, 3.0]])


def test_large_partial_derivatives_are_overwritten_only_in_their_dtype() -> None:
    cotangent, partial = np.full(5000, 1.0 + 1e-12), np.ones(5000)
    assert _multiply_reusing(cotangent, partial) is partial
    np.testing.assert_array_equal(partial, cotangent)
    np.testing.assert_array_equal(_multiply_reusing(cotangent, np.ones(5000, np.float32)), cotangent)
    assert _multiply_reusing(np.ones((2, 5000)), partial).shape == (2, 5000)


def test_constants_beside_a_batch_are_repeated_as_often_as_there_are_examples() -> None:
    examples, constant = np.arange(15.0).reshape(5, 3), np.array([7.0, 8.0])
    found = ad.vmap(lambda row: ad.concat([row, constant]))(examples)
    np.testing.assert_array_equal(found, np.hstack([examples, np.tile(constant, (5, 1))]))


def test_lists_beside_tensors_are_arrays_for_the_rules_too() -> None:
    found = ad.grad(lambda y: ad.sum(ad.power(y, [2.0, 3.0])))(x)
    np.testing.assert_allclose(found, [2.0 * x[0], 3.0 * x[1] ** 2], rtol=1e-15)
    found = ad.grad(lambda y: ad.sum(ad.divide([2.0, 3.0], y)))(x)
    np.testing.assert_allclose(found, [-2.0 / x[0] ** 2, -3.0 / x[1] ** 2], rtol=1e-15)


def test_functions_know_where_they_were_declared_and_what_they_are() -> None:
    assert ad.sin.__module__ == "tinyad.primitives.elementwise" and pickle.loads(pickle.dumps(ad.sin)) is ad.sin
    assert ad.cos.__doc__ == "Elementwise ``cos``, as NumPy's."
    assert ad.floor.__doc__.startswith("Elementwise ``floor``, as NumPy's; it has no derivative")


def test_constants_of_each_example_are_refused_without_a_rule_and_named() -> None:
    try:
        scaled = linear("scaled for a test", lambda xp, x, by: x * by, lambda g, like, by: scaled(g, by))
        with pytest.raises(TypeError, match=r"scaled for a test: operand 1 differs from example to example"):
            ad.vmap(scaled)(np.ones((2, 3)), np.ones((2, 3)))
    finally:
        PRIMITIVES.pop("scaled for a test", None)


def test_what_is_written_through_a_slice_is_refused() -> None:
    y = ad.tensor(np.zeros(3))
    y = y * 1.0
    part = y[:2]
    with pytest.raises(TypeError, match=r"another Tensor, of shape \(3,\), shows the same"):
        part[0] = 1.0


# ---- of the rules


def test_how_close_is_close_unless_said_otherwise() -> None:
    pairs = np.array([[1.0, 1.0 + 9e-6], [1.0, 1.0 + 2e-5], [0.0, 9e-9], [0.0, 2e-8], [np.nan, np.nan]])
    np.testing.assert_array_equal(ad.isclose(pairs[:, 0], pairs[:, 1]), [True, False, True, False, False])


def test_argsort_of_all_elements() -> None:
    np.testing.assert_array_equal(ad.argsort(np.array([[3.0, 1.0], [2.0, 0.0]]), axis=None), [3, 1, 2, 0])


def test_triangles_are_of_matrices() -> None:
    for triangle in (ad.tril, ad.triu):
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            triangle(np.ones(3))


def test_where_to_split_as_an_array() -> None:
    assert [part.size for part in ad.array_split(np.arange(5.0), np.array([1, 3]))] == [1, 2, 2]


@pytest.mark.filterwarnings("ignore:Degrees of freedom:RuntimeWarning", "ignore:divide by zero:RuntimeWarning")
def test_covariance_of_too_few_with_weights() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 1.0]])
    np.testing.assert_array_equal(ad.cov(rows, aweights=[1.0, 1.0], ddof=3), np.cov(rows, aweights=[1.0, 1.0], ddof=3))


def test_defaults_of_axes() -> None:
    matrix = np.array([[1.0, 2.0, 4.0], [0.0, -1.0, 3.0]])
    np.testing.assert_array_equal(ad.log_softmax(matrix), ad.log_softmax(matrix, axis=1))
    assert ad.argmin(matrix, axis=0).shape == (3,)


def test_a_number_made_of_two_is_a_number() -> None:
    assert isinstance(ad.complex(np.float64(1.0), np.float64(2.0)), np.generic)
    assert not np.shares_memory(ad.logcumsumexp(only := np.array([1.5])), only)


def test_channels_that_do_not_fit() -> None:
    for groups in (1, 0):
        with pytest.raises(ValueError, match=f"with groups={groups} it expects"):
            ad.conv(np.ones((1, 3, 5)), np.ones((2, 2, 3)), groups=groups)


def test_slopes_and_interpolants_at_their_ends() -> None:
    t, f = np.array([0.0, 1.0, 1.5, 3.0]), np.array([[1.0], [2.0], [0.5], [4.0]]) * np.array([1.0, -2.0])
    for order in (1, 2):
        np.testing.assert_allclose(ad.gradient(f, t, axis=0, edge_order=order), np.gradient(f, t, axis=0, edge_order=order))
    np.testing.assert_array_equal(ad.interp(np.array([0.0, 3.0]), np.array([1.0]), np.array([2.0])), [2.0, 2.0])
    np.testing.assert_array_equal(ad.interp(ad.tensor([0.0, 3.0]), np.array([1.0]), np.array([2.0])).array, [2.0, 2.0])
    np.testing.assert_array_equal(ad.grad(lambda x: ad.sum(ad.interp(x, np.array([1.0]), np.array([2.0]))))(t), 0 * t)
    angles, known = np.array([-170.0, 5.0, 179.0, 350.0]), np.array([10.0, 100.0, 300.0])
    np.testing.assert_allclose(
        ad.interp(angles, known, np.array([1.0, 5.0, 2.0]), period=360), np.interp(angles, known, [1.0, 5.0, 2.0], period=360)
    )
    for at in np.linspace(-360, 360, 25):  # between the last and the first of them, too
        assert ad.interp(at, known, np.array([1.0, 5.0, 2.0]), period=360) == pytest.approx(
            np.interp(at, known, [1.0, 5.0, 2.0], period=360)
        )


def test_eigenvalues_of_eigh_alone() -> None:
    matrix = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 5.0]])
    weights = np.array([1.0, -2.0, 0.5])
    v = np.linalg.eigh(matrix)[1]
    found = ad.grad(lambda a: ad.sum(weights * ad.linalg.eigh(a)[0]))(matrix)
    np.testing.assert_allclose(found, v @ np.diag(weights) @ v.T, atol=1e-13)


def test_arguments_by_name_alone() -> None:
    with pytest.raises(TypeError):
        ad.fft.rfftfreq(8, 1.0, np.float32)  # type: ignore[misc]


def test_indices_that_are_true_or_apart() -> None:
    np.testing.assert_array_equal(ad.grad(lambda y: ad.sum(y[True] ** 2))(x), 2 * x)
    np.testing.assert_array_equal(ad.grad(lambda y: ad.sum(y[False]))(x), 0 * x)
    cube = np.arange(2 * 3 * 4 * 3.0).reshape(2, 3, 4, 3)
    rows = np.array([0, 2])
    np.testing.assert_array_equal(ad.vmap(lambda y: y[rows, :, rows])(cube), np.stack([y[rows, :, rows] for y in cube]))
    np.testing.assert_array_equal(ad.vmap(lambda y: y[:, rows, rows])(cube), np.stack([y[:, rows, rows] for y in cube]))


def test_joining_with_a_number() -> None:
    with pytest.raises(ValueError, match=r"array 0 is a number, with no axis"):
        ad.concat([1.0, np.ones(2)])
    with pytest.raises(ValueError, match=r"array 1"):
        ad.concat([np.ones(2), 1.0])
    assert ad.concat([np.zeros((1, 0)), np.ones((1, 2))], axis=1).shape == (1, 2)


def test_least_squares_of_stacks_and_of_short_rank() -> None:
    stack = np.random.default_rng(0).normal(size=(3, 2, 4))
    assert ad.linalg.lstsq(stack, np.ones((3, 2, 5))).residuals.shape == (3, 0)
    assert ad.linalg.lstsq(stack[0], np.ones(2)).residuals.shape == (0,)
    short = np.outer([1.0, 2.0, 3.0], [1.0, 1.0])
    np.testing.assert_allclose(ad.linalg.lstsq(short, np.array([2.0, 4.0, 6.0])).x, [1.0, 1.0], rtol=1e-12)
    narrow = np.zeros((100, 2))
    narrow[0, 0], narrow[1, 1] = 1.0, 50 * np.finfo(float).eps
    assert ad.linalg.matrix_rank(narrow) == np.linalg.matrix_rank(narrow) == 1


def test_infinities_become_the_largest_of_their_sign() -> None:
    largest = np.finfo(float).max
    np.testing.assert_array_equal(ad.nan_to_num(np.array([-np.inf, np.inf, np.nan])), [-largest, largest, 0.0])


def test_widths_of_each_axis_by_one_number() -> None:
    assert ad.pad(np.ones((1, 1, 1)), [1, (2, 0), 3]).shape == (3, 3, 7)


def test_elements_that_occur_twice() -> None:
    np.testing.assert_array_equal(ad.isin(np.array([1.5, 1.5, 2.0]), np.array([2.0, 3.0])), [False, False, True])
    np.testing.assert_array_equal(ad.bincount(np.array([0, 2]), weights=np.array([0.5, 1.5])), [0.5, 0.0, 1.5])
    with pytest.raises(TypeError, match="bincount"):
        ad.bincount(np.array([0.5, 2.0]))


def test_repeated_by_a_list_of_one() -> None:
    np.testing.assert_array_equal(ad.repeat(x, [2]), np.repeat(x, 2))
    np.testing.assert_array_equal(ad.repeat(x, np.array(3)), np.repeat(x, 3))
    np.testing.assert_array_equal(ad.repeat(x, 2), np.repeat(x, 2))


def test_products_along_axes_from_the_front() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(ad.vecdot(a, b, axis=-2), (a * b).sum(axis=-2))


def test_shapes_that_are_numbers() -> None:
    assert ad.broadcast_shapes(3, (2, 1)) == (2, 3)


def test_batches_of_matrices_with_two_axes_of_batch() -> None:
    a, b = np.ones((2, 3, 4, 5)), np.ones((2, 3, 5, 4))
    assert ad.matmul(a, b).shape == (2, 3, 4, 4)
    with pytest.raises(ValueError, match="the axes before the last two"):
        ad.matmul(a, np.ones((3, 3, 5, 4)))


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_list_of_its_own_for_each_search(side: str) -> None:
    lists = np.array([[1.0, 2.0, 2.0], [0.0, 2.0, 3.0]])
    found = ad.vmap(lambda a: ad.searchsorted(a, np.array([2.0, 0.5]), side=side))(lists)
    np.testing.assert_array_equal(found, [np.searchsorted(a, [2.0, 0.5], side=side) for a in lists])


def test_bias_of_a_batch_with_two_axes_more() -> None:
    g = np.random.default_rng(0).normal(size=(100, 3, 2))
    np.testing.assert_allclose(ad.grad(lambda b: ad.sum((np.ones((100, 3, 2)) + b) * g))(np.zeros((3, 2))), g.sum(axis=0))


def test_polynomials_through_points_that_coincide_and_with_weights() -> None:
    found = ad.polyfit(np.zeros(3), np.array([1.0, 2.0, 3.0]), 1)
    np.testing.assert_allclose(found, [0.0, 2.0], atol=1e-12)
    points, values, weights = (
        np.arange(4.0),
        np.array([[1.0, 0.0], [2.0, 5.0], [4.0, 1.0], [7.0, 3.0]]),
        np.array([1.0, 2, 3, 1]),
    )
    np.testing.assert_allclose(
        ad.polyfit(points, values, 1, w=weights), np.polyfit(points, values, 1, w=weights), rtol=1e-12, atol=1e-12
    )


def test_the_same_array_comes_back_unless_a_copy_is_asked_for() -> None:
    assert ad.astype(x, x.dtype, copy=False) is x
    assert ad.astype(x, x.dtype) is not x


def test_a_quantile_on_an_element_does_not_look_at_the_next() -> None:
    assert ad.quantile(np.array([0.0, 1.0, np.inf]), 0.5) == 1.0


def test_one_part_alone() -> None:
    np.testing.assert_array_equal(ad.hstack([x]), x)
    (part,) = ad.split(x, 1)
    np.testing.assert_array_equal(part, x)


def test_blocks_in_three_lists() -> None:
    parts = [[[np.zeros((1, 1, 2)), np.ones((1, 1, 1))], [np.ones((1, 1, 3))]], [[np.zeros((1, 2, 3))]]]
    np.testing.assert_array_equal(ad.block(parts), np.block(parts))


def test_variance_without_freedom_has_infinite_slopes() -> None:
    with pytest.warns(RuntimeWarning, match="Degrees of freedom|divide by zero"):
        slopes = ad.grad(lambda x: ad.mean((x - 0.4) ** 2) + ad.var(x, correction=2))(x)
    np.testing.assert_array_equal(slopes, [-np.inf, np.inf])


def test_bins_that_fall_slowly() -> None:
    bins, values = np.array([2.0, 1.5, 1.5, 1.25]), np.array([0.5, 1.5, 1.75, 2.5])
    np.testing.assert_array_equal(ad.digitize(values, bins), np.digitize(values, bins))


def test_weighted_covariance_of_more_samples_than_variables() -> None:
    samples, weights = np.arange(8.0).reshape(2, 4) ** 2, np.arange(1.0, 5.0)
    np.testing.assert_allclose(ad.cov(samples, aweights=weights), np.cov(samples, aweights=weights))


def test_the_sign_of_a_determinant_is_constant_also_beside_zeros() -> None:
    np.testing.assert_array_equal(ad.grad(lambda a: ad.linalg.slogdet(a)[0])(np.diag([2.0, 3.0])), np.zeros((2, 2)))


def test_transposed_convolution_is_cropped_at_both_ends() -> None:
    signal, ones = np.array([[[1.0, 2.0, 3.0]]]), np.ones((1, 1, 3))
    np.testing.assert_array_equal(ad.conv_transpose(signal, ones, stride=2, padding=1), [[[1.0, 3.0, 2.0, 5.0, 3.0]]])
    with pytest.raises(ValueError, match="must be less than stride"):
        ad.conv_transpose(signal, ones, stride=2, output_padding=2)


def test_integrals_are_taken_a_whole_number_of_times() -> None:
    with pytest.raises(ValueError, match="m=-1"):
        ad.polyint(x, m=-1)


def test_what_is_assigned_gets_a_derivative_of_its_own_dtype() -> None:
    def assigned(v: ad.Tensor) -> ad.Tensor:
        y = ad.zeros(3, dtype="float32")
        y[1:] = v
        return ad.sum(y * y)

    assert ad.grad(assigned)(x).dtype == x.dtype


def test_an_argument_without_arrays_beside_one_with_some() -> None:
    assert ad.grad(lambda x, settings: x * x, argnums=(0, 1))(3.0, {}) == (6.0, {})
    assert ad.jvp(lambda x, settings: x * x, (3.0, None), (1.0, None)) == (9.0, 6.0)
    assert ad.vjp(lambda: 1.0)[1](1.0) == ()
