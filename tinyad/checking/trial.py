"""A rule at one point, and what is asked of it there: computed when first asked for, and once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..backend import asnumpy, is_array, module_of
from ..tensor import unwrap
from .comparison import (
    ABSOLUTE,
    COARSE_FORWARD,
    ERRORS,
    RTOL,
    Comparison,
    Tolerance,
    by_entries,
    compare,
    projected,
    pulled,
    slopes_along,
    takes_every_entry,
)  # fmt: skip
from .differences import NumericJacobian, numeric_jacobian
from .evidence import Evidence
from .inputs import EPS, FloatArray, FloatInputs, checked_output, signed
from .recorded import Recorded
from .rule import Raised, WrongCount
from .shapes import generic, jittered, resized, shrunk, spread_apart

__all__ = ["Trial"]


class Trial:
    """A rule at one point, in float64.

    Attributes:
        rule: what is checked; a `Pair`, or a function whose derivative tinyad knows.
        seed: of the cotangents and of the next point.
        rtol: relative tolerance of the comparisons.
        origin: the trial that this one was made from; None for the point that was given.
        dtypes: of the float inputs as they were given.
    """

    def __init__(self, rule: FloatInputs, seed: int, rtol: float = RTOL, origin: Trial | None = None) -> None:
        self.rule = rule.raised_to_float64()
        self.dtypes: list[Any] = [value.dtype for value in rule.values] if origin is None else origin.dtypes
        self.seed = seed
        self.rtol = rtol
        self.origin = origin

    # ---- the forward function

    @cached_property
    def handed(self) -> list[Any]:
        """Copies of the inputs, which the rule under test is given in `run`."""
        return self.rule.in_float64()

    @cached_property
    def run(self) -> tuple[Any, Callable[[Any], Sequence[Any]]]:
        """The value by the rule under test, and its backward."""
        return self.rule.run(*self.handed)

    @cached_property
    def value(self) -> tuple[FloatArray, float]:
        """The trusted value, and the rounding unit it was computed with."""
        trusted = self.run[0] if self.rule.own_forward else self.rule(*self.rule.in_float64())
        return checked_output("check", trusted)

    @property
    def y(self) -> FloatArray:
        """The trusted value."""
        return self.value[0]

    @cached_property
    def values(self) -> list[FloatArray]:
        """The float inputs, on the CPU."""
        return [np.array(asnumpy(value), np.float64) for value in self.rule.values]

    @cached_property
    def every_entry(self) -> bool:
        """Whether the Jacobian is small enough to be known entry by entry."""
        return takes_every_entry(self.rule, self.y.size)

    @cached_property
    def numeric(self) -> tuple[NumericJacobian, ...]:
        """The numeric Jacobians by all float inputs."""
        return numeric_jacobian(self.rule, *self.rule.in_float64())

    def jacobian(self, i: int) -> FloatArray:
        """The numeric Jacobian by float input ``i``: a row for each output."""
        return self.numeric[i].jacobian.reshape(self.y.size, self.values[i].size)

    # ---- cotangents, and what backward makes of them

    @cached_property
    def cotangents(self) -> tuple[FloatArray, FloatArray]:
        """Two random cotangents: of either sign, away from zero, and of opposite signs in every second entry, the first included.

        With the same signs |gy| and max(gy, 0) would add up as gy does.
        """
        random = np.random.default_rng([self.seed, 1])
        u, v = (signed(random, self.y.size) for _ in range(2))
        v[::2] = -np.sign(u[::2]) * np.abs(v[::2])
        return u.reshape(self.y.shape), v.reshape(self.y.shape)

    @property
    def gy(self) -> FloatArray:
        """The first of the random cotangents."""
        return self.cotangents[0]

    def returned(self, gy: FloatArray) -> list[Any]:
        """What backward returns for a cotangent, as it is; after a forward of its own, if it needs one each time."""
        y, back = self.rule.run(*self.rule.in_float64()) if self.rule.fresh else self.run
        y = unwrap(y)
        returned = back(module_of(y).array(gy, dtype=getattr(y, "dtype", None)))
        # In copies: what is returned may be written over by the next call.
        return [module_of(unwrap(g)).array(unwrap(g)) if type(unwrap(g)) is np.ndarray else g for g in returned]

    @cached_property
    def first(self) -> list[Any]:
        """What backward returns for `gy` when it is called first."""
        return self.returned(self.gy)

    @cached_property
    def eps(self) -> float:
        """The rounding unit of what backward returns; float64's, unless it keeps to the narrower dtype that was given."""
        kept = [
            unwrap(g).dtype for g, given in zip(self.first, self.dtypes, strict=True) if getattr(unwrap(g), "dtype", 0) == given
        ]
        return max([EPS, *(float(np.finfo(dtype).eps) for dtype in kept)])

    def right(self, i: int, gy: FloatArray | None = None) -> FloatArray:
        """The right gradient of float input ``i``, from the numeric Jacobian."""
        gy = self.gy if gy is None else gy
        return (gy.ravel() @ self.jacobian(i)).reshape(self.values[i].shape)

    def roundoff(self, i: int) -> float:
        """How large a gradient of float input ``i`` may be that is zero: a sum of softmax has one of 1e-17."""
        if not self.every_entry:
            return ABSOLUTE
        error = self.numeric[i].error.reshape(self.y.size, self.values[i].size)
        return float(ERRORS * (np.abs(self.gy.ravel()) @ error).max(initial=0.0)) + 1e-3 * ABSOLUTE * self.numeric[i].scale

    @cached_property
    def tape(self) -> Recorded | None:
        """The tape of the forward function, walked back for `gy`; None if tinyad cannot record it."""
        try:
            return Recorded(self.rule, self.gy, hidden=not (self.rule.own_forward or self.rule.is_ours))
        except Exception:  # plain NumPy code meets Tensors here: loops into np.zeros, type tests, anything
            return None

    def tape_is_right(self, i: int) -> bool:
        """Whether the way back over the tape agrees with differences: a forward may leave the tape on its way."""
        if self.tape is None:
            return False
        if not self.every_entry:
            return True
        right = self.right(i)
        size = float(np.abs(right).max(initial=0.0)) or 1.0
        return bool(np.abs(self.tape.right[i] - right).max(initial=0.0) <= 1e-5 * size)

    # ---- both together

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every input's gradient next to the numeric one."""
        extra = COARSE_FORWARD if self.value[1] > EPS else 0.0
        rules = Tolerance(self.rtol, self.eps, extra)
        if not self.every_entry:
            return compare(self.rule, rules, self.seed, self.value, self.run)
        y, pullback = self.rule.pull(*self.rule.values, run=self.run)
        return by_entries(self.rule, y, pullback, rules, self.seed, self.numeric)

    def evidence(self, i: int) -> Evidence:
        """What this trial says of float input ``i``."""
        if i not in self._evidence:
            self._evidence[i] = Evidence(self, i)
        return self._evidence[i]

    @cached_property
    def _evidence(self) -> dict[int, Evidence]:
        return {}

    def agrees(self) -> bool:
        """Whether the rule is right along one direction for each input and two cotangents: far cheaper than Jacobians."""
        random = np.random.default_rng(self.seed)
        weights = np.stack([gy.ravel() for gy in self.cotangents])
        y, pullback = self.rule.pull(*self.rule.values, run=self.run)
        ours = pulled(pullback, y, weights)
        for i, value in enumerate(self.values):
            direction = np.maximum(1.0, np.abs(value.ravel())) * signed(random, value.size)
            numeric = projected(slopes_along(self.rule, self.rule.values, i, [direction], self.value), weights)
            tolerance = Tolerance(self.rtol, EPS, 0.0).tolerance(numeric.size, numeric.error, numeric.scale, 0.0)
            slope = (ours[i] @ direction)[:, None]
            if not ((slope >= numeric.low - tolerance) & (slope <= numeric.high + tolerance)).all():
                return False
        return True

    def factor(self, i: int) -> float | None:
        """The factor by which the gradient of float input ``i`` is wrong as a whole, from one direction and two cotangents.

        None if the two tell different ones, or the rule raises: then it is no factor, or none of the whole.
        """
        direction = generic(np.random.default_rng(self.seed), self.values[i].shape).ravel()
        try:
            [slope] = slopes_along(self.rule, self.handed, i, [direction], self.value)
            ours = [np.asarray(asnumpy(unwrap(self.returned(gy)[i])), np.float64).ravel() @ direction for gy in self.cotangents]
        except (Raised, WrongCount, ValueError, TypeError):
            return None
        right = [float(gy.ravel() @ slope.jacobian.ravel()) for gy in self.cotangents]
        if not all(right):
            return None
        first, second = (float(a / b) for a, b in zip(ours, right, strict=True))
        return first if abs(first - second) <= 1e-5 * abs(first) else None

    # ---- other trials

    @cached_property
    def another(self) -> Trial | None:
        """The rule at another point near by, with other cotangents; None if forward fails there."""
        return self._trial(jittered(self.rule, self.seed + 1))

    @cached_property
    def elsewhere(self) -> Trial | None:
        """The rule on arrays of other lengths; None if forward takes no others."""
        return self._trial(resized(self.rule, self.seed + 2))

    @cached_property
    def small(self) -> Trial | None:
        """The rule on small arrays, whose Jacobian can be known entry by entry; None if forward takes no such."""
        return self._trial(shrunk(self.rule, self.seed + 4))

    @cached_property
    def apart(self) -> Trial | None:
        """The rule on arrays whose axes are of different lengths where the given ones were of the same; None if there are none."""
        return self._trial(spread_apart(self.rule, self.seed + 5))

    @cached_property
    def square(self) -> Trial | None:
        """The rule on arrays whose axes are all of one length; None if forward takes no such."""
        return self._trial(resized(self.rule, self.seed + 3, square=True))

    def with_value(self, i: int, array: FloatArray) -> FloatInputs:
        """The rule at the point in which float input ``i`` is another array."""
        values = list(self.rule.values)
        values[i] = module_of(values[i]).asarray(array, dtype=values[i].dtype)
        return self.rule.at(values)

    def _trial(self, rule: FloatInputs | None) -> Trial | None:
        return None if rule is None else Trial(rule, self.seed + 1, self.rtol, self)

    @cached_property
    def fixed(self) -> list[tuple[str, FloatArray]]:
        """The numeric arrays among the inputs that are held fixed, with their names."""
        arrays = [(k, leaf) for k, leaf in enumerate(self.rule.leaves) if k not in self.rule.free and is_array(leaf)]
        words = self.rule.leaf_words
        return [(words[k], np.array(asnumpy(leaf), np.float64)) for k, leaf in arrays if leaf.dtype.kind in "iub"]

    def word(self, i: int) -> str:
        """A float input's name in formulas."""
        return self.rule.words[i]
