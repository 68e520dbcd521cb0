"""What becomes of a network's states, gradients and errors on their way through its depth, and whether its steps are stable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyad as ad
from tinyad import report, tree
from tinyad.backend import Array, asnumpy, module_of
from tinyad.models.ode import DiagonallyImplicit, Field, Ledger, RungeKutta
from tinyad.models.ode.control import following
from tinyad.models.ode.grids import fixed_grid
from tinyad.models.ode.methods import method_named
from tinyad.models.ode.run import Run
from tinyad.models.randomness import Seed, generator
from tinyad.models.stable import StableNet
from tinyad.tensor import unwrap

__all__ = ["StabilityReport", "stability_report"]

_Array = np.ndarray[Any, Any]
SLACK = 1e-9
"""Growth of a step by less than this counts as none."""


@dataclass(frozen=True, eq=False, repr=False)
class StabilityReport:
    """What `stability_report` found, step by step.

    Attributes:
        times: of the steps' starts, shape (steps,).
        step: their length.
        method: the integrator's name.
        eigenvalues: of the Jacobian ``df/dy``, complex, shape (steps, examples, width): where the equation goes.
        growth: by how much a step lets the fastest mode grow, shape (steps, examples): the largest ``|R(h lambda)|`` with the
            stability function R of a Runge-Kutta method (``1 + z`` for Euler's); for others, which have none, the largest
            eigenvalue of the step's derivative in absolute value.
        gradient: the norm of the derivative of the sum of all scores by the state, relative to that at the end, shape
            (steps + 1,).
        response: how far the states of slightly moved inputs are, relative to the distance of the initial states, shape
            (steps + 1, examples).
        stability: the method's stability function as Python function of complex numbers, if it has one.
    """

    times: _Array
    step: float
    method: str
    eigenvalues: _Array
    growth: _Array
    gradient: _Array
    response: _Array
    stability: Any = None

    @property
    def equation_stable(self) -> bool:
        """Whether no eigenvalue of the Jacobian has a positive real part (to 1e-9)."""
        return bool((self.eigenvalues.real <= SLACK).all())

    @property
    def method_stable(self) -> bool:
        """Whether no step makes anything grow (to 1e-9)."""
        return bool((self.growth <= 1 + SLACK).all())

    def __str__(self) -> str:
        rates, growth = self.eigenvalues.real.max(), self.growth.max()
        frequencies = abs(self.eigenvalues).max()
        lines = [
            f"stability of {len(self.times)} steps of {self.method!r}, h = {self.step:g}",
            f"  equation  {'stable' if self.equation_stable else 'UNSTABLE'}: eigenvalues of df/dy up to |lambda| = "
            f"{frequencies:.3g}, real parts up to {rates:.2g}",
            f"  method    {'stable' if self.method_stable else 'UNSTABLE'}: a step makes the state grow by a factor of up to "
            f"{growth:.4g}, so all steps by up to {np.prod(self.growth.max(axis=1)):.3g}",
            f"  gradient  at the start {self.gradient[0]:.3g} times that at the end",
            f"  response  a small change of the state has become {self.response[-1].mean():.3g} times as large on average, "
            f"{self.response[-1].max():.3g} times at most",
        ]
        if self.equation_stable and not self.method_stable:
            lines.append(
                "The equation is stable and its steps are not: take more steps, a method whose region of stability holds "
                "the eigenvalues ('rk4' on the imaginary axis up to 2.8), or some damping."
            )
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, path: Any = None) -> Any:
        """Eigenvalues times the step with the method's region of stability; growth, gradients and responses through the depth.

        Args:
            path: file to write the picture to, if given.

        Returns:
            The figure.

        Raises:
            ImportError: matplotlib is not installed.
        """
        figure = report.new_figure(11, 3.6)
        plane, growth, gradient, response = figure.subplots(1, 4)
        self._draw_plane(plane)
        middle = self.times + 0.5 * self.step
        ends = np.append(self.times, self.times[-1] + self.step)
        report.tidy(growth, "t", "largest |eigenvalue| of the step", "growth of a step")
        growth.plot(middle, self.growth, color=report.PALETTE["first"], alpha=0.4, lw=1)
        growth.axhline(1.0, color="0.5", ls="--", lw=1)
        for ax, values, title in ((gradient, self.gradient, "gradient"), (response, self.response, "response to a change")):
            report.tidy(ax, "t", "relative norm", title)
            ax.semilogy(ends, values, color=report.PALETTE["first"], alpha=0.4 if values.ndim > 1 else 1.0, lw=1)
        if path is not None:
            figure.savefig(path)
        return figure

    def _draw_plane(self, ax: Any) -> None:
        z = self.step * self.eigenvalues.ravel()
        reach = 1.15 * max(2.5, abs(z).max())
        report.tidy(ax, "real part", "imaginary part", f"h times eigenvalues, {self.method}")
        if self.stability is not None:
            x, y = np.meshgrid(np.linspace(-reach, reach, 201), np.linspace(-reach, reach, 201))
            ax.contourf(x, y, abs(self.stability(x + 1j * y)) <= 1, levels=[0.5, 1.5], colors=["0.88"])
        ax.axvline(0, color="0.6", lw=0.8)
        ax.scatter(z.real, z.imag, s=4, color=report.PALETTE["first"], alpha=0.5)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")


def stability_report(net: StableNet, x: Array, size: float = 1e-6, seed: Seed = 0) -> StabilityReport:
    """Look at a network's way through time: eigenvalues of its Jacobian, growth of its steps, gradients, response to changes.

    All Jacobians are formed, so a few dozen examples and a width of a few dozen are what it is for.

    Args:
        net: the network.
        x: examples, shape (examples, features).
        size: of the random change of the initial states whose growth is measured.
        seed: of that change.

    >>> import numpy as np
    >>> from tinyad import models
    >>> x = models.peaks(20).x
    >>> net = models.StableNet.create(0, models.Antisymmetric(), features=2, width=8, classes=5, depth=8, final_time=8.0)
    >>> report = models.stability_report(net, x)
    >>> report.equation_stable, report.method_stable       # Euler's method makes what should turn grow
    (True, False)
    """
    stepper = method_named(net.method)
    run = Run(
        stepper,
        Field(following(net.dynamics.f, net.control), Ledger()),
        fixed_grid(*net.control.interval, net.steps, None, net.control.knots.tolist()),
        stepwise=True,
    )
    theta = tree.map(unwrap, net.control.pieces_of(run.grid.times))
    y0 = tree.map(unwrap, net.start(x))
    before = _states(run, y0, theta)
    steps = [_of_step(run, theta, n, before[n]) for n in range(run.grid.steps)]
    return StabilityReport(
        times=np.array(run.grid.times[:-1], dtype=float),
        step=float(run.grid.length(0)),
        method=stepper.name,
        eigenvalues=np.array([eigenvalues for eigenvalues, _ in steps]),
        growth=np.array([growth for _, growth in steps]),
        gradient=_gradient_norms(net, run, theta, before),
        response=_responses(run, y0, theta, before, size, seed),
        stability=_stability_function(run),
    )


def _states(run: Run, y0: Any, theta: Any) -> list[Any]:
    """The method's states at all times."""
    states = [run.start(y0, theta)]
    for n in range(run.grid.steps):
        states.append(run.advance(states[-1], theta, n, n + 1)[0])
    return states


def _of_step(run: Run, theta: Any, n: int, state: Any) -> tuple[_Array, _Array]:
    """Eigenvalues of the equation's Jacobian at a state, and the growth of the step from it, example by example."""
    t, h, own = run.grid.times[n], run.grid.length(n), run.of_step(theta, n)

    def jacobians(f: Any, at: Any) -> _Array:
        _, back = tree.ravel(tree.map(lambda leaf: leaf[0], at))
        rows = ad.concat([ad.reshape(leaf, (leaf.shape[0], -1)) for leaf in tree.leaves(at)], axis=1)
        return asnumpy(ad.vmap(ad.jacobian(lambda v: tree.ravel(f(back(v)))[0]))(rows))

    of_equation = jacobians(lambda y: run.field(t, y, own), run.stepper.value(state))
    eigenvalues = np.linalg.eigvals(of_equation).astype(complex)
    stability = _stability_function(run)
    if stability is not None:
        return eigenvalues, abs(stability(float(h) * eigenvalues)).max(axis=-1)
    of_method = jacobians(lambda s: run.stepper.step(run.field, t, h, s, own), state)
    return eigenvalues, abs(np.linalg.eigvals(of_method)).max(axis=-1)


def _stability_function(run: Run) -> Any:
    """That of a Runge-Kutta method, else None."""
    return run.stepper.tableau.stability if isinstance(run.stepper, (RungeKutta, DiagonallyImplicit)) else None


def _gradient_norms(net: StableNet, run: Run, theta: Any, states: list[Any]) -> _Array:
    """The norms of the cotangents of the solution at all times."""

    def scores(y: Any) -> Any:
        features = ad.concat(list(y), axis=-1) if isinstance(y, tuple) else y
        return ad.sum(net.classifier(features))

    g = run.seed(None, states[-1], ad.grad(scores)(run.stepper.value(states[-1])))
    norms = [_norm(g)]
    for n in reversed(range(run.grid.steps)):
        g, _ = run.stepper.pull(run.field, run.grid.times[n], run.grid.length(n), states[n], run.of_step(theta, n), g)
        norms.append(_norm(g))
    return np.array(norms[::-1]) / norms[0]


def _responses(run: Run, y0: Any, theta: Any, states: list[Any], size: float, seed: Seed) -> _Array:
    rng = generator(seed)

    def moved(leaf: Any) -> Any:
        return leaf + size * module_of(leaf).asarray(rng.normal(size=leaf.shape).astype(leaf.dtype))

    others = _states(run, tree.map(moved, y0), theta)
    value = run.stepper.value
    distances: _Array = np.array([_distances(value(a), value(b)) for a, b in zip(others, states, strict=True)])
    relative: _Array = distances / distances[0]
    return relative


def _distances(a: Any, b: Any) -> _Array:
    """Between two states, example by example."""
    squares = [
        asnumpy(((x - y) ** 2).reshape(len(x), -1).sum(axis=1)) for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True)
    ]
    distances: _Array = np.sqrt(np.sum(squares, axis=0))
    return distances


def _norm(x: Any) -> float:
    return math.sqrt(sum(float(asnumpy((unwrap(leaf) ** 2).sum())) for leaf in tree.leaves(x)))
