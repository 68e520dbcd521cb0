"""The methods by name."""

from __future__ import annotations

from tinyad.models.ode.implicit import DiagonallyImplicit
from tinyad.models.ode.reversible import SEMI_IMPLICIT_EULER, VERLET, Leapfrog, ReversibleHeun
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.models.ode.stepper import Stepper
from tinyad.models.ode.tableau import TABLEAUX, Tableau

__all__ = ["METHODS", "method_named"]

METHODS: dict[str, Stepper] = {
    **{name: (RungeKutta if tableau.explicit else DiagonallyImplicit)(tableau) for name, tableau in TABLEAUX.items()},
    **{stepper.name: stepper for stepper in (SEMI_IMPLICIT_EULER, VERLET, Leapfrog(), ReversibleHeun())},
}
"""What `odeint` knows by name."""


def method_named(method: str | Stepper | Tableau) -> Stepper:
    """The method that a name, a tableau or a method stands for.

    Raises:
        ValueError: for another name.
    """
    if isinstance(method, Stepper):
        return method
    if isinstance(method, Tableau):
        return (RungeKutta if method.explicit else DiagonallyImplicit)(method)
    if method not in METHODS:
        raise ValueError(f"odeint: method={method!r}; expected one of {', '.join(map(repr, METHODS))}, or a Tableau")
    return METHODS[method]
