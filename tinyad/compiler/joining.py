"""Many small chains of the same functions as one chain on one array.

An optimiser does the same dozen elementwise functions to every parameter. On the parameters of a network of 32 narrow layers that
is 800 calls of NumPy on some hundred numbers each, where a call costs as much as its work on a thousand. Laid end to end in one
array, they need a dozen calls, and a copy there and back of what goes in and comes out.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from ..program import Instruction, Program, Value
from .blocks import is_elementwise
from .rewriting import Assembly, with_values

__all__ = ["join_alike"]

SMALL = 1 << 12
"""Elements from which on a chain is long enough to stand alone."""
# Nanoseconds that one more call takes; one more array in a call that joins or copies arrays; and an element copied.
_CALL, _ARRAY, _ELEMENT = 600.0, 350.0, 0.2


def join_alike(program: Program) -> Program:
    """Join small chains of the same elementwise functions that do not depend on each other."""
    alike: dict[Hashable, list[_Chain]] = defaultdict(list)
    for chain in _chains(program):
        alike[chain.key()].append(chain)
    for chains in alike.values():
        joined = [chain for chain in chains if chain.gain() > 0]
        if len(joined) > 2:
            program = _joined(program, joined)
    return program


@dataclass(eq=False)
class _Chain:
    """Elementwise instructions on arrays of one shape that use each other's results.

    Attributes:
        instructions: in order.
        results: the values that others use.
    """

    instructions: list[Instruction] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)

    def leaves(self) -> list[Value]:
        """The arrays that it starts from."""
        made = {i.out for i in self.instructions}
        return list(dict.fromkeys(x for i in self.instructions for x in i.values() if x.ndim and x not in made))

    def key(self) -> Hashable:
        """The same for chains that differ in their leaves only."""
        names: dict[Value, Hashable] = {x: ("leaf", k, str(x.dtype)) for k, x in enumerate(self.leaves())}
        names |= {i.out: ("made", k) for k, i in enumerate(self.instructions)}
        steps = [
            (i.name, repr(i.params), tuple([names.get(x, x) if isinstance(x, Value) else repr(x) for x in i.inputs]))
            for i in self.instructions
        ]
        return tuple(steps), tuple([names[x] for x in self.results])

    def gain(self) -> float:
        """Nanoseconds saved by joining it to others."""
        ends = len(self.leaves()) + len(self.results)
        return _CALL * len(self.instructions) - ends * (_ARRAY + _ELEMENT * self.instructions[0].out.size)


def _chains(program: Program) -> list[_Chain]:
    found: dict[Value, _Chain] = {}
    for i in program.instructions:
        if not _is_small(i):
            continue
        parts = list(dict.fromkeys(found[x] for x in i.values() if x in found))
        whole = parts[0] if parts else _Chain()
        for other in parts[1:]:
            whole.instructions += other.instructions
            found.update(dict.fromkeys([each.out for each in other.instructions], whole))
        whole.instructions.append(i)
        found[i.out] = whole
    order = {i: k for k, i in enumerate(program.instructions)}
    chains = list(dict.fromkeys(found.values()))
    outside = {x for i in program.instructions for x in i.values() if found.get(x) is not found.get(i.outputs[0])}
    outside |= {x for x in program.outputs if isinstance(x, Value)}
    for chain in chains:
        chain.instructions.sort(key=order.__getitem__)
        chain.results = [i.out for i in chain.instructions if i.out in outside]
    return chains


def _is_small(i: Instruction) -> bool:
    """Whether it is an elementwise function of arrays of one shape, and of numbers."""
    if len(i.outputs) != 1 or not is_elementwise(i) or not i.is_pure or not i.out.ndim or not 0 < i.out.size < SMALL:
        return False
    return all(not x.ndim or x.shape == i.out.shape for x in i.values())


def _joined(program: Program, chains: Sequence[_Chain]) -> Program:
    """The program with these chains as one, where the last of them ends; unchanged if a result is needed before.

    Not earlier, though all that they need may be there: a check that stands before them must come before donated arrays change.
    """
    order = {i: k for k, i in enumerate(program.instructions)}
    inside = {i for chain in chains for i in chain.instructions}
    results = {x for chain in chains for x in chain.results}
    end = max(order[i] for i in inside)
    if any(order[i] < end for i in order if i not in inside and not results.isdisjoint(i.values())):
        return program
    before = [i for i in program.instructions[:end] if i not in inside]
    return Program(
        program.inputs, [*before, *_chain_of_all(chains), *program.instructions[end + 1 :]], program.outputs, program.name
    )


def _chain_of_all(chains: Sequence[_Chain]) -> list[Instruction]:
    first = chains[0]
    sizes = [chain.instructions[0].out.size for chain in chains]
    made = Assembly(first.instructions[0])
    flat: dict[Value, Value] = {}
    for leaves in zip(*[chain.leaves() for chain in chains], strict=True):
        ends = [made.reshape(x, (x.size,)) for x in leaves]
        whole = Value(leaves[0].name, (sum(sizes),), leaves[0].dtype)
        flat[leaves[0]] = made.append("concat", ends, whole, axis=-1, shapes=[x.shape for x in ends])
    for i in first.instructions:
        inputs = [flat.get(x, x) if isinstance(x, Value) else x for x in i.inputs]
        flat[i.out] = Value(i.out.name, (sum(sizes),), i.out.dtype)
        made.instructions.append(with_values(i, inputs, [flat[i.out]]))
    stops = list(itertools.accumulate(sizes))
    for chain, stop, size in zip(chains, stops, sizes, strict=True):
        for x, of_first in zip(chain.results, first.results, strict=True):
            piece, index = Value(x.name, (size,), x.dtype), (slice(stop - size, stop),)
            made.append("getitem", [flat[of_first]], piece, rank=1, index=index)
            made.append("copy", [made.reshape(piece, x.shape)], x)
    return made.instructions
