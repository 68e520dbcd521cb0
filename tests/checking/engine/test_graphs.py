"""The table of wrong engines is what wrong engines do."""

import itertools

import pytest

from tests.checking.engine.models import WAYS, all_ways, engine
from tinyad.checking.engine.driver import LocalDriver
from tinyad.checking.engine.graphs import GRAPHS, MODELS, POINT, RIGHT, gradient, identify

RIGHT_RESULTS = {"right", "exponential"}


def gradients(way):
    driver = LocalDriver(engine(way))
    return tuple(gradient(driver, graph)[0] for graph in GRAPHS)


def test_the_right_gradients_are_those_of_the_functions():
    class Dual(tuple):
        def __add__(self, other):
            a, b = self, other if isinstance(other, Dual) else Dual((other, 0.0))
            return Dual((a[0] + b[0], a[1] + b[1]))

        def __mul__(self, other):
            a, b = self, other if isinstance(other, Dual) else Dual((other, 0.0))
            return Dual((a[0] * b[0], a[0] * b[1] + a[1] * b[0]))

    assert tuple(graph.build(Dual((POINT, 1.0)))[1] for graph in GRAPHS) == RIGHT


def test_the_rows_of_the_table_are_the_results_of_the_wrong_engines():
    run = {label: {gradients(way) for way in ways} for label, ways in WAYS.items() if label not in RIGHT_RESULTS}
    assert {model.label: set(model.rows) for model in MODELS} == run


@pytest.mark.parametrize("label, k, way", [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in all_ways()])
def test_each_wrong_engine_is_named_in_every_order(label, k, way):
    model = identify(gradients(way))
    if label in RIGHT_RESULTS:
        assert gradients(way) == RIGHT and model is None
    else:
        assert model is not None and model.label == label


def test_orders_that_change_from_graph_to_graph_are_named_too():
    for model in MODELS:
        for rows in itertools.combinations(model.rows, 2):
            mixed = [rows[k % 2][k] for k in range(len(GRAPHS))]
            assert identify(mixed) == model


def test_no_model_takes_right_gradients_for_its_own():
    assert identify(RIGHT) is None
    assert identify([value + 1 for value in RIGHT]) is None
