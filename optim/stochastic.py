"""Optimisers for gradients that come in minibatches.

An optimiser is two pure functions over trees of plain arrays::

    state = optimizer.init(params)
    params, state = optimizer.step(params, gradients, state)

The state is a tree too, so it is saved like a model. A step returns new arrays and leaves those it was given alone; it works
in the precision and on the device of the parameters.

A step is compiled. To compile it together with the gradient, into one program that updates the parameters in place::

    @ad.compile(donate=("params", "state"))
    def train(params, state, x, y):
        value, gradients = ad.value_and_grad(loss)(params, x, y)
        return value, *optimizer.step(params, gradients, state)

A learning rate that is a function of the step looks at the step's number, which a program does not know beforehand: then
compute ``numbers = optimizer.numbers(state.steps)`` outside, pass them, and call ``optimizer.update`` inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import tinyad as ad
from tinyad import tree
from tinyad.backend import Array, is_array, module_of
from tinyad.optim.schedules import Schedule, check_rate, constant

__all__ = ["AdamState", "Optimizer", "SGDState", "adam", "sgd"]


@dataclass(frozen=True)
class Optimizer:
    """A method of optimisation.

    Attributes:
        init: from the parameters to the state before the first step.
        numbers: from the number of steps already taken to the numbers of the next step: its learning rate, and what else the
            method computes from the count alone.
        update: from parameters, gradients, state and these numbers to the new parameters and state.
        name: with its settings, for reports.
    """

    init: Callable[[Any], Any]
    numbers: Callable[[Any], tuple[Any, ...]]
    update: Callable[[Any, Any, Any, tuple[Any, ...]], tuple[Any, Any]]
    name: str
    compiled: Callable[..., tuple[Any, Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", ad.compile(self.update))

    def step(self, params: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
        """The parameters and the state after one step."""
        return self.compiled(params, gradients, state, self.numbers(state.steps))

    def __repr__(self) -> str:
        return self.name


class SGDState(NamedTuple):
    """Steps taken, and the velocity of each leaf of the parameters, in their order; empty without momentum."""

    steps: int
    velocity: list[Array]


class AdamState(NamedTuple):
    """Steps taken, and running means of the gradient and of its square for each leaf of the parameters, in their order."""

    steps: int
    mean: list[Array]
    square: list[Array]


def sgd(lr: float | Schedule, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> Optimizer:
    """Stochastic gradient descent.

    With ``g`` the gradient plus ``weight_decay`` times the parameters, ``v <- momentum v + g`` and ``p <- p - lr v``;
    Nesterov's form steps along ``g + momentum v``.
    Sources: H. Robbins, S. Monro, A stochastic approximation method, 1951; B. T. Polyak, 1964 (momentum); I. Sutskever et al.,
    ICML 2013 (Nesterov's form for minibatches; here with the rate outside of the velocity).

    Args:
        lr: the learning rate, a number or a function of the step (`tinyad.optim.cosine`).
        momentum: how much of the velocity stays, from 0 to less than 1.
        nesterov: look ahead along the velocity. Needs momentum.
        weight_decay: adds the gradient of ``weight_decay / 2 * |p|^2``.

    Raises:
        ValueError: for a setting out of range; in ``step``, if parameters and gradients do not fit.

    >>> from tinyad import optim
    >>> opt = optim.sgd(lr=0.25)
    >>> opt.step({"w": 3.0}, {"w": 2.0}, opt.init({"w": 3.0}))
    ({'w': 2.5}, SGDState(steps=1, velocity=[]))
    """
    rate = _schedule(lr)
    momentum, weight_decay = _fraction("momentum", momentum), check_rate("weight_decay", weight_decay)
    if nesterov and not momentum:
        raise ValueError("nesterov: got True with momentum 0; expected momentum > 0 to look ahead along. Set momentum=0.9.")

    def init(params: Any) -> SGDState:
        return SGDState(0, _zeros(params) if momentum else [])

    def update(params: Any, gradients: Any, state: SGDState, numbers: tuple[Any, ...]) -> tuple[Any, SGDState]:
        ps, gs, structure = _leaves(params, gradients)
        (lr_now,) = numbers
        new, velocity = [], []
        for p, g, v in zip(ps, gs, state.velocity or gs, strict=True):
            direction = g + weight_decay * p if weight_decay else g
            if momentum:
                v = momentum * v + direction
                velocity.append(v)
                direction = direction + momentum * v if nesterov else v
            new.append(p - lr_now * direction)
        return tree.unflatten(structure, new), SGDState(state.steps + 1, velocity)

    settings = f"momentum={momentum}, nesterov={nesterov}, weight_decay={weight_decay}"
    return Optimizer(init, lambda steps: (rate(steps),), update, f"sgd(lr={_show(lr)}, {settings})")


def adam(
    lr: float | Schedule = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0
) -> Optimizer:
    """Adam, with decoupled weight decay (AdamW) when asked for.

    ``m <- b1 m + (1 - b1) g``, ``s <- b2 s + (1 - b2) g^2``, and at step t
    ``p <- p - lr (m' / (sqrt(s') + eps) + weight_decay p)`` with ``m' = m / (1 - b1^t)``, ``s' = s / (1 - b2^t)``.
    Sources: D. P. Kingma, J. Ba, Adam, ICLR 2015, algorithm 1; I. Loshchilov, F. Hutter, Decoupled weight decay
    regularization, ICLR 2019, algorithm 2.

    Args:
        lr: the learning rate, a number or a function of the step.
        b1, b2: how much of the running means stays, from 0 to less than 1.
        eps: added to the root, not under it.
        weight_decay: the share of the parameters taken off at each step, in units of ``lr``.

    Raises:
        ValueError: for a setting out of range; in ``step``, if parameters and gradients do not fit.

    >>> from tinyad import optim
    >>> opt = optim.adam(lr=0.1)
    >>> params, state = opt.step(3.0, 2.0, opt.init(3.0))
    >>> round(params, 6), state.steps
    (2.9, 1)
    """
    rate = _schedule(lr)
    b1, b2 = _fraction("b1", b1), _fraction("b2", b2)
    eps, weight_decay = check_rate("eps", eps), check_rate("weight_decay", weight_decay)
    if not eps:
        raise ValueError(f"eps: got {eps}; expected a positive number, since it keeps 0 / 0 away. Give 1e-8.")

    def init(params: Any) -> AdamState:
        return AdamState(0, _zeros(params), _zeros(params))

    def numbers(steps: Any) -> tuple[Any, ...]:
        # the corrections 1 / (1 - b^t) put into the rate and eps, as in section 2 of the paper: two passes over all arrays less
        lr_now, root = rate(steps), (1 - b2 ** (steps + 1)) ** 0.5
        return lr_now * root / (1 - b1 ** (steps + 1)), eps * root, 1 - lr_now * weight_decay

    def update(params: Any, gradients: Any, state: AdamState, numbers: tuple[Any, ...]) -> tuple[Any, AdamState]:
        ps, gs, structure = _leaves(params, gradients)
        lr_now, eps_now, kept = numbers
        new, mean, square = [], [], []
        # one parameter after the other, so that its arrays stay in the cache
        for p, g, m, s in zip(ps, gs, state.mean, state.square, strict=True):
            m = b1 * m + (1 - b1) * g
            s = b2 * s + (1 - b2) * (g * g)
            new.append((kept * p if weight_decay else p) - lr_now * (m / (s**0.5 + eps_now)))
            mean.append(m)
            square.append(s)
        return tree.unflatten(structure, new), AdamState(state.steps + 1, mean, square)

    return Optimizer(init, numbers, update, f"adam(lr={_show(lr)}, b1={b1}, b2={b2}, eps={eps}, weight_decay={weight_decay})")


def _leaves(params: Any, gradients: Any) -> tuple[list[Array], list[Array], tree.Structure]:
    """The leaves of both trees, and their structure. Shapes must agree: broadcasting would train something else.

    Raises:
        ValueError: naming the first place that differs.
    """
    ps, structure = tree.flatten(params)
    gs = tree.same_structure("gradients", structure, gradients, "params")
    for i, (p, g) in enumerate(zip(ps, gs, strict=True)):
        if getattr(p, "shape", ()) != getattr(g, "shape", ()):
            raise ValueError(
                f"gradients: got shape {getattr(g, 'shape', ())} at `params{tree.paths(params)[i]}`; expected "
                f"{getattr(p, 'shape', ())}, the parameter's. Sum the gradient over the axes that were broadcast."
            )
    return ps, gs, structure


def _zeros(params: Any) -> list[Array]:
    return [module_of(leaf).zeros_like(leaf) if is_array(leaf) else 0.0 for leaf in tree.leaves(params)]


def _schedule(lr: float | Schedule) -> Schedule:
    """The learning rate as a function of the step that gives Python numbers."""
    return (lambda step: check_rate("lr", lr(step))) if callable(lr) else constant(lr)


def _fraction(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(
            f"{name}: got {value}; expected 0 <= {name} < 1, the share of a running sum that stays. Give a number such as 0.9."
        )
    return float(value)


def _show(lr: float | Schedule) -> str:
    return getattr(lr, "__qualname__", type(lr).__name__).split(".")[0] if callable(lr) else str(lr)
