import mygrad as mg
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

from engines import by_backward
from problems import leaves, tree_map

PARTS, NUMPY = ["mygrad"], True


def styles(run, tensors):
    step = by_backward(run, tensors, mg.Tensor.null_grad, np.asarray)
    return {"": step, "no guard": mg.mem_guard_off(step)}


def scalar(f, inputs):
    tensors = [mg.tensor(x) for x in inputs]
    return styles(lambda: f(mg, *tensors), tensors)


def gradient(network, params, X, C, labels):
    params = tree_map(mg.tensor, params)
    # a float32 scalar: MyGrad turns a Python number into a float64 array, and all that follows with it
    loss = lambda: softmax_crossentropy(network(params, X, mg.tanh, scalar=np.float32), labels)
    return styles(loss, leaves(params))
