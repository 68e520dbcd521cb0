"""Rules made wrong on purpose: the tests derived from the table must notice each of them.

A mutant replaces one rule of one primitive (or one step of the walk) by a mistake of the kind people make: a factor, a sign, a
missing transpose, a missing unbroadcast, the wrong axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives import derived
from tests.primitives.sampling import Row
from tests.primitives.table import TABLE
from tinyad import reverse
from tinyad.kinds import PRIMITIVES, Deferred
from tinyad.primitives.indexing import _rank_of_result, fill
from tinyad.primitives.reductions import _expand

ROWS = {row.name: row for row in TABLE}
Replace = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """A mistake, and the row whose tests must fail because of it."""

    name: str
    row: str
    replace: Replace


def partial(primitive: str, operand: int, mistake: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Replace:
    """Change the product with one partial derivative of an elementwise primitive."""

    def replace(patch: pytest.MonkeyPatch) -> None:
        target: Any = PRIMITIVES[primitive]
        products = list(target.products)
        products[operand] = mistake(products[operand])
        patch.setattr(target, "products", tuple(products))

    return replace


def rule(primitive: str, attribute: str, wrong: Callable[..., Any]) -> Replace:
    """Replace a rule of a primitive; ``wrong`` gets the right one first."""

    def replace(patch: pytest.MonkeyPatch) -> None:
        target = PRIMITIVES[primitive]
        right = getattr(target, attribute)
        patch.setattr(target, attribute, lambda *args, **params: wrong(right, *args, **params))

    return replace


def scaled(factor: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return lambda product: lambda v, saved: factor * product(v, saved)


def overwriting(right: Any, g: Any, like: Any, *arrays: Any, rank: int, index: Any) -> Any:
    """The transpose of indexing with ``=`` in place of ``+=``: repeated indices keep only one contribution."""
    if type(g) is ad.Tensor or g.ndim != _rank_of_result(like.shape, index, arrays):
        return right(g, like, *arrays, rank=rank, index=index)
    total = np.zeros(like.shape)
    total[fill(index, arrays, 0)] = g
    return total


MUTANTS = [
    # elementwise
    Mutant("factor", "multiply", partial("multiply", 0, scaled(2.0))),
    Mutant("sign", "subtract", partial("subtract", 1, scaled(-1.0))),
    Mutant("sign of cos'", "cos", partial("cos", 0, scaled(-1.0))),
    Mutant("small factor", "exp", partial("exp", 0, scaled(1.0 + 1e-6))),
    Mutant("tanh' of the result instead of its square", "tanh", partial("tanh", 0, lambda _: lambda v, s: v * (1.0 - s[1]))),
    Mutant("sin' of the result", "sqrt", partial("sqrt", 0, lambda _: lambda v, s: v * 0.5 * s[1])),
    Mutant("quotient rule without the square", "divide", partial("divide", 1, lambda _: lambda v, s: -v * s[2])),
    Mutant("partials exchanged", "divide", partial("divide", 0, lambda _: lambda v, s: v * s[1])),
    Mutant("branches exchanged", "maximum", partial("maximum", 0, lambda right: lambda v, s: v - right(v, s))),
    Mutant("both branches of where", "where", partial("where", 1, lambda _: lambda v, s: v)),
    Mutant("a bound ignored", "clip", partial("clip", 0, lambda _: lambda v, s: v)),
    Mutant("power rule without the exponent", "power_by_number", partial("power", 0, lambda _: lambda v, s: v * s[0] ** (s[1] - 1))),
    Mutant("log base forgotten", "log2", partial("log2", 0, lambda _: lambda v, s: v / s[0])),
    Mutant("sinc' without its second term", "sinc", partial("sinc", 0, lambda _: lambda v, s: v * ad.cos(np.pi * s[0]) / s[0])),
    Mutant("square for a cube", "cbrt", partial("cbrt", 0, lambda _: lambda v, s: v / (3.0 * s[1]))),
    Mutant("a remainder constant in the divisor", "remainder", partial("remainder", 1, lambda _: lambda v, s: 0.0 * v * s[1])),
    Mutant("floor in place of trunc", "fmod", partial("fmod", 1, lambda _: lambda v, s: -v * ad.floor(s[0] / s[1]))),
    Mutant("branches exchanged", "fmax", partial("fmax", 0, lambda right: lambda v, s: v - right(v, s))),
    Mutant("sign forgotten", "copysign", partial("copysign", 0, lambda _: lambda v, s: v * ad.sign(s[0]))),
    Mutant("base forgotten", "exp2", partial("exp2", 0, lambda _: lambda v, s: v * s[1])),
    Mutant("base forgotten in the weights", "logaddexp2", partial("logaddexp2", 0, lambda _: lambda v, s: v * ad.sigmoid(s[0] - s[1]))),
    Mutant("degrees for radians", "deg2rad", partial("deg2rad", 0, lambda _: lambda v, s: v * 180 / np.pi)),
    Mutant("exponent ignored", "ldexp_by_number", partial("ldexp", 0, lambda _: lambda v, s: v)),
    # special
    Mutant("sign in the exponent", "erfinv", partial("erfinv", 0, lambda _: lambda v, s: v * ad.exp(-s[1] * s[1]) * np.sqrt(np.pi) / 2)),
    Mutant("gamma' without gamma", "gamma", partial("gamma", 0, lambda _: lambda v, s: v * ad.special.digamma(s[0]))),
    Mutant("one digamma too few", "betaln", partial("betaln", 0, lambda _: lambda v, s: v * ad.special.digamma(s[0]))),
    Mutant("log forgotten", "xlogy", partial("xlogy", 0, lambda _: lambda v, s: v * s[1])),
    Mutant("factor of zeta", "zeta of (2.5,)", partial("zeta", 1, lambda _: lambda v, s: -v * ad.special.zeta(s[0] + 1.0, s[1]))),
    Mutant("density without its normalisation", "betainc of (0.8, 2.3)", partial("betainc", 2, scaled(1.1))),
    Mutant("sign of j0'", "j0", partial("j0", 0, scaled(-1.0))),
    Mutant("k1' of i1'", "k1", partial("k1", 0, lambda _: lambda v, s: v * (ad.special.k0(s[0]) - s[1] / s[0]))),
    Mutant("scale of i0e forgotten", "i0e", partial("i0e", 0, lambda _: lambda v, s: v * ad.special.i1e(s[0]))),
    # complex
    Mutant("no conjugate", "complex abs", partial("abs", 0, lambda _: lambda v, s: v * ad.sign(s[0]))),
    Mutant("a conjugate too many", "complex multiply", partial("multiply", 0, lambda _: lambda v, s: v * ad.conj(s[1]))),
    Mutant("conj its own inverse", "complex conj", rule("conj", "transpose", lambda right, g, like: g)),
    Mutant("sign of imag'", "complex imag", partial("imag", 0, scaled(-1.0))),
    Mutant("sign of i", "complex complex", partial("complex", 1, scaled(-1.0))),
    Mutant("length for its square", "complex var", rule("var", "vjp_rule", lambda right, g, x, out, **p: right(g, ad.conj(x), out, **p))),
    Mutant("the real part not taken", "complex multiply of a real and a complex number", lambda patch: patch.setattr(reverse, "in_dtype", lambda g, dtype: ad.abs(g) if dtype.kind == "f" else g)),
    # linear
    Mutant("mean without 1/n", "mean", rule("mean", "transpose", lambda right, g, like, **p: right(g, like, **p) * 2.0)),
    Mutant("permutation not inverted", "permute_dims", rule("permute_dims", "transpose", lambda right, g, like, axes: ad.permute_dims(g, (*range(g.ndim - len(axes)), *[a + g.ndim for a in axes])))),
    Mutant("no transpose", "matrix_transpose", rule("matrix_transpose", "transpose", lambda right, g, like: ad.reshape(g, (*g.shape[: g.ndim - len(like.shape)], *like.shape)))),
    Mutant("cumsum in the same direction", "cumsum", rule("cumsum", "transpose", lambda right, g, like, axis: ad.cumsum(g, axis))),
    Mutant("triangle of the other side", "tril", rule("tril", "transpose", lambda right, g, like, k: ad.triu(g, k))),
    Mutant("flip forgotten", "flip", rule("flip", "transpose", lambda right, g, like, axes: g)),
    Mutant("roll in the same direction", "roll", rule("roll", "transpose", lambda right, g, like, shift, axes: right(g, like, shift=tuple(-s for s in shift), axes=axes))),
    Mutant("broadcast_to keeps one copy", "broadcast_to", rule("broadcast_to", "transpose", lambda right, g, like, **p: right(g, like, **p) * 0.5)),
    Mutant("pad off by one", "pad", rule("pad", "transpose", lambda right, g, like, widths: right(g, like, widths=tuple((max(b - 1, 0), a) for b, a in widths)))),
    Mutant("Fourier's conjugate", "fft", rule("fftn", "transpose", lambda right, g, like, **p: ad.conj(right(ad.conj(g), like, **p)))),
    Mutant("the inverse for the transpose", "ifft", rule("ifftn", "transpose", lambda right, g, like, axes, norm: ad.fft.fftn(g, axes=axes, norm=norm))),
    Mutant("half a spectrum without weights", "rfft", lambda patch: patch.setattr("tinyad.primitives.fft._weighted", lambda x, *settings: x)),
    Mutant("the last element of an odd spectrum", "irfft", rule("irfft", "transpose", lambda right, g, like, n, **p: right(g, like, n=n - n % 2, **p))),
    Mutant("half a spectrum twice", "hfft", rule("hfft", "transpose", lambda right, g, like, **p: right(g, like, **p) * 2.0)),
    Mutant("inverse of a Hermitian signal without a scale", "ihfft", rule("ihfft", "transpose", lambda right, g, like, norm, **p: right(g, like, norm="forward", **p))),
    Mutant("sorted again", "sort", rule("take_along_axis", "transpose", lambda right, g, like, indices, axis, once: ad.take_along_axis(g, indices.reshape((1,) * (g.ndim - indices.ndim) + indices.shape), axis))),
    Mutant("repeated indices overwrite", "take_along_axis", rule("take_along_axis", "transpose", lambda right, *args, once, **p: right(*args, once=True, **p))),
    Mutant("sums taken twice", "add_along_axis", rule("add_along_axis", "transpose", lambda right, *args, **p: right(*args, **p) * 2.0)),
    Mutant("index gradient overwrites", "getitem_advanced", rule("getitem", "transpose", overwriting)),
    Mutant("parts of concat exchanged", "concat", rule("concat", "transpose", lambda right, g, parents, **p: right(g, parents, **p)[::-1])),
    Mutant("parts of stack exchanged", "stack", rule("stack", "transpose", lambda right, g, parents, **p: right(g, parents, **p)[::-1])),
    # multilinear
    Mutant("operands of matmul exchanged", "matmul", rule("matmul", "transpose", lambda right, i, g, operands, node: right(1 - i, g, operands[::-1], node))),
    Mutant("matmul factor", "matmul", rule("matmul", "transpose", lambda right, i, g, operands, node: right(i, g, operands, node) * (1.0 + 0.1 * i))),
    Mutant("einsum sign", "einsum", rule("einsum", "transpose", lambda right, i, g, operands, node, **p: -right(i, g, operands, node, **p))),
    # general
    Mutant("solve without transpose", "solve", rule("solve", "vjp_rule", lambda right, g, a, out: right(g, ad.matrix_transpose(a), out))),
    Mutant("solve sign", "solve", rule("solve", "vjp_rule", lambda right, *args: (-right(*args)[0], right(*args)[1]))),
    Mutant("solve jvp ignores the matrix", "solve", rule("solve", "jvp_rule", lambda right, da, db, a, out: right(None, db if db is not None else 0.0 * out, a, out))),
    Mutant("cholesky without halving", "cholesky", rule("cholesky", "vjp_rule", lambda right, g, out: right(g, out) * 2.0)),
    Mutant("cholesky with the whole diagonal", "cholesky", lambda patch: patch.setattr("tinyad.primitives.factorizations._lower_half", ad.tril)),
    Mutant("inverse without transposes", "inv", rule("inv", "vjp_rule", lambda right, g, out: -(out @ g @ out))),
    Mutant("inverse sign", "inv", rule("inv", "jvp_rule", lambda right, dx, out: out @ dx @ out)),
    Mutant("adjugate for cofactors", "det", rule("det", "vjp_rule", lambda right, g, x: ad.matrix_transpose(right(g, x)))),
    Mutant("cofactors as if they were linear", "det", rule("cofactors", "vjp_rule", lambda right, g, x: 0.5 * right(g, x))),
    Mutant("determinant for its logarithm", "slogdet", rule("slogdet", "vjp_rule", lambda right, g, x, sign: right(g, x, sign) * ad.linalg.det(x)[..., None, None])),
    Mutant("Q turns the other way", "qr", lambda patch: patch.setattr("tinyad.primitives.factorizations._skew", lambda x: ad.matrix_transpose(ad.tril(x, -1)) - ad.tril(x, -1))),
    Mutant("R alone", "qr", rule("qr", "vjp_rule", lambda right, g, q, r, **p: right([0.0 * q, g[1]], q, r, **p))),
    Mutant("gaps the other way", "eigh", rule("eigh", "vjp_rule", lambda right, g, w, v: right([g[0], None if g[1] is None else -g[1]], w, v))),
    Mutant("eigenvectors that do not turn", "eigh", rule("eigh", "jvp_rule", lambda right, dx, w, v: (right(dx, w, v)[0], 0.0 * right(dx, w, v)[1]))),
    Mutant("eigenvalues in descending order", "eigvalsh", rule("eigvalsh", "vjp_rule", lambda right, g, x: right(ad.flip(g, -1), x))),
    Mutant("conjugate eigenvalues", "eig", rule("eig", "vjp_rule", lambda right, g, w, v: right([None if g[0] is None else ad.conj(g[0]), g[1]], w, v))),
    Mutant("eigenvectors of any length", "eig", lambda patch: patch.setattr("tinyad.primitives.eigenvalues.scale_columns", lambda x, factors: 0.0 * x)),
    Mutant("v for its adjoint", "svd", rule("svd", "vjp_rule", lambda right, g, u, s, vh, **p: right([g[0], g[1], None if g[2] is None else -g[2]], u, s, vh, **p))),
    Mutant("further columns that stay", "svd, further columns", lambda patch: patch.setattr("tinyad.primitives.singular_values.turned_transpose", lambda g, v, k: g[..., :k])),
    Mutant("singular values in ascending order", "svdvals", rule("svdvals", "vjp_rule", lambda right, g, x, out, **p: right(ad.flip(g, -1), x, out, **p))),
    Mutant("pseudoinverse as an inverse", "pinv", rule("pinv", "vjp_rule", lambda right, g, a, out: (-ad.matrix_transpose(out) @ g @ ad.matrix_transpose(out), None))),
    Mutant("least squares without a residual", "lstsq", rule("lstsq", "vjp_rule", lambda right, g, a, b, out, rcond: right(g, a, a @ out, out, rcond=rcond))),
    Mutant("variance without the factor 2", "var", rule("var", "vjp_rule", lambda right, *args, **p: 0.5 * right(*args, **p))),
    Mutant("max of the wrong element", "max", rule("max", "vjp_rule", lambda right, g, x, out, **p: right(g, -x, -out * 1.1, **p))),
    Mutant("softmax not normalised", "logsumexp", rule("logsumexp", "jvp_rule", lambda right, dx, x, out, **p: right(dx, x, 0.0 * out, **p))),
    Mutant("the product of all", "prod", rule("prod", "vjp_rule", lambda right, g, x, out, *, axis, keepdims: ad.broadcast_to(_expand(g * out, axis, keepdims), x.shape))),
    Mutant("division by the element", "prod", rule("prod", "vjp_rule", lambda right, g, x, out, *, axis, keepdims: _expand(g * out, axis, keepdims) / ad.where(x == 0, 1.0, x))),
    Mutant("cumprod forgets what follows", "cumprod", rule("cumprod", "vjp_rule", lambda right, g, x, out, *, axis: g * out / ad.where(x == 0, 1.0, x))),
    Mutant("weights not normalised", "logcumsumexp", rule("logcumsumexp", "jvp_rule", lambda right, dx, x, out, *, axis: ad.cumsum(ad.exp(x) * dx, axis))),
    Mutant("softmax without the sum", "softmax", rule("softmax", "vjp_rule", lambda right, g, out, *, axis: g * out)),
    Mutant("log_softmax of the wrong axis", "log_softmax", rule("log_softmax", "vjp_rule", lambda right, g, out, *, axis: g - ad.exp(out) * ad.sum(g))),
    # the walks
    Mutant("no unbroadcast", "add", lambda patch: patch.setattr(reverse, "unbroadcast", lambda g, shape, lead=0: g)),
    Mutant("unbroadcast by a mean", "add", lambda patch: patch.setattr(reverse, "unbroadcast", lambda g, shape, lead=0: _right_unbroadcast(g, shape, lead) * 0.5)),
    Mutant("cotangents overwrite", "sigmoid", lambda patch: patch.setattr(reverse._Cotangents, "add", lambda self, node, g, fresh: self.__setitem__(node, g.add_to(None) if type(g) is Deferred else g))),
    Mutant("dtype not restored", "add", lambda patch: patch.setattr(reverse, "in_dtype", lambda g, dtype: g)),
]  # fmt: skip

_right_unbroadcast = reverse.unbroadcast


def _notices(row: Row) -> bool:
    """Whether the row's tests fail on some of 30 samples, always the same."""

    @settings(
        max_examples=30,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        operands, params = row.sample(data.draw)
        derived.everything(row, operands, params, seed=0)

    try:
        run()
    except (AssertionError, ValueError):  # wrong shapes raise ValueError; any other error is a mistake in the mutant
        return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.row}: {m.name}")
def test_a_wrong_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.replace(monkeypatch)
    assert _notices(ROWS[mutant.row]), f"{mutant.name}: the tests of {mutant.row} pass with a wrong rule"


def test_the_right_rules_are_not_noticed() -> None:
    for name in {mutant.row for mutant in MUTANTS}:
        assert not _notices(ROWS[name]), f"{name} fails without a mutation"
