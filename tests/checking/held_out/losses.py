"""Losses with backward functions written by hand; forward returns the value and a cache, backward a gradient for every input."""

import numpy as np

GAMMA = 2  # of the focal loss
DELTA = 1.5  # of the pseudo-Huber loss
TEMPERATURE = 0.7
SMOOTHING = 0.2


# ---- focal loss of logits and labels


def focal_loss_forward(logits, labels):
    rows = np.arange(logits.shape[0])
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = exps / exps.sum(axis=1, keepdims=True)
    p_true = probs[rows, labels]
    losses = -((1 - p_true) ** GAMMA) * np.log(p_true)
    return losses.mean(), (probs, p_true, rows, labels)


def focal_loss_backward(cache, dout):
    probs, p_true, rows, labels = cache
    dlosses = dout / p_true.shape[0]
    slope_of_weight = 2 * (1 - p_true) * np.log(p_true)
    slope_of_log = -((1 - p_true) ** 2) / p_true
    dp_true = dlosses * (slope_of_weight + slope_of_log)
    common = dp_true * p_true
    dlogits = -probs * common[:, None]
    dlogits[rows, labels] += common
    return dlogits, None


def focal_loss(logits, labels):
    log_probs = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    log_true = log_probs[np.arange(len(labels)), labels]
    return -np.mean((1 - np.exp(log_true)) ** GAMMA * log_true)


# ---- pseudo-Huber loss


def pseudo_huber_forward(prediction, target):
    residual = (prediction - target) / DELTA
    root = np.sqrt(1 + residual**2)
    loss = DELTA**2 * np.mean(root - 1)
    return loss, (residual, root)


def pseudo_huber_backward(cache, dout):
    residual, root = cache
    droot = dout * DELTA**2 / residual.size
    dresidual = droot * residual / root
    dprediction = dresidual / DELTA
    return dprediction, -dprediction


def pseudo_huber(prediction, target):
    return DELTA**2 * np.mean(np.sqrt(1 + (prediction - target) ** 2 / DELTA**2) - 1)


# ---- Kullback-Leibler divergence between diagonal Gaussians, one number an example


def gaussian_kl_forward(mean_p, logvar_p, mean_q, logvar_q):
    gap = mean_p - mean_q
    var_p = np.exp(logvar_p)
    precision_q = np.exp(-logvar_q)
    ratio = (var_p + gap**2) * precision_q
    kl = 0.5 * np.sum(logvar_q - logvar_p + ratio - 1, axis=1)
    return kl, (gap, var_p, precision_q, ratio)


def gaussian_kl_backward(cache, dout):
    gap, var_p, precision_q, ratio = cache
    dterms = 0.5 * dout[:, None]
    dratio = dterms * precision_q
    dgap = dratio * 2 * gap
    dlogvar_p = dratio * var_p - dterms
    dlogvar_q = dterms * (1 - ratio)
    return dgap, dlogvar_p, -dgap, dlogvar_q


def gaussian_kl(mean_p, logvar_p, mean_q, logvar_q):
    ratio = np.exp(logvar_p - logvar_q)
    distance = (mean_p - mean_q) ** 2 / np.exp(logvar_q)
    return np.sum(logvar_q - logvar_p + ratio + distance - 1, axis=1) / 2


# ---- InfoNCE: the i-th key is the right one for the i-th query


def info_nce_forward(queries, keys):
    logits = queries @ keys.T / TEMPERATURE
    shifted = logits - logits.max(axis=1, keepdims=True)
    exps = np.exp(shifted)
    totals = exps.sum(axis=1, keepdims=True)
    losses = np.log(totals[:, 0]) - np.diag(shifted)
    return losses.mean(), (queries, keys, exps / totals)


def info_nce_backward(cache, dout):
    queries, keys, probs = cache
    n = probs.shape[0]
    dlogits = dout * (probs - np.eye(n)) / n
    dsimilarity = dlogits / TEMPERATURE
    dqueries = dsimilarity @ keys
    dkeys = dsimilarity.T @ queries
    return dqueries, dkeys


def info_nce(queries, keys):
    logits = np.matmul(queries, np.transpose(keys)) / TEMPERATURE
    right = np.sum(queries * keys, axis=1) / TEMPERATURE
    return np.mean(np.log(np.sum(np.exp(logits), axis=1)) - right)


# ---- triplet loss with a soft margin, one number a triplet


def soft_triplet_forward(anchor, positive, negative):
    to_positive = anchor - positive
    to_negative = anchor - negative
    gap = np.sum(to_positive**2, axis=1) - np.sum(to_negative**2, axis=1)
    losses = np.logaddexp(0, gap)
    return losses, (to_positive, to_negative, gap)


def soft_triplet_backward(cache, dout):
    to_positive, to_negative, gap = cache
    weight = 1 / (1 + np.exp(-gap))
    dgap = (dout * weight)[:, None]
    dpositive = -2 * to_positive * dgap
    dnegative = 2 * to_negative * dgap
    danchor = -dpositive - dnegative
    return danchor, dpositive, dnegative


def soft_triplet(anchor, positive, negative):
    near = np.sum((anchor - positive) ** 2, axis=1)
    far = np.sum((anchor - negative) ** 2, axis=1)
    return np.log(1 + np.exp(near - far))


# ---- cross-entropy with smoothed labels


def label_smoothing_forward(logits, labels):
    n, classes = logits.shape
    targets = np.full((n, classes), SMOOTHING / classes)
    targets[np.arange(n), labels] += 1 - SMOOTHING
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -np.sum(targets * log_probs) / n
    return loss, (log_probs, targets)


def label_smoothing_backward(cache, dout):
    log_probs, targets = cache
    dlog_probs = -dout * targets / targets.shape[0]
    through_total = np.exp(log_probs) * dlog_probs.sum(axis=1, keepdims=True)
    dlogits = dlog_probs - through_total
    return dlogits, None


def label_smoothing(logits, labels):
    log_probs = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    right = np.mean(log_probs[np.arange(len(labels)), labels])
    return -(1 - SMOOTHING) * right - SMOOTHING * np.mean(log_probs)


# ---- soft dice loss of scores against a mask, one number an image


def dice_forward(scores, mask):
    probs = 1 / (1 + np.exp(-scores))
    overlap = np.sum(probs * mask, axis=1)
    total = np.sum(probs + mask, axis=1)
    dice = (2 * overlap + 1) / (total + 1)
    return 1 - dice, (probs, mask, total, dice)


def dice_backward(cache, dout):
    probs, mask, total, dice = cache
    ddice = -dout
    dnumerator = ddice / (total + 1)
    doverlap = 2 * dnumerator
    dtotal = -dnumerator * dice
    dprobs = doverlap[:, None] * mask + dtotal[:, None]
    dscores = dprobs * probs * (1 - probs)
    dmask = doverlap[:, None] * probs + dtotal[:, None]
    return dscores, dmask


def dice(scores, mask):
    probs = 1 / (1 + np.exp(-scores))
    numerator = 1 + 2 * np.sum(probs * mask, axis=1)
    return 1 - numerator / (1 + np.sum(probs, axis=1) + np.sum(mask, axis=1))


# ---- centre loss: squared distances to the centre of one's class


def center_loss_forward(features, labels, centers):
    gap = features - centers[labels]
    losses = 0.5 * np.sum(gap**2, axis=1)
    return losses, (gap, labels, centers)


def center_loss_backward(cache, dout):
    gap, labels, centers = cache
    dfeatures = dout[:, None] * gap
    dcenters = np.zeros_like(centers)
    np.add.at(dcenters, labels, -dfeatures)
    return dfeatures, None, dcenters


def center_loss(features, labels, centers):
    return np.sum((features - centers[labels]) ** 2, axis=1) / 2


# ---- log-density of a diagonal Gaussian


def gaussian_logpdf_forward(x, mean, log_scale):
    inverse_scale = np.exp(-log_scale)
    z = (x - mean) * inverse_scale
    norm = x.shape[1] * np.log(2 * np.pi)
    logpdf = -0.5 * (np.sum(z**2, axis=1) + norm) - np.sum(log_scale)
    return logpdf, (z, inverse_scale)


def gaussian_logpdf_backward(cache, dout):
    z, inverse_scale = cache
    dz = -z * dout[:, None]
    dx = dz * inverse_scale
    dmean = -dx.sum(axis=0)
    dlog_scale = -np.sum(dz * z, axis=0) - np.sum(dout)
    return dx, dmean, dlog_scale


def gaussian_logpdf(x, mean, log_scale):
    z = (x - mean) / np.exp(log_scale)
    return -np.sum(z**2 / 2 + log_scale + np.log(2 * np.pi) / 2, axis=1)
