"""The tape of a forward function, with the way back for one cotangent, contribution by contribution.

Everything stays where the inputs are, on a GPU if they are there; only the gradients of the leaves come to the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, asnumpy, module_of
from ..contexts import recording_by
from ..kinds import Deferred
from ..primitives.reductions import unbroadcast
from ..reverse import collect
from ..tape import NO_PARAMS, Node
from ..tensor import Tensor, unwrap
from ..tracing import origin
from .inputs import FloatArray, FloatInputs

__all__ = ["Recorded", "fitted"]


class Recorded:
    """The tape of a forward function, and the way back for one cotangent.

    Attributes:
        leaves, nodes: of the inputs, and of the operations by rising id.
        values: every node's result.
        lines: the user's line of every operation.
        cotangents: of every node that has one.
        edges: (node, operand, parent, contribution), the contribution in the parent's shape.
        silent: maxima that what comes back through them does not matter for, as in exp(x - max) / sum: constants.
        right: the gradients of the leaves.
        hidden: whether the forward function is one to trust, whose lines are for its author alone.
    """

    def __init__(self, rule: FloatInputs, gy: FloatArray, hidden: bool = False) -> None:
        self.hidden = hidden
        self.values: dict[Node, Array] = {}
        self.lines: dict[Node, tuple[str, int] | None] = {}
        tensors = []
        for array in rule.in_float64():
            node = Node(None, (), (), NO_PARAMS, array)
            self.values[node] = array
            tensors.append(Tensor(array, node))
        self.leaves = [tensor.node for tensor in tensors if tensor.node is not None]
        with recording_by(self._note), np.errstate(all="ignore"):
            out = rule(*tensors)
        if not isinstance(out, Tensor) or out.node is None:
            raise TypeError("the forward function leaves no tape")
        self.nodes = collect([out.node], self.leaves)[0]
        self.edges: list[tuple[Node, int, Node, Array]] = []
        self.cotangents: dict[Node, Array] = {}
        self.silent: set[Node] = set()
        self.right = self.walk({out.node: module_of(out.array).asarray(gy.reshape(out.shape))}, note=True)
        self._silence_maxima(out, gy)

    def _silence_maxima(self, out: Tensor, gy: FloatArray) -> None:
        """Treat a maximum as a constant where the gradient does not change by it.

        Otherwise the softmax whose sum is taken for constant has another gradient than the formula that forgets the sum.
        """
        for node in [
            node for node in self.nodes if getattr(node.primitive, "name", "") in ("max", "min") and node in self.cotangents
        ]:
            largest = max(float(np.abs(g).max(initial=0.0)) for g in self.right)
            change = self.walk({node: self.cotangents[node]})
            if max(float(np.abs(g).max(initial=0.0)) for g in change) <= 1e-12 * largest:
                self.silent.add(node)
        if self.silent:
            self.edges, self.cotangents = [], {}
            assert out.node is not None
            self.right = self.walk({out.node: module_of(out.array).asarray(gy.reshape(out.shape))}, note=True)

    def line(self, position: int) -> str:
        """The user's line of an operation; empty if there is none, or it is not for everybody."""
        line = self.lines.get(self.nodes[position]) if position >= 0 and not self.hidden else None
        return "" if line is None else f"{Path(line[0]).name}:{line[1]}"

    def _note(self, primitive: Any, parents: Any, saved: Any, params: Any, out: Any) -> Tensor:
        node = Node(primitive, parents, saved, params, out)
        self.values[node] = out
        self.lines[node] = origin(_STOP)[0]
        return Tensor(out, node)

    def walk(self, seeds: dict[Node, Array], note: bool = False) -> list[FloatArray]:
        """The gradients of the leaves from cotangents of some nodes."""
        table = dict(seeds)
        with np.errstate(all="ignore"):
            for node in reversed(self.nodes):
                g = table.pop(node, None)
                if g is None:
                    continue
                if note:
                    self.cotangents[node] = g
                for k, parent, c in self.contributions(node, g):
                    if note:
                        self.edges.append((node, k, parent, c))
                    held = table.get(parent)
                    table[parent] = c if held is None else held + c
        return [np.array(asnumpy(table[leaf])) if leaf in table else np.zeros(leaf.shape) for leaf in self.leaves]

    def contributions(self, node: Node, g: Array, saved: Sequence[Any] | None = None) -> Iterator[tuple[int, Node, Array]]:
        """What a node hands to its parents, in their shapes."""
        assert node.primitive is not None
        with np.errstate(all="ignore"):
            found = node.primitive.guarded_vjp(g, node, node.saved if saved is None else saved, node.parents)
        for k, (parent, c) in enumerate(zip(node.parents, found, strict=False)):
            if parent is not None and c is not None and parent not in self.silent:
                yield k, parent, fitted(c, parent)


def fitted(c: Any, parent: Node) -> Any:
    """A contribution as an array of the shape of the node it goes to."""
    c = c.add_to(None) if isinstance(c, Deferred) else unwrap(c)
    return c if c.shape == parent.shape else unbroadcast(c, parent.shape, 0)


_STOP = Recorded.__init__.__code__  # what lies further out than this is not the forward function's
