"""What a solution and its gradient cost, counted: evaluations, products with derivatives, steps, and states held at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

__all__ = ["Ledger"]


@dataclass
class Ledger:
    """The work of a solver and of its adjoint. Counting arrays says more than measuring memory, which is noise.

    Attributes:
        evaluations: values of the right-hand side that were used. The pass that a product of its own derivative takes is not
            counted again.
        vjps: products of the right-hand side's transposed Jacobian, by state and parameters together, with a vector.
        jvps: products of its Jacobian with a vector.
        steps: steps taken, forward and backward.
        rejected: steps of an adaptive method that were tried and discarded.
        stored: the most states that were held at once for the way back.

    >>> from tinyad.models import ode
    >>> ledger = ode.Ledger()
    >>> ode.odeint(lambda t, y, theta: -theta * y, 1.0, (0.0, 1.0), 2.0, method="rk4", steps=10, ledger=ledger).round(6)
    np.float64(0.13534)
    >>> ledger
    Ledger(evaluations=40, vjps=0, jvps=0, steps=10, rejected=0, stored=0)
    """

    evaluations: int = 0
    vjps: int = 0
    jvps: int = 0
    steps: int = 0
    rejected: int = 0
    stored: int = 0
    _held: int = dataclasses.field(default=0, repr=False)

    def hold(self, states: int = 1) -> None:
        """Count states that are kept from now on; fewer than none for those given back."""
        self._held += states
        self.stored = max(self.stored, self._held)

    def since(self, start: Ledger) -> Ledger:
        """What was counted after ``start``."""
        return Ledger(**{name: getattr(self, name) - getattr(start, name) for name in _SUMS})

    def count(self, start: Ledger, of_one: Ledger, times: int) -> None:
        """Set to ``start`` plus so many times what was counted for one: for loops whose body is written down once."""
        for name in _SUMS:
            setattr(self, name, getattr(start, name) + times * getattr(of_one, name))


_SUMS = ("evaluations", "vjps", "jvps", "steps", "rejected")
