"""Distances and similarities with backward functions written by hand; forward returns the value and a cache."""

import numpy as np

# ---- Gaussian kernel matrix between points and centres, every centre with its own sharpness


def rbf_kernel_forward(x, centers, sharpness):
    gaps = x[:, None, :] - centers[None, :, :]
    squared = np.sum(gaps**2, axis=2)
    kernel = np.exp(-sharpness * squared)
    return kernel, (gaps, squared, sharpness, kernel)


def rbf_kernel_backward(cache, dout):
    gaps, squared, sharpness, kernel = cache
    dexponent = dout * kernel
    dsharpness = -np.sum(dexponent * squared, axis=0)
    dsquared = -dexponent * sharpness
    dgaps = 2 * gaps * dsquared[:, :, None]
    dx = dgaps.sum(axis=1)
    dcenters = -dgaps.sum(axis=0)
    return dx, dcenters, dsharpness


def rbf_kernel(x, centers, sharpness):
    lengths = np.sum(x**2, axis=1, keepdims=True) + np.sum(centers**2, axis=1)
    return np.exp(-sharpness * (lengths - 2 * np.matmul(x, np.transpose(centers))))


# ---- all squared distances, from the lengths and the products


def pairwise_squared_forward(x, z):
    x_squared = np.sum(x**2, axis=1)
    z_squared = np.sum(z**2, axis=1)
    products = x @ z.T
    return x_squared[:, None] + z_squared[None, :] - 2 * products, (x, z)


def pairwise_squared_backward(cache, dout):
    x, z = cache
    dx_squared = dout.sum(axis=1)
    dz_squared = dout.sum(axis=0)
    dproducts = -2 * dout
    dx = 2 * x * dx_squared[:, None] + dproducts @ z
    dz = 2 * z * dz_squared[:, None] + dproducts.T @ x
    return dx, dz


def pairwise_squared(x, z):
    return np.sum((np.expand_dims(x, 1) - z) ** 2, axis=2)


# ---- Mahalanobis distance, with a factor of the precision


def mahalanobis_forward(x, mean, factor):
    centred = x - mean
    whitened = centred @ factor
    distance = np.sqrt(np.sum(whitened**2, axis=1))
    return distance, (centred, factor, whitened, distance)


def mahalanobis_backward(cache, dout):
    centred, factor, whitened, distance = cache
    dwhitened = (dout / distance)[:, None] * whitened
    dfactor = centred.T @ dwhitened
    dx = dwhitened @ factor.T
    dmean = -np.sum(dx, axis=0)
    return dx, dmean, dfactor


def mahalanobis(x, mean, factor):
    return np.sqrt(np.sum(np.matmul(x - mean, factor) ** 2, axis=1))


# ---- Student similarities between all points of one set, as in t-SNE


def student_similarity_forward(points):
    gaps = points[:, None, :] - points[None, :, :]
    heavy = 1 / (1 + np.sum(gaps**2, axis=2))
    total = heavy.sum()
    similarity = heavy / total
    return similarity, (gaps, heavy, similarity, total)


def student_similarity_backward(cache, dout):
    gaps, heavy, similarity, total = cache
    average = np.sum(dout * similarity)
    dheavy = (dout - average) / total
    dsquared = -dheavy * heavy**2
    dgaps = 2 * gaps * dsquared[:, :, None]
    dpoints = dgaps.sum(axis=1) - dgaps.sum(axis=0)
    return (dpoints,)


def student_similarity(points):
    lengths = np.sum(points**2, axis=1)
    squared = np.reshape(lengths, (-1, 1)) + lengths - 2 * np.matmul(points, np.transpose(points))
    heavy = 1 / (1 + squared)
    return heavy / np.sum(heavy)
