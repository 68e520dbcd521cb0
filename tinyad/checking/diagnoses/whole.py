"""Identities of the whole gradient: zero, a sign, a factor, exchanged, moved, summed, another function's.

Fewest degrees of freedom first: what a sign explains is not explained by a permutation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..evidence import Evidence
from ..inputs import FloatArray
from ..trial import Trial
from .finding import Entry, Finding, along, number, subsets

__all__ = ["WHOLE"]


def zero(e: Evidence) -> Finding | None:
    """A == 0, J is not."""
    if e.scale == 0 or e.A.any():
        return None
    return Finding(
        "your gradient is zero everywhere, the right one is not",
        "no path of the backward pass reaches this input, or its gradient is overwritten by zeros at the end",
    )


def sign(e: Evidence) -> Finding | None:
    """A == -J."""
    if not e.same(e.A, -e.J):
        return None
    return Finding("every entry has the opposite sign", "a minus is missing or one too many", residual=e.residual(e.A, -e.J))


# ---- factors


CAUSES = {
    2.0: "a factor of 2 too many: a square, a term counted twice, a one-sided for a central difference",
    0.5: "a factor of 2 is missing: the derivative of a square is 2x; or this input is used twice and counted once",
    3.0: "an exponent, or a term counted three times",
    1 / 3: "a factor of 3 is missing: an exponent, or one of three uses",
    4.0: "a factor of 2 twice too often",
    0.25: "a factor of 2 is missing twice",
}


def factor_of(e: Evidence) -> float | None:
    """c with A == c J, if there is one."""
    norm = float((e.J**2).sum())
    if norm == 0:
        return None
    c = float((e.A * e.J).sum()) / norm
    return c if abs(c) > 1e-9 and e.same(e.A, c * e.J) else None


def sizes(trial: Trial, i: int) -> Iterator[tuple[str, int]]:
    """The lengths that a factor may be, with what people write for them."""
    named = list(zip(trial.rule.words, trial.values, strict=True))
    named = [named[i], *(pair for k, pair in enumerate(named) if k != i), *trial.fixed, ("y", trial.y)]
    for word, array in named:
        yield from ((f"{word}.shape[{axis}]", length) for axis, length in enumerate(array.shape))
    for word, array in named:
        if array.ndim > 1:
            yield f"{word}.size", array.size
        if array.ndim > 2:
            for axes in subsets(array.ndim):
                if 1 < len(axes) < array.ndim:
                    yield "*".join(f"{word}.shape[{k}]" for k in axes), int(np.prod([array.shape[k] for k in axes]))


POWERS: dict[str, Callable[[float], float]] = {
    "{}": lambda n: n, "1/{}": lambda n: 1 / n, "{}**2": lambda n: n**2, "1/{}**2": lambda n: 1 / n**2,
    "sqrt({})": lambda n: n**0.5, "1/sqrt({})": lambda n: n**-0.5, "{0}/({0}-1)": lambda n: n / (n - 1),
    "({0}-1)/{0}": lambda n: (n - 1) / n, "2/{}": lambda n: 2 / n, "{}/2": lambda n: n / 2, "({}-1)": lambda n: n - 1,
    "1/({}-1)": lambda n: 1 / (n - 1), "2*{}": lambda n: 2 * n, "1/(2*{})": lambda n: 1 / (2 * n),
    "-{}": lambda n: -n, "-1/{}": lambda n: -1 / n,
}  # fmt: skip


def named_lengths(trial: Trial, i: int, c: float) -> list[str]:
    """The formulas in lengths that give c in a trial."""
    found = []
    for word, n in sizes(trial, i):
        if n > 2:
            found += [text.format(word) for text, of in POWERS.items() if abs(of(n) - c) < 1e-5 * abs(c)]
    return found


def factor(e: Evidence) -> Finding | None:
    """A == c J: a constant, or a length of the arrays, which the rule on arrays of other lengths tells apart."""
    c = factor_of(e)
    if c is None or abs(c - 1) < 1e-6:
        return None
    residual = e.residual(e.A, c * e.J)
    lengths = named_lengths(e.trial, e.i, c)
    other = e.trial.elsewhere if lengths else None
    c2 = other.factor(e.i) if other is not None else None
    if c2 is not None and other is not None:
        there = named_lengths(other, e.i, c2)
        lengths = [text for text in lengths if text in there]
        if abs(c2 - c) < 1e-5 * abs(c):
            lengths = []
    usual = next((k for k in CAUSES if abs(k - c) < 1e-5 * k), 0.0)
    if lengths and (c2 is not None or not usual):
        return _length_factor(c, lengths, residual, confirmed=c2 is not None)
    cause = CAUSES.get(usual, "a constant factor is wrong or missing")
    maybe = f"It is also {' or '.join(lengths[:3])}, and forward takes no other shapes to tell these apart." if lengths else ""
    return Finding(f"exactly {number(c)} times the right gradient", cause, {"c": c}, residual, explain=maybe)


def _length_factor(c: float, lengths: list[str], residual: float, confirmed: bool) -> Finding:
    large = abs(c) > 1
    hint = (
        "a division by a number of entries is missing (the 1/N of a mean), or something is counted once an entry"
        if large
        else "divided by a number of entries once too often: a mean where the sum is right"
    )
    shown = " or ".join(dict.fromkeys(lengths[:3]))
    how = "" if confirmed else "\nThe forward function takes no other shapes, so a constant of this size cannot be told apart."
    fact = f"exactly {number(c)} times the right gradient = {shown}"
    return Finding(fact, hint, {"c": c, "sizes": lengths[:3]}, residual, "D24", "factor_n", explain=how.strip())


# ---- exchanged, moved


def swapped(e: Evidence) -> Finding | None:
    """A_i == J_j, and A_j == J_i or not."""
    for j, (word, array) in enumerate(zip(e.trial.rule.words, e.trial.values, strict=True)):
        if j == e.i or array.shape != e.shape:
            continue
        other = e.trial.evidence(j)
        if not e.same(e.A, other.J) or e.same(e.J, other.J):
            continue
        both = e.same(other.A, e.J)
        fact = f"the gradients of {e.word} and {word} are exchanged" if both else f"this is the right gradient of {word}"
        hint = (
            "the order of what backward returns" if both else f"the gradient of {word} is returned in the place of {e.word}'s"
        )
        return Finding(fact, hint, {"with": word, "both": both}, e.residual(e.A, other.J))
    return None


def _by_input_axes(matrix: FloatArray, e: Evidence) -> FloatArray:
    return matrix.reshape(-1, *e.shape)


def transposed(e: Evidence) -> Finding | None:
    """The axes of the gradient are permuted."""
    J = _by_input_axes(e.J, e)
    for axes in itertools.permutations(range(len(e.shape))):
        if axes == tuple(range(len(e.shape))) or tuple(e.shape[k] for k in axes) != e.shape:
            continue
        moved = J.transpose(0, *(1 + k for k in axes)).reshape(e.J.shape)
        if e.same(e.A, moved):
            return Finding(
                f"the right gradient with its axes permuted to {axes}",
                "a transpose is missing or one too many",
                {"axes": list(axes)},
                e.residual(e.A, moved),
            )
    return None


def flipped(e: Evidence) -> Finding | None:
    """The gradient, or the output's index, is reversed along some axes."""
    for axes in subsets(len(e.shape)):
        moved = np.flip(_by_input_axes(e.J, e), tuple(1 + k for k in axes)).reshape(e.J.shape)
        if e.same(e.A, moved):
            return _flipped(axes, e.residual(e.A, moved), "the right gradient")
    if e.by_rows:
        for axes in subsets(e.y.ndim):
            moved = np.flip(e.J.reshape(*e.y.shape, -1), axes).reshape(e.J.shape)
            if e.same(e.A, moved):
                return _flipped(axes, e.residual(e.A, moved), "right for an upstream gradient")
    return None


def _flipped(axes: tuple[int, ...], residual: float, what: str) -> Finding:
    shown = along(axes)
    return Finding(f"{what} reversed along {shown}", "a flip is missing or one too many", {"axes": list(axes)}, residual)


def shifted(e: Evidence) -> Finding | None:
    """The gradient, or the output's index, is off by a few places along an axis, with zeros or the other end moving in."""
    tries = [("the right gradient", _by_input_axes(e.J, e), range(1, 1 + len(e.shape)), 1)]
    if e.by_rows:
        tries.append(("right for an upstream gradient", e.J.reshape(*e.y.shape, -1), range(e.y.ndim), 0))
    for what, J, axes, first in tries:
        for axis in axes:
            for by in [s for k in range(1, min(J.shape[axis], 4)) for s in (k, -k)]:
                shifts = [_shift(J, by, axis, around).reshape(e.J.shape) for around in (False, True)]
                exact = any(moved.any() and e.same(e.A, moved) for moved in shifts)
                if exact or _overlap(e, J, {axis: by}):
                    places = f"{abs(by)} place{'s' * (abs(by) > 1)} {'up' if by > 0 else 'down'}"
                    return Finding(
                        f"{what} shifted {places} along axis {axis - first}",
                        "an index off by one",
                        {"axis": axis - first, "by": by},
                    )
    return None


def offset(e: Evidence) -> Finding | None:
    """Where every entry of the input goes to one of the output: the same numbers, all off by the same index."""
    if (
        not e.by_rows
        or not e.y.shape
        or not (e.nz.sum(axis=0) <= 1).all()
        or not (e.an.sum(axis=0) <= 1).all()
        or e.A.shape[1] < 3
    ):
        return None
    both = e.nz.any(axis=0) & e.an.any(axis=0)
    if both.sum() < 5 or not e.same(e.A.sum(axis=0)[both], e.J.sum(axis=0)[both]):
        return None
    ours, right = (np.stack(np.unravel_index(np.abs(M[:, both]).argmax(axis=0), e.y.shape)) for M in (e.A, e.J))
    by = (ours - right).T
    if not by.size or not (by == by[0]).all() or not by[0].any():
        return None
    index = [int(k) for k in by[0]]
    return Finding(
        f"right for an upstream gradient whose index is off by {index if len(index) > 1 else index[0]}",
        "a slice starts at the wrong place, or parts are taken in the wrong order",
        {"by": index},
    )


def shifted_in_two(e: Evidence) -> Finding | None:
    """The gradient is off along two axes at once, as an image is."""
    J = _by_input_axes(e.J, e)
    for axes in itertools.combinations(range(1, J.ndim), 2):
        for by in itertools.product((-2, -1, 1, 2), repeat=2):
            if _overlap(e, J, dict(zip(axes, by, strict=True))):
                return Finding(
                    f"the right gradient shifted by {by} along axes {tuple(k - 1 for k in axes)}",
                    "a padding or an offset that is not taken off",
                    {"axes": [k - 1 for k in axes], "by": list(by)},
                )
    return None


def _overlap(e: Evidence, J: FloatArray, shifts: Mapping[int, int]) -> bool:
    """Whether A is J shifted along axes, whatever moved in at their ends; most of it must not have moved in."""
    to, of = [slice(None)] * J.ndim, [slice(None)] * J.ndim
    for axis, by in shifts.items():
        length = J.shape[axis]
        if 2 * abs(by) >= length or length - abs(by) < 3:
            return False
        to[axis] = slice(by, None) if by > 0 else slice(0, by)
        of[axis] = slice(0, length - by) if by > 0 else slice(-by, None)
    return e.same(e.A.reshape(J.shape)[tuple(to)], J[tuple(of)])


def _shift(array: FloatArray, by: int, axis: int, around: bool) -> FloatArray:
    moved = np.roll(array, by, axis)
    if not around:
        gone = [slice(None)] * array.ndim
        gone[axis] = slice(0, by) if by > 0 else slice(by, None)
        moved[tuple(gone)] = 0.0
    return moved


def permuted(e: Evidence) -> Finding | None:
    """The right numbers at wrong places."""
    if e.G.size < 4 or e.same(e.G, e.N) or not e.same(np.sort(e.G, axis=None), np.sort(e.N, axis=None)):
        return None
    if len(np.unique(np.round(e.N / (np.abs(e.N).max() or 1.0), 6))) < 4:
        return None
    fortran = e.same(e.G, e.N.reshape(e.shape[::-1], order="C").T) or e.same(e.G, e.N.ravel().reshape(e.shape, order="F"))
    fortran = fortran or e.same(e.G, e.N.ravel(order="F").reshape(e.shape))
    hint = "entries are read or written in column order (order='F', or a reshape where a transpose is meant)" if fortran else ""
    return Finding(
        "the right numbers at wrong places",
        hint or "an index, the order of axes, or a reshape",
        {"fortran": bool(fortran)},
        e.residual(np.sort(e.G, axis=None), np.sort(e.N, axis=None)),
    )


# ---- summed, passed through, another's


def oversummed(e: Evidence) -> Finding | None:
    """G == the sum or mean of N over axes, broadcast back."""
    for axes in subsets(len(e.shape)):
        if any(e.shape[k] == 1 for k in axes) or not e.shape:
            continue
        for how in (np.sum, np.mean):
            moved = np.broadcast_to(how(e.N, axis=axes, keepdims=True), e.shape)
            if not e.same(e.N, moved) and e.same(e.G, moved):
                over = along(axes)
                return Finding(
                    f"the {'sum' if how is np.sum else 'mean'} of the right gradient over {over}, the same for all",
                    "summed over one axis too many",
                    {"axes": list(axes), "mean": how is np.mean},
                    e.residual(e.G, moved),
                )
    return None


def no_local(e: Evidence) -> Finding | None:
    """A has ones where J is not zero, however small it is there: a saturated tanh has slopes of 1e-10."""
    ones = (e.nz | (e.an & (e.J != 0))).astype(float)
    if not e.by_rows or not e.nz.any() or not e.same(e.A, ones) or e.same(e.J, ones):
        return None
    return Finding(
        "the upstream gradient is passed on as it is, as if the derivative were 1",
        "the local derivative is missing",
        residual=e.residual(e.A, ones),
    )


def wrong_axis_of_cotangent(e: Evidence) -> Finding | None:
    """A' 1 == J' 1: right only where the upstream gradient is the same everywhere."""
    if not e.by_rows or len(e.A) < 2:
        return None
    ours, right = e.A.sum(axis=0), e.J.sum(axis=0)
    if e.zero(right) or not e.same(ours, right):
        return None
    return Finding(
        "right when the upstream gradient is the same everywhere, and only then",
        "gy is broadcast, summed or indexed along the wrong axis or in the wrong order; summing the output hides it",
        residual=e.residual(ours, right),
    )


def transposed_jacobian(e: Evidence) -> Finding | None:
    """A == J'."""
    if not e.by_rows or e.A.shape[0] != e.A.shape[1] or len(e.A) < 2 or not e.same(e.A, e.J.T):
        return None
    return Finding(
        "the Jacobian where its transpose belongs", "a transpose is missing: J is used for J'", residual=e.residual(e.A, e.J.T)
    )


def diagonal_only(e: Evidence) -> Finding | None:
    """A == diag(J), and J is not diagonal."""
    if not e.by_rows or e.A.shape[0] != e.A.shape[1] or len(e.A) < 3:
        return None
    diagonal = np.diag(np.diag(e.J))
    if not diagonal.any() or e.same(e.J, diagonal) or not e.same(e.A, diagonal):
        return None
    return Finding(
        "right for each output and the input at its place, zero for all other inputs",
        "each output depends on several inputs: the cross terms are missing",
        residual=e.residual(e.A, diagonal),
    )


WHOLE = (
    Entry("D21", "zero", zero),
    Entry("D22", "sign", sign),
    Entry("D23", "factor", factor),
    Entry("D25", "swapped", swapped),
    Entry("D26", "transposed", transposed),
    Entry("D27", "flipped", flipped),
    Entry("D28", "shifted", shifted),
    Entry("D28", "shifted", offset),
    Entry("D28", "shifted", shifted_in_two),
    Entry("D31", "no_local", no_local),
    Entry("D33", "transposed_jac", transposed_jacobian),
    Entry("D34", "diagonal_only", diagonal_only),
    Entry("D29", "permuted", permuted),
)
OVERSUM = (Entry("D30", "oversum", oversummed),)
UPSTREAM = (Entry("D32", "wrong_axis", wrong_axis_of_cotangent),)
