"""tinyad is a namespace of the Python array API standard: names, dtypes, and what an array says of itself.

`make array-api` runs the public test suite of the standard, which asks for far more; see known_failures.txt.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyad as ad

NAMES = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh bitwise_and bitwise_invert
bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor bool broadcast_arrays broadcast_shapes broadcast_to can_cast ceil clip
complex128 complex64 concat conj copysign cos cosh count_nonzero cumulative_prod cumulative_sum diff divide e empty empty_like equal
exp expand_dims expm1 eye fft finfo flip float32 float64 floor floor_divide from_dlpack full full_like greater greater_equal hypot
iinfo imag inf int16 int32 int64 int8 isdtype isfinite isin isinf isnan less less_equal linalg linspace log log10 log1p log2
logaddexp logical_and logical_not logical_or logical_xor matmul matrix_transpose max maximum mean meshgrid min minimum moveaxis
multiply nan negative newaxis nextafter nonzero not_equal ones ones_like permute_dims pi positive pow prod promote_types real
reciprocal remainder repeat reshape result_type roll round searchsorted sign signbit sin sinh sort sqrt square squeeze stack std
subtract sum take take_along_axis tan tanh tensordot tile tril triu trunc uint16 uint32 uint64 uint8 unique_all unique_counts
unique_inverse unique_values unstack var vecdot where zeros zeros_like __array_api_version__ __array_namespace_info__
"""
"""All that version 2025.12 asks of the main namespace."""

METHODS = """
__abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__ __dlpack_device__ __eq__ __float__ __floordiv__ __ge__
__getitem__ __gt__ __index__ __int__ __invert__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__
__pow__ __rshift__ __setitem__ __sub__ __truediv__ __xor__ to_device dtype device mT ndim shape size T
__radd__ __rand__ __rfloordiv__ __rlshift__ __rmatmul__ __rmod__ __rmul__ __ror__ __rpow__ __rrshift__ __rsub__ __rtruediv__
__rxor__
"""

DTYPES = [
    ad.bool, ad.int8, ad.int16, ad.int32, ad.int64, ad.uint8, ad.uint16, ad.uint32, ad.uint64, ad.float32, ad.float64, ad.complex64,
    ad.complex128,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES.split())
def test_the_namespace_has(name: str) -> None:
    assert hasattr(ad, name) and name in ad.__all__


@pytest.mark.parametrize("name", METHODS.split())
def test_an_array_has(name: str) -> None:
    assert hasattr(ad.zeros((2, 2)), name)


def test_the_namespace_of_every_tensor_is_tinyad() -> None:
    for x in (ad.zeros(2), ad.tensor([1.0]), ad.tensor(1.0) * 2.0):
        assert x.__array_namespace__() is ad
        assert x.__array_namespace__(api_version="2024.12") is ad
    assert ad.__array_api_version__ == "2025.12"


def test_a_traced_array_has_the_namespace_too() -> None:
    def f(x: Any) -> Any:
        xp = x.__array_namespace__()
        assert xp is ad and x.device == "cpu"
        return xp.sin(x)

    np.testing.assert_array_equal(ad.vmap(f)(np.ones(3)), np.sin(np.ones(3)))
    np.testing.assert_array_equal(ad.compile(f)(np.ones(3)), np.sin(np.ones(3)))


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"api_version: got '2020\.1'; expected one of 2021\.12, .*2025\.12"):
        ad.zeros(1).__array_namespace__(api_version="2020.1")


def test_constants() -> None:
    assert (ad.e, ad.inf, ad.pi, ad.newaxis) == (math.e, math.inf, math.pi, None) and math.isnan(ad.nan)


def test_info() -> None:
    info = ad.__array_namespace_info__()
    assert info.default_device() == "cpu" and info.devices()[0] == "cpu"
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    defaults = {"real floating": ad.float64, "complex floating": ad.complex128, "integral": ad.int64, "indexing": ad.int64}
    assert info.default_dtypes() == defaults
    assert info.default_dtypes() == {
        "real floating": ad.asarray(1.0).dtype,
        "complex floating": ad.asarray(1j).dtype,
        "integral": ad.asarray(1).dtype,
        "indexing": ad.argmax(ad.zeros(2)).dtype,
    }
    assert list(info.dtypes().values()) == DTYPES
    assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
    assert set(info.dtypes(kind=("bool", "unsigned integer"))) == {"bool", "uint8", "uint16", "uint32", "uint64"}
    ad.zeros((1,) * info.capabilities()["max dimensions"])


# ---- dtypes


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64, ad.complex64, ad.complex128])
def test_finfo_is_numpys_in_python_numbers(dtype: Any) -> None:
    ours, theirs = ad.finfo(dtype), np.finfo(dtype)
    for name in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(ours, name) == getattr(theirs, name)
        assert type(getattr(ours, name)) is (int if name == "bits" else float)
    assert ours.dtype == theirs.dtype
    assert ad.finfo(ad.zeros(2, dtype=dtype)) == ours


@pytest.mark.parametrize("dtype", DTYPES[1:9])
def test_iinfo_is_numpys_in_python_numbers(dtype: Any) -> None:
    ours, theirs = ad.iinfo(dtype), np.iinfo(dtype)
    assert (ours.bits, ours.max, ours.min, ours.dtype) == (theirs.bits, theirs.max, theirs.min, dtype)
    assert {type(n) for n in ours[:3]} == {int}
    assert ad.iinfo(ad.zeros(2, dtype=dtype)) == ours


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: ad.finfo(ad.int8), r"finfo: got int8; expected a floating-point dtype.*ad\.iinfo"),
        (lambda: ad.iinfo(ad.float32), r"iinfo: got float32; expected an integer dtype.*ad\.finfo"),
        (lambda: ad.iinfo(ad.bool), r"iinfo: got bool"),
    ],
)
def test_limits_of_other_dtypes_are_refused(ask: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()


KINDS = ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]


@given(st.sampled_from(DTYPES), st.sampled_from(KINDS), st.sampled_from(DTYPES))
def test_isdtype_is_numpys(dtype: Any, kind: str, other: Any) -> None:
    assert ad.isdtype(dtype, kind) == np.isdtype(np.dtype(dtype), kind)
    assert ad.isdtype(ad.zeros(1, dtype=dtype).dtype, (kind, other)) == np.isdtype(np.dtype(dtype), (kind, other))


@given(st.sampled_from(DTYPES), st.sampled_from(DTYPES))
def test_promotion_is_numpys_for_dtypes_and_arrays(first: Any, second: Any) -> None:
    expected = np.result_type(first, second)
    arrays = ad.zeros(2, dtype=first), ad.ones((), dtype=second)
    assert ad.result_type(first, second) == ad.promote_types(first, second) == ad.result_type(*arrays) == expected
    assert np.result_type(*arrays) == ad.result_type(arrays[0], np.zeros(1, second)) == expected
    assert ad.can_cast(first, second) == ad.can_cast(arrays[0], second) == np.can_cast(first, second)


def test_python_numbers_are_weak() -> None:
    assert ad.result_type(ad.float32, 1.0) == ad.result_type(ad.zeros(1, dtype=ad.float32), 2) == ad.float32
    assert ad.result_type(ad.int8, 1.0) == ad.float64 and ad.result_type(1, 2.0) == ad.float64


def test_dtypes_are_known_inside_a_traced_function() -> None:
    def f(x: Any) -> Any:
        assert ad.result_type(x, 1.0) == np.result_type(x, 1.0) == ad.float32
        assert ad.finfo(x).bits == 32 and ad.can_cast(x, ad.float64)
        return x * ad.finfo(x.dtype).eps

    assert ad.vmap(f)(np.ones(2, np.float32)).dtype == np.float32


# ---- constants of every dtype


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_operations_on_constants_are_numpys(dtype: Any) -> None:
    values = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    x = ad.asarray(values)
    for ours, theirs in [
        (x + x * x - 1, values + values * values - 1),
        (x @ x.T, values @ values.T),
        (x[:, ::-1][x > 2], values[:, ::-1][values > 2]),
        (ad.concat([x, x], axis=1), np.concatenate([values, values], 1)),
        (ad.where(x == 2, x, 0), np.where(values == 2, values, 0)),
        (ad.reshape(x, (3, 2)), values.reshape(3, 2)),
        (x / 2, values / 2),
        (x**2, values**2),
        (-x, -values),
        (abs(x), abs(values)),
        (ad.astype(x, ad.complex128), values.astype(np.complex128)),
    ]:
        assert isinstance(ours, ad.Tensor) and ours.node is None and ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours.array, theirs)


def test_masks_are_constants_that_combine_and_pick() -> None:
    mask = ad.asarray([True, False, True])
    np.testing.assert_array_equal((~mask | (mask & mask) ^ mask).array, [False, True, False])
    np.testing.assert_array_equal(ad.arange(3)[mask].array, [0, 2])
    assert ad.any(mask) and not ad.all(mask)
