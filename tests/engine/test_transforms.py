"""The transforms over containers, argument choices, dtypes and sizes; and how much work they do."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tinyad.kinds import PRIMITIVES, Primitive

Array = np.ndarray[Any, Any]


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Layer:
    w: Any
    b: Any
    activation: Callable[[Any], Any] = ad.tanh
    width: int = 3  # a Python number in a dataclass is structure, not a leaf
    table: Any = field(default=None, metadata={"static": True})

    def __call__(self, x: Any) -> Any:
        return self.activation(self.w @ x + self.b)


@dataclass(frozen=True)
class Model:
    layers: list[Layer]
    scale: Any
    nothing: None = None


W, B = random(3, 3), random(3, seed=1)
TABLE = random(3, seed=9)

# Containers of the same leaves w (3, 3) and b (3,), and how to get them out.
TREES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], tuple[Any, Any]]]] = {
    "tuple": (lambda w, b: (w, b), lambda t: t),
    "list": (lambda w, b: [w, b], lambda t: (t[0], t[1])),
    "dict": (lambda w, b: {"w": w, "b": b}, lambda t: (t["w"], t["b"])),
    "dict of unsorted and mixed keys": (lambda w, b: {"z": w, 1: b, (2, 3): None}, lambda t: (t["z"], t[1])),
    "ordered dict": (lambda w, b: collections.OrderedDict(w=w, b=b), lambda t: (t["w"], t["b"])),
    "default dict": (lambda w, b: collections.defaultdict(list, w=w, b=b), lambda t: (t["w"], t["b"])),
    "named tuple": (lambda w, b: Pair(w, b), lambda t: (t.left, t.right)),
    "dataclass": (lambda w, b: Layer(w, b, table=TABLE), lambda t: (t.w, t.b)),
    "frozen dataclass": (lambda w, b: Model([Layer(w, b)], None), lambda t: (t.layers[0].w, t.layers[0].b)),
    "with None": (lambda w, b: (None, w, {"x": None, "b": b}), lambda t: (t[1], t[2]["b"])),
    "with empty containers": (lambda w, b: ((), w, [], {}, b), lambda t: (t[1], t[4])),
    "nested": (lambda w, b: {"a": [Pair(w, (None, [b]))]}, lambda t: (t["a"][0].left, t["a"][0].right[1][0])),
    "with a name": (lambda w, b: {"name": "first layer", "w": w, "b": b}, lambda t: (t["w"], t["b"])),
}
trees = pytest.mark.parametrize("kind", TREES)


def loss(w: Any, b: Any) -> Any:
    return ad.sum(ad.tanh(w @ b) * b)


BY_W, BY_B = ad.grad(loss, argnums=(0, 1))(W, B)
VW, VB = random(3, 3, seed=2), random(3, seed=3)


def same_tree(ours: Any, expected: Any) -> None:
    assert ad.tree.flatten(ours)[1] == ad.tree.flatten(expected)[1]
    for a, b in zip(ad.tree.leaves(ours), ad.tree.leaves(expected), strict=True):
        assert not isinstance(a, ad.Tensor)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


# ---- containers


@trees
def test_grad_has_the_structure_of_the_argument(kind: str) -> None:
    pack, unpack = TREES[kind]
    tree = pack(W, B)
    same_tree(ad.grad(lambda t: loss(*unpack(t)))(tree), pack(BY_W, BY_B))
    value, gradient = ad.value_and_grad(lambda t: loss(*unpack(t)))(tree)
    assert value == loss(W, B)
    same_tree(gradient, pack(BY_W, BY_B))


@trees
def test_vjp_and_jvp_take_and_give_containers(kind: str) -> None:
    pack, unpack = TREES[kind]

    def f(t: Any) -> Any:
        w, b = unpack(t)
        return pack(w * ad.sum(b), ad.sin(w) @ b)

    out, pullback = ad.vjp(f, pack(W, B))
    same_tree(out, pack(W * B.sum(), np.sin(W) @ B))
    same_tree(pullback(pack(VW, VB))[0], pack(VW * B.sum() + np.cos(W) * np.outer(VB, B), np.sum(VW * W) + np.sin(W).T @ VB))
    again, tangent = ad.jvp(f, (pack(W, B),), (pack(VW, VB),))
    same_tree(again, out)
    same_tree(tangent, pack(VW * B.sum() + W * VB.sum(), (np.cos(W) * VW) @ B + np.sin(W) @ VB))
    lin = ad.linearize(f, pack(W, B))
    same_tree(lin.value, out)
    same_tree(lin(pack(VW, VB)), tangent)
    same_tree(lin.transpose(pack(VW, VB)), pullback(pack(VW, VB))[0])


@trees
def test_second_derivatives_over_containers(kind: str) -> None:
    pack, unpack = TREES[kind]
    product = ad.hvp(lambda t: loss(*unpack(t)), pack(W, B), pack(VW, VB))
    along = [ad.jvp(ad.grad(loss, argnums=i), (W, B), (VW, VB))[1] for i in (0, 1)]
    same_tree(product, pack(*along))
    gauss = ad.gnvp(lambda t: unpack(t)[0] @ unpack(t)[1], lambda y: 0.5 * ad.sum(y * y), pack(W, B), pack(VW, VB))
    y = VW @ B + W @ VB
    same_tree(gauss, pack(np.outer(y, B), W.T @ y))


@trees
@pytest.mark.parametrize("mode", ["reverse", "forward", None])
def test_jacobian_of_a_container_by_a_container(kind: str, mode: str | None) -> None:
    """A tree like the output whose leaves are trees like the argument."""
    pack, unpack = TREES[kind]

    def f(t: Any) -> Any:
        w, b = unpack(t)
        return {"p": w @ b, "q": ad.sum(w) * b[:2]}

    blocks = ad.jacobian(f, mode=mode)(pack(W, B))
    eye = np.eye(3)
    same_tree(blocks["p"], pack(np.einsum("ik,j->ikj", eye, B), W))
    same_tree(blocks["q"], pack(np.tile(B[:2, None, None], (1, 3, 3)), W.sum() * eye[:2]))


@trees
def test_hessian_of_a_container_is_a_container_of_containers(kind: str) -> None:
    pack, unpack = TREES[kind]
    blocks = ad.hessian(lambda t: loss(*unpack(t)))(pack(W, B))
    flat, unravel = ad.tree.ravel((W, B))
    whole = ad.hessian(lambda z: loss(*unravel(z)))(flat)
    ww, wb, bw, bb = whole[:9, :9], whole[:9, 9:], whole[9:, :9], whole[9:, 9:]
    first, second = unpack(blocks)
    same_tree(first, pack(ww.reshape(3, 3, 3, 3), wb.reshape(3, 3, 3)))
    same_tree(second, pack(bw.reshape(3, 3, 3), bb))


def test_a_model_is_data() -> None:
    model = Model([Layer(W, B, table=TABLE), Layer(2.0 * W, B)], np.array(0.5))
    x = random(3, seed=4)

    def cost(m: Model, x: Any) -> Any:
        for layer in m.layers:
            x = layer(x)
        return ad.sum(x) * m.scale

    gradient = ad.grad(cost)(model, x)
    assert type(gradient) is Model and type(gradient.layers[0]) is Layer
    first = gradient.layers[0]
    assert (first.activation, first.width, first.table is TABLE) == (ad.tanh, 3, True)
    assert gradient.scale == pytest.approx(cost(model, x) / 0.5)
    h = 1e-6
    moved = [cost(Model([Layer(W, B + s * h * VB), model.layers[1]], model.scale), x) for s in (1, -1)]
    assert np.sum(first.b * VB) == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=1e-7)


def test_the_order_in_which_a_dict_was_filled_does_not_matter() -> None:
    _, pullback = ad.vjp(lambda x: {"a": x, "b": 2.0 * x}, 1.0)
    assert pullback({"b": 10.0, "a": 1.0})[0] == 21.0


def test_python_numbers_in_containers_are_leaves() -> None:
    same_tree(ad.grad(lambda p: p["a"] * p["b"][0])({"a": 2.0, "b": [3.0]}), {"a": 3.0, "b": [2.0]})


shapes = st.sampled_from([(), (1,), (2,), (2, 2), (0,)])
leaf = shapes.map(lambda shape: random(*shape, seed=len(shape)))
any_tree = st.recursive(
    leaf | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(any_tree)
def test_any_container_round_trips_and_differentiates(tree: Any) -> None:
    leaves, structure = ad.tree.flatten(tree)
    assert len(leaves) == structure.size == len(ad.tree.paths(tree))
    same_tree(ad.tree.unflatten(structure, leaves), tree)
    if sum(x.size for x in leaves):
        gradient = ad.grad(lambda t: sum(ad.sum(x * x) for x in ad.tree.leaves(t)))(tree)
        same_tree(gradient, ad.tree.map(lambda x: 2.0 * x, tree))


# ---- which arguments


def f3(x: Any, y: Any, z: Any, *, power: int = 2, shift: Any = 0.0) -> Any:
    return ad.sum(x**power * y + z * y * y) + ad.sum(shift * x)


XYZ = (np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0]))
PARTIALS = (2 * XYZ[0] * XYZ[1], XYZ[0] ** 2 + 2 * XYZ[2] * XYZ[1], XYZ[1] ** 2)


@pytest.mark.parametrize("argnums", [0, 1, 2, -1, -3, (0,), (1, 0), (0, 1, 2), (-1, 0), [2, 1], (0, -2)])
def test_argnums(argnums: Any) -> None:
    expected = PARTIALS[argnums] if isinstance(argnums, int) else tuple(PARTIALS[i] for i in argnums)
    for result in (ad.grad(f3, argnums)(*XYZ), ad.value_and_grad(f3, argnums)(*XYZ)[1]):
        assert isinstance(result, tuple) == isinstance(expected, tuple)
        same_tree(result, expected)


@pytest.mark.parametrize("argnums", [0, 1, 2, -1, -2])
def test_argnums_of_jacobian_and_hessian(argnums: int) -> None:
    same_tree(ad.jacobian(f3, argnums)(*XYZ), PARTIALS[argnums])
    second = [2 * XYZ[1], 2 * XYZ[2], 0 * XYZ[0]]
    same_tree(ad.hessian(f3, argnums)(*XYZ), np.diag(second[argnums]))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_several_argnums_of_jacobian(mode: str) -> None:
    blocks = ad.jacobian(lambda x, y, z: x * y + z, argnums=(0, 2), mode=mode)(*XYZ)
    same_tree(blocks, (np.diag(XYZ[1]), np.eye(2)))


def test_several_argnums_of_hessian() -> None:
    blocks = ad.hessian(f3, argnums=(0, 1))(*XYZ)
    x, y, z = XYZ
    same_tree(blocks, ((np.diag(2 * y), np.diag(2 * x)), (np.diag(2 * x), np.diag(2 * z))))


def test_arguments_not_differentiated_may_be_anything() -> None:
    def f(x: Any, n: int, name: str, options: Any, index: Array) -> Any:
        return ad.sum(x[index] ** n) * options["scale"] + len(name)

    gradient = ad.grad(f)(np.array([1.0, 2.0]), 3, "abc", {"scale": 2, "not": None}, np.array([1, 1]))
    same_tree(gradient, np.array([0.0, 48.0]))


def test_keyword_arguments_are_passed_on_and_are_constants() -> None:
    same_tree(ad.grad(f3)(*XYZ, power=3), 3 * XYZ[0] ** 2 * XYZ[1])
    same_tree(ad.grad(f3)(*XYZ, shift=XYZ[2]), PARTIALS[0] + XYZ[2])
    value, gradient = ad.value_and_grad(f3, argnums=1)(*XYZ, power=1)
    assert value == f3(*XYZ, power=1)
    same_tree(gradient, XYZ[0] + 2 * XYZ[1] * XYZ[2])
    same_tree(ad.jacobian(f3)(*XYZ, power=1), XYZ[1])
    same_tree(ad.hessian(f3)(*XYZ, power=3), np.diag(6 * XYZ[0] * XYZ[1]))


def test_has_aux() -> None:
    def f(x: Any) -> Any:
        y = ad.sin(x)
        return ad.sum(y), {"y": y, "text": "abc", "count": 3, "nothing": None, "constant": XYZ[1]}

    x = XYZ[0]
    for gradient, aux in (ad.grad(f, has_aux=True)(x), (ad.value_and_grad(f, has_aux=True)(x))[::-1]):
        aux = aux[1] if isinstance(aux, tuple) else aux
        same_tree(gradient, np.cos(x))
        same_tree(aux, {"y": np.sin(x), "text": "abc", "count": 3, "nothing": None, "constant": XYZ[1]})
    assert ad.value_and_grad(f, has_aux=True)(x)[0][0] == np.sin(x).sum()
    out, pullback, aux = ad.vjp(f, x, has_aux=True)
    assert out == np.sin(x).sum()
    same_tree(pullback(2.0)[0], 2 * np.cos(x))
    same_tree(aux["y"], np.sin(x))


# ---- how much work


@contextmanager
def counted(method: str) -> Iterator[dict[str, int]]:
    """How often each primitive's rule (``vjp`` or ``jvp``) runs."""
    calls: collections.Counter[str] = collections.Counter()
    kinds = {type(primitive) for primitive in PRIMITIVES.values()}
    originals = {kind: kind.__dict__[method] for kind in kinds if method in kind.__dict__}

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def rule(self: Primitive, *args: Any) -> Any:
            calls[self.name] += 1
            return original(self, *args)

        return rule

    for kind, original in originals.items():
        setattr(kind, method, counting(original))
    try:
        yield calls
    finally:
        for kind, original in originals.items():
            setattr(kind, method, original)


def network(x: Any) -> Any:
    for _ in range(3):
        x = ad.tanh(W @ x + B)
    return ad.sin(x) / ad.sqrt(ad.sum(x * x))


@pytest.mark.parametrize(("mode", "rule"), [("reverse", "vjp"), ("forward", "jvp")])
def test_jacobian_runs_each_rule_once_and_not_once_a_basis_vector(mode: str, rule: str) -> None:
    with counted(rule) as one:
        ad.vjp(network, B)[1](VB) if mode == "reverse" else ad.jvp(network, (B,), (VB,))
    with counted(rule) as all_of_them:
        ad.jacobian(network, mode=mode)(B)
    assert one["tanh"] == 3 and one["matmul"] == 3 and one["sin"] == 1
    assert all_of_them == one


def test_hessian_runs_each_rule_as_often_as_one_product() -> None:
    def f(x: Any) -> Any:
        return ad.sum(network(x) ** 2)

    for rule in ("vjp", "jvp"):
        with counted(rule) as one:
            ad.hvp(f, B, VB)
        with counted(rule) as all_of_them:
            ad.hessian(f)(B)
        assert one["tanh"] >= 3
        assert all_of_them == one


@pytest.mark.parametrize(("shape_in", "shape_out", "rule"), [((2,), (5, 1), "jvp"), ((5, 1), (2,), "vjp")])
def test_jacobian_chooses_the_direction_with_fewer_vectors(shape_in: Any, shape_out: Any, rule: str) -> None:
    matrix = random(int(np.prod(shape_out)), int(np.prod(shape_in)))

    def f(x: Any) -> Any:
        return ad.reshape(ad.sin(matrix @ ad.reshape(x, (-1,))), shape_out)

    with counted(rule) as calls:
        ad.jacobian(f)(random(*shape_in))
    assert calls["sin"] == 1


def test_a_linear_map_is_applied_many_times_for_one_evaluation() -> None:
    evaluations = []

    def f(x: Any) -> Any:
        evaluations.append(1)
        return network(x)

    lin = ad.linearize(f, B)
    columns = [lin(e) for e in np.eye(3)]
    rows = [lin.transpose(e) for e in np.eye(3)]
    assert len(evaluations) == 1
    np.testing.assert_allclose(np.stack(columns, 1), ad.jacobian(network)(B), rtol=1e-13)
    np.testing.assert_allclose(np.stack(rows), ad.jacobian(network)(B), rtol=1e-13)


@pytest.mark.parametrize(
    "run",
    [
        lambda f: ad.value_and_grad(f)(B),
        lambda f: ad.vjp(f, B)[1](1.0),
        lambda f: ad.jvp(f, (B,), (VB,)),
        lambda f: ad.jacobian(f)(B),
        lambda f: ad.hessian(f)(B),
        lambda f: ad.hvp(f, B, VB),
    ],
    ids=["value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp"],
)
def test_the_function_is_evaluated_once(run: Callable[[Any], Any]) -> None:
    evaluations = []

    def f(x: Any) -> Any:
        evaluations.append(1)
        return ad.sum(network(x))

    run(f)
    assert len(evaluations) == 1


@pytest.mark.parametrize("method", ["reverse", "forward"])
def test_jacobian_of_every_form_agrees_in_both_directions(method: str) -> None:
    """Shapes that broadcast, reduce and index, where a leading axis could be taken for one of the operand's."""

    def f(x: Any) -> Any:
        row = x[0] * x[:, :1] + ad.mean(x, axis=1, keepdims=True)
        return ad.concat(
            [ad.sum(row, axis=0), ad.einsum("ij,kj->ik", row, x).reshape(-1), ad.max(x, axis=0), x[[1, 1], [0, 2]]]
        )

    x = random(2, 3)
    _, pullback = ad.vjp(f, x)
    n = f(x).size
    np.testing.assert_allclose(ad.jacobian(f, mode=method)(x), [pullback(e)[0] for e in np.eye(n)], rtol=1e-12, atol=1e-13)


# ---- dtypes and sizes

STAYS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: 2.0 * x + 1 - x / 3 + 4 / x - (1.5 - x) * True,
    "powers": lambda x: abs(x) ** 0.5 + x**2 + 2.0 ** (0.1 * x) + x**-1,
    "functions": lambda x: ad.sigmoid(x) + ad.softplus(x) + ad.relu(x) + ad.log1p(x * x) + ad.log2(x * x) + ad.log10(x * x),
    "trigonometric": lambda x: ad.tan(0.1 * x) + ad.atan2(x, 2.0) + ad.asin(0.1 * x) + ad.hypot(x, 1.0) + ad.acosh(2.0 + x * x),
    "choices": lambda x: ad.where(x > 0, x, 0.0) + ad.maximum(x, 0.0) + ad.clip(x, -1.0, 1.0) + ad.minimum(1, x) + abs(x),
    "reductions": lambda x: x.mean() + x.var() + x.std() + x.sum() + ad.norm(x) + ad.norm(x, ord=3) + ad.logsumexp(x) + x.max(),
    "products": lambda x: x @ x.T + ad.einsum("ij,kj->ik", x, x) + ad.tensordot(x, x, axes=((1,), (1,))),
    "shaping": lambda x: (
        ad.pad(x, 1, 3.0)[1:-1, 1:-1] + ad.concat([x, x])[:2] + ad.stack([x, x])[0] + x[[0, 0]] + ad.cumsum(x, 0)
    ),
    "solve": lambda x: ad.solve(x @ x.T + np.eye(2, dtype=np.float32), x),
    "cholesky": lambda x: ad.cholesky(x @ x.T + np.eye(2, dtype=np.float32)),
    "checkpoint": ad.checkpoint(lambda x: 2.0 * ad.sin(x)),
}


NO_HALVES = ("solve", "cholesky")  # NumPy's linear algebra has no half precision


@pytest.mark.parametrize(
    ("name", "dtype"), [(n, t) for n in STAYS for t in (np.float32, np.float16) if t is np.float32 or n not in NO_HALVES]
)
def test_a_smaller_dtype_stays_with_python_numbers(name: str, dtype: Any) -> None:
    f = STAYS[name]

    def total(x: Any) -> Any:
        return ad.sum(f(x))

    x = random(2, 3).astype(dtype)
    results = [
        f(x),
        ad.grad(total)(x),
        *ad.jvp(f, (x,), (np.ones_like(x),)),
        ad.jvp(total, (x,), (np.ones(x.shape),))[1],  # a tangent of another dtype is converted
        ad.vjp(total, x)[1](1.0)[0],
        ad.jacobian(f, mode="reverse")(x),
        ad.jacobian(f, mode="forward")(x),
        ad.hvp(total, x, x),
        ad.hessian(total)(x),
        *ad.value_and_grad(total)(x),
    ]
    assert {r.dtype for r in results} == {np.dtype(dtype)}


def test_leaves_of_different_dtypes_keep_theirs() -> None:
    p = {"small": np.ones(2, np.float32), "large": np.ones(2)}
    gradient = ad.grad(lambda p: ad.sum(p["small"] * p["large"] * p["large"]))(p)
    assert (gradient["small"].dtype, gradient["large"].dtype) == (np.float32, np.float64)
    blocks = ad.hessian(lambda p: ad.sum(p["small"] * p["large"] * p["large"]))(p)
    assert blocks["small"]["large"].dtype in (np.float32, np.float64)
    np.testing.assert_array_equal(blocks["large"]["small"], 2 * np.eye(2))


@pytest.mark.parametrize("x", [2.0, np.float64(2.0), np.array(2.0)], ids=["float", "NumPy scalar", "0-d array"])
def test_numbers_as_arguments(x: Any) -> None:
    results = [
        ad.grad(lambda x: x**3)(x),
        ad.value_and_grad(lambda x: x**3)(x)[1],
        ad.jvp(lambda x: x**3, (x,), (1.0,))[1],
        ad.vjp(lambda x: x**3, x)[1](1.0)[0],
        ad.jacobian(lambda x: x**3, mode="reverse")(x),
        ad.jacobian(lambda x: x**3, mode="forward")(x),
        ad.hessian(lambda x: x**3)(x),
        ad.hvp(lambda x: x**3, x, 1.0),
    ]
    assert results == [12.0] * 8
    assert all(np.shape(r) == () and not isinstance(r, ad.Tensor) for r in results)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_empty_arrays(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    assert ad.grad(lambda x: ad.sum(ad.sin(x) * x))(x).shape == shape
    value, gradient = ad.value_and_grad(lambda x: ad.sum(x * 2.0) + 1.0)(x)
    assert value == 1.0 and gradient.shape == shape
    out, tangent = ad.jvp(lambda x: ad.exp(x).T, (x,), (x,))
    assert out.shape == tangent.shape == shape[::-1]
    for mode in ("reverse", "forward"):
        assert ad.jacobian(lambda x: ad.sin(x)[:1], mode=mode)(x).shape == np.zeros(shape)[:1].shape + shape
        assert ad.jacobian(ad.sum, mode=mode)(x).shape == shape
    assert ad.hessian(lambda x: ad.sum(x * x))(x).shape == shape + shape


def test_an_empty_leaf_beside_others() -> None:
    gradient = ad.grad(lambda p: ad.sum(ad.concat([p[0], p[1]]) ** 2))((np.zeros(0), np.ones(2)))
    same_tree(gradient, (np.zeros(0), np.full(2, 2.0)))


def test_mixed_use_of_a_number_as_itself_and_as_an_array() -> None:
    """A cotangent that is a NumPy scalar meets one that adds itself into an array."""

    def f(x: Any) -> Any:
        array = x[None]
        number = x * x
        return number + ad.sum(array) + array[0] * 2.0

    for x in (2.0, np.array(2.0)):
        assert ad.grad(f)(x) == 7.0


# ---- independent outputs and arguments


def test_an_argument_that_is_not_used_has_zero_gradient() -> None:
    same_tree(ad.grad(lambda x, y: ad.sum(y), argnums=(0, 1))(W, B), (np.zeros((3, 3)), np.ones(3)))
    same_tree(ad.grad(lambda p: ad.sum(p["b"]))({"w": W, "b": B}), {"w": np.zeros((3, 3)), "b": np.ones(3)})


def test_a_constant_output_has_zero_derivative_in_vjp_and_jvp() -> None:
    out, pullback = ad.vjp(lambda x: (ad.sum(x), 3.0, np.ones(2), "text"), B)
    same_tree(pullback((1.0, 5.0, np.ones(2), "text"))[0], np.ones(3))
    assert out[1:] == (3.0, pytest.approx([1.0, 1.0]), "text")
    _, tangent = ad.jvp(lambda x: (ad.sum(x), ad.ones(2), np.ones(2)), (B,), (VB,))
    same_tree(tangent, (VB.sum(), np.zeros(2), np.zeros(2)))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_an_independent_output_beside_others_has_a_zero_jacobian(mode: str) -> None:
    blocks = ad.jacobian(lambda x: (ad.sin(x), np.ones(2), ad.zeros(())), mode=mode)(B)
    same_tree(blocks, (np.diag(np.cos(B)), np.zeros((2, 3)), np.zeros(3)))


def test_the_same_output_twice() -> None:
    def f(x: Any) -> Any:
        y = ad.sin(x)
        return y, y, x

    _, pullback = ad.vjp(f, B)
    same_tree(pullback((VB, 2 * VB, B))[0], 3 * VB * np.cos(B) + B)
    _, tangents = ad.jvp(f, (B,), (VB,))
    same_tree(tangents, (VB * np.cos(B), VB * np.cos(B), VB))


def test_one_array_for_two_arguments() -> None:
    same_tree(ad.grad(lambda x, y: ad.sum(x * x * y), argnums=(0, 1))(B, B), (2 * B * B, B * B))


# ---- one vector for a tree


def test_ravel_and_back() -> None:
    tree = {"w": W.astype(np.float32), "b": B, "s": np.array(2.0)}
    vector, unravel = ad.tree.ravel(tree)
    assert vector.shape == (13,) and vector.dtype == np.float64
    back = unravel(vector)
    same_tree(back, tree)
    assert back["w"].dtype == np.float32

    gradient = ad.grad(lambda z: ad.sum(unravel(z)["b"] ** 2) + unravel(z)["s"])(vector)
    same_tree(unravel(gradient), {"w": 0 * W, "b": 2 * B, "s": 1.0})


def test_ravel_of_recorded_tensors_keeps_the_derivative() -> None:
    gradient = ad.grad(lambda p: ad.sum(ad.tree.ravel(p)[0] ** 2) + ad.sum(p["b"]))({"w": W, "b": B})
    same_tree(gradient, {"w": 2 * W, "b": 2 * B + 1})


# ---- how they are computed


def test_products_in_a_hessian_are_products_of_matrices() -> None:
    """Not one matrix-vector product for each direction, which takes three times as long at 100 variables."""
    rng = np.random.default_rng(0)
    A, B, x = rng.normal(size=(5, 4)), rng.normal(size=(3, 5)), rng.normal(size=4)
    f = lambda x: ad.sum(ad.exp(B @ ad.tanh(A @ x)))
    program = ad.compile(ad.hessian(f)).program(x)
    assert all(v.ndim <= 2 for i in program.instructions if i.name == "matmul" for v in i.values())
    same_tree(ad.compile(ad.hessian(f))(x), ad.jacobian(ad.grad(f), mode="reverse")(x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_a_square_is_no_power(dtype: Any) -> None:
    x = np.array([-2, 0, 3], dtype)
    for y in (ad.power(x, 2), ad.compile(lambda x: x**2)(x)):
        assert y.dtype == dtype and np.array_equal(y, x**2)
    if dtype != np.int64:
        same_tree(ad.hessian(lambda x: ad.sum(x**2))(x), 2 * np.eye(3, dtype=dtype))
        assert "isnan" not in str(ad.compile(ad.hessian(lambda x: ad.sum(x**2))).program(x)), "guards against infinite partials"
