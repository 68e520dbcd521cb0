"""Engines with a closure for every operation, in which chosen lines assign to a gradient where they must add to it.

`spoilt_numbers("tanh")` assigns in the rule of tanh, `spoilt_numbers("mul 1")` in the line of a product's second operand alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.checking.engine.right import Tensor as RightTensor
from tests.checking.engine.right import unbroadcast


class Node:
    """What both engines have: gradients that are handed on by closures, in the order of a depth-first search."""

    spoilt: frozenset[str] = frozenset()

    def give(self, op: str, k: int, parent: Any, part: Any) -> None:
        """Hand an operand number k its part of the gradient."""
        if op in self.spoilt or f"{op} {k}" in self.spoilt:
            parent.grad = part
        else:
            parent.grad = parent.grad + part

    def result(self, op: str, data: Any, *pairs: Any) -> Any:
        out = type(self)(data)
        out.parents = [parent for parent, _ in pairs]

        def push() -> None:
            for k, (parent, rule) in enumerate(pairs):
                self.give(op, k, parent, rule(out.grad))

        out.push = push
        return out

    def wrap(self, other: Any) -> Any:
        return other if isinstance(other, Node) else type(self)(other)

    def backward(self) -> None:
        order: list[Any] = []
        stack, seen = [(self, False)], set()
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((parent, False) for parent in node.parents)
        self.grad = self.grad + 1.0
        for node in reversed(order):
            node.push()


class Numbers(Node):
    """An engine of numbers."""

    def __init__(self, data: Any) -> None:
        self.data, self.grad, self.parents, self.push = float(data), 0.0, [], lambda: None

    def __add__(self, other: Any) -> Any:
        b = self.wrap(other)
        return self.result("add", self.data + b.data, (self, lambda g: g), (b, lambda g: g))

    def __mul__(self, other: Any) -> Any:
        b = self.wrap(other)
        return self.result("mul", self.data * b.data, (self, lambda g: g * b.data), (b, lambda g: g * self.data))

    def __sub__(self, other: Any) -> Any:
        b = self.wrap(other)
        return self.result("sub", self.data - b.data, (self, lambda g: g), (b, lambda g: -g))

    def __truediv__(self, other: Any) -> Any:
        b = self.wrap(other)
        rules = (self, lambda g: g / b.data), (b, lambda g: -g * self.data / b.data**2)
        return self.result("truediv", self.data / b.data, *rules)

    def __pow__(self, n: Any) -> Any:
        assert isinstance(n, (int, float)), "numbers only"
        return self.result("pow", self.data**n, (self, lambda g: g * n * self.data ** (n - 1)))

    def __neg__(self) -> Any:
        return self.result("neg", -self.data, (self, lambda g: -g))

    def tanh(self) -> Any:
        y = math.tanh(self.data)
        return self.result("tanh", y, (self, lambda g: g * (1 - y * y)))

    def relu(self) -> Any:
        return self.result("relu", max(self.data, 0.0), (self, lambda g: g * (self.data > 0)))

    def exp(self) -> Any:
        y = math.exp(self.data)
        return self.result("exp", y, (self, lambda g: g * y))

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Any:
        return self.wrap(other) - self

    def __rtruediv__(self, other: Any) -> Any:
        return self.wrap(other) / self


class Arrays(Node):
    """An engine of arrays: the rules are those of the right one."""

    def __init__(self, data: Any) -> None:
        self.data = np.asarray(data, float)
        self.grad, self.parents, self.push = np.zeros(self.data.shape), [], lambda: None

    def spread(self, g: Any, axis: Any, keepdims: bool) -> Any:
        return RightTensor.spread(self, g, axis, keepdims)

    def unbroadcast(self, g: Any, to: Any) -> Any:
        return unbroadcast(g, to.data.shape)


def _named(name: str, op: str) -> Any:
    """A method of the right engine, which tells `result` the name of the operation."""
    method = getattr(RightTensor, name)

    def named(self: Any, *operands: Any, **options: Any) -> Any:
        view = _View(self, op)
        return method(view, *operands, **options)

    return named


class _View:
    """An array for a rule of the right engine: itself, but for `result`."""

    def __init__(self, node: Any, op: str) -> None:
        self.node, self.op = node, op

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)

    def result(self, data: Any, *pairs: Any) -> Any:
        return self.node.result(self.op, data, *((self.node if p is self else p, rule) for p, rule in pairs))


OPERATORS = ("add", "mul", "pow", "matmul", "getitem")
for _op in OPERATORS:
    setattr(Arrays, f"__{_op}__", _named(f"__{_op}__", _op))
for _op in ("relu", "tanh", "exp", "sum", "max", "reshape"):
    setattr(Arrays, _op, _named(_op, _op))
Arrays.__radd__, Arrays.__rmul__ = Arrays.__add__, Arrays.__mul__  # type: ignore[attr-defined]
Arrays.T = property(lambda self: self.result("transpose", self.data.T, (self, lambda g: g.T)))  # type: ignore[attr-defined]
for _name in ("__neg__", "__sub__", "__truediv__", "__rsub__", "__rtruediv__"):
    setattr(Arrays, _name, getattr(RightTensor, _name))
Arrays.mean = lambda self, axis=None, keepdims=False: (  # type: ignore[attr-defined]
    self.sum(axis, keepdims) * (1.0 / (self.data.size if axis is None else self.data.shape[axis]))
)


def spoilt_numbers(*lines: str) -> type[Numbers]:
    return type("Value", (Numbers,), {"spoilt": frozenset(lines)})


def spoilt_arrays(*lines: str) -> type[Arrays]:
    return type("Tensor", (Arrays,), {"spoilt": frozenset(lines)})
