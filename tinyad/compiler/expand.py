"""Functions that the compiler writes out as several NumPy calls, so that passes can see inside them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, is_mutable, module_of
from ..loops import Loop
from ..primitives import elementwise as e
from ..primitives import reductions as r
from ..primitives import steps
from ..primitives.complex import is_complex, real
from ..primitives.convolution import written_as_product
from ..primitives.determinants import cofactors_by_svd
from ..primitives.least_squares import solution_by_svd
from ..primitives.shaping import reshape, shape_of
from ..program import Constant, Instruction, Program, Value
from ..tracing import Trace

__all__ = ["EXPANSIONS", "expand"]


def _logsumexp(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    top = r.max(x, axis, keepdims=True) if math.prod(shape_of(x)) else r.sum(x, axis, keepdims=True)
    top = e.where(steps.isfinite(top), top, 0.0)  # infinite elements would give inf - inf
    total = e.log(r.sum(e.exp(x - top), axis, keepdims=keepdims))
    return total + (top if keepdims else reshape(top, shape_of(total)))


def _sigmoid(x: Array) -> Array:
    positive = real(x) >= 0
    small = e.exp(e.where(positive, -x, x) if is_complex(x) else -e.abs(x))
    return e.where(positive, 1.0, small) / (1.0 + small)


def _absorb(x: Array, y: Array) -> Array:
    product = x * y
    for factor in (x, y):
        if is_mutable(factor) and (module_of(factor).isfinite(factor) & (factor != 0)).all():  # known now, and harmless
            return product
    lost = steps.logical_and(steps.isnan(product), steps.logical_or(steps.equal(x, 0), steps.equal(y, 0)))
    return e.where(lost, 0.0, product)


def _shifted(x: Array, axis: tuple[int, ...]) -> Array:
    return x - r.max(x, axis, keepdims=True)


def _softmax(x: Array, *, axis: tuple[int, ...]) -> Array:
    weights = e.exp(_shifted(x, axis))
    return weights / r.sum(weights, axis, keepdims=True)


def _log_softmax(x: Array, *, axis: tuple[int, ...]) -> Array:
    x = _shifted(x, axis)
    return x - e.log(r.sum(e.exp(x), axis, keepdims=True))


def _mean(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    count = math.prod([shape_of(x)[a] for a in axis])
    return r.sum(x, axis, keepdims) / count


EXPANSIONS: dict[str, Callable[..., Any]] = {
    "absorb": _absorb,
    "cofactors": cofactors_by_svd,
    "convolve": written_as_product,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "lstsq": solution_by_svd,
    "mean": _mean,
    "one_minus_square": lambda x: 1.0 - x * x,
    "positive": lambda x: x,
    "reciprocal": lambda x: 1.0 / x,
    "relu": lambda x: e.maximum(x, 0),
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "softplus": lambda x: e.logaddexp(x, 0.0),
}
"""By name of the primitive; each gives the same numbers, up to rounding."""


def expand(program: Program) -> Program:
    """The program with these primitives written out, in the bodies of loops too."""
    kept: list[Instruction] = []
    instead: dict[Value, Any] = {}
    for old in program.instructions:
        inputs = tuple([instead.get(x, x) if isinstance(x, Value) else x for x in old.inputs])
        operation = old.operation
        if isinstance(operation, Loop):
            operation = dataclasses.replace(operation, body=expand(operation.body))
        if old.name in EXPANSIONS:
            instead[old.out] = _written_out(old, inputs, kept)
        else:
            kept.append(Instruction(operation, inputs, old.params, old.outputs, old.line, old.section))
    outputs = [instead.get(x, x) if isinstance(x, Value) else x for x in program.outputs]
    return Program(program.inputs, kept, outputs, program.name)


def _written_out(old: Instruction, inputs: tuple[Any, ...], kept: list[Instruction]) -> Any:
    """Append the instructions of an expansion, and give its result."""
    current = Trace("compile", differentiable=False)
    current.freezes = False  # constants of a program are copies already
    with current.open():
        known = [x.array if isinstance(x, Constant) else x for x in inputs]
        operands = [current.argument(_example(x), x.name) if type(x) is Value else x for x in known]
        out = current.operand(EXPANSIONS[old.name](*operands, **old.params))
    outside: dict[Value, Any] = dict(zip(current.inputs, [x for x in inputs if type(x) is Value], strict=True))
    for new in current.instructions:
        operands = [outside.get(x, x) if isinstance(x, Value) else x for x in new.inputs]
        kept.append(Instruction(new.operation, tuple(operands), new.params, new.outputs, old.line, old.section))
    return outside.get(out, out) if isinstance(out, Value) else out


def _example(x: Value) -> Any:
    return np.zeros((), x.dtype).item() if x.weak else np.zeros(x.shape, x.dtype)
