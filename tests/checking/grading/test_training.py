"""Trainings are judged by what comes back, within their time."""

import numpy as np
import pytest

import tinyad.grade as tg
from tests.checking.grading.students import graded
from tinyad.checking.grading.assignment import Metric
from tinyad.checking.grading.training import judged

TRAIN = """
import random
import numpy as np

def train(x, steps=10):
    return RETURNED
"""


def training(metric, **extra):
    hw = tg.Assignment("training", points=2, seed=5)
    hw.train("mlp.py:train", metric=metric, points=2, args=(np.arange(3.0),), **({"wall": 1.0} | extra))
    return hw


@pytest.mark.parametrize(
    ("metric", "returned", "share", "told"),
    [
        ("loss<0.1", 0.05, 1, "loss = 0.05, as loss < 0.1 is asked for"),
        ("loss<0.1", np.float32(0.5), 0, "loss = 0.5, but loss < 0.1 was asked for"),
        ("loss<0.1", {"loss": 0.01, "steps": 3}, 1, "loss = 0.01"),
        ("loss<0.1", {"error": 0.01}, 0, "there is no 'loss' in the dict that was returned; it has error"),
        ("loss<0.1", float("nan"), 0, "loss = nan"),
        ("loss<0.1", -float("inf"), 1, "loss = -inf"),
        ("loss<0.1", "0.05", 0, "loss is a str; expected a number"),
        ("loss<0.1", None, 0, "loss is a NoneType; expected a number"),
        ("loss<0.1", np.zeros((1, 1)), 1, "loss = 0"),
        ("loss<0.1", np.zeros(2), 0, "loss is a ndarray; expected a number"),
        ("loss<0.1", 1j, 0, "loss is a complex; expected a number"),
        ("steps>=10", {"steps": 10}, 1, "steps = 10"),
        (lambda y: np.allclose(y, [0, 2, 4]), np.array([0, 2, 4]), 1, "100% of the points"),
        (lambda y: np.mean(y == np.arange(3)), np.array([0, 1, 0]), 2 / 3, "67% of the points"),
        (lambda y: y.shape == (4,), None, 0, "what was returned cannot be judged: AttributeError"),
        (lambda y: np.nan, 1, 0, "was given no share"),
        (lambda y: "all", 1, 0, "was given no share"),
        (lambda y: 17, 1, 1, "100% of the points"),
        (lambda y: -3, 1, 0, "0% of the points"),
    ],
)
def test_metrics(metric, returned, share, told):
    found, said = judged(Metric.parse(metric) if isinstance(metric, str) else metric, returned)
    assert found == pytest.approx(share)
    assert told in said


@pytest.mark.parametrize(
    ("returned", "score", "told"),
    [
        ("x.sum() / 100", 2, "loss = 0.03"),
        ("print", 0, "did not keep to the interface: train returned a builtin_function_or_method"),
        ("1 / 0", 0, "raised an error: ZeroDivisionError: division by zero"),
        ("[0 for _ in iter(int, 1)]", 0, "timed out: no answer within 0.5 s"),
    ],
)
def test_trainings(tmp_path, returned, score, told):
    grade = graded(tmp_path, training("loss<0.1", wall=0.5), mlp=TRAIN.replace("RETURNED", returned))
    assert grade.score == score
    assert told in grade.tests[0].output


def test_arguments_and_the_seed_are_those_of_the_assignment(tmp_path):
    source = TRAIN.replace("RETURNED", "np.array([steps, np.random.rand(), random.random()])")
    drawn = []
    for _ in range(2):
        graded(tmp_path, training(lambda found: drawn.append(found.tolist()) or 1, kwargs={"steps": 7}), mlp=source)
    assert drawn[0] == drawn[1] and drawn[0][0] == 7
    assert drawn[0][1] == np.random.RandomState(5).rand()
