"""The checker passes right rules and fails wrong ones, and says which entries are wrong."""

from dataclasses import dataclass

import numpy as np
import pytest

import tinyad as ad
from tinyad.checking import GradientError, Report, check, dot_test

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, 3))
W = RANDOM.normal(size=(3, 7))
B = RANDOM.normal(size=7)
SQUARE = RANDOM.normal(size=(4, 4))


def with_rule(f, backward):
    """f with a reverse rule of its own: ``backward(inputs, g)`` gives a tuple of cotangents."""

    @ad.custom_vjp
    def rule(*args):
        return f(*args)

    rule.defvjp(lambda *args: (f(*args), args), backward)
    return rule


def softmax(x):
    e = ad.exp(x - ad.max(x, axis=-1, keepdims=True))
    return e / ad.sum(e, axis=-1, keepdims=True)


def layernorm(x):
    centred = x - ad.mean(x, axis=-1, keepdims=True)
    return centred / ad.sqrt(ad.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


def spread(x):
    centred = x - ad.mean(x, axis=-1, keepdims=True)
    return ad.sqrt(ad.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


def mean(g):
    return ad.mean(g, axis=-1, keepdims=True)


def one_entry_off(g):
    factor = np.ones(g.shape)
    factor[2, 1] = 1.3
    return g * factor


def softmax_rule(args, g):
    y = softmax(args[0])
    return (y * (g - ad.sum(y * g, axis=-1, keepdims=True)),)


def layernorm_rule(args, g):
    y = layernorm(args[0])
    return ((g - mean(g) - y * mean(g * y)) / spread(args[0]),)


def linear(x, w, b):
    return x @ w + b


# function, inputs, right rule
RIGHT = {
    "softmax": (softmax, (X,), softmax_rule),
    "layernorm": (layernorm, (X,), layernorm_rule),
    "linear": (linear, (X, W, B), lambda a, g: (g @ a[1].T, a[0].T @ g, ad.sum(g, axis=0))),
    "tanh": (ad.tanh, (X,), lambda a, g: (g * (1 - ad.tanh(a[0]) ** 2),)),
    "relu": (ad.relu, (X,), lambda a, g: (g * (a[0] > 0),)),
    "mean": (lambda x: ad.mean(x**2), (X,), lambda a, g: (g * 2 * a[0] / 15,)),
    "product": (lambda x, y: x @ y, (SQUARE, SQUARE + 1), lambda a, g: (g @ a[1].T, a[0].T @ g)),
    "join": (
        lambda x, y: ad.concat([x, y]),
        (X, X + 1),
        lambda a, g: (g[:5], g[5:]),
    ),
    "constant": (lambda x: ad.sum(softmax(x)), (X,), lambda a, g: (g * 0 * a[0],)),
}

# name: key of the function, wrong rule
WRONG = {
    "softmax, the sum is missing": ("softmax", lambda a, g: (softmax(a[0]) * g,)),
    "layernorm, no mean and variance": ("layernorm", lambda a, g: (g / spread(a[0]),)),
    "layernorm, no variance": ("layernorm", lambda a, g: ((g - mean(g)) / spread(a[0]),)),
    "linear, sign": ("linear", lambda a, g: (-(g @ a[1].T), a[0].T @ g, ad.sum(g, axis=0))),
    "linear, mean for sum": ("linear", lambda a, g: (g @ a[1].T, a[0].T @ g, ad.mean(g, axis=0))),
    "linear, no bias": ("linear", lambda a, g: (g @ a[1].T, a[0].T @ g, None)),
    "tanh, of the input": ("tanh", lambda a, g: (g * (1 - a[0] ** 2),)),
    "tanh, gy forgotten": ("tanh", lambda a, g: (1 - ad.tanh(a[0]) ** 2,)),
    "tanh, one entry": ("tanh", lambda a, g: (one_entry_off(g) * (1 - ad.tanh(a[0]) ** 2),)),
    "tanh, almost right": ("tanh", lambda a, g: (g * (1 - ad.tanh(a[0]) ** 2) * (1 + 1e-5),)),
    "tanh, nan": ("tanh", lambda a, g: (g * np.nan,)),
    "relu, inverted mask": ("relu", lambda a, g: (g * (a[0] < 0),)),
    "mean, N - 1": ("mean", lambda a, g: (g * 2 * a[0] / 14,)),
    "mean, factor": ("mean", lambda a, g: (g * a[0] / 15,)),
    "product, first not transposed": ("product", lambda a, g: (g @ a[1], a[0].T @ g)),
    "product, second in the wrong order": ("product", lambda a, g: (g @ a[1].T, g @ a[0].T)),
    "product, transposed": ("product", lambda a, g: ((g @ a[1].T).T, a[0].T @ g)),
    "join, exchanged": ("join", lambda a, g: (g[5:], g[:5])),
    "constant, not constant": ("constant", lambda a, g: (g * 1e-6 * a[0],)),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("seed", range(3))
def test_right_rules_pass(name, seed):
    f, inputs, rule = RIGHT[name]
    assert check(f, *inputs, seed=seed, order=2)
    assert check(with_rule(f, rule), *inputs, seed=seed)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("seed", range(3))
def test_wrong_rules_fail(name, seed):
    key, rule = WRONG[name]
    f, inputs, _ = RIGHT[key]
    with pytest.raises(GradientError):
        check(with_rule(f, rule), *inputs, seed=seed)


@pytest.mark.parametrize("name", set(WRONG) - {"tanh, nan"})
def test_wrong_rules_fail_in_float32(name):
    key, rule = WRONG[name]
    f, inputs, _ = RIGHT[key]
    assert not check(with_rule(f, rule), *[x.astype(np.float32) for x in inputs], raises=False)


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_pass_in_float32(name):
    f, inputs, rule = RIGHT[name]
    inputs = [x.astype(np.float32) for x in inputs]
    assert check(with_rule(f, rule), *inputs)
    report = check(f, *inputs)
    assert {comparison.dtype for comparison in report.comparisons} == {np.dtype("f4"), np.dtype("f8")}


def test_a_rule_wrong_in_float32_alone_fails():
    def rounds_its_constant_away(args, g):
        return (g * (1 - ad.tanh(args[0]) ** 2) * (1e8 + args[0] - 1e8) / args[0],)

    slack = with_rule(ad.tanh, rounds_its_constant_away)
    report = check(slack, X.astype(np.float32), raises=False)
    exact, single = report.comparisons
    assert exact.passed
    assert not single.passed


def test_float16_is_checked_in_float32():
    report = check(ad.tanh, X.astype(np.float16))
    assert report
    assert "float16 inputs are checked in float32" in str(report)


@pytest.mark.parametrize("scale", [10.0**k for k in range(-6, 7, 2)])
@pytest.mark.parametrize("f", [softmax, layernorm, ad.tanh, lambda x: ad.sum(x**2), lambda x: ad.norm(x)])
def test_scaled_inputs_raise_no_false_alarm(f, scale):
    assert check(f, X * scale)


@pytest.mark.parametrize("scale", [1e-11, 1e-6, 1e6, 1e15])
def test_wrong_rules_fail_however_small_the_function(scale):
    right = with_rule(lambda x: ad.sum(x**2) * scale, lambda a, g: (g * 2 * scale * a[0],))
    wrong = with_rule(lambda x: ad.sum(x**2) * scale, lambda a, g: (g * 1.01 * 2 * scale * a[0],))
    assert check(right, X)
    assert not check(wrong, X, raises=False)


def test_a_derivative_of_zero_passes_with_roundoff():
    assert check(lambda x: ad.sum(x - ad.mean(x)), X)
    assert check(lambda x: ad.sum(softmax(x)), X)
    assert check(lambda x: ad.sum(softmax(x)), X.astype(np.float32))
    assert check(lambda x: ad.var(x), np.full(3, 0.1))


# ---- kinks


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_every_slope_between_the_two_sides_of_a_kink_passes_and_is_reported(slope):
    relu = with_rule(ad.relu, lambda a, g: (g * (a[0] > 0) + g * slope * (a[0] == 0),))
    report = check(relu, np.array([-1.0, 0.0, 2.0]))
    assert report.comparisons[0].kinks.tolist() == np.diag([False, True, False]).tolist()
    assert "1 of 9 at a kink of f, where any slope between the two sides passes" in str(report)
    assert f"d out[1] / d in[1]   yours {slope:+.8g}   numeric +0 to +1" in str(report)


@pytest.mark.parametrize("slope", [-0.1, 1.1])
def test_a_slope_beyond_both_sides_fails(slope):
    relu = with_rule(ad.relu, lambda a, g: (g * (a[0] > 0) + g * slope * (a[0] == 0),))
    assert not check(relu, np.array([-1.0, 0.0, 2.0]), raises=False)


def test_a_wrong_rule_fails_beside_kinks():
    inverted = with_rule(ad.relu, lambda a, g: (g * (a[0] < 0),))
    assert not check(inverted, np.array([0.0, 0.0, 2.0]), raises=False)


@pytest.mark.parametrize("distance", [s * 10.0**-k for k in range(3, 12) for s in (1, -1)])
def test_no_false_alarm_next_to_kinks(distance):
    x = np.array([distance, 0.5, -2.0])
    assert check(ad.abs, x)
    assert check(ad.relu, x)
    assert check(lambda x: ad.sum(ad.relu(x) * 1e-3 + 5 * x**2), x)
    assert check(lambda x: ad.max(x), np.array([1.0, 1.0 + distance, -1.0]))


def test_tied_maxima_pass():
    assert check(lambda x: ad.max(x, axis=0), np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 2.0]]))


def test_a_jump_is_reported_and_not_judged():
    report = check(lambda x: ad.floor(x) + x, np.array([0.5, 1.0]))
    assert "where f jumps or is noisy" in str(report)


# ---- large inputs


@pytest.mark.parametrize("outputs", [1, 600])
def test_large_inputs_are_checked_in_random_directions(outputs):
    x = RANDOM.normal(size=(5, 600))
    f = (lambda x: ad.sum(ad.tanh(x) ** 2)) if outputs == 1 else (lambda x: ad.sum(ad.tanh(x), axis=0))
    report = check(f, x)
    assert report.comparisons[0].columns is None
    assert "random projections" in str(report)
    assert check(f, x.astype(np.float32))


def test_wrong_rules_fail_in_random_directions():
    x = RANDOM.normal(size=3000)

    def one_of_3000(args, g):
        factor = np.ones(3000)
        factor[1234] = 1.3
        return (g * factor * (1 - ad.tanh(args[0]) ** 2),)

    for rule in (
        one_of_3000,
        lambda a, g: (g * 2 * (1 - ad.tanh(a[0]) ** 2),),
        lambda a, g: (-g * (1 - ad.tanh(a[0]) ** 2),),
        lambda a, g: (ad.flip(g) * (1 - ad.tanh(a[0]) ** 2),),
    ):
        report = check(with_rule(ad.tanh, rule), x, raises=False)
        assert not report
        assert "combination" in str(report)
        assert "direction" in str(report)
    assert check(with_rule(ad.tanh, lambda a, g: (g * (1 - ad.tanh(a[0]) ** 2),)), x)


def test_many_outputs_are_combined():
    wide = RANDOM.normal(size=(3, 600))
    report = check(lambda x: ad.tanh(x @ wide), X[:1])
    assert report.comparisons[0].yours.shape == (8, 3)
    doubled = with_rule(lambda x: ad.tanh(x @ wide), lambda a, g: (2 * (g @ wide.T),))
    assert not check(doubled, X[:1], raises=False)


def test_kinks_at_many_entries_at_once_raise_no_false_alarm():
    # as a network with zero biases has them for the black pixels of an image
    x = RANDOM.normal(size=3000)
    x[::3] = 0.0
    signs = RANDOM.choice([-1.0, 1.0], 3000)
    for seed in range(5):
        assert check(lambda x: ad.sum(ad.relu(x) * signs), x, seed=seed)
    inverted = with_rule(lambda x: ad.sum(ad.relu(x) * signs), lambda a, g: (g * signs * (a[0] < 0),))
    assert not check(inverted, x, raises=False)


# ---- forward against reverse mode


def test_the_dot_test_passes_where_both_modes_come_from_one_rule():
    for name, (f, inputs, rule) in RIGHT.items():
        assert dot_test(f, *inputs), name
        assert dot_test(with_rule(f, rule), *inputs), name
        assert dot_test(f, *[x.astype(np.float32) for x in inputs]), name


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_the_dot_test_fails_however_large_the_output(size):
    @ad.custom_jvp
    def double(x):
        return 2.0 * x

    double.defjvp(lambda primals, tangents: (2.0 * primals[0], 4.0 * tangents[0]))
    assert dot_test(double, np.ones(size))  # reverse is the transpose of the wrong rule: nothing to find
    assert not check(double, np.ones(min(size, 5000)), raises=False)
    parts = dot_test(lambda x: 2.0 * x, np.ones(size))
    assert not type(parts)(2 * parts.forward, parts.reverse, abs(parts.forward) / size**0.5, parts.bound)


def test_the_dot_test_shows_both_numbers():
    result = dot_test(lambda x: ad.sin(x) * x, X)
    assert result.forward == pytest.approx(result.reverse, rel=1e-12)
    assert result.gap < 1e-14
    assert str(result).startswith("dot test passed: <u, J v> = ")
    assert dot_test(ad.sin, X, seed=1).forward != dot_test(ad.sin, X, seed=2).forward


def test_forward_mode_that_cannot_be_evaluated_is_noted():
    def in_plain_numpy(args, g):
        return (np.asarray(g) * np.cos(args[0]),)

    report = check(with_rule(ad.sin, in_plain_numpy), X)
    assert report
    assert report.dot is None
    assert "forward mode is not checked" in str(report)


# ---- second order


def test_a_wrong_second_derivative_fails_at_order_two():
    hidden = with_rule(lambda x: x**3, lambda a, g: (g * 3 * ad.stop_gradient(a[0]) ** 2,))
    assert check(hidden, X)
    with pytest.raises(GradientError, match="check of the pullback of rule: FAILED"):
        check(hidden, X, order=2)


def test_order_two_is_not_tried_where_order_one_fails():
    report = check(with_rule(ad.sin, lambda a, g: (g,)), X, order=2, raises=False)
    assert report.second is None
    assert not report


def test_order_two_reports_both_orders():
    report = check(linear, X, W, B, order=2)
    assert [c.name for c in report.second.comparisons] == ["input 0", "input 1", "input 2", "the cotangent"]
    assert str(report).count("passed   (seed 0)") == 2


# ---- arguments and results


def test_trees_in_and_out():
    @dataclass
    class Layer:
        w: np.ndarray
        b: np.ndarray
        activation: object = ad.tanh

    layers = [Layer(W, B), Layer(W.T, np.ones(3))]

    def f(model, x, index, mode):
        assert mode == "train"
        for layer in model["layers"]:
            x = layer.activation(x @ layer.w + layer.b)
        return {"out": x[index], "count": 3, "norm": ad.sum(x**2)}

    index = np.array([0, 0, 2])
    report = check(f, {"layers": layers}, X, index, "train", order=2)
    names = [comparison.name for comparison in report.comparisons]
    assert names == [
        *[f"input 0['layers'][{k}].{field}" for k in range(2) for field in ("w", "b")],
        "input 1",
    ]
    assert index.tolist() == [0, 0, 2]


def test_numbers_and_tensors_as_inputs():
    assert check(lambda x, y: x * y, 2.0, 3.0)
    assert check(lambda x: ad.sin(x), ad.tensor(X))
    assert check(lambda x: 3.0, X)  # does not depend on x at all
    assert check(lambda x, y: ad.sum(x) + y, np.zeros((0, 2)), 1.0)


def test_inputs_stay_as_they_are():
    x, w, b = X.copy(), W.copy(), B.copy()
    check(linear, x, w, b, order=2)
    assert (x == X).all()
    assert (w == W).all()
    assert (b == B).all()


def test_rtol_sets_the_relative_tolerance():
    off = with_rule(ad.sin, lambda a, g: (g * ad.cos(a[0]) * 1.001,))
    assert not check(off, X, raises=False)
    assert check(off, X, rtol=1e-2)


@pytest.mark.parametrize("forward", [lambda x: ad.sin(x) + 1, lambda x: ad.sum(ad.sin(x), axis=0)])
def test_a_forward_rule_that_computes_something_else_is_a_fault(forward):
    @ad.custom_vjp
    def sine(x):
        return ad.sin(x)

    sine.defvjp(lambda x: (forward(x), x), lambda x, g: (g * ad.cos(x),))
    report = check(sine, X, raises=False)
    assert not report
    assert "f returns other values when it is differentiated" in str(report)


def test_a_function_that_rounds_its_result_to_float32_is_checked_coarsely():
    def rounded(x):
        return ad.astype(ad.sin(x), np.float32)

    report = check(rounded, X)
    assert "computes in less than float64" in str(report)
    wrong = with_rule(rounded, lambda a, g: (g * 1.1 * ad.cos(a[0]),))
    assert not check(wrong, X, raises=False)


# ---- the report


def test_every_failing_input_is_reported():
    rule = with_rule(linear, lambda a, g: (-(g @ a[1].T), a[0].T @ g, ad.mean(g, axis=0)))
    with pytest.raises(GradientError) as error:
        check(rule, X, W, B)
    text = str(error.value)
    assert isinstance(error.value, AssertionError)
    assert isinstance(error.value.report, Report)
    assert "check of rule: FAILED   (seed 0)" in text
    assert "input 0 (5, 3) float64: 105 of 525 entries of the Jacobian differ, worst first" in text
    assert "input 1 (3, 7) float64: passed, 735 entries of the Jacobian, largest difference" in text
    assert "input 2 (7,) float64: 35 of 245 entries of the Jacobian differ, worst first" in text
    assert "ACTUAL" not in text
    assert "DESIRED" not in text


def test_the_worst_entries_come_first_with_their_index_and_both_numbers():
    def two_wrong(args, g):
        factor = np.ones((5, 3))
        factor[4, 0], factor[2, 1] = 1.5, 1.01
        return (g * factor * 2,)

    report = check(with_rule(lambda x: 2.0 * x, two_wrong), X, raises=False)
    assert report.diagnoses[0].fact.startswith(
        "wrong in in0[2, 1] and in0[4, 0] alone: 2 of 225; worst d out[4, 0] / d in[4, 0]"
    )
    first, second = (line for line in str(report).splitlines() if " / d in" in line and "difference" in line)
    assert first.strip().startswith("d out[4, 0] / d in[4, 0]   yours +3   numeric +2 +- ")
    assert first.endswith("e-12   difference 1.0e+00 (relative 5.0e-01)")
    assert "d out[2, 1] / d in[2, 1]   yours +2.02   numeric +2 " in second
    assert report.comparisons[0].worst(1) == [(12, 12)]
    assert report.comparisons[0].wrong.sum() == 2


def test_a_gradient_that_is_nan_comes_first():
    def some_nan(args, g):
        factor = np.full((5, 3), 1.5)
        factor[1, 1] = np.nan
        return (g * factor,)

    report = check(with_rule(lambda x: 1.0 * x, some_nan), X, raises=False)
    place = next(line for line in str(report).splitlines() if " / d in" in line)
    assert "yours +nan" in place


def test_a_report_is_true_or_false_and_the_same_for_the_same_seed():
    right, wrong = check(ad.sin, X), check(with_rule(ad.sin, lambda a, g: (g,)), X, raises=False)
    assert right.passed and bool(right) is True
    assert not wrong.passed and bool(wrong) is False
    assert str(check(ad.sin, X)) == str(right)


# ---- bad input


def test_errors_name_the_argument_what_was_given_and_the_remedy():
    with pytest.raises(TypeError, match=r"check: the inputs hold no floats, but int64 of shape \(2,\); .*dtype=float"):
        check(ad.sum, np.array([1, 2]))
    with pytest.raises(TypeError, match="check: the inputs hold no floats, but nothing at all"):
        check(lambda: 1.0)
    with pytest.raises(TypeError, match="check: f is a Python NoneType; expected a function"):
        check(None, X)
    with pytest.raises(TypeError, match=r"check: f returned a Python NoneType.* Does f lack a return statement\?"):
        check(lambda x: None, X)
    with pytest.raises(TypeError, match="check: f returned int64 of shape"):
        check(lambda x: np.arange(3), X)
    with pytest.raises(ValueError, match=r"check: input 0\['w'\]\[1\] is nan; expected finite numbers"):
        check(lambda p: ad.sum(p["w"]), {"w": np.array([1.0, np.nan])})
    with pytest.raises(ValueError, match=r"check: f\(inputs\)\[1\] is inf"):
        check(lambda x: x + np.array([0.0, np.inf]), np.ones(2))
    with pytest.raises(ValueError, match=r"f returned an array of shape \(0, 3\); expected at least one entry"):
        check(lambda x: x[:0], X)
    with pytest.raises(ValueError, match="order is 3; expected 1"):
        check(ad.sin, X, order=3)
    with pytest.raises(ValueError, match="rtol is -1; expected a positive number"):
        check(ad.sin, X, rtol=-1)
    with pytest.raises(ValueError, match="not finite on both sides of input 0 = 0"):
        check(lambda x: x * ad.sqrt(x), 0.0)
    with pytest.raises(TypeError, match="dot_test: the inputs hold no floats"):
        dot_test(ad.sum, np.array([1]))
    with pytest.raises(TypeError, match="dot_test: f returned a Python NoneType"):
        dot_test(lambda x: None, X)


def test_a_random_function_is_an_error():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two different values for the same input"):
        check(lambda x: x * random.normal(), X)
