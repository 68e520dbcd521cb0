"""The arrays of a call by name, beside the Jacobian, and which of their functions something is a multiple of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from ..evidence import Evidence
from ..inputs import BoolArray, FloatArray
from .finding import subsets

__all__ = ["EXACT", "FUNCTIONS", "Function", "arrays", "multiples", "statistics"]

Function = Callable[[FloatArray], FloatArray]
IntArray = npt.NDArray[np.intp]

EXACT = 1e-7  # relative: std(x) is not sqrt(var(x) + 1e-5), which agrees with it to 1e-6 where the variance is large
SAMPLES = 7  # entries on which a factor is tried before it is computed

FUNCTIONS: dict[str, Function] = {
    "{}": lambda t: t,
    "1/{}": lambda t: 1 / t,
    "{}**2": lambda t: t**2,
    "1/{}**2": lambda t: 1 / t**2,
    "(1 - {})": lambda t: 1 - t,
    "1/(1 - {})": lambda t: 1 / (1 - t),
    "(1 - {}**2)": lambda t: 1 - t**2,
    "1/(1 - {}**2)": lambda t: 1 / (1 - t**2),
    "{0}*(1 - {0})": lambda t: t * (1 - t),
    "1/({0}*(1 - {0}))": lambda t: 1 / (t * (1 - t)),
    "exp({})": np.exp,
    "exp(-{})": lambda t: np.exp(-t),
    "sin({})": np.sin,
    "cos({})": np.cos,
    "sqrt({})": np.sqrt,
    "1/sqrt({})": lambda t: 1 / np.sqrt(t),
    "log({})": np.log,
    "1/log({})": lambda t: 1 / np.log(t),
    "sign({})": np.sign,
    "|{}|": np.abs,
    "(1 + {})": lambda t: 1 + t,
    "1/(1 + {})": lambda t: 1 / (1 + t),
    "(1 + {}**2)": lambda t: 1 + t**2,
    "1/(1 + {}**2)": lambda t: 1 / (1 + t**2),
    "{}**3": lambda t: t**3,
    "tanh({})": np.tanh,
    "(1 - tanh({})**2)": lambda t: 1 - np.tanh(t) ** 2,
    "sigmoid({})": lambda t: 1 / (1 + np.exp(-t)),
    "(1 - sigmoid({}))": lambda t: 1 / (1 + np.exp(t)),
    "sigmoid({0})*(1 - sigmoid({0}))": lambda t: 1 / ((1 + np.exp(t)) * (1 + np.exp(-t))),
}

SUMMARIES: dict[str, Callable[..., FloatArray]] = {
    "sum": np.sum,
    "mean": np.mean,
    "std": np.std,
    "var": np.var,
    "norm": lambda a, axis, keepdims: np.sqrt((a**2).sum(axis=axis, keepdims=keepdims)),
    "sum of squares of": lambda a, axis, keepdims: (a**2).sum(axis=axis, keepdims=keepdims),
    "rms": lambda a, axis, keepdims: np.sqrt((a**2).mean(axis=axis, keepdims=keepdims)),
    "max": np.max,
    "sum of exp of": lambda a, axis, keepdims: np.exp(a).sum(axis=axis, keepdims=keepdims),
}


def arrays(e: Evidence) -> Iterator[tuple[str, FloatArray]]:
    """The arrays of the call by name, as they stand beside the Jacobian: along its rows, or along its columns."""
    for word, array in [(e.word, e.x), *e.others, ("y", e.y)]:
        yield from ((word, placed) for placed in _beside(e, array))


def statistics(e: Evidence) -> Iterator[tuple[str, FloatArray]]:
    """Their sums, means and the like over axes, in the same way."""
    for word, array in [(e.word, e.x), *e.others, ("y", e.y)]:
        for axes in subsets(array.ndim):
            over = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}" if len(axes) < array.ndim else "all"
            for how, summary in SUMMARIES.items():
                reduced = summary(array, axis=axes, keepdims=True)
                for placed in _beside(e, reduced) or _beside(e, summary(array, axis=axes, keepdims=False)):
                    yield f"({how} {word} over {over})", placed


def _beside(e: Evidence, array: FloatArray) -> list[FloatArray]:
    """The array along the columns, if it fits the input; along the rows, if it fits the output."""
    found = []
    for shape, wanted, row in ((e.shape, True, True), (e.y.shape, e.by_rows, False)):
        if not wanted:
            continue
        try:
            spread = np.broadcast_to(array, shape).ravel()
        except ValueError:
            continue
        found.append(spread[None, :] if row else spread[:, None])
    return found


def multiples(
    e: Evidence,
    target: FloatArray,
    support: BoolArray,
    named: Iterable[tuple[str, FloatArray]],
    functions: Mapping[str, Function],
) -> Iterator[tuple[str, float, FloatArray]]:
    """The functions of named arrays of which ``target`` is a multiple on the support: name, factor, values there.

    All of them are tried on a few entries first, each function on all arrays at once: that is twenty times faster.
    """
    candidates = list(named)
    if not candidates:
        return
    chosen = np.unique(np.linspace(0, target.size - 1, SAMPLES).astype(int))
    rows, columns = (places[chosen] for places in np.nonzero(support))
    samples = np.stack([_entries(array, rows, columns) for _, array in candidates])
    wanted = target[chosen]
    passed = np.stack([_proportional(function, samples, wanted) for function in functions.values()], axis=1)
    for k, f in np.argwhere(passed):
        text, function = list(functions.items())[f]
        word, array = candidates[k]
        with np.errstate(all="ignore"):
            values = np.broadcast_to(function(array), e.J.shape)[support]
        c = _scale(target, values)
        if c is not None and e.residual(target, c * values) <= max(EXACT, e.noise):
            yield text.format(word), c, values


def _entries(array: FloatArray, rows: IntArray, columns: IntArray) -> FloatArray:
    """Some entries of an array that stands beside a matrix: a row, a column, or a number."""
    return np.asarray(array[np.minimum(rows, array.shape[0] - 1), np.minimum(columns, array.shape[1] - 1)])


def _proportional(function: Function, samples: FloatArray, wanted: FloatArray) -> BoolArray:
    """Which rows of samples are, once the function is taken of them, multiples of what is wanted."""
    with np.errstate(all="ignore"):
        values = function(samples)
        c = (values @ wanted) / (values * values).sum(axis=1)
        off = np.abs(wanted - c[:, None] * values).max(axis=1)
        return np.asarray(np.isfinite(c) & (off <= 1e-4 * np.abs(wanted).max()))


def _scale(ratio: FloatArray, values: FloatArray) -> float | None:
    """c with ratio == c values; None if there is none."""
    norm = float((values**2).sum())
    if not np.isfinite(norm) or norm == 0:
        return None
    c = float((ratio * values).sum()) / norm
    off = float(np.abs(ratio - c * values).max())
    return c if c and off <= 1e-4 * float(np.abs(ratio).max()) else None
