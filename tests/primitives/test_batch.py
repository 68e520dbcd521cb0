"""`vmap` of every primitive against a Python loop over the examples, derived from the table of primitives."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.primitives.sampling import SEEDS, Array, Draw, Row, anywhere, axes_of, elementwise, values
from tests.primitives.table import TABLE
from tinyad import kinds, reverse
from tinyad.kinds import NONDIFFERENTIABLE, PRIMITIVES
from tinyad.primitives import indexing, products
from tinyad.tensor import unwrap

EXAMPLES = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
EXACT = 1e-13
Axes = Sequence[int | None]
Function = Callable[..., Any]


# ---- many examples of an operand, and the loop over them


def stacked(x: Array, size: int, axis: int, seed: int) -> Array:
    """Examples like ``x`` along an axis: the elements in other orders and a little larger or smaller, which leaves every domain
    of the table; an order is the same for rows and columns, so that a definite matrix stays one."""
    random = np.random.default_rng(seed)
    examples = []
    for _ in range(size):
        order = {n: random.permutation(n) for n in x.shape}
        shuffled = x[np.ix_(*[order[n] for n in x.shape])] if x.ndim else x
        examples.append(shuffled if x.dtype.kind != "f" else shuffled * random.uniform(0.97, 1.03))
    return np.stack(examples, axis).astype(x.dtype) if size else np.zeros((*x.shape[:axis], 0, *x.shape[axis:]), x.dtype)


def looped(f: Function, axes: Axes, size: int) -> Function:
    """What ``ad.vmap(f, axes)`` must be, with a loop; it can be differentiated."""

    def one(x: Any, axis: int | None, k: int) -> Any:
        return x if axis is None else x[(*[slice(None)] * axis, k)]

    def for_all(*xs: Any) -> Any:
        results = [f(*[one(x, axis, k) for x, axis in zip(xs, axes, strict=True)]) for k in range(size)]
        return ad.tree.map(lambda *ys: unwrap(ad.stack(ys)) if not any(map(on_tape, ys)) else ad.stack(ys), *results)

    return for_all


def on_tape(y: Any) -> bool:
    return isinstance(y, ad.Tensor) and y.node is not None


def same(found: Any, expected: Any, what: str, tolerance: float = EXACT) -> None:
    """Equal structure, shapes and dtypes, and equal numbers up to rounding."""
    pairs = list(zip(ad.tree.leaves(found), ad.tree.leaves(expected), strict=True))
    for a, b in pairs:
        assert a.shape == b.shape, f"{what}: shape {a.shape}, by a loop {b.shape}"
        assert a.dtype == b.dtype, f"{what}: dtype {a.dtype}, by a loop {b.dtype}"
        rounding = tolerance if b.dtype.kind in "fc" else 0.0
        scale = float(np.max(np.abs(b), initial=0.0)) if rounding else 0.0
        np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding * scale, err_msg=what)


# ---- what must hold for a function at a sample


def values_are_the_loops(name: str, f: Function, operands: Sequence[Array], axes: Axes, size: int, seed: int) -> None:
    xs = batch_of(operands, axes, size, seed)
    found = ad.vmap(f, tuple(axes))(*xs)
    if size:
        same(found, looped(f, axes, size)(*xs), f"{name}, axes {axes}, {size} examples")
    else:
        one = np.asarray(unwrap(f(*operands)))
        assert (found.shape, found.dtype) == ((0, *one.shape), one.dtype), f"{name}, axes {axes}, no examples"


def batch_of(operands: Sequence[Array], axes: Axes, size: int, seed: int) -> list[Array]:
    return [
        x if axis is None else stacked(x, size, axis, seed + i) for i, (x, axis) in enumerate(zip(operands, axes, strict=True))
    ]


def derivatives_are_the_loops(name: str, f: Function, operands: Sequence[Array], axes: Axes, size: int, seed: int) -> None:
    """Of the mapped function, and mapped derivatives of the function, in both modes."""
    random = np.random.default_rng(seed)
    xs = batch_of(operands, axes, size, seed)
    mapped, loop = ad.vmap(f, tuple(axes)), looped(f, axes, size)
    directions = [random.normal(size=x.shape) for x in xs]
    y, dy = ad.jvp(mapped, tuple(xs), tuple(directions))
    same((y, dy), ad.jvp(loop, tuple(xs), tuple(directions)), f"{name}, axes {axes}: jvp of vmap")
    g = random.normal(size=y.shape)
    same(ad.vjp(mapped, *xs)[1](g), ad.vjp(loop, *xs)[1](g), f"{name}, axes {axes}: vjp of vmap")

    def pulled(g: Any, *zs: Any) -> Any:
        return ad.vjp(f, *zs)[1](g)

    def pushed(*both: Any) -> Any:
        return ad.jvp(f, both[: len(xs)], both[len(xs) :])

    same(ad.vmap(pulled, (0, *axes))(g, *xs), looped(pulled, (0, *axes), size)(g, *xs), f"{name}, axes {axes}: vmap of vjp")
    twice = [*axes, *axes]
    same(
        ad.vmap(pushed, tuple(twice))(*xs, *directions),
        looped(pushed, twice, size)(*xs, *directions),
        f"{name}, axes {axes}: vmap of jvp",
    )


def everything(row: Row, operands: tuple[Array, ...], params: dict[str, Any], data: Draw, seed: int) -> None:
    f = bound(row, params)
    count = len(operands)
    alone = [[0 if i == k else None for i in range(count)] for k in range(count)]
    anywhere = [data(st.integers(0, x.ndim)) for x in operands]
    for axes in [*alone, [0] * count, anywhere]:
        values_are_the_loops(row.name, f, operands, axes, 3, seed)
    values_are_the_loops(row.name, f, operands, anywhere, 1, seed)
    values_are_the_loops(row.name, f, operands, anywhere, 0, seed)
    derivatives_are_the_loops(row.name, f, operands, data(st.sampled_from([*alone, anywhere])), 3, seed)


def bound(row: Row, params: dict[str, Any]) -> Function:
    return lambda *xs: row.function(*xs, **params)


# ---- every primitive

rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)


@rows
@EXAMPLES
@given(data=st.data())
def test_row(row: Row, data: st.DataObject) -> None:
    operands, params = row.sample(data.draw)
    everything(row, operands, params, data.draw, data.draw(SEEDS))


@rows
@settings(EXAMPLES, max_examples=2)
@given(data=st.data())
def test_dtypes_are_the_loops(row: Row, data: st.DataObject) -> None:
    """float32 stays float32, alone and beside float64, with Python numbers around."""
    operands, params = row.sample(data.draw)
    f = bound(row, params)
    for narrow in (lambda i: True, lambda i: i % 2 == 0):
        xs = [x.astype(np.float32) if narrow(i) else x for i, x in enumerate(operands)]
        axes = [0] * len(xs)
        batch = batch_of(xs, axes, 2, 0)
        found, loop = ad.vmap(lambda *zs: 2.0 * f(*zs))(*batch), looped(lambda *zs: 2.0 * f(*zs), axes, 2)(*batch)
        same(found, loop, row.name, tolerance=1e-5)


# ---- functions without a derivative


@dataclass(frozen=True)
class Constant:
    """A function whose results have no derivative, with a sampler of operands and parameters, like a `Row`."""

    name: str
    function: Function
    sample: Callable[[Draw], tuple[tuple[Array, ...], dict[str, Any]]]


def grid(z: Array) -> Array:
    """Few different values, so that many are equal."""
    return np.round(z)


def bits(count: int) -> Any:
    sample = elementwise(*[grid] * count)

    def of_booleans(draw: Draw) -> Any:
        operands, params = sample(draw)
        return tuple(x > 0 for x in operands), params

    return of_booleans


def searches(axes: bool) -> Any:
    def sample(draw: Draw) -> Any:
        shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
        one = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
        params = {"axis": axes_of(draw, len(shape)) if axes else one, "keepdims": draw(st.booleans())}
        return (values(draw, shape, grid),), params

    return sample


def sorts(draw: Draw) -> Any:
    (x,), params = searches(False)(draw)
    return (x,), {"axis": params["axis"]}


def partitions(draw: Draw) -> Any:
    (x,), params = sorts(draw)
    length = x.size if params["axis"] is None else x.shape[params["axis"]]
    return (x,), {"kth": draw(st.integers(-length, length - 1)), **params}


def places(draw: Draw) -> Any:
    """Lists, some of which have equal elements, and what to look for in them."""
    x, v = values(draw, [draw(st.integers(1, 4))], grid), values(draw, draw(st.lists(st.integers(1, 3), max_size=2)), grid)
    return (x, v), {"side": draw(st.sampled_from(["left", "right"]))}


ONE, TWO = elementwise(grid), elementwise(grid, grid)
CONSTANTS = [
    *[Constant(name, getattr(ad, name), TWO) for name in (
        "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
        "isclose", "nextafter",
    )],
    *[Constant(name, getattr(ad, name), ONE) for name in (
        "logical_not", "isfinite", "isinf", "isposinf", "isneginf", "isnan", "isreal", "iscomplex", "signbit", "sign", "floor",
        "ceil", "trunc", "round",
    )],
    Constant("floor_divide", lambda x, y: ad.floor_divide(x, 3.0 * y + 1.0), TWO),
    Constant("gammasgn", lambda x: ad.special.gammasgn(x + 0.5), ONE),
    Constant("bitwise_left_shift", lambda x, y: ad.astype(x, int) << ad.astype(y * y, int), TWO),
    Constant("bitwise_right_shift", lambda x, y: ad.astype(x, int) >> ad.astype(y * y, int), TWO),
    Constant("bitwise_and", lambda x, y: x & y, bits(2)),
    Constant("bitwise_or", lambda x, y: x | y, bits(2)),
    Constant("bitwise_xor", lambda x, y: x ^ y, bits(2)),
    Constant("bitwise_invert", lambda x: ~x, bits(1)),
    *[Constant(name, getattr(ad, name), searches(False)) for name in ("argmax", "argmin")],
    *[Constant(name, getattr(ad, name), searches(True)) for name in ("any", "all", "count_nonzero")],
    Constant("argsort", ad.argsort, sorts),
    Constant("argpartition", ad.argpartition, partitions),
    Constant("searchsorted", lambda x, v, side: ad.searchsorted(ad.sort(x), v, side), places),
    Constant("as_integers", lambda x: ad.astype(x, int), ONE),
    Constant("stop_gradient", ad.stop_gradient, elementwise(anywhere)),
]  # fmt: skip


@pytest.mark.parametrize("row", CONSTANTS, ids=lambda row: row.name)
@EXAMPLES
@given(data=st.data())
def test_function_without_derivative(row: Constant, data: st.DataObject) -> None:
    operands, params = row.sample(data.draw)
    count, seed = len(operands), data.draw(SEEDS)
    f = lambda *xs: row.function(*xs, **params)
    places = [data.draw(st.integers(0, x.ndim)) for x in operands]
    for axes in [*[[0 if i == k else None for i in range(count)] for k in range(count)], places]:
        for size in (3, 0):
            values_are_the_loops(row.name, f, operands, axes, size, seed)


def test_every_function_without_derivative_is_tested() -> None:
    assert {row.name for row in CONSTANTS} | {"asarray", "item"} == set(NONDIFFERENTIABLE)


@EXAMPLES
@given(data=st.data())
def test_where_with_conditions_of_each_example(data: st.DataObject) -> None:
    (condition,), _ = bits(1)(data.draw)
    seed, shared = data.draw(SEEDS), data.draw(st.integers(0, 2))
    xs = [values(data.draw, condition.shape) for _ in range(2)]
    axes: Axes = [None] * shared + [0] * (2 - shared)
    values_are_the_loops("where", ad.where, [condition, *xs], [0, *axes], 3, seed)
    conditions, batch = stacked(condition, 3, 0, seed), batch_of(xs, axes, 3, seed)
    mapped, loop = ad.vmap(ad.where, (0, *axes)), looped(ad.where, [0, *axes], 3)
    found, expected = (
        ad.grad(lambda *zs, f=f: ad.sum(f(conditions, *zs) ** 2), argnums=(0, 1))(*batch) for f in (mapped, loop)
    )
    same(found, expected, f"where, axes {axes}: grad of vmap")


# ---- no loop over the examples


def instructions(f: Function, *args: Any) -> int:
    """How many instructions of Python's interpreter a call executes."""
    count = 0

    def count_instructions(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return count_instructions

    before = sys.gettrace()
    gc.disable()  # it runs when it likes
    sys.settrace(count_instructions)
    try:
        f(*args)
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def ways(f: Function, axes: Axes) -> dict[str, Function]:
    """To use ``f`` on many examples: all walks, mapped and of the mapped function."""
    mapped = ad.vmap(f, tuple(axes))
    return {
        "vmap": mapped,
        "vjp of vmap": lambda *xs: ad.vjp(mapped, *xs)[1](mapped(*xs)),
        "jvp of vmap": lambda *xs: ad.jvp(mapped, xs, xs),
        "vmap of vjp": ad.vmap(lambda *xs: ad.vjp(f, *xs)[1](f(*xs)), tuple(axes)),
        "vmap of jvp": ad.vmap(lambda *xs: ad.jvp(f, xs, xs), tuple(axes)),
    }


def loops(row: Row, operands: tuple[Array, ...], params: dict[str, Any]) -> list[str]:
    """The ways in which the number of instructions depends on the number of examples."""
    count = len(operands)
    found = []
    for axes in [[0] * count, [None] * (count - 1) + [0]]:
        few, many = (batch_of(operands, axes, size, 0) for size in (3, 5))
        for way, f in ways(bound(row, params), axes).items():
            f(*few), f(*many)  # what is looked up once is not counted
            if instructions(f, *few) != instructions(f, *many):
                found.append(f"{way}, axes {axes}")
    return found


def first_sample(row: Row | Constant) -> tuple[tuple[Array, ...], dict[str, Any]]:
    """A sample of the row, always the same, with more than one element where there is such."""
    samples: list[Any] = []

    @settings(EXAMPLES, max_examples=10, derandomize=True, database=None, phases=[Phase.generate])
    @given(data=st.data())
    def collect(data: st.DataObject) -> None:
        samples.append(row.sample(data.draw))

    collect()
    return max(samples, key=lambda sample: min(x.size for x in sample[0]))  # type: ignore[no-any-return]


@rows
def test_no_loop_over_the_examples(row: Row) -> None:
    found = loops(row, *first_sample(row))
    assert not found, f"{row.name}: more instructions for more examples, in {found}"


def test_a_loop_is_noticed() -> None:
    """The right values, computed one by one."""
    row = next(row for row in TABLE if row.name == "matmul")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PRIMITIVES["matmul"], "batch", one_by_one, raising=False)
        assert len(loops(row, *first_sample(row))) == 10


def one_by_one(operands: Any, ranks: Any, mapped: Any, params: Any) -> Any:
    size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
    return ad.stack([ad.matmul(*[x[k] if m else x for x, m in zip(operands, mapped, strict=True)]) for k in range(size)])


# ---- a new primitive needs no rule for batches


@pytest.fixture
def fresh() -> Iterator[None]:
    """Takes primitives that a test declares out of the table again."""
    known = dict(PRIMITIVES)
    yield
    for name in set(PRIMITIVES) - set(known):
        del PRIMITIVES[name]


def new_elementwise() -> tuple[Function, list[Array]]:
    f = kinds.elementwise(
        "new", lambda x, y: y * ad.cos(x * y), lambda x, y: x * ad.cos(x * y), forward=lambda xp, x, y: xp.sin(x * y)
    )
    return f, [np.linspace(-1.0, 1.0, 6).reshape(2, 3), np.array([0.5, 1.0, 2.0])]


def new_linear() -> tuple[Function, list[Array]]:
    f: Function = kinds.linear("new", lambda xp, x: x - xp.mean(x, axis=-1, keepdims=True), lambda g, like: f(g))
    return f, [np.arange(6.0).reshape(2, 3)]


def new_multilinear() -> tuple[Function, list[Array]]:
    transpose = lambda i, g, operands, node: 3.0 * g * operands[1 - i]
    f = kinds.multilinear("new", lambda xp, x, y: 3.0 * x * y, transpose, operands=2)
    return f, [np.arange(6.0).reshape(2, 3), np.array([0.5, 1.0, 2.0])]


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "declare", [new_elementwise, new_linear, new_multilinear], ids=["elementwise", "linear", "multilinear"]
)
def test_a_new_primitive_is_mapped_by_its_kind(declare: Callable[[], tuple[Function, list[Array]]]) -> None:
    f, operands = declare()
    count = len(operands)
    for axes in [*[[0 if i == k else None for i in range(count)] for k in range(count)], [0] * count]:
        values_are_the_loops("new", f, operands, axes, 3, 0)
        derivatives_are_the_loops("new", f, operands, axes, 3, 0)
        curved = lambda *xs, axes=axes: ad.sum(ad.vmap(f, tuple(axes))(*xs) ** 3)
        by_loop = lambda *xs, axes=axes: ad.sum(looped(f, axes, 3)(*xs) ** 3)
        xs = batch_of(operands, axes, 3, 0)
        same(ad.hessian(curved)(*xs), ad.hessian(by_loop)(*xs), "new: hessian of vmap")
        same(
            ad.vmap(ad.hessian(lambda *xs: ad.sum(f(*xs) ** 3)), tuple(axes))(*xs),
            looped(ad.hessian(lambda *xs: ad.sum(f(*xs) ** 3)), axes, 3)(*xs),
            "new: vmap of hessian",
        )


@pytest.mark.usefixtures("fresh")
def test_constant_operands_that_differ_from_example_to_example_need_a_rule() -> None:
    f: Function = kinds.linear("new", lambda xp, x, c: x * c, lambda g, like, c: f(g, c))
    x = np.arange(6.0).reshape(2, 3)
    same(ad.vmap(f, (0, None))(x, x[0]), x * x[0], "a constant that all examples share")
    with pytest.raises(
        TypeError, match=r"^new: operand 1 differs from example to example.*linear\(\.\.\.\) the argument batch"
    ):
        ad.vmap(f)(x, x)


# ---- wrong rules are noticed


@dataclass(frozen=True)
class Mutant:
    """A mistake in a rule for batches, and the row whose tests must fail because of it."""

    name: str
    row: str
    replace: Callable[[pytest.MonkeyPatch], None]


def wrong(target: Any, attribute: str, instead: Function) -> Callable[[pytest.MonkeyPatch], None]:
    """Replace a function; ``instead`` gets the right one first."""

    def replace(patch: pytest.MonkeyPatch) -> None:
        right = getattr(target, attribute)
        patch.setattr(target, attribute, lambda *args, **kwargs: instead(right, *args, **kwargs), raising=False)

    return replace


def for_the_first(right: Function, operands: Any, ranks: Any, mapped: Any, params: Any) -> Any:
    """All examples get the result of the first."""
    out = right(operands, ranks, mapped, params)
    return ad.broadcast_to(out[:1], out.shape)


def unaligned(right: Function, operands: Any, ranks: Any, mapped: Any) -> Any:
    return list(operands)


def by_rank(right: Function, operands: Any, ranks: Any, mapped: Any, *, subscripts: Any) -> Any:
    """Einstein's letters taken for axes that broadcast."""
    aligned = kinds.behind_the_examples(operands, ranks, mapped)
    return PRIMITIVES["einsum"].apply(*aligned, subscripts=subscripts)


INDEX_ROW = Row(
    "index of each example",
    lambda x, index: ad.asarray(x)[:, index.astype(int), :],
    np.take,
    lambda draw: ((values(draw, (2, 3, 2)), np.array([[0.0, 2.0], [1.0, 1.0]])), {}),
    ("getitem", "scatter"),
)
ROWS = {row.name: row for row in [*TABLE, INDEX_ROW]}
MUTANTS = [
    Mutant("no alignment", "multiply", wrong(kinds, "behind_the_examples", unaligned)),
    Mutant("no alignment of matrices", "matmul", wrong(products, "behind_the_examples", unaligned)),
    Mutant("the first for all", "exp", wrong(PRIMITIVES["exp"], "batch", for_the_first)),
    Mutant("the first for all", "solve", wrong(PRIMITIVES["solve"], "batch", for_the_first)),
    Mutant("letters are axes", "einsum", wrong(PRIMITIVES["einsum"], "batch_rule", by_rank)),
    Mutant("axes of the index in front", "index of each example", wrong(indexing, "_axes_before", lambda right, *args: 0)),
    Mutant("cotangents of what is shared", "add", wrong(reverse, "unbroadcast", lambda right, *args: 0.5 * right(*args))),
]  # fmt: skip


def notices(row: Row) -> bool:
    """Whether the row's tests fail on some of 20 samples, always the same."""

    @settings(EXAMPLES, max_examples=20, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        operands, params = row.sample(data.draw)
        everything(row, operands, params, data.draw, seed=0)

    try:
        run()
    except (AssertionError, ValueError):  # wrong shapes raise ValueError; any other error is a mistake in the mutant
        return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.row}: {m.name}")
def test_a_wrong_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.replace(monkeypatch)
    assert notices(ROWS[mutant.row]), f"{mutant.name}: the tests of {mutant.row} pass with a wrong rule"


def test_the_right_rules_are_not_noticed() -> None:
    for name in {mutant.row for mutant in MUTANTS}:
        assert not notices(ROWS[name]), f"{name} fails without a mutation"
