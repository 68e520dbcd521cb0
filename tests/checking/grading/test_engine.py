"""Engines are probed in their worker as they are in this process, and are worth what comes back."""

import pytest

import tinyad as ad
import tinyad.grade as tg
from tests.checking.grading.students import graded
from tinyad.checking.engine.driver import Failure, LocalDriver
from tinyad.checking.engine.graphs import GRAPHS, gradient
from tinyad.checking.grading.remote_driver import RemoteDriver
from tinyad.checking.grading.submission import Submission

VALUE = """
class Value:
    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def relu(self):
        return Value(max(self.data, 0.0), ((self, float(self.data > 0)),))

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        order, seen, todo = [], set(), [(self, False)]
        while todo:
            node, finished = todo.pop()
            if finished:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                todo += [(node, True), *((parent, False) for parent, _ in node.parents)]
        for node in order:
            if node.parents:
                node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for parent, partial in node.parents:
                parent.grad += partial * node.grad
"""


def engine(points=5, **settings):
    hw = tg.Assignment("engine", seed=1, **({"wall": 5.0} | settings))
    hw.engine("engine.py:Value", points=points)
    return hw


@pytest.mark.parametrize(
    ("old", "new", "tags", "score"),
    [
        ("", "", [], 5),
        ("parent.grad += partial", "parent.grad = partial", ["E01"], 5 * 1 / 10),
        ("reversed(order)", "order", ["E05"], 5 * 2 / 10),
        ("self.grad = 1.0", "pass", ["E07"], 0),
        ("float(self.data > 0)", "1.0", ["D"], 5 * 9 / 10),
        ("def backward", "def forward", ["E11"], 0),
        ("order, seen, todo", "1 / 0; order, seen, todo", ["E12"], 0),
    ],
)
def test_engines(tmp_path, old, new, tags, score):
    grade = graded(tmp_path, engine(), engine=VALUE.replace(old, new))
    assert grade.score == pytest.approx(score)
    found = grade.tests[0].tags
    assert len(found) >= len(tags) and all(any(each.startswith(tag) for each in found) for tag in tags)
    assert bool(found) == bool(tags)


def test_one_operation_that_replaces_gradients_costs_the_share_of_operations(tmp_path):
    of_relu = "len(node.parents) == 1"
    replaced = VALUE.replace("parent.grad += partial", f"parent.grad = (not {of_relu}) * parent.grad + partial")
    [test] = graded(tmp_path, engine(), engine=replaced).tests
    assert test.score == pytest.approx(5 * 9 / 10) and test.tags == ["E01"]
    assert "not: operations\n" in test.output and "relu: the gradient of an operand that is used elsewhere" in test.output


def test_what_is_not_written_is_one_sentence(tmp_path):
    product = "        other = other if isinstance(other, Value) else Value(other)\n        return Value(self.data * other.data"
    unwritten = VALUE.replace(product, f"        raise NotImplementedError\n{product}").replace(
        "return Value(max", "raise NotImplementedError\n        Value(max"
    )
    [test] = graded(tmp_path, engine(), engine=unwritten).tests
    assert test.tags == ["E27"]
    assert "what    not written yet: `__mul__`, relu   [E27 not_written]" in test.output
    assert "likely" not in test.output and "raise NotImplementedError" not in test.output


def test_what_backward_raises_is_told_by_its_own_name(tmp_path):
    broken = VALUE.replace("float(self.data > 0)", "None")
    [test] = graded(tmp_path, engine(), engine=broken).tests
    assert "backward raised TypeError: unsupported operand" in test.output and "Failure" not in test.output
    assert "parent.grad += partial * node.grad" in test.output


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("order, seen, todo", "__import__('os')._exit(0); order, seen, todo", "ended the process"),
        ("while todo:", "while True:", "raised"),
        ("order, seen, todo =", "import sys; sys.exit(0); order, seen, todo =", "SystemExit"),
        ("class Value", "import tinyad\nclass Value", "the code imports tinyad"),
        ("class Value", "class Values", "engine.py: Value is not there. It has Values"),
    ],
)
def test_engines_that_end_or_cheat(tmp_path, old, new, told):
    grade = graded(tmp_path, engine(wall=0.6, memory=2 << 30), engine=VALUE.replace(old, new, 1))
    assert grade.score == 0 and told in grade.tests[0].output


def test_a_gradient_that_lies_about_itself_is_a_number_here(tmp_path):
    liar = VALUE + "\nclass Any(float):\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0.0\n"
    lies = liar.replace("partial * node.grad", "Any(7.0)")
    honest = VALUE.replace("partial * node.grad", "7.0")
    assert graded(tmp_path / "a", engine(), engine=lies).score == graded(tmp_path / "b", engine(), engine=honest).score < 1


def test_the_driver_there_answers_as_the_driver_here(tmp_path):
    (tmp_path / "engine.py").write_text(VALUE)
    namespace = {}
    exec(VALUE, namespace)
    here = LocalDriver(namespace["Value"])
    with Submission(tmp_path) as student:
        there = RemoteDriver(student, "engine.py", "Value")
        assert [gradient(there, graph)[0] for graph in GRAPHS] == [gradient(here, graph)[0] for graph in GRAPHS]
        for driver in (here, there):
            x = driver.make(3.0)
            assert driver.backward(driver.apply("mul", x, 2.0)) > 0
            assert driver.grad(x) == 2 and driver.data(x) == 3
            driver.clear(x)
            driver.write(x, 5.0)
            assert driver.grad(x) == 0 and driver.data(x) == 5
            assert driver.data(driver.chain("mul", x, 1.0, 50)) == 5
            assert driver.supports("relu") and not driver.supports("exp")
            with pytest.raises(Failure) as failure:
                driver.apply("matmul", x, x)
            assert (failure.value.stage, failure.value.kind) == ("forward", "TypeError")
    assert ad.check_engine(namespace["Value"], raises=False).passed
