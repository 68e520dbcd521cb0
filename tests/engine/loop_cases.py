"""Steps for `scan`, the same in a Python loop, and all that such a case is differentiated by as one list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tinyad as ad

Function = Callable[..., Any]


@dataclass
class Pair:
    """Rows, or a carry, as a dataclass."""

    first: Any
    second: Any


@dataclass(frozen=True)
class Case:
    """``step(w)`` is the step that uses ``w`` without getting it as an argument."""

    step: Function
    w: Any
    carry: Any
    xs: Any
    length: int | None = None


def looped(step: Function, carry: Any, xs: Any, length: int | None = None) -> tuple[Any, Any]:
    """What `scan` computes, in a Python loop."""
    rows = ad.tree.leaves(xs)
    ys = []
    for k in range(len(rows[0]) if rows else length or 0):
        following, y = step(carry, ad.tree.map(lambda a, k=k: a[k], xs))
        carry = ad.tree.map(lambda new, old: new if hasattr(new, "dtype") else np.asarray(new, old.dtype), following, carry)
        ys.append(y)
    return carry, ad.tree.map(lambda *y: ad.stack([ad.asarray(each) for each in y]), *ys)


def scanned(checkpoint: bool | int = False) -> Function:
    return lambda step, carry, xs, length: ad.scan(step, carry, xs, length, checkpoint)


WAYS = {"storing": scanned(), "square root": scanned(True), "every step": scanned(1), "every 2": scanned(2), "once": scanned(9)}


@ad.custom_vjp
def by_vjp(x: Any) -> Any:
    return x * x


by_vjp.defvjp(lambda x: (x * x, x), lambda x, g: (7.0 * g * x,))  # wrong on purpose: whoever does not use the rule is found out


@ad.custom_jvp
def by_jvp(x: Any) -> Any:
    return x * x


by_jvp.defjvp(lambda primals, tangents: (primals[0] * primals[0], 7.0 * primals[0] * tangents[0]))


def recurrent(w: Any) -> Function:
    def step(h: Any, x: Any) -> Any:
        h = ad.tanh(h @ w["W"] + x + w["b"])
        return h, ad.sum(h * h)

    return step


def newton(w: Any) -> Function:
    def step(x: Any, _: Any) -> Any:
        x = 0.5 * (x + w / x)
        return x, None

    return step


def swapped(w: Any) -> Function:
    return lambda c, x: ((c[1], c[0] * w + x), (c[0], c[1]))


def tree_of_trees(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        a, b = c["h"]
        c = {"h": (ad.sin(b) + x.first, a * x.second["u"]), "n": Pair(c["n"].first * w[0], c["n"].second + a)}
        return c, {"y": Pair(a, (b, x.first)), "z": [c["n"].second]}

    return step


def counting(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        k, even, total = c
        total = ad.where(even, total * w, total + x * k)
        return (k + 1, ad.logical_not(even), total), (k, even, total * k)

    return step


def looking_up(w: Any) -> Function:
    return lambda c, x: ((c[0] + 1, c[1] * ad.asarray(w)[c[0]] + x), ad.asarray(w)[c[0]])


def inner_scan(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        c, ys = ad.scan(lambda d, u: (ad.sin(d * w) + u * c, d * x[0]), c, x)
        return c, ys[1:]

    return step


def inner_scan_with_checkpoint(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        c = ad.fori(4, lambda i, d: ad.sin(d * w + i) * c, c, checkpoint=True)
        return c + x[0], c

    return step


def several_matrices(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        left, right = c
        return (right.T @ w, left * x), (left.T, right[::-1], left[:, 0])

    return step


def parts_of_old_carries(w: Any) -> Function:
    """What an update in place gets wrong."""

    def step(c: Any, x: Any) -> Any:
        v, s, t = c
        return (v * 2.0 * w + s, v[0] + t, v[1] * x), (v[1], s, 3.0, v)

    return step


def rotated(w: Any) -> Function:
    return lambda c, x: ((c[1][::-1], c[2] * w, c[0]), c[0] + x)


def the_same_twice(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        new = ad.exp(-c[0]) * w + c[1] * x
        return (new, new), (new, new)

    return step


def forgetful(w: Any) -> Function:
    """A carry that does not depend on the one before."""
    return lambda c, x: ((x, 1.5), (c[0] * c[1] * w, x))


def inner_grad(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        return c - 0.1 * ad.grad(lambda z: ad.sum(ad.sin(z * w) * x))(c), ad.jvp(lambda z: z**3 * w, (c,), (x,))[1]

    return step


def inner_hvp(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        return ad.hvp(lambda z: ad.sum(ad.sin(z * w) * c), c, x), ad.hessian(lambda z: ad.sum(ad.sin(z) * z) * w[0])(c)

    return step


def inner_vmap(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        c = ad.vmap(lambda r: ad.tanh(r * w + ad.sum(x)))(c)
        return c, ad.vmap(ad.grad(lambda r: ad.sum(ad.sin(r * w))))(c)

    return step


def inner_checkpoint(w: Any) -> Function:
    return lambda c, x: (ad.checkpoint(lambda d: ad.sin(d * w) * x)(c), ad.checkpoint(lambda d: d * d)(x))


def inner_rules(w: Any) -> Function:
    return lambda c, x: (0.1 * by_vjp(c * w) + x, by_jvp(c) * ad.stop_gradient(c) * w)


def closing_over_no_gradient(w: Any) -> Function:
    def step(c: Any, x: Any) -> Any:
        with ad.no_grad():
            frozen = c * w
        return c * x + frozen, frozen

    return step


def ragged(n: int, *shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.3, 1.2, (n, *shape))


V, M, N5 = ragged(3), ragged(3, 3), np.array([0.7, 0.2, 1.1, 0.4, 0.9])
CASES: dict[str, Case] = {
    "recurrent": Case(recurrent, {"W": M - 0.7, "b": V}, V, ragged(5, 3)),
    "no rows": Case(newton, np.array(2.0), np.array(1.0), None, 4),
    "one row": Case(recurrent, {"W": M, "b": V}, V, ragged(1, 3)),
    "no axes": Case(lambda w: lambda c, x: (c * x + w, c), np.array(0.3), np.array(0.5), N5),
    "one element": Case(lambda w: lambda c, x: (c * x + w, c), ragged(1, 1), ragged(1, 1), N5),
    "no elements": Case(
        lambda w: lambda c, x: ((c[0] * w, c[1] + ad.sum(x)), c[0]), 0.5, (np.ones((0, 2)), 1.0), np.ones((3, 0))
    ),
    "swapped": Case(swapped, V, (V, V[::-1].copy()), ragged(5, 3)),
    "unchanged": Case(lambda w: lambda c, x: ((c[0], c[1] * c[0] + w), c[0]), V, (V, 2.0 * V), ragged(4, 3)),
    "carry is y": Case(lambda w: lambda c, x: ((ad.sin(c) * w, c)[0], c), V, V, ragged(4, 3)),
    "row is y": Case(lambda w: lambda c, x: (c * x * w, x), V, V, ragged(4, 3)),
    "trees": Case(
        tree_of_trees, [np.array(1.1)], {"h": (V, V + 1.0), "n": Pair(np.array(0.5), V)},
        Pair(ragged(4, 3), {"u": ragged(4), "v": N5[:4]}),
    ),
    "counting": Case(counting, np.array(0.9), (0, True, 0.5), N5),
    "looking up": Case(looking_up, ragged(5, 2), (0, np.ones(2)), N5),
    "inner scan": Case(inner_scan, np.array(0.8), np.array(0.6), ragged(3, 4)),
    "inner scan with checkpoint": Case(inner_scan_with_checkpoint, np.array(0.8), np.array(0.6), ragged(4, 2)),
    "matrices": Case(several_matrices, M, (M, M + 0.1), ragged(3)),
    "parts of old carries": Case(parts_of_old_carries, np.array(0.4), (V, 0.5, 0.25), N5),
    "rotated": Case(rotated, V, (V, 2.0 * V, 3.0 * V), ragged(5, 3)),
    "the same twice": Case(the_same_twice, V, (V, 0.5 * V), ragged(4, 3)),
    "forgetful": Case(forgetful, V, (V, 1.0), ragged(4, 3)),
    "inner gradient": Case(inner_grad, V, V, ragged(3, 3)),
    "inner vmap": Case(inner_vmap, V, M, ragged(3, 3)),
    "inner checkpoint": Case(inner_checkpoint, V, V, ragged(3, 3)),
    "inner rules": Case(inner_rules, V, V, ragged(3, 3)),
    "inner no_grad": Case(closing_over_no_gradient, V, V, ragged(3, 3)),
    "reductions": Case(
        lambda w: lambda c, x: (c / ad.max(c) + ad.cumsum(x * w), ad.logsumexp(c * x)), V, V, ragged(4, 3, seed=2)
    ),
    "solve": Case(lambda w: lambda c, x: (ad.solve(w + ad.outer(c, c), x), ad.norm(c)), 3.0 * np.eye(3) + M, V, ragged(3, 3)),
}  # fmt: skip


def close(ours: Any, expected: Any, rtol: float = 1e-11) -> None:
    found, structure = ad.tree.flatten(ours)
    for a, b in zip(found, ad.tree.same_structure("expected", structure, expected, "ours"), strict=True):
        assert not isinstance(a, ad.Tensor)
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


class Flat:
    """A case as a function of a list: all floating-point leaves of ``w``, the carry and the rows."""

    def __init__(self, case: Case, run: Function, dtype: Any = float) -> None:
        self.case, self.run = case, run
        self.leaves, self.structure = ad.tree.flatten((case.w, case.carry, case.xs))
        self.leaves = [np.asarray(x, dtype if np.asarray(x).dtype.kind == "f" else None) for x in self.leaves]
        self.places = [k for k, x in enumerate(self.leaves) if x.dtype.kind == "f"]
        self.floats = [self.leaves[k] for k in self.places]

    def everything(self, floats: Sequence[Any]) -> Any:
        """All results."""
        filled = list(self.leaves)
        for k, x in zip(self.places, floats, strict=True):
            filled[k] = x
        w, carry, xs = ad.tree.unflatten(self.structure, filled)
        return self.run(self.case.step(w), carry, xs, self.case.length)

    def results(self, floats: Sequence[Any]) -> list[Any]:
        """The results that have derivatives, as one tree."""
        return [y for y in ad.tree.leaves(self.everything(floats)) if getattr(y, "dtype", None) is None or y.dtype.kind == "f"]

    def cost(self, floats: Sequence[Any]) -> Any:
        """A number in which each of these elements counts."""
        total: Any = 0.0
        for k, y in enumerate(self.results(floats)):
            total = total + ad.sum(ad.sin(y * (1.0 + 0.1 * k) + 0.3))
        return total

    def alone(self, k: int) -> Function:
        """The cost as a function of one leaf; the others are constants."""
        return lambda x: self.cost([*self.floats[:k], x, *self.floats[k + 1 :]])


def both(name: str, way: str = "storing", dtype: Any = float) -> tuple[Flat, Flat]:
    return Flat(CASES[name], WAYS[way], dtype), Flat(CASES[name], looped, dtype)


def directions(floats: Sequence[Any]) -> list[Any]:
    return [np.cos(np.arange(x.size) + k).reshape(x.shape).astype(x.dtype) for k, x in enumerate(floats)]


# ---- random steps


def folded(a: Any, checkpoint: bool = False) -> Any:
    """A loop in the step, over the rows of one of its arrays."""
    if not a.ndim:
        return a
    last, ys = ad.scan(lambda c, r: (ad.sin(c + ad.sum(r)) * a[0], c * r), a[-1], a, checkpoint=checkpoint)
    return ys + last


UNARY: list[Function] = [
    folded,
    lambda a: folded(a, True),
    ad.sin,
    ad.tanh,
    lambda a: -a,
    lambda a: ad.sum(a),
    lambda a: a[..., ::-1] if a.ndim else a * 0.5,
    lambda a: a[0] if a.ndim else ad.stack([a, a, a]),
    lambda a: a.T if a.ndim > 1 else a * 2.0,
    lambda a: ad.reshape(a, a.shape[::-1]).T if a.ndim > 1 else ad.reshape(a, (1, *a.shape))[0],
    lambda a: a[..., 0] if a.ndim else a,
    lambda a: ad.max(a) * 0.7,
    lambda a: ad.where(a > 0.6, a, 0.1),
    lambda a: 1.0 / (1.2 + ad.cos(a)),
]
BINARY: list[Function] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: ad.sin(a - b),
    lambda a, b: ad.where(a > b, a, b),
    lambda a, b: ad.sin(a) @ ad.cos(b) if a.ndim and b.ndim and a.shape[-1] == b.shape[0] else a * 0.3,
    lambda a, b: a / (2.0 + ad.abs(b)),
]
SHAPES: list[tuple[int, ...]] = [(), (3,), (1,), (2, 3), (3, 3)]


def random_step(operations: Sequence[tuple[int, int, int]], following: Sequence[int], shown: Sequence[int]) -> Function:
    """A step that applies operations to what it has, one after another, and takes next carries and ys from the results."""

    def with_w(w: Any) -> Function:
        def step(carry: Any, x: Any) -> Any:
            pool = [*carry, *x, *w]
            for f, i, j in operations:
                a, b = pool[i % len(pool)], pool[j % len(pool)]
                if f < len(UNARY):
                    pool.append(UNARY[f](a))
                elif _broadcasts(a.shape, b.shape):
                    pool.append(BINARY[(f - len(UNARY)) % len(BINARY)](a, b))
            fits = [[y for y in pool if y.shape == c.shape] for c in carry]
            return [found[-1 - k % len(found)] for found, k in zip(fits, following, strict=False)], [
                pool[-1 - k % len(pool)] for k in shown
            ]

        return step

    return with_w


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


@st.composite
def random_cases(draw: st.DrawFn) -> Case:
    """Cases whose steps, carries and rows are made up."""
    numbers = st.integers(0, 30)
    shapes = st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3)
    carries, rows, ws = draw(shapes), draw(shapes), draw(shapes)
    operations = draw(
        st.lists(st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), numbers, numbers), min_size=1, max_size=8)
    )
    following, shown = draw(st.lists(numbers, min_size=3, max_size=3)), draw(st.lists(numbers, max_size=3))
    n = draw(st.integers(1, 4))
    made = [[ragged(1, *shape, seed=k)[0] for k, shape in enumerate(group)] for group in (ws, carries)]
    return Case(random_step(operations, following, shown), *made, [ragged(n, *shape, seed=k) for k, shape in enumerate(rows)])
