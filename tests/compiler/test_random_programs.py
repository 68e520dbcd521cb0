"""Random programs: compiled against eager, pass by pass, donated and not."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.compiler.comparing import copied, replays, same, unchanged
from tests.compiler.programs import Recipe, passes_at_work, recipes
from tinyad import tree
from tinyad.compiler.passes import PASSES
from tinyad.program import Program, evaluate

EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
contexts = pytest.mark.parametrize("at_work", [False, True], ids=["", "passes at work on small arrays"])


def derivatives(recipe: Recipe, seed: int = 2) -> dict[str, Callable[..., Any]]:
    """The function itself, its gradient, and its Hessian in some direction."""
    gradient = ad.grad(recipe.scalar, argnums=recipe.argnums)
    direction = recipe.others(seed)
    return {
        "value": recipe,
        "gradient": gradient,
        "value and gradient": ad.value_and_grad(recipe.scalar, argnums=recipe.argnums),
        "Hessian product": lambda *xs: ad.jvp(gradient, xs, direction)[1],
    }


def is_replayed(recipe: Recipe) -> None:
    """Values, gradients and Hessian products; repeated calls with other arguments and the same."""
    calls = [recipe.inputs, recipe.others(1), recipe.inputs]
    for name, f in derivatives(recipe).items():
        replays(ad.compile(f), f, calls, name)


@contexts
@EXAMPLES
@given(recipe=recipes())
def test_compiled_is_eager(at_work: bool, recipe: Recipe) -> None:
    with passes_at_work() if at_work else nullcontext():
        is_replayed(recipe)


@pytest.mark.slow
@contexts
@settings(EXAMPLES, max_examples=1500)
@given(recipe=recipes(most=20))
def test_many_programs(at_work: bool, recipe: Recipe) -> None:
    with passes_at_work() if at_work else nullcontext():
        is_replayed(recipe)


@settings(EXAMPLES, max_examples=12)
@given(recipe=recipes())
def test_float32(recipe: Recipe) -> None:
    """Dtypes are kept as eager keeps them, beside Python numbers, float64 constants and NumPy's scalars."""
    narrow = [
        tuple(x.astype(np.float32) if isinstance(x, np.ndarray) else x for x in xs) for xs in (recipe.inputs, recipe.others(1))
    ]
    try:
        recipe(*narrow[0])
    except ValueError:  # a loop whose carry starts in float64
        assume(False)
    for f in (recipe, ad.grad(recipe.scalar, argnums=recipe.argnums)):
        replays(ad.compile(f), f, narrow, "in float32", scale=10.0)


@EXAMPLES
@given(recipe=recipes(numbers=False), data=st.data())
def test_donated(recipe: Recipe, data: st.DataObject) -> None:
    """Results are right when they are written over arguments; arguments that were not given away stay as they are."""
    donated = data.draw(st.sets(st.sampled_from(recipe.argnums), min_size=1))

    def step(*xs: Any) -> Any:
        """Like a step of an optimiser: a result of the shape of each argument, and others."""
        gradient = ad.grad(recipe.scalar, argnums=recipe.argnums)(*xs)
        return [x - 0.1 * g for x, g in zip(xs, gradient, strict=True)], recipe(*xs)

    compiled = ad.compile(step, donate=donated)
    for seed in (None, 1, 5):
        args = recipe.inputs if seed is None else recipe.others(seed)
        given, expected = copied(args), step(*copied(args))
        same(compiled(*given), expected, "with donated arguments")
        others = [k for k in recipe.argnums if k not in donated]
        unchanged([given[k] for k in others], [args[k] for k in others], "an argument that was not donated")


# ---- passes


def traced(f: Callable[..., Any], *args: Any) -> Program:
    return ad.compile(f).program(*args, optimised=False)


@contexts
@EXAMPLES
@given(recipe=recipes())
def test_each_pass_keeps_the_meaning(at_work: bool, recipe: Recipe) -> None:
    """Each pass alone on the program as it was written down; and the program it gets stays as it is."""
    functions = derivatives(recipe)
    with passes_at_work() if at_work else nullcontext():
        for name in ("value", "gradient"):
            program = traced(functions[name], *recipe.inputs)
            before = str(program)
            expected = evaluate(program, recipe.inputs)
            for each in dict.fromkeys(PASSES):
                same(evaluate(each(program), recipe.inputs), expected, f"{name} after {each.__name__}")
                assert str(program) == before, f"{each.__name__} changed the program it was given"
            same(evaluate(program, recipe.inputs), expected, f"{name} after all passes had a look at it")


@contexts
@EXAMPLES
@given(recipe=recipes())
def test_passes_one_after_the_other(at_work: bool, recipe: Recipe) -> None:
    with passes_at_work() if at_work else nullcontext():
        for name, f in derivatives(recipe).items():
            program = traced(f, *recipe.inputs)
            expected = tree.leaves(f(*recipe.inputs))
            for k, each in enumerate(PASSES):
                program = each(program)
                same(evaluate(program, recipe.inputs), expected, f"{name} after {[p.__name__ for p in PASSES[: k + 1]]}")
                _is_single_assignment(program)


def _is_single_assignment(program: Program) -> None:
    """Every value is computed once, before it is used."""
    known = {*program.inputs, *program.constants()}
    for instruction in program.instructions:
        assert known.issuperset(instruction.values()), f"{instruction} uses what is not there"
        assert known.isdisjoint(instruction.outputs), f"{instruction} computes what is there"
        known.update(instruction.outputs)


# ---- text


@settings(EXAMPLES, max_examples=12)
@given(recipe=recipes())
def test_source_runs_by_itself(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    path: Path = tmp_path_factory.mktemp("saved") / "program.py"
    for f in derivatives(recipe).values():
        compiled = ad.compile(f)
        compiled.save(path, *recipe.inputs)
        assert "tinyad" not in path.read_text()
        module = runpy.run_path(str(path))
        function = module[compiled.program(*recipe.inputs).name]
        for args in (recipe.inputs, recipe.others(1)):
            same(list(function(*args)), tree.leaves(f(*args)), "the saved program")


@settings(EXAMPLES, max_examples=10)
@given(recipe=recipes())
def test_programs_print(recipe: Recipe) -> None:
    """A name for every value, a line for every instruction."""
    compiled = ad.compile(ad.grad(recipe.scalar, argnums=recipe.argnums))
    for optimised in (False, True):
        program = compiled.program(*recipe.inputs, optimised=optimised)
        text = str(program)
        names = [v.name for v in [*program.inputs, *program.constants(), *[v for i in program.instructions for v in i.outputs]]]
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() for name in names)
        assert text.startswith("inputs") and text.splitlines()[-1].startswith("outputs")
        assert sum(" = " in line for line in text.splitlines()) >= len(program.instructions)


def test_the_generator_reaches_what_it_is_for() -> None:
    """Random programs are worth something only if they are not all alike."""
    seen: set[str] = set()
    sizes: list[int] = []

    @settings(EXAMPLES, max_examples=1000, derandomize=True, database=None)
    @given(recipe=recipes())
    def run(recipe: Recipe) -> None:
        sizes.append(len(recipe.steps))
        seen.update(step.name.partition("[")[0] for step in recipe.steps)
        seen.update("number" if isinstance(x, float) else str(x.shape) for x in recipe.inputs)
        if len(set(recipe.outputs)) < len(recipe.outputs):
            seen.add("the same value twice")
        if any(0 <= k < len(recipe.inputs) for k in recipe.outputs):
            seen.add("an input as it is")
        if len(set(recipe.steps)) < len(recipe.steps):
            seen.add("a step again")

    run()
    expected = {
        "getitem",
        "reshape",
        "matmul",
        "scan",
        "vmap",
        "einsum",
        "loop",
        "broadcast_to",
        "where",
        "()",
        "(0,)",
        "number",
    }
    expected |= {"the same value twice", "an input as it is", "a step again"}
    assert expected <= seen, expected - seen
    assert np.mean(sizes) > 3
