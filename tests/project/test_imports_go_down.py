"""The library is built from the ground up: a file imports from the rooms below it, never from above.

`ROOMS` is the order, lowest first. A new file must be given its place there. Imports inside functions
count like any other; those under ``if TYPE_CHECKING:`` do not, because they never run.
"""

import ast
import graphlib
import io
import os
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

# A room is a file, a list of files, or a folder (its name ends in a slash; it holds every file below it
# that is not named elsewhere). Files of one room may import one another, but never in a circle.
ROOMS: list[str | list[str]] = [
    "tinyad/version.py",
    "tinyad/backend.py",
    "tinyad/devices.py",
    "tinyad/array_interface.py",
    "tinyad/callers.py",
    "tinyad/aliases.py",
    "tinyad/tensor.py",
    "tinyad/tape.py",
    "tinyad/kinds.py",
    "tinyad/several.py",
    [
        "tinyad/primitives/transfer.py",
        "tinyad/primitives/shaping.py",
        "tinyad/primitives/triangles.py",
        "tinyad/primitives/activations.py",
        "tinyad/primitives/complex.py",
        "tinyad/primitives/cumulative.py",
        "tinyad/primitives/differences.py",
        "tinyad/primitives/elementwise.py",
        "tinyad/primitives/missing.py",
        "tinyad/primitives/reductions.py",
        "tinyad/primitives/statistics.py",
        "tinyad/primitives/steps.py",
        "tinyad/primitives/searching.py",
        "tinyad/primitives/indexing.py",
        "tinyad/primitives/updates.py",
        "tinyad/primitives/joining.py",
        "tinyad/primitives/splitting.py",
        "tinyad/primitives/taking.py",
        "tinyad/primitives/padding.py",
        "tinyad/primitives/polynomials.py",
        "tinyad/primitives/repeating.py",
        "tinyad/primitives/sorting.py",
        "tinyad/primitives/sets.py",
        "tinyad/primitives/diagonals.py",
        "tinyad/primitives/fft.py",
        "tinyad/primitives/products.py",
        "tinyad/primitives/einsum.py",
        "tinyad/primitives/matrices.py",
        "tinyad/primitives/linalg.py",
        "tinyad/primitives/convolution.py",
        "tinyad/primitives/degenerate.py",
        "tinyad/primitives/factorizations.py",
        "tinyad/primitives/eigenvalues.py",
        "tinyad/primitives/singular_values.py",
        "tinyad/primitives/determinants.py",
        "tinyad/primitives/least_squares.py",
        "tinyad/primitives/norms.py",
        "tinyad/primitives/special.py",
    ],
    "tinyad/primitives/__init__.py",
    "tinyad/linalg.py",
    "tinyad/fft.py",
    "tinyad/creation.py",
    "tinyad/contexts.py",
    "tinyad/reverse.py",
    "tinyad/forward.py",
    "tinyad/holomorphic.py",
    "tinyad/tree.py",
    "tinyad/program.py",
    "tinyad/tracing.py",
    "tinyad/dtypes.py",
    "tinyad/array_api.py",
    "tinyad/assignment.py",
    "tinyad/numpy_signatures.py",
    "tinyad/numpy_protocols.py",
    "tinyad/operators.py",
    "tinyad/batch.py",
    "tinyad/require.py",
    "tinyad/transforms.py",
    "tinyad/custom.py",
    "tinyad/loops.py",
    "tinyad/scanning.py",
    "tinyad/compiler/draws.py",
    "tinyad/compiler/rewriting.py",
    "tinyad/compiler/blocks.py",
    "tinyad/compiler/layout.py",
    "tinyad/compiler/expand.py",
    "tinyad/compiler/threads.py",
    "tinyad/compiler/example_axes.py",
    "tinyad/compiler/parts.py",
    "tinyad/compiler/joining.py",
    "tinyad/compiler/permutations.py",
    "tinyad/compiler/products.py",
    "tinyad/compiler/passes.py",
    "tinyad/compiler/lines.py",
    "tinyad/compiler/plan.py",
    "tinyad/compiler/numpy_source.py",
    "tinyad/compiler/trees.py",
    "tinyad/compiler/compile.py",
    "tinyad/compiler/__init__.py",
    "tinyad/report.py",
    # The parts of a check, from numbers to words.
    "tinyad/checking/inputs.py",
    "tinyad/checking/differences.py",
    "tinyad/checking/dot.py",
    "tinyad/checking/taylor.py",
    "tinyad/checking/numeric.py",
    "tinyad/checking/comparison.py",
    "tinyad/checking/pictures.py",
    "tinyad/checking/report.py",
    "tinyad/checking/options.py",
    "tinyad/checking/rule.py",
    "tinyad/checking/shapes.py",
    "tinyad/checking/recorded.py",
    "tinyad/checking/evidence.py",
    "tinyad/checking/trial.py",
    "tinyad/checking/diagnoses/",
    "tinyad/checking/groups.py",
    "tinyad/checking/tape_edits.py",
    "tinyad/checking/edits.py",
    "tinyad/checking/mutation.py",
    "tinyad/checking/reference_mutants.py",
    "tinyad/checking/examination.py",
    "tinyad/checking/kinks.py",
    "tinyad/checking/explain.py",
    "tinyad/checking/examine.py",
    "tinyad/checking/rules.py",
    "tinyad/checking/check.py",
    "tinyad/checking/layers.py",
    "tinyad/checking/engine/",
    "tinyad/checking/audit.py",
    "tinyad/checking/subject.py",
    "tinyad/checking/__init__.py",
    "tinyad/checking/command.py",
    "tinyad/checking/grading/",
    "tinyad/testing.py",
    "tinyad/grade.py",
    "tinyad/inspect/",
    # The face of the engine. What stands above it writes `import tinyad as ad`, as users do.
    "tinyad/__init__.py",
    "optim/",
    "models/",
    "tinyad/doctor/",
    "tinyad/demo.py",
    "tinyad/__main__.py",
]

# Files that keep to less than the order allows.
IMPORTS_ONLY = {"tinyad/tree.py": {"tinyad/backend.py", "tinyad/tensor.py"}}

# Packages that one file alone may import, so that the others stay free of them.
IMPORTED_ONLY_BY = {"cupy": "tinyad/backend.py", "cupyx": "tinyad/backend.py"}

# The code a reader has to follow to see how a gradient happens, and the two walks in it.
CORE = ["tinyad/backend.py", "tinyad/tape.py", "tinyad/tensor.py", "tinyad/reverse.py", "tinyad/forward.py"]
CORE_LIMIT = 400
WALKS = ["tinyad/reverse.py", "tinyad/forward.py", "tinyad/batch.py"]
WALK_LIMIT = 150


# --- the files on disk, and the names they are imported by ---


def library_files(root: Path) -> list[str]:
    """The Python files of the library, as paths from `root`. Links are not followed."""
    found = []
    for top in ("tinyad", "models", "optim"):
        for here, _, names in os.walk(root / top, followlinks=False):
            folder = Path(here).relative_to(root)
            found += [(folder / name).as_posix() for name in names if name.endswith(".py")]
    return sorted(found)


def module_name(path: str) -> str:
    """The name a file is imported by: ``models/ode/__init__.py`` is ``tinyad.models.ode``."""
    parts = path.removesuffix(".py").split("/")
    if parts[0] != "tinyad":
        parts.insert(0, "tinyad")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


# --- what a file imports ---


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def nodes_that_run(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a syntax tree, without what stands under ``if TYPE_CHECKING:``."""
    children: list[ast.AST] = list(ast.iter_child_nodes(tree))
    if isinstance(tree, ast.If) and is_type_checking(tree.test):
        children = list(tree.orelse)
    for child in children:
        yield child
        yield from nodes_that_run(child)


def import_base(node: ast.ImportFrom, path: str) -> str:
    """The absolute name of the module that a ``from ... import`` names, dots resolved."""
    if node.level == 0:
        return node.module or ""
    package = module_name(path).split(".")
    if not path.endswith("__init__.py"):
        package.pop()
    package = package[: len(package) - (node.level - 1)]
    return ".".join([*package, *([node.module] if node.module else [])])


def imported_names(source: str, path: str) -> set[tuple[str, str]]:
    """Pairs (module, name): what each import statement takes from where; no name for ``import module``."""
    found = set()
    for node in nodes_that_run(ast.parse(source, path)):
        match node:
            case ast.Import(names=names):
                found |= {(alias.name, "") for alias in names}
            case ast.ImportFrom(names=names):
                found |= {(import_base(node, path), alias.name) for alias in names}
            case ast.Call(func=func, args=[ast.Constant(value=str(module)), *_]):
                # An import by a function counts when the module is spelled out.
                if ast.unparse(func) in ("__import__", "import_module", "importlib.import_module"):
                    found.add((module, ""))
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """For every file of the library, the files of the library that it imports."""
    file_of = {module_name(path): path for path in library_files(root)}

    def imported_file(module: str, name: str) -> str | None:
        # ``from package import name`` means the module of that name if there is one, else the package.
        return file_of.get(f"{module}.{name}") or file_of.get(module)

    graph = {}
    for path in file_of.values():
        pairs = imported_names((root / path).read_text(encoding="utf-8"), path)
        graph[path] = {file for pair in pairs if (file := imported_file(*pair))}
    return graph


# --- the rules ---


def named_files(rooms: list[str | list[str]]) -> list[str]:
    """Every file and folder named in the rooms."""
    return [name for room in rooms for name in ([room] if isinstance(room, str) else room)]


def room_number(path: str, rooms: list[str | list[str]]) -> int | None:
    """The height of the room a file is in: the one that names it, else the one of its closest folder."""
    heights = {}
    for height, room in enumerate(rooms):
        heights |= dict.fromkeys([room] if isinstance(room, str) else room, height)
    for place in [path, *(f"{folder}/" for folder in Path(path).parents)]:
        if str(place) in heights:
            return heights[str(place)]
    return None


def imports_that_go_up(graph: dict[str, set[str]], rooms: list[str | list[str]]) -> list[str]:
    """The imports from a file in a lower room of a file in a higher one."""
    height = {path: room_number(path, rooms) for path in graph}
    return [
        f"{path} imports {imported}, which stands above it"
        for path in sorted(graph)
        for imported in sorted(graph[path])
        if height[path] is not None and height[imported] is not None and height[imported] > height[path]
    ]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Files that import one another in a circle; empty if there are none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1][::-1]
    return []


def files_that_import(package: str, root: Path) -> list[str]:
    """The files of the library that import a package from outside, or a part of it."""
    found = []
    for path in library_files(root):
        pairs = imported_names((root / path).read_text(encoding="utf-8"), path)
        if any(module.split(".")[0] == package for module, _ in pairs):
            found.append(path)
    return found


LAYOUT = {
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.COMMENT,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """The number of lines that hold code: no blank lines, no comments, no docstrings."""
    lines: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            # A statement that is nothing but a string is a docstring.
            if any(part.type != tokenize.STRING for part in statement):
                lines.update(line for part in statement for line in range(part.start[0], part.end[0] + 1))
            statement = []
        elif token.type not in LAYOUT:
            statement.append(token)
    return len(lines)


# --- the library keeps the rules ---


def test_every_file_has_its_place():
    without = [path for path in library_files(CHECKOUT) if room_number(path, ROOMS) is None]
    assert not without, "give these files their place in ROOMS"


def test_every_place_is_taken():
    missing = [name for name in named_files(ROOMS) if not (CHECKOUT / name).exists()]
    assert not missing, "ROOMS names these, but they are not on disk"


def test_no_import_goes_up():
    assert not imports_that_go_up(imports(CHECKOUT), ROOMS)


def test_no_files_import_one_another_in_a_circle():
    assert not circle(imports(CHECKOUT))


@pytest.mark.parametrize("path", IMPORTS_ONLY)
def test_files_that_keep_to_less(path):
    assert imports(CHECKOUT)[path] <= IMPORTS_ONLY[path]


@pytest.mark.parametrize("package", IMPORTED_ONLY_BY)
def test_packages_that_one_file_alone_imports(package):
    assert set(files_that_import(package, CHECKOUT)) <= {IMPORTED_ONLY_BY[package]}


def test_the_core_can_be_read_in_an_afternoon():
    lines = {path: code_lines((CHECKOUT / path).read_text(encoding="utf-8")) for path in dict.fromkeys([*CORE, *WALKS])}
    figures = "\n".join(f"{count:5} {path}" for path, count in lines.items())
    core = sum(lines[path] for path in CORE)
    assert core <= CORE_LIMIT, f"{core} code lines:\n{figures}"
    for path in WALKS:
        assert lines[path] <= WALK_LIMIT, f"{path} has {lines[path]} code lines"


# --- the rules find what they should ---


def small_library(root: Path, files: dict[str, str]) -> Path:
    for path, source in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(source)
    return root


@pytest.mark.parametrize(
    "source",
    [
        "import tinyad.tape",
        "from tinyad.tape import record",
        "from tinyad import tape",
        "from .tape import record",
        "from . import tape as t",
        "def late():\n    from .tape import record",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from .tape import record",
        "import importlib\ntape = importlib.import_module('tinyad.tape')",
    ],
)
def test_an_import_that_goes_up_is_found(tmp_path, source):
    root = small_library(tmp_path, {"tinyad/backend.py": source, "tinyad/tape.py": ""})
    assert imports_that_go_up(imports(root), ["tinyad/backend.py", "tinyad/tape.py"])
    assert not imports_that_go_up(imports(root), ["tinyad/tape.py", "tinyad/backend.py"])


def test_an_import_for_type_checkers_alone_is_allowed(tmp_path):
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .tape import Node"
    root = small_library(tmp_path, {"tinyad/backend.py": source, "tinyad/tape.py": ""})
    assert imports(root)["tinyad/backend.py"] == set()


def test_what_a_package_gives_is_imported_from_its_top(tmp_path):
    files = {"tinyad/__init__.py": "", "models/mlp.py": "from .. import grad"}
    root = small_library(tmp_path, files)
    assert imports(root)["models/mlp.py"] == {"tinyad/__init__.py"}


def test_dots_are_counted_from_the_name_a_file_is_imported_by(tmp_path):
    files = {
        "tinyad/tree.py": "",
        "models/losses.py": "",
        "models/ode/__init__.py": "from .. import losses",
        "models/ode/adjoint.py": "from ...tree import flatten\nfrom ..losses import mse",
    }
    graph = imports(small_library(tmp_path, files))
    assert graph["models/ode/__init__.py"] == {"models/losses.py"}
    assert graph["models/ode/adjoint.py"] == {"tinyad/tree.py", "models/losses.py"}


def test_a_circle_is_found(tmp_path):
    files = {"tinyad/a.py": "from . import b", "tinyad/b.py": "def late():\n    from . import a"}
    assert sorted(set(circle(imports(small_library(tmp_path, files))))) == ["tinyad/a.py", "tinyad/b.py"]


@pytest.mark.parametrize("source", ["import cupy.linalg", "from cupy import linalg", "__import__('cupy')"])
def test_an_import_of_cupy_is_found(tmp_path, source):
    root = small_library(tmp_path, {"tinyad/tape.py": source, "tinyad/tensor.py": "import cupyx"})
    assert files_that_import("cupy", root) == ["tinyad/tape.py"]


def test_a_file_is_in_the_room_that_names_it_before_that_of_its_folder():
    rooms = ["models/", "optim/", ["models/training.py"]]
    assert room_number("models/ode/adjoint.py", rooms) == 0
    assert room_number("models/training.py", rooms) == 2
    assert room_number("tinyad/new.py", rooms) is None


def test_code_lines_are_counted_without_blank_lines_comments_and_docstrings():
    source = '''"""A module.

With two paragraphs.
"""

import math  # counts


def f(x):
    "A function."
    # a comment

    text = """a string in an expression
    counts"""
    return math.sin(
        # no code here
        x
    )
'''
    assert code_lines(source) == 7
