"""Write down the names and parameters of CuPy: ``python tests/cupy_stand_in/make_names.py`` rewrites ``cupy_names.json``.

It needs CuPy (``pip install cupy-cuda13x scipy``) but no GPU, because it calls nothing. The list is committed so that the tests
need no CuPy. An entry says what a name is:

* ``"a axis= out="``: a function and its parameters; ``=`` marks those with a default, a lone ``*`` or ``/`` is Python's own.
* ``"ufunc ff->f dd->d"``: a ufunc and the dtypes it has loops for, in the order in which CuPy tries them.
* ``"type"``, ``"module"``, ``"constant"``, ``"attribute"`` (of an array): what is not called with arrays.
* ``null``: a callable whose parameters are not known.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

NAMESPACES = ["cupy", "cupy.linalg", "cupy.fft", "cupy.random", "cupyx", "cupyx.scipy.special"]
CLASSES = ["cupy.ndarray", "cupy.ufunc", "cupy.random.Generator"]
FROM_SOURCE = "cupyx.scipy.linalg"  # it cannot be imported without the CUDA libraries

NAMES = Path(__file__).with_name("cupy_names.json")


def parameters(text: str) -> str:
    """The parameters in a signature's text, without ``self``, defaults and the C types that Cython writes before them."""
    words = []
    for parameter in re.split(r", (?![^(\[{]*[)\]}])", text):
        name, equals, _ = parameter.partition("=")
        words.append(name.split(" ")[-1] + equals)
    return " ".join(word for word in words if word != "self")


def of_callable(what: Any) -> str | None:
    """The parameters of a function; those of a function compiled by Cython stand in the first line of its docstring."""
    try:
        signature = inspect.signature(what)
    except ValueError:
        found = re.match(r"[\w.]+\((.*)\)(?: -> \w+)?$", (what.__doc__ or "").partition("\n")[0])
        return parameters(found[1]) if found else None
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return parameters(str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))[1:-1])


def of_name(what: Any) -> str | None:
    """What a name of a namespace is."""
    if type(what).__name__ == "ufunc":
        return " ".join(["ufunc", *what.types])
    if inspect.ismodule(what):
        return "module"
    if isinstance(what, type):
        return "type"
    return of_callable(what) if callable(what) else "constant"


def of_namespace(name: str) -> dict[str, str | None]:
    """The public names of a module."""
    module = importlib.import_module(name)
    return {key: of_name(getattr(module, key)) for key in dir(module) if not key.startswith("_") and key != "annotations"}


def of_class(name: str) -> dict[str, str | None]:
    """The names of a class that not every object has, with the special methods that say what Python may do with it."""
    module, _, attribute = name.rpartition(".")
    cls = getattr(importlib.import_module(module), attribute)
    special = [key for key in dir(cls) if re.match("__[a-z]+(_[a-z]+)*__$", key) and not hasattr(object, key)]
    own = [*special, *[key for key in dir(cls) if not key.startswith("_")]]
    return {key: of_callable(getattr(cls, key)) if callable(getattr(cls, key)) else "attribute" for key in own}


def of_source(package: str) -> dict[str, str | None]:
    """The functions that a package imports into itself, read from its files."""
    parent, _, name = package.rpartition(".")
    here = Path(importlib.import_module(parent).__path__[0]) / name
    found: dict[str, str | None] = {}
    for statement in ast.parse((here / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(package):
            file = here / f"{str(statement.module).rpartition('.')[2]}.py"
            wanted = {alias.name for alias in statement.names if not alias.name.startswith("_")}
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef) and node.name in wanted:
                    found[node.name] = parameters(ast.unparse(node.args))
    return found


def all_names() -> dict[str, Any]:
    """Every namespace and class, and CuPy's version."""
    listed: dict[str, Any] = {"version": importlib.import_module("cupy").__version__}
    listed |= {name: of_class(name) for name in CLASSES}  # first: CuPy enters some classes where they are asked for
    listed |= {name: of_namespace(name) for name in NAMESPACES}
    return listed | {FROM_SOURCE: of_source(FROM_SOURCE)}


if __name__ == "__main__":
    # a name a line, so that a new version of CuPy can be compared with the old
    NAMES.write_text(json.dumps(all_names(), indent=0, sort_keys=True) + "\n", encoding="utf-8")
