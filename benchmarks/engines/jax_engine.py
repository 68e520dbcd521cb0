"""JAX with jit; without it, where that is not hopeless: it takes half a millisecond an operation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from engines import training
from problems import ADAM, RATE, SOLVER_STEPS, STEPS, convnet, rk4

try:
    import optax
except ModuleNotFoundError:
    optax = None
try:
    import diffrax
except ModuleNotFoundError:
    diffrax = None

PARTS, NUMPY = ["jax", "optax", "diffrax"], False

jax.config.update("jax_enable_x64", True)  # float64 inputs stay float64; float32 inputs stay float32


def waited(f, *args):
    args = jax.tree.map(jnp.array, args)
    return lambda: jax.block_until_ready(f(*args))


def jitted(f, *args):
    return {"jit": waited(jax.jit(f), *args)}


def cross_entropy(S, C):
    return (jax.nn.logsumexp(S, axis=1) - (S * C).sum(axis=1)).mean()


def own(network):
    """A network of images with JAX's functions."""
    if network is not convnet:
        return network
    pool = partial(jax.lax.reduce_window, init_value=-jnp.inf, computation=jax.lax.max)
    halved = partial(pool, window_dimensions=(1, 1, 2, 2), window_strides=(1, 1, 2, 2), padding="VALID")
    return partial(convnet, conv=lambda x, K: jax.lax.conv(x, K, (1, 1), "SAME"), relu=jax.nn.relu, max_pool=halved)


def loss_of(network):
    network = own(network)
    return lambda params, X, C: cross_entropy(network(params, X, jnp.tanh), C)


def scalar(f, inputs):
    step = jax.value_and_grad(lambda *inputs: f(jnp, *inputs), argnums=tuple(range(len(inputs))))
    return {**jitted(step, *inputs), "eager": waited(step, *inputs)}


def gradient(network, params, X, C, labels):
    return jitted(jax.value_and_grad(loss_of(network)), params, X, C)


def train(network, params, X, C, labels):
    params, X, C = jax.tree.map(jnp.array, (params, X, C))
    value_and_grad = jax.value_and_grad(loss_of(network))
    init, update = (adam_of_optax if optax else adam_by_hand)()

    def step(params, state):
        value, g = value_and_grad(params, X, C)
        return value, *update(params, g, state)

    replay = jax.jit(step, donate_argnums=(0, 1))
    return {"jit": training(lambda p, s: jax.block_until_ready(replay(p, s)), params, init(params))}


def adam_of_optax():
    optimizer = optax.adam(RATE, **ADAM)

    def update(params, g, state):
        updates, state = optimizer.update(g, state, params)
        return optax.apply_updates(params, updates), state

    return optimizer.init, update


def adam_by_hand():
    b1, b2, eps = ADAM.values()

    def init(params):
        zeros = lambda: jax.tree.map(jnp.zeros_like, params)
        return jnp.zeros((), jnp.int32), zeros(), zeros()

    def update(params, g, state):
        t, m, s = state[0] + 1, *state[1:]
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
        s = jax.tree.map(lambda s, g: b2 * s + (1 - b2) * g * g, s, g)
        rate, scale = RATE / (1 - jnp.float32(b1) ** t), 1 / (1 - jnp.float32(b2) ** t)
        params = jax.tree.map(lambda p, m, s: p - rate * m / (jnp.sqrt(scale * s) + eps), params, m, s)
        return params, (t, m, s)

    return init, update


def hvp(network, params, X, C, labels, v):
    loss = loss_of(network)
    return jitted(lambda params, v, X, C: jax.jvp(jax.grad(lambda p: loss(p, X, C)), (params,), (v,))[1], params, v, X, C)


def gnvp(network, params, X, C, labels, v):
    def product(params, v, X, C):
        model = lambda p: network(p, X, jnp.tanh)
        S, Jv = jax.jvp(model, (params,), (v,))
        _, HJv = jax.jvp(jax.grad(lambda S: cross_entropy(S, C)), (S,), (Jv,))
        return jax.vjp(model, params)[1](HJv)[0]  # the compiler sees that the model is evaluated twice

    return jitted(product, params, v, X, C)


def jacobian(f, A, B, x):
    return jitted(jax.jacrev(lambda A, B, x: f(jnp, A, B, x), argnums=2), A, B, x)


def hessian(f, A, B, x):
    return jitted(jax.hessian(lambda A, B, x: f(jnp, A, B, x), argnums=2), A, B, x)


def ode(field, params, y, target):
    def by_scan(params, y):
        step = lambda y, _: (rk4(lambda y: field(params, y, jnp.tanh), y, 1 / STEPS), None)
        return jax.lax.scan(step, y, None, length=STEPS)[0]

    styles = jitted(jax.value_and_grad(loss_after(by_scan)), params, y, target)
    if diffrax:
        # All steps are kept for the way back: the default computes most of them again.
        solve = by_diffrax(field, STEPS, checkpoints=STEPS)
        styles["diffrax"] = jitted(jax.value_and_grad(loss_after(solve)), params, y, target)["jit"]
    return styles


def solver(field, params, y, target):
    """With diffrax's default, and with all steps kept for the way back."""
    if not diffrax:
        return {}
    solvers = {"diffrax": by_diffrax(field, SOLVER_STEPS), "diffrax, all kept": by_diffrax(field, SOLVER_STEPS, SOLVER_STEPS)}
    gradients = {style: jax.value_and_grad(loss_after(solve)) for style, solve in solvers.items()}
    return {style: jitted(step, params, y, target)["jit"] for style, step in gradients.items()}


def loss_after(solve):
    return lambda params, y, target: ((solve(params, y) - target) ** 2).mean()


def by_diffrax(field, steps, checkpoints=None):
    """The same tableau and the same steps as the others."""

    class RK4(diffrax.AbstractERK):
        tableau = diffrax.ButcherTableau(
            a_lower=(np.array([0.5]), np.array([0.0, 0.5]), np.array([0.0, 0.0, 1.0])),
            b_sol=np.array([1, 2, 2, 1]) / 6,
            b_error=np.zeros(4),  # no other order to compare with: the steps are given
            c=np.array([0.5, 0.5, 1.0]),
        )
        interpolation_cls = diffrax.ThirdOrderHermitePolynomialInterpolation.from_k

        def order(self, terms):
            return 4

    def solve(params, y):
        times = np.linspace(0, 1, steps + 1, dtype=np.float32)
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, params: field(params, y, jnp.tanh)),
            RK4(),
            t0=times[0],
            t1=times[-1],
            dt0=None,
            y0=y,
            args=params,
            stepsize_controller=diffrax.StepTo(times),
            max_steps=steps,
            adjoint=diffrax.RecursiveCheckpointAdjoint(checkpoints=checkpoints),
        )
        return found.ys[-1]

    return solve
