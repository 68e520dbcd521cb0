"""Sums over axes: one that is missing, one that runs over another axis, one over everything."""

from __future__ import annotations

import numpy as np

from ..evidence import Evidence
from ..inputs import FloatArray
from ..rule import Raised, WrongCount
from .finding import Entry, Finding, along, subsets

__all__ = ["CENTRING", "MISSING_SUM", "OTHER_SUM"]


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


MISSING_SUM = (Entry("D47", "missing_sum_term", missing_sum),)
CENTRING = (Entry("D50", "centering", not_centred),)
OTHER_SUM = (Entry("D48", "wrong_axis_of_sum", other_axes), Entry("D49", "total_sum", total_sum))
