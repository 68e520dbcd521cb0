"""What a checked function takes and returns: trees of float arrays in, one float array out; and random numbers for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import tree
from ..backend import asnumpy, is_array, module_of
from ..primitives.complex import complex as from_parts
from ..primitives.complex import imag, is_complex, real
from ..primitives.joining import concat
from ..primitives.shaping import ravel
from ..tensor import unwrap
from ..transforms import vjp

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

EPS = float(np.finfo(np.float64).eps)


def is_float_array(value: Any) -> bool:
    """Whether a Tensor, array or number is real floating point: whether it can be differentiated by."""
    value = unwrap(value)
    return isinstance(value, float) or (is_array(value) and value.dtype.kind == "f")


def as_float64(value: Any) -> Any:
    """A float64 copy of a float array or number on the CPU; anything else as it is."""
    return np.array(asnumpy(unwrap(value)), dtype=np.float64) if is_float_array(value) else unwrap(value)


def no_floats(name: str, values: Sequence[Any]) -> TypeError:
    given = ", ".join(describe(value) for value in values) or "nothing at all"
    return TypeError(
        f"{name}: the inputs hold no floats, but {given}; expected at least one float array to differentiate "
        f"by. {next(map(remedy_for, filter(is_complex, values)), 'Make one with np.array(..., dtype=float)')}."
    )


def remedy_for(value: Any) -> str:
    """What to do with an input that cannot be differentiated by."""
    if is_complex(unwrap(value)):
        return "Write f as a function of the real and the imaginary part, ad.complex(x, y)"
    return "Convert it by np.asarray(..., dtype=float)"


def describe(value: Any) -> str:
    """A value's type in an error message: dtype and shape of an array, otherwise the Python type."""
    value = unwrap(value)
    return f"{value.dtype} of shape {value.shape}" if is_array(value) else f"a Python {type(value).__name__}"


def require_callable(name: str, f: Any, argument: str = "f") -> None:
    if not callable(f):
        raise TypeError(
            f"{name}: {argument} is {describe(f)}; expected a function. Pass {argument} itself, not the result of calling it."
        )


def require_finite(name: str, what: str, values: FloatArray) -> None:
    if not np.isfinite(values).all():
        entry = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"{name}: {entry_name(what, values.shape, entry)} is {values.ravel()[entry]}; expected finite "
            "numbers, because nothing can be differentiated there. Choose another point."
        )


def entry_name(name: str, shape: tuple[int, ...], flat: int) -> str:
    """What Python calls an entry of an array, given its position in the flattened array."""
    return f"{name}{[int(k) for k in np.unravel_index(flat, shape)]}" if shape else name


def as_output(name: str, value: Any) -> tuple[FloatArray, float]:
    """The float64 values of what f returned, and the rounding unit it was computed with."""
    if not is_float_array(value):
        remedy = "Return a real floating-point result."
        if value is None or is_complex(value):
            remedy = "Does f lack a return statement?" if value is None else "Return its parts, ad.real(y) and ad.imag(y)."
        raise TypeError(f"{name}: f returned {describe(value)}; expected one float array, number or Tensor. {remedy}")
    array = asnumpy(unwrap(value))
    return np.array(array, dtype=np.float64), max(EPS, float(np.finfo(array.dtype).eps))


def checked_output(name: str, value: Any) -> tuple[FloatArray, float]:
    """As `as_output`; the values must be finite."""
    array, eps = as_output(name, value)
    require_finite(name, "f(inputs)", array)
    return array, eps


_PARTS = (".real", ".imag")


class FloatInputs:
    """A function of trees as a function of the float arrays among their leaves, with one float array as its output.

    A complex leaf counts as two arrays, its real and its imaginary parts. Everything else in the inputs (integers, strings,
    settings) is held fixed.

    Attributes:
        free: positions of the float leaves among all leaves, of complex ones twice.
        paths: what to write after an input's name to get such an array, ``['w'][0]``, ``['z'].imag``.
        names, words: the arrays' names in reports, ``input 0['w'][0]``, and in formulas, ``in0['w'][0]``.
        leaf_words: the same for all leaves, those held fixed included.
        values: the arrays; float16 as float32, because its rounding unit of 1e-3 is too coarse to judge by.
        raised_to_float32: whether there was a float16 leaf.
        flat: whether every input is one real array or number.
        is_ours: whether tinyad differentiates it; a `Pair` is differentiated by somebody's backward.
        own_forward, fresh: see `Pair`.
    """

    is_ours = True
    own_forward = False
    fresh = False

    def __init__(self, name: str, f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
        require_callable(name, f)
        self.f = f
        self.leaves, self.structure = tree.flatten(inputs)
        self.leaves = [unwrap(leaf) for leaf in self.leaves]
        parts = [_PARTS if is_complex(leaf) else ("",) if is_float_array(leaf) else () for leaf in self.leaves]
        self.free = [i for i, found in enumerate(parts) for _ in found]
        if not self.free:
            raise no_floats(name, self.leaves)
        places = [(k, path) for k, value in enumerate(inputs) for path in tree.paths(value)]
        suffixes = [suffix for found in parts for suffix in found]
        self.paths = [places[i][1] + suffix for i, suffix in zip(self.free, suffixes, strict=True)]
        self.names = [f"input {places[i][0]}{path}" for i, path in zip(self.free, self.paths, strict=True)]
        self.leaf_words = [f"in{position}{path}" for position, path in places]
        self.flat = len(self.leaves) == len(inputs) and not any(is_complex(leaf) for leaf in self.leaves)
        self.flat = self.flat and all(child.kind is None for child in self.structure.children)
        self.words = [f"in{places[i][0]}{path}" for i, path in zip(self.free, self.paths, strict=True)]
        given = self._floats()
        self.values = [array.astype(np.float32) if array.dtype == np.float16 else array for array in given]
        self.raised_to_float32 = any(array.dtype == np.float16 for array in given)
        for leaf_name, value in zip(self.names, self.values, strict=True):
            require_finite(name, leaf_name, asnumpy(value))

    def _floats(self) -> list[Any]:
        return [part for leaf in self.leaves for part in _float_parts(leaf)]

    def rebuild(self, floats: Sequence[Any]) -> Any:
        """The inputs with these float arrays."""
        leaves = list(self.leaves)
        if self.flat:
            for i, value in zip(self.free, floats, strict=True):
                leaves[i] = value
            return tuple(leaves)
        given = iter(floats)
        for i in dict.fromkeys(self.free):
            leaves[i] = from_parts(next(given), next(given)) if is_complex(leaves[i]) else next(given)
        return tree.unflatten(self.structure, leaves)

    def __call__(self, *floats: Any) -> Any:
        """f there. If it returns several float arrays, or complex numbers: their entries, one array after the other."""
        out = self.f(*self.rebuild(floats))
        if is_float_array(out):
            return out
        found = [part for leaf in tree.leaves(out) for part in _real_parts(leaf)]
        return concat([ravel(leaf) for leaf in found]) if len(found) > 1 else found[0] if found else out

    def pull(
        self, *floats: Any, run: tuple[Any, Callable[[Any], Sequence[Any]]] | None = None
    ) -> tuple[Any, Callable[[Any], Sequence[Any]]]:
        """The value there and the reverse derivative: from a cotangent of the value to one for each float array.

        ``run`` is what `run` gives there, if it is known already.
        """
        return run or vjp(self, *floats)

    def run(self, *floats: Any) -> tuple[Any, Callable[[Any], Sequence[Any]]]:
        """The same, as the rule under test returns it."""
        return self.pull(*floats)

    def in_float64(self) -> list[Any]:
        """Copies of the float leaves in float64, where they were."""
        return [module_of(value).array(value, dtype=np.float64) for value in self.values]

    def at(self, values: Sequence[Any]) -> Self:
        """The same function at another point, given by its float arrays."""
        moved = copy.copy(self)
        moved.values = list(values)
        return moved

    def of_leaves(self, leaves: Sequence[Any]) -> Self:
        """The same function at another point, given by all leaves of the inputs, those held fixed included."""
        moved = copy.copy(self)
        moved.leaves = list(leaves)
        moved.values = moved._floats()
        return moved

    def raised_to_float64(self) -> Self:
        """The same function at the same point, in float64."""
        return self.at(self.in_float64())

    @property
    def eps(self) -> float:
        """The largest rounding unit among the inputs."""
        return max(float(np.finfo(value.dtype).eps) for value in self.values)


def _real_parts(leaf: Any) -> list[Any]:
    """What there is to differentiate in a leaf of an output: itself, two parts, or nothing."""
    if is_complex(leaf):
        return [real(leaf), imag(leaf)]
    return [leaf] if is_float_array(leaf) else []


def _float_parts(leaf: Any) -> list[Any]:
    """The same of an input, as arrays of their own."""
    return [module_of(part).array(part) if is_complex(leaf) else module_of(part).asarray(part) for part in _real_parts(leaf)]


# ---- random numbers


def signed(random: np.random.Generator, size: int) -> FloatArray:
    """Random numbers of either sign, none so small that an error hides in it: between 1/2 and 3/2 without it.

    Ones would not do: with them the checks of well-known courses pass layer normalisation without the
    derivative of the variance, and a concatenation whose parts are exchanged.
    """
    return np.asarray(random.uniform(0.5, 1.5, size) * random.choice([-1.0, 1.0], size))


def random_like(random: np.random.Generator, array: Any) -> Any:
    """`signed` random numbers in the shape, dtype and place of an array."""
    array = unwrap(array)
    module = module_of(array)
    numbers = signed(random, np.size(array)).reshape(np.shape(array))
    return module.asarray(numbers, dtype=getattr(array, "dtype", None))
