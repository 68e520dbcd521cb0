"""Why a gradient is wrong, from the tape of the forward function: which single edit of the right way back gives it?

The forward function is recorded once and walked backwards. Each contribution that a node hands to a parent is edited in a few
ways: left out, counted with another factor, without its local derivative, with an operand transposed. The walk is linear, so an
edit changes the gradient by what the *change* of that contribution gives further down, and if that is what is wrong with the
gradient under test, the mistake has a name and a line: "the gradient obtained when `var` (line 4) is treated as a constant".
"""

from __future__ import annotations

import functools
import linecache
import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..kinds import Elementwise, Multilinear
from ..tape import Node
from .diagnoses.contract import Returned
from .diagnoses.finding import Entry, Finding, number
from .evidence import SAME
from .inputs import FloatArray
from .recorded import Recorded, fitted
from .rule import Raised, WrongCount
from .trial import Trial

__all__ = ["explain_by_tape"]

MAX_NODES = 400  # a walk for each edit of each of them: seconds beyond
MAX_ENTRIES = 20_000
STATISTICS = {"sum", "mean", "max", "min", "var", "std", "logsumexp", "prod", "norm"}


@dataclass(frozen=True)
class Edit:
    """One change of one contribution.

    Attributes:
        place: the node whose way back is edited, by its position on the tape, and the operand; None for all operands.
        kind: what is done, a key of `KINDS`.
        change: of the gradients of all leaves.
        free: whether any multiple of the change is such an edit, the gradient being linear in how often something counts.
    """

    place: tuple[int, int | None]
    kind: str
    change: list[FloatArray]
    free: bool = False


KINDS = {
    "count": ("D46", "missing_branch"),
    "count of a statistic": ("D47", "missing_sum_term"),
    "local": ("D44", "missing_factor"),
    "argument": ("D43", "input_for_output"),
    "times": ("D44", "missing_factor"),
    "over": ("D44", "missing_factor"),
    "transposed operand": ("D52", "operand"),
    "transposed": ("D52", "operand"),
    "only one use": ("D39", "not_accumulated"),
}


# ---- the edits


def edits(tape: Recorded) -> Iterator[Edit]:
    """Every single edit of the way back."""
    position = {node: k for k, node in enumerate(tape.nodes)}
    for node, k, parent, c in tape.edges:
        place = position[node], k
        yield Edit(place, _count(node, parent), tape.walk({parent: c}), free=True)
        for kind, changed in _changed(tape, node, k, parent, c):
            if changed.shape == c.shape and bool(module_of(changed).isfinite(changed).all()):
                yield Edit(place, kind, tape.walk({parent: changed - c}))
    for node in tape.nodes:
        if sum(parent is not None for parent in node.parents) > 1 and node in tape.cotangents:
            yield Edit((position[node], None), _count(node), tape.walk({node: tape.cotangents[node]}), free=True)
    yield from _single_uses(tape, position)


def _count(*nodes: Node) -> str:
    statistic = any(getattr(node.primitive, "name", "") in STATISTICS for node in nodes)
    return "count of a statistic" if statistic else "count"


def _changed(tape: Recorded, node: Node, k: int, parent: Node, c: Array) -> Iterator[tuple[str, Array]]:
    """Other contributions that a mistake may put in the place of one."""
    g, primitive = tape.cotangents[node], node.primitive
    if isinstance(primitive, Elementwise):
        yield "local", fitted(module_of(g).broadcast_to(g, node.shape), parent)
        if len(node.parents) == 1:
            swapped = (tape.values[node], tape.values[parent])
            with np.errstate(all="ignore"):
                yield "argument", fitted(primitive.products[0](g, swapped), parent)
        for array in (*(tape.values[p] for p in node.parents if p is not None), tape.values[node]):
            if np.broadcast_shapes(array.shape, node.shape) == node.shape:
                with np.errstate(all="ignore"):
                    factors = ("times", array), ("over", 1 / array)
                for kind, factor in factors:
                    for j, _, other in tape.contributions(node, g * factor):
                        if j == k:
                            yield kind, other
    if isinstance(primitive, Multilinear):
        saved = [x if x is None or np.ndim(x) < 2 or x.shape[-1] != x.shape[-2] else x.swapaxes(-1, -2) for x in node.saved]
        if any(a is not b for a, b in zip(saved, node.saved, strict=True)):
            for j, _, other in tape.contributions(node, g, saved):
                if j == k:
                    yield "transposed operand", other
    if c.ndim > 1 and c.shape[-1] == c.shape[-2]:
        yield "transposed", c.swapaxes(-1, -2)


def _single_uses(tape: Recorded, position: dict[Node, int]) -> Iterator[Edit]:
    """Where a value is used several times, one of its uses alone."""
    uses: dict[Node, list[Array]] = {}
    for _, _, parent, c in tape.edges:
        uses.setdefault(parent, []).append(c)
    for parent, parts in uses.items():
        if len(parts) > 1:
            total = functools.reduce(operator.add, parts)
            for use in (0, -1):
                place = position.get(parent, -1 - tape.leaves.index(parent) if parent in tape.leaves else 0)
                yield Edit((place, use), "only one use", tape.walk({parent: parts[use] - total}))


# ---- matching


@dataclass(frozen=True)
class Match:
    """An edit that gives the gradient under test; ``count`` is how often the contribution counts, 1 being right."""

    edit: Edit
    count: float
    residual: float

    @property
    def key(self) -> tuple[Any, ...]:
        """What must be the same at another point."""
        return self.edit.place, self.edit.kind

    def agrees(self, other: Match) -> bool:
        """Whether another match is the same edit."""
        return self.key == other.key and bool(np.isclose(self.count, other.count, rtol=1e-4, atol=1e-6))


def matches(trial: Trial, i: int) -> tuple[Recorded | None, list[Match]]:
    """The tape of a trial, and the edits of it that give the gradient of input ``i``."""
    tape = trial.tape
    if tape is None or len(tape.nodes) > MAX_NODES or tape.right[i].size > MAX_ENTRIES:
        return None, []
    try:
        first = trial.first
    except (Raised, WrongCount):
        return None, []
    ours, right = Returned(trial, i, first[i]).numbers, tape.right[i]
    if ours.shape != right.shape or not trial.tape_is_right(i):
        return None, []
    wrong = ours - right
    size = max(float(np.abs(ours).max(initial=0.0)), float(np.abs(right).max(initial=0.0)))
    found = []
    for edit in edits(tape):
        change = edit.change[i]
        norm = float((change**2).sum())
        if not norm or not np.isfinite(norm):
            continue
        s = float((wrong * change).sum()) / norm * (1 if edit.free else 0) or (0.0 if edit.free else 1.0)
        residual = float(np.abs(wrong - s * change).max()) / size
        if abs(s) > 1e-6 and residual <= SAME and np.abs(s * change).max() > SAME * size:
            found.append(Match(edit, 1 + s if edit.free else 0.0, residual))
    return tape, found


def explain_by_tape(trial: Trial, i: int) -> tuple[Entry, Finding] | None:
    """The edit of the tape that gives the gradient of float input ``i``, here and at another point."""
    tape, found = matches(trial, i)
    if tape is None or not found:
        return None
    if trial.another is not None:
        there = matches(trial.another, i)[1]
        found = [match for match in found if any(match.agrees(other) for other in there)]
    if not found:
        return None
    found.sort(key=_simplicity)
    best = found[0]
    id, label = KINDS[best.edit.kind]
    said = list(dict.fromkeys(_said(tape, match) for match in found))
    finding = Finding(
        f"exactly the gradient obtained when {said[0]}",
        _cause(best),
        {"place": list(best.edit.place), "kind": best.edit.kind, "count": best.count, "line": tape.line(best.edit.place[0])},
        best.residual,
        explain="\n".join(f"The same gradient results when {other}" for other in said[1:4]),
    )
    return Entry(id, label, lambda e: None, tier=2), finding


def _simplicity(match: Match) -> tuple[Any, ...]:
    """Left out before counted otherwise before anything else; the earliest of them in the forward function."""
    plain = match.edit.free and abs(match.count) < 1e-6
    whole = match.edit.place[1] is None
    return (
        not plain,
        not (match.edit.free and _round(match.count)),
        list(KINDS).index(match.edit.kind),
        not whole,
        match.edit.place[0],
    )


def _round(count: float) -> bool:
    return any(abs(count - value) < 1e-5 for value in (-1.0, 2.0, 0.5))


def _said(tape: Recorded, match: Match) -> str:
    """An edit in words, from "when" on."""
    position, k = match.edit.place
    if match.edit.kind == "only one use":
        which = "last" if k == 0 else "first"  # of forward's: the way back meets them in the other order
        return f"only the {which} use of {_name(tape, position)} counts"
    node = tape.nodes[position]
    result = _name(tape, position)
    if match.edit.free and k is None:
        if abs(match.count) < 1e-6:
            return f"{result} is treated as a constant"
        return f"what comes back through {result} counts {number(match.count)} times"
    parent = node.parents[k or 0]
    operand = _operand(tape, parent) if parent is not None else "an operand"
    if match.edit.free:
        several = sum(p is not None for p in node.parents) > 1
        into = f"{operand} in {result}" if several else result
        if abs(match.count) < 1e-6:
            return f"{into} is treated as a constant"
        if abs(match.count + 1) < 1e-6:
            return f"the contribution through {into} has the opposite sign"
        return f"the contribution through {into} counts {number(match.count)} times"
    return {
        "local": f"the local derivative of {result} by {operand} is left out",
        "argument": f"the derivative of {result} is taken at the wrong one of its argument and its value",
        "times": f"the derivative of {result} by {operand} has a factor too many, one of its own operands or its value",
        "over": f"the derivative of {result} by {operand} lacks a factor, one of its own operands or its value",
        "transposed operand": f"the other operand of {result} is transposed, or is not, in the derivative by {operand}",
        "transposed": f"what {result} hands back to {operand} is transposed",
    }[match.edit.kind]


def _cause(match: Match) -> str:
    if match.edit.kind in ("count", "count of a statistic"):
        if abs(match.count) < 1e-6:
            return "a path of the chain rule is missing"
        return "a path of the chain rule has the wrong factor or sign"
    return {
        "local": "a factor of the chain rule is missing",
        "argument": "the cache holds x where the formula wants y, or the other way round",
        "times": "a factor stands in the product once too often, or a division is missing",
        "over": "a factor of the product is missing, or it is divided by once too often",
        "transposed operand": "a .T is missing or there is one too many",
        "transposed": "a .T is missing or there is one too many",
        "only one use": "= where += is needed",
    }[match.edit.kind]


# ---- names


def _name(tape: Recorded, position: int) -> str:
    """What the user calls a node, and its line."""
    if position < 0:
        return f"input {-1 - position}"
    node = tape.nodes[position]
    line = tape.lines.get(node)
    name = getattr(node.primitive, "name", "operation")
    if line is None:
        return f"`{name}`"
    if tape.hidden:
        assigned = re.match(r"([^\W\d]\w*)\s*=[^=]", linecache.getline(*line).strip())
        return f"`{assigned[1]}`" if assigned else f"`{name}`, operation {position + 1} of {len(tape.nodes)}"
    text = _short(linecache.getline(*line).strip())
    last = not any(tape.lines.get(other) == line for other in tape.nodes[position + 1 :])
    assigned = re.match(r"([^\W\d]\w*)\s*=[^=]", text)
    where = f"{Path(line[0]).name}:{line[1]}"
    if assigned and last:
        return f"`{assigned[1]}` ({where})"
    return f"`{name}` in `{text}` ({where})" if text else f"`{name}` ({where})"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _operand(tape: Recorded, parent: Node) -> str:
    if parent in tape.leaves:
        return f"input {tape.leaves.index(parent)}"
    return _name(tape, tape.nodes.index(parent))
