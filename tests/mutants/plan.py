"""What mutation testing covers: the files, which mistakes are made in them, and the tests that must notice."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

ENGINE = ("transforms", "nesting", "corners", "errors", "custom", "tape")
"""Tests of the engine, the quick ones first, because the first failure ends a run."""

CORE = {
    "tinyad/tape.py": ENGINE,
    "tinyad/tensor.py": ("protocols", "array_interface", "pickle", *ENGINE),
    "tinyad/kinds.py": (*ENGINE, "vmap", "nested_jacobians"),
    "tinyad/several.py": ENGINE,
    "tinyad/reverse.py": (*ENGINE, "memory", "nested_jacobians"),
    "tinyad/forward.py": (*ENGINE, "memory", "nested_jacobians"),
}
"""The core: a file, and the parts of tests/engine that are about it."""

EXAMPLES = {
    "tinyad/kinds.py": {"tanh", "divide", "where", "matmul", "einsum", "concat", "getitem", "sum", "sort", "solve"},
    "tinyad/several.py": {"eigh", "qr", "svd", "slogdet"},
    "tinyad/reverse.py": {"multiply", "matmul", "getitem", "where", "sum"},
    "tinyad/forward.py": {"multiply", "matmul", "getitem", "where", "sum"},
    "tinyad/primitives/degenerate.py": {"eigh", "eigvalsh", "eig", "svd", "svdvals", "qr", "pinv", "lstsq"},
}
"""Rows of the table of primitives that test a file of the core, or one that serves others, as well."""

EVERYWHERE = ("tests/engine/test_mutants.py", "tests/primitives/test_defaults.py")
"""Tests written for mutants that nothing else noticed come first of all."""

WIDER = (
    "engine/test_lists_and_corners_of_calls.py", "primitives/test_unusual_arguments.py", "engine/test_protocols.py",
    "engine/test_assignment.py", "primitives/test_arranging.py", "primitives/test_reductions.py", "primitives/test_sorting.py",
    "primitives/test_taking.py", "primitives/test_linalg_calls.py", "array_api/test_devices.py", "engine/test_pickle.py",
    "engine/test_vmap.py", "primitives/test_linalg.py", "primitives/test_complex.py",
)  # fmt: skip
"""What a mutant that those for its file did not notice meets next: tests of many files, half a minute or so."""

# One wrong operator in place of each right one: eleven of them teach no more, and a mutant costs seconds.
WRONG = {
    "Add": ["Sub"], "Sub": ["Add"], "Mul": ["Div"], "Div": ["Mul"], "FloorDiv": ["Mul"], "Mod": ["Mul"], "Pow": ["Mul"],
    "BitOr": ["BitAnd"], "BitAnd": ["BitOr"], "BitXor": ["BitAnd"], "LShift": ["RShift"], "RShift": ["LShift"],
    "Eq": ["NotEq"], "NotEq": ["Eq"], "Is": ["IsNot"], "IsNot": ["Is"],
    "Lt": ["LtE", "GtE"], "LtE": ["Lt", "Gt"], "Gt": ["GtE", "LtE"], "GtE": ["Gt", "Lt"],
    "USub": ["UAdd"], "Invert": ["USub"],
}  # fmt: skip


def is_made(mistake: str) -> bool:
    """Whether Cosmic Ray's operator of this name is used: all are, but for most ways to replace one sign by another."""
    named = re.search(r"Replace(?:Binary|Comparison|Unary)Operator_(\w+)_(\w+)$", mistake)
    return named is None or named[1] == "Delete" or named[2] in WRONG.get(named[1], ())


def files() -> list[str]:
    """All files that mutants are made of: the core, then the rules."""
    return [*CORE, *sorted(f"tinyad/primitives/{path.name}" for path in (CHECKOUT / "tinyad/primitives").glob("[a-z]*.py"))]


def tests_of(file: str) -> list[str]:
    """The tests for a file, as arguments of pytest.

    Rules are tested by the rows of their primitives and functions, and by what is named after the file.
    """
    rows = [f"tests/primitives/test_table.py::test_row[{row}]" for row in _rows(file)]
    if file in CORE:
        chosen = [*rows, *(f"tests/engine/test_{part}.py" for part in CORE[file])]
    else:
        of_file = f"tests/primitives/test_{Path(file).stem}.py"
        chosen = [*rows, of_file, "tests/engine/test_errors.py", "tests/engine/test_corners.py"]
    return [test for test in (*EVERYWHERE, *chosen) if (CHECKOUT / test.partition("::")[0]).exists()]


def wider_tests_of(file: str) -> list[str]:
    """More tests for a file, for mutants that `tests_of` did not notice."""
    batched = [f"tests/primitives/test_batch.py::test_row[{row}]" for row in _rows(file)]
    return [*batched, *[f"tests/{path}" for path in WIDER]]


def _rows(file: str) -> list[str]:
    """The rows for the primitives and functions of a file, or that are examples for it."""
    from tests.primitives.table import TABLE
    from tinyad.kinds import PRIMITIVES

    if file in CORE:
        return sorted(EXAMPLES.get(file, ()))
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    declared = {name for name, primitive in PRIMITIVES.items() if primitive.apply.__module__ == module.__name__}
    declared.update(module.__all__, EXAMPLES.get(file, ()))
    return [row.name for row in TABLE if not declared.isdisjoint([row.name, *row.primitives])]
