"""Factors and terms: the right gradient times a named array, plus a named array, or without a sum over an axis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from ..comparison import slopes_along
from ..evidence import Evidence
from ..inputs import EPS, BoolArray, FloatArray
from ..rule import Raised, WrongCount
from ..shapes import generic
from .finding import Entry, Finding, along, number, subsets

__all__ = ["ARGUMENT", "FACTORS", "OPERANDS", "PLAIN_FACTOR", "PRECISION", "TERMS", "like_differences", "precision"]

DIFFERENCES = 2e-12  # central differences with a step of 1e-5 are off by 1e-11, right rules by 1e-15
ROUNDING = (2e-9, 5e-7)  # around what half a unit in the last place of float32 does to a number, 3e-8; float64 gives 1e-16

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


def _multiples(
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


# ---- another argument


def output_for_input(e: Evidence) -> Finding | None:
    """The derivative evaluated at the output: of an elementwise function, by evaluating its derivative there."""
    if not e.elementwise or e.extra.any():
        return None
    try:
        there = np.diag(type(e.trial)(e.trial.with_value(e.i, e.y), e.trial.seed).jacobian(e.i))
    except ValueError:  # y lies outside the domain
        return None
    ours = np.diag(e.A)
    if not e.same(ours, there) or e.same(np.diag(e.J), there):
        return None
    return Finding(
        "the derivative taken at the output instead of the input",
        f"the formula wants {e.word}, and the cache holds y",
        residual=e.residual(ours, there),
    )


OF_OUTPUT: dict[str, Function] = {
    "{}": lambda t: t, "1-{}**2": lambda t: 1 - t**2, "{0}*(1-{0})": lambda t: t * (1 - t), "1/{}": lambda t: 1 / t,
    "1/(2*{})": lambda t: 0.5 / t, "-{}**2": lambda t: -(t**2), "1+{}**2": lambda t: 1 + t**2, "1-{}": lambda t: 1 - t,
    "exp(-{})": lambda t: np.exp(-t),
}  # fmt: skip


def input_for_output(e: Evidence) -> Finding | None:
    """j == h(y), a == h(x), for the derivatives that are known by their outputs; or the other way round."""
    if not e.elementwise:
        return None
    ours, right, x, y = np.diag(e.A), np.diag(e.J), e.x.ravel(), e.y.ravel()
    with np.errstate(all="ignore"):
        for text, h in OF_OUTPUT.items():
            if e.same(right, h(y)) and e.same(ours, h(x)) and not e.same(ours, right):
                formula = text.format("y")
                return Finding(
                    f"the derivative is {formula} of the output y; yours is the same of the input {e.word}",
                    f"the cache holds {e.word} where the formula wants y",
                    {"formula": formula},
                    e.residual(ours, h(x)),
                )
            if e.same(right, h(x)) and e.same(ours, h(y)) and not e.same(ours, right):
                formula = text.format(e.word)
                return Finding(
                    f"the derivative is {formula} of the input; yours is the same of the output y",
                    f"the cache holds y where the formula wants {e.word}",
                    {"formula": formula, "at": "output"},
                    e.residual(ours, h(y)),
                    "D42",
                    "output_for_input",
                )
    return None


# ---- factors


def plain_factor(e: Evidence) -> Finding | None:
    """A == J times an array of the call, or divided by it."""
    functions = {text: FUNCTIONS[text] for text in ("{}", "1/{}")}
    named = [(word, a) for word, a in arrays(e) if len(np.unique(a)) > 2 or not np.isin(a, (0, 1)).all()]  # masks are places
    return next((found for found, c in _factors(e, named, functions) if abs(c - 1) < 1e-5), None)


def plain_term(e: Evidence) -> Finding | None:
    """A - J is an array of the call, times a constant."""
    return _term(e, {"{}": FUNCTIONS["{}"]}, constant=False)


def named_factor(e: Evidence) -> Finding | None:
    """A == J times a constant times a function of an array of the call, or of a statistic of one."""
    found = list(_factors(e, itertools.chain(arrays(e), statistics(e)), FUNCTIONS))
    return next((finding for finding, c in found if abs(c - 1) < 1e-5), found[0][0] if found else None)


def _factors(
    e: Evidence, named: Iterable[tuple[str, FloatArray]], functions: Mapping[str, Function]
) -> Iterator[tuple[Finding, float]]:
    """The functions of the named arrays that are multiples of A / J."""
    support = e.nz
    if e.extra.any() or support.sum() < 2 or not e.an.any():
        return
    ratio = e.A[support] / e.J[support]
    if float(np.ptp(ratio)) <= 1e-6 * float(np.abs(ratio).max()):
        # a factor of the whole gradient, which changes from point to point, is a number of the call
        named = [(word, a) for word, a in named if a.size == 1 or np.ptp(a) <= 1e-9 * np.abs(a).max()]
    for text, c, values in _multiples(e, ratio, support, named, functions):
        residual = e.residual(e.A[support], c * values * e.J[support])
        if residual <= max(EXACT, e.noise):
            yield _named(e, text, 1.0 if abs(c - 1) < 1e-5 else c, residual), c


def _scale(ratio: FloatArray, values: FloatArray) -> float | None:
    """c with ratio == c values; None if there is none."""
    norm = float((values**2).sum())
    if not np.isfinite(norm) or norm == 0:
        return None
    c = float((ratio * values).sum()) / norm
    off = float(np.abs(ratio - c * values).max())
    return c if c and off <= 1e-4 * float(np.abs(ratio).max()) else None


def _named(e: Evidence, text: str, c: float, residual: float) -> Finding:
    """A factor that is an array of the call is one; a statistic of an array varies along some axes only."""
    along_axes = " over " in text and "over all" not in text
    times = text if c == 1 else f"{number(c)} * {text}"
    inverse = text[2:] if text.startswith("1/") else f"1/{text}"
    return Finding(
        f"the right gradient times {times}",
        f"a factor {text} too many, or {inverse} is missing",
        {"factor": text, "c": c},
        residual,
        "D45" if along_axes else "",
        "axis_factor" if along_axes else "",
    )


def axis_factor(e: Evidence) -> Finding | None:
    """A / J is one number for each entry of the input, or of the output, with at least two entries of the Jacobian a number."""
    if e.extra.any() or e.miss.any() or not e.by_rows:
        return None
    sides = (("output", e.y.shape, 1), ("input", e.shape, 0))
    for what, shape, axis in sides:
        count = e.nz.sum(axis=axis)
        if count.sum() < 2 * (count > 0).sum() or (count > 0).sum() < 2:
            continue
        ratio = np.divide(e.A, e.J, out=np.zeros_like(e.A), where=e.nz)
        mean = ratio.sum(axis=axis, keepdims=True) / np.maximum(np.expand_dims(count, axis), 1)
        if not e.same(e.A, mean * e.J):
            continue
        along = _varying(mean.reshape(shape), (count > 0).reshape(shape))
        if not along:
            continue
        shown = " and ".join(f"axis {k}" for k in along)
        return Finding(
            f"right up to a factor that is one number for each entry of the {what} and varies only along its {shown}",
            "a factor is missing that is constant along the other axes: a scale, a standard deviation, a weight",
            {"of": what, "axes": list(along)},
            e.residual(e.A, mean * e.J),
        )
    return None


def _varying(factor: FloatArray, known: FloatArray) -> tuple[int, ...]:
    """The axes along which an array varies."""
    if not known.all():
        factor = np.where(known, factor, factor[known].mean())
    limit = 1e-5 * float(np.abs(factor).max())
    return tuple(k for k in range(factor.ndim) if factor.shape[k] > 1 and float(np.ptp(factor, axis=k).max()) > limit)


# ---- terms


def missing_branch(e: Evidence) -> Finding | None:
    """A - J is a constant times a named array, where every input has one output or every output one input."""
    return _term(e, FUNCTIONS)


def _term(e: Evidence, functions: Mapping[str, Function], constant: bool = True) -> Finding | None:
    support = e.nz
    single = (support.sum(axis=0) <= 1).all() or (support.sum(axis=1) <= 1).all()
    if support.sum() < 3 or not single or not e.zero(e.D[~support]) or e.zero(e.D):
        return None
    off = e.D[support]
    if constant and e.same(off, np.full_like(off, off[0])):
        return _branch("1", float(off.mean()), e.residual(off, np.full_like(off, off[0])))
    found = [(text, c, e.residual(off, c * values)) for text, c, values in _multiples(e, off, support, arrays(e), functions)]
    return next((_branch(*term) for term in found if abs(abs(term[1]) - 1) < 1e-5), _branch(*found[0]) if found else None)


def _branch(text: str, c: float, residual: float) -> Finding:
    term = number(c) if text == "1" else text if abs(c - 1) < 1e-5 else f"{number(c)} * {text}"
    return Finding(
        f"differs from the right derivative by {term}",
        "one of the additive contributions is missing, or wrong by this much",
        {"term": text, "c": c},
        residual,
    )


def missing_sum(e: Evidence) -> Finding | None:
    """D is block-diagonal along some axes, with blocks of rank 1 or 2."""
    if not e.by_rows or e.y.shape != e.shape or e.y.ndim == 0:
        return None
    if e.zero(e.D - np.diag(np.diag(e.D))):
        return None  # nothing is summed: of a diagonal with a few entries any block has a low rank
    for axes in subsets(e.y.ndim):
        length = int(np.prod([e.shape[k] for k in axes]))
        if length < 3 or (len(axes) == e.y.ndim and e.y.ndim > 1):
            continue
        blocks = _blocks(e, axes)
        if blocks is None:
            continue
        rank, residual = _rank(blocks, e)
        if rank == 2 and length < 5 and not _also_elsewhere(e, axes):
            continue  # a block of 3 has rank 2 or 3
        if rank and (length - rank) ** 2 * len(blocks) >= 4:
            return _sum_terms(axes, rank, residual, _weight_name(e, axes, blocks) if rank == 1 else "")
    return None


def _also_elsewhere(e: Evidence, axes: tuple[int, ...]) -> bool:
    """Whether the rank stays 2 where the axes are longer."""
    trial = e.trial.elsewhere
    try:
        there = None if trial is None or not trial.every_entry else trial.evidence(e.i)
    except (Raised, WrongCount, ValueError):
        return False
    if there is None or int(np.prod([there.shape[k] for k in axes])) < 5:
        return False
    blocks = _blocks(there, axes)
    return blocks is not None and _rank(blocks, there)[0] == 2


def _sum_terms(axes: tuple[int, ...], rank: int, residual: float, weight: str) -> Finding:
    over = along(axes)
    if rank == 1:
        times = {"": "one array times ", "1": ""}.get(weight, f"{weight} * ")
        constant = f"(something constant along {over})" if times.endswith("* ") else f"something that is constant along {over}"
        fact = f"differs from the right gradient by {times}{constant}"
        hint = (
            f"the - y * sum(gy*y, {over}) term is missing or wrong"
            if weight == "y"
            else f"the derivative through the variance over {over} is missing or wrong"
            if " - mean" in weight
            else f"a term with a sum or mean of gy over {over} is missing or wrong"
        )
    else:
        fact = f"differs from the right gradient by {rank} terms, each an array times a sum over {over}"
        hint = f"the derivative through the mean and the variance over {over} is missing or wrong"
    return Finding(fact, hint, {"axes": list(axes), "terms": rank, "weight": weight}, residual)


def _blocks(e: Evidence, axes: tuple[int, ...]) -> FloatArray | None:
    """The blocks of D that belong to one index of the other axes; None if anything lies outside them."""
    rest = [k for k in range(e.y.ndim) if k not in axes]
    n = e.y.ndim
    D = e.D.reshape(*e.y.shape, *e.shape).transpose(*rest, *axes, *(n + k for k in rest), *(n + k for k in axes))
    outer, inner = int(np.prod([e.shape[k] for k in rest])), int(np.prod([e.shape[k] for k in axes]))
    D = D.reshape(outer, inner, outer, inner)
    diagonal = np.stack([D[k, :, k, :] for k in range(outer)])
    outside = D.copy()
    for k in range(outer):
        outside[k, :, k, :] = 0.0
    return diagonal if e.zero(outside) else None


def _rank(blocks: FloatArray, e: Evidence) -> tuple[int, float]:
    """1 or 2 if that is the rank of all blocks, else 0; and the largest singular value beyond, relative."""
    singular = np.linalg.svd(blocks, compute_uv=False)
    largest = float(singular.max(initial=0.0))
    limit = max(1e-6, e.noise, 1e-7 * e.scale / largest if largest else 1.0)
    for rank in (1, 2):
        beyond = float(singular[:, rank:].max(initial=0.0))
        if largest and beyond <= limit * largest and blocks.shape[1] > rank:
            return rank, beyond / largest
    return 0, np.inf


def _weight_name(e: Evidence, axes: tuple[int, ...], blocks: FloatArray) -> str:
    """The array that the missing sum is multiplied with, if it is one of the call's: R / array is constant along the axes."""
    for word, array in (("y", e.y), (e.word, e.x), *e.others):
        if array.shape != e.shape or not np.abs(array).min() > 0:
            continue
        ratio = e.R / array
        if float(np.ptp(ratio, axis=axes).max()) <= 1e-5 * float(np.abs(ratio).max()):
            return word
    if float(np.ptp(e.R, axis=axes).max()) <= 1e-5 * float(np.abs(e.R).max()):
        return "1"
    centred = e.x - e.x.mean(axis=axes, keepdims=True)
    with np.errstate(all="ignore"):
        ratio = e.R / centred
    steady = np.isfinite(ratio).all() and float(np.ptp(ratio, axis=axes).max()) <= 1e-5 * float(np.abs(ratio).max())
    return f"({e.word} - mean over {along(axes)})" if steady else ""


def other_axes(e: Evidence) -> Finding | None:
    """The rule lets outputs depend on inputs along other axes than the function does."""
    right, ours = e.coupled(e.J), e.coupled(e.A)
    if not right or not ours or set(ours) <= set(right):
        return None
    every = len(ours) == e.y.ndim and _one_term(e.A)
    shown = [" and ".join(map(str, axes)) for axes in (right, ours)]
    return Finding(
        f"each output depends on the inputs along axis {shown[0]}; in your gradient it depends on those along axis {shown[1]}",
        "a sum() or mean() without its axis" if every else "a sum or mean runs over the wrong axis",
        {"right": list(right), "yours": list(ours)},
        id="D49" if every else "D48",
        label="total_sum" if every else "wrong_axis_of_sum",
    )


def _one_term(A: FloatArray) -> bool:
    """Whether a square matrix has rank 1 off its diagonal: a sum over everything, times one array."""
    half = len(A) // 2
    if half < 2:
        return False
    singular = np.linalg.svd(A[:half, half:], compute_uv=False)
    return bool(singular[0] and singular[1] <= 1e-6 * singular[0])


def total_sum(e: Evidence) -> Finding | None:
    """D has rank 1 over everything."""
    if not e.by_rows or min(e.D.shape) < 3:
        return None
    singular = np.linalg.svd(e.D, compute_uv=False)
    if not singular[0] or singular[1] > max(1e-6, 10 * e.noise) * singular[0]:
        return None
    return Finding(
        "differs by one term w * (a number computed from all of gy)",
        "a sum() or mean() without its axis, or one that should not be there",
        residual=float(singular[1] / singular[0]),
    )


def not_centred(e: Evidence) -> Finding | None:
    """R is constant along an axis, for outputs that lack one."""
    if e.zero(e.R) or not e.shape or e.y.shape == e.shape:
        return None
    for axes in subsets(len(e.shape)):
        if min(e.shape[k] for k in axes) < 3:
            continue
        if float(np.ptp(e.R, axis=axes).max()) <= max(1e-6, e.noise) * float(np.abs(e.R).max()):
            over = along(axes)
            return Finding(
                f"differs by something that is the same for all entries along {over}",
                f"a mean over {over} is not subtracted, or is subtracted once too often",
                {"axes": list(axes)},
                float(np.ptp(e.R, axis=axes).max()) / float(np.abs(e.R).max()),
            )
    return None


# ---- operands


def operand(e: Evidence) -> Finding | None:
    """A is J with another input transposed or reversed."""
    if not e.by_rows:
        return None
    for j, (word, array) in enumerate(zip(e.trial.rule.words, e.trial.values, strict=True)):
        for text, moved in _moved(array):
            if j == e.i and e.y.shape == e.shape:
                continue
            there = _jacobian_with(e, j, moved)
            if there is not None and e.same(e.A, there) and not e.same(e.J, there):
                hint = (
                    "a .T is missing or there is one too many" if "transposed" in text else "it is indexed the wrong way round"
                )
                return Finding(
                    f"right if {word} were {text}", f"{hint}: {word}", {"operand": word, "how": text}, e.residual(e.A, there)
                )
    return None


def _moved(array: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    if array.ndim >= 2 and array.shape[-1] == array.shape[-2]:
        yield "transposed", array.swapaxes(-1, -2)
    for axis in range(array.ndim):
        if array.shape[axis] > 1:
            yield f"reversed along axis {axis}", np.flip(array, axis)
    if array.ndim > 1:
        yield "reversed along the last two axes", np.flip(array, (-1, -2))


def _jacobian_with(e: Evidence, j: int, moved: FloatArray) -> FloatArray | None:
    """The Jacobian by this input with another one in the place of input j; None if it cannot be the rule's.

    One direction tells most of those that are not: it takes four calls of forward, a Jacobian four for each entry.
    """
    rule = e.trial.with_value(j, np.ascontiguousarray(moved))
    direction = generic(np.random.default_rng(0), e.shape).ravel()
    try:
        [slope] = slopes_along(rule, rule.in_float64(), e.i, [direction])
        if slope.jacobian.shape != e.y.shape or e.residual(e.A @ direction, slope.jacobian.ravel()) > 1e-4:
            return None
        return type(e.trial)(rule, e.trial.seed).jacobian(e.i)
    except Exception:  # forward does not take it
        return None


def order(e: Evidence) -> Finding | None:
    """G is a product of gy and one other input, and the right gradient is another product of these two."""
    if not e.by_rows or e.gy.ndim != 2 or len(e.shape) != 2:
        return None
    for word, array in [*e.others, (e.word, e.x)]:
        if array.ndim != 2:
            continue
        products = list(_products(e.gy, word, array))
        if not any(e.same(e.N, product) for _, product in products):
            continue
        for text, product in products:
            if e.same(e.G, product) and not e.same(e.N, product):
                hint = "the operands stand in the wrong order, or one is transposed wrongly"
                return Finding(f"equals {text}", hint, {"product": text}, e.residual(e.G, product))
    return None


def _products(gy: FloatArray, word: str, array: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """The matrix products of gy and an array, either transposed or not, in both orders."""
    pairs = itertools.product((("gy", gy), ("gy.T", gy.T)), ((word, array), (f"{word}.T", array.T)))
    for (a, left), (b, right) in pairs:
        for text, x, z in ((f"{a} @ {b}", left, right), (f"{b} @ {a}", right, left)):
            if x.shape[1] == z.shape[0]:
                yield text, x @ z


def precision(e: Evidence) -> Finding | None:
    """G differs from the exact gradient by noise of the size of float32's rounding."""
    off = _off_exact(e)
    if off is None or not ROUNDING[0] < off < ROUNDING[1]:
        return None
    return Finding(
        "right to about 7 digits, and beyond them wrong without a pattern",
        "part of the computation runs in float32, or the derivative is a difference quotient",
        residual=float(f"{off:.0e}"),
    )


def like_differences(e: Evidence) -> Finding | None:
    """G differs from the exact gradient by more than roundoff and less than float32's rounding."""
    off = _off_exact(e)
    if off is None or not DIFFERENCES < off <= ROUNDING[0]:
        return None
    return Finding(
        f"right to about {int(-np.log10(off))} digits, where a derivative that is written out is right to 14 or more",
        "a difference quotient in the place of a derivative, or a sum in which much cancels",
        residual=float(f"{off:.0e}"),
    )


def _off_exact(e: Evidence) -> float | None:
    """By how much the entries of G typically differ from the exact gradient, relatively; None where that is not known: a forward
    in float32 leaves a tape in float32."""
    if e.trial.value[1] > EPS:
        return None
    exact = e.trial.tape.right[e.i] if e.trial.tape is not None and e.trial.tape_is_right(e.i) else None
    if exact is None or not e.by_rows or not e.same(e.G, exact):
        return None
    clear = np.abs(exact) > 1e-3 * np.abs(exact).max(initial=0.0)
    ratio = np.abs(e.G - exact)[clear] / np.abs(exact)[clear]
    return float(np.median(ratio)) if ratio.size >= 3 else None


PRECISION = (Entry("D54", "precision", precision),)
PLAIN_FACTOR = (Entry("D44", "missing_factor", plain_factor), Entry("D46", "missing_branch", plain_term))
ARGUMENT = (Entry("D43", "input_for_output", input_for_output),)
FACTORS = (
    Entry("D44", "missing_factor", named_factor),
    Entry("D42", "output_for_input", output_for_input),
    Entry("D45", "axis_factor", axis_factor),
)
OPERANDS = (Entry("D53", "order", order), Entry("D52", "operand", operand))
TERMS = (
    Entry("D47", "missing_sum_term", missing_sum),
    Entry("D46", "missing_branch", missing_branch),
    Entry("D50", "centering", not_centred),
    Entry("D48", "wrong_axis_of_sum", other_axes),
    Entry("D49", "total_sum", total_sum),
)
