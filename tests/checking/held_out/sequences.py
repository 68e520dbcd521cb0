"""Operations along sequences with backward functions written by hand; forward returns the value and a cache."""

import numpy as np

DILATION = 2
STRIDE = 3
UPSAMPLING = 2
SEGMENTS = 3

# ---- depthwise convolution: every channel with its own kernel


def depthwise_forward(x, kernel):
    n, channels, length = x.shape
    width = kernel.shape[1]
    y = np.zeros((n, channels, length - width + 1))
    for k in range(width):
        y += x[:, :, k : k + y.shape[2]] * kernel[:, k, None]
    return y, (x, kernel)


def depthwise_backward(cache, dout):
    x, kernel = cache
    dx = np.zeros_like(x)
    dkernel = np.zeros_like(kernel)
    length = dout.shape[2]
    for k in range(kernel.shape[1]):
        window = x[:, :, k : k + length]
        dkernel[:, k] = np.sum(dout * window, axis=(0, 2))
        dx[:, :, k : k + length] += dout * kernel[:, k, None]
    return dx, dkernel


def depthwise(x, kernel):
    length = x.shape[2] - kernel.shape[1] + 1
    return sum(x[:, :, k : k + length] * kernel[:, k, None] for k in range(kernel.shape[1]))


# ---- convolution with a dilated kernel and a stride


def dilated_conv_forward(x, weight):
    n, _, length = x.shape
    outputs, _, width = weight.shape
    steps = (length - DILATION * (width - 1) - 1) // STRIDE + 1
    y = np.zeros((n, outputs, steps))
    for k in range(width):
        start = k * DILATION
        y += np.einsum("nct,oc->not", x[:, :, start : start + STRIDE * steps : STRIDE], weight[:, :, k])
    return y, (x, weight)


def dilated_conv_backward(cache, dout):
    x, weight = cache
    dx = np.zeros_like(x)
    dweight = np.zeros_like(weight)
    span = STRIDE * dout.shape[2]
    for k in range(weight.shape[2]):
        start = k * DILATION
        taps = x[:, :, start : start + span : STRIDE]
        dweight[:, :, k] = np.einsum("not,nct->oc", dout, taps)
        dx[:, :, start : start + span : STRIDE] += np.einsum("not,oc->nct", dout, weight[:, :, k])
    return dx, dweight


def dilated_conv(x, weight):
    width = weight.shape[2]
    steps = (x.shape[2] - DILATION * (width - 1) - 1) // STRIDE + 1
    places = STRIDE * np.arange(steps)[:, None] + DILATION * np.arange(width)
    return np.einsum("nctk,ock->not", x[:, :, places], weight)


# ---- transposed convolution, which doubles the length


def transposed_conv_forward(x, weight, bias):
    n, _, length = x.shape
    _, outputs, width = weight.shape
    y = np.zeros((n, outputs, UPSAMPLING * (length - 1) + width))
    for k in range(width):
        y[:, :, k : k + UPSAMPLING * length - 1 : UPSAMPLING] += np.einsum("nct,co->not", x, weight[:, :, k])
    return y + bias[:, None], (x, weight)


def transposed_conv_backward(cache, dout):
    x, weight = cache
    span = UPSAMPLING * x.shape[2] - 1
    dx = np.zeros_like(x)
    dweight = np.zeros_like(weight)
    for k in range(weight.shape[2]):
        touched = dout[:, :, k : k + span : UPSAMPLING]
        dx += np.einsum("not,co->nct", touched, weight[:, :, k])
        dweight[:, :, k] = np.einsum("nct,not->co", x, touched)
    dbias = dout.sum(axis=(0, 2))
    return dx, dweight, dbias


def transposed_conv(x, weight, bias):
    n, channels, length = x.shape
    width = weight.shape[2]
    spread = np.reshape(np.stack([x, 0 * x], axis=3), (n, channels, 2 * length))[:, :, :-1]
    padded = np.pad(spread, ((0, 0), (0, 0), (width - 1, width - 1)))
    places = np.arange(2 * length - 2 + width)[:, None] + np.arange(width)
    return np.einsum("nctk,cok->not", padded[:, :, places], np.flip(weight, 2)) + bias[:, None]


# ---- attention without a softmax: keys and values are summed up once


def linear_attention_forward(queries, keys, values):
    phi_q = np.exp(queries)
    phi_k = np.exp(keys)
    memory = phi_k.T @ values
    norm = phi_k.sum(axis=0)
    numerator = phi_q @ memory
    denominator = phi_q @ norm
    y = numerator / denominator[:, None]
    return y, (phi_q, phi_k, values, memory, norm, denominator, y)


def linear_attention_backward(cache, dout):
    phi_q, phi_k, values, memory, norm, denominator, y = cache
    dnumerator = dout / denominator[:, None]
    ddenominator = -np.sum(dnumerator * y, axis=1)
    dmemory = phi_q.T @ dnumerator
    dnorm = phi_q.T @ ddenominator
    dphi_q = dnumerator @ memory.T + np.outer(ddenominator, norm)
    dphi_k = values @ dmemory.T + dnorm
    dvalues = phi_k @ dmemory
    return dphi_q * phi_q, dphi_k * phi_k, dvalues


def linear_attention(queries, keys, values):
    weights = np.matmul(np.exp(queries), np.transpose(np.exp(keys)))
    return np.matmul(weights / np.sum(weights, axis=1, keepdims=True), values)


# ---- softmax over scores that are lowered in proportion to the distance, by a slope of each head


def alibi_forward(scores, slopes):
    places = np.arange(scores.shape[2])
    distance = np.abs(places[:, None] - places[None, :])
    logits = scores - slopes[:, None, None] * distance
    exps = np.exp(logits - logits.max(axis=2, keepdims=True))
    probs = exps / exps.sum(axis=2, keepdims=True)
    return probs, (probs, distance)


def alibi_backward(cache, dout):
    probs, distance = cache
    weighted = dout * probs
    dlogits = weighted - probs * weighted.sum(axis=2, keepdims=True)
    dslopes = -np.sum(dlogits * distance, axis=(1, 2))
    return dlogits, dslopes


def alibi(scores, slopes):
    places = np.arange(scores.shape[-1])
    lowered = np.exp(scores - np.reshape(slopes, (-1, 1, 1)) * np.abs(places - places[:, None]))
    return lowered / np.sum(lowered, axis=-1, keepdims=True)


# ---- rotary embedding: neighbouring columns are turned by angles of the position


def rotary_forward(x, angles):
    even, odd = x[:, :, 0::2], x[:, :, 1::2]
    cos, sin = np.cos(angles), np.sin(angles)
    y = np.empty_like(x)
    y[:, :, 0::2] = even * cos - odd * sin
    y[:, :, 1::2] = even * sin + odd * cos
    return y, (even, odd, cos, sin)


def rotary_backward(cache, dout):
    even, odd, cos, sin = cache
    deven_out, dodd_out = dout[:, :, 0::2], dout[:, :, 1::2]
    dx = np.empty_like(dout)
    dx[:, :, 0::2] = deven_out * cos + dodd_out * sin
    dx[:, :, 1::2] = dodd_out * cos - deven_out * sin
    dcos = deven_out * even + dodd_out * odd
    dsin = dodd_out * even - deven_out * odd
    dangles = np.sum(dsin * cos - dcos * sin, axis=0)
    return dx, dangles


def rotary(x, angles):
    even, odd = x[:, :, 0::2], x[:, :, 1::2]
    turned = [even * np.cos(angles) - odd * np.sin(angles), even * np.sin(angles) + odd * np.cos(angles)]
    return np.reshape(np.stack(turned, axis=3), x.shape)


# ---- means of segments; indices say which row is in which


def segment_mean_forward(x, segments):
    counts = np.bincount(segments, minlength=SEGMENTS)
    sums = np.zeros((SEGMENTS, x.shape[1]))
    np.add.at(sums, segments, x)
    return sums / counts[:, None], (segments, counts)


def segment_mean_backward(cache, dout):
    segments, counts = cache
    dsums = dout / counts[:, None]
    dx = dsums[segments]
    return dx, None


def segment_mean(x, segments):
    member = np.equal(segments, np.arange(SEGMENTS)[:, None]).astype(float)
    return np.matmul(member, x) / np.sum(member, axis=1, keepdims=True)


# ---- means over positions, weighted by a softmax of scores


def attentive_pooling_forward(x, scores):
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = exps / exps.sum(axis=1, keepdims=True)
    pooled = np.sum(weights[:, :, None] * x, axis=1)
    return pooled, (x, weights, pooled)


def attentive_pooling_backward(cache, dout):
    x, weights, pooled = cache
    dx = weights[:, :, None] * dout[:, None, :]
    dweights = np.sum(x * dout[:, None, :], axis=2)
    average = np.sum(pooled * dout, axis=1, keepdims=True)
    dscores = weights * (dweights - average)
    return dx, dscores


def attentive_pooling(x, scores):
    weights = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    return np.einsum("nt,ntd->nd", weights, x)


# ---- a memory that fades: h[t] = decay * h[t - 1] + x[t]


def fading_memory_forward(x, decay):
    h = np.zeros_like(x)
    h[0] = x[0]
    for t in range(1, x.shape[0]):
        h[t] = decay * h[t - 1] + x[t]
    return h, (h, decay)


def fading_memory_backward(cache, dout):
    h, decay = cache
    dx = np.zeros_like(h)
    ddecay = np.zeros_like(decay)
    dh = np.zeros_like(decay)
    for t in range(h.shape[0] - 1, 0, -1):
        dh = dh * decay + dout[t]
        dx[t] = dh
        ddecay += dh * h[t - 1]
    dx[0] = dh * decay + dout[0]
    return dx, ddecay


def fading_memory(x, decay):
    states = [x[0]]
    for t in range(1, x.shape[0]):
        states.append(decay * states[-1] + x[t])
    return np.stack(states)
