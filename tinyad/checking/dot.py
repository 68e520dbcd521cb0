"""The dot test: whether forward and reverse mode are transposes of each other. It needs no differences at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..backend import asnumpy
from ..tensor import unwrap
from ..transforms import jvp, vjp
from .inputs import FloatArray, FloatInputs, as_output, is_float_array, no_floats, random_like


@dataclass(frozen=True)
class DotTest:
    """Whether forward and reverse mode are transposes of each other.

    Attributes:
        forward: <u, J v>, with J v by forward mode.
        reverse: <J' u, v>, with J' u by reverse mode.
        gap: their difference relative to the terms of the two sums, in the 2-norm (or, if these are smaller,
            to the rounding unit of numbers of size 1, of which a derivative of zero may have come out).
        bound: the largest gap that passes.
    """

    forward: float
    reverse: float
    gap: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the gap is within the bound."""
        return self.gap <= self.bound

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return (
            f"dot test {'passed' if self.passed else 'FAILED'}: <u, J v> = {self.forward:.15g}, "
            f"<J' u, v> = {self.reverse:.15g}, relative gap {self.gap:.1e} (bound {self.bound:.1e})"
        )


def dot_test(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> DotTest:
    """Check that forward and reverse mode agree: <u, J v> = <J' u, v> for random u and v.

    No differences are taken, so nothing but roundoff separates the two numbers: the gap must be below 1e-10,
    or below 100 rounding units (1.2e-5) if an input or the output is float32. The products are summed in
    float64 in any case. The test says nothing about rules that forward and reverse mode share.

    Args:
        f: a function of arrays or trees of them, with a float output (or a tree of them).
        inputs: where to differentiate; leaves that hold no floats are held fixed.
        seed: of u and v.

    Raises:
        TypeError: the inputs or the output hold no floats.
        ValueError: NaN or infinity in the inputs.

    Source: Claerbout, Earth Soundings Analysis (1992), "dot-product test".

    >>> import numpy as np
    >>> from tinyad.checking import dot_test
    >>> dot_test(lambda x: np.sin(x) * x, np.array([0.5, 2.0])).passed
    True
    """
    function = FloatInputs("dot_test", f, inputs)
    random = np.random.default_rng(seed)
    y, pullback = vjp(function, *function.values)
    _, eps = as_output("dot_test", y)
    u = random_like(random, y)
    v = [random_like(random, value) for value in function.values]
    _, tangent = jvp(function, tuple(function.values), tuple(v))
    return _compared(_products([u], [tangent]), _products(pullback(u), v), max(eps, function.eps))


def check_adjoint(
    apply: Callable[[Any], Any], transpose: Callable[[Any], Any], x: Any, seed: int = 0, bound: float | None = None
) -> DotTest:
    """Check that one linear function is the transpose of another: <u, A v> = <A' u, v> for random u and v.

    For products with a Jacobian and its transpose that were written by hand.

    Args:
        apply: ``apply(v)`` is ``A v``.
        transpose: ``transpose(u)`` is ``A' u``.
        x: an array or tree in the form of v.
        seed: of u and v.
        bound: the largest gap that passes; 1e-10 or 100 rounding units by default, as for `dot_test`.

    Raises:
        TypeError: ``x`` or ``A v`` hold no floats.
        ValueError: ``A' u`` is not of the form of ``x``.

    >>> import numpy as np
    >>> from tinyad.checking import check_adjoint
    >>> A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> check_adjoint(lambda v: A @ v, lambda u: A.T @ u, np.zeros(2)).passed
    True
    >>> check_adjoint(lambda v: A[:2] @ v, lambda u: A[:2] @ u, np.zeros(2)).passed
    False
    """
    random = np.random.default_rng(seed)
    leaves, structure = tree.flatten(x)
    v = [random_like(random, unwrap(leaf)) for leaf in _floats(leaves)]
    outputs, form = tree.flatten(apply(tree.unflatten(structure, v)))
    forward = [unwrap(leaf) for leaf in _floats(outputs)]
    u = [random_like(random, leaf) for leaf in forward]
    returned = transpose(tree.unflatten(form, u))
    back = [unwrap(leaf) for leaf in tree.same_structure("what transpose(u) returned", structure, returned, "x")]
    for path, a, b in zip(tree.paths(x), back, v, strict=True):
        if np.shape(a) != np.shape(b):
            raise ValueError(
                f"check_adjoint: transpose(u) returned shape {np.shape(a)} for x{path} of shape {np.shape(b)}; expected the shape "
                f"of what apply takes."
            )
    eps = max(float(np.finfo(getattr(leaf, "dtype", np.float64)).eps) for leaf in (*v, *forward))
    return _compared(_products(u, forward), _products(back, v), eps, bound)


def _floats(leaves: Sequence[Any]) -> Sequence[Any]:
    if not leaves or not all(is_float_array(leaf) for leaf in leaves):
        raise no_floats("check_adjoint", leaves)
    return leaves


def _compared(forward_terms: FloatArray, reverse_terms: FloatArray, eps: float, bound: float | None = None) -> DotTest:
    forward, reverse = float(forward_terms.sum()), float(reverse_terms.sum())
    bound = max(1e-10, 100 * eps) if bound is None else bound
    size = max(float(np.linalg.norm(forward_terms)), float(np.linalg.norm(reverse_terms)), 100 * eps / bound)
    return DotTest(forward, reverse, abs(forward - reverse) / size, bound)


def _products(left: Sequence[Any], right: Sequence[Any]) -> FloatArray:
    """The terms of an inner product, in float64."""
    terms = [np.float64(asnumpy(a)) * np.float64(asnumpy(b)) for a, b in zip(left, right, strict=True)]
    return np.concatenate([np.ravel(term) for term in terms])
