"""An operation that replaces the gradient of its operand is named, in engines that are right in all others."""

import pytest

import tinyad as ad
from tests.checking.engine.closures import Arrays, Numbers, spoilt_arrays, spoilt_numbers
from tinyad.checking.engine import LocalDriver
from tinyad.checking.engine.uses import uses


def wrong(Engine, **options):
    return [d for d in ad.check_engine(Engine, raises=False, **options).diagnoses if d.error]


@pytest.mark.parametrize("Engine", [Numbers, Arrays])
def test_engines_whose_rules_add_pass(Engine):
    assert wrong(Engine) == []


OF_NUMBERS = {
    "pow": "`__pow__`",
    "neg": "`__neg__`",
    "sub": "`__sub__`",
    "sub 1": "`__sub__`",
    "truediv": "`__truediv__`",
    "truediv 0": "`__truediv__`",
    "tanh": "tanh",
    "relu": "relu",
    "exp": "exp",
    "add": "`__add__`",
    "add 0": "`__add__`",
    "add 1": "`__add__`",
    "mul": "`__mul__`",
    "mul 0": "`__mul__`",
    "mul 1": "`__mul__`",
}
OF_ARRAYS = {
    "pow": "`__pow__`",
    "tanh": "tanh",
    "relu": "relu",
    "matmul": "`__matmul__`",
    "matmul 1": "`__matmul__`",
    "getitem": "`__getitem__`",
    "sum": "sum",
    "max": "max",
    "reshape": "reshape",
    "transpose": "transpose",
    "add 1": "`__add__`",
    "mul": "`__mul__`",
}
ALL = [(spoilt_numbers(line), name) for line, name in OF_NUMBERS.items()]
ALL += [(spoilt_arrays(line), name) for line, name in OF_ARRAYS.items()]
REPLACED = "the gradient of an operand that is used elsewhere as well is replaced, not added to"


@pytest.mark.parametrize("Engine, name", ALL, ids=[f"{Engine.__name__} {' '.join(Engine.spoilt)}" for Engine, _ in ALL])
def test_the_one_operation_that_assigns_is_named(Engine, name):
    [only] = uses(LocalDriver(Engine)).diagnoses()
    assert (only.id, only.label) == ("E01", "overwrite")
    assert only.fact.startswith(f"{name}: {REPLACED}\n")
    assert "`+=` in place of `=`" in only.hint


@pytest.mark.parametrize(
    "Engine", [spoilt_numbers("relu"), spoilt_numbers("add 0"), spoilt_arrays("max"), spoilt_arrays("mul 1")]
)
def test_nothing_else_is_said_of_such_an_engine(Engine):
    assert [d.label for d in wrong(Engine)] == ["overwrite"]


@pytest.mark.parametrize("order", [lambda y, x: y + x, lambda y, x: x + y])
def test_the_numbers_that_are_said_are_those_of_the_engine(order):
    x = spoilt_numbers("tanh")(0.5)
    order(x.tanh(), x).backward()
    assert x.grad == pytest.approx(0.7864, abs=1e-4)
    [only] = wrong(spoilt_numbers("tanh"))
    assert (
        "x.tanh() + x at x = 0.9612 has the derivative 0.4452 by it; 0.4452 from x.tanh() and 1 from the other x" in only.fact
    )


@pytest.mark.parametrize("line, side", [("mul 0", "first operand (self.grad)"), ("mul 1", "second operand (other.grad)")])
def test_of_two_lines_the_one_that_assigns_is_said(line, side):
    assert f"in the rule of `__mul__` for the {side}, `+=`" in wrong(spoilt_numbers(line))[0].hint


def test_several_operations_are_one_statement():
    [only] = wrong(spoilt_numbers("tanh", "exp"))
    assert only.fact.startswith("tanh, exp: ") and only.args["operations"] == ["tanh", "exp"]


def test_operations_made_of_the_one_that_assigns_are_not_blamed():
    [only] = wrong(spoilt_arrays("mul"))
    assert only.fact.startswith("`__mul__`: ")
    assert "the same in `__sub__`, `__truediv__`, `__neg__`, " in only.fact and "which may be made of it" in only.fact


@pytest.mark.parametrize("lines", [("add",), ("mul",), ("add 1", "mul 1")])
def test_the_eight_graphs_alone_find_what_assigns_in_their_own_operations(lines):
    [only] = wrong(spoilt_numbers(*lines), level="quick")
    assert only.id == "E01" and "derivative at x = 2 of" in only.explain


def test_where_the_eight_graphs_show_it_the_operations_are_added():
    [only] = wrong(spoilt_numbers("add", "mul"))
    assert only.fact == "x + x gives 1 at x = 2, right is 2"
    assert only.explain.startswith("so it is in `__add__`, `__mul__`, ") and "tanh" not in only.explain


class AtOnce(Numbers):
    """Both gradients of a difference are read before either is added to."""

    def __sub__(self, other):
        b = self.wrap(other)
        out = self.result("sub", self.data - b.data, (self, lambda g: 0.0), (b, lambda g: 0.0))

        def push():
            self.grad, b.grad = self.grad + out.grad, b.grad - out.grad

        out.push = push
        return out


def test_an_operand_given_twice_to_one_operation_that_counts_once():
    [only] = wrong(AtOnce)
    assert (only.id, only.label) == ("E06", "duplicate_parent")
    assert only.fact.startswith("`__sub__`: an operand that is used twice by it counts once\nx - x at x = ")
    assert "-1 by it; 1 from x as the first operand and -1 from x as the second add up to 0" in only.fact


class Subtracting(Numbers):
    """What tanh gives to a gradient that is there is taken from it."""

    def give(self, op, k, parent, part):
        super().give(op, k, parent, -part if op == "tanh" and parent.grad else part)


def test_uses_that_add_up_to_something_else():
    [only] = wrong(Subtracting)
    assert (only.id, only.hint) == ("E10", "")
    assert only.fact.startswith("tanh: the gradients of two uses of an operand do not add up\nx.tanh() + x at x = ")


class Narrow(Arrays):
    """Adds and multiplies arrays of equal shapes only."""

    def __add__(self, other):
        assert self.data.shape == self.wrap(other).data.shape, "equal shapes"
        return Arrays.__add__(self, other)

    def __mul__(self, other):
        assert self.data.shape == self.wrap(other).data.shape, "equal shapes"
        return Arrays.__mul__(self, other)


def of_narrow(*lines):
    return uses(LocalDriver(type("Tensor", (Narrow,), {"spoilt": frozenset(lines)}))).diagnoses()


@pytest.mark.parametrize("line", ["reshape", "matmul", "transpose", "max"])
def test_an_engine_that_cannot_add_a_number_to_an_array_is_asked_otherwise(line):
    assert of_narrow() == []
    [only] = of_narrow(line)
    assert only.args["operations"] == [dict(OF_ARRAYS)[line]] and " * 3).sum()" in only.fact


class RaisesOnSecondUse(Numbers):
    def give(self, op, k, parent, part):
        if op == "exp" and parent.grad:
            raise RuntimeError("there is a gradient already")
        super().give(op, k, parent, part)


def test_what_raises_only_where_there_is_another_use():
    [only] = wrong(RaisesOnSecondUse)
    assert (only.id, only.name) == ("E12", "x.exp() + x") and "there is a gradient already" in only.fact
