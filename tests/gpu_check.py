"""Compare gradients computed on a GPU with those of NumPy: ``make gpu-check``.

Without CuPy or without a GPU there is nothing to compare: it says so and exits with 0. A gradient that
differs from NumPy's, or that has left the GPU, makes it exit with 1.

A script and not a test, so that a machine without a GPU does not report it as passed.
"""

import sys

import numpy as np

import tinyad as ad

# Two orders of summation in float64 differ by far less than this, a wrong rule by far more.
TOLERANCE = 1e-10


def elementwise(x):
    return ad.sum(ad.sin(x) * ad.exp(-x * x) + ad.log(1.0 + x * x))


def broadcasting_and_reductions(x):
    centred = x - ad.mean(x, axis=0)
    return ad.sum(centred**2 / (1.0 + ad.sum(x * x, axis=1, keepdims=True)))


def matrix_products(x):
    return ad.sum(ad.tanh(x @ ad.matrix_transpose(x)))


def indexing(x):
    return ad.sum(x[1:, ::2] * x[:-1, 1::2]) + ad.sum(x[[0, 2, 2]] ** 3)


def shapes(x):
    return ad.sum(ad.reshape(ad.permute_dims(x, (1, 0)), (-1, 2)) ** 3)


def choices(x):
    return ad.sum(ad.where(x > 0, x, 0.1 * x) * ad.max(x, axis=1, keepdims=True))


def numpy_functions(x):
    return np.sum(np.tanh(x) * np.sqrt(1.0 + x * x))


def second_derivatives(x):
    return ad.sum(ad.grad(elementwise)(x) ** 2)


FUNCTIONS = [
    elementwise,
    broadcasting_and_reductions,
    matrix_products,
    indexing,
    shapes,
    choices,
    numpy_functions,
    second_derivatives,
]


def find_gpu():
    """CuPy if it can compute here, else the reason why it cannot, as text."""
    try:
        import cupy
    except Exception as error:  # a broken CUDA installation raises more than ImportError
        return f"CuPy cannot be imported ({error}); in .venv: pip install -e '.[cuda]'"
    try:
        return cupy if cupy.cuda.is_available() else "CuPy is installed, but it finds no GPU"
    except Exception as error:
        return f"CuPy is installed, but it cannot ask for a GPU ({error})"


def problem(function, cupy, x):
    """What is wrong with the gradient of `function` on the GPU; empty if nothing is."""
    expected = ad.grad(function)(x)
    try:
        found = ad.grad(function)(cupy.asarray(x))
    except Exception as error:  # the other functions shall still be reported
        return f"raised {type(error).__name__}: {error}"
    if not isinstance(found, cupy.ndarray):
        return f"is a {type(found).__name__}, which is not on the GPU"
    difference = float(np.max(np.abs(cupy.asnumpy(found) - expected)) / np.max(np.abs(expected)))
    # Written so that a NaN is a problem too.
    return "" if difference <= TOLERANCE else f"differs from NumPy's by {difference:.1e} of its size"


def main():
    cupy = find_gpu()
    if isinstance(cupy, str):
        print(f"nothing compared: {cupy}")
        return 0
    x = np.random.default_rng(0).normal(size=(6, 8))
    problems = {function.__name__: problem(function, cupy, x) for function in FUNCTIONS}
    for name, text in problems.items():
        print(f"{name}: the gradient {text or 'agrees'}")
    return 1 if any(problems.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
