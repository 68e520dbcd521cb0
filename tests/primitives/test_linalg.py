"""Linear algebra where it is hard: ill-conditioned, singular, degenerate, complex and empty matrices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.primitives.rows.linalg import exponential, normal

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
LA = ad.linalg
NAN = math.nan


def unit(x: Array) -> Array:
    """A direction of length 1 for each matrix."""
    return x / np.linalg.norm(x, axis=(-2, -1), keepdims=True)


# ---- ill-conditioned matrices, against differences

# With |a| = 1 and the nearest singular matrix at the distance d a function that a backward stable algorithm computes has values
# right up to eps * |f'|. Of a difference of fourth order with the step h = theta * d the rounding error is then up to
# 1.5 * eps / h, and the truncation error h ** 4 |f^(5)| / 30 about 4 * theta ** 4, both relative to |f'|; theta makes them alike.


def spectrum(m: int, n: int, condition: float, dtype: Any = float) -> Array:
    """Two matrices with singular values from 1 to 1 / condition."""
    matrices = []
    for seed in (1, 2):
        u, _, vh = np.linalg.svd(normal(m, n, seed=seed, dtype=dtype), full_matrices=False)
        matrices.append((u * np.geomspace(1.0, 1.0 / condition, min(m, n))) @ vh)
    return np.stack(matrices)


def beside(a: Array) -> Array:
    """More columns, which no condition is affected by."""
    return np.concatenate([a, unit(normal(*a.shape[:-1], 2, seed=3))], axis=-1)


def definite(n: int, condition: float, dtype: Any = float) -> Array:
    half = spectrum(n, n, math.sqrt(condition), dtype)
    return half @ half.conj().swapaxes(-1, -2)


def differences(f: Function, a: Array, direction: Array, distance: float) -> tuple[Array, float]:
    """The derivative of ``f`` in a direction of length 1, and its error relative to the largest derivative."""
    theta = (1.5 * EPS / distance / 4) ** 0.2
    h = theta * distance
    at = {k: np.asarray(f(a + k * h * direction)) for k in (-2, -1, 1, 2)}
    return (at[-2] - 8 * at[-1] + 8 * at[1] - at[2]) / (12 * h), 1.5 * EPS / h + 4 * theta**4


EPS = float(np.finfo(float).eps)
N = 4
GROWTH = N * N  # of rounding errors with the size, the customary bound
RIGHT = unit(normal(2, N, 2))

# A function of a matrix; the matrix; how large its derivative may be, and how far the next singular matrix is, by the condition.
ILL: dict[str, tuple[Function, Function, Callable[[float], float], Callable[[float], float]]] = {
    "inv": (LA.inv, lambda c: spectrum(N, N, c), lambda c: c**2, lambda c: 1 / c),
    "solve": (lambda a: LA.solve(a, RIGHT), lambda c: spectrum(N, N, c), lambda c: c**2, lambda c: 1 / c),
    "matrix_power": (lambda a: LA.matrix_power(a, -2), lambda c: spectrum(N, N, c), lambda c: 2 * c**3, lambda c: 1 / c),
    "slogdet": (lambda a: LA.slogdet(a)[1], lambda c: spectrum(N, N, c), lambda c: N * c, lambda c: 1 / c),
    "det": (LA.det, lambda c: spectrum(N, N, c), lambda c: N * c**-1.0, lambda c: 1 / c),
    "cholesky": (LA.cholesky, lambda c: definite(N, c), lambda c: c, lambda c: 1 / c),
    "qr": (lambda a: LA.qr(a).Q, lambda c: spectrum(6, N, c), lambda c: c, lambda c: 1 / c),
    "qr, wide": (lambda a: LA.qr(a).R, lambda c: beside(spectrum(N, N, c)), lambda c: c, lambda c: 1 / c),
    "pinv, tall": (LA.pinv, lambda c: spectrum(6, N, c), lambda c: 2 * c**2, lambda c: 1 / c),
    "pinv, wide": (LA.pinv, lambda c: spectrum(N, 6, c), lambda c: 2 * c**2, lambda c: 1 / c),
    "lstsq, tall": (lambda a: LA.lstsq(a, np.ones(6)).x, lambda c: spectrum(6, N, c), lambda c: 6 * c**2, lambda c: 1 / c),
    "lstsq, wide": (lambda a: LA.lstsq(a, np.ones(N)).x, lambda c: spectrum(N, 6, c), lambda c: 6 * c**2, lambda c: 1 / c),
    "cond": (LA.cond, lambda c: spectrum(N, N, c), lambda c: 2 * c**2, lambda c: 1 / c),
    "svdvals": (LA.svdvals, lambda c: spectrum(N, 6, c), lambda c: 1.0, lambda c: 1 / c),
    "eigvalsh": (LA.eigvalsh, lambda c: definite(N, c), lambda c: 1.0, lambda c: 1 / c),
    "eigenvectors": (lambda a: onto_each(LA.eigh(a)[1]), lambda c: definite(N, c), lambda c: 2 * c, lambda c: 1 / c),
    "singular vectors": (lambda a: onto_each(LA.svd(a, False)[0]), lambda c: spectrum(6, N, c), lambda c: 4 * c, lambda c: 1 / c),
}  # fmt: skip


def onto_each(v: Any) -> Any:
    """The projectors onto the columns of ``v``, which have no signs or phases."""
    rows = ad.matrix_transpose(v)
    return ad.expand_dims(rows, -1) * ad.conj(ad.expand_dims(rows, -2))


@pytest.mark.parametrize("condition", [1e2, 1e6])
@pytest.mark.parametrize("name", ILL)
def test_ill_conditioned(name: str, condition: float) -> None:
    f, make, slope, distance = ILL[name]
    a = make(condition)
    direction = unit(normal(*a.shape, seed=5))
    if name in ("cholesky", "eigvalsh", "eigenvectors"):
        direction = unit(direction + direction.swapaxes(-1, -2))
    expected, error = differences(f, a, direction, distance(condition))
    y, tangent = ad.jvp(f, (a,), (direction,))
    u = normal(*np.shape(y), seed=6)
    (cotangent,) = ad.vjp(f, a)[1](u)
    allowed = GROWTH * (error + EPS / distance(condition)) * slope(condition)
    assert np.max(np.abs(tangent - expected)) <= allowed
    gap = abs(np.sum(u * tangent) - np.sum(cotangent * direction))
    assert gap <= GROWTH * EPS * condition * slope(condition) * np.abs(u).sum()


@pytest.mark.parametrize("name", ILL)
def test_the_bound_on_ill_conditioned_matrices_means_something(name: str) -> None:
    """Derivatives are a good part of the size that the tolerance is relative to."""
    f, make, slope, _ = ILL[name]
    for condition in (1e2, 1e6):
        a = make(condition)
        sizes = [np.max(np.abs(ad.jvp(f, (a,), (unit(normal(*a.shape, seed=seed)),))[1])) for seed in range(20)]
        assert max(sizes) >= 1e-3 * slope(condition)


@pytest.mark.parametrize("name", [name for name in ILL if name not in ("lstsq, tall", "lstsq, wide", "solve")])
def test_float32_is_kept_and_as_right_as_it_can_be(name: str) -> None:
    f, make, slope, _ = ILL[name]
    a = make(20.0)
    narrow, wide = (ad.jvp(f, (x,), (unit(normal(*a.shape)).astype(x.dtype),))[1] for x in (a.astype(np.float32), a))
    (g,) = ad.vjp(f, a.astype(np.float32))[1](np.ones_like(narrow))
    assert narrow.dtype == g.dtype == np.float32
    # rounding moves the matrix by eps, and a derivative changes by 2 * slope / distance times that
    assert np.max(np.abs(narrow - wide)) <= GROWTH * float(np.finfo(np.float32).eps) * 2 * 20.0 * slope(20.0)


# ---- complex matrices


def complex_apart(n: int) -> Array:
    """Hermitian matrices with eigenvalues 1 apart."""
    _, v = np.linalg.eigh(normal(2, n, n, dtype=complex) + 4 * np.eye(n))
    return (v * (1.0 + np.arange(n))) @ v.conj().swapaxes(-1, -2)


def rotation_free(decompose: str) -> Function:
    """A function of a decomposition that does not depend on phases."""

    def f(a: Any) -> Any:
        if decompose == "eigh":
            w, v = LA.eigh(a)
            return ad.matmul(v * ad.expand_dims(ad.exp(0.3 * w), -2), ad.conj(ad.matrix_transpose(v)))
        if decompose == "eig":
            w, v = LA.eig(a)
            return ad.matmul(v * ad.expand_dims(ad.exp(0.3 * w), -2), ad.conj(ad.matrix_transpose(v)))
        u, s, vh = LA.svd(a, decompose == "full")
        k = s.shape[-1]
        pieces = ad.matmul(u[..., :k] * ad.expand_dims(ad.exp(0.3 * s), -2), vh[..., :k, :])
        left = ad.matmul(u[..., k - 1 :], ad.conj(ad.matrix_transpose(u[..., k - 1 :])))
        return pieces if decompose == "svd" else ad.concat([pieces, ad.matmul(left, pieces)], -1)

    return f


TALL = (lambda: spectrum(5, 3, 4.0, complex), 0.1)
WIDE = (lambda: spectrum(3, 5, 4.0, complex), 0.1)
REGULAR = (lambda: spectrum(3, 3, 4.0, complex), 0.2)
HERMITIAN = (lambda: complex_apart(3), 0.4)
SHIFT = np.diag([0.0, 2.0, 4.0])

# A function, the matrix, and the distance to where it has no derivative.
COMPLEX: dict[str, tuple[Function, tuple[Callable[[], Array], float]]] = {
    "inv": (LA.inv, REGULAR),
    "solve": (lambda a: LA.solve(a, normal(3, 2, dtype=complex)), REGULAR),
    "solve_triangular": (lambda a: LA.solve_triangular(a + SHIFT + 2, np.ones(3), trans="C", lower=True), REGULAR),
    "expm": (LA.expm, REGULAR),
    "det": (LA.det, REGULAR),
    "slogdet": (lambda a: LA.slogdet(a)[0] * LA.slogdet(a)[1], REGULAR),
    "cholesky": (LA.cholesky, (lambda: definite(3, 4.0, complex), 0.2)),
    "cholesky, upper": (lambda a: LA.cholesky(a, upper=True), (lambda: definite(3, 4.0, complex), 0.2)),
    "qr, Q": (lambda a: LA.qr(a).Q, TALL),
    "qr, R": (lambda a: LA.qr(a).R, TALL),
    "qr, complete": (lambda a: onto_each(LA.qr(a, "complete").Q[..., 4:]) + onto_each(LA.qr(a, "complete").Q[..., 3:4]), TALL),
    "qr, wide": (lambda a: LA.qr(a).R, WIDE),
    "eigvalsh": (LA.eigvalsh, HERMITIAN),
    "eigh": (rotation_free("eigh"), HERMITIAN),
    "eigh of a triangle": (lambda a: LA.eigvalsh(a, "U") * LA.eigvalsh(a, "L"), HERMITIAN),
    "eig": (rotation_free("eig"), (lambda: spectrum(3, 3, 4.0, complex) * 0.3 + SHIFT, 0.3)),
    "eigvals": (lambda a: LA.eigvals(a) ** 3, (lambda: spectrum(3, 3, 4.0, complex) * 0.3 + SHIFT, 0.3)),
    "svdvals": (LA.svdvals, TALL),
    "svd": (rotation_free("svd"), TALL),
    "svd, wide": (rotation_free("svd"), WIDE),
    "svd, full": (rotation_free("full"), TALL),
    "pinv": (LA.pinv, TALL),
    "pinv, wide": (LA.pinv, WIDE),
    "lstsq": (lambda a: LA.lstsq(a, normal(5, 2, dtype=complex)).x, TALL),
    "lstsq, residuals": (lambda a: LA.lstsq(a, normal(5, 2, dtype=complex)).residuals, TALL),
    "lstsq, wide": (lambda a: LA.lstsq(a, normal(3, dtype=complex)).x, WIDE),
    "cond": (LA.cond, TALL),
    "trace": (lambda a: LA.trace(a) ** 2, WIDE),
    "kron": (lambda a: ad.kron(a, a), TALL),
    "vdot": (lambda a: ad.vdot(a, 1j * a + 2), TALL),
    "vecdot": (lambda a: ad.vecdot(a, a**2, axis=-2), TALL),
    "vecmat": (lambda a: ad.vecmat(a[..., 0, :], ad.matrix_transpose(a)), TALL),
    "einsum": (lambda a: ad.einsum("bij,bkj,bkl->bil", a, ad.conj(a), a), TALL),
    **{f"matrix norm {ord}": (lambda a, ord=ord: LA.matrix_norm(a, ord=ord), TALL) for ord in ("fro", "nuc", 2, -2, 1, -math.inf)},
    **{f"vector norm {ord}": (lambda a, ord=ord: LA.vector_norm(a, axis=-1, ord=ord), TALL) for ord in (2, 3, 1, 0.5, -1.5)},
}  # fmt: skip


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str) -> None:
    f, (make, distance) = COMPLEX[name]
    a = make()
    direction = unit(normal(*a.shape, seed=7, dtype=complex))
    if name.startswith(("eigh", "cholesky")):
        direction = unit(direction + direction.conj().swapaxes(-1, -2))
    expected, error = differences(f, a, direction, distance)
    y, tangent = ad.jvp(f, (a,), (direction,))
    scale = max(float(np.max(np.abs(expected))), 1.0)
    assert np.max(np.abs(tangent - expected)) <= GROWTH * error / distance * scale
    u = normal(*np.shape(y), seed=8, dtype=np.asarray(y).dtype)
    (cotangent,) = ad.vjp(f, a)[1](u)
    assert cotangent.dtype == complex
    left, right = np.sum(u * tangent).real, np.sum(cotangent * direction).real
    assert abs(left - right) <= GROWTH * EPS / distance * np.sum(np.abs(u)) * scale

    def slope(z: Any) -> Any:
        return ad.vjp(f, z)[1](u)[0]

    second, error = differences(slope, a, direction, distance / 2)
    gap = np.max(np.abs(ad.jvp(slope, (a,), (direction,))[1] - second))
    assert gap <= GROWTH * error / distance**2 * scale * np.abs(u).sum()


MIXED = ("solve", "solve_triangular", "eig", "eigvals", "lstsq", "lstsq, residuals", "lstsq, wide")  # with complex128


@pytest.mark.parametrize("name", [name for name in COMPLEX if name not in MIXED])
def test_complex64_is_kept(name: str) -> None:
    f, (make, _) = COMPLEX[name]
    a = make().astype(np.complex64)
    y, pullback = ad.vjp(f, a)
    assert np.asarray(y).dtype in (np.complex64, np.float32)
    assert pullback(np.ones(np.shape(y), np.asarray(y).dtype))[0].dtype == np.complex64


def test_a_real_matrix_beside_a_complex_one_has_a_real_gradient() -> None:
    a, b = normal(3, 3) + 3 * np.eye(3), normal(3, 2, dtype=complex)
    for f in (LA.solve, lambda a, b: LA.lstsq(a, b).x, ad.vecdot, ad.kron):
        if f is ad.vecdot:
            b = normal(3, 3, dtype=complex)
        slopes = ad.grad(lambda a, b, f=f: ad.sum(abs(f(a, b)) ** 2), argnums=(0, 1))(a, b)
        assert slopes[0].dtype == float and slopes[1].dtype == complex
        h = 1e-6 * normal(3, 3, seed=3)
        change = sum(k * np.sum(np.abs(np.asarray(f(a + k * h, b))) ** 2) for k in (1, -1)) / 2
        assert change == pytest.approx(np.sum(slopes[0] * h), rel=1e-7)


def test_vectors_turn_no_more_than_they_must() -> None:
    """The convention for the phases, JAX's: ``diag(adjoint(v) @ dv)`` is 0, of `svd` for v."""
    a, e = complex_apart(4), normal(2, 4, 4, dtype=complex)
    _, v = LA.eigh(a)
    turn = np.einsum("...ij,...ij->...j", v.conj(), ad.jvp(lambda a: LA.eigh(a)[1], (a,), (e,))[1])
    np.testing.assert_allclose(turn, 0, atol=1e-13)
    _, v = LA.eig(a + e)
    turn = np.einsum("...ij,...ij->...j", v.conj(), ad.jvp(lambda a: LA.eig(a)[1], (a + e,), (e,))[1])
    np.testing.assert_allclose(turn, 0, atol=1e-12)
    vh = LA.svd(e)[2]
    turn = np.einsum("...ji,...ji->...j", vh, ad.jvp(lambda a: LA.svd(a)[2], (e,), (a,))[1].conj())
    np.testing.assert_allclose(turn, 0, atol=1e-12)


# ---- determinants of singular matrices


def minor(a: Array, rows: Sequence[int], columns: Sequence[int]) -> Any:
    """The determinant without some rows and columns, with its sign; 0 where one is named twice."""
    if len(set(rows)) < len(rows) or len(set(columns)) < len(columns):
        return 0.0
    sign = (-1.0) ** (sum(rows) + sum(columns))
    for given in (rows, columns):
        sign *= -1.0 if list(given) != sorted(given) else 1.0
    rest = np.delete(np.delete(a, rows, -2), columns, -1)
    return sign * np.linalg.det(rest)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize(("n", "rank"), [(n, rank) for n in range(1, 5) for rank in range(n + 1)])
def test_derivatives_of_determinants_are_minors(n: int, rank: int, dtype: Any) -> None:
    a = normal(n, rank, dtype=dtype) @ normal(rank, n, seed=1, dtype=dtype)
    rounding = 100 * EPS * max(1.0, np.linalg.norm(a)) ** n
    gradient = ad.vjp(LA.det, a)[1](np.ones((), dtype))[0]
    expected = [[minor(a, [i], [j]) for j in range(n)] for i in range(n)]
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=rounding)
    _, pullback = ad.vjp(lambda a: ad.vjp(LA.det, a)[1](np.ones((), dtype))[0], a)
    for i, j in itertools.product(range(n), repeat=2):
        one = np.zeros((n, n), dtype)
        one[i, j] = 1.0
        second = [[minor(a, [i, k], [j, m]) for m in range(n)] for k in range(n)]
        np.testing.assert_allclose(pullback(one)[0], second, rtol=0, atol=rounding)


def test_determinants_of_all_ranks_in_one_batch() -> None:
    a = np.stack([np.diag(d) for d in ([2.0, 3.0, 5.0], [2.0, 3.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0])])
    slopes = ad.grad(lambda a: ad.sum(LA.det(a)))(a)
    expected = [np.diag(d) for d in ([15.0, 10.0, 6.0], [0.0, 0.0, 6.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0])]
    np.testing.assert_allclose(slopes, expected)
    assert ad.grad(LA.det)(np.zeros((1, 1))) == 1.0


def test_slogdet_of_a_singular_matrix() -> None:
    a = np.stack([np.ones((2, 2)), 2.0 * np.eye(2)])
    sign, log = LA.slogdet(a)
    np.testing.assert_array_equal(sign, [0.0, 1.0])
    np.testing.assert_array_equal(log, [-math.inf, np.log(4.0)])
    slopes = ad.grad(lambda a: ad.sum(LA.slogdet(a)[1]))(a)
    assert np.isnan(slopes[0]).all()
    np.testing.assert_array_equal(slopes[1], 0.5 * np.eye(2))

    def chosen(a: Any) -> Any:
        sign, log = LA.slogdet(a)
        return ad.sum(ad.where(sign > 0, log, 0.0))

    for slope in (ad.grad(chosen)(a), ad.compile(ad.grad(chosen))(a), ad.jacobian(chosen, mode="reverse")(a)):
        np.testing.assert_array_equal(slope, [np.zeros((2, 2)), 0.5 * np.eye(2)])


# ---- equal eigenvalues, equal and vanishing singular values, dependent columns


def turned(values: Sequence[float]) -> Array:
    """A symmetric matrix with these eigenvalues, and other rounding errors than a diagonal one."""
    q, _ = np.linalg.qr(normal(len(values), len(values), seed=4))
    a = (q * np.array(values)) @ q.T
    return 0.5 * (a + a.T)


WEIGHTS = normal(3, 3, seed=9)
TWICE = turned([1.0, 1.0, 2.0])

# What depends on vectors that may turn into one another, a matrix, and what is said of it.
REFUSED: list[tuple[str, Function, Array, str]] = [
    ("eigh", lambda a: ad.sum(LA.eigh(a)[1] * WEIGHTS), TWICE, "eigh: eigenvalues [01] and [01] are equal up to rounding"),
    ("eigh of the identity", lambda a: ad.sum(LA.eigh(a)[1] * WEIGHTS), np.eye(3), "eigh: eigenvalues 0 and 1 are equal"),
    ("one of the two", lambda a: ad.sum(LA.eigh(a)[1][:, 0] * WEIGHTS[0]), TWICE, "eigh: .*solve, inv, expm"),
    ("in a batch", lambda a: ad.sum(LA.eigh(a)[1] * WEIGHTS), np.stack([turned([1.0, 2.0, 3.0]), TWICE]), "eigh: eigenvalues"),
    ("a function of the matrix", lambda a: ad.sum(LA.eigh(a)[1] @ LA.eigh(a)[1].T * WEIGHTS), TWICE, "eigh: eigenvalues"),
    ("eig", lambda a: ad.sum(ad.real(LA.eig(a)[1] * WEIGHTS)), np.diag([1.0, 1.0, 2.0]) + np.eye(3, k=2), "eig: eigenvalues"),
    ("svd, u", lambda a: ad.sum(LA.svd(a)[0] * WEIGHTS), TWICE, "svd: singular values [12] and [12] are equal up to rounding"),
    ("svd, v", lambda a: ad.sum(LA.svd(a)[2] * WEIGHTS), TWICE, "svd: singular values [12] and [12] are equal up to rounding"),
    ("svd, two zeros", lambda a: ad.sum(LA.svd(a)[2] * WEIGHTS), turned([2.0, 0.0, 0.0]), "svd: singular values [12] and [12]"),
    ("svd, a zero", lambda a: ad.sum(LA.svd(a, False)[0] * WEIGHTS[:, :2]), WEIGHTS[:, :2] * [1.0, 0.0], "svd: singular value 1"),
    ("qr", lambda a: ad.sum(LA.qr(a).R), np.ones((3, 2)), "qr: column 1 depends on those before it"),
    ("qr, wide", lambda a: ad.sum(LA.qr(a).Q), np.ones((2, 3)), "qr: column 1 depends on those before it"),
]  # fmt: skip


@pytest.mark.parametrize(("f", "a", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_derivative_that_does_not_exist_is_refused(f: Function, a: Array, message: str) -> None:
    with pytest.raises(np.linalg.LinAlgError, match=message):
        ad.grad(f)(a)


@pytest.mark.parametrize(("f", "a"), [row[1:3] for row in REFUSED if row[0].startswith(("eigh", "svd"))])
def test_it_is_nan_where_values_are_not_known_and_in_forward_mode(f: Function, a: Array) -> None:
    assert np.isnan(ad.compile(ad.grad(f))(a)).any()
    assert np.isnan(ad.vmap(ad.grad(f))(a[None])).any()
    assert np.isnan(ad.jvp(f, (a,), (normal(*a.shape),))[1])


def test_other_vectors_keep_their_derivatives() -> None:
    """Those of values that do not repeat, by every way, against differences."""
    direction = turned([0.3, -1.0, 0.5])
    for f, a in [
        (lambda a: onto_each(LA.eigh(a)[1][:, 2:]), TWICE),
        (lambda a: onto_each(LA.svd(a)[0][:, :1]), TWICE),
        (lambda a: LA.svd(a)[0] @ LA.svd(a)[2], turned([3.0, 2.0, 0.0]) + 0.0),
    ]:
        expected, error = differences(f, a, unit(direction), 0.1)
        if a is TWICE:
            (slope,) = ad.vjp(f, a)[1](np.ones_like(expected))
            assert np.sum(slope * unit(direction)) == pytest.approx(np.sum(expected), abs=GROWTH * error * 10)


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0, 1.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
def test_values_alone_stay_finite_where_they_repeat(values: list[float]) -> None:
    a = turned(values)
    for f in (LA.eigvalsh, lambda a: LA.eigh(a)[0], LA.svdvals, lambda a: LA.svd(a)[1], lambda a: ad.real(LA.eigvals(a))):
        slope = ad.grad(lambda a, f=f: ad.sum(f(a) ** 2))(a)
        np.testing.assert_allclose(slope, 2 * a, atol=1e-14)  # the sum of squares is smooth
        tangent = ad.jvp(f, (a,), (turned([1.0, 2.0, 3.0]),))[1]
        assert np.isfinite(tangent).all()
    np.testing.assert_allclose(ad.grad(lambda a: ad.sum(LA.eigvalsh(a)))(a), np.eye(3), atol=1e-14)


def test_eigenvectors_that_nobody_uses_do_not_matter() -> None:
    a = np.diag([1.0, 2.0, 2.0])

    def f(a: Any) -> Any:
        w, v = LA.eigh(a)
        return w[1] + w[2] + ad.sum(v[:, 0] ** 4)

    np.testing.assert_allclose(ad.grad(f)(a), np.diag([0.0, 1.0, 1.0]), atol=1e-15)


# ---- inverses of rank-deficient matrices


@pytest.mark.parametrize(("m", "n", "rank"), [(4, 3, 2), (3, 4, 2), (3, 3, 1), (5, 2, 1), (2, 5, 1), (3, 3, 0)])
@pytest.mark.parametrize("dtype", [float, complex])
def test_pseudoinverses_among_matrices_of_the_same_rank(m: int, n: int, rank: int, dtype: Any) -> None:
    x, y, dx, dy = (normal(*s, seed=k, dtype=dtype) for k, s in enumerate([(m, rank), (rank, n), (m, rank), (rank, n)]))
    b = normal(m, 2, seed=5, dtype=dtype)
    direction = dx @ y + x @ dy
    for f in (LA.pinv, lambda a: LA.lstsq(a, b).x):

        def along(t: Array, f: Function = f) -> Any:
            return f((x + t * dx) @ (y + t * dy))

        expected, error = differences(along, np.zeros((1, 1)), np.ones((1, 1)), 0.02)
        value, tangent = ad.jvp(f, (x @ y,), (direction,))
        scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)), float(np.max(np.abs(value))))
        assert np.max(np.abs(tangent - expected)) <= GROWTH * error * 50 * scale
        u = normal(*value.shape, seed=6, dtype=dtype)
        (slope,) = ad.vjp(f, x @ y)[1](u)
        np.testing.assert_allclose(np.sum(slope * direction).real, np.sum(u * tangent).real, rtol=1e-10, atol=1e-12 * scale)


def test_a_cutoff_for_each_matrix() -> None:
    a, cutoffs = np.stack([np.diag([4.0, 2.0, 1.0])] * 3), np.array([0.1, 0.3, 0.6])
    kept = [np.diag(d) for d in ([0.25, 0.5, 1.0], [0.25, 0.5, 0.0], [0.25, 0.0, 0.0])]
    for found in (
        LA.pinv(a, cutoffs), LA.pinv(a, rtol=cutoffs), ad.vmap(LA.pinv)(a, cutoffs), LA.pinv(a[0], cutoffs),
        ad.vmap(LA.pinv, (None, 0))(a[0], cutoffs), ad.compile(LA.pinv)(a, cutoffs), ad.compile(LA.pinv)(a[0], cutoffs),
    ):  # fmt: skip
        np.testing.assert_allclose(found, kept)
    one_by_one = [ad.grad(lambda a, c=c: ad.sum(LA.pinv(a, c) * WEIGHTS))(a[0]) for c in cutoffs.tolist()]
    np.testing.assert_allclose(ad.grad(lambda a: ad.sum(LA.pinv(a, cutoffs) * WEIGHTS))(a), one_by_one, atol=1e-15)
    np.testing.assert_allclose(
        ad.grad(lambda a: ad.sum(LA.pinv(a, cutoffs) * WEIGHTS))(a[0]), np.sum(one_by_one, 0), atol=1e-15
    )


def test_lstsq_gives_what_numpy_gives() -> None:
    for shape, right in [((5, 3), (5,)), ((5, 3), (5, 2)), ((3, 5), (3,)), ((3, 3), (3, 2))]:
        a, b = normal(*shape), normal(*right, seed=1)
        for ours, theirs in zip(LA.lstsq(a, b), np.linalg.lstsq(a, b), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
            assert np.shape(ours) == np.shape(theirs)
    a = normal(5, 2) @ normal(2, 3, seed=1)
    x, residuals, rank, s = LA.lstsq(a, normal(5, seed=2))
    np.testing.assert_allclose(x, np.linalg.lstsq(a, normal(5, seed=2))[0], rtol=1e-12)
    assert rank == 2 and residuals.shape == (1,) and s.shape == (3,)
    assert LA.lstsq(a, np.ones(5), rcond=2.0).rank == 0
    assert LA.lstsq(a, np.ones(5), rcond=-1).rank in (2, 3)


def test_least_squares_of_many_matrices_and_right_hand_sides() -> None:
    for left, right in itertools.product([(), (3,), (2, 1)], [(), (3,), (2, 3)]):
        a, b = normal(*left, 4, 2), normal(*right, 4, 2, seed=1)
        batch = np.broadcast_shapes(left, right)
        found = LA.lstsq(a, b)
        many = [np.broadcast_to(x, (*batch, 4, 2)).reshape(-1, 4, 2) for x in (a, b)]
        expected = [np.linalg.lstsq(*pair) for pair in zip(*many, strict=True)]
        np.testing.assert_allclose(found.x.reshape(-1, 2, 2), [e[0] for e in expected], rtol=1e-11)
        np.testing.assert_allclose(found.residuals.reshape(-1, 2), [e[1] for e in expected], rtol=1e-11)


# ---- axes in front


@pytest.mark.parametrize("left", [(), (3,), (2, 1), (2, 3), (0,)])
@pytest.mark.parametrize("right", [None, (), (3,), (1, 3), (2, 3), (0, 1)])
def test_solve_broadcasts(left: tuple[int, ...], right: tuple[int, ...] | None) -> None:
    a = normal(*left, 3, 3) + 4 * np.eye(3)
    b = normal(3, seed=1) if right is None else normal(*right, 3, 2, seed=1)
    try:
        expected = np.linalg.solve(a, b)
    except ValueError:
        with pytest.raises(ValueError, match=r"shape|broadcast"):
            LA.solve(a, b)
        return
    u = normal(*expected.shape, seed=2)
    y, pullback = ad.vjp(LA.solve, a, b)
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-14)
    by_inverse = ad.vjp(lambda a, b: ad.matmul(LA.inv(a), b), a, b)[1](u)
    for ours, theirs in zip(pullback(u), by_inverse, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_a_matrix_is_factored_once_for_all_right_hand_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch, of the rows of a Jacobian, and of examples: LAPACK is asked once, with all columns."""
    shapes: list[tuple[int, ...]] = []
    solve = np.linalg.solve

    def counted(a: Array, b: Array) -> Array:
        shapes.append(b.shape)
        return solve(a, b)

    a, b = normal(3, 3) + 4 * np.eye(3), normal(5, 3, 2)
    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "solve", counted)
        LA.solve(a, b)
        jacobian = ad.jacobian(lambda b: LA.solve(a, b), mode="reverse")(b[0])
        ad.vmap(lambda b: LA.solve(a, b))(b)
    assert shapes[0] == (3, 10) and (3, 12) in shapes and shapes[-1] == (3, 10)
    np.testing.assert_allclose(jacobian[:, 0, :, 0], np.linalg.inv(a), rtol=1e-12)
    for f in (lambda b: LA.solve(a, b), ad.jacobian(lambda b: LA.solve(a, b) ** 2, mode="reverse")):
        given = b if f(b[0]).ndim == 2 else b[0]
        np.testing.assert_allclose(ad.compile(f)(given), f(given), rtol=1e-13, atol=1e-15)


# ---- no elements

SQUARE: dict[str, Function] = {
    "inv": LA.inv, "det": LA.det, "slogdet": lambda a: LA.slogdet(a)[1], "cholesky": LA.cholesky, "eigvalsh": LA.eigvalsh,
    "eigh": lambda a: LA.eigh(a)[1], "eig": lambda a: ad.real(LA.eig(a)[1]), "eigvals": lambda a: ad.real(LA.eigvals(a)),
    "expm": LA.expm, "matrix_power": lambda a: LA.matrix_power(a, 3), "no power": lambda a: LA.matrix_power(a, 0),
    "solve": lambda a: LA.solve(a, np.ones(a.shape[-1])),
    "solve_triangular": lambda a: LA.solve_triangular(a, np.ones(a.shape[-1])),
}  # fmt: skip
RECTANGULAR: dict[str, Function] = {
    "svd, u": lambda a: LA.svd(a)[0], "svd, v": lambda a: LA.svd(a, False)[2], "svdvals": LA.svdvals, "qr": lambda a: LA.qr(a)[1],
    "qr, complete": lambda a: LA.qr(a, "complete")[0], "pinv": LA.pinv, "lstsq": lambda a: LA.lstsq(a, np.ones(a.shape[-2]))[0],
    "trace": LA.trace, "norm": LA.norm, **{f"norm {o}": lambda a, o=o: LA.matrix_norm(a, ord=o) for o in ("nuc", 2, 1, math.inf)},
}  # fmt: skip
EMPTY = [(f"{name} {shape}", f, shape) for name, f in SQUARE.items() for shape in ((0, 0), (0, 3, 3), (2, 0, 0))]
EMPTY += [
    (f"{name} {shape}", f, shape)
    for name, f in RECTANGULAR.items()
    for shape in ((0, 0), (0, 3), (3, 0), (0, 2, 3), (0, 3, 2), (2, 3, 0), (2, 0, 3))
]


@pytest.mark.parametrize(("f", "shape"), [row[1:] for row in EMPTY], ids=[row[0] for row in EMPTY])
def test_without_elements(f: Function, shape: tuple[int, ...]) -> None:
    a = np.zeros(shape)
    y, pullback = ad.vjp(f, a)
    assert pullback(np.ones(np.shape(y)))[0].shape == shape
    assert np.shape(ad.jvp(f, (a,), (a,))[1]) == np.shape(y)
    assert np.isfinite(y).all()


# ---- exponentials


def test_exponentials_of_all_sizes() -> None:
    skew = normal(4, 4) - normal(4, 4).T
    for size in (1e-9, 0.1, 5.0, 6.0, 50.0, 1000.0):
        q = LA.expm(size * skew / np.linalg.norm(skew, 1))
        np.testing.assert_allclose(q @ q.T, np.eye(4), atol=1e-13 * max(size, 1.0))
    a = np.stack([np.zeros((3, 3)), 40.0 * unit(normal(3, 3)), normal(3, 3, seed=1)])  # the power of 2 differs in a batch
    direction = unit(normal(3, 3, 3, seed=2))
    expected, error = differences(LA.expm, a, direction, 1.0)
    value, tangent = ad.jvp(LA.expm, (a,), (direction,))
    scale = np.max(np.abs(value), axis=(-2, -1), keepdims=True)
    assert np.max(np.abs(value - exponential(a)) / scale) <= GROWTH * 40.0 * EPS
    assert np.max(np.abs(tangent - expected) / scale) <= GROWTH * error
    for f in (ad.compile(LA.expm), ad.vmap(LA.expm)):
        np.testing.assert_allclose(f(a) / scale, value / scale, atol=1e-14)


def test_exponentials_out_of_range() -> None:
    with np.errstate(all="ignore"):
        assert np.isinf(LA.expm(np.array([[1e4]]))) and LA.expm(np.array([[-1e9]])) == 0.0
        assert np.isnan(LA.expm(np.array([[NAN]])))
        assert np.isnan(ad.compile(LA.expm)(np.array([[-1e9]])))
