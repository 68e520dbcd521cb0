"""Models, losses, optimisers and training on stand-ins of CuPy's arrays: the same numbers as on NumPy's, on the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.cupy_stand_in.device import DeviceArray
from tests.cupy_stand_in.same import moved, same_on_both
from tinyad import models, optim, tree

DATA = models.circle(40, seed=0)
NARROW = models.circle(40, seed=0, dtype="float32")

MODELS: dict[str, Any] = {
    "dense": models.Dense.create(0, 2, 2, activation=ad.sigmoid),
    "mlp": models.MLP.create(0, [2, 5, 2]),
    "relu": models.MLP.create(1, [2, 4, 4, 2], activation=ad.relu),
    "resnet": models.ResNet.create(0, features=2, width=3, classes=2, depth=3),
}
OPTIMIZERS = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(optim.cosine(0.1, steps=10), momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": optim.adam(0.02),
    "adamw": optim.adam(0.02, weight_decay=0.1),
}


def one_hot(labels: Any) -> Any:
    return np.eye(2)[labels]


def cross_entropy(net: Any, x: Any, y: Any) -> Any:
    return models.softmax_cross_entropy(net(x), y, smoothing=0.1) + models.l2(net, 1e-3)


def squares(net: Any, x: Any, y: Any) -> Any:
    return models.squared_loss(net(x), y)


@pytest.mark.parametrize("name", MODELS)
def test_gradients(name: str) -> None:
    for loss, labels in ((cross_entropy, DATA.y), (cross_entropy, one_hot(DATA.y)), (squares, one_hot(DATA.y))):
        same_on_both(f"{name}, {loss.__name__}", ad.value_and_grad(loss), MODELS[name], DATA.x, labels)


@pytest.mark.parametrize("name", MODELS)
def test_curvature(name: str) -> None:
    net = MODELS[name]
    direction = tree.map(np.ones_like, net)
    same_on_both(
        f"{name}, hvp", lambda n, v, x, y: ad.hvp(lambda n: cross_entropy(n, x, y), n, v), net, direction, DATA.x, DATA.y
    )
    same_on_both(
        f"{name}, gnvp",
        lambda n, v, x, y: ad.gnvp(lambda n: n(x), lambda scores: models.softmax_cross_entropy(scores, y), n, v),
        net, direction, DATA.x, DATA.y,
    )  # fmt: skip


@pytest.mark.parametrize("labels", [DATA.y, one_hot(DATA.y)], ids=["classes", "probabilities"])
def test_accuracy(labels: Any) -> None:
    same_on_both("accuracy", models.accuracy, MODELS["mlp"](DATA.x), labels)


@pytest.mark.parametrize("data", [DATA, NARROW], ids=["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps(name: str, data: Any) -> None:
    """A few steps by hand."""
    optimizer = OPTIMIZERS[name]

    def train(net: Any, x: Any, y: Any) -> Any:
        state = optimizer.init(net)
        for start in range(0, 40, 10):
            rows = slice(start, start + 10)
            gradients = ad.grad(cross_entropy)(net, x[rows], y[rows])
            net, state = optimizer.step(net, gradients, state)
        return net, state

    same_on_both(name, train, models.MLP.create(0, [2, 5, 2], dtype=data.x.dtype), data.x, data.y)


@pytest.mark.parametrize("compiled", [True, False])
def test_fit(compiled: bool) -> None:
    """A run by `fit`; all rows of its history are Python numbers."""

    def train(net: Any, x: Any, y: Any) -> Any:
        result = models.fit(
            net, cross_entropy, (x, y), optim.adam(0.02), epochs=3, batch_size=16, validation=(x, y),
            metric=lambda net, x, y: models.accuracy(net(x), y), seed=1, compiled=compiled,
        )  # fmt: skip
        assert result.success, result.reason
        for row in result.history:
            assert all(type(value) in (int, float) for value in row.values()), row
            del row["seconds"]
        return result.model, result.last, [sorted(row.items()) for row in result.history]

    same_on_both("fit", train, MODELS["mlp"], DATA.x, DATA.y)


def test_a_checkpoint_comes_back_to_the_device(tmp_path: Path) -> None:
    net, x, y = moved((MODELS["mlp"], DATA.x, DATA.y))
    settings: dict[str, Any] = {"batch_size": 16, "checkpoint": tmp_path / "run.npz"}
    models.fit(net, cross_entropy, (x, y), optim.adam(0.02), epochs=1, **settings)
    resumed = models.fit(net, cross_entropy, (x, y), optim.adam(0.02), epochs=3, resume=True, **settings)
    whole = models.fit(net, cross_entropy, (x, y), optim.adam(0.02), epochs=3, batch_size=16)
    for ours, theirs in zip(tree.leaves(resumed.last), tree.leaves(whole.last), strict=True):
        assert type(ours) is DeviceArray
        np.testing.assert_array_equal(ours.get(), theirs.get())
