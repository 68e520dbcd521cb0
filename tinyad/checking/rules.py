"""`check_rule`: a forward and a backward written in plain NumPy, checked and explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import asnumpy
from ..tensor import unwrap
from .comparison import RTOL
from .examine import examine, in_given_dtype
from .inputs import require_callable
from .options import check_options
from .reference_mutants import TrustedPair
from .report import Diagnosis, GradientError, Report
from .rule import Pair, Raised
from .trial import Trial

__all__ = ["check_rule", "examined"]

FORWARD = 1e-6  # relative: how far a student's forward may be from the teacher's


def check_rule(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    calling: str = "cache_dout",
    reference: Any = None,
    seed: int = 0,
    rtol: float | None = None,
    points: int = 2,
    level: str = "full",
    feedback: str = "explain",
    name: str | None = None,
    raises: bool = True,
) -> Report:
    r"""Check a backward that was written by hand, and say why it is wrong.

    Nothing of tinyad is needed in the two functions. First the contract is checked (a gradient for each input, of its shape and
    dtype, finite), then side effects, then that the gradient is linear in the upstream gradient, then its values against
    fourth-order differences of the forward function in float64, for a random upstream gradient of either sign and entry by
    entry. What is wrong is looked up in a catalogue of mistakes; each statement printed is an identity that holds to 1e-6, at
    the given point and at another one.

    Args:
        forward: ``forward(*inputs) -> (y, cache)``; y is a float array.
        backward: ``backward(cache, dy) -> gradients``: a tuple with one for each input, or for each float input; a single one
            for a single input.
        inputs: float arrays, of any shapes, or trees of them; what holds no floats (indices, labels) is held fixed. Lengths that
            are different primes make the report more precise.
        calling: ``"cache_dout"``, or ``"dout_cache"`` for ``backward(dy, cache)``.
        reference: a forward to trust, ``reference(*inputs) -> y``, or a pair of a forward and a backward like those under test:
            numeric derivatives are taken of it, and the forward under test is compared with it first. With a backward, its
            mutants are tried as explanations, too.
        seed: of the random numbers.
        rtol: relative tolerance of the values; 1e-6 if None.
        points: at how many points values are compared: 2 adds one near by.
        level: ``"full"``, or ``"quick"`` to leave out why.
        feedback: how much the report's text says: ``"fact"``, ``"hint"`` or ``"explain"``.
        name: of the rule in the report; forward's own if None.
        raises: whether to raise on failure; otherwise the report is returned, false as a bool.

    Raises:
        GradientError: the gradient is wrong; its message is the report.
        TypeError: forward returned no pair; no input holds floats; an argument is no function.
        ValueError: NaN or infinity in the inputs or the value; an unknown option.

    Source: for the catalogue, CS231n, needle, minitorch and micrograd as their students fail them.

    >>> import numpy as np, tinyad as ad
    >>> def softmax(x):
    ...     e = np.exp(x - x.max(axis=1, keepdims=True))
    ...     y = e / e.sum(axis=1, keepdims=True)
    ...     return y, y
    >>> x = np.random.default_rng(0).normal(size=(5, 3))
    >>> bool(ad.check_rule(softmax, lambda y, gy: y * (gy - (gy * y).sum(axis=1, keepdims=True)), x))
    True
    >>> print(ad.check_rule(softmax, lambda y, gy: y * gy, x, raises=False).text("hint"))
    check of softmax: FAILED   (seed 0)
      input 0 'x' (5, 3) float64
        what    differs from the right gradient by y * (something constant along axis 1)   [D47 missing_sum_term, residual ...]
        likely  the - y * sum(gy*y, axis 1) term is missing or wrong
        where   ...
    """
    require_callable("check_rule", forward, "forward")
    require_callable("check_rule", backward, "backward")
    check_options("check_rule", rtol, level, feedback, points)
    value, trusted = _reference(reference, calling)
    pair = Pair("check_rule", forward, backward, inputs, calling, value)
    title = name or str(getattr(forward, "__name__", type(forward).__name__))
    report = examined(pair, title, seed, rtol or RTOL, points, level, trusted)
    report = replace(report, feedback=feedback)
    if raises and not report.passed:
        raise GradientError(report)
    return report


def _reference(reference: Any, calling: str) -> tuple[Callable[..., Any] | None, TrustedPair | None]:
    """The trusted value function, and the trusted pair, if there is one."""
    if reference is None or callable(reference):
        return reference, None
    if isinstance(reference, (tuple, list)) and len(reference) == 2 and all(map(callable, reference)):
        forward, backward = reference
        return lambda *xs: forward(*xs)[0], TrustedPair(forward, backward, calling)
    raise TypeError(
        f"check_rule: reference is {reference!r}; expected a function of the inputs that returns the value, or a pair (forward, "
        "backward) like the one under test."
    )


def examined(
    pair: Pair, title: str, seed: int, rtol: float, points: int = 2, level: str = "full", trusted: TrustedPair | None = None
) -> Report:
    """The report on a pair."""
    trial = Trial(pair, seed, rtol)
    with np.errstate(all="ignore"):  # infinities are looked for, and written to nobody's stderr
        failed = _forward(pair, trial)
        if failed is not None:
            return Report(title, seed, diagnoses=(failed,))
        if not trial.y.size:
            raise ValueError(
                f"{pair.caller}: forward returned an array of shape {trial.y.shape}; expected at least one entry to differentiate."
            )
        found = examine(trial, points, level, trusted)
        in_given_dtype(found, pair, pair.eps)
    if pair.raised_to_float32:
        found.notes.append("float16 inputs are checked in float32: with a rounding unit of 1e-3 nothing is judged.")
    return Report(title, seed, tuple(found.comparisons), None, tuple(found.sorted()), tuple(found.notes))


def _forward(pair: Pair, trial: Trial) -> Diagnosis | None:
    """What is wrong with the forward under test: it raises, or is not the trusted one."""
    try:
        y, _ = trial.rule.run(*trial.rule.in_float64())
    except Raised as raised:
        return Diagnosis("F01", "forward_exception", raised.told())
    if pair.own_forward:
        return None
    ours, right = np.asarray(asnumpy(unwrap(y))), trial.y
    if ours.shape != right.shape:
        return Diagnosis("F02", "forward_shape", f"forward returns shape {ours.shape}; expected {right.shape}")
    off = np.abs(ours - right)
    if not (off <= FORWARD * max(float(np.abs(right).max(initial=0.0)), 1e-300)).all():
        worst = np.unravel_index(int(np.argmax(np.nan_to_num(off, nan=np.inf))), off.shape)
        fact = f"forward returns {float(ours[worst]):.6g} at {[int(k) for k in worst]}; expected {float(right[worst]):.6g}"
        return Diagnosis("F03", "forward_value", fact, "the derivative of another function cannot be right: mend forward first")
    return None
