"""Eight small graphs, and the gradients that engines with a mistake in their way back give on them.

Each graph is right in some wrong engines and wrong in others, so that the eight results together name the mistake. The rows of
`MODELS` were not thought out but run: a test builds every wrong engine, in all orders in which it may visit nodes, and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .driver import Driver

__all__ = ["GRAPHS", "MODELS", "POINT", "RIGHT", "Graph", "Model", "Node", "gradient", "identify"]

POINT = 2.0


class Node:
    """An object of the engine in a graph that is written with + and *. Constants are objects of the engine, too."""

    def __init__(self, driver: Driver, handle: Any) -> None:
        self.driver, self.handle = driver, handle

    def _with(self, op: str, other: Node | float) -> Node:
        operand = other.handle if isinstance(other, Node) else self.driver.make(float(other))
        return Node(self.driver, self.driver.apply(op, self.handle, operand))

    def __add__(self, other: Node | float) -> Node:
        return self._with("add", other)

    def __mul__(self, other: Node | float) -> Node:
        return self._with("mul", other)


@dataclass(frozen=True)
class Graph:
    """A function of one variable.

    Attributes:
        text: how it is written in reports.
        right: its derivative at `POINT`.
        build: makes it.
    """

    text: str
    right: float
    build: Callable[[Node], Node]


def _both(x: Node) -> Node:
    a = x * x
    return a * 3 + a * a


def _around(x: Node) -> Node:
    a = x * x
    b = a + 1
    return b * a * b


def _short_and_long(x: Node) -> Node:
    a = x * 2
    return a + a * 3 * 5


def _long_and_short(x: Node) -> Node:
    a = x * 2
    return a * 3 * 5 + a


GRAPHS = (
    Graph("x + x", 2, lambda x: x + x),
    Graph("x*x", 4, lambda x: x * x),
    Graph("x*3 + x*5", 8, lambda x: x * 3 + x * 5),
    Graph("a*3 + a*a with a = x*x", 44, _both),
    Graph("b*a*b with a = x*x, b = a + 1", 260, _around),
    Graph("a + a*3*5 with a = x*2", 32, _short_and_long),
    Graph("a*3*5 + a with a = x*2", 32, _long_and_short),
    Graph("x + x + x + x + x + x", 6, lambda x: x + x + x + x + x + x),
)
RIGHT = tuple(graph.right for graph in GRAPHS)


def gradient(driver: Driver, graph: Graph) -> tuple[float, Any]:
    """The engine's gradient of a graph at `POINT`, and the graph's root; no gradient counts as 0."""
    x = driver.make(POINT)
    root = graph.build(Node(driver, x)).handle
    driver.backward(root)
    found = driver.grad(x)
    return (0.0 if found is None else float(np.sum(found))), root


@dataclass(frozen=True)
class Model:
    """A mistake in the way back.

    Attributes:
        id, label: in reports.
        hint: its cause and its remedy.
        rows: the eight gradients, in the orders in which an engine may visit nodes.
        trees: whether the gradients are right in graphs in which every node is used once.
    """

    id: str
    label: str
    hint: str
    rows: tuple[tuple[float, ...], ...]
    trees: bool = True

    def matches(self, found: Sequence[float]) -> bool:
        """Whether these are its gradients. Engines that keep parents in a set take another order in every graph."""
        return all(any(_same(row[k], value) for row in self.rows) for k, value in enumerate(found))


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-5 * max(1.0, abs(a))


MODELS = (
    Model(
        "E01",
        "overwrite",
        "the gradient is assigned where it must be added to: `+=` in place of `=`, because a value may be used more than once",
        ((1, 2, 3, 6, 40, 30, 30, 1), (1, 2, 5, 8, 40, 30, 30, 1)),
    ),
    Model(
        "E02",
        "double_propagation",
        "the recursion pushes a node's whole gradient each time the node is reached, so that earlier parts are pushed again: visit "
        "the nodes in topological order, each once",
        (
            (2, 4, 8, 84, 600, 34, 62, 6),
            (2, 4, 8, 56, 940, 34, 64, 6),
            (2, 4, 8, 100, 940, 34, 64, 6),
            (2, 4, 8, 92, 600, 62, 34, 6),
            (2, 4, 8, 76, 600, 64, 34, 6),
            (2, 4, 8, 108, 600, 64, 34, 6),
            (2, 4, 8, 132, 1260, 34, 34, 6),
            (2, 4, 8, 132, 700, 34, 34, 6),
        ),
    ),
    Model(
        "E03",
        "no_order_dfs",
        "depth-first search with a visited set goes on from a node before all its uses have added to its gradient: collect the "
        "nodes in postorder first, then run their rules in reverse",
        (
            (2, 4, 8, 12, 80, 2, 30, 6),
            (2, 4, 8, 12, 260, 2, 32, 6),
            (2, 4, 8, 16, 80, 30, 2, 6),
            (2, 4, 8, 32, 80, 32, 2, 6),
            (2, 4, 8, 12, 100, 2, 32, 6),
        ),
    ),
    Model(
        "E04",
        "no_order_bfs",
        "breadth-first search with a visited set meets a node by its shortest way from the result, before longer ways have added "
        "to its gradient: a node's turn comes when all its uses have had theirs (topological order)",
        ((2, 4, 8, 44, 260, 2, 2, 6), (2, 4, 8, 44, 180, 2, 2, 6)),
    ),
    Model(
        "E05",
        "forward_order",
        "only the last operation's rule has an effect: the nodes run from the inputs to the result, and `reversed` is missing; or "
        "backward does not go on to the parents at all",
        ((2, 4, 0, 0, 0, 0, 0, 1),),
        trees=False,
    ),
    Model(
        "E06",
        "duplicate_parent",
        "an operand used twice by one operation counts once: parents are kept in a set or a dict. Keep them in a tuple",
        ((1, 2, 8, 14, 130, 32, 32, 5),),
    ),
    Model(
        "E07",
        "no_seed",
        "the gradient of the result itself is not set to 1 before the rules run, or no rule runs",
        ((0, 0, 0, 0, 0, 0, 0, 0),),
        trees=False,
    ),
    Model(
        "E08",
        "no_upstream",
        "the local derivatives are not multiplied by the gradient of the operation's own result: that is the chain rule",
        ((2, 4, 8, 4, 4, 2, 2, 6),),
        trees=False,
    ),
)


def identify(found: Sequence[float]) -> Model | None:
    """The mistake that gives these gradients: one that does so in one order of visits before one that needs several."""
    whole = [m for m in MODELS if any(all(map(_same, row, found)) for row in m.rows)]
    mixed = [m for m in MODELS if m.matches(found)]
    return next(iter([*whole, *mixed]), None)
