"""Pictures of a report: where a gradient is wrong, entry by entry. Needs matplotlib, the extra ``plot``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from .comparison import Comparison
from .inputs import FloatArray

__all__ = ["draw", "png"]

MOST = 4  # inputs in one picture
WRONG = "#c0392b"


def draw(title: str, comparisons: Sequence[Comparison], path: Any = None) -> Any:
    """A figure with a row for each input that is wrong (or for the first ones, if none is).

    On the left the Jacobian's differences, a row for each output and a column for each entry of the input; on the right the
    largest of them for each entry, in the input's own shape. What is within its tolerance is grey, what is not is red, the
    darker the larger the difference is beside the largest entry of the Jacobian.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing was compared.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "plot: matplotlib is not installed; it comes with the extra plot: pip install tinyad[plot]. Or print the report."
        ) from error
    shown = [c for c in comparisons if not c.passed][:MOST] or list(comparisons[:MOST])
    if not shown:
        raise ValueError("plot: no gradient was compared with numbers, because of what the report says; mend that first.")
    figure = Figure(figsize=(9.0, 0.6 + 2.6 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    right = all(comparison.passed for comparison in shown)
    figure.suptitle(
        f"{title}, but the values compared here are right: see the report" if right and "FAILED" in title else title
    )
    image = None
    for row, comparison in zip(figure.subplots(len(shown), 2, squeeze=False), shown, strict=True):
        image = _matrix(row[0], comparison)
        _in_its_shape(row[1], comparison)
    if image is not None:
        figure.colorbar(image, ax=figure.axes, label="difference / largest entry", shrink=0.9)
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def png(figure: Any) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _relative(comparison: Comparison) -> FloatArray:
    """Every difference beside the largest entry of the Jacobian; NaN counts as 1, what is right as nothing."""
    largest = float(np.maximum(np.abs(comparison.low), np.abs(comparison.high)).max(initial=0.0)) or 1.0
    relative = np.nan_to_num(comparison.difference / largest, nan=1.0, posinf=1.0)
    return np.where(comparison.wrong, np.maximum(relative, 1e-6), np.nan)


def _show(axes: Any, values: FloatArray) -> Any:
    """An image on a logarithmic scale, grey where there is nothing."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    colours = colormaps["Reds"].with_extremes(bad="#e5e7eb")
    return axes.imshow(values, norm=LogNorm(1e-6, 1.0), cmap=colours, aspect="auto", interpolation="nearest")


def _matrix(axes: Any, comparison: Comparison) -> Any:
    image = _show(axes, _relative(comparison))
    every = comparison.rows is not None
    axes.set(
        title=f"{comparison.name} {comparison.dtype}: {int(comparison.wrong.sum())} of {comparison.wrong.size} wrong",
        xlabel="entry of the input" if comparison.columns is not None else "random direction",
        ylabel="entry of the output" if every else "combination of outputs",
    )
    _whole_numbers(axes)
    return image


def _in_its_shape(axes: Any, comparison: Comparison) -> None:
    """The largest difference for each entry, as an image of the input: the last two axes, those in front laid below one another."""
    if comparison.columns is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "too many entries to show one by one", ha="center", transform=axes.transAxes)
        return
    relative = _relative(comparison)
    worst = np.where(np.isnan(relative).all(axis=0), np.nan, np.nan_to_num(relative, nan=0.0).max(axis=0, initial=0.0))
    shape = comparison.columns
    _show(axes, worst.reshape(-1, shape[-1]) if shape else worst.reshape(1, 1))
    below = " (axes in front laid below one another)" if len(shape) > 2 else ""
    axes.set(
        title=f"the largest difference of each entry, in shape {shape}",
        xlabel=f"axis {len(shape) - 1}" if shape else "",
        ylabel=f"axis {len(shape) - 2}{below}" if len(shape) > 1 else "",
    )
    _whole_numbers(axes)
    if len(shape) < 2:
        axes.set_yticks([])


def _whole_numbers(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
