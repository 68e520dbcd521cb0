# %% [markdown]
# # An assignment that cannot be fooled
#
# For the teacher. Students hand in backward functions; a program grades them. It should give points for right
# gradients, all of them and nothing else: not for a gradient that is right when the upstream gradient is 1,
# not for finite differences, not for a file that writes its own result. And it should tell each student why,
# and you what to teach again.
#
# This page writes a small assignment, looks for the holes in it, hands it out, and grades a class. Two whole
# ones come with tinyad, in the folder `assignments`: *backward by hand*, and *write your own engine*.

# %%
import contextlib
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from tinyad.__main__ import main
from tinyad.checking.grading.audit import audit_assignment, foreign_check
from tinyad.report import PALETTE, keep, tidy

folder = Path(tempfile.mkdtemp())


def tinyad(*words):
    """A command as one would type it in the folder, after `python -m`; its exit code."""
    print("$ tinyad", *words)
    with contextlib.chdir(folder):
        return main(words)


# %% [markdown]
# ## 1. Write
#
# An assignment is a folder. `ops.py` is the file that students complete, *with the solution in it*, between
# two markers. That is also the reference: what is graded is compared with the file that you have tested.

# %%
OPS = '''"""Two rules. Forward is given; write backward. To check: python -m tinyad check ops.py::softmax"""

import numpy as np


def softmax_forward(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    y = e / e.sum(axis=axis, keepdims=True)
    return y, (y, axis)


def softmax_backward(cache, dy):
    y, axis = cache
    ### BEGIN SOLUTION
    return (y * (dy - (dy * y).sum(axis=axis, keepdims=True)),)
    ### END SOLUTION


def softmax_inputs(rng):
    return rng.normal(size=(5, 3))


def bag_forward(table, indices):
    """A bag of words: for every row of indices the mean of these rows of the table."""
    return table[indices].mean(axis=1), (table.shape, indices)


def bag_backward(cache, dy):
    """The gradient by the table, and None for the indices."""
    shape, indices = cache
    ### BEGIN SOLUTION
    dtable = np.zeros(shape)
    np.add.at(dtable, indices, dy[:, None] / indices.shape[1])
    return dtable, None
    ### END SOLUTION


def bag_inputs(rng):
    return rng.normal(size=(7, 5)), rng.integers(7, size=(2, 3))
'''

# %% [markdown]
# `hw.py` beside it is the teacher's own, and says what is graded, where, and for how many points. A case is a
# shape, or several, or a function that draws the inputs. This is the first draft:

# %%
HW = """
import ops
import tinyad.grade as tg

hw = tg.Assignment("two rules", points=10, seed=2026, feedback="hint", wall=2.0)

def words(rng):
    return rng.normal(size=(7, 5)), rng.permutation(7)[:6].reshape(2, 3)

hw.rule("softmax", student="ops.py:softmax_forward,softmax_backward", points=4,
        reference=(ops.softmax_forward, ops.softmax_backward), cases=tg.shapes((5, 3)))
hw.rule("bag", student="ops.py:bag_forward,bag_backward", points=6,
        reference=(ops.bag_forward, ops.bag_backward), cases=tg.case(words))
"""
for name, text in (("ops.py", OPS), ("hw.py", HW)):
    (folder / name).write_text(text)

# %% [markdown]
# ## 2. Lint
#
# Before anyone else sees it:

# %%
first_lint = tinyad("assign", "lint", "hw.py")

# %% [markdown]
# It has graded two submissions: the solution, which must get everything, and the empty copy, which must get
# nothing. The empty copy gets a fifth, because forward is given and has its share of the points. So forward
# shall weigh nothing. (Who changes it gains nothing by it: numeric derivatives are taken of the teacher's,
# and the student's is compared with that first.) Of the rest, 20 % are for the *contract*, a gradient for
# each input, of its shape and dtype; 70 % for *values*, right numbers; and 10 % for *purity*: no call
# disturbs another. A backward that is wrong, but of the right shape, gets the 20 %, and nothing for purity.

# %%
WEIGHTS = 'weights={"contract": 0.2, "values": 0.7, "purity": 0.1}, points='
HW = HW.replace("points=4", f"{WEIGHTS}4").replace("points=6", f"{WEIGHTS}6")
(folder / "hw.py").write_text(HW)
second_lint = tinyad("assign", "lint", "hw.py")

# %% [markdown]
# ## 3. Audit
#
# In order, and still not good. Would the cases notice a mistake? `tinyad audit` makes every single mistake in
# the solution that it can think of (factors and terms left out, other axes, another length, a transpose too
# many ...), grades each as if a student had handed it in, and lists what gets all points.

# %%
first_audit = tinyad("audit", "hw.py")

# %% [markdown]
# No word comes twice in these bags, so `=` and `+=` are as good as `np.add.at`. Each survivor has a line that
# says what would have noticed it. Other classics: a single example, with which nobody can see whether a loss
# is a mean or a sum; windows that do not overlap; a maximum without ties; an axis that is always the last.
#
# So: words that come twice, more axes, and the special cases among the hidden ones.

# %%
HW = (
    HW.replace(
        "rng.permutation(7)[:6].reshape(2, 3)",
        "rng.integers(4, size=(2, 3))  # of 7 rows, some often, some never",
    )
    .replace(
        "cases=tg.shapes((5, 3))",
        "cases=tg.shapes((5, 3), (4, 4)) + tg.hidden((2, 5, 3)), kwargs=[dict(axis=-1), dict(axis=0)]",
    )
    .replace(
        "cases=tg.case(words)",
        "cases=tg.case(words) + tg.hidden(lambda rng: (rng.normal(size=(3, 2)), np.array([[1, 1, 1]])))",
    )
    .replace("import ops", "import numpy as np\nimport ops")
)
(folder / "hw.py").write_text(HW)
second_audit = tinyad("audit", "hw.py")

# %% [markdown]
# ## 4. What other checks miss
#
# The same can be asked of any check that you have. Here are three, written down from what well-known courses
# do. Two make a number of the output by `.sum()`, so the upstream gradient is 1 everywhere; one of these
# looks at one entry only. The third has a random upstream gradient and a relative error, as it should be.

# %%
COURSE = '''
import numpy as np

def gradients(backward, cache, gy):
    found = backward(cache, gy)
    return found if isinstance(found, tuple) else (found,)

def slope(f, x, at, step):
    kept = x[at]
    x[at] = kept + step
    up = f()
    x[at] = kept - step
    down = f()
    x[at] = kept
    return (up - down) / (2 * step)

def sum_of_output(forward, backward, inputs):
    """Differences of the sum of the output; the norm of the error below 1e-6."""
    y, cache = forward(*inputs)
    error = 0.0
    for x, g in zip(inputs, gradients(backward, cache, np.ones_like(y))):
        if x.dtype.kind == "f":
            f = lambda: np.sum(forward(*inputs)[0])
            numeric = np.array([slope(f, x, at, 1e-4) for at in np.ndindex(x.shape)]).reshape(x.shape)
            error += np.linalg.norm(g - numeric)
    return error < 1e-6

def one_entry(forward, backward, inputs):
    """The same, at one entry of each input, within one per cent."""
    y, cache = forward(*inputs)
    for x, g in zip(inputs, gradients(backward, cache, np.ones_like(y))):
        if x.dtype.kind == "f":
            at = tuple(np.random.default_rng(1).integers(n) for n in x.shape)
            numeric = slope(lambda: np.sum(forward(*inputs)[0]), x, at, 1e-6)
            if not np.allclose(g[at], numeric, rtol=1e-2, atol=1e-2):
                return False
    return True

def relative_error(forward, backward, inputs):
    """A random upstream gradient; the largest relative error of an entry below 1e-4."""
    y, cache = forward(*inputs)
    gy = np.random.default_rng(2).normal(size=np.shape(y))
    for x, g in zip(inputs, gradients(backward, cache, gy)):
        if x.dtype.kind == "f":
            f = lambda: np.sum(forward(*inputs)[0] * gy)
            numeric = np.array([slope(f, x, at, 1e-5) for at in np.ndindex(x.shape)]).reshape(x.shape)
            if not (np.abs(g - numeric) / np.maximum(1e-8, np.abs(g) + np.abs(numeric))).max() < 1e-4:
                return False
    return True
'''
(folder / "course.py").write_text(COURSE)
tinyad("audit", "hw.py", "--check", "course.py::sum_of_output")

missed, total = {}, 0
for check in ("sum_of_output", "one_entry", "relative_error"):
    table = audit_assignment(folder / "hw.py", foreign_check(f"{folder / 'course.py'}::{check}"))
    missed[check] = [row.wrong.what for row in table.survivors]
    total = table.count("noticed", "raised", "survived")
    print(f"{check}: {len(table.survivors)} of {total} pass")

# %% [markdown]
# Softmax is the worst case for a sum: each row of the output adds up to 1 whatever the input is, so the
# gradient of the sum is zero, and everything that is zero for `dy = 1` passes.

# %%
counts = {check.replace("_", " "): len(rows) for check, rows in missed.items()} | {"tinyad": 0}
figure, axes = plt.subplots(figsize=(7.0, 2.6), layout="constrained")
bars = axes.barh(list(counts), list(counts.values()), color=PALETTE["second"])
axes.bar_label(bars, padding=4)
axes.invert_yaxis()
tidy(axes, "wrong backwards that pass", "", f"Of {total} wrong backwards of two rules")
keep(figure, "02_what_checks_miss")

# %% [markdown]
# ## 5. Build
#
# The students' copy. It is written only after a look through it for every line of every solution.

# %%
tinyad("assign", "build", "hw.py", "student")
print((folder / "student" / "ops.py").read_text()[:520], "...")

# %% [markdown]
# `--notebook` makes notebooks for nbgrader of it, `--otter` test files for otter, `--gradescope` the zip that
# Gradescope builds a grader from.
#
# ## 6. Grade
#
# A class of students, some of whom made a mistake that others made, too, and some of whom had other ideas:

# %%
SOLUTION = OPS.replace("    ### BEGIN SOLUTION\n", "").replace("    ### END SOLUTION\n", "")
SUM = "(dy * y).sum(axis=axis, keepdims=True)"


def with_softmax_by(body):
    """The solution with another softmax_backward."""
    line = f"    return (y * (dy - {SUM}),)\n"
    assert SOLUTION.count(line) == 1
    return SOLUTION.replace(line, body)


DIFFERENCES = """
    x, axis = X[0], cache[1]
    f = lambda x: np.sum(dy * softmax_forward(x, axis)[0])
    g = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        h = np.zeros_like(x)
        h[at] = 1e-5
        g[at] = (f(x + h) - f(x - h)) / 2e-5
    return (g,)
"""
KEPT = "X = []\n\n\ndef softmax_forward(x, axis=-1):\n    X[:] = [x]\n"
OVERWRITES = """
    import json, os
    for place in ("results.json", "../results.json"):
        try:
            with open(place, "w") as file:
                json.dump({"score": 10, "tests": []}, file)
        except OSError:
            pass
    os._exit(0)
"""
AGREES = """
    class Agreeable(np.ndarray):
        def __eq__(self, other): return np.ones(self.shape, bool)
        def __sub__(self, other): return np.zeros(self.shape)
        def __array_ufunc__(self, *args, **kwargs): return np.zeros(self.shape)
    np.allclose = lambda *args, **kwargs: True
    return (np.zeros(y.shape).view(Agreeable),)
"""
STEALS = f"""
    with open({str(folder / "ops.py")!r}) as file:
        there = {{}}
        exec(file.read(), there)
    return there["softmax_backward"](cache, dy)
"""
hand_ins = {
    "ada": SOLUTION,
    "ben": SOLUTION.replace(f"dy - {SUM}", "dy"),
    "cem": SOLUTION.replace(f"dy - {SUM}", "dy"),
    "dora": SOLUTION.replace("dy[:, None] / indices.shape[1]", "dy[:, None]"),
    "eva": SOLUTION.replace(f"dy - {SUM}", "dy").replace("dy[:, None] / indices.shape[1]", "dy[:, None]"),
    "finn": SOLUTION.replace(SUM, "(dy * y).sum(axis=axis)"),
    "gus": with_softmax_by(DIFFERENCES).replace("def softmax_forward(x, axis=-1):\n", KEPT),
    "hal": with_softmax_by("    while True:\n        pass\n"),
    "ida": with_softmax_by(OVERWRITES),
    "jan": with_softmax_by(AGREES),
    "kim": with_softmax_by("    return (3 * dy,)\n").replace(
        "    return y, (y, axis)", "    return 3 * x, (y, axis)"
    ),
    "leo": with_softmax_by(STEALS),
}
for name, source in hand_ins.items():
    (folder / "class" / name).mkdir(parents=True)
    (folder / "class" / name / "ops.py").write_text(source)

tinyad("grade", "hw.py", "--all", "class", "--out", "grades", "--jobs", "2")
results = folder / "grades" / "grades"
grades = {name: json.loads((results / f"{name}.json").read_text()) for name in hand_ins}

# %% [markdown]
# The second list is what to teach again: who made the same mistake, in which rule, by which input. Beside the
# table of scores there is `report.html`, a page with both. What is finished is not done again: with one new
# submission the same command grades one.
#
# What one of them is told, and what those with ideas are:

# %%
told = {name: grade["tests"][0]["output"] for name, grade in grades.items()}
print(told["eva"][:310], "...\n")
for name in ("gus", "hal", "ida", "jan", "kim", "leo"):
    case = grades[name]["tests"][0]["cases"][0]
    said = told[name] if told[name].startswith("worth 0") else "\n".join(case["statements"])
    said = " ".join(said.split())
    print(f"{name}: {said[:150]}{' ...' * (len(said) > 150)}\n")

# %% [markdown]
# *gus* takes finite differences, *hal* loops for ever, *ida* writes a `results.json` of her own and exits
# with success, *jan* returns arrays that are equal to everything, *kim* has made forward as easy as backward.
# Where *leo* looks for the solution there is an empty file: what the assignment is made of is covered in the
# worker's view of the disk.
#
# ## 7. What it protects against, and what not
#
# The grader is two processes. The one that runs the student's code, the *worker*, is told the names of the
# functions and gets arrays. It knows no reference, no tolerance, no points. The other one takes nothing from
# it but numbers, which it makes anew from bytes, and does all comparing itself.
#
# | idea | what becomes of it |
# |---|---|
# | arrays that compare equal to anything, a patched `np.allclose` | they stay there; numbers arrive |
# | `sys.exit(0)`, `os._exit(0)`, an endless loop, all of the memory | a status, and 0 for what it was |
# | writing `results.json` | the grader writes it, after every test, from what it has computed |
# | reading the assignment or the solution | an empty file, where namespaces are to be had |
# | finite differences of forward | calls are counted, and they leave a mark in the last bits: worth 0 |
# | PyTorch, JAX, tinyad itself | the import is noticed when it happens: worth 0 |
# | forward and backward changed together | the numeric derivative is that of the teacher's forward |
# | stored answers for known inputs | inputs are drawn from your seed; hidden cases have other shapes |
# | side effects | what shows in numbers costs *purity*; what only the worker says costs nothing |
#
# It is **no sandbox**. Where namespaces are missing (macOS, some containers) the worker can read what you can
# read, and the grade says so in a note. A determined attacker who knows the operating system finds a way; let
# the grader run in a container, as Gradescope does, when marks are at stake. And some things no program sees:
# whether the student has understood the formula, or who wrote it.

# %%
points = {name: grade["score"] for name, grade in grades.items()}
of_softmax = {
    name: sum(test["score"] for test in grade["tests"] if "softmax" in test["name"])
    for name, grade in grades.items()
}
mistakes = json.loads((folder / "grades" / "clusters.json").read_text())["clusters"]
who = {(row["item"], row["id"]): set(row["submissions"]) for row in mistakes}
assert (first_lint, second_lint) == (1, 0) and (first_audit, second_audit) == (1, 0)
assert len(missed["sum_of_output"]) >= 10 and len(missed["one_entry"]) >= 10
assert len(missed["relative_error"]) <= 3
assert points["ada"] == 10 and points["ben"] == points["cem"] < 10
assert all(of_softmax[name] == 0 for name in ("gus", "hal", "ida", "kim"))
assert of_softmax["jan"] <= 0.8  # for arrays of the right shape, which they are
assert max(points[name] for name in ("gus", "hal", "ida", "jan", "kim")) < 7
assert who["softmax", "D47"] == {"ben", "cem", "eva"} and who["bag", "D24"] == {"dora", "eva"}
assert "finite differences" in told["gus"]
