"""Layers with backward functions written by hand; forward returns the value and a cache, backward a gradient for every input."""

import numpy as np

GROUPS = 2
EPSILON = 1e-5
SELU_SCALE = 1.0507
SELU_ALPHA = 1.6733


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ---- group norm of (examples, channels, positions)


def group_norm_forward(x, gamma, beta):
    n, c, length = x.shape
    groups = x.reshape(n, GROUPS, -1)
    mean = groups.mean(axis=2, keepdims=True)
    std = np.sqrt(groups.var(axis=2, keepdims=True) + EPSILON)
    normed = (groups - mean) / std
    x_hat = normed.reshape(n, c, length)
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, std, gamma)


def group_norm_backward(cache, dout):
    x_hat, std, gamma = cache
    dgamma = np.sum(dout * x_hat, axis=(0, 2))
    dbeta = np.sum(dout, axis=(0, 2))
    n = dout.shape[0]
    dnormed = (dout * gamma[:, None]).reshape(n, GROUPS, -1)
    normed = x_hat.reshape(n, GROUPS, -1)
    mean_part = dnormed.mean(axis=2, keepdims=True)
    var_part = normed * np.mean(dnormed * normed, axis=2, keepdims=True)
    dgroups = (dnormed - mean_part - var_part) / std
    dx = dgroups.reshape(dout.shape)
    return dx, dgamma, dbeta


def group_norm(x, gamma, beta):
    groups = np.reshape(x, (x.shape[0], GROUPS, -1))
    centred = groups - np.mean(groups, axis=2, keepdims=True)
    variance = np.mean(centred**2, axis=2, keepdims=True)
    x_hat = np.reshape(centred / np.sqrt(variance + EPSILON), x.shape)
    return x_hat * np.reshape(gamma, (-1, 1)) + np.reshape(beta, (-1, 1))


# ---- a linear layer under weight norm


def weight_norm_forward(x, v, g):
    length = np.sqrt(np.sum(v**2, axis=1, keepdims=True))
    direction = v / length
    w = g[:, None] * direction
    return x @ w.T, (x, w, direction, length, g)


def weight_norm_backward(cache, dout):
    x, w, direction, length, g = cache
    dx = dout @ w
    dw = dout.T @ x
    dg = np.sum(dw * direction, axis=1)
    ddirection = g[:, None] * dw
    along = np.sum(ddirection * direction, axis=1, keepdims=True)
    dv = (ddirection - along * direction) / length
    return dx, dv, dg


def weight_norm(x, v, g):
    scale = g / np.sqrt(np.sum(v * v, axis=1))
    return np.matmul(x, np.transpose(v)) * scale


# ---- gated linear unit


def glu_forward(x, w_value, w_gate, b_gate):
    value = x @ w_value
    gate = 1 / (1 + np.exp(-(x @ w_gate + b_gate)))
    return value * gate, (x, w_value, w_gate, value, gate)


def glu_backward(cache, dout):
    x, w_value, w_gate, value, gate = cache
    dvalue = dout * gate
    dgate = dout * value
    dlogits = dgate * gate * (1 - gate)
    dw_value = x.T @ dvalue
    dw_gate = x.T @ dlogits
    db_gate = dlogits.sum(axis=0)
    dx = dvalue @ w_value.T + dlogits @ w_gate.T
    return dx, dw_value, dw_gate, db_gate


def glu(x, w_value, w_gate, b_gate):
    return np.matmul(x, w_value) / (1 + np.exp(-np.matmul(x, w_gate) - b_gate))


# ---- highway layer


def highway_forward(x, w_carry, b_carry, w_hidden):
    carry = sigmoid(x @ w_carry + b_carry)
    hidden = np.tanh(x @ w_hidden)
    y = carry * x + (1 - carry) * hidden
    return y, (x, w_carry, w_hidden, carry, hidden)


def highway_backward(cache, dout):
    x, w_carry, w_hidden, carry, hidden = cache
    dcarry = dout * (x - hidden)
    dhidden = dout * (1 - carry)
    dcarry_in = dcarry * carry * (1 - carry)
    dhidden_in = dhidden * (1 - hidden**2)
    dx = dout * carry
    dx += dcarry_in @ w_carry.T
    dx += dhidden_in @ w_hidden.T
    dw_carry = x.T @ dcarry_in
    db_carry = np.sum(dcarry_in, axis=0)
    dw_hidden = x.T @ dhidden_in
    return dx, dw_carry, db_carry, dw_hidden


def highway(x, w_carry, b_carry, w_hidden):
    carry = 1 / (1 + np.exp(-(np.matmul(x, w_carry) + b_carry)))
    hidden = np.tanh(np.matmul(x, w_hidden))
    return hidden + carry * (x - hidden)


# ---- squeeze and excite: channels are weighted by what their means say


def squeeze_excite_forward(x, w_squeeze, w_excite):
    pooled = x.mean(axis=2)
    before = pooled @ w_squeeze
    hidden = np.maximum(before, 0)
    gate = sigmoid(hidden @ w_excite)
    return x * gate[:, :, None], (x, w_squeeze, w_excite, pooled, hidden, gate)


def squeeze_excite_backward(cache, dout):
    x, w_squeeze, w_excite, pooled, hidden, gate = cache
    dgate = np.sum(dout * x, axis=2)
    dgate_in = dgate * gate * (1 - gate)
    dw_excite = hidden.T @ dgate_in
    dhidden = dgate_in @ w_excite.T
    dbefore = dhidden * (hidden > 0)
    dw_squeeze = pooled.T @ dbefore
    dpooled = dbefore @ w_squeeze.T
    dx = dout * gate[:, :, None] + dpooled[:, :, None] / x.shape[2]
    return dx, dw_squeeze, dw_excite


def squeeze_excite(x, w_squeeze, w_excite):
    hidden = np.matmul(np.mean(x, axis=2), w_squeeze)
    logits = np.matmul(np.where(hidden > 0, hidden, 0.0), w_excite)
    return x / (1 + np.exp(-np.expand_dims(logits, 2)))


# ---- mish


def mish_forward(x):
    soft = np.log1p(np.exp(x))
    squashed = np.tanh(soft)
    return x * squashed, (x, squashed)


def mish_backward(cache, dout):
    x, squashed = cache
    dsquashed = dout * x
    dsoft = dsquashed * (1 - squashed**2)
    sigmoid_x = 1 / (1 + np.exp(-x))
    dx = dout * squashed + dsoft * sigmoid_x
    return (dx,)


def mish(x):
    return x * np.tanh(np.log(1 + np.exp(x)))


# ---- SELU


def selu_forward(x):
    grown = SELU_ALPHA * (np.exp(np.minimum(x, 0)) - 1)
    y = SELU_SCALE * np.where(x > 0, x, grown)
    return y, (x, y)


def selu_backward(cache, dout):
    x, y = cache
    slope_below = y + SELU_SCALE * SELU_ALPHA
    slope = np.where(x > 0, SELU_SCALE, slope_below)
    dx = dout * slope
    return (dx,)


def selu(x):
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * (np.exp(x) - 1))


# ---- soft thresholding, with a threshold for every column


def soft_threshold_forward(x, threshold):
    size = np.abs(x) - threshold
    kept = size > 0
    y = np.where(kept, np.sign(x) * size, 0)
    return y, (np.sign(x), kept)


def soft_threshold_backward(cache, dout):
    sign, kept = cache
    dx = dout * kept
    dsize = dx * sign
    dthreshold = -dsize.sum(axis=0)
    return dx, dthreshold


def soft_threshold(x, threshold):
    return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, 0.0 * x))


# ---- factorisation machine


def factorisation_machine_forward(x, w, v):
    mixed = x @ v
    squares = x**2 @ v**2
    pairs = 0.5 * np.sum(mixed**2 - squares, axis=1)
    return x @ w + pairs, (x, w, v, mixed)


def factorisation_machine_backward(cache, dout):
    x, w, v, mixed = cache
    dw = x.T @ dout
    dmixed = dout[:, None] * mixed
    dsquares = -0.5 * dout[:, None] * np.ones_like(mixed)
    dv = x.T @ dmixed + 2 * v * ((x**2).T @ dsquares)
    dx = np.outer(dout, w) + dmixed @ v.T + 2 * x * (dsquares @ (v**2).T)
    return dx, dw, dv


def factorisation_machine(x, w, v):
    pairs = np.matmul(x, v) ** 2 - np.matmul(x * x, v * v)
    return np.matmul(x, w) + np.sum(pairs, axis=1) / 2


# ---- mixture of linear experts


def mixture_of_experts_forward(x, w_gate, w_experts):
    logits = x @ w_gate
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    gates = exps / exps.sum(axis=1, keepdims=True)
    outputs = np.einsum("nd,edo->neo", x, w_experts)
    y = np.sum(gates[:, :, None] * outputs, axis=1)
    return y, (x, w_gate, w_experts, gates, outputs)


def mixture_of_experts_backward(cache, dout):
    x, w_gate, w_experts, gates, outputs = cache
    dgates = np.sum(dout[:, None, :] * outputs, axis=2)
    doutputs = gates[:, :, None] * dout[:, None, :]
    average = np.sum(dgates * gates, axis=1, keepdims=True)
    dlogits = gates * (dgates - average)
    dw_gate = x.T @ dlogits
    dw_experts = np.einsum("nd,neo->edo", x, doutputs)
    dx = dlogits @ w_gate.T + np.einsum("neo,edo->nd", doutputs, w_experts)
    return dx, dw_gate, dw_experts


def mixture_of_experts(x, w_gate, w_experts):
    exps = np.exp(np.matmul(x, w_gate))
    gates = exps / np.sum(exps, axis=1, keepdims=True)
    return np.einsum("ne,nd,edo->no", gates, x, w_experts)


# ---- residual block with two weights


def residual_block_forward(x, w_in, b, w_out):
    hidden = np.tanh(x @ w_in + b)
    return x + hidden @ w_out, (x, w_in, w_out, hidden)


def residual_block_backward(cache, dout):
    x, w_in, w_out, hidden = cache
    dw_out = hidden.T @ dout
    dhidden = dout @ w_out.T
    dbefore = dhidden * (1 - hidden**2)
    dw_in = x.T @ dbefore
    db = dbefore.sum(axis=0)
    dx = dout + dbefore @ w_in.T
    return dx, dw_in, db, dw_out


def residual_block(x, w_in, b, w_out):
    return x + np.matmul(np.tanh(b + np.matmul(x, w_in)), w_out)
