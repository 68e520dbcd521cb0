"""Networks that are differential equations: how each moves decides whether it can be stable, and whether it can be undone.

A layer is a step of an integrator for ``y' = f(theta(t), y)``. Examples are rows, so where the literature writes ``K y`` it is
``y @ K`` here. Stable are the equations whose Jacobian has no eigenvalues with a positive real part, integrated by a method whose
region of stability holds the eigenvalues times the step: `stability_report` looks.

Sources: E. Haber, L. Ruthotto, "Stable architectures for deep neural networks", 2018; B. Chang et al., "Reversible architectures
for arbitrarily deep residual neural networks", 2018; L. Ruthotto, E. Haber, "Deep neural networks motivated by partial
differential equations", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

import tinyad as ad
from tinyad import tree
from tinyad.backend import Array
from tinyad.models.initializers import glorot_uniform, zeros
from tinyad.models.layers import Activation, Dense, positive
from tinyad.models.module import Module
from tinyad.models.ode import (
    Adjoint,
    Control,
    Discrete,
    Field,
    Ledger,
    PiecewiseConstant,
    PiecewiseLinear,
    Reversible,
    Stepper,
    odeint,
)
from tinyad.models.ode.methods import method_named
from tinyad.models.randomness import Seed, generator

__all__ = [
    "Antisymmetric", "DoubleHamiltonian", "Dynamics", "Hamiltonian", "Parabolic", "Plain", "SecondOrder", "StableNet", "roughness",
]  # fmt: skip


@dataclass(frozen=True)
class Dynamics:
    """Base of the equations: the right-hand side, and the weights it takes at a time.

    Attributes:
        activation: applied to each element.
        paired: whether the state is a pair ``(q, p)`` of which each part moves by the other.
        method: what integrates it unless another is named.
    """

    activation: Activation = ad.tanh

    paired: ClassVar[bool] = False
    method: ClassVar[str] = "euler"

    def __post_init__(self) -> None:
        if not callable(self.activation):
            raise TypeError(f"activation: got {self.activation!r}; expected a function, as ad.tanh. Give other numbers by name")

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights for states of this length (of each part, for a pair)."""
        return {"K": (width, width), "b": (width,)}

    @property
    def f(self) -> Any:
        """The right-hand side for `odeint`, or the pair of them."""
        return (self.of_q, self.of_p) if self.paired else self.slope

    def slope(self, t: Any, y: Array, theta: Any) -> Array:
        """``y'``."""
        raise NotImplementedError

    def of_q(self, t: Any, p: Array, theta: Any) -> Array:
        """``q'``."""
        raise NotImplementedError

    def of_p(self, t: Any, q: Array, theta: Any) -> Array:
        """``p'``."""
        raise NotImplementedError


class Plain(Dynamics):
    """``y' = act(y K + b)``: the residual network. Nothing keeps its eigenvalues to the left."""

    def slope(self, t: Any, y: Array, theta: Any) -> Array:
        return self.activation(y @ theta["K"] + theta["b"])


@dataclass(frozen=True)
class Antisymmetric(Dynamics):
    """``y' = act(y (K - K' - gamma I) + b)``: for any K the eigenvalues of the matrix have the real part ``-gamma``.

    Euler's method is unstable for it unless ``gamma`` is at least about ``h |omega|^2 / 2``, where ``i omega`` is the largest
    eigenvalue of ``K - K'``; "rk4" is stable without any.

    Attributes:
        gamma: the damping, 0 or more.

    Raises:
        ValueError: if ``gamma`` is negative.
    """

    gamma: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gamma >= 0:
            raise ValueError(
                f"gamma: got {self.gamma}; expected a damping of 0 or more. A negative one would make all modes grow."
            )

    def slope(self, t: Any, y: Array, theta: Any) -> Array:
        K = theta["K"]
        turned = y @ (K - ad.matrix_transpose(K)) + theta["b"]
        return self.activation(turned - self.gamma * y if self.gamma else turned)


class Parabolic(Dynamics):
    """``y' = -act(y K + b) K'``: the Jacobian is symmetric and has no positive eigenvalues, so distances never grow.

    That holds for Euler's method as well if ``h <= 2 / (|K|^2 max act')``.
    """

    def slope(self, t: Any, y: Array, theta: Any) -> Array:
        K = theta["K"]
        return -(self.activation(y @ K + theta["b"]) @ ad.matrix_transpose(K))


class Hamiltonian(Dynamics):
    """``q' = act(p K + b),  p' = -act(q K' + b)``: antisymmetric by its two parts, whatever K is."""

    paired = True
    method = "verlet"

    def of_q(self, t: Any, p: Array, theta: Any) -> Array:
        return self.activation(p @ theta["K"] + theta["b"])

    def of_p(self, t: Any, q: Array, theta: Any) -> Array:
        return -self.activation(q @ ad.matrix_transpose(theta["K"]) + theta["b"])


class DoubleHamiltonian(Dynamics):
    """``q' = act(p K + b) K',  p' = -act(q L + c) L'``: Hamilton's equations of the energy ``sum s(p K + b) + sum s(q L + c)``,
    where ``s' = act``. Symplectic methods keep it, up to an error that stays bounded, if K and L do not depend on time."""

    paired = True
    method = "verlet"

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        return {"K": (width, width), "b": (width,), "L": (width, width), "c": (width,)}

    def of_q(self, t: Any, p: Array, theta: Any) -> Array:
        return self.activation(p @ theta["K"] + theta["b"]) @ ad.matrix_transpose(theta["K"])

    def of_p(self, t: Any, q: Array, theta: Any) -> Array:
        return -(self.activation(q @ theta["L"] + theta["c"]) @ ad.matrix_transpose(theta["L"]))


class SecondOrder(Dynamics):
    """``q'' = -act(q K + b) K'`` as ``q' = p``: with "semi_implicit_euler" the leapfrog network
    ``q_next = 2 q - q_before + h^2 q''``, which remembers two states."""

    paired = True
    method = "semi_implicit_euler"

    def of_q(self, t: Any, p: Array, theta: Any) -> Array:
        return p

    def of_p(self, t: Any, q: Array, theta: Any) -> Array:
        K = theta["K"]
        return -(self.activation(q @ K + theta["b"]) @ ad.matrix_transpose(K))


_CONTROLS: dict[str, type[Control]] = {"constant": PiecewiseConstant, "linear": PiecewiseLinear}


@dataclass
class StableNet(Module):
    """An opening layer, a differential equation whose weights change in time, and a linear classifier.

    Attributes:
        opening: from features to the width of the state.
        control: the weights of the equation as functions of time; one cell for each layer, unless it was made with others.
        classifier: from the width to a score for each class.
        dynamics: the equation.
        steps: of the integrator.
        method: the integrator's name.
        adjoint: how gradients are computed: `Reversible`, in memory that does not depend on the depth, where the method's steps
            can be undone; otherwise `Discrete`.

    >>> import numpy as np
    >>> from tinyad import models
    >>> net = models.StableNet.create(0, models.DoubleHamiltonian(), features=2, width=8, classes=5, depth=16, final_time=4.0)
    >>> net(np.ones((10, 2))).shape, net.method, net.adjoint
    ((10, 5), 'verlet', Reversible())
    >>> deeper = net.prolonged()
    >>> deeper.steps, bool(abs(deeper(np.ones((10, 2))) - net(np.ones((10, 2)))).max() < 0.1)
    (32, True)
    """

    opening: Dense
    control: Control
    classifier: Dense
    dynamics: Dynamics = field(metadata={"static": True})
    steps: int = field(metadata={"static": True})
    method: str = field(metadata={"static": True})
    adjoint: Adjoint = field(metadata={"static": True})

    @classmethod
    def create(
        cls,
        rng: Seed,
        dynamics: Dynamics,
        features: int,
        width: int,
        classes: int,
        depth: int,
        final_time: float = 1.0,
        method: str | None = None,
        steps: int | None = None,
        control: Literal["constant", "linear"] = "constant",
        adjoint: Adjoint | None = None,
        dtype: Any = np.float64,
    ) -> Self:
        """A network with Glorot weights.

        Args:
            rng: a seed or generator.
            dynamics: the equation, such as ``Antisymmetric(gamma=0.1)``.
            features: length of an example.
            width: length of a state; for a pair of both parts together, so an even number.
            classes: number of scores.
            depth: in how many pieces the weights change.
            final_time: the time at the end.
            method: of `odeint`; the dynamics' own by default.
            steps: of the method, a multiple of ``depth``; as many by default.
            control: weights that are constant on each piece, or go straight from one knot to the next.
            adjoint: how gradients are computed.
            dtype: of all weights.

        Raises:
            ValueError: if a size is out of range, or the width of a pair is odd.
        """
        steps = depth if steps is None else steps
        for name, size in (("features", features), ("width", width), ("classes", classes), ("depth", depth), ("steps", steps)):
            positive(name, size)
        if dynamics.paired and width % 2:
            raise ValueError(f"width: got {width}; expected an even number, since the state of {dynamics!r} is a pair (q, p)")
        if steps % depth:
            raise ValueError(f"steps: got {steps}; expected a multiple of depth={depth}, so that each step has its weights")
        if control not in _CONTROLS:
            raise ValueError(f"control: got {control!r}; expected 'constant' or 'linear'")
        if not final_time > 0:
            raise ValueError(f"final_time: got {final_time}; expected a time after 0")
        stepper = method_named(method or dynamics.method)
        stepper.check(Field(dynamics.f, Ledger()), (None, None) if dynamics.paired else None)
        rng = generator(rng, "rng")
        rows = depth + (control == "linear")
        opening = Dense.create(rng, features, width, dynamics.activation, dtype=dtype)
        values = {
            name: ad.stack([(glorot_uniform if len(shape) > 1 else zeros)(rng, shape, dtype) for _ in range(rows)])
            for name, shape in dynamics.shapes(width // 2 if dynamics.paired else width).items()
        }
        return cls(
            opening=opening,
            control=_CONTROLS[control](values, (0.0, float(final_time))),
            classifier=Dense.create(rng, width, classes, dtype=dtype),
            dynamics=dynamics,
            steps=steps,
            method=stepper.name,
            adjoint=adjoint or _usual_adjoint(stepper),
        )

    def start(self, x: Array) -> Any:
        """The initial state: shape (examples, width), or for a pair two halves of that."""
        y = self.opening(x)
        half = y.shape[-1] // 2
        return (y[..., :half], y[..., half:]) if self.dynamics.paired else y

    def flow(self, y0: Any, **settings: Any) -> Any:
        """The state at the final time; other ``settings`` for `odeint`, such as ``adjoint=Tape()`` or a ledger."""
        usual = self.adjoint if "method" not in settings else _usual_adjoint(method_named(settings["method"]))
        settings = {"steps": self.steps, "method": self.method, "adjoint": usual, **settings}
        return odeint(self.dynamics.f, y0, self.control.interval, self.control, **settings)

    def states(self, x: Array) -> Array:
        """The states at the times of all steps: shape (steps + 1, examples, width)."""
        return _joined(self.flow(self.start(x), times=np.linspace(*self.control.interval, self.steps + 1)))

    def features(self, x: Array) -> Array:
        """The state at the final time, which the classifier sees: shape (examples, width)."""
        return _joined(self.flow(self.start(x)))

    def __call__(self, x: Array) -> Array:
        """Scores of shape (examples, classes) for examples of shape (examples, features)."""
        return self.classifier(self.features(x))

    def prolonged(self) -> Self:
        """The network of twice the depth with the same weights as functions of time: a start for its training.

        Source: E. Haber, L. Ruthotto, E. Holtham, S.-H. Jun, "Learning across scales", 2018.
        """
        return replace(self, control=self.control.refined(), steps=2 * self.steps)


def _usual_adjoint(stepper: Stepper) -> Adjoint:
    return Reversible() if stepper.reversible else Discrete()


def _joined(state: Any) -> Array:
    return ad.concat(list(state), axis=-1) if isinstance(state, tuple) else state


def roughness(control: Control, strength: float = 1.0) -> Array:
    """``strength / 2`` times the integral of ``|d theta / dt|^2``: weights that change slowly from layer to layer.

    For a piecewise constant control the derivative is that of the line through the values in the middle of the cells.

    Raises:
        ValueError: if ``strength`` is negative.

    Source: E. Haber, L. Ruthotto, "Stable architectures for deep neural networks", 2018, section 4.

    >>> import numpy as np
    >>> from tinyad import models
    >>> models.roughness(models.ode.PiecewiseLinear(np.array([0.0, 1.0, 1.0]), (0.0, 1.0)))
    np.float64(1.0)
    """
    if not strength >= 0:
        raise ValueError(f"strength: got {strength}; expected a number of 0 or more")
    start, end = control.interval
    h = (end - start) / control.cells
    squares = [ad.sum((leaf[1:] - leaf[:-1]) ** 2) for leaf in tree.leaves(control)]
    return 0.5 * strength / h * sum(squares)
