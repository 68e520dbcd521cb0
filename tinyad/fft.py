"""Discrete Fourier transforms, as `numpy.fft` and the extension of the array API standard have them.

>>> import numpy as np, tinyad as ad
>>> lowpass = lambda x: ad.fft.irfft(ad.fft.rfft(x)[:2], n=4)
>>> ad.jacobian(lowpass)(np.ones(4)).round(2)
array([[ 0.75,  0.25, -0.25,  0.25],
       [ 0.25,  0.75,  0.25, -0.25],
       [-0.25,  0.25,  0.75,  0.25],
       [ 0.25, -0.25,  0.25,  0.75]])
"""

from .primitives.fft import (
    fft,
    fft2,
    fftfreq,
    fftn,
    fftshift,
    hfft,
    ifft,
    ifft2,
    ifftn,
    ifftshift,
    ihfft,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftfreq,
    rfftn,
)

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft", "irfft2",
    "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip
