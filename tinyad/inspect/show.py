"""`show`: the tape of a function, and the walk over it, for people to read."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .. import tree
from ..backend import Array
from ..tensor import unwrap
from .picture import Graph, figure_of, graph_of, suffix_of, write
from .recording import evaluate_recorded
from .tape_table import Row, rows_of, saved_bytes
from .text import backward_text, tape_text
from .walk import Step, seeds_of, walk

__all__ = ["Shown", "show"]


class Shown:
    """What `show` has printed.

    Attributes:
        value: what the function returned, as arrays.
        nodes: a `Row` for each input and operation, in the order of the tape.
        total_saved_bytes: memory of the arrays that the tape keeps for derivative rules.
        steps: with ``backward=True``, a `Step` for each node in the order of the walk; else empty.
        gradients: with ``backward=True``, the inputs' gradients by name, ``None`` for zero; else empty.
    """

    def __init__(
        self,
        text: str,
        graph: Graph,
        value: Any,
        nodes: list[Row],
        total_saved_bytes: int,
        steps: list[Step],
        gradients: dict[str, Array | None],
    ) -> None:
        self._text, self._graph, self.value, self.nodes = text, graph, value, nodes
        self.total_saved_bytes, self.steps, self.gradients = total_saved_bytes, steps, gradients

    def figure(self) -> Any:
        """The tape as a matplotlib figure, the one that ``file=`` writes; a notebook shows it."""
        return figure_of(self._graph)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:  # one line, because a notebook shows it below what was printed
        return f"<{self._text.partition(chr(10))[0]}>"


def show(
    f: Callable[..., Any],
    *inputs: Any,
    backward: bool = False,
    cotangent: Any = None,
    file: str | os.PathLike[str] | None = None,
) -> Shown:
    """Print the tape that ``f`` leaves behind: a line for each input and operation, in the order of the tape.

    A line has the number, the operation, what it is given (an argument by its name, ``%3`` for the result of line 3, a constant by
    its type), static parameters, type and value of the result (values of small arrays only), what is saved for the derivative
    rule, and the user's line, left blank where it is that of the line above. Derivatives that ``f`` takes are on the tape, too,
    as is what functions are made of that are no primitives: ``pick``, for one, is one of several results.

    Args:
        f: a function of trees of arrays.
        inputs: its arguments. Their floating-point numbers become variables; everything else is constant.
        backward: whether to print the reverse walk as well, node by node: the cotangent that arrives, and what the rule hands to
            which parent. It is the engine's own walk, listened to, and every cotangent in it is kept.
        cotangent: where the walk starts, a tree like the result, if that is no scalar; it implies ``backward``.
        file: a picture to write, too: ``.svg``, ``.png`` or ``.pdf`` (the extra ``picture``), or ``.dot`` for Graphviz.

    Returns:
        What was printed, with the rows and steps as data; see `Shown`.

    Raises:
        TypeError: if ``f`` is no function, or no argument holds floating-point numbers.
        ValueError: if ``backward`` is asked for and the result is no scalar, depends on no input, or does not fit the cotangent;
            or if there is no way to draw ``file``.
        ModuleNotFoundError: if the extra is missing.

    >>> import tinyad as ad
    >>> tape = ad.show(lambda x, y: ad.sin(x) * y, 1.0, 2.0)  # doctest: +ELLIPSIS
    tape of <lambda>: 2 inputs, 2 operations
    <BLANKLINE>
    id  operation  inputs  result ...
    >>> tape.nodes[3].operation, [x.text for x in tape.nodes[3].operands], tape.nodes[3].saved
    ('multiply', ['%2', 'y'], ('%2', 'y'))
    """
    if file is not None:
        suffix_of(file)
    tape = evaluate_recorded(f, inputs)
    rows = rows_of(tape)
    text = tape_text(tape, rows)
    steps: list[Step] = []
    gradients: dict[str, Array | None] = {}
    if backward or cotangent is not None:
        steps, gradients = walk(tape, rows, seeds_of(tape, cotangent))
        text += "\n\n" + backward_text(steps, gradients)
    print(text)
    graph = graph_of(tape, rows, steps)
    if file is not None:
        write(graph, file)
    return Shown(text, graph, tree.map(unwrap, tape.out), rows, saved_bytes(tape)[1], steps, gradients)
