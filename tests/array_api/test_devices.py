"""Devices: where arrays are made, what is said when a GPU is missing, and how a derivative crosses from one to another.

The GPUs here are the stand-in of CuPy, which computes with NumPy and refuses what CuPy refuses.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.cupy_stand_in.module import cupy
from tests.cupy_stand_in.ndarray import StandInArray
from tinyad import backend, devices, models


class Gpus:
    """The stand-in of ``cupy.cuda`` on a machine with some GPUs."""

    def __init__(self, count: int) -> None:
        self.current = 0
        self.runtime = SimpleNamespace(getDeviceCount=lambda: count)

    def is_available(self) -> bool:
        return self.runtime.getDeviceCount() > 0  # type: ignore[no-any-return]

    def Device(self, number: int | None = None) -> Gpu:
        return Gpu(self, self.current if number is None else number)


class Gpu:
    def __init__(self, gpus: Gpus, number: int) -> None:
        self.gpus, self.id = gpus, number
        self.before: list[int] = []

    def use(self) -> None:
        self.gpus.current = self.id

    def __enter__(self) -> None:
        self.before.append(self.gpus.current)
        self.gpus.current = self.id

    def __exit__(self, *error: object) -> None:
        self.gpus.current = self.before.pop()


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """A machine with two GPUs."""
    found = Gpus(2)
    monkeypatch.setattr(cupy, "cuda", found, raising=False)
    monkeypatch.setattr(backend, "load_cupy", lambda: cupy)
    monkeypatch.setitem(backend._modules, StandInArray, cupy)
    monkeypatch.setattr(devices, "_of_process", "cpu")
    return found


def is_on_gpu(x: Any) -> bool:
    return isinstance(x.array if isinstance(x, ad.Tensor) else x, StandInArray)


# ---- a GPU that is not there


def missing() -> Any:
    raise ModuleNotFoundError("No module named 'cupy'", name="cupy")


def broken() -> Any:
    raise ImportError("libcudart.so.12: cannot open shared object file")


LACKING = [
    (missing, ModuleNotFoundError, r"CuPy, which computes on NVIDIA GPUs, is not installed.*pip install 'tinyad\[cuda\]'"),
    (broken, RuntimeError, r"CuPy cannot be loaded \(ImportError: libcudart.*nvidia-smi.*cupy-cuda12x"),
    (lambda: SimpleNamespace(cuda=Gpus(0)), RuntimeError, r"CuPy finds no GPU.*driver.*nvidia-smi"),
]


@pytest.mark.parametrize(("load", "error", "message"), LACKING)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, load: Any, error: type[Exception], message: str) -> None:
    monkeypatch.setattr(backend, "load_cupy", load)
    for ask in (
        lambda: ad.zeros(3, device="cuda"),
        lambda: ad.asarray([1.0], device="cuda:0"),
        lambda: ad.tensor([1.0], device="cuda"),
        lambda: ad.zeros(3).to_device("cuda"),
        lambda: ad.default_device("cuda"),
    ):
        with pytest.raises(error, match="device: got 'cuda(:0)?', but " + message):
            ask()
    assert ad.__array_namespace_info__().devices() == ("cpu",)
    assert ad.zeros(3).device == "cpu", "what failed must not have become the default"


def test_the_environment_is_named_when_it_asks_for_what_is_missing() -> None:
    program = "import tinyad as ad\nprint(ad.zeros(1, device='cpu').device)\nad.zeros(1)"
    environment = {**os.environ, "TINYAD_DEVICE": "tpu"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert run.stdout == "cpu\n" and "ValueError: TINYAD_DEVICE: got 'tpu'; expected \"cpu\"" in run.stderr


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "CUDA", "cuda:1x", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"device: got .*; expected \"cpu\", \"cuda\".*\"cuda:1\""):
        ad.zeros(3, device=name)


def test_only_names_are_devices() -> None:
    with pytest.raises(TypeError, match="device: got 0; expected"):
        ad.zeros(3, device=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="device: got None; expected"):
        ad.default_device(None)  # type: ignore[arg-type]


def test_a_number_too_large(gpus: Gpus) -> None:
    with pytest.raises(ValueError, match=r"device: got 'cuda:2'; CuPy finds 2 GPUs, the last is \"cuda:1\""):
        ad.zeros(3, device="cuda:2")


# ---- where arrays are made


MAKE = [
    lambda **kw: ad.zeros((2, 3), **kw),
    lambda **kw: ad.ones(3, **kw),
    lambda **kw: ad.empty(3, **kw),
    lambda **kw: ad.full((2,), 3, **kw),
    lambda **kw: ad.arange(4, **kw),
    lambda **kw: ad.linspace(0, 1, 3, **kw),
    lambda **kw: ad.eye(3, k=1, **kw),
    lambda **kw: ad.asarray([1.0, 2.0], **kw),
    lambda **kw: ad.asarray(np.ones(2), **kw),
    lambda **kw: ad.tensor([1.0, 2.0], **kw),
]


@pytest.mark.parametrize("make", MAKE)
def test_creation_on_a_gpu_and_on_the_default_device(gpus: Gpus, make: Any) -> None:
    assert is_on_gpu(make(device="cuda")) and is_on_gpu(make(device="cuda:1"))
    assert make(device="cuda").device == "cuda:0"
    with ad.default_device("cuda"):
        assert is_on_gpu(make()) and not is_on_gpu(make(device="cpu"))
    assert not is_on_gpu(make())


def test_arrays_like_others_are_where_those_are(gpus: Gpus) -> None:
    there, here = ad.ones(2, device="cuda"), ad.ones(2)
    for like in (ad.zeros_like, ad.ones_like, ad.empty_like, lambda x, **kw: ad.full_like(x, 2, **kw)):
        assert is_on_gpu(like(there)) and is_on_gpu(like(here, device="cuda"))
        with ad.default_device("cuda"):
            assert not is_on_gpu(like(here)) and not is_on_gpu(like(there, device="cpu"))
    assert is_on_gpu(ad.asarray(there)) and not is_on_gpu(ad.asarray(there, device="cpu"))


def test_an_array_is_made_on_the_gpu_of_that_number(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    zeros = cupy.zeros
    monkeypatch.setattr(cupy, "zeros", lambda *args: (seen.append(gpus.current), zeros(*args))[1])
    ad.zeros(2, device="cuda:1")
    assert gpus.current == 0
    with ad.default_device("cuda:1"):
        assert gpus.current == 1  # what CuPy computes goes there too
        ad.zeros(2)
        with ad.default_device("cpu"):
            ad.zeros(2, device="cuda:0")
    ad.zeros(2, device="cuda")
    assert seen == [1, 1, 0, 0] and gpus.current == 0


def test_a_default_that_is_called_holds_for_the_process(gpus: Gpus) -> None:
    ad.default_device("cuda:1")
    assert is_on_gpu(ad.zeros(1)) and gpus.current == 1
    assert ad.__array_namespace_info__().default_device() == "cuda:1"
    elsewhere: list[bool] = []
    thread = threading.Thread(target=lambda: elsewhere.append(is_on_gpu(ad.zeros(1))))
    thread.start()
    thread.join()
    assert elsewhere == [True]
    with ad.default_device("cpu"):
        assert not is_on_gpu(ad.zeros(1))
    assert is_on_gpu(ad.zeros(1))
    ad.default_device("cpu")
    assert not is_on_gpu(ad.zeros(1))


def test_a_default_of_a_block_is_that_of_its_thread_alone(gpus: Gpus) -> None:
    elsewhere: list[bool] = []
    with ad.default_device("cuda"):
        thread = threading.Thread(target=lambda: elsewhere.append(is_on_gpu(ad.zeros(1))))
        thread.start()
        thread.join()
    assert elsewhere == [False]


def test_a_default_can_be_used_again_and_ends_with_an_error(gpus: Gpus) -> None:
    default = ad.default_device("cuda")
    for _ in range(2):
        with default, default:
            assert is_on_gpu(ad.zeros(1))
        assert not is_on_gpu(ad.zeros(1))
    with pytest.raises(KeyError), default:
        raise KeyError
    assert not is_on_gpu(ad.zeros(1)) and repr(default) == "default_device('cuda')"


def test_info_names_the_devices(gpus: Gpus) -> None:
    info = ad.__array_namespace_info__()
    assert info.devices() == ("cpu", "cuda:0", "cuda:1") and info.default_device() == "cpu"
    with ad.default_device("cuda"):
        assert info.default_device() == "cuda:0"


# ---- from one device to another


def test_moves(gpus: Gpus) -> None:
    x = ad.asarray([1.0, 2.0])
    there = x.to_device("cuda")
    assert is_on_gpu(there) and there.device == "cuda:0" and there.to_device("cuda:0") is there
    back = there.to_device("cpu")
    np.testing.assert_array_equal(back.array, x.array)
    assert x.to_device("cpu") is x and is_on_gpu(ad.astype(x, ad.float32, device="cuda"))
    with pytest.raises(ValueError, match="to_device: got stream=1; expected None"):
        x.to_device("cpu", stream=1)
    with pytest.raises(ValueError, match="copy=False"):
        ad.asarray(x, device="cuda", copy=False)


def test_a_derivative_comes_back_to_where_its_variable_is(gpus: Gpus) -> None:
    def f(x: Any) -> Any:
        there = x.to_device("cuda")
        return ad.sum((there * there * 3.0).to_device("cpu") * x)

    x = np.array([1.0, 2.0])
    slope = ad.grad(f)(x)
    assert isinstance(slope, np.ndarray)
    np.testing.assert_allclose(slope, 9 * x * x)
    value, tangent = ad.jvp(f, (x,), (np.ones(2),))
    assert value == 27.0 and tangent == pytest.approx(45.0)
    assert is_on_gpu(ad.grad(lambda x: ad.sum(x * x).to_device("cpu"))(ad.asarray(x, device="cuda").array))


# ---- random draws and data sets


DRAWS = [
    lambda: models.glorot_uniform(1, (3, 2)),
    lambda: models.glorot_normal(1, (3, 2), "float32"),
    lambda: models.he_normal(1, (3, 2)),
    lambda: models.uniform(1, (3,)),
    lambda: models.zeros(1, (3,)),
    lambda: models.MLP.create(0, [2, 3, 1]).layers[0].weight,
    lambda: models.peaks(20).x,
    lambda: models.spirals(20, classes=3).y,
    lambda: models.circle(20).standardise()[0].x,
    lambda: models.ellipses(20).split(0.5)[1].x,
    lambda: models.swiss_roll(20).split(5, stratified=False)[0].y,
]


@pytest.mark.parametrize("draw", DRAWS)
def test_draws_are_on_the_default_device_and_the_same_on_all(gpus: Gpus, draw: Any) -> None:
    here = draw()
    with ad.default_device("cuda"):
        there = draw()
    assert isinstance(here, np.ndarray) and is_on_gpu(there) and there.dtype == here.dtype
    np.testing.assert_allclose(cupy.asnumpy(there), here, rtol=1e-14)
