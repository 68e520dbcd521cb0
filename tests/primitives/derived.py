"""What must hold for every row of the table. `test_table.py` runs it; `test_wrong_rules.py` shows that it can fail."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyad as ad
from tests.primitives.sampling import Array, Row
from tinyad.checking.numeric import numeric_jacobian

NUMERIC = 1e-7  # relative to the largest entry: fourth-order differences in float64
EXACT = 1e-12  # relative: identities between walks


def _close(ours: Any, theirs: Any, tolerance: float, what: str, floor: float = 1e-300) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, expected {theirs.shape}"
    scale = max(np.abs(theirs).max(initial=0.0), floor)
    gap = np.abs(ours - theirs).max(initial=0.0)
    assert gap <= tolerance * scale, f"{what}: differs by {gap:.3e}, scale {scale:.3e}\nours\n{ours}\nexpected\n{theirs}"


def value_is_numpys(row: Row, operands: tuple[Array, ...], params: dict[str, Any]) -> None:
    """On arrays and on Tensors; in float64 and float32; without changing an operand."""
    for dtype in (np.float64, np.float32):
        arrays = [x.astype(dtype) for x in operands]
        copies = [x.copy() for x in arrays]
        theirs = np.asarray(row.reference(*arrays, **params))
        plain = row.function(*arrays, **params)
        assert not isinstance(plain, ad.Tensor), f"{row.name}: a Tensor for plain arrays"
        recorded = row.function(*map(ad.tensor, arrays), **params)
        for ours in (plain, recorded.array):
            _close(ours, theirs, 1e-14 if dtype is np.float64 else 1e-5, f"{row.name} value in {dtype.__name__}", floor=1.0)
            assert ours.dtype == dtype, f"{row.name}: dtype {ours.dtype} for {dtype.__name__} operands"
        for x, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(x, copy, err_msg=f"{row.name} changed an operand")


def jacobians_are_right(row: Row, operands: tuple[Array, ...], params: dict[str, Any]) -> None:
    """Reverse and forward, with all rows or columns along a leading axis, against differences; and one row at a time."""

    def f(*xs: Any) -> Any:
        return row.function(*xs, **params)

    for i, x in enumerate(operands):
        numeric = numeric_jacobian(f, *operands, wrt=i).jacobian
        for mode in ("reverse", "forward"):
            ours = ad.jacobian(f, argnums=i, mode=mode)(*operands)
            _close(ours, numeric, NUMERIC, f"{row.name} operand {i}, {mode}", floor=1e-3)
        if x.size:
            _, pullback = ad.vjp(f, *operands)
            y = np.asarray(f(*operands))
            rows = [pullback(unit.reshape(y.shape))[i] for unit in np.eye(y.size)]
            if rows:
                _close(np.reshape(rows, ours.shape), ours, EXACT, f"{row.name} operand {i}, row by row", floor=1e-3)


def walks_are_adjoint(row: Row, operands: tuple[Array, ...], params: dict[str, Any], seed: int) -> None:
    """``<u, J v> = <J' u, v>``; and no cotangent or tangent is changed on the way."""
    random = np.random.default_rng(seed)

    def f(*xs: Any) -> Any:
        return row.function(*xs, **params)

    tangents = tuple(random.normal(size=x.shape) for x in operands)
    y, dy = ad.jvp(f, operands, tangents)
    u = random.normal(size=np.shape(y))
    kept = u.copy()
    _, pullback = ad.vjp(f, *operands)
    first, second = pullback(u), pullback(u)
    np.testing.assert_array_equal(u, kept, err_msg=f"{row.name} changed a cotangent")
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"{row.name}: the pullback is not repeatable")
    left = np.sum(u * dy)
    right = sum(np.sum(g * t) for g, t in zip(first, tangents, strict=True))
    scale = np.sum(np.abs(u * dy)) + sum(np.sum(np.abs(g * t)) for g, t in zip(first, tangents, strict=True))
    assert abs(left - right) <= EXACT * max(scale, 1e-3), f"{row.name}: <u, Jv> = {left}, <J'u, v> = {right}"


def second_derivatives_are_right(row: Row, operands: tuple[Array, ...], params: dict[str, Any], seed: int) -> None:
    """Forward over reverse and reverse over reverse, against differences of the pullback."""
    random = np.random.default_rng(seed)
    u = random.normal(size=np.shape(row.function(*operands, **params)))
    directions = tuple(random.normal(size=x.shape) for x in operands)

    def pulled(*xs: Any) -> Any:
        """The gradient of ``<u, f>`` in the directions: a scalar with the second derivatives of f."""
        _, pullback = ad.vjp(lambda *zs: row.function(*zs, **params), *xs)
        return sum(ad.sum(g * d) for g, d in zip(pullback(u), directions, strict=True))

    for i in range(len(operands)):
        numeric = numeric_jacobian(pulled, *operands, wrt=i).jacobian
        gradient = ad.grad(pulled, argnums=i)(*operands)
        _close(gradient, numeric, NUMERIC, f"{row.name} operand {i}, reverse over reverse", floor=1e-2)
        only = tuple(d if k == i else np.zeros_like(d) for k, d in enumerate(directions))
        forward = ad.jvp(pulled, operands, only)[1]
        _close(forward, np.sum(numeric * directions[i]), NUMERIC, f"{row.name} operand {i}, forward over reverse", floor=1e-2)


def zero_cotangents_vary(row: Row, operands: tuple[Array, ...], params: dict[str, Any], seed: int) -> None:
    """At the minimum of ``|f(x) - f(x0)|^2 / 2`` every cotangent is exactly zero, and the Hessian is ``J' J`` all the same."""
    random = np.random.default_rng(seed)
    target = row.function(*operands, **params)
    for i, x in enumerate(operands):

        def f(x: Any, i: int = i) -> Any:
            return row.function(*operands[:i], x, *operands[i + 1 :], **params)

        d = random.normal(size=x.shape)
        curved = ad.hvp(lambda x: 0.5 * ad.sum((f(x) - target) ** 2), x, d)
        (expected,) = ad.vjp(f, x)[1](ad.jvp(f, (x,), (d,))[1])
        _close(curved, expected, 1e-9, f"{row.name} operand {i}, Hessian at a zero residual", floor=1e-2)


def gradients_keep_dtype(row: Row, operands: tuple[Array, ...], params: dict[str, Any]) -> None:
    """A float32 operand gets a float32 gradient, alone and beside float64 operands, with Python numbers around."""
    narrow = [x.astype(np.float32) for x in operands]
    mixed = [x.astype(np.float32 if i % 2 else np.float64) for i, x in enumerate(operands)]
    for arrays in (narrow, mixed):
        y, pullback = ad.vjp(lambda *xs: 2.0 * row.function(*xs, **params), *arrays)
        for x, g in zip(arrays, pullback(np.ones(np.shape(y), np.asarray(y).dtype)), strict=True):
            assert g.dtype == x.dtype, f"{row.name}: gradient of dtype {g.dtype} for an operand of dtype {x.dtype}"
            assert g.shape == x.shape, f"{row.name}: gradient of shape {g.shape} for an operand of shape {x.shape}"
        _, dy = ad.jvp(lambda *xs: row.function(*xs, **params), tuple(arrays), tuple(arrays))
        assert dy.dtype == np.asarray(row.function(*arrays, **params)).dtype, f"{row.name}: tangent of dtype {dy.dtype}"


def everything(row: Row, operands: tuple[Array, ...], params: dict[str, Any], seed: int) -> None:
    """All of the above at one sample."""
    value_is_numpys(row, operands, params)
    jacobians_are_right(row, operands, params)
    walks_are_adjoint(row, operands, params, seed)
    second_derivatives_are_right(row, operands, params, seed)
    zero_cotangents_vary(row, operands, params, seed)
    gradients_keep_dtype(row, operands, params)
