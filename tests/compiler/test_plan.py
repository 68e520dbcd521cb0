"""The memory plan: never two values in one place that are needed at the same time. And wrong plans are noticed.

The checker here knows nothing of the planner's liveness. It walks through the program and keeps book of what each piece of memory
holds; reading a value whose memory holds something else is the mistake.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.compiler.comparing import copied, replays, same, unchanged
from tests.compiler.programs import Recipe, recipes
from tests.compiler.test_random_programs import derivatives
from tinyad.compiler import plan as planning
from tinyad.compiler.plan import Plan, plan
from tinyad.kinds import Elementwise
from tinyad.loops import Loop
from tinyad.program import Constant, Instruction, Program, Value

EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
VIEWS = {"broadcast_to", "flip", "matrix_transpose", "permute_dims", "reshape"}


# ---- a checker written from scratch


class Memory:
    """What each piece of memory holds, while a program is walked through."""

    def __init__(self, program: Program, made: Plan, donated: list[Value]) -> None:
        self.made, self.donated = made, donated
        self.shows: dict[Value, Value] = {}  # of a view, the value that it is made of
        self.holds: dict[Any, Value] = {x: x for x in program.inputs}

    def owner(self, x: Value) -> Value:
        """The value in whose memory a value lies."""
        while x in self.shows:
            x = self.shows[x]
        return x

    def place(self, x: Value) -> Any:
        """The memory of a value that owns some: a block, an input, or its own."""
        over = self.made.over.get(x)
        return self.made.home.get(x) or (x if over is None else self.owner(over))

    def read(self, x: Value) -> None:
        owner = self.owner(x)
        if isinstance(owner, Constant) or owner.ndim == 0:
            return
        assert self.holds[self.place(owner)] is owner, (
            f"{x} is read after its memory was given to {self.holds[self.place(owner)]}"
        )

    def write(self, instruction: Instruction, out: Value) -> None:
        place = self.place(out)
        if place in self.made.home.values():
            assert place.dtype == out.dtype and place.size >= out.size, f"{out} does not fit into its block"
        if place in self.holds and place is not out:
            operands = [x for x in instruction.values() if not isinstance(x, Constant)]
            for x in operands:
                if self.place(self.owner(x)) is place and self.holds[place] is self.owner(x):
                    self.written_over(instruction, x, out)
        self.holds[place] = out

    def written_over(self, instruction: Instruction, x: Value, out: Value) -> None:
        """A result in the place of an operand."""
        if isinstance(instruction.operation, Loop):  # what a carry starts from may hold the carry
            _, carry, _ = instruction.operation.split(instruction.inputs)
            assert carry[instruction.outputs.index(out)] is x and instruction.inputs.count(x) == 1
            return
        assert isinstance(instruction.operation, Elementwise) or isinstance(getattr(np, instruction.name, None), np.ufunc)
        assert x.size > 1 and out.size > 1, (
            "an array of one element is written over in place, which takes NumPy three times as long"
        )
        assert x not in self.shows, f"{out} is written over a view of what it reads"
        assert x.shape == out.shape and x.dtype == out.dtype


def is_view(instruction: Instruction) -> bool:
    """Whether a result may show the elements of the first operand."""
    x = instruction.inputs[0] if instruction.inputs else None
    if not isinstance(x, Value) or x.weak or len(instruction.outputs) != 1:
        return False
    plain_index = instruction.name == "getitem" and len(instruction.inputs) == 1 and instruction.out.ndim > 0
    return instruction.name in VIEWS or plain_index


def check(program: Program, donated: list[Value], made: Plan) -> None:
    """Walk through the program."""
    memory = Memory(program, made, donated)
    read_only: set[Value] = set()
    for x in made.over.values():
        assert memory.owner(x) in donated or made.root.get(x) in donated, "written over what was not given away"
    for instruction in program.instructions:
        for x in instruction.values():
            memory.read(x)
        if is_view(instruction):
            x = memory.shows[instruction.out] = instruction.inputs[0]
            if instruction.name == "broadcast_to" or x in read_only:
                read_only.add(instruction.out)
            continue
        for out in instruction.outputs:
            if out.ndim:
                memory.write(instruction, out)
    seen: set[Any] = set()
    for k, x in enumerate(program.outputs):
        if not isinstance(x, Value) or isinstance(x, Constant) or x.weak or x.ndim == 0:
            continue
        memory.read(x)
        assert k in made.copied or x not in read_only, f"output {k} is read-only"
        place = memory.place(memory.owner(x))
        given = place in program.inputs and place not in made.over.values()
        if place in made.home.values() or given or place in seen:
            assert k in made.copied, f"output {k} shows memory that is not the caller's alone"
        if k not in made.copied:
            seen.add(place)


def planned(program: Program, donated: list[Value]) -> Plan:
    made = plan(program, donated)
    check(program, donated, made)
    return made


# ---- the plan is right


@EXAMPLES
@given(recipe=recipes(most=20), data=st.data())
def test_no_two_values_in_one_place(recipe: Recipe, data: st.DataObject) -> None:
    for f in derivatives(recipe).values():
        program = ad.compile(f).program(*recipe.inputs)
        donated = [x for x in program.inputs if data.draw(st.booleans())]
        planned(program, donated)


def network(count: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The gradient of a small network of ``count`` layers."""
    random = np.random.default_rng(0)
    weights = [random.normal(size=(8, 8)) / 3 for _ in range(count)]

    def loss(weights: Any, x: Any) -> Any:
        for w in weights:
            x = ad.tanh(x @ w) + 0.1 * x
        return ad.mean((x - 1.0) ** 2)

    return ad.grad(loss), (weights, random.normal(size=(30, 8)))


def eager_bytes(program: Program) -> int:
    """What all results that are no views take when each has memory of its own."""
    made = [v for i in program.instructions if not is_view(i) for v in i.outputs if v.ndim]
    return sum(v.size * v.dtype.itemsize for v in made)


def test_less_memory_than_eager() -> None:
    f, args = network(6)
    program = ad.compile(f).program(*args)
    assert planned(program, []).nbytes < 0.5 * eager_bytes(program)


def test_a_chain_needs_one_block() -> None:
    def f(x: Any) -> Any:
        for _ in range(10):
            x = ad.sin(x) * 2.0
        return ad.sum(x, axis=0)

    program = ad.compile(f).program(np.ones((5, 300)))
    made = planned(program, [])
    assert len(made.blocks) == 1 and made.nbytes == 5 * 300 * 8


def test_results_are_nobodys_memory() -> None:
    program = ad.compile(lambda x: (ad.sin(x), ad.cos(ad.sin(x)), x, x.T, x[0])).program(np.ones((3, 4)))
    made = planned(program, [])
    assert not made.blocks and made.copied == {2, 3, 4}


def test_what_was_broadcast_is_copied() -> None:
    """NumPy makes it read-only, and so its parts: those, too, that have as many elements as what was broadcast."""
    f = lambda x: (lambda y: (y[:1], y[1:] * 2.0, y[::-1].reshape(-1)[:1]))(ad.broadcast_to(ad.sin(x), (3,)))
    planned(ad.compile(f).program(np.ones(1)), [])
    replays(ad.compile(f), f, [(np.ones(1),), (np.zeros(1),)])


def test_a_function_always_gets_the_same_plan() -> None:
    def f(xs: Any) -> Any:
        squares = [x * x for x in xs]
        total = sum(ad.sum(s) for s in squares)
        return sum(ad.sum((s / total) ** 3) for s in squares)

    xs = [np.ones(shape) for shape in [(3, 4), (4,), (2, 2, 2), (4,), (1, 5)]]
    compiled = [ad.compile(ad.grad(f)) for _ in range(20)]
    assert len({each.source(xs) for each in compiled}) == 1


def test_one_element_is_never_written_over() -> None:
    """In place it takes NumPy three times as long: measured 0.56 against 0.18 microseconds."""

    def f(x: Any) -> Any:
        for _ in range(4):
            x = ad.sin(x) * 2.0
        return x

    for shape in ((1,), (1, 1)):
        program = ad.compile(f).program(np.ones(shape))
        made = planned(program, list(program.inputs))
        assert not made.over
        for block in made.blocks:
            assert all(v.size == 1 for v in block.values)
        source = ad.compile(f, donate=0).source(np.ones(shape))
        for line in source.splitlines():
            _, _, call = line.partition("np.")
            if "out=" in call:
                arguments, _, out = call.partition("(")[2].partition("out=")
                assert out.partition(")")[0] not in arguments.split(", "), line
    assert planned(ad.compile(f).program(np.ones(2)), []).blocks[0].values[1:], "two elements are"


def test_donated_arguments_are_written_over() -> None:
    f = lambda w, g: (w - 0.1 * g, ad.sum(g))
    compiled = ad.compile(f, donate="w")
    w, g = np.ones((3, 4)), np.arange(12.0).reshape(3, 4)
    expected = f(w.copy(), g)
    result = compiled(w, g)
    same(result, expected)
    assert result[0] is w, "no memory is allocated for it"
    assert ad.compile(f)(w, g)[0] is not w


# ---- wrong plans are noticed: by the checker, and by the numbers


@functools.cache
def _samples() -> list[tuple[str, Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]]:
    """Functions with two calls, always the same."""
    f, (weights, x) = network(3)
    found: list[Any] = [
        ("network", f, (weights, x), ([2.0 * w for w in weights], -x)),
        ("view", lambda x: (lambda y: (y.T @ (2.0 * y), ad.sum(y.T, axis=0) * 3.0))(ad.sin(x)), (x,), (-x,)),
        ("broadcast", lambda x: (lambda y: ad.cos(y[0] * ad.exp(y) + y[0]))(ad.sin(x) * 2.0), (x,), (-x,)),
        ("flip", lambda x: (lambda y: ad.tanh(y * y[::-1]) + 1.0)(ad.sin(x)), (x,), (-x,)),
        ("scatter", ad.grad(lambda x: ad.sum(ad.sin(2.0 * x[np.argsort(-np.arange(30))]) * x)), (x,), (-x,)),
        ("copy", lambda x: (lambda y: ad.cos(y.T.reshape(-1)) + 1.0)(ad.sin(x) * 2.0), (x,), (-x,)),
        ("two results", lambda x: (lambda y: (y, ad.sin(y) * 2.0, y.reshape(-1)))(ad.exp(-x * x)), (x,), (2 * x,)),
    ]

    @settings(
        max_examples=25, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(recipe=recipes(most=20, numbers=False))
    def collect(recipe: Recipe) -> None:
        found.append(("random", derivatives(recipe)["gradient"], recipe.inputs, recipe.others(1)))

    collect()
    return found


def _numbers_notice() -> bool:
    """Whether a compiled function gives wrong numbers, or changes arguments or earlier results."""
    try:
        for name, f, first, second in _samples():
            replays(ad.compile(f), f, [first, second, first], name)
    except (AssertionError, ValueError, TypeError):
        return True
    return False


def _checker_notices() -> bool:
    try:
        for _, f, args, _ in _samples():
            program = _program(f, args)
            check(program, [], planning.plan(program))
    except AssertionError:
        return True
    return False


_program_of: dict[Any, Program] = {}


def _program(f: Any, args: Any) -> Program:
    if f not in _program_of:
        _program_of[f] = ad.compile(f).program(*args)
    return _program_of[f]


def one_too_early(right: Any) -> Any:
    """Memory is given back one instruction before the last one that reads it."""
    return lambda program, made: {x: k - 1 for x, k in right(program, made).items()}


def at_first_use(right: Any) -> Any:
    def last_uses(program: Program, made: Plan) -> dict[Value, int]:
        last: dict[Value, int] = {}
        for k, instruction in enumerate(program.instructions):
            for x in instruction.values():
                last.setdefault(made.owner(x), k)
        return last

    return last_uses


def always(right: Any) -> Any:
    """Any result may be written over any operand that fits."""
    return lambda i, x, made: x.shape == i.out.shape and x.dtype == i.out.dtype and x.size > 1


def views_are_others(right: Any) -> Any:
    """An operand counts once, whatever else shows the same memory."""
    return lambda i, x, made: planning.is_elementwise(i) and x.shape == i.out.shape and x.dtype == i.out.dtype and x.size > 1


def views_own_memory(right: Any) -> Any:
    """A view is thought to keep its elements itself."""
    return lambda self, x: x


def none_kept(right: Any) -> Any:
    """Results live in planned memory, without a copy."""
    return lambda program, made: set()


def never_copied(right: Any) -> Any:
    def kept(program: Program, made: Plan) -> Any:
        found = right(program, made)
        made.copied.clear()
        return found

    return kept


def all_static(right: Any) -> Any:
    """Views that may be copies are made once."""
    return lambda self, x: self.owner(x) in self.home or isinstance(self.owner(x), Constant)


def of_any_size(right: Any) -> Any:
    """Free memory is taken without looking at its size or dtype."""

    def place(instruction: Instruction, out: Value, made: Plan, free: list[Any], dying: set[Value]) -> None:
        block = free.pop() if free else planning.Block(out.dtype, out.size)
        if block not in made.blocks:
            made.blocks.append(block)
        made.home[out] = block
        block.values.append(out)

    return place


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "memory given back one instruction too early": (planning, "_last_uses", one_too_early),
    "memory given back after the first use": (planning, "_last_uses", at_first_use),
    "anything may be overwritten": (planning, "_may_overwrite", always),
    "views are no obstacle to overwriting": (planning, "_may_overwrite", views_are_others),
    "views do not keep memory alive": (Plan, "owner", views_own_memory),
    "results in planned memory": (planning, "_kept", none_kept),
    "results that share memory are not copied": (planning, "_kept", never_copied),
    "views that may be copies are made once": (Plan, "is_static", all_static),
    "memory of any size": (planning, "_place", of_any_size),
}
UNSEEN_BY_CHECKER = {"views that may be copies are made once"}  # it is a matter of when a line is run
UNSEEN_BY_NUMBERS = {"views are no obstacle to overwriting"}  # NumPy finds out, and takes a copy, which costs time


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_plan_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, f, args, _ in _samples():
        _program(f, args)
    owner, attribute, wrong = MUTANTS[name]
    monkeypatch.setattr(owner, attribute, wrong(getattr(owner, attribute)))
    assert name in UNSEEN_BY_CHECKER or _checker_notices(), f"{name}: the checker does not notice"
    assert name in UNSEEN_BY_NUMBERS or _numbers_notice(), f"{name}: the numbers are right all the same"


def test_the_right_plan_is_not_noticed() -> None:
    assert not _checker_notices() and not _numbers_notice()


def test_a_wrong_donation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    f = lambda w, x: (ad.sin(x) * 2.0, ad.sum(w, axis=0))  # w is still read when there is a result of its shape
    w, x = np.ones((3, 4)), np.arange(12.0).reshape(3, 4)

    def is_right() -> bool:
        given = copied((w, x))
        try:
            same(ad.compile(f, donate="w")(*given), f(w, x))
            unchanged([given[1]], [x], "x")
        except AssertionError:
            return False
        return True

    assert is_right()
    right = planning._last_uses
    monkeypatch.setattr(planning, "_last_uses", lambda program, made: dict.fromkeys(right(program, made), -1))
    assert not is_right()
