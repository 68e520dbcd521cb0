"""Operations that the diagnoses were not tuned on, each with a backward written by hand, to make mistakes in.

Whoever writes rules of diagnosis should not look at what becomes of these: the score on them tells what the rules are worth on
mistakes that nobody had in mind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.checking.held_out import distances, dynamics, layers, losses, sequences


@dataclass(frozen=True)
class Operation:
    """An operation, its derivative, and where to try it.

    Attributes:
        forward: ``forward(*inputs)`` gives the value and a cache.
        reference: ``reference(*inputs)`` gives the value, written differently, in NumPy calls that tinyad differentiates.
        backward: ``backward(cache, dout)`` gives a gradient for every input, None for indices.
        inputs: random inputs from a generator; axes are primes of different lengths where the operation lets them.
    """

    name: str
    forward: Callable[..., tuple[Any, Any]]
    reference: Callable[..., Any]
    backward: Callable[..., tuple[Any, ...]]
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]


def _normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Normal numbers of both signs."""
    return lambda generator: tuple(generator.normal(size=shape) for shape in shapes)


def _classified(*shapes: tuple[int, ...], classes: int) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Normal numbers, and after the first array labels for its rows: every class occurs, some several times."""

    def inputs(generator: np.random.Generator) -> tuple[Any, ...]:
        first, *others = (generator.normal(size=shape) for shape in shapes)
        labels = generator.permutation(np.arange(len(first)) % classes)
        return first, labels, *others

    return inputs


def _changed(inputs: Callable[..., tuple[Any, ...]], **changes: Callable[[Any], Any]) -> Callable[..., tuple[Any, ...]]:
    """Inputs of which some are changed: ``at2=np.exp`` makes those at position 2 positive."""

    def changed(generator: np.random.Generator) -> tuple[Any, ...]:
        values = list(inputs(generator))
        for place, change in changes.items():
            values[int(place.removeprefix("at"))] = change(values[int(place.removeprefix("at"))])
        return tuple(values)

    return changed


def _of(module: Any, name: str, inputs: Callable[..., tuple[Any, ...]]) -> Operation:
    """The functions ``name_forward``, ``name`` and ``name_backward`` of a file."""
    functions = (getattr(module, name + part) for part in ("_forward", "", "_backward"))
    return Operation(name.replace("_", " "), *functions, inputs)


def _probability(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


OPERATIONS = [
    _of(losses, "focal_loss", _classified((7, 5), classes=5)),
    _of(losses, "pseudo_huber", _normal((5, 3), (5, 3))),
    _of(losses, "gaussian_kl", _normal((5, 3), (5, 3), (5, 3), (5, 3))),
    _of(losses, "info_nce", _normal((5, 3), (5, 3))),
    _of(losses, "soft_triplet", _normal((5, 3), (5, 3), (5, 3))),
    _of(losses, "label_smoothing", _classified((7, 3), classes=3)),
    _of(losses, "dice", _changed(_normal((3, 7), (3, 7)), at1=_probability)),
    _of(losses, "center_loss", _classified((7, 5), (3, 5), classes=3)),
    _of(losses, "gaussian_logpdf", _normal((7, 3), (3,), (3,))),
    _of(layers, "group_norm", _normal((3, 6, 5), (6,), (6,))),
    _of(layers, "weight_norm", _normal((7, 3), (5, 3), (5,))),
    _of(layers, "glu", _normal((7, 3), (3, 5), (3, 5), (5,))),
    _of(layers, "highway", _normal((7, 3), (3, 3), (3,), (3, 3))),
    _of(layers, "squeeze_excite", _normal((7, 5, 3), (5, 2), (2, 5))),
    _of(layers, "mish", _normal((5, 3))),
    _of(layers, "selu", _normal((5, 3))),
    _of(layers, "soft_threshold", _changed(_normal((7, 3), (3,)), at1=lambda t: 0.5 * _probability(t))),
    _of(layers, "factorisation_machine", _normal((7, 5), (5,), (5, 3))),
    _of(layers, "mixture_of_experts", _normal((7, 5), (5, 3), (3, 5, 2))),
    _of(layers, "residual_block", _normal((7, 3), (3, 5), (5,), (5, 3))),
    _of(distances, "rbf_kernel", _changed(_normal((7, 3), (5, 3), (5,)), at2=lambda s: 0.5 * _probability(s))),
    _of(distances, "pairwise_squared", _normal((7, 3), (5, 3))),
    _of(distances, "mahalanobis", _normal((7, 3), (3,), (3, 3))),
    _of(distances, "student_similarity", _normal((5, 3))),
    _of(sequences, "depthwise", _normal((2, 5, 13), (5, 3))),
    _of(sequences, "dilated_conv", _normal((2, 3, 13), (5, 3, 4))),
    _of(sequences, "transposed_conv", _normal((2, 3, 5), (3, 7, 4), (7,))),
    _of(sequences, "linear_attention", _normal((5, 3), (7, 3), (7, 2))),
    _of(sequences, "alibi", _changed(_normal((2, 5, 5), (2,)), at1=_probability)),
    _of(sequences, "rotary", _normal((2, 5, 6), (5, 3))),
    _of(sequences, "segment_mean", _classified((7, 5), classes=3)),
    _of(sequences, "attentive_pooling", _normal((3, 7, 5), (3, 7))),
    _of(sequences, "fading_memory", _changed(_normal((7, 3), (3,)), at1=_probability)),
    _of(dynamics, "midpoint", _normal((7, 3), (3, 3), (3,))),
    _of(dynamics, "leapfrog", _normal((7, 3), (7, 3), (3,))),
    _of(dynamics, "hamiltonian", _normal((7, 6), (5, 3), (5,))),
    _of(dynamics, "antisymmetric", _normal((7, 3), (3, 3), (3,))),
    _of(dynamics, "competition", _normal((7, 3), (3,), (3, 3))),
]
