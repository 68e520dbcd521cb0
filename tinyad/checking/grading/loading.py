"""Reading an assignment from the file that declares it."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .assignment import Assignment

__all__ = ["load_assignment", "own_files"]


def load_assignment(path: str | Path) -> Assignment:
    """Run a file and give the assignment it declares.

    Modules beside the file can be imported by it. The files that it is made of are put down as private.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it raises, or does not declare exactly one assignment; the message says which.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no assignment {str(path)!r}; expected a Python file that declares one.")
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    with _own_modules(file.parent) as before:
        _run(file, module)
        private = own_files(file, set(sys.modules) - before)
    found = list({id(value): value for value in vars(module).values() if isinstance(value, Assignment)}.values())
    if len(found) != 1:
        named = ", ".join(repr(each.name) for each in found) or "none"
        raise ValueError(f"{file.name} declares {len(found)} assignments ({named}); expected one, `hw = tg.Assignment(...)`.")
    assignment = found[0]
    assignment.private = (*assignment.private, *private)
    return assignment


@contextmanager
def _own_modules(folder: Path) -> Iterator[set[str]]:
    """Import what lies in a folder anew, and forget it afterwards: another assignment has its own ``ops``. Gives the names of the
    modules that there are already."""
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    others = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names - {"__main__"}}
    importlib.invalidate_caches()
    before = set(sys.modules)
    try:
        yield before
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in names:
                del sys.modules[name]
        sys.modules.update(others)


def _run(file: Path, module: types.ModuleType) -> None:
    """Run a file as a module, without leaving compiled copies of it or of what it imports."""
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(file.parent))
    try:
        source = file.read_text(encoding="utf-8")
        linecache.cache[str(file)] = (len(source), None, source.splitlines(keepends=True), str(file))
        exec(compile(source, str(file), "exec"), vars(module))
    except Exception as error:
        raise ValueError(f"{file.name} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(file.parent))
        sys.dont_write_bytecode = written


def own_files(file: Path, modules: set[str]) -> list[Path]:
    """An assignment's file and the modules it imported from beside it, with compiled copies."""
    files = [file]
    for name in sorted(modules):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin and file.parent in Path(origin).parents:
            files.append(Path(origin))
    caches = [Path(importlib.util.cache_from_source(str(each))) for each in files if each.suffix == ".py"]
    return [each for each in (*files, *caches) if each.exists()]
