"""Applying it: what an earlier run found is kept in a small file, and the command line starts itself again with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from .findings import Findings
from .machine import machine_key, processor
from .trials import THREADS, VARIABLES, Setting

__all__ = ["cache_file", "restart", "save", "to_apply"]


def cache_file() -> Path:
    """Where it is kept: with the user, since it belongs to the machine and not to a project."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "tinyad" / "doctor.json"


def save(found: Findings) -> Path:
    """Keep what to set, beside what was found on other machines.

    Raises:
        ValueError: if the findings say nothing about other days: a variable that could have helped was set already, and what
            helps beside it need not help without it; or nothing was found, but the machine was busy.
        OSError: if the file cannot be written.
    """
    if already := sorted(VARIABLES & set(found.environment)):
        raise ValueError(f"{', '.join(already)} is set, and what helps beside it need not help without it")
    if found.crowded and not found.setting:
        raise ValueError("the machine was busy")
    file = cache_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = _read() | {machine_key(found.processor): {"setting": found.setting, "gain": found.gain}}
    new = file.with_suffix(f".{os.getpid()}")  # renamed when complete, so that no one reads half a file
    new.write_text(json.dumps(kept, indent=2), encoding="utf-8")
    os.replace(new, file)
    return file


def to_apply(environment: Mapping[str, str]) -> Setting:
    """What was found for this machine, without what the user has set; nothing at all under TINYAD_NO_DOCTOR."""
    kept = _read()
    if not kept or environment.get("TINYAD_NO_DOCTOR"):
        return {}
    try:
        setting = kept[machine_key(processor())]["setting"].items()
    except (LookupError, TypeError, AttributeError):  # found on another machine, or not written by `save`
        return {}
    decided = set(environment) | (THREADS if THREADS & set(environment) else set())
    # This ends up in a shell and in a new process: only names and values that we could have written pass.
    return {
        name: value
        for name, value in setting
        if name in VARIABLES - decided and isinstance(value, str) and re.fullmatch("[A-Z0-9]+", value)
    }


def restart(setting: Setting) -> NoReturn:
    """Start this program again with the same arguments, under a setting: NumPy has loaded its BLAS already."""
    command, environment = [sys.executable, *sys.orig_argv[1:]], {**os.environ, **setting}
    if sys.platform == "win32":  # where exec would give the prompt back while the new process still runs
        sys.exit(subprocess.run(command, env=environment).returncode)
    sys.stdout.flush()  # exec forgets what Python has not written yet
    sys.stderr.flush()
    os.execve(sys.executable, command, environment)


def _read() -> dict[str, Any]:
    try:
        kept = json.loads(cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # never written, or not by `save`
        return {}
    return kept if isinstance(kept, dict) else {}
