"""Mutation testing with Cosmic Ray: mistakes put into the source one at a time, of which the tests must notice each.

    make mutants                                               # everything: takes many hours, and goes on where it was stopped
    make mutants FILES=tinyad/reverse.py                       # one file, or several in quotes
    make mutants FILES=tinyad/kinds.py OPTIONS="--sample 50"   # 50 of its mutants, always the same ones
    make mutants OPTIONS="--skip 10 --sample 8"                # of each file the eight that come after the first ten
    make mutants OPTIONS=--again                               # only those that survived, after a change of the tests
    make mutants OPTIONS=--report                              # nothing is run

Results lie in .mutants/, a database for each file as it is now: when a file changes, its mutants are new ones. The mistakes are
made in a copy of the checkout. Mutants that no test can notice are listed in equivalent.toml with the reason why.

Cosmic Ray mutates the file as it lies on disk, so that declarations at the top level of a file are mutated as well; tools that
switch mutants inside functions leave out the tables of rules.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkItem, WorkResult

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.mutants import plan  # noqa: E402 (after the line that makes it importable)

RESULTS = CHECKOUT / ".mutants"
EQUIVALENT = Path(__file__).with_name("equivalent.toml")


# ---- the mutants of a file


class _WithoutWords(ast.NodeTransformer):
    """Takes out what never runs: annotations and docstrings."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._body(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        plain = ast.Pass() if node.value is None else ast.Assign([node.target], self.visit(node.value))
        return ast.copy_location(plain, node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Without the ``strict`` of `zip`, which only says what is so anyway."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords = [k for k in node.keywords if k.arg != "strict"]
        return node

    def _body(self, node: Any) -> ast.AST:
        self.generic_visit(node)
        node.body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        node.body = node.body or [ast.copy_location(ast.Pass(), node)]
        return node


def meaning(source: str) -> Any:
    """What Python makes of a source: of two with the same meaning, no test can tell one from the other. ``None`` for no Python."""
    try:
        tree = ast.fix_missing_locations(_WithoutWords().visit(ast.parse(source)))
        return _instructions(compile(tree, "mutant", "exec"))
    except SyntaxError:
        return None


def _instructions(code: types.CodeType) -> Any:
    constants = tuple([_instructions(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts])
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars


def mutants(file: str) -> Iterator[WorkItem]:
    """One mutant for each meaning: not those that are no Python, nor those that say the same as another."""
    source = Path(file).read_text(encoding="utf-8")
    seen = {None, meaning(source)}
    for item in _all_work_items([Path(file)], {}):
        (mutation,) = item.mutations
        if plan.is_made(mutation.operator_name):
            found = meaning(mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence) or "?")
            if found not in seen:
                seen.add(found)
                yield item


def database(file: str) -> Path:
    """Where the results for a file lie, as it is now."""
    digest = hashlib.sha256((CHECKOUT / file).read_bytes()).hexdigest()[:12]
    return RESULTS / f"{file.removesuffix('.py').replace('/', '.')}-{digest}.sqlite"


# ---- running


def copy_checkout(target: Path) -> None:
    """The files of the project, links as links."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(CHECKOUT / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name, follow_symlinks=False)


def run(file: str, sample: slice, again: bool, deadline: float) -> None:
    """Run the mutants of a file that have no result yet, in the copy of the checkout that is the current folder."""
    commands = [_command(tests(file)) for tests in (plan.tests_of, plan.wider_tests_of)]
    patience = [_patience(file, command) for command in commands]
    with use_db(str(database(file))) as db:
        if not db.num_work_items:
            db.add_work_items(mutants(file))
        if again:
            forget_survivors(db)
        done = {job for job, _ in db.results}
        for item in chosen(db, sample):
            if item.job_id not in done and time.monotonic() < deadline:
                result = mutate_and_test(item.mutations, commands[0], patience[0])
                if result.test_outcome is TestOutcome.SURVIVED:
                    result = mutate_and_test(item.mutations, commands[1], patience[1])
                db.set_result(item.job_id, result)
                if result.test_outcome is TestOutcome.SURVIVED:
                    print(f"  survived  {describe(item, result)}", flush=True)


def _command(tests: list[str]) -> str:
    options = "-x -q --no-header --tb=line -p no:cacheprovider --hypothesis-seed=0"
    return f"{shlex.quote(sys.executable)} -m pytest {options} {shlex.join(tests)}"


def _patience(file: str, command: str) -> float:
    """After how many seconds a mutant that still runs counts as killed: three times what the tests take without one, and more."""
    start = time.monotonic()
    outcome, output = run_tests(command, 3600)
    if outcome is not TestOutcome.SURVIVED:
        sys.exit(f"{file}: its tests fail without any mutant; expected them to pass.\n{output}")
    return 30 + 3 * (time.monotonic() - start)


def chosen(db: WorkDB, sample: slice) -> list[WorkItem]:
    """The mutants, or a sample of them: always in the same order, which is a random one."""
    items = sorted(db.work_items, key=lambda item: (item.mutations[0].operator_name, item.mutations[0].occurrence))
    random.Random(0).shuffle(items)
    return items[sample]


def forget_survivors(db: WorkDB) -> None:
    """Let them run once more."""
    kept = [
        (item.job_id, result) for item, result in db.completed_work_items if result.test_outcome is not TestOutcome.SURVIVED
    ]
    items = db.work_items
    db.clear()
    db.add_work_items(items)
    for job, result in kept:
        db.set_result(job, result)


# ---- reporting


def change(result: WorkResult) -> tuple[str, str]:
    """The line that was changed, before and after."""
    lines = (result.diff or "").splitlines()
    was = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    becomes = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
    return " ".join(was), " ".join(becomes)


def describe(item: WorkItem, result: WorkResult) -> str:
    (mutation,) = item.mutations
    was, becomes = change(result)
    return f"{mutation.module_path}:{mutation.start_pos[0]} in {mutation.definition_name}\n      - {was}\n      + {becomes}"


def equivalent() -> set[tuple[str, str, str]]:
    """File, line and changed line of the mutants that no test can notice."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutants"]
    return {(entry["file"], was, becomes) for entry in listed for was, becomes in entry["changes"]}


def report(files: list[str], survivors: bool) -> None:
    """A line for each file with results, and all of them together.

    The score is the share of mutants that were noticed among those that were run, without the equivalent ones.
    """
    known, total = equivalent(), Counter[str]()
    print(f"\n{'':36}{'mutants':>8}{'run':>8}{'killed':>8}{'timeouts':>10}{'survived':>10}{'equivalent':>12}{'score':>8}")
    for file in files:
        if not database(file).exists():
            continue
        with use_db(str(database(file))) as db:
            count = Counter(mutants=db.num_work_items)
            for item, result in db.completed_work_items:
                kind = _kind(file, result, known)
                count.update(["run", kind])
                if kind == "survived" and survivors:
                    print(f"  {describe(item, result)}")
        total += count
        print(_line(file, count))
    print(_line("all", total))


def _kind(file: str, result: WorkResult, known: set[tuple[str, str, str]]) -> str:
    if result.test_outcome is TestOutcome.SURVIVED:
        return "equivalent" if (file, *change(result)) in known else "survived"
    return "timeouts" if result.output == "timeout" else "killed"


def _line(name: str, count: Counter[str]) -> str:
    noticed, counted = count["killed"] + count["timeouts"], count["run"] - count["equivalent"]
    score = f"{100 * noticed / counted:.1f}%" if counted else "-"
    return (
        f"{name:36}{count['mutants']:8}{count['run']:8}{count['killed']:8}{count['timeouts']:10}{count['survived']:10}"
        f"{count['equivalent']:12}{score:>8}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("files", nargs="*", help="sources to make mutants of; by default all in the plan")
    parser.add_argument("--sample", type=int, metavar="N", help="run N mutants of each file, always the same")
    parser.add_argument("--skip", type=int, metavar="N", default=0, help="leave out the first N, which another sample had")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no mutant after so many minutes")
    parser.add_argument("--again", action="store_true", help="run those that survived once more")
    parser.add_argument("--report", action="store_true", help="only print what was found until now, with all survivors")
    given = parser.parse_args()
    files = given.files or plan.files()
    sample = slice(given.skip, None if given.sample is None else given.skip + given.sample)
    if unknown := sorted(set(files) - set(plan.files())):
        parser.error(f"files: got {unknown}, which the plan lacks; it has {plan.files()}")
    if not given.report:
        RESULTS.mkdir(exist_ok=True)
        deadline = time.monotonic() + 60 * given.minutes
        with tempfile.TemporaryDirectory() as folder:
            copy_checkout(Path(folder))
            os.chdir(folder)
            for file in files:
                print(file, flush=True)
                run(file, sample, given.again, deadline)
            os.chdir(CHECKOUT)
    report(files, survivors=given.report)


if __name__ == "__main__":
    main()
