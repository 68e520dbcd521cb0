"""tinyad: automatic differentiation you can read in an afternoon, written in NumPy.

>>> import tinyad as ad
>>> ad.grad(lambda x: ad.sin(x) * x)(1.0)
np.float64(1.3817732906760363)
"""

from . import operators as _operators  # gives Tensors their operators and methods
from . import tree
from .backend import asnumpy
from .checking.check import GradientError, Report, check
from .checking.numeric import dot_test, numeric_jacobian, taylor_table
from .creation import arange, asarray, eye, full, linspace, ones, ones_like, tensor, zeros, zeros_like
from .custom import checkpoint, custom_jvp, custom_vjp, stop_gradient
from .primitives.elementwise import abs, acos, acosh, add, asin, asinh, atan, atan2, atanh, ceil, clip, cos, cosh, divide, equal, exp, expm1, floor, greater, greater_equal, hypot, isfinite, isinf, isnan, less, less_equal, log, log10, log1p, log2, logaddexp, logical_and, logical_not, logical_or, maximum, minimum, multiply, negative, not_equal, positive, power, reciprocal, relu, round, sigmoid, sign, sin, sinh, softplus, sqrt, square, subtract, tan, tanh, trunc, where
from .primitives.joining import concat, pad, stack
from .primitives.linalg import cholesky, solve
from .primitives.products import dot, einsum, matmul, outer, tensordot, vecdot
from .primitives.reductions import broadcast_to, cumsum, logsumexp, max, mean, min, norm, std, sum, var
from .primitives.shaping import astype, expand_dims, flip, matrix_transpose, moveaxis, permute_dims, ravel, reshape, roll, squeeze, swapaxes, transpose
from .primitives.elementwise import acos as arccos
from .primitives.elementwise import acosh as arccosh
from .primitives.elementwise import asin as arcsin
from .primitives.elementwise import asinh as arcsinh
from .primitives.elementwise import atan as arctan
from .primitives.elementwise import atan2 as arctan2
from .primitives.elementwise import atanh as arctanh
from .primitives.elementwise import power as pow
from .primitives.joining import concat as concatenate
from .tape import detect_anomaly, no_grad
from .tensor import Tensor
from .transforms import gnvp, grad, hessian, hvp, jacobian, jvp, linearize, value_and_grad, vjp

__version__ = "0.1.0"
