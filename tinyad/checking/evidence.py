"""The evidence that diagnoses are made of: of one input, two matrices, ``A`` by the rule and ``J`` by differences, and what follows
from them, computed when first asked for, and once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .inputs import BoolArray, FloatArray

if TYPE_CHECKING:
    from .trial import Trial

__all__ = ["SAME", "Evidence"]

SAME = 1e-6  # relative: by chance eight generic numbers agree to this with a probability below 1e-40
PRESENT = 1e-9  # of the largest: smaller entries count as zeros


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
