"""Tracing: what a program says of a function, and what is refused because a program cannot say it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.engine.updates import assign_in_place, assign_number, assign_row, assign_slice, assign_to_out
from tinyad.kinds import PRIMITIVES
from tinyad.program import Constant, Instruction, Program, Value, evaluate
from tinyad.tracing import Trace, Traced, example_of, trace

X = np.array([1.0, 2.0, 3.0])
XS = np.arange(6.0).reshape(2, 3) + 0.5
HERE = Path(__file__).name


def program_of(f: Callable[..., Any], *examples: Any) -> Program:
    return trace(lambda args: ad.tree.leaves(f(*args)), examples, "vmap")


# ---- refusals: each names what was done, the user's line, and what to do instead


def use_if(x: Any) -> Any:
    if x[0] > 0:
        return x
    return -x


def use_while(x: Any) -> Any:
    while ad.sum(x) < 10:
        x = 2.0 * x
    return x


def use_and(x: Any) -> Any:
    return x[0] > 0 and x[1] > 0


def use_not(x: Any) -> Any:
    return not x[0]


def use_comparison_chain(x: Any) -> Any:
    return 0 < x[0] < 1


def use_builtin_max(x: Any) -> Any:
    return max(x[0], x[1])


def use_in(x: Any) -> Any:
    return x[0] in [5.0, 6.0]


def use_if_of_array(x: Any) -> Any:
    return 1.0 if x.any() else 0.0


def use_float(x: Any) -> Any:
    return float(x[0])


def use_int(x: Any) -> Any:
    return int(x[0])


def use_complex(x: Any) -> Any:
    return complex(x[0])


def use_sqrt(x: Any) -> Any:
    return math.sqrt(x[0])


def use_range(x: Any) -> Any:
    return [k for k in range(x[0].astype(int))]


def use_list(x: Any) -> Any:
    return [1.0, 2.0][x[0].astype(int)]


def use_slice(x: Any) -> Any:
    return x[: x[0].astype(int)]


def use_plain_index(x: Any) -> Any:
    return X[x[0].astype(int)]


def use_plain_index_array(x: Any) -> Any:
    return X[x.astype(int)]


def use_shape(x: Any) -> Any:
    return np.zeros((2, x[0].astype(int)))


def use_item(x: Any) -> Any:
    return x[0].item()


def use_tolist(x: Any) -> Any:
    return x.tolist()


def use_array(x: Any) -> Any:
    return np.array(x)


def use_asarray_of_list(x: Any) -> Any:
    return np.array([x[0], x[1]])


def use_asnumpy(x: Any) -> Any:
    return ad.asnumpy(x)


def use_mask(x: Any) -> Any:
    return x[x > 0]


def use_mask_beside(x: Any) -> Any:
    return x[None, x > 0]


def use_mask_of_no_axes(x: Any) -> Any:
    return x[x[0] > 0]


def use_mask_on_constant(x: Any) -> Any:
    return ad.asarray(X)[x > 0]


def use_mask_of_variable(x: Any) -> Any:
    return ad.grad(lambda y: ad.sum(y[y > 0]))(x)


def use_nonzero(x: Any) -> Any:
    return np.nonzero(x)


def use_nonzero_method(x: Any) -> Any:
    return x.nonzero()


def use_where(x: Any) -> Any:
    return np.where(x > 0)


def use_unique(x: Any) -> Any:
    return np.unique(x)


def use_allclose(x: Any) -> Any:
    return np.allclose(x, X)


def use_array_equal(x: Any) -> Any:
    return np.array_equal(X, x)


def use_array_repr(x: Any) -> Any:
    return np.array_repr(x)


def use_unknown(x: Any) -> Any:
    return np.packbits(x > 0)


def use_unknown_on_list(x: Any) -> Any:
    return np.histogramdd([x, x])


def use_unknown_ufunc(x: Any) -> Any:
    return np.spacing(x)


def use_reduce(x: Any) -> Any:
    return np.divide.reduce(x)


def use_in_gradient(x: Any) -> Any:
    return ad.grad(lambda y: y[0] if y[0] > 0 else y[1])(x)


WHERE = r"Choose elementwise with ad\.where"
REFUSALS: list[tuple[Callable[..., Any], str, str]] = [
    (use_if, "a condition", WHERE), (use_while, "a condition", WHERE), (use_and, "a condition", WHERE),
    (use_not, "a condition", WHERE), (use_comparison_chain, "a condition", WHERE), (use_builtin_max, "a condition", WHERE),
    (use_in, "a condition", WHERE), (use_if_of_array, "a condition", WHERE),
    (use_float, "a Python float", r"ad\.sqrt"), (use_sqrt, "a Python float", r"ad\.sqrt, ad\.exp, .* instead of those of math"),
    (use_int, "a Python int", r"\.astype\(int\)"), (use_complex, "a Python complex", r"\.astype\(complex\)"),
    (use_range, "a Python integer", r"lengths must be known"), (use_list, "a Python integer", r"ad\.stack\(items\)\[i\]"),
    (use_slice, "a Python integer", r"lengths must be known"),
    (use_plain_index, "", r"ad\.asarray\(a\)\[i\]"), (use_plain_index_array, "", r"ad\.asarray\(a\)\[i\]"),
    (use_shape, "a Python integer", r"lengths must be known"),
    (use_item, r"a Python number, by \.item\(\)", "Keep it an array"), (use_tolist, r"a list, by \.tolist\(\)", "Keep it an array"),
    (use_array, "a plain NumPy array", r"ad\.stack"), (use_asarray_of_list, "", r"ad\.stack"),
    (use_asnumpy, "a plain NumPy array", r"ad\.stack"),
    (assign_number, "", r"ad\.where, or fill one made by ad\.zeros, instead of assigning"),
    (assign_row, "", r"ad\.where, or fill one made by ad\.zeros, instead of assigning"),
    (assign_slice, "", r"ad\.where, or fill one made by ad\.zeros, instead of assigning"),
    (assign_in_place, r"an operand of np\.add that is to be written into a plain array", r"a = a \+ x"),
    (assign_to_out, r"an operand of np\.add that is to be written into a plain array", r"a = a \+ x"),
    (use_mask, "a mask to pick elements with", r"ad\.where\(mask, x, 0\)"),
    (use_mask_beside, "a mask to pick elements with", r"ad\.where\(mask, x, 0\)"),
    (use_mask_of_no_axes, "a mask to pick elements with", r"ad\.where\(mask, x, 0\)"),
    (use_mask_on_constant, "a mask to pick elements with", r"ad\.where\(mask, x, 0\)"),
    (use_mask_of_variable, "a mask to pick elements with", r"ad\.where\(mask, x, 0\)"),
    (use_nonzero, r"an operand of np\.nonzero", r"ad\.where\(mask, x, 0\)"),
    (use_nonzero_method, "a mask to pick elements with", r"ad\.where\(mask, x, 0\)"),
    (use_where, r"an operand of np\.nonzero", r"ad\.where\(mask, x, 0\)"),
    (use_unique, r"an operand of (np\.)?unique", r"depends on the values.*ad\.where\(mask, x, 0\)"),
    (use_allclose, r"an operand of np\.allclose", r"ad\.all\(ad\.isclose\(a, b\)\)"),
    (use_array_equal, r"an operand of np\.array_equal", r"ad\.all\(a == b\)"),
    (use_array_repr, r"an operand of np\.array_repr", "functions that tinyad has"),
    (use_unknown, r"an operand of np\.packbits", "functions that tinyad has"),
    (use_unknown_on_list, r"an operand of np\.histogramdd", "functions that tinyad has"),
    (use_unknown_ufunc, r"an operand of np\.spacing", "functions that tinyad has"),
    (use_reduce, r"an operand of np\.divide\.reduce", "functions that tinyad has"),
    (use_in_gradient, "a condition", WHERE),
]  # fmt: skip


@pytest.mark.parametrize(("f", "what", "remedy"), REFUSALS, ids=[row[0].__name__ for row in REFUSALS])
def test_refusal(f: Callable[..., Any], what: str, remedy: str) -> None:
    with pytest.raises(ad.TracingError) as caught:
        ad.vmap(f)(XS)
    message = str(caught.value)
    assert re.search(rf"^vmap: a traced value was used as {what}", message), message
    assert re.search(remedy, message, re.DOTALL), message
    file = Path(f.__code__.co_filename)
    found = re.search(rf'File "[^"]*{file.name}", line (\d+): (.*)', message)
    assert found, message
    line = int(found.group(1))
    start = f.__code__.co_firstlineno
    assert start < line <= start + 4 and file.read_text().splitlines()[line - 1].strip() == found.group(2)
    assert "traced once for all values of the same shape" in message


def test_every_use_is_listed() -> None:
    uses = [f for name, f in globals().items() if name.startswith(("use_", "assign_"))]
    assert {f for f, _, _ in REFUSALS} == set(uses)


def test_a_refusal_is_a_type_error_and_traces_go_on_after_it() -> None:
    assert issubclass(ad.TracingError, TypeError)
    with pytest.raises(ad.TracingError):
        ad.vmap(use_if)(XS)
    assert ad.grad(lambda x: ad.sum(ad.vmap(lambda r: r * r)(x)))(XS).tolist() == (2 * XS).tolist()


def test_other_errors_while_assigning_are_left_alone() -> None:
    with pytest.raises(ValueError, match="setting an array element with a sequence"):
        ad.vmap(lambda x: np.zeros(3).__setitem__(0, [1.0, 2.0]))(XS)


kept: list[Any] = []


@pytest.mark.parametrize(
    "use", [lambda x: x * 2.0, lambda x: x[0] > 0 and True, lambda x: ad.vmap(lambda y: y * x)(XS), float],
    ids=["an operation", "a condition", "in another trace", "float"],
)  # fmt: skip
def test_a_value_kept_after_the_end(use: Callable[..., Any]) -> None:
    kept.clear()
    ad.vmap(lambda x: kept.append(x) or x)(XS)
    with pytest.raises(ad.TracingError, match=r"(?s)^vmap: .*kept after its end and used as .*Return it") as caught:
        use(kept[0])
    assert HERE in str(caught.value)


def test_the_purpose_and_its_remedy_are_named() -> None:
    with Trace("compile", ", or declare it static").open() as current, pytest.raises(ad.TracingError) as caught:
        bool(current.argument(X))
    assert re.search(r"^compile: a traced value.*\n.*\n.*with ad\.where, or declare it static\.$", str(caught.value))


# ---- what may be asked


def test_shapes_and_dtypes_are_known() -> None:
    def f(x: Any) -> Any:
        assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((3,), 1, 3, np.float64, 3)
        assert (np.shape(x), np.ndim(x), np.size(x), np.size(x, 0)) == ((3,), 1, 3, 3)
        assert [part.shape for part in x] == [(), (), ()]
        assert repr(x) == "<traced float64[3]>" == str(x)
        assert repr(ad.asarray(x)) == "Tensor(<traced float64[3]>, dtype=float64)"
        assert x is not None and x != "text" and hash(x) == hash(x)
        with pytest.raises(AttributeError, match="a traced array has no attribute 'array'"):
            _ = x.array
        first, *rest = x
        return first + rest[0] + rest[1]

    np.testing.assert_allclose(ad.vmap(f)(XS), XS.sum(1))


NUMPY: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: np.sum(x, axis=0, keepdims=True), "tanh": lambda x: np.tanh(x), "x.sum()": lambda x: x.sum(),
    "concatenate": lambda x: np.concatenate([x, X, x]), "stack": lambda x: np.stack([x, X]), "dot": lambda x: np.dot(x, X),
    "argmax": lambda x: np.argmax(-x), "argmin": lambda x: np.argmin(-x, axis=0), "argsort": lambda x: np.argsort(-x),
    "argmax, kept": lambda x: np.argmax(np.outer(x, X), axis=1, keepdims=True), "any": lambda x: np.any(x > 3),
    "all": lambda x: np.all(np.outer(x, X) > 1, axis=0), "count_nonzero": lambda x: np.count_nonzero(x > 2),
    "isclose": lambda x: np.isclose(x, 1.5), "methods": lambda x: (x.argmax(), x.argmin(), (x > 3).any(), (x > 0).all()),
    "arrays first": lambda x: X * x + np.float64(2.0) * x - X, "matmul": lambda x: np.ones((2, 3)) @ x,
    "list": lambda x: x * [1, 2, 3],
    "list first": lambda x: np.add([1, 2, 3], x), "where": lambda x: np.where(x > 2, x, 0.0),
    "zeros_like": lambda x: np.zeros_like(x) + x,
    "ones_like": lambda x: ad.ones_like(x), "astype": lambda x: (x.astype(int), x.astype(np.float32), x.astype(bool)),
    "round": lambda x: np.round(x), "masks": lambda x: ~(x > 1) & (x < 3) | (x == 2), "norm": lambda x: np.linalg.norm(x),
    "einsum": lambda x: np.einsum("i,i->", x, X), "solve": lambda x: np.linalg.solve(np.eye(3) * x, x),
    "pad": lambda x: np.pad(x, 1), "std": lambda x: np.std(x), "index": lambda x: x[None, ::-1],
    "list beside a number": lambda x: ad.multiply(x[0], [1.0, 2.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_numpy(name: str) -> None:
    f = NUMPY[name]
    expected = ad.tree.map(lambda *rows: np.stack([ad.asarray(row).array for row in rows]), *[f(x) for x in XS])
    for a, b in zip(ad.tree.leaves(ad.vmap(f)(XS)), ad.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_an_array_index_is_gathered() -> None:
    found = ad.vmap(lambda k: ad.asarray(X)[k])(np.array([2, 0]))
    np.testing.assert_array_equal(found, X[[2, 0]])


# ---- programs


def two_lines(x: Any, w: Any) -> Any:
    y = ad.sin(x) * w
    return ad.sum(y * 2.0)


def test_a_program_is_readable() -> None:
    shown = str(program_of(two_lines, X, X))
    assert shown == "\n".join(
        [
            "inputs   x_0: float64[3], x_1: float64[3]",
            "sin        float64[3] = sin(x_0)",
            "multiply_0 float64[3] = multiply(sin, x_1)",
            "multiply_1 float64[3] = multiply(multiply_0, 2.0)",
            "sum        float64[] = sum(multiply_1, axis=(-1,), keepdims=False)",
            "outputs  sum",
        ]
    )


def test_constants_and_sections_are_shown() -> None:
    program = program_of(lambda x: (ad.grad(lambda y: ad.sum(ad.sin(y) * X))(x), 3.0), X)
    shown = str(program)
    assert "given    c_0: float64[3], c_1: float64[3]" in shown  # X, and its product with the seed, which is 1
    assert "-- backward" in shown and shown.index("-- backward") > shown.index("sin(x)")
    assert shown.endswith("3.0")
    assert str(program_of(lambda x: (), X)).splitlines()[-1] == "outputs  none"


def test_names_are_distinct() -> None:
    program = program_of(lambda x, y: ad.sin(ad.sin(x)) + ad.sin(y) + X + (X + 1.0), X, X)
    text = str(program)
    names = [v.name for v in [*program.inputs, *program.constants()]]
    names += [v.name for i in program.instructions for v in i.outputs]
    assert len(set(names)) == len(names)
    assert str(program) == text  # they stay what they are


def test_numbered_names_do_not_meet_others() -> None:
    values = [Value(name, (), np.dtype(float)) for name in ("a", "a_0", "a", "b")]
    assert (
        str(Program(values, [], [])) == "inputs   a_1: float64[], a_0: float64[], a_2: float64[], b: float64[]\noutputs  none"
    )


def test_pruned() -> None:
    def f(x: Any) -> Any:
        ad.exp(ad.cos(x))
        return ad.sin(x)

    program = program_of(f, X)
    assert [i.name for i in program.instructions] == ["cos", "exp", "sin"]
    assert [i.name for i in program.pruned().instructions] == ["sin"]
    assert [i.name for i in program.instructions] == ["cos", "exp", "sin"]
    several = Instruction(PRIMITIVES["sin"], tuple(program.inputs), {}, (Value("a", (3,), float), Value("b", (3,), float)))
    assert Program(program.inputs, [several], [several.outputs[1]]).pruned().instructions == [several]


def test_a_program_computes_what_the_function_does() -> None:
    program = program_of(lambda x, w: (two_lines(x, w), X * 2.0, 5, ad.grad(two_lines)(x, w)), X, X)
    x, w = X + 0.3, X - 0.7
    found = evaluate(program, [x, w])
    np.testing.assert_array_equal(found[0], two_lines(x, w))
    np.testing.assert_array_equal(found[1], X * 2.0)
    assert found[2] == 5
    np.testing.assert_array_equal(found[3], ad.grad(two_lines)(x, w))
    again = ad.grad(lambda x: evaluate(program, [x, w])[0])(x)
    np.testing.assert_array_equal(again, found[3])


def test_python_numbers_stay_weak() -> None:
    x = np.ones(3, np.float32)
    program = program_of(lambda x: (0.1 * x, x + 1, x**3, 2.0 / x), x)
    assert [v.dtype for v in program.outputs] == [np.float32] * 4
    assert [x for i in program.instructions for x in i.inputs if not isinstance(x, Value)] == [0.1, 1, 3, 2.0]
    assert ad.vmap(ad.grad(lambda x: ad.sum(0.1 * x**2)))(np.ones((2, 3), np.float32)).dtype == np.float32
    with Trace("compile").open() as current:
        rate, array = current.argument(0.1, "rate"), current.argument(x)
        moved = rate * array + (rate * 2 + 1)
        assert moved.dtype == np.float32 and repr(rate) == "<traced number>"
        with pytest.raises(AttributeError, match="a traced number has no attribute 'shape'"):
            _ = rate.shape
    assert "rate: number" in str(current.program([moved]))
    assert evaluate(current.program([moved]), [0.5, x])[0].dtype == np.float32


def line_in_loss(y: Any, x: Any) -> Any:
    z = ad.sin(y * x)
    return ad.sum(z)


def test_sections_and_lines() -> None:
    program = program_of(lambda x: (ad.grad(line_in_loss)(x, X), ad.jvp(ad.exp, (x,), (x,))[1]), X)
    start = line_in_loss.__code__.co_firstlineno
    at = {(i.name, i.section): i.line for i in program.instructions}
    assert at["sin", "forward"] == (__file__, start + 1)
    assert at["sum", "forward"] == (__file__, start + 2)
    assert at["cos", "backward"] == (__file__, start + 1)  # the line that recorded what is differentiated
    assert ("multiply", "tangent") in at
    assert {section for name, section in at if name == "cos"} == {"backward"}
    assert all(line is not None and line[0] == __file__ for line in at.values())


def test_sections_of_rules_of_ones_own_and_of_traces_inside_them() -> None:
    inside: list[Program] = []

    @ad.custom_vjp
    def f(x: Any) -> Any:
        return ad.sin(x)

    def backward(x: Any, g: Any) -> Any:
        inside.append(program_of(lambda y: ad.exp(y), X))
        return (g * ad.cos(x),)

    f.defvjp(lambda x: (ad.sin(x), x), backward)
    program = program_of(lambda x: ad.grad(lambda y: ad.sum(f(y)))(x), X).pruned()
    at = {i.name: (i.section, i.line) for i in program.instructions}
    assert at["cos"] == ("backward", (__file__, backward.__code__.co_firstlineno + 2))
    assert [i.section for i in inside[0].instructions] == ["forward"]  # a function traced within a walk is none of its steps


def test_operations_belong_to_the_youngest_trace() -> None:
    with Trace("outer").open() as outer:
        a = outer.argument(X, "a")
        with Trace("inner").open() as inner:
            b = inner.argument(X, "b")
            product, alone = a * b, a * 2.0
        assert (product.trace, alone.trace) == (inner, outer)
        program = inner.program([product, alone])
        assert [type(v) for v in program.outputs] == [Value, Constant]
        again = evaluate(program, [X])
    assert [type(y) for y in again] == [Traced, Traced] and again[0].trace is outer
    assert [i.name for i in outer.instructions] == ["multiply", "multiply"]
    assert example_of(again[0]).tolist() == (X * X).tolist()


def test_a_constant_array_is_one_constant() -> None:
    program = program_of(lambda x: x * X + X - X, X)
    (constant,) = program.constants()
    np.testing.assert_array_equal(constant.array, X)
    assert not np.shares_memory(constant.array, X), "it may be filled with other numbers later"


def test_the_example_may_be_no_example() -> None:
    """Where a matrix has no inverse the shapes are taken from another one."""
    program = program_of(lambda a: (ad.solve(a, a[0]), ad.cholesky(a)), np.zeros((2, 2)))
    assert [v.shape for v in program.outputs] == [(2,), (2, 2)]
    a = np.array([[2.0, 1.0], [1.0, 3.0]])
    np.testing.assert_allclose(evaluate(program, [a])[1], np.linalg.cholesky(a), rtol=1e-14)


def test_part_of_a_trace_as_a_program() -> None:
    with Trace("vmap").open() as current:
        x, w = current.argument(X), current.argument(X, "w")
        outside = ad.exp(w)
        start = len(current.instructions)
        place = current.placeholder(x)
        y = ad.sin(place) * outside * X
        ad.cos(place)
        body = current.since(start, [place.value], [y])
    assert body.inputs == [place.value, outside.value]
    assert [i.name for i in body.instructions] == ["sin", "multiply", "multiply"]
    np.testing.assert_allclose(evaluate(body, [X, X + 1.0])[0], np.sin(X) * (X + 1.0) * X, rtol=1e-15)
