"""Engines that are right, written as students write them: one of numbers, one of arrays.

Both are made to be spoilt: a test derives a class and replaces the one method or rule that is to be wrong.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class Value:
    """A number that knows how it was made: every operation leaves a closure that hands its gradient on."""

    def __init__(self, data: Any, parents: Any = ()) -> None:
        self.data, self.grad = data, 0.0
        self.parents, self.push = parents, lambda: None

    def wrap(self, other: Any) -> Value:
        return other if isinstance(other, Value) else type(self)(other)

    def result(self, data: Any, *pairs: Any) -> Value:
        """A new value of this data; pairs are a parent and the function from the result's gradient to its own."""
        out = type(self)(data, tuple(parent for parent, _ in pairs))

        def push() -> None:
            for parent, rule in pairs:
                parent.grad += rule(out.grad)

        out.push = push
        return out

    def __add__(self, other: Any) -> Value:
        other = self.wrap(other)
        return self.result(self.data + other.data, (self, lambda g: g), (other, lambda g: g))

    def __mul__(self, other: Any) -> Value:
        other = self.wrap(other)
        return self.result(self.data * other.data, (self, lambda g: g * other.data), (other, lambda g: g * self.data))

    def __pow__(self, power: Any) -> Value:
        assert isinstance(power, (int, float)), "numbers only"
        return self.result(self.data**power, (self, lambda g: g * power * self.data ** (power - 1)))

    def __neg__(self) -> Value:
        return self * -1

    def __sub__(self, other: Any) -> Value:
        return self + -self.wrap(other)

    def __truediv__(self, other: Any) -> Value:
        return self * self.wrap(other) ** -1

    def __radd__(self, other: Any) -> Value:
        return self + other

    def __rmul__(self, other: Any) -> Value:
        return self * other

    def __rsub__(self, other: Any) -> Value:
        return self.wrap(other) - self

    def __rtruediv__(self, other: Any) -> Value:
        return self.wrap(other) / self

    def relu(self) -> Value:
        return self.result(max(self.data, 0.0), (self, lambda g: g * (self.data > 0)))

    def tanh(self) -> Value:
        y = math.tanh(self.data)
        return self.result(y, (self, lambda g: g * (1 - y * y)))

    def exp(self) -> Value:
        y = math.exp(self.data)
        return self.result(y, (self, lambda g: g * y))

    def log(self) -> Value:
        return self.result(math.log(self.data), (self, lambda g: g / self.data))

    def order(self) -> list[Value]:
        """All nodes, each after its parents, without recursion."""
        order: list[Value] = []
        seen: set[int] = set()
        stack = [(self, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack.extend((parent, False) for parent in node.parents)
        return order

    def backward(self) -> None:
        order = self.order()
        for node in order:
            if node.parents:
                node.grad = 0.0  # a second backward starts anew, and adds to the variables alone
        self.grad = self.grad + 1.0
        for node in reversed(order):
            node.push()


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


class Tensor:
    """An array that knows how it was made. The gradients of one backward are kept in a dict until all are known."""

    def __init__(self, data: Any, pairs: Any = ()) -> None:
        self.data = np.asarray(data, dtype=np.result_type(data, np.float32) if np.size(data) else None)
        self.pairs, self.grad = pairs, None

    def wrap(self, other: Any) -> Tensor:
        return other if isinstance(other, Tensor) else type(self)(np.asarray(other, self.data.dtype))

    def result(self, data: Any, *pairs: Any) -> Tensor:
        return type(self)(data, pairs)

    def unbroadcast(self, g: Any, to: Tensor) -> Any:
        return unbroadcast(g, to.data.shape)

    def __add__(self, other: Any) -> Tensor:
        b = self.wrap(other)
        return self.result(
            self.data + b.data, (self, lambda g: self.unbroadcast(g, self)), (b, lambda g: self.unbroadcast(g, b))
        )

    def __mul__(self, other: Any) -> Tensor:
        b = self.wrap(other)
        return self.result(
            self.data * b.data,
            (self, lambda g: self.unbroadcast(g * b.data, self)),
            (b, lambda g: self.unbroadcast(g * self.data, b)),
        )

    def __pow__(self, power: Any) -> Tensor:
        assert isinstance(power, (int, float)), "numbers only"
        return self.result(self.data**power, (self, lambda g: g * power * self.data ** (power - 1)))

    def __neg__(self) -> Tensor:
        return self * -1.0

    def __sub__(self, other: Any) -> Tensor:
        return self + -self.wrap(other)

    def __truediv__(self, other: Any) -> Tensor:
        return self * self.wrap(other) ** -1.0

    def __radd__(self, other: Any) -> Tensor:
        return self + other

    def __rmul__(self, other: Any) -> Tensor:
        return self * other

    def __rsub__(self, other: Any) -> Tensor:
        return self.wrap(other) - self

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.wrap(other) / self

    def __matmul__(self, b: Tensor) -> Tensor:
        a = self
        if a.data.ndim != 2 or b.data.ndim != 2:
            raise ValueError("matrices only")
        return self.result(a.data @ b.data, (a, lambda g: g @ b.data.T), (b, lambda g: a.data.T @ g))

    def __getitem__(self, index: Any) -> Tensor:
        def rule(g: Any) -> Any:
            out = np.zeros_like(self.data)
            np.add.at(out, index, g)
            return out

        return self.result(self.data[index], (self, rule))

    def relu(self) -> Tensor:
        return self.result(np.maximum(self.data, 0.0), (self, lambda g: g * (self.data > 0)))

    def tanh(self) -> Tensor:
        y = np.tanh(self.data)
        return self.result(y, (self, lambda g: g * (1 - y * y)))

    def exp(self) -> Tensor:
        y = np.exp(self.data)
        return self.result(y, (self, lambda g: g * y))

    def spread(self, g: Any, axis: Any, keepdims: bool) -> Any:
        """A reduction's gradient in the shape of what was reduced."""
        if axis is not None and not keepdims:
            g = np.expand_dims(g, axis)
        return np.broadcast_to(g, self.data.shape)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return self.result(self.data.sum(axis, keepdims=keepdims), (self, lambda g: self.spread(g, axis, keepdims)))

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        count = self.data.size if axis is None else self.data.shape[axis]
        return self.sum(axis, keepdims) * (1.0 / count)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        mask = self.data == self.data.max(axis, keepdims=True)
        mask = mask / mask.sum(axis, keepdims=True)
        return self.result(self.data.max(axis, keepdims=keepdims), (self, lambda g: mask * self.spread(g, axis, keepdims)))

    def reshape(self, *shape: int) -> Tensor:
        return self.result(self.data.reshape(shape), (self, lambda g: g.reshape(self.data.shape)))

    @property
    def T(self) -> Tensor:
        return self.result(self.data.T, (self, lambda g: g.T))

    order = Value.order

    @property
    def parents(self) -> list[Tensor]:
        return [parent for parent, _ in self.pairs]

    def backward(self) -> None:
        grads = {id(self): np.ones_like(self.data)}
        for node in reversed(self.order()):
            g = grads[id(node)]
            if not node.pairs:
                node.grad = g if node.grad is None else node.grad + g
            for parent, rule in node.pairs:
                part = rule(g)
                grads[id(parent)] = grads[id(parent)] + part if id(parent) in grads else part
