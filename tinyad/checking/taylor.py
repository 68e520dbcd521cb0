"""The Taylor table: how fast the remainder of a Taylor expansion falls with the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..backend import asnumpy, module_of
from ..primitives.complex import is_complex
from ..primitives.shaping import reshape
from ..tensor import unwrap
from ..transforms import grad, hvp
from .differences import numeric_jacobian
from .inputs import EPS, FloatArray, FloatInputs, as_output, require_callable, require_finite, signed

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
    require_callable("taylor_table", f)
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
        require_finite("taylor_table", "f(x)", np.asarray(self.value(self.x)))

    def vector(self, name: str, like_x: Any) -> FloatArray:
        """The entries of a tree like x (a direction, a gradient), as one vector.

        Of a complex gradient the imaginary part is minus the derivative by the imaginary part, see `primitives.complex`.
        """
        found = tree.same_structure(name, self.structure, like_x, "x")
        parts = []
        for i, path, ours in zip(self.inputs.free, self.inputs.paths, self.leaves, strict=True):
            given = asnumpy(unwrap(found[i]))
            if path.endswith(".imag") and is_complex(self.inputs.leaves[i]):
                given = -given.imag if name == "gradient" else given.imag
            entries = np.asarray(given.real, np.float64)
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
