"""The assignment *write your own engine*: full marks for the solution, none for the empty copy, and each mistake by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinyad.grade as tg
from tests.assignments.copies import Mistake, author_file, graded_with, load, results_of, solution
from tinyad.checking.grading.build import build

pytest.importorskip("sklearn", reason="the digits come with scikit-learn, the extra data")

NAME = "write_your_own_engine"


def test_the_solution_gets_full_marks(tmp_path: Path) -> None:
    grade = tg.grade(load(NAME), solution(NAME, tmp_path))
    assert [test.name for test in grade.tests if test.status != "passed"] == []
    assert grade.score == grade.points == 30
    assert grade.for_teacher == []


def test_the_copy_that_is_handed_out_gets_nothing(tmp_path: Path) -> None:
    built = build(author_file(NAME), tmp_path / "copy")
    assert built.files == ("README.md", "adapters.py", "arrays.py", "mlp.py", "scalar.py")
    grade = tg.grade(load(NAME), built.folder)
    assert grade.score == 0
    assert grade.for_teacher == []
    assert all("is yours to write" in test.output or "not written yet: " in test.output for test in grade.tests)


@pytest.mark.slow
def test_lint_has_nothing_to_say() -> None:
    from tinyad.checking.grading.lint import lint

    assert list(map(str, lint(author_file(NAME)))) == []


def test_networks_that_are_none_get_no_points_for_reading_digits() -> None:
    [training] = load(NAME, "digits").items
    share = training.metric
    zeros = [(np.zeros((64, 10)), np.zeros(10))]
    assert share(zeros) == 0
    for wrong in ([(np.zeros((64, 9)), np.zeros(9))], [(np.full((64, 10), np.nan), np.zeros(10))], []):
        with pytest.raises(ValueError, match="expected"):
            share(wrong)


PUSH = "                    gradients[id(parent)] = gradients.get(id(parent), 0.0) + part\n"
BACKWARD = f"""\
        gradients = {{id(self): 1.0}}
        for value in reversed(in_order(self)):
            gradient = gradients.pop(id(value))
            value.grad += gradient
            if value.pull is not None:
                for parent, part in zip(value.parents, value.pull(gradient), strict=True):
{PUSH}"""
RECURSIVE = """\
        def push(value):
            for parent, part in zip(value.parents, value.pull(value.grad) if value.pull else ()):
                parent.grad += part
                push(parent)

        self.grad = 1.0
        push(self)
"""
BREADTH_FIRST = """\
        self.grad, waiting, seen = 1.0, [self], {id(self)}
        while waiting:
            value = waiting.pop(0)
            for parent, part in zip(value.parents, value.pull(value.grad) if value.pull else ()):
                parent.grad += part
                if id(parent) not in seen:
                    seen.add(id(parent))
                    waiting.append(parent)
"""
SCALAR, FUNCTIONS, DIGITS = "scalar engine", "functions of a number", "entry by entry"
MISTAKES = (
    Mistake(
        "grad =", (SCALAR,), "scalar.py", PUSH, "                    gradients[id(parent)] = part\n", ("E01",), "`+=`", DIGITS
    ),
    Mistake("recursion without order", (SCALAR,), "scalar.py", BACKWARD, RECURSIVE, ("E02",), "gives 84 at x = 2", DIGITS),
    Mistake("breadth first", (SCALAR,), "scalar.py", BACKWARD, BREADTH_FIRST, ("E04",), "topological order", DIGITS),
    Mistake(
        "tanh of the input",
        (FUNCTIONS,),
        "scalar.py",
        "y = math.tanh(self.data)\n        return Value(y, (self,), lambda g: (g * (1 - y**2),))",
        "y = math.tanh(self.data)\n        return Value(y, (self,), lambda g: (g * (1 - self.data**2),))",
        ("D43",),
        "function='tanh'",
        DIGITS,
    ),
    Mistake(
        "no un-broadcast",
        ("broadcasting", "loss of a network"),
        "arrays.py",
        "lambda g: (unbroadcast(g, self.shape), unbroadcast(g, other.shape))",
        "lambda g: (g, g)",
        ("D07", "D07"),
        "summed over axis 0 it is exactly right",
        DIGITS,
    ),
    Mistake(
        "softmax sum term",
        ("log-softmax",),
        "arrays.py",
        " - np.exp(y) * g.sum(axis=axis, keepdims=True)",
        "",
        ("D47",),
        "differs from the right gradient by",
        DIGITS,
    ),
    Mistake(
        "repeated indices",
        ("places",),
        "arrays.py",
        "np.add.at(full, index, g)",
        "full[index] += g",
        ("D39",),
        "np.add.at",
        DIGITS,
    ),
    Mistake(
        "ties",
        ("array engine",),
        "arrays.py",
        "share = mask / mask.sum(axis=axis, keepdims=True)",
        "share = mask",
        ("E24",),
        "whose sum is 2",
        DIGITS,
    ),
    Mistake(
        "order of a product",
        ("matrix product",),
        "arrays.py",
        "(g @ b.T, a.T @ g)",
        "(b.T @ g, g @ a.T)",
        ("D53",),
        "equals b.T @ gy",
        DIGITS,
    ),
    Mistake(
        "column order",
        ("places",),
        "arrays.py",
        "(g.reshape(self.shape),)",
        "(g.T.reshape(self.shape),)",
        ("D29",),
        "at wrong places",
        DIGITS,
    ),
    Mistake("sum for mean", ("loss of a network",), "mlp.py", "-picked.mean()", "-picked.sum()", ("F03",), "expected", DIGITS),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_costs_points_where_it_is_and_is_named(mistake: Mistake, tmp_path: Path) -> None:
    grade = graded_with(NAME, mistake, tmp_path)
    for item, id in zip(mistake.items, mistake.ids, strict=True):
        tests = results_of(grade, item)
        assert sum(test.score for test in tests) < sum(test.points for test in tests)
        assert id in [tag for test in tests for tag in test.tags]
    assert mistake.said in results_of(grade, mistake.items[0])[0].output
    assert all(test.status == "passed" for test in results_of(grade, mistake.control))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("            p.data = p.data + v\n", "            p.data = p.data - v\n"),  # uphill
        ("            p.grad = np.zeros_like(p.data)\n", "            pass\n"),  # never cleared
    ],
)
def test_training_that_does_not_learn_gets_no_points(old: str, new: str, tmp_path: Path) -> None:
    mistake = Mistake("training", ("digits",), "mlp.py", old, new, (), "", "matrix product")
    grade = graded_with(NAME, mistake, tmp_path)
    assert [test.status for test in grade.tests] == ["passed", "passed", "failed"]


TAUGHT = '''
import math


class Value:
    """An engine as it is often taught: closures that add to the operands' gradients, an order by recursion."""

    def __init__(self, data, children=()):
        self.data, self.grad, self.children = data, 0.0, set(children)
        self.push = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def push():
            self.grad += out.grad
            other.grad += out.grad

        out.push = push
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def push():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.push = push
        return out

    def _function(self, y, slope):
        out = Value(y, (self,))

        def push():
            self.grad += slope * out.grad

        out.push = push
        return out

    def __pow__(self, n):
        return self._function(self.data**n, n * self.data ** (n - 1))

    def tanh(self):
        return self._function(math.tanh(self.data), 1 - math.tanh(self.data) ** 2)

    def exp(self):
        return self._function(math.exp(self.data), math.exp(self.data))

    def relu(self):
        return self._function(max(0.0, self.data), float(self.data > 0))

    def backward(self):
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for child in value.children:
                    visit(child)
                order.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(order):
            value.push()

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return self**-1 * other

    __radd__, __rmul__ = __add__, __mul__
'''


def test_an_engine_as_it_is_often_taught_gets_full_marks(tmp_path: Path) -> None:
    solution(NAME, tmp_path)
    (tmp_path / "scalar.py").write_text(TAUGHT)
    grade = tg.grade(load(NAME, SCALAR, FUNCTIONS, "functions of a negative number"), tmp_path)
    assert [test.status for test in grade.tests] == ["passed"] * 3
