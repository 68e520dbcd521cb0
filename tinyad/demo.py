"""The demonstration: real digits, a checked gradient, a trained network, and a page that shows all of it.

It is written as one would use the library, top to bottom: load, split, check the gradient, train, judge, report.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinyad as ad
from tinyad import models, optim
from tinyad.checking import taylor_table
from tinyad.models import Dataset, FitResult, ResNet
from tinyad.models.layers import positive
from tinyad.report import PALETTE, Page, Picture, class_colours, new_figure, pixels, tidy

__all__ = ["DATA", "Outcome", "demo"]


@dataclass(frozen=True)
class Recipe:
    """How to train on a data set."""

    load: Callable[..., Dataset]
    width: int
    depth: int
    epochs: int
    batch_size: int = 64
    final_time: float = 2.0
    lr: float = 6e-3
    weight_decay: float = 0.1
    smoothing: float = 0.1


DATA = {
    "digits": Recipe(models.digits, width=48, depth=8, epochs=40),
    "mnist": Recipe(models.mnist5k, width=128, depth=6, epochs=20, lr=2e-3, weight_decay=1.0),
}
"""The data sets of the demo, by name."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the demo found.

    Attributes:
        accuracy: fraction of the test examples that are classified right.
        passed: whether the gradient passed its Taylor test; without that, nothing was trained.
        report: where the page is; ``None`` if nothing was trained.
        fit: the training run, if there was one.
        seconds: how long it trained.
    """

    accuracy: float
    passed: bool
    report: Path | None = None
    fit: FitResult | None = None
    seconds: float = 0.0


def demo(
    data: str = "digits",
    seed: int = 0,
    epochs: int | None = None,
    out: str | os.PathLike[str] = "tinyad-demo",
    dtype: str = "float64",
    progress: bool | None = None,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Train a residual network on real digits and write ``report.html`` into the folder ``out``.

    Args:
        data: ``"digits"`` (1797 images of 8 x 8 pixels) or ``"mnist"`` (5000 of 28 x 28).
        seed: of the split, the weights and the order of the examples.
        epochs: how often to go through the training data; the recipe's own number if ``None``.
        out: a folder, made if need be.
        dtype: ``"float64"`` or ``"float32"``. The gradient is checked in float64 either way.
        progress: as in `tinyad.models.fit`.
        say: takes each line of text meant for the reader.

    Raises:
        ValueError: for an unknown data set, or a number out of range.
        ModuleNotFoundError: if a package that carries the data or draws the pictures is missing, with the command to get it.
    """
    if data not in DATA:
        raise ValueError(f"data: got {data!r}; expected one of {', '.join(map(repr, DATA))}. Choose one of these.")
    new_figure(1, 1)  # says at once, not after the training, that matplotlib is missing
    recipe = DATA[data]
    epochs = recipe.epochs if epochs is None else epochs
    positive("epochs", epochs)
    parts = _parts(recipe.load(dtype), seed)
    train, validation, test = parts
    say(
        f"Data: {train.name}, {len(train)} images to train on, {len(validation)} to validate, {len(test)} to test (seed {seed})."
    )

    features = train.x.shape[1]
    net = ResNet.create(seed, features, recipe.width, train.classes, recipe.depth, recipe.final_time, dtype=dtype)
    say(f"Model: {net}\n")

    def loss(net: ResNet, x: Any, y: Any) -> Any:
        return models.softmax_cross_entropy(net(x), y, recipe.smoothing)

    def accuracy(net: ResNet, x: Any, y: Any) -> Any:
        return models.accuracy(net(x), y)

    say("Is the gradient of this loss right? Shrink the step by 4 and see how fast the remainders fall.")
    table = taylor_table(lambda net: loss(net, train.x, train.y), net)
    say(f"{table}\n")
    if not table.passed:
        say("The gradient is wrong, so there is no training. Please report this, with the table above.")
        return Outcome(float("nan"), passed=False)

    steps = epochs * -(-len(train) // recipe.batch_size)
    optimizer = optim.adam(optim.cosine(recipe.lr, steps, warmup=steps // 20), weight_decay=recipe.weight_decay)
    say(f"Training: {epochs} epochs of {steps // epochs} steps with {optimizer.name}.")
    started = time.perf_counter()
    fit = models.fit(
        net, loss, train, optimizer, epochs=epochs, batch_size=recipe.batch_size, validation=validation, metric=accuracy,
        seed=seed, progress=progress,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    right = float(accuracy(fit.model, test.x, test.y))
    say(f"Training took {seconds:.1f} s ({fit.reason}).")
    say(f"Test accuracy: {right:.1%}, {round((1 - right) * len(test))} of {len(test)} images wrong.")

    command = f"python -m tinyad demo --data {data} --seed {seed} --epochs {epochs} --dtype {dtype}"
    page = _page(recipe, parts, table, fit, right, seconds, command)
    report = page.write(Path(out) / "report.html")
    say(f"Report: {report}")
    return Outcome(right, True, report, fit, seconds)


def _parts(data: Dataset, seed: int) -> tuple[Dataset, ...]:
    """Training, validation and test data (72, 8 and 20 %), scaled by the mean and deviation of the training pixels."""
    rest, test = data.split(0.8, seed)
    train, validation = rest.split(0.9, seed)
    return train.standardise(validation, test, features=False)


# ---- the page


def _page(
    recipe: Recipe, parts: tuple[Dataset, ...], table: Any, fit: FitResult, right: float, seconds: float, command: str
) -> Page:
    train, validation, test = parts
    net: ResNet = fit.model
    predicted = net(test.x).argmax(axis=1)
    wrong = np.flatnonzero(predicted != test.y)
    best = min(fit.history, key=lambda row: row["validation_loss"], default=None)
    everything = len(train) + len(validation) + len(test)

    page = Page(
        f"Reading {everything:,} handwritten digits",
        f"A network of {models.parameters(net):,} parameters learned to read handwritten digits in {seconds:.1f} seconds, with "
        f"gradients by tinyad. It has never seen the {len(test)} test images, and reads {right:.1%} of them correctly.",
    )
    page.tiles(
        {
            "of the test images right": f"{right:.1%}",
            f"of {len(test)} wrong": str(len(wrong)),
            "parameters": f"{models.parameters(net):,}",
            "to train": f"{seconds:.1f} s",
        }
    )

    page.section("What was done")
    page.text(
        f"The {everything:,} images of {' x '.join(map(str, train.image_shape or ()))} pixels were split at random, with the "
        f"classes in proportion: {len(train)} to train on, {len(validation)} to choose the best epoch by, {len(test)} to judge "
        f"the result. The network opens with a dense layer, takes {recipe.depth} steps z + h tanh(z K + b) of forward Euler to "
        f"time {recipe.final_time:g}, and ends with a linear classifier. The loss is the cross entropy of softmax, with "
        f"{recipe.smoothing:.0%} of the probability spread over all classes. Before training, the gradient of this very loss "
        f"was checked; then {fit.history[-1]['step'] if fit.history else 0:,} steps of Adam made it small."
    )
    page.code(repr(net))

    _show_check(page, table)

    page.section("Training")
    if fit.history:
        page.figures(*_curves(fit, best, recipe.smoothing, train.classes))
    page.text(f"Training ended: {fit.reason}. The model of the epoch with the lowest validation loss was kept.")

    _show_mistakes(page, test, predicted)
    _show_movement(page, net, test)

    page.section("Figures")
    page.table(_numbers(fit, best, right, seconds, train, models.parameters(net)), header=("what", "value"))

    page.section("Do it again")
    page.code(command)
    page.text(
        f"Made with tinyad {ad.__version__}, NumPy {np.__version__}, Python {platform.python_version()} on "
        f"{platform.system()} {platform.machine()} ({os.cpu_count()} processors). The same seed gives the same result on the same "
        "machine; another processor rounds differently and may end an image or two away."
    )
    return page


def _show_check(page: Page, table: Any) -> None:
    page.section("Is the gradient right?")
    page.text(
        "From the starting weights, take a step h in a random direction and compare the loss with its Taylor polynomials. "
        "Without a derivative the error E0 falls like h; with the gradient E1 falls like h squared; with the Hessian too, E2 "
        "falls like h cubed, until rounding stops it. A wrong derivative would lose one order. Measured here, in float64:"
    )
    page.figures(Picture(_taylor_plot(table), "Errors against the step, on logarithmic axes; dashed: the slopes 1, 2 and 3."))
    page.code(str(table))


def _show_mistakes(page: Page, test: Dataset, predicted: Any) -> None:
    wrong = np.flatnonzero(predicted != test.y)
    page.section("What it gets wrong")
    page.figures(Picture(_confusion_plot(test, predicted), "Test images by true digit (rows) and prediction (columns)."))
    shown = wrong[:24]
    page.text(
        f"The {len(wrong)} misread test images" + (f", the first {len(shown)} of them:" if len(shown) < len(wrong) else ":")
        if len(wrong)
        else "Not one test image was misread."
    )
    page.figures(*(_mistake(test, i, predicted[i]) for i in shown), width=100)


def _show_movement(page: Page, net: ResNet, test: Dataset) -> None:
    width = net.classifier.weight.shape[0]
    page.section("How the features move through the layers")
    page.text(
        f"Each dot is a test image, coloured by its digit; its state has {width} numbers, of which the two principal "
        "components of all layers' states together are drawn, always in the same frame. Time runs from the opening layer (t = 0) "
        "to the classifier. The separation is the variance between the classes' means divided by the variance within the classes, "
        "over all of the state's numbers; the larger it is, the easier the classifier has it."
    )
    page.figures(*_feature_plots(net, test), width=270)


def _numbers(fit: FitResult, best: Any, right: float, seconds: float, train: Dataset, parameters: int) -> list[tuple[str, str]]:
    rows = [
        ("test accuracy", f"{right:.2%}"),
        ("parameters", f"{parameters:,}"),
        ("precision", str(train.x.dtype)),
        ("training time", f"{seconds:.1f} s"),
    ]
    if best:
        last = fit.history[-1]
        rows += [
            ("best epoch", f"{best['epoch']} of {last['epoch']}"),
            ("validation accuracy there", f"{best['metric']:.2%}"),
            ("validation loss there", f"{best['validation_loss']:.4f}"),
            ("last training loss", f"{last['loss']:.4f}"),
            ("optimiser steps", f"{last['step']:,}"),
            ("gradients of single images", f"{last['work']:,}"),
            ("time a step", f"{1e3 * seconds / last['step']:.2f} ms"),
        ]
    return rows


def _taylor_plot(table: Any) -> Any:
    figure = new_figure(5.2, 3.6)
    axes = figure.subplots()
    axes.set_prop_cycle(color=[PALETTE["first"], PALETTE["second"], PALETTE["third"]])
    table.plot(ax=axes)
    tidy(axes, "step h", "remainder")
    return figure


def _curves(fit: FitResult, best: Any, smoothing: float, classes: int) -> list[Picture]:
    epochs = [row["epoch"] for row in fit.history]
    loss = new_figure(5.2, 3.4)
    axes = loss.subplots()
    axes.plot(epochs, [row["loss"] for row in fit.history], color=PALETTE["first"], label="training")
    axes.plot(epochs, [row["validation_loss"] for row in fit.history], color=PALETTE["second"], label="validation")
    axes.plot(best["epoch"], best["validation_loss"], "o", color=PALETTE["second"], label=f"best: epoch {best['epoch']}")
    axes.axhline(_lowest_loss(smoothing, classes), color=PALETTE["muted"], linestyle=":", label="lowest possible")
    tidy(axes, "epoch", "cross entropy (nats)")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)

    accuracy = new_figure(5.2, 3.4)
    axes = accuracy.subplots()
    axes.plot(epochs, [100 * row["metric"] for row in fit.history], color=PALETTE["second"])
    axes.plot(best["epoch"], 100 * best["metric"], "o", color=PALETTE["second"])
    tidy(axes, "epoch", "accuracy (%)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return [
        Picture(loss, "The loss: for the training images a mean over the epoch, for the validation images at its end."),
        Picture(
            accuracy,
            "The share of the validation images that is read correctly after each epoch; the dot: the epoch that was kept.",
        ),
    ]


def _lowest_loss(smoothing: float, classes: int) -> float:
    """The entropy of a smoothed label, which no prediction's cross entropy can undercut."""
    spread = np.full(classes, smoothing / classes)
    spread[0] += 1 - smoothing
    present = spread[spread > 0]
    return float(-(present * np.log(present)).sum())


def _confusion_plot(test: Dataset, predicted: Any) -> Any:
    counts = np.zeros((test.classes, test.classes), dtype=int)
    np.add.at(counts, (test.y, predicted), 1)
    figure = new_figure(5.2, 4.8)
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(test.classes, dtype=bool)
    axes.imshow(np.where(right, share, np.nan), cmap="Blues", vmin=0, vmax=1.2)
    axes.imshow(np.where(~right & (counts > 0), share, np.nan), cmap="Oranges", vmin=-0.05, vmax=0.3)
    for row, column in np.argwhere(counts):
        light = row == column and share[row, column] > 0.6
        axes.text(column, row, counts[row, column], ha="center", va="center", color="white" if light else "black")
    tidy(axes, "predicted", "true")
    axes.set(xticks=range(test.classes), yticks=range(test.classes))
    axes.grid(visible=False)
    return figure


def _mistake(test: Dataset, i: int, predicted: int) -> Picture:
    return Picture(pixels(test.x[i].reshape(test.image_shape)), f"{test.y[i]}, read as {predicted}")


def _feature_plots(net: ResNet, test: Dataset) -> list[Picture]:
    """The states of the test images at six times, in the two directions along which all states together vary most."""
    states = np.stack([z - z.mean(axis=0) for z in net.states(test.x)])
    _, _, directions = np.linalg.svd(states.reshape(-1, states.shape[-1]), full_matrices=False)
    flat = states @ directions[:2].T
    low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
    margin = 0.05 * (high - low)
    pictures = []
    for j in np.unique(np.linspace(0, len(flat) - 1, 6).round().astype(int)):
        figure = new_figure(3.2, 3.0)
        axes = figure.subplots()
        _scatter_classes(axes, flat[j], test.y, test.classes)
        tidy(axes)
        axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
        axes.set(xticklabels=[], yticklabels=[])
        place = "opening layer" if j == 0 else f"layer {j}"
        separation = _separation(states[j], test.y, test.classes)
        pictures.append(Picture(figure, f"t = {j * net.step:.3g}, {place}: separation {separation:.2f}"))
    return pictures


def _scatter_classes(axes: Any, points: Any, labels: Any, classes: int) -> None:
    """Dots coloured by class, and the class's number where its median is."""
    for label, colour in enumerate(class_colours(classes)):
        members = points[labels == label]
        axes.scatter(*members.T, s=9, color=colour, linewidths=0, alpha=0.8)
        axes.annotate(
            str(label), np.median(members, axis=0), ha="center", va="center", fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.85},
        )  # fmt: skip


def _separation(states: Any, labels: Any, classes: int) -> float:
    """Variance of the classes' means about the mean of all, over the variance within the classes."""
    means = np.stack([states[labels == label].mean(axis=0) for label in range(classes)])
    within = ((states - means[labels]) ** 2).sum()
    between = ((means[labels] - states.mean(axis=0)) ** 2).sum()
    return float(between / within)
