"""The tables: what is timed, and the sections of the report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import problems
import reference
from engines import NAMES

SIZES = [(32, 8, 16), (256, 16, 32), (256, 64, 16), (1024, 64, 32), (4096, 128, 8)]  # batch, width, depth
CALLS = 3  # of a training step, before its result is compared


@dataclass(frozen=True)
class Workload:
    title: str
    method: str  # the engine's function that takes the inputs and returns what is timed
    inputs: Callable[[], tuple]
    reference: Callable[..., Any]  # the result, from the same inputs
    dtype: str = "float32"
    tolerance: float = 2e-5  # on max|difference| / max|reference|, array by array
    calls: int = 1  # before the result is compared
    unit: str = "µs"
    per_second: float = 1e6  # seconds of one call times this = the number in the table
    quick: bool = True  # whether it is part of a quick run


def chain(title, f, *inputs, unit="µs", per_second=1e6):
    given = lambda: (f, [x.copy() for x in inputs])
    return Workload(title, "scalar", given, reference.scalar, "float64", 1e-12, unit=unit, per_second=per_second)


def resnet(*size, quick=True):
    """Value and gradient; the size is (batch, width, depth)."""
    return Workload(f"ResNet {size}", "gradient", lambda: problems.resnet_problem(*size), reference.gradient, quick=quick)


def training(title, problem, *size, quick=True):
    given = lambda: problem(*size)
    return Workload(title, "train", given, reference.train(CALLS), calls=CALLS, tolerance=1e-4, quick=quick)


def product(name, method, size, quick):
    given = lambda: problems.direction_problem(*size)
    return Workload(f"{name} {size}", method, given, getattr(reference, method), tolerance=1e-4, quick=quick)


def matrix(name, f):
    given = lambda: problems.of_100(f)
    return Workload(name.title(), name, given, getattr(reference, name), "float64", 1e-11)


def key(size, kind="resnet"):
    return f"{kind}-{'-'.join(map(str, size))}"


WORKLOADS = {
    "ops": chain(
        f"{problems.OPS} primitives, size 1",
        problems.chain,
        np.array([0.3]),
        np.array([0.7]),
        unit="µs each",
        per_second=1e6 / problems.OPS,
    ),
    "chain": chain("101 primitives, 1 MB", problems.long_chain, np.linspace(-1, 1, 131072)),
    "adam-mlp-64": training("Adam, MLP 784-256-10, batch 64", problems.mlp_problem, 64, 784, 256, 10),
    "adam-mlp-1024": training("Adam, MLP, batch 1024", problems.mlp_problem, 1024, 784, 256, 10),
    "adam-convnet-64": training("Adam, 28 x 28 images, batch 64", problems.convnet_problem, 64, 16, 32),
    "jacobian": matrix("jacobian", problems.map_of_100),
    "hessian": matrix("hessian", problems.function_of_100),
    "ode": Workload("neural ODE, 100 steps", "ode", problems.ode_problem, reference.ode, tolerance=1e-4),
    # The adjoint that solves backwards is not the derivative of the steps, but 64 of them are close enough to compare.
    "solver": Workload("neural ODE, solver", "solver", problems.solver_problem, reference.solver, tolerance=1e-4),
}
for k, size in enumerate(SIZES):
    few = k < 2
    WORKLOADS |= {
        key(size): resnet(*size, quick=few),
        key(size, "adam"): training(f"Adam, ResNet {size}", problems.resnet_problem, *size, quick=few),
        key(size, "hvp"): product("HVP", "hvp", size, few),
        key(size, "gnvp"): product("GNVP", "gnvp", size, few),
    }

# what changes in the second half of section i, and the sizes: each list crosses (256, 16, 16)
GROWTH = {
    "depth": [(256, 16, D) for D in (8, 16, 32, 64)],
    "width": [(256, W, 16) for W in (8, 16, 64, 128)],
    "batch": [(N, 16, 16) for N in (64, 256, 1024, 4096)],
}
for size in {size for sizes in GROWTH.values() for size in sizes}:
    WORKLOADS.setdefault(key(size), resnet(*size, quick=size in GROWTH["depth"][:2]))


@dataclass(frozen=True)
class Section:
    title: str
    measures: tuple[tuple[str, list[str], list[str]], ...]  # how it is measured (`measures.py`), on what, by which engines
    text: str = ""


def timed(*names, by=NAMES):
    return ("seconds", list(dict.fromkeys(names)), by)


GRADIENTS = [key(size) for size in SIZES]
FIRST = ["resnet-256-16-8", "resnet-256-16-32", "adam-mlp-64"]
SECOND_ORDER = ["tinyad", "jax", "torch", "autograd"]
COMPILERS = ["tinyad", "jax", "torch", "tinygrad"]
BUT_TINYGRAD = [name for name in NAMES if name != "tinygrad"]  # it takes minutes to compile a chain, however small

SECTIONS = {
    "a": Section("Value and gradient of a ResNet", (timed(*GRADIENTS),), "Sizes are (batch, width, depth)."),
    "b": Section(
        "A training step with Adam",
        (timed("adam-mlp-64", "adam-mlp-1024", *(key(size, "adam") for size in SIZES)),),
        "Loss, gradient and update; tinyad compiles them as one function, whose parameters and state are written over.",
    ),
    "c": Section("Chains of small operations", (timed("ops", "chain", by=BUT_TINYGRAD),), "Value and gradient."),
    "d": Section(
        "Hessian-vector and Gauss-Newton-vector products",
        (timed(*(key(size, kind) for size in SIZES for kind in ("resnet", "hvp", "gnvp")), by=SECOND_ORDER),),
        "The gradient is timed beside them, to compare an engine with itself.",
    ),
    "e": Section("Jacobian and Hessian, 100 variables", (timed("jacobian", "hessian"),), "In float64."),
    "f": Section(
        "A neural ODE",
        (timed("ode", "solver"), ("first", ["ode", "solver"], COMPILERS)),
        "Runge and Kutta's steps, value and gradient of a loss on the last state: 100 steps for a network 2-64-2 and 128 points "
        "as a loop, and 64 for 2-64-64-2 and 256 points by the libraries' solvers.",
    ),
    "g": Section(
        "A convolutional network",
        (timed("adam-convnet-64", by=["tinyad", "jax", "torch"]),),
        "A training step with Adam: two convolutions 3 x 3 to 16 and 32 channels, with relu and pooling, and a linear classifier.",
    ),
    "h": Section(
        "Memory",
        (("peak", [*GRADIENTS, "chain"], NAMES), ("leak", [key(SIZES[0]), key(SIZES[0], "adam")], ["tinyad"])),
    ),
    "i": Section(
        "Time to first result, and growth",
        (
            ("first", FIRST, COMPILERS),
            timed(*(key(size) for sizes in GROWTH.values() for size in sizes), by=["tinyad", "jax", "torch"]),
        ),
    ),
}
