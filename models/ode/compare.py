"""One problem, all adjoints side by side: how right each gradient is, and what it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import tinyad as ad
from tinyad import report, tree
from tinyad.backend import asnumpy
from tinyad.models.ode.adjoints import (
    Adjoint,
    Backsolve,
    Checkpoint,
    Discrete,
    Forward,
    Interpolating,
    Reversible,
    Symplectic,
    Tape,
)
from tinyad.models.ode.ledger import Ledger
from tinyad.models.ode.methods import method_named
from tinyad.models.ode.odeint import odeint
from tinyad.models.ode.stepper import Stepper
from tinyad.models.ode.tableau import Tableau
from tinyad.tensor import unwrap

__all__ = ["ADJOINTS", "AdjointTable", "Compared", "Problem", "compare_adjoints"]

ADJOINTS: tuple[Adjoint, ...] = (
    Tape(), Discrete(), Symplectic(), Checkpoint(), Checkpoint(4, "revolve"), Reversible(), Forward(), Interpolating(), Backsolve(),
    Backsolve(restarts=3),
)  # fmt: skip
"""What `compare_adjoints` compares by default."""

_Array = np.ndarray[Any, Any]


class Problem(NamedTuple):
    """An initial value problem and a loss of its solution.

    Attributes:
        f, y0, interval, theta: as for `odeint`.
        loss: a number, from the solution at the end of the interval.
    """

    f: Any
    y0: Any
    interval: tuple[float, float]
    theta: Any
    loss: Callable[[Any], Any]

    def gradient(self, method: str | Stepper | Tableau, steps: Any, adjoint: Adjoint, ledger: Ledger | None = None) -> _Array:
        """The gradient of the loss by ``y0`` and ``theta``, as one vector in float64."""

        def loss(y0: Any, theta: Any) -> Any:
            return self.loss(
                odeint(self.f, y0, self.interval, theta, method=method, steps=steps, adjoint=adjoint, ledger=ledger)  # type: ignore[arg-type]
            )

        found = ad.grad(loss, argnums=(0, 1))(self.y0, self.theta)
        return np.concatenate([np.ravel(asnumpy(unwrap(leaf))).astype(np.float64) for leaf in tree.leaves(found)])


class Compared(NamedTuple):
    """A row of an `AdjointTable`.

    Attributes:
        method, adjoint: their names.
        steps: of the method.
        error: of the gradient, relative to the exact solution's.
        gap: to the gradient of the solution as computed (by `Tape`), relative to it.
        order: the power of the step by which the gap falls, from the row with fewer steps to this one; for exact adjoints that
            of the error. NaN in a first row.
        evaluations, vjps, jvps, stored: see `Ledger`.
    """

    method: str
    adjoint: str
    steps: int
    error: float
    gap: float
    order: float
    evaluations: int
    vjps: int
    jvps: int
    stored: int


@dataclass(frozen=True, eq=False, repr=False)
class AdjointTable:
    """What `compare_adjoints` found.

    Attributes:
        rows: one for each method, adjoint and number of steps.
        refused: (method, adjoint, why) of what does not fit together.
    """

    rows: tuple[Compared, ...]
    refused: tuple[tuple[str, str, str], ...] = ()

    def of(self, method: str, adjoint: Adjoint | str) -> list[Compared]:
        """The rows of one method and adjoint, by rising steps."""
        return [row for row in self.rows if row.method == method and row.adjoint == str(adjoint)]

    def __str__(self) -> str:
        width = max(len(row.adjoint) for row in self.rows)
        lines = []
        for method in dict.fromkeys(row.method for row in self.rows):
            lines.append(
                f"{method:{width}} {'steps':>6} {'error':>9} {'gap':>9} {'order':>6} {'f':>7} {'vjps':>7} {'jvps':>8} {'stored':>7}"
            )
            for row in (row for row in self.rows if row.method == method):
                order = "" if np.isnan(row.order) else f"{row.order:.2f}"
                lines.append(
                    f"{row.adjoint:{width}} {row.steps:6} {row.error:9.1e} {row.gap:9.1e} {order:>6} {row.evaluations:7} "
                    f"{row.vjps:7} {row.jvps:8} {row.stored:7}"
                )
            lines += [f"{adjoint:{width}}  does not fit" for name, adjoint, _ in self.refused if name == method]
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, path: Any = None) -> Any:
        """Errors, gaps, states held and work against the number of steps, all axes logarithmic.

        Args:
            path: file to write the picture to, if given.

        Returns:
            The figure.

        Raises:
            ImportError: matplotlib is not installed.
        """
        figure = report.new_figure(9, 8)
        panels = figure.subplots(2, 2)
        pairs = list(dict.fromkeys((row.method, row.adjoint) for row in self.rows))
        colours = report.class_colours(len(pairs))
        columns: list[tuple[str, Callable[[Compared], float]]] = [
            ("error of the gradient", lambda row: row.error),
            ("gap to the gradient of what was computed", lambda row: row.gap),
            ("states held", lambda row: row.stored),
            ("work: evaluations and products", lambda row: row.evaluations + row.vjps + row.jvps),
        ]
        steps = sorted({row.steps for row in self.rows})
        for ax, (title, value) in zip(panels.ravel(), columns, strict=True):
            report.tidy(ax, "steps", "", title)
            for k, (pair, colour) in enumerate(zip(pairs, colours, strict=True)):
                rows = [row for row in self.rows if (row.method, row.adjoint) == pair and value(row) > 0]
                label = ", ".join(pair) if len({method for method, _ in pairs}) > 1 else pair[1]
                # lines of different length, so that those that coincide are all seen
                style = (0, (6, 2 * (k % 4))) if k % 4 else "-"
                ax.loglog(
                    [row.steps for row in rows], [value(row) for row in rows], "o", ls=style, ms=4, color=colour, label=label
                )
            ax.set_xticks(steps, [str(n) for n in steps])
            ax.minorticks_off()
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
        if path is not None:
            figure.savefig(path)
        return figure


def compare_adjoints(
    problem: Problem,
    methods: str | Stepper | Tableau | Sequence[str | Stepper | Tableau] = "rk4",
    steps: Sequence[int] = (8, 16, 32, 64),
    adjoints: Sequence[Adjoint] = ADJOINTS,
) -> AdjointTable:
    """The gradients of one problem by many ways: error, order, memory and work of each.

    The exact gradient is taken from Dormand and Prince's method with eight times the largest number of steps, differentiated as
    computed, so errors below about 1e-12 are its own.

    Args:
        problem: what to differentiate.
        methods: one or several, as for `odeint`.
        steps: numbers of steps, rising.
        adjoints: `ADJOINTS` by default. Those that do not fit a method are listed as such.

    Raises:
        ValueError: if ``steps`` do not rise.

    >>> import numpy as np
    >>> from tinyad.models import ode
    >>> problem = ode.Problem(lambda t, y, rate: -rate * y, np.array([1.0, 2.0]), (0.0, 1.0), 0.5, lambda y: (y**2).sum())
    >>> table = ode.compare_adjoints(problem, "heun", (8, 16, 32), [ode.Discrete(), ode.Backsolve()])
    >>> [row.stored for row in table.of("heun", ode.Discrete())], table.of("heun", ode.Backsolve())[-1].stored
    ([8, 16, 32], 1)
    >>> round(table.of("heun", ode.Backsolve())[-1].order)      # one more than the method's
    3
    """
    if not steps or list(steps) != sorted(set(steps)):
        raise ValueError(f"compare_adjoints: steps={steps!r}; expected rising numbers of steps, such as (8, 16, 32)")
    listed = [methods] if isinstance(methods, (str, Stepper, Tableau)) else list(methods)
    exact = problem.gradient("dopri5", 8 * max(steps), Discrete())
    rows: list[Compared] = []
    refused = []
    for stepper in map(method_named, listed):
        computed = [problem.gradient(stepper, n, Tape()) for n in steps]
        for adjoint in adjoints:
            try:
                rows += _rows(problem, stepper, adjoint, steps, computed, exact)
            except TypeError as error:
                refused.append((stepper.name, str(adjoint), str(error)))
    return AdjointTable(tuple(rows), tuple(refused))


def _rows(
    problem: Problem, stepper: Stepper, adjoint: Adjoint, steps: Sequence[int], computed: Sequence[_Array], exact: _Array
) -> list[Compared]:
    rows: list[Compared] = []
    for n, of_computed in zip(steps, computed, strict=True):
        ledger = Ledger()
        found = problem.gradient(stepper, n, adjoint, ledger)
        error, gap = _distance(found, exact), _distance(found, of_computed)
        order = float("nan")
        if rows:
            before, now = (rows[-1].error, error) if adjoint.exact else (rows[-1].gap, gap)
            order = float(np.log(before / now) / np.log(n / rows[-1].steps)) if before > 0 and now > 0 else order
        rows.append(
            Compared(
                stepper.name, str(adjoint), n, error, gap, order, ledger.evaluations, ledger.vjps, ledger.jvps, ledger.stored
            )
        )
    return rows


def _distance(a: _Array, b: _Array) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
