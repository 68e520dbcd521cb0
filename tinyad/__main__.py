"""The command line: ``python -m tinyad``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinyad.checking.command import add_check
from tinyad.checking.grading.cli import add_commands as add_grading
from tinyad.version import __version__

if TYPE_CHECKING:
    from tinyad.doctor import Findings

__all__ = ["main"]

CLOSED = 141  # as shells have it for a program whose reader has gone


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 if it did what was asked, 1 if it could not, 2 if it was asked wrongly.

    The commands for gradients have two more: 3 if the code they were given raised, 4 if they failed themselves.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    if argv is None and arguments.command != "doctor":
        _apply_findings()
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`; what is left is written to nowhere, or Python would complain of it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except ModuleNotFoundError as error:
        print(f"tinyad {arguments.command}: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"tinyad {arguments.command}: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tinyad", description="Automatic differentiation in NumPy.")
    parser.add_argument("--version", action="version", version=f"tinyad {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands")
    _add_demo(commands)
    _add_doctor(commands)
    add_check(commands)
    add_grading(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="train a network on real digits and write a report",
        description="Load real digits, check the gradient of the loss, train a residual network, and write a page that shows it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--data", choices=("digits", "mnist"), default="digits", help="which images")
    demo.add_argument("--seed", type=int, default=0, help="of the split, the weights and the order of the images")
    demo.add_argument("--epochs", type=int, help="passes through the training images; by default what suits the data")
    demo.add_argument("--out", default="tinyad-demo", metavar="DIR", help="folder for report.html")
    demo.add_argument("--dtype", choices=("float32", "float64"), default="float64", help="precision of the training")
    demo.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from tinyad.demo import demo

    chosen = {name: getattr(arguments, name) for name in ("data", "seed", "epochs", "out", "dtype")}
    return 0 if demo(**chosen).passed else 1


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what would make NumPy faster on this machine",
        description="Look at the processor, the BLAS under NumPy, the GPU and the optional packages, and try in child processes "
        "which settings make matrix products faster. What helps is kept, and the other commands start with it.",
    )
    what = doctor.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="print the findings for machines")
    what.add_argument(
        "--shell", action="store_true", help="print only what helps, as lines for a shell; nothing if nothing does"
    )
    how = doctor.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="measure for seconds only, and see less in the noise")
    how.add_argument("--cached", action="store_true", help="with --shell: what an earlier run found and is not set, at once")
    doctor.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from tinyad import doctor

    if arguments.cached and not arguments.shell:
        raise ValueError("--cached gives only what to set; add --shell.")
    if arguments.cached:
        setting = doctor.to_apply(os.environ)
    else:
        duration = "a few seconds" if arguments.quick else "up to half a minute"
        print(f"Trying settings in child processes, {duration} ...", file=sys.stderr)
        found = doctor.examine(arguments.quick)
        setting = found.setting
        if not arguments.shell:
            print(found.json() if arguments.json else f"\n{found}\n", flush=True)
        _keep(found)
    if arguments.shell:
        print(*(f"{line}\n" for line in doctor.export_lines(setting)), sep="", end="")
    return 0


def _keep(found: Findings) -> None:
    """Keep what was found, and say where. On stderr, because stdout may go to a program."""
    from tinyad import doctor

    try:
        file = doctor.save(found)
    except (OSError, ValueError) as error:
        print(f"Not kept, for the other commands to go by: {error}.", file=sys.stderr)
    else:
        applied = "; other commands of `python -m tinyad` now set this themselves, unless TINYAD_NO_DOCTOR=1 is set"
        print(f"Kept in {file}{applied if found.setting else ''}.", file=sys.stderr)


def _apply_findings() -> None:
    """Start again with what the doctor found, if there is something that is not set yet."""
    from tinyad import doctor

    if setting := doctor.to_apply(os.environ):
        lines = " ".join(f"{name}={value}" for name, value in setting.items())
        print(f"tinyad: with {lines}, as `python -m tinyad doctor` found (TINYAD_NO_DOCTOR=1: without).", file=sys.stderr)
        doctor.restart(setting)


if __name__ == "__main__":
    sys.exit(main())
