"""The command line: ``python -m tinyad``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 if it did what was asked, 1 if it could not, 2 if it was asked wrongly."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        status: int = arguments.run(arguments)
    except ModuleNotFoundError as error:
        print(f"tinyad {arguments.command}: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"tinyad {arguments.command}: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tinyad", description="Automatic differentiation in NumPy.")
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands")
    _add_demo(commands)
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


if __name__ == "__main__":
    sys.exit(main())
