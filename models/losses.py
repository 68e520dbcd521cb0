"""What training makes small, and what the reader of a result wants large. Each is a mean over examples (rows)."""

from __future__ import annotations

import numpy as np

import tinyad as ad
from tinyad.backend import Array, is_mutable, module_of
from tinyad.tensor import unwrap

__all__ = ["accuracy", "softmax_cross_entropy", "squared_loss"]


def softmax_cross_entropy(scores: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """Mean over examples of ``-log softmax(scores)[label]``, in nats.

    Args:
        scores: shape (examples, classes), any real numbers.
        labels: the classes, whole numbers of shape (examples,), or a row of probabilities for each example (one-hot, say),
            shape (examples, classes); rows must sum to 1.
        smoothing: how much of the right class's probability is spread evenly over all classes, 0 for none. It keeps a model
            from growing ever more certain, and often generalises better (C. Szegedy et al., Rethinking the Inception
            architecture, CVPR 2016, section 7).

    Raises:
        ValueError: if the shapes do not fit, ``smoothing`` is no fraction, or a label is out of range. Labels on a GPU are not
            looked at, since that would make the processor wait for it.

    The formula: with ``s`` the score of the right class (or the mean score under the row of probabilities), the loss of an
    example is ``logsumexp(scores - s)``. Subtracting before the sum, not after, keeps all digits for scores of any size and
    makes the value invariant to shifts.

    >>> import numpy as np
    >>> from tinyad import models
    >>> scores = np.array([[0.0, 0.0], [1e4, 0.0]])
    >>> models.softmax_cross_entropy(scores, np.array([0, 0]))
    np.float64(0.34657359027997264)
    """
    if labels.ndim == 2:
        _same_shape(scores, labels)
        right = (scores * labels).sum(axis=1, keepdims=True)
    else:
        _check_labels(scores, labels)
        examples = module_of(unwrap(scores)).arange(labels.shape[0])
        right = scores[examples, labels].reshape((-1, 1))
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing: got {smoothing}; expected a fraction from 0 to 1. Give 0.1, or 0 for none.")
    if smoothing:
        right = (1 - smoothing) * right + smoothing * scores.mean(axis=1, keepdims=True)
    return ad.logsumexp(scores - right, axis=1).mean()


def squared_loss(outputs: Array, targets: Array) -> Array:
    """Half the mean over examples of ``|output - target|^2``; both of shape (examples, ...).

    Raises:
        ValueError: if the shapes differ: broadcasting (examples, 1) against (examples,) is a mistake that trains.

    >>> import numpy as np
    >>> from tinyad import models
    >>> float(models.squared_loss(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])))
    2.5
    """
    _same_shape(outputs, targets, "outputs", "targets")
    difference = outputs - targets
    return (0.5 / outputs.shape[0]) * (difference * difference).sum()


def accuracy(scores: Array, labels: Array) -> Array:
    """Fraction of examples whose largest score is that of their class; arguments as in `softmax_cross_entropy`.

    >>> import numpy as np
    >>> from tinyad import models
    >>> float(models.accuracy(np.array([[2.0, 1.0], [2.0, 1.0]]), np.array([0, 1])))
    0.5
    """
    scores, labels = unwrap(scores), unwrap(labels)
    if labels.ndim == 2:
        _same_shape(scores, labels)
        labels = labels.argmax(axis=1)
    else:
        _check_labels(scores, labels)
    return (scores.argmax(axis=1) == labels).mean()


def _same_shape(scores: Array, labels: Array, name: str = "scores", other: str = "labels") -> None:
    if scores.shape != labels.shape:
        raise ValueError(
            f"{other}: got shape {tuple(labels.shape)}; expected {tuple(scores.shape)}, the shape of {name}. "
            f"Reshape one of the two."
        )


def _check_labels(scores: Array, labels: Array) -> None:
    labels = unwrap(labels)
    if labels.ndim != 1 or scores.ndim != 2 or labels.shape[0] != scores.shape[0]:
        raise ValueError(
            f"labels: got shape {tuple(labels.shape)} for scores of shape {tuple(scores.shape)}; expected scores (examples, "
            f"classes) and labels (examples,) or (examples, classes). Examples are rows."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels: got dtype {labels.dtype}; expected whole numbers, or rows of probabilities. "
            f"Use labels.astype(int), or models.squared_loss for real targets."
        )
    classes = scores.shape[1]
    if not is_mutable(labels):  # in a compiled function: each call looks
        ad.require((labels >= 0) & (labels < classes), f"labels: expected whole numbers from 0 to {classes - 1}")
    elif isinstance(labels, np.ndarray) and labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"labels: got values from {labels.min()} to {labels.max()}; expected 0 to {classes - 1}, since scores has "
            f"{classes} columns. Number the classes from 0, or widen the classifier."
        )
