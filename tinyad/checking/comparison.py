"""A rule's gradients next to the numeric ones: entry by entry where the Jacobian is small enough, otherwise in random projections.

A `Comparison` keeps all evidence on one input: what was found, what was expected, and how far the two may be apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..backend import asnumpy, module_of
from ..tensor import unwrap
from .differences import FLOOR, NumericJacobian, derivative_along, numeric_jacobian
from .inputs import EPS, BoolArray, FloatArray, FloatInputs, checked_output, entry_name, signed

__all__ = [
    "COARSE_FORWARD",
    "RTOL",
    "Comparison",
    "Tolerance",
    "by_entries",
    "combinations",
    "compare",
    "projected",
    "pulled",
    "relative_distance",
    "takes_every_entry",
]

RTOL = 1e-6
ERRORS = 20  # times the numeric error estimate
ROUNDING_UNITS = 100  # of the dtype under test: right float32 gradients were within 19 of them
ABSOLUTE = 1e-12  # only where the whole Jacobian is zero within its error, so that nothing gives a scale
COARSE_FORWARD = 1e-3  # of the largest slope, where f computes in float32 whatever it is given

MAX_INPUTS = 2000  # entries of all inputs together, and
MAX_ENTRIES = 1_000_000  # entries of the Jacobian (8 MB an array): beyond, random directions
MAX_OUTPUTS = 512  # one reverse walk each; beyond, random combinations of the outputs
COMBINATIONS = 8
DIRECTIONS = 2  # four calls of f each
MANY = 100_000  # entries of an input, from which on one direction has to do

SHOWN = 5


@dataclass(frozen=True)
class Comparison:
    """A rule's derivative by one input next to the numeric one.

    The arrays have a row for each entry of the output (or random combination of them) and a column for each
    entry of the input (or random direction).

    Attributes:
        name: the input, ``input 0['w']``.
        shape, dtype: of the input.
        rows, columns: the output's and the input's shape, to turn rows and columns into indices; None for
            random combinations and directions.
        yours: by the rule that is checked.
        low, high: the numeric value; two numbers at a kink, where every slope between them is right.
        error: estimated error of the numeric value.
        tolerance: how far outside [low, high] your value may be.
        rough: where f jumps or is noisy, so that the numeric value is uncertain.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    rows: tuple[int, ...] | None
    columns: tuple[int, ...] | None
    yours: FloatArray
    low: FloatArray
    high: FloatArray
    error: FloatArray
    tolerance: FloatArray
    rough: BoolArray

    @property
    def difference(self) -> FloatArray:
        """Distance of your value from the numeric one; NaN where your value is."""
        return np.maximum(np.maximum(self.low - self.yours, self.yours - self.high), 0.0)

    @property
    def wrong(self) -> BoolArray:
        """Where the difference exceeds the tolerance, or your value is NaN."""
        return np.asarray(~(self.difference <= self.tolerance))

    @property
    def kinks(self) -> BoolArray:
        """Where the numeric slopes to the left and to the right differ by more than the tolerance."""
        return np.asarray(self.high - self.low > self.tolerance)

    @property
    def passed(self) -> bool:
        """Whether no entry is wrong."""
        return not self.wrong.any()

    @property
    def verdict(self) -> str:
        """ "passed" or "FAILED"."""
        return "passed" if self.passed else "FAILED"

    @property
    def largest(self) -> float:
        """The largest difference; infinite where your value is NaN."""
        return float(np.nan_to_num(self.difference, nan=np.inf, posinf=np.inf).max(initial=0.0))

    def worst(self, count: int = SHOWN) -> list[tuple[int, int]]:
        """Rows and columns of the wrong entries, those farthest beyond their tolerance first."""
        excess = np.where(self.wrong, self._excess(), -1.0)
        order = np.argsort(-excess, axis=None, kind="stable")[: min(count, int(self.wrong.sum()))]
        return [(int(k) // self.wrong.shape[1], int(k) % self.wrong.shape[1]) for k in order]

    def excess(self, row: int, column: int) -> float:
        """The difference there, in units of its tolerance."""
        return float(self._excess()[row, column])

    def _excess(self) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.nan_to_num(self.difference / self.tolerance, nan=np.inf))

    def summary(self) -> str:
        """The share of wrong entries and the worst of them, in a line."""
        [(row, column)] = self.worst(1)
        yours, low, high, error = (float(v[row, column]) for v in (self.yours, self.low, self.high, self.error))
        numeric = f"{low:+.4g}" if low == high else f"{low:+.4g} to {high:+.4g}"
        return (
            f"{int(self.wrong.sum())} of {self.wrong.size}; worst {self.label(row, column)}: "
            f"yours {yours:+.4g}, numeric {numeric} +- {error:.0e}"
        )

    def as_dict(self) -> dict[str, Any]:
        """What JSON keeps of it. The largest difference only where something is wrong: elsewhere it is roundoff."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "entries": int(self.wrong.size),
            "wrong": int(self.wrong.sum()),
            "passed": self.passed,
            "worst": None if self.passed else self.label(*self.worst(1)[0]),
        }

    def label(self, row: int, column: int) -> str:
        """An entry's name in reports: ``d out[3, 1] / d in[0, 2]``."""
        out = entry_name("out", self.rows, row) if self.rows is not None else f"combination {row} of out"
        into = entry_name("in", self.columns, column) if self.columns is not None else f"direction {column}"
        return f"d {out} / d {into}"

    def __str__(self) -> str:
        head = f"{self.name} {self.shape} {self.dtype}: "
        total = self.wrong.size
        every_entry = self.columns is not None and self.rows is not None
        what = "entries of the Jacobian" if every_entry else "random projections"
        if self.passed:
            lines = [f"{head}passed, {total} {what}, largest difference {self.largest:.1e}"]
        else:
            lines = [f"{head}{int(self.wrong.sum())} of {total} {what} differ, worst first"]
            lines += [f"    {self._line(*place)}" for place in self.worst()]
        return "\n".join([*lines, *self._remarks()])

    def _line(self, row: int, column: int) -> str:
        ours, low, high = (float(values[row, column]) for values in (self.yours, self.low, self.high))
        numeric = f"{low:+.8g}" if low == high else f"{low:+.8g} to {high:+.8g}"
        difference, error = float(self.difference[row, column]), float(self.error[row, column])
        size = max(abs(low), abs(high))
        relative = f"{difference / size:.1e}" if size else "inf"
        return (
            f"{self.label(row, column)}   yours {ours:+.8g}   numeric {numeric} +- {error:.0e}   "
            f"difference {difference:.1e} (relative {relative})"
        )

    def _remarks(self) -> list[str]:
        remarks = []
        for mask, what in (
            (self.kinks, "at a kink of f, where any slope between the two sides passes"),
            (self.rough, "where f jumps or is noisy, so that its numeric derivative is uncertain"),
        ):
            places = np.argwhere(mask)
            if len(places):
                remarks.append(f"    {len(places)} of {mask.size} {what}; for instance")
                remarks += [f"      {self._line(*map(int, place))}" for place in places[:2]]
        return remarks


def compare(
    function: FloatInputs,
    rules: Tolerance,
    seed: int,
    value: tuple[FloatArray, float] | None = None,
    run: tuple[Any, Any] | None = None,
) -> list[Comparison]:
    """Compare every input's derivative, in the dtype of the function's values.

    Args:
        value: what the function gives in float64, and its rounding unit, if they are known already.
        run: what ``function.run`` gives there, likewise.
    """
    y, pullback = function.pull(*function.values, run=run)
    if takes_every_entry(function, int(np.size(unwrap(y)))):
        return by_entries(function, y, pullback, rules, seed, numeric_jacobian(function, *function.in_float64()))
    return [_by_directions(function, i, y, pullback, rules, seed, value) for i in range(len(function.values))]


def takes_every_entry(function: FloatInputs, outputs: int) -> bool:
    """Whether the Jacobian is small enough to be compared entry by entry."""
    inputs = sum(int(value.size) for value in function.values)
    return inputs <= MAX_INPUTS and inputs * outputs <= MAX_ENTRIES


@dataclass(frozen=True)
class Tolerance:
    """What the tolerance depends on besides the numeric values.

    Attributes:
        rtol: relative tolerance.
        eps: rounding unit of the dtype under test.
        extra: a part of the largest slope, where f itself is inaccurate.
    """

    rtol: float
    eps: float
    extra: float

    def tolerance(self, size: FloatArray, error: FloatArray, scale: FloatArray, noise: float) -> FloatArray:
        """For numbers of absolute value ``size``, or sums of signed terms with this 2-norm.

        In such a sum the 2-norm keeps the tolerance meaningful: a bound by the sum of absolute values grows
        like the number of terms, the sum itself like its root, and with 10^5 terms a factor of 2 passes.
        """
        largest = size.max(initial=0.0)
        relative = self.rtol * size + FLOOR * scale + (ROUNDING_UNITS * self.eps + self.extra) * largest
        # Roundoff in a derivative that is zero (of a sum of softmax) has nothing to be measured by. Where there is
        # a derivative, the same absolute tolerance would pass any gradient of a loss scaled by 1e-12.
        absolute = ABSOLUTE if largest <= 100 * error.max(initial=0.0) else ROUNDING_UNITS * EPS
        return np.asarray(relative + ERRORS * error + ROUNDING_UNITS * noise + absolute)


def by_entries(
    function: FloatInputs, y: Any, pullback: Any, rules: Tolerance, seed: int, numerics: Sequence[NumericJacobian]
) -> list[Comparison]:
    """Compare with the numeric Jacobian, entry by entry; combinations of rows if there are many."""
    outputs = int(np.size(unwrap(y)))
    combined = outputs > MAX_OUTPUTS
    weights = combinations(np.random.default_rng(seed), outputs) if combined else np.eye(outputs)
    rows = None if combined else np.shape(unwrap(y))
    ours = pulled(pullback, y, weights)
    noise = _noise(pullback, y, weights, ours) if rules.eps > EPS else [np.zeros(1)] * len(ours)
    comparisons = []
    for i, numeric in enumerate(numerics):
        low, high, error, size, rough = _combined(numeric, weights if combined else None, outputs)
        scale = numeric.scale * np.linalg.norm(weights, axis=1)[:, None]
        tolerance = rules.tolerance(size, error, scale, noise[i].max(initial=0.0))
        found = ours[i], low, high, error, tolerance, rough
        value = function.values[i]
        comparisons.append(Comparison(function.names[i], value.shape, value.dtype, rows, value.shape, *found))
    return comparisons


def combinations(random: np.random.Generator, outputs: int) -> FloatArray:
    """Random cotangents, one a row."""
    return np.stack([signed(random, outputs) for _ in range(min(COMBINATIONS, outputs))])


def _combined(numeric: NumericJacobian, weights: FloatArray | None, outputs: int) -> tuple[Any, ...]:
    """Of a numeric Jacobian's rows (None), or combinations of them: both ends, error, size, whether rough."""
    left, right = numeric.left.reshape(outputs, -1), numeric.right.reshape(outputs, -1)
    error, rough = numeric.error.reshape(outputs, -1), numeric.rough.reshape(outputs, -1)
    low, high = np.minimum(left, right), np.maximum(left, right)
    size = np.maximum(np.abs(low), np.abs(high))
    if weights is None:
        return low, high, error, size, rough
    up, down, squares = np.maximum(weights, 0), np.minimum(weights, 0), weights**2
    ends = up @ low + down @ high, up @ high + down @ low
    some_rough = np.broadcast_to(rough.any(axis=0), ends[0].shape)
    return *ends, np.sqrt(squares @ error**2), np.sqrt(squares @ size**2), some_rough


def pulled(pullback: Any, y: Any, weights: FloatArray) -> list[FloatArray]:
    """The cotangents of each input, a float64 matrix with a row for every row of weights."""
    y = unwrap(y)
    rows = []
    for row in weights:
        cotangent = module_of(y).asarray(row.reshape(np.shape(y)), dtype=getattr(y, "dtype", None))
        rows.append(
            [np.array(asnumpy(unwrap(g)), np.float64).ravel() for g in pullback(cotangent)]
        )  # copies: it may be a buffer
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _noise(pullback: Any, y: Any, weights: FloatArray, ours: list[FloatArray]) -> list[FloatArray]:
    """Rounding errors of the cotangents: how far they are from being linear.

    In float32 they are no bug, but can be a thousand times larger than the rounding unit: in layer
    normalisation over two numbers the derivative is the difference of two numbers near 1/2.
    """
    noise = []
    for factor in (0.7, 1.3):  # no powers of two, which would change no digit
        again = pulled(pullback, y, factor * weights)
        noise.append([np.abs(g / factor - g0) for g, g0 in zip(again, ours, strict=True)])
    return [np.maximum(*pair) for pair in zip(*noise, strict=True)]


def _by_directions(
    function: FloatInputs, i: int, y: Any, pullback: Any, rules: Tolerance, seed: int, value: tuple[FloatArray, float] | None
) -> Comparison:
    """Compare random projections <u, J d> of the Jacobian by input ``i``."""
    random = np.random.default_rng([seed, i])
    outputs = int(np.size(unwrap(y)))
    weights = combinations(random, outputs)
    values, x = list(function.values), np.asarray(asnumpy(function.values[i]), np.float64)
    lengths = np.maximum(1.0, np.abs(x.ravel()))
    directions = np.stack([lengths * signed(random, x.size) for _ in range(DIRECTIONS if x.size <= MANY else 1)])

    slopes = slopes_along(function, values, i, directions, value)
    if any(slope.kinks.any() for slope in slopes):
        # Many entries at a kink at once (a bias of zero, an image's black border) have slopes of which a
        # direction shows only two sums, and the right derivative need not lie between them. Next to the kink
        # there is only one slope.
        shift = 1e-3 * np.where(x == 0, 1.0, x) * signed(random, x.size).reshape(x.shape)
        values[i] = module_of(values[i]).asarray(x + shift, dtype=values[i].dtype)
        _, pullback = function.pull(*values)
        slopes = slopes_along(function, values, i, directions)

    cotangents = pulled(pullback, y, weights)
    ours = cotangents[i]
    noise = _noise(pullback, y, weights, cotangents)[i] if rules.eps > EPS else np.zeros(1)
    numeric = projected(slopes, weights)
    noise_of_sum = float(noise.max(initial=0.0) * np.linalg.norm(directions[0]))
    tolerance = rules.tolerance(numeric.size, numeric.error, numeric.scale, noise_of_sum)
    tolerance += ROUNDING_UNITS * rules.eps * np.sqrt(ours**2 @ directions.T**2)
    given = function.values[i]
    found = ours @ directions.T, numeric.low, numeric.high, numeric.error, tolerance, numeric.rough
    return Comparison(function.names[i], given.shape, given.dtype, None, None, *found)


class Projected(NamedTuple):
    """Numeric derivatives along directions (columns), combined over the outputs (rows); see `Comparison`."""

    low: FloatArray
    high: FloatArray
    error: FloatArray
    size: FloatArray
    rough: BoolArray
    scale: FloatArray


def projected(slopes: Sequence[NumericJacobian], weights: FloatArray) -> Projected:
    """Combinations, a row of weights each, of the derivatives along directions."""
    columns = [_combined(slope, weights, weights.shape[1]) for slope in slopes]
    low, high, error, size, rough = (np.concatenate(parts, axis=1) for parts in zip(*columns, strict=True))
    scale = max(slope.scale for slope in slopes)
    return Projected(low, high, error, size, rough, scale * np.linalg.norm(weights, axis=1)[:, None])


def slopes_along(
    function: FloatInputs,
    values: Sequence[Any],
    i: int,
    directions: Sequence[FloatArray] | FloatArray,
    value: tuple[FloatArray, float] | None = None,
) -> list[NumericJacobian]:
    """The numeric derivatives of f along directions of input ``i``, whose entries a vector holds: four calls for each if f is
    smooth, and one more if its value is not given."""
    at = [module_of(x).asarray(x, dtype=np.float64) for x in values]
    y, eps = value or checked_output("check", function(*at))
    coarse = y.size > MANY  # truncation of a million terms cancels in their sum
    return [derivative_along(_line(function, at, i, direction), y, eps, coarse) for direction in directions]


def _line(function: FloatInputs, at: Sequence[Any], i: int, direction: FloatArray) -> Callable[[float], Any]:
    d = module_of(at[i]).asarray(direction.reshape(np.shape(at[i])))

    def along(t: float) -> Any:
        with np.errstate(all="ignore"):  # leaving the domain of f is found by its NaN, not by a warning
            return function(*at[:i], at[i] + t * d, *at[i + 1 :])

    return along


def relative_distance(values: FloatArray, reference: FloatArray) -> float:
    """The largest difference relative to the largest number."""
    size = max(float(np.abs(reference).max(initial=0.0)), float(np.finfo(np.float64).tiny))
    return float(np.abs(values - reference).max(initial=0.0)) / size
