"""Bad input: each message names the function or argument, what was given, what was expected, and a remedy where there is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tinyad as ad

X, M = np.array([1.0, 2.0]), np.ones((2, 3))
S = np.eye(2)
_, PULL = ad.vjp(lambda x: {"a": 2.0 * x, "b": [x, x]}, X)
LIN = ad.linearize(lambda p: p["w"] * 2.0, {"w": X})


@dataclass
class Layer:
    w: Any
    steps: Any = 3
    name: str = "layer"


def total(x: Any) -> Any:
    return ad.sum(x * x)


def off_the_tape(leave: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: ad.grad(lambda x: leave(x))(2.0)


def in_no_grad(x: Any) -> Any:
    with ad.no_grad():
        return x * x


INDEPENDENT = r"^grad: the output does not depend on the input.*{}.*(float\(x\), x\.array|ad\.vjp)"

# What is wrong, the call, the exception, and a pattern for its message.
CASES: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    # grad: the output
    (
        "vector output",
        lambda: ad.grad(lambda x: x * x)(X),
        ValueError,
        r"^grad: .*array of shape \(2,\); expected a scalar.*ad\.sum.*ad\.jacobian",
    ),
    ("output of shape (1,)", lambda: ad.grad(lambda x: x[:1])(X), ValueError, r"^grad: .*shape \(1,\); expected a scalar"),
    (
        "tuple output",
        lambda: ad.grad(lambda x: (x, x))(1.0),
        TypeError,
        r"^grad: .*returned a tuple; expected a scalar.*has_aux=True",
    ),
    (
        "dict output",
        lambda: ad.grad(lambda x: {"a": x})(1.0),
        TypeError,
        r"^grad: .*returned a dict; expected a scalar.*ad\.vjp",
    ),
    (
        "dataclass output",
        lambda: ad.grad(lambda x: Layer(x * x))(1.0),
        TypeError,
        r"^grad: .*returned a Layer; expected a scalar",
    ),
    ("None output", lambda: ad.grad(lambda x: None)(1.0), TypeError, r"^grad: .*returned None; expected a scalar.*return"),
    ("text output", lambda: ad.grad(lambda x: "loss")(1.0), TypeError, r"^grad: .*returned (a )?str; expected a scalar"),
    (
        "aux is missing",
        lambda: ad.grad(lambda x: x, has_aux=True)(1.0),
        TypeError,
        r"^grad: has_aux=True.*expected \(value, aux\)",
    ),
    (
        "aux is missing in vjp",
        lambda: ad.vjp(lambda x: x, 1.0, has_aux=True),
        TypeError,
        r"^vjp: has_aux=True.*expected \(value, aux\)",
    ),
    # grad: independent of the input
    ("constant", off_the_tape(lambda x: 3.0), ValueError, INDEPENDENT.format("float")),
    ("constant Tensor", off_the_tape(lambda x: ad.asarray(3.0)), ValueError, INDEPENDENT.format("constant Tensor")),
    ("float(x)", off_the_tape(lambda x: float(x) ** 2), ValueError, INDEPENDENT.format("float")),
    ("x.array", off_the_tape(lambda x: np.sum(x.array**2)), ValueError, INDEPENDENT.format("float64")),
    ("no_grad", off_the_tape(in_no_grad), ValueError, INDEPENDENT.format("constant Tensor")),
    ("stop_gradient", off_the_tape(lambda x: ad.stop_gradient(x) * 2.0), ValueError, INDEPENDENT.format("constant Tensor")),
    ("floor", off_the_tape(ad.floor), ValueError, INDEPENDENT.format("constant Tensor")),
    ("comparison", off_the_tape(lambda x: x > 1.0), ValueError, INDEPENDENT.format("constant Tensor")),
    (
        "only another variable",
        lambda: ad.grad(lambda x, y: y * y)(1.0, ad.tensor(2.0)),
        ValueError,
        INDEPENDENT.format("only on other Tensors"),
    ),
    ("only an outer variable", lambda: ad.grad(lambda x: ad.grad(lambda y: x * x)(x))(2.0), ValueError, INDEPENDENT.format("")),
    ("the wrong argument", lambda: ad.grad(lambda x, y: y * y)(1.0, 2.0), ValueError, INDEPENDENT.format("float")),
    (
        "jacobian",
        lambda: ad.jacobian(lambda x: np.ones(2))(X),
        ValueError,
        r"^jacobian: the output does not depend on the input.*ndarray",
    ),
    ("hessian", lambda: ad.hessian(lambda x: 1.0)(X), ValueError, r"the output does not depend on the input"),
    # grad: the input
    (
        "int",
        lambda: ad.grad(total)(2),
        TypeError,
        r"^grad: argument 0 has dtype int\d+; only floating-point.*decimal point.*argnums",
    ),
    ("int array", lambda: ad.grad(total)(np.arange(3)), TypeError, r"^grad: argument 0 has dtype int\d+.*\.astype\(float\)"),
    ("bool", lambda: ad.grad(total)(True), TypeError, r"^grad: argument 0 has dtype bool"),
    ("int in a tree", lambda: ad.grad(total)({"w": [1.0, 2]}), TypeError, r"^grad: argument 0\['w'\]\[1\] has dtype int\d+"),
    ("int in a dataclass", lambda: ad.grad(total)(Layer(np.arange(2))), TypeError, r"^grad: argument 0\.w has dtype int\d+"),
    ("int by argnums", lambda: ad.grad(lambda x, n: x**n, argnums=1)(2.0, 3), TypeError, r"^grad: argument 1 has dtype int"),
    ("int in jvp", lambda: ad.jvp(total, (2,), (1.0,)), TypeError, r"^jvp: argument 0 has dtype int"),
    ("int in vjp", lambda: ad.vjp(lambda x, n: x * n, 2.0, 3), TypeError, r"^vjp: argument 1 has dtype int"),
    ("int in jacobian", lambda: ad.jacobian(total)(np.arange(3)), TypeError, r"^jacobian: argument 0 has dtype int"),
    ("object array", lambda: ad.grad(total)(np.array([None])), TypeError, r"^grad: argument 0 has dtype object"),
    (
        "int variable",
        lambda: ad.tensor([1, 2]),
        TypeError,
        r"^tensor: .*dtype int\d+; only floating-point.*decimal point.*dtype=float.*ad\.asarray",
    ),
    ("text variable", lambda: ad.tensor("abc"), TypeError, r"^tensor: .*dtype <U3"),
    ("None", lambda: ad.grad(total)(None), TypeError, r"^grad: argument 0 is None, which holds no array"),
    ("empty list", lambda: ad.grad(total)([]), TypeError, r"^grad: argument 0 is \[\], which holds no array"),
    ("text", lambda: ad.grad(total)("abc"), TypeError, r"^grad: argument 0 is 'abc', which holds no array"),
    (
        "dataclass of settings",
        lambda: ad.grad(total)(Layer(None)),
        TypeError,
        r"^grad: argument 0 is Layer\(.*, which holds no array",
    ),
    # argnums
    ("argnums too large", lambda: ad.grad(total, argnums=1)(X), ValueError, r"^grad: argnums=1, but .* 1 positional argument"),
    (
        "argnums too small",
        lambda: ad.grad(total, argnums=(0, -2))(X),
        ValueError,
        r"^grad: argnums=\(0, -2\), but .* 1 positional",
    ),
    ("no arguments", lambda: ad.grad(total)(), ValueError, r"^grad: argnums=0, but .* 0 positional"),
    ("by keyword only", lambda: ad.grad(total)(x=X), ValueError, r"^grad: argnums=0, but .* 0 positional"),
    ("argnums of jacobian", lambda: ad.jacobian(total, argnums=2)(X), ValueError, r"^jacobian: argnums=2"),
    (
        "argnums twice",
        lambda: ad.grad(total, argnums=(0, 0))(X),
        ValueError,
        r"^grad: argnums=\(0, 0\).*(twice|more than once)",
    ),
    (
        "argnums twice, once negative",
        lambda: ad.grad(total, argnums=(0, -1))(X),
        ValueError,
        r"^grad: argnums=\(0, -1\).*(twice|more than once)",
    ),
    ("no argnums", lambda: ad.grad(total, argnums=())(X), ValueError, r"^grad: argnums=\(\).*at least one"),
    ("argnums by name", lambda: ad.grad(total, argnums="x")(X), TypeError, r"^grad: argnums='x'.*(int|position)"),
    ("argnums no int", lambda: ad.grad(total, argnums=0.0)(X), TypeError, r"^grad: argnums=0\.0.*(int|position)"),
    ("not a function", lambda: ad.grad(3.0)(X), TypeError, r"^grad: .*(function|callable).*float"),
    ("an array for a function", lambda: ad.grad(X), TypeError, r"^grad: .*(function|callable).*ndarray"),
    # cotangents and tangents
    (
        "cotangent's structure",
        lambda: PULL({"a": X}),
        ValueError,
        r"^cotangent: structure differs.*`output`.*expected dict\(a.*got dict\(a: \*\).*ad\.tree\.map",
    ),
    (
        "cotangent's structure inside",
        lambda: PULL({"a": X, "b": X}),
        ValueError,
        r"`output\['b'\]`: expected list\(0: \*, 1: \*\), got \*",
    ),
    (
        "cotangent's shape",
        lambda: PULL({"a": M, "b": [X, X]}),
        ValueError,
        r"^cotangent.*\['a'\].*\(2, 3\).*\(2,\) expected|^cotangent.*\['a'\].*\(2, 3\).*expected.*\(2,\)",
    ),
    ("cotangent is a number", lambda: ad.vjp(lambda x: x * x, X)[1](1.0), ValueError, r"^cotangent.*\(\).*\(2,\)"),
    (
        "cotangent is None",
        lambda: ad.vjp(lambda x: x * x, X)[1](None),
        ValueError,
        r"^cotangent: structure differs.*expected \*, got None",
    ),
    (
        "tangent's structure",
        lambda: ad.jvp(lambda p: p["w"] * 2.0, ({"w": X},), ({"v": X},)),
        ValueError,
        r"^tangent 0: structure differs.*`argument 0`.*dict\(w.*dict\(v",
    ),
    ("tangent's structure inside", lambda: LIN({"w": (X,)}), ValueError, r"`argument 0\['w'\]`: expected \*, got tuple"),
    ("tangent's shape", lambda: ad.jvp(total, (X,), (M,)), ValueError, r"^tangent.*\(2, 3\).*\(2,\)"),
    ("tangent's shape in a tree", lambda: LIN({"w": M}), ValueError, r"^tangent 0\['w'\].*\(2, 3\).*\(2,\)"),
    ("tangent of integers' structure", lambda: ad.hvp(total, X, {"v": X}), ValueError, r"^tangent 0: structure differs"),
    ("hvp's shape", lambda: ad.hvp(total, X, np.ones(3)), ValueError, r"^tangent.*\(3,\).*\(2,\)"),
    ("gnvp's shape", lambda: ad.gnvp(lambda x: x * x, total, X, np.ones(3)), ValueError, r"^tangent.*\(3,\).*\(2,\)"),
    (
        "gnvp's loss",
        lambda: ad.gnvp(lambda x: x * x, lambda y: y, X, X),
        ValueError,
        r"^grad: .*shape \(2,\); expected a scalar",
    ),
    (
        "dataclass's setting",
        lambda: ad.jvp(lambda p: p.w, (Layer(X),), (Layer(X, steps=4),)),
        ValueError,
        r"^tangent 0: structure differs",
    ),
    ("jvp without tuples", lambda: ad.jvp(total, X, X), TypeError, r"^jvp: primals and tangents are tuples.*\(x,\)"),
    ("jvp with a number", lambda: ad.jvp(total, (1.0,), 1.0), TypeError, r"^jvp: primals and tangents are tuples"),
    ("too many tangents", lambda: ad.jvp(total, (X,), (X, X)), ValueError, r"^jvp: got 2 tangents for 1 argument"),
    (
        "too few tangents",
        lambda: ad.linearize(lambda x, y: x * y, X, X)(X),
        ValueError,
        r"^linearize: got 1 tangents? for 2 arguments",
    ),
    (
        "jacobian's mode",
        lambda: ad.jacobian(total, mode="both"),
        ValueError,
        r"^jacobian: mode='both'; expected 'reverse', 'forward' or None",
    ),
    # backward and grad of Tensors
    (
        "backward of a vector",
        lambda: (ad.tensor(X) * 2.0).backward(),
        ValueError,
        r"^backward: y has shape \(2,\); expected a scalar.*Sum it.*gradient=",
    ),
    ("backward of a constant", lambda: ad.asarray(1.0).backward(), ValueError, r"^backward: .*constant.*ad\.tensor"),
    ("backward in no_grad", lambda: in_no_grad(ad.tensor(2.0)).backward(), ValueError, r"^backward: .*constant.*no_grad"),
    (
        "backward to no variable",
        lambda: ad.grad(lambda x: (x * 2.0).backward())(1.0),
        ValueError,
        r"^backward: y does not depend on a variable made by ad\.tensor",
    ),
    ("backward with a wrong gradient", lambda: ad.tensor(X).backward(M), ValueError, r"^gradient: .*\(2, 3\).*\(2,\)"),
    (
        "grad of a constant",
        lambda: setattr(ad.asarray(1.0), "grad", X),
        AttributeError,
        r"^grad: only a variable made by ad\.tensor.*a constant",
    ),
    (
        "grad of a result",
        lambda: setattr(ad.tensor(1.0) * 2.0, "grad", X),
        AttributeError,
        r"^grad: only a variable.*result of an operation",
    ),
    # operands
    ("text operand", lambda: ad.tensor(X) + "a", TypeError, r"^add: .*str.*expected an array, a Tensor or a number"),
    ("None operand", lambda: ad.tensor(X) * None, TypeError, r"^multiply: .*NoneType.*expected an array, a Tensor or a number"),
    ("dict operand", lambda: ad.add(ad.tensor(X), {}), TypeError, r"^add: .*dict.*expected an array, a Tensor or a number"),
    (
        "dict operand alone",
        lambda: ad.sin({}),
        TypeError,
        r"^sin: .*dict; expected an array, a Tensor or a number.*ad\.asarray",
    ),
    ("model for an array", lambda: ad.exp(Layer(X)), TypeError, r"^exp: .*Layer; expected an array"),
    ("shapes that do not broadcast", lambda: ad.tensor(np.ones(3)) + X, ValueError, r"(add|broadcast).*\(3,\).*\(2,\)"),
    # functions
    (
        "reshape",
        lambda: ad.reshape(X, (3, -1)),
        ValueError,
        r"^reshape: .*\(2,\).*2 elements.*\(3, 0\)|^reshape: .*\(2,\).*\(3, -1\)",
    ),
    (
        "reshape sizes",
        lambda: ad.tensor(X).reshape(3),
        ValueError,
        r"^reshape: cannot reshape \(2,\) \(2 elements\) into \(3,\)",
    ),
    ("reshape twice -1", lambda: ad.reshape(X, (-1, -1)), ValueError, r"^reshape: .*\(-1, -1\).*(one|once)"),
    (
        "broadcast_to",
        lambda: ad.broadcast_to(X, (3, 3)),
        ValueError,
        r"^broadcast_to: shape \(2,\) does not broadcast to \(3, 3\).*equal or 1",
    ),
    ("squeeze", lambda: ad.squeeze(M, 0), ValueError, r"^squeeze: axis.*\(2, 3\) has length 2; only length 1"),
    (
        "permute_dims",
        lambda: ad.permute_dims(M, (0, 0)),
        ValueError,
        r"^permute_dims: axes=\(0, 0\) is not a permutation of the 2 axes",
    ),
    ("transpose", lambda: ad.tensor(M).transpose(0, 2), ValueError, r"^permute_dims: axes=\(0, 2\)"),
    ("expand_dims", lambda: ad.expand_dims(X, 5), ValueError, r"^expand_dims: axis 5 is out of bounds"),
    ("moveaxis", lambda: ad.moveaxis(M, 0, 3), ValueError, r"^moveaxis: axis 3 is out of bounds.*2 axes"),
    ("concat", lambda: ad.concat([M, X]), ValueError, r"^concat: array 1 has shape \(2,\), array 0 \(2, 3\)"),
    ("concat of nothing", lambda: ad.concat([]), ValueError, r"^concat: got no arrays; expected at least one"),
    ("concat of numbers", lambda: ad.concat([1.0, 2.0]), ValueError, r"^concat: .*(number|0 axes|0-d).*ad\.stack"),
    ("stack", lambda: ad.stack([X, ad.tensor(np.ones(3))]), ValueError, r"^stack: array 1 has shape \(3,\), array 0 \(2,\)"),
    ("stack's axis", lambda: ad.stack([X, X], axis=3), ValueError, r"^stack: axis 3 is out of bounds.*2 axes"),
    ("stack of a number", lambda: ad.stack(1.0), TypeError, r"^stack: .*float.*expected a (list|sequence)"),
    (
        "pad's widths",
        lambda: ad.pad(M, ((1, 1), (1, 1), (0, 0))),
        ValueError,
        r"^pad: pad_width=.*does not fit 2 axes; expected",
    ),
    ("negative pad", lambda: ad.pad(X, -1), ValueError, r"^pad: pad_width=-1.*at least 0"),
    ("roll's shifts", lambda: ad.roll(M, (1, 2), 0), ValueError, r"^roll: got 2 shifts for 1 axes"),
    ("sum's axis", lambda: ad.sum(M, axis=2), ValueError, r"^sum: axis 2 is out of bounds.*2 axes; expected -2 to 1"),
    ("axis twice", lambda: ad.mean(M, axis=(0, -2)), ValueError, r"^mean: axis=\(0, -2\) names an axis twice"),
    ("axis no int", lambda: ad.sum(M, axis=0.5), TypeError, r"^sum: axis.*0\.5.*int"),
    ("axis by name", lambda: ad.sum(M, axis="rows"), TypeError, r"^sum: axis.*'rows'.*int"),
    ("max of nothing", lambda: ad.max(np.zeros(0)), ValueError, r"^max: .*shape \(0,\) are empty"),
    (
        "min of nothing along an axis",
        lambda: ad.tensor(np.zeros((2, 0))).min(axis=1),
        ValueError,
        r"^min: .*\(2, 0\) are empty",
    ),
    ("norm's ord", lambda: ad.norm(X, ord=0), ValueError, r"^norm: ord=0; expected a number of at least 1, or math\.inf"),
    ("norm's ord by name", lambda: ad.norm(M, ord="nuc"), (TypeError, ValueError), r"^norm: ord='nuc'; expected"),  # type: ignore[list-item]
    ("matmul's shapes", lambda: ad.matmul(M, X), ValueError, r"^matmul: shapes \(2, 3\) and \(2,\) do not fit"),
    ("matmul with a number", lambda: ad.tensor(M) @ 2.0, ValueError, r"^matmul: .*number is no matrix. Use \*"),
    (
        "matmul's first axes",
        lambda: ad.matmul(np.ones((2, 2, 2)), np.ones((3, 2, 2))),
        ValueError,
        r"matmul.*\(2, ?2, ?2\).*\(3, ?2, ?2\)",
    ),
    ("tensordot's number", lambda: ad.tensordot(M, X, axes=2), ValueError, r"^tensordot: axes=2; operands have 2 and 1 axes"),
    ("tensordot's lists", lambda: ad.tensordot(M, M, axes=((0, 1), (0,))), ValueError, r"^tensordot: axes=.*same length"),
    (
        "tensordot's lengths",
        lambda: ad.tensordot(M, M, axes=((0,), (1,))),
        ValueError,
        r"^tensordot: .*\(2, 3\).*differ in length",
    ),
    ("outer", lambda: ad.outer(M, X), ValueError, r"^outer: shapes \(2, 3\) and \(2,\); expected two vectors.*ad\.ravel"),
    ("einsum's count", lambda: ad.einsum("ij,jk->ik", M), ValueError, r"^einsum: 'ij,jk->ik' speaks of 2 operands, got 1"),
    ("einsum's axes", lambda: ad.einsum("ij,j->i", X, X), ValueError, r"^einsum: 'ij'.*names 2 axes, the operand has 1"),
    ("einsum's lengths", lambda: ad.einsum("ij,j->i", M, X), ValueError, r"^einsum: letter 'j'.*lengths 3 and 2"),
    ("einsum's output", lambda: ad.einsum("ij->ik", M), ValueError, r"^einsum: output 'ik'.*each letter"),
    ("einsum's letters", lambda: ad.einsum("i1->i", M), ValueError, r"^einsum: 'i1'.*expected letters"),
    ("einsum without a formula", lambda: ad.einsum(M, M), TypeError, r"^einsum: .*(ndarray|formula|subscripts).*str"),
    ("solve's matrix", lambda: ad.solve(M, X), ValueError, r"^solve: a has shape \(2, 3\); expected square matrices"),
    (
        "solve's right side",
        lambda: ad.solve(S, np.ones(3)),
        ValueError,
        r"^solve: b has shape \(3,\); with a of shape \(2, 2\) expected",
    ),
    ("singular matrix", lambda: ad.solve(ad.tensor(0 * S), X), np.linalg.LinAlgError, r"[Ss]ingular"),
    ("cholesky's matrix", lambda: ad.cholesky(X), ValueError, r"^cholesky: a has shape \(2,\); expected square"),
    ("indefinite matrix", lambda: ad.cholesky(ad.tensor(-S)), np.linalg.LinAlgError, r"positive definite"),
    (
        "float index",
        lambda: ad.tensor(X)[np.array([0.0])],
        IndexError,
        r"index of dtype float64: expected integers or booleans.*astype\(int\)",
    ),
    ("number index", lambda: ad.tensor(X)[0.0], IndexError, r"index.*(float|integers)"),
    ("index too large", lambda: ad.tensor(X)[2], IndexError, r"index 2 is out of bounds"),
    ("too many indices", lambda: ad.tensor(X)[0, 0], IndexError, r"too many indices"),
    ("unknown dtype", lambda: ad.tensor(X).astype("complicated"), TypeError, r"complicated.*not understood"),
    (
        "where with one branch",
        lambda: ad.where(X > 1, ad.tensor(X)),
        TypeError,
        r"where\(\) missing 1 required positional argument: 'y'",
    ),
    # trees
    (
        "tree.map's keys",
        lambda: ad.tree.map(lambda a, b: a, {"a": X}, {"b": X}),
        ValueError,
        r"^tree 2: structure differs.*`tree 1`.*dict\(a.*dict\(b",
    ),
    (
        "tree.map inside",
        lambda: ad.tree.map(lambda a, b: a, {"a": [X, X]}, {"a": [X]}),
        ValueError,
        r"`tree 1\['a'\]`: expected list",
    ),
    (
        "tree.map's classes",
        lambda: ad.tree.map(lambda a, b: a, Layer(X), {"w": X}),
        ValueError,
        r"expected Layer\(w: \*\), got dict\(w: \*\)",
    ),
    (
        "unravel's length",
        lambda: ad.tree.ravel({"a": X})[1](np.ones(3)),
        ValueError,
        r"^unravel: expected a vector of shape \(2,\), got \(3,\)",
    ),
    ("unravel's axes", lambda: ad.tree.ravel({"a": X})[1](np.ones((1, 2))), ValueError, r"^unravel: .*\(2,\), got \(1, 2\)"),
    ("unravel of a list", lambda: ad.tree.ravel({"a": X})[1]([1.0, 2.0]), TypeError, r"^unravel: .*list.*array"),
]


@pytest.mark.parametrize(("run", "error", "message"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_bad_input(run: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        run()
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)


def test_there_are_many_cases_with_distinct_names() -> None:
    assert len({row[0] for row in CASES}) == len(CASES) >= 35


def test_messages_name_the_tree_path_as_python_writes_it() -> None:
    tree = {"layers": [Layer(X), Layer((X, {"deep": np.arange(2)}))]}
    with pytest.raises(TypeError, match=r"argument 0\['layers'\]\[1\]\.w\[1\]\['deep'\] has dtype int"):
        ad.grad(lambda t: 0.0)(tree)


def test_an_error_in_the_users_function_comes_through_unchanged() -> None:
    def broken(x: Any) -> Any:
        raise KeyError("mine")

    for run in (ad.grad(broken), ad.jacobian(broken), ad.checkpoint(broken), lambda x: ad.jvp(broken, (x,), (x,))):
        with pytest.raises(KeyError, match=r"^'mine'$"):
            run(1.0)


def test_an_error_inside_a_transform_leaves_recording_as_it_was() -> None:
    def broken(x: Any) -> Any:
        raise KeyError

    with ad.no_grad(), pytest.raises(KeyError):
        ad.grad(broken)(1.0)
    assert (ad.tensor(1.0) * 2.0).node is not None
