"""Random programs: tinyad, eager and compiled, agrees with JAX and HIPS autograd, to second order.

    make test-peers                       # a few hundred programs
    make test-peers PROGRAMS=10000        # more of them
    make test-peers PROGRAMS=10000 FIRST=10000    # others

A number gives a program; a failure prints a small program that fails as well, to be kept in ``KEPT``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("jax", reason="the peers are not installed: make test-peers")
pytest.importorskip("autograd", reason="the peers are not installed: make test-peers")

import jax

from tests.peers.derivatives import ENGINES, Results, eager
from tests.peers.libraries import TINYAD, Missing
from tests.peers.operations import BOUND, OPERATIONS
from tests.peers.programs import NEAR, SHAPES, Program, Step, draw, shrunk
from tinyad.kinds import PRIMITIVES

PROGRAMS = int(os.environ.get("TINYAD_PEER_PROGRAMS", "300"))
FIRST = int(os.environ.get("TINYAD_PEER_FIRST", "0"))

# autograd warns of an input that has no part in any output; its derivative is zero, which is compared like the others
pytestmark = pytest.mark.filterwarnings("ignore:Output seems independent of input:UserWarning")

TOLERANCE = 1e-10  # relative to the largest entry, or to 1
NUDGE = 1e-13  # by so much, relatively, inputs are changed to see how well conditioned a program is

KEPT: list[tuple[str, Program]] = []
"""What was wrong, and a program that showed it."""


def gap(found: Results, expected: Results) -> dict[str, float]:
    """The largest difference for each kind of result, relative to the largest entry."""
    return {
        what: float(np.abs(found[what] - expected[what]).max()) / max(1.0, float(np.abs(expected[what]).max()))
        for what in expected
    }


def disagreements(program: Program) -> list[str]:
    """Who differs from tinyad in what, and by how much."""
    expected = eager(program)
    found = []
    for name, engine in ENGINES.items():
        try:
            gaps = gap(engine(program), expected)
        except Missing:
            continue
        found += [f"{name}: {what} differ by {size:.1e}" for what, size in gaps.items() if not size <= TOLERANCE]
    return found


def is_ill_conditioned(program: Program) -> bool:
    """Whether results change beyond the tolerance when inputs change by rounding errors: then nobody's digits count."""
    expected = eager(program)
    return any(size > TOLERANCE for sign in (1, -1) for size in gap(eager(program, nudge=sign * NUDGE), expected).values())


def agree(program: Program) -> None:
    """Everybody agrees about a program, as far as they have its operations."""
    found = disagreements(program)
    if not found:
        return
    if is_ill_conditioned(program):
        pytest.skip(f"ill conditioned: {program}")
    small = shrunk(program, TINYAD, lambda p: p.margin(TINYAD) > NEAR and bool(disagreements(p)) and not is_ill_conditioned(p))
    pytest.fail("\n".join([*found, f"also in {small}", *disagreements(small)]))


@pytest.fixture(autouse=True)
def little_memory(request: pytest.FixtureRequest) -> Iterator[None]:
    """JAX keeps every function that it compiled."""
    yield
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("number", 1) % 100 == 0:
        jax.clear_caches()


@pytest.mark.parametrize("number", range(FIRST, FIRST + PROGRAMS))
def test_program(number: int) -> None:
    agree(draw(number, TINYAD))


@pytest.mark.parametrize(("what", "program"), KEPT)
def test_kept(what: str, program: Program) -> None:
    assert not disagreements(program), what


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_alone(name: str) -> None:
    """Twice, with other shapes and parameters."""
    operation, random, left = OPERATIONS[name], np.random.default_rng(0), 2
    for seed in range(10000):
        shapes = tuple(SHAPES[k] for k in random.integers(len(SHAPES), size=operation.operands))
        parameters = operation.parameters(random, *shapes)
        if parameters is None:
            continue
        program = Program(shapes, (Step(name, tuple(range(operation.operands)), parameters),), (operation.operands,), seed)
        if program.margin(TINYAD) > NEAR:
            agree(program)
            left -= 1
        if not left:
            return
    pytest.fail(f"{name}: no shapes that fit were drawn")


# ---- the tests are tested


def test_programs_are_not_all_alike() -> None:
    programs = [draw(number, TINYAD) for number in range(2000)]
    used = [step.name for program in programs for step in program.steps]
    assert set(OPERATIONS) == set(used), set(OPERATIONS) - set(used)
    assert np.mean([len(program.steps) for program in programs]) > 5
    assert any(len(program.shapes) == 3 and len(program.outputs) == 3 for program in programs)
    operands = [[k for step in program.steps for k in step.operands] for program in programs]
    assert sum(len(set(numbers)) < len(numbers) for numbers in operands) > 1000, "too few programs use a value twice"
    bounded = sum(name == BOUND for name in used)
    assert bounded < 0.05 * len(used), "too many values grow"


def test_a_program_can_be_kept_as_text() -> None:
    for number in range(50):
        program = draw(number, TINYAD)
        assert eval(repr(program)) == program


def test_a_wrong_rule_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        Step("sin", (0,)),
        Step("add", (2, 1)),
        Step("exp2", (3,)),
        Step("matmul", (4, 2)),
        Step("sort", (5,), {"axis": 0}),
    ]
    program = Program(((3, 3), (3,)), (*steps, Step("expit", (6,))), (7, 2), 0)
    assert not disagreements(program)
    exp2 = PRIMITIVES["exp2"]
    (right,) = exp2.products
    monkeypatch.setattr(exp2, "products", (lambda v, saved: (1.0 + 1e-8) * right(v, saved),))
    with pytest.raises(pytest.fail.Exception) as failure:
        agree(program)
    small = eval(str(failure.value).partition("also in ")[2].partition("\n")[0])
    assert [step.name for step in small.steps] == ["exp2"]
    assert len(small.shapes) == 1
