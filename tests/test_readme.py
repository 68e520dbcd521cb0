"""The README's examples run as written."""

import doctest
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_examples_of_the_readme():
    examples = README.read_text(encoding="utf-8").count("```python")
    result = doctest.testfile(str(README), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert examples >= 5
    assert result.attempted >= 15
    assert result.failed == 0


def test_the_compiled_source_in_the_readme_is_what_the_compiler_writes():
    examples = doctest.DocTestParser().get_examples(README.read_text(encoding="utf-8"))
    namespace = {}
    sources = [e.source for e in examples]
    start = next(k for k, text in enumerate(sources) if text.startswith("def energy"))
    stop = next(k for k, text in enumerate(sources) if text.startswith("source ="))
    exec("import numpy as np\nimport tinyad as ad\n", namespace)
    for text in sources[start : stop + 1]:
        exec(text, namespace)
    written = namespace["source"].strip()
    shown = README.read_text(encoding="utf-8")
    statements = [line.split("  #")[0].rstrip() for line in written.splitlines()]  # the lines of this file are not to be found
    for statement in statements:
        assert statement in shown
