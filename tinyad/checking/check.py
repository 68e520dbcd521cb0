"""The gradient check: tinyad's derivatives against numeric ones, input by input.

`check` compares reverse mode with differences of fourth order, entry by entry where the Jacobian is small
enough and in random directions where it is not, and forward mode with reverse mode by the dot test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..transforms import vjp
from .comparison import ROUNDING_UNITS, RTOL, relative_distance
from .diagnoses.finding import number
from .dot import DotTest, dot_test
from .examine import examine, in_given_dtype
from .inputs import EPS, FloatInputs, as_output, checked_output, random_like
from .options import check_options
from .report import Diagnosis, GradientError, Report
from .trial import Trial

__all__ = ["check"]

OTHER_VALUES = Diagnosis(
    "F04",
    "other_values",
    "f returns other values when it is differentiated than when it is not",
    "the forward function of a custom rule must compute what the function itself computes",
)


def check(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    rtol: float | None = None,
    seed: int = 0,
    level: str = "full",
    feedback: str = "explain",
    raises: bool = True,
) -> Report:
    r"""Check tinyad's derivatives of ``f`` against numeric ones.

    Reverse mode is compared with fourth-order differences of ``f`` in float64 (`numeric_jacobian`): every
    entry of the Jacobian if the inputs have at most 2000 entries (and the Jacobian 10^6), otherwise 4 random
    directions for each input and 8 random combinations of the outputs. An entry a is right if it is within

        rtol |J| + 1e-8 max|J| + 20 error + 100 eps max|J|

    of the numeric J, or between the slopes on either side at a kink. Inputs of lower precision are checked
    twice: the rule in float64, and what it gives in the inputs' own dtype, with its rounding unit eps (1.2e-7
    for float32), or its rounding errors where these are seen to be larger. Forward mode is compared with
    reverse mode by `dot_test`, with no differences involved.

    Args:
        f: a function of arrays or trees of them, written for tinyad or NumPy, that returns a float array (or
            a tree).
        inputs: where to check; float arrays and trees of them are differentiated, everything else is held
            fixed. Complex arrays, and a complex output, count as two float arrays, their real and imaginary parts.
        order: 2 to check, once the first derivative passed, the pullback (x, gy) -> J(x)' gy in the same way.
        rtol: the relative tolerance; 1e-6 if None.
        seed: of the random directions.
        level: ``"full"``, or ``"quick"`` to leave out why a derivative is wrong.
        feedback: how much the report's text says: ``"fact"``, ``"hint"`` or ``"explain"``.
        raises: whether to raise on failure; otherwise the report is returned, false as a bool.

    Returns:
        The `Report`: ``passed``, ``comparisons`` with all numbers, and the text of it by ``str``.

    Raises:
        GradientError: a derivative is wrong (an AssertionError; its message is the report).
        TypeError: no input holds floats, or the output does not.
        ValueError: NaN or infinity in the inputs or the output, an output without entries, ``f`` gives two values
            for the same input, or is not finite on both sides of an entry.

    >>> import numpy as np, tinyad as ad
    >>> from tinyad.checking import check
    >>> bool(check(lambda w, x: ad.tanh(x @ w), np.array([0.5, -1.0]), np.eye(2)))
    True
    >>> @ad.custom_vjp
    ... def cube(x):
    ...     return x**3
    >>> cube.defvjp(lambda x: (x**3, x), lambda x, g: (2 * g * x**2,))
    >>> print(check(cube, 2.0, raises=False))
    check of cube: FAILED   (seed 0)
      input 0 () float64
        what    exactly 2/3 times the right gradient   [D23 factor, residual ...]
        likely  a constant factor is wrong or missing
      input 0 () float64: 1 of 1 entries of the Jacobian differ, worst first
          d out / d in   yours +8   numeric +12 +- ...   difference 4.0e+00 (relative 3.3e-01)
      dot test passed: ...
    """
    if order not in (1, 2):
        raise ValueError(f"check: order is {order!r}; expected 1 (first derivatives) or 2 (second derivatives, too).")
    check_options("check", rtol, level, feedback)
    rtol = RTOL if rtol is None else rtol
    function = FloatInputs("check", f, inputs)
    name = str(getattr(f, "__name__", type(f).__name__))
    report = _check(function, name, rtol, seed, level)
    if order == 2 and report.passed:
        report = replace(report, second=_check(_pullback(function, seed), f"the pullback of {name}", rtol, seed, level))
    report = replace(report, feedback=feedback)
    if raises and not report.passed:
        raise GradientError(report)
    return report


def _pullback(function: FloatInputs, seed: int) -> FloatInputs:
    """The reverse derivative as a function of the inputs and the cotangent."""
    y, _ = vjp(function, *function.values)
    gy = random_like(np.random.default_rng(seed), y)

    def pullback(*arguments: Any) -> Any:
        *floats, cotangent = arguments
        return vjp(function, *floats)[1](cotangent)

    result = FloatInputs("check", pullback, (*function.values, gy))
    result.names[:] = [*function.names, "the cotangent"]
    return result


def _check(function: FloatInputs, name: str, rtol: float, seed: int, level: str) -> Report:
    """The check of a function's first derivative."""
    exact = function.raised_to_float64()
    y, eps_of_forward = checked_output("check", exact(*exact.values))
    plain, _ = checked_output("check", function(*function.values))
    if not y.size:
        raise ValueError(f"check: f returned an array of shape {y.shape}; expected at least one entry to differentiate.")
    taped, eps = as_output("check", vjp(function, *function.values)[0])
    eps = max(eps, function.eps)
    if taped.shape != plain.shape:
        return Report(name, seed, diagnoses=(OTHER_VALUES,))

    found = examine(Trial(exact, seed, rtol), points=1, level=level)
    in_given_dtype(found, function, eps)

    notes = []
    if eps_of_forward > EPS:
        notes.append("f computes in less than float64 whatever it is given: the numeric values are uncertain.")
    if function.raised_to_float32:
        notes.append("float16 inputs are checked in float32: with a rounding unit of 1e-3 nothing is judged.")
    dot = None
    try:
        dot = dot_test(exact, *exact.values, seed=seed)
    except (TypeError, NotImplementedError) as error:  # the rule of a custom_vjp is written in plain NumPy
        notes.append(f"forward mode is not checked, because it could not be evaluated: {error}")
    if dot is not None and not dot.passed:
        found.diagnoses.append(_forward_mode(exact, dot, seed))
    if relative_distance(taped, plain) > ROUNDING_UNITS * eps:
        found.diagnoses.insert(0, OTHER_VALUES)
    return Report(name, seed, tuple(found.comparisons), dot, tuple(found.sorted()), (*found.notes, *notes))


def _forward_mode(exact: FloatInputs, dot: DotTest, seed: int) -> Diagnosis:
    """What is wrong with forward mode, reverse mode being its transpose or not."""
    again = dot_test(exact, *exact.values, seed=seed + 1)
    factors = [test.forward / test.reverse if test.reverse else np.inf for test in (dot, again)]
    fact = f"forward mode gives {dot.forward:.6g} where reverse mode gives {dot.reverse:.6g} for the same product <u, J v>"
    if abs(factors[0] - factors[1]) < 1e-6 * abs(factors[0]):
        fact = f"forward mode gives exactly {number(factors[0])} times what reverse mode gives"
    hint = "the jvp and the vjp of a rule are not transposes of each other; the comparison of reverse mode says which is wrong"
    return Diagnosis("J01", "forward_mode", fact, hint, residual=dot.gap, args={"forward": dot.forward, "reverse": dot.reverse})
