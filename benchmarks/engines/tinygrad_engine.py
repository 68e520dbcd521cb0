"""tinygrad on the processor, with its TinyJit, which replays from the third call on. It compiles with clang."""

import os

os.environ.setdefault("DEV", "CPU")  # before the import, which looks for a GPU

from tinygrad import Context, Device, Tensor, TinyJit
from tinygrad.nn.optim import Adam

from problems import ADAM, RATE, leaves, tree_map

PARTS, NUMPY = ["tinygrad"], False


class Functions:
    """A module of functions, where tinygrad has methods."""

    sin, exp, tanh = Tensor.sin, Tensor.exp, Tensor.tanh


def variable(x):
    return Tensor(x).realize()


def jitted(f):
    replay = TinyJit(f)

    def step():
        result = replay()
        Device[Device.DEFAULT].synchronize()
        return result

    return {"jit": step}


def by_backward(loss, variables):
    def step():
        for x in variables:
            x.grad = None
        value = loss().backward()
        gradients = [x.grad for x in variables]
        return value.realize(*gradients), gradients  # together: one by one they would be computed one by one

    return jitted(step)


def scalar(f, inputs):
    variables = [variable(x) for x in inputs]
    return by_backward(lambda: f(Functions, *variables), variables)


def gradient(network, params, X, C, labels):
    params, X, labels = tree_map(variable, params), Tensor(X).realize(), Tensor(labels).realize()
    loss = lambda: network(params, X, Tensor.tanh).sparse_categorical_crossentropy(labels)
    return by_backward(loss, leaves(params))


def train(network, params, X, C, labels):
    params, X, labels = tree_map(variable, params), Tensor(X).realize(), Tensor(labels).realize()
    flat = leaves(params)
    optimizer = Adam(flat, RATE, **ADAM)

    def step():
        with Context(TRAINING=1):
            optimizer.zero_grad()
            value = network(params, X, Tensor.tanh).sparse_categorical_crossentropy(labels).backward()
            return value.realize(*optimizer.schedule_step()), flat

    return jitted(step)
