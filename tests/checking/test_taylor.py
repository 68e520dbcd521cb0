"""The Taylor table passes right gradients and Hessian products, fails wrong ones, and can be read."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

import tinyad as ad
from tinyad.checking import taylor_table

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=5)
A = RANDOM.normal(size=(5, 5))
B = RANDOM.normal(size=5)


def logsumexp(x):
    return np.log(np.sum(np.exp(x)))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


# name: function, its gradient
RIGHT = {
    "constant": (lambda x: 0 * x.sum() + 3.0, lambda x: 0 * x),
    "linear": (lambda x: B @ x, lambda x: B),
    "quadratic": (lambda x: x @ (A @ x), lambda x: (A + A.T) @ x),
    "cubic": (lambda x: np.sum(x**3), lambda x: 3 * x**2),
    "logsumexp": (logsumexp, softmax),
    "reciprocal": (lambda x: np.sum(1 / x), lambda x: -1 / x**2),
    "norm": (lambda x: np.sqrt(np.sum(x**2)), lambda x: x / np.linalg.norm(x)),
    "large": (lambda x: 1e8 * logsumexp(x), lambda x: 1e8 * softmax(x)),
    "small": (lambda x: 1e-8 * logsumexp(x), lambda x: 1e-8 * softmax(x)),
    "offset": (lambda x: 1e4 + logsumexp(x), softmax),
    "oscillating": (lambda x: np.sum(np.sin(30 * x)), lambda x: 30 * np.cos(30 * x)),
    "absolute value": (lambda x: np.sum(np.abs(x)), np.sign),
}


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass(name, scale):
    f, gradient = RIGHT[name]

    def scaled(x):
        return f(x / scale)

    for seed in range(3):
        assert taylor_table(scaled, scale * X, gradient=lambda x: gradient(x / scale) / scale, seed=seed)


@pytest.mark.parametrize("name", RIGHT)
def test_tinyads_own_derivatives_pass(name):
    assert taylor_table(RIGHT[name][0], X)


@pytest.mark.parametrize("name", set(RIGHT) - {"constant"})
@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 2.0, 1 + 1e-3])
def test_wrong_gradients_fail(name, factor):
    f, gradient = RIGHT[name]
    table = taylor_table(f, X, gradient=lambda x: factor * gradient(x))
    assert not table
    last_of_e1 = table.orders[np.isfinite(table.orders[:, 1]), 1][-1]
    assert last_of_e1 == pytest.approx(1.0, abs=0.1)


def test_a_gradient_that_is_nan_fails():
    assert not taylor_table(logsumexp, X, gradient=np.full(5, np.nan))
    assert not taylor_table(RIGHT["linear"][0], X, gradient=lambda x: np.nan * x)


def test_one_wrong_entry_fails():
    wrong = softmax(X)
    wrong[3] *= 1.3
    assert taylor_table(logsumexp, X, gradient=softmax(X))
    assert not taylor_table(logsumexp, X, gradient=wrong)


def test_a_wrong_hessian_fails_where_the_gradient_is_right():
    @ad.custom_vjp
    def cube(x):
        return x**3

    # right once, but the rule hides from the second derivative that it depends on x
    cube.defvjp(lambda x: (x**3, x), lambda x, g: (g * 3 * ad.stop_gradient(x) ** 2,))
    table = taylor_table(lambda x: ad.sum(cube(x)), X)
    assert not table
    assert taylor_table(lambda x: ad.sum(cube(x)), X, orders=1)
    assert np.nanmedian(table.orders[:6, 1]) == pytest.approx(2.0, abs=0.1)
    assert np.nanmedian(table.orders[4:8, 2]) == pytest.approx(2.0, abs=0.1)


def test_the_columns_are_the_remainders():
    f, direction = RIGHT["cubic"][0], np.ones(5)
    table = taylor_table(f, X, direction=direction)
    assert table.columns == ("h", "E0", "E1", "E2")
    assert table.rows.shape == (14, 4)
    assert table.orders.shape == (13, 3)
    h, e0, e1, e2 = table.rows[2]
    assert h == 1 / 16
    assert e0 == pytest.approx(abs(f(X + h * direction) - f(X)), rel=1e-12)
    assert e1 == pytest.approx(abs(h**2 * 3 * X.sum() + 5 * h**3), rel=1e-9)
    assert e2 == pytest.approx(5 * h**3, rel=1e-9)
    assert np.allclose(table.orders[:4, 2], 3.0)


def test_remainders_at_roundoff_have_no_order():
    linear = taylor_table(RIGHT["linear"][0], X)
    assert np.isnan(linear.orders[:, 1:]).all()
    assert np.allclose(linear.orders[:8, 0], 1.0)


def test_a_remainder_that_falls_into_roundoff_at_once_is_marked():
    table = taylor_table(lambda x: np.sum(np.abs(x)), np.array([0.3]), np.array([-1.0]), gradient=np.sign)
    assert np.isinf(table.orders[:, 1]).any()
    assert table


def test_noise_far_above_the_rounding_unit_of_float64_is_not_judged():
    def noisy(x):
        return np.float64(logsumexp(x.astype(np.float32)))

    passed = [bool(taylor_table(noisy, X, gradient=softmax, seed=seed)) for seed in range(20)]
    assert all(passed)
    assert not taylor_table(noisy, X, gradient=lambda x: 1.1 * softmax(x))


def test_at_a_kink_no_gradient_has_second_order():
    assert not taylor_table(lambda x: np.sum(np.abs(x)), np.zeros(2), np.ones(2), gradient=np.sign)


def test_float32_is_evaluated_in_float64():
    def f(x):
        assert x.dtype == np.float64
        return logsumexp(x)

    x = X.astype(np.float32)
    table = taylor_table(f, x, gradient=lambda x: np.float32(1) * softmax(x))
    assert table
    assert table.rows[8, 2] < 1e-9
    assert x.dtype == np.float32


def test_the_argument_may_be_a_tree_with_leaves_that_are_held_fixed():
    @dataclass
    class Model:
        w: np.ndarray
        b: list
        steps: np.ndarray

    model = Model(A, [B, 0.5], np.array([1, 2]))

    def f(model):
        assert model.steps.dtype.kind == "i"
        return ad.sum(ad.tanh(model.w @ X + model.b[0]) ** 2) * model.b[1]

    assert taylor_table(f, model)

    def gradient(model):
        t = np.tanh(model.w @ X + model.b[0])
        back = 2 * t * (1 - t**2) * model.b[1]
        return Model(np.outer(back, X), [back, np.sum(t**2)], model.steps)

    assert taylor_table(f, model, gradient=gradient)
    assert taylor_table(f, model, direction=gradient(model))
    one = gradient(model)
    one.w[2, 3] = 0.0
    assert not taylor_table(f, model, gradient=one)


def test_the_value_of_a_gradient_has_no_second_order():
    assert taylor_table(logsumexp, X, gradient=softmax(X)).columns == ("h", "E0", "E1")
    assert taylor_table(logsumexp, X, gradient=softmax, orders=1).columns == ("h", "E0", "E1")


def test_seeds_choose_the_direction():
    first, again, other = (taylor_table(logsumexp, X, seed=seed).rows for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first[:, 1] != other[:, 1]).all()


def test_the_point_stays_as_it_is_even_if_f_writes_into_it():
    x = X.copy()

    def f(x):
        x += 1
        return logsumexp(x)

    assert taylor_table(f, x, gradient=softmax)
    assert (x == X).all()


def test_the_text_shows_remainders_and_orders():
    text = str(taylor_table(logsumexp, X))
    lines = text.splitlines()
    assert lines[0] == "Taylor table: passed   (expected orders: E0 1, E1 2, E2 3)"
    assert lines[1].split() == ["h", "E0", "order", "E1", "order", "E2", "order"]
    assert lines[2].split()[0] == "1.00e+00"
    assert [float(cell) for cell in lines[5].split()[2::2]] == pytest.approx([1, 2, 3], abs=0.1)
    assert len(lines) == 16
    failed = str(taylor_table(logsumexp, X, gradient=lambda x: 2 * softmax(x)))
    assert failed.startswith("Taylor table: FAILED")
    assert "means a wrong derivative (E1: the\ngradient" in failed


def test_plot(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table = taylor_table(logsumexp, X)
    axes = table.plot(tmp_path / "table.png")
    assert (tmp_path / "table.png").stat().st_size > 0
    assert [line.get_label() for line in axes.lines] == ["E0", "slope 1", "E1", "slope 2", "E2", "slope 3"]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert table.plot(ax=axes) is axes
    taylor_table(lambda x: 0 * x.sum(), X).plot(ax=axes)  # nothing but zeros to draw
    plt.close("all")


def test_plot_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"tinyad\[plot\]"):
        taylor_table(logsumexp, X).plot()


def test_errors_name_the_argument_what_was_given_and_the_remedy():
    with pytest.raises(ValueError, match=r"f returned an array of shape \(5,\); expected a scalar. Reduce it"):
        taylor_table(np.exp, X)
    with pytest.raises(TypeError, match=r"f returned a Python NoneType.* Does f lack a return"):
        taylor_table(lambda x: None, X)
    with pytest.raises(TypeError, match=r"hold no floats, but int64 of shape \(2,\).*dtype=float"):
        taylor_table(np.sum, np.array([1, 2]))
    with pytest.raises(ValueError, match=r"direction has shape \(4,\); expected \(5,\), the shape of x"):
        taylor_table(logsumexp, X, direction=np.ones(4))
    with pytest.raises(ValueError, match=r"gradient has shape \(5, 1\); expected \(5,\)"):
        taylor_table(logsumexp, X, gradient=lambda x: x[:, None])
    with pytest.raises(ValueError, match="direction: structure differs from that of x"):
        taylor_table(lambda p: np.sum(p["w"]), {"w": X}, direction={"v": X})
    with pytest.raises(ValueError, match=r"direction\['w'\] has shape \(1,\); expected \(5,\), the shape of x\['w'\]"):
        taylor_table(lambda p: np.sum(p["w"]), {"w": X}, direction={"w": np.ones(1)})
    with pytest.raises(ValueError, match="orders is 3; expected 1"):
        taylor_table(logsumexp, X, orders=3)
    with pytest.raises(ValueError, match=r"input 0\[0\] is nan; expected finite"):
        taylor_table(np.sum, np.array([np.nan]))
    with pytest.raises(ValueError, match=r"f\(x\) is inf; expected finite"):
        taylor_table(lambda x: np.sum(x) * np.inf, np.ones(1))
    with pytest.raises(TypeError, match="f is a Python float; expected a function"):
        taylor_table(1.0, X)
