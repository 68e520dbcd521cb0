"""Examples in parts, one a thread: same results, whatever the program does with the examples."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import tinyad as ad
from tests.compiler.comparing import same
from tinyad import models
from tinyad.compiler import example_axes, parts
from tinyad.compiler.example_axes import SHARE, Move
from tinyad.compiler.parts import Parts
from tinyad.compiler.rewriting import Assembly
from tinyad.kinds import PRIMITIVES
from tinyad.program import Program

N = 12
rng = np.random.default_rng(0)
X, Y, K, L, b = (
    rng.normal(size=(N, 5)),
    rng.normal(size=(N, 4)),
    rng.normal(size=(4, 5)),
    rng.normal(size=(4, 4)),
    np.arange(4.0),
)
labels = rng.integers(4, size=N)


@pytest.fixture(autouse=True)
def every_program_is_long() -> Iterator[None]:
    with (
        patch.object(parts, "LONG", 0.0),
        patch.object(parts, "WORTH", 0.0),
        patch.object(parts, "_OF_A_SHARE", 0.0),
        patch.object(parts, "number_of_threads", lambda: 3),
    ):
        yield


def split(program: Program) -> Parts:
    (found,) = [i.operation for i in program.instructions if isinstance(i.operation, Parts)]
    return found


def names(program: Program) -> list[str]:
    return [i.name for i in program.instructions]


def cross_entropy(K: Any, L: Any, b: Any, X: Any) -> Any:
    z = ad.tanh(X @ K.T + b)
    return models.softmax_cross_entropy(z + 0.5 * ad.tanh(z @ L.T), labels)


def with_features_first(K: Any, L: Any, b: Any, X: Any) -> Any:
    z = ad.tanh(K @ X.T + b[:, None])
    return 0.5 * ad.sum((L @ z - Y.T) ** 2) / N


def of_rows(K: Any, L: Any, b: Any, X: Any) -> Any:
    z = ad.exp(-ad.abs(X @ K.T)) / (1.0 + ad.max(X, axis=1, keepdims=True) ** 2)
    weights = np.arange(N) / N  # not the same in each part
    return ad.sum(weights * ad.sum(z, axis=1)) + ad.sum(b)


def standardised(K: Any, L: Any, b: Any, X: Any) -> Any:
    """Needs sums over all examples in the middle."""
    z = X @ K.T
    z = (z - ad.mean(z, axis=0)) / ad.sqrt(ad.var(z, axis=0) + 1e-3)
    return ad.sum(ad.tanh(z @ L + b))


def of_vectors(K: Any, L: Any, b: Any, X: Any) -> Any:
    z = ad.tanh(X @ K[0])
    return z @ (X @ K[1]) + ad.sum(ad.broadcast_to(z[:, None], (N, 4)) * Y * b)


FUNCTIONS = [cross_entropy, with_features_first, of_rows, standardised, of_vectors]
ARGUMENTS = (K, L, b, X)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_values_and_derivatives_stay_the_same(f: Callable[..., Any]) -> None:
    gradient = ad.value_and_grad(f, argnums=(0, 1, 2))
    directions = (L[:, :1] * K, L @ L, b + 1.0)

    def hvp(*args: Any) -> Any:
        return ad.jvp(lambda *p: ad.grad(f, argnums=(0, 1, 2))(*p, args[3]), args[:3], directions)[1]

    for derivative in (f, gradient, hvp):
        compiled = ad.compile(derivative)
        assert split(compiled.program(*ARGUMENTS)).length > 1
        for factor in (1.0, 0.7):
            args = [factor * x for x in ARGUMENTS]
            same(compiled(*args), derivative(*args), f.__name__)


def test_parts_hold_all_but_what_all_examples_share() -> None:
    program = ad.compile(ad.grad(cross_entropy)).program(*ARGUMENTS)
    assert "tanh" not in names(program) and "exp" not in names(program)
    body = split(program).body
    assert names(body).count("tanh") == 2
    assert {x.shape for i in body.instructions for x in i.outputs if i.name == "tanh"} == {(4, 4)}, "a third of 12 examples"


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "complex64"])
def test_products_and_sums_keep_their_dtype(dtype: str) -> None:
    a, b = (np.arange(24).reshape(2, N) % 3).astype(dtype), (np.arange(24).reshape(N, 2) % 2).astype(dtype)
    f = lambda a, b: (a @ b, ad.sum(a, axis=1), a[0] @ b)
    same(ad.compile(f)(a, b), f(a, b), dtype)


def test_results_by_row_are_put_together() -> None:
    f = lambda K, X: (ad.tanh(X @ K.T), ad.tanh(K @ X.T), ad.sum(X @ K.T, axis=1))
    compiled = ad.compile(f)
    assert split(compiled.program(K, X)).length == 3
    same(compiled(K, X), f(K, X), "rows")


@pytest.mark.parametrize(("n", "length"), [(12, 3), (10, 2), (7, None)])
def test_the_number_of_parts_divides_the_number_of_examples(n: int, length: int | None) -> None:
    program = ad.compile(ad.grad(lambda K, X: ad.sum(ad.tanh(X @ K.T)))).program(
        rng.normal(size=(5, 5)), rng.normal(size=(n, 5))
    )
    found = [i.operation.length for i in program.instructions if isinstance(i.operation, Parts)]
    assert found == ([] if length is None else [length])


def test_short_programs_and_short_instructions_stay_whole() -> None:
    f = ad.grad(cross_entropy)
    with patch.object(parts, "LONG", 1e6):
        assert "parts" not in names(ad.compile(f).program(*ARGUMENTS))
    with patch.object(parts, "WORTH", 1e4):
        assert "parts" not in names(ad.compile(f).program(*ARGUMENTS))
    with patch.object(parts, "number_of_threads", lambda: 1):
        assert "parts" not in names(ad.compile(f).program(*ARGUMENTS))


def test_a_real_size_is_split_in_two() -> None:
    with (
        patch.object(parts, "LONG", 1e6),
        patch.object(parts, "WORTH", 1e4),
        patch.object(parts, "number_of_threads", lambda: 2),
    ):
        net = models.ResNet.create(0, features=64, width=64, classes=10, depth=4)
        step = ad.value_and_grad(lambda net, x, y: models.softmax_cross_entropy(net(x), y))
        small, large = ((ad.zeros((n, 64), "float32") + np.float32(0.1), np.zeros(n, int)) for n in (64, 2048))
        assert "parts" not in names(ad.compile(step).program(net, *small))
        program = ad.compile(step).program(net, *large)
        assert split(program).length == 2 and "tanh" not in names(program)


def test_donated_arrays_are_overwritten_after_all_parts() -> None:
    def step(p: Any, X: Any) -> Any:
        return p - 0.1 * ad.grad(lambda p: ad.sum(ad.tanh(X @ p.T) ** 2))(p)

    compiled = ad.compile(step, donate="p")
    expected = step(step(K, X), X)
    same(compiled(compiled(K.copy(), X), X), expected, "donated")


def test_a_check_of_the_gradient_comes_before_donated_arrays_change() -> None:
    def step(p: Any, decay: Any, X: Any) -> Any:
        g = ad.grad(lambda p: ad.sum(ad.sqrt(X @ p.T)))(p)
        ad.require(ad.all(ad.isfinite(g)), "not finite")
        return p - g, 0.9 * decay

    compiled = ad.compile(step, donate=("p", "decay"))
    p, decay = np.abs(K), np.ones((5, 5))
    assert split(compiled.program(p, decay, np.abs(X)))
    with pytest.raises(ValueError, match="not finite"):
        compiled(p, decay, np.zeros_like(X))
    np.testing.assert_array_equal(p, np.abs(K))
    np.testing.assert_array_equal(decay, np.ones((5, 5)))


def test_random_numbers_are_drawn_in_order() -> None:
    def f(K: Any, X: Any, generator: Any) -> Any:
        z = X @ K.T + generator.normal(size=(N, 4))
        total = ad.sum(ad.tanh(z))
        late = generator.normal(size=(3,)) * total
        return total + ad.sum(ad.sin(X) * generator.normal(size=(N, 5))), late, generator.normal(size=2)

    compiled = ad.compile(f)
    found, expected = (each(K, X, np.random.default_rng(3)) for each in (compiled, f))
    same(found, expected, "draws")


# ---- the text


def test_the_source_says_what_a_thread_does() -> None:
    text = ad.compile(ad.grad(cross_entropy)).source(*ARGUMENTS)
    assert "def make_part():  # for one thread" in text and "parts = [make_part() for _ in range(3)]" in text
    assert text.index("# forward") < text.index("# backward") < text.index("return part\n") < text.index("in_threads(parts, ")


def test_a_saved_program_runs_with_numpy_alone(tmp_path: Path) -> None:
    gradient = ad.grad(cross_entropy, argnums=(0, 1, 2))
    compiled = ad.compile(gradient)
    compiled.save(tmp_path / "saved.py", *ARGUMENTS)
    np.savez(tmp_path / "given.npz", K=K, L=L, b=b, X=X, **dict(zip(["dK", "dL", "db"], gradient(*ARGUMENTS), strict=True)))
    script = """
import sys
sys.modules["tinyad"] = sys.modules["threadpoolctl"] = None
import numpy as np, saved
x = np.load("given.npz")
for _ in range(3):
    for found, name in zip(saved.gradient_of_cross_entropy(x["K"], x["L"], x["b"], x["X"]), ["dK", "dL", "db"]):
        np.testing.assert_allclose(found, x[name], rtol=1e-12, atol=1e-12)
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)


def test_names_of_the_threads_text_are_not_taken() -> None:
    text = ad.compile(lambda wait, cache: ad.sum(ad.tanh(wait @ cache))).source(X, K.T)
    assert "def program(wait__0, cache__0):" in text


# ---- threads


def test_a_warning_in_a_part_obeys_the_callers_settings() -> None:
    compiled = ad.compile(lambda K, X: ad.sum(ad.log(X @ K.T)))
    assert split(compiled.program(K, X))
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        compiled(K, X)
    with np.errstate(all="ignore"):
        assert np.isnan(compiled(K, X))


def test_two_callers_at_once_get_their_own_results() -> None:
    compiled = ad.compile(ad.grad(with_features_first))
    expected = {k: ad.grad(with_features_first)(k * K, L, b, X) for k in (1.0, 2.0)}
    wrong: list[float] = []

    def call(k: float) -> None:
        for _ in range(50):
            if not np.allclose(compiled(k * K, L, b, X), expected[k], rtol=1e-12, atol=1e-12):
                wrong.append(k)

    callers = [threading.Thread(target=call, args=(k,)) for k in expected]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_products_too_small_for_threads_get_one() -> None:
    for n, small in ((16, False), (64, True), (512, False)):
        with patch.object(parts, "LONG", np.inf):
            text = ad.compile(lambda a, b: a @ b).source(np.ones((n, n)), np.ones((n, n)))
        assert ("@one_thread_a_product()" in text) == small


# ---- that these tests can fail


def largest_share(right: Any) -> Any:
    def put_together(self: Any, x: Any, stack: Any, made: Assembly) -> None:
        right(self, x, stack, made)
        if self.axis[x] == SHARE:
            made.instructions[-1].operation = PRIMITIVES["max"]

    return put_together


def shared_maximum(right: Any) -> Any:
    return lambda i, known, count: right(i, known, count) or Move(known, SHARE, i.params)


MUTANTS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "shares are not added": (parts._Cut, "_put_together", largest_share),
    "examples are not counted from 0 in each part": (example_axes, "COUNT", lambda right: 0),
    "a maximum over examples taken for a sum": (example_axes.RULES, "max", shared_maximum),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_cut_is_noticed(name: str) -> None:
    where, attribute, wrong = MUTANTS[name]
    if isinstance(where, dict):
        changed: Any = patch.dict(where, {attribute: wrong(where[attribute])})
    else:
        changed = patch.object(where, attribute, wrong(getattr(where, attribute)))
    with changed, pytest.raises((AssertionError, IndexError)):
        for f in (*FUNCTIONS, lambda K, L, b, X: ad.max(X @ K.T, axis=0)):
            same(ad.compile(f)(*ARGUMENTS), f(*ARGUMENTS), name)
