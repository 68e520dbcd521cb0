"""Fourier transforms: complex cotangents, dtypes, lengths and axes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives.sampling import SEEDS

Array = np.ndarray[Any, Any]
EXAMPLES = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
OF_REAL = ("rfft", "ihfft")
OF_HALF = ("irfft", "hfft")
ALL = ("fft", "ifft", *OF_REAL, *OF_HALF)


def signal(shape: tuple[int, ...], kind: str, seed: int) -> Array:
    random = np.random.default_rng(seed)
    real = random.normal(size=shape)
    return real + 1j * random.normal(size=shape) if kind == "c" else real


def matrix(f: Callable[[Any], Any], n: int) -> Array:
    """A linear function of complex vectors by what it does to the unit vectors."""
    return np.stack([f(unit.astype(complex)) for unit in np.eye(n)], axis=1)


# ---- transposes


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("name", ["fft", "ifft"])
def test_the_transpose_is_plain_and_not_conjugated(name: str, n: int) -> None:
    f = getattr(ad.fft, name)
    for length in (n, n + 1, max(n - 1, 1)):
        dense = matrix(lambda x, k=length: getattr(np.fft, name)(x, k), n)
        u = signal((length,), "c", 0)
        (g,) = ad.vjp(lambda x, k=length: f(x, k), signal((n,), "c", 1))[1](u)
        np.testing.assert_allclose(g, dense.T @ u, rtol=0, atol=1e-13 * n)
        (g,) = ad.vjp(lambda x, k=length: f(x, k), signal((n,), "f", 1))[1](u)
        assert g.dtype == float
        np.testing.assert_allclose(g, (dense.T @ u).real, rtol=0, atol=1e-13 * n)


@EXAMPLES
@given(
    name=st.sampled_from(ALL), m=st.integers(1, 6), n=st.one_of(st.none(), st.integers(1, 7)), kind=st.sampled_from("fc"),
    norm=st.sampled_from([None, "ortho", "forward"]), seed=SEEDS,
)  # fmt: skip
def test_the_change_of_a_real_number_is_that_of_the_tangent(
    name: str, m: int, n: int | None, kind: str, norm: str | None, seed: int
) -> None:
    """``Re(sum(u * J v)) = Re(sum(J' u * v))``, for complex cotangents and tangents; and the same of the derivative itself."""
    m = m + 1 if name in OF_HALF and n is None else m
    kind = "f" if name in OF_REAL else kind
    x, v = signal((2, m), kind, seed), signal((2, m), kind, seed + 1)

    def f(x: Any) -> Any:
        return getattr(ad.fft, name)(x, n, -1, norm)

    y, dy = ad.jvp(f, (x,), (v,))
    u = signal(y.shape, y.dtype.kind, seed + 2)
    (g,) = ad.vjp(f, x)[1](u)
    np.testing.assert_allclose(np.sum(g * v).real, np.sum(u * dy).real, rtol=1e-12, atol=1e-13)
    w = signal(x.shape, kind, seed + 3)
    _, again = ad.jvp(lambda x: ad.vjp(f, x)[1](f(x))[0], (x,), (v,))  # J' J v
    np.testing.assert_allclose(np.sum(w * again).real, np.sum(ad.jvp(f, (x,), (w,))[1] * dy).real, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n", [5, 6])
def test_parts_that_have_no_say_have_no_derivative(n: int) -> None:
    """The spectrum of a real signal is real at frequency zero, and at the highest one of an even length."""
    half = signal((n // 2 + 1,), "c", 0)
    for name in OF_HALF:
        w = signal((n,), "f", 1)
        gradient = ad.grad(lambda x, name=name, w=w: ad.sum(w * getattr(ad.fft, name)(x, n)))(half)
        assert gradient[0].imag == 0.0 and gradient[1].imag != 0.0
        assert (gradient[-1].imag == 0.0) == (n % 2 == 0)


def test_a_convolution_by_transforms() -> None:
    a, b, w = (signal((6,), "f", seed) for seed in range(3))
    circulant = np.stack([np.roll(b, k) for k in range(6)], axis=1)
    by_transforms = lambda a: ad.fft.irfft(ad.fft.rfft(a) * ad.fft.rfft(b), 6)
    np.testing.assert_allclose(by_transforms(a), circulant @ a, atol=1e-14)
    np.testing.assert_allclose(ad.grad(lambda a: ad.sum(w * by_transforms(a)))(a), circulant.T @ w, atol=1e-14)
    np.testing.assert_allclose(ad.hessian(lambda a: ad.sum(by_transforms(a) ** 2))(a), 2 * circulant.T @ circulant, atol=1e-13)


def test_a_spectral_derivative_in_several_dimensions() -> None:
    """The solution of Poisson's equation on a torus, and the derivative of its energy."""
    x = signal((4, 6), "f", 0)
    kx, ky = ad.meshgrid(ad.fft.fftfreq(4, 1 / 4), ad.fft.rfftfreq(6, 1 / 6), indexing="ij")
    symbol = np.asarray(kx**2 + ky**2)
    symbol[0, 0] = 1.0

    def energy(x: Any) -> Any:
        return 0.5 * ad.sum(x * ad.fft.irfft2(ad.fft.rfft2(x) / symbol, (4, 6)))

    expected = np.fft.irfft2(np.fft.rfft2(x) / symbol, (4, 6))  # the operator is symmetric
    np.testing.assert_allclose(ad.grad(energy)(x), expected, atol=1e-14)
    np.testing.assert_allclose(ad.compile(ad.grad(energy))(x), expected, atol=1e-14)


# ---- dtypes, lengths, axes


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128, np.int64, bool])
def test_dtypes_are_numpys(name: str, dtype: Any) -> None:
    x = np.ones(4, dtype)
    if name in OF_REAL and x.dtype.kind == "c":
        return
    f = getattr(ad.fft, name)
    assert f(x).dtype == getattr(np.fft, name)(x).dtype
    if x.dtype.kind in "fc":
        y, pullback = ad.vjp(lambda x: 2.0 * f(x), x)
        assert pullback(y)[0].dtype == dtype
        assert ad.jvp(f, (x,), (x,))[1].dtype == f(x).dtype
        assert ad.compile(f)(x).dtype == f(x).dtype


CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("fftn", (2, 3, 4), {}),
    ("fftn", (2, 3, 4), {"axes": (2, 0)}),
    ("fftn", (2, 3, 4), {"s": (3, -1), "axes": (2, 0), "norm": "ortho"}),
    ("ifftn", (2, 3, 4), {"s": (5,), "axes": (1,)}),
    ("fft2", (2, 3, 4), {"s": (2, 6)}),
    ("ifft2", (2, 3, 4), {"axes": (0, 1), "norm": "forward"}),
    ("rfftn", (2, 3, 4), {"axes": (2, 0)}),
    ("rfftn", (5,), {}),
    ("rfft2", (2, 3, 4), {"s": (4, 7)}),
    ("irfftn", (2, 3, 4), {"s": (3, 2, 5), "axes": (0, 1, 2)}),
    ("irfftn", (2, 3, 4), {"s": (-1, 5), "axes": (1, 0), "norm": "ortho"}),
    ("irfft2", (2, 3, 4), {}),
    ("irfft2", (2, 3, 4), {"s": (2, -1)}),
    ("irfft2", (2, 3, 1), {"s": (3, 1)}),
    ("fftshift", (5, 4), {}),
    ("ifftshift", (5, 4), {"axes": (0,)}),
    ("ifftshift", (5, 4), {"axes": 0}),
]


@pytest.mark.parametrize(("name", "shape", "params"), CASES)
def test_values_are_numpys(name: str, shape: tuple[int, ...], params: dict[str, Any]) -> None:
    ours, theirs = getattr(ad.fft, name), getattr(np.fft, name)
    for kind in "f" if name.startswith("rfft") else "fc":
        x = signal(shape, kind, 0)
        expected = theirs(x, **params)
        for found in (ours(x, **params), ours(ad.tensor(x), **params).array, ad.compile(lambda x: ours(x, **params))(x)):
            assert found.shape == expected.shape and found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


def test_frequencies_are_numpys() -> None:
    for n in range(1, 8):
        for d in (1.0, 0.25, 3):
            np.testing.assert_array_equal(ad.fft.fftfreq(n, d).array, np.fft.fftfreq(n, d))
            np.testing.assert_array_equal(ad.fft.rfftfreq(n, d).array, np.fft.rfftfreq(n, d))
    np.testing.assert_allclose(ad.jacobian(lambda d: ad.fft.rfftfreq(4, d))(0.5), -np.fft.rfftfreq(4, 0.5) / 0.5)


def test_numpys_integers_are_lengths_and_axes_of_programs() -> None:
    x = signal((3, 4), "f", 0)
    f = ad.compile(lambda x: ad.abs(ad.fft.rfft(x, np.int64(3), np.int64(0))))
    np.testing.assert_allclose(f(x), np.abs(np.fft.rfft(x, 3, 0)), rtol=1e-14)


def test_examples_of_complex_signals() -> None:
    x, u = signal((5, 4), "c", 0), signal((5, 6), "c", 1)
    mapped = ad.vmap(lambda x, u: ad.vjp(lambda x: ad.fft.fft(x, 6), x)[1](u)[0])(x, u)
    np.testing.assert_allclose(mapped, np.fft.fft(u, 6)[:, :4], rtol=1e-13)


def test_the_namespace_is_numpys() -> None:
    assert set(ad.fft.__all__) == {
        name for name in dir(np.fft) if callable(getattr(np.fft, name)) and not name.startswith("_")
    } - {"test"}


# ---- what is refused

X = np.ones((2, 3))
REFUSED: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("norm", lambda: ad.fft.fft(X, norm="unitary"), ValueError, r"fft: norm='unitary'; expected 'backward'.*'ortho'.*'forward'"),
    ("no elements", lambda: ad.fft.fft(X[:, :0]), ValueError, r"fft: 0 elements along axis -1 .*\(2, 0\); expected at least 1"),
    ("n", lambda: ad.fft.ifft(X, n=0), ValueError, r"ifft: 0 elements"),
    ("half of nothing", lambda: ad.fft.irfft(X[:, :1]), ValueError, r"irfft: a result of 0 elements.*expected n of at least 1"),
    ("complex", lambda: ad.fft.rfft(X * 1j), TypeError, r"rfft: x is complex.*ad\.fft\.fft.*ad\.real"),
    ("axis", lambda: ad.fft.fft(X, axis=2), ValueError, r"fft: axis 2 is out of bounds"),
    ("s without axes", lambda: ad.fft.fftn(X, s=(2, 2)), ValueError, r"fftn: s=\(2, 2\) without axes"),
    ("lengths", lambda: ad.fft.fftn(X, s=(2,), axes=(0, 1)), ValueError, r"fftn: s=\(2,\) has 1 lengths for 2 axes"),
    ("axis twice", lambda: ad.fft.fftn(X, axes=(0, -2)), ValueError, r"names an axis twice"),
    ("no axes", lambda: ad.fft.rfftn(X, axes=()), ValueError, r"rfftn: no axes"),
    ("no axes back", lambda: ad.fft.irfftn(X, axes=()), ValueError, r"irfftn: no axes"),
    ("frequencies", lambda: ad.fft.fftfreq(0), ValueError, r"fftfreq: n=0; expected at least 1"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "error", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_a_clear_message(run: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run()
