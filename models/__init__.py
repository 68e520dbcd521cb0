"""Layers, models, losses, data and training for tinyad: imported as tinyad.models."""

from tinyad.models.datasets import Dataset, circle, digits, ellipses, mnist5k, peaks, spirals, swiss_roll
from tinyad.models.initializers import glorot_normal, glorot_uniform, he_normal, uniform, zeros
from tinyad.models.layers import Dense
from tinyad.models.losses import accuracy, softmax_cross_entropy, squared_loss
from tinyad.models.mlp import MLP
from tinyad.models.module import Module, parameters
from tinyad.models.regularizers import l2
from tinyad.models.resnet import ResNet
from tinyad.models.storage import load, read_notes, save
from tinyad.models.training import FitResult, fit

__all__ = [
    "MLP",
    "Dataset",
    "Dense",
    "FitResult",
    "Module",
    "ResNet",
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
    "mnist5k",
    "parameters",
    "peaks",
    "read_notes",
    "save",
    "softmax_cross_entropy",
    "spirals",
    "squared_loss",
    "swiss_roll",
    "uniform",
    "zeros",
]
