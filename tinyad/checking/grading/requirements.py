"""The packages that an assignment needs beside NumPy and tinyad.

Where it will be graded, nothing else is installed. So it is loaded in a process in which the other packages that there are here
cannot be imported, and its references are called; what it cannot do without is what must be installed there, too.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

from .assignment import Rule
from .loading import load_assignment
from .rehearsal import situations

__all__ = ["check_requirements", "needed"]

ALWAYS = ("numpy", "tinyad")
LONGEST = 300.0  # seconds for loading an assignment
REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)(\[[\w,. -]+\])?\s*([<>=!~]=?[\w.*<>=!~, ]+)?")
CHILD = "from tinyad.checking.grading.requirements import load_without; load_without()"


def check_requirements(file: Path, required: Sequence[str]) -> None:
    """Raise ValueError unless an assignment can be loaded with nothing but NumPy, tinyad and what is required.

    Args:
        file: that declares the assignment.
        required: as pip takes them: ``scikit-learn``, ``"scipy>=1.13"``.
    """
    for each in required:
        if not REQUIREMENT.fullmatch(each.strip()):
            raise ValueError(f"--require is {each!r}; expected a package as pip takes it, like scikit-learn or 'scipy>=1.13'.")
    if missing := needed(file, required):
        options = " ".join(f"--require {name}" for name in missing)
        raise ValueError(
            f"{file.name} needs {' and '.join(missing)}, which would not be installed where it is graded. Add {options}."
        )


def needed(file: Path, required: Sequence[str] = ()) -> list[str]:
    """The packages without which an assignment cannot be loaded, beside NumPy, tinyad and those that are required."""
    found: list[str] = []
    while (package := _refused(file, _with_their_own([*ALWAYS, *required, *found]))) and package not in found:
        found.append(package)
    return found


def _refused(file: Path, allowed: Iterable[str]) -> str:
    """The package for want of which an assignment cannot be loaded; empty if it can."""
    command = [sys.executable, "-c", CHILD, str(file.resolve()), *allowed]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        return str(json.loads(done.stdout))
    except (subprocess.TimeoutExpired, ValueError):  # that it can be loaded at all is the business of others
        return ""


def _with_their_own(names: Iterable[str]) -> list[str]:
    """Packages, and all that they require themselves."""
    to_do, found = [_name(each) for each in names], dict.fromkeys(["tinyad"])
    while to_do:
        name = to_do.pop()
        if name not in found:
            found[name] = None
            to_do += [_name(each) for each in _requirements(name)]
    return list(found)


def _requirements(name: str) -> list[str]:
    try:
        return [each for each in requires(name) or [] if "extra ==" not in each]
    except PackageNotFoundError:
        return []


def _name(requirement: str) -> str:
    """The name in ``scipy>=1.13``, in the one spelling of several."""
    found = re.match(r"\s*([\w.-]+)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


# ---- in the process that loads it


class Without:
    """A finder of modules that finds none, and refuses those of packages that are not allowed.

    Attributes:
        folder: whose own modules are not refused.
        refused: the packages.
    """

    def __init__(self, folder: Path, allowed: Iterable[str]) -> None:
        self.folder, self.allowed = folder, set(allowed)
        self.packages = packages_distributions()
        self.refused: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise ModuleNotFoundError as if the package were not there."""
        top = name.partition(".")[0]
        packages = [] if top in sys.stdlib_module_names else [_name(each) for each in self.packages.get(top, [])]
        own = (self.folder / f"{top}.py").is_file() or (self.folder / top).is_dir()
        if packages and not own and not self.allowed & set(packages):
            self.refused.append(packages[0])
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def load_without() -> None:
    """Load the assignment of the first argument with the packages of the others; print the one it lacks, as JSON."""
    file = Path(sys.argv[1])
    finder = Without(file.parent, sys.argv[2:])
    sys.meta_path.insert(0, finder)
    lacking = ""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            assignment = load_assignment(file)
            for rule in [item for item in assignment.items if isinstance(item, Rule)]:
                for situation in situations(assignment, rule):
                    rule.forward_of_reference(situation.kwargs)(*situation.inputs())
    except (Exception, SystemExit):
        lacking = finder.refused[-1] if finder.refused else ""
    print(json.dumps(lacking))
