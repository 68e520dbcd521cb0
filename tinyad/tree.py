"""Nested containers of arrays as one argument (pytrees).

A tree is an array, or a tuple, list, dict, named tuple or dataclass of trees. Its *leaves* are the arrays, Tensors and Python
numbers in it, in order; what remains is its *structure*. ``None`` is a tree without leaves.

A dataclass is a model: the fields that hold arrays (directly, or in containers or dataclasses) are its leaves, and every other
field (an activation, a width, a step size given as a Python number) is part of its structure. A field that holds arrays but
shall not be a leaf is declared with ``field(metadata={"static": True})``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .backend import Array, common_module, is_array
from .tensor import Tensor, unwrap

__all__ = [
    "Structure", "children", "container", "flatten", "is_fixed", "leaves", "map", "map_static", "paths", "ravel", "same_static",
    "same_structure", "unflatten",
]  # fmt: skip

_LEAVES = (Tensor, bool, int, float, complex)


@dataclasses.dataclass(frozen=True, slots=True)
class Structure:
    """What remains of a tree without its leaves. Compares equal for trees that differ in their leaves alone.

    ``kind`` is the container's type, ``keys`` names the children as Python does (indices, dict keys, field names),
    ``static`` holds what is no leaf: a dataclass's other fields, or the value itself where it is no container.
    """

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()
    static: _Static | None = None

    @property
    def size(self) -> int:
        """Number of leaves."""
        return 1 if self.kind is None else sum(child.size for child in self.children)

    def __str__(self) -> str:
        if self.kind is None:
            return "*"
        if self.kind is _Fixed:
            return repr(self.static.value) if self.static else "None"
        inside = [f"{key!s}: {child}" for key, child in zip(self.keys, self.children, strict=True)]
        return f"{self.kind.__name__}({', '.join(inside)})"


class _Fixed:
    """The kind of a value that is neither a leaf nor a container."""


class _Static:
    """A static value. Arrays compare by identity, everything else by `==`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Static):
            return NotImplemented
        mine, theirs = self.value, other.value
        if isinstance(mine, tuple) and isinstance(theirs, tuple):
            return len(mine) == len(theirs) and all(_Static(a) == _Static(b) for a, b in zip(mine, theirs, strict=True))
        return mine is theirs or (not is_array(mine) and not is_array(theirs) and bool(mine == theirs))

    def __hash__(self) -> int:
        return hash(type(self.value))


def same_static(mine: Any, theirs: Any) -> bool:
    """Whether two static values are equal; arrays are if they are the same object."""
    return _Static(mine) == _Static(theirs)


def is_fixed(structure: Structure) -> bool:
    """Whether a structure is a value that is neither a leaf nor a container."""
    return structure.kind is _Fixed


_LEAF = Structure(None)


def is_leaf(value: Any) -> bool:
    """Whether ``value`` is a leaf by itself."""
    return is_array(value) or isinstance(value, _LEAVES)


def _holds_array(value: Any) -> bool:
    if isinstance(value, Tensor) or is_array(value):
        return True
    if isinstance(value, (list, tuple)):
        return any(_holds_array(item) for item in value)
    if isinstance(value, dict):
        return any(_holds_array(item) for item in value.values())
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


@functools.cache  # a model is taken apart several times a training step, and its class never changes
def _fields(kind: type) -> tuple[tuple[str, bool], ...]:
    """The names of a dataclass's fields, and whether each is declared static."""
    return tuple((field.name, field.metadata.get("static", False)) for field in dataclasses.fields(kind))


def _split(tree: Any) -> tuple[tuple[Any, ...], list[Any], _Static | None]:
    """The keys, children and static rest of a container."""
    if isinstance(tree, (list, tuple)):
        keys = getattr(tree, "_fields", None) or range(len(tree))
        return tuple(keys), list(tree), None
    if isinstance(tree, dict):
        keys = tuple(sorted(tree, key=str))  # by key, so that the order of insertion does not matter
        return keys, [tree[key] for key in keys], None
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names, values, rest = [], [], []
        for name, static in _fields(type(tree)):
            value = getattr(tree, name)
            if static or not _holds_array(value):
                rest.append((name, value))
            else:
                names.append(name)
                values.append(value)
        return tuple(names), values, _Static(tuple(rest))
    return (), [], _Static(tree)


def children(tree: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """The keys and children of a container."""
    keys, found, _ = _split(tree)
    return keys, found


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree, in order, and its structure.

    >>> from tinyad import tree
    >>> leaves, structure = tree.flatten({"w": [1.0, 2.0], "b": None})
    >>> leaves
    [1.0, 2.0]
    >>> tree.unflatten(structure, [10.0, 20.0])
    {'b': None, 'w': [10.0, 20.0]}
    """
    found: list[Any] = []
    return found, _flatten(tree, found)


def _flatten(tree: Any, found: list[Any]) -> Structure:
    if is_leaf(tree):
        found.append(tree)
        return _LEAF
    keys, children, static = _split(tree)
    kind = _Fixed if static is not None and not dataclasses.is_dataclass(tree) else type(tree)
    return Structure(kind, keys, tuple([_flatten(child, found) for child in children]), static)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, in order."""
    return flatten(tree)[0]


def unflatten(structure: Structure, leaves: list[Any] | Iterator[Any]) -> Any:
    """The tree with this structure and these leaves. A dataclass is rebuilt without running its ``__init__``."""
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    if structure.kind is None:
        return next(leaves)
    return container(structure, [_unflatten(child, leaves) for child in structure.children])


def container(structure: Structure, children: list[Any]) -> Any:
    """The outermost container of a tree, with these children; a fixed value as it is."""
    kind = structure.kind
    assert kind is not None
    if kind is _Fixed:
        return structure.static.value if structure.static else None
    if kind is list or kind is tuple:
        return kind(children)
    if issubclass(kind, dict):
        mapping = kind.__new__(kind)  # a defaultdict's constructor, for one, takes something else
        mapping.update(zip(structure.keys, children, strict=True))
        return mapping
    if hasattr(kind, "_fields"):
        return kind(*children)
    if issubclass(kind, (list, tuple)):
        return kind(children)
    model = object.__new__(kind)
    for name, value in (*zip(structure.keys, children, strict=True), *(structure.static.value if structure.static else ())):
        object.__setattr__(model, name, value)
    return model


def map_static(function: Callable[[Any], Any], structure: Structure) -> Structure:
    """The structure with ``function`` applied to each static value."""
    static = structure.static
    if static is not None and structure.kind is not _Fixed:
        static = _Static(tuple([(name, function(value)) for name, value in static.value]))
    elif static is not None:
        static = _Static(function(static.value))
    children = tuple([map_static(function, child) for child in structure.children])
    return Structure(structure.kind, structure.keys, children, static)


def paths(tree: Any) -> list[str]:
    """How one would write each leaf in Python, after the tree's own name: ``['w'][0]``, ``.layers[2].bias``."""
    return list(_walk_paths(flatten(tree)[1], ""))


def _walk_paths(structure: Structure, path: str) -> Iterator[str]:
    if structure.kind is None:
        yield path
    for key, child in zip(structure.keys, structure.children, strict=True):
        by_name = dataclasses.is_dataclass(structure.kind) or hasattr(structure.kind, "_fields")
        yield from _walk_paths(child, f"{path}.{key}" if by_name else f"{path}[{key!r}]")


def same_structure(name: str, expected: Structure, tree: Any, expected_name: str) -> list[Any]:
    """The leaves of ``tree``, which must have the structure ``expected``.

    Raises:
        ValueError: naming the first place where the two differ. ``name`` and ``expected_name`` say what they are.
    """
    found, structure = flatten(tree)
    if structure != expected:
        where, ours, theirs = _first_difference(expected, structure, "")
        raise ValueError(
            f"{name}: structure differs from that of {expected_name} at `{expected_name}{where}`: expected {ours}, got {theirs}. "
            f"Build {name} with the same containers, keys and static fields, as ad.tree.map over {expected_name} does"
        )
    return found


def _first_difference(expected: Structure, got: Structure, path: str) -> tuple[str, str, str]:
    if (expected.kind, expected.keys, expected.static) == (got.kind, got.keys, got.static):
        by_name = dataclasses.is_dataclass(expected.kind) or hasattr(expected.kind, "_fields")
        for key, ours, theirs in zip(expected.keys, expected.children, got.children, strict=True):
            if ours != theirs:
                return _first_difference(ours, theirs, f"{path}.{key}" if by_name else f"{path}[{key!r}]")
    return path, str(expected), str(got)


def map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply ``function`` leaf by leaf to one or several trees of the same structure.

    Raises:
        ValueError: if the trees' structures differ, naming the place.

    >>> from tinyad import tree
    >>> tree.map(lambda p, g: p - 0.5 * g, {"w": 3.0}, {"w": 2.0})
    {'w': 2.0}
    """
    found, structure = flatten(tree)
    others = [same_structure(f"tree {i + 2}", structure, other, "tree 1") for i, other in enumerate(rest)]
    return unflatten(structure, [function(*values) for values in zip(found, *others, strict=True)])


def ravel(tree: Any) -> tuple[Array, Callable[[Array], Any]]:
    """All leaves of a tree as one vector, and the function that turns such a vector back into the tree.

    Returns:
        The vector, of shape (total number of elements,), in the leaves' common dtype, and ``unravel``; each leaf comes
        back with its own shape and dtype.

    >>> import numpy as np
    >>> from tinyad import tree
    >>> vector, unravel = tree.ravel({"w": np.ones((2, 2)), "b": np.zeros(1)})
    >>> vector
    array([0., 1., 1., 1., 1.])
    >>> unravel(2 * vector)["w"].shape
    (2, 2)
    """
    found, structure = flatten(tree)
    module = common_module(unwrap(leaf) for leaf in found)
    arrays = [leaf if isinstance(leaf, Tensor) else module.asarray(leaf) for leaf in found]
    # NumPy's own function also joins Tensors, by its protocol, and keeps their derivative
    join = np.concatenate if any(isinstance(array, Tensor) for array in arrays) else module.concatenate
    vector = join([array.ravel() for array in arrays]) if arrays else module.zeros(0)

    def unravel(flat: Array) -> Any:
        if not hasattr(flat, "shape"):
            raise TypeError(f"unravel: got a {type(flat).__name__}; expected an array, a vector of shape {vector.shape}")
        if flat.shape != vector.shape:
            raise ValueError(f"unravel: expected a vector of shape {vector.shape}, got {flat.shape}")
        parts, start = [], 0
        for array in arrays:
            part = flat[start : start + array.size].reshape(array.shape)
            parts.append(part if part.dtype == array.dtype else part.astype(array.dtype))
            start += array.size
        return unflatten(structure, parts)

    return vector, unravel
