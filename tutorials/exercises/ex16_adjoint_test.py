# %% [markdown]
# # Exercise 16: the adjoint test
#
# The derivative $J$ of the propagation of exercise 15 takes a direction of all weights and of the first
# states to one of the last states. Training needs its transpose: what comes to the last states, taken back
# to all weights and to the first states. No matrix is formed. Write it as one sweep through the layers from
# the last to the first.
#
# Whether it is the transpose, two numbers tell, for any $u$ and $v$:
#
# $$u^\top (J v) = v^\top (J^\top u).$$

# %%
import sys

import numpy as np

import tinyad as ad
from tinyad.checking import check_adjoint


def transpose(K, b, Y, U, h):
    """What comes to K, b and Y, for U that comes to the last states: (gK, gb, gY), shaped like these.

    Args:
        K: shape (layers, width, width).
        b: shape (layers, width).
        Y: the first states, shape (examples, width).
        U: shape (examples, width).
        h: the length of a step.
    """
    raise NotImplementedError(
        "transpose: go forward and keep all states; then go back, layer by layer, and turn products round"
    )


# %% [markdown]
# ## The check


# %%
def check(transpose):
    """Compare with the derivative by forward mode, and with tinyad's own transpose."""
    random = np.random.default_rng(0)
    x = {"K": random.normal(size=(5, 3, 3)), "b": random.normal(size=(5, 3)), "Y": random.normal(size=(4, 3))}
    h = 0.3

    def forward(x):
        Y = x["Y"]
        for j in range(5):
            Y = Y + h * ad.tanh(Y @ x["K"][j] + x["b"][j])
        return Y

    def back(u):
        return dict(zip(x, transpose(*x.values(), u, h), strict=True))

    u = random.normal(size=(4, 3))
    for name, found in back(u).items():
        if np.shape(found) != x[name].shape:
            print(f"transpose: what comes to {name} has shape {np.shape(found)}; expected {x[name].shape}.")
            return False
    test = check_adjoint(lambda v: ad.jvp(forward, (x,), (v,))[1], back, x, bound=1e-12)
    print(test)
    (expected,) = ad.vjp(forward, x)[1](u)
    for name, found in back(u).items():
        gap = np.linalg.norm(found - expected[name]) / np.linalg.norm(expected[name])
        print(f"what comes to {name}: {'right' if gap < 1e-12 else 'WRONG'}, relative distance {gap:.1e}")
    return bool(test)


# %%
if __name__ == "__main__":
    try:
        passed = check(transpose)
    except NotImplementedError as error:
        print("to do:", error)
        passed = False
    sys.exit(0 if passed else 1)
