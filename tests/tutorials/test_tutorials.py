"""Tutorials: their cells are well formed, each ends in assertions, and each runs by itself, with small settings."""

import ast
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tinyad import report

FOLDER = Path(__file__).resolve().parents[2] / "tutorials"
APART = {"exercises", "solutions"}  # see test_exercises.py
TUTORIALS = sorted(path for path in FOLDER.rglob("*.py") if path.parent.name not in APART)
each_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)

HEADER = re.compile(r"^# %%( \[markdown\])?$")
LONGEST_LINE = 110
LONGEST_RUN = 20.0  # seconds of a processor


# ---- cells


def cells_of(text):
    """The cells of a file in percent format: (line number, kind, lines)."""
    cells = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# %%") or not cells:
            cells.append((number, "markdown" if line.endswith("[markdown]") else "code", line, []))
        else:
            cells[-1][3].append(line)
    return cells


def faults_of(text):
    """What is wrong with a file in percent format, in words."""
    faults = [
        f"line {k}: longer than {LONGEST_LINE}" for k, line in enumerate(text.splitlines(), 1) if len(line) > LONGEST_LINE
    ]
    for number, kind, header, lines in cells_of(text):
        if not HEADER.match(header):
            faults.append(f"line {number}: {header!r} is no header of a cell")
        if not "".join(lines).strip():
            faults.append(f"line {number}: an empty cell")
        if kind == "markdown":
            faults += [f"line {number}: {fault}" for fault in _faults_of_markdown(lines)]
    if not re.match(r"# %% \[markdown\]\n# # \S", text):
        faults.append("line 1: it does not begin with a title")
    return faults


def _faults_of_markdown(lines):
    while lines and not lines[-1]:
        lines = lines[:-1]  # blank lines between cells
    faults = [f"{line!r} is neither `#` nor begins with `# `" for line in lines if line != "#" and line[:2] != "# "]
    text = "\n".join(line[2:] for line in lines)
    if text.count("```") % 2:
        faults.append("a block of code is not closed")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    if prose.count("`") % 2:
        faults.append("an odd number of backticks")
    prose = re.sub(r"`[^`]*`", "", prose)
    if prose.count("$$") % 2:
        faults.append("a displayed formula is not closed")
    formulas = re.findall(r"\$\$(.*?)\$\$", prose, flags=re.DOTALL)
    prose = re.sub(r"\$\$.*?\$\$", "", prose, flags=re.DOTALL)
    if prose.count("$") % 2:
        faults.append("a formula is not closed")
    formulas += re.findall(r"\$(.*?)\$", prose, flags=re.DOTALL)
    faults += [f"braces do not match in {f!r}" for f in formulas if f.count("{") != f.count("}")]
    if prose.count("**") % 2:
        faults.append("bold type is not closed")
    faults += [f"{line!r}: a heading needs a space" for line in prose.splitlines() if re.match(r"#+[^#\s]", line)]
    return faults


def ends_in_asserts(text):
    """Whether the last cell is code, has an assertion, and ends in one."""
    _, kind, _, lines = cells_of(text)[-1]
    body = ast.parse("\n".join(lines)).body if kind == "code" else []
    return bool(body) and isinstance(body[-1], ast.Assert)


GOOD = "# %% [markdown]\n# # Title\n#\n# With $x$ and `code`.\n\n# %%\nx = 1\n\n# %%\nassert x\n"


def test_there_are_tutorials():
    assert len(TUTORIALS) >= 9


@each_tutorial
def test_cells_are_well_formed(path):
    assert faults_of(path.read_text(encoding="utf-8")) == []


@each_tutorial
def test_it_ends_in_asserts(path):
    assert ends_in_asserts(path.read_text(encoding="utf-8"))


@each_tutorial
def test_it_is_in_the_table(path):
    assert f"({path.relative_to(FOLDER).as_posix()})" in (FOLDER / "README.md").read_text(encoding="utf-8")


# ---- the tests tested


def test_a_good_file_has_no_faults():
    assert faults_of(GOOD) == [] and ends_in_asserts(GOOD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# With", "With"),
        ("# With", "#With"),
        ("$x$", "$x"),
        ("$x$", "$$x$"),
        ("$x$", "$x_{1$"),
        ("`code`", "`code"),
        ("`code`", "```code"),
        ("`code`", "**code"),
        ("# With", "# ##With"),
        ("# # Title", "# Title"),
        ("# %%\nx", "#%%\nx"),
        ("# %%\nx", "# %%x\nx"),
        ("x = 1\n", "\n"),
        ("x = 1", "x = 1" + " + 1" * 30),
    ],
)
def test_a_fault_is_found(old, new):
    if new.startswith("#%%"):  # no header, so the code belongs to the cell of markdown above
        assert "neither" in faults_of(GOOD.replace(old, new))[0]
    assert old in GOOD and faults_of(GOOD.replace(old, new))


@pytest.mark.parametrize("end", ["# %%\nprint(x)\n", "# %% [markdown]\n# The end.\n", "# %%\nassert x\nx = 2\n"])
def test_an_end_without_asserts_is_found(end):
    assert not ends_in_asserts(GOOD + "\n" + end)


# ---- pictures


def test_pictures_go_where_they_are_told(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="tutorials need the extra picture")
    monkeypatch.setenv("TINYAD_PICTURES", str(tmp_path / "new"))
    report.keep(report.new_figure(2, 2), "square")
    assert (tmp_path / "new/square.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"picture: {tmp_path / 'new/square.png'}\n"


def test_a_notebook_shows_a_figure_once(tmp_path, monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="tutorials need the extra picture")
    shown = []
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(Image=bytes, display=shown.append))
    monkeypatch.setenv("TINYAD_PICTURES", str(tmp_path))
    report.keep(pyplot.figure(), "of pyplot, which a cell shows by itself")
    pyplot.close("all")
    assert shown == []
    report.keep(report.new_figure(2, 2), "ours")
    assert len(shown) == 1 and shown[0].startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ""


# ---- runs

WITHOUT = "import runpy, sys; sys.modules.update(dict.fromkeys({missing!r})); runpy.run_path({path!r}, run_name='__main__')"


def run(path, folder, missing=()):
    """Run a tutorial in an empty folder, where its pictures go, too. Gives the seconds of a processor that it took."""
    script = [str(path)] if not missing else ["-c", WITHOUT.format(missing=list(missing), path=str(path))]
    settings = {"TINYAD_SMALL": "1", "TINYAD_PICTURES": str(folder), "MPLBACKEND": "Agg", "XDG_CACHE_HOME": str(folder)}
    # on a busy machine the threads of a BLAS wait for one another, for longer than they compute
    settings |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before = os.times()
    done = subprocess.run(
        [sys.executable, *script], cwd=folder, env=os.environ | settings, capture_output=True, text=True, timeout=300
    )
    after = os.times()
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return after.children_user + after.children_system - before.children_user - before.children_system


@each_tutorial
def test_it_runs(path, tmp_path):
    pytest.importorskip("igraph", reason="tutorials need the extra picture")
    pytest.importorskip("matplotlib", reason="tutorials need the extra picture")
    assert run(path, tmp_path) < LONGEST_RUN
    assert all(picture.stat().st_size > 5000 for picture in tmp_path.glob("*.png"))
    assert list(tmp_path.glob("*.png")), "no picture was made"


@pytest.mark.slow
@each_tutorial
def test_it_runs_without_optional_packages(path, tmp_path):
    pytest.importorskip("igraph", reason="tutorials need the extra picture")
    pytest.importorskip("matplotlib", reason="tutorials need the extra picture")
    run(path, tmp_path, missing=("sklearn", "threadpoolctl", "tqdm", "mlxtend"))
