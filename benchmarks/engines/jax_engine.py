"""JAX as it runs without jit."""

import jax
import jax.numpy as jnp

from workloads import scores

DISTRIBUTION, NUMPY = "jax", False

jax.config.update("jax_enable_x64", True)  # float64 inputs stay float64; float32 inputs stay float32


def scalar(f, inputs):
    inputs = [jnp.asarray(x) for x in inputs]
    step = jax.value_and_grad(lambda *inputs: f(jnp, *inputs), argnums=tuple(range(len(inputs))))
    return {"": lambda: jax.block_until_ready(step(*inputs))}


def resnet(params, X, C, labels):
    def loss(params, X, C):
        S = scores(params, X, jnp.tanh)
        return (jax.nn.logsumexp(S, axis=1) - (S * C).sum(axis=1)).mean()

    params, X, C = jax.tree.map(jnp.asarray, (params, X, C))
    step = jax.value_and_grad(loss)
    return {"": lambda: jax.block_until_ready(step(params, X, C))}
