"""The contract: one gradient for each input, an array of its shape and of a float type, finite. Facts, without tolerances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...backend import asnumpy, is_array, module_of
from ...tensor import Tensor, unwrap
from ..evidence import SAME
from ..inputs import FloatArray, describe
from ..trial import Trial
from .finding import Finding, along, subsets

__all__ = ["CONTRACT", "Returned"]


@dataclass(frozen=True)
class Returned:
    """What backward returned for one input, next to what it should be.

    Attributes:
        trial: the call.
        i: which of the float inputs.
        g: what was returned, as it is.
    """

    trial: Trial
    i: int
    g: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input."""
        return self.trial.values[self.i].shape

    @cached_property
    def numbers(self) -> FloatArray:
        """The gradient's numbers; empty if it has none."""
        g = unwrap(self.g)
        if isinstance(g, (int, float)):
            return np.array(float(g))
        if not is_array(g) or g.dtype.kind not in "fiub":
            return np.empty(0)
        return np.array(asnumpy(g), np.float64)

    @property
    def known(self) -> bool:
        """Whether the right gradient is known: not where the Jacobian is too large."""
        return self.trial.every_entry

    @cached_property
    def right(self) -> FloatArray:
        """The right gradient."""
        return self.trial.right(self.i)

    def same(self, a: FloatArray, b: FloatArray) -> bool:
        """Whether two arrays agree to 1e-6 of their largest number."""
        if a.shape != b.shape or not a.size:
            return False
        return bool(np.abs(a - b).max() <= SAME * max(float(np.abs(a).max()), float(np.abs(b).max())) + 1e-12)


def none(r: Returned) -> Finding | None:
    """None for an input that influences the output."""
    if r.g is not None or (r.known and not r.trial.jacobian(r.i).any()):
        return None
    return Finding("this input influences the output, and its gradient is None", "it is not computed, or not returned")


def wrong_type(r: Returned) -> Finding | None:
    """No array, an array of objects, or of a type of its own."""
    g = unwrap(r.g)
    if g is None or (isinstance(g, (int, float)) and not isinstance(g, bool) and r.shape == ()):
        return None
    if not is_array(g):
        return Finding(
            f"the gradient is {_kind(g)}; expected an array", "convert it with np.asarray", {"type": type(g).__name__}
        )
    if g.dtype.kind not in "fiub":
        return Finding(f"the gradient holds {g.dtype}; expected real numbers", "", {"type": str(g.dtype)})
    wanted = r.trial.rule.values[r.i]
    if g.ndim and module_of(g) is not module_of(wanted):
        fact = (
            f"the gradient is a {type(g).__module__}.{type(g).__name__} for an input that is a {type(wanted).__module__} array"
        )
        return Finding(fact, "it is made with NumPy where the input's own array module belongs", {"type": type(g).__name__})
    if not isinstance(r.g, Tensor) and isinstance(g, np.ndarray) and type(g) is not np.ndarray:
        name = type(g).__name__
        return Finding(
            f"the gradient is a {name}, a subclass of ndarray", "its operators may mean something else", {"type": name}
        )
    return None


def dtype(r: Returned) -> Finding | None:
    """Integers, or a narrower float than the input."""
    g, wanted = unwrap(r.g), r.trial.dtypes[r.i]
    if not is_array(g) or g.dtype.kind not in "fiub":
        return None
    if g.dtype.kind in "iub":
        if not r.trial.values[r.i].size or (r.known and r.same(r.numbers, r.right) and not r.right.any()):
            return None
        return Finding(
            f"the gradient is {g.dtype}: its numbers are cut to integers",
            "an array made without a float dtype (np.zeros_like of integers, np.array([0, 0]), astype(int))",
            {"dtype": str(g.dtype)},
        )
    if g.dtype.itemsize < wanted.itemsize:
        return Finding(
            f"the gradient is {g.dtype} for an input of {wanted}",
            "an array or a constant in it is made with a narrower dtype",
            {"dtype": str(g.dtype)},
        )
    return None


def not_finite(r: Returned) -> Finding | None:
    """NaN or infinity where the right gradient is finite."""
    bad = ~np.isfinite(r.numbers)
    if not bad.any():
        return None
    places = np.argwhere(bad)
    first = [int(k) for k in places[0]]
    what = "nan" if np.isnan(r.numbers[tuple(first)]) else "inf"
    hints = []
    x, y = r.trial.values[r.i], r.trial.y
    with np.errstate(all="ignore"):
        if not np.isfinite(np.exp(np.abs(x))).all():
            hints.append("exp of the input overflows: subtract the maximum first")
        if (x == 0).any():
            hints.append("the input has zeros: 0/0, log(0) or a negative power of 0")
        elif (y == 0).any():
            hints.append("the output has zeros: a division by it gives 0/0 or infinity")
    return Finding(
        f"{len(places)} of {bad.size} entries are not finite, the first at {first}: {what}"
        + ("; the right ones are" if r.known and np.isfinite(r.right).all() else ""),
        "; ".join(hints) or "0/0, 0*inf, inf - inf, or the logarithm or root of a negative number",
        {"count": len(places)},
    )


def _wrong_shape(r: Returned) -> bool:
    return r.g is not None and (is_array(unwrap(r.g)) or np.isscalar(unwrap(r.g))) and np.shape(unwrap(r.g)) != r.shape


def exchanged(r: Returned) -> Finding | None:
    """Two inputs of different shapes have each other's gradient."""
    if not _wrong_shape(r) or not r.known:
        return None
    for j, word in enumerate(r.trial.rule.words):
        if j != r.i and r.same(r.numbers, r.trial.right(j)):
            other = Returned(r.trial, j, r.trial.first[j])
            if other.same(other.numbers, r.right):
                fact = f"the gradients of {r.trial.word(r.i)} and {word} are exchanged"
                return Finding(fact, "the order of what backward returns", {"with": word})
    return None


def not_unbroadcast(r: Returned) -> Finding | None:
    """The right gradient once it is summed over the axes along which the input was broadcast."""
    if not _wrong_shape(r) or r.numbers.ndim < len(r.shape) or not r.known:
        return None
    for axes in subsets(r.numbers.ndim):
        if any(r.numbers.shape[k] == 1 for k in axes):
            continue
        for keep in (False, True):
            if r.same(r.numbers.sum(axis=axes, keepdims=keep), r.right):
                shown = along(axes)
                how = ", keepdims=True" if keep else ""
                return Finding(
                    f"shape {r.numbers.shape} for an input of shape {r.shape}; summed over {shown} it is exactly right",
                    f"the input was broadcast along {shown}: return g.sum(axis={axes if len(axes) > 1 else axes[0]}{how})",
                    {"axes": list(axes), "keepdims": keep},
                )
    return None


def kept_dimensions(r: Returned) -> Finding | None:
    """The right numbers with axes of length 1 too many or too few."""
    if not _wrong_shape(r) or _long(r.numbers.shape) != _long(r.shape):
        return None
    if r.known and not r.same(r.numbers.reshape(r.shape), r.right):
        return None
    return Finding(
        f"the right numbers in shape {r.numbers.shape} for an input of shape {r.shape}",
        "keepdims too many or too few; reshape it to the shape of the input",
        {"shape": list(r.numbers.shape)},
    )


def transposed_shape(r: Returned) -> Finding | None:
    """The transpose of the right gradient, or of one of its shape."""
    if not _wrong_shape(r) or r.numbers.ndim < 2 or r.numbers.T.shape != r.shape:
        return None
    if not r.known or not r.same(r.numbers.T, r.right):
        return None
    return Finding(f"shape {r.numbers.shape} for an input of shape {r.shape}: its transpose is exactly right", "transpose it")


def wrong_shape(r: Returned) -> Finding | None:
    """Any other shape."""
    if not _wrong_shape(r):
        return None
    given = np.shape(unwrap(r.g))
    fact, hint = f"shape {given} for an input of shape {r.shape}", "a gradient has the shape of its input"
    if r.known and r.numbers.size == r.right.size and r.same(r.numbers.reshape(r.shape), r.right):
        fact, hint = f"{fact}: reshaped it is exactly right", "return g.reshape(x.shape)"
    elif r.known and (axes := _summed_over(r)):
        fact = f"{fact}: the right gradient summed over {along(axes)}"
        hint = "summed over an axis too many"
    return Finding(fact, hint, {"shape": list(given)})


def _summed_over(r: Returned) -> tuple[int, ...]:
    """The axes over which the right gradient was summed, if that is what was returned."""
    for axes in subsets(len(r.shape)):
        for keep in (False, True):
            if r.same(r.numbers, np.asarray(r.right.sum(axis=axes, keepdims=keep))):
                return axes
    return ()


def _long(shape: tuple[int, ...]) -> list[int]:
    return [length for length in shape if length != 1]


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}" if isinstance(value, (tuple, list, dict)) else describe(value)


CONTRACT: tuple[tuple[str, str, Callable[[Returned], Finding | None]], ...] = (
    ("D03", "none_grad", none),
    ("D04", "type", wrong_type),
    ("D05", "dtype", dtype),
    ("D07", "unbroadcast", not_unbroadcast),
    ("D25", "swapped", exchanged),
    ("D08", "keepdims", kept_dimensions),
    ("D09", "transposed_shape", transposed_shape),
    ("D10", "shape", wrong_shape),
    ("D06", "nonfinite", not_finite),
)
