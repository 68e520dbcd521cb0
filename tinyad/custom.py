"""Functions with rules of their own: custom_vjp, custom_jvp, checkpoint, stop_gradient.

The first three are one mechanism: the function runs on plain arrays and leaves a single node, whose rules call back into Python.
In a function that is traced (`vmap`, `scan`) the call leaves a single operation, so that the rule holds when the program is run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .backend import module_of
from .batch import batch, over_examples, repeated, vmap
from .contexts import recording
from .forward import forward
from .kinds import Primitive
from .primitives.joining import stack
from .primitives.reductions import sum
from .program import Program
from .reverse import reverse
from .several import NoArray, picked
from .tape import Node, record, variable
from .tensor import Tensor, unwrap
from .tracing import Trace, Traced, TracingError, constant, example_of, innermost, lifted_into

__all__ = ["Call", "KeptCall", "call", "checkpoint", "custom_jvp", "custom_vjp", "on_tape", "stop_gradient"]

Function = Callable[..., Any]


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: the same values without a place on the tape. ``x`` may be a tree.

    >>> import tinyad as ad
    >>> ad.grad(lambda x: ad.stop_gradient(x) * x)(3.0)
    np.float64(3.0)
    """
    return tree.map(constant, x)


# ---- a node that calls back into Python


class Call(Primitive):
    """A call of a user's function, with a list of outputs.

    ``pull(cotangents, inputs)`` and ``push(tangents, inputs)`` have one entry per output or input, ``None`` for zero.
    """

    maps_leading_axes = False
    allocates = False  # a user's rule may return an array it keeps

    def __init__(self, name: str, pull: Function, push: Function) -> None:
        self.name, self.pull, self.push = name, pull, push

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        return self.pull(g, saved)  # type: ignore[no-any-return]

    def guarded_vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        return self.pull(g, saved, guarded=True)  # type: ignore[no-any-return]

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        return self.push(tangents, saved)

    def vjps(self, rule: Function, g: Sequence[Any], node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Any:
        """The cotangents of the inputs for many cotangents of the outputs, along a leading axis."""
        return _for_each(lambda given: rule(given, node, saved, parents), g, saved)

    def jvps(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        """The tangents of the outputs for many tangents of the inputs, along a leading axis."""
        return _for_each(lambda given: self.push(given, saved), tangents, saved)


def _for_each(rule: Function, many: Sequence[Any], saved: Sequence[Any]) -> Any:
    """A rule for each of many cotangents or tangents at once; one after the other if it needs their values, or is recorded."""
    if not any(isinstance(x, Tensor) for x in (*many, *saved)):
        try:
            return vmap(rule)(list(many))
        except TracingError:
            pass
    count = next(len(x) for x in many if x is not None)
    rows = [rule([None if x is None else x[i] for x in many]) for i in range(count)]
    return [None if column[0] is None else stack(column) for column in zip(*rows, strict=True)]


def call(primitive: Call, inputs: Sequence[Any], older: Sequence[Node], outputs: Sequence[Any]) -> list[Any]:
    """Put one call on the tape. ``older`` are further nodes it depends on."""
    parents = (*[x.node if isinstance(x, Tensor) else None for x in inputs], *older)
    if all(parent is None for parent in parents):
        return list(outputs)
    whole = record(primitive, parents, tuple([unwrap(x) for x in inputs]), {}, NoArray())
    return picked(whole.node, outputs) if whole.node is not None else [Tensor(y) for y in outputs]


def _arrays(values: Sequence[Any]) -> list[Any]:
    """Values as arrays, numbers included."""
    return [a if hasattr(a, "shape") else module_of(a).asarray(a) for a in map(unwrap, values)]


def _leaf(value: Any) -> Any:
    """A fresh leaf for a float array; an identity where a recorded Tensor is given; other values as they are."""
    if isinstance(value, Tensor) and value.node is not None:
        return +value
    array = unwrap(value)
    return variable(array) if getattr(array, "dtype", None) is not None and array.dtype.kind in "fc" else value


def _zeros_for_none(values: Sequence[Any], like: Sequence[Any]) -> list[Any]:
    return [module_of(unwrap(y)).zeros_like(unwrap(y)) if v is None else v for v, y in zip(values, like, strict=True)]


def _pull(
    outputs: Sequence[Any], cotangents: Sequence[Any], leaves: Sequence[Any], recorded: bool, guarded: bool = False
) -> list[Any]:
    """A reverse walk from the outputs that are on the tape and have a cotangent, to leaves that may be constants."""
    pairs = [(y.node, g) for y, g in zip(outputs, cotangents, strict=True) if g is not None and on_tape(y)]
    nodes = [leaf if isinstance(leaf, Node) else leaf.node for leaf in leaves if isinstance(leaf, Node) or on_tape(leaf)]
    found = iter(reverse([node for node, _ in pairs], [g for _, g in pairs], nodes, recorded=recorded, guarded=guarded)[0])
    return [next(found) if isinstance(leaf, Node) or on_tape(leaf) else None for leaf in leaves]


def on_tape(y: Any) -> bool:
    """Whether a value is a Tensor that is being recorded."""
    return isinstance(y, Tensor) and y.node is not None


def _is_recorded(values: Sequence[Any]) -> bool:
    """Whether a rule was called by a recorded walk: then it gets Tensors."""
    return any(isinstance(value, Tensor) for value in values)


# ---- a call in a function that is being traced


class KeptCall:
    """A call with a rule of its own, as one operation of a program.

    ``over(mapped)`` gives the call as a function of its operands, for all examples along the leading axis of those ``mapped``.
    """

    def __init__(self, name: str, over: Callable[[Sequence[bool]], Function]) -> None:
        self.name, self.over = name, over

    def apply(self, *operands: Any) -> list[Any]:
        return list(self.over([False] * len(operands))(*operands))

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: Any) -> list[Any]:
        return list(self.over(mapped)(*operands))


def _trace_of(inputs: Sequence[Any]) -> Trace | None:
    """The trace in which a call on these inputs is one operation; ``None`` if there is none."""
    current = innermost()  # not that of the inputs: the function may close over younger ones
    traced = any(type(unwrap(x)) is Traced for x in inputs)
    return current if traced and current is not None and current.differentiable else None


def _placeholders(current: Trace | None, inputs: Sequence[Any]) -> list[Any]:
    """Arrays to run the function on while it is written down: the inputs' own, where they do not vary."""
    arrays = [unwrap(x) for x in inputs]
    return [current.placeholder(x) if current is not None and type(x) is Traced else x for x in arrays]


def _for_all(body: Program, values: Sequence[Any], mapped: Sequence[bool]) -> list[Any]:
    """The outputs of a program, for each of the examples if there are any."""
    return _led(*batch(body, values, mapped), _size(values, mapped))


def _size(values: Sequence[Any], mapped: Sequence[bool]) -> int | None:
    """The number of examples; ``None`` if there are none."""
    return next((x.shape[0] for x, m in zip(values, mapped, strict=True) if m), None)


def _led(results: Sequence[Any], led: Sequence[bool], size: int | None) -> list[Any]:
    """Results with the leading axis, if there are examples."""
    return [y if m or size is None else repeated(y, size) for y, m in zip(results, led, strict=True)]


# ---- checkpoint


def checkpoint(f: Function) -> Function:
    """``f`` with its intermediate results forgotten, and computed again when a derivative needs them.

    Memory then holds the inputs of ``f`` instead of everything inside it, for one more evaluation. ``f`` may use Tensors it
    does not get as arguments; it must compute the same each time it is called.

    >>> import tinyad as ad
    >>> ad.grad(ad.checkpoint(lambda x: ad.sin(x) * x))(0.5) == ad.grad(lambda x: ad.sin(x) * x)(0.5)
    np.True_
    """

    name = getattr(f, "__name__", "f")

    @functools.wraps(f)
    def forgetful(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        inputs = lifted_into(leaves)
        current = _trace_of(inputs)
        if current is None and not any(isinstance(x, Tensor) for x in inputs):
            return f(*args, **kwargs)

        def run(values: Sequence[Any]) -> tuple[list[Any], tree.Structure]:
            inner_args, inner_kwargs = tree.unflatten(structure, list(values))
            return tree.flatten(f(*inner_args, **inner_kwargs))

        start = variable(NoArray()).node
        assert start is not None
        places = _placeholders(current, inputs)
        written = len(current.instructions) if current is not None else 0
        with recording():
            # constant Tensors, not arrays: `z += 1` inside f must not change the caller's array
            found, out_structure = run([Tensor(a) if isinstance(x, Tensor) else a for a, x in zip(places, inputs, strict=True)])
        older, outputs = _older(found, start.id), _arrays(found)
        if current is not None:
            moving = [k for k, a in enumerate(places) if type(a) is Traced]
            body = current.since(written, [places[k].value for k in moving], outputs)
            kept = KeptCall(name, lambda mapped: checkpoint(lambda *values: _for_all(body, values, mapped)))
            operands = [*[unwrap(inputs[k]) for k in moving], *body.inputs[len(moving) :]]
            outputs = current.emit(kept, operands, {}, [example_of(y) for y in outputs])

        def again(values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            with recording():
                leaves = [_leaf(x) for x in values[: len(inputs)]]
                return leaves, run(leaves)[0]

        def pull(g: Sequence[Any], values: Sequence[Any], guarded: bool = False) -> list[Any]:
            leaves, results = again(values)
            return _pull(results, g, [*leaves, *older], _is_recorded([*g, *values]), guarded)

        def push(tangents: Sequence[Any], values: Sequence[Any]) -> list[Any]:
            leaves, results = again(values)
            return _push(results, [*leaves, *older], tangents, _is_recorded([*tangents, *values]))

        return tree.unflatten(out_structure, call(Call(f"checkpoint({name})", pull, push), inputs, older, outputs))

    return forgetful


def _older(outputs: Sequence[Any], start: int) -> list[Node]:
    """The nodes from before ``start`` on which the outputs depend directly: what a function closes over."""
    stack = [y.node for y in outputs if on_tape(y)]
    seen, found = set(stack), []
    while stack:
        node = stack.pop()
        if node.id < start:
            found.append(node)
            continue
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(found, key=lambda node: node.id)


def _push(outputs: Sequence[Any], leaves: Sequence[Any], tangents: Sequence[Any], recorded: bool) -> list[Any]:
    """A forward walk from leaves that may be constants to outputs that may be off the tape."""
    pairs = [
        (leaf if isinstance(leaf, Node) else leaf.node, t)
        for leaf, t in zip(leaves, tangents, strict=True)
        if t is not None and (isinstance(leaf, Node) or on_tape(leaf))
    ]
    nodes = [y.node for y in outputs if on_tape(y)]
    found = iter(forward(nodes, [node for node, _ in pairs], [t for _, t in pairs], recorded=recorded)[0])
    return [next(found) if on_tape(y) else None for y in outputs]


# ---- rules given by the user


class _Site:
    """A call that was traced.

    Attributes:
        structure: of its arguments.
        places: their leaves, with placeholders for the moving ones, at the positions ``moving``.
        out_structure, outputs: of its result.
    """

    def __init__(
        self, structure: tree.Structure, places: Sequence[Any], out_structure: tree.Structure, outputs: Sequence[Any]
    ) -> None:
        self.structure, self.places = structure, places
        self.out_structure, self.outputs = out_structure, outputs
        self.moving = [k for k, a in enumerate(places) if type(a) is Traced]

    def arguments(self, values: Sequence[Any], others: Sequence[Any] | None = None) -> Any:
        """The arguments with ``values`` for the moving leaves."""
        filled = list(self.places if others is None else others)
        for k, value in zip(self.moving, values, strict=True):
            filled[k] = value
        return tree.unflatten(self.structure, filled)


class _Custom:
    """A function with a user's rule, called on trees."""

    def __init__(self, f: Function) -> None:
        self.f = f
        self.__name__ = getattr(f, "__name__", "f")
        self.__doc__ = f.__doc__

    def _name(self) -> str:
        return f"{type(self).__name__}({self.__name__})"

    def _off_tape(self, current: Trace | None, args: Any, inputs: Sequence[Any], structure: tree.Structure) -> Any:
        """The result where nothing is recorded: a call of the function, or one operation of a program."""
        if current is None:
            return self.f(*args)
        outputs, out_structure = self._written(current, inputs, structure)
        return tree.unflatten(out_structure, outputs)

    def _closed(self, outputs: Sequence[Any]) -> Sequence[Any]:
        """The outputs of a run on plain arrays; they must not be on the tape."""
        if any(on_tape(y) for y in outputs):
            raise ValueError(
                f"{self._name()}: the function uses a recorded Tensor that it does not get as an argument, so its rule cannot "
                f"speak of it. Pass it as an argument"
            )
        return _arrays(outputs)

    def _written(self, current: Trace, inputs: Sequence[Any], structure: tree.Structure) -> tuple[list[Any], tree.Structure]:
        """The outputs of a call that is being traced, as one operation, and their structure."""
        places = _placeholders(current, inputs)
        start = len(current.instructions)
        with recording():
            found, out_structure = tree.flatten(self.f(*tree.unflatten(structure, places)))
        outputs = _arrays(found)
        site = _Site(structure, places, out_structure, outputs)
        count = len(site.moving)
        body = current.since(start, [places[k].value for k in site.moving], outputs)

        def over(mapped: Sequence[bool]) -> Function:
            def for_all(*operands: Any) -> Any:
                whole: Any = type(self)(lambda *values: _for_all(body, [*values, *operands[count:]], mapped))
                whole.__name__ = self.__name__
                self._give_rule(whole, site, mapped[:count])
                return whole(*operands[:count])

            return for_all

        operands = [*[unwrap(inputs[k]) for k in site.moving], *body.inputs[count:]]
        return current.emit(KeptCall(self.__name__, over), operands, {}, [example_of(y) for y in outputs]), out_structure

    def _give_rule(self, whole: Any, site: _Site, mapped: Sequence[bool]) -> None:
        """Give ``whole``, which takes the moving leaves of a call for all examples, this function's rule for all of them."""
        raise NotImplementedError

    def _fitting(self, what: str, value: Any, like: Any) -> Any:
        """A derivative that a rule has returned, which must have the shape of what it belongs to."""
        if value is None:
            return None
        value = value if hasattr(value, "shape") else module_of(unwrap(like)).asarray(value)
        expected = getattr(like, "shape", ())
        if value.shape != expected:
            raise ValueError(f"{self._name()}: the rule returned {what} of shape {value.shape}; expected {expected}")
        return value


class custom_vjp(_Custom):
    """A function with a reverse rule of its own.

    ``f.defvjp(forward, backward)`` gives the rule: ``forward(*args)`` returns ``(out, residuals)``, where the residuals are
    whatever the rule wants to keep; ``backward(residuals, cotangent)`` returns a tuple with the cotangent of each argument, a
    tree like it or ``None`` for zero. Written with tinyad's functions it can be differentiated again, and forward mode
    uses its transpose.

    >>> import tinyad as ad
    >>> @ad.custom_vjp
    ... def cube(x):
    ...     return x * x * x
    >>> cube.defvjp(lambda x: (x * x * x, x), lambda x, g: (g * 3.0 * x * x,))
    >>> ad.grad(cube)(2.0)
    np.float64(12.0)
    """

    forward: Function | None = None
    backward: Function | None = None

    def defvjp(self, forward: Function, backward: Function) -> None:
        """Give the rule; see the class."""
        self.forward, self.backward = forward, backward

    def __call__(self, *args: Any) -> Any:
        leaves, structure = tree.flatten(args)
        inputs = lifted_into(leaves)
        current = _trace_of(inputs)
        if not any(on_tape(x) for x in inputs):
            return self._off_tape(current, args, inputs, structure)
        if self.forward is None or self.backward is None:
            raise TypeError(f"{self._name()} has no rule yet; call .defvjp(forward, backward) first")
        backward_rule = self.backward

        def run(values: Sequence[Any]) -> tuple[Any, Any]:
            return self._run_forward(tree.unflatten(structure, list(values)))

        with recording():
            out, residuals = run([unwrap(x) for x in inputs])
        flat, out_structure = tree.flatten(out)
        outputs = self._closed(flat)
        if current is not None:
            outputs = self._written(current, inputs, structure)[0]

        def cotangents(g: Sequence[Any], kept: Any) -> list[Any]:
            seeds = tree.unflatten(out_structure, _zeros_for_none(g, outputs))
            return self._per_input(backward_rule(kept, seeds), structure, inputs)

        def pull(g: Sequence[Any], values: Sequence[Any], guarded: bool = False) -> list[Any]:
            recorded = _is_recorded([*g, *values])
            found = cotangents(g, run(values)[1] if recorded else residuals)
            return found if recorded else [unwrap(c) for c in found]

        def push(tangents: Sequence[Any], values: Sequence[Any]) -> list[Any]:
            # backward is linear in g: transposing it, by a reverse walk over it, gives the Jacobian
            kept = run(values)[1] if _is_recorded([*tangents, *values]) else residuals
            with recording():
                seeds = [variable(module_of(y).zeros_like(y)) for y in outputs]
                results = cotangents(seeds, kept)
            return _pull(results, tangents, seeds, _is_recorded([*tangents, *values]))

        return tree.unflatten(out_structure, call(Call(self._name(), pull, push), inputs, (), outputs))

    def _run_forward(self, args: Any) -> tuple[Any, Any]:
        assert self.forward is not None
        result = self.forward(*args)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"{self._name()}: forward returned {type(result).__name__}; expected (out, residuals)")
        return result

    def _give_rule(self, whole: custom_vjp, site: _Site, mapped: Sequence[bool]) -> None:
        rule = self.backward
        if self.forward is None or rule is None:
            return

        def forward(*values: Any) -> Any:
            results, led, structure = over_examples(lambda given: self._run_forward(site.arguments(given)), values, mapped)
            count = structure.children[0].size
            return _led(results[:count], led[:count], _size(values, mapped)), (results[count:], led[count:], structure)

        def backward(kept: Any, g: Sequence[Any]) -> tuple[Any, ...]:
            residuals, led, structure = kept
            seeded = [*led, *[any(mapped)] * len(g)]
            size = _size([*residuals, *g], seeded)

            def of_one(given: list[Any]) -> list[Any]:
                parts = iter(given)
                rest, seeds = (tree.unflatten(part, parts) for part in structure.children[::-1])
                found = self._per_input(rule(rest, seeds), site.structure, site.places)
                return [found[k] for k in site.moving]

            results, led, structure_of_results = over_examples(of_one, [*residuals, *g], seeded)
            found = tree.unflatten(structure_of_results, _led(results, led, size))
            return tuple([c if c is None or m or size is None else sum(c, 0) for c, m in zip(found, mapped, strict=True)])

        whole.defvjp(forward, backward)

    def _per_input(self, result: Any, structure: tree.Structure, inputs: Sequence[Any]) -> list[Any]:
        arguments = structure.children
        if not isinstance(result, (tuple, list)) or len(result) != len(arguments):
            got = f"{len(result)} entries" if isinstance(result, (tuple, list)) else type(result).__name__
            raise TypeError(
                f"{self._name()}: backward returned {got}; expected a tuple with one for each of {len(arguments)} arguments"
            )
        found: list[Any] = []
        for i, (argument, g) in enumerate(zip(arguments, result, strict=True)):
            found += (
                [None] * argument.size if g is None else tree.same_structure(f"cotangent {i}", argument, g, f"argument {i}")
            )
        owner = [i for i, argument in enumerate(arguments) for _ in range(argument.size)]
        return [self._fitting(f"cotangent {i}", c, x) for i, c, x in zip(owner, found, inputs, strict=True)]


class custom_jvp(_Custom):
    """A function with a forward rule of its own; reverse mode uses its transpose.

    ``f.defjvp(rule)`` gives the rule: ``rule(primals, tangents)`` returns ``(out, tangent of out)``, linear in the tangents and
    written with tinyad's functions.

    >>> import tinyad as ad
    >>> @ad.custom_jvp
    ... def cube(x):
    ...     return x * x * x
    >>> rule = cube.defjvp(lambda primals, tangents: (cube(*primals), 3.0 * primals[0] ** 2 * tangents[0]))
    >>> ad.grad(cube)(2.0), ad.jvp(cube, (2.0,), (1.0,))[1]
    (np.float64(12.0), np.float64(12.0))
    """

    rule: Function | None = None

    def defjvp(self, rule: Function) -> Function:
        """Give the rule; see the class. It may be used as a decorator."""
        self.rule = rule
        return rule

    def __call__(self, *args: Any) -> Any:
        leaves, structure = tree.flatten(args)
        inputs = lifted_into(leaves)
        current = _trace_of(inputs)
        if not any(on_tape(x) for x in inputs):
            return self._off_tape(current, args, inputs, structure)
        if self.rule is None:
            raise TypeError(f"{self._name()} has no rule yet; call .defjvp(rule) first")
        with recording():
            flat, out_structure = tree.flatten(self.f(*tree.unflatten(structure, [unwrap(x) for x in inputs])))
        outputs = self._closed(flat)
        if current is not None:
            outputs = self._written(current, inputs, structure)[0]

        def tangent(values: Sequence[Any], directions: Sequence[Any]) -> list[Any]:
            point, direction = (tree.unflatten(structure, list(leaves)) for leaves in (values, directions))
            return self._tangents(point, direction, out_structure, outputs)

        def push(tangents: Sequence[Any], values: Sequence[Any]) -> list[Any]:
            found = tangent(values, _zeros_for_none(tangents, values))
            return found if _is_recorded([*tangents, *values]) else [unwrap(t) for t in found]

        def pull(g: Sequence[Any], values: Sequence[Any], guarded: bool = False) -> list[Any]:
            with recording():
                directions = [_leaf(module_of(unwrap(x)).zeros_like(unwrap(x))) for x in values]
                results = tangent(values, directions)
            return _pull(results, g, directions, _is_recorded([*g, *values]), guarded)

        return tree.unflatten(out_structure, call(Call(self._name(), pull, push), inputs, (), outputs))

    def _tangents(self, point: Any, direction: Any, out_structure: tree.Structure, outputs: Sequence[Any]) -> list[Any]:
        """The tangents of the outputs, by the rule."""
        assert self.rule is not None
        result = self.rule(point, direction)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"{self._name()}: the rule returned {type(result).__name__}; expected (out, tangent)")
        found = tree.same_structure("tangent of out", out_structure, result[1], "out")
        return [self._fitting("tangent of out", t, y) for t, y in zip(found, outputs, strict=True)]

    def _give_rule(self, whole: custom_jvp, site: _Site, mapped: Sequence[bool]) -> None:
        if self.rule is None:
            return
        zeros = _zeros_for_none([None] * len(site.places), site.places)

        def of_one(given: list[Any]) -> list[Any]:
            values, directions = given[: len(mapped)], given[len(mapped) :]
            point, direction = site.arguments(values), site.arguments(directions, zeros)
            return self._tangents(point, direction, site.out_structure, site.outputs)

        @whole.defjvp
        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            results, led, _ = over_examples(of_one, [*primals, *tangents], [*mapped, *mapped])
            return None, _led(results, led, _size(primals, mapped))
