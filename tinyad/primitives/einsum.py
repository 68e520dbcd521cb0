"""Einstein's notation for sums of products."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from ..backend import Array, module_of
from ..kinds import Function, behind_the_examples, multilinear
from ..tensor import unwrap
from .indexing import getitem
from .reductions import sum
from .shaping import as_arrays, expand_dims, permute_dims, shape_of, squeeze

__all__ = ["einsum"]

_LETTERS = sorted(string.ascii_letters)  # the order of an implicit output


def _einsum_forward(xp: Any, *operands: Array, subscripts: tuple[str, ...]) -> Array:
    *inputs, output = subscripts
    # the ellipsis stands for leading axes; a path through BLAS is worth finding from three operands or large ones on
    formula = ",".join(f"...{letters}" for letters in inputs) + f"->...{output}"
    optimize = len(operands) > 2 or max(x.size for x in operands) > 1000
    return xp.einsum(formula, *operands, optimize=optimize)


def _einsum_transpose(i: int, g: Array, operands: Sequence[Any], node: Any, *, subscripts: tuple[str, ...]) -> Array:
    *inputs, output = subscripts
    others = [(x, letters) for k, (x, letters) in enumerate(zip(operands, inputs, strict=True)) if k != i]
    letters = (output, *[letters for _, letters in others], inputs[i])
    return _einsum(g, *[x for x, _ in others], subscripts=letters)


def _einsum_missing(i: int, node: Any) -> int:
    *inputs, output = node.params["subscripts"]
    return (len(node.shape) - len(output)) - (len(node.parents[i].shape) - len(inputs[i]))


def _einsum_batch(
    operands: Sequence[Any], ranks: Sequence[int], mapped: Sequence[bool], *, subscripts: tuple[str, ...]
) -> Array:
    in_front = [rank - len(letters) for rank, letters in zip(ranks, subscripts, strict=False)]
    return _einsum(*behind_the_examples(operands, in_front, mapped), subscripts=subscripts)


_einsum: Function = multilinear("einsum", _einsum_forward, _einsum_transpose, missing=_einsum_missing, batch=_einsum_batch)


def einsum(subscripts: Any, *operands: Any, optimize: Any = None) -> Array:
    """Sums of products in Einstein's notation, as NumPy's: ``"ij,jk->ik"``, with ``...``, repeated letters, implicit output; also
    with lists of numbers in place of letters, ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    Args:
        subscripts: the formula; or the first operand, with its list after it.
        operands: the operands; or the others, each with its list after it, and perhaps a list for the output.
        optimize: there because NumPy has it; whatever it says, products of many or large operands are done in a good order.

    Raises:
        ValueError: if the formula does not fit the operands, naming what does not.
        TypeError: if there is no formula.

    >>> import numpy as np, tinyad as ad
    >>> A = np.arange(6.0).reshape(2, 3)
    >>> ad.grad(lambda A: ad.einsum("ij,ij->", A, A))(A)
    array([[ 0.,  2.,  4.],
           [ 6.,  8., 10.]])
    """
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists(subscripts, operands)
    inputs, output = _parse_einsum(subscripts, [len(shape_of(x)) for x in operands])
    items = as_arrays(*operands)
    _check_lengths(subscripts, inputs, items)
    terms = [_distinct(x, letters) for x, letters in zip(items, inputs, strict=True)]
    for k, (x, letters) in enumerate(terms):
        elsewhere = set(output).union(*[other for i, (_, other) in enumerate(terms) if i != k])
        terms[k] = _summed(x, letters, elsewhere)
    missing = [c for c in output if not any(c in letters for _, letters in terms)]
    kept = "".join(c for c in output if c not in missing)
    result = _einsum(*[x for x, _ in terms], subscripts=(*[letters for _, letters in terms], kept))
    return expand_dims(result, tuple([output.index(c) for c in missing])) if missing else result


def _distinct(x: Array, letters: str) -> tuple[Array, str]:
    """Take diagonals for repeated letters and drop axes of length 1, which stand for any length."""
    for c in sorted({c for c in letters if letters.count(c) > 1}):
        x, letters = _diagonal(x, letters, c)
    ones = tuple([i for i, n in enumerate(shape_of(x)) if n == 1])
    if ones:
        x, letters = squeeze(x, ones), "".join(c for i, c in enumerate(letters) if i not in ones)
    return x, letters


def _summed(x: Array, letters: str, elsewhere: set[str]) -> tuple[Array, str]:
    """Sum over letters that stand nowhere else. Each letter left also stands elsewhere, so that the transpose is an einsum."""
    alone = tuple([i for i, c in enumerate(letters) if c not in elsewhere])
    if alone:
        x, letters = sum(x, axis=alone), "".join(c for c in letters if c in elsewhere)
    return x, letters


def _diagonal(x: Array, letters: str, c: str) -> tuple[Array, str]:
    """Keep the elements whose indices at all places of ``c`` agree; the common axis comes first."""
    places = [i for i, letter in enumerate(letters) if letter == c]
    lengths = {shape_of(x)[i] for i in places}
    if len(lengths) > 1:
        raise ValueError(
            f"einsum: letter {c!r} stands for axes of lengths {sorted(lengths)} of one operand; expected equal ones"
        )
    rest = [i for i in range(len(letters)) if i not in places]
    x = permute_dims(x, (*places, *rest))
    index = module_of(unwrap(x)).arange(x.shape[0])
    return getitem(x, (index,) * len(places)), c + "".join(letters[i] for i in rest)


def _from_lists(first: Any, rest: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The formula and the operands, from operands and lists of numbers by turns."""
    given = (first, *rest)
    lists, output = given[1::2], given[-1:] if len(given) % 2 else ()
    labels = [label for numbers in (*lists, *output) if isinstance(numbers, (list, tuple)) for label in numbers]
    if not lists or not all(isinstance(x, (list, tuple)) for x in (*lists, *output)):
        raise TypeError(
            f"einsum: the formula is {type(first).__name__}; expected a str such as 'ij,jk->ik', then the operands; or operands "
            f"and lists such as [0, 1] by turns"
        )
    if any(label is not Ellipsis and not hasattr(label, "__index__") for label in labels):
        raise TypeError(f"einsum: lists {[*lists, *output]}; expected integers and at most one ... in each")
    numbers = sorted({label.__index__() for label in labels if label is not Ellipsis})
    if len(numbers) > len(_LETTERS):
        raise ValueError(f"einsum: {len(numbers)} different numbers; there are letters for {len(_LETTERS)}")
    letter = dict(zip(numbers, _LETTERS, strict=False))
    terms = ["".join("..." if k is Ellipsis else letter[k.__index__()] for k in x) for x in (*lists, *output)]
    formula = ",".join(terms[: len(lists)]) + (f"->{terms[-1]}" if output else "")
    return formula, given[0 : 2 * len(lists) : 2]


def _parse_einsum(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the output, with the ellipsis spelled out."""
    formula = subscripts.replace(" ", "")
    left, arrow, right = formula.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"einsum: {subscripts!r} speaks of {len(terms)} operands, got {len(ranks)}")
    spare = [c for c in _LETTERS if c not in formula]
    widths = []
    for term, rank in zip(terms, ranks, strict=True):
        named = len(term.replace("...", ""))
        if not set(term.replace("...", "", 1)) <= set(_LETTERS):
            raise ValueError(f"einsum: {term!r} in {subscripts!r}; expected letters and at most one '...'")
        if named > rank or (named < rank and "..." not in term):
            raise ValueError(f"einsum: {term!r} in {subscripts!r} names {named} axes, the operand has {rank}")
        widths.append(rank - named if "..." in term else 0)
    if max(widths, default=0) > len(spare):
        raise ValueError(
            f"einsum: {subscripts!r} and its '...' stand for more axes than the {len(_LETTERS)} there are letters for"
        )
    dots = "".join(spare[: max(widths, default=0)])
    inputs = [t.replace("...", dots[len(dots) - w :]) for t, w in zip(terms, widths, strict=True)]
    if not arrow:
        letters = "".join(inputs)
        right = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    if dots and "..." not in right:
        raise ValueError(f"einsum: output {right!r} in {subscripts!r} has no '...' for the axes that the operands have there")
    output = right.replace("...", dots)
    unknown = [c for c in output if not any(c in letters for letters in inputs)]
    if unknown or len(set(output)) != len(output):
        raise ValueError(f"einsum: output {right!r} in {subscripts!r}; each letter must appear once, and in an operand")
    return inputs, output


def _check_lengths(subscripts: str, inputs: Sequence[str], items: Sequence[Array]) -> None:
    seen: dict[str, int] = {}
    for letters, x in zip(inputs, items, strict=True):
        for c, n in zip(letters, x.shape, strict=True):
            if n != 1 and seen.setdefault(c, n) != n:
                raise ValueError(f"einsum: letter {c!r} in {subscripts!r} stands for lengths {seen[c]} and {n}")
