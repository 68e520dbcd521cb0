"""Assignments of imaginary teachers."""

from pathlib import Path

HW = '''
import numpy as np
import tinyad.grade as tg

### BEGIN FILE ops.py
"""Derivatives to write."""

import numpy as np

ONE = 1.0


def tanh_forward(x):
    y = np.tanh(x)
    return y, y


def tanh_backward(y, dy):
    """The gradient."""
    ### BEGIN SOLUTION
    slope = ONE - y**2
    return dy * slope
    ### END SOLUTION


def scale_forward(x, factor=2.0):
    return factor * x, factor


def scale_backward(factor, dy):
    ### BEGIN SOLUTION
    return factor * dy
    ### END SOLUTION
### END FILE

WEIGHTS = dict(contract=0.2, values=0.7, purity=0.1)
hw = tg.Assignment("small", points=5, seed=4, wall=5.0)
hw.rule("tanh", student="ops.py:tanh_forward,tanh_backward", reference=(tanh_forward, tanh_backward),
        cases=tg.shapes((5, 3), (4, 4)) + tg.hidden((7,)), points=3, weights=WEIGHTS)
hw.rule("scale", student="ops.py:scale_forward,scale_backward", reference=(scale_forward, scale_backward),
        cases=tg.shapes((5, 3)), kwargs=[dict(factor=2.0), dict(factor=-3.0)], points=2, weights=WEIGHTS)
'''


def author(folder: Path, source: str = HW, **files: str) -> Path:
    """An assignment in a folder, with files ``name="source"`` for name.py beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"hw": source, **files}.items():
        (folder / f"{name}.py").write_text(text)
    return folder / "hw.py"


def run_file(path: Path) -> dict:
    """The names in a file of the student's copy."""
    there: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), there)
    return there
