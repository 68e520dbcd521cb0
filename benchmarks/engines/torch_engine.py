import warnings
from functools import partial

import torch
from torch.nn import functional as F

from engines import by_backward, clear
from problems import ADAM, RATE, SOLVER_STEPS, STEPS, convnet, leaves, rk4, tree_map

try:
    import torchdiffeq
except ModuleNotFoundError:
    torchdiffeq = None

PARTS, NUMPY = ["torch", "torchdiffeq"], False

torch._dynamo.config.recompile_limit = 1000  # one function is compiled for many sizes here, each on its own
warnings.filterwarnings("ignore", category=FutureWarning)


def compiled(f):
    return torch.compile(f, dynamic=False)


def variable(x):
    return torch.tensor(x, requires_grad=True)


def taped(f, tensors, *others):
    """Value and gradient by `backward`, and the same with f compiled, which compiles the way back too."""
    run = lambda f: by_backward(lambda: f(tensors, *others), leaves(tensors), clear, torch.Tensor.detach)
    return {"eager": run(f), "compile": run(compiled(f))}


def eager(f, *args):
    args = tree_map(torch.tensor, args)
    return {"eager": lambda: f(*args)}


def eager_and_compiled(f, *args):
    return {**eager(f, *args), "compile": eager(compiled(f), *args)["eager"]}


def own(network):
    """A network of images with PyTorch's functions."""
    if network is not convnet:
        return network
    return partial(convnet, conv=partial(F.conv2d, padding=1), relu=F.relu, max_pool=partial(F.max_pool2d, kernel_size=2))


def loss_of(network):
    network = own(network)
    return lambda params, X, labels: F.cross_entropy(network(params, X, torch.tanh, affine=F.linear), labels)


def scalar(f, inputs):
    return taped(lambda tensors: f(torch, *tensors), [variable(x) for x in inputs])


def gradient(network, params, X, C, labels):
    return taped(loss_of(network), tree_map(variable, params), torch.tensor(X), torch.tensor(labels))


def train(network, params, X, C, labels):
    X, labels = torch.tensor(X), torch.tensor(labels)

    def run(wrap):
        weights = tree_map(variable, params)
        flat = leaves(weights)
        optimizer = torch.optim.Adam(flat, RATE, (ADAM["b1"], ADAM["b2"]), ADAM["eps"], foreach=True)
        loss, update = wrap(loss_of(network)), wrap(lambda: optimizer.step())

        def step():
            optimizer.zero_grad(set_to_none=True)
            value = loss(weights, X, labels)
            value.backward()
            update()
            return value.detach(), [p.detach() for p in flat]

        return step

    return {"eager": run(lambda f: f), "compile": run(compiled)}


def hvp(network, params, X, C, labels, v):
    loss = loss_of(network)

    def product(params, v, X, labels):
        return torch.func.jvp(torch.func.grad(lambda p: loss(p, X, labels)), (params,), (v,))[1]

    return eager(product, params, v, X, labels)


def gnvp(network, params, X, C, labels, v):
    def product(params, v, X, labels):
        model = lambda p: network(p, X, torch.tanh, affine=F.linear)
        S, Jv = torch.func.jvp(model, (params,), (v,))
        _, HJv = torch.func.jvp(torch.func.grad(lambda S: F.cross_entropy(S, labels)), (S,), (Jv,))
        return torch.func.vjp(model, params)[1](HJv)[0]

    return eager(product, params, v, X, labels)


def jacobian(f, A, B, x):
    return eager_and_compiled(torch.func.jacrev(lambda A, B, x: f(torch, A, B, x), argnums=2), A, B, x)


def hessian(f, A, B, x):
    return eager_and_compiled(torch.func.hessian(lambda A, B, x: f(torch, A, B, x), argnums=2), A, B, x)


def ode(field, params, y, target):
    def loss(params, y, target):
        for _ in range(STEPS):
            y = rk4(lambda y: field(params, y, torch.tanh, affine=F.linear), y, 1 / STEPS)
        return ((y - target) ** 2).mean()

    # compiling the 100 steps, which it unrolls, takes minutes
    return {"eager": taped(loss, tree_map(variable, params), torch.tensor(y), torch.tensor(target))["eager"]}


def solver(field, params, y, target):
    """torchdiffeq, backwards through its steps, and with its adjoint, which solves an equation backwards."""
    if not torchdiffeq:
        return {}
    times = torch.linspace(0, 1, SOLVER_STEPS + 1)
    variables = tree_map(variable, params)
    given = {"y0": torch.tensor(y), "t": times[[0, -1]], "method": "rk4", "options": {"grid_constructor": lambda *_: times}}
    right_side = Field(field, variables)

    def step(solve, **settings):
        run = lambda: ((solve(right_side, **given, **settings)[-1] - torch.tensor(target)) ** 2).mean()
        return by_backward(run, leaves(variables), clear, torch.Tensor.detach)

    back = {"adjoint_params": tuple(leaves(variables)), "adjoint_options": {"grid_constructor": lambda *_: times.flip(0)}}
    return {"torchdiffeq": step(torchdiffeq.odeint), "torchdiffeq, adjoint": step(torchdiffeq.odeint_adjoint, **back)}


class Field(torch.nn.Module):
    """A right-hand side as torchdiffeq's adjoint wants it."""

    def __init__(self, field, params):
        super().__init__()
        self.field, self.params = field, params

    def forward(self, t, y):
        return self.field(self.params, y, torch.tanh, affine=F.linear)
