"""The optimisers against references of a few lines, and what they promise about trees, precision and aliasing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyad import models, optim, tree


def slope(p):
    """The derivative of a function with hills and valleys."""
    return math.cos(3 * p) + 0.5 * p


def run(optimizer, start, steps):
    """The way of a Python float under an optimiser, with `slope` for a gradient."""
    params, state, way = start, optimizer.init(start), []
    for _ in range(steps):
        params, state = optimizer.step(params, slope(params), state)
        way.append(params)
    return way


# ---- references: plain Python numbers, straight from the papers


def sgd_reference(p, steps, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    v = 0.0
    for k in range(steps):
        g = slope(p) + weight_decay * p
        v = momentum * v + g
        p = p - lr(k) * (g + momentum * v if nesterov else v)
        yield p


def adam_reference(p, steps, lr, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0):
    m = s = 0.0
    for k in range(steps):
        g = slope(p)
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g**2
        ahead = m / (1 - b1 ** (k + 1)) / (math.sqrt(s / (1 - b2 ** (k + 1))) + eps)
        p = p - lr(k) * ahead - lr(k) * weight_decay * p
        yield p


FALLING = optim.cosine(0.05, steps=250, warmup=20)
CASES = [
    (optim.sgd, sgd_reference, {}),
    (optim.sgd, sgd_reference, {"weight_decay": 0.1}),
    (optim.sgd, sgd_reference, {"momentum": 0.9}),
    (optim.sgd, sgd_reference, {"momentum": 0.9, "nesterov": True}),
    (optim.sgd, sgd_reference, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01}),
    (optim.adam, adam_reference, {}),
    (optim.adam, adam_reference, {"b1": 0.5, "b2": 0.9, "eps": 1e-3}),
    (optim.adam, adam_reference, {"b1": 0.0}),
    (optim.adam, adam_reference, {"weight_decay": 0.1}),
]


@pytest.mark.parametrize("lr", [0.02, FALLING], ids=["constant", "cosine"])
@pytest.mark.parametrize(("make", "reference", "kwargs"), CASES)
def test_follows_the_reference_for_many_steps(make, reference, kwargs, lr):
    expected = list(reference(0.7, 300, lr if callable(lr) else lambda k: lr, **kwargs))
    np.testing.assert_allclose(run(make(lr, **kwargs), 0.7, 300), expected, rtol=0, atol=1e-15)


def test_adam_corrects_the_bias_by_the_step_and_keeps_eps_outside_the_root():
    lr, eps = 0.1, 1.0
    params, state = optim.adam(lr, eps=eps).step(1.0, 4.0, optim.adam(lr, eps=eps).init(1.0))
    assert params == pytest.approx(1.0 - lr * 4.0 / (4.0 + eps), rel=1e-14)  # under the root it would be 4 / sqrt(17)
    assert state.steps == 1


# ---- convergence

QUADRATIC = np.array([1.0, 5.0, 20.0])  # the Hessian's diagonal; the minimum is at 0


@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [
        (optim.sgd(0.09), 400),
        (optim.sgd(0.05, momentum=0.8), 400),
        (optim.sgd(0.05, momentum=0.8, nesterov=True), 400),
        (optim.adam(optim.cosine(0.3, steps=600)), 600),
    ],
)
def test_finds_the_minimum_of_a_quadratic(optimizer, steps):
    params = {"x": np.array([3.0, -2.0, 1.0])}
    state = optimizer.init(params)
    for _ in range(steps):
        params, state = optimizer.step(params, {"x": QUADRATIC * params["x"]}, state)
    assert np.linalg.norm(params["x"]) < 1e-9


def test_gradient_descent_has_the_rate_of_theory():
    optimizer, x = optim.sgd(2 / (1 + 20)), np.array([1.0, 0.0, 1.0])
    state = optimizer.init(x)
    for _ in range(50):
        x, state = optimizer.step(x, QUADRATIC * x, state)
    assert np.linalg.norm(x) / math.sqrt(2) == pytest.approx((19 / 21) ** 50, rel=1e-12)


# ---- trees, precision, aliasing

OPTIMIZERS = [
    optim.sgd(0.1),
    optim.sgd(0.1, momentum=0.9),
    optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    optim.adam(0.1),
    optim.adam(np.float64(0.1), weight_decay=np.float64(0.1)),
    optim.adam(lambda step: np.float64(0.1)),
]


def some_tree(dtype):
    return {"layers": [(np.ones((2, 3), dtype), np.zeros(3, dtype))], "scale": np.array(2.0, dtype), "none": None}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_structure_shapes_and_precision(optimizer, dtype):
    params = some_tree(dtype)
    state = optimizer.init(params)
    for _ in range(3):
        before = tree.flatten(params)[1]
        params, state = optimizer.step(params, tree.map(lambda p: 0.1 * p, some_tree(dtype)), state)
        assert tree.flatten(params)[1] == before
    assert [leaf.shape for leaf in tree.leaves(params)] == [leaf.shape for leaf in tree.leaves(some_tree(dtype))]
    assert {leaf.dtype for leaf in tree.leaves((params, state)) if hasattr(leaf, "dtype")} == {np.dtype(dtype)}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_step_changes_nothing_it_was_given_and_shares_no_memory_with_it(optimizer):
    params, gradients = some_tree(np.float64), some_tree(np.float64)
    params, state = optimizer.step(params, gradients, optimizer.init(params))
    given = tree.leaves((params, gradients, state))
    copies = [np.array(leaf) for leaf in given]
    new_params, new_state = optimizer.step(params, gradients, state)
    for leaf, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(leaf, copy)
    for new in tree.leaves(new_params):
        assert not any(np.shares_memory(new, old) for old in tree.leaves((params, gradients, new_state)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_python_numbers_stay_python_numbers(optimizer):
    params, _ = optimizer.step([1.0, 2.0], [0.5, -0.5], optimizer.init([1.0, 2.0]))
    assert [type(p) for p in params] == [float, float]
    assert params[0] < 1.0 and params[1] > 1.9


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_the_state_is_a_tree_that_can_be_saved(optimizer, tmp_path):
    params = some_tree(np.float32)
    _, state = optimizer.step(params, params, optimizer.init(params))
    models.save(tmp_path / "state.npz", state)
    loaded = models.load(tmp_path / "state.npz", like=optimizer.init(params))
    assert type(loaded) is type(state)
    assert loaded.steps == 1 and type(loaded.steps) is int
    for ours, theirs in zip(tree.leaves(state), tree.leaves(loaded), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(
    start=st.floats(-3, 3),
    lr=st.floats(1e-4, 0.1),
    momentum=st.floats(0, 0.95),
    nesterov=st.booleans(),
    weight_decay=st.floats(0, 0.5),
)
@settings(deadline=None, max_examples=50)
def test_elementwise_arrays_go_the_way_of_numbers(start, lr, momentum, nesterov, weight_decay):
    optimizer = optim.sgd(lr, momentum, nesterov and momentum > 0, weight_decay)
    p, q = start, np.array([start, start])
    state, states = optimizer.init(p), optimizer.init(q)
    for _ in range(5):
        p, state = optimizer.step(p, slope(p), state)
        q, states = optimizer.step(q, np.array([slope(value) for value in q]), states)
    np.testing.assert_array_equal(q, [p, p])


# ---- what is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.sgd(-0.1), "lr: got -0.1; expected a finite number, 0 or more"),
        (lambda: optim.adam(math.inf), "lr: got inf; expected a finite number"),
        (lambda: optim.sgd(0.1, momentum=1.0), "momentum: got 1.0; expected 0 <= momentum < 1"),
        (lambda: optim.sgd(0.1, momentum=-0.5), "momentum: got -0.5; expected 0 <= momentum < 1"),
        (lambda: optim.sgd(0.1, nesterov=True), "nesterov: got True with momentum 0; expected momentum > 0"),
        (lambda: optim.sgd(0.1, weight_decay=-1), "weight_decay: got -1; expected a finite number, 0 or more"),
        (lambda: optim.adam(0.1, b1=1.0), "b1: got 1.0; expected 0 <= b1 < 1"),
        (lambda: optim.adam(0.1, b2=-0.1), "b2: got -0.1; expected 0 <= b2 < 1"),
        (lambda: optim.adam(0.1, eps=0.0), "eps: got 0.0; expected a positive number"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value).startswith(message)
    assert "Give" in str(caught.value) or "Set" in str(caught.value), "the message names no remedy"


@pytest.mark.parametrize("optimizer", [optim.sgd(0.1), optim.adam(0.1)], ids=repr)
def test_gradients_that_do_not_fit_are_refused(optimizer):
    params = {"w": np.ones((2, 3)), "b": np.zeros(3)}
    state = optimizer.init(params)
    with pytest.raises(ValueError, match=r"gradients: structure differs from that of params at `params`: expected dict"):
        optimizer.step(params, {"w": np.ones((2, 3))}, state)
    with pytest.raises(
        ValueError, match=r"gradients: got shape \(1, 3\) at `params\['w'\]`; expected \(2, 3\).*Sum the gradient"
    ):
        optimizer.step(params, {"w": np.ones((1, 3)), "b": np.zeros(3)}, state)


def test_a_schedule_that_gives_nonsense_is_refused_at_its_step():
    optimizer = optim.sgd(lambda step: -1.0 if step else 0.1)
    params, state = optimizer.step(1.0, 1.0, optimizer.init(1.0))
    with pytest.raises(ValueError, match=r"lr: got -1.0; expected"):
        optimizer.step(params, 1.0, state)
