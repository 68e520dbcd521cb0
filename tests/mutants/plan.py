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

CHECKER = ("wrong_checkers", "statements", "rules", "layers", "check", "diagnoses")
"""Tests of the checker, the quick ones first: a few seconds, but for the corpus of mistakes."""

CHECKING = {
    "tinyad/checking/check.py": ("check", "taylor"),
    "tinyad/checking/differences.py": ("numeric", "check", "wrong_checkers", "statements"),
    "tinyad/checking/dot.py": ("check",),
    "tinyad/checking/edits.py": ("mutation", "rules"),
    "tinyad/checking/inputs.py": ("check", "numeric", *CHECKER),
    "tinyad/checking/mutation.py": ("mutation", "rules"),
    "tinyad/checking/reference_mutants.py": ("rules", "mutation", "diagnoses"),
    "tinyad/checking/subject.py": ("mutation", "rules"),
    "tinyad/checking/taylor.py": ("taylor", "check"),
}
"""Files of the checker that have tests of their own, and which parts of tests/checking these are; `CHECKER` is for the others."""

OF_THE_CORPUS = (
    "test_every_mistake_of_the_corpus_is_found", "test_mistakes_of_the_corpus_are_named",
    "test_every_entry_of_the_catalogue_is_met",
)  # fmt: skip
"""What `CHECKER` takes of test_diagnoses.py."""

WIDER_FOR_THE_CHECKER = (
    "test_numeric.py", "test_taylor.py", "test_mutation.py", "grading/test_audit.py",
    "test_diagnoses.py::test_mistakes_in_other_operations_are_found", "test_diagnoses.py::test_what_is_said_holds_at_a_third_point",
    "test_diagnoses.py::test_json_is_the_same_in_two_processes",
)  # fmt: skip
"""What mutants of the checker meet next. Arrays of a million entries are left out: ten seconds each."""

ALARMS = ("comparison", "differences", "evidence", "trial", "inputs", "kinks", "shapes")
"""Files of the checker that decide whether a rule is right: for them a minute of right rules comes last."""

EXAMPLES = {
    "tinyad/kinds.py": {"tanh", "divide", "where", "matmul", "einsum", "concat", "getitem", "sum", "sort", "solve"},
    "tinyad/several.py": {"eigh", "qr", "svd", "slogdet"},
    "tinyad/reverse.py": {"multiply", "matmul", "getitem", "where", "sum"},
    "tinyad/forward.py": {"multiply", "matmul", "getitem", "where", "sum"},
    "tinyad/primitives/degenerate.py": {"eigh", "eigvalsh", "eig", "svd", "svdvals", "qr", "pinv", "lstsq"},
}
"""Rows of the table of primitives that test a file of the core, or one that serves others, as well."""

EVERYWHERE = ("tests/engine/test_mutants.py", "tests/primitives/test_defaults.py")
"""Tests written for mutants of the engine that nothing else noticed come first of all."""

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
    """All files that mutants are made of: the core, the rules, then the checker, without its grader and its probes of engines."""
    folders = ("tinyad/primitives", "tinyad/checking", "tinyad/checking/diagnoses")
    return [*CORE, *(f"{folder}/{path.name}" for folder in folders for path in sorted((CHECKOUT / folder).glob("[a-z]*.py")))]


def tests_of(file: str) -> list[str]:
    """The tests for a file, as arguments of pytest.

    Rules are tested by the rows of their primitives and functions, and by what is named after the file.
    """
    if file.startswith("tinyad/checking/"):
        return _tests_of_checker(CHECKING.get(file, CHECKER))
    rows = [f"tests/primitives/test_table.py::test_row[{row}]" for row in _rows(file)]
    if file in CORE:
        chosen = [*rows, *(f"tests/engine/test_{part}.py" for part in CORE[file])]
    else:
        of_file = f"tests/primitives/test_{Path(file).stem}.py"
        chosen = [*rows, of_file, "tests/engine/test_errors.py", "tests/engine/test_corners.py"]
    return [test for test in (*EVERYWHERE, *chosen) if (CHECKOUT / test.partition("::")[0]).exists()]


def wider_tests_of(file: str) -> list[str]:
    """More tests for a file, for mutants that `tests_of` did not notice."""
    if file.startswith("tinyad/checking/"):
        alarms = ["tests/checking/test_false_alarms.py"] if Path(file).stem in ALARMS else []
        return [*_tests_of_checker(CHECKER), *(f"tests/checking/{path}" for path in WIDER_FOR_THE_CHECKER), *alarms]
    batched = [f"tests/primitives/test_batch.py::test_row[{row}]" for row in _rows(file)]
    return [*batched, *[f"tests/{path}" for path in WIDER]]


def _tests_of_checker(parts: tuple[str, ...]) -> list[str]:
    whole = [f"tests/checking/test_{part}.py" for part in parts if part != "diagnoses"]
    return [*whole, *(f"tests/checking/test_diagnoses.py::{test}" for test in OF_THE_CORPUS if "diagnoses" in parts)]


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
