"""Submissions of imaginary students, and the assignment that they are graded by."""

from pathlib import Path

import numpy as np

import tinyad.grade as tg
from tinyad.checking.grading.results import Grade

WALL = 0.8  # seconds of a call, in tests

TANH = """
import numpy as np

def forward(x):
    y = np.tanh(x)
    return y, y

def backward(y, gy):
    return gy * (1 - y**2)
"""

WRONG_TANH = TANH.replace("1 - y**2", "1 - y")

AFFINE = """
def forward(x, w, b):
    return x @ w + b, (x, w)

def backward(cache, gy):
    x, w = cache
    return gy @ w.T, x.T @ gy, gy.sum(axis=0)
"""


def assignment(**settings) -> tg.Assignment:
    """Three points for tanh, of which one is for a hidden case, and three for an affine map."""
    chosen = {"seed": 7, "wall": WALL, "memory": 512 << 20} | settings
    hw = tg.Assignment("hw", points=6, **chosen)
    cases = tg.shapes((5, 3), (3,)) + tg.hidden((7,))
    hw.rule("tanh", student="tanh.py:forward,backward", reference=np.tanh, cases=cases, points=3)
    shapes = tg.shapes(((5, 3), (3, 7), (7,)))
    hw.rule("affine", student="affine.py:forward,backward", reference=lambda x, w, b: x @ w + b, cases=shapes, points=3)
    return hw


def submission(folder: Path, **files: str) -> Path:
    """A folder with files, ``name="source"`` for name.py; the affine map is right unless it is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in ({"affine": AFFINE} | files).items():
        (folder / f"{name}.py").write_text(source)
    return folder


def graded(folder: Path, hw: tg.Assignment | None = None, **files: str) -> Grade:
    """The grade of a submission made of these files."""
    return tg.grade(hw or assignment(), submission(folder, **files))


def scores(grade: Grade) -> list[float]:
    """Of each test."""
    return [test.score for test in grade.tests]
