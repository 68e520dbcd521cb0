"""check_rule: what it takes, what it says, and what it leaves as it was."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tinyad.checking.report import LEVELS

RANDOM = np.random.default_rng(0)
X, W, B = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(3, 7)), RANDOM.normal(size=7)


def linear(x: Any, w: Any, b: Any) -> tuple[Any, Any]:
    return x @ w + b, (x, w)


def linear_backward(cache: Any, gy: Any) -> tuple[Any, ...]:
    x, w = cache
    return gy @ w.T, x.T @ gy, gy.sum(axis=0)


def softmax(x: Any) -> tuple[Any, Any]:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y


def layer_norm(x: Any) -> tuple[Any, Any]:
    mean = x.mean(axis=1, keepdims=True)
    centred = x - mean
    var = (centred**2).mean(axis=1, keepdims=True)
    std = np.sqrt(var + 1e-5)
    y = centred / std
    return y, (y, std)


def layer_norm_backward(cache: Any, gy: Any) -> Any:
    y, std = cache
    gy_mean = gy.mean(axis=1, keepdims=True)
    gy_y = (gy * y).mean(axis=1, keepdims=True)
    return (gy - gy_mean - y * gy_y) / std


def embedding(table: Any, rows: Any) -> tuple[Any, Any]:
    return table[rows], (table.shape, rows)


def embedding_backward(cache: Any, gy: Any) -> Any:
    shape, rows = cache
    g = np.zeros(shape)
    np.add.at(g, rows, gy)
    return g, None


def fails(forward: Any, backward: Any, *inputs: Any, **options: Any) -> ad.Report:
    report = ad.check_rule(forward, backward, *inputs, raises=False, **options)
    assert not report.passed
    return report


def first(forward: Any, backward: Any, *inputs: Any, **options: Any) -> ad.Diagnosis:
    return fails(forward, backward, *inputs, **options).diagnoses[0]


# ---- what passes


def test_right_rules_pass() -> None:
    assert ad.check_rule(linear, linear_backward, X, W, B)
    assert ad.check_rule(layer_norm, layer_norm_backward, X)
    assert ad.check_rule(embedding, embedding_backward, X, np.array([0, 2, 2, 4, 0]))


@pytest.mark.parametrize(
    "backward",
    [
        lambda c, gy: list(linear_backward(c, gy)),
        lambda c, gy: tuple(map(ad.asarray, linear_backward(c, gy))),
    ],
)
def test_gradients_may_come_in_a_list_or_as_tensors(backward: Any) -> None:
    assert ad.check_rule(linear, backward, X, W, B)


def test_one_input_needs_no_tuple_and_one_without_floats_no_gradient() -> None:
    assert ad.check_rule(lambda x: (np.sin(x), x), lambda x, gy: gy * np.cos(x), X)
    assert ad.check_rule(embedding, lambda c, gy: embedding_backward(c, gy)[0], X, np.array([0, 2, 2, 4, 0]))
    assert ad.check_rule(embedding, lambda c, gy: (embedding_backward(c, gy)[0], np.zeros(5)), X, np.array([0, 2, 2, 4, 0]))


def test_numbers_and_trees_are_inputs() -> None:
    assert ad.check_rule(lambda x, n: (x**n, (x, n)), lambda c, gy: gy * c[1] * c[0] ** (c[1] - 1), 1.5, 3)
    params = {"w": W, "b": [B, 2.0]}

    def forward(p: Any, x: Any) -> Any:
        return x @ p["w"] + p["b"][0] * p["b"][1], (p, x)

    def backward(cache: Any, gy: Any) -> Any:
        p, x = cache
        b, scale = p["b"]
        return {"w": x.T @ gy, "b": [gy.sum(axis=0) * scale, (gy * b).sum()]}, gy @ p["w"].T

    assert ad.check_rule(forward, backward, params, X)
    wrong = first(forward, lambda c, gy: ({**backward(c, gy)[0], "w": -(c[1].T @ gy)}, backward(c, gy)[1]), params, X)
    assert (wrong.id, wrong.name) == ("D22", "input 0 'p'['w'] (3, 7) float64")


def test_the_other_calling_convention() -> None:
    assert ad.check_rule(linear, lambda gy, c: linear_backward(c, gy), X, W, B, calling="dout_cache")
    assert not ad.check_rule(linear, lambda gy, c: linear_backward(c, gy), X, W, B, raises=False)


def test_inputs_stay_as_they_are() -> None:
    def writes(x: Any) -> Any:
        x -= x.mean()
        return x * 2, x

    given = X.copy()
    report = fails(writes, lambda x, gy: 2 * gy, given)
    assert report.diagnoses[0].id == "D11"
    assert (given == X).all()


def test_a_trusted_forward_is_compared_first() -> None:
    def other(x: Any) -> Any:
        return np.cos(x), x

    assert first(other, lambda x, gy: -gy * np.sin(x), X, reference=np.sin).id == "F03"
    assert first(lambda x: (np.sin(x).sum(), x), lambda x, gy: gy * np.cos(x), X, reference=np.sin).id == "F02"
    assert first(lambda x: (1 / 0, x), lambda x, gy: gy, X, reference=np.sin).id == "F01"
    assert ad.check_rule(lambda x: (np.sin(x), x), lambda x, gy: gy * np.cos(x), X, reference=np.sin)
    assert ad.check_rule(linear, linear_backward, X, W, B, reference=(linear, linear_backward))


def test_a_forward_that_raises_is_named_with_its_line() -> None:
    report = fails(lambda x: (x @ np.ones((2, 2)), x), lambda x, gy: gy, X)
    assert report.diagnoses[0].id == "F01"
    assert "matmul" in report.diagnoses[0].fact


# ---- what is said

MESSAGES = {
    "softmax without its sum": (softmax, lambda y, gy: y * gy, (X,), "D47", "y * (something constant along axis 1)"),
    "mean for sum": (
        linear,
        lambda c, gy: (gy @ c[1].T, c[0].T @ gy, gy.mean(axis=0)),
        (X, W, B),
        "D24",
        "1/5 times the right",
    ),
    "not summed": (
        lambda x, b: (x + b, None),
        lambda c, gy: (gy, gy),
        (X, RANDOM.normal(size=3)),
        "D07",
        "shape (5, 3) for an input of shape (3,); summed over axis 0 it is exactly right",
    ),
    "embedding": (
        embedding,
        lambda c, gy: (lambda g: (g.__setitem__(c[1], g[c[1]] + gy), g)[1])(np.zeros(c[0])),
        (X, np.array([0, 2, 2, 4, 0])),
        "D39",
        "inputs that are used several times keep only part of their uses",
    ),
    "tanh of the input": (lambda x: (np.tanh(x), x), lambda x, gy: gy * (1 - x**2), (X,), "D43", "1-y**2 of the output y"),
    "layer norm": (layer_norm, lambda c, gy: gy / c[1], (X,), "D47", "2 terms, each an array times a sum over axis 1"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str) -> None:
    forward, backward, inputs, id, fact = MESSAGES[name]
    said = first(forward, backward, *inputs)
    assert said.id == id
    assert fact in said.fact
    assert said.hint
    assert said.residual is None or said.residual < 1e-6


def test_an_exception_is_given_with_its_line_and_shapes() -> None:
    def wrong_order(cache: Any, gy: Any) -> Any:
        x, w = cache
        gx = w @ gy
        return gx, x.T @ gy, gy.sum(axis=0)

    said = first(linear, wrong_order, X, W, B)
    assert said.id == "D01"
    assert "test_rules.py" in said.fact
    assert "gx = w @ gy   with w (3, 7), gy (5, 7)" in said.fact
    assert "On square arrays, where it does not raise: input 0 'x' (4, 4) float64: equals w @ gy [D53 order]" in said.explain


def test_a_path_that_is_missing_is_named_with_its_line() -> None:
    def gelu(x: Any) -> tuple[Any, Any]:
        inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        gate = np.tanh(inner)
        y = 0.5 * x * (1 + gate)
        return y, (x, gate)

    said = first(gelu, lambda c, gy: gy * 0.5 * (1 + c[1]), X)
    assert (said.id, said.tier) == ("D46", 2)
    assert "exactly the gradient obtained when" in said.fact
    assert "treated as a constant" in said.fact
    assert "test_rules.py:" in said.fact


def test_the_lines_of_a_trusted_forward_are_not_told() -> None:
    def reference(x: Any) -> Any:
        secret = np.tanh(0.7 * x)
        return secret * x

    def forward(x: Any) -> tuple[Any, Any]:
        return reference(x), (x, np.tanh(0.7 * x))

    said = first(forward, lambda c, gy: gy * c[1], X, reference=reference)
    assert said.tier == 2
    assert "`secret`" in said.fact
    assert "test_rules" not in said.text() + str(said.args)
    assert "0.7" not in said.text()
    own = first(forward, lambda c, gy: gy * c[1], X)
    assert "test_rules.py" in own.fact
    assert own.args["line"].startswith("test_rules.py:")


def test_a_right_backward_explains_what_its_mutants_give() -> None:
    def reference(x: Any, w: Any) -> Any:
        h = np.tanh(np.array(x) @ w)  # np.array leaves the tape: there is none to edit
        y = h / np.sqrt(1 + (h**2).sum(axis=1, keepdims=True))
        return y, (x, w, h)

    def right(cache: Any, gy: Any) -> Any:
        x, w, h = cache
        r = np.sqrt(1 + (h**2).sum(axis=1, keepdims=True))
        gh = gy / r - h * (gy * h).sum(axis=1, keepdims=True) / r**3
        gz = gh * (1 - h**2)
        return gz @ w.T, x.T @ gz

    def wrong(cache: Any, gy: Any) -> Any:  # the exponent
        x, w, h = cache
        r = np.sqrt(1 + (h**2).sum(axis=1, keepdims=True))
        gz = (gy / r - h * (gy * h).sum(axis=1, keepdims=True) / r**2) * (1 - h**2)
        return gz @ w.T, x.T @ gz

    assert first(reference, wrong, X, W).id == "D57"
    said = first(reference, wrong, X, W, reference=(reference, right))
    assert said.tier == 3
    assert "a constant is wrong, in `gh`" in said.fact
    assert "r**3" not in said.text()  # the teacher's line is for the teacher


def test_what_is_wrong_on_other_shapes_alone_is_noted() -> None:
    def column_means(x: Any) -> Any:
        return x.mean(axis=0), x.shape

    def by_columns(shape: Any, gy: Any) -> Any:
        return np.broadcast_to(gy, shape) / shape[1]

    report = ad.check_rule(column_means, by_columns, RANDOM.normal(size=(4, 4)))
    assert report.passed
    [note] = report.diagnoses
    assert note.label == "other_shapes"
    assert not note.error
    assert "on arrays of the shapes (5, 7)" in note.fact


def test_every_wrong_input_is_diagnosed_in_order() -> None:
    wrong = fails(linear, lambda c, gy: (-(gy @ c[1].T), c[0].T @ gy, 2 * gy.sum(axis=0)), X, W, B)
    assert [(d.id, d.input) for d in wrong.diagnoses] == [("D22", 0), ("D23", 2)]


@pytest.mark.parametrize("wrong", [np.abs, lambda gy: np.maximum(gy, 0), lambda gy: gy**2, lambda gy: gy * (gy > 0), np.sign])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_linear_in_gy_is_found_for_a_single_output(wrong: Any, seed: int) -> None:
    said = first(lambda x: ((x**2).sum(), x), lambda x, gy: 2 * x * wrong(gy), X, seed=seed)
    assert said.id == "D20"


@pytest.mark.parametrize(
    "wrong", [lambda gy: np.clip(gy, -5, 5), lambda gy: np.round(gy, 6), lambda gy: gy + 1e-9 * gy / np.abs(gy)]
)
def test_clipped_and_rounded_gradients_are_no_linear_functions(wrong: Any) -> None:
    said = first(lambda x: (np.sin(x), x), lambda x, gy: wrong(gy) * np.cos(x), X)
    assert said.id == "D20"


def test_arguments_in_the_other_order_are_said_to_be() -> None:
    for backward in (lambda gy, c: linear_backward(c, gy), lambda gy, x: gy * np.exp(x)):
        inputs = (X, W, B) if backward.__code__.co_varnames[1] == "c" else (X,)
        said = first(linear if len(inputs) == 3 else lambda x: (np.exp(x), x), backward, *inputs)
        assert said.hint == "backward takes its arguments the other way round, and is right then: say calling='dout_cache'"


def test_a_buffer_that_is_returned_each_time_is_noted() -> None:
    buffer = np.zeros_like(X)
    report = ad.check_rule(lambda x: (np.exp(x), np.exp(x)), lambda y, gy: np.multiply(gy, y, out=buffer), X)
    assert (report.diagnoses[0].id, report.diagnoses[0].error) == ("D16", False)
    assert "writes over the gradients" in report.diagnoses[0].fact


def test_float32_in_means_float32_out() -> None:
    def slope(x: Any, gy: Any) -> Any:
        return (gy * np.cos(x)).astype(np.float32)

    assert ad.check_rule(lambda x: (np.sin(x), x), slope, X.astype(np.float32))
    assert [d.id for d in fails(lambda x: (np.sin(x), x), slope, X).diagnoses] == ["D05"]


def test_labels_keep_their_names() -> None:
    def bce(p: Any, t: Any) -> Any:
        return -(t * np.log(p) + (1 - t) * np.log(1 - p)), (p, t)

    p, t = RANDOM.uniform(0.1, 0.9, size=(5, 3)), RANDOM.integers(0, 2, size=(5, 3))
    said = first(bce, lambda c, gy: -gy * c[1] / c[0], p, t)
    assert (said.id, said.fact) == ("D35", "wrong exactly where t == 0, where it is zero")


def test_exit_in_a_students_code_is_an_exception() -> None:
    said = first(lambda x: (np.sin(x), x), lambda x, gy: exit(0), X)
    assert (said.id, said.args["type"]) == ("D01", "SystemExit")


def test_a_difference_quotient_is_noted() -> None:
    def f(x: Any) -> Any:
        return np.tanh(x) * x

    def quotient(x: Any, gy: Any) -> Any:
        return gy * (f(x + 1e-5) - f(x - 1e-5)) / 2e-5

    report = ad.check_rule(lambda x: (f(x), x), quotient, X)
    assert [(d.id, d.error) for d in report.diagnoses] == [("D17", False)]
    assert "right to about 10 digits" in report.diagnoses[0].fact


# ---- the report


@pytest.fixture(scope="module")
def report() -> ad.Report:
    return fails(linear, lambda c, gy: (gy @ c[1].T, c[0].T @ gy, gy.mean(axis=0)), X, W, B, name="linear layer")


def test_levels_of_feedback(report: ad.Report) -> None:
    fact, hint, explain = (report.text(level) for level in LEVELS)
    assert "exactly 1/5" in fact
    assert "likely" not in fact
    assert "where   35 of 245; worst d out[" in hint
    assert "entries of the Jacobian differ" not in hint
    assert "35 of 245 entries of the Jacobian differ, worst first" in explain
    assert str(report) == explain
    assert (
        str(fails(linear, lambda c, gy: (gy @ c[1].T, c[0].T @ gy, -gy.sum(axis=0)), X, W, B, feedback="fact")).count("\n") == 2
    )
    with pytest.raises(ValueError, match="level is 'all'; expected one of 'fact', 'hint', 'explain'"):
        report.text("all")


def test_the_error_is_an_assertion_with_the_report_and_can_be_pickled() -> None:
    with pytest.raises(ad.GradientError, match="exactly 2 times the right gradient") as raised:
        ad.check_rule(lambda x: (np.sin(x), x), lambda x, gy: 2 * gy * np.cos(x), X)
    assert isinstance(raised.value, AssertionError)
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)
    assert again.report.diagnoses[0].id == "D23"


def test_table_and_worst(report: ad.Report) -> None:
    lines = report.table().splitlines()
    assert lines[0].split() == ["input", "shape", "dtype", "entries", "wrong", "largest", "difference", "verdict"]
    assert [line.split()[-1] for line in lines[2:]] == ["passed", "passed", "FAILED"]
    name, yours, numeric, error = report.worst(1)[0]
    assert name.startswith("input 2 'b': d out[")
    assert (yours, round(numeric, 9)) == (0.2, 1.0)
    assert error < 1e-9


def test_json(report: ad.Report) -> None:
    found = json.loads(report.to_json())
    assert found["schema"] == 1
    assert found["tinyad"] == ad.__version__
    assert [case["passed"] for case in found["cases"]] == [True, True, False]
    [diagnosis] = found["diagnoses"]
    assert diagnosis["id"] == "D24"
    assert diagnosis["args"]["c"] == 0.2
    assert diagnosis["tier"] == 1
    assert report.to_json() == report.to_json()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_heat_maps(report: ad.Report, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"heat{suffix}"
    figure = report.plot(file)
    assert file.stat().st_size > 1000
    left, right, bar = figure.axes
    assert left.get_title() == "input 2 'b' float64: 35 of 245 wrong"
    assert right.get_title() == "the largest difference of each entry, in shape (7,)"
    assert bar.get_ylabel() == "difference / largest entry"
    shown = np.ma.filled(left.images[0].get_array(), np.nan)
    assert (~np.isnan(shown) == report.comparisons[2].wrong).all()


def test_notebooks_show_the_text_and_the_picture(report: ad.Report) -> None:
    shown = report._repr_html_()
    assert "exactly 1/5 times" in shown
    assert "data:image/png;base64," in shown
    assert "<img" not in ad.check_rule(linear, linear_backward, X, W, B)._repr_html_()


def test_a_gradient_that_was_not_compared_has_no_picture() -> None:
    report = fails(lambda x: (np.sin(x), x), lambda x, gy: None, X)
    with pytest.raises(ValueError, match="no gradient was compared"):
        fails(lambda x: (np.sin(x), x), lambda x, gy: 1 / 0, X).plot()
    assert report.diagnoses[0].id == "D03"


# ---- bad input


def test_errors_name_the_argument() -> None:
    sine = lambda x: (np.sin(x), x)
    slope = lambda x, gy: gy * np.cos(x)
    with pytest.raises(TypeError, match="check_rule: forward is a Python NoneType; expected a function"):
        ad.check_rule(None, slope, X)
    with pytest.raises(TypeError, match="check_rule: backward is a Python int; expected a function"):
        ad.check_rule(sine, 3, X)
    with pytest.raises(TypeError, match=r"forward returned float64 of shape \(5, 3\); expected the pair \(y, cache\)"):
        ad.check_rule(np.sin, slope, X)
    with pytest.raises(TypeError, match=r"check_rule: the inputs hold no floats, but int64 of shape \(3,\)"):
        ad.check_rule(sine, slope, np.arange(3))
    with pytest.raises(ValueError, match=r"check_rule: input 0\[1\] is nan"):
        ad.check_rule(sine, slope, np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="calling is 'gy_cache'; expected 'cache_dout' or 'dout_cache'"):
        ad.check_rule(sine, slope, X, calling="gy_cache")
    with pytest.raises(ValueError, match="check_rule: level is 'deep'; expected 'quick' or 'full'"):
        ad.check_rule(sine, slope, X, level="deep")
    with pytest.raises(ValueError, match="check_rule: points is 3; expected 1 or 2"):
        ad.check_rule(sine, slope, X, points=3)
    with pytest.raises(ValueError, match="check_rule: feedback is 'loud'"):
        ad.check_rule(sine, slope, X, feedback="loud")
    with pytest.raises(ValueError, match="check_rule: rtol is -1"):
        ad.check_rule(sine, slope, X, rtol=-1)
    with pytest.raises(TypeError, match="check_rule: reference is 3; expected a function"):
        ad.check_rule(sine, slope, X, reference=3)
    with pytest.raises(ValueError, match=r"forward returned an array of shape \(0, 3\); expected at least one entry"):
        ad.check_rule(sine, slope, np.zeros((0, 3)))
    with pytest.raises(TypeError, match="check_rule: input 0 is complex"):
        ad.check_rule(sine, slope, X + 1j)


def test_quick_says_what_and_not_why() -> None:
    assert first(softmax, lambda y, gy: y * gy, X, level="quick").id == "D57"
    assert first(softmax, lambda y, gy: y * gy, X, level="quick").hint == "why was not asked: level='quick'"


def test_a_report_shows_itself_at_a_prompt(report: ad.Report) -> None:
    assert repr(report) == str(report)


def test_the_missing_path_through_the_variance_is_named() -> None:
    def without_variance(cache: Any, gy: Any) -> Any:
        return (gy - gy.mean(axis=1, keepdims=True)) / cache[1]

    def scaled(x: Any) -> tuple[Any, Any]:
        centred = x - x.mean(axis=1, keepdims=True)
        std = np.sqrt((centred**2).mean(axis=1, keepdims=True))
        return 3 * centred / std + x**3, (x, std)

    def backward(cache: Any, gy: Any) -> Any:
        x, std = cache
        return 3 * (gy - gy.mean(axis=1, keepdims=True)) / std + 3 * x**2 * gy

    assert "y * (something constant along axis 1)" in first(layer_norm, without_variance, X).fact
    said = first(scaled, backward, X)
    assert said.fact == "differs from the right gradient by (x - mean over axis 1) * (something constant along axis 1)"
    assert said.hint == "the derivative through the variance over axis 1 is missing or wrong"
