"""Operands: another input transposed or reversed, or a product in the wrong order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ..comparison import slopes_along
from ..evidence import Evidence
from ..inputs import FloatArray
from ..shapes import generic
from ..trial import Trial
from .finding import Entry, Finding

__all__ = ["OPERANDS"]


def operand(e: Evidence) -> Finding | None:
    """A is J with another input transposed or reversed."""
    if not e.by_rows:
        return None
    for j, (word, array) in enumerate(zip(e.trial.rule.words, e.trial.values, strict=True)):
        for text, moved in _moved(array):
            if j == e.i and e.y.shape == e.shape:
                continue
            there = _jacobian_with(e, j, moved)
            if there is not None and e.same(e.A, there) and not e.same(e.J, there):
                hint = (
                    "a .T is missing or there is one too many" if "transposed" in text else "it is indexed the wrong way round"
                )
                return Finding(
                    f"right if {word} were {text}", f"{hint}: {word}", {"operand": word, "how": text}, e.residual(e.A, there)
                )
    return None


def _moved(array: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    if array.ndim >= 2 and array.shape[-1] == array.shape[-2]:
        yield "transposed", array.swapaxes(-1, -2)
    for axis in range(array.ndim):
        if array.shape[axis] > 1:
            yield f"reversed along axis {axis}", np.flip(array, axis)
    if array.ndim > 1:
        yield "reversed along the last two axes", np.flip(array, (-1, -2))


def _jacobian_with(e: Evidence, j: int, moved: FloatArray) -> FloatArray | None:
    """The Jacobian by this input with another one in the place of input j; None if it cannot be the rule's.

    One direction tells most of those that are not: it takes four calls of forward, a Jacobian four for each entry.
    """
    rule = e.trial.with_value(j, np.ascontiguousarray(moved))
    direction = generic(np.random.default_rng(0), e.shape).ravel()
    try:
        [slope] = slopes_along(rule, rule.in_float64(), e.i, [direction])
        if slope.jacobian.shape != e.y.shape or e.residual(e.A @ direction, slope.jacobian.ravel()) > 1e-4:
            return None
        return Trial(rule, e.trial.seed).jacobian(e.i)
    except Exception:  # forward does not take it
        return None


def order(e: Evidence) -> Finding | None:
    """G is a product of gy and one other input, and the right gradient is another product of these two."""
    if not e.by_rows or e.gy.ndim != 2 or len(e.shape) != 2:
        return None
    for word, array in [*e.others, (e.word, e.x)]:
        if array.ndim != 2:
            continue
        products = list(_products(e.gy, word, array))
        if not any(e.same(e.N, product) for _, product in products):
            continue
        for text, product in products:
            if e.same(e.G, product) and not e.same(e.N, product):
                hint = "the operands stand in the wrong order, or one is transposed wrongly"
                return Finding(f"equals {text}", hint, {"product": text}, e.residual(e.G, product))
    return None


def _products(gy: FloatArray, word: str, array: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """The matrix products of gy and an array, either transposed or not, in both orders."""
    pairs = itertools.product((("gy", gy), ("gy.T", gy.T)), ((word, array), (f"{word}.T", array.T)))
    for (a, left), (b, right) in pairs:
        for text, x, z in ((f"{a} @ {b}", left, right), (f"{b} @ {a}", right, left)):
            if x.shape[1] == z.shape[0]:
                yield text, x @ z


OPERANDS = (Entry("D53", "order", order), Entry("D52", "operand", operand))
