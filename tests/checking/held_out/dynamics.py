"""Steps of differential equations with backward functions written by hand; forward returns the value and a cache."""

import numpy as np

STEP = 0.3
DAMPING = 0.2

# ---- midpoint step of x' = tanh(x w + b)


def midpoint_forward(x, w, b):
    first = np.tanh(x @ w + b)
    middle = x + 0.5 * STEP * first
    second = np.tanh(middle @ w + b)
    return x + STEP * second, (x, w, first, middle, second)


def midpoint_backward(cache, dout):
    x, w, first, middle, second = cache
    dsecond = STEP * dout
    dsecond_in = dsecond * (1 - second**2)
    dmiddle = dsecond_in @ w.T
    dw = middle.T @ dsecond_in
    db = dsecond_in.sum(axis=0)
    dfirst = 0.5 * STEP * dmiddle
    dfirst_in = dfirst * (1 - first**2)
    dw += x.T @ dfirst_in
    db += dfirst_in.sum(axis=0)
    dx = dout + dmiddle + dfirst_in @ w.T
    return dx, dw, db


def midpoint(x, w, b):
    middle = x + STEP / 2 * np.tanh(np.matmul(x, w) + b)
    return x + STEP * np.tanh(np.matmul(middle, w) + b)


# ---- leapfrog step of pendulums; places and momenta one after the other


def leapfrog_forward(place, momentum, stiffness):
    half = momentum - 0.5 * STEP * stiffness * np.sin(place)
    new_place = place + STEP * half
    new_momentum = half - 0.5 * STEP * stiffness * np.sin(new_place)
    return np.concatenate([new_place, new_momentum], axis=1), (place, new_place, stiffness)


def leapfrog_backward(cache, dout):
    place, new_place, stiffness = cache
    d = stiffness.shape[0]
    dnew_place = dout[:, :d].copy()
    dhalf = dout[:, d:].copy()
    dforce_after = -0.5 * STEP * dhalf
    dnew_place += dforce_after * stiffness * np.cos(new_place)
    dhalf += STEP * dnew_place
    dforce_before = -0.5 * STEP * dhalf
    dplace = dnew_place + dforce_before * stiffness * np.cos(place)
    dstiffness = np.sum(dforce_after * np.sin(new_place) + dforce_before * np.sin(place), axis=0)
    return dplace, dhalf, dstiffness


def leapfrog(place, momentum, stiffness):
    half = momentum - STEP / 2 * stiffness * np.sin(place)
    later = place + STEP * half
    return np.concatenate([later, half - STEP / 2 * stiffness * np.sin(later)], axis=1)


# ---- Hamiltonian layer: two halves that drive each other through one weight


def hamiltonian_forward(x, w, b):
    d = w.shape[1]
    y, z = x[:, :d], x[:, d:]
    drive_y = np.tanh(y @ w.T + b)
    z_new = z - STEP * drive_y @ w
    drive_z = np.tanh(z_new @ w.T + b)
    y_new = y + STEP * drive_z @ w
    return np.concatenate([y_new, z_new], axis=1), (y, z_new, w, drive_y, drive_z)


def hamiltonian_backward(cache, dout):
    y, z_new, w, drive_y, drive_z = cache
    d = w.shape[1]
    dy_new, dz_new = dout[:, :d], dout[:, d:]
    ddrive_z = STEP * dy_new @ w.T
    din_z = ddrive_z * (1 - drive_z**2)
    dz = dz_new + din_z @ w
    ddrive_y = -STEP * dz @ w.T
    din_y = ddrive_y * (1 - drive_y**2)
    dy = dy_new + din_y @ w
    dw = STEP * drive_z.T @ dy_new + din_z.T @ z_new
    dw += din_y.T @ y - STEP * drive_y.T @ dz
    db = np.sum(din_y + din_z, axis=0)
    return np.concatenate([dy, dz], axis=1), dw, db


def hamiltonian(x, w, b):
    d = w.shape[1]
    y, z = x[:, :d], x[:, d:]
    later = z - STEP * np.matmul(np.tanh(np.matmul(y, np.transpose(w)) + b), w)
    return np.concatenate([y + STEP * np.matmul(np.tanh(np.matmul(later, np.transpose(w)) + b), w), later], axis=1)


# ---- antisymmetric layer


def antisymmetric_forward(x, w, b):
    skew = w - w.T - DAMPING * np.eye(w.shape[0])
    slope = np.tanh(x @ skew + b)
    return x + STEP * slope, (x, skew, slope)


def antisymmetric_backward(cache, dout):
    x, skew, slope = cache
    dbefore = STEP * dout * (1 - slope**2)
    dskew = x.T @ dbefore
    dw = dskew - dskew.T
    db = dbefore.sum(axis=0)
    dx = dout + dbefore @ skew.T
    return dx, dw, db


def antisymmetric(x, w, b):
    drive = np.matmul(x, w) - np.matmul(x, np.transpose(w)) - DAMPING * x
    return x + STEP * np.tanh(drive + b)


# ---- Euler step of rates that compete for a resource (Lotka and Volterra, many species)


def competition_forward(x, growth, rivalry):
    pressure = x @ rivalry
    rate = x * (growth - pressure)
    return x + STEP * rate, (x, growth, rivalry, pressure)


def competition_backward(cache, dout):
    x, growth, rivalry, pressure = cache
    drate = STEP * dout
    dgrowth = np.sum(drate * x, axis=0)
    dpressure = -drate * x
    drivalry = x.T @ dpressure
    dx = dout + drate * (growth - pressure) + dpressure @ rivalry.T
    return dx, dgrowth, drivalry


def competition(x, growth, rivalry):
    return x * (1 + STEP * (growth - np.matmul(x, rivalry)))
