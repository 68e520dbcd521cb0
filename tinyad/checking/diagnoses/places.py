"""Where a gradient is wrong: on one side of a condition, for dead inputs, in some outputs, where an input is used twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..evidence import Evidence
from ..inputs import BoolArray
from .finding import Entry, Finding, number

__all__ = ["ELSEWHERE", "PLACES", "TARGET"]


def conditions(e: Evidence) -> Iterator[tuple[str, BoolArray]]:
    """Conditions on the entries of the input that a branch may depend on: one for each column of the Jacobian."""
    x = e.x
    yield f"{e.word} < 0", x < 0
    yield f"{e.word} > 0", x > 0
    for word, other in e.others:
        if not _fits(other.shape, x.shape):
            continue
        if len(np.unique(other)) == 2:  # labels and masks
            for value in np.unique(other):
                yield f"{word} == {value:g}", np.broadcast_to(other == value, x.shape)
            continue
        yield f"{e.word} > {word}", x > other
        yield f"{e.word} < {word}", x < other
        yield f"{word} < 0", np.broadcast_to(other < 0, x.shape)
        yield f"{word} > 0", np.broadcast_to(other > 0, x.shape)
    if _fits(e.y.shape, x.shape):
        yield "y < 0", np.broadcast_to(e.y < 0, x.shape)
        yield "y > 0", np.broadcast_to(e.y > 0, x.shape)
    yield f"|{e.word}| > 1", np.abs(x) > 1
    yield f"|{e.word}| < 1", np.abs(x) < 1
    if x.ndim:
        yield f"{e.word} is the largest along its last axis", x == x.max(axis=-1, keepdims=True)
        yield f"{e.word} is the smallest along its last axis", x == x.min(axis=-1, keepdims=True)
    yield f"{e.word} is the largest", x == x.max()
    yield f"{e.word} is the smallest", x == x.min()


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, into) == into
    except ValueError:
        return False


def mask(e: Evidence) -> Finding | None:
    """Wrong for the entries on one side of a condition and right on the other; or by a constant factor on each side."""
    wrong: BoolArray = np.any(~e.ok, axis=0)
    live: BoolArray = np.any(e.nz | e.an, axis=0)
    if live.sum() < 4:
        return None
    for text, where in conditions(e):
        side = where.ravel() & live
        rest = live & ~side
        if side.sum() < 2 or rest.sum() < 2:
            continue
        if np.array_equal(wrong[live], side[live]):
            factor = _factor(e, side)
            times = "" if factor is None else "zero" if factor == 0 else f"{number(factor)} times the right one"
            what = times and f", where it is {times}"
            return Finding(
                f"wrong exactly where {text}{what}",
                "the factor of this branch is missing or wrong, or the branches are exchanged",
                {"where": text, "factor": "none" if factor is None else factor},
            )
        factors = _factor(e, side), _factor(e, rest)
        if None not in factors and abs(factors[0] - factors[1]) > 1e-6:  # type: ignore[operator]
            here, there = (number(f) for f in factors if f is not None)
            return Finding(
                f"{here} times the right gradient where {text}, {there} times elsewhere",
                "the factors of the branches are wrong or exchanged",
                {"where": text, "factor": factors[0], "elsewhere": factors[1]},
            )
    return _threshold(e, wrong & live, live & ~wrong)


def _threshold(e: Evidence, wrong: BoolArray, right: BoolArray) -> Finding | None:
    """Wrong for all entries on one side of some number, for an elementwise function."""
    if not e.elementwise or min(wrong.sum(), right.sum()) < 3:
        return None
    x = e.x.ravel()
    for side, bad, good in (("below", x[wrong].max(), x[right].min()), ("above", -x[wrong].min(), -x[right].max())):
        if bad < good:
            low, high = sorted((abs(bad), abs(good)))
            return Finding(
                f"wrong exactly where {e.word} is {side} some number (between {low:.4g} and {high:.4g} in size), right elsewhere",
                "a threshold is compared with another number than in forward",
                {"side": side},
            )
    return None


def _factor(e: Evidence, columns: BoolArray) -> float | None:
    """c with A == c J in these columns."""
    A, J = e.A[:, columns], e.J[:, columns]
    norm = float((J**2).sum())
    if norm == 0:
        return None
    c = float((A * J).sum()) / norm
    return c if float(np.abs(A - c * J).max()) <= max(1e-6, e.noise) * e.scale * max(1.0, abs(c)) else None


def dead_inputs(e: Evidence) -> Finding | None:
    """Extra entries only in columns where the Jacobian is zero; right elsewhere."""
    dead = ~e.nz.any(axis=0)
    if not dead.any() or dead.all() or not e.ok[:, ~dead].all() or not e.extra[:, dead].any():
        return None
    return Finding(
        "entries that do not influence the output get a gradient; all others are right",
        "the mask of what was selected (max, where, clip, dropout) is missing",
    )


def inverted(e: Evidence) -> Finding | None:
    """Zero wherever there should be something, and something where there should be zero."""
    if not e.miss.any() or not e.extra.any() or (e.an & e.nz).any():
        return None
    swapped_sides = bool((e.an == ~e.nz).all())
    fact = "not zero exactly where it should be zero" if swapped_sides else "zero wherever it should not be"
    return Finding(fact, "a mask is inverted, or an index points to other elements", {"common": False})


def elsewhere(e: Evidence) -> Finding | None:
    """Zero where there should be something, and the other way round, in part, and in more than traces."""
    if not e.miss.any() or not e.extra.any():
        return None
    if min(float(np.abs(e.A[e.extra]).max()), float(np.abs(e.J[e.miss]).max())) < 1e-3 * e.scale:
        return None
    return Finding(
        "part of the gradient goes to the wrong elements",
        "an index, an axis or a comparison selects other elements than forward did",
        {"common": True},
    )


def dropped_outputs(e: Evidence) -> Finding | None:
    """Some outputs contribute nothing, the others are right."""
    live = e.nz.any(axis=1)
    gone = live & ~e.an.any(axis=1)
    if not e.by_rows or not gone.any() or not (live & ~gone).any() or not e.ok[~gone].all():
        return None
    places = np.argwhere(gone.reshape(e.y.shape))
    count = f"{len(places)} of {int(live.sum())} outputs contribute nothing, the others are right"
    for axis in range(e.y.ndim):
        index = np.unique(places[:, axis])
        last = index[-1] == e.y.shape[axis] - 1
        if _is_selection(e) and not last:
            break  # an output that contributes nothing is a use that is not counted; the last use wins, so it is counted
        if len(index) == 1 and int(gone.sum()) == int(np.take(live.reshape(e.y.shape), index[0], axis).sum()):
            return Finding(
                f"{count}: all of index {index[0]} on axis {axis}",
                f"a loop {'stops one short' if last else 'leaves out one index'}",
                {"axis": axis, "last": bool(last)},
            )
    if not_accumulated(e) is not None:
        return None  # without a pattern of indices: uses that are lost
    return Finding(f"{count}", "a loop or a slice does not reach all outputs", {"axis": "none"})


def _is_selection(e: Evidence) -> bool:
    """Whether outputs are selected inputs, some of them several times."""
    return bool((e.nz.sum(axis=1) <= 1).all()) and not_accumulated(e) is not None


def not_accumulated(e: Evidence) -> Finding | None:
    """Where an input is used several times, only one of its uses counts."""
    uses, kept = e.nz.sum(axis=0), (e.nz & e.an).sum(axis=0)
    lost = e.miss.any(axis=0)
    if e.extra.any() or not lost.any() or not e.by_rows:
        return None
    if not (kept[lost] >= 1).all() or not (uses[lost] > 1).all() or not e.ok[~e.miss].all():
        return None
    return Finding(
        "inputs that are used several times keep only part of their uses",
        "= where += is needed; with repeated indices `d[index] += g` keeps one of them: use np.add.at",
        {"one": bool((kept[lost] == 1).all())},
    )


def mean_over_uses(e: Evidence) -> Finding | None:
    """Each column divided by the number of its uses."""
    uses = e.nz.sum(axis=0)
    if not e.by_rows or len(np.unique(uses[uses > 0])) < 2:
        return None
    moved = e.J / np.maximum(uses, 1)
    if not e.same(e.A, moved):
        return None
    return Finding(
        "divided by how often the input is used",
        "an average over the uses where their sum is right",
        residual=e.residual(e.A, moved),
    )


def spread(e: Evidence) -> Finding | None:
    """The sum over the inputs is right for every output, but more inputs take part."""
    if (
        not e.by_rows
        or not e.extra.any()
        or e.miss.any()
        or not e.same(e.A.sum(axis=1), e.J.sum(axis=1))
        or e.zero(e.J.sum(axis=1))
    ):
        return None
    return Finding(
        "each output's gradient is right in sum and shared among inputs that should get none",
        "it belongs to one element (the maximum) and is spread over the window",
        residual=e.residual(e.A.sum(axis=1), e.J.sum(axis=1)),
    )


def one_entry_a_row(e: Evidence) -> Finding | None:
    """Wrong by a constant at one entry of each row of the input."""
    if len(e.shape) != 2 or min(e.shape) < 3:
        return None
    at = np.abs(e.R) > max(1e-6, e.noise) * max(float(np.abs(e.N).max()), float(np.abs(e.G).max()))
    if not (at.sum(axis=1) == 1).all() or len(np.unique(at.argmax(axis=1))) == 1:
        return None  # a whole column is no target class
    # By how much for an upstream gradient of 1: that is told where no entry of the input is wrong for several outputs.
    off = e.D.sum(axis=0).reshape(e.shape)[at]
    same = e.by_rows and int((~e.ok).sum(axis=0).max()) <= 1 and np.allclose(off, off[0], rtol=1e-5)
    shown = f", by {number(float(off[0]))}" if same else ""
    return Finding(
        f"wrong at one entry of each row{shown}",
        "the -1 at the target class is missing, has the wrong sign, or is divided by another number than the rest",
        {"constant": bool(shown)},
    )


PLACES = (
    Entry("D36", "dead_inputs", dead_inputs),
    Entry("D35", "mask", mask),
    Entry("D38", "dropped_outputs", dropped_outputs),
    Entry("D39", "not_accumulated", not_accumulated),
    Entry("D40", "mean_over_uses", mean_over_uses),
    Entry("D41", "spread", spread),
    Entry("D37", "inverted", inverted),
)
TARGET = (Entry("D51", "one_hot", one_entry_a_row),)
ELSEWHERE = (Entry("D37", "wrong_element", elsewhere),)
