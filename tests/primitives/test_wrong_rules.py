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
from tinyad.primitives.indexing import _fill, _rank_of_result

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
    total[_fill(index, arrays, 0)] = g
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
    # linear
    Mutant("mean without 1/n", "mean", rule("mean", "transpose", lambda right, g, like, **p: right(g, like, **p) * 2.0)),
    Mutant("permutation not inverted", "permute_dims", rule("permute_dims", "transpose", lambda right, g, like, axes: ad.permute_dims(g, (*range(g.ndim - len(axes)), *[a + g.ndim for a in axes])))),
    Mutant("no transpose", "matrix_transpose", rule("matrix_transpose", "transpose", lambda right, g, like: ad.reshape(g, (*g.shape[: g.ndim - len(like.shape)], *like.shape)))),
    Mutant("cumsum in the same direction", "cumsum", rule("cumsum", "transpose", lambda right, g, like, axis: ad.cumsum(g, axis))),
    Mutant("flip forgotten", "flip", rule("flip", "transpose", lambda right, g, like, axes: g)),
    Mutant("roll in the same direction", "roll", rule("roll", "transpose", lambda right, g, like, shift, axes: right(g, like, shift=tuple(-s for s in shift), axes=axes))),
    Mutant("broadcast_to keeps one copy", "broadcast_to", rule("broadcast_to", "transpose", lambda right, g, like, **p: right(g, like, **p) * 0.5)),
    Mutant("pad off by one", "pad", rule("pad", "transpose", lambda right, g, like, widths: right(g, like, widths=tuple((max(b - 1, 0), a) for b, a in widths)))),
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
    Mutant("variance without the factor 2", "var", rule("var", "vjp_rule", lambda right, *args, **p: 0.5 * right(*args, **p))),
    Mutant("max of the wrong element", "max", rule("max", "vjp_rule", lambda right, g, x, out, **p: right(g, -x, -out * 1.1, **p))),
    Mutant("softmax not normalised", "logsumexp", rule("logsumexp", "jvp_rule", lambda right, dx, x, out, **p: right(dx, x, 0.0 * out, **p))),
    # the walks
    Mutant("no unbroadcast", "add", lambda patch: patch.setattr(reverse, "unbroadcast", lambda g, shape, lead=0: g)),
    Mutant("unbroadcast by a mean", "add", lambda patch: patch.setattr(reverse, "unbroadcast", lambda g, shape, lead=0: _right_unbroadcast(g, shape, lead) * 0.5)),
    Mutant("cotangents overwrite", "sigmoid", lambda patch: patch.setattr(reverse._Cotangents, "add", lambda self, node, g, fresh: self.__setitem__(node, g.add_to(None) if type(g) is Deferred else g))),
    Mutant("dtype not restored", "add", lambda patch: patch.setattr(reverse, "astype", lambda g, dtype: g)),
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
