"""What is timed: the functions, their inputs, and an answer that owes nothing to any engine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# ------------------------------------------------------------------ functions of arrays with a scalar value

BLOCKS = 28
OPS = 7 * BLOCKS + 1  # primitives in `chain`


def chain(xp, x, y):
    """197 small operations in which nothing grows: |z| <= 1.5 after every block."""
    z = x
    for _ in range(BLOCKS):
        z = xp.sin(z * y)
        z = xp.exp(z) - x
        z = xp.tanh(z + y)
        z = z * 1.5
    return z.sum()


def long_chain(xp, x):
    """100 elementwise operations, whatever the size of x, and a sum."""
    for _ in range(25):
        x = xp.sin(x)
        x = x * 1.3
        x = x + 0.2
        x = xp.tanh(x)
    return x.sum()


def complex_step(f, inputs):
    """Value and gradient of an elementwise chain, to rounding: f'(x) = Im f(x + ih) / h without subtraction.

    All elements are perturbed at once, so the sum must be undone: f sees arrays whose `sum` does nothing.
    Source: Squire and Trapp, SIAM Review 40 (1998).
    """

    class Unsummed(np.ndarray):
        def sum(self):
            return self

    gradients = []
    for k in range(len(inputs)):
        shifted = [(x + 1e-30j if j == k else x + 0j).view(Unsummed) for j, x in enumerate(inputs)]
        gradients.append(np.asarray(f(np, *shifted)).imag / 1e-30)
    return f(np, *inputs), gradients


# ------------------------------------------------------------------ a ResNet with softmax cross-entropy


def resnet_problem(N, W, D, classes=10):
    """Weights, inputs (N, W), one-hot classes (N, 10) and integer labels (N,), float32, always the same."""
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    params = {
        "K": [normal(W, W) / np.float32(W**0.5) for _ in range(D)],
        "b": [normal(W) for _ in range(D)],
        "A": normal(classes, W) / np.float32(W**0.5),
        "c": normal(classes),
    }
    labels = rng.integers(classes, size=N)
    return params, normal(N, W), np.eye(classes, dtype=np.float32)[labels], labels


def numpy_affine(z, K, b):
    return z @ K.T + b


def scores(params, X, tanh, affine=numpy_affine, scalar=float):
    """The network as a user writes it: z <- z + h tanh(z K' + b), then a linear classifier."""
    h = scalar(1 / len(params["K"]))
    z = X
    for K, b in zip(params["K"], params["b"], strict=True):
        z = z + h * tanh(affine(z, K, b))
    return affine(z, params["A"], params["c"])


def resnet_by_hand(params, X, C, labels=None):
    """Loss and gradient of all weights, the reverse sweep written out in NumPy."""
    h = 1 / len(params["K"])
    zs, tanhs = [X], []
    for K, b in zip(params["K"], params["b"], strict=True):
        tanhs.append(np.tanh(zs[-1] @ K.T + b))
        zs.append(zs[-1] + h * tanhs[-1])
    S = zs[-1] @ params["A"].T + params["c"]

    top = S.max(axis=1, keepdims=True)
    E = np.exp(S - top)
    total = E.sum(axis=1, keepdims=True)
    loss = ((np.log(total) + top).sum() - (S * C).sum()) / len(X)

    g = (E / total - C) / len(X)
    gradient = {"K": [], "b": [], "A": g.T @ zs[-1], "c": g.sum(axis=0)}
    g = g @ params["A"]
    for K, z, a in zip(params["K"][::-1], zs[-2::-1], tanhs[::-1], strict=True):
        u = h * g * (1 - a * a)
        gradient["K"].insert(0, u.T @ z)
        gradient["b"].insert(0, u.sum(axis=0))
        g = g + u @ K
    return loss, gradient


def resnet_reference(params, X, C, labels):
    return resnet_by_hand(convert(lambda x: x.astype(float), params), X.astype(float), C.astype(float))


def convert(function, params):
    """The parameters with every array replaced by function(array)."""
    each = lambda p: [function(x) for x in p] if isinstance(p, list) else function(p)
    return {name: each(p) for name, p in params.items()}


def leaves(tree):
    """The arrays in nested dicts, lists and tuples, dicts by sorted keys (JAX returns them so)."""
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    if isinstance(tree, (list, tuple)):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [tree]


# ------------------------------------------------------------------ the table


@dataclass(frozen=True)
class Workload:
    title: str
    unit: str
    per_second: float  # seconds of one call times this = the number in the table
    method: str  # the engine's function that takes the inputs and returns what is timed
    inputs: Callable[[], tuple]
    reference: Callable[..., Any]  # (value, gradients) of the same inputs
    dtype: str
    tolerance: float  # on max|difference| / max|reference|, array by array
    memory: bool = False  # whether the peak of NumPy's allocations is reported too
    quick: bool = True  # whether it is part of a quick run


def scalar(title, unit, per_second, f, *inputs, memory=False):
    given = lambda: (f, [x.copy() for x in inputs])
    return Workload(title, unit, per_second, "scalar", given, complex_step, "float64", 1e-12, memory)


def resnet(N, W, D, quick=True):
    given = lambda: resnet_problem(N, W, D)
    title = f"ResNet ({N}, {W}, {D})"
    return Workload(title, "µs", 1e6, "resnet", given, resnet_reference, "float32", 2e-5, quick=quick)


WORKLOADS = {
    "ops": scalar(f"{OPS} primitives, size 1", "µs each", 1e6 / OPS, chain, np.array([0.3]), np.array([0.7])),
    "resnet-32-8-16": resnet(32, 8, 16),
    "resnet-256-16-32": resnet(256, 16, 32),
    "resnet-256-64-16": resnet(256, 64, 16),
    "resnet-1024-64-32": resnet(1024, 64, 32, quick=False),
    "resnet-4096-128-8": resnet(4096, 128, 8, quick=False),
    "memory": scalar("101 primitives, 1 MB", "ms", 1e3, long_chain, np.linspace(-1, 1, 131072), memory=True),
}
