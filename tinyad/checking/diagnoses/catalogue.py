"""The catalogue: the mistakes that can be told from values alone, in the order in which they are looked for.

Fewest degrees of freedom first. A plausible but wrong order names a quarter of the mistakes wrongly: a factor is also a permutation
of something, and everything of rank one is also "a sum without its axis".
"""

from __future__ import annotations

import numpy as np

from ..evidence import Evidence
from .factors import ARGUMENT, FACTORS, PLAIN, TERM
from .finding import Entry, Finding
from .operands import OPERANDS
from .places import ELSEWHERE, PLACES, TARGET
from .precision import PRECISION
from .sums import CENTRING, MISSING_SUM, OTHER_SUM
from .whole import OVERSUM, UPSTREAM, WHOLE

__all__ = ["CATALOGUE", "look_up"]

CATALOGUE: tuple[Entry, ...] = (
    *PRECISION,
    *WHOLE,
    *ARGUMENT,
    *PLAIN,
    *PLACES,
    *OVERSUM,
    *OPERANDS,
    *FACTORS,
    *TARGET,
    *MISSING_SUM,
    *TERM,
    *CENTRING,
    *OTHER_SUM,
    *UPSTREAM,
    *ELSEWHERE,
)


def look_up(e: Evidence, there: Evidence | None) -> tuple[Entry, Finding] | None:
    """The first entry of the catalogue that is true of the evidence, and of the evidence at another point.

    Without another point (forward takes none near by) the statement rests on one.
    """
    if not all(np.isfinite(x.A).all() for x in (e, there) if x is not None):
        return None
    nearly_right = e.same(e.A, e.J)  # then what maps the right gradient to itself would be "true" as well
    for entry in PRECISION if nearly_right else CATALOGUE:
        finding = entry.rule(e)
        if finding is not None and (there is None or finding.agrees(entry.rule(there))):
            return entry, finding
    return None
