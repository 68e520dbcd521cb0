"""Polynomials by their coefficients, the highest power first, and the sliding products that multiply them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..tensor import unwrap
from .complex import conj
from .convolution import conv
from .diagonals import vander
from .elementwise import abs as absolute
from .elementwise import square, where
from .joining import concat
from .least_squares import lstsq
from .padding import pad
from .reductions import root, sum
from .shaping import as_array, as_arrays, as_floating, atleast_1d, expand_dims, flip, ravel, reshape, shape_of
from .steps import equal

__all__ = ["convolve", "correlate", "polyadd", "polyder", "polyfit", "polyint", "polysub", "polyval"]

# ---- sliding products


def convolve(a: Array, v: Array, mode: str = "full") -> Array:
    """The convolution of two vectors, ``out[k] = sum_j a[j] v[k - j]``: the product of polynomials.

    Args:
        mode: ``"full"`` for all of it, ``m + n - 1`` elements; ``"same"`` for its middle, as long as the longer vector;
            ``"valid"`` for the elements in which the shorter vector lies inside the longer one.

    Raises:
        ValueError: if they are no vectors, one is empty, or for another mode.

    >>> import numpy as np, tinyad as ad
    >>> ad.convolve(np.array([1.0, 2.0]), np.array([1.0, 0.0, -1.0]))
    array([ 1.,  2., -1., -2.])
    """
    a, v = _vectors("convolve", a, v)
    long, short = (a, v) if a.shape[0] >= v.shape[0] else (v, a)
    return _slide("convolve", long, flip(short), mode)


def correlate(a: Array, v: Array, mode: str = "valid") -> Array:
    """The correlation of two vectors, ``out[k] = sum_n a[n + k] conj(v[n])``; for ``mode`` see `convolve`.

    >>> import numpy as np, tinyad as ad
    >>> ad.correlate(np.array([1.0, 2.0, 4.0]), np.array([-1.0, 1.0]))
    array([1., 2.])
    """
    a, v = _vectors("correlate", a, v)
    if a.shape[0] >= v.shape[0]:
        return _slide("correlate", a, conj(v), mode)
    return flip(_slide("correlate", conj(v), a, mode))


def _vectors(name: str, a: Array, v: Array) -> list[Array]:
    vectors: list[Array] = [atleast_1d(x) for x in as_arrays(a, v)]
    shapes = [shape_of(x) for x in vectors]
    if any(len(shape) != 1 or not shape[0] for shape in shapes):
        raise ValueError(f"{name}: operands of shapes {shapes[0]} and {shapes[1]}; expected two vectors with elements")
    return vectors


def _slide(name: str, long: Array, short: Array, mode: str) -> Array:
    """The sums of products at each place of the shorter vector along the longer one."""
    n = short.shape[0]
    around = {"full": (n - 1, n - 1), "same": (n // 2, n - 1 - n // 2), "valid": (0, 0)}
    if mode not in around:
        raise ValueError(f"{name}: mode={mode!r}; expected 'full', 'same' or 'valid'")
    return reshape(conv(reshape(long, (1, 1, -1)), reshape(short, (1, 1, -1)), padding=[around[mode]]), -1)


# ---- polynomials


def _coefficients(name: str, p: Array) -> Array:
    p = atleast_1d(as_array(p))
    if len(shape_of(p)) != 1:
        raise ValueError(f"{name}: coefficients of shape {shape_of(p)}; expected a vector, the highest power first")
    return p


def polyval(p: Array, x: Array) -> Array:
    """The polynomial with coefficients ``p`` at the points ``x``, by Horner's rule.

    Args:
        p: shape (degree + 1,), the highest power first.

    >>> import tinyad as ad
    >>> ad.grad(lambda x: ad.polyval([1.0, 0.0, -1.0], x))(3.0)
    np.float64(6.0)
    """
    p, x = as_arrays(p, x)
    p = _coefficients("polyval", p)
    value = 0 * x
    for k in range(p.shape[0]):
        value = value * x + p[k]
    return value


def polyadd(a1: Array, a2: Array) -> Array:
    """The coefficients of the sum of two polynomials."""
    first, second = _of_one_degree("polyadd", a1, a2)
    return first + second


def polysub(a1: Array, a2: Array) -> Array:
    """The coefficients of the difference of two polynomials."""
    first, second = _of_one_degree("polysub", a1, a2)
    return first - second


def _of_one_degree(name: str, a1: Array, a2: Array) -> list[Array]:
    both = [_coefficients(name, a) for a in as_arrays(a1, a2)]
    length = max(a.shape[0] for a in both)
    return [pad(a, (length - a.shape[0], 0)) for a in both]


def _powers(p: Array, first: int) -> Array:
    """The numbers ``n + first - 1, ..., first`` for ``n`` coefficients, where these are and in their dtype."""
    array = unwrap(p)
    return module_of(array).arange(array.shape[0] + first - 1, first - 1, -1).astype(array.dtype)


def polyder(p: Array, m: int = 1) -> Array:
    """The coefficients of the ``m``-th derivative."""
    p = _coefficients("polyder", p)
    if not hasattr(m, "__index__") or m < 0:
        raise ValueError(f"polyder: m={m!r}; expected a whole number of at least 0")
    for _ in range(m):
        p = p[:-1] * _powers(p, 0)[:-1]
    return p


def polyint(p: Array, m: int = 1, k: Any = None) -> Array:
    """The coefficients of the ``m``-th antiderivative.

    Args:
        k: the constants of integration, a number for each time or one for all; 0 by default.

    >>> import numpy as np, tinyad as ad
    >>> ad.polyint(np.array([6.0, 2.0]), k=5.0)
    array([3., 2., 5.])
    """
    if not hasattr(m, "__index__") or m < 0:
        raise ValueError(f"polyint: m={m!r}; expected a whole number of at least 0")
    p, constants = as_arrays(p, 0.0 if k is None else k)
    p, constants = as_floating(_coefficients("polyint", p)), ravel(constants)
    if constants.shape[0] == 1:
        constants = constants * module_of(unwrap(p)).ones(m, dtype=p.dtype)
    if constants.shape != (m,):
        raise ValueError(f"polyint: k of shape {shape_of(constants)} for m={m}; expected a number, or {m} of them")
    for i in range(m):
        p = concat([p / _powers(p, 1), constants[i : i + 1]])
    return p


def polyfit(x: Array, y: Array, deg: int, *, w: Array | None = None) -> Array:
    """The coefficients of the polynomial that fits the points ``(x, y)`` best in the sense of least squares.

    It is differentiated by ``x``, ``y`` and ``w``.

    Args:
        x: shape (points,).
        y: shape (points,), or (points, curves) for several at once.
        deg: the degree.
        w: what each distance is multiplied by before it is squared; shape (points,).

    Returns:
        Shape (deg + 1,) or (deg + 1, curves), the highest power first.

    Raises:
        ValueError: for a negative degree, or shapes that do not fit.

    >>> import numpy as np, tinyad as ad
    >>> ad.polyfit(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), 1).round(12)
    array([2., 1.])
    """
    x, y, *weights = map(as_floating, as_arrays(x, y, *([] if w is None else [w])))
    if not hasattr(deg, "__index__") or deg < 0:
        raise ValueError(f"polyfit: deg={deg!r}; expected a whole number of at least 0")
    if len(shape_of(x)) != 1 or shape_of(y)[:1] != shape_of(x) or any(shape_of(one) != shape_of(x) for one in weights):
        raise ValueError(f"polyfit: x of shape {shape_of(x)} and y of shape {shape_of(y)}; expected as many values as points")
    matrix = vander(x, deg + 1)
    for one in weights:
        matrix, y = matrix * one[:, None], y * reshape(one, (-1,) + (1,) * (len(shape_of(y)) - 1))
    lengths = root(sum(square(absolute(matrix)), 0))  # columns of one length: powers of x differ by orders of magnitude
    lengths = where(equal(lengths, 0), 1.0, lengths)
    solution = lstsq(matrix / lengths, y, x.shape[0] * float(np.finfo(x.dtype).eps)).x
    return solution / (lengths if len(shape_of(y)) == 1 else expand_dims(lengths, -1))
