"""The transforms users call: from a function to its derivatives.

All of them evaluate the function once on fresh leaves, which leaves a tape, and walk over that tape. Arguments and results may
be pytrees (see `tinyad.tree`). A transform gives back what it was given: plain arrays for plain arrays, Tensors for Tensors;
and Tensors, too, when the function uses a variable of a surrounding derivative, so that transforms nest to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import tree
from .backend import Array, common_module, module_of
from .contexts import is_paused, recording
from .forward import forward
from .holomorphic import walk_for
from .kinds import PRIMITIVES, Primitive
from .reverse import collect, depending, reverse
from .tape import Node, Variable, variable
from .tensor import Tensor, unwrap

__all__ = [
    "Linearization", "backward", "gnvp", "grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "value_and_grad", "vjp",
]  # fmt: skip

Function = Callable[..., Any]


# ---- evaluating a function on fresh leaves


class _Record:
    """A function's evaluation on fresh leaves: what every transform starts from.

    Attributes:
        leaves: the nodes of the leaves of the arguments differentiated.
        structures: those arguments' structures.
        out: what the function returned.
    """

    def __init__(self, name: str, f: Function, args: Sequence[Any], argnums: Sequence[int], kwargs: dict[str, Any]) -> None:
        self.name = name
        self.leaves: list[Node] = []
        self.structures: list[tree.Structure] = []
        self.values: list[Array] = []
        self.given_tensors = False
        self.paused = is_paused()
        _check_callable(name, f)
        fresh = list(args)
        for position in argnums:
            fresh[position] = self._open(args, position)
        if (
            argnums and not self.leaves
        ):  # one without arrays beside one with some is differentiated by nothing, and gets its like
            raise TypeError(f"{name}: argument {argnums[0]} is {args[argnums[0]]!r}, which holds no array to differentiate by")
        with recording():
            self.out = f(*fresh, **kwargs)

    def _open(self, args: Sequence[Any], position: int) -> Any:
        argument = args[position]
        values, structure = tree.flatten(argument)
        if any(not hasattr(value, "dtype") for value in values):  # Python numbers go where the arrays beside them are
            module = common_module(unwrap(leaf) for leaf in tree.leaves(args))
            values = [value if hasattr(value, "dtype") else module.asarray(value) for value in values]
        opened = [_fresh(value, self.paused) for value in values]
        for k, tensor in enumerate(opened):
            if tensor.dtype.kind not in "fc":
                raise TypeError(
                    f"{self.name}: argument {position}{tree.paths(argument)[k]} has dtype {tensor.dtype}; only floating-point "
                    f"numbers can be differentiated by. Convert it, for instance with .astype(float), write numbers with a "
                    f"decimal point, or choose other argnums"
                )
        self.given_tensors = self.given_tensors or any(type(value) is Tensor for value in values)
        self.structures.append(structure)
        self.leaves += [tensor.node for tensor in opened]  # type: ignore[misc]
        self.values += [tensor.array for tensor in opened]
        return tree.unflatten(structure, opened)

    def per_argument(self, leaves: Sequence[Any]) -> list[Any]:
        """Leaves of all differentiated arguments, put back into the arguments' structures."""
        parts, start = [], 0
        for structure in self.structures:
            parts.append(tree.unflatten(structure, list(leaves[start : start + structure.size])))
            start += structure.size
        return parts

    def released(self, value: Any) -> Any:
        """A result for the user: without its place on the tape, unless it reaches leaves that are not ours."""
        if not isinstance(value, Tensor):
            return value
        node = value.node
        if node is not None and not self.paused and collect([node], self.leaves)[1]:
            return value
        return Tensor(value.array) if self.given_tensors else value.array

    def pulled(self, outputs: Sequence[Any], cotangents: Sequence[Any], whole: Any) -> list[Any]:
        """A reverse walk from all outputs on the tape, given a cotangent for each leaf of the tree ``whole``."""
        pairs = [
            (y.node, _like("cotangent", g, y.array, whole, k))
            for k, (y, g) in enumerate(zip(outputs, cotangents, strict=True))
            if _on_tape(y)
        ]
        results, foreign = reverse([node for node, _ in pairs], [g for _, g in pairs], self.leaves)
        return self.per_argument(self.derivatives(results, foreign))

    def derivatives(self, results: Sequence[Any], foreign: Sequence[Node]) -> list[Any]:
        """One derivative per leaf for the user: zeros for ``None``; see `derivative`."""
        filled = [
            module_of(value).zeros(value.shape, value.dtype) if g is None else g
            for g, value in zip(results, self.values, strict=True)
        ]
        return [self.derivative(g, foreign) for g in filled]

    def derivative(self, value: Any, foreign: Sequence[Node]) -> Any:
        """A derivative for the user: a Tensor where Tensors were given, or if a surrounding derivative may ask for more.

        It is tied to the foreign nodes even if it is the same for all their values, so that the surrounding derivative finds
        its variable, and zero, instead of nothing.
        """
        if self.paused:
            value = unwrap(value)
        elif foreign:
            array = unwrap(value)
            return Tensor(array, Node(_tied, (value.node if type(value) is Tensor else None, *foreign), (), {}, array))
        return Tensor(value) if self.given_tensors and type(value) is not Tensor else value


class _Tied(Primitive):
    """The identity of its first operand, which may be a constant; the others do not matter to its value."""

    allocates = False

    def __init__(self) -> None:
        self.name = "tied"

    def vjp(self, g: Any, node: Node, saved: Any, parents: Any) -> Sequence[Any]:
        return [g, *[None] * (len(parents) - 1)]

    def jvp(self, tangents: Any, node: Node, saved: Any) -> Any:
        return tangents[0]


_tied = _Tied()


def _fresh(value: Any, paused: bool) -> Tensor:
    """A fresh leaf for a value: an identity on the tape if the value has a place there already."""
    if type(value) is Tensor and value.node is not None and not paused:
        return Tensor(value.array, Node(PRIMITIVES["positive"], (value.node,), (None, None), {}, value.array))
    return variable(unwrap(value))


def _check_callable(name: str, f: Any) -> None:
    if not callable(f):
        raise TypeError(f"{name}: expected a function, got a {type(f).__name__}; call it as ad.{name}(f)(x)")


def _positions(name: str, argnums: int | Sequence[int], count: int) -> tuple[int, ...]:
    positions: Any = (argnums,) if hasattr(argnums, "__index__") else argnums
    if not isinstance(positions, (tuple, list)) or not all(hasattr(p, "__index__") for p in positions):
        raise TypeError(f"{name}: argnums={argnums!r}; expected the position of an argument, an int, or a tuple of ints")
    if not positions:
        raise ValueError(f"{name}: argnums={argnums!r}; expected at least one position")
    for position in positions:
        if not -count <= position < count:
            raise ValueError(f"{name}: argnums={argnums!r}, but the function was called with {count} positional arguments")
    found = tuple([position % count for position in positions])
    if len(set(found)) != len(found):
        raise ValueError(f"{name}: argnums={argnums!r} names an argument twice")
    return found


def _output_node(name: str, out: Any) -> Node:
    """The place of an output that must depend on the input."""
    if type(out) is Tensor and out.node is not None:
        return out.node
    kind = "a constant Tensor" if type(out) is Tensor else f"{type(out).__name__}"
    raise ValueError(
        f"{name}: the output does not depend on the input: the function returned {kind} without a place on the tape. "
        f"Compute it from the arguments with tinyad's or NumPy's functions; float(x), x.array, np.asarray and ad.no_grad leave "
        f"the tape"
    )


# ---- reverse mode


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that evaluates ``f`` and its gradient.

    Args:
        f: a function with a scalar output.
        argnums: which positional arguments to differentiate by; several give a tuple of gradients.
        has_aux: whether ``f`` returns ``(value, aux)``, of which only the value is differentiated.

    Returns:
        A function of the same arguments that returns ``(value, gradient)``, or ``((value, aux), gradient)``. The gradient has
        the structure, shapes and dtypes of the argument.

    Raises:
        ValueError: if the output is no scalar or does not depend on the arguments.
        TypeError: if an argument to differentiate by holds integers, or nothing.

    >>> import numpy as np, tinyad as ad
    >>> loss = lambda p, x: ad.sum((x @ p["w"] + p["b"]) ** 2)
    >>> value, g = ad.value_and_grad(loss)({"w": np.ones(2), "b": 1.0}, np.eye(2))
    >>> float(value), g["w"], float(g["b"])
    (8.0, array([4., 4.]), 8.0)
    """

    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        record = _Record("grad", f, args, _positions("grad", argnums, len(args)), kwargs)
        out, aux = _split_aux("grad", record.out) if has_aux else (record.out, None)
        node = _scalar_node(out)
        seed = module_of(out.array).ones((), node.dtype)
        cotangents, foreign = _reverse_from(node, seed, record.leaves)
        value = record.released(out) if foreign or record.given_tensors else out.array
        parts = record.per_argument(record.derivatives(cotangents, foreign))
        result = (value, tree.map(record.released, aux)) if has_aux else value
        return result, (parts[0] if hasattr(argnums, "__index__") else tuple(parts))

    return _named(value_and_gradient, f)


def _named(derivative: Function, f: Function) -> Function:
    """A derivative that shows the signature of its function, and whose name says what it is."""
    derivative.__wrapped__ = f  # type: ignore[attr-defined]
    derivative.__name__ = derivative.__qualname__ = f"{derivative.__name__}_of_{getattr(f, '__name__', 'f').strip('<>')}"
    return derivative


def _split_aux(name: str, out: Any) -> tuple[Any, Any]:
    if not (isinstance(out, tuple) and len(out) == 2):
        raise TypeError(f"{name}: has_aux=True, but the function returned {type(out).__name__}; expected (value, aux)")
    return out


def _scalar_node(out: Any) -> Node:
    if not tree.is_leaf(out):
        what, remedy = (
            f"a {type(out).__name__}",
            "For (value, aux) pass has_aux=True; for several outputs use ad.vjp or ad.jacobian",
        )
        if out is None:
            what, remedy = "None", "Perhaps it lacks a return"
        raise TypeError(f"grad: the function returned {what}; expected a scalar. {remedy}")
    shape = getattr(out, "shape", ())
    if shape != ():
        raise ValueError(
            f"grad: the function returned an array of shape {shape}; expected a scalar. Sum it with ad.sum, or use ad.jacobian "
            f"for all derivatives or ad.vjp for a weighted sum of them"
        )
    node = _output_node("grad", out)
    if node.dtype.kind == "c":
        raise TypeError(
            "grad: the function returned a complex number; expected a real one. For the derivative of a holomorphic function use "
            "ad.jacobian; else take ad.real or ad.imag of the result, or ad.vjp for a weighted sum of both"
        )
    return node


def _reverse_from(node: Node, seed: Any, leaves: Sequence[Node]) -> tuple[list[Any], list[Node]]:
    """A reverse walk from one output, which must depend on a leaf (though its derivative may be zero)."""
    results, foreign = reverse([node], [seed], leaves)
    if all(g is None for g in results) and not depending([*collect([node], leaves)[0], node], set(leaves)):
        raise ValueError(
            "grad: the output does not depend on the input, only on other Tensors. Differentiate by the argument the function "
            "uses (argnums), or use ad.vjp where zero is meant"
        )
    return results, foreign


def grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The gradient of ``f``, a function of the same arguments; see `value_and_grad`.

    With ``has_aux=True`` it returns ``(gradient, aux)``.

    >>> import tinyad as ad
    >>> ad.grad(lambda x: x * ad.grad(lambda y: x * y)(x))(3.0)
    np.float64(6.0)
    """
    _check_callable("grad", f)
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return _named(gradient, f)


def vjp(f: Function, *args: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Evaluate ``f`` and return its pullback, the transpose of its Jacobian as a function.

    Returns:
        ``(out, pullback)``, or ``(out, pullback, aux)``. ``pullback(cotangent)`` takes a tree like ``out`` and returns a tuple
        with a tree like each argument. It may be called any number of times.

    >>> import numpy as np, tinyad as ad
    >>> y, pullback = ad.vjp(lambda x: ad.sin(x), np.zeros(2))
    >>> pullback(np.array([1.0, 2.0]))
    (array([1., 2.]),)
    """
    record = _Record("vjp", f, args, range(len(args)), {})
    out, aux = _split_aux("vjp", record.out) if has_aux else (record.out, None)
    outputs, structure = tree.flatten(out)

    def pullback(cotangent: Any) -> Any:
        given = tree.same_structure("cotangent", structure, cotangent, "output")
        return tuple(record.pulled(outputs, given, cotangent))

    primal = tree.unflatten(structure, [record.released(y) for y in outputs])
    return (primal, pullback, tree.map(record.released, aux)) if has_aux else (primal, pullback)


def _like(name: str, value: Any, array: Array, whole: Any = None, k: int = 0) -> Any:
    """``value``, leaf ``k`` of the tree ``whole``, as a cotangent or tangent of ``array``: same shape, same dtype."""
    shape, dtype = getattr(value, "shape", ()), getattr(value, "dtype", None)
    if shape != array.shape:
        place = tree.paths(whole)[k] if whole is not None else ""
        raise ValueError(f"{name}{place}: shape {shape} given, but {array.shape} expected, the shape of what it belongs to")
    if (dtype.kind == "c" if dtype is not None else isinstance(value, complex)) and array.dtype.kind == "f":
        raise TypeError(f"{name}: complex numbers given, but what it belongs to is real; pass real ones, such as ad.real of it")
    if dtype is None:
        return module_of(array).asarray(value, dtype=array.dtype)
    return value if dtype == array.dtype else value.astype(array.dtype)


def backward(y: Tensor, gradient: Any = None) -> None:
    """Add the derivative of ``y`` to ``grad`` of every variable (`tinyad.tensor`) that it depends on.

    It may be called again, and adds again. The tape lives as long as ``y`` does.

    Args:
        y: a recorded Tensor; a scalar unless ``gradient`` is given.
        gradient: the cotangent of ``y``, of its shape.

    Raises:
        ValueError: if ``y`` is no scalar and no ``gradient`` is given, or if it is not recorded.
    """
    node = y.node
    if node is None:
        raise ValueError(
            "backward: y is a constant, not the result of operations on a variable. Make variables with ad.tensor(...), and "
            "compute y outside ad.no_grad"
        )
    if gradient is None:
        if node.dtype.kind == "c":
            raise TypeError("backward: y is complex; expected a real number. Take its real part first, or pass gradient=")
        if y.shape != ():
            raise ValueError(
                f"backward: y has shape {y.shape}; expected a scalar. Sum it first, or pass gradient=, an array of that shape"
            )
        gradient = module_of(y.array).ones((), y.dtype)
    variables = _variables(node)
    if not variables:
        raise ValueError("backward: y does not depend on a variable made by ad.tensor(...)")
    results, _ = reverse([node], [unwrap(_like("gradient", gradient, y.array))], variables, recorded=False)
    for leaf, g in zip(variables, results, strict=True):
        if g is not None:
            leaf.grad = g if leaf.grad is None else leaf.grad + g


def _variables(output: Node) -> list[Variable]:
    seen, stack, found = {output}, [output], []
    while stack:
        node = stack.pop()
        if isinstance(node, Variable):
            found.append(node)
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return found


Tensor.backward = backward


# ---- forward mode


class Linearization:
    """A function's derivative at a point, as a linear map that can be applied many times; made by `linearize`.

    Attributes:
        value: the function's value at the point.
    """

    def __init__(self, record: _Record) -> None:
        self._record = record
        self._outputs, self._structure = tree.flatten(record.out)
        self.value = tree.unflatten(self._structure, [record.released(y) for y in self._outputs])

    def __call__(self, *tangents: Any) -> Any:
        """The derivative in a direction: a tree like the argument (one each, for several) gives a tree like ``value``."""
        record = self._record
        if len(tangents) != len(record.structures):
            raise ValueError(f"{record.name}: got {len(tangents)} tangents for {len(record.structures)} arguments")
        directions: list[Any] = []
        for i, (structure, tangent) in enumerate(zip(record.structures, tangents, strict=True)):
            for k, t in enumerate(tree.same_structure(f"tangent {i}", structure, tangent, f"argument {i}")):
                directions.append(_like(f"tangent {i}", t, record.values[len(directions)], tangent, k))
        return tree.unflatten(self._structure, self._push(directions))

    def _push(self, directions: Sequence[Any], lead: tuple[int, ...] = ()) -> list[Any]:
        nodes = [y.node for y in self._outputs if _on_tape(y)]
        found, foreign = forward(nodes, self._record.leaves, directions, len(lead))
        tangents = iter(found)
        filled = [self._zero_for_none(next(tangents) if _on_tape(y) else None, y, lead) for y in self._outputs]
        return [self._record.derivative(tangent, foreign) for tangent in filled]

    def _zero_for_none(self, tangent: Any, y: Any, lead: tuple[int, ...]) -> Any:
        array = unwrap(y)
        if tangent is not None:
            return tangent
        module = common_module((array, *self._record.values))
        return module.zeros(lead + getattr(array, "shape", ()), getattr(array, "dtype", None))

    def transpose(self, cotangent: Any) -> Any:
        """The transposed map, as the pullback of `vjp` for one argument."""
        given = tree.same_structure("cotangent", self._structure, cotangent, "output")
        parts = self._record.pulled(self._outputs, given, cotangent)
        return parts[0] if len(parts) == 1 else tuple(parts)


def _on_tape(y: Any) -> bool:
    return type(y) is Tensor and y.node is not None


def linearize(f: Function, *args: Any) -> Linearization:
    """Evaluate ``f`` once and return its derivative there as a linear map.

    >>> import numpy as np, tinyad as ad
    >>> lin = ad.linearize(lambda x: x * x, np.array([1.0, 2.0]))
    >>> lin.value
    array([1., 4.])
    >>> lin(np.array([1.0, 0.0])), lin.transpose(np.array([1.0, 1.0]))
    (array([2., 0.]), array([2., 4.]))
    """
    return Linearization(_Record("linearize", f, args, range(len(args)), {}))


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Evaluate ``f`` and its derivative in one direction.

    Args:
        primals: the arguments, a tuple.
        tangents: the direction, a tuple with a tree like each argument.

    Returns:
        ``(out, tangent of out)``.

    >>> import tinyad as ad
    >>> ad.jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 0.0))
    (np.float64(6.0), np.float64(3.0))
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError("jvp: primals and tangents are tuples with an entry per argument; write (x,) for a single one")
    record = _Record("jvp", f, tuple(primals), range(len(primals)), {})
    lin = Linearization(record)
    return lin.value, lin(*tangents)


# ---- whole matrices


def jacobian(f: Function, argnums: int | Sequence[int] = 0, mode: str | None = None) -> Function:
    """The Jacobian of ``f``: all derivatives of all outputs.

    One walk carries all rows (``mode="reverse"``) or all columns (``"forward"``) along a leading axis, without a Python loop;
    by default whichever are fewer.

    Returns:
        A function of the arguments of ``f``. For arrays the result has shape ``output.shape + input.shape``; for trees it is
        a tree like the output, whose leaves are trees like the argument (a tuple of them for several ``argnums``).

    Raises:
        TypeError: if the output is complex, but no holomorphic function of a complex input; see `tinyad.holomorphic`.

    >>> import numpy as np, tinyad as ad
    >>> ad.jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    if mode not in (None, "reverse", "forward"):
        raise ValueError(f"jacobian: mode={mode!r}; expected 'reverse', 'forward' or None")

    def all_derivatives(*args: Any, **kwargs: Any) -> Any:
        record = _Record("jacobian", f, args, _positions("jacobian", argnums, len(args)), kwargs)
        found, structure = tree.flatten(record.out)
        if not any(_on_tape(y) for y in found):
            _output_node("jacobian", found[0] if found else None)
        outputs = [y if type(y) is Tensor else Tensor(module_of(y).asarray(y)) for y in found]  # constants: rows of zeros
        rows = sum(y.size for y in outputs)
        columns = sum(value.size for value in record.values)
        walk = walk_for(mode, record.leaves, outputs)
        by_rows = walk == "reverse" or (walk is None and rows <= columns)
        blocks = _rows(record, outputs) if by_rows else _columns(record, outputs)
        parts = [record.per_argument(row) for row in blocks]
        return tree.unflatten(structure, [part[0] if hasattr(argnums, "__index__") else tuple(part) for part in parts])

    all_derivatives.__name__ = "jacobian"
    return _named(all_derivatives, f)


def _basis(array: Array) -> Array:
    """All unit arrays of the shape of ``array``, along a leading axis."""
    return module_of(array).eye(array.size, dtype=array.dtype).reshape((array.size, *array.shape))


def _rows(record: _Record, outputs: Sequence[Tensor]) -> list[list[Any]]:
    blocks = []
    for y in outputs:
        found: list[Any] = [None] * len(record.leaves)
        foreign: list[Node] = []
        if y.node is not None:
            found, foreign = reverse([y.node], [_basis(y.array)], record.leaves, lead=1)
        shapes = [(*y.shape, *value.shape) for value in record.values]
        filled = [
            module_of(value).zeros(shape, value.dtype) if g is None else g.reshape(shape)
            for g, shape, value in zip(found, shapes, record.values, strict=True)
        ]
        blocks.append([record.derivative(block, foreign) for block in filled])
    return blocks


def _columns(record: _Record, outputs: Sequence[Tensor]) -> list[list[Any]]:
    lin = Linearization(record)
    blocks: list[list[Any]] = [[] for _ in outputs]
    for k, value in enumerate(record.values):
        directions = [_basis(value) if i == k else None for i in range(len(record.values))]
        for block, y, tangent in zip(blocks, outputs, lin._push(directions, (value.size,)), strict=True):
            last = tangent.transpose((*range(1, len(y.shape) + 1), 0))  # the axis of columns
            block.append(last.reshape(y.shape + value.shape))
    return blocks


def hessian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The Hessian of a scalar function: a forward walk over the reverse walk, all columns at once.

    For an array argument the result has shape ``x.shape + x.shape``; for a tree it is a tree of trees.

    >>> import numpy as np, tinyad as ad
    >>> ad.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, mode="forward")


# ---- products with second derivatives


def hvp(f: Function, x: Any, v: Any) -> Any:
    """The Hessian of a scalar function at ``x`` times ``v``, for about the price of two gradients.

    Source: B. Pearlmutter, "Fast exact multiplication by the Hessian", 1994.

    >>> import numpy as np, tinyad as ad
    >>> ad.hvp(lambda x: x[0] ** 2 * x[1], np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([4., 2.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def gnvp(model: Function, loss: Function, x: Any, v: Any) -> Any:
    """The Gauss-Newton matrix ``J' H J`` of ``loss(model(x))`` times ``v``: ``J`` is the model's Jacobian, ``H`` the Hessian of
    the loss at the model's output.

    Unlike the Hessian it is positive semidefinite whenever the loss is convex.

    Source: N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002.

    >>> import numpy as np, tinyad as ad
    >>> ad.gnvp(lambda x: x * x, lambda y: 0.5 * ad.sum(y * y), np.array([1.0, 2.0]), np.ones(2))
    array([ 4., 16.])
    """
    lin = linearize(model, x)
    return lin.transpose(hvp(loss, lin.value, lin(v)))
