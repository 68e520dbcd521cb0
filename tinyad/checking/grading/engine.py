"""Engines: a student's class, which the probes of `check_engine` reach through its worker.

An engine's points have ten equal shares: eight for the gradients of eight small graphs, one for the derivatives of its operations,
one for what else is probed (long graphs, second ones, work). The last two are earned only where they were looked at: operations
are judged when graphs in which every node is used once come out right, the rest when all eight do.
"""

from __future__ import annotations

from ..engine.check import examine_engine
from ..engine.driver import Failure
from ..engine.graphs import GRAPHS, gradient, identify
from ..report import Diagnosis, Report
from .assignment import Engine
from .remote_driver import RemoteDriver
from .results import CaseResult, TestResult
from .submission import Submission

__all__ = ["grade_engine"]

OF_OPERATIONS = {"E12", "E18", "E19", "E27"}  # and those of `check_rule`
OF_ONE_OPERATION = {"E01", "E06", "E10"}  # where all eight graphs are right; otherwise it is they that are lost


def grade_engine(item: Engine, test: TestResult, student: Submission, seed: int, level: str) -> None:
    """Grade an engine; if its worker ends, what came before is told by the caller."""
    driver = RemoteDriver(student, item.file, item.names[0])
    found = [_gradient(driver, k) for k in range(len(GRAPHS))]
    pairs = zip(found, GRAPHS, strict=True)
    right = [value is not None and abs(value - graph.right) <= 1e-5 * graph.right for value, graph in pairs]
    report = examine_engine(driver, seed=seed)
    shares = {graph.text: float(fine) for graph, fine in zip(GRAPHS, right, strict=True)}
    shares |= _others(report, all(right), _operations_judged(found, all(right)))
    case = CaseResult(item.names[0], shares=shares, diagnoses=[diagnosis.as_dict() for diagnosis in report.diagnoses])
    case.statements = [*_said(report, level), *(f"note    {note}" for note in report.notes)]
    test.cases.append(case)
    earned = sum(shares.values())
    told = [f"{earned:g} of {len(shares)} probes pass", *_missed(shares), "", *case.statements]
    test.settle(earned / len(shares) * item.points, "\n".join(told))


def _gradient(driver: RemoteDriver, k: int) -> float | None:
    """The engine's gradient of a graph; None if it raises."""
    try:
        return gradient(driver, GRAPHS[k])[0]
    except Failure:
        return None


def _operations_judged(found: list[float | None], right: bool) -> bool:
    """Whether `examine_engine` could judge the operations."""
    gradients = [value for value in found if value is not None]
    model = None if right or len(gradients) < len(found) else identify(gradients)
    return model is None or model.trees


def _others(report: Report, right: bool, judged: bool) -> dict[str, float]:
    """The shares that the report decides."""
    errors = [diagnosis for diagnosis in report.diagnoses if diagnosis.error]
    of_operations = [diagnosis for diagnosis in errors if _of_operations(diagnosis, right)]
    unusable = any(diagnosis.id == "E11" for diagnosis in errors)
    rest = len(errors) - len(of_operations)
    return {
        "operations": float(judged and not unusable and not of_operations),
        "long graphs, second ones, work": float(right and not unusable and not rest),
    }


def _of_operations(diagnosis: Diagnosis, right: bool) -> bool:
    ids = OF_OPERATIONS | OF_ONE_OPERATION if right else OF_OPERATIONS
    return not diagnosis.id.startswith("E") or diagnosis.id in ids


def _said(report: Report, level: str) -> list[str]:
    return [(f"{each.name}\n" if each.name else "") + each.text(level) for each in report.diagnoses]


def _missed(shares: dict[str, float]) -> list[str]:
    missed = [probe for probe, share in shares.items() if not share]
    return [f"not: {'; '.join(missed)}"] if missed else []
