"""Values cross as they are, or not at all; and no bytes make the reader do anything but give a value or refuse."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyad.checking.grading.frames import DTYPES, HEAD, MARK, FrameError, body_length, decode, encode, read

arrays = st.sampled_from(sorted(DTYPES)).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0)))
scalars = arrays.filter(lambda array: array.size == 1).map(lambda array: array.reshape(-1)[0])
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), arrays, scalars)
keys = st.one_of(st.text(), st.integers(), st.booleans(), st.none())
values = st.recursive(
    plain, lambda part: st.one_of(st.lists(part), st.lists(part).map(tuple), st.dictionaries(keys, part)), max_leaves=8
)


def same(a, b):
    """Equal in type and in every bit that has a meaning; any NaN equals any NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and np.asarray(a).tobytes() == np.asarray(b).tobytes()
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or a.hex() == b.hex()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b


@given(values)
def test_round_trip(value):
    assert same(decode(encode(value)), value)


@given(values, st.data())
def test_a_frame_with_a_few_bytes_changed_gives_a_value_or_is_refused(value, data):
    frame = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(frame))
    except FrameError as error:
        assert str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(FrameError):
        decode(data)


def frame_of(word, body=b"", header=None):
    header = json.dumps(word).encode() if header is None else header
    return HEAD.pack(MARK, len(header), len(body)) + header + body


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (frame_of(["a", "|O8", [1]], bytes(8)), "names the dtype '|O8'"),
        (frame_of(["a", "object", [1]], bytes(8)), "names the dtype 'object'"),
        (frame_of(["a", float("nan"), [1]], bytes(8)), "means nothing"),
        (frame_of(["a", ">f8", [1]], bytes(8)), "names the dtype '>f8'"),
        (frame_of(["a", "<f8", [2]], bytes(8)), "takes 16 bytes; the frame has 8"),
        (frame_of(["a", "<f8", [1]], bytes(16)), "8 bytes more than its header describes"),
        (frame_of(["a", "<f8", [-1]], bytes(8)), "names the shape [-1]"),
        (frame_of(["a", "<f8", [True]], bytes(8)), "names the shape [True]"),
        (frame_of(["a", "<f8", [1.0]], bytes(8)), "names the shape [1.0]"),
        (frame_of(["a", "<f8", [1] * 70], bytes(8)), "expected at most 32 lengths"),
        (frame_of(["a", "<f8", [0, 1 << 47, 1 << 47]]), "names the shape"),
        (frame_of(["f", "nothing"]), "expected one in hexadecimal"),
        (frame_of(1.5), "means nothing"),
        (frame_of(["p", "pickle"]), "means nothing"),
        (frame_of({"a": 1}), "means nothing"),
        (frame_of(["d", [[["l", []], 1]]]), "keys of a dict"),
        (frame_of(["d", [[1]]]), "means nothing"),
        (frame_of(None, header=b"[" * 5000), "no JSON"),
        (frame_of(None, header=b"1" * 5000), "no JSON"),
        (frame_of(None, header=b"\xff"), "no JSON"),
        (frame_of(None) + b"more", "announced"),
        (frame_of(None)[:-1], "announced"),
        (b"Traceback (most recent call last)", "is no frame"),
        (b"tad1", "the head alone takes 16"),
    ],
)
def test_what_a_broken_frame_is_refused_for(frame, message):
    with pytest.raises(FrameError) as error:
        decode(frame)
    assert message in str(error.value)


def test_nesting_is_limited_on_both_sides():
    deep = []
    for _ in range(40):
        deep = [deep]
    word = None
    for _ in range(40):
        word = ["l", [word]]
    with pytest.raises(FrameError, match="nested more than 32 deep"):
        encode(deep)
    with pytest.raises(FrameError, match="nested more than 32 deep"):
        decode(frame_of(word))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([print]), "dtype object"),
        (np.array(["a"]), "dtype <U1"),
        (np.array(["2020"], dtype="M8[Y]"), r"dtype datetime64\[Y\]"),
        (np.zeros(2, dtype=[("a", "f4")]), "only arrays of numbers"),
        (print, "a builtin_function_or_method: only arrays"),
        ({(1, 2): 3}, "keys of a dict"),
        (1 << 5000, "an int of 5001 bits"),
        (np.zeros(1000), "an array of 8000 bytes"),
        ("x" * 5000, "more than the 4000"),
    ],
)
def test_what_may_not_cross(value, message):
    with pytest.raises(FrameError, match=message):
        encode(value, limit=4000)


def test_a_long_frame_is_refused_before_it_is_read():
    asked = []

    def receive(count):
        asked.append(count)
        return HEAD.pack(MARK, 100, 1 << 40)

    with pytest.raises(FrameError, match="was announced"):
        read(receive)
    assert asked == [HEAD.size]
    with pytest.raises(FrameError, match="was announced"):
        body_length(HEAD.pack(MARK, 100, 100), limit=150)


def test_subclasses_and_layouts_become_plain_arrays():
    class Liar(np.ndarray):
        def __eq__(self, other):
            return np.bool_(True)

        @property
        def shape(self):
            return (99,)

    back = decode(encode([np.arange(6.0).reshape(2, 3).T, np.arange(3, dtype=">i4"), np.arange(3.0).view(Liar)]))
    assert [type(each) for each in back] == [np.ndarray] * 3
    assert [each.tolist() for each in back] == [[[0, 3], [1, 4], [2, 5]], [0, 1, 2], [0, 1, 2]]
    assert all(each.flags.writeable and each.flags.owndata for each in back)


def test_bools_are_true_or_false():
    assert decode(frame_of(["a", "|b1", [3]], b"\x00\x01\x07")).view(np.uint8).tolist() == [0, 1, 1]
