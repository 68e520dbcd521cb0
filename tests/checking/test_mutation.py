"""Mutants carry one mistake each, of the kind they say, and otherwise behave as the function they come from."""

import functools
import inspect
import linecache

import numpy as np
import pytest

from tinyad.checking.edits import FAMILIES
from tinyad.checking.mutation import mutants

# ---- functions to make mistakes in; each in one family's way

SCALE = 3.0


def products(cache, dy):
    a, b = cache
    da = dy * b / 2
    db = -dy * a
    return da, db


def sums(cache, dy):
    y = cache
    return dy * (1 - y**2) + y


def matrices(cache, dy):
    x, w = cache
    dx = dy @ w.T
    dw = x.transpose(1, 0) @ dy
    return dx, dw


def axes(cache, dy):
    x, mean = cache
    centred = x - np.mean(x, axis=1, keepdims=True)
    return dy.sum(0) * centred.max(axis=(0, 1)) + mean[:, None] / x.shape[0]


def lengths(cache, dy):
    n, d = cache.shape
    return dy / n + np.zeros((n, d))


def statements(cache, dy):
    index, x = cache
    dx = np.zeros_like(x)
    np.add.at(dx, index, dy)
    dx += x
    for t in range(1, len(index)):
        dx[t] += x[t - 1]
    dx[x > 0] = 0
    return dx


def calls(cache, dy):
    return np.where(cache > 0, np.exp(cache), np.sin(cache)) * helper(dy)


def letters(cache, dy):
    return np.einsum("ij,kj->ik", cache, dy), dy.transpose(0, 2, 1), np.var(dy, ddof=1), ~cache


def helper(dy):
    return SCALE * dy


def edits(function, *families, **options):
    """What the mutants of these families change into what."""
    return [(mutant.before, mutant.after) for mutant in mutants(function, families=families, **options)]


# A function, a family, and all of its edits in the function. A removed statement is "".
EDITS = [
    (
        products,
        "drop factor",
        [("dy * b / 2", "dy * b"), ("dy * b", "dy"), ("dy * b", "b"), ("-dy * a", "-dy"), ("-dy * a", "-a")],
    ),
    (products, "drop minus", [("-dy", "dy")]),
    (products, "negate", [("dy * b / 2", "-(dy * b / 2)"), ("-dy * a", "-(-dy * a)"), ("da", "-da"), ("db", "-db")]),
    (products, "change constant", [("2", "1"), ("2", "3")]),
    (products, "exchange returned", [("return (da, db)", "return (db, da)")]),
    (products, "return twice", [("return (da, db)", "return (da, da)"), ("return (da, db)", "return (db, db)")]),
    (
        products,
        "exchange names",
        [("dy", "a"), ("dy", "b"), ("b", "dy"), ("b", "a"), ("dy", "a"), ("dy", "b"), ("a", "b"), ("a", "dy")],
    ),
    (
        sums,
        "drop term",
        [
            ("dy * (1 - y ** 2) + y", "dy * (1 - y ** 2)"),
            ("dy * (1 - y ** 2) + y", "y"),
            ("1 - y ** 2", "1"),
            ("1 - y ** 2", "-y ** 2"),
        ],
    ),
    (sums, "drop one minus", [("1 - y ** 2", "y ** 2")]),
    (sums, "change constant", [("1", "2"), ("2", "1"), ("2", "3")]),
    (sums, "one for gy", [("dy", "np.ones_like(dy)")]),
    (matrices, "drop transpose", [("w.T", "w"), ("x.transpose(1, 0)", "x")]),
    (matrices, "add transpose", [("dy @ w.T", "dy.T @ w.T"), ("x.transpose(1, 0) @ dy", "x.transpose(1, 0) @ dy.T")]),
    (matrices, "exchange operands", [("dy @ w.T", "w.T @ dy"), ("x.transpose(1, 0) @ dy", "dy @ x.transpose(1, 0)")]),
    (
        matrices,
        "drop factor",
        [
            ("dy @ w.T", "dy"),
            ("dy @ w.T", "w.T"),
            ("x.transpose(1, 0) @ dy", "x.transpose(1, 0)"),
            ("x.transpose(1, 0) @ dy", "dy"),
        ],
    ),
    (axes, "drop keepdims", [("np.mean(x, axis=1, keepdims=True)", "np.mean(x, axis=1)")]),
    (
        axes,
        "change axis",
        [
            ("np.mean(x, axis=1, keepdims=True)", "np.mean(x, axis=0, keepdims=True)"),
            ("np.mean(x, axis=1, keepdims=True)", "np.mean(x, keepdims=True)"),
            ("dy.sum(0)", "dy.sum(1)"),
            ("dy.sum(0)", "dy.sum()"),
            ("centred.max(axis=(0, 1))", "centred.max(axis=1)"),
            ("centred.max(axis=(0, 1))", "centred.max(axis=0)"),
            ("centred.max(axis=(0, 1))", "centred.max()"),
        ],
    ),
    (
        axes,
        "add keepdims",
        [("dy.sum(0)", "dy.sum(0, keepdims=True)"), ("centred.max(axis=(0, 1))", "centred.max(axis=(0, 1), keepdims=True)")],
    ),
    (axes, "sum for mean", [("np.mean(x, axis=1, keepdims=True)", "np.sum(x, axis=1, keepdims=True)")]),
    (axes, "mean for sum", [("dy.sum(0)", "dy.mean(0)")]),
    (axes, "min for max", [("centred.max(axis=(0, 1))", "centred.min(axis=(0, 1))")]),
    (
        axes,
        "drop call",
        [("np.mean(x, axis=1, keepdims=True)", "x"), ("dy.sum(0)", "dy"), ("centred.max(axis=(0, 1))", "centred")],
    ),
    (axes, "change new axis", [("mean[:, None]", "mean"), ("mean[:, None]", "mean[None, :]")]),
    (axes, "other length", [("x.shape[0]", "x.shape[1]"), ("x.shape[0]", "x.size")]),
    (lengths, "other length", [("n", "d")]),
    (
        statements,
        "forget repeats",
        [("np.add.at(dx, index, dy)", "dx[index] += dy"), ("np.add.at(dx, index, dy)", "dx[index] = dy")],
    ),
    (
        statements,
        "drop statement",
        [("np.add.at(dx, index, dy)", ""), ("dx += x", ""), ("dx[t] += x[t - 1]", ""), ("dx[x > 0] = 0", "")],
    ),
    (statements, "assign for add", [("dx += x", "dx = x"), ("dx[t] += x[t - 1]", "dx[t] = x[t - 1]")]),
    (statements, "add for assign", [("dx[x > 0] = 0", "dx[x > 0] += 0")]),
    (
        statements,
        "swap operator",
        [
            ("dx += x", "dx -= x"),
            ("dx += x", "dx *= x"),
            ("dx[t] += x[t - 1]", "dx[t] -= x[t - 1]"),
            ("dx[t] += x[t - 1]", "dx[t] *= x[t - 1]"),
        ],
    ),
    (statements, "change comparison", [("x > 0", "x < 0"), ("x > 0", "x >= 0")]),
    (
        statements,
        "off by one",
        [
            ("range(1, len(index))", "range(2, len(index))"),
            ("range(1, len(index))", "range(1, len(index) - 1)"),
            ("dx[t]", "dx[t + 1]"),
            ("dx[t]", "dx[t - 1]"),
            ("x[t - 1]", "x[t]"),
            ("x[t - 1]", "x[t - 2]"),
        ],
    ),
    (calls, "drop call", [("np.exp(cache)", "cache"), ("np.sin(cache)", "cache"), ("helper(dy)", "dy")]),
    (calls, "cos for sin", [("np.sin(cache)", "np.cos(cache)")]),
    (
        calls,
        "exchange branches",
        [
            ("np.where(cache > 0, np.exp(cache), np.sin(cache))", after)
            for after in ("np.where(cache > 0, np.sin(cache), np.exp(cache))", "np.exp(cache)", "np.sin(cache)")
        ],
    ),
    (
        letters,
        "change subscripts",
        [
            ("np.einsum('ij,kj->ik', cache, dy)", "np.einsum('ji,kj->ik', cache, dy)"),
            ("np.einsum('ij,kj->ik', cache, dy)", "np.einsum('ij,jk->ik', cache, dy)"),
            ("np.einsum('ij,kj->ik', cache, dy)", "np.einsum('ij,kj->ki', cache, dy)"),
        ],
    ),
    (letters, "change permutation", [("dy.transpose(0, 2, 1)", f"dy.transpose{to}") for to in ((2, 0, 1), (0, 1, 2))]),
    (letters, "drop ddof", [("np.var(dy, ddof=1)", "np.var(dy)")]),
    (letters, "drop not", [("~cache", "cache")]),
]


@pytest.mark.parametrize(("function", "family", "expected"), EDITS, ids=lambda part: getattr(part, "__name__", None))
def test_the_edits_of_a_family(function, family, expected):
    assert edits(function, family) == expected


def test_upstream_gradient_is_replaced_at_every_use_and_throughout():
    uses = edits(products, "one for gy")
    assert uses == [("dy", "np.ones_like(dy)")] * 3
    throughout = mutants(products, families=["one for gy"])[0].function((5.0, 7.0), 10.0)
    assert throughout == (3.5, -5.0)


def test_slices_move_by_one_and_a_bound_at_an_end_goes():
    assert edits(slices, "off by one") == [
        ("dy[1:]", "dy[2:]"), ("dy[1:]", "dy[0:]"), ("cache[:-1]", "cache[:]"), ("cache[:-1]", "cache[:-2]"),
        ("cache[0:]", "cache[1:]"), ("cache[2]", "cache[3]"), ("cache[2]", "cache[1]"),
    ]  # fmt: skip


def slices(cache, dy):
    return dy[1:] * cache[:-1] + cache[0:] * cache[2]


def test_a_value_assigned_again_is_added_or_kept():
    assert edits(assigned_again, "add for assign", "drop statement") == [
        ("dy = dy * cache", "dy += dy * cache"),
        ("dy = dy * cache", ""),
    ]


def assigned_again(cache, dy):
    dy = dy * cache
    return dy


# ---- what a mutant says of itself


def test_line_and_variable():
    first = inspect.getsourcelines(two_results)[1]
    found = {(mutant.before, mutant.line - first, mutant.variable) for mutant in mutants(two_results)}
    assert ("dy * w", 3, "dx") in found
    assert ("dy - 1", 4, "b") in found
    assert ("x + 1", 4, "a") in found
    assert ("dx > 0", 5, "the condition") in found
    assert ("np.add.at(dx, [0], dy)", 6, "dx") in found
    assert ("-dx", 7, "the first returned value") in found
    assert ("a / b", 7, "the second returned value") in found
    assert ("a * b", 8, "the return value") in found


def two_results(cache, dy):
    "A docstring."
    x, w = cache
    dx = dy * w
    a, b = x + 1, dy - 1
    if dx > 0:
        np.add.at(dx, [0], dy)
        return -dx, a / b
    return a * b


def test_entries_of_dictionaries_are_returned_values_too():
    assert edits(returned_by_name, "exchange returned") == [
        ("return {'w': dy, 'b': cache}", "return {'w': cache, 'b': dy}"),
    ]
    written = {mutant.variable for mutant in mutants(returned_by_name, families=["change constant"])}
    assert written == {"grads['b']"}


def returned_by_name(cache, dy, grads=None):
    grads["b"] = 2
    return {"w": dy, "b": cache}


def test_only_operator_swaps_between_signs_and_only_known_names_are_realistic():
    unrealistic = {(mutant.family, mutant.before, mutant.after) for mutant in mutants(sums) if not mutant.realistic}
    assert ("swap operator", "dy * (1 - y ** 2)", "dy / (1 - y ** 2)") in unrealistic
    assert {family for family, _, _ in unrealistic} == {"swap operator", "exchange names"}
    assert [mutant.after for mutant in mutants(sums, families=["swap operator"]) if mutant.realistic] == [
        "dy * (1 - y ** 2) - y",
        "1 + y ** 2",
    ]


def test_axes_lengths_messages_and_assertions_are_not_calculated_with():
    assert edits(not_arithmetic, "change constant", "drop minus") == [("4", "1"), ("4", "5"), ("4", "3")]


def not_arithmetic(cache, dy):
    assert dy.ndim == 2, "two axes" + "1"
    if dy is None:
        raise ValueError("2" + "3")
    filled = np.zeros((5, cache.size - 1))
    return dy.reshape(-1, 2 + 3).sum(axis=-1) + np.repeat(4 * filled, 7, axis=-1) + f"{3 + 1}"


# ---- what holds of all mutants


@pytest.mark.parametrize("function", [products, sums, matrices, axes, lengths, statements, calls, letters])
def test_mutants_are_different_and_in_the_same_order_every_time(function):
    first, second = mutants(function), mutants(function)
    described = [(m.family, m.line, m.before, m.after, m.variable) for m in first]
    assert described == [(m.family, m.line, m.before, m.after, m.variable) for m in second]
    assert all(m.before != m.after for m in first)
    codes = {(m.function.__code__.co_code, m.function.__code__.co_consts, m.function.__code__.co_names) for m in first}
    assert len(codes) > 0.9 * len(first)  # `d = d + e` and `d += e` may have one code


def test_the_original_is_left_alone():
    before = products((2.0, 3.0), 5.0)
    mutants(products)
    assert products((2.0, 3.0), 5.0) == before
    assert products.__code__.co_filename == __file__


def test_every_family_occurs_in_these_tests():
    functions = [products, sums, matrices, axes, lengths, statements, calls, letters, slices, assigned_again, sisters]
    found = {mutant.family for function in functions for mutant in mutants(function)}
    assert found == set(FAMILIES)


def sisters(cache, dy):
    extremes = cache.min(), np.maximum(cache, dy), np.minimum(cache, dy), dy.argmax(), dy.argmin(), np.mean(dy), np.std(dy)
    return extremes, np.cos(dy), np.sinh(dy), np.tril(dy), np.cosh(dy), np.triu(dy)


# ---- the surroundings of the original


def made_with(weight):
    def scaled(cache, dy, *, offset=0.25):
        return dy * cache * weight * SCALE + offset

    return scaled


def test_closure_globals_and_defaults_are_kept():
    [dropped] = [m for m in mutants(made_with(7.0)) if m.after == "dy * cache * weight"]
    assert dropped.function(2.0, 5.0) == 2.0 * 5.0 * 7.0 + 0.25
    assert dropped.function(2.0, 5.0, offset=0.0) == 2.0 * 5.0 * 7.0
    [without] = [m for m in mutants(made_with(7.0)) if m.after == "dy * cache"]
    assert without.function(2.0, 5.0) == 2.0 * 5.0 * SCALE + 0.25  # weight is no longer in the closure


class Base:
    def backward(self, dy):
        return dy


class Layer(Base):
    def __init__(self):
        self.__scale = 3.0
        self.grads = {}

    def backward(self, dy):
        self.grads["w"] = dy * self.__scale
        return super().backward(dy) * 2


def test_methods_stay_bound_and_keep_private_names_and_super():
    layer = Layer()
    for mutant in mutants(layer.backward, families=["drop factor"]):
        assert mutant.function(5.0) == (5.0 if mutant.after == "super().backward(dy)" else 2.0 if mutant.after == "2" else 10.0)
        assert layer.grads["w"] == {"dy": 5.0, "self.__scale": 3.0}.get(mutant.after, 15.0)
    assert {m.variable for m in mutants(Layer.backward, families=["drop factor"])} == {"self.grads['w']", "the return value"}
    assert [m.before for m in mutants(layer.backward, families=["one for gy"], upstream=0)] == ["dy"] * 3


def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        raise AssertionError("the function inside is wanted")

    return wrapper


@logged
def decorated(cache, dy):
    return dy * cache


def test_of_a_decorated_function_the_one_inside_is_changed():
    assert [m.function(2.0, 5.0) for m in mutants(decorated, families=["drop factor"])] == [5.0, 2.0]


def test_a_text_of_several_lines_in_an_indented_function():
    def inner(cache, dy):
        text = """
at the margin"""
        return dy * cache, text

    [first, _] = mutants(inner, families=["drop factor"])
    assert first.function(2.0, 5.0) == (5.0, "\nat the margin")


def test_numpy_imported_inside_the_function():
    def inner(cache, dy):
        import numpy as onp

        return onp.sum(dy * cache, 0)

    assert edits(inner, "mean for sum", "one for gy") == [
        ("onp.sum(dy * cache, 0)", "onp.mean(dy * cache, 0)"),
        ("dy", "onp.ones_like(dy)"),
    ]


def test_the_position_of_the_upstream_gradient():
    assert edits(products, "one for gy", upstream=0) == [("cache", "np.ones_like(cache)")]
    assert edits(products, "one for gy", upstream=None) == []


# ---- refusals


def test_lambdas_and_what_is_not_written_in_python_are_refused():
    with pytest.raises(TypeError, match="function is a lambda; expected a function written with def"):
        mutants(lambda cache, dy: dy)
    for function in (np.sin, len, functools.partial(products, 1), 3, Layer):
        with pytest.raises(TypeError, match="expected a function written in Python"):
            mutants(function)


def test_functions_without_source_are_refused():
    made = {}
    exec("def backward(cache, dy):\n    return dy", made)
    with pytest.raises(ValueError, match="no source was found for backward"):
        mutants(made["backward"])


def test_the_source_of_a_mutant_is_not_taken_for_that_of_the_original():
    linecache.checkcache()
    with pytest.raises(ValueError, match="no source was found for products"):
        mutants(mutants(products)[0].function)


def test_unknown_families_and_positions_are_refused():
    with pytest.raises(ValueError, match="families names 'drop everything'; expected some of drop factor, drop term"):
        mutants(products, families=["drop everything"])
    with pytest.raises(ValueError, match="upstream=2, but products has 2 positional parameters"):
        mutants(products, upstream=2)
