"""Saving and loading: every bit comes back, nothing foreign is run, and a file is whole or not there."""

import io
import json
import os
import zipfile
from collections import namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tinyad import models, tree

Pair = namedtuple("Pair", "first second")


@dataclass
class Scaled(models.Module):
    weight: np.ndarray
    scale: float
    mask: np.ndarray = field(metadata={"static": True})
    act: object = ad.tanh


def scaled(scale=0.5, mask=(1, 0), act=ad.tanh, size=2, dtype="float64"):
    return Scaled(np.arange(size, dtype=dtype), scale, np.array(mask), act)


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


DTYPES = st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.complex_number_dtypes(), hnp.boolean_dtypes())


@given(array=DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_bit_of_every_dtype_comes_back(tmp_path, array):
    models.save(tmp_path / "a.npz", {"a": array})
    assert same_bits(models.load(tmp_path / "a.npz", like={"a": np.zeros_like(array)})["a"], array)


def test_special_values_and_memory_order_come_back(tmp_path):
    strange = np.array([-0.0, np.inf, -np.inf, np.nan, 5e-324]).view(np.uint64)
    strange[3] |= 12345  # a NaN with a payload
    arrays = {"strange": strange.view(np.float64), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3))}
    models.save(tmp_path / "a.npz", arrays)
    loaded = models.load(tmp_path / "a.npz", like=arrays)
    assert same_bits(loaded["strange"], arrays["strange"])
    assert loaded["fortran"].flags.f_contiguous
    np.testing.assert_array_equal(loaded["fortran"], arrays["fortran"])


def test_all_kinds_of_leaves_and_containers_come_back(tmp_path):
    model = {
        "net": models.ResNet.create(0, 3, 4, 2, depth=2, dtype="float32"),
        1: [1, 2.5, True, 3 + 4j, None],
        "pair": Pair(np.float32(1.5), np.array(2.0)),
        "tensor": ad.tensor([1.0, 2.0]),
        "empty": (),
    }
    models.save(tmp_path / "model.npz", model)
    loaded = models.load(tmp_path / "model.npz", like=model)
    assert repr(loaded["net"]) == repr(model["net"])
    assert loaded["net"].layers[0].activation is ad.tanh
    assert loaded[1] == [1, 2.5, True, 3 + 4j, None]
    assert [type(item) for item in loaded[1][:4]] == [int, float, bool, complex]
    assert type(loaded["pair"]) is Pair
    assert type(loaded["pair"].first) is np.float32 and type(loaded["pair"].second) is np.ndarray
    np.testing.assert_array_equal(loaded["tensor"], [1.0, 2.0])
    assert tree.paths(loaded) == tree.paths(model)


def test_a_bare_array_is_a_model_too(tmp_path):
    models.save(tmp_path / "a.npz", np.arange(3))
    np.testing.assert_array_equal(models.load(tmp_path / "a.npz", like=np.zeros(3, dtype=int)), [0, 1, 2])


def test_numpy_opens_the_file_and_finds_the_names(tmp_path):
    net = models.MLP.create(0, [3, 4, 2])
    models.save(tmp_path / "net.npz", net, notes={"lr": 0.1})
    with np.load(tmp_path / "net.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["model.layers[1].weight"], net.layers[1].weight)
        assert json.loads(file["notes.json"]) == {"lr": 0.1}


def test_equal_models_give_equal_files(tmp_path):
    for name in ("a", "b"):
        models.save(tmp_path / name, models.MLP.create(3, [3, 2]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_notes_come_back(tmp_path):
    history = [{"epoch": 1, "loss": 0.1 + 0.2, "big": 2**100}]
    models.save(tmp_path / "a.npz", np.ones(1), notes={"history": history})
    assert models.read_notes(tmp_path / "a.npz") == {"history": history}
    models.save(tmp_path / "b.npz", np.ones(1))
    assert models.read_notes(tmp_path / "b.npz") is None


# ---- a `like` that does not fit


@pytest.mark.parametrize(
    ("saved", "like", "message"),
    [
        (scaled(), scaled(scale=0.25), r"at `model`: the file has Scaled\(weight, scale=0.5, .*has Scaled\(weight, scale=0.25"),
        (scaled(), scaled(act=ad.sin), r"at `model`: .*act=tanh\), `like` has .*act=sin\)"),
        (scaled(), scaled(mask=(1, 1)), r"at `model`: the file has .*mask=int64\[2\] with SHA-256"),
        (scaled(), scaled(size=3), r"at `model.weight`: the file has float64\[2\], `like` has float64\[3\]"),
        (scaled(), scaled(dtype="float32"), r"at `model.weight`: the file has float64\[2\], `like` has float32\[2\]"),
        (scaled(), {"weight": np.zeros(2)}, r"at `model`: the file has Scaled\(.*`like` has dict of 1 with keys 'weight'"),
        ([1.0, 2.0], [1.0, 2], r"at `model\[1\]`: the file has float, `like` has int"),
        ({"a": 1.0}, {"b": 1.0}, r"at `model`: the file has dict of 1 with keys 'a', `like` has dict of 1 with keys 'b'"),
        ((1.0,), (1.0, 1.0), r"at `model`: the file has tuple of 1, `like` has tuple of 2"),
        (
            models.ResNet.create(0, 2, 3, 2, depth=2, final_time=2),
            models.ResNet.create(0, 2, 3, 2, depth=3, final_time=3),
            r"at `model.layers`: the file has tuple of 2, `like` has tuple of 3",
        ),
        ({"a": None}, {"a": "text"}, r"at `model\['a'\]`: the file has None, `like` has 'text'"),
    ],
)  # fmt: skip
def test_the_first_difference_is_named(tmp_path, saved, like, message):
    models.save(tmp_path / "model.npz", saved)
    with pytest.raises(ValueError, match=message) as caught:
        models.load(tmp_path / "model.npz", like=like)
    assert "model.npz does not fit `like`" in str(caught.value)
    assert "Build `like` with the same" in str(caught.value)


def test_a_static_object_is_compared_by_type_where_it_has_no_name(tmp_path):
    class Thing:
        pass

    models.save(tmp_path / "a.npz", {"thing": Thing(), "w": 1.0})
    assert models.load(tmp_path / "a.npz", like={"thing": Thing(), "w": 0.0})["w"] == 1.0


# ---- files that are damaged, old or malicious


def rewritten(path, change):
    """Write the archive at ``path`` again with its members changed by ``change(members)``."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array, allow_pickle=False):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path, share):
    path, model = tmp_path / "model.npz", {"w": np.arange(1000.0)}
    models.save(path, model)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    for read in (lambda: models.load(path, like=model), lambda: models.read_notes(path)):
        with pytest.raises(ValueError, match=r"model.npz is no complete file written by tinyad .*take another copy"):
            read()


def test_a_flipped_bit_is_found(tmp_path):
    path, model = tmp_path / "model.npz", {"w": np.arange(1000.0)}
    models.save(path, model)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"no complete file written by tinyad \(Bad CRC-32"):
        models.load(path, like=model)


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, model = tmp_path / "model.npz", {"w": np.zeros(1)}
    models.save(path, model)
    rewritten(path, lambda members: members.update({"model['w'].npy": npy(np.array([Trap()]), allow_pickle=True)}))
    with pytest.raises(ValueError, match="no complete file written by tinyad"):
        models.load(path, like=model)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("model['w'].npy"), "no complete file written by tinyad"),
        (lambda m: m.pop("structure.json"), "no complete file written by tinyad"),
        (lambda m: m.update({"structure.json": b"{"}), "no complete file written by tinyad"),
        (lambda m: m.update({"structure.json": b'{"format": "x"}'}), "has the format 'x'; this version of tinyad reads"),
        (lambda m: m.update({"model['w'].npy": npy(np.zeros(5))}), r"the file has float64\[5\], `like` has float64\[1\]"),
        (lambda m: m.update({"model['w'].npy": b"nonsense"}), "no complete file written by tinyad"),
    ],
)
def test_files_that_were_tampered_with_are_refused(tmp_path, change, message):
    path, model = tmp_path / "model.npz", {"w": np.zeros(1)}
    models.save(path, model)
    rewritten(path, change)
    with pytest.raises(ValueError, match=message):
        models.load(path, like=model)


def test_a_file_of_numpys_own_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", w=np.zeros(1))
    with pytest.raises(ValueError, match=r"other.npz is no complete file written by tinyad .*structure.json"):
        models.load(tmp_path / "other.npz", like={"w": np.zeros(1)})


def test_a_file_that_is_not_there_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        models.load(tmp_path / "none.npz", like=np.zeros(1))


# ---- what cannot be saved, and writes that fail


@pytest.mark.parametrize("leaf", [np.array([object()]), np.array([{}, 1], dtype=object)])
def test_arrays_of_objects_are_refused_by_name(tmp_path, leaf):
    with pytest.raises(TypeError, match=r"save: `model\['w'\]` has dtype object.*Convert it to numbers"):
        models.save(tmp_path / "a.npz", {"w": leaf})
    assert list(tmp_path.iterdir()) == []


def test_notes_that_json_cannot_hold_are_refused_before_the_file_is_touched(tmp_path):
    models.save(tmp_path / "a.npz", np.ones(1), notes="old")
    with pytest.raises(TypeError):
        models.save(tmp_path / "a.npz", np.ones(1), notes=object())
    assert models.read_notes(tmp_path / "a.npz") == "old"


@pytest.mark.parametrize("failing", ["numpy.lib.format.write_array", "os.fsync", "os.replace"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    path = tmp_path / "model.npz"
    models.save(path, {"w": np.zeros(3)})
    old = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(failing, full)
        with pytest.raises(OSError, match="No space left"):
            models.save(path, {"w": np.ones(3)})
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.npz"]


def test_an_interrupt_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    models.save(path, {"a": np.zeros(3), "b": np.zeros(3)})
    old, write, calls = path.read_bytes(), np.lib.format.write_array, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("numpy.lib.format.write_array", interrupted)
        with pytest.raises(KeyboardInterrupt):
            models.save(path, {"a": np.ones(3), "b": np.ones(3)})
    assert path.read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    models.save(tmp_path / "real" / "a.npz", np.zeros(1))
    (tmp_path / "link.npz").symlink_to(tmp_path / "real" / "a.npz")
    models.save(tmp_path / "link.npz", np.ones(1))
    assert (tmp_path / "link.npz").is_symlink()
    assert models.load(tmp_path / "real" / "a.npz", like=np.zeros(1))[0] == 1.0
