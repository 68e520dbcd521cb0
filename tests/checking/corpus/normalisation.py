"""Wrong rules of softmax and of the normalisations: all of them have sums in their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.sampling import draws, signed

MATRIX = draws((5, 3)), draws((4, 4))


def row_sum(a: Any) -> Any:
    return a.sum(axis=1, keepdims=True)


def row_mean(a: Any) -> Any:
    return a.mean(axis=1, keepdims=True)


def soft(x: Any, axis: int = 1) -> Any:
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def softmax(x: Any) -> Any:
    y = soft(x)
    return y.copy(), y


def softmax_in_place(y: Any, gy: Any) -> Any:
    total = row_sum(gy * y)
    y *= gy - total
    return (y.copy(),)


SOFTMAX = Operation(
    "softmax",
    softmax,
    lambda y, gy: (y * (gy - row_sum(gy * y)),),
    *MATRIX,
    (
        wrong("no_sum_term", "D47", "y * gy: the sum forgotten", lambda y, gy: (y * gy,)),
        wrong("diagonal", "D34", "y * (1 - y), the rule of the sigmoid", lambda y, gy: (gy * y * (1 - y),)),
        wrong("no_keepdims", "D01 D48", "the sum without keepdims", lambda y, gy: (y * (gy - (gy * y).sum(axis=1)),)),
        wrong("wrong_axis", "D48", "sums over axis 0", lambda y, gy: (y * (gy - (gy * y).sum(axis=0, keepdims=True)),)),
        wrong("total_sum", "D48 D49", "sum() without an axis", lambda y, gy: (y * (gy - (gy * y).sum()),)),
        wrong("no_factor_y", "D44 D45", "the factor y before the bracket", lambda y, gy: (gy - row_sum(gy * y),)),
        wrong("sum_sign", "D47", "a plus before the sum", lambda y, gy: (y * (gy + row_sum(gy * y)),)),
        wrong("sum_without_y", "D47", "sums gy, not gy * y", lambda y, gy: (y * (gy - row_sum(gy)),)),
        wrong("no_gy", "D18", "y * (1 - y) without gy", lambda y, gy: (y * (1 - y),)),
        wrong("in_place", "D13", "overwrites the probabilities it has kept", softmax_in_place),
    ),
)


def log_softmax(x: Any) -> Any:
    y = np.log(soft(x))
    return y, (x, y)


LOG_SOFTMAX = Operation(
    "log_softmax",
    log_softmax,
    lambda c, gy: (gy - np.exp(c[1]) * row_sum(gy),),
    *MATRIX,
    (
        wrong("term_without_gy", "D19", "gy - p: the sum of gy forgotten", lambda c, gy: (gy - np.exp(c[1]),)),
        wrong("no_sum_term", "D47", "passes gy on", lambda c, gy: (gy.copy(),)),
        wrong("diagonal", "D34", "gy - p * gy", lambda c, gy: (gy - np.exp(c[1]) * gy,)),
        wrong("y_for_p", "D47", "the logarithms instead of the probabilities", lambda c, gy: (gy - c[1] * row_sum(gy),)),
        wrong("wrong_axis", "D48", "sums over axis 0", lambda c, gy: (gy - np.exp(c[1]) * gy.sum(axis=0, keepdims=True),)),
        wrong("total_sum", "D48 D49", "sum() without an axis", lambda c, gy: (gy - np.exp(c[1]) * gy.sum(),)),
        wrong("mean", "D47", "the mean of gy instead of its sum", lambda c, gy: (gy - np.exp(c[1]) * row_mean(gy),)),
    ),
)


def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
    std = np.sqrt(x.var(axis=0) + 1e-5)
    xhat = (x - x.mean(axis=0)) / std
    return gamma * xhat + beta, (xhat, std, gamma)


def batch_norm_backward(c: Any, gy: Any) -> Any:
    xhat, std, gamma = c
    gx = gamma / std * (gy - gy.mean(axis=0) - xhat * (gy * xhat).mean(axis=0))
    return gx, (gy * xhat).sum(axis=0), gy.sum(axis=0)


def batch_norm_with(x: Any = None, gamma: Any = None, beta: Any = None) -> Any:
    """The rule of batch normalisation, some of its gradients replaced; each gets ``(xhat, std, gamma, gy)``."""

    def backward(c: Any, gy: Any) -> Any:
        rights = batch_norm_backward(c, gy)
        return tuple(right if own is None else own(*c, gy) for own, right in zip((x, gamma, beta), rights, strict=True))

    return backward


def biased_means(xhat: Any, std: Any, gamma: Any, gy: Any) -> Any:
    """The means of the rule with n - 1 below."""
    fewer = len(gy) - 1
    return gamma / std * (gy - gy.sum(axis=0) / fewer - xhat * (gy * xhat).sum(axis=0) / fewer)


def means_over_rows(xhat: Any, std: Any, gamma: Any, gy: Any) -> Any:
    return gamma / std * (gy - row_mean(gy) - xhat * row_mean(gy * xhat))


BATCH_NORM = Operation(
    "batch_norm",
    batch_norm,
    batch_norm_backward,
    draws((5, 3), (3,), (3,)),
    draws((4, 4), (4,), (4,)),
    (
        wrong(
            "no_variance_path",
            "D47",
            "the variance held constant",
            batch_norm_with(x=lambda h, s, g, gy: g / s * (gy - gy.mean(axis=0))),
        ),
        wrong(
            "no_mean_path",
            "D47",
            "the mean held constant",
            batch_norm_with(x=lambda h, s, g, gy: g / s * (gy - h * (gy * h).mean(axis=0))),
        ),
        wrong("no_statistics", "D47", "mean and variance held constant", batch_norm_with(x=lambda h, s, g, gy: g / s * gy)),
        wrong(
            "no_std",
            "D45",
            "not divided by the standard deviation",
            batch_norm_with(x=lambda h, s, g, gy: g * (gy - gy.mean(axis=0) - h * (gy * h).mean(axis=0))),
        ),
        wrong(
            "no_gamma",
            "D44 D45",
            "the factor gamma forgotten",
            batch_norm_with(x=lambda h, s, g, gy: (gy - gy.mean(axis=0) - h * (gy * h).mean(axis=0)) / s),
        ),
        wrong("n_minus_1", "D47", "n - 1 in the means of the rule", batch_norm_with(x=biased_means)),
        wrong("wrong_axis", "D48", "the means over the features", batch_norm_with(x=means_over_rows)),
        wrong(
            "gamma_no_xhat",
            "D25 D31",
            "the gradient of beta for gamma",
            batch_norm_with(gamma=lambda h, s, g, gy: gy.sum(axis=0)),
        ),
        wrong(
            "gamma_keepdims",
            "D08",
            "keepdims=True",
            batch_norm_with(gamma=lambda h, s, g, gy: (gy * h).sum(axis=0, keepdims=True)),
        ),
        wrong("gamma_not_summed", "D07", "no sum over the batch", batch_norm_with(gamma=lambda h, s, g, gy: gy * h)),
        wrong("beta_mean", "D24 D40", "the mean over the batch", batch_norm_with(beta=lambda h, s, g, gy: gy.mean(axis=0))),
        wrong("beta_wrong_axis", "D10 D32", "sums over the features", batch_norm_with(beta=lambda h, s, g, gy: gy.sum(axis=1))),
    ),
)


def layer_norm(x: Any, gamma: Any) -> Any:
    std = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    xhat = (x - row_mean(x)) / std
    return gamma * xhat, (xhat, std, gamma)


def through_layer_norm(xhat: Any, g: Any) -> Any:
    """The projection that both paths of the statistics make."""
    return g - row_mean(g) - xhat * row_mean(g * xhat)


def layer_norm_backward(c: Any, gy: Any) -> Any:
    xhat, std, gamma = c
    return through_layer_norm(xhat, gy * gamma) / std, (gy * xhat).sum(axis=0)


def layer_norm_with(x: Any = None, gamma: Any = None) -> Any:
    def backward(c: Any, gy: Any) -> Any:
        rights = layer_norm_backward(c, gy)
        return tuple(right if own is None else own(*c, gy) for own, right in zip((x, gamma), rights, strict=True))

    return backward


def mean_path_only(xhat: Any, std: Any, gamma: Any, gy: Any) -> Any:
    return (gy * gamma - row_mean(gy * gamma)) / std


LAYER_NORM = Operation(
    "layer_norm",
    layer_norm,
    layer_norm_backward,
    draws((3, 5), (5,)),
    draws((4, 4), (4,)),
    (
        wrong("no_variance_path", "D47", "the variance held constant", layer_norm_with(x=mean_path_only)),
        wrong("no_statistics", "D47", "mean and variance held constant", layer_norm_with(x=lambda h, s, g, gy: gy * g / s)),
        wrong(
            "no_std",
            "D45",
            "not divided by the deviation",
            layer_norm_with(x=lambda h, s, g, gy: through_layer_norm(h, gy * g)),
        ),
        wrong(
            "variance",
            "D45",
            "divided by the variance",
            layer_norm_with(x=lambda h, s, g, gy: through_layer_norm(h, gy * g) / s**2),
        ),
        wrong(
            "no_gamma",
            "D44 D45",
            "the factor gamma forgotten",
            layer_norm_with(x=lambda h, s, g, gy: through_layer_norm(h, gy) / s),
        ),
        wrong("gamma_not_summed", "D07", "no sum over the rows", layer_norm_with(gamma=lambda h, s, g, gy: gy * h)),
        wrong(
            "gamma_mean", "D24 D40", "the mean over the rows", layer_norm_with(gamma=lambda h, s, g, gy: (gy * h).mean(axis=0))
        ),
        wrong("gamma_no_xhat", "D31 D44", "xhat forgotten", layer_norm_with(gamma=lambda h, s, g, gy: gy.sum(axis=0))),
    ),
)


def rms_norm(x: Any) -> Any:
    r = np.sqrt(row_mean(x * x) + 1e-6)
    return x / r, (x, r)


RMS_NORM = Operation(
    "rms_norm",
    rms_norm,
    lambda c, gy: (gy / c[1] - c[0] * row_mean(gy * c[0]) / c[1] ** 3,),
    *MATRIX,
    (
        wrong("no_second_term", "D47", "the root held constant", lambda c, gy: (gy / c[1],)),
        wrong("power", "D47", "r**2 for r**3", lambda c, gy: (gy / c[1] - c[0] * row_mean(gy * c[0]) / c[1] ** 2,)),
        wrong("sum", "D47", "sum instead of mean", lambda c, gy: (gy / c[1] - c[0] * row_sum(gy * c[0]) / c[1] ** 3,)),
        wrong(
            "plus", "D47", "a plus before the second term", lambda c, gy: (gy / c[1] + c[0] * row_mean(gy * c[0]) / c[1] ** 3,)
        ),
    ),
)


def unit(x: Any) -> Any:
    n = np.sqrt(row_sum(x * x))
    return x / n, (x / n, n)


UNIT = Operation(
    "unit_rows",
    unit,
    lambda c, gy: ((gy - c[0] * row_sum(gy * c[0])) / c[1],),
    *MATRIX,
    (
        wrong("no_projection", "D47", "the norm held constant", lambda c, gy: (gy / c[1],)),
        wrong("not_divided", "D45", "not divided by the norm", lambda c, gy: (gy - c[0] * row_sum(gy * c[0]),)),
        wrong("no_keepdims", "D01 D48", "no keepdims", lambda c, gy: ((gy - c[0] * (gy * c[0]).sum(axis=1)) / c[1],)),
        wrong("total_sum", "D48 D49", "sum() without an axis", lambda c, gy: ((gy - c[0] * (gy * c[0]).sum()) / c[1],)),
    ),
)


def centre(x: Any) -> Any:
    return x - x.mean(axis=0), None


def centre_in_place(x: Any) -> Any:
    x -= x.mean(axis=0)
    return x.copy(), None


CENTRE = Operation(
    "centre_columns",
    centre,
    lambda c, gy: (gy - gy.mean(axis=0),),
    *MATRIX,
    (
        wrong("no_mean", "D47 D50", "passes gy on", lambda c, gy: (gy.copy(),)),
        wrong("sum", "D47 D50", "subtracts the sum", lambda c, gy: (gy - gy.sum(axis=0),)),
        wrong("wrong_axis", "D48", "the mean over axis 1", lambda c, gy: (gy - row_mean(gy),)),
        wrong("total_mean", "D49", "the mean of all", lambda c, gy: (gy - gy.mean(),)),
        wrong("in_place", "D11", "x -= x.mean() in forward", forward=centre_in_place),
    ),
)


def cosine(a: Any, b: Any) -> Any:
    na, nb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    y = (a * b).sum(axis=1) / (na * nb)
    return y, (a, b, na[:, None], nb[:, None], y[:, None])


def cosine_backward(c: Any, gy: Any) -> Any:
    a, b, na, nb, y = c
    return gy[:, None] * (b / nb - y * a / na) / na, gy[:, None] * (a / na - y * b / nb) / nb


def cosine_of_constant_norms(c: Any, gy: Any) -> Any:
    a, b, na, nb, _ = c
    return gy[:, None] * b / (na * nb), gy[:, None] * a / (na * nb)


COSINE = Operation(
    "cosine_similarity",
    cosine,
    cosine_backward,
    draws((5, 3), (5, 3), of=signed),
    draws((4, 4), (4, 4), of=signed),
    (
        wrong("constant_norms", "D46 D47", "the norms held constant", cosine_of_constant_norms),
        wrong("exchanged", "D25", "a and b exchanged", lambda c, gy: cosine_backward(c, gy)[::-1]),
        wrong(
            "not_divided",
            "D45",
            "a's norm forgotten",
            lambda c, gy: (cosine_backward(c, gy)[0] * c[2], cosine_backward(c, gy)[1]),
        ),
        wrong(
            "b_no_gy",
            "D18",
            "gy forgotten for b",
            lambda c, gy: (cosine_backward(c, gy)[0], cosine_backward(c, np.ones_like(gy))[1]),
        ),
    ),
)

OPERATIONS: list[Operation] = [SOFTMAX, LOG_SOFTMAX, BATCH_NORM, LAYER_NORM, RMS_NORM, UNIT, CENTRE, COSINE]
