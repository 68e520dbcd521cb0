# %% [markdown]
# # Solution of exercise 15
#
# A layer has three inputs, so its derivative has three parts. States and their tangents go through the layers
# side by side, and nothing is stored.

# %%
import runpy
import sys
from pathlib import Path

import numpy as np


def forward(K, b, Y, h):
    for weight, bias in zip(K, b, strict=True):
        Y = Y + h * np.tanh(Y @ weight + bias)
    return Y


def derivative(K, b, Y, dK, db, dY, h):
    for weight, bias, dweight, dbias in zip(K, b, dK, db, strict=True):
        out = np.tanh(Y @ weight + bias)
        dY = dY + h * (1 - out**2) * (dY @ weight + Y @ dweight + dbias)
        Y = Y + h * out
    return dY


# %%
if __name__ == "__main__":
    exercise = Path(__file__).resolve().parents[1] / "exercises" / Path(__file__).name
    sys.exit(0 if runpy.run_path(str(exercise))["check"](forward, derivative) else 1)
