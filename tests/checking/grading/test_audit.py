"""Audits: what the checks of well-known courses let pass, what ours does, and what the cases of an assignment do."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.checking.corpus.table import OPERATIONS
from tests.checking.grading.authors import HW, author
from tests.checking.grading.course_checkers import one_random_entry, relative_error, sum_of_output
from tests.checking.grading.test_authoring import run
from tinyad.__main__ import main
from tinyad.checking.audit import ADVICE, Audit, Audited, Place, Wrong, audit, wrong_rules
from tinyad.checking.rules import check_rule

CHECKERS = Path(__file__).with_name("course_checkers.py")


def of_corpus(op):
    """An operation of the corpus with its wrong rules."""
    wrong = [Wrong(m.name, m.forward or op.forward, m.backward or op.backward, m.why) for m in op.mutants]
    return Audited(op.name, op.forward, op.backward, (op.generic,), (op.square,) if op.square else (), wrong)


def ours(forward, backward, inputs):
    return check_rule(forward, backward, *inputs, level="quick", points=1, raises=False)


def listed(table):
    """The survivors, by what would notice them."""
    found: dict[str, set[str]] = {}
    for row in table.survivors:
        found.setdefault(row.told_by, set()).add(f"{row.rule}.{row.wrong.name}")
    return found


# What an all-ones check of the sum of the output lets pass.
SURVIVORS_OF_A_SUM = {
    "upstream": """
        exp.no_gy tanh.gy_twice tanh.gy_inside sine.no_gy relu.guided relu.no_gy gelu.no_gy multiply.no_gy hypot.b_no_gy
        bilinear.w_no_gy matrix_matrix_vector.v_no_gy quadratic_form.a_no_gy trace.no_gy sum.no_gy sum_axis_1.resized
        max_axis_1.no_gy logsumexp.no_gy softmax.no_factor_y batch_norm.no_variance_path batch_norm.no_std batch_norm.no_gamma
        centre_columns.wrong_axis centre_columns.total_mean cosine_similarity.b_no_gy mse.no_gy cross_entropy.no_gy
        multiclass_hinge.no_gy ridge.penalty_no_gy average_pool.tiled upsample.tiled pick_by_row.no_gy flip.not_flipped
        flip.both_axes flip.other_axis roll.same_direction roll.not_rolled roll.other_axis sort.gathers sort.not_moved
        reshape.transposed reshape.fortran transpose.reshaped permute_axes.reshaped concatenate.exchanged concatenate.one_late
        stack.exchanged stack.copied pad.from_zero pad.one_axis expand_dims.transposed lstm_cell.g_no_gy
    """,
    "contract": """
        sigmoid.float32 relu.integers add.lists add_row.keepdims add_row.matrix add_column.no_keepdims linear.b_keepdims
        sum.not_spread sum_axis_0.not_spread sum_keepdims.not_spread batch_norm.gamma_keepdims embedding.float32
        stack.kept_axis expand_dims.not_squeezed
    """,
    "tolerance": "sine.low_precision linear.low_precision",
    "gy": "log.in_place relu.in_place",
    "inputs": "centre_columns.in_place",
    "twice": "linear.accumulates softmax.in_place cross_entropy.in_place embedding.accumulates slice.accumulates",
    "stale": "sigmoid.stale linear.stale",
}
# With a random upstream gradient what is left is the contract and side effects.
SURVIVORS_OF_RELATIVE_ERROR = {
    "contract": """
        sigmoid.float32 add.lists add_row.keepdims add_row.matrix linear.b_keepdims sum.not_spread sum_axis_0.not_spread
        sum_keepdims.not_spread batch_norm.gamma_keepdims embedding.float32 stack.kept_axis
    """,
    "tolerance": "sine.low_precision linear.low_precision",
    "gy": "relu.in_place",
    "twice": "linear.accumulates softmax.in_place cross_entropy.in_place embedding.accumulates slice.accumulates",
    "stale": "sigmoid.stale linear.stale",
}


def words(table):
    return {key: set(text.split()) for key, text in table.items()}


def test_ones_for_the_upstream_gradient_let_dozens_of_mistakes_pass():
    table = audit(map(of_corpus, OPERATIONS), sum_of_output)
    assert listed(table) == words(SURVIVORS_OF_A_SUM)
    assert len(table.survivors) == 77
    assert set(table.false_alarms) == {"reciprocal", "leaky_relu_at_zero"}  # its tolerance is absolute, and it knows no kinks


def test_a_random_upstream_gradient_leaves_contract_and_side_effects():
    table = audit(map(of_corpus, OPERATIONS), relative_error)
    assert listed(table) == words(SURVIVORS_OF_RELATIVE_ERROR)


def test_one_random_entry_lets_a_third_pass():
    table = audit(map(of_corpus, OPERATIONS), one_random_entry)
    assert len(table.survivors) > 120
    assert {"max_pool.first", "inverse.not_transposed", "embedding.fancy"} <= listed(table)["entries"]
    assert {"add_row.not_summed", "scale.not_summed"} <= listed(table)["contract"]  # its engine takes back broadcasts


def test_our_own_check_lets_none_pass():
    table = audit(map(of_corpus, OPERATIONS), ours)
    assert table.passed and listed(table) == {} and table.false_alarms == ()
    same = {f"{row.rule}.{row.wrong.name}" for row in table.rows if row.outcome == "equivalent"}
    assert same == {"add.same_array", "flip.view", "reshape.view", "concatenate.views"}  # their numbers are right


# ---- the table


def forward(x, w):
    return x @ w, (x, w)


def unbroadcast(g, times):
    return times * g.sum(axis=0)


def backward(cache, dy):
    x, w = cache
    return dy @ w.T, x.T @ dy


def draw(rng):
    return rng.normal(size=(4, 4)), rng.normal(size=(4, 4))


def near(backward, right):
    return all(p.shape == q.shape and np.allclose(p, q) for p, q in zip(backward, right, strict=True))


def against_the_right_one(gy):
    """A check that knows the right gradients, for one upstream gradient."""

    def check(forward, wrong, inputs):
        y, cache = forward(*inputs)
        return near(wrong(cache, gy(y)), backward(cache, gy(y)))

    return check


def test_survivors_come_with_what_would_notice_them():
    table = audit([Audited("product", forward, backward, (draw,))], against_the_right_one(np.ones_like))
    text = str(table)
    assert not table and "dy @ w.T" in text and ADVICE["upstream"] in text
    assert "test_audit.py:" in text
    data = json.loads(table.to_json())
    assert data["schema"] == "tinyad-audit-1" and data["passed"] is False
    assert {row["outcome"] for row in data["rows"]} >= {"noticed", "survived"}
    assert data["rows"] == json.loads((table + Audit(())).to_json())["rows"]
    good = audit(
        [Audited("product", forward, backward, (draw,))],
        against_the_right_one(lambda y: np.sin(1 + np.arange(16.0)).reshape(4, 4)),
    )
    assert good.passed and str(good).startswith(f"{len(good.rows)} wrong rules: ")


def wrong_at(**changes):
    """The told_by of a rule that differs from x -> x**2 somewhere, for a check that accepts everything."""
    right = {"forward": lambda x: (x**2, x), "backward": lambda x, dy: 2 * x * dy}
    wrong = [Wrong("it", **{**right, **changes})]
    square = Audited("square", **right, places=(lambda rng: rng.uniform(1, 2, size=(5, 3)),), wrong=wrong)
    [row] = audit([square], lambda forward, backward, inputs: None).rows
    return row.told_by or row.outcome


OWN = np.random.default_rng([0, 0]).uniform(1, 2, size=(5, 3))


def changed(where):
    """A backward that is wrong for some inputs only."""
    return lambda x, dy: 2 * x * dy * (1 + where(x))


@pytest.mark.parametrize(
    ("changes", "told_by"),
    [
        ({}, "equivalent"),
        ({"forward": lambda x: (x**3, x)}, "output"),
        ({"backward": lambda x, dy: 1 / 0}, "raises"),
        ({"backward": lambda x, dy: (2 * x * dy).astype(np.float32)}, "contract"),
        ({"backward": lambda x, dy: [2 * x * dy, None]}, "contract"),
        ({"backward": lambda x, dy: None}, "contract"),
        ({"backward": lambda x, dy: 3 * x * dy}, "entries"),
        ({"backward": lambda x, dy: 2 * x * dy * (1 + 1e-5)}, "tolerance"),
        ({"backward": lambda x, dy: 2 * x * dy**2}, "upstream"),
        ({"backward": lambda x, dy: np.multiply(2 * x, dy, out=dy)}, "gy"),
        ({"forward": lambda x: (np.multiply(x, x, out=x), np.sqrt(x))}, "inputs"),
        ({"backward": changed(lambda x: x.shape == (4, 4))}, "square"),
        ({"backward": changed(lambda x: x.shape[0] not in (4, 5))}, "shape"),
        ({"backward": changed(lambda x: x.flat[0] != OWN.flat[0])}, "more"),
    ],
)
def test_what_tells_a_wrong_rule_from_the_right_one(changes, told_by):
    assert wrong_at(**changes) == told_by


def test_a_single_example_does_not_make_a_missing_mean_right():
    def forward(x, labels):
        return -x[np.arange(len(labels)), labels].mean(), (x.shape, labels)

    def sum_for_mean(cache, dy):
        dx = np.zeros(cache[0])
        dx[np.arange(len(cache[1])), cache[1]] = -dy
        return dx, None

    def backward(cache, dy):
        dx, _ = sum_for_mean(cache, dy)
        return dx / len(cache[1]), None

    wrong = [Wrong("1/N", forward, sum_for_mean)]
    single = Audited("loss", forward, backward, places=(lambda rng: (rng.normal(size=(1, 3)), np.array([2])),), wrong=wrong)
    [row] = audit([single], lambda forward, backward, inputs: None).rows
    assert (row.outcome, row.told_by) == ("survived", "several")


def test_side_effects_tell_rules_apart():
    kept = []

    def accumulating(x, dy):
        kept.append(dy)
        return 2 * x * dy * (1 if len(kept) % 2 else 2)

    assert wrong_at(backward=accumulating) in ("twice", "stale", "entries")
    last = {}

    def remembering(x):
        last["x"] = x
        return x**2, None

    assert wrong_at(forward=remembering, backward=lambda _, dy: 2 * last["x"] * dy) == "stale"


def test_a_loop_without_end_is_noticed(monkeypatch):
    import tinyad.checking.audit as module

    def endless(x, dy):
        while True:
            pass

    monkeypatch.setattr(module, "LONGEST", 0.05)
    wrong = [Wrong("it", lambda x: (x**2, x), endless)]
    square = Audited("square", lambda x: (x**2, x), lambda x, dy: 2 * x * dy, (lambda rng: rng.normal(size=3),), wrong=wrong)
    for check in (lambda f, b, inputs: b(f(*inputs)[1], 1.0) is not None, lambda f, b, inputs: None):
        [row] = audit([square], check).rows
        assert row.outcome in ("raised", "survived") and row.told_by in ("", "raises")


def with_helper(x, dy):
    return x * unbroadcast(dy, 2), None


def test_functions_that_backward_calls_are_made_wrong_too():
    found = wrong_rules(forward, with_helper)
    helpers = [wrong for wrong in found if "times * g.sum(axis=0)" in wrong.what]
    assert helpers
    dropped = next(wrong for wrong in helpers if "-> `times`" in wrong.what)
    assert dropped.backward(np.ones(3), np.ones((5, 3)))[0].tolist() == [2, 2, 2]
    assert with_helper(np.ones(3), np.ones((5, 3)))[0].tolist() == [10, 10, 10]  # and put right again


def test_what_cannot_be_audited_is_said():
    table = audit([Audited("f", forward, lambda cache, dy: dy, (draw,))], ours)
    assert table.rows == () and "f: mutants: function is a lambda" in str(table)
    with pytest.raises(TypeError, match="check is None"):
        audit([Audited("product", forward, backward, (draw,))])
    own = Place(draw, check=lambda forward, backward, inputs: False)
    assert audit([Audited("product", forward, backward, (own,))]).false_alarms == ("product",)


# ---- assignments


def test_an_assignment_whose_cases_notice_everything(tmp_path):
    author(tmp_path)
    done = run("audit", "hw.py", "--json", "table.json", cwd=tmp_path)
    assert done.returncode == 0 and "0 SURVIVED" in done.stdout and done.stderr == ""
    assert json.loads((tmp_path / "table.json").read_text())["passed"] is True


DISTINCT = """
import numpy as np
import tinyad.grade as tg

### BEGIN FILE ops.py
import numpy as np


def rows_forward(table, indices):
    return table[indices], (table.shape, indices)


def rows_backward(cache, dy):
    shape, indices = cache
    ### BEGIN SOLUTION
    gradient = np.zeros(shape)
    np.add.at(gradient, indices, dy)
    return gradient, None
    ### END SOLUTION
### END FILE

hw = tg.Assignment("weak", seed=4)


def distinct(rng):
    return rng.normal(size=(5, 3)), rng.permutation(5)[:4]


hw.rule("rows", "ops.py:rows_forward,rows_backward", lambda table, indices: table[indices], cases=tg.case(distinct), points=1)
hw.train("ops.py:rows_forward", "loss<1", points=1)
"""


def test_cases_that_let_a_mistake_pass(tmp_path, capsys):
    """With indices that are all different nobody sees that repeated ones must add up. The reference has no backward here."""
    file = author(tmp_path, DISTINCT)
    assert main(["audit", str(file)]) == 1
    output = capsys.readouterr().out
    assert "`np.add.at(gradient, indices, dy)` -> `gradient[indices] += dy`" in output and "ops.py:" in output
    assert ADVICE["indices"] in output
    assert "not audited: rows_forward: there is no backward to make wrong in an item of the kind training" in output


def test_a_teachers_own_check_at_the_assignments_cases(tmp_path, capsys):
    file = author(tmp_path)
    assert main(["audit", str(file), "--check", f"{CHECKERS}::sum_of_output"]) == 1
    output = capsys.readouterr().out
    assert "`dy * slope` -> `slope`" in output and ADVICE["upstream"] in output
    for given, said in [
        (str(CHECKERS), "expected a file and a function in it"),
        (f"{CHECKERS}::nothing", "defines Callable, Any, Function, gradients, floats"),
        (f"{tmp_path}/no.py::f", "there is no file"),
    ]:
        assert main(["audit", str(file), "--check", given]) == 2
        assert said in capsys.readouterr().err
    assert main(["audit", str(tmp_path / "no.py")]) == 2


def test_an_assignment_without_files_for_students_is_audited_as_far_as_it_goes(tmp_path, capsys):
    source = HW[: HW.index("### BEGIN FILE")] + HW[HW.index("WEIGHTS") :]
    file = author(
        tmp_path, source.replace("(tanh_forward, tanh_backward)", "np.tanh").replace("(scale_forward, scale_backward)", "abs")
    )
    assert main(["audit", str(file)]) == 0
    assert "not audited: tanh: ops.py, which 'tanh', 'scale' names, is missing" in capsys.readouterr().out
