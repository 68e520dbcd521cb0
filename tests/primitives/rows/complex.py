"""Rows of functions of complex numbers, as functions of their real and imaginary parts.

All that is tested of a row, the derivatives by every walk among it, is then tested of complex operands: a wrong conjugate in a
rule is a wrong sign by an imaginary part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import Array, Draw, Row, anywhere, away_from_zero, distinct, positive, values
from tinyad.primitives.elementwise import absorb, one_minus_square

Domain = Callable[[Array], Array]

FEW = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2)


def off_the_axes(z: Array) -> Array:
    """For real and imaginary parts: away from all branch cuts and singular points."""
    return away_from_zero(z)


def in_parts(name: str, function: Any, reference: Any, sample: Any, primitives: tuple[str, ...]) -> Row:
    """A row of a function of complex numbers: a ``sample`` is its operands, their real and imaginary parts along a first axis
    where they are complex, and a list of which are."""

    def of_parts(join: Any, f: Any, stack: Any, iscomplex: Any, parts: tuple[Any, ...], params: dict[str, Any]) -> Any:
        params = dict(params)
        kinds = params.pop("kinds")
        given = iter(parts)
        out = f(*[join(next(given), next(given)) if kind else next(given) for kind in kinds], **params)
        return stack([out.real, out.imag]) if iscomplex(out) else out

    def ours(*parts: Any, **params: Any) -> Any:
        return of_parts(ad.complex, function, ad.stack, lambda z: z.dtype.kind == "c", parts, params)

    def theirs(*parts: Any, **params: Any) -> Any:
        return of_parts(joined, reference, np.stack, np.iscomplexobj, parts, params)

    return Row(f"complex {name}", ours, theirs, sample, primitives)


def joined(x: Array, y: Array) -> Array:
    return (x + 1j * y).astype(np.result_type(x, np.complex64))


def operands(*domains: Domain, kinds: tuple[bool, ...] = ()) -> Any:
    """Operands that broadcast, all complex unless ``kinds`` says otherwise."""
    which = list(kinds or (True,) * len(domains))

    def sample(draw: Draw) -> Any:
        shapes = draw(
            hnp.mutually_broadcastable_shapes(num_shapes=len(domains), max_dims=2, max_side=2, min_side=0)
        ).input_shapes
        parts = [
            values(draw, shape, domain)
            for shape, domain, kind in zip(shapes, domains, which, strict=True)
            for _ in range(1 + kind)
        ]
        return tuple(parts), {"kinds": which}

    return sample


def reduced(domain: Domain = anywhere, fewest: int = 1, **settings: Any) -> Any:
    def sample(draw: Draw) -> Any:
        shape = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=fewest, max_side=3))
        axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
        parts = tuple(values(draw, shape, domain) for _ in range(2))
        return parts, {"kinds": [True], "axis": axis, "keepdims": draw(st.booleans()), **settings}

    return sample


def along(domain: Domain = anywhere) -> Any:
    def sample(draw: Draw) -> Any:
        parts, params = reduced(domain)(draw)
        return parts, {"kinds": [True], "axis": -1 if params["axis"] is None else params["axis"]}

    return sample


def matrix(draw: Draw) -> Any:
    return tuple(values(draw, (2, 4)) for _ in range(2)), {"kinds": [True]}


def unary(name: str, domain: Domain = off_the_axes, reference: Any = None, function: Any = None) -> Row:
    return in_parts(
        name,
        function or getattr(ad, name),
        reference or getattr(np, name),
        operands(domain),
        (name,) if not function else ("real",),
    )


def binary(name: str, left: Domain = off_the_axes, right: Domain = off_the_axes) -> Row:
    return in_parts(name, getattr(ad, name), getattr(np, name), operands(left, right), (name,))


def mixed(name: str, real_first: bool, domain: Domain = off_the_axes) -> Row:
    """One operand real: its derivative is the real part."""
    kinds = (False, True) if real_first else (True, False)
    text = f"{name} {'of a real and a complex' if real_first else 'of a complex and a real'} number"
    return in_parts(text, getattr(ad, name), getattr(np, name), operands(domain, domain, kinds=kinds), (name,))


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def sign(z: Array) -> Array:
    return z / np.abs(z)


def norm(z: Array, axis: Any, keepdims: bool, ord: float) -> Any:
    return np.sum(np.abs(z) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def logsumexp(z: Array, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(z), axis=axis, keepdims=keepdims))


def softmax(z: Array, axis: Any) -> Array:
    return np.exp(z) / np.sum(np.exp(z), axis=axis, keepdims=True)


def reduction(name: str, sample: Any, reference: Any = None) -> Row:
    return in_parts(name, getattr(ad, name), reference or getattr(np, name), sample, ("sum",))


ROWS: list[Row] = [
    unary("real", anywhere),
    unary("imag", anywhere),
    unary("conj", anywhere),
    in_parts("complex", lambda z: z * z, lambda z: z * z, operands(anywhere), ("complex",)),
    *[unary(name, anywhere) for name in ("negative", "positive", "square", "exp", "exp2", "expm1", "sin", "cos", "sinh", "cosh")],
    *[unary(name) for name in ("sqrt", "reciprocal", "log", "log1p", "log2", "log10", "abs", "angle", "sinc", "tan", "tanh")],
    unary("asin", reference=np.arcsin),
    unary("acos", reference=np.arccos),
    unary("atan", reference=np.arctan),
    unary("asinh", reference=np.arcsinh),
    unary("acosh", reference=np.arccosh),
    unary("atanh", reference=np.arctanh),
    unary("sigmoid", reference=sigmoid),
    unary("sign", reference=sign),
    unary("one_minus_square", function=one_minus_square, reference=lambda z: 1 - z * z),
    unary("cube", function=lambda z: z**3, reference=lambda z: z**3),
    unary("power of a negative number", function=lambda z: (-2.0) ** z, reference=lambda z: (-2.0 + 0j) ** z),
    unary("product with a complex number", function=lambda z: (2.0 - 1j) * z, reference=lambda z: (2.0 - 1j) * z),
    unary("a real function", function=lambda z: z * ad.conj(z), reference=lambda z: z * np.conj(z)),
    unary("astype", function=lambda z: ad.astype(ad.real(z), z.dtype) * z, reference=lambda z: z.real * z),
    unary("where", function=lambda z: ad.where(ad.real(z) > 0, z, 2j * z), reference=lambda z: np.where(z.real > 0, z, 2j * z)),
    *[binary(name) for name in ("add", "subtract", "multiply", "divide", "power")],
    in_parts("absorb", absorb, np.multiply, operands(anywhere, anywhere), ("absorb",)),
    binary("maximum", np.round, lambda z: np.round(z) + 0.5),
    binary("minimum", np.round, lambda z: np.round(z) + 0.5),
    *[mixed(name, first, anywhere) for name in ("add", "subtract", "multiply") for first in (True, False)],
    *[mixed(name, first) for name in ("divide", "power") for first in (True, False)],
    reduction("sum", reduced()),
    reduction("mean", reduced()),
    reduction("prod", reduced()),
    reduction("max", reduced(distinct)),
    reduction("min", reduced(distinct)),
    reduction("var", reduced(fewest=2, ddof=1)),
    reduction("std", reduced(fewest=2, ddof=0)),
    reduction("logsumexp", reduced(positive), logsumexp),
    reduction("norm", reduced(off_the_axes, ord=2), norm),
    in_parts("norm of order 3", ad.norm, norm, reduced(off_the_axes, ord=3), ("sum",)),
    reduction("softmax", along(), softmax),
    reduction("log_softmax", along(positive), lambda z, axis: np.log(softmax(z, axis))),
    reduction("cumsum", along()),
    reduction("cumprod", along()),
    reduction("flip", along()),
    in_parts("cov", ad.cov, np.cov, matrix, ("matmul",)),
    in_parts("corrcoef", ad.corrcoef, np.corrcoef, matrix, ("matmul",)),
]  # fmt: skip
