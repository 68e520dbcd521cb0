"""Other points for a rule: near the given one, and on arrays of other lengths.

A rule is right or wrong at the point it was given; what is *said* of it must hold at another point as well, and "five times too
large" has a name only when it is seen whether the five is a length.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..backend import asnumpy, is_array, module_of
from ..tensor import unwrap
from .inputs import FloatArray, FloatInputs, is_float_array

__all__ = ["generic", "jittered", "lengthened", "resized", "shrunk", "spread_apart"]

STEPS = (0.1, 0.01, 1e-3)  # relative; the first that forward accepts
PRIMES = (3, 5, 7, 11, 13, 17, 19, 23)
SIDE = 4  # of square arrays


def generic(random: np.random.Generator, shape: Sequence[int]) -> FloatArray:
    """Numbers at which little is true by chance: of either sign, none near zero, no two the same or nearly so.

    >>> x = generic(np.random.default_rng(0), (5, 3))
    >>> x.shape, bool((np.abs(x) > 0.15).all()), bool((np.diff(np.sort(x, axis=None)) > 1e-4).all())
    ((5, 3), True, True)
    """
    size = int(np.prod(shape))
    magnitudes = 0.2 + 1.6 * (np.arange(size) + random.uniform(0.25, 0.75, size)) / max(size, 1)
    signs = np.where(np.arange(size) % 2, -1.0, 1.0)
    return np.asarray(random.permutation(magnitudes * random.permutation(signs)).reshape(tuple(shape)))


def jittered(rule: FloatInputs, seed: int) -> FloatInputs | None:
    """The rule a little beside its point: every number changed by a tenth of itself, so that signs and domains are kept."""
    for step in STEPS:
        random = np.random.default_rng(seed)
        moved = rule.at([_jittered(random, value, step) for value in rule.values])
        if _accepted(moved):
            return moved
    return None


def _jittered(random: np.random.Generator, value: Any, step: float) -> Any:
    array = np.array(asnumpy(value), np.float64)
    change = random.uniform(0.5, 1.0, array.shape) * random.choice([-1.0, 1.0], array.shape)
    if not array.any():  # zeros throughout: a bias, a state to start from
        return module_of(value).asarray(step * change, dtype=value.dtype)
    return module_of(value).asarray(array * (1 + step * change), dtype=value.dtype)


def resized(rule: FloatInputs, seed: int, square: bool = False) -> FloatInputs | None:
    """The rule on arrays of other lengths, or all of one length; None if forward takes no such.

    Axes of equal length stay of equal length, and those of length 1 stay as they are. Numbers are drawn from the given ones, a
    tenth beside them, so that the domain is kept; integers, which may be indices, are drawn from those that were given.
    """
    lengths = _lengths_of(rule)
    return _first_accepted(rule, seed, _lengths(lengths, square)) if lengths else None


def shrunk(rule: FloatInputs, seed: int) -> FloatInputs | None:
    """The rule on small arrays, their lengths different primes; None if forward takes no such."""
    lengths = _lengths_of(rule)
    if not lengths or len(lengths) > len(PRIMES):
        return None
    longest = {length: length if length < PRIMES[len(lengths)] else PRIMES[-1] for length in lengths}
    return _first_accepted(rule, seed, [dict(zip(lengths, PRIMES, strict=False)), longest])


def lengthened(rule: FloatInputs, seed: int) -> FloatInputs | None:
    """The rule with its axes of length 1 made longer, the others as they are; None if it has none, or forward takes no such."""
    if all(1 not in leaf.shape for leaf in rule.leaves if is_array(leaf)):
        return None
    lengths = _lengths_of(rule)
    return _first_accepted(rule, seed, [{1: next(prime for prime in PRIMES if prime not in lengths)}])


def _lengths_of(rule: FloatInputs) -> list[int]:
    """The lengths of the axes of the inputs, each once, ascending."""
    return sorted({length for leaf in rule.leaves if is_array(leaf) for length in leaf.shape if length > 1})


def spread_apart(rule: FloatInputs, seed: int) -> FloatInputs | None:
    """The rule on arrays whose axes have different lengths, where given axes are of one length that need not be the same.

    Which axes belong together is not known, so a few guesses are tried: by the axis, as in x * y, and in a chain, as in x @ w.
    """
    shapes = [leaf.shape for leaf in rule.leaves if is_array(leaf)]
    if all(len(set(shape)) == len(shape) for shape in shapes):
        return None
    guesses = [
        [tuple(PRIMES[axis + 1] if length > 1 else 1 for axis, length in enumerate(shape)) for shape in shapes],
        [
            tuple(PRIMES[k + axis + 1] if length > 1 else 1 for axis, length in enumerate(shape))
            for k, shape in enumerate(shapes[: len(PRIMES) - 4])
        ],
    ]
    random = np.random.default_rng(seed)
    for guess in guesses:
        new = iter(guess)
        leaves = [_drawn(random, leaf, next(new, leaf.shape)) if is_array(leaf) else leaf for leaf in rule.leaves]
        changed = rule.of_leaves(leaves)
        if _accepted(changed):
            return changed
    return None


def _first_accepted(rule: FloatInputs, seed: int, choices: Iterable[Mapping[int, int]]) -> FloatInputs | None:
    random = np.random.default_rng(seed)
    for new in choices:
        leaves = [_resized(random, leaf, new) if is_array(leaf) and leaf.shape else leaf for leaf in rule.leaves]
        changed = rule.of_leaves(leaves)
        if _accepted(changed):
            return changed
    return None


def _lengths(lengths: Sequence[int], square: bool) -> list[Mapping[int, int]]:
    """What may become of each length: all the same; other primes; only the shortest or the longest changed."""
    if square:
        return [dict.fromkeys(lengths, SIDE)]
    primes = (prime for prime in itertools.chain(PRIMES[1:], itertools.count(29, 2)) if prime not in lengths)
    one_by_one = [{length: length for length in lengths} | {changed: changed + 2} for changed in lengths]
    return [dict(zip(lengths, primes, strict=False)), {length: 2 * length for length in lengths}, *one_by_one]


def _resized(random: np.random.Generator, leaf: Any, new: Mapping[int, int]) -> Any:
    return _drawn(random, leaf, tuple(new.get(length, length) for length in leaf.shape))


def _drawn(random: np.random.Generator, leaf: Any, shape: tuple[int, ...]) -> Any:
    """An array of another shape with numbers like those that were given."""
    array = np.asarray(asnumpy(leaf))
    if not array.size:
        return leaf
    if not is_float_array(leaf):
        return module_of(leaf).asarray(random.choice(array.ravel(), shape))
    places = np.resize(random.permutation(array.size), shape)
    drawn = np.asarray(array, np.float64).ravel()[places]
    return module_of(leaf).asarray(drawn * random.uniform(0.9, 1.1, shape), dtype=leaf.dtype)


def _accepted(rule: FloatInputs) -> bool:
    """Whether forward takes the point, and is finite there."""
    try:
        with np.errstate(all="ignore"):
            leaves = tree.leaves(rule(*rule.in_float64()))
    except Exception:  # what a forward raises that does not like its shapes may be anything
        return False
    found = [asnumpy(unwrap(leaf)) for leaf in leaves if is_float_array(leaf)]
    return any(np.size(values) for values in found) and all(bool(np.isfinite(values).all()) for values in found)
