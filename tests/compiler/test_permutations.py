"""Permutations sink behind what can be done in any order of axes, and meanings stay; wrong rules are found out."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinyad as ad
from tests.compiler.comparing import same
from tests.compiler.test_random_programs import traced
from tinyad.compiler import permutations
from tinyad.compiler.passes import remove_dead_code
from tinyad.compiler.permutations import sink_permutations
from tinyad.program import Program, evaluate

STEPS = ["unary", "number", "row", "plane", "other", "reduce", "keep", "permute", "pad", "slice", "broadcast", "dtype", "twice"]


def step(draw: Any, kind: str, y: Any) -> Any:
    """One operation on an array of any number of axes."""
    ndim = len(y.shape)
    axis = draw(st.integers(-ndim, ndim - 1)) if ndim else None
    if kind == "unary":
        return ad.sin(y)
    if kind == "number":
        return 2.0 * y - 1.0
    if kind == "row" and ndim:
        return y + np.linspace(0.0, 1.0, y.shape[-1])
    if kind == "plane" and ndim > 1:
        shape = tuple([draw(st.sampled_from([1, n])) for n in y.shape])
        return y * np.linspace(1.0, 2.0, int(np.prod(shape))).reshape(shape)
    if kind == "other":
        return ad.where(y > 0.1, y, np.linspace(-1.0, 0.0, int(np.prod(y.shape))).reshape(y.shape))
    if kind == "reduce" and ndim > 1:
        return draw(st.sampled_from([ad.sum, ad.max, ad.min]))(y, axis=axis)
    if kind == "keep" and ndim:
        axes = tuple(draw(st.lists(st.integers(0, ndim - 1), unique=True, min_size=1)))
        return y + ad.sum(y, axis=axes, keepdims=True)
    if kind == "permute":
        return ad.permute_dims(y, tuple(draw(st.permutations(range(ndim)))))
    if kind == "pad" and ndim:
        return ad.pad(y, [(draw(st.integers(0, 1)), draw(st.integers(0, 1))) for _ in y.shape])
    if kind == "slice" and ndim:
        return y[(..., slice(0, max(1, y.shape[-1] - 1)))] if draw(st.booleans()) else y[:: draw(st.sampled_from([1, -1]))]
    if kind == "broadcast" and ndim:
        return ad.broadcast_to(ad.mean(y, axis=axis, keepdims=True), y.shape)
    if kind == "dtype":
        return y.astype(np.float32).astype(np.float64)
    return y * y + y if kind == "twice" else y


def chain(draw: Any) -> tuple[Any, np.ndarray[Any, Any]]:
    """A function made of random steps, and an array for it."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=3, max_size=4)))
    recorded: list[Any] = []
    kinds = draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=8))
    made: dict[int, list[Any]] = {}

    def f(x: Any) -> Any:
        y = ad.permute_dims(x, (*range(1, len(shape)), 0))
        for k, kind in enumerate(kinds):
            answers = made.setdefault(k, [])
            played = iter(list(answers))

            def drawn(strategy: Any, answers: list[Any] = answers, played: Any = played) -> Any:
                """The same choices at every call of the function."""
                answer = next(played, recorded)
                if answer is recorded:
                    answer = draw(strategy)
                    answers.append(answer)
                return answer

            y = step(drawn, kind, y)
        return y

    x = np.random.default_rng(draw(st.integers(0, 2**31))).normal(size=shape)
    f(x)
    return f, x


def keeps_its_meaning(program: Program, x: Any) -> None:
    same(evaluate(sink_permutations(program), [x]), evaluate(program, [x]), "permuted", scale=10.0)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_chains_keep_their_meaning(data: st.DataObject) -> None:
    f, x = chain(data.draw)
    keeps_its_meaning(traced(f, x), x)
    same(ad.compile(f)(x), f(x), scale=10.0)


def network(x: Any, w: Any, v: Any, b: Any) -> Any:
    y = ad.max_pool(ad.relu(ad.conv(x, w, padding=1) + b[:, None, None]), 2)
    return ad.sum(ad.conv(y, v, padding=1) ** 2)


X, W, V, B = (np.random.default_rng(k).normal(size=s) for k, s in enumerate([(5, 1, 6, 6), (4, 1, 3, 3), (3, 4, 3, 3), (4,)]))


def test_between_convolutions_nothing_is_turned() -> None:
    program = ad.compile(ad.grad(network, argnums=(1, 2, 3))).program(X, W, V, B)
    large = [i for i in program.instructions if i.name == "permute_dims" and i.out.size > X.size]
    assert [i.inputs[0].name for i in large] == ["pad_0"], program  # the padded images, once
    assert all(i.out.shape[-1] == len(X) for i in program.instructions if i.name == "maximum")


WRONG = {
    "order of a sum": ("_negative_of", lambda axes, ndim: tuple([-1 - axis for axis in axes])),
    "order of operands": ("_inverse", lambda order: order),
    "composition": ("_negative", lambda order: tuple(sorted([k - len(order) for k in order]))),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_rules_are_found_out(what: str) -> None:
    name, wrong = WRONG[what]

    @settings(
        max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate], report_multiple_bugs=False,
    )  # fmt: skip
    @given(data=st.data())
    def found(data: st.DataObject) -> None:
        f, x = chain(data.draw)
        program = remove_dead_code(traced(f, x))
        with patch.object(permutations, name, wrong):
            keeps_its_meaning(program, x)

    with pytest.raises((AssertionError, ValueError, IndexError)):
        found()
