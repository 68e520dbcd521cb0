"""Reports as one HTML page: text, tables and pictures in a single file that needs nothing else.

    page = Page("Two moons", "A network learns to tell them apart.")
    page.section("Data")
    page.text("Two hundred points.")
    page.figures(Picture(figure, "The points, by class."))
    page.write("report.html")

Pictures are SVG inside the page and lie in a grid that becomes a column on a phone. Figures come from matplotlib's
object interface (`new_figure`), so that nothing here touches the figures of the calling program.
"""

from __future__ import annotations

import base64
import html
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PALETTE", "STYLE", "Page", "Picture", "class_colours", "keep", "new_figure", "pixels", "tidy"]

PALETTE = {"first": "#1f5fa8", "second": "#d9662b", "third": "#3c8d4f", "muted": "#6b7280", "grid": "#e5e7eb"}
"""Colours of curves: training first, validation second."""


@dataclass(frozen=True)
class Picture:
    """A picture for a page.

    Attributes:
        image: a matplotlib figure, or the address of an image (`pixels` makes one).
        caption: what the reader should see in it; shown below, and read out where pictures cannot be seen.
    """

    image: Any
    caption: str


class Page:
    """A page that grows from top to bottom.

    >>> page = Page("Title", "One sentence.")
    >>> page.section("Numbers")
    >>> page.table([("accuracy", "98 %")], header=("what", "value"))
    >>> "<td>98 %</td>" in page.html()
    True
    """

    def __init__(self, title: str, lead: str) -> None:
        self.title = title
        self._parts = [f"<h1>{_escape(title)}</h1>", f'<p class="lead">{_escape(lead)}</p>']

    def section(self, heading: str) -> None:
        """A heading."""
        self._parts.append(f"<h2>{_escape(heading)}</h2>")

    def text(self, paragraph: str) -> None:
        """A paragraph of plain text."""
        self._parts.append(f"<p>{_escape(paragraph)}</p>")

    def code(self, text: str) -> None:
        """Text as it is, in a fixed pitch."""
        self._parts.append(f"<pre>{_escape(text)}</pre>")

    def tiles(self, figures: dict[str, str]) -> None:
        """A few numbers in large type, each with its name."""
        tiles = "".join(f"<div><b>{_escape(value)}</b><span>{_escape(name)}</span></div>" for name, value in figures.items())
        self._parts.append(f'<div class="tiles">{tiles}</div>')

    def table(self, rows: Iterable[Sequence[object]], header: Sequence[str]) -> None:
        """A table with a row of headings."""
        head = "".join(f"<th>{_escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        self._parts.append(f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>')

    def figures(self, *pictures: Picture, width: int = 420) -> None:
        """Pictures side by side as far as the screen allows, each about ``width`` pixels wide."""
        shown = "".join(
            f'<figure><img src="{_address(picture.image)}" alt="{_escape(picture.caption)}">'
            f"<figcaption>{_escape(picture.caption)}</figcaption></figure>"
            for picture in pictures
        )
        self._parts.append(f'<div class="figures" style="--width: {width}px">{shown}</div>')

    def html(self) -> str:
        """The page as text."""
        body = "\n".join(self._parts)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{_escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, making the folder if need be; returns the path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.html(), encoding="utf-8")
        return target


# ---- pictures


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of this size in inches, drawn without a screen and unknown to pyplot.

    Raises:
        ModuleNotFoundError: if matplotlib is not installed, naming the extra.
    """
    figure = _matplotlib("figure").Figure(figsize=(width, height), layout="constrained")
    _matplotlib("backends.backend_agg").FigureCanvasAgg(figure)
    return figure


def keep(figure: Any, name: str) -> None:
    """Save a picture of a script and say where: in the folder that ``TINYAD_PICTURES`` names, or that for temporary files.

    In a notebook it saves nothing: a cell shows the figures of pyplot by itself, and others are shown by this function.
    """
    if "ipykernel" in sys.modules:
        if not hasattr(figure, "number"):  # pyplot's have one
            buffer = io.BytesIO()
            figure.savefig(buffer, dpi=110, format="png")
            notebook = importlib.import_module("IPython.display")
            notebook.display(notebook.Image(buffer.getvalue()))
        return
    folder = Path(os.environ.get("TINYAD_PICTURES", tempfile.gettempdir()))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=110)
    print("picture:", path)


def tidy(axes: Any, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """The look that all plots share: labels, a light grid, no box."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title, fontsize="medium")
    axes.grid(color=PALETTE["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)


def class_colours(classes: int) -> list[Any]:
    """A colour for each class: ten that are easily told apart, or a rainbow for more."""
    colormaps = _matplotlib("").colormaps
    if classes <= 10:
        return list(colormaps["tab10"].colors[:classes])
    return [colormaps["turbo"]((i + 0.5) / classes) for i in range(classes)]


def pixels(image: Any) -> str:
    """The address of a grey image, dark where the values (rows, columns) are large, with one pixel for each value."""
    buffer = io.BytesIO()
    _matplotlib("image").imsave(buffer, image, cmap="gray_r", format="png")
    return _data_address("image/png", buffer.getvalue())


def _matplotlib(part: str) -> Any:
    try:
        return importlib.import_module(f"matplotlib.{part}".rstrip("."))
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'report: pictures are drawn by matplotlib, which is not installed. Install it: pip install "tinyad[plot]" '
            '(with all that the demo needs: pip install "tinyad[demo]").',
            name=error.name,
        ) from error


def _address(image: Any) -> str:
    if isinstance(image, str):
        return image
    buffer = io.BytesIO()
    with _matplotlib("").rc_context({"svg.hashsalt": "tinyad"}):  # with no date and fixed names, equal figures are equal text
        image.savefig(buffer, format="svg", metadata={"Date": None})
    return _data_address("image/svg+xml", buffer.getvalue())


def _data_address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _escape(text: object) -> str:
    return html.escape(str(text))


STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f6f7f9; color: #1f2937; font: 16px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; background: #fff; box-sizing: border-box; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; padding-top: 1rem; border-top: 1px solid #e5e7eb; }
p { max-width: 44rem; }
.lead { font-size: 1.1rem; color: #4b5563; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 0.75rem; margin: 1.25rem 0; }
.tiles div { background: #f1f5fb; border-radius: 8px; padding: 0.7rem 0.9rem; }
.tiles b { display: block; font-size: 1.5rem; color: #1f5fa8; }
.tiles span { color: #4b5563; font-size: 0.9rem; }
.figures { display: grid; align-items: start; gap: 1rem 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(var(--width), 100%), 1fr)); }
figure { margin: 0.5rem 0; }
figure img { width: 100%; height: auto; display: block; image-rendering: pixelated; }
figcaption { color: #4b5563; font-size: 0.9rem; margin-top: 0.3rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.75rem 0; }
th, td { text-align: left; padding: 0.35rem 1.25rem 0.35rem 0; border-bottom: 1px solid #e5e7eb; }
pre { background: #f3f4f6; border-radius: 8px; padding: 0.8rem 1rem; overflow-x: auto; font-size: 0.85rem; line-height: 1.4; }
"""
