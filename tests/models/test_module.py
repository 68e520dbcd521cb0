"""Models as dataclasses: what a Module is, and what it shows of itself."""

import copy
from dataclasses import dataclass, field

import numpy as np
import pytest

import tinyad as ad
from tinyad import models, tree


@dataclass
class Line(models.Module):
    slope: np.ndarray
    shift: np.ndarray
    power: int = 1

    def __call__(self, x):
        return (x @ self.slope) ** self.power + self.shift


@dataclass
class Two(models.Module):
    parts: tuple[Line, ...]
    frozen: np.ndarray = field(default_factory=lambda: np.ones(2), metadata={"static": True})


def line(value=1.0, power=1):
    return Line(np.full((3, 1), value), np.zeros(1), power)


def test_arrays_are_parameters_and_the_rest_is_structure():
    two = Two((line(), line(2.0)))
    assert tree.paths(two) == [".parts[0].slope", ".parts[0].shift", ".parts[1].slope", ".parts[1].shift"]
    assert models.parameters(two) == 8
    assert tree.flatten(line(1.0))[1] == tree.flatten(line(5.0))[1]
    assert tree.flatten(line(power=1))[1] != tree.flatten(line(power=2))[1]


def test_the_gradient_of_a_model_is_a_model():
    x = np.arange(6.0).reshape(2, 3)
    gradient = ad.grad(lambda net: net(x).sum())(line())
    assert type(gradient) is Line
    np.testing.assert_array_equal(gradient.slope, x.sum(axis=0)[:, None])
    np.testing.assert_array_equal(gradient.shift, [2.0])
    assert gradient.power == 1


def test_repr_shows_shapes_and_the_number_of_parameters():
    assert repr(line()) == "Line(slope=float64[3, 1], shift=float64[1], power=1): 4 parameters"
    many = Two((line(), line(2.0), line(power=2)))
    assert repr(many) == (
        "Two(\n"
        "    parts=(2 x Line(slope=float64[3, 1], shift=float64[1], power=1), "
        "Line(slope=float64[3, 1], shift=float64[1], power=2)),\n"
        "    frozen=float64[2],\n"
        "): 12 parameters"
    )


def test_repr_shows_containers_functions_and_tensors():
    @dataclass
    class Odd(models.Module):
        table: dict
        items: list
        act: object
        none: object = None

    odd = Odd({"w": ad.tensor([1.0, 2.0])}, [np.float32(1), 2], ad.tanh)
    assert repr(odd) == "Odd(table={'w': float64[2]}, items=[float32[], 2], act=tanh, none=None): 4 parameters"


def test_a_repr_of_ones_own_is_kept_and_inherited():
    @dataclass
    class Named(models.Module):
        w: np.ndarray

        def __repr__(self):
            return "mine"

    @dataclass
    class Heir(Named):
        b: np.ndarray

    assert repr(Named(np.ones(1))) == repr(Heir(np.ones(1), np.ones(1))) == "mine"


def test_models_are_equal_only_to_themselves():
    first, second = line(), line()
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_a_module_that_is_no_dataclass_is_refused():
    class Forgotten(models.Module):
        pass

    class Heir(Line):  # would be a dataclass, but without what it adds
        more: np.ndarray

    with pytest.raises(TypeError, match=r"Forgotten: is a Module but no dataclass.*Write @dataclass above `class Forgotten`"):
        Forgotten()
    with pytest.raises(TypeError, match="Heir: is a Module but no dataclass"):
        Heir(np.ones((3, 1)), np.zeros(1))


def test_modules_can_be_copied_and_mapped():
    net = models.ResNet.create(0, 2, 3, 2, depth=2)
    again = copy.deepcopy(net)
    assert repr(again) == repr(net)
    doubled = tree.map(lambda p: 2 * p, net)
    np.testing.assert_array_equal(doubled.layers[1].weight, 2 * net.layers[1].weight)
    assert doubled.layers[1].activation is ad.tanh


def test_parameters_of_any_tree():
    assert models.parameters([np.ones((2, 3)), {"a": 1.0, "b": None}]) == 7
    assert models.parameters(()) == 0
