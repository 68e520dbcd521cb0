"""What of an engine is not written yet: functions that raise NotImplementedError, as those of an assignment that is handed out do.

They are found before anything is judged, by building and going back from each operation alone, and told in one sentence. What needs
one of them is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..report import Diagnosis
from .driver import Driver, Failure
from .graphs import POINT
from .operations import summed
from .statements import code, function, written
from .tables import Operation, tables

__all__ = ["Unwritten", "unwritten"]

NOT_YET = "NotImplementedError"


@dataclass
class Unwritten:
    """What is not written yet.

    Attributes:
        names: of the functions that raise, as they are called in the engine.
        skip: operations, as their texts, that cannot be judged for want of them.
    """

    names: list[str] = field(default_factory=list)
    skip: set[str] = field(default_factory=set)

    def tell(self, others: list[Diagnosis]) -> list[Diagnosis]:
        """One sentence on what is missing, in the place of all that raises for it."""
        if not self.names:
            return others
        told = Diagnosis("E27", "not_written", f"not written yet: {', '.join(self.names)}", args={"names": self.names})
        return [told, *(each for each in others if each.args.get("type") != NOT_YET)]


def unwritten(driver: Driver, seed: int = 0) -> Unwritten:
    """Which functions of an engine raise NotImplementedError.

    An axis or a pair of shapes at which an operation raises it, and which an engine may do without, is not offered; so it is with
    numbers in place of objects of the engine. Both are told where operations are judged.
    """
    missing = Unwritten()
    base, others = tables(driver.arrays)
    works: set[str] = set()
    for operation in [*base, *others]:
        if driver.supports(operation.op):
            _ask(driver, operation, seed, missing, works)
    if not works:  # no operation was gone back from
        try:
            driver.backward(driver.make(POINT))
        except Failure as failure:
            if failure.kind == NOT_YET:
                missing.names.append(code(function(failure)) or "backward")
    return missing


def _ask(driver: Driver, operation: Operation, seed: int, missing: Unwritten, works: set[str]) -> None:
    """Whether this operation can be built, and gone back from."""
    stage = "forward"
    try:
        handles = [driver.make(x if driver.arrays else float(x)) for x in operation.inputs(seed)]
        y = operation.build(driver, *handles)
        works.add(operation.op)
        stage = "backward"
        driver.backward(summed(driver, y))
    except Failure as failure:
        if failure.kind != NOT_YET:
            return  # told where operations are judged
        name = code(function(failure)) or written(operation.op, operation.number == "left")
        beyond = operation.optional or (operation.number and operation.op in works)
        if beyond and stage == "forward" and name not in missing.names:
            return
        missing.skip.add(operation.text)
        if name not in missing.names:
            missing.names.append(name)
