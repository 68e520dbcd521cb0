"""Random inputs for tests of gradients: strategies for hypothesis, and a decorator that checks a gradient on what they draw.

The numbers are meant for differences. They are bounded, with three decimals (a failing example reads well), never NaN, never so
small that their squares vanish; where a function has kinks, `kink_free` keeps away from them, and `with_ties` goes there.

hypothesis is imported when a strategy is made: ``pip install tinyad[test]``.

>>> from tinyad.testing import arrays, broadcastable, gradcheck_cases
>>> @gradcheck_cases(lambda a, b: a * b, arrays(broadcastable()), max_examples=5)
... def test_product(a, b):
...     assert (a * b).shape == (b * a).shape
>>> test_product()
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .checking import check, check_rule

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["arrays", "broadcastable", "gradcheck_cases", "kink_free", "shapes", "with_ties"]

Shape = tuple[int, ...]
Array = npt.NDArray[Any]

DECIMALS = 1000  # numbers are whole multiples of 1/1000


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 5) -> SearchStrategy[Shape]:
    """Shapes of arrays.

    Args:
        min_dims, max_dims: how many axes.
        min_side, max_side: how long they are; 0 is allowed.

    Raises:
        ModuleNotFoundError: hypothesis is not installed.

    >>> from hypothesis import find
    >>> find(shapes(min_dims=2), lambda shape: shape[0] > 1)
    (2, 1)
    """
    _, extra = _hypothesis()
    drawn: SearchStrategy[Shape] = extra.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
    return drawn


def broadcastable(count: int = 2, max_dims: int = 3, min_side: int = 1, max_side: int = 4) -> SearchStrategy[tuple[Shape, ...]]:
    """Tuples of shapes that broadcast together.

    Args:
        count: how many shapes.
        max_dims, min_side, max_side: as for `shapes`.

    Raises:
        ModuleNotFoundError: hypothesis is not installed.

    >>> from hypothesis import find
    >>> find(broadcastable(), lambda pair: len(pair[0]) == 2)
    ((1, 1), ())
    """
    _, extra = _hypothesis()
    drawn = extra.mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, min_side=min_side, max_side=max_side)
    found: SearchStrategy[tuple[Shape, ...]] = drawn.map(lambda both: both.input_shapes)
    return found


def arrays(
    shape: Shape | SearchStrategy[Any] | None = None, *, low: float = -3.0, high: float = 3.0, dtype: npt.DTypeLike = np.float64
) -> SearchStrategy[Any]:
    """Arrays of numbers with three decimals.

    Args:
        shape: of the array; or a strategy for it, `shapes` if None. If it draws several shapes (`broadcastable`), a tuple of
            arrays is drawn.
        low, high: the numbers are between these, or equal to them.
        dtype: of floats.

    Raises:
        ModuleNotFoundError: hypothesis is not installed.
        ValueError: there is no number with three decimals between ``low`` and ``high``.

    >>> from hypothesis import find
    >>> find(arrays((2,), low=0.5), lambda x: x[1] > x[0])
    array([0.5  , 0.501])
    """
    first, last = math.ceil(low * DECIMALS), math.floor(high * DECIMALS)
    if first > last:
        raise ValueError(
            f"arrays: low is {low} and high is {high}; expected at least one number with three decimals between them."
        )
    strategies, _ = _hypothesis()
    numbers = strategies.integers(first, last).map(lambda k: k / DECIMALS)
    drawn: SearchStrategy[Any] = _filled(shape, numbers, dtype)
    return drawn


def kink_free(
    shape: Shape | SearchStrategy[Any] | None = None,
    *,
    kinks: Sequence[float] = (0.0,),
    margin: float = 0.1,
    distinct: bool = False,
    low: float = -3.0,
    high: float = 3.0,
    dtype: npt.DTypeLike = np.float64,
) -> SearchStrategy[Any]:
    """Arrays of numbers that keep away from kinks, on both sides of them.

    Args:
        shape, low, high, dtype: as for `arrays`.
        kinks: where the function is not smooth; of abs and relu 0.
        margin: how far all numbers are from these.
        distinct: whether they are also ``margin`` apart from one another, as max, sort and median need it. The bounds are
            then widened where there is no room between them.

    Raises:
        ModuleNotFoundError: hypothesis is not installed.
        ValueError: the kinks leave no room between ``low`` and ``high``.

    >>> from hypothesis import find
    >>> find(kink_free((3,)), lambda x: x.min() < 0 < x.max())
    array([ 0.1,  0.1, -0.1])
    """
    strategies, _ = _hypothesis()

    def allowed(number: float) -> bool:
        return all(abs(number - kink) >= margin - 1e-9 for kink in kinks)

    grid = [k / DECIMALS for k in range(math.ceil(low * DECIMALS), math.floor(high * DECIMALS) + 1)]
    room = sorted(filter(allowed, grid), key=lambda number: (abs(number), -number))
    if not room or not margin > 0:
        raise ValueError(
            f"kink_free: low is {low}, high is {high} and the kinks are {tuple(kinks)}, each with a margin of {margin}; expected a "
            "positive margin that leaves some room. Make it smaller, or low and high wider."
        )
    drawn: SearchStrategy[Any]
    if distinct:
        drawn = _shaped(shape, lambda chosen: _apart(chosen, allowed, margin, low, high, dtype))
        return drawn
    drawn = _filled(shape, strategies.sampled_from(room), dtype)
    return drawn


def with_ties(
    shape: Shape | SearchStrategy[Shape] | None = None, *, axis: int | None = None, dtype: npt.DTypeLike = np.float64
) -> SearchStrategy[Array]:
    """Arrays in which the largest number occurs at least twice, and others may.

    Args:
        shape: of the array, at least 2 long; or a strategy for it.
        axis: along which there is a tie in every row; None for one in the whole array.
        dtype: of floats.

    Raises:
        ModuleNotFoundError: hypothesis is not installed.
        ValueError: when drawn: there is no room for a tie.

    >>> from hypothesis import find
    >>> find(with_ties((3,)), lambda x: x.min() < x.max())
    array([ 0.,  0., -1.])
    """
    strategies, _ = _hypothesis()
    shape = shapes(min_dims=1, min_side=2) if shape is None else shape
    few = _filled(shape, strategies.integers(-2, 2).map(float), dtype)

    def tied(x: Array) -> SearchStrategy[Array]:
        rows = x.reshape(1, -1) if axis is None else np.moveaxis(x, axis, -1)
        length = rows.shape[-1]
        if length < 2:
            raise ValueError(f"with_ties: shape {x.shape} has room for one number along axis {axis}; expected 2 or more.")
        pairs = strategies.lists(strategies.integers(0, length - 1), min_size=2, max_size=2, unique=True)
        found: SearchStrategy[Array] = pairs.map(lambda pair: _raised(x, axis, pair))
        return found

    drawn: SearchStrategy[Array] = few.flatmap(tied)
    return drawn


def _raised(x: Array, axis: int | None, places: Sequence[int]) -> Array:
    """An array with its maximum at some places along an axis."""
    x = x.copy()
    rows = x.reshape(1, -1) if axis is None else np.moveaxis(x, axis, -1)  # views
    rows[..., places] = rows.max(axis=-1, keepdims=True)
    return x


def gradcheck_cases(
    op: Any, *inputs: SearchStrategy[Any], max_examples: int = 50, **options: Any
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """A decorator for tests: the gradient of ``op`` is checked on drawn inputs, and the test's own body runs on each of them.

    Args:
        op: a function for `tinyad.check`, or a pair (forward, backward) in plain NumPy for `tinyad.check_rule`.
        inputs: strategies, one for each input. One that draws a tuple stands for as many inputs. What holds no floats (an index,
            an axis) is not differentiated.
        max_examples: how many inputs are drawn.
        options: of the check: ``rtol``, ``seed``, ``order``; ``calling``, ``reference``.

    Raises:
        ModuleNotFoundError: hypothesis is not installed.
        TypeError: ``op`` is no function and no pair of them, or there is no strategy.
        GradientError: by the test, when a gradient is wrong.

    >>> import numpy as np
    >>> @gradcheck_cases((lambda x: (x**2, x), lambda x, gy: (2 * x * gy,)), arrays(), max_examples=5)
    ... def test_square(x):
    ...     assert (x**2 >= 0).all()
    >>> test_square()
    """
    strategies, _ = _hypothesis()
    from hypothesis import given, settings

    run = _checker(op, options)
    if not inputs:
        raise TypeError("gradcheck_cases: no strategy was given; expected one for each input of op, such as arrays().")

    def decorate(function: Callable[..., None]) -> Callable[[], None]:
        @settings(max_examples=max_examples, deadline=None)
        @given(drawn=strategies.tuples(*inputs))
        def test(drawn: tuple[Any, ...]) -> None:
            values = [value for part in drawn for value in (part if isinstance(part, tuple) else (part,))]
            run(*values)
            function(*values)

        for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
            setattr(test, attribute, getattr(function, attribute))
        return test

    return decorate


def _checker(op: Any, options: dict[str, Any]) -> Callable[..., Any]:
    """The check of an operation, as a function of its inputs."""
    if callable(op):
        return lambda *values: check(op, *values, **options)
    if isinstance(op, (tuple, list)) and len(op) == 2 and all(map(callable, op)):
        forward, backward = op
        return lambda *values: check_rule(forward, backward, *values, **options)
    raise TypeError(f"gradcheck_cases: op is {op!r}; expected a function, or a pair of functions (forward, backward).")


def _hypothesis() -> tuple[Any, Any]:
    """hypothesis's strategies, and those for NumPy."""
    try:
        from hypothesis import strategies
        from hypothesis.extra import numpy as extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"tinyad.testing needs hypothesis ({error}). Install it with the extra `test`: pip install tinyad[test]",
            name=error.name,
        ) from error
    return strategies, extra


def _filled(shape: Any, numbers: Any, dtype: npt.DTypeLike) -> Any:
    """Arrays of numbers that are drawn one by one: without a fill, which would make most of them equal."""
    strategies, extra = _hypothesis()
    return _shaped(
        shape,
        lambda chosen: extra.arrays(np.float64, chosen, elements=numbers, fill=strategies.nothing()).map(
            lambda x: np.asarray(x, dtype)
        ),
    )


def _shaped(shape: Any, of: Callable[[Shape], Any]) -> Any:
    """What is drawn for a shape; for a tuple of shapes, a tuple of it."""
    strategies, _ = _hypothesis()

    def drawn(chosen: Any) -> Any:
        several = isinstance(chosen, tuple) and any(isinstance(each, tuple) for each in chosen)
        return strategies.tuples(*map(of, chosen)) if several else of(chosen)

    if shape is None:
        shape = shapes()
    return shape.flatmap(drawn) if isinstance(shape, strategies.SearchStrategy) else drawn(shape)


def _apart(shape: Shape, allowed: Callable[[float], bool], margin: float, low: float, high: float, dtype: npt.DTypeLike) -> Any:
    """An array of the multiples of the margin that are closest to 0, in any order."""
    strategies, _ = _hypothesis()
    count, reach = math.prod(shape), 0
    room: list[float] = []
    while len(room) < count:
        reach += 1 + count
        multiples = [round(k * margin, 9) for k in range(-reach, reach + 1)]
        inside = [number for number in multiples if allowed(number) and low <= number <= high]
        room = inside if len(inside) >= count else [number for number in multiples if allowed(number)]
    room.sort(key=lambda number: (abs(number), -number))
    order = strategies.permutations(room[:count])
    return order.map(lambda numbers: np.array(numbers, dtype).reshape(shape))
