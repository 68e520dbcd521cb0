"""The held-out operations are right, and enough can be got wrong in them."""

import numpy as np
import pytest

import tinyad as ad
from tests.checking.held_out.mutants import differs, gradients, non_equivalent
from tests.checking.held_out.operations import OPERATIONS
from tinyad.checking.mutation import mutants
from tinyad.checking.numeric import numeric_jacobian

all_operations = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def close(ours, theirs):
    return np.shape(ours) == np.shape(theirs) and np.abs(ours - theirs).max() <= 1e-9 * np.abs(theirs).max()


@all_operations
def test_the_reference_gives_the_same_value(operation):
    inputs = operation.inputs(np.random.default_rng(0))
    y, _ = operation.forward(*inputs)
    assert close(y, operation.reference(*inputs))


@all_operations
def test_the_backward_agrees_with_differences_of_the_forward(operation):
    generator = np.random.default_rng(0)
    inputs = operation.inputs(generator)
    dout = generator.normal(size=np.shape(operation.forward(*inputs)[0]))
    given = gradients(operation, operation.backward, 0)
    assert len(given) == len(inputs)
    for k, (x, gradient) in enumerate(zip(inputs, given, strict=True)):
        if x.dtype == int:
            assert gradient is None
        else:
            numeric = numeric_jacobian(lambda *xs: np.sum(operation.forward(*xs)[0] * dout), *inputs, wrt=k)
            assert not numeric.kinks.any()
            assert close(gradient, numeric.jacobian)


@all_operations
def test_the_backward_agrees_with_the_derivative_of_the_reference(operation):
    generator = np.random.default_rng(1)
    inputs = operation.inputs(generator)
    floats = [k for k, x in enumerate(inputs) if x.dtype == float]

    def reference(*moved):
        given = dict(zip(floats, moved, strict=True))
        return operation.reference(*(given.get(k, x) for k, x in enumerate(inputs)))

    y, pullback = ad.vjp(reference, *(inputs[k] for k in floats))
    derivatives = pullback(generator.normal(size=np.shape(y)))
    given = gradients(operation, operation.backward, 1)
    for k, derivative in zip(floats, derivatives, strict=True):
        assert close(given[k], derivative)


@all_operations
def test_the_backward_does_not_differ_from_itself(operation):
    assert not differs(operation, operation.backward)


def test_a_mistake_that_changes_nothing_is_left_out():
    [selu] = [operation for operation in OPERATIONS if operation.name == "selu"]
    every, kept = (
        {mutant.after for mutant in found if mutant.family == "change comparison"}
        for found in (mutants(selu.backward), non_equivalent(selu))
    )
    assert every == {"x < 0", "x >= 0"}
    assert kept == {"x < 0"}


def test_there_are_many_mistakes_in_many_operations():
    found = [non_equivalent(operation) for operation in OPERATIONS]
    assert len(found) == len({operation.name for operation in OPERATIONS}) == 38
    assert min(len(mistakes) for mistakes in found) >= 10
    # A tenth of it would do to measure by; a fall tells of a family of mistakes that is no longer made.
    assert sum(len(mistakes) for mistakes in found) >= 2800
    assert sum(mutant.realistic for mistakes in found for mutant in mistakes) >= 1800
