"""Wrong rules of functions of one array, entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.checking.corpus.case import Mutant, Operation, stale, wrong
from tests.checking.corpus.sampling import Values, draws, positive, signed

Slope = Callable[[Any, Any], Any]  # the derivative, from the input and the output


def elementwise(name: str, function: Callable[..., Any], slope: Slope, *mutants: Mutant, of: Values = signed) -> Operation:
    def forward(x: Any) -> Any:
        y = function(x)
        return y, (x, y)

    return Operation(name, forward, sloped(slope), draws((5, 3), of=of), draws((4, 4), of=of), mutants)


def sloped(slope: Slope) -> Callable[..., Any]:
    """The backward of a function whose derivative is ``slope``."""
    return lambda cache, gy: (gy * slope(*cache),)


def wrong_slope(name: str, labels: str, why: str, slope: Slope) -> Mutant:
    return wrong(name, labels, why, sloped(slope))


def sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


def with_cache(function: Callable[..., Any]) -> Callable[..., Any]:
    """The forward that the elementwise operations share."""

    def forward(x: Any) -> Any:
        y = function(x)
        return y, (x, y)

    return forward


def differences_of(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A backward that has no rule: it calls forward again, a little to the right and to the left."""

    def backward(cache: Any, gy: Any) -> Any:
        x, h = cache[0], 1e-5
        return (gy * (forward(x + h)[0] - forward(x - h)[0]) / (2 * h),)

    return backward


def divides_gy_in_place(cache: Any, gy: Any) -> Any:
    gy /= cache[0]
    return (gy.copy(),)


def doubles_x_in_place(cache: Any, gy: Any) -> Any:
    x, _ = cache
    x *= 2
    return (gy * x,)


def zeroes_gy_in_place(cache: Any, gy: Any) -> Any:
    gy[cache[0] < 0] = 0
    return (gy.copy(),)


def rectifies_x_in_place(x: Any) -> Any:
    kept = x.copy()
    x[x < 0] = 0
    return x.copy(), (kept, x.copy())


_softplus_forward = with_cache(softplus)


def softplus_of_differences() -> Operation:
    """Softplus, with the finite differences of its own forward among the mutants."""
    forward = _softplus_forward
    mutants = (
        wrong("at_output", "D42", "the sigmoid of y instead of x", sloped(lambda x, y: sigmoid(y))),
        wrong("of_minus_x", "D44", "the sigmoid of -x: 1 / (1 + exp(x))", sloped(lambda x, y: sigmoid(-x))),
        wrong("differences", "D17", "no rule at all, finite differences of forward", differences_of(forward)),
        wrong("no_local", "D31", "passes gy on", sloped(lambda x, y: 1.0)),
    )
    return Operation("softplus", forward, sloped(lambda x, y: sigmoid(x)), draws((5, 3)), draws((4, 4)), mutants)


def reaching_far(rng: np.random.Generator) -> Any:
    """Ordinary values and one whose exponential overflows."""
    x = signed(rng, (5, 3))
    x[2, 1] = 800.0
    return (x,)


def leaky(x: Any) -> Any:
    return np.where(x > 0, x, 0.1 * x)


def holding_zeros(rng: np.random.Generator) -> Any:
    """Ordinary values and two exact zeros."""
    x = signed(rng, (5, 3))
    x[0, 2] = x[3, 1] = 0.0
    return (x,)


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gelu_parts(x: Any) -> Any:
    """The two terms of the derivative."""
    inner = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return 0.5 * (1 + inner), 0.5 * x * (1 - inner**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)


EXP = elementwise(
    "exp",
    np.exp,
    lambda x, y: y,
    wrong_slope("no_local", "D31", "passes gy on", lambda x, y: 1.0),
    wrong_slope("power_rule", "D44", "the rule of a power: x * e**(x - 1)", lambda x, y: x * np.exp(x - 1)),
    wrong_slope("at_output", "D42", "exp applied to the output again", lambda x, y: np.exp(y)),
    wrong("no_gy", "D18", "returns the derivative without gy", lambda c, gy: (c[1].copy(),)),
)

LOG = elementwise(
    "log",
    np.log,
    lambda x, y: 1 / x,
    wrong_slope("times", "D44", "multiplies by x instead of dividing", lambda x, y: x),
    wrong_slope("at_output", "D42", "1 / y", lambda x, y: 1 / y),
    wrong("in_place", "D12", "gy /= x", divides_gy_in_place),
    wrong_slope("square", "D44", "1 / x**2, the derivative of the reciprocal", lambda x, y: 1 / x**2),
    of=positive,
)

LOG2 = elementwise(
    "log2",
    np.log2,
    lambda x, y: 1 / (x * np.log(2)),
    wrong_slope("natural", "D23", "the derivative of the natural logarithm", lambda x, y: 1 / x),
    of=positive,
)

SQRT = elementwise(
    "sqrt",
    np.sqrt,
    lambda x, y: 0.5 / y,
    wrong_slope("no_half", "D23", "the 1/2 of the power rule forgotten", lambda x, y: 1 / y),
    wrong_slope("at_input", "D43", "1 / (2 x) instead of 1 / (2 y)", lambda x, y: 0.5 / x),
    wrong_slope("times", "D44", "y / 2 instead of 1 / (2 y)", lambda x, y: 0.5 * y),
    of=positive,
)

SQUARE = elementwise(
    "square",
    np.square,
    lambda x, y: 2 * x,
    wrong_slope("no_two", "D23", "the 2 forgotten", lambda x, y: x),
    wrong_slope("no_x", "D44", "only the 2", lambda x, y: 2.0),
    wrong_slope("exponent_kept", "D44", "2 x**2: the exponent not reduced", lambda x, y: 2 * x**2),
    wrong("in_place", "D11 D13", "x *= 2 on the caller's array", doubles_x_in_place),
)

RECIPROCAL = elementwise(
    "reciprocal",
    np.reciprocal,
    lambda x, y: -(y**2),
    wrong_slope("sign", "D22", "the minus forgotten", lambda x, y: y**2),
    wrong_slope("no_square", "D44", "-1 / x", lambda x, y: -1 / x),
    wrong("gy_twice", "D20", "multiplies by gy a second time", lambda c, gy: (-gy * gy * c[1] ** 2,)),
)

CUBE = elementwise(
    "cube",
    lambda x: x**3,
    lambda x, y: 3 * x**2,
    wrong_slope("no_exponent", "D23", "x**2 without the 3", lambda x, y: x**2),
    wrong_slope("exponent_kept", "D44", "3 x**3", lambda x, y: 3 * x**3),
    wrong_slope("exponent_reduced_twice", "D23", "(n - 1) x**(n - 1)", lambda x, y: 2 * x**2),
    wrong("zero", "D21", "a placeholder that returns zeros", lambda c, gy: (np.zeros_like(gy),)),
)

TANH = elementwise(
    "tanh",
    np.tanh,
    lambda x, y: 1 - y**2,
    wrong_slope("at_input", "D43", "1 - x**2", lambda x, y: 1 - x**2),
    wrong_slope("at_output", "D42", "1 - tanh(y)**2", lambda x, y: 1 - np.tanh(y) ** 2),
    wrong_slope("sign", "D22", "y**2 - 1", lambda x, y: y**2 - 1),
    wrong("gy_twice", "D20", "gy * gy", lambda c, gy: (gy * gy * (1 - c[1] ** 2),)),
    wrong("gy_inside", "D20", "1 - (gy * y)**2: gy inside the square", lambda c, gy: (1 - (gy * c[1]) ** 2,)),
)

SIGMOID = elementwise(
    "sigmoid",
    sigmoid,
    lambda x, y: y * (1 - y),
    wrong_slope("at_input", "D43", "x * (1 - x)", lambda x, y: x * (1 - x)),
    wrong_slope("at_output", "D42", "sigmoid(y) * (1 - sigmoid(y))", lambda x, y: sigmoid(y) * (1 - sigmoid(y))),
    wrong_slope("no_complement", "D44", "the factor 1 - y forgotten", lambda x, y: y),
    wrong_slope("no_y", "D44", "the factor y forgotten", lambda x, y: 1 - y),
    wrong("float32", "D05", "returns float32", lambda c, gy: ((gy * c[1] * (1 - c[1])).astype(np.float32),)),
    stale(with_cache(sigmoid), sloped(lambda x, y: y * (1 - y))),
)

SOFTPLUS_FAR = Operation(
    "softplus_far",
    with_cache(softplus),
    sloped(lambda x, y: sigmoid(x)),
    reaching_far,
    None,
    (wrong("overflows", "D06", "exp(x) / (1 + exp(x))", sloped(lambda x, y: np.exp(x) / (1 + np.exp(x)))),),
)

SINE = elementwise(
    "sine",
    np.sin,
    lambda x, y: np.cos(x),
    wrong_slope("sign", "D22", "-cos(x)", lambda x, y: -np.cos(x)),
    wrong_slope("at_output", "D42", "cos(y)", lambda x, y: np.cos(y)),
    wrong_slope("low_precision", "D54", "the cosine in float32", lambda x, y: np.cos(x.astype(np.float32)).astype(np.float64)),
    wrong("no_gy", "D18", "cos(x) without gy", lambda c, gy: (np.cos(c[0]),)),
)

RELU = elementwise(
    "relu",
    lambda x: np.maximum(x, 0),
    lambda x, y: (x > 0) * 1.0,
    wrong_slope("mask_inverted", "D37", "lets through where x is negative", lambda x, y: (x < 0) * 1.0),
    wrong_slope("no_mask", "D35 D36", "lets everything through", lambda x, y: 1.0),
    wrong("mask_of_gy", "D20", "tests gy instead of x", lambda c, gy: (gy * (gy > 0),)),
    wrong("guided", "D20", "tests x and gy", lambda c, gy: (gy * (c[0] > 0) * (gy > 0),)),
    wrong("in_place", "D12", "gy[x < 0] = 0", zeroes_gy_in_place),
    wrong("no_gy", "D18", "returns the mask", lambda c, gy: ((c[0] > 0) * 1.0,)),
    wrong("integers", "D05", "collects into an array of integers", lambda c, gy: ((gy * (c[0] > 0)).astype(int),)),
    wrong("forward_in_place", "D11", "x[x < 0] = 0 in forward", forward=rectifies_x_in_place),
)

LEAKY_RELU = elementwise(
    "leaky_relu",
    leaky,
    lambda x, y: np.where(x > 0, 1.0, 0.1),
    wrong_slope("dead", "D35", "the mask of ReLU: nothing where x is negative", lambda x, y: (x > 0) * 1.0),
    wrong_slope("branches_exchanged", "D35", "the slope on the positive side", lambda x, y: np.where(x > 0, 0.1, 1.0)),
    wrong_slope("slope_everywhere", "D35", "the slope on both sides", lambda x, y: np.full_like(x, 0.1)),
    wrong_slope("no_local", "D31 D35", "passes gy on", lambda x, y: 1.0),
    wrong_slope("slope_sign", "D35", "a minus before the slope", lambda x, y: np.where(x > 0, 1.0, -0.1)),
)

LEAKY_RELU_AT_ZERO = Operation(
    "leaky_relu_at_zero",
    with_cache(leaky),
    sloped(lambda x, y: np.where(x > 0, 1.0, 0.1)),
    holding_zeros,
    None,
    (
        wrong_slope("nothing_at_zero", "D56", "strict on both sides: 0 at 0", lambda x, y: (x > 0) + 0.1 * (x < 0)),
        wrong_slope("both_at_zero", "D56", "both branches at 0: 1.1", lambda x, y: (x >= 0) + 0.1 * (x <= 0)),
        wrong_slope("output_over_input", "D06", "y / x as the slope: 0 / 0", lambda x, y: y / x),
    ),
    kinked=True,
)

ABS = elementwise(
    "abs",
    np.abs,
    lambda x, y: np.sign(x),
    wrong_slope("no_local", "D31 D35", "passes gy on", lambda x, y: 1.0),
    wrong_slope("times_x", "D44", "x instead of its sign", lambda x, y: x),
    wrong("sign_of_gy", "D20", "the sign of gy", lambda c, gy: (gy * np.sign(gy),)),
    wrong_slope("sign", "D22", "-1 where x is positive", lambda x, y: -np.sign(x)),
)

ABS_AT_ZERO = Operation(
    "abs_at_zero",
    with_cache(np.abs),
    sloped(lambda x, y: np.sign(x)),
    holding_zeros,
    None,
    (
        wrong_slope(
            "twice_at_zero", "D56", "(x >= 0) * 2 - (x < 0), minus 1 where x > 0", lambda x, y: np.sign(x) + 2.0 * (x == 0)
        ),
        wrong_slope("quotient", "D06", "x / |x|: 0 / 0", lambda x, y: x / np.abs(x)),
    ),
    kinked=True,
)

CLIP = elementwise(
    "clip",
    lambda x: np.clip(x, -1, 1),
    lambda x, y: (np.abs(x) < 1) * 1.0,
    wrong_slope("no_mask", "D36", "lets everything through", lambda x, y: 1.0),
    wrong_slope("one_bound", "D36", "forgets the lower bound", lambda x, y: (x < 1) * 1.0),
    wrong_slope("mask_inverted", "D37", "lets through what was clipped", lambda x, y: (np.abs(x) > 1) * 1.0),
)

GELU = elementwise(
    "gelu",
    gelu,
    lambda x, y: sum(gelu_parts(x)),
    wrong_slope("first_term", "D46", "forgets that the tanh depends on x", lambda x, y: gelu_parts(x)[0]),
    wrong("no_gy", "D18", "the derivative without gy", lambda c, gy: (sum(gelu_parts(c[0])),)),
    wrong_slope("at_output", "D42", "the derivative at y", lambda x, y: sum(gelu_parts(y))),
)

SWISH = elementwise(
    "swish",
    lambda x: x * sigmoid(x),
    lambda x, y: sigmoid(x) + y * (1 - sigmoid(x)),
    wrong_slope("first_term", "D46", "forgets that the gate depends on x", lambda x, y: sigmoid(x)),
    wrong_slope("second_term", "D46", "forgets the factor x", lambda x, y: y * (1 - sigmoid(x))),
    wrong_slope("product_of_slopes", "D46", "y' without the plain y: s + y", lambda x, y: sigmoid(x) + y),
)

DECAY = elementwise(
    "x_exp_minus_x",
    lambda x: x * np.exp(-x),
    lambda x, y: (1 - x) * np.exp(-x),
    wrong_slope("first_term", "D44 D46", "forgets the second term of the product rule", lambda x, y: np.exp(-x)),
    wrong_slope("second_term", "D46", "forgets the first term of the product rule", lambda x, y: -x * np.exp(-x)),
    wrong_slope("inner_sign", "D46", "forgets the minus of the exponent", lambda x, y: (1 + x) * np.exp(-x)),
)

OPERATIONS: list[Operation] = [
    EXP, LOG, LOG2, SQRT, SQUARE, RECIPROCAL, CUBE, TANH, SIGMOID, softplus_of_differences(), SOFTPLUS_FAR, SINE,
    RELU, LEAKY_RELU, LEAKY_RELU_AT_ZERO, ABS, ABS_AT_ZERO, CLIP, GELU, SWISH, DECAY,
]  # fmt: skip
