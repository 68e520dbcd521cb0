import torch
from torch.nn import functional as F

from engines import by_backward, clear
from workloads import convert, leaves, scores

DISTRIBUTION, NUMPY = "torch", False


def variable(x):
    return torch.tensor(x, requires_grad=True)


def scalar(f, inputs):
    tensors = [variable(x) for x in inputs]
    return {"": by_backward(lambda: f(torch, *tensors), tensors, clear, torch.Tensor.detach)}


def resnet(params, X, C, labels):
    params = convert(variable, params)
    X, labels = torch.tensor(X), torch.tensor(labels)
    loss = lambda: F.cross_entropy(scores(params, X, torch.tanh, affine=F.linear), labels)
    return {"": by_backward(loss, leaves(params), clear, torch.Tensor.detach)}
