"""Solvers and optimisers for tinyad: imported as tinyad.optim."""

from tinyad.optim.schedules import Schedule, constant, cosine
from tinyad.optim.stochastic import AdamState, Optimizer, SGDState, adam, sgd

__all__ = ["AdamState", "Optimizer", "SGDState", "Schedule", "adam", "constant", "cosine", "sgd"]
