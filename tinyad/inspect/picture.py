"""A tape as a picture: a layered graph that flows from the inputs above to the results below.

As a file for Graphviz (``.dot``) it needs nothing; pictures are laid out by igraph and drawn by matplotlib, the extra ``picture``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..report import PALETTE, new_figure
from .recording import Tape
from .tape_table import Row
from .walk import Contribution, Step
from .words import values_of

__all__ = ["Graph", "figure_of", "graph_of", "suffix_of", "write"]

SUFFIXES = (".svg", ".png", ".pdf", ".dot")
LONGEST = 26  # characters of a line in a box


def suffix_of(file: str | os.PathLike[str]) -> str:
    """The file's suffix, which says how to draw.

    Raises:
        ValueError: if there is no way to draw such a file.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"show: file={os.fspath(file)!r}; expected a name that ends in {', '.join(SUFFIXES)}")
    return suffix


def write(graph: Graph, file: str | os.PathLike[str]) -> None:
    """Write a graph to a file, in the way that its suffix says."""
    if suffix_of(file) == ".dot":
        Path(file).write_text(_dot(graph), encoding="utf-8")
    else:
        figure_of(graph).savefig(file, dpi=150)


# ---- what is drawn


@dataclass(frozen=True)
class Box:
    """A node of the graph: its lines of text, and its look, a key of `LOOKS`."""

    lines: tuple[str, ...]
    look: str


@dataclass(frozen=True)
class Graph:
    """Boxes, and edges from box to box with a label each."""

    boxes: list[Box]
    edges: list[tuple[int, int, str]]


LOOKS = {  # fill and border
    "input": ("#dbe7f5", PALETTE["first"]),
    "constant": ("#f3f4f6", PALETTE["grid"]),
    "operation": ("#ffffff", PALETTE["muted"]),
    "result": ("#e1f1e4", PALETTE["third"]),
}


def graph_of(tape: Tape, rows: Sequence[Row], steps: Sequence[Step]) -> Graph:
    """The graph of a tape; with the steps of a walk, its edges carry the cotangents."""
    results = {id(node) for _, node in tape.outputs()}
    boxes = [_box(row, id(node) in results) for row, node in zip(rows, tape.nodes, strict=True)]
    handed = {step.row.id: [each for each in step.contributions if each.id is not None] for step in steps}
    shared: dict[str, int] = {}  # one box for each argument that is a constant
    edges = []
    for row in rows:
        contributions = iter(handed.get(row.id, []))
        for operand in row.operands:
            if operand.id is not None:
                edges.append((operand.id, row.id, _label(next(contributions, None))))
                continue
            place = shared.get(operand.text, len(boxes))
            if place == len(boxes):
                boxes.append(Box((_short(operand.text),), "constant"))
            if operand.text in tape.names.values():
                shared[operand.text] = place
            edges.append((place, row.id, ""))
    return Graph(boxes, edges)


def _box(row: Row, is_result: bool) -> Box:
    name = row.name if row.kind == "input" else f"{row.name}  {row.operation}"
    value = row.value if row.shape == () else row.result
    look = "result" if is_result else "input" if row.kind == "input" else "operation"
    return Box((_short(name), _short(value or row.result)), look)


def _label(contribution: Contribution | None) -> str:
    """The cotangent that goes up an edge: a number, or its shape once it has arrived."""
    if contribution is None or contribution.cotangent is None:
        return ""
    value = values_of(contribution.cotangent) if contribution.shape == () else ""
    return f"\N{UPWARDS ARROW} {value or contribution.shape or ''}".rstrip()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


# ---- for Graphviz


def _dot(graph: Graph) -> str:
    lines = ["digraph tape {", '    node [shape=box, style="filled,rounded", fontname="Helvetica", fontsize=11];']
    lines.append(f'    edge [color="{PALETTE["muted"]}", fontname="Helvetica", fontsize=9, fontcolor="{PALETTE["second"]}"];')
    for k, box in enumerate(graph.boxes):
        fill, border = LOOKS[box.look]
        lines.append(f'    {k} [label="{_escaped(chr(10).join(box.lines))}", fillcolor="{fill}", color="{border}"];')
    lines += [f'    {a} -> {b} [label="{_escaped(label)}"];' if label else f"    {a} -> {b};" for a, b, label in graph.edges]
    return "\n".join([*lines, "}", ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# ---- with igraph and matplotlib

HEIGHT, GAP = 0.44, 0.62  # inches: of a box, and between layers
WIDTH_OF_CHARACTER, BETWEEN = 0.078, 0.3  # and between boxes of a layer
BETWEEN_EDGES = 0.8  # with the same ends

_Point = tuple[float, float]


def figure_of(graph: Graph) -> Any:
    """A graph as a matplotlib figure.

    Raises:
        ModuleNotFoundError: if igraph or matplotlib is not installed, naming the extra.
    """
    wide = max(len(line) for box in graph.boxes for line in box.lines) * WIDTH_OF_CHARACTER + 0.2
    labelled = any(label for _, _, label in graph.edges)
    places, ways = _layout(graph, wide + BETWEEN, HEIGHT + GAP * (1.35 if labelled else 1.0))
    bows = _bows(graph, ways)
    left, right = _extent(graph, places, ways, bows, wide)
    ys = [y for _, y in places]
    width, height = right - left + 0.3, max(ys) - min(ys) + HEIGHT + 0.3
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(left - 0.15, right + 0.15)
    axes.set_ylim(max(ys) + HEIGHT / 2 + 0.15, min(ys) - HEIGHT / 2 - 0.15)  # layers count downwards
    for (_, _, label), way, bow in zip(graph.edges, ways, bows, strict=True):
        _draw_edge(axes, way, bow, label)
    for box, place in zip(graph.boxes, places, strict=True):
        _draw_box(axes, box, place)
    return figure


def _extent(
    graph: Graph, places: Sequence[_Point], ways: Sequence[Sequence[_Point]], bows: Sequence[float], wide: float
) -> tuple[float, float]:
    """How far boxes, edges and their labels reach to the left and to the right."""
    reaches = [(x, wide / 2) for x, _ in places]
    for (_, _, label), way, bow in zip(graph.edges, ways, bows, strict=True):
        reaches += [(x, abs(bow)) for x, _ in way]
        reaches.append((_place_of_label(way, bow)[0], len(label) * WIDTH_OF_CHARACTER / 2))
    return min(x - half for x, half in reaches), max(x + half for x, half in reaches)


def _layout(graph: Graph, across: float, down: float) -> tuple[list[_Point], list[list[_Point]]]:
    """Where boxes lie, by Sugiyama's method, and by which points edges go."""
    try:
        import igraph
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'show: pictures are laid out by igraph, which is not installed. Install it: pip install "tinyad[picture]"; or write '
            "a .dot file, which needs nothing here and which Graphviz draws",
            name=error.name,
        ) from error
    drawn = igraph.Graph(n=len(graph.boxes), edges=[(a, b) for a, b, _ in graph.edges], directed=True)
    layout = drawn.layout_sugiyama(layers=_layers(graph), hgap=across, vgap=down, maxiter=200)
    places = _apart([(x, y) for x, y in layout.coords][: len(graph.boxes)], across)
    between = layout.edge_routing or [[] for _ in graph.edges]
    return places, [
        [places[a], *[(x, y) for x, y in points], places[b]] for (a, b, _), points in zip(graph.edges, between, strict=True)
    ]


def _apart(places: Sequence[_Point], across: float) -> list[_Point]:
    """The boxes of each layer so far apart that none lies over another: igraph keeps the distance only of most."""
    moved = list(places)
    for layer in {y for _, y in places}:
        row = sorted((k for k, (_, y) in enumerate(places) if y == layer), key=lambda k: places[k][0])
        for left, right in itertools.pairwise(row):
            moved[right] = max(places[right][0], moved[left][0] + across), layer
    return moved


def _layers(graph: Graph) -> list[int]:
    """Every box just above the highest of those that use it, so that inputs lie near their use; results at the bottom."""
    above = [0] * len(graph.boxes)
    for a, b, _ in sorted(graph.edges, key=lambda edge: edge[1], reverse=True):  # operations come in the order of the tape
        above[a] = max(above[a], above[b] + 1)
    return [max(above) - height for height in above]


def _draw_box(axes: Any, box: Box, place: _Point) -> None:
    fill, border = LOOKS[box.look]
    axes.text(
        *place, "\n".join(box.lines), ha="center", va="center", fontsize=8, family="monospace", zorder=2, linespacing=1.35,
        bbox={"boxstyle": "round,pad=0.45", "facecolor": fill, "edgecolor": border, "linewidth": 1.2},
    )  # fmt: skip


def _bows(graph: Graph, ways: Sequence[Sequence[_Point]]) -> list[float]:
    """How far edges lean to the side, so that two with the same ends, as in ``x * x``, do not hide one another.

    Those that pass layers on their way have been led apart already.
    """
    ends = [edge[:2] for edge in graph.edges]
    return [
        0.0 if len(ways[k]) > 2 else BETWEEN_EDGES * (ends[:k].count(pair) - (ends.count(pair) - 1) / 2)
        for k, pair in enumerate(ends)
    ]


def _draw_edge(axes: Any, way: Sequence[_Point], bow: float, label: str) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Outline

    *before, (u, v) = way
    points = [*before, (u, v - HEIGHT / 2)]  # it begins under its box
    codes = [Outline.MOVETO] + [Outline.CURVE4] * 3 * (len(points) - 1)
    outline = Outline([points[0], *[corner for pair in itertools.pairwise(points) for corner in _bend(*pair, bow)]], codes)
    arrow = FancyArrowPatch(path=outline, arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0, linewidth=0.9)
    arrow.set(color=PALETTE["muted"], zorder=1)
    axes.add_patch(arrow)
    if label:
        look = {"fontsize": 7, "family": "monospace", "color": PALETTE["second"], "zorder": 1.5}
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(*_place_of_label(way, bow), label, ha="center", va="center", bbox=behind, **look)


def _place_of_label(way: Sequence[_Point], bow: float) -> _Point:
    """On the last stretch of an edge: many may leave a box, and few arrive at one."""
    (x, y), (u, v) = way[-2:]
    return (x + u) / 2 + 0.75 * bow, (y + v - HEIGHT / 2) / 2


def _bend(start: _Point, end: _Point, bow: float) -> list[_Point]:
    """A curve that leaves and arrives vertically: two control points and the end."""
    middle = (start[1] + end[1]) / 2
    return [(start[0] + bow, middle), (end[0] + bow, middle), end]
