"""The static screen: it remarks what does not belong in a submission, and is stopped by nothing in it."""

import pytest

from tinyad.checking.grading.screen import screen
from tinyad.checking.grading.submission import FOREIGN


@pytest.mark.parametrize(
    ("source", "remark"),
    [
        ("import torch.nn as nn", "line 1: import of torch.nn, which differentiates"),
        ("from jax import numpy", "line 1: import of jax, which differentiates"),
        ("def f():\n    import subprocess", "line 2: import of subprocess, which starts processes"),
        ("from scipy.optimize import approx_fprime\nx = approx_fprime(1)", "line 2: approx_fprime(...)"),
        ("import os\nos.system('ls')", "line 2: os.system(...)"),
        ("exec('1')", "line 1: exec(...)"),
        ("x = f.__globals__", "line 1: looks at __globals__"),
        ("def f(:", ": cannot be read as Python"),
        ("x = '\0'\n\0", ": cannot be read as Python"),
    ],
)
def test_remarks(tmp_path, source, remark):
    (tmp_path / "ops.py").write_text(source)
    assert any(remark in each for each in screen(tmp_path, FOREIGN))


def test_plain_code_gets_none_and_links_are_not_read(tmp_path):
    (tmp_path / "a.py").write_text("import numpy as np\n\ndef f(x):\n    return np.tanh(x)\n")
    assert screen(tmp_path, FOREIGN) == []
    (tmp_path / "b.py").symlink_to("/etc/hostname")
    (tmp_path / "c.py").mkdir()
    (tmp_path / "d.py").write_bytes(b"#" * (1 << 21))
    assert screen(tmp_path, FOREIGN) == [f"{name}.py: a link, or too large to look at" for name in "bcd"]
