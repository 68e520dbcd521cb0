"""A grade as JUnit XML, which continuous integration shows: a suite for each stage, a test case for each test."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from .results import Grade, TestResult, out_of, write_atomically

__all__ = ["as_junit", "write_junit"]


def as_junit(grade: Grade) -> str:
    """The grade as XML. There are no times in it: equal submissions give equal bytes."""
    root = ElementTree.Element("testsuites", {"name": _plain(grade.assignment)})
    for stage in grade.stages():
        tests = [test for test in grade.tests if test.stage == stage]
        counts = {
            "tests": str(len(tests)),
            "failures": str(sum(test.status in ("failed", "partly", "void") for test in tests)),
            "errors": "0",
            "skipped": str(sum(test.status == "not run" for test in tests)),
            "time": "0",
        }
        suite = ElementTree.SubElement(root, "testsuite", {"name": _plain(stage or grade.assignment), **counts})
        for test in tests:
            _add(suite, test, grade)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(suite: ElementTree.Element, test: TestResult, grade: Grade) -> None:
    about = {"classname": _plain(grade.assignment), "name": _plain(f"{test.number} {test.name}"), "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", about)
    said = f"{out_of(test.score, test.points)} points"
    if test.status == "not run":
        ElementTree.SubElement(case, "skipped", {"message": "not graded"})
    elif test.status != "passed":
        kind = ", ".join(test.tags) or test.status
        failure = ElementTree.SubElement(case, "failure", {"message": said, "type": _plain(kind)})
        failure.text = _plain(test.output)
    ElementTree.SubElement(case, "system-out").text = said


def _plain(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def write_junit(grade: Grade, path: Path) -> None:
    """Write it, as a whole or not at all."""
    write_atomically(path, as_junit(grade))
