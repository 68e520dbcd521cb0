"""The checker's figures: what it finds, what it names, what it costs. ``python -m tests.checking.figures`` prints them.

Times are those of one processor, of this program alone; they mean something on a machine that does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tests.checking import scoring
from tests.checking.corpus.table import OPERATIONS
from tests.checking.held_out import operations as held_out

SEEDS = (0, 1, 2)


def main() -> None:
    warnings.simplefilter("ignore")
    hand_written()
    other_operations()
    right_rules()
    times()
    large_input()
    imports()


def say(what: str, figure: str) -> None:
    print(f"{what:<72} {figure}", flush=True)


def share(outcomes: Iterable[bool]) -> str:
    given = list(outcomes)
    return f"{100 * sum(given) / len(given):.1f} % of {len(given)}"


def hand_written() -> None:
    found = list(scoring.verdicts(SEEDS))
    named = [v for v in found if not v.labels & scoring.ONLY_WORTH_KNOWING]
    say(f"mistakes written by hand, {len(OPERATIONS)} operations, {len(SEEDS)} seeds: found", share(v.found for v in found))
    for outcome in ("right", "wrong", "unknown"):
        say(f"    label {outcome}", share(v.outcome == outcome for v in named))


def other_operations() -> None:
    found = list(scoring.held_out_verdicts())
    realistic = [v for v in found if v.realistic]
    say(f"mistakes in {len(held_out.OPERATIONS)} other operations: found", share(v.found for v in found))
    say("    realistic ones explained by tiers 1 and 2", share(v.tier in ("contract", "tier 1", "tier 2") for v in realistic))
    say("    with tier 3", share(v.tier != "unknown" for v in realistic))


def right_rules() -> None:
    passed = []
    for operation in OPERATIONS:
        for seed in range(8):
            for draw in (operation.generic, operation.square):
                if draw is not None:
                    inputs = draw(np.random.default_rng(seed))
                    passed.append(scoring.check(operation.forward, operation.backward, *inputs, seed=seed).passed)
    say("right rules of the corpus: accused", share(not p for p in passed))


def milliseconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def times() -> None:
    right, wrong, deeper = [], [], []
    for operation in OPERATIONS:
        inputs = operation.generic(np.random.default_rng(0))
        right.append(milliseconds(lambda: scoring.check(operation.forward, operation.backward, *inputs)))  # noqa: B023
        wrong += [milliseconds(lambda: scoring.verdict(operation, mutant, 0)) for mutant in operation.mutants]  # noqa: B023
    for operation in held_out.OPERATIONS:
        inputs = operation.inputs(np.random.default_rng(0))
        reference = (operation.forward, operation.backward)
        wrong_rule = lambda c, gy: tuple(None if g is None else g * 1.01 + 0.01 * g**3 for g in operation.backward(c, gy))  # noqa: B023
        deeper.append(milliseconds(lambda: scoring.check(operation.forward, wrong_rule, *inputs, reference=reference)))  # noqa: B023
    for what, spent in (("right rule", right), ("wrong rule", wrong), ("wrong rule, all tiers tried", deeper)):
        median, most, longest = np.percentile(spent, (50, 95, 100))
        say(f"time of a check, {what}: median, 95 %, most", f"{median:.1f} ms, {most:.1f} ms, {longest:.1f} ms")
    say("time of the suite of all right rules", f"{sum(right) / 1e3:.2f} s for {len(right)}")


def large_input() -> None:
    calls = [0]

    def forward(x: Any) -> Any:
        calls[0] += 1
        return np.sin(x) * x, x

    def right(x: Any, gy: Any) -> Any:
        return gy * (np.cos(x) * x + np.sin(x))

    def wrong(x: Any, gy: Any) -> Any:
        g = right(x, gy)
        g[123, 456] *= 1.3
        return g

    x = np.random.default_rng(0).normal(size=(1000, 1000))
    for what, backward in (("a right rule", right), ("one entry wrong by 30 %", wrong)):
        calls[0] = 0
        start = time.perf_counter()
        report = scoring.check(forward, backward, x)
        found = "" if report.passed else f", found {report.diagnoses[0].args['entries']}"
        say(f"10^6 entries, {what}", f"{calls[0]} forwards, {time.perf_counter() - start:.1f} s{found}")


def imports() -> None:
    def fastest(module: str) -> float:
        code = f"import numpy, time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
        runs = [
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(5)
        ]
        return 1e3 * min(map(float, runs))

    say("import of tinyad, over that of NumPy", f"{fastest('tinyad'):.0f} ms")


if __name__ == "__main__":
    main()
