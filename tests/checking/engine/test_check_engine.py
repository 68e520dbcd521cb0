"""`check_engine` names what is wrong with an engine, and finds nothing wrong with good ones."""

import cProfile
import itertools
import pickle
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

import tinyad as ad
from tests.checking.engine.models import WAYS, all_ways, engine
from tests.checking.engine.right import Tensor, Value
from tinyad.checking.engine import LocalDriver, examine_engine


def found(Engine, **options):
    """The labels of what is wrong."""
    return [d.label for d in ad.check_engine(Engine, raises=False, **options).diagnoses if d.error]


def notes(Engine, **options):
    """The labels of what is only worth knowing, where nothing is wrong."""
    return [d.label for d in ad.check_engine(Engine, **options).diagnoses]


def spoilt(Engine, **methods):
    return type(Engine.__name__, (Engine,), methods)


# ---- good engines


@pytest.mark.parametrize("Engine", [Value, Tensor])
def test_a_right_engine_passes(Engine):
    report = ad.check_engine(Engine, strict=True)
    assert report and report.passed
    assert [d.label for d in report.diagnoses] == ["reads_data_late"]


class Micrograd(Value):
    """With the order of nodes by recursion, parents in a set, gradients that are never cleared: as it is usually taught."""

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in set(v.parents):
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v.push()


def test_an_engine_as_it_is_usually_taught_passes_with_notes():
    assert notes(Micrograd) == ["deep_chain", "second_backward", "reads_data_late"]
    assert found(Micrograd, strict=True) == ["deep_chain", "second_backward"]


def test_tinyads_own_tensors_pass():
    assert ad.check_engine(ad.tensor, strict=True).function == "tensor"


def test_other_names_for_data_and_gradients_that_are_objects():
    class Other:
        def __init__(self, value, requires_grad=False):
            assert requires_grad in (True, False)
            self.inner = Value(value)
            self.needs = requires_grad

        @classmethod
        def of(cls, inner):
            new = cls(0.0)
            new.inner = inner
            return new

        value = property(lambda self: self.inner.data, lambda self, new: setattr(self.inner, "data", new))
        grad = property(
            lambda self: Other.of(Value(self.inner.grad)), lambda self, g: setattr(self.inner, "grad", g.inner.data)
        )

        def __add__(self, other):
            return Other.of(self.inner + getattr(other, "inner", other))

        def __mul__(self, other):
            return Other.of(self.inner * getattr(other, "inner", other))

        __radd__, __rmul__ = __add__, __mul__

        def backward(self):
            self.inner.backward()

    assert ad.check_engine(Other, strict=True).passed


def test_a_backward_that_wants_the_roots_gradient_is_given_ones():
    class Seeded(Tensor):
        def backward(self, grad):
            assert grad.shape == self.data.shape and (grad == 1).all()
            super().backward()

    assert ad.check_engine(Seeded).passed


def test_an_engine_of_float32_is_held_to_its_precision():
    class Single(Tensor):
        def __init__(self, data, pairs=()):
            super().__init__(np.asarray(data, np.float32), pairs)

    wrong = spoilt(Single, tanh=lambda self: self.result(np.tanh(self.data), (self, lambda g: g * (1 - self.data**2))))
    assert found(wrong) == ["input_for_output"]


# ---- the eight small graphs


@pytest.mark.parametrize("label, way", [pytest.param(label, way, id=f"{label} {k}") for label, k, way in all_ways() if k == 0])
def test_each_wrong_way_back_is_named(label, way):
    labels = found(engine(way), level="quick")
    assert labels == ([] if label == "right" else [label])


@pytest.mark.parametrize("way", WAYS["exponential"])
def test_right_gradients_at_exponential_cost_are_found_by_counting(way):
    report = ad.check_engine(engine(way), level="quick", raises=False)
    few, many = report.diagnoses[0].args["calls"]
    assert many > 10 * few


def test_a_way_back_with_two_mistakes_is_unknown_and_shown_as_a_table():
    def back(self):
        WAYS["overwrite"][0](self)
        for parent, _ in self.parents:
            parent.grad += 0.5

    [unknown] = ad.check_engine(type("Value", (engine(back),), {}), level="quick", raises=False).diagnoses
    assert unknown.label == "unknown"
    assert "a*3 + a*a" in unknown.explain and "44" in unknown.explain


def test_the_message_says_what_is_wrong_and_why():
    with pytest.raises(ad.GradientError, match="topological order, each once") as raised:
        ad.check_engine(engine(WAYS["double_propagation"][0]))
    assert "gives 84 at x = 2, right is 44" in str(raised.value)
    assert pickle.loads(pickle.dumps(raised.value)).report.diagnoses[0].id == "E02"


def test_every_model_has_its_own_id():
    reports = [ad.check_engine(engine(ways[0]), level="quick", raises=False) for ways in WAYS.values()]
    ids = [report.diagnoses[0].id for report in reports if report.diagnoses]
    assert len(ids) == len(set(ids)) == 9


# ---- operations: the statements are those of check_rule


def put(tensor, index):
    def rule(g):
        out = np.zeros_like(tensor.data)
        out[index] += g
        return out

    return rule


def undivided(self, axis, keepdims):
    return self.result(self.data.mean(axis, keepdims=keepdims), (self, lambda g: self.spread(g, axis, keepdims)))


def untransposed(a, b):
    """Right for all but square matrices."""
    return a.result(a.data @ b.data, (a, lambda g: g @ (b.data if len(b.data) == 4 else b.data.T)), (b, lambda g: a.data.T @ g))


NUMBERS = spoilt(
    Value,
    __neg__=lambda self: self.result(-self.data, (self, lambda g: g)),
    __pow__=lambda self, p: self.result(self.data**p, (self, lambda g: g * self.data ** (p - 1))),
    exp=lambda self: self.result(np.exp(self.data), (self, lambda g: np.exp(self.data))),
)
ARRAYS = spoilt(
    Tensor,
    tanh=lambda self: self.result(np.tanh(self.data), (self, lambda g: g * (1 - self.data**2))),
    unbroadcast=lambda self, g, to: g,
    __matmul__=untransposed,
    __getitem__=lambda self, index: self.result(self.data[index], (self, put(self, index))),
    mean=lambda self, axis=None, keepdims=False: undivided(self, axis, keepdims),
)


@cache
def statements(Engine):
    return [(d.label, d.name) for d in ad.check_engine(Engine, raises=False).diagnoses if d.error]


@pytest.mark.parametrize(
    "Engine, label, name",
    [
        (NUMBERS, "sign", "-x"),
        (NUMBERS, "factor", "x ** 3"),
        (NUMBERS, "ignores_gy", "x.exp()"),
        (ARRAYS, "input_for_output", "x.tanh()"),
        (ARRAYS, "unbroadcast", "a + b for (5, 3), (3,)"),
        (ARRAYS, "unbroadcast", "a * b for (5, 1), (1, 3)"),
        (ARRAYS, "transposed_jac", "a @ b for (4, 4), (4, 4)"),
        (ARRAYS, "not_accumulated", "x[[0, 2, 0]]"),
        (ARRAYS, "factor_n", "x.mean()"),
    ],
)
def test_a_wrong_derivative_of_an_operation_is_named(Engine, label, name):
    assert any(each == label and text.startswith(f"{name}, input") for each, text in statements(Engine))


def test_a_wrong_product_is_said_of_the_product_and_the_eight_graphs_are_a_note():
    wrong = spoilt(
        Value,
        __mul__=lambda self, other: self.result(
            self.data * self.wrap(other).data,
            (self, lambda g: g * self.data),
            (self.wrap(other), lambda g: g * self.wrap(other).data),
        ),
    )
    report = ad.check_engine(wrong, raises=False)
    assert report.diagnoses[0].name.startswith("a * b, input 0 'a'")
    assert "E10" not in [d.id for d in report.diagnoses]
    assert "a*3 + a*a" in "\n".join(report.notes)


def test_a_wrong_value_is_said_before_its_derivative():
    [wrong] = ad.check_engine(spoilt(Value, __rsub__=lambda self, other: self - other), raises=False).diagnoses[:1]
    assert (wrong.id, wrong.name) == ("F03", "3 - x")


def test_numbers_on_the_right():
    plain = spoilt(Value, wrap=lambda self, other: other, __neg__=lambda self: self * Value(-1.0))
    assert "no_numbers" in found(plain)


def test_missing_reflected_operators_are_named():
    none = spoilt(Value, __rmul__=None, __rsub__=None)
    [wrong] = [d for d in ad.check_engine(none, raises=False).diagnoses if d.error]
    assert (wrong.id, wrong.args["methods"]) == ("E19", ["__rsub__", "__rmul__"]) or wrong.args["methods"] == [
        "__rmul__",
        "__rsub__",
    ]
    assert "3 * x raises TypeError" in wrong.fact and "3 - x" in wrong.fact


def test_an_axis_that_is_not_offered_is_no_mistake():
    simple = spoilt(
        Tensor,
        sum=lambda self: Tensor.sum(self),
        mean=lambda self: Tensor.sum(self) * (1.0 / self.data.size),
        max=lambda self: Tensor.max(self),
    )
    report = ad.check_engine(simple)
    assert report.passed and "x.sum(axis=0)" in report.notes[0]


def test_an_axis_that_is_ignored_is_a_mistake():
    deaf = spoilt(Tensor, sum=lambda self, axis=None, keepdims=False: Tensor.sum(self))
    assert "forward_shape" in found(deaf)


# ---- the further probes: an engine with just that mistake


def _first_of_eight(self):
    """The ninth use of a variable, and all after it, are forgotten."""
    order = self.order()
    self.grad = self.grad + 1.0
    seen = {}
    for node in reversed(order):
        before = {id(p): (p, p.grad) for p in node.parents}
        node.push()
        for key, (parent, grad) in before.items():
            seen[key] = seen.get(key, 0) + node.parents.count(parent)
            if seen[key] > 8:
                parent.grad = grad
        if node.parents:
            node.grad = 0.0


def _recursive_order(self):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(self)
    for node in order:
        if node.parents:
            node.grad = 0.0
    self.grad = self.grad + 1.0
    for node in reversed(order):
        node.push()


def _deeper_recursion(self):
    """Three frames for a node."""
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            list(map(lambda parent: (lambda p: visit(p))(parent), node.parents))
            order.append(node)

    visit(self)
    self.grad = 1.0
    for node in reversed(order):
        node.push()


def _no_leaf(self):
    if self.parents:
        Value.backward(self)


def _sinks():
    """A tape of all nodes, where whatever has no use counts as a result. It is emptied when backward is done."""
    tape = []

    class Sinks(Value):
        def __init__(self, data, parents=()):
            super().__init__(data, parents)
            tape.append(self)

        def backward(self):
            used = {id(parent) for node in tape for parent in node.parents}
            for node in tape:
                node.grad = node.grad + 1.0 if id(node) not in used else node.grad
            for node in reversed(tape):
                node.push()
                if node.parents and node is not self and id(node) in used:
                    node.grad = 0.0
            tape.clear()
            for node in self.order():
                if node.parents:
                    tape.append(node)
            tape.clear()

    return Sinks


def _one_tape():
    """A tape that is never emptied: nodes of earlier graphs push once more."""
    tape = []

    class Taped(Value):
        def __init__(self, data, parents=()):
            super().__init__(data, parents)
            tape.append(self)

        def backward(self):
            self.grad = 1.0
            for node in reversed(tape):
                node.push()

    return Taped


def _memory():
    """Products are remembered by their operands."""
    made = {}

    def product(self, other):
        other = self.wrap(other)
        key = (id(self), id(other))
        if key not in made:
            made[key] = self, other, Value.__mul__(self, other)
        return made[key][2]

    return spoilt(Value, __mul__=product)


def _both_ties(self, axis=None, keepdims=False):
    mask = self.data == self.data.max(axis, keepdims=True)
    return self.result(self.data.max(axis, keepdims=keepdims), (self, lambda g: mask * self.spread(g, axis, keepdims)))


class WholeNumbers(Tensor):
    """Keeps the dtype it is given, and gradients in arrays like the data."""

    def __init__(self, data, pairs=()):
        self.data, self.pairs, self.grad = np.asarray(data), pairs, None

    def backward(self):
        super().backward()
        for node in self.order():
            if node.grad is not None:
                node.grad = node.grad.astype(node.data.dtype)


class Widening(Tensor):
    def __mul__(self, other):
        b = self.wrap(other)
        wide = np.asarray(self.data, np.float64) * b.data
        return self.result(
            wide, (self, lambda g: self.unbroadcast(g * b.data, self)), (b, lambda g: self.unbroadcast(g * self.data, b))
        )


def _raises_late(self):
    if len(self.order()) > 5000:
        raise MemoryError("too long a graph")
    Value.backward(self)


PROBED = {
    "many_uses": (spoilt(Value, backward=_first_of_eight), "E15", ["many_uses"]),
    "deep_chain": (spoilt(Value, backward=_deeper_recursion), "E16", ["deep_chain"]),
    "unused_input": (_sinks(), "E17", ["unused_input"]),
    "root_is_input": (spoilt(Value, backward=_no_leaf), "E20", ["root_is_input"]),
    "stale_data": (_memory(), "E22", ["stale_data"]),
    "max_ties": (spoilt(Tensor, max=_both_ties), "E24", ["max_ties"]),
    "integer_gradient": (WholeNumbers, "E25", ["integer_gradient"]),
}


@pytest.mark.parametrize("key", PROBED)
def test_an_engine_with_one_bad_habit_is_named(key):
    Engine, id, labels = PROBED[key]
    report = ad.check_engine(Engine, raises=False)
    assert [d.label for d in report.diagnoses if d.error] == labels
    assert id in [d.id for d in report.diagnoses]


def test_gradients_that_leak_from_graph_to_graph_are_named():
    assert "leak" in found(_one_tape())


def test_recursion_is_a_note_as_long_as_it_holds_for_400_nodes():
    Engine = spoilt(Value, backward=_recursive_order)
    [note] = [d for d in ad.check_engine(Engine).diagnoses if d.label == "deep_chain"]
    assert not note.error and note.args["length"] == 10_000
    assert found(Engine, strict=True) == ["deep_chain"]


def test_a_second_backward_shows_what_intermediates_keep():
    [note] = [d for d in ad.check_engine(Micrograd).diagnoses if d.label == "second_backward"]
    assert (note.args["twice"], note.args["first"]) == (176, 44)


def test_wider_results_than_operands_are_a_note():
    assert "widened" in notes(Widening)


def test_what_a_long_graph_raises_is_a_note_with_the_line():
    [note] = [d for d in ad.check_engine(spoilt(Value, backward=_raises_late)).diagnoses if d.label == "exception"]
    assert "too long a graph" in note.fact and "raise MemoryError" in note.hint and not note.error


# ---- engines that raise, or never end


def test_an_exception_is_said_once_with_its_line():
    def tanh(self):
        return self.result(np.tanh(self.data), (self, lambda g: g * undefined))  # noqa: F821

    report = ad.check_engine(spoilt(Value, tanh=tanh), raises=False)
    [wrong] = [d for d in report.diagnoses if d.error]
    assert wrong.name == "x.tanh()" and "NameError" in wrong.fact and "lambda g: g * undefined" in wrong.fact


def test_a_property_that_raises_is_an_operation_that_is_there():
    def transposed(self):
        raise NotImplementedError("not yet written")

    wrong = [d for d in ad.check_engine(spoilt(Tensor, T=property(transposed)), raises=False).diagnoses if d.error]
    assert [(d.id, d.fact) for d in wrong] == [("E27", "not written yet: transposed")]


def test_a_backward_that_raises_on_small_graphs():
    def back(self):
        raise ValueError("no")

    wrong = ad.check_engine(spoilt(Value, backward=back), raises=False).diagnoses[0]
    assert (wrong.id, wrong.fact) == ("E12", "backward raised ValueError: no")
    assert "raise ValueError" in wrong.hint


def test_a_loop_that_does_not_end_is_stopped():
    def back(self):
        queue = [self]
        while queue:
            queue.append(queue.pop())

    assert found(spoilt(Value, backward=back), level="quick") == ["endless"]


def test_the_profile_of_who_calls_is_left_as_it_was():
    def profile(frame, event, argument):
        return None

    sys.setprofile(profile)
    try:
        ad.check_engine(Value, level="quick")
        assert sys.getprofile() is profile
    finally:
        sys.setprofile(None)


def test_an_engine_can_be_checked_while_cprofile_looks():
    with cProfile.Profile() as profile:
        report = ad.check_engine(Value, strict=True)
    assert report.passed
    assert any("examine.py" in str(entry.code) for entry in profile.getstats())


@pytest.mark.parametrize(
    "Engine, words",
    [
        (lambda: None, "cannot be made of 2.0"),
        (lambda value: object(), "numbers cannot be read"),
        (lambda value: Value(0.0), "holds 0.0"),
        (spoilt(Value, __add__=None), r"no \+ \(__add__\)"),
        (type("Bare", (), {"__init__": lambda self, data: setattr(self, "data", data)}), r"no backward\(\), no \+"),
    ],
)
def test_what_is_no_engine_is_told_what_an_engine_is(Engine, words):
    with pytest.raises(ad.GradientError, match=words) as raised:
        ad.check_engine(Engine)
    assert raised.value.report.diagnoses[0].id == "E11"
    assert "after backward the gradient as .grad" in str(raised.value)


@pytest.mark.parametrize(
    "given, error, words",
    [
        ({"level": "deep"}, ValueError, "level is 'deep'; expected 'quick' or 'full'"),
        ({"feedback": "all"}, ValueError, "feedback is 'all'; expected 'fact' or 'hint' or 'explain'"),
    ],
)
def test_unknown_options(given, error, words):
    with pytest.raises(error, match=words):
        ad.check_engine(Value, **given)


def test_an_object_in_place_of_the_class():
    with pytest.raises(TypeError, match="Pass the class, not one of its objects"):
        ad.check_engine(Value(2.0))


# ---- the report


def test_feedback_says_less():
    Engine = engine(WAYS["overwrite"][0])
    text = str(ad.check_engine(Engine, level="quick", feedback="fact", raises=False))
    assert "gives 1" in text and "+=" not in text
    assert "+=" in str(ad.check_engine(Engine, level="quick", feedback="hint", raises=False))


def test_equal_checks_give_equal_json_in_two_processes():
    code = (
        "import tinyad as ad; from tests.checking.engine.models import WAYS, engine;"
        "print(ad.check_engine(engine(WAYS['overwrite'][0]), raises=False).to_json())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1] == ad.check_engine(engine(WAYS["overwrite"][0]), raises=False).to_json() + "\n"


def test_a_driver_of_ones_own_takes_the_place_of_the_class():
    asked = []

    class Told(LocalDriver):
        def backward(self, root, calls=10**6):
            asked.append("backward")
            return super().backward(root, calls)

    assert examine_engine(Told(Value, "mine")).function == "mine"
    assert len(asked) > 50


def test_engines_of_numbers_and_of_arrays_are_told_apart():
    assert [LocalDriver(Engine).arrays for Engine in (Value, Tensor)] == [False, True]
    assert LocalDriver(Value, arrays=True).arrays


def test_turning_the_order_of_parents_changes_no_label():
    for label, ways in WAYS.items():
        for way in itertools.islice(ways, 3):
            assert found(engine(way), level="quick") == ([] if label == "right" else [label])
