"""Libraries that are written for the array API standard run on Tensors, and what they compute can be differentiated."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.5, 6.0]])
WEIGHTS = np.array([[0.3, -1.0, 0.7], [2.0, 0.1, -0.4]])


def library(name: str) -> Any:
    """A library, imported when a test asks for it; the test is skipped where it is not installed."""
    pytest.importorskip(name.partition(".")[0])
    return importlib.import_module(name)


def test_array_api_compat_finds_the_namespace() -> None:
    compat = library("array_api_compat")
    for x in (ad.asarray(X), ad.tensor(X), ad.tensor(X) * 2.0):
        assert compat.is_array_api_obj(x) and compat.array_namespace(x) is ad and not compat.is_numpy_array(x)
        assert compat.device(x) == "cpu" and compat.size(x) == 6 and compat.to_device(x, "cpu") is x


EINOPS: list[tuple[str, Callable[[Any, Any], Any], Callable[[Any], Any]]] = [
    ("rearrange", lambda e, x: e.rearrange(x, "a b -> (b a)"), lambda x: ad.ravel(x.T)),
    ("reduce", lambda e, x: e.reduce(x, "a (b c) -> a c", "mean", b=3), lambda x: ad.mean(x, 1, keepdims=True)),
    ("reduce by max", lambda e, x: e.reduce(x, "a b -> b", "max"), lambda x: ad.max(x, 0)),
    ("repeat", lambda e, x: e.repeat(x, "a b -> a r b", r=2), lambda x: ad.stack([x, x], 1)),
    ("pack", lambda e, x: e.pack([x, x], "* b")[0], lambda x: ad.concat([x, x])),
    ("unpack", lambda e, x: e.unpack(x, [(1,), (2,)], "a *")[1], lambda x: x[:, 1:]),
]


@pytest.mark.parametrize(("theirs", "ours"), [row[1:] for row in EINOPS], ids=[row[0] for row in EINOPS])
def test_einops(theirs: Callable[[Any, Any], Any], ours: Callable[[Any], Any]) -> None:
    functions = library("einops.array_api")
    for a, b in zip(
        ad.value_and_grad(lambda x: ad.sum(ad.sin(theirs(functions, x))))(X),
        ad.value_and_grad(lambda x: ad.sum(ad.sin(ours(x))))(X),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    np.testing.assert_array_equal(theirs(functions, ad.asarray(X)).array, np.asarray(ours(X)))


# Each a differentiable function of X, and the same with NumPy.
EXTRA: list[tuple[str, Callable[[Any, Any], Any], Callable[[Any], Any]]] = [
    ("cov", lambda xpx, x: xpx.cov(x), np.cov),
    ("kron", lambda xpx, x: xpx.kron(x, ad.asarray(WEIGHTS)), lambda x: np.kron(x, WEIGHTS)),
    ("pad", lambda xpx, x: xpx.pad(x, 2, constant_values=3.0), lambda x: np.pad(x, 2, constant_values=3.0)),
    ("sinc", lambda xpx, x: xpx.sinc(x + 0.3), lambda x: np.sinc(x + 0.3)),
    ("create_diagonal", lambda xpx, x: xpx.create_diagonal(x[0]), lambda x: np.diag(x[0])),
    ("at set", lambda xpx, x: xpx.at(x, 0).set(x[1] ** 2), lambda x: np.stack([x[1] ** 2, x[1]])),
    (
        "apply_where",
        lambda xpx, x: xpx.apply_where(x > 2.5, (x,), lambda part: 1 / part, fill_value=0.0),
        lambda x: np.where(x > 2.5, 1 / x, 0.0),
    ),
]


@pytest.mark.parametrize(("theirs", "numpys"), [row[1:] for row in EXTRA], ids=[row[0] for row in EXTRA])
def test_array_api_extra(theirs: Callable[[Any, Any], Any], numpys: Callable[[Any], Any]) -> None:
    xpx = library("array_api_extra")
    out = theirs(xpx, ad.asarray(X))
    assert isinstance(out, ad.Tensor)
    np.testing.assert_allclose(out.array, numpys(X), rtol=1e-13, atol=1e-13)
    slope = ad.grad(lambda x: ad.sum(ad.sin(theirs(xpx, x))))(X)
    (direct,) = [found.jacobian for found in ad.numeric_jacobian(lambda x: np.sum(np.sin(numpys(x))), X)]
    np.testing.assert_allclose(slope, direct, rtol=1e-6, atol=1e-8)


def test_array_api_extra_in_a_compiled_function() -> None:
    xpx = library("array_api_extra")
    f = ad.grad(lambda x: ad.sum(xpx.cov(x) ** 2))
    np.testing.assert_allclose(ad.compile(f)(X), f(X), rtol=1e-12)


SCIPY = """
import numpy as np, tinyad as ad
import scipy.integrate, scipy.optimize, scipy.optimize.elementwise, scipy.special, scipy.stats

x = np.array([0.3, 0.7, 1.9])
functions = [
    scipy.special.logsumexp, lambda x: ad.sum(scipy.special.softmax(x) ** 2), lambda x: ad.sum(scipy.special.erf(x)),
    lambda x: ad.sum(scipy.special.xlogy(x, x)), scipy.stats.skew, scipy.stats.gmean, scipy.stats.variation, scipy.stats.entropy,
    scipy.integrate.trapezoid, scipy.optimize.rosen,
]
for number, f in enumerate(functions):
    assert isinstance(f(ad.asarray(x)), ad.Tensor), number
    slope, (direct,) = ad.grad(f)(x), ad.numeric_jacobian(lambda x: f(ad.asarray(x)).array, x)
    np.testing.assert_allclose(slope, direct.jacobian, rtol=1e-6, atol=1e-8, err_msg=str(number))

bracket = ad.zeros(3), 3 * ad.ones(3)
root = scipy.optimize.elementwise.find_root(lambda z, c: z**3 - c, bracket, args=(ad.asarray(x),)).x
assert isinstance(root, ad.Tensor)
np.testing.assert_allclose(root.array, np.cbrt(x), rtol=1e-12)
"""


def test_scipy_takes_tensors_where_it_is_told_to() -> None:
    library("scipy")
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}  # SciPy reads it when it is imported
    run = subprocess.run([sys.executable, "-c", SCIPY], env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
