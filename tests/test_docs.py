"""The tables of docs/corners.md say what tinyad does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyad as ad
from tinyad.checking.diagnoses.catalogue import CATALOGUE
from tinyad.checking.diagnoses.contract import CONTRACT
from tinyad.checking.diagnoses.linearity import LINEARITY
from tinyad.checking.diagnoses.purity import ALIASING, PURITY
from tinyad.checking.tape_edits import KINDS

TEXT = (Path(__file__).parents[1] / "docs" / "corners.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \| `(.+?)` \|.*\|$", TEXT, re.MULTILINE)
NAMES: dict[str, Any] = {"ad": ad, "np": np, "inf": np.inf, "nan": np.nan}


def number(text: str) -> Any:
    return np.asarray(eval(text, NAMES), dtype=float)


def test_the_table_is_read() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(rows) - 2 > 25, "a row of docs/corners.md is not written as the others"


@pytest.mark.parametrize(("function", "point", "value", "derivative"), ROWS, ids=[f"{row[0]} at {row[1]}" for row in ROWS])
@pytest.mark.parametrize("way", ["reverse", "forward", "recorded", "vmap", "compiled"])
def test_corner(function: str, point: str, value: str, derivative: str, way: str) -> None:
    f = eval(f"lambda x: {function}", NAMES)
    x, expected = number(point), number(derivative)

    def total(x: Any) -> Any:
        return ad.sum(f(x))

    with np.errstate(all="ignore"):
        np.testing.assert_allclose(np.asarray(f(x)), number(value), rtol=1e-15, err_msg="value")
        if way == "reverse":
            found = ad.grad(total)(x)
        elif way == "forward":
            found = np.reshape([ad.jvp(total, (x,), (unit.reshape(x.shape),))[1] for unit in np.eye(x.size)], x.shape)
        elif way == "recorded":
            found = ad.grad(total)(ad.tensor(x)).array
        elif way == "vmap":
            found = ad.vmap(ad.grad(total))(np.stack([x, x]))[1]
        else:
            np.testing.assert_allclose(ad.compile(f)(x), number(value), rtol=1e-15, err_msg="compiled value")
            found = ad.compile(ad.grad(total))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# ---- the table of diagnoses

DIAGNOSES = (Path(__file__).parents[1] / "docs" / "diagnoses.md").read_text(encoding="utf-8")
ROW_OF_DIAGNOSES = re.compile(r"^\| `([A-Z]\d\d)` \| ([a-z_0-9, ]+) \|", re.MULTILINE)
DESCRIBED = {id: set(labels.split(", ")) for id, labels in ROW_OF_DIAGNOSES.findall(DIAGNOSES)}


def test_every_diagnosis_that_the_rules_give_is_described() -> None:
    entries = [(entry.id, entry.label) for entry in CATALOGUE]
    entries += [(id, label) for id, label, _ in (*CONTRACT, *PURITY, *LINEARITY, ALIASING)]
    entries += [(id, label) for id, label in KINDS.values()]
    assert [entry for entry in entries if entry[1] not in DESCRIBED.get(entry[0], set())] == []


def test_every_diagnosis_in_the_source_is_described() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (Path(ad.__file__).parent / "checking").rglob("*.py"))
    given = set(re.findall(r'"([DEFJ]\d\d)"', source))
    assert len(given) > 80
    assert given <= set(DESCRIBED)
    assert set(DESCRIBED) <= given
