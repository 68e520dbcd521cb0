"""What students get of an assignment: a copy of the author's files without solutions, and a look whether that is so.

Handed out are the files that the assignment's items name, every Python file beside the assignment with a solution in it, a
README.md, and what the author adds. The files lie beside the assignment, or in it, as sections. The assignment itself, with its
references and hidden cases, stays with the author.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .assignment import Assignment
from .regions import find_regions, for_students, has_markers, sections, with_solutions

__all__ = ["AuthorError", "Handout", "Source", "hand_out", "leaks", "sources", "write_files"]

README = "README.md"
TEXTS = (".py", ".md", ".txt", ".rst", ".ipynb", ".toml", ".cfg", ".csv", ".json", "")


class AuthorError(ValueError):
    """Something in the author's files that must be mended first."""


@dataclass(frozen=True)
class Source:
    """A file that students get, as the author has it.

    Attributes:
        name: in the student's copy.
        data: its bytes, solutions included.
        file: where the author has it, and
        before: how many lines of that file come before it.
    """

    name: str
    data: bytes
    file: Path
    before: int = 0

    @property
    def text(self) -> str | None:
        """As text; None for what is no text."""
        try:
            return self.data.decode("utf-8") if PurePosixPath(self.name).suffix in TEXTS else None
        except UnicodeDecodeError:
            return None

    @property
    def python(self) -> bool:
        """Whether it is Python."""
        return self.name.endswith(".py")


@dataclass
class Handout:
    """The files of an assignment, by name.

    Attributes:
        student: as students get them.
        solution: as the author has them: a submission with full marks.
        given: how often each line may stand in a file of the student's copy, because it stands outside of solutions.
        secret: the lines of solutions and hidden tests, and where they are.
    """

    student: dict[str, bytes] = field(default_factory=dict)
    solution: dict[str, bytes] = field(default_factory=dict)
    given: Counter[str] = field(default_factory=Counter)
    secret: dict[str, str] = field(default_factory=dict)


def sources(file: Path, assignment: Assignment, add: Sequence[Path] = ()) -> list[Source]:
    """The files that students get.

    Args:
        file: of the assignment.
        assignment: what it declares.
        add: more files from beside it.

    Raises:
        AuthorError: a file is missing, is there twice, or is the assignment itself.
    """
    folder, text = file.resolve().parent, file.read_text(encoding="utf-8")
    for problem in find_regions(text)[1]:
        raise AuthorError(f"{file.name}, line {problem.line}: {problem.text}")
    found = [Source(name, part.encode(), file, line) for name, part, line in sections(text)]
    inside = {source.name for source in found}
    wanted = dict.fromkeys(item.file for item in assignment.items if item.file not in inside)
    beside = [each for each in sorted(folder.glob("*.py")) if each != file.resolve() and has_markers(_text(each))]
    listed = [*(folder / name for name in wanted), *beside, *(folder / README,) * (folder / README).is_file(), *add]
    for each in dict.fromkeys(path.resolve() for path in listed):
        if each == file.resolve():
            raise AuthorError(f"{file.name} is the assignment itself, with the references in it; students must not get it.")
        if folder not in each.parents:
            raise AuthorError(f"{each} does not lie beside {file.name}; copy it there.")
        name = each.relative_to(folder).as_posix()
        if not each.is_file():
            who = ", ".join(repr(item.name) for item in assignment.items if item.file == name) or "--add"
            raise AuthorError(
                f"{name}, which {who} names, is missing: it neither lies beside {file.name} nor is a section of it, "
                f"### BEGIN FILE {name}."
            )
        found.append(Source(name, each.read_bytes(), each))
    names = [source.name for source in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AuthorError(f"{twice[0]} is there twice: beside {file.name} and as a section of it, or as two sections.")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def hand_out(found: Sequence[Source]) -> Handout:
    """The student's and the author's copy.

    Raises:
        AuthorError: a marker is wrong; nothing is handed out then.
    """
    handout = Handout()
    for source in found:
        if source.text is None:
            handout.student[source.name] = handout.solution[source.name] = source.data
            continue
        regions, problems = find_regions(source.text)
        if problems:
            where = f"{source.file.name}, line {problems[0].line + source.before}"
            raise AuthorError(f"{where}: {problems[0].text}")
        lines = source.text.splitlines()
        inside = {k for region in regions for k in range(region.first, region.last + 1)}
        for number, line in enumerate(lines, 1):
            if line.strip() and number not in inside:
                handout.given[line.strip()] += 1
            elif line.strip() and number not in {edge for region in regions for edge in (region.first, region.last)}:
                handout.secret.setdefault(line.strip(), f"{source.file.name}, line {number + source.before}")
        handout.student[source.name] = for_students(source.text, source.python).encode()
        handout.solution[source.name] = with_solutions(source.text).encode()
    return handout


# ---- whether it leaks


def leaks(handout: Handout, folder: Path, generated: Sequence[str] = ()) -> list[str]:
    """The lines of solutions that stand in a folder more often than outside of solutions; and markers that are left.

    Args:
        handout: what was to be written.
        folder: every file in it is read.
        generated: texts that were made, not copied.
    """
    allowed = handout.given + Counter(line.strip() for text in generated for line in text.splitlines() if line.strip())
    found = []
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        text = _shown(file)
        regions, problems = find_regions(text)
        found += [f"{file.relative_to(folder)}: a marker is left" for _ in [*regions, *problems][:1]]
        counted = Counter(line.strip() for line in text.splitlines())
        for line, where in handout.secret.items():
            if counted[line] > allowed[line] and not _is_stub(line):
                found.append(f"{file.relative_to(folder)}: {line!r}, from a solution ({where})")
    return found


def _is_stub(line: str) -> bool:
    """Whether a line gives nothing away: what stands in the place of a solution may stand in one."""
    return line in ("pass", "else:", "try:", "finally:", "return", "continue", "break", ")", "]", "}", "):", "# YOUR CODE HERE")


def _shown(file: Path) -> str:
    """The text of a file; of a notebook the sources of its cells."""
    text = file.read_bytes().decode("utf-8", "replace")
    if file.suffix != ".ipynb":
        return text
    try:
        cells = json.loads(text)["cells"]
        return "\n".join("".join(cell["source"]) for cell in cells)
    except (ValueError, KeyError, TypeError):
        return text


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
