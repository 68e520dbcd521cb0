"""Every primitive, compiled: values, gradients, tangents and Hessian products are those of the function itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.compiler.comparing import Array, replays
from tests.primitives.sampling import SEEDS, Row, elementwise
from tests.primitives.table import TABLE
from tinyad.compiler.expand import EXPANSIONS
from tinyad.compiler.lines import LINES, line_of
from tinyad.kinds import NONDIFFERENTIABLE, PRIMITIVES
from tinyad.primitives.shaping import astype
from tinyad.program import Instruction, Value

EXAMPLES = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))

rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)


def others(row: Row, operands: tuple[Array, ...]) -> tuple[Array, ...]:
    """Other operands of the same shapes, which are in the row's domain too."""
    if row.name in ("solve", "cholesky"):
        return tuple(1.5 * x for x in operands)
    return tuple(np.flip(x).copy() for x in operands)


def derivatives(row: Row, operands: tuple[Array, ...], params: dict[str, Any], seed: int) -> dict[str, Callable[..., Any]]:
    """Functions of the operands alone."""
    random = np.random.default_rng(seed)

    def f(*xs: Any) -> Any:
        return row.function(*xs, **params)

    y = np.asarray(f(*operands))
    weights = random.normal(size=y.shape).astype(y.dtype)
    directions = tuple(random.normal(size=x.shape).astype(x.dtype) for x in operands)
    gradient = ad.grad(lambda *xs: ad.sum(weights * f(*xs)), argnums=tuple(range(len(operands))))
    return {
        "value": f,
        "gradient": gradient,
        "tangent": lambda *xs: ad.jvp(f, xs, directions),
        "Hessian product": lambda *xs: ad.jvp(gradient, xs, directions),
    }


@rows
@EXAMPLES
@given(data=st.data())
def test_row(row: Row, data: st.DataObject) -> None:
    operands, params = row.sample(data.draw)
    again = others(row, operands)
    for dtype in (np.float64, np.float32):
        first, second = (tuple(x.astype(dtype) for x in xs) for xs in (operands, again))
        for name, f in derivatives(row, first, params, data.draw(SEEDS)).items():
            replays(ad.compile(f), f, [first, second, first], f"{row.name}, {name} in {dtype.__name__}")


@rows
@settings(EXAMPLES, max_examples=2)
@given(data=st.data())
def test_jacobians(row: Row, data: st.DataObject) -> None:
    """Rows and columns along a leading axis, which every line must take."""
    operands, params = row.sample(data.draw)
    for mode in ("reverse", "forward"):
        f = ad.jacobian(lambda *xs: row.function(*xs, **params), argnums=tuple(range(len(operands))), mode=mode)
        replays(ad.compile(f), f, [operands, others(row, operands)], f"{row.name}, Jacobian, {mode}")


@rows
@settings(EXAMPLES, max_examples=2)
@given(data=st.data())
def test_of_planned_memory(row: Row, data: st.DataObject) -> None:
    """The operands are intermediate results, so they live in planned memory, and so does what comes after."""
    operands, params = row.sample(data.draw)

    def f(*xs: Any) -> Any:
        y = row.function(*[(2.0 * x) * 0.5 for x in xs], **params)
        return (0.5 * y + 0.5 * y) * 1.5

    replays(ad.compile(f), f, [operands, others(row, operands), operands], row.name)


# ---- functions without a derivative


def _binary(name: str) -> Callable[..., Any]:
    return lambda x, y: NONDIFFERENTIABLE[name].apply(np.sign(x), np.sign(y))


def _bitwise(name: str) -> Callable[..., Any]:
    return lambda x, y: NONDIFFERENTIABLE[name].apply(x > 0, y > 0)


CONSTANT: dict[str, Callable[..., Any]] = {
    **{name: _binary(name) for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")},
    **{name: _binary(name) for name in ("logical_and", "logical_or", "logical_xor", "nextafter")},
    **{name: _bitwise(name) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    "bitwise_invert": lambda x, y: ~(x > y),
    "logical_not": lambda x, y: NONDIFFERENTIABLE["logical_not"].apply(np.sign(x)),
    **{
        name: lambda x, y, n=name: NONDIFFERENTIABLE[n].apply(x / np.sign(x))
        for name in ("isfinite", "isinf", "isnan", "isposinf", "isneginf")
    },
    **{name: lambda x, y, n=name: NONDIFFERENTIABLE[n].apply(3.0 * x) for name in ("sign", "floor", "ceil", "trunc", "round")},
    **{name: lambda x, y, n=name: NONDIFFERENTIABLE[n].apply(ad.complex(x, ad.sign(y))) for name in ("isreal", "iscomplex")},
    "signbit": lambda x, y: ad.signbit(-x),
    "floor_divide": lambda x, y: ad.floor_divide(x, y + 0.1),
    "gammasgn": lambda x, y: ad.special.gammasgn(x + 0.1),
    "bitwise_left_shift": lambda x, y: ad.bitwise_left_shift(astype(4.0 * x, int), 2),
    "bitwise_right_shift": lambda x, y: ad.bitwise_right_shift(astype(9.0 * x, int), 1),
    "asarray": lambda x, y: ad.sum(0.5) + x,
    "as_integers": lambda x, y: astype(3.0 * x, int),
    "item": lambda x, y: ad.fori(3, lambda i, z: z + i * y, x),
    "isclose": lambda x, y: ad.isclose(x, y, 0.3, 0.1),
    "argmax": lambda x, y: (ad.argmax(x), ad.argmax(x, axis=0) if x.ndim else 0) if x.size else 0,
    "argmin": lambda x, y: (ad.argmin(x), ad.argmin(x, axis=-1) if x.ndim else 0) if x.size else 0,
    "argsort": lambda x, y: (ad.argsort(x, descending=True) if x.ndim else 0, ad.argsort(x, axis=None)),
    "argpartition": lambda x, y: (ad.argpartition(x, 0) if x.ndim else 0, ad.argpartition(x, 0, axis=None)) if x.size else 0,
    "searchsorted": lambda x, y: (
        ad.searchsorted(ad.sort(x, None), y),
        ad.vmap(lambda a, v: ad.searchsorted(ad.sort(a), v, side="right"))(x, y) if x.ndim == 2 else 0,
    ),
    "any": lambda x, y: (ad.any(x > 1), ad.any(x > 1, axis=0, keepdims=True) if x.ndim else 0),
    "all": lambda x, y: (ad.all(x > -1), ad.all(x > -1, axis=-1) if x.ndim else 0),
    "count_nonzero": lambda x, y: (ad.count_nonzero(x > 0), ad.count_nonzero(x, axis=0) if x.ndim else 0),
    "stop_gradient": lambda x, y: ad.stop_gradient(x) * y,
}


@pytest.mark.parametrize("name", sorted(NONDIFFERENTIABLE))
def test_constant_functions(name: str) -> None:
    assert name in CONSTANT, f"{name} has no line in CONSTANT"
    random = np.random.default_rng(0)
    for shape in ((), (1,), (4,), (2, 3), (2, 0)):
        calls = [(random.normal(size=shape), random.normal(size=shape)) for _ in range(2)]
        if shape:
            calls[0][0].reshape(-1)[:1] = 0.0  # signs and quotients differ there
        with np.errstate(all="ignore"):
            replays(ad.compile(CONSTANT[name]), CONSTANT[name], calls, name)


# ---- the table of lines is complete


def _has_line(name: str, primitive: Any) -> bool:
    if name in EXPANSIONS or name in LINES or hasattr(primitive, "statements"):
        return True
    value = Value("x", (2,), np.dtype(float))
    try:
        line_of(Instruction(primitive, (value, value), {}, (value,)))
    except NotImplementedError:
        return False
    return True


@pytest.mark.parametrize("name", sorted(PRIMITIVES | NONDIFFERENTIABLE))
def test_every_primitive_can_be_written(name: str) -> None:
    primitive = (PRIMITIVES | NONDIFFERENTIABLE)[name]
    if name == "stop_gradient":  # only programs that are differentiated hold it
        return
    assert _has_line(name, primitive), f"primitive {name!r} has neither a line in LINES nor an entry in EXPANSIONS"


def test_a_primitive_without_a_line_is_noticed_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(LINES, "roll")
    assert not _has_line("roll", PRIMITIVES["roll"])
    with pytest.raises(NotImplementedError, match="no line of NumPy is known for the primitive roll; add one to LINES"):
        ad.compile(lambda x: ad.roll(x, 1))(np.ones(3))


def test_samples_reach_numbers_and_empty_arrays() -> None:
    """The rows above are worth something only if their samples are."""
    shapes: set[tuple[int, ...]] = set()

    @settings(EXAMPLES, max_examples=60, derandomize=True, database=None)
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        shapes.update(x.shape for x in elementwise(lambda z: z)(data.draw)[0])

    run()
    assert () in shapes and any(0 in s for s in shapes) and any(len(s) == 3 for s in shapes)
