"""The texts: their examples run as written, and their links lead somewhere."""

import doctest
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
MADE = CHECKOUT / "docs/api"  # by `make docs`
TEXTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")), CHECKOUT / "tutorials/README.md"]
TUTORIALS = sorted((CHECKOUT / "tutorials").rglob("*.py"))


def prose_of(path):
    """A text; of a tutorial its cells of text, which are comments."""
    text = path.read_text(encoding="utf-8")
    return text if path.suffix == ".md" else "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))


def links_in(text):
    """What the links of a text lead to, without those that lead out of the project or to a heading."""
    without_code = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)#]+)\)", without_code) if "://" not in link]


@pytest.mark.parametrize("path", [*TEXTS, *TUTORIALS], ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_links_lead_to_files(path):
    targets = [(path.parent / link).resolve() for link in links_in(prose_of(path))]
    assert [target for target in targets if not target.exists() and not target.is_relative_to(MADE)] == []


def test_links_are_found_beside_code():
    text = "[a](b.md) `[c](d)` [e](https://f.org)\n```\n[g](h)\n```\n[i](../j.py), [k](#l)"
    assert links_in(text) == ["b.md", "../j.py"]


def test_examples_of_the_conventions():
    result = doctest.testfile(str(CHECKOUT / "docs/index.md"), module_relative=False)
    assert result.attempted >= 10 and result.failed == 0
