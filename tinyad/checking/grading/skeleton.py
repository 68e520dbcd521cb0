"""A new assignment that works: two rules to write, with everything that belongs to them."""

from __future__ import annotations

from pathlib import Path

from .handout import write_files

__all__ = ["new_assignment"]

HW = '''\
"""The assignment, for the teacher: what is graded, at which inputs, for how many points. Students get ops.py and README.md.

    python -m tinyad assign lint hw.py            is everything in order?
    python -m tinyad audit hw.py                  would these cases notice a mistake?
    python -m tinyad assign build hw.py student   the copy for students
    python -m tinyad grade hw.py SUBMISSION       one submission
    python -m tinyad grade hw.py --all FOLDER     all of them, and what to teach again
    python -m tinyad assign zip hw.py             the autograder for Gradescope

Students need tinyad to check their work: give them a wheel, which `python -m pip wheel . --no-deps` in a clone of it writes.
"""

import numpy as np

import tinyad.grade as tg

hw = tg.Assignment({name!r}, points=5, seed=2026, feedback="hint")

# Forward is given to students, so it earns nothing. Gradients of the right shapes, right or wrong, get the 20 % for the contract.
WEIGHTS = {{"contract": 0.2, "values": 0.7, "purity": 0.1}}


def affine(x, w, b):
    """What affine_forward should compute. It is compared with the student's forward, and differentiated numerically."""
    return x @ w + b


def softmax(x, axis=-1):
    """What softmax_forward should compute."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


# Lengths that are different primes tell axes apart; a square case tells a matrix from its transpose where nothing else does.
hw.rule(
    "affine",
    student="ops.py:affine_forward,affine_backward",
    reference=affine,
    cases=tg.shapes(((5, 3), (3, 7), (7,)), ((4, 4), (4, 4), (4,))) + tg.hidden(((1, 3), (3, 2), (2,))),
    points=2,
    weights=WEIGHTS,
)
hw.rule(
    "softmax",
    student="ops.py:softmax_forward,softmax_backward",
    reference=softmax,
    cases=tg.shapes((5, 3), (4, 4)) + tg.hidden((2, 5, 3)),
    kwargs=[{{"axis": -1}}, {{"axis": 0}}],
    points=3,
    weights=WEIGHTS,
)
'''

OPS = '''\
"""Two functions whose derivatives are yours to write. README.md says how."""

import numpy as np


def affine_forward(x, w, b):
    """x @ w + b for rows x."""
    return x @ w + b, (x, w)


def affine_backward(cache, dy):
    """The gradients by x, w and b, given the gradient dy by the output."""
    x, w = cache
    ### BEGIN SOLUTION
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)
    ### END SOLUTION


def affine_inputs(rng):
    """Inputs for `python -m tinyad check`; try others, too."""
    return rng.normal(size=(5, 3)), rng.normal(size=(3, 7)), rng.normal(size=7)


def softmax_forward(x, axis=-1):
    """Positive numbers that add up to 1 along an axis."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    y = e / e.sum(axis=axis, keepdims=True)
    return y, (y, axis)


def softmax_backward(cache, dy):
    """The gradient by x."""
    y, axis = cache
    ### BEGIN SOLUTION
    inner = (dy * y).sum(axis=axis, keepdims=True)
    return y * (dy - inner)
    ### END SOLUTION


def softmax_inputs(rng):
    """Inputs for `python -m tinyad check`."""
    return rng.normal(size=(5, 3))
'''

README = """\
# {name}

In `ops.py` there are two pairs of functions. Each `..._forward` is given: it returns its output and a cache. Write each
`..._backward`: given the cache and `dy`, the gradient of some number L by the output, it returns the gradients of L by the inputs,
arrays of the shapes of the inputs. Write formulas, in NumPy.

| function | points |
|---|---|
| `affine_backward` | 2 |
| `softmax_backward` | 3 |

Of the points 20 % are for the contract (a gradient for each input, of its shape and dtype), 70 % for values (their numbers are
right) and 10 % for purity (no call disturbs another), which counts as far as the values are right.

Check what you wrote, with tinyad: `pip install` the wheel that your teacher gives you, `tinyad-...-py3-none-any.whl`, or
`pip install -e` a clone of it. The report says not only whether it is right, but what is wrong:

    python -m tinyad check ops.py::softmax

Hand in `ops.py`.
"""


def new_assignment(folder: str | Path, name: str = "") -> list[Path]:
    """Write a new assignment into a new folder.

    Args:
        folder: where.
        name: of the assignment; by default the folder's.

    Returns:
        The files.

    Raises:
        ValueError: the folder holds something already.
    """
    target = Path(folder)
    called = name or target.resolve().name
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"DIR is {str(folder)!r}, which holds something already; name a new folder.")
    files = {"hw.py": HW.format(name=called), "ops.py": OPS, "README.md": README.format(name=called)}
    write_files(target, {file: text.encode() for file, text in files.items()})
    return [target / file for file in files]
