"""Ordinary differential equations: integrators, and every way to the gradient of what they compute."""

from tinyad.models.ode.adaptive import PI, I
from tinyad.models.ode.adjoints import (
    Adjoint,
    Backsolve,
    Checkpoint,
    Discrete,
    Forward,
    Interpolating,
    Reversible,
    Symplectic,
    Tape,
)
from tinyad.models.ode.compare import ADJOINTS, AdjointTable, Compared, Problem, compare_adjoints
from tinyad.models.ode.control import Control, PiecewiseConstant, PiecewiseLinear
from tinyad.models.ode.dense import Solution
from tinyad.models.ode.events import Event, odeint_until
from tinyad.models.ode.field import Field
from tinyad.models.ode.implicit import DiagonallyImplicit
from tinyad.models.ode.ledger import Ledger
from tinyad.models.ode.methods import METHODS
from tinyad.models.ode.odeint import odeint, solve
from tinyad.models.ode.order import OrderTable, check_order
from tinyad.models.ode.reversible import SEMI_IMPLICIT_EULER, VERLET, Kicks, Leapfrog, ReversibleHeun
from tinyad.models.ode.runge_kutta import RungeKutta
from tinyad.models.ode.stability import spectral_radius
from tinyad.models.ode.stepper import Stepper
from tinyad.models.ode.tableau import (
    DOPRI5,
    EULER,
    HEUN,
    IMPLICIT_EULER,
    IMPLICIT_MIDPOINT,
    MIDPOINT,
    RALSTON3,
    RK4,
    TABLEAUX,
    TRAPEZOID,
    Tableau,
    Violation,
    check_tableau,
)

__all__ = [
    "ADJOINTS",
    "DOPRI5",
    "EULER",
    "HEUN",
    "IMPLICIT_EULER",
    "IMPLICIT_MIDPOINT",
    "METHODS",
    "MIDPOINT",
    "PI",
    "RALSTON3",
    "RK4",
    "SEMI_IMPLICIT_EULER",
    "TABLEAUX",
    "TRAPEZOID",
    "VERLET",
    "Adjoint",
    "AdjointTable",
    "Backsolve",
    "Checkpoint",
    "Compared",
    "Control",
    "DiagonallyImplicit",
    "Discrete",
    "Event",
    "Field",
    "Forward",
    "I",
    "Interpolating",
    "Kicks",
    "Leapfrog",
    "Ledger",
    "OrderTable",
    "PiecewiseConstant",
    "PiecewiseLinear",
    "Problem",
    "Reversible",
    "ReversibleHeun",
    "RungeKutta",
    "Solution",
    "Stepper",
    "Symplectic",
    "Tableau",
    "Tape",
    "Violation",
    "check_order",
    "check_tableau",
    "compare_adjoints",
    "odeint",
    "odeint_until",
    "solve",
    "spectral_radius",
]
