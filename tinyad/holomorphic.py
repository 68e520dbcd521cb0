"""Which walk gives a Jacobian where numbers are complex; the convention is that of `tinyad.primitives.complex`.

The derivatives of a complex number by a complex one are four real numbers, and one complex number holds them only if the function
is holomorphic. A row of the reverse walk holds those of a real output by a complex input; a column of the forward walk those of
a complex output by a real input. The other way round each would give half of the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .reverse import collect
from .tape import Node

__all__ = ["walk_for"]

_REMEDY = (
    "Differentiate by real and imaginary parts instead, as in "
    "ad.jacobian(lambda x, y: ad.real(f(ad.complex(x, y))), argnums=(0, 1))"
)


def walk_for(mode: str | None, leaves: Sequence[Node], outputs: Sequence[Any]) -> str | None:
    """The walk to take: the one asked for, the only one that is right, or ``None`` for either.

    Args:
        mode: "reverse", "forward" or ``None``.
        outputs: Tensors.

    Raises:
        TypeError: if neither is right, or not the one asked for; or if a complex output is no holomorphic function of a complex
            input.
    """
    of_inputs = {leaf.dtype.kind for leaf in leaves}
    of_outputs = {y.dtype.kind for y in outputs if y.node is not None}
    right = set()
    if "c" in of_inputs and "f" in of_outputs:
        right.add("reverse")
    if "f" in of_inputs and "c" in of_outputs:
        right.add("forward")
    if len(right) == 2:
        raise TypeError(
            f"jacobian: a real output of a complex input and a complex output of a real one: no walk does both. {_REMEDY}"
        )
    if mode is not None and right - {mode}:
        raise TypeError(
            f"jacobian: mode={mode!r} gives half of a derivative where numbers are complex here; use mode={right.pop()!r}"
        )
    if "c" in of_inputs and "c" in of_outputs:
        _require_holomorphic(leaves, outputs)
    return right.pop() if right else mode


def _require_holomorphic(leaves: Sequence[Node], outputs: Sequence[Any]) -> None:
    """Refuse a complex output that a complex input reaches through a real number, or a conjugate."""
    complex_leaves = [leaf for leaf in leaves if leaf.dtype.kind == "c"]
    ends = [y.node for y in outputs if y.node is not None and y.dtype.kind == "c"]
    nodes = collect(ends, complex_leaves)[0]
    reached: set[Node | None] = set(complex_leaves)
    for node in nodes:
        complex_parents = [p for p in node.parents if p in reached and getattr(getattr(p, "dtype", None), "kind", "c") == "c"]
        name = getattr(node.primitive, "name", "")
        if complex_parents and (name == "conj" or getattr(node.dtype, "kind", "c") == "f"):
            raise TypeError(
                f"jacobian: the output is complex and depends on a complex input through `{name}`, which has no complex "
                f"derivative. {_REMEDY}"
            )
        if not reached.isdisjoint(node.parents):
            reached.add(node)
