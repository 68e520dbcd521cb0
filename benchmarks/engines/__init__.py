"""One module an engine, written as its manual would write it. Each has

    PARTS       the distributions that it is made of, the engine itself first: their versions are reported
    NUMPY       whether its arrays are NumPy's, so that tracemalloc sees them

and those of the following functions that it can do, {style: step} all of them. `step()` returns the result as a tree of arrays;
nothing is traced or compiled before its first call.

    scalar(f, inputs)                           (value, gradients) of f(xp, *inputs)
    gradient(network, params, X, C, labels)     (value, gradient by params) of the cross-entropy of network(params, X, tanh)
    train(network, params, X, C, labels)        (value, new params); each call is the next step of Adam, on the same data
    hvp(network, params, X, C, labels, v)       the Hessian by params times v
    gnvp(network, params, X, C, labels, v)      the Gauss-Newton matrix times v
    jacobian(f, A, B, x), hessian(f, A, B, x)   of f(xp, A, B, x) by x
    ode(field, params, y, target)               (value, gradient by params) of the mean square of the distance at time 1
    solver(field, params, y, target)            the same with the engine's library of differential equations

A leaf None in a result is not computed; leaves of a tree of parameters may come as a list in the order of `problems.leaves`.
"""

NAMES = ["tinyad", "jax", "torch", "tinygrad", "autograd", "mygrad", "numpy"]


def by_backward(run, inputs, clear, plain):
    """A step in tape style: forget the old gradients, run, walk back. `plain` takes a value off its tape."""

    def step():
        for x in inputs:
            clear(x)
        y = run()
        y.backward()
        return plain(y), [x.grad for x in inputs]

    return step


def clear(x):
    x.grad = None


def training(step, params, state):
    """Calls of `value, params, state = step(params, state)`, each one where the last one ended."""

    def call():
        nonlocal params, state
        value, params, state = step(params, state)
        return value, params

    return call
