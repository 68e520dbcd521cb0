"""Training by minibatches, in a run that can be watched, interrupted, stopped early and resumed exactly."""

from __future__ import annotations

import functools
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.backend import Array, is_array, module_of
from tinyad.contexts import seeks_anomalies
from tinyad.models.datasets import Dataset
from tinyad.models.layers import positive
from tinyad.models.randomness import Seed, generator
from tinyad.models.storage import load, read_notes, save
from tinyad.optim import Optimizer
from tinyad.tracing import TracingError

__all__ = ["FitResult", "Row", "fit"]

Row = dict[str, Any]
"""What is known after an epoch; see `fit`."""

Data = Dataset | tuple[Array, Array]
Measure = Callable[[Any, Array, Array], Array]
Callback = Callable[[Row, Any], Any]
_Pair = tuple[Array, Array]


@dataclass(eq=False)
class FitResult:
    """What a run of `fit` left behind.

    Attributes:
        model: the best model: of the epoch with the lowest validation loss (or the highest metric, if `fit` was told so), or
            with the lowest training loss if there is no validation data.
        last: the model after the last step.
        history: a row for each epoch; the names of its entries are listed in `fit`.
        success: whether the run ended as planned: all epochs, patience, or a callback.
        reason: why it ended, and what to do where it did not go well.
    """

    model: Any
    last: Any
    history: list[Row]
    success: bool
    reason: str

    def __repr__(self) -> str:
        return f"FitResult({'success' if self.success else 'failure'} after {len(self.history)} epochs: {self.reason})"


def fit(
    model: Any,
    loss: Measure,
    data: Data,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int = 32,
    validation: Data | None = None,
    metric: Measure | None = None,
    best_by: Literal["loss", "metric"] = "loss",
    patience: int | None = None,
    seed: Seed = 0,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    compiled: bool = True,
) -> FitResult:
    """Make ``loss(model, x, y)`` small over minibatches of the data.

    Args:
        model: any tree of arrays; it is not changed.
        loss: ``loss(model, x, y)`` gives a scalar, a mean over the examples it is shown.
        data: a `Dataset`, or a pair ``(x, y)`` of arrays with one row for each example.
        optimizer: from `tinyad.optim`.
        epochs: how often to go through the data, counted from the very start also when resuming.
        batch_size: examples a step. The last batch of an epoch has what is left.
        validation: data to judge the model by after each epoch.
        metric: ``metric(model, x, y)`` of the validation data, the higher the better, such as an accuracy.
        best_by: what decides which epoch is the best. An accuracy on few examples takes few values, and its peak is often one
            lucky early epoch; the loss moves smoothly. Of equal metrics the lower loss wins.
        patience: stop after this many epochs in a row without a better model.
        seed: draws the order of the examples, a new one each epoch.
        progress: show a progress bar; ``None`` shows one if tqdm is installed and stderr is a terminal.
        checkpoint: a file that is rewritten after each epoch with all that is needed to go on.
        resume: go on from ``checkpoint``. The result is bit for bit that of a run that was never interrupted; a run cut off
            within an epoch goes on from the end of the epoch before. On a checkpoint that is complete it returns at once.
        callbacks: each is called as ``callback(row, model)`` after an epoch, and stops the run by returning ``True``.
        compiled: replay each step as one program (see `tinyad.compile`). A loss that looks at values, prints, or draws random
            numbers needs ``False``.

    Returns:
        The result. Each row of its history has ``epoch`` (from 1), ``step`` (optimiser steps so far), ``loss`` (mean over the
        epoch's batches, each before its step), ``gradient_norm`` (root mean square over the batches), ``work`` (gradients of
        single examples so far), ``seconds`` (so far), and with validation data ``validation_loss`` and ``metric``.
        Ctrl-C and a loss that is no longer finite end the run with ``success=False`` and a ``reason``; the best model is kept.

    Raises:
        ValueError: for arguments that do not fit.
        FileExistsError: if ``checkpoint`` exists and ``resume`` is not set, before anything is overwritten.
        Exception: whatever the loss or a callback raises, with the result so far as its attribute ``result``.

    >>> import numpy as np
    >>> from tinyad import models, optim
    >>> def loss(net, x, y):
    ...     return models.softmax_cross_entropy(net(x), y)
    >>> data = models.circle(200, seed=0)
    >>> net = models.ResNet.create(0, features=2, width=8, classes=2, depth=4)
    >>> result = models.fit(net, loss, data, optim.adam(0.02), epochs=20)
    >>> result
    FitResult(success after 20 epochs: all 20 epochs done)
    >>> bool(result.history[-1]["loss"] < 0.5 * result.history[0]["loss"])
    True
    """
    training = _Training(
        loss=loss,
        optimizer=optimizer,
        data=_examples("data", data, model),
        validation=None if validation is None else _examples("validation", validation, model),
        metric=metric,
        best_by=best_by,
        batch_size=batch_size,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        compiled=compiled,
    )
    _check(epochs, batch_size, training, patience)
    run = _Run(_copied(model), optimizer.init(model), model, generator(seed), [])  # a copy, for steps are made in place
    training.begin(run, resume)
    try:
        with _bar(progress, epochs * training.batches, run.steps) as bar:
            success, reason = _train(training, run, bar, epochs, patience, callbacks)
    except KeyboardInterrupt:
        success, reason = False, _interrupted(training, run)
    except Exception as error:
        error.result = run.result(False, f"stopped by {type(error).__name__}: {error}")  # type: ignore[attr-defined]
        kept = f", and in {training.checkpoint} up to epoch {len(run.history)}" if training.checkpoint else ""
        error.add_note(f"fit: the best and the last model are in this exception's attribute `result`{kept}.")
        raise
    return run.result(success, reason)


@dataclass(eq=False)
class _Run:
    """What changes in the course of a run."""

    model: Any
    state: Any  # the optimiser's
    best: Any
    rng: np.random.Generator
    history: list[Row]

    @property
    def steps(self) -> int:
        return self.history[-1]["step"] if self.history else 0

    @property
    def seconds(self) -> float:
        return self.history[-1]["seconds"] if self.history else 0.0

    def result(self, success: bool, reason: str) -> FitResult:
        return FitResult(self.best, self.model, self.history, success, reason)


@dataclass(eq=False)
class _Training:
    """What stays the same in the course of a run, and the work of an epoch."""

    loss: Measure
    optimizer: Optimizer
    data: _Pair
    validation: _Pair | None
    metric: Measure | None
    best_by: Literal["loss", "metric"]
    batch_size: int
    checkpoint: Path | None
    compiled: bool = True

    @property
    def batches(self) -> int:
        return math.ceil(len(self.data[0]) / self.batch_size)

    def epoch(self, run: _Run, bar: Any, between_steps: Callable[[], None]) -> Row | str:
        """Go through the data once. Returns the row for the history, or what went wrong."""
        x, y = self.data
        order = module_of(x).asarray(run.rng.permutation(len(x)))
        started, total, squares = time.perf_counter(), 0.0, 0.0
        for batch in range(self.batches):
            rows = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            value, norm = self.step(run, x[rows], y[rows])
            if not (math.isfinite(value) and math.isfinite(norm)):
                what = "gradient" if math.isfinite(value) else "loss"
                return f"the {what} is not finite (loss {value}) at epoch {len(run.history) + 1}, batch {batch + 1}"
            total, squares = total + value * len(rows), squares + norm * norm
            bar.update()
            between_steps()
        row = {
            "epoch": len(run.history) + 1,
            "step": run.steps + self.batches,
            "work": (len(run.history) + 1) * len(x),
            "loss": total / len(x),
            "gradient_norm": math.sqrt(squares / self.batches),
            **self.judge(run.model),
            "seconds": run.seconds + time.perf_counter() - started,
        }
        if not math.isfinite(_judged_loss(row)):
            return f"the validation loss is not finite ({row['validation_loss']}) at epoch {row['epoch']}"
        return row

    def step(self, run: _Run, x: Array, y: Array) -> tuple[float, float]:
        """One step on a batch, as one compiled program that updates model and state in place. Returns the loss before it and
        the norm of the gradient; if these are not finite, nothing is updated."""
        if self.compiled and not seeks_anomalies():
            try:
                numbers = self.optimizer.numbers(run.state.steps)
                run.model, run.state, value, square = self.program(run.model, run.state, x, y, numbers)
                return float(value), math.sqrt(square)
            except FloatingPointError:
                pass  # perhaps only a square has overflowed: look again, in float64
            except TracingError as error:
                error.add_note("fit compiles its step; to train with this loss as it is, pass compiled=False.")
                raise
        value, gradient = ad.value_and_grad(self.loss)(run.model, x, y)
        value, norm = float(value), _norm(gradient)
        if math.isfinite(value) and math.isfinite(norm):
            run.model, run.state = self.optimizer.step(run.model, gradient, run.state)
        return value, norm

    @functools.cached_property
    def program(self) -> Callable[..., tuple[Any, Any, Array, Array]]:
        """Gradient and update together."""
        gradient_of, update = ad.value_and_grad(self.loss), self.optimizer.update

        def train(model: Any, state: Any, x: Array, y: Array, numbers: tuple[Any, ...]) -> tuple[Any, Any, Array, Array]:
            value, gradient = gradient_of(model, x, y)
            square = sum(_dot(g, g) for g in tree.leaves(gradient))
            ad.require(ad.isfinite(value + square), "loss or gradient are not finite", FloatingPointError)
            model, state = update(model, gradient, state, numbers)
            return model, state, value, square

        return ad.compile(train, donate=("model", "state"))  # type: ignore[no-any-return]

    def judge(self, model: Any) -> Row:
        """The validation loss and metric of a model."""
        if self.validation is None:
            return {}
        measures = {"validation_loss": self.loss} | ({"metric": self.metric} if self.metric else {})
        return {name: self.mean(measure, model) for name, measure in measures.items()}

    def mean(self, measure: Measure, model: Any) -> float:
        """The mean of a measure over the validation data, in pieces, so that memory does not grow with the data."""
        assert self.validation is not None
        x, y = self.validation
        size, total = max(self.batch_size, 1024), 0.0
        for start in range(0, len(x), size):
            piece = slice(start, start + size)
            total += float(measure(model, x[piece], y[piece])) * len(x[piece])
        return total / len(x)

    def best_epoch(self, history: list[Row]) -> int:
        """The epoch of the best model, the first of several; 0 before the first."""
        by_metric = self.best_by == "metric"
        best = min(history, key=lambda row: (-row["metric"] if by_metric else 0.0, _judged_loss(row)), default={"epoch": 0})
        return int(best["epoch"])

    # ---- checkpoints

    def begin(self, run: _Run, resume: bool) -> None:
        """Bring ``run`` to where the checkpoint is, or write the first one: better to fail now than after an hour."""
        if self.checkpoint is None:
            if resume:
                raise ValueError("resume: got True without a checkpoint; expected the file to go on from. Set checkpoint=.")
            return
        if resume:
            self.restore(run)
        elif self.checkpoint.exists():
            raise FileExistsError(
                f"checkpoint: {self.checkpoint} exists already, and resume is False. "
                f"Set resume=True to go on from it, remove it, or name another file."
            )
        else:
            self.save(run)

    def save(self, run: _Run) -> None:
        if self.checkpoint is not None:
            notes = {**self.identity(), "shuffling": _plain(run.rng.bit_generator.state), "history": run.history}
            save(self.checkpoint, {"model": run.model, "best": run.best, "optimizer": run.state}, notes)

    def restore(self, run: _Run) -> None:
        assert self.checkpoint is not None
        saved = load(self.checkpoint, like={"model": run.model, "best": run.best, "optimizer": run.state})
        notes = read_notes(self.checkpoint)
        for name, ours in self.identity().items():
            if notes[name] != ours:
                raise ValueError(
                    f"{name}: got {ours}; expected {notes[name]}, as in {self.checkpoint}, for the run to go on as it began. "
                    f"Use the same data and batches, or start anew from `models.fit(...).model` without resume."
                )
        run.model, run.best, run.state = saved["model"], saved["best"], saved["optimizer"]
        run.rng.bit_generator.state = notes["shuffling"]
        run.history = notes["history"]

    def identity(self) -> dict[str, int]:
        """What must not change between a run and its continuation."""
        return {"batch_size": self.batch_size, "examples": len(self.data[0])}


def _train(
    training: _Training, run: _Run, bar: Any, epochs: int, patience: int | None, callbacks: Sequence[Callback]
) -> tuple[bool, str]:
    """Epoch after epoch. Returns whether the run ended as planned, and why it ended."""
    while len(run.history) < epochs:
        best = training.best_epoch(run.history)
        if patience is not None and len(run.history) - best >= patience:
            return True, f"patience: no better model in the {patience} epochs since epoch {best}"
        with _interrupts_between_steps() as between_steps:
            row = training.epoch(run, bar, between_steps)
        if isinstance(row, str):
            return False, (
                f"{row}. Lower the learning rate, standardise the inputs, or find the operation with `with "
                f"ad.detect_anomaly():` around the loss and its gradient. The best model so far is kept."
            )
        run.history.append(row)
        if training.best_epoch(run.history) == row["epoch"]:
            run.best = _copied(run.model)
        training.save(run)
        bar.set_postfix({name: f"{row[name]:.4g}" for name in ("loss", "validation_loss", "metric") if name in row})
        if any([callback(row, _copied(run.model)) is True for callback in callbacks]):  # a list: all are called
            return True, f"a callback asked to stop after epoch {row['epoch']}"
    return True, f"all {epochs} epochs done"


def _copied(model: Any) -> Any:
    return tree.map(lambda leaf: leaf.copy() if is_array(leaf) else leaf, model)


@contextmanager
def _interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """Ctrl-C takes effect between two steps, where model and state belong together; the second time at once.

    Yields a function to call there.
    """
    pressed = False

    def note(*_: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    def look() -> None:
        if pressed:
            raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or threading.current_thread() is not threading.main_thread():  # somebody else takes care of it
        yield look
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield look
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    look()


def _judged_loss(row: Row) -> float:
    return float(row["validation_loss"] if "validation_loss" in row else row["loss"])


def _interrupted(training: _Training, run: _Run) -> str:
    if not run.history:
        run.best = run.model  # nothing has been judged yet, and the little training there was is better than none
    to_go_on = "call fit again with resume=True" if training.checkpoint else "call fit with the result's `last` as the model"
    return f"interrupted in epoch {len(run.history) + 1}; to go on, {to_go_on}"


def _dot(x: Array, y: Array) -> Array:
    return ad.vecdot(ad.ravel(x), ad.ravel(y)) if x.dtype.kind != "c" else ad.sum(abs(x) ** 2)


def _norm(gradient: Any) -> float:
    """The Euclidean norm of a tree."""
    return math.sqrt(sum(_square(leaf) for leaf in tree.leaves(gradient)))


def _square(leaf: Any) -> float:
    # In float64: the square of a large float32 number overflows.
    flat = abs(leaf).astype(np.float64, copy=False).ravel()
    return float(flat @ flat)


def _plain(state: Any) -> Any:
    """A bit generator's state in JSON's types; some hold arrays."""
    return json.loads(json.dumps(state, default=lambda array: array.tolist()))


# ---- arguments


def _examples(name: str, data: Data, model: Any) -> _Pair:
    """The arrays x and y of a data set or pair."""
    pair = (data.x, data.y) if isinstance(data, Dataset) else data
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
        raise TypeError(
            f"{name}: got {type(data).__name__}; expected a Dataset or a pair (x, y) of arrays. Write {name}=(x, y)."
        )
    x, y = (part if is_array(part) else np.asarray(part) for part in pair)
    if x.ndim < 1 or y.ndim < 1 or len(x) != len(y) or not len(x):
        raise ValueError(
            f"{name}: got x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)}; expected one row of each for every "
            f"example, and one example at least. Transpose the one whose examples are columns."
        )
    for part, array in (("x", x), ("y", y)):
        for leaf in tree.leaves(model):
            together = np.result_type(array.dtype, leaf.dtype) if is_array(leaf) else None
            if array.dtype.kind == "f" and together is not None and together != leaf.dtype:
                raise ValueError(
                    f"{name}: got {part} of dtype {array.dtype} for a model in {leaf.dtype}; expected {leaf.dtype}, or all "
                    f"arithmetic would silently run in {together}. Use {part}.astype({str(leaf.dtype)!r})."
                )
    return x, y


def _check(epochs: int, batch_size: int, training: _Training, patience: int | None) -> None:
    positive("epochs", epochs)
    positive("batch_size", batch_size)
    if patience is not None:
        positive("patience", patience)
    if training.metric is not None and training.validation is None:
        raise ValueError(
            "metric: got a function without validation data; expected data to measure it on. "
            "Set validation=, to the training data itself if there is no other."
        )
    if training.best_by not in ("loss", "metric") or (training.best_by == "metric" and training.metric is None):
        raise ValueError(
            f"best_by: got {training.best_by!r} {'with' if training.metric else 'without'} a metric; expected 'loss', or 'metric' "
            f"together with one. Set metric= as well, or best_by='loss'."
        )


# ---- the progress bar


class _NoBar:
    def update(self) -> None:
        pass

    def set_postfix(self, values: dict[str, str]) -> None:
        pass


def _bar(progress: bool | None, total: int, done: int) -> AbstractContextManager[Any]:
    """A progress bar over optimiser steps, or something with its methods that shows nothing."""
    silent = nullcontext(_NoBar())
    if progress is False or (progress is None and not (sys.stderr and sys.stderr.isatty())):
        return silent
    try:
        from tqdm import tqdm
    except ModuleNotFoundError as error:
        if progress is None:
            return silent
        raise ModuleNotFoundError(
            'progress: got True, but tqdm is not installed. Install it: pip install "tinyad[progress]", or set progress=None.',
            name="tqdm",
        ) from error
    bar: AbstractContextManager[Any] = tqdm(total=total, initial=done, unit="step")
    return bar
