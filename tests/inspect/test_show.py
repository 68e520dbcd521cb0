"""`ad.show`: the table of the tape and the reverse walk as text and as data."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyad as ad
from tinyad import inspect as shown_by
from tinyad import models


def doubled_square(a):
    b = a + a
    return b * b


def table_of(text):
    """The table without the column of lines, which depends on where this file lies."""
    rows = text.split("\n\n")[1].splitlines()
    return [row[: rows[0].find("line")].rstrip() for row in rows if not row.startswith("---")]


# ---- the table


def test_a_small_tape_as_text(capsys):
    tape = ad.show(doubled_square, 3.0)
    assert capsys.readouterr().out == f"{tape}\n"
    here = doubled_square.__code__.co_firstlineno
    assert str(tape).splitlines() == [
        "tape of doubled_square: 1 input, 2 operations",
        "",
        "id  operation  inputs  result     value  saved   line",
        "-----------------------------------------------------",
        "%0  input      a       float64[]  3",
        f"%1  add        a, a    float64[]  6              test_show.py:{here + 1}  b = a + a",
        f"%2  multiply   %1, %1  float64[]  36     %1, %1  test_show.py:{here + 2}  return b * b",
        "",
        "result: %2",
        "saved: 1 array, 8 bytes",
    ]


def test_constants_arguments_and_parameters():
    offset = np.ones((2, 3))

    def f(params, labels, x):
        z = ad.tanh(x @ params["w"] + offset) - 1.0
        return ad.sum(ad.where(labels, z, 0.0), axis=1, keepdims=True)

    tape = ad.show(f, {"w": np.ones((4, 3))}, np.array([[True], [False]]), np.ones((2, 4), np.float32))
    assert table_of(str(tape)) == [
        "id  operation  inputs             parameters                 result         value                saved",
        "%0  input      params['w']                                   float64[4, 3]",
        "%1  input      x                                             float32[2, 4]",
        "%2  matmul     x, params['w']                                float64[2, 3]                       x, params['w']",
        "%3  add        %2, float64[2, 3]                             float64[2, 3]",
        "%4  tanh       %3                                            float64[2, 3]                       result",
        "%5  subtract   %4, 1.0                                       float64[2, 3]",
        "%6  where      labels, %5, 0.0                               float64[2, 3]                       labels",
        "%7  sum        %6                 axis=(-1,), keepdims=True  float64[2, 1]  [[-0.0002724], [0]]",
    ]


def test_rows_are_data():
    tape = ad.show(lambda x, y: ad.sin(x) * y, np.zeros(2), np.ones(2))
    *_, last = tape.nodes
    assert (last.id, last.operation, last.kind, last.name, last.shape, last.dtype) == (
        3,
        "multiply",
        "elementwise",
        "%3",
        (2,),
        float,
    )
    assert [(x.text, x.id) for x in last.operands] == [("%2", 2), ("y", 1)]
    assert last.saved == ("%2", "y") and last.section == "forward"
    assert last.line[0] == __file__
    assert np.array_equal(tape.value, np.zeros(2)) and tape.steps == [] and tape.gradients == {}


KINDS = {
    "elementwise": lambda x: ad.sin(x),
    "linear": lambda x: ad.sum(x),
    "multilinear": lambda x: ad.einsum("i,i", x, x),
    "general": lambda x: ad.logsumexp(x),
    "call": lambda x: ad.checkpoint(ad.sin)(x),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    assert ad.show(KINDS[kind], np.ones(3)).nodes[1].kind == kind


def test_joins_and_picks_are_linear():
    tape = ad.show(lambda x: ad.scan(lambda c, r: (c + r, c), 0.0, ad.concat([x, np.ones(2)])), np.ones(3))
    assert [(row.operation, row.kind) for row in tape.nodes[1:]] == [
        ("concat", "linear"), ("scan", "call"), ("pick", "linear"), ("pick", "linear"),
    ]  # fmt: skip


# Constants are seen in the frame of the call that records; each way of recording keeps them under names of its own.
CONSTANTS = {
    "unary": (lambda x: ad.sin(x), ["x"]),
    "binary": (lambda x: x + np.ones(3), ["x", "float64[3]"]),
    "binary, a list": (lambda x: [1.0, 2.0, 3.0] - x, ["float64[3]", "x"]),
    "of a constant Tensor": (lambda x: x - ad.ones(3), ["x", "float64[3]"]),
    "several": (lambda x: ad.where(np.array([True, False, True]), x, 7.0), ["bool[3]", "x", "7.0"]),
    "linear": (lambda x: ad.reshape(x, (3, 1)), ["x"]),
    "linear, with constants": (lambda x: x[np.array([0, 2])], ["x", "int64[2]"]),
    "jointly linear": (lambda x: ad.stack([x, np.zeros(3)]), ["x", "float64[3]"]),
    "multilinear": (lambda x: ad.einsum("ij,j->i", np.ones((2, 3)), x), ["float64[2, 3]", "x"]),
    "call": (lambda x: ad.scan(lambda c, r: (c + r, None), 0.5, x)[0], ["float64[] 0.5", "x"]),
}


@pytest.mark.parametrize("way", CONSTANTS)
def test_constants_are_seen(way):
    f, expected = CONSTANTS[way]
    assert [operand.text for operand in ad.show(f, np.ones(3)).nodes[1].operands] == expected


@dataclass
class Affine:
    matrix: np.ndarray
    offsets: list
    name: str = "affine"

    def __call__(self, x):
        return self.matrix @ x + self.offsets[0]


def test_names_of_arguments():
    model = Affine(np.eye(2), [np.zeros(2)])
    inputs = lambda f, *args: [row.name for row in ad.show(f, *args).nodes if row.kind == "input"]
    assert inputs(lambda model, x: model(x), model, np.ones(2)) == ["model.matrix", "model.offsets[0]", "x"]
    assert inputs(model, np.ones(2)) == ["x"]
    assert inputs(lambda first, *others: first + others[1], 1.0, 2.0, 3.0) == ["first", "others[0]", "others[1]"]
    assert inputs(lambda pair: pair[0] * pair[1]["k"], (2.0, {"k": 3.0, "n": 4})) == ["pair[0]", "pair[1]['k']"]
    assert inputs(np.add, 1.0, 2.0) in (["x1", "x2"], ["x0", "x1"])


def test_an_argument_of_integers_is_a_constant_with_its_name():
    tape = ad.show(lambda x, index: ad.sum(x[index]), np.ones(3), np.array([0, 2]))
    assert [operand.text for operand in tape.nodes[1].operands] == ["x", "index"]


def test_results_that_are_trees():
    tape = ad.show(lambda x: {"sum": ad.sum(x), "given": x, "other": 3.0}, np.ones(2))
    assert "result: ['given'] x, ['sum'] %1\n" in str(tape)
    assert float(tape.value["sum"]) == 2.0 and tape.value["other"] == 3.0


def test_a_result_that_does_not_depend_on_the_inputs():
    tape = ad.show(lambda x: 3.0, 1.0)
    assert "result: a constant" in str(tape) and len(tape.nodes) == 1


def test_what_the_result_does_not_need_is_not_on_the_tape():
    def f(x):
        ad.exp(x)
        return ad.sin(x)

    assert [row.operation for row in ad.show(f, 1.0).nodes] == ["input", "sin"]


def test_a_tensor_of_somebody_else_is_a_constant():
    other = ad.tensor([1.0, 2.0])
    tape = ad.show(lambda x: ad.sum(x * other), np.ones(2), backward=True)
    assert [operand.text for operand in tape.nodes[1].operands] == ["x", "outer float64[2]"]
    assert np.array_equal(tape.gradients["x"], [1.0, 2.0]) and other.grad is None
    assert [each.to for each in tape.steps[-1].contributions] == ["x"]


def test_it_may_be_called_where_derivatives_are_taken():
    def f(x):
        ad.show(doubled_square, x)
        return x * x

    assert ad.grad(f)(3.0) == 6.0
    with ad.no_grad():
        assert len(ad.show(doubled_square, 1.0).nodes) == 3


def test_the_tape_of_a_traced_function_has_no_values(capsys):
    assert ad.compile(lambda x: ad.show(doubled_square, x, backward=True).gradients["a"])(np.float64(3.0)) == 24.0
    assert "36" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("f", "total", "arrays"),
    [
        (lambda x: ad.tanh(x), 800, 1),
        (lambda x: x * x, 800, 1),
        (lambda x: ad.exp(x) * x, 1600, 2),
        (lambda x: ad.sin(x)[:10] * 2.0, 800, 1),
        (lambda x: x[:10] * x[90:], 800, 1),  # views keep what they show
        (lambda x: x + x, 0, 0),
    ],
)
def test_saved_bytes_count_each_array_once(f, total, arrays):
    tape = ad.show(f, np.ones(100))
    assert tape.total_saved_bytes == total
    assert f"saved: {arrays} array{'' if arrays == 1 else 's'}, {total} bytes" in str(tape)


def test_megabytes_and_what_is_not_counted():
    text = str(ad.show(lambda x: ad.sum(ad.checkpoint(ad.sin)(x)), np.ones(250_000)))
    assert "2 MB, of which 2 MB are inputs; not counted is what the rules of calls keep for themselves" in text


def test_a_line_of_source_is_shortened_and_not_repeated():
    x = np.ones(2)
    tape = ad.show(
        lambda x: ad.sum(ad.sin(x) * ad.cos(x) + ad.exp(x) - ad.exp(x) * ad.exp(x) / ad.exp(x) + ad.tanh(x) - ad.tanh(x)), x
    )
    lines = re.findall(r"test_show\.py:.*", str(tape))
    assert len(lines) == 1 and len(lines[0]) <= 64 and lines[0].endswith("...")


def test_one_line_for_a_notebook():
    assert repr(ad.show(doubled_square, 1.0)) == "<tape of doubled_square: 1 input, 2 operations>"


# ---- the walk


def test_a_small_walk_as_text():
    text = str(ad.show(doubled_square, 3.0, backward=True))
    assert text[text.index("reverse walk") :].splitlines() == [
        "reverse walk",
        "",
        "%2 = multiply(%1, %1), elementwise",
        "    receives float64[] 1",
        "    to %1: float64[] 6",
        "    to %1: float64[] 6, added to what came from %2",
        "%1 = add(a, a), elementwise",
        "    receives float64[] 12",
        "    to a: float64[] 12",
        "    to a: float64[] 12, added to what came from %1",
        "",
        "gradients",
        "    a: float64[] 24",
    ]


def test_a_walk_that_sums_casts_and_leaves_out():
    def f(x, b, unused):
        return ad.sum(ad.astype(x, np.float64) + b) + 0.0 * ad.stop_gradient(unused)

    text = str(ad.show(f, np.ones((2, 8), np.float32), np.ones(8), 1.0, backward=True))
    assert "to b: float64[2, 8] norm 4, 1 to 1, summed to float64[8]\n" in text
    assert "x: float32[2, 8] norm 4, 1 to 1\n" in text
    assert "unused: zero, nothing arrived" in text


def steps_add_up(tape):
    """Whether what arrives at each node is what was handed to it before, summed to its shape."""
    total = {}
    for step in tape.steps:
        if step.row.id in total:
            assert np.allclose(total[step.row.id], step.cotangent, rtol=1e-12)
        for each in step.contributions:
            part = np.zeros(each.shape)
            if each.cotangent is not None:
                lead = each.cotangent.ndim - len(each.shape)
                part = each.cotangent.sum(axis=tuple(range(lead)))
                axes = tuple(k for k, n in enumerate(each.shape) if part.shape[k] != n)
                part = part.sum(axis=axes, keepdims=True)
            assert bool(each.earlier) <= (each.id in total)
            total[each.id] = total.get(each.id, 0.0) + part
    return total


OPERATIONS = [
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: ad.sin(x) - y,
    lambda x, y: ad.maximum(x, y),
    lambda x, y: x @ ad.matrix_transpose(x) @ y,
    lambda x, y: x + ad.sum(y, axis=0),
    lambda x, y: ad.where(x > y, x, 2.0 * y),
    lambda x, y: x / (1.5 + ad.sum(y * y, axis=1, keepdims=True)),
    lambda x, y: x[::-1] + y[0],
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8),
    st.integers(0, 1000),
)
def test_steps_add_up_to_the_gradient(plan, seed):
    def f(x, y):
        values = [x, y]
        for operation, i, j in plan:
            values.append(operation(values[i % len(values)], values[j % len(values)]))
        return ad.mean(ad.tanh(values[-1])) + ad.sum(x[0] * y)

    x, y = np.random.default_rng(seed).standard_normal((2, 3, 3))
    tape = ad.show(f, x, y, backward=True)
    gradients = ad.grad(f, argnums=(0, 1))(x, y)
    total = steps_add_up(tape)
    for k, (name, g) in enumerate(zip(("x", "y"), gradients, strict=True)):
        assert np.array_equal(tape.gradients[name], g)
        assert np.allclose(total[k], g, rtol=1e-12, atol=1e-14)
    assert [step.row.id for step in tape.steps] == sorted((step.row.id for step in tape.steps), reverse=True)


def test_the_gradient_of_a_network():
    net = models.MLP.create(0, widths=(4, 5, 5, 3))
    x, y = np.random.default_rng(0).standard_normal((6, 4)), np.arange(6) % 3
    loss = lambda net, x, y: models.softmax_cross_entropy(net(x), y)
    tape = ad.show(loss, net, x, y, backward=True)
    assert tape.value == loss(net, x, y)
    for path, g in zip(ad.tree.paths(net), ad.tree.leaves(ad.grad(loss)(net, x, y)), strict=True):
        assert np.array_equal(tape.gradients[f"net{path}"], g)


def test_a_walk_from_cotangents():
    f = lambda x: (2.0 * x, {"sum": ad.sum(x), "fixed": 1.0})
    tape = ad.show(f, np.ones(2), cotangent=(np.array([1.0, 0.0]), {"sum": 3.0, "fixed": 0.0}))
    assert np.array_equal(tape.gradients["x"], [5.0, 3.0])


def test_operations_of_several_results():
    f = lambda x: (lambda last, path: last * ad.sum(path[1:]))(*ad.scan(lambda c, r: (c * r, c + r), 1.0, x))
    x = np.array([0.5, 2.0, 3.0])
    tape = ad.show(f, x, backward=True)
    assert np.array_equal(tape.gradients["x"], ad.grad(f)(x))
    scan = next(step for step in tape.steps if step.row.operation == "scan")
    assert len(scan.cotangent) == 2 and scan.row.shape is None
    assert "receives float64[]" in str(tape)


def assigned(x):
    y = ad.zeros(3)
    y[1] = x * 2.0
    y[0] += y[1]
    return ad.sum(y * y)


def test_assignments_and_complex_numbers():
    tape = ad.show(assigned, 3.0, backward=True)
    assert tape.gradients["x"] == ad.grad(assigned)(3.0) == 48.0
    assert [row.operation for row in tape.nodes].count("put") == 2
    assert np.isclose(ad.show(lambda z: abs(z) ** 2, 3 + 4j, backward=True).gradients["z"], 6 - 8j)


# ---- derivatives inside

NESTED = {  # and the walk that makes nodes of the tape
    "reverse in reverse": (lambda x: ad.sum(ad.grad(lambda y: ad.sum(x * y**3))(x) ** 2), "backward"),
    "forward in reverse": (lambda x: ad.sum(ad.jvp(lambda y: ad.sin(y) * x, (x,), (x,))[1]), "tangent"),
    "another variable": (lambda x: ad.sum(ad.grad(lambda y: ad.sum(ad.exp(x * y)))(np.array([0.5, 0.1])) * x), "backward"),
    "second order": (lambda x: ad.sum(ad.hvp(lambda y: ad.sum(y**4), x, x)), "tangent"),
}


@pytest.mark.parametrize("name", NESTED)
def test_derivatives_inside_are_on_the_tape(name):
    f, section = NESTED[name]
    x = np.array([0.3, 1.2])
    tape = ad.show(f, x, backward=True)
    assert np.array_equal(tape.gradients["x"], ad.grad(f)(x))
    assert {row.section for row in tape.nodes} == {"forward", section}
    walk = {"backward": "reverse walk: ", "tangent": "forward walk: "}[section]
    assert re.search(rf"test_show\.py:\d+  {walk}", str(tape))


def test_a_variable_inside_has_had_its_walk():
    tape = ad.show(NESTED["another variable"][0], np.ones(2), backward=True)
    operands = {operand.text for row in tape.nodes for operand in row.operands}
    assert "inner float64[2]" in operands
    assert "an inner variable" in {each.to for step in tape.steps for each in step.contributions}


# ---- where it breaks


@pytest.mark.parametrize("context", [ad.no_grad, ad.detect_anomaly])
def test_the_step_at_which_infinity_comes_up(context):
    with context():
        text = str(ad.show(lambda x: ad.sqrt(x * 0.0) + x, 1.0, backward=True))
    before, _, after = text.partition("    here a finite cotangent turned into inf or nan\n")
    assert before.endswith("%2 = sqrt(%1), elementwise\n    receives float64[] 1\n    to %1: float64[] inf\n")
    assert after.startswith("%1 = multiply") and "here" not in after


def test_a_rule_that_raises_leaves_the_tape_as_it_was():
    @ad.custom_vjp
    def broken(x):
        return x

    def rule(kept, g):
        raise RuntimeError("from the rule")

    broken.defvjp(lambda x: (x, None), rule)
    recorded = []
    f = lambda x: recorded.append(broken(ad.sin(x))) or recorded[0]
    with pytest.raises(RuntimeError, match="from the rule"):
        ad.show(f, 1.0, backward=True)
    (pick,) = recorded
    sine = pick.node.parents[0].parents[0]
    assert sine.primitive.name == "sin" and "_Watched" not in type(sine.primitive).__name__


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ad.show(3.0, np.ones(2)), TypeError, "show: expected a function, got a float; call it as ad.show(f, x)"),
        (lambda: ad.show(ad.sin), TypeError, "show: no argument holds floating-point numbers, .*given: none"),
        (lambda: ad.show(ad.sin, np.arange(3)), TypeError, r"given: int64\[3\]\. .*astype\(float\)"),
        (lambda: ad.show(ad.sin, np.ones(2), backward=True), ValueError, r"a scalar.*returned float64\[2\]\. .*cotangent="),
        (lambda: ad.show(lambda x: (x, x), 1.0, backward=True), ValueError, "needs a scalar result.*returned a tuple"),
        (lambda: ad.show(lambda x: 1.0, 1.0, backward=True), ValueError, "does not depend on its inputs"),
        (lambda: ad.show(lambda x: x * 1j, 1.0, backward=True), TypeError, "needs a real result"),
        (lambda: ad.show(ad.sin, np.ones(2), cotangent=np.ones(3)), ValueError, r"cotangent: shape \(3,\) given, but \(2,\) exp"),
        (lambda: ad.show(ad.sin, np.ones(2), cotangent=(1.0, 2.0)), ValueError, "cotangent: structure differs"),
        (lambda: ad.show(ad.sin, 1.0, file="tape.jpg"), ValueError, "file='tape.jpg'; expected a name that ends in .svg"),
    ],
)  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error, match=words.replace("(f, x)", r"\(f, x\)")):
        call()


def test_what_the_package_gives():
    assert shown_by.show is ad.show and isinstance(ad.show(ad.sin, 1.0), shown_by.Shown)
