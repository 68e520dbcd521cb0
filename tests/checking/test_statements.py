"""What is said of a mistake is exact: formulas, axes, numbers and hints; and what nearly fits is not said."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.checking.scoring import check
from tinyad.checking import shapes
from tinyad.checking.diagnoses import factors, named_arrays, whole


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def said(forward: Any, backward: Any, *inputs: Any, **options: Any) -> ad.Diagnosis:
    """The first thing that is said of a wrong rule."""
    report = check(forward, backward, *inputs, **options)
    assert not report.passed
    return report.diagnoses[0]


# ---- formulas

NAMES = {"exp": np.exp, "sin": np.sin, "cos": np.cos, "sqrt": np.sqrt, "log": np.log, "sign": np.sign, "tanh": np.tanh}
NAMES |= {"sigmoid": lambda t: 1 / (1 + np.exp(-t)), "abs": np.abs}
TABLES = {"factors": named_arrays.FUNCTIONS, "of outputs": factors.OF_OUTPUT, "lengths": whole.POWERS}


@pytest.mark.parametrize("table", TABLES)
def test_formulas_are_what_they_say(table: str) -> None:
    t = np.array([1.25, 2.5, 7.0])
    for text, function in TABLES[table].items():
        shown = text.replace("|{}|", "abs({})").format("t")
        values = np.array([function(value) for value in t])
        np.testing.assert_allclose(values, eval(shown, NAMES | {"t": t}), rtol=1e-12, err_msg=text)


# ---- factors of the whole gradient

HINTS = {
    2.0: "a square", 0.5: "used twice and counted once", 3.0: "an exponent", 1 / 3: "one of three uses", 4.0: "twice too often",
    0.25: "missing twice", 7.5: "a constant factor is wrong",
}  # fmt: skip


@pytest.mark.parametrize("c", HINTS)
def test_a_constant_factor_has_its_hint(c: float) -> None:
    found = said(lambda x: (np.sin(x), x), lambda x, gy: c * np.cos(x) * gy, normal(5, 11))
    assert (found.id, found.args["c"]) == ("D23", pytest.approx(c))
    assert HINTS[c] in found.hint


@pytest.mark.parametrize(
    ("shape", "axes", "length"),
    [
        ((5, 3, 7), (0,), "x.shape[0]"),
        ((5, 3, 7), (2,), "x.shape[2]"),
        ((5, 3, 7), (0, 2), "x.shape[0]*x.shape[2]"),
        ((5, 3, 7), (0, 1, 2), "x.size"),
        ((5, 3), (0, 1), "x.size"),
        ((11,), (0,), "x.shape[0]"),
    ],
    ids=str,
)
def test_a_mean_without_its_division_names_the_length(shape: tuple[int, ...], axes: tuple[int, ...], length: str) -> None:
    found = said(lambda x: (x.mean(axis=axes), x), lambda x, gy: np.ones_like(x) * np.expand_dims(gy, axes), normal(*shape))
    assert found.id == "D24"
    assert f"= {length}" in found.fact


# ---- what moved


def move(array: Any, by: int, fill: str) -> Any:
    """Shift along the first axis; zeros, the other end, or the edge once more move in."""
    if fill == "other end":
        return np.roll(array, by, axis=0)
    width = [(max(by, 0), max(-by, 0)), *[(0, 0)] * (array.ndim - 1)]
    padded = np.pad(array, width, mode="edge" if fill == "edge" else "constant")
    return padded[: len(array)] if by > 0 else padded[-len(array) :]


@pytest.mark.parametrize("fill", ["zeros", "other end", "edge"])
@pytest.mark.parametrize("by", [1, -1, 2])
def test_a_shifted_gradient_says_how_far_and_where(by: int, fill: str) -> None:
    found = said(lambda x: (x**2, x), lambda x, gy: move(2 * x * gy, by, fill), normal(7, 3))
    assert found.id == "D28"
    assert found.args == {"axis": 0, "by": by}
    assert f"{abs(by)} place{'s' * (abs(by) > 1)} {'up' if by > 0 else 'down'} along axis 0" in found.fact


@pytest.mark.parametrize("fill", ["zeros", "other end"])
@pytest.mark.parametrize("by", [1, -1])
def test_an_axis_of_three_is_long_enough_to_be_shifted(by: int, fill: str) -> None:
    found = said(lambda x: (x**2, x), lambda x, gy: move(2 * x * gy, by, fill), normal(3, 5))
    assert (found.id, dict(found.args)) == ("D28", {"axis": 0, "by": by})


@pytest.mark.parametrize(("length", "by", "is_one"), [(4, 1, True), (3, 1, False), (7, 3, True), (6, 3, False)])
def test_most_of_a_shifted_gradient_must_not_have_moved_in(length: int, by: int, is_one: bool) -> None:
    found = said(lambda x: (x**2, x), lambda x, gy: move(2 * x * gy, by, "edge"), normal(length, 5))
    assert (found.id == "D28") == is_one


def test_an_index_that_is_off_says_by_how_much() -> None:
    a, b = normal(5), normal(6)
    found = said(lambda a, b: (np.concatenate([a, b]), None), lambda c, gy: (gy[6:], gy[5:].copy()), a, b)
    assert found.id == "D28"
    assert "index is off by 6" in found.fact


# ---- cross terms


def softmax(x: Any) -> tuple[Any, Any]:
    e = np.exp(x - x.max())
    return e / e.sum(), e / e.sum()


@pytest.mark.parametrize(("size", "id"), [(2, False), (3, True), (6, True)])
def test_no_cross_terms_are_told_from_three_outputs_on(size: int, id: bool) -> None:
    found = said(softmax, lambda y, gy: gy * y * (1 - y), normal(size))
    assert (found.id == "D34") == id


# ---- factors and terms of entries


@pytest.mark.parametrize(
    ("axes", "named"), [((1,), "over axis 1"), ((0, 2), "over axes (0, 2)"), ((0, 1, 2), "over all")], ids=str
)
def test_a_norm_that_is_missing_names_its_axes(axes: tuple[int, ...], named: str) -> None:
    def forward(x: Any) -> tuple[Any, Any]:
        norm = np.sqrt((x**2).sum(axis=axes, keepdims=True))
        return 2 * x, norm

    found = said(forward, lambda norm, gy: 2 * gy * norm, normal(3, 4, 5))
    assert f"(norm x {named})" in found.fact


@pytest.mark.parametrize("forward", [lambda x: (x**3, x), lambda x: ((x**3).sum(axis=1, keepdims=True), x)])
def test_a_term_too_many_is_named(forward: Callable[[Any], Any]) -> None:
    found = said(forward, lambda x, gy: (3 * x**2 + np.cos(x)) * gy, normal(5, 4))
    assert (found.id, found.args["term"]) == ("D46", "cos(x)")
    assert found.fact.endswith("by cos(x)")


def test_a_mean_that_is_not_subtracted_names_its_axis() -> None:
    found = said(lambda x: (x.var(axis=1), x), lambda x, gy: gy[:, None] * 2 * x / x.shape[1], normal(4, 5))
    assert (found.id, found.args["axes"]) == ("D50", [1])
    assert "the same for all entries along axis 1" in found.fact


@pytest.mark.parametrize(("size", "are_terms"), [(3, False), (5, True)])
def test_two_terms_are_told_where_they_are_not_all_there_is(size: int, are_terms: bool) -> None:
    """Of three outputs with two wrong ones every mistake is two terms."""
    m = normal(size, size)
    wrong = m + (np.arange(size) < 2)[:, None] * normal(size, size, seed=1)
    found = said(lambda x: (np.tanh(m @ x), m @ x), lambda z, gy: wrong.T @ (gy / np.cosh(z) ** 2), normal(size))
    assert (found.id == "D47") == are_terms


def test_a_derivative_is_not_looked_for_outside_the_domain() -> None:
    x = np.linspace(0.2, 0.9, 12).reshape(3, 4)  # the logarithm of their logarithms is none
    assert said(lambda x: (np.log(x), x), lambda x, gy: gy / (x + 0.3), x).id == "D57"


def test_a_term_of_all_of_gy_is_so_small_a_part_wrong() -> None:
    def forward(x: Any) -> tuple[Any, Any]:
        return x[1:] * (x**2).sum(), x

    def backward(x: Any, gy: Any) -> Any:
        return np.concatenate([[0.0], gy * (x**2).sum()])

    found = said(forward, backward, normal(6))
    assert found.id == "D49"
    assert found.residual is not None
    assert found.residual < 1e-6


FACTORS: dict[str, Callable[[Any, Any], Any]] = {
    "x": lambda x, y: x, "1/x": lambda x, y: 1 / x, "1/y": lambda x, y: 1 / y, "x**2": lambda x, y: x**2,
    "exp(-x)": lambda x, y: np.exp(-x), "3 * x": lambda x, y: 3 * x, "1/(1 + x**2)": lambda x, y: 1 / (1 + x**2),
}  # fmt: skip


@pytest.mark.parametrize("factor", FACTORS)
def test_a_factor_of_entries_is_named(factor: str) -> None:
    found = said(
        lambda x: (x**3 + 2, (x, x**3 + 2)),
        lambda cache, gy: 3 * cache[0] ** 2 * FACTORS[factor](*cache) * gy,
        normal(5, 4),
    )
    assert (found.id, found.fact) == ("D44", f"the right gradient times {factor}")


STATISTICS: dict[str, Callable[[Any], Any]] = {
    "norm": lambda x: np.sqrt((x**2).sum(axis=1, keepdims=True)), "rms": lambda x: np.sqrt((x**2).mean(axis=1, keepdims=True)),
    "std": lambda x: x.std(axis=1, keepdims=True),
    "max": lambda x: x.max(axis=1, keepdims=True), "sum of exp of": lambda x: np.exp(x).sum(axis=1, keepdims=True),
}  # fmt: skip


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_factor_of_rows_is_named(statistic: str) -> None:
    found = said(lambda x: (2 * x, x), lambda x, gy: 2 * gy * STATISTICS[statistic](x), normal(4, 5))
    assert found.id == "D45"
    assert found.fact.split("times ")[1] in (f"({statistic} x over axis 1)", f"sqrt(5) * ({statistic} x over axis 1)")


MASKS: dict[str, tuple[Any, Any, str]] = {
    "zero": (
        lambda a, b: np.where(a > 0, a, 0.1 * a),
        lambda a, b: 1.0 * (a > 0),
        "wrong exactly where a < 0, where it is zero",
    ),
    "exchanged": (
        lambda a, b: np.where(a > 0, a, 0.1 * a),
        lambda a, b: np.where(a > 0, 0.1, 1.0),
        "10 times the right gradient where a < 0, 1/10 times elsewhere",
    ),
    "of two": (
        lambda a, b: np.where(a > b, 3 * a, a) - b,
        lambda a, b: np.where(a > b, 6.0, 1.0),
        "wrong exactly where a > b, where it is 2 times the right one",
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_branch_is_named_with_its_factor(name: str) -> None:
    function, slope, fact = MASKS[name]
    found = said(lambda a, b: (function(a, b), (a, b)), lambda c, gy: (gy * slope(*c), -gy), normal(6, 3), normal(6, 3, seed=1))
    assert (found.id, found.fact) == ("D35", fact)


def test_an_array_has_its_name_before_a_condition_on_it() -> None:
    signs = np.array([1, -1, 1, 1, -1, -1, 1])
    found = said(lambda x, k: (x**2 * k, (x, k)), lambda cache, gy: (2 * cache[0] * gy, None), normal(7), signs)
    assert found.fact == "the right gradient times k"


@pytest.mark.parametrize(("reduced", "off"), [(True, "1/6"), (False, "1")])
def test_a_target_that_is_missing_says_by_how_much_for_an_upstream_gradient_of_one(reduced: bool, off: str) -> None:
    def forward(z: Any, target: Any) -> tuple[Any, Any]:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        losses = -np.log(p[np.arange(len(z)), target])
        return (losses.mean() if reduced else losses), p

    def backward(p: Any, gy: Any) -> Any:
        return gy * p / len(p) if reduced else gy[:, None] * p

    found = said(forward, backward, normal(6, 4), np.array([0, 1, 3, 1, 2, 0]))
    assert (found.id, found.fact) == ("D51", f"wrong at one entry of each row, by {off}")


# ---- operands


def test_a_wrong_column_of_two_is_no_target() -> None:
    def backward(x: Any, gy: Any) -> Any:
        return gy * (3 * x**2 + np.cos(x) * np.array([1.0, 0.0]))

    assert said(lambda x: (x**3, x), backward, normal(6, 2)).id != "D51"


def test_a_transpose_that_is_missing_names_the_operand() -> None:
    def backward(cache: Any, gy: Any) -> Any:
        x, w = cache
        return (w @ gy) * (1 - np.tanh(x) ** 2), np.outer(gy, np.tanh(x))

    found = said(lambda x, w: (w @ np.tanh(x), (x, w)), backward, normal(4), normal(4, 4))
    assert (found.id, found.fact) == ("D52", "right if w were transposed")


# ---- the way back over the tape of forward


def product_of_two_uses(x: Any) -> tuple[Any, Any]:
    a = np.sin(x)
    b = np.cumsum(x)
    return a * b, (x, a, b)


def through_the_first(cache: Any, gy: Any) -> Any:
    x, _, b = cache
    return gy * np.cos(x) * b


def through_the_last(cache: Any, gy: Any) -> Any:
    _, a, _ = cache
    return np.cumsum((gy * a)[::-1])[::-1]


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize(
    ("backward", "constant", "use"), [(through_the_first, "b", "first"), (through_the_last, "a", "last")], ids=["first", "last"]
)
def test_a_use_that_is_missing_is_named_with_its_line(backward: Any, constant: str, use: str, size: float) -> None:
    def scaled(x: Any) -> tuple[Any, Any]:
        y, cache = product_of_two_uses(x)
        return size * y, cache

    found = said(scaled, lambda cache, gy: size * backward(cache, gy), normal(5))
    assert (found.id, found.tier) == ("D46", 2)
    assert f"when `{constant}` (test_statements.py:" in found.fact
    assert f"only the {use} use of input 0 counts" in found.explain
    assert found.residual is not None
    assert found.residual < 1e-10


def test_uses_are_those_of_the_input_that_is_named() -> None:
    def second(w: Any, x: Any) -> tuple[Any, Any]:
        y, cache = product_of_two_uses(x)
        return w * y, (w, y, cache)

    def backward(cache: Any, gy: Any) -> tuple[Any, Any]:
        w, y, rest = cache
        return y * gy, through_the_last(rest, w * gy)

    found = said(second, backward, normal(5), normal(5, seed=1))
    assert "only the last use of input 1 counts" in found.explain


def test_a_factor_of_an_operand_that_is_broadcast_is_missing_on_the_way() -> None:
    def forward(x: Any, w: Any) -> tuple[Any, Any]:
        a = np.sin(x) + x**2
        y = np.tanh(a * w)
        return y, (x, w, a, y)

    def backward(cache: Any, gy: Any) -> tuple[Any, Any]:
        x, w, _, y = cache
        gz = gy * (1 - y**2)
        return gz * w * (np.cos(x) + 2 * x), gz.sum(axis=0)

    found = said(forward, backward, normal(5, 3), normal(3))
    assert (found.id, found.tier) == ("D44", 2)
    assert "by input 1 is left out" in found.fact


# ---- what is returned, and when


def test_a_transpose_of_the_gradient_is_told_by_its_shape() -> None:
    x, w = normal(5, 3), normal(3, 7)
    found = said(lambda x, w: (x @ w, (x, w)), lambda c, gy: (gy @ c[1].T, gy.T @ c[0]), x, w)
    assert (found.id, found.fact) == ("D09", "shape (7, 3) for an input of shape (3, 7): its transpose is exactly right")


def test_a_number_is_no_gradient_of_an_array() -> None:
    found = said(lambda x: (x**2, x), lambda x, gy: 0.0, normal(4))
    assert (found.id, found.args["type"]) == ("D04", "float")


@pytest.mark.parametrize("size", [1e-9, 1e-13, 1e9])
def test_what_is_not_linear_is_found_however_small_the_loss(size: float) -> None:
    found = said(lambda x: (size * (x**2).sum(), x), lambda x, gy: 2 * size * x * np.abs(gy), normal(4))
    assert found.id == "D20"


def test_gradients_that_add_up_say_how_fast() -> None:
    kept = np.zeros(4)

    def backward(x: Any, gy: Any) -> Any:
        kept[:] += 2 * x * gy
        return kept.copy()

    found = said(lambda x: (x**2, x), backward, normal(4))
    assert found.id == "D13"
    assert "gives 2 times the first" in found.fact


def test_a_backward_that_refuses_the_cache_of_an_earlier_call_keeps_state() -> None:
    class Square:
        def forward(self, x: Any) -> tuple[Any, Any]:
            self.x = x
            return x**2, x

        def backward(self, x: Any, gy: Any) -> Any:
            if x is not self.x:
                raise RuntimeError("not the last call")
            return 2 * x * gy

    layer = Square()
    report = check(layer.forward, layer.backward, normal(4))
    assert [diagnosis.id for diagnosis in report.diagnoses] == ["D14"]
    assert "after a later forward on other inputs: backward raised RuntimeError: not the last call" in report.diagnoses[0].fact


@pytest.mark.parametrize("refused", [lambda gy: not gy.any(), lambda gy: not gy.all(), lambda gy: (gy == 1).any()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_backward_that_raises_for_some_upstream_gradients_is_said_to(refused: Callable[[Any], bool], dtype: Any) -> None:
    def backward(x: Any, gy: Any) -> Any:
        if refused(gy):
            raise ValueError("no such gradient")
        return 2 * x * gy

    found = said(lambda x: (x**2, x), backward, normal(4).astype(dtype))
    assert found.id == "D01"
    assert "for another upstream gradient backward raised ValueError: no such gradient" in found.fact


# ---- what is not said


def test_a_forward_in_float32_is_no_mistake_of_backward() -> None:
    def forward(x: Any) -> tuple[Any, Any]:
        return np.sin(x.astype(np.float32)), x

    report = check(forward, lambda x, gy: gy * np.cos(x), normal(5, 3))
    assert report.passed, report.text()
    assert report.diagnoses == ()


def test_a_path_whose_part_changes_from_point_to_point_does_not_count_a_number_of_times() -> None:
    def backward(cache: Any, gy: Any) -> Any:
        part = 1 + 0.1 * cache[0].sum()
        return part * through_the_first(cache, gy) + through_the_last(cache, gy)

    found = said(product_of_two_uses, backward, normal(5))
    assert "times" not in found.fact
    assert found.id == "D57"


# ---- kinks, ties, large arrays


def test_a_slope_beyond_both_sides_of_a_kink_is_said_with_all_three() -> None:
    x = np.array([0.5, 0.0, -2.0, 1.0])
    found = said(lambda x: (np.abs(x), x), lambda x, gy: gy * np.where(x == 0, 2.0, np.sign(x)), x)
    assert (found.id, found.args["yours"]) == ("D56", 2.0)
    assert "x[1] sits on a kink: the slopes beside it are -1 and 1, and yours is 2" in found.fact


@pytest.mark.parametrize("divided", [False, True])
def test_tied_maxima_are_noted_where_their_gradients_do_not_add_up(divided: bool) -> None:
    def backward(cache: Any, gy: Any) -> Any:
        x, y = cache
        tied = x == y[:, None]
        return gy[:, None] * tied / (tied.sum(axis=1, keepdims=True) if divided else 1)

    x = np.array([[1.0, 2.0, 2.0, 0.0], [3.0, -1.0, 0.0, 3.0]])
    report = check(lambda x: (x.max(axis=1), (x, x.max(axis=1))), backward, x)
    assert report.passed
    assert any("are tied" in diagnosis.fact for diagnosis in report.diagnoses) != divided


def test_a_large_gradient_is_explained_on_small_arrays_if_it_is_wrong_there() -> None:
    found = said(lambda x: (x**2, x), lambda x, gy: -2 * x * gy, normal(2500))
    assert found.id == "D22"
    assert "Seen on arrays of the shapes (3,)" in found.explain


@pytest.mark.parametrize("places", [[7], [7, 2400]])
def test_a_few_wrong_entries_among_many_are_named(places: list[int]) -> None:
    def backward(x: Any, gy: Any) -> Any:
        g = 2 * x * gy
        g[places] *= 1.5
        return g

    found = said(lambda x: (x**2, x), backward, normal(2500))
    named = "1 of 2500 entries is wrong: x[7]" if len(places) == 1 else "2 of 2500 entries are wrong: x[7], x[2400]"
    assert found.fact == named
    calls = re.search(r"found by (\d+) directions", found.explain)
    assert calls is not None
    assert 10 < int(calls[1]) < 96


def test_what_is_known_of_an_unknown_mistake() -> None:
    x = normal(3, 4)
    signs = np.where(np.arange(12).reshape(3, 4) % 4, 1.0, -1.0) * np.array([[1.0, 1.3, 0.6, 2.1]])
    found = said(lambda x: (np.sin(x), x), lambda x, gy: gy * np.cos(x) * signs * (1 + 0.2 * np.sin(9 * x)), x, level="quick")
    assert found.id == "D57"
    assert "12 of 144; worst d out[" in found.fact
    assert "75 % of the signs agree" in found.explain


def test_a_large_gradient_that_is_right_on_small_arrays_is_said_to_be_wrong_all_over() -> None:
    found = said(lambda x: (x**2, x), lambda x, gy: 2 * x * gy * (1 + 0.1 * np.sin(x) * (x.size > 1000)), normal(2500))
    assert found.id == "D57"
    assert "wrong all over: in 100 % of the parts" in found.fact


def test_a_built_in_function_has_inputs_without_names() -> None:
    report = check(min, lambda cache, gy: ([(2 * gy, None)],), [(normal(4), 3)])
    assert [diagnosis.id for diagnosis in report.diagnoses] == ["D23"]
    assert report.diagnoses[0].name.startswith("input 0[0][0] ")


# ---- the points at which things are said


@pytest.mark.parametrize("size", [1, 2, 15, 1000])
def test_generic_numbers_are_of_either_sign_apart_and_not_near_zero(size: int) -> None:
    x = np.sort(shapes.generic(np.random.default_rng(0), (size,)))
    assert abs(np.sign(x).sum()) <= 1
    assert np.abs(x).min() > 0.15
    assert np.diff(np.sort(np.abs(x))).min(initial=1.0) > 0.1 / size


def test_lengths_of_other_arrays_are_primes_so_that_no_product_of_two_is_a_third() -> None:
    assert all(prime % k for prime in shapes.PRIMES for k in range(2, prime))


def test_a_function_without_a_value_on_other_shapes_is_right_where_it_has_one() -> None:
    edges = {(5, 3): 0.0}  # of the domain of forward: on arrays of other shapes the point lies on it

    def forward(x: Any) -> tuple[Any, Any]:
        y = np.sqrt(x - edges.setdefault(x.shape, x.min()))
        return y, y

    def backward(y: Any, gy: Any) -> Any:
        return gy * np.divide(0.5, y, out=np.zeros_like(y), where=y > 0)

    report = check(forward, backward, np.abs(normal(5, 3)) + 1)
    assert report.passed
    assert report.diagnoses == ()
