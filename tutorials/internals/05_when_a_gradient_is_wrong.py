# %% [markdown]
# # When a gradient is wrong
#
# A wrong gradient raises no error. Training goes on, the loss falls, less than it might. This page has one
# mistake of each sort, made on purpose, and the tool that finds it: a check against differences, the Taylor
# table, the reverse walk step by step, the search for the first infinity. And it has the two cases in which
# the check complains about a gradient that is right.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models
from tinyad.report import PALETTE, keep, tidy

rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. A rule with a term missing
#
# Softmax, $y_i = e^{x_i} / \sum_j e^{x_j}$, with a rule by hand. From $\partial y_i / \partial x_i =
# y_i (1 - y_i)$ somebody concludes that the cotangent is $g \odot y \odot (1 - y)$. (Let us not look at the
# other derivatives, $\partial y_i / \partial x_j = -y_i y_j$.)


# %%
def plain_softmax(x):
    shifted = ad.exp(x - ad.max(x, axis=-1, keepdims=True))
    return shifted / ad.sum(shifted, axis=-1, keepdims=True)


@ad.custom_vjp
def softmax(x):
    return plain_softmax(x)


def forward(x):
    y = plain_softmax(x)
    return y, y


softmax.defvjp(forward, lambda y, g: (g * y * (1.0 - y),))

# %% [markdown]
# A classifier of points in the plane that uses it, with least squares between softmax and class:

# %%
data = models.peaks(300)
onehot = np.eye(data.classes)[data.y]


def loss_with(softmax):
    def loss(params):
        hidden = ad.tanh(data.x @ params["K"] + params["b"])
        return ad.sum((softmax(hidden @ params["W"]) - onehot) ** 2) / len(data)

    return loss


start = {
    "K": rng.standard_normal((data.x.shape[1], 20)),
    "b": np.zeros(20),
    "W": 0.1 * rng.standard_normal((20, data.classes)),
}
STEPS = 300
curves = {}
for name, function in (("right", plain_softmax), ("wrong", softmax)):
    params, curves[name] = start, []
    descend = ad.value_and_grad(loss_with(function))
    for _ in range(STEPS):
        value, g = descend(params)
        curves[name].append(float(value))
        params = ad.tree.map(lambda p, q: p - 0.5 * q, params, g)
    print(f"{name}: loss {curves[name][0]:.3f} at first, {curves[name][-1]:.3f} after {STEPS} steps")

# %% [markdown]
# Both learn, and the wrong one keeps up well. It goes to a place that is no minimum of the loss, but no curve
# will ever say so; one would try other step sizes for a week. So: **check first.**
#
# ## 2. The check
#
# `ad.check` compares every entry of the Jacobian with differences of the function. It works in float64,
# chooses the step and knows how far each difference can be trusted, so there is no tolerance to play with.

# %%
x = rng.standard_normal(4)
report = ad.check(softmax, x, raises=False)
print(report)

# %% [markdown]
# It names entries: `d out[1] / d in[0]` is zero and should not be. All wrong entries lie off the diagonal,
# which is as good as the answer. In a test, leave `raises=False` away: a wrong gradient is then an
# `AssertionError` with this text.
#
# ## 3. The Taylor table
#
# The check of the lecture room, with nothing hidden. Along a direction $d$,
#
# $$E_0(h) = |f(x + h d) - f(x)| = O(h), \qquad
#   E_1(h) = |f(x + h d) - f(x) - h \langle g, d \rangle| = O(h^2),$$
#
# if $g$ is the gradient. If not, $E_1$ keeps a part that is linear in $h$. With each row $h$ is divided by 4,
# so $E_0$ must fall by 4 and $E_1$ by 16; the columns *order* show the logarithm of it. No tolerance here
# either: **2.00 is right, 1.00 is wrong.**

# %%
losses = {"right": loss_with(plain_softmax), "wrong": loss_with(softmax)}
tables = {name: ad.taylor_table(loss, start, orders=1) for name, loss in losses.items()}
print(tables["wrong"])

figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
for (name, table), each in zip(tables.items(), axes, strict=True):
    table.plot(ax=each)
    tidy(each, "step h", "remainder", f"{name} gradient: {'passed' if table.passed else 'FAILED'}")
keep(figure, "05_taylor_tables")

# %% [markdown]
# At the smallest steps the remainder of the right gradient is nothing but roundoff, some $10^{-16}$ of the
# function's value. The table shows those rows, but no order for them.
#
# ## 4. The walk, step by step
#
# Check and table say *that* a gradient is wrong. Where, in a function of many steps? `ad.show` prints the
# walk. It is best asked for a small case.


# %%
def small(x):
    return -ad.log(softmax(x)[0])


shown = ad.show(small, np.array([1.0, 0.0, -1.0]), backward=True)

# %% [markdown]
# Now think of something that must hold. Softmax does not change if a constant is added to all $x_i$. So what
# it hands to $x$ must add up to zero, whatever it receives. The step of `custom_vjp(softmax)` receives one
# number that is not zero, and two zeros; it hands on the same, times something, and that does not add up to
# zero. That is the line.
#
# Where nothing comes to mind, let numbers decide. A step is right if what it hands on is what differences of
# *that step alone* would: run `ad.check` on the pieces. The steps hold their cotangents for further use:

# %%
handed = {
    step.row.operation: [each.cotangent for each in step.contributions if each.cotangent is not None]
    for step in shown.steps
}
(to_x,) = handed["custom_vjp(softmax)"]
print("handed to x:", to_x, "which adds up to", to_x.sum() + 0.0)

mended = ad.custom_vjp(plain_softmax)
mended.defvjp(forward, lambda y, g: (y * (g - ad.sum(g * y, axis=-1, keepdims=True)),))
print(ad.check(mended, x))
(to_x,) = ad.grad(lambda x: -ad.log(mended(x)[0]))(np.array([1.0, 0.0, -1.0])).sum(keepdims=True)
print("after mending it adds up to", round(float(to_x), 15))

# %% [markdown]
# ## 5. A gradient that is not there
#
# The most silent mistake is to leave the tape. `float(x)`, `x.array`, `np.asarray` and what is computed under
# `no_grad` give values without a place on it. The derivative by them is zero, or, if it is all there is,
# tinyad refuses: *the output does not depend on the input*. If only a part is lost, the tape shows it.


# %%
def normalised(x):
    length = float(ad.norm(x))  # a Python number: a constant from here on
    return ad.sum(x / length)


lost = ad.show(normalised, np.array([3.0, 4.0]), backward=True)

# %% [markdown]
# There is no `norm` on the tape, and the division is by `5.0`. An operand that shows up as a constant and
# should not be one is a place where the tape was left.
#
# `ad.check` finds it as well, because the differences see what the function does with all of $x$.

# %%
report_of_lost = ad.check(normalised, np.array([3.0, 4.0]), raises=False)
print(report_of_lost)

# %% [markdown]
# ## 6. Infinity and NaN
#
# The length of a vector, $\sqrt{\sum x_i^2}$, has no derivative at zero. Written out, its rule divides by
# zero: the root's derivative is infinite, that of the square is zero, and infinity times zero is NaN. One row
# of zeros in the data, and all weights are NaN after a step. `detect_anomaly` stops at the operation that
# turned a finite cotangent into one that is not, and names *its* line:


# %%
def lengths(rows):
    squares = ad.sum(rows * rows, axis=1)
    return ad.sum(ad.sqrt(squares))


rows = np.array([[3.0, 4.0], [0.0, 0.0]])
try:
    with ad.detect_anomaly():
        ad.grad(lengths)(rows)
    message = ""
except FloatingPointError as error:
    message = str(error)
print(message)

# %% [markdown]
# `ad.show` does not stop, and shows how the NaN comes about, two steps further down, at the
# product: infinity times zero.

# %%
broken = ad.show(lengths, rows, backward=True)
print("\ngradient:\n", broken.gradients["rows"])

# %% [markdown]
# The usual cure is a trap: `where(squares > 0, sqrt(squares), 0.0)` chooses the right *value*, and in most
# libraries the derivative is still NaN, because both branches are differentiated, and zero times infinity is
# not zero. In tinyad a cotangent of zero that comes out of `where` stays zero. `ad.norm` needs no cure: its
# derivative at zero is zero by definition.

# %%
cured = lambda rows: ad.sum(
    ad.where(ad.sum(rows * rows, axis=1) > 0, ad.sqrt(ad.sum(rows * rows, axis=1)), 0.0)
)
print(ad.grad(cured)(rows)[1], ad.grad(lambda rows: ad.sum(ad.norm(rows, axis=1)))(rows)[1])

# %% [markdown]
# ## 7. When the check is wrong: noise
#
# A difference quotient has two errors. The formula is off by a power of the step $h$; and the function's
# values are rounded, which is divided by $h$. In float32 values have seven digits. At the best step five or
# six of them are left in the quotient, at a step that would suit float64 none, and the best step differs from
# function to function.


# %%
def slope_by_differences(dtype, h):
    """(f(x + h) - f(x - h)) / 2h for f = exp, at 1, in the precision given."""
    at, step = dtype(1.0), dtype(h)
    return float((np.exp(at + step) - np.exp(at - step)) / (dtype(2.0) * step))


steps = 10.0 ** -np.arange(0.0, 9.0, 0.25)
figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
best = {}
for dtype, colour in ((np.float32, PALETTE["second"]), (np.float64, PALETTE["first"])):
    errors = np.array([abs(slope_by_differences(dtype, h) / np.e - 1.0) for h in steps])
    best[dtype] = errors.min()
    axes.loglog(steps, errors, "o-", markersize=3, color=colour, label=f"{dtype.__name__} differences")
by_rule = abs(float(ad.grad(ad.exp)(np.float32(1.0))) / np.e - 1.0)
axes.axhline(max(by_rule, 1e-9), color=PALETTE["third"], label="tinyad, in float32")
tidy(axes, "step h", "relative error", "The derivative of exp at 1")
axes.legend(frameon=False, fontsize="small")
keep(figure, "05_noise")
print({dtype.__name__: f"{error:.0e}" for dtype, error in best.items()}, f"rule in float32: {by_rule:.0e}")

# %% [markdown]
# So the derivative from the rule is better than the differences it is compared with, and a check in float32
# fails for right gradients, or passes for wrong ones if one has widened its tolerance until it passes.
# `ad.check` evaluates the function in float64 whatever it is given, and then asks whether the rule's float32
# result is off by more than rounding.

# %%
single = ad.check(lambda x: ad.sum(ad.exp(x) * x), rng.standard_normal(5).astype(np.float32))
print(single)

# %% [markdown]
# ## 8. When the check is wrong: kinks
#
# At $0$ the function $|x|$ has two slopes, and any number between them may be called a derivative (a
# *subgradient*): tinyad says 0. Differences give the mean of the slopes, or anything, depending on the step.
# A checker that does not know about kinks reports an error once in a while, for data that happen to lie
# near one. `ad.check` looks at the slopes on either side, and accepts what lies between them.

# %%
kink = ad.check(lambda x: ad.sum(ad.relu(x)), np.array([-1.0, 0.0, 2.0]))
print(kink)
print(ad.taylor_table(lambda x: ad.sum(abs(x)), np.array([0.0, 1.0]), orders=1).passed)

# %% [markdown]
# The Taylor table fails there, and cannot do otherwise: the order of $E_1$ is 1, with any gradient. So a
# table that fails is a reason to ask whether the point is a kink. Move it a little and try again.
#
# ## 9. In short
#
# | what you see | what to do |
# |---|---|
# | anything new: a rule, a loss, a layer | `ad.check(f, x)` on small arrays without symmetry, in a test |
# | is it the gradient at all? | `ad.taylor_table(loss, params)`: order 2 or 1 |
# | wrong, and not clear where | `ad.check` on the parts; `ad.show(f, x, backward=True)` on a small case |
# | zero, or too small | `ad.show`: is an operand a constant that should not be? |
# | NaN or infinity | `with ad.detect_anomaly():` for the line; `ad.show` for how |
# | wrong in float32 alone | differences are noise there; `ad.check` separates the two |
# | wrong now and then | a kink; check away from it |

# %%
assert all(curve[-1] < 0.8 * curve[0] for curve in curves.values())
assert not report and not report_of_lost and single and kink
assert tables["right"].passed and not tables["wrong"].passed
assert abs(handed["custom_vjp(softmax)"][0].sum()) > 0.01 > abs(to_x)
assert "norm" not in [row.operation for row in lost.nodes] and "5.0" in [
    operand.text for row in lost.nodes for operand in row.operands
]
assert "sqrt" in message and [step.row.operation for step in broken.steps if step.breaks] == ["sqrt"]
assert np.isnan(broken.gradients["rows"][1]).all() and np.array_equal(ad.grad(cured)(rows)[1], [0.0, 0.0])
assert best[np.float64] < 1e-9 < 1e-6 < best[np.float32] and by_rule < best[np.float32]
