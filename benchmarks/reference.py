"""Answers that owe nothing to any engine: complex steps, and reverse sweeps by hand, in float64.

A complex step is exact to rounding: f'(x) = Im f(x + ih) / h has no subtraction, so h may be 1e-30.
Source: Squire and Trapp, SIAM Review 40 (1998).
"""

import numpy as np

from problems import ADAM, RATE, SOLVER_STEPS, STEPS, convnet, mlp, resnet, rk4, tree_map

H = 1e-30


def double(tree):
    return tree_map(lambda x: np.asarray(x, float), tree)


def shifted(tree, direction):
    return tree_map(lambda x, d: x + 1j * H * d, tree, direction)


def imaginary(tree):
    return tree_map(lambda x: np.asarray(x).imag / H, tree)


# ------------------------------------------------------------------ chains


def scalar(f, inputs):
    """Value and gradient of an elementwise chain with a sum at its end.

    All elements are shifted at once, so the sum must be undone: f sees arrays whose `sum` does nothing.
    """

    class Unsummed(np.ndarray):
        def sum(self):
            return self

    gradients = []
    for k in range(len(inputs)):
        moved = [(x + 1j * H * (j == k)).view(Unsummed) for j, x in enumerate(inputs)]
        gradients.append(np.asarray(f(np, *moved)).imag / H)
    return f(np, *inputs), gradients


# ------------------------------------------------------------------ networks: values forward, cotangents back


def resnet_forward(params, X):
    h = 1 / len(params["K"])
    zs, tanhs = [X], []
    for K, b in zip(params["K"], params["b"], strict=True):
        tanhs.append(np.tanh(zs[-1] @ K.T + b))
        zs.append(zs[-1] + h * tanhs[-1])
    return zs[-1] @ params["A"].T + params["c"], (zs, tanhs)


def resnet_backward(params, saved, g):
    """The gradient, given the cotangent of the scores."""
    zs, tanhs = saved
    h = 1 / len(tanhs)
    gradient = {"K": [], "b": [], "A": g.T @ zs[-1], "c": g.sum(axis=0)}
    g = g @ params["A"]
    for K, z, a in zip(params["K"][::-1], zs[-2::-1], tanhs[::-1], strict=True):
        u = h * g * (1 - a * a)
        gradient["K"].insert(0, u.T @ z)
        gradient["b"].insert(0, u.sum(axis=0))
        g = g + u @ K
    return gradient, g


def mlp_forward(params, X):
    zs = [X]
    for K, b in zip(params["K"][:-1], params["b"][:-1], strict=True):
        zs.append(np.tanh(zs[-1] @ K.T + b))
    return zs[-1] @ params["K"][-1].T + params["b"][-1], zs


def mlp_backward(params, zs, g):
    gradient = {"K": [], "b": []}
    for K, z in zip(params["K"][::-1], zs[::-1], strict=True):
        gradient["K"].insert(0, g.T @ z)
        gradient["b"].insert(0, g.sum(axis=0))
        g = g @ K
        if z is not zs[0]:  # the input is no tanh
            g = g * (1 - z * z)
    return gradient, g


def windows(z):
    """The 3 x 3 windows of images with a border of zeros: (N, channels, height, width, 3, 3)."""
    z = np.pad(z, [(0, 0), (0, 0), (1, 1), (1, 1)])
    return np.lib.stride_tricks.sliding_window_view(z, (3, 3), (2, 3))


def quarters(z):
    """The 2 x 2 windows of images, flattened: (N, channels, height / 2, width / 2, 4)."""
    N, M, H, W = z.shape
    return z.reshape(N, M, H // 2, 2, W // 2, 2).swapaxes(3, 4).reshape(N, M, H // 2, W // 2, 4)


def convnet_forward(params, X):
    z, saved = X, []
    for K, b in zip(params["K"], params["b"], strict=True):
        a = np.maximum(np.einsum("nchwij,mcij->nmhw", windows(z), K, optimize=True) + b[:, None, None], 0)
        saved.append((z, a))
        z = quarters(a).max(axis=-1)
    flat = z.reshape(len(X), -1)
    return flat @ params["A"].T + params["c"], (saved, flat)


def convnet_backward(params, saved, g):
    saved, flat = saved
    gradient = {"K": [], "b": [], "A": g.T @ flat, "c": g.sum(axis=0)}
    g = g @ params["A"]
    for K, (z, a) in zip(params["K"][::-1], saved[::-1], strict=True):
        N, M, H, W = a.shape
        top = quarters(a) == quarters(a).max(
            axis=-1, keepdims=True
        )  # where several are largest all are 0, and relu lets none by
        g = (top * g.reshape(N, M, H // 2, W // 2, 1)).reshape(N, M, H // 2, W // 2, 2, 2).swapaxes(3, 4).reshape(a.shape)
        g = g * (a > 0)
        gradient["K"].insert(0, np.einsum("nchwij,nmhw->mcij", windows(z), g, optimize=True))
        gradient["b"].insert(0, g.sum(axis=(0, 2, 3)))
        g = np.einsum("nmhwij,mcij->nchw", windows(g), K[:, :, ::-1, ::-1], optimize=True)
    return gradient, g


SWEEPS = {
    resnet: (resnet_forward, resnet_backward),
    mlp: (mlp_forward, mlp_backward),
    convnet: (convnet_forward, convnet_backward),
}


def cross_entropy(S, C):
    """Mean softmax cross-entropy of scores, and its gradient."""
    top = S.max(axis=1, keepdims=True)
    E = np.exp(S - top)
    total = E.sum(axis=1, keepdims=True)
    loss = ((np.log(total) + top).sum() - (S * C).sum()) / len(S)
    return loss, (E / total - C) / len(S)


def loss_gradient(network, params, X, C):
    forward, backward = SWEEPS[network]
    S, saved = forward(params, X)
    loss, g = cross_entropy(S, C)
    return loss, backward(params, saved, g)[0]


def gradient(network, params, X, C, labels):
    return loss_gradient(network, *double((params, X, C)))


def hvp(network, params, X, C, labels, v):
    """The complex step of the gradient by hand."""
    params, X, C, v = double((params, X, C, v))
    return imaginary(loss_gradient(network, shifted(params, v), X, C)[1])


def gnvp(network, params, X, C, labels, v):
    """J' H J v, from the right: two complex steps and a sweep back."""
    params, X, C, v = double((params, X, C, v))
    forward, backward = SWEEPS[network]
    S, saved = forward(params, X)
    Jv = imaginary(forward(shifted(params, v), X)[0])
    HJv = imaginary(cross_entropy(shifted(S, Jv), C)[1])
    return backward(params, saved, HJv)[0]


def train(calls):
    """The last loss and the weights after some steps of Adam."""

    def trained(network, params, X, C, labels):
        params, X, C = double((params, X, C))
        m = s = tree_map(np.zeros_like, params)
        for t in range(1, calls + 1):
            loss, g = loss_gradient(network, params, X, C)
            params, m, s = adam(params, m, s, g, t)
        return loss, params

    return trained


def adam(params, m, s, g, t):
    """The weights and the two means after step t of Adam (Kingma and Ba, 2015, algorithm 1)."""
    b1, b2, eps = ADAM.values()
    m = tree_map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
    s = tree_map(lambda s, g: b2 * s + (1 - b2) * g * g, s, g)
    rate, scale = RATE / (1 - b1**t), 1 / (1 - b2**t)
    return tree_map(lambda p, m, s: p - rate * m / (np.sqrt(scale * s) + eps), params, m, s), m, s


# ------------------------------------------------------------------ functions of 100 variables


def jacobian(f, A, B, x):
    """Of tanh(Ax) Bx, with calculus."""
    t = np.tanh(A @ x)
    return ((1 - t * t) * (B @ x))[:, None] * A + t[:, None] * B


def hessian(f, A, B, x):
    """Of log sum exp(u), u = Ax + (Bx)^2 / 2: U' (diag p - p p') U + B' diag(p) B, with U = du/dx and p = softmax(u)."""
    u = A @ x + 0.5 * (B @ x) ** 2
    p = np.exp(u) / np.exp(u).sum()
    U = A + (B @ x)[:, None] * B
    return U.T @ (p[:, None] * U - np.outer(p, p @ U)) + B.T @ (p[:, None] * B)


# ------------------------------------------------------------------ the neural ODE


def ode(field, params, y, target, steps=STEPS):
    """Runge and Kutta's steps forward, and each of them transposed on the way back."""
    params, y, target = double((params, y, target))
    ys = [y]
    for _ in range(steps):
        ys.append(rk4(lambda y: mlp_forward(params, y)[0], ys[-1], 1 / steps))
    difference = ys[-1] - target
    g = 2 * difference / difference.size
    total = tree_map(np.zeros_like, params)
    for y in ys[-2::-1]:
        g, parts = rk4_transposed(params, y, g, 1 / steps)
        total = tree_map(lambda *gs: sum(gs), total, *parts)
    return (difference**2).mean(), total


def solver(*given):
    return ode(*given, steps=SOLVER_STEPS)


def rk4_transposed(params, y, g, h):
    """From the cotangent after a step to the one before it, and four shares of the gradient."""
    saved, k = [], 0.0
    for shift in (0.0, h / 2, h / 2, h):
        k, zs = mlp_forward(params, y + shift * k)
        saved.append(zs)
    parts, before, back = [], g, 0.0
    for zs, weight, shift in zip(saved[::-1], (h / 6, h / 3, h / 3, h / 6), (0.0, h, h / 2, h / 2), strict=True):
        part, back = mlp_backward(params, zs, weight * g + shift * back)
        parts.append(part)
        before = before + back
    return before, parts
