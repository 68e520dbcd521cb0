"""Rows of Fourier transforms. Complex operands and results are real numbers here: their real and imaginary parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyad as ad
from tests.primitives.sampling import Draw, Row, of, values

NORMS = st.sampled_from([None, "backward", "ortho", "forward"])


def along_one_axis(parts: int, shortest: int = 1) -> Any:
    """Signals of ``parts`` real parts, with lengths that cut them or fill them up, odd and even."""

    def sample(draw: Draw) -> Any:
        shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=shortest, max_side=4))
        length = draw(st.one_of(st.none(), st.integers(1, 6)))
        params = {"n": length, "axis": draw(st.integers(-len(shape), len(shape) - 1)), "norm": draw(NORMS)}
        return tuple(values(draw, shape) for _ in range(parts)), params

    return sample


def along_axes(parts: int, shortest: int = 1) -> Any:
    def sample(draw: Draw) -> Any:
        shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=shortest, max_side=3))
        axes = draw(
            st.one_of(st.none(), st.permutations(range(len(shape))).map(lambda order: tuple(order[: 1 + len(order) // 2])))
        )
        s = None if axes is None else draw(st.one_of(st.none(), st.tuples(*[st.integers(1, 4)] * len(axes))))
        return tuple(values(draw, shape) for _ in range(parts)), {"s": s, "axes": axes, "norm": draw(NORMS)}

    return sample


def ours(name: str) -> Callable[..., Any]:
    def function(*parts: Any, **params: Any) -> Any:
        signal = parts[0] if len(parts) == 1 else ad.complex(*parts)
        out = getattr(ad.fft, name)(signal, **params)
        return ad.stack([ad.real(out), ad.imag(out)]) if name not in REAL else out

    return function


def numpys(name: str) -> Callable[..., Any]:
    def function(*parts: Any, **params: Any) -> Any:
        out = getattr(np.fft, name)(parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1].astype(parts[0].dtype), **params)
        return np.stack([out.real, out.imag]) if np.iscomplexobj(out) else out

    return function


REAL = ("irfft", "hfft", "irfftn")


def shifts(draw: Draw) -> Any:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    axes = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    return (values(draw, shape),), {"axes": axes}


def row(name: str, sample: Any, *primitives: str, kind: str = "") -> Row:
    return of(f"{name}{kind}", sample, *primitives, function=ours(name), reference=numpys(name))


ROWS: list[Row] = [
    row("fft", along_one_axis(2), "fftn"),
    row("fft", along_one_axis(1), "fftn", kind=" of real numbers"),
    row("ifft", along_one_axis(2), "ifftn"),
    row("rfft", along_one_axis(1)),
    row("ihfft", along_one_axis(1)),
    row("irfft", along_one_axis(2, shortest=2)),
    row("hfft", along_one_axis(2, shortest=2)),
    row("fftn", along_axes(2)),
    row("ifftn", along_axes(2)),
    row("rfftn", along_axes(1), "rfft", "fftn"),
    row("irfftn", along_axes(2, shortest=2), "irfft", "ifftn"),
    of("fftshift", shifts, "roll", function=ad.fft.fftshift, reference=np.fft.fftshift),
    of("ifftshift", shifts, "roll", function=ad.fft.ifftshift, reference=np.fft.ifftshift),
]
