"""Operations with several results, such as the eigenvalues and eigenvectors of a matrix.

They leave one node for the operation, whose cotangent is a list with one entry per result, and a node for each result, which
picks it from the list. Here are also primitives of that kind (`several`), which declare their rules as those of
`tinyad.kinds.general` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .kinds import Deferred, Forward, Function, General, Primitive, constant_like, publish
from .tape import NO_PARAMS, Node, record
from .tensor import Tensor, unwrap

__all__ = ["NoArray", "picked", "several"]


class NoArray:
    """Stands for the value of a node with several results, which has no shape of its own."""

    shape = None
    dtype = None


class _Pick(Primitive):
    """One of the results of a node."""

    def __init__(self) -> None:
        self.name = "pick"

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        index, count = node.params["index"], node.params["count"]

        def add_to(total: Any) -> list[Any]:
            several: list[Any] = [None] * count if total is None else total
            # twice where rules that use it were recorded, in a derivative of a derivative
            several[index] = g if several[index] is None else several[index] + g
            return several

        return (Deferred(add_to),)

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        return tangents[0][node.params["index"]]


_pick = _Pick()


def picked(whole: Node, results: Sequence[Any]) -> list[Tensor]:
    """The results of a node, each at a place of its own."""
    count = len(results)
    return [record(_pick, (whole,), (), {"index": i, "count": count}, y) for i, y in enumerate(results)]


class Several(General):
    """A function of several results whose rules are declared one by one.

    Its results are saved as one value, a list, because they have one node.
    """

    def __init__(
        self, name: str, forward: Forward, vjp: Function, jvp: Function, operands: Sequence[str], results: Sequence[str]
    ) -> None:
        super().__init__(name, forward, vjp, jvp, operands, results)
        self.saves_results = any(self.kept[len(operands) :])

    def keep(self, arrays: Sequence[Any], out: Any, places: Sequence[Node | None]) -> tuple[Any, ...]:
        kept = [array if needed else None for array, needed in zip(arrays, self.kept, strict=False)]
        return (*kept, out if self.saves_results else None)

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        return super().vjp(g, node, _spread(saved), parents)

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        known = _spread(saved)
        return list(self.jvp_rule(*tangents, *[known[i] for i in self.jvp_needs], **node.params))


def _spread(saved: Sequence[Any]) -> list[Any]:
    """Operands and results, each by itself; on the tape, where the list of results is there."""
    *operands, results = saved
    if results is None:
        return operands
    if isinstance(results, Tensor):
        return [*operands, *(picked(results.node, results.array) if results.node is not None else results.array)]
    return [*operands, *results]


def several(
    name: str,
    forward: Forward,
    vjp: Function,
    jvp: Function,
    operands: Sequence[str],
    results: Sequence[str],
    doc: str = "",
) -> Function:
    """Declare a primitive of several results; what users call returns a list of them.

    Args:
        forward: a function of the array module, the operands and the parameters (by keyword), which returns the results.
        vjp: a function of a list with the cotangent of each result (``None`` for zero), of the operands and results it names,
            and of the parameters; returns the operand's cotangent, or a tuple of them.
        jvp: a function of one tangent per operand (``None`` for zero), of the operands and results it names, and of the
            parameters; returns the tangents of the results.
        operands, results: what the rules call them.
    """
    primitive = Several(name, forward, vjp, jvp, operands, results)
    kernels = primitive.kernels

    def apply(*given: Any, **params: Any) -> list[Any]:
        arrays = [unwrap(operand) for operand in given]
        out = list(kernels.common(arrays)(*arrays, **params))
        places = tuple([operand.node if type(operand) is Tensor else None for operand in given])
        if places.count(None) == len(places):
            return [constant_like(y, given) for y in out]
        whole = record(primitive, places, primitive.keep(arrays, out, places), params or NO_PARAMS, NoArray())
        return picked(whole.node, out) if whole.node is not None else [Tensor(y) for y in out]

    return publish(primitive, apply, doc)
