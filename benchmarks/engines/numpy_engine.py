"""No engine: a floor. The value alone for the chains, the reverse sweep written by hand for the ResNet."""

import numpy as np

from workloads import resnet_by_hand

DISTRIBUTION, NUMPY = "numpy", True


def scalar(f, inputs):
    return {"forward only": lambda: (f(np, *inputs), [])}


def resnet(params, X, C, labels):
    return {"by hand": lambda: resnet_by_hand(params, X, C)}
