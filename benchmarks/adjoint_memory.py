"""Memory of a gradient through the steps of a differential equation, by adjoint and number of steps: measured beside the formulas.

    python benchmarks/adjoint_memory.py [--most 10000] [--out FILE.png]

The ledger counts the states that an adjoint keeps; tracemalloc measures all that NumPy and Python hold at most, beyond what was
there before. Both are given in states, of 32 KiB each; what a step works with, and the gradient, come on top. The methods are
the midpoint rule, and for the last the leapfrog, whose state is two arrays. The formulas are those of the literature:

- all states: N
- equal pieces: the states where the c = ceil(sqrt(N)) pieces begin, and those within one piece but its first
- revolve: the c states it was given room for, for which it repeats steps: `schedules.extra_steps`
- a method that can be undone: one, whatever N
"""

import argparse
import gc
import math
import tracemalloc
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad.models import ode
from tinyad.models.ode.adjoints import schedules
from tinyad.report import PALETTE, tidy

WIDTH = 4096
SLOTS = 10
STATE = 8 * WIDTH  # bytes
Y0 = np.linspace(-1.0, 1.0, WIDTH)
WEIGHT = np.linspace(-2.0, 2.0, WIDTH)


def pieces(steps):
    """States of equal pieces, as `Checkpoint()` chooses them: where each begins, and those within one after its first."""
    count = math.isqrt(steps - 1) + 1
    return count + math.ceil(steps / count) - 1


ADJOINTS = {
    "Discrete()": (ode.Discrete(), lambda steps: steps),
    "Checkpoint()": (ode.Checkpoint(), pieces),
    f"Checkpoint({SLOTS}, 'revolve')": (ode.Checkpoint(SLOTS, "revolve"), lambda steps: min(SLOTS, steps)),
    "Reversible()": (ode.Reversible(), lambda steps: 1),
}


def slope(t, y, weight):
    return ad.tanh(weight * y)


def measured(adjoint, steps):
    """States that the ledger counts, states that exist at most by tracemalloc, and evaluations of the right-hand side."""
    ledger = ode.Ledger()
    method = "leapfrog" if isinstance(adjoint, ode.Reversible) else "midpoint"

    def loss(y0, weight):
        end = ode.odeint(slope, y0, (0.0, 1.0), weight, method=method, steps=steps, adjoint=adjoint, ledger=ledger)
        return ad.sum(end * end)

    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    ad.grad(loss, argnums=(0, 1))(Y0, WEIGHT)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return ledger.stored, (most - before) / STATE, ledger.evaluations


def draw(results, numbers, file):
    figure, (memory, work) = plt.subplots(1, 2, figsize=(10.4, 4.0), layout="constrained")
    colours = [PALETTE["muted"], PALETTE["third"], PALETTE["second"], PALETTE["first"]]
    many = np.unique(np.geomspace(numbers[0], numbers[-1], 60).astype(int))
    for (name, rows), colour in zip(results.items(), colours, strict=True):
        formula = ADJOINTS[name][1]
        memory.loglog(many, [formula(int(n)) for n in many], "--", color=colour, lw=1)
        memory.loglog(numbers, [peak for _, peak, _ in rows], "o-", color=colour, ms=4, label=name)
        work.semilogx(numbers, [count / n for n, (_, _, count) in zip(numbers, rows, strict=True)], "o-", color=colour, ms=4)
    memory.plot([], [], "--", color="black", lw=1, label="states by the formula")
    tidy(memory, "steps", "states of 32 KiB", "What exists at most (tracemalloc)")
    tidy(work, "steps", "evaluations a step", "What it costs")
    memory.legend(fontsize=8)
    figure.savefig(file, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most", type=int, default=10_000, help="steps at most")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "adjoint_memory.png")
    chosen = parser.parse_args()
    numbers = [n for n in (10, 30, 100, 300, 1000, 3000, 10_000) if n <= chosen.most]
    results = {}
    print(f"{'adjoint':<26}{'steps':>7}{'formula':>9}{'ledger':>8}{'peak':>9}{'beyond':>8}{'evaluations a step':>20}")
    for name, (adjoint, formula) in ADJOINTS.items():
        results[name] = []
        for steps in numbers:
            stored, peak, evaluations = measured(adjoint, steps)
            results[name].append((stored, peak, evaluations))
            print(
                f"{name:<26}{steps:>7}{formula(steps):>9}{stored:>8}{peak:>9.1f}{peak - formula(steps):>8.1f}"
                f"{evaluations / steps:>20.2f}",
                flush=True,
            )
    print(f"revolve repeats {schedules.extra_steps(numbers[-1], SLOTS)} of {numbers[-1]} steps, the fewest there can be")
    draw(results, numbers, chosen.out)
    print(f"picture: {chosen.out}")


if __name__ == "__main__":
    main()
