"""What each library computes of a program: its values, and derivatives of first and second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy
import jax
import numpy as np

import tinyad as ad
from tests.peers.libraries import AUTOGRAD, JAX, NUMPY, TINYAD, Library, Missing
from tests.peers.programs import Program
from tinyad import tree

Array = np.ndarray[Any, Any]
Results = dict[str, Array]
"""By what they are: all values, tangents, gradients or Hessian products in one vector."""


def _vector(arrays: Any) -> Array:
    return np.concatenate([np.ravel(x) for x in tree.leaves(arrays)])


# ---- tinyad: arguments and results as they are


def _of_tinyad(program: Program, library: Library, nudge: float = 0.0) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """One function that computes everything, and its arguments."""
    inputs, directions = program.inputs(nudge), program.directions()
    weights = program.weights(program(library, *inputs))
    count = len(inputs)

    def everything(inputs: Any, directions: Any, weights: Any) -> dict[str, Any]:
        def weighted(*xs: Any) -> Any:
            return sum(ad.sum(w * y) for w, y in zip(weights, program(library, *xs), strict=True))

        values, tangents = ad.jvp(lambda *xs: program(library, *xs), inputs, directions)
        gradients, products = ad.jvp(ad.grad(weighted, argnums=tuple(range(count))), inputs, directions)
        return {"values": values, "tangents": tangents, "gradients": gradients, "Hessian products": products}

    return everything, (tuple(inputs), tuple(directions), weights)


def eager(program: Program, library: Library = TINYAD, nudge: float = 0.0) -> Results:
    """tinyad's derivatives, of the program in tinyad's functions or in NumPy's, at the point or near it."""
    everything, arguments = _of_tinyad(program, library, nudge)
    return {what: _vector(found) for what, found in everything(*arguments).items()}


def compiled(program: Program) -> Results:
    """The same, by the compiler."""
    everything, arguments = _of_tinyad(program, TINYAD)
    return {what: _vector(found) for what, found in ad.compile(everything)(*arguments).items()}


# ---- the others: a function from a vector to a vector


def _vectors(program: Program) -> tuple[Array, Array, Array]:
    """Point, direction and weights."""
    inputs = program.inputs()
    return _vector(inputs), _vector(program.directions()), _vector(program.weights(program(TINYAD, *inputs)))


def _of_vectors(program: Program, library: Library) -> Callable[[Any], Any]:
    shapes, xp = program.shapes, library.module
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1].tolist()

    def function(x: Any) -> Any:
        starts, stops = [0, *ends], [*ends, len(x)]
        inputs = [xp.reshape(x[a:b], shape) for a, b, shape in zip(starts, stops, shapes, strict=True)]
        return xp.concatenate([xp.ravel(y) for y in program(library, *inputs)])

    return function


# A program runs once: to compile it takes all the time.
_LITTLE_EFFORT = {"xla_cpu_parallel_codegen_split_count": 1, "xla_backend_optimization_level": 0}


def with_jax(program: Program) -> Results:
    """JAX's derivatives: each mode for itself, and forward over reverse, in one compiled function."""
    f = _of_vectors(program, JAX)

    def everything(x: Any, direction: Any, weights: Any) -> dict[str, Any]:
        values, tangents = jax.jvp(f, (x,), (direction,))
        gradients, products = jax.jvp(jax.grad(lambda x: jax.numpy.dot(weights, f(x))), (x,), (direction,))
        return {"values": values, "tangents": tangents, "gradients": gradients, "Hessian products": products}

    vectors = _vectors(program)
    try:  # compiled in one piece, which is quicker than operation by operation
        found = jax.block_until_ready(jax.jit(everything, compiler_options=_LITTLE_EFFORT)(*vectors))
    except jax.errors.JaxRuntimeError:  # XLA refuses some transforms of what it has transposed in memory
        found = everything(*vectors)
    return {what: np.asarray(array) for what, array in found.items()}


def with_autograd(program: Program) -> Results:
    """HIPS autograd's derivatives, all of them by reverse mode.

    Raises:
        Missing: if it lacks an operation, or its second derivative.
    """
    f = _of_vectors(program, AUTOGRAD)
    x, direction, weights = _vectors(program)
    gradient = autograd.grad(lambda x: autograd.numpy.dot(weights, f(x)))
    try:
        pullback, values = autograd.make_vjp(f)(x)
        return {
            "values": values,
            "tangents": autograd.make_vjp(pullback)(weights)[0](direction),
            "gradients": gradient(x),
            "Hessian products": autograd.grad(lambda x: autograd.numpy.dot(direction, gradient(x)))(x),
        }
    except (
        NotImplementedError,
        AssertionError,
    ) as error:  # so it says that it lacks a derivative, or one of stacks of matrices
        raise Missing(f"HIPS autograd: {error}") from error


ENGINES: dict[str, Callable[[Program], Results]] = {
    "tinyad": eager,
    "tinyad by NumPy's names": lambda program: eager(program, NUMPY),
    "tinyad compiled": compiled,
    "JAX": with_jax,
    "HIPS autograd": with_autograd,
}
