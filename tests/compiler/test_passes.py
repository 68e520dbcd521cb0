"""Each pass does its work on a program made for it, and changes nothing that it says it does not."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import tinyad as ad
from tests.compiler.comparing import same
from tests.compiler.programs import Recipe, passes_at_work, recipes
from tests.compiler.test_random_programs import derivatives, traced
from tinyad.compiler import blocks, layout, passes, products, rewriting
from tinyad.compiler.expand import EXPANSIONS, expand
from tinyad.compiler.passes import PASSES, optimise
from tinyad.program import Constant, Instruction, Program, Value, evaluate


def names(program: Program) -> Counter[str]:
    """How often each operation occurs."""
    return Counter(instruction.name for instruction in program.instructions)


def after(each: Callable[[Program], Program], f: Callable[..., Any], *args: Any) -> Program:
    """The program of a function after one pass, which must keep its meaning."""
    program = traced(f, *args)
    done = each(program)
    same(evaluate(done, args), evaluate(program, args), each.__name__)
    return done


x3 = np.array([0.3, -1.2, 2.0])
X = np.random.default_rng(0).normal(size=(3, 4))


def test_every_pass_is_run() -> None:
    run = {each.__name__ for each in PASSES}
    described = [line.split("`")[1] for line in (passes.__doc__ or "").splitlines() if line.startswith("`")]
    assert set(described) <= run, "a pass of the table at the top of passes.py is not run"
    assert {"remove_dead_code", "expand", "fold_constants", "resolve_numbers", "simplify", "share_subexpressions"} <= run
    assert {"fold_transposes", "move_scalars", "hoist_invariants", "sums_as_products", "examples_last"} <= run
    assert {"split_among_threads", "join_alike", "optimise_bodies"} <= run
    assert PASSES[-1] is blocks.group_in_blocks, "what comes after does not see into blocks"


# ---- dead code, constants, numbers


def test_dead_code_goes() -> None:
    program = traced(lambda x: (ad.sin(x), ad.exp(x) * 2.0), x3)
    half = Program(program.inputs, program.instructions, program.outputs[:1])
    assert names(passes.remove_dead_code(half)) == {"sin": 1}


def test_draws_stay_because_the_next_ones_depend_on_them() -> None:
    def f(rng: np.random.Generator, x: Any) -> Any:
        rng.normal(size=3)
        return x * rng.normal(size=3)

    program = ad.compile(f).program(np.random.default_rng(0), x3)
    assert names(program)["normal"] == 2


def test_expansions_leave_none_of_their_names() -> None:
    functions = [
        ad.logsumexp,
        ad.mean,
        ad.sigmoid,
        ad.softplus,
        ad.relu,
        ad.reciprocal,
        lambda x: +x,
        ad.grad(lambda x: ad.sum(ad.tanh(x))),
    ]
    for f in functions:
        program = traced(f, x3)
        assert names(program).keys() & EXPANSIONS.keys(), "not a program made for this"
        assert not names(after(expand, f, x3)).keys() & EXPANSIONS.keys()


def test_constants_are_computed_once() -> None:
    known = np.linspace(0, 1, 3)
    done = after(passes.fold_constants, lambda x: x * ad.sin(ad.asarray(known).array + ad.zeros(3).array), x3)
    assert names(done) == {"multiply": 1}
    done = after(passes.fold_constants, ad.grad(lambda x: ad.sum(2.0 * x)), x3)
    assert names(done) == {}, "the gradient of a linear function is known"


def test_numbers_take_the_dtype_of_their_neighbours() -> None:
    for dtype in (np.float32, np.float64):
        done = after(passes.resolve_numbers, lambda x: 0.1 * x + 2, x3.astype(dtype))
        constants = done.constants()
        assert [c.dtype for c in constants] == [dtype, dtype] and all(c.ndim == 0 and not c.weak for c in constants)
        assert done.outputs[0].dtype == dtype
    done = after(passes.resolve_numbers, lambda n: n * 2, np.arange(3))
    assert not done.constants() and done.outputs[0].dtype == np.arange(3).dtype, "integers keep Python's numbers"
    done = after(passes.resolve_numbers, lambda n: n * 0.5, np.arange(3))
    assert done.outputs[0].dtype == np.float64


def test_a_number_repeated_becomes_one_number() -> None:
    done = after(passes.resolve_numbers, lambda x: x * np.full(3, 0.1), x3)
    assert [c.shape for c in done.constants()] == [()]
    done = after(passes.resolve_numbers, lambda x: x + np.ones((2, 3)), x3)
    assert [c.shape for c in done.constants()] == [(2, 3)], "the result would have another shape"
    signs = np.array([0.0, -0.0, 0.0])
    for f in (lambda x: ad.atan2(signs, x), lambda x: x * signs):
        done = after(passes.resolve_numbers, f, x3)
        assert [c.shape for c in done.constants()] == [(3,)], "zeros of both signs are not one number"


# ---- identities

IDENTITY_TABLE = passes._IDENTITIES

SPECIAL = [-0.0, 0.0, 1.0, -1.0, 0.1, 5e-324, 1e308, np.inf, -np.inf, np.nan]


@dataclass(frozen=True)
class Identity:
    """A function, what it does before, and what remains."""

    f: Callable[..., Any]
    before: dict[str, int]
    remaining: dict[str, int]


IDENTITIES = {
    "x * 1": Identity(lambda x, y: x * 1.0, {"multiply": 1}, {}),
    "1 * x": Identity(lambda x, y: 1 * x, {"multiply": 1}, {}),
    "x * -1": Identity(lambda x, y: -1.0 * x, {"multiply": 1}, {"negative": 1}),
    "x / 1": Identity(lambda x, y: x / 1.0, {"divide": 1}, {}),
    "x + -y": Identity(lambda x, y: x + (-y), {"negative": 1, "add": 1}, {"negative": 1, "subtract": 1}),
    "-y + x": Identity(lambda x, y: -y + x, {"negative": 1, "add": 1}, {"negative": 1, "subtract": 1}),
    "x - -y": Identity(lambda x, y: x - (-y), {"negative": 1, "subtract": 1}, {"negative": 1, "add": 1}),
    "x - 0": Identity(lambda x, y: x - 0.0, {"subtract": 1}, {}),
    "x - -0": Identity(lambda x, y: x - (-0.0), {"subtract": 1}, {"subtract": 1}),
    "x + 0": Identity(lambda x, y: x + 0.0, {"add": 1}, {"add": 1}),
    "x * 0": Identity(lambda x, y: x * 0.0, {"multiply": 1}, {"multiply": 1}),
    "- - x": Identity(lambda x, y: ad.negative(-x), {"negative": 2}, {"negative": 1}),
    "x ** 1": Identity(lambda x, y: ad.power(x, 1.0), {"power": 1}, {}),
    "x ** 2": Identity(lambda x, y: ad.power(x, 2.0), {"power": 1}, {"square": 1}),
    "x ** 0.5": Identity(lambda x, y: ad.power(x, 0.5), {"power": 1}, {"sqrt": 1}),
    "x ** 3": Identity(lambda x, y: ad.power(x, 3.0), {"power": 1}, {"power": 1}),
    "reshape twice": Identity(lambda x, y: ad.reshape(ad.reshape(x, (2, 5)), (5, 2)), {"reshape": 2}, {"reshape": 2}),
    "reshape back": Identity(lambda x, y: ad.reshape(ad.reshape(x, (2, 5)), (10,)), {"reshape": 2}, {"reshape": 1}),
    "as it is": Identity(lambda x, y: ad.astype(ad.broadcast_to(x, (10,)), x.dtype), {"broadcast_to": 1, "astype": 1}, {}),
    "T twice": Identity(
        lambda x, y: ad.reshape(x, (2, 5)).T.T,
        {"reshape": 1, "matrix_transpose": 2},
        {"reshape": 1, "matrix_transpose": 1},
    ),
    "same order": Identity(lambda x, y: ad.permute_dims(x, (0,)), {"permute_dims": 1}, {}),
    "broadcast first": Identity(
        lambda x, y: ad.broadcast_to(x, (3, 10)) * ad.reshape(ad.concat([y, y, y]), (3, 10)),
        {"broadcast_to": 1, "concat": 1, "reshape": 1, "multiply": 1},
        {"broadcast_to": 1, "concat": 1, "reshape": 1, "multiply": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_identities_are_exact(name: str, dtype: Any) -> None:
    """To the last bit, signs of zeros, infinities and NaN included; without a change of dtype."""
    case = IDENTITIES[name]
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL if dtype is not np.int64 else range(1, 11)).astype(dtype)
        for y in (x, x[::-1].copy()):
            program = traced(case.f, x, y)
            simple = passes.simplify(program)
            for a, b in zip(evaluate(simple, [x, y]), evaluate(program, [x, y]), strict=True):
                assert a.dtype == b.dtype and a.shape == b.shape
                np.testing.assert_array_equal(a, b)
                np.testing.assert_array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))
        if dtype is not np.int64:
            assert names(program) == case.before
            assert names(simple) == case.remaining


def test_squares_and_roots_to_the_last_bit() -> None:
    random = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        x = np.exp(5.0 * random.normal(size=10**5)).astype(dtype)
        for exponent in (2.0, 0.5):
            (result,) = evaluate(passes.simplify(traced(lambda x, p=exponent: ad.power(x, p), x)), [x])
            np.testing.assert_array_equal(result, np.power(x, exponent))


def test_what_broadcasts_by_itself_is_not_broadcast() -> None:
    done = passes.remove_dead_code(after(passes.simplify, lambda x, y: ad.broadcast_to(x, (3, 4)) * y, X[0], X))
    assert names(done) == {"multiply": 1}


def test_nothing_is_dropped_where_the_dtype_changes() -> None:
    for f in (lambda n: n * 1.0, lambda n: n / 1, lambda n: n - 0.0, lambda n: ad.power(n, 1.0)):
        done = after(passes.simplify, f, np.arange(3))
        assert len(done.instructions) == 1 and done.outputs[0].dtype == np.float64
    for f in (lambda x: x * np.float64(1.0), lambda x: x - np.zeros(()), lambda x: x / np.array(1.0)):
        done = after(passes.simplify, f, x3.astype(np.float32))
        assert len(done.instructions) == 1 and done.outputs[0].dtype == np.float64


def test_numbers_stay_numbers() -> None:
    program = optimise(traced(lambda x, n: (x * (n * 1.0), n * 1, (n + 1) - 0.0), x3.astype(np.float32), 2.0))
    assert program.outputs[0].dtype == np.float32
    assert program.outputs[1].weak and program.outputs[2].weak


# ---- equal expressions


def test_equal_expressions_are_shared() -> None:
    done = after(passes.share_subexpressions, lambda x: ad.sin(x) * ad.sin(x) + ad.cos(ad.sin(x)), x3)
    assert names(done) == {"sin": 1, "multiply": 1, "cos": 1, "add": 1}
    big = np.arange(9.0)
    done = after(passes.share_subexpressions, lambda x: (x * big, x * big.copy()), np.ones(9))
    assert names(done) == {"multiply": 1}, "constants are compared by their elements"


def test_what_only_looks_equal_is_not_shared() -> None:
    done = after(passes.share_subexpressions, lambda x: (ad.sum(x, axis=0), ad.sum(x, axis=1)), X)
    assert names(done) == {"sum": 2}
    done = after(passes.share_subexpressions, lambda x: (x[0], x[1], x[0:1], x[0:1:1], x[None]), X)
    assert names(done)["getitem"] == 5
    done = after(passes.share_subexpressions, lambda n: (n * 2, n * 2.0), np.arange(3))
    assert names(done) == {"multiply": 2}
    done = after(passes.share_subexpressions, lambda x: (ad.atan2(0.0, x), ad.atan2(-0.0, x)), x3)
    assert names(done) == {"atan2": 2}
    done = after(passes.share_subexpressions, lambda x: (x * np.zeros(3), x * -np.zeros(3)), x3)
    assert names(done) == {"multiply": 2}


def test_draws_are_not_shared() -> None:
    program = ad.compile(lambda rng, x: x + rng.normal(size=3) * rng.normal(size=3)).program(np.random.default_rng(0), x3)
    assert names(program)["normal"] == 2


# ---- products


def test_transposed_products_are_products_of_transposes() -> None:
    done = after(passes.fold_transposes, lambda a, b: (a @ b.T).T, X, X)
    assert names(done) == {"matrix_transpose": 1, "matmul": 1}, "of a alone; b was transposed already"
    assert [i.name for i in done.instructions][-1] == "matmul"
    done = after(passes.fold_transposes, lambda a, b: (a @ b).swapaxes(-1, -2), np.ones((5, 2, 3)), np.ones((3, 4)))
    assert done.outputs[0].shape == (5, 4, 2)


def test_products_used_otherwise_are_left_alone() -> None:
    both = after(passes.fold_transposes, lambda a: (lambda p: (p.T, p))(a @ a.T), X)
    assert [i.name for i in both.instructions][-1] == "matrix_transpose"


LARGE = np.random.default_rng(1).normal(size=(300, 40))
SMALL = LARGE[:200]  # 8000 elements
W = np.random.default_rng(2).normal(size=(40, 5))


def largest_multiplied(program: Program) -> int:
    return max([i.out.size for i in program.instructions if i.name == "multiply"], default=0)


MOVED = {
    "to the other operand": (lambda x, w: (0.3 * x) @ w, 200),
    "to a result": (lambda x, w: (0.3 * x).T @ (x @ np.ones((40, 2))), 80),
    "on both sides": (lambda x, w: (0.3 * x).T @ (0.7 * x), 1600),
    "the same twice": (lambda x, w: (lambda y: y.T @ y)(0.5 * x), 1600),
    "behind a product": (lambda x, w: ((0.3 * x) * ad.tanh(x)) @ w, 300 * 40),
    "a traced number": (lambda x, w: (ad.sum(w) * x) @ w, 200),
    "twice": (lambda x, w: (0.1 * (0.3 * x)) @ w, 300 * 40),
}


@pytest.mark.parametrize("name", MOVED)
def test_scalars_move_to_what_is_small(name: str) -> None:
    f, largest = MOVED[name]
    program = traced(f, LARGE, W)
    moved = after(passes.move_scalars, f, LARGE, W)
    assert largest_multiplied(program) == LARGE.size
    assert largest_multiplied(moved) <= largest
    assert (
        sum(i.out.size for i in moved.instructions if i.name == "multiply")
        < sum(i.out.size for i in program.instructions if i.name == "multiply")
        or largest == LARGE.size
    )


def test_scalars_stay_with_small_arrays_and_other_uses() -> None:
    assert SMALL.size <= products.SMALL < LARGE.size
    assert largest_multiplied(after(passes.move_scalars, lambda x, w: (0.3 * x) @ w, SMALL, W)) == SMALL.size
    for f in (
        lambda x, w: ((0.3 * x) @ w, 0.3 * x),
        lambda x, w: (lambda y: (y @ w, ad.sum(y)))(0.3 * x),
        lambda x, w: ad.sin(0.3 * x) @ w,
        lambda x, w: (0.3 * x) @ w.astype(np.float32),
        lambda x, w: (0.3 * x) @ (w > 0).astype(int),
    ):
        assert largest_multiplied(after(passes.move_scalars, f, LARGE, W)) == LARGE.size


def test_sums_of_short_rows_and_columns_are_products() -> None:
    f = lambda x: (ad.sum(x, axis=0), ad.sum(x, axis=1, keepdims=True), ad.sum(x, axis=-1))
    done = after(layout.sums_as_products, f, LARGE)
    assert names(done)["sum"] == 0 and names(done)["matmul"] == 3
    assert names(after(layout.sums_as_products, lambda x: (ad.sum(x), ad.sum(x, axis=1)), np.ones((2, 500)))) == {"sum": 2}
    assert names(after(layout.sums_as_products, lambda n: ad.sum(n, axis=0), np.ones((3, 4), int))) == {"sum": 1}


def test_many_examples_are_stored_by_columns() -> None:
    layer = lambda x, w, b: ad.tanh(ad.tanh(x @ w + b) @ w.T + ad.sum(b)) @ w + b
    args = (np.ones((512, 16)), np.ones((16, 8)), np.arange(8.0))
    done = after(layout.examples_last, layer, *args)
    assert any(i.name == "tanh" and i.out.shape == (8, 512) for i in done.instructions)
    assert done.outputs[0].shape == (512, 8)
    same(ad.compile(layer)(*args), layer(*args))
    assert ad.compile(layer)(*args).flags.c_contiguous, "results keep the order that they had"


# ---- loops and blocks


def test_what_is_the_same_in_all_steps_goes_before_the_loop() -> None:
    def f(w: Any, xs: Any) -> Any:
        return ad.scan(lambda carry, x: (ad.tanh(ad.sin(w) @ (w @ carry) + x), carry), np.zeros(3), xs)

    done = after(passes.hoist_invariants, f, X[:, :3], X.T)
    loops = [i for i in done.instructions if i.name == "scan"]
    assert names(done)["sin"] == 1 and names(loops[0].operation.body)["sin"] == 0


def test_bodies_of_loops_are_optimised() -> None:
    f = lambda xs: ad.scan(lambda carry, x: (carry + ad.sin(x) * ad.sin(x) * 1.0, None), np.zeros(3), xs)[0]
    done = after(passes.optimise_bodies, f, X.T)
    (loop,) = [i for i in done.instructions if i.name == "scan"]
    assert names(loop.operation.body) == {"sin": 1, "multiply": 1, "add": 1}


def test_chains_on_large_arrays_run_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    f = lambda x, b: (lambda y: (y * b + x, ad.sum(y)))(ad.sin(x))
    assert names(after(blocks.group_in_blocks, f, LARGE, np.arange(40.0)))["blocks"] == 0, "too small to be worth it"
    monkeypatch.setattr(blocks, "LARGE", 1 << 14)
    monkeypatch.setattr(blocks, "BLOCK", 1 << 11)
    done = after(blocks.group_in_blocks, f, LARGE, np.arange(40.0))
    (loop,) = [i for i in done.instructions if i.name == "blocks"]
    assert loop.operation.length > 1 and names(loop.operation.body) == {"sin": 1, "multiply": 1, "add": 1}
    compiled = ad.compile(f)
    for args in ((LARGE, np.arange(40.0)), (-LARGE, np.ones(40))):
        same(compiled(*args), f(*args))
    assert "for k in range(" in compiled.source(LARGE, np.ones(40))


# ---- wrong passes are noticed


@dataclass(frozen=True)
class Mutant:
    """A mistake in a pass: ``wrong`` gets what is right, an attribute or entry of ``of``, and takes its place."""

    name: str
    of: Any
    attribute: str
    wrong: Callable[[Any], Any]


def in_identity(mistake: Callable[[Instruction, Any], Any]) -> Callable[[Any], Any]:
    """An identity that makes a mistake where it finds something to do; ``mistake`` gets what it found."""

    def wrong(right: Any) -> Any:
        def identity(i: Instruction, made: Any) -> Any:
            found = right(i, made)
            return found if found is None else mistake(i, found)

        return identity

    return wrong


def in_sums(right: Any) -> Any:
    def made(old: Instruction, name: str, inputs: Any, out: Value, **params: Any) -> Instruction:
        inputs = [2.0 * x.array if isinstance(x, Constant) else x for x in inputs] if name == "matmul" else inputs
        return right(old, name, [Constant("c", x) if isinstance(x, np.ndarray) else x for x in inputs], out, **params)

    return made


def as_rows(right: Any) -> Any:
    return lambda self, x, contiguous: x if isinstance(x, Value) and x.ndim == 1 else right(self, x, contiguous)


def with_carries(right: Any) -> Any:
    def hoisted(i: Instruction, loop: Any, before: Any) -> Any:
        return right(i, dataclasses.replace(loop, constants=loop.constants + loop.carries, carries=0), before)

    return hoisted


def without_first(right: Any) -> Any:
    return lambda program: Program(program.inputs, right(program).instructions[1:], program.outputs)


MUTANTS = [
    Mutant(
        "x - 0 is -x", IDENTITY_TABLE, "subtract", in_identity(lambda i, found: rewriting.renewed(i, "negative", [i.inputs[0]]))
    ),
    Mutant(
        "x * -1 is x * x",
        IDENTITY_TABLE,
        "multiply",
        in_identity(lambda i, found: rewriting.renewed(i, "square", [i.inputs[1]])),
    ),
    Mutant("x + -y is x + y", IDENTITY_TABLE, "add", in_identity(lambda i, found: rewriting.renewed(i, "add", found.inputs))),
    Mutant(
        "x ** 2 is 2 x", IDENTITY_TABLE, "power", in_identity(lambda i, found: rewriting.renewed(i, "add", [i.inputs[0]] * 2))
    ),
    Mutant("parameters do not matter", passes, "_frozen", lambda right: lambda params: ()),
    Mutant("numbers do not matter", passes, "repr", lambda right: lambda x: "number"),
    Mutant("all constants repeat a number", passes, "is_repeated", lambda right: lambda array: array.size > 0),
    Mutant("transposed products in the wrong order", products, "reversed", lambda right: lambda inputs: inputs),
    Mutant("scalars lost on the way", products, "_scale_product", lambda right: lambda *args: None),
    Mutant("what is used is dead", passes, "without_unused", without_first),
    Mutant("sums twice as large", layout, "renewed", in_sums),
    Mutant("columns taken for rows", layout._Turned, "_turned", as_rows),
    Mutant("a block too few", blocks.Blocks, "steps", lambda right: lambda self: range(self.length - 1)),
    Mutant("moved before the loop although it changes", passes, "_hoisted", with_carries),
    Mutant("an expansion off by a factor", EXPANSIONS, "mean", lambda right: lambda x, **p: 2.0 * right(x, **p)),
    Mutant("the logarithm forgotten", EXPANSIONS, "logsumexp", lambda right: lambda x, **p: ad.max(x, **p)),
]


MADE_FOR_THEM: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    *[(case.f, (np.linspace(0.1, 1.0, 10), np.linspace(2.0, 3.0, 10))) for case in IDENTITIES.values()],
    (lambda x, w: (0.3 * x) @ w, (np.tile(X, (3, 1)), W[:4, :1])),
    (lambda n: (n * 2, n * 3, ad.logsumexp(n / 3.0), ad.mean(n)), (np.arange(5),)),
    (lambda a, b: (a @ b.T).T + 1.0, (X, ad.sin(X))),
    (lambda x: (ad.sum(x, axis=0), ad.sum(x, axis=1), ad.sum(x, axis=1, keepdims=True)), (X,)),
    (lambda x, b: ad.tanh(x + b) @ np.ones((4, 1)) + ad.max(x, axis=1, keepdims=True), (X, X[0])),
    (lambda x, y: ad.concat([x, 2.0 * x]) * ad.sin(ad.concat([y, y])) + ad.sum(y, axis=0), (X, -X)),
    (lambda x: ad.scan(lambda c, row: (ad.sin(c) + row, c * 2.0), np.ones(4), x)[1], (X,)),
]  # fmt: skip


ALWAYS_THE_SAME = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@functools.cache
def _programs() -> list[tuple[Program, Any, Any]]:
    """Programs as they are written down, their arguments and results: some made for passes, and some at random."""
    found = [(f, args) for f, args in MADE_FOR_THEM]

    @ALWAYS_THE_SAME
    @given(recipe=recipes())
    def collect(recipe: Recipe) -> None:
        found.extend((derivatives(recipe)[name], recipe.inputs) for name in ("value", "gradient"))

    collect()
    programs = [(traced(f, *args), args) for f, args in found]
    return [(program, args, evaluate(program, args)) for program, args in programs]


def _notices() -> bool:
    """Whether a program changes its meaning on the way."""
    try:
        with passes_at_work():
            for program, args, expected in _programs():
                same(evaluate(optimise(program), args), expected)
    except (AssertionError, ValueError, KeyError):  # wrong numbers, wrong shapes, values that are not there
        return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_wrong_pass_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    _programs()  # made by the right ones
    if isinstance(mutant.of, dict):
        monkeypatch.setitem(mutant.of, mutant.attribute, mutant.wrong(mutant.of[mutant.attribute]))
    else:
        monkeypatch.setattr(
            mutant.of, mutant.attribute, mutant.wrong(getattr(mutant.of, mutant.attribute, None)), raising=False
        )
    assert _notices(), f"{mutant.name}: random programs do not notice"


def test_the_right_passes_are_not_noticed() -> None:
    assert not _notices()


def test_values_of_programs_are_not_constants() -> None:
    """`Constant` is a `Value`; what is known must not be taken for an input."""
    program = optimise(traced(lambda x: (x, np.ones(3) * 2.0), x3))
    assert type(program.outputs[0]) is Value and isinstance(program.outputs[1], Constant)
