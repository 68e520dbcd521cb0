"""Ways to the gradient of a solution, side by side: what each needs to remember, computes again, and gives up."""

from tinyad.models.ode.adjoints.backsolve import Backsolve
from tinyad.models.ode.adjoints.base import Adjoint
from tinyad.models.ode.adjoints.checkpoint import Checkpoint
from tinyad.models.ode.adjoints.discrete import Discrete
from tinyad.models.ode.adjoints.forward import Forward
from tinyad.models.ode.adjoints.interpolating import Interpolating
from tinyad.models.ode.adjoints.reversible import Reversible
from tinyad.models.ode.adjoints.symplectic import Symplectic
from tinyad.models.ode.adjoints.tape import Tape

__all__ = ["Adjoint", "Backsolve", "Checkpoint", "Discrete", "Forward", "Interpolating", "Reversible", "Symplectic", "Tape"]
