"""tinyad side by side with its peers: times, memory, time to first result; tables, goals and a picture.

    python benchmarks/run.py [--only a b ...] [--engines tinyad jax ...] [--rounds 15] [--quick] [--out DIR]

`workloads.py` has the sections and what is timed in them, `measures.py` says how.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import goals
import measures
import picture
import report
from engines import NAMES
from workloads import SECTIONS

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))  # tinyad of this checkout, unless one is installed


def doctors_setting():
    """What `python -m tinyad doctor` has found to help and is not set."""
    from tinyad import doctor

    return doctor.to_apply(os.environ)


def run(letter, options):
    """{measure: numbers} of a section, what was left out, and how many processors other programs took."""
    options.left_out, options.others = {}, []
    results = {}
    for kind, workloads, engines in SECTIONS[letter].measures:
        names, engines = options.chosen(workloads), [name for name in engines if name in options.installed]
        results[kind] = getattr(measures, kind)(names, engines, options)
    return results | {"left_out": options.left_out, "others": options.others}


def rounded(tree):
    """Numbers to four digits: what is kept is read by people, too."""
    if isinstance(tree, dict):
        return {name: rounded(branch) for name, branch in tree.items()}
    return [float(f"{x:.4g}") for x in tree] if isinstance(tree, list) else tree


class Results:
    """Everything measured on one machine with the same versions, kept in a file, so that sections may be run one at a time."""

    def __init__(self, folder, machine):
        self.folder, self.machine, self.sections = folder, machine, {}
        kept = folder / "measurements.json" if folder else None
        if kept and kept.exists():
            earlier = json.loads(kept.read_text(encoding="utf-8"))
            if earlier["machine"] == machine:
                self.sections = earlier["sections"]

    def add(self, letter, results):
        self.sections = {name: self.sections.get(name) for name in SECTIONS} | {letter: rounded(results)}
        self.sections = {name: found for name, found in self.sections.items() if found}
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = {"machine": self.machine, "sections": self.sections}
            (self.folder / "measurements.json").write_text(json.dumps(kept) + "\n", encoding="utf-8")
            (self.folder / "overview.md").write_text(self.page(), encoding="utf-8")
            try:
                picture.draw(self.sections, self.folder / "overview.png")
            except ModuleNotFoundError as error:
                print(f"no picture: {error}")

    def page(self):
        parts = ["# Benchmarks: tinyad and its peers", self.machine, "![overview](overview.png)", goals.table(self.sections)]
        return "\n\n".join(parts + [report.section(*item) for item in self.sections.items()]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections; by default all")
    parser.add_argument("--engines", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--rounds", type=int, help="default 15, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="does it run? Small work, short samples, nothing written")
    parser.add_argument("--out", type=Path, help="folder for tables and picture; default benchmarks/results")
    chosen = parser.parse_args()
    quick = chosen.quick
    folder = chosen.out or (None if quick else HERE / "results")

    versions, doctor = measures.versions(NAMES), doctors_setting()
    options = measures.Options(
        installed={name: version for name, version in versions.items() if version and name in chosen.engines},
        doctor=doctor,
        rounds=chosen.rounds or (3 if quick else 15),
        repeats=1 if quick else 3,
        sample=0.01 if quick else 0.05,
        replays=1_000 if quick else 10_000,
        quick=quick,
    )
    machine = report.machine(versions, doctor)
    print(machine, end="\n\n")
    results = Results(folder, machine)
    for letter in chosen.only:
        begin = time.perf_counter()
        results.add(letter, run(letter, options))
        print(f"\n{report.section(letter, results.sections[letter])}\n", flush=True)
        print(f"section {letter} took {time.perf_counter() - begin:.0f} s\n", flush=True)
    print(goals.table(results.sections))


if __name__ == "__main__":
    main()
