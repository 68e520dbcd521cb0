"""Engines that are not finished: one sentence says what is missing; and what is raised is told without addresses."""

import subprocess
import sys

import pytest

import tinyad as ad
from tests.checking.engine.closures import Arrays, Numbers


def without(Engine, *names):
    """The engine with methods that raise, each under its own name."""
    methods = {}
    for name in names:
        namespace = {}
        exec(f"def {name}(self, *operands, **options):\n    raise NotImplementedError('yours to write')\n", namespace)
        methods[name] = namespace[name]
    return type("Value", (Engine,), methods)


def checked(Engine):
    return ad.check_engine(Engine, raises=False)


@pytest.mark.parametrize(
    "Engine, names, said",
    [
        (Numbers, ["__mul__", "__pow__", "tanh"], "`__mul__`, `__pow__`, tanh"),
        (Numbers, ["backward", "__mul__"], "backward, `__mul__`"),
        (Numbers, ["__add__", "__mul__", "backward"], "`__add__`, `__mul__`"),
        (Arrays, ["sum", "exp"], "sum, exp"),
        (Arrays, ["__matmul__", "__getitem__", "unbroadcast"], "unbroadcast, `__matmul__`, `__getitem__`"),
        (Arrays, ["max", "reshape"], "max, reshape"),
    ],
)
def test_what_is_not_written_is_one_sentence(Engine, names, said):
    report = checked(without(Engine, *names))
    [only] = [d for d in report.diagnoses if d.error]
    assert (only.id, only.label, only.hint) == ("E27", "not_written", "")
    assert set(only.fact.removeprefix("not written yet: ").split(", ")) >= set(said.split(", "))
    assert "raise NotImplementedError" not in str(report)


def test_what_is_there_and_not_written_is_not_called_missing():
    report = checked(without(Arrays, "sum", "mean", "max", "__pow__"))
    [note] = [note for note in report.notes if note.startswith("not offered")]
    assert not any(name in note for name in ("sum", "mean", "max", "x ** -1.5"))


def test_a_method_of_an_operation_is_named_by_itself_and_not_by_a_function_in_it():
    class Own(Numbers):
        def tanh(self):
            def slope():
                raise NotImplementedError

            return slope()

    [only] = checked(Own).diagnoses[:1]
    assert only.fact == "not written yet: tanh"


def test_what_is_written_is_judged_all_the_same():
    wrong = without(Numbers, "exp")
    wrong.tanh = lambda self: self.result("tanh", self.data**3, (self, lambda g: g))
    ids = [d.id for d in checked(wrong).diagnoses if d.error]
    assert "E27" in ids and "F03" in ids


def test_an_axis_that_raises_NotImplementedError_is_not_offered():
    def total(self, axis=None, keepdims=False):
        if axis is not None:
            raise NotImplementedError("along axes")
        return Arrays.sum(self)

    simple = type("Tensor", (Arrays,), {"sum": total, "mean": lambda self: total(self) * (1.0 / self.data.size)})
    report = checked(simple)
    assert report.passed and "x.sum(axis=0)" in report.notes[0]


def test_numbers_that_are_not_written_are_numbers_that_raise():
    def add(self, other):
        if not isinstance(other, Numbers):
            raise NotImplementedError("numbers")
        return Numbers.__add__(self, other)

    assert [d.id for d in checked(type("Value", (Numbers,), {"__add__": add})).diagnoses if d.error] == ["E18"]


FORGETFUL = """
import tinyad as ad
from tests.checking.engine.closures import Numbers

class Value(Numbers):
    def exp(self):
        return {}[self]

    def relu(self):
        return {}[id(self)]

    def tanh(self):
        out = self.result("tanh", Numbers.tanh(self).data, (self, lambda g: {}[self]))
        return out

    def __neg__(self):
        return self.result("neg", -self.data, (self, lambda g: {}[id(self)]))

print(ad.check_engine(Value, raises=False).to_json())
"""


def test_keys_that_are_objects_or_ids_are_the_same_in_every_process():
    runs = [
        subprocess.run([sys.executable, "-c", FORGETFUL], capture_output=True, text=True, check=True).stdout for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert "KeyError: <__main__.Value object>" in runs[0] and "KeyError: an id()" in runs[0] and "0x" not in runs[0]
