"""Points rest on numbers: what each part of a rule earns, what students are told, and that all of it is the same again."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinyad.grade as tg
from tests.checking.grading.students import AFFINE, TANH, WRONG_TANH, assignment, graded, scores, submission
from tinyad.checking.grading.fingerprint import finite_differences
from tinyad.checking.grading.forward import difference
from tinyad.checking.grading.jail import SESSION, Jail, choose
from tinyad.checking.grading.json_format import as_json

CHECKOUT = Path(__file__).resolve().parents[3]


def shares(grade, test=0, case=0):
    return grade.tests[test].cases[case].shares


def one_rule(source_reference, cases, **extra):
    """An assignment of one rule in ops.py."""
    hw = tg.Assignment("one", seed=3, wall=2.0)
    hw.rule("rule", student="ops.py:forward,backward", reference=source_reference, cases=cases, points=10, **extra)
    return hw


# ---- what is earned


@pytest.mark.parametrize(
    ("backward", "earned", "tag"),
    [
        ("gy * (1 - y**2)", {"forward": 1, "contract": 1, "values": 1, "purity": 1}, None),
        ("gy * (1 - y)", {"forward": 1, "contract": 1, "values": 0, "purity": 0}, "D44"),
        ("np.zeros_like(gy)", {"forward": 1, "contract": 1, "values": 0, "purity": 0}, "D21"),
        ("(gy * (1 - y**2))[None]", {"forward": 1, "contract": 0, "values": 0, "purity": 0}, None),
        ("(gy, gy)", {"forward": 1, "contract": 0, "values": 0, "purity": 0}, "D02"),
        ("None", {"forward": 1, "contract": 0, "values": 0, "purity": 0}, "D03"),
        ("gy * (1 - y**2) + CALLS.append(1) * 0", {"forward": 1, "contract": 0, "values": 0, "purity": 0}, "D01"),
        ("gy * np.nan", {"forward": 1, "contract": 0, "values": 0, "purity": 0}, "D06"),
        ("(1 - y**2)", {"forward": 1, "contract": 1, "values": 0, "purity": 0}, "D18"),
    ],
)
def test_parts_of_a_rule(tmp_path, backward, earned, tag):
    grade = graded(tmp_path, tanh="CALLS = []" + TANH.replace("gy * (1 - y**2)", backward))
    assert shares(grade) == earned
    assert tag is None or tag in grade.tests[0].tags


def test_a_rule_with_side_effects_that_show_in_numbers_loses_purity(tmp_path):
    stateful = TANH.replace("    return y, y", "    global kept\n    kept = y\n    return y, None").replace(
        "1 - y**2", "1 - kept**2"
    )
    grade = graded(tmp_path, tanh=stateful)
    assert shares(grade) == {"forward": 1, "contract": 1, "values": 1, "purity": 0}
    assert "D14" in grade.tests[0].tags and "values 100%, purity 0%" in grade.tests[0].output


def test_side_effects_that_only_the_worker_sees_cost_nothing(tmp_path):
    grade = graded(tmp_path, tanh=TANH.replace("    return gy * (1", "    gy *= 1 - y**2\n    return gy\n    return gy * (1"))
    assert scores(grade) == [2, 1, 3]
    assert "backward wrote into the upstream gradient" in grade.tests[0].output
    assert any("shares its memory with the upstream gradient" in text for text in grade.for_teacher)


def test_each_input_has_its_share_of_the_values(tmp_path):
    grade = graded(tmp_path, tanh=TANH, affine=AFFINE.replace("gy.sum(axis=0)", "gy.mean(axis=0)"))
    assert shares(grade, 2) == {"forward": 1, "contract": 1, "values": pytest.approx(2 / 3), "purity": pytest.approx(2 / 3)}
    assert scores(grade)[2] == pytest.approx(3 * (0.4 + 0.6 * 2 / 3))


def test_a_wrong_forward_earns_nothing_and_says_where(tmp_path):
    grade = graded(tmp_path, tanh=TANH.replace("np.tanh(x)", "np.tanh(x) + 0.1"))
    assert scores(grade) == [0, 0, 3]
    assert "the output of forward is wrong in 15 of 15 entries; worst y[" in grade.tests[0].output


def test_a_share_of_the_cases(tmp_path):
    grade = graded(tmp_path, tanh=TANH.replace("gy * (1 - y**2)", "gy * (1 - y**2) * (1 if y.ndim == 2 else 2)"))
    assert [case.passed for case in grade.tests[0].cases] == [True, False]
    assert scores(grade)[0] == pytest.approx(2 * (1 + 0.4) / 2)


def test_weights_and_keyword_arguments(tmp_path):
    def softmax(x, axis=-1):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    hw = one_rule(
        softmax, tg.shapes((5, 3), (4, 4)), kwargs=[{"axis": -1}, {"axis": 0}], weights={"values": 0.75, "forward": 0.25}
    )
    source = """
import numpy as np
def forward(x, axis):
    e = np.exp(x)
    y = e / e.sum(axis=axis, keepdims=True)
    return y, (y, axis)
def backward(cache, gy):
    y, axis = cache
    return (y * (gy - (gy * y).sum(axis=1, keepdims=True)),)
"""
    grade = graded(tmp_path, hw, ops=source)
    assert [case.name for case in grade.tests[0].cases] == [
        "(5, 3); axis=-1",
        "(5, 3); axis=0",
        "(4, 4); axis=-1",
        "(4, 4); axis=0",
    ]
    assert [case.shares for case in grade.tests[0].cases] == [{"forward": 1, "values": v} for v in (1, 0, 1, 0)]
    assert grade.score == 10 * (0.25 + 0.75 / 2)


def test_the_other_calling_and_a_reference_with_a_backward(tmp_path):
    reference = (lambda x: (x**2, x), lambda gy, x: 2 * x * gy)
    hw = one_rule(reference, tg.shapes((5, 3)), calling="dout_cache")
    good = "def forward(x): return x**2, x\ndef backward(gy, x): return 2 * x * gy\n"
    assert graded(tmp_path / "a", hw, ops=good).score == 10
    assert graded(tmp_path / "b", hw, ops=good.replace("gy, x)", "x, gy)").replace("2 * x * gy", "2 * x")).score < 10


def test_cases_with_labels(tmp_path):
    def scores_and_labels(random):
        return random.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])

    def picked(scores, labels):
        return scores[np.arange(5), labels] ** 2

    source = """
import numpy as np
def forward(s, labels):
    return s[np.arange(5), labels] ** 2, (s, labels)
def backward(cache, gy):
    s, labels = cache
    g = np.zeros_like(s)
    g[np.arange(5), labels] = 2 * gy * s[np.arange(5), labels]
    return g, None
"""
    hw = one_rule(picked, tg.case(scores_and_labels, name="labels"))
    grade = graded(tmp_path, hw, ops=source)
    assert grade.score == 10 and grade.tests[0].cases[0].name == "labels"


def test_backward_may_use_forward_for_something_else(tmp_path):
    source = """
import numpy as np
def forward(a, b):
    return a @ b, (a, b)
def backward(cache, gy):
    a, b = cache
    again, _ = forward(a, b)
    return forward(gy, b.T)[0], forward(a.T, gy)[0]
"""
    hw = one_rule(lambda a, b: a @ b, tg.shapes(((5, 3), (3, 7)), ((4, 4), (4, 4))))
    assert graded(tmp_path, hw, ops=source).score == 10


def test_float32(tmp_path):
    def mean(x):
        return np.mean(x @ x.T)

    source = """
import numpy as np
def forward(x):
    return (x[:, None] * x[None]).sum() / len(x) ** 2, x
def backward(x, gy):
    return np.tile(2 * gy * x.sum(0) / len(x) ** 2, (len(x), 1)).astype(x.dtype)
"""
    hw = one_rule(mean, tg.shapes((40, 30), dtype="float32") + tg.shapes((5, 3)))
    assert graded(tmp_path / "a", hw, ops=source).score == 10
    assert graded(tmp_path / "b", hw, ops=source.replace("2 * gy", "2.001 * gy")).score == 4


# ---- what is told


def test_the_report_says_why_and_each_thing_once(tmp_path):
    output = graded(tmp_path, tanh=WRONG_TANH).tests[0].output
    assert output.startswith(
        "0 of 2 cases pass\n\n(5, 3): forward 100%, contract 100%, values 0%, purity counts only with right values\n"
    )
    assert output.endswith(
        "\n\n(forward: the output is right. contract: a gradient for each input, of its shape and dtype. values: their numbers are "
        "right. purity: no call disturbs another; it counts as far as values are right.)"
    )
    assert "D44" in output and "likely" in output
    said = [line for line in output.splitlines() if "input 0 'x'" in line]
    assert len(said) == len(set(said))


def test_all_points_need_no_explanation(tmp_path):
    assert "purity" not in graded(tmp_path, tanh=TANH).tests[0].output


def test_cases_that_were_not_tried_are_said_to_be(tmp_path):
    loops = TANH.replace("    return gy", "    while y.ndim == 2: pass\n    return gy")
    assert "\n\n(3,): not run\n  not tried, because (5, 3) timed out\n" in graded(tmp_path, tanh=loops).tests[0].output


def test_points_have_the_same_digits_on_both_sides(tmp_path):
    hw = one_rule(np.tanh, tg.shapes((5, 3), (3,)) + tg.hidden((7,)))
    lines = str(graded(tmp_path, hw, ops=TANH)).splitlines()
    assert lines[1:] == ["  6.67/6.67  1 rule: passed", "  3.33/3.33  1h rule, hidden cases: passed"]


def test_feedback_is_chosen_by_the_author(tmp_path):
    fact, hint = (graded(tmp_path, assignment(feedback=level), tanh=WRONG_TANH).tests[0].output for level in ("fact", "hint"))
    assert len(fact) < len(hint) and "likely" in hint and "likely" not in fact


def test_hidden_cases_that_are_visible_tell_how_many_and_nothing_else(tmp_path):
    grade = graded(tmp_path, assignment(hidden="visible"), tanh=WRONG_TANH)
    assert grade.tests[1].output == "0 of 1 cases pass"
    assert len(grade.tests[0].output) > 50


def test_an_exception_is_reported_with_its_line_and_shapes(tmp_path):
    output = graded(tmp_path, tanh=TANH, affine=AFFINE.replace("gy @ w.T", "gy @ w")).tests[2].output
    assert "backward raised ValueError: matmul" in output
    assert "affine.py, line 7, in backward: return gy @ w, x.T @ gy, gy.sum(axis=0)" in output
    assert "gy is an array of shape (5, 7), float64, w is an array of shape (3, 7), float64" in output


def test_stages_number_the_tests_and_have_their_own_sums(tmp_path):
    hw = assignment()
    hw.items = [replace(item, stage=stage) for item, stage in zip(hw.items, ("part 1", "part 2"), strict=True)]
    grade = graded(tmp_path, hw, tanh=WRONG_TANH)
    assert [test.number for test in grade.tests] == ["1.1", "1.1h", "2.1"]
    assert grade.stages() == {"part 1": (1.2, 3), "part 2": (3, 3)}
    assert "  1.2/3  part 1" in str(grade)


# ---- the grader's own mistakes


def test_a_reference_that_raises_is_the_authors_mistake_and_said_before_grading(tmp_path):
    written = []
    hw = one_rule(lambda x: x @ x, tg.shapes((5, 3)))
    with pytest.raises(ValueError, match=r"rule 'rule' at \(5, 3\): the case or the reference raised ValueError"):
        tg.grade(hw, submission(tmp_path), written.append)
    with pytest.raises(ValueError, match=r"the reference returned ndarray of int64; expected finite floats"):
        tg.grade(one_rule(lambda x: x.astype(int), tg.shapes((5, 3))), submission(tmp_path), written.append)
    assert written == []
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        tg.grade(assignment(), tmp_path / "nowhere")


def test_an_error_of_the_grader_is_not_the_students(tmp_path, monkeypatch):
    import tinyad.checking.grading.grade as module

    def broken(*args, **kwargs):
        raise ZeroDivisionError("in the grader")

    monkeypatch.setattr(module, "check_rule", broken)
    grade = graded(tmp_path, tanh=TANH)
    assert [test.status for test in grade.tests] == ["not run"] * 3
    assert "not your fault" in grade.tests[0].output
    assert any("ZeroDivisionError: in the grader" in text for text in grade.for_teacher)


ANYTHING = [
    "gy * np.inf", "gy * 1e308 * 10", "np.full(gy.shape, 1e308)", "gy * 1e-320", "gy.astype(complex)", "gy > 0",
    "np.zeros(0)", "np.zeros((0, 3))", "np.float64(3)", "3", "True", "'x'", "{'a': gy}", "((gy,),)", "[gy]",
    "np.array(5)", "gy.astype(np.float16)", "np.full(gy.shape, 2**63 - 1)", "(None,)", "()", "np.ma.masked_array(gy)",
    "gy.astype(np.longdouble)", "np.array(['a'])", "np.matrix(np.ones((2, 2)))", "float('nan')", "gy[..., None]",
    "gy.T", "10**400", "lambda: 1", "(x for x in [1])", "Ellipsis",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("returned", ANYTHING)
@pytest.mark.parametrize("stage", ["y = np.tanh(x)", "return gy * (1 - y**2)"])
def test_anything_that_is_returned_is_graded(tmp_path, stage, returned):
    returned = returned if stage.startswith("return") else returned.replace("gy", "x")
    hw = one_rule(np.tanh, tg.shapes((5, 3)))
    source = TANH.replace(stage, f"{stage.split(' ')[0]} {'= ' * stage.startswith('y')}{returned}")
    grade = graded(tmp_path, hw, ops=source)
    assert grade.tests[0].status in ("failed", "partly") and grade.score <= 4


# ---- the same again


DETERMINED = """
import sys
from pathlib import Path
from tests.checking.grading.students import TANH, WRONG_TANH, graded
from tinyad.checking.grading.json_format import as_json
sys.stdout.write(as_json(graded(Path(sys.argv[1]), tanh=TANH + "print(sorted({'a', 'b'}))" if sys.argv[2:] else WRONG_TANH)))
"""


def test_two_processes_give_the_same_bytes(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHASHSEED"}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", DETERMINED, str(tmp_path / name)],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            check=True,
        ).stdout
        for name in ("a", "b")
    ]
    assert outputs[0] == outputs[1] and b'"schema": "tinyad-grade-1"' in outputs[0]


def test_the_kind_of_jail_changes_no_score(tmp_path):
    kinds = {choose(), SESSION, *([Jail("namespaces")] if choose().kind == "namespaces" else [])}
    found = set()
    for jail in kinds:
        grade = tg.grade(assignment(), submission(tmp_path, tanh=WRONG_TANH), jail=jail)
        assert grade.notes == [jail.warning] * bool(jail.warning)
        found.add(as_json(replace(grade, notes=[])))
    assert len(found) == 1 and scores(grade) == [0.8, 0.4, 3]


# ---- its parts


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.array([1.0, 2.0]), ""),
        (np.array([1.0, 2.0 + 1e-7]), ""),
        (np.array([1, 2]), ""),
        (
            np.array([1.0, 2.0 + 1e-4]),
            "the output of forward is wrong in 1 of 2 entries; worst y[1]: yours +2.0001, expected +2",
        ),
        (np.array([1.0, np.nan]), "the output of forward is wrong in 1 of 2 entries; worst y[1]: yours +nan, expected +2"),
        (np.array([[1.0, 2.0]]), "the output of forward has shape (1, 2); expected (2,)"),
        (np.array([1.0, 2.0j]), "the output of forward has dtype complex128; expected float64"),
        ([1.0, 2.0], "forward returned a Python list; expected an array of shape (2,)"),
        (None, "forward returned a Python NoneType; expected an array of shape (2,)"),
    ],
)
def test_forward_next_to_the_reference(y, said):
    assert (
        difference(
            y,
            np.array([1.0, 2.0]),
        )
        == said
    )


RIGHT_RULES = {
    "tanh": (lambda x: (np.tanh(x), np.tanh(x)), lambda y, gy: gy * (1 - y**2)),
    "product": (lambda x: (x * x[::-1], x), lambda x, gy: 2 * gy * x[::-1] if gy.ndim == 1 else gy),
    "linear": (lambda x: (x @ W, None), lambda _, gy: gy @ W.T),
    "exponential": (lambda x: (np.exp(x), np.exp(x)), lambda y, gy: gy * y),
    "guarded logarithm": (lambda x: (np.log(x**2 + 1e-9), x), lambda x, gy: gy * 2 * x / (x**2 + 1e-12)),
    "through float32": (lambda x: (np.sin(x), x), lambda x, gy: gy * np.cos(x.astype(np.float32)).astype(np.float64)),
    "sum": (lambda x: (np.sum(x), x), lambda x, gy: np.full(x.shape, gy)),
    "mean": (lambda x: (np.mean(x, 0), x), lambda x, gy: np.broadcast_to(gy, x.shape) / len(x)),
    "cut to ten digits": (lambda x: (np.sin(x), x), lambda x, gy: np.round(gy * np.cos(x), 10)),
}
W = np.random.default_rng(5).normal(size=(6, 6))


@pytest.mark.parametrize("name", RIGHT_RULES)
def test_formulas_do_not_bear_the_mark_of_differences(name):
    forward, backward = RIGHT_RULES[name]
    random = np.random.default_rng(11)
    for shape in [(6,), (5, 6), (4, 6, 6)]:
        x = random.normal(size=shape)
        assert finite_differences(forward, backward, (x,)) == 0.0


@pytest.mark.parametrize("step", [1e-4, 1e-5, 1e-6, 1e-7, 2e-6, 5e-5])
@pytest.mark.parametrize("central", [True, False])
def test_differences_bear_their_mark(step, central):
    def backward(x, gy):
        up, down = (np.sin(x + step), np.sin(x - step)) if central else (np.sin(x + step), np.sin(x))
        return gy * (up - down) / (2 * step if central else step)

    x = np.random.default_rng(2).normal(size=(5, 6))
    assert finite_differences(lambda x: (np.sin(x), x), backward, (x,)) > 0
