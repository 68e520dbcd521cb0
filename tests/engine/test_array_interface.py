"""What is declared for type checkers is what a Tensor has."""

from tinyad import operators
from tinyad.array_interface import ArrayInterface
from tinyad.tensor import Tensor


def test_every_operator_and_method_is_declared() -> None:
    inherited = {"__eq__", "__ne__"}  # declared by `object`
    assert {*operators.OPERATORS, *operators.METHODS} - inherited <= set(ArrayInterface.__annotations__)


def test_every_declaration_is_kept() -> None:
    assert [name for name in ArrayInterface.__annotations__ if not hasattr(Tensor, name)] == []
