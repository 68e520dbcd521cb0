"""What many students got wrong in the same way: the diagnoses of many grades, counted.

Grades are read as `as_json` writes them. A mistake is counted once for a submission, however many cases show it, and an item's
hidden cases together with the others.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .submission import STATUSES

__all__ = ["Cluster", "clusters", "shares_of_items", "told"]

Graded = Mapping[str, Any]

DID = {
    "D01": "backward raises", "D02": "returned another number of gradients", "D03": "returned None for an input that matters",
    "D04": "returned something else than an array", "D05": "returned another dtype", "D06": "returned NaN or infinity",
    "D07": "forgot to un-broadcast", "D08": "left or lost axes of length 1", "D09": "returned the transposed gradient",
    "D10": "returned another shape", "D11": "wrote into an input", "D12": "wrote into the upstream gradient",
    "D13": "backward changes what it keeps", "D14": "keep state between calls", "D15": "another result at each call",
    "D16": "returned arrays that share memory", "D17": "used finite differences", "D18": "ignored the upstream gradient",
    "D19": "left the upstream gradient out of a term", "D20": "used the upstream gradient twice, or in a mask",
    "D21": "a gradient of zero", "D22": "wrong sign", "D23": "wrong constant factor",
    "D24": "wrong factor that is a length: 1/N, sum for mean", "D25": "exchanged gradients", "D26": "permuted axes",
    "D27": "reversed along an axis", "D28": "off by one", "D29": "right numbers in wrong places",
    "D30": "summed over too much", "D31": "forgot the local derivative", "D32": "took a wrong axis of the upstream gradient",
    "D33": "the Jacobian for its transpose", "D34": "forgot the cross terms", "D35": "wrong where a sign changes",
    "D36": "gave a gradient to what was not selected", "D37": "gave the gradient to the wrong element",
    "D38": "left out some outputs: a loop too short", "D39": "= where += should be",
    "D40": "averaged over uses instead of adding", "D41": "spread the gradient over a window",
    "D42": "the output where the input should be", "D43": "the input where the output should be",
    "D44": "a factor missing, or too many",
    "D45": "a factor wrong along an axis", "D46": "a term is missing",
    "D47": "a sum over an axis is missing (softmax, mean, variance)",
    "D48": "summed over the wrong axis", "D49": "summed without an axis", "D50": "did not subtract a mean",
    "D51": "wrong at the target class", "D52": "a transpose missing, or too many", "D53": "operands in the wrong order",
    "D54": "lost precision", "D56": "no valid slope at a kink", "D57": "wrong in no known way",
    "F01": "forward raises", "F02": "forward returns another shape", "F03": "forward returns other values",
}  # fmt: skip
"""What students did, by the catalogue's numbers. Others are called by their labels."""

ENDED = {
    "raised": "the code raises", "contract": "did not keep to the interface", "missing": "a file or a function is missing",
    "import error": "the file cannot be imported", "memory": "asked for too much memory", "timed out": "timed out",
    "killed": "ended the process", "no frame": "answered with what is no answer", "void": "worth nothing for how it was done",
}  # fmt: skip

OF_FILES = ("missing", "import error")  # one cause for all items of a file
UNKNOWN = ("D57", "E10")


@dataclass
class Cluster:
    """A mistake and who made it.

    Attributes:
        item: of the assignment.
        id: of the mistake in the catalogue; empty for code that ended otherwise.
        did: what they did.
        input: which input's gradient it is about; empty for the call as a whole.
        names: of the submissions.
        example: what one of them was told.
    """

    item: str
    id: str
    did: str
    input: str = ""
    names: list[str] = field(default_factory=list)
    example: str = ""

    @property
    def where(self) -> str:
        """The item and the input."""
        return f"{self.item}, {self.input}" if self.input else self.item

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        about = {"item": self.item, "input": self.input, "id": self.id, "did": self.did}
        return {**about, "count": len(self.names), "submissions": self.names, "example": self.example}


def clusters(grades: Mapping[str, Graded]) -> list[Cluster]:
    """The mistakes in grades, by the names of the submissions; the most frequent first.

    One mistake may look different in one case: of the diagnoses of an input the one that most cases have is counted.
    """
    found: dict[tuple[str, ...], Cluster] = {}
    for name, grade in grades.items():
        for key, cluster in _mistakes(grade):
            kept = found.setdefault(key, cluster)
            if name not in kept.names:
                kept.names.append(name)
            if cluster.item not in kept.item.split(", "):
                kept.item += f", {cluster.item}"
    return sorted(found.values(), key=lambda cluster: -len(cluster.names))


def _mistakes(grade: Graded) -> Iterator[tuple[tuple[str, ...], Cluster]]:
    """The mistakes of one submission, and by what each is the same as another's."""
    of_inputs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for test in grade["tests"]:
        yield from _endings(test)
        for case in test["cases"]:
            for diagnosis in case["diagnoses"]:
                if diagnosis["error"] and test["status"] != "void":
                    of_inputs.setdefault((_item(test), _input(diagnosis["name"])), []).append(diagnosis)
    for (item, about), diagnoses in of_inputs.items():
        ids = Counter(diagnosis["id"] for diagnosis in diagnoses)
        chosen = max(ids, key=lambda id: (id not in UNKNOWN, ids[id]))
        first = next(diagnosis for diagnosis in diagnoses if diagnosis["id"] == chosen)
        did = DID.get(chosen) or first["label"].replace("_", " ")
        yield (item, chosen, about), Cluster(item, chosen, did, about, example=first["fact"])


def _endings(test: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Cluster]]:
    """How the code of a test ended, where no diagnosis tells of it."""
    item = _item(test)
    if test["status"] == "void":
        yield (item, "void"), Cluster(item, "", ENDED["void"], example=_first_line(test["output"]))
        return
    for case in test["cases"]:
        if case["status"] not in ("ok", "not run") and not any(diagnosis["error"] for diagnosis in case["diagnoses"]):
            said = case["statements"][0] if case["statements"] else ""
            yield (item, case["status"]), Cluster(item, "", ENDED.get(case["status"], case["status"]), example=said)
    if not test["cases"] and test["status"] in ("failed", "partly"):
        said = _first_line(test["output"])
        status = next((key for key, how in STATUSES.items() if said.startswith(how)), "failed")
        key = (status,) if status in OF_FILES else (item, status)
        yield key, Cluster(item, "", ENDED.get(status, "no points"), example=said)


def _item(test: Mapping[str, Any]) -> str:
    return str(test["name"]).removesuffix(", hidden cases")


def _input(name: str) -> str:
    """The input's name without its shape and dtype: ``input 2 'b' (7,) float64``."""
    return re.sub(r" \([\d, ]*\) \w+$", "", name)


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "").removeprefix("worth 0: ")


def told(found: Sequence[Cluster], total: int, most: int = 20) -> str:
    """The clusters as text, one a line.

    >>> print(told([Cluster("linear", "D07", DID["D07"], "input 2 'b'", ["ada", "bob"])], 3))
    2 of 3  D07  forgot to un-broadcast: linear, input 2 'b'
    """
    if not found:
        return "no mistakes"
    width = len(str(total))
    lines = [f"{len(each.names):>{width}} of {total}  {each.id or '   '}  {each.did}: {each.where}" for each in found[:most]]
    return "\n".join([*lines, *([f"and {len(found) - most} more"] if len(found) > most else [])])


def shares_of_items(grades: Mapping[str, Graded]) -> dict[str, tuple[float, int]]:
    """For each item the mean share of its points that was earned, and how many got all of it."""
    earned: dict[str, list[float]] = {}
    for grade in grades.values():
        points: dict[str, list[float]] = {}
        for test in grade["tests"]:
            both = points.setdefault(_item(test), [0.0, 0.0])
            both[0] += test["score"]
            both[1] += test["points"]
        for item, (score, worth) in points.items():
            earned.setdefault(item, []).append(score / worth if worth else 0.0)
    return {item: (statistics.fmean(shares), sum(share > 0.9999 for share in shares)) for item, shares in earned.items()}
