"""The assignment *write your own engine*, for the teacher: what is graded, at which inputs, for how many points.

``scalar.py``, ``arrays.py`` and ``mlp.py`` beside this file are the solution; the students' copies are made of them by
``tinyad assign build``. ``adapters.py`` is given to students as it is.
"""

import numpy as np

import tinyad.grade as tg
from tinyad import models

hw = tg.Assignment("write your own engine", points=30, seed=2026, feedback="hint", wall=10.0)
WEIGHTS = {"forward": 0.2, "contract": 0.1, "values": 0.6, "purity": 0.1}

# ---- stage 1: numbers

SCALAR, ARRAYS, DIGITS = "1. numbers", "2. arrays", "3. digits"

hw.engine("scalar.py:Value", points=6, name="scalar engine", stage=SCALAR)

FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "exp": np.exp,
    "x**3": lambda x: x**3,
    "x**-1.5": lambda x: x**-1.5,
    "2 - 1/x": lambda x: 2 - 1 / x,
    "x*tanh(x)": lambda x: x * np.tanh(x),
}


def positive(rng):
    """Numbers at which all of the functions are smooth."""
    return rng.uniform(0.5, 2.0, size=5)


def either_sign(rng):
    """For those that take negative numbers."""
    return rng.uniform(0.5, 2.0, size=5) * np.array([1, -1, 1, -1, -1])


def functions(x, function):
    """The reference of stage 1."""
    return FUNCTIONS[function](x)


hw.rule(
    "functions of a number",
    student="adapters.py:functions_forward,functions_backward",
    reference=functions,
    cases=tg.case(positive),
    kwargs=[{"function": name} for name in FUNCTIONS],
    points=2,
    weights=WEIGHTS,
    stage=SCALAR,
)
hw.rule(
    "functions of a negative number",
    student="adapters.py:functions_forward,functions_backward",
    reference=functions,
    cases=tg.case(either_sign),
    kwargs=[{"function": name} for name in ("tanh", "relu", "x**3", "x*tanh(x)")],
    points=1,
    weights=WEIGHTS,
    stage=SCALAR,
)

# ---- stage 2: arrays


def log_softmax(x, axis):
    """In NumPy, without overflow."""
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


OPERATIONS = {
    "add": np.add,
    "mul": np.multiply,
    "matmul": np.matmul,
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "reshape": lambda x, shape: np.reshape(x, shape),
    "transpose": lambda x, axes: np.transpose(x, axes or None),
    "getitem": lambda x, index: x[index],
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "exp": np.exp,
    "x**3": lambda x: x**3,
    "log_softmax": log_softmax,
}


def of_one(x, operation, **options):
    """The reference of stage 2 for operations of one array; reports call it x."""
    return OPERATIONS[operation](x, **options)


def of_two(a, b, operation):
    """The reference of stage 2 for operations of two arrays."""
    return OPERATIONS[operation](a, b)


def arrays(name, points, cases, kwargs, reference=of_one):
    """A rule of stage 2."""
    student = "adapters.py:arrays_forward,arrays_backward"
    hw.rule(name, student, reference, cases=cases, points=points, weights=WEIGHTS, kwargs=kwargs, stage=ARRAYS)


hw.engine("arrays.py:Value", points=4, name="array engine", stage=ARRAYS)

arrays(
    "broadcasting",
    3,
    tg.shapes(((5, 3), (3,)), ((5, 3), (5, 1)), ((5, 1), (1, 3)), ((5, 3), ()))
    + tg.hidden(((2, 5, 3), (5, 1)), ((3,), (1, 3))),
    [{"operation": "add"}, {"operation": "mul"}],
    of_two,
)
arrays("entry by entry", 1, tg.shapes((5, 3)), [{"operation": name} for name in ("tanh", "relu", "exp", "x**3")])
arrays(
    "matrix product",
    2,
    tg.shapes(((5, 3), (3, 7)), ((4, 4), (4, 4))) + tg.hidden(((1, 3), (3, 2))),
    [{"operation": "matmul"}],
    of_two,
)
arrays(
    "reductions",
    3,
    tg.shapes((5, 3), (4, 4)) + tg.hidden((2, 5, 3)),
    [
        {"operation": name, "axis": axis, "keepdims": keepdims}
        for name in ("sum", "mean", "max")
        for axis, keepdims in ((None, False), (0, False), (-1, True), ((0, 1), False))
    ],
)
arrays(
    "places",
    2,
    tg.shapes((4, 3, 2)),
    [
        {"operation": "reshape", "shape": (6, 4)},
        {"operation": "transpose", "axes": ()},
        {"operation": "transpose", "axes": (2, 0, 1)},
        {"operation": "getitem", "index": 1},
        {"operation": "getitem", "index": np.array([0, 2, 0])},
        {"operation": "getitem", "index": (np.array([0, 1, 3, 1]), np.array([2, 0, 0, 0]))},
    ],
)
arrays(
    "log-softmax",
    1,
    tg.shapes((5, 3), (4, 4)) + tg.hidden(*tg.case(lambda rng: 500 * rng.normal(size=(3, 5)), "large numbers")),
    [{"operation": "log_softmax", "axis": axis} for axis in (-1, 0)],
)

# ---- stage 3: a network, on real digits


def loss(x, labels, w1, b1, w2, b2):
    """The reference: mean cross-entropy of a network with one hidden layer."""
    scores = np.tanh(x @ w1 + b1) @ w2 + b2
    return -log_softmax(scores, 1)[np.arange(len(labels)), labels].mean()


def network(examples, pixels, hidden, classes):
    """A case of examples and weights."""

    def draw(rng):
        weights = [rng.normal(size=shape) for shape in ((pixels, hidden), (hidden,), (hidden, classes), (classes,))]
        return rng.normal(size=(examples, pixels)), rng.integers(classes, size=examples), *weights

    return draw


hw.rule(
    "loss of a network",
    student="adapters.py:loss_forward,loss_backward",
    reference=loss,
    cases=tg.case(network(5, 3, 7, 4), "5 examples") + tg.hidden(*tg.case(network(1, 2, 3, 3), "a single example")),
    points=2,
    weights=WEIGHTS,
    stage=DIGITS,
)

TRAINING = 1400
digits = models.digits()
mixed = digits.take(np.random.default_rng(2026).permutation(len(digits)))  # as they come, the last ones are the hardest
shown, held_out = mixed.take(np.arange(TRAINING)), mixed.take(np.arange(TRAINING, len(mixed)))


def share_of_points(layers):
    """All points for an accuracy of 93 % on digits that the student's code has not seen, none for 80 %.

    The network is evaluated here, from its weights: what the student's code says of itself does not count.
    """
    hidden = held_out.x
    for k, (weights, bias) in enumerate(layers):
        hidden = hidden @ np.asarray(weights, float) + np.asarray(bias, float)
        hidden = np.tanh(hidden) if k < len(layers) - 1 else hidden
    if hidden.shape != (len(held_out), held_out.classes) or not np.isfinite(hidden).all():
        raise ValueError(
            f"the scores have shape {hidden.shape}, or are not finite; expected {(len(held_out), held_out.classes)}"
        )
    accuracy = float((hidden.argmax(axis=1) == held_out.y).mean())
    return min(1.0, max(0.0, (accuracy - 0.80) / (0.93 - 0.80)))


hw.train("mlp.py:train", share_of_points, points=3, wall=30, args=(shown.x, shown.y), name="digits", stage=DIGITS)
