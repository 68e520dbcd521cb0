"""`check_layer`: a layer object that keeps its cache and its gradients on itself, checked like a pair of functions.

A layer is copied before each forward, with the parameters under test in the place of its own wherever the object refers to them,
so that checking leaves it as it was and one call cannot disturb another.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import is_array
from ..tensor import unwrap
from .comparison import RTOL
from .inputs import describe
from .options import check_options
from .report import GradientError, Report
from .rule import Pair, parameter_names
from .rules import examined

__all__ = ["check_layer"]

GRADIENT_NAMES = ("d{}", "grad_{}", "{}_grad", "d_{}")  # what people call the gradient of an attribute


def check_layer(
    layer: Any,
    *inputs: Any,
    params: str = "params",
    grads: str = "grads",
    seed: int = 0,
    rtol: float | None = None,
    points: int = 2,
    level: str = "full",
    feedback: str = "explain",
    raises: bool = True,
) -> Report:
    r"""Check a layer: an object with ``forward(*inputs) -> y`` and ``backward(dy) -> dx``, and say why it is wrong.

    The gradients of the inputs are what backward returns, a tuple for several. Those of the parameters are looked up after
    backward in ``layer.grads``, under the names of ``layer.params`` (dicts, or lists in the same order); or, for a layer without
    these, in attributes: the
    gradient of ``layer.W`` in ``layer.dW``, ``layer.grad_W`` or ``layer.W_grad``. If the layer has a method ``zero_grad`` it is
    called before each backward, and gradients may accumulate; without one they may not.

    Args:
        layer: the object; it is copied and stays as it is.
        inputs: what forward takes; float arrays are differentiated by, others held fixed.
        params, grads: the names of the dicts or lists.
        seed, rtol, points, level, feedback, raises: as for `check_rule`.

    Raises:
        GradientError: a gradient is wrong.
        TypeError: the layer has no forward or backward, or neither parameters nor inputs hold floats.
        ValueError: an unknown option.

    >>> import numpy as np, tinyad as ad
    >>> class Linear:
    ...     def __init__(self, w):
    ...         self.params, self.grads = {"w": w}, {}
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.params["w"]
    ...     def backward(self, dy):
    ...         self.grads["w"] = self.x.T @ dy / len(dy)
    ...         return dy @ self.params["w"].T
    >>> random = np.random.default_rng(0)
    >>> layer, x = Linear(random.normal(size=(3, 7))), random.normal(size=(5, 3))
    >>> print(ad.check_layer(layer, x, raises=False).text("fact"))
    check of Linear: FAILED   (seed 0)
      params['w'] (3, 7) float64
        what    exactly 1/5 times the right gradient = 1/x.shape[0] or 1/y.shape[0]   [D24 factor_n]
    """
    check_options("check_layer", rtol, level, feedback, points)
    for method in ("forward", "backward"):
        if not callable(getattr(layer, method, None)):
            raise TypeError(
                f"check_layer: layer is a {type(layer).__name__} without a method {method}; expected forward and backward."
            )
    found = _parameters(layer, inputs, params, grads)
    pair = _as_pair(layer, found, None if _by_name(getattr(layer, params, None)) is None else grads, inputs)
    report = replace(examined(pair, type(layer).__name__, seed, rtol or RTOL, points, level), feedback=feedback)
    if raises and not report.passed:
        raise GradientError(report)
    return report


def _parameters(layer: Any, inputs: tuple[Any, ...], params: str, grads: str) -> dict[str, Any]:
    """The float arrays among a layer's parameters, by name."""
    named = _by_name(getattr(layer, params, None))
    if named is not None:
        return {name: value for name, value in named.items() if _is_float(value)}
    if getattr(layer, params, None) is not None:
        given = describe(getattr(layer, params))
        raise TypeError(f"check_layer: layer.{params} is {given}; expected a dict or a list of arrays.")
    attributes = {name: value for name, value in vars(layer).items() if _is_float(value)}
    if not attributes:
        return {}
    used = copy.deepcopy(layer)
    y = used.forward(*copy.deepcopy(inputs))
    used.backward(np.ones_like(unwrap(y)))
    return {name: value for name, value in attributes.items() if _gradient_name(used, name)}


def _gradient_name(layer: Any, name: str) -> str:
    """The attribute that holds the gradient of another one; empty if there is none."""
    return next((text.format(name) for text in GRADIENT_NAMES if hasattr(layer, text.format(name))), "")


def _is_float(value: Any) -> bool:
    value = unwrap(value)
    return is_array(value) and value.dtype.kind == "f"


def _as_pair(layer: Any, found: dict[str, Any], grads: str | None, inputs: tuple[Any, ...]) -> Pair:
    """A layer as a forward and a backward of its parameters and inputs."""

    def forward(*arguments: Any) -> tuple[Any, Any]:
        values = arguments[0] if found else {}
        used = _with_parameters(layer, found, values)
        y = used.forward(*arguments[1 if found else 0 :])
        return y, used

    def backward(used: Any, dy: Any) -> tuple[Any, ...]:
        if callable(getattr(used, "zero_grad", None)):
            used.zero_grad()
        dx = used.backward(dy)
        returned = tuple(dx) if isinstance(dx, (tuple, list)) else (dx,)
        return (_gradients(used, found, grads), *returned) if found else returned

    pair = Pair("check_layer", forward, backward, (found, *inputs) if found else inputs)
    named = parameter_names(layer.forward, len(inputs))
    for k, word in enumerate(pair.words):
        position, path = word.removeprefix("in").partition("[")[::2]
        if found and word.startswith("in0"):
            pair.names[k] = pair.words[k] = f"params{word.removeprefix('in0')}"
        elif named:
            name = named[int(position) - bool(found)] + (f"[{path}" if path else "")
            pair.names[k], pair.words[k] = name, name
    return pair


def _with_parameters(layer: Any, found: dict[str, Any], values: Mapping[str, Any]) -> Any:
    """A copy of a layer in which other arrays stand wherever it refers to its parameters."""
    memo = {id(value): values[name] for name, value in found.items()}
    return copy.deepcopy(layer, memo)


def _gradients(used: Any, found: dict[str, Any], grads: str | None) -> dict[str, Any]:
    """The parameters' gradients after backward; None for what is not there."""
    if grads is None:
        return {name: getattr(used, _gradient_name(used, name), None) for name in found}
    held = _by_name(getattr(used, grads, None))
    if held is None:
        given = describe(getattr(used, grads, None))
        raise TypeError(f"layer.{grads} is {given} after backward; expected a dict or list of gradients, like the parameters")
    return {name: held.get(name) for name in found}


def _by_name(held: Any) -> Mapping[Any, Any] | None:
    """A dict, or a list by position; None for anything else."""
    if isinstance(held, (list, tuple)):
        return dict(enumerate(held))
    return held if isinstance(held, Mapping) else None
