"""Stage 2: the same engine, on arrays.

A `Value` now holds a NumPy array of floats, and ``grad`` is an array of the same shape. The way back is that of stage 1; the
derivatives are new: operands are broadcast, axes are summed away, entries are picked and permuted. Every gradient that ``pull``
gives has the shape of the parent it is for.

The interface is fixed, because the grader uses it: ``Value(array)``, ``data``, ``grad``, ``backward()``, the operators, and the
methods below. Use NumPy alone. To check what there is so far::

    python -m tinyad check arrays.py::Value
"""

import numpy as np


class Value:
    """An array, with the derivative of a number by it.

    Attributes:
        data: the array, of floats.
        grad: the derivative of the result by it, after ``result.backward()``, of the same shape; zeros before.
        parents: the Values it was made of.
        pull: from the derivative of the result by this Value, a function that gives those by its parents, as a tuple.
    """

    def __init__(self, data, parents=(), pull=None):
        data = np.asarray(data)
        self.data = data if data.dtype.kind == "f" else data.astype(float)
        self.grad = np.zeros_like(self.data)
        self.parents = parents
        self.pull = pull

    def __repr__(self):
        return f"Value of shape {self.shape}"

    @property
    def shape(self):
        return self.data.shape

    # ---- operations of two operands, which are broadcast. `other` may be a plain number or an array.

    __array_ufunc__ = None  # so that array + Value asks Value, and not each entry of the array

    def __add__(self, other):
        other = as_value(other)
        ### BEGIN SOLUTION
        y = self.data + other.data
        return Value(y, (self, other), lambda g: (unbroadcast(g, self.shape), unbroadcast(g, other.shape)))
        ### END SOLUTION

    def __mul__(self, other):
        other = as_value(other)
        ### BEGIN SOLUTION
        a, b = self.data, other.data
        return Value(a * b, (self, other), lambda g: (unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)))
        ### END SOLUTION

    def __matmul__(self, other):
        """The product of two matrices."""
        other = as_value(other)
        assert self.data.ndim == other.data.ndim == 2, f"@ is for two matrices here, not for {self.shape} and {other.shape}"
        ### BEGIN SOLUTION
        a, b = self.data, other.data
        return Value(a @ b, (self, other), lambda g: (g @ b.T, a.T @ g))
        ### END SOLUTION

    # ---- entry by entry

    def __pow__(self, exponent):
        """To a power that is a plain number."""
        ### BEGIN SOLUTION
        slope = exponent * self.data ** (exponent - 1)
        return Value(self.data**exponent, (self,), lambda g: (g * slope,))
        ### END SOLUTION

    def tanh(self):
        ### BEGIN SOLUTION
        y = np.tanh(self.data)
        return Value(y, (self,), lambda g: (g * (1 - y**2),))
        ### END SOLUTION

    def relu(self):
        ### BEGIN SOLUTION
        positive = self.data > 0
        return Value(self.data * positive, (self,), lambda g: (g * positive,))
        ### END SOLUTION

    def exp(self):
        ### BEGIN SOLUTION
        y = np.exp(self.data)
        return Value(y, (self,), lambda g: (g * y,))
        ### END SOLUTION

    # ---- fewer numbers

    def sum(self, axis=None, keepdims=False):
        """The sum along an axis, along several (a tuple), or of everything (None)."""
        ### BEGIN SOLUTION
        y = self.data.sum(axis=axis, keepdims=keepdims)
        return Value(y, (self,), lambda g: (np.broadcast_to(with_axes(g, axis, keepdims, self.shape), self.shape),))
        ### END SOLUTION

    def mean(self, axis=None, keepdims=False):
        ### BEGIN SOLUTION
        total = self.sum(axis, keepdims)
        return total * (total.data.size / self.data.size)
        ### END SOLUTION

    def max(self, axis=None, keepdims=False):
        """The largest entry along an axis. If it is there several times, its gradient is shared, or given to one: not to each."""
        ### BEGIN SOLUTION
        largest = self.data.max(axis=axis, keepdims=True)
        mask = self.data == largest
        share = mask / mask.sum(axis=axis, keepdims=True)
        y = self.data.max(axis=axis, keepdims=keepdims)
        return Value(y, (self,), lambda g: (share * with_axes(g, axis, keepdims, self.shape),))
        ### END SOLUTION

    # ---- other places

    def reshape(self, *shape):
        """In another shape: ``x.reshape(3, 5)``."""
        ### BEGIN SOLUTION
        return Value(self.data.reshape(*shape), (self,), lambda g: (g.reshape(self.shape),))
        ### END SOLUTION

    def transpose(self, *axes):
        """With the axes in another order, ``x.transpose(2, 0, 1)``; without arguments, in reverse order."""
        ### BEGIN SOLUTION
        back = np.argsort(axes) if axes else None
        return Value(self.data.transpose(*axes), (self,), lambda g: (g.transpose(back),))
        ### END SOLUTION

    def __getitem__(self, index):
        """Entries, rows, slices: ``x[1]``, ``x[:, 2]``, ``x[rows, columns]`` with arrays of indices, which may repeat."""

        ### BEGIN SOLUTION
        def pull(g):
            full = np.zeros_like(self.data)
            np.add.at(full, index, g)
            return (full,)

        return Value(self.data[index], (self,), pull)
        ### END SOLUTION

    def log_softmax(self, axis=-1):
        """x - log(sum(exp(x))) along an axis. It must not overflow for large x."""
        ### BEGIN SOLUTION
        shifted = self.data - self.data.max(axis=axis, keepdims=True)
        y = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
        return Value(y, (self,), lambda g: (g - np.exp(y) * g.sum(axis=axis, keepdims=True),))
        ### END SOLUTION

    # ---- what follows from these

    @property
    def T(self):
        return self.transpose()

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -as_value(other)

    def __truediv__(self, other):
        return self * as_value(other) ** -1.0

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __rsub__(self, other):
        return as_value(other) - self

    def __rtruediv__(self, other):
        return as_value(other) / self

    # ---- the way back

    def backward(self):
        """Add to ``grad`` of this Value, which holds one number, and of all it was made of the derivative of this Value."""
        ### BEGIN SOLUTION
        gradients = {id(self): np.ones_like(self.data)}
        for value in reversed(in_order(self)):
            gradient = gradients.pop(id(value))
            value.grad = value.grad + gradient
            if value.pull is not None:
                for parent, part in zip(value.parents, value.pull(gradient), strict=True):
                    gradients[id(parent)] = gradients[id(parent)] + part if id(parent) in gradients else part
        ### END SOLUTION


def as_value(other):
    """The number or array as a Value, unless it is one."""
    return other if isinstance(other, Value) else Value(other)


def unbroadcast(gradient, shape):
    """The sum of ``gradient`` over what was repeated when an array of this shape was broadcast."""
    ### BEGIN SOLUTION
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    stretched = tuple(k for k, length in enumerate(shape) if length == 1)
    return gradient.sum(axis=stretched, keepdims=True)
    ### END SOLUTION


def with_axes(gradient, axis, keepdims, shape):
    """``gradient`` with axes of length 1 where a reduction of an array of this shape took them away."""
    ### BEGIN SOLUTION
    if keepdims:
        return gradient
    return np.expand_dims(gradient, tuple(range(len(shape))) if axis is None else axis)
    ### END SOLUTION


def in_order(root):
    """All Values that ``root`` is made of, and itself: parents before what is made of them, each once."""
    ### BEGIN SOLUTION
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        value, parents_done = stack.pop()
        if parents_done:
            order.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            stack.append((value, True))
            stack.extend((parent, False) for parent in value.parents)
    return order
    ### END SOLUTION
