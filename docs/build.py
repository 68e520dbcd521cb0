"""The tutorials as notebooks and pages, and the texts of this folder as pages.

    python docs/build.py notebooks    # build/notebooks: every tutorial as an executed notebook
    python docs/build.py pages        # build/docs: these and the texts as HTML, beginning with index.html, and the API
    python docs/build.py              # both

The pages need no network: formulas are MathML, pictures lie in the pages.
"""

from __future__ import annotations

import html
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import jupytext
import latex2mathml.converter
import nbformat
import pdoc
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from tinyad.report import STYLE

CHECKOUT = Path(__file__).resolve().parents[1]
BUILD = CHECKOUT / "build"
NOTEBOOKS, PAGES = BUILD / "notebooks", BUILD / "docs"

APART = {"exercises", "solutions"}  # to work in, not to read
TUTORIALS = sorted(path for path in (CHECKOUT / "tutorials").rglob("*.py") if path.parent.name not in APART)
TEXTS = [*sorted((CHECKOUT / "docs").glob("*.md")), CHECKOUT / "tutorials/README.md"]
DOCUMENTED = [
    "tinyad", "tinyad.models", "tinyad.models.ode", "tinyad.optim", "tinyad.kinds", "tinyad.inspect", "tinyad.checking",
    "tinyad.grade", "tinyad.testing",
]  # fmt: skip


# ---- notebooks


def notebook_of(tutorial: Path) -> Path:
    """Where a tutorial's notebook goes."""
    return (NOTEBOOKS / tutorial.relative_to(CHECKOUT / "tutorials")).with_suffix(".ipynb")


def execute(tutorial: Path) -> None:
    """Run a tutorial as a notebook, in an empty folder, and keep it with all that it shows."""
    notebook = jupytext.read(tutorial)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=1800,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],  # it warns that it talks over TCP
        )
        client.execute()
    target = notebook_of(tutorial)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


# ---- pages


def page_of(source: Path) -> Path:
    """Where a source's page goes."""
    place = source.relative_to(CHECKOUT)
    place = place.relative_to("docs") if place.parts[0] == "docs" else place
    return PAGES / (place.with_name("index.html") if place.name == "README.md" else place.with_suffix(".html"))


def cells_of(source: Path) -> list[nbformat.NotebookNode]:
    """A source as cells of a notebook: a text is one cell."""
    if source.suffix == ".md":
        return [nbformat.v4.new_markdown_cell(source.read_text(encoding="utf-8"))]
    return nbformat.read(notebook_of(source), as_version=4).cells


def write_page(source: Path) -> None:
    """Write the page of a text, or of a tutorial whose notebook is there."""
    formulas: list[str] = []
    cells = cells_of(source)
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = outside_code(cell.source, lambda text: with_links(with_formulas(text, formulas), source))
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    body = re.sub(r"formula(\d+)formula", lambda found: formulas[int(found[1])], body)
    target = page_of(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    title = re.search(r"^# (.+)$", "\n".join(cell.source for cell in cells if cell.cell_type == "markdown"), re.MULTILINE)
    target.write_text(page(title[1] if title else "tinyad", body, target), encoding="utf-8")


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """A text with what is no code changed."""
    pieces = re.split(r"(```.*?```|`[^`]*`)", text, flags=re.DOTALL)  # every other one is code
    return "".join(piece if k % 2 else change(piece) for k, piece in enumerate(pieces))


def with_formulas(text: str, formulas: list[str]) -> str:
    """A text with its formulas put aside, as MathML: what reads the text must not take them for emphasis."""

    def put_aside(found: re.Match[str]) -> str:
        display, tex = ("block", found[1]) if found[1] else ("inline", found[2])
        formulas.append(latex2mathml.converter.convert(" ".join(tex.split()), display=display))
        return f"formula{len(formulas) - 1}formula"

    return re.sub(r"\$\$(.+?)\$\$|\$(.+?)\$", put_aside, text, flags=re.DOTALL)


def with_links(text: str, source: Path) -> str:
    """A text whose links to other sources lead to their pages."""
    known = {each: page_of(each) for each in (*TUTORIALS, *TEXTS)}

    def moved(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / found[1]))
        if target in known:
            return f"]({os.path.relpath(known[target], page_of(source).parent)})"
        if not target.exists() and not found[1].startswith("api/"):
            print(f"{source.relative_to(CHECKOUT)}: the link to {found[1]} leads nowhere", file=sys.stderr)
        return found[0]

    return re.sub(r"\]\(([^):#]+)\)", moved, text)


def page(title: str, body: str, target: Path) -> str:
    """A whole page."""
    home = os.path.relpath(PAGES, target.parent)
    links = {"tinyad": "index.html", "Tutorials": "tutorials/index.html", "Functions": "api/tinyad.html"}
    navigation = " ".join(f'<a href="{home}/{place}">{name}</a>' for name, place in links.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{CELLS}{COLOURS}</style>\n</head>\n"
        f"<body>\n<nav>{navigation}</nav>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


CELLS = """
nav { max-width: 960px; margin: 0 auto; padding: 0.8rem 1.25rem; }
nav a { margin-right: 1.5rem; }
a { color: #1f5fa8; text-decoration: none; }
a:hover { text-decoration: underline; }
a.anchor-link { visibility: hidden; }
code { background: #f3f4f6; border-radius: 4px; padding: 0.1rem 0.25rem; font-size: 0.88em; }
pre code { padding: 0; font-size: 1em; }
.input_area pre { background: #f1f5fb; }
.output_area pre { background: none; border-left: 3px solid #e5e7eb; border-radius: 0; }
.output_area img { max-width: 100%; }
.rendered_html table { display: block; overflow-x: auto; }
math[display="block"] { margin: 1rem 0; overflow-x: auto; }
"""


COLOURS = HtmlFormatter(nobackground=True).get_style_defs(".highlight")


def write_functions() -> None:
    """The functions and classes that users call, from their docstrings."""
    pdoc.render.configure(docformat="google", search=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of annotations that exist for type checkers alone
        pdoc.pdoc(*DOCUMENTED, output_directory=PAGES / "api")


def main(wanted: list[str]) -> None:
    """Build what is asked for, or all."""
    if not wanted or "notebooks" in wanted:
        for tutorial in TUTORIALS:
            print(f"running {tutorial.relative_to(CHECKOUT)}", flush=True)
            execute(tutorial)
    if not wanted or "pages" in wanted:
        for source in (*TEXTS, *TUTORIALS):
            write_page(source)
        write_functions()
        print(f"pages: {PAGES / 'index.html'}")


if __name__ == "__main__":
    main(sys.argv[1:])
