"""The pytest plugin: gradient checks as a fixture, points for them by a marker, their reports on failure and as JSON.

    def test_softmax(gradcheck):
        gradcheck.rule(softmax, softmax_backward, np.array([[0.5, -1.0, 2.0]]))

    @pytest.mark.gradcheck(points=3, hidden=True)
    def test_engine(gradcheck):
        gradcheck(Value)

It stands beside the package and not in it, because pytest loads it in every run in the environment: here nothing of tinyad, nor
NumPy, is imported before a test asks for the fixture's first check.
"""

from __future__ import annotations

import json
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

LEVELS = ("fact", "hint", "explain")
SCHEMA = 1  # of the JSON
SECTION = "gradient check"
MARKER = "gradcheck(points=0, hidden=False): a graded gradient check; of a hidden one that fails nothing but that is shown"

REPORTS = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options ``--tinyad-seed``, ``--tinyad-json`` and ``--tinyad-feedback``."""
    group = parser.getgroup("tinyad", "gradient checks")
    group.addoption("--tinyad-seed", type=int, default=0, metavar="N", help="seed of the gradient checks (default 0)")
    group.addoption("--tinyad-json", metavar="FILE", help="write the reports of all gradient checks, and the points, into FILE")
    group.addoption("--tinyad-feedback", choices=LEVELS, default="explain", help="how much reports say (default explain)")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and what keeps the results."""
    if (seed := config.getoption("--tinyad-seed")) < 0:
        raise pytest.UsageError(f"--tinyad-seed is {seed}; expected 0 or more.")
    config.addinivalue_line("markers", MARKER)
    if not hasattr(config, "workerinput"):  # a worker of xdist sends its reports to the one that started it
        config.pluginmanager.register(Results(config), "tinyad-results")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse markers that say nothing, before any test runs."""
    for item in items:
        _mark(item)


# ---- the fixture


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Gradcheck:
    """Checks of gradients: ``gradcheck(f, *inputs)``, ``.rule``, ``.layer``, ``.engine``. A wrong one fails the test."""
    reports = request.node.stash.setdefault(REPORTS, [])
    option = request.config.getoption
    return Gradcheck(reports, option("--tinyad-seed"), option("--tinyad-feedback"))


@dataclass(frozen=True)
class Gradcheck:
    """The checks of tinyad with the seed and the feedback of this run.

    All take the options of the function of tinyad that they call; ``raises=False`` returns a failed report and leaves the test
    to go on.

    Attributes:
        reports: of all checks of this test.
        seed, feedback: of the checks, unless they are given others.
    """

    reports: list[Any]
    seed: int
    feedback: str

    def __call__(self, subject: Any, *inputs: Any, **options: Any) -> Any:
        """Check a function of tinyad, a forward and a backward, a layer with inputs, or the class of an engine."""
        __tracebackhide__ = True
        if isinstance(subject, type) and not inputs:
            return self.engine(subject, **options)
        if callable(getattr(subject, "forward", None)) and callable(getattr(subject, "backward", None)):
            return self.layer(subject, *inputs, **options)
        if inputs and callable(subject) and callable(inputs[0]):
            return self.rule(subject, *inputs, **options)
        return self.function(subject, *inputs, **options)

    def function(self, f: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """`tinyad.check`: tinyad's own derivative of a function."""
        __tracebackhide__ = True
        return self._run("check", f, *inputs, **options)

    def rule(self, forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """`tinyad.check_rule`: a backward written by hand."""
        __tracebackhide__ = True
        return self._run("check_rule", forward, backward, *inputs, **options)

    def layer(self, layer: Any, *inputs: Any, **options: Any) -> Any:
        """`tinyad.check_layer`: an object with forward and backward."""
        __tracebackhide__ = True
        return self._run("check_layer", layer, *inputs, **options)

    def engine(self, Value: Callable[..., Any], **options: Any) -> Any:
        """`tinyad.check_engine`: an engine written by hand."""
        __tracebackhide__ = True
        return self._run("check_engine", Value, **options)

    def _run(self, check: str, *arguments: Any, raises: bool = True, feedback: str | None = None, **options: Any) -> Any:
        __tracebackhide__ = True
        from dataclasses import replace

        import tinyad

        report = getattr(tinyad, check)(*arguments, seed=options.pop("seed", self.seed), raises=False, **options)
        report = replace(report, feedback=feedback or self.feedback)
        self.reports.append(report)
        if raises and not report.passed:
            raise tinyad.GradientError(report)
        return report


# ---- the report of a test


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Give a test's report what its gradient checks found, and show a failed one at the student's line."""
    outcome: Any = yield
    report = outcome.get_result()
    reports = [*item.stash.setdefault(REPORTS, [])]
    mark = _mark(item)
    failed = _gradient_error(call)
    if failed is not None and all(failed.report is not each for each in reports):
        reports.append(failed.report)  # the test called tinyad's check itself
    if mark is None and not reports:
        return
    points, hidden = mark or (0.0, False)
    if call.when == "call" or report.outcome != "passed":
        # An attribute, not a property of the user: it goes from xdist's workers to the controller, and not into junit's XML.
        report.tinyad = {"points": points, "hidden": hidden, "reports": [each.as_dict() for each in reports]}
    if hidden and report.outcome == "failed":
        report.longrepr, report.sections = Shortened("a hidden check failed"), []
        report.tinyad_crash = ["", 0, "a hidden check failed"]
    elif failed is not None:
        report.longrepr = _shortened(call.excinfo, failed.report)
        report.tinyad_crash = [
            report.longrepr.reprcrash.path,
            report.longrepr.reprcrash.lineno,
            report.longrepr.reprcrash.message,
        ]
        report.sections.append((SECTION, failed.report.text(item.config.getoption("--tinyad-feedback"))))


def _mark(item: pytest.Item) -> tuple[float, bool] | None:
    """The points of a test, and whether it is hidden."""
    mark = item.get_closest_marker("gradcheck")
    if mark is None:
        return None
    unknown = set(mark.kwargs) - {"points", "hidden"}
    points = mark.kwargs.get("points", 0)
    if mark.args or unknown or isinstance(points, bool) or not isinstance(points, (int, float)) or points < 0:
        given = ", ".join([*map(repr, mark.args), *(f"{key}={value!r}" for key, value in mark.kwargs.items())])
        raise pytest.UsageError(
            f"{item.nodeid}: the marker is gradcheck({given}); expected points=<a number, not negative> and hidden=<True or False>."
        )
    return float(points), bool(mark.kwargs.get("hidden", False))


def _gradient_error(call: pytest.CallInfo[None]) -> Any:
    """The failed gradient check that ended a test; None if something else did, or nothing."""
    module = sys.modules.get("tinyad.checking.report")
    if module is None or call.excinfo is None or not isinstance(call.excinfo.value, module.GradientError):
        return None
    return call.excinfo.value


class Shortened:
    """A failure in a few lines, as pytest prints it and as its summary and junit's XML quote it."""

    def __init__(self, text: str, path: str = "", line: int = 0, message: str = "") -> None:
        self.text = text
        self.reprcrash = Crash(path, line, message or text)

    def __str__(self) -> str:
        return self.text

    def toterminal(self, terminal: Any) -> None:
        """Print it."""
        for row in self.text.splitlines():
            terminal.line(row, red=row.startswith("E "))


@dataclass(frozen=True)
class Crash:
    """Where a test failed, and why."""

    path: str
    lineno: int
    message: str


def _shortened(excinfo: Any, report: Any) -> Shortened:
    """The line of the test, or of what it called, that ended in the check; and the first line of what was found."""
    frames = [entry for entry in excinfo.traceback if not _is_ours(str(entry.path))] or list(excinfo.traceback)
    last = frames[-1]
    path, line = str(last.path), last.lineno + 1
    shown = Path(os.path.relpath(path)).as_posix() if _on_this_drive(path) else path
    message = report.text("fact").splitlines()[0]
    if report.diagnoses and report.diagnoses[0].error:
        first = report.diagnoses[0]
        message += f": {first.fact} [{first.id} {first.label}]"
    code = linecache.getline(path, line).strip()
    return Shortened(f"{shown}:{line}: in {last.name}\n    {code}\nE   {message}", path, line, message)


def _is_ours(path: str) -> bool:
    """Whether a file is this one, pytest's or tinyad's."""
    package = sys.modules.get("tinyad")
    folders = [str(Path(package.__file__).parent)] if package is not None and package.__file__ else []
    folders += [str(Path(pytest.__file__).parent), str(Path(pytest.__file__).parents[1] / "_pytest")]
    return path == __file__ or any(Path(path).is_relative_to(folder) for folder in folders)


def _on_this_drive(path: str) -> bool:
    return os.path.splitdrive(path)[0] == os.path.splitdrive(os.getcwd())[0]


# ---- all tests


@dataclass(eq=False)  # pytest puts plugins into sets
class Results:
    """What the tests of a run found, and the points for it.

    Attributes:
        config: of the run.
        tests: by their ids.
    """

    config: pytest.Config
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test's report says of gradient checks; a failure to tear down takes the points again."""
        known = self.tests.get(report.nodeid)
        found = getattr(report, "tinyad", None)
        if found is not None and (known is None or report.when != "teardown"):
            self.tests[report.nodeid] = known = {"id": report.nodeid, "outcome": report.outcome, **found}
        if known is not None and report.outcome != "passed":
            known["outcome"] = report.outcome
        if (crash := getattr(report, "tinyad_crash", None)) and isinstance(report.longrepr, str):
            longrepr: Any = Shortened(report.longrepr, *crash)
            report.longrepr = longrepr  # from a worker of xdist it comes as text alone

    def pytest_sessionfinish(self) -> None:
        """Write the JSON: whole, or not at all."""
        given = self.config.getoption("--tinyad-json")
        if given is None:
            return
        path = self.config.invocation_params.dir / given
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(path.name + ".tmp")
        half.write_text(json.dumps(self.as_dict(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        half.replace(path)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say the points, if there are any."""
        found = self.as_dict()
        if found["points"]:
            terminalreporter.write_line(f"gradient checks: {found['earned']:g} of {found['points']:g} points")

    def as_dict(self) -> dict[str, Any]:
        """The results: in the order of the tests' ids, because workers finish in any order, and without times."""
        tests = [{**test, "earned": _earned(test)} for _, test in sorted(self.tests.items())]
        return {
            "schema": SCHEMA,
            "tinyad": _version(),
            "seed": self.config.getoption("--tinyad-seed"),
            "points": sum(test["points"] for test in tests),
            "earned": sum(test["earned"] for test in tests),
            "tests": tests,
        }


def _earned(test: dict[str, Any]) -> float:
    return float(test["points"]) if test["outcome"] == "passed" else 0.0


def _version() -> str:
    try:
        return version("tinyad")
    except PackageNotFoundError:  # run from a checkout
        return ""
