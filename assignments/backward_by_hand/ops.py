"""Backward by hand: eight operations whose forward is given, and whose backward is yours to write.

Every ``..._forward`` returns ``(y, cache)``. Every ``..._backward`` takes that cache and ``dy``, the gradient of some loss L by y,
and returns the gradients of L by the inputs: arrays of the shapes of the inputs. Where an input holds whole numbers (labels,
indices) the gradient is None.

Use NumPy alone. Write each derivative as a formula; differences of forward earn nothing. Do not change the forwards: they are
compared with the teacher's. README.md has the mathematics. To check one operation::

    python -m tinyad check ops.py::matmul
"""

import numpy as np

# ---- 1. mean


def mean_forward(x, axis=None, keepdims=False):
    """The mean of x along an axis, along several (a tuple), or of everything (None)."""
    return np.mean(x, axis=axis, keepdims=keepdims), (x.shape, axis, keepdims)


def mean_backward(cache, dy):
    """The gradient by x. Mind the axes that forward took away, and how many numbers each mean is of."""
    shape, axis, keepdims = cache
    ### BEGIN SOLUTION
    axes = tuple(range(len(shape))) if axis is None else axis
    if not keepdims:
        dy = np.expand_dims(dy, axes)
    count = np.prod([shape[k] for k in np.atleast_1d(axes)])
    return (dy / count + np.zeros(shape, dy.dtype),)
    ### END SOLUTION


def mean_inputs(rng):
    """Inputs for ``python -m tinyad check``. Try others: that is what such a function is for."""
    return rng.normal(size=(5, 3))


# ---- 2. addition with broadcasting


def unbroadcast(gradient, shape):
    """Take back a broadcast: the sum of ``gradient`` over what was repeated when an array of this shape was broadcast.

    Two things may have been done to an array: axes of length 1 were stretched, and axes were put in front.
    """
    ### BEGIN SOLUTION
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    stretched = tuple(k for k, length in enumerate(shape) if length == 1)
    return gradient.sum(axis=stretched, keepdims=True)
    ### END SOLUTION


def add_forward(a, b):
    """a + b by NumPy's rules of broadcasting."""
    return a + b, (a.shape, b.shape)


def add_backward(cache, dy):
    """The gradients by a and by b."""
    shape_of_a, shape_of_b = cache
    ### BEGIN SOLUTION
    return unbroadcast(dy, shape_of_a), unbroadcast(dy, shape_of_b)
    ### END SOLUTION


def add_inputs(rng):
    """Inputs for ``python -m tinyad check``."""
    return rng.normal(size=(5, 3)), rng.normal(size=(3,))


# ---- 3. the matrix product


def matmul_forward(a, b):
    """a @ b: of two matrices, or of stacks of matrices, whose leading axes are broadcast."""
    return a @ b, (a, b)


def matmul_backward(cache, dy):
    """The gradients by a and by b."""
    a, b = cache
    ### BEGIN SOLUTION
    da = dy @ np.swapaxes(b, -1, -2)
    db = np.swapaxes(a, -1, -2) @ dy
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)
    ### END SOLUTION


def matmul_inputs(rng):
    """Inputs for ``python -m tinyad check``."""
    return rng.normal(size=(5, 3)), rng.normal(size=(3, 7))


# ---- 4. softmax and cross-entropy in one


def softmax_cross_entropy_forward(scores, labels):
    """The mean over the examples of -log p[label], with p the softmax of the example's scores.

    scores has the shape (examples, classes), labels (examples,); the loss has the shape ().
    """
    shifted = scores - scores.max(axis=1, keepdims=True)  # so that exp does not overflow; p is the same
    p = np.exp(shifted)
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    return -np.log(p[rows, labels]).mean(), (p, labels)


def softmax_cross_entropy_backward(cache, dy):
    """The gradient by the scores, and None for the labels. dy has the shape ()."""
    p, labels = cache
    ### BEGIN SOLUTION
    by_scores = p.copy()
    by_scores[np.arange(len(labels)), labels] -= 1
    return dy * by_scores / len(labels), None
    ### END SOLUTION


def softmax_cross_entropy_inputs(rng):
    """Inputs for ``python -m tinyad check``."""
    return rng.normal(size=(5, 3)), rng.integers(3, size=5)


# ---- 5. layer normalisation


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    """Every row (the last axis) of x shifted to mean 0 and scaled to variance 1, then times gamma plus beta.

    gamma and beta have the shape of a row.
    """
    mu = x.mean(axis=-1, keepdims=True)
    std = np.sqrt(((x - mu) ** 2).mean(axis=-1, keepdims=True) + eps)
    xhat = (x - mu) / std
    return gamma * xhat + beta, (xhat, std, gamma)


def layer_norm_backward(cache, dy):
    """The gradients by x, gamma and beta. x may have more than two axes."""
    xhat, std, gamma = cache
    ### BEGIN SOLUTION
    leading = tuple(range(dy.ndim - 1))
    dgamma, dbeta = (dy * xhat).sum(axis=leading), dy.sum(axis=leading)
    g = dy * gamma
    centred = g - g.mean(axis=-1, keepdims=True)
    dx = (centred - xhat * (g * xhat).mean(axis=-1, keepdims=True)) / std
    return dx, dgamma, dbeta
    ### END SOLUTION


def layer_norm_inputs(rng):
    """Inputs for ``python -m tinyad check``."""
    return rng.normal(size=(5, 7)), rng.normal(size=7), rng.normal(size=7)


# ---- 6. convolution


def conv2d_forward(x, w, b, stride=1, padding=0):
    """The convolution of images x (n, channels, rows, columns) with w (filters, channels, r, s), plus b (filters,).

    No kernel is flipped: y[n, f, i, j] = b[f] + sum over c, u, v of  w[f, c, u, v] * xp[n, c, i*stride + u, j*stride + v],
    with xp the images with ``padding`` zeros on every side.
    """
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    r, s = w.shape[2:]
    rows = (xp.shape[2] - r) // stride + 1
    columns = (xp.shape[3] - s) // stride + 1
    y = np.zeros((len(x), len(w), rows, columns), x.dtype) + b[:, None, None]
    for u in range(r):
        for v in range(s):
            part = xp[:, :, u : u + stride * rows : stride, v : v + stride * columns : stride]
            y += np.einsum("fc,ncij->nfij", w[:, :, u, v], part)
    return y, (xp, w, stride, padding)


def conv2d_backward(cache, dy):
    """The gradients by x, w and b. A pixel is in several windows, and in the last rows perhaps in none."""
    xp, w, stride, padding = cache
    ### BEGIN SOLUTION
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    height, width = stride * dy.shape[2], stride * dy.shape[3]
    for u, v in np.ndindex(w.shape[2:]):
        window = (slice(None), slice(None), slice(u, u + height, stride), slice(v, v + width, stride))
        dw[:, :, u, v] = np.einsum("nfij,ncij->fc", dy, xp[window])
        dxp[window] += np.einsum("fc,nfij->ncij", w[:, :, u, v], dy)
    inner = slice(padding, dxp.shape[2] - padding), slice(padding, dxp.shape[3] - padding)
    return dxp[:, :, inner[0], inner[1]], dw, dy.sum(axis=(0, 2, 3))
    ### END SOLUTION


def conv2d_inputs(rng):
    """Inputs for ``python -m tinyad check``."""
    return rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(3, 3, 3, 2)), rng.normal(size=3)


# ---- 7. max pooling


def max_pool_forward(x, size=2, stride=2, padding=0):
    """The largest number of every window of size x size pixels; windows are ``stride`` apart, and may overlap.

    ``padding`` repeats the outermost pixels of the images on every side, so that a pixel may be in a window twice.
    """
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(xp, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    y = windows.max(axis=(-2, -1))
    return y, (xp, y, size, stride, padding)


def max_pool_backward(cache, dy):
    """The gradient by x. Where several numbers are the largest, the gradient is given to one, or shared: never given to each."""
    xp, y, size, stride, padding = cache
    rows, columns = xp.shape[2] - 2 * padding, xp.shape[3] - 2 * padding
    ### BEGIN SOLUTION
    windows = np.lib.stride_tricks.sliding_window_view(xp, (size, size), axis=(2, 3))[..., ::stride, ::stride, :, :]
    largest = windows == y[..., None, None]
    share = dy[..., None, None] * largest / largest.sum(axis=(-2, -1), keepdims=True)
    dxp = np.zeros_like(xp)
    for u, v in np.ndindex(size, size):
        dxp[:, :, u : u + stride * dy.shape[2] : stride, v : v + stride * dy.shape[3] : stride] += share[..., u, v]
    # what a repeated pixel gets belongs to the pixel that it repeats
    k = np.clip(np.arange(rows + 2 * padding) - padding, 0, rows - 1)
    m = np.clip(np.arange(columns + 2 * padding) - padding, 0, columns - 1)
    dx = np.zeros((*xp.shape[:2], rows, columns), xp.dtype)
    np.add.at(dx, (slice(None), slice(None), k[:, None], m), dxp)
    return (dx,)
    ### END SOLUTION


def max_pool_inputs(rng):
    """Inputs for ``python -m tinyad check``."""
    return rng.normal(size=(2, 3, 6, 4))


# ---- 8. embedding


def embedding_forward(table, indices):
    """The rows of the table with these indices, which have any shape: y[...] = table[indices[...]]."""
    return table[indices], (table.shape, indices)


def embedding_backward(cache, dy):
    """The gradient by the table, and None for the indices. An index may come more than once."""
    shape, indices = cache
    ### BEGIN SOLUTION
    dtable = np.zeros(shape, dy.dtype)
    np.add.at(dtable, indices, dy)
    return dtable, None
    ### END SOLUTION


def embedding_inputs(rng):
    """Inputs for ``python -m tinyad check``."""
    return rng.normal(size=(5, 3)), np.array([[0, 2, 2], [4, 0, 2]])
