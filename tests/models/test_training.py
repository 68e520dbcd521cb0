"""Training runs: what they record, how they end, and that a resumed run is the run that was never interrupted."""

import dataclasses
import math
import os
import signal
import sys
from itertools import pairwise

import numpy as np
import pytest

import tinyad as ad
from tinyad import models, optim, tree

DATA = models.circle(90, seed=0)
TRAIN, VALIDATION = DATA.split(60)


def net(dtype=np.float64):
    return models.ResNet.create(0, 2, 6, 2, depth=2, dtype=dtype)


def loss(net, x, y):
    return models.softmax_cross_entropy(net(x), y)


def accuracy(net, x, y):
    return models.accuracy(net(x), y)


def fit(**changes):
    settings = {
        "model": net(), "loss": loss, "data": TRAIN, "optimizer": optim.adam(0.02), "epochs": 6, "batch_size": 16,
        "validation": VALIDATION, "metric": accuracy,
    } | changes  # fmt: skip
    return models.fit(**settings)


def assert_same_model(first, second):
    assert tree.flatten(first)[1] == tree.flatten(second)[1]
    for ours, theirs in zip(tree.leaves(first), tree.leaves(second), strict=True):
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def assert_same_run(first, second):
    """Bit for bit, clocks aside."""
    assert_same_model(first.model, second.model)
    assert_same_model(first.last, second.last)
    assert [{**row, "seconds": 0} for row in first.history] == [{**row, "seconds": 0} for row in second.history]
    assert (first.success, first.reason) == (second.success, second.reason)


class After:
    """Something that happens at the n-th gradient of a run: the loss it wraps counts its recorded calls."""

    def __init__(self, calls, event):
        self.calls, self.event, self.count = calls, event, 0

    def __call__(self, model, x, y):
        value = loss(model, x, y)
        if isinstance(value, ad.Tensor):
            self.count += 1
            if self.count == self.calls:
                return self.event(value)
        return value


def interrupt(value):
    raise KeyboardInterrupt


def fail(value):
    raise RuntimeError("the loss broke")


# ---- an undisturbed run


def test_history_and_result():
    result = fit()
    assert result.success and result.reason == "all 6 epochs done"
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in result.history] == [4, 8, 12, 16, 20, 24]
    assert [row["work"] for row in result.history] == [60 * k for k in range(1, 7)]
    assert set(result.history[0]) == {
        "epoch", "step", "work", "loss", "gradient_norm", "validation_loss", "metric", "seconds",
    }  # fmt: skip
    assert all(type(value) in (int, float) for row in result.history for value in row.values())
    assert all(a["seconds"] < b["seconds"] for a, b in pairwise(result.history))
    assert result.history[-1]["loss"] < 0.7 * result.history[0]["loss"]
    assert repr(result) == "FitResult(success after 6 epochs: all 6 epochs done)"


def test_one_full_batch_is_a_gradient_step():
    start = net()
    result = fit(model=start, optimizer=optim.sgd(0.1), epochs=1, batch_size=1000, validation=None, metric=None)
    value, gradient = ad.value_and_grad(loss)(start, TRAIN.x, TRAIN.y)
    expected = tree.map(lambda p, g: p - 0.1 * g, start, gradient)
    for ours, theirs in zip(tree.leaves(result.last), tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    [row] = result.history
    assert row["loss"] == pytest.approx(float(value), rel=1e-12)
    vector, _ = tree.ravel(gradient)
    assert row["gradient_norm"] == pytest.approx(np.linalg.norm(vector), rel=1e-12)


def test_every_example_is_seen_once_an_epoch_in_a_new_order():
    seen = []

    def spying(model, x, y):
        seen.append((x, y))
        return loss(model, x, y)

    fit(loss=spying, epochs=2, batch_size=7, validation=None, metric=None, compiled=False)
    assert [len(x) for x, _ in seen[:9]] == [7] * 8 + [4]
    epochs = [np.concatenate([np.column_stack(pair) for pair in part]) for part in (seen[:9], seen[9:])]
    everything = np.column_stack([TRAIN.x, TRAIN.y])
    for epoch in epochs:
        np.testing.assert_array_equal(epoch[np.lexsort(epoch.T)], everything[np.lexsort(everything.T)])
    assert not np.array_equal(*epochs)


def test_the_same_seed_gives_the_same_run_and_another_does_not():
    assert_same_run(fit(), fit())
    assert_same_run(fit(seed=3), fit(seed=np.random.default_rng(3)))
    assert fit().history[-1]["loss"] != fit(seed=1).history[-1]["loss"]


def test_the_starting_model_is_left_alone():
    start = net()
    copies = [leaf.copy() for leaf in tree.leaves(start)]
    fit(model=start)
    for leaf, copy in zip(tree.leaves(start), copies, strict=True):
        np.testing.assert_array_equal(leaf, copy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", [optim.sgd(0.1, momentum=0.9), optim.adam(optim.cosine(0.02, 24))], ids=["sgd", "adam"])
def test_precision_is_kept(dtype, optimizer):
    result = fit(model=net(dtype), data=models.circle(60, dtype=dtype), optimizer=optimizer, validation=None, metric=None)
    for model in (result.model, result.last):
        assert {leaf.dtype for leaf in tree.leaves(model)} == {np.dtype(dtype)}
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_any_tree_and_any_loss_will_do():
    x = np.random.default_rng(0).normal(size=(40, 3))
    target = x @ np.array([1.0, -2.0, 0.5])[:, None] + 3

    def squared(model, x, y):
        return models.squared_loss(x @ model["w"] + model["b"], y)

    start = {"w": np.zeros((3, 1)), "b": np.zeros(1)}
    result = models.fit(start, squared, (x, target), optim.adam(0.1), epochs=150, batch_size=20)
    np.testing.assert_allclose(result.model["w"][:, 0], [1, -2, 0.5], atol=1e-3)
    np.testing.assert_allclose(result.model["b"], [3], atol=1e-3)


# ---- the best model

THEN_WORSE = optim.sgd(lambda step: 0.2 if step < 24 else 30.0)  # learns for six epochs, then leaps about


def test_the_best_model_is_that_of_the_best_row():
    models_seen = []
    result = fit(epochs=10, optimizer=THEN_WORSE, callbacks=[lambda row, model: models_seen.append(model)])
    best = min(range(10), key=lambda k: result.history[k]["validation_loss"])
    assert best == 5
    assert_same_model(result.model, models_seen[best])
    assert_same_model(result.last, models_seen[-1])
    assert float(loss(result.model, VALIDATION.x, VALIDATION.y)) == result.history[best]["validation_loss"]


def test_best_by_metric_and_by_training_loss():
    by_metric = fit(epochs=10, optimizer=THEN_WORSE, best_by="metric")
    best = max(by_metric.history, key=lambda row: (row["metric"], -row["validation_loss"]))
    assert float(accuracy(by_metric.model, VALIDATION.x, VALIDATION.y)) == best["metric"]
    assert float(loss(by_metric.model, VALIDATION.x, VALIDATION.y)) == best["validation_loss"]
    seen = []
    plain = fit(validation=None, metric=None, optimizer=optim.sgd(4.0), callbacks=[lambda row, model: seen.append(model)])
    assert_same_model(plain.model, seen[min(range(6), key=lambda k: plain.history[k]["loss"])])


def test_validation_in_pieces_is_the_mean_of_all(monkeypatch):
    big = models.circle(2500, seed=4)
    result = fit(validation=big, epochs=1)
    assert result.history[0]["validation_loss"] == pytest.approx(float(loss(result.last, big.x, big.y)), rel=1e-12)


# ---- how runs end


def test_patience_stops_a_run_that_no_longer_improves():
    result = fit(epochs=100, optimizer=optim.sgd(0.0), patience=3)  # a rate of 0: the first epoch stays the best
    assert result.success
    assert result.reason == "patience: no better model in the 3 epochs since epoch 1"
    assert len(result.history) == 4


def test_patience_waits_while_the_model_improves():
    result = fit(patience=1, optimizer=optim.sgd(0.1), epochs=15, batch_size=60, validation=TRAIN)
    assert result.reason == "all 15 epochs done"


def test_a_callback_sees_every_epoch_and_can_stop():
    rows = []

    def third(row, model):
        rows.append(row)
        return row["epoch"] == 3

    result = fit(callbacks=[third, lambda row, model: rows.append("second")])
    assert result.success and result.reason == "a callback asked to stop after epoch 3"
    assert len(result.history) == 3 and len(rows) == 6 and rows[0] is result.history[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_best(bad):
    undisturbed = fit(epochs=2, compiled=False)
    result = fit(loss=After(4 * 2 + 3, lambda value: value * bad), compiled=False)
    assert not result.success
    assert result.reason.startswith(f"the loss is not finite (loss {bad}) at epoch 3, batch 3. Lower the learning rate")
    assert "ad.detect_anomaly()" in result.reason
    assert len(result.history) == 2
    assert_same_model(result.model, undisturbed.model)
    assert all(np.isfinite(leaf).all() for leaf in tree.leaves(result.last))


def test_a_gradient_that_is_not_finite_stops_the_run():
    def corner(model, x, y):
        return loss(model, x, y) + ad.sum(ad.sqrt(model.opening.bias))  # 0 at the start, with infinite slope

    with np.errstate(all="ignore"):
        result = fit(loss=corner)
    assert not result.success
    assert result.reason.startswith("the gradient is not finite (loss 1.")
    assert_same_model(result.model, net())


def test_divergence_is_noticed():
    def cubic(model, x, y):
        return ad.sum(model**4)

    with np.errstate(all="ignore"):
        result = models.fit(np.array([3.0]), cubic, TRAIN, optim.sgd(1.0), epochs=50)
    assert not result.success and "is not finite" in result.reason


def test_a_validation_loss_that_is_not_finite_stops_the_run():
    def only_recorded(model, x, y):
        value = loss(model, x, y)
        return value if isinstance(value, ad.Tensor) else value * math.nan

    result = fit(loss=only_recorded)
    assert not result.success and result.reason.startswith("the validation loss is not finite (nan) at epoch 1")


def test_an_interrupt_keeps_the_best_and_the_last():
    undisturbed = fit(epochs=2, compiled=False)
    result = fit(loss=After(4 * 2 + 3, interrupt), compiled=False)
    assert not result.success
    assert result.reason == "interrupted in epoch 3; to go on, call fit with the result's `last` as the model"
    assert_same_model(result.model, undisturbed.model)
    assert len(result.history) == 2
    vectors = [tree.ravel(model)[0] for model in (result.last, undisturbed.last)]
    assert not np.array_equal(*vectors), "the two steps of the third epoch are lost"


def test_an_interrupt_in_the_first_epoch_keeps_what_was_trained():
    result = fit(loss=After(3, interrupt), compiled=False)
    assert result.model is result.last and result.history == []
    assert not np.array_equal(tree.ravel(result.last)[0], tree.ravel(net())[0])


def test_an_exception_carries_the_result_so_far():
    undisturbed = fit(epochs=2, compiled=False)
    with pytest.raises(RuntimeError, match="the loss broke") as caught:
        fit(loss=After(4 * 2 + 3, fail), compiled=False)
    result = caught.value.result
    assert not result.success and result.reason == "stopped by RuntimeError: the loss broke"
    assert_same_model(result.model, undisturbed.model)
    assert len(result.history) == 2
    assert "this exception's attribute `result`" in caught.value.__notes__[0]


# ---- compiled steps


@pytest.mark.parametrize("optimizer", [optim.sgd(0.2, momentum=0.9), optim.adam(0.05, weight_decay=0.01)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_steps_are_the_steps(optimizer, dtype):
    settings = {"model": net(dtype), "data": models.circle(60, dtype=dtype), "validation": None, "metric": None}
    compiled, plain = (fit(**settings, optimizer=optimizer, compiled=flag) for flag in (True, False))
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    for a, b in zip(tree.leaves(compiled.last), tree.leaves(plain.last), strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for ours, theirs in zip(compiled.history, plain.history, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=tolerance)
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=10 * tolerance)


def test_the_loss_is_traced_once_for_each_size_of_batch():
    calls = []

    def counted(model, x, y):
        calls.append(len(x))
        return loss(model, x, y)

    fit(loss=counted, batch_size=32, validation=None, metric=None)
    assert calls == [32, 28]


def test_a_step_is_made_in_place_and_the_model_given_is_left_alone():
    start = net()
    kept = [leaf.copy() for leaf in tree.leaves(start)]
    seen = []
    result = fit(model=start, callbacks=[lambda row, model: seen.append(tree.leaves(model)[0].copy())])
    assert all(np.array_equal(a, b) for a, b in zip(tree.leaves(start), kept, strict=True))
    assert not np.array_equal(seen[0], seen[-1])
    assert not any(np.shares_memory(a, b) for a in tree.leaves(result.last) for b in tree.leaves(start))


@pytest.fixture
def interruptible():
    """Interrupts as a program started from a terminal gets them: one started in the background is born deaf to them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_comes_between_two_steps(interruptible):
    def interrupting(steps):
        if steps == 9:
            signal.raise_signal(signal.SIGINT)
        return (0.1,)

    optimizer = dataclasses.replace(optim.sgd(0.1), numbers=interrupting)
    result = fit(optimizer=optimizer)
    assert result.reason.startswith("interrupted in epoch 3")
    ten_steps = fit(epochs=2, optimizer=optim.sgd(0.1))
    assert len(result.history) == 2 and not np.array_equal(tree.ravel(result.last)[0], tree.ravel(ten_steps.last)[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_square_that_overflows_is_no_reason_to_stop():
    def huge(model, x, y):
        return 1e25 * ad.sum(model)  # the gradient's square is infinite in float32

    data = (np.ones((4, 1), np.float32), np.ones(4, np.float32))
    result = models.fit(np.ones(3, np.float32), huge, data, optim.sgd(1e-30), epochs=1, batch_size=4)
    assert result.success
    assert result.history[0]["gradient_norm"] == pytest.approx(3**0.5 * 1e25)


def test_a_loss_that_cannot_be_traced_is_told_what_to_do():
    def branching(model, x, y):
        value = loss(model, x, y)
        return value if value > 0 else -value

    with pytest.raises(ad.TracingError, match="a condition") as caught:
        fit(loss=branching)
    assert "pass compiled=False" in "".join(caught.value.__notes__)
    assert fit(loss=branching, compiled=False).success


# ---- checkpoints

OPTIMIZERS = {
    "sgd": lambda: optim.sgd(optim.cosine(0.1, 24), momentum=0.9, nesterov=True),
    "adam": lambda: optim.adam(optim.cosine(0.05, 24, warmup=5), weight_decay=0.01),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("event", [interrupt, fail])
@pytest.mark.parametrize("at", [1, 4, 5, 11, 16, 17, 24])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path, dtype, name, event, at):
    common = {
        "model": net(dtype), "data": models.circle(60, dtype=dtype), "validation": models.circle(30, seed=1, dtype=dtype),
        "optimizer": OPTIMIZERS[name](), "seed": 5, "compiled": False,
    }  # fmt: skip
    checkpoint = tmp_path / "run.npz"
    try:
        fit(**common, loss=After(at, event), checkpoint=checkpoint)
    except RuntimeError as error:
        assert f"and in {checkpoint} up to epoch {(at - 1) // 4}" in error.__notes__[0]
    resumed = fit(**{**common, "seed": 99}, checkpoint=checkpoint, resume=True)
    assert_same_run(resumed, fit(**common))


def test_a_run_in_many_pieces(tmp_path):
    for epochs in range(1, 7):
        result = fit(epochs=epochs, checkpoint=tmp_path / "run.npz", resume=epochs > 1)
    assert_same_run(result, fit())


def test_patience_and_completion_hold_across_resuming(tmp_path):
    settings = {"epochs": 100, "optimizer": optim.sgd(0.0), "patience": 3, "checkpoint": tmp_path / "run.npz"}
    first = fit(**settings)
    again = fit(**settings, resume=True)
    assert_same_run(first, again)
    assert [row["seconds"] for row in again.history] == [row["seconds"] for row in first.history]


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_kind_of_generator_can_be_resumed(tmp_path, bits):
    whole = fit(seed=np.random.Generator(bits(1)))
    fit(seed=np.random.Generator(bits(1)), epochs=3, checkpoint=tmp_path / "run.npz")
    assert_same_run(fit(seed=np.random.Generator(bits(2)), checkpoint=tmp_path / "run.npz", resume=True), whole)


def test_an_interrupt_says_how_to_go_on_with_a_checkpoint(tmp_path):
    result = fit(loss=After(6, interrupt), compiled=False, checkpoint=tmp_path / "run.npz")
    assert result.reason == "interrupted in epoch 2; to go on, call fit again with resume=True"
    assert len(models.read_notes(tmp_path / "run.npz")["history"]) == 1


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    checkpoint, replaced, replace = tmp_path / "run.npz", [], os.replace

    def full(source, target):
        replaced.append(target)
        if len(replaced) == 4:  # the first checkpoint is written before the first epoch
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="No space left") as caught:
            fit(checkpoint=checkpoint)
    assert len(caught.value.result.history) == 3
    assert len(models.read_notes(checkpoint)["history"]) == 2
    assert_same_run(fit(checkpoint=checkpoint, resume=True), fit())


def test_a_checkpoint_is_not_overwritten_unasked(tmp_path):
    fit(epochs=1, checkpoint=tmp_path / "run.npz")
    content = (tmp_path / "run.npz").read_bytes()
    with pytest.raises(FileExistsError, match=r"checkpoint: .*run.npz exists already.*Set resume=True to go on from it"):
        fit(checkpoint=tmp_path / "run.npz")
    assert (tmp_path / "run.npz").read_bytes() == content


def test_a_folder_that_is_not_there_is_noticed_before_training(tmp_path):
    calls = After(1, fail)
    with pytest.raises(FileNotFoundError):
        fit(loss=calls, checkpoint=tmp_path / "nowhere" / "run.npz")
    assert calls.count == 0


# ---- what is refused

X, Y = np.zeros((6, 2)), np.zeros(6, int)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": (X, Y[:5])}, r"data: got x of shape \(6, 2\) and y of shape \(5,\); expected one row of each"),
        ({"data": (X[:0], Y[:0])}, r"data: got x of shape \(0, 2\).*one example at least"),
        ({"validation": (X, Y[:5])}, r"validation: got x of shape \(6, 2\) and y of shape \(5,\)"),
        ({"model": net(np.float32)}, r"data: got x of dtype float64 for a model in float32.*Use x.astype\('float32'\)"),
        ({"epochs": 0}, r"epochs: got 0; expected a whole number, 1 or more"),
        ({"batch_size": 0}, r"batch_size: got 0; expected a whole number, 1 or more"),
        ({"batch_size": 2.5}, r"batch_size: got 2.5; expected a whole number, 1 or more"),
        ({"patience": 0}, r"patience: got 0; expected a whole number, 1 or more"),
        ({"validation": None}, r"metric: got a function without validation data.*Set validation="),
        ({"metric": None, "best_by": "metric"}, r"best_by: got 'metric' without a metric; expected 'loss', or 'metric' together"),
        ({"best_by": "luck"}, r"best_by: got 'luck' with a metric; expected"),
        ({"resume": True}, r"resume: got True without a checkpoint.*Set checkpoint="),
        ({"seed": -1}, r"seed: got -1; expected 0 or more"),
        ({"data": (X, Y + 7)}, r"labels: got values from 7 to 7; expected 0 to 1"),
        ({"data": (X[:, :1], Y)}, r"x: got shape \(6, 1\); expected rows of length 2"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        fit(**changes)


def test_data_that_is_no_pair_is_refused():
    with pytest.raises(TypeError, match=r"data: got ndarray; expected a Dataset or a pair \(x, y\) of arrays. Write data="):
        fit(data=X)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 10}, r"batch_size: got 10; expected 16, as in .*run.npz, for the run to go on as it began"),
        ({"data": DATA}, r"examples: got 90; expected 60, as in .*run.npz"),
        ({"optimizer": optim.sgd(0.1)}, r"at `model\['optimizer'\]`: the file has AdamState of 3, `like` has SGDState of 2"),
        ({"model": models.ResNet.create(0, 2, 7, 2, depth=2)}, r"the file has float64\[2, 6\], `like` has float64\[2, 7\]"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_run_is_refused(tmp_path, changes, message):
    fit(epochs=1, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match=message):
        fit(**changes, checkpoint=tmp_path / "run.npz", resume=True)


# ---- the progress bar


def test_the_bar_is_shown_when_asked_for_and_not_otherwise(capfd):
    pytest.importorskip("tqdm")
    fit(epochs=2)
    assert capfd.readouterr().err == ""
    fit(epochs=2, progress=True)
    shown = capfd.readouterr().err
    assert "8/8" in shown and "validation_loss=" in shown and "metric=" in shown
    fit(epochs=2, progress=False)
    assert capfd.readouterr().err == ""


def test_a_missing_tqdm_matters_only_when_a_bar_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert fit(epochs=1).success
    with pytest.raises(
        ModuleNotFoundError, match=r'progress: got True, but tqdm is not installed.*pip install "tinyad\[progress\]"'
    ):
        fit(epochs=1, progress=True)
