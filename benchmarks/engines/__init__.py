"""One module an engine. Each has

    DISTRIBUTION            the name its version is looked up under
    NUMPY                   whether its arrays are NumPy's, so that tracemalloc sees them
    scalar(f, inputs)       -> {style: step}, f(xp, *inputs) a scalar, gradient with respect to every input
    resnet(params, X, C, labels) -> {style: step}, gradient with respect to params

where `step()` returns (value, gradients), and the style "" is the one the engine's manual would show.
"""

NAMES = ["tinyad", "torch", "autograd", "mygrad", "jax", "numpy"]


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
