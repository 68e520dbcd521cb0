"""Solvers and optimisers for tinyad: imported as tinyad.optim."""

from tinyad.optim.krylov import cg, gmres
from tinyad.optim.result import Result
from tinyad.optim.schedules import Schedule, constant, cosine
from tinyad.optim.stochastic import AdamState, Optimizer, SGDState, adam, sgd

__all__ = ["AdamState", "Optimizer", "Result", "SGDState", "Schedule", "adam", "cg", "constant", "cosine", "gmres", "sgd"]
