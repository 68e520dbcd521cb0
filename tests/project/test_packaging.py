"""The distribution holds what the checkout holds, and works in a folder that means it no good."""

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

import numpy
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

# Where each import package lies. The links tinyad/models and tinyad/optim lead to the last two again.
PACKAGE_FOLDERS = {"tinyad": "tinyad", "tinyad.models": "models", "tinyad.optim": "optim"}
LINKS = {"tinyad/models": "../models", "tinyad/optim": "../optim"}

# tinyad promises to import with NumPy alone: these must only ever be imported where they are used.
OPTIONAL = ["cupy", "igraph", "matplotlib", "mlxtend", "scipy", "sklearn", "tqdm", "hypothesis", "pytest"]

# Left out of the copy to build from when there is no git to say what belongs to the project.
NOT_SOURCE = (".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")


def python_files() -> dict[PurePosixPath, str]:
    """Every Python file of the library: its place in an installed tinyad, and the package it is in."""
    files = {}
    for package, folder in PACKAGE_FOLDERS.items():
        root = CHECKOUT / folder
        for here, _, names in os.walk(root, followlinks=False):
            below = Path(here).relative_to(root).parts
            for name in names:
                if name.endswith(".py"):
                    dotted = ".".join([package, *below])
                    files[PurePosixPath(*dotted.split("."), name)] = dotted
    return files


def source_files() -> list[str]:
    """The files git tracks, and those it would: the checkout without what was built or installed in it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and os.path.lexists(CHECKOUT / name)]


def copy_sources(target: Path) -> None:
    """Copy the sources, links as links, so that the build leaves nothing in the checkout."""
    if not (CHECKOUT / ".git").exists() or shutil.which("git") is None:
        shutil.copytree(CHECKOUT, target, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCE))
        return
    for name in source_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target / name, follow_symlinks=False)


def run(command: list[object], cwd: Path) -> str:
    """Run a command without the caller's Python settings; its output, or a failure that shows it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of this checkout.

    The build backend is called as an installer would call it, but with the setuptools that is installed
    here (the extra `test` brings it): an installer would fetch another one over the network.
    """
    sources = tmp_path_factory.mktemp("sources") / "tinyad"
    copy_sources(sources)
    target = tmp_path_factory.mktemp("wheel")
    build = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    run([sys.executable, "-c", build, target], cwd=sources)
    [built] = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed_python(wheel, tmp_path_factory) -> Path:
    """The interpreter of a fresh environment with the wheel installed, and NumPy within reach.

    NumPy is not installed again but reached through a .pth file that names the folder it lies in, which
    takes no network and no time. The file is written after the installation, so that pip does not meet the
    tinyad that may be installed in that folder; the fresh environment's own comes first on the path.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], cwd=folder)
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(run([python, "-c", find], cwd=folder).strip())
    (site_packages / "numpy_of_the_test.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    return python


IMPORT_EVERYTHING = """
import importlib, pkgutil, sys

for name in sys.argv[1:]:
    sys.modules[name] = None  # makes `import name` raise, as if it were not installed

import tinyad

print(tinyad.__file__)
for module in pkgutil.walk_packages(tinyad.__path__, "tinyad."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_every_folder_with_python_files_is_a_package():
    files = python_files()
    without_init = {dotted for place, dotted in files.items() if place.parent / "__init__.py" not in files}
    assert not without_init, "these folders hold Python files but no __init__.py"


def test_pyproject_lists_the_packages_on_disk():
    setuptools = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert setuptools["package-dir"] == PACKAGE_FOLDERS
    assert sorted(setuptools["packages"]) == sorted(set(python_files().values()))


@pytest.mark.parametrize("link", LINKS)
def test_links_lead_to_the_folders_at_the_top(link):
    place = CHECKOUT / link
    if place.is_symlink():
        assert os.readlink(place) == LINKS[link]
    else:
        # Where links are not supported, git writes their target into a plain file.
        assert place.is_file(), f"{link} must be a link to {LINKS[link]}"
        assert place.read_text() == LINKS[link]


def test_wheel_holds_every_python_file_and_the_type_marker(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {PurePosixPath(name) for name in archive.namelist()}
    packed = {path for path in packed if not path.parts[0].endswith(".dist-info")}
    assert packed == {*python_files(), PurePosixPath("tinyad/py.typed"), PurePosixPath("pytest_tinyad.py")}


def test_every_module_imports_with_numpy_alone_beside_foreign_models_and_optim(installed_python, tmp_path):
    for name in ("models.py", "optim.py"):
        (tmp_path / name).write_text("raise RuntimeError('tinyad imported a file of the user')\n")
    (tmp_path / "import_everything.py").write_text(IMPORT_EVERYTHING)
    printed = run([installed_python, "import_everything.py", *OPTIONAL], cwd=tmp_path).split()

    assert Path(printed[0]).is_relative_to(installed_python.parents[1]), "another tinyad was imported"
    expected = {".".join(place.with_suffix("").parts) for place in python_files()}
    expected = {name.removesuffix(".__init__") for name in expected if not name.endswith("__main__")}
    assert {"tinyad", *printed[1:]} == expected
