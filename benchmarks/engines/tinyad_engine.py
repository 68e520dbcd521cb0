from functools import partial
from operator import attrgetter

import numpy as np

import tinyad as ad
from engines import by_backward, clear, training
from problems import ADAM, RATE, SOLVER_STEPS, STEPS, convnet, rk4, tree_map
from tinyad import optim
from tinyad.models import ode as differential

PARTS, NUMPY = ["tinyad"], True


def both(f, *args):
    """The function replayed as NumPy, and as it is."""
    replay = ad.compile(f)
    return {"compiled": lambda: replay(*args), "eager": lambda: f(*args)}


def cross_entropy(S, C):
    return (ad.logsumexp(S, axis=1) - (S * C).sum(axis=1)).mean()


def own(network):
    """A network of images with tinyad's functions."""
    if network is not convnet:
        return network
    return partial(convnet, conv=partial(ad.conv, padding=1), relu=ad.relu, max_pool=partial(ad.max_pool, size=2))


def loss_of(network):
    network = own(network)
    return lambda params, X, C: cross_entropy(network(params, X, ad.tanh), C)


def scalar(f, inputs):
    step = ad.value_and_grad(lambda *inputs: f(ad, *inputs), argnums=tuple(range(len(inputs))))
    tensors = [ad.tensor(x) for x in inputs]
    tape = by_backward(lambda: f(ad, *tensors), tensors, clear, attrgetter("array"))
    return {**both(step, *inputs), "tape": tape}


def gradient(network, params, X, C, labels):
    return both(ad.value_and_grad(loss_of(network)), params, X, C)


def train(network, params, X, C, labels):
    value_and_grad = ad.value_and_grad(loss_of(network))
    optimizer = optim.adam(RATE, **ADAM)

    def step(params, state, X, C):
        value, g = value_and_grad(params, X, C)
        return value, *optimizer.step(params, g, state)

    replay = ad.compile(step, donate=("params", "state"))
    run = lambda f: training(lambda p, s: f(p, s, X, C), tree_map(np.copy, params), optimizer.init(params))
    return {"compiled": run(replay), "eager": run(step)}


def hvp(network, params, X, C, labels, v):
    loss = loss_of(network)
    return both(lambda params, v, X, C: ad.hvp(lambda p: loss(p, X, C), params, v), params, v, X, C)


def gnvp(network, params, X, C, labels, v):
    def product(params, v, X, C):
        return ad.gnvp(lambda p: network(p, X, ad.tanh), lambda S: cross_entropy(S, C), params, v)

    return both(product, params, v, X, C)


def jacobian(f, A, B, x):
    return both(ad.jacobian(lambda A, B, x: f(ad, A, B, x), argnums=2), A, B, x)


def hessian(f, A, B, x):
    return both(ad.hessian(lambda A, B, x: f(ad, A, B, x), argnums=2), A, B, x)


def ode(field, params, y, target):
    def loss(params, y, target):
        step = lambda y, _: (rk4(lambda y: field(params, y, ad.tanh), y, 1 / STEPS), None)
        last, _ = ad.scan(step, y, length=STEPS)
        return ((last - target) ** 2).mean()

    return both(ad.value_and_grad(loss), params, y, target)


def solver(field, params, y, target):
    """`Tape` keeps every operation, as the others' fastest ways do; `Discrete`, the default, computes the stages again."""
    right_side = lambda t, y, params: field(params, y, ad.tanh)

    def step(adjoint):
        def loss(params, y, target):
            last = differential.odeint(right_side, y, (0.0, 1.0), params, method="rk4", steps=SOLVER_STEPS, adjoint=adjoint)
            return ((last - target) ** 2).mean()

        return both(ad.value_and_grad(loss), params, y, target)

    return {**step(differential.Tape()), "compiled, discrete": step(differential.Discrete())["compiled"]}
