"""The four kinds of primitive.

A kind says once what follows from what: an elementwise function declares its partial derivatives and gets the rules of every
walk; a linear one declares its transpose, a multilinear one a transpose per argument; only a general one declares its rules
one by one. Forward and reverse cannot disagree where both come from the same declaration. The rule for batches needs no
declaration at all.

========================  ================================  =============================================================
kind                      declares                          the kind derives
========================  ================================  =============================================================
`elementwise`             partial derivatives               jvp: sum of partial times tangent; vjp: partial times cotangent
`linear`                  its transpose                     jvp: itself on the tangent; vjp: the transpose
`multilinear`             a transpose per argument          jvp: sum of itself with one argument replaced; vjp: transposes
`general`                 vjp and jvp                       nothing
========================  ================================  =============================================================

Two conventions make the rules short:

* **Arguments are named for what they are**, and only what a rule names is saved on the tape: ``x`` and ``y`` (or the names the
  kind is given) are the operands, ``out`` the result. ``elementwise("exp", "out")`` keeps the result and not the input.
* **Primitives act on the trailing axes** of their operands: axes are counted from the end and shapes are those of one example,
  so every function and every rule maps over extra leading axes by itself. The Jacobian is one reverse walk with such an axis.
  (A node recorded inside such a walk has the leading axis in its own shape: rules take the trailing part of it.)

Rules are written with tinyad's own functions: fed plain arrays they run NumPy, fed Tensors they are recorded again.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .aliases import note_view
from .backend import Array, Kernels, common_module, function_of, module_of
from .tape import NO_PARAMS, Node, record
from .tensor import Tensor, unwrap

__all__ = [
    "NONDIFFERENTIABLE",
    "PRIMITIVES",
    "Deferred",
    "General",
    "JointlyLinear",
    "Primitive",
    "constant_like",
    "elementwise",
    "general",
    "linear",
    "multilinear",
    "n_ary",
    "nondifferentiable",
    "publish",
]  # fmt: skip

PRIMITIVES: dict[str, Primitive] = {}
"""Every differentiable primitive by name: the rule table."""

NONDIFFERENTIABLE: dict[str, Primitive] = {}
"""The functions that give constants, by name."""

Forward = str | Callable[..., Any]
Function = Callable[..., Any]


class Deferred:
    """A contribution to a cotangent that knows how to add itself: ``add_to(total)`` returns the new total, of which the walk is
    the owner; ``total`` is ``None`` at first. Indexing in a loop thus needs one dense array in all, not one per index."""

    __slots__ = ("add_to",)

    def __init__(self, add_to: Callable[[Any], Any]) -> None:
        self.add_to = add_to


class Primitive:
    """One entry of the rule table.

    Attributes:
        name: what messages and printed tapes call it.
        forward: the array module's name for it (see `tinyad.backend.function_of`), or a function of the module, the operands and
            the parameters.
        kernels: the function to run, by array type.
        apply: the function users call, on Tensors, arrays and numbers.
        maps_leading_axes: whether its rules take cotangents and tangents with extra leading axes; if not, it has ``vjps`` and
            ``jvps``, which do.
        allocates: whether what its vjp returns is a new array or the cotangent itself, never one that somebody else may hold.
        branches: whether it gives cotangents of exactly zero to what it did not choose, so that the walk must guard them.
    """

    maps_leading_axes = True
    allocates = True
    branches = False
    apply: Function
    vjps: Function
    jvps: Function

    def __init__(self, name: str, forward: Forward) -> None:
        self.name = name
        self.forward = forward
        self.kernels = Kernels(name, _maker(forward))

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} primitive {self.name}>"

    def keep(self, arrays: Sequence[Any], out: Any, places: Sequence[Node | None]) -> tuple[Any, ...]:
        """What a node saves: operands and result, in this order, ``None`` for what no rule will ask for."""
        return ()

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        """The cotangents of the operands, before unbroadcasting; ``None`` for zero. Those of constants may be anything."""
        raise NotImplementedError

    def guarded_vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        """`vjp`, where a cotangent of zero may come from the inactive branch of a `where` and meet infinity or NaN."""
        return self.vjp(g, node, saved, parents)

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        """The tangent of the result. ``None`` in ``tangents`` is zero; at least one is not ``None``."""
        raise NotImplementedError

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: dict[str, Any]) -> Any:
        """The results for many examples at once, along a leading axis.

        Args:
            operands: the mapped ones with that axis, the others as they are for one example.
            ranks: the number of axes of each operand for one example.
            mapped: which have the axis; at least one.
        """
        return self.apply(*behind_the_examples(operands, ranks, mapped), **params)


def behind_the_examples(operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool]) -> list[Any]:
    """Operands that broadcast from the right: the axes that one of them lacks in front belong behind that of the examples.

    ``ranks`` counts the axes that broadcast, or any number that differs as they do.
    """
    rank = max(ranks)
    return [
        x.reshape((x.shape[0],) + (1,) * (rank - r) + x.shape[1:]) if m and r < rank else x
        for x, r, m in zip(operands, ranks, mapped, strict=True)
    ]


def _maker(forward: Forward) -> Callable[[Any], Function]:
    """From the declaration of a forward function to the function for an array module."""
    if isinstance(forward, str):
        return lambda module: function_of(module, forward)
    return lambda module: functools.partial(forward, module)


def publish(primitive: Primitive, apply: Function, doc: str, table: dict[str, Primitive] = PRIMITIVES) -> Function:
    """Enter the primitive in the table and dress its function for users."""
    if primitive.name in PRIMITIVES or primitive.name in NONDIFFERENTIABLE:
        raise ValueError(f"primitive {primitive.name!r} exists already")
    table[primitive.name] = primitive
    primitive.apply = apply
    apply.__name__ = apply.__qualname__ = primitive.name
    apply.__module__ = sys._getframe(2).f_globals["__name__"]  # the file that declares it, so that it can be pickled
    apply.__doc__ = doc
    apply.primitive = primitive  # type: ignore[attr-defined]
    return apply


def _positions(rule: Function, operands: Sequence[str], results: Sequence[str] = ("out",), skip: int = 0) -> tuple[int, ...]:
    """Where the arguments a rule names stand among the operands and the results."""
    places = (*operands, *results)
    parameters = [p for p in inspect.signature(rule).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return tuple(places.index(p.name) for p in parameters[skip:])


# ---- elementwise


class Elementwise(Primitive):
    """A function of each element; its Jacobian is a diagonal, so one product serves both modes."""

    def __init__(self, name: str, forward: Forward, partials: Sequence[Any], operands: Sequence[str], times: Function) -> None:
        super().__init__(name, forward)
        self.needs = tuple(_needs(p, operands) for p in partials)
        self.products = tuple(_product(p, needs, times) for p, needs in zip(partials, self.needs, strict=True))
        guarded = _guard if times is operator.mul else times
        self.guarded = tuple(_product(p, needs, guarded) for p, needs in zip(partials, self.needs, strict=True))

    def saves(self, active: Sequence[int]) -> tuple[bool, ...]:
        """Which of operands and result to keep when only the ``active`` operands vary."""
        needed = {place for i in active for place in self.needs[i]}
        return tuple(place in needed for place in range(len(self.products) + 1))

    def keep(self, arrays: Sequence[Any], out: Any, places: Sequence[Node | None]) -> tuple[Any, ...]:
        wanted = self.saves([i for i, place in enumerate(places) if place is not None])
        return tuple([array if kept else None for array, kept in zip((*arrays, out), wanted, strict=True)])

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        if len(parents) == 1:
            return (self.products[0](g, saved),)
        if len(parents) == 2:  # spelled out: a comprehension costs a call in Python 3.11
            left, right = self.products
            return (
                None if parents[0] is None else left(g, saved),
                None if parents[1] is None else right(g, saved),
            )
        return [None if p is None else product(g, saved) for p, product in zip(parents, self.products, strict=True)]

    def guarded_vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        return [None if p is None else product(g, saved) for p, product in zip(parents, self.guarded, strict=True)]

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        terms = [
            term
            for i, (tangent, product) in enumerate(zip(tangents, self.products, strict=True))
            if tangent is not None and (term := product(_align(tangent, node, i, _missing(i, node)), saved)) is not None
        ]
        return functools.reduce(operator.add, terms) if terms else None


def _needs(partial: Any, operands: Sequence[str]) -> tuple[int, ...]:
    """Where the arrays that a partial derivative asks for stand among the operands and the result."""
    if isinstance(partial, str):
        return ((*operands, "out").index(partial),)
    return _positions(partial, operands) if callable(partial) else ()


def _product(partial: Any, needs: Sequence[int], times: Function) -> Function:
    """``(v, saved) -> v * partial``, written out for the usual numbers of saved arrays because it runs in every walk."""
    if partial is None:
        return lambda v, saved: None
    if partial in (1, -1):
        return (lambda v, saved: v) if partial == 1 else (lambda v, saved: -v)
    if isinstance(partial, str):
        (i,) = needs
        return lambda v, saved: times(v, saved[i])
    if times is operator.mul:
        times = _multiply_reusing
    if len(needs) == 1:
        (i,) = needs
        return lambda v, saved: times(v, partial(saved[i]))
    return lambda v, saved: times(v, partial(*[saved[i] for i in needs]))


def _guard(v: Any, partial: Any) -> Any:
    """``v * partial``, and 0 where ``v`` is, whatever the partial: the primitive `absorb`."""
    return PRIMITIVES["absorb"].apply(v, partial)


def _multiply_reusing(v: Any, partial: Any) -> Any:
    """``v * partial`` for a partial derivative computed just now: a large one is overwritten, which saves a fresh array.

    A partial given as a function must therefore return a new array, not one of its arguments; those are given by name.
    """
    if (
        type(v) is not np.ndarray
        or type(partial) is not np.ndarray
        or partial.size < 4096
        or partial.shape != v.shape
        or partial.dtype != v.dtype
    ):
        return v * partial
    return np.multiply(v, partial, out=partial)


def _missing(i: int, node: Node) -> int:
    """How many axes fewer operand ``i`` has than the result, where both broadcast."""
    parent = node.parents[i]
    assert parent is not None
    return len(node.shape) - len(parent.shape)


def _align(tangent: Any, node: Node, i: int, missing: int) -> Any:
    """Put ``missing`` axes of length 1 between a tangent's leading axes and its own: it then broadcasts as its operand does."""
    parent = node.parents[i]
    assert parent is not None
    lead = tangent.ndim - len(parent.shape)
    if lead == 0 or missing <= 0:
        return tangent
    return tangent.reshape(tangent.shape[:lead] + (1,) * missing + parent.shape)


def elementwise(
    name: str,
    *partials: Any,
    forward: Forward | None = None,
    operands: Sequence[str] = ("x", "y"),
    times: Function = operator.mul,
    branches: bool = False,
    doc: str = "",
) -> Function:
    """Declare an elementwise primitive.

    Args:
        name: its name; also the array module's function unless ``forward`` says otherwise.
        partials: per operand, the partial derivative as a function of the operands and result it names; or just the name
            where it is one of them; 1 or -1 where it is that; ``None`` where there is no derivative.
        forward: the array module's name for it, or a function of the module and the operands.
        operands: what the partials call the operands.
        times: the product of a tangent or cotangent with a partial derivative.
        branches: see `Primitive`.
    """
    names = operands[: len(partials)]
    primitive = Elementwise(name, forward or name, partials, names, times)
    primitive.branches = branches
    build = {1: _unary, 2: _binary}.get(len(partials), n_ary)
    return publish(primitive, build(primitive), doc or f"Elementwise ``{name}``, as NumPy's.")


def _unary(primitive: Elementwise) -> Function:
    kernels = primitive.kernels
    saves_x, saves_out = primitive.saves((0,))

    def apply(x: Any, /) -> Any:
        if type(x) is not Tensor:
            return (kernels[type(x)] or kernels[np.ndarray])(x)
        array, node = x.array, x.node
        out = kernels[type(array)](array)
        if node is None:
            return Tensor(out)
        return record(primitive, (node,), (array if saves_x else None, out if saves_out else None), NO_PARAMS, out)

    return apply


def _binary(primitive: Elementwise | Multilinear) -> Function:
    kernels = primitive.kernels
    both, left, right = primitive.saves((0, 1)), primitive.saves((0,)), primitive.saves((1,))

    def apply(x: Any, y: Any, /) -> Any:
        a, node_x = (x.array, x.node) if type(x) is Tensor else (x, None)
        b, node_y = (y.array, y.node) if type(y) is Tensor else (y, None)
        # both look-ups, because the second refuses what is no operand
        kernel_a, kernel_b = kernels[type(a)], kernels[type(b)]
        if kernel_b is None:
            kernel = kernel_a or kernels[np.ndarray]
        elif kernel_a is kernel_b or kernel_a is None:
            kernel = kernel_b
        elif type(a) in _SEQUENCES or type(b) in _SEQUENCES:  # NumPy's functions take lists, CuPy's do not
            return apply(*_without_lists((x, y)))
        else:
            kernel = kernels.common((a, b))
        if a is x and b is y:
            return kernel(a, b)
        if type(a) in _SEQUENCES or type(b) in _SEQUENCES:
            return apply(*_without_lists((x, y)))
        out = kernel(a, b)
        if node_y is None:
            if node_x is None:
                return Tensor(out)
            saves_x, saves_y, saves_out = left
        else:
            saves_x, saves_y, saves_out = right if node_x is None else both
        saved = (a if saves_x else None, b if saves_y else None, out if saves_out else None)
        return record(primitive, (node_x, node_y), saved, NO_PARAMS, out)

    return apply


_SEQUENCES = (list, tuple)


def _without_lists(values: Sequence[Any]) -> list[Any]:
    """Lists as arrays of the module of the arrays beside them; everything else as it is."""
    module = common_module(map(unwrap, values))
    return [module.asarray(x) if type(x) in _SEQUENCES else x for x in values]


def _unwrapped(operands: Sequence[Any]) -> list[Any]:
    """The operands' arrays; numbers as they are."""
    arrays = [unwrap(operand) for operand in operands]
    return _without_lists(arrays) if any([type(x) in _SEQUENCES for x in arrays]) else arrays


def n_ary(primitive: Primitive) -> Function:
    """The function users call, for a primitive of any number of operands."""
    kernels = primitive.kernels

    def apply(*operands: Any, **params: Any) -> Any:
        arrays = _unwrapped(operands)
        out = kernels.common(arrays)(*arrays, **params)
        places = tuple([operand.node if type(operand) is Tensor else None for operand in operands])
        if places.count(None) == len(places):
            return constant_like(out, operands)
        return record(primitive, places, primitive.keep(arrays, out, places), params, out)

    return apply


def constant_like(out: Any, operands: Sequence[Any]) -> Any:
    """A result that is off the tape: a Tensor if an operand was one."""
    return Tensor(out) if any(type(operand) is Tensor for operand in operands) else out


# ---- linear


class Linear(Primitive):
    """A linear function of its first operand; any others, such as the arrays of an index, are constants."""

    allocates = False  # many transposes give views

    def __init__(self, name: str, forward: Forward, transpose: Function, batch: Function | None = None) -> None:
        super().__init__(name, forward)
        self.transpose = transpose
        self.batch_rule = batch

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        if not saved:
            return (self.transpose(g, parents[0], **node.params),)
        return (self.transpose(g, parents[0], *saved[1:], **node.params), *[None] * (len(parents) - 1))

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        return self.apply(tangents[0], *saved[1:], **node.params)

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: dict[str, Any]) -> Any:
        if any(mapped[1:]):
            if self.batch_rule is None:
                raise TypeError(
                    f"{self.name}: operand {mapped.index(True, 1)} differs from example to example, and the primitive is declared "
                    f"without a rule for that; give linear(...) the argument batch"
                )
            return self.batch_rule(operands, mapped, **params)
        return self.apply(*operands, **params)  # it acts on trailing axes


class JointlyLinear(Primitive):
    """A linear function of several operands together."""

    allocates = False

    def __init__(self, name: str, forward: Forward, transpose: Function) -> None:
        super().__init__(name, forward)
        self.transpose = transpose

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        return self.transpose(g, parents, **node.params)  # type: ignore[no-any-return]

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        shapes = node.params["shapes"]
        given, shape = next((t, shape) for t, shape in zip(tangents, shapes, strict=True) if t is not None)
        lead = given.shape[: given.ndim - len(shape)]
        zeros = module_of(unwrap(given)).zeros
        filled = [zeros(lead + s, given.dtype) if t is None else t for t, s in zip(tangents, shapes, strict=True)]
        return self.apply(*filled, **node.params)

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: dict[str, Any]) -> Any:
        size = next(x.shape[0] for x, m in zip(operands, mapped, strict=True) if m)
        repeat = PRIMITIVES["broadcast_to"].apply
        given = zip(operands, ranks, mapped, strict=True)
        return self.apply(*[x if m else repeat(x, rank=r, shape=(size, *x.shape)) for x, r, m in given], **params)


def linear(name: str, forward: Forward, transpose: Function, batch: Function | None = None, doc: str = "") -> Function:
    """Declare a linear primitive.

    Args:
        forward: a function of the array module, the operand, any constant operands, and the parameters (by keyword).
        transpose: a function of the cotangent, the operand's node (for its shape and dtype), the constant operands and the
            same parameters.
        batch: for constant operands that differ from example to example: a function of all operands, of which are mapped (see
            `Primitive.batch`), and of the parameters.
    """
    primitive = Linear(name, forward, transpose, batch)
    kernels = primitive.kernels

    def apply(x: Any, /, *constants: Any, **params: Any) -> Any:
        if constants:
            return with_constants(x, [unwrap(c) for c in constants], params)
        if type(x) is not Tensor:
            return (kernels[type(x)] or kernels[np.ndarray])(x, **params)
        out = kernels[type(x.array)](x.array, **params)
        result = Tensor(out) if x.node is None else record(primitive, (x.node,), (), params, out)
        if getattr(out, "base", out) is not None:
            note_view(x, result)
        return result

    def with_constants(x: Any, constants: list[Any], params: dict[str, Any]) -> Any:
        array = unwrap(x)
        out = kernels.common([array, *constants])(array, *constants, **params)
        if type(x) is not Tensor or x.node is None:
            return constant_like(out, (x,))
        nobody = [None] * len(constants)
        return record(primitive, (x.node, *nobody), (None, *constants), params, out)

    return publish(primitive, apply, doc)


def jointly_linear(name: str, forward: Forward, transpose: Function, doc: str = "") -> Function:
    """Declare a primitive that is linear in several operands together; see `linear`.

    Its functions take a parameter ``shapes``, the operands' shapes, because a constant operand has no node to ask.
    """
    primitive = JointlyLinear(name, forward, transpose)
    return publish(primitive, n_ary(primitive), doc)


# ---- multilinear


class Multilinear(Primitive):
    """A function linear in each operand alone: a product of some form."""

    def __init__(
        self,
        name: str,
        forward: Forward,
        transpose: Function,
        missing: Function,
        allocates: bool,
        batch: Function | None,
        of_stacks: Function | None,
    ) -> None:
        super().__init__(name, forward)
        self.transpose = transpose
        self.missing = missing
        self.allocates = allocates
        self.batch_rule = batch
        self.of_stacks = of_stacks

    def saves(self, active: Sequence[int], count: int = 2) -> tuple[bool, ...]:
        """Which operands to keep when only the ``active`` ones vary: each is needed by the transposes of the others."""
        return (*[set(active) != {i} for i in range(count)], False)

    def keep(self, arrays: Sequence[Any], out: Any, places: Sequence[Node | None]) -> tuple[Any, ...]:
        active = tuple([i for i, place in enumerate(places) if place is not None])
        kept = self.saves(active, len(arrays))
        return tuple([array if needed else None for array, needed in zip(arrays, kept, strict=False)])

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        operands = saved[: len(parents)]
        return [
            None if parent is None else self.transpose(i, g, operands, node, **node.params) for i, parent in enumerate(parents)
        ]

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        terms = []
        product = self.of_stacks or self.apply
        for i, tangent in enumerate(tangents):
            if tangent is not None:
                operands = list(saved[: len(tangents)])
                operands[i] = _align(tangent, node, i, self.missing(i, node))
                terms.append(product(*operands, **node.params))
        return functools.reduce(operator.add, terms)

    def batch(self, operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], params: dict[str, Any]) -> Any:
        if self.batch_rule is not None:
            return self.batch_rule(operands, ranks, mapped, **params)
        return super().batch(operands, ranks, mapped, params)


def multilinear(
    name: str,
    forward: Forward,
    transpose: Function,
    operands: int | None = None,
    missing: Function = _missing,
    allocates: bool = False,
    batch: Function | None = None,
    of_stacks: Function | None = None,
    doc: str = "",
) -> Function:
    """Declare a multilinear primitive.

    Args:
        forward: a function of the array module, the operands and the parameters (by keyword).
        transpose: a function of the operand's position, the cotangent, the list of operands (the one at the position may be
            ``None``), the node, and the parameters. It may leave axes to sum over to the walk's unbroadcasting.
        operands: how many there are; 2, without parameters, is the fast case; ``None`` for any number.
        missing: how many axes fewer than the result an operand has, a function of its position and the node.
        allocates: see `Primitive`; a transpose that may give a view does not.
        batch: what it does with a batch, where its operands do not broadcast or a faster way is known: a function of the
            operands, ranks, mapped (see `Primitive.batch`), and of the parameters.
        of_stacks: a faster way to the same result where an operand has more axes in front, as tangents of a Jacobian have.
    """
    primitive = Multilinear(name, forward, transpose, missing, allocates, batch, of_stacks)
    return publish(primitive, _binary(primitive) if operands == 2 else n_ary(primitive), doc)


# ---- general


class General(Primitive):
    """A function whose rules are declared one by one."""

    def __init__(
        self,
        name: str,
        forward: Forward,
        vjp: Function,
        jvp: Function,
        operands: Sequence[str],
        results: Sequence[str] = ("out",),
    ) -> None:
        super().__init__(name, forward)
        self.vjp_rule, self.jvp_rule, self.operands = vjp, jvp, tuple(operands)
        self.vjp_needs = _positions(vjp, operands, results, skip=1)
        self.jvp_needs = _positions(jvp, operands, results, skip=len(operands))
        needed = {*self.vjp_needs, *self.jvp_needs}
        self.kept = tuple(place in needed for place in range(len(operands) + len(results)))

    def keep(self, arrays: Sequence[Any], out: Any, places: Sequence[Node | None]) -> tuple[Any, ...]:
        return tuple([array if kept else None for array, kept in zip((*arrays, out), self.kept, strict=True)])

    def vjp(self, g: Any, node: Node, saved: Sequence[Any], parents: Sequence[Node | None]) -> Sequence[Any]:
        result = self.vjp_rule(g, *[saved[i] for i in self.vjp_needs], **node.params)
        return result if isinstance(result, tuple) else (result,)

    def jvp(self, tangents: Sequence[Any], node: Node, saved: Sequence[Any]) -> Any:
        aligned = [
            None if tangent is None else _align(tangent, node, i, _missing(i, node)) for i, tangent in enumerate(tangents)
        ]
        return self.jvp_rule(*aligned, *[saved[i] for i in self.jvp_needs], **node.params)


def general(
    name: str, forward: Forward, vjp: Function, jvp: Function, operands: Sequence[str] = ("x",), doc: str = ""
) -> Function:
    """Declare a primitive by its rules.

    Args:
        forward: a function of the array module, the operands and the parameters (by keyword).
        vjp: a function of the cotangent, of the operands and result it names, and of the parameters; returns the operand's
            cotangent, or a tuple of them.
        jvp: a function of one tangent per operand (``None`` for zero), of the operands and result it names, and of the
            parameters.
        operands: what the rules call the operands.
    """
    primitive = General(name, forward, vjp, jvp, operands)
    return publish(primitive, n_ary(primitive), doc)


# ---- no derivative


def nondifferentiable(name: str, forward: Forward | None = None, doc: str = "") -> Function:
    """A function that is constant almost everywhere: on Tensors it gives constants."""
    primitive = Primitive(name, forward or name)
    kernels = primitive.kernels

    def apply(*operands: Any, **params: Any) -> Array:
        arrays = _unwrapped(operands)
        return constant_like(kernels.common(arrays)(*arrays, **params), operands)

    return publish(
        primitive, apply, doc or f"Elementwise ``{name}``, as NumPy's; it has no derivative, so the result is a constant.",
        NONDIFFERENTIABLE,
    )  # fmt: skip
