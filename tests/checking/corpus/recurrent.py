"""Wrong rules of recurrent cells, of recurrences through time, and of attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.checking.corpus.case import Operation, wrong
from tests.checking.corpus.normalisation import row_sum, soft
from tests.checking.corpus.sampling import draws, fraction, signed


def rnn_step(x: Any, h: Any, wx: Any, wh: Any, b: Any) -> Any:
    z = x @ wx + h @ wh + b
    y = np.tanh(z)
    return y, (x, h, wx, wh, y, z)


def rnn_from(c: Any, a: Any) -> Any:
    """The gradients from that of the argument of tanh."""
    x, h, wx, wh, *_ = c
    return a @ wx.T, a @ wh.T, x.T @ a, h.T @ a, a.sum(axis=0)


def rnn_backward(c: Any, gy: Any) -> Any:
    return rnn_from(c, gy * (1 - c[4] ** 2))


def rnn_with(place: int, own: Any) -> Any:
    """The right rule, one gradient replaced by ``own(cache, a)``."""

    def backward(c: Any, gy: Any) -> Any:
        gradients = list(rnn_backward(c, gy))
        gradients[place] = own(c, gy * (1 - c[4] ** 2))
        return tuple(gradients)

    return backward


RNN_STEP = Operation(
    "rnn_step",
    rnn_step,
    rnn_backward,
    draws((5, 3), (5, 7), (3, 7), (7, 7), (7,)),
    draws((4, 4), (4, 4), (4, 4), (4, 4), (4,)),
    (
        wrong("no_tanh", "D44 D45", "the derivative of tanh forgotten", lambda c, gy: rnn_from(c, gy)),
        wrong("tanh_of_argument", "D43 D45", "1 - z**2", lambda c, gy: rnn_from(c, gy * (1 - c[5] ** 2))),
        wrong("wh_not_transposed", "D52 D53", "a @ wh", rnn_with(1, lambda c, a: a @ c[3])),
        wrong("h_zero", "D21", "the state held constant", rnn_with(1, lambda c, a: np.zeros_like(c[1]))),
        wrong("b_not_summed", "D07", "no sum over the batch", rnn_with(4, lambda c, a: a)),
        wrong("wh_transposed", "D26 D53", "a.T @ h", rnn_with(3, lambda c, a: a.T @ c[1])),
        wrong("wx_order", "D09 D26 D53", "a.T @ x", rnn_with(2, lambda c, a: a.T @ c[0])),
    ),
)


def recurrence(x: Any, w: Any) -> Any:
    """All states of ``h[t] = tanh(w * h[t - 1] + x[t])`` for x (T, N) and a weight for each of the N."""
    states = [np.zeros(x.shape[1])]
    for x_t in x:
        states.append(np.tanh(w * states[-1] + x_t))
    h = np.array(states)
    return h[1:].copy(), (h, w)


def back_through_time(c: Any, gy: Any, carried: bool = True) -> Any:
    """The gradients of the arguments of tanh, last to first; ``carried`` is whether the later ones reach the earlier."""
    h, w = c
    a = np.zeros_like(gy)
    later = np.zeros(gy.shape[1])
    for t in reversed(range(len(gy))):
        a[t] = (gy[t] + later) * (1 - h[t + 1] ** 2)
        later = a[t] * w if carried else later
    return a


def recurrence_backward(c: Any, gy: Any) -> Any:
    a = back_through_time(c, gy)
    return a, (a * c[0][:-1]).sum(axis=0)


def recurrence_with_w(own: Any) -> Any:
    return lambda c, gy: (back_through_time(c, gy), own(back_through_time(c, gy), c[0][:-1]))


RECURRENCE = Operation(
    "recurrence",
    recurrence,
    recurrence_backward,
    draws((5, 3), (3,)),
    draws((4, 4), (4,)),
    (
        wrong(
            "not_carried",
            "D34 D39",
            "the gradient of the next step not added",
            lambda c, gy: (back_through_time(c, gy, carried=False), recurrence_backward(c, gy)[1]),
        ),
        wrong("w_mean", "D24", "the mean over the steps", recurrence_with_w(lambda a, h: (a * h).mean(axis=0))),
        wrong("w_overwrites", "D39", "dw = in the loop", recurrence_with_w(lambda a, h: a[1] * h[1])),
        wrong("w_not_summed", "D07", "one gradient for every step", recurrence_with_w(lambda a, h: a * h)),
        wrong("w_sign", "D22", "a minus of the update rule", recurrence_with_w(lambda a, h: -(a * h).sum(axis=0))),
    ),
)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def lstm_cell(zf: Any, zi: Any, zg: Any, c: Any) -> Any:
    f, i, g = sigmoid(zf), sigmoid(zi), np.tanh(zg)
    return f * c + i * g, (f, i, g, c)


def lstm_backward(cache: Any, gy: Any) -> Any:
    f, i, g, c = cache
    return gy * c * f * (1 - f), gy * g * i * (1 - i), gy * i * (1 - g**2), gy * f


def lstm_with(place: int, own: Any) -> Any:
    """The right rule, one gradient replaced by ``own(f, i, g, c, gy)``."""

    def backward(cache: Any, gy: Any) -> Any:
        gradients = list(lstm_backward(cache, gy))
        gradients[place] = own(*cache, gy)
        return tuple(gradients)

    return backward


LSTM_CELL = Operation(
    "lstm_cell",
    lstm_cell,
    lstm_backward,
    draws((5, 3), (5, 3), (5, 3), (5, 3)),
    draws((4, 4), (4, 4), (4, 4), (4, 4)),
    (
        wrong("c_through", "D31", "the forget gate forgotten", lstm_with(3, lambda f, i, g, c, gy: gy.copy())),
        wrong("c_zero", "D21", "the cell held constant", lstm_with(3, lambda f, i, g, c, gy: np.zeros_like(gy))),
        wrong("f_no_c", "D44", "the factor c forgotten", lstm_with(0, lambda f, i, g, c, gy: gy * f * (1 - f))),
        wrong("i_no_g", "D44", "the factor g forgotten", lstm_with(1, lambda f, i, g, c, gy: gy * i * (1 - i))),
        wrong("g_no_gy", "D18", "gy forgotten", lstm_with(2, lambda f, i, g, c, gy: i * (1 - g**2))),
        wrong("f_sign", "D22", "f - 1", lstm_with(0, lambda f, i, g, c, gy: gy * c * f * (f - 1))),
    ),
)


def gru_state(u: Any, h: Any, n: Any) -> Any:
    return (1 - u) * h + u * n, (u, h, n)


GRU_STATE = Operation(
    "gru_state",
    gru_state,
    lambda c, gy: (gy * (c[2] - c[1]), gy * (1 - c[0]), gy * c[0]),
    draws((5, 3), (5, 3), (5, 3), of=(fraction, signed, signed)),
    draws((4, 4), (4, 4), (4, 4), of=(fraction, signed, signed)),
    (
        wrong("u_no_h", "D46", "forgets -h", lambda c, gy: (gy * c[2], gy * (1 - c[0]), gy * c[0])),
        wrong("h_like_n", "D25", "u for both", lambda c, gy: (gy * (c[2] - c[1]), gy * c[0], gy * c[0])),
        wrong("h_through", "D31 D44", "1 - u forgotten", lambda c, gy: (gy * (c[2] - c[1]), gy.copy(), gy * c[0])),
        wrong(
            "gates_exchanged", "D25", "u and 1 - u exchanged", lambda c, gy: (gy * (c[2] - c[1]), gy * c[0], gy * (1 - c[0]))
        ),
        wrong("u_sign", "D22", "h - n", lambda c, gy: (gy * (c[1] - c[2]), gy * (1 - c[0]), gy * c[0])),
    ),
)


def attention(q: Any, k: Any, v: Any) -> Any:
    p = soft(q @ k.T / np.sqrt(q.shape[1]))
    return p @ v, (q, k, v, p)


def scores_backward(c: Any, gy: Any) -> Any:
    """The gradient of the products of queries and keys, scale included."""
    q, _, v, p = c
    gp = gy @ v.T
    return p * (gp - row_sum(gp * p)) / np.sqrt(q.shape[1])


def attention_from(c: Any, scores: Any, gy: Any) -> Any:
    return scores @ c[1], scores.T @ c[0], c[3].T @ gy


def attention_backward(c: Any, gy: Any) -> Any:
    return attention_from(c, scores_backward(c, gy), gy)


def without_sum(c: Any, gy: Any) -> Any:
    return attention_from(c, c[3] * (gy @ c[2].T) / np.sqrt(c[0].shape[1]), gy)


def with_sum_over_queries(c: Any, gy: Any) -> Any:
    gp = gy @ c[2].T
    scores = c[3] * (gp - (gp * c[3]).sum(axis=0, keepdims=True)) / np.sqrt(c[0].shape[1])
    return attention_from(c, scores, gy)


ATTENTION = Operation(
    "attention",
    attention,
    attention_backward,
    draws((5, 3), (7, 3), (7, 11), of=signed),
    draws((4, 4), (4, 4), (4, 4), of=signed),
    (
        wrong("no_sum_term", "D47", "the sum of the softmax forgotten", without_sum),
        wrong("wrong_axis", "D48", "the sum of the softmax over the queries", with_sum_over_queries),
        wrong(
            "no_scale",
            "D24",
            "1 / sqrt(d) forgotten",
            lambda c, gy: attention_from(c, scores_backward(c, gy) * np.sqrt(c[0].shape[1]), gy),
        ),
        wrong("v_not_transposed", "D01 D33 D53", "p @ gy", lambda c, gy: (*attention_backward(c, gy)[:2], c[3] @ gy)),
        wrong(
            "k_not_transposed",
            "D01 D53",
            "scores @ q",
            lambda c, gy: (attention_backward(c, gy)[0], scores_backward(c, gy) @ c[0], c[3].T @ gy),
        ),
        wrong(
            "exchanged", "D10 D25", "queries and keys exchanged", lambda c, gy: (*attention_backward(c, gy)[1::-1], c[3].T @ gy)
        ),
        wrong(
            "k_zero",
            "D21",
            "the keys held constant",
            lambda c, gy: (attention_backward(c, gy)[0], np.zeros_like(c[1]), c[3].T @ gy),
        ),
    ),
)

OPERATIONS: list[Operation] = [RNN_STEP, RECURRENCE, LSTM_CELL, GRU_STATE, ATTENTION]
