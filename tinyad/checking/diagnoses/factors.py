"""Factors and terms: the right gradient times an array of the call, plus one, or with one put in another's place."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ..evidence import Evidence
from ..inputs import FloatArray
from ..trial import Trial
from .finding import Entry, Finding, number
from .named_arrays import EXACT, FUNCTIONS, Function, arrays, multiples, statistics

__all__ = ["ARGUMENT", "FACTORS", "PLAIN", "TERM"]


# ---- another argument


def output_for_input(e: Evidence) -> Finding | None:
    """The derivative evaluated at the output: of an elementwise function, by evaluating its derivative there."""
    if not e.elementwise or e.extra.any():
        return None
    try:
        there = np.diag(Trial(e.trial.with_value(e.i, e.y), e.trial.seed).jacobian(e.i))
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
    for text, c, values in multiples(e, ratio, support, named, functions):
        residual = e.residual(e.A[support], c * values * e.J[support])
        if residual <= max(EXACT, e.noise):
            yield _named(e, text, 1.0 if abs(c - 1) < 1e-5 else c, residual), c


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


def plain_term(e: Evidence) -> Finding | None:
    """A - J is an array of the call, times a constant."""
    return _term(e, {"{}": FUNCTIONS["{}"]}, constant=False)


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
    found = [(text, c, e.residual(off, c * values)) for text, c, values in multiples(e, off, support, arrays(e), functions)]
    return next((_branch(*term) for term in found if abs(abs(term[1]) - 1) < 1e-5), _branch(*found[0]) if found else None)


def _branch(text: str, c: float, residual: float) -> Finding:
    term = number(c) if text == "1" else text if abs(c - 1) < 1e-5 else f"{number(c)} * {text}"
    return Finding(
        f"differs from the right derivative by {term}",
        "one of the additive contributions is missing, or wrong by this much",
        {"term": text, "c": c},
        residual,
    )


PLAIN = (Entry("D44", "missing_factor", plain_factor), Entry("D46", "missing_branch", plain_term))
ARGUMENT = (Entry("D43", "input_for_output", input_for_output),)
FACTORS = (
    Entry("D44", "missing_factor", named_factor),
    Entry("D42", "output_for_input", output_for_input),
    Entry("D45", "axis_factor", axis_factor),
)
TERM = (Entry("D46", "missing_branch", missing_branch),)
