"""The command ``tinyad check``: a student's own file, checked and explained.

Exit codes: 0 if everything passed; 1 if a gradient is wrong; 2 if the call is wrong; 3 if the student's code raised; 4 if the
checker itself failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import sys
import traceback
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .check import check
from .engine import check_engine
from .layers import check_layer
from .report import LEVELS, Diagnosis, Report
from .rule import CALLINGS, Raised
from .rules import check_rule
from .subject import Crashed, NoInputs, Subject, described, inputs_of, load_file, require_fit, subjects

__all__ = ["CRASHED", "FAILED", "INTERNAL", "PASSED", "USAGE", "add_check"]

PASSED, FAILED, USAGE, CRASHED, INTERNAL = range(5)
NAME_IT = "call it NAME_backward, or say --backward NAME."
RAISED = {"exception", "forward_exception"}  # labels of diagnoses

EXAMPLES = """\
examples:
  tinyad check ops.py::softmax --shapes 5x3          softmax_forward (or softmax) and softmax_backward
  tinyad check ops.py::affine --shapes 5x3,3x7,7     three inputs
  tinyad check ops.py::f --backward df --shapes 4    other names
  tinyad check layers.py::Linear --shapes 5x3        a class with forward and backward
  tinyad check engine.py::Value                      an engine of your own
  tinyad check ops.py                                all rules, layers and engines of the file
  tinyad check hw.ipynb::softmax                     of a notebook the code cells are run

Instead of giving shapes you can write into the file how inputs are drawn, which also works for labels and indices:
  def softmax_inputs(rng):
      return rng.normal(size=(5, 3))
A layer that needs arguments is made by a function: def make_Linear(rng): return Linear(rng.normal(size=(3, 7)))
A backward is called NAME_backward, NAME_bwd, NAME_grad, dNAME or what --backward says. Of a function that has none, tinyad's own
derivative is checked.

exit codes: 0 everything passed; 1 a gradient is wrong; 2 the call is wrong; 3 your code raised; 4 the checker failed
"""


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a command line."""
    parser = commands.add_parser(
        "check",
        help="check a gradient you wrote, and say why it is wrong",
        description="Check a backward function you wrote against numeric derivatives of its forward function, and say what is "
        "wrong with it and why.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", metavar="FILE[::NAME]", help="the file, and what to check in it; everything if no name is given"
    )
    parser.add_argument("--backward", metavar="NAME", default="", help="the backward function, if it is not NAME_backward")
    parser.add_argument("--shapes", default="", help="of the inputs: 5x3,3x7,7 for three; 'scalar' for a number")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="", help="of the inputs; by default as they are drawn"
    )
    parser.add_argument(
        "--calling",
        choices=tuple(CALLINGS),
        default="cache_dout",
        help="whether it is backward(cache, dout), the default, or backward(dout, cache)",
    )
    parser.add_argument("--level", choices=("quick", "full"), default="full", help="quick: only whether it is right, not why")
    parser.add_argument(
        "--feedback",
        choices=LEVELS,
        default="explain",
        help="how much is said: what is wrong; also the likely cause; also the numbers (default: explain)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the reports as JSON, too")
    parser.add_argument("--plot", metavar="FILE", help="draw where the first wrong gradient is wrong: .png, .svg or .pdf")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        return _check(arguments)
    except BrokenPipeError:  # whoever read the output has seen enough
        raise
    except Crashed as error:
        print(f"tinyad check: {error}", file=sys.stderr)
        return CRASHED
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"tinyad check: {error}", file=sys.stderr)
        return USAGE
    except Exception:
        traceback.print_exc()
        print("tinyad check: an error of the checker itself, which is not your fault. Please report it.", file=sys.stderr)
        return INTERNAL


def _check(arguments: argparse.Namespace) -> int:
    if arguments.seed < 0:
        raise ValueError(f"--seed is {arguments.seed}; expected 0 or more.")
    _require_writable("--json", arguments.json)
    _require_writable("--plot", arguments.plot, (".png", ".svg", ".pdf"))
    if arguments.plot and importlib.util.find_spec("matplotlib") is None:
        raise ValueError("--plot needs matplotlib: pip install matplotlib.")
    file, _, name = arguments.what.partition("::")
    module = load_file(file)
    reports = []
    for subject in subjects(module, name, arguments.backward):
        try:
            report = _report(module, subject, arguments)
        except NoInputs as error:
            if name:
                raise
            print(f"{subject.name} was not checked: {error}", file=sys.stderr)
            continue
        reports.append(_for_the_shell(replace(report, repeat=_again(arguments, file, subject.name))))
        print(reports[-1].text(arguments.feedback))
        if subject.kind == "function":
            print(f"  This was tinyad's own derivative of {subject.name}; no backward of yours was checked: {NAME_IT}")
    if not reports:
        raise ValueError(f"nothing in {file} was checked.")
    if arguments.json:
        parsed = [json.loads(report.to_json()) for report in reports]
        Path(arguments.json).write_text(json.dumps(parsed[0] if name else parsed, indent=1, sort_keys=True) + "\n")
    if arguments.plot:
        _plot(reports, arguments.plot)
    return _status(reports)


def _require_writable(option: str, path: str | None, endings: Sequence[str] = ()) -> None:
    """Raise ValueError for a file that could not be written when all is done."""
    if path is None:
        return
    file = Path(path)
    if endings and file.suffix.lower() not in endings:
        raise ValueError(f"{option} is {path!r}; expected a file that ends in {', '.join(endings)}.")
    if file.is_dir() or not file.parent.is_dir():
        raise ValueError(
            f"{option} is {path!r}; {f'{str(file.parent)!r} is no folder' if not file.is_dir() else 'that is a folder'}."
        )
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ValueError(f"{option} is {path!r}, which cannot be written.")


def _for_the_shell(report: Report) -> Report:
    """A report whose remedies are options of the command, not arguments of a function."""
    return replace(report, diagnoses=tuple(map(_with_options, report.diagnoses)))


def _with_options(diagnosis: Diagnosis) -> Diagnosis:
    fact, hint, explain = (
        re.sub(r"\bcalling='(\w+)'", r"--calling \1", text) for text in (diagnosis.fact, diagnosis.hint, diagnosis.explain)
    )
    return replace(diagnosis, fact=fact, hint=hint, explain=explain)


def _again(arguments: argparse.Namespace, file: str, name: str) -> str:
    """The command that makes one check again."""
    given = {"backward": "", "shapes": "", "seed": 0, "dtype": "", "calling": "cache_dout"}
    options = [
        part for key, usual in given.items() if (value := getattr(arguments, key)) != usual for part in (f"--{key}", value)
    ]
    return shlex.join(["python", "-m", "tinyad", "check", f"{file}::{name}", *map(str, options)])


def _status(reports: Sequence[Report]) -> int:
    if all(reports):
        return PASSED
    crashed = any(d.error and d.label in RAISED for report in reports for d in report.diagnoses)
    return CRASHED if crashed else FAILED


def _plot(reports: Sequence[Report], path: str) -> None:
    """A picture of the first report that failed, or of the first that has numbers."""
    drawn = sorted((report for report in reports if report.comparisons), key=bool)
    if not drawn:
        raise ValueError("--plot: there are no numbers to draw, because of what the report says; mend that first.")
    drawn[0].plot(path)
    print(f"picture in {path}")


def _report(module: types.ModuleType, subject: Subject, arguments: argparse.Namespace) -> Report:
    """The check of one subject. What the student's code raises where no check catches it is a crash."""
    options: dict[str, Any] = {"seed": arguments.seed, "raises": False}
    if subject.kind != "function":
        options |= {"level": arguments.level, "feedback": arguments.feedback}
    if subject.kind == "engine":
        return check_engine(*subject.parts, **options)
    inputs = inputs_of(module, subject.name, arguments.shapes, arguments.seed, arguments.dtype)
    require_fit(module, subject, inputs, arguments.shapes)
    if subject.kind == "rule":
        return check_rule(*subject.parts, *inputs, calling=arguments.calling, name=subject.name, **options)
    checked = _layer(module, subject, arguments.seed) if subject.kind == "layer" else subject.parts[0]
    try:
        if subject.kind == "function":
            _refuse_a_pair(subject, inputs)
        return (check_layer if subject.kind == "layer" else check)(checked, *inputs, **options)
    except Raised as raised:
        raise Crashed(f"{subject.name}: {raised} {raised.place()}") from raised
    except Exception as error:
        if _is_theirs(error, module):
            raise Crashed(f"{subject.name} raised {described(error)}") from error
        raise


def _refuse_a_pair(subject: Subject, inputs: tuple[Any, ...]) -> None:
    """Raise ValueError if a function returns a value and a cache: it is a forward, and its backward is what is to be checked."""
    with np.errstate(all="ignore"):
        returned = subject.parts[0](*inputs)
    if isinstance(returned, (tuple, list)) and len(returned) == 2:
        raise ValueError(
            f"{subject.name} returns a pair, like the forward of a rule, and there is no backward to it: expected "
            f"{subject.name}_backward in the file, or its name: --backward NAME."
        )


def _layer(module: types.ModuleType, subject: Subject, seed: int) -> Any:
    """A layer: what ``make_NAME(rng)`` gives, or the class called without arguments."""
    maker = getattr(module, f"make_{subject.name}", None)
    try:
        return maker(np.random.default_rng(seed)) if callable(maker) else subject.parts[0]()
    except TypeError as error:
        if callable(maker):
            raise Crashed(f"make_{subject.name}(rng) raised {described(error)}") from error
        raise ValueError(
            f"{subject.name}() raised {error}. If it needs arguments, write into the file how one is made: "
            f"def make_{subject.name}(rng): return {subject.name}(...)"
        ) from error
    except Exception as error:
        made_by = f"make_{subject.name}(rng)" if callable(maker) else f"{subject.name}()"
        raise Crashed(f"{made_by} raised {described(error)}") from error


def _is_theirs(error: BaseException, module: types.ModuleType) -> bool:
    """Whether an error came by the student's file, and is not the checker's complaint about what it was given."""
    return any(frame.f_code.co_filename == module.__file__ for frame, _ in traceback.walk_tb(error.__traceback__))
