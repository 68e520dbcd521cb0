# %% [markdown]
# # Exercise 15: the derivative test of forward propagation
#
# A residual network moves its states by
#
# $$Y_{j+1} = Y_j + h\,\tanh(Y_j K_j + b_j), \qquad j = 0, \dots, N - 1.$$
#
# Examples are rows. Write the propagation, then its derivative in a direction: where do the last states move
# if the weights move by $\delta K, \delta b$ and the first states by $\delta Y_0$? Run the file. It says
# what is missing, and shows the Taylor remainders
#
# $$E_0(s) = |F(x + s\,d) - F(x)|, \qquad E_1(s) = |F(x + s\,d) - F(x) - s\,F'(x)\,d|.$$
#
# The first falls like $s$. The second falls like $s^2$ if the derivative is right, and like $s$ if it is not.

# %%
import sys

import numpy as np


def forward(K, b, Y, h):
    """The states after the last layer.

    Args:
        K: shape (layers, width, width).
        b: shape (layers, width).
        Y: the first states, shape (examples, width).
        h: the length of a step.
    """
    raise NotImplementedError(
        "forward: add h * tanh(Y K_j + b_j) to Y, layer by layer, and return the last Y"
    )


def derivative(K, b, Y, dK, db, dY, h):
    """How the last states move in the direction (dK, db, dY): a shape (examples, width), like the states.

    The derivative of tanh(x) is 1 - tanh(x)^2. Carry Y and dY through the layers together.
    """
    raise NotImplementedError(
        "derivative: differentiate one layer by Y_j, K_j and b_j, and sum the three parts"
    )


# %% [markdown]
# ## The check


# %%
def check(forward, derivative):
    """Print the remainders, and say whether they fall as they should."""
    random = np.random.default_rng(0)
    shapes = {"K": (5, 3, 3), "b": (5, 3), "Y": (4, 3)}
    x = {name: random.normal(size=shape) for name, shape in shapes.items()}
    d = {name: random.normal(size=shape) for name, shape in shapes.items()}
    h = 0.3

    def moved(s):
        return forward(*(x[name] + s * d[name] for name in shapes), h)

    start = moved(0.0)
    by_hand = x["Y"]
    for K, b in zip(x["K"], x["b"], strict=True):
        by_hand = by_hand + h * np.tanh(by_hand @ K + b)
    if np.shape(start) != by_hand.shape or not np.allclose(start, by_hand, rtol=1e-12):
        print("forward: its result is not what the formula gives. Look at h, and at the order of the layers.")
        return False
    slope = derivative(*x.values(), *d.values(), h)
    if np.shape(slope) != start.shape:
        print(f"derivative: returned shape {np.shape(slope)}; expected {start.shape}, that of the states.")
        return False
    steps = 2.0 ** -np.arange(2, 16)
    E0, E1 = (
        np.array([np.linalg.norm(moved(s) - start - with_slope * s * slope) for s in steps])
        for with_slope in (0, 1)
    )
    print(f"{'s':>10} {'E0':>10} order {'E1':>10} order")
    orders = [np.log2(E[:-1] / E[1:]) for E in (E0, E1)]
    for k, s in enumerate(steps):
        shown = ["" if k == 0 else f"{order[k - 1]:.2f}" for order in orders]
        print(f"{s:10.2e} {E0[k]:10.2e} {shown[0]:>5} {E1[k]:10.2e} {shown[1]:>5}")
    right = bool(np.median(orders[1][-6:]) > 1.9)
    print(
        "passed: E1 falls like s^2"
        if right
        else "not yet: E1 falls like s, so the derivative is not that of forward"
    )
    return right


# %%
if __name__ == "__main__":
    try:
        passed = check(forward, derivative)
    except NotImplementedError as error:
        print("to do:", error)
        passed = False
    sys.exit(0 if passed else 1)
