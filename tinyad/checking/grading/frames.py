"""Frames: how values cross between the grader and the process that runs a student's code.

A frame is a mark, two lengths, a header in JSON and the raw bytes of the arrays. Nothing is ever pickled, so
that reading a frame runs no code, whoever wrote it: the reader takes numbers from it, or refuses it.

What may cross: None, bools, ints, floats, strings, NumPy arrays and scalars of numbers, and tuples, lists and
dicts of them. The header spells None, bools, ints and strings as JSON does; everything else is a list whose
first entry says what it is::

    ["f", "0x1.8p+1"]                 a float, in hexadecimal: exact, and inf and nan as well
    ["a", "<f8", [5, 3]]              an array; its bytes follow, in the order of the header
    ["s", "<f4"]                      a NumPy scalar, likewise
    ["t", [...]]  ["l", [...]]  ["d", [[key, value], ...]]

This file is also loaded by the worker, on its own: it imports the standard library and NumPy, nothing else.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["LIMIT", "FrameError", "body_length", "decode", "encode", "read"]

LIMIT = 64 << 20  # bytes of a frame
DEPTH = 32  # of tuples in tuples
HEAD = struct.Struct("<4sIQ")  # mark, length of the header, length of the bytes after it
MARK = b"tad1"
DTYPES = {"|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16"}
KEYS = (type(None), bool, int, float, str)  # of dicts
WRITTEN = "arrays and numbers of NumPy, Python's own numbers, strings, None, and tuples, lists and dicts of them"


class FrameError(ValueError):
    """What was to cross may not, or what came is no frame; the message says which."""


def encode(value: Any, limit: int = LIMIT) -> bytes:
    """A value as a frame.

    Subclasses of arrays go as plain arrays, non-contiguous ones as copies, big-endian ones as little-endian.

    Raises:
        FrameError: if the value holds what may not cross, or makes a frame of more than ``limit`` bytes.

    >>> decode(encode({"gy": np.ones((5, 3)), "axis": (0, -1)}))["axis"]
    (0, -1)
    >>> encode(np.array([print]))
    Traceback (most recent call last):
        ...
    tinyad.checking.grading.frames.FrameError: an array of dtype object: only arrays of numbers and of bools may cross.
    """
    arrays: list[bytes] = []
    room = [limit]
    header = json.dumps(_spelled(value, arrays, room, 0), separators=(",", ":")).encode()
    body = b"".join(arrays)
    if len(header) + len(body) > limit:
        raise FrameError(f"a value of {len(header) + len(body)} bytes: more than the {limit} that may cross at once.")
    return HEAD.pack(MARK, len(header), len(body)) + header + body


def _spelled(value: Any, arrays: list[bytes], room: list[int], depth: int) -> Any:
    """The header's word for a value; the bytes of arrays in it are appended to ``arrays``."""
    if depth > DEPTH:
        raise FrameError(f"tuples, lists or dicts nested more than {DEPTH} deep.")
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        if value.bit_length() > 4096:
            raise FrameError(f"an int of {value.bit_length()} bits: more than the 4096 that may cross.")
        return value
    if type(value) is float:
        return ["f", value.hex()]
    if isinstance(value, (np.ndarray, np.generic)):
        return _spelled_array(value, arrays, room)
    if isinstance(value, (tuple, list)):
        items = [_spelled(item, arrays, room, depth + 1) for item in value]
        return ["t" if isinstance(value, tuple) else "l", items]
    if isinstance(value, dict):
        if not all(type(key) in KEYS for key in value):
            raise FrameError("the keys of a dict must be strings or numbers to cross.")
        pairs = [[_spelled(part, arrays, room, depth + 1) for part in pair] for pair in value.items()]
        return ["d", pairs]
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise FrameError(f"a {name}: only {WRITTEN} may cross.")


def _spelled_array(value: np.ndarray | np.generic, arrays: list[bytes], room: list[int]) -> Any:
    array = np.ndarray.view(np.asarray(value), np.ndarray)
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in DTYPES:
        raise FrameError(f"an array of dtype {array.dtype}: only arrays of numbers and of bools may cross.")
    room[0] -= array.nbytes
    if room[0] < 0:
        raise FrameError(f"an array of {array.nbytes} bytes and shape {array.shape}: more than may cross at once.")
    arrays.append(np.ascontiguousarray(array, dtype=dtype).tobytes())
    if isinstance(value, np.generic):
        return ["s", dtype.str]
    return ["a", dtype.str, list(array.shape)]


def body_length(head: bytes, limit: int = LIMIT) -> int:
    """How many bytes follow a frame's first sixteen.

    Raises:
        FrameError: if they are no frame's, or announce more than ``limit``.
    """
    mark, header, body = HEAD.unpack(head)
    if mark != MARK:
        raise FrameError(f"{head[:8]!r} ... is no frame: it does not begin with {MARK!r}.")
    length: int = header + body
    if length > limit:
        raise FrameError(f"a frame of {length} bytes was announced: more than the {limit} that may cross at once.")
    return length


def decode(frame: bytes, limit: int = LIMIT) -> Any:
    """The value of a frame. Its arrays are new, writable and plain.

    Raises:
        FrameError: if it is no frame, or its header does not say the truth about its bytes.
    """
    if len(frame) < HEAD.size:
        raise FrameError(f"{len(frame)} bytes are no frame: the head alone takes {HEAD.size}.")
    length = body_length(frame[: HEAD.size], limit)
    if len(frame) != HEAD.size + length:
        raise FrameError(f"a frame of {len(frame)} bytes announced {HEAD.size + length}.")
    _, header, _ = HEAD.unpack(frame[: HEAD.size])
    body = memoryview(frame)[HEAD.size + header :]
    try:
        word = json.loads(frame[HEAD.size : HEAD.size + header])
    except (ValueError, RecursionError) as error:
        raise FrameError(f"the header of a frame is no JSON: {str(error)[:200]}.") from None
    value, rest = _meant(word, body, 0)
    if len(rest):
        raise FrameError(f"a frame has {len(rest)} bytes more than its header describes.")
    return value


def _meant(word: Any, body: memoryview, depth: int) -> tuple[Any, memoryview]:
    """The value that a word of the header means, and the bytes that are left after its arrays."""
    if depth > DEPTH:
        raise FrameError(f"tuples, lists or dicts nested more than {DEPTH} deep.")
    if word is None or type(word) in (bool, str, int):
        return word, body
    match word:
        case ["f", str(text)]:
            return _float(text), body
        case ["s", str(dtype)]:
            array, body = _array(dtype, [], body)
            return array[()], body
        case ["a", str(dtype), list(shape)]:
            return _array(dtype, shape, body)
        case ["t" | "l" as kind, list(words)]:
            values, body = _all_meant(words, body, depth)
            return (tuple(values) if kind == "t" else values), body
        case ["d", list(pairs)] if all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            values, body = _all_meant([part for pair in pairs for part in pair], body, depth)
            if not all(type(key) in KEYS for key in values[::2]):
                raise FrameError("the keys of a dict must be strings or numbers to cross.")
            return dict(zip(values[::2], values[1::2], strict=True)), body
    raise FrameError(f"the header of a frame says {json.dumps(word)[:100]}, which means nothing.")


def _all_meant(words: list[Any], body: memoryview, depth: int) -> tuple[list[Any], memoryview]:
    values = []
    for word in words:
        value, body = _meant(word, body, depth + 1)
        values.append(value)
    return values, body


def _float(text: str) -> float:
    try:
        return float.fromhex(text)
    except (ValueError, OverflowError):
        raise FrameError(f"the header of a frame says that {text[:40]!r} is a float; expected one in hexadecimal.") from None


def _array(dtype: str, shape: list[Any], body: memoryview) -> tuple[np.ndarray, memoryview]:
    """An array from the bytes that come next, copied so that it shares nothing with the frame."""
    if dtype not in DTYPES:
        raise FrameError(f"the header of a frame names the dtype {dtype[:40]!r}; only numbers and bools may cross.")
    if not all(type(length) is int and 0 <= length < 1 << 48 for length in shape) or len(shape) > 32:
        raise FrameError(f"the header of a frame names the shape {str(shape)[:100]}; expected at most 32 lengths.")
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > len(body):
        raise FrameError(f"an array of shape {tuple(shape)} and dtype {dtype} takes {size} bytes; the frame has {len(body)}.")
    flat = np.frombuffer(body[:size], dtype=dtype)
    if dtype == "|b1":  # a byte that is neither 0 nor 1 would make a bool that is neither True nor False
        flat = np.frombuffer(body[:size], dtype=np.uint8) != 0
    try:
        return flat.reshape(shape).copy(), body[size:]
    except ValueError as error:  # an empty array can have more dimensions or greater lengths than NumPy knows
        raise FrameError(f"the header of a frame names the shape {str(shape)[:100]}: {error}.") from None


def read(receive: Callable[[int], bytes], limit: int = LIMIT) -> Any:
    """The next frame's value, from ``receive(n)``, which gives n bytes."""
    head = receive(HEAD.size)
    return decode(head + receive(body_length(head, limit)), limit)
