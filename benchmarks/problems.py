"""The functions that engines are given, as a user writes them, and the numbers that go into them.

They are written once for all engines: what differs between them (`tanh`, an affine map, a module of functions `xp`) is an
argument.
"""

import numpy as np

# ------------------------------------------------------------------ trees: arrays in dicts and lists


def tree_map(function, tree, *others):
    """The tree with every leaf replaced by function(leaf, leaves of the others in the same place)."""
    if isinstance(tree, dict):
        return {key: tree_map(function, tree[key], *(other[key] for other in others)) for key in tree}
    if isinstance(tree, (list, tuple)):
        return [tree_map(function, *branches) for branches in zip(tree, *others, strict=True)]
    return function(tree, *others)


def leaves(tree):
    """The arrays in nested dicts, lists and tuples, dicts by sorted keys (JAX returns them so)."""
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    if isinstance(tree, (list, tuple)):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [tree]


# ------------------------------------------------------------------ chains of small operations

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


# ------------------------------------------------------------------ networks with softmax cross-entropy

ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-4}  # eps larger than usual: with 1e-8 the sign of a rounding error is a step
RATE = 1e-3


def affine(z, K, b):
    return z @ K.T + b


def resnet(params, X, tanh, affine=affine, scalar=float):
    """Scores: z <- z + h tanh(z K' + b), then a linear classifier."""
    h = scalar(1 / len(params["K"]))
    z = X
    for K, b in zip(params["K"], params["b"], strict=True):
        z = z + h * tanh(affine(z, K, b))
    return affine(z, params["A"], params["c"])


def mlp(params, X, tanh, affine=affine, scalar=float):
    """Scores: dense layers, the last without activation."""
    z = X
    for K, b in zip(params["K"][:-1], params["b"][:-1], strict=True):
        z = tanh(affine(z, K, b))
    return affine(z, params["K"][-1], params["b"][-1])


def convnet(params, X, tanh, affine=affine, scalar=float, *, conv, relu, max_pool):
    """Scores of images (N, channels, 28, 28): convolutions 3 x 3, each with relu and pooling 2 x 2, then a linear classifier.

    ``conv`` pads images so that they keep their size.
    """
    z = X
    for K, b in zip(params["K"], params["b"], strict=True):
        z = max_pool(relu(conv(z, K) + b[:, None, None]))
    return affine(z.reshape(len(X), -1), params["A"], params["c"])


def generator():
    """Random numbers, always the same, and float32 normal ones."""
    rng = np.random.default_rng(0)
    return rng, lambda *shape: rng.standard_normal(shape).astype(np.float32)


def resnet_params(normal, W, D, classes=10):
    return {
        "K": [normal(W, W) / np.float32(W**0.5) for _ in range(D)],
        "b": [normal(W) for _ in range(D)],
        "A": normal(classes, W) / np.float32(W**0.5),
        "c": normal(classes),
    }


def mlp_params(normal, *widths):
    sizes = list(zip(widths[1:], widths[:-1], strict=True))
    return {"K": [normal(m, n) / np.float32(n**0.5) for m, n in sizes], "b": [normal(m) for m in widths[1:]]}


def classes_of(rng, N, classes=10):
    """One-hot classes (N, 10) and the same as integers (N,): some engines' losses want these, some those."""
    labels = rng.integers(classes, size=N)
    return np.eye(classes, dtype=np.float32)[labels], labels


def resnet_problem(N, W, D):
    """The function, weights, inputs (N, W), one-hot classes and labels; all float32."""
    rng, normal = generator()
    params = resnet_params(normal, W, D)
    C, labels = classes_of(rng, N)
    return resnet, params, normal(N, W), C, labels


def mlp_problem(N, *widths):
    rng, normal = generator()
    params = mlp_params(normal, *widths)
    C, labels = classes_of(rng, N, widths[-1])
    return mlp, params, normal(N, widths[0]), C, labels


def convnet_problem(N, *channels):
    """Images (N, 1, 28, 28), as those of MNIST are, and kernels for these numbers of channels."""
    rng, normal = generator()
    ends = 28 // 2 ** len(channels)
    sizes = list(zip(channels, (1, *channels), strict=False))
    params = {
        "K": [normal(m, n, 3, 3) / np.float32((9 * n) ** 0.5) for m, n in sizes],
        "b": [normal(m) for m in channels],
        "A": normal(10, channels[-1] * ends**2) / np.float32(channels[-1] ** 0.5 * ends),
        "c": normal(10),
    }
    C, labels = classes_of(rng, N)
    return convnet, params, normal(N, 1, 28, 28), C, labels


def direction_problem(N, W, D):
    """A ResNet, and a direction in the space of its weights."""
    problem = resnet_problem(N, W, D)
    rng = np.random.default_rng(1)
    return *problem, tree_map(lambda x: rng.standard_normal(x.shape).astype(np.float32), problem[1])


# ------------------------------------------------------------------ functions of 100 variables, float64

A, B = np.random.default_rng(2).standard_normal((2, 100, 100)) / 10


def map_of_100(xp, A, B, x):
    """Nonlinear and dense, from 100 numbers to 100."""
    return xp.tanh(A @ x) * (B @ x)


def function_of_100(xp, A, B, x):
    """log sum exp of 100 quadratics: its Hessian is dense."""
    return xp.log(xp.exp(A @ x + 0.5 * (B @ x) ** 2).sum())


def of_100(f):
    return f, A, B, np.linspace(-1, 1, 100)


# ------------------------------------------------------------------ a neural ODE

STEPS = 100  # of the loop that is written by hand
SOLVER_STEPS = 64  # of the libraries' solvers


def rk4(field, y, h):
    """The classical step of order 4."""
    k1 = field(y)
    k2 = field(y + h / 2 * k1)
    k3 = field(y + h / 2 * k2)
    k4 = field(y + h * k3)
    return y + h / 6 * (k1 + 2 * (k2 + k3) + k4)


def ode_problem():
    """The field, a network 2-64-2; its weights; 128 starting points and where they should be at time 1."""
    _, normal = generator()
    return mlp, mlp_params(normal, 2, 64, 2), normal(128, 2), normal(128, 2)


def solver_problem():
    """The field, a network 2-64-64-2; its weights; 256 starting points and where they should be at time 1."""
    _, normal = generator()
    return mlp, mlp_params(normal, 2, 64, 64, 2), normal(256, 2), normal(256, 2)
