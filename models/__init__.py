"""Layers, models, losses, differential equations, data and training for tinyad: imported as tinyad.models."""

from tinyad.models import ode
from tinyad.models.datasets import Dataset, circle, digits, ellipses, mnist5k, peaks, spirals, swiss_roll
from tinyad.models.initializers import glorot_normal, glorot_uniform, he_normal, uniform, zeros
from tinyad.models.layers import Dense
from tinyad.models.losses import accuracy, softmax_cross_entropy, squared_loss
from tinyad.models.mlp import MLP
from tinyad.models.module import Module, parameters
from tinyad.models.regularizers import l2
from tinyad.models.resnet import ResNet
from tinyad.models.stability_report import StabilityReport, stability_report
from tinyad.models.stable import (
    Antisymmetric,
    DoubleHamiltonian,
    Dynamics,
    Hamiltonian,
    Parabolic,
    Plain,
    SecondOrder,
    StableNet,
    roughness,
)
from tinyad.models.storage import load, read_notes, save
from tinyad.models.training import FitResult, fit
from tinyad.models.trajectories import Trajectory, lynx_and_hare, spiral

__all__ = [
    "MLP",
    "Antisymmetric",
    "Dataset",
    "Dense",
    "DoubleHamiltonian",
    "Dynamics",
    "FitResult",
    "Hamiltonian",
    "Module",
    "Parabolic",
    "Plain",
    "ResNet",
    "SecondOrder",
    "StabilityReport",
    "StableNet",
    "Trajectory",
    "accuracy",
    "circle",
    "digits",
    "ellipses",
    "fit",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "l2",
    "load",
    "lynx_and_hare",
    "mnist5k",
    "ode",
    "parameters",
    "peaks",
    "read_notes",
    "roughness",
    "save",
    "softmax_cross_entropy",
    "spiral",
    "spirals",
    "squared_loss",
    "stability_report",
    "swiss_roll",
    "uniform",
    "zeros",
]
