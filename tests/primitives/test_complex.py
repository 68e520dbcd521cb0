"""Complex numbers: the convention, what has no complex derivative, and the functions of their parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tinyad.checking import check, dot_test, numeric_jacobian, taylor_table

Z = np.array([1.0 + 2.0j, -0.5 + 0.3j])
X = np.array([0.3, -0.7])


def norm(z: Any) -> Any:
    return ad.sum(ad.real(z * ad.conj(z)))


# ---- the convention


def test_the_gradient_of_a_real_function_is_dx_minus_i_dy() -> None:
    """``|z|^2 = x^2 + y^2`` has the gradient ``2 x - 2 i y``."""
    for f in (norm, lambda z: ad.sum(ad.abs(z) ** 2), lambda z: ad.norm(z) ** 2):
        np.testing.assert_allclose(ad.grad(f)(Z), 2 * Z.conj(), rtol=1e-14)
    by_parts = ad.grad(lambda x, y: norm(ad.complex(x, y)), argnums=(0, 1))(Z.real, Z.imag)
    np.testing.assert_allclose(by_parts[0] - 1j * by_parts[1], ad.grad(norm)(Z), rtol=1e-14)


def test_the_conjugate_of_the_gradient_points_uphill() -> None:
    f = lambda z: ad.abs(z * z - 3j)
    z, g = 0.4 + 0.9j, ad.grad(f)(0.4 + 0.9j)
    assert f(z - 0.01 * np.conj(g)) < f(z) < f(z + 0.01 * np.conj(g))
    assert f(z + 0.01 * np.conj(g)) - f(z) == pytest.approx(0.01 * abs(g) ** 2, rel=0.05)


def test_a_differential_is_the_real_part_of_gradient_times_tangent() -> None:
    random = np.random.default_rng(0)
    f = lambda z: ad.sum(ad.abs(ad.exp(z) + ad.conj(z) * 2j))
    dz = random.normal(size=2) + 1j * random.normal(size=2)
    tangent = ad.jvp(f, (Z,), (dz,))[1]
    assert tangent.dtype == np.float64
    assert tangent == pytest.approx(np.real(np.sum(ad.grad(f)(Z) * dz)), rel=1e-13)


def test_of_holomorphic_functions_all_walks_give_the_complex_derivative() -> None:
    slope = np.cos(Z)
    np.testing.assert_allclose(ad.vjp(ad.sin, Z)[1](np.full(2, 2j))[0], 2j * slope, rtol=1e-14)
    np.testing.assert_allclose(ad.jvp(ad.sin, (Z,), (np.full(2, 2j),))[1], 2j * slope, rtol=1e-14)
    for mode in ("reverse", "forward", None):
        np.testing.assert_allclose(ad.jacobian(ad.sin, mode=mode)(Z), np.diag(slope), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_belongs_to_a_real_number_is_real_without_a_warning(dtype: Any) -> None:
    """Products of real and complex operands; warnings are errors here."""
    x, z = X.astype(dtype), Z.astype(np.result_type(dtype, np.complex64))
    for f in (lambda x: x * z, lambda x: z / (x + 2.0), lambda x: ad.astype(x, z.dtype) * z, lambda x: ad.matmul(x, z)):
        y, pullback = ad.vjp(f, x)
        (g,) = pullback(np.ones_like(y))
        assert g.dtype == dtype and y.dtype == z.dtype
        np.testing.assert_allclose(g, ad.grad(lambda x, f=f: ad.sum(ad.real(f(x))))(x), rtol=1e-6)
        assert ad.grad(lambda x, f=f: ad.sum(ad.abs(f(x))))(x).dtype == dtype


def test_gradient_descent_on_complex_numbers() -> None:
    """The conjugate of the gradient leads to a root."""
    z = 0.3 + 0.4j
    for _ in range(200):
        z = z - 0.05 * np.conj(ad.grad(lambda z: ad.abs(z**3 - 1j) ** 2)(z))
    assert abs(z**3 - 1j) < 1e-6


# ---- matrices of derivatives


def test_jacobians_take_the_walk_that_is_right() -> None:
    np.testing.assert_allclose(ad.jacobian(ad.abs)(Z), np.diag(Z.conj() / abs(Z)), rtol=1e-14)
    wave = lambda x: ad.exp(1j * x)
    np.testing.assert_allclose(ad.jacobian(wave)(X), np.diag(1j * np.exp(1j * X)), rtol=1e-14)
    few = lambda z: ad.stack([norm(z), ad.real(z[0]), ad.imag(z[1]), ad.real(z[1])])  # more rows than columns
    np.testing.assert_allclose(ad.jacobian(few)(Z)[1:], [[1, 0], [0, -1j], [0, 1]], atol=1e-15)
    parts = ad.jacobian(lambda p: ad.real(p["x"] * p["z"]))({"x": X, "z": Z})
    np.testing.assert_allclose(parts["x"], np.diag(Z.real), rtol=1e-14)
    np.testing.assert_allclose(parts["z"], np.diag(X), rtol=1e-14)


REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("conj", lambda: ad.jacobian(ad.conj)(Z), r"depends on a complex input through `conj`.*ad\.complex\(x, y\)"),
    ("abs", lambda: ad.jacobian(lambda z: z * ad.abs(z))(Z), r"through `abs`"),
    ("real", lambda: ad.jacobian(lambda z: ad.real(z) * 1j)(Z), r"through `real`"),
    ("imag", lambda: ad.jacobian(lambda z: ad.complex(ad.imag(z), 0.0))(Z), r"through `imag`"),
    ("variance", lambda: ad.jacobian(lambda z: z / ad.std(z))(Z), r"through `var`"),
    ("Hessian", lambda: ad.hessian(norm)(Z), r"through `(conj|real)`"),
    ("half of a row", lambda: ad.jacobian(ad.abs, mode="forward")(Z), r"mode='forward' gives half.*mode='reverse'"),
    (
        "half of a column",
        lambda: ad.jacobian(lambda x: 1j * x, mode="reverse")(X),
        r"mode='reverse' gives half.*mode='forward'",
    ),
    ("both", lambda: ad.jacobian(lambda p: (ad.abs(p[0]), 1j * p[1]))((Z, X)), r"no walk does both"),
    ("gradient", lambda: ad.grad(ad.sum)(Z), r"complex number; expected a real one.*holomorphic.*ad\.jacobian.*ad\.real"),
    ("backward", lambda: ad.tensor(Z).sum().backward(), r"backward: y is complex.*gradient="),
    ("cotangent", lambda: ad.vjp(ad.sin, X)[1](1j * X), r"cotangent: complex numbers given.*ad\.real"),
    ("tangent", lambda: ad.jvp(ad.sin, (X,), (1j * X,)), r"tangent 0: complex numbers given"),
    ("number", lambda: ad.vjp(lambda x: ad.sum(x), X)[1](1j), r"cotangent: complex numbers given"),
    ("complex real part", lambda: ad.complex(Z, X), r"complex: the real part is complex itself.*ad\.real"),
    ("complex imaginary part", lambda: ad.complex(1.0, 2j), r"complex: the imag part is complex itself"),
]


@pytest.mark.parametrize(("run", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(run: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        run()


def test_choices_by_real_parts_are_holomorphic_pieces() -> None:
    """A real number that only decides is no way to the output."""
    f = lambda z: ad.where(ad.real(z) > 0, z * z, 1j * z)
    np.testing.assert_allclose(ad.jacobian(f)(Z), np.diag([2 * Z[0], 1j]), rtol=1e-14)


def test_hessians_of_real_functions_of_real_numbers_through_complex_ones() -> None:
    f = lambda x: ad.sum(ad.abs(ad.exp(1j * x) + x) ** 2)
    h = 1e-5
    expected = np.stack([(ad.grad(f)(X + h * e) - ad.grad(f)(X - h * e)) / (2 * h) for e in np.eye(2)])
    np.testing.assert_allclose(ad.hessian(f)(X), expected, rtol=1e-8, atol=1e-9)


def test_backward_with_a_complex_cotangent() -> None:
    z = ad.tensor(Z)
    ad.sum(z * z).backward(gradient=1j)
    np.testing.assert_allclose(z.grad, 2j * Z)


# ---- parts


def test_parts_of_real_arrays() -> None:
    x = ad.tensor(X)
    assert ad.real(x) is x and ad.conj(x) is x and x.real is x
    assert isinstance(x.imag, ad.Tensor) and x.imag.node is None and not x.imag.array.any()
    assert ad.imag(2.0) == 0.0 and ad.real(2.0) == 2.0 and ad.conj(3) == 3
    np.testing.assert_allclose(ad.angle(X), np.angle(X))
    np.testing.assert_array_equal(ad.grad(lambda x: ad.sum(ad.angle(x) + x))(X), [1.0, 1.0])


def test_parts_do_not_share_memory() -> None:
    z = Z.copy()
    part = ad.real(z)
    z[:] = 0.0
    np.testing.assert_array_equal(part, Z.real)


@pytest.mark.parametrize("compiled", [False, True])
def test_complex_keeps_signed_zeros_and_infinities(compiled: bool) -> None:
    x, y = np.array([-1.0, 0.0, math.inf]), np.array([-0.0, math.inf, 1.0])
    f = ad.compile(ad.complex) if compiled else ad.complex
    z = f(x, y)
    np.testing.assert_array_equal(z.real, x)
    np.testing.assert_array_equal(z.imag, y)
    assert np.signbit(z.imag[0]) and np.angle(z[0]) == -math.pi


def test_dtypes_of_complex() -> None:
    x = X.astype(np.float32)
    assert ad.complex(x, 1.0).dtype == ad.complex(0.0, x).dtype == ad.complex(x, x).dtype == np.complex64
    assert ad.complex(1.0, 2.0).dtype == ad.complex(x, X).dtype == np.complex128
    assert ad.complex(1, 2) == 1 + 2j
    assert (x * 1j).dtype == ad.grad(lambda z: ad.sum(ad.abs(z)))(Z.astype(np.complex64)).dtype == np.complex64


def test_casting_to_a_real_dtype_warns_as_numpy_does() -> None:
    with pytest.warns(np.exceptions.ComplexWarning, match=r"imaginary part.*ad\.real"):
        y, pullback = ad.vjp(lambda z: ad.astype(z, float), Z)
    np.testing.assert_array_equal(y, Z.real)
    np.testing.assert_array_equal(pullback(np.ones(2))[0], np.ones(2, complex))


# A function, a point, and the gradient of its real part there.
CORNERS: list[tuple[str, Callable[[Any], Any], complex, complex]] = [
    ("abs at 0", ad.abs, 0j, 0j),
    ("sign at 0", lambda z: ad.real(ad.sign(z)), 0j, 0j),
    ("norm at 0", lambda z: ad.norm(ad.stack([z, z])), 0j, 0j),
    ("std of equal elements", lambda z: ad.std(ad.stack([z, z])), 1 + 1j, 0j),
    ("power 0", lambda z: ad.real(z**0), 0j, 0j),
    ("square at 0", lambda z: ad.real(z**2.0), 0j, 0j),
    ("prod with zeros", lambda z: ad.real(ad.prod(ad.stack([z, 2.0 + 1j, 3.0]))), 0j, 6 + 3j),
    ("maximum at a tie shares", lambda z: ad.real(ad.maximum(z, 1 + 1j)), 1 + 1j, 0.5 + 0j),
    ("maximum by imaginary parts", lambda z: ad.real(ad.maximum(z, 1 + 1j)), 1 + 2j, 1.0 + 0j),
    ("max shares", lambda z: ad.real(ad.max(ad.stack([z, z, 0 * z]))), 1 + 1j, 1.0 + 0j),
    ("sigmoid far up", lambda z: ad.real(ad.sigmoid(z)), 1000 + 1j, 0j),
    ("sigmoid far down", lambda z: ad.real(ad.sigmoid(z)), -1000 + 1j, 0j),
    ("0 to the z", lambda z: ad.real(ad.power(0.0, z)), 1 + 1j, 0j),
    ("quotient by the number 0", lambda z: ad.real(ad.where(ad.abs(z) > 9, z / 0j, z)), 1 + 1j, 1 + 0j),
    ("nan_to_num", lambda z: ad.real(ad.nan_to_num(z)), complex(math.nan, 1.0), 0j),
    ("nan_to_num of the other part", lambda z: ad.imag(ad.nan_to_num(z)), complex(math.nan, 1.0), -1j),
]


@pytest.mark.parametrize(("f", "at", "expected"), [row[1:] for row in CORNERS], ids=[row[0] for row in CORNERS])
def test_corner(f: Callable[[Any], Any], at: complex, expected: complex) -> None:
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(ad.grad(f)(at), expected, rtol=1e-14, atol=1e-300)


def test_the_branch_not_taken_leaks_no_nan() -> None:
    f = lambda z: ad.sum(ad.real(ad.where(ad.abs(z) > 0.1, ad.log(z) + ad.sqrt(z), 0.0)))
    with np.errstate(all="ignore"):
        g = ad.grad(f)(np.array([0j, 1.0 + 1.0j]))
    np.testing.assert_allclose(g, [0.0, 1 / (1 + 1j) + 0.5 / np.sqrt(1 + 1j)], rtol=1e-14)


# ---- the rest of the library


def test_compiled_and_mapped() -> None:
    f = ad.grad(lambda z: ad.sum(ad.abs(ad.sigmoid(z) * ad.conj(z)) + ad.real(z) * ad.imag(z)))
    np.testing.assert_allclose(ad.compile(f)(Z), f(Z), rtol=1e-14)
    np.testing.assert_allclose(ad.vmap(f)(np.stack([Z, 2 * Z])), np.stack([f(Z), f(2 * Z)]), rtol=1e-14)


def test_check_takes_the_parts_of_complex_inputs_and_outputs() -> None:
    report = check(lambda x, p: ad.exp(p["z"]) * ad.conj(p["z"]) + x, X, {"z": Z}, order=2)
    assert [comparison.name for comparison in report.comparisons] == ["input 0", "input 1['z'].real", "input 1['z'].imag"]
    assert check(lambda z: z * z, Z.astype(np.complex64)) and check(ad.abs, 1 + 2j)
    assert dot_test(lambda z: ad.conj(z) * z, Z)


def test_check_finds_a_missing_conjugate() -> None:
    @ad.custom_vjp
    def length(z: Any) -> Any:
        return ad.abs(z)

    length.defvjp(lambda z: (ad.abs(z), z), lambda z, g: (g * z / ad.abs(z),))
    report = check(length, Z, raises=False)
    assert [comparison.passed for comparison in report.comparisons] == [True, False]


def test_taylor_table_of_a_complex_point() -> None:
    f = lambda z: np.sum(np.abs(z) ** 2 + z.real * z.imag)
    right = 2 * Z.conj() + Z.imag - 1j * Z.real
    assert taylor_table(f, Z).passed and taylor_table(f, Z, gradient=right).passed
    assert not taylor_table(f, Z, gradient=right.conj()).passed


def test_numeric_jacobian_says_how_to_treat_complex_inputs() -> None:
    with pytest.raises(TypeError, match=r"hold no floats, but complex128.*ad\.complex\(x, y\)"):
        numeric_jacobian(np.abs, Z)
    with pytest.raises(TypeError, match=r"wrt names input 0.*ad\.complex\(x, y\)"):
        numeric_jacobian(np.abs, Z, wrt=0)
    with pytest.raises(TypeError, match=r"f returned complex128.*ad\.real\(y\) and ad\.imag\(y\)"):
        numeric_jacobian(lambda x: x * 1j, X)


def test_classification() -> None:
    z = ad.asarray([1.0 + 0j, 2j, 0j])
    assert ad.isreal(z).array.tolist() == [True, False, True] and ad.iscomplex(z).array.tolist() == [False, True, False]
    assert ad.isreal(2.0) and not ad.iscomplex(np.float32(2.0))
