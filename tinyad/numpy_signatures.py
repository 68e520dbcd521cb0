"""NumPy's functions of the elements and along axes that take tinyad's place by NumPy's own signature, in `tinyad.numpy_protocols`.

The order of positional arguments is NumPy's, read from its function; the names are the same in both, the first one excepted.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .primitives import complex, cumulative, differences, elementwise, missing, reductions, special, statistics, steps

__all__ = ["BY_SIGNATURE"]

Function = Callable[..., Any]

_PAIRS: dict[Any, Function] = {
    np.angle: elementwise.angle,
    np.average: statistics.average,
    np.corrcoef: statistics.corrcoef,
    np.cov: statistics.cov,
    np.cumprod: cumulative.cumprod,
    np.cumsum: cumulative.cumsum,
    np.diff: differences.diff,
    np.ediff1d: differences.ediff1d,
    np.fix: steps.trunc,
    np.gradient: differences.gradient,
    np.i0: special.i0,
    np.imag: complex.imag,
    np.interp: differences.interp,
    np.iscomplex: complex.iscomplex,
    np.isneginf: steps.isneginf,
    np.isposinf: steps.isposinf,
    np.isreal: complex.isreal,
    np.max: reductions.max,
    np.mean: reductions.mean,
    np.median: statistics.median,
    np.min: reductions.min,
    np.nan_to_num: missing.nan_to_num,
    np.nancumprod: missing.nancumprod,
    np.nancumsum: missing.nancumsum,
    np.nanmax: missing.nanmax,
    np.nanmean: missing.nanmean,
    np.nanmedian: missing.nanmedian,
    np.nanmin: missing.nanmin,
    np.nanpercentile: missing.nanpercentile,
    np.nanprod: missing.nanprod,
    np.nanquantile: missing.nanquantile,
    np.nanstd: missing.nanstd,
    np.nansum: missing.nansum,
    np.nanvar: missing.nanvar,
    np.percentile: statistics.percentile,
    np.prod: cumulative.prod,
    np.ptp: reductions.ptp,
    np.quantile: statistics.quantile,
    np.real: complex.real,
    np.round: steps.round,
    np.sinc: elementwise.sinc,
    np.std: reductions.std,
    np.sum: reductions.sum,
    np.trapezoid: differences.trapezoid,
    np.unwrap: differences.unwrap,
    np.var: reductions.var,
}
_PAIRS |= {
    getattr(np, theirs): ours
    for theirs, ours in (  # NumPy 2.0 has only some of them, and amax and amin as functions of their own
        ("amax", reductions.max),
        ("amin", reductions.min),
        ("around", steps.round),
        ("cumulative_prod", cumulative.cumulative_prod),
        ("cumulative_sum", cumulative.cumulative_sum),
    )
    if hasattr(np, theirs)
}


def _said(name: str, value: Any) -> bool:
    """Whether an argument asks for something that is not done anyway."""
    return (
        name != "overwrite_input" and value is not np._NoValue and not (name in ("out", "dtype", "weights") and value is None)
    )


def _adapted(theirs: Any, ours: Function) -> Function:
    names = list(inspect.signature(theirs).parameters)

    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args, strict=False)) | kwargs
        array = given.pop(names[0])
        return ours(array, **{name: value for name, value in given.items() if _said(name, value)})

    return call


BY_SIGNATURE: dict[Any, Function] = {
    theirs: ours if "varargs" in inspect.signature(theirs).parameters else _adapted(theirs, ours)
    for theirs, ours in _PAIRS.items()
}
"""What to call instead of a function of NumPy, with its arguments."""
