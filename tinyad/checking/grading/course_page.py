"""A course's grades as a page for the teacher: how it went, and what to teach again."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...report import PALETTE, Page, Picture, new_figure, tidy
from .clusters import Cluster, shares_of_items
from .results import write_atomically

__all__ = ["write_page"]

MOST = 12  # mistakes in the picture
NAMES = 8  # of submissions, in the table


def write_page(
    path: Path, assignment: str, grades: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str], found: Sequence[Cluster]
) -> None:
    """Write the page; with pictures if matplotlib is installed."""
    page = Page(f"{assignment}: {len(grades)} submissions", "How it went, and what to teach again.")
    scores = [grade["score"] for grade in grades.values()]
    points = next((grade["points"] for grade in grades.values()), 0.0)
    if scores:
        page.tiles(
            {
                "submissions": str(len(scores)),
                f"mean of {points:.4g} points": f"{statistics.fmean(scores):.3g}",
                "median": f"{statistics.median(scores):.3g}",
                "all points": str(sum(score >= points - 1e-9 for score in scores)),
            }
        )
        for picture in _pictures(scores, points, found):
            page.figures(picture, width=880)
        _mistakes(page, found, len(scores))
        _items(page, grades)
    if failed:
        page.section("Not graded")
        page.table([(name, why.splitlines()[0]) for name, why in failed.items()], header=("submission", "why"))
    write_atomically(path, page.html())


def _pictures(scores: Sequence[float], points: float, found: Sequence[Cluster]) -> list[Picture]:
    try:
        pictures = [Picture(_scores(scores, points), "How many submissions got how many points.")]
        if found:
            pictures.append(Picture(_frequent(found), "The most frequent mistakes, and how many submissions made them."))
    except ModuleNotFoundError:
        return []
    return pictures


def _scores(scores: Sequence[float], points: float) -> Any:
    figure = new_figure(8.0, 2.6)
    axes = figure.subplots()
    axes.hist(scores, bins=20, range=(0.0, points or 1.0), color=PALETTE["first"])
    axes.yaxis.get_major_locator().set_params(integer=True)
    tidy(axes, "points", "submissions")
    return figure


def _frequent(found: Sequence[Cluster]) -> Any:
    shown = list(found[:MOST])[::-1]
    figure = new_figure(8.0, 0.8 + 0.34 * len(shown))
    axes = figure.subplots()
    labels = [f"{each.did}\n{each.where}" for each in shown]
    axes.barh(range(len(shown)), [len(each.names) for each in shown], color=PALETTE["second"], height=0.7)
    axes.set_yticks(range(len(shown)), labels, fontsize=7)
    axes.xaxis.get_major_locator().set_params(integer=True)
    tidy(axes, "submissions")
    return figure


def _mistakes(page: Page, found: Sequence[Cluster], total: int) -> None:
    page.section("What to teach again")
    if not found:
        page.text("No mistakes were found.")
        return
    rows = [
        (f"{len(each.names)} of {total}", each.did, each.where, each.id, each.example, _listed(each.names)) for each in found
    ]
    page.table(rows, header=("how many", "what they did", "where", "id", "for example", "who"))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + more


def _items(page: Page, grades: Mapping[str, Mapping[str, Any]]) -> None:
    page.section("Item by item")
    rows = [(item, f"{mean:.0%}", f"{whole} of {len(grades)}") for item, (mean, whole) in shares_of_items(grades).items()]
    page.table(rows, header=("item", "mean share of the points", "all points"))
