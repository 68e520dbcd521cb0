"""Complex numbers: their parts and conjugates, and what a derivative by one is.

A function of a complex number ``z = x + iy`` is differentiated as one of the two real numbers ``x`` and ``y``.

* A tangent ``dz = dx + i dy`` is a direction; the tangent of ``f(z)`` is the derivative of ``f`` in that direction. Where ``f``
  is holomorphic it is ``f'(z) dz``.
* A cotangent of a real result says by how much a real number ``L`` changes: by ``g dL``, and the cotangent of ``z`` is
  ``dL/dx - i dL/dy``, so that ``dL = Re(cotangent * dz)``. Where ``f`` is holomorphic it is ``g * f'(z)``, without a conjugate.

So a rule is the same product with a partial derivative for real and complex operands, and of a linear function the plain
transpose. The gradient of a real function is ``df/dx - i df/dy``, and the direction of steepest ascent is its conjugate. JAX and
autograd have the same convention; PyTorch's gradient is the conjugate of this one.

What belongs to a real number has no imaginary part: where a rule's product is complex and the node real, the walks take the real
part (`tinyad.primitives.shaping.in_dtype`). That makes the rules below: ``Re(p dz)`` is the tangent of a real function whose
cotangent is ``g p``.
"""

from __future__ import annotations

import builtins
from typing import Any

from ..backend import Array, module_of
from ..kinds import Function, constant_like, elementwise, linear, nondifferentiable
from ..tensor import unwrap

__all__ = ["complex", "conj", "imag", "is_complex", "iscomplex", "isreal", "real"]


def is_complex(x: Any) -> bool:
    """Whether an array, Tensor or number is of a complex type, whatever its values."""
    dtype = getattr(x, "dtype", None)
    return dtype.kind == "c" if dtype is not None else isinstance(x, builtins.complex)


_real: Function = elementwise("real", 1, forward=lambda xp, x: xp.positive(x.real))  # not a view, which would keep both parts
_imag: Function = elementwise("imag", lambda: -1j, forward=lambda xp, x: xp.positive(x.imag))
_conj: Function = linear("conj", "conj", lambda g, like: conj(g))


def real(x: Array) -> Array:
    """The real part; of a real array, itself.

    >>> import tinyad as ad
    >>> ad.grad(lambda z: ad.real(z * z))(1.0 + 2.0j)
    np.complex128(2+4j)
    """
    return _real(x) if is_complex(x) else x


def imag(x: Array) -> Array:
    """The imaginary part; of a real array, zeros."""
    if is_complex(x):
        return _imag(x)
    return constant_like(module_of(unwrap(x)).zeros_like(unwrap(x)), (x,))


def conj(x: Array) -> Array:
    """The complex conjugate, ``real(x) - 1j * imag(x)``; of a real array, itself."""
    return _conj(x) if is_complex(x) else x


def _join(xp: Any, x: Array, y: Array) -> Array:
    # x + 1j * y would make NaN of an infinite y, and lose the sign of a zero, which says on which side of a cut it is
    out = xp.empty(xp.broadcast_shapes(xp.shape(x), xp.shape(y)), xp.result_type(x, y, xp.complex64))
    out.real, out.imag = x, y
    return out if out.ndim else out[()]


_complex: Function = elementwise("complex", 1, lambda: 1j, forward=_join)


def complex(real: Array, imag: Array) -> Array:
    """The complex numbers with these real and imaginary parts, which must be real.

    Raises:
        TypeError: for a part that is complex.

    >>> import tinyad as ad
    >>> ad.grad(lambda x, y: ad.imag(ad.complex(x, y) ** 2), argnums=(0, 1))(3.0, 4.0)
    (np.float64(8.0), np.float64(6.0))
    """
    for name, part in (("real", real), ("imag", imag)):
        if is_complex(part):
            raise TypeError(f"complex: the {name} part is complex itself; expected real numbers. Take ad.real of it")
    weak = not hasattr(real, "dtype") and not hasattr(imag, "dtype")
    return _complex(module_of(real).asarray(real, float) if weak else real, imag)


isreal = nondifferentiable("isreal", doc="Whether the imaginary part is zero, element by element; a constant.")
iscomplex = nondifferentiable("iscomplex", doc="Whether the imaginary part is not zero, element by element; a constant.")
