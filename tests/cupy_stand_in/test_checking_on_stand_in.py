"""The checker on stand-ins of CuPy's arrays: the same verdicts and the same diagnoses as on NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.checking.corpus.case import Operation
from tests.checking.corpus.table import OPERATIONS
from tests.cupy_stand_in.device import DeviceArray, cupy
from tests.cupy_stand_in.same import moved


def runs_on_the_device(forward: Any, backward: Any, inputs: Any) -> bool:
    """Whether a rule written for NumPy runs on device arrays: one that makes arrays with np.zeros does not."""
    try:
        with np.errstate(all="ignore"):
            y, cache = forward(*moved(inputs))
            returned = backward(cache, cupy.ones(np.shape(y)))
    except Exception:
        return False
    gradients = returned if isinstance(returned, (tuple, list)) else [returned]
    return isinstance(y, DeviceArray) and not any(isinstance(g, np.ndarray) for g in gradients)


def check(forward: Any, backward: Any, inputs: Any) -> ad.Report:
    with np.errstate(all="ignore"):
        return ad.check_rule(forward, backward, *inputs, raises=False)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_diagnoses_are_the_same(operation: Operation) -> None:
    inputs = operation.generic(np.random.default_rng(0))
    if runs_on_the_device(operation.forward, operation.backward, inputs):
        report = check(operation.forward, operation.backward, moved(inputs))
        assert report.passed, report.text()
    for mutant in operation.mutants:
        if mutant.labels == {"D04"}:
            continue  # np.matrix and the like are not to be had there
        forward, backward = mutant.forward or operation.forward, mutant.backward or operation.backward
        if runs_on_the_device(forward, backward, operation.generic(np.random.default_rng(0))):
            here = check(forward, backward, operation.generic(np.random.default_rng(0)))
            there = check(forward, backward, moved(operation.generic(np.random.default_rng(0))))
            assert [d.id for d in there.diagnoses] == [d.id for d in here.diagnoses], f"{mutant.name}\n{there}\n{here}"


def test_most_of_the_corpus_runs_on_the_device() -> None:
    runs = [runs_on_the_device(op.forward, op.backward, op.generic(np.random.default_rng(0))) for op in OPERATIONS]
    assert sum(runs) >= 40


def test_large_inputs_and_pictures() -> None:
    x = moved((np.random.default_rng(0).normal(size=(60, 70)),))[0]

    def wrong(x: Any, gy: Any) -> Any:
        g = gy * np.cos(x)
        g[3, 4] = 2 * g[3, 4]
        return g

    assert ad.check_rule(lambda x: (np.sin(x), x), lambda x, gy: gy * np.cos(x), x)
    report = ad.check_rule(lambda x: (np.sin(x), x), wrong, x, raises=False)
    assert report.diagnoses[0].args["entries"] == [[3, 4]]
    assert ad.check(lambda x: ad.sin(x), x)


def test_a_gradient_made_with_numpy_is_said_to_be() -> None:
    x = moved((np.random.default_rng(0).normal(size=(5, 3)),))[0]
    report = ad.check_rule(lambda x: (np.sin(x), x), lambda x, gy: np.ones(x.shape), x, raises=False)
    assert report.diagnoses[0].id == "D04"
    assert "numpy.ndarray for an input that is a" in report.diagnoses[0].fact
