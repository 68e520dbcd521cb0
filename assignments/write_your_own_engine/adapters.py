"""How the grader asks your engine: as pairs of a forward and a backward. There is nothing to write here.

Each forward builds a graph of your Values and gives its numbers. Each backward builds the same graph once more, makes one number
of it, the sum of the results with the weights ``dy``, goes back from that, and gives the gradients of the inputs. So what is
judged here is your operations, ``+`` and ``*`` among them, and your way back. To check one of them::

    python -m tinyad check adapters.py::shaping

Changing this file earns nothing: the numbers that come out of it are compared.
"""

import arrays
import mlp
import numpy as np
import scalar

# ---- stage 1: one operation on each of some numbers

FUNCTIONS = {
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: x.relu(),
    "exp": lambda x: x.exp(),
    "x**3": lambda x: x**3,
    "x**-1.5": lambda x: x**-1.5,
    "2 - 1/x": lambda x: 2 - 1 / x,
    "x*tanh(x)": lambda x: x * x.tanh(),
}


def functions_forward(x, function="tanh"):
    y = [FUNCTIONS[function](scalar.Value(number)) for number in x]
    return np.array([each.data for each in y]), (x, function)


def functions_backward(cache, dy):
    x, function = cache
    values = [scalar.Value(number) for number in x]
    total = scalar.Value(0.0)
    for value, weight in zip(values, dy, strict=True):
        total = total + FUNCTIONS[function](value) * float(weight)
    total.backward()
    return (np.array([value.grad for value in values]),)


def functions_inputs(rng):
    return rng.uniform(0.5, 2.0, size=5)


# ---- stage 2: operations on arrays

OPERATIONS = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "matmul": lambda a, b: a @ b,
    "sum": lambda x, axis, keepdims: x.sum(axis=axis, keepdims=keepdims),
    "mean": lambda x, axis, keepdims: x.mean(axis=axis, keepdims=keepdims),
    "max": lambda x, axis, keepdims: x.max(axis=axis, keepdims=keepdims),
    "reshape": lambda x, shape: x.reshape(*shape),
    "transpose": lambda x, axes: x.transpose(*axes),
    "getitem": lambda x, index: x[index],
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: x.relu(),
    "exp": lambda x: x.exp(),
    "x**3": lambda x: x**3,
    "log_softmax": lambda x, axis: x.log_softmax(axis=axis),
}


def arrays_forward(*inputs, operation="add", **options):
    y = OPERATIONS[operation](*map(arrays.Value, inputs), **options)
    return np.array(y.data), (inputs, operation, options)


def arrays_backward(cache, dy):
    inputs, operation, options = cache
    values = [arrays.Value(x) for x in inputs]
    y = OPERATIONS[operation](*values, **options)
    (y * arrays.Value(dy)).sum().backward()
    return tuple(value.grad for value in values)


def arrays_inputs(rng):
    return rng.normal(size=(5, 3)), rng.normal(size=(3,))


# The same, with the operation chosen: for `tinyad check`.


def broadcasting_forward(a, b):
    return arrays_forward(a, b, operation="mul")


def broadcasting_inputs(rng):
    return rng.normal(size=(5, 3)), rng.normal(size=(3,))


def reductions_forward(x):
    return arrays_forward(x, operation="max", axis=1, keepdims=False)


def reductions_inputs(rng):
    return rng.normal(size=(5, 3))


def shaping_forward(x):
    return arrays_forward(x, operation="getitem", index=np.array([0, 2, 0]))


def shaping_inputs(rng):
    return rng.normal(size=(5, 3))


def log_softmax_forward(x):
    return arrays_forward(x, operation="log_softmax", axis=1)


def log_softmax_inputs(rng):
    return rng.normal(size=(5, 3))


broadcasting_backward = reductions_backward = shaping_backward = log_softmax_backward = arrays_backward


# ---- stage 3: the loss of a network with one hidden layer


def loss_forward(x, labels, w1, b1, w2, b2):
    layers = [(arrays.Value(w1), arrays.Value(b1)), (arrays.Value(w2), arrays.Value(b2))]
    return mlp.loss(layers, x, labels).data, (x, labels, w1, b1, w2, b2)


def loss_backward(cache, dy):
    x, labels, *weights = cache
    x, w1, b1, w2, b2 = map(arrays.Value, (x, *weights))
    (mlp.loss([(w1, b1), (w2, b2)], x, labels) * float(dy)).backward()
    return x.grad, None, w1.grad, b1.grad, w2.grad, b2.grad


def loss_inputs(rng):
    shapes = [(3, 7), (7,), (7, 4), (4,)]
    return rng.normal(size=(5, 3)), rng.integers(4, size=5), *(rng.normal(size=shape) for shape in shapes)
