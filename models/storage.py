"""Saving models, and any other tree of arrays, without pickle.

A file is an ``.npz`` that `numpy.load` opens too. It holds one array for each leaf, named as one would write it in Python
(``model.layers[2].weight``), and two texts: ``structure.json``, a line for each container and leaf, and ``notes.json``, what
the caller wants to remember (a history, a description of the data). Loading needs a tree of the same structure, which gives
the classes; nothing in the file is executed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinyad import backend, tree
from tinyad.tensor import unwrap

__all__ = ["load", "read_notes", "save", "write_atomically"]

_FORMAT = "tinyad tree, version 1"
_ROOT = "model"  # the name of the tree itself; the names of its parts follow, as in `model.layers[2].weight`
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError)
_Path = str | os.PathLike[str]


def save(path: _Path, model: Any, notes: Any = None) -> None:
    """Write a tree to ``path``: its arrays bit for bit, its structure, and ``notes``.

    The file appears as a whole or not at all: a crash leaves the previous file as it was. Arrays on a GPU are copied to the
    host, Tensors are saved by their values.

    Args:
        path: the file, by custom ending in ``.npz``.
        model: a model, an optimiser's state or any other tree.
        notes: anything that JSON can hold.

    Raises:
        TypeError: for a leaf that has no portable form (an array of Python objects), or notes that JSON cannot hold.

    >>> import numpy as np, os, tempfile
    >>> from tinyad import models
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.npz")
    >>> models.save(path, {"w": np.float32([1, 2])}, notes={"epochs": 3})
    >>> models.load(path, like={"w": np.zeros(2, "float32")})
    {'w': array([1., 2.], dtype=float32)}
    >>> models.read_notes(path)
    {'epochs': 3}
    """
    arrays = {
        f"{_ROOT}{where}": _portable(f"{_ROOT}{where}", leaf)
        for where, leaf in zip(tree.paths(model), tree.leaves(model), strict=True)
    }
    texts = {
        "structure.json": json.dumps({"format": _FORMAT, "rows": _rows(model)}, indent=1),
        "notes.json": json.dumps(notes, indent=1),
    }

    def write(file: IO[bytes]) -> None:
        # ZipInfo without a date: equal models give equal files.
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in texts.items():
                archive.writestr(zipfile.ZipInfo(name), text)
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    write_atomically(path, write)


def load(path: _Path, like: Any) -> Any:
    """The tree that `save` wrote to ``path``.

    Args:
        path: the file.
        like: a tree of the same structure, which gives the classes and the static fields; its numbers do not matter. Arrays
            come back on the device of the leaf they replace.

    Raises:
        ValueError: if the file is damaged, or ``like`` differs from what was saved; the first difference is named.
        FileNotFoundError: if there is no such file.
    """
    leaves, structure = tree.flatten(like)
    expected = _rows(like)
    with _intact(path):
        archive = zipfile.ZipFile(path)
    with archive:
        _compare(path, _read_rows(path, archive), expected)
        arrays = [_read_array(path, archive, f"{_ROOT}{where}") for where in tree.paths(like)]
    loaded = tree.unflatten(structure, [_as_leaf(array, leaf) for array, leaf in zip(arrays, leaves, strict=True)])
    _compare(path, _rows(loaded), expected)  # in case the arrays are not those that the file's structure promises
    return loaded


def read_notes(path: _Path) -> Any:
    """The notes that `save` wrote beside the tree; errors as in `load`."""
    with _intact(path), zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("notes.json"))


def write_atomically(path: _Path, write: Callable[[IO[bytes]], None]) -> None:
    """Let ``write`` fill a new file, then put it in the place of ``path`` in one step.

    Whatever happens in between (an exception, a full disk, a power cut), ``path`` holds the old bytes or the new ones.
    """
    target = Path(path).resolve()  # through links: replacing a link would leave what it leads to unchanged
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


# ---- what a tree looks like, as rows of text that two trees can be compared by


def _rows(model: Any) -> list[tuple[str, str]]:
    leaves, structure = tree.flatten(model)
    return list(_walk(structure, iter(leaves), _ROOT))


def _walk(structure: tree.Structure, leaves: Iterator[Any], where: str) -> Iterator[tuple[str, str]]:
    """A row for this container or leaf, then those of its children: where it stands, and what it is."""
    kind = structure.kind
    if kind is None:
        yield where, _leaf_text(next(leaves))
        return
    named = dataclasses.is_dataclass(kind)
    if structure.static is not None and not named:
        yield where, _text(structure.static.value)
        return
    if named:
        static = structure.static.value if structure.static else ()
        shown = [*structure.keys, *(f"{name}={_text(value)}" for name, value in static)]
        yield where, f"{kind.__name__}({', '.join(shown)})"
    else:
        keys = f" with keys {', '.join(map(repr, structure.keys))}" if issubclass(kind, dict) else ""
        yield where, f"{kind.__name__} of {len(structure.keys)}{keys}"
    by_name = named or hasattr(kind, "_fields")
    for key, child in zip(structure.keys, structure.children, strict=True):
        yield from _walk(child, leaves, f"{where}.{key}" if by_name else f"{where}[{key!r}]")


def _leaf_text(leaf: Any) -> str:
    leaf = unwrap(leaf)
    return f"{leaf.dtype}{list(leaf.shape)}" if backend.is_array(leaf) else type(leaf).__name__


def _text(value: Any) -> str:
    """A static value as text: equal for equal values, in this process and the next."""
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_text, value))}]"
    if backend.is_array(value):
        return f"{_leaf_text(value)} with SHA-256 {hashlib.sha256(backend.asnumpy(value).tobytes()).hexdigest()[:16]}"
    name = getattr(value, "__name__", None)  # functions, and tinyad's primitives
    shown = name if isinstance(name, str) else repr(value)
    return f"an object of type {type(value).__name__}" if " at 0x" in shown else shown


def _compare(path: _Path, saved: list[tuple[str, str]], ours: list[tuple[str, str]]) -> None:
    for (where, there), (_, here) in zip(saved, ours, strict=False):
        if there != here:
            raise ValueError(
                f"load: {os.fspath(path)} does not fit `like`. First difference at `{where}`: the file has {there}, "
                f"`like` has {here}. Build `like` with the same classes, sizes, dtypes and static fields as the saved model."
            )


# ---- single leaves


def _portable(name: str, leaf: Any) -> np.ndarray[Any, Any]:
    array = backend.asnumpy(unwrap(leaf))
    with contextlib.suppress(TypeError, ValueError):
        if not array.dtype.hasobject and np.dtype(np.lib.format.dtype_to_descr(array.dtype)) == array.dtype:
            return array
    raise TypeError(
        f"save: `{name}` has dtype {array.dtype}, which has no portable form. "
        f"Convert it to numbers first, or declare its field static."
    )


def _as_leaf(array: np.ndarray[Any, Any], like: Any) -> Any:
    like = unwrap(like)
    if not backend.is_array(like):
        return array.item()
    return array[()] if isinstance(like, np.generic) else backend.module_of(like).asarray(array)


# ---- reading


@contextlib.contextmanager
def _intact(path: _Path) -> Iterator[None]:
    """Every sign of damage becomes one error that names the file."""
    try:
        yield
    except _DAMAGE as error:
        raise ValueError(
            f"load: {os.fspath(path)} is no complete file written by tinyad ({error}). It may have been cut short while it was "
            f"copied: take another copy, or save the model again."
        ) from error


def _read_rows(path: _Path, archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    with _intact(path):
        header = json.loads(archive.read("structure.json"))
        found = header["format"]
    if found != _FORMAT:
        raise ValueError(
            f"load: {os.fspath(path)} has the format {found!r}; this version of tinyad reads {_FORMAT!r}. "
            f"Load it with the version that wrote it."
        )
    return [(where, text) for where, text in header["rows"]]


def _read_array(path: _Path, archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    with _intact(path), archive.open(f"{name}.npy") as member:
        return np.asarray(np.lib.format.read_array(member, allow_pickle=False))
