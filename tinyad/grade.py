"""For teachers: declare an assignment, and grade what students hand in.

An assignment is a file of Python, with the references in it::

    # hw1.py
    import numpy as np
    import tinyad.grade as tg

    def softmax(x, axis=-1):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    hw = tg.Assignment("hw1", points=10, seed=2026, feedback="hint")
    hw.rule("softmax", student="ops.py:softmax_forward,softmax_backward", reference=softmax, points=3,
            cases=tg.shapes((5, 3), (4, 4)) + tg.hidden((7, 5, 3)), kwargs=[dict(axis=-1), dict(axis=0)])
    hw.engine("engine.py:Value", points=5)
    hw.train("mlp.py:train", metric="loss<0.1", wall=20, points=2)

The command line grades a folder with a student's files::

    tinyad grade hw1.py SUBMISSION --format gradescope --out results.json

and so does `grade`. The students' code runs in a process of its own, of which only numbers are believed; how far that protects
is said in `tinyad.checking.grading.jail`. It is no sandbox against a determined attacker: where that matters, use a container.

>>> import tempfile
>>> from pathlib import Path
>>> import tinyad.grade as tg
>>> hw = tg.Assignment("squares", points=2, seed=1)
>>> hw.rule("square", student="ops.py:forward,backward", reference=lambda x: x**2, cases=tg.shapes((5, 3)), points=2)
>>> with tempfile.TemporaryDirectory() as folder:
...     _ = (Path(folder) / "ops.py").write_text('''
... def forward(x):
...     return x**2, x
...
... def backward(x, gy):
...     return 2 * x * gy
... ''')
...     print(tg.grade(hw, folder).score)
2.0
"""

from __future__ import annotations

from .checking.audit import Audit, Audited, Place, Wrong, audit
from .checking.grading.assignment import Assignment
from .checking.grading.audit import audit_assignment
from .checking.grading.cases import Case, case, hidden, shapes
from .checking.grading.grade import grade
from .checking.grading.loading import load_assignment
from .checking.grading.points import Points, grade_here, points
from .checking.grading.results import Grade, TestResult
from .checking.grading.visible import check_visible

__all__ = [
    "Assignment",
    "Audit",
    "Audited",
    "Case",
    "Grade",
    "Place",
    "Points",
    "TestResult",
    "Wrong",
    "audit",
    "audit_assignment",
    "case",
    "check_visible",
    "grade",
    "grade_here",
    "hidden",
    "load_assignment",
    "points",
    "shapes",
]
