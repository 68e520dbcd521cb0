"""Checks of a derivative by numbers: differences, Taylor remainders, and the dot test.

`numeric_jacobian` differentiates by central differences of fourth order, in float64, and says of every entry
how far it can be trusted and whether the function has a kink there. `taylor_table` shows how fast the
remainder of a Taylor expansion falls with the step. `dot_test` compares forward with reverse mode, which
needs no differences at all.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from .. import tree
from ..backend import asnumpy, is_array, module_of
from ..primitives.joining import concat
from ..primitives.shaping import ravel, reshape
from ..tensor import unwrap
from ..transforms import grad, hvp, jvp, vjp

__all__ = ["DotTest", "NumericJacobian", "TaylorTable", "dot_test", "numeric_jacobian", "taylor_table"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FIRST_STEP = 1e-3  # times max(1, |x|): truncation h^4 and roundoff eps/h are then both near 1e-13
REDUCTION = 8.0
REDUCTIONS = 7
KINK = 1e-6  # a kink smaller than this part of the slope is no kink: the tolerance of a check is the same
AGREEMENT = 1e-2  # two steps whose slopes differ by more are not in the range where h^4 holds
FLOOR = 1e-8  # times the largest slope: below, derivatives are not told from roundoff inside f
TRUSTED = 1e-3  # a step whose roundoff is a larger part of the largest slope tells nothing new
GROWTH = 4.0  # a kink's second difference stays as it is while h shrinks; noise and jumps grow 8-fold

EPS = float(np.finfo(np.float64).eps)


# ---- the numeric Jacobian


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
    _require_callable("numeric_jacobian", f)
    held = [_float64(value) for value in inputs]
    positions = _positions(wrt, inputs)
    for i in positions:
        _require_finite("numeric_jacobian", f"input {i}", held[i])
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

    columns, scale = _differentiate(evaluate, x.ravel(), value.ravel(), eps)
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

    def __init__(self, inputs: int, outputs: int) -> None:
        shape = inputs, outputs
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
        exact = accepted & (new.error - new.roundoff <= KINK * np.abs(new.value) + FLOOR * scale)

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
    evaluate: Callable[[FloatArray], FloatArray], x: FloatArray, f0: FloatArray, eps: float
) -> tuple[_Columns, float]:
    """The columns of the Jacobian at the vector ``x``, and the largest slope over the first half step."""
    columns, scale = _Columns(x.size, f0.size), 0.0
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
    return columns, scale


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


# ---- what f takes and returns


def is_float_array(value: Any) -> bool:
    """Whether a Tensor, array or number is real floating point: whether it can be differentiated by."""
    value = unwrap(value)
    return isinstance(value, float) or (is_array(value) and value.dtype.kind == "f")


def _float64(value: Any) -> Any:
    """A float64 copy of a float array or number on the CPU; anything else as it is."""
    return np.array(asnumpy(unwrap(value)), dtype=np.float64) if is_float_array(value) else unwrap(value)


def _positions(wrt: int | Sequence[int] | None, inputs: tuple[Any, ...]) -> list[int]:
    """The inputs to differentiate with respect to."""
    if wrt is None:
        positions = [i for i, value in enumerate(inputs) if is_float_array(value)]
        if not positions:
            raise _no_floats("numeric_jacobian", inputs)
        return positions
    positions = [operator.index(i) for i in ([wrt] if isinstance(wrt, (int, np.integer)) else wrt)]
    for i in positions:
        if not 0 <= i < len(inputs):
            raise ValueError(f"numeric_jacobian: wrt names input {i}; expected positions from 0 to {len(inputs) - 1}.")
        if not is_float_array(inputs[i]):
            raise TypeError(
                f"numeric_jacobian: wrt names input {i}, which is {_describe(inputs[i])}; expected a float "
                "array. Convert it by np.asarray(..., dtype=float), or leave it out of wrt to hold it fixed."
            )
    return positions


def _no_floats(name: str, values: Sequence[Any]) -> TypeError:
    given = ", ".join(_describe(value) for value in values) or "nothing at all"
    return TypeError(
        f"{name}: the inputs hold no floats, but {given}; expected at least one float array to differentiate "
        "by. Make one with np.array(..., dtype=float)."
    )


def _describe(value: Any) -> str:
    """A value's type in an error message: dtype and shape of an array, otherwise the Python type."""
    value = unwrap(value)
    return f"{value.dtype} of shape {value.shape}" if is_array(value) else f"a Python {type(value).__name__}"


def _require_callable(name: str, f: Any) -> None:
    if not callable(f):
        raise TypeError(f"{name}: f is {_describe(f)}; expected a function. Pass f itself, not the result of calling it.")


def _require_finite(name: str, what: str, values: FloatArray) -> None:
    if not np.isfinite(values).all():
        entry = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"{name}: {entry_name(what, values.shape, entry)} is {values.ravel()[entry]}; expected finite "
            "numbers, because nothing can be differentiated there. Choose another point."
        )


def entry_name(name: str, shape: tuple[int, ...], flat: int) -> str:
    """What Python calls an entry of an array, given its position in the flattened array."""
    return f"{name}{[int(k) for k in np.unravel_index(flat, shape)]}" if shape else name


def as_output(name: str, value: Any) -> tuple[FloatArray, float]:
    """The float64 values of what f returned, and the rounding unit it was computed with."""
    if not is_float_array(value):
        raise TypeError(
            f"{name}: f returned {_describe(value)}; expected one float array, number or Tensor. "
            + ("Does f lack a return statement?" if value is None else "Return a real floating-point result.")
        )
    array = asnumpy(unwrap(value))
    return np.array(array, dtype=np.float64), max(EPS, float(np.finfo(array.dtype).eps))


def checked_output(name: str, value: Any) -> tuple[FloatArray, float]:
    """As `as_output`; the values must be finite."""
    array, eps = as_output(name, value)
    _require_finite(name, "f(inputs)", array)
    return array, eps


class FloatInputs:
    """A function of trees as a function of the float arrays among their leaves, with one array as its output.

    Everything else in the inputs (integers, strings, settings) is held fixed.

    Attributes:
        free: positions of the float leaves among all leaves.
        paths: what to write after an input's name to get such a leaf, ``['w'][0]``.
        names: the leaves' names in reports, ``input 0['w'][0]``.
        values: the float leaves as arrays; float16 as float32, because its rounding unit of 1e-3 is too
            coarse to judge by.
        raised_to_float32: whether there was a float16 leaf.
    """

    def __init__(self, name: str, f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
        _require_callable(name, f)
        self.f = f
        self.leaves, self.structure = tree.flatten(inputs)
        self.leaves = [unwrap(leaf) for leaf in self.leaves]
        self.free = [i for i, leaf in enumerate(self.leaves) if is_float_array(leaf)]
        if not self.free:
            raise _no_floats(name, self.leaves)
        places = [(k, path) for k, value in enumerate(inputs) for path in tree.paths(value)]
        self.paths = [places[i][1] for i in self.free]
        self.names = [f"input {places[i][0]}{places[i][1]}" for i in self.free]
        given = [module_of(self.leaves[i]).asarray(self.leaves[i]) for i in self.free]
        self.values = [array.astype(np.float32) if array.dtype == np.float16 else array for array in given]
        self.raised_to_float32 = any(array.dtype == np.float16 for array in given)
        for leaf_name, value in zip(self.names, self.values, strict=True):
            _require_finite(name, leaf_name, asnumpy(value))

    def rebuild(self, floats: Sequence[Any]) -> Any:
        """The inputs with these float leaves."""
        leaves = list(self.leaves)
        for i, value in zip(self.free, floats, strict=True):
            leaves[i] = value
        return tree.unflatten(self.structure, leaves)

    def __call__(self, *floats: Any) -> Any:
        """f there. If it returns several float arrays: their entries, one after the other."""
        out = self.f(*self.rebuild(floats))
        found = [leaf for leaf in tree.leaves(out) if is_float_array(leaf)]
        return concat([ravel(leaf) for leaf in found]) if len(found) > 1 else found[0] if found else out

    def in_float64(self) -> list[Any]:
        """Copies of the float leaves in float64, where they were."""
        return [module_of(value).array(value, dtype=np.float64) for value in self.values]

    def raised_to_float64(self) -> FloatInputs:
        """The same function at the same point, in float64."""
        raised = copy.copy(self)
        raised.values = self.in_float64()
        return raised

    @property
    def eps(self) -> float:
        """The largest rounding unit among the inputs."""
        return max(float(np.finfo(value.dtype).eps) for value in self.values)


# ---- the Taylor table

TAYLOR_STEPS: FloatArray = 4.0 ** -np.arange(14.0)  # down to 1.5e-8, where roundoff has swallowed every remainder
ROUNDOFF = 100 * EPS  # times |f|: smaller remainders are roundoff
ORDER_SLACK = 0.25  # a wrong gradient loses a whole order


@dataclass(frozen=True)
class TaylorTable:
    """How fast the remainders of f's Taylor expansion along a direction fall with the step.

    Attributes:
        columns: names of the columns of ``rows``: "h", "E0", "E1" and, with second order, "E2".
        rows: float64, shape (14, 3 or 4): the step h and the remainders |f(x + h d) - (Taylor polynomial of
            degree k)|.
        orders: float64, shape (13, 2 or 3): the power of h by which each remainder falls from one row to the
            next; NaN where it is at roundoff, inf where it falls into roundoff at once, as for a polynomial.
        passed: whether E1 falls like h^2 (and E2 like h^3), or is at roundoff throughout.
    """

    columns: tuple[str, ...]
    rows: FloatArray
    orders: FloatArray
    passed: bool

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        wanted = ", ".join(f"{name} {k + 1}" for k, name in enumerate(self.columns[1:]))
        lines = [
            f"Taylor table: {'passed' if self.passed else 'FAILED'}   (expected orders: {wanted})",
            f"{'h':>9}" + "".join(f"{name:>11} order" for name in self.columns[1:]),
        ]
        orders = np.vstack([np.full((1, self.orders.shape[1]), np.nan), self.orders])
        for row, order in zip(self.rows, orders, strict=True):
            cells = [f"{e:11.2e} {'' if np.isnan(p) else f'{p:.2f}':>5}" for e, p in zip(row[1:], order, strict=True)]
            lines.append(f"{row[0]:9.2e}" + "".join(cells))
        if not self.passed:
            lines.append(
                "A remainder that falls by one order less than expected means a wrong derivative (E1: the\n"
                "gradient, E2: the Hessian product), or a kink of f at x."
            )
        return "\n".join(line.rstrip() for line in lines)

    def plot(self, path: Any = None, ax: Any = None) -> Any:
        """Remainders against h, both axes logarithmic, with dashed lines of the expected slopes 1, 2, 3.

        Args:
            path: file to write the picture to, if given.
            ax: matplotlib axes to draw on; new ones if None.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "plot: matplotlib is not installed; it comes with the extra plot: pip install tinyad[plot]. Or print the table."
            ) from error
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        h = self.rows[:, 0]
        for k, (name, remainder) in enumerate(zip(self.columns[1:], self.rows.T[1:], strict=True)):
            shown = np.isfinite(remainder) & (remainder > 0)
            if not shown.any():
                continue
            (line,) = ax.loglog(h[shown], remainder[shown], "o-", label=name)
            first = int(np.flatnonzero(shown)[0])
            reference = remainder[first] * (h / h[first]) ** (k + 1)
            seen = reference >= remainder[shown].min() / 10
            ax.loglog(h[seen], reference[seen], "--", color=line.get_color(), alpha=0.5, label=f"slope {k + 1}")
        ax.set(
            xlabel="step h",
            ylabel="remainder",
            title=f"Taylor table: {'passed' if self.passed else 'FAILED'}",
        )
        ax.legend()
        if path is not None:
            ax.figure.savefig(path)
        return ax


def taylor_table(
    f: Callable[[Any], Any],
    x: Any,
    direction: Any = None,
    gradient: Any = None,
    orders: int = 2,
    seed: int = 0,
) -> TaylorTable:
    r"""Check a gradient by the order at which Taylor remainders fall (the lecture's derivative test).

    Along a direction d, with g the gradient and H the Hessian of f at x,

        E0(h) = |f(x + h d) - f(x)|                                    falls like h
        E1(h) = |f(x + h d) - f(x) - h <g, d>|                         like h^2 if g is right, like h if not
        E2(h) = |f(x + h d) - f(x) - h <g, d> - h^2/2 <d, H d>|        like h^3 if H d is right, too

    for h = 1, 1/4, 1/16, ... Everything is evaluated in float64, whatever the dtype of x. Remainders at
    roundoff (below 100 eps |f|, or where they no longer fall) are left out of the verdict; a linear function,
    whose remainders all are, passes. At a kink of f in direction d no gradient has second order.

    Args:
        f: takes x (as arrays), returns a scalar.
        x: an array or any tree of them; leaves that hold no floats are held fixed.
        direction: d, like x; random numbers of either sign, of x's own size, if None. Leaves held fixed do
            not matter.
        gradient: the gradient to check: a function of x, or its value at x, in the form of x. tinyad's own
            if None.
        orders: 2 for E0, E1 and E2, or 1 to leave out E2. H d is tinyad's own `hvp`, or, with a function for
            ``gradient``, the numeric derivative of that function; with the value of a gradient no E2.
        seed: of the random direction.

    Raises:
        TypeError: f does not return a float number, or x holds no floats.
        ValueError: f returns more than one number, x or f(x) is not finite, ``direction`` or ``gradient``
            differ from x in shape, ``orders`` is neither 1 nor 2.

    Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., section 8; Haber, Ruthotto, Numerical
    Methods for Deep Learning (derivative check).

    >>> import numpy as np
    >>> from tinyad.checking import taylor_table
    >>> f, x = lambda x: np.sum(np.exp(x)), np.array([0.3, -0.2])
    >>> table = taylor_table(f, x, gradient=lambda x: np.exp(x))
    >>> table.passed, float(table.orders[3, 1].round(1)), float(table.orders[3, 2].round(1))
    (True, 2.0, 3.0)
    >>> taylor_table(f, x, gradient=lambda x: 1.01 * np.exp(x)).passed
    False
    """
    _require_callable("taylor_table", f)
    if orders not in (1, 2):
        raise ValueError(f"taylor_table: orders is {orders!r}; expected 1 (E0, E1) or 2 (E0, E1, E2).")
    point = _Point(f, x)
    d = point.default_direction(seed) if direction is None else point.vector("direction", direction)
    slope, curvature, uncertainty = point.derivatives(d, gradient, orders)

    h = TAYLOR_STEPS
    with np.errstate(all="ignore"):
        values = np.array([point.value(point.x + step * d) for step in h])
        change = values - point.value(point.x)
        first = change - h * slope
        remainders = [change, first] if curvature is None else [change, first, first - h**2 / 2 * curvature]
        size = np.maximum(np.abs(values), np.abs(values - change)) + np.abs(h * slope)
    errors, roundoff = np.abs(remainders), ROUNDOFF * size + h**2 / 2 * uncertainty
    passed = all(
        np.isfinite(error).any() and _has_order(_orders(h, error, np.maximum(roundoff, _noise(change, error)), k), k)
        for k, error in enumerate(errors[1:], start=2)
    )
    shown = [_orders(h, error, roundoff, k + 1) for k, error in enumerate(errors)]
    columns = ("h", "E0", "E1", "E2")[: 1 + len(errors)]
    return TaylorTable(columns, np.column_stack([h, *errors]), np.column_stack(shown), passed)


def _noise(change: FloatArray, error: FloatArray) -> float:
    """How large roundoff inside f may be: far above eps |f|, 10^8 times in a function that rounds to float32.

    At the smallest steps it is all that remains of a remainder, which then does not fall any more; or f does
    not change at all between neighbours, and the remainder falls like h although the gradient is right.
    """
    clean = all((e[-4:-1] > 3 * e[-3:]).all() for e in (np.abs(change), error))  # by 4, were there no noise
    return 0.0 if clean else 2 * float(error[-6:].max())


def _orders(h: FloatArray, error: FloatArray, roundoff: FloatArray, expected: int) -> FloatArray:
    """The power of h by which a remainder falls between rows; NaN at roundoff, inf where it falls into it."""
    usable = np.isfinite(error) & (error > roundoff)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(h[:-1] / h[1:])
        observed = np.log(error[:-1] / error[1:]) / ratio
        at_least = np.log(error[:-1] / roundoff[1:]) / ratio
    falls_in = usable[:-1] & ~usable[1:] & np.isfinite(error[1:]) & (at_least >= expected)
    return np.where(usable[:-1] & usable[1:], observed, np.where(falls_in, np.inf, np.nan))


def _has_order(observed: FloatArray, expected: int) -> bool:
    """Whether the smallest steps above roundoff show the expected order; the best of three, because roundoff
    spoils the last."""
    seen = observed[~np.isnan(observed)]
    return not seen.size or bool(seen[-3:].max() >= expected - ORDER_SLACK)


class _Point:
    """f around x, as a function of one float64 vector: the float leaves of x, one after the other."""

    def __init__(self, f: Callable[[Any], Any], x: Any) -> None:
        self.inputs = FloatInputs("taylor_table", f, (x,))
        self.structure = tree.flatten(x)[1]
        self.leaves = self.inputs.in_float64()
        self.x = np.concatenate([asnumpy(leaf).ravel() for leaf in self.leaves])
        _require_finite("taylor_table", "f(x)", np.asarray(self.value(self.x)))

    def vector(self, name: str, like_x: Any) -> FloatArray:
        """The entries of a tree like x (a direction, a gradient), as one vector."""
        found = tree.same_structure(name, self.structure, like_x, "x")
        parts = []
        for i, path, ours in zip(self.inputs.free, self.inputs.paths, self.leaves, strict=True):
            entries = np.asarray(asnumpy(unwrap(found[i])), np.float64)
            if entries.shape != ours.shape:
                raise ValueError(
                    f"taylor_table: {name}{path} has shape {entries.shape}; expected {ours.shape}, the shape of x{path}."
                )
            parts.append(entries.ravel())
        return np.concatenate(parts)

    def split(self, vector: FloatArray) -> list[Any]:
        """The float leaves of x with their entries taken from a vector, as fresh arrays."""
        ends = np.cumsum([leaf.size for leaf in self.leaves])
        parts = np.split(vector, ends[:-1])
        pairs = zip(parts, self.leaves, strict=True)
        return [module_of(ours).array(part.reshape(ours.shape)) for part, ours in pairs]

    def value(self, vector: FloatArray) -> float:
        """f there: a scalar."""
        value, _ = as_output("taylor_table", self.inputs(*self.split(vector)))
        if value.size != 1:
            raise ValueError(
                f"taylor_table: f returned an array of shape {value.shape}; expected a scalar. "
                "Reduce it, for instance by lambda x: (w * f(x)).sum() with random weights w."
            )
        return float(value.reshape(()))

    def default_direction(self, seed: int) -> FloatArray:
        """Random numbers of either sign, away from zero, as large as the leaf of x they belong to."""
        random = np.random.default_rng(seed)
        parts = []
        for leaf in self.leaves:
            size = float(np.sqrt(np.mean(asnumpy(leaf) ** 2))) if leaf.any() else 1.0
            parts.append(size * signed(random, leaf.size))
        return np.concatenate(parts)

    def derivatives(self, d: FloatArray, gradient: Any, orders: int) -> tuple[float, float | None, float]:
        """The slope <g, d>; if there is one to check, the curvature <d, H d>; and how uncertain that is."""
        if gradient is None:
            return self._ours(d, orders)
        if not callable(gradient):
            return float(self.vector("gradient", gradient) @ d), None, 0.0

        def slope(t: Any) -> float:
            [x] = self.inputs.rebuild(self.split(self.x + float(t) * d))
            return float(self.vector("gradient", gradient(x)) @ d)

        at_x = slope(0.0)
        if orders == 1 or not np.isfinite(at_x):
            return at_x, None, 0.0
        numeric = numeric_jacobian(slope, 0.0, wrt=0)
        return at_x, float(numeric.jacobian), 20 * float(numeric.error)

    def _ours(self, d: FloatArray, orders: int) -> tuple[float, float | None, float]:
        """Slope and curvature by tinyad."""

        def of_floats(floats: list[Any]) -> Any:
            return reshape(self.inputs(*floats), ())

        def along(vectors: list[Any]) -> float:
            return float(np.concatenate([asnumpy(v).ravel() for v in vectors]) @ d)

        floats, directions = self.split(self.x), self.split(d)
        slope = along(grad(of_floats)(floats))
        if orders == 1:
            return slope, None, 0.0
        curvature = along(hvp(of_floats, floats, directions))
        return slope, curvature, ROUNDOFF * abs(curvature)


def signed(random: np.random.Generator, size: int) -> FloatArray:
    """Random numbers of either sign, none so small that an error hides in it: between 1/2 and 3/2 without it.

    Ones would not do: with them the checks of well-known courses pass layer normalisation without the
    derivative of the variance, and a concatenation whose parts are exchanged.
    """
    return np.asarray(random.uniform(0.5, 1.5, size) * random.choice([-1.0, 1.0], size))


# ---- the dot test


@dataclass(frozen=True)
class DotTest:
    """Whether forward and reverse mode are transposes of each other.

    Attributes:
        forward: <u, J v>, with J v by forward mode.
        reverse: <J' u, v>, with J' u by reverse mode.
        gap: their difference relative to the terms of the two sums, in the 2-norm (or, if these are smaller,
            to the rounding unit of numbers of size 1, of which a derivative of zero may have come out).
        bound: the largest gap that passes.
    """

    forward: float
    reverse: float
    gap: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the gap is within the bound."""
        return self.gap <= self.bound

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return (
            f"dot test {'passed' if self.passed else 'FAILED'}: <u, J v> = {self.forward:.15g}, "
            f"<J' u, v> = {self.reverse:.15g}, relative gap {self.gap:.1e} (bound {self.bound:.1e})"
        )


def dot_test(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> DotTest:
    """Check that forward and reverse mode agree: <u, J v> = <J' u, v> for random u and v.

    No differences are taken, so nothing but roundoff separates the two numbers: the gap must be below 1e-10,
    or below 100 rounding units (1.2e-5) if an input or the output is float32. The products are summed in
    float64 in any case. The test says nothing about rules that forward and reverse mode share.

    Args:
        f: a function of arrays or trees of them, with a float output (or a tree of them).
        inputs: where to differentiate; leaves that hold no floats are held fixed.
        seed: of u and v.

    Raises:
        TypeError: the inputs or the output hold no floats.
        ValueError: NaN or infinity in the inputs.

    Source: Claerbout, Earth Soundings Analysis (1992), "dot-product test".

    >>> import numpy as np
    >>> from tinyad.checking import dot_test
    >>> dot_test(lambda x: np.sin(x) * x, np.array([0.5, 2.0])).passed
    True
    """
    function = FloatInputs("dot_test", f, inputs)
    random = np.random.default_rng(seed)
    y, pullback = vjp(function, *function.values)
    _, eps = as_output("dot_test", y)
    u = random_like(random, y)
    v = [random_like(random, value) for value in function.values]
    _, tangent = jvp(function, tuple(function.values), tuple(v))
    forward_terms = _products([u], [tangent])
    reverse_terms = _products(pullback(u), v)
    forward, reverse = float(forward_terms.sum()), float(reverse_terms.sum())
    eps = max(eps, function.eps)
    bound = max(1e-10, 100 * eps)
    size = max(float(np.linalg.norm(forward_terms)), float(np.linalg.norm(reverse_terms)), 100 * eps / bound)
    return DotTest(forward, reverse, abs(forward - reverse) / size, bound)


def random_like(random: np.random.Generator, array: Any) -> Any:
    """`signed` random numbers in the shape, dtype and place of an array."""
    array = unwrap(array)
    module = module_of(array)
    numbers = signed(random, np.size(array)).reshape(np.shape(array))
    return module.asarray(numbers, dtype=getattr(array, "dtype", None))


def _products(left: Sequence[Any], right: Sequence[Any]) -> FloatArray:
    """The terms of an inner product, in float64."""
    terms = [np.float64(asnumpy(a)) * np.float64(asnumpy(b)) for a, b in zip(left, right, strict=True)]
    return np.concatenate([np.ravel(term) for term in terms])
