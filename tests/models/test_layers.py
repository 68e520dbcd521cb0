"""Layers and networks: their values by hand, their gradients by differences of function values."""

import numpy as np
import pytest

import tinyad as ad
from tinyad import models, tree
from tinyad.checking import numeric_jacobian, taylor_table


def assert_gradient_is_right(loss, model):
    """Compare with central differences of fourth order, all parameters at once."""
    vector, unravel = tree.ravel(model)
    numeric = numeric_jacobian(lambda flat: loss(unravel(flat)), vector, wrt=0)
    ours, _ = tree.ravel(ad.grad(loss)(model))
    np.testing.assert_allclose(ours, numeric.jacobian, rtol=1e-7, atol=1e-9)


def rows(n, features, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=(n, features)).astype(dtype)


NETWORKS = {
    "dense": lambda dtype=np.float64: models.Dense.create(0, 3, 4, ad.tanh, dtype=dtype),
    "resnet": lambda dtype=np.float64: models.ResNet.create(1, 3, 5, 4, depth=3, dtype=dtype),
    "no depth": lambda dtype=np.float64: models.ResNet.create(1, 3, 5, 4, depth=0, dtype=dtype),
    "mlp": lambda dtype=np.float64: models.MLP.create(2, [3, 6, 5, 4], dtype=dtype),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_networks_with_a_softmax_loss(name):
    x, labels = rows(6, 3), np.array([0, 1, 2, 3, 1, 0])
    assert_gradient_is_right(lambda net: models.softmax_cross_entropy(net(x), labels), NETWORKS[name]())


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_pass_the_taylor_test_to_second_order(name):
    x, targets = rows(6, 3), rows(6, 4, seed=1)
    assert taylor_table(lambda net: models.squared_loss(net(x), targets) + models.l2(net, 0.1), NETWORKS[name]()).passed


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_with_respect_to_the_inputs(name):
    net, x = NETWORKS[name](), rows(2, 3)
    numeric = numeric_jacobian(lambda x: net(x).sum(), x, wrt=0)
    np.testing.assert_allclose(ad.grad(lambda x: net(x).sum())(x), numeric.jacobian, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_stays_float32(name):
    net, x, labels = NETWORKS[name](np.float32), rows(6, 3, dtype=np.float32), np.array([0, 1, 2, 3, 1, 0])

    def loss(net, smoothing):
        return models.softmax_cross_entropy(net(x), labels, smoothing) + models.l2(net, 1e-3)

    for smoothing in (0.0, 0.1):
        value, gradient = ad.value_and_grad(loss)(net, smoothing)
        assert value.dtype == np.float32
        assert {leaf.dtype for leaf in tree.leaves(gradient)} == {np.dtype(np.float32)}
    assert net(x).dtype == np.float32


def test_dense_is_an_affine_map_of_rows():
    layer = models.Dense.create(0, 3, 2)
    x = rows(4, 3)
    np.testing.assert_allclose(layer(x), [row @ layer.weight + layer.bias for row in x])
    shifted = models.Dense(layer.weight, np.array([1.0, -1.0]), ad.tanh)
    np.testing.assert_allclose(shifted(x), np.tanh(x @ layer.weight + [1.0, -1.0]))


def test_resnet_is_forward_euler():
    net = models.ResNet.create(0, features=3, width=4, classes=2, depth=5, final_time=2.5)
    net = tree.map(lambda p: p + 0.1, net)  # so that biases take part
    assert net.step == 0.5 and len(net.layers) == 5
    z = np.tanh(rows(6, 3) @ net.opening.weight + net.opening.bias)
    states = [z]
    for layer in net.layers:
        z = z + 0.5 * np.tanh(z @ layer.weight + layer.bias)
        states.append(z)
    np.testing.assert_allclose(list(net.states(rows(6, 3))), states, rtol=1e-13)
    np.testing.assert_allclose(net.features(rows(6, 3)), z, rtol=1e-13)
    np.testing.assert_allclose(net(rows(6, 3)), z @ net.classifier.weight + net.classifier.bias, rtol=1e-13)


def test_resnet_converges_to_its_differential_equation():
    """With one weight for all times, halving the step halves the distance from the solution."""
    shared = models.ResNet.create(0, 3, 4, 2, depth=1)

    def at_time_one(depth):
        return models.ResNet(shared.opening, shared.layers * depth, shared.classifier, 1 / depth).features(rows(5, 3))

    solution = at_time_one(4096)
    errors = [np.linalg.norm(at_time_one(depth) - solution) for depth in (16, 32, 64)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.05)


def test_the_same_seed_gives_the_same_network_in_every_precision():
    double, single = NETWORKS["resnet"](), NETWORKS["resnet"](np.float32)
    for ours, theirs in zip(tree.leaves(double), tree.leaves(single), strict=True):
        np.testing.assert_array_equal(ours.astype(np.float32), theirs)
    again, other = NETWORKS["resnet"](), models.ResNet.create(9, 3, 5, 4, depth=3)
    np.testing.assert_array_equal(again.layers[2].weight, double.layers[2].weight)
    assert not np.array_equal(other.layers[2].weight, double.layers[2].weight)
    assert not np.array_equal(double.layers[0].weight, double.layers[1].weight)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.Dense.create(0, 0, 2), r"inputs: got 0; expected a whole number, 1 or more"),
        (lambda: models.Dense.create(0, 2, 1.5), r"outputs: got 1.5; expected a whole number, 1 or more"),
        (lambda: models.ResNet.create(0, 2, -3, 2, depth=1), r"width: got -3; expected a whole number, 1 or more"),
        (lambda: models.ResNet.create(0, 2, 3, 2, depth=-1), r"depth: got -1; expected 0 or more steps"),
        (lambda: models.MLP.create(0, [3]), r"widths: got \[3\]; expected the lengths of input and output at least"),
        (lambda: models.Dense.create(0, 3, 2)(np.ones((3, 4))), r"x: got shape \(3, 4\); expected rows of length 3.*transpose x"),
        (lambda: models.l2(np.ones(2), -1.0), r"strength: got -1.0; expected a finite number, 0 or more"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
