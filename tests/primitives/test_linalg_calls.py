"""How linear algebra and einsum are called: names, arguments and results are NumPy's, and mistakes are explained."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.primitives.rows.linalg import normal
from tinyad.primitives.products import _cheapest

Function = Callable[..., Any]
LA = ad.linalg
NAN = math.nan

# ---- what is computed


def test_the_other_triangle_is_not_looked_at() -> None:
    a = np.array([[2.0, NAN], [1.0, 4.0]])

    def f(a: Any) -> Any:
        return ad.sum(LA.solve_triangular(a, np.array([2.0, 9.0]), lower=True))

    assert f(a) == 3.0
    np.testing.assert_allclose(ad.grad(f)(a), [[-0.375, 0.0], [-0.25, -0.5]])


def test_a_triangle_is_enough_for_eigenvalues_and_any_matrix_has_a_hermitian_part() -> None:
    a = normal(3, 3, dtype=complex)
    for half in ("L", "U", "l"):
        np.testing.assert_allclose(LA.eigvalsh(a, half), np.linalg.eigvalsh(a, half.upper()), rtol=1e-13)
        np.testing.assert_allclose(LA.eigh(a, half).eigenvalues, np.linalg.eigvalsh(a, half.upper()), rtol=1e-13)
    np.testing.assert_allclose(LA.eigvalsh(a), np.linalg.eigvalsh(0.5 * (a + a.conj().T)), rtol=1e-13)
    slope = ad.grad(lambda a: ad.sum(LA.eigvalsh(a, "L") ** 2))(normal(3, 3))
    assert np.all(slope[np.triu_indices(3, 1)] == 0) and np.all(slope[np.tril_indices(3)] != 0)


def test_results_have_numpys_names() -> None:
    a = normal(3, 2)
    s = a.T @ a
    for ours, theirs in [
        (LA.qr(a), np.linalg.qr(a)), (LA.svd(a), np.linalg.svd(a)), (LA.eigh(s), np.linalg.eigh(s)),
        (LA.eig(s), np.linalg.eig(s)), (LA.slogdet(s), np.linalg.slogdet(s)),
    ]:  # fmt: skip
        assert ours._fields == theirs._fields
        assert [x.shape for x in ours] == [x.shape for x in theirs]
        assert type(ours).__name__ == type(theirs).__name__
    assert LA.qr(a, "r").shape == np.linalg.qr(a, "r").shape
    assert LA.svd(a, compute_uv=False).shape == (2,) and LA.svd(s, hermitian=True).S.shape == (2,)
    assert LA.cholesky(s, upper=True)[1, 0] == 0


STANDARD = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
    "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
NUMPYS = [name for name in dir(np.linalg) if inspect.isfunction(getattr(getattr(np.linalg, name), "__wrapped__", None))]


def test_the_namespace_has_all_of_the_standard_and_of_numpy() -> None:
    assert len(NUMPYS) > 30
    assert set(STANDARD) | set(NUMPYS) <= set(LA.__all__)
    assert all(hasattr(LA, name) for name in LA.__all__)


@pytest.mark.parametrize("name", NUMPYS)
def test_arguments_are_numpys(name: str) -> None:
    """Those after the operands have NumPy's names, and where they have a place NumPy's place."""
    ours, theirs = (list(inspect.signature(getattr(module, name)).parameters.values()) for module in (LA, np.linalg))
    names = [p.name for p in ours]
    for place, parameter in enumerate(theirs):
        if parameter.default is parameter.empty or parameter.name in ("out", "dtype"):
            continue
        assert parameter.name in names, f"{name} has no argument {parameter.name}"
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert names.index(parameter.name) == place


def test_products_of_many_matrices_take_the_fewest_multiplications() -> None:
    def of_all_orders(sizes: tuple[int, ...]) -> int:
        if len(sizes) < 3:
            return 0
        splits = range(1, len(sizes) - 1)
        return min(of_all_orders(sizes[: k + 1]) + of_all_orders(sizes[k:]) + sizes[0] * sizes[k] * sizes[-1] for k in splits)

    for seed in range(20):
        sizes = tuple(np.random.default_rng(seed).integers(1, 9, size=6).tolist())
        assert _cheapest(sizes)[0] == of_all_orders(sizes)


M, V, T3, ONE_OF_TWO = normal(2, 3), normal(3), normal(3, 3), np.stack([np.eye(2), np.ones((2, 2))])
ERRORS: list[tuple[str, Function, type[Exception], str]] = [
    ("inv", lambda: LA.inv(ONE_OF_TWO), LA.LinAlgError, r"^inv: .*shape \(2, 2, 2\), is singular.*a\[1\].*lstsq"),
    ("solve", lambda: LA.solve(np.zeros((2, 2)), np.ones(2)), LA.LinAlgError, r"^solve: .*\(2, 2\), is singular\..*lstsq"),
    ("solve's shapes", lambda: LA.solve(T3, M), ValueError, r"^solve: b has shape \(2, 3\); .*expected \(3,\) or \(..., 3, k\)"),
    ("solve_triangular", lambda: LA.solve_triangular(T3, V, trans=3), ValueError, r"^solve_triangular: trans=3; expected"),
    ("cholesky", lambda: LA.cholesky(-np.eye(2)), LA.LinAlgError, r"^cholesky: .*not positive definite.*multiple of the identity"),
    ("matrix_power", lambda: LA.matrix_power(T3, 0.5), TypeError, r"^matrix_power: n=0.5; expected an integer"),
    ("tensorsolve", lambda: LA.tensorsolve(T3, np.ones((2, 2))), ValueError, r"^tensorsolve: a has shape \(3, 3\)"),
    ("tensorinv", lambda: LA.tensorinv(M, 1), ValueError, r"^tensorinv: a has shape \(2, 3\) and ind=1"),
    ("qr", lambda: LA.qr(M, "raw"), ValueError, r"^qr: mode='raw'; expected 'reduced', 'complete' or 'r'"),
    ("eigh", lambda: LA.eigh(T3, "X"), ValueError, r"^eigh: UPLO='X'; expected"),
    ("svd", lambda: LA.svd(V), ValueError, r"^svd: a has shape \(3,\); expected matrices"),
    ("pinv's cutoffs", lambda: LA.pinv(M, 0.1, rtol=0.1), ValueError, r"^pinv: got rcond and rtol; expected one"),
    ("pinv's cutoff", lambda: LA.pinv(M, "small"), TypeError, r"^pinv: rcond='small'; expected a number, the same for all"),
    ("lstsq's cutoff", lambda: LA.lstsq(M, M, [0.1]), TypeError, r"^lstsq: rcond=\[0.1\]; expected a number, the same"),
    ("lstsq", lambda: LA.lstsq(M, V), ValueError, r"^lstsq: b has shape \(3,\); .*expected \(2,\) or \(..., 2, k\)"),
    ("vector_norm", lambda: LA.vector_norm(V, ord="fro"), ValueError, r"^vector_norm: ord='fro'; expected a number"),
    ("matrix_norm", lambda: LA.matrix_norm(M, ord=3), ValueError, r"^matrix_norm: ord=3; expected 'fro', 'nuc', 1"),
    ("norm of a vector", lambda: LA.norm(V, "nuc"), ValueError, r"^norm: ord='nuc' is a norm of matrices.*a vector"),
    ("norm of three axes", lambda: LA.norm(T3[None], 2), ValueError, r"^norm: ord=2 for an array of shape \(1, 3, 3\); name"),
    ("norm of an axis twice", lambda: LA.norm(M, axis=(0, 0)), ValueError, r"^norm: axis=\(0, 0\)"),
    ("cond of nothing", lambda: LA.cond(np.zeros((0, 2))), ValueError, r"^cond: x has shape \(0, 2\); .*no condition number"),
    ("matrix_rank", lambda: LA.matrix_rank(M, 0.1, rtol=0.1), ValueError, r"^matrix_rank: got tol and rtol"),
    ("diagonal", lambda: LA.diagonal(V), ValueError, r"^diagonal: a has shape \(3,\); expected matrices"),
    ("trace", lambda: LA.trace(M, 0, 1, -1), ValueError, r"^diagonal: axis1=1 and axis2=-1 are the same axis"),
    ("cross", lambda: LA.cross(M[:, :2], M[:, :2]), ValueError, r"^cross: vectors of lengths 2 and 2; expected 3"),
    ("multi_dot", lambda: LA.multi_dot([M]), ValueError, r"^multi_dot: got 1 arrays"),
    ("multi_dot's axes", lambda: LA.multi_dot([M, V, M]), ValueError, r"^multi_dot: shapes \[\(2, 3\), \(3,\), \(2, 3\)\]"),
    ("multi_dot's lengths", lambda: LA.multi_dot([M, M]), ValueError, r"shapes \(2, 3\) and \(2, 3\) do not fit"),
    ("vecdot", lambda: LA.vecdot(V, V[:1]), ValueError, r"^vecdot: shapes \(3,\) and \(1,\); axis -1 has lengths 3 and 1"),
    ("matvec", lambda: ad.matvec(V, V), ValueError, r"^matvec: x1 has shape \(3,\); expected matrices.*vecdot"),
    ("vecmat", lambda: ad.vecmat(V, V), ValueError, r"^vecmat: x2 has shape \(3,\); expected matrices.*vecdot"),
    *[(f"{name} of no square", lambda name=name: getattr(LA, name)(M), ValueError, rf"^{name}: a has shape \(2, 3\); .*square")
      for name in ("inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals", "expm")],
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "message"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_error(run: Function, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        run()
    assert re.search(message, str(caught.value)), str(caught.value)


# ---- einsum

CUBE = normal(3, 3, 3)
FORMULAS: list[tuple[Any, ...]] = [
    ("ij,jk", M, T3), ("ij,jk->ki", M, T3), ("Ai,iB", M, T3), ("ba", M), ("...ij,jk", T3[None], T3), ("...ij->...", T3[None]),
    ("i...->...", M), ("ii", T3), ("ii->i", T3), ("iij->j", CUBE), ("iji->j", CUBE), ("iii->i", CUBE),
    (" i j , j k -> i k ", M, T3),
    ("ij->", M), (",->", 2.0, 3.0), ("i,->i", V, 2.0), ("...,...", M, M), ("ij,ij->ij", M, M[:1]), ("ij,jk,kl->il", M, T3, T3),
    (M, [0, 1], T3, [1, 2], [0, 2]), (M, [0, 1], T3, [1, 2]), (M, [1, 0]), (T3[None], [..., 0, 1], T3, [1, 2], [0, ..., 2]),
    (M, [0, 1], []), (T3[None], [..., 0, 1]), (T3, [0, 0], [0]), (M, [30, 2], T3, [2, 11]),
]  # fmt: skip


@pytest.mark.parametrize("optimize", [False, True, "greedy", ["einsum_path", (0, 1)]])
def test_einsum_takes_every_form(optimize: Any) -> None:
    for formula in FORMULAS:
        expected = np.einsum(*formula)
        lifted = [ad.tensor(x) if isinstance(x, np.ndarray) else x for x in formula]
        for ours in (ad.einsum(*formula, optimize=optimize), ad.einsum(*lifted, optimize=optimize), np.einsum(*lifted)):
            np.testing.assert_allclose(getattr(ours, "array", ours), expected, rtol=1e-13, atol=1e-15, err_msg=str(formula[0]))


@pytest.mark.parametrize(
    ("formula", "kind", "message"),
    [
        (("...i->i", M), ValueError, "output 'i'.*has no '...'"), (("ij...k...", T3[None]), ValueError, "at most one '...'"),
        ((M, T3), TypeError, "expected a str"), ((M, [0.5, 1]), TypeError, "expected integers"),
        ((M, [0, 1], T3), TypeError, "by turns"),
        ((), TypeError, "subscripts"),
    ],
)  # fmt: skip
def test_einsum_refuses(formula: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        ad.einsum(*formula)
