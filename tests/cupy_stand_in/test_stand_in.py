"""The stand-in of CuPy refuses what CuPy refuses. What it lets pass wrongly, no other test here would find."""

from __future__ import annotations

import copy
import inspect
import itertools
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.cupy_stand_in.module import cupy as xp
from tests.cupy_stand_in.names import LISTED, signature
from tests.cupy_stand_in.ndarray import StandInArray, namespaces

OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow, operator.lt,
    operator.ge, operator.eq, operator.ne, operator.matmul, divmod,
]  # fmt: skip
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow]
FLOATS = [np.float32, np.float64]
DTYPES = [np.bool_, np.uint8, np.int32, np.int64, *FLOATS, np.complex64, np.complex128]


def array(dtype: Any = float) -> Any:
    return xp.asarray(np.arange(6.0).reshape(2, 3).astype(dtype))


# ---- the list of names


def test_the_list_is_of_cupy_14() -> None:
    assert LISTED["version"].split(".")[0] == "14"
    assert LISTED["cupy"]["sum"] == "a axis= dtype= out= keepdims="
    assert LISTED["cupy"]["add"].startswith("ufunc ")
    assert "dd->d" in LISTED["cupy"]["add"].split()
    assert LISTED["cupy.ndarray"]["sum"] == "axis= dtype= out= keepdims="


def test_signatures_are_read() -> None:
    def like(a, b=..., *args, c, d=..., **kwargs): ...  # type: ignore[no-untyped-def]
    def only(x, /, y, *, z=...): ...  # type: ignore[no-untyped-def]

    assert signature("a b= *args c d= **kwargs") == inspect.signature(like)
    assert signature("x / y * z=") == inspect.signature(only)


def public(names: Any) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_the_array_has_no_other_names_than_cupys() -> None:
    assert public(dir(StandInArray)) <= public(LISTED["cupy.ndarray"])
    special = {name for name in vars(StandInArray) if name.startswith("__") and not hasattr(object, name)}
    assert special - {"__slots__", "__weakref__", "__annotations__", "__static_attributes__"} <= set(LISTED["cupy.ndarray"])


@pytest.mark.parametrize("name", namespaces)
def test_the_modules_have_no_other_names_than_cupys(name: str) -> None:
    assert public(vars(namespaces[name])) - {"scipy_prefix"} <= public(LISTED[name])


@pytest.mark.parametrize(
    "name",
    [
        "errstate", "block", "insert", "geomspace", "ndenumerate", "nditer", "einsum_path", "vecdot", "matvec", "unstack",
        "spacing", "nanquantile", "longdouble", "linalg.multi_dot", "linalg.vector_norm", "linalg.svdvals", "linalg.matrix_norm",
        "random.PCG64", "random.SeedSequence",
    ],
)  # fmt: skip
def test_names_that_cupy_does_not_have(name: str) -> None:
    assert operator.attrgetter(name)(np) is not None
    with pytest.raises(AttributeError, match="because CuPy 14"):
        operator.attrgetter(name)(xp)


@pytest.mark.parametrize("name", ["setflags", "resize", "ctypes", "__contains__", "__index__", "__array_namespace__"])
def test_attributes_that_cupys_arrays_do_not_have(name: str) -> None:
    assert not hasattr(array(), name)


def test_names_that_the_stand_in_does_not_compute() -> None:
    with pytest.raises(NotImplementedError, match="RawKernel"):
        xp.RawKernel("", "")


# ---- keywords


@pytest.mark.parametrize(
    "call",
    [
        lambda x: xp.sum(x, where=x > 0),
        lambda x: xp.max(x, initial=0.0),
        lambda x: xp.any(x, where=x > 0),
        lambda x: xp.mean(x, where=x > 0),
        lambda x: xp.var(x, correction=1),
        lambda x: xp.flip(m=x),
        lambda x: xp.sort(x, stable=True),
        lambda x: xp.take(x, 0, mode="wrap"),
        lambda x: xp.zeros(3, device="cpu"),
        lambda x: xp.add(x, x, where=x > 0),
        lambda x: xp.add(x, x, order="F"),
        lambda x: xp.clip(x, min=0.0, max=1.0),
        lambda x: xp.einsum("ij->i", x, out=x),
        lambda x: xp.linalg.cholesky(x, upper=True),
        lambda x: x.sum(where=x > 0),
        lambda x: x.max(initial=0.0),
        lambda x: x.var(correction=1),
        lambda x: x.copy(subok=True),
        lambda x: xp.add.reduce(x, where=x > 0),
    ],
)
def test_keywords_that_cupy_does_not_have(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument|Wrong arguments|following kwargs|required argument"):
        call(array())


@pytest.mark.parametrize("kind", ["quicksort", "mergesort", "heapsort"])
def test_other_sorts(kind: str) -> None:
    for sort in (xp.sort, xp.argsort, StandInArray.argsort):
        with pytest.raises(ValueError, match="stable"):
            sort(array(), kind=kind)
    np.testing.assert_array_equal(xp.argsort(xp.asarray([2, 1, 2]), kind="stable").get(), [1, 0, 2])


# ---- arrays of NumPy, and lists


@pytest.mark.parametrize("convert", [np.asarray, np.array, np.asanyarray, np.float64, np.zeros((2, 3)).__setitem__])
def test_nothing_becomes_numpys_by_itself(convert: Any) -> None:
    with pytest.raises(TypeError, match="Implicit conversion"):
        convert(*([...] if inspect.ismethodwrapper(convert) else []), array())


@pytest.mark.parametrize("other", [np.ones(3), np.ones(()), [1.0, 2.0, 3.0]], ids=["array", "array without axes", "list"])
@pytest.mark.parametrize("operation", [*OPERATORS, *IN_PLACE], ids=lambda operation: operation.__name__)
def test_operators(operation: Callable[..., Any], other: Any) -> None:
    compares = operation in (operator.lt, operator.ge, operator.eq, operator.ne)
    if compares and getattr(other, "shape", None) == ():  # CuPy takes its number
        assert type(operation(array(), other)) is StandInArray
        return
    for operands in ((array(), other), (other, array())) if operation not in IN_PLACE else ((array(), other),):
        with pytest.raises(TypeError):
            operation(*operands)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, other: xp.add(x, other),
        lambda x, other: xp.add(other, x),
        lambda x, other: np.add(x, other),
        lambda x, other: xp.add(x, x, out=other),
        lambda x, other: xp.where(x > 0, x, other),
        lambda x, other: xp.matmul(x, other),
        lambda x, other: xp.concatenate([x, other]),
        lambda x, other: np.concatenate([x, other]),
        lambda x, other: xp.stack([x, other]),
        lambda x, other: xp.sum(other),
        lambda x, other: xp.exp(other),
        lambda x, other: xp.isclose(x, other),
        lambda x, other: xp.einsum("ij,ij->i", x, other),
        lambda x, other: xp.linalg.solve(x[:, :2], other),
        lambda x, other: xp.add.at(x, 0, other),
        lambda x, other: x.dot(other),
        lambda x, other: x.__setitem__((slice(None),), other),
        lambda x, other: x.fill(other),
    ],
)
@pytest.mark.parametrize("other", [np.ones((2, 3)), [[1.0] * 3] * 2], ids=["array", "list"])
def test_functions(call: Callable[..., Any], other: Any) -> None:
    refused = r"Unsupported type|NotImplemented|no implementation|cannot be used for fill"
    with pytest.raises((TypeError, ValueError), match=refused):
        call(array(), other)


@pytest.mark.parametrize("call", [xp.sum, xp.flip, xp.mean, xp.reshape, xp.linalg.cholesky])
def test_functions_of_arrays_take_no_numbers(call: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        call(2.0, *((1,) * (call is xp.reshape)))


def test_settings_are_no_arrays() -> None:
    with pytest.raises(TypeError, match="axis is an array"):
        xp.sum(array(), axis=xp.asarray(0))
    with pytest.raises(TypeError, match="integer"):
        range(xp.asarray(3))  # type: ignore[call-overload]


def test_creation_takes_arrays_of_either_kind_but_not_both() -> None:
    host = np.ones(3)
    moved = xp.asarray(host)
    host[0] = 5.0
    np.testing.assert_array_equal(xp.asnumpy(moved), [1.0, 1.0, 1.0])
    assert xp.asarray(moved) is moved
    assert xp.array(moved) is not moved
    assert xp.asarray([moved, moved]).shape == (2, 3)
    with pytest.raises(TypeError, match="Implicit conversion"):
        xp.asarray([moved[0], 2.0])
    with pytest.raises(TypeError):
        hash(moved)
    assert xp.get_array_module(moved) is xp
    assert xp.get_array_module(host) is np


# ---- results


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.sum(),
        lambda x: xp.max(x),
        lambda x: x[0, 0],
        lambda x: xp.sum(x) + 1.0,
        lambda x: xp.allclose(x, x),
        lambda x: xp.array_equal(x, x),
        lambda x: xp.count_nonzero(x),
        lambda x: xp.linalg.norm(x),
        lambda x: np.sum(x),
        lambda x: np.sin(x)[0, 0],
        lambda x: xp.argmax(x),
        lambda x: next(iter(x.ravel())),
        lambda x: xp.random.uniform(),
        lambda x: xp.add(1.0, 2.0),
    ],
)
def test_results_without_axes_are_arrays(call: Callable[[Any], Any]) -> None:
    result = call(array())
    assert type(result) is StandInArray
    assert result.shape == ()
    assert isinstance(result.item(), (bool, int, float))


def test_several_results() -> None:
    w, v = result = xp.linalg.eigh(xp.eye(2))
    assert type(result) is tuple
    assert type(w) is type(v) is StandInArray
    assert not hasattr(result, "eigenvalues")
    assert all(type(part) is StandInArray for part in (*xp.nonzero(array()), *xp.split(array(), 3, axis=1)))
    with pytest.raises(ValueError, match="0d"):
        xp.nonzero(xp.asarray(1.0))


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "power", "equal", "true_divide", "logaddexp", "less"])
def test_dtypes_are_numpys(name: str) -> None:
    """The rule is CuPy's, but for these functions it comes to the same, also for Python's numbers, which are weak."""
    for left, right in itertools.product(DTYPES, [*DTYPES, int, float, complex]):
        number = right(1) if right in (int, float, complex) else None
        try:
            expected = getattr(np, name)(np.ones(3, left), np.ones(3, right) if number is None else number).dtype
        except TypeError:
            with pytest.raises(TypeError, match="Wrong type"):
                getattr(xp, name)(xp.ones(3, left), xp.ones(3, right) if number is None else number)
            continue
        found = getattr(xp, name)(xp.ones(3, left), xp.ones(3, right) if number is None else number)
        assert found.dtype == expected, (left, right)


def test_numpys_scalars_are_not_weak() -> None:
    assert (array(np.float32) * 2.0).dtype == np.float32
    assert (array(np.float32) * np.float64(2.0)).dtype == np.float64
    assert (np.float64(2.0) * array(np.float32)).dtype == np.float64


def test_loops_that_cupy_does_not_have() -> None:
    with pytest.raises(TypeError, match="Wrong type"):
        xp.logical_and(array(complex), array(complex))
    with pytest.raises(TypeError, match="Wrong type"):
        xp.exp(array(), dtype=np.int64)


# ---- indices and writing


def test_indices() -> None:
    x, host = array(), array().get()
    for index in ([0, 1], np.array([1, 0]), ([0, 1], [2, 0]), (slice(None), [0, 0]), (None, ..., -1), [[0], [1]], host > 2, []):
        np.testing.assert_array_equal(x[index].get(), host[index])
    np.testing.assert_array_equal(x[xp.asarray([0, 1]), 1:].get(), host[[0, 1], 1:])
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(IndexError, match="integer or boolean"):
        x[xp.asarray([0.0])]


def test_indices_out_of_range_wrap_around() -> None:
    x, host = array(), array().get()
    np.testing.assert_array_equal(x[[2, -3]].get(), host[[0, 1]])
    np.testing.assert_array_equal(x[..., [4]].get(), host[..., [1]])
    np.testing.assert_array_equal(xp.take(x, xp.asarray([3]), 1).get(), host[:, [0]])
    x[[2]] = -1.0
    assert x[0, 0].item() == -1.0


def test_views_and_their_base() -> None:
    x = array()
    view = x.T[0]
    view[...] = 7.0
    assert x[0, 0].item() == 7.0
    assert view.base is x
    assert x.base is None
    assert xp.may_share_memory(x, view)
    with pytest.raises(NotImplementedError):
        xp.shares_memory(x, view, max_work=10)
    assert x.copy().base is None


def test_add_at() -> None:
    x = xp.zeros(3)
    xp.add.at(x, np.array([0, 0, 2]), xp.ones(3))
    namespaces["cupyx"].scatter_add(x, xp.asarray([1]), 5.0)
    np.testing.assert_array_equal(x.get(), [2.0, 5.0, 1.0])
    with pytest.raises(TypeError, match="only supports"):
        xp.add.at(xp.zeros(3, complex), xp.asarray([0, 0]), 1.0)
    with pytest.raises(NotImplementedError):
        xp.multiply.at(x, xp.asarray([0]), 2.0)


def test_reductions_by_ufuncs() -> None:
    assert xp.add.reduce(array(), axis=(0, 1)).item() == 15.0
    assert xp.multiply.accumulate(xp.asarray([2.0, 3.0])).tolist() == [2.0, 6.0]
    for name in ("maximum", "logical_and", "logical_or"):
        with pytest.raises(NotImplementedError):
            getattr(xp, name).reduce(array())


def test_out() -> None:
    x, out = array(), array()
    assert xp.exp(x, out=out) is out
    np.testing.assert_array_equal(out.get(), np.exp(x.get()))
    with pytest.raises(TypeError, match="coerced"):
        xp.exp(x, out=array(int))
    with pytest.raises(ValueError, match="mismatched"):
        xp.exp(x, out=xp.zeros(3))


# ---- linear algebra, and random numbers


def test_solve_does_not_broadcast() -> None:
    a, b = xp.asarray(np.stack([np.eye(2)] * 3)), xp.ones((2, 1))
    with pytest.raises(ValueError, match="multidimensional"):
        xp.linalg.solve(a, b)
    assert xp.linalg.solve(a, xp.broadcast_to(b, (3, 2, 1))).shape == (3, 2, 1)
    assert xp.linalg.solve(a, xp.ones(2)).shape == (3, 2)


@pytest.mark.parametrize("name", ["solve", "inv", "cholesky"])
def test_what_fails_gives_nan(name: str) -> None:
    singular = xp.zeros((2, 2), np.float32)
    found = getattr(xp.linalg, name)(*[singular] * (1 + (name == "solve")))
    assert xp.isnan(found).all()
    assert found.dtype == np.float32


def test_no_warnings() -> None:
    """A GPU gives none; the tests make errors of them."""
    assert xp.isinf(1.0 / xp.zeros(2)).all()
    assert xp.isnan(xp.log(-xp.ones(2))).all()


def test_the_generator_draws_on_the_device_and_has_fewer_methods() -> None:
    ours, numpys = xp.random.default_rng(0), np.random.default_rng(0)
    np.testing.assert_array_equal(ours.uniform(size=3).get(), numpys.uniform(size=3))
    np.testing.assert_array_equal(ours.standard_normal(3).get(), numpys.standard_normal(3))
    for name in ("normal", "permutation", "shuffle", "choice"):
        assert not hasattr(ours, name)
    assert type(xp.random.normal(size=3)) is StandInArray


def test_copies_and_pickles() -> None:
    x = array()
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(other) is StandInArray
        assert not xp.may_share_memory(x, other)
        assert xp.array_equal(x, other)
