"""Linear algebra, as `numpy.linalg` and the extension of the array API standard have it, and more.

Matrices stand in the last two axes, the axes before them count examples and broadcast. Real and complex matrices have
derivatives of all orders; the docstrings say where there are none.

>>> import numpy as np, tinyad as ad
>>> ad.grad(lambda a: ad.linalg.slogdet(a).logabsdet)(np.array([[2.0, 1.0], [1.0, 2.0]])).round(3)
array([[ 0.667, -0.333],
       [-0.333,  0.667]])
"""

from numpy.linalg import LinAlgError

from .primitives.determinants import SlogdetResult, det, slogdet
from .primitives.eigenvalues import EighResult, EigResult, eig, eigh, eigvals, eigvalsh
from .primitives.factorizations import QRResult, cholesky, qr
from .primitives.least_squares import LstsqResult, lstsq, pinv
from .primitives.linalg import expm, inv, matrix_power, solve, solve_triangular, tensorinv, tensorsolve
from .primitives.matrices import diagonal, trace
from .primitives.norms import cond, matrix_norm, matrix_rank, norm, vector_norm
from .primitives.products import cross, matmul, multi_dot, outer, tensordot, vecdot
from .primitives.shaping import matrix_transpose
from .primitives.singular_values import SVDResult, svd, svdvals

__all__ = [
    "EigResult", "EighResult", "LinAlgError", "LstsqResult", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "cond", "cross",
    "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "expm", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power",
    "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
    "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm",
]  # fmt: skip
