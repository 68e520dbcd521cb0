"""A look at a submission's source for what does not belong there: advice for the teacher, not a protection."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["screen"]

MODULES = {
    "subprocess": "starts processes",
    "socket": "uses the network",
    "urllib": "uses the network",
    "requests": "uses the network",
    "ctypes": "reaches into memory",
    "inspect": "looks at callers",
    "gc": "looks for objects",
    "pickle": "runs code of files",
    "multiprocessing": "starts processes",
    "importlib": "imports by name",
}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.fork", "os._exit", "sys.exit", "sys._getframe", "os.kill"}
PLACES = {"scipy.optimize.approx_fprime", "scipy.optimize.approx_derivative", "scipy.differentiate", "approx_fprime"}
LARGEST = 1 << 20  # bytes of a file that is read


def screen(folder: Path, foreign: Sequence[str]) -> list[str]:
    """Remarks on the Python files of a submission, in the order of their names.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "ops.py").write_text("import torch\\nprint(eval('1'))")
    ...     screen(Path(folder), ["torch"])
    ['ops.py, line 1: import of torch, which differentiates', 'ops.py, line 2: eval(...)']
    """
    found = []
    for path in sorted(folder.rglob("*.py")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            found.append(f"{path.relative_to(folder)}: a link, or too large to look at")
            continue
        found += [f"{path.relative_to(folder)}{remark}" for remark in _remarks(path, set(foreign))]
    return found


def _remarks(path: Path, foreign: set[str]) -> list[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [f": cannot be read as Python: {error}"]
    said = [(line, text) for node in ast.walk(tree) for line, text in _remarks_on(node, foreign)]
    return [f", line {line}: {text}" for line, text in sorted(dict.fromkeys(said))]


def _remarks_on(node: ast.AST, foreign: set[str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top in foreign:
                yield node.lineno, f"import of {name}, which differentiates"
            elif top in MODULES:
                yield node.lineno, f"import of {name}, which {MODULES[top]}"
            elif name in PLACES or name.startswith("scipy.differentiate"):
                yield node.lineno, f"import of {name}, which computes differences"
    elif isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in CALLS | PLACES:
        yield node.lineno, f"{called}(...)"
    elif isinstance(node, ast.Attribute) and node.attr in ("__globals__", "__closure__", "__subclasses__", "f_back"):
        yield node.lineno, f"looks at {node.attr}"
