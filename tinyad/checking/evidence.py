"""The evidence that diagnoses are made of, computed when first asked for, and once.

A `Trial` is a rule at one point: its value, random cotangents, numeric Jacobians, what backward returns. `Evidence` is what it
says of one input, as two matrices, ``A`` by the rule and ``J`` by differences, and what follows from them.
"""

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
)
from .differences import NumericJacobian, numeric_jacobian
from .inputs import EPS, BoolArray, FloatArray, FloatInputs, checked_output, signed
from .recorded import Recorded
from .rule import Raised, WrongCount
from .shapes import generic, jittered, resized, shrunk, spread_apart

__all__ = ["Evidence", "Trial"]

SAME = 1e-6  # relative: by chance eight generic numbers agree to this with a probability below 1e-40
PRESENT = 1e-9  # of the largest: smaller entries count as zeros


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
        trusted = self.run[0] if getattr(self.rule, "own_forward", False) else self.rule(*self.rule.in_float64())
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
        y, back = self.rule.run(*self.rule.in_float64()) if getattr(self.rule, "fresh", False) else self.run
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
            return Recorded(self.rule, self.gy, hidden=not getattr(self.rule, "own_forward", True))
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
        found: Evidence = self._evidence.setdefault(i, Evidence(self, i))
        return found

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


class Evidence:
    """What a trial says of one input.

    Rows are entries of the output (or random combinations of them, where they are many), columns entries of the input.
    """

    def __init__(self, trial: Trial, i: int) -> None:
        self.trial, self.i = trial, i
        self.comparison = trial.comparisons[i]
        self.x, self.y = trial.values[i], trial.y
        self.A = self.comparison.yours
        # At a kink every slope between the two sides is right, yours too if it is one of them.
        self.J = np.clip(np.nan_to_num(self.A), self.comparison.low, self.comparison.high)
        smooth = self.comparison.low == self.comparison.high
        self.J = np.where(smooth, self.comparison.low, self.J)
        self.by_rows = self.comparison.rows is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input."""
        return self.x.shape

    @cached_property
    def gy(self) -> FloatArray:
        """The cotangent of `G` and `N`; without rows of its own, the first of the combinations."""
        return self.trial.gy

    @cached_property
    def G(self) -> FloatArray:
        """The gradient by the rule, for a random cotangent."""
        return self._pulled(self.A)

    @cached_property
    def N(self) -> FloatArray:
        """The right gradient, for the same cotangent."""
        return self._pulled(self.J)

    def _pulled(self, matrix: FloatArray) -> FloatArray:
        row = self.gy.ravel() @ matrix if self.by_rows else matrix[0]
        return np.asarray(row.reshape(self.shape))

    @cached_property
    def R(self) -> FloatArray:
        """What is wrong in the gradient."""
        return self.G - self.N

    @cached_property
    def D(self) -> FloatArray:
        """What is wrong in the Jacobian."""
        return self.A - self.J

    @cached_property
    def scale(self) -> float:
        """The largest entry of the Jacobian."""
        return float(np.abs(self.J).max(initial=0.0))

    @cached_property
    def noise(self) -> float:
        """Numeric errors, relative to the largest entry; at most 1e-4, so that a difference of 1e-3 is never noise."""
        errors = float(self.comparison.error.max(initial=0.0))
        return min(20 * errors / self.scale, 1e-4) if self.scale else 0.0

    # ---- where there is what

    @cached_property
    def nz(self) -> BoolArray:
        """Where the Jacobian is not zero."""
        return np.asarray(np.abs(self.J) > max(PRESENT, self.noise) * self.scale)

    @cached_property
    def an(self) -> BoolArray:
        """Where the rule's Jacobian is not zero."""
        largest = max(float(np.abs(self.A).max(initial=0.0)), self.scale)
        return np.asarray(np.abs(self.A) > max(PRESENT, self.noise) * largest)

    @cached_property
    def ok(self) -> BoolArray:
        """Where the rule is right."""
        return np.asarray(~self.comparison.wrong)

    @cached_property
    def miss(self) -> BoolArray:
        """Where the rule has a zero that should be none."""
        return np.asarray(self.nz & ~self.an)

    @cached_property
    def extra(self) -> BoolArray:
        """Where the rule has none and there should be a zero."""
        return np.asarray(self.an & ~self.nz)

    # ---- identities

    def residual(self, a: FloatArray, b: FloatArray) -> float:
        """The largest difference of two arrays, relative to their largest number."""
        if np.shape(a) != np.shape(b):
            return np.inf
        largest = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
        difference = float(np.abs(np.subtract(a, b)).max(initial=0.0))
        return difference / largest if largest else 0.0

    def same(self, a: FloatArray, b: FloatArray) -> bool:
        """Whether two arrays agree to 1e-6, or to numeric errors where these are larger."""
        return self.residual(a, b) <= max(SAME, self.noise)

    def zero(self, a: FloatArray) -> bool:
        """Whether an array is zero beside the Jacobian."""
        return float(np.abs(a).max(initial=0.0)) <= max(SAME, self.noise) * self.scale

    @cached_property
    def elementwise(self) -> bool:
        """Whether every entry of the output depends on the entry of the input at its place alone."""
        if not self.by_rows or self.y.shape != self.shape or self.J.shape[0] < 3:
            return False
        return not (self.nz & ~np.eye(len(self.J), dtype=bool)).any()

    @property
    def others(self) -> list[tuple[str, FloatArray]]:
        """The other inputs that hold numbers, with their names: labels and masks are among them."""
        pairs = zip(self.trial.rule.words, self.trial.values, strict=True)
        return [*(pair for k, pair in enumerate(pairs) if k != self.i), *self.trial.fixed]

    def coupled(self, matrix: FloatArray) -> tuple[int, ...] | None:
        """The axes along which a matrix lets outputs depend on inputs at other places; None where output and input differ in shape.

        Softmax over the rows of a matrix is coupled along (1,), an elementwise function along ().
        """
        if not self.by_rows or self.y.shape != self.shape:
            return None
        places = np.argwhere(
            np.abs(matrix.reshape(self.y.shape + self.shape)) > max(1e-7, self.noise) * np.abs(matrix).max(initial=0.0)
        )
        apart = places[:, : self.y.ndim] != places[:, self.y.ndim :]
        return tuple(int(k) for k in np.flatnonzero(apart.any(axis=0)))

    @property
    def word(self) -> str:
        """The input's name in formulas."""
        return self.trial.word(self.i)
