"""The gradient check: tinyad's derivatives against numeric ones, input by input.

`check` compares reverse mode with differences of fourth order, entry by entry where the Jacobian is small
enough and in random directions where it is not, and forward mode with reverse mode by the dot test. A
`Comparison` keeps all evidence on one input: what was found, what was expected, and how far the two may be
apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import asnumpy, module_of
from ..tensor import unwrap
from ..transforms import vjp
from .differences import FLOOR, NumericJacobian, numeric_jacobian
from .dot import DotTest, dot_test
from .inputs import EPS, BoolArray, FloatArray, FloatInputs, as_output, checked_output, entry_name, random_like, signed

__all__ = ["Comparison", "GradientError", "Report", "check"]

RTOL = 1e-6
ERRORS = 20  # times the numeric error estimate
ROUNDING_UNITS = 100  # of the dtype under test: right float32 gradients were within 19 of them
ABSOLUTE = 1e-12  # only where the whole Jacobian is zero within its error, so that nothing gives a scale
COARSE_FORWARD = 1e-3  # of the largest slope, where f computes in float32 whatever it is given

MAX_INPUTS = 2000  # entries of all inputs together, and
MAX_ENTRIES = 1_000_000  # entries of the Jacobian (8 MB an array): beyond, random directions
MAX_OUTPUTS = 512  # one reverse walk each; beyond, random combinations of the outputs
COMBINATIONS = 8
DIRECTIONS = 4

SHOWN = 5

OTHER_VALUES = (
    "f returns other values when it is differentiated than when it is not: the forward function of a custom rule must "
    "compute what the function itself computes."
)


class GradientError(AssertionError):
    """A derivative is wrong. The message is the report; ``report`` is the `Report` itself."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Comparison:
    """tinyad's derivative by one input next to the numeric one.

    The arrays have a row for each entry of the output (or random combination of them) and a column for each
    entry of the input (or random direction).

    Attributes:
        name: the input, ``input 0['w']``.
        shape, dtype: of the input.
        rows, columns: the output's and the input's shape, to turn rows and columns into indices; None for
            random combinations and directions.
        tinyad: by reverse mode.
        low, high: the numeric value; two numbers at a kink, where every slope between them is right.
        error: estimated error of the numeric value.
        tolerance: how far outside [low, high] tinyad's value may be.
        rough: where f jumps or is noisy, so that the numeric value is uncertain.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    rows: tuple[int, ...] | None
    columns: tuple[int, ...] | None
    tinyad: FloatArray
    low: FloatArray
    high: FloatArray
    error: FloatArray
    tolerance: FloatArray
    rough: BoolArray

    @property
    def difference(self) -> FloatArray:
        """Distance of tinyad's value from the numeric one; NaN where tinyad's value is."""
        return np.maximum(np.maximum(self.low - self.tinyad, self.tinyad - self.high), 0.0)

    @property
    def wrong(self) -> BoolArray:
        """Where the difference exceeds the tolerance, or tinyad's value is NaN."""
        return np.asarray(~(self.difference <= self.tolerance))

    @property
    def kinks(self) -> BoolArray:
        """Where the numeric slopes to the left and to the right differ by more than the tolerance."""
        return np.asarray(self.high - self.low > self.tolerance)

    @property
    def passed(self) -> bool:
        """Whether no entry is wrong."""
        return not self.wrong.any()

    def worst(self, count: int = SHOWN) -> list[tuple[int, int]]:
        """Rows and columns of the wrong entries, those farthest beyond their tolerance first."""
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(self.wrong, np.nan_to_num(self.difference / self.tolerance, nan=np.inf), -1.0)
        order = np.argsort(-excess, axis=None, kind="stable")[: min(count, int(self.wrong.sum()))]
        return [(int(k) // self.wrong.shape[1], int(k) % self.wrong.shape[1]) for k in order]

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
            largest = float(self.difference.max(initial=0.0))
            lines = [f"{head}passed, {total} {what}, largest difference {largest:.1e}"]
        else:
            lines = [f"{head}{int(self.wrong.sum())} of {total} {what} differ, worst first"]
            lines += [f"    {self._line(*place)}" for place in self.worst()]
        return "\n".join([*lines, *self._remarks()])

    def _line(self, row: int, column: int) -> str:
        ours, low, high = (float(values[row, column]) for values in (self.tinyad, self.low, self.high))
        numeric = f"{low:+.8g}" if low == high else f"{low:+.8g} to {high:+.8g}"
        difference, error = float(self.difference[row, column]), float(self.error[row, column])
        size = max(abs(low), abs(high))
        relative = f"{difference / size:.1e}" if size else "inf"
        return (
            f"{self.label(row, column)}   tinyad {ours:+.8g}   numeric {numeric} +- {error:.0e}   "
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


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        function: name of the function.
        seed: of the random numbers.
        comparisons: one per float input, in order; for inputs in float32 first in float64, then in float32.
        dot: forward mode against reverse mode; None if forward mode could not be evaluated (see ``notes``).
        faults: what else is wrong.
        notes: what a reader should know of how the check was made.
        second: the check of the second derivative, if it was asked for and the first derivative passed.
    """

    function: str
    seed: int
    comparisons: tuple[Comparison, ...]
    dot: DotTest | None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    second: Report | None = None

    @property
    def passed(self) -> bool:
        """Whether every comparison passed."""
        return (
            not self.faults
            and all(comparison.passed for comparison in self.comparisons)
            and (self.dot is None or self.dot.passed)
            and (self.second is None or self.second.passed)
        )

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        if self.second is not None and self.passed:
            return f"{self._first()}\n{self.second}"
        return str(self.second) if self.second is not None and not self.second.passed else self._first()

    def _first(self) -> str:
        verdict = "passed" if replace(self, second=None).passed else "FAILED"
        lines = [f"check of {self.function}: {verdict}   (seed {self.seed})"]
        parts = [
            *self.faults,
            *map(str, self.comparisons),
            *([] if self.dot is None else [str(self.dot)]),
            *self.notes,
        ]
        return "\n".join([*lines, *["  " + part.replace("\n", "\n  ") for part in parts]])


def check(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    rtol: float | None = None,
    seed: int = 0,
    raises: bool = True,
) -> Report:
    r"""Check tinyad's derivatives of ``f`` against numeric ones.

    Reverse mode is compared with fourth-order differences of ``f`` in float64 (`numeric_jacobian`): every
    entry of the Jacobian if the inputs have at most 2000 entries (and the Jacobian 10^6), otherwise 4 random
    directions for each input and 8 random combinations of the outputs. An entry a is right if it is within

        rtol |J| + 1e-8 max|J| + 20 error + 100 eps max|J|

    of the numeric J, or between the slopes on either side at a kink. Inputs of lower precision are checked
    twice: the rule in float64, and what it gives in the inputs' own dtype, with its rounding unit eps (1.2e-7
    for float32), or its rounding errors where these are seen to be larger. Forward mode is compared with
    reverse mode by `dot_test`, with no differences involved.

    Args:
        f: a function of arrays or trees of them, written for tinyad or NumPy, that returns a float array (or
            a tree).
        inputs: where to check; float arrays and trees of them are differentiated, everything else is held
            fixed. Complex arrays, and a complex output, count as two float arrays, their real and imaginary parts.
        order: 2 to check, once the first derivative passed, the pullback (x, gy) -> J(x)' gy in the same way.
        rtol: the relative tolerance; 1e-6 if None.
        seed: of the random directions.
        raises: whether to raise on failure; otherwise the report is returned, false as a bool.

    Returns:
        The `Report`: ``passed``, ``comparisons`` with all numbers, and the text of it by ``str``.

    Raises:
        GradientError: a derivative is wrong (an AssertionError; its message is the report).
        TypeError: no input holds floats, or the output does not.
        ValueError: NaN or infinity in the inputs or the output, an output without entries, ``f`` gives two values
            for the same input, or is not finite on both sides of an entry.

    >>> import numpy as np, tinyad as ad
    >>> from tinyad.checking import check
    >>> bool(check(lambda w, x: ad.tanh(x @ w), np.array([0.5, -1.0]), np.eye(2)))
    True
    >>> @ad.custom_vjp
    ... def cube(x):
    ...     return x**3
    >>> cube.defvjp(lambda x: (x**3, x), lambda x, g: (2 * g * x**2,))
    >>> print(check(cube, 2.0, raises=False))
    check of cube: FAILED   (seed 0)
      input 0 () float64: 1 of 1 entries of the Jacobian differ, worst first
          d out / d in   tinyad +8   numeric +12 +- ...   difference 4.0e+00 (relative 3.3e-01)
      dot test passed: ...
    """
    if order not in (1, 2):
        raise ValueError(f"check: order is {order!r}; expected 1 (first derivatives) or 2 (second derivatives, too).")
    if rtol is not None and not rtol > 0:
        raise ValueError(f"check: rtol is {rtol!r}; expected a positive number, or None for {RTOL}.")
    rtol = RTOL if rtol is None else rtol
    function = FloatInputs("check", f, inputs)
    name = str(getattr(f, "__name__", type(f).__name__))
    report = _check(function, name, rtol, seed)
    if order == 2 and report.passed:
        report = replace(report, second=_check(_pullback(function, seed), f"the pullback of {name}", rtol, seed))
    if raises and not report.passed:
        raise GradientError(report)
    return report


def _pullback(function: FloatInputs, seed: int) -> FloatInputs:
    """The reverse derivative as a function of the inputs and the cotangent."""
    y, _ = vjp(function, *function.values)
    gy = random_like(np.random.default_rng(seed), y)

    def pullback(*arguments: Any) -> Any:
        *floats, cotangent = arguments
        return vjp(function, *floats)[1](cotangent)

    result = FloatInputs("check", pullback, (*function.values, gy))
    result.names[:] = [*function.names, "the cotangent"]
    return result


def _check(function: FloatInputs, name: str, rtol: float, seed: int) -> Report:
    """The check of a function's first derivative."""
    exact = function.raised_to_float64()
    y, eps_of_forward = checked_output("check", exact(*exact.values))
    plain, _ = checked_output("check", function(*function.values))
    if not y.size:
        raise ValueError(f"check: f returned an array of shape {y.shape}; expected at least one entry to differentiate.")
    taped, eps = as_output("check", vjp(function, *function.values)[0])
    eps = max(eps, function.eps)
    if taped.shape != plain.shape:
        return Report(name, seed, (), None, (OTHER_VALUES,))

    comparisons = _compare(exact, _Rules(rtol, EPS, COARSE_FORWARD if eps_of_forward > EPS else 0.0), seed)
    if eps > EPS:
        comparisons += _compare(function, _Rules(rtol, eps, 10 * _relative_distance(plain, y)), seed)

    notes = []
    if eps_of_forward > EPS:
        notes.append("f computes in less than float64 whatever it is given: the numeric values are uncertain.")
    if function.raised_to_float32:
        notes.append("float16 inputs are checked in float32: with a rounding unit of 1e-3 nothing is judged.")
    dot = None
    try:
        dot = dot_test(exact, *exact.values, seed=seed)
    except (TypeError, NotImplementedError) as error:  # the rule of a custom_vjp is written in plain NumPy
        notes.append(f"forward mode is not checked, because it could not be evaluated: {error}")
    faults = (OTHER_VALUES,) if _relative_distance(taped, plain) > ROUNDING_UNITS * eps else ()
    return Report(name, seed, tuple(comparisons), dot, faults, tuple(notes))


def _relative_distance(values: FloatArray, reference: FloatArray) -> float:
    """The largest difference relative to the largest number."""
    size = max(float(np.abs(reference).max(initial=0.0)), float(np.finfo(np.float64).tiny))
    return float(np.abs(values - reference).max(initial=0.0)) / size


def _compare(function: FloatInputs, rules: _Rules, seed: int) -> list[Comparison]:
    """Compare every input's derivative, in the dtype of the function's values."""
    y, pullback = vjp(function, *function.values)
    inputs, outputs = sum(int(value.size) for value in function.values), int(np.size(unwrap(y)))
    if inputs <= MAX_INPUTS and inputs * outputs <= MAX_ENTRIES:
        return _by_entries(function, y, pullback, rules, seed)
    return [_by_directions(function, i, y, pullback, rules, seed) for i in range(len(function.values))]


@dataclass(frozen=True)
class _Rules:
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


def _by_entries(function: FloatInputs, y: Any, pullback: Any, rules: _Rules, seed: int) -> list[Comparison]:
    """Compare with the numeric Jacobian, entry by entry; combinations of rows if there are many."""
    outputs = int(np.size(unwrap(y)))
    combined = outputs > MAX_OUTPUTS
    weights = _combinations(np.random.default_rng(seed), outputs) if combined else np.eye(outputs)
    rows = None if combined else np.shape(unwrap(y))
    ours = _pulled(pullback, y, weights)
    noise = _noise(pullback, y, weights, ours) if rules.eps > EPS else [np.zeros(1)] * len(ours)
    comparisons = []
    for i, numeric in enumerate(numeric_jacobian(function, *function.in_float64())):
        low, high, error, size, rough = _combined(numeric, weights if combined else None, outputs)
        scale = numeric.scale * np.linalg.norm(weights, axis=1)[:, None]
        tolerance = rules.tolerance(size, error, scale, noise[i].max(initial=0.0))
        found = ours[i], low, high, error, tolerance, rough
        value = function.values[i]
        comparisons.append(Comparison(function.names[i], value.shape, value.dtype, rows, value.shape, *found))
    return comparisons


def _combinations(random: np.random.Generator, outputs: int) -> FloatArray:
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


def _pulled(pullback: Any, y: Any, weights: FloatArray) -> list[FloatArray]:
    """The cotangents of each input, a float64 matrix with a row for every row of weights."""
    y = unwrap(y)
    rows = []
    for row in weights:
        cotangent = module_of(y).asarray(row.reshape(np.shape(y)), dtype=getattr(y, "dtype", None))
        rows.append([np.asarray(asnumpy(unwrap(g)), np.float64).ravel() for g in pullback(cotangent)])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _noise(pullback: Any, y: Any, weights: FloatArray, ours: list[FloatArray]) -> list[FloatArray]:
    """Rounding errors of the cotangents: how far they are from being linear.

    In float32 they are no bug, but can be a thousand times larger than the rounding unit: in layer
    normalisation over two numbers the derivative is the difference of two numbers near 1/2.
    """
    noise = []
    for factor in (0.7, 1.3):  # no powers of two, which would change no digit
        again = _pulled(pullback, y, factor * weights)
        noise.append([np.abs(g / factor - g0) for g, g0 in zip(again, ours, strict=True)])
    return [np.maximum(*pair) for pair in zip(*noise, strict=True)]


def _by_directions(function: FloatInputs, i: int, y: Any, pullback: Any, rules: _Rules, seed: int) -> Comparison:
    """Compare random projections <u, J d> of the Jacobian by input ``i``."""
    random = np.random.default_rng([seed, i])
    outputs = int(np.size(unwrap(y)))
    weights = _combinations(random, outputs)
    values, x = list(function.values), np.asarray(asnumpy(function.values[i]), np.float64)
    lengths = np.maximum(1.0, np.abs(x.ravel()))
    directions = np.stack([lengths * signed(random, x.size) for _ in range(DIRECTIONS)])

    slopes = [_slope(function, values, i, d) for d in directions]
    if any(slope.kinks.any() for slope in slopes):
        # Many entries at a kink at once (a bias of zero, an image's black border) have slopes of which a
        # direction shows only two sums, and the right derivative need not lie between them. Next to the kink
        # there is only one slope.
        shift = 1e-3 * np.where(x == 0, 1.0, x) * signed(random, x.size).reshape(x.shape)
        values[i] = module_of(values[i]).asarray(x + shift, dtype=values[i].dtype)
        _, pullback = vjp(function, *values)
        slopes = [_slope(function, values, i, d) for d in directions]

    cotangents = _pulled(pullback, y, weights)
    ours = cotangents[i]
    noise = _noise(pullback, y, weights, cotangents)[i] if rules.eps > EPS else np.zeros(1)
    columns = [_combined(slope, weights, outputs) for slope in slopes]
    low, high, error, size, rough = (np.concatenate(parts, axis=1) for parts in zip(*columns, strict=True))
    scale = max(slope.scale for slope in slopes)
    noise_of_sum = float(noise.max(initial=0.0) * np.linalg.norm(directions[0]))
    tolerance = rules.tolerance(size, error, scale * np.linalg.norm(weights, axis=1)[:, None], noise_of_sum)
    tolerance += ROUNDING_UNITS * rules.eps * np.sqrt(ours**2 @ directions.T**2)
    value = function.values[i]
    found = ours @ directions.T, low, high, error, tolerance, rough
    return Comparison(function.names[i], value.shape, value.dtype, None, None, *found)


def _slope(function: FloatInputs, values: Sequence[Any], i: int, direction: FloatArray) -> NumericJacobian:
    """The numeric derivative of f along a direction of input ``i``."""
    at = [module_of(value).asarray(value, dtype=np.float64) for value in values]
    d = module_of(values[i]).asarray(direction.reshape(np.shape(values[i])))

    def along(t: Any) -> Any:
        return function(*at[:i], at[i] + float(t) * d, *at[i + 1 :])

    return numeric_jacobian(along, 0.0, wrt=0)
