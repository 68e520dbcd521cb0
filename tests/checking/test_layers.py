"""check_layer: layer objects as courses write them, right and wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyad as ad

RANDOM = np.random.default_rng(0)
X, W, B = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(3, 7)), RANDOM.normal(size=7)


class Linear:
    """With dicts of parameters and gradients."""

    def __init__(self, w: Any = W, b: Any = B) -> None:
        self.params, self.grads = {"w": w, "b": b}, {}
        self.w = self.params["w"]  # a second name for the same array

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.w + self.params["b"]

    def backward(self, dy: Any) -> Any:
        self.grads["w"] = self.x.T @ dy
        self.grads["b"] = dy.sum(axis=0)
        return dy @ self.w.T


class Attributes:
    """With ``W`` and ``dW``."""

    def __init__(self) -> None:
        self.W, self.b, self.eps = W.copy(), B.copy(), np.array([1e-5])

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy: Any) -> Any:
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.T


class Accumulating(Linear):
    """Adds to its gradients, and can be told to start anew."""

    def zero_grad(self) -> None:
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def backward(self, dy: Any) -> Any:
        self.grads["w"] = self.grads["w"] + self.x.T @ dy
        self.grads["b"] = self.grads["b"] + dy.sum(axis=0)
        return dy @ self.w.T


class Relu:
    """Without parameters."""

    def forward(self, x: Any) -> Any:
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy: Any) -> Any:
        return dy * self.mask


class Dropout:
    """Random, from a seed of its own."""

    def forward(self, x: Any) -> Any:
        self.mask = np.random.default_rng(3).random(x.shape) < 0.7
        return x * self.mask / 0.7

    def backward(self, dy: Any) -> Any:
        return dy * self.mask / 0.7


class BatchNorm:
    """With running statistics, which every forward changes."""

    def __init__(self) -> None:
        self.params = {"gamma": RANDOM.normal(size=3), "beta": RANDOM.normal(size=3)}
        self.grads: dict[str, Any] = {}
        self.running_mean = np.zeros(3)

    def forward(self, x: Any) -> Any:
        mean, self.std = x.mean(axis=0), np.sqrt(x.var(axis=0) + 1e-5)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.normal = (x - mean) / self.std
        return self.params["gamma"] * self.normal + self.params["beta"]

    def backward(self, dy: Any) -> Any:
        self.grads = {"gamma": (dy * self.normal).sum(axis=0), "beta": dy.sum(axis=0)}
        g = dy * self.params["gamma"]
        return (g - g.mean(axis=0) - self.normal * (g * self.normal).mean(axis=0)) / self.std


class Bilinear:
    """Of two inputs."""

    def __init__(self) -> None:
        self.params, self.grads = {"w": W}, {}

    def forward(self, x: Any, z: Any) -> Any:
        self.x, self.z = x, z
        return ((x @ self.params["w"]) * z).sum(axis=1)

    def backward(self, dy: Any) -> Any:
        dy = dy[:, None]
        self.grads["w"] = self.x.T @ (dy * self.z)
        return (dy * self.z) @ self.params["w"].T, dy * (self.x @ self.params["w"])


class Listed:
    """With lists of parameters and gradients, which are written into."""

    def __init__(self) -> None:
        self.params = [W, B]
        self.grads = [np.zeros_like(W), np.zeros_like(B)]

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dy: Any) -> Any:
        self.grads[0][...] = self.x.T @ dy
        self.grads[1][...] = dy.sum(axis=0)
        return dy @ self.params[0].T


class Embedding:
    """Of indices: there is nothing to differentiate in the input."""

    def __init__(self) -> None:
        self.params, self.grads = {"table": RANDOM.normal(size=(7, 3))}, {}

    def forward(self, rows: Any) -> Any:
        self.rows = rows
        return self.params["table"][rows]

    def backward(self, dy: Any) -> None:
        self.grads["table"] = np.zeros_like(self.params["table"])
        np.add.at(self.grads["table"], self.rows, dy)


RIGHT = {
    "dicts": (Linear(), (X,)),
    "attributes": (Attributes(), (X,)),
    "accumulating": (Accumulating(), (X,)),
    "without parameters": (Relu(), (X,)),
    "dropout": (Dropout(), (X,)),
    "batch norm": (BatchNorm(), (X,)),
    "two inputs": (Bilinear(), (X, RANDOM.normal(size=(5, 7)))),
    "lists": (Listed(), (X,)),
    "indices": (Embedding(), (np.array([0, 3, 3, 6]),)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass_and_stay_as_they_were(name: str) -> None:
    layer, inputs = RIGHT[name]
    before = {key: np.copy(value) for key, value in vars(layer).items() if isinstance(value, np.ndarray)}
    assert ad.check_layer(layer, *inputs)
    assert set(vars(layer)) <= {*before, "params", "grads"}
    assert all((vars(layer)[key] == value).all() for key, value in before.items())
    assert not np.any([np.any(g) for g in getattr(layer, "grads", [])])


def with_backward(kind: type, backward: Any) -> Any:
    return type(kind.__name__, (kind,), {"backward": backward})()


def mean_for_sum(self: Any, dy: Any) -> Any:
    dx = Linear.backward(self, dy)
    self.grads["b"] = dy.mean(axis=0)
    return dx


def not_cleared(self: Any, dy: Any) -> Any:
    dx = Linear.backward(self, dy)
    self.total = getattr(self, "total", 0) + self.grads["w"]
    self.grads["w"] = self.total
    return dx


def no_bias(self: Any, dy: Any) -> Any:
    dx = Linear.backward(self, dy)
    del self.grads["b"]
    return dx


def statistics_constant(self: Any, dy: Any) -> Any:
    BatchNorm.backward(self, dy)
    return dy * self.params["gamma"] / self.std


def attributes_transposed(self: Any, dy: Any) -> Any:
    dx = Attributes.backward(self, dy)
    self.dW = self.dW.T
    return dx


def one_use_of_a_row(self: Any, dy: Any) -> None:
    self.grads["table"] = np.zeros_like(self.params["table"])
    self.grads["table"][self.rows] += dy


WRONG = {
    "mean for sum": (Linear, mean_for_sum, (X,), "D24", "params['b']"),
    "gradients that add up": (Linear, not_cleared, (X,), "D13", ""),
    "no gradient": (Linear, no_bias, (X,), "D03", "params['b']"),
    "statistics as constants": (BatchNorm, statistics_constant, (X,), "D47", "x"),
    "transposed attribute": (Attributes, attributes_transposed, (X,), "D09", "params['W']"),
    "one use of a row": (Embedding, one_use_of_a_row, (np.array([0, 3, 3, 6]),), "D39", "params['table']"),
    "no mask": (Relu, lambda self, dy: dy, (X,), "D36", "x"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_layers_are_diagnosed(name: str) -> None:
    kind, backward, inputs, id, where = WRONG[name]
    report = ad.check_layer(with_backward(kind, backward), *inputs, raises=False)
    assert not report
    said = report.diagnoses[0]
    assert said.id == id, report
    assert said.name.startswith(where)


def test_errors_name_the_layer() -> None:
    class Half:
        def forward(self, x: Any) -> Any:
            return x

    with pytest.raises(TypeError, match="check_layer: layer is a Half without a method backward"):
        ad.check_layer(Half(), X)
    listed = Linear()
    listed.params = 3  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"check_layer: layer.params is a Python int; expected a dict or a list of arrays"):
        ad.check_layer(listed, X)
    with pytest.raises(ad.GradientError, match="check of Linear: FAILED"):
        ad.check_layer(with_backward(Linear, mean_for_sum), X)
