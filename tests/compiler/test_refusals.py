"""What `compile` refuses: with the user's line and the remedy, at the first call."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tests.compiler.comparing import same, unchanged
from tests.compiler.counting import Counted, called, traces
from tests.engine.updates import assign_in_place, assign_number, assign_row

x3 = np.array([0.3, -1.2, 2.0])


def _if(x: Any) -> Any:
    if x[0] > 0:
        return x
    return -x


def _while(x: Any) -> Any:
    while ad.sum(x) > 1.0:
        x = 0.5 * x
    return x


def _and(x: Any) -> Any:
    return x if (x[0] > 0) and (x[1] > 0) else -x


def _assignment(x: Any) -> Any:
    x[0] = 1.0
    return x


def _add_to_argument(x: Any) -> Any:
    x += 1.0
    return x


def _scale_argument(x: Any) -> Any:
    x *= x
    return x


def _add_to_viewed(x: Any) -> Any:
    y = 2.0 * x
    part = y[1:]
    y += 1.0
    return part


def _add_to_view(x: Any) -> Any:
    y = 2.0 * x
    part = y[1:]
    part -= 1.0
    return y


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "if": (_if, "used as a condition, as in `if`, `while`, `and`.*if x[0] > 0:.*Choose elementwise with ad.where"),
    "while": (_while, "used as a condition.*while ad.sum(x) > 1.0:.*ad.where, or declare the argument it comes from static"),
    "and": (_and, "used as a condition.*return x if (x[0] > 0) and (x[1] > 0) else -x"),
    "assert": (lambda x: _asserting(x), "used as a condition.*assert (x > 0).all()"),
    "max of Python": (lambda x: max(x[0], x[1]), "used as a condition.*max(x[0], x[1])"),
    "sorted": (lambda x: sorted(x), "used as a condition"),
    "in": (lambda x: 1.0 in [x[0]], "used as a condition"),
    "float": (lambda x: float(x[0]), "used as a Python float.*float(x[0]).*Keep it an array"),
    "math": (
        lambda x: __import__("math").sin(x[0]),
        "used as a Python float.*use ad.sqrt, ad.exp, ... instead of those of math",
    ),
    "int": (lambda x: int(x[0]), "used as a Python int.*Keep it an array, for instance with .astype(int)"),
    "bool": (lambda x: bool(x[0]), "used as a condition"),
    "complex": (lambda x: complex(x[0]), "used as a Python complex number"),
    "item": (lambda x: x[0].item(), "used as a Python number, by .item()"),
    "tolist": (lambda x: x.tolist(), "used as a list, by .tolist()"),
    "asarray": (lambda x: np.asarray(x), "used as a plain NumPy array"),
    "index of a list": (lambda x: [1, 2, 3][ad.argmax(x)], "used as a Python integer.*ad.stack(items)[i]"),
    "index of a plain array": (lambda x: np.arange(3)[ad.argmax(x)], "used as a Python integer.*ad.asarray(a)[i]"),
    "range": (lambda x: [x for _ in range(ad.argmax(x))], "used as a Python integer.*the end of a slice or range, a length"),
    "slice": (lambda x: x[: ad.argmax(x)], "used as a Python integer"),
    "length": (lambda x: ad.zeros(3).array[: ad.argmax(x)], "used as a Python integer"),
    "mask": (
        lambda x: x[x > 0],
        "as a mask to pick elements with: how many are picked depends on the values.*ad.where(mask, x, 0)",
    ),
    "nonzero": (lambda x: np.nonzero(x), "used as an operand of np.nonzero.*How many elements it gives depends on the values"),
    "unique": (lambda x: np.unique(x), "used as an operand of np.unique.*How many elements it gives"),
    "assignment": (_assignment, "would change an argument of the function.*x[0] = 1.0.*x = x.copy()"),
    "element into a captured array": (
        assign_number,
        "used as a Python float.*a[0] = x[0].*instead of assigning into plain ones",
    ),
    "row into a captured array": (
        assign_row,
        "used as a plain NumPy array.*a[1] = x.*instead of assigning into plain ones",
    ),
    "+= on a captured array": (assign_in_place, "written into a plain array (by +=, or out=).*a += x.*a = a + x"),
    "out=": (lambda x: np.sin(x, out=np.zeros(3)), "written into a plain array (by +=, or out=)"),
    "+= on an argument": (_add_to_argument, "`x += y` would change an argument.*x += 1.0.*x = x + y"),
    "*= on an argument": (_scale_argument, "`x *= y` would change an argument of the function, which belongs to the caller"),
    "+= where there is a view": (_add_to_viewed, "`x += y` would change an array together with views.*y += 1.0"),
    "-= on a view": (_add_to_view, "`x -= y` would change an array together with views.*part -= 1.0"),
    "a pullback": (lambda x: ad.vjp(ad.sin, x), "returned result[1], a function, which is no tree of arrays. Return arrays"),
    "a set": (lambda x: {"a": {x}}, "returned result['a'], a set, which is no tree of arrays"),
    "an object": (lambda x: Counted(lambda: x), "returned result, a Counted, which is no tree of arrays"),
    "a generator": (lambda x: (y for y in x), "returned result, a generator, which is no tree of arrays"),
}


def _asserting(x: Any) -> Any:
    assert (x > 0).all()
    return x


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    """With the user's line and the remedy, at the first call; and the argument is as it was."""
    f, message = REFUSED[name]
    x = x3.copy()
    pattern = "(?s)" + ".*".join(re.escape(part) for part in message.split(".*"))
    with pytest.raises(ad.TracingError, match=pattern) as caught:
        ad.compile(f)(x)
    text = str(caught.value)
    assert text.startswith("compile: ")
    if "no tree of arrays" not in message:
        assert re.search(rf'File "[^"]*{Path(f.__code__.co_filename).name}", line \d+: \S', text), "the user's line"
    unchanged(x, x3, "the argument")


def test_a_number_that_decides_is_refused_or_static() -> None:
    f = lambda x, n: x if n > 2 else -x
    with pytest.raises(ad.TracingError, match="or declare the argument it comes from static"):
        ad.compile(f)(x3, 3)
    assert traces(f, called(x3, 3), called(x3, 1), static="n") == 2


def test_captured_tensors_of_a_derivative_are_refused() -> None:
    def outer(x: Any) -> Any:
        return ad.sum(ad.compile(lambda z: z * x)(x3))

    with pytest.raises(
        ad.TracingError, match=r"(?s)uses a recorded Tensor that it does not get as an argument.*z . x.*Pass it"
    ):
        ad.grad(outer)(x3)


def test_values_kept_after_the_trace_are_refused() -> None:
    kept: list[Any] = []
    compiled = ad.compile(lambda x: (kept.append(ad.sin(x)), ad.cos(x))[1])
    compiled(x3)
    for use in (lambda y: y + 1.0, lambda y: y.sum(), lambda y: np.exp(y), lambda y: bool(y)):
        with pytest.raises(ad.TracingError, match=r"(?s)was kept after its end and used as.*Return it"):
            use(kept[0])


def test_a_failed_trace_leaves_nothing_behind() -> None:
    switch = [True]
    compiled = ad.compile(lambda x: float(x[0]) if switch[0] else x * 2.0)
    for _ in range(2):
        with pytest.raises(ad.TracingError):
            compiled(x3)
    switch[0] = False
    same(compiled(x3), 2.0 * x3)
    same(ad.grad(lambda x: ad.sum(x * x))(x3), 2.0 * x3)


def test_errors_of_the_function_are_its_own() -> None:
    with pytest.raises(ValueError, match=r"matmul: shapes \(3,\) and \(4, 3\) do not fit"):
        ad.compile(lambda x: ad.matmul(x, np.ones((4, 3))))(x3)
    with pytest.raises(ZeroDivisionError):
        ad.compile(lambda x: x * (1 / 0))(x3)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        ad.compile(lambda x, y: x)(x3)
