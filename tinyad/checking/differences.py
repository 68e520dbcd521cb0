"""The numeric Jacobian: central differences of fourth order in float64, which say of every entry how far it can be trusted and
whether the function has a kink there."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from ..backend import is_array, module_of
from ..tensor import unwrap
from .inputs import (
    EPS,
    BoolArray,
    FloatArray,
    as_float64,
    as_output,
    checked_output,
    describe,
    entry_name,
    is_float_array,
    no_floats,
    remedy_for,
    require_callable,
    require_finite,
)

FIRST_STEP = 1e-3  # times max(1, |x|): truncation h^4 and roundoff eps/h are then both near 1e-13
REDUCTION = 8.0
REDUCTIONS = 7
TINY = 1e-4  # the largest number of a vector that is looked at with steps of its own size as well
KINK = 1e-6  # a kink smaller than this part of the slope is no kink: the tolerance of a check is the same
AGREEMENT = 1e-2  # two steps whose slopes differ by more are not in the range where h^4 holds
FLOOR = 1e-8  # times the largest slope: below, derivatives are not told from roundoff inside f
TRUSTED = 1e-3  # a step whose roundoff is a larger part of the largest slope tells nothing new
GROWTH = 4.0  # a kink's second difference stays as it is while h shrinks; noise and jumps grow 8-fold


@dataclass(frozen=True)
class NumericJacobian:
    """The Jacobian of a function with respect to one of its inputs, from function values.

    Attributes:
        input: position of the input among the function's arguments.
        jacobian: float64, of shape output.shape + input.shape. At a kink: the mean of the two slopes.
        error: estimated absolute error of ``jacobian``, same shape.
        kinks: where the slopes to the left and to the right differ, same shape, bool.
        left, right: one-sided slopes at kinks, equal to ``jacobian`` everywhere else, same shape.
        rough: where f jumps or is noisy, so that ``error`` is large, same shape, bool.
        scale: the largest slope seen, those over the first (widest) half step included. What is far smaller
            than this cannot be told from zero.
    """

    input: int
    jacobian: FloatArray
    error: FloatArray
    kinks: BoolArray
    left: FloatArray
    right: FloatArray
    rough: BoolArray
    scale: float


@overload
def numeric_jacobian(f: Callable[..., Any], *inputs: Any, wrt: int) -> NumericJacobian: ...


@overload
def numeric_jacobian(f: Callable[..., Any], *inputs: Any, wrt: Sequence[int] | None = None) -> tuple[NumericJacobian, ...]: ...


def numeric_jacobian(
    f: Callable[..., Any], *inputs: Any, wrt: int | Sequence[int] | None = None
) -> NumericJacobian | tuple[NumericJacobian, ...]:
    r"""Jacobian of ``f`` by central differences of fourth order, with an error estimate and a kink test.

    The float inputs are handed to ``f`` in float64 whatever their dtype, as copies; ``f`` may change them
    freely. With

        D(h) = (f(x+h) - f(x-h)) / 2h,   s(h) = (f(x+h) - 2 f(x) + f(x-h)) / h

    the value is Richardson's (4 D(h/2) - D(h)) / 3 and its error |D(h/2) - D(h)| / 12 plus the roundoff
    4 eps max|f| / h. At a kink of size k inside (x-h/2, x+h/2) it is no use to compare D at two steps: they
    agree exactly where the kink is at x. But 2 s(h/2) - s(h) is k there, and O(h^3) for a smooth function. A
    step is accepted when that is negligible; h starts at 1e-3 max(1, |x|) and is divided by 8, at most 7
    times, until it is (and 7 more times from 1e-3 |x| on, if x is closer to 0 than that). What is never
    accepted is a kink, with a slope on either side, or noise or a jump, with an error to match.

    Args:
        f: takes the inputs as plain arrays, returns one float array, number or Tensor, of any shape.
        inputs: arrays and anything else ``f`` takes; what holds no floats is held fixed.
        wrt: positions of the inputs to differentiate; all float arrays if None.

    Returns:
        For ``wrt=i`` the `NumericJacobian` of that input; otherwise a tuple of them, in the order of ``wrt``.

    Raises:
        TypeError: no float input, or ``f`` does not return a float array.
        ValueError: NaN or infinity in an input or in ``f`` there; ``f`` gives two values for the same input;
            ``f`` is not finite on both sides of an entry, however small the step.

    Source: Abramowitz and Stegun 25.3.21 to 25.3.23 (differences); Ridders, Advances in Engineering Software
    4 (1982).

    >>> import numpy as np
    >>> from tinyad.checking import numeric_jacobian
    >>> J = numeric_jacobian(np.abs, np.array([-2.0, 0.0, 3.0]), wrt=0)
    >>> J.jacobian.diagonal().round(9)
    array([-1.,  0.,  1.])
    >>> J.kinks.diagonal(), J.left[1, 1].round(6), J.right[1, 1].round(6)
    (array([False,  True, False]), np.float64(-1.0), np.float64(1.0))
    """
    require_callable("numeric_jacobian", f)
    held = [as_float64(value) for value in inputs]
    positions = _positions(wrt, inputs)
    for i in positions:
        require_finite("numeric_jacobian", f"input {i}", held[i])
    modules = [module_of(unwrap(value)) for value in inputs]
    results = tuple(_numeric_jacobian(f, held, modules, i) for i in positions)
    return results[0] if isinstance(wrt, (int, np.integer)) else results


def _numeric_jacobian(f: Callable[..., Any], held: list[Any], modules: list[Any], i: int) -> NumericJacobian:
    """The Jacobian with respect to input ``i``."""
    x = held[i]

    def call(entries: FloatArray) -> Any:
        moved = [*held[:i], entries.reshape(x.shape), *held[i + 1 :]]
        copies = [module.array(a) if is_array(a) else a for module, a in zip(modules, moved, strict=True)]
        with np.errstate(all="ignore"):  # leaving the domain of f is found by its NaN, not by a warning
            return f(*copies)

    value, eps = checked_output("numeric_jacobian", call(x.ravel()))
    again, _ = checked_output("numeric_jacobian", call(x.ravel()))
    if value.shape != again.shape or not np.array_equal(value, again):
        raise ValueError(
            "numeric_jacobian: f gave two different values for the same input, so differences of its values "
            "mean nothing. Make it a function of its inputs alone: pass random numbers (seeds, dropout "
            "masks) in as inputs."
        )
    return _from_value(call, x, value, eps, i)


def derivative_along(f: Callable[[float], Any], value: FloatArray, eps: float, coarse: bool = False) -> NumericJacobian:
    """The derivative at 0 of a function of one number, whose value there and its rounding unit are known.

    It takes four calls if the function is smooth; with ``coarse`` always, otherwise four more where truncation is seen.
    """
    return _from_value(lambda t: f(float(t[0])), np.zeros(()), value, eps, 0, coarse)


def _from_value(
    call: Callable[[FloatArray], Any], x: FloatArray, value: FloatArray, eps: float, i: int, coarse: bool = False
) -> NumericJacobian:
    """The Jacobian of a function of a vector, whose value at ``x`` is known, in the shapes of the value and of ``x``."""
    raised: list[Exception] = []

    def evaluate(entries: FloatArray) -> FloatArray:
        try:
            moved, _ = as_output("numeric_jacobian", call(entries))
        except (ArithmeticError, ValueError) as error:  # raised by math.log outside its domain
            raised.append(error)
            return np.full(value.size, np.nan)
        if moved.shape != value.shape:
            raise ValueError(
                f"numeric_jacobian: f returned shape {value.shape} and, after a small change of input {i}, "
                f"shape {moved.shape}. The shape of its output must not depend on the values of its inputs."
            )
        return moved.ravel()

    columns, scale = _differentiate(evaluate, x.ravel(), value.ravel(), eps, coarse)
    if not np.isfinite(columns.error).all():
        entry = int(np.flatnonzero(~np.isfinite(columns.error).all(axis=1))[0])
        raise ValueError(
            f"numeric_jacobian: f is not finite on both sides of {entry_name(f'input {i}', x.shape, entry)} "
            f"= {x.ravel()[entry]:.6g}, however small the step: it lies on the edge of the domain of f. "
            "Move it inside." + (f" f raised {raised[-1]!r}." if raised else "")
        )

    def shaped(entries: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return entries.T.reshape(value.shape + x.shape)

    kinks = columns.kinks
    return NumericJacobian(
        input=i,
        jacobian=shaped(columns.value),
        error=shaped(columns.error),
        kinks=shaped(kinks),
        left=shaped(np.where(kinks, columns.left, columns.value)),
        right=shaped(np.where(kinks, columns.right, columns.value)),
        rough=shaped(columns.rough),
        scale=max(scale, float(np.abs(columns.value).max(initial=0.0))),
    )


class _Differences(NamedTuple):
    """What one step tells about some columns of the Jacobian: arrays of shape (columns, outputs)."""

    value: FloatArray
    error: FloatArray
    left: FloatArray
    right: FloatArray
    kink: FloatArray  # 2 s(h/2) - s(h)
    disagreement: FloatArray  # |D(h/2) - D(h)|
    roundoff: FloatArray
    finite: BoolArray

    @property
    def roughness(self) -> FloatArray:
        """Zero for a smooth function as h falls, constant at a kink, growing for noise and jumps."""
        return np.asarray(np.where(self.finite, np.abs(self.kink) + self.disagreement, np.inf))

    @property
    def slope(self) -> FloatArray:
        """The larger of the two one-sided slopes; 0 where f is not finite."""
        return np.asarray(np.where(self.finite, np.maximum(np.abs(self.left), np.abs(self.right)), 0.0))


def _differences(f0: FloatArray, values: FloatArray, h: FloatArray, eps: float) -> _Differences:
    """From the values of f at x+h, x+h/2, x-h/2, x-h, stacked along the first axis."""
    far_right, right, left, far_left = values
    with np.errstate(invalid="ignore", over="ignore"):
        d1 = (far_right - far_left) / (2 * h)
        d2 = (right - left) / h
        s1 = ((far_right - f0) - (f0 - far_left)) / h
        s2 = ((right - f0) - (f0 - left)) / (h / 2)
        roundoff = 4 * eps * np.maximum(np.abs(values).max(axis=0), np.abs(f0)) / h
        return _Differences(
            value=(4 * d2 - d1) / 3,
            error=np.abs(d2 - d1) / 12 + roundoff,
            left=(f0 - left) / (h / 2),
            right=(right - f0) / (h / 2),
            kink=2 * s2 - s1,
            disagreement=np.abs(d2 - d1),
            roundoff=roundoff,
            finite=np.asarray(np.isfinite(values).all(axis=0)),
        )


class _Columns:
    """The columns of a Jacobian while the steps shrink: arrays of shape (input entries, output entries)."""

    def __init__(self, inputs: int, outputs: int, coarse: bool) -> None:
        shape = inputs, outputs
        self.coarse = coarse
        self.value, self.error = np.zeros(shape), np.full(shape, np.inf)
        self.left, self.right, self.kink_error = np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
        self.smallest_roughness = np.full(shape, np.inf)
        self.accepted, self.grew, self.settled = (np.zeros(shape, bool) for _ in range(3))
        self.kinks = self.rough = self.accepted

    def unsettled(self) -> npt.NDArray[np.intp]:
        """The input entries that need a smaller step."""
        return np.flatnonzero(~self.settled.all(axis=1))

    def take(self, rows: npt.NDArray[np.intp], new: _Differences, scale: float, first: bool) -> None:
        """Take in what a step tells about the input entries ``rows``."""
        allowance = 8 * new.roundoff + FLOOR * scale
        trusted = new.finite & (first | (scale == 0) | (new.roundoff <= TRUSTED * scale))
        smallest = self.smallest_roughness[rows]
        grew = self.grew[rows] | (new.finite & (new.roughness > GROWTH * smallest + allowance))
        smooth = (
            trusted
            & (np.abs(new.kink) <= KINK * new.slope + allowance)
            & (new.disagreement <= AGREEMENT * new.slope + allowance)
        )
        before = self.accepted[rows]
        # A function that rounds to float32 on the way is constant at last, which is no derivative.
        accepted = smooth & ~(grew & (new.slope == 0)) & ~self.settled[rows]
        better = accepted & (~before | (new.error < self.error[rows]))
        instead = ~before & ~accepted & ~grew & (new.roughness < smallest)
        # In noise two slopes may agree by chance: their full disagreement is then the error.
        error = np.where(accepted & ~grew, new.error, new.roughness + new.roundoff)
        # A smaller step is worth its evaluations only while truncation widens the tolerance of a check.
        exact = accepted & (self.coarse | (new.error - new.roundoff <= KINK * np.abs(new.value) + FLOOR * scale))

        self.value[rows] = np.where(better | instead, new.value, self.value[rows])
        self.error[rows] = np.where(better | instead, error, self.error[rows])
        self.left[rows] = np.where(trusted, new.left, self.left[rows])
        self.right[rows] = np.where(trusted, new.right, self.right[rows])
        self.kink_error[rows] = np.where(trusted, new.roundoff, self.kink_error[rows])
        self.smallest_roughness[rows] = np.minimum(smallest, new.roughness)
        self.grew[rows] = grew
        self.accepted[rows] = before | accepted
        self.settled[rows] |= exact | (before & ~accepted)

    def finish(self, scale: float) -> None:
        """What was never accepted is a kink; noise or a jump, if differences grew as the step fell."""
        self.rough = ~self.accepted & self.grew
        apart = np.abs(self.right - self.left) > KINK * scale
        self.kinks = ~self.accepted & ~self.grew & np.isfinite(self.kink_error) & apart
        self.value = np.where(self.kinks, (self.left + self.right) / 2, self.value)
        self.error = np.where(self.kinks, self.kink_error, self.error)


def _differentiate(
    evaluate: Callable[[FloatArray], FloatArray], x: FloatArray, f0: FloatArray, eps: float, coarse: bool
) -> tuple[_Columns, float]:
    """The columns of the Jacobian at the vector ``x``, and the largest slope over the first half step."""
    columns, scale = _Columns(x.size, f0.size, coarse), 0.0
    for attempt, h in enumerate(_steps(x, eps)):
        if attempt == 1 + REDUCTIONS:
            columns.settled |= columns.grew  # in noise, steps next to nothing find slopes that are not there
        rows = columns.unsettled()
        rows = rows[h[rows] > 0]
        if not rows.size:
            continue
        new = _differences(f0, _stencil(evaluate, x, rows, h[rows], f0.size), h[rows, None], eps)
        scale = scale or float(new.slope.max(initial=0.0))
        columns.take(rows, new, scale, first=attempt == 0)
    columns.finish(scale)
    return _with_narrow_steps(evaluate, x, f0, eps, columns, scale) if _is_tiny(x) and eps == EPS else (columns, scale)


def _is_tiny(x: FloatArray) -> bool:
    """Whether all of a vector lies far below the first step, so that this may step over whatever there is to see."""
    largest = float(np.abs(x).max(initial=0.0))
    return 1e-100 < largest < TINY


def _with_narrow_steps(
    evaluate: Callable[[FloatArray], FloatArray], x: FloatArray, f0: FloatArray, eps: float, wide: _Columns, scale: float
) -> tuple[_Columns, float]:
    """The columns once more with steps of the size of the vector, where these tell more.

    A norm of numbers of 1e-8 looks like a jump to a step of 1e-3; but to a step of 1e-11 so does all of 1 + x.
    """
    size = float(np.sqrt(np.mean(x[x != 0] ** 2)))
    first = np.full_like(x, _power_of_two(np.array(FIRST_STEP * size)))
    narrow, narrow_scale = _Columns(x.size, f0.size, False), 0.0
    for attempt in range(1 + REDUCTIONS):
        rows = narrow.unsettled()
        if not rows.size:
            break
        h = first[rows] / REDUCTION**attempt
        new = _differences(f0, _stencil(evaluate, x, rows, h, f0.size), h[:, None], eps)
        narrow_scale = narrow_scale or float(new.slope.max(initial=0.0))
        narrow.take(rows, new, narrow_scale, first=attempt == 0)
    narrow.finish(narrow_scale)
    clear = narrow.error <= TRUSTED * np.maximum(np.abs(narrow.value), TRUSTED * narrow_scale)
    better = (narrow.accepted | narrow.kinks) & clear & (np.abs(narrow.value - wide.value) > 10 * (narrow.error + wide.error))
    better |= narrow.accepted & clear & (wide.rough | wide.kinks)
    better = np.broadcast_to(better.any(), better.shape) & (narrow.accepted | narrow.kinks | narrow.rough)
    for name in ("value", "error", "left", "right", "kinks", "rough", "accepted"):
        setattr(wide, name, np.where(better, getattr(narrow, name), getattr(wide, name)))
    return wide, narrow_scale if better.any() else scale


def _steps(x: FloatArray, eps: float) -> list[FloatArray]:
    """The steps to try for each entry of x, one after the other; 0 where there is none."""
    relative = FIRST_STEP if eps == EPS else float(np.cbrt(eps))
    wide = _power_of_two(relative * np.maximum(1.0, np.abs(x)))
    smallest = wide / REDUCTION**REDUCTIONS
    # Starting all entries below 1 at 1e-3 |x| would be simpler, but costs digits without need: at x = 1e-12
    # the step is 1e-15 then, the roundoff of f = 1 + x is as large as its slope, and any gradient passes.
    below_reach = (FIRST_STEP * np.abs(x) < smallest) & (np.abs(x) > 1e-280)
    narrow = np.where(below_reach, _power_of_two(FIRST_STEP * np.maximum(np.abs(x), 1e-280)), 0.0)
    return [first / REDUCTION**k for first in (wide, narrow) for k in range(1 + REDUCTIONS)]


def _power_of_two(steps: FloatArray) -> FloatArray:
    """The powers of two nearest to the steps: x + h is then exact, or nearly so, as the sum of the two."""
    return np.asarray(2.0 ** np.round(np.log2(steps)))


def _stencil(
    evaluate: Callable[[FloatArray], FloatArray],
    x: FloatArray,
    rows: npt.NDArray[np.intp],
    h: FloatArray,
    outputs: int,
) -> FloatArray:
    """The values of f at x+h, x+h/2, x-h/2, x-h for the entries ``rows`` of x: shape (4, rows, outputs)."""
    values = np.empty((4, rows.size, outputs))
    for column, (row, step) in enumerate(zip(rows, h, strict=True)):
        for place, multiple in enumerate((1.0, 0.5, -0.5, -1.0)):
            moved = x.copy()
            moved[row] += multiple * step
            values[place, column] = evaluate(moved)
    return values


def _positions(wrt: int | Sequence[int] | None, inputs: tuple[Any, ...]) -> list[int]:
    """The inputs to differentiate with respect to."""
    if wrt is None:
        positions = [i for i, value in enumerate(inputs) if is_float_array(value)]
        if not positions:
            raise no_floats("numeric_jacobian", inputs)
        return positions
    positions = [operator.index(i) for i in ([wrt] if isinstance(wrt, (int, np.integer)) else wrt)]
    for i in positions:
        if not 0 <= i < len(inputs):
            raise ValueError(f"numeric_jacobian: wrt names input {i}; expected positions from 0 to {len(inputs) - 1}.")
        if not is_float_array(inputs[i]):
            raise TypeError(
                f"numeric_jacobian: wrt names input {i}, which is {describe(inputs[i])}; expected a float "
                f"array. {remedy_for(inputs[i])}, or leave it out of wrt to hold it fixed."
            )
    return positions
