"""The README's examples run as written."""

import doctest
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_examples_of_the_readme():
    examples = README.read_text(encoding="utf-8").count("```python")
    result = doctest.testfile(str(README), module_relative=False)
    assert examples >= 5
    assert result.attempted >= 15
    assert result.failed == 0
