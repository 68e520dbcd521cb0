"""The order of axes in memory, sums as products, and blocks of rows: same numbers, less work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tinyad import models, optim, tree
from tinyad.compiler import blocks, layout
from tinyad.compiler.passes import PASSES, optimise
from tinyad.program import evaluate


def names(program: Any) -> list[str]:
    return [instruction.name for instruction in program.instructions]


def largest_difference(a: Any, b: Any) -> float:
    pairs = zip(tree.leaves(a), tree.leaves(b), strict=True)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max(initial=0.0)) for x, y in pairs)


# ---- programs over tall matrices: a random chain of what networks do to a batch of examples

STEPS = {
    "affine": lambda z, e, k: ad.tanh(z @ e["K"][k] + e["b"][k]),
    "residual": lambda z, e, k: z + 0.5 * ad.tanh(z @ e["K"][k] + e["b"][k]),
    "scale rows": lambda z, e, k: z * e["column"],
    "shift columns": lambda z, e, k: z - e["b"][k],
    "normalise rows": lambda z, e, k: z / (1.0 + ad.sum(z * z, axis=1, keepdims=True)),
    "centre columns": lambda z, e, k: z - ad.mean(z, axis=0, keepdims=True),
    "softmax": lambda z, e, k: ad.exp(z - ad.logsumexp(z, axis=1, keepdims=True)),
    "relu": lambda z, e, k: ad.relu(z),
    "where": lambda z, e, k: ad.where(z > e["mask"], z, 0.1 * z),
    "maximum": lambda z, e, k: ad.maximum(z, e["other"]),
    "take": lambda z, e, k: z + ad.expand_dims(z[np.arange(len(z)), e["labels"]], 1),
    "transposed": lambda z, e, k: ad.matrix_transpose(ad.matrix_transpose(z) * ad.expand_dims(e["b"][k], 1)),
}  # fmt: skip


def ingredients(rows: int, columns: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "K": [rng.normal(size=(columns, columns)) / columns for _ in range(6)],
        "b": [rng.normal(size=columns) for _ in range(6)],
        "column": rng.normal(size=(rows, 1)),
        "other": rng.normal(size=(rows, columns)),
        "mask": rng.normal(size=(rows, columns)),
        "labels": rng.integers(columns, size=rows),
    }


def chain(steps: list[str], e: dict[str, Any]) -> Any:
    def value(x: Any, parameters: Any) -> Any:
        z, everything = x, {**e, **parameters}
        for k, name in enumerate(steps):
            z = STEPS[name](z, everything, k)
        return ad.sum(z * z) / len(x), z

    return value


@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
    st.sampled_from([(32, 4), (40, 1), (64, 16), (33, 8), (100, 7)]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_networks_on_tall_matrices(steps: list[str], shape: tuple[int, int], seed: int) -> None:
    e = ingredients(*shape, seed)
    x = np.random.default_rng(seed + 1).normal(size=shape)
    parameters = {"K": e["K"], "b": e["b"]}
    f = ad.value_and_grad(chain(steps, e), argnums=(0, 1), has_aux=True)
    compiled = ad.compile(f)
    for scale in (1.0, 0.7):
        expected, found = f(scale * x, parameters), compiled(scale * x, parameters)
        size = 1.0 + max(float(np.abs(leaf).max(initial=0.0)) for leaf in tree.leaves(expected))
        assert largest_difference(found, expected) <= 1e-13 * size * len(steps)
        if "transposed" not in steps:
            assert all(np.asarray(leaf).flags.c_contiguous for leaf in tree.leaves(found))


@pytest.mark.parametrize("one", [layout.sums_as_products, layout.examples_last, blocks.group_in_blocks])
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_each_of_these_passes_alone_keeps_the_meaning(one: Any, steps: list[str], seed: int) -> None:
    e = ingredients(48, 5, seed)
    x = np.random.default_rng(seed).normal(size=(48, 5))
    program = ad.compile(chain(steps, e)).program(x, {"K": e["K"], "b": e["b"]}, optimised=False)
    for each in PASSES[:2]:  # what the pass may rely on: composite functions are written out
        program = each(program)
    inputs = [x, *tree.leaves({"K": e["K"], "b": e["b"]})]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "LARGE", 1)
        patch.setattr(blocks, "BLOCK", 64)
        patch.setattr(layout, "_START_OF_LOOP", 1e9)
        after = one(program)
    for a, b in zip(evaluate(after, inputs), evaluate(program, inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


# ---- that they do their work


def test_a_network_on_many_examples_is_stored_by_columns() -> None:
    net = models.ResNet.create(0, features=8, width=8, classes=3, depth=4)
    x, y = np.ones((256, 8)), np.zeros(256, int)
    program = ad.compile(lambda net, x, y: models.softmax_cross_entropy(net(x), y)).program(net, x, y)
    shapes = [i.out.shape for i in program.instructions if i.name == "tanh"]
    assert shapes == [(8, 256)] * 5


def test_wide_matrices_stay_as_they_are() -> None:
    program = ad.compile(lambda x, b: ad.tanh(x + b)).program(np.ones((40, 512)), np.ones(512))
    assert [i.out.shape for i in program.instructions] == [(40, 512)] * 2


def test_short_sums_are_products_and_long_ones_are_not() -> None:
    columns = ad.compile(lambda x: ad.sum(x, axis=0)).program(np.ones((50, 4)))
    rows = ad.compile(lambda x: ad.sum(x, axis=1)).program(np.ones((4, 50)))
    long = ad.compile(lambda x: ad.sum(x, axis=1)).program(np.ones((4, 5000)))
    integers = ad.compile(lambda x: ad.sum(x, axis=0)).program(np.ones((50, 4), int))
    assert "matmul" in names(columns) and "matmul" in names(rows)
    assert names(long) == names(integers) == ["sum"]


def test_chains_on_large_arrays_run_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Any, b: Any) -> Any:
        y = ad.tanh(x + b) * x
        return y, ad.sum(ad.exp(-y), axis=0)

    x, b = np.random.default_rng(0).normal(size=(120, 10)), np.arange(10.0)
    expected = f(x, b)
    monkeypatch.setattr(blocks, "LARGE", 1)
    monkeypatch.setattr(blocks, "BLOCK", 100)
    compiled = ad.compile(f)
    source = compiled.source(x, b)
    assert "for k in range(12):" in source and "blocks" in names(compiled.program(x, b))
    assert largest_difference(compiled(x, b), expected) < 1e-12
    twice = compiled(2.0 * x, b)
    assert largest_difference(twice, f(2.0 * x, b)) < 1e-12


def test_lengths_without_a_fitting_divisor_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LARGE", 1)
    monkeypatch.setattr(blocks, "BLOCK", 60)
    compiled = ad.compile(lambda x: ad.tanh(x * 2.0) + 1.0)
    assert "blocks" not in names(compiled.program(np.ones((101, 13))))
    assert "blocks" in names(compiled.program(np.ones((100, 10))))


def test_small_arrays_are_left_alone() -> None:
    assert "blocks" not in names(ad.compile(lambda x: ad.tanh(x * 2.0) + 1.0).program(np.ones((100, 10))))


@pytest.mark.parametrize("order", ["C", "F"])
def test_donated_arrays_are_written_over_block_by_block(monkeypatch: pytest.MonkeyPatch, order: Any) -> None:
    monkeypatch.setattr(blocks, "LARGE", 1)
    monkeypatch.setattr(blocks, "BLOCK", 64)
    optimizer = optim.adam(0.1, weight_decay=0.01)
    rng = np.random.default_rng(0)
    params, gradients = ({"w": np.asarray(rng.normal(size=(64, 8)), order=order)} for _ in range(2))
    state = optimizer.init(params)
    expected = optimizer.update(params, gradients, state, optimizer.numbers(0))
    compiled = ad.compile(optimizer.update, donate=("params", "state"))
    given = tree.map(lambda leaf: leaf.copy(order="K") if hasattr(leaf, "copy") else leaf, (params, state))
    new, new_state = compiled(given[0], gradients, given[1], optimizer.numbers(0))
    assert largest_difference((new, new_state), expected) < 1e-13
    if order == "C":
        assert np.shares_memory(new["w"], given[0]["w"])
        assert np.shares_memory(new_state.mean[0], given[1].mean[0])


def test_a_wrong_order_of_axes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = layout._Turned._reduction

    def mistaken(self: Any, i: Any) -> None:
        wrong(self, i)
        self.kept[-1].params["axis"] = (-1,)

    monkeypatch.setattr(layout, "sums_as_products", lambda program: program)
    monkeypatch.setattr(layout._Turned, "_reduction", mistaken)
    x, b = np.random.default_rng(0).normal(size=(64, 8)), np.ones(8)

    def f(x: Any, b: Any) -> Any:
        return ad.max(ad.tanh(x + b), axis=1)

    with pytest.raises((AssertionError, ValueError)):
        assert largest_difference(ad.compile(f)(x, b), f(x, b)) < 1e-12


def test_all_passes_in_any_prefix_keep_the_meaning() -> None:
    net = models.ResNet.create(0, features=6, width=8, classes=3, depth=2)
    x, y = np.random.default_rng(0).normal(size=(64, 6)), np.arange(64) % 3
    loss = lambda net, x, y: models.softmax_cross_entropy(net(x), y, smoothing=0.1)
    program = ad.compile(ad.value_and_grad(loss)).program(net, x, y, optimised=False)
    inputs = [*tree.leaves(net), x, y]
    expected = evaluate(program, inputs)
    for each in PASSES:
        program = each(program)
        for a, b in zip(evaluate(program, inputs), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert len(optimise(program).instructions) <= len(program.instructions)
